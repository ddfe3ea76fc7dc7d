//! JSON in error messages: the name of the type of a value, and the pointer to it.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_and_a_slash_are_escaped() {
        assert_eq!(escape("a/b~c"), "a~1b~0c");
        assert_eq!(escape("~1"), "~01");
        assert_eq!(escape("größer"), "größer");
    }
}
