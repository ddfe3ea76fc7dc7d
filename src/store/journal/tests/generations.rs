//! Tests of the older generation, which replaces a damaged journal.

use super::*;

#[test]
fn a_damaged_snapshot_is_replaced_by_the_older_generation_without_loss() {
    let disk = two_generations();
    let snapshot = disk.get(JOURNAL).expect("journal").windows(2).position(|line| line == b"A\n").expect("A");
    damage(&disk, JOURNAL, snapshot);
    let (_, recovered) = open(&disk);
    // The older generation has "A" and "b" in place of "A" and "B" of the snapshot.
    assert_eq!(recovered.records, ["A", "b", "c"]);
    assert!(
        recovered.notices[0].contains("journal.old, which has the same state, replaces it"),
        "{:?}",
        recovered.notices
    );
    assert_eq!(open(&disk).1, Recovered { records: recovered.records, notices: vec![] });
}

#[test]
fn an_older_generation_that_does_not_say_the_same_never_stands_in() {
    let snapshot = |disk: &SimulatedDisk| {
        disk.get(JOURNAL).expect("journal").windows(2).position(|line| line == b"B\n").expect("B")
    };
    // Damaged itself.
    let disk = two_generations();
    damage(&disk, JOURNAL, snapshot(&disk));
    let end = disk.get(OLD).expect("journal.old").len() - 2;
    damage(&disk, OLD, end);
    assert_eq!(records(&disk), ["A"]);
    // A generation too old.
    let disk = two_generations();
    let old = disk.get(OLD).expect("journal.old");
    open(&disk).0.compact(&["A".into(), "B".into(), "C".into()]).expect("room");
    disk.put(OLD, &old);
    damage(&disk, JOURNAL, snapshot(&disk));
    assert_eq!(records(&disk), ["A"]);
    // A snapshot of another history.
    let disk = two_generations();
    let (mut journal, _) = open(&disk);
    journal.skip_generation();
    journal.compact(&["A".into(), "B".into()]).expect("room");
    damage(&disk, JOURNAL, snapshot(&disk));
    assert_eq!(records(&disk), ["A"]);
}

#[test]
fn a_destroyed_journal_falls_back_to_the_older_one_and_says_so() {
    for content in [&b""[..], b"\0\0\0\0\0\0\0\0", b"garbage\nand more\n", &[0xff; 4096]] {
        let disk = two_generations();
        disk.put(JOURNAL, content);
        let (mut journal, recovered) = open(&disk);
        assert_eq!(recovered.records, ["A", "b"]);
        assert!(recovered.notices[0].contains("fell back to journal.old"), "{:?}", recovered.notices);
        journal.append("c").expect("room");
        assert_eq!(open(&disk).1, Recovered { records: vec!["A".into(), "b".into(), "c".into()], notices: vec![] });
    }
    let disk = two_generations();
    disk.clone().remove(JOURNAL).expect("removed");
    assert_eq!(records(&disk), ["A", "b"]);
}

#[test]
fn with_nothing_to_fall_back_to_it_starts_empty_and_says_so() {
    let disk = SimulatedDisk::default();
    disk.put(JOURNAL, b"garbage");
    disk.put(OLD, b"garbage");
    let (mut journal, recovered) = open(&disk);
    assert!(recovered.records.is_empty());
    assert!(recovered.notices[0].contains("from the factory state"), "{:?}", recovered.notices);
    journal.append("new").expect("room");
    assert_eq!(open(&disk).1, Recovered { records: vec!["new".into()], notices: vec![] });
}

#[test]
fn a_disk_without_links_keeps_no_older_generation_and_works() {
    let disk = SimulatedDisk::default();
    disk.forbid_links();
    let mut run = Run::default();
    run.run(&mut open(&disk).0);
    assert_eq!(run.stored.len(), 9);
    assert_eq!((records(&disk), disk.names()), (run.stored, vec![JOURNAL.to_owned()]));
}

#[test]
fn a_failed_record_does_not_come_back_by_the_older_generation() {
    let disk = two_generations();
    disk.forbid_cutting();
    let (mut journal, _) = open(&disk);
    disk.fail(1, 1);
    journal.append("failed").expect_err("a failing disk");
    journal.compact(&["A".into(), "B".into(), "C".into()]).expect("room");
    disk.put(JOURNAL, b"garbage");
    assert_eq!(records(&disk), ["A", "b"]);
}
