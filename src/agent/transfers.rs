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

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::start::tls_settings;
use super::{Agent, Wake};
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::cwmp::transfer::{Failure, Order, Step, Transfer, TransferQueue};
use crate::cwmp::version;
use crate::model::actions::{Actions, CommandLine, FileAction, SigningKey, with_command_key, with_file};
use crate::process::{self, ActionError};
use crate::transfer::{self, Checks, FileRequest, Progress, PublicKey, TransferError, TransferLimits};

/// Where files lie, below the configured directory; nothing else is kept there.
const DIRECTORY: &str = "transfers";

/// An empty file that is locked while an action runs, also when the agent that has started it is gone.
const MARK: &str = "mark";

/// How often it is looked whether an action of an earlier agent still runs, and for how long at least: a command with a
/// longer time limit has that.
const LOOK_FOR_OTHER: Duration = Duration::from_secs(1);
const OTHER_LIMIT: Duration = Duration::from_secs(300);

/// TLS and a few buffers; only pages that are touched cost memory.
const STACK: usize = 512 << 10;

/// How long the journal is left alone when it could not be written.
const HOLD: Duration = Duration::from_secs(10);

/// A restart of the device has this long.
const RESTART_LIMIT: Duration = Duration::from_secs(120);

/// How long an agent that is told to stop waits for a command that applies a file.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// How long an agent that starts anew waits for the thread of the last one.
const JOIN_LIMIT: Duration = Duration::from_secs(5);

const LOOK: Duration = Duration::from_millis(5);

/// An action ends with this status where the device refuses the file for now: `EX_NOPERM`, fault 9001.
const REFUSED: i32 = 77;

/// The one who carries the files.
pub(super) struct Carrier {
    directory: PathBuf,
    waker: SyncSender<Wake>,
    job: Option<Job>,
    /// Transfers that may have a file.
    files: BTreeSet<u32>,
    /// The journal could not be written: not before this is it tried again.
    hold_until: Duration,
    /// An action of an earlier agent still runs.
    other: Option<Other>,
}

/// An action that has outlived the agent that has started it.
#[derive(Clone, Copy, Debug)]
struct Other {
    /// When to look again whether it still runs, on the monotonic clock.
    look_at: Duration,
    /// From then on it is taken for something that the action has left behind, such as a daemon.
    end: Duration,
}

/// What the thread does.
struct Job {
    id: u32,
    attempt: u32,
    course: Arc<Course>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread shares with the agent, and with those who ask how far it is.
#[derive(Debug)]
pub(super) struct Course {
    /// Of the file that is moved.
    pub(super) progress: Progress,
    /// When it began, on the monotonic clock.
    pub(super) began: Duration,
    stop: Arc<AtomicBool>,
    outcome: Mutex<Option<Outcome>>,
}

/// What has come of a job.
#[derive(Clone, Debug)]
enum Outcome {
    Moved(Result<u64, Failure>),
    Applied(Result<(), Failure>),
    Verified(Result<(), Failure>),
    /// It was told to stop, and did.
    Stopped,
    /// There was no thread for it.
    NotStarted(Failure),
}

impl Carrier {
    /// Carries files to and from a directory below this one.
    pub(super) fn new(directory: &Path, waker: SyncSender<Wake>) -> Carrier {
        let directory = directory.join(DIRECTORY);
        let (files, hold_until) = (BTreeSet::new(), Duration::ZERO);
        Carrier { directory, waker, job: None, files, hold_until, other: None }
    }

    /// Removes what an earlier agent has left, but what its action may still read.
    pub(super) fn remove_leftovers(&mut self, queue: &TransferQueue, actions: &Actions, now: Now) {
        if !self.is_ours().unwrap_or(false) {
            return; // not there yet, or somebody else's, or a link to what must not be touched
        }
        if self.is_marked() {
            log::info!("an action of an earlier start still runs");
            let limit = actions.download.iter().map(|(_, action)| action.time_limit).fold(OTHER_LIMIT, Duration::max);
            self.other = Some(Other { look_at: now.monotonic, end: now.monotonic.saturating_add(limit) });
        }
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            match id.filter(|id| self.other.is_some() || queue.holds_file(*id)) {
                Some(id) => drop(self.files.insert(id)),
                None if entry.file_name() == MARK && self.other.is_some() => {}
                None => remove(&entry.path()),
            }
        }
    }

