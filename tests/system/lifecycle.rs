//! What happens to events when the database cannot take them, and when many come at once.

use serde_json::Value;

use crate::guest::{Guest, Options};
use crate::jobs::Job;

/// The files that wait in the spool.
#[track_caller]
fn spooled(guest: &Guest) -> usize {
    guest.sh("find /var/lib/sysalert/spool -name '*.json' 2>/dev/null | wc -l || true").ok().parse().unwrap()
}

/// How the last run of this handler ended, as systemd logged it.
#[track_caller]
fn handler_failed(guest: &Guest, unit: &str) -> bool {
    guest.journal(&["_PID=1", &format!("UNIT=sysalert-failure@{unit}.service")]).contains("Failed with result")
}

/// Holds a lock until a handler waits for it, or has left its event in the spool, looks what is seen meanwhile, and lets go. In one
/// program: a handler waits some seconds at most, and a slow machine has needed more for as many commands in a guest.
struct Holder<'g>(&'g Guest);

impl<'g> Holder<'g> {
    /// `python` ends with the lock taken; `leaves`: the handler is to be gone before it is let go.
    #[track_caller]
    fn take(guest: &'g Guest, python: &str, leaves: bool) -> Self {
        let until = if leaves { "spooled() and not handlers()" } else { "handlers()" };
        let script = format!(
            "\
import fcntl, glob, json, os, sqlite3, subprocess, time
def handlers():
    found = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        try:
            if open(path).read().split('\\0')[:2] == ['/usr/bin/sysalert', 'failure']: found.append(path)
        except OSError: pass
    return found
def spooled(): return len(glob.glob('/var/lib/sysalert/spool/*.json'))
{python}
open('/run/held', 'w').close()
while not ({until}): time.sleep(0.02)
waiting = handlers()
status = subprocess.run(['sysalert', 'status'], capture_output=True, text=True)
(events,), = sqlite3.connect('file:/var/lib/sysalert/sysalert.db?mode=ro', uri=True).execute('SELECT count(*) FROM events')
waits = bool(waiting) and handlers() == waiting
seen = {{'status': status.stdout + status.stderr, 'events': events, 'spooled': spooled(), 'waits': waits}}
json.dump(seen, open('/run/seen.new', 'w'))
os.rename('/run/seen.new', '/run/seen')
"
        );
        guest.sh("rm -f /run/held /run/seen").ok();
        guest.write_file("/run/holder.py", &script);
        guest.run(&["systemd-run", "--quiet", "--collect", "--unit=holder", "python3", "/run/holder.py"]).ok();
        guest.wait_until("the lock is held", || guest.exists("/run/held"));
        Self(guest)
    }

    /// What it saw while the handler waited.
    #[track_caller]
    fn seen(self) -> Value {
        self.0.wait_until("a handler has waited", || self.0.exists("/run/seen"));
        serde_json::from_str(&self.0.read_file("/run/seen")).unwrap()
    }
}

