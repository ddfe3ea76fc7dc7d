//! The HTTP side of one session with the ACS: which connection to use, challenges, redirects and cookies.
//!
//! [`AcsConnection::post`] is one step of the session as CWMP sees it, however many requests it takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ureq_proto::client::header_raw;
use ureq_proto::http::{HeaderMap, Request, header};

use crate::http::authentication::{AnsweredChallenges, Authentication};
use crate::http::cookie::Cookies;
use crate::http::{
    Connector, HttpConnection, HttpError, IoLimits, ResponseHead, TlsSettings, USER_AGENT, offered_challenges,
};
use crate::secret::Secret;
use crate::url::Url;

/// Consecutive redirects that are followed (R56).
const MAX_REDIRECTS: usize = 5;
/// A server may not silence the device for longer than this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What a session needs to know to reach the ACS.
#[derive(Clone, Debug)]
pub struct AcsSettings {
    /// `ManagementServer.URL`.
    pub url: String,
    /// `ManagementServer.Username`.
    pub username: String,
    /// `ManagementServer.Password`.
    pub password: Secret,
    /// Roots and our own certificate.
    pub tls: TlsSettings,
    /// Whether the device has the absolute time; without it, the dates of certificates are not
    /// checked (R32).
    pub clock_is_set: bool,
    /// How long the ACS may take to accept a connection, and may be silent while it takes a request
    /// or answers it: at least 30 s (R48, R119). A phase as a whole may last four times as long.
    pub timeout: Duration,
    /// Largest body of an answer, in bytes.
    pub body_limit: usize,
    /// Set: whatever waits ends within about 200 ms with [`HttpError::Stopped`].
    pub stop: Arc<AtomicBool>,
}

/// An answer that keeps the session going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200 or 204.
    pub status: u16,
    /// Empty where the ACS has nothing to say, whatever the status (R43).
    pub body: Vec<u8>,
}

/// The HTTP side of one session. Cookies, credentials in use and the target of a redirect live as long
/// as it does (R53, R55); dropping it closes the TCP connection (R50).
#[derive(Debug)]
pub struct AcsConnection {
    home: Url,
    /// Where requests go: home, or the target of the last redirect.
    url: Url,
    connector: Connector,
    limits: IoLimits,
    authentication: Authentication,
    cookies: Cookies,
    body_limit: usize,
    closes_silently: bool,
    /// Whether the connection was made ahead of the first request.
    is_fresh: bool,
    connection: Option<HttpConnection>,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    /// Which address of the host is tried first (R22).
    preferred: Option<SocketAddr>,
}

impl AcsConnection {
    /// Prepares a session; nothing is sent yet. Fails where the URL cannot be contacted (R10).
    pub fn open(settings: AcsSettings) -> Result<AcsConnection, HttpError> {
        let home = Url::parse(&settings.url)?;
        let limits = IoLimits { timeout: settings.timeout, stop: settings.stop, end: None };
        Ok(AcsConnection {
            url: home.clone(),
            home,
            connector: Connector::new(limits.clone(), settings.tls, settings.clock_is_set),
            limits,
            authentication: Authentication::new(settings.username, settings.password),
            cookies: Cookies::default(),
            body_limit: settings.body_limit,
            closes_silently: false,
            is_fresh: false,
            connection: None,
            local: None,
            remote: None,
            preferred: None,
        })
    }

    /// Sends the credentials by Basic with the first request already, where the URL is `https` (R58).
    ///
    /// For a caller that knows from an earlier session ([`AcsConnection::is_basic`]) that this ACS asks
    /// for Basic. Without that knowledge the first request waits for the challenge: an ACS that
    /// wants a digest must never be shown the password.
    pub fn begin_with_basic(&mut self) {
        if self.home.is_tls() {
            self.authentication.begin_with_basic();
        }
    }

    /// Whether the ACS asked for Basic.
    pub fn is_basic(&self) -> bool {
        self.authentication.is_basic()
    }

    /// For a caller that knows from an earlier session ([`AcsConnection::closes_silently`]) that this ACS
    /// closes the connection behind an answer that does not say so.
    ///
    /// Then each request waits a moment for that first. A request that crosses with the closing would be
    /// lost, and must not be sent again in this session (R46, R49). A server that turns out to keep its
    /// connection is waited for once.
    pub fn expect_silent_closing(&mut self) {
        self.closes_silently = true;
    }

    /// Whether the ACS was seen to close the connection without saying so.
    pub fn closes_silently(&self) -> bool {
        self.closes_silently
    }

    /// For a caller that knows an address of the ACS that was good the last time ([`AcsConnection::remote_addr`]): it is
    /// tried before the others, as long as the host has it (R22).
    pub fn prefer(&mut self, address: SocketAddr) {
        self.preferred = Some(address);
    }

    /// Connects now rather than with the first request, so that [`AcsConnection::local_addr`] is known
    /// when Inform is written.
    pub fn connect(&mut self) -> Result<(), HttpError> {
        self.is_fresh = !self.ready(false)?;
        Ok(())
    }

