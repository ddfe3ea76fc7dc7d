//! The control socket, which connects the commands `get` to `status` with the running agent.
//!
//! ```text
//!   cpe-agent get …        client.rs ──request line──▶ control_thread.rs ──PendingRequest──▶ inbox of the agent
//!                                    ◀──result line──                    ◀──Responder──────
//! ```
//!
//! A connection carries one request and one result, or for `trace` and `watch` a row of results, a line of JSON each (`message.rs`). One
//! thread serves all clients and waits for none of them. It reaches the agent through [`RequestHandler`] only.

mod client;
mod connection;
mod control_thread;
mod get_request;
mod local_transfer;
mod message;
mod pending_request;
mod result_reader;
mod server;
mod socket;
mod software;
mod trace_client;
mod transfer_client;
mod watch_client;

use std::path::Path;
use std::process::ExitCode;

use crate::output::print;

#[cfg(feature = "dhcp")]
pub(crate) use client::usual_limit;
pub use client::{ControlError, ControlErrorKind, ask};
pub use get_request::{GetForm, GetRequest};
pub use local_transfer::LocalTransfer;
pub use message::{CommandResult, Request, SetRequest};
pub(crate) use message::{parse_assignment, parse_request_download};
pub use pending_request::{PendingRequest, RequestHandler, Responder, ResultStream};
pub use server::ControlServer;
pub(crate) use software::parse as parse_software;
pub use trace_client::{TraceFile, record};

/// Sends `request` to the agent behind the socket `path` and prints the output on stdout. A transfer is watched until it
/// ends.
///
/// A failure is reported on stderr, a line for each reason, with exit status 1.
pub fn run(path: &Path, request: Request) -> ExitCode {
    let result = match request {
        wanted @ (Request::Transfer(_) | Request::Software(_)) => {
            transfer_client::transfer(path, &wanted).map(|()| String::new())
        }
        Request::Watch(_) => watch_client::watch(path, &request).map(|()| String::new()),
        // A session may run, so the limit depends on the request.
        other => ask(path, &other, client::usual_limit(&other)).map_err(|error| error.reason),
    };
    match result {
        Ok(output) => print(&output),
        Err(reason) => {
            // Each line has the name of the program, as other programs on the same terminal have theirs.
            reason.lines().for_each(|line| eprintln!("cpe-agent: {line}"));
            ExitCode::FAILURE
        }
    }
}
