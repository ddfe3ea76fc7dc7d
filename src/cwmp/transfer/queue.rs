//! The queue of transfers that the ACS has not confirmed yet, and the next step of each.

mod restart;
mod results;
mod step;

use std::fmt;
use std::time::Duration;

use serde_json::Value as Json;

pub use self::results::TransferOutcome;
pub use self::step::{DeviceContext, TransferStep};
use super::{ApplyRecord, Failure, Timing, Transfer, TransferRequest, TransferStage};
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::model::actions::Actions;

/// The interval of checks whether the wall clock has been set.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// The transfers without a confirmed report, oldest first, and the downloads that the device asks of the ACS.
#[derive(Clone, Debug, Default)]
pub struct TransferQueue {
    pub(super) list: Vec<Transfer>,
    pub(super) download_requests: Vec<DownloadRequest>,
    pub(super) last_id: u32,
    outcomes: Vec<TransferOutcome>,
    unsaved: bool,
    /// True if the journal was written without absolute time, and should be rewritten once the clock is set.
    saved_without_clock: bool,
    /// The JSON of the journal. The remaining seconds in it change all the time, so that it is made again only after a
    /// change.
    json: Json,
    last_poll: Duration,
}

/// A request of the device to the ACS for a file, sent by RequestDownload (R248).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadRequest {
    /// The FileType argument.
    pub file_type: String,
    /// The FileTypeArg names and values, at most 16.
    pub arguments: Vec<(String, String)>,
}

/// The error of a full queue: fault 9004 (R233).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferQueueFull;

impl fmt::Display for TransferQueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} transfers are queued already", TransferQueue::CAPACITY)
    }
}

impl std::error::Error for TransferQueueFull {}

impl TransferQueue {
    /// The maximum number of transfers, unconfirmed reports included: the longest list of GetAllQueuedTransfers (R233,
    /// R243).
    pub const CAPACITY: usize = 16;

    /// The maximum number of requests for a download.
    pub const MAX_DOWNLOAD_REQUESTS: usize = 4;

    /// Adds a transfer and returns its number.
    ///
    /// # Errors
    /// Returns an error if the queue is full. The oldest report of an autonomous transfer makes room, so that an ACS
    /// that never confirms one cannot stop all transfers.
    pub fn add(&mut self, request: TransferRequest, timing: Timing) -> Result<u32, TransferQueueFull> {
        if self.list.len() >= TransferQueue::CAPACITY {
            let gives_way = |t: &Transfer| t.report().is_some() && t.request.origin.is_autonomous();
            let at = self.list.iter().position(gives_way).ok_or(TransferQueueFull)?;
            self.list.remove(at);
        }
        // 0 is the number of no transfer, so that the journal shows a queue that was never used.
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let (id, stage) = (self.last_id, TransferStage::Waiting);
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

    /// Returns true if all transfers are finished and only reports are left.
    pub fn is_idle(&self) -> bool {
        self.list.iter().all(|transfer| transfer.report().is_some())
    }

    /// Returns all transfers, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Transfer> {
        self.list.iter()
    }

    /// Returns the transfer with that number.
    pub fn get(&self, id: u32) -> Option<&Transfer> {
        self.list.iter().find(|transfer| transfer.id == id)
    }

    /// Returns the transfers with a report for the ACS.
    pub fn finished(&self) -> impl Iterator<Item = &Transfer> {
        self.list.iter().filter(|transfer| transfer.report().is_some())
    }

