//! Reading a tree: values and names, in the order of the data model.

use super::walk::{NameWalk, ParameterWalk};
use super::{Located, Parameter, Tree};
use crate::model::path::{Path, PathError};
use crate::model::schema::{NodeId, NodeKind, ROOT};
use crate::model::value::Value;

impl Tree {
    /// The parameter of exactly this name.
    pub fn parameter<'t>(&'t self, name: &'t str) -> Result<Parameter<'t>, PathError> {
        match self.locate(&Path::parse(name)?)? {
            Located::Parameter(node, scope) => Ok(self.parameter_at(name, node, scope)),
            _ if name.is_empty() || name.ends_with('.') => Err(PathError::NotAParameter),
            _ => Err(PathError::Unknown),
        }
    }

    /// The value that is kept for the parameter of this name, that of a hidden parameter too.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.parameter(name).ok().map(|parameter| parameter.stored())
    }

    /// Every parameter at or below `path`, in the order of the data model (R178).
    ///
    /// A full name must be that of a parameter, and a partial path that of an object (R180).
    pub fn visit_values(&self, path: &Path<'_>, visit: &mut dyn FnMut(&Parameter<'_>)) -> Result<(), PathError> {
        let mut name = String::with_capacity(128);
        name.push_str(path.as_str());
        let mut walk = ParameterWalk { schema: &self.schema, name, only: |_| true, visit };
        match self.locate(path)? {
            Located::Parameter(node, scope) if !path.is_partial() => {
                visit(&self.parameter_at(path.as_str(), node, scope))
            }
            Located::WholeTree => walk.node(ROOT, &self.root),
            Located::Object(children, scope) => walk.children(children, scope),
            Located::Instance(table, scope) => walk.children(table.children, scope),
            Located::Table(table, scope) => walk.table(&table, scope),
            Located::Parameter(..) => return Err(PathError::Unknown),
        }
        Ok(())
    }

    /// Every parameter whose name fits a pattern: a full name in which `*` stands for any instance number.
    pub fn visit_pattern(&self, pattern: &str, visit: &mut dyn FnMut(&Parameter<'_>)) {
        let Some((table, rest)) = pattern.split_once("*.") else {
            if let Ok(parameter) = self.parameter(pattern) {
                visit(&parameter);
            }
            return;
        };
        let Ok(Ok(Located::Table(shape, scope))) = Path::parse(table).map(|path| self.locate(&path)) else { return };
        for instance in &scope.tables[shape.index as usize].instances {
            self.visit_pattern(&format!("{table}{}.{rest}", instance.number), visit);
        }
    }

    /// Every parameter that is sent in each Inform.
    pub fn visit_inform(&self, visit: &mut dyn FnMut(&Parameter<'_>)) {
        ParameterWalk {
            schema: &self.schema,
            name: String::with_capacity(128),
            only: |contains| contains.inform,
            visit,
        }
        .node(ROOT, &self.root);
    }

    /// Every parameter that strongly refers to others (R173).
    pub(in crate::model) fn visit_strong_references(&self, visit: &mut dyn FnMut(&Parameter<'_>)) {
        ParameterWalk {
            schema: &self.schema,
            name: String::with_capacity(128),
            only: |contains| contains.strong_reference,
            visit,
        }
        .node(ROOT, &self.root);
    }

    /// Names and whether they are writable, as GetParameterNames gives them (R185 to R192).
    ///
    /// With `next_level` the path must be partial; that it is not is for the caller to refuse (R188).
    pub fn visit_names(
        &self,
        path: &Path<'_>,
        next_level: bool,
        visit: &mut dyn FnMut(&str, bool),
    ) -> Result<(), PathError> {
        let located = self.locate(path)?;
        let mut name = String::with_capacity(128);
        name.push_str(path.as_str());
        let mut walk = NameWalk { schema: &self.schema, name, deep: !next_level, visit };
        if !next_level && !path.as_str().is_empty() {
            let writable = match &located {
                Located::Parameter(node, _) => {
                    matches!(self.schema.node(*node).kind, NodeKind::Parameter { spec, .. } if self.schema.spec(spec).writable)
                }
                Located::Table(table, _) | Located::Instance(table, ..) => table.writable,
                _ => false,
            };
            (walk.visit)(path.as_str(), writable);
        }
        match located {
            Located::WholeTree => walk.node(ROOT, &self.root),
            Located::Object(children, scope) => walk.children(children, scope),
            Located::Instance(table, scope) => walk.children(table.children, scope),
            Located::Table(table, scope) => walk.instances(&table, scope),
            Located::Parameter(..) => {}
        }
        Ok(())
    }

    /// Whether an object or a parameter of this name is present; objects with or without the dot at the end.
    pub fn exists(&self, name: &str) -> bool {
        let object = format!("{}.", name.trim_end_matches('.'));
        let present = |text: &str| Path::parse(text).and_then(|path| self.locate(&path)).is_ok();
        present(name) || present(&object)
    }

    /// Whether a name is that of a parameter that is present.
    pub fn is_parameter(&self, path: &Path<'_>) -> bool {
        matches!(self.locate(path), Ok(Located::Parameter(..)))
    }

    fn parameter_at<'t>(&'t self, name: &'t str, node: NodeId, scope: &'t super::Scope) -> Parameter<'t> {
        let NodeKind::Parameter { slot, spec } = self.schema.node(node).kind else { unreachable!("a parameter place") };
        Parameter { name, spec: self.schema.spec(spec), scope, slot }
    }
}
