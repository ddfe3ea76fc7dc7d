//! Files on their way: the thread that moves them, the commands that apply, make and verify them.
//!
//! ```text
//! TransferQueue ──Step, in the journal──▶ Carrier ──▶ Job, a thread of its own: transfer::download, process::run, …
//!        ▲                                               │
//!        └────── tend_transfers ◀── Wake::Transferred ───┘
//! ```
//!
//! One job at a time: gateways have little memory, and one line. Sessions, connection requests and STUN go on
//! meanwhile. What was decided is in the journal before it is done; what was done is told the queue only when the journal
//! has taken it, and until then it is tried again.

mod carrier;
mod job;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) use self::carrier::{Carrier, Course};
use self::carrier::{Outcome, remove, wait};
use super::Agent;
use super::start::tls_settings;
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::cwmp::transfer::{Order, Step, Transfer};
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

impl Agent<'_> {
    /// Takes up what the thread has done, and begins what is to be done next.
    pub(super) fn tend_transfers(&mut self, now: Now) {
        if self.carrier.is_idle() && self.device.state().transfers.is_idle() {
            return;
        }
        self.device.set_now(now);
        self.take_outcome(now);
        self.carrier.look_for_other(now);
        if now.monotonic < self.carrier.hold_until || self.stop.load(Ordering::Relaxed) {
            return;
        }
        // R122, R231: what is to be told is told first, since there is no session until a device that restarts is back.
        let has_news = self.wanted || self.device.state().retry_count > 0;
        let may_restart = !has_news || !self.is_enabled();
        let may_restart = may_restart && !self.is_restarting();
        if !self.carrier.awaits_other() && self.device.state().transfers.awaits_action() {
            self.device.state_mut().transfers.action_ended(now); // nothing that the journal would hold
        }
        let step = match self.device.next_transfer_step(may_restart, self.carrier.is_free()) {
            Ok(step) => step,
            Err(error) => return self.hold_transfers(&error, now),
        };
        self.carrier.tidy_up(&self.device.state().transfers);
        self.look_for_reports();
        if let Some(step) = step {
            self.take_step(step, now);
        }
    }

    /// An agent that is told to stop waits a moment for a command that applies a file: the next one would not know how
    /// it ended.
    pub(super) fn finish_applying(&mut self) {
        let Some(job) = &self.carrier.job else { return };
        let transfers = &self.device.state().transfers;
        if !transfers.holds_restarts() || transfers.holds_sessions() {
            return; // what restarts the device goes on without us
        }
        let course = Arc::clone(&job.course);
        wait(LAST_WAIT, || course.outcome().is_some());
        self.take_outcome(self.clock.now());
    }

    fn take_outcome(&mut self, now: Now) {
        let Some(job) = &self.carrier.job else { return };
        let Some(outcome) = job.course.outcome().filter(|_| now.monotonic >= self.carrier.hold_until) else { return };
        let (id, attempt) = (job.id, job.attempt);
        let told = self.device.change_transfers(|transfers| match outcome {
            Outcome::Moved(result) => transfers.moved(id, attempt, result, now),
            Outcome::Applied(result) => transfers.applied(id, result, now),
            Outcome::Verified(result) => transfers.verified(id, result, now),
            Outcome::Stopped => {}
            // Only one of them is what it was to be started for.
            Outcome::NotStarted(failure) => {
                transfers.moved(id, attempt, Err(failure.clone()), now);
                transfers.applied(id, Err(failure.clone()), now);
                transfers.verified(id, Err(failure), now);
            }
        });
        match told {
            Ok(()) => {
                self.carrier.job = None;
                self.look_for_reports();
            }
            Err(error) => self.hold_transfers(&error, now),
        }
    }

    /// What is to be told, is told at once (R134).
    fn look_for_reports(&mut self) {
        let state = self.device.state();
        self.wanted |= state.events.is_due(state.occasion(version::newest(version::ALL)));
    }

    fn hold_transfers(&mut self, error: &dyn std::error::Error, now: Now) {
        log::error!("transfers wait: {error}");
        self.carrier.hold_until = now.monotonic.saturating_add(HOLD);
    }

    fn take_step(&mut self, step: Step, now: Now) {
        let (Step::Move(id) | Step::Apply(id) | Step::Restart(id) | Step::Verify(id)) = step;
        let Some(transfer) = self.device.state().transfers.get(id).cloned() else { return };
        match step {
            Step::Move(_) if transfer.order().origin.is_download() => self.download(&transfer, now),
            Step::Move(_) => self.upload(&transfer, now),
            Step::Apply(_) => self.apply(&transfer, now),
            Step::Verify(_) => self.verify(&transfer, now),
            Step::Restart(_) => self.restart_for(&transfer),
        }
    }

    fn download(&mut self, transfer: &Transfer, now: Now) {
        let (id, order) = (transfer.id(), transfer.order());
        let Some(action) = self.device.actions.download_action(&order.file_type).cloned() else { return };
        log::info!("transfer {id} ({}): {}", order.origin.name(), order.file_type);
        let (request, size) = (self.file_request(order, now), order.file_size);
        let place = self.carrier.make_place(id);
        self.carrier.start(transfer, now, move |course| match place {
            Ok(file) => job::download(&request, &file, size, &action, course),
            Err(error) => job::no_place(FaultCode::DownloadFailure, &error),
        });
    }

    fn upload(&mut self, transfer: &Transfer, now: Now) {
        let (id, order) = (transfer.id(), transfer.order());
        let Some((action, instance)) = self.device.actions.upload_action(&order.file_type) else { return };
        log::info!("transfer {id} ({}): {}", order.origin.name(), order.file_type);
        let file = self.carrier.file(id);
        let command = with_file(&action.run, &file.to_string_lossy(), &order.command_key, instance);
        let limit = action.time_limit;
        let request = self.file_request(order, now);
        remove(&file); // of an attempt that was interrupted
        let place = self.carrier.make_place(id);
        self.carrier.start(transfer, now, move |course| match place {
            Ok(file) => job::upload(&request, &file, &command, limit, course),
            Err(error) => job::no_place(FaultCode::UploadFailure, &error),
        });
    }

    fn apply(&mut self, transfer: &Transfer, now: Now) {
        let (id, order) = (transfer.id(), transfer.order());
        let Some(action) = self.device.actions.download_action(&order.file_type) else { return };
        log::info!("transfer {id}: applying the file");
        let command = with_file(&action.run, &self.carrier.file(id).to_string_lossy(), &order.command_key, None);
        let (limit, mark) = (action.time_limit, self.carrier.mark());
        self.carrier.start(transfer, now, move |course| job::apply(&command, limit, mark, course));
    }

    fn verify(&mut self, transfer: &Transfer, now: Now) {
        let order = transfer.order();
        let Some(action) = self.device.actions.download_action(&order.file_type) else { return };
        log::info!("transfer {}: verifying that the file is in use", transfer.id());
        let command = with_command_key(action.verify.as_deref().unwrap_or_default(), &order.command_key);
        let limit = action.time_limit;
        self.carrier.start(transfer, now, move |course| job::verify(&command, limit, course));
    }

    /// The device has not gone down by itself.
    fn restart_for(&self, transfer: &Transfer) {
        let Some(command) = &self.device.actions.reboot else { return };
        log::info!("transfer {}: restarting the device", transfer.id());
        let command = with_command_key(command, &transfer.order().command_key);
        if let Err(error) = process::run(&command, RESTART_LIMIT, &self.stop) {
            log::error!("the restart failed: {error}");
        }
    }

    /// R65: towards the file server as towards the ACS.
    fn file_request(&self, order: &Order, now: Now) -> FileRequest {
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
