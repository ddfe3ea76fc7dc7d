//! AddObject (TR-069 A6 §A.3.2.6).

use crate::clock::Now;
use crate::cwmp::device::{Author, Device};
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::model::path::MAX_LENGTH;

/// Creates an instance with the defaults of its template and with a number that was never used before (R213 to R219).
pub(super) fn handle(
    request: Element<'_>,
    device: &mut Device,
    now: Now,
    response: &mut EnvelopeWriter,
) -> Result<(), Fault> {
    let table = request.string("ObjectName", MAX_LENGTH)?;
    let key = request.optional_string("ParameterKey", 32)?;
    super::refresh_instances(&table, device, now);
    // ParameterKey shares the record with the instance: a crash between two records would leave the ACS with the key of a
    // request that had no effect, or the other way round (R157).
    let key = key.and_then(|key| device.parameter_key(&key));
    let (number, changed) = device.add_instance(&table, key.into_iter().collect(), Author::Acs, now)?;
    response.text("InstanceNumber", number);
    response.text("Status", changed.status()); // R219
    Ok(())
}
