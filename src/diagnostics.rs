//! Diagnostic tests: what the agent measures for the ACS and for the technician at the device.
//!
//! ```text
//! Order: test, inputs ──▶ run, on a thread of its own ──▶ Outcome: state, results
//! ```
//!
//! | file | test |
//! |---|---|
//! | `lookup.rs` | NSLookupDiagnostics: questions to a name server |
//! | `ping.rs` | IPPing: echo requests of ICMP and ICMPv6 |
//! | `trace_route.rs` | TraceRoute: datagrams with growing hop limits, and the errors of the routers |
//! | `echo.rs` | UDPEchoDiagnostics: datagrams that an echo service returns |
//! | `echo_service.rs` | UDPEchoConfig: the echo service of the device itself, for one host |
//! | `server_selection.rs` | ServerSelectionDiagnostics: the fastest of several hosts |
//! | `program.rs` | the tests of a vendor: a program of `actions.diagnostics` |
//! | `neighbors.rs` | NeighboringWiFiDiagnostic: a scan by the bus of OpenWrt |
//! | `speed.rs` | DownloadDiagnostics and UploadDiagnostics: transfers by HTTP |
//! | `lookup_command.rs`, `speed_command.rs` | the commands `lookup` and `speed` |
//! | `target.rs` | the host of a test: its address, and the interface of the device that leads to it |
//! | `socket.rs` | sockets with the options of a test |
//! | `command.rs` | the commands `ping` and `traceroute` |
//!
//! A test knows neither the data model nor the ACS: its inputs are texts by the names of TR-181, and so are its results.

mod clock;
mod command;
mod echo;
mod echo_service;
mod icmp;
mod lookup;
mod lookup_command;
mod neighbors;
mod ping;
mod program;
mod server_selection;
mod socket;
mod speed;
mod speed_command;
mod target;
mod trace_route;

pub use command::LocalTest;
pub(crate) use echo_service::{EchoService, EchoSettings};

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cwmp::diagnostics::{COMPLETE, Results, Test};
use crate::log;
use crate::model::actions::TestAction;

use self::speed::Direction;
use crate::http::TlsSettings;
#[cfg(feature = "xmpp")]
pub(crate) use lookup::services;
pub use lookup_command::{LookupArguments, lookup};
pub use speed_command::{SpeedArguments, speed};

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
    /// The radios of the device, each with its path and its name; only for a scan.
    pub(crate) radios: Vec<(String, String)>,
    /// The files of TLS.
    pub(crate) tls: TlsSettings,
    /// True if the device knows the time; otherwise the dates of certificates are not checked (R32).
    pub(crate) clock_is_set: bool,
    /// Set to end the test early, whose outcome does not count then.
    pub(crate) stop: Arc<AtomicBool>,
}

/// Receives the progress of a test, a line for people at a time.
pub(crate) type Tell<'t> = &'t dyn Fn(fmt::Arguments<'_>);

/// The end of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The value of DiagnosticsState.
    pub(crate) state: String,
    /// The results, by their names in the object.
    pub(crate) results: Results,
}

/// The failure of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The value of DiagnosticsState.
    pub(crate) state: &'static str,
    /// The reason, for the log.
    pub(crate) reason: String,
    /// The results up to the failure.
    pub(crate) results: Results,
}

impl Failure {
    /// Returns a failure without results.
    pub(crate) fn of(state: &'static str, reason: impl Into<String>) -> Failure {
        Failure { state, reason: reason.into(), results: Results::new() }
    }

    /// Returns a failure that has no state of its own.
    pub(crate) fn other(reason: impl Into<String>) -> Failure {
        Failure::of("Error_Other", reason)
    }

    /// Returns a failure of the device itself, such as a lack of sockets.
    pub(crate) fn internal(reason: impl Into<String>) -> Failure {
        Failure::of("Error_Internal", reason)
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

/// Runs a test for the ACS to its end. It ends early if the order is stopped; the outcome does not count then.
pub(crate) fn run(order: &Order) -> Outcome {
    match measure(order, &|_| {}) {
        Ok(outcome) => outcome,
        Err(failure) => {
            log::warn!("{}: {}", failure.state, failure.reason);
            Outcome { state: failure.state.to_owned(), results: failure.results }
        }
    }
}

/// Runs a test to its end, and tells its progress.
///
/// # Errors
/// The test was not completed.
fn measure(order: &Order, tell: Tell<'_>) -> Result<Outcome, Failure> {
    let results = match order.test {
        Test::Ping => ping::run(order, tell)?,
        Test::TraceRoute => trace_route::run(order, tell)?,
        Test::UdpEcho => echo::run(order)?,
        Test::ServerSelection => server_selection::run(order)?,
        Test::Lookup => lookup::order::run(order)?,
        Test::Download => speed::order::run(order, Direction::Download)?,
        Test::Upload => speed::order::run(order, Direction::Upload)?,
        Test::Program => return program::run(order),
    };
    Ok(Outcome { state: COMPLETE.to_owned(), results })
}

/// Returns a result of a test.
fn result(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// Returns a number of tenths as a text with one decimal.
fn tenths(number: u64) -> String {
    format!("{}.{}", number / 10, number % 10)
}
