//! How a run's processes died, as far as others than its manager tell: systemd-coredump, the kernel, systemd-oomd.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use systemd::journal::{Journal as Handle, JournalRef};

use super::{Fields, field, files, micros, text};
use crate::event::Subject;
use crate::host::clock;

/// What they tell. The texts are foreign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deaths {
    /// The last process of it that dumped core.
    pub core: Option<Core>,
    /// The last one that the kernel killed for want of memory.
    pub oom: Option<OomKill>,
    /// Why systemd-oomd killed it: "memory pressure for /system.slice being 61.20% > 60.00% for > 30s with reclaim activity".
    pub oomd: Option<String>,
}

/// A core dump, as systemd-coredump tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Core {
    /// The program's path, or its name where there is no path.
    pub program: String,
    /// Of the process.
    pub pid: u32,
    /// "SIGSEGV".
    pub signal: String,
    /// Where it was, the innermost function first.
    pub stack: Vec<String>,
    /// The file that holds the core, if one does.
    pub file: Option<String>,
}

/// A process that the kernel killed for want of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OomKill {
    /// Its name.
    pub process: String,
    /// Its number.
    pub pid: u32,
    /// How much memory it held, in bytes.
    pub held: Option<u64>,
    /// The control group whose limit was reached; `None`: the machine had no more.
    pub limit_of: Option<String>,
}

/// A run that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// When it was begun, if that is known.
    pub begun: Option<DateTime<Utc>>,
    /// When it failed.
    pub at: DateTime<Utc>,
    /// True when its main process dumped core.
    pub dumped: bool,
    /// True when a process of it may have been killed for want of memory.
    pub killed: bool,
}

/// So long before the failure it can have been: a unit has its `TimeoutStopSec=` to end when a process of it is gone.
const BEFORE: TimeDelta = TimeDelta::minutes(2);
/// The journal takes what the kernel and the manager say in any order.
const SLACK: TimeDelta = TimeDelta::seconds(1);
/// So long it may take to save a core and to look through it.
const SAVING: TimeDelta = TimeDelta::minutes(1);

/// What is told about a unit's processes around that time, but not from before the run began.
pub(super) fn read(
    journal: &mut Handle,
    fields: &Fields,
    subject: &Subject,
    run: Ended,
    until: Instant,
) -> systemd::Result<Deaths> {
    // a process may be dead before the manager says that it started it
    let since = run.begun.map_or(run.at - BEFORE, |begun| (begun - SLACK).max(run.at - BEFORE));
    let span = (micros(since), micros(run.at + SAVING));
    let core = back(journal, span, until, &|journal| cores(journal, fields, subject), &mut |journal| core(journal, run.at))?;
    if !run.killed {
        return Ok(Deaths { core, ..Deaths::default() });
    }
    let span = (micros(since), micros(run.at + SLACK));
    // "/user.slice/user-1000.slice/user@1000.service/app.slice/b.service": other users have units of this name, too
    let group = fields.of_manager().iter().find(|(name, _)| *name == "_SYSTEMD_UNIT").map(|(_, unit)| format!("/{unit}/"));
    let is_users_own = |line: &str| group.as_ref().is_none_or(|group| line.contains(group));
    let mut killed: Option<(u32, Option<u64>)> = None;
    let mut lines = |journal: &mut JournalRef| {
        let line = text(journal, "MESSAGE")?.unwrap_or_default();
        // read backwards: first that it was killed, then whose limit was reached
        killed = victim(&line).or(killed.take());
        Ok(verdict(&line, subject).filter(|_| is_users_own(&line)).map(|(pid, process, limit_of)| {
            let held = killed.take().filter(|(victim, _)| *victim == pid).and_then(|(_, held)| held);
            OomKill { process, pid, held, limit_of }
        }))
    };
    let oom = back(journal, span, until, &kernel, &mut lines)?;
    let reason = &mut |journal: &mut JournalRef| {
        let line = text(journal, "MESSAGE")?.unwrap_or_default();
        Ok(oomd_reason(&line, subject).filter(|_| is_users_own(&line)))
    };
    let oomd = back(journal, span, until, &oomd, reason)?;
    Ok(Deaths { core, oom, oomd })
}

