//! HTTP/1.1 exchanges over one open stream: one request out, one response in, without pipelining.
//!
//! ```text
//!   is_reusable? ──▶ exchange ──▶ read_body ──▶ is_reusable? …
//! ```
//!
//! ureq-proto implements the protocol; this file moves the bytes and sets the limits. A request is sent once and never
//! repeated here: only the caller knows whether a repetition is harmless (R49).

use std::time::Duration;

use ureq_proto::BodyMode;
use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};
use ureq_proto::http::Request;

use super::error::HttpError;
use super::exchange_record::ExchangeRecord;
use super::header_lines::{header_length, unfold};
use super::io_limits::at_slowest;
use super::plain_http::not_http;
use super::request_body::{BodyStream, RequestBody};
use super::request_head::{request_head, skip_body};
use super::response_head::{MAX_HEADER, ReceivedHeader, ResponseHead, invalid, is_http_so_far};
use super::stream::Stream;
use super::tcp::Readiness;
use crate::log;

/// The most that one read takes of a body, in bytes. Only a larger header makes the buffer grow.
const INPUT: usize = 16 * 1024;
/// The largest number of interim responses (R42) before the final one.
const MAX_INTERIM: usize = 8;
/// The most line ends, in bytes, that may stand behind a response. A server that sends them without end gets a new connection.
const MAX_SURPLUS: usize = 64;
/// The size of a request, in bytes, up to which the limit of silence covers its way to the server.
const SMALL_REQUEST: u64 = 16 * 1024;
/// The most of a larger one, in bytes, that is still on its way when the system has taken its last byte: four segments of the
/// loopback interface, because with fewer each one waits for a delayed acknowledgement.
const MAX_QUEUED: u64 = 256 * 1024;
/// The ticks of [`HttpConnection::wait_for_input`] for which a request waits between header and body: one second in all.
const HESITATION: usize = 5;

/// An open stream with the bytes that were read ahead from it.
#[derive(Debug)]
pub struct HttpConnection {
    stream: Stream,
    input: Vec<u8>,
    /// `input[start..end]` is read and not used yet.
    start: usize,
    end: usize,
    /// True if the whole of the last request was sent.
    sent_all: bool,
    /// True if the last response allows another request on this connection.
    keep: bool,
    /// True if the log has a warning of malformed header lines on this connection.
    has_warned: bool,
    record: ExchangeRecord,
}

impl HttpConnection {
    /// Returns a connection on a stream that was just opened.
    pub fn new(stream: Stream) -> HttpConnection {
        let input = vec![0; INPUT];
        let record = ExchangeRecord::new(stream.tcp().opened());
        HttpConnection { stream, input, start: 0, end: 0, sent_all: true, keep: true, has_warned: false, record }
    }

    /// Returns the measurements of the last exchange.
    #[cfg(feature = "diagnostics")]
    pub(super) fn record(&self) -> ExchangeRecord {
        self.record
    }

    /// Ends all waits after `limit` from now, also that of the present phase.
    #[cfg(feature = "diagnostics")]
    pub(super) fn end_within(&mut self, phase: &'static str, limit: Duration) {
        self.stream.end_within(limit);
        self.stream.begin(phase, limit);
    }

    /// Returns true if the whole of the last request was sent.
    pub(super) fn sent_all(&self) -> bool {
        self.sent_all
    }

    /// Returns true if the header of the last response allows another request.
    pub(super) fn is_kept(&self) -> bool {
        self.keep
    }

    /// Waits one tick for the server to close the connection or to send something.
    pub(super) fn wait_for_input(&self) {
        self.stream.tcp().wait_for_input();
    }

    /// Returns true if another request may be sent: the last response allowed it and was read to its end, and the
    /// server has not closed the connection since (R46). Costs one system call.
    pub fn is_reusable(&mut self) -> bool {
        let mut surplus = 0;
        loop {
            // Some servers send a line end too many behind a body. Other bytes answer no request of ours, so that the
            // next response could not be told from them.
            let is_blank = self.unread().iter().all(|b| b"\r\n".contains(b));
            surplus += self.unread().len();
            if !self.keep || !is_blank || surplus > MAX_SURPLUS {
                return false;
            }
            (self.start, self.end) = (0, 0);
            match self.stream.peek() {
                Readiness::Idle => return true,
                Readiness::Closed => return false,
                Readiness::Input => match self.fill() {
                    Ok(true) => {}
                    _ => return false,
                },
            }
        }
    }

