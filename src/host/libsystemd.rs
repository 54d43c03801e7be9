//! The functions of libsystemd, for the crate that calls them: loaded when the first of them is called, and not before `main`.
//!
//! With eight libraries of its own it was 1.0 of the 3.8 million instructions of a failure, of which nothing is needed before
//! the first commit; a success with nothing wrong needs none of it at all. These functions have its names, so that the linker
//! takes them and leaves the library itself out. Each hands its arguments on, or answers ELIBACC where it cannot be loaded.
#![allow(unsafe_code)]

use std::error::Error;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use foreign_types::ForeignType;
use libloading::os::unix::{Library, RTLD_LAZY, RTLD_LOCAL};
use nix::errno::Errno;
use systemd::bus::Bus;

const NAME: &str = "libsystemd.so.0";

/// Loaded once, for as long as the process lives.
fn library() -> Result<&'static Library, &'static str> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    let load = || {
        // SAFETY: the same file, found in the same way, that the loader would run before `main`
        let loaded = unsafe { Library::open(Some(NAME), RTLD_LAZY | RTLD_LOCAL) };
        loaded.map_err(|error| {
            let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            format!("{NAME} cannot be loaded ({why}): install the package libsystemd0 (Debian) or systemd-libs (Fedora)")
        })
    };
    LIBRARY.get_or_init(load).as_ref().map_err(String::as_str)
}

/// Why it could not be loaded, and what to install; asks for nothing where it was not needed yet.
pub(super) fn trouble(error: &systemd::Error) -> Option<&'static str> {
    if error.raw_os_error() == Some(Errno::ELIBACC as i32) { library().err() } else { None }
}

/// Whether a connection can be asked, which the crate does not tell.
pub(super) fn is_ready(bus: &Bus) -> bool {
    // SAFETY: a connection that is there, and only looked at
    unsafe { sd_bus_is_ready(bus.as_ptr().cast()) > 0 }
}

/// What a function answers where there is no library.
trait Absent {
    const ANSWER: Self;
}

impl Absent for c_int {
    const ANSWER: c_int = -(Errno::ELIBACC as c_int);
}

impl Absent for () {
    const ANSWER: () = ();
}

impl Absent for *mut c_void {
    const ANSWER: *mut c_void = null_mut();
}

impl Absent for *const c_void {
    const ANSWER: *const c_void = null();
}

/// Each function, with the types that its C declaration has, but for what is behind a pointer, which none of them looks at.
macro_rules! forward {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => { $(
        // SAFETY: the name is libsystemd's, and so are the arguments and the answer
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> $answer {
            static FOUND: OnceLock<Option<unsafe extern "C" fn($($type),*) -> $answer>> = OnceLock::new();
            let find = || {
                // SAFETY: the types are those of the function's C declaration, and the library is never unloaded
                let found = unsafe { library().ok()?.get::<unsafe extern "C" fn($($type),*) -> $answer>(stringify!($name)) };
                found.ok().map(|symbol| *symbol)
            };
            match FOUND.get_or_init(find) {
                // SAFETY: the arguments are what the caller promises libsystemd
                Some(function) => unsafe { function($($argument),*) },
                None => <$answer as Absent>::ANSWER,
            }
        }
    )* };
}

// sd_journal_*(3), sd_bus_*(3): those that this program calls. One more that is missing here brings the library back as one
// that is needed at the start, which tests/budgets sees.
forward! {
    fn sd_journal_sendv(fields: *const c_void, count: c_int) -> c_int;
    fn sd_journal_open(journal: *mut *mut c_void, flags: c_int) -> c_int;
    fn sd_journal_open_files(journal: *mut *mut c_void, paths: *const *const c_char, flags: c_int) -> c_int;
    fn sd_journal_close(journal: *mut c_void) -> ();
    fn sd_journal_set_data_threshold(journal: *mut c_void, size: usize) -> c_int;
    fn sd_journal_add_match(journal: *mut c_void, data: *const c_void, size: usize) -> c_int;
    fn sd_journal_add_disjunction(journal: *mut c_void) -> c_int;
    fn sd_journal_flush_matches(journal: *mut c_void) -> ();
    fn sd_journal_seek_head(journal: *mut c_void) -> c_int;
    fn sd_journal_seek_tail(journal: *mut c_void) -> c_int;
    fn sd_journal_seek_realtime_usec(journal: *mut c_void, at: u64) -> c_int;
    fn sd_journal_seek_cursor(journal: *mut c_void, cursor: *const c_char) -> c_int;
    fn sd_journal_test_cursor(journal: *mut c_void, cursor: *const c_char) -> c_int;
    fn sd_journal_get_cursor(journal: *mut c_void, cursor: *mut *const c_char) -> c_int;
    fn sd_journal_next(journal: *mut c_void) -> c_int;
    fn sd_journal_previous(journal: *mut c_void) -> c_int;
    fn sd_journal_get_data(journal: *mut c_void, field: *const c_char, data: *mut *mut u8, size: *mut usize) -> c_int;
    fn sd_journal_get_realtime_usec(journal: *mut c_void, at: *mut u64) -> c_int;

    fn sd_bus_open_system(bus: *mut *mut c_void) -> c_int;
    fn sd_bus_open_user(bus: *mut *mut c_void) -> c_int;
    fn sd_bus_is_ready(bus: *mut c_void) -> c_int;
    fn sd_bus_process(bus: *mut c_void, message: *mut *mut c_void) -> c_int;
    fn sd_bus_wait(bus: *mut c_void, patience: u64) -> c_int;
    fn sd_bus_unref(bus: *mut c_void) -> *mut c_void;
    fn sd_bus_call(bus: *mut c_void, call: *mut c_void, patience: u64, error: *mut c_void, reply: *mut *mut c_void) -> c_int;
    fn sd_bus_error_free(error: *mut c_void) -> ();
    fn sd_bus_message_new_method_call(
        bus: *mut c_void, message: *mut *mut c_void, name: *const c_char, path: *const c_char, interface: *const c_char,
        member: *const c_char
    ) -> c_int;
    fn sd_bus_message_unref(message: *mut c_void) -> *mut c_void;
    fn sd_bus_message_append_basic(message: *mut c_void, kind: c_char, value: *const c_void) -> c_int;
    fn sd_bus_message_open_container(message: *mut c_void, kind: c_char, contents: *const c_char) -> c_int;
    fn sd_bus_message_close_container(message: *mut c_void) -> c_int;
    fn sd_bus_message_enter_container(message: *mut c_void, kind: c_char, contents: *const c_char) -> c_int;
    fn sd_bus_message_exit_container(message: *mut c_void) -> c_int;
    fn sd_bus_message_rewind(message: *mut c_void, complete: c_int) -> c_int;
    fn sd_bus_message_read_basic(message: *mut c_void, kind: c_char, value: *mut c_void) -> c_int;
    fn sd_bus_message_peek_type(message: *mut c_void, kind: *mut c_char, contents: *mut *const c_char) -> c_int;
}
