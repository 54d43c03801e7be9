//! Secrets taken out of foreign text before it leaves the machine: only the secret part goes, its key, user and scheme stay.
//!
//! Five detectors look at each line and answer with [`Span`]s: [`blocks`] (keys that span lines), [`tokens`] (documented
//! formats), [`urls`], [`named`] (`password=`, headers, options) and [`commands`] (options of known programs). Own code
//! instead of regular expressions: a name like `password` needs its surroundings judged (a status, a placeholder, a path, the
//! next key), which a linear-time expression without look-ahead cannot say.

mod blocks;
mod commands;
mod named;
mod scan;
mod tokens;
mod urls;
mod value;

/// A secret within a line, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    /// What it is, as the mark names it.
    what: &'static str,
    /// A further part of a secret that was counted already.
    continues: bool,
}

impl Span {
    fn new(start: usize, end: usize, what: &'static str) -> Self {
        Self { start, end, what, continues: false }
    }
}

/// Replaces each secret by a mark such as `[password removed]` and says how many there were.
///
/// The lines are texts of the journal in their order, already made visible (a line break within one reads `\n`), without
/// time and identifier before them, and not yet cut: half a secret is not recognised. A second pass finds nothing.
/// The work grows linearly with the text, whatever it holds.
pub(super) fn redact(lines: &mut [String]) -> usize {
    let mut spans = blocks::find(lines);
    let mut count = 0;
    for (line, spans) in lines.iter_mut().zip(&mut spans) {
        for detector in [tokens::find, urls::find, commands::find, named::find] {
            detector(line, spans);
        }
        // stable: of two that start together the earlier detector, which knows more, gives the name
        spans.sort_by_key(|span| span.start);
        count += replace(line, spans);
    }
    count
}

/// Puts marks for spans, which come in order and may overlap; how many were counted.
fn replace(line: &mut String, spans: &[Span]) -> usize {
    let mut whole: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match whole.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => whole.push(*span),
        }
    }
    if whole.is_empty() {
        return 0;
    }
    let mut text = String::with_capacity(line.len());
    let mut from = 0;
    for span in &whole {
        text.push_str(&line[from..span.start]);
        text.extend(["[", span.what, " removed]"]);
        from = span.end;
    }
    text.push_str(&line[from..]);
    *line = text;
    whole.iter().filter(|span| !span.continues).count()
}

#[cfg(test)]
mod tests;
