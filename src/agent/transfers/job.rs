//! The work of the transfer thread for each step, and the translation of its errors to fault codes.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::step::{JobProgress, StepResult};
use crate::cwmp::fault::FaultCode;
use crate::cwmp::software::OutputRow;
use crate::cwmp::transfer::Failure;
use crate::model::actions::{CommandLine, FileAction, SigningKey};
use crate::model::source::Row;
use crate::process::{self, ActionError};
use crate::sources::program_rows;
use crate::transfer::{self, Checks, FileRequest, PublicKey, TransferError};

/// The exit status with which an action rejects the file: `EX_NOPERM`, reported as fault 9001.
const EXIT_REJECTED: i32 = 77;

/// A reason for which a file was not moved.
enum JobError {
    Transfer(TransferError),
    Other(Failure),
}

impl From<TransferError> for JobError {
    fn from(error: TransferError) -> JobError {
        JobError::Transfer(error)
    }
}

/// Downloads a file and verifies it by the checks that the action demands. `size` is 0 if the ACS gave none.
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

/// Downloads the file of a deployment unit.
pub(in crate::agent) fn fetch(request: &FileRequest, file: &Path, progress: &JobProgress) -> StepResult {
    let done = transfer::download(request, file, 0, &progress.file, &progress.stop);
    moved(done.map(|done| done.size).map_err(JobError::from))
}

/// Runs the program that changes the software, and reads the rows of its output. The program holds `lock`, by which a later agent
/// sees that it still runs.
pub(in crate::agent) fn run_operation(
    command: &CommandLine,
    limit: Duration,
    lock: Option<File>,
    environment: &[(&str, String)],
    progress: &JobProgress,
) -> StepResult {
    let failed = |text: String| StepResult::Ran(Err(Failure::permanent(FaultCode::RequestDenied, text)));
    match process::run_with_output(command, limit, &progress.stop, lock, environment) {
        Ok(output) => match rows(&output) {
            Ok(rows) => StepResult::Ran(Ok(rows)),
            Err(reason) => failed(format!("the output of the command: {reason}")),
        },
        Err(ActionError::Stopped) => StepResult::Stopped,
        Err(error) => failed(error.to_string()),
    }
}

/// Reads the output of the program: the keys of the units, and the fields Fault and FaultString of those that have failed.
fn rows(output: &[u8]) -> Result<Vec<OutputRow>, String> {
    let read = |row: Row| {
        let failure = row.get("Fault").map(|code| {
            let code = code.parse().ok().filter(|code| *code != 0).and_then(FaultCode::from_number);
            let code = code.unwrap_or(FaultCode::RequestDenied);
            let text = row.get("FaultString").unwrap_or_else(|| code.text());
            // The text reaches the log and the ACS.
            Failure::permanent(code, text.replace(char::is_control, " "))
        });
        OutputRow { failure, key: row.key }
    };
    Ok(program_rows(output)?.into_iter().map(read).collect())
}

/// Runs the command that creates the file, and uploads the file.
pub(super) fn upload(
    request: &FileRequest,
    file: &Path,
    command: &CommandLine,
    limit: Duration,
    progress: &JobProgress,
) -> StepResult {
    // Unlike a command that applies a file, this one can be ended at any time: its file is dropped then.
    match action_result(process::run_until_stopped(command, limit, &progress.stop), StepResult::Applied) {
        StepResult::Applied(Ok(())) => {}
        // For the queue, the creation of the file is the first part of moving it.
        StepResult::Applied(Err(failure)) => return StepResult::Moved(Err(failure)),
        other => return other,
    }
    let result = transfer::upload(request, file, &progress.file, &progress.stop);
    moved(result.map(|()| progress.file.moved().bytes).map_err(JobError::from))
}

/// Runs the command that applies the file. The command holds `lock`, by which a later agent sees that it still runs.
pub(super) fn apply(
    command: &CommandLine,
    limit: Duration,
    lock: io::Result<File>,
    progress: &JobProgress,
) -> StepResult {
    let result = match lock {
        Ok(lock) => process::run_locked(command, limit, &progress.stop, lock),
        // A full disk may lack room for the lock file, which must not prevent the action.
        Err(_) => process::run(command, limit, &progress.stop),
    };
    action_result(result, StepResult::Applied)
}

/// Runs the command that verifies that the device uses the file.
pub(super) fn verify(command: &CommandLine, limit: Duration, progress: &JobProgress) -> StepResult {
    match process::run(command, limit, &progress.stop) {
        Ok(()) => StepResult::Verified(Ok(())),
        Err(ActionError::Stopped) => StepResult::Stopped,
        Err(error) => {
            // The file was applied and the device runs another one: typically a boot loader that fell back to the old
            // image (R231).
            let text = format!("the device does not use the file: {error}");
            StepResult::Verified(Err(Failure::permanent(FaultCode::FileCorrupted, text)))
        }
    }
}

/// Returns the result of a step whose transfer directory cannot be used.
pub(in crate::agent) fn no_directory(code: FaultCode, error: &io::Error) -> StepResult {
    StepResult::Moved(Err(Failure::permanent(code, format!("the transfer directory cannot be used: {error}"))))
}

/// Returns the checks that the action demands of its file, with the signing key loaded.
fn checks(action: &FileAction) -> Result<Checks, JobError> {
    // The key file is read for each download, so that a new key takes effect without a restart.
    let key = match &action.ed25519 {
        None => None,
        Some(SigningKey::Raw(bytes)) => Some(PublicKey::parse(bytes)),
        Some(SigningKey::File(file)) => Some(PublicKey::load(Path::new(file))),
    };
    let unusable = |reason| {
        let text = format!("the key for the signature of the file: {reason}");
        JobError::Other(Failure::permanent(FaultCode::FileNotAuthentic, text))
    };
    Ok(Checks { sha256: action.sha256, signed_by: key.transpose().map_err(unusable)? })
}

/// Translates the result of moving a file.
fn moved(result: Result<u64, JobError>) -> StepResult {
    match result {
        Ok(size) => StepResult::Moved(Ok(size)),
        Err(JobError::Transfer(error)) if error.is_stopped() => StepResult::Stopped,
        Err(JobError::Transfer(error)) => {
            // The queue tries again after a transient failure, and reports a permanent one at once.
            let failure = if error.is_permanent() { Failure::permanent } else { Failure::transient };
            StepResult::Moved(Err(failure(error.fault(), error.to_string())))
        }
        Err(JobError::Other(failure)) => StepResult::Moved(Err(failure)),
    }
}

/// Translates the end of a command: fault 9001 if the device rejects the file, 9018 if the file is unusable, 9002 if the
/// command could not run or was killed.
fn action_result(result: Result<(), ActionError>, outcome: fn(Result<(), Failure>) -> StepResult) -> StepResult {
    let failed = |code, text: String| outcome(Err(Failure::permanent(code, text)));
    match result {
        Ok(()) => outcome(Ok(())),
        Err(ActionError::Stopped) => StepResult::Stopped,
        Err(error @ ActionError::Exit(EXIT_REJECTED)) => failed(FaultCode::RequestDenied, error.to_string()),
        Err(error @ ActionError::Exit(_)) => failed(FaultCode::FileCorrupted, error.to_string()),
        Err(error) => failed(FaultCode::InternalError, error.to_string()),
    }
}
