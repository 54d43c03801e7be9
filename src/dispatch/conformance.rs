//! `sysalert methods check`: whether a plugin is one that dispatch can rely on. It is loaded and asked as for real, in child
//! processes.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sysalert_abi::{Reply, Status};

use super::check::{Described, described};
use super::plugin;
use crate::host::{library, names};
use crate::settings::METHOD_KEYS;

/// What was looked at, and what came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What was found; an error says who must do what.
    pub found: Result<String, String>,
}

/// A plugin has so long for its answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// A sentence has no more characters.
const SENTENCE: usize = 2000;

/// Looks at everything; ends early when the plugin cannot be loaded. The requests bear this section of a configuration.
pub fn check(path: &Path, config: &Map<String, Value>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let file = library::open(path).map(|_| "nobody but root and its owner can change it".to_owned());
    let description = match &file {
        Ok(_) => plugin::describe(path),
        Err(_) => return vec![Finding { what: "file", found: file }],
    };
    findings.push(Finding { what: "file", found: file });
    let description = match description {
        Ok(description) => description,
        Err(why) => {
            findings.push(Finding { what: "interface", found: Err(why) });
            return findings;
        }
    };
    let keys = described(&description);
    findings.extend([
        Finding { what: "interface", found: Ok(format!("version {} of it, as sysalert speaks", sysalert_abi::ABI)) },
        Finding { what: "name", found: name(path, &description.name) },
        Finding { what: "version", found: version(&description.version) },
        Finding { what: "settings", found: keys.as_ref().map_err(Clone::clone).and_then(|keys| settings(keys.as_deref())) },
    ]);
    let missing = missing(keys.ok().flatten().as_deref().unwrap_or_default(), config);
    let missing = missing.as_deref();
    thread::scope(|scope| {
        // side by side, so that one that hangs at each is known after one deadline
        let ask = |(what, requests): (_, Vec<Value>)| (what, scope.spawn(move || answers(path, &requests, missing)));
        let asked: Vec<_> = questions(config).into_iter().map(ask).collect();
        findings.extend(asked.into_iter().map(|(what, answer)| {
            let found = answer.join().unwrap_or_else(|_| Err("sysalert itself failed at this question".to_owned()));
            Finding { what, found }
        }));
    });
    findings
}

fn name(path: &Path, name: &str) -> Result<String, String> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)) {
        return Err(format!("`name` is {:?}: its author must set one of a-z, 0-9, - and _", shown(name)));
    }
    if name != stem {
        return Err(format!("`name` is {name}, but the file's is {stem}: call it {name}.so"));
    }
    Ok(name.to_owned())
}

fn version(version: &str) -> Result<String, String> {
    if version.is_empty() || version.chars().any(char::is_control) || version.chars().count() > 100 {
        return Err(format!("`version` is {:?}: its author must set a short text", shown(version)));
    }
    Ok(version.to_owned())
}

/// What is wrong with the keys that it tells.
fn settings(keys: Option<&[Described]>) -> Result<String, String> {
    let Some(keys) = keys else { return Ok("it tells no keys, so that nobody finds a mistyped one".to_owned()) };
    let mut complaints = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        let name = shown(&key.name);
        if key.name.is_empty() || keys[..number].iter().any(|other| other.name == key.name) {
            complaints.push(format!("the name {name:?} is empty or there twice"));
        }
        if METHOD_KEYS.iter().any(|ours| ours.name == key.name) {
            complaints.push(format!("`{name}` is a key of sysalert's own for every method"));
        }
        match key.kind() {
            None => complaints.push(format!("`{name}` has the unknown type {:?}", shown(&key.kind))),
            Some(crate::config::Kind::Choice(values)) if values.is_empty() => {
                complaints.push(format!("`{name}` is a choice without values"));
            }
            Some(_) => {}
        }
    }
    if complaints.is_empty() {
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        return Ok(if names.is_empty() { "none".to_owned() } else { names.join(", ") });
    }
    Err(format!("{}: its author must mend `settings`", complaints.join("; ")))
}

