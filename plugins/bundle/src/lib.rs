//! All of sysalert's own plugins in one shared library, and what talks to a database of processes: `NAME.so` is a link to it for
//! each. As libraries of their own they were twice as large, for each had TLS, HTTP and Rust's standard library in it. It
//! costs a process that needs one of them nothing: what is not used is not read from the disk.

use {
    alertmanager as _, command as _, email as _, file as _, journal as _, processes as _, syslog as _, telegram as _,
    webhook as _,
};
