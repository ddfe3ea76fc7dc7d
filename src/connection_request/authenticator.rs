//! The responses to connection requests over HTTP: authentication and rate limits. Knows no socket and no clock.

use std::time::Duration;

use super::AccessSettings;
use super::http_request::{HeadError, RequestHead};
use super::limits::{ClientNetwork, Limits, NetworkBuckets, SharedBucket};
use super::nonce::{Freshness, Nonces};
use super::outcome::RequestOutcome;
use crate::digest::{Algorithm, Authorization, DigestChallenge, equal_in_constant_time, header_text};

/// The realm of the challenge. It says nothing about the device, since any host on the Internet may read it.
pub const REALM: &str = "cwmp";

/// The decision about each request, with the nonces and rates that it depends on.
pub(super) struct Authenticator {
    limits: Limits,
    nonces: Nonces,
    opaque: String,
    accepted: SharedBucket,
    accepted_by: NetworkBuckets,
    failures_by: NetworkBuckets,
}

/// The response to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HttpResponse {
    pub(super) outcome: RequestOutcome,
    pub(super) bytes: Vec<u8>,
    /// True if another request may follow on the connection.
    pub(super) persistent: bool,
    /// The time for which the response is held back.
    pub(super) delay: Duration,
}

impl Authenticator {
    /// Returns an authenticator whose nonces are made with `secret`, which must be random, and whose requests take their
    /// tokens from `accepted`.
    pub(super) fn new(limits: Limits, secret: [u8; 28], accepted: SharedBucket) -> Authenticator {
        let (key, opaque) = secret.split_at(20);
        let mut nonce_key = [0; 20];
        nonce_key.copy_from_slice(key);
        Authenticator {
            limits,
            nonces: Nonces::new(nonce_key),
            opaque: opaque.iter().map(|byte| format!("{byte:02x}")).collect(),
            accepted,
            accepted_by: NetworkBuckets::new(limits.accepted_per_network),
            failures_by: NetworkBuckets::new(limits.failures_per_network),
        }
    }

    /// Returns the response to a request. `may_continue` is true if the connection has room for another request.
    pub(super) fn respond(
        &mut self,
        request: Result<RequestHead<'_>, HeadError>,
        settings: &AccessSettings,
        network: ClientNetwork,
        may_continue: bool,
        now: Duration,
    ) -> HttpResponse {
        let head = match request {
            Ok(head) => head,
            Err(HeadError::Malformed) => return HttpResponse::last(RequestOutcome::Malformed, "400 Bad Request", ""),
            Err(HeadError::TooLong) => {
                return HttpResponse::last(RequestOutcome::Malformed, "431 Request Header Fields Too Large", "");
            }
        };
        // The path protects against port scanners like a second password, so it is compared like one (R255, R257).
        if !equal_in_constant_time(head.path.as_bytes(), settings.path.as_bytes()) {
            return HttpResponse::last(RequestOutcome::WrongPath, "404 Not Found", "");
        }
        if head.method != "GET" {
            return HttpResponse::last(RequestOutcome::WrongMethod, "405 Method Not Allowed", "Allow: GET\r\n");
        }
        match self.authenticate(&head, settings, now) {
            RequestOutcome::Accepted if self.has_room(network, now) => {
                // R259 allows 204 as well, but acsrs takes 200 only.
                HttpResponse::last(RequestOutcome::Accepted, "200 OK", "")
            }
            // Without Retry-After (R264): the ACS itself decides about its next attempt.
            RequestOutcome::Accepted => HttpResponse::last(RequestOutcome::RateLimited, "503 Service Unavailable", ""),
            // A body of unknown length hides the start of the next request, so the connection must end.
            refused => self.challenge(refused, network, may_continue && head.persistent && head.body.is_some(), now),
        }
    }

    fn authenticate(&mut self, head: &RequestHead<'_>, settings: &AccessSettings, now: Duration) -> RequestOutcome {
        let Some(value) = head.authorization else {
            return RequestOutcome::Challenged;
        };
        // Basic authentication is no digest and fails to parse (R256, R257).
        let Some(given) = Authorization::parse(&header_text(value)) else {
            return RequestOutcome::Unauthorized;
        };
        let proved = given.verify(&settings.username, settings.password.expose(), "GET");
        // An empty password is no password: a client could compute its digest (R268).
        // A digest that was made for another resource proves nothing about this request (RFC 7616 §3.4.6).
        if !proved || !head.is_meant_by(&given.uri) || given.realm != REALM || settings.password.expose().is_empty() {
            return RequestOutcome::Unauthorized;
        }
        let is_ours = given.opaque.as_ref().is_none_or(|opaque| *opaque == self.opaque);
        let nc = given.qop_auth.map(|(_, nc)| nc);
        // The nonce comes last: only a client that knows the password uses one up, or fills the memory of used ones.
        match self.nonces.spend(&given.nonce, nc, now) {
            Freshness::Fresh if is_ours => RequestOutcome::Accepted,
            Freshness::Replayed => RequestOutcome::Replayed,
            Freshness::Fresh | Freshness::Expired | Freshness::Foreign => RequestOutcome::Stale,
        }
    }

    /// Takes a token for an accepted request, of the network and of all. Returns false if there is none (R264).
    fn has_room(&mut self, network: ClientNetwork, now: Duration) -> bool {
        self.accepted_by.take(network, now) && self.accepted.take(self.limits.accepted, now)
    }

    /// Returns a single challenge, MD5 with qop `auth`, since GenieACS merges several (R256, R258).
    fn challenge(
        &mut self,
        outcome: RequestOutcome,
        network: ClientNetwork,
        persistent: bool,
        now: Duration,
    ) -> HttpResponse {
        let challenge = DigestChallenge {
            realm: REALM.into(),
            nonce: self.nonces.issue(now),
            opaque: Some(self.opaque.clone()),
            algorithm: Some(Algorithm::Md5),
            qop_auth: true,
            // RFC 7616 §3.3: the password was right and only the nonce was not, so the client need not ask its user.
            stale: matches!(outcome, RequestOutcome::Stale | RequestOutcome::Replayed),
            // Not offered: a parameter that an old ACS does not know may be one too many for it.
            charset_utf8: false,
        };
        // A client that guesses passwords gets a delayed response and needs a new connection for each guess.
        let guesses = outcome == RequestOutcome::Unauthorized && !self.failures_by.take(network, now);
        let persistent = persistent && !guesses;
        let field = format!("WWW-Authenticate: {challenge}\r\n");
        HttpResponse {
            outcome,
            bytes: encode("401 Unauthorized", &field, persistent),
            persistent,
            delay: if guesses { self.limits.penalty } else { Duration::ZERO },
        }
    }
}

impl HttpResponse {
    /// Returns a response after which the connection ends.
    fn last(outcome: RequestOutcome, status: &str, fields: &str) -> HttpResponse {
        HttpResponse { outcome, bytes: encode(status, fields, false), persistent: false, delay: Duration::ZERO }
    }
}

/// Returns the bytes of a response without a body.
fn encode(status: &str, fields: &str, persistent: bool) -> Vec<u8> {
    let connection = if persistent { "keep-alive" } else { "close" };
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\nConnection: {connection}\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests;
