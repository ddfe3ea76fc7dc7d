//! Raw values: the JSON of the data-model files in the order of the file, not yet interpreted.
//!
//! ```text
//! text ──Tape::read──▶ tokens side by side ◀──refers to── Raw (copied only where a file overlays another)
//! ```
//!
//! A gateway has little memory, and the allocator never returns memory to the system if it lies between longer-lived
//! blocks of the heap. So a file becomes one vector of small tokens that is freed as a whole, texts are borrowed from
//! the file, and no node has an allocation of its own.

use std::rc::Rc;

use crate::json::JsonType;
use tape::Span;

mod tape;

pub(crate) use tape::MMAP_THRESHOLD;
pub(crate) use tape::Tape;

/// The room for the members of an object that is copied; few have more.
const USUAL_MEMBERS: usize = 8;

/// A JSON value of a file, or of several files that overlay each other.
#[derive(Clone, Debug)]
pub(crate) enum Raw<'t> {
    Null,
    Boolean(bool),
    Number(Number),
    Text(&'t str),
    List(List<'t>),
    Object(Object<'t>),
}

/// A JSON number. The format has no member that is a fraction, so that its value is not kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Integer(i128),
    Fraction,
}

/// The nodes that overlays remove.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// The paths, with `{i}` for the templates of tables.
    paths: Vec<String>,
    /// The path of the present object, with a dot at its end.
    place: String,
}

impl Removed {
    /// Returns true if the node at a path is removed, or one around it.
    pub(super) fn has(&self, path: &str) -> bool {
        let is_in = |removed: &String| {
            path.strip_prefix(removed.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.paths.iter().any(is_in)
    }
}

/// The items of a JSON list.
#[derive(Clone, Debug)]
pub(crate) struct List<'t>(Span<'t>);

impl<'t> List<'t> {
    /// Returns the items in the order of the file.
    pub(crate) fn items(&self) -> impl Iterator<Item = Raw<'t>> + use<'t> {
        let mut span = self.0;
        std::iter::from_fn(move || span.next_value())
    }
}

/// The members of a JSON object, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Object<'t> {
    /// The number of the last file that has this object, for error messages.
    pub(super) file: usize,
    members: Members<'t>,
}

/// The members of an object and the place where they are kept.
#[derive(Clone, Debug)]
enum Members<'t> {
    /// The tokens of one file.
    Read(Span<'t>),
    /// A list of their own, which has the members of several files.
    Merged(Rc<Vec<(&'t str, Raw<'t>)>>),
}

impl<'t> Raw<'t> {
    /// Overlays this value with `over`: objects member by member, any other value is replaced.
    ///
    /// A text that overlays an object is its member `value`: the short form of a parameter.
    fn overlay(&mut self, over: Raw<'t>, removed: &mut Removed) {
        match (self, over) {
            (Raw::Object(base), Raw::Object(over)) => base.overlay(&over, removed),
            // A vendor writes `"URL": "http://…"` to change the default of a parameter and nothing else.
            (Raw::Object(base), text @ Raw::Text(_)) => base.overlay_member("value", text, removed),
            (base, over) => *base = over,
        }
    }

    /// Returns true for a parameter that counts the instances of a table.
    fn counts(&self, table: &str) -> bool {
        matches!(self, Raw::Object(object) if matches!(object.get("counts"), Some(Raw::Text(counted)) if counted == table))
    }

    /// Returns the JSON type, for error messages.
    pub(crate) fn json_type(&self) -> JsonType {
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
    /// Creates an object without members, for files to overlay.
    pub(super) fn empty() -> Object<'t> {
        Object { file: 0, members: Members::Merged(Rc::default()) }
    }

    /// Returns the members in the order of the file; those that an overlay adds come last.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'t str, Raw<'t>)> + use<'t> {
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

    /// Returns the member of this name.
    pub(super) fn get(&self, name: &str) -> Option<Raw<'t>> {
        match &self.members {
            Members::Read(span) => span.find(name),
            Members::Merged(merged) => merged.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()),
        }
    }

    /// Returns this object with its members in a list. [`Object::get`] on the tokens of a file skips over every value
    /// before the member, which is slow if many members are read.
    pub(super) fn collected(&self) -> Object<'t> {
        let mut collected = self.clone();
        collected.merged();
        collected
    }

    /// Overlays this object with another: nodes member by member; a member that describes a node is replaced. `null` removes
    /// either.
    /// `removed` takes the paths of nodes that are removed.
    pub(super) fn overlay(&mut self, over: &Object<'t>, removed: &mut Removed) {
        // An error in the merged object is reported for the last file: the earlier ones loaded without it.
        self.file = over.file;
        let first = removed.paths.len();
        over.members().for_each(|(name, value)| self.overlay_member(name, value, removed));
        // At the end, since the overlay may remove the parameter that counts a table itself.
        let paths = &removed.paths[first.min(removed.paths.len())..];
        let tables =
            paths.iter().filter_map(|path| path.strip_prefix(&removed.place)).filter(|name| !name.contains('.'));
        for table in tables {
            self.merged().retain(|(_, value)| !value.counts(table));
        }
    }

    fn overlay_member(&mut self, name: &'t str, value: Raw<'t>, removed: &mut Removed) {
        let merged = self.merged();
        let present = merged.iter().position(|(n, _)| *n == name);
        match present.map(|at| &mut merged[at]) {
            // Without a member to remove, the null is kept: the reader of the name refuses it as misspelt, unless it is an instance.
            Some(_) if matches!(value, Raw::Null) => {
                merged.retain(|(n, _)| *n != name);
                if is_node(name) {
                    removed.paths.push(format!("{}{name}", removed.place));
                }
            }
            // A list such as `enum` is replaced as a whole, since an overlay could not remove an item otherwise.
            Some((_, below)) if is_node(name) => {
                let length = removed.place.len();
                removed.place.push_str(name);
                removed.place.push('.');
                below.overlay(value, removed);
                removed.place.truncate(length);
            }
            Some((_, below)) => *below = value,
            None => merged.push((name, value)),
        }
    }

    /// Returns the members as a list, to which it copies the tokens of a file.
    fn merged(&mut self) -> &mut Vec<(&'t str, Raw<'t>)> {
        if let Members::Read(_) = self.members {
            let mut merged = Vec::with_capacity(USUAL_MEMBERS);
            // Texts stay borrowed and lists stay spans of the tape: a member costs one small copy.
            merged.extend(self.members());
            self.members = Members::Merged(Rc::new(merged));
        }
        // The list is shared with clones of this object until one of them is changed.
        let Members::Merged(merged) = &mut self.members else { unreachable!("the members were just merged") };
        Rc::make_mut(merged)
    }
}

/// Returns true if a member's name is that of a node (`Hosts`, `{i}`, `12`) rather than a word that describes one
/// (`type`). The actions and the reloads of a device overlay each other as nodes do.
pub(super) fn is_node(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_lowercase()) || matches!(name, "actions" | "download" | "reloads" | "upload")
}
