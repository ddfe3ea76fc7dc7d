//! SOAP 1.1 as CWMP uses it: reading and writing of envelopes.
//!
//! ```text
//!   bytes ── encoding ──▶ Message ── limits ──▶ Document ──▶ Envelope ──▶ EnvelopeBody::Rpc ──▶ Element, by argument
//!               │                       │                       │     └─▶ EnvelopeBody::Fault
//!               └──────────────── EnvelopeError ◀───────────────┘
//!
//!   EnvelopeHeader + Version ──▶ EnvelopeWriter ── element, array, text ──▶ bytes
//! ```
//!
//! Names are compared by namespace, never by prefix (R67). A message may come from an attacker: it is measured before
//! it is parsed, so that no size, depth or number in it can exhaust the memory.

mod element;
mod encoding;
mod envelope;
mod limits;
mod mask;
mod prefixes;
mod reference;
mod writer;
mod xml_error;

pub use element::{ArgumentError, Element, XsiType};
pub use envelope::{Document, Envelope, EnvelopeBody, EnvelopeError, Message};
pub use limits::{MAX_ATTRIBUTES, MAX_DEPTH, MAX_MARKUP, MAX_MESSAGE};
pub use mask::{is_secret_name, masked};
pub use writer::{ArrayWriter, EnvelopeHeader, EnvelopeWriter, XmlEscaper, fault, must_understand_fault};

/// The namespace of SOAP 1.1 envelopes.
pub const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// The namespace of the SOAP 1.1 encoding: arrays and their types.
pub const ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";
/// The namespace of XML Schema: the names of the types.
pub const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";
/// The namespace of XML Schema instances: the attribute `type`.
pub const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The namespace of undeclared prefixes without a known meaning.
const UNDECLARED: &str = "urn:cpe-agent:undeclared";
