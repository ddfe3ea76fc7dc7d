//! Excerpts: one value, or the rows of a table, in the text of a file.

use regex_lite::Regex;

use super::SourceId;
use super::row::Row;
use super::view::ViewId;

/// The part of an answer that is a value.
#[derive(Debug, PartialEq)]
pub(in crate::model) enum Excerpt {
    /// The field of this name in a row.
    Name(Box<str>),
    /// The whole text without white space at its ends, or of the first line that begins with `line`, or the `word` of that
    /// line or of the text, counted from 1.
    Text { line: Option<Box<str>>, word: Option<u16> },
    /// A word in a field.
    Item(Box<Item>),
    /// The whole text, in which a regular expression finds the value.
    Whole,
    /// The value that several fields have together.
    View(ViewId, Box<[(SourceId, Excerpt)]>),
}

/// The rest of the first word, in the field of this name, that begins with one of these texts.
#[derive(Debug, PartialEq)]
pub(in crate::model) struct Item {
    pub(in crate::model) name: Box<str>,
    pub(in crate::model) begins: Box<[Box<str>]>,
}

impl Excerpt {
    /// Returns the name of the field, if it has one.
    pub(in crate::model) fn name(&self) -> Option<&str> {
        match self {
            Excerpt::Name(name) => Some(name),
            Excerpt::Item(item) => Some(&item.name),
            _ => None,
        }
    }

    /// Returns the value in a text; `None` if the text has no such value.
    pub(in crate::model) fn of<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Excerpt::Text { line, word } => excerpt(text, line.as_deref(), *word),
            Excerpt::Whole => Some(text),
            Excerpt::Name(_) | Excerpt::Item(..) | Excerpt::View(..) => None,
        }
    }
}

/// Returns the rest of the first word that begins with one of these texts.
pub(in crate::model) fn item<'a>(text: &'a str, begins: &[Box<str>]) -> Option<&'a str> {
    text.split_whitespace().find_map(|word| begins.iter().find_map(|begin| word.strip_prefix(&**begin)))
}

fn excerpt<'a>(text: &'a str, line: Option<&str>, word: Option<u16>) -> Option<&'a str> {
    let part = match line {
        Some(begin) => text.lines().find(|line| line.starts_with(begin))?,
        None => text,
    };
    match word {
        Some(word) => part.split_whitespace().nth(usize::from(word).checked_sub(1)?),
        // Files of the device tree end with NUL.
        None => Some(part.trim_matches(|c: char| c.is_whitespace() || c == '\0')),
    }
}

/// Returns the rows of a table in the text of a file: the lines that match, with the named groups of the expression as fields.
/// The group `key` is the key.
pub fn rows(text: &str, pattern: &str) -> Vec<Row> {
    // The loader has compiled it, so that it is valid.
    let Ok(pattern) = Regex::new(pattern) else { return Vec::new() };
    let names: Vec<&str> = pattern.capture_names().flatten().collect();
    let row = |line: &str| {
        let captures = pattern.captures(line)?;
        let text = |name: &str| captures.name(name).map(|found| found.as_str());
        let mut row = Row::new(text("key")?);
        names.iter().filter_map(|name| Some((name, text(name)?))).for_each(|(name, text)| row.set(name, text));
        Some(row)
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:        4045676 kB\nMemFree:         2211 kB\n";

    #[test]
    fn a_value_is_the_text_a_line_or_a_word() {
        let text = |line: Option<&str>, word| excerpt(MEMINFO, line, word);
        assert_eq!(text(Some("MemTotal:"), Some(2)), Some("4045676"));
        assert_eq!(text(Some("MemFree:"), None), Some("MemFree:         2211 kB"));
        assert_eq!(text(None, Some(4)), Some("MemFree:"));
        assert_eq!(text(Some("Swap:"), Some(2)), None);
        assert_eq!(text(None, Some(99)), None);
        assert_eq!(text(None, Some(0)), None);
        assert_eq!(excerpt("Board\0", None, None), Some("Board"));
    }

    #[test]
    fn the_lines_that_match_are_rows() {
        let found = rows("# leases\n1 aa:bb x\n2 cc:dd y\nbroken\n", r"^(?<end>\d+) (?<key>\S+) (?<name>\S+)$");
        let keys: Vec<&str> = found.iter().map(|row| row.key.as_str()).collect();
        assert_eq!(keys, ["aa:bb", "cc:dd"]);
        assert_eq!(found[1].get("name"), Some("y"));
        assert_eq!(found[1].get("end"), Some("2"));
    }
}
