//! The tree: the instances and values that are present, in memory.
//!
//! ```text
//! Tree ── root: Scope ── values      one for each parameter, if it differs from the default of the schema
//!                     ├─ tables      one for each table: its instances, each with a Scope of its own
//!                     └─ attributes, changed: sparse, by slot
//! ```
//!
//! | file | part |
//! |---|---|
//! | `read.rs` | values and names, in the order of the data model |
//! | `finder.rs` | parameters by one name after the other |
//! | `check.rs` | decides if a change from outside is valid, without making it |
//! | `apply.rs` | makes a change that was decided |
//! | `work.rs` | the bound on the work of one request |
//! | `numbers.rs` | the instance numbers that are used |
//! | `sections.rs` | sections of UCI packages that are added and deleted |
//! | `rows.rs` | instances that are rows of the device, with their keys |
//! | `rows/assign.rs` | the instances that the rows of the device were before |
//! | `refresh.rs` | the questions to the device that a request needs, and the values of the answers |
//! | `addressing.rs` | paths with aliases and wildcards, and the paths in answers |
//! | `results.rs` | the instances that the results of a test are |
//! | `trial.rs` | instances that are there while a request is checked |
//! | `difference.rs` | the changes that lead from the factory state to this one |

use std::rc::Rc;

use super::attributes::Attributes;
use super::path::{Path, PathError, alias, instance_number};
use super::schema::{Children, NodeId, NodeKind, ROOT, Schema, TableSpec};
use super::value::Value;
use numbers::UsedNumbers;

mod addressing;
mod apply;
mod check;
mod difference;
mod finder;
mod numbers;
mod parameter;
mod read;
mod refresh;
mod results;
mod rows;
mod sections;
mod trial;
mod walk;
mod work;

use addressing::own_alias;
pub use addressing::{Addressing, NameForm};
pub use check::{DeclaredType, SetError};
pub use finder::Finder;
pub use parameter::Parameter;
pub use refresh::{Mode, Plan, Planned, Reading, Settled, Wanted};
pub use rows::RowChanges;
use rows::RowKeys;
pub use trial::Trial;
pub use work::Work;

/// The data model of this device with its present instances and values.
#[derive(Clone, Debug)]
pub struct Tree {
    schema: Rc<Schema>,
    root: Scope,
    work: Work,
    /// True if a path leads into the objects that the device does not have: the loader checks them too, and the journal has
    /// values for them, because a later start may find them on the device again.
    with_omitted: bool,
    /// The kinds of addressing that names of requests may have.
    addressing: Addressing,
    /// The notices of instances of the data model that were left out.
    left_out: Vec<String>,
}

/// The values and tables of the root or of one instance.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The values by slot; `None` stands for the default of the schema, so that most parameters cost no allocation.
    values: Box<[Option<Value>]>,
    tables: Box<[Table]>,
    /// The slots whose value was changed since the factory state, ascending.
    changed: Vec<u32>,
    /// The slots whose attributes were set, ascending.
    attributes: Vec<(u32, Attributes)>,
}

/// The instances of one table.
#[derive(Clone, Debug, Default)]
struct Table {
    /// The instances, ascending by number.
    instances: Vec<Instance>,
    /// The greatest instance number ever used. Numbers are not used again (R218).
    last: u32,
    /// The numbers of the instances of the factory state that were deleted.
    deleted: Vec<u32>,
    /// The numbers that are used; absent in most tables.
    numbers: Option<Box<UsedNumbers>>,
    /// The keys of the instances, in a table with a source.
    rows: Option<Box<RowKeys>>,
}

/// An instance of a table.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    number: u32,
    /// True if the instance is part of the factory state.
    factory: bool,
    scope: Scope,
}

