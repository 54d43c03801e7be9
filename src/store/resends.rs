//! What a channel that forgets gets again and again, all of a method's at once: an incident until it is over, and its recovery
//! for a while if the channel asks for that, since a part of it may not have heard of it.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::digests::{self, Member};
use super::outbox::Claimed;

/// What one method gets again now.
#[derive(Debug)]
pub struct Resend {
    /// The method.
    pub method: String,
    /// The alerts, oldest first.
    pub members: Vec<Member>,
    /// When it was claimed.
    pub at: DateTime<Utc>,
    /// Until when the claim holds: it is the claim's name, too.
    pub lease: DateTime<Utc>,
}

/// A moment early is better than the timer's next run, a minute late.
const EARLY: TimeDelta = TimeDelta::seconds(5);

/// So many pauses after a recovery was taken it comes no more: what did not hear of it until then has ended by itself.
const RECOVERIES: i32 = 10;

/// What this method took it wants again after this pause; or, without one, no more.
pub fn send_again(db: &Connection, sent: &Claimed, pause: Option<TimeDelta>, now: DateTime<Utc>) -> rusqlite::Result<()> {
    // the alert itself, or those that went out in it
    let told =
        "FROM outbox o JOIN alerts a ON a.id = o.alert JOIN incidents i ON i.id = a.incident WHERE (o.id = ?1 OR o.digest = ?2)";
    let sql = format!("DELETE FROM resends WHERE method = ?3 AND incident IN (SELECT a.incident {told})");
    db.execute(&sql, params![sent.id, sent.alert, sent.method])?;
    let Some(pause) = pause else { return Ok(()) };
    let sql = format!(
        "INSERT INTO resends (incident, method, alert, pause, due, ends)
         SELECT a.incident, ?3, max(a.id), ?4, ?5, iif(a.kind = 'recovery', ?6, NULL) {told}
           AND (a.kind = 'recovery') = (i.state = 'resolved') GROUP BY a.incident"
    );
    let (due, ends) = ((now + pause).timestamp_micros(), (now + pause * RECOVERIES).timestamp_micros());
    let pause = pause.num_microseconds().unwrap_or(i64::MAX);
    db.execute(&sql, params![sent.id, sent.alert, sent.method, pause, due, ends]).map(drop)
}

/// What is to come again at the time ?1: what is not over; and its recovery, before that ends, unless the unit failed anew: its
/// end would be taken for that of the new incident. With a clock that was set back a recovery has ended.
const LIVES: &str = "EXISTS (SELECT 1 FROM incidents i WHERE i.id = resends.incident AND (i.state <> 'resolved'
    OR (resends.ends > ?1 AND resends.due - resends.pause <= ?1
        AND NOT EXISTS (SELECT 1 FROM incidents n WHERE n.id > i.id AND n.subject = i.subject))))";

/// A method, none of `busy`, that is to get something again now. After a clock that was set back, what it made wait is due.
pub fn resend_due(db: &Connection, now: DateTime<Utc>, busy: &[String]) -> rusqlite::Result<Option<String>> {
    let sql = format!(
        "SELECT method FROM resends WHERE (due <= ?2 OR tried > ?1) AND {LIVES} AND method NOT IN (SELECT value FROM json_each(?3))
          AND NOT EXISTS (SELECT 1 FROM resends e WHERE e.method = resends.method AND e.lease > ?1 AND e.tried <= ?1)
         ORDER BY due LIMIT 1"
    );
    let busy = serde_json::to_string(busy).unwrap_or_default();
    let early = now + EARLY;
    db.query_row(&sql, params![now.timestamp_micros(), early.timestamp_micros(), busy], |row| row.get(0)).optional()
}

/// Claims all that such a method is to get again, if there is one: what is not due yet, too, so that it is one call. `lease`
/// says for a method until when.
pub fn claim_resend(
    db: &Connection,
    now: DateTime<Utc>,
    busy: &[String],
    lease: impl Fn(&str) -> DateTime<Utc>,
) -> rusqlite::Result<Option<Resend>> {
    let Some(method) = resend_due(db, now, busy)? else { return Ok(None) };
    let lease = lease(&method);
    let sql = format!("UPDATE resends SET lease = ?3, tried = ?1 WHERE method = ?2 AND {LIVES}");
    db.execute(&sql, params![now.timestamp_micros(), method, lease.timestamp_micros()])?;
    let numbers = "SELECT alert FROM resends WHERE method = ?1 AND lease = ?2";
    let members = digests::those(db, numbers, params![method, lease.timestamp_micros()])?;
    Ok(Some(Resend { method, members, at: now, lease }))
}

