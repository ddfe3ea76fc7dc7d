//! Deciding on a change from outside: completely, before the tree is touched, so that a request is applied in whole or
//! not at all (R164).

use std::borrow::Cow;
use std::fmt;

use super::{Located, Parameter, Table, Tree};
use crate::model::change::Change;
use crate::model::facets::PatternCache;
use crate::model::path::{Path, PathError, instance_number};
use crate::model::schema::{Reference, Spec, TableSpec, table_path};
use crate::model::value::{Type, Value, ValueError, WHITE_SPACE};

/// The reason why a single parameter cannot be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// The name cannot be used.
    Path(PathError),
    /// The value cannot be used.
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

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetError::Path(error) => error.fmt(f),
            SetError::Value(error) => error.fmt(f),
        }
    }
}

/// The type that a request declares for a value: the `xsi:type` of SetParameterValues (R332).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclaredType {
    /// No type, or a type of texts: the text is read as a literal of the parameter's own type.
    Any,
    /// A type of numbers, which fits each other type of numbers and `string`: the text is read as for `Any`.
    Number,
    /// The declared type, which must be that of the parameter.
    Is(Type),
    /// A type that no parameter has.
    Unknown,
}

impl Tree {
    /// Decides if a parameter may be set from outside the agent, and returns its new value. `patterns` serves all values
    /// of one request.
    pub fn check_set(
        &self,
        name: &str,
        declared: DeclaredType,
        text: &str,
        patterns: &PatternCache,
    ) -> Result<Value, SetError> {
        self.work.step()?;
        let parameter = self.parameter(name)?;
        let spec = parameter.spec;
        if !spec.writable {
            return Err(ValueError::ReadOnly.into());
        }
        let expected = spec.wire_type();
        let fits = match declared {
            DeclaredType::Any => true,
            DeclaredType::Number => expected.is_numeric() || expected == Type::String,
            DeclaredType::Is(kind) => kind == expected,
            DeclaredType::Unknown => false,
        };
        if !fits {
            return Err(ValueError::Type { expected }.into());
        }
        if spec.is_list() {
            // Each item may be a reference, which is looked up.
            self.work.steps(text.matches(',').count())?;
        }
        // The reference is checked before the literal, which may be any string: the missing target is the more useful
        // reason.
        let by_number = self.reference_by_number(spec, text);
        self.check_reference(spec, &by_number)?;
        // R321: a reference follows its instance to another alias, but a weak one that the agent keeps has the text of the ACS.
        let is_weak = spec.reference.as_ref().is_some_and(|reference| !reference.strong);
        let text = if is_weak && !self.schema.is_bound_parameter(name) { text } else { &by_number };
        Ok(spec.parse_with(text, patterns)?)
    }

    /// Decides if `text` is a valid reference: it names an instance of one of the targets, if there are any, and a strong
    /// one names an object or parameter that is present (R173).
    pub(in crate::model) fn check_reference(&self, spec: &Spec, text: &str) -> Result<(), ValueError> {
        let Some(reference) = spec.reference.as_ref().filter(|reference| reference.is_checked()) else { return Ok(()) };
        let items: Vec<&str> = if spec.is_list() {
            text.split(',').map(|text| text.trim_matches(WHITE_SPACE)).collect()
        } else {
            vec![text]
        };
        // The empty text refers to no object; deleting a target leaves it behind.
        for item in items.into_iter().filter(|item| !item.is_empty()) {
            let target = self.absolute(item);
            if let Some(tables) = &reference.targets
                && !tables.iter().any(|table| is_instance_of(&target, table))
            {
                return Err(ValueError::ReferenceTarget(tables.join(", ").into()));
            }
            if reference.strong && !self.exists(&target) {
                return Err(ValueError::Reference);
            }
        }
        Ok(())
    }

