//! The decisions on an operation: whether it may begin, and what its results are.

use super::inventory::{Inventory, ListedUnit, Unit};
use super::{Operation, OperationKind, UnitResult, UnitState};
use crate::cwmp::fault::FaultCode;
use crate::cwmp::transfer::Failure;

/// The UUID in the result for a unit that has none, since the schema demands one.
const NO_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// The most results of one operation, those of all units together.
const MAX_RESULTS: usize = 256;

/// A row in the output of the program: a unit that it has changed, or the reason for which it has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputRow {
    /// The key of the unit; empty for the operation as a whole.
    pub key: String,
    /// The failure; `None` on success.
    pub failure: Option<Failure>,
}

/// Returns a failure with a code that a result may carry (R249); 9001 in place of all that have no near one.
fn with_reportable_code(failure: Failure) -> Failure {
    let is_allowed = matches!(failure.code.number(), 9001 | 9003 | 9012 | 9013 | 9015..=9018 | 9022..=9032);
    let code = match failure.code {
        FaultCode::Vendor(_) => failure.code,
        FaultCode::ResourcesExceeded => FaultCode::SystemResourcesExceeded,
        FaultCode::DownloadFailure => FaultCode::DownloadIncomplete,
        FaultCode::FileNotAuthentic => FaultCode::FileCorrupted,
        code if is_allowed => code,
        _ => FaultCode::RequestDenied,
    };
    Failure { code, ..failure }
}

fn refuse<T>(code: FaultCode) -> Result<T, Failure> {
    Err(Failure::permanent(code, code.text()))
}

/// Returns the units that an operation is to change; none for an installation of a new unit, and for an update of all (R352).
///
/// # Errors
/// The operation cannot begin: the unit or the environment is unknown or in the wrong state.
pub fn admit(operation: &Operation, inventory: &Inventory) -> Result<Vec<Unit>, Failure> {
    if matches!(operation.kind, OperationKind::Start | OperationKind::Stop) {
        return Ok(Vec::new());
    }
    if !operation.target.is_empty() {
        match inventory.environment(&operation.target) {
            None => return refuse(FaultCode::UnknownExecutionEnvironment),
            Some(environment) if environment.is_disabled() => return refuse(FaultCode::DisabledExecutionEnvironment),
            Some(_) => {}
        }
    }
    let found: Vec<&ListedUnit> = matching(operation, inventory).collect();
    let names_unit = !operation.uuid.is_empty() || !operation.url.is_empty();
    if operation.kind != OperationKind::Install && names_unit && inventory.has_units {
        if found.is_empty() {
            return refuse(FaultCode::UnknownDeploymentUnit);
        }
        if operation.kind == OperationKind::Update && operation.version.is_empty() && found.len() > 1 {
            return refuse(FaultCode::VersionNotSpecified);
        }
        if found.iter().any(|listed| inventory.is_disabled(listed)) {
            return refuse(FaultCode::DisabledExecutionEnvironment);
        }
        if found.iter().any(|listed| !matches!(listed.status.as_str(), "" | "Installed")) {
            return refuse(FaultCode::InvalidDeploymentUnitState);
        }
    }
    Ok(found.into_iter().take(MAX_RESULTS).map(|listed| listed.unit.clone()).collect())
}

/// Returns the units that an operation names: by their UUID, or else by their URL.
fn matching<'i>(operation: &'i Operation, inventory: &'i Inventory) -> impl Iterator<Item = &'i ListedUnit> {
    let Operation { kind, uuid, version, url, target, .. } = operation;
    let environment = inventory.environment(target);
    let has_version =
        |listed: &ListedUnit| *kind == OperationKind::Install || version.is_empty() || listed.unit.version == *version;
    let is_meant = move |listed: &ListedUnit| match (uuid.is_empty(), url.is_empty()) {
        (false, _) => {
            let is_there = environment.is_none_or(|it| listed.environment.is_empty() || it.is(&listed.environment));
            listed.unit.uuid.eq_ignore_ascii_case(uuid) && has_version(listed) && is_there
        }
        (true, false) => listed.url == *url,
        (true, true) => false,
    };
    inventory.units.iter().filter(move |listed| is_meant(listed))
}

