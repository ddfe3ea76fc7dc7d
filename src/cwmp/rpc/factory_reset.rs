//! FactoryReset (TR-069 A6 §A.4.1.6).

use crate::cwmp::device::{Author, Device, Reset};
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};

/// R226: done when the session is over.
pub(super) fn handle(_: Element<'_>, device: &mut Device, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    device.commit(Vec::new(), Author::Acs, |state| state.reset = Reset::Promised)?;
    Ok(())
}
