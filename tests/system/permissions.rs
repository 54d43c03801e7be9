//! Whoever runs a command, the state stays the user sysalert's; its group reads, root changes, others may do nothing.

use crate::guest::{Guest, Options, Output};
use crate::jobs::Job;

/// Everything in the state folder: mode, owner, path, one a line.
#[track_caller]
fn owners(guest: &Guest) -> String {
    guest.sh(r"find /var/lib/sysalert -printf '%m %u:%g %y %p\n' | sort -k4").ok()
}

/// Every folder is 2750, every file 0640, and all belong to sysalert:sysalert.
#[track_caller]
fn assert_owned(guest: &Guest, after: &str) {
    let found = owners(guest);
    assert!(found.contains("/var/lib/sysalert/sysalert.db"), "after {after} there is a database\n{found}");
    for line in found.lines() {
        let is_right = line.starts_with("2750 sysalert:sysalert d ") || line.starts_with("640 sysalert:sysalert f ");
        assert!(is_right, "after {after}: {line}\n{found}");
    }
}

/// A user who is a member of the group sysalert, and one who is not.
#[track_caller]
fn people(guest: &Guest) {
    guest.sh("useradd --groups sysalert member; useradd stranger").ok();
}

/// Refused with 77, in a sentence on standard error alone.
#[track_caller]
fn assert_not_permitted(output: &Output) {
    assert_eq!((output.status, output.stdout.as_str()), (77, ""), "{output}");
    let first = output.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with("sysalert: ") && first.len() > 30, "{output}");
}

#[test]
fn the_first_command_run_as_root_does_not_lock_the_handlers_out() {
    let guest = Guest::boot("first", Options::new());
    let commands: [&[&str]; 9] = [
        &["status"],
        &["db", "list"],
        &["db", "clear", "--all", "--yes"],
        &["explain", "a.service"],
        &["config", "check"],
        &["methods"],
        &["dispatch"],
        &["test", "--timeout", "1ms"],
        &["failure", "--", "by-hand.service"],
    ];
    // the folder as tmpfiles.d left it, and no folder at all
    for (state, prepare) in [("empty", "find /var/lib/sysalert -mindepth 1 -delete"), ("absent", "rm -r /var/lib/sysalert")] {
        for command in commands {
            let case = format!("`sysalert {}` with the state folder {state}", command.join(" "));
            // nobody else is to make the database
            guest.rest();
            guest.run(&["systemctl", "stop", "sysalert-dispatch.service"]).ok();
            guest
                .sh(&format!(
                    "rm -f /run/sysalert/pending; install -d -m 2750 -o sysalert -g sysalert /var/lib/sysalert; {prepare}"
                ))
                .ok();
            let output = guest.sysalert(command);
            assert!(matches!(output.status, 0 | 1), "{case}\n{output}");
            if matches!(command[0], "status" | "db" | "explain" | "config" | "methods") {
                let left = guest.run(&["find", "/var/lib/sysalert", "-mindepth", "1"]);
                assert_eq!(left.stdout, "", "{case}: a reading command creates nothing");
            } else {
                assert_owned(&guest, &case);
            }
            assert!(
                !guest.exists("/run/sysalert/pending")
                    || guest.sh("stat -c %U:%G /run/sysalert/pending").ok() == "sysalert:sysalert"
            );

            let job = Job::new(&guest, "after.service");
            job.fails(3);
            assert_eq!(job.events().len(), 1, "{case}: the failure is recorded");
            guest.settle();
            assert_eq!(guest.incidents("after.service")[0]["alerts"], 1, "{case}: and told");
            assert_owned(&guest, &case);
            assert_eq!(guest.number("SELECT count(*) FROM incidents WHERE subject = 'unit:after.service'"), 1);
        }
    }
}

