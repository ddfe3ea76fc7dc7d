//! The CPE WAN Management Protocol: envelopes, faults, events, versions, RPCs, and the session that consists of them.
//!
//! No module here opens a socket or a file, reads a clock or starts a thread. Time and replies are arguments, so that a
//! test runs whole sessions in memory.

pub mod device;
pub mod diagnostics;
pub mod event;
pub mod fault;
pub mod lightweight;
mod rpc;
pub(crate) mod rules;
pub mod session;
pub mod session_error;
pub mod soap;
pub mod software;
#[cfg(test)]
pub(crate) mod testing;
pub mod transfer;
pub mod version;
