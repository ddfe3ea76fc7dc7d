//! The commands `ping`, `traceroute`, `lookup` and `speed`: the tests of the ACS, run at the device without the agent.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::speed::{Direction, MAX_CONNECTIONS};
use super::{Failure, Order, lookup_command, measure, speed_command};
use crate::clock::Clock;
use crate::cwmp::diagnostics::{Results, Test};
use crate::http::TlsSettings;
use crate::output::print;
use crate::suggest::hint;

/// The exit status of a test that was not completed.
const NOT_COMPLETED: u8 = 2;

/// A test that a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTest {
    test: Test,
    /// The inputs by the names of TR-181, the first one of a name counts.
    inputs: Vec<(String, String)>,
    interface: Option<String>,
}

/// An option of a command: its name, the input that it sets, and its least and greatest value.
type TestOption = (&'static str, &'static str, u64, u64);

const PING_OPTIONS: &[TestOption] = &[
    ("count", "NumberOfRepetitions", 1, u32::MAX as u64),
    ("interval", "Interval", 1, 3_600_000),
    ("timeout", "Timeout", 1, 3_600_000),
    ("size", "DataBlockSize", 1, 65_535),
    ("dscp", "DSCP", 0, 63),
    IP,
];

const TRACE_ROUTE_OPTIONS: &[TestOption] = &[
    ("tries", "NumberOfTries", 1, 3),
    ("hops", "MaxHopCount", 1, 64),
    ("timeout", "Timeout", 1, 3_600_000),
    ("size", "DataBlockSize", 1, 65_535),
    ("dscp", "DSCP", 0, 63),
    IP,
];

const UPLOAD_OPTIONS: &[TestOption] =
    &[("bytes", "TestFileLength", 1, u64::MAX), DOWNLOAD_OPTIONS[0], DOWNLOAD_OPTIONS[1]];

const DOWNLOAD_OPTIONS: &[TestOption] =
    &[("connections", "NumberOfConnections", 1, MAX_CONNECTIONS as u64), ("seconds", DURATION, 1, 999)];

/// The version of IP, whose input has a text.
const IP: TestOption = ("ip", "ProtocolVersion", 4, 6);

/// The option that is no number.
const INTERFACE: &str = "interface";

/// The input with the duration of a test by time in seconds.
const DURATION: &str = "TimeBasedTestDuration";

/// The duration of an upload without an end in seconds.
const UPLOAD: &str = "10";

impl LocalTest {
    /// Reads the words of the command `ping`.
    ///
    /// # Errors
    /// The message for the user.
    pub fn ping(words: &[String]) -> Result<LocalTest, String> {
        let mut test = LocalTest::parse(Test::Ping, "Host", words, PING_OPTIONS)?;
        // Four requests, a second apart: what other programs of this name do.
        test.set_default("NumberOfRepetitions", "4");
        test.set_default("Interval", "1000");
        Ok(test)
    }

    /// Reads the words of the command `traceroute`.
    ///
    /// # Errors
    /// The message for the user.
    pub fn trace_route(words: &[String]) -> Result<LocalTest, String> {
        let mut test = LocalTest::parse(Test::TraceRoute, "Host", words, TRACE_ROUTE_OPTIONS)?;
        test.set_default("Timeout", "3000");
        Ok(test)
    }

    /// Reads the words of the command `lookup`.
    ///
    /// # Errors
    /// The message for the user.
    pub fn lookup(words: &[String]) -> Result<LocalTest, String> {
        let (words, server) = match words {
            [name, server] => (std::slice::from_ref(name), server.as_str()),
            words => (words, ""),
        };
        let mut test = LocalTest::parse(Test::Lookup, "HostName", words, &[])?;
        test.set_default("DNSServer", server);
        Ok(test)
    }

    /// Reads the words of the command `speed`.
    ///
    /// # Errors
    /// The message for the user.
    pub fn speed(words: &[String]) -> Result<LocalTest, String> {
        let Some((direction, words)) = words.split_first() else {
            return Err("`download` or `upload` is missing".into());
        };
        let mut test = match direction.as_str() {
            "download" => LocalTest::parse(Test::Download, "DownloadURL", words, DOWNLOAD_OPTIONS)?,
            "upload" => LocalTest::parse(Test::Upload, "UploadURL", words, UPLOAD_OPTIONS)?,
            other => return Err(format!("`{other}` is neither `download` nor `upload`")),
        };
        match (test.has("TestFileLength"), test.has(DURATION)) {
            (true, true) => return Err("bytes and seconds exclude each other".into()),
            (false, false) if test.test == Test::Upload => test.set_default(DURATION, UPLOAD),
            _ => {}
        }
        // As other programs print it.
        test.set_default("TimeBasedTestMeasurementInterval", "1");
        Ok(test)
    }

