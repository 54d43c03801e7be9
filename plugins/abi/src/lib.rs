//! What sysalert and an alert method's shared library say to each other.
//!
//! The library exports one C function, [`sysalert_plugin_v1`](SYMBOL), that returns a static [`PluginV1`]. Its functions
//! take one JSON [`Request`] and answer one JSON [`Reply`], both as UTF-8 bytes. The C header `sysalert_plugin.h` beside
//! this crate says the same for C.
//!
//! A plugin in Rust implements [`Plugin`] and calls [`export_plugin!`]; everything unsafe is in that macro.

mod deadline;
mod fit;
mod raw;
mod request;
mod settings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;

pub use deadline::Deadline;
pub use fit::{Count, bytes, characters, fit, repeats, shorten, utf16_units};
pub use raw::{ABI, Call, Entry, Free, MINIMUM_SIZE, PluginV1, SYMBOL, TASK_SYMBOL, TaskEntry, TaskV1};
#[doc(hidden)]
pub use raw::{call, release, task};
pub use request::{
    Beat, Fact, Failure, Incident, Kind, Level, List, Matter, Member, Message, Parts, Reply, Request, SCHEMA, Status,
};
pub use settings::settings;
pub use text::{lines, one_line};

/// Stands for a secret that is not at hand, in the requests of [`Plugin::check`] and [`Plugin::reach`].
pub const ELSEWHERE: &str = "elsewhere";

/// An alert method, as its author writes it.
pub trait Plugin {
    /// The plugin's name, as in `NAME.so`.
    const NAME: &'static std::ffi::CStr;
    /// Its version, for `sysalert methods`.
    const VERSION: &'static std::ffi::CStr;
    /// The keys that its section of the configuration may have: see [`PluginV1::settings`].
    const SETTINGS: &'static std::ffi::CStr;

    /// Sends a message about trouble: a failure, a reminder, a digest or a test.
    fn failure(request: &Request) -> Answer;

    /// Sends the message that all is well again.
    fn success(request: &Request) -> Answer {
        Self::failure(request)
    }

    /// Whether the request's section would do, as far as that can be seen without sending anything and without a network:
    /// `sysalert config check` asks.
    ///
    /// # Errors
    /// The [`Answer`] that a message would have, with a sentence that names the key.
    fn check(_request: &Request) -> Result<(), Answer> {
        Ok(())
    }

    /// Whether the channel's server can be reached now, without sending anything: `sysalert doctor` asks. The text says what answered;
    /// it is empty where there is nothing to reach.
    ///
    /// # Errors
    /// The [`Answer`] that a message would have.
    fn reach(_request: &Request) -> Result<String, Answer> {
        Ok(String::new())
    }

    /// For a channel that forgets: it wants the incidents that are not over again after this many seconds, and so on; see
    /// [`Reply::again_after`]. Asked when a message was sent, in the same thread.
    fn again_after(_request: &Request) -> Option<u64> {
        None
    }
}

/// The C text in a constant that ends with a zero byte, for [`Plugin`]'s constants: `concat!(include_str!("x"), "\0")`.
/// Used in a constant, a text without one, or with a second one, does not compile.
#[allow(clippy::panic, reason = "it runs in the compiler")]
pub const fn zero_ended(text: &'static str) -> &'static std::ffi::CStr {
    match std::ffi::CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("the text must have one zero byte, at its end"),
    }
}

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The channel took it; the text says what the channel answered.
    Sent(String),
    /// It was not sent, and a later try may succeed; the number is the channel's own wish in seconds.
    Retry(String, Option<u64>),
    /// It was not sent, and the same message will not be taken until somebody changes something.
    Refused(String),
}

impl Answer {
    /// The reply to `request` that says so.
    pub fn reply(self, request: &Request) -> Reply {
        let (status, detail, retry_after) = match self {
            Answer::Sent(detail) => (Status::Sent, detail, None),
            Answer::Retry(detail, after) => (Status::Retry, detail, after),
            Answer::Refused(detail) => (Status::Refused, detail, None),
        };
        Reply { nonce: request.nonce.clone(), status, detail, retry_after, again_after: None }
    }
}
