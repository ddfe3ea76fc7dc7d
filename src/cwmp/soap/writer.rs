//! The envelopes for the ACS.

use std::fmt::{self, Display, Write};

use super::{ENCODING, ENVELOPE, INSTANCE, SCHEMA};
use crate::cwmp::fault::Fault;
use crate::cwmp::version::{self, Version};
use crate::model::value::{Value, decimal};

/// The entries in the header of an envelope.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvelopeHeader<'a> {
    /// The ID, which a response repeats from its request (R77).
    pub id: Option<&'a str>,
    /// The versions that Inform offers (R81); empty in other messages.
    pub supported_versions: &'a [Version],
    /// The seconds for which the agent keeps a silent session, as Inform announces (R80); `None` in other messages.
    pub session_timeout: Option<u32>,
}

impl<'a> EnvelopeHeader<'a> {
    /// Returns a header with at most an ID.
    pub fn with_id(id: Option<&'a str>) -> EnvelopeHeader<'a> {
        EnvelopeHeader { id, ..EnvelopeHeader::default() }
    }
}

/// A writer of one message: its envelope, then its arguments in the order of the calls.
///
/// Texts are escaped (R39). Names are written as they are, and come from the code alone.
///
/// ```
/// use cpe_agent::cwmp::soap::{EnvelopeHeader, EnvelopeWriter};
/// use cpe_agent::cwmp::version::Version;
///
/// let header = EnvelopeHeader::with_id(Some("7"));
/// let mut message = EnvelopeWriter::new(Version::V1_2, &header, "SetParameterValuesResponse");
/// message.text("Status", 0);
/// let bytes: Vec<u8> = message.finish();
/// # assert!(String::from_utf8(bytes).unwrap().contains("<Status>0</Status></cwmp:Set"));
/// ```
#[derive(Debug)]
pub struct EnvelopeWriter {
    out: Vec<u8>,
    /// The RPC in the body, for its end tag; `None` in a fault.
    rpc: Option<String>,
    version: Version,
}

impl EnvelopeWriter {
    /// Returns a writer for a request or a response of that name, such as `GetRPCMethodsResponse`.
    pub fn new(version: Version, header: &EnvelopeHeader<'_>, rpc: &str) -> EnvelopeWriter {
        EnvelopeWriter::reusing(Vec::new(), version, header, rpc)
    }

    /// Returns a writer as [`EnvelopeWriter::new`] does, that writes over a former message.
    pub fn reusing(former: Vec<u8>, version: Version, header: &EnvelopeHeader<'_>, rpc: &str) -> EnvelopeWriter {
        let mut writer = EnvelopeWriter::envelope(former, version, header);
        writer.rpc = Some(rpc.to_owned());
        writer.raw(&["<cwmp:", rpc, ">"]);
        writer
    }

    /// Returns the version of the message.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns a writer after the start of the body, which writes over a former message.
    fn envelope(mut former: Vec<u8>, version: Version, header: &EnvelopeHeader<'_>) -> EnvelopeWriter {
        former.clear();
        former.reserve(1024);
        let mut writer = EnvelopeWriter { out: former, rpc: None, version };
        // R89: FreeACS searches for the prefix `cwmp` with double quotes, and GenieACS compares types with the prefix
        // `xsd`. Small servers search for `soap:Envelope`, or for a prefix without a hyphen.
        writer.raw(&[
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap:Envelope",
            " xmlns:soap=\"",
            ENVELOPE,
            "\" xmlns:soap-enc=\"",
            ENCODING,
            "\" xmlns:xsd=\"",
            SCHEMA,
            "\" xmlns:xsi=\"",
            INSTANCE,
            "\" xmlns:cwmp=\"",
            version.namespace(),
            "\">",
        ]);
        writer.header(header);
        writer.raw(&["<soap:Body>"]);
        writer
    }

    /// Writes the header, or nothing if it has no entry.
    fn header(&mut self, header: &EnvelopeHeader<'_>) {
        let versions = version::supported_header(header.supported_versions);
        if header.id.is_none() && versions.is_none() && header.session_timeout.is_none() {
            return;
        }
        self.raw(&["<soap:Header>"]);
        if let Some(id) = header.id {
            self.raw(&["<cwmp:ID soap:mustUnderstand=\"1\">"]);
            self.escaped(id);
            self.raw(&["</cwmp:ID>"]);
        }
        if let Some(seconds) = header.session_timeout {
            self.raw(&["<cwmp:SessionTimeout soap:mustUnderstand=\"0\">"]);
            self.escaped(seconds);
            self.raw(&["</cwmp:SessionTimeout>"]);
        }
        if let Some(versions) = versions {
            self.raw(&["<cwmp:SupportedCWMPVersions soap:mustUnderstand=\"0\">"]);
            self.escaped(versions);
            self.raw(&["</cwmp:SupportedCWMPVersions>"]);
        }
        self.raw(&["</soap:Header>"]);
    }

