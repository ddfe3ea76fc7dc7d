//! Cuts the bytes of a server into stanzas, with limits on their size and their depth.
//!
//! ```text
//!   <?xml …?>  <stream:stream …>  <a/>  <b>…</b>  </stream:stream>
//!              Found::Header      Found::Stanza   Found::End
//! ```
//!
//! The cut needs only the angle brackets and the quotes. roxmltree, which reads SOAP too, then checks the whole stanza.

use std::fmt;

/// The longest header or stanza in bytes: the least that RFC 6120 §13.12 allows a server to send.
const MAX_STANZA: usize = 10_000;
/// The deepest element, with the stream at 1. A connection request has 4, and the features of a server have 5.
const MAX_DEPTH: usize = 12;

/// A complete part of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The start tag of the stream, closed to a document of its own.
    Header(String),
    /// A stanza inside the start tag of the stream, which declares the prefixes: a document.
    Stanza(String),
    /// The end tag of the stream.
    End,
}

/// The reason why bytes are no stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    TooLong,
    TooDeep,
    /// A part of XML that RFC 6120 §11.1 forbids.
    Forbidden(&'static str),
    Malformed,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::TooLong => write!(f, "a stanza of more than {MAX_STANZA} bytes"),
            ReadError::TooDeep => write!(f, "elements nested more than {MAX_DEPTH} deep"),
            ReadError::Forbidden(part) => write!(f, "{part}, which XMPP forbids"),
            ReadError::Malformed => f.write_str("no well-formed XML"),
        }
    }
}

/// The place of the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Text,
    /// Behind `<`.
    TagStart,
    /// In `<?xml …`.
    Declaration,
    Tag {
        closing: bool,
        /// The quote that ends the value of an attribute.
        quote: Option<u8>,
    },
}

/// The reader of one stream, from its header on.
#[derive(Debug)]
pub(super) struct StanzaReader {
    /// The bytes of the part that is not complete, and of those behind it.
    buffer: Vec<u8>,
    /// The number of bytes in `buffer` that were looked at.
    at: usize,
    place: Place,
    depth: usize,
    /// The start tag of the stream, and its end tag.
    header: [String; 2],
}

impl StanzaReader {
    pub(super) fn new() -> StanzaReader {
        StanzaReader { buffer: Vec::new(), at: 0, place: Place::Text, depth: 0, header: Default::default() }
    }

    /// Appends bytes. The caller takes all that they complete before it appends more, so that memory stays bounded.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns true if no byte waits.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Returns the next complete part; `None` until more bytes come.
    pub(super) fn next(&mut self) -> Result<Option<Found>, ReadError> {
        while let Some(&byte) = self.buffer.get(self.at) {
            if self.at >= MAX_STANZA {
                return Err(ReadError::TooLong);
            }
            self.at += 1;
            let before = self.depth;
            if !self.step(byte)? {
                continue;
            }
            let is_closing = matches!(self.place, Place::Tag { closing: true, .. });
            self.place = Place::Text;
            match (before, self.depth) {
                (0, 1) => return self.take_header().map(Some),
                (_, 0) if is_closing && before == 1 => return Ok(Some(Found::End)),
                (_, 0) => return Err(ReadError::Malformed), // a stream that is empty
                (_, 1) => return self.take_stanza().map(Some),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Looks at one byte. Returns true if it ends a tag.
    fn step(&mut self, byte: u8) -> Result<bool, ReadError> {
        match self.place {
            Place::Text if byte == b'<' => self.place = Place::TagStart,
            Place::Text => self.on_text(byte)?,
            Place::TagStart => self.place = self.kind_of_tag(byte)?,
            Place::Declaration if byte == b'>' => {
                if !self.buffer.starts_with(b"<?xml ") {
                    return Err(ReadError::Forbidden("a processing instruction"));
                }
                self.buffer.drain(..self.at);
                (self.at, self.place) = (0, Place::Text);
            }
            Place::Declaration => {}
            Place::Tag { quote: Some(quote), closing } if byte == quote => {
                self.place = Place::Tag { quote: None, closing };
            }
            Place::Tag { quote: Some(_), .. } => {}
            Place::Tag { closing, .. } => match byte {
                b'>' => return self.on_tag_end(closing).map(|()| true),
                b'<' => return Err(ReadError::Malformed),
                b'"' | b'\'' => self.place = Place::Tag { quote: Some(byte), closing },
                _ => {}
            },
        }
        Ok(false)
    }

    fn on_text(&mut self, byte: u8) -> Result<(), ReadError> {
        if self.depth > 1 {
            return Ok(());
        }
        // Between stanzas only white space stands, with which a server keeps the connection alive.
        if !byte.is_ascii_whitespace() {
            return Err(ReadError::Malformed);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        Ok(())
    }

    fn kind_of_tag(&self, byte: u8) -> Result<Place, ReadError> {
        match byte {
            // The declaration stands before the header and nowhere else.
            b'?' if self.depth == 0 && self.header[0].is_empty() => Ok(Place::Declaration),
            b'?' => Err(ReadError::Forbidden("a processing instruction")),
            b'!' => Err(ReadError::Forbidden("a DTD, a comment or CDATA")),
            b'/' if self.depth > 0 => Ok(Place::Tag { closing: true, quote: None }),
            b'/' | b'>' | b'<' | b'"' | b'\'' => Err(ReadError::Malformed),
            _ => Ok(Place::Tag { closing: false, quote: None }),
        }
    }

    fn on_tag_end(&mut self, closing: bool) -> Result<(), ReadError> {
        let is_empty = self.buffer[..self.at].ends_with(b"/>");
        match (closing, is_empty) {
            (true, true) => return Err(ReadError::Malformed),
            (true, false) => self.depth -= 1,
            // An empty element at depth 0 is a stream that ends with its header.
            (false, true) if self.depth == 0 => return Err(ReadError::Malformed),
            (false, true) => {}
            (false, false) => self.depth += 1,
        }
        if self.depth > MAX_DEPTH { Err(ReadError::TooDeep) } else { Ok(()) }
    }

    fn take_header(&mut self) -> Result<Found, ReadError> {
        let start = self.take()?;
        let name = start[1..].split(|c: char| c.is_ascii_whitespace() || c == '>').next().unwrap_or_default();
        let end = format!("</{name}>");
        let document = format!("{start}{end}");
        self.header = [start, end];
        Ok(Found::Header(document))
    }

    fn take_stanza(&mut self) -> Result<Found, ReadError> {
        let stanza = self.take()?;
        let [start, end] = &self.header;
        Ok(Found::Stanza(format!("{start}{stanza}{end}")))
    }

    /// Removes the part that is complete.
    fn take(&mut self) -> Result<String, ReadError> {
        let rest = self.buffer.split_off(self.at);
        self.at = 0;
        String::from_utf8(std::mem::replace(&mut self.buffer, rest)).map_err(|_| ReadError::Malformed)
    }
}

#[cfg(test)]
mod tests;
