//! DeleteObject (TR-069 A6 §A.3.2.7).

use crate::clock::Now;
use crate::cwmp::device::{Author, Device};
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::model::path::{MAX_LENGTH, Path, PathError};

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
    let mut changes = device.tree().check_delete(&Path::parse(&instance)?).map_err(|error| match error {
        // R221: this method has no fault 9004.
        PathError::TooMuchWork => Fault::because(FaultCode::InternalError, error.to_string()),
        error => error.into(),
    })?;
    // The list already holds the changes that clear strong references. One record for all of them prevents a reference to
    // an object that a crash has left deleted (R173).
    changes.extend(key.and_then(|key| device.parameter_key(&key)));
    device.apply(changes, Author::Acs, now)?;
    response.text("Status", 0);
    Ok(())
}
