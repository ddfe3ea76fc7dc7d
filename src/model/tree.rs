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

use super::attributes::Attributes;
use super::path::{Path, PathError, instance_number};
use super::schema::{Children, NodeId, NodeKind, ROOT, Schema, TableSpec};
use super::value::Value;

mod apply;
mod check;
mod difference;
mod parameter;
mod read;
mod walk;

pub use check::{DeclaredType, SetError};
pub use parameter::Parameter;

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

    /// What is outside every instance, for the loader.
    pub(super) fn root_scope(&mut self) -> &mut Scope {
        &mut self.root
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
