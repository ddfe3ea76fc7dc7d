//! The diagnostic tests of the device: their requests, their ends, and their values in the tree.
//!
//! ```text
//! SetParameterValues ──▶ apply_with: Runs after the changes ─┐
//! end of a test ───────▶ finish_test: results, event 8 ──────┼─▶ journal ──▶ show ──▶ DiagnosticsState, results in the tree
//! boot of the device ──▶ forget_tests ───────────────────────┘
//! ```

use super::{Author, Device, DeviceState, JournalError};
use crate::clock::Now;
use crate::cwmp::diagnostics::{
    CANCELED, Progress, REQUESTED, Results, Run, Runs, STATE, Test, needed_input, object_of_state, state_in_model,
    test_at,
};
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::fault::{FaultCode, ParameterFault};
use crate::foreign_text::Quoted;
use crate::log;
use crate::model::change::Change;

impl Device {
    /// Returns the tests that were requested since the device booted.
    pub fn tests(&self) -> &Runs {
        &self.runs
    }

    /// Returns the test that an object is, given by its path with the dot.
    pub fn test_at(&self, object: &str) -> Option<Test> {
        test_at(&self.tree, &self.actions, object)
    }

    /// Returns the faults of requests for tests whose inputs do not suffice (R309).
    pub(crate) fn unready_tests(&self, changes: &[Change]) -> Vec<ParameterFault> {
        let mut faults = Vec::new();
        for change in changes {
            let Change::Set(name, value) = change else { continue };
            let Some(object) = object_of_state(name).filter(|_| value.as_str() == REQUESTED) else { continue };
            let Some(input) = needed_input(&self.tree, object) else { continue };
            let input_name = format!("{object}{input}");
            let set = changes.iter().find_map(|change| match change {
                Change::Set(name, value) if *name == input_name => Some(value.clone()),
                _ => None,
            });
            if set.or_else(|| self.tree.get(&input_name)).is_none_or(|value| value.as_str().is_empty()) {
                faults.push(ParameterFault {
                    name: name.clone(),
                    code: FaultCode::InvalidParameterValue,
                    text: format!("the test needs a value of {input}"),
                });
            }
        }
        faults
    }

    /// Takes the values of DiagnosticsState out of the changes. Returns the tests after the changes: a request begins a test, and
    /// each other input ends it (R314).
    pub(super) fn take_test_changes(&self, changes: &mut Vec<Change>, author: Author) -> Runs {
        let mut runs = self.runs.clone();
        for change in changes.iter() {
            if let Change::Set(name, _) = change
                && let Some((object, _)) = name.rsplit_once('.')
                && let object = &name[..=object.len()]
                && runs.get(object).is_some()
            {
                runs.set(object, Progress::None);
            }
        }
        // The order of the list has no meaning (R163), so that a request counts behind all inputs.
        changes.retain(|change| {
            let Change::Set(name, value) = change else { return true };
            let Some(object) = object_of_state(name).filter(|object| self.test_at(object).is_some()) else {
                return true;
            };
            match value.as_str() {
                REQUESTED => runs.set(object, Progress::Requested { by_acs: author == Author::Acs }),
                CANCELED if runs.get(object).is_some() => runs.set(object, Progress::None),
                _ => {}
            }
            false
        });
        runs
    }

    /// Discards `8 DIAGNOSTICS COMPLETE` if the only tests that had ended were cancelled (R147).
    pub(super) fn drop_test_event(&self, runs: &Runs, state: &mut DeviceState) {
        if self.runs.has_ended() && !runs.has_ended() {
            state.events.discard(&EventCode::DiagnosticsComplete);
        }
    }

