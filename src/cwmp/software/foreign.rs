//! Changes of the software by other programs, which the tables show from one comparison to the next (R356).

use super::outcome::result;
use super::{
    Inventory, Operation, OperationKind, Requester, Unit, UnitJob, UnitQueue, UnitReport, UnitRequest, UnitStage,
};
use crate::clock::Now;
use crate::log;

/// The most units that are compared.
const MAX_UNITS: usize = 256;

impl UnitQueue {
    /// Reports each difference from the last comparison as an operation of its own that has succeeded. The first comparison only
    /// notes the units.
    pub fn compare(&mut self, inventory: &Inventory, now: Now) {
        if let Some(known) = self.known.clone() {
            let units = || inventory.units.iter().map(|listed| &listed.unit).take(MAX_UNITS);
            for unit in units() {
                match known.iter().find(|old| old.key == unit.key) {
                    None => self.add_ended(OperationKind::Install, unit, inventory, now),
                    // Without a version, the source of the table has failed, or the device has none.
                    Some(old) if !unit.version.is_empty() && !old.version.is_empty() && old.version != unit.version => {
                        self.add_ended(OperationKind::Update, unit, inventory, now);
                    }
                    Some(_) => {}
                }
            }
            for old in known.iter().filter(|old| units().all(|unit| unit.key != old.key)) {
                self.add_ended(OperationKind::Uninstall, old, inventory, now);
            }
        }
        self.note_units(inventory);
    }

    /// Notes the units as known, without their state: the journal has a record only where a unit has changed.
    pub(super) fn note_units(&mut self, inventory: &Inventory) {
        let known = self.known.take().unwrap_or_default();
        let note = |unit: &Unit| {
            let old = known.iter().find(|old| old.key == unit.key);
            let kept = |new: &str, old: Option<&String>| match (new, old) {
                ("", Some(old)) => old.clone(),
                _ => new.to_owned(),
            };
            let uuid = kept(&unit.uuid, old.map(|old| &old.uuid));
            let version = kept(&unit.version, old.map(|old| &old.version));
            Unit { key: unit.key.clone(), uuid, version, path: unit.path.clone(), ..Unit::default() }
        };
        self.known = Some(inventory.units.iter().take(MAX_UNITS).map(|listed| note(&listed.unit)).collect());
    }

    /// Adds an operation that has ended. Without room its report is left out: the ACS takes none of those that wait.
    fn add_ended(&mut self, kind: OperationKind, unit: &Unit, inventory: &Inventory, now: Now) {
        if !self.make_room(1) {
            return;
        }
        log::info!("another program has changed the software: {} of {} {}", kind.name(), unit.key, unit.version);
        let complete = now.clock_is_set().then_some(now.wall);
        let operation = Operation { uuid: unit.uuid.clone(), version: unit.version.clone(), ..Operation::new(kind) };
        let results = vec![result(&operation, unit.clone(), inventory, None)];
        let stage = UnitStage::Finished(UnitReport { results, complete });
        let id = self.next_id();
        let jobs = vec![UnitJob { id, operation, stage, attempts: 0, began: complete }];
        self.requests.push(UnitRequest {
            id,
            requester: Requester::Local,
            jobs,
            accepted: complete,
            expires: now.monotonic,
        });
    }
}
