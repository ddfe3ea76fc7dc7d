//! Refresh: the questions to the device that a request needs, and the values of the answers.
//!
//! ```text
//! Wanted ──Tree::plan──▶ queries ──(drivers)──▶ Answers ──Tree::plan──▶ rows ──(journal)──▶ Tree ──▶ … ──▶ readings
//! ```
//!
//! Each round of [`Tree::plan`] walks the wanted part of the model. It returns all queries whose placeholders can be filled in,
//! so that they are answered at the same time; then the changes of the tables whose rows are known; and in the end, when all
//! answers are there, the values.

use std::borrow::Cow;
use std::time::Duration;

use super::{ParameterPlace, RowChanges, Scope, Steps, Tree};
use crate::model::build::ARE_BUILT;
use crate::model::schema::{Children, Contains, NodeId, NodeKind, ROOT, Schema, TableSpec};
use crate::model::source::{Answers, Bindings, Query, Response, RowPath, SourceId};
use crate::model::value::Value;
use row_visit::Known;
use tables::{Rows, SeenTable, Target};

mod fields;
mod parts;
mod queries;
mod row_visit;
mod tables;
mod trees;
mod wanted;
mod writes;

pub use wanted::Wanted;
pub use writes::Planned;
use writes::WriteWalk;

/// The result that a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The values that differ from those of the tree.
    Refresh,
    /// The values alone: no instance comes or goes, because the journal cannot store it.
    SameInstances,
    /// All values, also those that the tree has, how they came about, and the reasons where there is none.
    Explain,
}

/// The next step of a refresh. Without queries and changes it is the last one, with the readings.
#[derive(Debug, Default)]
pub struct Plan {
    /// The questions that must be answered next.
    pub queries: Vec<Query>,
    /// The changes of instances that follow from the answers.
    pub rows: RowChanges,
    /// The values of the answers.
    pub readings: Vec<Reading>,
    /// The failure of a source without which a request for the values fails.
    pub fault: Option<String>,
}

/// The value of one parameter in the answer of its source, or a table whose rows the source fails to give.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The full name of the parameter, or of the table with its dot.
    pub name: String,
    /// The place in the tree.
    pub place: ParameterPlace,
    /// The question that the value is from, in words; `None` if a placeholder of it could not be filled in, and for a value that
    /// nobody explains.
    pub query: Option<String>,
    /// The text of the device; `None` if the device has no such field, and for a value that nobody explains.
    pub text: Option<String>,
    /// The value, or the reason why the text is none, or why there was no answer.
    pub value: Result<Value, String>,
    /// The time that the source took.
    pub took: Duration,
}

impl Reading {
    /// Returns true for a table.
    pub fn is_table(&self) -> bool {
        self.name.ends_with('.')
    }
}

/// The findings that the steps of one refresh hand on.
#[derive(Debug, Default)]
pub struct Settled {
    /// The objects and tables outside all instances for which nothing more is needed from the device, so that later steps pass over
    /// them.
    nodes: Vec<bool>,
    /// The instances of these tables for which it is so too, ascending, each with the node of its table.
    instances: Vec<(NodeId, u32)>,
    /// The places of the answers of sources whose query is the same for all rows, by source.
    answers: Vec<Option<u32>>,
}

/// A query with its answer, or the reason for a failure.
type Answered<'t> = (&'t Query, &'t Response);

/// The reason why a question cannot be asked, or a text not be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// Another answer must come first.
    Pending,
    /// The device does not have it.
    Absent,
    /// A source has failed, so that the device may have it.
    Failed,
}

impl Tree {
    /// Returns true if the model has sources.
    pub fn has_sources(&self) -> bool {
        // The constant takes the code of sources out of a build without drivers.
        ARE_BUILT && self.schema.bindings.is_some()
    }

    /// Returns the next step towards the wanted values, with the answers so far. `settled` is that of the former steps.
    pub fn plan(&self, wanted: &Wanted, answers: &Answers, mode: Mode, settled: &mut Settled) -> Plan {
        let Some(bindings) = self.schema.bindings.as_ref().filter(|_| ARE_BUILT) else { return Plan::default() };
        let mut walk = RefreshWalk::new(self, bindings, wanted, answers, mode);
        settled.nodes.resize(self.schema.nodes.len(), false);
        settled.answers.resize(bindings.sources().len(), None);
        std::mem::swap(&mut walk.settled, settled);
        walk.walk();
        if walk.queries.is_empty() && walk.rows.is_empty() && wanted.values {
            walk.readings = Some(Vec::new());
            walk.walk();
        }
        std::mem::swap(&mut walk.settled, settled);
        Plan { queries: walk.queries, rows: walk.rows, readings: walk.readings.unwrap_or_default(), fault: walk.fault }
    }
}

