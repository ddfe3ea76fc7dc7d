//! One data-model file as a vector of tokens.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{List, Members, Number, Object, Raw, is_node};

/// From this size on, the allocators of Linux keep a vector in pages of its own, which go back to the system when it is
/// dropped: 128 KiB and a little. Pages that are not touched cost nothing.
pub(crate) const MMAP_THRESHOLD: usize = 132 << 10;

/// JSON spends at least this many bytes of a data model on a token, more or less.
const BYTES_PER_TOKEN: usize = 8;

/// One file: the tokens of its values, each followed by those of what it holds.
#[derive(Debug)]
pub(in crate::model) struct Tape<'f> {
    /// Its number among the files that are laid over each other.
    file: usize,
    text: &'f str,
    /// The texts that hold escapes in the file, without them.
    unescaped: String,
    tokens: Vec<Token>,
}

/// Twelve bytes. Places are those in the text, or among the tokens, of a file of less than 4 GiB.
#[derive(Clone, Copy, Debug)]
enum Token {
    Null,
    Boolean(bool),
    Integer {
        negative: bool,
        high: u32,
        low: u32,
    },
    Fraction,
    Text {
        start: u32,
        length: u32,
    },
    Unescaped {
        start: u32,
        length: u32,
    },
    /// `end` is the number of the first token behind the list.
    List {
        end: u32,
    },
    Object {
        end: u32,
    },
}

impl<'f> Tape<'f> {
    /// Reads a file; `file` is its number among the files that are laid over each other.
    pub(in crate::model) fn read(text: &'f str, file: usize) -> Result<Tape<'f>, serde_json::Error> {
        if u32::try_from(text.len()).is_err() {
            return Err(serde_json::Error::custom("more than 4 GiB"));
        }
        let room = (text.len() / BYTES_PER_TOKEN).max(MMAP_THRESHOLD / size_of::<Token>());
        let mut tape = Tape { file, text, unescaped: String::new(), tokens: Vec::with_capacity(room) };
        let mut json = serde_json::Deserializer::from_str(text);
        TapeWriter(&mut tape).deserialize(&mut json)?;
        json.end()?;
        Ok(tape)
    }

    /// The value that is the file.
    pub(in crate::model) fn root(&self) -> Raw<'_> {
        self.value(0)
    }

    /// How many objects there are.
    pub(in crate::model) fn objects(&self) -> usize {
        self.tokens.iter().filter(|token| matches!(token, Token::Object { .. })).count()
    }

    fn value(&self, at: u32) -> Raw<'_> {
        match self.tokens[at as usize] {
            Token::Null => Raw::Null,
            Token::Boolean(flag) => Raw::Boolean(flag),
            Token::Integer { negative, high, low } => {
                let magnitude = i128::from(high) << 32 | i128::from(low);
                Raw::Number(Number::Integer(if negative { -magnitude } else { magnitude }))
            }
            Token::Fraction => Raw::Number(Number::Fraction),
            Token::Text { .. } | Token::Unescaped { .. } => Raw::Text(self.text(at)),
            Token::List { end } => Raw::List(List(Span { tape: self, at: at + 1, end })),
            Token::Object { end } => {
                let members = Members::Read(Span { tape: self, at: at + 1, end });
                Raw::Object(Object { file: self.file, members })
            }
        }
    }

    /// The text that a token stands for; empty for other tokens.
    fn text(&self, at: u32) -> &str {
        match self.tokens[at as usize] {
            Token::Text { start, length } => &self.text[start as usize..][..length as usize],
            Token::Unescaped { start, length } => &self.unescaped[start as usize..][..length as usize],
            _ => "",
        }
    }

    /// The name at token `name` where it describes the object whose members begin at `first`, and has done so before.
    ///
    /// Nodes are left to the builder: of those there may be thousands beside each other.
    fn duplicate_member(&self, first: usize, name: usize) -> Option<&str> {
        let text = self.text(name as u32);
        if is_node(text) {
            return None;
        }
        let mut at = first as u32;
        while at < name as u32 {
            if self.text(at) == text {
                return Some(text);
            }
            at = self.end_of(at + 1);
        }
        None
    }

    /// The token behind a value.
    fn end_of(&self, at: u32) -> u32 {
        match self.tokens[at as usize] {
            Token::List { end } | Token::Object { end } => end,
            _ => at + 1,
        }
    }
}

/// Tokens of a file that have not been looked at yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'t> {
    tape: &'t Tape<'t>,
    at: u32,
    end: u32,
}

impl<'t> Span<'t> {
    pub(super) fn next_value(&mut self) -> Option<Raw<'t>> {
        (self.at < self.end).then(|| {
            let value = self.at;
            self.at = self.tape.end_of(value);
            self.tape.value(value)
        })
    }

    /// The first member of this name; the values of others are not looked at.
    pub(super) fn find(self, name: &str) -> Option<Raw<'t>> {
        let mut at = self.at;
        while at < self.end {
            if self.tape.text(at) == name {
                return Some(self.tape.value(at + 1));
            }
            at = self.tape.end_of(at + 1);
        }
        None
    }

    pub(super) fn next_member(&mut self) -> Option<(&'t str, Raw<'t>)> {
        (self.at < self.end).then(|| {
            let (name, value) = (self.at, self.at + 1);
            self.at = self.tape.end_of(value);
            (self.tape.text(name), self.tape.value(value))
        })
    }
}

/// Writes the tokens of one value at the end of a tape.
struct TapeWriter<'w, 'f>(&'w mut Tape<'f>);

impl TapeWriter<'_, '_> {
    /// Writes what `inside` writes between a list's or object's token and the end that it names.
    fn enclose<E>(
        self,
        token: impl Fn(u32) -> Token,
        inside: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut writer = self;
        let at = writer.0.tokens.len();
        writer.0.tokens.push(token(0));
        inside(&mut writer)?;
        writer.0.tokens[at] = token(writer.0.tokens.len() as u32);
        Ok(())
    }

    fn integer(self, negative: bool, magnitude: u64) {
        self.0.tokens.push(Token::Integer { negative, high: (magnitude >> 32) as u32, low: magnitude as u32 });
    }
}

impl<'de> DeserializeSeed<'de> for TapeWriter<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TapeWriter<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.tokens.push(Token::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.tokens.push(Token::Boolean(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.integer(value < 0, value.unsigned_abs());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.integer(false, value);
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.0.tokens.push(Token::Fraction);
        Ok(())
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
        // What serde_json lends is a part of the text that it reads.
        let start = value.as_ptr().addr() - self.0.text.as_ptr().addr();
        self.0.tokens.push(Token::Text { start: start as u32, length: value.len() as u32 });
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        let start = self.0.unescaped.len() as u32;
        self.0.unescaped.push_str(value);
        self.0.tokens.push(Token::Unescaped { start, length: value.len() as u32 });
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.enclose(
            |end| Token::List { end },
            |writer| {
                while items.next_element_seed(TapeWriter(writer.0))?.is_some() {}
                Ok(())
            },
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.enclose(
            |end| Token::Object { end },
            |writer| {
                let first = writer.0.tokens.len();
                loop {
                    let name = writer.0.tokens.len();
                    if members.next_key_seed(TapeWriter(writer.0))?.is_none() {
                        return Ok(());
                    }
                    if let Some(name) = writer.0.duplicate_member(first, name) {
                        return Err(A::Error::custom(format_args!("`{name}` is given twice")));
                    }
                    members.next_value_seed(TapeWriter(writer.0))?;
                }
            },
        )
    }
}
