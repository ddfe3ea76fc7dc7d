//! GetParameterValues (TR-069 A6 §A.3.2.2).

use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Array, Element, Writer};
use crate::model::path::Path;
use crate::model::tree::Tree;

/// R177 to R183: any name that is not there refuses the whole call.
pub(super) fn answer(call: Element<'_>, device: &mut Device, response: &mut Writer) -> Result<(), Fault> {
    response.array("ParameterList", "cwmp:ParameterValueStruct", |list| {
        for name in call.members("ParameterNames")? {
            let name = name.text().ok_or_else(|| Fault::because(FaultCode::InvalidArguments, "a name is a text"))?;
            write_values(&device.tree, &name, list)?;
        }
        Ok(())
    })
}

fn write_values(tree: &Tree, name: &str, list: &mut Array<'_>) -> Result<(), Fault> {
    let because = |error| Fault { text: format!("{name}: {error}"), ..Fault::from(error) };
    let path = Path::parse(name).map_err(because)?;
    tree.visit_values(&path, &mut |parameter| {
        let kind = parameter.wire_type().name();
        parameter.with_value(|value| list.parameter_value(parameter.name, kind, value));
    })
    .map_err(because)
}
