//! An alert method in Rust: a folder with a file for each unit that is in trouble, for a status bar or a login's greeting. The
//! file holds the message; the recovery takes it away.
//!
//! As a crate of its own, with `crate-type = ["cdylib"]` in `[lib]`, and `sysalert-abi` from plugins/abi of sysalert's sources
//! and `serde` in `[dependencies]`:
//!
//! ```sh
//! cargo build --release
//! install -D -m 0644 target/release/libboard.so /usr/local/lib/sysalert/plugins/board.so
//! sysalert methods check /usr/local/lib/sysalert/plugins/board.so
//! install -d -o sysalert /var/log/sysalert/board
//! ```
//!
//! ```toml
//! [method.board]
//! folder = "/var/log/sysalert/board"
//! ```
#![allow(missing_docs, reason = "a library for one function, which the macro writes")]

use std::ffi::CStr;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde::Deserialize;
use sysalert_abi::{Answer, Plugin, Request, export_plugin, lines, settings};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    folder: PathBuf,
}

struct Board;

impl Plugin for Board {
    const NAME: &'static CStr = c"board";
    const VERSION: &'static CStr = c"1.0";
    const SETTINGS: &'static CStr =
        c"[{\"name\": \"folder\", \"type\": \"text\", \"required\": true, \"about\": \"The folder, as an absolute path.\"}]";

    fn failure(request: &Request) -> Answer {
        file(request).map_or_else(
            |answer| answer,
            |path| {
                let written = fs::write(&path, lines(&request.message.text));
                written.map_or_else(|error| later(&path, &error), |()| Answer::Sent(format!("written to {}", path.display())))
            },
        )
    }

    fn success(request: &Request) -> Answer {
        file(request).map_or_else(
            |answer| answer,
            |path| match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => later(&path, &error),
                _ => Answer::Sent(format!("{} is gone", path.display())),
            },
        )
    }
}

export_plugin!(Board);

/// The unit's file. A unit's name has no slash; a hostile one must not lead elsewhere.
fn file(request: &Request) -> Result<PathBuf, Answer> {
    let Section { folder } = settings(request)?;
    let name: String = request.service_name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).take(200).collect();
    Ok(folder.join(name.trim_start_matches('.')))
}

fn later(path: &std::path::Path, error: &std::io::Error) -> Answer {
    Answer::Retry(format!("{}: {error}; its folder must belong to the user sysalert", path.display()), None)
}
