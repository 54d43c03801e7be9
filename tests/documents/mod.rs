//! What people read: tests take from it, word for word, what they run.

// each test uses some of it
#![allow(unreachable_pub, dead_code)]

pub const README: &str = include_str!("../../README.md");
pub const POLICY: &str = include_str!("../../docs/policy.md");
pub const SERVICES: &str = include_str!("../../docs/services.md");
pub const SENSORS: &str = include_str!("../../docs/sensors.md");
pub const WATCHDOG: &str = include_str!("../../docs/watchdog.md");
pub const METHODS: &str = include_str!("../../docs/methods.md");
pub const FLEET: &str = include_str!("../../docs/fleet.md");
pub const MIGRATION: &str = include_str!("../../docs/migration.md");
pub const PERFORMANCE: &str = include_str!("../../docs/performance.md");

pub const ALL: [&str; 9] = [README, POLICY, SERVICES, SENSORS, WATCHDOG, METHODS, FLEET, MIGRATION, PERFORMANCE];

/// The fenced blocks of this language in a text, in their order.
pub fn blocks_of(text: &'static str, language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}
