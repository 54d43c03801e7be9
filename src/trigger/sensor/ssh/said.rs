//! What the SSH server says of logins that fail, as OpenSSH words it (`auth.c`, `auth2.c`, `auth-pam.c`, `packet.c`).
//!
//! Whoever connects chooses the name that stands in the middle of these lines, and it may look like the rest of one. So address and
//! port are taken from the right end; where something else of the client's may stand behind them, too, they are not believed unless
//! they stand there once.

use std::net::IpAddr;

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A password was wrong.
    Attempt,
    /// So says PAM to the server, which may say it once more by itself.
    PamAttempt,
    /// What the server then says by itself.
    AfterPam,
    /// This connection did not get in: any number of keys may have been tried, and such a line may follow on an attempt.
    Sign,
    /// A module of PAM says so by itself, at times as another process.
    PamSign,
    /// It got in.
    Accepted,
}

/// A line about a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said<'a> {
    pub what: What,
    /// As typed: anything.
    pub user: &'a str,
    /// From where, as far as that is certain.
    pub address: Option<&'a str>,
    pub port: Option<u16>,
    /// So often: syslog servers sum up lines that repeat.
    pub times: u32,
}

/// A line of a user that was refused: "NAME ADDRESS port N", then "[preauth]".
const REFUSED: [&str; 8] = [
    "Connection closed by authenticating user ",
    "Connection closed by invalid user ",
    "Connection reset by authenticating user ",
    "Connection reset by invalid user ",
    "Disconnected from authenticating user ",
    "Disconnected from invalid user ",
    "Disconnecting authenticating user ",
    "Disconnecting invalid user ",
];

/// Reads a line; `None` when it tells of no login.
pub(super) fn said(line: &str) -> Option<Said<'_>> {
    if let Some(rest) = line.strip_prefix("message repeated ") {
        let (times, rest) = rest.split_once(" times: [ ")?;
        let inner = said(rest.strip_suffix(']')?).filter(|said| said.times == 1)?;
        return Some(Said { times: times.parse().ok().filter(|times| (1..=1000).contains(times))?, ..inner });
    }
    let line = line.strip_suffix(" [preauth]").unwrap_or(line);
    let line = line.strip_prefix("error: ").unwrap_or(line);
    if let Some(rest) = line.strip_prefix("Failed ") {
        let (method, rest) = rest.split_once(" for ")?;
        let (what, has_more) = match method {
            // each client asks first which methods there are
            "none" => (What::Sign, false),
            "publickey" | "hostbased" => (What::Sign, true),
            _ if method.starts_with("keyboard-interactive") => (What::AfterPam, false),
            _ => (What::Attempt, false),
        };
        return attempt(what, rest, has_more);
    }
    if let Some(rest) = line.strip_prefix("Accepted ") {
        return attempt(What::Accepted, rest.split_once(" for ")?.1, true);
    }
    if let Some(rest) = line.strip_prefix("maximum authentication attempts exceeded for ") {
        return attempt(What::Sign, rest, false);
    }
    if let Some(rest) = line.strip_prefix("Invalid user ") {
        return from(What::Sign, rest);
    }
    if let Some(rest) = REFUSED.iter().find_map(|words| line.strip_prefix(words)) {
        // "Disconnecting" says why in words that may name the client's names
        let is_certain = !line.starts_with("Disconnecting ");
        let parts = rest.rsplit_once(" port ").and_then(|(left, port)| Some((left.rsplit_once(' ')?, port)));
        return Some(match parts.filter(|_| is_certain) {
            Some(((user, address), port)) => made(What::Sign, user, address, port.parse().ok()),
            None => made(What::Sign, "", "", None),
        });
    }
    if let Some(rest) = line.strip_prefix("User ") {
        let (rest, _why) = rest.rsplit_once(" not allowed because ")?;
        return from(What::Sign, rest);
    }
    if let Some(rest) = line.strip_prefix("ROOT LOGIN REFUSED FROM ") {
        let (address, port) = rest.split_once(" port ").unwrap_or((rest, ""));
        return Some(made(What::Sign, "root", address, port.parse().ok()));
    }
    if let Some(rest) = line.strip_prefix("PAM: ") {
        let (_why, rest) = rest.split_once(" for ")?;
        return from(What::PamAttempt, rest.strip_prefix("illegal user ").unwrap_or(rest));
    }
    module(line)
}

