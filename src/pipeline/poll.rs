//! Polling: how units are found to be now becomes what their triggers would have told, and what no trigger tells.
//!
//! A unit that failed is an event like its trigger's, with the same key: the look at the journal settles both. What no trigger
//! tells is filed once, when it begins, and once more when it is over.

mod memory;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::sweep::grace;
use super::{Gathering, ReadSettings, Settled, settle};
use crate::error::{Error, Result};
use crate::event::{Event, Gone, Manager, Outcome, Problem, Subject};
use crate::host::Site;
use crate::host::manager::{Glance, Shown};
use crate::host::users::{Answer, Answered, Question};
use crate::host::world::Poll;
use crate::settings::{Listed, Settings};
use crate::store::{self, Store};
use crate::trigger::services::{self, Judgement, Patience, Round, Seen};
use memory::Memory;

/// So long a daemon must be active while nothing else is said.
const HOLD: TimeDelta = TimeDelta::seconds(10);

/// What polling found.
#[derive(Debug)]
pub struct Polled {
    /// The units, as they are now.
    pub seen: Vec<Seen>,
    /// The units of users, as far as their managers tell.
    pub users: Vec<OfUser>,
    /// True while the machine boots: nothing is said of them.
    pub in_grace: bool,
    /// What came of it.
    pub settled: Settled,
}

/// The units of one user.
#[derive(Debug)]
pub struct OfUser {
    /// Whose they are.
    pub user: String,
    /// How they are, or why that is not known.
    pub seen: std::result::Result<Vec<Seen>, Answer>,
}

impl OfUser {
    /// Those that are known.
    fn seen(&self) -> &[Seen] {
        self.seen.as_deref().unwrap_or_default()
    }
}

/// Looks at the units of `[services]`, and takes in how they are. `thorough`: somebody reads since when.
///
/// # Errors
/// `Config`, when the settings are broken; `Failure`, when the database or the service manager does not answer.
pub fn poll(
    site: &Site,
    store: &mut Store,
    world: &dyn Poll,
    now: DateTime<Utc>,
    thorough: bool,
    settings: ReadSettings<'_>,
) -> Result<Polled> {
    let known = settings()?;
    let gathering = Gathering { world, now, complete: None };
    let looking = Looking { site, world, now, thorough, known: &known, troubled: store.with(store::to_look_at)? };
    let mut memory = Memory::read(site, world.loaded(), now);
    let looked = looking.own(store, &mut memory);
    let in_grace = looked.is_some() && grace(world, Some(&known)).is_some_and(|grace| grace.holds(now));
    let judged = looked.as_deref().filter(|_| !in_grace).unwrap_or_default();
    let news = News { failures: failures(store, judged, now)?, over: Vec::new(), is_all: true };
    let mut settled = take_in(site, store, judged, news, gathering, &known, settings)?;
    // a user may keep one waiting: the system's own units come first
    let users = looking.users(store, &mut memory);
    if !in_grace {
        let judged: Vec<Seen> = users.iter().flat_map(OfUser::seen).cloned().collect();
        let news = News { failures: failures(store, &judged, now)?, over: looking.over(store, &users)?, is_all: false };
        settled = settled.and(take_in(site, store, &judged, news, gathering, &known, settings)?);
    }
    let seen = looked.ok_or_else(|| {
        Error::failure("the service manager does not answer").hint("`systemctl status` tells whether it is there")
    })?;
    Ok(Polled { seen, users, in_grace, settled })
}

/// What a look needs to know.
struct Looking<'a> {
    site: &'a Site,
    world: &'a dyn Poll,
    now: DateTime<Utc>,
    thorough: bool,
    known: &'a Settings,
    /// What is worth a closer look.
    troubled: Vec<Subject>,
}

