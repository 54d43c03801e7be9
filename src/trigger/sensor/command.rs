//! `command`: any program of the monitoring plugins' convention
//! (<https://www.monitoring-plugins.org/doc/guidelines.html>): exit status, text, performance data.

mod output;

use std::time::Duration;

use super::{COMMON, Detail, Measured, Metric, Missing, Probe, Reading, Sensor, Unit};
use crate::config::{Key, Kind};
use crate::host::program::End;
use output::{Figure, Output};

pub(super) const SENSOR: Sensor = Sensor {
    name: "command",
    about: "any program of the monitoring plugins' convention",
    named: true,
    keys: &[COMMON, KEYS],
    metrics: &[
        Metric::new("status", Unit::Number, "as it ended: 0 OK, 1 warning, 2 critical, 3 unknown"),
        Metric::new("status_severity", Unit::Number, "how bad that is: 0 OK, 1 warning or unknown, 2 critical"),
    ],
    open: true,
    instance: None,
    rules: r#"
[[rule]]
name = "failed"
metric = "status_severity"
op = "gt"
value = 0
critical = 1
severity = "warning"
"#,
    suggests: &[],
    measure,
};

const KEYS: &[Key] = &[
    Key::new("command", Kind::List, "[]", "the program, by its whole path, and its arguments; no shell reads them"),
    Key::new(
        "timeout",
        Kind::Duration { min: 1, max: 300 },
        "\"10s\"",
        "it is killed, with all that it started, when it takes longer",
    ),
];

/// So many bytes a program may say.
const LONGEST: usize = 64 * 1024;

/// The convention's exit status for what cannot be told.
const UNKNOWN: i32 = 3;

fn measure(probe: &Probe<'_>) -> Measured {
    let command = probe.values.list("command");
    let Some((program, arguments)) = command.split_first() else {
        return Measured::error(format!(
            "[sensor.command.{}] needs `command = [\"/path/of/the/program\", \"argument\"]`",
            probe.name
        ));
    };
    if !program.starts_with('/') {
        return Measured::error(format!(
            "`command` must name its program by the whole path: {} does not",
            program.escape_debug()
        ));
    }
    let limit = probe.values.duration("timeout");
    let ran = match probe.machine.run(program, arguments, limit, LONGEST) {
        Ok(ran) => ran,
        Err(error) => return Measured::error(format!("{} cannot be started: {error}", program.escape_debug())),
    };
    let (status, why) = judged(&ran.end, limit);
    // half a number would be another one
    let output =
        if why.is_none() || matches!(ran.end, End::Exited(_)) { Output::read(&ran.output) } else { Output::text(&ran.output) };
    let mut readings = vec![Reading::new("status", f64::from(status))];
    let severity = f64::from([0, 1, 2, 1][usize::try_from(status).unwrap_or(0).min(3)]);
    readings.push(Reading::new("status_severity", severity));
    for Figure { label, value, unit } in output.figures {
        if readings.iter().all(|known| known.metric != label) {
            readings.push(Reading { metric: label.into(), instance: String::new(), value, unit: Some(unit) });
        }
    }
    let detail = |text: String| Detail { instance: String::new(), text };
    let missing = (output.left_out > 0).then(|| {
        let (all, most) = (output::FIGURES + output.left_out, output::FIGURES);
        Missing { instance: String::new(), why: format!("only the first {most} of its {all} performance data are taken") }
    });
    Measured {
        missing: missing.into_iter().collect(),
        details: why.into_iter().chain(output.lines).map(detail).collect(),
        ..Measured::readings(readings)
    }
}

/// The status by the convention, and why, where the program did not say it itself.
fn judged(end: &End, limit: Duration) -> (i32, Option<String>) {
    let limit = humantime::format_duration(limit);
    match end {
        End::Exited(status @ 0..=3) => (*status, None),
        End::Exited(status) => (UNKNOWN, Some(format!("it ended with status {status}, and only 0 to 3 say something"))),
        End::Killed(signal) => (UNKNOWN, Some(format!("it was killed by {signal}"))),
        End::TooLong => (UNKNOWN, Some(format!("it took longer than {limit}, and was killed"))),
        End::TooMuch => (UNKNOWN, Some(format!("it said more than {LONGEST} bytes, and was killed"))),
        End::Hangs => (UNKNOWN, Some(format!("it took longer than {limit} and cannot be killed: it hangs in the kernel"))),
    }
}

#[cfg(test)]
mod tests;
