//! Tests of the journal on a disk that fails at every step, and on one that loses power at every step.

use super::*;
use crate::store::Recovered;
use crate::store::disk::Disk;
use crate::store::simulation::{KEPT, Kept, SimulatedDisk};
use std::io::ErrorKind;

fn open(disk: &SimulatedDisk) -> (JournalFile<SimulatedDisk>, Recovered) {
    let found = recover(disk.clone()).expect("a disk that can be read");
    (found.journal.expect("a disk that can be written"), found.recovered)
}

/// Returns the records that the next start reads.
fn records(disk: &SimulatedDisk) -> Vec<String> {
    open(disk).1.records
}

/// A run of the agent: the records that were confirmed as stored, and the one that was being written at its end.
#[derive(Default)]
struct Run {
    stored: Vec<String>,
    /// The record that failed last, if no step after it succeeded.
    in_progress: Option<String>,
}

impl Run {
    fn append(&mut self, journal: &mut JournalFile<SimulatedDisk>, record: &str) {
        match journal.append(record) {
            Ok(()) => {
                self.stored.push(record.to_owned());
                self.in_progress = None;
            }
            Err(_) => self.in_progress = Some(record.to_owned()),
        }
    }

    /// Appends, rewrites, appends, rewrites again, appends. A snapshot says the same as the
    /// records before it, so here it is these very records.
    fn run(&mut self, journal: &mut JournalFile<SimulatedDisk>) {
        for round in ["a", "b", "c"] {
            self.append(journal, &format!("{round}1"));
            self.append(journal, &format!("{round}2"));
            let _ = journal.compact(&self.stored);
            self.append(journal, &format!("{round}3"));
        }
    }
}

/// Returns the number of steps of a run without failures.
fn steps() -> usize {
    let disk = SimulatedDisk::default();
    Run::default().run(&mut open(&disk).0);
    disk.steps()
}

#[test]
fn what_was_appended_comes_back_in_order() {
    let disk = SimulatedDisk::default();
    let (mut journal, recovered) = open(&disk);
    assert_eq!(recovered, Recovered::default());
    let mut run = Run::default();
    run.run(&mut journal);
    assert_eq!(run.stored, ["a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2", "c3"]);
    for kept in KEPT {
        let after = disk.after_power_cut(kept);
        let (mut journal, recovered) = open(&after);
        assert_eq!(recovered, Recovered { records: run.stored.clone(), notices: vec![] }, "{kept:?}");
        journal.append("d1").expect("room");
        assert_eq!(records(&after).last().map(String::as_str), Some("d1"));
    }
}

#[test]
fn opening_writes_nothing() {
    let disk = SimulatedDisk::default();
    drop(open(&disk));
    assert_eq!((disk.steps(), disk.names()), (0, vec![]));
    Run::default().run(&mut open(&disk).0);
    let before = disk.steps();
    let (journal, _) = open(&disk);
    assert_eq!((disk.steps(), journal.stats), (before, Stats::default()));
}

#[test]
fn an_append_is_one_write_and_one_sync() {
    let disk = SimulatedDisk::default();
    let (mut journal, _) = open(&disk);
    journal.append("first").expect("room");
    let (steps, stats) = (disk.steps(), journal.stats);
    journal.append("second").expect("room");
    assert_eq!(disk.steps() - steps, 2);
    assert_eq!(journal.stats.bytes - stats.bytes, record::framed_len("second") as u64);
    assert_eq!((journal.stats.appends, journal.stats.syncs - stats.syncs), (2, 1));
}

#[test]
fn after_power_fails_at_any_step_every_promise_is_kept() {
    for step in 0..steps() {
        for kept in KEPT {
            let disk = SimulatedDisk::default();
            let (mut journal, _) = open(&disk);
            disk.fail(step, usize::MAX);
            let mut run = Run::default();
            // Nothing gets through once the power has failed, so the first error ends this run.
            for round in ["a", "b", "c"] {
                for record in ["1", "2", "compact", "3"] {
                    if run.in_progress.is_some() {
                        break;
                    }
                    match record {
                        "compact" if journal.compact(&run.stored).is_err() => run.in_progress = Some("-".into()),
                        "compact" => {}
                        _ => run.append(&mut journal, &format!("{round}{record}")),
                    }
                }
            }
            let found = open(&disk.after_power_cut(kept)).1;
            let (common, rest) = found
                .records
                .split_at_checked(run.stored.len())
                .unwrap_or_else(|| panic!("step {step}, {kept:?}: stored {:?}, found {:?}", run.stored, found.records));
            assert_eq!(common, run.stored, "step {step}, {kept:?}");
            // The record under way may be there as a whole, but nothing else.
            assert!(rest.len() <= 1 && rest.first() <= run.in_progress.as_ref(), "step {step}, {kept:?}: {rest:?}");
            assert_eq!(found.notices, [""; 0], "step {step}, {kept:?}");
        }
    }
}

