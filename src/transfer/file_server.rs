//! The file server during one attempt: the HTTP client with the rules of a transfer.
//!
//! TR-069 asks for the same as towards the ACS (R65). A transfer differs in three points: a cookie stays with its host, GET
//! and PUT may be sent again, and a file is moved in pieces.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ureq_proto::http::Method;

use super::error::{FaultContext, TransferError};
use super::file_request::FileRequest;
use crate::http::{
    ClientPolicy, ClientSettings, CookieScope, Credentials, HttpClient, HttpError, IoLimits, RequestBody, ResponseHead,
};
use crate::socket_options::SocketOptions;
use crate::url::Url;

/// The largest body of a challenge or a redirect that is read to keep the connection, in bytes. A new connection takes
/// less time than a longer one.
const DISCARD_LIMIT: usize = 64 * 1024;
/// The size of a file, in bytes, up to which it is sent without waiting for a challenge: sending it twice costs less
/// than the wait.
const HESITATE_ABOVE: u64 = 64 * 1024;

/// A file server, during one attempt. Dropping the value closes the connection.
#[derive(Debug)]
pub(super) struct FileServer<'a> {
    request: &'a FileRequest,
    client: HttpClient,
    limits: IoLimits,
}

impl<'a> FileServer<'a> {
    /// Prepares an attempt without sending anything. The time limit of the attempt counts from now.
    pub(super) fn open(
        request: &'a FileRequest,
        url: &str,
        stop: &Arc<AtomicBool>,
    ) -> Result<FileServer<'a>, HttpError> {
        let url = Url::parse(url)?;
        let limits = IoLimits { timeout: request.limits.silence, stop: Arc::clone(stop), end: None };
        let limits = limits.end_within(request.limits.attempt);
        // An empty user name means that the server needs none. A challenge is then reported as such, instead of an empty
        // name that the server rejects.
        let has_credentials = !request.username.is_empty();
        let client = HttpClient::new(ClientSettings {
            url,
            credentials: has_credentials
                .then(|| Credentials { username: request.username.clone(), password: request.password.clone() }),
            tls: request.tls.clone(),
            clock_is_set: request.clock_is_set,
            socket: SocketOptions::default(),
            limits: limits.clone(),
            policy: ClientPolicy {
                max_redirects: request.limits.redirects,
                discard_limit: DISCARD_LIMIT,
                must_discard: false,
                // A file may lie on a host that is not of the operator, and R57 is about sessions.
                cookie_scope: CookieScope::OwnHost,
                hesitate_above: HESITATE_ABOVE,
            },
        });
        Ok(FileServer { request, client, limits })
    }

    /// Sends a request with the header fields of `fields` and reads the header of the final response, as
    /// [`HttpClient::request`] does.
    pub(super) fn request(
        &mut self,
        method: &Method,
        fields: &[(&str, &str)],
        body: Option<RequestBody<'_>>,
    ) -> Result<ResponseHead, HttpError> {
        self.client.request(method, fields, body)
    }

    /// Begins to receive the body of a response, which may take all the time that is left of the attempt.
    pub(super) fn begin_receiving(&mut self) {
        self.client.begin("receiving the file", self.request.limits.attempt);
    }

    /// Reads the next piece of the body of the last response and returns its length; 0 at its end.
    pub(super) fn read(&mut self, response: &mut ResponseHead, piece: &mut [u8]) -> Result<usize, HttpError> {
        self.client.read(response, piece)
    }

    /// Reads the whole body of the last response, at most `limit` bytes.
    pub(super) fn read_body(&mut self, response: &mut ResponseHead, limit: usize) -> Result<Vec<u8>, HttpError> {
        self.client.read_body(response, limit)
    }

    /// Returns true if the path or the query of the request, or of the last redirect, holds a file name with one of these
    /// extensions.
    pub(super) fn names_file_with(&self, extensions: &[&str]) -> bool {
        let has_extension = |target: &str| {
            let words = target.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
            let mut parts = words.flat_map(|word| word.split('.').skip(1));
            parts.any(|part| extensions.iter().any(|extension| part.eq_ignore_ascii_case(extension)))
        };
        let path = self.request.url.splitn(4, '/').nth(3).unwrap_or_default(); // behind scheme and host
        has_extension(path) || has_extension(self.client.url().target())
    }

    /// Closes the connection, so that the next request begins at the original URL.
    pub(super) fn hang_up(&mut self) {
        self.client.hang_up();
    }

    /// Waits for `limit`, unless the attempt ends or the agent stops first.
    pub(super) fn pause(&self, limit: Duration) -> Result<(), HttpError> {
        self.limits.pause(limit)
    }

    /// Returns true if the time limit of the attempt has passed.
    pub(super) fn is_over(&self) -> bool {
        self.limits.is_over()
    }

    /// Returns the failure of the transfer that an error of the exchange means.
    pub(super) fn error(&self, context: FaultContext, error: HttpError) -> TransferError {
        use HttpError::{Closed, Connect, Io, Timeout};
        match error {
            // The limit of the attempt cuts off the wait of the moment. The operator needs to read the limit, not the
            // wait that happened to be cut off.
            Timeout(_) | Connect { .. } | Closed | Io(_) if self.is_over() => {
                let limit = self.request.limits.attempt.as_secs();
                let sentence = format!("the transfer took longer than its limit of {limit} s");
                TransferError::transient(context.error(error).fault(), sentence)
            }
            other => context.error(other),
        }
    }
}
