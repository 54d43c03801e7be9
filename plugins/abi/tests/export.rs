//! What a host sees of a plugin written with the macro: the struct, the replies, and a number instead of a panic.
#![allow(clippy::panic, reason = "a plugin that panics is what is tried here")]

use std::ffi::CStr;

use serde_json::{Value, json};
use sysalert_abi::{ABI, Answer, MINIMUM_SIZE, Plugin, PluginV1, Request, export_plugin};

struct Sample;

impl Plugin for Sample {
    const NAME: &'static CStr = c"sample";
    const VERSION: &'static CStr = sysalert_abi::zero_ended("1.2.3\0");
    const SETTINGS: &'static CStr = c"[]";

    fn failure(request: &Request) -> Answer {
        match request.service_name.as_str() {
            "panics" => std::panic::panic_any(PanicsWhenDropped),
            "forgets" => Answer::Sent("taken".into()),
            "later" => Answer::Retry("busy".into(), Some(7)),
            _ => Answer::Refused("never".into()),
        }
    }

    fn success(_: &Request) -> Answer {
        Answer::Sent("taken".into())
    }

    fn check(request: &Request) -> Result<(), Answer> {
        if request.service_name == "x" { Err(Answer::Refused("`host` is none".into())) } else { Ok(()) }
    }

    fn again_after(request: &Request) -> Option<u64> {
        (request.service_name != "x").then_some(60)
    }
}

/// A thrown value that throws once more when the catcher drops it.
struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        std::panic::panic_any("again");
    }
}

export_plugin!(Sample);

unsafe extern "C" {
    fn sysalert_plugin_v1() -> *const PluginV1;
}

fn plugin() -> &'static PluginV1 {
    // SAFETY: the macro above exports this function, and it answers a static.
    unsafe { &*sysalert_plugin_v1() }
}

fn text(pointer: *const std::ffi::c_char) -> &'static str {
    // SAFETY: the struct's texts are constants that end with a zero byte.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("UTF-8")
}

fn request(service: &str) -> Vec<u8> {
    json!({
        "schema": 1, "nonce": "n-42", "kind": "failure", "host": "web1", "service_name": service, "failures": [],
        "incident": null, "message": {"subject": "", "text": "", "html": "", "markdown": "", "journal": ""},
        "idempotency_key": "k", "deadline_ms": 1000, "config": {}, "a_later_field": true
    })
    .to_string()
    .into_bytes()
}

/// Calls as a host does, and gives the buffer back.
fn call(function: Option<sysalert_abi::Call>, request: &[u8]) -> Result<Value, i32> {
    let (mut reply, mut length) = (std::ptr::null_mut(), 0);
    // SAFETY: the pointers are valid for the call, as `Call` wants.
    let code = unsafe { function.expect("a function")(request.as_ptr(), request.len(), &mut reply, &mut length) };
    if code != 0 {
        assert!(reply.is_null(), "no buffer without a reply");
        return Err(code);
    }
    // SAFETY: the plugin gave `length` bytes at `reply`, which are copied before it frees them.
    let bytes = unsafe { std::slice::from_raw_parts(reply, length) }.to_vec();
    // SAFETY: the buffer goes back to the plugin that gave it, once.
    unsafe { plugin().free.expect("a function")(reply, length) };
    Ok(serde_json::from_slice(&bytes).expect("JSON"))
}

#[test]
fn the_struct_tells_what_it_is() {
    let plugin = plugin();
    assert_eq!((plugin.abi, plugin.size), (ABI, std::mem::size_of::<PluginV1>() as u32));
    assert!(plugin.size > MINIMUM_SIZE);
    assert_eq!((text(plugin.name), text(plugin.version), text(plugin.settings)), ("sample", "1.2.3", "[]"));
}

#[test]
fn replies_bear_the_nonce() {
    let later = json!({"nonce": "n-42", "status": "retry", "detail": "busy", "retry_after": 7, "again_after": null});
    assert_eq!(call(plugin().failure, &request("later")), Ok(later));
    let never = json!({"nonce": "n-42", "status": "refused", "detail": "never", "retry_after": null, "again_after": null});
    assert_eq!(call(plugin().failure, &request("x")), Ok(never));
    let taken = json!({"nonce": "n-42", "status": "sent", "detail": "taken", "retry_after": null, "again_after": null});
    assert_eq!(call(plugin().success, &request("x")), Ok(taken));
    let forgets = json!({"nonce": "n-42", "status": "sent", "detail": "taken", "retry_after": null, "again_after": 60});
    assert_eq!(call(plugin().failure, &request("forgets")), Ok(forgets), "only what was sent is sent again");
}

#[test]
fn a_section_is_checked_without_a_message() {
    let status =
        |service| call(plugin().check, &request(service)).map(|reply| (reply["status"].clone(), reply["detail"].clone()));
    assert_eq!(status("panics"), Ok((json!("sent"), json!(""))));
    assert_eq!(status("x"), Ok((json!("refused"), json!("`host` is none"))));
}

#[test]
fn a_panic_becomes_a_number() {
    assert_eq!(call(plugin().failure, &request("panics")), Err(2));
}

#[test]
fn what_is_no_request_gets_no_reply() {
    assert_eq!(call(plugin().failure, b"{\"nonce\": 1}"), Err(1));
    assert_eq!(call(plugin().failure, b"\xff"), Err(1));
    assert_eq!(call(plugin().failure, b""), Err(1));
}

#[test]
fn null_pointers_are_no_reply() {
    let (mut reply, mut length) = (std::ptr::null_mut(), 0);
    let bytes = request("x");
    let (failure, free) = plugin().failure.zip(plugin().free).expect("both functions");
    // SAFETY: null is what is tried here: each is looked at before use.
    unsafe {
        assert_eq!(failure(std::ptr::null(), 0, &mut reply, &mut length), 1);
        assert_eq!(failure(bytes.as_ptr(), bytes.len(), std::ptr::null_mut(), &mut length), 1);
        assert_eq!(failure(bytes.as_ptr(), bytes.len(), &mut reply, std::ptr::null_mut()), 1);
        free(std::ptr::null_mut(), 0);
    }
}
