//! The proxies of the environment. reqwest takes them from there, and passes over one that it cannot use: the call would go past
//! the proxy that somebody wanted.

use reqwest::Url;
use sysalert_abi::Answer;

const VARIABLES: [&str; 6] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"];

/// Those that the environment names.
pub(crate) fn named() -> impl Iterator<Item = String> {
    VARIABLES.into_iter().filter_map(variable)
}

/// Refuses a call that would go past its proxy.
pub(crate) fn usable() -> Result<(), Answer> {
    match unusable(variable) {
        None => Ok(()),
        // not its value: there may be a password in it
        Some(name) => Err(Answer::Refused(format!(
            "{name} in the environment names no proxy that can be used: write it as http://HOST:PORT or https://HOST:PORT, or \
             without the http://"
        ))),
    }
}

/// The variable whose proxy would be passed over.
fn unusable(variable: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    let fits = |proxy: &str| {
        let proxy = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
        Url::parse(&proxy).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    };
    VARIABLES.into_iter().find(|name| variable(name).is_some_and(|proxy| !fits(&proxy)))
}

fn variable(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "a plugin is a process of its own, without sysalert's host module")]
    let value = std::env::var_os(name)?;
    Some(value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_would_be_passed_over_is_refused() {
        for (proxy, fits) in [
            ("http://proxy.example:3128", true),
            ("HTTPS://me:hunter2@proxy.example:3128/", true),
            ("proxy.example:3128", true),
            ("proxy", true),
            ("10.0.0.1:3128", true),
            ("[::1]:3128", true),
            ("ftp://proxy.example:3128", false),
            ("socks5://proxy.example:1080", false),
            ("http://", false),
            ("http:// proxy", false),
        ] {
            let found = unusable(|name| (name == "ALL_PROXY").then(|| proxy.to_owned()));
            assert_eq!(found, (!fits).then_some("ALL_PROXY"), "{proxy}");
        }
        assert_eq!(unusable(|_| None), None);
    }
}
