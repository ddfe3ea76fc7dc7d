//! The character encoding of a message: its name, and the text that the bytes stand for.
//!
//! ```text
//!   byte order mark ─▶ charset of Content-Type ─▶ first bytes `<` NUL ─▶ encoding of the XML declaration ─▶ UTF-8
//! ```
//!
//! The first of these that is present decides (RFC 7303 §3.2). UTF-8 stays where it is; any other encoding costs a copy,
//! whose size is limited before it is allocated.

use std::borrow::Cow;

use super::element::SPACE;
use super::envelope::EnvelopeError;
use super::limits::MAX_MESSAGE;

/// A character encoding that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// UTF-8 and ASCII, which is a part of it.
    Utf8,
    /// UTF-16 in the order of bytes that the first character shows.
    Utf16,
    Utf16Le,
    Utf16Be,
    Latin1,
    Windows1252,
}

/// The names of the encodings, in lower case.
const NAMES: &[(&str, Encoding)] = &[
    ("utf-8", Encoding::Utf8),
    ("utf8", Encoding::Utf8),
    ("us-ascii", Encoding::Utf8),
    ("ascii", Encoding::Utf8),
    ("utf-16", Encoding::Utf16),
    ("utf16", Encoding::Utf16),
    ("utf-16le", Encoding::Utf16Le),
    ("utf-16be", Encoding::Utf16Be),
    ("iso-8859-1", Encoding::Latin1),
    ("iso8859-1", Encoding::Latin1),
    ("iso_8859-1", Encoding::Latin1),
    ("latin1", Encoding::Latin1),
    ("latin-1", Encoding::Latin1),
    ("windows-1252", Encoding::Windows1252),
    ("cp1252", Encoding::Windows1252),
];

/// Returns the text of a message, without its byte order mark. `charset` is that of the header field `Content-Type`.
///
/// # Errors
/// The encoding is unknown, the bytes are not in it, or the text is larger than [`MAX_MESSAGE`].
pub(super) fn decode<'a>(bytes: &'a [u8], charset: Option<&str>) -> Result<Cow<'a, str>, EnvelopeError> {
    match bytes {
        [0xEF, 0xBB, 0xBF, text @ ..] => return text_of(text, Encoding::Utf8),
        [0xFF, 0xFE, text @ ..] => return text_of(text, Encoding::Utf16Le),
        [0xFE, 0xFF, text @ ..] => return text_of(text, Encoding::Utf16Be),
        _ => {}
    }
    let encoding = match (charset, bytes) {
        (Some(name), _) => by_name(name)?,
        // XML 1.0 appendix F: the first character of a document shows UTF-16 without a mark.
        (None, [b'<', 0, ..] | [0, b'<', ..]) => Encoding::Utf16,
        (None, _) => declared(bytes)?,
    };
    text_of(bytes, encoding)
}

/// Returns the encoding of that name.
fn by_name(name: &str) -> Result<Encoding, EnvelopeError> {
    let found = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, encoding)| *encoding).ok_or_else(|| EnvelopeError::Encoding(name.chars().take(32).collect()))
}

/// Returns the encoding that the XML declaration names; UTF-8 by default.
fn declared(bytes: &[u8]) -> Result<Encoding, EnvelopeError> {
    // A declaration is ASCII in each encoding that can be named here. The text after it may be in any.
    let ascii = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..ascii]).unwrap_or_default();
    let (_, name) = declaration(text.trim_start_matches(SPACE))?;
    match name.map(by_name).transpose()? {
        // The declaration was read by bytes, so that the message cannot be in the encoding that it names.
        Some(Encoding::Utf16 | Encoding::Utf16Le | Encoding::Utf16Be) => Err(EnvelopeError::NotEncoded("UTF-16")),
        encoding => Ok(encoding.unwrap_or(Encoding::Utf8)),
    }
}

