//! Data-model files as they were written: JSON in the order of the file, before it has a meaning.
//!
//! A file is read without building a map a node, because a gateway has little memory; the texts are borrowed from it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Clone, Debug)]
pub(super) enum Raw<'f> {
    Null,
    Boolean(bool),
    Number(Number),
    Text(Cow<'f, str>),
    List(Vec<Raw<'f>>),
    Object(Object<'f>),
}

/// A JSON number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Integer(i128),
    Fraction,
}

/// The members of an object, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Object<'f> {
    /// The last file that wrote something here, for error messages.
    pub(super) file: usize,
    pub(super) members: Vec<(Cow<'f, str>, Raw<'f>)>,
}

impl<'f> Raw<'f> {
    /// Reads one file; `file` is its number among the files that are laid over each other.
    pub(super) fn parse(text: &'f str, file: usize) -> Result<Raw<'f>, serde_json::Error> {
        let mut raw: Raw<'f> = serde_json::from_str(text)?;
        raw.stamp(file);
        Ok(raw)
    }

    fn stamp(&mut self, file: usize) {
        if let Raw::Object(object) = self {
            object.file = file;
            object.members.iter_mut().for_each(|(_, value)| value.stamp(file));
        }
    }

    /// Lays `over` on this value: objects member by member, anything else is replaced.
    ///
    /// A plain text laid over an object is its `value` (the short form of an instance's parameter).
    pub(super) fn lay_over(&mut self, over: Raw<'f>) {
        match (self, over) {
            (Raw::Object(base), Raw::Object(over)) => {
                base.file = over.file;
                for (name, value) in over.members {
                    match base.members.iter_mut().find(|(n, _)| *n == name) {
                        Some((_, below)) if is_node(&name) => below.lay_over(value),
                        Some((_, below)) => *below = value,
                        None => base.members.push((name, value)),
                    }
                }
            }
            (Raw::Object(base), text @ Raw::Text(_)) => base.set("value", text),
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

impl<'f> Object<'f> {
    pub(super) fn get(&self, name: &str) -> Option<&Raw<'f>> {
        self.members.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    fn set(&mut self, name: &'static str, value: Raw<'f>) {
        match self.members.iter_mut().find(|(n, _)| n == name) {
            Some((_, below)) => *below = value,
            None => self.members.push((name.into(), value)),
        }
    }
}

/// Whether a member's name is that of a node (`Hosts`, `{i}`, `12`) rather than a word that describes one (`type`).
/// The actions of a device are laid over each other like nodes.
pub(super) fn is_node(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_lowercase()) || matches!(name, "actions" | "download" | "upload")
}

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Raw<'de>, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw<'de>, E> {
        Ok(Raw::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw<'de>, E> {
        Ok(Raw::Number(Number::Integer(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw<'de>, E> {
        Ok(Raw::Number(Number::Integer(value.into())))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw<'de>, E> {
        Ok(Raw::Number(Number::Fraction))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Raw<'de>, E> {
        Ok(Raw::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw<'de>, E> {
        Ok(Raw::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Raw<'de>, A::Error> {
        let mut object = Object::default();
        while let Some((Name(name), value)) = members.next_entry::<Name<'de>, Raw<'de>>()? {
            object.members.push((name, value));
        }
        Ok(Raw::Object(object))
    }
}

/// A member's name, borrowed where it holds no escape.
struct Name<'f>(Cow<'f, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Raw::deserialize(deserializer)? {
            Raw::Text(name) => Ok(Name(name)),
            _ => Err(serde::de::Error::custom("a member's name is a string")),
        }
    }
}
