//! Who got the mail and who did not, and the answer that follows from it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lettre::Address;
use sysalert_abi::{Answer, one_line};

use crate::trouble::Trouble;

/// An answer is shown with at most this many characters, however many recipients there are.
const DETAIL: usize = 2000;

/// What became of one recipient: the server's reply, or why not.
pub(crate) type Verdict = Result<String, Trouble>;

/// The recipients and their verdicts. Shared with the thread that waits, which answers with what is known when time is up.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    rows: Arc<Mutex<Vec<Row>>>,
    /// What is wrong if nothing more is heard of the server.
    silence: Arc<Mutex<Trouble>>,
}

#[derive(Debug)]
struct Row {
    address: Address,
    verdict: Option<Verdict>,
}

impl Ledger {
    pub(crate) fn new(recipients: Vec<Address>, silence: Trouble) -> Ledger {
        let rows = recipients.into_iter().map(|address| Row { address, verdict: None }).collect();
        Ledger { rows: Arc::new(Mutex::new(rows)), silence: Arc::new(Mutex::new(silence)) }
    }

    /// A server that falls silent from here on has this trouble.
    pub(crate) fn reached(&self, silence: Trouble) {
        *self.silence.lock().unwrap_or_else(PoisonError::into_inner) = silence;
    }

    /// Time is up: everybody without a verdict gets that one.
    pub(crate) fn rest_is_silence(&self) {
        let silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.rest(&silence);
    }

    pub(crate) fn set(&self, address: &Address, verdict: Verdict) {
        if let Some(row) = self.rows().iter_mut().find(|row| row.address == *address) {
            row.verdict = Some(verdict);
        }
    }

    /// Everybody without a verdict gets this one.
    pub(crate) fn rest(&self, trouble: &Trouble) {
        for row in self.rows().iter_mut().filter(|row| row.verdict.is_none()) {
            row.verdict = Some(Err(trouble.clone()));
        }
    }

    /// Sent if anybody got it: a second mail to those would be worse than none to the others, whom the detail names.
    pub(crate) fn answer(&self, server: &str) -> Answer {
        let (mut taken, mut replies, mut troubles, mut later) = (Vec::new(), Vec::new(), Vec::new(), false);
        for Row { address, verdict } in self.rows().iter() {
            match verdict {
                Some(Ok(reply)) => {
                    taken.push(address.to_string());
                    once(&mut replies, reply);
                }
                Some(Err(Trouble::Never(text))) => once(&mut troubles, text),
                Some(Err(Trouble::Later(text))) => {
                    later = true;
                    once(&mut troubles, text);
                }
                None => later = true,
            }
        }
        let troubles = troubles.join("; ");
        if !taken.is_empty() {
            let sent = format!("{server} took it for {} ({})", taken.join(", "), replies.join("; "));
            return Answer::Sent(one_line(&if troubles.is_empty() { sent } else { format!("{sent}, but {troubles}") }, DETAIL));
        }
        if later { Answer::Retry(one_line(&troubles, DETAIL), None) } else { Answer::Refused(one_line(&troubles, DETAIL)) }
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        // A thread that panicked leaves whole rows behind.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn once(texts: &mut Vec<String>, text: &str) {
    if !texts.iter().any(|known| known == text) {
        texts.push(text.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(verdicts: &[Verdict]) -> Answer {
        let address = |n: usize| Address::new(format!("r{n}"), "x.org").expect("an address");
        let ledger = Ledger::new((0..verdicts.len()).map(address).collect(), Trouble::Later("silent".into()));
        for (n, verdict) in verdicts.iter().enumerate() {
            ledger.set(&address(n), verdict.clone());
        }
        ledger.answer("mail:25")
    }

    fn ok() -> Verdict {
        Ok("250 ok".into())
    }

    fn later() -> Verdict {
        Err(Trouble::Later("busy".into()))
    }

    fn never() -> Verdict {
        Err(Trouble::Never("gone".into()))
    }

    #[test]
    fn the_best_verdict_decides() {
        let rows = [
            (vec![ok(), ok()], Answer::Sent("mail:25 took it for r0@x.org, r1@x.org (250 ok)".into())),
            (vec![ok(), never()], Answer::Sent("mail:25 took it for r0@x.org (250 ok), but gone".into())),
            (vec![later(), ok()], Answer::Sent("mail:25 took it for r1@x.org (250 ok), but busy".into())),
            (vec![never(), later()], Answer::Retry("gone; busy".into(), None)),
            (vec![never(), never()], Answer::Refused("gone".into())),
        ];
        for (verdicts, expected) in rows {
            assert_eq!(answer(&verdicts), expected);
        }
    }

    #[test]
    fn the_rest_keeps_what_is_known() {
        let (a, b) = (Address::new("a", "x.org").expect("a"), Address::new("b", "x.org").expect("b"));
        let ledger = Ledger::new(vec![a.clone(), b], Trouble::Later("silent".into()));
        ledger.set(&a, ok());
        ledger.rest(&Trouble::Later("time is up".into()));
        assert_eq!(ledger.answer("m:25"), Answer::Sent("m:25 took it for a@x.org (250 ok), but time is up".into()));
    }

    #[test]
    fn a_long_story_is_cut() {
        let Answer::Refused(text) = answer(&[Err(Trouble::Never("x".repeat(9000)))]) else { panic!("not refused") };
        assert_eq!(text.chars().count(), DETAIL + 1);
    }
}
