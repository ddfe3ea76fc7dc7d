//! The limits of a message, checked before the XML parser allocates memory for it.
//!
//! The time and memory of the parser grow with the square of two parts of a message: the attributes of one element, and
//! the namespaces in scope times the elements that declare one. A megabyte made for the purpose would take gigabytes.
//! So the tags are counted first, in one pass without allocation, and a message beyond any sensible CWMP message is
//! rejected.

use memchr::{memchr, memchr_iter};

use super::EnvelopeError;

/// The maximum size of a message in bytes, as the ACS sends it and as UTF-8: twice a SetParameterValues of 10,000
/// parameters.
pub const MAX_MESSAGE: usize = 4 << 20;
/// The maximum depth of elements; CWMP needs eight.
pub const MAX_DEPTH: usize = 64;
/// The maximum number of attributes of one element, namespace declarations included.
pub const MAX_ATTRIBUTES: usize = 64;
/// The maximum number of tags, comments, processing instructions and CDATA sections in one message, and of the `=` in
/// it. Each may cost the parser 150 bytes. A parameter of SetParameterValues takes six, so that 10,000 of them fit.
pub const MAX_MARKUP: usize = 60_000;
/// The maximum number of namespace declarations in scope at one element.
const MAX_NAMESPACES_IN_SCOPE: usize = 64;
/// The maximum number of namespace declarations in one message; some servers write one into every element.
const MAX_NAMESPACES: usize = 20_000;

/// Rejects a message that would cost too much to parse. Well-formedness is not checked here: up to its first error, a
/// message has the same tags here as in the parser.
pub(super) fn check(text: &str) -> Result<(), EnvelopeError> {
    let bytes = text.as_bytes();
    // The parser allocates for that number of elements and attributes before it reads the first.
    let count = |byte| memchr_iter(byte, bytes).count();
    if count(b'<') > MAX_MARKUP {
        return Err(EnvelopeError::TooComplex("too many elements"));
    }
    if count(b'=') > MAX_MARKUP {
        return Err(EnvelopeError::TooComplex("too many attributes"));
    }
    let mut scan = Scan::default();
    let mut at = 0;
    while let Some(offset) = memchr(b'<', &bytes[at..]) {
        let rest = &text[at + offset..];
        let Some(length) = scan.markup(rest)? else {
            return Ok(()); // unfinished markup, which the parser reports
        };
        at += offset + length;
    }
    Ok(())
}

/// The state of the count.
struct Scan {
    /// The namespace declarations so far.
    namespaces: usize,
    /// The depth of the present element.
    depth: usize,
    /// The number of namespaces in scope, by depth; the first is that of the document.
    in_scope: [usize; MAX_DEPTH + 1],
}

impl Default for Scan {
    fn default() -> Scan {
        Scan { namespaces: 0, depth: 0, in_scope: [0; MAX_DEPTH + 1] }
    }
}

impl Scan {
    /// Counts the markup at the start of `rest` and returns its length; `None` if it has no end.
    fn markup(&mut self, rest: &str) -> Result<Option<usize>, EnvelopeError> {
        let bytes = rest.as_bytes();
        match bytes.get(1) {
            Some(b'/') => {
                // An end tag without a start is reported by the parser.
                self.depth = self.depth.saturating_sub(1);
                Ok(memchr(b'>', bytes).map(|at| at + 1))
            }
            Some(b'!' | b'?') => match delimiters(rest) {
                Some((start, end)) => Ok(length_to(rest, start.len(), end)),
                // Any other `<!` begins a document type, whose entities could multiply the size of a message.
                None => Err(EnvelopeError::Dtd),
            },
            // A byte of a character beyond ASCII begins a name as well.
            _ => self.start_tag(bytes),
        }
    }

