//! Upload (TR-069 A6 §A.4.1.5).

use super::download;
use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::cwmp::transfer::{Origin, Timing};

/// Queues an upload, by the same rules as a download (R241, R242).
pub(super) fn handle(
    request: Element<'_>,
    device: &mut Device,
    now: Now,
    response: &mut EnvelopeWriter,
) -> Result<(), Fault> {
    let transfer = download::read_transfer(request, Origin::Upload)?;
    let timing = Timing::delayed(request.unsigned_int("DelaySeconds")?, now);
    download::queue(transfer, timing, device, now)?;
    download::write_response(response);
    Ok(())
}
