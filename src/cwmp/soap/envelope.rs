//! The envelopes that the ACS sends.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use super::element::{Element, SPACE, boolean};
use super::reference::References;
use super::{ENVELOPE, UNDECLARED, encoding, limits, prefixes, xml_error};
use crate::cwmp::fault::{AcsFault, AcsFaultCode};
use crate::cwmp::version::Version;
use crate::foreign_text::Quoted;

/// The text of a message, from which [`Message::document`] borrows.
#[derive(Debug)]
pub struct Message<'a> {
    text: Cow<'a, str>,
    /// The text with declarations for its undeclared prefixes, made if it has some.
    completed: OnceCell<String>,
}

impl<'a> Message<'a> {
    /// Decodes the body of an HTTP message. `charset` is that of its header field `Content-Type`.
    ///
    /// # Errors
    /// Returns an error if the encoding is unknown, or if the bytes are not in it.
    pub fn decode(bytes: &'a [u8], charset: Option<&str>) -> Result<Message<'a>, EnvelopeError> {
        Ok(Message { text: encoding::decode(bytes, charset)?, completed: OnceCell::new() })
    }

    /// Returns true if the message is white space only.
    pub fn is_blank(&self) -> bool {
        self.text.trim_matches(SPACE).is_empty()
    }

    /// Returns the text of the message, as it was sent.
    pub(super) fn text(&self) -> &str {
        without_surroundings(&self.text)
    }

    /// Parses the message.
    ///
    /// # Errors
    /// Returns an error if the message is not well-formed XML, has a DTD, or exceeds the limits.
    pub fn document(&self) -> Result<Document<'_>, EnvelopeError> {
        match Document::parse(&self.text) {
            Err(EnvelopeError::UndeclaredPrefix(prefix)) => {
                let declared = prefixes::declared(without_surroundings(&self.text));
                let declared = declared.ok_or(EnvelopeError::UndeclaredPrefix(prefix))?;
                Document::parse(self.completed.get_or_init(|| declared))
            }
            result => result,
        }
    }
}

/// The parsed text of a message; the result of [`Document::envelope`] borrows from it.
#[derive(Debug)]
pub struct Document<'a>(roxmltree::Document<'a>, References);

impl<'a> Document<'a> {
    fn parse(text: &'a str) -> Result<Document<'a>, EnvelopeError> {
        let text = without_surroundings(text);
        let (start, _) = encoding::declaration(text)?;
        limits::check(&text[start..])?;
        let options = roxmltree::ParsingOptions {
            nodes_limit: 2 * limits::MAX_MARKUP as u32, // a text may stand beside each element
            ..roxmltree::ParsingOptions::default()
        };
        // An error quotes names of the message, which may be very long.
        let excerpt = |text: &str| text.chars().take(200).collect();
        match roxmltree::Document::parse_with_options(text, options) {
            Ok(document) => {
                let references = References::of(&document, text.len());
                Ok(Document(document, references))
            }
            Err(roxmltree::Error::DtdDetected) => Err(EnvelopeError::Dtd),
            Err(roxmltree::Error::UnknownNamespace(prefix, _)) => {
                Err(EnvelopeError::UndeclaredPrefix(excerpt(&prefix)))
            }
            Err(error) => Err(EnvelopeError::Xml(excerpt(&xml_error::reason(&error)))),
        }
    }

    /// Returns the parsed text.
    pub(super) fn xml(&self) -> &roxmltree::Document<'a> {
        &self.0
    }

    /// Returns the envelope in the document. Its body is [`EnvelopeBody::Invalid`] without exactly one message in it.
    ///
    /// # Errors
    /// Returns an error if the document is not a SOAP 1.1 envelope.
    pub fn envelope(&self) -> Result<Envelope<'_>, EnvelopeError> {
        let root = Element::new(self.0.root_element(), &self.1);
        if root.name() != "Envelope" {
            return Err(EnvelopeError::NotAnEnvelope);
        }
        // SOAP 1.2 has another namespace. An error of its own names the cause to the operator of the ACS.
        if root.namespace() != Some(ENVELOPE) {
            return Err(EnvelopeError::NotSoap11);
        }
        let invalid = |error| EnvelopeBody::Invalid { error, is_request: has_request(root) };
        let mut envelope = Envelope {
            id: None,
            hold_requests: false,
            use_cwmp_version: None,
            not_understood: None,
            body: read_content(root).unwrap_or_else(invalid),
        };
        for entry in parts(root, "Header").flat_map(|header| header.children()) {
            // The other entries are read all the same: the fault repeats the ID.
            if let Err(error) = envelope.read_header(entry)
                && !matches!(envelope.body, EnvelopeBody::Invalid { .. })
            {
                envelope.body = invalid(error);
            }
        }
        Ok(envelope)
    }
}

