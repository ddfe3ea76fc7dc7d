//! Parameters by name, one after the other: an ACS that asks for all of them sends them in the order of the tree.

use super::{Located, Parameter, Scope, Tree};
use crate::model::path::{MAX_LENGTH, Path, PathError};
use crate::model::schema::{Children, NodeKind};

/// Visits the parameters of one name after the other. The object of the last parameter is looked at first: a name from the root
/// costs a dozen comparisons of texts for each object on the way.
#[derive(Debug)]
pub struct Finder<'t> {
    tree: &'t Tree,
    last: Option<Object<'t>>,
}

/// An object or instance in which a parameter was found.
#[derive(Debug)]
struct Object<'t> {
    /// With the dot at its end.
    path: String,
    children: Children,
    scope: &'t Scope,
    /// The number of children in front of the one that is compared first.
    next: u32,
}

impl<'t> Finder<'t> {
    pub(super) fn new(tree: &'t Tree) -> Finder<'t> {
        Finder { tree, last: None }
    }

    /// Calls `visit` as [`Tree::visit_values`] does, which has the errors as well.
    pub fn visit(&mut self, name: &str, visit: &mut dyn FnMut(&Parameter<'_>)) -> Result<(), PathError> {
        if self.visit_last(name, visit)? {
            return Ok(());
        }
        let path = Path::parse(name)?;
        self.last = self.object_of(name);
        match self.visit_last(name, visit)? {
            true => Ok(()),
            false => self.tree.visit_values(&path, visit),
        }
    }

    /// Visits the parameter if it belongs to the last object, and returns false otherwise.
    fn visit_last(&mut self, name: &str, visit: &mut dyn FnMut(&Parameter<'_>)) -> Result<bool, PathError> {
        let schema = &self.tree.schema;
        let Some(object) = &mut self.last else { return Ok(false) };
        let Some(rest) = name.strip_prefix(object.path.as_str()) else { return Ok(false) };
        let Children { first, count } = object.children;
        let mut places = (object.next..count).chain(0..object.next);
        let Some(place) = places.find(|place| schema.name(first + place) == rest) else { return Ok(false) };
        let node = schema.node(first + place);
        // The way from the root decides about an object, and about an error.
        let found = matches!(node.kind, NodeKind::Parameter { .. }) && (self.tree.with_omitted || !node.is_omitted);
        if !found || name.len() > MAX_LENGTH {
            return Ok(false);
        }
        object.next = place + 1;
        self.tree.work.step()?;
        visit(&self.tree.parameter_at(name, first + place, object.scope));
        Ok(true)
    }

    /// Finds the object whose parameter has this name.
    fn object_of(&self, name: &str) -> Option<Object<'t>> {
        let end = name.rfind('.')? + 1;
        let path = name.get(..end).filter(|path| path.len() < name.len())?;
        let (children, scope) = match self.tree.locate(&Path::parse(path).ok()?) {
            Ok(Located::Object(children, scope)) => (children, scope),
            Ok(Located::Instance(table, instance)) => (table.children, &instance.scope),
            _ => return None,
        };
        Some(Object { path: path.to_owned(), children, scope, next: 0 })
    }
}
