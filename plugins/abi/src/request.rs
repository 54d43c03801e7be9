//! The JSON that crosses the border. Fields are only ever added; a reader passes over what it does not know.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The `schema` of the requests that this crate describes.
pub const SCHEMA: u32 = 1;

/// One message to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Must come back in the reply: it proves that the plugin answered this request.
    pub nonce: String,
    /// What kind of message it is.
    pub kind: Kind,
    /// The host that it is about, as `[policy] host` or the kernel names it.
    pub host: String,
    /// The unit that it is about; `sysalert` for a test message.
    pub service_name: String,
    /// The failures of the incident, oldest first. Of more than a hundred, the first and the newest ninety-nine.
    pub failures: Vec<Failure>,
    /// The incident; absent for a test message, for a digest and for what is about sysalert itself.
    pub incident: Option<Incident>,
    /// The incidents that a digest is about, each once and as it stands now, in the order of their numbers; empty otherwise.
    #[serde(default)]
    pub incidents: Vec<Member>,
    /// What of sysalert itself it is about; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matter: Option<Matter>,
    /// How many incidents, and outages of other methods, this method told of that are not over after this message.
    #[serde(default)]
    pub open: u64,
    /// The message, ready for people.
    pub message: Message,
    /// The same for every try to deliver this message by this method, and for no other message.
    pub idempotency_key: String,
    /// The whole send must end within this many milliseconds; the process is killed then.
    pub deadline_ms: u64,
    /// Set when this is no message but a sign of life, `[heartbeat]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat: Option<Beat>,
    /// The method's own section of the configuration, with the secrets put in and without the keys of sysalert itself.
    pub config: Map<String, Value>,
}

/// What a message about sysalert itself is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Matter {
    /// A method that can send nothing, or can again.
    Method {
        /// Its name.
        name: String,
    },
    /// The database, which was damaged and replaced. That has no end.
    Database,
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is over.
    Well,
    /// Nobody must do anything.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must act now.
    Critical,
}

impl Level {
    /// Of what is told so about an incident of this severity.
    pub fn of(kind: Kind, severity: &str) -> Level {
        match (kind, severity) {
            (Kind::Recovery, _) => Level::Well,
            (Kind::Test, _) | (_, "info") => Level::Info,
            (_, "warning") => Level::Warning,
            _ => Level::Critical,
        }
    }
}

impl Request {
    /// How much it matters: by its incident's severity; a digest as much as the worst that it tells.
    pub fn level(&self) -> Level {
        let each = self.incidents.iter().map(|member| Level::of(member.kind, &member.incident.severity));
        let whole = || Level::of(self.kind, self.incident.as_ref().map_or("", |incident| &incident.severity));
        each.max().unwrap_or_else(whole)
    }
}

/// What a sign of life says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Beat {
    /// A run begins.
    Start,
    /// It ended well.
    Success,
    /// It did not; the message says why.
    Fail,
}

/// What kind of message it is. Everything but `Recovery` goes to the plugin's `failure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something failed.
    Failure,
    /// It still fails.
    Reminder,
    /// It is well again.
    Recovery,
    /// Many incidents at once.
    Digest,
    /// Somebody tries whether messages arrive.
    Test,
}

impl Kind {
    /// Its word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Failure => "failure",
            Kind::Reminder => "reminder",
            Kind::Recovery => "recovery",
            Kind::Digest => "digest",
            Kind::Test => "test",
        }
    }
}

/// One failure of the incident. The first three fields are systemd's words: "exit-code", "exited", "3".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `Result=` of the unit.
    pub service_result: Option<String>,
    /// How the main process ended: "exited", "killed" or "dumped".
    pub exit_code: Option<String>,
    /// Its exit status or the signal's name.
    pub exit_status: Option<String>,
    /// The run that failed; absent when nothing was started.
    pub invocation_id: Option<String>,
    /// When, as RFC 3339 in UTC.
    pub timestamp: String,
    /// The method that reported this failure, if one did.
    pub alert_method: Option<String>,
    /// The unit that started the run, if one is known.
    pub triggered_by: Option<String>,
}

impl Failure {
    /// systemd's words for it, "exit-code, exited, 3"; nothing when there are none, as for a sensor's finding.
    pub fn words(&self) -> Option<String> {
        let words = [&self.service_result, &self.exit_code, &self.exit_status];
        let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// The incident: from a subject's first failure to its recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number in this host's database.
    pub id: i64,
    /// What is in trouble: "unit:backup.service".
    pub subject: String,
    /// "system" or the user whose service manager it is.
    pub manager: String,
    /// "pending", "open", "acknowledged" or "resolved".
    pub state: String,
    /// "info", "warning" or "critical".
    pub severity: String,
    /// How many failures it has.
    pub failures: u64,
    /// When it began, as RFC 3339 in UTC.
    pub first_failure: String,
    /// When it last failed, as RFC 3339 in UTC.
    pub last_failure: String,
    /// When it was over, as RFC 3339 in UTC; only a recovery has it.
    #[serde(default)]
    pub ended: Option<String>,
}

/// One incident of a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// `Failure`, `Reminder` or `Recovery`.
    pub kind: Kind,
    /// The unit that it is about.
    pub service_name: String,
    /// The incident.
    pub incident: Incident,
    /// The failure that is told; absent with a recovery.
    pub failure: Option<Failure>,
    /// The subject that a message about it alone would have.
    pub subject: String,
    /// What that message would be made of.
    pub parts: Parts,
}