/// Returns the length of the XML declaration and the encoding in it; 0 and `None` without a declaration.
///
/// The parser accepts any encoding as UTF-8 and any text as the version. Both are read here, so that quoted markup in a
/// declaration cannot mislead [`limits`](super::limits).
pub(super) fn declaration(text: &str) -> Result<(usize, Option<&str>), EnvelopeError> {
    let malformed = || EnvelopeError::Xml("malformed XML declaration".to_owned());
    // Anything else behind the name is a processing instruction: <?xml-model …?>
    let Some(rest) = text.strip_prefix("<?xml").filter(|rest| rest.starts_with(SPACE)) else { return Ok((0, None)) };
    let mut encoding = None;
    let mut rest = rest.trim_start();
    while !rest.starts_with("?>") {
        let (name, value) = rest.split_once('=').ok_or_else(malformed)?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|first| "\"'".contains(*first));
        let quote = quote.ok_or_else(malformed)?;
        let (value, after) = value[1..].split_once(quote).ok_or_else(malformed)?;
        // No version or encoding has other characters; `<` in a value would mislead the limits.
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        if !value.chars().all(plain) {
            return Err(malformed());
        }
        if name.trim() == "encoding" {
            encoding = Some(value);
        }
        rest = after.trim_start();
    }
    Ok((text.len() - rest.len() + "?>".len(), encoding))
}

/// Returns the text that bytes in that encoding stand for.
fn text_of(bytes: &[u8], encoding: Encoding) -> Result<Cow<'_, str>, EnvelopeError> {
    let (name, first): (_, FirstCharacter) = match encoding {
        Encoding::Utf8 => {
            let text = std::str::from_utf8(bytes).map_err(|_| EnvelopeError::NotEncoded("UTF-8"))?;
            return Ok(Cow::Borrowed(text));
        }
        Encoding::Utf16 if matches!(bytes, [first, 0, ..] if *first != 0) => ("UTF-16", utf16le),
        Encoding::Utf16Le => ("UTF-16", utf16le),
        Encoding::Utf16 | Encoding::Utf16Be => ("UTF-16", utf16be),
        Encoding::Latin1 => ("ISO-8859-1", latin1),
        Encoding::Windows1252 => ("windows-1252", windows1252),
    };
    let next = |rest: &mut &[u8]| {
        let (character, length) = first(rest).ok_or(EnvelopeError::NotEncoded(name))?;
        *rest = &rest[length..];
        Ok(character)
    };
    // Measured first: the text may be twice as long as the bytes, and is allocated once.
    let (mut rest, mut length) = (bytes, 0);
    while !rest.is_empty() {
        length += next(&mut rest)?.len_utf8();
    }
    if length > MAX_MESSAGE {
        return Err(EnvelopeError::TooComplex("too many bytes of text"));
    }
    let (mut rest, mut text) = (bytes, String::with_capacity(length));
    while !rest.is_empty() {
        text.push(next(&mut rest)?);
    }
    Ok(Cow::Owned(text))
}

/// A function that returns the first character of an encoded text and its length in bytes; `None` if there is none. The
/// text is not empty.
type FirstCharacter = fn(&[u8]) -> Option<(char, usize)>;

fn utf16le(bytes: &[u8]) -> Option<(char, usize)> {
    utf16(bytes, u16::from_le_bytes)
}

