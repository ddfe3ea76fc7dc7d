//! The lines that a program writes: columns with TAB between them, in which `\t`, `\n` and `\\` stand for TAB, line end and
//! backslash.

use std::collections::BTreeMap;

use crate::model::source::Row;

/// The most rows of one program; a table takes fewer still.
const MAX_ROWS: usize = 4096;

/// The most characters of the reason of a refusal.
const MAX_TEXT: usize = 200;

/// Reads the output of a program: `KEY`, `FIELD⇥VALUE` or `ROW⇥FIELD⇥VALUE` in each line.
pub(crate) fn parse(output: &[u8]) -> Result<Vec<Row>, String> {
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
            rows[place].set(field, value);
        }
    }
    Ok(rows)
}

/// A refusal in the output of a program: `!⇥[ROW⇥]FIELD⇥CODE⇥TEXT`.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sources) struct RefusedField {
    pub(in crate::sources) row: Option<String>,
    pub(in crate::sources) field: String,
    pub(in crate::sources) code: u16,
    pub(in crate::sources) text: String,
}

/// Reads the refusals of a program; other lines count for nothing.
///
/// # Errors
/// A line begins as a refusal does, and is none.
pub(in crate::sources) fn refusals(output: &str) -> Result<Vec<RefusedField>, String> {
    let refusal = |(number, line): (usize, &str)| {
        let columns: Vec<String> = line.strip_prefix("!\t")?.split('\t').map(unescape).collect();
        let (row, field, code, text) = match columns.as_slice() {
            [field, code, text] => (None, field, code, text),
            [row, field, code, text] => (Some(row.clone()), field, code, text),
            _ => return Some(Err(format!("line {} of the output is no refusal", number + 1))),
        };
        let code = code.parse().unwrap_or_default();
        // The text reaches the log and the ACS.
        let text = text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Some(Ok(RefusedField { row, field: field.clone(), code, text }))
    };
    output.lines().enumerate().filter_map(refusal).collect()
}

/// Returns the key that a program gives a new row.
pub(in crate::sources) fn key(output: &str) -> Option<String> {
    let line = output.lines().next().filter(|line| !line.contains('\t'))?;
    Some(unescape(line)).filter(|key| !key.is_empty() && !key.contains(char::is_control))
}

/// Returns a text as a column.
pub(in crate::sources) fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n")
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
    fn refusals_have_a_code_and_a_text() {
        let refused = |row: Option<&str>, field: &str, code, text: &str| RefusedField {
            row: row.map(str::to_owned),
            field: field.into(),
            code,
            text: text.into(),
        };
        let output = "!\tmode\t9007\ttoo\\tbright\nset\n!\ta\\\\b\tmode\tx\t\n";
        let expected = [refused(None, "mode", 9007, "too bright"), refused(Some("a\\b"), "mode", 0, "")];
        assert_eq!(refusals(output).as_deref(), Ok(&expected[..]));
        assert!(refusals("!\tmode\n").unwrap_err().contains("line 1"));
        assert_eq!(unescape(&escape("a\tb\\n\n")), "a\tb\\n\n");
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
