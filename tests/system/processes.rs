//! The watchdog of a database's processes, with a real MariaDB, polkit, units and processes.

mod database;
mod strategies;

use crate::guest::{Guest, Options};
use crate::jobs::AS_SYSALERT;

/// Each of these on both versions of systemd.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_252 {
            $(#[test] fn $test() { super::$test(252); })*
        }
        mod on_257 {
            $(#[test] fn $test() { super::$test(257); })*
        }
    };
}
use on_both;

on_both!(
    an_alarm_is_restarted_noted_and_told_and_nothing_else_is_touched,
    a_name_never_becomes_a_command,
    the_user_sysalert_starts_restarts_and_nothing_else,
);

/// The tables as they are really deployed; names may be longer, to try names that are.
const TABLES: &str = "
CREATE DATABASE v_process_monitor; USE v_process_monitor;
CREATE TABLE STATUS_PROCESS (process_id INT PRIMARY KEY, alarma TINYINT NOT NULL DEFAULT 0, sound TINYINT NOT NULL DEFAULT 0,
    notes VARCHAR(100), host_id INT NOT NULL DEFAULT 1, INDEX (alarma));
CREATE TABLE PROCESE (process_id INT PRIMARY KEY, process_name VARCHAR(400) NOT NULL,
    FOREIGN KEY (process_id) REFERENCES STATUS_PROCESS (process_id));
CREATE USER sysalert@localhost IDENTIFIED BY 's3cret'; GRANT SELECT, UPDATE ON v_process_monitor.* TO sysalert@localhost;
CREATE USER reader@localhost IDENTIFIED BY 's3cret'; GRANT SELECT ON v_process_monitor.* TO reader@localhost;
";

/// Lean, with everything of its own.
const SERVER: &str = "[Unit]
Description=The watchdog's database
[Service]
Type=notify
User=db
RuntimeDirectory=db
ExecStart=/usr/sbin/mariadbd --no-defaults --datadir=/srv/db --socket=/run/db/sock --bind-address=127.0.0.1 --performance-schema=OFF \
    --innodb-buffer-pool-size=8M --innodb-log-file-size=4M --key-buffer-size=64K --max-connections=20 \
    --aria-pagecache-buffer-size=1M --skip-name-resolve
";

const CONFIG: &str = r#"
[processes]
socket = "/run/db/sock"
password.file = "/etc/sysalert/db-password"
check_interval = "10s"
max_restart_failures = 2
circuit_reset_time = "10m"
[processes.default]
health_check_timeout = "5s"
restart_delay = "0s"
stable_time = "0s"
"#;

/// A guest with this systemd and the database, and these further lines of configuration.
fn guest(systemd: u32, name: &str, more: &str) -> Guest {
    let guest = Guest::boot_on(systemd, name, Options::new());
    guest.run(&["systemd-sysusers", "--inline", "u db - -"]).ok();
    guest.run(&["install", "-d", "-o", "db", "-g", "db", "/srv/db"]).ok();
    guest.run(&["mariadb-install-db", "--no-defaults", "--datadir=/srv/db", "--user=db", "--skip-test-db", "--force"]).ok();
    guest.write_unit("db.service", SERVER);
    guest.run(&["systemctl", "start", "db.service"]).ok();
    sql(&guest, TABLES);
    configure(&guest, &format!("{CONFIG}{more}"));
    guest.sh("printf s3cret >/etc/sysalert/db-password; chown root:sysalert /etc/sysalert/db-password; chmod 0640 /etc/sysalert/db-password").ok();
    guest
}

fn configure(guest: &Guest, text: &str) {
    guest.write_file("/etc/sysalert/sysalert.toml", text);
    guest.sysalert(&["config", "check"]).ok();
}

#[track_caller]
fn sql(guest: &Guest, statements: &str) -> String {
    guest.run_input(&["mariadb", "--no-defaults", "--socket=/run/db/sock", "--batch", "--skip-column-names"], statements).ok()
}

