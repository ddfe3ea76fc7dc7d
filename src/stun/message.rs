//! Messages of classic STUN (RFC 3489) with the attributes of TR-069 Annex G.
//!
//! ```text
//!   0        2         4                         20
//!   │ kind   │ length  │ transaction id          │ attributes …
//!
//!   attribute:  │ type 2 │ length 2 │ value, padded to a multiple of 4
//! ```
//!
//! RFC 5389 is explicitly not the design (R270): the transaction id takes all 16 bytes where that has its
//! magic cookie, and MESSAGE-INTEGRITY is computed over a text padded with zeros.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::digest::{equal_in_constant_time, hmac_sha1};
use crate::secret::Secret;

/// Bytes before the attributes.
const HEADER: usize = 20;

/// RFC 3489 §11.2.8: what MESSAGE-INTEGRITY is computed over is padded to a multiple of this.
const HMAC_BLOCK: usize = 64;

/// STUNUsername has 256 characters at most, each of 4 bytes at most.
const LONGEST_USERNAME: usize = 1024;

/// The value of CONNECTION-REQUEST-BINDING, trailing space included (R274).
const CONNECTION_REQUEST_BINDING_VALUE: &[u8; 20] = b"dslforum.org/TR-111 ";

/// Attribute types (R270, R274, R275).
mod attribute {
    pub(super) const MAPPED_ADDRESS: u16 = 0x0001;
    pub(super) const RESPONSE_ADDRESS: u16 = 0x0002;
    pub(super) const USERNAME: u16 = 0x0006;
    pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(super) const ERROR_CODE: u16 = 0x0009;
    /// The last one that RFC 3489 defines.
    pub(super) const REFLECTED_FROM: u16 = 0x000B;
    /// REALM, NONCE and XOR-MAPPED-ADDRESS of RFC 5389: mandatory by their number, known, and no use here.
    pub(super) const OF_RFC_5389: [u16; 3] = [0x0014, 0x0015, 0x0020];
    /// The last type that a receiver must understand.
    pub(super) const LAST_MANDATORY: u16 = 0x7FFF;
    pub(super) const CONNECTION_REQUEST_BINDING: u16 = 0xC001;
    pub(super) const BINDING_CHANGE: u16 = 0xC002;
}

/// What ties an answer to its request: 128 random bits (R270).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionId(pub [u8; 16]);

/// What a message is (R270).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Binding Request.
    Request,
    /// Binding Response.
    Response,
    /// Binding Error Response.
    Error,
}

impl MessageKind {
    fn number(self) -> u16 {
        match self {
            MessageKind::Request => 0x0001,
            MessageKind::Response => 0x0101,
            MessageKind::Error => 0x0111,
        }
    }

    fn of(number: u16) -> Option<MessageKind> {
        [MessageKind::Request, MessageKind::Response, MessageKind::Error]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// A Binding Request to be sent.
#[derive(Clone, Copy, Debug)]
pub struct BindingRequest<'a> {
    /// Fresh for each request, the same in its retransmissions (R281).
    pub transaction: TransactionId,
    /// CONNECTION-REQUEST-BINDING: from the primary port always, from the secondary never (R274).
    pub connection_request_binding: bool,
    /// BINDING-CHANGE (R275).
    pub binding_change: bool,
    /// Where the answer shall go, instead of where the request came from (R283).
    pub response_address: Option<SocketAddr>,
    /// STUNUsername; empty for none.
    pub username: &'a str,
    /// STUNPassword, where the message shall carry MESSAGE-INTEGRITY (R277).
    pub password: Option<&'a Secret>,
}

impl BindingRequest<'_> {
    /// The datagram: 200 bytes at most (R296) as long as the user name has no more than 124.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(MessageKind::Request, self.transaction);
        if let Some(address) = self.response_address {
            encoder.address(attribute::RESPONSE_ADDRESS, address);
        }
        if self.connection_request_binding {
            encoder.attribute(attribute::CONNECTION_REQUEST_BINDING, CONNECTION_REQUEST_BINDING_VALUE);
        }
        if self.binding_change {
            encoder.attribute(attribute::BINDING_CHANGE, b"");
        }
        if !self.username.is_empty() {
            encoder.username(self.username);
        }
        match self.password {
            Some(password) => encoder.finish_signed(password),
            None => encoder.finish(),
        }
    }
}

