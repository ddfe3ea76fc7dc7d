//! The changes that lead from the factory state to the present one: all that the journal stores of a tree.

use super::walk::push_number;
use super::{Scope, Table, Tree};
use crate::model::change::Change;
use crate::model::schema::{NodeId, NodeKind, ROOT, Spec, TableSpec};

impl Tree {
    /// Returns all changes that lead from the factory state to this one, in an order in which they can be applied.
    pub fn changes_from_factory(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        self.node_changes(ROOT..ROOT + 1, &self.root, &mut String::new(), &mut changes);
        changes
    }

    /// Appends the changes of `nodes` and everything below them; `name` is the path of their parent.
    fn node_changes(
        &self,
        nodes: std::ops::Range<NodeId>,
        scope: &Scope,
        name: &mut String,
        changes: &mut Vec<Change>,
    ) {
        for id in nodes {
            let length = name.len();
            name.push_str(self.schema.name(id));
            match self.schema.node(id).kind {
                NodeKind::Parameter { slot, spec } => {
                    scope.parameter_changes(slot, self.schema.spec(spec), name, changes)
                }
                NodeKind::Object(children) => {
                    name.push('.');
                    self.node_changes(children.range(), scope, name, changes);
                }
                NodeKind::Table(spec) => {
                    name.push('.');
                    self.table_changes(&spec, &scope.tables[spec.index as usize], name, changes);
                }
            }
            name.truncate(length);
        }
    }

    fn table_changes(&self, spec: &TableSpec, table: &Table, name: &mut String, changes: &mut Vec<Change>) {
        for number in &table.deleted {
            changes.push(Change::Delete(format!("{name}{number}.")));
        }
        for instance in &table.instances {
            // The instance comes before the values in it, which could not be applied without it.
            match table.row(instance.number) {
                Some(row) => changes.push(row.change(name)),
                None if !instance.factory => changes.push(Change::Add(name.clone(), instance.number)),
                None => {}
            }
            let length = name.len();
            push_number(name, instance.number);
            self.node_changes(spec.children.range(), &instance.scope, name, changes);
            name.truncate(length);
        }
        table.departed_changes(name, changes);
        // R218: no other change tells the numbers of instances that were deleted.
        table.number_changes(name, changes);
    }
}

impl Scope {
    fn parameter_changes(&self, slot: u32, spec: &Spec, name: &str, changes: &mut Vec<Change>) {
        if self.changed.binary_search(&slot).is_ok() {
            let value = self.values[slot as usize].as_ref().unwrap_or(&spec.default);
            changes.push(Change::Set(name.to_owned(), value.clone()));
        }
        if let Some(attributes) = self.attributes(slot) {
            changes.push(Change::Attributes(name.to_owned(), attributes));
        }
    }
}
