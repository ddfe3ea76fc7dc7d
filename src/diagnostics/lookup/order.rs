//! NSLookupDiagnostics as the ACS requests it.

use std::sync::Arc;
use std::time::Duration;

use super::{LookupError, LookupResult, LookupTest, run as look_up};
use crate::diagnostics::{Failure, Order, Results, result, socket};

/// The most lookups of a test, as the shipped models allow: each has an instance of results.
const MAX_REPETITIONS: u32 = 100;

/// Runs the test. One in which each lookup failed has its results as well, which tell the reasons.
pub(in crate::diagnostics) fn run(order: &Order) -> Result<Results, Failure> {
    let test = LookupTest {
        host: order.text("HostName").to_owned(),
        server: order.text("DNSServer").to_owned(),
        timeout: order.milliseconds("Timeout", 5000),
        repetitions: order.number("NumberOfRepetitions", 1).clamp(1, MAX_REPETITIONS),
        options: socket::options(order),
        stop: Arc::clone(&order.stop),
    };
    let (mut results, mut count, mut successes) = (Results::new(), 0, 0);
    let mut failure = String::new();
    let ended = look_up(&test, &mut |found| {
        count += 1;
        add(&mut results, count, &found);
        match found.is_success() {
            true => successes += 1,
            false => failure = found.reason,
        }
    });
    results.push(result("SuccessCount", successes));
    match ended {
        Ok(()) if successes > 0 => Ok(results),
        Ok(()) => Err(Failure { results, ..Failure::other(failure) }),
        Err(LookupError::ServerNotResolved(reason)) => Err(Failure::of("Error_DNSServerNotResolved", reason)),
        Err(LookupError::Stopped) => Err(Failure::other("stopped")), // the outcome does not count
    }
}

/// Adds the results of a lookup.
fn add(results: &mut Results, count: u32, found: &LookupResult) {
    let mut add = |name: &str, value: String| results.push(result(&format!("Result.{count}.{name}"), value));
    let addresses: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
    add("Status", found.status.to_owned());
    add("AnswerType", found.answer_type().to_owned());
    add("HostNameReturned", found.name.clone());
    add("IPAddresses", addresses.join(","));
    add("DNSServerIP", found.server.to_string());
    add("ResponseTime", milliseconds(found.time).to_string());
}

/// Returns whole milliseconds. A shorter time is 1, since 0 means no answer.
fn milliseconds(time: Duration) -> u64 {
    match time.is_zero() {
        true => 0,
        false => (time.as_millis() as u64).max(1),
    }
}
