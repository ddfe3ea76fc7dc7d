//! The store: everything that must survive a power cut, in one journal in the state directory.
//!
//! A record is one line of text, opaque here. What was appended is durable when [`Store::append`]
//! returns, and comes back in order from [`Store::open`]; what failed never comes back. Opening
//! writes nothing unless there is damage to mend, for flash wears out.
//!
//! ```text
//!             ┌───────── open ────────┐
//!             ▼                       ▼
//!          Durable                 Volatile    read-only, full, damaged beyond mending, not there
//!   append, compact, destroy   append fails and says why
//!             ▲                       │
//!             └──────── reopen ───────┘        once in ten seconds
//! ```

mod disk;
mod journal;
mod record;
#[cfg(test)]
mod simulation;

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Now;
use disk::Directory;
use journal::JournalFile;

const LOCK: &str = "lock";
/// How long a directory that could not be used is left alone.
const REOPEN_AFTER: Duration = Duration::from_secs(10);

/// The journal of one state directory, locked against a second agent while it lives.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    state: StoreState,
    /// Held for as long as the store lives; the kernel frees it however the process ends.
    lock: Option<File>,
    stats: Stats,
    last_error: Option<String>,
    reopen_at: Option<Duration>,
}

#[derive(Debug)]
enum StoreState {
    Durable(Box<JournalFile<Directory>>),
    Volatile { reason: String },
}

/// What was found on opening.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The records, oldest first.
    pub records: Vec<String>,
    /// For the log and `status`, in plain words: what was damaged, and what was made of it.
    pub notices: Vec<String>,
}

/// What the store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records appended.
    pub appends: u64,
    /// Rewrites done.
    pub compactions: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Calls that made content or names durable, each of which wakes the flash.
    pub syncs: u64,
    /// Calls that failed.
    pub failures: u64,
}

