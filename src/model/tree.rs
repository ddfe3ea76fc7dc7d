//! The instances and values that are present, in memory.
//!
//! ```text
//! Tree ── root: Scope ── values   one a parameter, where it differs from the schema's default
//!                     ├─ tables   one a table: its instances, each with a Scope of its own
//!                     └─ attributes, changed: sparse, by slot
//! ```
//!
//! Everything here is done in memory and at once; [`transaction`](super::transaction) decides what may be done.

use std::rc::Rc;

use super::attributes::{ActiveNotify, Attributes};
use super::path::{Path, PathError, instance_number};
use super::schema::{Children, NodeId, NodeKind, ROOT, Schema, Spec, TableSpec};
use super::value::{Type, Value};
use walk::{NameWalk, ParameterWalk};

mod difference;
mod walk;

pub(super) use difference::Difference;

/// The data model of this device as it is now.
#[derive(Clone, Debug)]
pub struct Tree {
    schema: Rc<Schema>,
    root: Scope,
}

/// The values and tables of the root or of one instance.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// By slot; `None` where the value is the schema's default.
    values: Box<[Option<Value>]>,
    tables: Box<[Table]>,
    /// Slots whose value is not the factory's, ascending.
    changed: Vec<u32>,
    /// Slots whose attributes are not the default, ascending.
    attributes: Vec<(u32, Attributes)>,
}

#[derive(Clone, Debug, Default)]
struct Table {
    /// Ascending by number.
    instances: Vec<Instance>,
    /// The greatest number ever given: numbers are not used again (R218).
    last: u32,
    /// Instances of the factory state that were deleted.
    deleted: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Instance {
    number: u32,
    /// Whether it is part of the factory state.
    factory: bool,
    scope: Scope,
}

/// A parameter that is present.
#[derive(Clone, Copy)]
pub struct Parameter<'t> {
    /// Full name.
    pub name: &'t str,
    /// What the data model says of it.
    pub spec: &'t Spec,
    scope: &'t Scope,
    slot: u32,
}

impl Parameter<'_> {
    /// The value as the ACS reads it: the null value where the parameter is hidden (R175).
    pub fn value(&self) -> Value {
        if self.spec.hidden { self.spec.wire_type().hidden_value() } else { self.stored() }
    }

    /// Calls `write` with the value as the ACS reads it, without copying it.
    pub fn with_value<R>(&self, write: impl FnOnce(&Value) -> R) -> R {
        match &self.scope.values[self.slot as usize] {
            Some(value) if !self.spec.hidden && self.spec.counted_table.is_none() => write(value),
            None if !self.spec.hidden && self.spec.counted_table.is_none() => write(&self.spec.default),
            _ => write(&self.value()),
        }
    }

    /// The value as it is kept, that of a hidden parameter too.
    pub fn stored(&self) -> Value {
        match self.spec.counted_table {
            Some(table) => Value::Unsigned(self.scope.tables[table as usize].instances.len() as u64),
            None => self.scope.values[self.slot as usize].as_ref().unwrap_or(&self.spec.default).clone(),
        }
    }

    /// What it is in the factory state while nobody has changed it; of a count, the instances of the factory state,
    /// whatever has become of them.
    pub fn factory(&self) -> Value {
        match self.spec.counted_table {
            Some(table) => Value::Unsigned(self.scope.tables[table as usize].factory_instances() as u64),
            None => self.stored(),
        }
    }

    /// Whether its value is another than that of the factory state.
    pub fn is_changed(&self) -> bool {
        self.scope.changed.binary_search(&self.slot).is_ok()
    }

    /// Its notification and access attributes.
    pub fn attributes(&self) -> Attributes {
        let attributes = self.scope.attributes(self.slot).unwrap_or(self.spec.active_notify.default_attributes());
        match self.spec.active_notify {
            ActiveNotify::ForceEnabled => {
                Attributes { subscriber: attributes.subscriber, ..self.spec.active_notify.default_attributes() }
            } // R202
            _ => attributes,
        }
    }
}

