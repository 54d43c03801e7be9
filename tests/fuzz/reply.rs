//! Any output of a plugin's process: it counts as sent only when it says so of this very request, in one whole line.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;
use sysalert::dispatch::plugin;
use sysalert_abi::Answer;

const NONCE: &str = "3f1c9e";

pub fn fuzz(until: super::Until) -> u64 {
    super::rounds(until, &output(), |output| check(&output))
}

fn check(output: &[u8]) {
    let answer = plugin::heard(output, NONCE, "mail").answer;
    let line = output.split_inclusive(|byte| *byte == b'\n').next().filter(|line| line.ends_with(b"\n"));
    let said: Value = line.and_then(|line| serde_json::from_slice(line).ok()).unwrap_or_default();
    let reply = &said["reply"];
    let word = reply["status"].as_str().filter(|_| reply["nonce"] == NONCE);
    match answer {
        Answer::Sent(_) => assert_eq!(word, Some("sent")),
        Answer::Refused(_) => assert_eq!(word, Some("refused")),
        // so that a plugin that lost its mind does not end what another try would deliver
        Answer::Retry(why, _) => assert!(!why.is_empty() || word == Some("retry")),
    }
    if output == right("sent").as_bytes() {
        assert_eq!(word, Some("sent"), "what is right is taken");
    }
}

fn right(status: &str) -> String {
    format!("{{\"reply\":{{\"nonce\":\"{NONCE}\",\"status\":\"{status}\",\"detail\":\"250 ok\",\"retry_after\":null}}}}\n")
}

/// What is right, with some edits; its parts in any order; and noise.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<Index>(), 0..6usize, prop_oneof![Just(Vec::new()), part().prop_map(String::into_bytes), super::bytes()]);
    let edited = (select(vec!["sent", "retry", "refused"]), prop::collection::vec(edit, 0..4)).prop_map(|(status, edits)| {
        let mut output = right(status).into_bytes();
        for (place, gone, new) in edits {
            let at = place.index(output.len() + 1);
            let end = (at + gone).min(output.len());
            output.splice(at..end, new);
        }
        output
    });
    let parts = prop::collection::vec(part(), 0..12).prop_map(|parts| parts.concat().into_bytes());
    let endless = (0..3usize).prop_map(|more| vec![b'x'; 65_535 + more]);
    prop_oneof![6 => edited, 3 => parts, 2 => super::bytes(), 1 => endless]
}

fn part() -> impl Strategy<Value = String> {
    let fields = [
        "{\"reply\":",
        "{\"described\":",
        "{\"broken\":\"no\"}\n",
        "{",
        "}",
        "}}\n",
        "\n",
        ",",
        "\"nonce\":\"3f1c9e\"",
        "\"nonce\":\"3f1c9f\"",
        "\"nonce\":null",
        "\"status\":\"sent\"",
        "\"status\":\"SENT\"",
        "\"status\":0",
        "\"detail\":\"\"",
        "\"detail\":{}",
        "\"retry_after\":-1",
        "\"retry_after\":18446744073709551616",
        "\u{feff}",
        "[",
        "]",
    ];
    prop_oneof![4 => select(fields.map(str::to_owned).to_vec()), 1 => select(vec![right("sent"), right("retry")])]
}
