//! Builds the [`Schema`]: every member of every node is read here, and refused where it is wrong.

use std::rc::Rc;

use rustc_hash::FxHashSet;

use super::attributes::ActiveNotify;
use super::intern::{Interner, NameInterner};
use super::load::{JsonLocation, LoadError, ModelFile, escape};
use super::path::{instance_number, is_name};
use super::raw::{Number, Object, Raw, is_node};
use super::schema::{Children, Contains, Node, NodeId, NodeKind, Reference, Schema, ScopeSize, Spec, TableSpec};
use super::value::{Facets, PatternCache, Type};

/// Deeper models are refused; the official ones have ten levels.
const MAX_DEPTH: usize = 32;

/// The schema under construction.
pub(super) struct SchemaBuilder<'a> {
    location: JsonLocation<'a>,
    names: NameInterner<'a>,
    nodes: Vec<Node>,
    /// Many parameters have the same.
    specs: Interner<Spec>,
    scopes: Vec<ScopeSize>,
    /// What many specs have in common.
    facets: FxHashSet<Rc<Facets>>,
    references: FxHashSet<Rc<Reference>>,
    patterns: &'a PatternCache,
}

type Built<T> = Result<T, LoadError>;

/// The tables among siblings, with their indexes in the scope.
type Tables<'a> = Vec<(&'a str, u32)>;

