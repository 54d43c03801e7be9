//! `sysalert dispatch`: looks for recoveries, decides what is undecided, delivers what is due.

use std::cell::Cell;
use std::time::Duration;

use chrono::TimeDelta;

use super::context::{Context, PATIENCE};
use crate::dispatch::{self, Complete, Outside, heartbeat};
use crate::error::{Error, Result};
use crate::host::world::Machine;
use crate::host::{clock, log, names, wake};
use crate::metrics::{self, Measuring};
use crate::pipeline::{self, Gathering};
use crate::store::{self, Older, Store};

/// So long each answer of the journal or the service manager may take.
const BUDGET: Duration = Duration::from_secs(3);

/// A digest that is due so soon is waited for, in a run that lasts no longer than this.
const STORM: TimeDelta = TimeDelta::seconds(60);
const STORM_RUN: Duration = Duration::from_secs(120);
/// Meanwhile so often a look at what is new, and at the rest.
const LOOK: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(5);
/// So long what was queued since waits for one of the heartbeat's two calls, at most; so often it is looked for.
const CALL: Duration = Duration::from_secs(3);
const CALL_LOOK: Duration = Duration::from_millis(50);
/// The runs that wait for something must not follow each other without a pause.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) fn run(context: &Context) -> Result<u8> {
    context.enter_or_make()?;
    // with broken settings nobody hears that this host lives: that is what somebody elsewhere notices
    let settings = context.settings().ok();
    let due = settings.as_ref().and_then(|settings| heartbeat::due(&context.site, settings, clock::system()));
    let Some(due) = due else { return mended(context) };
    let mut delivered = Ok(0);
    let run = || {
        delivered = mended(context);
        delivered.as_ref().err().map(ToString::to_string).unwrap_or_default()
    };
    let in_a_hurry = |waited: Duration| {
        clock::wait(CALL_LOOK);
        waited > CALL && wake::raised(&context.site).is_some()
    };
    due.around(&dispatch::plugin::send, &clock::system, run, in_a_hurry);
    delivered
}

/// Delivers; a database that turns out to be damaged is replaced first.
fn mended(context: &Context) -> Result<u8> {
    let database = store::current(&context.site.state);
    match deliver(context) {
        Err(error) if error.is_of_damage() => {
            log::warn(None, &error.message);
            pipeline::repair(&context.site, database, &error, clock::system())?;
            deliver(context)
        }
        done => done,
    }
}

fn deliver(context: &Context) -> Result<u8> {
    let site = &context.site;
    // before the outbox is read: what comes from now on raises the flag again
    let synced = wake::lower(site).unwrap_or_else(|error| {
        // the flag only wakes; what waits is in the database
        log::warn(None, &format!("{error}; alerts are delivered all the same"));
        None
    });
    let mut store = Store::open(&site.state, Older::Migrate, PATIENCE)?;
    pipeline::examine(site, &store, clock::system())?;
    let waits = Cell::new(false);
    let mut make_ready = |store: &mut Store, now| {
        // each time anew: the journal begins new files
        let world = Machine::new(&site.manager, BUDGET);
        let complete = Complete { now, synced };
        let gathering = Gathering { world: &world, now, complete: Some(complete.until()) };
        let mut settled = pipeline::settle(site, store, None, gathering, &|| context.settings())?;
        let settings = context.settings()?;
        if dispatch::note_errors(store, &settings, &world, complete)? {
            settled = pipeline::settle(site, store, None, gathering, &|| context.settings())?;
        }
        // what need not wait any longer counts as told from now on
        dispatch::hold(store, &settings, now)?;
        pipeline::due(store, &settings, now)?;
        waits.set(!dispatch::gather(store, &settings, &world, complete)? || settled.waits);
        dispatch::collect(store, &settings, now)
    };
    let mut raised = wake::raised(site);
    make_ready(&mut store, clock::system())?;
    let settings = context.settings()?;
    let (render, send) = (&dispatch::own_words::apart, &dispatch::plugin::send);
    let outside = Outside { clock: &clock::system, dice: &names::dice, render, send };
    let started = clock::started();
    let mut looked = started;
    let tally = loop {
        let tally = dispatch::deliver(site, &mut store, &settings, outside, &mut make_ready)?;
        // a digest is waited for: the timer's next run may be a minute away
        let now = clock::system();
        let soon = store.with(store::next_digest)?.filter(|due| *due > now && *due <= now + STORM);
        let Some(due) = soon.filter(|_| started.elapsed() <= STORM_RUN) else { break tally };
        clock::wait(LOOK);
        // each look is one at all that is open: at once for what is new or waits for the journal, and seldom for the rest
        let now = clock::system();
        let news = wake::raised(site);
        if news != raised || waits.get() || now >= due || looked.elapsed() >= SELDOM {
            (raised, looked) = (news, clock::started());
            make_ready(&mut store, now)?;
        }
    };
    if waits.get() {
        clock::wait(PAUSE);
        // the next run's journal is complete a little further
        wake::raise(site)?;
    }
    store::prune_a_step(&mut store, settings.history, clock::system())?;
    // only now: what was pruned stands in the log, too
    store.checkpoint(clock::system())?;
    let world = Machine::new(&site.manager, BUDGET);
    let now = clock::system();
    let measuring = Measuring { settings: &settings, manager: &site.manager, world: &world, version: super::VERSION, now };
    metrics::update(&mut store, measuring);
    log::info(None, &format!("{} sent, {} wait for the next try, {} given up", tally.sent, tally.waiting, tally.expired));
    let failing = dispatch::failing(&store, &settings, clock::system())?;
    if failing.is_empty() {
        return Ok(0);
    }
    // all that can be done is done; the unit fails, so that whoever looks at units sees it
    let hint = "mend what it says, and `sysalert outbox retry` tries again at once";
    Err(Error::failure(failing.join("\n")).hint(hint))
}
