//! The chats, phones and pagers of the documentation in a guest, each at its own name: `services.py` takes what is sent to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::guest::Guest;

/// What the run says at last, as it is, and as HTML and its like have it.
pub const LAST: &str = "the end: <b>&*_` is no markup";
pub const ESCAPED: &str = "the end: &lt;b&gt;&amp;*_` is no markup";
/// Google Chat has no way to escape.
const PARTED: &str = "the end: <\u{200b}b>&*_` is no markup";

/// A chat, phone or pager of the documentation.
pub struct Channel {
    pub method: &'static str,
    pub host: &'static str,
    /// The files of `/etc/sysalert` that its configuration names.
    files: &'static [(&'static str, &'static str)],
    /// What must be in a call, or it is nobody's.
    secrets: &'static [&'static str],
    /// The service's answer. Where it is documented: `plugins/webhook/src/tests`, `plugins/telegram/src/tests.rs`.
    answer: (u16, &'static str),
    /// How the end of the log must stand in a message.
    pub last: &'static [&'static str],
}

pub const CHANNELS: &[Channel] = &[
    Channel {
        method: "slack",
        host: "hooks.slack.com",
        files: &[("slack", "https://hooks.slack.com/services/T00000000/B00000000/key-of-slack")],
        secrets: &["key-of-slack"],
        answer: (200, "ok"),
        last: &[ESCAPED],
    },
    Channel {
        method: "discord",
        host: "discord.com",
        files: &[("discord", "https://discord.com/api/webhooks/223704706495545344/key-of-discord")],
        secrets: &["key-of-discord"],
        answer: (200, r#"{"id": "334385199974967042", "type": 0}"#),
        last: &[LAST],
    },
    Channel {
        method: "mattermost",
        host: "mattermost.example.org",
        files: &[("mattermost", "https://mattermost.example.org/hooks/key-of-mattermost")],
        secrets: &["key-of-mattermost"],
        answer: (200, "ok"),
        last: &[LAST],
    },
    Channel {
        method: "teams",
        host: "prod-01.westeurope.logic.azure.com",
        files: &[(
            "teams",
            "https://prod-01.westeurope.logic.azure.com/workflows/01/triggers/manual/paths/invoke?sig=key-of-teams",
        )],
        secrets: &["key-of-teams"],
        answer: (202, ""),
        last: &[LAST],
    },
    Channel {
        method: "googlechat",
        host: "chat.googleapis.com",
        files: &[("googlechat", "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=k&token=key-of-googlechat")],
        secrets: &["key-of-googlechat"],
        answer: (200, r#"{"name": "spaces/AAAA/messages/x.x", "text": "..."}"#),
        last: &[PARTED],
    },
    Channel {
        method: "ntfy",
        host: "ntfy.example.org",
        files: &[("ntfy", "key-of-ntfy")],
        secrets: &["Bearer key-of-ntfy"],
        answer: (200, r#"{"id": "sPs71M8A2T", "event": "message"}"#),
        last: &[LAST],
    },
    Channel {
        method: "gotify",
        host: "gotify.example.org",
        files: &[("gotify", "key-of-gotify")],
        secrets: &["key-of-gotify"],
        answer: (200, r#"{"id": 25, "appid": 5}"#),
        last: &[LAST],
    },
    Channel {
        method: "matrix",
        host: "matrix.example.org",
        files: &[("matrix", "key-of-matrix")],
        secrets: &["Bearer key-of-matrix"],
        answer: (200, r#"{"event_id": "$YUwRidLecu:example.org"}"#),
        last: &[LAST, ESCAPED],
    },
    Channel {
        method: "pushover",
        host: "api.pushover.net",
        files: &[("pushover", "key-of-pushover"), ("pushover-user", "user-of-pushover")],
        secrets: &["key-of-pushover", "user-of-pushover"],
        answer: (200, r#"{"status": 1, "request": "647d2300-702c-4b38-8b2f-d56326ae460b"}"#),
        last: &[LAST],
    },
    Channel {
        method: "pagerduty",
        host: "events.pagerduty.com",
        files: &[("pagerduty", "key-of-pagerduty")],
        secrets: &["key-of-pagerduty"],
        answer: (202, r#"{"status": "success", "message": "Event processed", "dedup_key": "k"}"#),
        last: &[LAST],
    },
    Channel {
        method: "healthchecks",
        host: "hc-ping.com",
        files: &[("healthchecks", "https://hc-ping.com/key-of-healthchecks")],
        secrets: &["key-of-healthchecks"],
        answer: (200, "OK"),
        last: &[LAST],
    },
    Channel {
        method: "telegram",
        host: "api.telegram.org",
        files: &[("telegram", "110201543:key-of-telegram")],
        secrets: &["key-of-telegram"],
        answer: (200, r#"{"ok": true, "result": {"message_id": 77, "date": 0}}"#),
        last: &[ESCAPED],
    },
    // of the heartbeat, which is no method
    Channel {
        method: "",
        host: "heartbeat.example.org",
        files: &[("heartbeat", "https://heartbeat.example.org/key-of-heartbeat")],
        secrets: &["key-of-heartbeat"],
        answer: (200, "OK"),
        last: &[],
    },
];

/// Starts what takes the calls: at the services' own names, with certificates that the guest trusts.
#[track_caller]
pub fn serve(guest: &Guest) {
    let hosts: Vec<&str> = CHANNELS.iter().map(|channel| channel.host).collect();
    let names = hosts.iter().map(|host| format!("DNS:{host}")).collect::<Vec<_>>().join(",");
    let certificate = format!(
        "cd /etc; echo 127.0.0.1 {} >>hosts
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout services.key -out services.csr -subj /CN=services
        openssl x509 -req -in services.csr -CA mail-server/ca.crt -CAkey mail-server/ca.key -CAcreateserial -days 30 \
            -out services.crt -extfile <(echo subjectAltName={names})",
        hosts.join(" ")
    );
    guest.sh(&certificate).ok();
    for (name, content) in CHANNELS.iter().flat_map(|channel| channel.files) {
        secret(guest, name, content);
    }
    let answers: BTreeMap<&str, Value> =
        CHANNELS.iter().map(|channel| (channel.host, json!([channel.secrets, channel.answer.0, channel.answer.1]))).collect();
    guest.write_file("/etc/services.json", &json!(answers).to_string());
    guest.write_file("/usr/local/lib/services.py", include_str!("services.py"));
    guest.write_unit("services.service", "[Service]\nExecStart=/usr/bin/python3 -I /usr/local/lib/services.py\n");
    guest.run(&["systemctl", "start", "services.service"]).ok();
    guest.wait_until("the services listen", || guest.run(&["bash", "-c", "</dev/tcp/127.0.0.1/443"]).success());
}

/// A file of `/etc/sysalert` as secrets are kept.
#[track_caller]
pub fn secret(guest: &Guest, name: &str, content: &str) {
    let path = format!("/etc/sysalert/{name}");
    guest.run_input(&["install", "-m", "0640", "-g", "sysalert", "/dev/stdin", &path], content).ok();
}

/// All calls, oldest first.
#[track_caller]
pub fn calls(guest: &Guest) -> Vec<Value> {
    let calls: Vec<Value> =
        guest.run(&["cat", "/run/posted"]).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(calls.iter().all(|call| call["status"] != 401), "{calls:#?}");
    calls
}
