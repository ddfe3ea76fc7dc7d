//! Reboot (TR-069 A6 §A.3.2.9).

use crate::cwmp::device::{Author, Device};
use crate::cwmp::event::MAX_EVENTS;
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, Writer};

/// R223, R224: the device reboots when the session is over; however often it is asked, it does so once, and each request
/// is told by an `M Reboot` of its own.
pub(super) fn answer(call: Element<'_>, device: &mut Device, _: &mut Writer) -> Result<(), Fault> {
    let key = call.string("CommandKey", 32)?.into_owned();
    device.commit(Vec::new(), Author::Acs, |state| {
        state.reboot = true;
        if state.reboot_keys.len() >= MAX_EVENTS {
            state.reboot_keys.remove(0); // R94: the oldest goes
        }
        state.reboot_keys.push(key);
    })?;
    Ok(())
}
