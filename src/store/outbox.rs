//! Alerts that are decided and not yet delivered: one row per alert and method.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sysalert_abi::Kind;

use super::damage::Damage;
use super::events::{self, Recorded};
use super::outages::{self, Outage};
use super::overtaken::{self, Overtaken};
use super::{digests, incidents, time};
use crate::event::Event;
use crate::incident::Incident;
use crate::message::Context;
use crate::policy::Reason;

/// A new alert.
#[derive(Debug)]
pub struct Alert<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Names it for ever; nobody can guess it.
    pub key: &'a str,
    /// The incident and the event that it is about; none for a test.
    pub about: Option<(i64, i64)>,
    /// When it was decided.
    pub at: DateTime<Utc>,
}

/// Queues an alert for these methods.
pub fn queue(db: &Connection, alert: &Alert<'_>, methods: &[String]) -> rusqlite::Result<i64> {
    let (incident, event) = alert.about.unzip();
    let at = alert.at.timestamp_micros();
    db.execute(
        "INSERT INTO alerts (kind, key, incident, event, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![alert.kind.as_str(), alert.key, incident, event, at],
    )?;
    let id = db.last_insert_rowid();
    for method in methods {
        db.execute("INSERT OR IGNORE INTO outbox (alert, method) VALUES (?1, ?2)", params![id, method])?;
    }
    Ok(id)
}

/// Queues a test alert.
pub fn queue_test(db: &Connection, key: &str, at: DateTime<Utc>, methods: &[String]) -> rusqlite::Result<i64> {
    queue(db, &Alert { kind: Kind::Test, key, about: None, at }, methods)
}

/// Forgets the test alerts that were not delivered.
pub fn drop_tests(db: &Connection) -> rusqlite::Result<()> {
    db.execute("DELETE FROM outbox WHERE alert IN (SELECT id FROM alerts WHERE kind = 'test')", []).map(drop)
}

/// One alert that this process sends now.
#[derive(Debug)]
pub struct Claimed {
    /// Its row.
    pub id: i64,
    /// The alert's number.
    pub alert: i64,
    /// Its kind.
    pub kind: Kind,
    /// Names it for ever.
    pub key: String,
    /// By which method.
    pub method: String,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// What the last try met.
    pub detail: Option<String>,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// Why, where its event does not say it.
    pub reason: Option<Reason>,
    /// The event and its incident; none for a test and for what is sysalert's own.
    pub about: Option<(Recorded, Incident)>,
    /// The outage of a method that it is about.
    pub outage: Option<Outage>,
    /// The damage of the database that it is about.
    pub damage: Option<Damage>,
    /// The alerts of its incident that were not delivered before, oldest first: this one, a recovery, tells them too.
    pub overtaken: Vec<Overtaken>,
    /// Since when its tries fail.
    pub failing: Option<DateTime<Utc>>,
    /// The method's limit, if it waited for that.
    pub held: Option<String>,
    /// The method for which this one stands in, and what is wrong with that.
    pub instead_of: Option<(String, String)>,
    /// What is told beside the event.
    pub context: Context,
    /// Until when the claim holds: it is the claim's name, too.
    pub lease: DateTime<Utc>,
}

pub(super) fn kind(word: &str) -> Kind {
    [Kind::Failure, Kind::Reminder, Kind::Recovery, Kind::Digest, Kind::Test]
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .unwrap_or(Kind::Failure)
}

/// The alerts that wait for what is told beside their events.
pub fn without_context(db: &Connection) -> rusqlite::Result<Vec<(i64, Kind, Event)>> {
    let sql = format!(
        "SELECT a.id AS alert, a.kind, {} FROM alerts a JOIN events ON events.id = a.event
         WHERE a.context IS NULL AND a.id IN (SELECT alert FROM outbox) ORDER BY a.id",
        events::COLUMNS.replace(", at", ", events.at")
    );
    db.prepare(&sql)?
        .query_map([], |row| Ok((row.get("alert")?, kind(&row.get::<_, String>("kind")?), events::event(row)?)))?
        .collect()
}

/// Keeps what is told beside an alert's event.
pub fn set_context(db: &Connection, alert: i64, context: &Context) -> rusqlite::Result<()> {
    let json = serde_json::to_string(context).unwrap_or_else(|_| "{}".to_owned());
    db.execute("UPDATE alerts SET context = ?2 WHERE id = ?1", params![alert, json]).map(drop)
}