    /// Counts the attributes of a start tag and returns its length; `None` if it has no end.
    fn start_tag(&mut self, tag: &[u8]) -> Result<Option<usize>, EnvelopeError> {
        let mut quote = None;
        let (mut attributes, mut namespaces) = (0, 0);
        for at in 1..tag.len() {
            match (quote, tag[at]) {
                (Some(open), byte) if byte == open => quote = None,
                (Some(_), _) => {}
                (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
                (None, b'=') => attributes += 1,
                // Counts names that only contain `xmlns` as well: never too few.
                (None, b'x') if tag[at..].starts_with(b"xmlns") => namespaces += 1,
                (None, b'>') => {
                    let empty = tag[at - 1] == b'/';
                    self.element(attributes, namespaces, empty)?;
                    return Ok(Some(at + 1));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Checks the counts of an element, and enters it unless it is empty.
    fn element(&mut self, attributes: usize, namespaces: usize, empty: bool) -> Result<(), EnvelopeError> {
        if attributes > MAX_ATTRIBUTES {
            return Err(EnvelopeError::TooComplex("too many attributes"));
        }
        self.namespaces += namespaces;
        let in_scope = self.in_scope[self.depth] + namespaces;
        if in_scope > MAX_NAMESPACES_IN_SCOPE || self.namespaces > MAX_NAMESPACES {
            return Err(EnvelopeError::TooComplex("too many namespaces"));
        }
        if empty {
            return Ok(());
        }
        if self.depth == MAX_DEPTH {
            return Err(EnvelopeError::TooComplex("elements nested too deep"));
        }
        self.depth += 1;
        self.in_scope[self.depth] = in_scope;
        Ok(())
    }
}

/// Returns the start and the end of the markup that begins the text; `None` if it is a start tag or a document type.
pub(super) fn delimiters(rest: &str) -> Option<(&'static str, &'static str)> {
    [("</", ">"), ("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")]
        .into_iter()
        .find(|(start, _)| rest.starts_with(start))
}

/// Returns the length of the text up to and with `end`, searched from `from`.
pub(super) fn length_to(rest: &str, from: usize, end: &str) -> Option<usize> {
    let rest = rest.get(from..)?;
    // A search for a character needs no preparation, and one for a text does.
    let found = if end == ">" { rest.find('>') } else { rest.find(end) }?;
    Some(from + found + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> &'static str {
        match check(text) {
            Err(EnvelopeError::TooComplex(why)) => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn nesting() {
        let nested = |depth| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert!(check(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(refused(&nested(MAX_DEPTH + 1)), "elements nested too deep");
        let siblings = format!("<a>{}</a>", "<b><c/></b>".repeat(1000));
        assert!(check(&siblings).is_ok());
    }

    #[test]
    fn numbers() {
        assert_eq!(refused(&"<".repeat(MAX_MARKUP + 1)), "too many elements");
        assert_eq!(refused(&"<a/>".repeat(MAX_MARKUP + 1)), "too many elements");
        assert_eq!(refused(&"=".repeat(1_000_000)), "too many attributes");
        let attributes: String = (0..65).map(|n| format!(" a{n}='>'")).collect();
        assert_eq!(refused(&format!("<a{attributes}/>")), "too many attributes");
    }

    /// Each element copies the namespaces in scope of its parent, so that the memory is the product.
    #[test]
    fn namespaces_in_scope() {
        let declare = |from: usize, to: usize| -> String { (from..to).map(|n| format!(" xmlns:n{n}=\"u\"")).collect() };
        let nested = format!("<a{}><b{}/></a>", declare(0, 40), declare(40, 70));
        assert_eq!(refused(&nested), "too many namespaces");
        let sibling = format!("<a{}><b{}/></a>", declare(0, 40), declare(40, 60));
        assert!(check(&sibling).is_ok());
        let many = format!("<a>{}</a>", "<b xmlns='u'/>".repeat(MAX_NAMESPACES + 1));
        assert_eq!(refused(&many), "too many namespaces");
    }

    /// Tags in comments, CDATA sections and attributes are not counted.
    #[test]
    fn quoted_markup_is_not_counted() {
        let hidden = "<a>".repeat(MAX_DEPTH + 1);
        for text in [
            format!("<r><!--{hidden}--></r>"),
            format!("<r><![CDATA[{hidden}]]></r>"),
            format!("<r><?pi {hidden}?></r>"),
        ] {
            assert!(check(&text).is_ok());
            // the following tags are counted again
            assert_eq!(refused(&(text + &hidden)), "elements nested too deep");
        }
        assert_eq!(check("<r a='>' b=\"/>\">"), Ok(()));
    }
}
