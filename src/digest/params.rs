//! The grammar that challenges and credentials share (RFC 9110 §11.2): schemes, parameters, token68.

use std::fmt;

/// One piece of a `WWW-Authenticate` or `Authorization` value, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AuthItem<'a> {
    /// A scheme begins: what follows belongs to it.
    Scheme(&'a str),
    /// `name=value` or `name="value"`, the value without its quotes and escapes.
    Param(&'a str, String),
    /// The single base64 text of schemes such as Basic and Negotiate.
    Token68(&'a str),
}

/// Splits a header value into pieces. Text that fits no rule is skipped up to the next comma, so
/// that one odd challenge does not hide the next.
pub(super) struct AuthItems<'a> {
    rest: &'a str,
    /// A scheme stood just before: a token68 may follow.
    after_scheme: bool,
}

impl<'a> AuthItems<'a> {
    pub(super) fn of(value: &'a str) -> AuthItems<'a> {
        AuthItems { rest: value, after_scheme: false }
    }

    /// `name = value` at the start of the rest, or nothing taken.
    fn param(&mut self) -> Option<AuthItem<'a>> {
        let (name, after) = split_while(self.rest, is_token);
        let after = after.trim_start_matches(is_blank).strip_prefix('=')?;
        let after = after.trim_start_matches(is_blank);
        if name.is_empty() {
            return None;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                // Wider than a token: servers leave base64 nonces and URIs unquoted.
                let (value, after) = split_while(after, |c| !is_blank(c) && c != ',');
                (value.to_owned(), after)
            }
        };
        self.rest = after;
        Some(AuthItem::Param(name, value))
    }

    /// A token68 that fills its element, or nothing taken: `abc==` but not `realm=x`.
    fn token68(&mut self) -> Option<AuthItem<'a>> {
        let element = self.rest.split(',').next().unwrap_or_default();
        let element = element.trim_matches(is_blank);
        let text = element.trim_end_matches('=');
        let is_char = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        if text.is_empty() || !text.chars().all(is_char) {
            return None;
        }
        self.rest = &self.rest[self.rest.find(',').unwrap_or(self.rest.len())..];
        Some(AuthItem::Token68(element))
    }

    fn scheme(&mut self) -> Option<AuthItem<'a>> {
        let (name, after) = split_while(self.rest, is_token);
        if name.is_empty() || !after.chars().next().is_none_or(|c| is_blank(c) || c == ',') {
            return None;
        }
        self.rest = after;
        Some(AuthItem::Scheme(name))
    }
}

impl<'a> Iterator for AuthItems<'a> {
    type Item = AuthItem<'a>;

    fn next(&mut self) -> Option<AuthItem<'a>> {
        loop {
            let begun = self.rest.trim_start_matches(is_blank);
            // A comma ends the place where a token68 may stand.
            let may_be_token68 = std::mem::take(&mut self.after_scheme) && !begun.starts_with(',');
            self.rest = begun.trim_start_matches(|c| is_blank(c) || c == ',');
            if self.rest.is_empty() {
                return None;
            }
            if may_be_token68 && let Some(piece) = self.token68() {
                return Some(piece);
            }
            if let Some(piece) = self.param() {
                return Some(piece);
            }
            if let Some(piece) = self.scheme() {
                self.after_scheme = true;
                return Some(piece);
            }
            let (_, after) = split_while(self.rest, |c| c != ',');
            self.rest = after;
        }
    }
}

/// A value in quotes, as it is written into a header.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for part in self.0.split_inclusive(['"', '\\']) {
            match part.strip_suffix(['"', '\\']) {
                Some(plain) => write!(f, "{plain}\\{}", &part[plain.len()..])?,
                None => f.write_str(part)?,
            }
        }
        f.write_str("\"")
    }
}

/// The text up to the closing quote, escapes resolved, and what follows. A missing closing quote
/// ends at the end of the header.
fn unquote(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    (value, "")
}

fn split_while(text: &str, accept: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !accept(c)).unwrap_or(text.len()))
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}
