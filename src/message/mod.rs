//! What people read. A [`Report`] of what happened becomes a [`Letter`], and that the text, HTML and Markdown that channels
//! want. Pure: no clock, no store, no journal.

mod check;
mod commands;
mod compose;
mod context;
mod damage;
mod digest;
mod error_line;
mod excerpt;
mod findings;
mod flapping;
mod heartbeat;
mod html;
mod markdown;
mod method;
mod overtaken;
mod process;
mod redact;
mod schedule;
mod template;
mod text;

pub use compose::{Again, Because, Late, Report, compose, test_letter};
pub use context::Context;
pub use damage::{DamageReport, compose_damage};
pub use digest::{Digest, Member, News, Noun, digest};
pub use error_line::{Said, error_line};
pub use excerpt::{Raw, safe, shown, visible};
pub use findings::{Changed, Core, Disk, Exhausted, Findings, OutOfMemory};
pub use flapping::Phase;
pub use heartbeat::heartbeat_letter;
pub use method::{MethodReport, compose_method};
pub use overtaken::compose_overtaken;
pub use template::{Form, KEYS as TEMPLATE_KEYS, Source, Templates, complaint, in_words, render, templates, trial};

use sysalert_abi::{Fact, List, Message, Parts};

/// A message before it has a form: every text in it is plain, safe to print and without markup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letter {
    /// One line: what, where, how.
    pub subject: String,
    /// The same for who glances at it; only HTML shows it so.
    pub banner: Banner,
    /// Sentences that say what happened.
    pub lead: String,
    /// Labels and their values.
    pub facts: Vec<(&'static str, String)>,
    /// Where to read about the unit: the last fact, of several lines.
    pub see: Vec<String>,
    /// Lists with their titles: the failures, when there is more than one to tell; the units of a digest.
    pub lists: Vec<(&'static str, Vec<String>)>,
    /// The run's last lines.
    pub excerpt: Vec<String>,
    /// How many secrets were taken out of them.
    pub secrets: usize,
    /// Why there is no excerpt, or why some of its lines may be missing.
    pub note: String,
    /// Commands to look further.
    pub commands: Vec<String>,
    /// Red for trouble, green for recovery, blue for the rest.
    pub tone: Tone,
}

/// What stands largest in a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Banner {
    /// What happened, and where: "Failed on web1".
    pub status: String,
    /// To whom: "backup.service".
    pub title: String,
    /// How: "Exited with status 3".
    pub what: String,
}

/// The colour of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// Something is wrong.
    Trouble,
    /// It is well again.
    Well,
    /// Neither.
    #[default]
    Neutral,
}

impl Letter {
    /// What stands above the run's lines.
    fn excerpt_title(&self) -> String {
        match self.secrets {
            0 => "The run's last lines".to_owned(),
            1 => "The run's last lines (a secret was removed)".to_owned(),
            many => format!("The run's last lines ({many} secrets were removed)"),
        }
    }

    /// Says first that it comes by another way than it should.
    #[must_use]
    pub fn instead_of(mut self, method: &str, because: &str) -> Letter {
        self.facts.insert(0, ("Instead of", format!("{method}, which {because}")));
        self
    }

    /// Says that the method's own words could not be used.
    #[must_use]
    pub fn in_usual_words(mut self, because: &str) -> Letter {
        self.facts.push(("Template", because.to_owned()));
        self
    }

    /// Every form of it.
    pub fn render(&self) -> Message {
        Message {
            subject: self.subject.clone(),
            text: text::render(self),
            html: html::render(self),
            markdown: markdown::render(self),
            journal: self.excerpt.join("\n"),
            parts: self.parts(),
            own: Vec::new(),
        }
    }

    fn parts(&self) -> Parts {
        let fact = |(label, value): &(&str, String)| Fact { label: (*label).to_owned(), value: value.clone() };
        let list = |(title, lines): &(&str, Vec<String>)| List { title: (*title).to_owned(), lines: lines.clone() };
        Parts {
            lead: self.lead.clone(),
            facts: self.facts.iter().map(fact).collect(),
            see: self.see.clone(),
            excerpt_title: if self.excerpt.is_empty() { String::new() } else { self.excerpt_title() },
            excerpt: self.excerpt.clone(),
            note: self.note.clone(),
            lists: self.lists.iter().map(list).collect(),
            commands: self.commands.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
