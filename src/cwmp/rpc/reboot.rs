//! Reboot (TR-069 A6 §A.3.2.9).

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};

/// Requests a reboot, which the agent runs after the session (R223). Several requests cause one reboot, and yet each of
/// them an event `M Reboot` with its own CommandKey (R224).
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    let key = request.string("CommandKey", 32)?.into_owned();
    // One record for the request and its event. Of two records, a crash could leave only the first: a reboot that is not
    // reported, or a report of a reboot that does not happen.
    device.update(now, |state| {
        state.reboot = true;
        state.events.raise(Event::of_command(EventCode::MReboot, key));
    })?;
    Ok(())
}
