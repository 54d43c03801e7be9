//! Bad input: a clear sentence, the right exit status, and nothing in the state folder is changed.

use crate::guest::{Guest, Options};
use crate::jobs::Job;

/// Every file with its content, every mode and owner. Without the -shm: it is SQLite's index in memory, shared by those who
/// have the database open, and readers leave their marks in it.
#[track_caller]
fn state(guest: &Guest) -> String {
    guest
        .sh("cd /var/lib/sysalert && find . -type f ! -name '*-shm' -exec sha256sum {} + | sort -k2 && find . -printf '%y %m %U:%G %p\n' | sort; find /run/sysalert")
        .ok()
}

/// A command, how it is to end, and what it is to say on standard error.
type Row<'a> = (&'a [&'a str], i32, &'a str);

const ROWS: &[Row<'static>] = &[
    (&[], 64, "Usage: sysalert"),
    (&["statuss"], 64, "a similar subcommand exists: 'status'"),
    (&["--verbos", "status"], 64, "a similar argument exists: '--verbose'"),
    (&["--config"], 64, "a value is required for '--config <FILE>'"),
    // handlers
    (&["failure"], 64, "required arguments were not provided"),
    (&["failure", "--"], 64, "required arguments were not provided"),
    (&["failure", "--", "a.service", "b.service"], 64, "unexpected argument 'b.service'"),
    (&["failure", "--", ""], 64, "the unit's name is missing"),
    (
        &["failure", "--", "a b.service"],
        64,
        "\"a b.service\" is not a unit's name: it has a character that systemd does not allow",
    ),
    (&["failure", "--", "../../etc/passwd"], 64, "is not a unit's name"),
    (&["failure", "--", "a\n.service"], 64, "\"a\\n.service\" is not a unit's name"),
    (&["failure", "--", "@.service"], 64, "nothing stands before its type or its @"),
    (&["success"], 64, "required arguments were not provided"),
    (&["success", "--", "a;b.service"], 64, "is not a unit's name"),
    (&["dispatch", "now"], 64, "unexpected argument 'now'"),
    // reading
    (&["status", "-o", "xml"], 64, "[possible values: table, json]"),
    (&["status", "x"], 64, "unexpected argument 'x'"),
    (&["db"], 64, "Usage: sysalert db"),
    (&["db", "lst"], 64, "a similar subcommand exists: 'list'"),
    (&["db", "list", "--unit"], 64, "a value is required for '--unit <GLOB>'"),
    (&["db", "list", "-o", ""], 64, "[possible values: table, json]"),
    (&["explain"], 64, "required arguments were not provided"),
    (&["explain", "no/such/unit"], 64, "is not a unit's name"),
    (&["explain", "nosuch.service"], 1, "sysalert: nothing was ever recorded for nosuch.service\nhint: `sysalert db list --all`"),
    (&["explain", "bakcup"], 1, "sysalert: nothing was ever recorded for bakcup.service\nhint: did you mean backup.service?"),
    (&["methods", "-o", "csv"], 64, "[possible values: table, json]"),
    // changing
    (&["db", "clear"], 64, "--all"),
    (&["db", "clear", "--yes"], 64, "--all"),
    (&["db", "clear", "backup.service", "--all", "--yes"], 64, "--all"),
    (&["db", "clear", "backup.service"], 64, "hint: add --yes"),
    (&["db", "clear", "--all"], 64, "hint: add --yes"),
    (&["db", "clear", "not a unit", "--yes"], 64, "is not a unit's name"),
    (&["db", "clear", "backup.service", "not a unit", "--yes"], 64, "is not a unit's name"),
    // configuration
    (&["config"], 64, "Usage: sysalert config"),
    (&["config", "chek"], 64, "a similar subcommand exists: 'check'"),
    (&["config", "check", "x"], 64, "unexpected argument 'x'"),
    (
        &["--config", "/nonexistent", "config", "check"],
        78,
        "the configuration /nonexistent does not exist\nhint: /dev/null stands for no configuration",
    ),
    (&["--config", "/etc", "config", "check"], 78, "cannot read /etc: Is a directory"),
    (&["--config", "/bin/true", "config", "show"], 78, "cannot read /bin/true"),
    (&["--config", "/nonexistent", "test"], 78, "the configuration /nonexistent does not exist"),
    (&["--config", "/nonexistent", "methods"], 78, "the configuration /nonexistent does not exist"),
    (&["--plugin-dir", "/nonexistent", "config", "check"], 78, "there is no plugin journal.so in /nonexistent"),
    // test
    (&["test", "nosuch"], 64, "there is no method nosuch"),
    (&["test", "journal", "x"], 64, "unexpected argument 'x'"),
    (&["test", "--timeout", "soon"], 64, "invalid value 'soon' for '--timeout <TIME>'"),
    // places
    (&["--state-dir", "/etc/passwd", "status"], 1, "/etc/passwd/sysalert.db: Not a directory"),
    (&["--state-dir", "/etc/passwd", "dispatch"], 1, "Not a directory"),
    (&["--state-dir", "/etc/passwd", "failure", "--", "a.service"], 1, "/etc/passwd"),
    (&["--state-dir", "/proc/nosuch", "test"], 1, "/proc/nosuch"),
];

