//! ntfy: a topic. <https://docs.ntfy.sh/publish/#publish-as-json>

use serde_json::json;
use sysalert_abi::{Answer, Level, characters};
use sysalert_http::Call;

use crate::preset::{Calls, Preset};
use crate::words::{json_bytes, text, title};

/// "If a message is greater than 4,096 bytes, it is treated as an attachment" (<https://docs.ntfy.sh/publish/#limitations>),
/// and one of just 4,096 is, too. Counted as JSON, since a server reads no more of that than twice as much
/// (`transformBodyJSON` in <https://github.com/binwiederhier/ntfy/blob/main/server/server.go>).
const MESSAGE: usize = 4095;

pub(crate) const PRESET: Preset = Preset {
    name: "ntfy",
    needs: &["url"],
    takes: &["token"],
    url: None,
    secret_url: false,
    calls: Calls::One(|section, mut url, request| {
        // the address is that of the topic; JSON goes to the server itself, with the topic in it
        let mut path: Vec<String> = url.path_segments().into_iter().flatten().map(str::to_owned).collect();
        let Some(topic) = path.pop().filter(|topic| is_topic(topic)) else {
            return Err(Answer::Refused(
                "its configuration does not fit: `url` must end with the topic, as in https://ntfy.sh/TOPIC".into(),
            ));
        };
        url.set_path(&path.join("/"));
        let (priority, tag) = match request.level() {
            Level::Critical => (5, "rotating_light"),
            Level::Warning => (4, "warning"),
            Level::Info => (3, "information_source"),
            Level::Well => (3, "white_check_mark"),
        };
        let call = Call::post(url).secret(&topic).json(&json!({
            "topic": topic,
            "title": title(request, 200, characters),
            "message": text(request, MESSAGE, json_bytes),
            // 1 to 5: https://docs.ntfy.sh/publish/#message-priority
            "priority": priority,
            // names of emoji: https://docs.ntfy.sh/emojis/
            "tags": [tag],
        }));
        match &section.token {
            // https://docs.ntfy.sh/publish/#access-tokens
            Some(token) => call.secret(token).header("Authorization", &format!("Bearer {token}")),
            None => Ok(call),
        }
    }),
    is_own: |reply| reply.json()["id"].is_string(),
    pause: |_| None,
};

/// `topicRegex` in the server's server.go: `^[-_A-Za-z0-9]{1,64}$`.
fn is_topic(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
