//! Compares the templates and single objects of a JSON model with the official one.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::value::{Patterns, null, number, problem, text};
use super::xml;

pub(crate) type Node = Map<String, Value>;

/// The parameters whose range is narrower than in the official model: parameter, member, reason.
const NARROWER: [(&str, &str, &str); 9] = [
    ("ManagementServer.HTTPCompression", "enum", "HTTPCompressionSupported is empty"),
    ("XMPP.Connection.{i}.ServerConnectAlgorithm", "enum", "WebSocket is not supported"),
    ("WiFi.AccessPoint.{i}.Security.ModeEnabled", "enum", "WEP, WPA and RADIUS are not offered"),
    ("Bridging.Bridge.{i}.VLAN.{i}.Enable", "access", "OpenWrt cannot switch a VLAN off"),
    ("DynamicDNS.Server.{i}.Name", "access", "the services are those of ddns-scripts"),
    ("DynamicDNS.Server.{i}.ServiceName", "access", "the services are those of ddns-scripts"),
    ("DownloadDiagnostics.NumberOfConnections", "max", "DownloadDiagnosticMaxConnections"),
    ("UploadDiagnostics.NumberOfConnections", "max", "UploadDiagnosticsMaxConnections"),
    ("NSLookupDiagnostics.NumberOfRepetitions", "max", "each repetition is an instance of results"),
];

/// The parameters that may be empty although the official model demands a length: parameter, reason.
const MAY_BE_EMPTY: [(&str, &str); 1] =
    [("WiFi.AccessPoint.{i}.Security.KeyPassphrase", "a passphrase that every device has is no secret")];

/// Strings of the official model without any facet are at most this long, if written by an ACS (R325).
const DEFAULT_LENGTH: i128 = 16;

const PARAMETER_MEMBERS: [&str; 18] = [
    "type",
    "access",
    "value",
    "minLength",
    "maxLength",
    "min",
    "max",
    "enum",
    "pattern",
    "list",
    "maxItems",
    "hidden",
    "inform",
    "notify",
    "counts",
    "reference",
    "targets",
    "source",
];

/// A JSON model, its official counterpart, and the differences.
pub(crate) struct Check<'a> {
    pub(crate) official: &'a xml::Model,
    pub(crate) complaints: Vec<String>,
    pub(crate) patterns: Patterns,
    /// Objects and parameters that exist in factory state, and all their references.
    pub(crate) objects: BTreeSet<String>,
    pub(crate) parameters: BTreeSet<String>,
    pub(crate) references: Vec<(String, String, Vec<String>)>,
    /// The tables of the JSON, to which its references may refer.
    pub(crate) tables: BTreeSet<String>,
    /// The parameters of the JSON by their official paths.
    pub(crate) defined: BTreeSet<String>,
    pub(crate) informed: BTreeSet<String>,
}

