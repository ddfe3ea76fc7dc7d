//! FactoryReset (TR-069 A6 §A.4.1.6).

use crate::clock::Now;
use crate::cwmp::device::{Device, DeviceState, Reset};
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::log;

/// Requests a factory reset, which the agent runs after the session (R226). It needs no room on the disk.
pub(super) fn handle(_: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    let request = |state: &mut DeviceState| state.reset = Reset::Requested;
    // No event reports the reset: afterwards the device raises 0 BOOTSTRAP, which stands for it (R226).
    match device.update(now, request) {
        // The reset removes the records that fill the disk. Where they cannot be removed either, it is refused.
        Err(error) if error.is_full => {
            log::warn!("the factory reset goes on, but does not survive a power cut before it: {error}");
            request(device.state_mut());
            Ok(())
        }
        result => Ok(result?),
    }
}
