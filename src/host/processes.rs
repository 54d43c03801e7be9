//! Plain processes: found by their whole program and all of their arguments, and ended by a handle that cannot mean another.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nix::unistd::{SysconfVar, Uid, User, sysconf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{clock, tasks};

/// What a process must be: this program with these arguments, of this user.
#[derive(Debug)]
pub struct Wanted<'a> {
    command: &'a [String],
    program: PathBuf,
    /// What the kernel starts for a script, and with which argument of its own.
    interpreter: Option<(PathBuf, Option<String>)>,
    user: Uid,
    /// The processes that it sees: one of a container sees others.
    home: Option<Inode>,
}

/// A file, by whatever name: its device and its number there.
type Inode = (u64, u64);

/// `None`: nobody may look.
fn inode(path: &Path) -> Option<Inode> {
    path.metadata().ok().map(|about| (about.dev(), about.ino()))
}

/// One that was found, with the handle that means it.
#[derive(Debug)]
pub struct Found {
    /// Its number.
    pub pid: i32,
    handle: OwnedFd,
}

impl Found {
    /// When it began.
    pub fn since(&self) -> Option<DateTime<Utc>> {
        let ticks = tasks::began(self.pid.unsigned_abs())?;
        let each = sysconf(SysconfVar::CLK_TCK).ok()??;
        let since_boot = Duration::from_millis(ticks.saturating_mul(1000) / u64::try_from(each).ok().filter(|each| *each > 0)?);
        clock::system().checked_sub_signed(TimeDelta::from_std(clock::since_monotonic(since_boot)).ok()?)
    }
}

impl<'a> Wanted<'a> {
    /// What this command is once it runs.
    ///
    /// # Errors
    /// A sentence, when there is no such program or user.
    pub fn new(command: &'a [String], user: &str) -> Result<Wanted<'a>, String> {
        let Some(program) = command.first() else { return Err("`process_command` names no program".to_owned()) };
        let whole = Path::new(program).canonicalize().map_err(|error| format!("there is no program {program}: {error}"))?;
        let user = User::from_name(user).ok().flatten().ok_or_else(|| format!("there is no user {user}"))?.uid;
        let interpreter = interpreter(&whole)?;
        Ok(Wanted { command, program: whole, interpreter, user, home: inode(Path::new("/proc/self/ns/pid")) })
    }

    /// As whom it runs.
    pub fn user(&self) -> u32 {
        self.user.as_raw()
    }

    /// Those that run now.
    pub fn running(&self) -> Vec<Found> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let own = std::process::id();
        pids.filter(|pid| pid.unsigned_abs() != own && self.is(*pid))
            .filter_map(|pid| {
                let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
                // its number may have become another's before there was a handle
                self.is(pid).then_some(Found { pid, handle })
            })
            .collect()
    }

    fn is(&self, pid: i32) -> bool {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        if !folder.metadata().is_ok_and(|about| about.uid() == self.user.as_raw()) {
            return false;
        }
        let exe = folder.join("exe");
        let (Ok(link), Ok(line)) = (fs::read_link(&exe), fs::read(folder.join("cmdline"))) else { return false };
        // the same file, for one of a container may have the same path; or, after an upgrade, the one that was there before
        let runs = |program: &Path| {
            let is_old = || link.as_os_str().as_bytes().strip_suffix(b" (deleted)") == Some(program.as_os_str().as_bytes());
            (link == program && inode(&exe).is_some_and(|file| inode(program) == Some(file))) || is_old()
        };
        let mut words: Vec<&OsStr> = line.split(|byte| *byte == 0).map(OsStr::from_bytes).collect();
        // each argument ends with a zero byte
        words.pop();
        if self.home.is_none() || inode(&folder.join("ns/pid")) != self.home {
            return false;
        }
        let is_same = |words: &[&OsStr], command: &[String]| words.iter().copied().eq(command.iter().map(OsStr::new));
        match &self.interpreter {
            // what it calls itself is its own affair
            None => runs(&self.program) && words.len() == self.command.len() && is_same(&words[1..], &self.command[1..]),
            Some((interpreter, argument)) => {
                let own = 1 + usize::from(argument.is_some());
                runs(interpreter)
                    && words.len() == own + self.command.len()
                    && argument.as_deref().is_none_or(|argument| words[1] == argument)
                    && is_same(&words[own..], self.command)
            }
        }
    }
}

/// What the first line of a script names.
fn interpreter(program: &Path) -> Result<Option<(PathBuf, Option<String>)>, String> {
    let mut head = Vec::new();
    let read = fs::File::open(program).and_then(|file| file.take(256).read_to_end(&mut head));
    read.map_err(|error| format!("{} cannot be read: {error}", program.display()))?;
    let Some(line) = head.strip_prefix(b"#!") else { return Ok(None) };
    let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default()).trim().to_owned();
    let (path, argument) = match line.split_once([' ', '\t']) {
        Some((path, argument)) => (path, Some(argument.trim().to_owned())),
        None => (line.as_str(), None),
    };
    if path.ends_with("/env") {
        return Err(format!(
            "{} is a script that env starts, so that nobody knows what it is once it runs: name its interpreter in \
             `process_command`",
            program.display()
        ));
    }
    let whole = Path::new(path).canonicalize().map_err(|error| format!("there is no interpreter {path}: {error}"))?;
    Ok(Some((whole, argument)))
}

