//! The text of a trace: recorded sessions, in a form that a person reads and an editor shortens.
//!
//! ```text
//! agent ── header, session, request, response, end ──▶ lines ──▶ control socket ──▶ file
//! file  ── read ──▶ Trace ──▶ replay
//! ```
//!
//! `docs/trace.md` describes the format. This module only writes and reads texts: the agent takes the secrets out of the
//! messages before (`cwmp::soap::masked`), and out of the header fields here.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value as Json;

use crate::foreign_text::without_words;
use crate::secret::MASK;
use crate::url::without_secrets;

/// The first line of a trace. A program that reads it refuses any other number.
pub const FIRST_LINE: &str = "cpe-agent trace 1";

/// The most bytes of the lines before the first session, about: a state of a few thousand values.
const MAX_HEADER: usize = 256 << 10;

/// The space before a line of a header field, and before one of a message.
pub(crate) const FIELD: &str = "  ";
pub(crate) const BODY: &str = "    ";
/// The beginning of the line in place of a message.
pub(crate) const LEFT_OUT: &str = "(message of ";
/// The reason of a message that was too long to be traced.
pub(crate) const TOO_LONG: &str = "it is too long";

/// The state of the agent at the start of a trace, on which its responses depend.
pub struct Start<'a> {
    /// The date, in UTC.
    pub date: &'a str,
    /// The data-model files.
    pub models: Vec<String>,
    /// The factory values of the configuration that are no secrets.
    pub factory_values: Vec<(String, String)>,
    /// The stored changes since the factory state, in the form of the journal, without secrets.
    pub changes: Vec<Json>,
    /// The values that the agent itself has found, such as its addresses.
    pub runtime_values: Vec<(String, String)>,
}

/// Returns the lines before the first session.
pub fn header(start: &Start<'_>) -> String {
    let mut text = format!("{FIRST_LINE}\nversion {}\ndate {}\n", env!("CARGO_PKG_VERSION"), start.date);
    let mut left_out = 0;
    let mut line = |word: &str, value: &str| {
        if text.len() + value.len() > MAX_HEADER {
            left_out += 1;
            return;
        }
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "{word} {}", one_line(value));
    };
    start.models.iter().for_each(|model| line("model", model));
    start.factory_values.iter().for_each(|(name, value)| line("set", &format!("{name}={value}")));
    start.runtime_values.iter().for_each(|(name, value)| line("value", &format!("{name}={value}")));
    start.changes.iter().for_each(|change| line("stored", &change.to_string()));
    if left_out > 0 {
        let _ = writeln!(text, "# {left_out} more lines are left out");
    }
    text
}

/// Returns the line that begins a session.
pub fn session(date: &str, url: &str, events: &str) -> String {
    format!("\nsession {date} {url} {events}\n")
}

/// Returns the lines of a request of the CPE, `at` after the start of the session.
pub fn request(at: Duration, message: &str) -> String {
    let mut text = format!("> {} POST\n", seconds(at));
    body(message, &mut text);
    text
}

/// Returns the lines of a response of the ACS.
pub fn response(at: Duration, status: u16, fields: &[String], message: &str) -> String {
    let mut text = format!("< {} {status}\n", seconds(at));
    fields.iter().for_each(|field| {
        let _ = writeln!(text, "{FIELD}{}", one_line(field));
    });
    body(message, &mut text);
    text
}

/// Returns the line that stands for a message without one: its length, and the reason.
pub fn left_out(length: usize, reason: &str) -> String {
    format!("{LEFT_OUT}{length} bytes left out: {})", one_line(reason))
}

/// Returns the line that ends a session.
pub fn end(at: Duration, error: Option<&str>) -> String {
    format!(
        "end {} {}\n",
        seconds(at),
        error.map_or("ok".to_owned(), |error| format!("failed: {}", one_line(without_words(error))))
    )
}

/// Returns the line in place of entries that the reader was too slow for.
pub fn lost(entries: usize) -> String {
    format!("lost {entries}\n")
}

fn seconds(at: Duration) -> String {
    format!("+{}.{:03}", at.as_secs(), at.subsec_millis())
}

fn body(message: &str, text: &mut String) {
    // Not `lines`, which would cut off a carriage return and the last empty line.
    for line in message.split('\n').filter(|_| !message.is_empty()) {
        let _ = writeln!(text, "{BODY}{line}");
    }
}

