//! Against a server that takes what Alertmanager takes; the tests on a booted systemd ask two real ones.

use std::time::SystemTime;

use serde_json::{Map, Value, json};
use sysalert_abi::testing::{NASTY, nasty_requests};
use sysalert_abi::{Answer, Plugin, Request};
use sysalert_http::testing::{Act, Certificate, Heard, Server};

use crate::alert::alerts;
use crate::settings::Settings;
use crate::{Alertmanager, deliver};

fn incident() -> Value {
    json!({
        "id": 7, "subject": "unit:backup.service", "manager": "system", "state": "open", "severity": "critical",
        "failures": 2, "first_failure": "2026-11-21T03:10:00.5Z", "last_failure": "2026-11-21T03:12:00Z"
    })
}

fn failure(status: &str) -> Value {
    json!({
        "service_result": "exit-code", "exit_code": "exited", "exit_status": status, "invocation_id": "abc123",
        "timestamp": "2026-11-21T03:12:00Z", "alert_method": null, "triggered_by": null
    })
}

fn parts() -> Value {
    json!({
        "lead": "backup.service on web1 failed: exited with status 3.",
        "facts": [{"label": "Host", "value": "web1"}],
        "see": ["man:rsync(1)", "https://wiki.example.org/backup"],
        "excerpt_title": "The run's last lines",
        "excerpt": ["03:12:00 backup: no space left", "03:12:00 systemd: Failed with result 'exit-code'."],
        "note": "Lines may be missing: the journal was busy.",
        "lists": [{"title": "Its failures", "lines": ["1. then", "2. now"]}],
        "commands": ["systemctl status backup.service", "sysalert explain backup.service"]
    })
}

/// A failure of backup.service, to be sent with this section.
fn request(section: Value) -> Request {
    let request = json!({
        "schema": 1, "nonce": "n", "kind": "failure", "host": "web1", "service_name": "backup.service",
        "failures": [failure("3")], "incident": incident(),
        "message": {"subject": "backup.service failed on web1", "text": "", "html": "", "markdown": "", "journal": "", "parts": parts()},
        "idempotency_key": "42.fleet", "deadline_ms": 20_000, "config": section
    });
    serde_json::from_value(request).expect("a request")
}

/// 03:20 of that night.
fn now() -> SystemTime {
    humantime::parse_rfc3339("2026-11-21T03:20:00Z").expect("a time")
}

fn made(request: &Request) -> Vec<Value> {
    alerts(request, &Settings::read(request).unwrap_or_else(|answer| panic!("{answer:?}")), now())
}

fn plain() -> Value {
    json!({"url": ["http://127.0.0.1:9093"]})
}