#[test]
fn bad_input_is_told_clearly_and_changes_nothing() {
    let guest = Guest::boot("bad", Options::new());
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.settle();
    guest.wait_for_dispatch();
    guest.run(&["systemctl", "stop", "sysalert-dispatch.timer", "sysalert-check@services.timer"]).ok();
    guest.wait_for_dispatch();
    let mut before = state(&guest);
    assert!(before.contains("sysalert.db-wal"), "{before}");
    let mut wrong = String::new();
    for (arguments, status, says) in ROWS {
        let output = guest.sysalert(arguments);
        let is_told = output.status == *status && output.stderr.contains(says) && output.stdout.is_empty();
        let is_plain = !output.stderr.contains("panicked") && !output.stderr.contains('\u{1b}');
        let after = state(&guest);
        if !(is_told && is_plain && after == before) {
            let changed = if after == before { "" } else { "and the state was changed\n" };
            wrong += &format!("wanted {status} and `{says}`: {output}{changed}\n");
        }
        before = after;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(guest.incidents("backup.service")[0]["state"], "open");
}

#[test]
fn a_database_that_is_none_is_said_by_every_verb() {
    let guest = Guest::boot("nodb", Options::new());
    guest.rest();
    guest.sh("rm -rf /var/lib/sysalert/*; echo 'this is no database, though it is longer than a header of one hundred bytes, which is what SQLite looks at' >/var/lib/sysalert/sysalert.db").ok();
    guest.sh("chown sysalert:sysalert /var/lib/sysalert/sysalert.db; chmod 0640 /var/lib/sysalert/sysalert.db").ok();
    let content = || guest.read_file("/var/lib/sysalert/sysalert.db");
    let before = content();
    for command in [
        &["status"] as &[&str],
        &["db", "list"],
        &["db", "list", "-o", "json"],
        &["explain", "a.service"],
        &["methods"],
        &["db", "clear", "a.service", "--yes"],
        &["test"],
    ] {
        let output = guest.sysalert(command);
        assert_eq!((output.status, output.stdout.as_str()), (1, ""), "{output}");
        assert!(output.stderr.contains("/var/lib/sysalert/sysalert.db") && output.stderr.contains("damaged"), "{output}");
        assert_eq!(content(), before, "{command:?}");
    }
    // only dispatch replaces it, and keeps it
    let output = guest.sysalert(&["dispatch"]);
    assert!(
        output.status == 0 && output.stderr.contains("it was set aside as /var/lib/sysalert/sysalert.db.broken-"),
        "{output}"
    );
    assert_eq!(guest.sh("cat /var/lib/sysalert/sysalert.db.broken-*Z").ok(), before.trim_end());
    assert!(guest.sysalert(&["status"]).ok().contains("damaged"));
}
