//! Reboot (TR-069 A6 §A.3.2.9).

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};

/// R223, R224: the device reboots when the session is over; however often it is asked, it does so once, and each request
/// is told by an `M Reboot` of its own.
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    let key = request.string("CommandKey", 32)?.into_owned();
    device.update(now, |state| {
        state.reboot = true;
        state.events.raise(Event::of_command(EventCode::MReboot, key));
    })?;
    Ok(())
}