/// A message of the ACS: the entries of its header, and a request, a response or a fault.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// The ID, which the answer repeats unchanged (R77).
    pub id: Option<Cow<'a, str>>,
    /// True if the CPE must not send requests of its own for now (R78).
    pub hold_requests: bool,
    /// The CWMP version that the ACS has chosen (R82).
    pub use_cwmp_version: Option<Cow<'a, str>>,
    /// A header entry with mustUnderstand that is unknown here. A request with one is answered with
    /// [`must_understand_fault`](super::must_understand_fault), as SOAP 1.1 §4.2.3 demands; a response with one is
    /// invalid (R88).
    pub not_understood: Option<&'a str>,
    /// The content of the body.
    pub body: EnvelopeBody<'a>,
}

/// The content of a body.
#[derive(Debug)]
pub enum EnvelopeBody<'a> {
    /// A request or a response.
    Rpc {
        /// The local name, such as `GetParameterValues` or `InformResponse`.
        name: &'a str,
        /// The version that the namespace stands for.
        version: Version,
        /// The element, for its arguments.
        element: Element<'a>,
    },
    /// A request outside the CWMP namespaces, such as one of a vendor. Its local name may be that of a CWMP method,
    /// which it does not stand for.
    Foreign {
        /// The local name.
        name: &'a str,
    },
    /// A fault of the ACS.
    Fault(AcsFault),
    /// No message, or several, of which none can be preferred (R70).
    Invalid {
        /// The reason.
        error: EnvelopeError,
        /// True if a request is in it, and no fault.
        is_request: bool,
    },
}

impl<'a> Envelope<'a> {
    /// Reads one entry of the header into the envelope.
    fn read_header(&mut self, entry: Element<'a>) -> Result<(), EnvelopeError> {
        let ours = entry.namespace().is_none_or(is_cwmp);
        match entry.name() {
            "ID" if ours => {
                let id = header_text(entry)?;
                // The first ID counts if a server writes two.
                self.id.get_or_insert(id);
            }
            "HoldRequests" if ours => {
                // Any other text than a boolean counts as false, the default: the requests of the CPE go out.
                self.hold_requests = entry.text().is_some_and(|text| boolean(&text) == Some(true));
            }
            "UseCWMPVersion" if ours => self.use_cwmp_version = Some(header_text(entry)?),
            // R79 for the first; the others are entries of a CPE, and have no meaning from an ACS.
            "NoMoreRequests" | "SessionTimeout" | "SupportedCWMPVersions" if ours => {}
            unknown => {
                let demanded = entry.attribute(ENVELOPE, "mustUnderstand");
                let elsewhere =
                    entry.attribute(ENVELOPE, "actor").is_some_and(|actor| !actor.is_empty() && actor != NEXT_ACTOR);
                // SOAP 1.1 §4.2.2: an entry for another actor does not concern this recipient.
                if demanded.and_then(boolean) == Some(true) && !elsewhere {
                    self.not_understood.get_or_insert(unknown);
                }
            }
        }
        Ok(())
    }
}

/// The actor of entries for the first recipient of a message (SOAP 1.1 §4.2.2).
const NEXT_ACTOR: &str = "http://schemas.xmlsoap.org/soap/actor/next";

/// Returns true for the namespace of any CWMP version.
fn is_cwmp(namespace: &str) -> bool {
    Version::from_namespace(namespace).is_some()
}

