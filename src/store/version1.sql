-- A database as version 1 of sysalert left it, with a failure, its alert sent by one method and waiting for another.
-- It stands for the files of those who upgrade: never change it.
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

INSERT INTO incidents (id, subject, state, severity, failures, first_failure, last_failure)
    VALUES (1, 'unit:backup.service', 'open', 'critical', 1, 1767607200000000, 1767607200000000);
INSERT INTO events (id, subject, outcome, run, invocation_id, service_result, exit_code, exit_status, at, incident, reason, spoke)
    VALUES (1, 'unit:backup.service', 'failed', '00000000000000000000000000000001', '00000000000000000000000000000001',
        'exit-code', 'exited', '3', 1767607200000000, 1, '{"reason":"first"}', 1);
INSERT INTO alerts (id, kind, key, incident, event, at) VALUES (1, 'failure', 'key-1', 1, 1, 1767607200000000);
INSERT INTO outbox (id, alert, method, attempts, due, detail) VALUES (1, 1, 'mail', 1, 1767607231000000, 'connection refused');
INSERT INTO deliveries (id, alert, method, attempt, status, detail, at) VALUES (1, 1, 'phone', 1, 'sent', 'taken', 1767607201000000);
PRAGMA user_version = 1;
