//! A small, synchronous TR-069 (CWMP) CPE agent for embedded gateways.

pub mod acs;
pub mod cwmp;
pub mod digest;
pub mod secret;
