//! A letter as an HTML document for mail: one narrow column, no images, no scripts, readable in light and dark.

use super::{Letter, Tone};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;padding:16px;font:15px/1.45 system-ui,sans-serif;color:#1b1f24;background:#fff}\
main{max-width:640px;margin:0 auto}\
h1{font-size:19px;line-height:1.3;margin:0 0 12px;padding:0 0 0 12px;border-left:5px solid;overflow-wrap:anywhere}\
h2{font-size:14px;margin:20px 0 6px}\
table{border-collapse:collapse}td{padding:2px 14px 2px 0;vertical-align:top;overflow-wrap:anywhere}td:first-child{color:#59636e;white-space:nowrap}\
pre{margin:0;padding:10px 12px;font:13px/1.45 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere;background:#f3f4f6;border-radius:6px}\
.trouble{border-color:#c62828}.well{border-color:#2e7d32}.neutral{border-color:#1565c0}\
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#16181c}td:first-child{color:#9aa4af}pre{background:#23262c}}";

/// The document.
pub(super) fn render(letter: &Letter) -> String {
    let tone = match letter.tone {
        Tone::Trouble => "trouble",
        Tone::Well => "well",
        Tone::Neutral => "neutral",
    };
    let rows: String = letter
        .facts
        .iter()
        .map(|(label, value)| format!("<tr><td>{}</td><td>{}</td></tr>\n", escaped(label), escaped(value)))
        .collect();
    let block = |title: &str, lines: &[String]| match lines {
        [] => String::new(),
        lines => format!("<h2>{}</h2>\n<pre>{}</pre>\n", escaped(title), escaped(&lines.join("\n"))),
    };
    let mut blocks = block("Its failures", &letter.failures) + &block(&letter.excerpt_title(), &letter.excerpt);
    if letter.excerpt.is_empty() && !letter.no_excerpt.is_empty() {
        blocks += &format!("<p>{}</p>\n", escaped(&letter.no_excerpt));
    }
    blocks += &block("To look further", &letter.commands);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><main>\n<h1 class=\"{tone}\">{lead}</h1>\n\
         <table>\n{rows}</table>\n{blocks}</main></body></html>\n",
        title = escaped(&letter.subject),
        lead = escaped(&letter.lead),
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}
