//! Diagnostic tests: what the agent measures for the ACS and for the technician at the device.
//!
//! ```text
//! Order: test, inputs ──▶ run, on a thread of its own ──▶ Outcome: state, results
//! ```
//!
//! | file | test |
//! |---|---|
//! | `ping.rs` | IPPing: echo requests of ICMP and ICMPv6 |
//! | `program.rs` | the tests of a vendor: a program of `actions.diagnostics` |
//! | `target.rs` | the host of a test: its address, and the interface of the device that leads to it |
//! | `socket.rs` | sockets with the options of a test |
//!
//! A test knows neither the data model nor the ACS: its inputs are texts by the names of TR-181, and so are its results.

mod clock;
mod icmp;
mod ping;
mod program;
mod socket;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cwmp::diagnostics::{COMPLETE, Results, Test};
use crate::model::actions::TestAction;

/// A test to be run.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// The kind.
    pub(crate) test: Test,
    /// The values of the writable parameters, by their names in the object.
    pub(crate) inputs: Vec<(String, String)>,
    /// The program of a vendor's test.
    pub(crate) program: Option<TestAction>,
    /// The names by which the kernel may know the interface of the test, the likeliest first; empty without an interface.
    pub(crate) devices: Vec<String>,
    /// Set to end the test early, whose outcome does not count then.
    pub(crate) stop: Arc<AtomicBool>,
}

/// The end of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The value of DiagnosticsState.
    pub(crate) state: String,
    /// The results, by their names in the object.
    pub(crate) results: Results,
}

/// The failure of a test: the value of DiagnosticsState, and the reason for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) state: &'static str,
    pub(crate) reason: String,
}

impl Failure {
    /// Returns a failure that has no state of its own.
    pub(crate) fn other(reason: impl Into<String>) -> Failure {
        Failure { state: "Error_Other", reason: reason.into() }
    }

    /// Returns a failure of the device itself, such as a lack of sockets.
    pub(crate) fn internal(reason: impl Into<String>) -> Failure {
        Failure { state: "Error_Internal", reason: reason.into() }
    }
}

impl Order {
    /// Returns the text of an input; empty if the object does not have it.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.inputs.iter().find(|(input, _)| input == name).map_or("", |(_, text)| text)
    }

    /// Returns the number of an input; `default` if the object does not have it.
    pub(crate) fn number(&self, name: &str, default: u32) -> u32 {
        self.text(name).parse().unwrap_or(default)
    }

    /// Returns the milliseconds of an input as a time.
    pub(crate) fn milliseconds(&self, name: &str, default: u32) -> Duration {
        Duration::from_millis(self.number(name, default).into())
    }

    /// Returns true if the test is to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Runs a test to its end. It ends early if the order is stopped; the outcome does not count then.
pub(crate) fn run(order: &Order) -> Outcome {
    let done = match order.test {
        Test::Ping => ping::run(order),
        Test::Program => return program::run(order),
    };
    match done {
        Ok(results) => Outcome { state: COMPLETE.to_owned(), results },
        Err(failure) => {
            log::warn!("{}: {}", failure.state, failure.reason);
            Outcome { state: failure.state.to_owned(), results: Results::new() }
        }
    }
}

/// Returns a result of a test.
fn result(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}
