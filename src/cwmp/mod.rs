//! CWMP as TR-069 writes it: envelopes, faults, events, versions, RPCs and the session that they make up.
//!
//! Nothing here opens a socket or a file, reads a clock or starts a thread.

pub mod device;
pub mod event;
pub mod fault;
mod rpc;
pub(crate) mod rules;
pub mod session;
pub mod session_error;
pub mod soap;
#[cfg(test)]
pub(crate) mod testing;
pub mod transfer;
pub mod version;
