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

use super::{COMPLETE, Failure, Order, Outcome, Results};
use crate::cwmp::diagnostics::STATE;
use crate::sources::run_program;

/// The prefix of the states of failed tests.
const ERROR: &str = "Error";

/// Runs the program.
pub(super) fn run(order: &Order) -> Result<Outcome, Failure> {
    let Some(action) = &order.program else { return Err(Failure::internal("the test has no program")) };
    let limit = limit(action.time_limit);
    if let Some(object) = &action.scan {
        return super::neighbors::run(order, object, limit);
    }
    let inputs = order.inputs.iter().filter(|(name, _)| name != STATE);
    let results = run_program(&action.run, inputs, limit, &order.stop);
    results.map(outcome).map_err(|reason| Failure::other(format!("the program of the test: {reason}")))
}

fn limit(limit: Duration) -> u32 {
    limit.as_secs().try_into().unwrap_or(u32::MAX)
}

/// Returns the outcome that the lines of a program tell.
fn outcome(mut results: Results) -> Outcome {
    let told = results.iter().position(|(name, _)| name == STATE).map(|at| results.remove(at).1);
    // A program that names a state of a running test would keep the ACS waiting.
    let state = told.filter(|state| state == "Completed" || state == COMPLETE || state.starts_with(ERROR));
    let state = state.unwrap_or_else(|| COMPLETE.to_owned());
    Outcome { state: if state == "Completed" { COMPLETE.to_owned() } else { state }, results }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_tell_the_state() {
        let of = |state: &str| outcome(vec![(STATE.into(), state.into()), ("Count".into(), "2".into())]).state;
        assert_eq!(of("Error_Timeout"), "Error_Timeout");
        assert_eq!(
            (of("Completed"), of("Requested"), of("None")),
            ("Complete".into(), "Complete".into(), "Complete".into())
        );
        assert_eq!(outcome(Vec::new()).state, "Complete");
    }
}
