//! Mattermost: an incoming webhook. <https://developers.mattermost.com/integrate/webhooks/incoming/>

use serde_json::json;
use sysalert_http::Call;

use crate::preset::{Calls, Preset};
use crate::words::{GAP, escaped, parted, text, title, unfenced};

/// A post has at most 16,383 characters (`PostMessageMaxRunesV2`), and a longer one is split:
/// <https://github.com/mattermost/mattermost/blob/master/server/public/model/post.go>
const POST: usize = 16_383;
const TITLE: usize = 600;

pub(crate) const PRESET: Preset = Preset {
    name: "mattermost",
    needs: &["url"],
    takes: &[],
    url: None,
    secret_url: true,
    calls: Calls::One(|_, url, request| {
        let text = unfenced(&text(request, POST - TITLE - 100, count));
        // A name after @ calls somebody, but for one in code: the gap parts them.
        // https://docs.mattermost.com/collaborate/mention-people.html
        let title = parted(&escaped(&title(request, TITLE, count), MARKUP), "@");
        Ok(Call::post(url).json(&json!({"text": format!("#### {title}\n```text\n{}\n```", quiet(&text))})))
    }),
    is_own: |reply| reply.text().trim() == "ok",
    pause: |_| None,
};

/// What a backslash makes plain, of what acts within a line: <https://docs.mattermost.com/collaborate/format-messages.html>
const MARKUP: &str = "\\`*_~[]()|<>#!";

/// Without what calls somebody in code, too: @all, @channel and @here in letters of any case (`checkForMention` in
/// <https://github.com/mattermost/mattermost/blob/master/server/channels/app/mention_parser_standard.go>), and what becomes such a
/// call before anybody looks at it, `<!here>` and `<@USER>` (`ProcessSlackText` in `app/slack.go`).
fn quiet(text: &str) -> String {
    let mut quiet = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        quiet.push(c);
        let rest = &text[at + c.len_utf8()..];
        let calls = |word: &&str| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        let acts = match c {
            '@' => ["all", "channel", "here"].iter().any(calls),
            '<' => rest.starts_with(['!', '@']),
            _ => false,
        };
        quiet.extend(acts.then_some(GAP));
    }
    quiet
}

fn count(text: &str) -> usize {
    // a backslash or a gap for each that may need one
    text.chars().map(|c| if c.is_ascii_punctuation() { 2 } else { 1 }).sum()
}
