//! Deciding on a change from outside: in full, before anything is touched.

use super::{Located, Parameter, Table, Tree};
use crate::model::change::Change;
use crate::model::path::{Path, PathError, instance_number};
use crate::model::schema::{Spec, TableSpec};
use crate::model::value::{Type, Value, ValueError};

/// Why a single parameter cannot be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// The name is the reason.
    Path(PathError),
    /// The value is the reason.
    Value(ValueError),
}

impl From<PathError> for SetError {
    fn from(error: PathError) -> SetError {
        SetError::Path(error)
    }
}

impl From<ValueError> for SetError {
    fn from(error: ValueError) -> SetError {
        SetError::Value(error)
    }
}

impl std::fmt::Display for SetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SetError::Path(error) => error.fmt(f),
            SetError::Value(error) => error.fmt(f),
        }
    }
}

/// The type that comes with a value from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclaredType {
    /// None, or `string`: the text is read as a literal of the parameter's own type.
    Any,
    /// This one; it must be the parameter's.
    Is(Type),
    /// One that no parameter has.
    Unknown,
}

impl Tree {
    /// Decides on setting one parameter from outside the agent.
    pub fn check_set(&self, name: &str, given: DeclaredType, text: &str) -> Result<Value, SetError> {
        let parameter = self.parameter(name)?;
        let spec = parameter.spec;
        if !spec.writable {
            return Err(ValueError::ReadOnly.into());
        }
        let expected = spec.wire_type();
        match given {
            DeclaredType::Is(kind) if kind != expected => return Err(ValueError::Type { expected }.into()),
            DeclaredType::Unknown => return Err(ValueError::Type { expected }.into()),
            _ => {}
        }
        self.check_reference(spec, text)?;
        Ok(spec.parse(text)?)
    }

    /// R173: a strong reference names what is there; a weak one may name anything.
    pub(in crate::model) fn check_reference(&self, spec: &Spec, text: &str) -> Result<(), ValueError> {
        let Some(reference) = spec.reference.as_ref().filter(|reference| reference.strong) else { return Ok(()) };
        let items: Vec<&str> = if spec.is_list() { text.split(',').map(str::trim).collect() } else { vec![text] };
        for item in items.into_iter().filter(|item| !item.is_empty()) {
            let target = self.absolute(item);
            let fits =
                reference.targets.is_empty() || reference.targets.iter().any(|table| is_instance_of(&target, table));
            if !fits || !self.exists(&target) {
                return Err(ValueError::Reference);
            }
        }
        Ok(())
    }

    /// R174: a leading dot means relative to the root.
    fn absolute(&self, reference: &str) -> String {
        match reference.strip_prefix('.') {
            Some(relative) => format!("{}.{relative}", self.root_name()),
            None => reference.to_owned(),
        }
    }

    /// Decides on a new instance; gives its number.
    pub fn check_add(&self, table: &Path<'_>) -> Result<u32, PathError> {
        let view =
            self.table(table).map_err(|error| if table.is_partial() { error } else { PathError::NotAnObject })?;
        if !view.shape.writable {
            return Err(PathError::NotCreatable);
        }
        if view.len() >= view.shape.max_entries as usize {
            return Err(PathError::TableFull);
        }
        view.next_number().ok_or(PathError::TableFull)
    }

    /// Decides on deleting an instance; gives that and what follows from it: strong references to anything in it are
    /// cleared, or taken out of their lists (R173).
    pub fn check_delete(&self, instance: &Path<'_>) -> Result<Vec<Change>, PathError> {
        match self.locate(instance)? {
            Located::Instance(table, ..) if table.writable => {}
            _ => return Err(PathError::NotDeletable),
        }
        let mut changes = vec![Change::Delete(instance.as_str().to_owned())];
        self.visit_strong_references(&mut |parameter| {
            if !parameter.name.starts_with(instance.as_str()) {
                changes.extend(self.without_reference(parameter, instance.as_str()));
            }
        });
        Ok(changes)
    }

    /// The change that takes references into `instance` out of a parameter, where it holds any.
    fn without_reference(&self, parameter: &Parameter<'_>, instance: &str) -> Option<Change> {
        let text = parameter.stored().to_string();
        if text.is_empty() {
            return None;
        }
        let inside =
            |item: &&str| format!("{}.", self.absolute(item.trim().trim_end_matches('.'))).starts_with(instance);
        let kept: Vec<&str> = text.split(',').filter(|item| !inside(item)).collect();
        if kept.len() == text.split(',').count() {
            return None;
        }
        Some(Change::Set(parameter.name.to_owned(), Value::Text(kept.join(",").into())))
    }

    /// The parameters that get another value by a change: the one that is set, or those that count the instances of the
    /// table.
    pub fn parameters_changed_by(&self, change: &Change) -> Vec<String> {
        let table = match change {
            Change::Set(name, _) => return vec![name.clone()],
            Change::Add(table, _) => table.as_str(),
            Change::Delete(instance) => parent(instance),
            Change::Attributes(..) | Change::LastNumber(..) => return Vec::new(),
        };
        self.count_parameters_of(table)
    }

    fn count_parameters_of(&self, table: &str) -> Vec<String> {
        let object = parent(table);
        let Some(index) = Path::parse(table).ok().and_then(|path| Some(self.table(&path).ok()?.shape.index)) else {
            return Vec::new();
        };
        let children = match Path::parse(object).map(|path| self.locate(&path)) {
            Ok(Ok(Located::Object(children, _))) => children,
            Ok(Ok(Located::Instance(instance, _))) => instance.children,
            _ => return Vec::new(),
        };
        let counts = |id: &u32| self.schema().counted_table(*id) == Some(index);
        children.range().filter(counts).map(|id| format!("{object}{}", self.schema().name(id))).collect()
    }
    pub(super) fn table(&self, path: &Path<'_>) -> Result<TableView<'_>, PathError> {
        match self.locate(path)? {
            Located::Table(shape, scope) => Ok(TableView { shape, table: &scope.tables[shape.index as usize] }),
            _ => Err(PathError::NotCreatable),
        }
    }
}

/// The object that a path with a dot at its end stands in, with the dot.
fn parent(path: &str) -> &str {
    let inside = path.trim_end_matches('.');
    &inside[..inside.rfind('.').map_or(0, |dot| dot + 1)]
}

/// Whether `path` names an instance of `table`, in which `{i}` stands for any number; it may also stand at the end, as
/// the documents of the data models write a table.
fn is_instance_of(path: &str, table: &str) -> bool {
    let mut segments = path.trim_end_matches('.').split('.');
    let table = table.trim_end_matches('.');
    let fits = table.strip_suffix(".{i}").unwrap_or(table).split('.').all(|expected| match segments.next() {
        Some(segment) => segment == expected || (expected == "{i}" && instance_number(segment).is_some()),
        None => false,
    });
    fits && segments.next().is_some_and(|number| instance_number(number).is_some()) && segments.next().is_none()
}

/// What a table holds, for the transaction that changes it and for the journal.
pub(super) struct TableView<'t> {
    pub(super) shape: TableSpec,
    table: &'t Table,
}

impl TableView<'_> {
    pub(super) fn len(&self) -> usize {
        self.table.instances.len()
    }

    /// The number that the next instance gets; none once all are used.
    pub(super) fn next_number(&self) -> Option<u32> {
        self.table.last.checked_add(1)
    }
}
