//! The text that Prometheus reads (its "text-based exposition format"). Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};

use crate::store::{Nothing, ProcessRecord, Sensed, Totals, UnitTotals};

const LAST_RUN: &str = "sysalert_last_run_timestamp_seconds";

/// A sample's labels, and its value.
type Sample<'a> = (Vec<(&'a str, &'a str)>, String);

/// All of it. `methods`: the configured ones, which are told also when nothing waits.
pub(super) fn text(totals: &Totals, methods: &[&str], version: &str, now: DateTime<Utc>) -> String {
    let mut text = String::new();
    let mut family = |name, kind, help, samples| write_family(&mut text, name, kind, help, samples);
    let one = |value: String| vec![(Vec::new(), value)];

    family("sysalert_build_info", "gauge", "The version of sysalert; always 1.", vec![(vec![("version", version)], "1".into())]);
    family(
        LAST_RUN,
        "gauge",
        "When sysalert last looked for failures and alerts to deliver, and came to the end.",
        one(seconds(now)),
    );
    if let Some(swept) = totals.swept {
        let help = "Up to when the journal was searched for failures that no handler told; noted each hour.";
        family("sysalert_swept_timestamp_seconds", "gauge", help, one(seconds(swept)));
    }
    let incidents = totals.incidents.iter().map(|(state, count)| (vec![("state", state.as_str())], count.to_string()));
    family("sysalert_incidents", "gauge", "Incidents that are not over.", incidents.collect());

    let help = "Silences that hold now.";
    family("sysalert_silences", "gauge", help, one(totals.silences.to_string()));

    let mut of_units = |name, kind, help, value: &dyn Fn(&UnitTotals) -> Option<String>| {
        // a schedule has no runs, nor has a process of the watchdog's
        let units = totals.units.iter().filter(|unit| !unit.subject.is_schedule() && !unit.subject.is_watchdogs());
        let samples = units.filter_map(|unit| {
            let labels = vec![("manager", unit.subject.manager()), ("unit", unit.subject.unit_name())];
            Some((labels, value(unit)?))
        });
        family(name, kind, help, samples.collect());
    };
    let help = "1 while the unit has an incident that is open or acknowledged.";
    of_units("sysalert_unit_failed", "gauge", help, &|unit| Some(u8::from(unit.failed).to_string()));
    let help = "Runs of the unit that failed, since it is on record.";
    of_units("sysalert_unit_failures_total", "counter", help, &|unit| Some(unit.failures.to_string()));
    let help = "When the last run of the unit that failed did so.";
    of_units("sysalert_unit_last_failure_timestamp_seconds", "gauge", help, &|unit| unit.last_failure.map(seconds));
    let help = "When a run of the unit last ended well, or the unit recovered.";
    of_units("sysalert_unit_last_success_timestamp_seconds", "gauge", help, &|unit| unit.last_success.map(seconds));

    let mut of_processes = |name, kind, help, value: &dyn Fn(&ProcessRecord) -> Option<String>| {
        let samples =
            totals.processes.iter().filter_map(|(name, record)| Some((vec![("process", name.as_str())], value(record)?)));
        family(name, kind, help, samples.collect());
    };
    let help = "Restarts by the watchdog that brought the process back.";
    of_processes("sysalert_process_restarts_total", "counter", help, &|process| Some(process.restarts.to_string()));
    let help = "Cycles of restarts by the watchdog that did not bring the process back.";
    of_processes("sysalert_process_restart_failures_total", "counter", help, &|process| Some(process.failures.to_string()));
    let help = "1 while the circuit breaker of the process is open, or lets one trial pass.";
    of_processes("sysalert_process_breaker_open", "gauge", help, &|process| Some(u8::from(process.opened.is_some()).to_string()));
    let help = "When the watchdog last brought the process back.";
    of_processes("sysalert_process_last_restart_timestamp_seconds", "gauge", help, &|process| process.restarted.map(seconds));

    let deliveries = totals.deliveries.iter().map(|(method, status, count)| {
        let labels = vec![("method", method.as_str()), ("status", status.as_str())];
        (labels, count.to_string())
    });
    let help = "Tries to deliver an alert, by how they ended; merged: told with its recovery, expired: given up.";
    family("sysalert_deliveries_total", "counter", help, deliveries.collect());

    let mut waiting: BTreeMap<&str, u64> = methods.iter().map(|method| (*method, 0)).collect();
    waiting.extend(totals.outbox.iter().map(|queue| (queue.method.as_str(), queue.alerts)));
    let waiting = waiting.into_iter().map(|(method, alerts)| (vec![("method", method)], alerts.to_string()));
    family("sysalert_outbox_alerts", "gauge", "Alerts that wait to be delivered.", waiting.collect());
    let oldest = totals.outbox.iter().map(|queue| (vec![("method", queue.method.as_str())], seconds(queue.oldest)));
    let help = "When the oldest alert that waits was decided; absent where none waits.";
    family("sysalert_outbox_oldest_timestamp_seconds", "gauge", help, oldest.collect());
    let mut failing: BTreeMap<&str, u8> = methods.iter().map(|method| (*method, 0)).collect();
    failing.extend(totals.failing.iter().map(|method| (method.as_str(), 1)));
    let failing = failing.into_iter().map(|(method, is)| (vec![("method", method)], is.to_string()));
    family("sysalert_method_failing", "gauge", "1 while the method has sent nothing since a try failed.", failing.collect());
    sensors(&mut family, totals);
    text
}

