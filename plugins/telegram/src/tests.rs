//! Against a server that keeps to the Bot API's documented rules: Telegram itself cannot be reached from a test.

use serde_json::{Value, json};
use sysalert_abi::testing::{NASTY, nasty_requests};
use sysalert_abi::{Answer, Kind, List, Plugin, Request, utf16_units};
use sysalert_http::testing::{Act, Certificate, Heard, Server};

use crate::Telegram;
use crate::compose::compose;

const TOKEN: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

/// A failure of backup.service, to be sent with this section.
fn request(section: Value) -> Request {
    let request = json!({
        "schema": 1, "nonce": "n", "kind": "failure", "host": "web1", "service_name": "backup.service", "failures": [],
        "incident": {
            "id": 7, "subject": "unit:backup.service", "manager": "system", "state": "open", "severity": "critical",
            "failures": 1, "first_failure": "2026-11-21T03:12:26Z", "last_failure": "2026-11-21T03:12:26Z"
        },
        "message": {
            "subject": "backup.service failed on web1: exited with status 1", "text": "", "html": "", "markdown": "", "journal": "",
            "parts": {
                "lead": "backup.service on web1 failed: exited with status 1.",
                "facts": [
                    {"label": "Host", "value": "web1"}, {"label": "Unit", "value": "backup.service"},
                    {"label": "Failed", "value": "Sat 2026-11-21 03:12:26 +01:00"}, {"label": "Failures", "value": "1"},
                    {"label": "Severity", "value": "critical"}, {"label": "Ran", "value": "41s; usually 3m 10s"},
                    {"label": "Last success", "value": "Fri 2026-11-20 03:12:26 +01:00; 1d before"}
                ],
                "see": ["https://wiki.example.org/backup"],
                "excerpt_title": "The run's last lines (a secret was removed)",
                "excerpt": [
                    "03:12:26 backup: 712 of 1311 files copied",
                    "03:12:26 backup: rsync: write failed on \"<a&b>\": No space left on device (28)"
                ],
                "note": "", "lists": [],
                "commands": ["systemctl status backup.service", "sysalert explain backup.service"]
            }
        },
        "idempotency_key": "42.phone", "deadline_ms": 20_000, "config": section
    });
    serde_json::from_value(request).expect("a request")
}

fn to(server: &Server) -> Value {
    json!({"token": TOKEN, "chat": "-1001234567890", "api": server.url("")})
}

/// <https://core.telegram.org/bots/api#making-requests>: "ok", and if it is false "error_code" and "description".
fn no(status: u16, description: &str) -> Act {
    Act::say(status, json!({"ok": false, "error_code": status, "description": description}).to_string())
}

/// sendMessage as it is documented.
fn bot_api(heard: &Heard) -> Act {
    // https://core.telegram.org/bots/api#authorizing-your-bot
    match heard.target.strip_prefix("/bot").and_then(|rest| rest.strip_suffix("/sendMessage")) {
        Some(TOKEN) => {}
        Some(_) => return no(401, "Unauthorized"),
        None => return no(404, "Not Found"),
    }
    let body = heard.json();
    // https://core.telegram.org/bots/api#sendmessage: chat_id and text are required
    if !(body["chat_id"].is_i64() || body["chat_id"].as_str().is_some_and(|name| name.starts_with('@'))) {
        return no(400, "Bad Request: chat_id is empty");
    }
    let known = ["chat_id", "message_thread_id", "text", "parse_mode", "link_preview_options", "disable_notification"];
    assert!(body.as_object().expect("an object").keys().all(|key| known.contains(&key.as_str())), "{body}");
    // https://github.com/tdlib/telegram-bot-api/issues/798
    if body["message_thread_id"] == 1 {
        return no(400, "Bad Request: message thread not found");
    }
    let text = body["text"].as_str().unwrap_or_default();
    let shown = match body["parse_mode"].as_str() {
        None => Ok(text.to_owned()),
        Some("HTML") => parsed(text),
        Some(_) => return no(400, "Bad Request: unsupported parse_mode"),
    };
    match shown {
        Err(why) => no(400, &format!("Bad Request: can't parse entities: {why}")),
        // "1-4096 characters after entities parsing"
        Ok(shown) if shown.trim().is_empty() => no(400, "Bad Request: message text is empty"),
        Ok(shown) if utf16_units(&shown) > 4096 => no(400, "Bad Request: message is too long"),
        Ok(_) => Act::say(200, json!({"ok": true, "result": {"message_id": 77, "date": 0, "chat": {"id": 1}}}).to_string()),
    }
}

