//! The operations on the software of the device. Each change of them is stored before the agent acts on it.

use super::management_server::parameter;
use super::{Device, DeviceState, JournalError};
use crate::clock::Now;
use crate::cwmp::software::{
    Inventory, Operation, OperationKind, Requester, UnitQueue, UnitResult, execution_unit, key_of, software_modules,
};
use crate::log;
use crate::model::change::Change;
use crate::model::path::with_any_numbers;
use crate::model::tree::Wanted;

impl Device {
    /// Stores an edit of the operations and the events that follow from it. Returns the result of the edit.
    ///
    /// # Errors
    /// The journal cannot be written; then nothing has changed.
    pub fn change_units<R>(&mut self, now: Now, edit: impl FnOnce(&mut UnitQueue) -> R) -> Result<R, JournalError> {
        let mut units = self.state.units.clone();
        let result = edit(&mut units);
        units.forget_autonomous(|kind, result| self.reports_autonomous_unit(kind, result));
        self.update(now, |state| {
            state.units = units;
            state.raise_report_events();
        })?;
        Ok(result)
    }

    /// Decides how each interrupted operation goes on after a start of the agent. Writes nothing: a start that ends before its
    /// first record leads to the same decision in the next one.
    pub fn resume_units(&mut self) {
        self.state.units.resume();
        self.state.raise_report_events();
    }

    /// Reads the tables of deployment units and execution environments from the device.
    pub fn read_inventory(&mut self, now: Now) -> Inventory {
        self.refresh_software(now);
        Inventory::read(&self.tree)
    }

    /// Reads the values of SoftwareModules from the device.
    pub fn refresh_software(&mut self, now: Now) {
        // The answers of before an operation would tell the units as they were.
        self.forget_kept_answers();
        self.wake_sources();
        self.refresh(&Wanted::values(vec![software_modules(&self.tree)]), now);
    }

    /// Returns true if a parameter requests the state of an execution unit from an action of this device (R355).
    pub(crate) fn requests_state(&self, name: &str) -> bool {
        let has_action = self.actions.software.is_some();
        let name = &with_any_numbers(name);
        has_action && execution_unit(&self.tree, name).is_some() && !self.tree.schema().is_bound_parameter(name)
    }

    /// Adds an operation for each request of a state among the changes, so that it is in the record of the value.
    pub(super) fn take_state_requests(&self, changes: &[Change], state: &mut DeviceState, now: Now) {
        if self.actions.software.is_none() {
            return;
        }
        for change in changes {
            let Change::Set(name, value) = change else { continue };
            let Some(unit) = execution_unit(&self.tree, name) else { continue };
            let kind = if value.as_str() == "Active" { OperationKind::Start } else { OperationKind::Stop };
            let operation = Operation { target: key_of(&self.tree, unit), ..Operation::new(kind) };
            if let Err(full) = state.units.add(Requester::Value, vec![(operation, None)], now) {
                log::warn!("{name}: {full}");
            }
        }
    }

    /// Returns true if the ACS wants to know of changes of the software by others (R356).
    pub fn reports_autonomous_units(&self) -> bool {
        self.actions.software.is_some() && self.flag(parameter::UNITS_ENABLE, false)
    }

    /// Returns true if DUStateChangeComplPolicy requests a report of this result (R356).
    fn reports_autonomous_unit(&self, kind: OperationKind, result: &UnitResult) -> bool {
        let policy = |parameter: &str| self.management_server_text(parameter);
        let lists = |parameter: &str, wanted: &str| policy(parameter).split(',').any(|item| item.trim() == wanted);
        let (result_type, is_allowed) = match &result.failure {
            None => ("Success", true),
            Some(failure) => ("Failure", lists(parameter::UNITS_FAULT_CODE, &failure.code.number().to_string())),
        };
        let filter = policy(parameter::UNITS_RESULT_TYPE);
        policy(parameter::UNITS_ENABLE) == "true"
            && lists(parameter::UNITS_OPERATION_TYPE, kind.name())
            && (filter == "Both" || filter == result_type)
            && is_allowed
    }
}
