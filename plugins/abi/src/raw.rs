//! The C side of the border: the struct, the symbol and the macro that fills it. All that is unsafe stands here.

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Answer, Plugin, Reply, Request, Status};

/// The `abi` of every [`PluginV1`]. A breaking change is a new symbol, `sysalert_plugin_v2`.
pub const ABI: u32 = 1;
/// The function that a plugin exports. A library that holds several exports one for each, with `_NAME` behind it, and stands
/// as `NAME.so` by a link: what they have in common is then there once.
pub const SYMBOL: &str = "sysalert_plugin_v1";
/// The size of a [`PluginV1`] without the fields that were added at its end later.
pub const MINIMUM_SIZE: u32 = std::mem::offset_of!(PluginV1, settings) as u32;

/// Takes `length` bytes of JSON at `request`, with a zero byte behind them, and stores a buffer of JSON in `reply` and its
/// length in `reply_length`. The result is 0, or another number when there is no reply. The host hands the buffer back to
/// [`Free`].
pub type Call = unsafe extern "C" fn(request: *const u8, length: usize, reply: *mut *mut u8, reply_length: *mut usize) -> i32;
/// Frees a buffer that this plugin gave.
pub type Free = unsafe extern "C" fn(buffer: *mut u8, length: usize);
/// The type of the function named [`SYMBOL`].
pub type Entry = unsafe extern "C" fn() -> *const PluginV1;

/// What a plugin is. New fields come only at the end; `size` says how many there are. The functions are never null; that
/// they may be is for the host, which cannot rely on it.
#[repr(C)]
#[derive(Debug)]
pub struct PluginV1 {
    /// [`ABI`].
    pub abi: u32,
    /// The size in bytes of this struct as the plugin was built with it.
    pub size: u32,
    /// The plugin's name, ended by a zero byte.
    pub name: *const c_char,
    /// The plugin's version, ended by a zero byte.
    pub version: *const c_char,
    /// Sends a failure, reminder, digest or test.
    pub failure: Option<Call>,
    /// Sends a recovery.
    pub success: Option<Call>,
    /// Frees what the two gave.
    pub free: Option<Free>,
    /// Null, or the keys of the method's section as JSON, ended by a zero byte, so that `sysalert config check` can find a
    /// mistyped key: `[{"name": "host", "type": "text", "default": "localhost", "about": "the server"}]`. Types: `text`,
    /// `integer` (with `min` and `max`), `boolean`, `list` (of texts), `duration`, `secret`, `template`, `choice` (with `values`); with
    /// `"required": true` there is no default.
    pub settings: *const c_char,
    /// None, or says without sending anything whether the section of a request would do: "sent", or "refused" with the reason.
    pub check: Option<Call>,
    /// None, or says without sending anything whether the channel's server can be reached: "sent" with what answered, else as
    /// for a message.
    pub reach: Option<Call>,
}

// SAFETY: the struct and everything it points to are constants.
unsafe impl Sync for PluginV1 {}

/// The function that a library of sysalert's own exports that is no alert method: what is heavy and rare stands in one.
pub const TASK_SYMBOL: &str = "sysalert_task_v1";
/// The type of the function named [`TASK_SYMBOL`].
pub type TaskEntry = unsafe extern "C" fn() -> *const TaskV1;

/// What such a library is: JSON in, JSON out.
#[repr(C)]
#[derive(Debug)]
pub struct TaskV1 {
    /// [`ABI`].
    pub abi: u32,
    /// The size in bytes of this struct.
    pub size: u32,
    /// Does one task.
    pub run: Option<Call>,
    /// Frees what it gave.
    pub free: Option<Free>,
}

/// Runs one task; used by [`export_task!`](crate::export_task).
///
/// # Safety
/// As [`call`].
#[doc(hidden)]
pub unsafe fn task(
    request: *const u8,
    length: usize,
    reply: *mut *mut u8,
    reply_length: *mut usize,
    serve: fn(&serde_json::Value) -> serde_json::Value,
) -> i32 {
    // SAFETY: the caller vouches for the same.
    unsafe {
        answer(request, length, reply, reply_length, |bytes| {
            serde_json::to_vec(&serve(&serde_json::from_slice(bytes).ok()?)).ok()
        })
    }
}

/// Runs one call of a Rust plugin; used by [`export_plugin!`](crate::export_plugin).
///
/// # Safety
/// As [`Call`] says: `request` has `length` readable bytes; `reply` and `reply_length` can be written. A null pointer is
/// no reply.
#[doc(hidden)]
pub unsafe fn call<P: Plugin>(
    request: *const u8,
    length: usize,
    reply: *mut *mut u8,
    reply_length: *mut usize,
    serve: fn(&Request) -> Answer,
) -> i32 {
    let served = |bytes: &[u8]| {
        let request: Request = serde_json::from_slice(bytes).ok()?;
        serde_json::to_vec(&reply_of::<P>(&request, serve(&request))).ok()
    };
    // SAFETY: the caller vouches for the same.
    unsafe { answer(request, length, reply, reply_length, served) }
}

