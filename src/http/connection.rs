//! HTTP/1.1 exchanges over one open stream: request out, answer in, nothing in between.
//!
//! ```text
//!   is_reusable? ──▶ exchange ──▶ read_body ──▶ is_reusable? …
//! ```
//!
//! ureq-proto knows the protocol; this file moves the bytes and sets the limits. A request is sent
//! once and never repeated here: whether it may be sent again is for the caller to say (R49).

use std::time::Duration;

use ureq_proto::client::state::{RecvBody, RecvResponse, SendRequest};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};
use ureq_proto::http::{HeaderMap, Request};
use ureq_proto::{BodyMode, Error, parser};

use super::error::HttpError;
use super::stream::Stream;
use super::tcp::Readiness;

/// Room for the header of an answer, and for what is read of its body at a time.
const INPUT: usize = 16 * 1024;
/// Interim answers (R42) before the one that counts.
const MAX_INTERIM: usize = 8;
/// A phase of an exchange may last so many times as long as the server may be silent.
const PHASE: u32 = 4;
/// A slower uplink than this has to live with failing large requests.
const SLOWEST_UPLINK: usize = 1024; // bytes a second
/// So many moments of [`HttpConnection::wait_for_input`], a second in all, an answer to the header alone is waited for.
const HESITATION: usize = 5;

/// One open stream with what was read ahead from it.
#[derive(Debug)]
pub struct HttpConnection {
    stream: Stream,
    input: Vec<u8>,
    /// `input[start..end]` is read and not used yet.
    start: usize,
    end: usize,
    /// A whole request went out with the last exchange.
    sent_all: bool,
    /// The last answer allows another request.
    keep: bool,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// Its header.
    pub headers: HeaderMap,
    body: Option<Call<RecvBody>>,
}

impl ResponseHead {
    /// The bytes of the body; none where only its end will tell.
    pub fn length(&self) -> Option<u64> {
        match self.body.as_ref().map(Call::body_mode) {
            None | Some(BodyMode::NoBody) => Some(0),
            Some(BodyMode::LengthDelimited(length)) => Some(length),
            Some(BodyMode::CloseDelimited | BodyMode::Chunked) => None,
        }
    }
}

/// The body of a request, in pieces.
pub trait RequestBody {
    /// All its bytes.
    fn length(&self) -> u64;
    /// The next piece of it.
    fn read(&mut self, piece: &mut [u8]) -> Result<usize, HttpError>;
    /// So many more bytes have been handed to the system.
    fn sent(&mut self, bytes: usize);
}

impl HttpConnection {
    /// On a stream just opened.
    pub fn new(stream: Stream) -> HttpConnection {
        HttpConnection { stream, input: vec![0; INPUT], start: 0, end: 0, sent_all: true, keep: true }
    }

    /// The stream itself.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Whether the server got the whole of the last request.
    pub fn sent_all(&self) -> bool {
        self.sent_all
    }

    /// Whether the last answer allows another request, by what it says.
    pub fn is_kept(&self) -> bool {
        self.keep
    }

    /// Waits a moment for the server to close the connection, or to say something.
    pub fn wait_for_input(&self) {
        self.stream.tcp().wait_for_input();
    }

