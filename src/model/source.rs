//! Sources: where the device keeps the values of parameters and the rows of tables. `docs/data-model.md` describes the
//! members of the format.
//!
//! ```text
//! `source` in a file ──build/source.rs──▶ Source, Field ──tree/refresh.rs──▶ Query ──driver──▶ Answer ──▶ literals
//! ```
//!
//! | file | part |
//! |---|---|
//! | `source.rs` | sources and fields as the schema holds them |
//! | `source/provider.rs` | the names of the providers of the agent |
//! | `source/query.rs` | a question to the device, and its answer |
//! | `source/row.rs` | the texts of an instance |
//! | `source/template.rs` | texts with placeholders such as `{key}` |
//! | `source/convert.rs`, `source/reverse.rs` | the text of the device becomes a literal, and the other way |
//! | `source/excerpt.rs` | one value, or the rows of a table, in the text of a file |
//! | `source/blob.rs` | the values in an answer of the bus of OpenWrt |
//! | `source/path.rs` | paths to these values |
//! | `source/ubus.rs` | calls on that bus |
//! | `source/view.rs`, `source/view/write.rs` | values that several fields have together, and the other way |
//! | `source/uci.rs` | the sections of a UCI package |
//! | `source/uci/edit.rs` | changes of a UCI package |
//! | `source/write.rs` | a text that the device must hold |
//!
//! A *source* is all that one access to the device answers: a file, a process, a list of the kernel. A *field* is one value in
//! its answer. A *row* is what becomes one instance of a table, and has a *key* that stays the same when its place changes.

use std::rc::Rc;

use super::schema::NodeId;
use super::value::Value;

pub mod blob;
pub mod convert;
pub mod excerpt;
pub(super) mod path;
pub mod provider;
pub mod query;
mod reverse;
mod row;
mod template;
mod ubus;
pub mod uci;
mod view;
mod write;

pub(super) use convert::{Conversion, Form, TextMap};
pub(super) use excerpt::{Excerpt, Item};
pub(super) use provider::Provider;
pub use query::{Answer, Answers, Argument, Query, Response, Target, Watching};
pub use row::Row;
pub(super) use template::{Blank, Template};
pub(super) use ubus::{Arguments, Call, SetCall, is_object_name};
pub(super) use view::{MAX_FIELDS, VIEWS, View, ViewId};
pub use write::{OptionForm, Place, Write};

/// The seconds after which an access counts as hung, unless the source gives `limit`.
pub(super) const DEFAULT_LIMIT: u32 = 5;

/// The most seconds for which an answer may serve later requests.
pub(super) const MAX_AGE: u32 = 3600;

/// The most instances of a table with a source, unless the model gives `maxEntries`: the answer is foreign, and memory is
/// scarce.
pub(super) const DEFAULT_MAX_ROWS: u32 = 256;

/// The index of a source.
pub(super) type SourceId = u32;

/// All sources of a model, with the nodes that they serve.
#[derive(Debug, Default)]
pub struct Bindings {
    sources: Box<[Source]>,
    /// The scopes of the sources, in their order.
    scopes: Box<[AnswerScope]>,
    /// The tables whose instances are the rows of a source, ascending by node.
    pub(super) tables: Box<[(NodeId, TableBinding)]>,
    /// The parameters whose values are fields, ascending by node.
    pub(super) fields: Box<[Field]>,
}

impl Bindings {
    /// Creates the sources of a model. The tables and fields are ascending by node.
    pub(super) fn new(sources: Vec<Source>, tables: Vec<(NodeId, TableBinding)>, fields: Vec<Field>) -> Bindings {
        let scopes = sources.iter().map(Source::scope).collect();
        Bindings { sources: sources.into(), scopes, tables: tables.into(), fields: fields.into() }
    }

    /// Returns the source whose rows are the instances of a table.
    pub(super) fn table(&self, node: NodeId) -> Option<&TableBinding> {
        let at = self.tables.binary_search_by_key(&node, |(node, _)| *node).ok()?;
        Some(&self.tables[at].1)
    }

    /// Returns the field whose value a parameter has.
    pub(super) fn field(&self, node: NodeId) -> Option<&Field> {
        self.field_at(node).map(|(_, field)| field)
    }

    /// Returns that field with its place in the list.
    pub(super) fn field_at(&self, node: NodeId) -> Option<(usize, &Field)> {
        let at = self.fields.binary_search_by_key(&node, |field| field.node).ok()?;
        Some((at, &self.fields[at]))
    }

    /// Returns all sources.
    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }

    pub(super) fn source(&self, id: SourceId) -> &Source {
        &self.sources[id as usize]
    }

    /// Returns the scope of a source, which each field of each row needs.
    pub(super) fn scope(&self, id: SourceId) -> AnswerScope {
        self.scopes[id as usize]
    }
}

