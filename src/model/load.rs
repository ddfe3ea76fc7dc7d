//! Loads data-model files: their texts become a [`Schema`] and the [`Tree`] of the factory state. `docs/data-model.md`
//! describes the format.
//!
//! ```text
//! texts ──Tape::read──▶ Raw, overlaid in order ──SchemaBuilder──▶ Schema ──InstanceLoader──▶ Tree
//! ```
//!
//! The loader checks everything, so that no later code meets a model that contradicts itself. It notes each mistake with
//! file, JSON pointer and reason, and goes on, so that one run finds all of them.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;

use super::actions::Actions;
use super::build::SchemaBuilder;
use super::facets::PatternCache;
use super::load_error::{COMMAND_LINE, JsonLocation, ModelFile};
use super::path::instance_number;
use super::raw::{Object, Raw, Removed, Tape};
use super::reloads::Reloads;
use super::schema::{Children, NodeKind, ROOT, Schema, TableSpec};
use super::tree::{Scope, Tree};
use super::value::Value;
use crate::json::escape;
use crate::mistake::{Mistake, Mistakes};
use crate::secret::Secret;
use crate::suggest::hint;

/// The device that the files describe.
#[derive(Debug)]
pub struct Loaded {
    /// The parameters and instances of the factory state.
    pub tree: Tree,
    /// The commands by which the device reboots, resets itself and handles files.
    pub actions: Actions,
    /// The calls by which services of the device begin to use a new configuration.
    pub reloads: Reloads,
    /// The conditions in the files that an operator should correct.
    pub warnings: Vec<String>,
    /// A number that changes with the texts of the files and with the objects that the device has, by which a reload recognises a
    /// model that is the same.
    pub fingerprint: u64,
}

/// Loads files, of which a later one overlays the earlier ones, and then the factory values of the configuration. `is_there`
/// returns true if a path is on the device, for the objects that need one.
///
/// # Errors
/// Returns all mistakes. The references and the factory values are checked once the files have no other mistake: a wrong
/// parameter would cause a second message about each of its values.
pub fn load(
    files: &[ModelFile],
    factory_values: &[(String, Secret)],
    is_there: &dyn Fn(&str) -> bool,
) -> Result<Loaded, Mistakes> {
    let mistakes = RefCell::default();
    let location = JsonLocation { files, pointer: String::new(), mistakes: &mistakes };
    let loaded = load_noting(&location, factory_values, is_there);
    let mistakes = mistakes.into_inner();
    match loaded {
        Some(loaded) if mistakes.count() == 0 => Ok(loaded),
        _ => Err(mistakes),
    }
}

/// Loads the files and notes every mistake. Returns `None` after a mistake with which the rest cannot be read.
fn load_noting(
    location: &JsonLocation<'_>,
    factory_values: &[(String, Secret)],
    is_there: &dyn Fn(&str) -> bool,
) -> Option<Loaded> {
    let files = location.files;
    let (mut whole, mut removed) = (None, Removed::default());
    let mut is_read = true;
    for (number, file) in files.iter().enumerate() {
        // All files are read, so that a syntax error in each of them is reported.
        let Some(tape) = location.note(read(file, number, location)) else {
            is_read = false;
            continue;
        };
        whole = Some(match whole {
            Some(below) => Tape::overlaid(&below, &tape, &mut removed),
            None => tape,
        });
    }
    let whole = whole.filter(|_| is_read)?;
    let Raw::Object(top) = whole.root() else { unreachable!("`read` returns objects only") };
    let (name, root, actions, reloads) = top_level(&top, location)?;
    // The cache is dropped with this function: at run time a pattern is compiled when a value is set, which is rare.
    let patterns = PatternCache::default();
    let builder = SchemaBuilder::new(location.child(name), whole.objects(), &patterns, is_there, &reloads, &removed);
    let (schema, warnings) = location.note(builder.build(name, &root))?;
    let schema = Rc::new(schema);
    let mut tree = Tree::new(Rc::clone(&schema));
    let Raw::Object(object) = root else { unreachable!("the builder accepts objects only") };
    let NodeKind::Object(children) = schema.node(ROOT).kind else { unreachable!("the root is an object") };
    let mut loader = InstanceLoader { schema: &schema, location: location.child(name), patterns: &patterns };
    loader.object(&object, children, tree.root_scope());
    if location.is_clean() {
        // References come last: the target may stand behind the parameter that refers to it.
        loader.references(&tree);
        for (path, text) in factory_values {
            location.note(set_factory_value(&mut tree, path, text.expose()));
        }
    }
    tree.set_with_omitted(false);
    for omitted in schema.omitted() {
        // A reference that was set since the factory state stays: the object may be on the device at the next start.
        tree.clear_references(&omitted.path);
    }
    let fingerprint = fingerprint(files, &schema);
    Some(Loaded { tree, actions, reloads, warnings, fingerprint })
}