/// What Alertmanager checks, by its source: <https://github.com/prometheus/alertmanager/blob/v0.25.0/api/v2/openapi.yaml>
/// (`postableAlert`: labels are required; `labelSet`: texts; startsAt and endsAt: date-time) and
/// <https://github.com/prometheus/common/blob/v0.39.0/model/alert.go> (`Alert.Validate`).
fn alertmanager(heard: &Heard) -> Act {
    let complaint = |alert: &Value| -> Option<&str> {
        let is_name = |name: &str| {
            let mut chars = name.chars();
            chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let pairs = |of: &str| alert[of].as_object().cloned().unwrap_or_default();
        let is_set = |set: &Map<String, Value>| set.iter().all(|(name, value)| is_name(name) && value.is_string());
        let time = |of: &str| humantime::parse_rfc3339(alert[of].as_str()?).ok();
        let (Some(begins), Some(ends)) = (time("startsAt"), time("endsAt")) else { return Some("no date-time") };
        let known = ["labels", "annotations", "startsAt", "endsAt", "generatorURL"];
        if !alert.as_object().is_some_and(|keys| keys.keys().all(|key| known.contains(&key.as_str()))) {
            return Some("an unknown field");
        }
        if ends < begins {
            return Some("start time must be before end time");
        }
        if pairs("labels").is_empty() {
            return Some("at least one label pair required");
        }
        (!is_set(&pairs("labels")) || !is_set(&pairs("annotations"))).then_some("invalid label set")
    };
    if (heard.method.as_str(), heard.header("content-type")) != ("POST", "application/json") {
        return Act::say(415, "unsupported media type");
    }
    match heard.json().as_array().map(|alerts| alerts.iter().find_map(complaint)) {
        Some(None) => Act::say(200, ""),
        Some(Some(why)) => Act::say(400, Value::from(why).to_string()),
        None => Act::say(400, r#"{"code":602,"message":"alerts in body is required"}"#),
    }
}

#[test]
fn a_failure_is_an_alert_that_lasts() {
    let expected = json!([{
        "labels": {
            "alertname": "SystemdUnitFailed", "instance": "web1", "unit": "backup.service", "manager": "system",
            "severity": "critical"
        },
        "annotations": {
            "summary": "backup.service on web1 failed: exited with status 3.",
            "description": "The run's last lines:\n03:12:00 backup: no space left\n03:12:00 systemd: Failed with result 'exit-code'.\n\nLines may be missing: the journal was busy.\n\nIts failures:\n1. then\n2. now",
            "failures": "2",
            "commands": "systemctl status backup.service\nsysalert explain backup.service",
            "runbook_url": "https://wiki.example.org/backup",
            "result": "exit-code, exited, 3",
            "invocation": "abc123"
        },
        "startsAt": "2026-11-21T03:10:00.500000Z",
        "endsAt": "2026-11-21T03:30:00.000000Z"
    }]);
    assert_eq!(Value::from(made(&request(plain()))), expected);
}

#[test]
fn what_changes_is_no_label_and_a_recovery_ends_the_same_alert() {
    let first = made(&request(plain()));
    let mut later = request(plain());
    later.failures = vec![serde_json::from_value(failure("4")).expect("a failure")];
    later.message.parts.lead = "backup.service on web1 failed: exited with status 4.".into();
    let later = made(&later);
    assert_eq!((&first[0]["labels"], &first[0]["startsAt"]), (&later[0]["labels"], &later[0]["startsAt"]));
    assert_ne!(first[0]["annotations"], later[0]["annotations"]);

    let mut recovery = request(plain());
    recovery.kind = sysalert_abi::Kind::Recovery;
    for (ended, ends) in [
        (Some("2026-11-21T03:15:00.25Z"), "2026-11-21T03:15:00.250000Z"),
        // the clock was set back: no alert may end before it begins
        (Some("2026-11-21T02:00:00Z"), "2026-11-21T03:10:00.500000Z"),
        (None, "2026-11-21T03:20:00.000000Z"),
    ] {
        recovery.incident.as_mut().expect("an incident").ended = ended.map(str::to_owned);
        let made = made(&recovery);
        assert_eq!((&made[0]["labels"], &made[0]["endsAt"]), (&first[0]["labels"], &json!(ends)), "{ended:?}");
    }
}

#[test]
fn a_digest_is_an_alert_for_each_of_its_incidents() {
    let mut digest = request(plain());
    digest.kind = sysalert_abi::Kind::Digest;
    digest.incident = None;
    digest.failures.clear();
    let member = |unit: &str, kind: &str, ended: Value| {
        let mut incident = incident();
        incident["ended"] = ended;
        let failure = if kind == "recovery" { Value::Null } else { failure("3") };
        json!({"kind": kind, "service_name": unit, "incident": incident, "failure": failure, "subject": "", "parts": parts()})
    };
    let members =
        json!([member("a.service", "failure", Value::Null), member("b.service", "recovery", json!("2026-11-21T03:16:00Z"))]);
    digest.incidents = serde_json::from_value(members).expect("members");
    let made = made(&digest);
    let told: Vec<_> = made.iter().map(|alert| (&alert["labels"]["unit"], &alert["endsAt"])).collect();
    let expected =
        [(json!("a.service"), json!("2026-11-21T03:30:00.000000Z")), (json!("b.service"), json!("2026-11-21T03:16:00.000000Z"))];
    assert_eq!(told, expected.each_ref().map(|(unit, ends)| (unit, ends)));
    assert_eq!(made[0]["annotations"]["result"], "exit-code, exited, 3");
    assert_eq!(Alertmanager::again_after(&digest), Some(60));
    digest.incidents.remove(0);
    assert_eq!(Alertmanager::again_after(&digest), None, "all is over");
}

#[test]
fn what_is_no_incident_ends_by_itself() {
    let mut own = request(plain());
    own.incident = None;
    let method = |name: &str| json!({"what": "method", "name": name});
    for (kind, matter, name, severity, ends) in [
        ("test", Value::Null, "SysalertTest", "info", "2026-11-21T03:25:00.000000Z"),
        ("failure", method("mail"), "SysalertMethodFails", "critical", "2026-11-22T03:20:00.000000Z"),
        ("recovery", method("mail"), "SysalertMethodFails", "critical", "2026-11-21T03:20:00.000000Z"),
        ("failure", method("phone"), "SysalertMethodFails", "critical", "2026-11-22T03:20:00.000000Z"),
        ("failure", json!({"what": "database"}), "SysalertDatabaseDamaged", "critical", "2026-11-22T03:20:00.000000Z"),
        ("failure", Value::Null, "SysalertInTrouble", "critical", "2026-11-22T03:20:00.000000Z"),
    ] {
        own.kind = serde_json::from_value(json!(kind)).expect("a kind");
        own.matter = serde_json::from_value(matter.clone()).expect("a matter");
        let made = made(&own);
        // the labels of the other method's alert are others: its end does not end this one
        let mut labels = json!({"alertname": name, "instance": "web1", "severity": severity});
        if let Some(method) = matter.get("name") {
            labels["method"] = method.clone();
        }
        assert_eq!((&made[0]["labels"], &made[0]["endsAt"]), (&labels, &json!(ends)));
        assert_eq!(Alertmanager::again_after(&own), None, "{kind}");
    }
}

#[test]
fn a_label_of_the_section_comes_on_top_or_instead() {
    let mut section = plain();
    section["labels"] = json!(["team=storage", "instance=web1:9100", "site=a=b"]);
    section["resend"] = json!("5m");
    section["generator_url"] = json!("https://wiki.example.org/sysalert");
    let request = request(section);
    let made = made(&request);
    let labels = &made[0]["labels"];
    assert_eq!((&labels["team"], &labels["instance"], &labels["site"]), (&json!("storage"), &json!("web1:9100"), &json!("a=b")));
    assert_eq!(made[0]["generatorURL"], "https://wiki.example.org/sysalert");
    assert_eq!(made[0]["endsAt"], "2026-11-21T04:10:00.000000Z");
    assert_eq!(Alertmanager::again_after(&request), Some(300));
}

#[test]
fn a_wrong_section_is_refused_with_the_key() {
    let with = |key: &str, value: Value| {
        let mut section = plain();
        section[key] = value;
        section
    };
    for (section, expected) in [
        (json!({}), "missing field `url`"),
        (json!({"url": []}), "`url` has no address"),
        (json!({"url": ["alerts:9093"]}), "`url` must be a whole address"),
        (with("labels", json!(["team"])), "`labels` must each be NAME=VALUE"),
        (with("labels", json!(["te-am=x"])), "`labels`: a name has letters, digits and _"),
        (with("labels", json!(["__x=y"])), "`labels`: a name has letters"),
        (with("labels", json!(["=y"])), "`labels`: a name has letters"),
        (with("resend", json!("soon")), "`resend` must be a time such as \"1m\""),
        (with("username", json!("u")), "`username` needs `password`"),
        (with("password", json!("hunter2")), "`password` needs `username`"),
        (with("generator_url", json!("wiki")), "`generator_url` must be a whole address"),
        (json!({"url": ["http://a"], "token": "hunter2", "username": "u", "password": "hunter2"}), "`token` stands instead of"),
        (json!({"url": ["http://a"], "token": "hunter2"}), "http://a is another machine, and a secret goes there only encrypted"),
        (
            json!({"url": ["http://127.0.0.1", "http://a"], "username": "u", "password": "hunter2"}),
            "http://a is another machine, and a secret goes there only encrypted",
        ),
        (json!({"url": ["http://hunter2@a"]}), "http://a is another machine, and a secret goes there only encrypted"),
        (with("urls", json!([])), "unknown field `urls`"),
    ] {
        let Answer::Refused(text) = Alertmanager::failure(&request(section.clone())) else { panic!("{section} was taken") };
        assert!(text.contains(expected) && !text.contains("hunter2"), "{section}: {text}");
    }
}

/// The section for these servers, with a login.
fn to(servers: &[&Server]) -> Value {
    let urls: Vec<String> = servers.iter().map(|server| server.url("/am/")).collect();
    json!({"url": urls, "token": "hunter2hunter2"})
}

#[test]
fn every_address_gets_it_and_one_that_takes_it_is_enough() {
    let (up, down, busy) = (
        Server::start(alertmanager),
        Server::start(|_| Act::Cut),
        Server::start(|_| Act::say(503, "starting, hunter2hunter2").with("Retry-After: 7")),
    );
    let never = Server::start(|_| Act::say(401, "no hunter2hunter2"));
    for (servers, expected) in [
        (&[&up, &up][..], "Sent(\"U took it (200); U took it (200)\")"),
        (&[&down, &up], "Sent(\"U took it (200); D cut the connection before it answered "),
        (&[&never, &up], "Sent(\"U took it (200); N does not let the call in (401 no ***): check the key or token\")"),
        (&[&down, &busy, &never], "Retry(\"D cut the connection before it answered "),
        (
            &[&busy, &never],
            "Retry(\"B cannot take the message now (503 starting, ***); N does not let the call in (401 no ***): check the key or token\", Some(7))",
        ),
        (&[&never, &never], "Refused(\"N does not let the call in "),
    ] {
        let said = format!("{:?}", deliver(&request(to(servers)), now()).unwrap_or_else(|answer| answer));
        let names = [(&up, "U"), (&down, "D"), (&busy, "B"), (&never, "N")];
        let said = names.iter().fold(said, |said, (server, name)| said.replace(&server.url(""), name));
        assert!(said.starts_with(expected) && !said.contains("hunter2"), "{said}");
    }
    let heard = &up.heard()[0];
    assert_eq!((heard.target.as_str(), heard.header("authorization")), ("/am/api/v2/alerts", "Bearer hunter2hunter2"));
}

#[test]
fn a_recovery_comes_again_until_every_address_has_it() {
    let (up, down) = (Server::start(alertmanager), Server::start(|_| Act::Cut));
    for (servers, again) in [(&[&up, &down][..], Some(60)), (&[&up, &up], None), (&[&down, &up], Some(60))] {
        let mut recovery = request(to(servers));
        recovery.kind = sysalert_abi::Kind::Recovery;
        assert!(matches!(Alertmanager::failure(&recovery), Answer::Sent(_)));
        assert_eq!(Alertmanager::again_after(&recovery), again);
        // sysalert's own news have an end of their own
        recovery.incident = None;
        assert_eq!(Alertmanager::again_after(&recovery), None);
    }
}

#[test]
fn a_dead_address_leaves_time_for_the_others() {
    let (dead, up) = (Server::start(|_| Act::Hang), Server::start(alertmanager));
    let mut request = request(to(&[&dead, &up]));
    request.deadline_ms = 2_000;
    let Answer::Sent(text) = Alertmanager::failure(&request) else { panic!("not sent") };
    assert!(text.starts_with(&up.url("")) && text.contains("did not answer in time"), "{text}");
}

#[test]
fn a_login_is_basic_authentication() {
    let server = Server::start(alertmanager);
    let section = json!({"url": [server.url("")], "username": "me@web1", "password": "hunter2:/x"});
    assert!(matches!(Alertmanager::failure(&request(section)), Answer::Sent(_)));
    // base64 of "me@web1:hunter2:/x"
    assert_eq!(server.heard()[0].header("authorization"), "Basic bWVAd2ViMTpodW50ZXIyOi94");
    let echo = Server::start(|heard| Act::say(400, format!("{:?}", heard.headers)));
    for section in [
        json!({"url": [echo.url("")], "username": "me@web1", "password": "hunter2:/x"}),
        json!({"url": [echo.url("").replace("http://", "http://me%40web1:hunter2%3A%2Fx@")]}),
        json!({"url": [echo.url("")], "token": "hunt"}),
    ] {
        let Answer::Refused(text) = Alertmanager::failure(&request(section.clone())) else { panic!("not refused") };
        assert!(
            text.contains("***") && !text.contains("hunt") && !text.contains("bWVAd2ViMTpodW50ZXIyOi94"),
            "{section}: {text}"
        );
    }
}

#[test]
fn five_hundred_nasty_messages_arrive() {
    // one certificate is read faster than the system's store
    let certificate = Certificate::valid("IP:127.0.0.1");
    let server = Server::start(alertmanager);
    for (number, mut request) in nasty_requests(&json!({"url": [server.url("")], "ca": certificate.path()})).enumerate() {
        // the log's last line is there, but where there is nothing at all
        let last =
            request.message.parts.excerpt.last().map_or("", |line| line.get(line.len().saturating_sub(4)..).unwrap_or_default());
        let last = last.to_owned();
        request.service_name = request.message.subject.chars().take(300).collect();
        let answer = Alertmanager::failure(&request);
        assert!(matches!(answer, Answer::Sent(_)), "{number}: {answer:?}");
        let heard = server.heard().pop().expect("a call").json();
        let annotation = |name: &str| heard[0]["annotations"][name].as_str().unwrap_or_default().to_owned();
        assert!(annotation("description").chars().count() <= 4000 && annotation("summary").chars().count() <= 500, "{number}");
        assert!(request.incident.is_none() || annotation("description").contains(&last), "{number}: {last:?}");
    }
    assert_eq!(server.heard().len(), NASTY);
}
