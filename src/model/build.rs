//! Builds the [`Schema`] from the raw values: reads every member of every node, and rejects those that are wrong. A wrong
//! member is noted and left out, so that one run finds all mistakes.
//!
//! | file | part |
//! |---|---|
//! | `build.rs` | objects and tables |
//! | `build/parameter.rs` | parameters and their facets |
//! | `build/member.rs` | single members, such as a flag or a number |
//! | `build/needs.rs` | objects that only some devices have |
//! | `build/source.rs` | the sources of nodes on the device |
//! | `build/kind.rs` | the kinds of these sources |
//! | `build/follows.rs` | tables that have the rows and sources of another one |
//! | `build/field.rs` | the fields of these sources that parameters have |
//! | `build/uci.rs` | the sources of UCI packages |
//! | `build/writing.rs` | the ways in which sources and fields are set |

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::facets::{Facets, PatternCache};
use super::intern::{Interner, NameInterner};
use super::load_error::JsonLocation;
use super::path::{instance_number, is_name};
use super::raw::{Object, Raw, Removed, is_node};
use super::reloads::Reloads;
use super::schema::{
    Children, Contains, Node, NodeId, NodeKind, Omitted, Reference, Schema, ScopeSize, Spec, TableSpec, table_path,
};
use super::source::DEFAULT_MAX_ROWS;
use crate::json::escape;
use crate::mistake::Mistake;

mod field;
mod follows;
mod kind;
mod member;
mod needs;
mod parameter;
mod source;
#[cfg(test)]
mod tests;
mod ubus;
mod uci;
mod writing;

pub(super) use kind::ARE_BUILT;
use member::{OBJECT_MEMBERS, TABLE_MEMBERS};
use source::SourceBuilder;

/// The most levels of a model; the official ones have ten. The limit bounds the recursion of the agent.
const MAX_DEPTH: usize = 32;

/// The schema under construction.
pub(super) struct SchemaBuilder<'a> {
    location: JsonLocation<'a>,
    names: NameInterner<'a>,
    nodes: Vec<Node>,
    /// The descriptions of parameters, of which many are equal.
    specs: Interner<Spec>,
    scopes: Vec<ScopeSize>,
    /// The facets and references, which parameters with different names and values share. Facets have the types for which
    /// they were checked, a bit for each.
    facets: FxHashMap<Rc<Facets>, u16>,
    references: FxHashSet<Rc<Reference>>,
    /// The lists of targets, with the file and the pointer of the first parameter that has each.
    targets: Vec<(usize, String, Rc<Reference>)>,
    sources: SourceBuilder<'a>,
    /// The node that is being built.
    node: NodeId,
    patterns: &'a PatternCache,
    /// Returns true if a path is on this device.
    is_there: &'a dyn Fn(&str) -> bool,
    omitted: Vec<Omitted>,
    reloads: &'a Reloads,
    /// The nodes that overlays remove, to which nothing leads any more.
    removed: &'a Removed,
    /// The conditions that an operator should correct.
    warnings: Vec<String>,
}

/// The result of reading a part of the files.
type Built<T> = Result<T, Mistake>;

/// The names of the tables among siblings, with their indexes in the scope.
type Tables<'a> = Vec<(&'a str, u32)>;

