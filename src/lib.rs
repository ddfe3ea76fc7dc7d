//! A small, synchronous TR-069 (CWMP) CPE agent.

pub mod clock;
pub mod cwmp;
pub mod schedule;