/// The row of the oldest alert that is due and whose method is none of `busy`. Alerts about one subject keep their order, the
/// next failure waits for the last recovery; but what waits when the recovery comes is told with that. A digest waits for an
/// earlier one that tells of the same incident. Each waits for what is told beside its event, and for what the method is being sent again: that must not come after the recovery. After a clock
/// that was set back, what it made wait is due, but for what waits for its hour. What a limit held is due: whoever calls knows
/// whether it still holds.
pub fn due(db: &Connection, now: DateTime<Utc>, busy: &[String]) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT o.id FROM outbox o JOIN alerts a ON a.id = o.alert
         WHERE (max(iif(o.held IS NULL, o.due, 0), coalesce(o.lease, 0)) <= ?1 OR ?1 < o.tried OR a.kind = 'digest' AND ?1 < a.at)
           AND o.method NOT IN (SELECT value FROM json_each(?2))
           AND (a.event IS NULL OR a.context IS NOT NULL) AND o.digest IS NULL AND coalesce(o.held_until, 0) <= ?1
           AND NOT EXISTS (SELECT 1 FROM resends r WHERE r.method = o.method AND r.lease > ?1 AND r.tried <= ?1)
           AND NOT EXISTS (SELECT 1 FROM outbox e JOIN alerts b ON b.id = e.alert JOIN incidents i ON i.id = b.incident
               WHERE e.method = o.method AND i.subject = (SELECT subject FROM incidents WHERE id = a.incident) AND CASE
                   WHEN e.alert > o.alert THEN b.kind = 'recovery' AND b.incident = a.incident
                   WHEN e.alert < o.alert AND a.kind = 'recovery' AND b.incident = a.incident AND e.digest IS NULL
                       THEN coalesce(e.lease, 0) > ?1 AND e.tried <= ?1
                   ELSE e.alert < o.alert END)
           AND NOT EXISTS (SELECT 1 FROM outbox m JOIN alerts b ON b.id = m.alert JOIN alerts c ON c.incident = b.incident
               JOIN outbox e ON e.alert = c.id AND e.method = o.method
               WHERE m.digest = o.alert AND m.method = o.method AND e.digest < o.alert)
         ORDER BY o.alert LIMIT 1";
    let busy = serde_json::to_string(busy).unwrap_or_default();
    db.query_row(sql, params![now.timestamp_micros(), busy], |row| row.get(0)).optional()
}

/// A try that comes later than this after it was due: the machine was off, or its clock was set. The time beyond does not count
/// as time in which tries fail, or one jump of the clock would give up whatever waits.
const UNTRIED: TimeDelta = TimeDelta::hours(1);

/// Claims what is [`due`], if something is. `lease` says for a method until when.
pub fn claim(
    db: &Connection,
    now: DateTime<Utc>,
    busy: &[String],
    lease: impl Fn(&str) -> DateTime<Utc>,
) -> rusqlite::Result<Option<Claimed>> {
    let Some(id) = due(db, now, busy)? else { return Ok(None) };
    let sql = "SELECT o.id, o.alert, o.method, o.attempts, o.detail, o.due, o.tried, o.failing, o.held, o.instead_of, o.because,
            a.kind, a.key, a.at, a.reason, a.incident, a.event, a.context, a.outage
         FROM outbox o JOIN alerts a ON a.id = o.alert WHERE o.id = ?1";
    let (mut claimed, about) = db.query_row(sql, [id], |row| {
        let method: String = row.get("method")?;
        let about: (Option<i64>, Option<i64>) = (row.get("event")?, row.get("incident")?);
        let claimed = Claimed {
            id,
            alert: row.get("alert")?,
            kind: kind(&row.get::<_, String>("kind")?),
            key: row.get("key")?,
            attempt: row.get::<_, u32>("attempts")? + 1,
            detail: row.get("detail")?,
            at: time(row.get("at")?),
            reason: reason(row)?,
            about: None,
            outage: outages::of_alert(row)?,
            damage: outages::of_alert(row)?,
            overtaken: Vec::new(),
            failing: events::maybe(row.get("failing")?)
                .map(|failing| {
                    let idle = now - time(row.get::<_, i64>("due")?.max(row.get("tried")?)) - UNTRIED;
                    Ok::<_, rusqlite::Error>(failing + idle.max(TimeDelta::zero()))
                })
                .transpose()?,
            held: row.get("held")?,
            instead_of: row.get::<_, Option<String>>("instead_of")?.zip(row.get("because")?),
            context: context(row)?,
            lease: lease(&method),
            method,
        };
        Ok((claimed, about))
    })?;
    if let (Some(event), Some(incident)) = about {
        claimed.about = events::get(db, event)?.zip(Some(incidents::get(db, incident)?));
        if claimed.kind == Kind::Recovery {
            claimed.overtaken = overtaken::by(db, incident, claimed.alert, &claimed.method)?;
        }
    }
    if claimed.kind == Kind::Digest {
        claimed.instead_of = digests::instead_of(db, claimed.alert)?;
    }
    let sql = "UPDATE outbox SET lease = ?2, attempts = ?3, tried = ?4, failing = ?5 WHERE id = ?1";
    let failing = claimed.failing.map(|failing| failing.timestamp_micros());
    db.execute(sql, params![id, claimed.lease.timestamp_micros(), claimed.attempt, now.timestamp_micros(), failing])?;
    Ok(Some(claimed))
}

