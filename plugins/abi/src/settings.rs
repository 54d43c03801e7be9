//! From the method's section of the configuration to the plugin's own type, without ever telling a value.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Answer, Request};

/// Reads the method's own section into the plugin's type.
///
/// # Errors
/// [`Answer::Refused`] with a sentence for the administrator. It names the key, never the value: that may be a secret.
pub fn settings<T: DeserializeOwned>(request: &Request) -> Result<T, Answer> {
    let section = &request.config;
    read(section.clone())
        .map_err(|error| Answer::Refused(format!("its configuration does not fit: {}", explain::<T>(section, &error))))
}

fn read<T: DeserializeOwned>(section: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(section)).map_err(|error| error.to_string())
}

/// serde's error without the value that it quotes ("invalid type: string \"hunter2\", expected u16").
fn explain<T: DeserializeOwned>(section: &Map<String, Value>, error: &str) -> String {
    let starts = |words: &[&str]| words.iter().any(|word| error.starts_with(word));
    // These three quote keys only.
    if starts(&["unknown field `", "missing field `", "duplicate field `"]) {
        return error.to_string();
    }
    // serde does not name the key: it is the one without which the error is another.
    let key = section.keys().find(|key| {
        let mut rest = section.clone();
        rest.remove(*key);
        read::<T>(rest).err().as_deref() != Some(error)
    });
    let name = key.map_or_else(|| "a key".to_string(), |key| format!("`{key}`"));
    // The last ", expected ": the quoted value may hold the same words.
    match error.rsplit_once(", expected ") {
        Some((_, expected)) if starts(&["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `"]) => {
            format!("{name} must be {expected}")
        }
        _ => format!("{name} is wrong"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::{Kind, Message, SCHEMA};

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        #[serde(default)]
        port: u16,
        #[serde(default)]
        mode: Mode,
        #[serde(default)]
        password: String,
        host: String,
    }

    #[derive(Debug, PartialEq, Default, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        #[default]
        Plain,
        Tls,
    }

    fn request(config: Value) -> Request {
        let Value::Object(config) = config else { unreachable!("a section is an object") };
        Request {
            schema: SCHEMA,
            nonce: String::new(),
            kind: Kind::Test,
            host: String::new(),
            service_name: String::new(),
            failures: Vec::new(),
            incident: None,
            incidents: Vec::new(),
            matter: None,
            open: 0,
            message: Message::default(),
            idempotency_key: String::new(),
            deadline_ms: 0,
            beat: None,
            config,
        }
    }

    fn sentence(config: Value) -> String {
        match settings::<Section>(&request(config)) {
            Err(Answer::Refused(sentence)) => sentence,
            other => format!("not refused: {other:?}"),
        }
    }

    #[test]
    fn reads_a_section() {
        let config = json!({"host": "h", "port": 25});
        let expected = Section { port: 25, mode: Mode::Plain, password: String::new(), host: "h".into() };
        assert_eq!(settings(&request(config)), Ok(expected));
    }

    #[test]
    fn names_the_key_and_never_the_value() {
        let prefix = "its configuration does not fit: ";
        let rows = [
            (json!({"host": "h", "port": "hunter2"}), "`port` must be u16"),
            (json!({"host": "h", "port": 70000}), "`port` must be u16"),
            (json!({"host": "h", "mode": "hunter2"}), "`mode` must be `plain` or `tls`"),
            (json!({"host": "h", "mode": "x`, expected hunter2"}), "`mode` must be `plain` or `tls`"),
            (json!({"host": "h", "port": "a, expected hunter2"}), "`port` must be u16"),
            (json!({"host": "h", "password": {"hunter2": "hunter2"}}), "`password` must be a string"),
            (json!({"password": "hunter2"}), "missing field `host`"),
            (json!({"host": "h", "hots": "hunter2"}), "unknown field `hots`, expected one of `port`, `mode`, `password`, `host`"),
        ];
        for (config, expected) in rows {
            let sentence = sentence(config);
            assert_eq!(sentence, format!("{prefix}{expected}"));
            assert!(!sentence.contains("hunter2"));
        }
    }
}
