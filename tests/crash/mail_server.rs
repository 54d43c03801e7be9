//! A mail server that takes everything, and keeps the Message-ID of what it has confirmed or was about to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct MailServer {
    pub(crate) port: u16,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    /// How many talk to it now, and all Message-IDs.
    state: Mutex<(usize, Vec<String>)>,
    changed: Condvar,
}

impl MailServer {
    pub(crate) fn start() -> MailServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = MailServer { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let heard = server.heard.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                heard.state.lock().unwrap().0 += 1;
                let heard = heard.clone();
                thread::spawn(move || {
                    // a client that is killed in the middle is what this is for
                    let _ = converse(&stream, &heard);
                    heard.state.lock().unwrap().0 -= 1;
                    heard.changed.notify_all();
                });
            }
        });
        server
    }

    /// The Message-IDs of all mails, once nobody talks to it any more.
    pub(crate) fn ids(&self) -> Vec<String> {
        let state = self.heard.state.lock().unwrap();
        self.heard.changed.wait_while(state, |(talking, _)| *talking > 0).unwrap().1.clone()
    }

    /// Puts these in the place of what it has heard.
    pub(crate) fn set(&self, ids: &[String]) {
        self.heard.state.lock().unwrap().1 = ids.to_vec();
    }
}

fn converse(mut stream: &TcpStream, heard: &Heard) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 crash.example ESMTP\r\n")?;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let reply = match line.split_ascii_whitespace().next().unwrap_or_default() {
            "EHLO" => "250-crash.example\r\n250 8BITMIME",
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                let mut id = String::new();
                while line != ".\r\n" {
                    line.clear();
                    if reader.read_line(&mut line)? == 0 {
                        return Ok(());
                    }
                    if let Some(value) = line.strip_prefix("Message-ID: ") {
                        value.trim().clone_into(&mut id);
                    }
                }
                heard.state.lock().unwrap().1.push(id);
                "250 queued"
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes())?;
    }
}
