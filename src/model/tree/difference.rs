//! What is no longer as it was at the factory: all that the journal has to hold of a tree.

use super::walk::push_number;
use super::{Scope, Table, Tree};
use crate::model::attributes::Attributes;
use crate::model::change::Change;
use crate::model::schema::{NodeId, NodeKind, ROOT, Spec, TableSpec};
use crate::model::value::Value;

/// One difference from the factory state: a table's path with its dot, or a parameter's name.
enum Difference<'t> {
    Added(&'t str, u32),
    Deleted(&'t str, u32),
    LastNumber(&'t str, u32),
    Value(&'t str, &'t Value),
    Attributes(&'t str, Attributes),
}

impl Tree {
    /// All changes that lead from the factory state to this one.
    pub fn changes_from_factory(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        self.visit_differences(&mut |difference| {
            changes.push(match difference {
                Difference::Added(table, number) => Change::Add(table.into(), number),
                Difference::Deleted(table, number) => Change::Delete(format!("{table}{number}.")),
                Difference::LastNumber(table, last) => Change::LastNumber(table.into(), last),
                Difference::Value(name, value) => Change::Set(name.into(), value.clone()),
                Difference::Attributes(name, attributes) => Change::Attributes(name.into(), attributes),
            });
        });
        changes
    }

    /// Tells of everything that differs from the factory state, in an order in which it can be done again.
    fn visit_differences(&self, visit: &mut dyn FnMut(Difference<'_>)) {
        let mut name = String::with_capacity(128);
        self.differences(ROOT..ROOT + 1, &self.root, &mut name, visit);
    }

    fn differences(
        &self,
        nodes: std::ops::Range<NodeId>,
        scope: &Scope,
        name: &mut String,
        visit: &mut dyn FnMut(Difference<'_>),
    ) {
        for id in nodes {
            let length = name.len();
            name.push_str(self.schema.name(id));
            match self.schema.node(id).kind {
                NodeKind::Parameter { slot, spec } => scope.slot_differences(slot, self.schema.spec(spec), name, visit),
                NodeKind::Object(children) => {
                    name.push('.');
                    self.differences(children.range(), scope, name, visit);
                }
                NodeKind::Table(shape) => {
                    name.push('.');
                    self.table_differences(&shape, &scope.tables[shape.index as usize], name, visit);
                }
            }
            name.truncate(length);
        }
    }

    fn table_differences(
        &self,
        shape: &TableSpec,
        table: &Table,
        name: &mut String,
        visit: &mut dyn FnMut(Difference<'_>),
    ) {
        for number in &table.deleted {
            visit(Difference::Deleted(name, *number));
        }
        for instance in &table.instances {
            if !instance.factory {
                visit(Difference::Added(name, instance.number));
            }
            let length = name.len();
            push_number(name, instance.number);
            self.differences(shape.children.range(), &instance.scope, name, visit);
            name.truncate(length);
        }
        if table.last > table.instances.last().map_or(0, |instance| instance.number) {
            visit(Difference::LastNumber(name, table.last));
        }
    }
}

impl Scope {
    fn slot_differences(&self, slot: u32, spec: &Spec, name: &str, visit: &mut dyn FnMut(Difference<'_>)) {
        if self.changed.binary_search(&slot).is_ok() {
            visit(Difference::Value(name, self.values[slot as usize].as_ref().unwrap_or(&spec.default)));
        }
        if let Some(attributes) = self.attributes(slot) {
            visit(Difference::Attributes(name, attributes));
        }
    }
}