    /// Returns the next step, if one is due. The caller writes the journal before carrying it out, so that a power cut
    /// cannot repeat the step unnoticed.
    pub fn poll(&mut self, now: Now, device: DeviceContext<'_>) -> Option<TransferStep> {
        self.last_poll = now.monotonic;
        self.resync_clock(now);
        (0..self.list.len()).for_each(|at| self.expire(at, now));
        // The device is about to reboot, and would interrupt every other step.
        if let Some(at) = self.position(|t| matches!(t.stage, TransferStage::Rebooting { .. })) {
            return self.poll_reboot(at, now, device);
        }
        if !device.is_worker_free || self.list.iter().any(Transfer::is_busy) {
            return None;
        }
        // A file that may be in use is verified first, because no session runs before its result is known (R240).
        if let Some(at) = self.position(|t| t.stage == TransferStage::Verifying { runs: false }) {
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

    /// Returns the time of the next [`TransferQueue::poll`] on the monotonic clock, if no event comes earlier.
    /// `is_worker_free` as in [`DeviceContext`].
    pub fn deadline(&self, is_worker_free: bool) -> Option<Duration> {
        let is_busy = !is_worker_free
            || self.list.iter().any(|t| t.is_busy() || matches!(t.stage, TransferStage::Rebooting { .. }));
        let of = |transfer: &Transfer| match &transfer.stage {
            TransferStage::Rebooting { until, .. } => Some(*until),
            TransferStage::Waiting => {
                let begins = transfer.timing.earliest_start().filter(|_| !is_busy);
                begins.into_iter().chain(transfer.timing.expires_at().filter(|_| transfer.must_start_in_time())).min()
            }
            // R245: a window ends also while the file is being moved. A delay does not stop a transfer that began in
            // time.
            TransferStage::Moving | TransferStage::Moved => match transfer.timing {
                Timing::Windows { .. } => transfer.timing.expires_at(),
                Timing::Delayed { .. } => None,
            },
            // The end of the action, or the confirmation of the ACS, causes the next poll.
            TransferStage::Applying(_) | TransferStage::Verifying { .. } | TransferStage::Finished(_) => None,
        };
        let awaits_clock = self.saved_without_clock || self.list.iter().any(|t| t.timing.awaits_clock());
        let clock_check = awaits_clock.then(|| self.last_poll.saturating_add(CLOCK_CHECK));
        self.list.iter().filter_map(of).chain(clock_check).min()
    }

    /// Returns true if the attempt is to go on: the transfer was not cancelled, and its window is not over.
    pub fn should_continue(&self, id: u32, attempt: u32) -> bool {
        self.get(id).is_some_and(|transfer| transfer.attempts == attempt && transfer.is_busy())
    }

    /// Returns true if no session may begin: a reboot would interrupt it, or the report has to come with the first
    /// session after the reboot (R231, R240).
    pub fn blocks_sessions(&self) -> bool {
        self.list.iter().any(|transfer| match &transfer.stage {
            TransferStage::Applying(before) => before.reboots,
            TransferStage::Rebooting { .. } | TransferStage::Verifying { .. } => true,
            _ => false,
        })
    }

    /// Returns true if the device must not reboot, because a file is being applied.
    pub fn blocks_reboots(&self) -> bool {
        self.list
            .iter()
            .any(|transfer| matches!(transfer.stage, TransferStage::Applying(_) | TransferStage::Rebooting { .. }))
    }

    /// Returns true if the file of the transfer may still be read.
    pub fn needs_file(&self, id: u32) -> bool {
        self.get(id).is_some_and(|t| {
            !matches!(t.stage, TransferStage::Waiting | TransferStage::Verifying { .. } | TransferStage::Finished(_))
        })
    }

    /// Cancels all transfers with the CommandKey that can be cancelled, and returns true if none is left (R246).
    pub fn cancel(&mut self, command_key: &str) -> bool {
        // An empty key must not reach local transfers, which the ACS has not requested (R246).
        let matches = |t: &Transfer| !t.request.origin.is_autonomous() && t.request.command_key == command_key;
        // An action must not be interrupted: a half-written firmware may make the device unusable.
        let can_be =
            |t: &Transfer| matches!(t.stage, TransferStage::Waiting | TransferStage::Moving | TransferStage::Moved);
        let before = self.list.len();
        self.list.retain(|transfer| !(matches(transfer) && can_be(transfer)));
        self.unsaved |= self.list.len() < before;
        !self.list.iter().any(matches)
    }

    /// Removes a transfer after the ACS has confirmed its report.
    pub fn confirmed(&mut self, id: u32) {
        self.forget(|transfer| transfer.id == id && transfer.report().is_some());
    }

    /// Drops all reports and requests, as BOOTSTRAP discards the events that announce them (R139).
    pub fn forget_reports(&mut self) {
        self.forget(|transfer| transfer.report().is_some());
        self.unsaved |= !self.download_requests.is_empty();
        self.download_requests.clear();
    }

    /// Drops the reports of autonomous transfers that the ACS has not asked for (R247).
    pub fn forget_autonomous(&mut self, is_reported: impl Fn(&Transfer) -> bool) {
        self.forget(|t| t.report().is_some() && t.request.origin.is_autonomous() && !is_reported(t));
    }

    fn forget(&mut self, gone: impl Fn(&Transfer) -> bool) {
        let before = self.list.len();
        self.list.retain(|transfer| !gone(transfer));
        self.unsaved |= self.list.len() < before;
    }

    /// Adds a request for a download; returns false if there are too many.
    pub fn request_download(&mut self, request: DownloadRequest) -> bool {
        let has_room = self.download_requests.len() < TransferQueue::MAX_DOWNLOAD_REQUESTS;
        if has_room {
            self.download_requests.push(request);
            self.unsaved = true;
        }
        has_room
    }

    /// Returns the requests for downloads.
    pub fn download_requests(&self) -> &[DownloadRequest] {
        &self.download_requests
    }

    /// Removes a request that the ACS has accepted or refused. R144 leaves a retry open, and there is none.
    pub fn download_request_answered(&mut self, request: &DownloadRequest) {
        if let Some(at) = self.download_requests.iter().position(|known| known == request) {
            self.download_requests.remove(at);
            self.unsaved = true;
        }
    }

    /// Returns true if the journal must be written.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Renews [`TransferQueue::json`] for the journal.
    pub fn save(&mut self, now: Now) {
        self.json = self.to_json(now);
        self.unsaved = false;
        // A finished transfer has no deadline left that the clock could improve.
        self.saved_without_clock = !now.clock_is_set() && self.list.iter().any(|t| t.report().is_none());
    }

    /// Returns the JSON of the last [`TransferQueue::save`].
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// Reads the queue from a journal, and skips entries that it cannot read.
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
            // A journal without absolute time loses its deadlines in a reboot, and now it can be written with it.
            self.unsaved = true;
        }
    }

