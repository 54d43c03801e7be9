//! What the database does: each trouble is one incident, no restart is made twice, and it is over when it is.

use std::time::Instant;

use serde_json::Value;

use super::{CONFIG, alarm, check, configure, guest, history, pid, row, service, sql};
use crate::guest::Guest;

super::on_both!(
    each_trouble_is_one_incident_and_no_restart_is_made_for_it,
    a_server_killed_in_mid_query_is_asked_again_by_the_next_run,
    what_may_not_be_written_is_restarted_once,
    a_database_that_became_read_only_is_one_incident,
    other_names_and_another_host_s_rows,
    over_tcp_with_tls_that_is_required,
    ten_thousand_alarms_are_taken_bit_by_bit_the_urgent_first,
    notes_fit_their_column_in_characters,
);

const DATABASE: &str = "database:v_process_monitor";

/// The open incident of the database, if there is one: why.
fn trouble(guest: &Guest) -> Option<String> {
    let listed = guest.sysalert(&["db", "list", "-o", "json"]).json();
    let mut rows = listed.as_array().unwrap().iter().filter(|row| row["subject"] == DATABASE);
    let why = rows.next().map(|_| guest.sysalert(&["explain", DATABASE]).ok());
    assert!(rows.next().is_none(), "two incidents: {listed}");
    why
}

pub fn each_trouble_is_one_incident_and_no_restart_is_made_for_it(systemd: u32) {
    let guest = guest(systemd, "database", "[process.web]\n");
    service(&guest, "web");
    alarm(&guest, 1, "web", "NULL");
    let before = pid(&guest, "web.service");
    let good = format!("{CONFIG}[process.web]\n");
    let wrong = good.replace("/etc/sysalert/db-password", "/etc/sysalert/wrong-password");
    guest.sh("printf 'wr0ng!' >/etc/sysalert/wrong-password; chgrp sysalert /etc/sysalert/wrong-password").ok();
    let missing = good.replace("check_interval", "status_table = \"STATUS\"\ncheck_interval");
    let column = good.replace("check_interval", "sound_column = \"loud\"\ncheck_interval");
    let rows: [(&str, &str, &str, &str); 5] = [
        ("systemctl stop db", "systemctl start db", &good, "cannot be reached"),
        ("systemctl kill -s STOP db", "systemctl kill -s CONT db", &good, "did not answer within 5 s"),
        ("true", "true", &wrong, "check `user` and `password` in [processes]"),
        ("true", "true", &missing, "correct the names of tables and columns"),
        ("true", "true", &column, "correct the names of tables and columns"),
    ];
    for (breaks, mends, config, expected) in rows {
        guest.sh(breaks).ok();
        configure(&guest, config);
        // left alone by an earlier row
        let begun = Instant::now();
        check(&guest);
        check(&guest);
        eprintln!("{expected}: two rounds in {:?}", begun.elapsed());
        let why = trouble(&guest).unwrap_or_else(|| panic!("{breaks}, {expected}: no incident"));
        assert!(why.contains(expected) && !why.contains("wr0ng!") && !why.contains("s3cret"), "{why}");
        // the first one comes before anybody has seen the row
        assert_eq!(shown(&guest), if expected == rows[0].3 { "unknown" } else { "acknowledged" });
        let table = guest.sysalert(&["process", "status"]).ok();
        assert!(table.contains("v_process_monitor does not tell which processes are in alarm: "), "{table}");
        assert_eq!(pid(&guest, "web.service"), before, "{breaks}");
        guest.sh(mends).ok();
        configure(&guest, &good);
        // somebody knows of the alarm: the round only reads
        sql(&guest, "UPDATE v_process_monitor.STATUS_PROCESS SET sound = 1");
        check(&guest);
        assert_eq!((trouble(&guest), shown(&guest).as_str()), (None, "acknowledged"), "{breaks}");
    }
    assert_eq!(history(&guest, DATABASE).matches("does not tell which processes are in alarm").count(), rows.len());
    let journal = guest.journal(&["-u", "sysalert-check@processes.service", "-o", "cat"]);
    assert!(!journal.contains("wr0ng!") && !journal.contains("s3cret"), "{journal}");
    sql(&guest, "UPDATE v_process_monitor.STATUS_PROCESS SET sound = 0");
    check(&guest);
    assert_ne!(pid(&guest, "web.service"), before);
    // one by hand while it is away ends the alarm that is found when it is back
    sql(&guest, "UPDATE v_process_monitor.STATUS_PROCESS SET alarma = 1, notes = NULL");
    guest.run(&["systemctl", "stop", "db.service"]).ok();
    let by_hand = guest.sysalert(&["process", "restart", "web"]);
    assert!(by_hand.status == 0 && by_hand.stderr.contains("its alarms could not be ended in the database"), "{by_hand}");
    let after = pid(&guest, "web.service");
    guest.run(&["systemctl", "start", "db.service"]).ok();
    check(&guest);
    let ended = row(&guest, 1);
    assert!(ended.starts_with("0\t0\t - Restarted at 20") && pid(&guest, "web.service") == after, "{ended}");
    // what somebody acknowledges there is acknowledged here, until they take it back
    configure(&guest, &format!("{good}health_check_tcp = \"127.0.0.1:9\"\nhealth_check_timeout = \"1s\"\n"));
    sql(&guest, "UPDATE v_process_monitor.STATUS_PROCESS SET alarma = 1");
    check(&guest);
    for (sound, is_known) in [(1, true), (0, false)] {
        sql(&guest, &format!("UPDATE v_process_monitor.STATUS_PROCESS SET sound = {sound}"));
        check(&guest);
        let explained = guest.sysalert(&["explain", "process:web"]).ok();
        assert_eq!(explained.contains("no reminder until it recovers, or the database takes that back"), is_known, "{explained}");
        assert_eq!(explained.contains(" taken back "), !is_known, "{explained}");
        let listed = guest.sysalert(&["status"]).ok();
        assert_eq!(listed.contains("(acknowledged by the database)"), is_known, "{listed}");
        let told = history(&guest, "process:web");
        assert!(told.contains(" acknowledged by the database "), "{told}");
        assert_eq!(told.contains("the database took its acknowledgement back"), !is_known, "{told}");
    }
}

