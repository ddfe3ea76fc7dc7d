//! FactoryReset (TR-069 A6 §A.4.1.6).

use crate::clock::Now;
use crate::cwmp::device::{Device, Reset};
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};

/// Requests a factory reset, which the agent runs after the session (R226).
pub(super) fn handle(_: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    // No event reports the reset: afterwards the device raises 0 BOOTSTRAP, which stands for it (R226).
    device.update(now, |state| state.reset = Reset::Requested)?;
    Ok(())
}
