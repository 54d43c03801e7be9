//! The watchdog of a database's processes, with a real MariaDB, polkit, units and processes.

mod database;
mod kills;
mod privilege;
mod settings;
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

on_both!(an_alarm_is_restarted_noted_and_told_and_nothing_else_is_touched);

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
    serve(&guest);
    configure(&guest, &format!("{CONFIG}{more}"));
    guest.sh("printf s3cret >/etc/sysalert/db-password; chown root:sysalert /etc/sysalert/db-password; chmod 0640 /etc/sysalert/db-password").ok();
    guest
}

/// Starts the database, as `db.service`.
pub fn serve(guest: &Guest) {
    guest.run(&["systemd-sysusers", "--inline", "u db - -"]).ok();
    guest.run(&["install", "-d", "-o", "db", "-g", "db", "/srv/db"]).ok();
    guest.run(&["mariadb-install-db", "--no-defaults", "--datadir=/srv/db", "--user=db", "--skip-test-db", "--force"]).ok();
    guest.write_unit("db.service", SERVER);
    guest.run(&["systemctl", "start", "db.service"]).ok();
    sql(guest, TABLES);
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
    let quoted = name.replace('\\', "\\\\").replace('\'', "''").replace('\0', "\\0");
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
    on_record(guest, "DELETE FROM meta WHERE key = 'processes_checked'");
}

/// Changes sysalert's own record, if there is one.
fn on_record(guest: &Guest, statement: &str) {
    let program = "path = '/var/lib/sysalert/sysalert.db'
if os.path.exists(path):
    db = sqlite3.connect(path, timeout=30)
    db.execute(sys.argv[2])
    db.commit()";
    guest.python(&format!("{AS_SYSALERT}{program}"), &[statement]).ok();
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
    // without a name it looks, and restarts nothing
    let looked = guest.sysalert(&["check", "--report", "json"]);
    assert!(looked.stdout.contains("\"overall\"") && !looked.stdout.contains("\"processes\""), "{looked}");
    assert!(row(&guest, 1).starts_with("1\t") && units.map(|unit| pid(&guest, unit)) == before);
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
    // by hand, with an honest exit status, for an alarm that no round has seen
    let before = pid(&guest, "web.service");
    sql(&guest, "UPDATE v_process_monitor.STATUS_PROCESS SET alarma = 1, notes = NULL WHERE process_id = 1");
    guest.sysalert(&["process", "restart", "web"]).ok();
    assert_ne!(pid(&guest, "web.service"), before);
    assert!(row(&guest, 1).starts_with("0\t0\t - Restarted at 20"), "{}", row(&guest, 1));
    // a question is one connection, and this one that asks for their number is another
    let connections = || sql(&guest, "SHOW GLOBAL STATUS LIKE 'Connections'").split('\t').nth(1).unwrap().parse::<u64>().unwrap();
    let before = connections();
    let nothing = guest.sysalert(&["check", "processes", "--dry-run"]);
    assert_eq!(nothing.ok(), "OK: no process is in alarm that nobody knows of");
    assert_eq!(connections() - before, 2);
    assert_eq!(guest.sysalert(&["process", "restart", "wbe"]).status, 64);
    configure(&guest, crate::readme::configuration("[process.billing]"));
}
