//! The cookies of one session or of one transfer.
//!
//! TR-069 §3.4.2 asks for less than a browser does: every cookie is returned in all further requests of the session,
//! also to the host of a redirect and without regard to its attributes (R52, R57). Two of them are obeyed: `Max-Age=0`, as
//! the usual way to delete a cookie; and `Secure` where it came over TLS, as such a cookie often stands for a password.
//!
//! A cookie of a transfer is returned to the host that has set it, and to the domain that its `Domain` names (RFC 6265
//! §5.1.3). `Path` is ignored there too: a portal redirects from its login to the file, which lies elsewhere on it.
//! Names and values are bytes, and go back as they came.

use crate::url::{Host, Url};

/// The largest number of cookies: more than an ACS and its load balancer set. R52 asks for 512 bytes in all.
const MAX_COOKIES: usize = 32;
/// The largest name and value of one cookie, in bytes.
const MAX_COOKIE: usize = 4096;
/// The largest sum of all names and values, in bytes.
const MAX_TOTAL: usize = 16 * 1024;

/// The servers to which a cookie is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieScope {
    /// Every host to which a redirect leads (R57).
    EveryHost,
    /// The host that has set the cookie, and the hosts of its `Domain`.
    OwnHost,
}

/// The cookies in the order in which they were first set.
#[derive(Debug)]
pub(super) struct Cookies {
    scope: CookieScope,
    held: Vec<Cookie>,
}

#[derive(Debug)]
struct Cookie {
    name: Vec<u8>,
    value: Vec<u8>,
    /// The host or the domain that gets the cookie; empty for every host.
    domain: String,
    /// True if the hosts below `domain` get the cookie, too.
    has_subdomains: bool,
    /// True if the cookie came over TLS and is marked `Secure`.
    is_secure: bool,
}

impl Cookies {
    /// Returns an empty collection.
    pub(super) fn new(scope: CookieScope) -> Cookies {
        Cookies { scope, held: Vec::new() }
    }

    /// Sets the cookies from the value of `Set-Cookie` in a response from `url`. Ignores a malformed cookie, one that exceeds
    /// a limit, and one for a domain of others.
    pub(super) fn set(&mut self, header: &[u8], url: &Url) {
        let mut rest = header;
        while let Some(end) = next_cookie(rest) {
            self.set_one(&rest[..end], url);
            rest = &rest[end + 1..];
        }
        self.set_one(rest, url);
    }

    fn set_one(&mut self, header: &[u8], url: &Url) {
        let mut parts = header.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let Some((name, value)) = parts.next().and_then(split_pair) else {
            return;
        };
        // An ACS without TLS may mark its cookies as well, and its session needs them.
        let is_secure = url.is_tls() && parts.clone().any(|attribute| attribute.eq_ignore_ascii_case(b"secure"));
        let (mut domain, mut has_subdomains) = (String::new(), false);
        if self.scope == CookieScope::OwnHost {
            domain = url.host().to_string();
            let mut named = parts.clone().filter_map(split_pair).filter(|pair| pair.0.eq_ignore_ascii_case(b"domain"));
            if let Some((_, named)) = named.next_back() {
                let named = String::from_utf8_lossy(named).trim_start_matches('.').to_ascii_lowercase();
                // A name without a dot, such as `com`, is shared by strangers.
                has_subdomains = named.contains('.');
                if named != domain && !(has_subdomains && is_below(url.host(), &named)) {
                    return;
                }
                domain = named;
            }
        }
        let is_deletion = parts.filter_map(split_pair).any(|(attribute, value)| {
            attribute.eq_ignore_ascii_case(b"max-age") && (value == b"0" || value.starts_with(b"-"))
        });
        let cookie = Cookie { name: name.to_vec(), value: value.to_vec(), domain, has_subdomains, is_secure };
        self.replace(cookie, is_deletion);
    }

    /// Puts the cookie in the place of one of the same name and domain, or removes that one.
    fn replace(&mut self, cookie: Cookie, is_deletion: bool) {
        let held = self.held.iter().position(|held| held.name == cookie.name && held.domain == cookie.domain);
        if is_deletion {
            held.map(|at| self.held.remove(at));
            return;
        }
        let others: usize =
            self.held.iter().map(Cookie::size).sum::<usize>() - held.map_or(0, |at| self.held[at].size());
        // A server without bounds on its cookies must not fill the memory of the device.
        if cookie.size() > MAX_COOKIE || others + cookie.size() > MAX_TOTAL {
            return;
        }
        // A new value takes the place of the old one, so that the server sees its cookies in the order in which it set them.
        match held {
            Some(at) => self.held[at] = cookie,
            None if self.held.len() < MAX_COOKIES => self.held.push(cookie),
            None => {}
        }
    }

    /// Returns the value of the `Cookie` header of a request to `url`; `None` without cookies. Once a redirect `has_left_tls`,
    /// the cookies marked `Secure` stay here.
    pub(super) fn header(&self, url: &Url, has_left_tls: bool) -> Option<Vec<u8>> {
        let is_secret = url.is_tls() && !has_left_tls;
        let sent = self.held.iter().filter(|cookie| cookie.belongs_to(url.host()) && (is_secret || !cookie.is_secure));
        let pairs: Vec<Vec<u8>> = sent.map(|cookie| [cookie.name.as_slice(), b"=", &cookie.value].concat()).collect();
        (!pairs.is_empty()).then(|| pairs.join(b"; ".as_slice()))
    }
}

impl Cookie {
    fn size(&self) -> usize {
        self.name.len() + self.value.len()
    }