    /// Sends a request and reads the header of the response. The header of the request names the length of `body`.
    ///
    /// A response that arrives while a [`BodyStream`] is being sent ends the sending: a challenge, a redirect or a
    /// rejection makes the rest of the body useless. With `hesitate`, such a response is awaited for about a second
    /// before the first byte. That does the work of `Expect: 100-continue`, which some servers cannot handle (R42).
    ///
    /// # Errors
    /// [`HttpError::Closed`] if the connection ended before the first byte of a response.
    pub fn exchange(
        &mut self,
        request: Request<()>,
        body: &mut RequestBody<'_>,
        hesitate: bool,
    ) -> Result<ResponseHead, HttpError> {
        // Set back only at the end of a complete exchange, so that an error leaves a connection that is not used again.
        self.keep = false;
        self.sent_all = false;
        let (head, call) = request_head(request).map_err(invalid)?;
        let size = body.length().saturating_add(head.len() as u64);
        let is_large = matches!(body, RequestBody::Bytes(_)) && size > SMALL_REQUEST;
        if is_large {
            self.stream.tcp().limit_queue(MAX_QUEUED as usize);
        }
        self.stream.begin(body.phase(), self.stream.tcp().time_for(size));
        self.record.begin(head.len());
        let sent = match body {
            RequestBody::Bytes(bytes) => self.stream.send(&head, bytes).map(|()| true),
            RequestBody::Stream(stream) => self.send_pieces(&head, &mut **stream, hesitate),
        };
        match sent {
            Ok(sent_all) => self.sent_all = sent_all,
            // A server that rejects a request early closes the connection while we still send. Its response is
            // waiting to be read, and says more than the broken connection does.
            Err(HttpError::Closed) => {}
            Err(error @ HttpError::Timeout(_)) => {
                if self.stream.peek() != Readiness::Input {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        let call = match call.proceed().map_err(invalid)? {
            Some(SendRequestResult::RecvResponse(call)) => Some(call),
            Some(SendRequestResult::SendBody(call)) => skip_body(call, body).map_err(invalid)?,
            // ureq-proto waits for 100 only behind `Expect`, which is never sent (R42).
            Some(SendRequestResult::Await100(_)) | None => None,
        };
        let mismatch = || HttpError::Protocol("the request's header and body do not fit together".into());
        // On a slow link the end of a large request leaves the device long after the system has taken it.
        let draining = if is_large { at_slowest(size.min(MAX_QUEUED) - SMALL_REQUEST) } else { Duration::ZERO };
        self.stream.begin("waiting for the answer", self.stream.tcp().time_for(0) + draining);
        self.stream.tcp_mut().extend_silence(draining);
        self.receive(call.ok_or_else(mismatch)?)
    }

    /// Sends the header and then the body piece by piece. Returns false if the server sent something before the end.
    fn send_pieces(&mut self, head: &[u8], body: &mut dyn BodyStream, hesitate: bool) -> Result<bool, HttpError> {
        self.stream.send(head, &[])?;
        for _ in 0..if hesitate { HESITATION } else { 0 } {
            self.wait_for_input();
            self.stream.tcp().check()?;
            if self.stream.peek() != Readiness::Idle {
                return Ok(false);
            }
        }
        let mut left = body.length();
        let is_chunked = body.is_chunked();
        // The line end behind a chunk stands in front of the next, so that each chunk is one write.
        let mut line_end = "";
        while left > 0 {
            if self.stream.peek() != Readiness::Idle {
                return Ok(false);
            }
            // The input buffer serves as the piece: nothing of the response is read yet, and a file of any size needs
            // no second buffer.
            let room = INPUT.min(usize::try_from(left).unwrap_or(INPUT));
            let length = body.read(&mut self.input[..room])?.min(room);
            let chunk = match is_chunked {
                true if length == 0 => break,
                true => format!("{line_end}{length:x}\r\n"),
                false if length == 0 => return Err(HttpError::Io("the file has become shorter".into())),
                false => String::new(),
            };
            line_end = "\r\n";
            self.stream.send(chunk.as_bytes(), &self.input[..length])?;
            left -= length as u64;
            body.sent(length);
        }
        if is_chunked {
            self.stream.send(line_end.as_bytes(), b"0\r\n\r\n")?;
        }
        Ok(true)
    }

    /// Begins a new phase, which may last for `limit` in all; `phase` completes "timed out while …".
    pub(super) fn begin(&mut self, phase: &'static str, limit: Duration) {
        self.stream.begin(phase, limit);
    }

    /// Reads the body to its end and gives it to `take` piece by piece.
    ///
    /// # Errors
    /// [`HttpError::TooLarge`] if the body has more than `limit` bytes.
    pub fn read_body(
        &mut self,
        response: &mut ResponseHead,
        limit: usize,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), HttpError> {
        if response.length().is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
            return Err(HttpError::TooLarge { limit });
        }
        let mut piece = [0; 4096];
        let mut total = 0;
        loop {
            let length = self.read(response, &mut piece)?;
            if length == 0 {
                return Ok(());
            }
            total += length;
            if total > limit {
                return Err(HttpError::TooLarge { limit });
            }
            take(&piece[..length]);
        }
    }

    /// Reads the next piece of the body and returns its length; 0 at the end of the body.
    pub fn read(&mut self, response: &mut ResponseHead, piece: &mut [u8]) -> Result<usize, HttpError> {
        let Some(call) = &mut response.body else {
            return Ok(0);
        };
        let ends_with_stream = call.body_mode() == BodyMode::CloseDelimited;
        let mut framing = 0;
        // A body without a length ends where the server closes the stream, so that `can_proceed` says nothing there.
        while ends_with_stream || !call.can_proceed() {
            let (used, made) = call.read(&self.input[self.start..self.end], piece).map_err(invalid)?;
            self.start += used;
            if made > 0 {
                // Only bytes of the body give the phase more time: their number is limited, unlike that of the bytes around
                // them.
                self.stream.tcp_mut().extend(at_slowest(made as u64));
                return Ok(made);
            }
            if used > 0 {
                // Trailers add nothing to the body, so that no limit on its length would ever end them.
                framing += used;
                if framing > INPUT {
                    return Err(HttpError::Protocol(format!("the trailers are larger than {INPUT} bytes")));
                }
                continue;
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) if ends_with_stream || call.is_ended_chunked() => {
                    response.body = None;
                    return Ok(0);
                }
                // A body that ends early must not pass for a complete one.
                Ok(false) | Err(HttpError::Closed) => return Err(cut_short()),
                Err(error) => return Err(error),
            }
        }
        // The server still waits for the rest of a request that was not sent to its end: it would take the next request
        // for that rest.
        self.keep = self.sent_all
            && match response.body.take().and_then(Call::<RecvBody>::proceed) {
                Some(RecvBodyResult::Redirect(call)) => !call.must_close_connection(),
                Some(RecvBodyResult::Cleanup(call)) => !call.must_close_connection(),
                None => false,
            };
        Ok(0)
    }

    /// Reads up to the end of the header of the final response.
    fn receive(&mut self, call: Call<RecvResponse>) -> Result<ResponseHead, HttpError> {
        let mut interim = 0;
        let mut searched = 0;
        loop {
            // The parser starts over at each call. A server that sends byte after byte would cost quadratic time, so it
            // is called only once a blank line has arrived.
            if let Some(length) = header_length(self.unread(), searched) {
                let header = self.take_header(length)?;
                if !header.is_interim()? {
                    return self.response_head(call, header);
                }
                interim += 1;
                if interim > MAX_INTERIM {
                    return Err(HttpError::Protocol("too many interim responses".into()));
                }
                searched = 0;
                continue;
            }
            searched = self.unread().len();
            // Checked byte by byte: a server of another protocol, such as SSH, never sends the blank line that ends a
            // header, so that the error would come only with the timeout.
            if !is_http_so_far(self.unread()) {
                return Err(not_http(self.unread()));
            }
            if searched == self.input.len() {
                // Doubling ends at the limit, where `fill` fails.
                self.input.resize((2 * searched).min(MAX_HEADER), 0);
            }
            match self.fill() {
                Ok(true) => self.stream.tcp_mut().extend(at_slowest((self.end - searched) as u64)),
                // Without a byte of a response the request is lost as a whole, which the caller treats differently from a
                // response that was cut short (R49).
                Ok(false) | Err(HttpError::Closed) if searched == 0 && interim == 0 => {
                    return Err(HttpError::Closed);
                }
                Ok(false) | Err(HttpError::Closed) => return Err(cut_short()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a header of this length, and the blank line behind it, from the unread bytes.
    fn take_header(&mut self, length: usize) -> Result<ReceivedHeader, HttpError> {
        let unread = &mut self.input[self.start..self.end];
        unfold(&mut unread[..length]);
        let header = ReceivedHeader::read(&unread[..length])?;
        let blank_line = if unread.get(length) == Some(&b'\r') { 2 } else { 1 };
        self.start += length + blank_line;
        if header.malformed > 0 && !std::mem::replace(&mut self.has_warned, true) {
            log::warn!("the server sends malformed header lines: {} in this response", header.malformed);
        }
        Ok(header)
    }

    /// Separates the header from the body. A response without a body leaves the connection ready at once.
    fn response_head(
        &mut self,
        mut call: Call<RecvResponse>,
        header: ReceivedHeader,
    ) -> Result<ResponseHead, HttpError> {
        let no_end = || HttpError::Protocol("no end of the header".into());
        let (_, response) = call.try_response(&header.framing, false).map_err(invalid)?;
        let status = response.ok_or_else(no_end)?.status().as_u16();
        let body = match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) => Some(call),
            Some(RecvResponseResult::Redirect(call)) => {
                self.keep = self.sent_all && !call.must_close_connection();
                None
            }
            Some(RecvResponseResult::Cleanup(call)) => {
                self.keep = self.sent_all && !call.must_close_connection();
                None
            }
            None => return Err(no_end()),
        };
        Ok(ResponseHead { status, headers: header.fields, body })
    }

    /// Returns the bytes that were read from the stream and not used yet.
    fn unread(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    /// Waits for more bytes and returns false at the end of the stream. The unread bytes must fit into the buffer: they
    /// are a header, or one line of the chunked coding.
    fn fill(&mut self) -> Result<bool, HttpError> {
        // The unread bytes move to the front, so that a header can use the whole buffer.
        self.input.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.input.len() {
            return Err(HttpError::Protocol(format!("the header is larger than {} bytes", self.end)));
        }
        let received = self.stream.receive(&mut self.input[self.end..])?;
        self.end += received;
        self.record.add(received);
        Ok(received > 0)
    }
}

fn cut_short() -> HttpError {
    HttpError::Io("the answer was cut short".into())
}
