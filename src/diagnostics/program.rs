//! The test of a vendor: a program that gets the inputs as fields and writes the results as fields.
//!
//! ```text
//! standard input:  Host⇥192.0.2.1          one line for each writable parameter
//! standard output: DiagnosticsState⇥Complete
//!                  Result.1.SSID⇥guest     one line for each result, by its name in the object
//! ```
//!
//! Without a line for DiagnosticsState, exit status 0 is `Complete`, and any other one `Error_Other`.

use std::time::Duration;

use super::{COMPLETE, Failure, Order, Results};
use crate::cwmp::diagnostics::STATE;
use crate::sources::run_program;

/// The prefix of the states of failed tests.
const ERROR: &str = "Error";

/// Runs the program. Returns the value of DiagnosticsState.
pub(super) fn run(order: &Order, results: &mut Results) -> Result<String, Box<Failure>> {
    let Some(action) = &order.program else {
        return Err(Failure::internal(format_args!("the test has no program")));
    };
    let limit = limit(action.time_limit);
    if let Some(object) = &action.scan {
        return super::neighbors::run(order, object, limit, results).map(|()| COMPLETE.to_owned());
    }
    let inputs = order.inputs.iter().filter(|(name, _)| name != STATE);
    match run_program(&action.run, inputs, limit, &order.stop) {
        Ok(found) => *results = found,
        Err(reason) => return Err(Failure::other(format_args!("the program of the test: {reason}"))),
    }
    Ok(take_state(results))
}

fn limit(limit: Duration) -> u32 {
    limit.as_secs().try_into().unwrap_or(u32::MAX)
}

/// Takes the state out of the lines of a program.
fn take_state(results: &mut Results) -> String {
    let told = results.iter().position(|(name, _)| name == STATE).map(|at| results.remove(at).1);
    // A program that names a state of a running test would keep the ACS waiting.
    told.filter(|state| state.starts_with(ERROR)).unwrap_or_else(|| COMPLETE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_tell_the_state() {
        let of = |state: &str| take_state(&mut vec![(STATE.into(), state.into()), ("Count".into(), "2".into())]);
        assert_eq!(of("Error_Timeout"), "Error_Timeout");
        assert_eq!(
            (of("Completed"), of("Requested"), of("None")),
            ("Complete".into(), "Complete".into(), "Complete".into())
        );
        assert_eq!(take_state(&mut Vec::new()), "Complete");
    }
}
