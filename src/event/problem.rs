//! How a run ended, in systemd's words and in ours.

use std::fmt;

use serde::{Deserialize, Serialize};

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

    /// Whether two failures are the same problem: the same result for the same cause, and where it is the exit that tells,
    /// the same exit. (How a process ended that systemd itself had to end says nothing: by SIGTERM once, by SIGKILL next.)
    pub fn is_same(&self, other: &Problem) -> bool {
        let exit_tells = matches!(self.service_result.as_deref(), Some("exit-code" | "signal" | "core-dump") | None);
        let result = self.service_result.as_deref();
        // which dependency it was can be seen only for a while
        let unseen = result == Some("dependency") && (self.cause.is_none() || other.cause.is_none());
        result == other.service_result.as_deref()
            && (self.cause == other.cause || unseen)
            && (!exit_tells || (&self.exit_code, &self.exit_status) == (&other.exit_code, &other.exit_status))
    }

    /// How the main process ended, if that is known: "exited with status 3".
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
}

/// The statuses that systemd itself exits with when it could not start the program (`systemd.exec(5)`, "Process Exit Codes").
fn known_status(status: &str) -> Option<&'static str> {
    Some(match status {
        "200" => "CHDIR: its working directory could not be entered",
        "203" => "EXEC: its program could not be started",
        "216" => "GROUP: its group could not be taken",
        "217" => "USER: its user could not be taken",
        "226" => "NAMESPACE: its sandbox could not be set up",
        "238" => "STATE_DIRECTORY: its state directory could not be set up",
        "243" => "CREDENTIALS: its credentials could not be set up",
        _ => return None,
    })
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let process = self.process();
        let with = |what: &str| match &process {
            Some(process) => format!("{what} ({process})"),
            None => what.to_owned(),
        };
        f.write_str(&match self.service_result.as_deref() {
            Some("timeout") => with("timed out"),
            Some("watchdog") => with("sent no watchdog signal in time"),
            Some("oom-kill") => with("out of memory"),
            Some("start-limit-hit") => "started too often in a short time".to_owned(),
            Some("protocol") => "did not report its start as its Type= demands".to_owned(),
            Some("resources") => "not started, because systemd lacked a resource".to_owned(),
            Some("exec-condition") => "skipped by its ExecCondition=".to_owned(),
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

    #[test]
    fn words_for_how_a_run_ended() {
        let rows = [
            (["exit-code", "exited", "3"], "exited with status 3"),
            (["exit-code", "exited", "203"], "exited with status 203 (EXEC: its program could not be started)"),
            (["exit-code", "exited", "0"], "one of its commands failed"),
            (["exit-code", "", ""], "failed with result exit-code"),
            (["signal", "killed", "SEGV"], "killed by SIGSEGV"),
            (["core-dump", "dumped", "SEGV"], "dumped core: SIGSEGV"),
            (["timeout", "killed", "TERM"], "timed out (killed by SIGTERM)"),
            (["watchdog", "killed", "ABRT"], "sent no watchdog signal in time (killed by SIGABRT)"),
            (["oom-kill", "killed", "KILL"], "out of memory (killed by SIGKILL)"),
            (["start-limit-hit", "exited", "0"], "started too often in a short time"),
            (["success", "", ""], "not started, because a dependency failed"),
            (["", "", ""], "failed"),
        ];
        for ([result, code, status], words) in rows {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let problem = Problem { service_result: some(result), exit_code: some(code), exit_status: some(status), cause: None };
            assert_eq!(problem.to_string(), words);
        }
    }
}