pub(super) fn context(row: &Row<'_>) -> rusqlite::Result<Context> {
    let json: Option<String> = row.get("context")?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
}

pub(super) fn reason(row: &Row<'_>) -> rusqlite::Result<Option<Reason>> {
    let json: Option<String> = row.get("reason")?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

/// It is delivered, or will never be: takes it out.
pub fn done(db: &Connection, id: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM outbox WHERE id = ?1", [id]).map(drop)
}

/// It was not delivered: the next try is due then. A claim that somebody else took over meanwhile is left alone.
pub fn give_back(db: &Connection, claimed: &Claimed, due: DateTime<Utc>, detail: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE outbox SET lease = NULL, due = ?3, detail = ?4, held = NULL, failing = min(coalesce(failing, tried), tried)
        WHERE id = ?1 AND lease = ?2";
    db.execute(sql, params![claimed.id, claimed.lease.timestamp_micros(), due.timestamp_micros(), detail]).map(drop)
}

/// An alert that waits, as `status` shows it.
#[derive(Debug)]
pub struct Waiting {
    /// Its row.
    pub id: i64,
    /// Its kind.
    pub kind: Kind,
    /// The subject; none for a test and for an outage.
    pub subject: Option<String>,
    /// The method whose outage it tells.
    pub outage: Option<String>,
    /// True when it tells that the database was damaged.
    pub damage: bool,
    /// By which method.
    pub method: String,
    /// The method for which that one stands in.
    pub instead_of: Option<String>,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// How many tries there were.
    pub attempts: u32,
    /// When the next one is due; `None`: at once.
    pub due: Option<DateTime<Utc>>,
    /// Somebody is sending it, until then at the most.
    pub lease: Option<DateTime<Utc>>,
    /// What the last one met.
    pub detail: Option<String>,
    /// The method's limit, while it waits for that.
    pub held: Option<String>,
    /// True when its recovery waits, too, and tells it.
    pub with_recovery: bool,
}

/// What waits, oldest first.
pub fn waiting(db: &Connection) -> rusqlite::Result<Vec<Waiting>> {
    let sql = "SELECT o.id, a.kind, i.subject, o.method, o.instead_of, a.at, a.outage, o.attempts,
            max(o.due, coalesce(o.held_until, 0)) AS due, o.lease, o.detail, o.held,
            EXISTS (SELECT 1 FROM outbox r JOIN alerts b ON b.id = r.alert
                WHERE r.method = o.method AND b.incident = a.incident AND r.alert > o.alert AND b.kind = 'recovery') AS with_recovery
         FROM outbox o JOIN alerts a ON a.id = o.alert LEFT JOIN incidents i ON i.id = a.incident ORDER BY o.alert, o.method";
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Waiting {
            id: row.get("id")?,
            kind: kind(&row.get::<_, String>("kind")?),
            subject: row.get("subject")?,
            outage: outages::of_alert(row)?.map(|outage: Outage| outage.method),
            damage: outages::of_alert::<Damage>(row)?.is_some(),
            method: row.get("method")?,
            instead_of: row.get("instead_of")?,
            at: time(row.get("at")?),
            attempts: row.get("attempts")?,
            held: row.get("held")?,
            with_recovery: row.get("with_recovery")?,
            due: events::maybe(Some(row.get("due")?).filter(|due| *due != 0)),
            lease: events::maybe(row.get("lease")?),
            detail: row.get("detail")?,
        })
    })?;
    rows.collect()
}
