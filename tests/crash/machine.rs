//! A copy of the staged program with a state folder of its own, run by somebody who is not root, as the handlers are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

use crate::mail_server::MailServer;

const NOBODY: u32 = 65534;
/// In seconds: longer than any lease, any pause between two tries and any digest's time.
const HOUR: u32 = 3600;

pub(crate) struct Machine {
    folder: TempDir,
    user: Option<u32>,
    mail: MailServer,
    /// What the mailbox held when the state folder was kept.
    kept: Mutex<Vec<String>>,
}

/// A run of a unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) unit: String,
    /// 32 hexadecimal digits.
    pub(crate) invocation: String,
}

impl Run {
    pub(crate) fn new(unit: &str, number: u64) -> Run {
        Run { unit: unit.to_owned(), invocation: format!("{number:032x}") }
    }
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let user = is_root.then_some(NOBODY);
        let machine = Machine { folder: tempfile::tempdir().unwrap(), user, mail: MailServer::start(), kept: Mutex::default() };
        let root = machine.folder.path();
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        // by another process: what this one has open for writing a child of another test may keep open, and cannot start
        let copied = Command::new("cp").arg(stage().join("bin/sysalert")).arg(root.join("sysalert")).status().unwrap();
        assert!(copied.success());
        fs::create_dir(root.join("plugins")).unwrap();
        for plugin in ["plugins/file.so", "plugins/email.so"] {
            fs::copy(stage().join("lib/sysalert").join(plugin), root.join(plugin)).unwrap();
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/later.c");
        let library = root.join("later.so");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&library).arg(source).status();
        assert!(compiled.unwrap().success(), "later.c does not compile");
        let alerts = machine.state().join("alerts");
        let port = machine.mail.port;
        let config = format!(
            "[storm]\nwindow = \"1s\"\n
            [method.log]\nplugin = \"file\"\npath = {alerts:?}\n
            [method.mail]\nplugin = \"email\"\nhost = \"127.0.0.1\"\nport = {port}\nto = [\"ops@example.org\"]\n"
        );
        fs::write(root.join("sysalert.toml"), config).unwrap();
        for folder in ["state", "traces"] {
            fs::create_dir(root.join(folder)).unwrap();
            chown(root.join(folder), user, user).unwrap();
        }
        machine
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn trace(&self) -> PathBuf {
        self.folder.path().join("traces/trace")
    }

    /// Keeps all as it is now.
    pub(crate) fn keep(&self) {
        self.copy("state", "kept");
        *self.kept.lock().unwrap() = self.mail.ids();
    }

    /// Makes all what it was then.
    pub(crate) fn restore(&self) {
        self.mail.set(&self.kept.lock().unwrap());
        fs::remove_dir_all(self.state()).unwrap();
        self.copy("kept", "state");
    }

    fn copy(&self, from: &str, to: &str) {
        let root = self.folder.path();
        assert!(Command::new("cp").arg("-a").arg(root.join(from)).arg(root.join(to)).status().unwrap().success());
    }

