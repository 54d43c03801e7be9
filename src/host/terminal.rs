//! Questions to a person at a terminal.

use std::io::{self, IsTerminal, Read, Write};

use nix::sys::signal::{Signal, raise};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Whether somebody is there who can be asked.
pub fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Asks, and reads a line; `None` at the end of the input.
///
/// # Errors
/// The terminal's.
pub fn ask(question: &str) -> io::Result<Option<String>> {
    let mut out = io::stdout().lock();
    out.write_all(question.as_bytes()).and_then(|()| out.flush())?;
    let mut answer = String::new();
    let length = io::stdin().read_line(&mut answer)?;
    Ok((length > 0).then(|| answer.trim().to_owned()))
}

/// Asks for what nobody may see: the terminal does not show what is typed. An interrupt ends this process at once, and leaves the
/// terminal as it was.
///
/// # Errors
/// The terminal's.
pub fn ask_hidden(question: &str) -> io::Result<Option<String>> {
    let hidden = Hidden::begin()?;
    let mut out = io::stdout().lock();
    out.write_all(question.as_bytes()).and_then(|()| out.flush())?;
    drop(out);
    let typed = typed(io::stdin().lock().bytes());
    drop(hidden);
    // the return was not shown either
    println_nothing()?;
    Ok(match typed? {
        Typed::Line(line) => Some(line.trim().to_owned()),
        Typed::End => None,
        Typed::Interrupt => {
            raise(Signal::SIGINT)?;
            // whoever does not die of it hears no answer
            None
        }
    })
}

/// What somebody typed at a terminal that hands over each byte as it comes.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Line(String),
    End,
    Interrupt,
}

fn typed(bytes: impl Iterator<Item = io::Result<u8>>) -> io::Result<Typed> {
    let mut line = String::new();
    let mut letter = Vec::new();
    for byte in bytes {
        match byte? {
            b'\n' | b'\r' => return Ok(Typed::Line(line)),
            // ctrl-c and ctrl-\\
            0x03 | 0x1c => return Ok(Typed::Interrupt),
            0x04 if line.is_empty() => return Ok(Typed::End),
            // ctrl-u takes back the line, backspace a letter
            0x15 => line.clear(),
            0x7f | 0x08 => drop(line.pop()),
            byte => {
                letter.push(byte);
                match std::str::from_utf8(&letter) {
                    Ok(whole) => line.push_str(whole),
                    // the rest of the letter is to come
                    Err(error) if error.error_len().is_none() => continue,
                    Err(_) => line.push(char::REPLACEMENT_CHARACTER),
                }
                letter.clear();
            }
        }
    }
    Ok(if line.is_empty() { Typed::End } else { Typed::Line(line) })
}

fn println_nothing() -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(b"\n").and_then(|()| out.flush())
}

/// As long as it lives, the terminal shows nothing of what is typed.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Hidden> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        // an interrupt is a byte like others, for the terminal is put right before it acts
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG | LocalModes::ICANON);
        // what was typed before the question is no answer to it
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_unseen_is_read_letter_by_letter() {
        let line = |text: &str| Typed::Line(text.to_owned());
        for (bytes, expected) in [
            ("s3cret\nmore\n", line("s3cret")),
            ("grü\u{7f}\u{7f}x\r", line("gx")),
            ("wrong\u{15}right\n", line("right")),
            ("half\u{3}", Typed::Interrupt),
            ("\u{4}", Typed::End),
            ("", Typed::End),
            ("\n", line("")),
        ] {
            assert_eq!(typed(bytes.bytes().map(Ok)).unwrap(), expected, "{bytes:?}");
        }
    }
}
