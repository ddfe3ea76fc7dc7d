//! The store: all data that must survive a power cut, in one journal in the state directory.
//!
//! A record is one line of text, which the store does not interpret. A record is durable when [`Store::append`]
//! returns, and [`Store::open`] returns all of them in order; a record that failed is never read back. Opening writes
//! nothing unless there is damage to repair, because flash wears out.
//!
//! ```text
//!             ┌───────── open ────────┐
//!             ▼                       ▼
//!          Durable                 Volatile    read-only, full, damaged beyond repair, or missing
//!   append, compact, destroy   append fails with the reason
//!             ▲                       │
//!             └──────── reopen ───────┘        once in ten seconds
//! ```

mod disk;
mod journal;
mod probe;
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
pub use disk::{check_owner, is_full};
use journal::JournalFile;
pub use probe::{Room, probe};

/// The name of the lock file in the state directory.
const LOCK: &str = "lock";
/// The time between two attempts to use a directory that could not be used.
const REOPEN_AFTER: Duration = Duration::from_secs(10);

/// The journal of one state directory, which is locked against a second agent until the value is dropped.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    state: StoreState,
    /// The lock, held until the store is dropped. The kernel frees it also if the process is killed.
    lock: Option<File>,
    stats: Stats,
    last_error: Option<String>,
    reopen_at: Option<Duration>,
}

/// The states of the diagram at the top of this module.
#[derive(Debug)]
enum StoreState {
    Durable(Box<JournalFile<Directory>>),
    Volatile { reason: String },
}

/// The content of a journal that was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The records, oldest first.
    pub records: Vec<String>,
    /// Sentences for the log and for `status`: the damage, and the records that it has cost.
    pub notices: Vec<String>,
}

/// Counts of the work of the store since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The records appended.
    pub appends: u64,
    /// The rewrites of the journal.
    pub compactions: u64,
    /// The bytes written.
    pub bytes: u64,
    /// The syncs of a file or of the directory, each of which writes to the flash.
    pub syncs: u64,
    /// The calls that failed.
    pub failures: u64,
}

