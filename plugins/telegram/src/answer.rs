//! What Telegram's answer means, and who must do what. The errors are described in
//! <https://core.telegram.org/bots/api#making-requests> and <https://core.telegram.org/bots/api#responseparameters>; their
//! descriptions are not promised, so that the status decides wherever it can.

use serde_json::Value;
use sysalert_abi::Answer;
use sysalert_http::Reply;

/// The answer to a message.
pub(crate) fn of(reply: &Reply) -> Answer {
    let body = reply.json();
    let said = description(&body);
    if reply.is_success() {
        return match body["ok"].as_bool() {
            Some(true) => {
                reply.sent(&body["result"]["message_id"].as_i64().map_or_else(String::new, |id| format!("message {id}")))
            }
            // a login page, say, between this machine and Telegram
            _ => reply.retry("no answer of the Bot API", None),
        };
    }
    let has = |words: &str| said.to_lowercase().contains(words);
    if let Some(chat) = body["parameters"]["migrate_to_chat_id"].as_i64() {
        return reply.refused(said, &format!("the group has another number now: set `chat` to \"{chat}\""));
    }
    match reply.status() {
        429 => reply.retry(said, body["parameters"]["retry_after"].as_u64()),
        // 404: what is no token at all is no address there
        401 | 404 => reply.refused(said, "check `token`: @BotFather shows it, and makes a new one"),
        403 => reply.refused(said, "the bot may not write there: add it to the chat, or let it in again"),
        400 if has("chat not found") => {
            reply.refused(said, "check `chat`; the bot must be in the chat, and a person must have written to the bot first")
        }
        400 if has("thread not found") || has("topic") => {
            reply.refused(said, "check `topic`: the chat has none of this number, or it is closed")
        }
        400 if has("not enough rights") => reply.refused(said, "let the bot write there: give it the right to send messages"),
        _ => reply.meaning(said),
    }
}

/// Whether it was the markup that Telegram did not take.
pub(crate) fn is_markup_refused(reply: &Reply) -> bool {
    reply.status() == 400 && description(&reply.json()).to_lowercase().contains("can't parse")
}

fn description(body: &Value) -> &str {
    body["description"].as_str().unwrap_or_default()
}
