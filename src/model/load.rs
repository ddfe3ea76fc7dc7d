//! From data-model files to a [`Schema`] and the [`Tree`] of the factory state; the format is that of `interface.md`.
//!
//! ```text
//! texts ──Raw::parse──▶ Raw, laid over each other ──Builder──▶ Schema ──fill──▶ Tree
//! ```
//!
//! Everything is checked here, so that nothing further down meets a model that contradicts itself. An error names the
//! file, the JSON pointer and the reason.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use super::actions::Actions;
use super::build::Builder;
use super::path::{Path, instance_number};
use super::raw::{Object, Raw};
use super::schema::{Children, Kind, NodeId, ROOT, Schema, TableShape};
use super::tree::Tree;

/// The text of one data-model file.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// How error messages call it: its path.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// What the files describe.
#[derive(Debug)]
pub struct Loaded {
    /// The device from the factory.
    pub tree: Tree,
    /// What only the device can do.
    pub actions: Actions,
}

/// Why files cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The file, or `--set` for a factory value of the command line.
    pub file: String,
    /// Where in it (RFC 6901), or the path of the parameter.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.pointer, self.reason)
    }
}

impl std::error::Error for LoadError {}

/// Loads files, a later one laid over the earlier ones, and then the factory values of the command line.
pub fn load(files: &[ModelFile], factory_values: &[(String, String)]) -> Result<Loaded, LoadError> {
    let mut merged = Raw::Object(Object::default());
    for (number, file) in files.iter().enumerate() {
        merged.lay_over(parse(file, number)?);
    }
    let place = Place { files, pointer: String::new() };
    let Raw::Object(top) = merged else { unreachable!("`parse` gives objects only") };
    let mut actions = Actions::default();
    let mut root = None;
    for (name, value) in &top.members {
        match name.as_ref() {
            "actions" => {
                actions = Actions::read(value).map_err(|(at, reason)| place.error_at(top.file, &at, reason))?
            }
            "Device" | "InternetGatewayDevice" if root.is_some() => {
                return Err(place.error_at(top.file, &format!("/{name}"), "a model has one root object"));
            }
            "Device" | "InternetGatewayDevice" => root = Some((name.as_ref(), value)),
            _ => {
                return Err(place.error_at(
                    top.file,
                    &format!("/{}", escape(name)),
                    "not a root object; `Device` or `InternetGatewayDevice` is",
                ));
            }
        }
    }
    let Some((name, value)) = root else {
        return Err(place.error_at(top.file, "", "no root object, neither `Device` nor `InternetGatewayDevice`"));
    };
    let schema = Rc::new(Builder::build(name, value, files)?);
    let mut tree = Tree::new(Rc::clone(&schema));
    let Raw::Object(object) = value else { unreachable!("the builder takes objects only") };
    let mut filler = Filler { schema: &schema, tree: &mut tree, files };
    let Kind::Object(children) = schema.node(ROOT).kind else { unreachable!("the root is an object") };
    filler.object(object, children, &format!("{name}."), &format!("/{name}"))?;
    filler.references(&format!("/{name}"))?;
    for (path, text) in factory_values {
        set_factory_value(&mut tree, path, text)?;
    }
    Ok(Loaded { tree, actions })
}

fn parse(file: &ModelFile, number: usize) -> Result<Raw<'_>, LoadError> {
    let error = |reason: String| LoadError { file: file.name.clone(), pointer: "/".into(), reason };
    match Raw::parse(&file.text, number) {
        Ok(raw @ Raw::Object(_)) => Ok(raw),
        Ok(other) => Err(error(format!("an object is needed, not {}", other.kind()))),
        Err(reason) => Err(error(format!("not JSON: {reason}"))),
    }
}

/// `--set PATH=VALUE`: a value that is part of the factory state.
fn set_factory_value(tree: &mut Tree, path: &str, text: &str) -> Result<(), LoadError> {
    let error = |reason: String| LoadError { file: "--set".into(), pointer: path.into(), reason };
    let parameter = tree.parameter(path).map_err(|e| error(e.to_string()))?;
    if parameter.spec.counts.is_some() {
        return Err(error("it counts instances, so that it cannot be set".into()));
    }
    let value = parameter.spec.parse(text).map_err(|e| error(e.to_string()))?;
    tree.set_value(path, value, true).map_err(|e| error(e.to_string()))
}

/// Where the loader is, for error messages.
pub(super) struct Place<'a> {
    pub(super) files: &'a [ModelFile],
    pub(super) pointer: String,
}

impl Place<'_> {
    pub(super) fn error_at(&self, file: usize, pointer: &str, reason: impl Into<String>) -> LoadError {
        let file = self.files.get(file).map_or("data model", |file| &file.name);
        let pointer = format!("{}{pointer}", self.pointer);
        LoadError {
            file: file.into(),
            pointer: if pointer.is_empty() { "/".into() } else { pointer },
            reason: reason.into(),
        }
    }
}

/// A name as a part of a JSON pointer (RFC 6901 §3).
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Creates the instances of the factory state.
struct Filler<'a> {
    schema: &'a Schema,
    tree: &'a mut Tree,
    files: &'a [ModelFile],
}

