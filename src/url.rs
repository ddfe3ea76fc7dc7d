//! An `http` or `https` URL, parsed into its parts.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::secret::MASK;

/// An absolute URL that can be contacted (R10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    tls: bool,
    host: Host,
    port: u16,
    target: String,
}

/// The host of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A DNS name in lower case letters.
    Name(String),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

/// The reason for which a text is no URL that can be contacted (R10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError {
    reason: String,
}

impl UrlError {
    /// Returns the text without its secret parts, and the reason for its rejection.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unusable URL: {}", self.reason)
    }
}

impl std::error::Error for UrlError {}

impl Url {
    /// Parses an absolute URL. User name and password are ignored, since the credentials are parameters of their own; a
    /// fragment is dropped; characters that must not occur in a request line are percent-encoded. Escapes and `@` in the
    /// path stay as they are.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        let reject = |reason: &str| UrlError { reason: format!("'{}' {reason}", redacted(text)) };
        let trimmed = text.trim();
        let Some((scheme, rest)) = trimmed.split_once("://") else {
            return Err(reject("does not begin with http:// or https://"));
        };
        let tls = match scheme {
            s if s.eq_ignore_ascii_case("http") => false,
            s if s.eq_ignore_ascii_case("https") => true,
            _ => return Err(reject("is neither http nor https")),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // The last `@` counts: a password may contain one.
        let address = authority.rsplit('@').next().unwrap_or(authority);
        let (host, port) = split_port(address).ok_or_else(|| reject("has no valid host"))?;
        let port = match port {
            "" if tls => 443,
            "" => 80,
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(reject("has no valid port")),
            },
            _ => return Err(reject("has no valid port")),
        };
        let host = Host::parse(host).ok_or_else(|| reject("has no valid host"))?;
        Ok(Url { tls, host, port, target: request_target(path) })
    }

    /// Returns the URL that a `Location` header names, relative to this URL (RFC 3986 §5.2).
    pub fn join(&self, location: &str) -> Result<Url, UrlError> {
        let location = location.trim();
        let location = location.split('#').next().unwrap_or_default();
        let with_target = |target: &str| Url { target: request_target(target), ..self.clone() };
        // A colon in a path or query is no scheme: `?r=http://x` is relative.
        let is_absolute = location.find(':').is_some_and(|colon| {
            let scheme = &location[..colon];
            !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric())
        });
        if is_absolute {
            Url::parse(location)
        } else if location.starts_with("//") {
            // Only the scheme is kept: `//host/path` names another host.
            let scheme = if self.tls { "https:" } else { "http:" };
            Url::parse(&format!("{scheme}{location}"))
        } else if location.starts_with('/') {
            Ok(with_target(&without_dots(location)))
        } else if location.is_empty() {
            Ok(self.clone())
        } else {
            let path = self.target.split('?').next().unwrap_or_default();
            if location.starts_with('?') {
                return Ok(with_target(&format!("{path}{location}")));
            }
            // A relative path replaces all behind the last slash, not the whole path.
            let directory = &path[..path.rfind('/').map_or(0, |slash| slash + 1)];
            Ok(with_target(&without_dots(&format!("{directory}{location}"))))
        }
    }

    /// Returns true if the scheme is `https`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Returns the host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port; 80 or 443 by the scheme if the URL names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns path and query as they are sent in the request line; they begin with a slash.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the value of the `Host` header.
    pub fn authority(&self) -> String {
        // The usual port is left out, as browsers do: some servers compare the field with their name.
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => self.host.to_string(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    /// Returns true if a connection that was opened for the other URL can be used for this one.
    pub fn is_same_origin(&self, other: &Url) -> bool {
        (self.tls, &self.host, self.port) == (other.tls, &other.host, other.port)
    }
}

/// Writes the URL without its query, which may hold a key.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority())
    }
}

impl Host {
    /// Parses a host name or an address, IPv6 in brackets.
    fn parse(text: &str) -> Option<Host> {
        if let Some(inner) = text.strip_prefix('[') {
            let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            return Some(Host::Ip(IpAddr::V6(address)));
        }
        if let Ok(address) = text.parse() {
            return Some(Host::Ip(IpAddr::V4(address)));
        }
        // Only these characters: a host is also sent in the `Host` field, where a line end would begin another field.
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let valid = !text.is_empty() && text.len() <= 253 && text.bytes().all(is_name);
        valid.then(|| Host::Name(text.to_ascii_lowercase()))
    }
}

/// Writes an IPv6 address in brackets, as in a URL.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Splits host and port digits. The colons inside brackets belong to the host.
fn split_port(address: &str) -> Option<(&str, &str)> {
    let host_end = match address.strip_prefix('[') {
        Some(inner) => inner.find(']')? + 2,
        None => address.find(':').unwrap_or(address.len()),
    };
    let (host, port) = address.split_at(host_end);
    match port.strip_prefix(':') {
        Some(digits) => Some((host, digits)),
        None => port.is_empty().then_some((host, "")),
    }
}

/// Returns path and query in a form for the request line and for the quoted `uri` of a digest.
fn request_target(path: &str) -> String {
    // The fragment is for the client alone and is never sent (RFC 9110 §7.1).
    let path = path.split('#').next().unwrap_or_default();
    let mut target = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        target.push('/');
    }
    for byte in path.bytes() {
        match byte {
            // A quotation mark or a backslash would end the quoted `uri` of the digest too early.
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => escape(&mut target, byte),
            b'!'..=b'~' => target.push(byte.into()),
            _ => escape(&mut target, byte),
        }
    }
    target
}

