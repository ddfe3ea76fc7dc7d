//! Results of diagnostic tests: instances that neither the files nor the journal have, and that the next run replaces.

use std::rc::Rc;

use super::{Located, Scope, Tree};
use crate::model::path::{Path, instance_number};
use crate::model::schema::{Children, NodeKind, Schema};

/// The most instances of a table of results.
const MAX_ROWS: u32 = 1024;

impl Tree {
    /// Removes the instances of the tables of results in an object, given by its path with the dot.
    pub fn clear_results(&mut self, object: &str) {
        let Ok((Located::Object(children, _), steps)) =
            Path::parse(object).and_then(|path| self.locate_with_steps(&path))
        else {
            return;
        };
        let schema = Rc::clone(&self.schema);
        clear(&schema, children, self.scope_mut(&steps));
    }

    /// Adds the instances that a result such as `….RouteHops.1.Host` needs, in tables to which the ACS cannot add any. A name that
    /// the model does not have adds none.
    pub fn add_result_rows(&mut self, name: &str) {
        for (dot, _) in name.match_indices('.') {
            let Some((table, number)) = name[..dot].rsplit_once('.') else { continue };
            let Some(number) = instance_number(number) else { continue };
            let table = &name[..=table.len()];
            let located = Path::parse(table).and_then(|path| self.locate_with_steps(&path));
            let Ok((Located::Table(spec, _), steps)) = located else { return };
            if spec.writable || number > spec.max_entries.min(MAX_ROWS) {
                return;
            }
            let schema = Rc::clone(&self.schema);
            // As an instance of the factory state, which the journal does not hold.
            self.scope_mut(&steps).instance(&schema, &spec, number, true);
        }
    }
}

/// Removes the instances of the tables among these nodes.
fn clear(schema: &Schema, children: Children, scope: &mut Scope) {
    for id in children.range() {
        match schema.node(id).kind {
            NodeKind::Object(children) => clear(schema, children, scope),
            NodeKind::Table(spec) if !spec.writable && !schema.has_rows(id) => {
                let table = &mut scope.tables[spec.index as usize];
                table.instances.clear();
                table.last = 0;
            }
            _ => {}
        }
    }
}
