//! The instances that the rows of the device were before. A row with a name is the instance with its key. An anonymous section
//! of a UCI package has none: its key is its place, or the values of some options, which several sections may share. It keeps
//! its instance when others come and go in front of it, and when its options change.

use super::{FoundRow, KnownRow};
use crate::model::source::uci::is_place;

/// Returns for each row the number of its instance; `None` for a new one. `pins` are the numbers that rows with certain keys
/// have.
pub(super) fn assign(known: &[KnownRow], rows: &[FoundRow<'_>], pins: &[(u32, Box<str>)]) -> Vec<Option<u32>> {
    let mut numbers = vec![None; rows.len()];
    let mut free: Vec<&KnownRow> = known.iter().collect();
    // Equal sections have the order of their places.
    free.sort_by_key(|known| (known.key.len(), &known.key));
    let is_pin = |number: u32, key: &str| pins.iter().any(|(pin, pinned)| *pin == number || **pinned == *key);
    let has_digest = |row: &FoundRow<'_>| row.digest != 0 && !is_pin(0, &row.key);
    let has_digests = rows.iter().any(has_digest);
    let mut take = |fits: &dyn Fn(&KnownRow, &FoundRow<'_>) -> bool| {
        for (number, row) in numbers.iter_mut().zip(rows).filter(|(number, _)| number.is_none()) {
            if let Some(at) = free.iter().position(|known| fits(known, row)) {
                *number = Some(free.remove(at).number);
            }
        }
    };
    take(&|known, row| *known.key == *row.key && (known.digest == 0 || !has_digest(row)));
    if !has_digests {
        return numbers;
    }
    let is_open = |known: &KnownRow, row: &FoundRow<'_>| {
        has_digest(row) && !is_pin(known.number, &known.key) && group(&known.key) == group(&row.key)
    };
    take(&|known, row| is_open(known, row) && known.digest == row.digest);
    // With the same values of the options that tell sections apart, another content is a change of the section.
    take(&|known, row| is_open(known, row) && group(&row.key).is_some());
    // The sections that are left over have changed, if as many sections are there as before: else it has come or gone.
    let is_open = |row: &FoundRow<'_>| has_digest(row) && is_place(&row.key);
    free.retain(|known| is_place(&known.key) && !is_pin(known.number, &known.key));
    let open = numbers.iter_mut().zip(rows).filter(|(number, row)| number.is_none() && is_open(row));
    let open: Vec<&mut Option<u32>> = open.map(|(number, _)| number).collect();
    if open.len() == free.len() {
        open.into_iter().zip(free).for_each(|(number, known)| *number = Some(known.number));
    }
    numbers
}

