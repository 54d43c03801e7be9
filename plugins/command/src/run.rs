//! One run of the program, with an end in time whatever it does.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::settings::Settings;

/// Of each of the program's outputs so much is kept, the end.
const OUTPUT: usize = 64 * 1024;
/// A program that has ended may leave one behind that keeps its outputs open: so long is waited for what is still in them.
const DRAIN: Duration = Duration::from_millis(50);

/// How it ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// An error: it was killed after this time.
    pub(crate) status: Result<ExitStatus, Duration>,
    pub(crate) output: Vec<u8>,
    pub(crate) error: Vec<u8>,
}

/// The time for the program: a tenth of the deadline, at most a second, is left to answer.
pub(crate) fn limit(deadline_ms: u64) -> Duration {
    // No try of an hour makes sense, and the clock's arithmetic overflows on what has no end.
    let whole = Duration::from_millis(deadline_ms.min(3_600_000));
    whole - (whole / 10).min(Duration::from_secs(1))
}

/// Runs the file at `program` as the settings name it.
///
/// # Errors
/// A sentence that says why it could not be started.
pub(crate) fn run(
    program: &Path,
    settings: &Settings,
    environment: Vec<(String, String)>,
    input: Vec<u8>,
    limit: Duration,
) -> Result<Ended, String> {
    let mut command = Command::new(program);
    // Not its last name but the one that was written: a program may work by that.
    command.arg0(&settings.program).args(&settings.arguments).envs(environment).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| not_started(settings, &error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program need not read its input, and one that ends without is no trouble.
        thread::spawn(move || stdin.write_all(&input));
    }
    let output = child.stdout.take().map(|pipe| Output::of(pipe.into()));
    let error = child.stderr.take().map(|pipe| Output::of(pipe.into()));
    let status = wait(&mut child, limit).map_err(|error| format!("{} is lost: {error}", settings.program.display()))?;
    let heard = |output: Option<Output>| output.map(Output::heard).unwrap_or_default();
    Ok(Ended { status: status.ok_or(limit), output: heard(output), error: heard(error) })
}

fn not_started(settings: &Settings, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => ": make it executable for the user sysalert (chmod a+x)",
        // The file is there: it was looked at before.
        io::ErrorKind::NotFound => ": the interpreter in its first line does not exist",
        _ => "",
    };
    format!("{} cannot be run: {error}{advice}", settings.program.display())
}

/// Its status; none if it had to be killed. What it started dies with the process group, which is sysalert's to kill.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let id = Id::Pid(Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?));
    let (sender, receiver) = mpsc::channel();
    // It sees the end without reaping: until then the number is this program's, and only it can be killed.
    thread::spawn(move || sender.send(waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).map(drop)));
    let in_time = receiver.recv_timeout(limit).is_ok();
    if !in_time {
        child.kill()?;
    }
    let status = child.wait()?;
    Ok(in_time.then_some(status))
}

/// An output of the program, read to its end by a thread that nobody need wait for.
struct Output {
    kept: Arc<Mutex<Vec<u8>>>,
    end: Receiver<()>,
}

impl Output {
    fn of(pipe: OwnedFd) -> Output {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (sender, end) = mpsc::channel();
        let keeper = kept.clone();
        thread::spawn(move || {
            let mut pipe = File::from(pipe);
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                let mut kept = keeper.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..length]);
                let surplus = kept.len().saturating_sub(OUTPUT);
                kept.drain(..surplus);
            }
            sender.send(())
        });
        Output { kept, end }
    }

    /// What was said at last, a moment after the program's end.
    fn heard(self) -> Vec<u8> {
        let _ = self.end.recv_timeout(DRAIN);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
