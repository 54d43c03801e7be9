//! What sysalert's alert methods over HTTP share: one client that keeps the deadline, and one place that says what an answer
//! or its absence means.
//!
//! ```no_run
//! # use sysalert_abi::{Answer, Deadline, Request};
//! # use sysalert_http::{Call, Client, address};
//! # fn deliver(request: &Request, url: &str, body: &serde_json::Value) -> Result<Answer, Answer> {
//! let client = Client::new(Deadline::after(request.deadline_ms), None)?;
//! let call = Call::post(address("url", url)?).json(body);
//! Ok(client.send(&call)?.answer())
//! # }
//! ```
//!
//! - [`Client::send`] gives `Ok` with the [`Reply`] whatever its status, and `Err` with the finished [`Answer`] when there is
//!   none. A plugin returns `reply.answer()`, unless it knows more than HTTP does: then it reads [`Reply::status`] and
//!   [`Reply::json`] and calls [`Reply::sent`], [`Reply::retry`] or [`Reply::refused`] with the channel's words.
//! - 2xx is sent. 408, 425, 429 and 5xx (with their Retry-After), a connection that cannot be made or was cut, a timeout, a
//!   name that does not resolve and a certificate that is out of date may pass: retry. 3xx (no redirect is followed), any
//!   other 4xx and a certificate of an unknown issuer or for another name do not: refused.
//! - A connection that was cut after the request is a retry, although the channel may have taken the message: whoever can
//!   deduplicate does it by the request's `idempotency_key`.
//! - The whole of a call, from the name's resolution to the last byte of the answer, ends with the deadline.
//! - Proxies are taken from HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY (lower case, too); one that is no HTTP proxy is
//!   refused.
//! - A secret goes over http:// to this machine alone: [`keep_secret`].
//! - What the server says is shown without control characters, without the call's secrets, and cut to 300 characters; of
//!   URLs, which hold tokens, only scheme, host and port.

mod call;
mod client;
mod proxy;
mod reply;
#[cfg(feature = "testing")]
pub mod testing;
mod trouble;
mod words;

pub use call::{Call, address, has_login, keep_secret, place};
pub use client::Client;
pub use reply::Reply;
pub use reqwest::{Method, Url};
