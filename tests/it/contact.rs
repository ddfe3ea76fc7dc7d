//! When the real agent contacts its ACS, what for, and what it does after, with both shipped models.
#![allow(clippy::disallowed_methods, reason = "a test has clocks")]

mod default_connection;
mod delay_reboot;
mod heartbeats;
mod scenarios;