/// Appends a percent-encoded byte.
fn escape(target: &mut String, byte: u8) {
    target.push_str(&format!("%{byte:02X}"));
}

/// Removes `.` and `..` from a path that begins with a slash (RFC 3986 §5.2.4). The query stays as it is.
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // A path that ends with `..` names a directory, so that its slash stays.
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// Returns enough of a text to recognise it in a log, without the credentials in front of an `@`.
fn redacted(text: &str) -> String {
    let scheme_end = text.find("://").map_or(0, |at| at + 3);
    let authority_end = text[scheme_end..].find(['/', '?', '#']).map_or(text.len(), |at| scheme_end + at);
    // The text is malformed, so that its parts are searched here again instead of being taken from a parsed URL.
    let rest = match text[scheme_end..authority_end].rfind('@') {
        Some(at) => &text[scheme_end + at + 1..],
        None => &text[scheme_end..],
    };
    text[..scheme_end].chars().chain(rest.chars()).filter(|c| !c.is_control()).take(100).collect()
}

/// Returns an absolute URL of any scheme with [`MASK`] in place of user information and query, either of which may hold a
/// key; `None` for another text, and for a URL with neither.
pub fn without_secrets(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme.is_empty() || !scheme.trim_ascii_start().bytes().all(is_part) {
        return None;
    }
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let user = if user.is_some() { [MASK, "@"].concat() } else { String::new() };
    let query = if query.is_some() { ["?", MASK].concat() } else { String::new() };
    (!user.is_empty() || !query.is_empty()).then(|| format!("{scheme}://{user}{host}{path}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (bool, String, u16, String) {
        let url = Url::parse(text).unwrap();
        (url.tls, url.host.to_string(), url.port, url.target)
    }

    #[test]
    fn takes_urls_apart() {
        let expect = |tls, host: &str, port, target: &str| (tls, host.into(), port, target.into());
        for (text, expected) in [
            ("http://acs", expect(false, "acs", 80, "/")),
            (" HTTPS://Acs.Example:/x ", expect(true, "acs.example", 443, "/x")),
            ("http://10.0.0.1:7547?a=b#c", expect(false, "10.0.0.1", 7547, "/?a=b")),
            ("http://[2001:DB8::1]:8080/", expect(false, "[2001:db8::1]", 8080, "/")),
            ("https://[::1]", expect(true, "[::1]", 443, "/")),
            ("http://u:p@ss@h/a@b%20c", expect(false, "h", 80, "/a@b%20c")),
            ("http://h/ä b\"|", expect(false, "h", 80, "/%C3%A4%20b%22%7C")),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_contacted() {
        for text in [
            "",
            "acs",
            "ftp://acs/",
            "http://",
            "http:///x",
            "http://:80/",
            "http://a b/",
            "http://h:0/",
            "http://h:65536/",
            "http://h:+80/",
            "http://h:80:80/",
            "http://[::1/",
            "http://[::1]x/",
            "http://[acs]/",
            "http://büro/",
            "http://h\r\nX: y/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_refused_url_is_shown_without_its_password() {
        let error = Url::parse("http://user:secret@h:0/").unwrap_err().to_string();
        assert!(error.contains("http://h:0/") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn follows_locations() {
        let base = Url::parse("http://acs:8080/a/b/c?q=1").unwrap();
        for (location, expected) in [
            ("https://other/x", "https://other/x"),
            ("HTTP://other", "http://other/"),
            ("//other:81/y?z", "http://other:81/y?z"),
            ("/y", "http://acs:8080/y"),
            ("y#f", "http://acs:8080/a/b/y"),
            ("../y/./z", "http://acs:8080/a/y/z"),
            ("../../../..", "http://acs:8080/"),
            ("?r=http://x/..", "http://acs:8080/a/b/c?r=http://x/.."),
            ("", "http://acs:8080/a/b/c?q=1"),
        ] {
            assert_eq!(base.join(location).unwrap(), Url::parse(expected).unwrap(), "{location}");
        }
        assert!(base.join("ftp://other/").is_err());
        assert!(base.join("mailto:someone").is_err());
    }

    #[test]
    fn names_the_port_only_where_it_is_not_the_usual_one() {
        for (text, authority) in [
            ("http://acs:80/", "acs"),
            ("https://acs:443/", "acs"),
            ("https://acs:80/", "acs:80"),
            ("http://[::1]:7547/", "[::1]:7547"),
        ] {
            assert_eq!(Url::parse(text).unwrap().authority(), authority);
        }
    }

    #[test]
    fn survives_every_truncation_and_byte_flip() {
        let base = Url::parse("http://acs/a/b").unwrap();
        for text in ["https://u:p@[2001:db8::1]:7547/a/../b?c#d", "http://é.example/%zz/ü"] {
            let bytes = text.as_bytes();
            for at in 0..bytes.len() {
                for flip in [0x01, 0x20, 0x80, 0xff] {
                    let mut damaged = bytes.to_vec();
                    damaged[at] ^= flip;
                    for bytes in [&bytes[..at], &damaged] {
                        let text = String::from_utf8_lossy(bytes);
                        for url in [Url::parse(&text), base.join(&text)].into_iter().flatten() {
                            assert!(url.target().starts_with('/'));
                            assert!(url.target().bytes().all(|b| b.is_ascii_graphic()), "{url:?}");
                        }
                    }
                }
            }
        }
    }
}
