//! sysalert's alert method `command`: a program is started for each message. The way to write a method in any language.
//!
//! Settings: `command` (required), `input`, `environment`, `secret`, `to`; `example.toml` shows a section and says what the
//! program gets and how it answers.
//!
//! - No shell: the program and its arguments are those of the configuration, and nothing of a message becomes one of them.
//!   What a message tells is on standard input and in the environment.
//! - The program must be such that nobody but root and this user can have changed it, as a plugin must.
//! - It stays in this process's group, which sysalert kills when it has the answer: nothing that the program started outlives
//!   it.
//! - Only exit status 0 is `sent`. What sysexits.h names as somebody's mistake is `refused`; all else may pass: `retry`.

mod answer;
mod facts;
mod program;
mod run;
mod settings;
#[cfg(test)]
mod tests;

use std::ffi::CStr;

use sysalert_abi::{Answer, Plugin, Request, export_plugin, zero_ended};

use settings::{Input, Settings};

/// The method, as sysalert loads it.
struct Command;

impl Plugin for Command {
    const NAME: &'static CStr = c"command";
    const VERSION: &'static CStr = zero_ended(concat!(env!("CARGO_PKG_VERSION"), "\0"));
    const SETTINGS: &'static CStr = zero_ended(concat!(include_str!("../settings.json"), "\0"));

    fn failure(request: &Request) -> Answer {
        send(request).unwrap_or_else(|answer| answer)
    }

    fn check(request: &Request) -> Result<(), Answer> {
        Settings::read(request).map(drop)
    }
}

export_plugin!(Command, sysalert_plugin_v1_command);

fn send(request: &Request) -> Result<Answer, Answer> {
    let settings = Settings::read(request)?;
    let program = program::trusted(&settings.program).map_err(|why| Answer::Retry(why, None))?;
    let input = match settings.input {
        Input::Json => serde_json::to_vec(request).map_err(|error| Answer::Refused(error.to_string()))?,
        Input::Text => request.message.text.clone().into_bytes(),
    };
    let mut environment = facts::environment(request, &settings);
    environment.extend(settings.environment.iter().cloned());
    let ended = run::run(&program, &settings, environment, input, run::limit(request.deadline_ms))
        .map_err(|why| Answer::Retry(why, None))?;
    Ok(answer::answer(&ended, request, &settings))
}