/// What a path names.
pub(super) enum Located<'t> {
    /// The empty path.
    WholeTree,
    Object(Children, &'t Scope),
    Table(TableSpec, &'t Scope),
    Instance(TableSpec, &'t Scope),
    Parameter(NodeId, &'t Scope),
}

/// Steps from the root to a scope: index of a table, number of the instance.
type Steps = Vec<(u32, u32)>;

impl Tree {
    /// A tree without instances, every parameter at its default.
    pub(super) fn new(schema: Rc<Schema>) -> Tree {
        let root = Scope::new(&schema, 0);
        Tree { schema, root }
    }

    /// The description that this tree follows.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// `Device` or `InternetGatewayDevice`.
    pub fn root_name(&self) -> &str {
        self.schema.name(ROOT)
    }

    /// The parameter of exactly this name.
    pub fn parameter<'t>(&'t self, name: &'t str) -> Result<Parameter<'t>, PathError> {
        match self.locate(&Path::parse(name)?)? {
            Located::Parameter(node, scope) => Ok(self.parameter_at(name, node, scope)),
            _ if name.is_empty() || name.ends_with('.') => Err(PathError::NotAParameter),
            _ => Err(PathError::Unknown),
        }
    }

    /// The value that is kept for the parameter of this name, that of a hidden parameter too.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.parameter(name).ok().map(|parameter| parameter.stored())
    }

    /// Every parameter at or below `path`, in the order of the data model (R178).
    ///
    /// A full name must be that of a parameter, and a partial path that of an object (R180).
    pub fn visit_values(&self, path: &Path<'_>, visit: &mut dyn FnMut(&Parameter<'_>)) -> Result<(), PathError> {
        let mut name = String::with_capacity(128);
        name.push_str(path.as_str());
        let mut walk = ParameterWalk { schema: &self.schema, name, only: |_| true, visit };
        match self.locate(path)? {
            Located::Parameter(node, scope) if !path.is_partial() => {
                visit(&self.parameter_at(path.as_str(), node, scope))
            }
            Located::WholeTree => walk.node(ROOT, &self.root),
            Located::Object(children, scope) => walk.children(children, scope),
            Located::Instance(table, scope) => walk.children(table.children, scope),
            Located::Table(table, scope) => walk.table(&table, scope),
            Located::Parameter(..) => return Err(PathError::Unknown),
        }
        Ok(())
    }

    /// Every parameter whose name fits a pattern: a full name in which `*` stands for any instance number.
    pub fn visit_pattern(&self, pattern: &str, visit: &mut dyn FnMut(&Parameter<'_>)) {
        let Some((table, rest)) = pattern.split_once("*.") else {
            if let Ok(parameter) = self.parameter(pattern) {
                visit(&parameter);
            }
            return;
        };
        let Ok(Ok(Located::Table(shape, scope))) = Path::parse(table).map(|path| self.locate(&path)) else { return };
        for instance in &scope.tables[shape.index as usize].instances {
            self.visit_pattern(&format!("{table}{}.{rest}", instance.number), visit);
        }
    }

    /// Every parameter that is sent in each Inform.
    pub fn visit_inform(&self, visit: &mut dyn FnMut(&Parameter<'_>)) {
        ParameterWalk {
            schema: &self.schema,
            name: String::with_capacity(128),
            only: |contains| contains.inform,
            visit,
        }
        .node(ROOT, &self.root);
    }

    /// Every parameter that strongly refers to others (R173).
    pub(super) fn visit_strong_references(&self, visit: &mut dyn FnMut(&Parameter<'_>)) {
        ParameterWalk {
            schema: &self.schema,
            name: String::with_capacity(128),
            only: |contains| contains.strong_reference,
            visit,
        }
        .node(ROOT, &self.root);
    }

    /// Names and whether they are writable, as GetParameterNames gives them (R185 to R192).
    ///
    /// With `next_level` the path must be partial; that it is not is for the caller to refuse (R188).
    pub fn visit_names(
        &self,
        path: &Path<'_>,
        next_level: bool,
        visit: &mut dyn FnMut(&str, bool),
    ) -> Result<(), PathError> {
        let located = self.locate(path)?;
        let mut name = String::with_capacity(128);
        name.push_str(path.as_str());
        let mut walk = NameWalk { schema: &self.schema, name, deep: !next_level, visit };
        if !next_level && !path.as_str().is_empty() {
            let writable = match &located {
                Located::Parameter(node, _) => {
                    matches!(self.schema.node(*node).kind, NodeKind::Parameter { spec, .. } if self.schema.spec(spec).writable)
                }
                Located::Table(table, _) | Located::Instance(table, ..) => table.writable,
                _ => false,
            };
            (walk.visit)(path.as_str(), writable);
        }
        match located {
            Located::WholeTree => walk.node(ROOT, &self.root),
            Located::Object(children, scope) => walk.children(children, scope),
            Located::Instance(table, scope) => walk.children(table.children, scope),
            Located::Table(table, scope) => walk.instances(&table, scope),
            Located::Parameter(..) => {}
        }
        Ok(())
    }

    /// Whether an object or a parameter of this name is present; objects with or without the dot at the end.
    pub fn exists(&self, name: &str) -> bool {
        let object = format!("{}.", name.trim_end_matches('.'));
        let present = |text: &str| Path::parse(text).and_then(|path| self.locate(&path)).is_ok();
        present(name) || present(&object)
    }

    pub(super) fn locate(&self, path: &Path<'_>) -> Result<Located<'_>, PathError> {
        self.locate_with_steps(path).map(|(located, _)| located)
    }

    fn locate_with_steps(&self, path: &Path<'_>) -> Result<(Located<'_>, Steps), PathError> {
        let mut steps = Steps::new();
        let mut segments = path.segments();
        match segments.next() {
            None => return Ok((Located::WholeTree, steps)),
            Some(root) if root != self.root_name() => return Err(PathError::Unknown),
            Some(_) => {}
        }
        let NodeKind::Object(children) = self.schema.node(ROOT).kind else { return Err(PathError::Unknown) };
        let mut located = Located::Object(children, &self.root);
        for segment in segments {
            located = match located {
                Located::Object(children, scope) | Located::Instance(TableSpec { children, .. }, scope) => {
                    let node = self.schema.child(children, segment).ok_or(PathError::Unknown)?;
                    match self.schema.node(node).kind {
                        NodeKind::Object(children) => Located::Object(children, scope),
                        NodeKind::Table(table) => Located::Table(table, scope),
                        NodeKind::Parameter { .. } => Located::Parameter(node, scope),
                    }
                }
                Located::Table(table, scope) => {
                    let number = instance_number(segment).ok_or(PathError::Unknown)?;
                    let instance = scope.tables[table.index as usize].instance(number).ok_or(PathError::Unknown)?;
                    steps.push((table.index, number));
                    Located::Instance(table, &instance.scope)
                }
                Located::Parameter(..) | Located::WholeTree => return Err(PathError::Unknown),
            };
        }
        match located {
            Located::Parameter(..) if path.is_partial() => Err(PathError::Unknown), // R180: "Device.X.P." names nothing
            Located::Parameter(..) => Ok((located, steps)),
            _ if !path.is_partial() => Err(PathError::Unknown), // R180: an object without its dot names nothing
            _ => Ok((located, steps)),
        }
    }

    fn parameter_at<'t>(&'t self, name: &'t str, node: NodeId, scope: &'t Scope) -> Parameter<'t> {
        let NodeKind::Parameter { slot, spec } = self.schema.node(node).kind else { unreachable!("a parameter place") };
        Parameter { name, spec: self.schema.spec(spec), scope, slot }
    }
}

impl Tree {
    /// Gives a parameter the value that the agent itself has for it, such as an address. It is not stored, since the
    /// agent finds it anew after each start.
    pub fn set_runtime_value(&mut self, name: &str, value: Value) -> Result<(), PathError> {
        self.set_value(name, value, true)
    }
}

/// What changes a tree: all of it already decided, none of it refused for its value.
impl Tree {
    /// Gives a parameter a value. `factory`: as part of the factory state, which is not stored.
    pub(super) fn set_value(&mut self, name: &str, value: Value, factory: bool) -> Result<(), PathError> {
        let (slot, scope) = self.slot_mut(name)?;
        scope.values[slot as usize] = Some(value);
        if !factory && let Err(at) = scope.changed.binary_search(&slot) {
            scope.changed.insert(at, slot);
        }
        Ok(())
    }

    /// Gives a parameter attributes.
    pub(super) fn set_attributes(&mut self, name: &str, attributes: Attributes) -> Result<(), PathError> {
        let (slot, scope) = self.slot_mut(name)?;
        match scope.attributes.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) => scope.attributes[at].1 = attributes,
            Err(at) => scope.attributes.insert(at, (slot, attributes)),
        }
        Ok(())
    }

    /// What is outside every instance, for the loader.
    pub(super) fn root_scope(&mut self) -> &mut Scope {
        &mut self.root
    }

    /// Creates instance `number` of a table with the defaults of its template.
    pub(super) fn add_instance(&mut self, table: &str, number: u32, factory: bool) -> Result<(), PathError> {
        let (located, steps) = self.locate_with_steps(&Path::parse(table)?)?;
        let Located::Table(shape, _) = located else { return Err(PathError::NotCreatable) };
        let schema = Rc::clone(&self.schema);
        self.scope_mut(&steps).instance(&schema, &shape, number, factory);
        Ok(())
    }

    /// Removes an instance with everything in it (R220).
    pub(super) fn delete_instance(&mut self, instance: &str) -> Result<(), PathError> {
        let (located, mut steps) = self.locate_with_steps(&Path::parse(instance)?)?;
        let (Located::Instance(..), Some((index, number))) = (located, steps.pop()) else {
            return Err(PathError::NotDeletable);
        };
        let table = &mut self.scope_mut(&steps).tables[index as usize];
        if let Some(at) = table.position(number)
            && table.instances.remove(at).factory
        {
            table.deleted.push(number);
        }
        Ok(())
    }

    /// Remembers that numbers up to `last` were given in a table (R218).
    pub(super) fn set_last_number(&mut self, table: &str, last: u32) -> Result<(), PathError> {
        let (located, steps) = self.locate_with_steps(&Path::parse(table)?)?;
        let Located::Table(shape, _) = located else { return Err(PathError::NotCreatable) };
        let table = &mut self.scope_mut(&steps).tables[shape.index as usize];
        table.last = table.last.max(last);
        Ok(())
    }

    fn slot_mut(&mut self, name: &str) -> Result<(u32, &mut Scope), PathError> {
        let (located, steps) = self.locate_with_steps(&Path::parse(name)?)?;
        let Located::Parameter(node, _) = located else { return Err(PathError::NotAParameter) };
        let NodeKind::Parameter { slot, .. } = self.schema.node(node).kind else {
            return Err(PathError::NotAParameter);
        };
        Ok((slot, self.scope_mut(&steps)))
    }

    fn scope_mut(&mut self, steps: &[(u32, u32)]) -> &mut Scope {
        let mut scope = &mut self.root;
        for (index, number) in steps {
            let table = &mut scope.tables[*index as usize];
            // The steps come from `locate` on this very tree, so that the instance is there.
            let at = table.position(*number).expect("an instance that was just located");
            scope = &mut table.instances[at].scope;
        }
        scope
    }
}

/// What a table holds, for the transaction that changes it and for the journal.
pub(super) struct TableView<'t> {
    pub(super) shape: TableSpec,
    table: &'t Table,
}

