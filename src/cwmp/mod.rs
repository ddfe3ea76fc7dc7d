//! CWMP as TR-069 writes it: envelopes, faults, events, versions.
//!
//! Nothing here opens a socket or a file, reads a clock or starts a thread. Bytes come in as a
//! [`soap::Document`] and leave through a [`soap::Writer`].

pub mod event;
pub mod fault;
pub mod soap;
pub mod version;
