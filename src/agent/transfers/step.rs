//! A step of a transfer: its progress while the worker runs it, and its result.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::cwmp::device::DeviceState;
use crate::cwmp::software::OutputRow;
use crate::cwmp::transfer::Failure;
use crate::transfer::Progress;

/// The transfer or the operation on software that a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum JobId {
    /// The transfer with this number.
    Transfer(u32),
    /// The operation with this number.
    Unit(u32),
}

impl JobId {
    /// Returns the name of the file of the transfer or operation.
    pub(super) fn file_name(self) -> String {
        match self {
            JobId::Transfer(id) => id.to_string(),
            JobId::Unit(id) => format!("unit-{id}"),
        }
    }

    /// Returns the owner of the file with this name.
    pub(super) fn of_file(name: &str) -> Option<JobId> {
        match name.strip_prefix("unit-") {
            Some(id) => id.parse().ok().map(JobId::Unit),
            None => name.parse().ok().map(JobId::Transfer),
        }
    }

    /// Returns true if the file may still be read.
    pub(super) fn needs_file(self, state: &DeviceState) -> bool {
        match self {
            JobId::Transfer(id) => state.transfers.needs_file(id),
            JobId::Unit(id) => state.units.needs_file(id),
        }
    }
}

/// The progress of a running step, shared by the worker thread, the agent thread and `status`.
#[derive(Debug)]
pub(in crate::agent) struct JobProgress {
    /// The bytes of the file that is moved.
    pub(in crate::agent) file: Progress,
    /// The instant at which the step began, on the monotonic clock.
    pub(in crate::agent) began: Duration,
    /// Set by the agent thread to end the step.
    pub(in crate::agent) stop: Arc<AtomicBool>,
}

/// The result of a step, for the transfer queue.
#[derive(Clone, Debug)]
pub(in crate::agent) enum StepResult {
    /// The file was moved, with its size in bytes, or was not.
    Moved(Result<u64, Failure>),
    /// The action ended.
    Applied(Result<(), Failure>),
    /// The verify action ended.
    Verified(Result<(), Failure>),
    /// The program that changes the software ended, with its output.
    Ran(Result<Vec<OutputRow>, Failure>),
    /// The step was stopped before its end.
    Stopped,
}

/// A step that ended on the worker thread.
#[derive(Debug)]
pub(in crate::agent) struct FinishedStep {
    /// Identifies the step: ids and attempts of transfers start anew after a factory reset, allocations that are still
    /// shared do not.
    pub(super) progress: Arc<JobProgress>,
    pub(super) result: StepResult,
}
