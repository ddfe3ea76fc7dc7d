//! The program that installs, updates and uninstalls software: the member `software` of `actions`.

use std::time::Duration;

use super::{CommandLine, ReadError, command_line, flag, members, note, seconds};
use crate::model::raw::Raw;
use crate::suggest::hint;

/// The time limit of an operation without `timeLimit` in the model.
const OPERATION_LIMIT: Duration = Duration::from_secs(900);

/// The longest time limit in seconds: each operation ends within an hour (R249).
const LONGEST: Duration = Duration::from_secs(3600);

/// The program that changes the software of the device. The agent appends the verb of the operation to its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftwareAction {
    /// The program and its arguments.
    pub run: CommandLine,
    /// The longest time that the program may run for one operation.
    pub time_limit: Duration,
    /// True if the program fetches the files itself, and gets URL, user name and password. Otherwise the agent downloads them.
    pub fetches: bool,
}

/// Reads the program; `None` where it is missing or no command.
pub(super) fn software_action(raw: &Raw<'_>, at: &str, mistakes: &mut Vec<ReadError>) -> Option<SoftwareAction> {
    let mut action = SoftwareAction { run: Vec::new(), time_limit: OPERATION_LIMIT, fetches: false };
    let mut has_run = false;
    for (name, value) in members(raw, at, mistakes) {
        let at = format!("{at}/{name}");
        match name {
            "run" => {
                has_run = true;
                action.run = command_line(&value, &at, &[], mistakes).unwrap_or_default();
            }
            "timeLimit" => {
                let limit = seconds(&value, at.clone()).and_then(|limit| match limit <= LONGEST {
                    true => Ok(limit),
                    false => Err((at, "a number of seconds is needed, an hour at most".into())),
                });
                action.time_limit = note(limit, mistakes).unwrap_or_default();
            }
            "fetches" => action.fetches = note(flag(&value, at), mistakes).unwrap_or_default(),
            _ => {
                let known = ["run", "timeLimit", "fetches"];
                mistakes.push((at, format!("not a member{}", hint(name, &known, "members", ""))));
            }
        }
    }
    if !has_run && matches!(raw, Raw::Object(_)) {
        mistakes.push((at.into(), "`run` is missing".into()));
    }
    Some(action).filter(|action| !action.run.is_empty())
}
