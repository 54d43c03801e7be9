//! What a command says, in a guest or beside it.
// each test file uses its own part of the harness
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fmt;
use std::io::Write as _;
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Output {
    /// The command, for messages.
    pub command: String,
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Standard output without the white space around it; panics unless the status is 0.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.status == 0, "{self}");
        self.stdout.trim().to_owned()
    }

    /// The same, read as JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        let command = self.command.clone();
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("`{command}` printed no JSON ({error}):\n{text}"))
    }

    pub fn success(&self) -> bool {
        self.status == 0
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ended with {}\n{}{}", self.command, self.status, self.stdout, self.stderr)
    }
}

/// Runs it to its end, with this on its standard input.
pub fn finish(command: &mut Command, input: Option<&str>) -> Output {
    let name =
        [command.get_program()].into_iter().chain(command.get_args()).map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`{name}` did not start: {error}"));
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // a command that does not read its input says so by its status
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("`{name}`: {error}"));
    Output {
        command: name,
        status: code(output.status),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// As a shell has it: 128 and the signal's number for a command that was killed.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
