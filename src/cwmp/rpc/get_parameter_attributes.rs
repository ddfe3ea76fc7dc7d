//! GetParameterAttributes (TR-069 A6 §A.3.2.5).

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{ArrayWriter, Element, EnvelopeWriter};
use crate::model::tree::{NameForm, Parameter, Wanted};

/// Returns the attributes: one entry for each parameter, with its full name (R211).
pub(super) fn handle(
    request: Element<'_>,
    device: &mut Device,
    now: Now,
    response: &mut EnvelopeWriter,
) -> Result<(), Fault> {
    super::refresh(request, "ParameterNames", Wanted::instances, device, now);
    response.array("ParameterList", "cwmp:ParameterAttributeStruct", |list| {
        super::for_each_parameter(request, device, list, write)
    })
}

fn write(parameter: &Parameter<'_>, form: &mut NameForm<'_>, list: &mut ArrayWriter<'_>) {
    let attributes = parameter.attributes();
    list.element(|entry| {
        entry.text("Name", form.of(parameter.name));
        entry.text("Notification", attributes.notification as u8);
        entry.array("AccessList", "xsd:string", |access| {
            // An empty list reserves the parameter for the ACS (R204).
            if attributes.subscriber {
                access.text("Subscriber");
            }
        });
    });
}