/// The rows of a table for which an answer of a source is the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerScope {
    /// True if the query is the same for all rows.
    pub(super) is_constant: bool,
    /// True if one question for the answer is all that the fields of the rows need: neither the question nor the place of the
    /// fields depends on other answers.
    pub(super) is_asked_once: bool,
    /// True if all rows have their fields from the same part of the same answer.
    pub(super) has_one_part: bool,
}

/// One access to the device.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) location: Location,
    pub(super) pick: Pick,
    /// The seconds after which the access counts as hung.
    pub(super) limit: u32,
    /// The seconds for which an answer may serve later requests.
    pub(super) age: u32,
    /// True if a request for the values fails when the source does.
    pub(super) fault: bool,
    pub(super) watching: Watching,
    pub(super) writing: Writing,
}

/// The ways in which the agent changes the values of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Writing {
    /// True if fields can be set.
    pub(super) sets: bool,
    /// True if the program has the verb `check`.
    pub(super) checks: bool,
    /// True if the program has the verbs `add` and `delete`.
    pub(super) adds: bool,
    /// True if a new file takes the place of the old one.
    pub(super) replaces: bool,
    /// The name of the reload by which the device begins to use new texts; `None` if it does so at once.
    pub(super) reload: Option<Box<str>>,
}

/// The kind of a source, and the place on the device.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A file by its path; the regular expression of the rows, for a table.
    File { path: Template, rows: Option<Box<str>> },
    /// A program with its arguments, and the names of the fields that parameters take from it.
    Exec { command: Box<[Box<str>]>, fields: Vec<Box<str>> },
    /// A provider of the agent, with its argument.
    BuiltIn { provider: &'static Provider, argument: Option<Template> },
    /// A call on the bus of OpenWrt.
    Ubus(Box<Call>),
    /// A UCI package; the options that tell the anonymous sections of a table apart.
    Uci { package: Box<str>, identity: Option<uci::Identity> },
}

/// The row of an answer that has the fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// The only row.
    Only,
    /// The row with this key.
    At(Template),
    /// The row that the instance is: the number is the depth of its table among the tables with a source, from 0.
    Row(usize),
}

impl Source {
    /// Returns the rows of a table for which an answer is the same.
    fn scope(&self) -> AnswerScope {
        let is_constant = match &self.location {
            Location::File { path, .. } => path.is_constant(),
            Location::BuiltIn { argument, .. } => argument.as_ref().is_none_or(Template::is_constant),
            Location::Exec { .. } => !matches!(self.pick, Pick::At(_)),
            Location::Ubus(call) => call.is_constant(),
            Location::Uci { .. } => true,
        };
        let is_free = |blank: &Blank| !matches!(blank, Blank::Field(..));
        let (is_placed, is_same_row) = match &self.pick {
            Pick::Only => (true, true),
            Pick::At(key) => (key.blanks().all(is_free), key.is_constant()),
            // A program is asked for the rows that it has listed.
            Pick::Row(_) => (!matches!(self.location, Location::Exec { .. }), false),
        };
        let (has_part, has_blanks) = match &self.location {
            Location::Ubus(call) => (call.blanks().all(is_free), call.blanks().next().is_some()),
            _ => (true, false),
        };
        AnswerScope {
            is_constant,
            is_asked_once: is_constant && is_placed && has_part,
            has_one_part: is_constant && is_same_row && !has_blanks,
        }
    }

    /// Returns the UCI package whose sections are rows, and what tells anonymous ones apart.
    pub(super) fn sections(&self) -> Option<(String, Option<uci::Identity>)> {
        match &self.location {
            Location::Uci { package, identity } => Some((package.to_string(), identity.clone())),
            Location::BuiltIn { provider, .. } => {
                provider::sections(provider.name).map(|(package, identity)| (package.to_owned(), Some(identity)))
            }
            _ => None,
        }
    }

    /// Returns true for an object of the bus that the device may lack.
    pub(super) fn is_optional(&self) -> bool {
        matches!(&self.location, Location::Ubus(call) if call.is_optional)
    }
}

/// The name of a field, and the texts of which a row must have one there.
pub(super) type Condition = (Box<str>, Box<[Template]>);

/// The rows of a table.
#[derive(Debug)]
pub(super) struct TableBinding {
    pub(super) source: SourceId,
    /// The rows that count: each named field has one of the texts.
    pub(super) conditions: Box<[Condition]>,
    /// True if the rows come and go by themselves, so that their numbers are not written at each change.
    pub(super) loose: bool,
    /// The instance numbers that rows of certain keys have.
    pub(super) pins: Box<[(u32, Box<str>)]>,
    /// The path of the table whose instances it has too.
    pub(super) follows: Option<Box<str>>,
    /// The row that AddObject creates.
    pub(super) add: Option<NewRow>,
}

