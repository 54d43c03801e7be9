//! `sysalert silence GLOB --for 2h`, `sysalert unsilence GLOB`: what nobody wants to hear of for a while.

use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;
use serde_json::{Value, json};
use wildmatch::WildMatch;

use super::ack::remark;
use super::context::{Context, PATIENCE};
use super::output;
use crate::error::{Error, Result};
use crate::event::{short_time, utc_time};
use crate::host::{clock, identity, wake};
use crate::store::{self, Older, Store};

const SILENCE_EXAMPLES: &str = "\
Examples:
  sysalert silence 'web-*' --for 2h --reason \"new switch\"
  sysalert silence 'check:storage:*' --for 1d

`sysalert unsilence` with the same name ends it; `sysalert status` shows what holds.";

/// Nothing is reported of some units for a while.
#[derive(Debug, Args)]
#[command(after_help = SILENCE_EXAMPLES)]
pub(super) struct Silence {
    /// The units: a name, or a pattern with * and ?
    glob: String,
    /// For how long: "30m", "2h", "3d"; at most a year
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    length: Duration,
    /// Why, for whoever looks next
    #[arg(long, value_name = "TEXT", value_parser = remark)]
    reason: Option<String>,
}

const UNSILENCE_EXAMPLES: &str = "\
Examples:
  sysalert unsilence 'web-*'    as it was silenced";

/// What a silence kept back is reported now.
#[derive(Debug, Args)]
#[command(after_help = UNSILENCE_EXAMPLES)]
pub(super) struct Unsilence {
    /// The units, as they were silenced
    glob: String,
}

const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

fn length(text: &str) -> std::result::Result<Duration, String> {
    let length = humantime::parse_duration(text).map_err(|_| "a time such as 30m, 2h or 3d".to_owned())?;
    if length < Duration::from_secs(1) || length > YEAR { Err("from a second to a year".to_owned()) } else { Ok(length) }
}

/// A name is a unit's; a pattern is taken as it is.
fn names(context: &Context, glob: &str) -> Result<String> {
    if !glob.contains(['*', '?']) {
        return Ok(context.subject(glob)?.name().to_owned());
    }
    if glob.chars().any(char::is_control) {
        Err(Error::usage("a pattern has no control characters"))
    } else {
        Ok(glob.to_owned())
    }
}

impl Silence {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let glob = names(context, &self.glob)?;
        // before root becomes the state's owner
        let by = identity::who();
        context.enter_or_make()?;
        let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
        let since = clock::system();
        let until = since + TimeDelta::from_std(self.length).unwrap_or(TimeDelta::zero());
        let silence = crate::policy::Silence { glob, since, until, by, why: self.reason.clone() };
        store.write(|db| store::silence(db, &silence))?;
        let pattern = WildMatch::new(&silence.glob);
        let known = store.with(store::subjects)?.into_iter().filter(|subject| pattern.matches(subject.name())).count();
        let known = match known {
            0 => "No unit on record has such a name yet. ".to_owned(),
            1 => String::new(),
            many => format!("{many} units on record have such names. "),
        };
        output::print(&format!(
            "{} is silenced until {}.\n{known}What fails meanwhile is recorded, and reported then, if it has not recovered.\n",
            silence.glob,
            short_time(until)
        ))?;
        Ok(0)
    }
}

impl Unsilence {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let glob = names(context, &self.glob)?;
        let silences = match context.read()? {
            Some(store) => store.with(|db| store::silences(db, clock::system()))?,
            None => Vec::new(),
        };
        if !silences.iter().any(|silence| silence.glob == glob) {
            let names: Vec<&str> = silences.iter().map(|silence| silence.glob.as_str()).collect();
            let hint = if names.is_empty() {
                "nothing is silenced".to_owned()
            } else {
                format!("what is silenced: {}", names.join(", "))
            };
            return Err(Error::failure(format!("{} is not silenced", glob.escape_debug())).hint(hint));
        }
        let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
        store.write(|db| store::unsilence(db, &glob))?;
        wake::raise_or_warn(&context.site, None);
        output::print(&format!("{glob} is no longer silenced. What failed meanwhile and has not recovered is reported now.\n"))?;
        Ok(0)
    }
}

/// What is silenced, for people.
pub(super) fn table_of(silences: &[crate::policy::Silence]) -> String {
    let row = |silence: &crate::policy::Silence| {
        let why = silence.why.clone().unwrap_or_else(|| "-".to_owned());
        vec![silence.glob.clone(), short_time(silence.until), silence.by.clone(), why]
    };
    output::table(&["UNITS", "UNTIL", "BY", "REASON"], silences.iter().map(row))
}

/// The same for programs.
pub(super) fn json_of(silence: &crate::policy::Silence) -> Value {
    let crate::policy::Silence { glob, since, until, by, why } = silence;
    json!({ "glob": glob, "since": utc_time(*since), "until": utc_time(*until), "by": by, "reason": why })
}
