//! What a message says so that nobody has to log in: each fact of a real run, and none that is not its own.

use crate::alerts::Alert;
use crate::guest::{Guest, Options};

/// The only alert about this unit.
#[track_caller]
fn only(guest: &Guest, unit: &str) -> Alert {
    let alerts: Vec<_> = guest.alerts().into_iter().filter(|alert| alert.unit == unit).collect();
    assert_eq!(alerts.len(), 1, "{unit}: {alerts:#?}");
    alerts[0].clone()
}

#[track_caller]
fn lacks(alert: &Alert, labels: &[&str]) {
    for label in labels {
        assert!(!alert.text.contains(&format!("\n{label}  ")), "{label} in\n{}", alert.text);
    }
}

/// Runs these units to their ends, all at once.
fn run(guest: &Guest, units: &[(&str, &str)]) {
    for (unit, content) in units {
        guest.write_file(&format!("/etc/systemd/system/{unit}"), content);
    }
    guest.run(&["systemctl", "daemon-reload"]).ok();
    for (unit, _) in units {
        // they fail, as they should
        guest.run(&["systemctl", "start", "--no-block", unit]).ok();
    }
    for (unit, _) in units {
        guest.wait_until(&format!("{unit} has failed"), || guest.property(unit, "ActiveState") == "failed");
    }
    guest.quiet();
}

fn used_and_restarted(systemd: u32) {
    let guest = Guest::boot_on(systemd, "used", Options::new().watched());
    guest.begin("");
    run(
        &guest,
        &[
            ("busy.service", "[Service]\nLimitCPU=3s\nExecStart=/bin/sh -c 'while :; do :; done'\n"),
            ("idle.service", "[Service]\nExecStart=/bin/sh -c 'exit 1'\n"),
            (
                "again.service",
                "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nRestart=on-failure\nRestartSec=10ms\nExecStart=/bin/sh -c 'exit 1'\n",
            ),
        ],
    );
    let used = only(&guest, "busy.service").fact("Used").to_owned();
    // the limit counts in ticks of the kernel, systemd in nanoseconds
    let seconds: f64 = used.strip_suffix("s of CPU").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{used}"));
    assert!((2.0..4.0).contains(&seconds), "{used}");
    let idle = only(&guest, "idle.service");
    lacks(&idle, &["Used", "Out of memory", "Core dump", "Disk", "Disks"]);
    assert!(!idle.fact("Started by").contains("Restart"), "{}", idle.text);
    assert_eq!(only(&guest, "again.service").fact("Started by"), "systemd, as its Restart= says (restart 2)");
}

#[test]
fn what_a_run_used_and_how_often_it_was_started_again_on_252() {
    used_and_restarted(252);
}

#[test]
fn what_a_run_used_and_how_often_it_was_started_again_on_257() {
    used_and_restarted(257);
}

fn changes(systemd: u32) {
    let guest = Guest::boot_on(systemd, "changed", Options::new().watched());
    guest.begin("");
    let script = |status: u32| guest.write_file("/usr/local/bin/backup-job", &format!("exit {status}\n"));
    let unit = "[Service]\nType=oneshot\nExecStart=/bin/sh -e /usr/local/bin/backup-job\n";
    script(0);
    guest.write_file("/opt/app/1/app", "exit 0\n");
    guest.sh("ln -s 1 /opt/app/current").ok();
    guest.write_unit("backup.service", unit);
    guest.write_unit("app.service", &unit.replace("/usr/local/bin/backup-job", "/opt/app/current/app"));
    guest.sh("mkdir /opt/app/2; echo exit 4 >/opt/app/2/app; systemctl start backup.service app.service").ok();

    script(3);
    // as packages come: with the time of their making
    guest.sh("touch -d '2 years ago' /usr/local/bin/backup-job").ok();
    guest.write_unit("backup.service.d/50-nice.conf", "[Service]\nNice=5\n");
    // to a release that lay there before it last succeeded
    guest.sh("ln -sfn 2 /opt/app/current").ok();
    guest.run(&["systemctl", "start", "backup.service"]);
    guest.run(&["systemctl", "start", "app.service"]);
    guest.quiet();
    let backup = only(&guest, "backup.service");
    let changed: Vec<_> = backup.fact("Changed").split("; ").map(|file| file.split(", ").next().unwrap()).collect();
    assert_eq!(changed, ["/etc/systemd/system/backup.service.d/50-nice.conf", "/usr/local/bin/backup-job"], "{}", backup.text);
    let app = only(&guest, "app.service");
    assert!(app.fact("Changed").starts_with("/opt/app/current/app, "), "{}", app.text);
    assert!(!app.fact("Changed").contains(';'), "{}", app.text);
}

