//! Builds the [`Schema`]: every member of every node is read here, and refused where it is wrong.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::attributes::Notify;
use super::load::{LoadError, ModelFile, Names, Place, escape};
use super::path::{instance_number, is_name};
use super::raw::{Number, Object, Raw, is_node};
use super::schema::{Children, Kind, Node, NodeId, Reference, Schema, ScopeShape, Spec, TableShape};
use super::value::{Facets, Type, compile};

/// Deeper models are refused; the official ones have ten levels.
const MAX_DEPTH: usize = 32;

/// The schema under construction.
pub(super) struct Builder<'a> {
    place: Place<'a>,
    names: Names,
    nodes: Vec<Node>,
    specs: Vec<Spec>,
    scopes: Vec<ScopeShape>,
    /// Facets that many parameters have in common.
    facets: HashSet<Rc<Facets>>,
    references: HashMap<String, Rc<Reference>>,
}

type Built<T> = Result<T, LoadError>;

impl<'a> Builder<'a> {
    pub(super) fn build(root: &str, raw: &Raw<'_>, files: &'a [ModelFile]) -> Built<Schema> {
        let mut builder = Builder {
            place: Place { files, pointer: format!("/{root}") },
            names: Names::default(),
            nodes: Vec::new(),
            specs: Vec::new(),
            scopes: vec![ScopeShape::default()],
            facets: HashSet::new(),
            references: HashMap::new(),
        };
        let node = builder.blank(root);
        builder.nodes.push(node);
        let Raw::Object(object) = raw else {
            return Err(builder.error(0, "", format!("an object is needed, not {}", raw.kind())));
        };
        if object.get("type").is_some() || object.get("{i}").is_some() {
            return Err(builder.error(object.file, "", "the root is an object, neither a parameter nor a table"));
        }
        builder.check_members(object, &["access"])?;
        let children = builder.children(object, 0, 0)?;
        builder.nodes[0].kind = Kind::Object(children);
        builder.nodes[0].informs = builder.informs(children);
        Ok(Schema {
            names: builder.names.into_text(),
            nodes: builder.nodes.into(),
            specs: builder.specs.into(),
            scopes: builder.scopes.into(),
        })
    }

    /// The children of one object or template, side by side; then everything below each of them.
    fn children(&mut self, raw: &Object<'_>, scope: usize, depth: usize) -> Built<Children> {
        if depth > MAX_DEPTH {
            return Err(self.error(raw.file, "", format!("more than {MAX_DEPTH} levels")));
        }
        let first = self.nodes.len() as NodeId;
        let named: Vec<_> = raw.members.iter().filter(|(name, _)| is_node(name) && !is_instance(name)).collect();
        for (at, (name, _)) in named.iter().enumerate() {
            if !is_name(name) || name.len() > 255 {
                return Err(self.error(raw.file, &pointer(name), "not a valid name of an object or parameter"));
            }
            if named[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(self.error(raw.file, &pointer(name), "given twice"));
            }
            let node = self.blank(name);
            self.nodes.push(node);
        }
        let tables = self.table_indexes(&named, scope);
        for (offset, (name, value)) in named.iter().enumerate() {
            let length = self.place.pointer.len();
            self.place.pointer.push_str(&pointer(name));
            let kind = self.node(value, raw, scope, depth, &tables, name)?;
            let id = first as usize + offset;
            self.nodes[id].informs = match kind {
                Kind::Object(children) | Kind::Table(TableShape { children, .. }) => self.informs(children),
                Kind::Parameter { spec, .. } => self.specs[spec as usize].inform,
            };
            self.nodes[id].kind = kind;
            self.place.pointer.truncate(length);
        }
        Ok(Children { first, count: named.len() as u32 })
    }

