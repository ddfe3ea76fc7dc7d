//! Messages of classic STUN (RFC 3489) with the attributes of TR-069 Annex G.
//!
//! ```text
//!   0        2         4                         20
//!   │ kind   │ length  │ transaction id          │ attributes …
//!
//!   attribute:  │ type 2 │ length 2 │ value, padded to a multiple of 4
//! ```
//!
//! RFC 5389 is explicitly not the design (R270): here the transaction id takes all 16 bytes, without a magic cookie,
//! and MESSAGE-INTEGRITY is computed over a text padded with zeros.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::digest::{equal_in_constant_time, hmac_sha1};
use crate::secret::Secret;

/// The length of the header in bytes.
const HEADER: usize = 20;

/// The block size to which the text of MESSAGE-INTEGRITY is padded (RFC 3489 §11.2.8).
const HMAC_BLOCK: usize = 64;

/// The longest USERNAME: STUNUsername has at most 256 characters of at most 4 bytes.
const LONGEST_USERNAME: usize = 1024;

/// The value of CONNECTION-REQUEST-BINDING, with its trailing space (R274).
const CONNECTION_REQUEST_BINDING_VALUE: &[u8; 20] = b"dslforum.org/TR-111 ";

/// The types of attributes (R270, R274, R275).
mod attribute {
    pub(super) const MAPPED_ADDRESS: u16 = 0x0001;
    pub(super) const RESPONSE_ADDRESS: u16 = 0x0002;
    pub(super) const USERNAME: u16 = 0x0006;
    pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(super) const ERROR_CODE: u16 = 0x0009;
    /// The last type that RFC 3489 defines.
    pub(super) const REFLECTED_FROM: u16 = 0x000B;
    /// REALM, NONCE and XOR-MAPPED-ADDRESS of RFC 5389: mandatory by their number, known here, and ignored.
    pub(super) const OF_RFC_5389: [u16; 3] = [0x0014, 0x0015, 0x0020];
    /// The last type that a receiver must understand.
    pub(super) const LAST_MANDATORY: u16 = 0x7FFF;
    pub(super) const CONNECTION_REQUEST_BINDING: u16 = 0xC001;
    pub(super) const BINDING_CHANGE: u16 = 0xC002;
}

/// The id that ties an answer to its request: 128 random bits (R270).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionId(pub [u8; 16]);

/// The type of a message (R270).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Binding Request, from the agent to the server.
    Request,
    /// Binding Response, with the mapped address.
    Response,
    /// Binding Error Response, with an error code.
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
    /// The transaction id: fresh for each request, the same in its retransmissions (R281).
    pub transaction: TransactionId,
    /// True for CONNECTION-REQUEST-BINDING: always from the primary port, never from the secondary (R274).
    pub connection_request_binding: bool,
    /// True for BINDING-CHANGE, which announces a new mapped address (R275).
    pub binding_change: bool,
    /// The destination of the answer, if not the source of the request (R283).
    pub response_address: Option<SocketAddr>,
    /// STUNUsername; empty for none.
    pub username: &'a str,
    /// STUNPassword, if the message is to carry MESSAGE-INTEGRITY (R277).
    pub password: Option<&'a Secret>,
}

impl BindingRequest<'_> {
    /// Returns the datagram: at most 200 bytes for a user name of up to 124 bytes (R296).
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

/// A received message, complete and well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The type of the message.
    pub kind: MessageKind,
    /// The transaction id, which is that of the request.
    pub transaction: TransactionId,
    /// MAPPED-ADDRESS. XOR-MAPPED-ADDRESS is not taken for it: RFC 3489 does not define it, and old servers send wrong
    /// values in it.
    pub mapped_address: Option<SocketAddr>,
    /// RESPONSE-ADDRESS of a request; only the simulated server of the tests reads it.
    pub response_address: Option<SocketAddr>,
    /// USERNAME with its padding.
    pub username: Option<&'a [u8]>,
    /// ERROR-CODE, from 100 to 799.
    pub error_code: Option<u16>,
    /// True if CONNECTION-REQUEST-BINDING is present.
    pub connection_request_binding: bool,
    /// True if BINDING-CHANGE is present.
    pub binding_change: bool,
    /// The first unknown attribute that a receiver must understand. It makes the message unusable.
    pub unknown_mandatory: Option<u16>,
    integrity: Option<Integrity<'a>>,
}

/// The signed text and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Integrity<'a> {
    text: &'a [u8],
    tag: &'a [u8],
}

