//! Replies of the ACS: proper ones, and those of a server that fails in one way or another.

use std::time::Duration;

use super::rpc::{Rpc, get_rpc_methods};

/// A reply of the ACS, with its deviations from a proper one.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) kind: ReplyKind,
    pub(super) delay: Duration,
    pub(super) hold: Option<bool>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) soap_headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) encoding: Option<Encoding>,
    pub(super) close: bool,
    pub(super) chunked: bool,
}

/// The `Content-Type` of a reply, and the function that encodes its envelope.
type Encoding = (&'static str, fn(&str) -> Vec<u8>);

#[derive(Clone, Debug)]
pub(super) enum ReplyKind {
    /// The response to the CPE's request; for an empty POST the next queued RPC, or an empty answer.
    Proper,
    Rpc(Rpc),
    Empty(u16),
    NothingMore,
    Status(u16),
    Redirect(u16, String),
    Fault(u16),
    Unauthorized {
        stale: bool,
    },
    Drop {
        after: Dropped,
    },
    Truncated,
    Garbage(Vec<u8>),
    Raw(Vec<u8>),
    Oversized(usize),
    Endless,
    Silence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    Nothing,
    HalfTheBody,
}

/// Returns the reply of a correct ACS to any request.
pub fn answer() -> Reply {
    reply(ReplyKind::Proper)
}

/// Returns the same reply as [`answer`]; the name explains a script that begins with `inform()`.
pub fn inform_response() -> Reply {
    answer()
}

/// Returns a 204: the ACS has no further request.
pub fn no_content() -> Reply {
    reply(ReplyKind::Empty(204))
}

/// Returns a 200 with an empty body, as older servers end a session.
pub fn empty_200() -> Reply {
    reply(ReplyKind::Empty(200))
}

/// Returns the empty answer that the options define.
pub fn nothing_more() -> Reply {
    reply(ReplyKind::NothingMore)
}

/// Returns an HTTP status that ends the session: `status(503).retry_after(60)`.
pub fn status(status: u16) -> Reply {
    reply(ReplyKind::Status(status))
}

/// Returns a redirect, 301, 302 or 307, to another URL.
pub fn redirect(status: u16, url: &str) -> Reply {
    reply(ReplyKind::Redirect(status, url.into()))
}

/// Returns a SOAP fault to the CPE's request; code 8005 asks the CPE to repeat it.
pub fn soap_fault(code: u16) -> Reply {
    reply(ReplyKind::Fault(code))
}

/// Returns a challenge, although the credentials of the request are correct.
pub fn unauthorized_again() -> Reply {
    reply(ReplyKind::Unauthorized { stale: false })
}

/// Closes TCP before any byte of an answer.
pub fn drop_connection() -> Reply {
    reply(ReplyKind::Drop { after: Dropped::Nothing })
}

/// Closes TCP in the middle of the body of [`answer`].
pub fn drop_mid_body() -> Reply {
    reply(ReplyKind::Drop { after: Dropped::HalfTheBody })
}

/// Cuts the XML of [`answer`] in the middle; the HTTP around it is correct.
pub fn truncated() -> Reply {
    reply(ReplyKind::Truncated)
}

/// Returns a 200 with `text/xml` and these bytes.
pub fn garbage(bytes: &[u8]) -> Reply {
    reply(ReplyKind::Garbage(bytes.into()))
}

/// Sends these bytes without HTTP around them.
pub fn raw(bytes: &[u8]) -> Reply {
    reply(ReplyKind::Raw(bytes.into()))
}

/// Returns a correct GetRPCMethods request in an envelope of this number of bytes.
pub fn oversized(bytes: usize) -> Reply {
    reply(ReplyKind::Oversized(bytes))
}

/// Returns a chunked body that ends when the CPE closes the connection, or after 1 GiB.
pub fn endless() -> Reply {
    reply(ReplyKind::Endless)
}

/// Returns a reply that is never sent: the ACS waits until the CPE closes the connection.
pub fn silence() -> Reply {
    reply(ReplyKind::Silence)
}

impl Reply {
    /// Delays the answer.
    pub fn delay(mut self, delay: Duration) -> Reply {
        self.delay = delay;
        self
    }

    /// Adds the SOAP header HoldRequests (R78, R113).
    pub fn hold_requests(mut self, hold: bool) -> Reply {
        self.hold = Some(hold);
        self
    }

    /// Adds an HTTP header.
    pub fn header(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a SOAP header in the CWMP namespace.
    pub fn soap_header(mut self, name: &str, value: &str) -> Reply {
        self.soap_headers.push((name.into(), value.into()));
        self
    }

    /// Sets the version that the ACS chooses in InformResponse (R82).
    pub fn use_cwmp_version(self, version: &str) -> Reply {
        self.soap_header("UseCWMPVersion", version)
    }

    /// Adds `Retry-After`, in seconds.
    pub fn retry_after(self, seconds: u32) -> Reply {
        self.header("Retry-After", &seconds.to_string())
    }

    /// Sets the body of a status, redirect or challenge.
    pub fn body(mut self, body: &[u8]) -> Reply {
        self.body = Some(body.into());
        self
    }

    /// Sends the envelope in another encoding than UTF-8, and with this `Content-Type`.
    pub fn encoded(mut self, content_type: &'static str, encode: fn(&str) -> Vec<u8>) -> Reply {
        self.encoding = Some((content_type, encode));
        self
    }

    /// Announces `Connection: close`, and closes.
    pub fn close(mut self) -> Reply {
        self.close = true;
        self
    }

    pub fn chunked(mut self) -> Reply {
        self.chunked = true;
        self
    }

    /// Sets `stale=true` in the challenge.
    pub fn stale(mut self) -> Reply {
        if let ReplyKind::Unauthorized { stale } = &mut self.kind {
            *stale = true;
        }
        self
    }

    /// Describes the reply in words.
    pub fn describe(&self) -> String {
        match &self.kind {
            ReplyKind::Proper => "the proper answer".into(),
            ReplyKind::Rpc(rpc) => rpc.method().into(),
            ReplyKind::Empty(status) => format!("an empty {status}"),
            ReplyKind::NothingMore => "an empty answer".into(),
            ReplyKind::Status(status) => format!("status {status}"),
            ReplyKind::Redirect(status, url) => format!("{status} to {url}"),
            ReplyKind::Fault(code) => format!("fault {code}"),
            ReplyKind::Unauthorized { .. } => "401 again".into(),
            ReplyKind::Drop { after: Dropped::Nothing } => "connection dropped before an answer".into(),
            ReplyKind::Drop { .. } => "connection dropped inside the answer".into(),
            ReplyKind::Truncated => "XML cut in the middle".into(),
            ReplyKind::Garbage(bytes) => format!("{} bytes that are no envelope", bytes.len()),
            ReplyKind::Raw(bytes) => format!("{} raw bytes", bytes.len()),
            ReplyKind::Oversized(bytes) => format!("an envelope of {bytes} bytes"),
            ReplyKind::Endless => "a body without end".into(),
            ReplyKind::Silence => "silence".into(),
        }
    }

    /// Returns the reason for which a session cannot go on after this reply, if there is one; `to_inform` is true if it
    /// answers Inform.
    pub(super) fn ends_session(&self, to_inform: bool) -> Option<String> {
        match &self.kind {
            ReplyKind::Status(status) if *status >= 400 => Some(format!("status {status}")),
            ReplyKind::Empty(_) | ReplyKind::NothingMore if to_inform => {
                Some("Inform was answered with nothing".into()) // R118
            }
            ReplyKind::Fault(code) if to_inform && *code != 8005 => {
                Some(format!("fault {code} to Inform")) // R92
            }
            ReplyKind::Drop { .. }
            | ReplyKind::Truncated
            | ReplyKind::Garbage(_)
            | ReplyKind::Endless
            | ReplyKind::Silence => Some(self.describe()),
            _ => None,
        }
    }

    /// Returns the RPC that the CPE must answer next.
    pub(super) fn rpc(&self) -> Option<Rpc> {
        match &self.kind {
            ReplyKind::Rpc(rpc) => Some(rpc.clone()),
            ReplyKind::Oversized(_) => Some(get_rpc_methods()),
            _ => None,
        }
    }
}

impl From<Rpc> for Reply {
    fn from(rpc: Rpc) -> Reply {
        reply(ReplyKind::Rpc(rpc))
    }
}

impl Rpc {
    /// Returns the RPC as a reply with HoldRequests.
    pub fn hold_requests(self, hold: bool) -> Reply {
        Reply::from(self).hold_requests(hold)
    }
}

fn reply(kind: ReplyKind) -> Reply {
    Reply {
        kind,
        delay: Duration::ZERO,
        hold: None,
        headers: Vec::new(),
        soap_headers: Vec::new(),
        body: None,
        encoding: None,
        close: false,
        chunked: false,
    }
}
