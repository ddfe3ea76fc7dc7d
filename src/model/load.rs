//! Loads data-model files: their texts become a [`Schema`] and the [`Tree`] of the factory state. `docs/data-model.md`
//! describes the format.
//!
//! ```text
//! texts ──Tape::read──▶ Raw, overlaid in order ──SchemaBuilder──▶ Schema ──InstanceLoader──▶ Tree
//! ```
//!
//! The loader checks everything, so that no later code meets a model that contradicts itself. An error names the file,
//! the JSON pointer and the reason.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;

use serde_json::error::Category;

use super::actions::Actions;
use super::build::SchemaBuilder;
use super::facets::PatternCache;
use super::load_error::{COMMAND_LINE, JsonLocation, LoadError, ModelFile};
use super::path::instance_number;
use super::raw::{Object, Raw, Tape};
use super::schema::{Children, NodeKind, ROOT, Schema, TableSpec};
use super::tree::{Scope, Tree};
use super::value::Value;
use crate::json::escape;
use crate::secret::Secret;

/// The device that the files describe.
#[derive(Debug)]
pub struct Loaded {
    /// The parameters and instances of the factory state.
    pub tree: Tree,
    /// The commands by which the device reboots, resets itself and handles files.
    pub actions: Actions,
    /// A number that changes with the texts of the files, by which a reload recognises a model that is the same.
    pub fingerprint: u64,
}

/// Loads files, of which a later one overlays the earlier ones, and then the factory values of the configuration.
pub fn load(files: &[ModelFile], factory_values: &[(String, Secret)]) -> Result<Loaded, LoadError> {
    let tapes: Vec<Tape<'_>> =
        files.iter().enumerate().map(|(number, file)| read(file, number)).collect::<Result<_, _>>()?;
    let mut top = Object::empty();
    for tape in &tapes {
        let Raw::Object(object) = tape.root() else { unreachable!("`read` returns objects only") };
        top.overlay(&object);
    }
    let (name, root, actions) = top_level(&top, files)?;
    // The cache is dropped with this function: at run time a pattern is compiled when a value is set, which is rare.
    let patterns = PatternCache::default();
    let objects = tapes.iter().map(Tape::objects).sum();
    let schema = Rc::new(SchemaBuilder::new(name, files, objects, &patterns).build(name, &root)?);
    let mut tree = Tree::new(Rc::clone(&schema));
    let Raw::Object(object) = root else { unreachable!("the builder accepts objects only") };
    let location = JsonLocation { files, pointer: format!("/{name}") };
    let mut loader = InstanceLoader { schema: &schema, location, patterns: &patterns };
    let NodeKind::Object(children) = schema.node(ROOT).kind else { unreachable!("the root is an object") };
    loader.object(&object, children, tree.root_scope())?;
    // References come last: the target may stand behind the parameter that refers to it.
    loader.references(&tree)?;
    for (path, text) in factory_values {
        set_factory_value(&mut tree, path, text.expose())?;
    }
    Ok(Loaded { tree, actions, fingerprint: fingerprint(files) })
}

/// Returns a hash of the texts, in their order.
fn fingerprint(files: &[ModelFile]) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.iter().for_each(|file| file.text.hash(&mut hasher));
    hasher.finish()
}

/// Reads one file, whose top level must be an object.
fn read(file: &ModelFile, number: usize) -> Result<Tape<'_>, LoadError> {
    let error = |reason: String| LoadError { file: file.name.clone(), pointer: "/".into(), reason };
    let tape = Tape::read(&file.text, number).map_err(|reason| match reason.classify() {
        // Our own errors, such as a member given twice, in a text that is valid JSON.
        Category::Data => error(reason.to_string()),
        _ => error(format!("not JSON: {reason}")),
    })?;
    match tape.root() {
        Raw::Object(_) => Ok(tape),
        other => Err(error(format!("an object is needed, not {}", other.json_type()))),
    }
}

