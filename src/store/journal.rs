//! The journal: a file that grows by whole records and is rewritten from time to time.
//!
//! ```text
//!   journal       the valid one: a snapshot of the state, and the records appended since
//!   journal.old   the generation before: all its records together have the state of the snapshot
//!                 of `journal`
//!   journal.new   a generation being written; only a power cut leaves one, which is never read
//! ```
//!
//! `compact` takes these steps, and a power cut between any two leaves a whole `journal`:
//!
//! 1. write and sync `journal.new`
//! 2. remove `journal.old`, and link `journal` to that name
//! 3. rename `journal.new` to `journal`
//! 4. sync the directory
//!
//! Recovery reads `journal.old` in two cases only:
//! - `journal` is missing, or its header is damaged. The records of `journal.old`, which lack the
//!   latest changes, are all that remains.
//! - The snapshot of `journal` is damaged, and `journal.old` is sound and exactly one generation
//!   older. Its records replace the snapshot, and no change is lost.
//!
//! After any other damage the records before it are kept, and those after it are dropped.
//!
//! A rewrite needs room for one snapshot beside `journal`. An append never uses that room up: otherwise a full disk could
//! never be rewritten, and would stay full for ever. For want of room, `journal.old` goes first, since it only repairs
//! damage; then the caller rewrites the journal; and only then is a record refused.

use std::io;

use super::Stats;
use super::disk::{Disk, DiskFile, is_full};
use super::record::{self, JournalContents, JournalHeader};
use crate::log;

mod recover;
mod room;

pub(super) use recover::recover;
pub(super) use room::SLACK;
use room::{FailedRewrite, Refusal, no_room};

/// The names of the files in the state directory.
pub(super) const JOURNAL: &str = "journal";
pub(super) const OLD: &str = "journal.old";
pub(super) const NEW: &str = "journal.new";

/// The size below which the journal is never rewritten: one erase block of a common NOR flash.
const MIN_COMPACT_SIZE: u64 = 64 * 1024;
/// The size, in snapshots, at which the journal is rewritten: the rewrites add a third at most to the bytes that are
/// written anyway.
const COMPACT_GROWTH: u64 = 4;
/// The bytes of a new generation that are gathered before they are written.
const CHUNK: usize = 16 * 1024;

/// An open journal.
#[derive(Debug)]
pub(super) struct JournalFile<D: Disk> {
    disk: D,
    tail: Tail<D::File>,
    generation: u64,
    /// The bytes of the snapshot.
    snapshot: u64,
    /// The bytes up to the end of the last sound record.
    length: u64,
    /// The link of the chain for the next record.
    chain: u32,
    /// True if a name was changed and the directory was not synced yet.
    directory_unsynced: bool,
    /// The last rewrite, if it failed: on a full disk each further attempt writes many bytes and gains none.
    failed_rewrite: Option<FailedRewrite>,
    /// True if records were appended since the last rewrite.
    has_appended: bool,
    /// The reason for which the last append failed.
    refusal: Option<Refusal>,
    pub(super) stats: Stats,
}

/// The end of the file.
#[derive(Debug)]
enum Tail<F> {
    /// There is no file yet.
    Absent,
    /// The next record may follow.
    Sound(F),
    /// Bytes of a record that failed follow, which must be removed before the next record.
    Torn(F),
}

impl<D: Disk> JournalFile<D> {
    /// Stores a record, which is durable when the call returns. A record that failed is never read back.
    pub(super) fn append(&mut self, record: &str) -> io::Result<()> {
        self.refusal = None;
        record::check(record)?;
        self.repair_tail()?;
        self.check_name()?;
        let mut line = Vec::new();
        let chain = record::frame(self.chain, record, &mut line);
        let mut result = self.check_room(line.len() as u64).and_then(|()| self.append_line(&line));
        // Not every file system reports its room truly: a compressing one cannot.
        if result.as_ref().is_err_and(is_full) && self.remove_old() {
            result = self.repair_tail().and_then(|()| self.append_line(&line));
        }
        if let Err(error) = result {
            self.refusal = is_full(&error).then_some(Refusal::Full);
            return Err(error);
        }
        self.chain = chain;
        self.length += line.len() as u64;
        self.has_appended = true;
        self.stats.bytes += line.len() as u64;
        self.stats.appends += 1;
        Ok(())
    }

