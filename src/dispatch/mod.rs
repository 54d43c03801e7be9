//! Delivers the outbox: claim, enrich, compose, send, settle. One try at a time for each method, the methods side by side,
//! so that one that hangs delays nobody else.

mod attempt;
mod backoff;
mod check;
mod child;
pub mod conformance;
mod context;
mod damage;
mod errors;
pub mod heartbeat;
mod hold;
mod keys;
mod letter;
mod limit;
mod outage;
pub mod own_words;
pub mod plugin;
pub mod plugin_host;
mod preview;
mod reach;
mod resend;
mod settle;
mod storm;

pub use check::{check, secret_keys};
pub use context::{Complete, gather};
pub use errors::note_errors;
pub use hold::hold;
pub use keys::{PluginKey, plugin_keys};
pub use outage::failing;
pub use preview::{Preview, preview};
pub use reach::{Reached, reach, reach_heartbeat};
pub use storm::collect;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sysalert_abi::Answer;

use self::settle::Fate;
use crate::error::Result;
use crate::host::Site;
use crate::host::clock::Clock;
use crate::settings::{Method, Settings};
use crate::store::{self, Claimed, Resend, Store};
use attempt::Draft;
use letter::Prepared;
use plugin::Tried;

/// The plugins that come with sysalert.
pub const OURS: [&str; 8] = ["alertmanager", "command", "email", "file", "journal", "syslog", "telegram", "webhook"];
/// The release that they belong to.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Sends one request by one method; [`plugin::send`] does it in a child process.
pub type Send<'a> = &'a (dyn Fn(&Site, &Method, plugin::Envelope) -> Tried + Sync);

/// What is done from time to time while methods take theirs: what was recorded meanwhile is made ready.
pub type Meanwhile<'a> = &'a mut dyn FnMut(&mut Store, DateTime<Utc>) -> Result<()>;

/// A claim outlives its try by this much, so that nobody takes over what is still being made ready or settled: secrets and
/// templates may take [`attempt::READY`].
const MARGIN: Duration = attempt::READY.saturating_add(Duration::from_secs(5));
/// While a method takes its time, this often a look at what was queued since, for the others.
const LOOK: Duration = Duration::from_millis(500);
/// A run begins no try after this time: with the longest `timeout` it ends before its unit's `TimeoutStartSec=5min`, which would
/// cut it off in mid-send. The timer goes on with what is left.
const RUN: TimeDelta = TimeDelta::seconds(150);
/// What one run did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Delivered.
    pub sent: u32,
    /// Not delivered; they wait for the next try.
    pub waiting: u32,
    /// Given up.
    pub expired: u32,
}

/// What a run gets from outside, so that tests decide it.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// Tells the time.
    pub clock: Clock<'a>,
    /// A number from 0 to 1 by chance, which spreads the pauses between tries.
    pub dice: &'a dyn Fn() -> f64,
    /// Renders a method's templates.
    pub render: own_words::Render<'a>,
    /// Sends.
    pub send: Send<'a>,
}

/// Delivers what is due, until nothing is.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn deliver(
    site: &Site,
    store: &mut Store,
    settings: &Settings,
    outside: Outside<'_>,
    meanwhile: Meanwhile<'_>,
) -> Result<Tally> {
    let Outside { clock, dice, render, send } = outside;
    let started = clock();
    let mut tally = Tally::default();
    damage::announce(store, settings, started)?;
    // a method that just failed is left in peace until the next run; what it did not take again is no reason for that
    let (mut resting, mut forgetful): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut sending: Vec<String> = Vec::new();
    let (sender, results) = mpsc::channel::<(Work, Tried)>();
    thread::scope(|scope| {
        loop {
            let now = clock();
            let full = limit::full(store, settings, now)?;
            let busy: Vec<String> = resting.iter().chain(&sending).chain(full.iter().map(|full| &full.method)).cloned().collect();
            let lease = |method: &str| now + settings.method(method).map_or(MARGIN, |method| method.timeout + MARGIN);
            let not_again: Vec<String> = resting.iter().chain(&sending).chain(&forgetful).cloned().collect();
            let mut start = |work: Work, draft: std::result::Result<Box<Draft>, String>| {
                sending.push(work.method().to_owned());
                let sender = sender.clone();
                scope.spawn(move || {
                    let tried = match draft {
                        Ok(draft) => attempt::attempt(site, *draft, render, send),
                        Err(why) => Answer::Retry(why, None).into(),
                    };
                    // the receiver lives as long as this scope
                    let _ = sender.send((work, tried));
                });
            };
            if now - started < RUN {
                if let Some(claimed) = claim(store, now, &busy, lease)? {
                    match letter::prepare(store, settings, &claimed, now)? {
                        Prepared::Ready(draft) => start(Work::Alert(claimed.into()), Ok(draft)),
                        Prepared::Impossible(why) => start(Work::Alert(claimed.into()), Err(why)),
                        Prepared::Nothing => store.write(|db| store::done(db, claimed.id))?,
                    }
                    continue;
                }
                // what is new goes first
                if let Some(resend) = resend::claim(store, now, &not_again, lease)? {
                    match resend::prepare(store, settings, &resend)? {
                        Prepared::Ready(draft) => start(Work::Resend(resend), Ok(draft)),
                        Prepared::Impossible(why) => start(Work::Resend(resend), Err(why)),
                        Prepared::Nothing => store.write(|db| store::drop_resends(db, &resend.method))?,
                    }
                    continue;
                }
            }
            if sending.is_empty() {
                limit::hold(store, &full, now)?;
                // what that queues may be due
                if outage::see_to(store, settings, now)? && now - started < RUN {
                    continue;
                }
                return Ok(tally);
            }
            let (work, tried) = match results.recv_timeout(LOOK) {
                Ok(result) => result,
                // what was queued meanwhile must not wait for a method that hangs
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    meanwhile(store, clock())?;
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(tally),
            };
            sending.retain(|method| *method != work.method());
            let claimed = match work {
                Work::Alert(claimed) => claimed,
                Work::Resend(resend) => {
                    if !resend::settle(store, settings, &resend, &tried, clock())? {
                        forgetful.push(resend.method);
                    }
                    continue;
                }
            };
            match settle::settle(store, settings, &claimed, &tried, clock(), dice())? {
                Fate::Sent => tally.sent += 1,
                Fate::Refused => tally.waiting += 1,
                Fate::Retry => {
                    tally.waiting += 1;
                    resting.push(claimed.method);
                }
                Fate::Expired => {
                    tally.expired += 1;
                    resting.push(claimed.method);
                }
            }
        }
    })
}

/// What is being sent.
enum Work {
    /// An alert.
    Alert(Box<Claimed>),
    /// What a channel that forgets gets again.
    Resend(Resend),
}

impl Work {
    fn method(&self) -> &str {
        match self {
            Work::Alert(claimed) => &claimed.method,
            Work::Resend(resend) => &resend.method,
        }
    }
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
            Answer::Sent(String::new()).into()
        };
        let outside = Outside { clock: &clock, dice: &|| 0.5, render: &|work, _| own_words::here(work), send: &send };
        let mut run = || deliver(&site, &mut store, &settings, outside, &mut |_, _| Ok(())).unwrap();
        assert_eq!(run(), Tally { sent: 2, ..Tally::default() }, "the third would begin after 200 s");
        assert_eq!(run(), Tally { sent: 2, ..Tally::default() }, "the next run goes on");
    }
}
