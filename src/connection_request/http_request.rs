//! The parser of the head of an HTTP request, as far as a connection request needs it.

/// The longest head in bytes. GenieACS sends about 500.
pub(super) const MAX_HEAD: usize = 4 << 10;
/// The most header fields; httparse stores them in an array on the stack.
const MAX_FIELDS: usize = 32;

/// The result of parsing the bytes that have arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ParsedRequest<'a> {
    /// The head does not end yet.
    Incomplete,
    /// The bytes cannot become an HTTP request.
    Malformed,
    /// A head, and its length in bytes.
    Complete(RequestHead<'a>, usize),
}

/// The reason why a request has no valid head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    Malformed,
    /// The head does not end within [`MAX_HEAD`].
    TooLong,
}

/// The parts of a request head that decide about the response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestHead<'a> {
    pub(super) method: &'a str,
    /// The path of the request target, without the query.
    pub(super) path: &'a str,
    /// The path with the query.
    target: &'a str,
    /// The value of the first `Authorization` field.
    pub(super) authorization: Option<&'a [u8]>,
    /// The length of the body, which is discarded (R261); `None` if the head does not give it.
    pub(super) body: Option<usize>,
    /// True if the client may send another request on this connection.
    pub(super) persistent: bool,
}

impl RequestHead<'_> {
    /// Parses the bytes that have arrived so far.
    pub(super) fn parse(bytes: &[u8]) -> ParsedRequest<'_> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return ParsedRequest::Incomplete,
            Err(_) => return ParsedRequest::Malformed,
        };
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
            return ParsedRequest::Malformed;
        };
        // HTTP/1.1 keeps a connection open unless a field says otherwise; HTTP/1.0 does not.
        let mut head = RequestHead {
            method,
            path: path(target),
            target: relative(target),
            authorization: None,
            body: Some(0),
            persistent: minor == 1,
        };
        for field in request.headers.iter() {
            head.note(field.name, field.value);
        }
        ParsedRequest::Complete(head, length)
    }
}

impl<'a> RequestHead<'a> {
    /// Returns true if the `uri` of a digest means this request: its target, with or without the query, as a path or as an
    /// absolute URI; or "/", which acsrs always sends.
    pub(super) fn is_meant_by(&self, uri: &str) -> bool {
        let uri = relative(uri);
        [self.target, self.path, "/"].contains(&uri)
    }

    /// Takes the fields that matter; all others are ignored.
    fn note(&mut self, name: &str, value: &'a [u8]) {
        if name.eq_ignore_ascii_case("authorization") {
            // Of two fields the first counts; no ACS sends two.
            self.authorization.get_or_insert(value);
            return;
        }
        let value = str::from_utf8(value).unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            self.body = self.body.and(value.parse().ok());
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            // Chunks are not decoded: without a length the connection ends after the response.
            self.body = None;
        } else if name.eq_ignore_ascii_case("connection") {
            let closes = value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
            self.persistent &= !closes;
        }
    }
}

/// Returns the path of a request target. Some ACSs add a query, which has no meaning here.
fn path(target: &str) -> &str {
    let path = relative(target);
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    if path.is_empty() { "/" } else { path }
}

/// Returns a request target without scheme and authority, since a server must accept an absolute URI too (RFC 9112
/// §3.2.2).
fn relative(target: &str) -> &str {
    match target.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            &rest[rest.find(['/', '?']).unwrap_or(rest.len())..]
        }
        _ => target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> RequestHead<'_> {
        match RequestHead::parse(text.as_bytes()) {
            ParsedRequest::Complete(head, length) => {
                assert_eq!(length, text.len(), "{text}");
                head
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn reads_what_genieacs_sends() {
        let text = "GET /abc?x=1 HTTP/1.1\r\nHost: 192.0.2.1:7547\r\nAuthorization: Digest a=b\r\n\
                    Connection: keep-alive\r\n\r\n";
        let expected = RequestHead {
            method: "GET",
            path: "/abc",
            target: "/abc?x=1",
            authorization: Some(b"Digest a=b"),
            body: Some(0),
            persistent: true,
        };
        assert_eq!(head(text), expected);
    }

    #[test]
    fn finds_the_path_in_every_form_of_target() {
        for (target, path) in [
            ("/abc", "/abc"),
            ("/abc?", "/abc"),
            ("/abc?a=/b://c#d", "/abc"),
            ("/?http://x/abc", "/"),
            ("http://192.0.2.1:7547/abc?a=b", "/abc"),
            ("HTTP://[2001:db8::1]/abc", "/abc"),
            ("http://host", "/"),
            ("http://host?/abc", "/"),
            ("/a://b/abc", "/a://b/abc"),
            ("*", "*"),
            ("?", "/"),
        ] {
            assert_eq!(head(&format!("GET {target} HTTP/1.1\r\n\r\n")).path, path, "{target}");
        }
    }

    #[test]
    fn tells_whether_the_connection_goes_on() {
        let persistent = |text: &str| head(text).persistent;
        assert!(persistent("GET / HTTP/1.1\r\n\r\n"));
        assert!(!persistent("GET / HTTP/1.1\r\nConnection: x, CLOSE\r\n\r\n"));
        assert!(!persistent("GET / HTTP/1.0\r\n\r\n"));
    }

    /// R261: a body is discarded, for which its length must be known.
    #[test]
    fn tells_how_long_the_body_is() {
        let body = |fields: &str| head(&format!("GET / HTTP/1.1\r\n{fields}\r\n")).body;
        assert_eq!(body("Content-Length: 12\r\n"), Some(12));
        assert_eq!(body("Content-Length: -1\r\n"), None);
        assert_eq!(body("Content-Length: 99999999999999999999999\r\n"), None);
        assert_eq!(body("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), None);
    }

    #[test]
    fn a_request_is_incomplete_until_its_empty_line() {
        let whole = "GET /abc HTTP/1.1\r\nAuthorization: é\r\nHost: h\r\n\r\n".as_bytes();
        for end in 0..whole.len() {
            assert_eq!(RequestHead::parse(&whole[..end]), ParsedRequest::Incomplete, "{end}");
        }
        assert!(matches!(RequestHead::parse(whole), ParsedRequest::Complete(..)));
    }

    #[test]
    fn refuses_what_is_no_request() {
        let too_many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_FIELDS + 1));
        for text in [
            "\x16\x03\x01\x02\0\x01",
            "GET /\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
            "GET / HTTP/1.1\r\nA: \0\r\n\r\n",
            "G\0T / HTTP/1.1\r\n\r\n",
            &too_many,
        ] {
            assert_eq!(RequestHead::parse(text.as_bytes()), ParsedRequest::Malformed, "{text:?}");
        }
    }

    #[test]
    fn survives_every_damaged_byte() {
        let whole = b"GET http://h/abc?d HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\n";
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut damaged = whole.to_vec();
                damaged[at] = byte;
                if let ParsedRequest::Complete(head, length) = RequestHead::parse(&damaged) {
                    assert!(length <= whole.len() && !head.path.is_empty());
                }
            }
        }
    }
}