    /// Stores the end of a test with its results and `8 DIAGNOSTICS COMPLETE` in one record (R311), unless the request does not
    /// count any more.
    ///
    /// # Errors
    /// The journal cannot be written; then the test has not ended.
    pub fn finish_test(
        &mut self,
        object: &str,
        number: u32,
        (state, results): (&str, &Results),
        now: Now,
    ) -> Result<(), JournalError> {
        let by_acs = match self.runs.get(object) {
            Some(Run { progress: Progress::Requested { by_acs }, number: known, .. }) if *known == number => *by_acs,
            _ => return Ok(()),
        };
        let mut after = self.state.clone();
        if by_acs {
            after.events.raise(Event::new(EventCode::DiagnosticsComplete));
        }
        let mut runs = self.runs.clone();
        runs.set(
            object,
            Progress::Ended { state: state_in_model(&self.tree, object, state), results: results.clone() },
        );
        self.commit_with_tests(&[], runs, after, now)
    }

    /// Ends all tests without results, since the device has booted (R313). The next record stores it.
    pub fn forget_tests(&mut self) {
        let before = self.runs.clone();
        self.runs.forget();
        self.show_tests(&before);
    }

    /// Commits changes together with the progress of the tests.
    pub(super) fn commit_with_tests(
        &mut self,
        changes: &[Change],
        runs: Runs,
        state: DeviceState,
        now: Now,
    ) -> Result<(), JournalError> {
        // Apart until the record is written: a rewrite of the full journal must not hold a state that is not decided.
        self.next_runs = Some(runs);
        let stored = self.commit(changes, state, now);
        self.next_runs = None;
        stored
    }

    /// Returns the part of the next record; `None` if the journal holds all tests.
    pub(super) fn unwritten_tests(&self) -> Option<String> {
        self.next_runs.as_ref().unwrap_or(&self.runs).unwritten()
    }

    /// Puts the tests of the record that was written into effect.
    pub(super) fn tests_written(&mut self) {
        if let Some(next) = self.next_runs.take() {
            let before = std::mem::replace(&mut self.runs, next);
            self.show_tests(&before);
        }
        self.runs.written();
    }

    /// Shows all tests in a tree that is new, and drops those whose object is gone.
    pub(super) fn show_all_tests(&mut self) {
        let Device { runs, tree, actions, .. } = self;
        runs.retain(|object| test_at(tree, actions, object).is_some());
        self.show_tests(&Runs::default());
    }

    /// Shows the tests in the tree that differ from those before.
    fn show_tests(&mut self, before: &Runs) {
        let differs = |run: &&Run| before.get(&run.object) != Some(*run);
        let changed: Vec<Run> = self.runs.iter().filter(differs).cloned().collect();
        for run in changed {
            self.show_test(before.get(&run.object), &run);
        }
    }

    fn show_test(&mut self, before: Option<&Run>, run: &Run) {
        let object = &run.object;
        self.tree.clear_results(object);
        for (name, _) in before.map(Run::results).unwrap_or_default() {
            let name = format!("{object}{name}");
            if let Ok(parameter) = self.tree.parameter(&name) {
                let default = parameter.spec.default.clone();
                // Cannot fail: the parameter was found.
                let _ = self.tree.set_runtime_value(&name, default);
            }
        }
        for (name, text) in run.results() {
            self.show_result(format!("{object}{name}"), text);
        }
        let name = format!("{object}{STATE}");
        let Ok(parameter) = self.tree.parameter(&name) else { return };
        match (parameter.spec.parse(run.state()), &run.progress) {
            (Ok(value), Progress::Ended { .. }) => self.set_provided(&name, value, |_| true),
            // R172: the change is that of the ACS, or follows from one.
            (Ok(value), _) => {
                self.state.reported.remove(&name);
                let _ = self.tree.set_runtime_value(&name, value);
            }
            (Err(error), _) => log::warn!("{name}: the data model does not allow {}: {error}", run.state()),
        }
    }

    fn show_result(&mut self, name: String, text: &str) {
        self.tree.add_result_rows(&name);
        // A model may lack parameters of a test.
        let Ok(parameter) = self.tree.parameter(&name) else { return };
        if parameter.spec.writable || parameter.spec.is_count() {
            return log::debug!("{name}: no result");
        }
        match parameter.spec.parse(text) {
            Ok(value) => self.set_provided(&name, value, |parameter| parameter.has_value()),
            Err(error) => log::warn!("{name}: the data model does not allow {}: {error}", Quoted(text)),
        }
    }
}

#[cfg(all(test, feature = "diagnostics"))]
mod tests;
