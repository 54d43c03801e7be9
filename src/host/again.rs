//! This same program once more, with other words: for root, who gives up all rights before the record is touched, and needs some
//! of them afterwards.

use std::process::{Command, Stdio};

/// What `sysalert WORDS` prints.
///
/// # Errors
/// What it says of its failure.
pub fn ask(words: &[&str]) -> Result<String, String> {
    // also when an upgrade has replaced its file
    let done = Command::new("/proc/self/exe").args(words).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&done.stderr).trim().trim_start_matches("sysalert: ").to_owned())
}

/// `sysalert WORDS`, whose words are for whoever runs this one; whether it did well.
///
/// # Errors
/// When it cannot be started.
pub fn run(words: &[&str]) -> Result<bool, String> {
    let done = Command::new("/proc/self/exe").args(words).stdin(Stdio::null()).status().map_err(|error| error.to_string())?;
    Ok(done.success())
}