    /// What the running job shares, if it works on this transfer.
    pub(super) fn course_of(&self, transfer: &Transfer) -> Option<Arc<Course>> {
        let job = self.job.as_ref().filter(|job| job.id == transfer.id() && job.attempt == transfer.attempt())?;
        Some(Arc::clone(&job.course))
    }

    /// When to go on: with the queue, with what the journal did not take, with the look at an action of an earlier agent.
    pub(super) fn deadline(&self, queue: &TransferQueue) -> Option<Duration> {
        let outcome = self.job.as_ref().filter(|job| job.course.outcome().is_some()).map(|_| self.hold_until);
        let other = self.other.map(|other| other.look_at);
        queue
            .deadline(self.is_free())
            .map(|deadline| deadline.max(self.hold_until))
            .into_iter()
            .chain(outcome)
            .chain(other)
            .min()
    }

    fn is_idle(&self) -> bool {
        self.is_free() && self.files.is_empty()
    }

    /// Whether nothing runs, of this agent or of an earlier one.
    fn is_free(&self) -> bool {
        self.job.is_none() && self.other.is_none()
    }

    /// Looks whether an action of an earlier agent still runs.
    fn look_for_other(&mut self, now: Now) {
        let Some(other) = self.other.filter(|other| other.look_at <= now.monotonic) else { return };
        let runs = now.monotonic < other.end && self.is_marked();
        self.other = runs.then_some(Other { look_at: now.monotonic + LOOK_FOR_OTHER, ..other });
        if !runs {
            remove(&self.directory.join(MARK));
        }
    }

    fn is_marked(&self) -> bool {
        File::open(self.directory.join(MARK)).is_ok_and(|mark| mark.try_lock().is_err())
    }

    /// What an action gets, so that the next agent can tell whether it still runs.
    fn mark(&self) -> io::Result<File> {
        let path = self.directory.join(MARK);
        let mark = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        mark.try_lock()?;
        Ok(mark)
    }

    fn file(&self, id: u32) -> PathBuf {
        self.directory.join(id.to_string())
    }

    /// Makes the directory, which must be ours alone: what lies in it may be run as a firmware.
    fn prepare(&self) -> io::Result<()> {
        match DirBuilder::new().recursive(true).mode(0o700).create(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if self.is_ours()? { Ok(()) } else { Err(io::Error::other("the directory is not the agent's own")) }
    }

    fn is_ours(&self) -> io::Result<bool> {
        let found = fs::symlink_metadata(&self.directory)?;
        Ok(found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0)
    }

    /// Stops a job that nobody wants any more, and removes files that nobody needs.
    fn tidy_up(&mut self, queue: &TransferQueue) {
        if let Some(job) = &self.job
            && !queue.wants(job.id, job.attempt)
        {
            job.course.stop.store(true, Ordering::Relaxed);
        }
        let working_on = self.job.as_ref().map(|job| job.id);
        // Which file an action of an earlier agent reads is not known.
        let needed = |id: &u32| self.other.is_some() || Some(*id) == working_on || queue.holds_file(*id);
        let gone: Vec<u32> = self.files.iter().copied().filter(|id| !needed(id)).collect();
        for id in gone {
            remove(&self.file(id));
            self.files.remove(&id);
        }
        if self.is_idle() {
            remove(&self.directory.join(MARK));
        }
    }

    /// Starts the thread of a job.
    #[expect(clippy::disallowed_methods, reason = "a driver: a file is moved and applied by a thread of its own")]
    fn start(&mut self, transfer: &Transfer, now: Now, work: impl FnOnce(&Course) -> Outcome + Send + 'static) {
        let course = Arc::new(Course {
            progress: Progress::new(),
            began: now.monotonic,
            stop: Arc::default(),
            outcome: Mutex::default(),
        });
        let (mine, waker) = (Arc::clone(&course), self.waker.clone());
        let carry = move || {
            let outcome = work(&mine);
            mine.end(outcome);
            // Where the channel is full, the agent has enough to wake up for.
            let _ = waker.try_send(Wake::Transferred);
        };
        let (id, attempt) = (transfer.id(), transfer.attempt());
        let thread = thread::Builder::new().name("transfer".into()).stack_size(STACK).spawn(carry);
        if let Err(error) = &thread {
            let text = format!("the device has no thread left: {error}");
            course.end(Outcome::NotStarted(Failure::lasting(FaultCode::InternalError, text)));
            let _ = self.waker.try_send(Wake::Transferred);
        }
        self.job = Some(Job { id, attempt, course, thread: thread.ok() });
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            job.course.stop.store(true, Ordering::Relaxed);
            wait(JOIN_LIMIT, || job.thread.as_ref().is_none_or(JoinHandle::is_finished));
        }
    }
}

