//! The command line: one file a verb.

mod ack;
mod answer;
mod check;
mod complete;
mod config;
mod context;
mod db;
mod disable;
mod dispatch;
mod doctor;
mod enable;
mod explain;
mod generate;
mod handlers;
mod history;
mod methods;
mod outbox;
mod output;
mod plugin_host;
mod preview;
mod processes;
mod restart_process;
mod setup;
mod silence;
mod status;
mod targets;
mod template_host;
mod test;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, Kind, Result};
use crate::host::env::{self, Environment};
use crate::host::{Options, log, pace, wake};
use context::Context;

const EXAMPLES: &str = "\
Examples:
  sysalert setup                 ask how alerts are to reach you, and try it
  sysalert enable --timers       let every service that a timer starts tell its failures
  sysalert test                  see whether an alert reaches you
  sysalert doctor                what would keep one from arriving
  sysalert status                what is wrong now
  sysalert explain backup        why it spoke of backup.service, or kept silent

sysalert(1) has every command, sysalert.toml(5) every setting, sysalert(7) what the words mean.";

/// Tells you, once and rightly, when a systemd unit fails, and again when it recovers.
#[derive(Debug, Parser)]
#[command(name = "sysalert", version = VERSION, propagate_version = false, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

const VERSION: &str = match option_env!("SYSALERT_BUILD") {
    Some(build) => build,
    None => env!("CARGO_PKG_VERSION"),
};

/// What every verb takes, before or after it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// Read this configuration alone (/dev/null: none)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep the state in this folder
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Look for plugins in this folder
    #[arg(long, global = true, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// Work for the units of your own service manager
    #[arg(long, global = true)]
    user: bool,
    /// Log what is done, and why
    #[arg(long, short, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make or change a way to send alerts, by questions or options
    Setup(setup::Setup),
    /// Let units tell their failures: one, several, all that timers start, or every service
    Enable(enable::Enable),
    /// Take back what `enable` did
    Disable(disable::Disable),
    /// Record the failure of a unit (for OnFailure=)
    #[command(after_help = "Examples:\n  sysalert failure -- backup.service  what sysalert-failure@backup.service.service runs")]
    Failure(handlers::Handler),
    /// Record the success of a unit (for OnSuccess=)
    #[command(after_help = "Examples:\n  sysalert success -- backup.service  what sysalert-success@backup.service.service runs")]
    Success(handlers::Handler),
    /// Record how a run ended, before systemd goes on (for ExecStopPost=)
    #[command(
        after_help = "Examples:\n  ExecStopPost=+-/usr/bin/sysalert ended -- %n  in a service, as `sysalert enable --strict` has it"
    )]
    Ended(handlers::Ended),
    /// Deliver the alerts that wait (started by sysalert-dispatch.service)
    #[command(after_help = "Examples:\n  systemctl start sysalert-dispatch.service  in its sandbox, and with its credentials")]
    Dispatch,
    /// Look at what never triggers: [services], schedules, sensors, processes of a database
    Check(check::Check),
    /// Show what is wrong now, what is silenced, and what waits to be sent
    Status(status::Status),
    /// Show or forget incidents; check, prune or measure the database
    #[command(subcommand)]
    Db(db::Db),
    /// Show every recorded event of a unit, and what was sent about it
    History(history::History),
    /// Say why the last event of a unit spoke or kept silent
    Explain(explain::Explain),
    /// Say that you know of an incident: no reminder until it recovers
    Ack(ack::Ack),
    /// Report nothing of some units for a while
    Silence(silence::Silence),
    /// Report what a silence has kept back, and what comes
    Unsilence(silence::Unsilence),
    /// Show what waits to be sent, try it again or give it up
    #[command(subcommand)]
    Outbox(outbox::Outbox),
    /// Show the message about a unit as it would be sent, without sending it
    Preview(preview::Preview),
    /// Send a test alert by every method, or by one
    Test(test::Test),
    /// Find what would keep an alert from arriving
    Doctor(doctor::Doctor),
    /// Show the configured methods, their plugins and their health
    Methods(methods::Methods),
    /// Show the processes of the watchdog's database, or restart one
    #[command(subcommand)]
    Process(processes::Process),
    /// Validate or show the configuration, or all that it may hold
    #[command(subcommand)]
    Config(config::Config),
    /// Print what the manual and the shells' completions are made of
    #[command(subcommand)]
    Generate(generate::Generate),
    #[command(hide = true)]
    Complete(complete::Complete),
    #[command(hide = true, name = crate::dispatch::plugin::VERB)]
    PluginHost(plugin_host::PluginHost),
    #[command(hide = true)]
    RestartProcess(restart_process::RestartProcess),
    #[command(hide = true, name = crate::dispatch::own_words::VERB)]
    TemplateHost,
    #[command(hide = true)]
    Answer,
}

