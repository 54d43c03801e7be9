//! Programs that are run: without a shell, without our environment, for a limited time.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{AccessFlags, Pid, access};

use super::{clock, trust};

/// What a program said, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its standard output, as far as it may be long.
    pub output: Vec<u8>,
    /// How it ended.
    pub end: End,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With this exit status.
    Exited(i32),
    /// By a signal: "SIGSEGV".
    Killed(String),
    /// It took longer than it may, and was killed.
    TooLong,
    /// It said more than it may, and was killed.
    TooMuch,
    /// It took longer than it may, and cannot be killed: it hangs in the kernel.
    Hangs,
}

impl fmt::Display for End {
    /// As the end of "the program ...".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exited(code) => write!(f, "exited with status {code}"),
            End::Killed(signal) => write!(f, "was killed by {signal}"),
            End::TooLong => f.write_str("took too long and was killed"),
            End::TooMuch => f.write_str("said too much and was killed"),
            End::Hangs => f.write_str("took too long and cannot be killed: it hangs in the kernel"),
        }
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What is killed is gone within this time, unless the kernel holds it: a mount that hangs does at times.
const DEATH: Duration = Duration::from_secs(2);
/// What a program said is read so long after it has ended: what it has started and hidden from us may keep its output open.
const REST: Duration = Duration::from_millis(200);

/// What keeps this user from running a command, as far as its files tell: the program, the interpreter in its first line, or the
/// script that an interpreter is given by its whole path.
pub fn obstacle(command: &[String]) -> Option<(PathBuf, io::Error)> {
    let (program, arguments) = command.split_first()?;
    let program = Path::new(program);
    let may = |path: &Path, how: AccessFlags| access(path, how).err().map(|error| (path.to_owned(), io::Error::from(error)));
    if let Some(obstacle) = may(program, AccessFlags::X_OK) {
        return Some(obstacle);
    }
    if program.is_dir() {
        return Some((program.to_owned(), io::ErrorKind::IsADirectory.into()));
    }
    if let Some(obstacle) = interpreter(program).and_then(|path| may(&path, AccessFlags::X_OK)) {
        return Some(obstacle);
    }
    let script = arguments.first().map(Path::new).filter(|path| path.is_absolute() && trust::interprets(program));
    script.and_then(|path| may(path, AccessFlags::R_OK))
}

/// Whether this user can write this file, or make it, where there is none.
///
/// # Errors
/// The system's: of the file, or of its folder.
pub fn writable(path: &Path) -> io::Result<()> {
    let what = if path.exists() { path } else { path.parent().unwrap_or(path) };
    Ok(access(what, AccessFlags::W_OK)?)
}

/// "/bin/sh" of a file that begins with "#!/bin/sh -e".
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    std::fs::File::open(program).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = String::from_utf8_lossy(head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?).into_owned();
    line.split_whitespace().next().map(PathBuf::from)
}

enum News {
    Said(Vec<u8>),
    Closed,
    Ended,
}