/// After SIGKILL a process is gone within this time, unless the kernel holds it.
const DEATH: Duration = Duration::from_secs(5);

/// Ends these processes: by SIGTERM, and what is still there after this time by SIGKILL.
///
/// # Errors
/// A sentence, when one is still there.
pub fn end(found: &[Found], patience: Duration) -> Result<(), String> {
    for (signal, patience) in [(Signal::TERM, patience), (Signal::KILL, DEATH)] {
        for one in found {
            // it may be gone already
            let _ = pidfd_send_signal(&one.handle, signal);
        }
        let end = clock::started() + patience;
        if found.iter().all(|one| is_gone(one, end.saturating_duration_since(clock::started()))) {
            return Ok(());
        }
    }
    let held: Vec<String> = found.iter().filter(|one| !is_gone(one, Duration::ZERO)).map(|one| one.pid.to_string()).collect();
    Err(format!("the kernel holds what was killed (process {})", held.join(", ")))
}

/// Whether it has ended, or does within this time.
fn is_gone(one: &Found, patience: Duration) -> bool {
    let timeout =
        Timespec { tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX), tv_nsec: patience.subsec_nanos().into() };
    let mut handle = [PollFd::new(&one.handle, PollFlags::IN)];
    poll(&mut handle, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn words(command: &[&str]) -> Vec<String> {
        command.iter().map(|word| (*word).to_owned()).collect()
    }

    fn started(command: &[&str]) -> Child {
        Command::new(command[0]).args(&command[1..]).spawn().unwrap()
    }

    #[test]
    fn program_and_arguments_must_be_the_same_exactly() {
        let user = crate::host::names::user();
        // so long no other test sleeps
        let length = format!("{}", 900_000 + std::process::id() % 90_000);
        let longer = format!("{length}1");
        let command = words(&["/bin/sleep", &length]);
        let wanted = Wanted::new(&command, &user).unwrap();
        let mut others = [started(&["/bin/sleep", &longer]), started(&["/bin/sleep", &length, "0"])];
        assert!(wanted.running().is_empty());
        let mut child = started(&["/bin/sleep", &length]);
        let pid = i32::try_from(child.id()).unwrap();
        // until the child has become that program
        while wanted.running().is_empty() {
            clock::wait(Duration::from_millis(1));
        }
        let found = wanted.running();
        assert_eq!(found.iter().map(|one| one.pid).collect::<Vec<_>>(), [pid]);
        let waiting = std::thread::spawn(move || child.wait());
        assert_eq!(end(&found, Duration::from_secs(20)), Ok(()));
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&waiting.join().unwrap().unwrap()), Some(15));
        assert!(others.iter_mut().all(|other| other.try_wait().unwrap().is_none()));
        for mut other in others {
            other.kill().unwrap();
            other.wait().unwrap();
        }
    }

    /// Gone at the end of its test, however that ends.
    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn the_program_of_before_an_upgrade_is_the_process_and_that_of_a_container_is_not() {
        let user = crate::host::names::user();
        let folder = tempfile::tempdir().unwrap();
        let (program, next) = (folder.path().join("daemon"), folder.path().join("next"));
        fs::copy("/bin/sleep", &program).unwrap();
        fs::copy("/bin/sleep", &next).unwrap();
        let command = words(&[program.to_str().unwrap(), "900"]);
        // until no child of another test holds the copy open
        let _child = loop {
            match Command::new(&program).arg("900").spawn() {
                Ok(child) => break Ended(child),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ExecutableFileBusy),
            }
        };
        let wanted = Wanted::new(&command, &user).unwrap();
        while wanted.running().is_empty() {
            clock::wait(Duration::from_millis(1));
        }
        fs::rename(&next, &program).unwrap();
        let mut wanted = Wanted::new(&command, &user).unwrap();
        assert_eq!(wanted.running().len(), 1);
        // as a process elsewhere has it
        wanted.home = Some((0, 0));
        assert!(wanted.running().is_empty());
    }

    #[test]
    fn what_takes_no_signal_is_killed_and_a_script_is_known_by_its_interpreter() {
        let user = crate::host::names::user();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon").display().to_string();
        fs::write(&path, "#!/bin/bash -u\ntrap '' TERM\necho ready\nwhile :; do read -t 60 <> <(:) || :; done\n").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let command = words(&[&path, "a b"]);
        let mut child = Command::new(&path).arg("a b").stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        child.stdout.take().unwrap().read_exact(&mut ready).unwrap();
        let wanted = Wanted::new(&command, &user).unwrap();
        let found = wanted.running();
        assert!(found.iter().any(|one| one.pid.unsigned_abs() == child.id()), "{found:?}");
        assert_eq!(end(&found, Duration::from_millis(50)), Ok(()));
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(9));
        fs::write(&path, "#!/usr/bin/env python3\n").unwrap();
        assert!(Wanted::new(&command, &user).is_err_and(|why| why.contains("name its interpreter")));
        assert!(Wanted::new(&words(&["/nowhere/x"]), &user).is_err());
        assert!(Wanted::new(&command, "nobody-of-that-name").is_err());
    }
}
