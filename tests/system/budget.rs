//! What a handler costs where there is a journal and a service manager to ask: tests/budgets counts without them.

use std::collections::BTreeMap;

use crate::guest::{Guest, Options};

/// All system calls of one `failure` on an installed system, the loader's among them: 482 and 501 when that was measured. The
/// service manager's answers come in more pieces or fewer.
const SYSTEM_CALLS: usize = 550;
/// One until the event is safe, and one for the verdict.
const FSYNCS: usize = 2;

#[test]
fn a_failure_that_the_journal_confirms_costs_two_fsyncs() {
    let guest = Guest::boot("budget", Options::new());
    guest.rest();
    guest.write_unit("job.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'\n");
    // what systemd would hand to the handler; by hand, so that strace can watch it
    for run in 1..=3 {
        let trace = handled(&guest);
        let calls = counted(&trace);
        assert_eq!(guest.number("SELECT count(*) FROM events WHERE reason IS NOT NULL AND confirmed"), run, "it is decided");
        if run > 1 {
            let sum: usize = calls.values().sum();
            assert_eq!(
                calls.get("fsync").copied().unwrap_or(0) + calls.get("fdatasync").copied().unwrap_or(0),
                FSYNCS,
                "{trace}"
            );
            assert!(sum <= SYSTEM_CALLS, "{sum} system calls: {calls:?}");
        }
    }
    let failures = guest.number("SELECT failures FROM incidents");
    assert_eq!(failures, 3);
}

/// Lets job.service fail, and hands to its handler what systemd would, under strace.
fn handled(guest: &Guest) -> String {
    let script = r#"
systemctl start job.service 2>/dev/null || true
journalctl --sync
exec setpriv --reuid=sysalert --regid=sysalert --init-groups env MONITOR_UNIT=job.service MONITOR_SERVICE_RESULT=exit-code \
    MONITOR_EXIT_CODE=exited MONITOR_EXIT_STATUS=3 MONITOR_INVOCATION_ID="$(systemctl show -P InvocationID job.service)" \
    strace -f -qq -o /tmp/trace sysalert failure -- job.service"#;
    guest.sh(script).ok();
    guest.read_file("/tmp/trace")
}

/// So many archived files are opened at most for a message, one after the other.
const ARCHIVED: usize = 16;
/// So many system calls each of them costs at most, and each that is only seen.
const PER_FILE: usize = 30;
const PER_NAME: usize = 8;

#[test]
fn what_a_message_opens_does_not_grow_with_the_journal() {
    let guest = Guest::boot("reads", Options::new());
    guest.rest();
    guest.begin("");
    guest.write_unit("job.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh /opt/job\n");
    guest.write_file("/opt/job", "exit 0\n");
    // an archived file in which the job succeeds, and one that knows nothing of it; copies, for journald still writes to its own
    guest
        .sh("cd /var/log/journal/*
        journalctl --rotate; rm -f system@*
        systemctl start job.service; systemctl start job.service; journalctl --sync; journalctl --rotate
        archived=$(echo system@*.journal); cp $archived ../../success; rm system@*
        logger nothing; journalctl --sync; journalctl --rotate
        cp system@*.journal ../../nothing; rm system@*; mv ../../success $archived
        chgrp systemd-journal $archived ../../nothing; chmod 0640 $archived ../../nothing
        touch -d '2 hours ago' $archived; touch -d '1 hour ago' ../../nothing")
        .ok();
    guest.write_file("/opt/job", "exit 3\n");
    // so many of the latter lie between
    let archive = |numbers: std::ops::Range<usize>| {
        let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
        let link = "ln ../../nothing system@$(printf %032x-%016x-%016x 2 $number 1).journal";
        guest.sh(&format!("cd /var/log/journal/*; for number in {}; do {link}; done", numbers.join(" "))).ok();
    };
    let (mut opened, mut calls, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for files in [1..2, 2..ARCHIVED, ARCHIVED..ARCHIVED + 1, ARCHIVED + 1..4 * ARCHIVED] {
        archive(files);
        guest.sysalert(&["db", "clear", "--all", "--yes"]).ok();
        handled(&guest);
        // as the unit's first command leaves it: the journal is complete
        guest
            .sh("mv /run/sysalert/pending /run/sysalert/synced
            exec setpriv --reuid=sysalert --regid=sysalert --init-groups strace -f -qq -o /tmp/trace sysalert dispatch")
            .ok();
        let trace = guest.read_file("/tmp/trace");
        opened.push(trace.lines().filter(|line| line.contains("open") && line.contains(".journal\"")).count());
        calls.push(counted(&trace).values().sum::<usize>());
        texts.push(guest.alerts().last().unwrap().text.clone());
    }
    println!("files of the journal that dispatch opens: {opened:?}; its system calls: {calls:?}");
    let knows = |text: &String| text.contains("\nLast success  ") && text.contains("; usually ");
    assert!(texts[..2].iter().all(knows), "{}", texts[1]);
    // whoever did not look so far says nothing
    assert!(texts[2..].iter().all(|text| !text.contains("Last success") && !text.contains("usually")), "{}", texts[2]);
    assert_eq!(opened[1] - opened[0], ARCHIVED - 2);
    assert_eq!((opened[2], opened[3]), (opened[1], opened[1]), "{opened:?}");
    assert!(calls[1] <= calls[0] + PER_FILE * (ARCHIVED - 2), "{calls:?}");
    assert!(calls[3] <= calls[2] + PER_NAME * 3 * ARCHIVED, "{calls:?}");
}

#[test]
fn what_stays_failed_is_not_asked_about_one_by_one() {
    let guest = Guest::boot("stays", Options::new());
    guest.rest();
    guest.begin("");
    guest.write_unit(
        "ill@.service",
        "[Unit]\nOnFailure=sysalert-failure@%n.service\n[Service]\nType=oneshot\nExecStart=/bin/false\n",
    );
    let mut messages = Vec::new();
    for many in [2, 12] {
        guest.sh(&format!("systemctl start ill@{{1..{many}}} 2>/dev/null || true")).ok();
        guest.wait_until("all are recorded", || guest.number("SELECT count(*) FROM incidents WHERE state <> 'resolved'") == many);
        // it is told, and dispatch finds nothing new twice: by hand, so that strace can watch it
        guest.settle();
        let script = "\
            python3 -c 'import sqlite3; db = sqlite3.connect(\"/var/lib/sysalert/sysalert.db\", isolation_level=None)
db.execute(\"UPDATE meta SET value = value - 3600000000 WHERE key = \\\"swept\\\"\")'
            setpriv --reuid=sysalert --regid=sysalert --init-groups strace -f -qq -s 400 -e trace=sendmsg -o /tmp/trace sysalert dispatch
            grep -c org.freedesktop.systemd1 /tmp/trace";
        messages.push(guest.sh(script).ok().trim().parse::<usize>().unwrap());
    }
    println!("dispatch's messages to the service manager with 2 and with 12 units that stay failed: {messages:?}");
    assert_eq!(messages[0], messages[1]);
}

/// How often each system call stands in a trace: "PID name(...".
fn counted(trace: &str) -> BTreeMap<&str, usize> {
    let mut calls = BTreeMap::new();
    for line in trace.lines() {
        let call = line.split_whitespace().nth(1).and_then(|rest| rest.split_once('(')).map(|(name, _)| name);
        if let Some(name) = call {
            *calls.entry(name).or_insert(0) += 1;
        }
    }
    calls
}
