//! `[heartbeat]`: tells somebody elsewhere at an interval that this host lives. What matters is its absence.

use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Map;
use sysalert_abi::{Answer, Beat, Kind, Request, SCHEMA};

use super::Send;
use super::plugin::Envelope;
use crate::host::{Site, log, names, pace, secret};
use crate::message;
use crate::settings::{Heartbeat, Settings};

/// Dispatch runs each minute, a little earlier or later: what is due so soon is due now.
const SLACK: Duration = Duration::from_secs(30);

/// One sign of life that is due.
#[derive(Debug)]
pub struct Due<'a> {
    site: &'a Site,
    heartbeat: &'a Heartbeat,
    host: String,
    /// Binds the beginning to the end.
    key: String,
}

/// The one that is due now; `None`: none is.
pub fn due<'a>(site: &'a Site, settings: &'a Settings, now: DateTime<Utc>) -> Option<Due<'a>> {
    let heartbeat = settings.heartbeat.as_ref()?;
    let host = settings.host.clone().unwrap_or_else(names::host);
    let is_due = pace::is_due(site, pace::HEARTBEAT, heartbeat.every.saturating_sub(SLACK), now);
    is_due.then(|| Due { site, heartbeat, host, key: names::nonce() })
}

impl Due<'_> {
    /// Says that the run begins, if that is of use, while the run goes on; the end waits for it.
    pub fn around<T>(&self, send: Send<'_>, run: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            if self.heartbeat.starts {
                scope.spawn(|| self.send(send, Beat::Start, ""));
            }
            run()
        })
    }

    /// Says how the run ended; `trouble` is empty when it ended well.
    pub fn end(&self, send: Send<'_>, trouble: &str, now: DateTime<Utc>) {
        self.send(send, if trouble.is_empty() { Beat::Success } else { Beat::Fail }, trouble);
        // what it came to is nobody's matter: one that is not taken is what somebody elsewhere notices
        pace::done(self.site, pace::HEARTBEAT, now);
    }

    fn send(&self, send: Send<'_>, beat: Beat, trouble: &str) {
        let method = &self.heartbeat.method;
        let answer = match secret::resolve(method.config()) {
            Ok(config) => {
                let request = self.request(beat, trouble, config);
                send(self.site, method, Envelope { request, recipients: Vec::new() }).answer
            }
            Err(why) => Answer::Retry(why, None),
        };
        if let Answer::Retry(why, _) | Answer::Refused(why) = answer {
            log::warn(None, &format!("the heartbeat was not taken: {why}"));
        }
    }

    fn request(&self, beat: Beat, trouble: &str, config: Map<String, serde_json::Value>) -> Request {
        Request {
            schema: SCHEMA,
            nonce: names::nonce(),
            kind: if beat == Beat::Fail { Kind::Failure } else { Kind::Test },
            host: self.host.clone(),
            service_name: "sysalert".to_owned(),
            failures: Vec::new(),
            incident: None,
            incidents: Vec::new(),
            matter: None,
            open: 0,
            message: message::heartbeat_letter(&self.host, trouble).render(),
            idempotency_key: format!("{}.{beat:?}", self.key).to_lowercase(),
            deadline_ms: u64::try_from(self.heartbeat.method.timeout.as_millis()).unwrap_or(u64::MAX),
            beat: Some(beat),
            config,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::plugin::Tried;
    use super::*;
    use crate::event::Manager;
    use crate::host::site::ConfigPlace;
    use crate::settings::Method;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
    }

    fn site(folder: &std::path::Path) -> Site {
        Site {
            manager: Manager::System,
            config: ConfigPlace::File("/dev/null".into()),
            state: folder.to_owned(),
            is_systems: false,
            flag: folder.join("pending"),
            plugins: Vec::new(),
        }
    }

    fn settings(text: &str) -> Settings {
        Settings::read(&[("x.toml".into(), format!("[policy]\nhost = \"web1\"\n{text}"))]).unwrap()
    }

    /// One run of dispatch at this second: what was sent, each as plugin, preset, beat, kind and subject.
    fn run(site: &Site, settings: &Settings, second: i64, trouble: &str, answer: &Answer) -> Vec<String> {
        let sent = Mutex::new(Vec::new());
        let send = |_: &Site, method: &Method, envelope: Envelope| {
            let Request { config, beat, kind, message, .. } = envelope.request;
            let beat = serde_json::to_value(beat).unwrap();
            let line = format!("{} {} {beat} {}: {}", method.plugin, config["url"], kind.as_str(), message.subject);
            sent.lock().unwrap().push(line);
            Tried::from(answer.clone())
        };
        if let Some(due) = due(site, settings, at(second)) {
            due.around(&send, || ());
            due.end(&send, trouble, at(second));
        }
        sent.into_inner().unwrap()
    }

    #[test]
    fn an_address_hears_of_each_beginning_and_end_at_the_interval() {
        let folder = tempfile::tempdir().unwrap();
        let (site, settings) = (site(folder.path()), settings("[heartbeat]\nurl = \"https://hc/x\"\nevery = \"5m\""));
        let (ok, well) = (Answer::Sent(String::new()), "sysalert lives on web1");
        let start = "webhook \"https://hc/x\" \"start\" test: sysalert lives on web1";
        let told = |end: &str, kind: &str, subject: &str| {
            vec![start.to_owned(), format!("webhook \"https://hc/x\" \"{end}\" {kind}: {subject}")]
        };
        let rows = [
            (0, "", told("success", "test", well)),
            (60, "", vec![]),
            (240, "", vec![]),
            // the timer is early at times; else it would be six minutes
            (271, "mail: refused\nphone: refused", told("fail", "failure", "sysalert on web1 is in trouble: mail: refused")),
            (330, "", vec![]),
            // the clock was set back
            (-3600, "", told("success", "test", well)),
        ];
        for (second, trouble, expected) in rows {
            assert_eq!(run(&site, &settings, second, trouble, &ok), expected, "{second}");
        }
        // one that is not taken is not repeated at once: what matters is its absence
        let refused = Answer::Refused("no such check".to_owned());
        assert_eq!(run(&site, &settings, 400, "", &refused).len(), 2);
        assert_eq!(run(&site, &settings, 460, "", &refused).len(), 0);
    }

    #[test]
    fn a_method_sends_one_message_in_each_interval() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[heartbeat]\nmethod = \"ops\"\nevery = \"1h\"\n[method.ops]\nplugin = \"file\"\nurl = \"x\"";
        let (site, settings) = (site(folder.path()), settings(text));
        let ok = Answer::Sent(String::new());
        assert_eq!(run(&site, &settings, 0, "", &ok), ["file \"x\" \"success\" test: sysalert lives on web1"]);
        assert_eq!(run(&site, &settings, 3000, "", &ok), [""; 0]);
    }

    #[test]
    fn without_the_section_nothing_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run(&site(folder.path()), &settings(""), 0, "", &Answer::Sent(String::new())), [""; 0]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
