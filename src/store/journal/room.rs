//! The room for records: the reserve for a rewrite, the limit of the journal, and the means to make room.

use std::io;

use super::{JournalFile, MIN_COMPACT_SIZE, OLD};
use crate::store::disk::Disk;
use crate::store::record;

/// The bytes that an append leaves free beyond the length of the next snapshot: for the state in memory that no record
/// holds yet, and for the last pages of two files.
pub(in crate::store) const SLACK: u64 = 16 * 1024;
/// The length that records which enlarge the state may not exceed. Each start reads the whole journal into memory, and each
/// rewrite needs three times the size of the state.
const MAX_LENGTH: u64 = 8 * 1024 * 1024;

/// The circumstances of a rewrite that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailedRewrite {
    pub(super) length: u64,
    pub(super) free: Option<u64>,
    /// True if it failed for want of room.
    pub(super) was_full: bool,
}

/// A reason to refuse a record that a rewrite may remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no room for the record.
    Full,
    /// The file was removed or replaced by another program.
    Removed,
}

impl<D: Disk> JournalFile<D> {
    /// Fails if a record that enlarges the state would make the journal larger than its limit. A rewrite may then help.
    pub(in crate::store) fn check_growth(&mut self, record: &str) -> io::Result<()> {
        if self.length + record::framed_len(record) as u64 <= MAX_LENGTH {
            return Ok(());
        }
        self.refusal = Some(Refusal::Full);
        let text = format!("the state would be larger than {} MiB", MAX_LENGTH >> 20);
        Err(io::Error::new(io::ErrorKind::StorageFull, text))
    }

    /// Returns true if the last append failed for a reason that a rewrite may remove.
    pub(in crate::store) fn rewrite_helps(&self) -> bool {
        match self.refusal {
            None => false,
            // An error of another kind may pass at any time, and only a rewrite makes room.
            Some(Refusal::Full) => {
                self.has_appended && (self.may_rewrite() || self.failed_rewrite.is_some_and(|failed| !failed.was_full))
            }
            Some(Refusal::Removed) => true,
        }
    }

    /// Returns false while a rewrite would fail as the last one did.
    pub(super) fn may_rewrite(&self) -> bool {
        self.failed_rewrite.is_none_or(|failed| {
            self.disk.free() > failed.free || self.length > failed.length.saturating_add(MIN_COMPACT_SIZE)
        })
    }

    /// Fails if a line would use up the room that the next rewrite needs.
    pub(super) fn check_room(&mut self, line: u64) -> io::Result<()> {
        // The next snapshot is no longer than all records together.
        let needed = line.saturating_mul(2).saturating_add(self.length).saturating_add(SLACK);
        if self.has_free(needed) || (self.remove_old() && self.has_free(needed)) { Ok(()) } else { Err(no_room()) }
    }

    pub(super) fn has_free(&self, bytes: u64) -> bool {
        self.disk.free().is_none_or(|free| free >= bytes)
    }

    /// Removes `journal.old`. Returns false if that gains nothing.
    pub(super) fn remove_old(&mut self) -> bool {
        let is_there = self.disk.read(OLD).is_ok();
        is_there && self.disk.remove(OLD).is_ok()
    }
}

/// Returns the error of the operating system for a disk without room.
pub(super) fn no_room() -> io::Error {
    rustix::io::Errno::NOSPC.into()
}