/// So many values of sensors are told; who measures more has a mistake in the configuration.
const MOST_VALUES: usize = 2000;

/// What takes the samples of one metric.
type Family<'f, 'a> = &'f mut dyn FnMut(&'static str, &'static str, &'static str, Vec<Sample<'a>>);

/// What the sensors saw last, and which of their rules fail.
fn sensors<'a>(family: Family<'_, 'a>, totals: &'a Totals) {
    let values = totals.sensors.iter().flat_map(|sensed| {
        let all =
            sensed.seen.readings.iter().flat_map(|(of, metrics)| metrics.iter().map(move |(metric, value)| (of, metric, value)));
        all.map(|(of, metric, value)| {
            let unit = sensed.seen.units.get(metric).map_or("number", |unit| unit.name());
            let name = sensed.name.as_str();
            let labels = vec![("sensor", name), ("instance", of.as_str()), ("metric", metric.as_str()), ("unit", unit)];
            // three hundred digits are as many bytes
            (labels, if value.abs() < 1e18 { value.to_string() } else { format!("{value:e}") })
        })
    });
    let help = "What a sensor measured last, by its own names.";
    family("sysalert_sensor_value", "gauge", help, values.take(MOST_VALUES).collect());
    let of = |sensed: &'a Sensed, value: String| (vec![("sensor", sensed.name.as_str())], value);
    let success = totals.sensors.iter().filter_map(|sensed| match sensed.seen.nothing {
        Some(Nothing::NoData(_)) => None,
        Some(Nothing::Error(_)) => Some(of(sensed, "0".to_owned())),
        None => Some(of(sensed, "1".to_owned())),
    });
    let help = "1: the sensor measured; 0: it failed; absent where there is nothing to measure.";
    family("sysalert_sensor_success", "gauge", help, success.collect());
    let runs = totals.sensors.iter().map(|sensed| of(sensed, seconds(sensed.at)));
    family("sysalert_sensor_last_run_timestamp_seconds", "gauge", "When the sensor last ran.", runs.collect());
    let failed = totals.streaks.iter().filter_map(|streak| {
        let labels =
            vec![("sensor", streak.sensor.as_str()), ("instance", streak.instance.as_str()), ("rule", streak.rule.as_str())];
        streak.standing.map(|severity| {
            let labels = labels.into_iter().chain([("severity", severity.as_str())]).collect();
            (labels, "1".to_owned())
        })
    });
    family("sysalert_sensor_rule_failed", "gauge", "1 while the rule is violated and not cleared.", failed.collect());
}

/// Whether the old text says the same, but for the time of the run, and not longer ago than this.
pub(super) fn is_fresh(old: &str, new: &str, now: DateTime<Utc>, pace: TimeDelta) -> bool {
    let others = |text| str::lines(text).filter(|line| !line.starts_with(LAST_RUN));
    let time = old.lines().find_map(|line| line.strip_prefix(LAST_RUN)?.trim().parse::<i64>().ok());
    // in the future: the clock was set back
    let is_young = time.is_some_and(|time| (0..pace.num_seconds()).contains(&(now.timestamp() - time)));
    is_young && others(old).eq(others(new))
}

/// The samples of one metric, with what they are; nothing where there is none.
fn write_family(text: &mut String, name: &str, kind: &str, help: &str, samples: Vec<Sample<'_>>) {
    if samples.is_empty() {
        return;
    }
    let mut shown = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (labels, value) in samples {
        let labels: Vec<String> = labels.into_iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        shown += &format!("{name}{labels} {value}\n");
    }
    // a String takes everything
    let _ = text.write_str(&shown);
}

