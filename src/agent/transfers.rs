//! Downloads and uploads: starts the steps that the transfer queue decides on, and hands their results back to it.
//!
//! ```text
//! TransferQueue ──TransferStep, in the journal──▶ TransferWorker ──▶ a thread: transfer::download, process::run, …
//!       ▲                                                              │
//!       └──── poll_transfers ◀── Wake::StepFinished ◀── Inbox ◀────────┘
//! ```
//!
//! One step runs at a time, since gateways have little memory and one line. Sessions, connection requests and STUN go on
//! meanwhile. A step is in the journal before it starts. Its result reaches the queue together with its journal record;
//! if the journal cannot be written, both are tried again later.

mod directory;
pub(super) mod job;
pub(super) mod step;
mod worker;

use std::sync::atomic::Ordering;
use std::time::Duration;
#[cfg(feature = "doctor")]
use std::{io, path::Path};

#[cfg(feature = "doctor")]
use self::directory::TransferDirectory;
use self::step::{JobId, JobProgress, StepResult};
pub(super) use self::worker::TransferWorker;
use super::Agent;
use super::acs_settings::tls_settings;
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::cwmp::transfer::{Transfer, TransferRequest, TransferStep};
use crate::cwmp::version;
use crate::log;
use crate::model::actions::{with_command_key, with_file};
use crate::process;
use crate::secret::Secret;
use crate::transfer::{FileRequest, TransferLimits};

/// The pause after a journal write that failed.
const JOURNAL_RETRY: Duration = Duration::from_secs(10);

/// The time limit of the command that restarts the device.
const RESTART_LIMIT: Duration = Duration::from_secs(120);

/// The time that a stopping agent waits for a command that applies a file. With it, SIGTERM takes less than a second.
const LAST_WAIT: Duration = Duration::from_millis(800);

