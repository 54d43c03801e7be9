//! sysalert's alert method `journal`: one structured entry of the systemd journal for each message.
//!
//! It has no settings and ignores its section: it is the last resort, and nothing in a configuration may stop it.
//!
//! `journalctl -t sysalert` shows the entries; the excerpt of the failed unit's own messages is not among their text, since
//! it stands in the journal already. Fields, of which those without a value are left out:
//!
//! | field | value |
//! | --- | --- |
//! | `MESSAGE` | the subject; below it systemd's words for the newest failure, and how to see that run |
//! | `MESSAGE_ID` | 5ebf820c63e14f2f935d623791f6c5e0; of a recovery bf2087a53eea44e09f0504f2a299aa83 |
//! | `PRIORITY` | 3 (err) if critical, 4 (warning), 5 (notice) if info, and of a recovery or test; 3 of a digest |
//! | `SYSLOG_IDENTIFIER` | sysalert |
//! | `SYSALERT_KIND` | failure, reminder, recovery, digest or test |
//! | `SYSALERT_HOST`, `SYSALERT_UNIT` | what it is about |
//! | `SYSALERT_SUBJECT`, `SYSALERT_INCIDENT` | the incident: unit:backup.service, and its number |
//! | `SYSALERT_FAILURES` | how many failures the incident has |
//! | `SYSALERT_SERVICE_RESULT`, `SYSALERT_EXIT_CODE`, `SYSALERT_EXIT_STATUS`, `SYSALERT_INVOCATION_ID` | the newest failure |
//! | `SYSALERT_ALERT` | the same at each try: an entry that is there twice has it twice |

mod entry;
#[cfg(test)]
mod nasty;

use std::ffi::CStr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use sysalert_abi::{Answer, Plugin, Request, export_plugin, one_line, zero_ended};

/// Where journald listens for the native protocol.
const SOCKET: &str = "/run/systemd/journal/socket";

/// The method, as sysalert loads it.
struct Journal;

impl Plugin for Journal {
    const NAME: &'static CStr = c"journal";
    const VERSION: &'static CStr = zero_ended(concat!(env!("CARGO_PKG_VERSION"), "\0"));
    const SETTINGS: &'static CStr = zero_ended(concat!(include_str!("../settings.json"), "\0"));

    fn failure(request: &Request) -> Answer {
        write(request, Path::new(SOCKET), |fields| systemd::journal::send(fields).map_err(|error| error.to_string()))
    }
}

export_plugin!(Journal, sysalert_plugin_v1_journal);

fn write(request: &Request, socket: &Path, send: impl FnOnce(&[&str]) -> Result<(), String>) -> Answer {
    // libsystemd reports success when nobody listens: sd_journal_send(3).
    if !socket.metadata().is_ok_and(|found| found.file_type().is_socket()) {
        return Answer::Retry(format!("there is no journal: {} is missing; start systemd-journald", socket.display()), None);
    }
    let fields = entry::fields(request);
    match send(&fields.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => Answer::Sent("written to the journal: journalctl -t sysalert".into()),
        Err(error) => Answer::Retry(format!("the journal did not take it: {}", one_line(&error, 300)), None),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::entry::tests::request;

    #[test]
    fn without_a_journal_it_is_tried_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("a file");
        for socket in [Path::new("/nonexistent/socket"), &file] {
            let answer = write(&request(), socket, |_| unreachable!("nobody listens"));
            let expected = format!("there is no journal: {} is missing; start systemd-journald", socket.display());
            assert_eq!(answer, Answer::Retry(expected, None));
        }
    }

    #[test]
    fn the_answer_is_that_of_the_journal() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("socket");
        let _listens = UnixDatagram::bind(&socket).expect("a socket");
        let taken = write(&request(), &socket, |fields| {
            assert!(fields.contains(&"SYSLOG_IDENTIFIER=sysalert"));
            Ok(())
        });
        assert_eq!(taken, Answer::Sent("written to the journal: journalctl -t sysalert".into()));
        let refused = write(&request(), &socket, |_| Err("no\nbuffer".into()));
        assert_eq!(refused, Answer::Retry("the journal did not take it: no buffer".into(), None));
    }
}
