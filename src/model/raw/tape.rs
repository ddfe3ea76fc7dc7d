//! The tape: data-model files as a vector of tokens. The word is that of simdjson.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{List, Number, Object, Raw};
use crate::json::{push_escaped, syntax_error};
use crate::mistake::Mistakes;

/// The size from which the allocators of Linux map a block with pages of its own (`M_MMAP_THRESHOLD`, 128 KiB), and a
/// little more. The pages return to the system when the block is freed, and pages that are never written cost nothing.
pub(crate) const MMAP_THRESHOLD: usize = 132 << 10;

/// The bytes of a data-model file for each token, by a low estimate. Room for too many tokens costs nothing, see
/// [`MMAP_THRESHOLD`]; room for too few would copy the vector.
const BYTES_PER_TOKEN: usize = 8;

/// The tokens of the values of files, of which a list or an object is followed by the tokens of its content.
#[derive(Debug)]
pub(crate) struct Tape<'f> {
    /// The texts by the numbers of the files.
    pub(super) texts: Vec<&'f str>,
    /// The texts that have escapes in their file, unescaped. All others are borrowed from it.
    pub(super) unescaped: String,
    pub(super) tokens: Vec<Token>,
}

/// A value, or the name of a member, in twelve bytes. Positions are those in the text of a file of less than 4 GiB. `length` of a
/// list or an object is the number of the tokens of its content, so that they can be copied to any place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token {
    Null,
    Boolean(bool),
    // Two halves: one field of 64 bits would align the token to sixteen bytes.
    Integer { negative: bool, high: u32, low: u32 },
    Fraction,
    Text { file: u16, start: u32, length: u32 },
    Unescaped { start: u32, length: u32 },
    List { length: u32 },
    Object { file: u16, length: u32 },
}

impl<'f> Tape<'f> {
    /// Reads a file; `file` is its number among those that overlay each other. Returns the reason if the text is not JSON.
    pub(crate) fn read(text: &'f str, file: usize) -> Result<Tape<'f>, String> {
        let Ok(number) = u16::try_from(file) else { return Err("is one file too many".into()) };
        if u32::try_from(text.len()).is_err() {
            return Err("is larger than 4 GiB".into());
        }
        let mut texts = vec![""; file];
        texts.push(text);
        let mut tape = Tape::with_room(texts, text.len() / BYTES_PER_TOKEN);
        let mut json = serde_json::Deserializer::from_str(text);
        let read = TapeWriter { tape: &mut tape, text, file: number }.deserialize(&mut json);
        // The end rejects a second value after the first.
        match read.and_then(|()| json.end()) {
            Ok(()) => Ok(tape),
            Err(error) => Err(format!("not JSON: {}", syntax_error(&error))),
        }
    }

    /// Returns an empty tape with room for this number of tokens.
    pub(super) fn with_room(texts: Vec<&'f str>, room: usize) -> Tape<'f> {
        // At least as much as the allocator maps with pages of its own, so that the heap keeps no hole of a tape.
        let tokens = Vec::with_capacity(room.max(MMAP_THRESHOLD / size_of::<Token>()));
        Tape { texts, unescaped: String::new(), tokens }
    }

    /// Returns the value that is the whole file.
    pub(crate) fn root(&self) -> Raw<'_> {
        self.value(0)
    }

    /// Returns the number of objects.
    pub(crate) fn objects(&self) -> usize {
        self.tokens.iter().filter(|token| matches!(token, Token::Object { .. })).count()
    }

    pub(super) fn value(&self, at: u32) -> Raw<'_> {
        match self.tokens[at as usize] {
            Token::Null => Raw::Null,
            Token::Boolean(flag) => Raw::Boolean(flag),
            Token::Integer { negative, high, low } => {
                let magnitude = i128::from(high) << 32 | i128::from(low);
                Raw::Number(Number::Integer(if negative { -magnitude } else { magnitude }))
            }
            Token::Fraction => Raw::Number(Number::Fraction),
            Token::Text { .. } | Token::Unescaped { .. } => Raw::Text(self.text(at)),
            Token::List { .. } => Raw::List(List(self.content(at))),
            Token::Object { file, .. } => Raw::Object(Object { file: file.into(), members: self.content(at) }),
        }
    }