/// Checks the directory of files in transfer below `parent`: it fails if other users can change the files in it. A missing
/// directory is no error.
#[cfg(feature = "doctor")]
pub(crate) fn check_transfer_directory(parent: &Path) -> io::Result<()> {
    match TransferDirectory::below(parent).list() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Agent {
    /// Hands a finished step to the queue, and starts the next step.
    pub(super) fn poll_transfers(&mut self, now: Now) {
        if self.worker.is_idle() && self.device.state().transfers.is_idle() {
            return;
        }
        self.apply_step_result(now);
        self.worker.poll_orphan(now);
        if now.monotonic < self.worker.retry_at || self.stop.load(Ordering::Relaxed) {
            return;
        }
        // R122, R231: pending events are delivered before a file is applied that restarts the device, since no session
        // runs until the device is back.
        let has_pending_events = self.session_wanted || self.device.state().retry_count > 0;
        let may_restart = !has_pending_events || !self.is_enabled();
        let may_restart = may_restart && !self.is_restarting();
        if !self.worker.has_orphan() && self.device.state().transfers.awaits_interrupted_action() {
            // In memory only: after another start, the lock file tells again whether the action runs.
            self.device.state_mut().transfers.interrupted_action_ended(now);
        }
        let step = match self.device.next_transfer_step(may_restart, self.worker.is_free(), now) {
            Ok(step) => step,
            Err(error) => return self.postpone_transfers(&error, now),
        };
        self.worker.tidy_up(self.device.state());
        self.request_report_session();
        if let Some(step) = step {
            self.start_step(step, now);
        }
    }

    /// Waits a moment for a command that applies a file, and stores its result. The next agent could see only that the
    /// command has ended, and not how.
    pub(super) fn await_apply(&mut self) {
        let Some(job) = &self.worker.job else { return };
        let state = self.device.state();
        let runs_action = state.transfers.blocks_reboots() || state.units.blocks_reboots();
        if !runs_action || state.transfers.blocks_sessions() {
            // A command that restarts the device goes on after the agent, and the next boot shows its result.
            return;
        }
        if job.result.is_none()
            && let Some(step) = self.inbox.wait_for_step(LAST_WAIT)
        {
            self.worker.finish(step);
        }
        let now = self.clock.now();
        self.apply_step_result(now);
        self.poll_software(now);
    }

    /// Hands the result of the last step to the queue, unless the pause after a journal error still runs.
    fn apply_step_result(&mut self, now: Now) {
        let Some(job) = &self.worker.job else { return };
        let Some(result) = job.result.clone().filter(|_| now.monotonic >= self.worker.retry_at) else { return };
        let (JobId::Transfer(id), attempt) = (job.id, job.attempt) else { return };
        let stored = self.device.change_transfers(now, |transfers| match result {
            StepResult::Moved(result) => transfers.move_ended(id, attempt, result, now),
            StepResult::Applied(result) => transfers.apply_ended(id, result, now),
            StepResult::Verified(result) => transfers.verify_ended(id, result, now),
            StepResult::Ran(_) | StepResult::Stopped => {}
        });
        match stored {
            Ok(()) => {
                self.worker.job = None;
                self.request_report_session();
            }
            Err(error) => self.postpone_transfers(&error, now),
        }
    }

    /// Requests a session if a transfer has raised an event, which is delivered at once (R134).
    pub(super) fn request_report_session(&mut self) {
        let state = self.device.state();
        self.session_wanted |= state.events.is_due(state.session_context(version::newest(version::ALL)));
    }

    /// Pauses all transfers after a journal error.
    pub(super) fn postpone_transfers(&mut self, error: &dyn std::error::Error, now: Now) {
        log::error!("cannot store transfer state, retrying in {} s: {error}", JOURNAL_RETRY.as_secs());
        self.worker.retry_at = now.monotonic.saturating_add(JOURNAL_RETRY);
    }

    fn start_step(&mut self, step: TransferStep, now: Now) {
        // A clone, since the step borrows the agent as a whole.
        let Some(transfer) = self.device.state().transfers.get(step.transfer_id()).cloned() else { return };
        match step {
            TransferStep::Move(_) if transfer.request().origin.is_download() => self.download(&transfer, now),
            TransferStep::Move(_) => self.upload(&transfer, now),
            TransferStep::Apply(_) => self.apply(&transfer, now),
            TransferStep::Verify(_) => self.verify(&transfer, now),
            TransferStep::Restart(_) => self.restart_device(&transfer),
        }
    }

    fn download(&mut self, transfer: &Transfer, now: Now) {
        let (id, request) = (transfer.id(), transfer.request());
        let Some(action) = self.device.actions().download_action(&request.file_type).cloned() else { return };
        log::info!("transfer {id} ({}): {}", request.origin.name(), request.file_type);
        let (file_request, size) = (self.request_of(request, now), request.file_size);
        let prepared = self.worker.prepare_file(JobId::Transfer(id));
        let work = move |progress: &JobProgress| match prepared {
            Ok(file) => job::download(&file_request, &file, size, &action, progress),
            Err(error) => job::no_directory(FaultCode::DownloadFailure, &error),
        };
        self.worker.start(job_of(transfer), now, |failure| StepResult::Moved(Err(failure)), Box::new(work));
    }

    fn upload(&mut self, transfer: &Transfer, now: Now) {
        let (id, request) = (transfer.id(), transfer.request());
        let Some((action, instance)) = self.device.actions().upload_action(&request.file_type) else { return };
        log::info!("transfer {id} ({}): {}", request.origin.name(), request.file_type);
        let file = self.worker.file(JobId::Transfer(id));
        let command = with_file(&action.run, &file.to_string_lossy(), &request.command_key, instance);
        let limit = action.time_limit;
        let file_request = self.request_of(request, now);
        // An interrupted attempt may have left a file, which must not be uploaded in place of a new one.
        self.worker.remove_file(JobId::Transfer(id));
        let prepared = self.worker.prepare_file(JobId::Transfer(id));
        let work = move |progress: &JobProgress| match prepared {
            Ok(file) => job::upload(&file_request, &file, &command, limit, progress),
            Err(error) => job::no_directory(FaultCode::UploadFailure, &error),
        };
        self.worker.start(job_of(transfer), now, |failure| StepResult::Moved(Err(failure)), Box::new(work));
    }

    fn apply(&mut self, transfer: &Transfer, now: Now) {
        let (id, request) = (transfer.id(), transfer.request());
        let Some(action) = self.device.actions().download_action(&request.file_type) else { return };
        log::info!("transfer {id}: applying the file");
        let command = with_file(
            &action.run,
            &self.worker.file(JobId::Transfer(id)).to_string_lossy(),
            &request.command_key,
            None,
        );
        let (limit, lock) = (action.time_limit, self.worker.action_lock());
        let work = move |progress: &JobProgress| job::apply(&command, limit, lock, progress);
        self.worker.start(job_of(transfer), now, |failure| StepResult::Applied(Err(failure)), Box::new(work));
    }

    fn verify(&mut self, transfer: &Transfer, now: Now) {
        let request = transfer.request();
        let Some(action) = self.device.actions().download_action(&request.file_type) else { return };
        log::info!("transfer {}: verifying that the file is in use", transfer.id());
        let command = with_command_key(action.verify.as_deref().unwrap_or_default(), &request.command_key);
        let limit = action.time_limit;
        let work = move |progress: &JobProgress| job::verify(&command, limit, progress);
        self.worker.start(job_of(transfer), now, |failure| StepResult::Verified(Err(failure)), Box::new(work));
    }

    /// Restarts a device that the action was expected to restart, and did not.
    fn restart_device(&self, transfer: &Transfer) {
        let Some(command) = &self.device.actions().reboot else { return };
        log::info!("transfer {}: restarting the device", transfer.id());
        let command = with_command_key(command, &transfer.request().command_key);
        // On the agent thread: nothing else is to start before the device goes down.
        if let Err(error) = process::run(&command, RESTART_LIMIT, &self.stop) {
            log::error!("the restart command failed: {error}");
        }
    }

    fn request_of(&self, request: &TransferRequest, now: Now) -> FileRequest {
        self.file_request(&request.url, &request.username, &request.password, now)
    }

    /// Builds the request to the file server, with the TLS settings of the connection to the ACS (R65).
    pub(super) fn file_request(&self, url: &str, username: &str, password: &Secret, now: Now) -> FileRequest {
        FileRequest {
            url: url.to_owned(),
            username: username.to_owned(),
            password: password.clone(),
            tls: tls_settings(&self.config),
            clock_is_set: now.clock_is_set(),
            limits: TransferLimits::default(),
        }
    }
}

fn job_of(transfer: &Transfer) -> (JobId, u32) {
    (JobId::Transfer(transfer.id()), transfer.attempt())
}
