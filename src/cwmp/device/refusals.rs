//! The refusals of the device: all of a request are told at once (R165).

use super::Device;
use super::changing::{Changed, Plan};
use crate::cwmp::fault::{Fault, FaultCode, ParameterFault};
use crate::model::change::Change;
use crate::model::source::Write;

/// The refusal of one text by the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The index of the write.
    pub write: usize,
    /// The fault of the parameter.
    pub code: FaultCode,
    /// The reason.
    pub text: String,
}

impl Device {
    /// Returns what the device refuses of the changes of a request that is refused for other parameters (R165).
    pub fn refusals(&mut self, changes: &[Change]) -> Vec<ParameterFault> {
        let answers = std::mem::take(&mut self.sources.answers);
        let is_bound = |change: &&Change| {
            matches!(change, Change::Set(name, _)
                if self.tree.schema().is_bound_parameter(name) && self.tree.parameter(name).is_ok())
        };
        let bound: Vec<Change> = changes.iter().filter(is_bound).cloned().collect();
        let mut found = Vec::new();
        if !bound.is_empty() {
            // Without drivers, the device refuses nothing by itself.
            let _ = self.with_drivers(|device, drivers| {
                let Plan { writes, refused, .. } = device.plan(&bound, &answers);
                found = refused;
                found.extend(faults(&writes, drivers.check(&writes)));
                Ok(Changed::default())
            });
        }
        found
    }
}

/// Returns the fault for the texts that the device refuses.
pub(super) fn fault(writes: &[Write], refused: Vec<Refusal>) -> Fault {
    // R216: a single parameter has no fault 9004.
    if let Some(full) = refused.iter().find(|refusal| refusal.code == FaultCode::ResourcesExceeded) {
        return Fault::because(full.code, full.text.clone());
    }
    Fault::of_parameters(faults(writes, refused))
}

/// Returns the faults of the parameters whose texts the device refuses, one for each (R165).
pub(super) fn faults(writes: &[Write], refused: Vec<Refusal>) -> Vec<ParameterFault> {
    let mut faults: Vec<ParameterFault> = Vec::new();
    for Refusal { write, code, text } in refused {
        let name = &writes[write].name;
        if !faults.iter().any(|known| known.name == *name) {
            faults.push(ParameterFault { name: name.clone(), code, text });
        }
    }
    faults
}

/// Refuses all texts, for a driver that changes nothing.
///
/// # Errors
/// A refusal for each text.
pub(super) fn refuse_all(writes: &[Write]) -> Result<(), Vec<Refusal>> {
    let refuse = |write| Refusal { write, code: FaultCode::InternalError, text: "the device cannot be changed".into() };
    match writes.len() {
        0 => Ok(()),
        count => Err((0..count).map(refuse).collect()),
    }
}
