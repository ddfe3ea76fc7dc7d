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
use std::collections::BTreeSet;
use std::time::Duration;

use super::rows::FoundRow;
use super::{Located, RowChanges, Scope, Tree};
use crate::model::build::ARE_BUILT;
use crate::model::path::{Path, PathError};
use crate::model::schema::{Children, Contains, NodeId, NodeKind, ROOT, Schema, TableSpec};
use crate::model::source::{
    Answer, Answers, Bindings, Location, Query, Response, RowPath, SourceId, TableBinding, uci,
};
use crate::model::value::Value;

mod fields;
mod parts;
mod queries;
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
    /// All values, also those that the tree has, and the reasons where there is none.
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

/// The value of one parameter in the answer of its source.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The full name of the parameter.
    pub name: String,
    /// The question that the value is from, in words; `None` if a placeholder of it could not be filled in.
    pub query: Option<String>,
    /// The text of the device; `None` if the device has no such field.
    pub text: Option<String>,
    /// The value, or the reason why the text is none, or why there was no answer.
    pub value: Result<Value, String>,
    /// The time that the source took.
    pub took: Duration,
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

    /// Returns the next step towards the wanted values, with the answers so far.
    pub fn plan(&self, wanted: &Wanted, answers: &Answers, mode: Mode) -> Plan {
        let Some(bindings) = self.schema.bindings.as_ref().filter(|_| ARE_BUILT) else { return Plan::default() };
        let mut walk = RefreshWalk::new(self, bindings, wanted, answers, mode);
        walk.walk();
        if walk.queries.is_empty() && walk.rows.is_empty() && wanted.values {
            walk.readings = Some(Vec::new());
            walk.walk();
        }
        Plan { queries: walk.queries, rows: walk.rows, readings: walk.readings.unwrap_or_default(), fault: walk.fault }
    }

    /// Gives a parameter the value of a reading. The journal does not store it.
    ///
    /// # Errors
    /// The parameter is not present.
    pub fn apply_reading(&mut self, name: &str, value: Value) -> Result<(), PathError> {
        self.set_value(name, value, true)
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
    /// The rows around the present node, the outermost first.
    above: Vec<Above>,
    queries: Vec<Query>,
    rows: RowChanges,
    /// The tables that this round has looked at, by path.
    tables: Vec<(String, Rows)>,
    /// The answers of the sources whose queries are the same for all rows.
    answered: Vec<(SourceId, Answered<'t>)>,
    /// Sources with such queries that are asked in this round.
    asked: Vec<SourceId>,
    /// The names of the instances to which references lead by a name, with the numbers.
    names: Vec<(&'t RowPath, Vec<(String, u32)>)>,
    /// The values, once all answers are there.
    readings: Option<Vec<Reading>>,
    /// The values that the device is to have, instead of readings.
    writes: Option<WriteWalk<'t>>,
    fault: Option<String>,
    mode: Mode,
}

/// A row around a node.
#[derive(Clone, PartialEq, Eq)]
struct Above {
    key: String,
    /// The source of its table.
    source: SourceId,
}

/// The state of the rows of a table in this round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// The instances are the rows of the device, or the last ones that it gave.
    Settled,
    /// An answer or a change must come first.
    Open,
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
            above: Vec::new(),
            queries: Vec::new(),
            rows: RowChanges::default(),
            tables: Vec::new(),
            answered: Vec::new(),
            asked: Vec::new(),
            names: Vec::new(),
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
        let length = self.name.len();
        self.name.push_str(self.schema.name(id));
        match node.kind {
            NodeKind::Parameter { slot, spec } => {
                if self.wanted.values && self.wanted.covers(&self.name) {
                    self.parameter(id, slot, self.schema.spec(spec), scope);
                }
            }
            NodeKind::Object(children) => {
                self.name.push('.');
                if self.wanted.touches(&self.name) {
                    self.children(children, scope);
                }
            }
            NodeKind::Table(table) => {
                self.name.push('.');
                if self.wanted.touches(&self.name) {
                    self.table(id, &table, scope);
                }
            }
        }
        self.name.truncate(length);
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
        let length = self.name.len();
        self.name.push_str(self.schema.name(id));
        let is_wanted = self.wanted.covers(&self.name);
        self.name.truncate(length);
        let is_counted =
            |id: &NodeId| matches!(self.schema.node(*id).kind, NodeKind::Table(table) if table.index == counted);
        if is_wanted
            && let Some(table) = children.range().find(is_counted)
            && let NodeKind::Table(spec) = self.schema.node(table).kind
            && let Some(binding) = self.bindings.table(table)
        {
            self.name.push_str(self.schema.name(table));
            self.name.push('.');
            self.settle(binding, &spec, scope);
            self.name.truncate(length);
        }
    }

    fn table(&mut self, id: NodeId, spec: &TableSpec, scope: &'t Scope) {
        let table = &scope.tables[spec.index as usize];
        let binding = self.bindings.table(id);
        if binding.is_some_and(|binding| self.settle(binding, spec, scope) == Rows::Open) {
            return;
        }
        for instance in &table.instances {
            let length = self.name.len();
            super::walk::push_number(&mut self.name, instance.number);
            // An instance without a key is none of a row, in a table that the loader refuses.
            let row = table.key(instance.number).zip(binding);
            if let Some((key, binding)) = row {
                self.above.push(Above { key: key.to_owned(), source: binding.source });
            }
            if self.wanted.touches(&self.name) {
                self.children(spec.children, &instance.scope);
            }
            if row.is_some() {
                self.above.pop();
            }
            self.name.truncate(length);
        }
    }

    /// Asks for the rows of the table at `self.name`, and notes the changes that they mean, once in a round: a parameter that counts
    /// the instances, a reference to one of them, and a value in one of them all need the rows.
    fn settle(&mut self, binding: &'t TableBinding, spec: &TableSpec, scope: &'t Scope) -> Rows {
        if self.readings.is_some() || self.mode == Mode::SameInstances {
            return Rows::Settled;
        }
        if let Some((_, rows)) = self.tables.iter().find(|(table, _)| *table == self.name) {
            return *rows;
        }
        let rows = self.look_at_rows(binding, spec, scope);
        self.tables.push((self.name.clone(), rows));
        rows
    }

    fn look_at_rows(&mut self, binding: &'t TableBinding, spec: &TableSpec, scope: &'t Scope) -> Rows {
        let table = &scope.tables[spec.index as usize];
        if let Some(path) = &binding.follows {
            if self.settle_table(path) == Rows::Open {
                return Rows::Open;
            }
            let Some((leader, scope)) = self.table_at(path) else { return Rows::Settled };
            let leader = &scope.tables[leader.index as usize];
            return self.add_changes(self.tree.following_changes(&self.name, table, leader, binding));
        }
        let rows = match self.rows_query(binding.source) {
            Ok(query) => match self.answers.get(&query) {
                None => {
                    self.ask(query);
                    return Rows::Open;
                }
                Some((query, Response { answer: Err(reason), .. })) => {
                    if self.bindings.source(binding.source).fault {
                        self.fault.get_or_insert_with(|| format!("{}: {reason}", query.target));
                    }
                    return Rows::Settled;
                }
                Some((_, Response { answer: Ok(answer), .. })) => self.matching_rows(answer, binding),
            },
            Err(Missing::Pending) => return Rows::Open,
            // An object that the device may lack has no rows without a name.
            Err(Missing::Absent) if self.bindings.source(binding.source).is_optional() => Ok(Vec::new()),
            // Without an answer, no instance comes or goes.
            Err(Missing::Absent | Missing::Failed) => return Rows::Settled,
        };
        match rows {
            Ok(rows) => {
                let most = spec.max_entries as usize;
                self.add_changes(self.tree.row_changes(&self.name, table, &rows, most, binding))
            }
            Err(rows) => rows,
        }
    }

    fn add_changes(&mut self, changes: RowChanges) -> Rows {
        if changes.is_empty() {
            return Rows::Settled;
        }
        self.rows.kept.extend(changes.kept);
        self.rows.loose.extend(changes.loose);
        Rows::Open
    }

    /// Returns the rows that meet the conditions of the table, each key once; the state of the rows while a placeholder waits
    /// for an answer, or if the answer can have no rows.
    fn matching_rows(&mut self, answer: &'t Answer, binding: &TableBinding) -> Result<Vec<FoundRow<'t>>, Rows> {
        let mut conditions = Vec::new();
        for (field, templates) in &binding.conditions {
            // A filled-in text is no pattern.
            let is_any = templates.iter().any(|template| template.is_text("*"));
            let mut texts = Vec::new();
            for template in templates {
                match self.fill(template) {
                    Ok(text) => texts.push(text),
                    Err(Missing::Absent) => {}
                    Err(Missing::Failed) => return Err(Rows::Settled),
                    Err(Missing::Pending) => return Err(Rows::Open),
                }
            }
            conditions.push((&**field, texts, is_any));
        }
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut add = |key: Cow<'t, str>, digest: u32, text: &dyn Fn(&str) -> Option<Cow<'t, str>>| {
            let meets = |(field, texts, is_any): &(&str, Vec<String>, bool)| {
                let found = text(field).unwrap_or_default();
                (*is_any && !found.is_empty()) || texts.iter().any(|text| *text == found)
            };
            if !key.is_empty() && conditions.iter().all(meets) && seen.insert(key.clone()) {
                found.push(FoundRow { key, digest });
            }
        };
        match answer {
            Answer::Text(_) => {}
            Answer::Rows(rows) => {
                let is_uci = matches!(self.bindings.source(binding.source).location, Location::Uci { .. });
                for row in rows {
                    let digest = if is_uci { uci::digest(row) } else { 0 };
                    add(row.key.as_str().into(), digest, &|field| row.get(field).map(Cow::Borrowed));
                }
            }
            Answer::Tree(blob) => self.rows_in_tree(binding.source, blob, &mut add)?,
        }
        Ok(found)
    }

    /// Asks for the rows of the table at a path, for references to them and for the tables that follow it.
    fn settle_table(&mut self, path: &str) -> Rows {
        let binding = self.schema.bound_table(path).and_then(|node| self.bindings.table(node));
        let Some((binding, (spec, scope))) = binding.zip(self.table_at(path)) else { return Rows::Settled };
        let (name, above) = (std::mem::replace(&mut self.name, path.to_owned()), std::mem::take(&mut self.above));
        let rows = self.settle(binding, &spec, scope);
        (self.name, self.above) = (name, above);
        rows
    }

    /// Returns the table at a path with the scope that has its instances, which is that of an instance for a table in one.
    fn table_at(&self, path: &str) -> Option<(TableSpec, &'t Scope)> {
        match self.tree.locate(&Path::parse(path).ok()?) {
            Ok(Located::Table(spec, scope)) => Some((spec, scope)),
            _ => None,
        }
    }
}