/// A row that AddObject creates.
#[derive(Clone, Debug)]
pub(super) enum NewRow {
    /// A section of a UCI package.
    Section(Box<NewSection>),
    /// The row of a program.
    Program,
}

/// A section of a UCI package that becomes a row.
#[derive(Clone, Debug)]
pub(super) struct NewSection {
    pub(super) section_type: Box<str>,
    /// The name, with `{number}` for that of the instance.
    pub(super) name: Box<str>,
    /// The options with their values, in which `{parent}` is the key of the row that holds the table.
    pub(super) options: Box<[(Box<str>, Template)]>,
}

/// Values with their texts on the device; `None` if nothing is written.
pub(super) type WrittenTexts = Box<[(Box<str>, Option<Template>)]>;

/// The way from a text of the device to an instance.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RowPath {
    text: Box<str>,
    /// The ends of the path of the table, and of the begin, in the text.
    table: u16,
    begin: u16,
}

impl RowPath {
    /// Reads `TABLE.*`, `TABLE.begin*` or `TABLE.*.Parameter`.
    pub(super) fn parse(text: &str) -> Option<RowPath> {
        let (before, name) = text.split_once('*')?;
        let is_name = name.is_empty() || (name.starts_with('.') && name.len() > 1);
        let (table, begin) = (before.rfind('.').filter(|_| is_name)? + 1, before.len());
        Some(RowPath { text: text.into(), table: table.try_into().ok()?, begin: begin.try_into().ok()? })
    }

    /// Returns the path of the table.
    pub(super) fn table(&self) -> &str {
        &self.text[..self.table.into()]
    }

    /// Returns the begin of the texts that lead to this table.
    pub(super) fn begin(&self) -> &str {
        &self.text[self.table.into()..self.begin.into()]
    }

    /// Returns the parameter of the instance that has the rest of the text; empty if the rest is the key of the row.
    pub(super) fn name(&self) -> &str {
        self.text.get(usize::from(self.begin) + 2..).unwrap_or_default()
    }
}

/// The texts that the device takes, which may hold others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    /// A regular expression that the whole text matches, or each word of a list.
    pub(super) pattern: Option<Box<str>>,
    /// The most bytes.
    pub(super) bytes: Option<u32>,
}

impl Allowed {
    /// Returns the reason for which a text must not be written.
    pub(super) fn refusal(&self, text: &str, is_list: bool) -> Option<String> {
        if let Some(most) = self.bytes.filter(|most| text.len() > *most as usize) {
            return Some(format!("the device takes at most {most} bytes, and letters may have several"));
        }
        // The loader has compiled it, so that it is valid.
        let pattern = regex_lite::Regex::new(&format!("^(?:{})$", self.pattern.as_deref()?)).ok()?;
        let is_good = if is_list { text.split(' ').all(|word| pattern.is_match(word)) } else { pattern.is_match(text) };
        (!is_good).then(|| "the device takes no such text".to_owned())
    }
}

/// One value in the answer of a source.
#[derive(Debug)]
pub(super) struct Field {
    /// The parameter.
    pub(super) node: NodeId,
    pub(super) source: SourceId,
    pub(super) excerpt: Excerpt,
    // Shared: a model has hundreds of fields, and few ways to values.
    pub(super) mapping: Rc<Mapping>,
}

/// The way from the text of a field to a value, and back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mapping {
    /// The value where the device has no such field; the null value of the type without it.
    pub(super) absent: Option<Value>,
    pub(super) conversion: Conversion,
    /// The texts for values, where they are not the reverse of the conversion; `None` if nothing is written.
    pub(super) writes: WrittenTexts,
    /// The texts that may be written; `None` if all may.
    pub(super) allowed: Option<Box<Allowed>>,
    /// The tables whose row with this key or name is the value: the field is a reference.
    pub(super) path: Box<[RowPath]>,
    /// The method on the bus of OpenWrt that sets the field.
    pub(super) call: Option<Box<SetCall>>,
}

impl Field {
    /// Returns true if the value is a part of texts of the device.
    pub(super) fn is_part(&self) -> bool {
        self.mapping.conversion.pattern.is_some() || matches!(self.excerpt, Excerpt::View(..) | Excerpt::Item(..))
    }

    /// Returns the sources whose answers have the value.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceId> {
        let further: &[(SourceId, Excerpt)] = if let Excerpt::View(_, fields) = &self.excerpt { fields } else { &[] };
        [self.source].into_iter().chain(further.iter().map(|(source, _)| *source))
    }
}
