//! A call of one's own, and what is wrong with a section.

use serde_json::{Value, json};
use sysalert_abi::{Answer, Kind, Plugin as _};
use sysalert_http::testing::{Act, Certificate, Heard, Server};

use super::contracts::CONTRACTS;
use crate::Webhook;

use super::{failure, refused, section, send};

/// The call that a section makes, and the answer.
fn call(change: Value) -> (Option<Heard>, Answer, Server) {
    let server = Server::start(|_| Act::say(200, "fine"));
    let mut section = json!({"url": server.url("/hook/hunter2hunter2")});
    for (key, value) in change.as_object().expect("an object") {
        section[key] = value.clone();
    }
    let answer = send(&failure(section));
    (server.heard().pop(), answer, server)
}

#[test]
fn without_a_body_a_program_gets_all_it_needs() {
    let (heard, answer, server) = call(json!({}));
    assert_eq!(answer, Answer::Sent(format!("{} took it (200 fine)", server.url(""))));
    let heard = heard.expect("a call");
    assert_eq!((heard.method.as_str(), heard.target.as_str()), ("POST", "/hook/hunter2hunter2"));
    let json = heard.json();
    for (key, expected) in [("kind", "failure"), ("host", "web1"), ("unit", "backup.service"), ("severity", "critical")] {
        assert_eq!(json[key], expected);
    }
    assert_eq!(json["incident"]["id"], 7);
    assert_eq!(json["failures"][0]["exit_status"], "11");
    assert!(json["text"].as_str().is_some_and(|text| text.contains("No space left on device")));
    assert_eq!(heard.header("idempotency-key"), format!("{}", json["id"]), "a quoted string, the same as in the body");
}

#[test]
fn the_method_the_headers_and_the_form_are_as_configured() {
    let (heard, ..) = call(json!({
        "method": "PUT", "content_type": "form", "body": "text={{ subject }}&level={{ severity }}",
        "headers": ["X-Team: storage", "Accept: text/plain"], "authorization": "Bearer hunter3hunter3"
    }));
    let heard = heard.expect("a call");
    assert_eq!((heard.method.as_str(), heard.header("content-type")), ("PUT", "application/x-www-form-urlencoded"));
    assert_eq!(heard.text(), "text=backup.service+failed+on+web1%3A+exited+with+status+11&level=critical");
    assert_eq!((heard.header("x-team"), heard.header("authorization")), ("storage", "Bearer hunter3hunter3"));
    let (heard, ..) = call(json!({"content_type": "text"}));
    assert!(heard.is_some_and(|heard| heard.text().starts_with("backup.service on web1 failed")));
}

/// The secret, the body and the signature of <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>.
#[test]
fn the_signature_is_githubs() {
    let section = json!({"content_type": "text", "body": "Hello, World!", "hmac_secret": "It's a Secret to Everybody"});
    let (heard, ..) = call(section.clone());
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(heard.expect("a call").header("x-hub-signature-256"), signature);
    let mut section = section;
    section["hmac_header"] = json!("X-Signature");
    assert_eq!(call(section).0.expect("a call").header("x-signature"), signature);
}

#[test]
fn a_template_can_do_what_templates_do() {
    let body = r#"{% set all %}{{ host }}/{{ unit }}{% endset %}
        {"where": "{{ all }}", "facts": {{ failures }}, "loud": {{ subject | upper }}, "count": {{ failures | length }},
        "none": {{ failures[0].alert_method }}, "ok": {{ true }}}"#;
    let (heard, answer, _) = call(json!({"body": body}));
    let json = heard.unwrap_or_else(|| panic!("{answer:?}")).json();
    assert_eq!(json["where"], "web1/backup.service");
    assert_eq!(json["facts"][0]["exit_code"], "exited");
    assert_eq!(json["loud"], "BACKUP.SERVICE FAILED ON WEB1: EXITED WITH STATUS 11");
    assert_eq!((&json["count"], &json["none"], &json["ok"]), (&json!(1), &Value::Null, &json!(true)));
}

