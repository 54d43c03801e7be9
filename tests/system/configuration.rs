//! Without a configuration, with a broken one, and once it is repaired.

use serde_json::Value;

use crate::guest::{Guest, Options};
use crate::jobs::{Job, MAIL};

/// The entries that the plugin `journal` wrote about this unit, whole, oldest first.
#[track_caller]
fn reports(guest: &Guest, unit: &str) -> Vec<Value> {
    guest.run(&["journalctl", "--sync"]).ok();
    let found = guest.run(&["journalctl", "--no-pager", "--quiet", "-o", "json", &format!("SYSALERT_UNIT={unit}")]);
    found.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What sysalert itself said of this subject, with this priority.
#[track_caller]
fn complaints(guest: &Guest, unit: &str, priority: u8) -> String {
    guest.journal(&["SYSLOG_IDENTIFIER=sysalert", &format!("SYSALERT_SUBJECT=unit:{unit}"), &format!("PRIORITY={priority}")])
}

#[test]
fn without_a_configuration_the_journal_reports() {
    let guest = Guest::boot("none", Options::new());
    // not _SYSTEMD_UNIT: of a process that is gone at once the journal may not learn it
    let user = guest.sh("id -u sysalert").ok();
    // at first the installed file, which says nothing; then none
    for (unit, prepare) in [("shipped.service", "test -s /etc/sysalert/sysalert.toml"), ("none.service", "rm -r /etc/sysalert")] {
        guest.sh(prepare).ok();
        let job = Job::new(&guest, unit);
        job.fails(3);
        guest.settle();
        let found = reports(&guest, unit);
        assert_eq!(found.len(), 1, "{found:#?}");
        let run = guest.property(unit, "InvocationID");
        for (field, value) in [
            ("MESSAGE_ID", "5ebf820c63e14f2f935d623791f6c5e0"),
            ("PRIORITY", "3"),
            ("SYSLOG_IDENTIFIER", "sysalert"),
            ("SYSALERT_KIND", "failure"),
            ("SYSALERT_HOST", guest.name()),
            ("SYSALERT_SUBJECT", &format!("unit:{unit}")),
            ("SYSALERT_FAILURES", "1"),
            ("SYSALERT_SERVICE_RESULT", "exit-code"),
            ("SYSALERT_EXIT_CODE", "exited"),
            ("SYSALERT_EXIT_STATUS", "3"),
            ("SYSALERT_INVOCATION_ID", run.as_str()),
            ("_UID", user.as_str()),
        ] {
            assert_eq!(found[0][field], value, "{field}\n{:#}", found[0]);
        }
        let message = found[0]["MESSAGE"].as_str().unwrap();
        assert!(message.starts_with(&format!("{unit} failed on {}: exited with status 3\n", guest.name())), "{message}");
        assert!(message.contains(&format!("journalctl _SYSTEMD_INVOCATION_ID={run}")), "{message}");

        job.fails(3);
        job.succeeds();
        guest.settle();
        let found = reports(&guest, unit);
        assert_eq!(found.len(), 2, "the repetition keeps silent, the recovery is told: {found:#?}");
        assert_eq!(found[1]["MESSAGE_ID"], "bf2087a53eea44e09f0504f2a299aa83");
        assert_eq!((&found[1]["SYSALERT_KIND"], &found[1]["PRIORITY"]), (&"recovery".into(), &"5".into()));
    }
    assert_eq!(guest.sysalert(&["config", "check"]).ok(), "The configuration is valid. Methods: journal.");
}

#[test]
fn with_a_broken_configuration_the_event_is_recorded_and_told_after_the_repair() {
    let guest = Guest::boot("broken", Options::new().mail_server().quick_timer());
    // (unit, the file, what is broken in it, where and how the complaint cites it)
    let rows = [
        (
            "key.service",
            "sysalert.toml",
            "[policy]\nignroe = 2\n",
            "sysalert.toml:2: unknown key in [policy]: `ignroe`; did you mean `ignore`?",
        ),
        ("section.service", "sysalert.toml", "\n[polcy]\n", "sysalert.toml:2: unknown section: `polcy`; did you mean `policy`?"),
        ("syntax.service", "sysalert.toml", "[policy]\nignore = = 2\n", "sysalert.toml:2: "),
        ("value.service", "conf.d/10-more.toml", "[policy]\n\nignore = -1\n", "conf.d/10-more.toml:3: `ignore` must be"),
        (
            "method.service",
            "conf.d/10-more.toml",
            "[policy]\nmethods = [\"mial\"]\n",
            "conf.d/10-more.toml:2: unknown method `mial`; did you mean `mail`?",
        ),
    ];
    for (number, (unit, file, content, complaint)) in rows.into_iter().enumerate() {
        guest.configure(MAIL);
        let job = Job::new(&guest, unit);
        let path = format!("/etc/sysalert/{file}");
        let complaint = format!("/etc/sysalert/{complaint}");
        guest.run_input(&["install", "-m", "0640", "-g", "sysalert", "/dev/stdin", &path], content).ok();

        job.fails(3);
        let events = job.events();
        assert_eq!(events.len(), 1, "{unit}");
        assert!(events[0]["reason"].is_null(), "{unit} is not decided: {:#}", events[0]);
        let said = complaints(&guest, unit, 3);
        assert!(
            said.contains(&format!("{unit} failed: exited with status 3")) && said.contains(&complaint),
            "{complaint}\n{said}"
        );
        let check = guest.sysalert(&["config", "check"]);
        assert_eq!((check.status, check.stdout.as_str()), (78, ""), "{check}");
        assert!(check.stderr.contains(&complaint), "{complaint}\n{check}");

        let status = guest.sysalert(&["status"]).ok();
        assert!(status.contains("1 recorded event is not decided yet, so nobody was told. `sysalert config check`"), "{status}");
        assert_eq!(guest.sysalert(&["status", "-o", "json"]).json()["undecided"], 1);
        let explained = job.explain();
        assert!(explained.contains("none yet: `sysalert config check`"), "{explained}");
        // dispatch has tried meanwhile, too
        guest.wait_until("dispatch complains", || {
            guest.journal(&["_SYSTEMD_UNIT=sysalert-dispatch.service"]).contains(&complaint)
        });
        assert_eq!(guest.mails().len(), number, "{unit} waits");

        guest.sh("rm -f /etc/sysalert/conf.d/*").ok();
        guest.configure(MAIL);
        let mails = guest.wait_for_mails(number + 1);
        guest.settle();
        assert_eq!(mails[number].header("X-Sysalert-Subject"), Some(format!("unit:{unit}").as_str()));
        assert!(mails[number].text.contains(&job.words()), "{}", mails[number].text);
        assert_eq!(guest.sysalert(&["status", "-o", "json"]).json()["undecided"], 0);
        guest.sysalert(&["config", "check"]).ok();
    }
    assert_eq!(guest.mails().len(), rows.len());
}

#[test]
fn a_configuration_that_sysalert_may_not_read_loses_nothing() {
    let guest = Guest::boot("unread", Options::new().mail_server().quick_timer());
    guest.configure(MAIL);
    guest.run(&["chmod", "0600", "/etc/sysalert/sysalert.toml"]).ok();
    let job = Job::new(&guest, "a.service");
    job.fails(3);
    let said = complaints(&guest, "a.service", 3);
    assert!(said.contains("cannot read /etc/sysalert/sysalert.toml: Permission denied"), "{said}");
    assert_eq!(guest.sysalert(&["status", "-o", "json"]).json()["undecided"], 1);
    assert_eq!(guest.mails().len(), 0);
    guest.run(&["chmod", "0640", "/etc/sysalert/sysalert.toml"]).ok();
    let mails = guest.wait_for_mails(1);
    assert!(mails[0].text.contains(&job.words()), "{}", mails[0].text);
}

#[test]
fn config_show_tells_each_setting_with_file_and_line_and_no_secret() {
    let guest = Guest::boot("show", Options::new());
    guest.configure("[method.mail]\nplugin = \"email\"\nusername = \"u\"\npassword = \"hush-hush\"\nto = [\"a@example.org\"]\n");
    guest.sh("echo '[policy]\nignore = 7' >/etc/sysalert/conf.d/20-b.toml; echo '[policy]\nignore = 5' >/etc/sysalert/conf.d/10-a.toml").ok();
    for arguments in [["config", "show", "-o", "table"], ["config", "show", "-o", "json"]] {
        let shown = guest.sysalert(&arguments).ok();
        assert!(!shown.contains("hush-hush"), "{shown}");
        assert!(shown.contains("/etc/sysalert/conf.d/20-b.toml") && !shown.contains("10-a.toml"), "the last file wins\n{shown}");
    }
    let rows = guest.sysalert(&["config", "show", "-o", "json"]).json();
    let row = |section: &str, key: &str| {
        let all = rows.as_array().unwrap();
        all.iter()
            .find(|row| row["section"] == section && row["key"] == key)
            .cloned()
            .unwrap_or_else(|| panic!("no {key} in {rows:#}"))
    };
    let ignore = row("policy", "ignore");
    assert_eq!((&ignore["value"], &ignore["origin"]["line"]), (&7.into(), &2.into()));
    let to = row("method.mail", "to");
    assert_eq!(to["origin"], serde_json::json!({ "file": "/etc/sysalert/sysalert.toml", "line": 5 }));
    assert!(row("policy", "min_interval")["origin"].is_null(), "a default");
}
