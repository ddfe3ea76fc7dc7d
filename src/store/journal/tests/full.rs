//! Tests of the journal on a disk that becomes full, and of a journal that another program removes.

use std::collections::BTreeMap;

use super::super::room::SLACK;
use super::*;

/// A state of values by name, kept in a journal as the device keeps its own.
struct Values {
    journal: JournalFile<SimulatedDisk>,
    stored: BTreeMap<String, String>,
    /// The record that failed last, if no step after it succeeded.
    in_progress: Option<String>,
}

/// Returns the state that records lead to.
fn replay<'r>(records: impl IntoIterator<Item = &'r String>) -> BTreeMap<String, String> {
    let pairs = records.into_iter().map(|record| record.split_once('=').expect("a pair"));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Values {
    fn open(disk: &SimulatedDisk) -> Values {
        let (journal, recovered) = open(disk);
        Values { journal, stored: replay(&recovered.records), in_progress: None }
    }

    fn snapshot(&self) -> Vec<String> {
        self.stored.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// Sets a value, with a rewrite where that makes room, as the device does. Returns false if it is refused.
    fn set(&mut self, name: &str, value: &str) -> bool {
        let record = format!("{name}={value}");
        let mut result = self.journal.append(&record);
        if result.is_err() && self.journal.rewrite_helps() && self.journal.compact(&self.snapshot()).is_ok() {
            result = self.journal.append(&record);
        }
        match result {
            Ok(()) => {
                self.stored.insert(name.to_owned(), value.to_owned());
                self.in_progress = None;
            }
            Err(_) => self.in_progress = Some(record),
        }
        self.in_progress.is_none()
    }

    /// Checks that a start finds the stored values, and at most the record in progress besides.
    fn expect_after_power_cut(&self, disk: &SimulatedDisk, context: &str) {
        for kept in KEPT {
            let found = replay(&records(&disk.after_power_cut(kept)));
            let mut with_last = self.stored.clone();
            with_last.extend(replay(&self.in_progress));
            assert!(found == self.stored || found == with_last, "{context}, {kept:?}: {found:?}, {:?}", self.stored);
        }
    }
}

/// The room in which a state of three values of 100 bytes is rewritten again and again.
const SMALL: usize = SLACK as usize + 2000;

/// Sets three values in turn, with a rewrite on request now and then.
fn fill(values: &mut Values, rounds: usize) -> usize {
    let mut refused = 0;
    for round in 0..rounds {
        let value = format!("{round:0100}");
        refused += usize::from(!values.set(["a", "b", "c"][round % 3], &value));
        if round % 7 == 6 {
            let _ = values.journal.compact(&values.snapshot());
        }
    }
    refused
}

#[test]
fn a_small_disk_takes_changes_without_end() {
    let disk = SimulatedDisk::default();
    disk.limit_and_report(SMALL);
    let mut values = Values::open(&disk);
    for round in 0..2000 {
        assert!(values.set(["a", "b", "c"][round % 3], &format!("{round:0100}")), "round {round}");
    }
    assert!(values.journal.stats.compactions > 10);
    values.expect_after_power_cut(&disk, "at the end");
}

#[test]
fn records_never_use_up_the_room_of_a_rewrite() {
    for room in (SLACK as usize..SLACK as usize + 4000).step_by(37) {
        let disk = SimulatedDisk::default();
        disk.limit_and_report(room);
        let mut values = Values::open(&disk);
        while values.set(&values.stored.len().to_string(), &"x".repeat(100)) {}
        values.journal.compact(&values.snapshot()).unwrap_or_else(|error| panic!("room {room}: {error}"));
        values.expect_after_power_cut(&disk, &format!("room {room}"));
    }
}

#[test]
fn a_disk_that_others_filled_is_used_again_once_there_is_room() {
    for reports in [true, false] {
        let disk = SimulatedDisk::default();
        disk.limit_and_report(SMALL);
        let mut values = Values::open(&disk);
        assert_eq!(fill(&mut values, 20), 0);
        if reports {
            disk.limit_and_report(0)
        } else {
            disk.limit(Some(0))
        }
        let steps = disk.steps();
        assert_eq!(fill(&mut values, 20), 20);
        values.expect_after_power_cut(&disk, "full");
        // A refusal that is known beforehand writes nothing to the flash.
        assert!(!reports || disk.steps() <= steps + 2, "{} steps", disk.steps() - steps);
        disk.limit(Some(SMALL));
        assert_eq!(fill(&mut values, 40), 0, "reports {reports}");
        values.expect_after_power_cut(&disk, "room again");
    }
}

#[test]
fn a_full_disk_that_is_found_at_the_start_is_made_room_on() {
    let disk = SimulatedDisk::default();
    let mut values = Values::open(&disk);
    fill(&mut values, 200);
    let size = disk.get(JOURNAL).into_iter().chain(disk.get(OLD)).map(|bytes| bytes.len()).sum();
    disk.limit_and_report(size);
    // Nothing is free, and yet `journal.old` and the records that are out of date can go.
    let mut journal = open(&disk).0;
    journal.append("a=new").expect_err("the room of a rewrite is not there yet");
    assert!(journal.rewrite_helps() && !disk.names().contains(&OLD.to_owned()));
    journal.compact(&values.snapshot()).expect("room");
    values.journal = journal;
    values.expect_after_power_cut(&disk, "made room");
}

#[test]
fn a_rewrite_that_failed_by_an_error_that_passes_is_tried_again() {
    let disk = SimulatedDisk::default();
    disk.limit_and_report(SMALL);
    let mut values = Values::open(&disk);
    let mut round = 0;
    while values.journal.append(&format!("a={round:0100}")).is_ok() {
        values.stored.insert("a".to_owned(), format!("{round:0100}"));
        round += 1;
    }
    disk.fail(0, 1);
    assert!(!values.set("a", "refused"));
    assert!(values.set("a", "stored"));
    values.expect_after_power_cut(&disk, "tried again");
}

#[test]
fn a_power_cut_at_any_step_on_a_small_disk_loses_no_value() {
    let steps = {
        let disk = SimulatedDisk::default();
        disk.limit_and_report(SMALL);
        assert_eq!(fill(&mut Values::open(&disk), 40), 0);
        disk.steps()
    };
    for step in 0..steps {
        let disk = SimulatedDisk::default();
        disk.limit_and_report(SMALL);
        let mut values = Values::open(&disk);
        disk.fail(step, usize::MAX);
        (0..40).take_while(|round| values.set(["a", "b", "c"][round % 3], &format!("{round:0100}"))).count();
        values.expect_after_power_cut(&disk, &format!("step {step}"));
        // Errors that pass are another matter: the values go on.
        for count in [1, 3] {
            let disk = SimulatedDisk::default();
            disk.limit_and_report(SMALL);
            let mut values = Values::open(&disk);
            disk.fail(step, count);
            fill(&mut values, 40);
            disk.fail(0, 0);
            assert!(values.set("last", "x"), "step {step}, {count} failures");
            values.expect_after_power_cut(&disk, &format!("step {step}, {count} failures"));
        }
    }
}

#[test]
fn a_power_cut_during_a_factory_reset_leaves_all_records_or_that_of_the_reset_or_none() {
    for (room, reports) in [(SMALL, true), (0, true), (0, false), (100, false)] {
        for step in 0.. {
            let disk = SimulatedDisk::default();
            disk.limit_and_report(SMALL);
            let mut values = Values::open(&disk);
            fill(&mut values, 20);
            let before = values.stored.clone();
            if reports {
                disk.limit_and_report(room)
            } else {
                disk.limit(Some(room))
            }
            let first = disk.steps();
            disk.fail(step, usize::MAX);
            let result = values.journal.erase("reset=begun");
            let is_done = disk.steps() <= first + step;
            for kept in KEPT {
                let found = replay(&records(&disk.after_power_cut(kept)));
                let reset = replay(&["reset=begun".to_owned()]);
                let fits = found == reset || found.is_empty() || (!is_done && found == before);
                assert!(fits, "room {room}, step {step}, {kept:?}: {found:?}");
            }
            if is_done {
                result.expect("a reset that needs no room");
                break;
            }
        }
    }
}

#[test]
fn a_removed_journal_is_written_anew() {
    let removed = || {
        let disk = SimulatedDisk::default();
        let mut values = Values::open(&disk);
        fill(&mut values, 20);
        disk.clone().remove(JOURNAL).expect("removed");
        disk.clone().sync().expect("synced");
        (disk, values)
    };
    let (disk, mut values) = removed();
    let error = values.journal.append("a=lost").expect_err("no journal");
    assert_eq!(error.to_string(), "another program has removed the journal");
    let first = disk.steps();
    assert!(values.set("a", "kept"));
    let steps = disk.steps() - first;
    values.expect_after_power_cut(&disk, "written anew");

    for step in 0..steps {
        let (disk, mut values) = removed();
        disk.fail(step, 1);
        let stored = values.set("a", "kept") || values.set("a", "kept");
        assert!(stored, "step {step}");
        values.expect_after_power_cut(&disk, &format!("step {step}"));
    }
    // A file of another program in its place is no journal of this agent.
    let (disk, mut values) = removed();
    disk.put(JOURNAL, b"a copy of an earlier day");
    assert!(values.set("a", "kept"));
    values.expect_after_power_cut(&disk, "replaced");
}

#[test]
fn the_state_has_a_limit_and_leaves_room_to_delete() {
    let disk = SimulatedDisk::default();
    let (mut journal, _) = open(&disk);
    let large = "x".repeat(1 << 20);
    let mut stored = 0;
    while journal.check_growth(&large).is_ok() {
        journal.append(&large).expect("room");
        stored += 1;
    }
    assert_eq!((stored, journal.rewrite_helps()), (7, true));
    let error = journal.check_growth(&large).expect_err("too large");
    assert_eq!(error.to_string(), "the state would be larger than 8 MiB");
    journal.append(&large).expect("a record that shrinks the state has no limit");
    journal.compact(std::slice::from_ref(&large)).expect("room");
    journal.check_growth(&large).expect("room again");
}