    /// Numbers the tables among siblings before anything else, so that a parameter can count one that comes later.
    fn table_indexes<'n>(
        &mut self,
        named: &[&'n (std::borrow::Cow<'_, str>, Raw<'_>)],
        scope: usize,
    ) -> HashMap<&'n str, u32> {
        let mut tables = HashMap::new();
        for (name, value) in named {
            if matches!(value, Raw::Object(object) if is_table(object)) {
                tables.insert(name.as_ref(), self.scopes[scope].tables);
                self.scopes[scope].tables += 1;
            }
        }
        tables
    }

    fn node(
        &mut self,
        value: &Raw<'_>,
        parent: &Object<'_>,
        scope: usize,
        depth: usize,
        tables: &HashMap<&str, u32>,
        name: &str,
    ) -> Built<Kind> {
        let Raw::Object(object) = value else {
            return Err(self.error(
                parent.file,
                "",
                format!("a parameter with a `type` or an object is needed, not {}", value.kind()),
            ));
        };
        if object.get("source").is_some() {
            return Err(self.error(
                object.file,
                "/source",
                "this build has no sources: every value is kept by the agent itself",
            ));
        }
        if object.get("type").is_some() {
            return self.parameter(object, scope, tables);
        }
        match tables.get(name) {
            Some(index) => self.table(object, *index, depth),
            None => {
                self.check_members(object, &["access"])?;
                if self.writable(object)? {
                    return Err(self.error(
                        object.file,
                        "/access",
                        "only a table (with a template `{i}`) can be readWrite",
                    ));
                }
                Ok(Kind::Object(self.children(object, scope, depth + 1)?))
            }
        }
    }

    fn table(&mut self, raw: &Object<'_>, index: u32, depth: usize) -> Built<Kind> {
        self.check_members(raw, &["access", "maxEntries"])?;
        if let Some((name, _)) = raw.members.iter().find(|(name, _)| is_node(name) && !is_instance(name)) {
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
        self.scopes.push(ScopeShape::default());
        let length = self.place.pointer.len();
        self.place.pointer.push_str("/{i}");
        self.check_members(template, &[])?;
        if let Some((name, _)) = template.members.iter().find(|(name, _)| is_instance(name)) {
            return Err(self.error(template.file, &pointer(name), "an instance stands beside the template, not in it"));
        }
        let children = self.children(template, scope, depth + 1)?;
        self.place.pointer.truncate(length);
        let max_entries = self.bound(raw, "maxEntries")?.unwrap_or(u32::MAX);
        Ok(Kind::Table(TableShape { children, index, scope: scope as u32, writable: self.writable(raw)?, max_entries }))
    }

    fn parameter(&mut self, raw: &Object<'_>, scope: usize, tables: &HashMap<&str, u32>) -> Built<Kind> {
        self.check_members(raw, PARAMETER_MEMBERS)?;
        if let Some((name, _)) = raw.members.iter().find(|(name, _)| is_node(name)) {
            return Err(self.error(raw.file, &pointer(name), "a parameter (a node with a `type`) holds no nodes"));
        }
        let kind = self.text(raw, "type")?.and_then(Type::from_name);
        let Some(kind) = kind else { return Err(self.error(raw.file, "/type", "not a type")) };
        let mut spec = Spec {
            kind,
            writable: self.writable(raw)?,
            hidden: self.flag(raw, "hidden")?,
            inform: self.flag(raw, "inform")?,
            notify: self.notify(raw)?,
            default: kind.null(),
            counts: self.counts(raw, tables)?,
            facets: self.facets(raw, kind)?,
            reference: self.reference(raw)?,
        };
        spec.default = spec.wire_type().null();
        if let Some(text) = self.text(raw, "value")? {
            spec.default = spec.parse(text).map_err(|reason| self.error(raw.file, "/value", reason.to_string()))?;
        }
        self.check_counts(raw, &spec)?;
        let slot = self.scopes[scope].slots;
        self.scopes[scope].slots += 1;
        self.specs.push(spec);
        Ok(Kind::Parameter { slot, spec: self.specs.len() as u32 - 1 })
    }

    fn counts(&self, raw: &Object<'_>, tables: &HashMap<&str, u32>) -> Built<Option<u32>> {
        match self.text(raw, "counts")? {
            Some(table) => match tables.get(table) {
                Some(index) => Ok(Some(*index)),
                None => Err(self.error(raw.file, "/counts", format!("no table `{table}` beside this parameter"))),
            },
            None => Ok(None),
        }
    }

    fn check_counts(&self, raw: &Object<'_>, spec: &Spec) -> Built<()> {
        if spec.counts.is_none() {
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

    fn notify(&self, raw: &Object<'_>) -> Built<Notify> {
        match self.text(raw, "notify")? {
            None => Ok(Notify::Normal),
            Some("forceEnabled") => Ok(Notify::ForceEnabled),
            Some("forceDefaultEnabled") => Ok(Notify::ForceDefaultEnabled),
            Some("canDeny") => Ok(Notify::CanDeny),
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
        match facets.pattern.as_deref().map(compile) {
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
        let key = format!("{reference:?}");
        Ok(Some(Rc::clone(self.references.entry(key).or_insert_with(|| Rc::new(reference)))))
    }
}

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
impl Builder<'_> {
    fn check_members(&self, raw: &Object<'_>, known: &[&str]) -> Built<()> {
        let mut described = raw.members.iter().map(|(name, _)| name.as_ref()).filter(|name| !is_node(name));
        match described.find(|name| !known.contains(name)) {
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

    fn text<'r>(&self, raw: &'r Object<'_>, member: &str) -> Built<Option<&'r str>> {
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
                .iter()
                .map(|item| if let Raw::Text(text) = item { Ok(text.as_ref().into()) } else { Err(wrong()) })
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    fn flag(&self, raw: &Object<'_>, member: &str) -> Built<bool> {
        match raw.get(member) {
            None => Ok(false),
            Some(Raw::Boolean(flag)) => Ok(*flag),
            Some(other) => {
                Err(self.error(raw.file, &pointer(member), format!("true or false is needed, not {}", other.kind())))
            }
        }
    }

    fn number(&self, raw: &Object<'_>, member: &str) -> Built<Option<i128>> {
        match raw.get(member) {
            None => Ok(None),
            Some(Raw::Number(Number::Integer(number))) => Ok(Some(*number)),
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

    fn informs(&self, children: Children) -> bool {
        children.range().any(|id| self.nodes[id as usize].informs)
    }

    fn blank(&mut self, name: &str) -> Node {
        let name_start = self.names.intern(name);
        Node { name_start, name_length: name.len() as u16, informs: false, kind: Kind::Object(Children::default()) }
    }

    fn error(&self, file: usize, pointer: &str, reason: impl Into<String>) -> LoadError {
        self.place.error_at(file, pointer, reason)
    }
}

fn is_instance(name: &str) -> bool {
    name == "{i}" || instance_number(name).is_some()
}

fn is_table(raw: &Object<'_>) -> bool {
    raw.get("type").is_none() && raw.members.iter().any(|(name, _)| is_instance(name))
}

fn pointer(name: &str) -> String {
    format!("/{}", escape(name))
}