/// The first key that the plugin requires and the section lacks.
fn missing(keys: &[Described], config: &Map<String, Value>) -> Option<String> {
    keys.iter().find(|key| key.required && !config.contains_key(&key.name)).map(|key| key.name.clone())
}

/// The requests, those of one question for one process.
fn questions(config: &Map<String, Value>) -> Vec<(&'static str, Vec<Value>)> {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut request = request(config);
        change(&mut request);
        request
    };
    let plain = || with(&|_| ());
    let recovery = || with(&|request| request["kind"] = "recovery".into());
    let later = with(&|request| {
        request["a_later_field"] = json!({"text": "\"nonce\":\"another\",\"kind\":\"recovery\"", "list": [1, null, {}]});
        request["message"]["a_later_form"] = "x".into();
        request["incident"]["a_later_fact"] = Value::Null;
    });
    let bare = with(&|request| {
        request["incident"] = Value::Null;
        request["failures"] = json!([]);
        request["message"] = json!({"subject": "", "text": "", "html": "", "markdown": "", "journal": ""});
    });
    let long = with(&|request| {
        let line = format!("{}\n", "x".repeat(1 << 20));
        for form in ["text", "html", "markdown", "journal"] {
            request["message"][form] = line.clone().into();
        }
    });
    let unicode = with(&|request| {
        let all: String = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
        request["message"]["text"] = all.into();
        request["service_name"] = "\0\"\\\n</b>%s%n$(x)\u{202e}\u{1f525}".into();
    });
    vec![
        ("a test message", vec![plain()]),
        ("a recovery", vec![recovery()]),
        ("a message without anything in it", vec![bare]),
        ("fields of a later version", vec![later]),
        ("a message of 1 MB", vec![long]),
        ("all of Unicode", vec![unicode]),
        ("three calls of one process", vec![plain(), recovery(), plain()]),
    ]
}

pub(super) fn request(config: &Map<String, Value>) -> Value {
    let subject = "sysalert methods check: this message tries a plugin";
    json!({
        "schema": sysalert_abi::SCHEMA, "nonce": names::nonce(), "kind": "test", "host": names::host(),
        "service_name": "sysalert-check.service",
        "failures": [{
            "service_result": "exit-code", "exit_code": "exited", "exit_status": "3", "invocation_id": null,
            "timestamp": "2026-11-21T06:40:00Z", "alert_method": null, "triggered_by": null
        }],
        "incident": {
            "id": 1, "subject": "unit:sysalert-check.service", "manager": "system", "state": "open", "severity": "info",
            "failures": 1, "first_failure": "2026-11-21T06:40:00Z", "last_failure": "2026-11-21T06:40:00Z"
        },
        "message": {
            "subject": subject, "text": format!("{subject}\n"), "html": format!("<p>{subject}</p>"), "markdown": subject,
            "journal": ""
        },
        "idempotency_key": format!("check.{}", names::nonce()),
        "deadline_ms": u64::try_from(DEADLINE.as_millis()).unwrap_or(u64::MAX),
        "config": config,
    })
}

/// The last answer's sentence, if all are as they must be.
fn answers(path: &Path, requests: &[Value], missing: Option<&str>) -> Result<String, String> {
    let replies = plugin::ask(path, requests, DEADLINE).map_err(|why| format!("{why}: its author must mend that"))?;
    let mut last = String::new();
    for (request, reply) in requests.iter().zip(&replies) {
        last = answer(request, reply, missing)?;
    }
    if replies.len() < requests.len() { Err("it did not answer each request".to_owned()) } else { Ok(last) }
}

