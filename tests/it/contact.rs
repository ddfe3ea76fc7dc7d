//! When the real agent contacts its ACS, what for, and what it does after, with both shipped models.
#![allow(clippy::duplicate_mod)] // scenarios are compiled for each model
#![allow(clippy::disallowed_methods, reason = "a test has clocks")]

#[path = "contact"]
mod tr_181 {
    use crate::gateway::tr_181 as model;
    mod delay_reboot;
    mod heartbeats;
    mod scenarios;
}

#[path = "contact"]
mod tr_098 {
    use crate::gateway::tr_098 as model;
    mod default_connection;
    mod scenarios;
}