/// A walk over the parameters and tables that have sources and are wanted.
struct RefreshWalk<'t> {
    tree: &'t Tree,
    schema: &'t Schema,
    bindings: &'t Bindings,
    wanted: &'t Wanted,
    answers: &'t Answers,
    /// The name of the present node.
    name: String,
    /// True if the request wants all that is below the present node.
    is_covered: bool,
    /// The instances around the present node, the outermost first.
    steps: Steps,
    /// The rows around the present node, the outermost first.
    above: Vec<Above<'t>>,
    /// The number of rows that the walk has entered.
    visits: u32,
    queries: Vec<Query>,
    rows: RowChanges,
    /// The tables that this round has looked at.
    tables: Vec<SeenTable<'t>>,
    /// The tables to which paths of the model lead, by these paths.
    targets: Vec<(&'t str, Option<Target<'t>>)>,
    /// The findings of this round on each source: a table of 256 rows would find it out thousands of times.
    known: Vec<Known<'t>>,
    /// The names of the instances to which references lead by a name.
    names: Vec<RowNames<'t>>,
    /// The place in the list of fields behind the last one: the walk meets them in the order of the list as a rule.
    next_field: usize,
    settled: Settled,
    /// The number of answers and changes that had to come first, each as often as a node needed it.
    open: u32,
    /// The number of questions that may be others for another row.
    row_questions: u32,
    /// The values, once all answers are there.
    readings: Option<Vec<Reading>>,
    /// The values that the device is to have, instead of readings.
    writes: Option<WriteWalk<'t>>,
    fault: Option<String>,
    mode: Mode,
}

/// A row around a node.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Above<'t> {
    key: &'t str,
    /// The source of its table.
    source: SourceId,
    /// The number of this visit of the row, which no other has in this walk.
    visit: u32,
}

/// The names of the instances of a table, with the numbers, for references by a name.
struct RowNames<'t> {
    path: &'t RowPath,
    names: Vec<(Cow<'t, str>, u32)>,
    /// True if an answer must come first.
    is_open: bool,
}

