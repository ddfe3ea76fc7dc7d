//! Periodic Informs of the real agent, with both shipped models.
#![allow(clippy::duplicate_mod)] // scenarios are compiled for each model
#![allow(clippy::disallowed_methods, reason = "a test has clocks")]

#[path = "periodic"]
mod tr_181 {
    use crate::gateway::tr_181 as model;
    mod scenarios;
}

#[path = "periodic"]
mod tr_098 {
    use crate::gateway::tr_098 as model;
    mod scenarios;
}
