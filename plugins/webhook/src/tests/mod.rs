//! The whole method against a local server for each channel that enforces the channel's documented contract.

mod contract;
mod contracts;
mod nasty;
mod own;
mod pagerduty;
mod presets;
mod readme;

use serde_json::{Value, json};
use sysalert_abi::testing::request;
use sysalert_abi::{Answer, Plugin, Request};
use sysalert_http::testing::Server;

use crate::Webhook;
use contract::Contract;

/// Sends as sysalert does.
fn send(request: &Request) -> Answer {
    match request.kind {
        sysalert_abi::Kind::Recovery => Webhook::success(request),
        _ => Webhook::failure(request),
    }
}

/// An ordinary failure with this section.
fn failure(section: Value) -> Request {
    request(section)
}

/// A contract's section, with the server in place of the channel's.
fn section(contract: &Contract, server: &Server) -> Value {
    let mut section = json!({"preset": contract.name, "url": server.url(contract.path)});
    for (key, value) in contract.keys {
        section[*key] = json!(value);
    }
    section
}

/// The sentence of a refusal, with the server's place as S.
fn refused(server: &Server, answer: Answer) -> String {
    let Answer::Refused(text) = answer else { panic!("not refused: {answer:?}") };
    text.replace(&server.url(""), "S")
}
