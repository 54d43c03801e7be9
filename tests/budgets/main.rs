//! What one event may cost: fsyncs, system calls, instructions, memory, what is read before the event is safe; and what there is
//! to carry: sizes and packages. `make check` runs it on the installed tree that SYSALERT_STAGE names; each figure is printed
//! with `cargo test --test budgets -- --nocapture`. What is counted and may grow only on purpose stands in counts.toml.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::disallowed_methods)]

mod counts;
mod machine;

use std::fs;

use sysalert_http::testing::{Act, Server};

use machine::{Machine, is_fsync};

#[test]
fn one_failure_is_safe_after_one_fsync_and_done_after_two() {
    let machine = Machine::new();
    let first = machine.run("failure", 1);
    assert!(first.fsyncs().len() <= 9, "the very first failure makes the database: at most 9 fsyncs\n{}", first.shown());
    eprintln!("the very first failure: {} fsyncs, {} system calls", first.fsyncs().len(), first.calls());

    machine.run("dispatch", 0);
    for (what, number) in [("a failure", 2), ("its repetition", 3), ("one more", 4)] {
        let trace = machine.run("failure", number);
        let (safe, all) = (trace.until_safe().len(), trace.fsyncs().len());
        eprintln!("{what}: safe after {safe} fsyncs, {all} in all, {} system calls", trace.calls());
        assert!(safe <= 1, "{what} is safe only after {safe} fsyncs, not 1\n{}", trace.shown());
        assert!(all <= 2, "{what} makes {all} fsyncs, not 2\n{}", trace.shown());
    }
}

#[test]
fn right_after_a_checkpoint_a_failure_costs_no_more() {
    let machine = Machine::new();
    let log = machine.state().join("sysalert.db-wal");
    let mut number = 0;
    while fs::metadata(&log).map_or(0, |about| about.len()) < 100 * 1024 {
        number += 1;
        assert!(number < 100, "the log of the database does not grow");
        machine.run("failure", number);
    }
    machine.run("dispatch", 0);
    assert!(fs::metadata(&log).unwrap().len() < 64 * 1024, "dispatch did not checkpoint");
    let trace = machine.run("failure", number + 1);
    eprintln!("right after a checkpoint: safe after {}, {} fsyncs in all", trace.until_safe().len(), trace.fsyncs().len());
    assert!(trace.until_safe().len() <= 1 && trace.fsyncs().len() <= 2, "{}", trace.shown());
}

/// A year of history, of which dispatch forgets a step.
#[test]
fn what_dispatch_prunes_leaves_no_long_log_to_read() {
    let machine = Machine::new();
    machine.run("failure", 1);
    let open = || {
        let db = rusqlite::Connection::open(machine.state().join("sysalert.db")).unwrap();
        db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        db
    };
    let events = || open().query_row("SELECT count(*) FROM events", [], |row| row.get::<_, u32>(0)).unwrap();
    open()
        .execute_batch(
            "INSERT INTO incidents (id, subject, state, severity, failures, first_failure, last_failure, ended)
                VALUES (1000, 'unit:old.service', 'resolved', 'error', 2000, 1, 2, 3);
             INSERT INTO events (subject, outcome, run, at, incident, reason)
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                SELECT 'unit:old.service', 'failed', lower(hex(randomblob(16))), 2, 1000, '{\"reason\":\"opened\"}' FROM n;
             PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .unwrap();
    let before = events();
    machine.run("dispatch", 0);
    let after = events();
    let log = fs::metadata(machine.state().join("sysalert.db-wal")).unwrap().len();
    eprintln!("{before} events before, {after} after, a log of {log} bytes");
    assert!(after < before, "nothing was pruned of {before}");
    assert!(log < 64 * 1024, "the next handler reads a log of {log} bytes");
}

#[test]
fn what_is_no_news_costs_no_fsync_and_changes_nothing() {
    let machine = Machine::new();
    machine.run("failure", 1);
    // as the unit's first command leaves it: the journal is complete
    fs::rename(machine.state().join("pending"), machine.state().join("synced")).unwrap();
    machine.run("dispatch", 0);
    machine.unit("b.service");
    for (what, verb, number) in [("an idle dispatch", "dispatch", 0), ("a success with nothing wrong", "success", 9)] {
        let before = machine.files();
        let trace = machine.run(verb, number);
        eprintln!("{what}: {} fsyncs, {} system calls", trace.fsyncs().len(), trace.calls());
        assert!(trace.fsyncs().is_empty(), "{what}\n{}", trace.shown());
        let after = machine.files();
        let changed: Vec<_> = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
        assert!(changed.is_empty(), "{what} changes {changed:?}");
    }
    machine.unit("a.service");
    let trace = machine.run("failure", 1);
    assert!(trace.fsyncs().is_empty(), "the same event again\n{}", trace.shown());
}

/// What is open at a channel that forgets: nothing until it is due, and then the same for one incident and for many.
#[test]
fn what_is_sent_again_costs_one_call_and_two_commits_however_much_it_is() {
    let alertmanager = Server::start(|_| Act::say(200, ""));
    let machine = Machine::new();
    machine.method("alertmanager", &format!("url = [\"{}\"]", alertmanager.url("")));
    for (all, unit) in ["a.service", "b.service", "c.service"].into_iter().enumerate() {
        machine.unit(unit);
        machine.run("failure", 1);
        // as the unit's first command leaves it: the journal is complete
        fs::rename(machine.state().join("pending"), machine.state().join("synced")).unwrap();
        machine.run("dispatch", 0);
        let calls = alertmanager.heard().len();
        let idle = machine.run("dispatch", 0);
        assert!(idle.fsyncs().is_empty() && alertmanager.heard().len() == calls, "nothing is due\n{}", idle.shown());
        machine.let_resends_be_due();
        let trace = machine.run("dispatch", 0);
        eprintln!("{} open, sent again: {} fsyncs, {} system calls", all + 1, trace.fsyncs().len(), trace.calls());
        let heard = alertmanager.heard();
        assert_eq!((heard.len(), heard[calls].json().as_array().map(Vec::len)), (calls + 1, Some(all + 1)));
        assert!(trace.fsyncs().len() <= 2, "two commits\n{}", trace.shown());
    }
}

#[test]
fn metrics_that_tell_nothing_new_cost_no_fsync_and_leave_their_file_alone() {
    let machine = Machine::new();
    let config = machine.folder.path().join("sysalert.toml");
    let textfile = machine.state().join("sysalert.prom");
    let methods = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{methods}[metrics]\ntextfile = {textfile:?}\n")).unwrap();
    machine.run("failure", 1);
    fs::rename(machine.state().join("pending"), machine.state().join("synced")).unwrap();
    let first = machine.run("dispatch", 0);
    let before = machine.files();
    assert!(before.contains_key(&textfile), "{}", first.shown());
    let trace = machine.run("dispatch", 0);
    eprintln!("an idle dispatch with metrics: {} fsyncs, {} system calls", trace.fsyncs().len(), trace.calls());
    assert!(trace.fsyncs().is_empty(), "{}", trace.shown());
    let after = machine.files();
    let changed: Vec<_> = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "it changes {changed:?}");
}

