//! A letter as an HTML document for mail: one narrow column, no images, no scripts, nothing from elsewhere.
//!
//! What makes it readable (the column, the wrapping of long words, the fonts, the banner) stands at the elements, since some
//! mail readers drop `<style>`; what only makes it pleasant, and every colour that must change in the dark, stands in there.

use super::{Letter, Tone};

const STYLE: &str = "\
:root{color-scheme:light dark;supported-color-schemes:light dark}\
body{color:#1c2024;background:#ffffff}\
.label,.note{color:#57606a}\
a{color:#0b57d0}\
h2{color:#1c2024}\
.lines{background:#f2f4f7;border-radius:8px}\
.lines div{padding-left:1.4em;text-indent:-1.4em}\
.facts td{border-bottom:1px solid #e6e9ed}\
.facts tr:last-child td{border-bottom:0}\
@media(prefers-color-scheme:dark){\
body{color:#e4e7eb;background:#15181c}\
.label,.note{color:#a3adb8}\
a{color:#8ab4f8}\
h2{color:#e4e7eb}\
.lines{background:#22272e}\
.facts td{border-bottom-color:#2b3138}}";

const FONT: &str = "font:15px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif";
const MONO: &str = "font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace";
/// The second is for readers that do not know the first.
const WRAP: &str = "overflow-wrap:anywhere;word-break:break-word";

/// The document.
pub(super) fn render(letter: &Letter) -> String {
    let mut blocks = block(&letter.excerpt_title(), &letter.excerpt);
    if !letter.note.is_empty() {
        blocks += &format!("<p class=\"note\" style=\"margin:12px 0 0\">{}</p>\n", escaped(&letter.note));
    }
    blocks.extend(letter.lists.iter().map(|(title, lines)| block(title, lines)));
    blocks += &block("To look further", &letter.commands);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"supported-color-schemes\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head>\n\
         <body style=\"margin:0;padding:12px;{FONT}\">\n<div style=\"max-width:640px;margin:0 auto;{WRAP}\">\n{banner}{facts}{blocks}</div>\n\
         </body></html>\n",
        title = escaped(&letter.subject),
        banner = banner(letter),
        facts = facts(letter),
    )
}

/// What can be read from two metres away. White on these colours has a contrast of more than 5 in light and in dark.
fn banner(letter: &Letter) -> String {
    let colour = match letter.tone {
        Tone::Trouble => "#b3261e",
        Tone::Well => "#1b6e3c",
        Tone::Neutral => "#1f5fae",
    };
    let what = match escaped(&letter.banner.what) {
        none if none.is_empty() => none,
        what => format!("<div style=\"margin:4px 0 0\">{what}</div>\n"),
    };
    format!(
        "<div style=\"background:{colour};color:#ffffff;border-radius:8px;padding:14px 16px\">\n\
         <div style=\"font-size:13px;font-weight:600\">{}</div>\n\
         <h1 style=\"margin:2px 0 0;font-size:20px;line-height:1.3;color:#ffffff\">{}</h1>\n{what}</div>\n",
        escaped(&letter.banner.status),
        escaped(&letter.banner.title),
    )
}

/// Of fixed columns: a long word wraps in its own and cannot widen it.
fn facts(letter: &Letter) -> String {
    let row = |label: &str, value: &str| {
        format!(
            "<tr><td class=\"label\" style=\"padding:4px 8px 4px 0;vertical-align:top\">{}</td>\
             <td style=\"padding:4px 0;vertical-align:top\">{value}</td></tr>\n",
            escaped(label)
        )
    };
    // the banner has them, and a phone shows little at a time
    let new = letter.facts.iter().filter(|(label, _)| !matches!(*label, "Host" | "Unit"));
    let mut rows: String = new.map(|(label, value)| row(label, &escaped(value))).collect();
    if !letter.see.is_empty() {
        rows += &row("See", &letter.see.iter().map(|link| linked(link)).collect::<Vec<_>>().join("<br>"));
    }
    format!(
        "<table class=\"facts\" role=\"presentation\" style=\"width:100%;table-layout:fixed;border-collapse:collapse;\
         margin:10px 0 0;{FONT};font-size:14px\">\n<colgroup><col style=\"width:104px\"><col></colgroup>\n{rows}</table>\n"
    )
}

/// Lines each in an element of their own: so they stay lines for a reader that knows no `pre-wrap`, and in the narrow the rest
/// of a long one is indented.
fn block(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let line = |line: &String| format!("<div style=\"white-space:pre-wrap\">{}</div>\n", escaped(line));
    let lines: String = lines.iter().map(line).collect();
    format!(
        "<h2 style=\"font-size:15px;line-height:1.3;margin:22px 0 8px\">{}</h2>\n\
         <div class=\"lines\" style=\"padding:10px 12px;{MONO}\">\n{lines}</div>\n",
        escaped(title),
    )
}

/// A link as one to follow, if it is for a browser and plain; any other as text.
fn linked(link: &str) -> String {
    let text = escaped(link);
    let plain = link.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>`\\".contains(&byte));
    let host = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"));
    if plain && host.is_some_and(|host| host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')) {
        format!("<a href=\"{text}\">{text}</a>")
    } else {
        text
    }
}

pub(super) fn escaped(text: &str) -> String {
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
