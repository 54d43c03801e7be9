//! The message, twice: as HTML in Telegram's subset, and plain. It is cut before it is escaped, so that no tag and no entity
//! is ever cut.
//!
//! What a phone shows first stands first: what happened and where, in bold. What the subject says already is not told again.
//! Then the facts, the log's end, and the commands, each for itself: a tap copies it.

use std::fmt::Write as _;

use sysalert_abi::{Fact, Request, fit, lines, one_line, repeats, shorten, utf16_units};

/// "1-4096 characters after entities parsing" (<https://core.telegram.org/bots/api#sendmessage>). An entity's offset and
/// length count UTF-16 code units (<https://core.telegram.org/bots/api#messageentity>): more than any other way to count
/// characters, and so safe by each.
const LIMIT: usize = 4096;
/// What each part may take at most; the log and the lists share what is left.
const TITLE: usize = 500;
const LEAD: usize = 500;
const FACTS: usize = 1000;
const FACT: usize = 250;
const COMMANDS: usize = 800;
/// Between two parts.
const GAP: &str = "\n\n";

/// A message in both forms.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) html: String,
    pub(crate) plain: String,
}

/// How a part is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Bold,
    /// Stands right above the next part.
    Title,
    /// A block in fixed width.
    Block,
    /// Each line in fixed width, to be copied by a tap.
    Code,
}

/// The parts of a message that are already chosen, and the room that is left.
struct Sheet {
    parts: Vec<(Style, String)>,
    left: usize,
}

impl Sheet {
    /// Adds a part, cut to `most` and to what is left; `log`: its end matters most.
    fn add(&mut self, style: Style, text: &str, most: usize, log: bool) {
        let text = lines(text);
        let room = most.min(self.left.saturating_sub(utf16_units(GAP)));
        let fitted = fit(text.trim_end(), if log { &text } else { "" }, room, utf16_units);
        if fitted.trim().is_empty() {
            return;
        }
        self.left -= utf16_units(&fitted) + utf16_units(GAP);
        self.parts.push((style, fitted));
    }

    /// The parts in both forms.
    fn text(&self) -> Text {
        let (mut html, mut plain) = (String::new(), String::new());
        let mut gap = "";
        for (style, text) in &self.parts {
            let _ = write!(plain, "{gap}{text}");
            let escaped = escaped(text);
            let _ = match style {
                Style::Plain | Style::Title => write!(html, "{gap}{escaped}"),
                Style::Bold => write!(html, "{gap}<b>{escaped}</b>"),
                Style::Block => write!(html, "{gap}<pre>{escaped}</pre>"),
                Style::Code => {
                    let each: Vec<String> = escaped.lines().map(|line| format!("<code>{line}</code>")).collect();
                    write!(html, "{gap}{}", each.join("\n"))
                }
            };
            gap = if *style == Style::Title { "\n" } else { GAP };
        }
        Text { html, plain }
    }
}

/// The message of a request.
pub(crate) fn compose(request: &Request) -> Text {
    let message = &request.message;
    let parts = &message.parts;
    let mut title = one_line(&message.subject, usize::MAX);
    if !title.contains(char::is_alphanumeric) {
        // Telegram takes no text that nobody can see
        title = format!("sysalert on {}: {title}", one_line(&request.host, 100)).trim_end_matches([':', ' ']).to_owned();
    }
    let title = shorten(&title, TITLE, utf16_units);
    let mut sheet = Sheet { parts: Vec::new(), left: LIMIT };
    sheet.add(Style::Bold, &title, TITLE, false);
    if message.own.iter().any(|form| form == "text") {
        sheet.add(Style::Plain, &without_title(&message.text, &message.subject), LIMIT, false);
        return sheet.text();
    }
    if !repeats(&parts.lead, &title) {
        sheet.add(Style::Plain, &parts.lead, LEAD, false);
    }
    let is_told = |fact: &&Fact| matches!(fact.label.as_str(), "Host" | "Unit") && repeats(&fact.value, &title);
    let facts = parts.facts.iter().filter(|fact| !is_told(fact));
    let facts: Vec<String> =
        facts.map(|fact| shorten(&one_line(&format!("{}: {}", fact.label, fact.value), usize::MAX), FACT, utf16_units)).collect();
    sheet.add(Style::Plain, &facts.join("\n"), FACTS, false);

    // the end of the message is made first: it must have its room
    let mut end = Sheet { parts: Vec::new(), left: sheet.left.min(COMMANDS + utf16_units(GAP)) };
    let reserved = end.left;
    end.add(Style::Code, &parts.commands.join("\n"), COMMANDS * 2 / 3, false);
    end.add(Style::Plain, &parts.see.join("\n"), COMMANDS / 3, false);
    sheet.left -= reserved - end.left;

    let lists: Vec<String> = parts.lists.iter().map(|list| format!("{}:\n{}", list.title, list.lines.join("\n"))).collect();
    let (lists, note) = (lists.join("\n\n"), one_line(&parts.note, usize::MAX));
    let share = if parts.excerpt.is_empty() { LIMIT } else { sheet.left / 3 };
    let mut after = Sheet { parts: Vec::new(), left: share.min(sheet.left) };
    let reserved = after.left;
    after.add(Style::Plain, &shorten(&note, LEAD, utf16_units), LEAD, false);
    after.add(Style::Plain, &lists, LIMIT, false);
    sheet.left -= reserved - after.left;

    if parts.excerpt_title.contains("removed") && !parts.excerpt.is_empty() {
        sheet.add(Style::Title, &format!("{}:", one_line(&parts.excerpt_title, 200)), 300, false);
    }
    sheet.add(Style::Block, &parts.excerpt.join("\n"), LIMIT, true);
    sheet.parts.extend(after.parts.into_iter().chain(end.parts));
    sheet.text()
}

/// Own words may begin with the subject, which stands above them already.
fn without_title(text: &str, subject: &str) -> String {
    text.strip_prefix(subject.trim()).unwrap_or(text).trim_start_matches('\n').to_owned()
}

/// "All <, > and & symbols that are not a part of a tag or an HTML entity must be replaced"
/// (<https://core.telegram.org/bots/api#html-style>).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
