//! The actions of the data model: their programs and keys are looked up, and no program is run.

use super::finding::Finding;
use crate::agent::{unusable_actions, unusual_actions};
use crate::model::actions::Actions;
use crate::process::action_path;

const SUBJECT: &str = "actions";

/// Returns a failure for each program and key that cannot be used, or one finding that all can; warnings follow.
pub(super) fn check(actions: &Actions) -> Vec<Finding> {
    if *actions == Actions::default() {
        return vec![Finding::skipped(SUBJECT, "the data model has none: no reboot, no factory reset, no files")];
    }
    let failure = |reason| Finding::failed(SUBJECT, reason);
    let mut findings: Vec<Finding> = unusable_actions(actions).into_iter().map(failure).collect();
    if findings.is_empty() {
        // The agent may have another PATH than the shell of the operator.
        let text =
            format!("all programs are executable, by the PATH {}; all keys can be read", action_path().display());
        findings.push(Finding::ok(SUBJECT, text));
    }
    findings.extend(unusual_actions(actions).into_iter().map(|text| Finding::warning(SUBJECT, text)));
    findings
}
