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
