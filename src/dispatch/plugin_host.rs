//! The child process: checks and loads one plugin, hands it one request, and says what it replied. This and the interface
//! crate are the only places with unsafe code.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::fs::File;
use std::io::{Read, Write};
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use nix::unistd::dup2_stdout;
use serde::Serialize;
use serde_json::{Map, Value};
use sysalert_abi::{ABI, Call, Entry, Free, Kind, MINIMUM_SIZE, PluginV1, Reply, SYMBOL, TASK_SYMBOL, TaskEntry};

use super::plugin::{Description, Envelope, Said};
use super::{check, child};
use crate::host::library;

/// Address space for the plugin: enough for TLS and a dozen threads' stacks, and an end for one that never stops.
const MEMORY: u64 = 1 << 30;

/// Does the task ("send", "describe", "check", "reach", "ask" or "task") with the plugin at `path`: standard input in, one line on standard output out.
///
/// # Errors
/// When standard input or output cannot be used.
pub fn serve(task: &str, path: &Path) -> std::io::Result<()> {
    child::confine(c"sysalert-plugin", MEMORY);
    // a plugin may print what it likes: its standard output is the log, and the reply goes where it cannot write by chance,
    // and which no program that it starts inherits
    let mut reply = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    dup2_stdout(std::io::stderr())?;
    let said = work(task, path).unwrap_or_else(Said::Broken);
    let mut line = serde_json::to_vec(&said)?;
    line.push(b'\n');
    reply.write_all(&line)
}

/// A loaded plugin.
struct Plugin {
    description: Description,
    failure: Call,
    success: Call,
    free: Free,
    check: Option<Call>,
    reach: Option<Call>,
}

fn work(task: &str, path: &Path) -> Result<Said, String> {
    // before foreign code runs: all of the input, so that a crash of the plugin cannot be taken for a broken pipe
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).map_err(|error| format!("cannot read the request: {error}"))?;
    if task == "task" {
        return run_task(path, input).map(Said::Done);
    }
    let plugin = load(path)?;
    if task == "describe" {
        return Ok(Said::Described(plugin.description));
    }
    if let "check" | "reach" = task {
        let request: Value = serde_json::from_slice(&input).map_err(|error| format!("cannot read the request: {error}"))?;
        let call = if task == "check" { plugin.check } else { plugin.reach };
        let replies = call.map(|call| reply(&plugin, path, call, &request, request["config"].as_object())).transpose()?;
        return Ok(Said::Replies(replies.into_iter().collect()));
    }
    if task == "ask" {
        let requests: Vec<Value> =
            serde_json::from_slice(&input).map_err(|error| format!("cannot read the requests: {error}"))?;
        let reply = |request: &Value| {
            let is_recovery = request["kind"] == Kind::Recovery.as_str();
            reply(&plugin, path, plugin.call(is_recovery), request, request["config"].as_object())
        };
        return requests.iter().map(reply).collect::<Result<_, _>>().map(Said::Replies);
    }
    let mut envelope: Envelope = serde_json::from_slice(&input).map_err(|error| format!("cannot read the request: {error}"))?;
    if !envelope.recipients.is_empty() && has_recipients(&plugin.description) {
        envelope.request.config.insert("to".to_owned(), envelope.recipients.into());
    }
    let is_recovery = envelope.request.kind == Kind::Recovery;
    let request = &envelope.request;
    reply(&plugin, path, plugin.call(is_recovery), request, Some(&request.config)).map(Said::Reply)
}

impl Plugin {
    fn call(&self, is_recovery: bool) -> Call {
        if is_recovery { self.success } else { self.failure }
    }
}

/// The plugin's reply to a request with this section.
fn reply(
    plugin: &Plugin,
    path: &Path,
    call: Call,
    request: &impl Serialize,
    section: Option<&Map<String, Value>>,
) -> Result<Reply, String> {
    let json = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    // inside of JSON there is no zero byte
    let request = CString::new(json).map_err(|error| error.to_string())?;
    let reply = ask(call, plugin.free, &request)?;
    let reply: Reply = serde_json::from_slice(&reply)
        .map_err(|_| format!("the plugin {} answered something that is no reply", path.display()))?;
    Ok(match section {
        Some(section) => Reply { detail: check::without_secrets(&plugin.description, section, reply.detail), ..reply },
        None => reply,
    })
}

