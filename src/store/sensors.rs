//! What sensors keep from run to run, what they saw last, and how often in a row their rules were violated.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::time;
use crate::event::{CheckName, Subject, Unit};
use crate::incident::Severity;

/// A sensor after its last run.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensed {
    /// "storage", "command.mailq".
    pub name: String,
    /// When it ran.
    pub at: DateTime<Utc>,
    /// In which boot.
    pub boot: String,
    /// What it kept for the next run.
    pub kept: Value,
    /// What it saw.
    pub seen: Seen,
}

/// What a sensor saw.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Why there are no readings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing: Option<Nothing>,
    /// The values: by instance and metric.
    #[serde(default)]
    pub readings: BTreeMap<String, BTreeMap<String, f64>>,
    /// What they count, by metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, Unit>,
    /// The rules that were judged, each in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<String>,
    /// What of the rest could not be measured: the instance, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<(String, String)>,
    /// Words for people: the instance, and one line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<(String, String)>,
}

/// Why there are no readings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nothing {
    /// There is nothing to measure.
    NoData(String),
    /// It should have worked.
    Error(String),
}

/// How often in a row a rule was violated, of an instance. There is none while all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streak {
    /// The sensor's name, as above.
    pub sensor: String,
    /// The instance.
    pub instance: String,
    /// The rule's name.
    pub rule: String,
    /// So many times.
    pub times: u32,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it last had a value.
    pub seen: DateTime<Utc>,
    /// Set once it is a failure: how bad.
    pub standing: Option<Severity>,
}

/// All sensors.
pub fn sensors(db: &Connection) -> rusqlite::Result<Vec<Sensed>> {
    // what cannot be read any more begins anew
    let read = |json: String| serde_json::from_str(&json).unwrap_or_default();
    let row = |row: &Row<'_>| {
        let seen: String = row.get("seen")?;
        Ok(Sensed {
            name: row.get("name")?,
            at: time(row.get("at")?),
            boot: row.get("boot")?,
            kept: read(row.get("kept")?),
            seen: serde_json::from_str(&seen).unwrap_or_default(),
        })
    };
    db.prepare("SELECT * FROM sensors ORDER BY name")?.query_map([], row)?.collect()
}

/// What is known by now of what a rule looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum ByNow {
    /// Its value, and when it was measured.
    Value(f64, DateTime<Utc>),
    /// There is none any more: since when, and why.
    NoData(DateTime<Utc>, String),
}

/// What is known by now of the metric of a check; `None`: nothing.
pub fn by_now(db: &Connection, subject: &Subject, metric: &str) -> rusqlite::Result<Option<ByNow>> {
    let Some(name) = CheckName::of(subject) else { return Ok(None) };
    let Some(sensed) = sensors(db)?.into_iter().find(|sensed| sensed.name == name.watch) else { return Ok(None) };
    let instance = name.real_instance();
    if let Some(value) = sensed.seen.readings.get(&instance).and_then(|metrics| metrics.get(metric)) {
        return Ok(Some(ByNow::Value(*value, sensed.at)));
    }
    let Seen { nothing, missing, .. } = sensed.seen;
    let nothing = nothing.map(|(Nothing::NoData(why) | Nothing::Error(why))| why);
    let why = nothing.or_else(|| missing.into_iter().find_map(|(of, why)| (of == instance).then_some(why)));
    let its = |streak: &Streak| streak.sensor == name.watch && streak.instance == instance && streak.rule == name.rule;
    let since = streaks(db)?.into_iter().find(its).map_or(sensed.at, |streak| streak.seen);
    Ok(why.map(|why| ByNow::NoData(since, why)))
}

/// Keeps one as it is now.
pub fn keep_sensor(db: &Connection, sensed: &Sensed) -> rusqlite::Result<()> {
    let Sensed { name, at, boot, kept, seen } = sensed;
    let sql = "INSERT INTO sensors (name, at, boot, kept, seen) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (name) DO UPDATE SET at = ?2, boot = ?3, kept = ?4, seen = ?5";
    let seen = serde_json::to_string(seen).unwrap_or_default();
    db.execute(sql, params![name, at.timestamp_micros(), boot, kept.to_string(), seen]).map(drop)
}

/// It is not measured any more.
pub fn forget_sensor(db: &Connection, name: &str) -> rusqlite::Result<()> {
    db.execute("DELETE FROM sensors WHERE name = ?1", [name]).map(drop)
}

/// All streaks.
pub fn streaks(db: &Connection) -> rusqlite::Result<Vec<Streak>> {
    let row = |row: &Row<'_>| {
        let standing: Option<String> = row.get("standing")?;
        Ok(Streak {
            sensor: row.get("sensor")?,
            instance: row.get("instance")?,
            rule: row.get("rule")?,
            times: row.get("times")?,
            since: time(row.get("since")?),
            seen: time(row.get("seen")?),
            standing: standing.and_then(|word| Severity::parse(&word)),
        })
    };
    db.prepare("SELECT * FROM streaks ORDER BY sensor, instance, rule")?.query_map([], row)?.collect()
}

/// Keeps one as it is now.
pub fn keep_streak(db: &Connection, streak: &Streak) -> rusqlite::Result<()> {
    let sql = "INSERT INTO streaks (sensor, instance, rule, times, since, seen, standing) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (sensor, instance, rule) DO UPDATE SET times = ?4, since = ?5, seen = ?6, standing = ?7";
    let Streak { sensor, instance, rule, times, since, seen, standing } = streak;
    let standing = standing.map(Severity::as_str);
    let (since, seen) = (since.timestamp_micros(), seen.timestamp_micros());
    db.execute(sql, params![sensor, instance, rule, times, since, seen, standing]).map(drop)
}

/// All is well again.
pub fn end_streak(db: &Connection, sensor: &str, instance: &str, rule: &str) -> rusqlite::Result<()> {
    let sql = "DELETE FROM streaks WHERE sensor = ?1 AND instance = ?2 AND rule = ?3";
    db.execute(sql, [sensor, instance, rule]).map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::tests::{at, open};

    #[test]
    fn what_is_kept_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let seen = Seen {
            nothing: Some(Nothing::Error("x".into())),
            readings: BTreeMap::from([("/var".to_owned(), BTreeMap::from([("bytes_free".to_owned(), 5e15)]))]),
            units: BTreeMap::from([("bytes_free".to_owned(), Unit::Bytes)]),
            judged: vec!["low_disk *: bytes_used_percent gt 90".into()],
            missing: vec![("/nas".into(), "it does not answer".into())],
            details: vec![(String::new(), "a".into())],
        };
        let sensed = Sensed { name: "storage".into(), at: at(5), boot: "b".into(), kept: json!({"a": [1]}), seen };
        let streak = |times| Streak {
            sensor: "storage".into(),
            instance: "/var".into(),
            rule: "low_disk".into(),
            times,
            since: at(1),
            seen: at(2),
            standing: (times > 1).then_some(Severity::Critical),
        };
        for times in [1, 2] {
            let (sensed, streak) = (Sensed { at: at(i64::from(times)), ..sensed.clone() }, streak(times));
            store.write(|db| keep_sensor(db, &sensed).and_then(|()| keep_streak(db, &streak))).unwrap();
            assert_eq!(store.with(sensors).unwrap(), [sensed]);
            assert_eq!(store.with(streaks).unwrap(), [streak]);
        }
        store.write(|db| forget_sensor(db, "storage").and_then(|()| end_streak(db, "storage", "/var", "low_disk"))).unwrap();
        assert_eq!((store.with(sensors).unwrap(), store.with(streaks).unwrap()), (vec![], vec![]));
    }
}
