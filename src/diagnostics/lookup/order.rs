//! NSLookupDiagnostics as the ACS requests it.

use std::sync::Arc;
use std::time::Duration;

use super::{LookupResult, LookupTest, run as look_up};
use crate::diagnostics::{Failure, Order, Results, add, socket};

/// The most lookups of a test, as the shipped models allow: each has an instance of results.
const MAX_REPETITIONS: u32 = 100;

/// Returns the test with the inputs of an order.
pub(in crate::diagnostics) fn test(order: &Order) -> LookupTest {
    LookupTest {
        host: order.text("HostName").to_owned(),
        server: order.text("DNSServer").to_owned(),
        timeout: order.milliseconds("Timeout", 5000),
        repetitions: order.number("NumberOfRepetitions", 1).clamp(1, MAX_REPETITIONS),
        options: socket::options(order),
        stop: Arc::clone(&order.stop),
    }
}

/// Runs the test. One in which each lookup failed has its results as well, which tell the reasons.
pub(in crate::diagnostics) fn run(order: &Order, results: &mut Results) -> Result<(), Box<Failure>> {
    let (mut count, mut successes, mut reason) = (0, 0, String::new());
    let ended = look_up(&test(order), &mut |found| {
        count += 1;
        add_row(results, count, &found);
        match found.is_success() {
            true => successes += 1,
            false => reason = found.reason,
        }
    });
    ended?;
    add(results, "", "SuccessCount", &successes);
    if successes == 0 { Err(Failure::other(format_args!("{reason}"))) } else { Ok(()) }
}

/// Adds the results of a lookup.
fn add_row(results: &mut Results, count: u32, found: &LookupResult) {
    let row = format!("Result.{count}.");
    let mut addresses = String::new();
    for address in &found.addresses {
        addresses.push_str(if addresses.is_empty() { "" } else { "," });
        addresses.push_str(&address.to_string());
    }
    add(results, &row, "Status", &found.status);
    add(results, &row, "AnswerType", &found.answer_type());
    add(results, &row, "HostNameReturned", &found.name);
    add(results, &row, "IPAddresses", &addresses);
    add(results, &row, "DNSServerIP", &found.server);
    add(results, &row, "ResponseTime", &milliseconds(found.time));
}

/// Returns whole milliseconds. A shorter time is 1, since 0 means no answer.
fn milliseconds(time: Duration) -> u64 {
    match time.is_zero() {
        true => 0,
        false => (time.as_millis() as u64).max(1),
    }
}