impl TableView<'_> {
    pub(super) fn len(&self) -> usize {
        self.table.instances.len()
    }

    /// The number that the next instance gets; none once all are used.
    pub(super) fn next_number(&self) -> Option<u32> {
        self.table.last.checked_add(1)
    }
}

impl Tree {
    pub(super) fn table(&self, path: &Path<'_>) -> Result<TableView<'_>, PathError> {
        match self.locate(path)? {
            Located::Table(shape, scope) => Ok(TableView { shape, table: &scope.tables[shape.index as usize] }),
            _ => Err(PathError::NotCreatable),
        }
    }
}

impl Scope {
    fn new(schema: &Schema, scope: u32) -> Scope {
        let shape = schema.scopes[scope as usize];
        Scope {
            values: vec![None; shape.slots as usize].into(),
            tables: vec![Table::default(); shape.tables as usize].into(),
            changed: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// Instance `number` of a table, created where it is not there.
    fn instance(&mut self, schema: &Schema, table: &TableSpec, number: u32, factory: bool) -> &mut Scope {
        let Table { instances, last, .. } = &mut self.tables[table.index as usize];
        let at = instances.binary_search_by_key(&number, |instance| instance.number).unwrap_or_else(|at| {
            *last = number.max(*last);
            instances.insert(at, Instance { number, factory, scope: Scope::new(schema, table.scope) });
            at
        });
        &mut instances[at].scope
    }

    /// Makes room for so many instances and no more; few tables get others later.
    pub(super) fn expect_instances(&mut self, table: &TableSpec, instances: usize) {
        self.tables[table.index as usize].instances.reserve_exact(instances);
    }

    /// An instance of the factory state, created where it is not there.
    pub(super) fn factory_instance(&mut self, schema: &Schema, table: &TableSpec, number: u32) -> &mut Scope {
        self.instance(schema, table, number, true)
    }

    /// Gives a parameter of the factory state a value of its own, where there is one.
    pub(super) fn set_factory(&mut self, slot: u32, value: Option<Value>) {
        if value.is_some() {
            self.values[slot as usize] = value;
        }
    }

    /// The attributes that were set, where any were.
    fn attributes(&self, slot: u32) -> Option<Attributes> {
        let at = self.attributes.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        Some(self.attributes[at].1)
    }
}

impl Table {
    fn position(&self, number: u32) -> Option<usize> {
        self.instances.binary_search_by_key(&number, |instance| instance.number).ok()
    }

    fn instance(&self, number: u32) -> Option<&Instance> {
        self.position(number).map(|at| &self.instances[at])
    }

    fn factory_instances(&self) -> usize {
        self.instances.iter().filter(|instance| instance.factory).count() + self.deleted.len()
    }
}

/// The type of a value on the wire, for a parameter of the tree.
impl Parameter<'_> {
    /// The type that its value has in an envelope: a list is a string.
    pub fn wire_type(&self) -> Type {
        self.spec.wire_type()
    }
}
