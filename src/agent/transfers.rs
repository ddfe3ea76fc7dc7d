//! Files on their way: the thread that moves them, the commands that apply, make and verify them.
//!
//! ```text
//! TransferQueue ──Step, in the journal──▶ TransferWorker ──▶ Job, a thread of its own: transfer::download, process::run, …
//!        ▲                                               │
//!        └────── poll_transfers ◀── Wake::StepFinished ─┘
//! ```
//!
//! One job at a time: gateways have little memory, and one line. Sessions, connection requests and STUN go on
//! meanwhile. What was decided is in the journal before it is done; what was done is told the queue only when the journal
//! has taken it, and until then it is tried again.

mod job;
pub(super) mod step;
mod worker;

use std::sync::atomic::Ordering;
use std::time::Duration;

use self::step::{JobProgress, StepResult};
pub(super) use self::worker::TransferWorker;
use self::worker::remove;
use super::Agent;
use super::acs_settings::tls_settings;
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::cwmp::transfer::{Transfer, TransferRequest, TransferStep};
use crate::cwmp::version;
use crate::model::actions::{with_command_key, with_file};
use crate::process;
use crate::transfer::{FileRequest, TransferLimits};

/// How long the journal is left alone when it could not be written.
const HOLD: Duration = Duration::from_secs(10);

/// A restart of the device has this long.
const RESTART_LIMIT: Duration = Duration::from_secs(120);

/// How long an agent that is told to stop waits for a command that applies a file.
const LAST_WAIT: Duration = Duration::from_secs(3);

impl Agent {
    /// Takes up what the thread has done, and begins what is to be done next.
    pub(super) fn poll_transfers(&mut self, now: Now) {
        if self.worker.is_idle() && self.device.state().transfers.is_idle() {
            return;
        }
        self.apply_step_result(now);
        self.worker.poll_orphan(now);
        if now.monotonic < self.worker.retry_at || self.stop.load(Ordering::Relaxed) {
            return;
        }
        // R122, R231: what is to be told is told first, since there is no session until a device that restarts is back.
        let has_news = self.session_wanted || self.device.state().retry_count > 0;
        let may_restart = !has_news || !self.is_enabled();
        let may_restart = may_restart && !self.is_restarting();
        if !self.worker.has_orphan() && self.device.state().transfers.awaits_interrupted_action() {
            self.device.state_mut().transfers.interrupted_action_ended(now); // nothing that the journal would hold
        }
        let step = match self.device.next_transfer_step(may_restart, self.worker.is_free(), now) {
            Ok(step) => step,
            Err(error) => return self.postpone_transfers(&error, now),
        };
        self.worker.tidy_up(&self.device.state().transfers);
        self.request_report_session();
        if let Some(step) = step {
            self.start_step(step, now);
        }
    }

    /// An agent that is told to stop waits a moment for a command that applies a file: the next one would not know how
    /// it ended.
    pub(super) fn await_apply(&mut self) {
        let Some(job) = &self.worker.job else { return };
        let transfers = &self.device.state().transfers;
        if !transfers.blocks_reboots() || transfers.blocks_sessions() {
            return; // what restarts the device goes on without us
        }
        if job.result.is_none()
            && let Some(step) = self.inbox.wait_for_step(LAST_WAIT)
        {
            self.worker.finish(step);
        }
        self.apply_step_result(self.clock.now());
    }

    fn apply_step_result(&mut self, now: Now) {
        let Some(job) = &self.worker.job else { return };
        let Some(result) = job.result.clone().filter(|_| now.monotonic >= self.worker.retry_at) else { return };
        let (id, attempt) = (job.id, job.attempt);
        let told = self.device.change_transfers(now, |transfers| match result {
            StepResult::Moved(result) => transfers.move_ended(id, attempt, result, now),
            StepResult::Applied(result) => transfers.apply_ended(id, result, now),
            StepResult::Verified(result) => transfers.verify_ended(id, result, now),
            StepResult::Stopped => {}
        });
        match told {
            Ok(()) => {
                self.worker.job = None;
                self.request_report_session();
            }
            Err(error) => self.postpone_transfers(&error, now),
        }
    }

