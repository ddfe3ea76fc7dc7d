//! The stream of a client: TLS, authentication and the binding of an address, then stanzas.
//!
//! ```text
//!   header ─▶ features ─▶ starttls ─▶ proceed ─▶ [TLS] ─▶ header ─▶ features ─▶ auth ─▶ (challenge ─▶ response)* ─▶ success
//!                                                           ┌────────────────────────────────────────────────────────┘
//!                                                           └▶ header ─▶ features ─▶ bind ─▶ address ─▶ stanzas
//! ```
//!
//! A stream without TLS never gets as far as an authentication: R298 accepts no request over it, and PLAIN would tell the
//! password to everyone on the way.

mod features;
mod stream_error;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use roxmltree::{Document, Node};

use self::features::Mechanism;
pub(crate) use self::stream_error::StreamError;
use self::stream_error::{condition, words};
use super::reader::{Found, StanzaReader};
use super::request::{ConnectionRequest, Iq, Refusal};
use super::scram::Scram;
use super::{escaped, namespace};
use crate::secret::Secret;

/// The longest address that a server may give: the most that RFC 7622 §3.1 allows.
const MAX_ADDRESS: usize = 3071;
/// The id of the request for an address.
const BIND_ID: &str = "bind";

/// The account of the agent at the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) username: String,
    pub(crate) password: Secret,
    /// The domain of the server, which its certificate must name.
    pub(crate) domain: String,
    /// The proposed last part of the address; empty if the server is to choose it.
    pub(crate) resource: String,
}

/// The next step of the caller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Send(String),
    /// TLS is to be set up with the domain of the account as the name of the server; then [`Client::secured`].
    StartTls,
    /// The stream is ready, and this is the address of the agent.
    Ready(String),
    /// A connection request, which the caller answers.
    Request(ConnectionRequest),
}

/// The layers that the stream has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Tcp,
    Tls,
    Authenticated,
}

/// The next element of the server.
#[derive(Debug)]
enum Expected {
    Header,
    Features,
    /// The consent to TLS.
    Proceed,
    /// The next message of an authentication. `proved` is true once the server has shown that it knows the password.
    Sasl {
        scram: Option<Scram>,
        proved: bool,
    },
    Address,
    Stanzas,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Client {
    account: Account,
    /// A random text, for the one authentication of the stream.
    nonce: String,
    reader: StanzaReader,
    layer: Layer,
    expected: Expected,
    /// Ends the computation of an authentication.
    stop: Arc<AtomicBool>,
}

impl Client {
    /// Returns a stream that begins with [`Client::header`]. `random` must be new for each stream.
    pub(crate) fn new(account: Account, random: [u8; 18], stop: Arc<AtomicBool>) -> Client {
        let (nonce, reader) = (BASE64_STANDARD.encode(random), StanzaReader::new());
        Client { account, nonce, reader, layer: Layer::Tcp, expected: Expected::Header, stop }
    }

    /// Returns the header, which begins the stream and, after TLS and the authentication, begins it anew.
    pub(crate) fn header(&self) -> String {
        format!(
            "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xml:lang='en' xmlns='{}' xmlns:stream='{}'>",
            escaped(&self.account.domain),
            namespace::CLIENT,
            namespace::STREAM
        )
    }

    /// Takes bytes of the server. The caller then calls [`Client::poll`] until it returns `None`.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.reader.push(bytes);
    }

    /// Notes that TLS is set up, and returns the header to send.
    pub(crate) fn secured(&mut self) -> String {
        self.restart(Layer::Tls)
    }

    /// Returns the next step; `None` until more bytes come.
    pub(crate) fn poll(&mut self) -> Result<Option<Action>, StreamError> {
        while let Some(found) = self.reader.next().map_err(|error| StreamError::Protocol(error.to_string()))? {
            let action = match found {
                Found::Header(text) => self.on_header(parse(&text)?.root_element()).map(|()| None)?,
                Found::Stanza(text) => match parse(&text)?.root_element().first_element_child() {
                    Some(stanza) => self.on_stanza(stanza)?,
                    None => None, // not reached: the reader has seen an element
                },
                Found::End => return Err(StreamError::Ended),
            };
            if action.is_some() {
                return Ok(action);
            }
        }
        Ok(None)
    }

