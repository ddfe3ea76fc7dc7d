//! Mistakes that the test makes in the TR-181 model of the tests, and the message for each.

use serde_json::{Value, json};

/// The place, the JSON that is put there (an empty text removes the member), and the message.
#[rustfmt::skip]
pub(crate) fn all() -> Vec<(&'static str, Option<Value>, &'static str)> {
    let set = |value: Value| Some(value);
    vec![
        ("/Device/Invented", set(json!({ "type": "string" })), "is no official parameter"),
        ("/Device/Inventions", set(json!({})), "is no official object"),
        ("/Device/Hosts/Host", set(json!({})), "is no official object"),
        ("/Device/Hosts/Host/secret", set(json!(1)), "unknown member"),
        ("/Device/Hosts/Host/access", set(json!("readWrite")), "access is true"),
        ("/Device/Hosts/Host/maxEntries", set(json!(1)), "more instances than maxEntries"),
        ("/Device/Hosts/HostNumberOfEntries", None, "HostNumberOfEntries is None"),
        ("/Device/Hosts/HostNumberOfEntries/counts", set(json!("Hast")), "no sibling table"),
        ("/Device/Hosts/Host/1/Colour", set(json!("red")), "not in the template"),
        ("/Device/Hosts/Host/1/Active", set(json!("yes")), "is no boolean"),
        ("/Device/Hosts/Host/1/Layer3Interface", set(json!("Device.IP.Interface.9")), "does not exist"),
        ("/Device/Hosts/Host/1/Layer3Interface", set(json!("Device.Ethernet.Link.1")), "is in none of"),
        ("/Device/Time/Enable/type", set(json!("int")), "type is"),
        ("/Device/Time/Enable/access", None, "access is false"),
        ("/Device/Time/Enable/colour", set(json!("red")), "unknown member"),
        ("/Device/Time/Status/access", set(json!("readWrite")), "access is true"),
        ("/Device/Time/Status/enum", set(json!(["Disabled", "Error"])), "enum is"),
        ("/Device/Time/Status/value", set(json!("Late")), "not in the enumeration"),
        ("/Device/DHCPv4/Client/{i}/DNSServers/list", None, "list is false"),
        ("/Device/DHCPv4/Client/{i}/DNSServers/pattern", None, "pattern is None"),
        ("/Device/DHCPv4/Client/1/DNSServers", set(json!("192.0.2.53,192.0.2")), "does not match"),
        ("/Device/DHCPv4/Client/{i}/PassthroughDHCPPool/targets", None, "targets is []"),
        ("/Device/DHCPv4/Client/{i}/PassthroughDHCPPool/reference", set(json!("weak")), "reference is"),
        ("/Device/DHCPv4/Client/{i}/LeaseTimeRemaining/min", None, "min is None"),
        ("/Device/DHCPv4/Client/1/LeaseTimeRemaining", set(json!("-2")), "outside min"),
        ("/Device/Time/Client/{i}/Version/max", set(json!(5)), "max is Some(5)"),
        ("/Device/Time/Client/{i}/Version/value", set(json!("3")), "value is \"3\""),
        ("/Device/DeviceInfo/ManufacturerOUI/minLength", None, "minLength is 0"),
        ("/Device/DeviceInfo/ManufacturerOUI/maxLength", None, "maxLength is None"),
        ("/Device/DeviceInfo/SoftwareVersion/inform", None, "inform is false"),
        ("/Device/DeviceInfo/SoftwareVersion/notify", None, "notify is None"),
        ("/Device/DeviceInfo/ProvisioningCode", None, "is missing"),
        ("/Device/ManagementServer/Password/hidden", None, "hidden is false"),
        ("/Device/ManagementServer/ConnReqAllowedJabberIDs/maxItems", None, "maxItems is None"),
        ("/Device/ManagementServer/HTTPCompression/enum", set(json!(["Disabled", "Zip"])), "\"Zip\" is not"),
        ("/Device/ManagementServer/HeartbeatPolicy/InitiationTime", None, "is missing"),
        ("/Device/NAT/PortMapping/{i}/RemoteHost/maxLength", None, "officially Some(16)"),
    ]
}
