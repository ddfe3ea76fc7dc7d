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
//! | `target.rs` | the host of a test: its address, and the interface of the device that leads to it |
//! | `socket.rs` | sockets with the options of a test |
//! | `command.rs` | the commands `ping`, `traceroute`, `lookup` and `speed` |
//! | `lookup_command.rs`, `speed_command.rs` | the output of the commands `lookup` and `speed` |
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
use crate::socket_options::IpVersion;
#[cfg(feature = "xmpp")]
pub(crate) use lookup::services;

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

/// The failure of a test, or of one of its steps. Functions return it in a box, since it passes through many of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The value of DiagnosticsState; empty for a test that was stopped, whose outcome does not count.
    pub(crate) state: &'static str,
    /// The reason, for the log.
    pub(crate) reason: String,
}

impl Failure {
    /// Returns a failure with a state of the data model.
    fn of(state: &'static str, reason: fmt::Arguments<'_>) -> Box<Failure> {
        Box::new(Failure { state, reason: fmt::format(reason) })
    }

    /// Returns a failure that has no state of its own.
    fn other(reason: fmt::Arguments<'_>) -> Box<Failure> {
        Failure::of("Error_Other", reason)
    }

    /// Returns a failure of the device itself, such as a lack of sockets.
    fn internal(reason: fmt::Arguments<'_>) -> Box<Failure> {
        Failure::of("Error_Internal", reason)
    }

    /// Returns the end of a test that was stopped.
    fn stopped() -> Box<Failure> {
        Failure::of("", format_args!("stopped"))
    }

    /// Returns true if the test was stopped.
    fn is_stopped(&self) -> bool {
        self.state.is_empty()
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

    /// Returns the version of IP that the test asks for, which older objects do not have.
    fn version(&self) -> Option<IpVersion> {
        match self.text("ProtocolVersion") {
            "IPv4" => Some(IpVersion::V4),
            "IPv6" => Some(IpVersion::V6),
            _ => None,
        }
    }

    /// Returns true if an input is true.
    fn is_true(&self, name: &str) -> bool {
        matches!(self.text(name), "1" | "true")
    }

    /// Returns true if the test is to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Runs a test for the ACS to its end. It ends early if the order is stopped; the outcome does not count then.
pub(crate) fn run(order: &Order) -> Outcome {
    let mut results = Results::new();
    let state = measure(order, &mut results, &|_| {}).unwrap_or_else(|failure| {
        if !order.is_stopped() {
            log::warn!("{}: {}", failure.state, failure.reason);
        }
        failure.state.to_owned()
    });
    Outcome { state, results }
}

/// Runs a test to its end, adds its results, and tells its progress. Returns the value of DiagnosticsState.
///
/// # Errors
/// The test was not completed. The results are those up to the failure.
fn measure(order: &Order, results: &mut Results, tell: Tell<'_>) -> Result<String, Box<Failure>> {
    match order.test {
        Test::Ping => ping::run(order, results, tell)?,
        Test::TraceRoute => trace_route::run(order, results, tell)?,
        Test::UdpEcho => echo::run(order, results)?,
        Test::ServerSelection => server_selection::run(order, results)?,
        Test::Lookup => lookup::order::run(order, results)?,
        Test::Download => speed::order::run(order, Direction::Download, results)?,
        Test::Upload => speed::order::run(order, Direction::Upload, results)?,
        Test::Program => return program::run(order, results),
    }
    Ok(COMPLETE.to_owned())
}

/// Adds a result of a test, with the path of its row in front of its name; the path is empty outside of a table.
fn add(results: &mut Results, row: &str, name: &str, value: &dyn fmt::Display) {
    results.push((format!("{row}{name}"), value.to_string()));
}

/// Returns a number of tenths as a text with one decimal.
fn tenths(number: u64) -> String {
    format!("{}.{}", number / 10, number % 10)
}
