//! What an RPC or a local command changes: decided in full before anything is touched.
//!
//! ```text
//! Transaction: set, add, delete, attributes ──▶ changes ──(journal)──▶ Tree::apply
//! ```
//!
//! The changes are written to the journal between the decision and [`Tree::apply`], so that nothing is promised that a
//! power cut could take back.

use serde_json::{Value as Json, json};

use super::attributes::{Attributes, Notification};
use super::path::{Path, PathError};
use super::schema::Spec;
use super::tree::{Difference, Located, Parameter, Tree};
use super::value::{Facets, Type, Value, ValueError};

/// One change that a [`Tree`] can carry out; names are full and well formed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A parameter gets a value.
    Set(String, Value),
    /// A table (its path, with the dot) gets an instance.
    Add(String, u32),
    /// An instance (its path, with the dot) goes, with everything in it.
    Delete(String),
    /// A parameter gets attributes.
    Attributes(String, Attributes),
    /// Numbers up to this one were given in a table.
    LastNumber(String, u32),
}

impl Change {
    /// What is changed: a parameter, a table or an instance.
    pub fn name(&self) -> &str {
        match self {
            Change::Set(name, _) | Change::Attributes(name, _) => name,
            Change::Add(path, _) | Change::Delete(path) | Change::LastNumber(path, _) => path,
        }
    }
}

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

impl Spec {
    /// Reads a literal and holds it against the facets.
    pub fn parse(&self, text: &str) -> Result<Value, ValueError> {
        match &self.facets {
            Some(facets) => facets.parse(self.kind, text),
            None => Facets::default().parse(self.kind, text),
        }
    }
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
    pub(super) fn check_reference(&self, spec: &Spec, text: &str) -> Result<(), ValueError> {
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

    /// Carries out a change. An error means that the change names what is not there; nothing was touched then.
    pub fn apply(&mut self, change: &Change) -> Result<(), PathError> {
        match change {
            Change::Set(name, value) => self.set_value(name, value.clone(), false),
            Change::Add(table, number) => self.add_instance(table, *number, false),
            Change::Delete(instance) => self.delete_instance(instance),
            Change::Attributes(name, attributes) => self.set_attributes(name, *attributes),
            Change::LastNumber(table, last) => self.set_last_number(table, *last),
        }
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
        Some(segment) => segment == expected || (expected == "{i}" && super::path::instance_number(segment).is_some()),
        None => false,
    });
    fits && segments.next().is_some_and(|number| super::path::instance_number(number).is_some())
        && segments.next().is_none()
}

impl Tree {
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
}

/// How the journal writes a change, and how it is read back.
impl Change {
    /// A JSON list whose first item says what is changed.
    pub fn to_json(&self) -> Json {
        match self {
            Change::Set(name, value) => json!(["=", name, value.to_string()]),
            Change::Add(table, number) => json!(["+", table, number]),
            Change::Delete(instance) => json!(["-", instance]),
            Change::Attributes(name, attributes) => {
                json!(["@", name, attributes.notification as u8, attributes.subscriber])
            }
            Change::LastNumber(table, last) => json!(["#", table, last]),
        }
    }

    /// Reads a change against the model of today: it may have lost the parameter, or have a new type for it.
    pub fn from_json(json: &Json, tree: &Tree) -> Result<Change, String> {
        let field = |at: usize| json.get(at).ok_or("incomplete");
        let text = |at: usize| field(at)?.as_str().ok_or("not a string");
        let number = |at: usize| field(at)?.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or("not a number");
        let name = text(1)?.to_owned();
        match text(0)? {
            "=" => {
                let parameter = tree.parameter(&name).map_err(|e| format!("{name}: {e}"))?;
                let value = parameter.spec.parse(text(2)?).map_err(|e| format!("{name}: {e}"))?;
                Ok(Change::Set(name, value))
            }
            "+" => Ok(Change::Add(name, number(2)?)),
            "-" => Ok(Change::Delete(name)),
            "@" => {
                let notification = Notification::from_number(number(2)?.into()).ok_or("not a notification")?;
                Ok(Change::Attributes(
                    name,
                    Attributes { notification, subscriber: field(3)?.as_bool().ok_or("not a boolean")? },
                ))
            }
            "#" => Ok(Change::LastNumber(name, number(2)?)),
            _ => Err("unknown change".into()),
        }
    }
}

/// Whether an instance or table stands at a place, for callers that need no more.
impl Tree {
    /// Whether a name is that of a parameter that is present.
    pub fn is_parameter(&self, path: &Path<'_>) -> bool {
        matches!(self.locate(path), Ok(Located::Parameter(..)))
    }
}
