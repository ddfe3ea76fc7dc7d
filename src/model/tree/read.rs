//! Reading a tree: values and names, in the order of the data model.

use super::walk::{NameWalk, ParameterWalk};
use super::{Finder, Located, Parameter, ParameterPlace, Scope, Tree, Work};
use crate::model::path::{Path, PathError};
use crate::model::schema::{Contains, NodeId, NodeKind, ROOT};
use crate::model::value::Value;
use crate::suggest::near;

/// The room for a name while the tree is walked: most are shorter, so that the walk allocates once.
const NAME_CAPACITY: usize = 128;

impl Tree {
    /// Returns the parameter of exactly this name. A partial path is [`PathError::NotAParameter`].
    pub fn parameter<'t>(&'t self, name: &'t str) -> Result<Parameter<'t>, PathError> {
        match self.locate(&Path::parse(name)?)? {
            Located::Parameter(node, scope) => Ok(self.parameter_at(name, node, scope)),
            _ if name.is_empty() || name.ends_with('.') => Err(PathError::NotAParameter),
            _ => Err(PathError::Unknown),
        }
    }

    /// Returns the place of the parameter of exactly this name.
    pub fn place(&self, name: &str) -> Result<ParameterPlace, PathError> {
        match self.locate_with_steps(&Path::parse(name)?)? {
            (Located::Parameter(node, _), steps) => Ok(ParameterPlace { node, steps }),
            _ => Err(PathError::NotAParameter),
        }
    }

    /// Returns the parameter at a place, if it is still present. `name` is its full name.
    pub fn parameter_in<'t>(&'t self, place: &ParameterPlace, name: &'t str) -> Option<Parameter<'t>> {
        let scope = place.steps.iter().try_fold(&self.root, |scope, (table, number)| {
            Some(&scope.tables[*table as usize].instance(*number)?.scope)
        });
        Some(self.parameter_at(name, place.node, scope?))
    }

    /// Returns the end of a message about an unknown name: a name that differs in few letters below the same object.
    pub fn near_name(&self, name: &str) -> String {
        let mut end = name.len();
        // From the longest beginning to the shortest, until one is an object.
        while let Some(dot) = name[..end].rfind('.') {
            let (object, rest) = name.split_at(dot + 1);
            let mut children = Vec::new();
            let mut collect = |child: &str, _| children.extend(child.strip_prefix(object).map(str::to_owned));
            if Path::parse(object).is_ok_and(|path| self.visit_names(&path, true, &mut collect).is_ok()) {
                // The name of an object has its dot in both, so that an object is not suggested for a parameter.
                let length = rest.find('.').map_or(rest.len(), |dot| dot + 1);
                let meant = near(&rest[..length], &children);
                return meant.map(|meant| format!("; did you mean `{object}{meant}`?")).unwrap_or_default();
            }
            end = dot;
        }
        String::new()
    }

