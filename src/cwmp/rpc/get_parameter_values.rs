//! GetParameterValues (TR-069 A6 §A.3.2.2).

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::model::tree::Wanted;

/// Returns the values of parameters and of whole objects. One unknown name rejects the whole request (R177 to R183).
pub(super) fn handle(
    request: Element<'_>,
    device: &mut Device,
    now: Now,
    response: &mut EnvelopeWriter,
) -> Result<(), Fault> {
    super::check_sources(super::refresh(request, "ParameterNames", Wanted::values, device, now))?;
    response.array("ParameterList", "cwmp:ParameterValueStruct", |list| {
        super::for_each_parameter(request, device, list, super::write_value)
    })
}
