//! One connection of a test: a download that is counted and dropped, or an upload of random bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use rand::RngCore;
use rand::rngs::OsRng;
use rustix::io::Errno;
use ureq_proto::http::Method;

use super::recorder::Recorder;
use super::{Direction, SpeedTest};
use crate::diagnostics::Failure;
use crate::diagnostics::clock::now;
use crate::http::{
    BodyStream, ClientPolicy, ClientSettings, CookieScope, HttpClient, HttpError, IoLimits, PreferredAddress,
    RequestBody, without_errno,
};
use crate::url::Url;

/// The size of the buffer of a download in bytes.
const PIECE: usize = 16 << 10;
/// The number of redirects of a download that are followed. Those of an upload are not: a part of it would have been sent.
const MAX_REDIRECTS: usize = 5;
/// The largest body of a redirect, in bytes, that is read to keep the connection.
const DISCARD_LIMIT: usize = 64 << 10;

/// The phase of a download for the text of its errors.
const RECEIVING: &str = "receiving the file";

/// The phase of an exchange, on which the name of an error depends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Until the header of the response.
    Request,
    /// The body.
    Transfer,
}

/// A connection, with the number by which the recorder knows it.
pub(super) struct Connection {
    pub(super) index: usize,
    pub(super) test: Arc<SpeedTest>,
    pub(super) recorder: Arc<Recorder>,
}

impl Connection {
    /// Runs the transfer to its end.
    pub(super) fn run(&self, url: Url, address: SocketAddr, limits: IoLimits) -> Result<(), Box<Failure>> {
        let mut client = HttpClient::new(ClientSettings {
            url,
            // R315: no authentication; a challenge ends the test.
            credentials: None,
            tls: self.test.tls.clone(),
            clock_is_set: self.test.clock_is_set,
            socket: self.test.options.clone(),
            limits,
            policy: ClientPolicy {
                max_redirects: if self.test.direction == Direction::Download { MAX_REDIRECTS } else { 0 },
                discard_limit: DISCARD_LIMIT,
                must_discard: false,
                cookie_scope: CookieScope::OwnHost,
                hesitate_above: u64::MAX,
            },
        });
        client.prefer_address(PreferredAddress { ip: address.ip(), list: None });
        match self.test.direction {
            Direction::Download => self.download(&mut client),
            Direction::Upload => self.upload(&mut client),
        }
    }

    /// Requests the file, again and again if time ends the test, and drops it.
    fn download(&self, client: &mut HttpClient) -> Result<(), Box<Failure>> {
        let mut piece = vec![0; PIECE];
        let mut first = None;
        let mut before = 0;
        loop {
            let mut response = match client.request(&Method::GET, &[], None) {
                Err(_) if first.is_some() && self.is_over() => break,
                result => result.map_err(|error| self.failed(Phase::Request, error))?,
            };
            self.check_status(response.status)?;
            if first.is_none() {
                first = client.record();
                self.recorder.begin(self.index, first.and_then(|record| record.answered).unwrap_or_else(now));
            }
            if let Some(left) = self.recorder.time_left(now()) {
                client.end_within(RECEIVING, left);
            }
            loop {
                match client.read(&mut response, &mut piece) {
                    Err(_) if self.is_over() => break,
                    Err(error) => return Err(self.failed(Phase::Transfer, error)),
                    Ok(0) => break,
                    Ok(_) => {}
                }
                let received = client.record().map_or(0, |record| record.received);
                if self.recorder.add(self.index, before + received, now()) {
                    break;
                }
            }
            if self.test.duration.is_zero() || self.is_over() {
                break;
            }
            before += client.record().map_or(0, |record| record.received);
        }
        self.recorder.end(self.index, first, None);
        Ok(())
    }

