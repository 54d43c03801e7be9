//! What somebody changed of sysalert's own units, so that they do something else, or nothing.

use super::units::{NOBODYS, measures, polls};
use super::{Outcome, Patient, finding};
use crate::host::directives::{Directive, Directives};
use crate::host::wake::DISPATCH;

pub(super) fn decisive(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let settings = patient.settings.as_ref();
    let (polls, measures) = (settings.is_some_and(polls), settings.is_some_and(measures));
    let is_users = patient.is_users();
    let units = [
        (DISPATCH.to_owned(), true, "no alert is sent"),
        (format!("sysalert-failure@{NOBODYS}.service"), true, "no failure is recorded at once"),
        (format!("sysalert-success@{NOBODYS}.service"), true, "a recovery is told late"),
        ("sysalert-check@services.service".to_owned(), polls, "nothing of [services] is looked at"),
        ("sysalert-check@sensors.service".to_owned(), measures && !is_users, "no sensor measures anything"),
    ];
    let (files, shipped) = (patient.unit_files(), patient.unit_files().shipped());
    let mut found = Vec::new();
    for (unit, _, what) in units.into_iter().filter(|(_, is_wanted, _)| *is_wanted) {
        let ours = Directives::read(&patient.files_of(&shipped, &unit));
        let holds = Directives::read(&patient.files_of(&files, &unit));
        let template = unit.replace(NOBODYS, "");
        found.extend(changed(&ours, &holds).into_iter().map(|(one, why)| {
            let (file, key) = (one.file.display(), &one.key);
            let is_drop_in = one.file.parent().is_some_and(|folder| folder.extension().is_some_and(|end| end == "d"));
            let hint = match is_drop_in {
                true => format!("take {key}= out of {file}, then {} daemon-reload", patient.systemctl()),
                false => {
                    format!("remove {file}, which takes the place of sysalert's own, then {} daemon-reload", patient.systemctl())
                }
            };
            finding(format!("{file} sets {key}={} of {template}{why}: {what}", one.value), hint)
        }));
    }
    found
}

/// What of these is not as it came, and decides whether anything is done.
fn changed<'a>(ours: &Directives, holds: &'a Directives) -> Vec<(&'a Directive, &'static str)> {
    let mut found = Vec::new();
    let commands = ours.list("Service", "ExecStart");
    // a wrapper ends with the command itself
    let is_same = |one: &Directive| commands.iter().any(|command| one.value.ends_with(&command.value));
    found
        .extend(holds.list("Service", "ExecStart").into_iter().filter(|one| !is_same(one)).map(|one| (one, ", another program")));
    for key in ["User", "DynamicUser", "PrivateNetwork", "IPAddressDeny", "RootDirectory", "RootImage"] {
        let (own, now) = (ours.last("Service", key).map(|one| &one.value), holds.last("Service", key));
        let is_off = |value: &str| matches!(value, "no" | "false" | "off" | "0");
        let is_changed = |one: &&Directive| Some(&one.value) != own && (key == "User" || !is_off(&one.value));
        found.extend(now.filter(is_changed).map(|one| (one, "")));
    }
    let is_condition = |one: &&Directive| {
        one.section == "Unit" && (one.key.starts_with("Condition") || one.key.starts_with("Assert")) && !one.value.is_empty()
    };
    let is_own = |one: &Directive| ours.all().any(|own| (&own.key, &own.value) == (&one.key, &one.value));
    found.extend(holds.all().filter(is_condition).filter(|one| !is_own(one)).map(|one| (one, ", and while that is not so")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_is_told_and_all_else_is_left_alone() {
        let own = (
            "/usr/lib/systemd/system/a.service".into(),
            "[Service]\nExecStart=/usr/bin/a x\nUser=me\nPrivateNetwork=no\n".to_owned(),
        );
        for (text, expected) in [
            ("[Service]\nLoadCredential=x:/etc/x\nUser=me\nPrivateNetwork=no\n", ""),
            ("[Service]\nExecStart=\nExecStart=/usr/bin/nice /usr/bin/a x\n", ""),
            ("[Service]\nExecStart=\nExecStart=/bin/true\n", "ExecStart"),
            ("[Service]\nUser=root\n", "User"),
            ("[Service]\nPrivateNetwork=yes\n", "PrivateNetwork"),
            ("[Unit]\nConditionPathExists=/x\n", "ConditionPathExists"),
            ("[Service]\nConditionPathExists=/x\n", ""),
        ] {
            let files = vec![own.clone(), ("/etc/systemd/system/a.service.d/x.conf".into(), text.to_owned())];
            let (ours, holds) = (Directives::read(&files[..1].to_vec()), Directives::read(&files));
            let found: Vec<&str> = changed(&ours, &holds).into_iter().map(|(one, _)| one.key.as_str()).collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }
}
