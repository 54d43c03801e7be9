//! How units of users are: asked of each user's manager by a process of that user, which systemd starts when the system's sysalert
//! calls at `sysalert-look@UID.socket`. No session is opened and no manager started, for the socket is there only while the
//! manager runs. What comes back is that user's word: it is bounded, read strictly, and taken for the user's own units alone.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nix::unistd::User;
use serde::{Deserialize, Serialize};

use super::clock;
use super::manager::{Glance, ServiceManager, Shown};
use crate::event::{Problem, UnitName};

/// The sockets, each named by its user's number.
const SOCKETS: &str = "/run/sysalert-look";
/// All users together have so long to answer: who does not, holds up the others for no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// So long a user's manager may take for each answer, and a question to come.
const WITHIN: Duration = Duration::from_secs(5);
/// So long it takes to read what was said already.
const A_MOMENT: Duration = Duration::from_millis(100);
/// In bytes: more is no question.
const LONGEST_QUESTION: u64 = 256 * 1024;
/// In bytes: a unit's line has about 600.
const LONGEST_ANSWER: u64 = 512 * 1024;
/// More units than this no user may speak of.
const MOST: usize = 500;

/// What is asked of a user's manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Whose manager it is.
    pub user: String,
    /// The units that are named.
    pub names: Vec<String>,
    /// The globs.
    pub globs: Vec<String>,
    /// Of which units more must be known than that they work.
    pub asked: Vec<String>,
    /// Of all of them.
    pub thorough: bool,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Whose manager it is.
    pub user: String,
    /// What that user said.
    pub answer: Answer,
}

/// What a user said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// How the units are.
    Shown {
        /// When the manager was begun.
        begun: Option<DateTime<Utc>>,
        /// The units.
        units: Vec<Shown>,
    },
    /// There is no such user.
    NoUser,
    /// No manager of this user runs.
    NoManager,
    /// Nothing, or nothing that can be believed; why.
    Nothing(String),
}

/// Asks all of them, side by side. `is_up`: whether a unit of the system is up, for whom nobody answers.
pub fn ask(questions: Vec<Question>, is_up: &mut dyn FnMut(&str) -> Option<bool>) -> Vec<Answered> {
    let until = clock::started() + PATIENCE;
    let calls: Vec<_> = questions.into_iter().map(|question| (call(&question, is_up), question.user)).collect();
    let listen = |(line, user): (Result<UnixStream, Answer>, String)| {
        let answer = line.map_or_else(|answer| answer, |line| read(line, until));
        Answered { user, answer }
    };
    calls.into_iter().map(listen).collect()
}

/// Puts a question.
fn call(question: &Question, is_up: &mut dyn FnMut(&str) -> Option<bool>) -> Result<UnixStream, Answer> {
    let known = User::from_name(&question.user).map_err(|error| Answer::Nothing(error.to_string()))?;
    let user = known.ok_or(Answer::NoUser)?;
    if question.names.is_empty() && question.globs.is_empty() {
        return Err(Answer::Shown { begun: None, units: Vec::new() });
    }
    let line = UnixStream::connect(Path::new(SOCKETS).join(user.uid.to_string()));
    let mut line = line.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => match is_up(&format!("user@{}.service", user.uid)) {
            Some(false) => Answer::NoManager,
            Some(true) => Answer::Nothing(format!("sysalert-look@{}.socket is to be started", user.uid)),
            None => Answer::Nothing("the service manager does not answer".to_owned()),
        },
        _ => Answer::Nothing(error.to_string()),
    })?;
    let put = (|| {
        line.set_write_timeout(Some(WITHIN))?;
        line.write_all(format!("{}\n", serde_json::to_string(question)?).as_bytes())
    })();
    put.map(|()| line).map_err(|error: io::Error| Answer::Nothing(error.to_string()))
}

/// Reads what a user's process says.
fn read(mut line: UnixStream, until: Instant) -> Answer {
    let mut said = Vec::new();
    let mut part = [0; 16 * 1024];
    // whoever has answered by now is heard, however long another took
    let until = until.max(clock::started() + A_MOMENT);
    loop {
        let left = until.saturating_duration_since(clock::started()).max(Duration::from_millis(1));
        let got = line.set_read_timeout(Some(left)).and_then(|()| line.read(&mut part));
        match got {
            Ok(0) => return believed(&said, clock::system()),
            Ok(length) => said.extend(part.iter().take(length)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Answer::Nothing("no answer came in time".to_owned());
            }
            Err(error) => return Answer::Nothing(error.to_string()),
        }
        // one who speaks slowly is not heard for longer
        if said.len() as u64 > LONGEST_ANSWER || clock::started() >= until {
            return Answer::Nothing("the answer does not end".to_owned());
        }
    }
}

