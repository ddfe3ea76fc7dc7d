//! The commands `ping` and `traceroute`: the tests of the ACS, run at the device without the agent.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::{Order, measure};
use crate::cwmp::diagnostics::Test;
use crate::http::TlsSettings;
use crate::output::print;
use crate::suggest::hint;

/// The exit status of a test that was not completed.
const NOT_COMPLETED: u8 = 2;

/// A test that a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTest {
    test: Test,
    inputs: Vec<(String, String)>,
    interface: Option<String>,
}

/// An option of a command: its name, the input that it sets, and its least and greatest value.
type TestOption = (&'static str, &'static str, u32, u32);

const PING_OPTIONS: &[TestOption] = &[
    ("count", "NumberOfRepetitions", 1, u32::MAX),
    ("interval", "Interval", 1, 3_600_000),
    ("timeout", "Timeout", 1, 3_600_000),
    ("size", "DataBlockSize", 1, 65_535),
    ("dscp", "DSCP", 0, 63),
];

const TRACE_ROUTE_OPTIONS: &[TestOption] = &[
    ("tries", "NumberOfTries", 1, 3),
    ("hops", "MaxHopCount", 1, 64),
    ("timeout", "Timeout", 1, 3_600_000),
    ("size", "DataBlockSize", 1, 65_535),
    ("dscp", "DSCP", 0, 63),
];

/// The options that are no numbers.
const INTERFACE: &str = "interface";
const VERSION: &str = "ip";

impl LocalTest {
    /// Reads the words of the command `ping`.
    ///
    /// # Errors
    /// The message for the user.
    pub fn ping(words: &[String]) -> Result<LocalTest, String> {
        // Four requests, a second apart: what other programs of this name do.
        let defaults = [("NumberOfRepetitions", "4"), ("Interval", "1000")];
        LocalTest::parse(Test::Ping, words, PING_OPTIONS, &defaults)
    }

    /// Reads the words of the command `traceroute`.
    ///
    /// # Errors
    /// The message for the user.
    pub fn trace_route(words: &[String]) -> Result<LocalTest, String> {
        LocalTest::parse(Test::TraceRoute, words, TRACE_ROUTE_OPTIONS, &[("Timeout", "3000")])
    }

    fn parse(
        test: Test,
        words: &[String],
        options: &[TestOption],
        defaults: &[(&str, &str)],
    ) -> Result<LocalTest, String> {
        let [host, words @ ..] = words else { return Err("a host is missing".into()) };
        let mut inputs = vec![("Host".to_owned(), host.clone())];
        let mut interface = None;
        for word in words {
            let (name, value) =
                word.split_once('=').ok_or_else(|| format!("`{word}` is not of the form OPTION=VALUE"))?;
            if name == INTERFACE {
                interface = Some(value.to_owned());
            } else if name == VERSION {
                let version = match value {
                    "4" => "IPv4",
                    "6" => "IPv6",
                    _ => return Err(format!("{VERSION}: 4 or 6 is needed")),
                };
                inputs.push(("ProtocolVersion".to_owned(), version.to_owned()));
            } else {
                let found = options.iter().find(|option| option.0 == name);
                let (_, input, least, most) = found.ok_or_else(|| {
                    let names: Vec<&str> = options.iter().map(|option| option.0).chain([INTERFACE, VERSION]).collect();
                    format!("there is no option `{name}`{}", hint(name, &names, "options", ""))
                })?;
                let number = value.parse::<u32>().ok().filter(|number| (least..=most).contains(&number));
                let number = number.ok_or_else(|| format!("{name}: a number from {least} to {most} is needed"))?;
                inputs.push(((*input).to_owned(), number.to_string()));
            }
        }
        // Behind the words, of which the first one counts.
        inputs.extend(defaults.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Ok(LocalTest { test, inputs, interface })
    }

    /// Runs the test, and prints its progress. Returns 0 for a test that has reached the host, 1 without a reply, and 2 for an
    /// error.
    pub fn run(self) -> ExitCode {
        let order = Order {
            tls: TlsSettings::default(),
            clock_is_set: true,
            test: self.test,
            inputs: self.inputs,
            program: None,
            radios: Vec::new(),
            devices: self.interface.into_iter().collect(),
            stop: stopped_by_signals(),
        };
        let tell = |line: std::fmt::Arguments<'_>| {
            let _ = print(&format!("{line}\n"));
        };
        match measure(&order, &tell) {
            Ok(outcome) => {
                let is_lost = outcome.results.iter().any(|(name, value)| name == "SuccessCount" && value == "0");
                if is_lost { ExitCode::FAILURE } else { ExitCode::SUCCESS }
            }
            Err(failure) if failure.state == "Error_MaxHopCountExceeded" => {
                eprintln!("cpe-agent: {}", failure.reason);
                ExitCode::FAILURE
            }
            Err(failure) => {
                eprintln!("cpe-agent: {}", failure.reason);
                ExitCode::from(NOT_COMPLETED)
            }
        }
    }
}

/// Returns a flag that SIGINT and SIGTERM set, so that the test ends with its summary. A second signal ends the process.
fn stopped_by_signals() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Without a handler the signal ends the process at once, which is all that is lost. The order counts: the first handler
        // sees the flag of an earlier signal.
        let _ = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop));
        let _ = flag::register(signal, Arc::clone(&stop));
    }
    stop
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_become_inputs() {
        let test = LocalTest::ping(&words("host count=2 dscp=46 interface=eth0 ip=6")).expect("a test");
        let input = |name: &str| test.inputs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!((input("Host"), input("NumberOfRepetitions")), (Some("host"), Some("2")));
        assert_eq!(
            (input("DSCP"), input("ProtocolVersion"), input("Interval")),
            (Some("46"), Some("IPv6"), Some("1000"))
        );
        assert_eq!(test.interface.as_deref(), Some("eth0"));
        for (wrong, reason) in [
            ("", "a host is missing"),
            ("host 5", "`5` is not of the form OPTION=VALUE"),
            ("host count=0", "count: a number from 1 to 4294967295 is needed"),
            ("host dscp=64", "dscp: a number from 0 to 63 is needed"),
            ("host ip=5", "ip: 4 or 6 is needed"),
            ("host cout=1", "there is no option `cout`; did you mean `count`?"),
        ] {
            assert_eq!(LocalTest::ping(&words(wrong)), Err(reason.to_owned()), "{wrong}");
        }
        assert!(LocalTest::trace_route(&words("host tries=3 hops=64 size=65535")).is_ok());
        assert!(LocalTest::trace_route(&words("host tries=4")).is_err());
    }
}
