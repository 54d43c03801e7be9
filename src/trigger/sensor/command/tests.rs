use std::path::Path;

use serde_json::{Value, json};

use super::super::Outcome;
use super::*;
use crate::config::{Origin, Setting, Values};
use crate::host::sensing::Here;

fn run(command: &Value, timeout: &str) -> String {
    let origin = Origin { file: Path::new("x.toml").into(), line: 1 };
    let setting = |key: &str, value: Value| Setting { key: key.into(), value, origin: origin.clone() };
    let settings = [setting("command", command.clone()), setting("timeout", json!(timeout))];
    let written = [settings.as_slice()];
    let values = Values { keys: SENSOR.keys, written: &written };
    let here = Here::new("/");
    let measured = measure(&Probe { machine: &here, name: "x", values, before: None, now: chrono::DateTime::UNIX_EPOCH });
    match measured.outcome {
        Outcome::Readings(readings) => {
            assert!(readings.iter().all(|one| one.instance.is_empty()));
            let figures: Vec<String> = readings.iter().map(|one| format!("{} {}", one.metric, one.value)).collect();
            let details: Vec<String> = measured.details.into_iter().map(|one| one.text).collect();
            format!("{}: {}", figures.join(", "), details.join(" / "))
        }
        Outcome::NoData(why) | Outcome::Error(why) => why,
    }
}

#[test]
fn real_programs_and_how_they_end() {
    let shell = |script: &str| run(&json!(["/bin/sh", "-c", script]), "20s");
    for (script, expected) in [
        ("echo 'OK: fine|a=1'", "status 0, status_severity 0, a 1: OK: fine"),
        ("echo 'WARNING|a=1 status=9'; exit 1", "status 1, status_severity 1, a 1: WARNING"),
        ("echo CRITICAL; exit 2", "status 2, status_severity 2: CRITICAL"),
        ("echo UNKNOWN; exit 3", "status 3, status_severity 1: UNKNOWN"),
        ("exit 4", "status 3, status_severity 1: it ended with status 4, and only 0 to 3 say something"),
        ("no-such-program", "status 3, status_severity 1: it ended with status 127, and only 0 to 3 say something"),
        ("echo 'half|a=1'; kill -9 $$", "status 3, status_severity 1: it was killed by SIGKILL / half"),
    ] {
        assert_eq!(shell(script), expected, "{script}");
    }
    let slow = run(&json!(["/bin/sh", "-c", "echo 'begun|a=1'; sleep 300"]), "1s");
    assert_eq!(slow, "status 3, status_severity 1: it took longer than 1s, and was killed / begun");
    let flood = run(&json!(["/bin/sh", "-c", "yes a"]), "20s");
    assert!(flood.starts_with("status 3, status_severity 1: it said more than 65536 bytes, and was killed / a"), "{flood}");
}

#[test]
fn what_is_cut_off_is_said() {
    let origin = Origin { file: Path::new("x.toml").into(), line: 1 };
    let script = "printf 'OK |'; for n in $(seq 150); do printf ' m%d=1' $n; done";
    let settings = [Setting { key: "command".into(), value: json!(["/bin/sh", "-c", script]), origin }];
    let written = [settings.as_slice()];
    let values = Values { keys: SENSOR.keys, written: &written };
    let here = Here::new("/");
    let measured = measure(&Probe { machine: &here, name: "x", values, before: None, now: chrono::DateTime::UNIX_EPOCH });
    let Outcome::Readings(readings) = measured.outcome else { panic!() };
    assert_eq!(readings.len(), 102, "its own two beside them");
    let missing: Vec<_> = measured.missing.iter().map(|one| one.why.as_str()).collect();
    assert_eq!(missing, ["only the first 100 of its 150 performance data are taken"]);
}

#[test]
fn what_cannot_be_started_is_an_error_and_says_who_must_do_what() {
    assert_eq!(run(&json!([]), "1s"), "[sensor.command.x] needs `command = [\"/path/of/the/program\", \"argument\"]`");
    assert_eq!(run(&json!(["check_load"]), "1s"), "`command` must name its program by the whole path: check_load does not");
    assert_eq!(run(&json!(["/nowhere"]), "1s"), "/nowhere cannot be started: No such file or directory (os error 2)");
    // no shell reads it
    assert_eq!(run(&json!(["/bin/echo", "$HOME; `id` | a=1"]), "9s"), "status 0, status_severity 0, a 1: $HOME; `id`");
}
