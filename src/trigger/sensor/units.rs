//! `units`: how many units failed. Which, and when, is told by their own alerts: there is no rule, unless somebody writes one.

use super::{COMMON, Measured, Metric, Probe, Reading, Sensor, Unit};

pub(super) const SENSOR: Sensor = Sensor {
    name: "units",
    about: "how many units failed, for reports and metrics: each has alerts of its own",
    named: false,
    keys: &[COMMON],
    metrics: &[
        Metric::new("failed_units", Unit::Count, "units that failed, of the service manager"),
        Metric::new("loaded_units", Unit::Count, "names of units that it has loaded"),
        Metric::new("queued_jobs", Unit::Count, "starts and stops that wait or are under way"),
    ],
    open: false,
    instance: None,
    rules: "",
    suggests: &["systemctl --failed", "systemctl list-jobs"],
    measure,
};

fn measure(probe: &Probe<'_>) -> Measured {
    match probe.machine.units() {
        Some(counts) => Measured::readings(vec![
            Reading::new("failed_units", f64::from(counts.failed)),
            Reading::new("loaded_units", f64::from(counts.loaded)),
            Reading::new("queued_jobs", f64::from(counts.jobs)),
        ]),
        None => Measured::no_data("the service manager does not answer on its bus"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::super::Outcome;
    use super::*;
    use crate::config::Values;
    use crate::host::manager::Counts;
    use crate::host::sensing::Sensing;

    struct Machine(Option<Counts>);

    impl Sensing for Machine {
        fn read(&self, _: &str) -> io::Result<String> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn wait(&self, _: Duration) {}

        fn units(&self) -> Option<Counts> {
            self.0
        }
    }

    #[test]
    fn what_the_manager_counts_or_that_it_does_not_answer() {
        let measured = |counts| {
            let machine = Machine(counts);
            let values = Values { keys: SENSOR.keys, written: &[] };
            measure(&Probe { machine: &machine, name: "", values, before: None, now: chrono::DateTime::UNIX_EPOCH }).outcome
        };
        let Outcome::Readings(readings) = measured(Some(Counts { failed: 2, loaded: 300, jobs: 1 })) else { panic!() };
        let told: Vec<_> = readings.iter().map(|one| (one.metric.as_ref(), one.value)).collect();
        assert_eq!(told, [("failed_units", 2.0), ("loaded_units", 300.0), ("queued_jobs", 1.0)]);
        assert!(matches!(measured(None), Outcome::NoData(_)));
    }
}