/// Why a state directory cannot be had.
#[derive(Debug)]
pub enum StoreError {
    /// Another agent runs on it; this one must not.
    Locked {
        /// The state directory.
        dir: PathBuf,
    },
    /// It cannot be created or read. The agent can go on with [`Store::volatile`].
    Unusable {
        /// The state directory.
        dir: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Locked { dir } => {
                write!(f, "another cpe-agent is running on the state directory {}", dir.display())
            }
            StoreError::Unusable { dir, reason } => {
                write!(f, "the state directory {} cannot be used: {reason}", dir.display())
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl Store {
    /// Opens the journal in `dir`, creating the directory (0700) where it is missing, and gives
    /// back what it holds.
    ///
    /// A damaged journal is mended and never an error. A directory that can be read but not
    /// written gives its records and a store that is volatile, see [`Store::reopen`].
    pub fn open(dir: &Path) -> Result<(Store, Recovered), StoreError> {
        Store::open_with(dir, None)
    }

    /// What the journal in `dir` holds, without locking it and without changing anything, not even what is damaged: for
    /// a look beside an agent that may be running. Nothing where there is no directory or no journal.
    pub fn peek(dir: &Path) -> io::Result<Recovered> {
        journal::recover(Directory::read_only(dir)).map(|found| found.recovered)
    }

    /// A store without a usable directory: every append fails with `reason`, until
    /// [`Store::reopen`] finds the directory usable.
    pub fn volatile(dir: &Path, reason: &str) -> Store {
        Store {
            dir: dir.to_owned(),
            state: StoreState::Volatile { reason: reason.to_owned() },
            lock: None,
            stats: Stats::default(),
            last_error: Some(reason.to_owned()),
            reopen_at: None,
        }
    }

    /// Tries to make a volatile store durable, at most once in ten seconds and first ten seconds after
    /// the first call.
    ///
    /// On success it gives what the directory holds, and the caller makes both agree: as a rule by
    /// [`Store::compact`] with its own state, for the directory has missed what happened since.
    /// Records where there were none before mean that the file system was mounted late.
    pub fn reopen(&mut self, now: Now) -> Option<Recovered> {
        if self.is_durable() {
            return None;
        }
        let due = *self.reopen_at.get_or_insert(now.monotonic + REOPEN_AFTER);
        if now.monotonic < due {
            return None;
        }
        self.reopen_at = Some(now.monotonic + REOPEN_AFTER);
        let (store, recovered) = match Store::open_with(&self.dir, self.lock.take()) {
            Ok(opened) => opened,
            Err(error) => {
                self.fail(&error.to_string());
                return None;
            }
        };
        self.lock = store.lock;
        match store.state {
            StoreState::Durable(mut journal) => {
                journal.skip_generation();
                self.state = StoreState::Durable(journal);
                self.last_error = None;
                Some(recovered)
            }
            StoreState::Volatile { reason } => {
                self.fail(&reason);
                None
            }
        }
    }

    /// When [`Store::reopen`] would try again, on the monotonic clock; none while the store is durable.
    pub fn reopen_deadline(&self) -> Option<Duration> {
        self.reopen_at.filter(|_| !self.is_durable())
    }

    /// Stores a record: one line of UTF-8, at most 16 MiB. Durable when it returns.
    ///
    /// Where it fails (disk full, I/O error), nothing of the record will ever be read back, and
    /// the records before it are as they were. The one exception is a disk that also refuses to
    /// take the record back, and then loses power before it accepts the next.
    pub fn append(&mut self, record: &str) -> io::Result<()> {
        self.attempt(|journal| journal.append(record))
    }

    /// Rewrites the journal as `records`, which must say the same as everything stored so far.
    /// Where it fails, the journal is as it was.
    pub fn compact(&mut self, records: &[String]) -> io::Result<()> {
        self.attempt(|journal| journal.compact(records))
    }

    /// Whether the journal has grown so much that [`Store::compact`] is worth its writes.
    pub fn wants_compaction(&self) -> bool {
        match &self.state {
            StoreState::Durable(journal) => journal.wants_compaction(),
            StoreState::Volatile { .. } => false,
        }
    }

    /// Forgets everything, durably: for a factory reset. The store stays open and empty. Where it
    /// fails, call it again; what is left then is either all or nothing.
    pub fn destroy(&mut self) -> io::Result<()> {
        self.attempt(|journal| journal.destroy())
    }

    /// Whether appended records reach the disk.
    pub fn is_durable(&self) -> bool {
        matches!(self.state, StoreState::Durable(_))
    }

    /// Why records are not stored at present, for `status`; `None` once one was stored again.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        match &self.state {
            StoreState::Durable(journal) => Stats { failures: self.stats.failures, ..journal.stats },
            StoreState::Volatile { .. } => self.stats,
        }
    }

    fn open_with(dir: &Path, lock: Option<File>) -> Result<(Store, Recovered), StoreError> {
        let unusable = |reason| StoreError::Unusable { dir: dir.to_owned(), reason };
        let warning = Directory::prepare(dir).map_err(unusable)?;
        let lock = match lock.map_or_else(|| lock_directory(dir), Ok) {
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { dir: dir.to_owned() });
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(lock) => Ok(lock),
        };
        let view = if lock.is_ok() { Directory::new(dir) } else { Directory::read_only(dir) };
        let found = journal::recover(view).map_err(unusable)?;
        let mut recovered = found.recovered;
        recovered.notices.extend(warning);
        let (lock, state) = match (lock, found.journal) {
            (Ok(lock), Ok(journal)) => (Some(lock), StoreState::Durable(Box::new(journal))),
            (Ok(lock), Err(error)) => (Some(lock), volatile(dir, &error)),
            (Err(error), _) => (None, volatile(dir, &error)),
        };
        let last_error = match &state {
            StoreState::Volatile { reason } => Some(reason.clone()),
            StoreState::Durable(_) => None,
        };
        recovered.notices.extend(last_error.clone());
        let dir = dir.to_owned();
        Ok((Store { dir, state, lock, stats: Stats::default(), last_error, reopen_at: None }, recovered))
    }

    fn attempt(&mut self, step: impl FnOnce(&mut JournalFile<Directory>) -> io::Result<()>) -> io::Result<()> {
        let result = match &mut self.state {
            StoreState::Durable(journal) => step(journal),
            StoreState::Volatile { reason } => Err(io::Error::other(reason.clone())),
        };
        match &result {
            Ok(()) => self.last_error = None,
            Err(error) => self.fail(&error.to_string()),
        }
        result
    }

    fn fail(&mut self, reason: &str) {
        self.stats.failures += 1;
        self.last_error = Some(reason.to_owned());
        if let StoreState::Volatile { reason: current } = &mut self.state {
            reason.clone_into(current);
        }
    }
}

fn volatile(dir: &Path, error: &io::Error) -> StoreState {
    StoreState::Volatile { reason: format!("the state directory {} cannot be written: {error}", dir.display()) }
}

/// Locks the directory, by a file of its own since the journal is replaced now and then. The lock
/// is of the open file, so a killed agent leaves none behind.
fn lock_directory(dir: &Path) -> Result<File, TryLockError> {
    let path = dir.join(LOCK);
    let file = disk::private().write(true).create(true).truncate(false).open(path);
    let file = file.map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
