//! The transfers that are not reported yet, and what is to be done next.

mod restart;

use std::fmt;
use std::time::Duration;

use serde_json::Value as Json;

use self::restart::GOES_DOWN_BY_ITSELF;
use super::{Applying, Failure, Order, Report, Stage, Timing, Transfer};
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::model::actions::Actions;

/// As many ended transfers are remembered for those who have started them by hand.
const MAX_ENDED: usize = 16;

/// How often the wall clock is looked at while something waits for it to be set.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// The transfers that are not reported yet, oldest first, and the downloads that the device wants of the ACS.
#[derive(Clone, Debug, Default)]
pub struct TransferQueue {
    pub(super) list: Vec<Transfer>,
    pub(super) wishes: Vec<Wish>,
    pub(super) last_id: u32,
    ended: Vec<Ended>,
    unsaved: bool,
    /// The journal was written without absolute time, and can be written better once there is.
    saved_without_clock: bool,
    /// What the journal has; the seconds in it run on, so that it is made anew only when something changes.
    json: Json,
    last_poll: Duration,
}

/// A file that the device asks the ACS for, by RequestDownload (R248).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What kind of file.
    pub file_type: String,
    /// Names and values that describe it further, at most 16.
    pub arguments: Vec<(String, String)>,
}

/// The end of a transfer, for those who wait for it at the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The number of the transfer.
    pub id: u32,
    /// Why it failed, if it did; and not, where it was cancelled, as the ACS would be told.
    pub failure: Option<String>,
}

/// The queue takes no more: fault 9004 (R233).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} transfers are queued already", TransferQueue::CAPACITY)
    }
}

impl std::error::Error for QueueFull {}

/// What the queue has to know of the device to go on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What the device does with files.
    pub actions: &'a Actions,
    /// SoftwareVersion, as it is now.
    pub version: &'a str,
    /// Whether the device may restart now: the last session has come to a clean end (R122).
    pub may_restart: bool,
    /// Whether there is somebody to do something: what was stopped may take a moment to end.
    pub is_free: bool,
}

/// What is to be done now, once it is in the journal that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Move the file of this transfer; then [`TransferQueue::moved`].
    Move(u32),
    /// Run its action; then [`TransferQueue::applied`].
    Apply(u32),
    /// Restart the device, which has not gone down by itself.
    Restart(u32),
    /// Run its `verify` action; then [`TransferQueue::verified`].
    Verify(u32),
}

impl TransferQueue {
    /// How many transfers there may be, those that are yet to be reported included: as many as
    /// GetAllQueuedTransfers can list (R233, R243).
    pub const CAPACITY: usize = 16;

    /// As many downloads may be wished for.
    pub const MAX_WISHES: usize = 4;