#[test]
fn with_a_damaged_database_the_event_waits_in_the_spool() {
    let guest = Guest::boot("damaged", Options::new().quick_timer());
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.settle();
    // each handler starts the path unit again, and dispatch would replace the database
    guest.sh("systemctl mask --runtime --now sysalert-dispatch.timer sysalert-dispatch.path").ok();
    guest.wait_until("dispatch is done", || guest.property("sysalert-dispatch.service", "ActiveState") != "activating");
    // a page in the middle and the header are overwritten, as a broken disk does
    guest.sh("cd /var/lib/sysalert; rm -f sysalert.db-wal sysalert.db-shm; head -c 8192 /dev/urandom >sysalert.db").ok();

    // `fails` waits for a handler that ended well
    job.fails(4);
    assert!(!handler_failed(&guest, "backup.service"));
    assert_eq!(spooled(&guest), 1);
    let said = guest.journal(&["SYSLOG_IDENTIFIER=sysalert", "SYSALERT_SUBJECT=unit:backup.service", "PRIORITY=3"]);
    assert!(said.contains("/var/lib/sysalert/sysalert.db") && said.contains("it is damaged: the next run of"), "{said}");
    assert!(said.contains("spool"), "{said}");
    let modes = guest.sh("stat -c '%a %U:%G' /var/lib/sysalert/spool /var/lib/sysalert/spool/*.json").ok();
    assert_eq!(modes, "2750 sysalert:sysalert\n640 sysalert:sysalert");

    // somebody moves it away before that
    guest.sh("mv /var/lib/sysalert/sysalert.db /root/").ok();
    guest.sh("systemctl unmask --runtime sysalert-dispatch.path sysalert-dispatch.timer").ok();
    guest.sh("systemctl start sysalert-dispatch.path sysalert-dispatch.timer").ok();
    guest.wait_until("the event is imported", || spooled(&guest) == 0);
    guest.wait_until("and told", || guest.incidents("backup.service").iter().any(|incident| incident["alerts"] == 1));
    let incident = &guest.incidents("backup.service")[0];
    assert_eq!((&incident["exit_status"], &incident["failures"]), (&"4".into(), &1.into()));
    assert_eq!(incident["invocation_id"], guest.property("backup.service", "InvocationID").as_str());
    let told = guest.journal(&["SYSALERT_UNIT=backup.service", "SYSALERT_EXIT_STATUS=4"]);
    assert!(told.contains("exited with status 4"), "{told}");
}

