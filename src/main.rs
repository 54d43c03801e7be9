//! argv -> verb -> exit status; the only place that prints an error.
#![deny(unsafe_code)]
#![allow(clippy::print_stderr)]

use std::process::ExitCode;

fn main() -> ExitCode {
    match sysalert::cli::run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("sysalert: {error}");
            ExitCode::from(error.kind.exit_status())
        }
    }
}
