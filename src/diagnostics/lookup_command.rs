//! The command `lookup`: the questions of NSLookupDiagnostics, for the technician at the device.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::lookup::{self, LookupError, LookupResult, LookupTest};
use super::tenths;
use crate::output::print;
use crate::socket_options::SocketOptions;

/// The longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The operands of `lookup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupArguments {
    name: String,
    /// Empty for the default server of the device.
    server: String,
}

impl LookupArguments {
    /// Reads the operands, or returns a message for the user.
    pub(crate) fn parse(operands: &[String]) -> Result<LookupArguments, String> {
        let (name, server) = match operands {
            [] => return Err("a name is missing".into()),
            [name] => (name, ""),
            [name, server] => (name, server.as_str()),
            [_, _, more, ..] => return Err(format!("unexpected argument `{more}`")),
        };
        Ok(LookupArguments { name: name.clone(), server: server.to_owned() })
    }
}

/// Looks a name up and prints its addresses. The exit status is 1 if it has none.
pub fn lookup(arguments: &LookupArguments) -> ExitCode {
    let test = LookupTest {
        host: arguments.name.clone(),
        server: arguments.server.clone(),
        timeout: TIMEOUT,
        repetitions: 1,
        options: SocketOptions::default(),
        stop: Arc::default(),
    };
    let mut found = None;
    let reason = match (lookup::run(&test, &mut |result| found = Some(result)), found) {
        (Ok(()), Some(result)) if result.is_success() => return print(&text(&result)),
        (Ok(()), Some(result)) => format!("{}: {} ({})", arguments.name, result.reason, result.server),
        (Err(LookupError::ServerNotResolved(reason)), _) => reason,
        (Err(LookupError::Stopped) | Ok(()), _) => "stopped".into(), // not reached: the flag is not set
    };
    eprintln!("cpe-agent: {reason}");
    ExitCode::FAILURE
}

/// Returns the lines of a result.
fn text(result: &LookupResult) -> String {
    let mut text = format!("server   {}\nname     {}\n", result.server, result.name);
    for address in &result.addresses {
        let _ = writeln!(text, "address  {address}"); // writing to a String cannot fail
    }
    let _ =
        writeln!(text, "answer   {} after {} ms", result.answer_type(), tenths(result.time.as_micros() as u64 / 100));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_printed_line_by_line() {
        let result = LookupResult {
            status: LookupResult::SUCCESS,
            reason: String::new(),
            authoritative: false,
            name: "www.example.com".into(),
            addresses: vec![[192, 0, 2, 1].into()],
            server: [192, 0, 2, 53].into(),
            time: Duration::from_micros(1_250),
        };
        let expected = "server   192.0.2.53\nname     www.example.com\naddress  192.0.2.1\nanswer   NonAuthoritative after 1.2 ms\n";
        assert_eq!(text(&result), expected);
    }
}
