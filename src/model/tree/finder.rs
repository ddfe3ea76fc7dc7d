//! Parameters by name, one after the other: an ACS that asks for all of them sends them in the order of the tree.

use super::{Located, Parameter, Scope, Tree};
use crate::model::path::{MAX_LENGTH, Path, PathError};
use crate::model::schema::{NodeId, NodeKind};

/// Visits the parameters of one name after the other. The way to the last one is kept, since most names go on from an object on it.
pub struct Finder<'t> {
    tree: &'t Tree,
    /// The path of the last object on the way.
    path: String,
    /// The objects, tables and instances on the way, each with the length of its path.
    way: Vec<(usize, Located<'t>)>,
    /// The node behind the last parameter, which is compared first.
    next: NodeId,
}

impl<'t> Finder<'t> {
    pub(super) fn new(tree: &'t Tree) -> Finder<'t> {
        Finder { tree, path: String::new(), way: Vec::new(), next: 0 }
    }

    /// Calls `visit` as [`Tree::visit_values`] does, which has the errors as well.
    pub fn visit(&mut self, name: &str, visit: &mut dyn FnMut(&Parameter<'_>)) -> Result<(), PathError> {
        let Some((node, scope)) = self.find(name) else {
            // An object, or an error.
            return self.tree.visit_values(&Path::parse(name)?, visit);
        };
        self.tree.work.step()?;
        visit(&self.tree.parameter_at(name, node, scope));
        Ok(())
    }

    /// Finds a parameter; `None` if the name is not that of one.
    fn find(&mut self, name: &str) -> Option<(NodeId, &'t Scope)> {
        let end = name.rfind('.').filter(|_| name.len() <= MAX_LENGTH)? + 1;
        while self.way.last().is_some_and(|(length, _)| !name[..end].starts_with(&self.path[..*length])) {
            self.way.pop();
        }
        let mut at = self.way.last().map_or(0, |(length, _)| *length);
        self.path.truncate(at);
        for segment in name[at..end].split_terminator('.') {
            let located = match self.way.last() {
                None if segment == self.tree.root_name() => self.tree.root(),
                // An alias is for a form of names that the caller decides about.
                Some((_, above)) if !segment.starts_with('[') => self.tree.step(*above, segment),
                _ => return None,
            };
            let located = located.ok()?;
            at += segment.len() + 1;
            self.path.extend([segment, "."]);
            self.way.push((at, located));
        }
        let (children, scope) = match self.way.last()?.1 {
            Located::Object(children, scope) => (children, scope),
            Located::Instance(table, instance) => (table.children, &instance.scope),
            _ => return None,
        };
        let (schema, name) = (&self.tree.schema, &name[end..]);
        let is_next = children.range().contains(&self.next) && schema.name(self.next) == name;
        let id = if is_next { self.next } else { schema.child(children, name)? };
        self.next = id + 1;
        let node = schema.node(id);
        let is_found = matches!(node.kind, NodeKind::Parameter { .. }) && (self.tree.with_omitted || !node.is_omitted);
        is_found.then_some((id, scope))
    }
}
