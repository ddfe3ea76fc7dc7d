//! The schema: the description of every node by the data-model files, without any instance.
//!
//! ```text
//! Schema ── nodes: one for each object, table and parameter; the children of a node are consecutive
//!        ├─ specs: the descriptions of parameters, shared by parameters with equal descriptions
//!        └─ scopes: the number of values and tables in the root and in an instance of each table
//! ```
//!
//! A *scope* is the root or an instance of a table, with everything below it that is not in a further table. Each
//! parameter has a slot number in its scope and each table an index, so that a [`Tree`](super::tree::Tree) is a vector
//! of values a scope: no name is stored twice and no node is a map.

use std::ops::Range;
use std::rc::Rc;

use super::attributes::ActiveNotify;
use super::facets::{Facets, PatternCache, check_default_length};
use super::path::instance_number;
use super::source::Bindings;
use super::value::{Type, Value, ValueError};
use crate::suggest::hint;

/// The immutable description of a device's data model.
#[derive(Debug)]
pub struct Schema {
    // Boxed slices and one text for all names: four allocations for the whole model, which never grows.
    pub(super) names: Box<str>,
    pub(super) nodes: Box<[Node]>,
    pub(super) specs: Box<[Spec]>,
    pub(super) scopes: Box<[ScopeSize]>,
    /// The sources of values on the device; `None` in a model without any.
    pub(super) bindings: Option<Box<Bindings>>,
    /// The objects and tables that this device does not have.
    pub(super) omitted: Box<[Omitted]>,
}

/// An object or table that a device does not have, because a path that it needs is missing.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Omitted {
    /// The path of the object, with `{i}` for the numbers of the instances above it.
    pub path: String,
    /// The path on the device that is missing.
    pub missing: String,
}

impl Omitted {
    /// Returns the notice for people.
    pub fn notice(&self) -> String {
        format!("{} is left out: {} is missing", self.path, self.missing)
    }
}

/// The number of a node.
pub(super) type NodeId = u32;

/// The name of the parameter by which a path may name an instance (R317).
pub(super) const ALIAS: &str = "Alias";

/// The number of the root object, which is the first node.
pub(super) const ROOT: NodeId = 0;

/// The children of a node, which are consecutive nodes.
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

/// Flags of the parameters in a part of the schema, so that a walk for some of them skips the other parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contains(u8);

impl Contains {
    /// A parameter in it is sent in every Inform (R103 to R105).
    pub(super) const INFORM: Contains = Contains(1);
    /// A parameter in it is a reference whose values are checked: a strong one, or one with targets (R173).
    pub(super) const REFERENCE: Contains = Contains(2);
    /// A parameter or a table in it has a source.
    pub(super) const SOURCE: Contains = Contains(4);
    /// A parameter in it has notification without a request of the ACS (R106, R107).
    pub(super) const NOTIFIES: Contains = Contains(8);

    /// Returns `flag` if it is set, or no flag.
    pub(super) fn when(self, is_set: bool) -> Contains {
        if is_set { self } else { Contains::default() }
    }

    /// Returns the flags of both parts together.
    pub(super) fn and(self, other: Contains) -> Contains {
        Contains(self.0 | other.0)
    }

    /// Returns true if one of these flags is set.
    pub(super) fn has(self, flags: Contains) -> bool {
        self.0 & flags.0 != 0
    }
}

/// An object, table or parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    // The name is a range of `Schema::names`: 6 bytes instead of a string with an allocation for each node.
    pub(super) name_start: u32,
    pub(super) name_length: u16,
    /// The flags of the node and everything below it.
    pub(super) contains: Contains,
    /// True if the device does not have the object or table, or the table that the parameter counts.
    pub(super) is_omitted: bool,
    pub(super) kind: NodeKind,
}

/// The kind of a node.
#[derive(Clone, Copy, Debug)]
pub(super) enum NodeKind {
    /// An object with one instance only.
    Object(Children),
    /// An object with any number of instances.
    Table(TableSpec),
    /// A parameter: its slot in the scope, and the index of its description.
    Parameter { slot: u32, spec: u32 },
}

/// The description of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableSpec {
    /// The nodes of the template `{i}`.
    pub(super) children: Children,
    /// The index among the tables of the scope to which this table belongs.
    pub(super) index: u32,
    /// The index of the scope that an instance is.
    pub(super) scope: u32,
    /// True if instances may be added and deleted.
    pub(super) writable: bool,
    /// The most instances; `u32::MAX` without `maxEntries` in the file.
    pub(super) max_entries: u32,
    /// The slot of the parameter `Alias` in an instance, by which a path may name the instance (R317).
    pub(super) alias: Option<u32>,
}