    /// A verb as systemd starts it; `before` is what it is run by, strace for example.
    pub(crate) fn command(&self, before: &[&str], verb: &[&str]) -> Command {
        let root = self.folder.path();
        let program = root.join("sysalert");
        let mut words = before.iter().map(Path::new).chain([program.as_path()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(verb).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("SYSALERT_STATE_DIR", self.state()).env("SYSALERT_PLUGIN_DIR", root.join("plugins"));
        command.env("SYSALERT_CONFIG", root.join("sysalert.toml")).env("PATH", std::env::var_os("PATH").unwrap());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// The handler of this run's end.
    pub(crate) fn handler(&self, before: &[&str], verb: &str, run: &Run) -> Command {
        let mut command = self.command(before, &[verb, "--", &run.unit]);
        let [result, status] = if verb == "failure" { ["exit-code", "3"] } else { ["success", "0"] };
        command.env("MONITOR_UNIT", &run.unit).env("MONITOR_SERVICE_RESULT", result).env("MONITOR_EXIT_CODE", "exited");
        command.env("MONITOR_EXIT_STATUS", status).env("MONITOR_INVOCATION_ID", &run.invocation);
        command
    }

    /// What a unit in strict mode runs at its run's end. Its environment does not say where the state is.
    pub(crate) fn ended(&self, before: &[&str], run: &Run) -> Command {
        let state = self.state();
        let mut command = self.command(before, &["ended", "--state-dir", state.to_str().unwrap(), "--", &run.unit]);
        command.env("SERVICE_RESULT", "exit-code").env("EXIT_CODE", "exited").env("EXIT_STATUS", "3");
        command.env("INVOCATION_ID", &run.invocation);
        command
    }

    /// `sysalert status`.
    pub(crate) fn status(&self) -> Command {
        self.command(&[], &["status"])
    }

    /// The handler of a failure, from its begin to its end.
    #[track_caller]
    pub(crate) fn fails(&self, run: &Run) {
        ended_well(self.handler(&[], "failure", run).output().unwrap());
    }

    /// The same, so many hours later.
    pub(crate) fn dispatch_later(&self, before: &[&str], hours: u32) -> Command {
        let mut dispatch = self.dispatch(before);
        dispatch.env("LD_PRELOAD", self.folder.path().join("later.so")).env("SECONDS_LATER", (hours * HOUR).to_string());
        dispatch
    }

    /// `sysalert dispatch`, after what its unit does first.
    pub(crate) fn dispatch(&self, before: &[&str]) -> Command {
        // the journal of this machine holds nothing of these units: it is complete at any time
        for (from, to) in [("pending", "syncing"), ("syncing", "synced")] {
            match fs::rename(self.state().join(from), self.state().join(to)) {
                Err(error) if error.kind() != ErrorKind::NotFound => panic!("{from}: {error}"),
                _ => {}
            }
        }
        self.command(before, &["dispatch"])
    }

    /// Lets the timer start dispatch so often that nothing is left to do, each time an hour later.
    #[track_caller]
    pub(crate) fn time_passes(&self) {
        for hours in 2..=6 {
            ended_well(self.dispatch_later(&[], hours).output().unwrap());
            let left = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM events WHERE reason IS NULL)";
            if self.number(left) == 0 {
                return;
            }
        }
        panic!("after 5 runs of dispatch something still waits: {:?}", self.rows("SELECT * FROM outbox"));
    }

    /// Overwrites the pages of this index.
    pub(crate) fn damage(&self, index: &str) {
        let path = self.state().join("sysalert.db");
        let db = Connection::open(&path).unwrap();
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        let page: usize = db.query_row(sql, [index], |row| row.get(0)).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[(page - 1) * 4096..page * 4096].fill(0xaa);
        fs::write(&path, bytes).unwrap();
        drop(db);
        // SQLite's own files are the handlers' again
        for name in ["sysalert.db-wal", "sysalert.db-shm"] {
            chown(self.state().join(name), self.user, self.user)
                .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
                .unwrap();
        }
    }

    /// How many databases were set aside.
    pub(crate) fn set_aside(&self) -> usize {
        let files = fs::read_dir(self.state()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        files.filter(|name| name.starts_with("sysalert.db.broken-") && name.ends_with('Z')).count()
    }

    fn database(&self) -> Option<Connection> {
        let path = self.state().join("sysalert.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        path.is_file().then(|| Connection::open_with_flags(path, flags).unwrap())
    }

    /// The first column of a SELECT; nothing where there is no table yet, or its making was cut and is still to be undone.
    #[track_caller]
    pub(crate) fn rows(&self, select: &str) -> Vec<String> {
        let Some(db) = self.database() else { return Vec::new() };
        let mut statement = match db.prepare(select) {
            Err(error) if error.to_string().contains("no such table") => return Vec::new(),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly) => return Vec::new(),
            prepared => prepared.unwrap(),
        };
        let texts = statement.query_map([], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        texts
            .map(|value| match value.unwrap() {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => panic!("{select}: {other:?}"),
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn number(&self, select: &str) -> u64 {
        self.rows(select).first().map_or(0, |text| text.parse().unwrap())
    }

    /// The failures on record, each with how often it is there.
    pub(crate) fn recorded(&self) -> BTreeMap<Run, usize> {
        let mut counts = BTreeMap::new();
        for row in self.rows("SELECT substr(subject, 6) || ' ' || run FROM events WHERE outcome = 'failed'") {
            let (unit, invocation) = row.split_once(' ').unwrap();
            *counts.entry(Run { unit: unit.to_owned(), invocation: invocation.to_owned() }).or_default() += 1;
        }
        counts
    }

    /// Whether this failure waits in the spool; a draft does not count.
    pub(crate) fn has_spooled(&self, run: &Run) -> bool {
        let files = fs::read_dir(self.state().join("spool")).into_iter().flatten().map(|entry| entry.unwrap());
        let mut files = files.filter(|file| !file.file_name().to_string_lossy().starts_with('.'));
        files.any(|file| fs::read_to_string(file.path()).unwrap().contains(&run.invocation))
    }

    /// Everything is at its end: each of these failures is on record once and nothing else is, each alert arrived, and more
    /// than once only under the same key. Returns how many arrived more often than needed.
    #[track_caller]
    pub(crate) fn all_is_well(&self, runs: &BTreeSet<Run>) -> usize {
        let recorded = self.recorded();
        assert!(recorded.values().all(|count| *count == 1), "recorded more than once: {recorded:?}");
        let lost: Vec<_> = runs.iter().filter(|run| !recorded.contains_key(run)).collect();
        assert!(lost.is_empty(), "{} events are lost: {lost:?}", lost.len());
        let made_up: Vec<_> = recorded.keys().filter(|run| !runs.contains(run)).collect();
        assert!(made_up.is_empty(), "never happened: {made_up:?}");

        let lines = self.lines();
        let mails = self.mail.ids();
        let key = |line: &Value| line["idempotency_key"].as_str().unwrap().trim_end_matches(".log").to_owned();
        let in_mail = |id: &String| id.trim_start_matches('<').split('.').next().unwrap().to_owned();
        let arrived: [(&str, Vec<String>); 2] =
            [("log", lines.iter().map(key).collect()), ("mail", mails.iter().map(in_mail).collect())];
        let mut duplicates = 0;
        for (method, arrived) in arrived {
            let sent = |which: &str| {
                let sql = format!(
                    "SELECT a.key FROM alerts a WHERE a.id {which} (SELECT alert FROM deliveries d
                     WHERE d.method = '{method}' AND d.status = 'sent' AND d.detail NOT IN ('in a digest', 'nothing is left to tell'))"
                );
                self.rows(&sql).into_iter().collect::<BTreeSet<_>>()
            };
            let (alone, others) = (sent("IN"), sent("NOT IN"));
            let mut different: BTreeSet<String> = arrived.iter().cloned().collect();
            duplicates += arrived.len() - different.len();
            // what is told with its recovery after a try of its own may have arrived by that: whoever was sending it died then
            let merged = self.rows(&format!(
                "SELECT key FROM alerts WHERE id IN
                 (SELECT alert FROM deliveries WHERE method = '{method}' AND status = 'merged' AND attempt > 0)"
            ));
            different.retain(|key| !merged.contains(key));
            let missing: Vec<_> = alone.difference(&different).collect();
            assert!(missing.is_empty(), "said to be sent by {method}, and not there: {missing:?}");
            let again: Vec<_> = different.intersection(&others).collect();
            assert!(again.is_empty(), "sent by {method}, and once more under another key: {again:?}");
            assert!(different.is_subset(&alone), "nobody knows of {different:?}");
            // "merged": told with its recovery, in one message, and that was sent as each was
            let untold = format!(
                "SELECT a.kind || ' of ' || i.subject || ': ' || coalesce((SELECT group_concat(method || ' ' || status || ' ' || detail)
                 FROM deliveries d WHERE d.alert = a.id), 'never tried') FROM alerts a LEFT JOIN incidents i ON i.id = a.incident
                 WHERE a.kind <> 'digest' AND a.id NOT IN
                 (SELECT alert FROM deliveries d WHERE d.method = '{method}' AND (d.status = 'sent' OR d.status = 'merged' AND EXISTS
                  (SELECT 1 FROM alerts r JOIN deliveries s ON s.alert = r.id WHERE r.incident = a.incident AND r.kind = 'recovery'
                   AND s.method = '{method}' AND s.status = 'sent')))"
            );
            let untold = self.rows(&untold);
            assert!(untold.is_empty(), "never sent by {method}: {untold:?}");
        }
        let ids = |mails: &[String]| mails.iter().cloned().collect::<BTreeSet<_>>().len();
        let keys = mails.iter().map(in_mail).collect::<BTreeSet<_>>().len();
        assert_eq!(ids(&mails), keys, "one Message-ID for each key: {mails:?}");
        // nobody is told twice of the same failure under two keys
        let twice = "SELECT i.subject || ' ' || group_concat(a.key) FROM alerts a JOIN incidents i ON i.id = a.incident
            WHERE a.kind IN ('failure', 'recovery') GROUP BY i.id, a.kind HAVING count(*) > 1";
        assert!(self.rows(twice).is_empty(), "two alerts for one incident: {:?}", self.rows(twice));
        // a unit is told of by its own alert or in a digest
        for unit in runs.iter().map(|run| &run.unit).collect::<BTreeSet<_>>() {
            // a digest names so many, and counts the others
            let names = |text: &str| text.contains(unit.as_str()) || text.contains("lines more");
            let tells = |line: &Value| {
                line["service_name"] == **unit || line["kind"] == "digest" && names(line["message"]["text"].as_str().unwrap())
            };
            assert!(lines.iter().any(tells), "nobody was told of {unit}");
        }

        let check = self.command(&[], &["db", "check"]).output().unwrap();
        assert!(String::from_utf8_lossy(&check.stdout).contains("whole"), "{check:?}");
        let spool = fs::read_dir(self.state().join("spool")).into_iter().flatten();
        let spooled: Vec<_> = spool.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        // a draft that nobody finished is no event
        assert!(spooled.iter().all(|name| name.starts_with('.')), "{spooled:?}");
        duplicates
    }

    /// What the method wrote; a line that a crash cut is no line.
    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.state().join("alerts")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

#[track_caller]
pub(crate) fn ended_well(output: Output) {
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

fn stage() -> PathBuf {
    let stage = std::env::var_os("SYSALERT_STAGE").expect("SYSALERT_STAGE names the installed tree (make install DESTDIR=...)");
    PathBuf::from(stage).join("usr")
}
