//! `[heartbeat]`: tells somebody elsewhere at an interval that this host lives. What matters is its absence.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Map;
use sysalert_abi::{Answer, Beat, Kind, Request, SCHEMA};

use super::plugin::{Envelope, Tried};
use crate::host::clock::{Clock, started};
use crate::host::{Site, log, names, pace, secret};
use crate::message;
use crate::settings::{Heartbeat, Method, Settings};

/// Dispatch runs each minute, a little earlier or later: what is due so soon is due now.
const SLACK: Duration = Duration::from_secs(30);

/// As [`super::Send`], for calls that nobody may wait for.
pub type Send = &'static (dyn Fn(&Site, &Method, Envelope) -> Tried + Sync);

/// One sign of life that is due.
#[derive(Debug)]
pub struct Due {
    site: Site,
    heartbeat: Heartbeat,
    host: String,
    /// Binds the beginning to the end.
    key: String,
}

/// The one that is due now; `None`: none is.
pub fn due(site: &Site, settings: &Settings, now: DateTime<Utc>) -> Option<Due> {
    let heartbeat = settings.heartbeat.clone()?;
    let host = settings.host.clone().unwrap_or_else(names::host);
    let is_due = pace::is_due(site, pace::HEARTBEAT, heartbeat.every.saturating_sub(SLACK), now);
    is_due.then(|| Due { site: site.clone(), heartbeat, host, key: names::nonce() })
}

impl Due {
    /// Says that the run begins, if that is of use, while it goes on, and then how it ended: `run` gives its trouble, nothing when
    /// it ended well. `in_a_hurry` is asked again and again while a call is waited for, and is told since when: whether it is to be
    /// left for the next run.
    pub fn around(self, send: Send, clock: Clock<'_>, run: impl FnOnce() -> String, in_a_hurry: impl Fn(Duration) -> bool) {
        let due = Arc::new(self);
        let call = |beat, trouble: String| {
            let due = Arc::clone(&due);
            // not waited for, should it hang: its child ends with this process
            thread::spawn(move || due.send(send, beat, &trouble))
        };
        let answered = |call: JoinHandle<()>| {
            let since = started();
            while !call.is_finished() {
                if in_a_hurry(since.elapsed()) {
                    return false;
                }
            }
            true
        };
        let start = due.heartbeat.starts.then(|| call(Beat::Start, String::new()));
        let trouble = run();
        // the end must not come before the beginning
        if start.is_some_and(|start| !answered(start)) {
            return;
        }
        let beat = if trouble.is_empty() { Beat::Success } else { Beat::Fail };
        if answered(call(beat, trouble)) {
            // what it came to is nobody's matter: one that is not taken is what somebody elsewhere notices
            pace::done(&due.site, pace::HEARTBEAT, clock());
        }
    }

    fn send(&self, send: Send, beat: Beat, trouble: &str) {
        let method = &self.heartbeat.method;
        let answer = match secret::resolve(method.config()) {
            Ok(config) => {
                let request = self.request(beat, trouble, config);
                send(&self.site, method, Envelope { request, recipients: Vec::new() }).answer
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
            message: message::heartbeat_letter(&self.host, beat, trouble).render(),
            idempotency_key: format!("{}.{beat:?}", self.key).to_lowercase(),
            deadline_ms: u64::try_from(self.heartbeat.method.timeout.as_millis()).unwrap_or(u64::MAX),
            beat: Some(beat),
            config,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Mutex;

    use super::*;
    use crate::event::Manager;
    use crate::host::site::ConfigPlace;

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
        let sent: &'static Mutex<Vec<String>> = Box::leak(Box::default());
        let answer = answer.clone();
        let send = Box::leak(Box::new(move |_: &Site, method: &Method, envelope: Envelope| {
            let Request { config, beat, kind, message, .. } = envelope.request;
            let beat = serde_json::to_value(beat).unwrap();
            let line = format!("{} {} {beat} {}: {}", method.plugin, config["url"], kind.as_str(), message.subject);
            sent.lock().unwrap().push(line);
            Tried::from(answer.clone())
        }));
        if let Some(due) = due(site, settings, at(second)) {
            due.around(send, &|| at(second), || trouble.to_owned(), |_| false);
        }
        sent.lock().unwrap().clone()
    }

    #[test]
    fn an_address_hears_of_each_beginning_and_end_at_the_interval() {
        let folder = tempfile::tempdir().unwrap();
        let (site, settings) = (site(folder.path()), settings("[heartbeat]\nurl = \"https://hc/x\"\nevery = \"5m\""));
        let (ok, well) = (Answer::Sent(String::new()), "sysalert lives on web1");
        let start = "webhook \"https://hc/x\" \"start\" test: sysalert begins a run on web1";
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
    fn who_is_in_a_hurry_leaves_a_call_that_hangs_to_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let (site, settings) = (site(folder.path()), settings("[heartbeat]\nurl = \"https://hc/x\""));
        let hangs = |_: &Site, _: &Method, _: Envelope| {
            loop {
                thread::park();
            }
        };
        let has_run = Cell::new(false);
        let run = || {
            has_run.set(true);
            String::new()
        };
        let asked = Cell::new(0);
        let in_a_hurry = |_| {
            asked.set(asked.get() + 1);
            assert!(has_run.get(), "the run itself is not delayed");
            asked.get() == 3
        };
        due(&site, &settings, at(0)).unwrap().around(Box::leak(Box::new(hangs)), &|| at(0), run, in_a_hurry);
        assert!(has_run.get() && asked.get() == 3 && due(&site, &settings, at(1)).is_some());
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
