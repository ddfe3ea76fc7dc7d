//! Blobs: the binary form of JSON on the bus of OpenWrt (`blobmsg` of libubox), in which all numbers are big-endian.
//!
//! ```text
//! attribute  1 bit "named" │ 7 bits id │ 24 bits length with these 4 bytes │ content │ zeros up to a multiple of 4
//! element    a named attribute: 16 bits length of the name │ name │ NUL │ zeros │ value; the id is the type of the value
//! ```
//!
//! A blob is checked once, and stays as it came: a tree of its values would need several times the memory.

use std::borrow::Cow;

use crate::foreign_text::lossy;

/// The types of values.
pub const ARRAY: u8 = 1;
/// A list of named values.
pub const TABLE: u8 = 2;
/// A text that ends with NUL.
pub const TEXT: u8 = 3;
/// A number of 64 bits.
pub const WHOLE_64: u8 = 4;
/// A number of 32 bits.
pub const WHOLE_32: u8 = 5;
/// A number of 16 bits.
pub const WHOLE_16: u8 = 6;
/// A byte that is not 0 for true.
pub const BOOLEAN: u8 = 7;
/// A floating-point number of 64 bits.
pub const DOUBLE: u8 = 8;

/// The most arrays and tables within each other.
const MAX_DEPTH: usize = 16;

/// The length of the head of an attribute.
const HEAD: usize = 4;

/// The reason for which bytes are no blob.
const MALFORMED: &str = "the answer is malformed";

/// An attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// True if the content begins with a name.
    pub is_named: bool,
    /// The meaning, or the type.
    pub id: u8,
    /// The bytes behind the head.
    pub content: &'a [u8],
}

/// Takes the first attribute off the bytes. `None` if they do not begin with a whole one.
pub fn take_attribute<'a>(bytes: &mut &'a [u8]) -> Option<Attribute<'a>> {
    let head = u32::from_be_bytes(*bytes.first_chunk()?);
    let length = (head & 0x00FF_FFFF) as usize;
    let content = bytes.get(HEAD..length)?;
    *bytes = bytes.get(length.next_multiple_of(4)..)?;
    Some(Attribute { is_named: head >> 31 == 1, id: (head >> 24) as u8 & 0x7F, content })
}

/// Appends an attribute. The content has less than 16 MiB.
pub fn put_attribute(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.extend((u32::from(id) << 24 | (HEAD + content.len()) as u32).to_be_bytes());
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// Appends an element of a table. The name has less than 64 KiB.
pub fn put_element(bytes: &mut Vec<u8>, kind: u8, name: &str, value: &[u8]) {
    let mut content = (name.len() as u16).to_be_bytes().to_vec();
    content.extend(name.bytes());
    content.push(0);
    content.resize(content.len().next_multiple_of(4), 0);
    content.extend(value);
    put_attribute(bytes, 0x80 | kind, &content);
}

/// A checked table of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob(Box<[u8]>);

impl Blob {
    /// Returns the number of bytes.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    /// Checks the elements of a table.
    ///
    /// # Errors
    /// A length, a name or a value is wrong, or arrays and tables lie too deep within each other.
    pub fn new(bytes: &[u8]) -> Result<Blob, String> {
        check(Elements(bytes), MAX_DEPTH).ok_or_else(|| MALFORMED.to_owned())?;
        Ok(Blob(bytes.into()))
    }

    /// Returns the table.
    pub fn root(&self) -> Value<'_> {
        Value::Table(Elements(&self.0))
    }

    /// Returns true if a text, or the name of a member, has this text in it.
    pub fn has_text(&self, text: &str) -> bool {
        self.0.windows(text.len().max(1)).any(|window| window == text.as_bytes())
    }
}

/// Returns `None` if a part of these elements is wrong.
fn check(mut elements: Elements<'_>, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    while !elements.0.is_empty() {
        match elements.take_element()?.1 {
            Value::Array(below) | Value::Table(below) => check(below, depth)?,
            _ => {}
        }
    }
    Some(())
}

