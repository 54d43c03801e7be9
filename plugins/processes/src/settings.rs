//! The section `[processes]`, as its client needs it.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::Error;

/// Where the database is, and how its tables are called.
#[derive(Deserialize)]
pub(crate) struct Database {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) socket: Option<String>,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) database: String,
    tls: Option<Tls>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) read_only: bool,
    pub(crate) host_id: Option<i64>,
    pub(crate) status_table: Identifier,
    pub(crate) process_table: Identifier,
    pub(crate) id_column: Identifier,
    pub(crate) name_column: Identifier,
    pub(crate) alarm_column: Identifier,
    pub(crate) sound_column: Identifier,
    pub(crate) notes_column: Identifier,
    pub(crate) host_column: Identifier,
}

impl Database {
    /// How the connection is protected. Who answers gets the password: only this machine is trusted without being asked to,
    /// and whoever names an authority wants it to be asked.
    pub(crate) fn encryption(&self) -> Tls {
        let is_here = ["localhost", "127.0.0.1", "::1"].contains(&self.host.as_str());
        match (self.tls, &self.ca) {
            _ if self.socket.is_some() => Tls::None,
            (Some(Tls::None), _) => Tls::None,
            (Some(Tls::Preferred), None) => Tls::Preferred,
            (None, None) if is_here => Tls::Preferred,
            _ => Tls::Required,
        }
    }
}

#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    None,
    Preferred,
    Required,
}

/// The name of a table or column: it becomes part of a statement, where no value can be bound.
pub(crate) struct Identifier(String);

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl Identifier {
    pub(crate) fn bare(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Identifier {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Identifier, D::Error> {
        let name = String::deserialize(deserializer)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
        match name.len() {
            1..=64 if name.chars().all(is_plain) => Ok(Identifier(name)),
            _ => Err(D::Error::custom("no name of a table or column")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_this_machine_is_trusted_without_being_asked_to() {
        for (host, tls, ca, expected) in [
            ("db.example.org", None, None, Tls::Required),
            ("db.example.org", Some("preferred"), None, Tls::Preferred),
            ("db.example.org", Some("preferred"), Some("/ca.pem"), Tls::Required),
            ("db.example.org", Some("none"), None, Tls::None),
            ("localhost", None, None, Tls::Preferred),
            ("127.0.0.1", None, Some("/ca.pem"), Tls::Required),
            ("localhost.example.org", None, None, Tls::Required),
        ] {
            let mut database = json!({
                "host": host, "port": 1, "user": "u", "database": "d", "read_only": false, "status_table": "s",
                "process_table": "p", "id_column": "i", "name_column": "n", "alarm_column": "a", "sound_column": "q",
                "notes_column": "t", "host_column": "h", "tls": tls, "ca": ca,
            });
            let read = |database: &serde_json::Value| Database::deserialize(database).unwrap().encryption();
            assert_eq!(read(&database), expected, "{database}");
            database["socket"] = "/run/db".into();
            assert_eq!(read(&database), Tls::None);
        }
    }

    #[test]
    fn only_a_plain_word_becomes_part_of_a_statement() {
        let read = |name: &str| serde_json::from_value::<Identifier>(name.into());
        assert_eq!(read("STATUS_PROCESS").unwrap().to_string(), "`STATUS_PROCESS`");
        for name in ["", "a`b", "a b", "a;b", "a.b", "ä", "a'b", &"x".repeat(65)] {
            assert!(read(name).is_err(), "{name}");
        }
    }
}