#[test]
fn what_changed_since_the_last_success_on_252() {
    changes(252);
}

#[test]
fn what_changed_since_the_last_success_on_257() {
    changes(257);
}

fn disks(systemd: u32) {
    let guest = Guest::boot_on(systemd, "disks", Options::new().watched());
    guest.begin("");
    guest.sh(
        "mkdir -p '/srv/no room' /srv/few
        mount -t tmpfs -o size=1M tmpfs '/srv/no room'; mount -t tmpfs -o size=1M,nr_inodes=3 tmpfs /srv/few; mount -t tmpfs -o size=1M,mode=777 tmpfs /var/tmp",
    )
    .ok();
    let said =
        |path: &str| format!("[Service]\nExecStart=/bin/sh -c 'echo \"{path}: No space left on device\"; sleep 0.1; exit 1'\n");
    run(
        &guest,
        &[
            ("full.service", "[Service]\nExecStart=/bin/dd if=/dev/zero \"of=/srv/no room/data\" bs=64k\n"),
            ("few.service", "[Service]\nExecStart=/bin/sh -c 'touch /srv/few/1 /srv/few/2 /srv/few/3'\n"),
            // the sandbox of dispatch has an empty one of its own in its place
            ("hidden.service", &said("/var/tmp/x")),
            ("silent.service", "[Service]\nExecStart=/bin/sh -c 'exit 1'\n"),
        ],
    );
    assert_eq!(only(&guest, "full.service").fact("Disk"), "/srv/no room: full (0 bytes free of 1 MiB)");
    let few = only(&guest, "few.service");
    assert_eq!(few.fact("Disk"), "/srv/few: 1 MiB free of 1 MiB, and it can hold no more files than its 3");
    lacks(&only(&guest, "hidden.service"), &["Disk", "Disks"]);
    lacks(&only(&guest, "silent.service"), &["Disk", "Disks"]);
}

#[test]
fn the_disk_that_is_full_on_252() {
    disks(252);
}

#[test]
fn the_disk_that_is_full_on_257() {
    disks(257);
}

/// Writes what the kernel wrote (Linux 6.18) when a process of a unit came to its limit, into a pipe in the place of /dev/kmsg,
/// which a guest does not have; journald reads it from there as it does from the kernel.
const OOM: &str = r#"
say() { printf '6,%s,23471149055,-;%s\n' "$1" "$2" >/dev/kmsg; sleep 0.2; }
group=/system.slice/$1
say 1000001 "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=$group,task_memcg=$group,task=python3,pid=$$,uid=0"
say 1000002 "Memory cgroup out of memory: Killed process $$ (python3) total-vm:75160kB, anon-rss:19312kB, file-rss:6552kB, shmem-rss:0kB, UID:0 pgtables:96kB oom_score_adj:0"
kill -KILL $$
"#;

