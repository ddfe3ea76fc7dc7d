//! The ACS wakes the real agent, with both shipped models.
#![allow(clippy::duplicate_mod)] // scenarios are compiled for each model

#[path = "wake_up"]
mod tr_181 {
    use crate::gateway::tr_181 as model;
    mod port;
    mod scenarios;
}

#[path = "wake_up"]
mod tr_098 {
    use crate::gateway::tr_098 as model;
    mod scenarios;
}
