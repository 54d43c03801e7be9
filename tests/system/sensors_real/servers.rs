//! A server that hangs behind a mount, and one at which logins fail.

use serde_json::json;

use super::{DISKS, Sensors};
use crate::guest::{Guest, Options};

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