/// Returns the values of options in the key of a section, without the number by which equal ones differ; `None` for a place.
fn group(key: &str) -> Option<&str> {
    let values = match key.rsplit_once('#') {
        Some((values, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => values,
        _ => key,
    };
    (!is_place(key)).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the numbers of rows, of which each is a key and a digest. The known ones have the numbers 1, 2 and so on.
    fn numbers(known: &[(&str, u32)], rows: &[(&str, u32)]) -> Vec<u32> {
        let row = |(at, (key, digest)): (usize, &(&str, u32))| KnownRow {
            number: at as u32 + 1,
            key: (*key).into(),
            digest: *digest,
        };
        let known: Vec<KnownRow> = known.iter().enumerate().map(row).collect();
        let rows: Vec<FoundRow<'_>> =
            rows.iter().map(|(key, digest)| FoundRow { key: (*key).into(), digest: *digest }).collect();
        let pins = [(9, "pin".into())];
        assign(&known, &rows, &pins).into_iter().map(Option::unwrap_or_default).collect()
    }

    #[test]
    fn a_row_with_a_name_is_the_instance_with_its_key() {
        assert_eq!(numbers(&[("a", 0), ("b", 0)], &[("b", 0), ("c", 0), ("a", 0)]), [2, 0, 1]);
        // It has lost its name, or got it.
        assert_eq!(numbers(&[("x", 0), ("a", 7)], &[("a", 0), ("x", 9)]), [2, 1]);
    }

    #[test]
    fn an_anonymous_row_is_found_by_its_content() {
        let known = [("@r[0]", 10), ("@r[1]", 11), ("@r[2]", 12)];
        // The first one goes; one comes in front; both at once; two are exchanged.
        assert_eq!(numbers(&known, &[("@r[0]", 11), ("@r[1]", 12)]), [2, 3]);
        assert_eq!(numbers(&known, &[("@r[0]", 9), ("@r[1]", 10), ("@r[2]", 11), ("@r[3]", 12)]), [0, 1, 2, 3]);
        assert_eq!(numbers(&known, &[("@r[0]", 12), ("@r[1]", 11), ("@r[2]", 10)]), [3, 2, 1]);
        // One has changed, also at another place; several have changed; one of them has gone too.
        assert_eq!(numbers(&known, &[("@r[0]", 10), ("@r[1]", 20), ("@r[2]", 12)]), [1, 2, 3]);
        assert_eq!(numbers(&known, &[("@r[0]", 12), ("@r[1]", 20), ("@r[2]", 10)]), [3, 2, 1]);
        assert_eq!(numbers(&known, &[("@r[0]", 20), ("@r[1]", 11), ("@r[2]", 21)]), [1, 2, 3]);
        assert_eq!(numbers(&known, &[("@r[0]", 20), ("@r[1]", 11)]), [0, 2]);
        // As many have changed as before, in the order of their last places.
        let moved = [("@r[1]", 10), ("@r[0]", 11), ("@r[10]", 12), ("@r[9]", 13)];
        assert_eq!(numbers(&moved, &[("@r[0]", 1), ("@r[1]", 2), ("@r[2]", 3), ("@r[3]", 4)]), [2, 1, 4, 3]);
        // Equal ones keep their order.
        assert_eq!(numbers(&[("@r[0]", 5), ("@r[1]", 5)], &[("@r[0]", 9), ("@r[1]", 5), ("@r[2]", 5)]), [0, 1, 2]);
    }

    #[test]
    fn of_equal_identities_the_content_tells() {
        let known = [("a", 10), ("a#2", 11), ("a#3", 12), ("b", 13)];
        assert_eq!(numbers(&known, &[("a", 11), ("a#2", 12), ("b", 14)]), [2, 3, 4]);
        assert_eq!(numbers(&known, &[("a", 12), ("b", 13)]), [3, 4]);
        assert_eq!(numbers(&[("a", 10)], &[("a", 9), ("a#2", 10)]), [0, 1]);
        // Another identity is another row, with any content.
        assert_eq!(numbers(&[("a", 10)], &[("b", 10)]), [0]);
        assert_eq!(numbers(&[("a", 10)], &[("a", 20)]), [1]);
        // A section that has lost the options is another one, too.
        assert_eq!(numbers(&[("a", 10)], &[("@r[0]", 10)]), [0]);
    }

    #[test]
    fn a_journal_without_digests_is_one_of_keys() {
        let known = [("@r[0]", 0), ("@r[1]", 0), ("a", 0)];
        assert_eq!(numbers(&known, &[("@r[0]", 5), ("a", 6), ("@r[1]", 7)]), [1, 3, 2]);
    }

    #[test]
    fn a_pin_is_one_of_a_key() {
        assert_eq!(numbers(&[("pin", 10), ("@r[0]", 11)], &[("@r[0]", 10), ("pin", 11)]), [2, 1]);
        let known = [KnownRow { number: 9, key: "@r[0]".into(), digest: 10 }];
        let rows = [FoundRow { key: "@r[1]".into(), digest: 10 }];
        assert_eq!(assign(&known, &rows, &[(9, "@r[0]".into())]), [None], "the number is that of the pin");
    }
}