/// How `process status` shows the alarm of the only process.
fn shown(guest: &Guest) -> String {
    let status = guest.sysalert(&["process", "status", "-o", "json"]).json();
    status[0]["alarm"].as_str().unwrap_or_default().to_owned()
}

pub fn a_server_killed_in_mid_query_is_asked_again_by_the_next_run(systemd: u32) {
    let guest = guest(systemd, "killed", "[process.web]\n");
    service(&guest, "web");
    alarm(&guest, 1, "web", "NULL");
    let before = pid(&guest, "web.service");
    // the query waits for a lock that somebody holds
    let lock =
        "mariadb --no-defaults --socket=/run/db/sock -e 'LOCK TABLES v_process_monitor.STATUS_PROCESS WRITE; SELECT SLEEP(600)'";
    guest.run(&["systemd-run", "--quiet", "--unit=locker", "bash", "-c", lock]).ok();
    let running = |words: &str| sql(&guest, "SHOW FULL PROCESSLIST").contains(words);
    guest.wait_until("the table is locked", || running("SLEEP(600)"));
    guest.run(&["systemctl", "start", "--no-block", "sysalert-check@processes.service"]).ok();
    guest.wait_until("the query waits", || running("LEFT(p."));
    guest.run(&["systemctl", "kill", "-s", "KILL", "db.service"]).ok();
    guest.wait_until("the round is over", || guest.property("sysalert-check@processes.service", "ActiveState") == "inactive");
    assert!(trouble(&guest).is_some());
    assert_eq!(pid(&guest, "web.service"), before);
    guest.sh("systemctl reset-failed db; systemctl start db").ok();
    check(&guest);
    let once = pid(&guest, "web.service");
    assert_ne!(once, before);
    assert_eq!(trouble(&guest), None);
    // the note of a restart waits for a row that somebody holds
    sql(&guest, "UPDATE v_process_monitor.STATUS_PROCESS SET alarma = 1, notes = NULL");
    let lock = "mariadb --no-defaults --socket=/run/db/sock -e 'START TRANSACTION; SELECT * FROM v_process_monitor.STATUS_PROCESS \
                FOR UPDATE; SELECT SLEEP(601)'";
    guest.run(&["systemd-run", "--quiet", "--unit=holder", "bash", "-c", lock]).ok();
    guest.wait_until("the row is held", || running("SLEEP(601)"));
    super::forget_pace(&guest);
    guest.run(&["systemctl", "start", "--no-block", "sysalert-check@processes.service"]).ok();
    guest.wait_until("the note waits", || running("UPDATE `STATUS_PROCESS`"));
    guest.run(&["systemctl", "kill", "-s", "KILL", "db.service"]).ok();
    guest.wait_until("the round is over", || guest.property("sysalert-check@processes.service", "ActiveState") == "inactive");
    let twice = pid(&guest, "web.service");
    assert_ne!(twice, once);
    assert!(trouble(&guest).is_some_and(|why| why.contains("takes no note of what was restarted")));
    guest.sh("systemctl reset-failed db; systemctl start db").ok();
    assert_eq!(row(&guest, 1), "1\t0\tNULL");
    check(&guest);
    assert!(row(&guest, 1).starts_with("0\t0\t - Restarted at "), "{}", row(&guest, 1));
    assert_eq!((pid(&guest, "web.service"), trouble(&guest)), (twice, None));
}

