//! A method's own words: its templates in place of the forms that a message has by itself.
//!
//! Strict: a misspelt variable is an error and not a gap. Bounded: in steps and in length, but not in memory, so that whoever
//! renders one does it in a child process. Whatever is wrong, the message goes out in its usual form and says so: a template must
//! not cost an alert.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, Output, State, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sysalert_abi::{Fact, Failure, Incident, Kind, List, Message, Parts, Request};

use super::{html, markdown, visible};
use crate::config::{self, Key, Values};

/// `[method.NAME]` has these, too.
pub const KEYS: &[Key] = &[
    Key::new("subject_template", config::Kind::Template, "", "the subject in your words"),
    Key::new("text_template", config::Kind::Template, "", "the plain text in your words"),
    Key::new("html_template", config::Kind::Template, "", "the HTML in your words; values are escaped"),
    Key::new(
        "markdown_template",
        config::Kind::Template,
        "",
        "the Markdown in your words, for the webhook's `body`; values are escaped",
    ),
];

/// So many steps a template may take.
const FUEL: u64 = 500_000;
/// So many bytes it may give.
const LONGEST: usize = 512 * 1024;

/// A form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Form {
    /// One line.
    Subject,
    /// Plain text.
    Text,
    /// An HTML document.
    Html,
    /// Markdown.
    Markdown,
}

impl Form {
    /// In the order of [`KEYS`].
    const ALL: [Form; 4] = [Form::Subject, Form::Text, Form::Html, Form::Markdown];

    /// Its key in the method's section.
    pub fn key(self) -> &'static str {
        match self {
            Form::Subject => "subject_template",
            Form::Text => "text_template",
            Form::Html => "html_template",
            Form::Markdown => "markdown_template",
        }
    }
}

/// Where a template stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// In the configuration.
    Inline(String),
    /// In this file.
    File(String),
}

/// The templates that a method has.
pub type Templates = Vec<(Form, Source)>;

/// Reads them from valid settings.
pub fn templates(values: &Values<'_>) -> Templates {
    let source = |form: Form| {
        let inline = values.text(form.key()).map(Source::Inline);
        inline.or_else(|| values.file(form.key()).map(Source::File)).map(|source| (form, source))
    };
    Form::ALL.into_iter().filter_map(source).collect()
}

/// What a template can name. `{{ debug() }}` is not there: it would show what nobody has redacted.
#[derive(Serialize)]
struct Variables<'a> {
    kind: Kind,
    host: &'a str,
    unit: &'a str,
    subject: &'a str,
    text: &'a str,
    lead: &'a str,
    facts: &'a [Fact],
    see: &'a [String],
    excerpt_title: &'a str,
    excerpt: &'a [String],
    note: &'a str,
    lists: &'a [List],
    commands: &'a [String],
    incident: Option<&'a Incident>,
    failures: &'a [Failure],
}

/// The message with a form of it in a method's own words.
pub fn in_words(mut message: Message, form: Form, text: String) -> Message {
    match form {
        Form::Subject => message.subject = text,
        Form::Text => message.text = text,
        Form::Html => message.html = text,
        Form::Markdown => message.markdown = text,
    }
    message.own.push(form.key().trim_end_matches("_template").to_owned());
    message
}

/// What is wrong with a template, before there is a message for it.
pub fn complaint(form: Form, template: &str) -> Option<String> {
    environment(form).template_from_str(template).err().map(|error| told(&error))
}

/// What is wrong with a template when it is tried on a failure, as messages usually are.
pub fn trial(form: Form, template: &str) -> Option<String> {
    let time = "2026-01-05T10:00:00Z";
    let sample = json!({
        "schema": 1, "nonce": "", "kind": "failure", "host": "web1", "service_name": "backup.service",
        "failures": [{
            "service_result": "exit-code", "exit_code": "exited", "exit_status": "3", "invocation_id": "0",
            "timestamp": time, "alert_method": null, "triggered_by": "backup.timer"
        }],
        "incident": {
            "id": 1, "subject": "unit:backup.service", "manager": "system", "state": "open", "severity": "critical",
            "failures": 1, "first_failure": time, "last_failure": time
        },
        "message": {
            "subject": "backup.service failed", "text": "It failed.", "html": "", "markdown": "", "journal": "a line",
            "parts": { "lead": "It failed.", "excerpt": ["a line"], "facts": [{ "label": "Host", "value": "web1" }] }
        },
        "idempotency_key": "", "deadline_ms": 0, "config": {}
    });
    serde_json::from_value(sample).ok().and_then(|request: Request| render(form, template, &request).err())
}

/// One form of a request's message.
///
/// # Errors
/// What is wrong with the template, as half a sentence.
pub fn render(form: Form, template: &str, request: &Request) -> Result<String, String> {
    let Message { subject, text, parts, .. } = &request.message;
    let Parts { lead, facts, see, excerpt_title, excerpt, note, lists, commands } = parts;
    let variables = Variables {
        kind: request.kind,
        host: &request.host,
        unit: &request.service_name,
        subject,
        text,
        lead,
        facts,
        see,
        excerpt_title,
        excerpt,
        note,
        lists,
        commands,
        incident: request.incident.as_ref(),
        failures: &request.failures,
    };
    let environment = environment(form);
    let template = environment.template_from_str(template).map_err(|error| told(&error))?;
    let mut bounded = Bounded(Vec::new());
    template.render_captured_to(Serde(variables), &mut bounded).map_err(|error| told(&error))?;
    let text = String::from_utf8(bounded.0).map_err(|_| "it gives no text".to_owned())?;
    match form {
        Form::Subject => match visible(text.trim().as_bytes()) {
            empty if empty.is_empty() => Err("it gives an empty subject".to_owned()),
            line => Ok(line),
        },
        _ if text.trim().is_empty() => Err("it gives an empty message".to_owned()),
        _ => Ok(text),
    }
}

