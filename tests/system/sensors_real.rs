//! Sensors against the real thing: file systems that are filled, turned read-only and hang, an SSH server and logins that fail,
//! a task that waits for ever, the kernel's words, Debian's own plugins; and the figures of `df`, `free` and `/proc`.

mod figures;
mod logs;

use std::process::Command;

use serde_json::{Value, json};

use crate::guest::{Guest, Options, Output};
use figures::{exported, listed, load_and_pressure, processors, scraped, units};

/// Runs of the sensors with a configuration and a record of their own, beside whatever else runs in the guest.
struct Sensors<'a> {
    guest: &'a Guest,
}

/// A report, and the exit status that came with it.
struct Report {
    status: i32,
    json: Value,
}

impl<'a> Sensors<'a> {
    fn new(guest: &'a Guest, config: &str) -> Self {
        let each = ["cpu", "memory", "storage", "pressure", "iostuck", "ssh", "units"];
        let always: String = each
            .iter()
            .filter(|name| !config.contains(&format!("[sensor.{name}]")))
            .fold(String::new(), |all, name| all + &format!("[sensor.{name}]\nevery = \"0s\"\n"));
        // a busy machine is none of these tests' business
        let rules = [("cpu", "high_cpu"), ("cpu", "high_steal"), ("pressure", "memory_pressure"), ("pressure", "io_pressure")];
        let rules = rules.iter().chain(&[("memory", "low_memory"), ("memory", "swap_full"), ("memory", "out_of_memory")]);
        let quiet: String =
            rules.map(|(sensor, rule)| format!("[[sensor.{sensor}.rule]]\nname = \"{rule}\"\nenabled = false\n")).collect();
        let config = format!("[services]\ngrace_after_boot = \"0s\"\n{config}\n{always}{quiet}");
        guest.write_file("/srv/sensors.toml", &config);
        guest.sh("mkdir -p /srv/state").ok();
        Self { guest }
    }

    #[track_caller]
    fn sysalert(&self, arguments: &[&str]) -> Output {
        self.guest.sysalert(&[&OPTIONS[..], arguments].concat())
    }

    #[track_caller]
    fn measure(&self) -> Report {
        Report::read(&self.sysalert(&["check", "sensors", "--report", "json"]))
    }
}

const OPTIONS: [&str; 4] = ["--config", "/srv/sensors.toml", "--state-dir", "/srv/state"];

impl Report {
    #[track_caller]
    fn read(output: &Output) -> Report {
        let json = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"));
        Report { status: output.status, json }
    }

    fn sensor(&self, sensor: &str) -> &Value {
        &self.json["monitors"][sensor]
    }

    /// A value; one of an instance by "/srv/a bytes_used".
    #[track_caller]
    fn value(&self, sensor: &str, metric: &str) -> f64 {
        let metrics = &self.sensor(sensor)["metrics"];
        let found = match metric.rsplit_once(' ') {
            Some((instance, metric)) => &metrics[instance][metric],
            None => &metrics[metric],
        };
        found.as_f64().unwrap_or_else(|| panic!("{sensor} has no {metric}: {:#}", self.sensor(sensor)))
    }

    fn details(&self, sensor: &str) -> String {
        self.sensor(sensor)["details"].to_string()
    }

    /// The rules that speak: "storage /srv/a low_disk".
    fn anomalies(&self) -> Vec<String> {
        let monitors = self.json["monitors"].as_object().unwrap();
        let told = |name: &str, one: &Value| {
            let part = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            [name.to_owned(), part("instance"), part("rule_name")]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        };
        monitors
            .iter()
            .flat_map(|(name, one)| one["anomalies"].as_array().unwrap().iter().map(move |one| told(name, one)))
            .collect()
    }
}

