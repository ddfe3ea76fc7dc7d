//! Reboot (TR-069 A6 §A.3.2.9).

use crate::clock::Now;
use crate::cwmp::device::{Device, DeviceState};
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::log;

/// Requests a reboot, which the agent runs after the session (R223), even if the request cannot be stored. Several requests
/// cause one reboot, and yet each of them an event `M Reboot` with its own CommandKey (R224).
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    // Some ACSs send a bare Reboot: an empty key loses nothing.
    let key = request.optional_string("CommandKey", 32)?.unwrap_or_default().into_owned();
    let request = |state: &mut DeviceState| {
        state.reboot = true;
        state.events.raise(Event::of_command(EventCode::MReboot, key.clone()));
    };
    // One record for the request and its event. Of two records, a crash could leave only the first: a reboot that is not
    // reported, or a report of a reboot that does not happen.
    if let Err(error) = device.update(now, request) {
        // On a device with a full flash, a technician tries a reboot first, so that it must not need the flash.
        log::warn!("the reboot goes on, and M Reboot may be missing after it: {error}");
        request(device.state_mut());
    }
    Ok(())
}