impl<'a> SchemaBuilder<'a> {
    /// `objects`: how many nodes there are at most.
    pub(super) fn new(
        root: &str,
        files: &'a [ModelFile],
        objects: usize,
        patterns: &'a PatternCache,
    ) -> SchemaBuilder<'a> {
        SchemaBuilder {
            location: JsonLocation { files, pointer: format!("/{root}") },
            names: NameInterner::with_capacity(objects / 4),
            nodes: Vec::with_capacity(objects),
            specs: Interner::with_capacity(objects / 4),
            scopes: vec![ScopeSize::default()],
            facets: FxHashSet::default(),
            references: FxHashSet::default(),
            patterns,
        }
    }

    /// The schema of the root object.
    pub(super) fn build(mut self, root: &'a str, raw: &Raw<'a>) -> Built<Schema> {
        let node = self.new_node(root);
        self.nodes.push(node);
        let Raw::Object(object) = raw else {
            return Err(self.error(0, "", format!("an object is needed, not {}", raw.kind())));
        };
        if object.get("type").is_some() || object.get("{i}").is_some() {
            return Err(self.error(object.file, "", "the root is an object, neither a parameter nor a table"));
        }
        self.check_members(object, OBJECT_MEMBERS)?;
        let children = self.children(object, 0, 0)?;
        self.nodes[0].kind = NodeKind::Object(children);
        self.nodes[0].contains = self.contains(children);
        Ok(Schema {
            names: self.names.into_text(),
            nodes: self.nodes.into(),
            specs: self.specs.into_list(),
            scopes: self.scopes.into(),
        })
    }

    /// The children of one object or template, side by side; then everything below each of them.
    fn children(&mut self, raw: &Object<'a>, scope: usize, depth: usize) -> Built<Children> {
        if depth > MAX_DEPTH {
            return Err(self.error(raw.file, "", format!("more than {MAX_DEPTH} levels")));
        }
        let first = self.nodes.len();
        let mut tables = Tables::new();
        for (name, value) in nodes(raw) {
            if !is_name(name) || name.len() > 255 {
                return Err(self.error(raw.file, &pointer(name), "not a valid name of an object or parameter"));
            }
            let node = self.new_node(name);
            if self.nodes[first..].iter().any(|earlier| earlier.name_start == node.name_start) {
                return Err(self.error(raw.file, &pointer(name), "given twice"));
            }
            self.nodes.push(node);
            // The tables are numbered before anything else, so that a parameter can count one that comes later.
            if matches!(&value, Raw::Object(object) if is_table(object)) {
                tables.push((name, self.scopes[scope].tables));
                self.scopes[scope].tables += 1;
            }
        }
        let count = self.nodes.len() - first;
        for (id, (name, value)) in (first..).zip(nodes(raw)) {
            let outside = self.location.enter(name);
            let (kind, contains) = self.node(&value, raw, scope, depth, &tables, name)?;
            self.nodes[id].contains = contains;
            self.nodes[id].kind = kind;
            self.location.leave(outside);
        }
        Ok(Children { first: first as NodeId, count: count as u32 })
    }

    /// What a child is, and whether a parameter in it is sent in every Inform.
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
            let reason = format!("a parameter with a `type` or an object is needed, not {}", value.kind());
            return Err(self.error(parent.file, "", reason));
        };
        if object.get("source").is_some() {
            let reason = "this build has no sources: every value is kept by the agent itself";
            return Err(self.error(object.file, "/source", reason));
        }
        if object.get("type").is_some() {
            return self.parameter(&object.collected(), scope, tables);
        }
        if let Some(index) = table_index(tables, name) {
            let table = self.table(object, index, depth)?;
            return Ok((NodeKind::Table(table), self.contains(table.children)));
        }
        self.check_members(object, OBJECT_MEMBERS)?;
        if self.writable(object)? {
            let reason = "only a table (with a template `{i}`) can be readWrite";
            return Err(self.error(object.file, "/access", reason));
        }
        let children = self.children(object, scope, depth + 1)?;
        Ok((NodeKind::Object(children), self.contains(children)))
    }

    fn table(&mut self, raw: &Object<'a>, index: u32, depth: usize) -> Built<TableSpec> {
        self.check_members(raw, &["access", "maxEntries"])?;
        if let Some((name, _)) = nodes(raw).next() {
            return Err(self.error(
                raw.file,
                &pointer(name),
                "a table holds its template `{i}` and instances, nothing else",
            ));
        }
        let Some(Raw::Object(template)) = raw.get("{i}") else {
            return Err(self.error(raw.file, "", "a table needs its template `{i}`"));
        };
        let scope = self.scopes.len();
        self.scopes.push(ScopeSize::default());
        let outside = self.location.enter("{i}");
        self.check_members(&template, &[])?;
        if let Some((name, _)) = template.members().find(|(name, _)| is_instance(name)) {
            return Err(self.error(template.file, &pointer(name), "an instance stands beside the template, not in it"));
        }
        let children = self.children(&template, scope, depth + 1)?;
        self.location.leave(outside);
        let max_entries = self.bound(raw, "maxEntries")?.unwrap_or(u32::MAX);
        Ok(TableSpec { children, index, scope: scope as u32, writable: self.writable(raw)?, max_entries })
    }

    fn parameter(&mut self, raw: &Object<'_>, scope: usize, tables: &Tables<'_>) -> Built<(NodeKind, Contains)> {
        self.check_members(raw, PARAMETER_MEMBERS)?;
        if let Some((name, _)) = raw.members().find(|(name, _)| is_node(name)) {
            return Err(self.error(raw.file, &pointer(name), "a parameter (a node with a `type`) holds no nodes"));
        }
        let kind = self.text(raw, "type")?.and_then(Type::from_name);
        let Some(kind) = kind else { return Err(self.error(raw.file, "/type", "not a type")) };
        let mut spec = Spec {
            kind,
            writable: self.writable(raw)?,
            hidden: self.flag(raw, "hidden")?,
            inform: self.flag(raw, "inform")?,
            active_notify: self.active_notify(raw)?,
            default: kind.null(),
            counted_table: self.counted_table(raw, tables)?,
            facets: self.facets(raw, kind)?,
            reference: self.reference(raw)?,
        };
        spec.default = spec.wire_type().null();
        if let Some(text) = self.text(raw, "value")? {
            spec.default = spec
                .parse_with(text, self.patterns)
                .map_err(|reason| self.error(raw.file, "/value", reason.to_string()))?;
        }
        self.check_counts(raw, &spec)?;
        let slot = self.scopes[scope].slots;
        self.scopes[scope].slots += 1;
        let strong_reference = spec.reference.as_ref().is_some_and(|reference| reference.strong);
        let contains = Contains { inform: spec.inform, strong_reference };
        Ok((NodeKind::Parameter { slot, spec: self.specs.intern(spec) }, contains))
    }

    fn counted_table(&self, raw: &Object<'_>, tables: &Tables<'_>) -> Built<Option<u32>> {
        match self.text(raw, "counts")? {
            Some(table) => match table_index(tables, table) {
                Some(index) => Ok(Some(index)),
                None => Err(self.error(raw.file, "/counts", format!("no table `{table}` beside this parameter"))),
            },
            None => Ok(None),
        }
    }

    fn check_counts(&self, raw: &Object<'_>, spec: &Spec) -> Built<()> {
        if spec.counted_table.is_none() {
            return Ok(());
        }
        if spec.kind != Type::UnsignedInt || spec.writable || spec.is_list() {
            return Err(self.error(raw.file, "/counts", "only a read-only unsignedInt can count instances"));
        }
        match raw.get("value") {
            Some(_) => Err(self.error(raw.file, "/value", "it counts instances, so that it has no value of its own")),
            None => Ok(()),
        }
    }

    fn active_notify(&self, raw: &Object<'_>) -> Built<ActiveNotify> {
        match self.text(raw, "notify")? {
            None => Ok(ActiveNotify::Normal),
            Some("forceEnabled") => Ok(ActiveNotify::ForceEnabled),
            Some("forceDefaultEnabled") => Ok(ActiveNotify::ForceDefaultEnabled),
            Some("canDeny") => Ok(ActiveNotify::CanDeny),
            Some(_) => {
                Err(self.error(raw.file, "/notify", "`forceEnabled`, `forceDefaultEnabled` or `canDeny` is needed"))
            }
        }
    }

    fn facets(&mut self, raw: &Object<'_>, kind: Type) -> Built<Option<Rc<Facets>>> {
        let facets = Facets {
            min_length: self.bound(raw, "minLength")?,
            max_length: self.bound(raw, "maxLength")?,
            min: self.number(raw, "min")?,
            max: self.number(raw, "max")?,
            enumeration: self.texts(raw, "enum")?,
            pattern: self.text(raw, "pattern")?.map(Into::into),
            list: self.flag(raw, "list")?,
            max_items: self.bound(raw, "maxItems")?,
        };
        if facets == Facets::default() {
            return Ok(None);
        }
        if let Some(shared) = self.facets.get(&facets) {
            return Ok(Some(Rc::clone(shared)));
        }
        self.check_facets(raw, kind, &facets)?;
        let shared = Rc::new(facets);
        self.facets.insert(Rc::clone(&shared));
        Ok(Some(shared))
    }

    fn check_facets(&self, raw: &Object<'_>, kind: Type, facets: &Facets) -> Built<()> {
        let numeric = matches!(kind, Type::Int | Type::UnsignedInt | Type::Long | Type::UnsignedLong | Type::Decimal);
        let of_texts = matches!(kind, Type::String | Type::Base64 | Type::HexBinary);
        if !numeric && (facets.min.is_some() || facets.max.is_some()) {
            let member = if facets.min.is_some() { "/min" } else { "/max" };
            return Err(self.error(raw.file, member, format!("a {} has no range", kind.name())));
        }
        if !of_texts && (facets.min_length.is_some() || facets.max_length.is_some()) {
            let member = if facets.min_length.is_some() { "/minLength" } else { "/maxLength" };
            return Err(self.error(raw.file, member, format!("a {} has no length", kind.name())));
        }
        if facets.min.zip(facets.max).is_some_and(|(min, max)| min > max) {
            return Err(self.error(raw.file, "/min", "more than `max`"));
        }
        if facets.min_length.zip(facets.max_length).is_some_and(|(min, max)| min > max) {
            return Err(self.error(raw.file, "/minLength", "more than `maxLength`"));
        }
        if facets.max_items.is_some() && !facets.list {
            return Err(self.error(raw.file, "/maxItems", "only a `list` has items"));
        }
        for allowed in &facets.enumeration {
            let wrong = |reason| self.error(raw.file, "/enum", format!("`{allowed}`: {reason}"));
            kind.parse(allowed).map_err(wrong)?;
        }
        match facets.pattern.as_deref().map(|pattern| self.patterns.compile(pattern)) {
            Some(Err(reason)) => Err(self.error(raw.file, "/pattern", format!("not a regular expression: {reason}"))),
            _ => Ok(()),
        }
    }

    fn reference(&mut self, raw: &Object<'_>) -> Built<Option<Rc<Reference>>> {
        let strong = match self.text(raw, "reference")? {
            Some("strong") => true,
            Some("weak") => false,
            Some(_) => return Err(self.error(raw.file, "/reference", "`strong` or `weak` is needed")),
            None if raw.get("targets").is_some() => {
                return Err(self.error(raw.file, "/targets", "only a `reference` has targets"));
            }
            None => return Ok(None),
        };
        let reference = Reference { strong, targets: self.texts(raw, "targets")? };
        if let Some(shared) = self.references.get(&reference) {
            return Ok(Some(Rc::clone(shared)));
        }
        let shared = Rc::new(reference);
        self.references.insert(Rc::clone(&shared));
        Ok(Some(shared))
    }
}

