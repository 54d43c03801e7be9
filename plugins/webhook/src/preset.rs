//! What a channel expects: a table with a file for each.

use serde_json::Value;
use sysalert_abi::{Answer, Request};
use sysalert_http::{Call, Reply, Url};

use crate::presets::{discord, googlechat, gotify, healthchecks, matrix, mattermost, ntfy, pagerduty, pushover, slack, teams};
use crate::settings::Section;

/// A channel's contract.
pub(crate) struct Preset {
    /// Its name in `preset`.
    pub(crate) name: &'static str,
    /// The keys without which it does not work.
    pub(crate) needs: &'static [&'static str],
    /// The keys that it has beside those, `url`, `headers`, `authorization` and `ca`.
    pub(crate) takes: &'static [&'static str],
    /// Where it is, if that is the same for all.
    pub(crate) url: Option<&'static str>,
    /// Whether who knows its address can write there.
    pub(crate) secret_url: bool,
    /// The calls that send a message.
    pub(crate) calls: Calls,
    /// Whether an answer with a status of success is one of this channel's. Anything may answer 200: a proxy's login page.
    pub(crate) is_own: fn(&Reply) -> bool,
    /// How long the channel wants to be left alone, in seconds, where it does not say so in Retry-After.
    pub(crate) pause: fn(&Value) -> Option<f64>,
}

/// Makes the call that sends a message.
pub(crate) type Make = fn(&Section, Url, &Request) -> Result<Call, Answer>;

/// What is called for one message.
pub(crate) enum Calls {
    /// One call.
    One(Make),
    /// One call with markup; where the channel's answer says that it was this, one without.
    Marked { call: Make, plain: Make, is_refused: fn(&Reply) -> bool },
    /// Several, of which each may come a second time. The message is sent when all are.
    Several(fn(&Section, &Url, &Request) -> Vec<Call>),
}

/// All of them.
pub(crate) const PRESETS: &[&Preset] = &[
    &slack::PRESET,
    &discord::PRESET,
    &mattermost::PRESET,
    &teams::PRESET,
    &googlechat::PRESET,
    &ntfy::PRESET,
    &gotify::PRESET,
    &matrix::PRESET,
    &pushover::PRESET,
    &pagerduty::PRESET,
    &healthchecks::PRESET,
];

impl Preset {
    /// The calls for a message, in their order, and the one that is made instead where its markup is refused.
    ///
    /// # Errors
    /// [`Answer::Refused`] with a sentence about a key.
    pub(crate) fn calls(&self, section: &Section, url: Url, request: &Request) -> Result<(Vec<Call>, Option<Call>), Answer> {
        Ok(match self.calls {
            Calls::One(call) => (vec![call(section, url, request)?], None),
            Calls::Marked { call, plain, .. } => {
                (vec![call(section, url.clone(), request)?], Some(plain(section, url, request)?))
            }
            Calls::Several(calls) => (calls(section, &url, request), None),
        })
    }

    /// Whether the channel did not take the markup.
    pub(crate) fn is_markup_refused(&self, reply: &Reply) -> bool {
        matches!(self.calls, Calls::Marked { is_refused, .. } if is_refused(reply))
    }

    /// What this answer means.
    pub(crate) fn answer(&self, reply: &Reply) -> Answer {
        let json = reply.json();
        let said = said(&json).unwrap_or_else(|| reply.text());
        if reply.is_success() {
            return match ((self.is_own)(reply), reply.is_whole()) {
                (true, _) => reply.sent(""),
                (false, true) => reply.refused(&said, &format!("this is no answer of {}: check `url`, and proxies", self.name)),
                (false, false) => reply.retry("it cut its answer short, and may have taken it", None),
            };
        }
        match (reply.meaning(&said), (self.pause)(&json)) {
            (Answer::Retry(sentence, after), Some(pause)) if pause >= 0.0 => {
                // the longer one of two wishes
                Answer::Retry(sentence, Some(after.unwrap_or(0).max(pause.ceil() as u64)))
            }
            (answer, _) => answer,
        }
    }
}

/// Where an answer in JSON says what is wrong, in the words of any of these channels.
fn said(json: &Value) -> Option<String> {
    let texts = ["errcode", "error", "errorDescription", "message"].iter().filter_map(|key| match &json[*key] {
        // Google's error is an object with a message
        Value::Object(inner) => inner.get("message").and_then(Value::as_str),
        value => value.as_str(),
    });
    let lists = json["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let all: Vec<&str> = texts.chain(lists).collect();
    (!all.is_empty()).then(|| all.join(": "))
}