type Match<'a> = &'a dyn Fn(&mut Handle) -> systemd::Result<()>;
type Found<'a, T> = &'a mut dyn FnMut(&mut JournalRef) -> systemd::Result<Option<T>>;

/// The newest entry of the span that matches and tells something.
fn back<T>(
    journal: &mut Handle,
    (since, end): (u64, u64),
    until: Instant,
    matching: Match<'_>,
    found: Found<'_, T>,
) -> systemd::Result<Option<T>> {
    journal.match_flush()?;
    matching(journal)?;
    journal.seek_realtime_usec(end)?;
    while journal.previous()? > 0 && journal.timestamp_usec()? >= since && clock::started() < until {
        let told = found(journal)?;
        if told.is_some() {
            return Ok(told);
        }
    }
    Ok(None)
}

/// What systemd-coredump wrote: in its slice, where nobody else runs and which the journal itself notes. Of a process that is
/// gone too soon the journal has the user alone; then it is root's or systemd-coredump's own. (What it writes as the user whose
/// process it was, that user could write as well.)
fn cores(journal: &mut Handle, fields: &Fields, subject: &Subject) -> systemd::Result<()> {
    let field = if subject.is_users() { "COREDUMP_USER_UNIT" } else { "COREDUMP_UNIT" };
    let of_unit = |journal: &mut Handle| -> systemd::Result<()> {
        journal.match_add("MESSAGE_ID", "fc2e22bc6ee647b6b90729ab34a250b1")?.match_add(field, subject.unit_name())?;
        // other users have units of this name, too
        if let Some((_, uid)) = fields.of_manager().iter().find(|(name, _)| *name == "_UID") {
            journal.match_add("COREDUMP_UID", uid.as_str())?;
        }
        Ok(())
    };
    of_unit(journal)?;
    journal.match_add("_SYSTEMD_SLICE", "system-systemd\\x2dcoredump.slice")?.match_or()?;
    of_unit(journal)?;
    journal.match_add("_UID", "0")?;
    if let Some(uid) = files::keeper_of_cores() {
        journal.match_add("_UID", uid.to_string())?;
    }
    Ok(())
}

fn kernel(journal: &mut Handle) -> systemd::Result<()> {
    journal.match_add("_TRANSPORT", "kernel")?.match_add("SYSLOG_IDENTIFIER", "kernel")?;
    Ok(())
}

fn oomd(journal: &mut Handle) -> systemd::Result<()> {
    journal.match_add("_SYSTEMD_UNIT", "systemd-oomd.service")?;
    Ok(())
}

fn core(journal: &mut JournalRef, ended: DateTime<Utc>) -> systemd::Result<Option<Core>> {
    let number = |name: &str, journal: &mut JournalRef| -> systemd::Result<Option<u64>> {
        Ok(text(journal, name)?.and_then(|text| text.parse().ok()))
    };
    // a run that systemd has begun since may have crashed, too; it is told in whole seconds
    let is_later = number("COREDUMP_TIMESTAMP", journal)?.is_some_and(|at| at > micros(ended));
    let pid = number("COREDUMP_PID", journal)?.and_then(|pid| pid.try_into().ok()).filter(|_| !is_later);
    let Some(pid) = pid else { return Ok(None) };
    let program = match text(journal, "COREDUMP_EXE")? {
        Some(path) => Some(path),
        None => text(journal, "COREDUMP_COMM")?,
    };
    let message = field(journal, "MESSAGE")?.unwrap_or_default();
    Ok(Some(Core {
        program: program.unwrap_or_default(),
        pid,
        signal: text(journal, "COREDUMP_SIGNAL_NAME")?.unwrap_or_default(),
        stack: stack(&String::from_utf8_lossy(&message)),
        file: text(journal, "COREDUMP_FILENAME")?,
    }))
}

/// So many functions tell where it was.
const FRAMES: usize = 3;
/// What ends a process on purpose stands innermost and says nothing.
const ENDING: [&str; 8] = [
    "__pthread_kill_implementation",
    "__pthread_kill_internal",
    "pthread_kill",
    "raise",
    "gsignal",
    "abort",
    "__assert_fail",
    "__assert_fail_base",
];

