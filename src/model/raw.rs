//! Raw values: the JSON of the data-model files in the order of the file, not yet interpreted.
//!
//! ```text
//! text ──Tape::read──▶ tokens side by side ──Tape::overlaid──▶ tokens of all files ◀──refers to── Raw
//! ```
//!
//! A gateway has little memory, and the allocator never returns memory to the system if it lies between longer-lived
//! blocks of the heap. So a file, and all files that overlay each other, become one vector of small tokens that is freed as a
//! whole, texts are borrowed from the files, and no node has an allocation of its own.

use crate::json::JsonType;
use tape::Span;

mod overlay;
mod tape;

pub(crate) use tape::MMAP_THRESHOLD;
pub(crate) use tape::Tape;

/// A JSON value of a file, or of several files that overlay each other.
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'t>(Span<'t>);

impl<'t> List<'t> {
    /// Returns the items in the order of the file.
    pub(crate) fn items(&self) -> impl Iterator<Item = Raw<'t>> + use<'t> {
        let mut span = self.0;
        std::iter::from_fn(move || span.next_value())
    }
}

/// The members of a JSON object, in the order of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'t> {
    /// The number of the last file that has this object, for error messages.
    pub(super) file: usize,
    members: Span<'t>,
}

impl<'t> Raw<'t> {
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
    /// Returns the members in the order of the file; those that an overlay adds come last.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'t str, Raw<'t>)> + use<'t> {
        let mut members = self.members;
        std::iter::from_fn(move || members.next_member())
    }

    /// Returns the member of this name.
    pub(super) fn get(&self, name: &str) -> Option<Raw<'t>> {
        self.members.find(name)
    }
}

/// Returns true if a member's name is that of a node (`Hosts`, `{i}`, `12`) rather than a word that describes one
/// (`type`). The actions and the reloads of a device overlay each other as nodes do.
pub(super) fn is_node(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_lowercase()) || matches!(name, "actions" | "download" | "reloads" | "upload")
}
