//! The journal: a file that grows by whole records, and is rewritten now and then.
//!
//! ```text
//!   journal       what counts: a snapshot, and what was appended since
//!   journal.old   the generation before: together with nothing else, it says what the snapshot
//!                 of `journal` says
//!   journal.new   a generation being written; left over only by a power cut, and never read
//! ```
//!
//! `compact` walks through these, and a power cut between any two leaves a whole `journal`:
//!
//! 1. `journal.new` is written and synced
//! 2. `journal.old` is removed, and `journal` linked to that name
//! 3. `journal.new` is renamed to `journal`
//! 4. the directory is synced
//!
//! When is `journal.old` read? Only when
//! - `journal` is missing, or its header is unreadable: its records, which are then older than
//!   what was last stored, are all there is; or
//! - the snapshot of `journal` is damaged, and `journal.old` is undamaged and exactly one
//!   generation older: its records stand in for the snapshot, and nothing is lost.
//!
//! In any other damage the records before it are kept and those behind it dropped.

use std::io;

use super::Stats;
use super::disk::{Disk, DiskFile};
use super::record::{self, JournalContents, JournalHeader};

mod recover;

pub(super) use recover::recover;

pub(super) const JOURNAL: &str = "journal";
pub(super) const OLD: &str = "journal.old";
pub(super) const NEW: &str = "journal.new";

/// Below this size a rewrite gains nothing: it is one erase block of a common NOR flash.
const MIN_COMPACT_SIZE: u64 = 64 * 1024;
/// A journal is rewritten when it is this many times its snapshot, so that rewriting adds a third
/// at most to what is written anyway.
const COMPACT_GROWTH: u64 = 4;
/// A new generation is written in pieces of about this size.
const CHUNK: usize = 16 * 1024;

/// An open journal.
#[derive(Debug)]
pub(super) struct JournalFile<D: Disk> {
    disk: D,
    tail: Tail<D::File>,
    generation: u64,
    snapshot: u64,
    length: u64,
    chain: u32,
    /// A name was changed and the directory not synced yet.
    directory_unsynced: bool,
    /// A rewrite failed: not before the journal is longer than this is it worth another try, for
    /// on a full disk each one writes much and gains nothing.
    retry_compact_above: u64,
    pub(super) stats: Stats,
}

/// What the end of the file looks like.
#[derive(Debug)]
enum Tail<F> {
    /// There is no file yet.
    Absent,
    /// The next record may follow.
    Sound(F),
    /// Bytes of a record that failed follow; they must go before anything else.
    Torn(F),
}

impl<D: Disk> JournalFile<D> {
    /// Stores a record. Durable when it returns; nothing of it remains where it fails.
    pub(super) fn append(&mut self, record: &str) -> io::Result<()> {
        record::check(record)?;
        self.repair_tail()?;
        let Tail::Sound(file) = &mut self.tail else {
            return Err(io::Error::other("the journal could not be opened"));
        };
        let mut line = Vec::new();
        let chain = record::frame(self.chain, record, &mut line);
        self.stats.syncs += 1;
        if let Err(error) = file.append(&line).and_then(|()| file.sync()) {
            self.mark_torn();
            // Tried again before the next record where it does not succeed.
            let _ = self.truncate_tail();
            return Err(error);
        }
        self.chain = chain;
        self.length += line.len() as u64;
        self.stats.bytes += line.len() as u64;
        self.stats.appends += 1;
        Ok(())
    }

    /// Rewrites the journal as these records, which say the same as all that is in it. Where it
    /// fails, the journal is as it was.
    pub(super) fn compact(&mut self, records: &[String]) -> io::Result<()> {
        for record in records {
            record::check(record)?;
        }
        // A torn file must not become the one to fall back to: its end would be read as a record.
        let keep = matches!(self.tail, Tail::Sound(_));
        let result = self.replace(self.generation.saturating_add(1), records, &[], keep);
        match result {
            Ok(()) => self.stats.compactions += 1,
            Err(_) => self.retry_compact_above = self.length.saturating_add(MIN_COMPACT_SIZE),
        }
        result
    }

    /// Whether the journal has grown enough to be worth a rewrite.
    pub(super) fn wants_compaction(&self) -> bool {
        self.length > MIN_COMPACT_SIZE.max(self.snapshot.saturating_mul(COMPACT_GROWTH)).max(self.retry_compact_above)
    }

