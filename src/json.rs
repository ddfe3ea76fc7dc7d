//! JSON: the reason why a text is none, the name of the type of a value, the pointer to it, and the parts of a value.

use std::fmt;

use serde_json::{Map, Value as Json};

/// The type of a JSON value. `Display` writes it with its article, for an error message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonType {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A whole number or a fraction.
    Number,
    /// A string.
    String,
    /// A list; RFC 8259 calls it an array.
    List,
    /// An object.
    Object,
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // "A list" as in the description of the file formats, whose readers need not know the terms of RFC 8259.
        f.write_str(match self {
            JsonType::Null => "null",
            JsonType::Boolean => "a boolean",
            JsonType::Number => "a number",
            JsonType::String => "a string",
            JsonType::List => "a list",
            JsonType::Object => "an object",
        })
    }
}

/// The begin of each error of serde_json that a text can cause, and the reason in words for the author of a file.
const REASONS: [(&str, &str); 17] = [
    ("EOF", "the text ends too early"),
    ("expected `:`", "a colon is missing behind a name"),
    ("expected `,` or `]`", "a comma or the end of a list is missing"),
    ("expected `,` or `}`", "a comma or the end of an object is missing"),
    ("expected ident", "a word is none of `true`, `false` and `null`; a string needs double quotes"),
    ("expected value", "a value is missing or malformed; a string needs double quotes"),
    ("key must be", "a name in double quotes is missing"),
    ("trailing comma", "a comma stands behind the last one"),
    ("trailing characters", "a text stands behind the end"),
    ("control character", "a string holds a line end or another control character"),
    ("invalid escape", "a backslash begins no character of JSON"),
    ("invalid unicode", "`\\u` is not followed by the number of a character"),
    ("lone leading", "`\\u` is not followed by the number of a character"),
    ("unexpected end of hex", "`\\u` is not followed by the number of a character"),
    ("invalid number", "a number is malformed"),
    ("number out of range", "a number is too large"),
    ("recursion", "lists and objects are nested too deep"),
];

/// Returns the reason why a text is not JSON, behind line and column.
pub(crate) fn syntax_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let known = REASONS.iter().find(|(begin, _)| text.starts_with(begin));
    let reason = known.map_or("the rules of JSON are broken", |(_, reason)| reason);
    format!("line {}, column {}: {reason}", error.line(), error.column())
}

/// Returns a member name as one reference token of a JSON pointer (RFC 6901 §3).
pub(crate) fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    push_escaped(&mut escaped, name);
    escaped
}

/// Appends a member name to a JSON pointer, escaped (RFC 6901 §3).
pub(crate) fn push_escaped(pointer: &mut String, name: &str) {
    // `~` goes first: the `~1` of an escaped slash must not be escaped again.
    if name.bytes().any(|byte| matches!(byte, b'~' | b'/')) {
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(name);
    }
}

/// Returns an object with these members.
#[inline(always)]
pub(crate) fn object<const N: usize>(mut members: [(&str, Json); N]) -> Json {
    // Not by `json!`, whose expansion is compiled anew for each member. Only this line is compiled for each number of members.
    take_members(&mut members, |_| true)
}

/// Returns an object with these members, without those that are null, false or an empty list.
#[inline(always)]
pub(crate) fn short_object<const N: usize>(mut members: [(&str, Json); N]) -> Json {
    take_members(&mut members, |value| match value {
        Json::Null | Json::Bool(false) => false,
        Json::Array(items) => !items.is_empty(),
        _ => true,
    })
}

fn take_members(members: &mut [(&str, Json)], is_kept: fn(&Json) -> bool) -> Json {
    // Not by `collect`, which sorts the members first.
    let mut object = Map::new();
    for (name, value) in members {
        if is_kept(value) {
            object.insert((*name).to_owned(), value.take());
        }
    }
    Json::Object(object)
}

/// Returns a list of these texts.
pub(crate) fn list_of_texts(texts: &mut dyn Iterator<Item = &String>) -> Json {
    Json::Array(texts.map(|text| text.as_str().into()).collect())
}

/// Returns a list of a list of two texts for each pair.
pub(crate) fn pairs_to_json(pairs: &[(String, String)]) -> Json {
    pairs.iter().map(|(name, value)| Json::Array(vec![name.as_str().into(), value.as_str().into()])).collect()
}

/// Reads the pairs of [`pairs_to_json`], and leaves out other items.
pub(crate) fn pairs_from_json(items: &[Json]) -> Vec<(String, String)> {
    items.iter().filter_map(|pair| Some((text(pair.get(0))?, text(pair.get(1))?))).collect()
}

/// Returns the items of a list; none of another value.
pub(crate) fn items(json: Option<&Json>) -> &[Json] {
    json.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// Returns a text; `None` for another value.
pub(crate) fn text(json: Option<&Json>) -> Option<String> {
    json.and_then(Json::as_str).map(str::to_owned)
}

/// Returns the texts in a list, and leaves out other values.
pub(crate) fn texts(json: Option<&Json>) -> Vec<String> {
    items(json).iter().filter_map(|item| text(Some(item))).collect()
}

/// Returns a whole number; `None` for another value.
pub(crate) fn number(json: Option<&Json>) -> Option<u32> {
    json.and_then(Json::as_u64).and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_in_words_with_its_place() {
        let deep = "[".repeat(1000);
        for (text, expected) in [
            ("", "line 1, column 0: the text ends too early"),
            ("{\"a\": [\n1,", "line 2, column 2: the text ends too early"),
            ("{\"a\" 1}", "line 1, column 6: a colon is missing behind a name"),
            ("[1 2]", "line 1, column 4: a comma or the end of a list is missing"),
            ("{\"a\": 1 \"b\": 2}", "line 1, column 9: a comma or the end of an object is missing"),
            ("[nul]", "line 1, column 5: a word is none of `true`, `false` and `null`; a string needs double quotes"),
            ("['a']", "line 1, column 2: a value is missing or malformed; a string needs double quotes"),
            ("{a: 1}", "line 1, column 2: a name in double quotes is missing"),
            ("{\"a\": 1,}", "line 1, column 9: a comma stands behind the last one"),
            ("{} x", "line 1, column 4: a text stands behind the end"),
            ("\"a\nb\"", "line 2, column 0: a string holds a line end or another control character"),
            ("\"\\x\"", "line 1, column 3: a backslash begins no character of JSON"),
            ("\"\\ud800\"", "line 1, column 8: `\\u` is not followed by the number of a character"),
            ("\"\\ud800\\u0041\"", "line 1, column 13: `\\u` is not followed by the number of a character"),
            ("01", "line 1, column 2: a number is malformed"),
            ("1e999", "line 1, column 5: a number is too large"),
            (&deep, "line 1, column 128: lists and objects are nested too deep"),
        ] {
            let error = serde_json::from_str::<serde_json::Value>(text).expect_err("no JSON");
            assert_eq!(syntax_error(&error), expected, "{text}: {error}");
        }
    }

    #[test]
    fn a_tilde_and_a_slash_are_escaped() {
        assert_eq!(escape("a/b~c"), "a~1b~0c");
        assert_eq!(escape("~1"), "~01");
        assert_eq!(escape("größer"), "größer");
    }
}
