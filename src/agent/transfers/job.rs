//! What the thread does for a transfer, and what comes of it in the words of the protocol.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::step::{JobProgress, StepResult};
use crate::cwmp::fault::FaultCode;
use crate::cwmp::transfer::Failure;
use crate::model::actions::{CommandLine, FileAction, SigningKey};
use crate::process::{self, ActionError};
use crate::transfer::{self, Checks, FileRequest, PublicKey, TransferError};

/// An action ends with this status where the device refuses the file for now: `EX_NOPERM`, fault 9001.
const REFUSED: i32 = 77;

/// Why a file was not moved.
enum JobError {
    Transfer(TransferError),
    Other(Failure),
}

impl From<TransferError> for JobError {
    fn from(error: TransferError) -> JobError {
        JobError::Transfer(error)
    }
}

/// Loads a file of that size, as far as it is known, and holds it against what the action demands.
pub(super) fn download(
    request: &FileRequest,
    file: &Path,
    size: u32,
    action: &FileAction,
    progress: &JobProgress,
) -> StepResult {
    let result = checks(action).and_then(|checks| {
        let done = transfer::download(request, file, size.into(), &progress.file, &progress.stop)?;
        transfer::verify(request, file, &checks, &progress.stop)?;
        Ok(done.size)
    });
    moved(result)
}

/// Has the file made, and uploads it.
pub(super) fn upload(
    request: &FileRequest,
    file: &Path,
    command: &CommandLine,
    limit: Duration,
    progress: &JobProgress,
) -> StepResult {
    match action_result(process::run_until_stopped(command, limit, &progress.stop), StepResult::Applied) {
        StepResult::Applied(Ok(())) => {}
        StepResult::Applied(Err(failure)) => return StepResult::Moved(Err(failure)),
        other => return other,
    }
    let result = transfer::upload(request, file, &progress.file, &progress.stop);
    moved(result.map(|()| progress.file.moved().bytes).map_err(JobError::from))
}

/// Has the file applied; by the mark, the next agent can tell whether that still goes on.
pub(super) fn apply(
    command: &CommandLine,
    limit: Duration,
    mark: io::Result<File>,
    progress: &JobProgress,
) -> StepResult {
    let result = match mark {
        Ok(mark) => process::run_locked(command, limit, &progress.stop, mark),
        Err(_) => process::run(command, limit, &progress.stop), // a disk without room for a name
    };
    action_result(result, StepResult::Applied)
}

/// Asks whether the file is in use.
pub(super) fn verify(command: &CommandLine, limit: Duration, progress: &JobProgress) -> StepResult {
    match process::run(command, limit, &progress.stop) {
        Ok(()) => StepResult::Verified(Ok(())),
        Err(ActionError::Stopped) => StepResult::Stopped,
        Err(error) => {
            let text = format!("the device does not use the file: {error}");
            StepResult::Verified(Err(Failure::permanent(FaultCode::FileCorrupted, text)))
        }
    }
}

/// There is no directory for the file.
pub(super) fn no_directory(code: FaultCode, error: &io::Error) -> StepResult {
    StepResult::Moved(Err(Failure::permanent(code, format!("the device has no place for the file: {error}"))))
}

/// What the file is to be held against.
fn checks(action: &FileAction) -> Result<Checks, JobError> {
    let key = match &action.ed25519 {
        None => None,
        Some(SigningKey::Raw(bytes)) => Some(PublicKey::parse(bytes)),
        Some(SigningKey::File(file)) => Some(PublicKey::load(Path::new(file))),
    };
    let unusable = |reason| {
        let text = format!("the key that must have signed the file: {reason}");
        JobError::Other(Failure::permanent(FaultCode::FileNotAuthentic, text))
    };
    Ok(Checks { sha256: action.sha256, signed_by: key.transpose().map_err(unusable)? })
}

fn moved(result: Result<u64, JobError>) -> StepResult {
    match result {
        Ok(size) => StepResult::Moved(Ok(size)),
        Err(JobError::Transfer(error)) if error.is_stopped() => StepResult::Stopped,
        Err(JobError::Transfer(error)) => {
            let failure = if error.is_permanent() { Failure::permanent } else { Failure::transient };
            StepResult::Moved(Err(failure(error.fault(), error.to_string())))
        }
        Err(JobError::Other(failure)) => StepResult::Moved(Err(failure)),
    }
}

/// What the end of a command means: 9001 where the device refuses, 9018 where the file is of no use, 9002 where the
/// command itself came to grief.
fn action_result(result: Result<(), ActionError>, outcome: fn(Result<(), Failure>) -> StepResult) -> StepResult {
    let failed = |code, text: String| outcome(Err(Failure::permanent(code, text)));
    match result {
        Ok(()) => outcome(Ok(())),
        Err(ActionError::Stopped) => StepResult::Stopped,
        Err(error @ ActionError::Exit(REFUSED)) => failed(FaultCode::RequestDenied, error.to_string()),
        Err(error @ ActionError::Exit(_)) => failed(FaultCode::FileCorrupted, error.to_string()),
        Err(error) => failed(FaultCode::InternalError, error.to_string()),
    }
}
