//! ScheduleInform (TR-069 A6 §A.4.1.2).

use std::time::Duration;

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};

/// Schedules an Inform after a delay. It survives a reboot if the date is known (R154, R155).
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    let delay = request.unsigned_int("DelaySeconds")?;
    let key = request.optional_string("CommandKey", 32)?.unwrap_or_default();
    if delay == 0 {
        return Err(Fault::because(FaultCode::InvalidArguments, "DelaySeconds must be greater than 0"));
    }
    let mut informs = device.state().scheduled_informs.clone();
    let added = informs.add(&key, Duration::from_secs(delay.into()), now);
    // 9002, since TR-069 does not allow 9004, resources exceeded, for this method (R155).
    added.map_err(|_| Fault::because(FaultCode::InternalError, "too many Informs are already scheduled"))?;
    device.update(now, |state| state.scheduled_informs = informs)?;
    Ok(())
}
