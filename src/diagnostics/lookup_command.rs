//! The command `lookup`: the questions of NSLookupDiagnostics, for the technician at the device.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::lookup::{self, LookupResult};
use super::{Failure, Order, tenths};
use crate::output::print;

/// Looks a name up and prints its addresses.
///
/// # Errors
/// The name has no address, or the name server does not answer.
pub(super) fn run(order: &Order) -> Result<ExitCode, Box<Failure>> {
    let mut status = ExitCode::FAILURE;
    let mut failure = Ok(());
    lookup::run(&lookup::order::test(order), &mut |result| match result.is_success() {
        true => status = print(&text(&result)),
        false => {
            failure =
                Err(Failure::other(format_args!("{}: {} ({})", order.text("HostName"), result.reason, result.server)))
        }
    })?;
    failure.map(|()| status)
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
    use std::time::Duration;

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
