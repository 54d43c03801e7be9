//! Configuration as a mechanism: files and drop-ins, the origin of each key, validation. It knows no key by name: the
//! modules that use a key declare it.

mod document;
mod hours;
mod key;
mod nearest;
mod section;
mod unit_section;

pub use document::{Document, Origin, Setting, Table};
pub use hours::Hours;
pub use key::{Key, Kind};
pub use nearest::nearest;
pub use section::{Section, Values};
pub use unit_section::{camel_case, unit_section};
