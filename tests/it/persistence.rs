//! What survives a restart, a reboot, and a crash at the worst moment, with both shipped models.
#![allow(clippy::duplicate_mod)] // scenarios are compiled for each model

#[path = "persistence"]
mod tr_181 {
    use crate::gateway::tr_181 as model;
    mod scenarios;
}

#[path = "persistence"]
mod tr_098 {
    use crate::gateway::tr_098 as model;
    mod scenarios;
}
