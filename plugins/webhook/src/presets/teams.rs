//! Microsoft Teams: the workflow "Post to a channel when a webhook request is received", with an Adaptive Card.
//! <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>

use serde_json::{Value, json};
use sysalert_abi::Level;
use sysalert_http::Call;

use crate::preset::{Calls, Preset};
use crate::words::{GAP, json_cost, text, title};

/// A message has at most 28 KB: <https://learn.microsoft.com/connectors/teams/#known-issues-and-limitations-with-actions>. That
/// is measured of the workflow's own message, which holds the card as a text, with each quotation mark escaped once more, and
/// some more beside it: <https://github.com/MicrosoftDocs/msteams-docs/issues/11274>.
const MESSAGE: usize = 24_000;
/// The card around the text.
const CARD: usize = 1500;
/// What each line takes beside its text.
const LINE: usize = 150;

pub(crate) const PRESET: Preset = Preset {
    name: "teams",
    needs: &["url"],
    takes: &[],
    url: None,
    secret_url: true,
    calls: Calls::One(|_, url, request| {
        let colour = match request.level() {
            Level::Critical => "Attention",
            Level::Warning => "Warning",
            Level::Info => "Accent",
            Level::Well => "Good",
        };
        let title = json!({"type": "TextRun", "text": plain(&title(request, 800, count)), "weight": "Bolder", "size": "Medium", "color": colour});
        let text = text(request, MESSAGE - CARD, count);
        let body: Vec<Value> = std::iter::once(paragraph(title)).chain(text.lines().map(line)).collect();
        Ok(Call::post(url).json(&json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "msteams": {"width": "Full"},
                    "body": body,
                },
            }],
        })))
    }),
    // The workflow answers 202, and nothing more, before it posts. A connector answered 200 to everything, and told the error in
    // the body: https://learn.microsoft.com/answers/questions/1164396/incoming-webhook-ms-teams-rate-limiting
    is_own: |reply| {
        let said = reply.text();
        !said.trim_start().starts_with('<') && !said.contains("Microsoft Teams endpoint returned HTTP error")
    },
    pause: |_| None,
};

/// "RichTextBlock does not support markdown": <https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features>
fn paragraph(run: Value) -> Value {
    json!({"type": "RichTextBlock", "spacing": "None", "inlines": [run]})
}

fn line(text: &str) -> Value {
    paragraph(json!({"type": "TextRun", "text": plain(text), "fontType": "Monospace", "size": "Small"}))
}

/// Text as it stands: its columns stay, and `{{DATE(...)}}` is none (see the page above).
fn plain(text: &str) -> String {
    let text = text.replace("{{", &format!("{{{GAP}{{")).replace("  ", "\u{a0}\u{a0}");
    if text.trim().is_empty() { "\u{a0}".into() } else { text }
}

fn count(text: &str) -> usize {
    let cost = |c| match c {
        '\n' => LINE,
        ' ' => 2,
        '{' => 1 + GAP.len_utf8(),
        // as a text in JSON, and that in JSON once more
        '"' | '\\' => 4,
        c => json_cost(c),
    };
    text.chars().map(cost).sum()
}