pub fn what_may_not_be_written_is_restarted_once(systemd: u32) {
    let guest = guest(systemd, "readonly", "[process.web]\n");
    service(&guest, "web");
    let reader = format!("{CONFIG}user = \"reader\"\n[process.web]\n")
        .replace("[processes.default]", "#")
        .replace("health_check_timeout", "#health_check_timeout");
    let reader = reader.replace("restart_delay", "#restart_delay").replace("stable_time", "#stable_time");
    configure(&guest, &reader);
    alarm(&guest, 1, "web", "'x'");
    let before = pid(&guest, "web.service");
    check(&guest);
    let once = pid(&guest, "web.service");
    assert_ne!(once, before);
    let why = trouble(&guest).expect("that nothing can be noted is an incident");
    assert!(why.contains("takes no note of what was restarted") && why.contains("read_only = true"), "{why}");
    check(&guest);
    assert_eq!((pid(&guest, "web.service"), row(&guest, 1)), (once.clone(), "1\t0\tx".to_owned()));
    // with the right to do so the next round notes it, and restarts nothing
    sql(&guest, "GRANT UPDATE ON v_process_monitor.* TO reader@localhost");
    check(&guest);
    assert_eq!(pid(&guest, "web.service"), once);
    assert!(row(&guest, 1).starts_with("0\t0\tx - Restarted at "), "{}", row(&guest, 1));
    check(&guest);
    assert_eq!(trouble(&guest), None);
    // never written by intent
    configure(&guest, &reader.replace("user = ", "read_only = true\nuser = "));
    sql(&guest, "UPDATE v_process_monitor.STATUS_PROCESS SET alarma = 1, notes = 'y'");
    check(&guest);
    let twice = pid(&guest, "web.service");
    assert_ne!(twice, once);
    check(&guest);
    assert_eq!((pid(&guest, "web.service"), row(&guest, 1)), (twice.clone(), "1\t0\ty".to_owned()));
    assert_eq!(trouble(&guest), None);
    // a new alarm, once the old one is over
    sql(&guest, "UPDATE v_process_monitor.STATUS_PROCESS SET alarma = 0");
    check(&guest);
    sql(&guest, "UPDATE v_process_monitor.STATUS_PROCESS SET alarma = 1");
    check(&guest);
    assert_ne!(pid(&guest, "web.service"), twice);
}

pub fn a_database_that_became_read_only_is_one_incident(systemd: u32) {
    let guest = guest(systemd, "became-readonly", "[process.web]\n");
    service(&guest, "web");
    alarm(&guest, 1, "web", "NULL");
    sql(&guest, "SET GLOBAL read_only = 1");
    let before = pid(&guest, "web.service");
    check(&guest);
    let once = pid(&guest, "web.service");
    assert_ne!(once, before);
    for _ in 0..4 {
        check(&guest);
    }
    assert_eq!((pid(&guest, "web.service"), row(&guest, 1).starts_with("1\t")), (once.clone(), true));
    let told = history(&guest, DATABASE);
    assert_eq!((told.matches("takes no note of what was restarted").count(), told.contains("works again")), (1, false), "{told}");
    sql(&guest, "SET GLOBAL read_only = 0");
    check(&guest);
    assert_eq!((pid(&guest, "web.service"), trouble(&guest)), (once, None));
    assert!(row(&guest, 1).starts_with("0\t"), "{}", row(&guest, 1));
    let told = history(&guest, DATABASE);
    assert_eq!(told.matches("works again").count(), 1, "{told}");
}

