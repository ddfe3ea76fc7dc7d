//! GetParameterNames (TR-069 A6 §A.3.2.3).

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::model::path::MAX_LENGTH;

/// Lists the names below a path and tells which of them the ACS may write (R184 to R193).
pub(super) fn handle(
    request: Element<'_>,
    device: &mut Device,
    now: Now,
    response: &mut EnvelopeWriter,
) -> Result<(), Fault> {
    let name = request.string("ParameterPath", MAX_LENGTH)?;
    let next_level = request.boolean("NextLevel")?;
    super::check_sources(super::refresh_instances(&name, device, now))?;
    let tree = device.tree();
    let mut is_parameter = false;
    response.array("ParameterList", "cwmp:ParameterInfoStruct", |list| {
        let visited = tree.visit_paths(&name, device.names_by_alias(), &mut |path, form| {
            is_parameter |= tree.is_parameter(path);
            if next_level && is_parameter {
                return Ok(());
            }
            tree.visit_names(path, next_level, &mut |name, writable| {
                if super::has_room(list) {
                    list.parameter_info(&form.of(name), writable);
                }
            })
        });
        visited.map_err(Fault::from).and_then(|()| super::check_size(list))
    })?;
    if next_level && is_parameter {
        return Err(Fault::because(FaultCode::InvalidArguments, "NextLevel needs a partial path")); // R188
    }
    Ok(())
}
