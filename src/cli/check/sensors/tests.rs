use super::*;
use crate::cli::check::metrics::{list, list_json};
use crate::event::{Op, Unit};
use crate::incident::Severity;
use crate::store::Seen;
use crate::trigger::sensor::SENSORS;
use crate::trigger::sensor::rule::Rule;

/// A disk that has been too full for three runs, and a mount that does not answer.
fn sensed() -> Sensed {
    let rule = Rule {
        name: "low_disk".into(),
        instances: "*".into(),
        metric: "bytes_used_percent".into(),
        unit: Unit::Percent,
        op: Op::Gt,
        value: 90.0,
        clear: 85.0,
        critical: Some(97.0),
        consecutive: 1,
        severity: Severity::Warning,
        enabled: true,
    };
    let judged = |instance: &str, value: Option<f64>, streak: u32, standing: Option<Severity>| {
        let judgement = rule.judge(value);
        Judged { instance: instance.into(), rule: rule.clone(), value, judgement, is_judged: true, streak, standing }
    };
    let seen = Seen {
        readings: [("/var".to_owned(), [("bytes_used_percent".to_owned(), 95.0)].into())].into(),
        units: [("bytes_used_percent".to_owned(), Unit::Percent)].into(),
        missing: vec![("/mnt/\u{1b}[31mx".into(), "it does not answer".into())],
        ..Seen::default()
    };
    let at = "2026-01-05T10:00:00Z".parse().unwrap();
    let storage = Looking {
        sensor: SENSORS.iter().find(|sensor| sensor.name == "storage").unwrap(),
        name: "storage".into(),
        at,
        due: None,
        seen,
        rules: vec![rule.clone()],
        results: vec![judged("/mnt/\u{1b}[31mx", None, 0, None), judged("/var", Some(95.0), 3, Some(Severity::Warning))],
    };
    Sensed { sensors: vec![storage], in_grace: false, queued: false }
}

#[test]
fn the_report_for_programs_has_linmons_structure() {
    let now = "2026-01-05T10:00:01Z".parse().unwrap();
    // 15 for the third run in a row, and 15 for half of the way from 90 % to 100 %
    let triage = json!({ "severity": "high", "score": 30, "factors": ["low_disk /var: repeated (streak=3)"] });
    let commands = [
        "df -h /var",
        "df -i /var",
        "du -xh --max-depth=1 /var 2>/dev/null | sort -h | tail -10",
        "sysalert explain check:storage:/var:low_disk",
    ];
    let anomaly = json!({
        "check": "check:storage:/var:low_disk",
        "rule_name": "low_disk", "instance": "/var", "metric": "bytes_used_percent", "unit": "%", "value": 95.0,
        "threshold": 90.0, "clear": 85.0, "critical": 97.0, "operator": "gt", "streak": 3, "consecutive_required": 1,
        "severity": "warning",
    });
    let with = |json: &Value, violated: bool, anomaly: bool| {
        let mut json = json.clone();
        json["judged"] = Value::Bool(true);
        (json["violated"], json["anomaly"]) = (Value::Bool(violated), Value::Bool(anomaly));
        json
    };
    let mut missing = anomaly.clone();
    missing["check"] = json!("check:storage:/mnt/\\u{1b}[31mx:low_disk");
    (missing["instance"], missing["value"], missing["streak"]) = (json!("/mnt/\u{1b}[31mx"), Value::Null, json!(0));
    let expected = json!({
        "timestamp": "2026-01-05T10:00:01.000000Z",
        "in_grace_after_boot": false,
        "overall": { "triage_score": triage, "anomaly_count": 1 },
        "monitors": { "storage": {
            "status": "ok",
            "why": null,
            "measured_at": "2026-01-05T10:00:00.000000Z",
            "due_at": null,
            "triage_score": triage,
            "metrics": { "/var": { "bytes_used_percent": 95.0 } },
            "units": { "bytes_used_percent": "%" },
            "missing": [{ "instance": "/mnt/\u{1b}[31mx", "why": "it does not answer" }],
            "details": [],
            "results": [with(&missing, false, false), with(&anomaly, true, true)],
            "anomalies": [anomaly],
            "suggested_commands": commands,
        } },
        "suggested_commands": commands,
    });
    assert_eq!(Value::Object(json(&sensed(), now)), expected);
}

#[test]
fn the_report_for_people_begins_with_linmons_block() {
    let text = text(&sensed(), "2026-01-05T10:00:01Z".parse().unwrap());
    let block = format!(
        "[2026-01-05T10:00:01.000000Z] SYSALERT ALERT\nAnomaly Count: 1\nSeverity: WARNING\nTriage: high, 30 of 100\n\n  \
         [low_disk /var] bytes_used_percent = 95.00 (gt 90.0) - Streak: 3\n\n{}\n",
        "-".repeat(70)
    );
    assert!(text.starts_with(&block), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains("it does not answer") && text.contains("    df -h /var\n"), "{text}");
    assert_eq!(worst(&sensed()), State::Warning);
}