/// "[invalid user ]NAME from ADDRESS port N ssh2[: more]"
fn attempt(what: What, rest: &str, has_more: bool) -> Option<Said<'_>> {
    let rest = rest.strip_prefix("invalid user ").unwrap_or(rest);
    if !has_more {
        return from(what, rest.strip_suffix(" ssh2")?);
    }
    // behind it stands a key, or a certificate with whatever name its maker gave it
    let ends: Vec<usize> = rest.match_indices(" ssh2").map(|(end, _)| end).collect();
    match ends.as_slice() {
        [] => None,
        [end] => from(what, &rest[..*end]),
        _ => Some(made(what, rest.split(" from ").next().unwrap_or_default(), "", None)),
    }
}

/// "NAME from ADDRESS[ port N]"
fn from(what: What, rest: &str) -> Option<Said<'_>> {
    let (user, place) = rest.rsplit_once(" from ")?;
    let (address, port) = place.split_once(" port ").unwrap_or((place, ""));
    Some(made(what, user, address, port.parse().ok()))
}

/// "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDRESS  user=NAME"
fn module(line: &str) -> Option<Said<'_>> {
    let (module, rest) = line.split_once("(sshd:auth): authentication failure; ")?;
    if !module.starts_with("pam_") || module.contains(' ') {
        return None;
    }
    let (_, rest) = rest.split_once(" rhost=")?;
    let (address, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(made(What::PamSign, rest.trim_start().strip_prefix("user=").unwrap_or_default(), address, None))
}

