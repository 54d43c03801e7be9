//! The other way to this machine's mail server: its program. No shell; addresses stand where no option can.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use sysalert_abi::one_line;

use crate::ledger::Ledger;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// The program's words are shown with at most this many characters.
const WORDS: usize = 300;
/// sysexits.h's mistakes that stay until somebody changes something: EX_USAGE, EX_DATAERR, EX_NOUSER, EX_NOPERM, EX_CONFIG. Not
/// EX_NOHOST: msmtp says so when a name cannot be resolved now.
const REFUSED: [i32; 5] = [64, 65, 67, 77, 78];

/// Hands the mail to the program, for nobody listens at the server's port.
pub(crate) fn hand_over(program: &Path, settings: &Settings, mail: &[u8], ledger: &Ledger, nobody: &Trouble) {
    let (Trouble::Later(nobody) | Trouble::Never(nobody)) = nobody;
    if !program.exists() {
        let text = format!("{nobody}, and there is no {}: set host, or install a mail server", program.display());
        return ledger.rest(&Trouble::Later(text));
    }
    ledger.asks(&program.display().to_string());
    let (status, words) = match run(program, settings, mail) {
        Ok(ended) => ended,
        Err(error) => return ledger.rest(&Trouble::Later(format!("{nobody}, and {} cannot be run: {error}", program.display()))),
    };
    if status.success() {
        let said = if words.is_empty() { "exit status 0".to_owned() } else { words };
        for recipient in settings.recipients() {
            ledger.set(&recipient, Ok(said.clone()));
        }
        return;
    }
    let words = if words.is_empty() { words } else { format!(": {words}") };
    let text = format!(
        "{nobody}, and {} failed ({status}){words}; a mail server whose sendmail needs setuid or setgid must listen at {}, or set host",
        program.display(),
        settings.server()
    );
    let is_refused = status.code().is_some_and(|code| REFUSED.contains(&code));
    ledger.rest(&if is_refused { Trouble::Never(text) } else { Trouble::Later(text) });
}

/// How it ended, and what it said.
fn run(program: &Path, settings: &Settings, mail: &[u8]) -> io::Result<(ExitStatus, String)> {
    // No pipe but a socket: what it says is read when it has ended, and a process that it left behind keeps nobody waiting.
    let (mut heard, said) = UnixStream::pair()?;
    let mut command = Command::new(program);
    // -i: a line with a single dot is no end. Nothing after "--" is an option.
    command.args(["-i", "-f", settings.from.email.as_ref(), "--"]);
    command.args(settings.recipients().iter().map(AsRef::<str>::as_ref));
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
    command.stdin(Stdio::piped()).stdout(OwnedFd::from(said.try_clone()?)).stderr(OwnedFd::from(said));
    let mut child = command.spawn()?;
    // With it goes this process's own copy of the socket's other end.
    drop(command);
    if let Some(mut stdin) = child.stdin.take() {
        // Lines end as in the machine's own files; one that ends without reading says so by its status.
        let _ = stdin.write_all(&without_carriage_returns(mail));
    }
    let status = child.wait()?;
    heard.set_nonblocking(true)?;
    let mut text = Vec::new();
    match heard.read_to_end(&mut text) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
        _ => {}
    }
    Ok((status, one_line(&String::from_utf8_lossy(&text), WORDS)))
}

fn without_carriage_returns(mail: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(mail.len());
    for (at, byte) in mail.iter().enumerate() {
        if !(*byte == b'\r' && mail.get(at + 1) == Some(&b'\n')) {
            lines.push(*byte);
        }
    }
    lines
}
