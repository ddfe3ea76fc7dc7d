//! The transfer worker: runs one step at a time on a thread of its own, and owns the transfer directory.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::directory::TransferDirectory;
use super::step::{FinishedStep, JobId, JobProgress, StepResult};
use crate::agent::inbox::Inbox;
use crate::clock::Now;
use crate::cwmp::device::DeviceState;
use crate::cwmp::fault::FaultCode;
use crate::cwmp::transfer::{Failure, Transfer, TransferQueue};
use crate::log;
use crate::model::actions::Actions;
use crate::thread;
use crate::transfer::Progress;

/// An empty file that is locked while an action runs. The action inherits the lock, so that the lock outlives an agent
/// that is killed.
const ACTION_LOCK: &str = "mark";

/// The interval at which the lock of an orphaned action is checked.
const ORPHAN_POLL: Duration = Duration::from_secs(1);

/// The least time that the agent waits for an orphaned action. A longer time limit of an action prevails.
const ORPHAN_LIMIT: Duration = Duration::from_secs(300);

/// The stack size in bytes: TLS and a few buffers. Only pages that are touched cost memory.
const STACK: usize = 512 << 10;

/// The time that a dropped worker waits for its thread.
const JOIN_LIMIT: Duration = Duration::from_secs(5);

/// The interval at which the end of the thread is checked.
const POLL: Duration = Duration::from_millis(5);

/// Runs one step of a transfer at a time on its own thread, and owns the transfer directory.
pub(in crate::agent) struct TransferWorker {
    directory: TransferDirectory,
    inbox: Arc<Inbox>,
    pub(in crate::agent) job: Option<Job>,
    /// The transfers and operations that may have a file in the directory.
    files: Vec<JobId>,
    /// The instant of the next attempt after a journal error, on the monotonic clock.
    pub(in crate::agent) retry_at: Duration,
    /// The action of an earlier agent that still runs.
    orphan: Option<OrphanAction>,
}

/// An action that has outlived the agent which started it.
#[derive(Clone, Copy, Debug)]
struct OrphanAction {
    /// The instant of the next check of its lock, on the monotonic clock.
    poll_at: Duration,
    /// The instant after which the lock is ignored: a daemon that the action started may hold it for good.
    end: Duration,
}

/// The step that the thread runs, or has run.
pub(in crate::agent) struct Job {
    pub(in crate::agent) id: JobId,
    pub(super) attempt: u32,
    pub(super) progress: Arc<JobProgress>,
    /// The result of the step, until the journal has stored it.
    pub(in crate::agent) result: Option<StepResult>,
    thread: Option<JoinHandle<()>>,
}

impl TransferWorker {
    /// Creates a worker for a directory below `directory`. Touches no file.
    pub(in crate::agent) fn new(directory: &Path, inbox: Arc<Inbox>) -> TransferWorker {
        let directory = TransferDirectory::below(directory);
        let (files, retry_at) = (Vec::new(), Duration::ZERO);
        TransferWorker { directory, inbox, job: None, files, retry_at, orphan: None }
    }

    /// Removes the files of an earlier agent, except those that an action of it may still read.
    pub(in crate::agent) fn remove_leftovers(&mut self, state: &DeviceState, actions: &Actions, now: Now) {
        // A directory that is missing, has another owner, or is a link yields no entry: the first step that needs it
        // reports the error.
        let Ok(entries) = self.directory.list() else { return };
        if self.is_action_locked() {
            log::info!("an action started before the agent restarted is still running");
            let limits = actions.download.iter().map(|(_, action)| action.time_limit);
            let limits = limits.chain(actions.software.iter().map(|action| action.time_limit));
            let limit = limits.fold(ORPHAN_LIMIT, Duration::max);
            self.orphan = Some(OrphanAction { poll_at: now.monotonic, end: now.monotonic.saturating_add(limit) });
        }
        for entry in entries.flatten() {
            let id = entry.file_name().to_str().and_then(JobId::of_file);
            match id.filter(|id| self.orphan.is_some() || id.needs_file(state)) {
                Some(id) => self.note_file(id),
                None if entry.file_name() == ACTION_LOCK && self.orphan.is_some() => {}
                None => self.directory.remove(entry.file_name()),
            }
        }
    }

    /// Returns the progress of this transfer, if a step of it runs.
    pub(in crate::agent) fn progress_of(&self, transfer: &Transfer) -> Option<Arc<JobProgress>> {
        let job = self
            .job
            .as_ref()
            .filter(|job| job.id == JobId::Transfer(transfer.id()) && job.attempt == transfer.attempt())?;
        Some(Arc::clone(&job.progress))
    }

    /// Returns the earliest instant at which the queue, a result that is not stored yet, or the check of an orphaned action
    /// is due.
    pub(in crate::agent) fn deadline(&self, queue: &TransferQueue) -> Option<Duration> {
        let result = self.job.as_ref().filter(|job| job.result.is_some()).map(|_| self.retry_at);
        let orphan = self.orphan.map(|orphan| orphan.poll_at);
        // While the journal cannot be written, the queue must not wake the agent at once again and again.
        queue
            .deadline(self.is_free())
            .map(|deadline| deadline.max(self.retry_at))
            .into_iter()
            .chain(result)
            .chain(orphan)
            .min()
    }

    /// Returns true if no step runs and the directory holds no file.
    pub(super) fn is_idle(&self) -> bool {
        self.is_free() && self.files.is_empty()
    }

