//! The thread that works on a file, and the directory that files lie in.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::step::{FinishedStep, JobProgress, StepResult};
use crate::agent::inbox::Inbox;
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::cwmp::transfer::{Failure, Transfer, TransferQueue};
use crate::model::actions::Actions;
use crate::thread;
use crate::transfer::Progress;

/// Where files lie, below the configured directory; nothing else is kept there.
const DIRECTORY: &str = "transfers";

/// An empty file that is locked while an action runs, also when the agent that has started it is gone.
const ACTION_LOCK: &str = "mark";

/// How often it is looked whether an action of an earlier agent still runs, and for how long at least: a command with a
/// longer time limit has that.
const ORPHAN_POLL: Duration = Duration::from_secs(1);
const ORPHAN_LIMIT: Duration = Duration::from_secs(300);

/// TLS and a few buffers; only pages that are touched cost memory.
const STACK: usize = 512 << 10;

/// How long an agent that starts anew waits for the thread of the last one.
const JOIN_LIMIT: Duration = Duration::from_secs(5);

/// How often it is looked whether what is waited for is so.
const POLL: Duration = Duration::from_millis(5);

/// The one who carries the files.
pub(in crate::agent) struct TransferWorker {
    directory: PathBuf,
    inbox: Arc<Inbox>,
    pub(super) job: Option<Job>,
    /// Transfers that may have a file.
    files: BTreeSet<u32>,
    /// The journal could not be written: not before this is it tried again.
    pub(super) retry_at: Duration,
    /// An action of an earlier agent still runs.
    orphan: Option<OrphanAction>,
}

/// An action that has outlived the agent that has started it.
#[derive(Clone, Copy, Debug)]
struct OrphanAction {
    /// When to look again whether it still runs, on the monotonic clock.
    poll_at: Duration,
    /// From then on it is taken for something that the action has left behind, such as a daemon.
    end: Duration,
}

/// What the thread does.
pub(super) struct Job {
    pub(super) id: u32,
    pub(super) attempt: u32,
    pub(super) progress: Arc<JobProgress>,
    /// Its result, until the journal has taken it.
    pub(super) result: Option<StepResult>,
    thread: Option<JoinHandle<()>>,
}

impl TransferWorker {
    /// Carries files to and from a directory below this one.
    pub(in crate::agent) fn new(directory: &Path, inbox: Arc<Inbox>) -> TransferWorker {
        let directory = directory.join(DIRECTORY);
        let (files, retry_at) = (BTreeSet::new(), Duration::ZERO);
        TransferWorker { directory, inbox, job: None, files, retry_at, orphan: None }
    }

