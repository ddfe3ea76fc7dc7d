//! When the real agent contacts its ACS, what for, and what it does after, with both shipped models.

mod default_connection;
mod delay_reboot;
mod heartbeats;
mod scenarios;