/// Replaces line ends and other control characters: a text from the network must not begin a line of its own.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The header fields of a response that a trace shows.
const FIELDS: [&str; 9] = [
    "authentication-info",
    "connection",
    "content-type",
    "date",
    "location",
    "retry-after",
    "server",
    "set-cookie",
    "www-authenticate",
];

/// Returns a header field as a trace shows it, without secrets; `None` for a field that does not matter. `name` is in lower
/// case.
pub fn field(name: &str, value: &str) -> Option<String> {
    if !FIELDS.contains(&name) {
        return None;
    }
    let shown = match name {
        // The value may be the key to the session; the attributes are no secret.
        "set-cookie" => cookie(value),
        // A nonce belongs to one response, and its digest lets guess the password.
        "authentication-info" => MASK.to_owned(),
        "www-authenticate" => without_nonce(value),
        "location" => match (without_secrets(value), value.split_once('?')) {
            (Some(shown), _) => shown,
            (None, Some((path, _))) => [path, "?", MASK].concat(),
            (None, None) => value.to_owned(),
        },
        _ => value.to_owned(),
    };
    Some(format!("{name}: {shown}"))
}

/// Returns the value of `Set-Cookie` with the names of cookies and attributes, and the values of harmless attributes.
fn cookie(value: &str) -> String {
    let shown = value.split(';').map(|part| {
        let Some((name, _)) = part.split_once('=') else { return part.to_owned() };
        let plain = ["path", "domain", "expires", "max-age", "samesite"];
        // `Expires` has a comma, behind which another cookie may begin; it is no secret of one.
        match plain.contains(&name.trim().to_ascii_lowercase().as_str()) && !part.contains(',') {
            true => part.to_owned(),
            false => format!("{name}={MASK}"),
        }
    });
    shown.collect::<Vec<_>>().join(";")
}

/// Returns a challenge with [`MASK`] in place of `nonce` and `opaque`, which a replay answers like any other.
fn without_nonce(value: &str) -> String {
    let mut text = String::new();
    let mut rest = value;
    // A value in quotes ends at the next quote; a backslash before it is part of neither a nonce nor an opaque value.
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit([' ', ',', '\t']).next().unwrap_or_default();
        let end = match after.strip_prefix('"') {
            Some(quoted) => quoted.find('"').map_or(after.len(), |end| end + 2),
            None => after.find([',', ' ']).unwrap_or(after.len()),
        };
        let is_secret = name.eq_ignore_ascii_case("nonce") || name.eq_ignore_ascii_case("opaque");
        let shown = if is_secret { format!("\"{MASK}\"") } else { after[..end].to_owned() };
        let _ = write!(text, "{before}={shown}");
        rest = &after[end..];
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_shown_without_secrets() {
        let shown = |name: &str, value: &str| field(name, value).unwrap_or_default();
        assert_eq!(shown("set-cookie", "sid=hunter2; Path=/; Secure"), "set-cookie: sid=********; Path=/; Secure");
        assert_eq!(shown("set-cookie", "a=hunter2, b=hunter3; expires=x, c=hunter4").find("hunter"), None);
        assert_eq!(
            shown("www-authenticate", "Digest realm=\"a=b, c\", nonce=\"hunter2\", opaque=hunter3, qop=\"auth\""),
            "www-authenticate: Digest realm=\"a=b, c\", nonce=\"********\", opaque=\"********\", qop=\"auth\""
        );
        assert_eq!(shown("www-authenticate", "Basic realm=\"x\""), "www-authenticate: Basic realm=\"x\"");
        assert_eq!(shown("location", "http://a:hunter2@h/p?k=hunter3"), "location: http://********@h/p?********");
        assert_eq!(shown("location", "/p?k"), "location: /p?********");
        assert_eq!(shown("retry-after", "5"), "retry-after: 5");
        assert_eq!(field("x-token", "hunter2"), None);
    }

    #[test]
    fn a_text_of_the_network_begins_no_line() {
        let text = response(Duration::from_millis(1234), 200, &["server: a\nend +0 ok".into()], "<a>\nend\n</a>\n");
        assert_eq!(text, "< +1.234 200\n  server: a end +0 ok\n    <a>\n    end\n    </a>\n    \n");
        assert_eq!(end(Duration::ZERO, Some("x\ny")), "end +0.000 failed: x y\n");
        assert_eq!(request(Duration::ZERO, ""), "> +0.000 POST\n");
    }
}
