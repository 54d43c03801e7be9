//! One try, beside those of the other methods: a method's own words and its secrets, then its plugin. What has to be asked for
//! may not answer, and delays this method alone.

use std::time::Duration;

use sysalert_abi::{Answer, Message, Request};

use super::Send;
use super::own_words::{self, Render};
use super::plugin::{Envelope, Tried};
use crate::host::{Site, log, secret};
use crate::message::Letter;
use crate::settings::Method;

/// What comes before the plugin takes no longer.
pub(super) const READY: Duration = own_words::LIMIT.saturating_add(secret::LIMIT);

/// What a method is to send, as far as nothing had to be asked for.
pub(super) struct Draft {
    pub(super) method: Method,
    /// Without the method's section.
    pub(super) request: Request,
    pub(super) recipients: Vec<String>,
    /// What its message is made of, for a method's own words; none: it is sent in the usual ones.
    pub(super) letter: Option<Letter>,
}

pub(super) fn attempt(site: &Site, draft: Draft, render: Render<'_>, send: Send<'_>) -> Tried {
    let Draft { method, mut request, recipients, letter } = draft;
    if let Some(letter) = letter {
        request.message = in_own_words(&request, &method, letter, render);
    }
    request.config = match secret::resolve(method.config()) {
        Ok(config) => config,
        Err(why) => return Answer::Retry(why, None).into(),
    };
    send(site, &method, Envelope { request, recipients })
}

/// The message as the method's templates want it; with a template that fails, as it is usually, saying so.
pub(super) fn in_own_words(request: &Request, method: &Method, letter: Letter, render: Render<'_>) -> Message {
    own_words::apply(request, &method.templates, render).unwrap_or_else(|why| {
        let why = format!("{why}; mend it in [method.{0}], and look with `sysalert preview UNIT --method {0}`", method.name);
        log::warn(None, &why);
        letter.in_usual_words(&why).render()
    })
}
