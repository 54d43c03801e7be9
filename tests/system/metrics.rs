//! What docs/fleet.md says about metrics, word for word, with a real node_exporter, Prometheus and promtool.

use std::time::Duration;

use serde_json::Value;

use crate::documents::{FLEET, blocks_of};
use crate::guest::{Guest, Options};
use crate::jobs::{Job, MAIL};

const FILE: &str = "/run/sysalert-metrics/sysalert.prom";
const RULES: &str = "/usr/share/doc/sysalert/prometheus-rules.yml";
const PAGE: &str = "http://localhost:9100/metrics";

fn metrics() -> &'static str {
    let (_, rest) = FLEET.split_once("\n## Metrics\n").unwrap();
    rest.split("\n## ").next().unwrap()
}

/// The documentation's configuration.
fn config() -> &'static str {
    let blocks = blocks_of(metrics(), "toml");
    assert_eq!(blocks.len(), 1);
    blocks[0]
}

/// What the exporter says of this series.
#[track_caller]
fn value(guest: &Guest, series: &str) -> Option<f64> {
    value_in(&guest.run(&["curl", "-sS", PAGE]).ok(), series)
}

fn value_in(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

fn of_unit(metric: &str, unit: &str) -> String {
    format!("sysalert_unit_{metric}{{manager=\"system\",unit=\"{}\"}}", unit.replace('\\', "\\\\"))
}

fn dispatch(guest: &Guest) {
    guest.run(&["systemctl", "start", "sysalert-dispatch.service"]);
}

/// The seconds since 1970 of the guest's clock.
fn now(guest: &Guest) -> f64 {
    guest.run(&["date", "+%s"]).ok().parse().unwrap()
}

#[test]
fn a_prometheus_sees_what_fails_and_what_waits() {
    let guest = Guest::boot("metrics", Options::new().mail_server());
    guest.configure(&format!("{}{MAIL}", config()));
    guest.sysalert(&["config", "check"]).ok();
    // as the installation of Debian's package leaves it
    guest.run(&["systemctl", "start", "prometheus-node-exporter.service"]).ok();
    guest.wait_until("the exporter answers", || guest.run(&["curl", "-sS", PAGE]).success());
    let commands = blocks_of(metrics(), "sh");
    assert_eq!(commands.len(), 1);
    let shown = guest.sh(commands[0]).ok();
    assert!(
        shown.contains("sysalert_build_info{version=") && shown.contains("sysalert_method_failing{method=\"mail\"} 0"),
        "{shown}"
    );
    assert_eq!(value(&guest, "node_textfile_scrape_error"), Some(0.0));

    // one that never fails, one that nobody watches, one that fails and cannot be told
    let begun = now(&guest);
    let good = Job::new(&guest, "good.service");
    good.succeeds();
    guest.write_unit("nobodys.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
    guest.run(&["systemctl", "start", "nobodys.service"]).ok();
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    let bad = Job::new(&guest, "ba\\x2dd@\\x22.service");
    bad.fails(3);
    let first = "the alert was tried, and the metrics say so";
    guest.wait_until(first, || value(&guest, "sysalert_method_failing{method=\"mail\"}") == Some(1.0));
    dispatch(&guest);
    let page = guest.run(&["curl", "-sS", PAGE]).ok();
    let has = |series: &str| value_in(&page, series);
    assert_eq!(has(&of_unit("failed", &bad.name)), Some(1.0), "{page}");
    assert_eq!(has(&of_unit("failures_total", &bad.name)), Some(1.0));
    assert_eq!(has(&of_unit("last_success_timestamp_seconds", &bad.name)), None);
    assert_eq!(has(&of_unit("failed", "good.service")), Some(0.0));
    assert_eq!(has("sysalert_incidents{state=\"open\"}"), Some(1.0));
    assert_eq!(has("sysalert_silences"), Some(0.0));
    assert_eq!(has("sysalert_outbox_alerts{method=\"mail\"}"), Some(1.0));
    assert!(has("sysalert_deliveries_total{method=\"mail\",status=\"retry\"}") >= Some(1.0));
    let times = [
        of_unit("last_failure_timestamp_seconds", &bad.name),
        of_unit("last_success_timestamp_seconds", "good.service"),
        "sysalert_outbox_oldest_timestamp_seconds{method=\"mail\"}".to_owned(),
        "sysalert_last_run_timestamp_seconds".to_owned(),
    ];
    for series in &times {
        let time = has(series).unwrap_or_else(|| panic!("no {series}"));
        assert!((begun..=now(&guest)).contains(&time), "{series} {time}");
    }
    assert!(!page.contains("nobodys.service") && !page.contains("unit=\"sysalert"), "of others' units nothing is told");
    assert_eq!(has("node_textfile_scrape_error"), Some(0.0));

    // the judges
    guest.sh(&format!("promtool check metrics <{FILE} && promtool check rules {RULES}")).ok();
    let metrics_in_file = guest.read_file(FILE);
    for name in metrics_in_file.lines().filter_map(|line| line.strip_prefix("# TYPE sysalert_")?.split(' ').next()) {
        assert!(metrics().contains(&format!("| `{name}` |")), "docs/fleet.md does not tell of {name}");
    }
    alerts_come_from_a_real_prometheus(&guest, &bad.name);

    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    guest.hurry();
    guest.wait_for_mails(1);
    bad.succeeds();
    guest.wait_until("its recovery is seen", || value(&guest, &of_unit("failed", &bad.name)) == Some(0.0));
    guest.wait_for_mails(2);
    let told = "both mails are counted";
    let sent = "sysalert_deliveries_total{method=\"mail\",status=\"sent\"}";
    guest.wait_until(told, || value(&guest, sent) == Some(2.0));
    assert!(value(&guest, &of_unit("last_success_timestamp_seconds", &bad.name)) >= Some(begun));
    assert_eq!(value(&guest, "sysalert_outbox_alerts{method=\"mail\"}"), Some(0.0));
    assert_eq!(value(&guest, &of_unit("failures_total", &bad.name)), Some(1.0));
}

/// A server of its own, which asks each second.
fn alerts_come_from_a_real_prometheus(guest: &Guest, unit: &str) {
    let config = blocks_of(FLEET, "yaml")[1];
    assert!(config.contains(RULES), "{config}");
    let config = config.replace("web1.example.org:9100, db1.example.org:9100", &format!("{}.example.org:9100", guest.name()));
    guest.write_file("/etc/prometheus/test.yml", &format!("global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n{config}"));
    guest
        .sh(&format!("promtool check config /etc/prometheus/test.yml; echo 127.0.0.1 {}.example.org >>/etc/hosts", guest.name()))
        .ok();
    let arguments = "--config.file=/etc/prometheus/test.yml --storage.tsdb.path=/var/lib/prometheus/metrics2 \
        --web.listen-address=127.0.0.1:9090";
    guest.sh(&format!("systemd-run --quiet --uid=prometheus --unit=test-prometheus prometheus {arguments}")).ok();
    let firing = || {
        let answer = guest.run(&["curl", "-sS", "http://127.0.0.1:9090/api/v1/alerts"]);
        let answer: Value = serde_json::from_str(&answer.stdout).unwrap_or_default();
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let of_sysalert = alerts.into_iter().filter(|alert| alert["state"] == "firing");
        of_sysalert.map(|alert| ["alertname", "instance", "unit"].map(|label| alert["labels"][label].clone())).collect::<Vec<_>>()
    };
    guest.wait_at_most(Duration::from_secs(60), "Prometheus has the alert", || !firing().is_empty());
    assert_eq!(firing(), [["UnitFailed", guest.name(), unit].map(Value::from)]);
    guest.run(&["systemctl", "stop", "test-prometheus.service"]).ok();
}

#[test]
fn neither_can_read_or_write_more_than_it_must() {
    let guest = Guest::boot("metrics-rights", Options::new());
    guest.configure(config());
    dispatch(&guest);
    let as_prometheus = |command: &str| {
        guest.run(&["setpriv", "--reuid=prometheus", "--regid=prometheus", "--clear-groups", "sh", "-c", command])
    };
    as_prometheus(&format!("cat {FILE}")).ok();
    for command in
        ["ls /var/lib/sysalert", "ls /run/sysalert", "cat /etc/sysalert/sysalert.toml", "touch /run/sysalert-metrics/x"]
    {
        assert!(!as_prometheus(command).success(), "{command}");
    }
    let modes = guest.run(&["stat", "-c", "%A %U %n", "/run/sysalert-metrics", FILE]).ok();
    assert_eq!(modes, format!("drwxr-xr-x sysalert /run/sysalert-metrics\n-rw-r--r-- sysalert {FILE}"));
}

#[test]
fn where_it_cannot_be_written_that_is_said_once_and_alerts_go_out() {
    let guest = Guest::boot("metrics-broken", Options::new().mail_server());
    guest.configure(&format!("{}{MAIL}", config()));
    guest.sh("rm -rf /run/sysalert-metrics").ok();
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.wait_for_mails(1);
    for _ in 0..3 {
        guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    }
    let said = guest.journal(&["SYSLOG_IDENTIFIER=sysalert", "PRIORITY=4"]);
    assert_eq!(said.matches(&format!("cannot write the metrics to {FILE}: ")).count(), 1, "{said}");
    assert!(said.contains("ReadWritePaths=") && said.contains("this is said once"), "{said}");
    guest.run(&["systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/sysalert.conf"]).ok();
    guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    assert_eq!(value_in(&guest.read_file(FILE), &of_unit("failures_total", "backup.service")), Some(1.0));
}

#[track_caller]
fn the_last_success_is_the_managers_and_outlives_a_boot(systemd: u32) {
    let guest = Guest::boot_on(systemd, "metrics-boot", Options::new());
    guest.configure(config());
    let job = Job::new(&guest, "backup.service");
    // as long as there is a timer, the manager forgets nothing
    guest.write_unit("backup.timer", "[Timer]\nOnCalendar=yearly\n");
    guest.run(&["systemctl", "start", "backup.timer"]).ok();
    job.succeeds();
    let series = of_unit("last_success_timestamp_seconds", "backup.service");
    let mut seen = None;
    guest.wait_until("the journal has written it", || {
        dispatch(&guest);
        seen = value_in(&guest.read_file(FILE), &series);
        seen.is_some()
    });
    let ended = guest.run(&["date", "+%s", "-d", &guest.property("backup.service", "InactiveEnterTimestamp")]).ok();
    assert_eq!(seen, Some(ended.parse().unwrap()), "as the service manager has it");
    guest.reboot();
    guest.wait_until("the file is there again", || guest.exists(FILE));
    let file = guest.read_file(FILE);
    assert_eq!(value_in(&file, &series), seen, "{file}");
}

#[test]
fn the_last_success_is_the_managers_and_outlives_a_boot_on_252() {
    the_last_success_is_the_managers_and_outlives_a_boot(252);
}

#[test]
fn the_last_success_is_the_managers_and_outlives_a_boot_on_257() {
    the_last_success_is_the_managers_and_outlives_a_boot(257);
}
