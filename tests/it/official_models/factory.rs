//! The factory state: single objects and numbered instances, their values and references.

use serde_json::{Map, Value};

use super::check::{Check, Node, is_model_name, strings};
use super::value::{null, problem, text};

impl Check<'_> {
    /// Walks the factory state: single objects and numbered instances, with their values.
    pub(crate) fn factory(&mut self, path: &str, template: &Node, given: &Node) {
        self.objects.insert(path.to_owned());
        for name in given.keys().filter(|name| is_model_name(name)) {
            if !template.contains_key(name) {
                self.complain(path, format_args!("{name} is not in the template"));
            }
        }
        for (name, schema) in template.iter().filter(|(name, _)| is_model_name(name)) {
            let schema = schema.as_object().expect("every node of a template is a JSON object");
            let empty = Value::Object(Map::new());
            let here = given.get(name).unwrap_or(&empty);
            if schema.contains_key("type") {
                self.factory_value(&format!("{path}{name}"), schema, here);
            } else if let Some(template) = schema.get("{i}").and_then(Value::as_object) {
                let instances = here.as_object().into_iter().flatten();
                for (number, instance) in instances.filter(|(name, _)| name.parse::<u32>().is_ok()) {
                    let instance = instance.as_object().expect("an instance is a JSON object");
                    self.factory(&format!("{path}{name}.{number}."), template, instance);
                }
            } else {
                let here = here.as_object().expect("an object's value is a JSON object");
                self.factory(&format!("{path}{name}."), schema, here);
            }
        }
    }

    fn factory_value(&mut self, path: &str, schema: &Node, given: &Value) {
        self.parameters.insert(path.to_owned());
        if schema.contains_key("counts") {
            if given.is_string() {
                self.complain(path, "is counted, and has a value all the same");
            }
            return;
        }
        let kind = text(schema, "type").unwrap_or_default();
        let value = given.as_str().or(text(schema, "value")).unwrap_or(null(kind));
        if let Some(problem) = problem(schema, value, &mut self.patterns) {
            self.complain(path, format_args!("{value:?} {problem}"));
        }
        if schema.contains_key("reference") && !value.is_empty() {
            self.references.push((path.to_owned(), value.to_owned(), strings(schema, "targets")));
        }
    }

    /// Checks that a reference leads to an object that exists, in a table to which it may refer.
    pub(crate) fn references(&mut self) {
        for (path, value, targets) in std::mem::take(&mut self.references) {
            for item in value.split(',') {
                if !self.objects.contains(&format!("{item}.")) {
                    self.complain(&path, format_args!("{item} does not exist"));
                }
                let table = item.rfind('.').map_or("", |dot| &item[..=dot]);
                if !targets.is_empty() && !targets.contains(&without_numbers(table)) {
                    self.complain(&path, format_args!("{item} is in none of {targets:?}"));
                }
            }
        }
    }
}

fn without_numbers(path: &str) -> String {
    let parts = path.split('.').map(|part| if part.parse::<u32>().is_ok() { "{i}" } else { part });
    parts.collect::<Vec<_>>().join(".")
}
