//! The figures of `--list`, of the service manager and of node_exporter beside those of a run.

use serde_json::{Value, json};

use super::{Report, Sensors, number};
use crate::guest::Guest;

/// `--list` has each metric of a report, in a table and for programs.
#[track_caller]
pub(super) fn listed(sensors: &Sensors<'_>, report: &Report) {
    let text = sensors.sysalert(&["check", "sensors", "--list"]).ok();
    let list = sensors.sysalert(&["check", "--list", "--report", "json"]).json();
    assert_eq!(list["services"], json!([]));
    let metrics = list["metrics"].as_array().unwrap();
    let rows = text.lines().skip(1).take_while(|line| !line.is_empty());
    assert_eq!(rows.count(), metrics.len(), "{text}\n{list:#}");
    let told = |sensor: &str, instance: &str, metric: &str| {
        let is_it = |one: &&Value| one["sensor"] == sensor && one["instance"] == instance && one["metric"] == metric;
        let one = metrics.iter().find(is_it).unwrap_or_else(|| panic!("{sensor} {instance} {metric}: {list:#}"));
        (one["value"].as_f64(), one["unit"].clone(), one["rules"].clone())
    };
    let (value, unit, rules) = told("storage", "/srv/bytes", "bytes_total");
    assert_eq!((value, unit, rules), (Some(report.value("storage", "/srv/bytes bytes_total")), json!("bytes"), json!([])));
    let (_, unit, rules) = told("storage", "/srv/bytes", "bytes_used_percent");
    assert_eq!((&unit, &rules[0]["rule_name"], &rules[0]["threshold"]), (&json!("%"), &json!("low_disk"), &json!(90.0)));
    let is_ok = |sensor: &(&String, &Value)| sensor.1["status"] == "ok" && sensor.1["why"].is_null();
    assert!(list["sensors"].as_object().unwrap().iter().all(|sensor| is_ok(&sensor)), "{list:#}");
    for (name, monitor) in report.json["monitors"].as_object().unwrap() {
        assert_eq!(list["sensors"][name]["status"], monitor["status"], "{name}");
    }
}

