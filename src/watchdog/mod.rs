//! The watchdog: which processes of a database are in alarm, and whether a restart brings them back. What it decides is pure;
//! it acts only through `host`.

mod breaker;
mod plan;
pub mod restart;
mod round;
pub mod told;

pub use breaker::{Breaker, Limits, State};
pub use plan::{Fate, Planned, Row, plan, waits_for};
pub use round::{Answer, ByHand, News, Reported, World, by_hand, round};
