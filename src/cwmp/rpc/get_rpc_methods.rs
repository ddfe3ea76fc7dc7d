//! GetRPCMethods (TR-069 A6 §A.3.1.1).

use super::methods;
use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};

/// Lists exactly the methods that the device supports (R5).
pub(super) fn handle(_: Element<'_>, device: &mut Device, _: Now, response: &mut EnvelopeWriter) -> Result<(), Fault> {
    let version = response.version();
    let methods = methods(device.actions(), version);
    response.array("MethodList", "xsd:string", |list| methods.for_each(|name| list.text(name)));
    Ok(())
}
