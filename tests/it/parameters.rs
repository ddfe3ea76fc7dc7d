//! GetParameterNames, GetParameterValues and SetParameterValues of the real agent, with both shipped models.
#![allow(clippy::duplicate_mod)] // scenarios are compiled for each model

#[path = "parameters"]
mod tr_181 {
    use crate::gateway::tr_181 as model;
    mod scenarios;
}

#[path = "parameters"]
mod tr_098 {
    use crate::gateway::tr_098 as model;
    mod scenarios;
}
