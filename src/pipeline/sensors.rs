//! Sensors: each that is due is measured once, its rules are judged, and what of that is news becomes an event. All of it is
//! one commit.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::decide;
use super::sweep::grace;
use crate::error::Result;
use crate::event::{Blind, Breach, Event, Outcome, Problem, Subject, Unit, local_time};
use crate::host::once::Once;
use crate::host::sensing::Sensing;
use crate::host::world::World;
use crate::incident::Severity;
use crate::settings::{BLIND, Settings, Watch};
use crate::store::{self, Nothing, Seen, Sensed, Store};
use crate::trigger::sensor::rule::{Judgement, Rule, for_instance};
use crate::trigger::sensor::streak::{News, Streak, follow};
use crate::trigger::sensor::{self, Before, Measured, Probe, Sensor};

/// What a run brought.
#[derive(Debug)]
pub struct Looked {
    /// The sensors, in the order of reports.
    pub sensors: Vec<Looking>,
    /// True while the machine boots: nothing is said of them.
    pub in_grace: bool,
    /// Somebody is to hear of something.
    pub queued: bool,
}

/// One sensor.
#[derive(Debug)]
pub struct Looking {
    /// The sensor.
    pub sensor: &'static Sensor,
    /// "storage", "command.mailq".
    pub name: String,
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// Set when that was in an earlier run: when it is due again.
    pub due: Option<DateTime<Utc>>,
    /// What it saw.
    pub seen: Seen,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// What they say, exactly as it was judged.
    pub results: Vec<Judged>,
}

/// What a rule says of an instance.
#[derive(Debug)]
pub struct Judged {
    /// The instance.
    pub instance: String,
    /// The rule.
    pub rule: Rule,
    /// The value; `None`: there was none.
    pub value: Option<f64>,
    /// What that means.
    pub judgement: Judgement,
    /// False: no run has judged it yet, since the rule is new, or the machine boots.
    pub is_judged: bool,
    /// So many violations in a row.
    pub streak: u32,
    /// Set while it is a failure: how bad.
    pub standing: Option<Severity>,
}

/// A sensor that fails so often in a row is a failure of its own.
const TIMES: u32 = 3;
/// A timer comes a moment sooner or later: what is due so soon is due now.
const SLACK: TimeDelta = TimeDelta::seconds(15);
/// A sensor that measures more than anybody can have is cut off here.
const MOST_INSTANCES: usize = 500;
const MOST_METRICS: usize = 110;
/// So much is kept of what is said beside the values, and of each sentence.
const MOST_DETAILS: usize = 20;
const LONGEST: usize = 300;

/// Measures what is due, and takes in what that means.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn sensors(
    store: &mut Store,
    settings: &Settings,
    world: &dyn World,
    machine: &dyn Sensing,
    now: DateTime<Utc>,
) -> Result<Looked> {
    let (known, streaks) = store.with(|db| Ok((store::sensors(db)?, store::streaks(db)?)))?;
    let in_grace = grace(world, Some(settings)).is_some_and(|grace| grace.holds(now));
    let times = known.iter().map(|sensed| (sensed.name.clone(), sensed.at)).collect();
    let machine = Once::new(machine);
    let mut run = Run { in_grace, now, times, writes: Vec::new() };
    let mut before: BTreeMap<String, Sensed> = known.into_iter().map(|sensed| (sensed.name.clone(), sensed)).collect();
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    for store::Streak { sensor, instance, rule, times, since, seen, standing } in streaks {
        let streak = Streak { times, since, seen, standing };
        counts.entry(sensor.clone()).or_default().insert((sensor, instance, rule), streak);
    }
    let mut sensors = Vec::new();
    for mut watch in settings.sensors().watches {
        let (last, counts) = (before.remove(&watch.full_name()), counts.remove(&watch.full_name()));
        sensors.push(run.look(&mut watch, &machine, last, counts.unwrap_or_default()));
    }
    // nobody watches these any more
    run.writes.extend(before.into_keys().map(Write::ForgetSensor));
    for ((sensor, instance, rule), streak) in counts.into_values().flatten() {
        run.forget(&sensor, &instance, &rule, streak.standing.is_some());
    }
    let queued = run.write(store, settings)?;
    Ok(Looked { sensors, in_grace, queued })
}

