//! Questions to a person at a terminal.

use std::io::{self, IsTerminal, Write};

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

/// Asks for what nobody may see: the terminal does not show what is typed.
///
/// # Errors
/// The terminal's.
pub fn ask_hidden(question: &str) -> io::Result<Option<String>> {
    let hidden = Hidden::begin()?;
    let answer = ask(question);
    drop(hidden);
    // the return was not shown either
    println_nothing()?;
    answer
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
        // an interrupt would leave the terminal as it is now, so there is none
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
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
