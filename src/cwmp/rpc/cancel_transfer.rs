//! CancelTransfer (TR-069 A6 §A.4.1.9).

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};

/// Cancels all transfers with the CommandKey that can be cancelled; none of them is reported. An unknown key is a success
/// (R246).
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    let key = request.string("CommandKey", 32)?;
    match device.change_transfers(now, |transfers| transfers.cancel(&key))? {
        true => Ok(()),
        // Those that can be cancelled are cancelled even then (R246).
        false => Err(Fault::new(FaultCode::CancelNotPermitted)),
    }
}