    /// Reads the operand, which is the value of this input, and the options.
    fn parse(test: Test, operand: &str, words: &[String], options: &[TestOption]) -> Result<LocalTest, String> {
        let Some((value, words)) = words.split_first() else {
            return Err(if operand.ends_with("URL") { "a URL is missing" } else { "a host is missing" }.into());
        };
        let mut read = LocalTest { test, inputs: Vec::new(), interface: None };
        read.set_default(operand, value);
        for word in words {
            let (name, value) = match word.split_once('=') {
                _ if options.is_empty() => return Err(format!("unexpected argument `{word}`")),
                Some((INTERFACE, "")) => return Err(format!("{INTERFACE}: a name is needed")),
                Some((INTERFACE, name)) => {
                    read.interface = Some(name.to_owned());
                    continue;
                }
                Some(option) => option,
                None => return Err(format!("`{word}` is not of the form OPTION=VALUE")),
            };
            let Some((_, input, least, most)) = options.iter().find(|option| option.0 == name) else {
                let names: Vec<&str> = options.iter().map(|option| option.0).chain([INTERFACE]).collect();
                return Err(format!("there is no option `{name}`{}", hint(name, &names, "options", "")));
            };
            match value.parse::<u64>() {
                Ok(version @ (4 | 6)) if *input == IP.1 => read.set_default(input, &format!("IPv{version}")),
                Ok(number) if *input != IP.1 && (least..=most).contains(&&number) => read.set_default(input, value),
                _ if *input == IP.1 => return Err(format!("{name}: {least} or {most} is needed")),
                _ => return Err(format!("{name}: a number from {least} to {most} is needed")),
            }
        }
        Ok(read)
    }

    fn has(&self, input: &str) -> bool {
        self.inputs.iter().any(|(known, _)| known == input)
    }

    /// Sets an input, unless it is set.
    fn set_default(&mut self, input: &str, value: &str) {
        if !self.has(input) {
            self.inputs.push((input.to_owned(), value.to_owned()));
        }
    }

    /// Runs the test, and prints its progress and its results. Returns 0 for a test that has reached the host, 1 without a reply or
    /// result, and 2 for an error of `ping` and `traceroute`.
    pub fn run(self, tls: TlsSettings) -> ExitCode {
        let mut order = Order {
            tls,
            clock_is_set: Clock::new().now().clock_is_set(),
            test: self.test,
            inputs: self.inputs,
            program: None,
            radios: Vec::new(),
            devices: self.interface.into_iter().collect(),
            stop: Arc::default(),
        };
        let result = match order.test {
            Test::Lookup => lookup_command::run(&order),
            Test::Download => speed_command::run(&order, Direction::Download),
            Test::Upload => speed_command::run(&order, Direction::Upload),
            _ => {
                order.stop = stopped_by_signals();
                run(&order)
            }
        };
        match result {
            Ok(status) => status,
            Err(failure) => {
                eprintln!("cpe-agent: {}", failure.reason);
                let is_measured = failure.state == "Error_MaxHopCountExceeded";
                let has_status = matches!(order.test, Test::Ping | Test::TraceRoute) && !is_measured;
                ExitCode::from(if has_status { NOT_COMPLETED } else { 1 })
            }
        }
    }
}

/// Runs a test whose progress is all that people want to see.
fn run(order: &Order) -> Result<ExitCode, Box<Failure>> {
    let mut results = Results::new();
    measure(order, &mut results, &|line| {
        let _ = print(&format!("{line}\n"));
    })?;
    let is_lost = results.iter().any(|(name, value)| name == "SuccessCount" && value == "0");
    Ok(ExitCode::from(u8::from(is_lost)))
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
            ("host interface=", "interface: a name is needed"),
            ("host cout=1", "there is no option `cout`; did you mean `count`?"),
        ] {
            assert_eq!(LocalTest::ping(&words(wrong)), Err(reason.to_owned()), "{wrong}");
        }
        assert!(LocalTest::trace_route(&words("host tries=3 hops=64 size=65535")).is_ok());
        assert!(LocalTest::trace_route(&words("host tries=4")).is_err());
    }

    #[test]
    fn the_operands_of_speed_are_checked() {
        let read = LocalTest::speed(&words("upload http://h/ connections=4 bytes=5000000000")).expect("a test");
        assert!(read.inputs.contains(&("TestFileLength".into(), "5000000000".into())) && !read.has(DURATION));
        for wrong in [
            "download",
            "up http://h/",
            "download http://h/ bytes=1",
            "upload http://h/ bytes=1 seconds=1",
            "upload http://h/ connections=9",
            "upload http://h/ seconds=0",
            "upload http://h/ seconds=x",
            "upload http://h/ colour=red",
            "upload http://h/ interface=",
            "upload http://h/ more",
        ] {
            assert!(LocalTest::speed(&words(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_upload_without_an_end_has_one() {
        let duration =
            |line| LocalTest::speed(&words(line)).expect("a test").inputs.iter().any(|(name, _)| name == DURATION);
        assert!(duration("upload http://h/") && duration("download http://h/ seconds=5"));
        assert!(!duration("upload http://h/ bytes=1") && !duration("download http://h/"));
    }

    #[test]
    fn a_lookup_has_one_name_and_one_server() {
        let test = LocalTest::lookup(&words("example.com 192.0.2.53")).expect("a test");
        assert!(test.inputs.contains(&("DNSServer".into(), "192.0.2.53".into())));
        assert_eq!(LocalTest::lookup(&[]), Err("a host is missing".into()));
        for wrong in ["a b c", "a b=c d", "a interface=b c"] {
            assert!(LocalTest::lookup(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