    /// Returns a reference as a path from the root: a leading dot means relative to the root object (R174).
    pub(super) fn absolute<'r>(&self, reference: &'r str) -> Cow<'r, str> {
        match reference.strip_prefix('.') {
            Some(relative) => format!("{}.{relative}", self.root_name()).into(),
            None => reference.into(),
        }
    }

    /// Decides if a table may get another instance, and returns the number of it.
    pub fn check_add(&self, path: &Path<'_>) -> Result<u32, PathError> {
        self.work.step()?;
        let (spec, table) =
            self.table(path).map_err(|error| if path.is_partial() { error } else { PathError::NotAnObject })?;
        if !spec.writable {
            return Err(PathError::NotCreatable);
        }
        if table.instances.len() >= spec.max_entries as usize {
            return Err(PathError::TableFull);
        }
        self.work.steps(self.schema.scopes[spec.scope as usize].slots as usize)?;
        // R218: deleted numbers are not used again. The table is full once all 2^32 - 1 of them were used.
        // The numbers of other rows begin behind the pins.
        table.last.max(self.last_pin(path.as_str())).checked_add(1).ok_or(PathError::TableFull)
    }

    /// Decides if an instance may be deleted, and returns the changes that this takes: strong references to it or to a
    /// node in it are cleared, or taken out of their lists (R173).
    pub fn check_delete(&self, instance: &Path<'_>) -> Result<Vec<Change>, PathError> {
        self.work.step()?;
        match self.locate(instance)? {
            Located::Instance(table, ..) if table.writable => {}
            _ => return Err(PathError::NotDeletable),
        }
        let mut changes = vec![Change::Delete(instance.as_str().to_owned())];
        changes.extend(self.cleared_references(instance.as_str())?);
        Ok(changes)
    }

    /// Returns the changes that clear the strong references to an instance or to a node in it, or take them out of their lists
    /// (R173).
    pub fn cleared_references(&self, instance: &str) -> Result<Vec<Change>, PathError> {
        let mut changes = Vec::new();
        self.visit_references(&mut |parameter| {
            let may_lead = |reference: &Reference| reference.strong && may_lead_to(reference, instance);
            // A reference in the instance itself is deleted with it, and could not be set afterwards.
            if !parameter.spec.reference.as_deref().is_some_and(may_lead) || parameter.name.starts_with(instance) {
                return;
            }
            let change = self.without_reference(parameter, instance);
            // The source of a reference gives it another value by itself.
            changes.extend(change.filter(|_| !self.schema().is_bound_parameter(parameter.name)));
        })?;
        Ok(changes)
    }

    /// Returns the change that takes the references into `instance` out of a parameter; `None` if it holds none.
    pub(super) fn without_reference(&self, parameter: &Parameter<'_>, instance: &str) -> Option<Change> {
        let value = parameter.stored();
        let text = value.as_str();
        if text.is_empty() {
            return None;
        }
        // The rest begins with a dot, or is empty: `T.1` does not match a reference to `T.12`.
        let outer = instance.trim_end_matches('.');
        let inside = |item: &&str| {
            let path = self.absolute(item.trim().trim_end_matches('.'));
            path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let kept: Vec<&str> = text.split(',').filter(|item| !inside(item)).collect();
        if kept.len() == text.split(',').count() {
            return None;
        }
        Some(Change::Set(parameter.name.to_owned(), Value::Text(kept.join(",").into())))
    }

    /// Returns the names of the parameters whose value a change alters: the one that is set, or those that count the
    /// instances of the table.
    pub fn parameters_changed_by(&self, change: &Change) -> Vec<String> {
        let table = match change {
            Change::Set(name, _) => return vec![name.clone()],
            // The row of an instance that is there has got another key.
            Change::Row(table, number, ..) if self.exists(&format!("{table}{number}.")) => return Vec::new(),
            Change::Add(table, _) | Change::Row(table, ..) => table.as_str(),
            Change::Delete(instance) => parent(instance),
            Change::Attributes(..) | Change::LastNumber(..) | Change::Given(..) | Change::Reserve(..) => {
                return Vec::new();
            }
        };
        self.counts_of(table)
    }

    /// Returns the names of the parameters that count the instances of a table, which are its siblings.
    fn counts_of(&self, table: &str) -> Vec<String> {
        let object = parent(table);
        let Some(index) = Path::parse(table).ok().and_then(|path| Some(self.table(&path).ok()?.0.index)) else {
            return Vec::new();
        };
        let children = match Path::parse(object).map(|path| self.locate(&path)) {
            Ok(Ok(Located::Object(children, _))) => children,
            Ok(Ok(Located::Instance(table, _))) => table.children,
            _ => return Vec::new(),
        };
        let counts = |id: &u32| self.schema().counted_table(*id) == Some(index);
        children.range().filter(counts).map(|id| format!("{object}{}", self.schema().name(id))).collect()
    }

    pub(super) fn table(&self, path: &Path<'_>) -> Result<(TableSpec, &Table), PathError> {
        match self.locate(path)? {
            Located::Table(spec, scope) => Ok((spec, &scope.tables[spec.index as usize])),
            _ => Err(PathError::NotCreatable),
        }
    }
}

/// Returns the path of the object that holds the table or instance at `path`, with the dot.
fn parent(path: &str) -> &str {
    let inside = path.trim_end_matches('.');
    &inside[..inside.rfind('.').map_or(0, |dot| dot + 1)]
}

/// Returns false if none of the targets of a reference is the table of an instance, or lies in it.
fn may_lead_to(reference: &Reference, instance: &str) -> bool {
    let leads = |target: &str| {
        let segments = table_path(target).split('.').zip(instance.trim_end_matches('.').split('.'));
        segments.into_iter().all(|(expected, segment)| expected == "{i}" || expected == segment)
    };
    reference.targets.as_ref().is_none_or(|targets| targets.iter().any(|target| leads(target)))
}

/// Returns true if `path` names an instance of `table`, in which `{i}` stands for any number.
fn is_instance_of(path: &str, table: &str) -> bool {
    let mut segments = path.trim_end_matches('.').split('.');
    let fits = table_path(table).split('.').all(|expected| match segments.next() {
        Some(segment) => segment == expected || (expected == "{i}" && instance_number(segment).is_some()),
        None => false,
    });
    fits && segments.next().is_some_and(|number| instance_number(number).is_some()) && segments.next().is_none()
}
