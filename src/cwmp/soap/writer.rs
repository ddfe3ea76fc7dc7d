//! An envelope for the ACS.

use std::fmt::{self, Display, Write};

use super::{ENCODING, ENVELOPE, INSTANCE, SCHEMA};
use crate::cwmp::fault::Fault;
use crate::cwmp::version::{self, Version};

/// The header of an envelope.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvelopeHeader<'a> {
    /// The ID: the request's own in an answer to it (R77).
    pub id: Option<&'a str>,
    /// In Inform: the versions offered (R81).
    pub supported_versions: &'a [Version],
    /// In Inform: how long we keep the session while the ACS is silent, in seconds (R80).
    pub session_timeout: Option<u32>,
}

impl<'a> EnvelopeHeader<'a> {
    /// A header with that ID, or none.
    pub fn with_id(id: Option<&'a str>) -> EnvelopeHeader<'a> {
        EnvelopeHeader { id, ..EnvelopeHeader::default() }
    }
}

/// Writes one message: the envelope around it, then its arguments in the order of the calls.
///
/// Whatever is text is escaped on its way into the message (R39); names are the caller's own.
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
    /// The RPC that the body holds; none in a fault, which closes itself.
    rpc: Option<String>,
}

impl EnvelopeWriter {
    /// A message that calls or answers the method of that name, such as `GetRPCMethodsResponse`.
    pub fn new(version: Version, header: &EnvelopeHeader<'_>, rpc: &str) -> EnvelopeWriter {
        let mut writer = EnvelopeWriter::envelope(version, header);
        writer.rpc = Some(rpc.to_owned());
        writer.raw(&["<cwmp:", rpc, ">"]);
        writer
    }

    /// The envelope up to the content of its body.
    fn envelope(version: Version, header: &EnvelopeHeader<'_>) -> EnvelopeWriter {
        let mut writer = EnvelopeWriter { out: Vec::with_capacity(1024), rpc: None };
        // R89: prefix `cwmp` and double quotes, since FreeACS looks for this very text; `xsd`,
        // since GenieACS compares types with their prefix.
        writer.raw(&[
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap-env:Envelope",
            " xmlns:soap-env=\"",
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
        writer.raw(&["<soap-env:Body>"]);
        writer
    }

    fn header(&mut self, header: &EnvelopeHeader<'_>) {
        let versions = version::supported_header(header.supported_versions);
        if header.id.is_none() && versions.is_none() && header.session_timeout.is_none() {
            return;
        }
        self.raw(&["<soap-env:Header>"]);
        if let Some(id) = header.id {
            self.raw(&["<cwmp:ID soap-env:mustUnderstand=\"1\">"]);
            self.escaped(id);
            self.raw(&["</cwmp:ID>"]);
        }
        if let Some(seconds) = header.session_timeout {
            self.raw(&["<cwmp:SessionTimeout soap-env:mustUnderstand=\"0\">"]);
            self.escaped(seconds);
            self.raw(&["</cwmp:SessionTimeout>"]);
        }
        if let Some(versions) = versions {
            self.raw(&["<cwmp:SupportedCWMPVersions soap-env:mustUnderstand=\"0\">"]);
            self.escaped(versions);
            self.raw(&["</cwmp:SupportedCWMPVersions>"]);
        }
        self.raw(&["</soap-env:Header>"]);
    }

    /// An argument that is a text or a number.
    pub fn text(&mut self, name: &str, value: impl Display) {
        self.raw(&["<", name, ">"]);
        self.escaped(value);
        self.raw(&["</", name, ">"]);
    }

    /// A value with its type (R72), `kind` as the data model names it: `string`, `unsignedInt`,
    /// `base64`, ….
    pub fn typed(&mut self, name: &str, kind: &str, value: impl Display) {
        self.raw(&["<", name, " xsi:type=\"xsd:", schema_type(kind), "\">"]);
        self.escaped(value);
        self.raw(&["</", name, ">"]);
    }

    /// An argument that is a structure, its elements written by `content`.
    pub fn element<R>(&mut self, name: &str, content: impl FnOnce(&mut EnvelopeWriter) -> R) -> R {
        self.raw(&["<", name, ">"]);
        let result = content(self);
        self.raw(&["</", name, ">"]);
        result
    }

    /// An argument that is an array, its members written by `members` and counted on the way.
    /// `of` is their type with its prefix, such as `cwmp:EventStruct` or `xsd:string` (R73).
    pub fn array<R>(&mut self, name: &str, of: &str, members: impl FnOnce(&mut ArrayWriter<'_>) -> R) -> R {
        self.raw(&["<", name, " soap-enc:arrayType=\"", of, "["]);
        let count_at = self.out.len();
        self.raw(&["]\">"]);
        let mut array =
            ArrayWriter { writer: self, member: of.split_once(':').map_or(of, |(_, local)| local), count: 0 };
        let result = members(&mut array);
        let count = array.count.to_string();
        self.raw(&["</", name, ">"]);
        // Known only now; moving a megabyte once costs less than counting a tree beforehand.
        self.out.splice(count_at..count_at, count.into_bytes());
        result
    }

    /// Closes the message and gives its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        if let Some(rpc) = self.rpc.take() {
            self.raw(&["</cwmp:", &rpc, ">"]);
        }
        self.raw(&["</soap-env:Body></soap-env:Envelope>\n"]);
        self.out
    }

    fn raw(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
    }

    fn escaped_text(&mut self, text: &str) {
        // A Vec takes whatever is written.
        let _ = XmlEscaper(&mut self.out).write_str(text);
    }

    fn escaped(&mut self, value: impl Display) {
        // A Vec takes whatever is written; only a Display that fails by itself could fail here,
        // and its text then ends where it stopped.
        let _ = write!(XmlEscaper(&mut self.out), "{value}");
    }
}

/// The type of XML Schema that a value of the data model has on the wire. The model says
/// `base64`, as SOAP's encoding does; the schema's name for it is another.
fn schema_type(kind: &str) -> &str {
    match kind {
        "base64" => "base64Binary",
        same => same,
    }
}

/// Writes the members of an array.
#[derive(Debug)]
pub struct ArrayWriter<'w> {
    writer: &'w mut EnvelopeWriter,
    member: &'w str,
    count: usize,
}