/// The reason why a state directory cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// The directory is in use by another agent.
    Locked {
        /// The state directory.
        dir: PathBuf,
    },
    /// The directory cannot be created or read. The agent can continue with [`Store::volatile`].
    Unusable {
        /// The state directory.
        dir: PathBuf,
        /// The error of the operating system.
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

/// Returns an error of [`Store::open`] with its consequence.
pub fn no_state(error: &StoreError) -> String {
    format!("{error}; no state will survive a restart")
}

impl Store {
    /// Opens the journal in `dir` and returns its records. Creates the directory, with mode 0700, if it is missing.
    ///
    /// A damaged journal is repaired and never an error. A directory that can be read but not written yields its
    /// records and a volatile store, see [`Store::reopen`].
    pub fn open(dir: &Path) -> Result<(Store, Recovered), StoreError> {
        Store::open_with(dir, None)
    }

    /// Checks the owner of a directory as [`Store::open`] does. A missing directory is none: `open` creates it.
    pub fn check_owner(dir: &Path) -> Result<(), StoreError> {
        match disk::check_owner(dir) {
            Err(reason) if reason.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Unusable { dir: dir.to_owned(), reason })
            }
            _ => Ok(()),
        }
    }

    /// Reads the journal in `dir` without locking it and without repairing it, for a command that runs beside an agent.
    /// Returns no records if the directory or the journal is missing.
    pub fn peek(dir: &Path) -> io::Result<Recovered> {
        journal::recover(Directory::read_only(dir)).map(|found| found.recovered)
    }

    /// Creates a store without a usable directory: every append fails with `reason` until [`Store::reopen`] finds the
    /// directory usable.
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

    /// Tries to make a volatile store durable: at most once in ten seconds, and the first time ten seconds after the
    /// first call.
    ///
    /// On success it returns the content of the journal, which lacks all changes made meanwhile. The caller stores its
    /// own state, as a rule by [`Store::compact`]. If the store had no records before, those of the journal mean that the
    /// file system was mounted late.
    pub fn reopen(&mut self, now: Now) -> Option<Recovered> {
        if self.is_durable() {
            return None;
        }
        // The first call sets the time and does not try: the directory was unusable a moment ago.
        let due = *self.reopen_at.get_or_insert(now.monotonic + REOPEN_AFTER);
        if now.monotonic < due {
            return None;
        }
        self.reopen_at = Some(now.monotonic + REOPEN_AFTER);
        // The lock is handed over, not taken again: a second lock by this process would fail.
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
                // The caller has changed its state without the journal, so that the next snapshot does not contain all
                // records before it. After this, `journal.old` never replaces that snapshot.
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

    /// Returns the monotonic time of the next attempt of [`Store::reopen`]; `None` while the store is durable.
    pub fn reopen_deadline(&self) -> Option<Duration> {
        self.reopen_at.filter(|_| !self.is_durable())
    }

    /// Stores a record: one line of UTF-8, at most 16 MiB. The record is durable when the call returns.
    ///
    /// A record is refused as well if it would leave less room than [`Store::compact`] needs. If it fails (disk full, I/O
    /// error), the record is never read back, and the records before it are unchanged. The
    /// one exception is a disk that also fails to remove the record, and then loses power before it accepts the next.
    pub fn append(&mut self, record: &str) -> io::Result<()> {
        self.attempt(|journal| journal.append(record))
    }

    /// Fails if a record that enlarges the state would make the journal larger than 8 MiB. Records that only shrink the
    /// state need no such check: an agent at the limit must be able to delete.
    pub fn check_growth(&mut self, record: &str) -> io::Result<()> {
        self.attempt(|journal| journal.check_growth(record))
    }

    /// Returns true if the last append failed for a reason that [`Store::compact`] may remove: there is no room beside
    /// records that are out of date, or another program has removed the journal.
    pub fn rewrite_helps(&self) -> bool {
        matches!(&self.state, StoreState::Durable(journal) if journal.rewrite_helps())
    }

    /// Replaces all records by one, for a factory reset, on a full disk too. Fails only if the records cannot be removed.
    pub fn erase(&mut self, record: &str) -> io::Result<()> {
        self.attempt(|journal| journal.erase(record))
    }

    /// Rewrites the journal as `records`, which must contain the same state as all records stored so far. If it fails,
    /// the journal is unchanged.
    pub fn compact(&mut self, records: &[String]) -> io::Result<()> {
        self.attempt(|journal| journal.compact(records))
    }

    /// Returns true if the journal has grown so much that [`Store::compact`] is worth its writes.
    pub fn wants_compaction(&self) -> bool {
        match &self.state {
            StoreState::Durable(journal) => journal.wants_compaction(),
            StoreState::Volatile { .. } => false,
        }
    }

    /// Removes all records durably, for a factory reset (R226). The store stays open and empty. If it fails, the journal
    /// has either all records or none, and the caller may try again.
    pub fn destroy(&mut self) -> io::Result<()> {
        self.attempt(|journal| journal.destroy())
    }

    /// Returns true if appended records reach the disk.
    pub fn is_durable(&self) -> bool {
        matches!(self.state, StoreState::Durable(_))
    }

    /// Returns the reason why records are not stored at present, for `status`; `None` once a record was stored again.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Returns the counts since the store was opened.
    pub fn stats(&self) -> Stats {
        match &self.state {
            StoreState::Durable(journal) => Stats { failures: self.stats.failures, ..journal.stats },
            StoreState::Volatile { .. } => self.stats,
        }
    }

    /// Opens the journal with a lock that the caller may have already.
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
        // Without the lock another agent may be writing, so that even the repair of damage is left out.
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

    /// Runs one step on the journal, and records its success or failure.
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
        // The latest reason is the useful one: the directory may be missing first, and read-only later.
        if let StoreState::Volatile { reason: current } = &mut self.state {
            reason.clone_into(current);
        }
    }
}

/// Returns the volatile state of a directory that can be read and not written.
fn volatile(dir: &Path, error: &io::Error) -> StoreState {
    StoreState::Volatile { reason: format!("the state directory {} cannot be written: {error}", dir.display()) }
}

/// Locks the directory against a second agent.
fn lock_directory(dir: &Path) -> Result<File, TryLockError> {
    // A file of its own: `compact` replaces the journal, and with it a lock on the journal. The lock belongs to the open
    // file, so that a killed agent leaves none behind.
    let path = dir.join(LOCK);
    let file = disk::private().write(true).create(true).truncate(false).open(path);
    let file = file.map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