impl Looking<'_> {
    /// How this manager's own units are; `None` when it does not answer.
    fn own(&self, store: &Store, memory: &mut Memory) -> Option<Vec<Seen>> {
        // a list names the units of its own manager without a user
        let Question { names, globs, .. } = self.question(&Manager::System, &self.site.manager);
        let asked = |unit: &str| self.thorough || self.is_troubled(&self.site.manager, unit);
        let rests = |unit: &str| memory.rests(unit);
        let shown = self.world.shown(Glance { names: &names, globs: &globs, asked: &asked, rests: &rests }).ok()?;
        memory.note(&shown);
        let mut seen = self.judge(store, &self.site.manager, self.world.booted(), shown);
        memory.hold(self.site, &self.site.manager, &mut seen, self.now);
        Some(seen)
    }

    /// How the units of users are, as far as their managers tell.
    fn users(&self, store: &Store, memory: &mut Memory) -> Vec<OfUser> {
        if self.site.manager != Manager::System {
            return Vec::new();
        }
        let listed = self.known.services.users().into_iter().map(str::to_owned);
        let troubled = self.troubled.iter().filter(|subject| subject.is_users()).map(|subject| subject.manager().to_owned());
        let users: BTreeSet<String> = listed.chain(troubled).collect();
        let managers = users.into_iter().map(Manager::User);
        let answers = self.world.shown_to_users(managers.map(|manager| self.question(&manager, &manager)).collect());
        let judged = answers.into_iter().map(|Answered { user, answer }| {
            let manager = Manager::User(user.clone());
            let Answer::Shown { begun, units: mut shown } = answer else { return OfUser { user, seen: Err(answer) } };
            // a user may speak of more than was asked
            shown.retain(|(unit, _)| self.known.services.covers(&format!("{user}/{}", unit.name)));
            let mut seen = self.judge(store, &manager, begun, shown);
            memory.hold(self.site, &manager, &mut seen, self.now);
            OfUser { user, seen: Ok(seen) }
        });
        judged.collect()
    }

    /// What is asked about the units that are listed so, of this manager.
    fn question(&self, listed: &Manager, manager: &Manager) -> Question {
        let mut question = Question { user: manager.to_string(), thorough: self.thorough, ..Question::default() };
        // timers are looked at as schedules
        let is_meant = |unit: &&Listed| unit.manager == *listed && !unit.pattern.ends_with(".timer");
        for unit in self.known.services.units.iter().filter(is_meant) {
            let list = if unit.is_glob() { &mut question.globs } else { &mut question.names };
            list.push(unit.pattern.clone());
        }
        let asked = self.troubled.iter().filter(|subject| subject.whose() == *manager && self.is_listed(subject));
        question.asked = asked.map(|subject| subject.unit_name().to_owned()).collect();
        // one that a glob stood for may be unloaded by now
        let again: Vec<String> = question.asked.iter().filter(|unit| !question.names.contains(unit)).cloned().collect();
        question.names.extend(again);
        question
    }

    fn judge(&self, store: &Store, manager: &Manager, begun: Option<DateTime<Utc>>, shown: Vec<Shown>) -> Vec<Seen> {
        let last = |subject: &Subject| store.with(|db| store::last_of(db, subject)).ok().flatten();
        let mistyped = |subject: &Subject| self.thorough || last(subject).is_none_or(|last| !last.event.problem.is_not_found());
        // of another's manager nobody asks what is installed
        let installed = || if *manager == self.site.manager { self.world.unit_files() } else { Vec::new() };
        let named = |subject: &Subject| {
            let mut covering = self.known.services.covering(self.name(subject)).peekable();
            covering.peek().is_none() || covering.any(|listed| !listed.is_glob())
        };
        let usual = Patience::Usual(self.known.services.stuck_after);
        let patience = |subject: &Subject| self.known.rules(subject.name()).stuck_after.map_or(usual, Patience::Own);
        let round =
            Round { now: self.now, begun, named: &named, mistyped: &mistyped, installed: &installed, patience: &patience };
        services::look(self.world, manager, shown, round)
    }

    /// What is over since there is nothing left that could be wrong.
    fn over(&self, store: &Store, users: &[OfUser]) -> Result<Vec<Event>> {
        let mut over = Vec::new();
        for subject in self.troubled.iter().filter(|subject| subject.is_users()) {
            let answer = users.iter().find(|user| user.user == subject.manager()).and_then(|user| user.seen.as_ref().err());
            let why = match answer {
                Some(Answer::NoUser) => Gone::User,
                Some(Answer::NoManager) => Gone::Manager,
                _ => continue,
            };
            let (last, incident) = store.with(|db| Ok((store::last_of(db, subject)?, store::active(db, subject)?)))?;
            // what failed is well again when its next run says so; what nobody sees any more is over
            let is_seen = last.is_some_and(|last| last.event.problem.is_polled());
            if incident.is_some() && (is_seen || why == Gone::User) {
                let run = format!("gone:{}", self.now.timestamp_micros());
                over.push(Event::found(subject, Outcome::Succeeded, run, Problem::gone(why), self.now));
            }
        }
        Ok(over)
    }

    fn is_troubled(&self, manager: &Manager, unit: &str) -> bool {
        self.troubled.iter().any(|subject| subject.unit_name() == unit && subject.whose() == *manager)
    }

    fn is_listed(&self, subject: &Subject) -> bool {
        self.known.services.covers(self.name(subject))
    }

    /// As a list of this manager has it.
    fn name<'s>(&self, subject: &'s Subject) -> &'s str {
        if subject.whose() == self.site.manager { subject.unit_name() } else { subject.name() }
    }
}

