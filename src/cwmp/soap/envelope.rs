//! An envelope that the ACS sent.

use std::borrow::Cow;
use std::fmt;

use super::element::{Element, boolean};
use super::{ENVELOPE, limits};
use crate::cwmp::fault::{AcsFault, AcsFaultCode};
use crate::cwmp::version::Version;

/// The text of a message, parsed; what [`Document::envelope`] gives borrows from it.
#[derive(Debug)]
pub struct Document<'a>(roxmltree::Document<'a>);

impl<'a> Document<'a> {
    /// Parses the body of an HTTP message.
    ///
    /// # Errors
    /// It is no well-formed XML in UTF-8 without DTD, or beyond the limits.
    pub fn parse(bytes: &'a [u8]) -> Result<Document<'a>, EnvelopeError> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|_| EnvelopeError::NotUtf8)?;
        let start = declaration(text)?;
        limits::check(&text[start..])?;
        let options = roxmltree::ParsingOptions {
            nodes_limit: 2 * limits::MAX_MARKUP as u32, // with a text beside each
            ..roxmltree::ParsingOptions::default()
        };
        match roxmltree::Document::parse_with_options(text, options) {
            Ok(document) => Ok(Document(document)),
            Err(roxmltree::Error::DtdDetected) => Err(EnvelopeError::Dtd),
            // It quotes names from the message, which may be as long as that.
            Err(error) => Err(EnvelopeError::Xml(error.to_string().chars().take(200).collect())),
        }
    }

    /// The envelope in it.
    ///
    /// # Errors
    /// It is no SOAP 1.1 envelope with one body and one CWMP element or fault in that.
    pub fn envelope(&self) -> Result<Envelope<'_>, EnvelopeError> {
        let root = Element::new(self.0.root_element());
        if root.name() != "Envelope" {
            return Err(EnvelopeError::NotAnEnvelope);
        }
        if root.namespace() != Some(ENVELOPE) {
            return Err(EnvelopeError::NotSoap11);
        }
        let header = at_most_one(root, "Header")?;
        let body = at_most_one(root, "Body")?.ok_or(EnvelopeError::NoBody)?;
        let mut envelope = Envelope {
            id: None,
            hold_requests: false,
            use_cwmp_version: None,
            not_understood: None,
            body: read_body(body)?,
        };
        for entry in header.iter().flat_map(Element::children) {
            envelope.read_header(entry)?;
        }
        Ok(envelope)
    }
}

/// What the ACS sent: the header's entries, and a request, a response or a fault.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// The ID, to be echoed as it stands (R77).
    pub id: Option<Cow<'a, str>>,
    /// Whether we are to hold our own requests back (R78).
    pub hold_requests: bool,
    /// The version that the ACS chose (R82).
    pub use_cwmp_version: Option<Cow<'a, str>>,
    /// A header entry that we must understand and do not. A request with one is answered with
    /// [`must_understand_fault`](super::must_understand_fault), as SOAP 1.1 §4.2.3 demands;
    /// an answer with one is invalid (R88).
    pub not_understood: Option<&'a str>,
    /// What it is about.
    pub body: EnvelopeBody<'a>,
}

/// What the body of an envelope holds.
#[derive(Debug)]
pub enum EnvelopeBody<'a> {
    /// A request or a response.
    Rpc {
        /// Its local name, such as `GetParameterValues` or `InformResponse`.
        name: &'a str,
        /// The version that its namespace stands for.
        version: Version,
        /// The element, for its arguments.
        element: Element<'a>,
    },
    /// A fault.
    Fault(AcsFault),
}

impl<'a> Envelope<'a> {
    fn read_header(&mut self, entry: Element<'a>) -> Result<(), EnvelopeError> {
        let ours = entry.namespace().is_none_or(is_cwmp);
        match entry.name() {
            "ID" if ours => {
                let id = header_text(entry)?;
                self.id.get_or_insert(id);
            }
            "HoldRequests" if ours => self.hold_requests = hold_requests(&header_text(entry)?)?,
            "UseCWMPVersion" if ours => self.use_cwmp_version = Some(header_text(entry)?),
            // R79 of the first; the others are what a CPE sends, and mean nothing here.
            "NoMoreRequests" | "SessionTimeout" | "SupportedCWMPVersions" if ours => {}
            unknown => {
                let demanded = entry.attribute(ENVELOPE, "mustUnderstand");
                let elsewhere =
                    entry.attribute(ENVELOPE, "actor").is_some_and(|actor| !actor.is_empty() && actor != NEXT_ACTOR);
                if demanded.and_then(boolean) == Some(true) && !elsewhere {
                    self.not_understood.get_or_insert(unknown);
                }
            }
        }
        Ok(())
    }
}

/// SOAP 1.1 §4.2.2: an entry for this actor is for whoever gets the message first.
const NEXT_ACTOR: &str = "http://schemas.xmlsoap.org/soap/actor/next";

fn is_cwmp(namespace: &str) -> bool {
    Version::from_namespace(namespace).is_some()
}

