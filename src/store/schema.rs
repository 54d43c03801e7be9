//! The tables. A change is one more entry at the end of [`MIGRATIONS`]; an entry never changes once it was released.

use std::path::Path;

use rusqlite::Connection;

use super::{Older, broken, damage};
use crate::error::{Error, Kind};

/// `PRAGMA user_version` is the number of entries that a database has seen. Times are microseconds since 1970, UTC.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE incidents (
        id INTEGER PRIMARY KEY,
        subject TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'open', 'acknowledged', 'resolved')),
        severity TEXT NOT NULL,
        failures INTEGER NOT NULL,
        first_failure INTEGER NOT NULL,
        last_failure INTEGER NOT NULL,
        ended INTEGER,                       -- when it was resolved
        cleared INTEGER NOT NULL DEFAULT 0   -- 1: by `db clear`, without a recovery
    ) STRICT;
    -- a subject has one incident at a time
    CREATE UNIQUE INDEX incidents_active ON incidents (subject) WHERE state <> 'resolved';

    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        subject TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('failed', 'succeeded')),
        run TEXT NOT NULL,                   -- the invocation ID, or what stands in for it
        invocation_id TEXT,
        service_result TEXT,
        exit_code TEXT,
        exit_status TEXT,
        triggered_by TEXT,
        at INTEGER NOT NULL,
        incident INTEGER REFERENCES incidents (id),
        reason TEXT,                         -- JSON; null: not decided yet
        spoke INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    -- the same observation is one event, however often it arrives
    CREATE UNIQUE INDEX events_key ON events (subject, run, outcome, coalesce(service_result, ''));
    CREATE INDEX events_incident ON events (incident, id);
    CREATE INDEX events_undecided ON events (id) WHERE reason IS NULL;

    CREATE TABLE alerts (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        key TEXT NOT NULL UNIQUE,            -- the same for every try to deliver it
        incident INTEGER REFERENCES incidents (id),
        event INTEGER REFERENCES events (id),
        at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX alerts_incident ON alerts (incident);
    CREATE INDEX alerts_event ON alerts (event);

    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY,
        alert INTEGER NOT NULL REFERENCES alerts (id),
        method TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        due INTEGER NOT NULL DEFAULT 0,      -- when the next try may be made; 0: at once
        tried INTEGER NOT NULL DEFAULT 0,    -- when the last try began; later than now: the clock was set back
        lease INTEGER,                       -- somebody is sending it, until then
        detail TEXT,                         -- what the last try met
        UNIQUE (alert, method)
    ) STRICT;

    CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY,
        alert INTEGER NOT NULL REFERENCES alerts (id),
        method TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('sent', 'retry', 'refused')),
        detail TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX deliveries_alert ON deliveries (alert);

    CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT;
