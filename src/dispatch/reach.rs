//! Whether the channels of methods can be reached, as far as that can be seen without sending anything.

use std::thread;
use std::time::Duration;

use serde_json::Value;
use sysalert_abi::{Status, one_line};

use super::{conformance, plugin};
use crate::host::{Site, library, secret};
use crate::settings::{Method, Settings};

/// A plugin answers a little before.
const LIMIT: Duration = Duration::from_secs(10);

/// What the plugin of a method says of its server.
#[derive(Debug)]
pub enum Reached {
    /// It answers, or there is none.
    Yes,
    /// Why not.
    No(String),
    /// It cannot be told without this secret, which dispatch alone has.
    Unknown(String),
}

/// Asks the plugins of all methods at once; it takes no longer than the slowest may. A method whose plugin or section is broken
/// is left out: [`check`](super::check::check) tells.
pub fn reach(site: &Site, settings: &Settings) -> Vec<(String, Reached)> {
    thread::scope(|scope| {
        let methods = settings.methods.values();
        let asked: Vec<_> = methods.map(|method| (method.name.clone(), scope.spawn(|| one(site, method)))).collect();
        asked.into_iter().filter_map(|(name, answer)| Some((name, answer.join().ok()??))).collect()
    })
}

/// The same of the address of `[heartbeat]`; `None`: it has none of its own.
pub fn reach_heartbeat(site: &Site, settings: &Settings) -> Option<Reached> {
    let heartbeat = settings.heartbeat.as_ref().filter(|heartbeat| heartbeat.starts)?;
    one(site, &heartbeat.method)
}

fn one(site: &Site, method: &Method) -> Option<Reached> {
    let path = library::find(&method.plugin, &site.plugins).ok()?;
    let config = secret::resolve_files(method.config()).ok()?;
    let elsewhere: Vec<&String> = config.iter().filter(|(_, value)| **value == secret::ELSEWHERE).map(|(key, _)| key).collect();
    let mut request = conformance::request(&config);
    request["deadline_ms"] = Value::from(u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX) * 9 / 10);
    let reply = match plugin::reach(&path, &request, LIMIT) {
        Ok(reply) => reply?,
        Err(why) => return Some(Reached::No(why)),
    };
    let said = one_line(&reply.detail, 500);
    // what it refuses for want of the secret
    let lacks = elsewhere.into_iter().find(|key| said.contains(&format!("`{key}`")));
    Some(match (reply.status, lacks) {
        (Status::Sent, _) => Reached::Yes,
        (_, Some(key)) => Reached::Unknown(key.clone()),
        (_, None) => Reached::No(said),
    })
}
