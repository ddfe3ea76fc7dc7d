//! Texts of other programs, such as the body of an error response, made fit for one line of the log or of a command.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// The bytes of a foreign message that [`words_of`] reads.
pub(crate) const MAX_EXCERPT: usize = 2048;
/// The longest text of [`words_of`], in characters.
const MAX_WORDS: usize = 200;

/// Returns bytes as a text, in which those that are no UTF-8 become U+FFFD.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // The lossy function of std looks at each byte; nearly all texts are valid.
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Returns bytes as a text, as [`lossy`] does.
pub(crate) fn owned_lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Returns the text on one line of at most `max` characters: a run of white space and control characters becomes one
/// space, invisible characters are left out, and a longer text is cut with an ellipsis.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    let mut is_space_due = false;
    for c in text.chars().filter(|c| !is_invisible(*c)) {
        if c.is_whitespace() || c.is_control() {
            is_space_due = length > 0;
            continue;
        }
        if length + usize::from(is_space_due) >= max {
            line.push('…');
            break;
        }
        if std::mem::take(&mut is_space_due) {
            line.push(' ');
            length += 1;
        }
        line.push(c);
        length += 1;
    }
    line
}

/// A text in double quotes on one line, with quotes, backslashes and what no terminal shows escaped as in Rust.
///
/// It stands in for `{:?}`, which builds for gateways leave empty.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '\'' => f.write_char(c)?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        f.write_char('"')
    }
}

/// Returns true for the characters that change the direction or the joining of the text around them: a terminal would
/// show another text than the log holds.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Returns the first words of an HTML, XML or plain text on one line, without the tags. Bytes that are no text give the
/// empty text.
pub(crate) fn words_of(body: &[u8]) -> String {
    one_line(&without_tags(&body[..body.len().min(MAX_EXCERPT)]), MAX_WORDS)
}

/// Appends the words that explain an error, if there are any.
pub(crate) fn with_words(error: &str, words: &str) -> String {
    if words.is_empty() { error.to_owned() } else { format!("{error}: \"{words}\"") }
}

/// Returns an error without the words that [`with_words`] has appended, for a record that holds no text of a foreign body.
pub(crate) fn without_words(error: &str) -> &str {
    error.split_once(": \"").map_or(error, |(error, _)| error)
}

/// Returns the text with a space in place of each tag.
fn without_tags(body: &[u8]) -> String {
    // The body may be cut in the middle of a character, which becomes one replacement character at the end.
    let text = String::from_utf8_lossy(body);
    let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
    if text.contains(['\0', char::REPLACEMENT_CHARACTER]) {
        return String::new();
    }
    let mut words = String::with_capacity(text.len());
    let mut is_tag = false;
    for c in text.chars() {
        match c {
            '<' => is_tag = true,
            '>' if is_tag => {
                is_tag = false;
                words.push(' ');
            }
            c if !is_tag => words.push(c),
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_that_of_debug() {
        for text in ["", "plain", "a\"b'c\\d", "line\nend\r\t\0\u{1b}", "\u{202e}\u{301}é漢\u{7f}"] {
            assert_eq!(Quoted(text).to_string(), format!("{text:?}"));
        }
    }

    #[test]
    fn a_text_is_one_line_of_bounded_length() {
        assert_eq!(one_line(" a\r\n\t b\u{1b}[31m\u{202e}c ", 99), "a b [31mc");
        assert_eq!(one_line("", 9), "");
        assert_eq!(one_line("ünïcode", 7), "ünïcode");
        assert_eq!(one_line("ünïcode x", 7), "ünïcode…");
        assert_eq!(one_line(&"a ".repeat(1_000_000), 4), "a a…");
        assert_eq!(one_line("a\u{2028}b", 9), "a b");
    }

    #[test]
    fn tags_are_no_words() {
        let page = b"<html><head><title>403 Forbidden</title></head>\r\n<body><h1>Unknown device</h1></body></html>";
        assert_eq!(words_of(page), "403 Forbidden Unknown device");
        assert_eq!(words_of(b"a > b"), "a > b");
        assert_eq!(words_of(b"<a <b"), "");
        assert_eq!(words_of(&[b'x'; 5000]).chars().count(), MAX_WORDS + 1);
        assert_eq!(words_of(&"gerät".as_bytes()[..5]), "ger\u{e4}");
        assert_eq!(words_of(&"gerät".as_bytes()[..4]), "ger");
        assert_eq!(words_of(b"\x7fELF\0\0"), "");
        assert_eq!(words_of(b"\xff\xfeword"), "");
    }
}
