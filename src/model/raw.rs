//! Data-model files as they were written: JSON in the order of the file, before it has a meaning.
//!
//! ```text
//! text ──Tape::read──▶ tokens side by side ◀──looks into── Raw (copied only where files are laid over each other)
//! ```
//!
//! A gateway has little memory, and what stands in the heap between longer-lived things is never given back to the
//! system. So a file becomes one vector of small tokens that goes as a whole, the texts are borrowed from the file, and
//! no node is allocated for itself.

use std::rc::Rc;

use crate::json::JsonType;
use tape::Span;

mod tape;

pub(crate) use tape::MMAP_THRESHOLD;
pub(super) use tape::Tape;

/// Few objects have more members.
const USUAL_MEMBERS: usize = 8;

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

    pub(super) fn json_type(&self) -> JsonType {
        match self {
            Raw::Null => JsonType::Null,
            Raw::Boolean(_) => JsonType::Boolean,
            Raw::Number(_) => JsonType::Number,
            Raw::Text(_) => JsonType::String,
            Raw::List(_) => JsonType::List,
            Raw::Object(_) => JsonType::Object,
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