    /// Writes an argument with a text or a number.
    pub fn text(&mut self, name: &str, value: impl Display) {
        self.raw(&["<", name, ">"]);
        self.escaped(value);
        self.raw(&["</", name, ">"]);
    }

    /// Writes a value with its type (R72). `kind` is the name in the data model: `string`, `unsignedInt`, `base64`, ….
    pub fn typed(&mut self, name: &str, kind: &str, value: impl Display) {
        self.raw(&["<", name, " xsi:type=\"xsd:", schema_type(kind), "\">"]);
        self.escaped(value);
        self.raw(&["</", name, ">"]);
    }

    /// Writes an argument with a structure; `content` writes its elements.
    pub fn element<R>(&mut self, name: &str, content: impl FnOnce(&mut EnvelopeWriter) -> R) -> R {
        self.raw(&["<", name, ">"]);
        let result = content(self);
        self.raw(&["</", name, ">"]);
        result
    }

    /// Writes an argument with an array; `members` writes its members, which are counted. `of` is their type with its
    /// prefix, such as `cwmp:EventStruct` or `xsd:string` (R73).
    pub fn array<R>(&mut self, name: &str, of: &str, members: impl FnOnce(&mut ArrayWriter<'_>) -> R) -> R {
        // R73: members are named after their type, without its prefix.
        self.raw(&["<", name, " soap-enc:arrayType=\"", of, "["]);
        let count_at = self.out.len();
        self.raw(&["]\">"]);
        let mut array =
            ArrayWriter { writer: self, member: of.split_once(':').map_or(of, |(_, local)| local), count: 0 };
        let result = members(&mut array);
        let count = array.count.to_string();
        self.raw(&["</", name, ">"]);
        // The count is known only here; moving a megabyte once costs less than counting a tree beforehand.
        self.out.splice(count_at..count_at, count.into_bytes());
        result
    }

    /// Ends the message and returns its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        if let Some(rpc) = self.rpc.take() {
            self.raw(&["</cwmp:", &rpc, ">"]);
        }
        self.raw(&["</soap:Body></soap:Envelope>\n"]);
        self.out
    }

    /// Writes markup as it is.
    fn raw(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
    }

    /// Writes a value with its special characters escaped.
    fn escaped(&mut self, value: impl Display) {
        // Writing to a Vec cannot fail. Only the value's own Display could, and its text then ends there.
        let _ = write!(XmlEscaper(&mut self.out), "{value}");
    }
}

/// Returns the type of XML Schema for a type of the data model. The model writes `base64` as the SOAP encoding does,
/// and the schema has another name for it.
fn schema_type(kind: &str) -> &str {
    match kind {
        "base64" => "base64Binary",
        same => same,
    }
}

/// A writer of the members of an array.
#[derive(Debug)]
pub struct ArrayWriter<'w> {
    writer: &'w mut EnvelopeWriter,
    member: &'w str,
    count: usize,
}

impl ArrayWriter<'_> {
    /// Writes a member with a text or a number.
    pub fn text(&mut self, value: impl Display) {
        self.count += 1;
        self.writer.text(self.member, value);
    }

    /// Writes a member with a structure; `content` writes its elements.
    pub fn element<R>(&mut self, content: impl FnOnce(&mut EnvelopeWriter) -> R) -> R {
        self.count += 1;
        self.writer.element(self.member, content)
    }

    /// Writes a ParameterValueStruct. A response has thousands of them, so that their tags are written in one piece. A name has no
    /// special character: segments are names, numbers and aliases (R318).
    pub fn parameter_value(&mut self, name: &str, kind: &str, value: &Value) {
        self.count += 1;
        self.writer.raw(&[
            "<ParameterValueStruct><Name>",
            name,
            "</Name><Value xsi:type=\"xsd:",
            schema_type(kind),
            "\">",
        ]);
        // Cannot fail, as in `escaped`.
        let _ = value.write(&mut XmlEscaper(&mut self.writer.out));
        self.writer.raw(&["</Value></ParameterValueStruct>"]);
    }

    /// Writes a ParameterInfoStruct, in one piece as well.
    pub fn parameter_info(&mut self, name: &str, writable: bool) {
        self.count += 1;
        // acsrs accepts 0 and 1 only.
        let flag = if writable { "1" } else { "0" };
        let parts =
            ["<ParameterInfoStruct><Name>", name, "</Name><Writable>", flag, "</Writable></ParameterInfoStruct>"];
        self.writer.raw(&parts);
    }

    /// Returns the number of members so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the length of the message so far, in bytes.
    pub fn size(&self) -> usize {
        self.writer.out.len()
    }
}

