//! The failures of writes to UCI packages.

use std::io;
use std::path::Path;

use crate::store::is_full;

/// A failed step.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    /// The file and the reason.
    pub(crate) text: String,
}

/// The cause of a failure, as far as callers distinguish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The device refuses the change: fault 9001.
    Refused,
    /// No room is left: fault 9004.
    Full,
    /// Another program has changed the package meanwhile: another attempt may succeed.
    Changed,
    /// The package is not there: fault 9002.
    Missing,
    /// Any other reason: fault 9002.
    Failed,
}

/// Returns the failure of a step on this file.
pub(super) fn fail(path: &Path, error: io::Error) -> Failure {
    let cause = match error.kind() {
        io::ErrorKind::PermissionDenied => Cause::Refused,
        io::ErrorKind::NotFound => Cause::Missing,
        _ if is_full(&error) => Cause::Full,
        _ => Cause::Failed,
    };
    Failure { cause, text: format!("{}: {error}", path.display()) }
}
