//! The deployment units and execution environments of the device, as the tables of SoftwareModules have them.

use crate::model::path::Path;
use crate::model::tree::Tree;

/// The longest Version of a result in characters, by the schema.
const MAX_VERSION: usize = 32;

/// A deployment unit, as a result names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// The key of the row, by which the program knows the unit.
    pub key: String,
    /// The UUID.
    pub uuid: String,
    /// The version, at most 32 characters.
    pub version: String,
    /// The path of the instance, without the dot at its end; empty for a unit that the tables never had.
    pub path: String,
    /// The paths of its execution units, separated by commas.
    pub execution_units: String,
    /// True if the device has all that the unit depends on.
    pub is_resolved: bool,
}

/// A row of the table DeploymentUnit.
#[derive(Clone, Debug, Default)]
pub(super) struct ListedUnit {
    pub(super) unit: Unit,
    pub(super) url: String,
    pub(super) status: String,
    /// The path of its execution environment.
    pub(super) environment: String,
}

/// A row of the table ExecEnv.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    path: String,
    key: String,
    is_disabled: bool,
}

/// The tables of SoftwareModules.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// False in a model without the table DeploymentUnit: then only the program knows the units.
    pub(super) has_units: bool,
    pub(super) units: Vec<ListedUnit>,
    pub(super) environments: Vec<Environment>,
}

/// Returns the path of the object SoftwareModules.
pub(crate) fn software_modules(tree: &Tree) -> String {
    format!("{}.SoftwareModules.", tree.root_name())
}

impl Inventory {
    /// Reads the tables of the model, whose values were read from the device before.
    pub fn read(tree: &Tree) -> Inventory {
        let modules = software_modules(tree);
        let units = format!("{modules}DeploymentUnit.");
        let environments = format!("{modules}ExecEnv.");
        let mut found = Inventory { has_units: tree.exists(&units), ..Inventory::default() };
        for_each_row(tree, &units, |path, fresh, name, value| {
            if fresh {
                let unit = Unit { key: key_of(tree, path), path: path.to_owned(), ..Unit::default() };
                found.units.push(ListedUnit { unit, ..ListedUnit::default() });
            }
            let Some(listed) = found.units.last_mut() else { return };
            match name {
                "UUID" => listed.unit.uuid = value,
                "Version" => listed.unit.version = value.chars().take(MAX_VERSION).collect(),
                "ExecutionUnitList" => listed.unit.execution_units = value,
                "Resolved" => listed.unit.is_resolved = value == "true",
                "URL" => listed.url = value,
                "Status" => listed.status = value,
                "ExecutionEnvRef" => listed.environment = value,
                _ => {}
            }
        });
        for_each_row(tree, &environments, |path, fresh, name, value| {
            if fresh {
                let (path, key) = (path.to_owned(), key_of(tree, path));
                found.environments.push(Environment { path, key, is_disabled: false });
            }
            let Some(environment) = found.environments.last_mut() else { return };
            environment.is_disabled |= matches!((name, value.as_str()), ("Enable", "false") | ("Status", "Disabled"));
        });
        found
    }

    /// Returns the environment that a reference names. The root, and the dot at the end, may be missing.
    pub(super) fn environment(&self, reference: &str) -> Option<&Environment> {
        let wanted = reference.trim_matches('.');
        let names = |path: &str| path == wanted || path.strip_suffix(wanted).is_some_and(|root| root.ends_with('.'));
        self.environments.iter().find(|environment| !wanted.is_empty() && names(&environment.path))
    }

    /// Returns the key of the environment that a reference names; empty for none.
    pub fn environment_key(&self, reference: &str) -> &str {
        self.environment(reference).map_or("", |environment| &environment.key)
    }

    /// Returns the unit with this key.
    pub fn unit(&self, key: &str) -> Option<&Unit> {
        self.units.iter().map(|listed| &listed.unit).find(|unit| unit.key == key)
    }

    /// Returns true if the environment of a unit is disabled.
    pub(super) fn is_disabled(&self, listed: &ListedUnit) -> bool {
        self.is_disabled_environment(&listed.environment)
    }

    /// Returns true if the environment that a reference names is disabled.
    pub(super) fn is_disabled_environment(&self, reference: &str) -> bool {
        self.environment(reference).is_some_and(Environment::is_disabled)
    }

    /// Returns tables without a row, for an operation that is refused before they are read.
    pub(super) fn empty() -> Inventory {
        Inventory { has_units: true, ..Inventory::default() }
    }
}

impl Environment {
    /// Returns true if no software can be changed in it.
    pub(super) fn is_disabled(&self) -> bool {
        self.is_disabled
    }

    /// Returns true if a reference of the tables names this environment.
    pub(super) fn is(&self, reference: &str) -> bool {
        self.path == reference.trim_end_matches('.')
    }
}

/// Calls `visit` with the path of the row, true for its first parameter, the name of each parameter of a row and its value.
fn for_each_row(tree: &Tree, table: &str, mut visit: impl FnMut(&str, bool, &str, String)) {
    let Ok(path) = Path::parse(table) else { return };
    let mut last = String::new();
    // A model without the table has no rows.
    let _ = tree.visit_values(&path, &mut |parameter| {
        let rest = &parameter.name[table.len()..];
        let Some((number, name)) = rest.split_once('.').filter(|(_, name)| !name.contains('.')) else { return };
        let row = &parameter.name[..table.len() + number.len()];
        let is_first = row != last;
        if is_first {
            row.clone_into(&mut last);
        }
        visit(row, is_first, name, parameter.stored().to_string());
    });
}

/// Returns the key of the row at a path; the path itself in a table without a source.
pub(crate) fn key_of(tree: &Tree, path: &str) -> String {
    tree.row_key(&format!("{path}.")).unwrap_or(path).to_owned()
}
