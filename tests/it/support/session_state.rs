//! A running session: the exchanges so far, and the requests that may come next.
//!
//! ```text
//!   Inform ──► initiated ──► own requests ──► empty POST ──► ACS's requests ──► Complete
//!     │ 401, 3xx: repeat        8005: retry     own_requests_over   outstanding
//!     └──────────► Failed (the ACS ended it)  or  Abandoned (the CPE left)
//! ```

use std::time::Instant;

use super::message::Message;
use super::options::AcsOptions;
use super::record::{Exchange, Outcome};
use super::reply::{Reply, ReplyKind};
use super::rules;

/// A session, running or finished.
#[derive(Default)]
pub(super) struct SessionState {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) outcome: Option<Outcome>,
    pub(super) ended_at: Option<Instant>,
    /// Every connection it used; the last is the current one.
    pub(super) connections: Vec<usize>,
    /// The request that the CPE must answer next.
    pub(super) outstanding: Option<Outstanding>,
    /// HoldRequests of the last answer of the ACS.
    pub(super) hold: bool,
    /// True if the CPE has sent its empty POST, after which it sends no request of its own.
    pub(super) own_requests_over: bool,
    /// True if an InformResponse was sent.
    pub(super) initiated: bool,
    pub(super) inform_id: Option<String>,
    pub(super) retry_count: Option<u32>,
    /// The POST that the CPE must send again after a 401 or a redirect.
    pub(super) repeat: Option<Repeat>,
    /// The request that the CPE must repeat after a fault 8005 (R120).
    pub(super) retry: Option<Retry>,
    /// The cookies that the CPE must send back.
    pub(super) jar: Vec<(String, String)>,
    /// The names of those that TLS protects.
    pub(super) secure_cookies: Vec<String>,
    pub(super) cookies_sent: bool,
    /// The request target, if a redirect has changed it.
    pub(super) target: Option<String>,
    /// The instant until which the CPE must reach the target of a redirect.
    pub(super) grace: Option<Instant>,
    /// The CWMP version of the InformResponse.
    pub(super) version: Option<String>,
}

/// A request of the ACS that the CPE has not answered yet.
#[derive(Clone)]
pub(super) struct Outstanding {
    pub(super) method: String,
    pub(super) id: Option<String>,
}

pub(super) struct Repeat {
    pub(super) redirect: bool,
    pub(super) body: Vec<u8>,
}

pub(super) struct Retry {
    pub(super) method: String,
    pub(super) body: Vec<u8>,
    /// The number of times in a row that the fault was sent.
    pub(super) count: u32,
}

impl SessionState {
    pub(super) fn end(&mut self, outcome: Outcome) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            self.ended_at = Some(Instant::now());
            self.grace = None;
        }
    }

    pub(super) fn joins(&mut self, connection: usize) {
        self.grace = None;
        if self.connections.last() != Some(&connection) {
            self.connections.push(connection);
        }
    }

    pub(super) fn remember_cookie(&mut self, set_cookie: &str, over_tls: bool) {
        let mut parts = set_cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let (name, value) = (name.trim(), value.trim());
        self.jar.retain(|(known, _)| known != name);
        self.secure_cookies.retain(|known| known != name);
        if over_tls && parts.clone().any(|attribute| attribute.eq_ignore_ascii_case("secure")) {
            self.secure_cookies.push(name.into());
        }
        if !parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0")) {
            self.jar.push((name.into(), value.into()));
        }
    }

    /// Updates the session after an answer, which decides the requests that may come next.
    pub(super) fn after(&mut self, options: &AcsOptions, reply: &Reply, exchange: &Exchange, id: Option<String>) {
        let message = exchange.message.as_ref();
        let to_inform = message.is_some_and(Message::is_inform);
        self.repeat = None;
        self.hold = reply.hold.unwrap_or(false);
        match &reply.kind {
            ReplyKind::Unauthorized { .. } | ReplyKind::Redirect(..) => {
                let redirect = matches!(reply.kind, ReplyKind::Redirect(..));
                self.repeat = Some(Repeat { redirect, body: exchange.request.body.clone() });
                if let ReplyKind::Redirect(_, url) = &reply.kind {
                    self.target = Some(rules::target(url));
                }
            }
            ReplyKind::Fault(8005) => {
                let count = self.retry.take().map_or(1, |retry| retry.count + 1);
                self.retry = message.map(|message| Retry {
                    method: message.method.clone(),
                    body: exchange.request.body.clone(),
                    count,
                });
                if count > 3 {
                    self.end(Outcome::Failed("fault 8005 again and again".into())); // R120
                }
            }
            ReplyKind::Proper if to_inform => {
                self.initiated = true;
                self.version = Some(options.version.replace('.', "-"));
            }
            ReplyKind::Empty(_) if self.own_requests_over => self.end(Outcome::Complete),
            _ => {}
        }
        if !matches!(reply.kind, ReplyKind::Fault(8005)) && self.repeat.is_none() {
            self.retry = None;
        }
        if let Some(rpc) = reply.rpc() {
            let id = match rpc.whole_envelope() {
                Some(xml) if !xml.contains("{id}") => None,
                _ => id,
            };
            self.outstanding = Some(Outstanding { method: rpc.method().into(), id });
        }
        if let Some(why) = reply.ends_session(to_inform) {
            self.end(Outcome::Failed(why));
        }
    }
}
