//! The whole method against a small SMTP server in a thread, and the request that all tests start from.

mod delivery;
mod nasty;
mod sendmail;
mod server;

use serde_json::{Value, json};
use sysalert_abi::Request;

/// A failure of backup.service on web1.example.org, to be sent with this section.
pub(crate) fn request(config: Value) -> Request {
    let request = json!({
        "schema": 1, "nonce": "n", "kind": "failure", "host": "web1.example.org", "service_name": "backup.service",
        "failures": [],
        "incident": {
            "id": 7, "subject": "unit:backup.service", "manager": "system", "state": "open", "severity": "critical",
            "failures": 1, "first_failure": "2026-11-21T06:40:00.123Z", "last_failure": "2026-11-21T06:40:00.123Z"
        },
        "message": {
            "subject": "backup.service failed on web1", "text": "exit status 3\n.hidden\n..\n.\nend\n",
            "html": "<p>exit status 3</p>\n.\n", "markdown": "", "journal": ""
        },
        "idempotency_key": "42.mail", "deadline_ms": 20_000, "config": config
    });
    serde_json::from_value(request).expect("a request")
}