/// The error of a datagram that is no message of RFC 3489, or has an invalid attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Message<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// Returns an error for a wrong length or type, or for an attribute that ends too late.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let (header, attributes) = bytes.split_first_chunk::<HEADER>().ok_or(Malformed)?;
        let (start, id) = header.split_first_chunk::<4>().ok_or(Malformed)?;
        let kind = MessageKind::of(u16::from_be_bytes([start[0], start[1]])).ok_or(Malformed)?;
        // A shorter length would leave bytes that the signature does not cover.
        if usize::from(u16::from_be_bytes([start[2], start[3]])) != attributes.len() {
            return Err(Malformed);
        }
        let transaction = TransactionId(id.try_into().map_err(|_| Malformed)?);
        let mut message = Message::empty(kind, transaction);
        message.read_attributes(bytes)?;
        Ok(message)
    }

    /// Returns true if the message has a MESSAGE-INTEGRITY made with the password (R278, R279).
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

    /// Reads the attributes up to MESSAGE-INTEGRITY, which is the last: nothing after it is signed (R279).
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

    /// Reads one attribute. The first of several with the same type counts (RFC 3489 §11.2).
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
            // The rest of the message is still read, so that it is counted as unusable and not as malformed.
            other if is_unknown_mandatory(other) => {
                self.unknown_mandatory.get_or_insert(other);
            }
            _ => {}
        }
        Ok(())
    }
}

/// A writer of one message, attribute by attribute.
pub(super) struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(kind: MessageKind, transaction: TransactionId) -> Encoder {
        let mut bytes = Vec::with_capacity(200); // R296
        bytes.extend_from_slice(&kind.number().to_be_bytes());
        bytes.extend_from_slice(&[0, 0]); // the length is known at the end
        bytes.extend_from_slice(&transaction.0);
        Encoder { bytes }
    }

    /// Appends an address attribute: a zero byte, the family, the port and the address.
    pub(super) fn address(&mut self, kind: u16, address: SocketAddr) {
        let mut value = vec![0, family(address.ip())];
        value.extend_from_slice(&address.port().to_be_bytes());
        match address.ip() {
            IpAddr::V4(ip) => value.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => value.extend_from_slice(&ip.octets()),
        }
        self.attribute(kind, &value);
    }

    /// Appends USERNAME, padded with spaces to a multiple of 4 bytes; the padding counts in its length (R276).
    pub(super) fn username(&mut self, name: &str) {
        let mut value = name.as_bytes()[..name.len().min(LONGEST_USERNAME)].to_vec();
        // The data model limits the name; the cut only keeps the length field valid.
        value.resize(value.len().next_multiple_of(4), b' ');
        self.attribute(attribute::USERNAME, &value);
    }

    /// Appends an attribute. The length of the value is a multiple of 4, as in all attributes of RFC 3489.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        debug_assert!(value.len().is_multiple_of(4));
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&length(value.len()));
        self.bytes.extend_from_slice(value);
    }

    /// Returns the message without a signature.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let attributes = length(self.bytes.len() - HEADER);
        self.bytes[2..4].copy_from_slice(&attributes);
        self.bytes
    }

    /// Returns the message with MESSAGE-INTEGRITY. The signed header counts that attribute already (R279).
    pub(super) fn finish_signed(mut self, password: &Secret) -> Vec<u8> {
        let unsigned = self.bytes.len();
        self.attribute(attribute::MESSAGE_INTEGRITY, &[0; 20]);
        let mut bytes = self.finish();
        let tag = signature(&bytes[..unsigned], password);
        bytes[unsigned + 4..].copy_from_slice(&tag);
        bytes
    }
}

/// Returns a length as it stands on the wire. Messages of this agent never reach its limit.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// Returns the HMAC-SHA1 over the text, padded with zeros to a multiple of 64 bytes (R279).
fn signature(text: &[u8], password: &Secret) -> [u8; 20] {
    const ZEROS: [u8; HMAC_BLOCK] = [0; HMAC_BLOCK];
    let missing = text.len().next_multiple_of(HMAC_BLOCK) - text.len();
    hmac_sha1(password.expose().as_bytes(), &[text, &ZEROS[..missing]])
}

/// Returns the number of the address family in an address attribute.
fn family(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 1 } else { 2 }
}

/// Reads MAPPED-ADDRESS and the like: an ignored byte, the family, the port and the address.
fn read_address(value: &[u8]) -> Result<SocketAddr, Malformed> {
    let (start, address) = value.split_first_chunk::<4>().ok_or(Malformed)?;
    let ip = match start[1] {
        1 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).map_err(|_| Malformed)?)),
        2 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).map_err(|_| Malformed)?)),
        _ => return Err(Malformed),
    };
    Ok(SocketAddr::new(ip, u16::from_be_bytes([start[2], start[3]])))
}

/// Reads ERROR-CODE: the hundreds in three bits, the rest in a byte. The reason phrase is for people.
fn read_error_code(value: &[u8]) -> Result<u16, Malformed> {
    let start = value.first_chunk::<4>().ok_or(Malformed)?;
    let (hundreds, rest) = (start[2] & 7, start[3]);
    if hundreds == 0 || rest > 99 {
        return Err(Malformed);
    }
    Ok(u16::from(hundreds) * 100 + u16::from(rest))
}

/// Returns true if a receiver must understand the attribute, and neither RFC 3489 nor RFC 5389 defines it.
fn is_unknown_mandatory(kind: u16) -> bool {
    let known = (attribute::MAPPED_ADDRESS..=attribute::REFLECTED_FROM).contains(&kind);
    kind <= attribute::LAST_MANDATORY && !known && !attribute::OF_RFC_5389.contains(&kind)
}

#[cfg(test)]
pub(super) mod tests;
