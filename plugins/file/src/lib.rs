//! sysalert's alert method `file`: each message is appended to a file, as a JSON object in one line or as a block of text.
//!
//! Settings: `path` (required, absolute) and `format` ("json" or "block"); `example.toml` shows a section.
//!
//! - The file is made with mode 0640 if it does not exist; its folder is not. It must be a regular file: a symbolic link, a
//!   device or a pipe is refused, and so is a file of somebody else, one with a second name, and any in a folder that everybody
//!   can change: others might read or redirect the alerts there.
//! - A message is one write(2) to a file opened with O_APPEND, so that two writers never mix, and on the disk (fdatasync)
//!   before it counts as sent. What a full disk took of a message is taken back. After a line that a crash cut short the next
//!   message begins on a line of its own.
//! - The file is opened for each message: whoever rotates it need tell nobody. If it was renamed or truncated while the message
//!   was written, that is written once more, to the new one. A copy that is truncated after it (logrotate's copytruncate) can
//!   still lose what came between the two.
//! - A missing folder, missing permission or a full disk may pass, and the message is tried again.
//! - A message whose write was not confirmed can stand there twice, with the same `idempotency_key`.

mod append;
mod format;

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sysalert_abi::{Answer, Plugin, Request, export_plugin, settings, zero_ended};

/// The method's section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    path: PathBuf,
    #[serde(default)]
    format: Format,
}

/// How a message is written.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// A block of text.
    Block,
}

/// The method, as sysalert loads it.
struct File;

impl Plugin for File {
    const NAME: &'static CStr = c"file";
    const VERSION: &'static CStr = zero_ended(concat!(env!("CARGO_PKG_VERSION"), "\0"));
    const SETTINGS: &'static CStr = zero_ended(concat!(include_str!("../settings.json"), "\0"));

    fn failure(request: &Request) -> Answer {
        write(request, now()).unwrap_or_else(|answer| answer)
    }

    fn check(request: &Request) -> Result<(), Answer> {
        valid(&settings::<Section>(request)?.path).map(drop)
    }
}

export_plugin!(File, sysalert_plugin_v1_file);

fn write(request: &Request, now: DateTime<Utc>) -> Result<Answer, Answer> {
    let section: Section = settings(request)?;
    let path = valid(&section.path)?;
    let text = match section.format {
        Format::Json => format::json(request, now),
        Format::Block => format::block(request, now),
    };
    append::append(path, &text)?;
    Ok(Answer::Sent(format!("appended to {}", path.display())))
}

fn valid(path: &Path) -> Result<&Path, Answer> {
    let wrong = |what| Answer::Refused(format!("its configuration does not fit: `path` {what}"));
    match path.to_str() {
        Some(text) if text.chars().any(char::is_control) => Err(wrong("has a control character")),
        _ if !path.is_absolute() => Err(wrong("must be absolute: begin with /")),
        _ => Ok(path),
    }
}

#[allow(clippy::disallowed_methods, reason = "a plugin is a process of its own, without sysalert's host module")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use serde_json::{Value, json};
    use sysalert_abi::testing::{NASTY, nasty_requests};

    use super::*;
    use crate::format::tests::request;

    fn to(path: &Path) -> Request {
        let mut request = request();
        request.config = [("path".to_string(), json!(path))].into_iter().collect();
        request
    }

    #[test]
    fn each_message_is_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("alerts.json");
        for _ in 0..2 {
            assert_eq!(File::failure(&to(&path)), Answer::Sent(format!("appended to {}", path.display())));
        }
        let written = fs::read_to_string(&path).expect("the file");
        assert_eq!(written.lines().count(), 2);
        for line in written.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(line["service_name"], "backup.service");
        }
        // The umask may take bits away, and adds none.
        assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & !0o640, 0o100_000);
    }

    /// Five hundred nasty messages: each is one record, and nothing in it can be taken for another one.
    #[test]
    fn every_nasty_message_is_one_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let written = |format: &str| {
            let path = folder.path().join(format);
            for (number, request) in nasty_requests(&json!({"path": path, "format": format})).enumerate() {
                let answer = File::failure(&request);
                assert!(matches!(answer, Answer::Sent(_)), "message {number}: {answer:?}");
            }
            fs::read_to_string(&path).expect("the file")
        };
        let records = written("json");
        let records: Vec<&str> = records.strip_suffix('\n').expect("an end").split('\n').collect();
        assert_eq!(records.len(), NASTY);
        for (record, request) in records.iter().zip(nasty_requests(&json!({}))) {
            let record: Value = serde_json::from_str(record).expect("JSON");
            let message = &request.message;
            let expected = json!({"subject": message.subject, "text": message.text, "journal": message.journal});
            assert!(record["message"] == expected && record["idempotency_key"] == request.idempotency_key.as_str());
        }

        let blocks = written("block");
        let rule = format!("\n{}\n", "-".repeat(70));
        let blocks: Vec<&str> = blocks.strip_suffix(&rule).expect("an end").split(&rule).collect();
        assert_eq!(blocks.len(), NASTY);
        for block in blocks {
            let outside: Vec<&str> = block.split('\n').filter(|line| !line.is_empty() && !line.starts_with("  ")).collect();
            let begins: Vec<&str> = outside.iter().filter_map(|line| line.split([' ', ':']).next()).collect();
            assert!(outside.len() == 4 && begins[0].starts_with('['), "{block}");
            assert_eq!(begins[1..], ["Host", "Failures", "Severity"], "{block}");
            assert!(block.chars().all(|c| c == '\n' || !c.is_control()), "{block}");
        }
    }

    #[test]
    fn a_wrong_section_is_refused_with_the_key() {
        let rows = [
            (json!({}), "missing field `path`"),
            (json!({"path": "alerts.json"}), "`path` must be absolute: begin with /"),
            (json!({"path": ""}), "`path` must be absolute: begin with /"),
            (json!({"path": "/tmp/a\nb"}), "`path` has a control character"),
            (json!({"path": "/tmp/a", "format": "xml"}), "`format` must be `json` or `block`"),
            (json!({"path": "/tmp/a", "mode": 1}), "unknown field `mode`, expected `path` or `format`"),
        ];
        for (config, expected) in rows {
            let mut request = request();
            request.config = config.as_object().expect("an object").clone();
            assert_eq!(File::failure(&request), Answer::Refused(format!("its configuration does not fit: {expected}")));
        }
    }
}
