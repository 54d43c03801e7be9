//! `sysalert doctor --end-to-end`: a unit that is made for it fails and recovers, on the way that every failure takes.
//!
//! Root stays root here, as it starts and removes the unit; what is on record a second process reads.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use crate::cli::context::Context;
use crate::cli::output::{self, Format};
use crate::error::{Error, Kind, Result};
use crate::event::Manager;
use crate::host::manager::{ServiceManager, systemctl, systemd_run};
use crate::host::{again, clock, identity, names};

/// So often it is looked whether something came.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(context: &Context, format: Format, timeout: Duration) -> Result<u8> {
    let is_users = context.site.manager != Manager::System;
    if !is_users && !context.site.is_systems {
        let text = "the handlers record in the system's own state folder, and --state-dir names another one";
        return Err(Error::usage(text).hint("leave --state-dir out"));
    }
    if !is_users && !identity::is_root() {
        let error = Error::new(Kind::Permission, "only root may start a unit of the system");
        return Err(error.hint("run it as root; with --user a unit of your own fails"));
    }
    // not "sysalert-...", whose failures nobody hears of
    let nonce = names::nonce();
    let unit = format!("doctor-lets-fail-{}.service", nonce.get(..8).unwrap_or("x"));
    let mut journey = Journey { unit, is_users, started: clock::started(), timeout, steps: Vec::new(), format };
    let arrived = journey.whole();
    journey.clean_up();
    if format == Format::Json {
        output::json(&Value::Array(std::mem::take(&mut journey.steps)))?;
    }
    arrived.map(|()| 0)
}

struct Journey {
    unit: String,
    is_users: bool,
    started: Instant,
    timeout: Duration,
    steps: Vec<Value>,
    format: Format,
}

impl Journey {
    fn whole(&mut self) -> Result<()> {
        self.start("echo 'sysalert doctor lets this unit fail, to see its alert arrive'; exit 1")?;
        self.step(format!("{} was started, to fail", self.unit))?;
        self.follow("failed", "failure")?;
        // while it is failed there is no other of its name
        self.forget_unit();
        self.start("echo 'sysalert doctor lets this unit succeed, to see its recovery arrive'")?;
        self.step(format!("{} was started again, to succeed", self.unit))?;
        self.follow("succeeded", "recovery")?;
        if self.format == Format::Table {
            let sysalert = output::sysalert(self.is_users);
            output::print(&format!("Everything arrived. The history keeps it: `{sysalert} history {}`\n", self.unit))?;
        }
        Ok(())
    }

    /// Makes the unit anew; it runs this at once.
    fn start(&self, script: &str) -> Result<()> {
        let handlers = [("OnFailure", "failure"), ("OnSuccess", "success")];
        let [on_failure, on_success] =
            handlers.map(|(key, kind)| format!("--property={key}=sysalert-{kind}@{}.service", self.unit));
        let unit = format!("--unit={}", self.unit);
        let mut words: Vec<&str> = self.is_users.then_some("--user").into_iter().collect();
        words.extend(["--quiet", "--no-block", "--service-type=oneshot", &unit, &on_failure, &on_success]);
        words.extend(["/bin/sh", "-c", script]);
        systemd_run(&words).map_err(|why| {
            Error::failure(format!("the unit that is to fail cannot be started: {why}"))
                .hint("`sysalert doctor` says what is wrong with systemd")
        })
    }