    /// Removes what an earlier agent has left, but what its action may still read.
    pub(in crate::agent) fn remove_leftovers(&mut self, queue: &TransferQueue, actions: &Actions, now: Now) {
        if !self.is_ours().unwrap_or(false) {
            return; // not there yet, or somebody else's, or a link to what must not be touched
        }
        if self.is_action_locked() {
            log::info!("an action of an earlier start still runs");
            let limit = actions.download.iter().map(|(_, action)| action.time_limit).fold(ORPHAN_LIMIT, Duration::max);
            self.orphan = Some(OrphanAction { poll_at: now.monotonic, end: now.monotonic.saturating_add(limit) });
        }
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            match id.filter(|id| self.orphan.is_some() || queue.needs_file(*id)) {
                Some(id) => drop(self.files.insert(id)),
                None if entry.file_name() == ACTION_LOCK && self.orphan.is_some() => {}
                None => remove(&entry.path()),
            }
        }
    }

    /// What the running job shares, if it works on this transfer.
    pub(in crate::agent) fn progress_of(&self, transfer: &Transfer) -> Option<Arc<JobProgress>> {
        let job = self.job.as_ref().filter(|job| job.id == transfer.id() && job.attempt == transfer.attempt())?;
        Some(Arc::clone(&job.progress))
    }

    /// When to go on: with the queue, with what the journal did not take, with the look at an action of an earlier agent.
    pub(in crate::agent) fn deadline(&self, queue: &TransferQueue) -> Option<Duration> {
        let result = self.job.as_ref().filter(|job| job.result.is_some()).map(|_| self.retry_at);
        let orphan = self.orphan.map(|orphan| orphan.poll_at);
        queue
            .deadline(self.is_free())
            .map(|deadline| deadline.max(self.retry_at))
            .into_iter()
            .chain(result)
            .chain(orphan)
            .min()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.is_free() && self.files.is_empty()
    }

    /// Whether nothing runs, of this agent or of an earlier one.
    pub(super) fn is_free(&self) -> bool {
        self.job.is_none() && self.orphan.is_none()
    }

    /// Whether an action of an earlier agent still runs, as far as is known.
    pub(super) fn has_orphan(&self) -> bool {
        self.orphan.is_some()
    }

    /// Looks whether an action of an earlier agent still runs.
    pub(super) fn poll_orphan(&mut self, now: Now) {
        let Some(orphan) = self.orphan.filter(|orphan| orphan.poll_at <= now.monotonic) else { return };
        let runs = now.monotonic < orphan.end && self.is_action_locked();
        self.orphan = runs.then_some(OrphanAction { poll_at: now.monotonic + ORPHAN_POLL, ..orphan });
        if !runs {
            remove(&self.directory.join(ACTION_LOCK));
        }
    }

    fn is_action_locked(&self) -> bool {
        File::open(self.directory.join(ACTION_LOCK)).is_ok_and(|mark| mark.try_lock().is_err())
    }

    /// What an action gets, so that the next agent can tell whether it still runs.
    pub(super) fn action_lock(&self) -> io::Result<File> {
        let path = self.directory.join(ACTION_LOCK);
        let mark = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        mark.try_lock()?;
        Ok(mark)
    }

    pub(super) fn file(&self, id: u32) -> PathBuf {
        self.directory.join(id.to_string())
    }

    /// Makes a place for the file of that transfer, in a directory that must be ours alone: what lies in it may be run as a
    /// firmware.
    pub(super) fn prepare_file(&mut self, id: u32) -> io::Result<PathBuf> {
        self.files.insert(id);
        match DirBuilder::new().recursive(true).mode(0o700).create(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if self.is_ours()? { Ok(self.file(id)) } else { Err(io::Error::other("the directory is not the agent's own")) }
    }

    fn is_ours(&self) -> io::Result<bool> {
        let found = fs::symlink_metadata(&self.directory)?;
        Ok(found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0)
    }

    /// Stops a job that nobody wants any more, and removes files that nobody needs.
    pub(super) fn tidy_up(&mut self, queue: &TransferQueue) {
        if let Some(job) = &self.job
            && !queue.should_continue(job.id, job.attempt)
        {
            job.progress.stop.store(true, Ordering::Relaxed);
        }
        let working_on = self.job.as_ref().map(|job| job.id);
        // Which file an action of an earlier agent reads is not known.
        let needed = |id: &u32| self.orphan.is_some() || Some(*id) == working_on || queue.needs_file(*id);
        let gone: Vec<u32> = self.files.iter().copied().filter(|id| !needed(id)).collect();
        for id in gone {
            remove(&self.file(id));
            self.files.remove(&id);
        }
        if self.is_idle() {
            remove(&self.directory.join(ACTION_LOCK));
        }
    }

    /// Starts a step on a thread of its own. `not_started` gives its result where the device has no thread left.
    pub(super) fn start(
        &mut self,
        transfer: &Transfer,
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
            let text = format!("the device has no thread left: {error}");
            not_started(Failure::permanent(FaultCode::InternalError, text))
        });
        let (id, attempt) = (transfer.id(), transfer.attempt());
        self.job = Some(Job { id, attempt, progress, result, thread: thread.ok() });
    }

    /// Keeps the result of the running step until the journal has taken it.
    pub(in crate::agent) fn finish(&mut self, step: FinishedStep) {
        // Another step is that of an agent which ended with a factory reset, and whose thread outlived it.
        if let Some(job) = self.job.as_mut().filter(|job| Arc::ptr_eq(&job.progress, &step.progress)) {
            job.result = Some(step.result);
        }
    }
}

impl Drop for TransferWorker {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            job.progress.stop.store(true, Ordering::Relaxed);
            let mut waited = Duration::ZERO;
            while waited < JOIN_LIMIT && job.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
                std::thread::sleep(POLL);
                waited += POLL;
            }
        }
    }
}

pub(super) fn remove(file: &Path) {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => log::warn!("{} stays: {error}", file.display()),
        _ => {}
    }
}