impl<'a> SchemaBuilder<'a> {
    /// Creates a builder at the root object. `objects` is the number of JSON objects in the files, which is at least that of the nodes.
    pub(super) fn new(
        location: JsonLocation<'a>,
        objects: usize,
        patterns: &'a PatternCache,
        is_there: &'a dyn Fn(&str) -> bool,
        reloads: &'a Reloads,
        removed: &'a Removed,
    ) -> SchemaBuilder<'a> {
        SchemaBuilder {
            location,
            // An estimate: most names and descriptions occur several times, and a map grows in steps of two.
            names: NameInterner::with_capacity(objects / 4),
            nodes: Vec::with_capacity(objects),
            specs: Interner::with_capacity(objects / 4),
            scopes: vec![ScopeSize::default()],
            facets: FxHashMap::default(),
            references: FxHashSet::default(),
            targets: Vec::new(),
            sources: SourceBuilder::default(),
            node: 0,
            patterns,
            is_there,
            omitted: Vec::new(),
            reloads,
            removed,
            warnings: Vec::new(),
        }
    }

    /// Builds the schema of the root object. Also returns the conditions that an operator should correct.
    pub(super) fn build(mut self, root: &'a str, raw: &Raw<'a>) -> Built<(Schema, Vec<String>)> {
        let node = self.new_node(root);
        self.nodes.push(node);
        let Raw::Object(object) = raw else {
            return Err(self.error(0, "", format!("an object is needed, not {}", raw.json_type())));
        };
        if object.get("type").is_some() || object.get("{i}").is_some() {
            return Err(self.error(object.file, "", "the root is an object, neither a parameter nor a table"));
        }
        self.check_members(object, OBJECT_MEMBERS);
        self.omit(object);
        let children = self.children(object, 0, 0);
        self.nodes[0].kind = NodeKind::Object(children);
        self.nodes[0].contains = self.contains(children);
        let paths = std::mem::take(&mut self.sources.paths);
        let mut schema = Schema {
            names: self.names.into_text(),
            nodes: self.nodes.into(),
            specs: self.specs.into_list(),
            scopes: self.scopes.into(),
            bindings: self.sources.finish(),
            omitted: self.omitted.into(),
        };
        schema.omit_counters();
        schema.find_aliases();
        // At the end, since a target may stand behind the parameter that refers to it.
        for (file, pointer, reference) in &self.targets {
            let is_known = |table: &str| schema.has_table(table) || self.removed.has(table_path(table));
            for unknown in reference.targets.iter().flatten().filter(|table| !is_known(table)) {
                let location = JsonLocation { pointer: pointer.clone(), ..self.location };
                location.reject_at(*file, "/targets", &format!("no table `{unknown}` in this model"));
            }
        }
        for (file, pointer, table, name) in paths {
            let node = schema.bound_table(&table);
            let is_removed = |path: &str| self.removed.has(path);
            if is_removed(table_path(&table)) || is_removed(&format!("{table}{{i}}.{name}")) {
                continue;
            }
            if node.is_none_or(|node| !name.is_empty() && !schema.has_field(node, &name)) {
                let location = JsonLocation { pointer, ..self.location };
                let reason = match node {
                    None => format!("`{table}` is no table with a source"),
                    Some(_) => format!("an instance of `{table}` has no parameter `{name}` with a source"),
                };
                location.note::<()>(Err(location.error_at(file, "/path", reason)));
            }
        }
        Ok((schema, self.warnings))
    }

    /// Builds the children of one object or template as consecutive nodes, and then everything below each of them.
    fn children(&mut self, raw: &Object<'a>, scope: usize, depth: usize) -> Children {
        if depth > MAX_DEPTH {
            self.reject(raw.file, "", &format!("more than {MAX_DEPTH} levels"));
            return Children::default();
        }
        let first = self.nodes.len();
        let mut tables = Tables::new();
        for (name, value) in nodes(raw) {
            // A longer name fits no path of 256 characters (R176).
            let is_valid = is_name(name) && name.len() <= 255;
            if !is_valid {
                self.reject(raw.file, &pointer(name), "not a valid name of an object or parameter");
            }
            // The length of a longer name does not fit its field.
            let node = self.new_node(if is_valid { name } else { "" });
            self.nodes.push(node);
            // Tables are numbered in this first pass, so that a parameter can count a table that stands behind it.
            if matches!(&value, Raw::Object(object) if is_table(object)) {
                tables.push((name, self.scopes[scope].tables));
                self.scopes[scope].tables += 1;
            }
        }
        let count = self.nodes.len() - first;
        for (id, (name, value)) in (first..).zip(nodes(raw)) {
            let outside = self.location.enter(name);
            self.node = id as NodeId;
            let node = self.node(&value, raw, scope, depth, &tables, name);
            // A node with a mistake stays an empty object.
            if let Some((kind, contains)) = self.note(node) {
                self.nodes[id].contains = contains;
                self.nodes[id].kind = kind;
            }
            self.location.leave(outside);
        }
        Children { first: first as NodeId, count: count as u32 }
    }

    /// Builds one child with everything below it; returns its kind, and the flags of its parameters.
    fn node(
        &mut self,
        value: &Raw<'a>,
        parent: &Object<'a>,
        scope: usize,
        depth: usize,
        tables: &Tables<'_>,
        name: &str,
    ) -> Built<(NodeKind, Contains)> {
        let Raw::Object(object) = value else {
            let reason = format!("a parameter with a `type` or an object is needed, not {}", value.json_type());
            return Err(self.error(parent.file, "", reason));
        };
        // The member `type` alone tells a parameter from an object.
        if object.get("type").is_some() {
            return Ok(self.parameter(object, scope, tables));
        }
        let node = self.node;
        self.nodes[node as usize].is_omitted = self.omit(object);
        if let Some(index) = table_index(tables, name) {
            let table = self.table(object, index, depth);
            let contains = self.contains(table.children);
            let own = Contains::SOURCE.when(self.sources.has_table(node));
            return Ok((NodeKind::Table(table), contains.and(own)));
        }
        self.check_members(object, OBJECT_MEMBERS);
        // R192: an object with one instance cannot be added or deleted, so that `readWrite` is a mistake.
        if self.note(self.writable(object)) == Some(true) {
            self.reject(object.file, "/access", "only a table (with a template `{i}`) can be readWrite");
        }
        let has_source = self.enter_source(object, None);
        let children = self.children(object, scope, depth + 1);
        if has_source {
            self.leave_source();
        }
        Ok((NodeKind::Object(children), self.contains(children)))
    }

    /// Builds a table from its template; the instances of the factory state are left to the loader.
    fn table(&mut self, raw: &Object<'a>, index: u32, depth: usize) -> TableSpec {
        self.check_members(raw, TABLE_MEMBERS);
        let node = self.node;
        for (name, _) in nodes(raw) {
            self.reject(raw.file, &pointer(name), "a table holds its template `{i}` and instances, nothing else");
        }
        // An instance is a scope of its own, with slots and tables counted from 0.
        let scope = self.scopes.len();
        self.scopes.push(ScopeSize::default());
        let has_source = self.enter_source(raw, Some(node));
        let children = match raw.get("{i}") {
            Some(Raw::Object(template)) => self.template(&template, scope, depth),
            _ => {
                self.reject(raw.file, "", "a table needs its template `{i}`");
                Children::default()
            }
        };
        if has_source {
            self.leave_source();
        }
        let most = if has_source { DEFAULT_MAX_ROWS } else { u32::MAX };
        let max_entries = self.note(self.bound(raw, "maxEntries")).flatten().unwrap_or(most);
        // The device makes the rows of its sources. AddObject and DeleteObject can where the model says how.
        let is_open = !has_source || self.sources.can_add(node);
        let writable = self.note(self.writable(raw)).unwrap_or_default() && is_open;
        TableSpec { children, index, scope: scope as u32, writable, max_entries, alias: None }
    }

    /// Builds the template of a table. It is not a node of its own: access and limits belong to the table.
    fn template(&mut self, template: &Object<'a>, scope: usize, depth: usize) -> Children {
        let outside = self.location.enter("{i}");
        self.check_members(template, &[]);
        for (name, _) in template.members().filter(|(name, _)| is_instance(name)) {
            self.reject(template.file, &pointer(name), "an instance belongs beside the template, not in it");
        }
        let children = self.children(template, scope, depth + 1);
        self.location.leave(outside);
        children
    }

    /// Returns the flags of all children together.
    fn contains(&self, children: Children) -> Contains {
        children.range().fold(Contains::default(), |all, id| all.and(self.nodes[id as usize].contains))
    }

    /// Returns a node of this name, whose kind is set once its children are built.
    fn new_node(&mut self, name: &'a str) -> Node {
        let name_start = self.names.intern(name);
        Node {
            name_start,
            name_length: name.len() as u16,
            contains: Contains::default(),
            is_omitted: false,
            kind: NodeKind::Object(Children::default()),
        }
    }

    fn error(&self, file: usize, pointer: &str, reason: impl Into<String>) -> Mistake {
        self.location.error_at(file, pointer, reason)
    }

    /// Notes a mistake after which the builder can go on.
    fn reject(&self, file: usize, pointer: &str, reason: &str) {
        self.location.reject_at(file, pointer, reason);
    }

    /// Returns the value that was read, or notes the mistake.
    fn note<T>(&self, read: Built<T>) -> Option<T> {
        self.location.note(read)
    }
}

/// Returns the objects, tables and parameters in an object or template.
fn nodes<'t>(raw: &Object<'t>) -> impl Iterator<Item = (&'t str, Raw<'t>)> + use<'t> {
    raw.members().filter(|(name, _)| is_node(name) && !is_instance(name))
}

fn table_index(tables: &Tables<'_>, name: &str) -> Option<u32> {
    tables.iter().find(|(table, _)| *table == name).map(|(_, index)| *index)
}

/// Returns true if a member of a table is its template or an instance.
fn is_instance(name: &str) -> bool {
    name == "{i}" || instance_number(name).is_some()
}

/// Returns true if an object of the file is a table: it has a template or an instance, and is no parameter.
fn is_table(raw: &Object<'_>) -> bool {
    raw.get("type").is_none() && raw.members().any(|(name, _)| is_instance(name))
}

/// Returns the JSON pointer to a member, relative to its object.
fn pointer(name: &str) -> String {
    format!("/{}", escape(name))
}