const OBJECT_MEMBERS: &[&str] = &["access"];

const PARAMETER_MEMBERS: &[&str] = &[
    "type",
    "access",
    "value",
    "minLength",
    "maxLength",
    "min",
    "max",
    "enum",
    "pattern",
    "list",
    "maxItems",
    "hidden",
    "inform",
    "notify",
    "counts",
    "reference",
    "targets",
];

/// Readers of single members.
impl<'a> SchemaBuilder<'a> {
    fn check_members(&self, raw: &Object<'_>, known: &[&str]) -> Built<()> {
        let mut described = raw.members().map(|(name, _)| name).filter(|name| !is_node(name));
        match described.find(|name| !known.contains(name)) {
            // What is meant for a parameter of an earlier file, and does not meet it.
            Some(name) if known == OBJECT_MEMBERS && PARAMETER_MEMBERS.contains(&name) => {
                let reason = format!(
                    "this node has no `type`, so it is an object, which takes no `{name}`; is its name misspelt, \
                     or does the file that declares it come later?"
                );
                Err(self.error(raw.file, &pointer(name), reason))
            }
            Some(name) => Err(self.error(raw.file, &pointer(name), "an unknown member")),
            None => Ok(()),
        }
    }

    fn writable(&self, raw: &Object<'_>) -> Built<bool> {
        match self.text(raw, "access")? {
            None | Some("readOnly") => Ok(false),
            Some("readWrite") => Ok(true),
            Some(_) => Err(self.error(raw.file, "/access", "`readOnly` or `readWrite` is needed")),
        }
    }