fn utf16be(bytes: &[u8]) -> Option<(char, usize)> {
    utf16(bytes, u16::from_be_bytes)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<(char, usize)> {
    let units = bytes.chunks_exact(2).take(2).map(|pair| unit([pair[0], pair[1]]));
    let character = char::decode_utf16(units).next()?.ok()?;
    Some((character, 2 * character.len_utf16()))
}

fn latin1(bytes: &[u8]) -> Option<(char, usize)> {
    Some((char::from(*bytes.first()?), 1))
}

fn windows1252(bytes: &[u8]) -> Option<(char, usize)> {
    const FROM_0X80: [u16; 32] = [
        0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D,
        0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
        0x0153, 0x009D, 0x017E, 0x0178,
    ];
    let byte = *bytes.first()?;
    let special = FROM_0X80.get(usize::from(byte).wrapping_sub(0x80));
    let code = special.copied().unwrap_or(byte.into());
    Some((char::from_u32(code.into())?, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<a>Zürich €😀</a>";

    fn utf16_of(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn read(bytes: &[u8], charset: Option<&str>) -> Result<String, EnvelopeError> {
        decode(bytes, charset).map(Cow::into_owned)
    }

    /// XML 1.0 §4.3.3: every processor reads UTF-16.
    #[test]
    fn utf16_in_both_orders() {
        let (little, big) = (utf16_of(TEXT, u16::to_le_bytes), utf16_of(TEXT, u16::to_be_bytes));
        let marked = |mark: &[u8], text: &[u8]| [mark, text].concat();
        let declared = utf16_of(&format!("<?xml version='1.0' encoding='utf-16'?>{TEXT}"), u16::to_le_bytes);
        for (bytes, charset) in [
            (marked(b"\xFF\xFE", &little), None),
            (marked(b"\xFE\xFF", &big), None),
            (marked(b"\xFF\xFE", &little), Some("utf-16")),
            (little.clone(), None),
            (big.clone(), None),
            (little.clone(), Some("UTF-16")),
            (big.clone(), Some("UTF-16")),
            (little.clone(), Some("utf-16LE")),
            (big.clone(), Some("utf-16be")),
            (declared, None),
        ] {
            let text = read(&bytes, charset).unwrap();
            assert!(text.ends_with(TEXT), "{bytes:x?} {charset:?}: {text}");
        }
        let damaged = &little[..little.len() - 1];
        assert_eq!(read(damaged, None), Err(EnvelopeError::NotEncoded("UTF-16")));
        let half_a_pair = [b'<', 0, 0x3D, 0xD8, b'>', 0];
        assert_eq!(read(&half_a_pair, None), Err(EnvelopeError::NotEncoded("UTF-16")));
    }

    #[test]
    fn encodings_of_one_byte() {
        let latin = b"<a>Z\xFCrich \x80</a>";
        assert_eq!(read(latin, Some("ISO-8859-1")).unwrap(), "<a>Zürich \u{80}</a>");
        assert_eq!(read(latin, Some("windows-1252")).unwrap(), "<a>Zürich €</a>");
        for name in ["ISO-8859-1", "latin1", "iso8859-1"] {
            let declared = [format!("\n<?xml version='1.0' encoding=\"{name}\"?>").as_bytes(), latin].concat();
            assert!(read(&declared, None).unwrap().ends_with("Zürich \u{80}</a>"), "{name}");
        }
        let (name, text) = (Some("windows-1252"), b"\x7F\x81\x9F\xA0\xFF");
        assert_eq!(read(text, name).unwrap(), "\u{7F}\u{81}\u{178}\u{A0}\u{FF}");
        assert_eq!(read(latin, None), Err(EnvelopeError::NotEncoded("UTF-8")));
    }

    /// RFC 7303 §3.2: the mark, then the charset, then the declaration.
    #[test]
    fn the_first_source_of_an_encoding_wins() {
        let declares_latin = "<?xml version='1.0' encoding='ISO-8859-1'?><a>ü</a>";
        for (bytes, charset) in [
            (format!("\u{FEFF}{declares_latin}"), None),
            (format!("\u{FEFF}{declares_latin}"), Some("iso-8859-1")),
            (declares_latin.to_owned(), Some("utf-8")),
            // A library of .NET declares UTF-16 in each text that it makes.
            ("<?xml version='1.0' encoding='utf-16'?><a>ü</a>".to_owned(), Some("utf-8")),
        ] {
            assert!(read(bytes.as_bytes(), charset).unwrap().ends_with("<a>ü</a>"), "{bytes} {charset:?}");
        }
        assert!(read(declares_latin.as_bytes(), None).unwrap().ends_with("<a>Ã¼</a>"));
        let declares_utf8 = b"<?xml version='1.0' encoding='utf-8'?><a>\xFC</a>";
        assert!(read(declares_utf8, Some("latin1")).unwrap().ends_with("<a>ü</a>"));
    }

    #[test]
    fn encodings_that_are_not_known() {
        let error = read(b"<a/>", Some("KOI8-R")).unwrap_err();
        assert!(error.to_string().contains("KOI8-R"), "{error}");
        assert_eq!(
            read(b"<?xml version='1.0' encoding='utf-7'?><a/>", None).unwrap_err().to_string().matches("utf-7").count(),
            1
        );
        // The declaration can be read by bytes, so that it is wrong.
        let declares_utf16 = b"<?xml version='1.0' encoding='UTF-16'?><a/>";
        assert_eq!(read(declares_utf16, None), Err(EnvelopeError::NotEncoded("UTF-16")));
    }

    /// A message within the limit of the transport may be larger as text.
    #[test]
    fn the_limit_holds_for_the_text() {
        let fits = vec![0xFC; MAX_MESSAGE / 2];
        assert_eq!(read(&fits, Some("latin1")).unwrap().len(), MAX_MESSAGE);
        let larger = vec![0xFC; MAX_MESSAGE / 2 + 1];
        assert!(matches!(read(&larger, Some("latin1")), Err(EnvelopeError::TooComplex(_))));
    }
}
