//! GetParameterNames (TR-069 A6 §A.3.2.3).

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::model::path::{MAX_LENGTH, Path};

/// Lists the names below a path and tells which of them the ACS may write (R184 to R193).
pub(super) fn handle(
    request: Element<'_>,
    device: &mut Device,
    now: Now,
    response: &mut EnvelopeWriter,
) -> Result<(), Fault> {
    let name = request.string("ParameterPath", MAX_LENGTH)?;
    let next_level = request.boolean("NextLevel")?;
    let path = Path::parse(&name)?;
    super::check_sources(super::refresh_instances(&name, device, now))?;
    if next_level && device.tree().is_parameter(&path) {
        return Err(Fault::because(FaultCode::InvalidArguments, "NextLevel needs a partial path")); // R188
    }
    response.array("ParameterList", "cwmp:ParameterInfoStruct", |list| {
        let visited = device.tree().visit_names(&path, next_level, &mut |name, writable| {
            if super::has_room(list) {
                list.parameter_info(name, writable);
            }
        });
        visited.map_err(Fault::from).and_then(|()| super::check_size(list))
    })
}