    /// Ends transfers whose time is over (R234, R245).
    fn expire(&mut self, at: usize, now: Now) {
        let transfer = &mut self.list[at];
        if !matches!(transfer.stage, TransferStage::Waiting | TransferStage::Moving | TransferStage::Moved) {
            return;
        }
        // R245: nothing is applied outside a window, so that a file of a past window is moved again in the next one.
        if transfer.timing.drop_past_windows(now) {
            transfer.stage = TransferStage::Waiting;
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
            let begins = transfer.timing.earliest_start().filter(|_| transfer.stage == TransferStage::Waiting)?;
            (begins <= now.monotonic).then_some((begins, at))
        };
        // R233: each transfer as near as possible to its time, in any order of requests.
        self.list.iter().enumerate().filter_map(due).min().map(|(_, at)| at)
    }

    fn start(&mut self, at: usize, now: Now) -> TransferStep {
        let transfer = &mut self.list[at];
        transfer.stage = TransferStage::Moving;
        transfer.attempts = transfer.attempts.saturating_add(1);
        // R238: StartTime is that of the first attempt; without a clock it stays unknown.
        transfer.began = transfer.began.or(now.clock_is_set().then_some(now.wall));
        self.unsaved = true;
        TransferStep::Move(transfer.id)
    }

    /// Starts to apply a file that is here, if its timing and the device allow it.
    fn apply(&mut self, now: Now, device: DeviceContext<'_>) -> Option<TransferStep> {
        for at in 0..self.list.len() {
            let transfer = &mut self.list[at];
            if transfer.stage != TransferStage::Moved || !transfer.timing.may_apply(now) {
                continue;
            }
            let Some(action) = device.actions.download_action(&transfer.request.file_type) else {
                self.finish(at, Some(unsupported_type()), now);
                continue;
            };
            // R122: a reboot waits until the session has ended cleanly, and other files may go first.
            if action.reboots && !device.may_restart {
                continue;
            }
            let before = ApplyRecord { version: device.version.to_owned(), reboots: action.reboots };
            transfer.stage = TransferStage::Applying(before);
            transfer.interruptions = 0;
            self.unsaved = true;
            return Some(TransferStep::Apply(transfer.id));
        }
        None
    }
}

impl Transfer {
    /// Returns true if the worker is busy with the transfer.
    fn is_busy(&self) -> bool {
        matches!(
            self.stage,
            TransferStage::Moving | TransferStage::Applying(_) | TransferStage::Verifying { runs: true }
        )
    }

    /// Returns true if the transfer fails unless it starts in time.
    fn must_start_in_time(&self) -> bool {
        self.attempts == 0 || matches!(self.timing, Timing::Windows { .. })
    }
}

/// Returns true if the device has an action for the file type.
fn has_action(request: &TransferRequest, actions: &Actions) -> bool {
    match request.origin.is_download() {
        true => actions.download_action(&request.file_type).is_some(),
        false => actions.upload_action(&request.file_type).is_some(),
    }
}

/// Returns the failure of a transfer whose action is gone: new firmware may come with another model, while the queue
/// stays.
fn unsupported_type() -> Failure {
    Failure::permanent(FaultCode::RequestDenied, "the device no longer takes files of this type")
}