impl<'t> RefreshWalk<'t> {
    fn new(
        tree: &'t Tree,
        bindings: &'t Bindings,
        wanted: &'t Wanted,
        answers: &'t Answers,
        mode: Mode,
    ) -> RefreshWalk<'t> {
        RefreshWalk {
            tree,
            schema: &tree.schema,
            bindings,
            wanted,
            answers,
            name: String::new(),
            is_covered: wanted.has(""),
            steps: Steps::new(),
            above: Vec::new(),
            visits: 0,
            queries: Vec::new(),
            rows: RowChanges::default(),
            tables: Vec::new(),
            targets: Vec::new(),
            known: vec![Known::default(); bindings.sources().len()],
            names: Vec::new(),
            next_field: 0,
            settled: Settled::default(),
            open: 0,
            row_questions: 0,
            readings: None,
            writes: None,
            fault: None,
            mode,
        }
    }

    /// Walks from the root.
    fn walk(&mut self) {
        self.name.clear();
        self.names.clear();
        self.node(ROOT, &self.tree.root);
    }

    fn node(&mut self, id: NodeId, scope: &'t Scope) {
        let node = self.schema.node(id);
        if !node.contains.has(Contains::SOURCE) {
            return;
        }
        if let NodeKind::Parameter { slot, spec } = node.kind {
            if self.wanted.values && self.wants_child(id) {
                self.parameter(id, slot, self.schema.spec(spec), scope);
            }
        } else {
            self.named(id, |walk| {
                walk.name.push('.');
                walk.object(id, scope);
            });
        }
    }

    /// Does something at a child of the present node.
    fn named<R>(&mut self, id: NodeId, act: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.name.len();
        self.name.push_str(self.schema.name(id));
        let done = act(self);
        self.name.truncate(length);
        done
    }

    fn object(&mut self, id: NodeId, scope: &'t Scope) {
        let is_asking = self.readings.is_none() && std::ptr::eq(scope, &self.tree.root);
        if is_asking && self.settled.nodes[id as usize] {
            return;
        }
        let open = self.open;
        self.enter(&mut |walk| match walk.schema.node(id).kind {
            NodeKind::Table(table) => walk.table(id, &table, scope),
            NodeKind::Object(children) => walk.children(children, scope),
            NodeKind::Parameter { .. } => {}
        });
        if is_asking {
            self.settled.nodes[id as usize] = self.open == open;
        }
    }

    /// Walks on below the object at `self.name`, if something there is wanted.
    fn enter(&mut self, below: &mut dyn FnMut(&mut Self)) {
        let outside = self.is_covered;
        self.is_covered = self.wants(&self.name);
        if self.is_covered || self.wanted.has_below(&self.name) {
            below(self);
        }
        self.is_covered = outside;
    }

    /// Returns true if the path of the present node, or of a part of it, is wanted, itself or with everything below an object above
    /// it.
    fn wants(&self, name: &str) -> bool {
        self.is_covered || self.wanted.has(name)
    }

    /// Returns true if a parameter of the present node is wanted.
    fn wants_child(&mut self, id: NodeId) -> bool {
        // Most walks are for everything, and need no names of parameters.
        self.is_covered || self.named(id, |walk| walk.wanted.has(&walk.name))
    }

    fn children(&mut self, children: Children, scope: &'t Scope) {
        for id in children.range().filter(|id| !self.schema.node(*id).is_omitted) {
            if let Some(counted) = self.schema.counted_table(id) {
                self.counter(id, counted, children, scope);
            }
            self.node(id, scope);
        }
    }

    /// Asks for the rows of a table whose number of instances is wanted.
    fn counter(&mut self, id: NodeId, counted: u32, children: Children, scope: &'t Scope) {
        let is_wanted = self.wants_child(id);
        let is_counted =
            |id: &NodeId| matches!(self.schema.node(*id).kind, NodeKind::Table(table) if table.index == counted);
        if is_wanted
            && let Some(table) = children.range().find(is_counted)
            && let NodeKind::Table(spec) = self.schema.node(table).kind
            && let Some(binding) = self.bindings.table(table)
        {
            self.named(table, |walk| {
                walk.name.push('.');
                walk.settle(binding, &spec, scope);
            });
        }
    }

    fn table(&mut self, id: NodeId, spec: &TableSpec, scope: &'t Scope) {
        let table = &scope.tables[spec.index as usize];
        let binding = self.bindings.table(id);
        if binding.is_some_and(|binding| self.settle(binding, spec, scope) == Rows::Open) {
            return;
        }
        if self.mode == Mode::Explain && self.readings.is_some() && self.wants(&self.name) {
            let own = binding.filter(|binding| binding.follows.is_none());
            own.into_iter().for_each(|binding| self.note_failed_rows(id, binding.source));
        }
        let is_asking = self.readings.is_none() && std::ptr::eq(scope, &self.tree.root);
        for instance in &table.instances {
            let (length, questions, open) = (self.name.len(), self.row_questions, self.open);
            let place = (id, instance.number);
            let settled = self.settled.instances.binary_search(&place);
            if is_asking && settled.is_ok() {
                continue;
            }
            super::walk::push_number(&mut self.name, instance.number);
            self.steps.push((spec.index, instance.number));
            // An instance without a key is none of a row, in a table that the loader refuses.
            let row = table.key(instance.number).zip(binding);
            if let Some((key, binding)) = row {
                self.enter_row(key, binding.source);
            }
            self.enter(&mut |walk| walk.children(spec.children, &instance.scope));
            if row.is_some() {
                self.above.pop();
            }
            self.steps.pop();
            self.name.truncate(length);
            match settled {
                Err(at) if is_asking && self.open == open => self.settled.instances.insert(at, place),
                _ => {}
            }
            // Nothing that was asked for one row would be another question for the others.
            let is_asked = self.readings.is_none() && self.is_covered && !self.wanted.changes;
            if is_asked && self.row_questions == questions {
                break;
            }
        }
    }

    /// Notes that the nodes that follow belong to a row.
    fn enter_row(&mut self, key: &'t str, source: SourceId) {
        self.visits += 1;
        self.above.push(Above { key, source, visit: self.visits });
    }
}