    /// Rewrites the journal as these records, which contain the same state. If it fails, the journal is unchanged.
    pub(super) fn compact(&mut self, records: &[String]) -> io::Result<()> {
        for record in records {
            record::check(record)?;
        }
        let size = records.iter().map(|record| record::framed_len(record) as u64).sum();
        let result = self.rewrite(records, size);
        match &result {
            Ok(()) => self.stats.compactions += 1,
            Err(error) => {
                let was_full = is_full(error);
                self.failed_rewrite = Some(FailedRewrite { length: self.length, free: self.disk.free(), was_full });
            }
        }
        result
    }

    /// Writes the next generation, whose records have this size.
    fn rewrite(&mut self, records: &[String], size: u64) -> io::Result<()> {
        let generation = self.generation.saturating_add(1);
        // A torn file must not become `journal.old`: its end may hold a whole record that was reported as failed. Nor
        // must a file that another program has put in the place of the journal.
        let keep = matches!(&self.tail, Tail::Sound(file) if self.disk.holds(JOURNAL, file));
        let result = match self.has_free(size) {
            true => self.replace(generation, records, &[], keep),
            false => Err(no_room()),
        };
        match result {
            // The replaced journal is not kept either: it would hold the room that is wanted.
            Err(error) if is_full(&error) && self.remove_old() => self.replace(generation, records, &[], false),
            result => result,
        }
    }

    /// Returns true if the journal has grown enough to be worth a rewrite.
    pub(super) fn wants_compaction(&self) -> bool {
        self.length > MIN_COMPACT_SIZE.max(self.snapshot.saturating_mul(COMPACT_GROWTH)) && self.may_rewrite()
    }

    /// Replaces all records by one, for a factory reset (R226). On a full disk all records go first: a power cut then
    /// leaves none, which is the factory state. Fails only if the records cannot be removed.
    pub(super) fn erase(&mut self, record: &str) -> io::Result<()> {
        match self.compact(&[record.to_owned()]) {
            Err(error) if is_full(&error) => {
                self.destroy()?;
                if let Err(error) = self.append(record) {
                    log::warn!("the factory reset goes on without a record of it: {error}");
                }
                Ok(())
            }
            result => result,
        }
    }

    /// Appends a line to the file, and removes a part of it that was written before an error.
    fn append_line(&mut self, line: &[u8]) -> io::Result<()> {
        let Tail::Sound(file) = &mut self.tail else {
            return Err(io::Error::other("the journal could not be opened"));
        };
        self.stats.syncs += 1;
        let result = file.append(line).and_then(|()| file.sync());
        if result.is_err() {
            self.mark_torn();
            // If this fails as well, `repair_tail` does it before the next record.
            let _ = self.truncate_tail();
        }
        result
    }

    /// Fails if the journal is no longer the file with its name. The records that it held are lost with the name, so that
    /// one more record alone would be a state without a base.
    fn check_name(&mut self) -> io::Result<()> {
        match &self.tail {
            Tail::Sound(file) if !self.disk.holds(JOURNAL, file) => {
                self.refusal = Some(Refusal::Removed);
                Err(io::Error::new(io::ErrorKind::NotFound, "another program has removed the journal"))
            }
            _ => Ok(()),
        }
    }

    /// Removes all files durably.
    pub(super) fn destroy(&mut self) -> io::Result<()> {
        // The older generation first, and synced: otherwise a power cut could leave it alone, and recovery would bring the
        // state before the factory reset back.
        self.disk.remove(OLD)?;
        self.disk.remove(NEW)?;
        self.sync_directory()?;
        self.disk.remove(JOURNAL)?;
        self.tail = Tail::Absent;
        (self.generation, self.snapshot, self.length, self.chain) = (0, 0, 0, 0);
        (self.has_appended, self.failed_rewrite) = (false, None);
        self.sync_directory()
    }

    /// Skips one generation number, so that the present generation never replaces the snapshot of the next one. Called if
    /// the next snapshot will not have the state of the records before it.
    pub(super) fn skip_generation(&mut self) {
        self.generation = self.generation.saturating_add(1);
    }

    /// Opens the file for appending, and truncates it after the last sound record if it is damaged.
    fn attach_file(&mut self, damaged: bool) -> io::Result<()> {
        let file = self.disk.open(JOURNAL)?;
        if !damaged {
            self.tail = Tail::Sound(file);
            return Ok(());
        }
        self.tail = Tail::Torn(file);
        self.truncate_tail()
    }

    /// Makes the file ready for the next record.
    fn repair_tail(&mut self) -> io::Result<()> {
        match self.tail {
            Tail::Sound(_) => {}
            // The new file begins empty, and the record is appended to it: written along with it, the record could be
            // read back although the sync of the directory failed.
            Tail::Absent => self.replace(self.generation.saturating_add(1), &[], &[], false)?,
            Tail::Torn(_) => self.truncate_tail().or_else(|_| self.rewrite_sound_records())?,
        }
        if self.directory_unsynced { self.sync_directory() } else { Ok(()) }
    }