/// Hands a request to a library of ours that is no alert method.
fn run_task(path: &Path, input: Vec<u8>) -> Result<Value, String> {
    let shown = path.display();
    let library = open(path)?;
    // SAFETY: the symbol's name is the promise of this type.
    let entry = unsafe { library.get::<TaskEntry>(TASK_SYMBOL) }
        .map_err(|_| format!("{shown} has no function {TASK_SYMBOL}: install the one that belongs to this sysalert"))?;
    // SAFETY: takes no arguments and returns null or a constant.
    let task = unsafe { entry().as_ref() }.filter(|task| task.abi == ABI);
    let Some((run, free)) = task.and_then(|task| task.run.zip(task.free)) else {
        return Err(format!("{shown} belongs to another version of sysalert: install the one that belongs to this sysalert"));
    };
    let request = CString::new(input).map_err(|error| error.to_string())?;
    let reply = ask(run, free, &request)?;
    serde_json::from_slice(&reply).map_err(|_| format!("{shown} answered something that is no reply"))
}

/// Loads the very file that was checked.
fn open(path: &Path) -> Result<&'static libloading::Library, String> {
    let file = library::open(path)?;
    // SAFETY: the library's constructors run here. Only root and this user can have put it there, and this process is for it.
    let library = unsafe { libloading::Library::new(format!("/proc/self/fd/{}", file.as_raw_fd())) }
        .map_err(|error| format!("the plugin {} cannot be loaded: {error}", path.display()))?;
    // never unloaded: its threads may run on until this process ends
    Ok(Box::leak(Box::new(library)))
}

/// Loads a plugin, and checks what it says of itself.
fn load(path: &Path) -> Result<Plugin, String> {
    let shown = path.display();
    let library = open(path)?;
    // a library with several plugins has a name for each
    let own = path.file_stem().map(|stem| format!("{SYMBOL}_{}", stem.to_string_lossy())).unwrap_or_default();
    // SAFETY: the symbol's name is the promise of this type.
    let entry = unsafe { library.get::<Entry>(own.as_str()).or_else(|_| library.get::<Entry>(SYMBOL)) }
        .map_err(|_| format!("{shown} is no plugin of sysalert: it has no function {SYMBOL}"))?;
    // SAFETY: takes no arguments and returns null or a constant, as the header says.
    let plugin = unsafe { entry() };
    if plugin.is_null() {
        return Err(format!("the plugin {shown} returned no description of itself"));
    }
    // SAFETY: `abi` and `size` come first in every version.
    let (abi, size) = unsafe { ((&raw const (*plugin).abi).read(), (&raw const (*plugin).size).read()) };
    if abi != ABI || size < MINIMUM_SIZE {
        return Err(format!(
            "the plugin {shown} speaks version {abi} of the interface ({size} bytes), sysalert speaks version {ABI} \
             (at least {MINIMUM_SIZE} bytes): install the plugin that belongs to this sysalert"
        ));
    }
    let size = size as usize;
    // SAFETY: a struct of at least MINIMUM_SIZE bytes holds these fields; the later ones are read only where it reaches so far.
    let (failure, success, free, name, version, settings, check, reach) = unsafe {
        (
            (&raw const (*plugin).failure).read(),
            (&raw const (*plugin).success).read(),
            (&raw const (*plugin).free).read(),
            (&raw const (*plugin).name).read(),
            (&raw const (*plugin).version).read(),
            if size >= offset_of!(PluginV1, check) { (&raw const (*plugin).settings).read() } else { std::ptr::null() },
            if size >= offset_of!(PluginV1, reach) { (&raw const (*plugin).check).read() } else { None },
            if size >= size_of::<PluginV1>() { (&raw const (*plugin).reach).read() } else { None },
        )
    };
    let (Some(failure), Some(success), Some(free)) = (failure, success, free) else {
        return Err(format!("the plugin {shown} lacks one of its functions failure, success and free"));
    };
    let name = text(name).unwrap_or_default();
    Ok(Plugin {
        description: Description { name, version: text(version).unwrap_or_default(), settings: text(settings) },
        failure,
        success,
        free,
        check,
        reach,
    })
}

/// Whether the plugin has a key for recipients. One that does not tell its keys gets them rather than nothing.
fn has_recipients(description: &Description) -> bool {
    let keys: Option<Vec<Value>> = description.settings.as_ref().and_then(|json| serde_json::from_str(json).ok());
    keys.is_none_or(|keys| keys.iter().any(|key| key["name"] == "to"))
}

fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: a non-null text of a plugin is a constant ended by a zero byte, as the header says.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

fn ask(call: Call, free: Free, request: &CStr) -> Result<Vec<u8>, String> {
    let mut reply = std::ptr::null_mut();
    let mut length = 0;
    // SAFETY: `request` is readable for its length and the zero byte behind it, `reply` and `length` can be written, as the header says.
    let status = unsafe { call(request.as_ptr().cast(), request.count_bytes(), &raw mut reply, &raw mut length) };
    if status != 0 || reply.is_null() {
        return Err(format!("the plugin gave no reply (its status is {status})"));
    }
    // SAFETY: on success `reply` has `length` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(reply, length) }.to_vec();
    // SAFETY: it goes back once to the one that gave it.
    unsafe { free(reply, length) };
    Ok(bytes)
}