/// What the service manager counts, while two units have failed and two jobs wait.
#[track_caller]
pub(super) fn units(guest: &Guest, sensors: &Sensors<'_>) {
    guest.write_unit("bad@.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
    guest.write_unit("long.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\n");
    guest.write_unit("then.service", "[Unit]\nAfter=long.service\n[Service]\nType=oneshot\nExecStart=/bin/true\n");
    guest.sh("systemctl start bad@1 bad@2 || true; systemctl start --no-block long then").ok();
    let count = |command: &str| number(&guest.sh(&format!("systemctl {command} --no-legend --plain --full | wc -l")).ok());
    let look = || {
        let names = number(&guest.run(&["systemctl", "show", "-P", "NNames"]).ok());
        [count("list-units --failed"), names, count("list-jobs"), count("list-units --all")]
    };
    // in a moment in which nothing else is started: then the run tells what systemctl tells before and after it
    guest.wait_until("the sensor and systemctl count the same", || {
        let [failed, names, jobs, units] = look();
        let report = sensors.measure();
        // a unit may have several names
        assert!(names >= units && names < units * 1.5, "{names} names of {units} units");
        let seen = ["failed_units", "loaded_units", "queued_jobs"].map(|metric| report.value("units", metric));
        look() == [failed, names, jobs, units] && [failed, jobs] == [2.0, 2.0] && seen == [failed, names, jobs]
    });
    guest.sh("systemctl stop long then; systemctl reset-failed 'bad@*'").ok();
}

#[track_caller]
pub(super) fn scraped(guest: &Guest) -> String {
    guest.sh("curl -sf http://127.0.0.1:9100/metrics").ok()
}

/// The sum of all figures whose line begins like this.
#[track_caller]
pub(super) fn exported(told: &str, name: &str) -> f64 {
    let lines: Vec<_> = told.lines().filter(|line| line.starts_with(name)).collect();
    assert!(!lines.is_empty(), "{name} in\n{told}");
    lines.iter().map(|line| number(line.rsplit(' ').next().unwrap())).sum()
}

/// Both count ticks from one moment to another. The exporter is asked before and after each run, so that it tells of the least
/// and of the most that the run can have seen.
#[track_caller]
pub(super) fn processors(guest: &Guest, sensors: &Sensors<'_>) {
    // seconds of each kind, of all processors
    let seconds = |told: &str| {
        let of = |mode: &str| {
            let lines = told.lines().filter(|line| line.starts_with("node_cpu_seconds_total{"));
            let of_mode = lines.filter(|line| line.contains(&format!("mode=\"{mode}\"")));
            of_mode.map(|line| number(line.rsplit(' ').next().unwrap())).sum::<f64>()
        };
        let busy: f64 = ["user", "nice", "system", "irq", "softirq"].iter().map(|mode| of(mode)).sum();
        let (iowait, steal) = (of("iowait"), of("steal"));
        [busy, iowait, steal, busy + iowait + steal + of("idle")]
    };
    let around = || {
        let before = seconds(&scraped(guest));
        let report = sensors.measure();
        (before, report, seconds(&scraped(guest)))
    };
    let (first, _, second) = around();
    guest.sh("timeout 4 bash -c 'while :; do :; done' || true").ok();
    let (third, report, fourth) = around();
    for (kind, metric) in ["cpu_percent", "iowait_percent", "steal_percent"].into_iter().enumerate() {
        let share = |part: f64, whole: f64| part * 100.0 / whole;
        let least = share(third[kind] - second[kind], fourth[3] - first[3]);
        let most = share(fourth[kind] - first[kind], third[3] - second[3]);
        let seen = report.value("cpu", metric);
        // a tick is a hundredth of a second, of each processor and kind; iowait is known to go back
        let slack = if metric == "iowait_percent" { 3.0 } else { 1.0 };
        assert!((least - slack..=most + slack).contains(&seen), "{metric}: {seen}, and the exporter says {least} to {most}");
    }
    assert!(report.value("cpu", "cpu_percent") > 1.0, "a processor was busy");
}

/// The exporter has the loads as they are, and of the pressure the sums: the last words of the lines whose first ones are these
/// sensors' averages.
#[track_caller]
pub(super) fn load_and_pressure(guest: &Guest, sensors: &Sensors<'_>) {
    guest.wait_until("what the exporter tells before and after a run is what the run told", || {
        let loads = |told: &str| ["node_load1 ", "node_load5 ", "node_load15 "].map(|name| exported(told, name));
        let before = loads(&scraped(guest));
        let report = sensors.measure();
        let is_still = loads(&scraped(guest)) == before;
        let seen = ["load1", "load5", "load15"].map(|metric| report.value("cpu", metric));
        assert!(!is_still || seen == before, "{seen:?}, and the exporter says {before:?}");
        is_still
    });
    // in microseconds, and whether the averages stood still
    let look = |resource: &str| {
        let line = guest.sh(&format!("grep ^some /proc/pressure/{resource}")).ok();
        let (averages, total) = line.split_once(" total=").unwrap();
        (averages.to_owned(), number(total) / 1e6)
    };
    for (resource, waits) in [("cpu", "cpu_waiting"), ("memory", "memory_waiting"), ("io", "io_waiting")] {
        guest.wait_until("the averages stand still", || {
            let (averages, least) = look(resource);
            let total = exported(&scraped(guest), &format!("node_pressure_{waits}_seconds_total "));
            let report = sensors.measure();
            let (again, most) = look(resource);
            assert!(least - 0.01 <= total && total <= most + 0.01, "{resource}: {total}, and /proc says {least} to {most}");
            let shown = |average: &str| report.value("pressure", &format!("psi_{resource}_{average}"));
            let seen = format!("some avg10={:.2} avg60={:.2} avg300={:.2}", shown("avg10"), shown("avg60"), shown("avg300"));
            assert!(again != averages || seen == averages, "{seen}, and /proc says {averages}");
            again == averages
        });
    }
}