    /// Our own address on the last connection towards the ACS.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// The address of the ACS on that connection.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Sends an envelope, or the empty POST where `body` is empty, and waits for the answer. Follows
    /// challenges and redirects; any other status than 200 and 204 is an error that ends the session
    /// (R44), and so is every other error.
    pub fn post(&mut self, body: &[u8]) -> Result<Response, HttpError> {
        let mut answered = AnsweredChallenges::default();
        let mut redirects = 0;
        let mut is_answer_to_401 = false;
        loop {
            let mut answer = self.exchange(body, is_answer_to_401)?;
            is_answer_to_401 = false;
            for cookie in answer.headers.get_all(header::SET_COOKIE) {
                self.cookies.set(cookie.as_bytes());
            }
            match answer.status {
                200 | 204 => return self.response(answer),
                401 => {
                    self.discard_body(&mut answer)?;
                    let allow_basic = self.url.is_tls() || self.url.host() == self.home.host();
                    let offered = offered_challenges(&answer.headers);
                    self.authentication.challenged(offered, allow_basic, &mut answered)?;
                    is_answer_to_401 = true;
                }
                301 | 302 | 307 | 308 => {
                    redirects += 1;
                    if redirects > MAX_REDIRECTS {
                        return Err(HttpError::Redirect("too many in a row".into()));
                    }
                    self.redirect(&mut answer)?;
                    answered = AnsweredChallenges::default();
                }
                code => {
                    return Err(HttpError::Status { code, retry_after: retry_after(&answer.headers) });
                }
            }
        }
    }

    /// One request and the header of its answer.
    ///
    /// R49: a request whose answer was lost is not sent again. There are two cases in which none was
    /// lost: the server cannot have acted on a request of which it did not get the end; and a server
    /// that drops the connection behind its 401 without announcing it (acsrs does) has refused the
    /// request, and never reads its repetition on the dead connection.
    fn exchange(&mut self, body: &[u8], is_answer_to_401: bool) -> Result<ResponseHead, HttpError> {
        loop {
            let expected = self.closes_silently;
            let is_reused = self.ready(is_answer_to_401)?;
            let request = self.request(body.len())?;
            let Some(connection) = &mut self.connection else {
                return Err(HttpError::Closed); // not reached: `ready` left one
            };
            match connection.exchange(request, body) {
                Err(HttpError::Closed) if is_reused && (is_answer_to_401 || !connection.sent_all()) => {
                    // It did so later than `ready` waited, or while the request went out. Of a close behind a 401
                    // alone nothing follows.
                    self.closes_silently |= expected || !is_answer_to_401;
                    self.connection = None;
                }
                Err(HttpError::Closed) if is_reused => {
                    self.closes_silently = true;
                    return Err(HttpError::Closed);
                }
                done => return done,
            }
        }
    }

    /// Leaves an open connection; true where it has served a request before (R45 to R47).
    fn ready(&mut self, is_answer_to_401: bool) -> Result<bool, HttpError> {
        self.limits.check()?;
        if std::mem::take(&mut self.is_fresh) {
            return Ok(false); // it has answered nothing yet, so that it teaches nothing
        }
        if let Some(connection) = &mut self.connection {
            if self.closes_silently && connection.is_kept() {
                connection.wait_for_input();
            }
            if connection.is_reusable() {
                self.closes_silently = false;
                return Ok(true);
            }
            // Behind a 401 it does no harm: the request is sent again anyway.
            self.closes_silently |= connection.is_kept() && !is_answer_to_401;
        }
        self.connection = None;
        let stream = self.connector.open(&self.url, self.preferred)?;
        self.authentication.connected()?;
        self.local = stream.tcp().local_addr();
        self.remote = Some(stream.tcp().remote_addr());
        self.preferred = self.remote; // for the other connections of this session, too
        self.connection = Some(HttpConnection::new(stream));
        Ok(false)
    }

    fn request(&mut self, length: usize) -> Result<Request<()>, HttpError> {
        let url = &self.url;
        // In the usual spelling: there are servers that do not ignore its case.
        let add = |builder, name: &str, value: &str| header_raw(builder, name, value.as_bytes());
        let mut request = Request::post(url.target());
        request = add(request, "Host", &url.authority());
        request = add(request, "User-Agent", USER_AGENT);
        if length > 0 {
            request = add(request, "Content-Type", "text/xml; charset=utf-8"); // R37
            request = add(request, "SOAPAction", ""); // R35, R36; neither with an empty POST: R38
        }
        request = add(request, "Content-Length", &length.to_string());
        if let Some(cookies) = self.cookies.header() {
            request = header_raw(request, "Cookie", &cookies);
        }
        if let Some(credentials) = self.authentication.authorization("POST", url.target()) {
            request = add(request, "Authorization", &credentials);
        }
        request.body(()).map_err(|error| HttpError::Protocol(format!("no request possible: {error}")))
    }

    fn response(&mut self, mut answer: ResponseHead) -> Result<Response, HttpError> {
        let mut body = Vec::new();
        if let Some(connection) = &mut self.connection {
            connection.read_body(&mut answer, self.body_limit, &mut |piece| {
                body.extend_from_slice(piece);
                Ok(())
            })?;
        }
        let status = answer.status;
        Ok(Response { status, body })
    }

    /// The body of a 401 or a redirect means nothing, but must be read where the connection is to be
    /// used again (R47, R57).
    fn discard_body(&mut self, answer: &mut ResponseHead) -> Result<(), HttpError> {
        match &mut self.connection {
            Some(connection) => connection.read_body(answer, self.body_limit, &mut |_| Ok(())),
            None => Ok(()),
        }
    }

    fn redirect(&mut self, answer: &mut ResponseHead) -> Result<(), HttpError> {
        let location = answer
            .headers
            .get(header::LOCATION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .ok_or_else(|| HttpError::Redirect("it does not say where to".into()))?;
        let target = self.url.join(&location).map_err(|error| HttpError::Redirect(error.to_string()))?;
        if target.is_same_origin(&self.url) {
            self.discard_body(answer)?;
        } else {
            self.connection = None;
            self.remote = None;
            self.preferred = None;
            self.authentication.forget();
        }
        log::info!("redirected to {target}");
        self.url = target;
        Ok(())
    }
}

/// R66. Only the form in seconds: a date says nothing to a device whose clock may be wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if seconds.is_empty() || !seconds.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = seconds.parse().unwrap_or(u64::MAX);
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests;