impl Course {
    fn outcome(&self) -> Option<Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn end(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}

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
        let may_restart = self.device.state().retry_count == 0 || !self.is_enabled(); // R122
        let may_restart = may_restart && !self.is_restarting();
        if self.carrier.other.is_none() && self.device.state().transfers.awaits_action() {
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
        let (origin, file_type) = (transfer.order().origin, &transfer.order().file_type);
        let actions = &self.device.actions;
        match step {
            Step::Move(_) if origin.is_download() => {
                let Some(action) = actions.download_of(file_type).cloned() else { return };
                log::info!("transfer {id} ({}): {file_type}", origin.name());
                self.download(&transfer, action, now);
            }
            Step::Move(_) => {
                let Some((action, instance)) = actions.upload_of(file_type) else { return };
                log::info!("transfer {id} ({}): {file_type}", origin.name());
                let file = self.carrier.file(id);
                let command = with_file(&action.run, &file.to_string_lossy(), &transfer.order().command_key, instance);
                let limit = action.time_limit;
                self.upload(&transfer, file, command, limit, now);
            }
            Step::Apply(_) => {
                let Some(action) = actions.download_of(file_type).cloned() else { return };
                log::info!("transfer {id}: applying the file");
                let file = self.carrier.file(id);
                let command = with_file(&action.run, &file.to_string_lossy(), &transfer.order().command_key, None);
                let mark = self.carrier.mark();
                self.carrier.start(&transfer, now, move |course| {
                    let (limit, stop) = (action.time_limit, &course.stop);
                    let result = match mark {
                        Ok(mark) => process::run_marked(&command, limit, stop, mark),
                        Err(_) => process::run(&command, limit, stop), // a disk without room for a name
                    };
                    outcome_of(result, Outcome::Applied)
                });
            }
            Step::Verify(_) => {
                let Some(action) = actions.download_of(file_type).cloned() else { return };
                let command = with_command_key(&action.verify.unwrap_or_default(), &transfer.order().command_key);
                log::info!("transfer {id}: verifying that the file is in use");
                self.carrier.start(&transfer, now, move |course| {
                    match process::run(&command, action.time_limit, &course.stop) {
                        Ok(()) => Outcome::Verified(Ok(())),
                        Err(ActionError::Stopped) => Outcome::Stopped,
                        Err(error) => {
                            let text = format!("the device does not use the file: {error}");
                            Outcome::Verified(Err(Failure::lasting(FaultCode::FileCorrupted, text)))
                        }
                    }
                });
            }
            Step::Restart(_) => {
                let Some(command) = &actions.reboot else { return };
                log::info!("transfer {id}: restarting the device");
                let command = with_command_key(command, &transfer.order().command_key);
                if let Err(error) = process::run(&command, RESTART_LIMIT, &self.stop) {
                    log::error!("the restart failed: {error}");
                }
            }
        }
    }

