//! Upload (TR-069 A6 §A.4.1.5).

use super::download;
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, Writer};
use crate::cwmp::transfer::{Order, Origin, Timing};

/// R241, R242: as a download, in the other direction.
pub(super) fn answer(call: Element<'_>, device: &mut Device, response: &mut Writer) -> Result<(), Fault> {
    let order = download::order_of_either(call, Origin::Upload)?;
    let timing = Timing::delayed(call.unsigned_int("DelaySeconds")?, device.now());
    check_instance(&order, device)?;
    download::queue(order, timing, device)?;
    download::write_response(response);
    Ok(())
}

/// R241: a type may name an instance of VendorConfigFile or VendorLogFile, which must be there.
pub(crate) fn check_instance(order: &Order, device: &Device) -> Result<(), Fault> {
    let Some((_, instance)) = device.actions.upload_of(&order.file_type) else {
        return Err(download::unsupported(order));
    };
    let Some(number) = instance else { return Ok(()) };
    let table = if order.file_type.contains("Log") { "VendorLogFile" } else { "VendorConfigFile" };
    let object = format!("{}.DeviceInfo.{table}.{number}.", device.tree.root_name());
    if device.tree.exists(&object) {
        return Ok(());
    }
    Err(Fault::because(FaultCode::InvalidArguments, format!("there is no {object}")))
}
