"""A failure, `status` and `db list` with 1,000,000 recorded events, beside an empty database; and pruning beside handlers."""

import os
import sqlite3
import subprocess

from bench import Command, alternate, failure, once, quiet, row, run, state

EVENTS = 1_000_000


def fill(folder):
    """A million events like the first one: of 1,000 units, 50 to an incident that is over, one a minute, the last just now."""
    db = sqlite3.connect(f"{folder}/sysalert.db", isolation_level=None)
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")
    columns = {table: [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")] for table in ("incidents", "events")}

    def copies(table, changes, number):
        values = [changes.get(name, f"t.{name}") for name in columns[table]]
        db.execute(f"INSERT INTO {table} ({', '.join(columns[table])}) "
                   f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) "
                   f"SELECT {', '.join(values)} FROM n, (SELECT * FROM {table} ORDER BY id LIMIT 1) t")

    minute = 60 * 1_000_000
    db.execute("BEGIN IMMEDIATE")
    copies("incidents", {
        "id": "1000 + i", "subject": "'unit:u' || (i % 1000) || '.service'", "state": "'resolved'", "failures": "50",
        "ended": f"t.last_failure - ({EVENTS} - i * 50) * {minute}", "last_failure": f"t.last_failure - ({EVENTS} - i * 50) * {minute}",
        "first_failure": f"t.last_failure - ({EVENTS} - i * 50 + 50) * {minute}",
    }, EVENTS // 50)
    copies("events", {
        "id": "1000 + i", "subject": "'unit:u' || ((1 + (i - 1) / 50) % 1000) || '.service'", "run": "lower(hex(randomblob(16)))",
        "invocation_id": "lower(hex(randomblob(16)))", "incident": "1001 + (i - 1) / 50", "at": f"t.at - ({EVENTS} - i) * {minute}",
    }, EVENTS)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    count, size = db.execute("SELECT count(*) FROM events").fetchone()[0], os.path.getsize(f"{folder}/sysalert.db")
    db.close()
    # nothing is measured while the kernel still writes all of that
    os.sync()
    return size / count


quiet()
empty, full = state("empty"), state("full")
small = failure(empty)
failure(full)
each = fill(full)
run("chown", "-R", "sysalert:sysalert", full)
large = failure(full)
reader = lambda folder, *words: Command(["sysalert", *words], user="sysalert", environment={"SYSALERT_STATE_DIR": folder})
pair = {"sysalert": large, "empty database": small}
row("1,000,000 events: a failure", "wall", alternate(pair), budget=1.2, beside="empty database")
for words in (("status",), ("db", "list")):
    pair = {"sysalert": reader(full, *words), "empty database": reader(empty, *words)}
    row(f"1,000,000 events: {' '.join(words)}", "wall", alternate(pair), budget=1.2, beside="empty database")
row("1,000,000 events: bytes of each", "bytes", {"sysalert": [each]})

# handlers while most of it is pruned
pruning = subprocess.Popen(["sysalert", "db", "prune", "--older-than", "1d"], user="sysalert", group="sysalert",
                           env=os.environ | {"SYSALERT_STATE_DIR": full}, stdout=subprocess.DEVNULL)
beside = [once(large)]
while pruning.poll() is None:
    beside.append(once(large))
if pruning.returncode:
    raise SystemExit(f"db prune ended with {pruning.returncode}")
row("1,000,000 events: a failure while they are pruned", "wall", {"sysalert": beside})
