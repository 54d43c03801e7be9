//! Proxies from the environment. Each test starts itself again with one, since a process has one environment.
#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods, clippy::print_stdout)]

use std::process::Command;

use sysalert_abi::Deadline;
use sysalert_http::testing::{Act, Server};
use sysalert_http::{Call, Client, address};

/// What a client says that calls `url` with these variables.
fn call(test: &str, url: &str, variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    child.args(["--exact", test, "--nocapture"]).env_clear().env("SYSALERT_TEST_URL", url).envs(variables.iter().copied());
    let output = child.output().expect("a child");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// In the child: makes the call, and says so.
fn is_child() -> bool {
    let Ok(url) = std::env::var("SYSALERT_TEST_URL") else { return false };
    let client = Client::new(Deadline::after(20_000), None).expect("a client");
    let answer = client.send(&Call::post(address("url", &url).expect("an address"))).map_or_else(|a| a, |reply| reply.answer());
    println!("{answer:?}");
    true
}

#[test]
fn http_goes_through_the_proxy_but_for_no_proxy() {
    if is_child() {
        return;
    }
    let proxy = Server::start(|heard| Act::say(200, format!("for {}", heard.target)));
    let own = "http_goes_through_the_proxy_but_for_no_proxy";
    let said = call(own, "http://chat.invalid/hook", &[("HTTP_PROXY", &proxy.url(""))]);
    assert!(said.contains("Sent(\"http://chat.invalid took it (200 for http://chat.invalid***"), "{said}");
    let variables = [("HTTP_PROXY", proxy.url("")), ("NO_PROXY", "chat.invalid".into())];
    let said = call(own, "http://chat.invalid/hook", &variables.each_ref().map(|(name, value)| (*name, value.as_str())));
    assert!(said.contains("the name cannot be resolved (the environment names a proxy: check it, too)"), "{said}");
    assert_eq!(proxy.heard().len(), 1);

    // one that shows what it was sent
    let proxy = Server::start(|heard| Act::say(400, format!("denied: {}", heard.header("proxy-authorization"))));
    let with_login = proxy.url("").replace("http://", "http://me:hunter2@");
    let said = call(own, "http://chat.invalid/hook", &[("HTTP_PROXY", &with_login)]);
    assert_eq!(proxy.heard()[0].header("proxy-authorization"), "Basic bWU6aHVudGVyMg==");
    assert!(said.contains("(400 denied: Basic ***==)"), "{said}");
}

#[test]
fn https_goes_through_a_tunnel() {
    if is_child() {
        return;
    }
    let own = "https_goes_through_a_tunnel";
    let proxy = Server::start(|_| Act::say(403, ""));
    let with_login = proxy.url("").replace("http://", "http://me:hunter2@");
    let said = call(own, "https://chat.invalid/hook", &[("HTTPS_PROXY", &with_login)]);
    assert!(
        said.contains("Retry(\"https://chat.invalid cannot be reached (the environment names a proxy: check it, too)"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
    let heard = proxy.heard();
    assert_eq!((heard[0].method.as_str(), heard[0].target.as_str()), ("CONNECT", "chat.invalid:443"));
    assert_eq!(heard[0].header("proxy-authorization"), "Basic bWU6aHVudGVyMg==");
}