/// Returns the results of an operation that has ended. `before` has the units that it was to change, and `inventory` the tables
/// after it (R353).
pub(super) fn outcome(
    operation: &Operation,
    before: &[Unit],
    inventory: &Inventory,
    ended: Result<Vec<OutputRow>, Failure>,
) -> Vec<UnitResult> {
    let rows = match ended {
        Ok(rows) => rows,
        Err(failure) => return failed(operation, before, inventory, &failure),
    };
    if let Some(failure) = rows.iter().find(|row| row.key.is_empty()).and_then(|row| row.failure.as_ref()) {
        return failed(operation, before, inventory, failure);
    }
    let named: Vec<&OutputRow> = rows.iter().filter(|row| !row.key.is_empty()).take(MAX_RESULTS).collect();
    if !named.is_empty() {
        let result = |row: &&OutputRow| {
            let old = before.iter().find(|unit| unit.key == row.key);
            let unknown = || Unit { key: row.key.clone(), ..unknown(operation) };
            let unit = old.cloned().unwrap_or_else(unknown);
            result(operation, unit, inventory, row.failure.clone())
        };
        return named.iter().map(result).collect();
    }
    let changed: Vec<Unit> = match operation.kind {
        OperationKind::Install => matching(operation, inventory).map(|listed| listed.unit.clone()).collect(),
        _ => before.to_vec(),
    };
    succeeded(operation, changed, inventory)
}

/// Returns the results of an operation whose program outlived the agent, or was killed with the device: its end is unknown, and
/// the tables tell the result (R354).
pub(super) fn outcome_of_interrupted(operation: &Operation, before: &[Unit], inventory: &Inventory) -> Vec<UnitResult> {
    let text = "the agent was restarted while the program ran, and the unit has not changed";
    let failure = Failure::permanent(FaultCode::RequestDenied, text);
    let is_as_before = |unit: &Unit| before.iter().any(|old| old.key == unit.key && old.version == unit.version);
    if operation.kind == OperationKind::Install {
        let changed =
            matching(operation, inventory).map(|listed| listed.unit.clone()).filter(|unit| !is_as_before(unit));
        let changed: Vec<Unit> = changed.collect();
        if changed.is_empty() {
            return failed(operation, before, inventory, &failure);
        }
        return succeeded(operation, changed, inventory);
    }
    if before.is_empty() {
        return failed(operation, before, inventory, &failure);
    }
    let result = |old: &Unit| {
        let now = inventory.unit(&old.key);
        let has_changed = match operation.kind {
            OperationKind::Uninstall => now.is_none(),
            _ => now.is_some_and(|unit| !is_as_before(unit)),
        };
        result(operation, old.clone(), inventory, (!has_changed).then(|| failure.clone()))
    };
    before.iter().map(result).collect()
}

fn succeeded(operation: &Operation, changed: Vec<Unit>, inventory: &Inventory) -> Vec<UnitResult> {
    let changed = if changed.is_empty() { vec![unknown(operation)] } else { changed };
    changed.into_iter().take(MAX_RESULTS).map(|unit| result(operation, unit, inventory, None)).collect()
}

fn failed(operation: &Operation, before: &[Unit], inventory: &Inventory, failure: &Failure) -> Vec<UnitResult> {
    // A failed installation concerns the unit that was to come, and no other one with its name.
    let is_install = operation.kind == OperationKind::Install;
    let units = if before.is_empty() || is_install { vec![unknown(operation)] } else { before.to_vec() };
    units.into_iter().map(|unit| result(operation, unit, inventory, Some(failure.clone()))).collect()
}

/// Returns the unit of an operation that the tables do not have.
fn unknown(operation: &Operation) -> Unit {
    Unit { uuid: operation.uuid.clone(), version: operation.version.clone(), is_resolved: true, ..Unit::default() }
}

/// Returns the result for one unit, with what the tables have of it now.
pub(super) fn result(operation: &Operation, old: Unit, inventory: &Inventory, failure: Option<Failure>) -> UnitResult {
    let now = inventory.unit(&old.key).filter(|_| !old.key.is_empty());
    let is_gone = operation.kind == OperationKind::Uninstall && failure.is_none();
    let state = match operation.kind {
        OperationKind::Uninstall if is_gone => UnitState::Uninstalled,
        _ if now.is_some() || failure.is_none() => UnitState::Installed,
        OperationKind::Install => UnitState::Failed,
        _ if inventory.has_units => UnitState::Uninstalled,
        // Without a table, a unit that could not be changed counts as being there.
        _ => UnitState::Installed,
    };
    let mut unit = now.filter(|_| !is_gone).cloned().unwrap_or(old);
    if failure.is_some() && now.is_none() {
        unit.is_resolved = false;
    }
    if !is_uuid(&unit.uuid) {
        unit.uuid = if is_uuid(&operation.uuid) { operation.uuid.clone() } else { NO_UUID.to_owned() };
    }
    UnitResult { unit, state, failure: failure.map(with_reportable_code) }
}

/// Returns true for the form of a UUID: five groups of hexadecimal digits.
pub(super) fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let is_group =
        |(group, length): (&&str, usize)| group.len() == length && group.bytes().all(|digit| digit.is_ascii_hexdigit());
    groups.len() == 5 && groups.iter().zip([8, 4, 4, 4, 12]).all(is_group)
}
