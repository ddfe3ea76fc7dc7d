//! Sessions of the real agent with the reference ACS, with both shipped models.

mod encodings;
mod scenarios;

use crate::gateway::{SOON, TR_098, TR_181};
use crate::support::{Acs, AcsOptions};

/// R103: a TR-181 Inform has the forced parameters.
#[test]
fn a_tr_181_inform_holds_the_forced_parameters() {
    let mut acs = Acs::start(AcsOptions::new());
    let _agent = TR_181.gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    let names: Vec<&str> = session.inform().parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    let forced = [
        "Device.RootDataModelVersion",
        "Device.DeviceInfo.HardwareVersion",
        "Device.DeviceInfo.SoftwareVersion",
        "Device.DeviceInfo.ProvisioningCode",
        "Device.ManagementServer.ParameterKey",
        "Device.ManagementServer.ConnectionRequestURL",
        "Device.ManagementServer.AliasBasedAddressing",
    ];
    assert_eq!(names, forced);
}

/// R104: a TR-098 Inform has the forced parameters.
#[test]
fn a_tr_098_inform_holds_the_forced_parameters() {
    let mut acs = Acs::start(AcsOptions::new());
    let _agent = TR_098.gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    let forced = [
        "DeviceSummary",
        "DeviceInfo.SpecVersion",
        "DeviceInfo.HardwareVersion",
        "DeviceInfo.SoftwareVersion",
        "DeviceInfo.ProvisioningCode",
        "ManagementServer.ConnectionRequestURL",
        "ManagementServer.ParameterKey",
    ];
    for name in forced {
        let name = format!("InternetGatewayDevice.{name}");
        assert!(session.inform().value(&name).is_some(), "{name} is not in\n{}", session.inform());
    }
    let addresses = session.inform().parameters.iter().filter(|p| p.name.ends_with(".ExternalIPAddress")).count();
    assert_eq!(addresses, 1, "that of the default connection only");
}
