//! Each preset against its channel's contract.

use serde_json::json;
use sysalert_abi::{Answer, Kind};
use sysalert_http::testing::{Act, Server};

use super::contract::Contract;
use super::contracts::{CONTRACTS, json};
use super::{failure, refused, section, send};
use crate::preset::PRESETS;

/// What every channel has to do.
fn keeps(name: &str) {
    let contract = CONTRACTS.iter().find(|contract| contract.name == name).expect("a contract");
    let server = contract.serve();
    let mut request = failure(section(contract, &server));
    for kind in [Kind::Failure, Kind::Reminder, Kind::Recovery, Kind::Digest, Kind::Test] {
        request.kind = kind;
        if matches!(kind, Kind::Digest | Kind::Test) {
            request.incident = None;
        }
        let answer = send(&request);
        assert!(matches!(answer, Answer::Sent(_)), "{name}: {kind:?}: {answer:?}");
    }
    assert_eq!(server.heard().len(), 5);

    says(contract, (contract.broken)("this rule is broken"), |text| text.contains("this rule is broken"));
    says(contract, (contract.revoked.0)(), |text| text.contains(contract.revoked.1));
    says(contract, Act::say(200, "<html>Please log in to this hotel</html>"), |text| {
        name == "teams" || text.contains("check `url`")
    });

    let server = Server::start(move |_| (contract.limited.0)());
    let answer = send(&failure(section(contract, &server)));
    assert!(matches!(&answer, Answer::Retry(_, after) if *after == contract.limited.1), "{name}: {answer:?}");
    for act in [Act::say(500, "oops"), Act::say(503, ""), Act::Cut, Act::Half] {
        // of a workflow's answer the status is all that there is
        let is_enough = name == "teams" && matches!(act, Act::Half);
        let server = Server::start(move |_| act.clone());
        let answer = send(&failure(section(contract, &server)));
        assert!(
            if is_enough { matches!(answer, Answer::Sent(_)) } else { matches!(answer, Answer::Retry(..)) },
            "{name}: {answer:?}"
        );
    }
}

/// With this answer the message is refused, with this sentence, and no secret in it.
fn says(contract: &Contract, act: Act, expected: impl Fn(&str) -> bool) {
    let server = Server::start(move |_| act.clone());
    let answer = send(&failure(section(contract, &server)));
    let text = refused(&server, answer);
    assert!(text.starts_with("S ") && expected(&text), "{}: {text}", contract.name);
    for (_, secret) in contract.keys {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn slack() {
    keeps("slack");
}

#[test]
fn discord() {
    keeps("discord");
}

#[test]
fn mattermost() {
    keeps("mattermost");
}

#[test]
fn teams() {
    keeps("teams");
    let contract = CONTRACTS.iter().find(|contract| contract.name == "teams").expect("a contract");
    let old = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413 with ContextId ...";
    says(contract, Act::say(200, old), |text| text.contains("HTTP error 413"));
}

#[test]
fn googlechat() {
    keeps("googlechat");
}

#[test]
fn ntfy() {
    keeps("ntfy");
    let request = failure(json!({"preset": "ntfy", "url": "https://ntfy.sh/"}));
    assert!(matches!(send(&request), Answer::Refused(text) if text.contains("must end with the topic")));
}

#[test]
fn gotify() {
    keeps("gotify");
}

#[test]
fn matrix() {
    keeps("matrix");
}

#[test]
fn pushover() {
    keeps("pushover");
    let contract = CONTRACTS.iter().find(|contract| contract.name == "pushover").expect("a contract");
    let server = contract.serve();
    let mut section = section(contract, &server);
    section["device"] = json!("phone&user=x");
    assert!(matches!(send(&failure(section)), Answer::Sent(_)));
    assert!(server.heard()[0].text().ends_with("&device=phone%26user%3Dx"), "{}", server.heard()[0].text());
}

#[test]
fn pagerduty() {
    keeps("pagerduty");
}

#[test]
fn an_incident_is_one_alert_and_its_recovery_resolves_it() {
    let contract = CONTRACTS.iter().find(|contract| contract.name == "pagerduty").expect("a contract");
    let server = contract.serve();
    let mut request = failure(section(contract, &server));
    for (kind, key) in [(Kind::Failure, "1"), (Kind::Reminder, "2"), (Kind::Recovery, "3")] {
        request.kind = kind;
        request.idempotency_key = key.into();
        send(&request);
    }
    request.host = "web2.example.org".repeat(40);
    send(&request);
    let heard: Vec<_> = server.heard().iter().map(json).collect();
    let actions: Vec<_> = heard.iter().map(|json| json["event_action"].as_str().unwrap_or_default()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve", "resolve"]);
    assert_eq!(heard[0]["dedup_key"], "sysalert/web1/7/2026-11-21T02:12:26.000Z");
    assert!(heard[1]["dedup_key"] == heard[0]["dedup_key"] && heard[2]["dedup_key"] == heard[0]["dedup_key"]);
    assert_ne!(heard[3]["dedup_key"], heard[0]["dedup_key"], "another host's incident");
}

/// The tries of one message have one identity, and no two messages or hosts have the same.
#[test]
fn a_channel_that_can_tells_a_second_copy() {
    for name in ["matrix", "googlechat"] {
        let contract = CONTRACTS.iter().find(|contract| contract.name == name).expect("a contract");
        let server = contract.serve();
        let request = failure(section(contract, &server));
        send(&request);
        send(&sysalert_abi::Request { nonce: "another".into(), ..request.clone() });
        send(&sysalert_abi::Request { host: "web2".into(), ..request.clone() });
        send(&sysalert_abi::Request { idempotency_key: "another".into(), ..request.clone() });
        let targets: Vec<String> = server.heard().into_iter().map(|heard| heard.target).collect();
        assert_eq!(targets[0], targets[1], "{name}");
        assert!(targets[0] != targets[2] && targets[0] != targets[3] && targets[2] != targets[3], "{name}: {targets:?}");
    }
}

#[test]
fn the_severity_is_the_channels_own() {
    let rows = [
        ("ntfy", "/priority", [json!(5), json!(4), json!(3), json!(3)]),
        ("gotify", "/priority", [json!(8), json!(6), json!(5), json!(5)]),
        ("pagerduty", "/payload/severity", [json!("critical"), json!("warning"), json!("info"), json!("info")]),
        ("slack", "/attachments/0/color", [json!("#b3261e"), json!("#b36b00"), json!("#3a6ea5"), json!("#1e7b34")]),
    ];
    for (name, place, expected) in rows {
        let contract = CONTRACTS.iter().find(|contract| contract.name == name).expect("a contract");
        let server = contract.serve();
        for (kind, severity) in
            [(Kind::Failure, "critical"), (Kind::Failure, "warning"), (Kind::Failure, "info"), (Kind::Recovery, "critical")]
        {
            let mut request = failure(section(contract, &server));
            request.kind = kind;
            request.incident.as_mut().expect("an incident").severity = severity.into();
            send(&request);
        }
        let seen: Vec<_> = server.heard().iter().map(|heard| json(heard).pointer(place).cloned().unwrap_or_default()).collect();
        assert_eq!(seen, expected, "{name}");
    }
}

#[test]
fn every_preset_has_a_contract() {
    let presets: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
    let contracts: Vec<_> = CONTRACTS.iter().map(|contract| contract.name).collect();
    assert_eq!(presets, contracts);
    let settings: serde_json::Value = serde_json::from_str(include_str!("../../settings.json")).expect("JSON");
    assert_eq!(settings[0]["values"], json!(presets));
}