    /// Sends random bytes in one request, as many as the test asks for, or as long as its time lasts.
    fn upload(&self, client: &mut HttpClient) -> Result<(), Box<Failure>> {
        let mut body = Upload { connection: self, sent: 0, is_filled: false };
        let fields = [("Content-Type", "application/octet-stream")];
        let result = client.request(&Method::PUT, &fields, Some(RequestBody::Stream(&mut body)));
        // TR-143: the response ends the transmission.
        let at = now();
        let response = result.map_err(|error| match body.sent {
            0 => self.failed(Phase::Request, error),
            _ => self.failed(Phase::Transfer, error),
        })?;
        self.check_status(response.status)?;
        if body.sent < self.test.length && !self.is_over() {
            return Err(
                self.failed(Phase::Transfer, HttpError::Io("the answer came before the end of the file".into()))
            );
        }
        if !body.is_filled {
            self.recorder.begin(self.index, at);
        }
        let record = client.record();
        let head = record.map_or(0, |record| record.request_head as u64);
        self.recorder.add(self.index, body.sent + head, at);
        self.recorder.end(self.index, record, Some(at));
        Ok(())
    }

    /// Returns true if the time of the test has passed.
    fn is_over(&self) -> bool {
        self.recorder.time_left(now()).is_some_and(|left| left.is_zero())
    }

    fn check_status(&self, status: u16) -> Result<(), Box<Failure>> {
        match status {
            200..=299 => Ok(()),
            code => {
                let error = HttpError::Status { code, retry_after: None, text: String::new() };
                Err(self.failed(Phase::Transfer, error))
            }
        }
    }

    /// Returns the failure of the test that an error of its client means, by the names of the data model.
    fn failed(&self, phase: Phase, error: HttpError) -> Box<Failure> {
        let broken = match self.test.direction {
            Direction::Download => "Error_TransferFailed",
            Direction::Upload => "Error_NoTransferComplete",
        };
        let state = match &error {
            HttpError::Stopped => return Failure::stopped(),
            HttpError::Resolve { .. } => "Error_CannotResolveHostName",
            HttpError::Connect { reason, .. } if is_unroutable(reason) => "Error_NoRouteToHost",
            HttpError::Connect { .. } | HttpError::Tls(_) => "Error_InitConnectionFailed",
            HttpError::NoCredentials | HttpError::Status { code: 401 | 407, .. } => "Error_LoginFailed",
            HttpError::Timeout(_) | HttpError::Closed if phase == Phase::Request => "Error_NoResponse",
            HttpError::Timeout(_) => "Error_Timeout",
            _ => broken,
        };
        Failure::of(state, format_args!("{error}"))
    }
}

/// Returns true if the system has no route to an address, or found none behind it.
fn is_unroutable(reason: &str) -> bool {
    [Errno::NETUNREACH, Errno::HOSTUNREACH].into_iter().any(|errno| without_errno(&errno.into()) == reason)
}

/// The body of an upload.
struct Upload<'a> {
    connection: &'a Connection,
    sent: u64,
    is_filled: bool,
}

impl BodyStream for Upload<'_> {
    fn length(&self) -> u64 {
        if self.is_chunked() { u64::MAX } else { self.connection.test.length }
    }

    /// Returns true if time ends the body, so that its length is not known ahead.
    fn is_chunked(&self) -> bool {
        !self.connection.test.duration.is_zero()
    }

    fn read(&mut self, piece: &mut [u8]) -> Result<usize, HttpError> {
        if !self.is_filled {
            self.is_filled = true;
            // Random, so that no link on the way compresses the bytes. The buffer keeps them for the later pieces.
            OsRng.try_fill_bytes(piece).map_err(|error| HttpError::Io(format!("no random bytes: {error}")))?;
            self.connection.recorder.begin(self.connection.index, now());
        }
        Ok(if self.connection.is_over() { 0 } else { piece.len() })
    }

    fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        self.connection.recorder.add(self.connection.index, self.sent, now());
    }

    fn rewind(&mut self) -> Result<(), HttpError> {
        Ok(()) // only the first request on a new connection has this body: redirects are not followed
    }
}
