//! Crashes: whatever is killed at whatever moment, each event is recorded once and each alert is delivered at least once. Run
//! on the installed tree that SYSALERT_STAGE names; `cargo test --test crash -- --nocapture` prints the figures.
// a test says what it expects in the shortest way, and asks the clock and the environment itself
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::disallowed_methods)]

mod kills;
mod machine;
mod mail_server;
mod points;
mod power;
mod storm;
