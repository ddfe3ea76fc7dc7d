//! Recovery: reads the journal at start, and repairs the damage of a power cut or a worn flash.

use std::io::{self, ErrorKind};

use super::{JOURNAL, JournalFile, NEW, OLD, Tail};
use crate::log;
use crate::store::disk::Disk;
use crate::store::record::{Damage, JournalContents};
use crate::store::{Recovered, Stats};

/// The result of [`recover`].
pub(in crate::store) struct Recovery<D: Disk> {
    /// The journal, or the reason why no record can be appended.
    pub(in crate::store) journal: io::Result<JournalFile<D>>,
    /// The records, and the damage that was found.
    pub(in crate::store) recovered: Recovered,
}

/// Reads the journal and repairs it. Fails only if it cannot be read.
pub(in crate::store) fn recover<D: Disk>(mut disk: D) -> io::Result<Recovery<D>> {
    if disk.read(NEW).is_ok() {
        // A power cut has left it, and it takes room. If it cannot be removed, the next rewrite reports the error.
        let _ = disk.remove(NEW);
    }
    // An I/O error on opening is an error of the call: the records are there, and a new journal must not replace them.
    match load(&mut disk, JOURNAL)? {
        JournalRead::Readable(contents) if contents.snapshot_is_damaged() => repair_snapshot(disk, contents),
        JournalRead::Readable(contents) => attach(disk, contents),
        JournalRead::Missing => fall_back(disk, None),
        JournalRead::Unreadable => fall_back(disk, Some("the journal has lost its header")),
    }
}

/// A journal file that was looked for.
enum JournalRead {
    Missing,
    /// The header is damaged.
    Unreadable,
    Readable(JournalContents),
}

fn load(disk: &mut impl Disk, name: &str) -> io::Result<JournalRead> {
    match disk.read(name) {
        Ok(input) => Ok(JournalContents::read(input).map_or(JournalRead::Unreadable, JournalRead::Readable)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(JournalRead::Missing),
        Err(error) => Err(error),
    }
}

/// Continues a journal whose snapshot is sound: the ordinary case, in which at most the end is damaged.
fn attach<D: Disk>(disk: D, contents: JournalContents) -> io::Result<Recovery<D>> {
    let mut notices = Vec::new();
    let kept = contents.records.len();
    match contents.damage {
        None => {}
        // A power cut while the record was written. Its change was not confirmed to the ACS, so that this is no loss.
        Some(Damage::Torn) => log::info!("the journal ends in an unfinished record, which is dropped"),
        Some(Damage::Corrupt) => notices.push(format!(
            "the journal is damaged at byte {}: the {kept} records before it are kept, those after it are lost",
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
        failed_rewrite: None,
        has_appended: contents.length > contents.appended,
        refusal: None,
        stats: Stats::default(),
    };
    let result = journal.attach_file(contents.damage.is_some());
    Ok(Recovery { journal: result.map(|()| journal), recovered })
}

/// Replaces a damaged snapshot by the records of `journal.old`, if these have the same state.
fn repair_snapshot<D: Disk>(mut disk: D, contents: JournalContents) -> io::Result<Recovery<D>> {
    let header = contents.header;
    let old = match load(&mut disk, OLD) {
        Ok(JournalRead::Readable(old)) => Some(old),
        _ => None,
    };
    // Only a predecessor that is sound, and exactly one generation older, has the state of the snapshot.
    let same =
        old.filter(|old| old.damage.is_none() && old.header.generation.checked_add(1) == Some(header.generation));
    let (snapshot, appended, generation, notice) = match same {
        Some(old) => (
            old.records,
            contents.read_appended(disk.read(JOURNAL)?),
            header.generation,
            "the snapshot of the journal is damaged; journal.old, which has the same state, replaces it".to_owned(),
        ),
        None => {
            let kept = contents.records.len();
            let notice = format!(
                "the journal is damaged at byte {}: the {kept} records before it are kept, those after it are lost",
                contents.length
            );
            (contents.records, Vec::new(), header.generation.saturating_add(1), notice)
        }
    };
    Ok(start_over(disk, generation, snapshot, appended, vec![notice]))
}

/// Starts with the records of `journal.old`, because `journal` is missing or has a damaged header.
fn fall_back<D: Disk>(mut disk: D, damage: Option<&str>) -> io::Result<Recovery<D>> {
    let reason = damage.unwrap_or("the journal is missing");
    let old = match load(&mut disk, OLD) {
        Ok(JournalRead::Readable(old)) => old,
        // Neither file exists: the first start of the device, which is worth no notice.
        Ok(JournalRead::Missing) if damage.is_none() => return Ok(absent(disk, Vec::new())),
        _ => {
            let notice = format!(
                "{reason}, and there is no journal.old to fall back to: the agent starts from the factory state"
            );
            return Ok(absent(disk, vec![notice]));
        }
    };
    let mut notice = format!("{reason}; fell back to journal.old: changes made after it was written are lost");
    if old.damage.is_some() {
        notice.push_str(", and some made before, because it is damaged too");
    }
    let generation = old.header.generation.saturating_add(1);
    Ok(start_over(disk, generation, old.records, Vec::new(), vec![notice]))
}

/// Returns a journal without a file, which the first record creates.
fn absent<D: Disk>(disk: D, notices: Vec<String>) -> Recovery<D> {
    let journal = JournalFile {
        disk,
        tail: Tail::Absent,
        generation: 0,
        snapshot: 0,
        length: 0,
        chain: 0,
        directory_unsynced: false,
        failed_rewrite: None,
        has_appended: false,
        refusal: None,
        stats: Stats::default(),
    };
    Recovery { journal: Ok(journal), recovered: Recovered { records: Vec::new(), notices } }
}

/// Writes the records that were saved as a new `journal`.
fn start_over<D: Disk>(
    disk: D,
    generation: u64,
    mut snapshot: Vec<String>,
    appended: Vec<String>,
    notices: Vec<String>,
) -> Recovery<D> {
    let mut found = absent(disk, notices);
    found.journal = found.journal.and_then(|mut journal| {
        // `journal.old` stays: it is sound, or at least better than the damaged `journal` that would replace it.
        journal.replace(generation, &snapshot, &appended, false)?;
        Ok(journal)
    });
    snapshot.extend(appended);
    found.recovered.records = snapshot;
    found
}
