//! The transfers that are not reported yet, and what is to be done next.

mod restart;

use std::fmt;
use std::time::Duration;

use serde_json::Value as Json;

use self::restart::REBOOT_GRACE;
use super::{ApplyRecord, Failure, Stage, Timing, Transfer, TransferReport, TransferRequest};
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::model::actions::Actions;

/// As many ended transfers are remembered for those who have started them by hand.
const MAX_OUTCOMES: usize = 16;

/// How often the wall clock is looked at while something waits for it to be set.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// The transfers that are not reported yet, oldest first, and the downloads that the device wants of the ACS.
#[derive(Clone, Debug, Default)]
pub struct TransferQueue {
    pub(super) list: Vec<Transfer>,
    pub(super) download_requests: Vec<DownloadRequest>,
    pub(super) last_id: u32,
    outcomes: Vec<TransferOutcome>,
    unsaved: bool,
    /// The journal was written without absolute time, and can be written better once there is.
    saved_without_clock: bool,
    /// What the journal has; the seconds in it run on, so that it is made anew only when something changes.
    json: Json,
    last_poll: Duration,
}

/// A file that the device asks the ACS for, by RequestDownload (R248).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadRequest {
    /// What kind of file.
    pub file_type: String,
    /// Names and values that describe it further, at most 16.
    pub arguments: Vec<(String, String)>,
}

/// The end of a transfer, for those who wait for it at the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferOutcome {
    /// The number of the transfer.
    pub id: u32,
    /// Why it failed, if it did; and not, where it was cancelled, as the ACS would be told.
    pub failure: Option<String>,
}

/// The queue takes no more: fault 9004 (R233).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferQueueFull;

impl fmt::Display for TransferQueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} transfers are queued already", TransferQueue::CAPACITY)
    }
}

impl std::error::Error for TransferQueueFull {}

/// What the queue has to know of the device to go on.
#[derive(Clone, Copy, Debug)]
pub struct DeviceContext<'a> {
    /// What the device does with files.
    pub actions: &'a Actions,
    /// SoftwareVersion, as it is now.
    pub version: &'a str,
    /// Whether the device may restart now: the last session has come to a clean end (R122).
    pub may_restart: bool,
    /// Whether there is somebody to do something: what was stopped may take a moment to end.
    pub is_worker_free: bool,
}

/// What is to be done now, once it is in the journal that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferStep {
    /// Move the file of this transfer; then [`TransferQueue::move_ended`].
    Move(u32),
    /// Run its action; then [`TransferQueue::apply_ended`].
    Apply(u32),
    /// Restart the device, which has not gone down by itself.
    Restart(u32),
    /// Run its `verify` action; then [`TransferQueue::verify_ended`].
    Verify(u32),
}

impl TransferStep {
    /// Returns the number of the transfer that the step belongs to.
    pub fn transfer_id(self) -> u32 {
        match self {
            TransferStep::Move(id) | TransferStep::Apply(id) | TransferStep::Restart(id) | TransferStep::Verify(id) => {
                id
            }
        }
    }
}

impl TransferQueue {
    /// How many transfers there may be, those that are yet to be reported included: as many as
    /// GetAllQueuedTransfers can list (R233, R243).
    pub const CAPACITY: usize = 16;

    /// As many downloads may be wished for.
    pub const MAX_DOWNLOAD_REQUESTS: usize = 4;

    /// Takes a transfer in; gives its number.
    ///
    /// # Errors
    /// There are too many. The report of an autonomous transfer gives way, the oldest first: an ACS that does not take
    /// it must not stop all transfers.
    pub fn add(&mut self, request: TransferRequest, timing: Timing) -> Result<u32, TransferQueueFull> {
        if self.list.len() >= TransferQueue::CAPACITY {
            let gives_way = |t: &Transfer| t.report().is_some() && t.request.origin.is_autonomous();
            let at = self.list.iter().position(gives_way).ok_or(TransferQueueFull)?;
            self.list.remove(at);
        }
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let (id, stage) = (self.last_id, Stage::Waiting);
        self.list.push(Transfer {
            id,
            request,
            timing,
            stage,
            attempts: 0,
            interruptions: 0,
            began: None,
            moved: None,
        });
        self.unsaved = true;
        Ok(id)
    }

