//! Recovery: reads the journal at start, and repairs what a power cut or a worn flash has damaged.

use std::io::{self, ErrorKind};

use super::{JOURNAL, JournalFile, NEW, OLD, Tail};
use crate::store::disk::Disk;
use crate::store::record::{Damage, JournalContents};
use crate::store::{Recovered, Stats};

/// What [`recover`] found.
pub(in crate::store) struct Recovery<D: Disk> {
    /// The journal, or why nothing can be appended.
    pub(in crate::store) journal: io::Result<JournalFile<D>>,
    pub(in crate::store) recovered: Recovered,
}

/// Reads the journal and makes it sound. Fails only where it cannot even be read.
pub(in crate::store) fn recover<D: Disk>(mut disk: D) -> io::Result<Recovery<D>> {
    if disk.read(NEW).is_ok() {
        // A power cut left it, and it takes room. Where it cannot go, the next rewrite will tell.
        let _ = disk.remove(NEW);
    }
    match load(&mut disk, JOURNAL)? {
        Loaded::Readable(contents) if contents.snapshot_is_damaged() => repair_snapshot(disk, contents),
        Loaded::Readable(contents) => attach(disk, contents),
        Loaded::Missing => fall_back(disk, None),
        Loaded::Unreadable => fall_back(disk, Some("the journal has lost its header")),
    }
}

enum Loaded {
    Missing,
    Unreadable,
    Readable(JournalContents),
}

fn load(disk: &mut impl Disk, name: &str) -> io::Result<Loaded> {
    match disk.read(name) {
        Ok(input) => Ok(JournalContents::read(input).map_or(Loaded::Unreadable, Loaded::Readable)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Loaded::Missing),
        Err(error) => Err(error),
    }
}

/// The ordinary case: the snapshot is whole, and at most the end is damaged.
fn attach<D: Disk>(disk: D, contents: JournalContents) -> io::Result<Recovery<D>> {
    let mut notices = Vec::new();
    let kept = contents.records.len();
    match contents.damage {
        None => {}
        // A power cut while a record was written: it was never promised to anybody.
        Some(Damage::Torn) => log::info!("the journal ends in an unfinished record, which is dropped"),
        Some(Damage::Corrupt) => notices.push(format!(
            "the journal is damaged at byte {}: the {kept} records before are kept, what follows is lost",
            contents.length
        )),
    }
    let recovered = Recovered { records: contents.records, notices };
    let mut journal = JournalFile {
        disk,
        tail: Tail::Absent,
        generation: contents.header.generation,
        snapshot: contents.header.snapshot,
        length: contents.length,
        chain: contents.chain,
        directory_unsynced: false,
        retry_compact_above: 0,
        stats: Stats::default(),
    };
    let result = journal.attach_file(contents.damage.is_some());
    Ok(Recovery { journal: result.map(|()| journal), recovered })
}

/// The snapshot is damaged: the generation before it says the same.
fn repair_snapshot<D: Disk>(mut disk: D, contents: JournalContents) -> io::Result<Recovery<D>> {
    let header = contents.header;
    let old = match load(&mut disk, OLD) {
        Ok(Loaded::Readable(old)) => Some(old),
        _ => None,
    };
    let same =
        old.filter(|old| old.damage.is_none() && old.header.generation.checked_add(1) == Some(header.generation));
    let (snapshot, appended, generation, notice) = match same {
        Some(old) => (
            old.records,
            contents.read_appended(disk.read(JOURNAL)?),
            header.generation,
            "the journal's snapshot is damaged; journal.old says the same and stands in for it".to_owned(),
        ),
        None => {
            let kept = contents.records.len();
            let notice = format!(
                "the journal is damaged at byte {}: the {kept} records before are kept, what follows is lost",
                contents.length
            );
            (contents.records, Vec::new(), header.generation.saturating_add(1), notice)
        }
    };
    Ok(start_over(disk, generation, snapshot, appended, vec![notice]))
}

/// There is no journal to speak of: what `journal.old` says is the best there is.
fn fall_back<D: Disk>(mut disk: D, damage: Option<&str>) -> io::Result<Recovery<D>> {
    let reason = damage.unwrap_or("the journal is missing");
    let old = match load(&mut disk, OLD) {
        Ok(Loaded::Readable(old)) => old,
        Ok(Loaded::Missing) if damage.is_none() => return Ok(absent(disk, Vec::new())),
        _ => {
            let notice = format!("{reason}, and there is no older one to fall back to: starting as from the factory");
            return Ok(absent(disk, vec![notice]));
        }
    };
    let mut notice = format!("{reason}; fell back to journal.old: changes made after it was written are lost");
    if old.damage.is_some() {
        notice.push_str(", and some before, for it is damaged too");
    }
    let generation = old.header.generation.saturating_add(1);
    Ok(start_over(disk, generation, old.records, Vec::new(), vec![notice]))
}

fn absent<D: Disk>(disk: D, notices: Vec<String>) -> Recovery<D> {
    let journal = JournalFile {
        disk,
        tail: Tail::Absent,
        generation: 0,
        snapshot: 0,
        length: 0,
        chain: 0,
        directory_unsynced: false,
        retry_compact_above: 0,
        stats: Stats::default(),
    };
    Recovery { journal: Ok(journal), recovered: Recovered { records: Vec::new(), notices } }
}

/// Writes what was saved as a new `journal`. `journal.old` stays as it is: it was the better one.
fn start_over<D: Disk>(
    disk: D,
    generation: u64,
    mut snapshot: Vec<String>,
    appended: Vec<String>,
    notices: Vec<String>,
) -> Recovery<D> {
    let mut found = absent(disk, notices);
    found.journal = found.journal.and_then(|mut journal| {
        journal.replace(generation, &snapshot, &appended, false)?;
        Ok(journal)
    });
    snapshot.extend(appended);
    found.recovered.records = snapshot;
    found
}
