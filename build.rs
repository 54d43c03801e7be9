//! Lays the functions that the processes use which systemd starts side by side: see order.ld.
// cargo speaks to this by the environment, and host::env is not here
#![allow(clippy::disallowed_methods)]

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=order.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // an unoptimised build has other functions; ld.bfd and lld, which rustc takes by itself, both read such a script
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{}/order.ld", env!("CARGO_MANIFEST_DIR"));
    }
}