/// Returns a hash of the texts, in their order, and of the objects that the device does not have.
fn fingerprint(files: &[ModelFile], schema: &Schema) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.iter().for_each(|file| file.text.hash(&mut hasher));
    schema.omitted().hash(&mut hasher);
    hasher.finish()
}

/// Reads one file, whose top level must be an object, and notes the members that are given twice.
fn read<'f>(file: &'f ModelFile, number: usize, location: &JsonLocation<'_>) -> Result<Tape<'f>, Mistake> {
    let error = |reason: String| location.error_at(number, "", reason);
    let tape = Tape::read(&file.text, number).map_err(error)?;
    for pointer in tape.duplicates() {
        location.reject_at(number, &pointer, "given twice");
    }
    match tape.root() {
        Raw::Object(_) => Ok(tape),
        other => Err(error(format!("an object is needed, not {}", other.json_type()))),
    }
}

/// Reads the top level: returns the name of the root object, the root object, the actions, and the reloads.
fn top_level<'t>(top: &Object<'t>, location: &JsonLocation<'_>) -> Option<(&'t str, Raw<'t>, Actions, Reloads)> {
    let reject = |pointer: &str, reason: &str| location.reject_at(top.file, pointer, reason);
    let (mut actions, mut reloads) = (Actions::default(), Reloads::default());
    let mut root = None;
    for (name, value) in top.members() {
        match name {
            "actions" => {
                let found;
                (actions, found) = Actions::read(&value);
                found.iter().for_each(|(at, reason)| reject(at, reason));
            }
            "reloads" => {
                let found;
                (reloads, found) = Reloads::read(&value);
                found.iter().for_each(|(at, reason)| reject(at, reason));
            }
            // By which editors find the schema of the file.
            "$schema" => {}
            // For `check` alone, which reads the list from the files.
            "examples" => {
                let is_list =
                    matches!(&value, Raw::List(items) if items.items().all(|item| matches!(item, Raw::Text(_))));
                if !is_list {
                    reject("/examples", "a list of strings is needed");
                }
            }
            // A CPE has one root object: an ACS recognises the data model by it.
            "Device" | "InternetGatewayDevice" if root.is_some() => {
                reject(&format!("/{name}"), "a model has one root object");
            }
            "Device" | "InternetGatewayDevice" => root = Some((name, value)),
            _ => {
                let hint = hint(name, &["Device", "InternetGatewayDevice"], "root objects", "");
                reject(&format!("/{}", escape(name)), &format!("not a root object{hint}"));
            }
        }
    }
    match root {
        Some((name, value)) => Some((name, value, actions, reloads)),
        None => {
            reject("", "no root object, neither `Device` nor `InternetGatewayDevice`");
            None
        }
    }
}

