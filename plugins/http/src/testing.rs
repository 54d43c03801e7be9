//! A small HTTP server for tests. It answers what a function says and writes down what it heard.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// `POST`.
    pub method: String,
    /// `/path?query`; for a proxy the whole URL, or `host:port` with `CONNECT`.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Heard {
    /// This header's value; `""` when it did not come.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Act {
    /// It answers with this status, these header lines and this body.
    Say(u16, Vec<String>, String),
    /// It says nothing until the client goes.
    Hang,
    /// It sends its answer a byte at a time, so that no read of the client ever times out.
    Drip,
    /// It closes the connection without an answer.
    Cut,
    /// It closes the connection after the status of success and a part of the body.
    Half,
}

impl Act {
    /// An answer with this status and body.
    pub fn say(status: u16, body: impl Into<String>) -> Act {
        Act::Say(status, Vec::new(), body.into())
    }

    /// With this header line, such as `Retry-After: 5`.
    #[must_use]
    pub fn with(mut self, line: &str) -> Act {
        if let Act::Say(_, lines, _) = &mut self {
            lines.push(line.to_owned());
        }
        self
    }
}

/// A running server on the loopback address. It ends with the test's process.
#[derive(Debug)]
pub struct Server {
    /// Its port.
    pub port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

type Script = dyn Fn(&Heard) -> Act + Send + Sync;

impl Server {
    /// Starts one without TLS.
    pub fn start(script: impl Fn(&Heard) -> Act + Send + Sync + 'static) -> Server {
        Server::listen(None, Arc::new(script))
    }

    /// Starts one with TLS.
    pub fn start_tls(tls: ServerConfig, script: impl Fn(&Heard) -> Act + Send + Sync + 'static) -> Server {
        Server::listen(Some(Arc::new(tls)), Arc::new(script))
    }

    /// `http://127.0.0.1:PORT` and this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// All requests so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("the log").clone()
    }

    /// The last request.
    pub fn last(&self) -> Heard {
        self.heard.lock().expect("the log").last().expect("a request").clone()
    }

    fn listen(tls: Option<Arc<ServerConfig>>, script: Arc<Script>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (tls, script, log) = (tls.clone(), Arc::clone(&script), Arc::clone(&log));
                thread::spawn(move || serve(stream.expect("a connection"), tls, &*script, &log));
            }
        });
        Server { port, heard }
    }
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, script: &Script, log: &Mutex<Vec<Heard>>) -> std::io::Result<()> {
    // Longer than any deadline of a test, so that a fault in the client ends the test instead of stopping it.
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    match tls {
        None => converse(stream, script, log),
        Some(tls) => converse(StreamOwned::new(ServerConnection::new(tls).map_err(std::io::Error::other)?, stream), script, log),
    }
}

fn converse(stream: impl Read + Write, script: &Script, log: &Mutex<Vec<Heard>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    // who begins a TLS handshake here is told in plain text, as nginx does
    if !stream.fill_buf()?.first().is_none_or(u8::is_ascii_uppercase) {
        return stream.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    }
    while let Some(heard) = request(&mut stream)? {
        log.lock().expect("the log").push(heard.clone());
        match script(&heard) {
            Act::Say(status, lines, body) => {
                let head: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
                // a 204 has no body, and says nothing of its length (RFC 9110, 8.6)
                let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
                stream.get_mut().write_all(format!("HTTP/1.1 {status} X\r\n{head}{length}\r\n{body}").as_bytes())?;
                stream.get_mut().flush()?;
            }
            Act::Hang => return stream.read_to_end(&mut Vec::new()).map(|_| ()),
            Act::Drip => {
                write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nX: ")?;
                // until the client goes, at most twenty seconds
                for _ in 0..400 {
                    stream.get_mut().write_all(b"x")?;
                    stream.get_mut().flush()?;
                    #[allow(clippy::disallowed_methods, reason = "a server that is slow is what the test needs")]
                    thread::sleep(Duration::from_millis(50));
                }
                return Ok(());
            }
            Act::Cut => return Ok(()),
            Act::Half => return stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
        }
    }
    Ok(())
}

/// The next request; none when the client has gone.
fn request(stream: &mut impl BufRead) -> std::io::Result<Option<Heard>> {
    let first = line(stream)?;
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut heard = Heard { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() };
    loop {
        let line = line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        heard.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = heard.header("content-length").parse().unwrap_or(0);
    heard.body.resize(length, 0);
    stream.read_exact(&mut heard.body)?;
    Ok(Some(heard))
}

fn line(stream: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// A certificate that signed itself, and its key, made by openssl.
#[derive(Debug)]
pub struct Certificate {
    folder: tempfile::TempDir,
}

/// What `openssl ca` wants to be told: `openssl req -x509` of Debian 12 cannot set the dates.
const AUTHORITY: &str = "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nserial = serial\nnew_certs_dir = .\ndefault_md = sha256\n\
    policy = any\ncopy_extensions = copy\n[any]\ncommonName = supplied\n";

impl Certificate {
    /// One for this name ("DNS:localhost" or "IP:127.0.0.1"), valid.
    pub fn valid(name: &str) -> Certificate {
        Certificate::until(name, "20491231000000Z")
    }

    /// One that is out of date.
    pub fn expired(name: &str) -> Certificate {
        Certificate::until(name, "20200102000000Z")
    }

    fn until(name: &str, end: &str) -> Certificate {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("authority"), AUTHORITY).expect("a file");
        std::fs::write(folder.path().join("index"), "").expect("a file");
        let openssl = |words: &str, extension: &str| {
            let mut openssl = std::process::Command::new("openssl");
            openssl.current_dir(folder.path()).args(words.split(' '));
            if !extension.is_empty() {
                openssl.args(["-addext", extension, "-addext", "basicConstraints=critical,CA:FALSE"]);
            }
            let output = openssl.output().expect("openssl");
            assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        };
        let request = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out request -subj /CN=test";
        openssl(request, &format!("subjectAltName={name}"));
        let sign =
            "ca -batch -notext -selfsign -create_serial -config authority -keyfile key.pem -in request -out certificate.pem";
        openssl(&format!("{sign} -startdate 20200101000000Z -enddate {end}"), "");
        Certificate { folder }
    }

    /// The certificate's file, for `ca`.
    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// What a server needs to show it.
    pub fn server(&self) -> ServerConfig {
        let certificate = CertificateDer::from_pem_file(self.path()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(self.folder.path().join("key.pem")).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
        config.with_single_cert(vec![certificate], key).expect("a pair")
    }
}
