//! What the documentation and the example tell people to write is what is tested: each channel's lines, sent by them.

use serde_json::{Value, json};
use sysalert_abi::Answer;
use sysalert_http::testing::{Act, Server};

use super::contracts::CONTRACTS;
use super::{failure, send};

const METHODS: &str = include_str!("../../../../docs/methods.md");
const EXAMPLE: &str = include_str!("../../example.toml");

/// The block of TOML with this line.
fn block(line: &str) -> &'static str {
    let blocks = METHODS.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.into_iter().find(|block| block.lines().any(|one| one == line)).unwrap_or_else(|| panic!("no block with {line}"))
}

/// `[method.NAME]` of this text, as a plugin gets it: without sysalert's own keys, each secret taken from its place.
fn section(toml: &str, name: &str, secret: impl Fn(&str) -> String) -> Value {
    let all: Value = toml::from_str(toml).unwrap_or_else(|error| panic!("{error}"));
    let mut section = all["method"][name].clone();
    let keys = section.as_object_mut().unwrap_or_else(|| panic!("no [method.{name}]"));
    assert_eq!(keys.remove("plugin"), Some(json!("webhook")));
    for (key, value) in keys.iter_mut().filter(|(_, value)| value.is_object()) {
        assert!(value["file"].as_str().is_some_and(|path| path.starts_with("/etc/sysalert/")), "{key}");
        *value = json!(secret(key));
    }
    section
}

fn every_channel_works_by(toml: &str) {
    for contract in CONTRACTS {
        let server = contract.serve();
        let mut section = section(toml, contract.name, |key| {
            let given = contract.keys.iter().find(|(name, _)| *name == key);
            given.map_or_else(|| contract.path.to_owned(), |(_, value)| (*value).to_owned())
        });
        assert_eq!(section["preset"], contract.name);
        // the test's server stands in for the channel's; what is behind its name stays as it is written
        let path = match section["url"].as_str() {
            None => contract.path,
            Some(written) => match written.strip_prefix("https://") {
                Some(rest) => &rest[rest.find('/').expect("a path")..],
                None => written,
            },
        };
        assert_eq!(path, contract.path, "{}", contract.name);
        section["url"] = json!(server.url(path));
        let answer = send(&failure(section));
        assert!(matches!(answer, Answer::Sent(_)), "{}: {answer:?}", contract.name);
    }
}

#[test]
fn the_five_lines_of_each_channel_work() {
    let block = block("preset = \"slack\"");
    for section in block.split("\n\n") {
        let lines = section.lines().filter(|line| !line.is_empty()).count();
        assert!(lines <= 6, "a header and five lines: {section}");
    }
    every_channel_works_by(block);
}

#[test]
fn the_example_works() {
    every_channel_works_by(EXAMPLE);
    let server = Server::start(|_| Act::say(201, ""));
    let mut section = section(EXAMPLE, "ticket", |_| "Bearer hunter2".into());
    section["url"] = json!(server.url("/api/new"));
    let answer = send(&failure(section));
    assert!(matches!(answer, Answer::Sent(_)), "{answer:?}");
    let json = server.last().json();
    assert_eq!(json["title"], "[critical] backup.service failed on web1: exited with status 11");
    assert_eq!((&json["state"], &json["log"]), (&json!("open"), &json!([])));
    assert_eq!((server.last().header("x-team"), server.last().header("authorization")), ("storage", "Bearer hunter2"));
}
