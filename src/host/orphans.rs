//! What programs started and left behind: it becomes a child of this process, and is killed.

use std::fs;
use std::io;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::clock;

/// What hangs in the kernel cannot be killed, and what forks faster than it is killed has a limit in its unit.
const ROUNDS: u32 = 100;
const LOOK: Duration = Duration::from_millis(10);

/// From now on what loses its parent becomes a child of this process, whatever session it made for itself.
///
/// # Errors
/// The system's.
pub fn adopt() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// Kills all children of this process, and what they leave behind. For one that waits for none any more.
pub fn end() {
    for _ in 0..ROUNDS {
        let children = children();
        if children.is_empty() {
            return;
        }
        for child in &children {
            // it may be gone by itself
            let _ = kill(*child, Signal::SIGKILL);
        }
        clock::wait(LOOK);
        for child in children {
            let _ = waitpid(child, Some(WaitPidFlag::WNOHANG));
        }
    }
}

/// Each thread has a list of those that it started; an orphan is in one of them.
fn children() -> Vec<Pid> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let numbers = lists.collect::<Vec<_>>().join(" ");
    numbers.split_whitespace().filter_map(|number| number.parse().ok()).map(Pid::from_raw).collect()
}