#[test]
fn a_success_on_an_empty_state_folder_creates_nothing() {
    let machine = Machine::new();
    machine.run("success", 1);
    assert!(machine.files().is_empty(), "{:?}", machine.files());
}

/// The first commit holds the event as the trigger told it: no configuration, no journal, no bus can delay or break it.
#[test]
fn nothing_but_the_database_is_touched_before_the_event_is_safe() {
    let machine = Machine::new();
    machine.run("failure", 1);
    machine.run("dispatch", 0);
    let trace = machine.run("failure", 2);
    let state = machine.state();
    // the loader, the boot's ID, and what the libraries look at
    let fine =
        ["/etc/ld.so", "/lib/", "/usr/lib/", "/proc/self/", "/proc/sys/kernel/random/", "/dev/urandom", state.to_str().unwrap()];
    // a path as an argument, or that of a descriptor
    let is_fine = |line: &str| fine.iter().any(|path| line.contains(&format!("\"{path}")) || line.contains(&format!("<{path}")));
    let first = trace.lines.iter().position(|line| is_fsync(line)).unwrap();
    let touches = ["open(", "openat(", "connect(", "socket(", "readlink(", "statx(", "execve(", "fork(", "vfork(", "clone"];
    let odd: Vec<&String> = trace.lines[..first]
        .iter()
        .skip(1) // the program itself
        .filter(|line| touches.iter().any(|call| line.starts_with(call)))
        .filter(|line| !is_fine(line))
        .collect();
    assert!(odd.is_empty(), "touched before the first commit:\n{odd:#?}");
    let early = trace.lines[..first].iter().find(|line| line.contains("libsystemd"));
    assert!(early.is_none(), "libsystemd is loaded before the first commit: {early:?}");
    assert!(trace.lines[first..].iter().any(|line| line.contains("libsystemd")), "it is loaded afterwards");
    assert!(trace.lines[first..].iter().any(|line| line.contains("sysalert.toml")), "the configuration is read afterwards");
}

/// A libsystemd that cannot be loaded costs what it alone can tell, and says what to install.
#[test]
fn without_libsystemd_failures_are_recorded_and_told_all_the_same() {
    let machine = Machine::new();
    let folder = machine.folder.path().join("broken");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("libsystemd.so.0"), "no library. ".repeat(100)).unwrap();
    let broken = format!("LD_LIBRARY_PATH={}", folder.display());
    let under = ["env", broken.as_str()];
    machine.run_under(&under, "failure", 1);
    fs::rename(machine.state().join("pending"), machine.state().join("synced")).unwrap();
    machine.run_under(&under, "dispatch", 0);
    let alerts = fs::read_to_string(machine.state().join("alerts")).unwrap();
    let why = "There are no journal lines: the journal cannot be read: libsystemd.so.0 cannot be loaded (";
    assert!(alerts.contains("a.service failed") && alerts.contains(why), "{alerts}");
    assert!(alerts.contains("invalid ELF header") && alerts.contains("install the package libsystemd0"), "{alerts}");
}
