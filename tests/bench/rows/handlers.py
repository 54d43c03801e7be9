"""200 handlers at once, where an fsync takes 5 ms: all are recorded, in little more than so many fsyncs one after the other."""

import os
import sqlite3
import subprocess
import time

from bench import failure, quiet, row, state

HANDLERS, FSYNC = 200, 0.005
ROUNDS = 3

quiet()
took = []
for number in range(ROUNDS):
    folder = state(f"handlers-{number}")
    failure(folder)
    environment = {"PATH": os.environ["PATH"], "SYSALERT_STATE_DIR": folder, "LD_PRELOAD": "/srv/tools/fsync.so",
                   "MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_CODE": "exited", "MONITOR_EXIT_STATUS": "3"}
    begun = time.monotonic()
    running = []
    for unit in range(HANDLERS):
        name = f"h{unit}.service"
        own = environment | {"MONITOR_UNIT": name, "MONITOR_INVOCATION_ID": f"{unit:032x}"}
        running.append(subprocess.Popen(["sysalert", "failure", "--", name], user="sysalert", group="sysalert",
                                        extra_groups=["systemd-journal"], env=own))
    if any(handler.wait() for handler in running):
        raise SystemExit("a handler failed")
    took.append((time.monotonic() - begun) * 1000)
    db = sqlite3.connect(f"file:{folder}/sysalert.db?mode=ro", uri=True)
    recorded = db.execute("SELECT count(*) FROM events WHERE subject LIKE 'unit:h%'").fetchone()[0]
    db.close()
    if recorded != HANDLERS:
        raise SystemExit(f"{recorded} of {HANDLERS} are recorded")
# as many fsyncs as 200 runs make, two each, one after the other
row_of = [FSYNC * 1000 * HANDLERS * 2] * ROUNDS
row("200 handlers at once, 5 ms for each fsync", "wall", {"sysalert": took, "their fsyncs in a row": row_of}, budget=1.2,
    beside="their fsyncs in a row")
