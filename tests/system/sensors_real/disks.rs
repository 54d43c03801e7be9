//! File systems that are filled and turned read-only; and the figures of `df`, `free` and `/proc`.

use serde_json::{Value, json};

use super::figures::{exported, listed, load_and_pressure, processors, scraped, units};
use super::{DISKS, OPTIONS, Sensors, number, table};
use crate::guest::{Guest, Options};

fn figures(systemd: u32) {
    let guest = Guest::boot_on(systemd, "figures", Options::new());
    guest.sh(DISKS).ok();
    let sensors = Sensors::new(&guest, "");

    // df: what nobody writes to is the same to the byte, and of the root, into which the guest logs, nearly
    let report = sensors.measure();
    for (mount, slack) in [("/srv/bytes", 0.0), ("/srv/files", 0.0), ("/", 64e6)] {
        let bytes = &table(&guest, &format!("df -B1 --output=size,used,avail,pcent {mount}"))[0];
        let inodes = &table(&guest, &format!("df --output=itotal,iused,iavail,ipcent {mount}"))[0];
        for (metric, shown, slack) in [
            ("bytes_total", &bytes[0], 0.0),
            ("bytes_used", &bytes[1], slack),
            ("bytes_free", &bytes[2], slack),
            ("inodes_total", &inodes[0], 0.0),
            ("inodes_used", &inodes[1], slack / 1e5),
            ("inodes_free", &inodes[2], slack / 1e5),
        ] {
            let value = report.value("storage", &format!("{mount} {metric}"));
            assert!((value - number(shown)).abs() <= slack, "{mount} {metric}: {value}, and df says {shown}");
        }
        // df rounds up
        for (metric, shown) in [("bytes_used_percent", &bytes[3]), ("inodes_used_percent", &inodes[3])] {
            let value = report.value("storage", &format!("{mount} {metric}"));
            assert!((value.ceil() - number(shown)).abs() <= slack.min(1.0), "{mount} {metric}: {value}, and df says {shown}");
        }
    }
    assert!(report.value("storage", "/srv/two words bytes_total") > 0.0);
    let mounts: Vec<_> = report.sensor("storage")["metrics"].as_object().unwrap().keys().cloned().collect();
    assert!(
        !mounts.iter().any(|mount| ["/proc", "/sys", "/dev", "/run"].iter().any(|system| mount.starts_with(system))),
        "{mounts:?}"
    );

    listed(&sensors, &report);
    units(&guest, &sensors);

    // free: within what programs take and give back meanwhile
    let memory = &table(&guest, "free -b")[0];
    let (total, available) = (number(&memory[1]), number(&memory[6]));
    let seen = report.value("memory", "memory_available_bytes");
    assert!((seen - available).abs() < total / 20.0, "{seen}, and free says {available} of {total}");
    let percent = report.value("memory", "memory_used_percent");
    assert!((percent - (total - available) * 100.0 / total).abs() < 5.0, "{percent}, and free says {available} of {total}");

    // /proc: in a moment in which it stands still
    guest.wait_until("what /proc tells before and after a run is what the run told", || {
        let look = || {
            guest
                .sh("cut -d' ' -f1-3 /proc/loadavg; cd /proc/pressure; cat cpu memory io | grep ^some | sed 's/ total=.*//'")
                .ok()
        };
        let before = look();
        let report = sensors.measure();
        if look() != before {
            return false;
        }
        let mut lines = before.lines();
        let load: Vec<f64> = lines.next().unwrap().split(' ').map(number).collect();
        assert_eq!(load, ["load1", "load5", "load15"].map(|metric| report.value("cpu", metric)));
        for resource in ["cpu", "memory", "io"] {
            let line = lines.next().unwrap();
            for average in ["avg10", "avg60", "avg300"] {
                let shown = line.split(' ').find_map(|word| word.strip_prefix(&format!("{average}="))).unwrap();
                assert_eq!(report.value("pressure", &format!("psi_{resource}_{average}")), number(shown), "{resource} {average}");
            }
        }
        true
    });
}

#[test]
fn figures_are_those_of_df_free_and_proc_on_252() {
    figures(252);
}

#[test]
fn figures_are_those_of_df_free_and_proc_on_257() {
    figures(257);
}

