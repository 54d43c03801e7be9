//! What is on record: alerts that wait, methods that cannot send, a sweep that fell behind.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Outcome, Patient, finding, of_error};
use crate::event::{counted, is_or_are, local_time, short_time};
use crate::host::{clock, modes};
use crate::store::{self, Store, Waiting};

/// Reads the record as it is now.
pub(super) fn opened(patient: &Patient<'_>) -> Result<Option<Store>, Vec<Outcome>> {
    patient.context.read().map_err(|error| vec![of_error(error)])
}

/// An alert is out within seconds, and tried again each minute.
const LONG: TimeDelta = TimeDelta::minutes(10);

pub(super) fn outbox(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let waiting = match opened(patient) {
        Ok(Some(store)) => store.with(store::waiting),
        Ok(None) => return Vec::new(),
        Err(found) => return found,
    };
    let waiting = match waiting {
        Ok(waiting) => waiting,
        Err(error) => return vec![of_error(error)],
    };
    let now = clock::system();
    let late: Vec<&Waiting> = waiting.iter().filter(|alert| is_late(alert, now)).collect();
    let Some(oldest) = late.first() else { return Vec::new() };
    let why = match &oldest.detail {
        Some(detail) => format!("the last try by {} met: {detail}", oldest.method),
        None => "nobody has tried to send it".to_owned(),
    };
    let (alerts, are) = (counted(late.len(), "alert"), is_or_are(late.len()));
    let text = format!("{alerts} {are} not sent, the oldest since {}: {why}", local_time(oldest.at));
    let hint = match oldest.attempts {
        0 => format!("`{} status sysalert-dispatch.service` says why it does not run", patient.systemctl()),
        _ => {
            let sysalert = patient.sysalert();
            format!(
                "mend that; `{sysalert} outbox retry` sends all at once then; `{sysalert} outbox drop {}` gives the oldest up",
                oldest.id
            )
        }
    };
    vec![finding(text, hint)]
}

/// Whether it should be out by now: neither its hour, nor a limit, nor a silence holds it.
fn is_late(alert: &Waiting, now: DateTime<Utc>) -> bool {
    let is_held = alert.held.is_some() || (alert.attempts == 0 && alert.due.is_some_and(|due| due > now));
    !is_held && now - alert.at > LONG
}

pub(super) fn outages(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let Ok(Some(store)) = opened(patient) else { return Vec::new() };
    let outages = store.with(store::outages).unwrap_or_default();
    let is_known = |method: &str| patient.settings.as_ref().is_none_or(|settings| settings.method(method).is_some());
    let sysalert = patient.sysalert();
    let found = outages.into_iter().map(|outage| {
        let method = &outage.method;
        let what = format!("{method} has sent nothing since {}: {}", short_time(outage.since), outage.detail);
        if is_known(method) {
            return finding(what, format!("mend what it says, then `{sysalert} test {method}`"));
        }
        // it ends with what waits for it
        if outage.waiting == 0 {
            return Outcome::Note(format!("{method}, which sent nothing at last, is configured no more, and nothing waits for it"));
        }
        let hint = format!(
            "write [method.{method}] again; or `{sysalert} outbox list` shows what waits for it, and `{sysalert} outbox drop ID` gives \
             one up"
        );
        finding(format!("{what}. It is configured no more"), hint)
    });
    found.collect()
}

/// Where nothing fails dispatch notes once an hour how far the sweep has come.
const SWEPT: TimeDelta = TimeDelta::minutes(90);

pub(super) fn behind(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let Ok(Some(store)) = opened(patient) else { return Vec::new() };
    let now = clock::system();
    let mut found = Vec::new();
    let read = store.with(|db| Ok((store::swept(db)?, store::count_undecided(db)?, store::damage(db)?)));
    let (swept, undecided, damage) = match read {
        Ok(read) => read,
        Err(error) => return vec![of_error(error)],
    };
    if let Some(swept) = swept.filter(|swept| now - *swept > SWEPT) {
        found.push(finding(
            format!("failures without a handler were last looked for {}", local_time(swept)),
            format!(
                "sysalert-dispatch.timer starts that each minute: `{} status sysalert-dispatch.timer sysalert-dispatch.service`, and \
                 the journal of the latter",
                patient.systemctl()
            ),
        ));
    }
    let site = &patient.context.site;
    // their names alone: reading them puts aside what is none
    let spools = [site.state.as_path(), site.refuge()].map(|folder| modes::within(&folder.join(store::SPOOL)));
    let spooled = spools.iter().flatten().filter(|path| path.extension().is_some_and(|extension| extension == "json")).count();
    if spooled > 0 {
        let (events, are) = (counted(spooled, "recorded event"), is_or_are(spooled));
        found.push(finding(
            format!("{events} {are} not in the database, which could not take them, and nobody was told"),
            "dispatch takes them over as soon as it can: `df` and the journal of sysalert-dispatch.service tell what keeps it",
        ));
    }
    if undecided > 0 && patient.settings.is_none() {
        let (events, are) = (counted(undecided, "recorded event"), is_or_are(undecided));
        let text = format!("{events} {are} not decided, as the configuration is not valid, and nobody was told");
        found.push(finding(text, "mend the configuration: dispatch decides them within a minute"));
    }
    if let Some((path, damage)) = damage.map(|damage| (store.beside(&damage.file), damage)).filter(|(path, _)| path.exists()) {
        found.push(Outcome::Note(format!(
            "the database was damaged ({}) and replaced at {}: look at the disk, and remove {} when you need it no more",
            damage.what,
            local_time(damage.at),
            path.display()
        )));
    }
    found
}