/// Reads the top level: returns the name of the root object, the root object, and the actions.
fn top_level<'t>(top: &Object<'t>, files: &[ModelFile]) -> Result<(&'t str, Raw<'t>, Actions), LoadError> {
    let location = JsonLocation { files, pointer: String::new() };
    let error = |pointer: &str, reason: &str| location.error_at(top.file, pointer, reason);
    let mut actions = Actions::default();
    let mut root = None;
    for (name, value) in top.members() {
        match name {
            "actions" => {
                actions = Actions::read(&value).map_err(|(at, reason)| error(&at, &reason))?;
            }
            // A CPE has one root object: an ACS recognises the data model by it.
            "Device" | "InternetGatewayDevice" if root.is_some() => {
                return Err(error(&format!("/{name}"), "a model has one root object"));
            }
            "Device" | "InternetGatewayDevice" => root = Some((name, value)),
            _ => {
                let reason = "not a root object; `Device` or `InternetGatewayDevice` is";
                return Err(error(&format!("/{}", escape(name)), reason));
            }
        }
    }
    match root {
        Some((name, value)) => Ok((name, value, actions)),
        None => Err(error("", "no root object, neither `Device` nor `InternetGatewayDevice`")),
    }
}

/// Sets a value of `--set PATH=VALUE` or of the configuration file, which is part of the factory state.
fn set_factory_value(tree: &mut Tree, path: &str, text: &str) -> Result<(), LoadError> {
    let error = |reason: String| LoadError { file: COMMAND_LINE.into(), pointer: path.into(), reason };
    let parameter = tree.parameter(path).map_err(|e| error(e.to_string()))?;
    // The count is computed from the table, so that a value would have no effect.
    if parameter.spec.counted_table.is_some() {
        return Err(error("it counts instances, so that it cannot be set".into()));
    }
    let value = parameter.spec.parse(text).map_err(|e| error(e.to_string()))?;
    tree.check_reference(parameter.spec, text).map_err(|e| error(e.to_string()))?;
    tree.set_value(path, value, true).map_err(|e| error(e.to_string()))
}

/// Creates the instances of the factory state and gives their parameters values.
struct InstanceLoader<'a> {
    schema: &'a Schema,
    location: JsonLocation<'a>,
    patterns: &'a PatternCache,
}

