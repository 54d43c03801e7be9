//! Child processes of this same program: what may crash, hang or eat memory runs in one.

use std::ffi::CStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// What is killed is gone within this time, unless the kernel holds it: a mount that hangs does at times.
const DEATH: Duration = Duration::from_secs(2);

/// Why a child gave no answer.
pub(super) enum Lost {
    /// It could not be started.
    NotStarted(String),
    /// It took longer than this and was killed.
    TooLong(Duration),
    /// It ended by itself: "killed by SIGSEGV".
    Ended(String),
}

/// A child of this program with these arguments, and with nothing of its environment.
pub(super) fn command(arguments: &[&str]) -> Command {
    // /proc/self/exe is this very program, even when an upgrade has replaced its file
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    command
}

/// What the kernel is to keep from this process, a child: its name, and so many bytes of address space. A limit that an outer
/// sandbox forbids to set is set there.
pub(super) fn confine(name: &CStr, memory: u64) {
    let _ = prctl::set_name(name);
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let _ = prctl::set_no_new_privs();
    // the request holds passwords: no core dump, no reading by others of this user
    let _ = prctl::set_dumpable(false);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = setrlimit(Resource::RLIMIT_AS, memory, memory);
}

/// Runs a child: its input, and the line of at most `longest` bytes that it answers within the limit. Afterwards it is gone with all
/// that it started.
pub(super) fn run(mut command: Command, input: Vec<u8>, longest: u64, limit: Duration) -> Result<String, Lost> {
    let mut child = command.spawn().map_err(|error| Lost::NotStarted(error.to_string()))?;
    let (sender, receiver) = mpsc::channel();
    // Both pipes are served by a thread that is not waited for: a grandchild may keep them open for ever.
    if let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) {
        thread::spawn(move || sender.send(exchange(stdin, stdout, &input, longest)));
    }
    let said = receiver.recv_timeout(limit);
    let timed_out = said.is_err();
    let ended = end(child, timed_out || said.as_ref().is_ok_and(Option::is_some));
    match said.ok().flatten() {
        Some(line) => Ok(line),
        None if timed_out => Err(Lost::TooLong(limit)),
        None => Err(Lost::Ended(ended)),
    }
}

/// Hands over the request and waits for one line.
fn exchange(mut stdin: ChildStdin, stdout: ChildStdout, input: &[u8], longest: u64) -> Option<String> {
    // a child that died early is seen by its missing reply
    let _ = stdin.write_all(input);
    drop(stdin);
    line(stdout, longest)
}

/// The first line of an output, if it has an end.
pub(super) fn line(output: impl Read, longest: u64) -> Option<String> {
    let mut line = String::new();
    BufReader::new(output).take(longest).read_line(&mut line).ok()?;
    line.ends_with('\n').then_some(line)
}

/// Ends the child and all that it started, and says how it ended.
fn end(mut child: Child, kill: bool) -> String {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    if kill {
        let _ = killpg(group, Signal::SIGKILL);
    }
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || {
        // seen, but not yet reaped: until then nobody else can get its number, and what it left behind is killed by that
        let _ = waitid(Id::Pid(group), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        let _ = killpg(group, Signal::SIGKILL);
        let ended = match child.wait() {
            Ok(status) => match (status.signal().and_then(|number| Signal::try_from(number).ok()), status.code()) {
                (Some(signal), _) => format!("killed by {signal}"),
                (None, code) => format!("exit status {}", code.unwrap_or_default()),
            },
            Err(error) => error.to_string(),
        };
        sender.send(ended)
    });
    ended.recv_timeout(DEATH).unwrap_or_else(|_| "it hangs in the kernel, and cannot be killed".to_owned())
}
