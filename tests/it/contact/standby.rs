//! The end of a standby, which the agent sees by the uptime of the kernel.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::gateway::gateway_at;
use crate::support::mount::with_mounts;
use crate::support::{AcsOptions, ManualAcs};

/// The longest time between two looks, and some more.
const LOOK: Duration = Duration::from_secs(7);

/// R305: `13 WAKEUP` after a standby that is too long, and not after a shorter one.
#[test]
fn a_long_standby_is_reported() {
    let place = tempfile::tempdir().expect("a directory");
    let uptime = place.path().join("uptime");
    let sleeps_until = |seconds: u32| fs::write(&uptime, format!("{seconds}.00 0.00\n")).expect("a file");
    sleeps_until(1000);
    let acs = ManualAcs::start(AcsOptions::new());
    let builder = gateway_at(&acs.url()).set("Device.ManagementServer.StandbyPolicy.CRUnawarenessMaxDuration", "3000");
    let Some(builder) = with_mounts(builder, &[(Path::new(&uptime), "/proc/uptime")]) else { return };
    let agent = builder.start();
    acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
    sleeps_until(2000);
    acs.expect_no_session(LOOK);
    sleeps_until(7000);
    acs.expect_events(&["13 WAKEUP"]);
    assert!(agent.log().contains("the device was in standby for"), "{}", agent.log());
}