    /// Returns true if the host may get the cookie.
    fn belongs_to(&self, host: &Host) -> bool {
        let is_below = self.has_subdomains && is_below(host, &self.domain);
        self.domain.is_empty() || is_below || host.to_string() == self.domain
    }
}

/// Returns true for a host name below the domain. An address is below none.
fn is_below(host: &Host, domain: &str) -> bool {
    match host {
        Host::Name(name) => name.strip_suffix(domain).is_some_and(|front| front.ends_with('.')),
        Host::Ip(_) => false,
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

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn session() -> Cookies {
        Cookies::new(CookieScope::EveryHost)
    }

    fn after(headers: &[&str]) -> String {
        let mut cookies = session();
        for header in headers {
            cookies.set(header.as_bytes(), &url("http://acs/"));
        }
        String::from_utf8(cookies.header(&url("http://other/"), false).unwrap_or_default()).unwrap()
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
    fn bytes_go_back_as_they_came() {
        for value in [
            &b"n\xe4me=\xff\x80"[..],
            b"a=\"x\\\"y\"",
            b"a=b c\td",
            b"a=1,2",
            b"a=b=c==",
            b"a={\"k\":[1]}",
            b"a=\"open",
        ] {
            let mut cookies = session();
            cookies.set(&[value, b"; Path=/"].concat(), &url("http://acs/"));
            assert_eq!(cookies.header(&url("http://acs/"), false).as_deref(), Some(value));
        }
    }

    #[test]
    fn a_cookie_marked_secure_over_tls_stays_there() {
        let mut cookies = session();
        cookies.set(b"a=1; path=/; SECURE", &url("https://h/"));
        assert_eq!(cookies.header(&url("http://h/"), false), None);
        cookies.set(b"b=2; Secure", &url("http://h/"));
        cookies.set(b"c=3; secured", &url("https://h/"));
        assert_eq!(cookies.header(&url("http://h/"), false).unwrap(), b"b=2; c=3");
        assert_eq!(cookies.header(&url("https://h/"), true).unwrap(), b"b=2; c=3");
        assert_eq!(cookies.header(&url("https://h/"), false).unwrap(), b"a=1; b=2; c=3");
    }

    #[test]
    fn a_cookie_of_a_transfer_stays_with_its_host() {
        let returned = |from: &str, header: &str, to: &str| {
            let mut cookies = Cookies::new(CookieScope::OwnHost);
            cookies.set(header.as_bytes(), &url(from));
            cookies.header(&url(to), false).is_some()
        };
        let portal = "http://files.isp.example/";
        for (header, to) in [
            ("a=1; Path=/login", "http://FILES.isp.example:8080/fw"),
            ("a=1; Domain=isp.example", "http://cdn.isp.example/"),
            ("a=1; domain=.ISP.example", "http://isp.example/"),
            ("a=1; Domain=files.isp.example", "http://eu.files.isp.example/"),
        ] {
            assert!(returned(portal, header, to), "{header} {to}");
        }
        for (from, header, to) in [
            (portal, "a=1", "http://cdn.isp.example/"),
            (portal, "a=1", "http://eu.files.isp.example/"),
            (portal, "a=1; Domain=isp.example", "http://evilisp.example/"),
            (portal, "a=1; Domain=example", "http://evil.example/"),
            (portal, "a=1; Domain=other.example", "http://other.example/"),
            (portal, "a=1; Domain=other.example", portal),
            (portal, "a=1; Domain=eu.files.isp.example", portal),
            ("http://192.0.2.1/", "a=1; Domain=2.1", "http://192.0.2.1/"),
            ("http://192.0.2.1/", "a=1", "http://192.0.2.2/"),
        ] {
            assert!(!returned(from, header, to), "{from} {header} {to}");
        }
        assert!(returned("http://localhost/", "a=1; Domain=localhost", "http://localhost/"));
        assert!(returned("http://192.0.2.1/", "a=1; Domain=192.0.2.1", "http://192.0.2.1/"));
    }

    #[test]
    fn hosts_have_cookies_of_the_same_name() {
        let mut cookies = Cookies::new(CookieScope::OwnHost);
        let (one, other) = (url("http://one/"), url("http://other/"));
        cookies.set(b"a=1", &one);
        cookies.set(b"a=2", &other);
        cookies.set(b"a=; Max-Age=0", &url("http://third/"));
        assert_eq!(cookies.header(&one, false).unwrap(), b"a=1");
        assert_eq!(cookies.header(&other, false).unwrap(), b"a=2");
        cookies.set(b"a=; Max-Age=0", &one);
        assert_eq!(cookies.header(&one, false), None);
    }

    #[test]
    fn is_bounded_in_count_and_bytes() {
        let acs = url("http://acs/");
        let mut cookies = session();
        for index in 0..1000 {
            cookies.set(format!("c{index}=x").as_bytes(), &acs);
        }
        assert_eq!(cookies.held.len(), MAX_COOKIES);

        let mut cookies = session();
        cookies.set(format!("big={}", "x".repeat(MAX_COOKIE)).as_bytes(), &acs);
        assert!(cookies.held.is_empty());
        for index in 0..10 {
            cookies.set(format!("c{index}={}", "x".repeat(4000)).as_bytes(), &acs);
        }
        assert_eq!(cookies.held.len(), 4);
        // Replacing one counts its new size only.
        cookies.set(format!("c0={}", "y".repeat(4000)).as_bytes(), &acs);
        assert!(cookies.header(&acs, false).unwrap().starts_with(b"c0=yyy"));
    }
}
