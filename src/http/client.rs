//! An HTTP client for one server: which connection to use, challenges, redirects and cookies.
//!
//! ```text
//!             ┌──── 401: credentials ─────┐
//!             ▼                           │
//!   request ──▶ ready ──▶ exchange ──▶ status ──▶ any other: the caller's
//!             ▲  open or   once, or again │
//!             │  reuse     where harmless │
//!             └──── redirect: new URL ────┘
//! ```
//!
//! A session with the ACS and the transfer of a file use the same client (R65). The points in which TR-069 treats them
//! differently are the fields of [`ClientPolicy`].

use std::net::SocketAddr;
use std::time::Duration;

use ureq_proto::http::{Method, header};

use super::authentication::{AllowedSchemes, AnsweredChallenges, Authentication};
use super::client_settings::{ClientPolicy, ClientSettings};
use super::connection::HttpConnection;
use super::cookie::Cookies;
use super::error::HttpError;
use super::io_limits::IoLimits;
use super::offered_challenges;
use super::redirect::{invalid_location, is_followed};
use super::request_body::RequestBody;
use super::response_head::ResponseHead;
use super::response_record::{ResponseLog, ResponseRecord};
use super::stream::Connector;
use super::tcp::PreferredAddress;
use crate::digest::header_text;
use crate::foreign_text::{MAX_EXCERPT, words_of};
use crate::log;
use crate::url::Url;

/// The longest time of a request with its challenges and redirects, in multiples of that of one message.
const CHAIN: u32 = 4;

/// An HTTP client for one server. Credentials in use, cookies and the target of a redirect live as long as the client
/// (R53, R55). Dropping it closes the TCP connection (R50).
#[derive(Debug)]
pub struct HttpClient {
    policy: ClientPolicy,
    home: Url,
    /// The URL of the next request: `home`, or the target of the last redirect.
    url: Url,
    /// True if a redirect has led from the `https` of `home` to `http`. Another redirect to `https` does not set it back:
    /// an eavesdropper may have written that one.
    has_left_tls: bool,
    limits: IoLimits,
    connector: Connector,
    authentication: Authentication,
    cookies: Cookies,
    connection: Option<HttpConnection>,
    /// True if the connection was opened ahead of the first request.
    is_fresh: bool,
    closes_silently: bool,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    /// The address of the host that is tried first (R22).
    preferred: Option<PreferredAddress>,
    /// See [`Tcp::list`](super::Tcp::list), of the last connection.
    list: Option<u32>,
    /// The responses since [`HttpClient::take_responses`]; `None` unless they are recorded.
    responses: ResponseLog,
}

impl HttpClient {
    /// Returns a client that has not sent anything yet.
    pub fn new(settings: ClientSettings) -> HttpClient {
        HttpClient {
            policy: settings.policy,
            url: settings.url.clone(),
            home: settings.url,
            has_left_tls: false,
            connector: Connector::new(settings.limits.clone(), settings.socket, settings.tls, settings.clock_is_set),
            limits: settings.limits,
            authentication: Authentication::new(settings.credentials),
            cookies: Cookies::new(settings.policy.cookie_scope),
            connection: None,
            is_fresh: false,
            closes_silently: false,
            local: None,
            remote: None,
            preferred: None,
            list: None,
            responses: ResponseLog::default(),
        }
    }

    /// Sends the credentials by Basic from the first request on, if the URL is `https` (R58). Use it only if an earlier
    /// session has shown that this server asks for Basic ([`HttpClient::is_basic`]).
    pub fn assume_basic(&mut self) {
        // Without TLS the first request waits for the challenge: a server that asks for a digest must never receive the
        // password itself.
        if self.home.is_tls() {
            self.authentication.assume_basic();
        }
    }

    /// Returns true if the server has asked for Basic.
    pub fn is_basic(&self) -> bool {
        self.authentication.is_basic()
    }

    /// Makes each request wait a moment for the server to close the connection. Use it if an earlier session has shown
    /// that this server closes connections without announcing it ([`HttpClient::closes_silently`]).
    ///
    /// A request that crosses with the close would be lost, and a POST must not be sent again in the same session (R46,
    /// R49). If the server turns out to keep its connection, only one request waits.
    pub fn expect_silent_close(&mut self) {
        self.closes_silently = true;
    }

    /// Returns true if the server has closed a connection without announcing it in a response.
    pub fn closes_silently(&self) -> bool {
        self.closes_silently
    }

    /// Returns the URL of the last request, which may be the target of a redirect.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Sets the address that is tried before the others, provided that the host name still resolves to it (R22).
    pub fn prefer_address(&mut self, address: PreferredAddress) {
        self.preferred = Some(address);
    }

    /// Opens the connection before the first request, so that [`HttpClient::local_addr`] is known by then.
    pub fn connect(&mut self) -> Result<(), HttpError> {
        self.is_fresh = !self.ready(false)?;
        Ok(())
    }