/// The method took it, and wants it again after this pause, or no more.
pub fn resent(db: &Connection, resend: &Resend, pause: Option<TimeDelta>) -> rusqlite::Result<()> {
    let (method, lease) = (&resend.method, resend.lease.timestamp_micros());
    let Some(pause) = pause else {
        return db.execute("DELETE FROM resends WHERE method = ?1 AND lease = ?2", params![method, lease]).map(drop);
    };
    let pause = pause.num_microseconds().unwrap_or(i64::MAX);
    db.execute("UPDATE resends SET pause = ?3 WHERE method = ?1 AND lease = ?2", params![method, lease, pause])?;
    not_resent(db, resend)
}

/// The method did not take it: the next try is due after the usual pause.
pub fn not_resent(db: &Connection, resend: &Resend) -> rusqlite::Result<()> {
    let sql = "UPDATE resends SET lease = NULL, due = ?3 + pause WHERE method = ?1 AND lease = ?2";
    let values = params![resend.method, resend.lease.timestamp_micros(), resend.at.timestamp_micros()];
    db.execute(sql, values).map(drop)
}

/// This method is to get nothing again.
pub fn drop_resends(db: &Connection, method: &str) -> rusqlite::Result<()> {
    db.execute("DELETE FROM resends WHERE method = ?1", [method]).map(drop)
}

/// Whether something is left that is not to come again and is not being sent just now.
pub fn has_ended_resends(db: &Connection, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    db.prepare(&format!("SELECT 1 FROM resends WHERE NOT {LIVES} AND {FREE}"))?.exists([now.timestamp_micros()])
}

/// Forgets it.
pub fn drop_ended_resends(db: &Connection, now: DateTime<Utc>) -> rusqlite::Result<()> {
    db.execute(&format!("DELETE FROM resends WHERE NOT {LIVES} AND {FREE}"), [now.timestamp_micros()]).map(drop)
}

/// It is not being sent at the time ?1.
const FREE: &str = "(coalesce(lease, 0) <= ?1 OR tried > ?1)";

#[cfg(test)]
mod tests {
    use super::super::tests::{at, claim_at, failure, open, subject, told};
    use super::super::{Alert, Store, active, clear, done, queue, save, set_context};
    use super::*;

    const MINUTE: Option<TimeDelta> = Some(TimeDelta::minutes(1));

    /// A failure that the fleet took at this second, and wants again.
    fn taken(store: &mut Store, unit: &str, second: i64) {
        told(store, &failure(unit, unit, second), &["fleet"]);
        let claimed = claim_at(store, second, &[]).unwrap();
        let settled = store.write(|db| {
            send_again(db, &claimed, MINUTE, at(second))?;
            done(db, claimed.id)
        });
        settled.unwrap();
    }

    fn recovers(store: &mut Store, unit: &str, second: i64) {
        let queued = store.write(|db| {
            let incident = active(db, &subject(unit))?.unwrap().resolved();
            save(db, &incident, at(second))?;
            let event = super::super::last_of(db, &subject(unit))?.unwrap().id;
            let about = Some((incident.id, event));
            let key = format!("{unit} is well");
            let alert = Alert { kind: sysalert_abi::Kind::Recovery, key: &key, about, at: at(second) };
            let alert = queue(db, &alert, &["fleet".to_owned()])?;
            set_context(db, alert, &crate::message::Context::default())
        });
        queued.unwrap();
    }

    fn again_at(store: &mut Store, second: i64) -> Option<Resend> {
        store.write(|db| claim_resend(db, at(second), &[], |_| at(second + 10))).unwrap()
    }

    fn units(resend: &Resend) -> Vec<&str> {
        resend.members.iter().map(|member| member.recorded.event.subject.name()).collect()
    }

