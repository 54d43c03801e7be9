//! The client: it makes a call and waits for the answer, never longer than the deadline.

use std::path::Path;
use std::time::{Duration, SystemTime};

use reqwest::{Method, Url, redirect};
use sysalert_abi::{Answer, Deadline};
use tokio::runtime::{Builder, Runtime};

use crate::call::{Call, place};
use crate::reply::Reply;
use crate::{proxy, trouble, words};

/// No answer is read beyond this.
const LONGEST_BODY: usize = 64 * 1024;

/// The client for one try to send, which may take several calls.
#[derive(Debug)]
pub struct Client {
    inner: reqwest::Client,
    /// Always there until the client is dropped.
    runtime: Option<Runtime>,
    deadline: Deadline,
    /// What must not be shown beside a call's own: the logins of proxies.
    secrets: Vec<String>,
}

impl Client {
    /// A client whose calls together end with the deadline. `ca`: a file of certificates (PEM) that are trusted instead of
    /// those of the system's store.
    ///
    /// # Errors
    /// The finished [`Answer`], when the file or the environment's proxy cannot be used or the system has no resources.
    pub fn new(deadline: Deadline, ca: Option<&Path>) -> Result<Client, Answer> {
        proxy::usable()?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Answer::Retry(format!("no call can be started: {error}"), None))?;
        let inner = reqwest::Client::builder()
            .tls_backend_preconfigured(sysalert_tls::configuration(ca, None)?)
            .user_agent(concat!("sysalert/", env!("CARGO_PKG_VERSION")))
            // a token is not carried to where a server points
            .redirect(redirect::Policy::none())
            // reqwest's own second try would be a second message
            .retry(reqwest::retry::never())
            // an address that is dead leaves time for the name's next one
            .connect_timeout(deadline.left().unwrap_or_default() / 2)
            .build()
            .map_err(|error| Answer::Refused(format!("no call can be made: {}", trouble::cause(&error))))?;
        Ok(Client { inner, runtime: Some(runtime), deadline, secrets: words::logins(proxy::named()) })
    }

    /// What is left of the deadline; none when it is over.
    pub fn left(&self) -> Option<Duration> {
        self.deadline.left()
    }

    /// Whether the server of this address answers, whatever it says to a bare `HEAD /`: nothing of the address but its server
    /// is told to anybody.
    ///
    /// # Errors
    /// The finished [`Answer`] when there is no answer.
    pub fn reach(&self, address: &Url) -> Result<String, Answer> {
        let mut root = address.clone();
        // the rest of it may be a secret
        root.set_path("/");
        root.set_query(None);
        root.set_fragment(None);
        let _ = root.set_username("").and_then(|()| root.set_password(None));
        self.send(&Call::new(Method::HEAD, root)).map(|_| format!("{} answers", place(address)))
    }

    /// Makes the call and waits for the answer, whatever its status is.
    ///
    /// # Errors
    /// The finished [`Answer`] when there is none.
    pub fn send(&self, call: &Call) -> Result<Reply, Answer> {
        let server = place(&call.url);
        let Some(left) = self.deadline.left() else {
            return Err(Answer::Retry(format!("no time was left to call {server}"), None));
        };
        let time = call.within.map_or(left, |within| within.min(left));
        let mut request = self.inner.request(call.method.clone(), call.url.clone()).timeout(time);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let request = request.body(call.body.clone());
        let secrets = [&call.secrets[..], &self.secrets].concat();
        let Some(runtime) = &self.runtime else { return Err(Answer::Retry("the client is gone".into(), None)) };
        runtime.block_on(async {
            let response = request.send().await.map_err(|error| trouble::of(&error, &server, &secrets))?;
            let mut reply = Reply::new(&server, &response, &secrets, now());
            let (body, whole) = body(response).await;
            reply.set_body(body, whole);
            Ok(reply)
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // a name's resolution knows no timeout: its thread is left behind, and ends with the process
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// As much of the body as came and may be read, and whether its end came, too.
async fn body(mut response: reqwest::Response) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, true),
            // the status says already what became of the message
            Err(_) => return (body, false),
        }
        if body.len() >= LONGEST_BODY {
            body.truncate(LONGEST_BODY);
            return (body, true);
        }
    }
}

/// For a Retry-After that is a date.
#[allow(clippy::disallowed_methods, reason = "a plugin is a process of its own, without sysalert's host module")]
fn now() -> SystemTime {
    SystemTime::now()
}