/// Puts a process into alarm.
fn alarm(guest: &Guest, id: u32, name: &str, notes: &str) {
    let quoted = name.replace('\\', "\\\\").replace('\'', "''");
    sql(
        guest,
        &format!(
            "USE v_process_monitor; INSERT INTO STATUS_PROCESS (process_id, alarma, notes) VALUES ({id}, 1, {notes});
             INSERT INTO PROCESE VALUES ({id}, '{quoted}');"
        ),
    );
}

/// Alarm and notes of a row.
fn row(guest: &Guest, id: u32) -> String {
    sql(guest, &format!("SELECT alarma, sound, notes FROM v_process_monitor.STATUS_PROCESS WHERE process_id = {id}"))
}

/// A service that does nothing, and may be restarted as often as a test wants.
fn service(guest: &Guest, name: &str) {
    guest.write_unit(&format!("{name}.service"), "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n");
    guest.run(&["systemctl", "start", &format!("{name}.service")]).ok();
}

fn pid(guest: &Guest, unit: &str) -> String {
    guest.property(unit, "MainPID")
}

/// One round, by the unit that does it in daily life.
#[track_caller]
fn check(guest: &Guest) {
    forget_pace(guest);
    guest.run(&["systemctl", "start", "sysalert-check@processes.service"]).ok();
}