#[test]
fn the_list_has_every_metric_with_its_rules_for_people_and_for_programs() {
    let sensors = sensed().sensors;
    let text = list(&sensors);
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["SENSOR", "OF", "METRIC", "VALUE", "UNIT", "RULES"]);
    assert_eq!(rows[1].join(" "), "storage /var bytes_used_percent 95.0 % % low_disk: gt 90 %, critical 97 %");
    assert_eq!(rows[2].join(" "), "storage bytes_total - bytes", "what could be measured");
    assert!(text.contains("it does not answer") && !text.contains('\u{1b}'), "{text}");

    let mut json = Value::Object(list_json(&sensors));
    let metrics = json["metrics"].take();
    let rule = json!({
        "rule_name": "low_disk", "operator": "gt", "threshold": 90.0, "clear": 85.0, "critical": 97.0,
        "consecutive_required": 1, "severity": "warning",
    });
    let metric = json!({
        "sensor": "storage", "instance": "/var", "metric": "bytes_used_percent", "unit": "%", "value": 95.0, "rules": [rule],
        "about": "of what anybody but root may take",
    });
    assert_eq!(metrics[0], metric);
    assert_eq!((&metrics[1]["metric"], &metrics[1]["value"]), (&json!("bytes_total"), &Value::Null));
    assert_eq!(metrics.as_array().unwrap().len(), sensors[0].sensor.metrics.len());
    let missing = json!([{ "instance": "/mnt/\u{1b}[31mx", "why": "it does not answer" }]);
    let storage = json!({ "status": "ok", "why": null, "missing": missing, "details": [] });
    assert_eq!(json, json!({ "sensors": { "storage": storage }, "metrics": null }));
}

#[test]
fn what_was_critical_stays_so_until_it_is_over_and_says_until_when() {
    let mut sensed = sensed();
    let mut row = |value: f64, standing: Severity| {
        let result = &mut sensed.sensors[0].results[1];
        (result.value, result.judgement, result.standing) = (Some(value), result.rule.judge(Some(value)), Some(standing));
        let text = text(&sensed, "2026-01-05T10:00:01Z".parse().unwrap());
        text.lines()
            .find(|line| line.starts_with("storage  /var"))
            .unwrap()
            .split_whitespace()
            .skip(3)
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (value, standing, expected) in [
        (98.0, Severity::Critical, "98.0 % gt 97 % low_disk 3 CRITICAL"),
        (95.0, Severity::Critical, "95.0 % gt 90 % low_disk 3 CRITICAL until 85 %"),
        (88.0, Severity::Critical, "88.0 % gt 90 % low_disk 3 CRITICAL until 85 %"),
        (95.0, Severity::Warning, "95.0 % gt 90 % low_disk 3 WARNING"),
        (88.0, Severity::Warning, "88.0 % gt 90 % low_disk 3 WARNING until 85 %"),
    ] {
        assert_eq!(row(value, standing), expected);
    }
}

#[test]
fn programs_are_told_apart_and_a_limit_in_another_unit_is_shown_in_that() {
    let mut sensed = sensed();
    let looking = &mut sensed.sensors[0];
    (looking.sensor, looking.name) = (SENSORS.iter().find(|sensor| sensor.name == "command").unwrap(), "command.mailq".into());
    let text = text(&sensed, "2026-01-05T10:00:01Z".parse().unwrap());
    assert!(text.contains("  [command.mailq low_disk /var] bytes_used_percent"), "{text}");
    let looking = &mut sensed.sensors[0];
    looking.rules[0].unit = Unit::Bytes;
    looking.rules[0].critical = None;
    looking.seen.units.insert("bytes_used_percent".into(), Unit::Seconds);
    let list = list(&sensed.sensors);
    assert!(list.contains("seconds") && list.contains("low_disk: gt 90 B"), "{list}");
}

#[test]
fn what_no_run_has_judged_yet_is_not_called_well() {
    let mut sensed = sensed();
    for result in &mut sensed.sensors[0].results {
        (result.is_judged, result.standing) = (false, None);
    }
    let now = "2026-01-05T10:00:01Z".parse().unwrap();
    let text = text(&sensed, now);
    assert!(text.contains("not judged yet") && !text.contains("OK"), "{text}");
    let result = &json(&sensed, now)["monitors"]["storage"]["results"][1];
    assert_eq!((&result["judged"], &result["violated"]), (&json!(false), &json!(false)));
}
