//! A step of a transfer: its progress while the worker runs it, and its result.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::cwmp::transfer::Failure;
use crate::transfer::Progress;

/// The progress of a running step, shared by the worker thread, the agent thread and `status`.
#[derive(Debug)]
pub(in crate::agent) struct JobProgress {
    /// The bytes of the file that is moved.
    pub(in crate::agent) file: Progress,
    /// The instant at which the step began, on the monotonic clock.
    pub(in crate::agent) began: Duration,
    /// Set by the agent thread to end the step.
    pub(super) stop: Arc<AtomicBool>,
}

/// The result of a step, for the transfer queue.
#[derive(Clone, Debug)]
pub(super) enum StepResult {
    /// The file was moved, with its size in bytes, or was not.
    Moved(Result<u64, Failure>),
    /// The action ended.
    Applied(Result<(), Failure>),
    /// The verify action ended.
    Verified(Result<(), Failure>),
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
