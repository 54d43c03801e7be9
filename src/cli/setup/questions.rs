//! The dialogue.

use serde_json::Value;

use super::key::{Catalogue, Key, Sender};
use super::{Draft, Whose, check_name};
use crate::cli::config::toml_of;
use crate::cli::output;
use crate::error::{Error, Result};
use crate::host::terminal;
use crate::settings::Settings;

/// What most people have.
const USUAL: &str = "email";
/// Ends the questions.
const ENOUGH: &str = ".";
/// Takes a value away.
const NONE: &str = "-";

fn asked(question: &str) -> Result<String> {
    answered(terminal::ask(question))
}

fn answered(answer: std::io::Result<Option<String>>) -> Result<String> {
    let answer = answer.map_err(|error| Error::failure(format!("cannot read the answer: {error}")))?;
    let answer =
        answer.ok_or_else(|| Error::failure("the answers ended").hint("nothing more was changed; run `sysalert setup` again"))?;
    // an interrupt that the terminal did not act on, an arrow key
    if answer.chars().any(char::is_control) {
        return Err(Error::failure("an answer has a control character in it")
            .hint("nothing more was changed; run `sysalert setup` again"));
    }
    Ok(answer)
}

/// A question that is answered by yes or no.
pub(super) fn agreed(question: &str, usual: bool) -> Result<bool> {
    loop {
        let shown = if usual { "Y/n" } else { "y/N" };
        match asked(&format!("{question} [{shown}] "))?.to_ascii_lowercase().as_str() {
            "" => return Ok(usual),
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => {}
        }
    }
}

/// Which plugin is to send, or which channel of one.
pub(super) fn sender(catalogue: &Catalogue) -> Result<Sender> {
    output::print(&format!("How are alerts to reach you? By {}.\n", catalogue.names()))?;
    loop {
        let typed = asked(&format!("plugin [{USUAL}]: "))?;
        let name = if typed.is_empty() { USUAL } else { &typed };
        if let Some(sender) = catalogue.sender(name) {
            return Ok(sender);
        }
        output::print(&format!("There is no {}.\n", name.escape_debug()))?;
    }
}

/// What the method is to be called: not as one that stands in somebody's own file.
pub(super) fn name(plugin: &str, settings: &Settings, whose: &Whose) -> Result<String> {
    loop {
        let typed = asked(&format!("\nWhat is this method to be called?\nname [{plugin}]: "))?;
        let name = if typed.is_empty() { plugin.to_owned() } else { typed };
        if let Err(error) = check_name(&name) {
            output::print(&format!("{error}\n"))?;
            continue;
        }
        let origin = settings.methods.get(&name).and_then(|method| method.origin.as_ref());
        match origin.filter(|origin| *origin.file != *whose.file(&name)) {
            None => return Ok(name),
            Some(origin) => {
                output::print(&format!("[method.{name}] stands in {origin}, which setup leaves alone: take another name.\n"))?
            }
        }
    }
}

/// Every key of the plugin, in its order.
pub(super) fn ask(draft: &mut Draft, keys: &[Key]) -> Result<()> {
    let help = format!("\nReturn takes what stands in brackets, {NONE:?} nothing, and {ENOUGH:?} ends the questions.\n");
    output::print(if keys.is_empty() { "\nThere is nothing to set.\n" } else { &help })?;
    for key in keys.iter().filter(|key| key.is_askable()) {
        if !key.is_for(&draft.values) || draft.channel.as_ref() == Some(&key.name) {
            continue;
        }
        output::print(&format!("\n{}\n", key.about))?;
        let answer = loop {
            match one(draft, key)? {
                Answer::WillNotDo => {}
                answer => break answer,
            }
        };
        if answer == Answer::Enough {
            let missing = keys.iter().find(|key| key.is_for(&draft.values) && draft.lacks(key));
            let Some(missing) = missing else { break };
            output::print(&format!("{} is needed.\n", missing.name))?;
        }
    }
    Ok(())
}

/// What somebody typed when asked for a key.
#[derive(PartialEq, Eq)]
enum Answer {
    Taken,
    WillNotDo,
    Enough,
}

/// Asks for one key.
fn one(draft: &mut Draft, key: &Key) -> Result<Answer> {
    let name = &key.name;
    let is_secret = key.kind == "secret";
    let is_needed = key.is_needed(&draft.values);
    let current = draft.values.get(name).or(Some(&key.default)).filter(|value| !value.is_null());
    let shown = match current {
        _ if is_secret && draft.has(key) => " [as it is]".to_owned(),
        _ if is_secret && is_needed => " (it is not shown)".to_owned(),
        _ if is_secret => " (it is not shown) [none]".to_owned(),
        Some(value) => format!(" [{}]", plain(value)),
        None if is_needed => String::new(),
        None => " [none]".to_owned(),
    };
    let choices = if key.values.is_empty() { String::new() } else { format!(" ({})", key.values.join(", ")) };
    let list = if key.kind == "list" { " (separated by commas)" } else { "" };
    let question = format!("{name}{choices}{list}{shown}: ");
    let typed = if is_secret { answered(terminal::ask_hidden(&question))? } else { asked(&question)? };
    match typed.as_str() {
        "" | ENOUGH if draft.lacks(key) => {
            output::print("It is needed.\n")?;
            return Ok(Answer::WillNotDo);
        }
        "" => {}
        ENOUGH => return Ok(Answer::Enough),
        NONE => {
            draft.values.remove(name);
            draft.secrets.remove(name);
        }
        _ if is_secret => drop(draft.secrets.insert(name.clone(), typed)),
        _ => match key.value(&typed) {
            Ok(value) => drop(draft.values.insert(name.clone(), value)),
            Err(why) => {
                output::print(&format!("{why}.\n"))?;
                return Ok(Answer::WillNotDo);
            }
        },
    }
    Ok(Answer::Taken)
}

/// A value as one types it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => toml_of(other),
    }
}

impl Draft {
    /// Whether it cannot be without this key, and is.
    fn lacks(&self, key: &Key) -> bool {
        key.is_needed(&self.values) && !self.has(key)
    }

    fn has(&self, key: &Key) -> bool {
        self.values.contains_key(&key.name) || self.secrets.contains_key(&key.name)
    }
}
