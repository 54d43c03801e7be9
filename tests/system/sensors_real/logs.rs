//! Log files, as somebody reads them who may read no journal.

use serde_json::json;

use super::{Report, Sensors};
use crate::guest::{Guest, Options};

/// Somebody who may read the logs and no journal, beside a real logrotate: what is rotated between two runs is counted once.
#[test]
fn logs_that_logrotate_rotates() {
    let guest = Guest::boot("logs", Options::new());
    guest.sh("useradd --create-home reader; mkdir /var/log/own; chgrp reader /var/log/own").ok();
    let config = "[sensor.ssh]\nevery = \"0s\"\nduration = \"10m\"\nlog_file = \"/var/log/own/auth.log\"\n";
    Sensors::new(&guest, config);
    let options = ["--config", "/srv/sensors.toml", "--state-dir", "/home/reader/state"];
    let measure = || {
        Report::read(&guest.run_as("reader", &[&["sysalert"], &options[..], &["check", "sensors", "--report", "json"]].concat()))
    };
    let write = |number: usize| {
        guest
            .sh(&format!(
                "now=$(date +%FT%T.%6N%:z); umask 027
                echo \"$now host kernel: [ 1.5] INFO: task cp:{number} blocked for more than 120 seconds.\" >>/var/log/kern.log
                echo \"$now host sshd[{number}]: Failed password for root from 203.0.113.7 port {number} ssh2\" >>/var/log/own/auth.log
                chgrp reader /var/log/kern.log /var/log/own/auth.log"
            ))
            .ok();
    };
    let seen = || {
        let report = measure();
        (report.value("iostuck", "hung_task_count"), report.value("ssh", "failed_logins"))
    };
    write(1);
    assert_eq!(seen(), (1.0, 1.0));
    let mut number = 1;
    for way in ["create 0640 root reader", "copytruncate", "create 0640 root reader\ncompress\ndelaycompress", "copytruncate"] {
        let files = "/var/log/kern.log /var/log/own/auth.log";
        guest.write_file("/etc/logrotate.d/own", &format!("{files} {{\nsu root reader\nrotate 4\nmissingok\n{way}\n}}\n"));
        write(number + 1);
        let rotated = guest.run(&["logrotate", "--verbose", "--force", "--state", "/run/rotated", "/etc/logrotate.d/own"]);
        assert!(rotated.success() && !rotated.stderr.contains("error:"), "{rotated}");
        write(number + 2);
        number += 2;
        // hung tasks since the run before; logins of ten minutes
        assert_eq!(seen(), (2.0, number as f64), "{way}");
        assert_eq!(seen(), (0.0, number as f64), "{way}: no line is counted twice");
    }
    let report = measure();
    assert!(report.sensor("iostuck")["missing"] == json!([]), "{:#}", report.sensor("iostuck"));
}
