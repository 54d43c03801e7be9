//! Passwords among the arguments of programs, as sudo and shells log them: `-pX` is one for mysql and a port for ssh.

use super::scan::{count, quote, space};
use super::{Span, value};

/// How an option holds its secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `-pSECRET`
    Attached,
    /// `-p SECRET`
    Next,
    /// `-u user:SECRET`
    NextAfter(u8),
}

use Form::{Attached, Next, NextAfter};

/// Programs, an option of theirs, and how it holds the secret.
#[rustfmt::skip]
const OPTIONS: &[(&[&str], &str, Form)] = &[
    // https://dev.mysql.com/doc/refman/8.4/en/password-security-user.html
    (&["mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlcheck", "mysqlshow", "mariadb", "mariadb-dump", "mariadb-admin"],
        "-p", Attached),
    // sshpass(1)
    (&["sshpass"], "-p", Attached),
    (&["sshpass"], "-p", Next),
    // https://redis.io/docs/latest/develop/tools/cli
    (&["redis-cli", "valkey-cli"], "-a", Next),
    // curl(1)
    (&["curl"], "-u", NextAfter(b':')),
    (&["curl"], "--user", NextAfter(b':')),
    (&["curl"], "-U", NextAfter(b':')),
    (&["curl"], "--proxy-user", NextAfter(b':')),
    // ldapsearch(1)
    (&["ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldapwhoami", "ldappasswd"], "-w", Next),
    // smbclient(1)
    (&["smbclient", "rpcclient", "net"], "-U", NextAfter(b'%')),
    // https://docs.docker.com/reference/cli/docker/login
    (&["docker", "podman"], "-p", Next),
    // 7z(1)
    (&["7z", "7za", "7zr"], "-p", Attached),
    // openssl-passphrase-options(1)
    (&["openssl"], "pass:", Attached),
];

pub(super) fn find(line: &str, spans: &mut Vec<Span>) {
    let mut program = "";
    let mut waiting: Option<Form> = None;
    for (start, word) in words(line) {
        count(word.len());
        let begins = start + word.len();
        match waiting.take() {
            Some(Next) => spans.extend(secret(line, start, begins)),
            Some(NextAfter(mark)) => {
                let colon = word.bytes().position(|byte| byte == mark);
                spans.extend(colon.and_then(|colon| secret(line, start + colon + 1, begins)));
            }
            _ => {}
        }
        let name = word.rsplit(['/', '=', '"', '\'', '`', '(']).next().unwrap_or(word);
        if OPTIONS.iter().any(|(programs, ..)| programs.contains(&name)) {
            program = name;
            continue;
        }
        // `docker run -p 8080:80` is a port
        if word == "run" {
            program = "";
        }
        for (_, option, form) in OPTIONS.iter().filter(|(programs, ..)| programs.contains(&program)) {
            match word.strip_prefix(option) {
                Some("") => waiting = (*form != Attached).then_some(*form).or(waiting),
                Some(rest) if *form == Attached => spans.extend(secret(line, begins - rest.len(), begins)),
                _ => {}
            }
        }
    }
}

/// The words and where they start.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.split(|c: char| c.is_ascii() && space(c as u8))
        .map(|word| (word.as_ptr() as usize - line.as_ptr() as usize, word))
        .filter(|(_, word)| !word.is_empty())
}

fn secret(line: &str, start: usize, end: usize) -> Option<Span> {
    let text = line.as_bytes();
    let start = start + usize::from(start < end && quote(text[start]));
    let end = end - usize::from(start < end && quote(text[end - 1]));
    (start < end && text[start] != b'-' && !value::is_placeholder(&text[start..end]) && !value::is_plain(&text[start..end]))
        .then(|| Span::new(start, end, "password"))
}
