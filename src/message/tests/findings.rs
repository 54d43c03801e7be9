//! What was found out about a run, in the message.

use super::*;

/// What an administrator would log in to look for stands in the message, the most telling first.
#[test]
fn a_failure_of_which_much_was_found_out() {
    let subject = unit("backup.service");
    let event = event(subject, Outcome::Failed, ["oom-kill", "killed", "KILL"], 120);
    let incident = incident(&event.subject, 1, 120, State::Open);
    let disk =
        |mount: &str, free| Disk { mount: mount.into(), size: 20 << 30, free, files: 1000, files_free: 20, read_only: false };
    let changed = |path: &str, minutes| Changed { path: path.into(), at: at(120) - TimeDelta::minutes(minutes) };
    let findings = Findings {
        out_of_memory: Some(OutOfMemory {
            process: Some(("python3".into(), 812)),
            held: Some(101_082_112),
            cause: Exhausted::Unit,
        }),
        core: Some(Core {
            program: "/usr/bin/backup".into(),
            pid: 811,
            signal: "SIGSEGV".into(),
            stack: vec!["copy_block".into(), "main".into()],
            file: Some("/var/lib/systemd/coredump/core.backup.0.1.811.1.zst".into()),
        }),
        disks: vec![disk("/srv", 0), Disk { files: 0, ..disk("/", 3 << 30) }],
        cpu: Some(Duration::from_secs(72)),
        memory: Some(99 << 20),
        memory_max: Some(100 << 20),
        restart: Some(4),
        changed: vec![changed("/usr/local/bin/backup", 130), changed("/etc/systemd/system/backup.service", 1500)],
    };
    let context = Context {
        findings,
        ran: Some(Duration::from_secs(190)),
        last_success: Some(at(A_DAY_BEFORE)),
        note: Some("The journal has no lines of this run.".into()),
        ..Context::default()
    };
    let failures = minutes_apart(&["3"]);
    check("findings", &compose(&Report { context: &context, ..report(&event, &incident, &failures) }));
}

/// What says nothing has no line.
#[test]
fn what_was_found_is_told_where_it_says_something() {
    let event = event(unit("a.service"), Outcome::Failed, ["exit-code", "exited", "1"], 0);
    let incident = incident(&event.subject, 1, 0, State::Open);
    let told = |findings: Findings| {
        let context = Context { findings, ..Context::default() };
        let letter = compose(&Report { context: &context, ..report(&event, &incident, &minutes_apart(&["1"])) });
        let usual = ["Host", "Unit", "Failed", "Failures", "Severity"];
        let more = letter.facts.into_iter().filter(|(label, _)| !usual.contains(label));
        more.map(|(label, value)| format!("{label}: {value}")).collect::<Vec<_>>().join("\n")
    };
    let nothing = Findings::default();
    let used = |millis, memory: Option<u64>, memory_max: Option<u64>| Findings {
        cpu: Some(Duration::from_millis(millis)),
        memory: memory.map(|mib| mib << 20),
        memory_max: memory_max.map(|mib| mib << 20),
        ..nothing.clone()
    };
    let memory = |cause| Findings {
        out_of_memory: Some(OutOfMemory { cause, ..OutOfMemory::default() }),
        memory_max: Some(5 << 30),
        ..nothing.clone()
    };
    let disk = |free, files_free, read_only| Findings {
        disks: vec![Disk { mount: "/".into(), size: 3 << 40, free, files: 1000, files_free, read_only }],
        ..nothing.clone()
    };
    let core = Core { program: "a".into(), pid: 7, ..Core::default() };
    let many = (0..6).map(|number| Changed { path: format!("/{number}"), at: at(-60 * number) }).collect();
    for (findings, expected) in [
        (nothing.clone(), ""),
        (used(3, None, Some(100)), ""),
        (used(3, Some(99), None), ""),
        (used(3, Some(100), None), "Used: at most 100 MiB of memory"),
        (used(1_500, Some(3), Some(100)), "Used: 1.5s of CPU, at most 3 MiB of memory"),
        (used(3, Some(19), Some(20)), "Used: at most 19 MiB of memory (its limit is 20 MiB)"),
        (memory(Exhausted::Unknown), "Out of memory: the kernel killed a process of it"),
        (memory(Exhausted::Machine), "Out of memory: the kernel killed a process of it: the machine had no more"),
        (memory(Exhausted::Unit), "Out of memory: the kernel killed a process of it: the unit had reached its limit of 5 GiB"),
        (
            memory(Exhausted::Group("/app.slice".into())),
            "Out of memory: the kernel killed a process of it: /app.slice had reached its limit",
        ),
        (memory(Exhausted::Oomd(None)), "Out of memory: systemd-oomd killed it"),
        (memory(Exhausted::Oomd(Some("swap".into()))), "Out of memory: systemd-oomd killed it: swap"),
        (disk(1 << 30, 1000, false), "Disk: /: 1 GiB free of 3 TiB"),
        (disk(0, 0, false), "Disk: /: full (0 bytes free of 3 TiB), and it can hold no more files than its 1000"),
        (disk(5 << 10, 50, false), "Disk: /: 5 KiB free of 3 TiB, room for 50 more files of 1000"),
        (disk(0, 0, true), "Disk: /: read-only"),
        (Findings { core: Some(core), ..nothing.clone() }, "Core dump: a (PID 7)"),
        (
            Findings { changed: many, ..nothing.clone() },
            "Changed: /0, 0s before; /1, 1m before; /2, 2m before; /3, 3m before; and 2 more of its files",
        ),
    ] {
        assert_eq!(told(findings), expected);
    }
}
