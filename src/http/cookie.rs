//! The cookies of one session.
//!
//! TR-069 §3.4.2 asks for less than a browser does: every cookie is returned in all further requests of the session,
//! also to the host of a redirect and without regard to its attributes (R52, R57). Two of them are obeyed: `Max-Age=0`, as
//! the usual way to delete a cookie; and `Secure` where it came over TLS, as such a cookie often stands for a password.

/// The largest number of cookies: more than an ACS and its load balancer set. R52 asks for 512 bytes in all.
const MAX_COOKIES: usize = 32;
/// The largest name and value of one cookie, in bytes.
const MAX_COOKIE: usize = 4096;
/// The largest sum of all names and values, in bytes.
const MAX_TOTAL: usize = 16 * 1024;

/// The cookies by name, in the order in which they were first set.
#[derive(Debug, Default)]
pub(super) struct Cookies(Vec<Cookie>);

#[derive(Debug)]
struct Cookie {
    name: Vec<u8>,
    value: Vec<u8>,
    /// True if the cookie came over TLS and is marked `Secure`.
    is_secure: bool,
}

impl Cookies {
    /// Sets the cookies from the value of `Set-Cookie`. Ignores a malformed cookie and one that exceeds a limit. `over_tls`:
    /// the value came over TLS.
    pub(super) fn set(&mut self, header: &[u8], over_tls: bool) {
        let mut rest = header;
        while let Some(end) = next_cookie(rest) {
            self.set_one(&rest[..end], over_tls);
            rest = &rest[end + 1..];
        }
        self.set_one(rest, over_tls);
    }

    fn set_one(&mut self, header: &[u8], over_tls: bool) {
        let mut parts = header.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let Some((name, value)) = parts.next().and_then(split_pair) else {
            return;
        };
        // An ACS without TLS may mark its cookies as well, and its session needs them.
        let is_secure = over_tls && parts.clone().any(|attribute| attribute.eq_ignore_ascii_case(b"secure"));
        let is_deletion = parts.filter_map(split_pair).any(|(attribute, value)| {
            attribute.eq_ignore_ascii_case(b"max-age") && (value == b"0" || value.starts_with(b"-"))
        });
        if is_deletion {
            self.0.retain(|cookie| cookie.name != name);
            return;
        }
        let held = self.0.iter().position(|cookie| cookie.name == name);
        let others: usize = self.0.iter().map(Cookie::size).sum::<usize>() - held.map_or(0, |at| self.0[at].size());
        // A server without bounds on its cookies must not fill the memory of the device.
        let size = name.len() + value.len();
        if size > MAX_COOKIE || others + size > MAX_TOTAL {
            return;
        }
        // A new value takes the place of the old one, so that the server sees its cookies in the order in which it set them.
        let cookie = Cookie { name: name.to_vec(), value: value.to_vec(), is_secure };
        match held {
            Some(at) => self.0[at] = cookie,
            None if self.0.len() < MAX_COOKIES => self.0.push(cookie),
            None => {}
        }
    }

    /// Returns the value of the `Cookie` header; `None` without cookies. `over_tls`: the request goes over TLS, so that it
    /// may carry the cookies marked `Secure` too.
    pub(super) fn header(&self, over_tls: bool) -> Option<Vec<u8>> {
        let sent = self.0.iter().filter(|cookie| over_tls || !cookie.is_secure);
        let pairs: Vec<Vec<u8>> = sent.map(|cookie| [cookie.name.as_slice(), b"=", &cookie.value].concat()).collect();
        (!pairs.is_empty()).then(|| pairs.join(b"; ".as_slice()))
    }
}

impl Cookie {
    fn size(&self) -> usize {
        self.name.len() + self.value.len()
    }
}