",
    "
    ALTER TABLE events ADD COLUMN cause TEXT;
    ALTER TABLE events ADD COLUMN start TEXT;                              -- 'timer', 'path', 'restart', 'other'; null: not known
    ALTER TABLE events ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;     -- 1: systemd starts the unit again by itself
    ALTER TABLE events ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 1;    -- 0: as the trigger told it; the journal was not asked
    DROP INDEX events_undecided;
    CREATE INDEX events_undecided ON events (id) WHERE reason IS NULL OR NOT confirmed;
    CREATE INDEX events_subject ON events (subject, at);

    ALTER TABLE alerts ADD COLUMN context TEXT;                            -- JSON: what is told beside the event

    -- up to when the journal was asked for a unit's failures; older ones never come back
    CREATE TABLE marks (subject TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

    ALTER TABLE outbox ADD COLUMN digest INTEGER REFERENCES alerts (id);   -- it goes out in this one
    CREATE INDEX outbox_digest ON outbox (digest) WHERE digest IS NOT NULL;
",
    "
    ALTER TABLE outbox ADD COLUMN failing INTEGER;                         -- since when its tries fail
    ALTER TABLE outbox ADD COLUMN held TEXT;                               -- the method's limit, while it waits for that
    ALTER TABLE outbox ADD COLUMN instead_of TEXT;                         -- the method for which this one stands in,
    ALTER TABLE outbox ADD COLUMN because TEXT;                            -- and what is wrong with that: 'keeps failing: ...'
    ALTER TABLE outbox ADD COLUMN handed_over INTEGER NOT NULL DEFAULT 0;  -- 1: the fallback has it, too

    ALTER TABLE alerts ADD COLUMN outage TEXT;                             -- JSON: the method that it is about; no event then

    -- a method that could send nothing since then; the row is gone once it sends again
    CREATE TABLE outages (
        method TEXT PRIMARY KEY,
        since INTEGER NOT NULL,
        last INTEGER NOT NULL,               -- the last try
        detail TEXT NOT NULL,                -- what it met
        told INTEGER                         -- when somebody was told
    ) STRICT, WITHOUT ROWID;

    -- 'merged': told with its recovery, in one message; 'expired': given up
    CREATE TABLE deliveries_3 (
        id INTEGER PRIMARY KEY,
        alert INTEGER NOT NULL REFERENCES alerts (id),
        method TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('sent', 'retry', 'refused', 'merged', 'expired')),
        detail TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    INSERT INTO deliveries_3 SELECT id, alert, method, attempt, status, detail, at FROM deliveries;
    DROP TABLE deliveries;
    ALTER TABLE deliveries_3 RENAME TO deliveries;
    CREATE INDEX deliveries_alert ON deliveries (alert);
    CREATE INDEX deliveries_method ON deliveries (method, at);
",
    "
    ALTER TABLE incidents ADD COLUMN flapping TEXT;                        -- JSON: how it flaps, since when, how often
    CREATE INDEX incidents_cleared ON incidents (subject, ended) WHERE cleared;
    -- a unit that flaps has very many events; of these kinds it has few
    CREATE INDEX events_spoke ON events (subject, at) WHERE spoke;
    CREATE INDEX events_final ON events (subject, at) WHERE outcome = 'failed' AND NOT restarts;
",
    "
    -- what metrics tell: no run of dispatch counts a year's rows for that, and what is pruned stays counted
    CREATE TABLE unit_totals (
        subject TEXT PRIMARY KEY,
        failures INTEGER NOT NULL DEFAULT 0,
        last_failure INTEGER,
        last_success INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE delivery_totals (
        method TEXT NOT NULL,
        status TEXT NOT NULL,
        deliveries INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (method, status)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO unit_totals (subject, failures, last_failure)
        SELECT subject, count(*), max(at) FROM events WHERE outcome = 'failed' AND confirmed GROUP BY subject;
    UPDATE unit_totals SET last_success = recovered FROM
        (SELECT subject AS unit, max(ended) AS recovered FROM incidents WHERE state = 'resolved' AND NOT cleared GROUP BY subject)
        WHERE subject = unit;
    INSERT INTO delivery_totals SELECT method, status, count(*) FROM deliveries GROUP BY method, status;

    -- here, so that no statement can forget it. A failure counts once it is confirmed: before that it may turn out to be on
    -- record already. No upsert: the statement that fires a trigger may say OR IGNORE, and that would hold in it, too.
    CREATE TRIGGER events_inserted AFTER INSERT ON events WHEN NEW.confirmed AND NEW.outcome = 'failed' BEGIN
        INSERT OR IGNORE INTO unit_totals (subject) VALUES (NEW.subject);
        UPDATE unit_totals SET failures = failures + 1, last_failure = max(coalesce(last_failure, NEW.at), NEW.at)
            WHERE subject = NEW.subject;
    END;
    CREATE TRIGGER events_confirmed AFTER UPDATE OF confirmed, at ON events WHEN NEW.confirmed AND NEW.outcome = 'failed' BEGIN
        INSERT OR IGNORE INTO unit_totals (subject) VALUES (NEW.subject);
        UPDATE unit_totals SET failures = failures + (NOT OLD.confirmed), last_failure = max(coalesce(last_failure, NEW.at), NEW.at)
            WHERE subject = NEW.subject;
    END;
    CREATE TRIGGER incidents_recovered AFTER UPDATE OF state ON incidents
        WHEN NEW.state = 'resolved' AND OLD.state <> 'resolved' AND NOT NEW.cleared BEGIN
        UPDATE unit_totals SET last_success = max(coalesce(last_success, NEW.ended), NEW.ended) WHERE subject = NEW.subject;
    END;
    CREATE TRIGGER deliveries_inserted AFTER INSERT ON deliveries BEGIN
        INSERT OR IGNORE INTO delivery_totals (method, status) VALUES (NEW.method, NEW.status);
        UPDATE delivery_totals SET deliveries = deliveries + 1 WHERE method = NEW.method AND status = NEW.status;
    END;
",
    "
    -- what a channel that forgets gets again and again, until the incident is over
    CREATE TABLE resends (
        id INTEGER PRIMARY KEY,
        incident INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
        method TEXT NOT NULL,
        alert INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,   -- the newest that it took
        pause INTEGER NOT NULL,              -- from one to the next, in microseconds
        due INTEGER NOT NULL,
        tried INTEGER NOT NULL DEFAULT 0,    -- when the last one began; later than now: the clock was set back
        lease INTEGER,                       -- somebody is sending it, until then
        UNIQUE (incident, method)
    ) STRICT;
",
    "
    -- what the run complained of last, folded; '': nothing; null: nobody looked
    ALTER TABLE events ADD COLUMN error TEXT;
",
    "
    ALTER TABLE incidents ADD COLUMN acknowledged TEXT;                    -- JSON: by whom, when and why
    ALTER TABLE incidents ADD COLUMN escalated INTEGER;                    -- when others were told, since nobody acknowledged it
    ALTER TABLE incidents ADD COLUMN silenced INTEGER;                     -- its newest event that a silence keeps from being told
    ALTER TABLE alerts ADD COLUMN reason TEXT;                             -- JSON: why, where that is not its event's reason
    ALTER TABLE outbox ADD COLUMN held_until INTEGER;                      -- it is not sent before; 0: somebody wants it sent

    CREATE TABLE silences (
        glob TEXT PRIMARY KEY,
        since INTEGER NOT NULL,
        until INTEGER NOT NULL,
        by TEXT NOT NULL,
        why TEXT
    ) STRICT, WITHOUT ROWID;
",
    "
    -- the timers that are watched, and the units that should succeed from time to time
    CREATE TABLE schedules (
        subject TEXT PRIMARY KEY,
        since INTEGER NOT NULL,              -- when it was first seen
        active INTEGER NOT NULL DEFAULT 0,   -- 1: the timer was active at some time,
        enabled INTEGER NOT NULL DEFAULT 0,  -- and enabled
        due INTEGER                          -- when it is to elapse, if that is far enough ahead
    ) STRICT, WITHOUT ROWID;
    -- when the host was off or asleep: time that does not count
    CREATE TABLE absences (since INTEGER PRIMARY KEY, until INTEGER NOT NULL) STRICT;
",
    "
    -- a recovery that a part of the channel may have missed comes again until then, in microseconds
    ALTER TABLE resends ADD COLUMN ends INTEGER;
",
    "
    -- when a unit that should succeed from time to time last did; what the metrics count as a success may have been a stop
    ALTER TABLE schedules ADD COLUMN success INTEGER;
    UPDATE schedules SET success = (SELECT last_success FROM unit_totals u WHERE u.subject = 'unit:' || substr(schedules.subject, 10));
",
    "
    -- what sensors keep from run to run
    CREATE TABLE sensors (
        name TEXT PRIMARY KEY,
        at INTEGER NOT NULL,                 -- its last run,
        boot TEXT NOT NULL,                  -- and in which boot that was
        kept TEXT NOT NULL,                  -- JSON: what it needs in the next one
        seen TEXT NOT NULL                   -- JSON: what it measured, or why nothing
    ) STRICT, WITHOUT ROWID;
    -- how often in a row a rule was violated; no row while it is not
    CREATE TABLE streaks (
        sensor TEXT NOT NULL,
        instance TEXT NOT NULL,
        rule TEXT NOT NULL,
        times INTEGER NOT NULL,
        since INTEGER NOT NULL,
        seen INTEGER NOT NULL,               -- when there was last a value
        standing TEXT,                       -- how bad, once it is a failure
        PRIMARY KEY (sensor, instance, rule)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- the rows of the watchdog's database that are in alarm
    CREATE TABLE process_alarms (
        id INTEGER PRIMARY KEY,              -- as that database numbers them
        name TEXT NOT NULL,                  -- as it stands there
        since INTEGER NOT NULL,
        restarted INTEGER                    -- it was restarted and is healthy; the row is to be settled
    ) STRICT;
    -- what became of restarts, by process
    CREATE TABLE processes (
        name TEXT PRIMARY KEY,
        failed INTEGER NOT NULL DEFAULT 0,   -- cycles in a row that failed
        opened INTEGER,                      -- since when its circuit breaker is open
        restarts INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        begun INTEGER,                       -- a cycle was asked for then, and what it came to is not kept yet
        last INTEGER,                        -- the last cycle,
        restarted INTEGER,                   -- the last one that brought it back,
        why TEXT                             -- and why the last one failed
    ) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE process_alarms ADD COLUMN known_of INTEGER NOT NULL DEFAULT 0; -- its database says that somebody knows of it
    ALTER TABLE processes ADD COLUMN unread INTEGER; -- restarted by hand then, while the database told no alarms
",
];

/// Why a database cannot be used.
pub(super) enum Trouble {
    /// It has no tables yet.
    Empty,
    /// It is of an older version, and nobody is to migrate it now.
    Old,
    /// It is of a newer version.
    New,
    /// SQLite says so.
    Broken(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        Trouble::Broken(error)
    }
}

impl Trouble {
    /// The same for people.
    pub(super) fn told(&self, path: &Path) -> Error {
        let path_shown = path.display();
        match self {
            Trouble::Empty => {
                let text = format!("the database {path_shown} is empty, and sysalert never leaves it so");
                Error::new(Kind::Damaged, text).hint(damage::CERTAIN)
            }
            Trouble::Old => Error::failure(format!("the database {path_shown} is of an older version"))
                .hint("sysalert-dispatch.service brings it up to date: systemctl start sysalert-dispatch.service"),
            Trouble::New => Error::failure(format!("the database {path_shown} is of a newer version than this sysalert"))
                .hint("install the newer sysalert again, or move the database away"),
            Trouble::Broken(error) => broken(path, error),
        }
    }
}

pub(super) fn version(db: &Connection) -> rusqlite::Result<usize> {
    db.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).map(|version| version as usize)
}

/// Whether this program can read the database as it is.
pub(super) fn fits(db: &Connection) -> Result<(), Trouble> {
    match version(db)? {
        0 => Err(Trouble::Empty),
        version if version < MIGRATIONS.len() => Err(Trouble::Old),
        version if version > MIGRATIONS.len() => Err(Trouble::New),
        _ => Ok(()),
    }
}

/// Brings the tables up to date. The caller holds the lock.
pub(super) fn bring_up(db: &mut Connection, older: Older) -> Result<(), Trouble> {
    match fits(db) {
        Err(Trouble::Old) if older == Older::Migrate => {}
        other => return other,
    }
    let seen = version(db)?;
    let transaction = db.transaction()?;
    migrate(&transaction, seen, MIGRATIONS.len())?;
    transaction.commit()?;
    Ok(())
}

/// Makes the tables.
pub(super) fn create(db: &Connection) -> rusqlite::Result<()> {
    migrate(db, 0, MIGRATIONS.len())
}

fn migrate(db: &Connection, from: usize, to: usize) -> rusqlite::Result<()> {
    for migration in &MIGRATIONS[from..to] {
        db.execute_batch(migration)?;
    }
    db.pragma_update(None, "user_version", u32::try_from(to).unwrap_or(u32::MAX))
}

/// Whether the tables and indexes are those of the version that the database says it has.
pub(super) fn is_of_its_version(db: &Connection) -> rusqlite::Result<bool> {
    let model = Connection::open_in_memory()?;
    migrate(&model, 0, version(db)?.min(MIGRATIONS.len()))?;
    Ok(objects(db)? == objects(&model)?)
}

/// Their names and their words, however these are spaced.
fn objects(db: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    // what tools such as ANALYZE add is none of ours
    let sql = "SELECT name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name";
    let words = |sql: String| sql.split_whitespace().collect::<Vec<_>>().join(" ");
    db.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, words(row.get(1)?))))?.collect()
}