impl InstanceLoader<'_> {
    /// Loads the instances below an object outside every instance. Its parameters have their values from the schema.
    fn object(&mut self, raw: &Object<'_>, children: Children, scope: &mut Scope) -> Result<(), LoadError> {
        for (name, value) in raw.members() {
            // A text is the value of a parameter, and a member without a node describes the object.
            let (Raw::Object(object), Some(id)) = (value, self.schema.child(children, name)) else { continue };
            let outside = self.location.enter(name);
            match self.schema.node(id).kind {
                NodeKind::Object(children) => self.object(&object, children, scope)?,
                NodeKind::Table(table) => self.table(&object, &table, scope)?,
                NodeKind::Parameter { .. } => {}
            }
            self.location.leave(outside);
        }
        Ok(())
    }

    /// Loads the instances of a table.
    fn table(&mut self, raw: &Object<'_>, table: &TableSpec, scope: &mut Scope) -> Result<(), LoadError> {
        let instances = raw.members().filter(|(name, _)| instance_number(name).is_some()).count();
        scope.expect_instances(table, instances);
        // Counted one by one, so that the error names the first instance above the limit.
        let mut entries = 0;
        for (name, value) in raw.members() {
            // The template and the members that describe the table were read by the builder.
            let Some(number) = instance_number(name) else { continue };
            let outside = self.location.enter(name);
            let Raw::Object(object) = value else {
                return Err(self.error(raw.file, "", format!("an instance is an object, not {}", value.json_type())));
            };
            entries += 1;
            if entries > table.max_entries {
                let reason = format!("more instances than maxEntries {}", table.max_entries);
                return Err(self.error(raw.file, "", reason));
            }
            let instance = scope.factory_instance(self.schema, table, number);
            self.instance(&object, table.children, instance)?;
            self.location.leave(outside);
        }
        Ok(())
    }

    /// Loads one instance, or an object in it. Each member must be in the template.
    fn instance(&mut self, raw: &Object<'_>, children: Children, scope: &mut Scope) -> Result<(), LoadError> {
        for (name, value) in raw.members() {
            let outside = self.location.enter(name);
            let Some(id) = self.schema.child(children, name) else {
                return Err(self.error(raw.file, "", "not in the template `{i}` of this table"));
            };
            match (self.schema.node(id).kind, value) {
                // The short form of a parameter is its value, the long form an object with the member `value`.
                (NodeKind::Parameter { slot, spec }, Raw::Text(text)) => {
                    scope.set_factory(slot, self.value(spec, text, raw.file, "")?)
                }
                (NodeKind::Parameter { slot, spec }, Raw::Object(object)) => {
                    scope.set_factory(slot, self.long_value(spec, &object)?)
                }
                (NodeKind::Object(children), Raw::Object(object)) => self.instance(&object, children, scope)?,
                (NodeKind::Table(table), Raw::Object(object)) => {
                    if let Some((other, _)) = object.members().find(|(name, _)| instance_number(name).is_none()) {
                        let pointer = format!("/{}", escape(other));
                        return Err(self.error(object.file, &pointer, "a table of an instance holds instances only"));
                    }
                    self.table(&object, &table, scope)?;
                }
                (_, value) => {
                    return Err(self.error(raw.file, "", format!("{} does not fit the template", value.json_type())));
                }
            }
            self.location.leave(outside);
        }
        Ok(())
    }

    /// Reads the long form of a parameter in an instance.
    fn long_value(&self, spec: u32, raw: &Object<'_>) -> Result<Option<Value>, LoadError> {
        let mut members = raw.members();
        match (members.next(), members.next()) {
            (Some(("value", Raw::Text(text))), None) => self.value(spec, text, raw.file, "/value"),
            _ => Err(self.error(raw.file, "", "a parameter of an instance has a `value` and nothing else")),
        }
    }

    /// Reads the value of a parameter in an instance; `None` if it is the default of the template.
    fn value(&self, spec: u32, text: &str, file: usize, pointer: &str) -> Result<Option<Value>, LoadError> {
        let spec = self.schema.spec(spec);
        if spec.counted_table.is_some() {
            return Err(self.error(file, pointer, "it counts instances, so that it has no value of its own"));
        }
        let value =
            spec.parse_with(text, self.patterns).map_err(|reason| self.error(file, pointer, reason.to_string()))?;
        // Instances of the factory state are many and alike; a default takes no room in the tree.
        Ok((value != spec.default).then_some(value))
    }

    /// Checks that every reference of the factory state has a valid target (R173).
    fn references(&self, tree: &Tree) -> Result<(), LoadError> {
        let mut broken = None;
        // Cannot fail: the work of the loader has no bound.
        let _ = tree.visit_references(&mut |parameter| {
            if broken.is_none() {
                let text = parameter.stored().to_string();
                if let Err(reason) = tree.check_reference(parameter.spec, &text) {
                    broken = Some((parameter.name.to_owned(), text, reason));
                }
            }
        });
        match broken {
            Some((name, text, reason)) => {
                let inside = name.split('.').skip(1).collect::<Vec<_>>().join("/");
                // The value may come from any file, and its place is no longer known: the last file stands for all.
                let reason = format!("`{text}`: the reference {reason}");
                Err(self.error(self.location.files.len().saturating_sub(1), &format!("/{inside}"), reason))
            }
            None => Ok(()),
        }
    }

    fn error(&self, file: usize, pointer: &str, reason: impl Into<String>) -> LoadError {
        self.location.error_at(file, pointer, reason)
    }
}
