//! The lines that a program writes: columns with TAB between them, in which `\t`, `\n` and `\\` stand for TAB, line end and
//! backslash.

use std::collections::BTreeMap;

use crate::model::source::Row;

/// The most rows of one program; a table takes fewer still.
const MAX_ROWS: usize = 4096;

/// Reads the output of a program: `KEY`, `FIELD⇥VALUE` or `ROW⇥FIELD⇥VALUE` in each line.
pub(super) fn parse(output: &[u8]) -> Result<Vec<Row>, String> {
    let text = String::from_utf8_lossy(output);
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the output ends within a line".to_owned());
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let columns: Vec<String> = line.split('\t').map(unescape).collect();
        let (key, field) = match columns.as_slice() {
            [key] => (key.as_str(), None),
            [field, value] => ("", Some((field, value))),
            [key, field, value] => (key.as_str(), Some((field, value))),
            _ => return Err(format!("line {} of the output has {} columns", number + 1, columns.len())),
        };
        let place = *places.entry(key.to_owned()).or_insert_with(|| {
            rows.push(Row::new(key));
            rows.len() - 1
        });
        if rows.len() > MAX_ROWS {
            return Err(format!("more than {MAX_ROWS} rows"));
        }
        if let Some((field, value)) = field {
            rows[place].set(field, value.as_str());
        }
    }
    Ok(rows)
}

fn unescape(column: &str) -> String {
    let mut text = String::with_capacity(column.len());
    let mut chars = column.chars();
    while let Some(c) = chars.next() {
        text.push(match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            },
            (c, false) => c,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_keys_fields_and_values() {
        let rows = parse(b"mode\tOn\ncolor\tred\\tgreen\\n\\\\\n").expect("rows");
        assert_eq!((rows.len(), rows[0].get("mode"), rows[0].get("color")), (1, Some("On"), Some("red\tgreen\n\\")));
        let rows = parse(b"a\nb\n").expect("rows");
        assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let rows = parse(b"a\tx\t1\nb\tx\t2\na\ty\t3\n").expect("rows");
        assert_eq!((rows.len(), rows[0].get("y"), rows[1].get("x")), (2, Some("3"), Some("2")));
        assert_eq!(parse(b""), Ok(Vec::new()));
    }

    #[test]
    fn an_output_of_another_form_is_an_error() {
        assert!(parse(b"a\tb\tc\td\n").unwrap_err().contains("line 1 of the output has 4 columns"));
        assert!(parse(b"mode\tOn\ncol").unwrap_err().contains("within a line"));
        let many: Vec<u8> = (0..=MAX_ROWS).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        assert!(parse(&many).unwrap_err().contains("more than 4096 rows"));
        // Bytes of any kind are no panic.
        let _ = parse(&[0xFF, b'\t', 0, b'\n', b'\\', b'\n']);
    }
}