#[test]
fn a_wrong_section_is_refused_with_the_key_and_nothing_is_sent() {
    let rows = [
        (json!({"url": "hunter2"}), "`url` must be a whole address"),
        (json!({"preset": "slak"}), "`preset` must be one of `slack`, `discord`"),
        (json!({"preset": "gotify"}), "the preset gotify needs `token`"),
        (json!({"preset": "slack", "body": "x"}), "the preset slack has no `body`"),
        (json!({"preset": "slack", "room": "x"}), "the preset slack has no `room`"),
        (json!({"token": "hunter2"}), "`token` is there for presets alone"),
        (json!({"method": "GET"}), "`method` must be `POST` or `PUT`"),
        (json!({"headers": ["X-Team"]}), "`headers` must be a list of lines such as"),
        (json!({"headers": ["X-Team: a\nX: b"]}), "the header x-team has a value with a control character"),
        (json!({"authorization": "a\r\nX: hunter2"}), "the header authorization has a value with a control character"),
        (json!({"ca": "/nowhere/hunter2"}), ""),
        (json!({"hook": "hunter2"}), "unknown field `hook`"),
    ];
    for (change, expected) in rows {
        let (heard, answer, server) = call(change.clone());
        assert!(heard.is_none(), "{change} was sent");
        match answer {
            // it may be put there while alerts wait
            Answer::Retry(text, None) => assert!(text.starts_with("`ca` names /nowhere/"), "{text}"),
            answer => {
                let text = refused(&server, answer);
                assert!(text.contains(expected) && !text.contains("hunter2"), "{change}: {text}");
            }
        }
    }
    let answer = send(&failure(json!({"content_type": "json"})));
    assert_eq!(answer, Answer::Refused("its configuration does not fit: missing field `url`".into()));
}