pub fn other_names_and_another_host_s_rows(systemd: u32) {
    let guest = guest(systemd, "names", "");
    sql(
        &guest,
        "CREATE DATABASE elsewhere; USE elsewhere; CREATE TABLE s (i INT PRIMARY KEY, a TINYINT, q TINYINT, n TEXT, h INT); CREATE TABLE p (i INT, x TEXT);
         INSERT INTO s VALUES (1, 1, 0, NULL, 7), (2, 1, 0, NULL, 8); INSERT INTO p VALUES (1, 'web'), (2, 'other');
         GRANT SELECT, UPDATE ON elsewhere.* TO sysalert@localhost;",
    );
    let names = "database = \"elsewhere\"\nstatus_table = \"s\"\nprocess_table = \"p\"\nid_column = \"i\"\nname_column = \"x\"\nalarm_column = \"a\"
sound_column = \"q\"\nnotes_column = \"n\"\nhost_column = \"h\"\nhost_id = 7\ncheck_interval";
    // where the old script had its log
    let log = "[processes.log]\npath = \"/var/log/monitor_service.log\"\n";
    configure(&guest, &format!("{}[process.web]\n[process.other]\n{log}", CONFIG.replacen("check_interval", names, 1)));
    for name in ["web", "other"] {
        service(&guest, name);
    }
    let before = [pid(&guest, "web.service"), pid(&guest, "other.service")];
    check(&guest);
    assert_ne!(pid(&guest, "web.service"), before[0]);
    assert_eq!(pid(&guest, "other.service"), before[1]);
    let told = guest.journal(&["-o", "cat"]);
    assert!(
        told.contains("let `path` of [processes.log] be in /var/log/sysalert, or give the user sysalert another folder"),
        "{told}"
    );
    let rows = sql(&guest, "SELECT a, n FROM elsewhere.s ORDER BY i");
    assert!(rows.starts_with("0\t - Restarted at ") && rows.ends_with("1\tNULL"), "{rows}");
}

pub fn over_tcp_with_tls_that_is_required(systemd: u32) {
    let guest = guest(systemd, "tls", "");
    guest
        .sh("cd /srv/db; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem \
             -out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE 2>/dev/null
             chown db: key.pem; install -m 644 cert.pem /etc/ssl/db.pem
             sed -i 's,^ExecStart=.*mariadbd --no-defaults,& --ssl-cert=/srv/db/cert.pem --ssl-key=/srv/db/key.pem,' /etc/systemd/system/db.service
             systemctl daemon-reload; systemctl restart db")
        .ok();
    sql(
        &guest,
        "CREATE USER sysalert@'127.0.0.1' IDENTIFIED BY 's3cret' REQUIRE SSL;
         GRANT SELECT, UPDATE ON v_process_monitor.* TO sysalert@'127.0.0.1';",
    );
    let told = |lines: &str| {
        let host = if lines.starts_with("#other") { "other.test" } else { "127.0.0.1" };
        let place = format!("host = \"{host}\"\n{lines}\ncheck_interval");
        let config = CONFIG.replace("socket = \"/run/db/sock\"\n", "").replacen("check_interval", &place, 1);
        configure(&guest, &config);
        let said = guest.sysalert(&["check", "processes", "--dry-run", "--report", "json"]);
        let report: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said}"));
        report["checks"].as_array().unwrap().iter().map(|check| check["why"].as_str().unwrap().to_owned()).collect::<String>()
    };
    assert_eq!(told("tls = \"required\"\nca = \"/etc/ssl/db.pem\""), "");
    assert_eq!(told("tls = \"preferred\""), "");
    let unknown = told("tls = \"required\"");
    assert!(unknown.contains("no encrypted connection to 127.0.0.1:3306") && unknown.contains("set `ca`"), "{unknown}");
    // another authority, and another host than the certificate's
    guest
        .sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout /dev/null -out /etc/ssl/other.pem \
             -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null; echo 127.0.0.1 other.test >>/etc/hosts")
        .ok();
    for lines in [
        "tls = \"required\"\nca = \"/etc/ssl/other.pem\"",
        "tls = \"preferred\"\nca = \"/etc/ssl/other.pem\"",
        "#other\ntls = \"required\"\nca = \"/etc/ssl/db.pem\"",
    ] {
        let refused = told(lines);
        assert!(
            refused.contains("no encrypted connection to ") && refused.contains("`host` to the name in it"),
            "{lines}: {refused}"
        );
    }
    let plain = told("tls = \"none\"");
    assert!(plain.contains("a server that wants TLS says the same"), "{plain}");
}

