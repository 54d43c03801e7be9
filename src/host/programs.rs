//! Programs that are started and waited for, each with a time limit and never by a shell.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{clock, trust};

/// Runs a program that only root can change, with these arguments and nothing of this process's environment; its output goes
/// where this process's goes.
///
/// # Errors
/// How it failed, as the end of "its `key` ...". Its arguments are not shown.
pub fn run(command: &[String], limit: Duration) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Err("names no program".to_owned()) };
    trust::only_roots(Path::new(program)).map_err(|why| format!("is not run: {why}"))?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    finish(child, limit)
}

/// As the service manager gives it to services.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// So often it is asked whether a program has ended.
const LOOK: Duration = Duration::from_millis(20);

fn finish(mut child: Child, limit: Duration) -> Result<(), String> {
    let end = clock::started() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                return Err(match (status.code(), status.signal()) {
                    (Some(code), _) => format!("exited with status {code}"),
                    (None, signal) => format!("was killed by signal {}", signal.unwrap_or_default()),
                });
            }
            Ok(None) if clock::started() < end => clock::wait(LOOK),
            Ok(None) => {
                let _ = killpg(Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)), Signal::SIGKILL);
                let _ = child.wait();
                return Err(format!("took longer than {} s and was killed", limit.as_secs()));
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

/// A program of this system, by the first of these paths that is there.
pub fn found(paths: &[&str]) -> Option<String> {
    paths.iter().find(|path| Path::new(path).exists()).map(|path| (*path).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_a_time_and_arguments_are_not_words_of_a_shell() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let run = |command: &[&str], limit| run(&command.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), limit);
        let second = Duration::from_secs(20);
        assert_eq!(run(&["/bin/true"], second), Ok(()));
        assert_eq!(run(&["/bin/false"], second), Err("exited with status 1".to_owned()));
        assert_eq!(run(&["/usr/bin/test", "$(reboot); `x` a b", "=", "$(reboot); `x` a b"], second), Ok(()));
        let begun = clock::started();
        let late = run(&["/bin/sleep", "100"], Duration::from_millis(100));
        assert_eq!(late, Err("took longer than 0 s and was killed".to_owned()));
        assert!(clock::started() - begun < second);
        assert!(run(&["/nowhere/x"], second).is_err_and(|why| why.starts_with("is not run: cannot look at")));
        assert!(run(&[], second).is_err());
    }
}
