//! Tests on a booted systemd, with real servers: `make check` runs them, last.

// a test says what it expects in the shortest way, and asks the clock and the environment itself
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::disallowed_methods)]
// the harness's items are for all modules of this program; nobody links to it
#![allow(unreachable_pub)]

mod alertmanager;
mod alerts;
mod bad_input;
mod budget;
mod bursts;
mod channels;
mod command;
mod configuration;
mod conformance;
mod context;
mod damage;
mod delivery;
mod doctor;
#[path = "../documents/mod.rs"]
mod documents;
mod enable;
mod examples;
mod excerpt;
mod fallback;
mod flapping;
mod guest;
mod guest_shell;
mod hostile_text;
mod installation;
mod jobs;
mod lifecycle;
mod mail;
mod main_job;
mod metrics;
mod names;
mod output;
mod packages;
mod permissions;
mod plugins;
mod polled;
mod processes;
mod readme;
mod recovery;
mod reminders;
mod restarts;
mod resumes;
mod rotation;
mod same_problem;
mod schedules;
mod security;
mod send_test;
mod sendmail;
mod sensors;
mod sensors_real;
mod sensors_told;
mod services;
mod setup;
mod situations;
mod smoke;
mod started_by;
mod storm;
mod strict;
mod stuck;
mod sweep;
mod syslog;
mod system_wide;
mod thousand;
mod unit_blocks;
mod unit_files;
mod user_manager;
mod without_monitor;
