//! What the data-model files say of every node, without any instance: names, types, access, facets.
//!
//! ```text
//! Schema ── nodes: one for each object, table and parameter; a node's children stand side by side
//!        ├─ specs: what describes a parameter, shared by those that are alike
//!        └─ scopes: what an instance of a table (or the root) holds outside tables of its own
//! ```
//!
//! A *scope* is the root or an instance of a table, with everything below it that is not in a further table. Each
//! parameter has a slot number in its scope and each table an index, so that a [`Tree`](super::tree::Tree) is a vector
//! of values a scope: no name is stored twice and no node is a map.

use std::ops::Range;
use std::rc::Rc;

use super::attributes::ActiveNotify;
use super::facets::{Facets, PatternCache};
use super::value::{Type, Value, ValueError};

/// The immutable description of a device's data model.
#[derive(Debug)]
pub struct Schema {
    pub(super) names: Box<str>,
    pub(super) nodes: Box<[Node]>,
    pub(super) specs: Box<[Spec]>,
    pub(super) scopes: Box<[ScopeSize]>,
}

/// The number of a node.
pub(super) type NodeId = u32;

/// The root object is the first node.
pub(super) const ROOT: NodeId = 0;

/// Children of a node: consecutive nodes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Children {
    pub(super) first: NodeId,
    pub(super) count: u32,
}

impl Children {
    pub(super) fn range(self) -> Range<NodeId> {
        self.first..self.first + self.count
    }
}

/// What some walks look for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contains {
    /// A parameter that is sent in every Inform.
    pub(super) inform: bool,
    /// A strong reference (R173).
    pub(super) strong_reference: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) name_start: u32,
    pub(super) name_length: u16,
    /// What there is in here, so that a walk that looks for that need not visit the others.
    pub(super) contains: Contains,
    pub(super) kind: NodeKind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum NodeKind {
    Object(Children),
    Table(TableSpec),
    Parameter { slot: u32, spec: u32 },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct TableSpec {
    /// The nodes of the template `{i}`.
    pub(super) children: Children,
    /// Index among the tables of the scope that this table stands in.
    pub(super) index: u32,
    /// What an instance holds.
    pub(super) scope: u32,
    /// Whether instances may be added and deleted.
    pub(super) writable: bool,
    /// Most instances; `u32::MAX` where nothing is said.
    pub(super) max_entries: u32,
}

/// How many values and tables a scope holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ScopeSize {
    pub(super) slots: u32,
    pub(super) tables: u32,
}

/// The description of a parameter, or of many alike.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Its type; of the items where it is a list.
    pub kind: Type,
    /// Whether the ACS may set it.
    pub writable: bool,
    /// Whether it reads back as the null value (R175).
    pub hidden: bool,
    /// Whether it is sent in every Inform (R103 to R105).
    pub inform: bool,
    /// Its rule for active notification.
    pub active_notify: ActiveNotify,
    /// The value that a new instance, or the device from the factory, has.
    pub default: Value,
    pub(super) counted_table: Option<u32>,
    pub(super) facets: Option<Rc<Facets>>,
    pub(super) reference: Option<Rc<Reference>>,
}

impl Spec {
    /// Reads a literal and holds it against the facets.
    pub fn parse(&self, text: &str) -> Result<Value, ValueError> {
        self.parse_with(text, &PatternCache::default())
    }

    /// As [`Spec::parse`], with patterns that may have been compiled before.
    pub(super) fn parse_with(&self, text: &str, patterns: &PatternCache) -> Result<Value, ValueError> {
        match &self.facets {
            Some(facets) => facets.parse(self.kind, text, patterns),
            None => self.kind.parse(text),
        }
    }

    /// Whether values are comma-separated lists.
    pub fn is_list(&self) -> bool {
        self.facets.as_ref().is_some_and(|facets| facets.list)
    }

    /// Whether values are paths of objects or parameters.
    pub fn is_reference(&self) -> bool {
        self.reference.is_some()
    }

    /// The type of the whole value on the wire: a list is a string.
    pub fn wire_type(&self) -> Type {
        if self.is_list() { Type::String } else { self.kind }
    }
}

/// A parameter whose value is the path of an object or parameter (R173).
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reference {
    /// Whether the target must exist.
    pub(super) strong: bool,
    /// The tables whose instances it may name, with `{i}` for numbers. Empty: anything.
    pub(super) targets: Box<[Box<str>]>,
}

impl Schema {
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub(super) fn name(&self, id: NodeId) -> &str {
        let node = self.node(id);
        let start = node.name_start as usize;
        &self.names[start..start + node.name_length as usize]
    }

    pub(super) fn spec(&self, spec: u32) -> &Spec {
        &self.specs[spec as usize]
    }

    pub(super) fn child(&self, children: Children, name: &str) -> Option<NodeId> {
        children.range().find(|&id| self.name(id) == name)
    }

    /// The table, by its index in the scope, whose instances a node counts.
    pub(super) fn counted_table(&self, id: NodeId) -> Option<u32> {
        match self.node(id).kind {
            NodeKind::Parameter { spec, .. } => self.spec(spec).counted_table,
            _ => None,
        }
    }

    /// How many parameters the files describe; those of a table's template count once.
    pub fn parameter_count(&self) -> usize {
        self.nodes.iter().filter(|node| matches!(node.kind, NodeKind::Parameter { .. })).count()
    }
}
