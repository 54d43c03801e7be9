//! What a unit is made of, and what its last run used.

use std::time::{Duration, Instant};

use super::{SERVICE, ServiceManager, UNIT, path_of};
use crate::event::Subject;
use crate::host::clock;

/// What a unit is made of, as far as the manager told in time. Paths are as the unit has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// The unit file, its drop-ins and its `EnvironmentFile=`.
    pub files: Vec<String>,
    /// What its `ExecStartPre=` and `ExecStart=` run: programs, and scripts of interpreters.
    pub programs: Vec<String>,
    /// Where it works and keeps its data.
    pub folders: Vec<String>,
    /// `MemoryMax=`, in bytes.
    pub memory_max: Option<u64>,
    /// The run whose figures these are.
    pub invocation: Option<String>,
    /// Processor time.
    pub cpu: Option<Duration>,
    /// The most memory that it held at a time, in bytes (systemd 255).
    pub memory: Option<u64>,
}

/// A command: its path, its arguments with the first, how failures are taken, and when it ran how, which is of no use here.
type Command = (String, Vec<String>, bool, u64, u64, u64, u64, u32, i32, i32);

/// Whose files are written anew each time the manager reads them.
const GENERATED: [&str; 2] = ["/run/systemd/generator", "/run/systemd/transient"];

impl ServiceManager {
    /// What this unit is made of; what is asked for when the time is over is missing. `None` when nobody answers.
    pub fn setup(&mut self, subject: &Subject, until: Instant) -> Option<Setup> {
        let path = path_of(subject.unit_name());
        let mut setup = Setup { files: vec![self.text(&path, UNIT, "FragmentPath")?], ..Setup::default() };
        let mut asks = Asks { manager: self, path, until };
        setup.files.extend(asks.ask(|manager, path| manager.list(path, UNIT, "DropInPaths")).unwrap_or_default());
        // of a generated unit: /etc/fstab, /etc/init.d/...
        setup.files.extend(asks.ask(|manager, path| manager.text(path, UNIT, "SourcePath")));
        for key in ["ExecStart", "ExecStartPre"] {
            let commands = asks.ask(|manager, path| {
                manager.get(path, SERVICE, key, "a(sasbttttuii)", |iter| iter.next::<Vec<Command>>().ok().flatten())
            });
            setup.programs.extend(commands.iter().flatten().flat_map(|(program, arguments, ..)| programs(program, arguments)));
        }
        let environment = asks.ask(|manager, path| {
            manager.get(path, SERVICE, "EnvironmentFiles", "a(sb)", |iter| iter.next::<Vec<(String, bool)>>().ok().flatten())
        });
        setup.files.extend(environment.into_iter().flatten().map(|(file, _)| file));
        setup.files.retain(|file| file.starts_with('/') && !GENERATED.iter().any(|folder| file.starts_with(folder)));
        let mut number = |key| {
            let number = asks.ask(|manager, path| manager.number_of::<u64>(path, SERVICE, key, "t"));
            // the largest that there is stands for none
            number.filter(|number| *number < u64::MAX)
        };
        setup.memory_max = number("MemoryMax");
        setup.cpu = number("CPUUsageNSec").map(Duration::from_nanos);
        setup.memory = number("MemoryPeak");
        // after the figures: if it is still this run now, they are its own
        setup.invocation = asks.ask(|manager, path| manager.invocation(path));
        setup.folders.extend(asks.ask(|manager, path| manager.text(path, SERVICE, "WorkingDirectory")));
        if !subject.is_users() {
            for (key, above) in [("StateDirectory", "/var/lib"), ("LogsDirectory", "/var/log"), ("CacheDirectory", "/var/cache")]
            {
                let folders = asks.ask(|manager, path| manager.list(path, SERVICE, key));
                setup.folders.extend(folders.into_iter().flatten().map(|folder| format!("{above}/{folder}")));
            }
        }
        // "!/path": it may be missing
        setup.folders.iter_mut().for_each(|folder| *folder = folder.trim_start_matches('!').to_owned());
        setup.folders.retain(|folder| folder.starts_with('/'));
        Some(setup)
    }
}

/// Questions about one unit, until the time is over.
struct Asks<'a> {
    manager: &'a mut ServiceManager,
    path: String,
    until: Instant,
}

impl Asks<'_> {
    fn ask<T>(&mut self, question: impl FnOnce(&mut ServiceManager, &str) -> Option<T>) -> Option<T> {
        if clock::started() < self.until { question(self.manager, &self.path) } else { None }
    }
}

/// A command's program, and the first argument that is no option, if that is a path: an interpreter's script, or what a shell
/// runs ("sh -c '/usr/local/bin/backup | logger'").
fn programs(program: &str, arguments: &[String]) -> Vec<String> {
    let first = arguments.iter().skip(1).find(|argument| !argument.starts_with('-'));
    let script = first.and_then(|argument| argument.trim_start_matches("exec ").split_whitespace().next());
    [Some(program), script].into_iter().flatten().filter(|path| path.starts_with('/')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_runs_a_program_and_maybe_a_script() {
        for (command, expected) in [
            ("/usr/bin/backup", vec!["/usr/bin/backup"]),
            ("/usr/bin/python3 -I /srv/app.py --config /etc/app", vec!["/usr/bin/python3", "/srv/app.py"]),
            ("/usr/bin/python3 app.py /srv/app.py", vec!["/usr/bin/python3"]),
        ] {
            let arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
            assert_eq!(programs(&arguments[0], &arguments), expected, "{command}");
        }
        let shell = |script: &str| programs("/bin/sh", &["sh", "-c", script].map(str::to_owned));
        assert_eq!(shell("exec /srv/run --fast | logger"), ["/bin/sh", "/srv/run"]);
        assert_eq!(shell("cd /srv && ./run"), ["/bin/sh"]);
    }
}