    #[test]
    fn all_of_a_method_s_come_again_together() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        taken(&mut store, "a", 0);
        taken(&mut store, "b", 30);
        assert!(again_at(&mut store, 54).is_none());
        let resend = again_at(&mut store, 55).expect("the timer's run comes a moment early");
        assert_eq!((resend.method.as_str(), units(&resend)), ("fleet", vec!["a.service", "b.service"]));
        assert!(again_at(&mut store, 60).is_none(), "somebody sends it");
        assert!(again_at(&mut store, 66).is_some(), "whoever was to send it died");
        assert!(again_at(&mut store, 40).is_some(), "the clock was set back");
        let resend = again_at(&mut store, 56).unwrap();
        store.write(|db| not_resent(db, &resend)).unwrap();
        assert!(again_at(&mut store, 110).is_none(), "at the usual pace");
        let resend = again_at(&mut store, 111).unwrap();
        store.write(|db| resent(db, &resend, None)).unwrap();
        assert!(again_at(&mut store, 9999).is_none(), "the method wants it no more");
    }

    #[test]
    fn nothing_comes_again_after_its_recovery() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        taken(&mut store, "a", 0);
        taken(&mut store, "b", 0);
        let resend = again_at(&mut store, 60).unwrap();
        recovers(&mut store, "a", 61);
        assert!(claim_at(&mut store, 62, &[]).is_none(), "what is being sent may arrive later than the recovery");
        store.write(|db| resent(db, &resend, MINUTE)).unwrap();
        let resend = again_at(&mut store, 130).unwrap();
        assert_eq!(units(&resend), ["b.service"], "the recovery waits, and is not overtaken");
        store.write(|db| resent(db, &resend, MINUTE)).unwrap();
        let recovery = claim_at(&mut store, 131, &[]).unwrap();
        store.write(|db| send_again(db, &recovery, MINUTE, at(131)).and_then(|()| done(db, recovery.id))).unwrap();
        assert!(!store.with(|db| has_ended_resends(db, at(131))).unwrap());

        store.write(|db| clear(db, &subject("b"), at(132))).unwrap();
        assert!(again_at(&mut store, 999).is_none() && store.with(|db| has_ended_resends(db, at(999))).unwrap());
        store.write(|db| drop_ended_resends(db, at(999))).unwrap();
        assert!(!store.with(|db| has_ended_resends(db, at(999))).unwrap());
    }

    /// As [`taken`], with a recovery at this second that the fleet wants again.
    fn well(store: &mut Store, unit: &str, second: i64) {
        recovers(store, unit, second);
        let recovery = claim_at(store, second, &[]).unwrap();
        store.write(|db| send_again(db, &recovery, MINUTE, at(second)).and_then(|()| done(db, recovery.id))).unwrap();
    }

    #[test]
    fn a_recovery_that_is_wanted_again_comes_with_the_others_for_ten_pauses() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        taken(&mut store, "a", 0);
        taken(&mut store, "b", 0);
        well(&mut store, "a", 5);
        for round in 1..=9 {
            let resend = again_at(&mut store, round * 60).unwrap();
            let kinds: Vec<_> =
                resend.members.iter().map(|member| (member.kind.as_str(), member.recorded.event.subject.name())).collect();
            assert_eq!(kinds, [("failure", "b.service"), ("recovery", "a.service")], "{round}");
            store.write(|db| resent(db, &resend, MINUTE)).unwrap();
        }
        let resend = again_at(&mut store, 605).unwrap();
        assert_eq!(units(&resend), ["b.service"], "its time is over");
        store.write(|db| resent(db, &resend, MINUTE)).unwrap();
        assert!(store.with(|db| has_ended_resends(db, at(605))).unwrap());
        assert!(!store.with(|db| has_ended_resends(db, at(604))).unwrap());
        assert!(store.with(|db| has_ended_resends(db, at(-9999))).unwrap(), "the clock was set back");
    }

    #[test]
    fn a_recovery_comes_no_more_when_all_have_it_or_its_unit_fails_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        taken(&mut store, "a", 0);
        well(&mut store, "a", 5);
        let resend = again_at(&mut store, 65).unwrap();
        assert_eq!(units(&resend), ["a.service"]);
        store.write(|db| resent(db, &resend, None)).unwrap();
        assert!(again_at(&mut store, 130).is_none(), "all have it");

        taken(&mut store, "b", 200);
        well(&mut store, "b", 205);
        told(&mut store, &failure("b", "b2", 210), &["mail"]);
        assert!(again_at(&mut store, 300).is_none(), "the end of the old incident would end the new one");
        assert!(store.with(|db| has_ended_resends(db, at(300))).unwrap());
    }

    #[test]
    fn a_claim_that_died_holds_its_recovery_up_no_longer_than_it_lasts() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        taken(&mut store, "a", 0);
        again_at(&mut store, 60).unwrap();
        recovers(&mut store, "a", 61);
        assert!(claim_at(&mut store, 69, &[]).is_none());
        assert!(!store.with(|db| has_ended_resends(db, at(69))).unwrap(), "it keeps the order");
        assert!(claim_at(&mut store, 70, &[]).is_some());
    }
}