impl Cli {
    /// What units start all the time, understood without clap: it first makes a table of every command with its help, which is a
    /// third of all the instructions of a `success`. `None`: it may be anything else.
    fn of_a_unit(arguments: &[OsString]) -> Option<Cli> {
        let words: Vec<&str> = arguments.iter().skip(1).map(|word| word.to_str()).collect::<Option<_>>()?;
        let (user, words) = match words.as_slice() {
            ["--user", words @ ..] => (true, words),
            words => (false, words),
        };
        let verb = match words {
            ["failure", "--", unit] => Verb::Failure(handlers::Handler { unit: (*unit).to_owned() }),
            ["success", "--", unit] => Verb::Success(handlers::Handler { unit: (*unit).to_owned() }),
            ["ended", "--", unit] => Verb::Ended(handlers::Ended { unit: (*unit).to_owned() }),
            ["dispatch"] => Verb::Dispatch,
            ["check", "--report", "none", "--", name] => Verb::Check(check::Check::of_a_unit(name)?),
            _ => return None,
        };
        Some(Cli { global: Global { user, ..Global::default() }, verb })
    }
}

/// Runs the command that the arguments ask for, and tells the exit status.
///
/// # Errors
/// Whatever stops it; the kind is the exit status.
pub fn run() -> Result<u8> {
    let arguments = env::arguments();
    let cli = match Cli::of_a_unit(&arguments).map_or_else(|| Cli::try_parse_from(&arguments), Ok) {
        Ok(cli) => cli,
        Err(shown) => {
            // help and version come this way, too
            let status = if shown.use_stderr() { Kind::Usage.exit_status() } else { 0 };
            shown.print().map_err(|error| Error::failure(format!("cannot print: {error}")))?;
            return Ok(status);
        }
    };
    match cli.verb {
        Verb::PluginHost(verb) => return verb.run(),
        Verb::TemplateHost => return template_host::run(),
        Verb::Answer => return answer::run(),
        Verb::Complete(verb) => return verb.run(),
        _ => {}
    }
    let environment = if matches!(cli.verb, Verb::Ended(_)) { Environment::AUnits } else { Environment::Ours };
    log::init(cli.global.verbose, environment);
    let Global { config, state_dir, plugin_dir, user, .. } = cli.global;
    let context = Context::new(&Options { config, state_dir, plugin_dir, user }, environment)?;
    // what it meets it repairs itself
    let repairs = matches!(cli.verb, Verb::Dispatch);
    let checks = matches!(cli.verb, Verb::Check(_));
    let done = run_verb(cli.verb, &context);
    if matches!(&done, Err(error) if error.is_of_damage()) && !repairs {
        // dispatch examines the database now; whoever may not wake it reads in the error how to
        pace::hurry(&context.site, pace::EXAMINED);
        let _ = wake::raise(&context.site);
    }
    match done {
        // for who reads the exit status alone: not that something is wrong, but that nobody knows
        Err(error) if checks => {
            log::fatal(&error.to_string());
            Ok(check::UNKNOWN)
        }
        done => done,
    }
}

fn run_verb(verb: Verb, context: &Context) -> Result<u8> {
    match verb {
        Verb::Setup(verb) => verb.run(context),
        Verb::Enable(verb) => verb.run(context),
        Verb::Disable(verb) => verb.run(context),
        Verb::Failure(verb) => verb.run(context, crate::event::Outcome::Failed),
        Verb::Success(verb) => verb.run(context, crate::event::Outcome::Succeeded),
        Verb::Ended(verb) => verb.run(context),
        Verb::Dispatch => dispatch::run(context),
        Verb::Check(verb) => verb.run(context),
        Verb::Status(verb) => verb.run(context),
        Verb::Db(verb) => verb.run(context),
        Verb::History(verb) => verb.run(context),
        Verb::Explain(verb) => verb.run(context),
        Verb::Ack(verb) => verb.run(context),
        Verb::Silence(verb) => verb.run(context),
        Verb::Unsilence(verb) => verb.run(context),
        Verb::Outbox(verb) => verb.run(context),
        Verb::Preview(verb) => verb.run(context),
        Verb::Test(verb) => verb.run(context),
        Verb::Doctor(verb) => verb.run(context),
        Verb::Methods(verb) => verb.run(context),
        Verb::Config(verb) => verb.run(context),
        Verb::Generate(verb) => verb.run(context),
        Verb::Complete(verb) => verb.run(),
        Verb::Process(verb) => verb.run(context),
        Verb::RestartProcess(verb) => verb.run(context),
        Verb::PluginHost(verb) => verb.run(),
        Verb::TemplateHost => template_host::run(),
        Verb::Answer => answer::run(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_units_start_means_the_same_to_clap() {
        let known = [
            "failure -- -.mount",
            "success -- a.service",
            "--user failure -- a.service",
            "ended -- --user",
            "dispatch",
            "--user dispatch",
            "check --report none -- services",
            "check --report none -- sensors",
            "check --report none -- processes",
            "--user check --report none -- sensors",
        ];
        for line in known {
            let arguments: Vec<OsString> = ["sysalert"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
            let by_clap = Cli::try_parse_from(&arguments).unwrap();
            assert_eq!(format!("{:?}", Cli::of_a_unit(&arguments).unwrap()), format!("{by_clap:?}"));
        }
        for line in [
            "",
            "failure",
            "failure --",
            "failure a.service",
            "failure -- a b",
            "failure -- a --help",
            "-v dispatch",
            "check --report none -- all",
        ] {
            let arguments: Vec<OsString> = ["sysalert"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
            assert!(Cli::of_a_unit(&arguments).is_none(), "{line}");
        }
    }
}
