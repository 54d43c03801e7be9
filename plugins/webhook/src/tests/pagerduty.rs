//! PagerDuty: an alert of its own for each incident, also of a digest.

use serde_json::Value;
use sysalert_abi::testing::members;
use sysalert_abi::{Answer, Beat, Kind, Matter, Request};
use sysalert_http::testing::Server;

use super::contracts::{CONTRACTS, json};
use super::{failure, section, send};

/// PagerDuty's server, a request for it, and what it heard: action, key, severity, summary.
fn pagerduty_hears(change: impl Fn(&mut Request)) -> Vec<[String; 4]> {
    let contract = CONTRACTS.iter().find(|contract| contract.name == "pagerduty").expect("a contract");
    let server = contract.serve();
    let mut request = failure(section(contract, &server));
    change(&mut request);
    assert!(matches!(send(&request), Answer::Sent(_)));
    let text = |json: &Value, place| json.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    let events = server.heard().into_iter().map(|heard| {
        let places = ["/event_action", "/dedup_key", "/payload/severity", "/payload/summary"];
        places.map(|place| text(&json(&heard), place))
    });
    events.collect()
}

pub(super) fn digest(request: &mut Request, kinds: &[(Kind, &str)]) {
    let incident = request.incident.take().expect("an incident");
    request.kind = Kind::Digest;
    request.message.subject = format!("{} units on web1", kinds.len());
    request.incidents = members(&incident, kinds);
}

#[test]
fn of_a_digest_pagerduty_gets_each_incident() {
    let heard = pagerduty_hears(|request| {
        digest(request, &[(Kind::Failure, "critical"), (Kind::Recovery, "critical"), (Kind::Reminder, "warning")]);
        request.open = 2;
    });
    let key = |number| format!("sysalert/web1/unit:unit-{number}.service/2026-11-21T02:12:26Z");
    let expected = [
        ["trigger", &key(1), "critical", "unit-1.service failed on web1"],
        ["resolve", &key(2), "info", "unit-2.service recovered on web1"],
        ["trigger", &key(3), "warning", "unit-3.service failed on web1"],
    ];
    assert_eq!(heard, expected);

    // told alone, and recovered in a digest: the same alert
    let alone = pagerduty_hears(|request| {
        let incident = request.incident.as_mut().expect("an incident");
        (incident.id, incident.subject) = (99, "unit:unit-2.service".into());
        incident.first_failure = "2026-11-21T02:12:26.123456Z".into();
    });
    assert_eq!((alone.len(), &alone[0][0], &alone[0][1]), (1, &"trigger".to_owned(), &heard[1][1]), "whatever its number is");
}

#[test]
fn of_very_many_incidents_pagerduty_gets_one_alert_that_the_last_recovery_resolves() {
    let heard = pagerduty_hears(|request| {
        digest(request, &[(Kind::Failure, "warning"); 500]);
        request.open = 500;
    });
    assert_eq!(heard, [["trigger", "sysalert/web1/storm", "warning", "500 units on web1"]]);
    let heard = pagerduty_hears(|request| digest(request, &[(Kind::Recovery, "warning"); 500]));
    assert_eq!((heard.len(), heard.iter().filter(|event| event[0] == "resolve").count()), (41, 41));
    assert_eq!(heard[40][..2], ["resolve", "sysalert/web1/storm"]);
    let one = pagerduty_hears(|request| request.kind = Kind::Recovery);
    assert_eq!((one.len(), &one[1][1]), (2, &heard[40][1]));
    let other = pagerduty_hears(|request| (request.kind, request.open) = (Kind::Recovery, 1));
    assert_eq!(other.len(), 1, "something is still open");
}

#[test]
fn what_is_not_taken_whole_comes_again_with_the_same_keys() {
    let contract = CONTRACTS.iter().find(|contract| contract.name == "pagerduty").expect("a contract");
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |heard| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        1 => (contract.limited.0)(),
        4 => (contract.broken)("this rule is broken"),
        _ => (contract.taken)(heard),
    });
    let mut request = failure(section(contract, &server));
    digest(&mut request, &[(Kind::Failure, "critical"); 3]);
    let answers: Vec<_> = (0..3).map(|_| send(&request)).collect();
    assert!(matches!(&answers[..], [Answer::Retry(..), Answer::Refused(_), Answer::Sent(_)]), "{answers:?}");
    let keys: Vec<_> =
        server.heard().iter().map(|heard| json(heard)["dedup_key"].as_str().unwrap_or_default()[19..25].to_owned()).collect();
    let [a, b, c] = ["unit-1", "unit-2", "unit-3"];
    assert_eq!(keys, [a, b, a, b, c, a, b, c], "what is refused holds up no other");
}

#[test]
fn what_is_sysalerts_own_ends_at_pagerduty_too() {
    let own = |kind, matter: Option<Matter>, beat| {
        let heard = pagerduty_hears(|request| {
            (request.kind, request.matter, request.beat, request.incident) = (kind, matter.clone(), beat, None);
            request.idempotency_key = format!("{kind:?}");
            request.open = 1;
        });
        heard.into_iter().map(|[action, key, severity, _]| [action, key, severity]).collect::<Vec<_>>()
    };
    let mail = Some(Matter::Method { name: "mail".into() });
    assert_eq!(own(Kind::Failure, mail.clone(), None), [["trigger", "sysalert/web1/method/mail", "critical"]]);
    assert_eq!(own(Kind::Recovery, mail, None), [["resolve", "sysalert/web1/method/mail", "info"]]);
    assert_eq!(own(Kind::Failure, Some(Matter::Database), None), [["trigger", "sysalert/web1/database", "critical"]]);
    let test = [["trigger", "sysalert/web1/test", "info"], ["resolve", "sysalert/web1/test", "info"]];
    assert_eq!(own(Kind::Test, None, None), test);
    assert_eq!(own(Kind::Failure, None, Some(Beat::Fail)), [["trigger", "sysalert/web1/heartbeat", "critical"]]);
    assert_eq!(own(Kind::Test, None, Some(Beat::Success)), [["resolve", "sysalert/web1/heartbeat", "info"]]);
}
