//! STUN.
pub mod message;
