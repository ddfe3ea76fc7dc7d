//! The default WAN connection, which only TR-098 has.

use super::scenarios::over;
use crate::gateway::{TR_098, VALUE_CHANGE};
use crate::support::{Acs, AcsOptions, empty_post, inform, inform_response, no_content};

/// R107: another default WAN connection is a change of the address, which the ACS is notified of at once, even if the
/// text of the address is the same.
#[test]
fn another_default_wan_connection() {
    const SERVICE: &str = "InternetGatewayDevice.Layer3Forwarding.DefaultConnectionService";
    let device = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1";
    let mut acs = Acs::start(AcsOptions::new());
    let agent = TR_098.gateway(&acs).start();
    over(&mut acs, &agent);
    let connections = format!("{device}.WANIPConnection.");
    let number = agent.succeeds(&["add", &connections]);
    let new = format!("{connections}{}", number.trim_end());
    acs.expects(
        inform()
            .only_events(&[VALUE_CHANGE])
            .has_parameter(&format!("{new}.ExternalIPAddress"))
            .without_parameter(&format!("{connections}1.ExternalIPAddress")),
    )
    .replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.succeeds(&["set", &format!("{SERVICE}={new}")]);
    over(&mut acs, &agent);
}
