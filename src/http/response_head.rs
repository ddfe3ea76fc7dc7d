//! The header of a response: its parts, and the bytes that can begin one.

use ureq_proto::client::Call;
use ureq_proto::client::state::RecvBody;
use ureq_proto::http::{HeaderMap, HeaderName, HeaderValue, header};
use ureq_proto::{BodyMode, Error};

use super::error::HttpError;

/// The largest header of a response, in bytes.
pub(super) const MAX_HEADER: usize = 64 * 1024;
/// The most header fields of a response.
const MAX_FIELDS: usize = 256;
/// The compressions that `Content-Encoding` may name (RFC 7231 §3.1.2.1).
const COMPRESSIONS: [&str; 7] = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"];

/// The status and header of a response whose body is still to be read.
#[derive(Debug)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    pub(super) body: Option<Call<RecvBody>>,
}

impl ResponseHead {
    /// Returns the length of the body in bytes; `None` if only its end will show it.
    pub fn length(&self) -> Option<u64> {
        match self.body.as_ref().map(Call::body_mode) {
            None | Some(BodyMode::NoBody) => Some(0),
            Some(BodyMode::LengthDelimited(length)) => Some(length),
            Some(BodyMode::CloseDelimited | BodyMode::Chunked) => None,
        }
    }

    /// Returns the compression of the body that `Content-Encoding` names, although no request accepts one. Another name is a
    /// mistake of the server, such as that of a character set, and no compression.
    pub fn compression(&self) -> Option<&'static str> {
        let fields = self.headers.get_all(header::CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = fields.flat_map(|value| value.split(',')).map(str::trim).collect();
        COMPRESSIONS.into_iter().find(|known| named.iter().any(|name| name.eq_ignore_ascii_case(known)))
    }
}

/// The header of a response as it was received, without folds.
pub(super) struct ReceivedHeader {
    /// The header fields.
    pub(super) fields: HeaderMap,
    /// The status line and the fields that tell where the body and the connection end: all that ureq-proto reads, whose own
    /// limit is 128 fields.
    pub(super) framing: Vec<u8>,
    /// The number of lines that are skipped as no header field, or that have a blank before their colon.
    pub(super) malformed: usize,
}

impl ReceivedHeader {
    /// Reads the lines of a header. A line without a colon is skipped, and a blank before the colon is removed (RFC 7230
    /// §3.2.4), since a server behind a faulty proxy is still that of the operator.
    ///
    /// # Errors
    /// The header has too many fields, or a character that other readers take for the end of a line or of a text.
    pub(super) fn read(header: &[u8]) -> Result<ReceivedHeader, HttpError> {
        let refused = |reason: String| Err(HttpError::Protocol(reason));
        let lines = header.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut lines = lines.filter(|line| !line.is_empty());
        let status_line = lines.next().unwrap_or_default();
        let mut read =
            ReceivedHeader { fields: HeaderMap::new(), framing: [status_line, b"\r\n"].concat(), malformed: 0 };
        for (count, line) in lines.enumerate() {
            if count == MAX_FIELDS {
                return refused(format!("the header has more than {MAX_FIELDS} fields"));
            }
            if line.iter().any(|b| b"\0\r".contains(b)) {
                return refused("a header field holds a control character".into());
            }
            let Some((name, value)) = field(line) else {
                read.malformed += 1;
                continue;
            };
            read.malformed += usize::from(line.get(name.as_str().len()) != Some(&b':'));
            if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(&name) {
                read.framing.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            }
            read.fields.append(name, value);
        }
        read.framing.extend(b"\r\n");
        Ok(read)
    }

    /// Returns true for a 1xx response (R42). ureq-proto skips interim responses as well, but rejects a 100 with header
    /// fields, and there are servers that send `100 Continue` with a date.
    pub(super) fn is_interim(&self) -> Result<bool, HttpError> {
        match self.framing.get("HTTP/1.1 ".len()..).and_then(|status| status.first_chunk()) {
            Some(b"101") => Err(HttpError::Protocol("the server switches to another protocol".into())),
            Some([b'1', tens, ones]) => Ok(tens.is_ascii_digit() && ones.is_ascii_digit()),
            _ => Ok(false),
        }
    }
}