/// The message in the forms that channels want. Nothing in it needs the other fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// One line without markup.
    pub subject: String,
    /// Plain text, lines ended by `\n`.
    pub text: String,
    /// A whole HTML document with its styles inside.
    pub html: String,
    /// Markdown in the common subset.
    pub markdown: String,
    /// The journal's lines alone; empty when there are none.
    pub journal: String,
    /// What the forms above are made of, for channels with a form of their own.
    #[serde(default)]
    pub parts: Parts,
    /// The forms above that the method's own templates made: "subject", "text", "html", "markdown".
    #[serde(default)]
    pub own: Vec<String>,
}

/// A message in its parts, in the order in which people read them. What there is nothing of is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// What happened, in a sentence or two.
    pub lead: String,
    /// The facts: "Host", "Unit", "Failed" and so on.
    pub facts: Vec<Fact>,
    /// Where to read about the unit: links and manual pages.
    pub see: Vec<String>,
    /// What stands above the run's lines: it says that secrets were removed.
    pub excerpt_title: String,
    /// The run's last lines, oldest first.
    pub excerpt: Vec<String>,
    /// Why there are no such lines, or why some may be missing.
    pub note: String,
    /// Its failures, the units of a digest.
    pub lists: Vec<List>,
    /// What to run next.
    pub commands: Vec<String>,
}

/// A label and its value, each one line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// "Host".
    pub label: String,
    /// "web1".
    pub value: String,
}

/// A list with its title.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// "Its failures".
    pub title: String,
    /// One line each.
    pub lines: Vec<String>,
}

impl Message {
    /// The text's first lines without the subject, blank lines and the journal's excerpt: for channels that show little.
    pub fn gist(&self, most: usize) -> Vec<&str> {
        let excerpt: HashSet<&str> = self.journal.lines().map(str::trim).collect();
        let lines = self.text.lines().map(str::trim);
        lines.filter(|line| !line.is_empty() && *line != self.subject.trim() && !excerpt.contains(line)).take(most).collect()
    }
}

/// The plugin's reply. Nothing but `Sent` with the request's nonce counts as delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's nonce.
    pub nonce: String,
    /// What became of the message.
    pub status: Status,
    /// A sentence for the administrator. No secrets.
    #[serde(default)]
    pub detail: String,
    /// With `Retry`: not before this many seconds, if the channel said so.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// With `Sent`: the channel forgets, and wants the incidents that are not over again after this many seconds, and so on; of
    /// a recovery: a part of it missed that, and it comes again ten times at most. They come as a digest, all of the method's in
    /// one.
    #[serde(default)]
    pub again_after: Option<u64>,
}

/// What became of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The channel took it.
    Sent,
    /// A later try may succeed.
    Retry,
    /// The channel does not take this message as things are.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_the_words_of_systemd() {
        let mut failure = Failure {
            service_result: Some("signal".into()),
            exit_code: Some("killed".into()),
            exit_status: Some("TERM".into()),
            invocation_id: None,
            timestamp: "2026-11-21T06:40:00Z".into(),
            alert_method: None,
            triggered_by: None,
        };
        assert_eq!(failure.words().as_deref(), Some("signal, killed, TERM"));
        failure.exit_code = None;
        failure.exit_status = None;
        assert_eq!(failure.words().as_deref(), Some("signal"));
        failure.service_result = None;
        assert_eq!(failure.words(), None);
    }

    /// Of a digest each incident counts as it would alone.
    #[test]
    fn a_digest_matters_as_much_as_the_worst_in_it() {
        let mut request = crate::testing::request(serde_json::json!({}));
        assert_eq!(request.level(), Level::Critical);
        let incident = request.incident.take().unwrap_or_else(|| unreachable!("it has one"));
        request.kind = Kind::Digest;
        for (members, expected) in [
            (&[][..], Level::Critical),
            (&[(Kind::Recovery, "critical"), (Kind::Recovery, "info")], Level::Well),
            (&[(Kind::Recovery, "critical"), (Kind::Failure, "info")], Level::Info),
            (&[(Kind::Reminder, "warning"), (Kind::Failure, "info")], Level::Warning),
            (&[(Kind::Recovery, "info"), (Kind::Failure, "critical")], Level::Critical),
        ] {
            request.incidents = crate::testing::members(&incident, members);
            assert_eq!(request.level(), expected, "{members:?}");
        }
    }

    #[test]
    fn what_is_sysalerts_own_has_a_name() {
        for (matter, json) in [
            (Matter::Method { name: "mail".into() }, r#"{"what":"method","name":"mail"}"#),
            (Matter::Database, r#"{"what":"database"}"#),
        ] {
            assert_eq!(serde_json::to_string(&matter).ok().as_deref(), Some(json));
            assert_eq!(serde_json::from_str::<Matter>(json).ok(), Some(matter));
        }
    }

    #[test]
    fn the_gist_leaves_out_what_is_told_elsewhere() {
        let message = Message {
            subject: "a failed".into(),
            text: "a failed\n\nexit status 3\n  06:40 boom\n  06:41 bang\nsee: journalctl\nmore\n".into(),
            journal: "06:40 boom\n06:41 bang\n".into(),
            ..Message::default()
        };
        assert_eq!(message.gist(2), ["exit status 3", "see: journalctl"]);
    }
}
