//! The CWMP protocol: no socket, no file, no clock, no thread.

pub mod session_error;