/// Measures all of them, due or not, after what is known of the last run; nothing is judged or written.
pub fn measure(known: Vec<Sensed>, settings: &Settings, machine: &dyn Sensing, now: DateTime<Utc>) -> Vec<Looking> {
    let machine = Once::new(machine);
    let look = |mut watch: Watch| {
        let name = watch.full_name();
        let last = known.iter().find(|sensed| sensed.name == name);
        let mut seen = seen(watch.sensor, measured(&watch, &machine, last, now));
        in_units(&mut watch, &mut seen);
        Looking { sensor: watch.sensor, name, at: now, due: None, seen, rules: watch.rules, results: Vec::new() }
    };
    settings.sensors().watches.into_iter().map(look).collect()
}

fn measured(watch: &Watch, machine: &dyn Sensing, last: Option<&Sensed>, now: DateTime<Utc>) -> Measured {
    let before = last.map(|last| Before { at: last.at, boot: &last.boot, kept: &last.kept });
    watch.with_values(|values| (watch.sensor.measure)(&Probe { machine, name: &watch.name, values, before, now }))
}

/// By sensor, instance and rule.
type Counts = BTreeMap<(String, String, String), Streak>;

/// What is to be written.
enum Write {
    Sensor(Sensed),
    ForgetSensor(String),
    Streak(store::Streak),
    EndStreak([String; 3]),
    Event(Box<Event>),
    Clear(Subject),
}

struct Run {
    in_grace: bool,
    now: DateTime<Utc>,
    /// When each sensor ran before.
    times: BTreeMap<String, DateTime<Utc>>,
    writes: Vec<Write>,
}

impl Run {
    /// Measures one sensor if it is due, and judges it; else it is shown as it was.
    fn look(&mut self, watch: &mut Watch, machine: &dyn Sensing, last: Option<Sensed>, counts: Counts) -> Looking {
        let name = watch.full_name();
        if let Some(last) = &last
            && let Some(due) = not_due(watch, last.at, self.now)
        {
            let (at, mut seen) = (last.at, last.seen.clone());
            in_units(watch, &mut seen);
            let results = shown(watch, &seen, &counts);
            return Looking { sensor: watch.sensor, name, at, due: Some(due), seen, rules: watch.rules.clone(), results };
        }
        let measured = measured(watch, machine, last.as_ref(), self.now);
        let kept = measured.keep.clone().or(last.map(|last| last.kept)).unwrap_or(Value::Null);
        let left_out = measured.left_out.clone();
        let mut seen = seen(watch.sensor, measured);
        in_units(watch, &mut seen);
        let results = if self.in_grace { shown(watch, &seen, &counts) } else { self.judge(watch, &mut seen, counts, &left_out) };
        let sensed = Sensed { name: name.clone(), at: self.now, boot: machine.boot(), kept, seen: seen.clone() };
        self.writes.push(Write::Sensor(sensed));
        Looking { sensor: watch.sensor, name, at: self.now, due: None, seen, rules: watch.rules.clone(), results }
    }