    fn text<'t>(&self, raw: &Object<'t>, member: &str) -> Built<Option<&'t str>> {
        match raw.get(member) {
            None => Ok(None),
            Some(Raw::Text(text)) => Ok(Some(text)),
            Some(other) => {
                Err(self.error(raw.file, &pointer(member), format!("a string is needed, not {}", other.kind())))
            }
        }
    }

    fn texts(&self, raw: &Object<'_>, member: &str) -> Built<Box<[Box<str>]>> {
        let wrong = || self.error(raw.file, &pointer(member), "a list of strings is needed");
        match raw.get(member) {
            None => Ok(Box::default()),
            Some(Raw::List(items)) => items
                .items()
                .map(|item| if let Raw::Text(text) = item { Ok(text.into()) } else { Err(wrong()) })
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    fn flag(&self, raw: &Object<'_>, member: &str) -> Built<bool> {
        match raw.get(member) {
            None => Ok(false),
            Some(Raw::Boolean(flag)) => Ok(flag),
            Some(other) => {
                Err(self.error(raw.file, &pointer(member), format!("true or false is needed, not {}", other.kind())))
            }
        }
    }

    fn number(&self, raw: &Object<'_>, member: &str) -> Built<Option<i128>> {
        match raw.get(member) {
            None => Ok(None),
            Some(Raw::Number(Number::Integer(number))) => Ok(Some(number)),
            Some(other) => {
                Err(self.error(raw.file, &pointer(member), format!("a whole number is needed, not {}", other.kind())))
            }
        }
    }

    fn bound(&self, raw: &Object<'_>, member: &str) -> Built<Option<u32>> {
        match self.number(raw, member)?.map(u32::try_from) {
            None => Ok(None),
            Some(Ok(bound)) => Ok(Some(bound)),
            Some(Err(_)) => Err(self.error(raw.file, &pointer(member), "not a whole number from 0 to 4294967295")),
        }
    }

    fn contains(&self, children: Children) -> Contains {
        let contains = || children.range().map(|id| self.nodes[id as usize].contains);
        Contains {
            inform: contains().any(|contains| contains.inform),
            strong_reference: contains().any(|contains| contains.strong_reference),
        }
    }

    fn new_node(&mut self, name: &'a str) -> Node {
        let name_start = self.names.intern(name);
        Node {
            name_start,
            name_length: name.len() as u16,
            contains: Contains::default(),
            kind: NodeKind::Object(Children::default()),
        }
    }

    fn error(&self, file: usize, pointer: &str, reason: impl Into<String>) -> LoadError {
        self.location.error_at(file, pointer, reason)
    }
}

/// The objects, tables and parameters in an object or template.
fn nodes<'t>(raw: &Object<'t>) -> impl Iterator<Item = (&'t str, Raw<'t>)> + use<'t> {
    raw.members().filter(|(name, _)| is_node(name) && !is_instance(name))
}

fn table_index(tables: &Tables<'_>, name: &str) -> Option<u32> {
    tables.iter().find(|(table, _)| *table == name).map(|(_, index)| *index)
}

fn is_instance(name: &str) -> bool {
    name == "{i}" || instance_number(name).is_some()
}

fn is_table(raw: &Object<'_>) -> bool {
    raw.get("type").is_none() && raw.members().any(|(name, _)| is_instance(name))
}

fn pointer(name: &str) -> String {
    format!("/{}", escape(name))
}