    fn on_header(&mut self, header: Node<'_, '_>) -> Result<(), StreamError> {
        let is_new = header.attribute("version").is_some_and(|version| version.starts_with("1."));
        match header.has_tag_name((namespace::STREAM, "stream")) && is_new {
            true => self.expected = Expected::Features,
            false => return Err(StreamError::Protocol("no stream of XMPP 1.0".into())),
        }
        Ok(())
    }

    fn on_stanza(&mut self, stanza: Node<'_, '_>) -> Result<Option<Action>, StreamError> {
        if stanza.has_tag_name((namespace::STREAM, "error")) {
            return Err(StreamError::of(stanza));
        }
        match &self.expected {
            Expected::Header => Err(StreamError::unexpected(stanza)), // not reached: the reader begins with a header
            Expected::Features => self.on_features(stanza),
            Expected::Proceed => self.on_proceed(stanza),
            Expected::Sasl { .. } => self.on_sasl(stanza),
            Expected::Address => self.on_address(stanza),
            Expected::Stanzas => Ok(on_iq(stanza)),
        }
    }

    fn on_features(&mut self, features: Node<'_, '_>) -> Result<Option<Action>, StreamError> {
        if !features.has_tag_name((namespace::STREAM, "features")) {
            return Err(StreamError::unexpected(features));
        }
        let offers = |space, name| features.children().any(|feature| feature.has_tag_name((space, name)));
        match self.layer {
            Layer::Tcp if offers(namespace::TLS, "starttls") => {
                self.expected = Expected::Proceed;
                Ok(Some(Action::Send(format!("<starttls xmlns='{}'/>", namespace::TLS))))
            }
            Layer::Tcp => Err(StreamError::NoTls),
            Layer::Tls => self.authenticate(features).map(Some),
            Layer::Authenticated if offers(namespace::BIND, "bind") => {
                self.expected = Expected::Address;
                Ok(Some(Action::Send(self.bind())))
            }
            Layer::Authenticated => Err(StreamError::Protocol("features without an address".into())),
        }
    }

    fn on_proceed(&mut self, stanza: Node<'_, '_>) -> Result<Option<Action>, StreamError> {
        if !stanza.has_tag_name((namespace::TLS, "proceed")) {
            return Err(StreamError::Protocol("a refusal of TLS after its offer".into()));
        }
        // Bytes behind it come from another than the server, and would count as if they had come through TLS.
        match self.reader.is_empty() {
            true => Ok(Some(Action::StartTls)),
            false => Err(StreamError::Protocol("bytes between the consent to TLS and its start".into())),
        }
    }

    fn authenticate(&mut self, features: Node<'_, '_>) -> Result<Action, StreamError> {
        let mechanism = Mechanism::best(features).ok_or(StreamError::NoMechanism)?;
        let Account { username, password, .. } = &self.account;
        let (scram, first) = match mechanism {
            Mechanism::Scram(hash) => {
                let scram = Scram::new(hash, username, password.clone(), self.nonce.clone());
                let first = scram.first();
                (Some(scram), first)
            }
            Mechanism::Plain => (None, format!("\0{username}\0{}", password.expose())),
        };
        self.expected = Expected::Sasl { proved: scram.is_none(), scram };
        let (name, first) = (mechanism.name(), BASE64_STANDARD.encode(first));
        Ok(Action::Send(format!("<auth xmlns='{}' mechanism='{name}'>{first}</auth>", namespace::SASL)))
    }

