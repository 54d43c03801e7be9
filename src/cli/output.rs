//! Tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::host::env;

/// `-o table|json`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    // plain comments: as documentation they would turn every verb's help into the long form
    // for people
    Table,
    // for programs
    Json,
}

/// The option of every verb that lists.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// What to print
    #[arg(long, short, value_enum, default_value = "table")]
    pub(super) output: Format,
}

/// Prints text as it is. A reader that has gone away is no error.
pub(super) fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::failure(format!("cannot print: {error}"))),
        _ => Ok(()),
    }
}

/// Prints JSON and nothing else.
pub(super) fn json(value: &Value) -> Result<()> {
    print(&format!("{value:#}\n"))
}

/// Says on a terminal, in one line that the next call replaces, what is waited for; the empty text takes the line away.
pub(super) fn progress(text: &str) {
    let stderr = io::stderr();
    if stderr.is_terminal() {
        // who cannot see it misses nothing
        let _ = write!(stderr.lock(), "\r\x1b[K{text}");
    }
}

/// Whoever waits longer than this is told for what.
pub(super) const PROGRESS: Duration = Duration::from_secs(1);

/// Does what may last; says after a second what it is, and for how long it has been at it.
pub(super) fn waiting_for<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut seconds = 0;
            while is_done.recv_timeout(PROGRESS) == Err(mpsc::RecvTimeoutError::Timeout) {
                seconds += 1;
                progress(&format!("{what}: {seconds} s"));
            }
            if seconds > 0 {
                progress("");
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// A table without lines. On a terminal the last column, the one with sentences, is wrapped to fit the width; elsewhere each
/// row is one line.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    table.add_rows(rows);
    let last = header.len().saturating_sub(1);
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if number == last { 0 } else { 2 }));
        if number != last {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(width) = width() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The terminal's width; `None` where standard output is none.
fn width() -> Option<u16> {
    if !io::stdout().is_terminal() {
        return None;
    }
    env::var("COLUMNS").and_then(|text| text.parse().ok()).or_else(|| terminal_size::terminal_size().map(|(width, _)| width.0))
}

/// "sysalert", as a hint calls it for the system's service manager, or a user's own.
pub(super) fn sysalert(is_users: bool) -> &'static str {
    if is_users { "sysalert --user" } else { "sysalert" }
}

/// "systemctl", likewise.
pub(super) fn systemctl(is_users: bool) -> &'static str {
    if is_users { "systemctl --user" } else { "systemctl" }
}

/// The hint for whoever waited for a delivery in vain.
pub(super) fn is_dispatch_awake(is_users: bool) -> String {
    format!("is dispatch awake? {} status sysalert-dispatch.path sysalert-dispatch.service", systemctl(is_users))
}

/// Asks before something is forgotten; where nobody can be asked, only `--yes` does it: `Usage`.
pub(super) fn agreed(what_it_does: &str, question: &str) -> Result<bool> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(
            Error::usage(format!("{what_it_does}, and nobody is there to be asked")).hint("add --yes if that is what you want")
        );
    }
    confirmed(question)
}

/// Asks a question that is answered by yes or no.
fn confirmed(question: &str) -> Result<bool> {
    print(&format!("{question} [y/N] "))?;
    io::stdout().flush().map_err(|error| Error::failure(format!("cannot print: {error}")))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| Error::failure(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
