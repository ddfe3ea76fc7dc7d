//! The control socket: how `get` to `status` reach the running daemon.
//!
//! ```text
//!   cpe-agent get …        client.rs ──request line──▶ service.rs ──Call──▶ the agent's channel
//!                                    ◀──answer line──             ◀──Reply──
//! ```
//!
//! A connection carries one request and one answer, a line of JSON each ([`message`](Request)). One thread serves all
//! clients, none of which it waits for; what it needs of the agent it asks through [`Daemon`].

mod client;
mod follow;
mod message;
mod server;
mod service;
mod socket;

pub use client::{Cause, NoAnswer, ask, run};
pub use follow::transfer;
pub use message::{Answer, LocalTransfer, Request};
pub(crate) use message::{assignment, wish};
pub use server::{Call, Daemon, Refused, Reply, Server};