    /// Returns the tokens in a list or an object.
    pub(super) fn content(&self, at: u32) -> Span<'_> {
        Span { tape: self, at: at + 1, end: self.end_of(at) }
    }

    /// Returns the text of a token; empty for a token that is none.
    pub(super) fn text(&self, at: u32) -> &str {
        let (text, range) = self.place(at);
        &text[range]
    }

    /// Returns true if this is the text of a token. The lengths of most names differ.
    fn is_text(&self, at: u32, wanted: &str) -> bool {
        match self.tokens[at as usize] {
            Token::Text { length, .. } | Token::Unescaped { length, .. } if length as usize == wanted.len() => {
                self.text(at) == wanted
            }
            _ => false,
        }
    }

    fn place(&self, at: u32) -> (&str, Range<usize>) {
        let range = |start: u32, length: u32| start as usize..start as usize + length as usize;
        match self.tokens[at as usize] {
            Token::Text { file, start, length } => (self.texts[usize::from(file)], range(start, length)),
            Token::Unescaped { start, length } => (&self.unescaped, range(start, length)),
            _ => ("", 0..0),
        }
    }

    /// Returns the JSON pointers of the members whose name their object has already. serde_json accepts them, and one of
    /// the two values would be ignored silently. Only the first pointers are determined, each by a search from the top;
    /// the others, which no message shows, are empty.
    pub(crate) fn duplicates(&self) -> Vec<String> {
        let mut found = Vec::new();
        // One list for all objects: the names of the members with their positions.
        let mut names: Vec<(&str, u32)> = Vec::new();
        for (object, token) in self.tokens.iter().enumerate() {
            let Token::Object { .. } = token else { continue };
            names.clear();
            names.extend(self.content(object as u32).names().map(|at| (self.text(at), at)));
            // Sorted, equal names are neighbours. An object may have thousands of members, each of which a search would
            // compare with all others.
            names.sort_unstable();
            let doubles = names.windows(2).filter(|pair| pair[0].0 == pair[1].0);
            for (_, name) in doubles.map(|pair| pair[1]) {
                let is_shown = found.len() < Mistakes::MAX_KEPT;
                found.push(if is_shown { self.pointer_to(name) } else { String::new() });
            }
        }
        found
    }

    /// Returns the JSON pointer to the member whose name is this token.
    fn pointer_to(&self, name: u32) -> String {
        let mut pointer = String::new();
        // The container that is searched: its first token, and the number of the present item if it is a list.
        let (mut at, mut item) = (1, matches!(self.tokens[0], Token::List { .. }).then_some(0));
        loop {
            let value = if item.is_none() { at + 1 } else { at };
            let end = self.end_of(value);
            if name < end {
                pointer.push('/');
                match item {
                    Some(number) => pointer.push_str(&usize::to_string(&number)),
                    None => push_escaped(&mut pointer, self.text(at)),
                }
                if name == at {
                    return pointer;
                }
                item = matches!(self.tokens[value as usize], Token::List { .. }).then_some(0);
                at = value + 1;
            } else {
                item = item.map(|number| number + 1);
                at = end;
            }
        }
    }

    /// Returns the number of the token after a value.
    pub(super) fn end_of(&self, at: u32) -> u32 {
        match self.tokens[at as usize] {
            Token::List { length } | Token::Object { length, .. } => at + 1 + length,
            _ => at + 1,
        }
    }
}

/// The tokens of a list or an object that were not read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'t> {
    tape: &'t Tape<'t>,
    at: u32,
    end: u32,
}