/// A value in a blob.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// No value, or one of an unknown type.
    Nothing,
    /// A text without its NUL.
    Text(&'a [u8]),
    /// A number.
    Whole(i64),
    /// A truth value.
    Boolean(bool),
    /// A floating-point number.
    Double(f64),
    /// Values without names.
    Array(Elements<'a>),
    /// Values with names.
    Table(Elements<'a>),
}

impl<'a> Value<'a> {
    /// Reads a value of a type; `None` if its length is wrong.
    fn read(kind: u8, bytes: &'a [u8]) -> Option<Value<'a>> {
        Some(match kind {
            ARRAY => Value::Array(Elements(bytes)),
            TABLE => Value::Table(Elements(bytes)),
            TEXT => Value::Text(bytes.strip_suffix(&[0])?),
            WHOLE_64 => Value::Whole(i64::from_be_bytes(bytes.try_into().ok()?)),
            WHOLE_32 => Value::Whole(i32::from_be_bytes(bytes.try_into().ok()?).into()),
            WHOLE_16 => Value::Whole(i16::from_be_bytes(bytes.try_into().ok()?).into()),
            BOOLEAN => Value::Boolean(u8::from_be_bytes(bytes.try_into().ok()?) != 0),
            DOUBLE => Value::Double(f64::from_be_bytes(bytes.try_into().ok()?)),
            _ => Value::Nothing,
        })
    }

    /// Returns the text of a value: booleans as `true` and `false`, numbers in decimal, the scalars of an array with a space
    /// between them. `None` for a table, and for an array that has one.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Value::Text(bytes) => Some(lossy(bytes)),
            Value::Whole(number) => Some(number.to_string().into()),
            Value::Boolean(flag) => Some(if flag { "true" } else { "false" }.into()),
            // A number of JSON, because std's own text of a double costs 10 kB of flash; infinity is none.
            Value::Double(number) => {
                let text = serde_json::Number::from_f64(number)?.to_string();
                Some(text.strip_suffix(".0").map(str::to_owned).unwrap_or(text).into())
            }
            Value::Array(elements) => {
                let scalar = |(_, value)| if matches!(value, Value::Array(_)) { None } else { Value::text(value) };
                let texts: Option<Vec<Cow<'_, str>>> = elements.map(scalar).collect();
                Some(texts?.join(" ").into())
            }
            Value::Nothing | Value::Table(_) => None,
        }
    }

    /// Returns the elements of an array or table.
    pub fn elements(self) -> Option<Elements<'a>> {
        match self {
            Value::Array(elements) | Value::Table(elements) => Some(elements),
            _ => None,
        }
    }

    /// Returns the member of a table.
    pub fn member(self, name: &str) -> Option<Value<'a>> {
        let Value::Table(mut elements) = self else { return None };
        // Only the value of the member is read: an answer has many others.
        loop {
            let (found, kind, value) = elements.take_named()?;
            if found == name.as_bytes() {
                return Value::read(kind, value);
            }
        }
    }
}

/// The elements of an array or table, each with its name, which is empty in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Takes the first element; `None` if the bytes do not begin with a whole one.
    fn take_element(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        let (name, kind, value) = self.take_named()?;
        Some((name, Value::read(kind, value)?))
    }

    /// Takes the name, the type and the bytes of the first element.
    fn take_named(&mut self) -> Option<(&'a [u8], u8, &'a [u8])> {
        let attribute = take_attribute(&mut self.0).filter(|attribute| attribute.is_named)?;
        let length = usize::from(u16::from_be_bytes(*attribute.content.first_chunk()?));
        let name = attribute.content.get(2..2 + length)?;
        // The name ends with NUL, and zeros fill up the head.
        let value = attribute.content.get((2 + length + 1).next_multiple_of(4)..)?;
        (attribute.content[2 + length] == 0).then_some((name, attribute.id, value))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.take_element()
    }
}

#[cfg(test)]
mod tests;
