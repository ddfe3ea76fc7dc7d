//! The grammar that challenges and credentials share (RFC 9110 §11.2): schemes, parameters, token68.

use std::fmt;

/// An item of a `WWW-Authenticate` or `Authorization` value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AuthItem<'a> {
    /// The name of a scheme, to which the following items belong.
    Scheme(&'a str),
    /// A parameter `name=value` or `name="value"`, without quotes and escapes.
    Param(&'a str, String),
    /// The single base64 text of schemes such as Basic and Negotiate.
    Token68(&'a str),
}

/// An iterator over the items of a header value. Text that fits no rule is skipped up to the next comma, so that one
/// malformed challenge does not hide the next.
pub(super) struct AuthItems<'a> {
    rest: &'a str,
    /// True right after a scheme, where a token68 may follow.
    after_scheme: bool,
}

impl<'a> AuthItems<'a> {
    pub(super) fn of(value: &'a str) -> AuthItems<'a> {
        AuthItems { rest: value, after_scheme: false }
    }

    /// Takes a parameter `name = value` from the start of the rest, if there is one.
    fn param(&mut self) -> Option<AuthItem<'a>> {
        let (name, after) = split_while(self.rest, is_token);
        // RFC 9110 §5.6.3: a recipient accepts white space around the equals sign.
        let after = after.trim_start_matches(is_blank).strip_prefix('=')?;
        let after = after.trim_start_matches(is_blank);
        if name.is_empty() {
            return None;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                // Wider than a token, because servers leave base64 nonces and URIs unquoted.
                let (value, after) = split_while(after, |c| !is_blank(c) && c != ',');
                (value.to_owned(), after)
            }
        };
        self.rest = after;
        Some(AuthItem::Param(name, value))
    }

    /// Takes a token68 that fills its element, if there is one: `abc==`, but not `realm=x`.
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

    /// Takes the name of a scheme, if there is one.
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
            // A comma ends the position at which a token68 may stand.
            let may_be_token68 = std::mem::take(&mut self.after_scheme) && !begun.starts_with(',');
            self.rest = begun.trim_start_matches(|c| is_blank(c) || c == ',');
            if self.rest.is_empty() {
                return None;
            }
            if may_be_token68 && let Some(piece) = self.token68() {
                return Some(piece);
            }
            // Parameters first, because the name of one alone has the form of a scheme.
            if let Some(piece) = self.param() {
                return Some(piece);
            }
            if let Some(piece) = self.scheme() {
                self.after_scheme = true;
                return Some(piece);
            }
            // Nothing fits: the next element may be valid again.
            let (_, after) = split_while(self.rest, |c| c != ',');
            self.rest = after;
        }
    }
}

/// A value in quotes, as in a header.
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

/// Returns a text in UTF-8 as an extended value (RFC 8187 §3.2): `UTF-8''M%C3%BCller`.
pub(super) fn extended(text: &str) -> String {
    let mut value = "UTF-8''".to_owned();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            true => value.push(byte.into()),
            false => value += &format!("%{byte:02X}"),
        }
    }
    value
}

/// Returns the octets of an extended value in UTF-8 as a text of a header; `None` if it is none.
pub(super) fn parse_extended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let mut parts = encoded.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        text.push(u8::from_str_radix(digits, 16).ok()?.into());
        text += &part[2..];
    }
    Some(text)
}

/// Returns the text up to the closing quote with its escapes resolved, and the rest. Without a closing quote, the text
/// ends with the header.
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

/// Splits the text after its longest prefix of accepted characters.
fn split_while(text: &str, accept: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !accept(c)).unwrap_or(text.len()))
}

/// Returns true for a character of a token (RFC 9110 §5.6.2).
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Returns true for the white space of a header.
fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}