impl<'t> Span<'t> {
    /// Returns the next item of a list.
    pub(super) fn next_value(&mut self) -> Option<Raw<'t>> {
        (self.at < self.end).then(|| {
            let value = self.at;
            // The end skips the content of a list or an object, which is read by a span of its own.
            self.at = self.tape.end_of(value);
            self.tape.value(value)
        })
    }

    /// Returns the numbers of the names in an object; the value of a name is the token after it.
    pub(super) fn names(self) -> impl Iterator<Item = u32> + use<'t> {
        let mut at = self.at;
        std::iter::from_fn(move || {
            let name = at;
            (name < self.end).then(|| {
                at = self.tape.end_of(name + 1);
                name
            })
        })
    }

    /// Returns the number of the value of the first member of this name.
    pub(super) fn position(self, name: &str) -> Option<u32> {
        Some(self.names().find(|at| self.tape.is_text(*at, name))? + 1)
    }

    /// Returns the first member of this name.
    pub(super) fn find(self, name: &str) -> Option<Raw<'t>> {
        self.position(name).map(|at| self.tape.value(at))
    }

    /// Returns the next member of an object with its name.
    pub(super) fn next_member(&mut self) -> Option<(&'t str, Raw<'t>)> {
        (self.at < self.end).then(|| {
            let (name, value) = (self.at, self.at + 1);
            self.at = self.tape.end_of(value);
            (self.tape.text(name), self.tape.value(value))
        })
    }
}

/// Writes the tokens of one value at the end of a tape, as serde visits it.
struct TapeWriter<'w, 'f> {
    tape: &'w mut Tape<'f>,
    text: &'f str,
    /// The number of the file.
    file: u16,
}

impl<'f> TapeWriter<'_, 'f> {
    /// Returns a writer for a value in the present one.
    fn inner(&mut self) -> TapeWriter<'_, 'f> {
        TapeWriter { tape: self.tape, ..*self }
    }

    /// Writes the token of a list or an object, then its content by `inside`, and then the length into the token.
    fn enclose<E>(
        self,
        token: impl Fn(u32) -> Token,
        inside: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut writer = self;
        let at = writer.tape.tokens.len();
        // The length is known only after the content; until then the token holds 0.
        writer.tape.tokens.push(token(0));
        inside(&mut writer)?;
        writer.tape.tokens[at] = token((writer.tape.tokens.len() - at - 1) as u32);
        Ok(())
    }

    fn integer(self, negative: bool, magnitude: u64) {
        self.tape.tokens.push(Token::Integer { negative, high: (magnitude >> 32) as u32, low: magnitude as u32 });
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
        self.tape.tokens.push(Token::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.tape.tokens.push(Token::Boolean(value));
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

    // serde_json reads a whole number beyond 64 bits as a float, too: such a bound is rejected as a fraction is.
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.tape.tokens.push(Token::Fraction);
        Ok(())
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
        // serde_json lends a part of the text that it reads, so that the distance of the pointers is the position.
        let start = value.as_ptr().addr() - self.text.as_ptr().addr();
        self.tape.tokens.push(Token::Text { file: self.file, start: start as u32, length: value.len() as u32 });
        Ok(())
    }

    // Called for a text with escapes, which serde_json unescapes into a buffer that it uses again.
    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        let start = self.tape.unescaped.len() as u32;
        self.tape.unescaped.push_str(value);
        self.tape.tokens.push(Token::Unescaped { start, length: value.len() as u32 });
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.enclose(
            |length| Token::List { length },
            |writer| {
                // The seed writes each item to the tape; its value is the unit.
                while items.next_element_seed(writer.inner())?.is_some() {}
                Ok(())
            },
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let file = self.file;
        self.enclose(
            |length| Token::Object { file, length },
            |writer| {
                while members.next_key_seed(writer.inner())?.is_some() {
                    members.next_value_seed(writer.inner())?;
                }
                Ok(())
            },
        )
    }
}
