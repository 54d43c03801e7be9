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
pub(crate) struct Ledger(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    /// Who is asked to take the mail, as the administrator knows it.
    server: String,
    /// What is wrong if nothing more is heard of it.
    silence: Trouble,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    address: Address,
    verdict: Option<Verdict>,
}

impl Ledger {
    pub(crate) fn new(server: String, recipients: Vec<Address>) -> Ledger {
        let rows = recipients.into_iter().map(|address| Row { address, verdict: None }).collect();
        Ledger(Arc::new(Mutex::new(Book { silence: unanswered(&server), server, rows })))
    }

    /// From now on it is this one that is asked.
    pub(crate) fn asks(&self, server: &str) {
        let mut book = self.book();
        book.silence = unanswered(server);
        server.clone_into(&mut book.server);
    }

    /// A server that falls silent from here on has this trouble.
    pub(crate) fn reached(&self, silence: Trouble) {
        self.book().silence = silence;
    }

    /// Time is up: everybody without a verdict gets that one.
    pub(crate) fn rest_is_silence(&self) {
        let silence = self.book().silence.clone();
        self.rest(&silence);
    }

    pub(crate) fn set(&self, address: &Address, verdict: Verdict) {
        if let Some(row) = self.book().rows.iter_mut().find(|row| row.address == *address) {
            row.verdict = Some(verdict);
        }
    }

    /// Everybody without a verdict gets this one.
    pub(crate) fn rest(&self, trouble: &Trouble) {
        for row in self.book().rows.iter_mut().filter(|row| row.verdict.is_none()) {
            row.verdict = Some(Err(trouble.clone()));
        }
    }

    /// Sent if anybody got it: a second mail to those would be worse than none to the others, whom the detail names.
    pub(crate) fn answer(&self) -> Answer {
        let Book { server, rows, .. } = &*self.book();
        let (mut taken, mut replies, mut troubles, mut later) = (Vec::new(), Vec::new(), Vec::new(), false);
        for Row { address, verdict } in rows {
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

    fn book(&self) -> MutexGuard<'_, Book> {
        // A thread that panicked leaves whole rows behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unanswered(server: &str) -> Trouble {
    Trouble::Later(format!("{server} did not answer in time"))
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
        let ledger = Ledger::new("mail:25".into(), (0..verdicts.len()).map(address).collect());
        for (n, verdict) in verdicts.iter().enumerate() {
            ledger.set(&address(n), verdict.clone());
        }
        ledger.answer()
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
        let ledger = Ledger::new("m:25".into(), vec![a.clone(), b]);
        ledger.set(&a, ok());
        ledger.rest(&Trouble::Later("time is up".into()));
        assert_eq!(ledger.answer(), Answer::Sent("m:25 took it for a@x.org (250 ok), but time is up".into()));
    }

    #[test]
    fn a_long_story_is_cut() {
        let Answer::Refused(text) = answer(&[Err(Trouble::Never("x".repeat(9000)))]) else { panic!("not refused") };
        assert_eq!(text.chars().count(), DETAIL + 1);
    }
}
