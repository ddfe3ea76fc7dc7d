//! `cpe-agent`: a small, synchronous TR-069 (CWMP) CPE agent for embedded gateways.

pub mod clock;
pub mod cwmp;
pub mod digest;
pub mod model;
pub mod schedule;
pub mod secret;
