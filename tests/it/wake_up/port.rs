//! A port that the ACS can close. HTTPConnectionRequestEnable is not in TR-098.

use std::net::TcpStream;
use std::time::Duration;

use super::scenarios::{registered, request};
use crate::gateway::{SOON, TR_181};
use crate::support::{Acs, AcsOptions, set_parameter_values};

const URL: &str = "Device.ManagementServer.ConnectionRequestURL";

/// R267: while connection requests are disabled, the port is closed and the URL empty; afterwards the port is open
/// again.
#[test]
fn the_port_follows_its_parameter() {
    let mut acs = Acs::start(AcsOptions::new());
    let (agent, url) = registered(&TR_181, &mut acs);
    let enable = "Device.ManagementServer.HTTPConnectionRequestEnable";
    acs.enqueue(set_parameter_values(&[(enable, "boolean", "0")], "off"));
    assert_eq!(request(&url, "wake up"), 200);
    acs.session(SOON).expect_complete();
    let authority = url.split('/').nth(2).expect("an authority").to_owned();
    let closed = (0..2000).any(|_| {
        std::thread::sleep(Duration::from_millis(10)); // until the agent has looked at its settings again
        TcpStream::connect(&authority).is_err()
    });
    assert!(closed, "the port is still open");
    assert_eq!(agent.value(URL), "");
    agent.succeeds(&["set", &format!("{enable}=true")]);
    assert_eq!(agent.value(URL), url);
    assert_eq!(request(&url, "wake up"), 200);
}