pub fn ten_thousand_alarms_are_taken_bit_by_bit_the_urgent_first(systemd: u32) {
    let guest = guest(systemd, "many", "[process.web]\n");
    service(&guest, "web");
    sql(
        &guest,
        "USE v_process_monitor; INSERT INTO STATUS_PROCESS (process_id, alarma) SELECT seq, 1 FROM seq_1_to_10000;
         INSERT INTO PROCESE SELECT seq, CONCAT(REPEAT('p', 200), ';', seq) FROM seq_1_to_10000;",
    );
    alarm(&guest, 10_001, "web", "NULL");
    let before = pid(&guest, "web.service");
    let known = || guest.sysalert(&["process", "status", "-o", "json"]).json().as_array().unwrap().len();
    let begun = Instant::now();
    check(&guest);
    eprintln!("the first round: {:?}", begun.elapsed());
    assert_ne!(pid(&guest, "web.service"), before);
    assert_eq!(known(), 500);
    // the next one
    super::forget_pace(&guest);
    let (peak, _) = cost(&guest, &["check", "processes", "--report", "none"]);
    assert_eq!(known(), 1000);
    assert!(peak < 24 * 1024, "{peak} KiB");
    // and as after twenty runs more
    let all = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 10000)
        INSERT OR IGNORE INTO process_alarms (id, name, since) SELECT id, replace(hex(zeroblob(100)), '0', 'p') || ';' || id, 0 FROM n";
    super::on_record(&guest, all);
    super::forget_pace(&guest);
    let (peak, _) = cost(&guest, &["check", "processes", "--report", "none"]);
    assert!(peak < 48 * 1024, "{peak} KiB");
    let (_, time) = cost(&guest, &["process", "status", "-o", "json"]);
    assert!(time < 5000, "{time} ms of the processor");
    assert_eq!(known(), 10_001);
}

/// What a command costs: the most memory that it or a child of it ever had, in KiB, and milliseconds of the processor.
fn cost(guest: &Guest, arguments: &[&str]) -> (u64, u64) {
    let measured = "import resource, subprocess, sys
enter = ['nsenter', '-t', sys.argv[1], '-m', '-u', '-i', '-n', '-p', '--', 'sysalert', *sys.argv[2:]]
subprocess.run(enter, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss, round(1000 * used.ru_utime))";
    let said = guest.python(measured, arguments).ok();
    eprintln!("{arguments:?}: KiB and ms: {said}");
    let (memory, time) = said.split_once(' ').unwrap();
    (memory.parse().unwrap(), time.parse().unwrap())
}

pub fn notes_fit_their_column_in_characters(systemd: u32) {
    let guest = guest(systemd, "notes", "[process.web]\n");
    service(&guest, "web");
    alarm(&guest, 1, "web", "NULL");
    // each of these letters has two bytes
    let longest = " - Restarted at 2026-01-05 03:00:00".len();
    for (kind, letters, length) in [("VARCHAR(100)", 98, 100), ("VARCHAR(255)", 250, 255), ("TEXT", 300, 300 + longest)] {
        sql(
            &guest,
            &format!(
                "USE v_process_monitor; ALTER TABLE STATUS_PROCESS MODIFY notes {kind} CHARACTER SET utf8mb4;
                 UPDATE STATUS_PROCESS SET alarma = 1, notes = REPEAT(CHAR(0xC3A9 USING utf8mb4), {letters})"
            ),
        );
        check(&guest);
        let told = sql(
            &guest,
            "SELECT alarma, CHAR_LENGTH(notes), LENGTH(notes) - CHAR_LENGTH(notes), SUBSTRING_INDEX(notes, ' - Restarted at ', -1) LIKE '2%'
             FROM v_process_monitor.STATUS_PROCESS",
        );
        assert_eq!(told, format!("0\t{length}\t{}\t1", length - longest), "{kind}");
    }
    // the tables as they are documented, where nothing is NOT NULL
    sql(
        &guest,
        "USE v_process_monitor; DROP TABLE PROCESE, STATUS_PROCESS;
         CREATE TABLE STATUS_PROCESS (process_id INT PRIMARY KEY, alarma TINYINT, sound TINYINT, notes TEXT);
         CREATE TABLE PROCESE (process_id INT PRIMARY KEY, process_name VARCHAR(255));",
    );
    alarm(&guest, 1, "web", "NULL");
    sql(
        &guest,
        "USE v_process_monitor; INSERT INTO STATUS_PROCESS VALUES (2, 1, NULL, NULL), (3, 1, 0, 'nobody named it');
         INSERT INTO PROCESE VALUES (2, NULL)",
    );
    let before = pid(&guest, "web.service");
    check(&guest);
    assert_ne!(pid(&guest, "web.service"), before);
    assert!(row(&guest, 1).starts_with("0\tNULL\t - Restarted at "), "{}", row(&guest, 1));
    for nameless in ["process:\"\" (row 2)", "process:\"\" (row 3)"] {
        assert!(history(&guest, nameless).contains("it has no name in the database"), "{nameless}");
    }
}
