//! Matrix: a message in a room.
//! <https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>

use serde_json::json;
use sysalert_abi::{Answer, Request};
use sysalert_http::{Call, Method, Url};

use crate::preset::{Calls, Preset};
use crate::settings::{Section, below, secret};
use crate::words::{id, json_bytes, text, title};

/// "The complete event MUST NOT be larger than 65536 bytes": <https://spec.matrix.org/latest/client-server-api/#size-limits>.
/// The text is there twice, plain and as HTML, beside what the servers add.
const TEXT: usize = 25_000;

pub(crate) const PRESET: Preset = Preset {
    name: "matrix",
    needs: &["url", "token", "room"],
    takes: &[],
    url: None,
    secret_url: false,
    calls: Calls::Marked {
        call: |section, url, request| put(section, url, request, true),
        plain: |section, url, request| put(section, url, request, false),
        // "M_TOO_LARGE": https://spec.matrix.org/latest/client-server-api/#other-error-codes
        is_refused: |reply| reply.json()["errcode"] == "M_TOO_LARGE",
    },
    is_own: |reply| reply.json()["event_id"].is_string(),
    // M_LIMIT_EXCEEDED; old servers have it here alone: https://spec.matrix.org/latest/client-server-api/#rate-limiting
    pause: |json| json["retry_after_ms"].as_f64().map(|milliseconds| milliseconds / 1000.0),
};

/// The message, with the same text as HTML or without.
fn put(section: &Section, url: Url, request: &Request, with_html: bool) -> Result<Call, Answer> {
    let room = section.room.as_deref().unwrap_or_default();
    // "it will be used by the server to ensure idempotency of requests": the same at each try
    let path = ["_matrix", "client", "v3", "rooms", room, "send", "m.room.message", &id(request)];
    let (title, text) = (title(request, 1000, count), text(request, TEXT, count));
    let mut body = json!({
        "msgtype": "m.text",
        "body": format!("{title}\n\n{text}"),
        // it calls nobody, whatever it says: https://spec.matrix.org/latest/client-server-api/#user-and-room-mentions
        "m.mentions": {},
    });
    if with_html {
        // https://spec.matrix.org/latest/client-server-api/#mroommessage-msgtypes
        body["format"] = json!("org.matrix.custom.html");
        body["formatted_body"] = json!(format!("<strong>{}</strong><pre><code>{}</code></pre>", escaped(&title), escaped(&text)));
    }
    let token = secret(&section.token);
    Call::new(Method::PUT, below(url, &path)).secret(token).json(&body).header("Authorization", &format!("Bearer {token}"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn count(text: &str) -> usize {
    json_bytes(&escaped(text)).max(json_bytes(text))
}
