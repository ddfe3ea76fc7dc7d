//! DeleteObject (TR-069 A6 §A.3.2.7).

use crate::clock::Now;
use crate::cwmp::device::{Author, Device};
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::model::path::MAX_LENGTH;

/// Deletes an instance with all objects in it, and clears the strong references to it (R173, R220 to R222).
pub(super) fn handle(
    request: Element<'_>,
    device: &mut Device,
    now: Now,
    response: &mut EnvelopeWriter,
) -> Result<(), Fault> {
    let instance = request.string("ObjectName", MAX_LENGTH)?;
    let key = request.optional_string("ParameterKey", 32)?;
    super::refresh_instances(&instance, device, now);
    // One record holds the changes that clear strong references too: it prevents a reference to an object that a crash has left
    // deleted (R173).
    let instance = device.tree().by_number(&instance)?.into_owned();
    let key = key.and_then(|key| device.parameter_key(&key));
    let changed = device.delete_instance(&instance, key.into_iter().collect(), Author::Acs, now)?;
    response.text("Status", changed.status());
    Ok(())
}
