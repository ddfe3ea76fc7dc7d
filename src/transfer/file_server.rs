//! The HTTP side of one attempt: challenges, redirects, and which connection to use.
//!
//! The same as towards the ACS (`acs::AcsConnection`) in all that TR-069 asks for alike (R65), and otherwise where a file
//! differs from a session: there are no cookies, GET and PUT may be sent again, and a file is moved in pieces.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ureq_proto::client::header_raw;
use ureq_proto::http::{HeaderMap, Method, Request, header};

use super::error::{TransferError, TransferStage};
use super::file_request::FileRequest;
use crate::cwmp::fault::FaultCode;
use crate::http::Connector;
use crate::http::HttpError;
use crate::http::IoLimits;
use crate::http::authentication::{AnsweredChallenges, Authentication};
use crate::http::{HttpConnection, RequestBody, ResponseHead};
use crate::http::{USER_AGENT, offered_challenges};
use crate::url::Url;

/// What the body of a challenge or a redirect may have, to keep the connection; a longer one costs the connection.
const WORTH_READING: usize = 64 * 1024;
/// A body below that is sent without asking whether it is welcome.
const LIGHT: u64 = 64 * 1024;
/// How often a pause is interrupted to look at the stop flag.
const TICK: Duration = Duration::from_millis(50);

/// A file server, during one attempt. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct FileServer<'a> {
    request: &'a FileRequest,
    home: Url,
    /// Where requests go: home, or the target of the last redirect.
    url: Url,
    connector: Connector,
    limits: IoLimits,
    end: Instant,
    authentication: Authentication,
    /// The server has asked for credentials.
    has_challenged: bool,
    /// It was not told the password.
    is_stranger: bool,
    connection: Option<HttpConnection>,
    remote: Option<SocketAddr>,
}

