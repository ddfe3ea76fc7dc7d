//! Journal files, whole and damaged at every byte.

use super::*;

/// A journal of that snapshot and those appended records.
fn file(snapshot: &[&str], appended: &[&str]) -> Vec<u8> {
    let size = snapshot.iter().map(|record| framed_len(record) as u64).sum();
    let mut bytes = Vec::new();
    let start = JournalHeader { generation: 7, snapshot: size }.write(&mut bytes);
    for records in [snapshot, appended] {
        records.iter().fold(start, |chain, record| frame(chain, record, &mut bytes));
    }
    bytes
}

#[test]
fn the_checksum_is_that_of_ieee_802_3() {
    assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
    assert_eq!(crc32(crc32(0, b"1234"), b"56789"), 0xcbf4_3926);
    assert_eq!(&hex(0x00ab_cdef), b"00abcdef");
}

#[test]
fn a_journal_reads_back() {
    let bytes = file(&["{\"a\":1}", ""], &["größer", "z"]);
    let contents = JournalContents::read(&bytes[..]).expect("a header");
    assert_eq!(contents.records, ["{\"a\":1}", "", "größer", "z"]);
    assert_eq!(contents.length, bytes.len() as u64);
    assert_eq!(contents.damage, None);
    assert_eq!(contents.read_appended(&bytes[..]), ["größer", "z"]);
}

#[test]
fn every_truncation_keeps_the_records_before_it() {
    let bytes = file(&[], &["one", "two", "three"]);
    let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').map(|at| at + 1).collect();
    for end in 0..=bytes.len() {
        let whole = ends.iter().filter(|line_end| **line_end <= end).count();
        let contents = JournalContents::read(&bytes[..end]);
        assert_eq!(contents.is_some(), whole > 0, "cut at {end}");
        let Some(contents) = contents else { continue };
        assert_eq!(contents.records, ["one", "two", "three"][..whole - 1], "cut at {end}");
        let clean = ends.contains(&end);
        assert_eq!(contents.damage, (!clean).then_some(Damage::Torn), "cut at {end}");
    }
}

#[test]
fn every_flipped_bit_ends_the_journal_before_it() {
    let bytes = file(&[], &["one", "two", "three"]);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let before = bytes[..at].iter().filter(|byte| **byte == b'\n').count();
            let contents = JournalContents::read(&bytes[..]);
            assert_eq!(contents.is_some(), before > 0, "bit {bit} of byte {at}");
            let Some(contents) = contents else { continue };
            assert_eq!(contents.records, ["one", "two", "three"][..before - 1], "bit {bit} of byte {at}");
            assert!(contents.damage.is_some(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_cut_snapshot_is_damage_even_between_records() {
    let bytes = file(&["one", "two"], &[]);
    let header = bytes.iter().position(|byte| *byte == b'\n').expect("a header") + 1;
    let contents = JournalContents::read(&bytes[..header + framed_len("one")]).expect("a header");
    assert_eq!((contents.records.len(), contents.damage), (1, Some(Damage::Corrupt)));
    assert!(contents.snapshot_is_damaged());
}

#[test]
fn lines_that_are_whole_but_misplaced_are_no_records() {
    let bytes = file(&[], &["one", "two", "three"]);
    let reader: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for order in [&[0, 2, 3][..], &[0, 1, 3], &[0, 1, 1], &[0, 1, 0], &[0, 1, 2, 3, 1]] {
        let shuffled: Vec<u8> = order.iter().flat_map(|line| reader[*line]).copied().collect();
        let contents = JournalContents::read(&shuffled[..]).expect("a header");
        assert_eq!(contents.damage, Some(Damage::Corrupt), "{order:?}");
    }
}

#[test]
fn the_appended_survive_a_damaged_snapshot() {
    let mut bytes = file(&["one", "two"], &["three", "four"]);
    let at = bytes.windows(3).position(|window| window == b"one").expect("the record");
    bytes[at] = b'0';
    let contents = JournalContents::read(&bytes[..]).expect("a header");
    assert!(contents.snapshot_is_damaged() && contents.records.is_empty());
    assert_eq!(contents.read_appended(&bytes[..]), ["three", "four"]);
    assert!(contents.read_appended(&bytes[..60]).is_empty());
}

#[test]
fn what_is_no_utf_8_or_no_line_is_no_record() {
    let mut bytes = file(&[], &[]);
    let start = JournalHeader { generation: 7, snapshot: 0 }.write(&mut Vec::new());
    let sum = crc32(start, b"\xff");
    bytes.extend(hex(sum));
    bytes.extend(b" \xff\n");
    let contents = JournalContents::read(&bytes[..]).expect("a header");
    assert_eq!((contents.records.len(), contents.damage), (0, Some(Damage::Corrupt)));
    assert!(check("two\nlines").is_err());
    assert!(check(&"x".repeat(MAX_RECORD)).is_ok());
    assert!(check(&"x".repeat(MAX_RECORD + 1)).is_err());
}

#[test]
fn an_endless_line_costs_no_more_than_the_largest_record() {
    let mut whole = file(&[], &["one"]);
    assert!(JournalContents::read(io::BufReader::new(io::repeat(b'x'))).is_none());
    whole.extend(vec![b'x'; MAX_RECORD + 100]);
    let contents = JournalContents::read(&whole[..]).expect("a header");
    assert_eq!((contents.records.len(), contents.damage), (1, Some(Damage::Corrupt)));
}

#[test]
fn a_header_of_another_format_is_none() {
    for text in [
        "cpe-agent journal 2 generation 1 snapshot 0",
        "cpe-agent journal 1 generation x snapshot 0",
        "cpe-agent journal 1 generation 1",
        "cpe-agent journal 1 generation 1 snapshot 18446744073709551615",
        "",
    ] {
        let mut bytes = Vec::new();
        frame(0, text, &mut bytes);
        assert!(JournalContents::read(&bytes[..]).is_none(), "{text:?}");
    }
}
