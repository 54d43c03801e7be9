//! What sysalert stands on: systemd, its journal, the clock.

use std::path::Path;

use chrono::TimeDelta;

use super::record::opened;
use super::{Outcome, Patient, finding};
use crate::event::local_time;
use crate::host::journal::{self, Kept};
use crate::host::{clock, names};
use crate::store;

/// Before this version handlers are not told what failed (MONITOR_*), and the manager is asked.
const WHOLE: u32 = 251;
/// Older ones were never tried.
const OLDEST: u32 = 239;

pub(super) fn systemd(patient: &mut Patient<'_>) -> Vec<Outcome> {
    match patient.manager.version() {
        Some(version) => of_version(&version).into_iter().collect(),
        None if patient.is_users() => vec![finding(
            "your service manager does not answer: none of your units can be looked at",
            "run it in a session of yours, without sudo; your manager is asked by your own bus (Debian: dbus-user-session)",
        )],
        None => vec![finding(
            "systemd does not answer over D-Bus: services cannot be polled, and of a failure less is told",
            "start dbus.service; `busctl status` says more",
        )],
    }
}

fn of_version(version: &str) -> Option<Outcome> {
    let digits: String = version.trim_start_matches('v').chars().take_while(char::is_ascii_digit).collect();
    match digits.parse::<u32>() {
        Ok(number) if number < OLDEST => Some(finding(
            format!("systemd {number} is too old: sysalert was never tried with one before {OLDEST}"),
            "use a newer release of your distribution",
        )),
        Ok(number) if number < WHOLE => Some(Outcome::Note(format!(
            "systemd {number} does not tell handlers how a unit ended: systemd and the journal are asked, which may be too late for \
             a unit that is started again at once"
        ))),
        _ => None,
    }
}

/// Nobody's clocks agree better.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

pub(super) fn clock(patient: &mut Patient<'_>) -> Vec<Outcome> {
    // whether the record can be read at all others say
    let newest = opened(patient).ok().flatten().and_then(|store| store.with(store::newest_event).ok().flatten());
    let now = clock::system();
    match newest {
        Some(newest) if newest - now > TOLERANCE => vec![finding(
            format!(
                "the clock says {}, and the newest event on record is of {}: one of them is wrong. With a wrong clock certificates \
                 count as expired, and reminders and retries come at wrong times",
                local_time(now),
                local_time(newest)
            ),
            "look at `timedatectl`, and let a time service set the clock; if it is right now, this passes by itself",
        )],
        _ if patient.manager.is_clock_synchronised() == Some(false) => vec![Outcome::Note(
            "no time service sets the clock (`timedatectl`): one that is far off makes certificates invalid".to_owned(),
        )],
        _ => Vec::new(),
    }
}

/// A user's units end with the last session.
pub(super) fn lingering(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let user = names::user();
    if !patient.is_users() || Path::new("/var/lib/systemd/linger").join(&user).exists() {
        return Vec::new();
    }
    let text = format!("nothing runs for you while you are not logged in: `loginctl enable-linger {user}` changes that");
    vec![Outcome::Note(text)]
}

pub(super) fn journal(patient: &mut Patient<'_>) -> Vec<Outcome> {
    if let Some(storage) = journal::storage().filter(|storage| storage.value == "none" && !patient.is_users()) {
        let text =
            "journald keeps nothing (Storage=none): alerts come without their last lines, and missed failures are not found";
        let hint = format!("set Storage=persistent in {}, then systemctl restart systemd-journald", storage.file.display());
        return vec![finding(text, hint)];
    }
    // whoever may not read it is told that they do not see all
    if !patient.sees_all() {
        return Vec::new();
    }
    if let Err(why) = journal::readable() {
        // a user's own lines are in a file of theirs
        if patient.is_users() {
            return Vec::new();
        }
        let hint = "let systemd-tmpfiles set the modes again: `systemd-tmpfiles --create --prefix /var/log/journal`; the user sysalert \
                    is in the group systemd-journal (`systemd-sysusers`)";
        return vec![finding(format!("{why}. Alerts come without their last lines, and missed failures are not found"), hint)];
    }
    match journal::kept() {
        Kept::InMemory => vec![Outcome::Note(
            "the journal is kept in memory: what fails in a shutdown is never told. `mkdir /var/log/journal` and `journalctl --flush` \
             keep it on the disk"
                .to_owned(),
        )],
        Kept::OnDisk | Kept::Nowhere => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_systemd_is_a_finding_or_a_note() {
        for (version, is_finding) in [("238", Some(true)), ("v234-1", Some(true)), ("247.3-7+deb11u5", Some(false))] {
            let found = of_version(version);
            assert_eq!(found.map(|outcome| matches!(outcome, Outcome::Finding { .. })), is_finding, "{version}");
        }
        for version in ["251", "252.39-1~deb12u1", "257~rc1", "unknown"] {
            assert_eq!(of_version(version), None, "{version}");
        }
    }
}