    fn download(&mut self, transfer: &Transfer, action: FileAction, now: Now) {
        let request = self.file_request(transfer.order(), now);
        let (file, size) = (self.carrier.file(transfer.id()), transfer.order().file_size);
        self.carrier.files.insert(transfer.id());
        let prepared = self.carrier.prepare();
        self.carrier.start(transfer, now, move |course| {
            if let Err(error) = prepared {
                let text = format!("the device has no place for the file: {error}");
                return Outcome::Moved(Err(Failure::lasting(FaultCode::DownloadFailure, text)));
            }
            let result = checks(&action).and_then(|checks| {
                let done = transfer::download(&request, &file, size.into(), &course.progress, &course.stop)?;
                transfer::verify(&request, &file, &checks, &course.stop)?;
                Ok(done.size)
            });
            moved(result)
        });
    }

    fn upload(&mut self, transfer: &Transfer, file: PathBuf, command: CommandLine, limit: Duration, now: Now) {
        let request = self.file_request(transfer.order(), now);
        self.carrier.files.insert(transfer.id());
        remove(&file); // of an attempt that was interrupted
        let prepared = self.carrier.prepare();
        self.carrier.start(transfer, now, move |course| {
            if let Err(error) = prepared {
                let text = format!("the device has no place for the file: {error}");
                return Outcome::Moved(Err(Failure::lasting(FaultCode::UploadFailure, text)));
            }
            match outcome_of(process::run_until_stopped(&command, limit, &course.stop), Outcome::Applied) {
                Outcome::Applied(Ok(())) => {}
                Outcome::Applied(Err(failure)) => return Outcome::Moved(Err(failure)),
                other => return other,
            }
            let result = transfer::upload(&request, &file, &course.progress, &course.stop);
            moved(result.map(|()| course.progress.moved().bytes).map_err(Refusal::from))
        });
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

/// Why a file was not moved.
enum Refusal {
    Transfer(TransferError),
    Other(Failure),
}

impl From<TransferError> for Refusal {
    fn from(error: TransferError) -> Refusal {
        Refusal::Transfer(error)
    }
}

fn moved(result: Result<u64, Refusal>) -> Outcome {
    match result {
        Ok(size) => Outcome::Moved(Ok(size)),
        Err(Refusal::Transfer(error)) if error.is_stopped() => Outcome::Stopped,
        Err(Refusal::Transfer(error)) => {
            let failure = if error.is_lasting() { Failure::lasting } else { Failure::passing };
            Outcome::Moved(Err(failure(error.fault(), error.to_string())))
        }
        Err(Refusal::Other(failure)) => Outcome::Moved(Err(failure)),
    }
}

/// What the file is to be held against.
fn checks(action: &FileAction) -> Result<Checks, Refusal> {
    let key = match &action.ed25519 {
        None => None,
        Some(SigningKey::Raw(bytes)) => Some(PublicKey::parse(bytes)),
        Some(SigningKey::File(file)) => Some(PublicKey::load(Path::new(file))),
    };
    let unusable = |reason| {
        let text = format!("the key that must have signed the file: {reason}");
        Refusal::Other(Failure::lasting(FaultCode::FileNotAuthentic, text))
    };
    Ok(Checks { sha256: action.sha256, signed_by: key.transpose().map_err(unusable)? })
}

/// What the end of a command means: 9001 where the device refuses, 9018 where the file is of no use, 9002 where the
/// command itself came to grief.
fn outcome_of(result: Result<(), ActionError>, outcome: fn(Result<(), Failure>) -> Outcome) -> Outcome {
    let failed = |code, text: String| outcome(Err(Failure::lasting(code, text)));
    match result {
        Ok(()) => outcome(Ok(())),
        Err(ActionError::Stopped) => Outcome::Stopped,
        Err(error @ ActionError::Exit(REFUSED)) => failed(FaultCode::RequestDenied, error.to_string()),
        Err(error @ ActionError::Exit(_)) => failed(FaultCode::FileCorrupted, error.to_string()),
        Err(error) => failed(FaultCode::InternalError, error.to_string()),
    }
}

fn remove(file: &Path) {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => log::warn!("{} stays: {error}", file.display()),
        _ => {}
    }
}

/// Waits until it is so, at most that long.
fn wait(limit: Duration, is_so: impl Fn() -> bool) {
    let mut waited = Duration::ZERO;
    while waited < limit && !is_so() {
        thread::sleep(LOOK);
        waited += LOOK;
    }
}