    /// Returns true if neither a step nor an action of an earlier agent runs.
    pub(in crate::agent) fn is_free(&self) -> bool {
        self.job.is_none() && self.orphan.is_none()
    }

    /// Returns true if an action of an earlier agent ran at the last check.
    pub(super) fn has_orphan(&self) -> bool {
        self.orphan.is_some()
    }

    /// Checks whether an action of an earlier agent still runs, once its time has come.
    pub(super) fn poll_orphan(&mut self, now: Now) {
        let Some(orphan) = self.orphan.filter(|orphan| orphan.poll_at <= now.monotonic) else { return };
        let runs = now.monotonic < orphan.end && self.is_action_locked();
        self.orphan = runs.then_some(OrphanAction { poll_at: now.monotonic + ORPHAN_POLL, ..orphan });
        if !runs {
            self.directory.remove(ACTION_LOCK);
        }
    }

    /// Returns true if a process holds the lock file.
    fn is_action_locked(&self) -> bool {
        self.directory.read(ACTION_LOCK).is_ok_and(|file| file.try_lock().is_err())
    }

    /// Locks the lock file for an action. While the action has the file open, a later agent sees that it runs.
    pub(in crate::agent) fn action_lock(&self) -> io::Result<File> {
        let file = self.directory.open_or_create(ACTION_LOCK)?;
        file.try_lock()?;
        Ok(file)
    }

    /// Creates the directory, for the lock of an action without a file.
    pub(in crate::agent) fn prepare_directory(&self) -> io::Result<()> {
        self.directory.prepare()
    }

    /// Returns the path of the file of a transfer or operation.
    pub(in crate::agent) fn file(&self, id: JobId) -> PathBuf {
        self.directory.path(&id.file_name())
    }

    /// Creates the directory and returns the path of the file of a transfer. Only the agent's user may write to the
    /// directory, since a file in it may be installed as firmware.
    pub(in crate::agent) fn prepare_file(&mut self, id: JobId) -> io::Result<PathBuf> {
        self.note_file(id);
        self.directory.prepare()?;
        Ok(self.file(id))
    }

    /// Notes that a transfer or operation may have a file in the directory.
    fn note_file(&mut self, id: JobId) {
        if !self.files.contains(&id) {
            self.files.push(id);
        }
    }

    /// Removes the file of a transfer, if there is one.
    pub(super) fn remove_file(&self, id: JobId) {
        self.directory.remove(id.file_name());
    }

    /// Stops a step whose transfer was cancelled, and removes files that no transfer needs any more.
    pub(in crate::agent) fn tidy_up(&mut self, state: &DeviceState) {
        let goes_on = |job: &Job| match job.id {
            JobId::Transfer(id) => state.transfers.should_continue(id, job.attempt),
            JobId::Unit(id) => state.units.should_continue(id),
        };
        if let Some(job) = self.job.as_ref().filter(|job| !goes_on(job)) {
            // The thread ends with StepResult::Stopped, which changes nothing in the queue.
            job.progress.stop.store(true, Ordering::Relaxed);
        }
        let working_on = self.job.as_ref().map(|job| job.id);
        // The file that an orphaned action reads is unknown, so that all files stay until it has ended.
        let needed = |id: &JobId| self.orphan.is_some() || Some(*id) == working_on || id.needs_file(state);
        let (kept, gone): (Vec<JobId>, Vec<JobId>) = self.files.iter().partition(|id| needed(id));
        gone.into_iter().for_each(|id| self.remove_file(id));
        self.files = kept;
        if self.is_idle() {
            self.directory.remove(ACTION_LOCK);
        }
    }

    /// Starts a step on a thread of its own. If no thread can be started, `not_started` gives the result of the step.
    pub(in crate::agent) fn start(
        &mut self,
        (id, attempt): (JobId, u32),
        now: Now,
        not_started: fn(Failure) -> StepResult,
        work: Box<dyn FnOnce(&JobProgress) -> StepResult + Send>,
    ) {
        let progress = Arc::new(JobProgress { file: Progress::new(), began: now.monotonic, stop: Arc::default() });
        let (shared, inbox) = (Arc::clone(&progress), Arc::clone(&self.inbox));
        let run = move || {
            let result = work(&shared);
            inbox.finish_step(FinishedStep { progress: shared, result });
        };
        let thread = thread::spawn("transfer", STACK, Box::new(run));
        let result = thread.as_ref().err().map(|error| {
            let text = format!("cannot start a thread: {error}");
            not_started(Failure::permanent(FaultCode::InternalError, text))
        });
        self.job = Some(Job { id, attempt, progress, result, thread: thread.ok() });
    }

    /// Keeps the result of the running step until the journal has stored it.
    pub(in crate::agent) fn finish(&mut self, step: FinishedStep) {
        // A thread may outlive the agent that ended with a factory reset. Its result concerns a transfer that is gone.
        if let Some(job) = self.job.as_mut().filter(|job| Arc::ptr_eq(&job.progress, &step.progress)) {
            job.result = Some(step.result);
        }
    }
}

impl Drop for TransferWorker {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            job.progress.stop.store(true, Ordering::Relaxed);
            // The thread may hang in a name lookup that cannot be interrupted. It is left behind after the limit, and ends
            // with the process.
            let mut waited = Duration::ZERO;
            while waited < JOIN_LIMIT && job.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
                std::thread::sleep(POLL);
                waited += POLL;
            }
        }
    }
}
