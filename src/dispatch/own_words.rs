//! A message in a method's own words. Steps and length of a template are counted, its memory is not, and its file may lie where
//! nobody answers: a child process reads and renders it.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysalert_abi::{Message, Request};

use super::child::{self, Lost};
use crate::host::{clock, secret};
use crate::message::{self, Form, Source, Templates};

/// The child's verb; not for people.
pub const VERB: &str = "template-host";
/// Address space for a template: a hundred times what an alert needs.
const MEMORY: u64 = 128 << 20;
/// All templates of a message may take so long.
pub(super) const LIMIT: Duration = Duration::from_secs(5);
/// As JSON a byte of a rendered text is six at most.
const LONGEST: u64 = 4 << 20;

/// Renders a template for a request, or tries it where there is none: [`apart`].
pub type Render<'a> = &'a (dyn Fn(&Work<'_>, Duration) -> Result<String, String> + Sync);

/// A template, and what it is rendered for.
#[derive(Debug, Clone, Serialize)]
pub struct Work<'a> {
    form: Form,
    source: &'a Source,
    request: Option<&'a Request>,
}

/// The same as the child reads it.
#[derive(Deserialize)]
struct Given {
    form: Form,
    source: Source,
    request: Option<Request>,
}

/// The request's message in the words of these templates.
///
/// # Errors
/// What is wrong with one of them. A message half in its usual form would only confuse.
pub(super) fn apply(request: &Request, templates: &Templates, render: Render<'_>) -> Result<Message, String> {
    let end = clock::started() + LIMIT;
    let mut message = request.message.clone();
    for (form, source) in templates {
        let work = Work { form: *form, source, request: Some(request) };
        let text = render(&work, end.saturating_duration_since(clock::started()))?;
        message = message::in_words(message, *form, text);
    }
    Ok(message)
}

/// What is wrong with these templates, when each is tried on a failure as failures usually are.
pub(super) fn trial(templates: &Templates) -> Vec<String> {
    let tried = |(form, source): &(Form, Source)| apart(&Work { form: *form, source, request: None }, LIMIT).err();
    templates.iter().filter_map(tried).collect()
}

/// Renders in a child process.
///
/// # Errors
/// A sentence that says what is wrong with the template.
pub fn apart(work: &Work<'_>, limit: Duration) -> Result<String, String> {
    let input = serde_json::to_vec(work).map_err(|error| error.to_string())?;
    let mut command = child::command(&[VERB]);
    // what a program says that has no memory left is said below
    command.stderr(Stdio::null());
    let why = match child::run(command, input, LONGEST, limit) {
        Ok(line) => return serde_json::from_str(&line).map_err(|error| error.to_string())?,
        Err(Lost::NotStarted(why)) => format!("no process can be started for it: {why}"),
        Err(Lost::TooLong(_)) => format!("it takes longer than {} s", LIMIT.as_secs()),
        Err(Lost::Ended(how)) => format!("it takes more than {} MiB of memory ({how})", MEMORY >> 20),
    };
    Err(cannot(work.form, &why))
}

/// Renders in this process: the child does, and tests do.
///
/// # Errors
/// A sentence that says what is wrong with the template.
pub fn here(work: &Work<'_>) -> Result<String, String> {
    let text = match work.source {
        Source::Inline(text) => text.clone(),
        Source::File(path) => secret::read(work.form.key(), Path::new(path))?,
    };
    let rendered = match work.request {
        Some(request) => message::render(work.form, &text, request),
        None => message::trial(work.form, &text).map_or(Ok(String::new()), Err),
    };
    rendered.map_err(|why| cannot(work.form, &why))
}

fn cannot(form: Form, why: &str) -> String {
    format!("`{}` cannot be used: {why}", form.key())
}

/// The child: standard input in, one line on standard output out.
///
/// # Errors
/// When standard input or output cannot be used.
pub fn serve() -> std::io::Result<()> {
    child::confine(c"sysalert-words", MEMORY);
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    let Given { form, source, request } = serde_json::from_slice(&input)?;
    let rendered = here(&Work { form, source: &source, request: request.as_ref() });
    let mut line = serde_json::to_vec(&rendered)?;
    line.push(b'\n');
    std::io::stdout().write_all(&line)
}