/// Each round is to look, however soon after the last one.
fn forget_pace(guest: &Guest) {
    let forget = format!(
        "{AS_SYSALERT}path = '/var/lib/sysalert/sysalert.db'
if os.path.exists(path):
    db = sqlite3.connect(path, timeout=30)
    db.execute(\"DELETE FROM meta WHERE key = 'processes_checked'\")
    db.commit()"
    );
    guest.python(&forget, &[]).ok();
}

fn history(guest: &Guest, subject: &str) -> String {
    guest.sysalert(&["history", subject]).ok()
}

fn an_alarm_is_restarted_noted_and_told_and_nothing_else_is_touched(systemd: u32) {
    let guest = guest(
        systemd,
        "watchdog",
        "[process.web]\n[process.cron]\n[process.known]\n[process.late]\nsystem_name = \"late-worker\"\n\
        [processes.log]\npath = \"/var/log/sysalert/processes.log\"\n[metrics]\ntextfile = \"/run/sysalert-metrics/sysalert.prom\"\n",
    );
    for name in ["web", "cron", "anacron", "crond", "known", "late-worker"] {
        service(&guest, name);
    }
    let units = ["web.service", "cron.service", "anacron.service", "crond.service", "known.service", "late-worker.service"];
    let before = units.map(|unit| pid(&guest, unit));
    alarm(&guest, 1, "web", "NULL");
    alarm(&guest, 2, "cron", &format!("'{}'", "x".repeat(98)));
    alarm(&guest, 3, "known", "'mine'");
    sql(&guest, "UPDATE v_process_monitor.STATUS_PROCESS SET sound = 1 WHERE process_id = 3");
    alarm(&guest, 4, "late", "'before'");
    let dry = guest.sysalert(&["check", "processes", "--dry-run"]);
    assert_eq!((dry.status, dry.stdout.matches("\nweb").count()), (2, 1), "{dry}");
    assert_eq!(dry.stdout.lines().skip(1).filter(|line| line.ends_with("is in alarm; would be restarted")).count(), 3, "{dry}");
    assert!(row(&guest, 1).starts_with("1\t") && units.map(|unit| pid(&guest, unit)) == before);
    assert_eq!(guest.sysalert(&["db", "list", "--all", "-o", "json"]).json(), serde_json::json!([]));
    check(&guest);
    let after = units.map(|unit| pid(&guest, unit));
    let restarted: Vec<&str> = (0..units.len()).filter(|n| before[*n] != after[*n]).map(|n| units[n]).collect();
    assert_eq!(restarted, ["web.service", "cron.service", "late-worker.service"]);
    let (web, cron, late) = (row(&guest, 1), row(&guest, 2), row(&guest, 4));
    assert!(web.starts_with("0\t0\t - Restarted at 20"), "{web}");
    assert!(cron.starts_with("0\t0\txxx") && cron.contains("x - Restarted at 20"), "{cron}");
    assert_eq!(cron.trim_end().rsplit('\t').next().unwrap().len(), 100, "{cron}");
    assert!(late.starts_with("0\t0\tbefore - Restarted at 20"), "{late}");
    assert_eq!(row(&guest, 3), "1\t1\tmine");
    let told = history(&guest, "process:web");
    assert!(told.contains("is in alarm; a restart is tried") && told.contains("it was restarted, and is healthy"), "{told}");
    let status = guest.sysalert(&["process", "status", "-o", "json"]).json();
    let web = status.as_array().unwrap().iter().find(|row| row["process"] == "web").unwrap();
    assert_eq!((&web["alarm"], &web["unit_state"], &web["breaker"]), (&"ok".into(), &"active".into(), &"closed".into()));
    assert_eq!(web["restarts"], 1);
    let log = guest.read_file("/var/log/sysalert/processes.log");
    let is_line = |line: &str, end: &str| {
        let shape: String = line.chars().take(20).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        shape == "0000-00-00 00:00:00 " && &line[20..] == end
    };
    for end in
        ["[WARNING] - process:web: is in alarm; a restart is tried", "[INFO] - process:web: it was restarted, and is healthy"]
    {
        assert!(log.lines().any(|line| is_line(line, end)), "{log}");
        assert!(guest.journal(&["SYSALERT_SUBJECT=process:web"]).contains(&end[end.find("process").unwrap()..]));
    }
    guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    let metrics = guest.read_file("/run/sysalert-metrics/sysalert.prom");
    assert!(metrics.contains("sysalert_process_restarts_total{process=\"web\"} 1\n"), "{metrics}");
    // by hand, with an honest exit status
    let before = pid(&guest, "web.service");
    guest.sysalert(&["process", "restart", "web"]).ok();
    assert_ne!(pid(&guest, "web.service"), before);
    assert_eq!(guest.sysalert(&["process", "restart", "wbe"]).status, 64);
    configure(&guest, crate::readme::configuration("[process.billing]"));
}

fn a_name_never_becomes_a_command(systemd: u32) {
    let guest = guest(
        systemd,
        "hostile",
        "[process.web]\nrestart_strategy = \"custom\"\nrestart_command = [\"/usr/local/bin/note\", \"%s\"]\n\
        health_check_command = [\"/usr/bin/test\", \"-e\", \"/noted\"]\n",
    );
    guest
        .sh("printf '#!/bin/sh\\nprintf \"%%s|\" \"$#\" \"$@\" >>/noted\\n' >/usr/local/bin/note; chmod 755 /usr/local/bin/note")
        .ok();
    let long = "x".repeat(300);
    let hostile = [
        "x; touch /pwned",
        "$(touch /pwned)",
        "`touch /pwned`",
        "../../bin/sh",
        "%s%n",
        "-.mount",
        "--help",
        "a'b\"c",
        "web\ntouch /pwned",
        "web ",
        &long,
    ];
    for (id, name) in (1..).zip(hostile) {
        alarm(&guest, id, name, "NULL");
    }
    alarm(&guest, 50, "web", "NULL");
    let jobs = || guest.journal(&["-t", "systemd", "-u", "sysalert-restart@*"]);
    check(&guest);
    assert!(!guest.run(&["test", "-e", "/pwned"]).success());
    assert_eq!(guest.read_file("/noted"), "1|web|");
    assert!(row(&guest, 50).starts_with("0\t"), "{}", row(&guest, 50));
    let started: Vec<String> = jobs().lines().filter(|line| line.starts_with("Starting")).map(str::to_owned).collect();
    assert_eq!(started.len(), 1, "{started:?}");
    for id in 1..=hostile.len() {
        assert!(row(&guest, u32::try_from(id).unwrap()).starts_with("1\t"));
    }
    let listed = guest.sysalert(&["db", "list", "-o", "json"]).json();
    let subjects: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|row| row["subject"].as_str()).collect();
    assert_eq!(subjects.iter().filter(|subject| subject.contains("(row ")).count(), hostile.len(), "{subjects:#?}");
    // in alarm for the second time: nothing new is told
    check(&guest);
    assert_eq!(guest.sysalert(&["db", "list", "-o", "json"]).json().as_array().unwrap().len(), hostile.len());
    // the same names by hand, and straight to the unit that is root
    for name in hostile {
        assert_eq!(guest.sysalert(&["process", "restart", "--", name]).status, 64, "{name}");
        assert_ne!(guest.sysalert(&["restart-process", "--", name]).status, 0, "{name}");
    }
    assert!(!guest.run(&["test", "-e", "/pwned"]).success());
}

