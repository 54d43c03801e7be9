//! excerpt UNIT INVOCATION ENDED LINES: prints the last lines of a run that ended then (seconds since 1970), as dispatch takes them.
//! `make bench` measures it alone. An example: no build has it that does not ask for it, and nothing installs it.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::error::Error;
use std::time::Duration;

use chrono::DateTime;
use sysalert::event::{Manager, Subject, UnitName};
use sysalert::host::journal::Journal;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [unit, invocation, ended, lines] = words.as_slice() else { return Err("excerpt UNIT INVOCATION ENDED LINES".into()) };
    let ended = DateTime::from_timestamp(ended.parse()?, 0).ok_or("no such time")?;
    let subject = Subject::unit(&Manager::System, &UnitName::typed(unit)?);
    // long enough that it is never cut short
    let mut journal = Journal::new(Duration::from_secs(60));
    let excerpt = journal.lines(&subject, (invocation, None), ended, lines.parse()?)?;
    for line in excerpt.lines {
        println!("{}: {}", line.identifier, String::from_utf8_lossy(&line.text));
    }
    Ok(())
}
