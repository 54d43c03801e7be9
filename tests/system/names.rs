//! Every name that systemd allows for a unit reaches the database and the message as it is.

use crate::guest::{Guest, Options};
use crate::jobs::{Job, MAIL, about};
use crate::mail::fact;

/// systemd can resolve no longer name in `OnFailure=sysalert-failure@%n.service`: a unit's name has at most 255 bytes.
const LONGEST: usize = 230;

#[test]
fn escapes_templates_dashes_and_the_longest_names_arrive_intact() {
    let guest = Guest::boot("names", Options::new().mail_server());
    guest.configure(MAIL);
    let longest = format!("{}.service", "x".repeat(LONGEST - ".service".len()));
    let names = [
        r"foo\x2dbar.service",
        "c@d-e.service",
        r"c@srv-a\x2db:1.service",
        "-dash.service",
        "--all.service",
        "dots.and_under-lines.service",
        longest.as_str(),
    ];
    for name in names {
        let job = Job::new(&guest, name);
        job.fails(3);
        let events = job.events();
        assert_eq!(events.len(), 1, "{name}");
        assert_eq!(events[0]["invocation_id"], guest.property(name, "InvocationID").as_str(), "{name}");
        assert_eq!(events[0]["exit_status"], "3", "{name}");
        assert!(job.explain().starts_with(&format!("{name}  failed: exited with status 3\n")), "{}", job.explain());
        guest.settle();
        let mails = guest.mails();
        let mine = about(&mails, name);
        let subjects = || mails.iter().map(|mail| mail.header("X-Sysalert-Subject")).collect::<Vec<_>>();
        assert_eq!(mine.len(), 1, "{name}: {:#?}", subjects());
        assert_eq!(fact(&mine[0].text, "Unit"), name);
        assert!(mine[0].text.contains(&job.words()), "{}", mine[0].text);
        assert_eq!(mine[0].defects, [""; 0], "{name}");
        let incident = &guest.incidents(name)[0];
        assert_eq!(incident["subject"], format!("unit:{name}"));
        assert_eq!(incident["manager"], "system");

        job.succeeds();
        // where the journal lags behind, dispatch decides
        guest.settle();
        assert_eq!(guest.incidents(name)[0]["state"], "resolved", "{name}");
    }
    let recorded = guest.number("SELECT count(DISTINCT subject) FROM events");
    assert_eq!(recorded, i64::try_from(names.len()).unwrap(), "no two names are one");
}

/// systemd tells the handler of a mount nothing but its name (systemd-facts 1).
#[test]
fn a_mount_that_fails_is_reported() {
    let guest = Guest::boot("mount", Options::new().mail_server());
    guest.configure(MAIL);
    guest.write_unit(
        r"srv-my\x2ddata.mount",
        "[Unit]\nOnFailure=sysalert-failure@%n.service\n[Mount]\nWhat=none\nWhere=/srv/my-data\nType=tmpfs\nOptions=no-such-option=1\n",
    );
    let unit = r"srv-my\x2ddata.mount";
    assert!(!guest.run(&["systemctl", "start", unit]).success());
    assert_eq!(guest.property(unit, "Result"), "exit-code");
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("X-Sysalert-Subject"), Some(format!("unit:{unit}").as_str()));
    assert_eq!(mails[0].subject, format!("{unit} failed on {}: mount exited with status 32", guest.name()));
    assert_eq!(mails[0].defects, [""; 0]);
    let incident = &guest.incidents(unit)[0];
    assert_eq!((&incident["unit"], &incident["failures"], &incident["state"]), (&unit.into(), &1.into(), &"open".into()));
    // the journal knows what the handler was not told
    assert_eq!(incident["invocation_id"], guest.property(unit, "InvocationID"));
    assert_eq!((&incident["service_result"], &incident["exit_status"]), (&"exit-code".into(), &"32".into()));
}
