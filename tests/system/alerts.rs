//! The alerts that the method `file` wrote, and what systemd's journal says beside them. For tests that send no mail.

use serde_json::Value;

use crate::guest::{Guest, Options, SOON};
use crate::mail::fact;

/// A method that writes each alert as one line of JSON, however many there are at once.
const LOG: &str = r#"
[storm]
incidents = 0
[method.log]
plugin = "file"
path = "/var/log/sysalert/alerts.json"
format = "json"
"#;

/// An alert as it was written.
#[derive(Debug, Clone)]
pub struct Alert {
    /// "failure", "recovery", ...
    pub kind: String,
    /// The unit.
    pub unit: String,
    /// The subject without the host: "x.service failed: exited with status 3".
    pub subject: String,
    pub text: String,
    /// When it was written.
    pub at: chrono::DateTime<chrono::Utc>,
    /// All of it.
    pub json: Value,
}

impl Alert {
    fn read(line: &str, host: &str) -> Self {
        let json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        let word = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text: {value} in {line}")).to_owned();
        Self {
            kind: word(&json["kind"]),
            unit: word(&json["service_name"]),
            subject: word(&json["message"]["subject"]).replacen(&format!(" on {host}"), "", 1),
            text: word(&json["message"]["text"]),
            at: word(&json["timestamp"]).parse().unwrap(),
            json,
        }
    }

    /// What the text says after this label.
    #[track_caller]
    pub fn fact(&self, label: &str) -> &str {
        fact(&self.text, label)
    }
}

impl Options {
    /// The system-wide override of the documentation, for every kind of unit that can have one, and for services this one.
    pub fn watched(self) -> Self {
        self.prepare(
            r#"for kind in service mount socket path target; do
                install -D -m 0644 -t "$ROOT/etc/systemd/system/$kind.d" "$ROOT/usr/share/doc/sysalert/overrides/service.d/10-sysalert.conf"
            done"#,
        )
    }
}

impl Guest {
    /// Configures the method `file` and this, and lets the record begin: what failed before is no news.
    #[track_caller]
    pub fn begin(&self, more: &str) {
        self.configure(&format!("{LOG}{more}"));
        self.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
        assert!(self.exists("/var/lib/sysalert/sysalert.db"), "dispatch made no database");
    }

    /// All alerts so far, in the order in which they were written.
    #[track_caller]
    pub fn alerts(&self) -> Vec<Alert> {
        let lines = self.sh("cat /var/log/sysalert/alerts.json 2>/dev/null || true").ok();
        lines.lines().map(|line| Alert::read(line, self.name())).collect()
    }

    /// The subjects of all alerts about this unit.
    #[track_caller]
    pub fn told(&self, unit: &str) -> Vec<String> {
        self.alerts().into_iter().filter(|alert| alert.unit == unit).map(|alert| alert.subject).collect()
    }

    /// Waits until systemd has nothing left to do, every event is decided and every alert delivered.
    #[track_caller]
    pub fn quiet(&self) {
        let busy = "test ! -e /run/sysalert/pending; systemctl list-jobs --no-legend; \
            systemctl list-units --plain --no-legend --state=activating,deactivating,reloading";
        let undone = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM events WHERE reason IS NULL OR NOT confirmed)";
        // the many units of a table take their time on a busy machine
        self.wait_at_most(2 * SOON, "systemd and sysalert have nothing left to do", || {
            let systemd = self.sh(busy);
            systemd.success() && systemd.stdout.is_empty() && self.number(undone) == 0
        });
    }

    /// Lets dispatch look twice more at everything: what it does not tell then, it does not tell.
    #[track_caller]
    pub fn look_again(&self) {
        for _ in 0..2 {
            self.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
        }
        self.quiet();
    }

    /// systemd's own messages about this unit, oldest first, with these fields.
    #[track_caller]
    pub fn said_of(&self, unit: &str, matches: &[&str]) -> Vec<Value> {
        self.run(&["journalctl", "--sync"]).ok();
        let unit = format!("UNIT={unit}");
        let asked = ["journalctl", "--no-pager", "--quiet", "-o", "json", "_PID=1", &unit];
        let lines = self.run(&[&asked, matches].concat()).stdout;
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The invocations of this unit that failed, as systemd logged it, oldest first.
    #[track_caller]
    pub fn failed_runs(&self, unit: &str) -> Vec<String> {
        let said = self.said_of(unit, &["MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c"]);
        let mut runs: Vec<String> = said.iter().map(|entry| entry["INVOCATION_ID"].as_str().unwrap().to_owned()).collect();
        // a run that ends at its start limit is said twice
        runs.dedup();
        runs
    }
}
