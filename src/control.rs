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

use std::path::Path;
use std::process::ExitCode;

use crate::output::print;

pub use client::{ControlError, ControlErrorKind, ask};
pub use message::{CommandResult, LocalTransfer, Request};
pub(crate) use message::{parse_assignment, parse_request_download};
pub use server::{ControlServer, PendingRequest, RequestHandler, Responder, SubmitError};

/// Sends `request` to the agent behind the socket `path` and prints the output on stdout. A transfer is watched until it
/// ends.
///
/// A failure is reported on stderr, a line for each reason, with exit status 1.
pub fn run(path: &Path, request: Request) -> ExitCode {
    let result = match request {
        Request::Transfer(wanted) => transfer_client::transfer(path, *wanted).map(|()| String::new()),
        other => ask(path, &other, client::usual_limit(&other)).map_err(|error| error.reason),
    };
    match result {
        Ok(output) => print(&output),
        Err(reason) => {
            reason.lines().for_each(|line| eprintln!("cpe-agent: {line}"));
            ExitCode::FAILURE
        }
    }
}
