//! sysalert tells a systemd administrator, once and rightly, when something on the machine fails, and again when it
//! recovers. The modules stand in the order in which an event goes through them; [`pipeline`] is the page to read first.
#![deny(unsafe_code)]

pub mod cli;
pub mod pipeline;

pub mod trigger;

pub mod policy;

pub mod store;

pub mod message;

pub mod dispatch;

pub mod watchdog;

pub mod metrics;

pub mod config;
pub mod error;
pub mod event;
pub mod host;
pub mod incident;
pub mod overrides;
pub mod settings;
