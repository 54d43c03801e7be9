//! How a run ended, in systemd's words and in ours.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Alarm, Finding, Lapse, UnitName, breach};

/// How a run ended, in systemd's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Problem {
    /// `Result=`: "exit-code", "signal", "timeout", ... (`systemd.exec(5)`, `$SERVICE_RESULT`).
    pub service_result: Option<String>,
    /// "exited", "killed" or "dumped".
    pub exit_code: Option<String>,
    /// The exit status as a number, or the signal's name without SIG.
    pub exit_status: Option<String>,
    /// What it failed at, where that is not the main process: a command of the unit ("ExecStartPre"), what took too long
    /// ("start", "stop", "runtime", "job"), or the unit that it depends on.
    #[serde(default)]
    pub cause: Option<String>,
}

impl Problem {
    /// True when systemd told nothing: it tells something of services alone.
    pub fn is_unknown(&self) -> bool {
        *self == Problem::default()
    }

    /// Of what ended well.
    pub fn success() -> Problem {
        Problem { service_result: Some("success".to_owned()), ..Problem::default() }
    }

    /// True of a run that ended well.
    pub fn is_success(&self) -> bool {
        self.service_result.as_deref() == Some("success")
    }

    /// Whether two failures are the same problem: the same result for the same cause, and where it is the exit that tells,
    /// the same exit. (How a process ended that systemd itself had to end says nothing: by SIGTERM once, by SIGKILL next.)
    pub fn is_same(&self, other: &Problem) -> bool {
        let exit_tells = matches!(self.service_result.as_deref(), Some("exit-code" | "signal" | "core-dump") | None);
        let result = self.service_result.as_deref();
        // which dependency it was can be seen only for a while
        let unseen = result == Some("dependency") && (self.cause.is_none() || other.cause.is_none());
        // of a schedule, a check and a process the cause only tells more: since when, for which reason, how much
        let unseen = unseen || self.is_lapse() || result.is_some_and(|result| breach::RESULTS.contains(&result));
        let unseen = unseen || self.alarm().is_some();
        result == other.service_result.as_deref()
            && (self.cause == other.cause || unseen)
            && (!exit_tells || (&self.exit_code, &self.exit_status) == (&other.exit_code, &other.exit_status))
    }

    /// True of what no trigger tells: only polling finds it.
    pub fn is_polled(&self) -> bool {
        self.polled().is_some()
    }

    /// True of what is wrong with a schedule.
    pub fn is_lapse(&self) -> bool {
        self.service_result.as_deref().is_some_and(|result| Lapse::RESULTS.contains(&result))
    }

    /// True of a unit that is not running although it should.
    pub fn is_not_running(&self) -> bool {
        self.service_result.as_deref() == Some("inactive")
    }

    /// True of a unit that nothing has started although it is enabled.
    pub fn was_never_started(&self) -> bool {
        self.is_not_running() && self.cause.as_deref() == Some("never")
    }

    /// True of a name that no unit has.
    pub fn is_not_found(&self) -> bool {
        self.service_result.as_deref() == Some("not-found")
    }

    /// What polling found, as three parts of a message: what the unit does ("is not running"), the same as a heading, and
    /// why, as far as that is known.
    pub fn polled(&self) -> Option<(&'static str, &'static str, Option<String>)> {
        let cause = self.cause.as_deref();
        let longer = |doing: &str| cause.map(|limit| format!("it has been {doing} for more than {limit}"));
        Some(match self.service_result.as_deref()? {
            "not-found" => {
                let meant = cause.map(|meant| format!("did you mean {meant}?"));
                ("does not exist", "Not found", meant.or_else(|| Some("systemd knows no unit of this name".to_owned())))
            }
            "masked" => ("is masked", "Masked", Some("nothing can start it".to_owned())),
            "bad-setting" => ("cannot be started", "Not loaded", Some("its unit file has a mistake".to_owned())),
            "load-error" => ("cannot be started", "Not loaded", Some("systemd cannot load its unit file".to_owned())),
            "inactive" => {
                let why = match cause {
                    Some("itself") => Some("it ended by itself, without an error".to_owned()),
                    Some("never") => Some("it is enabled, and nothing has started it since the boot".to_owned()),
                    _ => None,
                };
                ("is not running", "Not running", why)
            }
            "activating" => ("hangs", "Hangs", longer("starting")),
            "deactivating" => ("hangs", "Hangs", longer("stopping")),
            "reloading" | "refreshing" => ("hangs", "Hangs", longer("reloading")),
            _ => return None,
        })
    }