fn header_text(entry: Element<'_>) -> Result<Cow<'_, str>, EnvelopeError> {
    entry.text().ok_or(EnvelopeError::Header)
}

/// An empty element says nothing, so requests are not held; another text is an error.
fn hold_requests(text: &str) -> Result<bool, EnvelopeError> {
    match text.trim().is_empty() {
        true => Ok(false),
        false => boolean(text).ok_or(EnvelopeError::Header),
    }
}

fn at_most_one<'a>(root: Element<'a>, name: &'static str) -> Result<Option<Element<'a>>, EnvelopeError> {
    let mut found = root.children().filter(|child| child.is(ENVELOPE, name));
    let first = found.next();
    match found.next() {
        Some(_) => Err(EnvelopeError::Repeated(name)), // R70
        None => Ok(first),
    }
}

/// R70: one RPC or fault. Elements of other namespaces are passed over (R75).
fn read_body(body: Element<'_>) -> Result<EnvelopeBody<'_>, EnvelopeError> {
    let mut found = None;
    for element in body.children() {
        let version = element.namespace().and_then(Version::from_namespace);
        // Some servers put cwmp:Fault, or a Fault without namespace, straight into the body.
        let foreign = element.namespace().is_some_and(|name| name != ENVELOPE) && version.is_none();
        let content = match (version, element.name()) {
            (_, "Fault") if !foreign => EnvelopeBody::Fault(read_fault(element)),
            (Some(version), name) => EnvelopeBody::Rpc { name, version, element },
            _ => continue,
        };
        if found.replace(content).is_some() {
            return Err(EnvelopeError::Repeated("RPC"));
        }
    }
    found.ok_or(EnvelopeError::NoRpc)
}

/// Reads a fault for what there is in it: servers misplace, misname and leave out its elements.
fn read_fault(fault: Element<'_>) -> AcsFault {
    let text_of = |name| fault.descendant(name).and_then(|element| element.text());
    let number = |name| -> Option<u16> { text_of(name)?.trim().parse().ok() };
    let code = number("FaultCode").or_else(|| number("faultcode"));
    let text = text_of("FaultString").or_else(|| text_of("faultstring"));
    AcsFault {
        code: code.map(AcsFaultCode::from_number),
        text: text.unwrap_or_default().trim().chars().take(AcsFault::MAX_TEXT).collect(),
    }
}

/// Where the XML declaration ends; 0 without one.
///
/// The parser takes any encoding for UTF-8, and any text for the version; here both are read, so
/// that a message in another encoding is refused rather than misread, and so that [`limits`]
/// cannot be led astray by quoted markup.
fn declaration(text: &str) -> Result<usize, EnvelopeError> {
    let malformed = || EnvelopeError::Xml("malformed XML declaration".to_owned());
    let Some(rest) = text.strip_prefix("<?xml").filter(|rest| {
        rest.starts_with([' ', '\t', '\r', '\n']) // else a processing instruction: <?xml-model …?>
    }) else {
        return Ok(0);
    };
    let mut rest = rest.trim_start();
    while !rest.starts_with("?>") {
        let (name, value) = rest.split_once('=').ok_or_else(malformed)?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|first| "\"'".contains(*first));
        let quote = quote.ok_or_else(malformed)?;
        let (value, after) = value[1..].split_once(quote).ok_or_else(malformed)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        if !value.chars().all(plain) {
            return Err(malformed());
        }
        if name.trim() == "encoding" && !is_utf8(value) {
            return Err(EnvelopeError::Encoding(value.chars().take(32).collect()));
        }
        rest = after.trim_start();
    }
    Ok(text.len() - rest.len() + "?>".len())
}

/// ASCII is a part of UTF-8.
fn is_utf8(encoding: &str) -> bool {
    let names = ["utf-8", "utf8", "us-ascii", "ascii"];
    names.iter().any(|name| name.eq_ignore_ascii_case(encoding))
}

/// What the ACS sent is no CWMP message: the session has failed (R88).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvelopeError {
    /// The bytes are no UTF-8.
    NotUtf8,
    /// The message declares another encoding.
    Encoding(String),
    /// The XML is not well-formed.
    Xml(String),
    /// The message holds a document type declaration, which SOAP forbids.
    Dtd,
    /// The message would take too much to parse.
    TooComplex(&'static str),
    /// The root is no envelope.
    NotAnEnvelope,
    /// The envelope is of another version of SOAP.
    NotSoap11,
    /// There is no body.
    NoBody,
    /// The body holds neither an RPC nor a fault.
    NoRpc,
    /// There is more than one of these.
    Repeated(&'static str),
    /// A header entry has no sensible value.
    Header,
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvelopeError::NotUtf8 => f.write_str("the message is not UTF-8"),
            EnvelopeError::Encoding(name) => {
                write!(f, "the message is encoded in {name:?}, not UTF-8")
            }
            EnvelopeError::Xml(reason) => write!(f, "the message is not XML: {reason}"),
            EnvelopeError::Dtd => f.write_str("the message holds a document type declaration"),
            EnvelopeError::TooComplex(what) => write!(f, "the message has {what}"),
            EnvelopeError::NotAnEnvelope => f.write_str("the message is no SOAP envelope"),
            EnvelopeError::NotSoap11 => f.write_str("the envelope is not SOAP 1.1"),
            EnvelopeError::NoBody => f.write_str("the envelope has no body"),
            EnvelopeError::NoRpc => f.write_str("the envelope holds no CWMP message"),
            EnvelopeError::Repeated(what) => write!(f, "the envelope holds more than one {what}"),
            EnvelopeError::Header => f.write_str("the envelope has a malformed header"),
        }
    }
}

impl std::error::Error for EnvelopeError {}

#[cfg(test)]
mod tests;