/// A message that was received, whole and well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Request, response or error.
    pub kind: MessageKind,
    /// Whose answer it is.
    pub transaction: TransactionId,
    /// MAPPED-ADDRESS. An XOR-MAPPED-ADDRESS is never taken for it: RFC 3489 knows none, and what old servers
    /// send under that name is wrong.
    pub mapped_address: Option<SocketAddr>,
    /// RESPONSE-ADDRESS.
    pub response_address: Option<SocketAddr>,
    /// USERNAME, its padding included.
    pub username: Option<&'a [u8]>,
    /// ERROR-CODE: 100 to 799.
    pub error_code: Option<u16>,
    /// Whether CONNECTION-REQUEST-BINDING is there.
    pub connection_request_binding: bool,
    /// Whether BINDING-CHANGE is there.
    pub binding_change: bool,
    /// An attribute that a receiver must understand, and that this one does not: the message is of no use.
    pub unknown_mandatory: Option<u16>,
    integrity: Option<Integrity<'a>>,
}

/// What was signed, and the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Integrity<'a> {
    text: &'a [u8],
    tag: &'a [u8],
}

/// Not a message of RFC 3489, or one with an attribute that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Message<'a> {
    /// Reads one datagram.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let (header, attributes) = bytes.split_first_chunk::<HEADER>().ok_or(Malformed)?;
        let (start, id) = header.split_first_chunk::<4>().ok_or(Malformed)?;
        let kind = MessageKind::of(u16::from_be_bytes([start[0], start[1]])).ok_or(Malformed)?;
        if usize::from(u16::from_be_bytes([start[2], start[3]])) != attributes.len() {
            return Err(Malformed);
        }
        let transaction = TransactionId(id.try_into().map_err(|_| Malformed)?);
        let mut message = Message::empty(kind, transaction);
        message.read_attributes(bytes)?;
        Ok(message)
    }

    /// Whether it carries MESSAGE-INTEGRITY made with this password (R278, R279).
    pub fn is_signed_with(&self, password: &Secret) -> bool {
        let Some(Integrity { text, tag }) = &self.integrity else { return false };
        equal_in_constant_time(&signature(text, password), tag)
    }

    fn empty(kind: MessageKind, transaction: TransactionId) -> Message<'a> {
        Message {
            kind,
            transaction,
            mapped_address: None,
            response_address: None,
            username: None,
            error_code: None,
            connection_request_binding: false,
            binding_change: false,
            unknown_mandatory: None,
            integrity: None,
        }
    }

    /// Reads up to MESSAGE-INTEGRITY, which is the last: nobody vouches for what might follow it (R279).
    fn read_attributes(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        let mut at = HEADER;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (start, after) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
            let kind = u16::from_be_bytes([start[0], start[1]]);
            let length = usize::from(u16::from_be_bytes([start[2], start[3]]));
            let value = after.get(..length).ok_or(Malformed)?;
            if kind == attribute::MESSAGE_INTEGRITY {
                let tag = Some(value).filter(|value| value.len() == 20).ok_or(Malformed)?;
                self.integrity = Some(Integrity { text: &bytes[..at], tag });
                return Ok(());
            }
            self.read_attribute(kind, value)?;
            at += 4 + length.next_multiple_of(4);
        }
        Ok(())
    }

    /// RFC 3489 §11.2: of an attribute that stands there twice the first holds.
    fn read_attribute(&mut self, kind: u16, value: &'a [u8]) -> Result<(), Malformed> {
        match kind {
            attribute::MAPPED_ADDRESS => {
                let address = read_address(value)?;
                self.mapped_address.get_or_insert(address);
            }
            attribute::RESPONSE_ADDRESS => {
                let address = read_address(value)?;
                self.response_address.get_or_insert(address);
            }
            attribute::USERNAME => {
                self.username.get_or_insert(value);
            }
            attribute::ERROR_CODE => {
                let code = read_error_code(value)?;
                self.error_code.get_or_insert(code);
            }
            attribute::CONNECTION_REQUEST_BINDING => self.connection_request_binding = true,
            attribute::BINDING_CHANGE => self.binding_change = true,
            other if is_unknown_mandatory(other) => {
                self.unknown_mandatory.get_or_insert(other);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Writes a message, attribute by attribute.
pub(super) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(kind: MessageKind, transaction: TransactionId) -> Encoder {
        let mut bytes = Vec::with_capacity(200); // R296
        bytes.extend_from_slice(&kind.number().to_be_bytes());
        bytes.extend_from_slice(&[0, 0]); // the length comes last
        bytes.extend_from_slice(&transaction.0);
        Encoder { bytes }
    }

    pub(super) fn address(&mut self, kind: u16, address: SocketAddr) {
        let mut value = vec![0, family(address.ip())];
        value.extend_from_slice(&address.port().to_be_bytes());
        match address.ip() {
            IpAddr::V4(ip) => value.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => value.extend_from_slice(&ip.octets()),
        }
        self.attribute(kind, &value);
    }

    /// R276: padded with trailing spaces to a multiple of 4 bytes, which its length counts.
    pub(super) fn username(&mut self, name: &str) {
        let mut value = name.as_bytes()[..name.len().min(LONGEST_USERNAME)].to_vec();
        value.resize(value.len().next_multiple_of(4), b' ');
        self.attribute(attribute::USERNAME, &value);
    }

    /// Appends a value whose length is a multiple of 4, as all those of RFC 3489 are.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        debug_assert!(value.len().is_multiple_of(4));
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&length(value.len()));
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let attributes = length(self.bytes.len() - HEADER);
        self.bytes[2..4].copy_from_slice(&attributes);
        self.bytes
    }

    /// Ends the message with MESSAGE-INTEGRITY; the header that is signed counts it already (R279).
    pub(super) fn finish_signed(mut self, password: &Secret) -> Vec<u8> {
        let unsigned = self.bytes.len();
        self.attribute(attribute::MESSAGE_INTEGRITY, &[0; 20]);
        let mut bytes = self.finish();
        let tag = signature(&bytes[..unsigned], password);
        bytes[unsigned + 4..].copy_from_slice(&tag);
        bytes
    }
}