fn answer(request: &Value, reply: &Reply, missing: Option<&str>) -> Result<String, String> {
    if request["nonce"] != reply.nonce.as_str() {
        let its = shown(&reply.nonce);
        return Err(format!("it answered with the nonce {its:?} instead of {}: its author must copy it", request["nonce"]));
    }
    let detail = &reply.detail;
    if detail.trim().is_empty() || detail.chars().any(char::is_control) || detail.chars().count() > SENTENCE {
        return Err(format!("`detail` is {:?}: its author must tell the administrator a sentence, in one line", shown(detail)));
    }
    let word = match reply.status {
        Status::Sent => "sent",
        Status::Retry => "retry",
        Status::Refused => "refused",
    };
    if let (Some(key), Status::Sent | Status::Retry) = (missing, reply.status) {
        return Err(format!(
            "it answered \"{word}\" without the key `{key}`, which it requires: its author must answer \"refused\""
        ));
    }
    Ok(format!("{word}: {detail}"))
}

/// A plugin's text as it may be shown.
fn shown(text: &str) -> String {
    sysalert_abi::one_line(text, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(json: &str) -> Result<String, String> {
        let description = plugin::Description { name: "x".into(), version: "1".into(), settings: Some(json.into()) };
        described(&description).and_then(|keys| settings(keys.as_deref()))
    }

    #[test]
    fn keys_are_looked_at_one_by_one() {
        let end = ": its author must mend `settings`";
        for (json, expected) in [
            ("[]", Ok("none")),
            (r#"[{"name": "a", "type": "text"}, {"name": "b", "type": "choice", "values": ["x"]}]"#, Ok("a, b")),
            (r#"[{"name": "a", "type": "text"}, {"name": "a", "type": "text"}]"#, Err("the name \"a\" is empty or there twice")),
            (r#"[{"name": "timeout", "type": "text"}]"#, Err("`timeout` is a key of sysalert's own for every method")),
            (r#"[{"name": "a", "type": "string"}]"#, Err("`a` has the unknown type \"string\"")),
            (r#"[{"name": "a", "type": "choice"}]"#, Err("`a` is a choice without values")),
        ] {
            let expected = expected.map(str::to_owned).map_err(|text| format!("{text}{end}"));
            assert_eq!(keys(json), expected, "{json}");
        }
        for json in ["{}", "[1]", "[{\"name\": \"a\"}]", "["] {
            assert!(keys(json).is_err_and(|why| why.starts_with("`settings` is no array of keys")), "{json}");
        }
    }

    #[test]
    fn an_answer_is_to_this_request_and_a_sentence() {
        let request = json!({"nonce": "n"});
        let reply = |nonce: &str, status, detail: &str| Reply {
            nonce: nonce.to_owned(),
            status,
            detail: detail.to_owned(),
            retry_after: None,
            again_after: None,
        };
        assert_eq!(answer(&request, &reply("n", Status::Sent, "as 7"), None), Ok("sent: as 7".into()));
        assert_eq!(answer(&request, &reply("n", Status::Refused, "no path"), Some("path")), Ok("refused: no path".into()));
        for (reply, missing, expected) in [
            (reply("m", Status::Sent, "x"), None, "the nonce \"m\" instead of \"n\""),
            (reply("n", Status::Sent, " "), None, "must tell the administrator a sentence"),
            (reply("n", Status::Sent, "a\u{1b}[2J"), None, "must tell the administrator a sentence"),
            (reply("n", Status::Sent, "x"), Some("path"), "it answered \"sent\" without the key `path`"),
            (reply("n", Status::Retry, "x"), Some("path"), "it answered \"retry\" without the key `path`"),
        ] {
            let found = answer(&request, &reply, missing);
            assert!(found.as_ref().is_err_and(|why| why.contains(expected)), "{expected}: {found:?}");
        }
    }

    #[test]
    fn a_name_is_that_of_the_file() {
        assert_eq!(name(Path::new("/x/bell.so"), "bell"), Ok("bell".into()));
        assert!(name(Path::new("/x/ring.so"), "bell").is_err_and(|why| why.ends_with("call it bell.so")));
        for bad in ["", "Bell", "be/ll", "a b"] {
            assert!(name(Path::new("/x/bell.so"), bad).is_err_and(|why| why.starts_with("`name` is ")), "{bad}");
        }
        assert!(version("").is_err() && version("1\n2").is_err() && version("1.0").is_ok());
    }
}