    /// The unit whose failure kept this one from being started, if systemd named one.
    pub fn culprit(&self) -> Option<UnitName> {
        let cause = self.cause.as_deref().filter(|_| self.service_result.as_deref() == Some("dependency"))?;
        cause.parse().ok()
    }

    /// What is wrong with a schedule, if it is about one.
    pub fn lapse(&self) -> Option<Lapse> {
        Lapse::of(self)
    }

    /// What is wrong with a process of the watchdog's database, if it is about one.
    pub fn alarm(&self) -> Option<Alarm> {
        Alarm::of(self)
    }

    /// What is wrong with what a sensor measures, if it is about that.
    pub fn finding(&self) -> Option<Finding> {
        Finding::of(self)
    }

    /// How the process ended, if that is known: "exited with status 3".
    fn process(&self) -> Option<String> {
        let status = self.exit_status.as_deref()?;
        match self.exit_code.as_deref()? {
            "exited" => Some(match known_status(status) {
                Some(meaning) => format!("exited with status {status} ({meaning})"),
                None => format!("exited with status {status}"),
            }),
            "killed" => Some(format!("killed by SIG{status}")),
            "dumped" => Some(format!("dumped core: SIG{status}")),
            _ => None,
        }
    }

    /// How something else than the main process failed: "its ExecStartPre= exited with status 7".
    fn command(&self) -> Option<String> {
        let who = match self.cause.as_deref()? {
            "ExecMount" => "mount".to_owned(),
            "ExecRemount" => "remount".to_owned(),
            "ExecUnmount" => "unmount".to_owned(),
            "ExecActivate" => "swapon".to_owned(),
            "ExecDeactivate" => "swapoff".to_owned(),
            key if is_command(key) => format!("its {key}="),
            _ => return None,
        };
        let how = match self.exit_code.as_deref() {
            // that is how the main process ended
            Some("exited") if self.exit_status.as_deref() == Some("0") => None,
            Some("killed") => self.process().map(|process| format!("was {process}")),
            _ => self.process(),
        };
        Some(format!("{who} {}", how.unwrap_or_else(|| "failed".to_owned())))
    }

    /// What took too long; that systemd ended its process, and how, stands in parentheses.
    fn timeout(&self) -> String {
        let (what, key) = match self.cause.as_deref() {
            Some("start") => ("timed out while starting", ""),
            Some("start-pre") => ("its ExecStartPre= timed out", ""),
            Some("start-post") => ("its ExecStartPost= timed out", ""),
            Some("condition") => ("its ExecCondition= timed out", ""),
            Some("reload") => ("timed out while reloading", ""),
            Some("stop") => ("timed out while stopping", ""),
            Some("runtime") => ("ran longer than it may", "RuntimeMaxSec="),
            // nothing ran, so nothing was ended
            Some("job") => return "its job waited too long (JobTimeoutSec=)".to_owned(),
            _ => ("timed out", ""),
        };
        let process = self.process().unwrap_or_default();
        match [key, process.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ") {
            none if none.is_empty() => what.to_owned(),
            more => format!("{what} ({more})"),
        }
    }
}

