//! Configuration as a mechanism: files and drop-ins, the origin of each key, validation. It knows no key by name: the
//! modules that use a key declare it.

mod document;
mod key;
mod nearest;
mod section;

pub use document::{Document, Files, Origin, Setting};
pub use key::{Key, Kind};
pub use nearest::nearest;
pub use section::{Section, Values};

/// Where a secret is kept: "credential", "file" or "env", and its name there. `None` for any other value.
pub fn secret_place(value: &serde_json::Value) -> Option<(&str, &str)> {
    key::place(value)
}
