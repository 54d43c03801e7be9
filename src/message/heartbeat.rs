//! A sign of life, for whoever looks at what the address has received.

use sysalert_abi::Beat;

use super::compose::capitalized;
use super::{Banner, Letter, Tone};

/// The message of a run of dispatch that begins or has ended; `trouble` is what made it end in failure.
pub fn heartbeat_letter(host: &str, beat: Beat, trouble: &str) -> Letter {
    let well = beat != Beat::Fail;
    let first = trouble.lines().next().unwrap_or_default();
    let (subject, lead) = match beat {
        Beat::Start => (format!("sysalert begins a run on {host}"), format!("sysalert on {host} begins to deliver what waits.")),
        Beat::Success => (format!("sysalert lives on {host}"), format!("sysalert lives on {host}: its last run ended well.")),
        Beat::Fail => {
            (format!("sysalert on {host} is in trouble: {first}"), format!("sysalert on {host} is in trouble: {trouble}"))
        }
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
