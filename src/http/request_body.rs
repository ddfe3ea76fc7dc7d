//! The body of a request: from memory, or read while it is sent.

use super::error::HttpError;

/// The body of a request.
pub enum RequestBody<'a> {
    /// A body in memory. It is sent together with the header in one write.
    Bytes(&'a [u8]),
    /// A body that is too large for memory and is read piece by piece.
    Stream(&'a mut dyn BodyStream),
}

/// A body that is read while it is sent, such as a file.
pub trait BodyStream {
    /// Returns the length of the whole body in bytes, or the most that it may have if it is chunked.
    fn length(&self) -> u64;
    /// Returns true if the body ends where [`BodyStream::read`] returns 0, and is sent in chunks (RFC 9112 §7.1).
    fn is_chunked(&self) -> bool {
        false
    }
    /// Reads the next piece and returns its length.
    fn read(&mut self, piece: &mut [u8]) -> Result<usize, HttpError>;
    /// Records that the system has taken so many more bytes.
    fn sent(&mut self, bytes: usize);
    /// Starts over at the first byte, since a request may have to be sent again.
    fn rewind(&mut self) -> Result<(), HttpError>;
}

impl RequestBody<'_> {
    /// Returns the length of the body in bytes.
    pub fn length(&self) -> u64 {
        match self {
            RequestBody::Bytes(bytes) => bytes.len() as u64,
            RequestBody::Stream(stream) => stream.length(),
        }
    }

    /// Returns true if the body is sent in chunks.
    pub(super) fn is_chunked(&self) -> bool {
        matches!(self, RequestBody::Stream(stream) if stream.is_chunked())
    }

    /// Starts over at the first byte.
    pub(super) fn rewind(&mut self) -> Result<(), HttpError> {
        match self {
            RequestBody::Bytes(_) => Ok(()),
            RequestBody::Stream(stream) => stream.rewind(),
        }
    }

    /// Returns the name of the phase that sends the body.
    pub(super) fn phase(&self) -> &'static str {
        match self {
            RequestBody::Bytes(_) => "sending the request",
            RequestBody::Stream(_) => "sending the file",
        }
    }
}