/// Returns the position of the comma in front of the next cookie, since RFC 2109 and some proxies put several cookies into one
/// field. The comma of a date, of a quoted text and of a value without white space behind it begins no cookie.
fn next_cookie(header: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    header.iter().enumerate().position(|(at, byte)| {
        is_quoted ^= *byte == b'"';
        if *byte != b',' || is_quoted {
            return false;
        }
        let rest = &header[at + 1..];
        let name = rest.trim_ascii_start();
        let end = name.iter().position(|b| !(b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b)));
        name.len() < rest.len() && end.is_some_and(|end| end > 0 && name[end] == b'=')
    })
}

/// Splits `name=value` and removes the white space around both. The name must not be empty.
fn split_pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|b| *b == b'=')?;
    let (name, value) = (text[..at].trim_ascii(), text[at + 1..].trim_ascii());
    (!name.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(headers: &[&str]) -> String {
        let mut cookies = Cookies::default();
        for header in headers {
            cookies.set(header.as_bytes(), false);
        }
        String::from_utf8(cookies.header(false).unwrap_or_default()).unwrap()
    }

    /// R52; FreeACS with its JSESSIONID among them (R346).
    #[test]
    fn sends_back_what_was_set_and_replaces_by_name() {
        assert_eq!(after(&[]), "");
        assert_eq!(
            after(&[
                "session=abc; Path=/; HttpOnly",
                "JSESSIONID=\"x=y\";Version=1",
                // Netscape's date has a comma.
                "lb = 1 ; expires=Wednesday, 09-Nov-1999 23:12:40 GMT",
                "session=def",
            ]),
            "session=def; JSESSIONID=\"x=y\"; lb=1"
        );
    }

    #[test]
    fn several_cookies_in_one_field() {
        assert_eq!(after(&["a=1; Path=/, b=2;HttpOnly, c=3"]), "a=1; b=2; c=3");
        assert_eq!(after(&["a=1; expires=Wed, 09 Nov 2033 23:12:40 GMT; path=/, b=2"]), "a=1; b=2");
        assert_eq!(after(&["a=1, b=2", "b=; Max-Age=0, c=3"]), "a=1; c=3");
        assert_eq!(after(&["a=x,y=z", "b=\"x, y=z\"; Path=/", "c=1, 2"]), "a=x,y=z; b=\"x, y=z\"; c=1, 2");
    }

    #[test]
    fn ignores_the_malformed_and_forgets_on_max_age_0() {
        assert_eq!(after(&["", ";", "=x", "name", "a=1", "a=; max-age=0"]), "");
        assert_eq!(after(&["a=1", "b=2", "a=; Max-Age=-1", "c="]), "b=2; c=");
        assert_eq!(after(&["a=1; Max-Age=3600"]), "a=1");
    }

    #[test]
    fn a_cookie_marked_secure_over_tls_stays_there() {
        let mut cookies = Cookies::default();
        cookies.set(b"a=1; path=/; SECURE", true);
        assert_eq!(cookies.header(false), None);
        cookies.set(b"b=2; Secure", false);
        cookies.set(b"c=3; secured", true);
        assert_eq!(cookies.header(false).unwrap(), b"b=2; c=3");
        assert_eq!(cookies.header(true).unwrap(), b"a=1; b=2; c=3");
    }

    #[test]
    fn is_bounded_in_count_and_bytes() {
        let mut cookies = Cookies::default();
        for index in 0..1000 {
            cookies.set(format!("c{index}=x").as_bytes(), false);
        }
        assert_eq!(cookies.0.len(), MAX_COOKIES);

        let mut cookies = Cookies::default();
        cookies.set(format!("big={}", "x".repeat(MAX_COOKIE)).as_bytes(), false);
        assert!(cookies.0.is_empty());
        for index in 0..10 {
            cookies.set(format!("c{index}={}", "x".repeat(4000)).as_bytes(), false);
        }
        assert_eq!(cookies.0.len(), 4);
        // Replacing one counts its new size only.
        cookies.set(format!("c0={}", "y".repeat(4000)).as_bytes(), false);
        assert!(cookies.header(false).unwrap().starts_with(b"c0=yyy"));
    }
}
