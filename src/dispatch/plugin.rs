//! One try to send: a child process of this same program loads the plugin. It may crash, hang or eat memory.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sysalert_abi::{Answer, Reply, Request, Status};

use super::child::{self, Lost};
use crate::host::{Site, env, identity, library};
use crate::settings::Method;

/// What the child gets on its standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// For the plugin.
    pub request: Request,
    /// Recipients that replace the method's own, if its plugin has recipients.
    pub recipients: Vec<String>,
}

/// What one try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What became of the message.
    pub answer: Answer,
    /// With `Sent`: the seconds after which the channel wants it again.
    pub again_after: Option<u64>,
}

impl From<Answer> for Tried {
    fn from(answer: Answer) -> Tried {
        Tried { answer, again_after: None }
    }
}

/// What the child says, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// The plugin's reply.
    Reply(Reply),
    /// Its replies to several requests.
    Replies(Vec<Reply>),
    /// What a task came to.
    Done(Value),
    /// What kind of plugin it is.
    Described(Description),
    /// Why the plugin could not be asked.
    Broken(String),
}

/// A plugin, as `sysalert methods` and `config check` see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The JSON of its keys, if it tells.
    pub settings: Option<String>,
}

/// The child's verb; not for people.
pub const VERB: &str = "plugin-host";

/// A reply is not read beyond this.
const LONGEST_REPLY: u64 = 64 * 1024;
/// A plugin has no other variable of ours: what a proxy, certificates, names and times need.
const PASSED_ON: [&str; 12] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LANG",
    "TZ",
];
const DESCRIBE: Duration = Duration::from_secs(10);

/// Sends by a method's plugin.
pub fn send(site: &Site, method: &Method, envelope: Envelope) -> Tried {
    let nonce = envelope.request.nonce.clone();
    let said = library::find(&method.plugin, &site.plugins)
        .and_then(|path| serde_json::to_vec(&envelope).map_err(|error| error.to_string()).map(|input| (path, input)))
        .and_then(|(path, input)| run(&path, "send", input, method.timeout));
    tried(said, &nonce, &method.plugin)
}

/// What an output of the child comes to, as a reply to the request with this nonce.
pub fn heard(output: impl Read, nonce: &str, plugin: &str) -> Tried {
    let said = child::line(output, LONGEST_REPLY)
        .ok_or_else(|| format!("the plugin {plugin} ended without a reply"))
        .and_then(|line| parse(&line, plugin));
    tried(said, nonce, plugin)
}

fn tried(said: Result<Said, String>, nonce: &str, plugin: &str) -> Tried {
    let answer = match said {
        Ok(Said::Reply(reply)) if reply.nonce == nonce => match reply.status {
            Status::Sent => return Tried { answer: Answer::Sent(reply.detail), again_after: reply.again_after },
            Status::Retry => Answer::Retry(reply.detail, reply.retry_after),
            Status::Refused => Answer::Refused(reply.detail),
        },
        Ok(Said::Reply(_)) => Answer::Retry(format!("the plugin {plugin} answered another request than this one"), None),
        Ok(Said::Described(_) | Said::Replies(_) | Said::Done(_)) => {
            Answer::Retry(format!("the plugin {plugin} did not answer"), None)
        }
        Ok(Said::Broken(why)) | Err(why) => Answer::Retry(why, None),
    };
    answer.into()
}

/// Asks a plugin what it is.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn describe(path: &Path) -> Result<Description, String> {
    match run(path, "describe", Vec::new(), DESCRIBE)? {
        Said::Described(description) => Ok(description),
        Said::Broken(why) => Err(why),
        _ => Err(format!("the plugin {} did not say what it is", path.display())),
    }
}

/// Asks a plugin whether the section of this request would do; `None`: it cannot tell.
///
/// # Errors
/// A sentence that says how it failed.
pub fn check(path: &Path, request: &Value) -> Result<Option<Reply>, String> {
    one(path, "check", request, DESCRIBE)
}

/// Asks a plugin whether the server of this request's section can be reached; `None`: it cannot tell.
///
/// # Errors
/// A sentence that says how it failed.
pub fn reach(path: &Path, request: &Value, limit: Duration) -> Result<Option<Reply>, String> {
    one(path, "reach", request, limit)
}

fn one(path: &Path, task: &str, request: &Value, limit: Duration) -> Result<Option<Reply>, String> {
    let input = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    match run(path, task, input, limit)? {
        Said::Replies(replies) => Ok(replies.into_iter().next()),
        Said::Broken(why) => Err(why),
        _ => Err(format!("the plugin {} did not answer", path.display())),
    }
}

/// Hands these requests to one process of a plugin, one after the other, and says what it replied to each.
///
/// # Errors
/// A sentence that says how it failed.
pub fn ask(path: &Path, requests: &[Value], limit: Duration) -> Result<Vec<Reply>, String> {
    let input = serde_json::to_vec(requests).map_err(|error| error.to_string())?;
    match run(path, "ask", input, limit)? {
        Said::Replies(replies) => Ok(replies),
        Said::Broken(why) => Err(why),
        _ => Err(format!("the plugin {} did not answer", path.display())),
    }
}

/// The answer to a task is not read beyond this.
const LONGEST_RESULT: u64 = 4 << 20;

/// Hands a request to a library of ours that is no alert method, in a child process, and tells what it answered.
///
/// # Errors
/// A sentence that says how it failed.
pub fn task(site: &Site, library: &str, request: &Value, limit: Duration) -> Result<Value, String> {
    let path = library::find(library, &site.plugins)?;
    let input = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    match run_long(&path, "task", input, limit, LONGEST_RESULT)? {
        Said::Done(answer) => Ok(answer),
        Said::Broken(why) => Err(why),
        _ => Err(format!("the plugin {} did not answer", path.display())),
    }
}

fn run(path: &Path, task: &str, input: Vec<u8>, limit: Duration) -> Result<Said, String> {
    run_long(path, task, input, limit, LONGEST_REPLY)
}

fn run_long(path: &Path, task: &str, input: Vec<u8>, limit: Duration, longest: u64) -> Result<Said, String> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut command = child::command(&[VERB, task]);
    if task == "task" {
        // root hands nothing of its power to a network
        identity::give_up(&mut command);
    }
    command.arg(path).envs(PASSED_ON.iter().filter_map(|variable| Some((variable, env::var(variable)?))));
    match child::run(command, input, longest, limit) {
        Ok(line) => parse(&line, &name),
        Err(Lost::NotStarted(why)) => Err(format!("cannot start a process for the plugin {name}: {why}")),
        Err(Lost::TooLong(limit)) => Err(format!("the plugin {name} took longer than {} s and was killed", limit.as_secs_f64())),
        Err(Lost::Ended(how)) => Err(format!("the plugin {name} ended without a reply ({how})")),
    }
}

fn parse(line: &str, plugin: &str) -> Result<Said, String> {
    serde_json::from_str(line).map_err(|_| format!("the plugin {plugin} answered something that is no reply"))
}
