//! The method `file` beside a real logrotate, and on a full disk.

use crate::guest::{Guest, Options};
use crate::jobs::Job;

const LOG: &str = "[policy]\nmin_interval = \"1s\"\n[method.log]\nplugin = \"file\"\npath = \"/var/log/sysalert/alerts.json\"\n";

/// The comment of the documentation that is a configuration of logrotate.
fn documented() -> String {
    let example = include_str!("../../plugins/file/example.toml");
    let from = example.lines().skip_while(|line| !line.contains("/var/log/sysalert/alerts.json {"));
    let mut lines: Vec<&str> = from.take_while(|line| !line.ends_with(" }")).collect();
    lines.push("}");
    lines.iter().map(|line| format!("{}\n", line.trim_start_matches('#').trim())).collect()
}

#[test]
fn logrotate_as_documented_needs_to_tell_nobody_and_a_full_disk_takes_no_half() {
    let guest = Guest::boot("rotation", Options::new());
    guest.configure(LOG);
    guest.write_file("/etc/logrotate.d/sysalert", &documented());
    let rotate = || guest.run(&["logrotate", "--verbose", "--force", "--state", "/run/rotated", "/etc/logrotate.d/sysalert"]);
    let job = Job::new(&guest, "backup.service");
    for status in [3, 4, 5] {
        job.fails(status);
        guest.settle();
        let output = rotate();
        assert!(output.success() && !output.stderr.contains("error:"), "{output}");
        assert!(!guest.exists("/var/log/sysalert/alerts.json"), "{output}");
    }
    job.succeeds();
    guest.settle();
    assert_eq!(guest.read_file("/var/log/sysalert/alerts.json").lines().count(), 1);
    let all = guest.sh("cd /var/log/sysalert; zcat -f alerts.json.3.gz alerts.json.2.gz alerts.json.1.gz alerts.json").ok();
    let told: Vec<_> = all
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| (line["kind"].as_str().unwrap().to_owned(), line["failures"].as_array().unwrap().len()))
        .collect();
    assert_eq!(
        told,
        [("failure".to_owned(), 1), ("failure".to_owned(), 2), ("failure".to_owned(), 3), ("recovery".to_owned(), 3)]
    );

    // a disk with room for a bit of a message: nothing of it stays, and it comes whole when there is room
    guest
        .sh("mount -t tmpfs -o size=16k,mode=2750,uid=sysalert,gid=sysalert tmpfs /var/log/sysalert
              head -c 13000 /dev/zero | tr '\\0' x >/var/log/sysalert/alerts.json
              echo >>/var/log/sysalert/alerts.json
              chown sysalert: /var/log/sysalert/alerts.json")
        .ok();
    let long = "for i in {1..40}; do echo \"$i: a line that is long enough to make the message larger than what is left: xxxxxx\"; done; exit 7";
    guest.write_file("/usr/local/bin/long", &format!("#!/bin/bash\n{long}\n"));
    guest.run(&["chmod", "755", "/usr/local/bin/long"]).ok();
    guest.write_unit(
        "long.service",
        "[Unit]\nOnFailure=sysalert-failure@%n.service\n[Service]\nType=oneshot\nExecStart=/usr/local/bin/long\n",
    );
    guest.run(&["systemctl", "start", "long.service"]);
    let tried = || guest.rows("SELECT status, detail FROM deliveries WHERE status = 'retry'");
    guest.wait_until("it was tried", || !tried().is_empty());
    let detail = tried()[0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(" bytes: make room on its file system"), "{detail}");
    assert_eq!(guest.run(&["stat", "-c", "%s", "/var/log/sysalert/alerts.json"]).ok(), "13001", "{detail}");
    guest.run(&["mount", "-o", "remount,size=1M", "/var/log/sysalert"]).ok();
    guest.hurry();
    guest.settle();
    let text = guest.read_file("/var/log/sysalert/alerts.json");
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((text.lines().count(), &last["service_name"]), (2, &"long.service".into()));
}
