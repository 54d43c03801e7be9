//! What one look at the polled units leaves for the next: which of them need nothing, so that nobody asks about them again, and
//! since when others are due. It may get lost at any time: in a folder that is empty after each boot, and never synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::event::{Manager, Subject};
use crate::host::manager::Shown;
use crate::host::{Site, files, log};
use crate::trigger::services::{self, Judgement, Seen};

/// So long what rests is believed to rest: that its files changed is noticed at once, but for one that is loaded anew.
const BELIEVED: TimeDelta = TimeDelta::minutes(10);
/// So long a unit may be enabled before it is started, as timers are: installations do the one and then the other.
const HOLD: TimeDelta = TimeDelta::seconds(60);

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// When the manager had last read its unit files.
    loaded: Option<DateTime<Utc>>,
    /// When it was last looked at all of them.
    asked: Option<DateTime<Utc>>,
    /// The units that need nothing as long as their files stay as they are.
    rests: BTreeSet<String>,
    /// The units that are enabled and were never started, and since when that was seen.
    due: BTreeMap<Subject, DateTime<Utc>>,
}

impl Memory {
    /// What the last look left, as far as it holds; `loaded`: when the manager last read its unit files, if it tells.
    pub(super) fn read(site: &Site, loaded: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Memory {
        let text = files::to_replace(&path(site)).unwrap_or_default();
        let mut memory: Memory = serde_json::from_str(&text).unwrap_or_default();
        let is_fresh = memory.asked.is_some_and(|asked| asked <= now && now - asked < BELIEVED);
        if memory.loaded != loaded || loaded.is_none() || !is_fresh {
            memory.rests.clear();
            memory.asked = Some(now);
        }
        memory.loaded = loaded;
        memory
    }

    /// Whether this unit, which does nothing, needs nothing.
    pub(super) fn rests(&self, unit: &str) -> bool {
        self.rests.contains(unit)
    }

    /// Notes which of these units need nothing.
    pub(super) fn note(&mut self, shown: &[Shown]) {
        let still = |(unit, detail): &&Shown| match detail {
            Some(detail) => services::needs_nothing(unit, detail),
            None => unit.is_idle(),
        };
        self.rests = shown.iter().filter(still).map(|(unit, _)| unit.name.clone()).collect();
    }

    /// Lets what is due be started any moment, for a while. Where that cannot be remembered, it is told at once.
    pub(super) fn hold(&mut self, site: &Site, manager: &Manager, seen: &mut [Seen], now: DateTime<Utc>) {
        let before = self.clone();
        let is_due = |unit: &Seen| matches!(&unit.judgement, Judgement::Trouble(problem) if problem.was_never_started());
        self.due.retain(|subject, _| subject.whose() != *manager);
        for unit in seen.iter().filter(|unit| is_due(unit)) {
            let since = before.due.get(&unit.subject).copied().filter(|since| *since <= now).unwrap_or(now);
            self.due.insert(unit.subject.clone(), since);
        }
        if let Err(error) = self.keep(site) {
            log::warn(
                None,
                &format!("cannot write {}: {error}; each check asks more, and earlier, than it need", path(site).display()),
            );
            return;
        }
        for unit in seen.iter_mut().filter(|unit| is_due(unit)) {
            if self.due.get(&unit.subject).is_some_and(|since| now - *since < HOLD) {
                unit.judgement = Judgement::Moves("it is enabled, and may be started any moment");
            }
        }
    }

    fn keep(&self, site: &Site) -> io::Result<()> {
        let (path, text) = (path(site), serde_json::to_string(self)?);
        let before = files::to_replace(&path)?;
        let is_nothing = before.is_empty() && self.rests.is_empty() && self.due.is_empty();
        if is_nothing || before == text { Ok(()) } else { files::replace_public(&path, &text) }
    }
}

fn path(site: &Site) -> PathBuf {
    site.refuge().join("polled.json")
}