/// Room for nothing, for a small file but no commit, and for a part of a commit.
#[test]
fn with_a_full_disk_the_event_waits_and_is_told_once_there_is_room() {
    let guest = Guest::boot("full", Options::new().quick_timer());
    let job = Job::new(&guest, "backup.service");
    guest.rest();
    guest.sh("mount -t tmpfs -o size=2M,mode=2750,uid=sysalert,gid=sysalert tmpfs /var/lib/sysalert").ok();
    guest.sh("systemctl start sysalert-dispatch.path").ok();
    job.fails(3);
    guest.settle();
    let mut wrong = String::new();
    for pages in 0..=2 {
        guest.sh("systemctl stop sysalert-dispatch.timer").ok();
        guest.wait_for_dispatch();
        let fill = "dd if=/dev/zero of=/var/lib/sysalert/filler bs=4096 2>/dev/null || true; truncate -s -$((4096 * PAGES)) /var/lib/sysalert/filler";
        guest.sh(&fill.replace("PAGES", &pages.to_string())).ok();
        assert_eq!(guest.sh("stat -f -c %a /var/lib/sysalert").ok(), pages.to_string(), "pages of 4 KiB that are left");

        let status = 10 + pages;
        let recorded = job.events().len();
        let handler = "sysalert-failure@backup.service.service";
        let ended = || {
            guest
                .journal(&["_PID=1", "JOB_TYPE=start", &format!("UNIT={handler}")])
                .lines()
                .filter(|line| !line.starts_with("Starting "))
                .count()
        };
        let before = ended();
        assert!(!job.start(status).success());
        guest.wait_until("the handler has ended", || ended() > before);
        let said = guest.journal(&["SYSLOG_IDENTIFIER=sysalert", "PRIORITY=3"]);
        assert!(said.contains("disk is full") || said.contains("No space left"), "{said}");
        assert!(guest.sysalert(&["status"]).ok().contains("backup.service"), "reading still works");
        if guest.property(handler, "Result") != "success" {
            wrong += &format!("{pages} pages left: the handler could keep the event nowhere\n{said}\n");
        }
        assert_eq!(job.events().len(), recorded, "{pages} pages left: there was no room");

        guest
            .sh("rm /var/lib/sysalert/filler; systemctl reset-failed 'sysalert-*'; systemctl start sysalert-dispatch.timer")
            .ok();
        if wrong.is_empty() {
            guest.wait_until("the event is imported", || {
                job.events().iter().any(|event| event["exit_status"] == status.to_string().as_str())
            });
        }
        guest.settle();
        assert_eq!(spooled(&guest), 0);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// For its turn to write it waits a moment; who has it next takes over what is in the spool. For what another program holds it
/// waits longer.
#[test]
fn while_somebody_holds_the_lock_the_event_waits_and_is_then_recorded() {
    let guest = Guest::boot("locked", Options::new());
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.settle();
    // nobody else is to wait for it
    guest.rest();
    guest.wait_for_dispatch();
    for (status, what, leaves, python) in [
        (4, "the writers' lock", true, "f = open('/var/lib/sysalert/lock', 'r+'); fcntl.flock(f, fcntl.LOCK_EX)"),
        (
            5,
            "SQLite's own lock",
            false,
            "db = sqlite3.connect('/var/lib/sysalert/sysalert.db', isolation_level=None); db.execute('BEGIN IMMEDIATE')",
        ),
    ] {
        let events = guest.number("SELECT count(*) FROM events");
        let holder = Holder::take(&guest, python, leaves);
        let handler = "sysalert-failure@backup.service.service";
        let finished = guest.finished(handler);
        assert!(!job.start(status).success());
        let seen = holder.seen();
        assert_eq!((&seen["events"], &seen["spooled"]), (&events.into(), &i32::from(leaves).into()), "{what}: {seen}");
        assert_eq!(seen["waits"], !leaves, "{what}: {seen}");
        assert!(seen["status"].as_str().unwrap().contains("backup.service"), "{what}: reading needs no lock: {seen}");
        guest.wait_until("the handler has ended", || guest.finished(handler) > finished);
        guest.wait_until("nothing is in the spool", || spooled(&guest) == 0);
        let last = job.events().pop().unwrap();
        assert_eq!(last["exit_status"], status.to_string().as_str(), "{what}");
        guest.settle();
        guest.wait_for_dispatch();
        assert!(!handler_failed(&guest, "backup.service"), "{what}");
    }
}

#[test]
fn thirty_units_that_fail_together_are_thirty_alerts() {
    let guest = Guest::boot("thirty", Options::new().mail_server());
    guest.configure(&format!("[storm]\nincidents = 0\n{}", crate::jobs::MAIL));
    let job = Job::new(&guest, "crowd@0.service");
    guest.write_file("/run/job", "WORDS=all together\nSTATUS=3\n");
    guest.sh("systemctl start --no-block crowd@{1..30}.service").ok();
    guest.wait_until("all are recorded", || guest.number("SELECT count(DISTINCT subject) FROM events") == 30);
    guest.settle();
    let counts = &guest.rows(
        "SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM incidents WHERE state = 'open') AS incidents,
            (SELECT count(*) FROM alerts) AS alerts, (SELECT count(*) FROM deliveries WHERE status = 'sent') AS sent,
            (SELECT count(*) FROM deliveries WHERE status <> 'sent') AS failed",
    )[0];
    assert_eq!(*counts, serde_json::json!({ "events": 30, "incidents": 30, "alerts": 30, "sent": 30, "failed": 0 }));
    let mails = guest.wait_for_mails(30);
    let mut units: Vec<_> = mails.iter().map(|mail| mail.header("X-Sysalert-Subject").unwrap().to_owned()).collect();
    units.sort();
    units.dedup();
    assert_eq!((mails.len(), units.len()), (30, 30));
    let listed = guest.sysalert(&["db", "list", "-o", "json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(30));
    assert!(listed.as_array().unwrap().iter().all(|one| one["failures"] == 1 && one["alerts"] == 1), "{listed:#}");
    for incident in listed.as_array().unwrap() {
        let unit = incident["unit"].as_str().unwrap();
        assert_eq!(incident["invocation_id"], guest.property(unit, "InvocationID").as_str(), "{unit}");
    }
    assert_eq!(guest.sysalert(&["status", "-o", "json"]).json()["outbox"], Value::Array(Vec::new()));
    assert!(!handler_failed(&guest, "crowd@1.service"));
    drop(job);
}
