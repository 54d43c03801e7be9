//! Quiet hours, and the hours of a method: what is not to be told now waits, and comes as one message when they are over. What is
//! silenced before it is sent waits, too.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::host::names;
use crate::policy::{self, Filter, Hold, Reason, Silence};
use crate::settings::Settings;
use crate::store::{self, Database, Store, Untold};

/// What is to be noted.
#[derive(Default)]
struct Changes {
    /// Rows that wait from now on, or for longer.
    hold: Vec<(i64, Hold)>,
    /// Rows that the settings let go before their time.
    let_go: Vec<i64>,
    /// Rows that have waited, by method: each lot is one message.
    lots: BTreeMap<String, Vec<i64>>,
}

/// Notes at each alert that must wait until when and why, and makes one message of those that have waited.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn hold(store: &mut Store, settings: &Settings, now: DateTime<Utc>) -> Result<()> {
    let look = |db: &Database| Ok(changes(&store::untold(db, now)?, &store::silences(db, now)?, settings, now));
    // a look first: an idle minute must not cost a commit
    if store.with(look)?.is_some() {
        store.write(|db| look(db)?.map_or(Ok(()), |changes| changes.write(db, now)))?;
    }
    Ok(())
}

fn changes(untold: &[Untold], silences: &[Silence], settings: &Settings, now: DateTime<Utc>) -> Option<Changes> {
    let open = Filter::default();
    let mut changes = Changes::default();
    let mut held: BTreeSet<(i64, &str)> = BTreeSet::new();
    let mut waited: BTreeMap<&str, Vec<&Untold>> = BTreeMap::new();
    for one in untold {
        let rules = settings.rules(one.subject.name());
        let hold = policy::hold(
            &policy::Untold {
                kind: one.kind,
                severity: one.severity,
                behind: held.contains(&(one.incident, one.method.as_str())),
                silence: Silence::of(silences, &one.subject, now),
                rules: &rules,
                filter: settings.methods.get(&one.method).map_or(&open, |method| &method.filter),
                method: &one.method,
            },
            now,
        );
        if hold.is_some() {
            held.insert((one.incident, &one.method));
        }
        match (hold, one.held_until) {
            (Some(hold), until) if until != Some(hold.until) => changes.hold.push((one.id, hold)),
            (None, Some(until)) => {
                if until > now {
                    changes.let_go.push(one.id);
                }
                // what a silence held is told as what it keeps from being told: each by itself
                if !one.tried && !one.held.as_deref().is_some_and(Silence::was_held) {
                    waited.entry(&one.method).or_default().push(one);
                }
            }
            _ => {}
        }
    }
    for (method, lot) in waited {
        let incidents: BTreeSet<i64> = lot.iter().map(|one| one.incident).collect();
        if incidents.len() > 1 {
            changes.lots.insert(method.to_owned(), lot.iter().map(|one| one.id).collect());
        }
    }
    (!changes.hold.is_empty() || !changes.let_go.is_empty() || !changes.lots.is_empty()).then_some(changes)
}

impl Changes {
    fn write(&self, db: &Database, now: DateTime<Utc>) -> store::Answer<()> {
        for (id, Hold { until, why }) in &self.hold {
            store::hold_until(db, *id, *until, why)?;
        }
        self.let_go.iter().try_for_each(|id| store::hold_no_longer(db, *id, now))?;
        for (method, rows) in &self.lots {
            let digest = store::begin_digest(db, &names::nonce(), method, now)?;
            store::set_reason(db, digest, &Reason::Waited)?;
            store::bind_rows(db, digest, rows)?;
        }
        Ok(())
    }
}
