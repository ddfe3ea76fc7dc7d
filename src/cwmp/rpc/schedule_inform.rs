//! ScheduleInform (TR-069 A6 §A.4.1.2).

use std::time::Duration;

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};

/// R154, R155: an Inform after the delay, kept over reboots where the date is known.
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    let delay = request.unsigned_int("DelaySeconds")?;
    let key = request.string("CommandKey", 32)?;
    if delay == 0 {
        return Err(Fault::because(FaultCode::InvalidArguments, "DelaySeconds is 0"));
    }
    let mut informs = device.state().scheduled_informs.clone();
    let added = informs.add(&key, Duration::from_secs(delay.into()), now);
    added.map_err(|_| Fault::because(FaultCode::InternalError, "too many Informs are scheduled already"))?;
    device.update(now, |state| state.scheduled_informs = informs)?;
    Ok(())
}