/// Runs a program for at most this time, and takes at most so many bytes of its output. Afterwards it is gone with all that it
/// started; but what left its process group is for [`super::orphans`] to end.
///
/// # Errors
/// The system's, when it could not be started.
pub fn run(program: &str, arguments: &[String], limit: Duration, longest: usize) -> io::Result<Ran> {
    let mut child = prepared(program, arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let (sender, news) = mpsc::channel();
    let (reads, waits) = (sender.clone(), sender);
    let stdout = child.stdout.take();
    thread::spawn(move || stdout.into_iter().for_each(|stdout| read(stdout, &reads)));
    thread::spawn(move || {
        // seen, but not reaped: until then nobody else can get its number
        let _ = waitid(Id::Pid(group), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        waits.send(News::Ended)
    });

    let (mut output, mut killed, mut ended, mut closed) = (Vec::new(), None, false, false);
    let mut until = clock::started() + limit;
    while !(ended && closed) {
        match news.recv_timeout(until.saturating_duration_since(clock::started())) {
            Ok(News::Said(bytes)) => output.extend(bytes),
            Ok(News::Closed) => closed = true,
            Ok(News::Ended) => {
                ended = true;
                until = clock::started() + REST;
                let _ = killpg(group, Signal::SIGKILL);
            }
            Err(_) if ended => break,
            Err(_) if killed.is_some() => return Ok(Ran { output, end: End::Hangs }),
            Err(_) => killed = Some(End::TooLong),
        }
        if output.len() > longest {
            output.truncate(longest);
            killed = killed.or(Some(End::TooMuch));
        }
        if killed.is_some() && !ended {
            let _ = killpg(group, Signal::SIGKILL);
            until = clock::started() + DEATH;
        }
    }
    let status = child.wait()?;
    Ok(Ran { output, end: killed.unwrap_or_else(|| told(status)) })
}

/// Numbers with a point, words in English.
fn prepared(program: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs([("PATH", PATH), ("LC_ALL", "C")]);
    command.current_dir("/").stdin(Stdio::null()).process_group(0);
    command
}

/// So often it is asked whether a program has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Runs a program that only root can change, nor what its arguments make it run, as root; its output goes where this process's
/// goes, and what it leaves behind in good order stays.
///
/// # Errors
/// How it failed, as the end of "its `key` ...". Its arguments are not shown.
pub fn follow(command: &[String], limit: Duration) -> Result<(), String> {
    trust::only_roots_command(command).map_err(|why| format!("is not run: {why}"))?;
    call(command, limit)
}

/// Runs a program of this system, as [`follow`] does. What its arguments make it run is not root's here.
///
/// # Errors
/// How it failed, as the end of "systemctl ...".
pub fn call(command: &[String], limit: Duration) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Err("names no program".to_owned()) };
    trust::only_roots(Path::new(program)).map_err(|why| format!("is not run: {why}"))?;
    let mut child = prepared(program, arguments).spawn().map_err(|error| format!("cannot be started: {error}"))?;
    let until = clock::started() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(told(status).to_string()),
            Ok(None) if clock::started() < until => clock::wait(LOOK),
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

fn read(mut stdout: ChildStdout, news: &Sender<News>) {
    let mut buffer = vec![0; 4096];
    // an interrupted read is seldom, and its program's next line is as good
    while let Ok(count) = stdout.read(&mut buffer) {
        if count == 0 || news.send(News::Said(buffer[..count].to_vec())).is_err() {
            break;
        }
    }
    let _ = news.send(News::Closed);
}

fn told(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, signal) => {
            let name = signal.and_then(|number| Signal::try_from(number).ok()).map(|signal| signal.as_str().to_owned());
            End::Killed(name.unwrap_or_else(|| format!("signal {}", signal.unwrap_or_default())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::identity::is_root_or_says;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str, limit: Duration) -> (String, End) {
        let ran = run("/bin/sh", &["-c".to_owned(), script.to_owned()], limit, 1000).unwrap();
        (String::from_utf8(ran.output).unwrap(), ran.end)
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (good, old) = (file("good", "#!/bin/sh -e\n", 0o755), file("old", "#!/nowhere/sh\n", 0o755));
        let plain = file("plain", "#!/bin/sh\n", 0o644);
        for (command, expected) in [
            (vec![good.as_str(), "/nowhere"], None),
            (vec!["/bin/sh", &plain], None),
            (vec!["/bin/sh", "-c", "/nowhere"], None),
            (vec!["/nowhere"], Some(("/nowhere", io::ErrorKind::NotFound))),
            (vec![&plain], Some((&*plain, io::ErrorKind::PermissionDenied))),
            (vec![&old], Some(("/nowhere/sh", io::ErrorKind::NotFound))),
            (vec!["/bin/sh", "/nowhere"], Some(("/nowhere", io::ErrorKind::NotFound))),
            (vec!["/"], Some(("/", io::ErrorKind::IsADirectory))),
        ] {
            let command: Vec<String> = command.into_iter().map(str::to_owned).collect();
            let found = obstacle(&command).map(|(path, error)| (path, error.kind()));
            assert_eq!(found, expected.map(|(path, kind)| (PathBuf::from(path), kind)), "{command:?}");
        }
        assert!(writable(&folder.path().join("new")).is_ok());
        assert_eq!(writable(&folder.path().join("none/new")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_a_program_says_and_how_it_ends() {
        for (script, said, end) in [
            ("echo fine; exit 2", "fine\n", End::Exited(2)),
            ("printf x; kill -SEGV $$", "x", End::Killed("SIGSEGV".into())),
            (
                "env | grep -v ^PWD= | sort",
                "LC_ALL=C\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
                End::Exited(0),
            ),
            ("pwd; cat; echo complaint >&2", "/\n", End::Exited(0)),
            ("exec >&-; exit 1", "", End::Exited(1)),
        ] {
            assert_eq!(shell(script, LONG), (said.to_owned(), end), "{script}");
        }
        assert_eq!(run("/nowhere", &[], LONG, 9).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn who_says_too_much_or_takes_too_long_is_killed_with_all_that_it_started() {
        let (said, end) = shell("yes", LONG);
        assert_eq!((said.len(), end), (1000, End::TooMuch));

        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display();
        let (said, end) = shell(&format!("sleep 300 & echo $! >{path}; echo begun; wait"), Duration::from_millis(300));
        assert_eq!((said.as_str(), end), ("begun\n", End::TooLong));
        let sleeper = std::fs::read_to_string(file.path()).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", sleeper.trim())).unwrap_or_default();
        let end = clock::started() + LONG;
        while !state().is_empty() && !state().contains(") Z ") {
            assert!(clock::started() < end, "{}", state());
            thread::yield_now();
        }
    }

    #[test]
    fn what_a_program_leaves_behind_is_not_waited_for() {
        let began = clock::started();
        let (said, end) = shell("sleep 300 & echo quick", LONG);
        assert_eq!((said.as_str(), end), ("quick\n", End::Exited(0)));
        let (said, end) = shell("setsid sleep 5 & echo hidden", LONG);
        assert_eq!((said.as_str(), end), ("hidden\n", End::Exited(0)));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn a_program_has_a_time_and_arguments_are_not_words_of_a_shell() {
        if !is_root_or_says("a_program_has_a_time_and_arguments_are_not_words_of_a_shell") {
            return;
        }
        let run = |command: &[&str], limit| follow(&command.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), limit);
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