/// The exporter that fleets have counts the same.
#[test]
fn figures_are_those_of_node_exporter() {
    let guest = Guest::boot("exporter", Options::new());
    guest.sh(DISKS).ok();
    guest
        .sh("systemd-run --quiet --unit=exporter prometheus-node-exporter --web.listen-address=127.0.0.1:9100 \
        --collector.disable-defaults --collector.filesystem --collector.meminfo --collector.loadavg --collector.cpu \
        --collector.pressure")
        .ok();
    guest.wait_until("the exporter answers", || guest.sh("curl -sf http://127.0.0.1:9100/metrics").success());
    let sensors = Sensors::new(&guest, "");
    let report = sensors.measure();
    let told = scraped(&guest);
    let figure = |name: &str| exported(&told, name);
    for mount in ["/srv/bytes", "/srv/files"] {
        let of =
            |name: &str| figure(&format!("node_filesystem_{name}{{device=\"tmpfs\",fstype=\"tmpfs\",mountpoint=\"{mount}\"}}"));
        for (metric, figure) in [
            ("bytes_total", of("size_bytes")),
            ("bytes_free", of("avail_bytes")),
            ("inodes_total", of("files")),
            ("inodes_free", of("files_free")),
            ("read_only", of("readonly")),
        ] {
            assert_eq!(report.value("storage", &format!("{mount} {metric}")), figure, "{mount} {metric}");
        }
    }
    let (seen, figure) = (report.value("memory", "memory_available_bytes"), figure("node_memory_MemAvailable_bytes"));
    assert!((seen / figure - 1.0).abs() < 0.05, "{seen} {figure}");
    processors(&guest, &sensors);
    load_and_pressure(&guest, &sensors);
}

fn filled(systemd: u32) {
    let guest = Guest::boot_on(systemd, "filled", Options::new());
    guest.sh(DISKS).ok();
    let sensors = Sensors::new(&guest, "");
    let report = sensors.measure();
    assert_eq!((report.status, report.anomalies()), (0, vec![]), "{:#}", report.json);
    guest.sh("head -c 15600000 /dev/zero >/srv/bytes/x; for n in $(seq 190); do : >/srv/files/$n; done").ok();
    let report = sensors.measure();
    assert_eq!(report.anomalies(), ["storage /srv/bytes low_disk", "storage /srv/files low_inodes"]);
    assert_eq!(report.status, 1, "a warning: {:#}", report.json);
    guest.sh("cat /dev/zero >/srv/bytes/x || true; rm /srv/files/*; mount -o remount,ro '/srv/two words'").ok();
    let report = sensors.measure();
    assert_eq!(report.anomalies(), ["storage /srv/bytes low_disk", "storage /srv/two words read_only"]);
    assert_eq!(report.value("storage", "/srv/bytes bytes_used_percent"), 100.0);
    assert_eq!(report.status, 2, "critical: {:#}", report.json);
    assert!(report.details("storage").contains("it takes nothing any more"), "{}", report.details("storage"));
    guest.sh("rm /srv/bytes/x; mount -o remount,rw '/srv/two words'").ok();
    let report = sensors.measure();
    assert_eq!((report.status, report.anomalies()), (0, vec![]));

    // several runs at once find it full: each reports, and it is recorded once
    let before = sensors.sysalert(&["history", "check:storage:/srv/bytes:low_disk", "-o", "json"]).json();
    guest.sh("head -c 15600000 /dev/zero >/srv/bytes/x").ok();
    let run = format!("sysalert {} check sensors --report json", OPTIONS.join(" "));
    let each = format!("{{ s=0; {run} >/tmp/$n.json || s=$?; echo $s >/tmp/$n.status; }}");
    guest.sh(&format!("for n in {{1..6}}; do {each} & done; wait")).ok();
    for n in 1..=6 {
        let status = number(guest.read_file(&format!("/tmp/{n}.status")).trim());
        let report: Value = serde_json::from_str(&guest.read_file(&format!("/tmp/{n}.json"))).unwrap();
        let used = report["monitors"]["storage"]["metrics"]["/srv/bytes"]["bytes_used_percent"].as_f64();
        assert!(status <= 1.0 && used.is_some_and(|used| used > 90.0), "{n} ends with {status}: {report:#}");
    }
    let after = sensors.sysalert(&["history", "check:storage:/srv/bytes:low_disk", "-o", "json"]).json();
    let events = |history: &Value| history.as_array().unwrap_or_else(|| panic!("{history:#}")).len();
    assert_eq!(events(&after), events(&before) + 1, "{after:#}");
    let row = sensors.sysalert(&["db", "list", "--unit", "check:storage:/srv/bytes:*", "-o", "json"]).json();
    assert_eq!((row.as_array().unwrap().len(), &row[0]["failures"]), (1, &json!(1)), "{row:#}");
    sensors.sysalert(&["db", "check"]).ok();
    let report = sensors.measure();
    assert_eq!(report.anomalies(), ["storage /srv/bytes low_disk"]);
    assert!(report.value("cpu", "cpu_percent") >= 0.0, "what each run needs of the one before is there");
}

#[test]
fn a_disk_that_is_filled_and_one_that_turns_read_only_on_252() {
    filled(252);
}

#[test]
fn a_disk_that_is_filled_and_one_that_turns_read_only_on_257() {
    filled(257);
}