    /// Removes everything, durably. The older generation goes first and for certain, or a power
    /// cut in between would bring it back.
    pub(super) fn destroy(&mut self) -> io::Result<()> {
        self.disk.remove(OLD)?;
        self.disk.remove(NEW)?;
        self.sync_directory()?;
        self.disk.remove(JOURNAL)?;
        self.tail = Tail::Absent;
        (self.generation, self.snapshot, self.length, self.chain) = (0, 0, 0, 0);
        self.sync_directory()
    }

    /// Tells that the next snapshot may not say the same as the records before it, so that these
    /// never stand in for it: one generation is left out.
    pub(super) fn skip_generation(&mut self) {
        self.generation = self.generation.saturating_add(1);
    }

    fn attach_file(&mut self, damaged: bool) -> io::Result<()> {
        let file = self.disk.open(JOURNAL)?;
        if !damaged {
            self.tail = Tail::Sound(file);
            return Ok(());
        }
        self.tail = Tail::Torn(file);
        self.truncate_tail()
    }

    fn repair_tail(&mut self) -> io::Result<()> {
        match self.tail {
            Tail::Sound(_) => {}
            // Empty first, and the record by the ordinary way: were it written along, it could
            // come back although the directory failed to sync.
            Tail::Absent => self.replace(self.generation.saturating_add(1), &[], &[], false)?,
            Tail::Torn(_) => self.truncate_tail().or_else(|_| self.rewrite_sound_records())?,
        }
        if self.directory_unsynced { self.sync_directory() } else { Ok(()) }
    }

    fn mark_torn(&mut self) {
        if let Tail::Sound(file) = std::mem::replace(&mut self.tail, Tail::Absent) {
            self.tail = Tail::Torn(file);
        }
    }

    /// Cuts off what follows the last good record.
    fn truncate_tail(&mut self) -> io::Result<()> {
        let Tail::Torn(file) = &mut self.tail else {
            return Ok(());
        };
        file.set_len(self.length)?;
        self.stats.syncs += 1;
        file.sync()?;
        if let Tail::Torn(file) = std::mem::replace(&mut self.tail, Tail::Absent) {
            self.tail = Tail::Sound(file);
        }
        Ok(())
    }

    /// Writes the good records anew, where the file cannot be cut.
    fn rewrite_sound_records(&mut self) -> io::Result<()> {
        let input = io::Read::take(self.disk.read(JOURNAL)?, self.length);
        let contents = JournalContents::read(input).filter(|contents| contents.damage.is_none());
        let contents = contents.ok_or_else(|| io::Error::other("the journal cannot be read back"))?;
        self.replace(self.generation.saturating_add(1), &contents.records, &[], false)
    }

    /// Puts a new generation in place of `journal`, which becomes `journal.old` if that is wanted.
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
                // It takes room that may be needed; the error that matters is the first.
                let _ = self.disk.remove(NEW);
                return Err(error);
            }
        };
        self.tail = Tail::Sound(written.file);
        (self.generation, self.snapshot) = (written.header.generation, written.header.snapshot);
        (self.length, self.chain) = (written.length, written.chain);
        self.retry_compact_above = 0;
        // From here on the new file is the journal; only a power cut could still bring the other
        // back, so nothing may be appended before the names are durable.
        self.directory_unsynced = true;
        self.sync_directory()
    }

    fn link_old(&mut self) {
        // Some file systems have no links; then there is nothing to fall back to, no more.
        if let Err(error) = self.disk.remove(OLD).and_then(|()| self.disk.link(JOURNAL, OLD)) {
            log::debug!("the older journal could not be kept: {error}");
        }
    }

    fn write_new(&mut self, generation: u64, snapshot: &[String], appended: &[String]) -> io::Result<Written<D::File>> {
        let size = snapshot.iter().map(|record| record::framed_len(record) as u64).sum();
        let header = JournalHeader { generation, snapshot: size };
        let mut file = self.disk.create(NEW)?;
        let mut chunk = Vec::new();
        let start = header.write(&mut chunk);
        let (mut chain, mut length) = (start, 0);
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

    fn sync_directory(&mut self) -> io::Result<()> {
        self.directory_unsynced = true;
        self.stats.syncs += 1;
        self.disk.sync()?;
        self.directory_unsynced = false;
        Ok(())
    }
}

struct Written<F> {
    file: F,
    header: JournalHeader,
    length: u64,
    chain: u32,
}

#[cfg(test)]
mod tests;
