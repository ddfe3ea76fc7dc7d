//! Walks over the nodes that are present on the device, in the order of the data model, with the full name of each.
//!
//! A walk has one name, which it extends on its way down and truncates on its way up, so that it allocates nothing for
//! a node.

use super::{Parameter, Scope, Work};
use crate::model::path::PathError;
use crate::model::schema::{Children, Contains, NodeId, NodeKind, Schema, TableSpec};
use crate::model::value::decimal;

/// A walk over parameters.
pub(super) struct ParameterWalk<'w, 'v> {
    pub(super) schema: &'w Schema,
    /// The name of the present node.
    pub(super) name: String,
    /// The flags of the nodes to visit; `None` for all nodes.
    pub(super) filter: Option<Contains>,
    pub(super) work: &'w Work,
    /// The reason why the walk visits no further node.
    pub(super) end: Result<(), PathError>,
    pub(super) visit: &'v mut dyn FnMut(&Parameter<'_>),
}

impl ParameterWalk<'_, '_> {
    pub(super) fn node(&mut self, id: NodeId, scope: &Scope) {
        let node = self.schema.node(id);
        // The flags cover everything below the node, so that an Inform does not walk the whole tree.
        let is_meant = match (self.filter, node.kind) {
            (None, _) => true,
            // Only a parameter with attributes can have notification.
            (Some(Contains::SOURCE), NodeKind::Parameter { .. }) => {
                let is_read = node.contains.has(Contains::SOURCE) || self.schema.counted_table(id).is_some();
                is_read && (!scope.attributes.is_empty() || node.contains.has(Contains::NOTIFIES))
            }
            // Most tables have many instances, and no parameter with attributes.
            (Some(Contains::SOURCE), NodeKind::Table(table)) if !node.contains.has(Contains::NOTIFIES) => {
                node.contains.has(Contains::SOURCE) && scope.tables[table.index as usize].has_attributes()
            }
            (Some(flags), _) => node.contains.has(flags),
        };
        if !is_meant || node.is_omitted || self.end.is_err() {
            return;
        }
        let length = self.name.len();
        self.name.push_str(self.schema.name(id));
        match node.kind {
            NodeKind::Parameter { slot, spec } => {
                self.end = self.work.step();
                if self.end.is_err() {
                    return;
                }
                (self.visit)(&Parameter { name: &self.name, spec: self.schema.spec(spec), scope, slot });
            }
            NodeKind::Object(children) => {
                self.name.push('.');
                self.children(children, scope);
            }
            NodeKind::Table(table) => {
                self.name.push('.');
                self.table(&table, scope);
            }
        }
        self.name.truncate(length);
    }

    pub(super) fn children(&mut self, children: Children, scope: &Scope) {
        for id in children.range() {
            self.node(id, scope);
        }
    }

    pub(super) fn table(&mut self, table: &TableSpec, scope: &Scope) {
        for instance in &scope.tables[table.index as usize].instances {
            let length = self.name.len();
            push_number(&mut self.name, instance.number);
            self.children(table.children, &instance.scope);
            self.name.truncate(length);
        }
    }
}

/// A walk over the names of objects, tables, instances and parameters.
pub(super) struct NameWalk<'w, 'v> {
    pub(super) schema: &'w Schema,
    /// The name of the present node.
    pub(super) name: String,
    /// True if the walk enters the nodes below the first level: GetParameterNames without NextLevel.
    pub(super) deep: bool,
    pub(super) work: &'w Work,
    /// The reason why the walk visits no further node.
    pub(super) end: Result<(), PathError>,
    pub(super) visit: &'v mut dyn FnMut(&str, bool),
}

impl NameWalk<'_, '_> {
    /// Counts a node. Returns true if the walk may visit it.
    fn may_visit(&mut self) -> bool {
        self.end = self.end.and_then(|()| self.work.step());
        self.end.is_ok()
    }

    pub(super) fn node(&mut self, id: NodeId, scope: &Scope) {
        if self.schema.node(id).is_omitted || !self.may_visit() {
            return;
        }
        let length = self.name.len();
        self.name.push_str(self.schema.name(id));
        match self.schema.node(id).kind {
            NodeKind::Parameter { spec, .. } => (self.visit)(&self.name, self.schema.spec(spec).writable),
            NodeKind::Object(children) => {
                self.name.push('.');
                // R192: an object with one instance only can be neither added nor deleted.
                (self.visit)(&self.name, false);
                if self.deep {
                    self.children(children, scope);
                }
            }
            NodeKind::Table(table) => {
                self.name.push('.');
                // R187: an empty table is listed, too.
                (self.visit)(&self.name, table.writable);
                if self.deep {
                    self.instances(&table, scope);
                }
            }
        }
        self.name.truncate(length);
    }

    pub(super) fn children(&mut self, children: Children, scope: &Scope) {
        for id in children.range() {
            self.node(id, scope);
        }
    }

    pub(super) fn instances(&mut self, table: &TableSpec, scope: &Scope) {
        for instance in &scope.tables[table.index as usize].instances {
            if !self.may_visit() {
                return;
            }
            let length = self.name.len();
            push_number(&mut self.name, instance.number);
            (self.visit)(&self.name, table.writable);
            if self.deep {
                self.children(table.children, &instance.scope);
            }
            self.name.truncate(length);
        }
    }
}

/// Appends the number of an instance and a dot.
pub(super) fn push_number(name: &mut String, number: u32) {
    name.push_str(decimal(number.into(), &mut [0; 20]));
    name.push('.');
}
