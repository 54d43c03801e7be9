//! What happens in the world becomes an event. Nothing here decides.

pub mod ended;
pub mod handler;
pub mod look;
pub mod runs;
pub mod schedule;
pub mod sensor;
pub mod services;