/// An answer as it is sent: when the manager was begun, and the units; or why there are none.
type Said = Result<(Option<DateTime<Utc>>, Vec<Shown>), String>;

/// What of a user's words can be true.
fn believed(said: &[u8], now: DateTime<Utc>) -> Answer {
    match serde_json::from_slice::<Said>(said) {
        Ok(Ok((_, units))) if units.len() > MOST => Answer::Nothing(format!("it speaks of more than {MOST} units")),
        Ok(Ok((begun, units))) if begun.is_none_or(|at| is_time(at, now)) && units.iter().all(|unit| is_possible(unit, now)) => {
            Answer::Shown { begun, units }
        }
        // the user's own text is shown to nobody
        Ok(Err(_)) => Answer::Nothing("the user's D-Bus does not answer".to_owned()),
        Ok(Ok(_)) | Err(_) if !said.is_empty() => Answer::Nothing("the answer makes no sense".to_owned()),
        Ok(Ok(_)) | Err(_) => Answer::Nothing("no answer came".to_owned()),
    }
}

/// Whether a unit can be like this. It need not be true; nothing in it may do harm.
fn is_possible((unit, detail): &Shown, now: DateTime<Utc>) -> bool {
    let is_word = |text: &str, longest: usize| {
        text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+".contains(&byte))
    };
    let words = [&unit.load, &unit.active, &unit.sub];
    unit.name.parse::<UnitName>().is_ok()
        && words.into_iter().all(|word| is_word(word, 32))
        && detail.as_ref().is_none_or(|detail| {
            let Problem { service_result, exit_code, exit_status, cause } = &detail.problem;
            let words = [&detail.kind, service_result, exit_code, exit_status];
            words.into_iter().flatten().all(|word| is_word(word, 32))
                && is_word(&detail.file_state, 32)
                && detail.invocation.as_ref().is_none_or(|run| run.len() == 32 && is_word(run, 32))
                && [detail.since, detail.left].into_iter().flatten().all(|at| is_time(at, now))
                // what no manager says of a run is for nobody else to say
                && cause.is_none()
                && !detail.problem.is_polled()
                && !detail.problem.is_lapse()
                && !detail.problem.is_gone()
        })
}

fn is_time(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    at > DateTime::UNIX_EPOCH && at.timestamp() <= now.timestamp().saturating_add(A_DAY)
}

/// In seconds: a clock may have been set back.
const A_DAY: i64 = 24 * 60 * 60;

