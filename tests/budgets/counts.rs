//! The figures of counts.toml, counted again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::machine::{Machine, stage};

#[derive(Deserialize)]
struct Budgets {
    /// How far above what was measured each may lie, in percent.
    margin: BTreeMap<String, u64>,
    /// What each run costs.
    runs: BTreeMap<String, BTreeMap<String, u64>>,
    /// KiB, stripped.
    sizes: BTreeMap<String, u64>,
    packages: usize,
}

fn budgets() -> Budgets {
    toml::from_str(include_str!("counts.toml")).unwrap()
}

impl Budgets {
    /// Prints what a run costs, and says what of it is too much.
    fn judge(&self, run: &str, found: &BTreeMap<String, u64>) -> Vec<String> {
        let known = self.runs.get(run).unwrap_or_else(|| panic!("counts.toml has no [runs.{run}]"));
        eprintln!("[runs.{run}]");
        let judged = found.iter().filter_map(|(what, found)| {
            eprintln!("{what} = {found}");
            // what the machine decides is not named there
            let known = *known.get(what)?;
            let most = known + known * self.margin.get(what).copied().unwrap_or(0) / 100;
            (*found > most).then(|| format!("{run}: {what} {found}, more than {most} (measured: {known})"))
        });
        judged.collect()
    }
}

/// All that is counted of one verb. It runs four times, so that `begin` puts back what a run changes.
fn counted(machine: &Machine, verb: &str, mut begin: impl FnMut() -> u32) -> (BTreeMap<String, u64>, String) {
    let trace = machine.run(verb, begin());
    let callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let said = machine.run_under(&callgrind, verb, begin());
    let instructions = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    // "wall user system peak ...": see there
    let peak = |said: String| said.split_whitespace().nth(3).and_then(|word| word.parse::<u64>().ok());
    let peak = peak(machine.run_under(&[spawn().to_str().unwrap()], verb, begin()));
    let counts = [
        ("fsyncs", trace.fsyncs().len() as u64),
        ("system_calls", trace.calls() as u64),
        ("bytes_read", trace.bytes_read()),
        ("instructions", instructions.unwrap_or_else(|| panic!("callgrind did not count:\n{said}"))),
        ("peak_kib", peak.expect("spawn says it")),
    ];
    (counts.map(|(what, count)| (what.to_owned(), count)).into(), format!("{:?}", trace.by_name()))
}

/// tests/bench/spawn.c, compiled: a small process that starts one, and says what that took.
fn spawn() -> PathBuf {
    static SPAWN: OnceLock<PathBuf> = OnceLock::new();
    let compile = || {
        let (source, program) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/spawn.c"), std::env::temp_dir());
        let program = program.join(format!("sysalert-spawn-{}", std::process::id()));
        assert!(Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(source).status().unwrap().success());
        program
    };
    SPAWN.get_or_init(compile).clone()
}

/// One test, so that a growth shows in all of them at once.
#[test]
fn what_is_counted_has_not_grown() {
    let budgets = budgets();
    let mut complaints = Vec::new();
    let mut judge = |run: &str, (found, calls): (BTreeMap<String, u64>, String)| {
        let wrong = budgets.judge(run, &found);
        complaints.extend(wrong.into_iter().map(|wrong| format!("{wrong}; its calls: {calls}")));
    };
    let machine = Machine::new();
    machine.run("failure", 1);
    machine.run("dispatch", 0);
    let mut number = 1;
    let next = || {
        // the log of the database is as long as before each
        machine.run("dispatch", 0);
        number += 1;
        number
    };
    judge("failure", counted(&machine, "failure", next));

    // as the unit's first command leaves it: the journal is complete
    fs::rename(machine.state().join("pending"), machine.state().join("synced")).unwrap();
    machine.run("dispatch", 0);
    judge("dispatch", counted(&machine, "dispatch", || 0));
    judge("status", counted(&machine, "status", || 0));
    machine.unit("b.service");
    judge("success", counted(&machine, "success", || 9));
    judge("version", counted(&machine, "--version", || 0));

    // those that ask the same of every machine, and whatever they find is well
    let config = machine.folder.path().join("sysalert.toml");
    let written = fs::read_to_string(&config).unwrap();
    let on = ["cpu", "memory", "pressure"].map(|name| format!("[sensor.{name}]\nevery = \"0s\"\n")).concat();
    let off = ["storage", "iostuck", "ssh", "units"].map(|name| format!("[sensor.{name}]\nenabled = false\n")).concat();
    let rules = [
        ("cpu", "high_cpu"),
        ("cpu", "high_steal"),
        ("memory", "low_memory"),
        ("memory", "swap_full"),
        ("memory", "out_of_memory"),
        ("pressure", "memory_pressure"),
        ("pressure", "io_pressure"),
    ];
    let rules = rules.map(|(sensor, name)| format!("[[sensor.{sensor}.rule]]\nname = \"{name}\"\nenabled = false\n")).concat();
    fs::write(config, format!("{written}{on}{off}{rules}")).unwrap();
    machine.run("check sensors", 0);
    judge("sensors", counted(&machine, "check sensors", || 0));
    assert!(complaints.is_empty(), "{}\nRaise counts.toml only when you know what it bought.", complaints.join("\n"));
}

#[test]
fn sizes() {
    let budgets = budgets();
    let found: BTreeMap<String, u64> = ["bin/sysalert", "lib/sysalert/bundle.so"]
        .map(|name| (name.to_owned(), fs::metadata(stage().join(name)).unwrap().len() / 1024))
        .into();
    for (name, kib) in &found {
        eprintln!("{name}: {kib} KiB");
        let most = budgets.sizes[name];
        assert!(*kib <= most, "{name} has {kib} KiB, more than {most}: which dependency or feature is new?");
    }
    // what is there beside it is a link to it: nothing is there twice
    for entry in fs::read_dir(stage().join("lib/sysalert/plugins")).unwrap().map(|entry| entry.unwrap()) {
        assert_eq!(fs::read_link(entry.path()).unwrap(), Path::new("../bundle.so"), "{}", entry.path().display());
    }
}

#[test]
fn packages() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let count = lock.lines().filter(|line| *line == "[[package]]").count();
    let most = budgets().packages;
    eprintln!("{count} packages");
    assert!(count <= most, "Cargo.lock has {count} packages, more than {most}: `cargo tree` shows who brings them");
}