/// A length as it stands on the wire; what this agent sends is far from the limit.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// R279: over the text, filled up with zeros to a multiple of 64 bytes.
fn signature(text: &[u8], password: &Secret) -> [u8; 20] {
    const ZEROS: [u8; HMAC_BLOCK] = [0; HMAC_BLOCK];
    let missing = text.len().next_multiple_of(HMAC_BLOCK) - text.len();
    hmac_sha1(password.expose().as_bytes(), &[text, &ZEROS[..missing]])
}

fn family(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 1 } else { 2 }
}

/// MAPPED-ADDRESS and its like: a zero byte that nobody looks at, family, port, address.
fn read_address(value: &[u8]) -> Result<SocketAddr, Malformed> {
    let (start, address) = value.split_first_chunk::<4>().ok_or(Malformed)?;
    let ip = match start[1] {
        1 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).map_err(|_| Malformed)?)),
        2 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).map_err(|_| Malformed)?)),
        _ => return Err(Malformed),
    };
    Ok(SocketAddr::new(ip, u16::from_be_bytes([start[2], start[3]])))
}

/// ERROR-CODE: the hundreds in three bits, the rest in a byte; the reason phrase is for people.
fn read_error_code(value: &[u8]) -> Result<u16, Malformed> {
    let start = value.first_chunk::<4>().ok_or(Malformed)?;
    let (hundreds, rest) = (start[2] & 7, start[3]);
    if hundreds == 0 || rest > 99 {
        return Err(Malformed);
    }
    Ok(u16::from(hundreds) * 100 + u16::from(rest))
}

fn is_unknown_mandatory(kind: u16) -> bool {
    let known = (attribute::MAPPED_ADDRESS..=attribute::REFLECTED_FROM).contains(&kind);
    kind <= attribute::LAST_MANDATORY && !known && !attribute::OF_RFC_5389.contains(&kind)
}

#[cfg(test)]
pub(super) mod tests;