    /// Marks the bytes after the last sound record as invalid.
    fn mark_torn(&mut self) {
        if let Tail::Sound(file) = std::mem::replace(&mut self.tail, Tail::Absent) {
            self.tail = Tail::Torn(file);
        }
    }

    /// Truncates a torn file after its last sound record.
    fn truncate_tail(&mut self) -> io::Result<()> {
        let Tail::Torn(file) = &mut self.tail else {
            return Ok(());
        };
        // Without the sync, a power cut could bring the bytes back after a record was appended in their place.
        file.set_len(self.length)?;
        self.stats.syncs += 1;
        file.sync()?;
        if let Tail::Torn(file) = std::mem::replace(&mut self.tail, Tail::Absent) {
            self.tail = Tail::Sound(file);
        }
        Ok(())
    }

    /// Writes the sound records to a new file, for a file system that cannot truncate.
    fn rewrite_sound_records(&mut self) -> io::Result<()> {
        let input = io::Read::take(self.disk.read(JOURNAL)?, self.length);
        let contents = JournalContents::read(input).filter(|contents| contents.damage.is_none());
        let contents = contents.ok_or_else(|| io::Error::other("the journal cannot be read back"))?;
        self.replace(self.generation.saturating_add(1), &contents.records, &[], false)
    }

    /// Replaces `journal` by a new generation. With `keep` the replaced one becomes `journal.old`.
    fn replace(&mut self, generation: u64, snapshot: &[String], appended: &[String], keep: bool) -> io::Result<()> {
        let written = self.write_new(generation, snapshot, appended).and_then(|written| {
            if keep {
                self.link_old();
            }
            self.disk.rename(NEW, JOURNAL).map(|()| written)
        });
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                // The disk may be full, and the file takes room. Of two errors the first is the useful one.
                let _ = self.disk.remove(NEW);
                return Err(error);
            }
        };
        self.tail = Tail::Sound(written.file);
        (self.generation, self.snapshot) = (written.header.generation, written.header.snapshot);
        (self.length, self.chain) = (written.length, written.chain);
        self.has_appended = !appended.is_empty();
        (self.failed_rewrite, self.refusal) = (None, None);
        // From here on the new file is the journal. A power cut could still bring the replaced one back, so that no record
        // may be appended before the names are durable.
        self.directory_unsynced = true;
        self.sync_directory()
    }

    /// Keeps the present `journal` as `journal.old`.
    fn link_old(&mut self) {
        // Some file systems have no links. The agent works without `journal.old`, which only repairs damage.
        if let Err(error) = self.disk.remove(OLD).and_then(|()| self.disk.link(JOURNAL, OLD)) {
            log::debug!("cannot keep the journal as journal.old: {error}");
        }
    }

    /// Writes and syncs `journal.new`.
    fn write_new(&mut self, generation: u64, snapshot: &[String], appended: &[String]) -> io::Result<Written<D::File>> {
        let size = snapshot.iter().map(|record| record::framed_len(record) as u64).sum();
        let header = JournalHeader { generation, snapshot: size };
        let mut file = self.disk.create(NEW)?;
        let mut chunk = Vec::new();
        let start = header.write(&mut chunk);
        let (mut chain, mut length) = (start, 0);
        // Both chains begin at the header, so that the appended records do not depend on the snapshot.
        for records in [snapshot, appended] {
            chain = start;
            for record in records {
                chain = record::frame(chain, record, &mut chunk);
                if chunk.len() >= CHUNK {
                    file.append(&chunk)?;
                    length += chunk.len() as u64;
                    chunk.clear();
                }
            }
        }
        file.append(&chunk)?;
        length += chunk.len() as u64;
        self.stats.syncs += 1;
        self.stats.bytes += length;
        file.sync()?;
        Ok(Written { file, header, length, chain })
    }

    /// Makes the names durable.
    fn sync_directory(&mut self) -> io::Result<()> {
        // Set first: if the sync fails, the next call of `repair_tail` tries again.
        self.directory_unsynced = true;
        self.stats.syncs += 1;
        self.disk.sync()?;
        self.directory_unsynced = false;
        Ok(())
    }
}

/// A new generation that was written and synced.
struct Written<F> {
    file: F,
    header: JournalHeader,
    length: u64,
    chain: u32,
}

#[cfg(test)]
mod tests;
