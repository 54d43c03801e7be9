//! One file for each channel. Each rule names its source.

pub(crate) mod discord;
pub(crate) mod googlechat;
pub(crate) mod gotify;
pub(crate) mod matrix;
pub(crate) mod mattermost;
pub(crate) mod ntfy;
pub(crate) mod pagerduty;
pub(crate) mod pushover;
pub(crate) mod slack;
pub(crate) mod teams;
