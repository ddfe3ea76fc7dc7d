//! XMPP towards a server, as far as connection requests need it: RFC 6120 with Annex K of TR-069. No socket, no clock.
//!
//! ```text
//!   bytes ─▶ reader.rs ─stanza─▶ client.rs ──┬─▶ Action: bytes to send, the start of TLS, the address that the server gives
//!            limits              the stream  │           └─ scram.rs    RFC 5802, RFC 7677
//!                                            └─▶ request.rs    a connection request, and the answers to it
//!   reconnect.rs   the server and the wait of the next attempt
//!   settings.rs    the settings of a connection and its status, as the data model has them
//! ```
//!
//! The agent sends no presence and keeps no roster: a stanza for the full address of a connection reaches it without.

mod client;
mod reader;
mod reconnect;
mod request;
mod scram;
mod settings;

pub(crate) use client::{Account, Action, Client, StreamError};
pub(crate) use reconnect::{Cursor, RetryPolicy};
pub(crate) use request::{ConnectionRequest, Refusal};
pub(crate) use settings::{Server, Settings, Status};

/// The namespaces of the stream and of its stanzas.
mod namespace {
    pub(super) const STREAM: &str = "http://etherx.jabber.org/streams";
    pub(super) const CLIENT: &str = "jabber:client";
    pub(super) const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
    pub(super) const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
    pub(super) const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
    pub(super) const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
    pub(super) const CONNECTION_REQUEST: &str = "urn:broadband-forum-org:cwmp:xmppConnReq-1-0";
}

/// Returns the text with the characters replaced that have a meaning in XML, for an attribute or between tags.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