    fn judge(&mut self, watch: &Watch, seen: &mut Seen, mut counts: Counts, left_out: &[String]) -> Vec<Judged> {
        let name = watch.full_name();
        self.is_blind(watch, seen, counts.remove(&(name.clone(), String::new(), BLIND.to_owned())));
        counts.retain(|(sensor, instance, rule), streak| {
            let is_watched = !left_out.contains(instance);
            if !is_watched {
                self.forget(sensor, instance, rule, streak.standing.is_some());
            }
            is_watched
        });
        let gone = say_gone(watch, seen, &counts);
        seen.judged = watch.rules.iter().map(Rule::print).collect();
        let seen = &*seen;
        let mut results = Vec::new();
        for (instance, rule) in pairs(watch, seen, &counts) {
            let key = (name.clone(), instance.to_owned(), rule.name.clone());
            let before = counts.get(&key);
            let value = value_of(seen, instance, rule);
            let judgement = rule.judge(value);
            let is_missing = !gone.iter().any(|gone| gone == instance);
            let (after, news) = follow(before, rule, judgement, is_missing, self.now);
            self.keep(&key, before, after.as_ref());
            let judged = judged(instance, rule, value, judgement, after.as_ref(), true);
            self.tell(watch, seen, &judged, before, news);
            results.push(judged);
        }
        // rules that are not there any more
        for ((sensor, instance, rule), streak) in &counts {
            let is_judged = |one: &Judged| one.instance == *instance && one.rule.name == *rule;
            if !results.iter().any(is_judged) {
                self.forget(sensor, instance, rule, streak.standing.is_some());
            }
        }
        results
    }

    fn keep(&mut self, key: &(String, String, String), before: Option<&Streak>, after: Option<&Streak>) {
        let (sensor, instance, rule) = key.clone();
        match after {
            Some(after) if before != Some(after) => {
                let Streak { times, since, seen, standing } = after.clone();
                self.writes.push(Write::Streak(store::Streak { sensor, instance, rule, times, since, seen, standing }));
            }
            None if before.is_some() => self.writes.push(Write::EndStreak([sensor, instance, rule])),
            _ => {}
        }
    }

    fn tell(&mut self, watch: &Watch, seen: &Seen, judged: &Judged, before: Option<&Streak>, news: Option<News>) {
        let Judged { instance, rule, value, .. } = judged;
        let subject = Subject::sensor(&watch.full_name(), instance, &rule.name);
        let since = before.map(|before| local_time(before.seen)).unwrap_or_default();
        let of_instance = || seen.details.iter().filter(|(of, _)| of == instance).map(|(_, text)| text.clone());
        let breach = |critical: bool| Breach {
            metric: rule.metric.clone(),
            unit: rule.unit,
            op: rule.op,
            value: value.unwrap_or(rule.clear),
            limit: rule.critical.filter(|_| critical).unwrap_or(rule.value),
            clear: rule.clear,
            critical,
            severity: rule.severity(critical).as_str().to_owned(),
            none: None,
            details: of_instance().collect(),
            commands: watch.sensor.suggests.iter().map(|&command| command.to_owned()).collect(),
        };
        match news {
            Some(News::Failed { critical }) => self.file(&subject, Outcome::Failed, breach(critical).problem()),
            Some(News::Over) => {
                let metric = watch.sensor.metrics.iter().find(|metric| metric.name == rule.metric && *value == Some(0.0));
                let none = metric.and_then(|metric| metric.none).map(|none| format!("{none} since {since}"));
                self.file(&subject, Outcome::Succeeded, Breach { none, ..breach(false) }.recovery());
            }
            Some(News::Gone) => {
                // it was gone for so long that it will not come back
                let why = format!("{}; it was measured last {since}", gone_words(watch));
                self.file(&subject, Outcome::Succeeded, Problem::instance_gone(why));
            }
            None => {}
        }
    }

    /// A sensor that fails again and again has an incident of its own, until it measures or has nothing to measure.
    fn is_blind(&mut self, watch: &Watch, seen: &Seen, before: Option<Streak>) {
        let key = (watch.full_name(), String::new(), BLIND.to_owned());
        let subject = Subject::sensor(&watch.full_name(), "", BLIND);
        let Some(Nothing::Error(why)) = &seen.nothing else {
            if before.as_ref().is_some_and(|before| before.standing.is_some()) {
                self.file(&subject, Outcome::Succeeded, Problem::success());
            }
            return self.keep(&key, before.as_ref(), None);
        };
        let fresh = Streak { times: 0, since: self.now, seen: self.now, standing: None };
        let mut after = before.clone().unwrap_or(fresh);
        after.times = after.times.saturating_add(1);
        if after.times >= TIMES && after.standing.is_none() {
            after.standing = Some(Severity::Warning);
            self.file(&subject, Outcome::Failed, Blind { why: why.clone(), times: after.times }.problem());
        }
        self.keep(&key, before.as_ref(), Some(&after));
    }

