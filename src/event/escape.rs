//! Names that may hold anything, such as a mount point's: as one line that can be read, typed and taken back.

use std::path::Path;

/// Characters that turn or hide the text around them (Unicode's bidirectional and zero-width format characters).
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The name with "\n", "\u{1b}" and "\\" for what nobody can see or type, and for the backslash itself.
pub fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if c == '\\' || c.is_control() || is_invisible(c) { text.extend(c.escape_default()) } else { text.push(c) }
    }
    text
}

/// The name that was escaped so; `None` of what is no such text.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        name += plain;
        let mut chars = escape.chars();
        name.push(match chars.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '\\' => '\\',
            'u' => {
                let (digits, after) = chars.as_str().strip_prefix('{')?.split_once('}')?;
                chars = after.chars();
                char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
            }
            _ => return None,
        });
        rest = chars.as_str();
    }
    name += rest;
    (escaped(&name) == text).then_some(name)
}

/// A word as every shell takes it: sh, bash, zsh, and fish, where a backslash within quotes can end or keep what follows it. One
/// that would break the line or hide something is written as bash, zsh and ksh know it; for others it is another word, and no
/// command either.
pub fn shell(word: &str) -> String {
    // zsh makes a path of "=ls", older versions of fish a number of "%1"
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@+:,./-".contains(c);
    let is_hidden = |c: char| c.is_control() || is_invisible(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if word.chars().any(is_hidden) {
        let quoted = |c: char| match c {
            '\\' => "\\\\".to_owned(),
            // where nobody knows this form, a quote would be its end
            '\'' => "\\047".to_owned(),
            '\n' => "\\n".to_owned(),
            c if is_hidden(c) => format!("\\U{:08x}", u32::from(c)),
            c => c.to_string(),
        };
        return format!("$'{}'", word.chars().map(quoted).collect::<String>());
    }
    let mut quoted = "'".to_owned();
    let mut rest = word.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\'', _) => quoted += "'\\''",
            ('\\', None | Some('\\' | '\'')) => quoted += "'\\\\'",
            (c, _) => quoted.push(c),
        }
    }
    quoted + "'"
}

/// The same of a file.
pub fn shell_path(path: &Path) -> String {
    shell(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_is_one_line_and_comes_back() {
        for (name, shown) in [
            ("/srv/ä b:c%d", "/srv/ä b:c%d"),
            ("/srv/\u{1b}[31m\n\t", "/srv/\\u{1b}[31m\\n\\t"),
            ("/srv/back\\slash\\n", "/srv/back\\\\slash\\\\n"),
            ("/srv/q\"uo'te", "/srv/q\"uo'te"),
            ("/srv/\u{202e}", "/srv/\\u{202e}"),
            ("", ""),
        ] {
            assert_eq!(escaped(name), shown);
            assert_eq!(unescaped(shown).as_deref(), Some(name));
        }
        for text in ["a\nb", "back\\slash", "\\", "\\u{110000}", "\\u{41}", "\\u{+1b}", "\\u1b", "\\'"] {
            assert_eq!(unescaped(text), None, "{text}");
        }
    }

    #[test]
    fn a_shell_takes_a_word_as_it_was() {
        for (word, quoted) in [
            ("/var", "/var"),
            ("", "''"),
            ("/srv/a b", "'/srv/a b'"),
            ("/srv/$(id)*`x`", "'/srv/$(id)*`x`'"),
            ("it's", "'it'\\''s'"),
            ("=ls", "'=ls'"),
            ("a\\x2db.service", "'a\\x2db.service'"),
            ("\\'a\\", "''\\\\''\\''a'\\\\''"),
            ("/srv/new\nline's\\ \u{1b}", "$'/srv/new\\nline\\047s\\\\ \\U0000001b'"),
            ("\u{202e}a", "$'\\U0000202ea'"),
        ] {
            assert_eq!(shell(word), quoted);
            let said =
                Command::new("bash").env("LC_ALL", "C.UTF-8").args(["-c", &format!("printf %s {quoted}")]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), word);
        }
    }
    #[test]
    fn no_shell_makes_a_command_of_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let touch = format!("touch {}/pwned", folder.path().display());
        let mut words: Vec<String> = vec!["-rf".to_owned(), "~".to_owned(), "!!".to_owned(), "%1 ^ {a,b} *?[a]".to_owned()];
        for part in ["'", "\"", "\\", "\\'", "\\\\'", "\\\"", "' \\' '", "a b"] {
            words.push(part.to_owned());
            words.push(format!("{part}; {touch}; {part}"));
            words.push(format!("{part}$({touch}){part}`{touch}`{part}({touch}){part}"));
            words.push(format!("{part}\n{touch}\n{part}"));
        }
        let mut asked = 0;
        for program in ["sh", "bash", "dash", "zsh", "fish"] {
            for word in &words {
                let script = format!("printf %s {}", shell(word));
                let run =
                    Command::new(program).env("LC_ALL", "C.UTF-8").env("HOME", folder.path()).args(["-c", &script]).output();
                let said = match run {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound && !["sh", "bash"].contains(&program) => break,
                    said => said.unwrap(),
                };
                assert!(!folder.path().join("pwned").exists(), "{program}: {script}");
                // the form for what cannot be seen is not of every shell
                if !word.contains('\n') || ["bash", "zsh"].contains(&program) {
                    assert_eq!(String::from_utf8_lossy(&said.stdout), *word, "{program}: {script}");
                }
                asked += 1;
            }
        }
        assert!(asked >= 2 * words.len(), "{asked}");
    }
}