    /// Whether there is nothing to do but to tell.
    pub fn is_idle(&self) -> bool {
        self.list.iter().all(|transfer| transfer.report().is_some())
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Transfer> {
        self.list.iter()
    }

    /// The transfer of that number.
    pub fn get(&self, id: u32) -> Option<&Transfer> {
        self.list.iter().find(|transfer| transfer.id == id)
    }

    /// Those that are to be reported.
    pub fn finished(&self) -> impl Iterator<Item = &Transfer> {
        self.list.iter().filter(|transfer| transfer.report().is_some())
    }

    /// How the last transfers ended.
    pub fn outcomes(&self) -> &[TransferOutcome] {
        &self.outcomes
    }

    /// What is to be done now, if anything. The change that goes with it is to be in the journal before it is done.
    pub fn poll(&mut self, now: Now, device: DeviceContext<'_>) -> Option<TransferStep> {
        self.last_poll = now.monotonic;
        self.resync_clock(now);
        (0..self.list.len()).for_each(|at| self.expire(at, now));
        if let Some(at) = self.position(|t| matches!(t.stage, Stage::Rebooting { .. })) {
            return self.poll_reboot(at, now, device);
        }
        if !device.is_worker_free || self.list.iter().any(Transfer::is_busy) {
            return None;
        }
        if let Some(at) = self.position(|t| t.stage == Stage::Verifying { runs: false }) {
            return self.verify(at, now, device);
        }
        if let Some(step) = self.apply(now, device) {
            return Some(step);
        }
        while let Some(at) = self.next_due(now) {
            if has_action(&self.list[at].request, device.actions) {
                return Some(self.start(at, now));
            }
            self.finish(at, Some(unsupported_type()), now);
        }
        None
    }

    /// When to call [`TransferQueue::poll`] again though nothing has happened, on the monotonic clock. `is_worker_free` as in
    /// [`DeviceContext`].
    pub fn deadline(&self, is_worker_free: bool) -> Option<Duration> {
        let is_busy =
            !is_worker_free || self.list.iter().any(|t| t.is_busy() || matches!(t.stage, Stage::Rebooting { .. }));
        let of = |transfer: &Transfer| match &transfer.stage {
            Stage::Rebooting { until, .. } => Some(*until),
            Stage::Waiting => {
                let begins = transfer.timing.earliest_start().filter(|_| !is_busy);
                begins.into_iter().chain(transfer.timing.expires_at().filter(|_| transfer.must_start_in_time())).min()
            }
            Stage::Moving | Stage::Moved => match transfer.timing {
                Timing::Windows { .. } => transfer.timing.expires_at(),
                Timing::Delayed { .. } => None,
            },
            Stage::Applying(_) | Stage::Verifying { .. } | Stage::Finished(_) => None,
        };
        let awaits_clock = self.saved_without_clock || self.list.iter().any(|t| t.timing.awaits_clock());
        let clock_check = awaits_clock.then(|| self.last_poll.saturating_add(CLOCK_CHECK));
        self.list.iter().filter_map(of).chain(clock_check).min()
    }

    /// Whether that attempt is to go on: it was not cancelled, and its window is not over.
    pub fn should_continue(&self, id: u32, attempt: u32) -> bool {
        self.get(id).is_some_and(|transfer| transfer.attempts == attempt && transfer.is_busy())
    }

    /// Whether no session is to begin: the device is to go down any moment, or to tell first how it has come back
    /// (R231, R240).
    pub fn blocks_sessions(&self) -> bool {
        self.list.iter().any(|transfer| match &transfer.stage {
            Stage::Applying(before) => before.reboots,
            Stage::Rebooting { .. } | Stage::Verifying { .. } => true,
            _ => false,
        })
    }

    /// Whether the device must not be restarted: a file is being applied.
    pub fn blocks_reboots(&self) -> bool {
        self.list.iter().any(|transfer| matches!(transfer.stage, Stage::Applying(_) | Stage::Rebooting { .. }))
    }

    /// Whether somebody may still read the file of that transfer.
    pub fn needs_file(&self, id: u32) -> bool {
        self.get(id).is_some_and(|t| !matches!(t.stage, Stage::Waiting | Stage::Verifying { .. } | Stage::Finished(_)))
    }

    /// An attempt to move a file has ended: with the size of the file, complete and checked, or with what went wrong.
    pub fn move_ended(&mut self, id: u32, attempt: u32, result: Result<u64, Failure>, now: Now) {
        let Some(at) = self.position(|t| t.id == id && t.attempts == attempt && t.stage == Stage::Moving) else {
            return;
        };
        let transfer = &mut self.list[at];
        match result {
            Ok(bytes) => {
                transfer.moved = Some(bytes);
                if transfer.request.origin.is_download() {
                    transfer.stage = Stage::Moved;
                } else {
                    self.finish(at, None, now);
                }
            }
            Err(failure) if transfer.timing.plans_retry(&failure, now) => {
                log::warn!("transfer {id}: {}; it will be tried again within its windows", failure.text);
                transfer.stage = Stage::Waiting;
                self.unsaved = true;
            }
            Err(failure) => self.finish(at, Some(failure), now),
        }
    }

    /// The action has ended.
    pub fn apply_ended(&mut self, id: u32, result: Result<(), Failure>, now: Now) {
        let Some(at) = self.position(|t| t.id == id && matches!(t.stage, Stage::Applying(_))) else { return };
        let Stage::Applying(before) = self.list[at].stage.clone() else { return };
        match result {
            Ok(()) if before.reboots => {
                let until = now.monotonic.saturating_add(REBOOT_GRACE);
                self.list[at].stage = Stage::Rebooting { before, interrupted: false, is_last_wait: false, until };
                self.unsaved = true;
            }
            result => self.finish(at, result.err(), now),
        }
    }

    /// The `verify` action has ended.
    pub fn verify_ended(&mut self, id: u32, result: Result<(), Failure>, now: Now) {
        if let Some(at) = self.position(|t| t.id == id && matches!(t.stage, Stage::Verifying { .. })) {
            self.finish(at, result.err(), now);
        }
    }

    /// Records that a step could not be carried out at all. `attempt` is the attempt that the step belongs to.
    pub fn step_failed(&mut self, step: TransferStep, attempt: u32, failure: Failure, now: Now) {
        match step {
            TransferStep::Move(id) => self.move_ended(id, attempt, Err(failure), now),
            TransferStep::Apply(id) => self.apply_ended(id, Err(failure), now),
            TransferStep::Verify(id) => self.verify_ended(id, Err(failure), now),
            // The wait for the reboot ends by itself, with the failure that belongs to it.
            TransferStep::Restart(_) => {}
        }
    }

    /// Cancels every transfer of that key that can be (R246); gives whether that was all of them.
    pub fn cancel(&mut self, command_key: &str) -> bool {
        let matches = |t: &Transfer| !t.request.origin.is_autonomous() && t.request.command_key == command_key;
        let can_be = |t: &Transfer| matches!(t.stage, Stage::Waiting | Stage::Moving | Stage::Moved);
        let before = self.list.len();
        self.list.retain(|transfer| !(matches(transfer) && can_be(transfer)));
        self.unsaved |= self.list.len() < before;
        !self.list.iter().any(matches)
    }

    /// The ACS has confirmed the report of that transfer.
    pub fn confirmed(&mut self, id: u32) {
        self.forget(|transfer| transfer.id == id && transfer.report().is_some());
    }

    /// Forgets reports, with the events that would tell of them: a BOOTSTRAP (R139).
    pub fn forget_reports(&mut self) {
        self.forget(|transfer| transfer.report().is_some());
        self.unsaved |= !self.download_requests.is_empty();
        self.download_requests.clear();
    }

    /// Forgets the reports of autonomous transfers that are not to be told (R247).
    pub fn forget_autonomous(&mut self, is_reported: impl Fn(&Transfer) -> bool) {
        self.forget(|t| t.report().is_some() && t.request.origin.is_autonomous() && !is_reported(t));
    }

    fn forget(&mut self, gone: impl Fn(&Transfer) -> bool) {
        let before = self.list.len();
        self.list.retain(|transfer| !gone(transfer));
        self.unsaved |= self.list.len() < before;
    }

    /// The device wants a file of the ACS; false where it wants too many already.
    pub fn request_download(&mut self, request: DownloadRequest) -> bool {
        let has_room = self.download_requests.len() < TransferQueue::MAX_DOWNLOAD_REQUESTS;
        if has_room {
            self.download_requests.push(request);
            self.unsaved = true;
        }
        has_room
    }

    /// What the device wants of the ACS.
    pub fn download_requests(&self) -> &[DownloadRequest] {
        &self.download_requests
    }

    /// The ACS has answered a request, one way or the other.
    pub fn download_request_answered(&mut self, request: &DownloadRequest) {
        if let Some(at) = self.download_requests.iter().position(|known| known == request) {
            self.download_requests.remove(at);
            self.unsaved = true;
        }
    }

    /// Whether the journal is to be written.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Makes [`TransferQueue::json`] what the journal is to hold.
    pub fn save(&mut self, now: Now) {
        self.json = self.to_json(now);
        self.unsaved = false;
        self.saved_without_clock = !now.clock_is_set() && self.list.iter().any(|t| t.report().is_none());
    }

    /// What the journal holds, as of the last [`TransferQueue::save`].
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// The queue that a journal holds; what it does not understand there is passed over.
    pub fn restore(json: Json, now: Now) -> TransferQueue {
        let mut queue = TransferQueue::from_json(&json, now);
        queue.json = json;
        queue
    }

    fn position(&self, is_meant: impl Fn(&Transfer) -> bool) -> Option<usize> {
        self.list.iter().position(is_meant)
    }

    fn resync_clock(&mut self, now: Now) {
        if !now.clock_is_set() {
            return;
        }
        for transfer in &mut self.list {
            transfer.timing.resync_clock(now);
        }
        if std::mem::take(&mut self.saved_without_clock) {
            // What the journal holds would not outlive a reboot; now it can.
            self.unsaved = true;
        }
    }

    /// Ends what is too late: R234, R245.
    fn expire(&mut self, at: usize, now: Now) {
        let transfer = &mut self.list[at];
        if !matches!(transfer.stage, Stage::Waiting | Stage::Moving | Stage::Moved) {
            return;
        }
        if transfer.timing.drop_past_windows(now) {
            transfer.stage = Stage::Waiting;
            self.unsaved = true;
        }
        let transfer = &self.list[at];
        if transfer.timing.earliest_start().is_none() {
            let text = "the download could not be completed within its time windows";
            self.finish(at, Some(Failure::permanent(FaultCode::OutsideTimeWindow, text)), now);
        } else if transfer.timing.is_too_late(now) && transfer.attempts == 0 {
            let text = "the transfer could not be started within an hour of its time";
            self.finish(at, Some(Failure::permanent(FaultCode::DownloadFailure, text)), now);
        }
    }

    fn next_due(&self, now: Now) -> Option<usize> {
        let due = |(at, transfer): (usize, &Transfer)| {
            let begins = transfer.timing.earliest_start().filter(|_| transfer.stage == Stage::Waiting)?;
            (begins <= now.monotonic).then_some((begins, at))
        };
        self.list.iter().enumerate().filter_map(due).min().map(|(_, at)| at)
    }

    fn start(&mut self, at: usize, now: Now) -> TransferStep {
        let transfer = &mut self.list[at];
        transfer.stage = Stage::Moving;
        transfer.attempts = transfer.attempts.saturating_add(1);
        transfer.began = transfer.began.or(now.clock_is_set().then_some(now.wall));
        self.unsaved = true;
        TransferStep::Move(transfer.id)
    }

    /// Begins to apply a file that is here and may be applied.
    fn apply(&mut self, now: Now, device: DeviceContext<'_>) -> Option<TransferStep> {
        for at in 0..self.list.len() {
            let transfer = &mut self.list[at];
            if transfer.stage != Stage::Moved || !transfer.timing.may_apply(now) {
                continue;
            }
            let Some(action) = device.actions.download_action(&transfer.request.file_type) else {
                self.finish(at, Some(unsupported_type()), now);
                continue;
            };
            if action.reboots && !device.may_restart {
                continue;
            }
            let before = ApplyRecord { version: device.version.to_owned(), reboots: action.reboots };
            transfer.stage = Stage::Applying(before);
            transfer.interruptions = 0;
            self.unsaved = true;
            return Some(TransferStep::Apply(transfer.id));
        }
        None
    }

    fn finish(&mut self, at: usize, failure: Option<Failure>, now: Now) {
        let transfer = &mut self.list[at];
        let failure = failure.map(|failure| failure.with_reportable_code(transfer.request.origin));
        let (id, origin) = (transfer.id, transfer.request.origin.name());
        match &failure {
            None => log::info!("transfer {id} ({origin}) is done"),
            Some(failure) => log::warn!("transfer {id} ({origin}) failed: {} {}", failure.code.number(), failure.text),
        }
        if self.outcomes.len() >= MAX_OUTCOMES {
            self.outcomes.remove(0);
        }
        self.outcomes.push(TransferOutcome { id, failure: failure.as_ref().map(|failure| failure.text.clone()) });
        let is_success = failure.is_none();
        let complete = (is_success && now.clock_is_set()).then_some(now.wall);
        transfer.stage = Stage::Finished(TransferReport { failure, complete });
        self.unsaved = true;
    }
}

impl Transfer {
    /// Whether somebody works on it.
    fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Moving | Stage::Applying(_) | Stage::Verifying { runs: true })
    }

    /// Whether it fails where it does not begin in time.
    fn must_start_in_time(&self) -> bool {
        self.attempts == 0 || matches!(self.timing, Timing::Windows { .. })
    }
}

/// Whether the device has an action for such a file.
fn has_action(request: &TransferRequest, actions: &Actions) -> bool {
    match request.origin.is_download() {
        true => actions.download_action(&request.file_type).is_some(),
        false => actions.upload_action(&request.file_type).is_some(),
    }
}

/// Another firmware may come with another model, while the queue stays.
fn unsupported_type() -> Failure {
    Failure::permanent(FaultCode::RequestDenied, "the device no longer takes files of this type")
}
