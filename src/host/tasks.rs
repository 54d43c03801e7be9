//! Tasks in uninterruptible sleep (state D): they wait for a disk or a server and cannot be killed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A task that waits and cannot be interrupted. All of it is as the process tells it: its name may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Its number, that of a thread for all but the first of a process.
    pub task: u32,
    /// The process whose thread it is.
    pub process: u32,
    /// When it began, in ticks since the boot: with the number it names the task.
    pub began: u64,
    /// How often it has left a processor. While this does not change it has not run.
    pub switches: u64,
    /// Its name.
    pub name: String,
}

/// The blocked tasks below this `/proc`. A task that ends meanwhile, or of which nothing
/// sensible is told, is none.
///
/// # Errors
/// The system's, when the folder cannot be read.
pub fn blocked(proc: &Path) -> io::Result<Vec<Blocked>> {
    let mut found = Vec::new();
    for (process, folder) in numbered(proc)? {
        let Some(stat) = stat(&folder) else { continue };
        if stat.threads <= 1 {
            found.extend(examine(&folder, process, process, stat));
            continue;
        }
        // a process that is gone by now has no threads
        for (task, folder) in numbered(&folder.join("task")).unwrap_or_default() {
            found.extend(self::stat(&folder).and_then(|stat| examine(&folder, task, process, stat)));
        }
    }
    Ok(found)
}

/// When this process began, unless it is gone or only waits to be buried.
pub(super) fn began(process: u32) -> Option<u64> {
    stat(&Path::new("/proc").join(process.to_string())).filter(|stat| !matches!(stat.state, b'Z' | b'X')).map(|stat| stat.began)
}

/// When the process of this `/proc/PID/stat` began, in ticks since the boot.
pub(super) fn began_in(stat: &str) -> Option<u64> {
    parse(stat.as_bytes()).map(|stat| stat.began)
}

fn numbered(folder: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let entries = fs::read_dir(folder)?.flatten();
    Ok(entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))).collect())
}

/// What `proc_pid_stat(5)` tells here.
struct Stat {
    /// Of a task in state D.
    name: String,
    state: u8,
    threads: u64,
    began: u64,
}

/// Of all processes each time: one read into room that is there, and no copy but of what blocks.
fn stat(folder: &Path) -> Option<Stat> {
    // all of it has less: a name of 64 bytes, and fifty numbers
    let mut line = [0; 2048];
    let length = File::open(folder.join("stat")).and_then(|mut file| file.read(&mut line)).ok()?;
    parse(line.get(..length)?)
}

/// "7 (name) D 1 ...": the name may hold spaces, parentheses, line ends and what is no text.
fn parse(line: &[u8]) -> Option<Stat> {
    let (open, close) = (line.iter().position(|byte| *byte == b'(')?, line.iter().rposition(|byte| *byte == b')')?);
    let name = line.get(open + 1..close)?;
    // the first behind the name is the third of all
    let mut fields = std::str::from_utf8(&line[close + 1..]).ok()?.split_ascii_whitespace();
    let [state] = fields.next()?.as_bytes() else { return None };
    let name = if *state == b'D' { String::from_utf8_lossy(name).into_owned() } else { String::new() };
    let threads = fields.nth(20 - 4)?.parse().ok()?;
    Some(Stat { name, state: *state, threads, began: fields.nth(22 - 21)?.parse().ok()? })
}

fn examine(folder: &Path, task: u32, process: u32, stat: Stat) -> Option<Blocked> {
    if stat.state != b'D' {
        return None;
    }
    let switches = switches(&fs::read(folder.join("status")).ok()?)?;
    Some(Blocked { task, process, began: stat.began, switches, name: stat.name })
}

/// Of `proc_pid_status(5)`; the name in its first line has its line ends escaped.
fn switches(status: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(status);
    let count = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    count("voluntary_ctxt_switches:")?.checked_add(count("nonvoluntary_ctxt_switches:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `/proc` with these tasks: path, `stat`, `status`.
    fn proc(tasks: &[(&str, &[u8], &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, stat, status) in tasks {
            let task = folder.path().join(path);
            fs::create_dir_all(&task).unwrap();
            fs::write(task.join("stat"), stat).unwrap();
            fs::write(task.join("status"), status).unwrap();
        }
        folder
    }

    fn line(name: &[u8], state: &str, threads: u32) -> Vec<u8> {
        let rest = format!(") {state} 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 {threads} 0 4242 2744320 1 18446744073709551615");
        [b"7 (", name, rest.as_bytes()].concat()
    }

    const STATUS: &str = "Name:\tx\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";

    #[test]
    fn tasks_and_threads_that_wait_are_found_whatever_their_name() {
        let folder = proc(&[
            ("7", &line(b"a) S (b\n\xff", "D", 1), STATUS),
            ("8", &line(b"sleeps", "S", 1), STATUS),
            ("9", &line(b"many", "S", 2), STATUS),
            ("9/task/9", &line(b"many", "S", 2), STATUS),
            ("9/task/10", &line(b"writer", "D", 2), STATUS),
            ("self", &line(b"no number", "D", 1), STATUS),
        ]);
        let mut found = blocked(folder.path()).unwrap();
        found.sort_by_key(|task| task.task);
        let told: Vec<_> = found.iter().map(|task| (task.task, task.process, task.began, task.switches, &*task.name)).collect();
        assert_eq!(told, [(7, 7, 4242, 42, "a) S (b\n\u{fffd}"), (10, 9, 4242, 42, "writer")]);
    }

    #[test]
    fn what_is_broken_is_no_task() {
        for (stat, status) in [
            (&b""[..], STATUS),
            (b"7", STATUS),
            (b")(", STATUS),
            (b"7 (x) D", STATUS),
            (b"7 (x) D 1 2 3", STATUS),
            (b"7 (x)D 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 \xff 1", STATUS),
            (&line(b"x", "DD", 1), STATUS),
            (&line(b"x", "D", 1), ""),
            (&line(b"x", "D", 1), "voluntary_ctxt_switches:\t1\n"),
            (&line(b"x", "D", 1), "voluntary_ctxt_switches:\t18446744073709551615\nnonvoluntary_ctxt_switches:\t1\n"),
            (&line(b"x", "D", 1), "voluntary_ctxt_switches:\t-1\nnonvoluntary_ctxt_switches:\tx\n"),
        ] {
            let folder = proc(&[("7", stat, status)]);
            assert_eq!(blocked(folder.path()).unwrap(), [], "{:?} {status:?}", String::from_utf8_lossy(stat));
        }
        assert!(blocked(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn this_machine_tells_of_its_tasks() {
        assert!(blocked(Path::new("/proc")).is_ok());
    }
}