#[test]
fn a_failed_record_never_comes_back_once_the_disk_works_again() {
    for count in 1..=6 {
        for step in 0..steps() {
            let disk = SimulatedDisk::default();
            let (mut journal, _) = open(&disk);
            disk.fail(step, count);
            let mut run = Run::default();
            run.run(&mut journal);
            disk.fail(0, 0);
            run.append(&mut journal, "last");
            assert_eq!(run.stored.last().map(String::as_str), Some("last"), "step {step}, {count} failures");
            for kept in KEPT {
                let after = disk.after_power_cut(kept);
                assert_eq!(records(&after), run.stored, "step {step}, {count} failures, {kept:?}");
            }
        }
    }
}

#[test]
fn a_single_failure_is_undone_at_once() {
    for step in 0..steps() {
        let disk = SimulatedDisk::default();
        let (mut journal, _) = open(&disk);
        disk.fail(step, 1);
        let mut run = Run::default();
        for record in ["a", "b", "c"] {
            run.append(&mut journal, record);
            for kept in KEPT {
                assert_eq!(records(&disk.after_power_cut(kept)), run.stored, "step {step}, {kept:?}");
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_then_goes_on() {
    let whole = {
        let disk = SimulatedDisk::default();
        let (mut journal, _) = open(&disk);
        (0..20).for_each(|number| journal.append(&format!("record {number}")).expect("room"));
        journal.length as usize
    };
    for room in 0..=whole {
        let disk = SimulatedDisk::default();
        disk.limit(Some(room));
        let (mut journal, _) = open(&disk);
        let mut run = Run::default();
        for number in 0..20 {
            run.append(&mut journal, &format!("record {number}"));
        }
        assert_eq!(run.stored.len() == 20, room == whole);
        assert!(room == whole || journal.compact(&run.stored).is_err());
        assert_eq!(records(&disk.after_power_cut(Kept::All)), run.stored, "room {room}");
        assert!(!disk.names().contains(&NEW.to_owned()), "a failed rewrite gives its room back");
        disk.limit(None);
        run.append(&mut journal, "after");
        assert_eq!(records(&disk), run.stored, "room {room}");
        assert_eq!(run.stored.last().map(String::as_str), Some("after"));
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_leaves_a_journal_that_goes_on() {
    let disk = SimulatedDisk::default();
    Run::default().run(&mut open(&disk).0);
    let (journal, old) = (disk.get(JOURNAL).expect("journal"), disk.get(OLD).expect("journal.old"));
    let whole = records(&disk);
    let truncated = (0..journal.len()).map(|end| journal[..end].to_vec());
    let flipped = (0..journal.len() * 8).map(|bit| {
        let mut bytes = journal.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    for bytes in truncated.chain(flipped) {
        let disk = SimulatedDisk::default();
        disk.put(JOURNAL, &bytes);
        disk.put(OLD, &old);
        let (mut journal, recovered) = open(&disk);
        // The snapshot is always saved, by itself or by journal.old. The one record appended to it is lost if it is
        // damaged.
        assert!(recovered.records == whole || recovered.records == whole[..whole.len() - 1]);
        journal.append("after").expect("room");
        let expected: Vec<String> = recovered.records.into_iter().chain(["after".to_owned()]).collect();
        let (_, second) = open(&disk.after_power_cut(Kept::Nothing));
        assert_eq!(second, Recovered { records: expected, notices: vec![] });
    }
}

#[test]
fn a_torn_end_is_no_news_but_damage_is_told() {
    let disk = SimulatedDisk::default();
    let (mut journal, _) = open(&disk);
    ["one", "two", "three"].iter().for_each(|record| journal.append(record).expect("room"));
    let bytes = disk.get(JOURNAL).expect("journal");

    disk.put(JOURNAL, &bytes[..bytes.len() - 3]);
    assert_eq!(open(&disk).1, Recovered { records: vec!["one".into(), "two".into()], notices: vec![] });

    let mut damaged = bytes.clone();
    let at = damaged.windows(3).position(|window| window == b"two").expect("the record");
    damaged[at] = 0;
    disk.put(JOURNAL, &damaged);
    let (_, recovered) = open(&disk);
    assert_eq!(recovered.records, ["one"]);
    assert!(recovered.notices[0].contains("the 1 records before it are kept"), "{:?}", recovered.notices);
    assert_eq!(open(&disk).1.notices, [""; 0], "told once, then mended");
}

#[test]
fn zeros_that_a_power_cut_leaves_behind_the_last_record_are_no_damage() {
    let disk = SimulatedDisk::default();
    let (mut journal, _) = open(&disk);
    ["one", "two", "three"].iter().for_each(|record| journal.append(record).expect("room"));
    let bytes = disk.get(JOURNAL).expect("journal");
    let last = bytes.len() - record::framed_len("three");
    let zeros = |range: std::ops::Range<usize>, more: usize| {
        let mut bytes = bytes.clone();
        bytes[range].fill(0);
        bytes.resize(bytes.len() + more, 0);
        bytes
    };
    for (content, count) in [
        (zeros(0..0, 1), 3),
        (zeros(0..0, 100_000), 3),
        (zeros(last..bytes.len(), 0), 2),
        (zeros(last..bytes.len(), 4096), 2),
        (zeros(last..last + 6, 0), 2), // the second block of the record reached the disk, and the first did not
        (zeros(last + 6..last + 9, 4096), 2),
    ] {
        disk.put(JOURNAL, &content);
        let (mut journal, recovered) = open(&disk);
        assert_eq!((recovered.records.len(), recovered.notices), (count, vec![]));
        journal.append("four").expect("room");
        assert_eq!(records(&disk.after_power_cut(Kept::Nothing)).len(), count + 1);
    }
}

/// A journal of generation 3 whose predecessor is whole.
fn two_generations() -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    let (mut journal, _) = open(&disk);
    journal.append("a").expect("room");
    journal.compact(&["A".to_owned()]).expect("room");
    journal.append("b").expect("room");
    journal.compact(&["A".to_owned(), "B".to_owned()]).expect("room");
    journal.append("c").expect("room");
    disk
}

fn damage(disk: &SimulatedDisk, name: &str, at: usize) {
    let mut bytes = disk.get(name).expect("the file");
    bytes[at] ^= 0x20;
    disk.put(name, &bytes);
}

#[test]
fn a_disk_that_cannot_be_mended_still_gives_its_records() {
    let disk = two_generations();
    disk.put(JOURNAL, b"garbage");
    disk.fail(0, usize::MAX);
    let found = recover(disk.clone()).expect("a disk that can be read");
    assert!(found.journal.is_err());
    assert_eq!(found.recovered.records, ["A", "b"]);
    disk.fail(0, 0);
    assert_eq!(records(&disk), ["A", "b"]);
}

#[test]
fn destroying_is_all_or_nothing() {
    let steps = {
        let disk = two_generations();
        let (mut journal, _) = open(&disk);
        let before = disk.steps();
        journal.destroy().expect("removed");
        assert_eq!(disk.names(), [""; 0]);
        journal.append("new life").expect("room");
        assert_eq!(records(&disk.after_power_cut(Kept::Nothing)), ["new life"]);
        disk.steps() - before
    };
    for step in 0..steps {
        for kept in KEPT {
            let disk = two_generations();
            let (mut journal, _) = open(&disk);
            disk.fail(step, usize::MAX);
            let done = journal.destroy().is_ok();
            let after = records(&disk.after_power_cut(kept));
            assert!(after.is_empty() || !done && after == ["A", "B", "c"], "step {step}, {kept:?}: {after:?}");
        }
    }
}

#[test]
fn a_rewrite_is_wanted_when_it_is_worth_it() {
    let disk = SimulatedDisk::default();
    let (mut journal, _) = open(&disk);
    let record = "x".repeat(1000);
    let mut appended = 0;
    while !journal.wants_compaction() {
        journal.append(&record).expect("room");
        appended += 1;
    }
    assert_eq!(appended, 65);
    // A rewrite that fails is not tried again at once.
    disk.fail(0, 1);
    journal.compact(&[]).expect_err("a failing disk");
    assert!(!journal.wants_compaction());
    // A large snapshot may grow to four times its size.
    let snapshot = vec![record.clone(); 100];
    journal.compact(&snapshot).expect("room");
    let mut appended = 0;
    while !journal.wants_compaction() {
        journal.append(&record).expect("room");
        appended += 1;
    }
    assert_eq!(appended, 300);
}

#[test]
fn what_is_no_record_is_refused_and_changes_nothing() {
    let disk = two_generations();
    let (mut journal, _) = open(&disk);
    let before = disk.steps();
    let large = "x".repeat(record::MAX_RECORD + 1);
    for record in ["two\nlines", &large] {
        assert_eq!(journal.append(record).map_err(|error| error.kind()), Err(ErrorKind::InvalidInput));
        assert_eq!(journal.compact(&[record.to_owned()]).map_err(|error| error.kind()), Err(ErrorKind::InvalidInput));
    }
    assert_eq!(disk.steps(), before);
}

#[test]
fn a_file_that_cannot_be_cut_is_written_anew_before_the_next_record() {
    let disk = two_generations();
    disk.forbid_cutting();
    let (mut journal, _) = open(&disk);
    // The record is written in full and fails to sync.
    disk.fail(1, 1);
    journal.append("failed").expect_err("a failing disk");
    journal.append("next").expect("room");
    for kept in KEPT {
        assert_eq!(records(&disk.after_power_cut(kept)), ["A", "B", "c", "next"], "{kept:?}");
    }
}

#[test]
fn a_rewrite_that_a_power_cut_ended_leaves_nothing_behind() {
    let disk = two_generations();
    disk.put(NEW, b"half a generati");
    assert_eq!(records(&disk), ["A", "B", "c"]);
    assert_eq!(disk.names(), [JOURNAL, OLD]);
}

mod full;
mod generations;