    /// Returns the stored value of the parameter of this name, also of a hidden one.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.parameter(name).ok().map(|parameter| parameter.stored())
    }

    /// Returns the stored value of a parameter below an object of the root, as [`Tree::get`] does by the full name, which the caller
    /// need not make.
    pub fn get_below_root(&self, object: &str, parameter: &str) -> Option<Value> {
        let mut located = self.step(self.root().ok()?, object).ok()?;
        for segment in parameter.split('.') {
            located = self.step(located, segment).ok()?;
        }
        match located {
            Located::Parameter(node, scope) => Some(self.parameter_at(parameter, node, scope).stored()),
            _ => None,
        }
    }

    /// Returns a visitor of parameters by name.
    pub fn finder(&self) -> Finder<'_> {
        Finder::new(self)
    }

    /// Calls `visit` with every parameter at or below `path`, in the order of the data model (R178).
    ///
    /// A full name must be that of a parameter, and a partial path that of an object; any other is
    /// [`PathError::Unknown`] (R180).
    pub fn visit_values(&self, path: &Path<'_>, visit: &mut dyn FnMut(&Parameter<'_>)) -> Result<(), PathError> {
        // The entry counts as well, so that many names of empty tables are bounded, too.
        self.work.step()?;
        let located = self.locate(path)?;
        if let Located::Parameter(node, scope) = located {
            visit(&self.parameter_at(path.as_str(), node, scope));
            return Ok(());
        }
        let mut walk = self.walk(buffer(path), None, &self.work, visit);
        match located {
            Located::WholeTree => walk.node(ROOT, &self.root),
            Located::Object(children, scope) => walk.children(children, scope),
            Located::Instance(table, instance) => walk.children(table.children, &instance.scope),
            Located::Table(table, scope) => walk.table(&table, scope),
            Located::Parameter(..) => {} // visited above
        }
        walk.end
    }

    /// Decides if `path` names parameters: a parameter, or an object (R180).
    pub fn check_values_path(&self, path: &Path<'_>) -> Result<(), PathError> {
        self.work.step()?;
        self.locate(path).map(drop)
    }

    /// Calls `visit` with every parameter whose name matches a pattern: a full name in which `*` stands for any instance, and
    /// `[alias]` for one. A pattern that matches no parameter is no error.
    pub fn visit_pattern(&self, pattern: &str, visit: &mut dyn FnMut(&Parameter<'_>)) -> Result<(), PathError> {
        let found = self.visit_matches(pattern, false, &mut |path, _| {
            if let Ok(parameter) = self.parameter(path.as_str()) {
                visit(&parameter);
            }
            Ok(())
        });
        match found {
            Err(error @ (PathError::TooMuchWork | PathError::Stopping)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Calls `visit` with every parameter that each Inform carries (R103 to R105).
    pub fn visit_inform(&self, visit: &mut dyn FnMut(&Parameter<'_>)) {
        // Without a bound: no Inform may lack one of them, and the model limits their number.
        let _ = self.visit_filtered(Contains::INFORM, &Work::unbounded(), visit);
    }

    /// Calls `visit` with every parameter that is a reference whose values are checked (R173).
    pub(in crate::model) fn visit_references(&self, visit: &mut dyn FnMut(&Parameter<'_>)) -> Result<(), PathError> {
        self.visit_filtered(Contains::REFERENCE, &self.work, visit)
    }

    /// Calls `visit` with every parameter that may have notification, of those whose value is read from the device, and of those
    /// that count the instances of a table beside one.
    pub fn visit_notifying(&self, visit: &mut dyn FnMut(&Parameter<'_>)) {
        // Without a bound, for the same reason as above.
        let _ = self.visit_filtered(Contains::SOURCE, &Work::unbounded(), visit);
    }

    fn visit_filtered(
        &self,
        filter: Contains,
        work: &Work,
        visit: &mut dyn FnMut(&Parameter<'_>),
    ) -> Result<(), PathError> {
        let mut walk = self.walk(String::with_capacity(NAME_CAPACITY), Some(filter), work, visit);
        walk.node(ROOT, &self.root);
        walk.end
    }

    fn walk<'w, 'v>(
        &'w self,
        name: String,
        filter: Option<Contains>,
        work: &'w Work,
        visit: &'v mut dyn FnMut(&Parameter<'_>),
    ) -> ParameterWalk<'w, 'v> {
        ParameterWalk { schema: &self.schema, name, filter, work, end: Ok(()), visit }
    }

    /// Calls `visit` with each name and true if it is writable, as GetParameterNames lists them (R185 to R192).
    ///
    /// With `next_level` the path must be partial; the caller rejects any other (R188).
    pub fn visit_names(
        &self,
        path: &Path<'_>,
        next_level: bool,
        visit: &mut dyn FnMut(&str, bool),
    ) -> Result<(), PathError> {
        self.work.step()?;
        let located = self.locate(path)?;
        let (name, deep, work) = (buffer(path), !next_level, &self.work);
        let mut walk = NameWalk { schema: &self.schema, name, deep, work, end: Ok(()), visit };
        // R185: without NextLevel the named node itself comes first. The empty path has no entry of its own: the list
        // begins with the root object, which the walk visits.
        if !next_level && !path.as_str().is_empty() {
            (walk.visit)(path.as_str(), self.is_writable(&located));
        }
        match located {
            Located::WholeTree => walk.node(ROOT, &self.root),
            Located::Object(children, scope) => walk.children(children, scope),
            Located::Instance(table, instance) => walk.children(table.children, &instance.scope),
            Located::Table(table, scope) => walk.instances(&table, scope),
            Located::Parameter(..) => {}
        }
        walk.end
    }

    /// Returns true if the ACS can set the parameter, add an instance to the table, or delete the instance (R192).
    fn is_writable(&self, located: &Located<'_>) -> bool {
        match located {
            Located::Parameter(node, _) => match self.schema.node(*node).kind {
                NodeKind::Parameter { spec, .. } => self.schema.spec(spec).writable,
                _ => false,
            },
            Located::Table(table, _) | Located::Instance(table, ..) => table.writable,
            Located::WholeTree | Located::Object(..) => false,
        }
    }

    /// Returns true if an object or a parameter of this name is present. The name of an object may lack its dot.
    pub fn exists(&self, name: &str) -> bool {
        // R174: path-valued parameters write objects without the dot.
        let object = format!("{}.", name.trim_end_matches('.'));
        let present = |text: &str| Path::parse(text).and_then(|path| self.locate(&path)).is_ok();
        present(name) || present(&object)
    }

    /// Returns true if the name is that of a parameter that is present.
    pub fn is_parameter(&self, path: &Path<'_>) -> bool {
        matches!(self.locate(path), Ok(Located::Parameter(..)))
    }

    pub(super) fn parameter_at<'t>(&'t self, name: &'t str, node: NodeId, scope: &'t Scope) -> Parameter<'t> {
        let NodeKind::Parameter { slot, spec } = self.schema.node(node).kind else {
            unreachable!("a located parameter is the node of one")
        };
        Parameter { name, spec: self.schema.spec(spec), scope, slot }
    }
}

/// Returns the name with which a walk below `path` begins.
fn buffer(path: &Path<'_>) -> String {
    let mut name = String::with_capacity(NAME_CAPACITY);
    name.push_str(path.as_str());
    name
}