/// Writes what systemd-coredump 252 wrote, as it did and where it did: late, in its slice. A moment later the next run of the unit
/// seems to crash, too.
const CORE: &str = r#"
cat >/run/core-entry <<END
MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1
PRIORITY=2
COREDUMP_UNIT=$1
COREDUMP_PID=$$
COREDUMP_TIMESTAMP=$(date +%s)000000
COREDUMP_SIGNAL=11
COREDUMP_SIGNAL_NAME=SIGSEGV
COREDUMP_COMM=crash
COREDUMP_EXE=/usr/local/bin/crash
COREDUMP_FILENAME=/var/lib/systemd/coredump/core.crash.0.0e9090a7db964d06abb9e09ad35cddb7.$$.1795265965000000.zst
MESSAGE=Process $$ (crash) of user 0 dumped core.
MESSAGE=
MESSAGE=Stack trace of thread $$:
MESSAGE=#0  0x000055ad36883145 inner (crash + 0x1145)
MESSAGE=#1  0x000055ad36883172 main (crash + 0x1172)
MESSAGE=#2  0x00007f250a22424a __libc_start_call_main (libc.so.6 + 0x2724a)
END
systemd-run --quiet --no-block --unit=systemd-coredump@1.service --slice='system-systemd\x2dcoredump.slice' \
    /bin/sh -c 'sleep 0.4; logger --journald </run/core-entry; sleep 0.1;
        sed "s/^COREDUMP_PID=.*/COREDUMP_PID=1/; s/^COREDUMP_TIMESTAMP=.*/&0/" /run/core-entry | logger --journald; sleep 5'
kill -SEGV $$
"#;

fn deaths(systemd: u32) {
    let guest = Guest::boot_on(systemd, "deaths", Options::new().watched());
    // journald itself writes there when it starts: somebody must hold the pipe open
    guest
        .sh("mkfifo /dev/kmsg
            systemd-run --quiet --unit=pipe sh -c 'exec 3<>/dev/kmsg; touch /run/held; exec sleep infinity'
            until test -e /run/held; do sleep 0.05; done
            systemctl restart systemd-journald
            touch /run/systemd/coredump")
        .ok();
    guest.begin("");
    guest.write_file("/usr/local/bin/oom", OOM);
    guest.write_file("/usr/local/bin/crash", CORE);
    // what anybody can write
    guest.write_file(
        "/usr/local/bin/forge",
        &format!(
            "{}exit 1\n",
            CORE.split("systemd-run").next().unwrap().replace("/run/core-entry", "/tmp/forged")
                + "logger --journald </tmp/forged; sleep 0.2; "
        ),
    );
    run(
        &guest,
        &[
            ("oom.service", "[Service]\nMemoryMax=100M\nExecStart=/bin/sh /usr/local/bin/oom oom.service\n"),
            ("crash.service", "[Service]\nLimitCORE=infinity\nExecStart=/bin/sh /usr/local/bin/crash crash.service\n"),
            ("forge.service", "[Service]\nUser=nobody\nExecStart=/bin/sh /usr/local/bin/forge forge.service\n"),
        ],
    );
    let pid = |unit: &str| guest.property(unit, "ExecMainPID");
    let oom = only(&guest, "oom.service");
    let expected = format!(
        "the kernel killed python3 (PID {}) while it held 25.2 MiB: the unit had reached its limit of 100 MiB",
        pid("oom.service")
    );
    assert_eq!(oom.fact("Out of memory"), expected, "{}", oom.text);
    let crash = only(&guest, "crash.service");
    let pid = pid("crash.service");
    let expected = format!("/usr/local/bin/crash (PID {pid}), SIGSEGV in inner, called from main; the core is kept");
    assert_eq!(crash.fact("Core dump"), expected, "{}", crash.text);
    assert!(crash.text.contains(&format!("\n    coredumpctl info {pid}\n")), "{}", crash.text);
    for (alert, labels) in [(&oom, ["Core dump"]), (&crash, ["Out of memory"])] {
        lacks(alert, &labels);
    }
    let forged = guest.journal(&["COREDUMP_UNIT=forge.service"]);
    assert!(forged.contains("dumped core"), "it was not forged: {forged}");
    lacks(&only(&guest, "forge.service"), &["Core dump", "Out of memory"]);
}

#[test]
fn who_was_killed_and_who_crashed_on_252() {
    deaths(252);
}

#[test]
fn who_was_killed_and_who_crashed_on_257() {
    deaths(257);
}