/// The number of values and tables that a scope holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ScopeSize {
    // Known before the first instance, so that the vectors of a scope are allocated once and never grow.
    pub(super) slots: u32,
    pub(super) tables: u32,
}

/// The description of a parameter, shared by all parameters with an equal one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// The type of the value; of a list, the type of its items.
    pub kind: Type,
    /// True if the ACS may set the parameter.
    pub writable: bool,
    /// True if the ACS reads the null value instead of the value (R175).
    pub hidden: bool,
    /// True if every Inform carries the parameter (R103 to R105).
    pub inform: bool,
    /// The rule for active notification (R201, R202).
    pub active_notify: ActiveNotify,
    /// The value in a new instance, and in the factory state of the device (R215).
    pub default: Value,
    /// The index of the table whose instances are the value, for a parameter such as `HostNumberOfEntries`.
    pub(super) counted_table: Option<u32>,
    // Shared: specs that differ in their default only have the same facets and the same reference.
    pub(super) facets: Option<Rc<Facets>>,
    pub(super) reference: Option<Rc<Reference>>,
}

impl Spec {
    /// Returns true if the value is the number of instances of a table.
    pub fn is_count(&self) -> bool {
        self.counted_table.is_some()
    }

    /// Reads a literal and checks it against the type and the facets.
    pub fn parse(&self, text: &str) -> Result<Value, ValueError> {
        self.parse_with(text, &PatternCache::default())
    }

    /// Reads a literal as [`Spec::parse`] does, with a cache of compiled patterns.
    pub(super) fn parse_with(&self, text: &str, patterns: &PatternCache) -> Result<Value, ValueError> {
        match &self.facets {
            Some(facets) => facets.parse(self.kind, text, patterns),
            // Most parameters have no facets, and so nothing but their type to check.
            None => check_default_length(text).and_then(|()| self.kind.parse(text)),
        }
    }

    /// Returns the reason of a wrong value for a local user: with the allowed values or the pattern of the model.
    pub fn explain(&self, reason: &ValueError, text: &str) -> String {
        match (&self.facets, reason) {
            (Some(facets), ValueError::NotInEnumeration) => {
                let allowed: Vec<&str> = facets.enumeration.iter().map(|allowed| &**allowed).collect();
                format!("`{text}` is {reason}{}", hint(text, &allowed, "values", ""))
            }
            (Some(facets), ValueError::Pattern) => {
                format!("{reason}: `{}`", facets.pattern.as_deref().unwrap_or_default())
            }
            _ => reason.to_string(),
        }
    }

    /// Returns true if values are comma-separated lists.
    pub fn is_list(&self) -> bool {
        self.facets.as_ref().is_some_and(|facets| facets.list)
    }

    /// Returns true if values are paths of objects or parameters.
    pub fn is_reference(&self) -> bool {
        self.reference.is_some()
    }

    /// Returns the type of the whole value in an envelope: a list is a string.
    pub fn wire_type(&self) -> Type {
        if self.is_list() { Type::String } else { self.kind }
    }
}

/// The rule for a parameter whose value is the path of an object or parameter (R173).
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reference {
    /// True if the target must be present.
    pub(super) strong: bool,
    /// The tables whose instances the value may name, with `{i}` for numbers; `None` if it may name any object. The
    /// list may be empty: then no value but the empty one is valid.
    pub(super) targets: Option<Box<[Box<str>]>>,
}

impl Reference {
    /// Returns true if the rule prohibits some paths.
    pub(super) fn is_checked(&self) -> bool {
        self.strong || self.targets.is_some()
    }
}