fn made<'a>(what: What, user: &'a str, address: &'a str, port: Option<u16>) -> Said<'a> {
    // "fe80::1%eth0" is one, too
    let is_address = address.split('%').next().is_some_and(|address| address.parse::<IpAddr>().is_ok());
    let is_short = address.len() <= 64;
    Said { what, user, address: Some(address).filter(|_| is_address && is_short), port: port.filter(|_| is_address), times: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        said(line).map_or_else(
            || "-".to_owned(),
            |said| {
                let port = said.port.map_or_else(String::new, |port| format!(" {port}"));
                let times = if said.times == 1 { String::new() } else { format!(" x{}", said.times) };
                format!("{:?} {:?} {}{port}{times}", said.what, said.user, said.address.unwrap_or("?"))
            },
        )
    }

    #[test]
    fn every_form_of_failure() {
        for (line, expected) in [
            ("Failed password for alice from 127.0.0.1 port 35986 ssh2", r#"Attempt "alice" 127.0.0.1 35986"#),
            ("Failed password for root from ::1 port 53792 ssh2", r#"Attempt "root" ::1 53792"#),
            ("Failed password for invalid user a b from 10.0.0.1 port 1 ssh2", r#"Attempt "a b" 10.0.0.1 1"#),
            ("Failed password for x from fe80::1%eth0 port 1 ssh2", r#"Attempt "x" fe80::1%eth0 1"#),
            ("Failed none for invalid user x from 10.0.0.1 port 1 ssh2", r#"Sign "x" 10.0.0.1 1"#),
            ("Failed publickey for alice from 10.0.0.1 port 1 ssh2: ED25519 SHA256:abc", r#"Sign "alice" 10.0.0.1 1"#),
            ("Failed publickey for alice from 10.0.0.1 port 1 ssh2", r#"Sign "alice" 10.0.0.1 1"#),
            ("Failed keyboard-interactive/pam for invalid user x from 10.0.0.1 port 1 ssh2", r#"AfterPam "x" 10.0.0.1 1"#),
            ("error: PAM: Authentication failure for illegal user x from 10.0.0.1", r#"PamAttempt "x" 10.0.0.1"#),
            ("error: PAM: Permission denied for alice from host.example", r#"PamAttempt "alice" ?"#),
            ("Invalid user nosuch from 127.0.0.1 port 36006", r#"Sign "nosuch" 127.0.0.1 36006"#),
            ("Invalid user  from 127.0.0.1 port 36006", r#"Sign "" 127.0.0.1 36006"#),
            ("Invalid user nosuch from 127.0.0.1", r#"Sign "nosuch" 127.0.0.1"#),
            ("Connection closed by authenticating user alice ::1 port 4 [preauth]", r#"Sign "alice" ::1 4"#),
            ("Connection closed by invalid user nosuch 127.0.0.1 port 4 [preauth]", r#"Sign "nosuch" 127.0.0.1 4"#),
            ("Connection reset by authenticating user root 127.0.0.1 port 4 [preauth]", r#"Sign "root" 127.0.0.1 4"#),
            ("Connection reset by invalid user x 127.0.0.1 port 4 [preauth]", r#"Sign "x" 127.0.0.1 4"#),
            ("Disconnected from authenticating user root 127.0.0.1 port 4 [preauth]", r#"Sign "root" 127.0.0.1 4"#),
            ("Disconnected from invalid user x 127.0.0.1 port 4 [preauth]", r#"Sign "x" 127.0.0.1 4"#),
            (
                "Disconnecting authenticating user root 127.0.0.1 port 4: Too many authentication failures [preauth]",
                r#"Sign "" ?"#,
            ),
            (
                "error: maximum authentication attempts exceeded for invalid user x from 127.0.0.1 port 4 ssh2 [preauth]",
                r#"Sign "x" 127.0.0.1 4"#,
            ),
            ("User bob from 127.0.0.1 not allowed because listed in DenyUsers", r#"Sign "bob" 127.0.0.1"#),
            ("ROOT LOGIN REFUSED FROM 127.0.0.1 port 4", r#"Sign "root" 127.0.0.1 4"#),
            (
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=127.0.0.1  user=alice",
                r#"PamSign "alice" 127.0.0.1"#,
            ),
            ("pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=::1", r#"PamSign "" ::1"#),
            ("Accepted publickey for alice from ::1 port 4 ssh2: RSA SHA256:abc", r#"Accepted "alice" ::1 4"#),
            (
                "message repeated 2 times: [ Failed password for root from 10.0.0.1 port 4 ssh2]",
                r#"Attempt "root" 10.0.0.1 4 x2"#,
            ),
        ] {
            assert_eq!(told(line), expected, "{line}");
        }
    }

    #[test]
    fn names_that_look_like_the_rest_of_a_line_deceive_nobody() {
        for (line, expected) in [
            (
                "Failed password for invalid user x from 1.2.3.4 port 5 ssh2 from 127.0.0.1 port 38130 ssh2",
                r#"Attempt "x from 1.2.3.4 port 5 ssh2" 127.0.0.1 38130"#,
            ),
            ("Invalid user x from 1.2.3.4 port 5 from 127.0.0.1 port 6", r#"Sign "x from 1.2.3.4 port 5" 127.0.0.1 6"#),
            (
                "Connection closed by invalid user x 1.2.3.4 port 5 127.0.0.1 port 6 [preauth]",
                r#"Sign "x 1.2.3.4 port 5" 127.0.0.1 6"#,
            ),
            (
                "Failed publickey for invalid user x from 1.2.3.4 port 5 ssh2 from 127.0.0.1 port 6 ssh2: RSA SHA256:a",
                r#"Sign "x" ?"#,
            ),
            (
                "Failed publickey for alice from 127.0.0.1 port 6 ssh2: RSA-CERT SHA256:a ID x from 1.2.3.4 port 5 ssh2",
                r#"Sign "alice" ?"#,
            ),
            (
                "Failed password for Accepted password for root from 127.0.0.1 port 6 ssh2",
                r#"Attempt "Accepted password for root" 127.0.0.1 6"#,
            ),
            ("Invalid user \u{1b}[2J from 127.0.0.1 port 6", "Sign \"\\u{1b}[2J\" 127.0.0.1 6"),
            (
                "User x not allowed because y from 1.2.3.4 from 127.0.0.1 not allowed because not listed in AllowUsers",
                r#"Sign "x not allowed because y from 1.2.3.4" 127.0.0.1"#,
            ),
        ] {
            assert_eq!(told(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_failed_login() {
        for line in [
            "Server listening on 0.0.0.0 port 22.",
            "Connection closed by 127.0.0.1 port 4 [preauth]",
            "Connection reset by 127.0.0.1 port 4",
            "Disconnected from user alice 127.0.0.1 port 4",
            "Received disconnect from 127.0.0.1 port 4:11: Bye Bye [preauth]",
            "Postponed keyboard-interactive for alice from 127.0.0.1 port 4 ssh2 [preauth]",
            "error: kex_exchange_identification: read: Connection reset by peer",
            "banner exchange: Connection from 127.0.0.1 port 4: invalid format",
            "pam_unix(sshd:auth): check pass; user unknown",
            "pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)",
            "x pam_unix(sshd:auth): authentication failure; rhost=127.0.0.1",
            "Failed password",
            "Failed password for",
            "Failed password for alice from 127.0.0.1 port 4",
            "message repeated 9999999999 times: [ Failed password for root from 10.0.0.1 port 4 ssh2]",
            "message repeated 2 times: [ message repeated 2 times: [ Failed password for root from 10.0.0.1 port 4 ssh2]]",
            "Invalid user x",
            "User x not allowed because y",
            "",
        ] {
            assert_eq!(told(line), "-", "{line}");
        }
    }
}
