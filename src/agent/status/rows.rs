//! The rows of the status: the one list from which both the text and the JSON are made.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Value as Json};

/// The rows in the order of the text. The JSON is an object and has its members in alphabetical order.
#[derive(Default)]
pub(super) struct StatusRows(Vec<StatusRow>);

/// A value of the status.
struct StatusRow {
    /// The member of the JSON object, such as `retryCount` or `acs.url`; empty if only the text has the value.
    key: &'static str,
    value: Json,
    /// The label of the line; empty if only the JSON has the value.
    label: Cow<'static, str>,
    text: String,
}

impl StatusRows {
    /// Adds a value for both forms.
    pub(super) fn add(
        &mut self,
        key: &'static str,
        label: impl Into<Cow<'static, str>>,
        value: impl Into<Json>,
        text: impl Into<String>,
    ) {
        self.push(StatusRow { key, value: value.into(), label: label.into(), text: text.into() });
    }

    /// Adds a row. `add` is compiled for each combination of types, and this part only once.
    #[inline(never)]
    fn push(&mut self, row: StatusRow) {
        self.0.push(row);
    }

    /// Adds a value that reads alike in both forms.
    pub(super) fn add_text(&mut self, key: &'static str, label: &'static str, text: &str) {
        self.add(key, label, text, text);
    }

    /// Adds a member that only the JSON has.
    pub(super) fn add_member(&mut self, key: &'static str, value: impl Into<Json>) {
        self.add(key, "", value, "");
    }

    /// Adds a line that only the text has.
    pub(super) fn add_line(&mut self, label: impl Into<Cow<'static, str>>, text: impl Into<String>) {
        self.add("", label, Json::Null, text);
    }

    /// Returns the text: a line of label and value for each row.
    pub(super) fn text(&self) -> String {
        // About the length of a usual status, so that the string rarely grows.
        let mut output = String::with_capacity(1024);
        for row in self.0.iter().filter(|row| !row.label.is_empty()) {
            // Some values come from the network. Without control characters they stay on their line and cannot move the
            // cursor of a terminal.
            let text: String = row.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let text = if text.is_empty() { "-" } else { &text };
            // Writing to a String cannot fail.
            let _ = writeln!(output, "{:<14} {text}", row.label);
        }
        output
    }

    /// Returns the JSON object. A dot in a key separates the name of a nested object from that of its member.
    pub(super) fn json(self) -> Json {
        let mut root = Map::new();
        for row in self.0.into_iter().filter(|row| !row.key.is_empty()) {
            let (object, name) = match row.key.split_once('.') {
                None => (Some(&mut root), row.key),
                Some((object, name)) => {
                    (root.entry(object).or_insert_with(|| Json::Object(Map::new())).as_object_mut(), name)
                }
            };
            // `None` means that a value has the name of the object: no row does that.
            if let Some(object) = object {
                object.insert(name.to_owned(), row.value);
            }
        }
        Json::Object(root)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_and_json_come_from_the_same_rows() {
        let mut rows = StatusRows::default();
        rows.add_text("acs.url", "ACS", "http://h/");
        rows.add_member("acs.enabled", true);
        rows.add("retryCount", "retry count", 3, "3");
        rows.add_line("  note", "a\nb");
        rows.add_text("name", "name", "");
        assert_eq!(rows.text(), "ACS            http://h/\nretry count    3\n  note         a b\nname           -\n");
        let expected = json!({ "acs": { "url": "http://h/", "enabled": true }, "retryCount": 3, "name": "" });
        assert_eq!(rows.json(), expected);
    }
}
