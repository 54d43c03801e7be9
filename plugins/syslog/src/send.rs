//! The ways of a message: a local socket, datagrams, a stream with counted octets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use sysalert_abi::Answer;

use crate::settings::{Settings, Transport};
use crate::tls;

/// Where glibc's syslog(3) writes to.
const LOCAL: &str = "/dev/log";
/// A server's name with more addresses than this is tried no further.
const ADDRESSES: usize = 8;
/// A host on which nobody listens says so (ICMP) within this time, if it says it at all.
const OBJECTION: Duration = Duration::from_millis(300);

/// Sends the messages within this time.
///
/// # Errors
/// The answer when that did not work.
pub(crate) fn send(settings: &Settings, messages: &[String], limit: Duration) -> Result<Answer, Answer> {
    let end = now() + limit;
    if settings.transport == Transport::Local {
        return local(LOCAL, messages, end);
    }
    let target = settings.target();
    let addresses: Vec<SocketAddr> = (settings.host.as_str(), settings.port)
        .to_socket_addrs()
        .map_err(|error| retry(format!("{target}: the name cannot be resolved ({error})")))?
        .take(ADDRESSES)
        .collect();
    let mut last = retry(format!("{target}: the name has no address"));
    for (tried, address) in addresses.iter().enumerate() {
        // each address gets its share, so that one that is dead does not use up all
        let share = now() + left(end, &target)? / (addresses.len() - tried) as u32;
        let sent = match settings.transport {
            Transport::Udp => udp(*address, &target, messages),
            _ => match TcpStream::connect_timeout(address, left(share, &target)?) {
                // from here on the server is there: no other address is asked, which might mean a second message
                Ok(stream) => return stream_to(stream, settings, messages, end),
                Err(error) => Err(retry(format!("{target} cannot be reached: {}", told(&error)))),
            },
        };
        match sent {
            Ok(answer) => return Ok(answer),
            Err(answer) => last = answer,
        }
    }
    Err(last)
}

/// Whether the server takes a connection; over UDP nobody can tell. Nothing is sent.
///
/// # Errors
/// The answer that a message would have.
pub(crate) fn reach(settings: &Settings, limit: Duration) -> Result<String, Answer> {
    match settings.transport {
        Transport::Local => local(LOCAL, &[], now() + limit).map(|_| format!("{LOCAL} is there")),
        Transport::Udp => Ok(String::new()),
        Transport::Tcp | Transport::Tls => {
            let target = settings.target();
            let addresses = (settings.host.as_str(), settings.port)
                .to_socket_addrs()
                .map_err(|error| retry(format!("{target}: the name cannot be resolved ({error})")))?;
            let mut last = retry(format!("{target}: the name has no address"));
            for address in addresses.take(ADDRESSES) {
                match TcpStream::connect_timeout(&address, limit / ADDRESSES as u32) {
                    Ok(_) => return Ok(format!("{target} answers")),
                    Err(error) => last = retry(format!("{target} cannot be reached: {}", told(&error))),
                }
            }
            Err(last)
        }
    }
}

pub(crate) fn local(path: &str, messages: &[String], end: Instant) -> Result<Answer, Answer> {
    let nobody = |error: io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            retry(format!("nobody listens at {path}: start systemd-journald, or another syslog daemon"))
        }
        _ => retry(format!("{path} did not take it: {}", told(&error))),
    };
    let socket = UnixDatagram::unbound().map_err(nobody)?;
    socket.connect(path).map_err(nobody)?;
    socket.set_write_timeout(Some(left(end, path)?)).map_err(nobody)?;
    for message in messages {
        socket.send(message.as_bytes()).map_err(nobody)?;
    }
    Ok(Answer::Sent(format!("given to {path}")))
}

fn udp(address: SocketAddr, target: &str, messages: &[String]) -> Result<Answer, Answer> {
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::ConnectionRefused => retry(format!("nobody listens at {target} (UDP)")),
        _ => retry(format!("{target} cannot be reached: {}", told(&error))),
    };
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).map_err(failed)?;
    socket.connect(address).map_err(failed)?;
    for message in messages {
        socket.send(message.as_bytes()).map_err(failed)?;
    }
    socket.set_read_timeout(Some(OBJECTION)).map_err(failed)?;
    match socket.recv(&mut [0]) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Err(failed(error)),
        _ => Ok(Answer::Sent(format!("sent to {target} by UDP: nobody confirms that it arrived"))),
    }
}

fn stream_to(stream: TcpStream, settings: &Settings, messages: &[String], end: Instant) -> Result<Answer, Answer> {
    let target = settings.target();
    let time = left(end, &target)?;
    let limits = stream.set_read_timeout(Some(time)).and_then(|()| stream.set_write_timeout(Some(time)));
    limits.map_err(|error| retry(format!("no timeout can be set: {error}")))?;
    // RFC 6587, 3.4.1 and RFC 5425, 4.3: the length in octets, a space, the message.
    let framed: String = messages.iter().map(|message| format!("{} {message}", message.len())).collect();
    if settings.transport == Transport::Tls {
        tls::send(stream, settings, framed.as_bytes())?;
    } else {
        plain(stream, framed.as_bytes()).map_err(|error| lost(&target, &error))?;
    }
    Ok(Answer::Sent(format!("{target} read it to its end")))
}

fn plain(mut stream: TcpStream, framed: &[u8]) -> io::Result<()> {
    stream.write_all(framed)?;
    stream.shutdown(Shutdown::Write)?;
    until_closed(&mut stream)
}

/// Waits until the other side, which was told that nothing more comes, closes too: then it has read everything.
pub(crate) fn until_closed(stream: &mut impl Read) -> io::Result<()> {
    let mut buffer = [0; 256];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// The answer when a connection broke or hung.
pub(crate) fn lost(target: &str, error: &io::Error) -> Answer {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => retry(format!("{target} did not read it in time")),
        _ => retry(format!("{target} was lost before it had read everything: {}", told(error))),
    }
}

/// What is left of the time.
fn left(end: Instant, target: &str) -> Result<Duration, Answer> {
    // The kernel takes a timeout of less than a microsecond as "for ever".
    let left = end.saturating_duration_since(now());
    if left < Duration::from_millis(1) { Err(retry(format!("{target} did not answer in time"))) } else { Ok(left) }
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "it did not answer in time".to_owned(),
        _ => error.to_string(),
    }
}

fn retry(text: String) -> Answer {
    Answer::Retry(text, None)
}

#[allow(clippy::disallowed_methods, reason = "a plugin is a process of its own, without sysalert's host module")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
