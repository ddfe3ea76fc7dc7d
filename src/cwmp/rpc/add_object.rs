//! AddObject (TR-069 A6 §A.3.2.6).

use crate::clock::Now;
use crate::cwmp::device::{Author, Device};
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::model::change::Change;
use crate::model::path::{MAX_LENGTH, Path};

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
    let number = device.tree().check_add(&Path::parse(&table)?)?;
    // The record holds the number, so that the instance gets the same one when the journal is read again.
    let mut changes = vec![Change::Add(table.into_owned(), number)];
    // ParameterKey shares the record with the instance: a crash between two records would leave the ACS with the key of a
    // request that had no effect, or the other way round (R157).
    changes.extend(key.and_then(|key| device.parameter_key(&key)));
    device.apply(changes, Author::Acs, now)?;
    response.text("InstanceNumber", number);
    response.text("Status", 0);
    Ok(())
}
