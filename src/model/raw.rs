//! Data-model files as they were written: JSON in the order of the file, before it has a meaning.
//!
//! ```text
//! text ──Tape::read──▶ tokens side by side ◀──looks into── Raw (copied only where files are laid over each other)
//! ```
//!
//! A gateway has little memory, and what stands in the heap between longer-lived things is never given back to the
//! system. So a file becomes one vector of small tokens that goes as a whole, the texts are borrowed from the file, and
//! no node is allocated for itself.

use std::fmt;
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// From this size on, the allocators of Linux keep a vector in pages of its own, which go back to the system when it is
/// dropped: 128 KiB and a little. Pages that are not touched cost nothing.
pub(crate) const MMAP_THRESHOLD: usize = 132 << 10;

/// JSON spends at least this many bytes of a data model on a token, more or less.
const BYTES_PER_TOKEN: usize = 8;

/// Few objects have more members.
const USUAL_MEMBERS: usize = 8;

/// One file: the tokens of its values, each followed by those of what it holds.
#[derive(Debug)]
pub(super) struct Tape<'f> {
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
    pub(super) fn read(text: &'f str, file: usize) -> Result<Tape<'f>, serde_json::Error> {
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
    pub(super) fn root(&self) -> Raw<'_> {
        self.value(0)
    }

    /// How many objects there are.
    pub(super) fn objects(&self) -> usize {
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
struct Span<'t> {
    tape: &'t Tape<'t>,
    at: u32,
    end: u32,
}

impl<'t> Span<'t> {
    fn next_value(&mut self) -> Option<Raw<'t>> {
        (self.at < self.end).then(|| {
            let value = self.at;
            self.at = self.tape.end_of(value);
            self.tape.value(value)
        })
    }

    /// The first member of this name; the values of others are not looked at.
    fn find(self, name: &str) -> Option<Raw<'t>> {
        let mut at = self.at;
        while at < self.end {
            if self.tape.text(at) == name {
                return Some(self.tape.value(at + 1));
            }
            at = self.tape.end_of(at + 1);
        }
        None
    }

    fn next_member(&mut self) -> Option<(&'t str, Raw<'t>)> {
        (self.at < self.end).then(|| {
            let (name, value) = (self.at, self.at + 1);
            self.at = self.tape.end_of(value);
            (self.tape.text(name), self.tape.value(value))
        })
    }
}

/// A JSON value.
#[derive(Clone, Debug)]
pub(super) enum Raw<'t> {
    Null,
    Boolean(bool),
    Number(Number),
    Text(&'t str),
    List(List<'t>),
    Object(Object<'t>),
}

/// A JSON number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Integer(i128),
    Fraction,
}

/// The items of a list.
#[derive(Clone, Debug)]
pub(super) struct List<'t>(Span<'t>);

impl<'t> List<'t> {
    pub(super) fn items(&self) -> impl Iterator<Item = Raw<'t>> + use<'t> {
        let mut span = self.0;
        std::iter::from_fn(move || span.next_value())
    }
}

/// The members of an object, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Object<'t> {
    /// The last file that wrote something here, for error messages.
    pub(super) file: usize,
    members: Members<'t>,
}

#[derive(Clone, Debug)]
enum Members<'t> {
    /// As a file has them.
    Read(Span<'t>),
    /// In a list of their own, with what other files laid over them.
    Merged(Rc<Vec<(&'t str, Raw<'t>)>>),
}

impl<'t> Raw<'t> {
    /// Lays `over` on this value: objects member by member, anything else is replaced.
    ///
    /// A plain text laid over an object is its `value` (the short form of an instance's parameter).
    fn overlay(&mut self, over: Raw<'t>) {
        match (self, over) {
            (Raw::Object(base), Raw::Object(over)) => base.overlay(&over),
            (Raw::Object(base), text @ Raw::Text(_)) => base.overlay_member("value", text),
            (base, over) => *base = over,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Raw::Null => "null",
            Raw::Boolean(_) => "a boolean",
            Raw::Number(_) => "a number",
            Raw::Text(_) => "a string",
            Raw::List(_) => "a list",
            Raw::Object(_) => "an object",
        }
    }
}

impl<'t> Object<'t> {
    /// An object without members, on which files can be laid.
    pub(super) fn empty() -> Object<'t> {
        Object { file: 0, members: Members::Merged(Rc::default()) }
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&'t str, Raw<'t>)> + use<'t> {
        let mut members = self.members.clone();
        let mut at = 0;
        std::iter::from_fn(move || match &mut members {
            Members::Read(span) => span.next_member(),
            Members::Merged(merged) => {
                at += 1;
                merged.get(at - 1).cloned()
            }
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<Raw<'t>> {
        match &self.members {
            Members::Read(span) => span.find(name),
            Members::Merged(merged) => merged.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()),
        }
    }

    /// The same with its members side by side, for one that is asked for many of them.
    pub(super) fn collected(&self) -> Object<'t> {
        let mut collected = self.clone();
        collected.merged();
        collected
    }

    /// Lays another object on this one: nodes member by member, what describes a node is replaced.
    pub(super) fn overlay(&mut self, over: &Object<'t>) {
        self.file = over.file;
        over.members().for_each(|(name, value)| self.overlay_member(name, value));
    }

    fn overlay_member(&mut self, name: &'t str, value: Raw<'t>) {
        let merged = self.merged();
        match merged.iter_mut().find(|(n, _)| *n == name) {
            Some((_, below)) if is_node(name) => below.overlay(value),
            Some((_, below)) => *below = value,
            None => merged.push((name, value)),
        }
    }

    /// The members as a list of their own.
    fn merged(&mut self) -> &mut Vec<(&'t str, Raw<'t>)> {
        if let Members::Read(_) = self.members {
            let mut merged = Vec::with_capacity(USUAL_MEMBERS);
            merged.extend(self.members());
            self.members = Members::Merged(Rc::new(merged));
        }
        let Members::Merged(merged) = &mut self.members else { unreachable!("they were just made one") };
        Rc::make_mut(merged)
    }
}

/// Whether a member's name is that of a node (`Hosts`, `{i}`, `12`) rather than a word that describes one (`type`).
/// The actions of a device are laid over each other like nodes.
pub(super) fn is_node(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_lowercase()) || matches!(name, "actions" | "download" | "upload")
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