impl Schema {
    /// Returns true if a table has this path, with `{i}` for the numbers of the instances above it.
    pub(super) fn has_table(&self, path: &str) -> bool {
        let path = table_path(path);
        let mut segments = path.split('.');
        if segments.next() != Some(self.name(ROOT)) {
            return false;
        }
        let mut kind = self.node(ROOT).kind;
        for segment in segments {
            kind = match kind {
                NodeKind::Object(children) => match self.child(children, segment) {
                    Some(child) => self.node(child).kind,
                    None => return false,
                },
                NodeKind::Table(table) if segment == "{i}" => NodeKind::Object(table.children),
                _ => return false,
            };
        }
        matches!(kind, NodeKind::Table(_))
    }

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
        // Objects have a dozen children as a rule: a search through them needs no map, and few names have the same length.
        let length = name.len();
        children.range().find(|&id| usize::from(self.node(id).name_length) == length && self.name(id) == name)
    }

    /// Returns the node of a path, in which numbers stand for any instance; the instances need not be present.
    pub(super) fn node_at(&self, path: &str) -> Option<NodeId> {
        let mut segments = path.trim_end_matches('.').split('.');
        if segments.next() != Some(self.name(ROOT)) {
            return None;
        }
        let (mut node, mut children) = (ROOT, None);
        for segment in segments {
            match (children.take(), self.node(node).kind) {
                // An instance: the names below it are those of the template.
                (Some(template), _) => node = self.child(template, segment)?,
                (None, NodeKind::Object(children)) => node = self.child(children, segment)?,
                (None, NodeKind::Table(table)) => {
                    instance_number(segment)?;
                    children = Some(table.children);
                }
                (None, NodeKind::Parameter { .. }) => return None,
            }
        }
        // The path of an instance is that of no node.
        children.is_none().then_some(node)
    }

    /// Returns the description of a parameter, in whose name numbers stand for any instance.
    pub fn description(&self, name: &str) -> Option<&Spec> {
        match self.node(self.node_at(name).filter(|_| !name.ends_with('.'))?).kind {
            NodeKind::Parameter { spec, .. } => Some(self.spec(spec)),
            _ => None,
        }
    }

    /// Returns true if the instances of a table are the rows of a source.
    pub(super) fn has_rows(&self, node: NodeId) -> bool {
        self.bindings.as_ref().is_some_and(|bindings| bindings.table(node).is_some())
    }

    /// Returns true if the instances of a table have a parameter of this name with a source.
    pub(super) fn has_field(&self, table: NodeId, name: &str) -> bool {
        let NodeKind::Table(spec) = self.node(table).kind else { return false };
        let bindings = self.bindings.as_ref();
        let is_field = |id: NodeId| self.name(id) == name && bindings.is_some_and(|all| all.field(id).is_some());
        spec.children.range().any(is_field)
    }

    /// Returns the node of a table whose instances are the rows of a source.
    pub(super) fn bound_table(&self, path: &str) -> Option<NodeId> {
        self.node_at(path).filter(|node| self.has_rows(*node))
    }

    /// Returns true if a parameter has its value from a source.
    pub fn is_bound_parameter(&self, name: &str) -> bool {
        let Some(bindings) = &self.bindings else { return false };
        self.node_at(name).is_some_and(|node| bindings.field(node).is_some())
    }

    /// Returns the index in the scope of the table whose instances a node counts.
    pub(super) fn counted_table(&self, id: NodeId) -> Option<u32> {
        match self.node(id).kind {
            NodeKind::Parameter { spec, .. } => self.spec(spec).counted_table,
            _ => None,
        }
    }

    /// Leaves out the parameters that count the instances of a table which the device does not have.
    pub(super) fn omit_counters(&mut self) {
        for parent in 0..if self.omitted.is_empty() { 0 } else { self.nodes.len() } {
            let (NodeKind::Object(children) | NodeKind::Table(TableSpec { children, .. })) = self.nodes[parent].kind
            else {
                continue;
            };
            for table in children.range() {
                let NodeKind::Table(TableSpec { index, .. }) = self.node(table).kind else { continue };
                if self.node(table).is_omitted {
                    let counts = |id: &NodeId| self.counted_table(*id) == Some(index);
                    let counters: Vec<NodeId> = children.range().filter(counts).collect();
                    counters.into_iter().for_each(|id| self.nodes[id as usize].is_omitted = true);
                }
            }
        }
    }

    /// Notes in each table the slot of the parameter by which a path may name an instance (R317).
    pub(super) fn find_aliases(&mut self) {
        for node in 0..self.nodes.len() {
            let NodeKind::Table(mut table) = self.nodes[node].kind else { continue };
            let found = self.child(table.children, ALIAS).map(|id| self.node(id).kind);
            if let Some(NodeKind::Parameter { slot, spec }) = found
                && self.spec(spec).wire_type() == Type::String
            {
                table.alias = Some(slot);
                self.nodes[node].kind = NodeKind::Table(table);
            }
        }
    }

    /// Returns the objects and tables that this device does not have.
    pub fn omitted(&self) -> &[Omitted] {
        &self.omitted
    }

    /// Returns the number of parameters that the files describe. A parameter of a table's template counts once.
    pub fn parameter_count(&self) -> usize {
        self.nodes.iter().filter(|node| matches!(node.kind, NodeKind::Parameter { .. })).count()
    }
}

/// Returns the path of a table without its dot. The data models of the Broadband Forum write a table with and without
/// `{i}` at its end; the models here write it without.
pub(super) fn table_path(target: &str) -> &str {
    let path = target.trim_end_matches('.');
    path.strip_suffix(".{i}").unwrap_or(path)
}
