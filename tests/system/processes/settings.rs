//! The settings of the old `config.ini`, each with the test that fails without it.

use super::{CONFIG, alarm, check, configure, guest, history, sql};

super::on_both!(who_is_restarted_when_in_which_order_and_what_the_log_keeps);

/// A test, on this version of systemd.
type Test = fn(u32);

/// A setting of the old configuration, or of what it promised, and where it is shown.
const SHOWN_BY: &[(&str, Test)] = &[
    ("host", super::database::over_tcp_with_tls_that_is_required),
    ("user", super::database::what_may_not_be_written_is_restarted_once),
    ("password", super::database::each_trouble_is_one_incident_and_no_restart_is_made_for_it),
    ("database", super::database::other_names_and_another_host_s_rows),
    ("check_interval", who_is_restarted_when_in_which_order_and_what_the_log_keeps),
    ("max_restart_failures", super::strategies::a_process_that_never_becomes_healthy_opens_its_breaker_for_longer_than_a_boot),
    ("circuit_reset_time", super::strategies::a_process_that_never_becomes_healthy_opens_its_breaker_for_longer_than_a_boot),
    ("max_log_size", who_is_restarted_when_in_which_order_and_what_the_log_keeps),
    ("log_files_to_keep", who_is_restarted_when_in_which_order_and_what_the_log_keeps),
    ("restart_strategy", super::strategies::custom_commands_health_checks_and_what_comes_before),
    ("restart_command", super::strategies::custom_commands_health_checks_and_what_comes_before),
    ("pre_restart_command", super::strategies::custom_commands_health_checks_and_what_comes_before),
    ("health_check_command", super::strategies::custom_commands_health_checks_and_what_comes_before),
    ("health_check_timeout", super::strategies::custom_commands_health_checks_and_what_comes_before),
    ("restart_delay", super::strategies::custom_commands_health_checks_and_what_comes_before),
    ("max_attempts", super::strategies::a_process_that_never_becomes_healthy_opens_its_breaker_for_longer_than_a_boot),
    ("system_name", super::an_alarm_is_restarted_noted_and_told_and_nothing_else_is_touched),
    ("process.default", who_is_restarted_when_in_which_order_and_what_the_log_keeps),
];

#[test]
fn the_table_has_a_row_for_each_old_setting() {
    let (_, table) = crate::documents::MIGRATION.split_once("| in the old `config.ini` | here |").unwrap();
    let cells = table.lines().filter_map(|line| line.split('|').nth(1));
    // without its section and its value; a path is none
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|words| !words.starts_with('/'));
    let settings = words.map(|words| match words.split_once(" =").map_or(words, |(name, _)| name) {
        section if section.ends_with(']') => section.trim_matches(['[', ']']),
        words => words.rsplit(' ').next().unwrap(),
    });
    let mut old: Vec<&str> = settings.collect();
    let mut shown: Vec<&str> = SHOWN_BY.iter().map(|(setting, _)| *setting).collect();
    old.sort_unstable();
    shown.sort_unstable();
    assert_eq!(old, shown);
}

pub fn who_is_restarted_when_in_which_order_and_what_the_log_keeps(systemd: u32) {
    // the first lines go on in [processes.default]
    let more = r#"restart_strategy = "custom"
restart_command = ["/usr/local/bin/order", "%s"]
health_check_command = ["/bin/true"]
[process.late]
priority = 200
[process.soon]
priority = 1
[processes.log]
path = "/var/log/sysalert/processes.log"
max_size = 1
keep = 2
"#;
    let guest = guest(systemd, "settings", more);
    let config = CONFIG.replace("check_interval = \"10s\"", "check_interval = \"1h\"\nallow = [\"web-*\"]");
    configure(&guest, &format!("{config}{more}"));
    guest.write_file("/usr/local/bin/order", "#!/bin/sh\nprintf '%s ' \"$1\" >>/order\n");
    guest.sh("chmod 755 /usr/local/bin/order").ok();
    for (id, name) in (1..).zip(["late", "web-1", "web", "soon"]) {
        alarm(&guest, id, name, "NULL");
    }
    check(&guest);
    assert_eq!(guest.read_file("/order"), "soon web-1 late ");
    assert!(history(&guest, "process:web").contains("is not in `allow`"));

    // within the interval, and ten minutes are, the timer's run does nothing, whatever is in alarm
    super::on_record(&guest, "UPDATE meta SET value = value - 600000000 WHERE key = 'processes_checked'");
    alarm(&guest, 5, "web-2", "NULL");
    guest.run(&["systemctl", "start", "sysalert-check@processes.service"]).ok();
    assert_eq!(guest.read_file("/order"), "soon web-1 late ");
    check(&guest);
    assert_eq!(guest.read_file("/order"), "soon web-1 late web-2 ");

    sql(
        &guest,
        "USE v_process_monitor; INSERT INTO STATUS_PROCESS (process_id, alarma) SELECT seq, 1 FROM seq_10_to_49;
         INSERT INTO PROCESE SELECT seq, CONCAT('web-', seq) FROM seq_10_to_49;",
    );
    check(&guest);
    let logs = guest.sh("cd /var/log/sysalert; stat -c '%n %s' processes.log*").ok();
    let sizes: Vec<(&str, u64)> =
        logs.lines().filter_map(|line| line.split_once(' ')).map(|(name, size)| (name, size.parse().unwrap())).collect();
    let names: Vec<&str> = sizes.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["processes.log", "processes.log.1", "processes.log.2"]);
    assert!(sizes.iter().all(|(_, size)| *size <= 1024) && sizes[1].1 > 800, "{sizes:?}");
}
