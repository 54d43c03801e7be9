//! argv -> verb -> exit status; the only place that reports an error.
#![deny(unsafe_code)]

use std::process::ExitCode;

use sysalert::{cli, host::log};

fn main() -> ExitCode {
    match cli::run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            log::fatal(&error.to_string());
            ExitCode::from(error.kind.exit_status())
        }
    }
}