fn the_user_sysalert_starts_restarts_and_nothing_else(systemd: u32) {
    let guest = guest(systemd, "polkit", "[process.web]\n");
    for name in ["web", "other"] {
        service(&guest, name);
    }
    guest.write_unit("rest.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    let before = (pid(&guest, "web.service"), pid(&guest, "other.service"));
    let manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"];
    let call = |method: &str, arguments: &[&str]| {
        let head = [&["busctl", "--allow-interactive-authorization=no", "call"], &manager[..], &[method]].concat();
        guest.run_as("sysalert", &[&head[..], arguments].concat())
    };
    let restart = "sysalert-restart@web.service";
    for (method, arguments) in [
        ("StartUnit", &["ss", "rest.service", "fail"][..]),
        ("StartUnit", &["ss", "sysalert-restart@../x.service", "fail"]),
        ("StopUnit", &["ss", "other.service", "fail"]),
        ("RestartUnit", &["ss", "web.service", "fail"]),
        ("StopUnit", &["ss", restart, "fail"]),
        ("RestartUnit", &["ss", restart, "fail"]),
        ("KillUnit", &["ssi", restart, "all", "9"]),
        ("StartUnit", &["ss", "sysalert-restart@web.timer", "fail"]),
        ("StartUnit", &["ss", "poweroff.target", "replace-irreversibly"]),
        ("Reload", &[]),
        ("SetUnitProperties", &["sba(sv)", restart, "true", "1", "Description", "s", "x"]),
        // a unit of its own making, under the one name that it may start
        (
            "StartTransientUnit",
            &[
                "ssa(sv)a(sa(sv))",
                "sysalert-restart@x.service",
                "fail",
                "1",
                "ExecStart",
                "a(sasb)",
                "1",
                "/bin/touch",
                "2",
                "/bin/touch",
                "/pwned",
                "false",
                "0",
            ],
        ),
    ] {
        let answer = call(method, arguments);
        assert!(!answer.success(), "{method} {arguments:?}: {answer}");
        assert!(!answer.stderr.contains("Unknown"), "{answer}");
    }
    assert!(!guest.run(&["test", "-e", "/pwned"]).success());
    assert_eq!((pid(&guest, "web.service"), pid(&guest, "other.service")), before);
    call("StartUnit", &["ss", restart, "fail"]).ok();
    guest.wait_until("web is restarted", || pid(&guest, "web.service") != before.0);
    // a start while it still runs would be the same one
    guest.wait_until("that is over", || guest.property(restart, "ActiveState") == "inactive");
    // a configuration that others may change is followed by nobody
    guest.sh("chmod o+w /etc/sysalert/sysalert.toml").ok();
    let refused = guest.run(&["systemctl", "start", restart]);
    assert!(!refused.success());
    let says = |words: &str| guest.wait_until(words, || guest.journal(&["-u", restart]).contains(words));
    says("chmod go-w /etc/sysalert/sysalert.toml");
    guest.sh("chmod o-w /etc/sysalert/sysalert.toml; chown sysalert /etc/sysalert/sysalert.toml").ok();
    assert!(!guest.run(&["systemctl", "start", restart]).success());
    says("chown root /etc/sysalert/sysalert.toml");
}
