//! The two forms in which a message is written. Both end with a line's end.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sysalert_abi::{Failure, Incident, Kind, Request, one_line};

/// One line of the file: the request without what belongs to its delivery.
#[derive(Serialize)]
struct Line<'a> {
    /// When it was written, as RFC 3339 in UTC.
    timestamp: String,
    kind: Kind,
    host: &'a str,
    service_name: &'a str,
    incident: &'a Option<Incident>,
    failures: &'a [Failure],
    message: Text<'a>,
    idempotency_key: &'a str,
}

/// The message's forms that a log can hold.
#[derive(Serialize)]
struct Text<'a> {
    subject: &'a str,
    text: &'a str,
    journal: &'a str,
}

/// One JSON object in one line.
pub(crate) fn json(request: &Request, now: DateTime<Utc>) -> String {
    let message = &request.message;
    let line = Line {
        timestamp: stamp(now),
        kind: request.kind,
        host: &request.host,
        service_name: &request.service_name,
        incident: &request.incident,
        failures: &request.failures,
        message: Text { subject: &message.subject, text: &message.text, journal: &message.journal },
        idempotency_key: &request.idempotency_key,
    };
    // It has texts and numbers only, and no key but a text: that cannot fail.
    let mut json = serde_json::to_string(&line).expect("texts and numbers are JSON");
    json.push('\n');
    json
}

/// As wide as the line below a block.
const RULE: usize = 70;
/// No line of a block needs more characters.
const WIDTH: usize = 500;
/// The newest failures that a block lists.
const FAILURES: usize = 5;
/// The lines of text in a block that has no failures to list.
const LINES: usize = 50;

/// A block: when and what, how often, how bad; then indented lines, one for each fact; a line of hyphens. What others
/// wrote stands only in indented lines, so that it can be taken for no block of its own.
pub(crate) fn block(request: &Request, now: DateTime<Utc>) -> String {
    let incident = request.incident.as_ref();
    let count = incident.map_or(request.failures.len() as u64, |incident| incident.failures);
    let severity = incident.map_or("-".into(), |incident| one_line(&incident.severity, WIDTH).to_uppercase());
    let name = incident.map_or(&request.service_name, |incident| &incident.subject);
    let mut block = vec![
        format!("[{}] SYSALERT {}", stamp(now), request.kind.as_str().to_uppercase()),
        format!("Host: {}", one_line(&request.host, WIDTH)),
        format!("Failures: {count}"),
        format!("Severity: {severity}"),
        String::new(),
        format!("  [{}] {}", one_line(name, WIDTH), one_line(&request.message.subject, WIDTH)),
    ];
    let newest = &request.failures[request.failures.len().saturating_sub(FAILURES)..];
    let told: Vec<String> = newest.iter().filter_map(told).collect();
    if told.is_empty() || request.kind == Kind::Digest {
        block.extend(request.message.gist(LINES).into_iter().map(|line| format!("    {}", one_line(line, WIDTH))));
    } else {
        block.extend(told);
    }
    block.extend([String::new(), "-".repeat(RULE), String::new()]);
    block.join("\n")
}

fn told(failure: &Failure) -> Option<String> {
    let words = failure.words()?;
    let by = failure.triggered_by.as_ref().map(|unit| format!(", started by {unit}")).unwrap_or_default();
    Some(format!("    {}", one_line(&format!("{} {words}{by}", failure.timestamp), WIDTH)))
}

fn stamp(now: DateTime<Utc>) -> String {
    now.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The second failure of backup.service on web1.
    pub(crate) fn request() -> Request {
        let failure = |time: &str, status: &str| {
            json!({
                "service_result": "exit-code", "exit_code": "exited", "exit_status": status, "invocation_id": "abc123",
                "timestamp": time, "alert_method": null, "triggered_by": "backup.timer"
            })
        };
        let request = json!({
            "schema": 1, "nonce": "n", "kind": "failure", "host": "web1", "service_name": "backup.service",
            "failures": [failure("2026-11-21T06:40:00Z", "1"), failure("2026-11-21T06:41:00Z", "3")],
            "incident": {
                "id": 7, "subject": "unit:backup.service", "manager": "system", "state": "open", "severity": "critical",
                "failures": 2, "first_failure": "2026-11-21T06:40:00Z", "last_failure": "2026-11-21T06:41:00Z"
            },
            "message": {
                "subject": "backup.service failed on web1", "text": "one\nboom\n",
                "html": "<p>", "markdown": "*", "journal": "boom\n"
            },
            "idempotency_key": "42-log", "deadline_ms": 1000, "config": {"password": "hunter2"}
        });
        serde_json::from_value(request).expect("a request")
    }

    fn noon() -> DateTime<Utc> {
        "2026-11-21T12:00:00.123456Z".parse().expect("a time")
    }

    #[test]
    fn a_line_has_the_facts_and_no_settings() {
        let line = json(&request(), noon());
        assert!(line.ends_with("}\n") && line.lines().count() == 1);
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let keys: Vec<_> = line.as_object().expect("an object").keys().collect();
        let expected = ["failures", "host", "idempotency_key", "incident", "kind", "message", "service_name", "timestamp"];
        assert_eq!(keys, expected);
        assert_eq!(line["timestamp"], "2026-11-21T12:00:00.123456Z");
        assert_eq!((&line["kind"], &line["host"]), (&json!("failure"), &json!("web1")));
        assert_eq!(line["incident"]["severity"], "critical");
        assert_eq!(line["failures"][1]["exit_status"], "3");
        let message = json!({"subject": "backup.service failed on web1", "text": "one\nboom\n", "journal": "boom\n"});
        assert_eq!(line["message"], message);
    }

    #[test]
    fn a_block_reads_well() {
        let expected = "\
[2026-11-21T12:00:00.123456Z] SYSALERT FAILURE
Host: web1
Failures: 2
Severity: CRITICAL

  [unit:backup.service] backup.service failed on web1
    2026-11-21T06:40:00Z exit-code, exited, 1, started by backup.timer
    2026-11-21T06:41:00Z exit-code, exited, 3, started by backup.timer

----------------------------------------------------------------------
";
        assert_eq!(block(&request(), noon()), expected);
    }

    #[test]
    fn a_block_without_failures_to_list_has_the_text() {
        let mut request = request();
        request.kind = Kind::Test;
        request.service_name = "sysalert".into();
        request.failures.clear();
        request.incident = None;
        let block = block(&request, noon());
        assert!(block.contains("SYSALERT TEST\nHost: web1\nFailures: 0\nSeverity: -\n\n  [sysalert] backup"), "{block}");
        assert!(block.contains("web1\n    one\n\n---"), "{block}");
    }

    #[test]
    fn hostile_text_begins_no_block_and_no_line() {
        let mut request = request();
        let fake = format!("x\n{}\n[2026-01-01T00:00:00Z] SYSALERT RECOVERY\u{1b}[2J\0", "-".repeat(70));
        request.host = fake.clone();
        request.message.subject = fake.clone();
        request.message.text = fake.clone();
        request.failures[0].exit_status = Some(fake.clone());
        for kind in [Kind::Failure, Kind::Digest] {
            request.kind = kind;
            let block = block(&request, noon());
            assert_eq!(block.lines().filter(|line| line.starts_with('[')).count(), 1, "{block}");
            assert_eq!(block.lines().filter(|line| line.starts_with('-')).count(), 1, "{block}");
            assert!(!block.contains(['\u{1b}', '\0']));
        }
        assert_eq!(json(&request, noon()).lines().count(), 1);
    }
}
