//! The mails that arrived in a guest.

use serde_json::Value;

use crate::guest::Guest;

/// A mail as it came, decoded.
#[derive(Debug, Clone)]
pub struct Mail {
    pub subject: String,
    /// All headers in their order, the server's own included.
    pub headers: Vec<(String, String)>,
    /// The text/plain part; empty without one.
    pub text: String,
    /// The text/html part.
    pub html: Option<String>,
    /// What Python's parser found wrong with its MIME.
    pub defects: Vec<String>,
}

impl Mail {
    /// The first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn from_json(value: &Value) -> Self {
        let string = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
        let headers: Vec<_> = list(&value["headers"]).iter().map(|h| (string(&h[0]), string(&h[1]))).collect();
        let mut mail = Self {
            subject: String::new(),
            headers,
            text: string(&value["text"]),
            html: value["html"].as_str().map(str::to_owned),
            defects: list(&value["defects"]).iter().map(string).collect(),
        };
        mail.subject = mail.header("Subject").unwrap_or_default().to_owned();
        mail
    }
}

/// What a message's text says after this label.
#[track_caller]
pub fn fact<'t>(text: &'t str, label: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix(label).filter(|rest| rest.starts_with("  ")));
    line.unwrap_or_else(|| panic!("no {label} in\n{text}")).trim()
}

impl Guest {
    /// All mails that the mail server delivered, in the order in which they came.
    #[track_caller]
    pub fn mails(&self) -> Vec<Mail> {
        self.mails_in("/var/mail/inbox")
    }

    /// Every content that `faulty-smtp@MODE.service` was given, whatever it answered.
    #[track_caller]
    pub fn faulty_mails(&self) -> Vec<Mail> {
        self.mails_in("/var/lib/faulty-smtp")
    }

    #[track_caller]
    fn mails_in(&self, place: &str) -> Vec<Mail> {
        let read = self.run_input(&["python3", "-", place], include_str!("mails.py")).json();
        read.as_array().into_iter().flatten().map(Mail::from_json).collect()
    }

    /// Waits until at least so many mails are there, and returns all.
    #[track_caller]
    pub fn wait_for_mails(&self, count: usize) -> Vec<Mail> {
        let mut mails = Vec::new();
        self.wait_until(&format!("{count} mails are there"), || {
            mails = self.mails();
            mails.len() >= count
        });
        mails
    }
}
