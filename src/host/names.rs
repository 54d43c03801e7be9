//! What the kernel and the user database call things.

use nix::unistd::{Uid, User, geteuid, gethostname};

/// The kernel's host name.
pub fn host() -> String {
    gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "localhost".to_owned())
}

/// The name of the user that this process runs as; its number where it has no name.
pub fn user() -> String {
    user_of(geteuid())
}

/// The name of this user; its number where it has no name.
pub fn user_of(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// Whether there is a user of this name.
pub fn is_user(name: &str) -> bool {
    User::from_name(name).is_ok_and(|user| user.is_some())
}

/// The users that this machine itself knows: there may be others.
pub fn users() -> Vec<String> {
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    known.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect()
}

/// The ID of the running boot; empty where the kernel does not tell.
pub fn boot() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().replace('-', "")
}

/// A text that nobody can guess.
pub fn nonce() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    text.trim().replace('-', "")
}

/// A number from 0 to 1, by chance.
pub fn dice() -> f64 {
    let number = u32::from_str_radix(nonce().get(..8).unwrap_or_default(), 16);
    number.map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}