/// The text without its markup, by <https://core.telegram.org/bots/api#html-style>: only the tags mentioned there, each
/// closed in its turn; all <, > and & that are no markup as entities, of which it names four beside the numbers; and by
/// <https://core.telegram.org/bots/api#formatting-options>: "pre and code entities can't contain any other".
fn parsed(html: &str) -> Result<String, String> {
    const TAGS: [&str; 12] = ["b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "blockquote"];
    let (mut shown, mut open, mut rest) = (String::new(), Vec::new(), html);
    while let Some(at) = rest.find(['<', '>', '&']) {
        shown.push_str(&rest[..at]);
        let markup = &rest[at..];
        let end = markup.find(if markup.starts_with('&') { ';' } else { '>' }).ok_or("it has no end")?;
        let inner = &markup[1..end.max(1)];
        rest = &markup[end + 1..];
        match (&markup[..1], inner.strip_prefix('/')) {
            ("&", _) => shown.push(match inner {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "quot" => '"',
                _ => return Err(format!("unknown entity {inner:?}")),
            }),
            (">", _) => return Err("a > alone".into()),
            (_, Some(tag)) if open.pop() == Some(tag) => {}
            (_, Some(tag)) => return Err(format!("unmatched end tag {tag:?}")),
            (_, None) if !TAGS.contains(&inner) => return Err(format!("unsupported start tag {inner:?}")),
            (_, None) if open.iter().any(|tag| matches!(*tag, "pre" | "code")) => return Err("a tag in pre or code".into()),
            (_, None) => open.push(inner),
        }
    }
    if open.is_empty() { Ok(shown + rest) } else { Err(format!("no end tag for {open:?}")) }
}

#[test]
fn a_failure_as_a_phone_shows_it() {
    let text = compose(&request(json!({})));
    let expected = "\
<b>backup.service failed on web1: exited with status 1</b>

Failed: Sat 2026-11-21 03:12:26 +01:00
Failures: 1
Severity: critical
Ran: 41s; usually 3m 10s
Last success: Fri 2026-11-20 03:12:26 +01:00; 1d before

The run's last lines (a secret was removed):
<pre>03:12:26 backup: 712 of 1311 files copied
03:12:26 backup: rsync: write failed on \"&lt;a&amp;b&gt;\": No space left on device (28)</pre>

<code>systemctl status backup.service</code>
<code>sysalert explain backup.service</code>

https://wiki.example.org/backup";
    assert_eq!(text.html, expected);
    assert_eq!(parsed(&text.html), Ok(text.plain));
}

#[test]
fn a_message_arrives_where_and_as_the_section_says() {
    let server = Server::start(bot_api);
    let mut section = to(&server);
    section["topic"] = json!(42);
    section["silent"] = json!(true);
    let mut request = request(section);
    for (kind, severity, silent) in [
        (Kind::Failure, "critical", Value::Null),
        (Kind::Failure, "info", json!(true)),
        (Kind::Recovery, "critical", json!(true)),
        (Kind::Test, "critical", json!(true)),
    ] {
        request.kind = kind;
        request.incident.as_mut().expect("an incident").severity = severity.into();
        assert_eq!(Telegram::failure(&request), Answer::Sent(format!("{} took it (200 message 77)", server.url(""))));
        let body = server.heard().pop().expect("a call").json();
        assert_eq!((&body["chat_id"], &body["message_thread_id"]), (&json!(-1_001_234_567_890_i64), &json!(42)));
        assert_eq!((&body["disable_notification"], &body["link_preview_options"]["is_disabled"]), (&silent, &json!(true)));
    }
    // of all in a digest the worst counts
    let mut digest = request.clone();
    digest.kind = Kind::Digest;
    let incident = digest.incident.take().expect("an incident");
    for (kind, silent) in [(Kind::Recovery, json!(true)), (Kind::Failure, Value::Null)] {
        digest.incidents = sysalert_abi::testing::members(&incident, &[(Kind::Recovery, "critical"), (kind, "critical")]);
        assert!(matches!(Telegram::failure(&digest), Answer::Sent(_)));
        assert_eq!(server.heard().pop().expect("a call").json()["disable_notification"], silent);
    }
    // General
    request.config.insert("topic".into(), json!(1));
    assert!(matches!(Telegram::failure(&request), Answer::Sent(_)));
    request.config.insert("silent".into(), json!(false));
    request.config.insert("chat".into(), json!("@alerts"));
    assert!(matches!(Telegram::failure(&request), Answer::Sent(_)));
    let body = server.heard().pop().expect("a call").json();
    assert_eq!((&body["chat_id"], &body["disable_notification"]), (&json!("@alerts"), &Value::Null));
}

#[test]
fn own_words_are_sent_as_they_are() {
    let mut request = request(json!({}));
    request.message.own = vec!["subject".into(), "text".into()];
    request.message.subject = "[web1] it broke".into();
    request.message.text = "[web1] it broke\n\n> <one>\n> two\n".into();
    assert_eq!(compose(&request).html, "<b>[web1] it broke</b>\n\n&gt; &lt;one&gt;\n&gt; two");
}

#[test]
fn a_log_is_cut_at_its_beginning_and_a_digest_at_its_end() {
    let mut long = request(json!({}));
    long.message.parts.excerpt = (0..5000).map(|number| format!("line {number} 💥 <&>")).collect();
    let text = compose(&long);
    assert!(
        text.plain.contains("earlier lines left out]\nline ") && text.plain.contains("line 4999 💥 <&>\n\nsystemctl"),
        "{}",
        text.plain
    );
    let units = utf16_units(&text.plain);
    assert!((3900..=4096).contains(&units), "{units}: the room is used");

    let mut digest = request(json!({}));
    digest.message.parts.excerpt.clear();
    let lines = (0..500).map(|number| format!("03:12:26  unit-{number}.service: exited with status 3")).collect();
    digest.message.parts.lists = vec![List { title: "What failed".into(), lines }];
    let text = compose(&digest);
    assert!(text.plain.contains("What failed:\n03:12:26  unit-0.service") && text.plain.contains("lines left out]\n\nsystemctl"));
    assert!((3900..=4096).contains(&utf16_units(&text.plain)));
}

#[test]
fn five_hundred_nasty_messages_arrive_and_none_has_broken_markup() {
    // one certificate is read faster than the system's store
    let certificate = Certificate::valid("IP:127.0.0.1");
    let server = Server::start(bot_api);
    let mut section = to(&server);
    section["ca"] = json!(certificate.path());
    for (number, request) in nasty_requests(&section).enumerate() {
        let answer = Telegram::failure(&request);
        assert!(matches!(answer, Answer::Sent(_)), "{number}: {answer:?}");
        assert_eq!(server.heard().len(), number + 1, "the markup was refused, and it came as plain text");
    }
    assert_eq!(server.heard().len(), NASTY);
}

#[test]
fn the_lines_in_the_documentation_and_the_example_work() {
    for text in [include_str!("../../../docs/methods.md"), include_str!("../example.toml")] {
        let start = text.find("[method.telegram]").or(text.find("[method.phone]\nplugin = \"telegram\"")).expect("the lines");
        let block = text[start..].split("```").next().expect("a block");
        let all: Value = toml::from_str(block).unwrap_or_else(|error| panic!("{error}"));
        let (_, section) = all["method"].as_object().and_then(|methods| methods.iter().next()).expect("a method");
        let mut section = section.clone();
        let server = Server::start(bot_api);
        assert!(section["token"].is_object(), "a secret is kept elsewhere");
        section["token"] = json!(TOKEN);
        section["api"] = json!(server.url(""));
        section.as_object_mut().map(|keys| keys.remove("plugin"));
        let answer = Telegram::failure(&request(section));
        assert!(matches!(answer, Answer::Sent(_)), "{answer:?}");
    }
}

#[test]
fn markup_that_is_refused_goes_out_as_plain_text() {
    let server = Server::start(|heard: &Heard| match heard.json()["parse_mode"].as_str() {
        Some(_) => no(400, "Bad Request: can't parse entities: Unsupported start tag \"pre\" at byte offset 99"),
        None => bot_api(heard),
    });
    let request = request(to(&server));
    assert!(matches!(Telegram::failure(&request), Answer::Sent(_)));
    let heard = server.heard();
    assert_eq!((heard.len(), heard[1].json()["text"].as_str()), (2, Some(compose(&request).plain.as_str())));
}

#[test]
fn an_error_says_who_must_do_what_and_never_the_token() {
    let moved = json!({
        "ok": false, "error_code": 400, "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": {"migrate_to_chat_id": -1_009_876_543_210_i64}
    });
    let flood = json!({
        "ok": false, "error_code": 429, "description": "Too Many Requests: retry after 17", "parameters": {"retry_after": 17}
    });
    for (act, expected) in [
        (
            Act::say(429, flood.to_string()),
            "Retry(\"S cannot take the message now (429 Too Many Requests: retry after 17)\", Some(17))",
        ),
        (no(500, "Internal Server Error"), "Retry(\"S cannot take the message now (500 Internal Server Error)\", None)"),
        (
            Act::say(200, "<html>please log in</html>"),
            "Retry(\"S cannot take the message now (200 no answer of the Bot API)\", None)",
        ),
        (
            Act::say(400, moved.to_string()),
            "Refused(\"S refused the message (400 Bad Request: group chat was upgraded to a supergroup chat): the group has another \
             number now: set `chat` to \\\"-1009876543210\\\"\")",
        ),
        (no(401, "Unauthorized"), "Refused(\"S refused the message (401 Unauthorized): check `token`: @BotFather"),
        (no(404, "Not Found"), "Refused(\"S refused the message (404 Not Found): check `token`"),
        (
            no(403, "Forbidden: bot was kicked from the supergroup chat"),
            "Refused(\"S refused the message (403 Forbidden: bot was kicked from the supergroup chat): the bot may not write there: add it",
        ),
        (
            no(400, "Bad Request: chat not found"),
            "Refused(\"S refused the message (400 Bad Request: chat not found): check `chat`",
        ),
        (
            no(400, "Bad Request: message thread not found"),
            "Refused(\"S refused the message (400 Bad Request: message thread not found): check `topic`",
        ),
        (
            no(400, "Bad Request: not enough rights to send text messages to the chat"),
            "Refused(\"S refused the message (400 Bad Request: not enough rights to send text messages to the chat): let the bot write",
        ),
        (Act::Cut, "Retry(\"S cut the connection before it answered ("),
        (no(400, &format!("no such thing as /bot{TOKEN}/sendMessage")), "Refused(\"S refused the message (400 no such thing as"),
        (
            Act::say(302, "").with(&format!("Location: https://elsewhere.example/bot{TOKEN}/")),
            "Refused(\"S sends the call on to https://elsewhere.example (302",
        ),
    ] {
        let server = Server::start(move |_| act.clone());
        let said = format!("{:?}", Telegram::failure(&request(to(&server)))).replace(&server.url(""), "S");
        assert!(said.starts_with(expected), "{said}\n{expected}");
        assert!(!said.contains(TOKEN) && !said.contains("AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"), "{said}");
    }
    let nobody = json!({"token": TOKEN, "chat": "1", "api": "http://nobody.invalid", "unencrypted": true});
    let said = format!("{:?}", Telegram::failure(&request(nobody)));
    assert!(said.starts_with("Retry(\"http://nobody.invalid: the name cannot be resolved") && !said.contains("AAH"), "{said}");
}

#[test]
fn a_wrong_section_is_refused_with_the_key() {
    for (section, expected) in [
        (json!({}), "missing field `token`"),
        (json!({"token": TOKEN}), "missing field `chat`"),
        (json!({"token": "hunter2", "chat": "1"}), "`token` must be as @BotFather gave it"),
        (json!({"token": "1:hunter2/../x", "chat": "1"}), "`token` must be as @BotFather gave it"),
        (json!({"token": TOKEN, "chat": "alerts"}), "`chat` must be a chat's number, or a channel's @NAME"),
        (json!({"token": TOKEN, "chat": "1", "api": "localhost"}), "`api` must be a whole address"),
        (
            json!({"token": TOKEN, "chat": "1", "api": "http://192.0.2.1"}),
            "a secret goes there only encrypted: begin `api` with https://",
        ),
        (json!({"token": TOKEN, "chat": "1", "topic": "x"}), "`topic` must be u64"),
        (json!({"token": TOKEN, "chat": "1", "chats": "2"}), "unknown field `chats`"),
    ] {
        let Answer::Refused(text) = Telegram::failure(&request(section.clone())) else { panic!("{section} was taken") };
        assert!(text.contains(expected) && !text.contains("hunter2"), "{section}: {text}");
    }
}

#[test]
fn the_server_is_reached_without_the_token() {
    let server = Server::start(|_| Act::say(404, ""));
    for token in [TOKEN, "elsewhere"] {
        let reached = Telegram::reach(&request(json!({"token": token, "chat": "5", "api": server.url("")})));
        assert_eq!(reached, Ok(format!("{} answers", server.url(""))));
    }
    assert!(server.heard().iter().all(|heard| heard.method == "HEAD" && heard.target == "/"), "{:?}", server.heard());
}