    /// Returns our own address on the last connection.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Returns the server's address on the last connection.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Returns a digest of the addresses that the host had at the last connection; `None` for fewer than two.
    pub fn address_list(&self) -> Option<u32> {
        self.list
    }

    /// Keeps a record of each response from now on, also of challenges and redirects.
    pub fn record_responses(&mut self) {
        self.responses.start();
    }

    /// Returns the records of the responses since the last call.
    pub fn take_responses(&mut self) -> Vec<ResponseRecord> {
        self.responses.take()
    }

    /// Sends a request with the header fields of `fields` and reads the header of the final response. Answers challenges
    /// and follows redirects; every other status is for the caller to judge. Without a body, the request has no
    /// `Content-Length`.
    pub fn request(
        &mut self,
        method: &Method,
        fields: &[(&str, &str)],
        mut body: Option<RequestBody<'_>>,
    ) -> Result<ResponseHead, HttpError> {
        let mut answered = AnsweredChallenges::default();
        let mut redirects = 0;
        let mut follows_401 = false;
        // Each message keeps to its limits, and yet a chain of slow ones would hold a session for hours.
        let length = body.as_ref().map_or(0, RequestBody::length);
        let chain = self.limits.clone().end_within(self.limits.time_for(length).saturating_mul(CHAIN));
        loop {
            if chain.is_over() {
                return Err(HttpError::Timeout("answering challenges and following redirects"));
            }
            let mut response = self.exchange(method, fields, &mut body, follows_401)?;
            follows_401 = false;
            // Those of challenges and redirects count as well: a load balancer sets its cookie with the first response.
            for cookie in response.headers.get_all(header::SET_COOKIE) {
                self.cookies.set(cookie.as_bytes(), &self.url);
            }
            if let Some(value) = response.headers.get("authentication-info") {
                self.authentication.informed(&header_text(value.as_bytes()));
            }
            match response.status {
                401 => {
                    let refusal = self.discard_body(&mut response)?;
                    let allowed = self.allowed_schemes();
                    let offered = offered_challenges(&response.headers);
                    match self.authentication.challenged(offered, allowed, &mut answered) {
                        Err(HttpError::Authentication { .. }) if response.compression().is_none() => {
                            return Err(HttpError::Authentication { text: words_of(&refusal) });
                        }
                        result => result?,
                    }
                    // The rejected request has changed nothing at the server, so that it may be sent again (R49).
                    follows_401 = true;
                }
                code if is_followed(method, code) => {
                    redirects += 1;
                    if redirects > self.policy.max_redirects {
                        return Err(HttpError::Redirect("too many in a row".into()));
                    }
                    self.redirect(&mut response)?;
                    // The new target counts its challenges from the start: it may ask for another nonce.
                    answered = AnsweredChallenges::default();
                }
                _ => return Ok(response),
            }
        }
    }

    /// Reads the body of the last response; at most `limit` bytes, otherwise [`HttpError::TooLarge`].
    pub fn read_body(&mut self, response: &mut ResponseHead, limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        if let Some(connection) = &mut self.connection {
            connection.read_body(response, limit, &mut |piece| body.extend_from_slice(piece))?;
        }
        Ok(body)
    }

    /// Reads the next piece of the body of the last response and returns its length; 0 at its end.
    pub fn read(&mut self, response: &mut ResponseHead, piece: &mut [u8]) -> Result<usize, HttpError> {
        match &mut self.connection {
            Some(connection) => connection.read(response, piece),
            None => Ok(0),
        }
    }

    /// Begins a new phase on the open connection, which may last for `limit` in all; `phase` completes "timed out
    /// while …".
    pub fn begin(&mut self, phase: &'static str, limit: Duration) {
        if let Some(connection) = &mut self.connection {
            connection.begin(phase, limit);
        }
    }

    /// Closes the connection. The next request goes to the original URL: the target of a redirect may be valid for one
    /// request only.
    pub fn hang_up(&mut self) {
        self.connection = None;
        if !self.url.is_same_origin(&self.home) {
            self.forget_server();
        }
        self.url = self.home.clone();
        self.has_left_tls = false;
    }

