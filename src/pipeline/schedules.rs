//! Whether timers start what they should, and units succeed as often as they should: asked of the manager and the journal, and
//! where that changes it is an event.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::decide;
use crate::error::{Error, Result};
use crate::event::{Event, Lapse, Manager, Outcome, Problem, Subject, UnitName};
use crate::host::Site;
use crate::host::manager::{Asked, Job, Schedules, Timer};
use crate::host::world::Poll;
use crate::settings::Settings;
use crate::store::{self, Recorded, Schedule, Store};
use crate::trigger::runs;
use crate::trigger::schedule::{self, Judgement, Now, Seen};

/// Whether a timer is watched whatever it starts.
type IsListed<'a> = &'a dyn Fn(&str) -> bool;

/// At first sight the journal is asked for the last success, so far back: of a job that runs once a month it knows it.
const BACK: TimeDelta = TimeDelta::days(40);
/// What is stamped later than now by more than this was stamped by a clock that was ahead.
const AHEAD: TimeDelta = TimeDelta::seconds(60);
/// A message may come into the journal a moment after its stamp, and a run begin a moment before its main process.
const SLACK: TimeDelta = TimeDelta::seconds(2);

/// A success is noted when the one on record is older than this part of the time in which one is expected: a job of each minute
/// must not cost a commit each minute.
const PART: u32 = 4;

/// What a look brought.
#[derive(Debug, Default)]
pub struct Looked {
    /// Somebody is to hear of something.
    pub queued: bool,
    /// What was looked at, with what is wrong with it.
    pub schedules: Vec<(Subject, Option<Lapse>)>,
}

/// Looks at all of them.
///
/// # Errors
/// `Failure`, when the manager or the database does not answer.
pub fn schedules(site: &Site, store: &mut Store, settings: &Settings, world: &dyn Poll, now: DateTime<Utc>) -> Result<Looked> {
    let (known, noted, mut absences) = store.with(|db| Ok((store::schedules(db)?, store::pulse(db)?, store::absences(db)?)))?;
    let pulse = world.pulse(now);
    let (beats, absence) = schedule::pulse(noted.as_ref(), &pulse);
    absences.extend(absence);
    let of_manager = |unit: &str| match &site.manager {
        Manager::System => unit.to_owned(),
        Manager::User(user) => format!("{user}/{unit}"),
    };
    let of_ours = |name: &str| match (&site.manager, name.split_once('/')) {
        (Manager::System, None) => Some(name.to_owned()),
        (Manager::User(user), Some((whose, unit))) => (whose == user || whose == "*").then(|| unit.to_owned()),
        _ => None,
    };
    let listed = |unit: &str| settings.services.units.iter().any(|listed| listed.covers(&site.manager, unit));
    let asked = Asked {
        known: &known.iter().filter_map(|row| of_ours(row.subject.name())).collect::<Vec<_>>(),
        jobs: &settings.expecting().iter().filter_map(|name| of_ours(name)).collect::<Vec<_>>(),
        is_listed: &listed,
        is_job: &|unit| settings.rules(&of_manager(unit)).expect_success.is_some(),
    };
    let found = world.schedules(&asked).ok_or_else(|| {
        Error::failure("the service manager does not answer").hint("systemctl status dbus.service; the next check tries it again")
    })?;
    let at = Now { now, booted: pulse.begun(), absences: &absences };
    let mut looking = Looking {
        site,
        store,
        world,
        known: known.into_iter().map(|row| (row.subject.clone(), row)).collect(),
        at,
        findings: Vec::new(),
    };
    looking.timers(&found, &listed)?;
    looking.broken(&found)?;
    looking.jobs(&found, settings)?;
    let findings = looking.rest()?;
    let shown =
        |finding: &Finding| (!matches!(finding.row, Row::Forget)).then(|| (finding.subject.clone(), finding.lapse.clone()));
    let schedules = findings.iter().filter_map(shown).collect();
    if !beats && findings.iter().all(Finding::is_nothing) {
        return Ok(Looked { queued: false, schedules });
    }
    let queued = store.write(|db| {
        if beats {
            store::set_pulse(db, &pulse, absence)?;
        }
        for finding in &findings {
            match &finding.row {
                Row::Keep(row) => store::keep_schedule(db, row)?,
                Row::Forget => {
                    store::forget_schedule(db, &finding.subject)?;
                    store::clear(db, &finding.subject, now).map(drop)?;
                }
                Row::AsBefore => {}
            }
            if let Some(event) = &finding.event {
                store::file(db, event)?;
            }
        }
        let mut undecided = store::undecided(db)?.into_iter().filter(|undecided| undecided.event.subject.is_schedule());
        undecided.try_fold(false, |told, undecided| decide(db, settings, &undecided, now).map(|speaks| speaks || told))
    })?;
    Ok(Looked { queued, schedules })
}