    /// What is to be told, is told at once (R134).
    fn request_report_session(&mut self) {
        let state = self.device.state();
        self.session_wanted |= state.events.is_due(state.session_context(version::newest(version::ALL)));
    }

    fn postpone_transfers(&mut self, error: &dyn std::error::Error, now: Now) {
        log::error!("transfers wait: {error}");
        self.worker.retry_at = now.monotonic.saturating_add(HOLD);
    }

    fn start_step(&mut self, step: TransferStep, now: Now) {
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
        let (id, order) = (transfer.id(), transfer.request());
        let Some(action) = self.device.actions().download_action(&order.file_type).cloned() else { return };
        log::info!("transfer {id} ({}): {}", order.origin.name(), order.file_type);
        let (request, size) = (self.file_request(order, now), order.file_size);
        let place = self.worker.prepare_file(id);
        let work = move |progress: &JobProgress| match place {
            Ok(file) => job::download(&request, &file, size, &action, progress),
            Err(error) => job::no_directory(FaultCode::DownloadFailure, &error),
        };
        self.worker.start(transfer, now, |failure| StepResult::Moved(Err(failure)), Box::new(work));
    }

    fn upload(&mut self, transfer: &Transfer, now: Now) {
        let (id, order) = (transfer.id(), transfer.request());
        let Some((action, instance)) = self.device.actions().upload_action(&order.file_type) else { return };
        log::info!("transfer {id} ({}): {}", order.origin.name(), order.file_type);
        let file = self.worker.file(id);
        let command = with_file(&action.run, &file.to_string_lossy(), &order.command_key, instance);
        let limit = action.time_limit;
        let request = self.file_request(order, now);
        remove(&file); // of an attempt that was interrupted
        let place = self.worker.prepare_file(id);
        let work = move |progress: &JobProgress| match place {
            Ok(file) => job::upload(&request, &file, &command, limit, progress),
            Err(error) => job::no_directory(FaultCode::UploadFailure, &error),
        };
        self.worker.start(transfer, now, |failure| StepResult::Moved(Err(failure)), Box::new(work));
    }

    fn apply(&mut self, transfer: &Transfer, now: Now) {
        let (id, order) = (transfer.id(), transfer.request());
        let Some(action) = self.device.actions().download_action(&order.file_type) else { return };
        log::info!("transfer {id}: applying the file");
        let command = with_file(&action.run, &self.worker.file(id).to_string_lossy(), &order.command_key, None);
        let (limit, mark) = (action.time_limit, self.worker.action_lock());
        let work = move |progress: &JobProgress| job::apply(&command, limit, mark, progress);
        self.worker.start(transfer, now, |failure| StepResult::Applied(Err(failure)), Box::new(work));
    }

    fn verify(&mut self, transfer: &Transfer, now: Now) {
        let order = transfer.request();
        let Some(action) = self.device.actions().download_action(&order.file_type) else { return };
        log::info!("transfer {}: verifying that the file is in use", transfer.id());
        let command = with_command_key(action.verify.as_deref().unwrap_or_default(), &order.command_key);
        let limit = action.time_limit;
        let work = move |progress: &JobProgress| job::verify(&command, limit, progress);
        self.worker.start(transfer, now, |failure| StepResult::Verified(Err(failure)), Box::new(work));
    }

    /// The device has not gone down by itself.
    fn restart_device(&self, transfer: &Transfer) {
        let Some(command) = &self.device.actions().reboot else { return };
        log::info!("transfer {}: restarting the device", transfer.id());
        let command = with_command_key(command, &transfer.request().command_key);
        if let Err(error) = process::run(&command, RESTART_LIMIT, &self.stop) {
            log::error!("the restart failed: {error}");
        }
    }

    /// R65: towards the file server as towards the ACS.
    fn file_request(&self, order: &TransferRequest, now: Now) -> FileRequest {
        FileRequest {
            url: order.url.clone(),
            username: order.username.clone(),
            password: order.password.clone(),
            tls: tls_settings(&self.config),
            clock_is_set: now.clock_is_set(),
            limits: TransferLimits::default(),
        }
    }
}