    fn forget(&mut self, sensor: &str, instance: &str, rule: &str, stands: bool) {
        self.writes.push(Write::EndStreak([sensor, instance, rule].map(str::to_owned)));
        if stands {
            self.writes.push(Write::Clear(Subject::sensor(sensor, instance, rule)));
        }
    }

    fn file(&mut self, subject: &Subject, outcome: Outcome, problem: Problem) {
        let run = format!("{}:{}", outcome.as_str(), self.now.timestamp_micros());
        self.writes.push(Write::Event(Box::new(Event::found(subject, outcome, run, problem, self.now))));
    }

    /// One commit, with the verdicts; true when somebody is to hear of something.
    fn write(self, store: &mut Store, settings: &Settings) -> Result<bool> {
        if self.writes.is_empty() {
            return Ok(false);
        }
        store.write(|db| {
            if store::sensors(db)?.into_iter().map(|sensed| (sensed.name, sensed.at)).collect::<BTreeMap<_, _>>() != self.times {
                // another run measured meanwhile, and has told what there was to tell
                return Ok(false);
            }
            for write in &self.writes {
                match write {
                    Write::Sensor(sensed) => store::keep_sensor(db, sensed)?,
                    Write::ForgetSensor(name) => store::forget_sensor(db, name)?,
                    Write::Streak(streak) => store::keep_streak(db, streak)?,
                    Write::EndStreak([sensor, instance, rule]) => store::end_streak(db, sensor, instance, rule)?,
                    Write::Event(event) => store::file(db, event)?,
                    Write::Clear(subject) => store::clear(db, subject, self.now).map(drop)?,
                }
            }
            let undecided = store::undecided(db)?.into_iter().filter(|undecided| undecided.event.subject.is_sensor());
            let mut queued = false;
            for undecided in undecided {
                queued |= decide(db, settings, &undecided, self.now)?;
            }
            Ok(queued)
        })
    }
}

/// When it is due, unless that is now. What ran later than now did so before the clock was set back.
fn not_due(watch: &Watch, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let due = last + TimeDelta::from_std(watch.every).ok()?;
    (last <= now && now + SLACK < due).then_some(due)
}

/// What has a streak and is not there any more: a sensor that measured says of all else why it has no value. It is said.
fn say_gone(watch: &Watch, seen: &mut Seen, counts: &Counts) -> Vec<String> {
    // of a sensor that saw nothing, nothing is gone
    if seen.nothing.is_some() || watch.sensor.instance.is_none() {
        return Vec::new();
    }
    let is_known = |of: &str| seen.readings.contains_key(of) || seen.missing.iter().any(|(missing, _)| missing == of);
    let mut gone: Vec<String> =
        counts.keys().map(|(_, instance, _)| instance.clone()).filter(|instance| !is_known(instance)).collect();
    gone.dedup();
    seen.missing.extend(gone.iter().map(|instance| (instance.clone(), gone_words(watch).to_owned())));
    gone
}

fn gone_words(watch: &Watch) -> &'static str {
    watch.sensor.instance.as_ref().map_or("it is not there any more", |instances| instances.gone)
}

/// Lets the rules count in the units of what was measured, and says which of them cannot.
fn in_units(watch: &mut Watch, seen: &mut Seen) {
    watch.count_in(&seen.units);
    for rule in &watch.rules {
        if let Some(unit) = seen.units.get(&rule.metric).filter(|unit| **unit != rule.unit) {
            let words = |unit: Unit| if unit == Unit::Number { "plain numbers" } else { unit.name() };
            let (rule, metric, own, unit) = (&rule.name, &rule.metric, words(rule.unit), words(*unit));
            let why = (String::new(), format!("the rule {rule} is written in {own}, and {metric} is measured in {unit}"));
            if !seen.missing.contains(&why) {
                seen.missing.push(why);
            }
        }
    }
}

