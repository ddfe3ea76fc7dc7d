//! The programs and scans that run the diagnostic tests of a vendor: the member `diagnostics` of `actions`.

use std::time::Duration;

use super::{CommandLine, NO_PROGRAM, ReadError, command_line, members, note, seconds};
use crate::json::escape;
use crate::model::raw::Raw;
use crate::suggest::hint;

/// The time limit of a diagnostic test without `timeLimit` in the model.
const TEST_LIMIT: Duration = Duration::from_secs(120);

/// The program that runs a diagnostic test, or the scan in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestAction {
    /// The program and its arguments; empty for a scan.
    pub run: CommandLine,
    /// The object on the bus of OpenWrt whose method `scan` tells the networks that the radios hear.
    pub scan: Option<String>,
    /// The longest time that the program, or the scan of one radio, may run.
    pub time_limit: Duration,
}

/// Reads the programs of diagnostic tests, by the path of the object.
pub(super) fn test_actions(raw: &Raw<'_>, at: &str, mistakes: &mut Vec<ReadError>) -> Vec<(String, TestAction)> {
    let mut actions = Vec::new();
    for (object, value) in members(raw, at, mistakes) {
        let at = format!("{at}/{}", escape(object));
        if !object.ends_with('.') {
            mistakes.push((at.clone(), "the path of an object is needed, with its dot".into()));
        }
        let mut action = TestAction { run: Vec::new(), scan: None, time_limit: TEST_LIMIT };
        for (name, value) in members(&value, &at, mistakes) {
            let at = format!("{at}/{}", escape(name));
            match name {
                "run" => {
                    action.run = command_line(&value, &at, &[], mistakes).unwrap_or_default();
                    // It runs as the program of a source, which is not searched for by PATH.
                    if action.run.first().is_some_and(|program| !program.starts_with('/')) {
                        mistakes.push((at, NO_PROGRAM.into()));
                    }
                }
                "scan" => match value {
                    Raw::Text(name) if !name.is_empty() => action.scan = Some((*name).to_owned()),
                    _ => mistakes.push((at, "the name of an object on the bus of OpenWrt is needed".into())),
                },
                "timeLimit" => action.time_limit = note(seconds(&value, at), mistakes).unwrap_or_default(),
                _ => mistakes
                    .push((at, format!("not a member{}", hint(name, &["run", "scan", "timeLimit"], "members", "")))),
            }
        }
        // A value that is no object is a mistake already, and so is a `run` that is no command.
        let has = |wanted| matches!(&value, Raw::Object(members) if members.members().any(|(name, _)| name == wanted));
        if has("run") == has("scan") && matches!(value, Raw::Object(_)) {
            mistakes.push((at, "either `run` or `scan` is needed".into()));
        }
        actions.push((object.to_string(), action));
    }
    actions
}