    /// Whether another request may be sent: the last answer allowed it and was read to its end, and
    /// the server has not closed the connection since (R46). Costs one system call.
    pub fn is_reusable(&mut self) -> bool {
        loop {
            // A line end too many is a common slip; anything else belongs to no request of ours.
            let is_blank = self.unread().iter().all(|b| b"\r\n".contains(b));
            if !self.keep || !is_blank {
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

    /// Sends a request and reads the header of the answer. The request's header names the length of
    /// `body`. [`HttpError::Closed`]: the connection ended before the first byte of an answer.
    pub fn exchange(&mut self, request: Request<()>, body: &[u8]) -> Result<ResponseHead, HttpError> {
        self.keep = false;
        self.sent_all = false;
        let mut call = Call::new(request).map_err(invalid)?.proceed();
        let head = head(&mut call)?;
        let seconds = u64::try_from((head.len() + body.len()) / SLOWEST_UPLINK).unwrap_or(0);
        self.stream.begin("sending the request", self.phase() + Duration::from_secs(seconds));
        match self.stream.send(&head, body) {
            Ok(()) => self.sent_all = true,
            // It may have refused the request early; then its answer is there to be read.
            Err(HttpError::Closed) => {}
            Err(error) => return Err(error),
        }
        let call = match call.proceed().map_err(invalid)? {
            Some(SendRequestResult::RecvResponse(call)) => Some(call),
            Some(SendRequestResult::SendBody(mut call)) => {
                call.consume_direct_write(body.len()).map_err(invalid)?;
                call.proceed()
            }
            // Only with `Expect`, which is never sent (R42).
            Some(SendRequestResult::Await100(_)) | None => None,
        };
        self.receive(call.ok_or_else(unfit)?)
    }

    /// Sends a request whose body is too large to be held in memory, and reads the header of the answer. The request's
    /// header names the length of the body, as `body` does.
    ///
    /// An answer that comes while the body goes out ends the sending: a challenge, a redirect, a refusal make the rest of
    /// it useless. With `hesitate`, such an answer is waited for before the first byte, for about a second. That does
    /// the work of `Expect: 100-continue`, which breaks servers (R42).
    pub fn exchange_streamed(
        &mut self,
        request: Request<()>,
        body: &mut dyn RequestBody,
        hesitate: bool,
    ) -> Result<ResponseHead, HttpError> {
        self.keep = false;
        self.sent_all = false;
        let mut call = Call::new(request).map_err(invalid)?.proceed();
        let head = head(&mut call)?;
        let Some(SendRequestResult::SendBody(mut call)) = call.proceed().map_err(invalid)? else {
            return Err(unfit());
        };
        let limit = Duration::from_secs(body.length() / SLOWEST_UPLINK as u64);
        self.stream.begin("sending the file", self.phase() + limit);
        match self.send_pieces(&head, body, hesitate) {
            Ok(sent_all) => self.sent_all = sent_all,
            // It may have refused the request early; then its answer is there to be read.
            Err(HttpError::Closed) => {}
            Err(error @ HttpError::Timeout(_)) => {
                if self.stream.peek() != Readiness::Input {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        let mut left = body.length();
        while left > 0 {
            let some = usize::try_from(left).unwrap_or(usize::MAX); // there are files above 4 GiB
            call.consume_direct_write(some).map_err(invalid)?;
            left -= some as u64;
        }
        self.receive(call.proceed().ok_or_else(unfit)?)
    }

    /// False where the server had something to say before the end.
    fn send_pieces(&mut self, head: &[u8], body: &mut dyn RequestBody, hesitate: bool) -> Result<bool, HttpError> {
        self.stream.send(head, &[])?;
        for _ in 0..if hesitate { HESITATION } else { 0 } {
            self.wait_for_input();
            self.stream.tcp().check()?;
            if self.stream.peek() != Readiness::Idle {
                return Ok(false);
            }
        }
        let mut left = body.length();
        while left > 0 {
            if self.stream.peek() != Readiness::Idle {
                return Ok(false);
            }
            // Nothing of the answer is read yet, so that its room is free.
            let room = INPUT.min(usize::try_from(left).unwrap_or(INPUT));
            let length = body.read(&mut self.input[..room])?.min(room);
            if length == 0 {
                return Err(HttpError::Io("the file has become shorter".into()));
            }
            self.stream.send(&self.input[..length], &[])?;
            left -= length as u64;
            body.sent(length);
        }
        Ok(true)
    }

    /// A new phase begins, which may last for `limit` in all; `phase` completes "timed out while …".
    pub fn begin(&mut self, phase: &'static str, limit: Duration) {
        self.stream.begin(phase, limit);
    }

    /// Reads the body to its end, giving it to `take` piece by piece; at most `limit` bytes.
    pub fn read_body(
        &mut self,
        answer: &mut ResponseHead,
        limit: usize,
        take: &mut dyn FnMut(&[u8]) -> Result<(), HttpError>,
    ) -> Result<(), HttpError> {
        if answer.length().is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
            return Err(HttpError::TooLarge { limit });
        }
        let mut piece = [0; 4096];
        let mut total = 0;
        loop {
            let made = self.read(answer, &mut piece)?;
            if made == 0 {
                return Ok(());
            }
            total += made;
            if total > limit {
                return Err(HttpError::TooLarge { limit });
            }
            take(&piece[..made])?;
        }
    }

    /// Reads the next piece of the body; 0 at its end.
    pub fn read(&mut self, answer: &mut ResponseHead, piece: &mut [u8]) -> Result<usize, HttpError> {
        let Some(call) = &mut answer.body else {
            return Ok(0);
        };
        let ends_with_stream = call.body_mode() == BodyMode::CloseDelimited;
        while ends_with_stream || !call.can_proceed() {
            let (used, made) = call.read(&self.input[self.start..self.end], piece).map_err(invalid)?;
            self.start += used;
            if made > 0 {
                return Ok(made);
            }
            if used > 0 {
                continue;
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) if ends_with_stream || call.is_ended_chunked() => {
                    answer.body = None;
                    return Ok(0);
                }
                Ok(false) | Err(HttpError::Closed) => return Err(cut_short()),
                Err(error) => return Err(error),
            }
        }
        self.keep = self.sent_all
            && match answer.body.take().and_then(Call::<RecvBody>::proceed) {
                Some(RecvBodyResult::Redirect(call)) => !call.must_close_connection(),
                Some(RecvBodyResult::Cleanup(call)) => !call.must_close_connection(),
                None => false,
            };
        Ok(0)
    }

    fn receive(&mut self, mut call: Call<RecvResponse>) -> Result<ResponseHead, HttpError> {
        self.stream.begin("waiting for the answer", self.phase());
        let mut interim = 0;
        let mut searched = 0;
        loop {
            // Parsing starts over each time, so only where a blank line has come.
            if has_blank_line(self.unread(), searched) {
                if let Some(length) = interim_length(self.unread())? {
                    interim += 1;
                    if interim > MAX_INTERIM {
                        return Err(HttpError::Protocol("too many interim answers".into()));
                    }
                    self.start += length;
                    searched = 0;
                    continue;
                }
                let (used, response) = call.try_response(self.unread(), false).map_err(invalid)?;
                self.start += used;
                if let Some(response) = response {
                    return self.answer(call, response.into_parts().0);
                }
            }
            searched = self.unread().len();
            if !is_http_so_far(self.unread()) {
                return Err(HttpError::Protocol("the server does not speak HTTP on this port".into()));
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) | Err(HttpError::Closed) if searched == 0 && interim == 0 => {
                    return Err(HttpError::Closed);
                }
                Ok(false) | Err(HttpError::Closed) => return Err(cut_short()),
                Err(error) => return Err(error),
            }
        }
    }

    fn answer(
        &mut self,
        call: Call<RecvResponse>,
        parts: ureq_proto::http::response::Parts,
    ) -> Result<ResponseHead, HttpError> {
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
            None => return Err(HttpError::Protocol("no end of the header".into())),
        };
        Ok(ResponseHead { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    fn unread(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    /// Waits for more bytes; false at the end of the stream. What is unread must fit into the buffer:
    /// a header, or one line of chunked coding.
    fn fill(&mut self) -> Result<bool, HttpError> {
        self.input.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.input.len() {
            return Err(HttpError::Protocol(format!("the header is larger than {INPUT} bytes")));
        }
        let received = self.stream.receive(&mut self.input[self.end..])?;
        self.end += received;
        Ok(received > 0)
    }

    fn phase(&self) -> Duration {
        self.stream.tcp().timeout() * PHASE
    }
}

/// Request line and header fields.
fn head(call: &mut Call<SendRequest>) -> Result<Vec<u8>, HttpError> {
    let mut head = vec![0; 1024];
    let mut written = 0;
    loop {
        match call.write(&mut head[written..]) {
            Ok(length) => written += length,
            Err(Error::OutputOverflow) => {}
            Err(error) => return Err(invalid(error)),
        }
        if call.can_proceed() {
            head.truncate(written);
            return Ok(head);
        }
        // Cookies and Authorization are bounded, and so is this.
        head.resize(head.len() * 2, 0);
    }
}

/// The length of a 1xx answer in front. ureq-proto skips them as well, but refuses a 100 that has
/// header fields, and servers do send `100 Continue` with a date.
fn interim_length(input: &[u8]) -> Result<Option<usize>, HttpError> {
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

/// Whether a blank line is in the input, the first `searched` bytes of which held none.
fn has_blank_line(input: &[u8], searched: usize) -> bool {
    let from = searched.saturating_sub(3);
    (from..input.len())
        .any(|at| input[at] == b'\n' && (input[at + 1..].starts_with(b"\n") || input[at + 1..].starts_with(b"\r\n")))
}

/// False as soon as the bytes cannot be the beginning of an answer.
fn is_http_so_far(input: &[u8]) -> bool {
    let begin = input.iter().position(|b| !b"\r\n".contains(b)).unwrap_or(input.len());
    input[begin..].iter().zip(b"HTTP/1.").all(|(a, b)| a == b)
}

fn invalid(error: Error) -> HttpError {
    HttpError::Protocol(error.to_string())
}

fn unfit() -> HttpError {
    HttpError::Protocol("the request's header and body do not fit together".into())
}

fn cut_short() -> HttpError {
    HttpError::Io("the answer was cut short".into())
}