/// Whether this is a key whose value is a command, as systemd names it.
fn is_command(key: &str) -> bool {
    key.strip_prefix("Exec").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

/// The statuses that systemd itself exits with when it could not start the program (`systemd.exec(5)`, "Process Exit Codes"),
/// as far as a person can do something about them.
fn known_status(status: &str) -> Option<&'static str> {
    Some(match status {
        "200" => "CHDIR: its working directory could not be entered",
        "201" => "NICE: its Nice= could not be set",
        "203" => "EXEC: its program could not be started",
        "204" => "MEMORY: there was no memory to start it",
        "205" => "LIMITS: its resource limits could not be set",
        "206" => "OOM_ADJUST: its OOMScoreAdjust= could not be set",
        "208" => "STDIN: its standard input could not be opened",
        "209" => "STDOUT: its standard output could not be opened",
        "210" => "CHROOT: its root directory could not be entered",
        "211" => "IOPRIO: its I/O priority could not be set",
        "213" => "SECUREBITS: its SecureBits= could not be set",
        "214" => "SETSCHEDULER: its CPU scheduling could not be set",
        "215" => "CPUAFFINITY: its CPUAffinity= could not be set",
        "216" => "GROUP: its group could not be taken",
        "217" => "USER: its user could not be taken",
        "218" => "CAPABILITIES: its capabilities could not be set",
        "219" => "CGROUP: its control group could not be set up",
        "222" => "STDERR: its standard error could not be opened",
        "224" => "PAM: its PAM session could not be opened",
        "225" => "NETWORK: its network namespace could not be set up",
        "226" => "NAMESPACE: its sandbox could not be set up",
        "228" => "SECCOMP: its system call filter could not be applied",
        "229" => "SELINUX_CONTEXT: its SELinux context could not be set",
        "231" => "APPARMOR: its AppArmor profile could not be applied",
        "232" => "ADDRESS_FAMILIES: its RestrictAddressFamilies= could not be applied",
        "233" => "RUNTIME_DIRECTORY: its runtime directory could not be set up",
        "235" => "CHOWN: its socket's owner could not be changed",
        "236" => "SMACK_PROCESS_LABEL: its SMACK label could not be set",
        "237" => "KEYRING: its kernel keyring could not be set up",
        "238" => "STATE_DIRECTORY: its state directory could not be set up",
        "239" => "CACHE_DIRECTORY: its cache directory could not be set up",
        "240" => "LOGS_DIRECTORY: its log directory could not be set up",
        "241" => "CONFIGURATION_DIRECTORY: its configuration directory could not be set up",
        "242" => "NUMA_POLICY: its NUMAPolicy= could not be set",
        "243" => "CREDENTIALS: its credentials could not be set up",
        // the manual has 245, the program 244
        "244" | "245" => "BPF: its BPF restrictions could not be applied",
        _ => return None,
    })
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (process, command) = (self.process(), self.command());
        let with = |what: &str| match &process {
            Some(process) => format!("{what} ({process})"),
            None => what.to_owned(),
        };
        if let Some(lapse) = Lapse::of(self) {
            return lapse.fmt(f);
        }
        if let Some(alarm) = Alarm::of(self) {
            return alarm.fmt(f);
        }
        if let Some(finding) = Finding::of(self) {
            return finding.fmt(f);
        }
        if let Some((_, heading, why)) = self.polled() {
            let heading = heading.to_lowercase();
            return match why {
                Some(why) => write!(f, "{heading}: {why}"),
                None => f.write_str(&heading),
            };
        }
        f.write_str(&match self.service_result.as_deref() {
            Some("instance-gone") => format!("gone: {}", self.why_instance_gone().unwrap_or_default()),
            Some("user-gone") => "its user is gone".to_owned(),
            Some("manager-gone") => "the service manager of its user ended".to_owned(),
            Some("timeout") => self.timeout(),
            Some("watchdog") => with("sent no watchdog signal in time"),
            Some("oom-kill") => with("out of memory"),
            Some("start-limit-hit") => "started too often in a short time".to_owned(),
            Some("trigger-limit-hit") => "triggered too often in a short time".to_owned(),
            Some("unit-start-limit-hit") => "the unit that it starts was started too often in a short time".to_owned(),
            Some("service-start-limit-hit") => "the service that it starts was started too often in a short time".to_owned(),
            Some("mount-start-limit-hit") => "its mount was started too often in a short time".to_owned(),
            Some("protocol") => "did not report its start as its Type= demands".to_owned(),
            // a missing EnvironmentFile= is one of them
            Some("resources") => "not started, because systemd lacked a resource or a file for it".to_owned(),
            Some("exec-condition") => "skipped by its ExecCondition=".to_owned(),
            Some("assert") => "an Assert...= condition was not met".to_owned(),
            Some("dependency") => match self.culprit() {
                Some(unit) => format!("its dependency {unit} failed"),
                None => "not started, because a dependency failed".to_owned(),
            },
            Some("exit-code" | "signal" | "core-dump") if command.is_some() => command.unwrap_or_default(),
            // the main process ended well, so it was another command of the unit
            Some("exit-code") if self.exit_status.as_deref() == Some("0") => "one of its commands failed".to_owned(),
            Some("success") if process.is_none() => "not started, because a dependency failed".to_owned(),
            Some("success") => "succeeded".to_owned(),
            Some(other) => process.unwrap_or_else(|| format!("failed with result {other}")),
            None => process.unwrap_or_else(|| "failed".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Result, exit code, exit status, cause; an empty one is unknown.
    const WORDS: &[([&str; 4], &str)] = &[
        (["exit-code", "exited", "3", ""], "exited with status 3"),
        (["exit-code", "exited", "203", ""], "exited with status 203 (EXEC: its program could not be started)"),
        (["exit-code", "exited", "0", ""], "one of its commands failed"),
        (["exit-code", "", "", ""], "failed with result exit-code"),
        (["exit-code", "exited", "7", "ExecStartPre"], "its ExecStartPre= exited with status 7"),
        (
            ["exit-code", "exited", "203", "ExecStartPre"],
            "its ExecStartPre= exited with status 203 (EXEC: its program could not be started)",
        ),
        (["exit-code", "exited", "0", "ExecStartPost"], "its ExecStartPost= failed"),
        (["exit-code", "", "", "ExecReload"], "its ExecReload= failed"),
        (["exit-code", "exited", "255", "ExecCondition"], "its ExecCondition= exited with status 255"),
        (["signal", "killed", "KILL", "ExecStop"], "its ExecStop= was killed by SIGKILL"),
        (["core-dump", "dumped", "SEGV", "ExecStopPost"], "its ExecStopPost= dumped core: SIGSEGV"),
        (["exit-code", "exited", "32", "ExecMount"], "mount exited with status 32"),
        (["signal", "killed", "TERM", "ExecMount"], "mount was killed by SIGTERM"),
        (["exit-code", "exited", "32", "ExecUnmount"], "unmount exited with status 32"),
        (["exit-code", "exited", "32", "ExecRemount"], "remount exited with status 32"),
        (["exit-code", "exited", "255", "ExecActivate"], "swapon exited with status 255"),
        (["exit-code", "exited", "255", "ExecDeactivate"], "swapoff exited with status 255"),
        (["exit-code", "exited", "1", "Exec<b>"], "exited with status 1"),
        (["signal", "killed", "SEGV", ""], "killed by SIGSEGV"),
        (["core-dump", "dumped", "SEGV", ""], "dumped core: SIGSEGV"),
        (["timeout", "killed", "TERM", ""], "timed out (killed by SIGTERM)"),
        (["timeout", "", "", "start"], "timed out while starting"),
        (["timeout", "killed", "TERM", "start"], "timed out while starting (killed by SIGTERM)"),
        (["timeout", "killed", "TERM", "start-pre"], "its ExecStartPre= timed out (killed by SIGTERM)"),
        (["timeout", "", "", "start-post"], "its ExecStartPost= timed out"),
        (["timeout", "", "", "condition"], "its ExecCondition= timed out"),
        (["timeout", "", "", "reload"], "timed out while reloading"),
        (["timeout", "killed", "KILL", "stop"], "timed out while stopping (killed by SIGKILL)"),
        (["timeout", "", "", "runtime"], "ran longer than it may (RuntimeMaxSec=)"),
        (["timeout", "killed", "TERM", "runtime"], "ran longer than it may (RuntimeMaxSec=; killed by SIGTERM)"),
        (["timeout", "", "", "job"], "its job waited too long (JobTimeoutSec=)"),
        (["watchdog", "killed", "ABRT", ""], "sent no watchdog signal in time (killed by SIGABRT)"),
        (["oom-kill", "killed", "KILL", ""], "out of memory (killed by SIGKILL)"),
        (["start-limit-hit", "exited", "0", ""], "started too often in a short time"),
        (["trigger-limit-hit", "", "", ""], "triggered too often in a short time"),
        (["unit-start-limit-hit", "", "", ""], "the unit that it starts was started too often in a short time"),
        (["service-start-limit-hit", "", "", ""], "the service that it starts was started too often in a short time"),
        (["protocol", "exited", "0", ""], "did not report its start as its Type= demands"),
        (["resources", "", "", ""], "not started, because systemd lacked a resource or a file for it"),
        (["exec-condition", "exited", "1", ""], "skipped by its ExecCondition="),
        (["assert", "", "", ""], "an Assert...= condition was not met"),
        (["dependency", "", "", "postgresql.service"], "its dependency postgresql.service failed"),
        (["dependency", "", "", "no unit at all"], "not started, because a dependency failed"),
        (["dependency", "", "", ""], "not started, because a dependency failed"),
        // as records from before the cause was known have it
        (["success", "", "", ""], "not started, because a dependency failed"),
        (["success", "exited", "0", ""], "succeeded"),
        // found by polling
        (["not-found", "", "", "nginx.service"], "not found: did you mean nginx.service?"),
        (["not-found", "", "", ""], "not found: systemd knows no unit of this name"),
        (["masked", "", "", ""], "masked: nothing can start it"),
        (["bad-setting", "", "", ""], "not loaded: its unit file has a mistake"),
        (["load-error", "", "", ""], "not loaded: systemd cannot load its unit file"),
        (["inactive", "", "", "itself"], "not running: it ended by itself, without an error"),
        (["inactive", "", "", "never"], "not running: it is enabled, and nothing has started it since the boot"),
        (["inactive", "", "", ""], "not running"),
        (["activating", "", "", "10m"], "hangs: it has been starting for more than 10m"),
        (["deactivating", "", "", "10m"], "hangs: it has been stopping for more than 10m"),
        (["reloading", "", "", "10m"], "hangs: it has been reloading for more than 10m"),
        (["what-comes-next", "", "", ""], "failed with result what-comes-next"),
        (["", "", "", ""], "failed"),
    ];

    #[test]
    fn words_for_how_a_run_ended() {
        for (row, words) in WORDS {
            let [service_result, exit_code, exit_status, cause] = row.map(|text| (!text.is_empty()).then(|| text.to_owned()));
            let problem = Problem { service_result, exit_code, exit_status, cause };
            assert_eq!(problem.to_string(), *words, "{row:?}");
        }
    }

    #[test]
    fn a_culprit_is_a_unit() {
        let of = |result: &str, cause: &str| Problem {
            service_result: Some(result.to_owned()),
            cause: Some(cause.to_owned()),
            ..Problem::default()
        };
        let name = |problem: Problem| problem.culprit().map(|unit| unit.to_string());
        assert_eq!(name(of("dependency", "db.service")).as_deref(), Some("db.service"));
        assert_eq!(name(of("dependency", "db.service; reboot")), None);
        assert_eq!(name(of("timeout", "db.service")), None);
    }
}