/// A template that fails costs no alert, and `config check` finds it before.
#[test]
fn a_body_that_does_not_fit_a_message_gives_way_to_the_usual_one() {
    let rows = [
        (json!({"body": "{\"a\": {{ sujbect }}}"}), "`body` cannot be used: a variable or a field that is not there (line 1)"),
        (json!({"body": "{\"a\": \"{{ subject }}}"}), "`body` cannot be used: it gives no JSON: EOF while parsing a string"),
        (json!({"body": "{\"a\": \"{{ failures }}\"}"}), "only a text may stand between quotation marks"),
        (
            json!({"body": "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"}),
            "it takes too many steps",
        ),
        (json!({"body": "{\"text\": \"{{ kind }}\"", "content_type": "json"}), "it gives no JSON"),
    ];
    for (change, expected) in rows {
        let (heard, answer, server) = call(change.clone());
        let heard = heard.unwrap_or_else(|| panic!("{change} was not sent"));
        assert!(heard.json()["text"].as_str().is_some_and(|text| text.contains("No space left on device")), "{}", heard.text());
        let Answer::Sent(text) = answer else { panic!("{change}: {answer:?}") };
        let start = format!("{} took it (200 fine), in the usual words: `body` cannot be used: ", server.url(""));
        assert!(text.starts_with(&start) && text.contains(expected.trim_start_matches("`body` cannot be used: ")), "{text}");
        let mut section = change;
        section["url"] = json!("https://a.example/");
        let Err(Answer::Refused(text)) = Webhook::check(&failure(section.clone())) else { panic!("{section}") };
        assert!(text.starts_with("`body` cannot be used: ") && text.ends_with("mend it in the method's section"), "{text}");
    }

    // what fits a failure may not fit a test
    let server = Server::start(|_| Act::say(200, "fine"));
    for (format, body) in
        [("json", r#"{"text": {{ text }}, "id": {{ incident.id }}}"#), ("form", "text={{ text }}&id={{ incident.id }}")]
    {
        let mut request = failure(json!({"url": server.url("/"), "content_type": format, "body": body}));
        let parsed = |heard: Heard| match format {
            "json" => heard.json()["text"].as_str().map(str::to_owned),
            _ => form_urlencoded::parse(&heard.body).find(|(key, _)| key == "text").map(|(_, value)| value.into_owned()),
        };
        assert!(matches!(send(&request), Answer::Sent(text) if !text.contains("usual words")));
        request.incident = None;
        request.kind = Kind::Test;
        request.message.text = "all is well".into();
        assert!(matches!(send(&request), Answer::Sent(text) if text.contains("in the usual words: `body` cannot be used")));
        assert_eq!(parsed(server.last()).as_deref(), Some("all is well"), "{format}");
    }
}

/// 0.0.0.0 is this machine, too, but not by its loopback address.
#[test]
fn a_secret_goes_to_another_machine_only_encrypted() {
    let server = Server::start(|_| Act::say(200, "ok"));
    let url = |login: &str| format!("http://{login}0.0.0.0:{}/hook/hunter2hunter2", server.port);
    let mut sections: Vec<(Value, bool)> = CONTRACTS
        .iter()
        .map(|contract| {
            let mut section = section(contract, &server);
            section["url"] = json!(url(""));
            (section, contract.name != "healthchecks")
        })
        .collect();
    sections.extend([
        (json!({"url": url("")}), false),
        (json!({"url": url(""), "hmac_secret": "hunter2", "headers": ["X-Team: storage"]}), false),
        (json!({"url": url("hunter2:hunter2@")}), true),
        (json!({"url": url("hunter2@")}), true),
        (json!({"url": url(""), "authorization": "Bearer hunter2"}), true),
        (json!({"url": url(""), "headers": ["AUTHORIZATION : Bearer hunter2"]}), true),
        (json!({"preset": "ntfy", "url": url("")}), false),
    ]);
    for (mut section, is_secret) in sections {
        let before = server.heard().len();
        match send(&failure(section.clone())) {
            Answer::Refused(text) if is_secret => {
                assert!(text.contains("0.0.0.0:") && text.contains("a secret goes there only encrypted"), "{section}: {text}");
                assert!(!text.contains("hunter2") && server.heard().len() == before, "{text}");
            }
            answer => assert!(!is_secret && server.heard().len() == before + 1, "{section}: {answer:?}"),
        }
        section["unencrypted"] = json!(true);
        send(&failure(section));
        assert_eq!(server.heard().len(), before + 1 + usize::from(!is_secret));
    }
}

/// An authority that this machine does not know, and one that `ca` names.
#[test]
fn a_token_goes_to_nobody_who_is_not_trusted() {
    let certificate = Certificate::valid("IP:127.0.0.1");
    let server = Server::start_tls(certificate.server(), |_| Act::say(200, "ok"));
    let section = json!({"preset": "slack", "url": format!("https://127.0.0.1:{}/services/T0/B0/hunter2hunter2", server.port)});
    let Answer::Refused(text) = send(&failure(section.clone())) else { panic!("not refused") };
    assert!(text.contains("comes from an issuer that this machine does not trust") && !text.contains("hunter2"), "{text}");
    assert!(server.heard().is_empty());
    let mut section = section;
    section["ca"] = json!(certificate.path());
    assert!(matches!(send(&failure(section)), Answer::Sent(_)));
}

#[test]
fn a_redirect_is_not_followed() {
    let other = Server::start(|_| Act::say(200, "ok"));
    let location = format!("Location: {}", other.url("/hook/hunter2hunter2"));
    let server = Server::start(move |_| Act::say(307, "").with(&location));
    let text = refused(&server, send(&failure(json!({"preset": "slack", "url": server.url("/services/hunter2hunter2")}))));
    assert_eq!(
        text,
        format!("S sends the call on to {} (307): set the address to the new one, since no redirect is followed", other.url(""))
    );
    assert!(other.heard().is_empty());
}
