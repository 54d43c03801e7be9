//! A sign of life, for whoever looks at what the address has received.

use super::compose::capitalized;
use super::{Banner, Letter, Tone};

/// The message of a run of dispatch; `trouble` is empty when it ended well.
pub fn heartbeat_letter(host: &str, trouble: &str) -> Letter {
    let well = trouble.is_empty();
    let first = trouble.lines().next().unwrap_or_default();
    let (subject, lead) = match well {
        true => (format!("sysalert lives on {host}"), format!("sysalert on {host} runs, and can send.")),
        false => (format!("sysalert on {host} is in trouble: {first}"), format!("sysalert on {host} is in trouble: {trouble}")),
    };
    Letter {
        subject,
        banner: Banner {
            status: format!("{} on {host}", if well { "Alive" } else { "In trouble" }),
            title: "sysalert".to_owned(),
            what: capitalized(first),
        },
        lead,
        facts: vec![("Host", host.to_owned())],
        commands: vec!["sysalert status".to_owned(), "systemctl status sysalert-dispatch.service".to_owned()],
        tone: if well { Tone::Well } else { Tone::Trouble },
        ..Letter::default()
    }
}