    /// Takes a transfer in; gives its number.
    ///
    /// # Errors
    /// There are too many. The report of an autonomous transfer gives way, the oldest first: an ACS that does not take
    /// it must not stop all transfers.
    pub fn add(&mut self, order: Order, timing: Timing) -> Result<u32, QueueFull> {
        if self.list.len() >= TransferQueue::CAPACITY {
            let gives_way = |t: &Transfer| t.report().is_some() && t.order.origin.is_autonomous();
            let at = self.list.iter().position(gives_way).ok_or(QueueFull)?;
            self.list.remove(at);
        }
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let (id, stage) = (self.last_id, Stage::Waiting);
        self.list.push(Transfer { id, order, timing, stage, starts: 0, interruptions: 0, began: None, moved: None });
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
    pub fn ended(&self) -> &[Ended] {
        &self.ended
    }

    /// What is to be done now, if anything. The change that goes with it is to be in the journal before it is done.
    pub fn poll(&mut self, now: Now, situation: Situation<'_>) -> Option<Step> {
        self.last_poll = now.monotonic;
        self.look(now);
        (0..self.list.len()).for_each(|at| self.expire(at, now));
        if let Some(at) = self.position(|t| matches!(t.stage, Stage::Rebooting { .. })) {
            return self.await_restart(at, now, situation);
        }
        if !situation.is_free || self.list.iter().any(Transfer::is_busy) {
            return None;
        }
        if let Some(at) = self.position(|t| t.stage == Stage::Verifying { runs: false }) {
            return self.verify(at, now, situation);
        }
        if let Some(step) = self.apply(now, situation) {
            return Some(step);
        }
        while let Some(at) = self.next_due(now) {
            if is_known(&self.list[at].order, situation.actions) {
                return Some(self.start(at, now));
            }
            self.finish(at, Some(not_known()), now);
        }
        None
    }

    /// When to call [`TransferQueue::poll`] again though nothing has happened, on the monotonic clock. `is_free` as in
    /// [`Situation`].
    pub fn deadline(&self, is_free: bool) -> Option<Duration> {
        let is_busy = !is_free || self.list.iter().any(|t| t.is_busy() || matches!(t.stage, Stage::Rebooting { .. }));
        let of = |transfer: &Transfer| match &transfer.stage {
            Stage::Rebooting { until, .. } => Some(*until),
            Stage::Waiting => {
                let begins = transfer.timing.begins().filter(|_| !is_busy);
                begins.into_iter().chain(transfer.timing.ends().filter(|_| transfer.is_bound_to_begin())).min()
            }
            Stage::Moving | Stage::Moved => match transfer.timing {
                Timing::Windows { .. } => transfer.timing.ends(),
                Timing::Delayed { .. } => None,
            },
            Stage::Applying(_) | Stage::Verifying { .. } | Stage::Finished(_) => None,
        };
        let awaits_clock = self.saved_without_clock || self.list.iter().any(|t| t.timing.awaits_clock());
        let clock_check = awaits_clock.then(|| self.last_poll.saturating_add(CLOCK_CHECK));
        self.list.iter().filter_map(of).chain(clock_check).min()
    }

    /// Whether that attempt is to go on: it was not cancelled, and its window is not over.
    pub fn wants(&self, id: u32, attempt: u32) -> bool {
        self.get(id).is_some_and(|transfer| transfer.starts == attempt && transfer.is_busy())
    }

    /// Whether no session is to begin: the device is to go down any moment, or to tell first how it has come back
    /// (R231, R240).
    pub fn holds_sessions(&self) -> bool {
        self.list.iter().any(|transfer| match &transfer.stage {
            Stage::Applying(before) => before.reboots,
            Stage::Rebooting { .. } | Stage::Verifying { .. } => true,
            _ => false,
        })
    }

    /// Whether the device must not be restarted: a file is being applied.
    pub fn holds_restarts(&self) -> bool {
        self.list.iter().any(|transfer| matches!(transfer.stage, Stage::Applying(_) | Stage::Rebooting { .. }))
    }

    /// Whether somebody may still read the file of that transfer.
    pub fn holds_file(&self, id: u32) -> bool {
        self.get(id).is_some_and(|t| !matches!(t.stage, Stage::Waiting | Stage::Verifying { .. } | Stage::Finished(_)))
    }

    /// An attempt to move a file has ended: with the size of the file, complete and checked, or with what went wrong.
    pub fn moved(&mut self, id: u32, attempt: u32, result: Result<u64, Failure>, now: Now) {
        let Some(at) = self.position(|t| t.id == id && t.starts == attempt && t.stage == Stage::Moving) else { return };
        let transfer = &mut self.list[at];
        match result {
            Ok(bytes) => {
                transfer.moved = Some(bytes);
                if transfer.order.origin.is_download() {
                    transfer.stage = Stage::Moved;
                } else {
                    self.finish(at, None, now);
                }
            }
            Err(failure) if transfer.timing.tries_again(&failure, now) => {
                log::warn!("transfer {id}: {}; it will be tried again within its windows", failure.text);
                transfer.stage = Stage::Waiting;
                self.unsaved = true;
            }
            Err(failure) => self.finish(at, Some(failure), now),
        }
    }

    /// The action has ended.
    pub fn applied(&mut self, id: u32, result: Result<(), Failure>, now: Now) {
        let Some(at) = self.position(|t| t.id == id && matches!(t.stage, Stage::Applying(_))) else { return };
        let Stage::Applying(before) = self.list[at].stage.clone() else { return };
        match result {
            Ok(()) if before.reboots => {
                let until = now.monotonic.saturating_add(GOES_DOWN_BY_ITSELF);
                self.list[at].stage = Stage::Rebooting { before, interrupted: false, asked: false, until };
                self.unsaved = true;
            }
            result => self.finish(at, result.err(), now),
        }
    }

    /// The `verify` action has ended.
    pub fn verified(&mut self, id: u32, result: Result<(), Failure>, now: Now) {
        if let Some(at) = self.position(|t| t.id == id && matches!(t.stage, Stage::Verifying { .. })) {
            self.finish(at, result.err(), now);
        }
    }

    /// Cancels every transfer of that key that can be (R246); gives whether that was all of them.
    pub fn cancel(&mut self, command_key: &str) -> bool {
        let matches = |t: &Transfer| !t.order.origin.is_autonomous() && t.order.command_key == command_key;
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
        self.unsaved |= !self.wishes.is_empty();
        self.wishes.clear();
    }

    /// Forgets the reports of autonomous transfers that are not to be told (R247).
    pub fn forget_autonomous(&mut self, is_told: impl Fn(&Transfer) -> bool) {
        self.forget(|t| t.report().is_some() && t.order.origin.is_autonomous() && !is_told(t));
    }

    fn forget(&mut self, gone: impl Fn(&Transfer) -> bool) {
        let before = self.list.len();
        self.list.retain(|transfer| !gone(transfer));
        self.unsaved |= self.list.len() < before;
    }

    /// The device wants a file of the ACS; false where it wants too many already.
    pub fn wish(&mut self, wish: Wish) -> bool {
        let has_room = self.wishes.len() < TransferQueue::MAX_WISHES;
        if has_room {
            self.wishes.push(wish);
            self.unsaved = true;
        }
        has_room
    }

    /// What the device wants of the ACS.
    pub fn wishes(&self) -> &[Wish] {
        &self.wishes
    }

    /// The ACS has answered a wish, one way or the other.
    pub fn wish_told(&mut self, wish: &Wish) {
        if let Some(at) = self.wishes.iter().position(|known| known == wish) {
            self.wishes.remove(at);
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

    fn look(&mut self, now: Now) {
        if !now.clock_is_set() {
            return;
        }
        for transfer in &mut self.list {
            transfer.timing.look(now);
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
        if transfer.timing.pass(now) {
            transfer.stage = Stage::Waiting;
            self.unsaved = true;
        }
        let transfer = &self.list[at];
        if transfer.timing.begins().is_none() {
            let text = "the download could not be completed within its time windows";
            self.finish(at, Some(Failure::lasting(FaultCode::OutsideTimeWindow, text)), now);
        } else if transfer.timing.is_too_late(now) && transfer.starts == 0 {
            let text = "the transfer could not be started within an hour of its time";
            self.finish(at, Some(Failure::lasting(FaultCode::DownloadFailure, text)), now);
        }
    }

    fn next_due(&self, now: Now) -> Option<usize> {
        let due = |(at, transfer): (usize, &Transfer)| {
            let begins = transfer.timing.begins().filter(|_| transfer.stage == Stage::Waiting)?;
            (begins <= now.monotonic).then_some((begins, at))
        };
        self.list.iter().enumerate().filter_map(due).min().map(|(_, at)| at)
    }

    fn start(&mut self, at: usize, now: Now) -> Step {
        let transfer = &mut self.list[at];
        transfer.stage = Stage::Moving;
        transfer.starts = transfer.starts.saturating_add(1);
        transfer.began = transfer.began.or(now.clock_is_set().then_some(now.wall));
        self.unsaved = true;
        Step::Move(transfer.id)
    }

    /// Begins to apply a file that is here and may be applied.
    fn apply(&mut self, now: Now, situation: Situation<'_>) -> Option<Step> {
        for at in 0..self.list.len() {
            let transfer = &mut self.list[at];
            if transfer.stage != Stage::Moved || !transfer.timing.may_apply(now) {
                continue;
            }
            let Some(action) = situation.actions.download_action(&transfer.order.file_type) else {
                self.finish(at, Some(not_known()), now);
                continue;
            };
            if action.reboots && !situation.may_restart {
                continue;
            }
            let before = Applying { version: situation.version.to_owned(), reboots: action.reboots };
            transfer.stage = Stage::Applying(before);
            transfer.interruptions = 0;
            self.unsaved = true;
            return Some(Step::Apply(transfer.id));
        }
        None
    }

    fn finish(&mut self, at: usize, failure: Option<Failure>, now: Now) {
        let transfer = &mut self.list[at];
        let failure = failure.map(|failure| failure.told_for(transfer.order.origin));
        let (id, origin) = (transfer.id, transfer.order.origin.name());
        match &failure {
            None => log::info!("transfer {id} ({origin}) is done"),
            Some(failure) => log::warn!("transfer {id} ({origin}) failed: {} {}", failure.code.number(), failure.text),
        }
        if self.ended.len() >= MAX_ENDED {
            self.ended.remove(0);
        }
        self.ended.push(Ended { id, failure: failure.as_ref().map(|failure| failure.text.clone()) });
        let is_success = failure.is_none();
        let complete = (is_success && now.clock_is_set()).then_some(now.wall);
        transfer.stage = Stage::Finished(Report { failure, complete });
        self.unsaved = true;
    }
}

impl Transfer {
    /// Whether somebody works on it.
    fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Moving | Stage::Applying(_) | Stage::Verifying { runs: true })
    }

    /// Whether it fails where it does not begin in time.
    fn is_bound_to_begin(&self) -> bool {
        self.starts == 0 || matches!(self.timing, Timing::Windows { .. })
    }
}

/// Whether the device has an action for such a file.
fn is_known(order: &Order, actions: &Actions) -> bool {
    match order.origin.is_download() {
        true => actions.download_action(&order.file_type).is_some(),
        false => actions.upload_action(&order.file_type).is_some(),
    }
}

/// Another firmware may come with another model, while the queue stays.
fn not_known() -> Failure {
    Failure::lasting(FaultCode::RequestDenied, "the device no longer takes files of this type")
}
