//! x
#![allow(missing_docs)]
pub mod clock;
pub mod model;