/// The value that a rule is about; none, where it is written in another unit.
fn value_of(seen: &Seen, instance: &str, rule: &Rule) -> Option<f64> {
    let value = seen.readings.get(instance)?.get(&rule.metric).copied();
    value.filter(|_| seen.units.get(&rule.metric).is_none_or(|unit| *unit == rule.unit))
}

/// The instances that were seen, or should have been, or have a streak; each with its rules.
fn pairs<'a>(watch: &'a Watch, seen: &'a Seen, counts: &'a Counts) -> Vec<(&'a str, &'a Rule)> {
    let mut instances: BTreeSet<&str> = seen.readings.keys().map(String::as_str).collect();
    instances.extend(seen.missing.iter().map(|(instance, _)| instance.as_str()));
    instances.extend(counts.keys().map(|(_, instance, _)| instance.as_str()));
    instances
        .into_iter()
        .flat_map(|instance| for_instance(&watch.rules, instance).into_iter().map(move |rule| (instance, rule)))
        .collect()
}

/// What rules say without that anything follows from it: of a run that is over, or while the machine boots.
fn shown(watch: &Watch, seen: &Seen, counts: &Counts) -> Vec<Judged> {
    let judged = |(instance, rule): (&str, &Rule)| {
        let value = value_of(seen, instance, rule);
        let streak = counts.get(&(watch.full_name(), instance.to_owned(), rule.name.clone()));
        judged(instance, rule, value, rule.judge(value), streak, seen.judged.contains(&rule.print()))
    };
    pairs(watch, seen, counts).into_iter().map(judged).collect()
}

fn judged(
    instance: &str,
    rule: &Rule,
    value: Option<f64>,
    judgement: Judgement,
    streak: Option<&Streak>,
    is_judged: bool,
) -> Judged {
    let (times, standing) = streak.map_or((0, None), |streak| (streak.times, streak.standing));
    Judged { instance: instance.to_owned(), rule: rule.clone(), value, judgement, is_judged, streak: times, standing }
}

/// What was measured, as it is kept: finite, and no more than anybody can have.
fn seen(sensor: &Sensor, measured: Measured) -> Seen {
    let short = |text: String| text.chars().take(LONGEST).collect::<String>();
    let mut seen = Seen::default();
    match measured.outcome {
        sensor::Outcome::NoData(why) => seen.nothing = Some(Nothing::NoData(short(why))),
        sensor::Outcome::Error(why) => seen.nothing = Some(Nothing::Error(short(why))),
        sensor::Outcome::Readings(readings) => {
            for reading in readings.into_iter().filter(|reading| reading.value.is_finite()) {
                if seen.readings.len() >= MOST_INSTANCES && !seen.readings.contains_key(&reading.instance) {
                    continue;
                }
                let metrics = seen.readings.entry(reading.instance).or_default();
                if metrics.len() < MOST_METRICS {
                    let known = sensor.metrics.iter().find(|known| known.name == reading.metric).map(|known| known.unit);
                    let unit = known.or(reading.unit).unwrap_or(Unit::Number);
                    seen.units.insert(reading.metric.clone().into_owned(), unit);
                    metrics.insert(reading.metric.into_owned(), reading.value);
                }
            }
        }
    }
    let missing = measured.missing.into_iter().take(MOST_INSTANCES);
    seen.missing = missing.map(|missing| (missing.instance, short(missing.why))).collect();
    let details = measured.details.into_iter().take(MOST_DETAILS);
    seen.details = details.map(|detail| (detail.instance, short(detail.text))).collect();
    seen
}

#[cfg(test)]
mod broken;
