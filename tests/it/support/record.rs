//! The record of the ACS: sessions, and the exchanges that they consist of.

use std::time::{Duration, Instant};

use super::http::Request;
use super::message::Message;

/// A session as the ACS saw it.
#[derive(Clone, Debug)]
pub struct Session {
    /// The number of the session, counted from 1.
    pub number: usize,
    pub exchanges: Vec<Exchange>,
    pub outcome: Outcome,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Neither side had a further request.
    Complete,
    /// The ACS sent a reply that ends every session.
    Failed(String),
    /// The CPE closed the connection before the end.
    Abandoned(String),
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The connection's number, counted from 1.
    pub connection: usize,
    /// The instant at which the request had been read.
    pub at: Instant,
    pub request: Request,
    /// The message; `None` for the empty POST and for an unreadable body.
    pub message: Option<Message>,
    /// The host name that the TLS client sent by SNI.
    pub sni: Option<String>,
    pub answer: SentResponse,
}

/// The answer of the ACS.
#[derive(Clone, Debug, Default)]
pub struct SentResponse {
    /// The HTTP status; 0 if no HTTP response was sent.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The answer in words: `InformResponse`, `GetParameterValues`, `status 503` …
    pub what: String,
    /// The arguments of the answer, one a line.
    pub details: Vec<String>,
}

impl Exchange {
    /// Returns true if the request got past authentication and redirects to the CWMP part.
    pub fn was_taken(&self) -> bool {
        !matches!(self.answer.status, 301 | 302 | 307 | 401)
    }

    /// Describes the exchange in a line.
    pub fn describe(&self) -> String {
        let request = match &self.message {
            Some(message) if message.is_inform() => {
                format!("Inform {:?}", message.event_codes())
            }
            Some(message) => match &message.fault {
                Some(fault) => format!("{} {}", message.method, fault.code),
                None => message.method.clone(),
            },
            None if self.request.body.is_empty() => "empty POST".into(),
            None => "unreadable body".into(),
        };
        format!("connection {}: {request} -> {} {}", self.connection, self.answer.status, self.answer.what)
    }
}

impl Session {
    /// Panics unless the session was completed.
    pub fn expect_complete(self) -> Session {
        assert_eq!(self.outcome, Outcome::Complete, "session {}:\n{}", self.number, self.describe());
        self
    }

    /// Panics if the session was completed.
    pub fn expect_failed(self) -> Session {
        assert_ne!(self.outcome, Outcome::Complete, "session {} should have failed:\n{}", self.number, self.describe());
        self
    }

    pub fn is_complete(&self) -> bool {
        self.outcome == Outcome::Complete
    }

    /// Returns every message of the CPE that the ACS has accepted, in order.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.exchanges.iter().filter(|exchange| exchange.was_taken()).filter_map(|exchange| exchange.message.as_ref())
    }

    /// Returns the Inform; panics if the ACS has accepted none.
    pub fn inform(&self) -> &Message {
        self.message("Inform")
    }

    /// Returns the first response to an RPC, named without `Response`; panics if there is none.
    pub fn response(&self, method: &str) -> &Message {
        self.message(&format!("{method}Response"))
    }

    /// Returns every response to this RPC.
    pub fn responses(&self, method: &str) -> Vec<&Message> {
        let method = format!("{method}Response");
        self.messages().filter(|message| message.method == method).collect()
    }

    /// Returns the first message with this name; panics if there is none.
    pub fn message(&self, method: &str) -> &Message {
        self.messages()
            .find(|message| message.method == method)
            .unwrap_or_else(|| panic!("no {method} in\n{}", self.describe()))
    }

    /// Returns the event codes of its Inform.
    pub fn events(&self) -> Vec<&str> {
        self.inform().event_codes()
    }

    /// Returns the numbers of its TCP connections, in order.
    pub fn connections(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = self.exchanges.iter().map(|e| e.connection).collect();
        numbers.dedup();
        numbers
    }

    /// Returns the HTTP statuses that were sent, in order.
    pub fn statuses(&self) -> Vec<u16> {
        self.exchanges.iter().map(|e| e.answer.status).collect()
    }

    /// Returns the time from the first request to the last.
    pub fn duration(&self) -> Duration {
        match (self.exchanges.first(), self.exchanges.last()) {
            (Some(first), Some(last)) => last.at - first.at,
            _ => Duration::ZERO,
        }
    }

    /// Describes the session in a few lines.
    pub fn describe(&self) -> String {
        let mut text = format!("session {} ({:?})\n", self.number, self.outcome);
        for exchange in &self.exchanges {
            text += &format!("  {}\n", exchange.describe());
        }
        text
    }
}