    fn on_sasl(&mut self, stanza: Node<'_, '_>) -> Result<Option<Action>, StreamError> {
        let Expected::Sasl { scram, proved } = &mut self.expected else { return Ok(None) }; // not reached
        let given = stanza.text().unwrap_or_default().trim();
        let message = BASE64_STANDARD.decode(given).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let failed = |reason: &str| StreamError::Authentication(reason.to_owned());
        let message = message.ok_or_else(|| failed("no message in Base64"))?;
        let name = stanza.tag_name();
        match (name.namespace(), name.name()) {
            (Some(namespace::SASL), "challenge") => {
                let scram = scram.as_mut().ok_or_else(|| failed("a challenge for PLAIN"))?;
                let response = match message.starts_with("v=") {
                    // Some servers prove themselves by a challenge of its own and not with the success.
                    true => scram.verify(&message).map(|()| *proved = true).map(|()| String::new()),
                    false => scram.respond(&message, &self.stop),
                };
                let response = BASE64_STANDARD.encode(response.map_err(failed)?);
                Ok(Some(Action::Send(format!("<response xmlns='{}'>{response}</response>", namespace::SASL))))
            }
            (Some(namespace::SASL), "success") => {
                if let (Some(scram), false) = (scram, *proved) {
                    scram.verify(&message).map_err(failed)?;
                }
                Ok(Some(Action::Send(self.restart(Layer::Authenticated))))
            }
            (Some(namespace::SASL), "failure") => {
                Err(StreamError::Authentication(format!("the server refuses it with {}", condition(stanza))))
            }
            _ => Err(StreamError::unexpected(stanza)),
        }
    }

    fn bind(&self) -> String {
        let resource = match self.account.resource.as_str() {
            "" => String::new(),
            resource => format!("<resource>{}</resource>", escaped(resource)),
        };
        format!("<iq type='set' id='{BIND_ID}'><bind xmlns='{}'>{resource}</bind></iq>", namespace::BIND)
    }

    fn on_address(&mut self, stanza: Node<'_, '_>) -> Result<Option<Action>, StreamError> {
        if stanza.attribute("id") != Some(BIND_ID) {
            return Ok(on_iq(stanza));
        }
        if stanza.attribute("type") != Some("result") {
            let error = stanza.children().find(|child| child.has_tag_name((namespace::CLIENT, "error")));
            let reason = error.map_or_else(|| "no reason".to_owned(), condition);
            return Err(StreamError::Protocol(format!("no address, with {reason}")));
        }
        let address = stanza.descendants().find(|node| node.has_tag_name((namespace::BIND, "jid")));
        let address = address.and_then(|node| node.text()).unwrap_or_default();
        let is_usable = !address.is_empty() && !address.contains(|c: char| c.is_whitespace() || c.is_control());
        if !is_usable || address.len() > MAX_ADDRESS {
            return Err(StreamError::Protocol(format!("the unusable address {}", words(address))));
        }
        self.expected = Expected::Stanzas;
        Ok(Some(Action::Ready(address.to_owned())))
    }

    /// Begins the stream anew on a new layer, as the server does, and returns the header.
    fn restart(&mut self, layer: Layer) -> String {
        // The server sends nothing before it has the new header. Bytes that it sent nevertheless are of the old stream.
        self.reader = StanzaReader::new();
        (self.layer, self.expected) = (layer, Expected::Header);
        self.header()
    }
}

/// Returns the step that an `iq` asks for. Other stanzas, and answers to nothing, are ignored.
fn on_iq(stanza: Node<'_, '_>) -> Option<Action> {
    if !stanza.has_tag_name((namespace::CLIENT, "iq")) || !matches!(stanza.attribute("type"), Some("get" | "set")) {
        return None;
    }
    let request = ConnectionRequest::read(Iq::of(stanza)?, stanza);
    Some(request.map_or_else(|(iq, refusal): (Iq, Refusal)| Action::Send(iq.refused(refusal)), Action::Request))
}

fn parse(text: &str) -> Result<Document<'_>, StreamError> {
    Document::parse(text).map_err(|error| StreamError::Protocol(format!("no well-formed XML: {error}")))
}

#[cfg(test)]
mod tests;
