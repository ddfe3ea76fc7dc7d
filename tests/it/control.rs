//! The commands `get` to `status` against the real daemon, and what clients of its socket may not do to it, with both
//! shipped models.
#![allow(clippy::duplicate_mod)] // scenarios are compiled for each model
#![allow(clippy::disallowed_methods, reason = "a test has clocks and threads")]

#[path = "control"]
mod tr_181 {
    use crate::gateway::tr_181 as model;
    mod scenarios;
}

#[path = "control"]
mod tr_098 {
    use crate::gateway::tr_098 as model;
    mod scenarios;
}
