//! Each preset against its channel's contract.

use serde_json::{Value, json};
use sysalert_abi::testing::members;
use sysalert_abi::{Answer, Beat, Kind};
use sysalert_http::testing::{Act, Server};

use super::contract::Contract;
use super::contracts::{CONTRACTS, json};
use super::pagerduty::digest;
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
    assert_eq!(server.heard().len(), 5 + further(name, Kind::Recovery) + further(name, Kind::Test));

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

/// How many calls there are for a message beside one.
pub(super) fn further(name: &str, kind: Kind) -> usize {
    usize::from(name == "pagerduty" && matches!(kind, Kind::Recovery | Kind::Test))
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

/// Fifteen lines and the cause, then what systemd says of each unit that fails, and three commands.
#[test]
fn a_short_channel_shows_the_programs_own_words() {
    let contract = CONTRACTS.iter().find(|contract| contract.name == "pushover").expect("a contract");
    let server = contract.serve();
    let mut request = failure(section(contract, &server));
    let mut log: Vec<String> =
        (1..=15).map(|line| format!("03:12:26 backup: copied the files of volume {line} of 20, nothing to say")).collect();
    log.push("03:12:26 backup: FATAL: repository /srv/backup is locked by web2 since 01:00:17".into());
    log.extend(
        [
            "backup.service: Main process exited, code=exited, status=11/n/a",
            "backup.service: Failed with result 'exit-code'.",
            "Failed to start backup.service - Back up everything to the other site.",
            "backup.service: Triggering OnFailure= dependencies.",
            "backup.service: Consumed 1.202s CPU time, 112.0M memory peak.",
        ]
        .map(|line| format!("03:12:26 systemd: {line}")),
    );
    let block: String = log.iter().map(|line| format!("    {line}\n")).collect();
    let run = "27958a5008624b39838d249d6fa93b04";
    request.message.journal = log.join("\n");
    request.message.text = format!(
        "backup.service on web1 failed: exited with status 11.\n\nHost        web1\nUnit        backup.service\nFailed      2026-11-21 03:12:26 CET\n\
         Failures    1\nSeverity    critical\nRan         3m 10s; usually 41m\nStarted by  backup.timer\n\nThe run's last lines:\n{block}\n\
         To look further:\n    systemctl status backup.service\n    journalctl _SYSTEMD_INVOCATION_ID={run} + INVOCATION_ID={run}\n    \
         sysalert explain backup.service\n"
    );
    assert!(matches!(send(&request), Answer::Sent(_)));
    let body = server.last().body;
    let message = form_urlencoded::parse(&body).find(|(key, _)| key == "message").expect("a message").1.into_owned();
    assert!(message.starts_with("Failed      2026-11-21 03:12:26 CET\n"), "the title has host and unit: {message}");
    for own in ["FATAL: repository", "volume 15 of 20", "volume 14 of 20", "Started by  backup.timer"] {
        assert!(message.contains(own), "{own}: {message}");
    }
    assert!(!message.contains("systemd:"), "{message}");
}

#[test]
fn pagerduty() {
    keeps("pagerduty");
}

#[test]
fn healthchecks() {
    keeps("healthchecks");
    let contract = CONTRACTS.iter().find(|contract| contract.name == "healthchecks").expect("a contract");
    let server = contract.serve();
    let mut request = failure(section(contract, &server));
    for (beat, kind) in [
        (Some(Beat::Start), Kind::Test),
        (Some(Beat::Success), Kind::Test),
        (Some(Beat::Fail), Kind::Failure),
        (None, Kind::Failure),
        (None, Kind::Recovery),
        (None, Kind::Test),
    ] {
        (request.beat, request.kind) = (beat, kind);
        send(&request);
    }
    // one check stands for all that this method told of
    request.open = 1;
    for kind in [Kind::Recovery, Kind::Failure] {
        request.kind = kind;
        send(&request);
    }
    request.kind = Kind::Digest;
    let incident = request.incident.take().expect("an incident");
    for (other, open) in [(Kind::Recovery, 0), (Kind::Recovery, 1), (Kind::Failure, 1)] {
        request.incidents = members(&incident, &[(Kind::Recovery, "critical"), (other, "critical")]);
        request.open = open;
        send(&request);
    }
    let heard = server.heard();
    let rest: Vec<_> = heard.iter().map(|heard| heard.target.strip_prefix(contract.path).unwrap_or("elsewhere")).collect();
    assert_eq!(rest, ["/start", "", "/fail", "/fail", "", "/log", "/log", "/fail", "", "/log", "/fail"]);
}

/// A server that shows all that it was sent, to whoever has a short token.
#[test]
fn no_token_is_shown_however_short_it_is() {
    let echo = Server::start(|heard| {
        Act::say(400, format!("{} {:?} {}", heard.target, heard.headers, String::from_utf8_lossy(&heard.body)))
    });
    for contract in CONTRACTS.iter().filter(|contract| !contract.keys.is_empty()) {
        let mut section = section(contract, &echo);
        section["token"] = json!("q7Zx9");
        let Answer::Refused(text) = send(&failure(section)) else { panic!("{} was not refused", contract.name) };
        assert!(text.contains("***") && !text.contains("q7Zx"), "{}: {text}", contract.name);
    }
    let own = json!({"url": echo.url("/hook"), "authorization": "Bearer q7Zx9"});
    let Answer::Refused(text) = send(&failure(own)) else { panic!("not refused") };
    assert!(text.contains("***") && !text.contains("q7Zx"), "{text}");
}

/// Where a channel says that it does not take the markup, the same comes without.
#[test]
fn refused_markup_is_left_out() {
    let discord = json!({"code": 50035, "message": "Invalid Form Body", "errors": {"embeds": {"0": {}}}}).to_string();
    let rows = [
        ("slack", Act::say(400, "invalid_blocks"), "/attachments", "/text"),
        ("discord", Act::say(400, discord), "/embeds", "/content"),
        ("matrix", Act::say(413, r#"{"errcode": "M_TOO_LARGE", "error": "event too large"}"#), "/formatted_body", "/body"),
    ];
    for (name, refusal, markup, plain) in rows {
        let contract = CONTRACTS.iter().find(|contract| contract.name == name).expect("a contract");
        let server = Server::start(move |heard| match json(heard).pointer(markup) {
            Some(_) => refusal.clone(),
            None => (contract.taken)(heard),
        });
        let answer = send(&failure(section(contract, &server)));
        assert!(matches!(answer, Answer::Sent(_)), "{name}: {answer:?}");
        let heard = server.heard();
        assert_eq!((heard.len(), &heard[0].target), (2, &heard[1].target), "{name}");
        let json = json(&heard[1]);
        let text = json.pointer(plain).and_then(Value::as_str).unwrap_or_default();
        assert!(text.contains("failed on web1") && text.contains("No space left on device"), "{name}: {text}");
        // whatever else is wrong is no matter of markup
        let broken = Server::start(|_| (CONTRACTS[0].broken)("no_text"));
        send(&failure(section(contract, &broken)));
        assert_eq!(broken.heard().len(), 1, "{name}");
    }
}

#[test]
fn an_incident_is_one_alert_and_its_recovery_resolves_it() {
    let contract = CONTRACTS.iter().find(|contract| contract.name == "pagerduty").expect("a contract");
    let server = contract.serve();
    let mut request = failure(section(contract, &server));
    request.open = 1;
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
    assert_eq!(heard[0]["dedup_key"], "sysalert/web1/unit:backup.service/2026-11-21T02:12:26Z");
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
        ("discord", "/embeds/0/color", [json!(0xb3_26_1e), json!(0xb3_6b_00), json!(0x3a_6e_a5), json!(0x1e_7b_34)]),
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
            request.open = 1;
            send(&request);
            if name != "pagerduty" {
                // and a digest of nothing worse
                digest(&mut request, &[(Kind::Recovery, "critical"), (kind, severity)]);
                send(&request);
            }
        }
        let seen: Vec<_> = server.heard().iter().map(|heard| json(heard).pointer(place).cloned().unwrap_or_default()).collect();
        let each = if name == "pagerduty" { 1 } else { 2 };
        let expected: Vec<_> = expected.iter().flat_map(|level| std::iter::repeat_n(level.clone(), each)).collect();
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

/// What setup asks for is what the preset has.
#[test]
fn the_keys_that_settings_tell_for_a_preset_are_its_own() {
    let keys: Vec<Value> = serde_json::from_str(include_str!("../../settings.json")).expect("JSON");
    let has = |key: &Value, list: &str, preset: &str| {
        key[list]["preset"].as_array().is_some_and(|presets| presets.iter().any(|one| one == preset))
    };
    for preset in crate::preset::PRESETS {
        let told = |list: &str| -> Vec<&str> {
            keys.iter().filter(|key| has(key, list, preset.name)).filter_map(|key| key["name"].as_str()).collect()
        };
        let (asked, needed) = (told("when"), told("needed"));
        let known = [preset.needs, preset.takes].concat();
        let for_all = ["url", "ca", "unencrypted"];
        assert!(asked.iter().all(|key| known.contains(key) || for_all.contains(key)), "{}: {asked:?}", preset.name);
        assert!(known.iter().all(|key| asked.contains(key)), "{}: {asked:?}", preset.name);
        assert_eq!(needed, preset.needs, "{}", preset.name);
    }
}
