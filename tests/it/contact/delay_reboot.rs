//! A reboot after a delay. DelayReboot is not in TR-098.

use super::scenarios::{Marked, over};
use crate::gateway::{BOOT, SOON, TR_181};
use crate::support::{Acs, AcsOptions, get_parameter_values, set_parameter_values};

/// R156: a delay counts from the end of the session that set it.
#[test]
fn a_reboot_after_a_delay() {
    const DELAY: &str = "Device.ManagementServer.DelayReboot";
    let device = Marked::new();
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(DELAY, "int", "1")], ""));
    let mut agent = device.actions(TR_181.gateway(&acs)).start();
    over(&mut acs, &agent);
    assert!(!device.mark("rebooted").exists());
    device.wait_for("rebooted");
    acs.enqueue(get_parameter_values(&[DELAY]));
    agent.reboot();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.events(), [BOOT]);
    assert_eq!(session.response("GetParameterValues").value(DELAY), Some("-1"));
}
