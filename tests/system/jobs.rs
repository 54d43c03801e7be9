//! Services that end as a test tells them to, and what sysalert's own database says of them.

use std::cell::Cell;
use std::time::Duration;

use serde_json::Value;

use crate::guest::{Guest, Options, Output};
use crate::mail::Mail;

/// systemd's message when a oneshot is done (`journalctl --catalog`).
const FINISHED: &str = "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf";

/// The beginning of a Python program that works in the guest's files as the user sysalert; with `Guest::python`.
pub const AS_SYSALERT: &str = "\
import json, os, sqlite3, sys
os.chroot(f'/proc/{sys.argv[1]}/root')
os.chdir('/')
owner = os.stat('/var/lib/sysalert')
os.setgroups([])
os.setgid(owner.st_gid)
os.setuid(owner.st_uid)
";

/// A oneshot with the drop-in of `overrides/NAME.service.d`. Its process says its words and is gone at once.
pub struct Job<'g> {
    guest: &'g Guest,
    pub name: String,
    runs: Cell<u32>,
}

impl<'g> Job<'g> {
    /// Installs the service of this full name; of a template, the instance.
    #[track_caller]
    pub fn new(guest: &'g Guest, name: &str) -> Self {
        let file = file_of(name);
        // no start limit, for a test runs it often; the shell's own words only, for a process more would make it live longer
        let unit = "[Unit]\nStartLimitIntervalSec=0\n\
            [Service]\nType=oneshot\nEnvironmentFile=/run/job\nExecStart=/bin/sh -c 'echo \"$WORDS\"; exit $STATUS'\n";
        guest.write_file(&format!("/etc/systemd/system/{file}"), unit);
        let job = Self { guest, name: name.to_owned(), runs: Cell::new(0) };
        job.watch();
        job
    }

    /// Puts the documentation's drop-in into place, as the administrator would.
    #[track_caller]
    fn watch(&self) {
        let folder = format!("/etc/systemd/system/{}.d/", file_of(&self.name));
        let example = "/usr/share/doc/sysalert/overrides/NAME.service.d/10-sysalert.conf";
        self.guest.run(&["install", "-D", "-m", "0644", "-t", &folder, example]).ok();
        self.guest.run(&["systemctl", "daemon-reload"]).ok();
    }

    /// What its last run said.
    pub fn words(&self) -> String {
        format!("words of run {} of {}", self.runs.get(), self.name)
    }

    /// Runs it to its end, whatever that is.
    #[track_caller]
    pub fn start(&self, status: i32) -> Output {
        self.runs.set(self.runs.get() + 1);
        self.guest.write_file("/run/job", &format!("WORDS={}\nSTATUS={status}\n", quoted(&self.words())));
        self.guest.run(&["systemctl", "start", "--", &self.name])
    }

    /// Lets it fail with this exit status, and waits until its handler has ended.
    #[track_caller]
    pub fn fails(&self, status: i32) {
        self.with_handler("failure", || {
            let output = self.start(status);
            assert!(!output.success(), "{} was to fail\n{output}", self.name);
        });
    }

    /// Lets it succeed, and waits until its handler has ended.
    #[track_caller]
    pub fn succeeds(&self) {
        self.with_handler("success", || {
            self.start(0).ok();
        });
    }

    #[track_caller]
    fn with_handler(&self, verb: &str, work: impl FnOnce()) {
        let handler = format!("sysalert-{verb}@{}.service", self.name);
        let before = self.guest.finished(&handler);
        work();
        // systemd merges a start into one that still runs, so the next event must wait for this one's end
        self.guest.wait_until(&format!("{handler} has ended"), || self.guest.finished(&handler) > before);
    }

    /// Its recorded events, oldest first.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        self.guest.rows(&format!("SELECT * FROM events WHERE subject = 'unit:{}' ORDER BY id", self.name))
    }

    /// Its newest event's typed reason: "first", "same-problem", ...
    #[track_caller]
    pub fn reason(&self) -> String {
        let events = self.events();
        let last = events.last().unwrap_or_else(|| panic!("nothing was recorded for {}", self.name));
        let reason: Value = serde_json::from_str(last["reason"].as_str().unwrap_or("{}")).unwrap();
        reason["reason"].as_str().unwrap_or("undecided").to_owned()
    }

    /// `sysalert explain` of it.
    #[track_caller]
    pub fn explain(&self) -> String {
        // a name may begin with a dash
        self.guest.sysalert(&["explain", "--", &self.name]).ok()
    }
}

/// The file that describes this unit: `c@.service` for `c@d-e.service`.
pub fn file_of(name: &str) -> String {
    match name.split_once('@') {
        Some((template, _)) => format!("{template}@.service"),
        None => name.to_owned(),
    }
}

/// For an EnvironmentFile=: in it a backslash within quotes would escape.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\"))
}