/// What is to be written about one of them.
struct Finding {
    subject: Subject,
    /// What is wrong with it.
    lapse: Option<Lapse>,
    row: Row,
    event: Option<Event>,
}

/// What becomes of what is on record about it.
enum Row {
    AsBefore,
    Keep(Schedule),
    Forget,
}

impl Finding {
    fn new(subject: Subject, row: Row, event: Option<Event>, judgement: Judgement) -> Finding {
        let lapse = if let Judgement::Lapsed(lapse) = judgement { Some(lapse) } else { None };
        Finding { subject, lapse, row, event }
    }

    fn is_nothing(&self) -> bool {
        matches!(self.row, Row::AsBefore) && self.event.is_none()
    }
}

struct Looking<'a> {
    site: &'a Site,
    store: &'a Store,
    world: &'a dyn Poll,
    /// What is on record and was not looked at yet.
    known: BTreeMap<Subject, Schedule>,
    at: Now<'a>,
    findings: Vec<Finding>,
}

impl Looking<'_> {
    fn timers(&mut self, found: &Schedules, listed: IsListed<'_>) -> Result<()> {
        for timer in &found.timers {
            let Some(subject) = self.subject(&timer.name) else { continue };
            let before = self.known.remove(&subject);
            let is_listed = listed(&timer.name);
            let is_unwatched = !timer.handled && timer.unit_load == "loaded" && timer.load != "masked";
            let is_gone = timer.load == "not-found" && timer.unit_load == "not-found";
            if !is_listed && (is_unwatched || is_gone) {
                if before.is_some() {
                    self.findings.push(Finding::new(subject, Row::Forget, None, Judgement::Well));
                }
                continue;
            }
            let last = self.last(&subject)?;
            let missed = last.as_ref().filter(|last| matches!(last.event.problem.lapse(), Some(Lapse::NotRun { .. })));
            let missed = missed.map(|last| last.event.at);
            let seen =
                before.as_ref().map(|row| Seen { since: row.since, active: row.active, enabled: row.enabled, due: row.due });
            let (judgement, after) = schedule::timer(timer, seen.as_ref(), missed, is_listed, self.at);
            let row = Schedule {
                subject: subject.clone(),
                since: after.since,
                active: after.active,
                enabled: after.enabled,
                due: after.due,
                success: None,
            };
            let event = self.event(&subject, &judgement, last.as_ref(), after.since);
            // a timer that nobody ever enabled has nothing to be remembered for
            let is_news = before.as_ref() != Some(&row) && (before.is_some() || row.active || row.enabled || is_listed);
            let row = if is_news { Row::Keep(row) } else { Row::AsBefore };
            self.findings.push(Finding::new(subject, row, event, judgement));
        }
        Ok(())
    }

    /// What does not load and is started by no timer: of others their timers tell.
    fn broken(&mut self, found: &Schedules) -> Result<()> {
        for broken in &found.broken {
            let is_at_work = |timer: &Timer| timer.file.starts_with("enabled") || timer.active == "active";
            let is_told = found.timers.iter().any(|timer| timer.unit == broken.name && is_at_work(timer));
            let Some(subject) = self.subject(&broken.name).filter(|_| !is_told) else { continue };
            let last = self.last(&subject)?;
            let judgement = Judgement::Lapsed(Lapse::NotLoaded(broken.load.clone()));
            let event = self.event(&subject, &judgement, last.as_ref(), self.at.now);
            self.known.remove(&subject);
            self.findings.push(Finding::new(subject, Row::AsBefore, event, judgement));
        }
        Ok(())
    }

    /// The services that should succeed: those of this manager, and of users' managers, which only the journal knows.
    fn jobs(&mut self, found: &Schedules, settings: &Settings) -> Result<()> {
        let own = found.jobs.iter().map(|job| (self.site.manager.clone(), job.clone()));
        let names = settings.expecting();
        let users = names.iter().filter_map(|name| name.split_once('/')).filter(|_| self.site.manager == Manager::System);
        let users = users.map(|(user, name)| (Manager::User(user.to_owned()), Job { name: name.to_owned(), ..Job::default() }));
        for (manager, job) in own.chain(users).collect::<Vec<_>>() {
            let Ok(name) = job.name.parse::<UnitName>() else { continue };
            let (subject, unit) = (Subject::schedule(&manager, &name), Subject::unit(&manager, &name));
            let is_done = self.findings.iter().any(|finding| finding.subject == subject);
            if let Some(expected) = settings.rules(subject.name()).expect_success.filter(|_| !is_done) {
                self.job(subject, &unit, &job, expected)?;
            }
        }
        Ok(())
    }

    fn job(&mut self, subject: Subject, unit: &Subject, job: &Job, expected: Duration) -> Result<()> {
        let now = self.at.now;
        let is_past = |at: &DateTime<Utc>| *at <= now + AHEAD;
        let before = self.known.remove(&subject);
        // what a clock that was ahead has stamped would hold for years: it begins anew
        let seen = before.as_ref().filter(|row| is_past(&row.since) && row.success.as_ref().is_none_or(is_past));
        let since = seen.map_or(now, |row| row.since);
        let recorded = seen.and_then(|row| row.success);
        let part = TimeDelta::from_std(expected / PART).unwrap_or(TimeDelta::MAX);
        let is_news = |at: DateTime<Utc>| recorded.is_none_or(|recorded| at - recorded >= part);
        let judge = |success| schedule::job(expected, success, since, self.at);

        let told = job.succeeded.filter(|at| is_past(at) && recorded.is_none_or(|recorded| *at > recorded));
        let told = told.filter(|at| is_news(*at) || judge(recorded) != Judgement::Well);
        let mut success = told.filter(|at| self.ended_itself(unit, job, *at)).or(recorded);
        if judge(success) != Judgement::Well || (seen.is_none() && success.is_none()) {
            // the manager forgets a job when it is over, and all of them at a boot
            success = success.max(self.last_success(unit, job, success.or(seen.map(|row| row.since)), expected));
        }
        let last = self.last(&subject)?;
        let judgement = match success {
            None if job.is_missing => Judgement::Lapsed(self.not_found(job, last.as_ref())),
            success => judge(success),
        };
        let event = self.event(&subject, &judgement, last.as_ref(), since);
        let success = success.filter(|at| is_news(*at)).or(recorded);
        let row = Schedule { subject: subject.clone(), since, active: false, enabled: false, due: None, success };
        let row = if before.as_ref() == Some(&row) { Row::AsBefore } else { Row::Keep(row) };
        self.findings.push(Finding::new(subject, row, event, judgement));
        Ok(())
    }

    /// That there is no such unit. Which one was meant is asked once: the manager goes through all its folders for it.
    fn not_found(&self, job: &Job, last: Option<&Recorded>) -> Lapse {
        let told = last.filter(|last| last.event.outcome == Outcome::Failed).and_then(|last| last.event.problem.lapse());
        told.filter(|told| matches!(told, Lapse::NotFound { .. }))
            .unwrap_or_else(|| Lapse::NotFound { meant: schedule::meant(&job.name, &self.world.unit_files()) })
    }

    /// Whether the run that the manager remembers as well ended then ended by itself: a job that is told to end, and does, did
    /// not do its work. That only the journal tells; where it knows nothing of the run, the manager's word stands.
    fn ended_itself(&self, unit: &Subject, job: &Job, ended: DateTime<Utc>) -> bool {
        let begun = job.begun.unwrap_or(ended) - SLACK;
        let Ok(messages) = self.world.messages(unit, begun) else { return true };
        let account = runs::account(unit.unit_name(), &messages.list);
        match job.run.as_ref().and_then(|run| account.run(run)) {
            Some(run) if run.ended_well.is_some() || !run.failures.is_empty() => run.succeeded().is_some(),
            _ => ended + SLACK <= self.at.now,
        }
    }

    /// When this unit last ended well, by the journal: after what is known, or as far back as may be needed.
    fn last_success(&self, unit: &Subject, job: &Job, known: Option<DateTime<Utc>>, expected: Duration) -> Option<DateTime<Utc>> {
        let now = self.at.now;
        if let Some(known) = known {
            return self.ended_well(unit, job, known);
        }
        // what is not overdue costs a short look
        let recent = TimeDelta::from_std(expected).unwrap_or(BACK).min(BACK);
        self.ended_well(unit, job, now - recent).or_else(|| self.ended_well(unit, job, now - BACK))
    }

    /// When the journal says that this unit last ended well since then.
    fn ended_well(&self, unit: &Subject, job: &Job, since: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let messages = self.world.messages(unit, since).ok()?;
        let account = runs::account(unit.unit_name(), &messages.list);
        // who killed a run by a signal that counts as a good end the journal does not say
        let was_killed =
            |run: &&runs::Run| job.succeeded.is_none() && job.ended.is_some() && job.run.as_ref() == Some(&run.invocation);
        let ended = account.runs.iter().filter(|run| !was_killed(run)).filter_map(runs::Run::succeeded);
        ended.filter(|at| *at <= self.at.now + AHEAD).max()
    }

    /// What is on record and was not found: nobody watches it any more, or it loads again.
    fn rest(mut self) -> Result<Vec<Finding>> {
        for subject in self.known.keys() {
            self.findings.push(Finding::new(subject.clone(), Row::Forget, None, Judgement::Well));
        }
        for subject in self.store.with(store::lapsed)? {
            let is_ours = subject.manager() == self.site.manager.to_string();
            if !is_ours || self.findings.iter().any(|finding| finding.subject == subject) {
                continue;
            }
            let last = self.last(&subject)?;
            let event = self.event(&subject, &Judgement::Well, last.as_ref(), self.at.now);
            self.findings.push(Finding::new(subject, Row::AsBefore, event, Judgement::Well));
        }
        Ok(self.findings)
    }

    fn subject(&self, name: &str) -> Option<Subject> {
        Some(Subject::schedule(&self.site.manager, &name.parse::<UnitName>().ok()?))
    }

    fn last(&self, subject: &Subject) -> Result<Option<Recorded>> {
        self.store.with(|db| store::last_of(db, subject))
    }

    /// What is news after the last event: that something is wrong, or wrong otherwise, or once more, or well again.
    fn event(&self, subject: &Subject, judgement: &Judgement, last: Option<&Recorded>, since: DateTime<Utc>) -> Option<Event> {
        let now = self.at.now;
        let failed = last.filter(|last| last.event.outcome == Outcome::Failed).map(|last| &last.event);
        let (outcome, run, problem) = match judgement {
            Judgement::Unsure => return None,
            Judgement::Well => {
                failed?;
                (Outcome::Succeeded, format!("well:{}", now.timestamp_micros()), Problem::success())
            }
            Judgement::Lapsed(lapse) => {
                let (problem, occurrence) = (lapse.problem(), schedule::occurrence(lapse, since, self.at));
                let is_told = failed.is_some_and(|failed| {
                    failed.problem.is_same(&problem) && occurrence.as_ref().is_none_or(|occurrence| *occurrence == failed.run)
                });
                if is_told {
                    return None;
                }
                (Outcome::Failed, occurrence.unwrap_or_else(|| format!("since:{}", now.timestamp_micros())), problem)
            }
        };
        Some(Event::found(subject, outcome, run, problem, now))
    }
}