/// The node that a path names.
#[derive(Clone, Copy)]
pub(super) enum Located<'t> {
    /// The empty path names the whole tree.
    WholeTree,
    Object(Children, &'t Scope),
    Table(TableSpec, &'t Scope),
    Instance(TableSpec, &'t Instance),
    Parameter(NodeId, &'t Scope),
}

/// The place of a parameter that was present.
#[derive(Clone, Debug)]
pub struct ParameterPlace {
    node: NodeId,
    steps: Steps,
}

/// The steps from the root to a scope: the index of a table and the number of an instance for each.
type Steps = Vec<(u32, u32)>;

impl Tree {
    /// Creates a tree without instances, with every parameter at its default.
    pub(super) fn new(schema: Rc<Schema>) -> Tree {
        let root = Scope::new(&schema, 0);
        let (work, addressing) = (Work::unbounded(), Addressing::default());
        Tree { schema, root, work, with_omitted: true, addressing, left_out: Vec::new() }
    }

    /// Bounds the work of the walks and checks from now on.
    pub fn set_work(&mut self, work: Work) {
        self.work = work;
    }

    /// Lets paths lead into the objects that the device does not have, or not.
    pub fn set_with_omitted(&mut self, with_omitted: bool) {
        self.with_omitted = with_omitted;
    }

    /// Returns an error if the tree works for a request and the agent stops.
    pub fn check_stop(&self) -> Result<(), PathError> {
        self.work.check_stop()
    }

    /// Returns the schema of this tree.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Returns the name of the root object: `Device` or `InternetGatewayDevice`.
    pub fn root_name(&self) -> &str {
        self.schema.name(ROOT)
    }

    /// Returns the scope outside every instance, for the loader.
    pub(super) fn root_scope(&mut self) -> &mut Scope {
        &mut self.root
    }

    /// Finds the node that a path names. Names that do not fit are `PathError::Unknown` (R180, R189).
    pub(super) fn locate(&self, path: &Path<'_>) -> Result<Located<'_>, PathError> {
        self.search(path, &mut |_, _| {})
    }

    /// Finds the node that a path names, and the steps by which [`Tree::scope_mut`] finds its scope again.
    fn locate_with_steps(&self, path: &Path<'_>) -> Result<(Located<'_>, Steps), PathError> {
        let mut steps = Steps::new();
        let located = self.search(path, &mut |table, number| steps.push((table, number)))?;
        Ok((located, steps))
    }

    /// Finds the node that a path names, and calls `step` for each step on the way.
    fn search(&self, path: &Path<'_>, step: &mut dyn FnMut(u32, u32)) -> Result<Located<'_>, PathError> {
        let mut segments = path.segments();
        match segments.next() {
            // The empty path (R178, R185).
            None => return Ok(Located::WholeTree),
            Some(root) if root != self.root_name() => return Err(PathError::Unknown),
            Some(_) => {}
        }
        let mut located = self.root()?;
        for segment in segments {
            located = self.step(located, segment)?;
            if let Located::Instance(table, instance) = located {
                // Borrowing rules: the scope found here is shared, so that a change finds it again by the steps.
                step(table.index, instance.number);
            }
        }
        match located {
            // R180: the dot belongs to an object. `Device.X.P.` of a parameter and `Device.X` of an object are unknown.
            Located::Parameter(..) if path.is_partial() => Err(PathError::Unknown),
            Located::Parameter(..) => Ok(located),
            _ if !path.is_partial() => Err(PathError::Unknown),
            _ => Ok(located),
        }
    }

    /// Finds the node that a segment names below another one; an instance by its number or by `[alias]`.
    #[inline]
    fn step<'t>(&'t self, above: Located<'t>, segment: &str) -> Result<Located<'t>, PathError> {
        let (children, scope) = match above {
            Located::Object(children, scope) => (children, scope),
            Located::Instance(table, instance) => (table.children, &instance.scope),
            Located::Table(spec, scope) => {
                let table = &scope.tables[spec.index as usize];
                let instance = match instance_number(segment) {
                    Some(number) => table.instance(number),
                    None => match alias(segment) {
                        Some(alias) => table.with_alias(&spec, alias, &self.work)?,
                        None => None,
                    },
                };
                return instance.map(|instance| Located::Instance(spec, instance)).ok_or(PathError::Unknown);
            }
            Located::Parameter(..) | Located::WholeTree => return Err(PathError::Unknown),
        };
        let node = self.schema.child(children, segment).ok_or(PathError::Unknown)?;
        if self.schema.node(node).is_omitted && !self.with_omitted {
            return Err(PathError::Unknown);
        }
        Ok(match self.schema.node(node).kind {
            NodeKind::Object(children) => Located::Object(children, scope),
            NodeKind::Table(table) => Located::Table(table, scope),
            NodeKind::Parameter { .. } => Located::Parameter(node, scope),
        })
    }
}

impl Scope {
    fn new(schema: &Schema, scope: u32) -> Scope {
        let size = schema.scopes[scope as usize];
        Scope {
            values: vec![None; size.slots as usize].into(),
            tables: vec![Table::default(); size.tables as usize].into(),
            changed: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// Returns instance `number` of a table, which it creates if it is not present.
    fn instance(&mut self, schema: &Schema, table: &TableSpec, number: u32, factory: bool) -> &mut Scope {
        let Table { instances, last, .. } = &mut self.tables[table.index as usize];
        let at = instances.binary_search_by_key(&number, |instance| instance.number).unwrap_or_else(|at| {
            *last = number.max(*last);
            let mut scope = Scope::new(schema, table.scope);
            if let Some(slot) = table.alias {
                scope.values[slot as usize] = Some(Value::Text(own_alias(number).into()));
            }
            instances.insert(at, Instance { number, factory, scope });
            at
        });
        &mut instances[at].scope
    }

    /// Reserves room for exactly this number of instances.
    pub(super) fn expect_instances(&mut self, table: &TableSpec, instances: usize) {
        // `reserve` would double the room, and most tables get no other instance later.
        self.tables[table.index as usize].instances.reserve_exact(instances);
    }

    /// Returns an instance of the factory state, which it creates if it is not present.
    pub(super) fn factory_instance(&mut self, schema: &Schema, table: &TableSpec, number: u32) -> &mut Scope {
        self.instance(schema, table, number, true)
    }

    /// Gives a parameter its factory value; `None` leaves it at the default of the schema.
    pub(super) fn set_factory(&mut self, slot: u32, value: Option<Value>) {
        if value.is_some() {
            self.values[slot as usize] = value;
        }
    }

    /// Returns the attributes of a slot, if any were set.
    fn attributes(&self, slot: u32) -> Option<Attributes> {
        let at = self.attributes.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        Some(self.attributes[at].1)
    }
}

impl Table {
    /// Returns true if attributes were set in an instance.
    fn has_attributes(&self) -> bool {
        self.instances.iter().any(|instance| {
            !instance.scope.attributes.is_empty() || instance.scope.tables.iter().any(Table::has_attributes)
        })
    }

    // Tables have few instances and are searched more often than changed: a sorted vector is smaller than a map.
    fn position(&self, number: u32) -> Option<usize> {
        self.instances.binary_search_by_key(&number, |instance| instance.number).ok()
    }

    fn instance(&self, number: u32) -> Option<&Instance> {
        self.position(number).map(|at| &self.instances[at])
    }

    /// Returns the number of instances of the factory state, deleted ones included.
    fn factory_instances(&self) -> usize {
        self.instances.iter().filter(|instance| instance.factory).count() + self.deleted.len()
    }
}