/// A label's value: the three characters that it may not have as they are.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Since 1970.
fn seconds(time: DateTime<Utc>) -> String {
    time.timestamp().to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Subject, Unit};
    use crate::incident::{Severity, State};
    use crate::store::{Queue, Seen, Streak};

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_600_000 + second, 500_000_000).unwrap()
    }

    fn unit(subject: &str, failures: u64, last_failure: Option<i64>, last_success: Option<i64>) -> UnitTotals {
        UnitTotals {
            subject: Subject::stored(subject.to_owned()),
            failed: failures == 2,
            failures,
            last_failure: last_failure.map(at),
            last_success: last_success.map(at),
        }
    }

    fn sensed(name: &str, nothing: Option<Nothing>, values: &[(&str, &str, f64)]) -> Sensed {
        let mut seen = Seen { nothing, ..Seen::default() };
        for (of, metric, value) in values {
            seen.readings.entry((*of).into()).or_default().insert((*metric).into(), *value);
            let unit = if metric.ends_with("percent") { Unit::Percent } else { Unit::Bytes };
            seen.units.insert((*metric).into(), unit);
        }
        Sensed { name: name.into(), at: at(30), boot: String::new(), kept: serde_json::Value::Null, seen }
    }

    fn streak(rule: &str, standing: Option<Severity>) -> Streak {
        let (sensor, instance, rule) = ("storage".into(), "/var".into(), rule.into());
        Streak { sensor, instance, rule, times: 1, since: at(0), seen: at(0), standing }
    }

    fn totals() -> Totals {
        Totals {
            incidents: vec![(State::Pending, 0), (State::Open, 1), (State::Acknowledged, 0)],
            units: vec![
                // no unit: its own is there
                unit("schedule:backup.service", 2, Some(60), None),
                unit("unit:alice/bot.service", 1, Some(10), Some(20)),
                unit("unit:backup.service", 2, Some(60), None),
                unit("unit:dev-disk-by\\x2dlabel-a.mount", 0, None, Some(70)),
            ],
            deliveries: vec![
                ("mail".into(), "retry".into(), 3),
                ("mail".into(), "sent".into(), 1),
                ("old".into(), "sent".into(), 9),
            ],
            outbox: vec![Queue { method: "mail".into(), alerts: 2, oldest: at(50) }],
            failing: vec!["mail".into()],
            processes: BTreeMap::from([(
                "billing".to_owned(),
                ProcessRecord {
                    restarts: 4,
                    failures: 3,
                    opened: Some(at(90)),
                    restarted: Some(at(30)),
                    ..ProcessRecord::default()
                },
            )]),
            swept: Some(at(-1000)),
            sensors: vec![
                sensed("cpu", Some(Nothing::Error("x".into())), &[]),
                sensed("pressure", Some(Nothing::NoData("x".into())), &[]),
                sensed("storage", None, &[("/a \"b\"", "bytes_free", 5e15), ("/a \"b\"", "bytes_used_percent", 91.25)]),
            ],
            streaks: vec![streak("low_disk", Some(Severity::Warning)), streak("low_inodes", None)],
            silences: 1,
        }
    }

    #[test]
    fn the_text() {
        let text = text(&totals(), &["mail", "phone"], "1.2.3 (abc)", at(100));
        assert_eq!(text, include_str!("snapshot.prom"), "what it is now:\n{text}");
    }

    #[test]
    fn where_nothing_was_recorded_no_metric_is_empty() {
        let text = text(&Totals::default(), &[], "1", at(0));
        let names: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected =
            ["sysalert_build_info{version=\"1\"} 1", "sysalert_last_run_timestamp_seconds 1767600000", "sysalert_silences 0"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_text_is_fresh_until_something_else_is_new_or_some_minutes_are_over() {
        let at_time = |totals: &Totals, second| text(totals, &["mail"], "1", at(second));
        let (old, pace) = (at_time(&totals(), 0), TimeDelta::minutes(5));
        let mut other = totals();
        other.units[2].failures += 1;
        for (totals, second, expected) in
            [(totals(), 0, true), (totals(), 299, true), (totals(), 300, false), (totals(), -1, false), (other, 60, false)]
        {
            assert_eq!(is_fresh(&old, &at_time(&totals, second), at(second), pace), expected, "{second}");
        }
        let cut = &old[..old.len() / 2];
        assert!(!is_fresh(cut, &old, at(0), pace) && !is_fresh("", &old, at(0), pace));
    }

    /// A label's value as Prometheus reads it.
    fn read(escaped: &str) -> String {
        let mut value = String::new();
        let mut rest = escaped.chars();
        while let Some(c) = rest.next() {
            assert!(c != '"' && c != '\n', "the label ends too early: {escaped:?}");
            value.push(match c {
                '\\' => match rest.next() {
                    Some('n') => '\n',
                    Some(c @ ('\\' | '"')) => c,
                    other => panic!("\\{other:?} is no escape: {escaped:?}"),
                },
                c => c,
            });
        }
        value
    }

    proptest! {
        #[test]
        fn whatever_a_unit_is_called_it_stays_in_its_label(name in "([\\\\\"\n}{, =#n]|\\PC){0,20}") {
            prop_assert_eq!(read(&escaped(&name)), name);
        }
    }
}