/// The innermost functions of the thread that crashed, which systemd-coredump tells first: of lines as
/// "#0  0x000055ad36883145 main (crash + 0x1145)".
fn stack(message: &str) -> Vec<String> {
    let lines = message.lines().skip_while(|line| !line.starts_with("Stack trace of thread")).skip(1);
    let frames = lines.map_while(|line| {
        let (_, rest) = line.trim().strip_prefix('#')?.split_once("0x")?;
        let (_, place) = rest.split_once(' ')?;
        let (function, module) = place.split_once(" (").unwrap_or((place, ""));
        Some((function.trim().to_owned(), module.trim_end_matches(')').to_owned()))
    });
    let frames: Vec<_> = frames.skip_while(|(function, _)| ENDING.contains(&function.trim_start_matches("__GI_"))).collect();
    // without its symbols: the library or program, and where in it
    let shown = |(function, module): &(String, String)| if function == "n/a" { module.clone() } else { function.clone() };
    let is_own = |(function, _): &&(String, String)| !function.starts_with("__libc_start");
    frames.iter().take_while(is_own).take(FRAMES).map(shown).filter(|place| !place.is_empty()).collect()
}

/// Of a line as "oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=/a.slice,task_memcg=/a.slice/b.service,task=b,pid=7,uid=0"
/// about this unit (since Linux 5.0): the process's number and name, and the group whose limit it was.
fn verdict(line: &str, subject: &Subject) -> Option<(u32, String, Option<String>)> {
    let rest = line.strip_prefix("oom-kill:")?;
    // groups and processes have any name: one that looks like a field of its own makes the line worth nothing
    let only = |name: &str| rest.matches(name).count() == 1;
    if ![",task_memcg=", ",task=", ",pid=", ",uid="].iter().all(|name| only(name)) {
        return None;
    }
    let (rest, _) = rest.split_once(",uid=")?;
    let (rest, pid) = rest.split_once(",pid=")?;
    let (rest, process) = rest.split_once(",task=")?;
    let (rest, group) = rest.split_once(",task_memcg=")?;
    let limit_of = rest.split_once(",oom_memcg=").map(|(_, group)| group.to_owned());
    is_of(group, subject).then_some((pid.parse().ok()?, process.to_owned(), limit_of))
}

/// Of a line as "Out of memory: Killed process 7 (b) total-vm:75160kB, anon-rss:19312kB, file-rss:6552kB, shmem-rss:0kB, ...":
/// number, and memory in bytes.
fn victim(line: &str) -> Option<(u32, Option<u64>)> {
    let (_, rest) = line.split_once("ut of memory: Killed process ")?;
    let (pid, rest) = rest.split_once(" (")?;
    // a process has any name
    let (_, figures) = rest.rsplit_once(") total-vm:")?;
    let kilobytes = |name: &str| figures.split_once(name)?.1.split_once("kB")?.0.parse::<u64>().ok();
    let held = ["anon-rss:", "file-rss:", "shmem-rss:"].iter().map(|name| kilobytes(name)).sum::<Option<u64>>();
    Some((pid.parse().ok()?, held.map(|kilobytes| kilobytes.saturating_mul(1024))))
}

/// Of a line as "Killed /system.slice/b.service due to memory pressure for /system.slice being ..." about this unit: why.
fn oomd_reason(line: &str, subject: &Subject) -> Option<String> {
    let (group, reason) = line.strip_prefix("Killed ")?.split_once(" due to ")?;
    is_of(group, subject).then(|| reason.to_owned())
}