impl ArrayWriter<'_> {
    /// A member that is a text or a number.
    pub fn text(&mut self, value: impl Display) {
        self.count += 1;
        self.writer.text(self.member, value);
    }

    /// A member that is a structure, its elements written by `content`.
    pub fn element<R>(&mut self, content: impl FnOnce(&mut EnvelopeWriter) -> R) -> R {
        self.count += 1;
        self.writer.element(self.member, content)
    }

    /// A member that is a ParameterValueStruct. There are thousands in an answer, so that its tags are written whole.
    pub fn parameter_value(&mut self, name: &str, kind: &str, value: impl Display) {
        self.count += 1;
        self.writer.raw(&["<ParameterValueStruct><Name>"]);
        self.writer.escaped_text(name);
        self.writer.raw(&["</Name><Value xsi:type=\"xsd:", schema_type(kind), "\">"]);
        self.writer.escaped(value);
        self.writer.raw(&["</Value></ParameterValueStruct>"]);
    }

    /// A member that is a ParameterInfoStruct, written alike.
    pub fn parameter_info(&mut self, name: &str, writable: bool) {
        self.count += 1;
        self.writer.raw(&["<ParameterInfoStruct><Name>"]);
        self.writer.escaped_text(name);
        // acsrs takes 0 and 1 only.
        self.writer.raw(&["</Name><Writable>", if writable { "1" } else { "0" }, "</Writable></ParameterInfoStruct>"]);
    }

    /// How many members have been written.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How long the message is by now, in bytes.
    pub fn size(&self) -> usize {
        self.writer.out.len()
    }
}

/// A fault in answer to a request with that ID (R85, R87); codes newer than the version are
/// replaced by what it knows (R83).
pub fn fault(version: Version, id: Option<&str>, fault: &Fault) -> Vec<u8> {
    let mut writer = EnvelopeWriter::envelope(version, &EnvelopeHeader::with_id(id));
    let code = fault.code.in_version(version);
    writer.element("soap-env:Fault", |soap| {
        soap.text("faultcode", code.side().as_str());
        soap.text("faultstring", "CWMP fault");
        soap.element("detail", |detail| {
            detail.element("cwmp:Fault", |cwmp| {
                cwmp.text("FaultCode", code.number());
                cwmp.text("FaultString", &fault.text);
                for parameter in &fault.parameters {
                    cwmp.element("SetParameterValuesFault", |refused| {
                        refused.text("ParameterName", &parameter.name);
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

/// The answer to a request with a header entry that must be understood and is not: a fault of
/// SOAP itself (SOAP 1.1 §4.4.1), so without the detail of CWMP.
pub fn must_understand_fault(version: Version, id: Option<&str>, entry: &str) -> Vec<u8> {
    let mut writer = EnvelopeWriter::envelope(version, &EnvelopeHeader::with_id(id));
    writer.element("soap-env:Fault", |soap| {
        soap.text("faultcode", "soap-env:MustUnderstand");
        soap.text("faultstring", format_args!("header {entry} not understood"));
    });
    writer.finish()
}

/// Escapes what is written through it (R39): markup as entities, everything outside printable
/// ASCII as decimal character references. What XML 1.0 cannot hold becomes U+FFFD.
#[derive(Debug)]
pub struct XmlEscaper<'a>(pub &'a mut Vec<u8>);

impl Write for XmlEscaper<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        // Runs of plain bytes are copied whole; a byte that is not plain starts a character,
        // since the bytes before it are ASCII.
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

    fn numeric(&mut self, other: char) {
        let code = match other {
            '\r' => 13, // a parser would turn a raw one into a line feed
            '\0'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => 0xFFFD,
            legal => u32::from(legal),
        };
        let mut digits = [b'0'; 7]; // 1114111 is the greatest
        let (mut at, mut left) = (digits.len(), code);
        while left > 0 {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        self.0.extend_from_slice(b"&#");
        self.0.extend_from_slice(&digits[at..]);
        self.0.push(b';');
    }
}

/// Bytes that stand for themselves: tab, line feed and printable ASCII that is no markup.
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