impl<'a> FileServer<'a> {
    /// Prepares an attempt, which begins to count now; nothing is sent yet.
    pub(super) fn open(
        request: &'a FileRequest,
        url: &str,
        stop: &Arc<AtomicBool>,
    ) -> Result<FileServer<'a>, HttpError> {
        let home = Url::parse(url)?;
        let end = now() + request.limits.attempt;
        let limits = IoLimits { timeout: request.limits.silence, stop: Arc::clone(stop), end: Some(end) };
        Ok(FileServer {
            request,
            url: home.clone(),
            home,
            connector: Connector::new(limits.clone(), request.tls.clone(), request.clock_is_set),
            limits,
            end,
            authentication: Authentication::new(request.username.clone(), request.password.clone()),
            has_challenged: false,
            is_stranger: false,
            connection: None,
            remote: None,
        })
    }

    /// Sends a request, with what is in `fields` in its header, and gives the header of the answer to it: any status
    /// but a challenge that could be answered and a redirect that could be followed.
    pub(super) fn ask(
        &mut self,
        method: &Method,
        fields: &[(&str, &str)],
        mut body: Option<&mut dyn Content>,
    ) -> Result<ResponseHead, HttpError> {
        let mut answered = AnsweredChallenges::default();
        let mut redirects = 0;
        loop {
            let mut answer = self.exchange(method, fields, &mut body)?;
            match answer.status {
                401 => {
                    self.discard_body(&mut answer)?;
                    self.has_challenged = true;
                    if self.request.username.is_empty() {
                        return Err(HttpError::Authentication);
                    }
                    let allow_basic = self.allows_basic();
                    let result =
                        self.authentication.challenged(offered_challenges(&answer.headers), allow_basic, &mut answered);
                    self.is_stranger = matches!(result, Err(HttpError::Redirect(_)));
                    result?;
                }
                code if is_followed(method, code) => {
                    redirects += 1;
                    if redirects > self.request.limits.redirects {
                        return Err(HttpError::Redirect("too many in a row".into()));
                    }
                    self.redirect(&mut answer)?;
                    answered = AnsweredChallenges::default();
                }
                _ => return Ok(answer),
            }
        }
    }

    /// A new phase of the transfer, which may take what is left of the attempt.
    pub(super) fn begin(&mut self, phase: &'static str) {
        if let Some(connection) = &mut self.connection {
            connection.begin(phase, self.request.limits.attempt);
        }
    }

    /// The next piece of the body of the last answer; 0 at its end.
    pub(super) fn read(&mut self, answer: &mut ResponseHead, piece: &mut [u8]) -> Result<usize, HttpError> {
        match &mut self.connection {
            Some(connection) => connection.read(answer, piece),
            None => Ok(0),
        }
    }

    /// Gives up the connection. The next request begins at the URL as it was given: the target of a redirect may be
    /// good for one request only.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
        if !self.url.is_same_origin(&self.home) {
            self.remote = None;
            self.authentication.forget();
        }
        self.url = self.home.clone();
    }

    /// Waits, unless the attempt is over or the agent stops.
    pub(super) fn pause(&self, limit: Duration) -> Result<(), HttpError> {
        let until = self.end.min(now() + limit);
        loop {
            self.limits.check()?;
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(TICK));
        }
    }

    /// Whether the limit of the attempt has passed.
    pub(super) fn is_over(&self) -> bool {
        now() >= self.end
    }

    /// What an error of the exchange comes to, seen with what only this side knows.
    pub(super) fn error(&self, stage: TransferStage, error: HttpError) -> TransferError {
        use HttpError::{Authentication, Closed, Connect, Io, Redirect, Timeout};
        match error {
            Authentication if self.request.username.is_empty() => TransferError::permanent(
                FaultCode::FileServerAuthentication,
                "the file server asks for a user name, and none was given",
            ),
            Redirect(_) if self.is_stranger => {
                TransferError::permanent(FaultCode::FileServerAuthentication, error.to_string())
            }
            Timeout(_) | Connect { .. } | Closed | Io(_) if self.is_over() => {
                let limit = self.request.limits.attempt.as_secs();
                let sentence = format!("the transfer took longer than its limit of {limit} s");
                TransferError::transient(stage.error(error).fault(), sentence)
            }
            other => stage.error(other),
        }
    }

    /// One request and the header of its answer. A request that met a connection which the server had closed meanwhile
    /// is sent again: neither GET nor PUT does more when it arrives twice.
    fn exchange(
        &mut self,
        method: &Method,
        fields: &[(&str, &str)],
        body: &mut Option<&mut dyn Content>,
    ) -> Result<ResponseHead, HttpError> {
        loop {
            let is_reused = self.ready()?;
            let length = body.as_ref().map(|body| body.length());
            let request = self.request(method, fields, length)?;
            // Where there are credentials, a challenge is likely, and worth a moment of waiting: without it a large
            // file would be sent twice.
            let is_unasked = !self.has_challenged && !self.request.username.is_empty();
            let hesitate = is_unasked && length.is_some_and(|length| length > LIGHT);
            let Some(connection) = &mut self.connection else {
                return Err(HttpError::Closed); // not reached: `ready` left one
            };
            let result = match body {
                Some(body) if body.length() > 0 => {
                    body.rewind()?;
                    connection.exchange_streamed(request, &mut **body, hesitate)
                }
                _ => connection.exchange(request, &[]),
            };
            match result {
                Err(HttpError::Closed) if is_reused => self.connection = None,
                Err(error) => {
                    self.connection = None;
                    return Err(error);
                }
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Leaves an open connection; true where it has served a request before.
    fn ready(&mut self) -> Result<bool, HttpError> {
        self.limits.check()?;
        if self.connection.as_mut().is_some_and(HttpConnection::is_reusable) {
            return Ok(true);
        }
        self.connection = None;
        let stream = self.connector.open(&self.url, self.remote)?;
        self.authentication.connected()?;
        self.remote = Some(stream.tcp().remote_addr());
        self.connection = Some(HttpConnection::new(stream));
        Ok(false)
    }

    fn request(
        &mut self,
        method: &Method,
        fields: &[(&str, &str)],
        length: Option<u64>,
    ) -> Result<Request<()>, HttpError> {
        let url = &self.url;
        let add = |builder, name: &str, value: &str| header_raw(builder, name, value.as_bytes());
        let mut request = Request::builder().method(method).uri(url.target());
        request = add(request, "Host", &url.authority());
        request = add(request, "User-Agent", USER_AGENT);
        for (name, value) in fields {
            request = add(request, name, value);
        }
        if let Some(length) = length {
            request = add(request, "Content-Length", &length.to_string());
        }
        if let Some(credentials) = self.authentication.authorization(method.as_str(), url.target()) {
            request = add(request, "Authorization", &credentials);
        }
        request.body(()).map_err(|error| HttpError::Protocol(format!("no request possible: {error}")))
    }

    /// Behind a redirect to another host, or from https to http, nobody is told the password in clear text.
    fn allows_basic(&self) -> bool {
        self.url.is_tls() || (!self.home.is_tls() && self.url.host() == self.home.host())
    }

    fn redirect(&mut self, answer: &mut ResponseHead) -> Result<(), HttpError> {
        let location =
            location(&answer.headers).ok_or_else(|| HttpError::Redirect("it does not say where to".into()))?;
        let target = self.url.join(&location).map_err(|_| unfollowed(&location))?;
        if target.is_same_origin(&self.url) {
            self.discard_body(answer)?;
        } else {
            self.connection = None;
            self.remote = None;
            self.authentication.forget();
            self.has_challenged = false;
        }
        log::info!("redirected to {target}");
        self.url = target;
        Ok(())
    }

    /// The body of a challenge or a redirect means nothing, but stands before the next answer.
    fn discard_body(&mut self, answer: &mut ResponseHead) -> Result<(), HttpError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        match connection.read_body(answer, WORTH_READING, &mut |_| Ok(())) {
            Err(HttpError::Stopped) => Err(HttpError::Stopped),
            Err(_) => {
                self.connection = None;
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// A body that may have to be sent more than once.
pub(super) trait Content: RequestBody {
    /// The next piece is the first one again.
    fn rewind(&mut self) -> Result<(), HttpError>;
}

/// RFC 9110 §15.4: GET goes wherever it is sent; PUT where the server wants the same again. 303 says where to look at
/// what became of it.
fn is_followed(method: &Method, status: u16) -> bool {
    match status {
        301 | 302 | 307 | 308 => true,
        303 => *method == Method::GET,
        _ => false,
    }
}

/// Says where it leads, but for the query: that may hold a key.
fn unfollowed(location: &str) -> HttpError {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    HttpError::Redirect(match Url::parse(path) {
        Err(error) => error.to_string(),
        Ok(_) => "it leads to no valid URL".into(),
    })
}

fn location(headers: &HeaderMap) -> Option<String> {
    headers.get(header::LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

#[expect(clippy::disallowed_methods, reason = "a driver: an attempt has a limit")]
fn now() -> Instant {
    Instant::now()
}