/// Splits a line into name and value; `None` if it is no header field.
fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|b| *b == b':')?;
    let name = HeaderName::from_bytes(line[..colon].trim_ascii_end()).ok()?;
    Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
}

/// Returns the words for an error of ureq-proto, whose own ones name its functions and fields.
pub(super) fn invalid(error: Error) -> HttpError {
    let reason = match error {
        Error::HttpParseTooManyHeaders => "the header has too many fields",
        Error::HttpParseFail(_) | Error::BadHeader(_) => "the header is malformed",
        Error::UnsupportedVersion => "the version of HTTP is unknown",
        Error::TooManyContentLengthHeaders | Error::BadContentLengthHeader | Error::ConflictingBodyHeaders => {
            "the length of the body is contradictory"
        }
        Error::ChunkLenNotAscii | Error::ChunkLenNotANumber | Error::ChunkExpectedCrLf => "a chunk is malformed",
        Error::NoLocationHeader | Error::BadLocationHeader(_) => "Location is missing or malformed",
        _ => "the server breaks the order of request and response",
    };
    HttpError::Protocol(reason.into())
}

/// Returns false as soon as the bytes cannot be the beginning of a response.
pub(super) fn is_http_so_far(input: &[u8]) -> bool {
    let begin = input.iter().position(|b| !b"\r\n".contains(b)).unwrap_or(input.len());
    input[begin..].iter().zip(b"HTTP/1.").all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<ReceivedHeader, HttpError> {
        ReceivedHeader::read(text)
    }

    #[test]
    fn lines_that_are_no_field_are_skipped_and_counted() {
        let header = read(
            b"\r\nHTTP/1.1 200 OK\r\nno colon\r\nA: b\r\nC \t : d \r\n: x\r\nE(: f\nG: \x01\r\nContent-Length : 3\r\n\
              Set-Cookie: n=\xe4\r\nSet-Cookie: m=1\r\n",
        )
        .unwrap();
        assert_eq!(header.framing, b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n");
        let fields: Vec<(&str, &[u8])> =
            header.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let expected: [(&str, &[u8]); 5] =
            [("a", b"b"), ("c", b"d"), ("content-length", b"3"), ("set-cookie", b"n=\xe4"), ("set-cookie", b"m=1")];
        assert_eq!(fields, expected);
        assert_eq!(header.malformed, 6);
        for bad in [&b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n"[..], b"HTTP/1.1 200 OK\r\nBad\0Name: x\r\n"] {
            assert!(read(bad).is_err());
        }
    }

    #[test]
    fn the_number_of_fields_is_limited() {
        let text = |count: usize| format!("HTTP/1.1 200 OK\r\n{}", "Set-Cookie: a=b\r\n".repeat(count));
        assert_eq!(read(text(MAX_FIELDS).as_bytes()).unwrap().fields.len(), MAX_FIELDS);
        assert!(read(text(MAX_FIELDS + 1).as_bytes()).is_err());
    }

    #[test]
    fn interim_responses_are_told_from_final_ones() {
        let is_interim = |line: &str| read(line.as_bytes()).unwrap().is_interim();
        assert_eq!(is_interim("HTTP/1.1 100 Continue"), Ok(true));
        assert_eq!(is_interim("HTTP/1.0 199"), Ok(true));
        assert!(is_interim("HTTP/1.1 101 Switching Protocols").is_err());
        for line in ["HTTP/1.1 200 OK", "HTTP/1.1 1x0", "HTTP/1.1 1", "HTTP/1.1 099 Odd", ""] {
            assert_eq!(is_interim(line), Ok(false), "{line}");
        }
    }

    #[test]
    fn a_compression_is_known_by_its_name() {
        let compression = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            ResponseHead { status: 200, headers, body: None }.compression()
        };
        assert_eq!(compression(&["GZIP"]), Some("gzip"));
        assert_eq!(compression(&["identity, x-gzip"]), Some("x-gzip"));
        assert_eq!(compression(&["identity", "br"]), Some("br"));
        for none in [&[][..], &["identity"], &["utf-8"], &[""]] {
            assert_eq!(compression(none), None);
        }
    }
}
