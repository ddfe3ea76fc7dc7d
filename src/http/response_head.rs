//! The header of a response: its parts, and the bytes that can begin one.

use ureq_proto::client::Call;
use ureq_proto::client::state::RecvBody;
use ureq_proto::http::HeaderMap;
use ureq_proto::{BodyMode, Error, parser};

use super::error::HttpError;

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
}

/// Returns the length of a 1xx response at the start of the input, if there is one. ureq-proto skips interim responses
/// as well, but rejects a 100 with header fields, and there are servers that send `100 Continue` with a date.
pub(super) fn interim_length(input: &[u8]) -> Result<Option<usize>, HttpError> {
    let status = input.trim_ascii_start().get("HTTP/1.1 ".len()..);
    if !status.is_some_and(|status| status.starts_with(b"1")) {
        return Ok(None);
    }
    match parser::try_parse_response::<64>(input).map_err(invalid)? {
        Some((_, response)) if response.status().as_u16() == 101 => {
            Err(HttpError::Protocol("the server switches to another protocol".into()))
        }
        Some((length, response)) if response.status().is_informational() => Ok(Some(length)),
        _ => Ok(None),
    }
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