impl<'a> Check<'a> {
    fn empty(official: &'a xml::Model) -> Check<'a> {
        Check {
            official,
            complaints: Vec::new(),
            patterns: Patterns::new(),
            objects: BTreeSet::new(),
            parameters: BTreeSet::new(),
            references: Vec::new(),
            tables: BTreeSet::new(),
            defined: BTreeSet::new(),
            informed: BTreeSet::new(),
        }
    }

    pub(crate) fn of(model: &Value, official: &'a xml::Model) -> Check<'a> {
        let mut check = Check::empty(official);
        let (path, tree) = root_of(model);
        collect_tables(&path, tree, &mut check.tables);
        check.object(&path, tree);
        check.factory(&path, tree, tree);
        check.references();
        check.complete(&path);
        check
    }

    /// Compares the parameters that an overlay declares with the official ones. `models` are those below it, for the tables.
    pub(crate) fn of_overlay(overlay: &Value, models: &[&Value], official: &'a xml::Model) -> Check<'a> {
        let mut check = Check::empty(official);
        for model in models.iter().copied().chain([overlay]) {
            let (root, tree) = root_of(model);
            collect_tables(&root, tree, &mut check.tables);
        }
        let (root, tree) = root_of(overlay);
        check.declarations(&root, tree);
        check
    }

    /// Compares the parameters with a type at and below a node. `path` is official, with `{i}` for instances.
    fn declarations(&mut self, path: &str, node: &Node) {
        for (name, child) in node {
            let Some(below) = child.as_object() else { continue };
            let (object, table) = (format!("{path}{name}."), format!("{path}{name}.{{i}}."));
            if name == "{i}" {
                self.declarations(&format!("{path}{{i}}."), below);
            } else if self.official.contains_key(&object) || self.official.contains_key(&table) {
                self.declarations(&object, below);
            } else if below.contains_key("type") {
                let official = self.official.get(path).and_then(|object| object.parameters.get(name));
                let mut below = below.clone();
                // A value that the device cannot set, and that does not follow from a source either, is read-only.
                if !below.contains_key("source") && official.is_some_and(|official| official.writable) {
                    below.insert("access".into(), "readWrite".into());
                }
                self.parameter(&format!("{path}{name}"), &below, official, node);
            }
        }
    }

    pub(super) fn complain(&mut self, path: &str, what: impl std::fmt::Display) {
        self.complaints.push(format!("{path}: {what}"));
    }

    /// Compares a template or single object, and all below it, with the official model.
    fn object(&mut self, path: &str, node: &Node) {
        let Some(official) = self.official.get(path) else {
            return self.complain(path, "is no official object");
        };
        for (name, child) in node.iter().filter(|(name, _)| is_model_name(name)) {
            let below = child.as_object().expect("every node of a template is a JSON object");
            if below.contains_key("type") {
                self.parameter(&format!("{path}{name}"), below, official.parameters.get(name), node);
            } else if let Some(template) = below.get("{i}").and_then(Value::as_object) {
                self.table(&format!("{path}{name}.{{i}}."), below, node);
                self.object(&format!("{path}{name}.{{i}}."), template);
            } else {
                self.object(&format!("{path}{name}."), below);
            }
        }
        for member in node.keys().filter(|name| !is_model_name(name) && name.parse::<u32>().is_err()) {
            self.complain(path, format_args!("has the unknown member {member}"));
        }
    }

    fn table(&mut self, path: &str, table: &Node, parent: &Node) {
        let Some(official) = self.official.get(path) else {
            return;
        };
        self.equal(path, "access", &(text(table, "access") == Some("readWrite")), &official.writable);
        let limit = number(table, "maxEntries");
        let instances = table.keys().filter(|name| name.parse::<u32>().is_ok()).count() as i128;
        if limit.is_some_and(|limit| limit < instances) {
            self.complain(path, "has more instances than maxEntries");
        }
        if let Some(most) = official.max_entries.map(i128::from)
            && limit.is_none_or(|limit| limit > most)
        {
            self.complain(path, format_args!("has officially at most {most} entries"));
        }
        let name = path.split('.').nth_back(2).unwrap_or_default();
        if let Some(counter) = &official.counter {
            let counts = parent.get(counter).and_then(|node| node.get("counts"));
            self.equal(path, counter, &counts.and_then(Value::as_str), &Some(name));
        }
        for member in table.keys().filter(|name| name.starts_with(char::is_lowercase)) {
            if !["access", "maxEntries"].contains(&member.as_str()) {
                self.complain(path, format_args!("has the unknown member {member}"));
            }
        }
    }

    fn parameter(&mut self, path: &str, node: &Node, official: Option<&xml::Parameter>, siblings: &Node) {
        let Some(official) = official else {
            return self.complain(path, "is no official parameter");
        };
        self.defined.insert(path.to_owned());
        if node.get("inform") == Some(&Value::Bool(true)) {
            self.informed.insert(path.to_owned());
        }
        for member in node.keys().filter(|member| !PARAMETER_MEMBERS.contains(&member.as_str())) {
            self.complain(path, format_args!("has the unknown member {member}"));
        }
        self.facets(path, node, official);
        let flag = |name| node.get(name) == Some(&Value::Bool(true));
        self.equal(path, "hidden", &flag("hidden"), &official.hidden);
        self.equal(path, "inform", &flag("inform"), &official.inform);
        let notify = official.notify.as_deref().filter(|rule| *rule != "normal");
        self.equal(path, "notify", &text(node, "notify"), &notify);
        self.equal(path, "reference", &text(node, "reference"), &official.reference.as_deref());
        // The JSON selects objects, and a reference cannot refer to a table that is left out.
        let targets: Vec<String> = official.targets.iter().filter(|t| self.tables.contains(*t)).cloned().collect();
        self.equal(path, "targets", &strings(node, "targets"), &targets);
        // Without the member, any path would be valid.
        self.equal(path, "has targets", &node.contains_key("targets"), &!official.targets.is_empty());
        if let Some(table) = text(node, "counts") {
            if siblings.get(table).is_none_or(|table| table.get("{i}").is_none()) {
                self.complain(path, format_args!("counts {table}, which is no sibling table"));
            }
            return;
        }
        let value = text(node, "value").unwrap_or(null(&official.kind));
        if let Some(default) = &official.default {
            self.equal(path, "value", &value, &default.as_str());
        }
        if let Some(problem) = problem(node, value, &mut self.patterns) {
            self.complain(path, format_args!("{value:?} {problem}"));
        }
    }

    fn facets(&mut self, path: &str, node: &Node, official: &xml::Parameter) {
        self.equal(path, "type", &text(node, "type"), &Some(official.kind.as_str()));
        let narrower = |member| NARROWER.iter().any(|(end, what, _)| path.ends_with(end) && *what == member);
        let writable = text(node, "access") == Some("readWrite");
        if writable || !narrower("access") {
            self.equal(path, "access", &writable, &official.writable);
        }
        self.equal(path, "list", &(node.get("list") == Some(&Value::Bool(true))), &official.list);
        self.equal(path, "maxItems", &number(node, "maxItems"), &official.max_items.map(i128::from));

        let range = official.range.unwrap_or_default();
        let natural = official.kind.starts_with("unsigned").then_some(0);
        self.equal(path, "min", &number(node, "min").or(natural), &range.0.or(natural));
        let most = number(node, "max");
        if !narrower("max") || most.is_none() || range.1.is_some_and(|official| most > Some(official)) {
            self.equal(path, "max", &most, &range.1);
        }
        // The length of a list as a whole has no member in the format: only that of an item is compared.
        let size = official.size.unwrap_or_default();
        let unsaid = official.writable && is_plain(official);
        let longest = size.1.or(unsaid.then_some(DEFAULT_LENGTH));
        let may_be_empty = MAY_BE_EMPTY.iter().any(|(end, _)| path.ends_with(end));
        let least = size.0.unwrap_or(0);
        self.equal(path, "minLength", &number(node, "minLength").unwrap_or(0), if may_be_empty { &0 } else { &least });
        self.equal(path, "maxLength", &number(node, "maxLength"), &longest);

        let allowed = strings(node, "enum");
        if narrower("enum") && !allowed.is_empty() {
            if let Some(more) = allowed.iter().find(|item| !official.enumeration.contains(item)) {
                self.complain(path, format_args!("{more:?} is not in the official enumeration"));
            }
        } else {
            self.equal(path, "enum", &allowed, &official.enumeration);
        }
        let pattern = if may_be_empty { Some(format!("(|.{{{least},}})")) } else { pattern(&official.patterns) };
        self.equal(path, "pattern", &text(node, "pattern"), &pattern.as_deref());
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, path: &str, what: &str, ours: &T, official: &T) {
        if ours != official {
            self.complain(path, format_args!("{what} is {ours:?}, officially {official:?}"));
        }
    }

    /// Checks that the required parameters are there: forced Inform (R103, R104) and all of ManagementServer (table
    /// Z1).
    fn complete(&mut self, root: &str) {
        let managed = format!("{root}ManagementServer.");
        let mut missing = Vec::new();
        for (path, object) in self.official {
            for (name, parameter) in &object.parameters {
                let full = format!("{path}{name}");
                let needed = parameter.inform || path.starts_with(&managed);
                if needed && !self.defined.contains(&full) {
                    missing.push(full);
                } else if parameter.inform && !self.informed.contains(&full) {
                    missing.push(format!("{full} in every Inform"));
                }
            }
        }
        for path in missing {
            self.complain(&path, "is missing");
        }
    }
}

/// Returns the path of the root of a model, and its members.
fn root_of(model: &Value) -> (String, &Node) {
    let root = model.as_object().into_iter().flatten().find(|(name, _)| is_model_name(name));
    let (root, tree) = root.expect("a root object");
    (format!("{root}."), tree.as_object().expect("an object"))
}

pub(super) fn is_model_name(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_uppercase())
}

fn is_plain(parameter: &xml::Parameter) -> bool {
    let facets = parameter.list || !parameter.enumeration.is_empty() || !parameter.patterns.is_empty();
    parameter.kind == "string" && parameter.size.is_none() && parameter.reference.is_none() && !facets
}

pub(super) fn strings(node: &Node, name: &str) -> Vec<String> {
    let items = node.get(name).and_then(Value::as_array).into_iter().flatten();
    items.map(|item| item.as_str().expect("a list of strings").to_owned()).collect()
}

/// Returns one expression for the official alternatives, in the dialect that XML Schema and regex-lite share.
fn pattern(alternatives: &[String]) -> Option<String> {
    let alternatives: Vec<String> = alternatives.iter().map(|text| text.replace(r"\d", "[0-9]")).collect();
    match alternatives.as_slice() {
        [] => None,
        [one] if !one.contains('|') => Some(one.clone()),
        several => Some(format!("({})", several.join("|"))),
    }
}

/// Collects the paths of all tables below an object, without the `{i}` at their end.
fn collect_tables(path: &str, node: &Node, tables: &mut BTreeSet<String>) {
    for (name, child) in node.iter().filter(|(name, _)| is_model_name(name)) {
        let Some(child) = child.as_object().filter(|child| !child.contains_key("type")) else { continue };
        let path = format!("{path}{name}.");
        match child.get("{i}").and_then(Value::as_object) {
            Some(template) => {
                collect_tables(&format!("{path}{{i}}."), template, tables);
                tables.insert(path);
            }
            None => collect_tables(&path, child, tables),
        }
    }
}