/// # Safety
/// As [`call`].
unsafe fn answer(
    request: *const u8,
    length: usize,
    reply: *mut *mut u8,
    reply_length: *mut usize,
    serve: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> i32 {
    if request.is_null() || reply.is_null() || reply_length.is_null() {
        return 1;
    }
    // SAFETY: the caller vouches for `length` readable bytes at `request`.
    let bytes = unsafe { std::slice::from_raw_parts(request, length) };
    // A panic must not cross the C border: it would abort the process instead of becoming a reply.
    let served = catch_unwind(AssertUnwindSafe(|| serve(bytes)));
    let json = match served {
        Ok(Some(json)) => json.into_boxed_slice(),
        Ok(None) => return 1,
        Err(payload) => {
            // Dropping what was thrown may panic again, and here nothing would catch it.
            std::mem::forget(payload);
            return 2;
        }
    };
    // SAFETY: the caller vouches for both places.
    unsafe {
        *reply_length = json.len();
        *reply = Box::into_raw(json).cast::<u8>();
    }
    0
}

fn reply_of<P: Plugin>(request: &Request, answer: Answer) -> Reply {
    let reply = answer.reply(request);
    let again_after = if reply.status == Status::Sent { P::again_after(request) } else { None };
    Reply { again_after, ..reply }
}

/// Frees what [`call`] gave.
///
/// # Safety
/// `buffer` and `length` come from one [`call`], and this is the only time.
#[doc(hidden)]
pub unsafe fn release(buffer: *mut u8, length: usize) {
    if !buffer.cast::<c_void>().is_null() {
        // SAFETY: `call` made it from a boxed slice of this length.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(buffer, length)) });
    }
}

/// Exports a [`Plugin`](crate::Plugin) from this shared library; from one that holds several, with [`SYMBOL`]`_NAME` as well.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        $crate::export_plugin!($plugin, sysalert_plugin_v1);
    };
    ($plugin:ty, $symbol:ident) => {
        const _: () = {
            unsafe extern "C" fn failure(request: *const u8, n: usize, reply: *mut *mut u8, reply_n: *mut usize) -> i32 {
                // SAFETY: the host calls this as `Call` says.
                unsafe { $crate::call::<$plugin>(request, n, reply, reply_n, <$plugin as $crate::Plugin>::failure) }
            }
            unsafe extern "C" fn success(request: *const u8, n: usize, reply: *mut *mut u8, reply_n: *mut usize) -> i32 {
                // SAFETY: the host calls this as `Call` says.
                unsafe { $crate::call::<$plugin>(request, n, reply, reply_n, <$plugin as $crate::Plugin>::success) }
            }
            unsafe extern "C" fn check(request: *const u8, n: usize, reply: *mut *mut u8, reply_n: *mut usize) -> i32 {
                let would_do = |request: &$crate::Request| match <$plugin as $crate::Plugin>::check(request) {
                    Ok(()) => $crate::Answer::Sent(String::new()),
                    Err(answer) => answer,
                };
                // SAFETY: the host calls this as `Call` says.
                unsafe { $crate::call::<$plugin>(request, n, reply, reply_n, would_do) }
            }
            unsafe extern "C" fn reach(request: *const u8, n: usize, reply: *mut *mut u8, reply_n: *mut usize) -> i32 {
                let reached = |request: &$crate::Request| match <$plugin as $crate::Plugin>::reach(request) {
                    Ok(what) => $crate::Answer::Sent(what),
                    Err(answer) => answer,
                };
                // SAFETY: the host calls this as `Call` says.
                unsafe { $crate::call::<$plugin>(request, n, reply, reply_n, reached) }
            }
            unsafe extern "C" fn free(buffer: *mut u8, n: usize) {
                // SAFETY: the host gives back what `failure` or `success` gave, once.
                unsafe { $crate::release(buffer, n) }
            }
            static PLUGIN: $crate::PluginV1 = $crate::PluginV1 {
                abi: $crate::ABI,
                size: std::mem::size_of::<$crate::PluginV1>() as u32,
                name: <$plugin as $crate::Plugin>::NAME.as_ptr(),
                version: <$plugin as $crate::Plugin>::VERSION.as_ptr(),
                failure: Some(failure),
                success: Some(success),
                free: Some(free),
                settings: <$plugin as $crate::Plugin>::SETTINGS.as_ptr(),
                check: Some(check),
                reach: Some(reach),
            };
            // SAFETY: the name belongs to sysalert's plugins, and a library has one of each.
            #[unsafe(no_mangle)]
            extern "C" fn $symbol() -> *const $crate::PluginV1 {
                &PLUGIN
            }
        };
    };
}

/// Exports a task, a function from JSON to JSON, from this shared library.
#[macro_export]
macro_rules! export_task {
    ($task:path) => {
        const _: () = {
            unsafe extern "C" fn run(request: *const u8, n: usize, reply: *mut *mut u8, reply_n: *mut usize) -> i32 {
                // SAFETY: the host calls this as `Call` says.
                unsafe { $crate::task(request, n, reply, reply_n, $task) }
            }
            unsafe extern "C" fn free(buffer: *mut u8, n: usize) {
                // SAFETY: the host gives back what `run` gave, once.
                unsafe { $crate::release(buffer, n) }
            }
            static TASK: $crate::TaskV1 = $crate::TaskV1 {
                abi: $crate::ABI,
                size: std::mem::size_of::<$crate::TaskV1>() as u32,
                run: Some(run),
                free: Some(free),
            };
            // SAFETY: the name belongs to sysalert's libraries, and each has one of them.
            #[unsafe(no_mangle)]
            extern "C" fn sysalert_task_v1() -> *const $crate::TaskV1 {
                &TASK
            }
        };
    };
}
