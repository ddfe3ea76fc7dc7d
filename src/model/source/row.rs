//! Rows: named texts of the device that belong together.

use crate::model::value::decimal;

/// The room for the first fields of a row, and for their names and texts: most rows need no more.
const ROOM: usize = 128;
const FIELDS: usize = 8;

/// The fields of one instance of a table, or the only fields of a source without rows.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The name of the row on the device, such as that of a network interface. Empty in a source without rows.
    pub key: String,
    // A whole read has thousands of fields, each of which would cost two allocations.
    /// The names and texts of all fields.
    texts: String,
    fields: Vec<Field>,
    /// The texts that were replaced, or grew behind another field.
    apart: Vec<String>,
}

/// The places of a field in `Row::texts`.
#[derive(Clone, Copy, Debug)]
struct Field {
    start: u32,
    /// The length of the name, which the text follows.
    name: u32,
    text: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// The text with this end follows the name.
    Here(u32),
    /// The text with this index is in `Row::apart`.
    Apart(u32),
}

impl Row {
    /// Creates a row without fields.
    pub fn new(key: impl Into<String>) -> Row {
        Row { key: key.into(), ..Row::default() }
    }

    /// Adds a field.
    pub fn set(&mut self, name: impl AsRef<str>, text: impl AsRef<str>) {
        self.add(name.as_ref(), text.as_ref());
    }

    /// Adds a field that is a number.
    pub fn set_number(&mut self, name: &str, number: u64) {
        self.set(name, decimal(number, &mut [0; 20]));
    }

    fn add(&mut self, name: &str, text: &str) {
        if self.fields.is_empty() {
            self.texts.reserve(ROOM);
            self.fields.reserve(FIELDS);
        }
        let start = self.texts.len() as u32;
        self.texts.push_str(name);
        self.texts.push_str(text);
        self.fields.push(Field { start, name: name.len() as u32, text: Place::Here(self.texts.len() as u32) });
    }

    /// Gives a field another text, or adds it.
    pub fn replace(&mut self, name: &str, text: &str) {
        match self.position(name) {
            Some(at) => text.clone_into(self.text_apart(at)),
            None => self.set(name, text),
        }
    }

    /// Appends a word to the text of a field. Returns false if there is no such field.
    pub(super) fn append(&mut self, name: &str, word: &str) -> bool {
        let Some(at) = self.position(name) else { return false };
        let end = self.texts.len() as u32;
        if let Place::Here(own) = self.fields[at].text
            && own == end
        {
            self.texts.extend([" ", word]);
            self.fields[at].text = Place::Here(self.texts.len() as u32);
        } else {
            self.text_apart(at).extend([" ", word]);
        }
        true
    }

    /// Returns the text of a field, to be changed.
    fn text_apart(&mut self, at: usize) -> &mut String {
        let apart = match self.fields[at].text {
            Place::Apart(apart) => apart as usize,
            Place::Here(_) => {
                self.apart.push(self.text(&self.fields[at]).to_owned());
                self.fields[at].text = Place::Apart(self.apart.len() as u32 - 1);
                self.apart.len() - 1
            }
        };
        &mut self.apart[apart]
    }

    /// Returns the text of a field; `.` is the key.
    pub fn get(&self, name: &str) -> Option<&str> {
        if name == "." {
            return Some(&self.key);
        }
        self.position(name).map(|at| self.text(&self.fields[at]))
    }

    /// Returns the fields with their texts, in the order in which they were added.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (self.name(field), self.text(field)))
    }

    fn position(&self, name: &str) -> Option<usize> {
        let (texts, length) = (self.texts.as_bytes(), name.len() as u32);
        // By the bytes, since a check for whole characters would cost more than the comparison.
        let is_it = |field: &Field| field.name == length && texts[field.start as usize..].starts_with(name.as_bytes());
        self.fields.iter().position(is_it)
    }

    fn name(&self, field: &Field) -> &str {
        &self.texts[field.start as usize..(field.start + field.name) as usize]
    }

    fn text(&self, field: &Field) -> &str {
        match field.text {
            Place::Here(end) => &self.texts[(field.start + field.name) as usize..end as usize],
            Place::Apart(apart) => &self.apart[apart as usize],
        }
    }
}

/// Rows with the same texts are equal, wherever these lie.
impl PartialEq for Row {
    fn eq(&self, other: &Row) -> bool {
        self.key == other.key && self.fields().eq(other.fields())
    }
}

impl Eq for Row {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_texts() {
        let mut row = Row::new("eth0");
        row.set("name", "eth0");
        row.set("empty", "");
        row.set_number("zero", 0);
        row.set_number("most", u64::MAX);
        let texts = ["name", "empty", "zero", "most", ".", "nam", "none"].map(|name| row.get(name));
        let most = Some("18446744073709551615");
        assert_eq!(texts, [Some("eth0"), Some(""), Some("0"), most, Some("eth0"), None, None]);
    }

    #[test]
    fn a_changed_text_is_that_of_its_field_alone() {
        let mut row = Row::new("");
        row.set("a", "1");
        row.set("b", "2");
        assert!(row.append("b", "3") && row.append("a", "4") && row.append("b", "5") && row.append("a", "6"));
        assert!(!row.append("c", "7"));
        row.set("c", "8");
        row.replace("b", "");
        row.replace("d", "9");
        let fields = [("a", "1 4 6"), ("b", ""), ("c", "8"), ("d", "9")];
        assert!(row.fields().eq(fields), "{row:?}");
        let mut same = Row::new("");
        fields.iter().for_each(|(name, text)| same.set(name, text));
        assert_eq!(row, same);
        same.replace("d", "other");
        assert_ne!(row, same);
    }
}