/// Returns a fault that answers the request with that ID (R85, R87). A code newer than the version is replaced by one
/// that the version has (R83).
pub fn fault(version: Version, id: Option<&str>, fault: &Fault) -> Vec<u8> {
    let mut writer = EnvelopeWriter::envelope(Vec::new(), version, &EnvelopeHeader::with_id(id));
    let code = fault.code.in_version(version);
    writer.element("soap:Fault", |soap| {
        // R85: the fault code of SOAP names the side at fault, and the text is exactly this one.
        soap.text("faultcode", code.side().as_str());
        soap.text("faultstring", "CWMP fault");
        soap.element("detail", |detail| {
            detail.element("cwmp:Fault", |cwmp| {
                cwmp.text("FaultCode", code.number());
                cwmp.text("FaultString", &fault.text);
                for parameter in &fault.parameters {
                    cwmp.element("SetParameterValuesFault", |refused| {
                        refused.text("ParameterName", &parameter.name);
                        // R83: also the code of a single parameter may be newer than the version.
                        let code = parameter.code.in_version(version);
                        refused.text("FaultCode", code.number());
                        refused.text("FaultString", &parameter.text);
                    });
                }
            });
        });
    });
    writer.finish()
}

/// Returns the fault for a request with an unknown mandatory header entry: a fault of SOAP itself (SOAP 1.1 §4.4.1),
/// and so without the detail of CWMP.
pub fn must_understand_fault(version: Version, id: Option<&str>, entry: &str) -> Vec<u8> {
    let mut writer = EnvelopeWriter::envelope(Vec::new(), version, &EnvelopeHeader::with_id(id));
    writer.element("soap:Fault", |soap| {
        soap.text("faultcode", "soap:MustUnderstand");
        soap.text("faultstring", format_args!("header {entry} not understood"));
    });
    writer.finish()
}

/// A writer that escapes texts (R39): markup becomes entities, and all but printable ASCII becomes decimal character
/// references. Characters that XML 1.0 cannot hold become U+FFFD.
#[derive(Debug)]
pub struct XmlEscaper<'a>(pub &'a mut Vec<u8>);

impl Write for XmlEscaper<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        // Runs of plain bytes are copied whole. A byte that is not plain starts a character, because all bytes before
        // it are ASCII.
        while let Some(run) = rest.bytes().position(|byte| !PLAIN[usize::from(byte)]) {
            self.0.extend_from_slice(&rest.as_bytes()[..run]);
            let mut following = rest[run..].chars();
            if let Some(special) = following.next() {
                self.reference(special);
            }
            rest = following.as_str();
        }
        self.0.extend_from_slice(rest.as_bytes());
        Ok(())
    }
}

impl XmlEscaper<'_> {
    /// Writes a special character as an entity or a reference.
    fn reference(&mut self, special: char) {
        let entity = match special {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&apos;",
            other => return self.numeric(other),
        };
        self.0.extend_from_slice(entity.as_bytes());
    }

    /// Writes a decimal character reference.
    fn numeric(&mut self, other: char) {
        let code = match other {
            '\r' => 13, // a parser would turn a plain one into a line feed
            '\0'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => 0xFFFD,
            legal => u32::from(legal),
        };
        self.0.extend_from_slice(b"&#");
        self.0.extend_from_slice(decimal(code.into(), &mut [0; 20]).as_bytes());
        self.0.push(b';');
    }
}

/// The bytes that need no escape: tab, line feed, and printable ASCII without markup.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7F {
        plain[byte] = !matches!(byte as u8, b'&' | b'<' | b'>' | b'"' | b'\'');
        byte += 1;
    }
    plain[b'\t' as usize] = true;
    plain[b'\n' as usize] = true;
    plain
};

#[cfg(test)]
mod tests;
