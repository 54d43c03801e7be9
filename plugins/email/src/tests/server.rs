//! A small SMTP server for one test. It does what a script says and writes down what it heard.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the server does next.
pub(crate) enum Act {
    /// It says this line, and after 354 reads a mail.
    Say(&'static str),
    /// It says nothing until the client goes.
    Hang,
    /// It says this line, and then nothing more.
    SayAndHang(&'static str),
    /// It sends the beginning of a reply, a byte at a time, so that no read of the client ever times out.
    Drip,
    /// It closes the connection.
    Cut,
}

/// What the server heard: for each connection its lines; a mail is one of them, as it came.
pub(crate) type Heard = Arc<Mutex<Vec<Vec<String>>>>;

/// A running server.
pub(crate) struct Server {
    pub(crate) port: u16,
    heard: Heard,
}

impl Server {
    /// Starts one. The script is asked with "" for the greeting, then with each command, and with the whole mail.
    pub(crate) fn start(script: impl Fn(&str) -> Act + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Heard::default();
        let log = heard.clone();
        // It ends with the test's process: nobody waits for it.
        thread::spawn(move || {
            for stream in listener.incoming() {
                log.lock().expect("the log").push(Vec::new());
                let _ = converse(stream.expect("a connection"), &script, &log);
            }
        });
        Server { port, heard }
    }

    /// The lines of all connections.
    pub(crate) fn heard(&self) -> Vec<Vec<String>> {
        self.heard.lock().expect("the log").clone()
    }

    /// The mails of all connections, as they came.
    pub(crate) fn mails(&self) -> Vec<String> {
        self.heard().concat().into_iter().filter(|line| line.contains("\r\n")).collect()
    }
}

/// What a server says that has nothing to object to.
pub(crate) fn polite(line: &str) -> Act {
    Act::Say(match line.split([' ', '\r']).next().unwrap_or_default() {
        "" => "220 test.example ESMTP",
        "EHLO" => "250-test.example\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
        "AUTH" => "235 2.7.0 welcome",
        "MAIL" | "RCPT" => "250 2.1.0 fine",
        "DATA" => "354 go on",
        "QUIT" => "221 bye",
        _ => "250 2.0.0 queued as 4XyZ",
    })
}

fn converse(stream: TcpStream, script: &impl Fn(&str) -> Act, log: &Heard) -> std::io::Result<()> {
    // Longer than any deadline of a test, so that a fault in the client ends the test instead of stopping it.
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut heard = String::new();
    loop {
        match script(&heard) {
            Act::Say(reply) => {
                writer.write_all(format!("{reply}\r\n").as_bytes())?;
                heard = if reply.starts_with("354") { mail(&mut reader)? } else { line(&mut reader)? };
            }
            Act::SayAndHang(reply) => {
                writer.write_all(format!("{reply}\r\n").as_bytes())?;
                return reader.read_to_end(&mut Vec::new()).map(|_| ());
            }
            Act::Hang => return reader.read_to_end(&mut Vec::new()).map(|_| ()),
            Act::Drip => return drip(&mut reader, &mut writer),
            Act::Cut => return Ok(()),
        }
        if heard.is_empty() {
            return Ok(());
        }
        log.lock().expect("the log").last_mut().expect("a connection").push(heard.clone());
    }
}

/// Until the client goes, at most twenty seconds.
fn drip(reader: &mut BufReader<TcpStream>, writer: &mut TcpStream) -> std::io::Result<()> {
    writer.set_read_timeout(Some(Duration::from_millis(50)))?;
    for _ in 0..400 {
        writer.write_all(b"2")?;
        match reader.read(&mut [0]) {
            Ok(0) => break,
            // Nothing came within the 50 ms.
            _ => continue,
        }
    }
    Ok(())
}

fn line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().to_string())
}

fn mail(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut mail = String::new();
    while !mail.ends_with("\r\n.\r\n") && reader.read_line(&mut mail)? > 0 {}
    Ok(mail)
}
