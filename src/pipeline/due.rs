//! What time alone makes due: a silence that is over, a reminder, an escalation.

use chrono::{DateTime, Utc};

use super::{decide, route};
use crate::error::Result;
use crate::host::names;
use crate::policy::{self, Reason, Rules, Silence};
use crate::settings::Settings;
use crate::store::{self, Alert, Database, Standing, Store};
use sysalert_abi::Kind;

/// Queues what has become due; true when something has.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn due(store: &mut Store, settings: &Settings, now: DateTime<Utc>) -> Result<bool> {
    // a look first: an idle minute must not cost a commit
    if store.with(|db| all(db, settings, now))?.is_empty() {
        return Ok(false);
    }
    store.write(|db| {
        let due = all(db, settings, now)?;
        due.iter().try_for_each(|due| due.queue(db, settings, now))?;
        Ok(!due.is_empty())
    })
}

/// What is due for an incident.
struct Due {
    standing: Standing,
    what: What,
}

enum What {
    /// The silence is over that keeps this event from being told.
    SilenceEnds(i64),
    /// An alert, for these methods.
    Tell(Reason, Vec<String>),
}

fn all(db: &Database, settings: &Settings, now: DateTime<Utc>) -> store::Answer<Vec<Due>> {
    let standing = store::standing(db, now)?;
    let silences = if standing.is_empty() { Vec::new() } else { store::silences(db, now)? };
    let mut all = Vec::new();
    for standing in standing {
        let rules = settings.rules(standing.incident.subject.name());
        let silence = Silence::of(&silences, &standing.incident.subject, now);
        if let Some(what) = what(db, settings, &standing, &rules, silence, now)? {
            all.push(Due { standing, what });
        }
    }
    Ok(all)
}

fn what(
    db: &Database,
    settings: &Settings,
    standing: &Standing,
    rules: &Rules,
    silence: Option<&Silence>,
    now: DateTime<Utc>,
) -> store::Answer<Option<What>> {
    let Standing { incident, told, last_alert, alerts, escalated, silenced } = standing;
    if let (Some(event), None) = (silenced, silence) {
        return Ok(Some(What::SilenceEnds(*event)));
    }
    let standing = policy::Standing {
        incident,
        told: *told,
        last_alert: *last_alert,
        alerts: *alerts,
        escalated: *escalated,
        silence,
        rules,
        now,
    };
    let Some(reason) = policy::due(&standing) else { return Ok(None) };
    let names = if matches!(reason, Reason::Unacknowledged { .. }) { &rules.escalate_to } else { &rules.methods };
    let mut methods = route::to(settings, names, incident.severity, now);
    if !matches!(reason, Reason::Unacknowledged { .. }) {
        // whoever has not heard of it yet needs no reminder
        let waits = store::waits_for(db, incident.id)?;
        methods.retain(|method| !waits.contains(method));
    }
    Ok((!methods.is_empty()).then_some(What::Tell(reason, methods)))
}

impl Due {
    fn queue(&self, db: &Database, settings: &Settings, now: DateTime<Utc>) -> store::Answer<()> {
        let incident = &self.standing.incident;
        match &self.what {
            What::SilenceEnds(event) => {
                let Some(late) = store::end_silence(db, incident.id, *event)? else { return Ok(()) };
                let undecided = store::undecided(db)?.into_iter().filter(|undecided| undecided.id == *event);
                undecided.map(|undecided| decide(db, settings, &undecided, now)).collect::<store::Answer<Vec<bool>>>()?;
                store::set_held(db, *event, &late)
            }
            What::Tell(reason, methods) => {
                let Some(event) = store::how_it_stands(db, incident)? else { return Ok(()) };
                let alert = Alert { kind: Kind::Reminder, key: &names::nonce(), about: Some((incident.id, event)), at: now };
                let alert = store::queue(db, &alert, methods)?;
                store::set_reason(db, alert, reason)?;
                if matches!(reason, Reason::Unacknowledged { .. }) { store::set_escalated(db, incident.id, now) } else { Ok(()) }
            }
        }
    }
}