/// Answers whoever calls, as the user that this process runs as; systemd hands over the socket as standard input.
///
/// # Errors
/// The system's, when there is no socket.
pub fn answer() -> io::Result<()> {
    let socket = UnixListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    loop {
        match socket.accept() {
            // who asked may have gone
            Ok((line, _)) => drop(answer_to(line)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn answer_to(mut line: UnixStream) -> io::Result<()> {
    line.set_nonblocking(false)?;
    line.set_read_timeout(Some(WITHIN))?;
    line.set_write_timeout(Some(WITHIN))?;
    let mut text = String::new();
    BufReader::new((&line).take(LONGEST_QUESTION)).read_line(&mut text)?;
    let Question { names, globs, asked, thorough, .. } = serde_json::from_str(&text)?;
    let asked = |unit: &str| thorough || asked.iter().any(|asked| asked == unit);
    let glance = Glance { names: &names, globs: &globs, asked: &asked, rests: &|_| false };
    let mut manager = ServiceManager::new(true, WITHIN);
    let said: Said = manager.shown(glance).map(|units| (manager.booted(), units)).map_err(|_| "no answer".to_owned());
    line.write_all(&serde_json::to_vec(&said)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::manager::{Detail, Listed};

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(2_000_000_000, 0).unwrap()
    }

    fn shown() -> Shown {
        let [name, load, active, sub] = ["a@b.service", "loaded", "activating", "start-pre"].map(str::to_owned);
        let detail = Detail {
            kind: Some("notify".to_owned()),
            invocation: Some("0123456789abcdef0123456789abcdef".to_owned()),
            since: Some(now()),
            limit: Some(Duration::from_secs(90)),
            problem: Problem { service_result: Some("exit-code".to_owned()), ..Problem::default() },
            ..Detail::default()
        };
        (Listed { name, load, active, sub, has_job: true }, Some(detail))
    }

    #[test]
    fn what_a_manager_says_comes_through_as_it_is() {
        let units = vec![shown(), (Listed { name: "c.mount".to_owned(), ..Listed::default() }, None)];
        let said: Said = Ok((Some(now()), units.clone()));
        assert_eq!(believed(&serde_json::to_vec(&said).unwrap(), now()), Answer::Shown { begun: Some(now()), units });
    }

    #[test]
    fn nothing_that_could_do_harm_is_believed() {
        let wrong = |change: &dyn Fn(&mut Listed, &mut Detail)| {
            let (mut unit, detail) = shown();
            let mut detail = detail.unwrap();
            change(&mut unit, &mut detail);
            let said: Said = Ok((None, vec![(unit, Some(detail))]));
            believed(&serde_json::to_vec(&said).unwrap(), now())
        };
        type Change = &'static dyn Fn(&mut Listed, &mut Detail);
        let changes: [Change; 13] = [
            &|unit, _| unit.name = "bob/a.service".to_owned(),
            &|unit, _| unit.name = "a".to_owned(),
            &|unit, _| unit.active = "active\n<b>".to_owned(),
            &|unit, _| unit.sub = "x".repeat(33),
            &|unit, _| unit.load = "not found".to_owned(),
            &|_, detail| detail.kind = Some("\u{1b}[2J".to_owned()),
            &|_, detail| detail.invocation = Some("0".repeat(31)),
            &|_, detail| detail.since = Some(DateTime::<Utc>::MIN_UTC),
            &|_, detail| detail.left = Some(DateTime::<Utc>::MAX_UTC),
            &|_, detail| detail.problem.cause = Some("root's".to_owned()),
            &|_, detail| detail.problem.service_result = Some("not-found".to_owned()),
            &|_, detail| detail.problem.service_result = Some(crate::event::Lapse::RESULTS[0].to_owned()),
            &|_, detail| detail.problem.exit_status = Some("1; rm".to_owned()),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert_eq!(wrong(change), Answer::Nothing("the answer makes no sense".to_owned()), "change {number}");
        }
        for said in [
            "{\"Ok\": [null, [{}]]}",
            "{\"Ok\": [\"0001-01-01T00:00:00Z\", []]}",
            "{\"Ok\": 1}",
            "null",
            "[",
            "\"Ok\"",
            "{\"Ok\": [null, [[{\"name\": \"a.service\", \"more\": 1}, null]]]}",
        ] {
            assert_eq!(believed(said.as_bytes(), now()), Answer::Nothing("the answer makes no sense".to_owned()), "{said}");
        }
        assert_eq!(believed(b"", now()), Answer::Nothing("no answer came".to_owned()));
        let said: Said = Err("<script>".to_owned());
        assert_eq!(
            believed(&serde_json::to_vec(&said).unwrap(), now()),
            Answer::Nothing("the user's D-Bus does not answer".to_owned())
        );
        let many: Said = Ok((None, vec![shown(); MOST + 1]));
        assert_eq!(
            believed(&serde_json::to_vec(&many).unwrap(), now()),
            Answer::Nothing("it speaks of more than 500 units".to_owned())
        );
    }

    #[test]
    fn one_who_never_stops_speaking_is_cut_off() {
        let (mine, mut theirs) = UnixStream::pair().unwrap();
        let speaker = std::thread::spawn(move || while theirs.write_all(&[b'['; 4096]).is_ok() {});
        let until = clock::started() + PATIENCE;
        assert_eq!(read(mine, until), Answer::Nothing("the answer does not end".to_owned()));
        speaker.join().unwrap();
        let (mine, theirs) = UnixStream::pair().unwrap();
        assert_eq!(read(mine, clock::started()), Answer::Nothing("no answer came in time".to_owned()));
        drop(theirs);
    }
}
