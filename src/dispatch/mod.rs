//! Delivers the outbox: claim, enrich, compose, send, settle. One try at a time for each method, the methods side by side,
//! so that one that hangs delays nobody else.

mod backoff;
mod check;
mod context;
mod letter;
pub mod plugin;
pub mod plugin_host;
mod preview;
mod storm;

pub use check::{check, secret_keys};
pub use context::{Complete, gather};
pub use preview::{Preview, preview};
pub use storm::collect;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sysalert_abi::{Answer, Kind, Status};

use crate::error::Result;
use crate::host::clock::Clock;
use crate::host::{Site, log};
use crate::message::visible;
use crate::settings::{Method, Settings};
use crate::store::{self, Claimed, Store};
use letter::Prepared;

/// Sends one request by one method; [`plugin::send`] does it in a child process.
pub type Send<'a> = &'a (dyn Fn(&Site, &Method, plugin::Envelope) -> Answer + Sync);

/// What is done from time to time while methods take theirs: what was recorded meanwhile is made ready.
pub type Meanwhile<'a> = &'a mut dyn FnMut(&mut Store, DateTime<Utc>) -> Result<()>;

/// A claim outlives its try by this much, so that nobody takes over what is still being settled.
const MARGIN: Duration = Duration::from_secs(5);
/// While a method takes its time, this often a look at what was queued since, for the others.
const LOOK: Duration = Duration::from_millis(500);
/// A run begins no try after this time: with the longest `timeout` it ends before its unit's `TimeoutStartSec=5min`, which would
/// cut it off in mid-send. The timer goes on with what is left.
const RUN: TimeDelta = TimeDelta::seconds(150);
/// What a method says is kept up to this many characters.
const LONGEST_DETAIL: usize = 500;

/// What one run did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Delivered.
    pub sent: u32,
    /// Not delivered; they wait for the next try.
    pub waiting: u32,
}

/// Delivers what is due, until nothing is.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn deliver(
    site: &Site,
    store: &mut Store,
    settings: &Settings,
    clock: Clock<'_>,
    send: Send<'_>,
    meanwhile: Meanwhile<'_>,
) -> Result<Tally> {
    let started = clock();
    let mut tally = Tally::default();
    // a method that just failed is left in peace until the next run
    let mut resting: Vec<String> = Vec::new();
    let mut sending: Vec<String> = Vec::new();
    let (sender, results) = mpsc::channel::<(Claimed, Answer)>();
    thread::scope(|scope| {
        loop {
            let busy: Vec<String> = resting.iter().chain(&sending).cloned().collect();
            let now = clock();
            let lease = |method: &str| now + settings.method(method).map_or(MARGIN, |method| method.timeout + MARGIN);
            if now - started < RUN
                && let Some(claimed) = claim(store, now, &busy, lease)?
            {
                sending.push(claimed.method.clone());
                let prepared = letter::prepare(store, settings, &claimed, now)?;
                let sender = sender.clone();
                scope.spawn(move || {
                    let answer = match prepared {
                        Prepared::Ready(method, envelope) => send(site, &method, *envelope),
                        Prepared::Nothing => Answer::Sent("nothing is left to tell".to_owned()),
                        Prepared::Impossible(why) => Answer::Retry(why, None),
                    };
                    // the receiver lives as long as this scope
                    let _ = sender.send((claimed, answer));
                });
                continue;
            }
            if sending.is_empty() {
                return Ok(tally);
            }
            let (claimed, answer) = match results.recv_timeout(LOOK) {
                Ok(result) => result,
                // what was queued meanwhile must not wait for a method that hangs
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    meanwhile(store, clock())?;
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(tally),
            };
            sending.retain(|method| *method != claimed.method);
            match settle(store, &claimed, &answer, clock())? {
                Status::Sent => tally.sent += 1,
                Status::Refused => tally.waiting += 1,
                Status::Retry => {
                    tally.waiting += 1;
                    resting.push(claimed.method);
                }
            }
        }
    })
}

fn claim(
    store: &mut Store,
    now: DateTime<Utc>,
    busy: &[String],
    lease: impl Fn(&str) -> DateTime<Utc>,
) -> Result<Option<Claimed>> {
    // a look first: an idle minute must not cost a commit
    if store.with(|db| store::due(db, now, busy))?.is_none() {
        return Ok(None);
    }
    store.write(|db| store::claim(db, now, busy, lease))
}

/// Files what became of a try.
fn settle(store: &mut Store, claimed: &Claimed, answer: &Answer, now: DateTime<Utc>) -> Result<Status> {
    let (status, detail, wish) = match answer {
        Answer::Sent(detail) => (Status::Sent, detail, None),
        Answer::Retry(detail, wish) => (Status::Retry, detail, *wish),
        Answer::Refused(detail) => (Status::Refused, detail, None),
    };
    let detail: String = visible(detail.as_bytes()).chars().take(LONGEST_DETAIL).collect();
    let due = now + TimeDelta::from_std(backoff::pause(claimed.attempt, wish)).unwrap_or(TimeDelta::MAX);
    store.write(|db| {
        store::record_delivery(db, claimed, status, &detail, now)?;
        if status == Status::Sent && claimed.kind == Kind::Digest {
            store::digest_sent(db, claimed, now)?;
        }
        if status == Status::Sent { store::done(db, claimed.id) } else { store::give_back(db, claimed, due, &detail) }
    })?;
    if status != Status::Sent {
        let subject = claimed.about.as_ref().map(|(recorded, _)| recorded.event.subject.as_str());
        log::warn(
            subject,
            &format!(
                "the method {} could not send (try {}): {detail}; the alert waits for the next try",
                claimed.method, claimed.attempt
            ),
        );
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::event::Manager;
    use crate::host::site::ConfigPlace;
    use crate::store::Older;

    #[test]
    fn a_run_ends_before_systemd_would_cut_it_off() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site {
            manager: Manager::System,
            config: ConfigPlace::File("/dev/null".into()),
            state: folder.path().to_owned(),
            is_systems: false,
            flag: folder.path().join("pending"),
            plugins: Vec::new(),
        };
        let settings = Settings::read(&[("x.toml".into(), "[method.mail]".to_owned())]).unwrap();
        let mut store = Store::open(&site.state, Older::Migrate, MARGIN).unwrap();
        for key in ["1", "2", "3", "4"] {
            store.write(|db| store::queue_test(db, key, DateTime::UNIX_EPOCH, &["mail".to_owned()])).unwrap();
        }
        // a slow server: each mail takes 100 seconds
        let second = AtomicI64::new(1_000_000);
        let clock = || DateTime::from_timestamp(second.load(Ordering::SeqCst), 0).unwrap();
        let send = |_: &Site, _: &Method, _: plugin::Envelope| {
            second.fetch_add(100, Ordering::SeqCst);
            Answer::Sent(String::new())
        };
        let mut run = || deliver(&site, &mut store, &settings, &clock, &send, &mut |_, _| Ok(())).unwrap();
        assert_eq!(run(), Tally { sent: 2, waiting: 0 }, "the third would begin after 200 s");
        assert_eq!(run(), Tally { sent: 2, waiting: 0 }, "the next run goes on");
    }
}