/// The mails about this unit, by the header that names it.
pub fn about<'m>(mails: &'m [Mail], unit: &str) -> Vec<&'m Mail> {
    let subject = format!("unit:{unit}");
    mails.iter().filter(|mail| mail.header("X-Sysalert-Subject") == Some(subject.as_str())).collect()
}

/// A method that sends by the guest's real mail server, encrypted and with a password.
pub const MAIL: &str = r#"
[method.mail]
plugin = "email"
host = "mail.example.test"
tls = "starttls"
username = "sysalert"
password.file = "/etc/sysalert/smtp-password"
from = "sysalert@guest.example.test"
to = ["ops@example.org"]
timeout = "10s"
"#;

/// A method that writes each alert as one line of JSON.
pub const LOG: &str = "[method.log]\nplugin = \"file\"\npath = \"/var/log/sysalert/alerts.json\"\n";

impl Options {
    /// Dispatch looks each second instead of each minute for what must be tried again.
    pub fn quick_timer(self) -> Self {
        let content = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/1\nAccuracySec=100ms\n";
        self.file("/etc/systemd/system/sysalert-dispatch.timer.d/quick.conf", content)
    }
}

impl Guest {
    /// So often this oneshot has ended well.
    #[track_caller]
    pub fn finished(&self, unit: &str) -> usize {
        self.journal(&["_PID=1", FINISHED, &format!("UNIT={unit}")]).lines().count()
    }

    /// The database's answer to a SELECT, each row an object. Read-only, as the user sysalert: it changes nothing, not even
    /// the owner of a file.
    #[track_caller]
    pub fn rows(&self, select: &str) -> Vec<Value> {
        let rows = self.try_rows(select);
        rows.unwrap_or_else(|why| panic!("{select}\n{why}"))
    }

    fn try_rows(&self, select: &str) -> Result<Vec<Value>, Output> {
        let read = "\
db = sqlite3.connect('file:/var/lib/sysalert/sysalert.db?mode=ro', uri=True)
db.row_factory = sqlite3.Row
json.dump([dict(row) for row in db.execute(sys.argv[2])], sys.stdout)";
        let output = self.python(&format!("{AS_SYSALERT}{read}"), &[select]);
        if output.success() { Ok(output.json().as_array().cloned().unwrap_or_default()) } else { Err(output) }
    }

    /// The number that a SELECT gives; 0 while there is no database yet.
    #[track_caller]
    pub fn number(&self, select: &str) -> i64 {
        let mut answer = self.try_rows(select);
        // between two looks the first handler may have made it
        if answer.is_err() {
            if !self.exists("/var/lib/sysalert/sysalert.db") {
                return 0;
            }
            answer = self.try_rows(select);
        }
        let rows = answer.unwrap_or_else(|why| panic!("{select}\n{why}"));
        rows.first().and_then(Value::as_object).and_then(|row| row.values().next()).and_then(Value::as_i64).unwrap()
    }

    /// Waits until every event is decided and every alert delivered; from then on silence is silence.
    #[track_caller]
    pub fn settle(&self) {
        let open = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM events WHERE reason IS NULL)";
        // a digest has its own pause before
        self.wait_at_most(Duration::from_secs(60), "everything is decided and delivered", || {
            self.rows(open)[0].as_object().unwrap().values().all(|n| *n == 0)
        });
    }

    /// Stops what starts sysalert by itself. The check first: each of its runs wants the path unit, as each handler does.
    #[track_caller]
    pub fn rest(&self) {
        self.sh("systemctl stop 'sysalert-check@*'; systemctl stop sysalert-dispatch.timer sysalert-dispatch.path").ok();
    }

    /// Waits until dispatch has seen the wake-up flag and is done.
    #[track_caller]
    pub fn wait_for_dispatch(&self) {
        self.wait_until("dispatch is done", || {
            !self.exists("/run/sysalert/pending") && self.property("sysalert-dispatch.service", "ActiveState") == "inactive"
        });
    }

    /// Makes the next try of all that waits due now, and lets dispatch do it as its timer would. The pause after a first try
    /// is 30 s: that long no test waits. Leases are left alone.
    #[track_caller]
    pub fn hurry(&self) {
        let hurry = "\
db = sqlite3.connect('/var/lib/sysalert/sysalert.db', timeout=10)
with db:
    db.execute('UPDATE outbox SET due = 0')";
        self.python(&format!("{AS_SYSALERT}{hurry}"), &[]).ok();
        self.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    }

    /// `sysalert db list --all -o json`, only this unit's incidents, oldest first.
    #[track_caller]
    pub fn incidents(&self, unit: &str) -> Vec<Value> {
        let all = self.sysalert(&["db", "list", "--all", "-o", "json"]).json();
        let mut mine: Vec<Value> = all.as_array().unwrap().iter().filter(|one| one["unit"] == unit).cloned().collect();
        mine.sort_by_key(|one| one["first_failure"].as_str().unwrap().to_owned());
        mine
    }
}