/// Whether this control group is the unit's, or one within it: "/system.slice/b.service/worker". A user's units are those of
/// "/user.slice/user-1000.slice/user@1000.service/app.slice/b.service".
fn is_of(group: &str, subject: &Subject) -> bool {
    let mut units = group.split('/').filter(|name| name.ends_with(".service") || name.ends_with(".scope"));
    let of_manager = |name: &str| name.starts_with("user@");
    match units.next() {
        Some(first) if subject.is_users() => of_manager(first) && units.next() == Some(subject.unit_name()),
        first => first == Some(subject.unit_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Manager, UnitName};

    fn unit(manager: &Manager, name: &str) -> Subject {
        Subject::unit(manager, &UnitName::typed(name).unwrap())
    }

    #[test]
    fn the_stack_is_that_of_the_program_and_not_of_its_end() {
        let told = |frames: &str| stack(&format!("Process 7 (b) of user 0 dumped core.\n\nStack trace of thread 7:\n{frames}"));
        for (frames, expected) in [
            (
                "#0  0x000055ad36883145 n/a (/tmp/b + 0x1145)\n#1  0x00007f250a22424a __libc_start_call_main (libc.so.6 + 0x2724a)\n\
                 #2  0x000055ad36883071 n/a (/tmp/b + 0x1071)\nELF object binary architecture: AMD x86-64",
                vec!["/tmp/b + 0x1145"],
            ),
            (
                "#0  0x1 __pthread_kill_implementation (libc.so.6 + 0x8)\n#1  0x2 __GI_raise (libc.so.6 + 0x3)\n\
                 #2  0x3 abort (libc.so.6 + 0x2)\n#3  0x4 fail (b + 0x1)\n#4  0x5 load (b + 0x2)\n#5  0x6 run (b + 0x3)\n\
                 #6  0x7 main (b + 0x4)\n\nStack trace of thread 8:\n#0  0x9 other (b + 0x5)",
                vec!["fail", "load", "run"],
            ),
            ("#0  no address", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(told(frames), expected, "{frames}");
        }
        assert_eq!(stack("#0  0x1 main (b + 0x1)"), Vec::<String>::new(), "only what stands below its title");
    }

    #[test]
    fn the_kernel_tells_who_was_killed_and_whose_limit_it_was() {
        let line = |rest: &str| format!("oom-kill:constraint=X,nodemask=(null),cpuset=/,mems_allowed=0,{rest},pid=7,uid=0");
        let service = &unit(&Manager::System, "b.service");
        for (rest, expected) in [
            ("global_oom,task_memcg=/system.slice/b.service,task=py", Some((7, "py".to_owned(), None))),
            (
                "oom_memcg=/system.slice,task_memcg=/system.slice/b.service/w,task=a b",
                Some((7, "a b".to_owned(), Some("/system.slice".to_owned()))),
            ),
            ("global_oom,task_memcg=/system.slice/bb.service,task=py", None),
            ("global_oom,task_memcg=/machine.slice/c.service/payload/system.slice/b.service,task=py", None),
            ("global_oom,task_memcg=/user.slice/user-1.slice/user@1.service/app.slice/b.service,task=py", None),
            // names that try to look like another unit's
            ("oom_memcg=/x,task_memcg=/system.slice/b.service,task_memcg=/user.slice/x.scope,task=py", None),
            ("global_oom,task_memcg=/user.slice/x.scope,task_memcg=/system.slice/b.service,task=py", None),
            ("global_oom,task_memcg=/system.slice/b.service,task=py,pid=1", None),
        ] {
            assert_eq!(verdict(&line(rest), service), expected, "{rest}");
        }
        let own = "global_oom,task_memcg=/user.slice/user-1.slice/user@1.service/app.slice/b.service,task=py";
        assert!(verdict(&line(own), &unit(&Manager::User("alice".into()), "b.service")).is_some());
    }

    #[test]
    fn what_was_killed_held_so_much() {
        let figures = "total-vm:75160kB, anon-rss:19312kB, file-rss:6552kB, shmem-rss:4kB, UID:0 pgtables:96kB oom_score_adj:0";
        for (line, expected) in [
            (format!("Memory cgroup out of memory: Killed process 7 (py) {figures}"), Some((7, Some(25_868 * 1024)))),
            (format!("Out of memory: Killed process 7 (a) total-vm:1kB (b) {figures}"), Some((7, Some(25_868 * 1024)))),
            ("Out of memory: Killed process 7 (py) total-vm:75160kB".to_owned(), Some((7, None))),
            ("Killed process 7".to_owned(), None),
        ] {
            assert_eq!(victim(&line), expected, "{line}");
        }
    }

    #[test]
    fn why_oomd_killed_a_unit() {
        let why = "memory pressure for /system.slice being 61.20% > 60.00% for > 30s with reclaim activity";
        let service = &unit(&Manager::System, "b.service");
        assert_eq!(oomd_reason(&format!("Killed /system.slice/b.service due to {why}"), service).as_deref(), Some(why));
        assert_eq!(oomd_reason(&format!("Killed /system.slice/a.service due to {why}"), service), None);
    }
}
