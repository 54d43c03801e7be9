//! Every touch of the machine: time, environment, files, users, the journal, other processes.

pub mod again;
pub mod clock;
pub mod directives;
pub mod dropins;
pub mod env;
pub mod files;
pub mod identity;
pub mod journal;
pub mod library;
mod libsystemd;
pub mod log;
pub mod log_file;
pub mod manager;
pub mod modes;
pub mod mounts;
pub mod names;
pub mod once;
pub mod orphans;
pub mod pace;
pub mod processes;
pub mod program;
pub mod pulse;
pub mod reports;
pub mod secret;
pub mod sensing;
pub mod site;
pub mod space;
pub mod tail;
pub mod tasks;
pub mod terminal;
pub mod trust;
pub mod unit_files;
pub mod users;
pub mod wake;
pub mod world;

pub use site::{Options, Site};