#[test]
fn members_of_the_group_read_and_others_do_not() {
    let guest = Guest::boot("group", Options::new());
    people(&guest);
    let job = Job::new(&guest, "backup.service");
    let reading: [&[&str]; 8] = [
        &["status"],
        &["status", "-o", "json"],
        &["db", "list"],
        &["db", "list", "--all", "-o", "json"],
        &["explain", "backup.service"],
        &["methods"],
        &["config", "check"],
        &["config", "show"],
    ];
    let read = |user: &str, command: &[&str]| guest.run_as(user, &[&["sysalert"], command].concat());
    let members_read = |when: &str| {
        guest.wait_for_dispatch();
        let busy = guest.run(&["pgrep", "--list-full", "-u", "sysalert"]);
        assert_eq!(busy.stdout, "", "{when}: nobody else has the database open");
        for command in reading {
            let as_member = read("member", command);
            assert!(as_member.success(), "{when}: {as_member}");
            assert_eq!(as_member.stdout, guest.sysalert(command).ok() + "\n", "{when}: the same as root sees");
        }
        assert!(read("member", &["db", "list", "--all"]).stdout.contains("backup.service"), "{when}");
    };
    job.fails(3);
    guest.settle();
    members_read("after a failure");

    // dispatch copies the log into the database when it is long
    let log = || guest.number("SELECT value FROM meta WHERE key = 'checkpoint' UNION ALL SELECT 0");
    guest.wait_until("dispatch has made a checkpoint", || {
        job.fails(3);
        job.succeeds();
        guest.wait_for_dispatch();
        log() > 0
    });
    members_read("after a checkpoint");

    guest.reboot();
    members_read("after a reboot");

    // whoever looks with SQLite's own tool takes the log's files away when he is done
    guest.run_as("sysalert", &["python3", "-c", "import sqlite3; db = sqlite3.connect('/var/lib/sysalert/sysalert.db'); db.execute('UPDATE meta SET value = value'); db.commit(); db.close()"]).ok();
    members_read("after somebody used another tool");

    for command in reading.iter().take(6) {
        assert_not_permitted(&read("stranger", command));
    }
    let hint = read("stranger", &["status"]).stderr;
    assert!(hint.contains("root and members of its group") && hint.contains("usermod -aG sysalert"), "{hint}");
}

#[test]
fn only_root_changes_what_is_recorded() {
    let guest = Guest::boot("change", Options::new());
    people(&guest);
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.settle();
    // what looks at the services each half minute writes, too
    guest.rest();
    guest.sh("systemctl stop sysalert-dispatch.service").ok();
    let state = || {
        guest.sh("cd /var/lib/sysalert && find . -type f ! -name '*-shm' -exec sha256sum {} + | sort -k2; find . -printf '%m %u %p\n' | sort").ok()
    };
    let before = state();
    for user in ["member", "stranger"] {
        for command in [
            &["db", "clear", "backup.service", "--yes"] as &[&str],
            &["db", "clear", "--all", "--yes"],
            &["test"],
            &["dispatch"],
            &["failure", "--", "backup.service"],
        ] {
            assert_not_permitted(&guest.run_as(user, &[&["sysalert"], command].concat()));
            assert_eq!(state(), before, "{user}: {command:?}");
        }
    }
    assert_eq!(guest.incidents("backup.service")[0]["state"], "open");

    assert_eq!(guest.sysalert(&["db", "clear", "backup.service", "--yes"]).ok(), "backup.service: cleared");
    assert_eq!(guest.incidents("backup.service")[0]["state"], "resolved");
    assert_eq!(guest.sysalert(&["db", "list", "-o", "json"]).ok(), "[]");
    assert_owned(&guest, "`db clear` by root");
    job.fails(3);
    assert_eq!(job.reason(), "first");
    assert_owned(&guest, "the next failure");
}

#[test]
fn root_writes_in_no_folder_that_others_can_change() {
    let guest = Guest::boot("shared", Options::new());
    guest.sh("mkdir -m 1777 /srv/shared && ln -s /etc/pwned /srv/shared/sysalert.db").ok();
    let refused = guest.sysalert(&["--state-dir", "/srv/shared", "failure", "--", "backup.service"]);
    assert_eq!(refused.status, 77, "{refused}");
    assert!(refused.stderr.contains("/srv/shared belongs to root, but others can change it\nhint: chmod go-w"), "{refused}");
    assert!(!guest.exists("/etc/pwned"));
}
