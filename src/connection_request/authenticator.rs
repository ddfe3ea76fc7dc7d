//! Decides what a request is answered. Knows no socket and no clock.

use std::time::Duration;

use super::AccessSettings;
use super::http_request::{HeadError, RequestHead};
use super::limits::{ClientNetwork, Limits, NetworkBuckets, TokenBucket};
use super::nonce::{Freshness, Nonces};
use super::outcome::HttpOutcome;
use crate::digest::{Algorithm, Authorization, DigestChallenge, equal_in_constant_time};

/// The realm of the challenge; it tells nothing of the device.
pub const REALM: &str = "cwmp";

/// Who is let in, and what was let in lately.
pub(super) struct Authenticator {
    limits: Limits,
    nonces: Nonces,
    opaque: String,
    accepted: TokenBucket,
    accepted_by: NetworkBuckets,
    failures_by: NetworkBuckets,
}

/// What goes back to the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HttpResponse {
    pub(super) outcome: HttpOutcome,
    pub(super) bytes: Vec<u8>,
    /// Whether another request may follow on the connection.
    pub(super) persistent: bool,
    /// Hold the answer back that long.
    pub(super) delay: Duration,
}

impl Authenticator {
    /// `secret`: random bytes that are nobody else's.
    pub(super) fn new(limits: Limits, secret: [u8; 28]) -> Authenticator {
        let (key, opaque) = secret.split_at(20);
        let mut nonce_key = [0; 20];
        nonce_key.copy_from_slice(key);
        Authenticator {
            limits,
            nonces: Nonces::new(nonce_key),
            opaque: opaque.iter().map(|byte| format!("{byte:02x}")).collect(),
            accepted: TokenBucket::default(),
            accepted_by: NetworkBuckets::new(limits.accepted_per_network),
            failures_by: NetworkBuckets::new(limits.failures_per_network),
        }
    }

    /// The answer to what comes in. `may_go_on` says whether the connection has room for another one.
    pub(super) fn respond(
        &mut self,
        request: Result<RequestHead<'_>, HeadError>,
        settings: &AccessSettings,
        source: ClientNetwork,
        may_go_on: bool,
        now: Duration,
    ) -> HttpResponse {
        let head = match request {
            Ok(head) => head,
            Err(HeadError::Malformed) => return HttpResponse::last(HttpOutcome::Malformed, "400 Bad Request", ""),
            Err(HeadError::TooLong) => {
                return HttpResponse::last(HttpOutcome::Malformed, "431 Request Header Fields Too Large", "");
            }
        };
        // The path is as good as a password to those who look for open ports (R255, R257).
        if !equal_in_constant_time(head.path.as_bytes(), settings.path.as_bytes()) {
            return HttpResponse::last(HttpOutcome::WrongPath, "404 Not Found", "");
        }
        if head.method != "GET" {
            return HttpResponse::last(HttpOutcome::WrongMethod, "405 Method Not Allowed", "Allow: GET\r\n");
        }
        match self.authenticate(head.authorization, settings, now) {
            HttpOutcome::Accepted if self.has_room(source, now) => {
                HttpResponse::last(HttpOutcome::Accepted, "200 OK", "") // R259; acsrs takes 200 only
            }
            // R264: without Retry-After.
            HttpOutcome::Accepted => HttpResponse::last(HttpOutcome::RateLimited, "503 Service Unavailable", ""),
            refused => self.challenge(refused, source, may_go_on && head.persistent && head.body.is_some(), now),
        }
    }

    fn authenticate(&mut self, authorization: Option<&str>, settings: &AccessSettings, now: Duration) -> HttpOutcome {
        let Some(value) = authorization else {
            return HttpOutcome::Challenged;
        };
        // R256, R257: Basic does not parse.
        let Some(given) = Authorization::parse(value) else {
            return HttpOutcome::Unauthorized;
        };
        // The digest is taken over the URI that the header names, and need not name the right one: acsrs always says
        // "/", and the request line has been looked at.
        let proved = given.verify(&settings.username, settings.password.expose(), "GET");
        if !proved || given.realm != REALM || settings.password.expose().is_empty() {
            return HttpOutcome::Unauthorized; // R256, R268
        }
        let is_ours = given.opaque.as_ref().is_none_or(|opaque| *opaque == self.opaque);
        let nc = given.qop_auth.map(|(_, nc)| nc);
        match self.nonces.spend(&given.nonce, nc, now) {
            Freshness::Fresh if is_ours => HttpOutcome::Accepted,
            Freshness::Replayed => HttpOutcome::Replayed,
            Freshness::Fresh | Freshness::Expired | Freshness::Foreign => HttpOutcome::Stale,
        }
    }

    /// Whether one more may wake the agent (R264).
    fn has_room(&mut self, source: ClientNetwork, now: Duration) -> bool {
        self.accepted_by.take(source, now) && self.accepted.take(self.limits.accepted, now)
    }

    /// One challenge, MD5 with qop `auth` (R256, R258).
    fn challenge(
        &mut self,
        outcome: HttpOutcome,
        source: ClientNetwork,
        persistent: bool,
        now: Duration,
    ) -> HttpResponse {
        let challenge = DigestChallenge {
            realm: REALM.into(),
            nonce: self.nonces.issue(now),
            opaque: Some(self.opaque.clone()),
            algorithm: Some(Algorithm::Md5),
            qop_auth: true,
            // RFC 7616 §3.3: the password was right, only the nonce was not.
            stale: matches!(outcome, HttpOutcome::Stale | HttpOutcome::Replayed),
        };
        // Who guesses passwords gets slow answers and a new connection for each.
        let guesses = outcome == HttpOutcome::Unauthorized && !self.failures_by.take(source, now);
        let persistent = persistent && !guesses;
        let field = format!("WWW-Authenticate: {challenge}\r\n");
        HttpResponse {
            outcome,
            bytes: response("401 Unauthorized", &field, persistent),
            persistent,
            delay: if guesses { self.limits.penalty } else { Duration::ZERO },
        }
    }
}

impl HttpResponse {
    /// An answer that nothing follows.
    fn last(outcome: HttpOutcome, status: &str, fields: &str) -> HttpResponse {
        HttpResponse { outcome, bytes: response(status, fields, false), persistent: false, delay: Duration::ZERO }
    }
}

/// A response without a body.
fn response(status: &str, fields: &str, persistent: bool) -> Vec<u8> {
    let connection = if persistent { "keep-alive" } else { "close" };
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\nConnection: {connection}\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests;
