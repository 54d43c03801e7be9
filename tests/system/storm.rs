//! Many units at once: few messages, and the cause first.

use crate::guest::{Guest, Options};
use crate::jobs::MAIL;

#[test]
fn what_waits_for_a_failed_dependency_stands_under_it_in_one_message() {
    let guest = Guest::boot("storm", Options::new().mail_server());
    guest.configure(MAIL);
    guest.write_unit(
        "db.service",
        "[Unit]\nOnFailure=sysalert-failure@%n.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no disk; exit 5'\n",
    );
    let web = "[Unit]\nOnFailure=sysalert-failure@%n.service\nRequires=db.service\nAfter=db.service\n[Service]\nExecStart=/bin/sleep 99\n";
    guest.write_unit("web@.service", web);
    guest.sh("systemctl start --no-block web@{1..80}.service").ok();
    guest.wait_until("all are recorded", || guest.number("SELECT count(*) FROM incidents") == 81);
    guest.settle();
    let mails = guest.mails();
    let kind = |kind: &str| mails.iter().filter(|mail| mail.header("X-Sysalert-Kind") == Some(kind)).collect::<Vec<_>>();
    let (single, digests) = (kind("failure"), kind("digest"));
    assert!(single.len() <= 10, "{} single messages", single.len());
    assert!((1..=2).contains(&digests.len()) && single.len() + digests.len() == mails.len(), "{} digests", digests.len());
    // the first names, and how many more
    let more = |text: &str| {
        let counts =
            text.lines().filter_map(|line| line.trim().strip_prefix("and ")?.split_once(" more")?.0.parse::<usize>().ok());
        counts.sum::<usize>()
    };
    let told: usize = digests.iter().map(|mail| mail.text.matches("web@").count() + more(&mail.text)).sum();
    let cause_told = single.iter().any(|mail| mail.subject.starts_with("db.service failed"));
    assert!(told + single.len() >= 80, "{told} in digests, {} single", single.len());
    let digest = digests[0];
    assert!(digest.subject.contains("because db.service failed"), "{}", digest.subject);
    let first = digest.text.lines().skip_while(|line| !line.starts_with("What failed:")).nth(1).unwrap();
    assert!(first.contains("db.service"), "the cause comes first: {first}");
    assert!(cause_told || first.contains("exited with status 5"), "{first}");
    assert_eq!(digest.defects, [""; 0]);
    assert_eq!(
        guest.number("SELECT count(DISTINCT incident) FROM alerts a JOIN deliveries d ON d.alert = a.id WHERE d.status = 'sent'"),
        81
    );
}

/// A run of dispatch waits for a digest that is to come, and looks meanwhile.
#[test]
fn what_another_method_tells_does_not_wait_for_a_digest() {
    let guest = Guest::boot("beside", Options::new());
    let method = |name: &str| format!("[method.{name}]\nplugin = \"file\"\npath = \"/var/log/sysalert/{name}.json\"\n");
    guest.configure(&format!(
        "[storm]\nincidents = 3\nwindow = \"1m\"\n[policy]\nmethods = [\"log\"]\nrecovery_hold = \"1s\"\n{}{}[unit.\"other.service\"]\nmethods = [\"pager\"]\n",
        method("log"),
        method("pager")
    ));
    let unit = |start: &str| format!("[Unit]\nOnFailure=sysalert-failure@%n.service\n[Service]\n{start}\n");
    guest.write_unit("crowd@.service", &unit("Type=oneshot\nExecStart=/bin/false"));
    guest.write_unit("other.service", &unit("ExecStart=/bin/sleep 999"));
    // the next digest waits until the window is over
    let digests = |table: &str| {
        guest.number(&format!(
            "SELECT count(DISTINCT a.id) FROM {table} o JOIN alerts a ON a.id = o.alert WHERE a.kind = 'digest'"
        ))
    };
    guest.sh("systemctl start --no-block crowd@{1..6}.service").ok();
    guest.wait_until("a digest is sent", || digests("deliveries") == 1);
    guest.sh("systemctl start --no-block crowd@{7..9}.service").ok();
    guest.wait_until("the next one waits", || digests("outbox") == 1);

    let told = || guest.run(&["cat", "/var/log/sysalert/pager.json"]).stdout.lines().count();
    guest.sh("systemctl start other.service; systemctl kill --signal=KILL other.service").ok();
    guest.wait_until("the failure is told", || told() == 1);
    assert_eq!(digests("outbox"), 1, "the digest came first");
    // no handler says that it runs again
    guest.sh("systemctl start other.service").ok();
    guest.wait_until("the recovery is told", || told() == 2);
    assert_eq!(digests("outbox"), 1, "the digest came first");
}