/// What is to be written.
struct News {
    /// What triggers would have told.
    failures: Vec<Event>,
    /// What is over.
    over: Vec<Event>,
    /// True when other news is looked for in any case.
    is_all: bool,
}

/// Takes in how these units are.
fn take_in(
    site: &Site,
    store: &mut Store,
    seen: &[Seen],
    News { failures, over, is_all }: News,
    gathering: Gathering<'_>,
    known: &Settings,
    settings: ReadSettings<'_>,
) -> Result<Settled> {
    let mut settled = Settled::default();
    if !failures.is_empty() {
        // as its trigger would: the journal tells more of it
        store.write(|db| failures.iter().try_for_each(|event| store::insert(db, event, false).map(drop)))?;
    }
    if is_all || !failures.is_empty() {
        settled = settle(site, store, None, gathering, settings)?;
    }
    let mut untold = over;
    for unit in seen {
        untold.extend(news_of(store, known, unit, gathering.now)?);
    }
    if untold.is_empty() {
        return Ok(settled);
    }
    store.write(|db| untold.iter().try_for_each(|event| store::insert(db, event, true).map(drop)))?;
    let more = settle(site, store, None, gathering, settings)?;
    Ok(Settled { changed: true, ..settled.and(more) })
}

/// What triggers would have told of these units, and is not on record.
fn failures(store: &Store, seen: &[Seen], now: DateTime<Utc>) -> Result<Vec<Event>> {
    let mut news = Vec::new();
    for event in seen.iter().filter_map(|unit| failure(unit, now)) {
        if !store.with(|db| store::run_failed(db, &event.subject, &event.run))? {
            news.push(event);
        }
    }
    Ok(news)
}

/// What the trigger of this unit's failure would have told.
fn failure(unit: &Seen, now: DateTime<Utc>) -> Option<Event> {
    let Judgement::Failed(problem) = &unit.judgement else { return None };
    let run = unit.run.clone()?;
    // perhaps long ago
    let at = unit.since.map_or(now, |since| since.min(now));
    Some(Event { invocation_id: Some(run.clone()), ..Event::found(&unit.subject, Outcome::Failed, run, problem.clone(), at) })
}

/// What no trigger tells of this unit, if it is news.
fn news_of(store: &Store, settings: &Settings, unit: &Seen, now: DateTime<Utc>) -> Result<Option<Event>> {
    let (last, incident) = store.with(|db| {
        let last = store::last_of(db, &unit.subject)?;
        let incident = store::active(db, &unit.subject)?;
        Ok((last, incident))
    })?;
    let of_poll = last.filter(|last| last.event.outcome == Outcome::Failed && last.event.problem.is_polled());
    let was = of_poll.as_ref().and_then(|last| last.event.problem.service_result.as_deref());
    Ok(match &unit.judgement {
        Judgement::Trouble(problem) => {
            let is_known = was == problem.service_result.as_deref();
            // what is not running because something failed is told as that
            let is_told = problem.is_not_running() && incident.is_some();
            // a run that hangs may end well yet: its success is another's
            let run = match &unit.run {
                Some(run) if problem.is_not_running() => run.clone(),
                _ => format!("{}:{}", problem.service_result.as_deref().unwrap_or_default(), now.timestamp_micros()),
            };
            let event = Event::found(&unit.subject, Outcome::Failed, run, problem.clone(), now);
            (!is_known && !is_told).then(|| Event { invocation_id: unit.run.clone(), ..event })
        }
        Judgement::Works | Judgement::Rests(_) if incident.is_some() => {
            let hold = settings.rules(unit.subject.name()).recovery_hold;
            let hold = TimeDelta::from_std(hold).unwrap_or(HOLD);
            let works = unit.judgement == Judgement::Works && unit.since.is_some_and(|since| now - since >= hold);
            let is_over = match was {
                Some("inactive" | "activating" | "reloading" | "refreshing") => works,
                // it exists, or has stopped: more was not wrong with it
                Some(_) => works || unit.judgement != Judgement::Works,
                // what failed is well again when its runs say so
                None => false,
            };
            let run = format!("well:{}", now.timestamp_micros());
            is_over.then(|| Event {
                invocation_id: unit.run.clone(),
                ..Event::found(&unit.subject, Outcome::Succeeded, run, Problem::success(), now)
            })
        }
        _ => None,
    })
}
