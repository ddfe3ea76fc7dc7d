//! ScheduleDownload (TR-069 A6 §A.4.1.8).

use super::download;
use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::cwmp::transfer::{Origin, Timing};

/// The maximum number of windows (R244). One more is read, so that [`Timing::windows`] can reject it; a longer list
/// costs no memory.
const MAX_WINDOWS: usize = 2;

/// Queues a download that takes place within windows of time (R244, R245).
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    let transfer = download::read_download(request, Origin::ScheduleDownload)?;
    let windows: Vec<_> =
        request.nonempty_members("TimeWindowList")?.take(MAX_WINDOWS + 1).map(window).collect::<Result<_, _>>()?;
    let timing = Timing::windows(&windows, now);
    let timing = timing.map_err(|error| Fault::because(FaultCode::InvalidArguments, error.to_string()))?;
    download::queue(transfer, timing, device, now)
}

/// Reads a window: its start and end in seconds from now, and the maximum number of retries; `None` if the CPE decides on
/// the retries.
fn window(entry: Element<'_>) -> Result<(u32, u32, Option<u32>), Fault> {
    let mode = entry.string("WindowMode", 64)?;
    entry.string("UserMessage", 256)?;
    // `4 Confirmation Needed` is optional (R245), and a gateway has no screen to ask for a confirmation.
    if !["1 At Any Time", "2 Immediately", "3 When Idle"].contains(&&*mode) {
        return Err(Fault::because(FaultCode::InvalidArguments, format!("WindowMode {mode} is not supported")));
    }
    let max_retries = match entry.int("MaxRetries")? {
        -1 => None,
        number => match u32::try_from(number) {
            Ok(number) => Some(number),
            Err(_) => return Err(Fault::because(FaultCode::InvalidArguments, "MaxRetries must be at least -1")),
        },
    };
    Ok((entry.unsigned_int("WindowStart")?, entry.unsigned_int("WindowEnd")?, max_retries))
}