/// Sets a value of `--set PATH=VALUE` or of the configuration file, which is part of the factory state.
fn set_factory_value(tree: &mut Tree, path: &str, text: &str) -> Result<(), Mistake> {
    let error = |reason: String| Mistake { file: COMMAND_LINE.into(), pointer: path.into(), reason };
    let parameter = tree.parameter(path).map_err(|e| error(format!("{e}{}", tree.near_name(path))))?;
    // The count is computed from the table, so that a value would have no effect.
    if parameter.spec.counted_table.is_some() {
        return Err(error("it counts instances, so that it cannot be set".into()));
    }
    let value = parameter.spec.parse(text).map_err(|e| error(parameter.spec.explain(&e, text)))?;
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
    fn object(&mut self, raw: &Object<'_>, children: Children, scope: &mut Scope) {
        for (name, value) in raw.members() {
            // A text is the value of a parameter, and a member without a node describes the object.
            let Raw::Object(object) = value else { continue };
            let Some(id) = self.schema.child(children, name) else { continue };
            let outside = self.location.enter(name);
            match self.schema.node(id).kind {
                NodeKind::Object(children) => self.object(&object, children, scope),
                // The device makes the instances of its sources.
                NodeKind::Table(_) if self.schema.has_rows(id) => {}
                NodeKind::Table(table) => self.table(&object, &table, scope),
                NodeKind::Parameter { .. } => {}
            }
            self.location.leave(outside);
        }
    }

    /// Loads the instances of a table.
    fn table(&mut self, raw: &Object<'_>, table: &TableSpec, scope: &mut Scope) {
        // The template and the members that describe the table were read by the builder. A number is never misspelt: an
        // overlay may remove an instance that only another version of the model below it has.
        let instances = || {
            let all = raw.members().filter(|(_, value)| !matches!(value, Raw::Null));
            all.filter_map(|(name, value)| Some((name, instance_number(name)?, value)))
        };
        scope.expect_instances(table, instances().count());
        // Counted one by one, so that the error names the first instance above the limit.
        let mut entries = 0;
        for (name, number, value) in instances() {
            let outside = self.location.enter(name);
            entries += 1;
            if entries == table.max_entries.saturating_add(1) {
                self.reject(raw.file, &format!("more instances than maxEntries {}", table.max_entries));
            }
            match value {
                Raw::Object(object) => {
                    let instance = scope.factory_instance(self.schema, table, number);
                    self.instance(&object, table.children, instance);
                }
                _ => self.reject(raw.file, &format!("an instance is an object, not {}", value.json_type())),
            }
            self.location.leave(outside);
        }
        if let Some(number) = scope.unfit_alias(table) {
            let reason = "another instance has the alias, or it is none: a letter, then letters, digits, `_` and `-`";
            self.location.reject_at(raw.file, &format!("/{number}/Alias"), reason);
        }
    }

    /// Loads one instance, or an object in it. Each member must be in the template.
    fn instance(&mut self, raw: &Object<'_>, children: Children, scope: &mut Scope) {
        for (name, value) in raw.members() {
            let outside = self.location.enter(name);
            match self.schema.child(children, name) {
                // Without a value in a file below there is nothing to remove: the template gives it.
                Some(_) if matches!(value, Raw::Null) => {}
                Some(id) if self.schema.has_rows(id) => self.no_instances(raw.file, &value),
                Some(id) => self.member(raw.file, value, self.schema.node(id).kind, scope),
                None => self.reject(raw.file, "not in the template `{i}` of this table"),
            }
            self.location.leave(outside);
        }
    }

    /// Rejects instances of a table in an instance, which are the rows of a source. An overlay may have removed all of them.
    fn no_instances(&mut self, file: usize, value: &Raw<'_>) {
        let is_empty =
            matches!(value, Raw::Object(object) if object.members().all(|(_, below)| matches!(below, Raw::Null)));
        if !is_empty {
            self.reject(file, "the instances of this table are rows of its source");
        }
    }

    /// Loads one member of an instance; `file` is that of the object around it.
    fn member(&mut self, file: usize, value: Raw<'_>, kind: NodeKind, scope: &mut Scope) {
        match (kind, value) {
            // The short form of a parameter is its value, the long form an object with the member `value`.
            (NodeKind::Parameter { slot, spec }, Raw::Text(text)) => {
                let value = self.value(spec, text, file, "");
                scope.set_factory(slot, self.location.note(value).flatten());
            }
            (NodeKind::Parameter { slot, spec }, Raw::Object(object)) => {
                let value = self.long_value(spec, &object);
                scope.set_factory(slot, self.location.note(value).flatten());
            }
            (NodeKind::Object(children), Raw::Object(object)) => self.instance(&object, children, scope),
            (NodeKind::Table(table), Raw::Object(object)) => {
                for (other, _) in object.members().filter(|(name, _)| instance_number(name).is_none()) {
                    let outside = self.location.enter(other);
                    self.reject(object.file, "a table of an instance holds instances only");
                    self.location.leave(outside);
                }
                self.table(&object, &table, scope);
            }
            // A node with a mistake became an empty object, which its values do not fit.
            (NodeKind::Object(_), _) if !self.location.is_clean() => {}
            (_, value) => self.reject(file, &format!("{} does not fit the template", value.json_type())),
        }
    }

    /// Reads the long form of a parameter in an instance.
    fn long_value(&self, spec: u32, raw: &Object<'_>) -> Result<Option<Value>, Mistake> {
        let mut members = raw.members();
        match (members.next(), members.next()) {
            (Some(("value", Raw::Text(text))), None) => self.value(spec, text, raw.file, "/value"),
            _ => Err(self.error(raw.file, "", "a parameter of an instance has a `value` and nothing else")),
        }
    }

    /// Reads the value of a parameter in an instance; `None` if it is the default of the template.
    fn value(&self, spec: u32, text: &str, file: usize, pointer: &str) -> Result<Option<Value>, Mistake> {
        let spec = self.schema.spec(spec);
        if spec.counted_table.is_some() {
            return Err(self.error(file, pointer, "it counts instances, so that it has no value of its own"));
        }
        let value = spec.parse_with(text, self.patterns);
        let value = value.map_err(|reason| self.error(file, pointer, spec.explain(&reason, text)))?;
        // Instances of the factory state are many and alike; a default takes no room in the tree.
        Ok((value != spec.default).then_some(value))
    }

    /// Checks that every reference of the factory state has a valid target (R173).
    fn references(&self, tree: &Tree) {
        // Cannot fail: the work of the loader has no bound.
        let _ = tree.visit_references(&mut |parameter| {
            let text = parameter.stored().to_string();
            if let Err(reason) = tree.check_reference(parameter.spec, &text) {
                let inside = parameter.name.split('.').skip(1).collect::<Vec<_>>().join("/");
                // The value may come from any file, and its place is no longer known: the last file stands for all.
                let last = self.location.files.len().saturating_sub(1);
                let reason = format!("`{text}`: the reference {reason}");
                self.location.reject_at(last, &format!("/{inside}"), &reason);
            }
        });
    }

    fn error(&self, file: usize, pointer: &str, reason: impl Into<String>) -> Mistake {
        self.location.error_at(file, pointer, reason)
    }

    /// Notes a mistake at this position.
    fn reject(&self, file: usize, reason: &str) {
        self.location.reject_at(file, "", reason);
    }
}