    /// Sends one request and reads the header of its response.
    ///
    /// A POST whose response was lost is not sent again (R49). Only two cases lose none: the server cannot have acted on
    /// a request of which it did not receive the end; and a server that drops the connection behind its 401 without
    /// announcing it (acsrs does) has rejected the request, and never reads its repetition on the dead connection. GET
    /// and PUT are sent again in either case, since they do no more when they arrive twice (RFC 9110 §9.2.2).
    fn exchange(
        &mut self,
        method: &Method,
        fields: &[(&str, &str)],
        body: &mut Option<RequestBody<'_>>,
        follows_401: bool,
    ) -> Result<ResponseHead, HttpError> {
        let is_repeatable = follows_401 || method.is_idempotent();
        loop {
            let expected = self.closes_silently;
            let is_reused = self.ready(is_repeatable)?;
            let length = body.as_ref().map(RequestBody::length);
            let request = self.build_request(method, fields, body.as_ref())?;
            let hesitate = self.authentication.is_unchallenged()
                && length.is_some_and(|length| length > self.policy.hesitate_above);
            let sent = self.responses.of_request(&request);
            let Some(connection) = &mut self.connection else {
                return Err(HttpError::Closed); // not reached: `ready` has left a connection
            };
            let result = match body {
                Some(body) => {
                    body.rewind()?;
                    connection.exchange(request, body, hesitate)
                }
                None => connection.exchange(request, &mut RequestBody::Bytes(&[]), false),
            };
            match result {
                Err(HttpError::Closed) if is_reused && (is_repeatable || !connection.sent_all()) => {
                    // The close came later than `ready` waited, or while the request was sent. A close behind a 401
                    // alone shows nothing, since the repetition makes it harmless.
                    self.closes_silently |= expected || !is_repeatable;
                    self.connection = None;
                }
                Err(error) => {
                    self.closes_silently |= is_reused && error == HttpError::Closed && !is_repeatable;
                    self.connection = None;
                    return Err(error);
                }
                Ok(response) => {
                    self.responses.add(sent, response.status, &response.headers);
                    return Ok(response);
                }
            }
        }
    }

    /// Opens a connection unless one can be reused (R45 to R47). Returns true if it has served a request before.
    fn ready(&mut self, is_repeatable: bool) -> Result<bool, HttpError> {
        self.limits.check()?;
        if std::mem::take(&mut self.is_fresh) {
            return Ok(false); // it has carried no response yet, so that its end would show nothing about the server
        }
        if let Some(connection) = &mut self.connection {
            if self.closes_silently && connection.is_kept() {
                connection.wait_for_input();
            }
            if connection.is_reusable() {
                self.closes_silently = false;
                return Ok(true);
            }
            // A request that can be repeated needs no wait, so that the close is not noted.
            self.closes_silently |= connection.is_kept() && !is_repeatable;
        }
        self.connection = None;
        let stream = self.connector.open(&self.url, self.preferred)?;
        self.authentication.connected()?;
        self.local = stream.tcp().local_addr();
        let remote = stream.tcp().remote_addr();
        (self.remote, self.list) = (Some(remote), stream.tcp().list());
        // The other connections of this client go to the same address: a session of one load-balanced ACS may not be
        // known to its neighbour.
        self.preferred = Some(PreferredAddress { ip: remote.ip(), list: None });
        self.connection = Some(HttpConnection::new(stream));
        Ok(false)
    }

    /// Returns the schemes that may be answered at the current URL. Basic needs TLS, or the host for which the password
    /// was configured.
    fn allowed_schemes(&self) -> AllowedSchemes {
        match self.url.is_tls() || self.url.host() == self.home.host() {
            _ if self.has_left_tls => AllowedSchemes::None,
            true => AllowedSchemes::All,
            false => AllowedSchemes::DigestOnly,
        }
    }

    /// Points the client to the target of a redirect.
    fn redirect(&mut self, response: &mut ResponseHead) -> Result<(), HttpError> {
        let location = response
            .headers
            .get(header::LOCATION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .ok_or_else(|| HttpError::Redirect("it has no Location".into()))?;
        let target = self.url.join(&location).map_err(|_| invalid_location(&location))?;
        // Credentials stay with the server for which they were negotiated: the digest of one server is of no use to
        // another, and a password in clear text must not reach it unasked.
        if target.is_same_origin(&self.url) {
            self.discard_body(response)?;
        } else {
            self.connection = None;
            self.forget_server();
        }
        log::info!("redirected to {target}");
        self.has_left_tls |= self.home.is_tls() && !target.is_tls();
        self.url = target;
        Ok(())
    }

    /// Reads the body of a challenge or a redirect to its end. The body itself is of no use, but stands in front of the
    /// next response on the same connection (R47, R57). Returns its first bytes, which may explain a refusal.
    fn discard_body(&mut self, response: &mut ResponseHead) -> Result<Vec<u8>, HttpError> {
        let mut first = Vec::new();
        let Some(connection) = &mut self.connection else { return Ok(first) };
        let mut keep = |piece: &[u8]| first.extend(piece.iter().take(MAX_EXCERPT - first.len()));
        match connection.read_body(response, self.policy.discard_limit, &mut keep) {
            Err(error) if self.policy.must_discard || error == HttpError::Stopped => return Err(error),
            Err(_) => self.connection = None,
            Ok(()) => {}
        }
        Ok(first)
    }

    /// Drops all that belongs to the server of the last connection, before another is contacted. Cookies have their scope.
    fn forget_server(&mut self) {
        self.remote = None;
        self.preferred = None;
        self.authentication.forget();
    }
}

#[cfg(feature = "diagnostics")]
mod measurement;
mod request;
#[cfg(test)]
mod tests;
