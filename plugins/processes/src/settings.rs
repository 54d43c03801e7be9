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
    pub(crate) tls: Tls,
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

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
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

    #[test]
    fn only_a_plain_word_becomes_part_of_a_statement() {
        let read = |name: &str| serde_json::from_value::<Identifier>(name.into());
        assert_eq!(read("STATUS_PROCESS").unwrap().to_string(), "`STATUS_PROCESS`");
        for name in ["", "a`b", "a b", "a;b", "a.b", "ä", "a'b", &"x".repeat(65)] {
            assert!(read(name).is_err(), "{name}");
        }
    }
}