/// Returns the text of a header entry.
fn header_text(entry: Element<'_>) -> Result<Cow<'_, str>, EnvelopeError> {
    entry.text().ok_or(EnvelopeError::Header)
}

/// Returns the parts of the envelope with that name, of which it should have one.
fn parts<'a>(root: Element<'a>, name: &'static str) -> impl Iterator<Item = Element<'a>> {
    root.children().filter(move |child| child.is(ENVELOPE, name))
}

/// Reads the one message of the envelope.
fn read_content(root: Element<'_>) -> Result<EnvelopeBody<'_>, EnvelopeError> {
    if let Some(name) = ["Header", "Body"].into_iter().find(|name| parts(root, name).nth(1).is_some()) {
        return Err(EnvelopeError::Repeated(name)); // R70
    }
    read_body(parts(root, "Body").next().ok_or(EnvelopeError::NoBody)?)
}

/// Returns true if a request is in the envelope, and no fault: a fault must not answer a fault (R86).
fn has_request(root: Element<'_>) -> bool {
    let mut found = false;
    for message in parts(root, "Body").flat_map(|body| body.children()).filter(|element| !element.has_id()) {
        match message.name() {
            "Fault" => return false,
            name => found |= !name.ends_with("Response"),
        }
    }
    found
}

/// Reads the one RPC or fault in the body (R70). Beside one, elements of other namespaces are skipped (R75); alone, the
/// first of them is a request for a method that the CPE does not have (R4). Elements with an `id` hold arguments to
/// which a reference in the RPC leads (SOAP 1.1 §5.2.1), in the namespace of CWMP, too, as gSOAP writes them.
fn read_body(body: Element<'_>) -> Result<EnvelopeBody<'_>, EnvelopeError> {
    let mut found = None;
    let any_without_id = body.children().any(|element| !element.has_id());
    for element in body.children().filter(|element| !any_without_id || !element.has_id()) {
        let version = element.namespace().and_then(Version::from_namespace);
        // Some servers put cwmp:Fault, or a Fault without a namespace, directly into the body.
        let foreign =
            element.namespace().is_some_and(|name| ![ENVELOPE, UNDECLARED].contains(&name)) && version.is_none();
        let content = match (version, element.name()) {
            (_, "Fault") if !foreign => EnvelopeBody::Fault(read_fault(element)),
            (Some(version), name) => EnvelopeBody::Rpc { name, version, element },
            _ => continue,
        };
        // R70: of two messages, neither can be preferred.
        if found.replace(content).is_some() {
            return Err(EnvelopeError::Repeated("RPC"));
        }
    }
    // Without an answer, the ACS would send the same request in each session again.
    let foreign = || body.children().next().map(|element| EnvelopeBody::Foreign { name: element.name() });
    let nothing = || if body.has_text() { EnvelopeError::OnlyText } else { EnvelopeError::NoRpc };
    found.or_else(foreign).ok_or_else(nothing)
}

/// Reads a fault as far as it is readable: servers misplace, misname and omit its elements.
fn read_fault(fault: Element<'_>) -> AcsFault {
    // At any depth, because servers put the elements into detail, into the fault, or into the body.
    let text_of = |name| fault.descendant(name).and_then(|element| element.text());
    let number = |name| -> Option<u16> { text_of(name)?.trim().parse().ok() };
    let code = number("FaultCode").or_else(|| number("faultcode"));
    let text = text_of("FaultString").or_else(|| text_of("faultstring"));
    AcsFault {
        code: code.map(AcsFaultCode::from_number),
        text: text.unwrap_or_default().trim().chars().take(AcsFault::MAX_TEXT).collect(),
    }
}

/// Returns the text without white space before the envelope, and without text after it: scripts of ACSs print empty
/// lines and warnings, and servers in C a NUL. Markup after the envelope stays, for the parser to refuse.
fn without_surroundings(text: &str) -> &str {
    let text = text.trim_start_matches(SPACE);
    match text.rsplit_once('>') {
        Some((envelope, after)) if !after.contains('<') => &text[..=envelope.len()],
        _ => text,
    }
}

/// The reason why a message of the ACS is no CWMP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvelopeError {
    /// The bytes are not in this encoding, which is that of the message.
    NotEncoded(&'static str),
    /// The message is in an encoding that is not known.
    Encoding(String),
    /// The message uses a namespace prefix without declaring it, and cannot be completed.
    UndeclaredPrefix(String),
    /// The XML is not well-formed.
    Xml(String),
    /// The message contains a document type declaration, which SOAP forbids.
    Dtd,
    /// The message would cost too much to parse.
    TooComplex(&'static str),
    /// The root element is not an envelope.
    NotAnEnvelope,
    /// The envelope belongs to another version of SOAP.
    NotSoap11,
    /// The envelope has no body.
    NoBody,
    /// The body is empty.
    NoRpc,
    /// The body has a text and no element.
    OnlyText,
    /// The named part is present more than once.
    Repeated(&'static str),
    /// A header entry has an invalid value.
    Header,
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvelopeError::NotEncoded(encoding) => write!(f, "the message is not {encoding}"),
            EnvelopeError::Encoding(name) => {
                write!(
                    f,
                    "the message is encoded in {}, not in UTF-8, UTF-16, ISO-8859-1 or windows-1252",
                    Quoted(name)
                )
            }
            EnvelopeError::UndeclaredPrefix(prefix) => {
                write!(f, "the message is not XML: the namespace prefix {} is not declared", Quoted(prefix))
            }
            EnvelopeError::Xml(reason) => write!(f, "the message is not XML: {reason}"),
            EnvelopeError::Dtd => f.write_str("the message holds a document type declaration"),
            EnvelopeError::TooComplex(what) => write!(f, "the message has {what}"),
            EnvelopeError::NotAnEnvelope => f.write_str("the message is no SOAP envelope"),
            EnvelopeError::NotSoap11 => f.write_str("the envelope is not SOAP 1.1"),
            EnvelopeError::NoBody => f.write_str("the envelope has no body"),
            EnvelopeError::NoRpc => f.write_str("the envelope holds no CWMP message"),
            EnvelopeError::OnlyText => f.write_str("the envelope holds a text in place of a CWMP message"),
            EnvelopeError::Repeated(what) => write!(f, "the envelope holds more than one {what}"),
            EnvelopeError::Header => f.write_str("the envelope has a malformed header"),
        }
    }
}

impl std::error::Error for EnvelopeError {}

#[cfg(test)]
mod tests;
