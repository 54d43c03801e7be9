//! A body of one's own: a template whose values can never break out of their place.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use form_urlencoded::byte_serialize;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sysalert_abi::{Fact, Failure, Incident, List, Message, Parts, Request, one_line};

use crate::words::id;

/// What a body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// `application/json`.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `text/plain`.
    Text,
}

impl Format {
    /// As in Content-Type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Form => "application/x-www-form-urlencoded",
            Format::Text => "text/plain; charset=utf-8",
        }
    }
}

/// What is sent where no body is configured.
const USUAL: &str = r#"{
    "kind": {{ kind }}, "host": {{ host }}, "unit": {{ unit }}, "severity": {{ severity }}, "subject": {{ subject }},
    "text": {{ text }}, "journal": {{ journal }}, "incident": {{ incident }}, "failures": {{ failures }},
    "id": {{ id }}
}"#;
const USUAL_FORM: &str = "kind={{ kind }}&host={{ host }}&unit={{ unit }}&severity={{ severity }}&subject={{ subject }}\
    &text={{ text }}&id={{ id }}";
/// So many steps a template may take, and so many bytes it may give.
const FUEL: u64 = 500_000;
const LONGEST: usize = 4 << 20;
/// Around the number of a text that waits for its place: private characters, which no template needs.
const MARKS: [char; 2] = ['\u{f8f0}', '\u{f8f1}'];

/// What a template can name: as in `text_template`, and what a program wants to know.
#[derive(Serialize)]
struct Variables<'a> {
    kind: &'a str,
    host: &'a str,
    unit: &'a str,
    severity: &'a str,
    id: String,
    subject: &'a str,
    text: &'a str,
    html: &'a str,
    markdown: &'a str,
    journal: &'a str,
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

/// The body that this template makes of the message; the usual one without a template.
///
/// # Errors
/// What is wrong with the template, as the end of "`body` cannot be used: ...".
pub(crate) fn render(template: Option<&str>, format: Format, request: &Request) -> Result<Vec<u8>, String> {
    let template = template.unwrap_or(match format {
        Format::Json => USUAL,
        Format::Form => USUAL_FORM,
        Format::Text => "{{ text }}",
    });
    let texts = Arc::new(Mutex::new(Vec::new()));
    let environment = environment(format, Arc::clone(&texts));
    let template = environment.template_from_str(template).map_err(|error| told(&error))?;
    let mut bounded = Bounded(Vec::new());
    template.render_captured_to(Serde(variables(request)), &mut bounded).map_err(|error| told(&error))?;
    let rendered = String::from_utf8(bounded.0).map_err(|_| "it gives no text".to_owned())?;
    if format != Format::Json {
        return Ok(rendered.into_bytes());
    }
    let json = filled(&rendered, &texts.lock().unwrap_or_else(PoisonError::into_inner));
    match serde_json::from_str::<IgnoredAny>(&json) {
        Ok(_) => Ok(json.into_bytes()),
        Err(error) => Err(format!("it gives no JSON: {error}; only a text may stand between quotation marks")),
    }
}

fn variables(request: &Request) -> Variables<'_> {
    let Message { subject, text, html, markdown, journal, parts, own: _ } = &request.message;
    let Parts { lead, facts, see, excerpt_title, excerpt, note, lists, commands } = parts;
    Variables {
        kind: request.kind.as_str(),
        host: &request.host,
        unit: &request.service_name,
        severity: request.incident.as_ref().map_or("", |incident| &incident.severity),
        id: id(request),
        subject,
        text,
        html,
        markdown,
        journal,
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
    }
}

/// Texts of a JSON body are written as numbers first: only when all of it is there can be seen what is inside of quotation
/// marks, and what is not.
fn environment<'a>(format: Format, texts: Arc<Mutex<Vec<String>>>) -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // a tag on a line of its own leaves no blank line behind
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.unwrap_or_default());
    // what a block or a macro gave is done already
    environment.set_auto_escape_callback(|_| AutoEscape::Custom(Cow::Borrowed("body")));
    environment.add_filter("tojson", |value: minijinja::Value| json(&value).map(minijinja::Value::from_safe_string));
    environment.set_formatter(move |out, _, value| {
        if value.is_undefined() {
            return Err(ErrorKind::UndefinedError.into());
        }
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let written = match format {
            // what `tojson` or a block gave
            _ if value.is_safe() => write!(out, "{shown}"),
            Format::Text => write!(out, "{shown}"),
            Format::Form => byte_serialize(shown.as_bytes()).try_for_each(|part| out.write_str(part)),
            Format::Json if value.as_str().is_some() => {
                let mut texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
                texts.push(shown);
                write!(out, "{}{}{}", MARKS[0], texts.len() - 1, MARKS[1])
            }
            // a number, a truth value, nothing, a list, an object
            Format::Json => out.write_str(&json(value)?),
        };
        written.map_err(Into::into)
    });
    environment
}

/// A value as JSON of its own.
fn json(value: &minijinja::Value) -> Result<String, minijinja::Error> {
    let json =
        serde_json::to_string(value).map_err(|error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    // what looks like a text that waits is none
    Ok(json.replace(MARKS[0], &format!("\\u{:04x}", u32::from(MARKS[0]))))
}

/// The JSON with its texts: inside of a string each is a part of it, elsewhere a string of its own.
fn filled(rendered: &str, texts: &[String]) -> String {
    let mut json = String::with_capacity(rendered.len());
    let (mut inside, mut escaping) = (false, false);
    let mut rest = rendered;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == MARKS[0] {
            let (number, after) = rest.split_once(MARKS[1]).unwrap_or((rest, ""));
            let text = number.parse::<usize>().ok().and_then(|number| texts.get(number)).map_or("", String::as_str);
            let quoted = serde_json::Value::from(text).to_string();
            json.push_str(if inside { &quoted[1..quoted.len() - 1] } else { &quoted });
            rest = after;
            continue;
        }
        inside ^= c == '"' && !escaping;
        escaping = inside && c == '\\' && !escaping;
        json.push(c);
    }
    json
}

/// The engine's error as half a sentence: what, and in which line.
fn told(error: &minijinja::Error) -> String {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, None) => "a variable or a field that is not there".to_owned(),
        (ErrorKind::OutOfFuel, _) => "it takes too many steps".to_owned(),
        (ErrorKind::WriteFailure, _) => format!("it gives more than {} MiB", LONGEST >> 20),
        (kind, None) => kind.to_string(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
    };
    let what = one_line(&what, 300);
    error.line().map_or_else(|| what.clone(), |line| format!("{what} (line {line})"))
}

struct Bounded(Vec<u8>);

impl io::Write for Bounded {
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
