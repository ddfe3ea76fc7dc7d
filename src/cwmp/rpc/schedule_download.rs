//! ScheduleDownload (TR-069 A6 §A.4.1.8).

use super::download;
use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::cwmp::transfer::{Origin, Timing};

/// R244, R245: a download within windows of time.
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    let order = download::order(request, Origin::ScheduleDownload)?;
    let windows: Vec<_> = request.nonempty_members("TimeWindowList")?.take(3).map(window).collect::<Result<_, _>>()?;
    let timing = Timing::windows(&windows, now);
    let timing = timing.map_err(|error| Fault::because(FaultCode::InvalidArguments, error.to_string()))?;
    download::queue(order, timing, device, now)
}

/// Start, end, and the attempts after the first; none where the CPE decides.
fn window(entry: Element<'_>) -> Result<(u32, u32, Option<u32>), Fault> {
    let mode = entry.string("WindowMode", 64)?;
    entry.string("UserMessage", 256)?;
    // R245: `4 Confirmation Needed` is for devices with somebody in front of them.
    if !["1 At Any Time", "2 Immediately", "3 When Idle"].contains(&&*mode) {
        return Err(Fault::because(FaultCode::InvalidArguments, format!("WindowMode {mode} is not supported")));
    }
    let max_retries = match entry.int("MaxRetries")? {
        -1 => None,
        number => match u32::try_from(number) {
            Ok(number) => Some(number),
            Err(_) => return Err(Fault::because(FaultCode::InvalidArguments, "MaxRetries is -1 at least")),
        },
    };
    Ok((entry.unsigned_int("WindowStart")?, entry.unsigned_int("WindowEnd")?, max_retries))
}