    /// Follows one event to its delivery by every method.
    fn follow(&mut self, outcome: &str, alert: &str) -> Result<()> {
        let until = clock::started() + self.timeout;
        let event = self.wait(
            until,
            |journey| journey.event(outcome, |_| true),
            |journey| {
                let (sysalert, manager) = (output::sysalert(journey.is_users), if journey.is_users { " --user" } else { "" });
                Error::failure(format!("that it {outcome} was not recorded")).hint(format!(
                "its handler did not run: `{sysalert} doctor` looks why, and `journalctl{manager} -u 'sysalert-*'` has what the \
                 handlers said"
            ))
            },
        )?;
        self.step(format!("that it {outcome} is on record"))?;
        let is_decided = |event: &Value| event["decision"].is_string();
        let event = if is_decided(&event) {
            event
        } else {
            self.wait(
                until,
                |journey| journey.event(outcome, is_decided),
                |journey| {
                    let sysalert = output::sysalert(journey.is_users);
                    let why = journey
                        .asleep()
                        .unwrap_or_else(|| format!("`{sysalert} config check` tells whether the configuration is why"));
                    Error::failure("nobody decided whether to tell it").hint(why)
                },
            )?
        };
        let decision = event["decision"].as_str().unwrap_or_default().to_owned();
        self.step(format!("decided: {decision}"))?;
        let mut told = BTreeSet::new();
        let mut failed = false;
        loop {
            // in this order: what is delivered between the two is seen, too
            let waiting = self.waiting(alert);
            let event = self.event(outcome, |_| true).unwrap_or_default();
            for delivery in event["deliveries"].as_array().into_iter().flatten().filter(|delivery| delivery["alert"] == alert) {
                let text = |key: &str| delivery[key].as_str().unwrap_or_default().to_owned();
                if told.insert(text("method")) {
                    let was_sent = matches!(text("status").as_str(), "sent" | "merged");
                    failed |= !was_sent;
                    self.step(format!("{}: {}: {}", text("method"), if was_sent { "sent" } else { "not sent" }, text("detail")))?;
                }
            }
            let open: Vec<String> = waiting.into_iter().filter(|method| !told.contains(method)).collect();
            match (open.is_empty(), told.is_empty()) {
                (true, false) if failed => {
                    let error = Error::failure("a method could not send");
                    return Err(error.hint(
                        "mend what its line says; `sysalert doctor` may say more, and `sysalert test` is quicker to repeat",
                    ));
                }
                (true, false) => return Ok(()),
                // decided not to tell: neither waits anything, nor was anything tried
                (true, true) if alert == "recovery" => return Ok(()),
                (true, true) => {
                    let error = Error::failure(format!("nobody is told: {decision}"));
                    return Err(error.hint(format!("`sysalert explain {}` names the settings that did it", self.unit)));
                }
                (false, _) if clock::started() >= until => {
                    let seconds = self.timeout.as_secs();
                    let error = Error::failure(format!("{} did not report within {seconds} s", open.join(", ")));
                    return Err(error.hint(self.asleep().unwrap_or_else(|| output::is_dispatch_awake(self.is_users))));
                }
                (false, _) => {
                    output::progress(&format!("waiting for {}", open.join(", ")));
                    clock::wait(LOOK);
                }
            }
        }
    }

    fn wait(
        &mut self,
        until: Instant,
        found: impl Fn(&mut Journey) -> Option<Value>,
        in_vain: impl Fn(&Journey) -> Error,
    ) -> Result<Value> {
        loop {
            if let Some(value) = found(self) {
                return Ok(value);
            }
            if clock::started() >= until {
                output::progress("");
                return Err(in_vain(self));
            }
            output::progress(&format!("waiting for the handlers of {}", self.unit));
            clock::wait(LOOK);
        }
    }

    /// What of dispatch does not run, and who says what is to be done.
    fn asleep(&self) -> Option<String> {
        let mut manager = ServiceManager::new(self.is_users, PATIENCE);
        ["sysalert-dispatch.path", "sysalert-dispatch.timer"].into_iter().find_map(|unit| {
            let health = manager.health(unit).filter(|health| health.active != "active")?;
            Some(format!("{unit} is {}: `{} doctor` says what is to be done", health.active, output::sysalert(self.is_users)))
        })
    }

    /// The newest event of this outcome, if it is like that.
    fn event(&self, outcome: &str, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        let events: Vec<Value> = self.read(&["history", "-o", "json", "--", &self.unit])?;
        events.into_iter().rev().find(|event| event["outcome"] == outcome).filter(is_it)
    }

    /// The methods that have not sent this kind of alert yet.
    fn waiting(&self, alert: &str) -> Vec<String> {
        let waiting: Vec<Value> = self.read(&["outbox", "list", "-o", "json"]).unwrap_or_default();
        let mine = waiting.iter().filter(|row| row["unit"] == self.unit.as_str() && row["alert"] == alert);
        mine.filter_map(|row| Some(row["method"].as_str()?.to_owned())).collect()
    }

    fn read(&self, words: &[&str]) -> Option<Vec<Value>> {
        serde_json::from_str(&again::ask(&self.with_whose(words)).ok()?).ok()
    }

    fn with_whose<'a>(&self, words: &[&'a str]) -> Vec<&'a str> {
        self.is_users.then_some("--user").into_iter().chain(words.iter().copied()).collect()
    }

    /// Says what has come, and after how long.
    fn step(&mut self, what: String) -> Result<()> {
        output::progress("");
        let seconds = self.started.elapsed().as_secs_f64();
        self.steps.push(json!({ "seconds": (seconds * 1000.0).round() / 1000.0, "step": what }));
        if self.format == Format::Table { output::print(&format!("{seconds:8.3} s  {what}\n")) } else { Ok(()) }
    }

    fn forget_unit(&self) {
        for verb in ["stop", "reset-failed"] {
            // it may be gone already
            let _ = systemctl(&self.with_whose(&["--quiet", verb, &self.unit]));
        }
    }

    /// Nothing stays but the history: no unit, no incident, nothing in the outbox.
    fn clean_up(&self) {
        self.forget_unit();
        let _ = again::ask(&self.with_whose(&["db", "clear", "--yes", "--", &self.unit]));
    }
}
