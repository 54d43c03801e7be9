//! What a handler costs where there is a journal and a service manager to ask: tests/budgets counts without them.

use std::collections::BTreeMap;

use crate::guest::{Guest, Options};

/// All system calls of one `failure` on an installed system, the loader's among them: 561 when that was measured. Of them
/// about 190 are for the service manager and the thread that waits for it, and 60 for the journal.
const SYSTEM_CALLS: usize = 640;
/// Two until the event is safe, and one for the verdict.
const FSYNCS: usize = 3;

#[test]
fn a_failure_that_the_journal_confirms_costs_three_fsyncs() {
    let guest = Guest::boot("budget", Options::new());
    guest.rest();
    guest.write_unit("job.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'\n");
    // what systemd would hand to the handler; by hand, so that strace can watch it
    let script = r#"
systemctl start job.service 2>/dev/null || true
journalctl --sync
exec setpriv --reuid=sysalert --regid=sysalert --init-groups env MONITOR_UNIT=job.service MONITOR_SERVICE_RESULT=exit-code \
    MONITOR_EXIT_CODE=exited MONITOR_EXIT_STATUS=3 MONITOR_INVOCATION_ID="$(systemctl show -P InvocationID job.service)" \
    strace -f -qq -o /tmp/trace sysalert failure -- job.service"#;
    for run in 1..=3 {
        guest.sh(script).ok();
        let trace = guest.read_file("/tmp/trace");
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