impl Filler<'_> {
    /// `raw` stands in the root's scope or in an instance; `path` and `pointer` name it.
    fn object(&mut self, raw: &Object<'_>, children: Children, path: &str, pointer: &str) -> Result<(), LoadError> {
        for (name, value) in &raw.members {
            let Some(id) = self.schema.child(children, name) else { continue };
            let pointer = format!("{pointer}/{}", escape(name));
            if let (Kind::Object(children), Raw::Object(object)) = (self.schema.node(id).kind, value) {
                self.object(object, children, &format!("{path}{name}."), &pointer)?;
            }
            if let (Kind::Table(table), Raw::Object(object)) = (self.schema.node(id).kind, value) {
                self.table(object, &table, &format!("{path}{name}."), &pointer)?;
            }
        }
        Ok(())
    }

    fn table(&mut self, raw: &Object<'_>, table: &TableShape, path: &str, pointer: &str) -> Result<(), LoadError> {
        let mut entries = 0;
        for (name, value) in &raw.members {
            let Some(number) = instance_number(name) else { continue };
            let pointer = format!("{pointer}/{name}");
            let Raw::Object(object) = value else {
                return Err(self.error(raw.file, &pointer, format!("an instance is an object, not {}", value.kind())));
            };
            entries += 1;
            if entries > table.max_entries {
                return Err(self.error(
                    raw.file,
                    &pointer,
                    format!("more instances than maxEntries {}", table.max_entries),
                ));
            }
            // The table was just found at this path.
            let _ = self.tree.add_instance(path, number, true);
            self.instance(object, table.children, &format!("{path}{number}."), &pointer)?;
        }
        Ok(())
    }

    fn instance(&mut self, raw: &Object<'_>, children: Children, path: &str, pointer: &str) -> Result<(), LoadError> {
        for (name, value) in &raw.members {
            let pointer = format!("{pointer}/{}", escape(name));
            let Some(id) = self.schema.child(children, name) else {
                return Err(self.error(raw.file, &pointer, "not in the template `{i}` of this table"));
            };
            match (self.schema.node(id).kind, value) {
                (Kind::Parameter { .. }, Raw::Text(text)) => {
                    self.value(id, &format!("{path}{name}"), text, raw.file, &pointer)?
                }
                (Kind::Parameter { .. }, Raw::Object(object)) => {
                    self.long_value(id, object, &format!("{path}{name}"), &pointer)?
                }
                (Kind::Object(children), Raw::Object(object)) => {
                    self.instance(object, children, &format!("{path}{name}."), &pointer)?
                }
                (Kind::Table(table), Raw::Object(object)) => {
                    if let Some((other, _)) = object.members.iter().find(|(name, _)| instance_number(name).is_none()) {
                        let pointer = format!("{pointer}/{}", escape(other));
                        return Err(self.error(
                            object.file,
                            &pointer,
                            "only instances stand in a table of an instance",
                        ));
                    }
                    self.table(object, &table, &format!("{path}{name}."), &pointer)?;
                }
                _ => return Err(self.error(raw.file, &pointer, format!("{} does not fit the template", value.kind()))),
            }
        }
        Ok(())
    }

    fn long_value(&mut self, id: NodeId, raw: &Object<'_>, name: &str, pointer: &str) -> Result<(), LoadError> {
        match raw.members.as_slice() {
            [(member, Raw::Text(text))] if member == "value" => {
                self.value(id, name, text, raw.file, &format!("{pointer}/value"))
            }
            _ => Err(self.error(raw.file, pointer, "a parameter of an instance has a `value` and nothing else")),
        }
    }

    fn value(&mut self, id: NodeId, name: &str, text: &str, file: usize, pointer: &str) -> Result<(), LoadError> {
        let Kind::Parameter { spec, .. } = self.schema.node(id).kind else { unreachable!("called for parameters") };
        let spec = self.schema.spec(spec);
        if spec.counts.is_some() {
            return Err(self.error(file, pointer, "it counts instances, so that it has no value of its own"));
        }
        let value = spec.parse(text).map_err(|reason| self.error(file, pointer, reason.to_string()))?;
        if value != spec.default {
            // The instance was just created.
            let _ = self.tree.set_value(name, value, true);
        }
        Ok(())
    }

    /// R173: a strong reference of the factory state must have its target.
    fn references(&self, root: &str) -> Result<(), LoadError> {
        let mut broken = None;
        let everything = Path::parse("").expect("the empty path is well formed");
        let _ = self.tree.visit_values(&everything, &mut |parameter| {
            if parameter.spec.reference.is_none() {
                return; // most have none, and their values need not be written out
            }
            let text = parameter.stored().to_string();
            if broken.is_none() && self.tree.check_reference(parameter.spec, &text).is_err() {
                broken = Some((parameter.name.to_owned(), text));
            }
        });
        match broken {
            Some((name, text)) => {
                let inside = name.split('.').skip(1).collect::<Vec<_>>().join("/");
                let reason = format!("`{text}` is a strong reference to what is not there");
                Err(self.error(self.files.len().saturating_sub(1), &format!("{root}/{inside}"), reason))
            }
            None => Ok(()),
        }
    }

    fn error(&self, file: usize, pointer: &str, reason: impl Into<String>) -> LoadError {
        Place { files: self.files, pointer: String::new() }.error_at(file, pointer, reason)
    }
}

/// Texts that are written once however often they occur.
#[derive(Default)]
pub(super) struct Names {
    text: String,
    starts: HashMap<String, u32>,
}

impl Names {
    /// Where `name` stands in the text.
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        if let Some(start) = self.starts.get(name) {
            return *start;
        }
        let start = self.text.len() as u32;
        self.text.push_str(name);
        self.starts.insert(name.to_owned(), start);
        start
    }

    pub(super) fn into_text(self) -> Box<str> {
        self.text.into()
    }
}