/// The words of each line of a command's output, without the heading.
#[track_caller]
fn table(guest: &Guest, command: &str) -> Vec<Vec<String>> {
    let lines = guest.sh(command).ok();
    lines.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

#[track_caller]
fn number(text: &str) -> f64 {
    text.trim_end_matches('%').parse().unwrap_or_else(|_| panic!("{text}"))
}

/// Three file systems: bytes are taken, files are taken, nothing is.
const DISKS: &str = "mkdir -p /srv/bytes /srv/files '/srv/two words'
    mount -t tmpfs -o size=16M tmpfs /srv/bytes; head -c 12345678 /dev/zero >/srv/bytes/x
    mount -t tmpfs -o size=16M,nr_inodes=200 tmpfs /srv/files; for n in $(seq 100); do : >/srv/files/$n; done
    mount -t tmpfs -o size=16M tmpfs '/srv/two words'";

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

fn hangs(systemd: u32) {
    let guest = Guest::boot_on(systemd, "hangs", Options::new().fuse());
    guest.sh(DISKS).ok();
    // a server of one's own instead of a network: its process is what is stopped
    guest.write_file("/srv/server", "#!/bin/sh\necho $$ >/srv/server.pid\nexec /usr/lib/openssh/sftp-server\n");
    guest.sh("chmod +x /srv/server; mkdir /mnt/far; sshfs -o allow_other,ssh_command=/srv/server far:/srv /mnt/far >/dev/null 2>&1").ok();
    let sensors = Sensors::new(&guest, "[sensor.storage]\nevery = \"0s\"\ntimeout = \"1s\"\n");
    assert!(sensors.measure().value("storage", "/mnt/far bytes_total") > 0.0);

    guest.sh("kill -STOP $(cat /srv/server.pid)").ok();
    for why in ["does not answer within 1s", "has not answered since "] {
        let began = std::time::Instant::now();
        let report = sensors.measure();
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
        let missing = &report.sensor("storage")["missing"];
        assert_eq!((missing.as_array().unwrap().len(), &missing[0]["instance"]), (1, &json!("/mnt/far")));
        assert!(missing[0]["why"].as_str().unwrap().starts_with(&format!("/mnt/far {why}")), "{missing:#}");
        assert!(report.value("storage", "/srv/bytes bytes_total") > 0.0, "the others are measured");
        assert_eq!(report.anomalies(), Vec::<String>::new());
    }
    // the installed unit ends well, and leaves no more than one behind
    for _ in 0..2 {
        guest.run(&["systemctl", "start", "sysalert-check@sensors.service"]).ok();
        guest.wait_until("the check has ended", || guest.property("sysalert-check@sensors.service", "ActiveState") == "inactive");
        assert_eq!(guest.property("sysalert-check@sensors.service", "Result"), "success");
    }
    let waiting = guest.sh("ps -eo args | grep -c '^/usr/bin/stat --file-system'").ok();
    assert_eq!(waiting, "2", "one of each record");
    guest.sh("kill -CONT $(cat /srv/server.pid)").ok();
    guest.wait_until("nobody waits any more", || !guest.sh("ps -eo args | grep '^/usr/bin/stat --file-system'").success());
    assert!(sensors.measure().value("storage", "/mnt/far bytes_total") > 0.0);
    guest.sh("umount /mnt/far").ok();
    let report = sensors.measure();
    assert!(report.sensor("storage")["metrics"]["/mnt/far"].is_null(), "{:#}", report.sensor("storage"));
}

#[test]
fn a_mount_whose_server_hangs_holds_up_nothing_on_252() {
    hangs(252);
}

#[test]
fn a_mount_whose_server_hangs_holds_up_nothing_on_257() {
    hangs(257);
}

/// The client asks nobody, and trusts every server.
const SSH: &str =
    "ssh -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o NumberOfPasswordPrompts=1";

fn logins(systemd: u32) {
    let guest = Guest::boot_on(systemd, "logins", Options::new());
    guest
        .sh("ssh-keygen -A >/dev/null; useradd -m alice; echo alice:right | chpasswd; ssh-keygen -q -t ed25519 -N '' -f /root/key
        ip link set lo up")
        .ok();
    guest.write_file("/srv/sshd_config", "Port 2222\nUsePAM yes\nKbdInteractiveAuthentication yes\nMaxStartups 100\n");
    guest.write_unit("login.service", "[Service]\nRuntimeDirectory=sshd\nExecStart=/usr/sbin/sshd -D -f /srv/sshd_config\n");
    guest.run(&["systemctl", "start", "login.service"]).ok();
    guest.wait_until("the server listens", || guest.sh("exec 3<>/dev/tcp/127.0.0.1/2222; read -r -t 5 line <&3").success());
    let sensors = Sensors::new(&guest, "[sensor.ssh]\nevery = \"0s\"\nduration = \"10m\"\n");
    assert_eq!(sensors.measure().value("ssh", "failed_logins"), 0.0);

    let password = |method: &str, who: &str| {
        let login = guest
            .sh(&format!("sshpass -p wrong {SSH} -o PreferredAuthentications={method} -o PubkeyAuthentication=no {who} true"));
        assert!(!login.success(), "{login}");
    };
    let right = guest.sh(&format!("sshpass -p right {SSH} -o PreferredAuthentications=password alice@127.0.0.1 true"));
    assert!(right.success(), "the server works: {right}");
    password("password", "alice@127.0.0.1");
    password("password", "alice@::1");
    password("password", "nosuch@127.0.0.1");
    password("keyboard-interactive", "alice@127.0.0.1");
    password("password", "-l 'x from 1.2.3.4 port 5 ssh2' 127.0.0.1");
    assert!(!guest.sh(&format!("{SSH} -i /root/key -o BatchMode=yes alice@127.0.0.1 true")).success());
    assert!(!guest.sh(&format!("{SSH} -i /root/key -o BatchMode=yes nosuch@::1 true")).success());
    // who asks for nothing does not try to log in; and no user writes as the server
    // (the server may already refuse whoever failed so often)
    guest.sh("exec 3<>/dev/tcp/127.0.0.1/2222; read -r -t 5 line <&3; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; exec 3>&-");
    guest.sh("runuser -u alice -- logger -t sshd 'Failed password for root from 6.6.6.6 port 5 ssh2'").ok();
    // it writes the last of it when the client is gone
    guest.wait_until("the server has written it all", || sensors.measure().value("ssh", "failed_logins") >= 7.0);
    guest.run(&["journalctl", "--sync"]).ok();

    let report = sensors.measure();
    let details = report.details("ssh");
    assert_eq!(report.value("ssh", "failed_logins"), 7.0, "{details}\n{}", guest.journal(&["-t", "sshd", "-t", "sshd-session"]));
    assert_eq!(report.anomalies(), ["ssh failed_logins"]);
    assert_eq!(report.status, 1);
    assert!(
        details.contains("5 failed logins from 127.0.0.1 as alice (3), nosuch (1), x from 1.2.3.4 port 5 ssh2 (1);"),
        "{details}"
    );
    assert!(details.contains("2 failed logins from ::1 as alice (1), nosuch (1);"), "{details}");
    assert!(!details.contains("6.6.6.6"), "{details}");
    let again = sensors.measure();
    assert_eq!(again.value("ssh", "failed_logins"), 7.0, "no line is counted twice");
}

#[test]
fn logins_that_fail_at_a_real_server_on_252() {
    logins(252);
}

#[test]
fn logins_that_fail_at_a_real_server_on_257() {
    logins(257);
}

/// The parent of a child that `vfork` made waits uninterruptibly until that ends: compiled here, since no guest has a compiler.
fn waiting_program() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = "#include <unistd.h>\nint main(void) { if (vfork() == 0) { pause(); _exit(0); } return 0; }\n";
    std::fs::write(folder.path().join("waits.c"), source).unwrap();
    let built = Command::new("gcc").args(["-w", "-o", "waits", "waits.c"]).current_dir(folder.path()).status().unwrap();
    assert!(built.success());
    folder
}

fn stuck(systemd: u32) {
    let guest = Guest::boot_on(systemd, "stuck", Options::new());
    let program = waiting_program();
    guest.copy(&program.path().join("waits"), "/srv/(a b");
    let sensors = Sensors::new(&guest, "");
    assert_eq!(sensors.measure().value("iostuck", "d_state_task_count"), 0.0);
    guest.write_unit("waits.service", "[Service]\nExecStart=\"/srv/(a b\"\nKillMode=mixed\n");
    guest.run(&["systemctl", "start", "waits.service"]).ok();
    guest.wait_until("the task is seen to stay", || sensors.measure().value("iostuck", "d_state_task_count") == 1.0);
    let report = sensors.measure();
    assert!(report.details("iostuck").contains("(a b ("), "{}", report.details("iostuck"));
    assert!(report.details("iostuck").contains("waits, and has not run since"), "{}", report.details("iostuck"));
    guest.wait_until("the rule speaks", || sensors.measure().anomalies() == ["iostuck stuck_task"]);
    guest.run(&["systemctl", "kill", "--signal=KILL", "waits.service"]).ok();
    guest.wait_until("it is over", || sensors.measure().value("iostuck", "d_state_task_count") == 0.0);
}

#[test]
fn a_task_that_really_waits_on_252() {
    stuck(252);
}

#[test]
fn a_task_that_really_waits_on_257() {
    stuck(257);
}

/// A journal in which the kernel says this; no guest has a kernel of its own.
fn kernel_says(guest: &Guest, name: &str, lines: &[&str]) {
    let now: u64 = guest.sh("date +%s%6N").ok().parse().unwrap();
    let up: u64 = guest.sh("awk '{ printf \"%.0f\", $1 * 1000000 }' /proc/uptime").ok().parse().unwrap();
    let boot = guest.sh("tr -d - </proc/sys/kernel/random/boot_id").ok();
    let machine = guest.read_file("/etc/machine-id");
    let entry = |(number, line): (u64, &&str)| {
        format!(
            "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID={boot}\n_TRANSPORT=kernel\n\
             SYSLOG_IDENTIFIER=kernel\nPRIORITY=3\nMESSAGE={line}\n\n",
            now + number,
            up + number
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let export: String = (0..).zip(lines).map(entry).collect();
    std::fs::write(folder.path().join("export"), export).unwrap();
    let file = folder.path().join(name);
    let made = Command::new("/lib/systemd/systemd-journal-remote")
        .arg("-o")
        .arg(&file)
        .arg(folder.path().join("export"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let place = format!("/var/log/journal/{}", machine.trim());
    guest.sh(&format!("mkdir -p {place}")).ok();
    guest.copy(&file, &format!("{place}/{name}"));
}

fn kernel(systemd: u32) {
    let guest = Guest::boot_on(systemd, "kernel", Options::new());
    let sensors = Sensors::new(&guest, "");
    kernel_says(
        &guest,
        "kernel-1.journal",
        &[
            "INFO: task jbd2/sda1-8:345 blocked for more than 120 seconds.",
            "      Not tainted 6.1.0-13-amd64 #1 Debian 6.1.55-1",
            "INFO: task dd:4711 blocked in I/O wait for more than 122 seconds.",
            "INFO: task dd:4711 blocked in I/O wait for more than 245 seconds.",
        ],
    );
    // what a program writes is not the kernel's
    guest.sh("logger -t kernel 'INFO: task forged:1 blocked for more than 120 seconds.'; journalctl --sync").ok();
    let report = sensors.measure();
    assert_eq!(report.value("iostuck", "hung_task_count"), 2.0, "{:#}", report.sensor("iostuck"));
    assert_eq!(report.anomalies(), ["iostuck hung_task"]);
    assert!(
        report.details("iostuck").contains("dd (4711) was blocked for more than 245 seconds at "),
        "{}",
        report.details("iostuck")
    );
    assert_eq!(sensors.measure().value("iostuck", "hung_task_count"), 0.0, "each line counts once");
    kernel_says(&guest, "kernel-2.journal", &["INFO: task cp:12 blocked for more than 120 seconds."]);
    assert_eq!(sensors.measure().value("iostuck", "hung_task_count"), 1.0);
}

#[test]
fn tasks_that_the_kernel_calls_hung_on_252() {
    kernel(252);
}

#[test]
fn tasks_that_the_kernel_calls_hung_on_257() {
    kernel(257);
}

fn plugins(systemd: u32) {
    let guest = Guest::boot_on(systemd, "plugins7", Options::new());
    guest.sh(DISKS).ok();
    let command = |name: &str, command: &str| {
        let words: Vec<String> = command.split(' ').map(|word| format!("\"{word}\"")).collect();
        let program = words.join(", ").replacen('"', "\"/usr/lib/nagios/plugins/", 1);
        format!("[sensor.command.{name}]\nevery = \"0s\"\ntimeout = \"1s\"\ncommand = [{program}]\n")
    };
    let config = [
        command("load", "check_load -w 1000,1000,1000 -c 2000,2000,2000"),
        command("disk", "check_disk -w 100% -c 0% -p /srv/bytes"),
        command("procs", "check_procs -c 0:0"),
        command("dummy", "check_dummy 3 nobody knows"),
        "[sensor.command.slow]\nevery = \"0s\"\ntimeout = \"1s\"\ncommand = [\"/bin/sleep\", \"300\"]\n".to_owned(),
        "[sensor.command.none]\nevery = \"0s\"\ncommand = [\"/nowhere/check\"]\n".to_owned(),
        "[[sensor.command.load.rule]]\nname = \"busy\"\nmetric = \"load1\"\nop = \"gte\"\nvalue = 0\n".to_owned(),
    ];
    let report = Sensors::new(&guest, &config.concat()).measure();
    for (name, status) in [("load", 0.0), ("disk", 1.0), ("procs", 2.0), ("dummy", 3.0), ("slow", 3.0)] {
        let sensor = format!("command.{name}");
        assert_eq!(report.value(&sensor, "status"), status, "{:#}", report.sensor(&sensor));
    }
    for metric in ["load1", "load5", "load15"] {
        let (load, of_proc) = (report.value("command.load", metric), report.value("cpu", metric));
        assert!((load - of_proc).abs() < 0.5, "{metric}: {load}, and /proc says {of_proc}");
    }
    assert!(report.details("command.load").contains("load average: "), "{}", report.details("command.load"));
    assert!(
        report.details("command.slow").contains("it took longer than 1s, and was killed"),
        "{}",
        report.details("command.slow")
    );
    assert!(
        report.sensor("command.none").to_string().contains("/nowhere/check cannot be started"),
        "{:#}",
        report.sensor("command.none")
    );
    let mut spoken = report.anomalies();
    spoken.retain(|rule| rule.starts_with("command"));
    assert_eq!(
        spoken,
        ["command.disk failed", "command.dummy failed", "command.load busy", "command.procs failed", "command.slow failed"]
    );
    assert_eq!(report.status, 2);
    assert!(!guest.sh("ps -eo args | grep -x '/bin/sleep 300'").success(), "it is killed");
    in_the_unit(&guest);
}

/// What such programs need and leave behind, as the unit runs them.
#[track_caller]
fn in_the_unit(guest: &Guest) {
    let shell = |name: &str, script: &str| {
        format!("[sensor.command.{name}]\nevery = \"0s\"\ntimeout = \"2s\"\ncommand = [\"/bin/sh\", \"-c\", \"{script}\"]\n")
    };
    let config = [
        "[sensors]\nreport_dir = \"/var/lib/sysalert/reports\"\n[services]\ngrace_after_boot = \"0s\"\n".to_owned(),
        shell("temporary", "rm $(mktemp) $(mktemp -p /var/tmp) && echo there is room"),
        shell("ping", "ping -q -c 1 127.0.0.1 2>&1"),
        shell("leaves", "setsid sleep 4711 & setsid sh -c 'setsid sleep 4712 & exec sleep 4713' & exit 0"),
        shell("hangs", "setsid sleep 4714 & sleep 4715"),
    ];
    guest.begin(&config.concat());
    // as 50-default.conf has it
    guest.sh("echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range").ok();
    let started = guest.run(&["systemctl", "start", "sysalert-check@sensors.service"]);
    assert!(started.success(), "{started}{}", guest.journal(&["-u", "sysalert-check@sensors.service"]));
    let report = guest.sh("cat /var/lib/sysalert/reports/sensors-*.json").ok();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let of = |name: &str| report["monitors"][format!("command.{name}")].to_string();
    assert!(of("temporary").contains("there is room"), "{}", of("temporary"));
    assert!(of("ping").contains("1 received"), "{}", of("ping"));
    assert!(of("hangs").contains("it took longer than 2s, and was killed"), "{}", of("hangs"));
    let left = guest.sh("pgrep -af 'sleep 471[1-5]'");
    assert!(!left.success(), "left behind: {}", left.stdout);
}

#[test]
fn debians_own_plugins_on_252() {
    plugins(252);
}

#[test]
fn debians_own_plugins_on_257() {
    plugins(257);
}
