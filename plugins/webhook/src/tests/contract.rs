//! What a contract is, and what all contracts share.

use serde_json::Value;
use sysalert_http::testing::{Act, Heard, Server};

/// What a channel documents.
pub(super) struct Contract {
    /// The preset.
    pub(super) name: &'static str,
    /// The address behind the server's name, as an administrator copies it.
    pub(super) path: &'static str,
    /// The other keys.
    pub(super) keys: &'static [(&'static str, &'static str)],
    /// Whether the call keeps the contract; otherwise which rule it breaks.
    pub(super) check: fn(&Heard) -> Result<(), String>,
    /// The answer to a call that does.
    pub(super) taken: fn(&Heard) -> Act,
    /// The answer to one that breaks this rule.
    pub(super) broken: fn(&str) -> Act,
    /// The answer to one too many, and the seconds that it asks for.
    pub(super) limited: (fn() -> Act, Option<u64>),
    /// The answer when the address or the token is not valid any more, and the words that the administrator reads.
    pub(super) revoked: (fn() -> Act, &'static str),
}

impl Contract {
    /// A server that enforces it.
    pub(super) fn serve(&self) -> Server {
        let (check, taken, broken) = (self.check, self.taken, self.broken);
        Server::start(move |heard| match check(heard) {
            Ok(()) => taken(heard),
            Err(rule) => broken(&rule),
        })
    }
}

/// The rule is kept, or broken with these words.
pub(super) fn rule(kept: bool, words: &str) -> Result<(), String> {
    if kept { Ok(()) } else { Err(words.to_owned()) }
}

/// A POST of JSON to this path.
pub(super) fn posted(heard: &Heard, path: &str) -> Result<Value, String> {
    rule(heard.method == "POST", "method")?;
    rule(heard.target == path, &format!("path {}", heard.target))?;
    rule(heard.header("content-type") == "application/json", "content type")?;
    serde_json::from_slice(&heard.body).map_err(|error| format!("no JSON: {error}"))
}

/// The text at this place of a JSON body, not empty.
pub(super) fn text<'a>(json: &'a Value, place: &str) -> Result<&'a str, String> {
    let text = json.pointer(place).and_then(Value::as_str).ok_or_else(|| format!("{place} is missing"))?;
    rule(!text.trim().is_empty(), &format!("{place} is empty"))?;
    rule(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), &format!("{place} has a control character"))?;
    Ok(text)
}

/// What stands before a fence and inside of it, when there is exactly one and it is closed.
pub(super) fn fence(text: &str) -> Result<(&str, &str), String> {
    let (before, rest) = text.split_once("```").ok_or("no fence")?;
    let (language, rest) = rest.split_once('\n').ok_or("a fence without a line")?;
    rule(language.is_empty() || language == "text", "a fence with something behind it")?;
    let inside = rest.strip_suffix("\n```").ok_or("a fence that is not closed")?;
    rule(!inside.contains("```"), "a fence that is closed too early")?;
    Ok((before, inside))
}

/// The end of the log, if it is there; the nasty messages have their log's lines begin with a time.
pub(super) fn keeps_the_end(shown: &str) -> bool {
    !shown.contains("earlier line") || shown.contains("03:12:26")
}

pub(super) fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}
