//! The control socket: how `get` to `status` reach the running daemon.
//!
//! ```text
//!   cpe-agent get …        client.rs ──request line──▶ control_thread.rs ──PendingRequest──▶ the agent's channel
//!                                    ◀──answer line──             ◀──Responder──
//! ```
//!
//! A connection carries one request and one answer, a line of JSON each ([`message`](Request)). One thread serves all
//! clients, none of which it waits for; what it needs of the agent it asks through [`RequestHandler`].

mod client;
mod control_thread;
mod message;
mod server;
mod socket;
mod transfer_client;

pub use client::{ControlError, ControlErrorKind, ask, run};
pub use message::{CommandResult, LocalTransfer, Request};
pub(crate) use message::{parse_assignment, parse_request_download};
pub use server::{ControlServer, PendingRequest, RequestHandler, Responder, SubmitError};
pub use transfer_client::transfer;