fn environment<'a>(form: Form) -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // a tag on a line of its own leaves no blank line behind
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.unwrap_or_default());
    environment.set_auto_escape_callback(move |_| match form {
        Form::Html => AutoEscape::Html,
        Form::Markdown => AutoEscape::Custom(Cow::Borrowed("markdown")),
        Form::Subject | Form::Text => AutoEscape::None,
    });
    environment.set_formatter(escaping);
    environment.add_filter("fenced", |lines: Vec<String>| Value::from_safe_string(markdown::fenced(&lines)));
    environment
}

/// Every value as its form wants it: what a unit or its log says stays text.
fn escaping(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    let text = value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed);
    let text = match state.auto_escape() {
        _ if value.is_safe() => text,
        AutoEscape::Html => Cow::Owned(html::escaped(&text)),
        AutoEscape::Custom(_) => Cow::Owned(markdown::escaped(&text)),
        _ => text,
    };
    fmt::Write::write_str(out, &text).map_err(Into::into)
}

/// The engine's error as half a sentence: what, and in which line.
fn told(error: &minijinja::Error) -> String {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, None) => "a variable or a field that is not there".to_owned(),
        (ErrorKind::OutOfFuel, _) => "it takes too many steps".to_owned(),
        (ErrorKind::WriteFailure, _) => format!("it gives more than {} KiB", LONGEST / 1024),
        (kind, None) => kind.to_string(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
    };
    let what = visible(what.as_bytes());
    error.line().map_or_else(|| what.clone(), |line| format!("{what} (line {line})"))
}

struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Banner, Letter};

    fn request() -> Request {
        let letter = Letter {
            subject: "backup.service failed on web1".into(),
            banner: Banner::default(),
            lead: "backup.service on web1 failed.".into(),
            facts: vec![("Host", "web1".into()), ("Started by", "<b>*nobody*</b>".into())],
            excerpt: vec!["03:12:26 rsync: ```".into(), "03:12:27 [done](http://x)".into()],
            ..Letter::default()
        };
        let json = serde_json::json!({
            "schema": 1, "nonce": "the-nonce", "kind": "failure", "host": "web1", "service_name": "backup.service",
            "failures": [], "incident": null, "message": letter.render(), "idempotency_key": "k", "deadline_ms": 1,
            "config": {"password": "hunter2"},
        });
        serde_json::from_value(json).unwrap()
    }

    fn given(form: Form, template: &str) -> Result<String, String> {
        assert_eq!(complaint(form, template), None, "{template}");
        render(form, template, &request())
    }

    #[test]
    fn every_value_is_escaped_as_its_form_wants() {
        let facts = "{% for fact in facts %}\n{{ fact.label }}={{ fact.value }}\n{% endfor %}\n";
        for (form, template, expected) in [
            (Form::Subject, "[{{ host }}] {{ unit }} {{ kind }}\n", "[web1] backup.service failure"),
            (Form::Subject, "{{ unit }}\n{{ host }}", "backup.service\\nweb1"),
            (Form::Text, facts, "Host=web1\nStarted by=<b>*nobody*</b>\n"),
            (Form::Html, facts, "Host=web1\nStarted by=&lt;b&gt;*nobody*&lt;/b&gt;\n"),
            (Form::Markdown, facts, "Host=web1\nStarted by=\\<b\\>\\*nobody\\*\\</b\\>\n"),
            (Form::Markdown, "{{ excerpt | fenced }}", "````\n03:12:26 rsync: ```\n03:12:27 [done](http://x)\n````"),
            (Form::Text, "{{ excerpt | join('|') }}", "03:12:26 rsync: ```|03:12:27 [done](http://x)"),
            (Form::Html, "<p>{{ lead | upper }}</p>", "<p>BACKUP.SERVICE ON WEB1 FAILED.</p>"),
        ] {
            assert_eq!(given(form, template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_wrong_is_a_sentence() {
        for (template, why) in [
            ("{{ hots }}", "a variable or a field that is not there (line 1)"),
            ("\n{{ incident.id }}", "(line 2)"),
            ("{{ config.password }}", "not there (line 1)"),
            ("{{ nonce }}", "not there (line 1)"),
            ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "it takes too many steps (line 1)"),
            ("{% for a in range(9999) %}{{ text }}{% endfor %}", "it gives more than 512 KiB"),
            ("  {{ '' }}", "it gives an empty message"),
            ("{{ unit | no_filter }}", "unknown filter"),
        ] {
            let why_not = render(Form::Text, template, &request()).unwrap_err();
            assert!(why_not.contains(why), "{template}: {why_not}");
        }
        assert_eq!(trial(Form::Text, "{{ incident.severity }} {{ failures[0].exit_status }} {{ facts[0].value }}"), None);
        assert!(trial(Form::Text, "{{ incident.sujbect }}").is_some());
        assert!(
            complaint(Form::Text, "one\n{% if %}")
                .is_some_and(|why| why.starts_with("syntax error") && why.ends_with("(line 2)"))
        );
    }
}
