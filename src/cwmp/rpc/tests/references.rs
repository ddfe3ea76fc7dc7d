//! Arguments that references stand for (SOAP 1.1 §5.2.1), and arguments that cannot be read.

use super::*;

/// Returns a request in the form of Axis 1.x: the array in an element beside the request (SOAP 1.1 §5.2.1).
fn by_reference(method: &str, arguments: &str, beside: &str) -> String {
    envelope("", &format!("<c:{method}>{arguments}</c:{method}>{beside}"))
}

/// SOAP 1.1 §5.2.1: a referenced argument counts as if it stood in the request, in every RPC.
#[test]
fn arguments_by_reference() {
    let mut acs = Scenario::past_inform();
    let name = "Device.DeviceInfo.ProvisioningCode";
    let set = by_reference(
        "SetParameterValues",
        r##"<ParameterList href="#id0"/><ParameterKey>k</ParameterKey>"##,
        &format!(
            r##"<multiRef id="id0"><item href="#id1"/></multiRef>
               <c:ParameterValueStruct id="id1"><Name>{name}</Name><Value href="#id2"/></c:ParameterValueStruct>
               <multiRef id="id2" i:type="x:string">by.reference</multiRef>"##
        ),
    );
    assert_eq!(code(&acs.reply(&set)), 0);
    assert_eq!(
        (acs.value(name).as_str(), acs.value("Device.ManagementServer.ParameterKey").as_str()),
        ("by.reference", "k")
    );
    let get = by_reference(
        "GetParameterValues",
        r##"<ParameterNames href="#a"/>"##,
        &format!(r#"<e:Array id="a" e:arrayType="x:string[1]"><string>{name}</string></e:Array>"#),
    );
    assert!(acs.reply(&get).contains(">by.reference</Value>"));
    let reboot = by_reference("Reboot", r##"<CommandKey href="#key"/>"##, r#"<multiRef id="key">r</multiRef>"#);
    assert_eq!(code(&acs.reply(&reboot)), 0);
}

/// R76: an array that cannot be read is no empty one, whose success would be a lie.
#[test]
fn arguments_that_cannot_be_read() {
    let mut acs = Scenario::past_inform();
    let key = "<ParameterKey>k</ParameterKey>";
    for list in [
        r##"<ParameterList href="#id0"/>"##,
        r##"<ParameterList href="http://elsewhere.example/#id0"/>"##,
        r##"<ParameterList><ParameterValueStruct href="#id0"/></ParameterList>"##,
        "<ParameterList>Device.DeviceInfo.ProvisioningCode=x</ParameterList>",
        "<ParameterList><![CDATA[<ParameterValueStruct/>]]></ParameterList>",
        r#"<ParameterList i:nil="1"/>"#,
        "<ParameterList><ParameterValueStruct>x</ParameterValueStruct></ParameterList>",
        r#"<ParameterList><a><Name>Device.DeviceInfo.ProvisioningCode</Name><Value i:nil="true"/></a></ParameterList>"#,
    ] {
        let answer = acs.call("SetParameterValues", &format!("{list}{key}"));
        assert_eq!(code(&answer), 9003, "{list}: {answer}");
    }
    let names = r##"<ParameterNames>Device.</ParameterNames>"##;
    assert_eq!(code(&acs.call("GetParameterValues", names)), 9003);
    assert_eq!(acs.value("Device.ManagementServer.ParameterKey"), "");
    // An honest empty list is valid.
    assert_eq!(code(&acs.call("SetParameterValues", &format!("<ParameterList/>{key}"))), 0);
    assert_eq!(acs.value("Device.ManagementServer.ParameterKey"), "k");
}

/// A missing ParameterKey leaves the old one, and a missing CommandKey is an empty one.
#[test]
fn keys_that_are_missing() {
    let mut acs = Scenario::past_inform();
    let without_key = |arguments: String| arguments.split("<ParameterKey>").next().unwrap_or_default().to_owned();
    let set = values(&[("Device.DeviceInfo.ProvisioningCode", "", "a")], "old");
    assert_eq!(code(&acs.call("SetParameterValues", &set)), 0);
    for (method, arguments) in [
        ("SetParameterValues", set.replace(">a<", ">b<")),
        ("AddObject", object("Device.Hosts.Host.", "")),
        ("DeleteObject", object("Device.Hosts.Host.1.", "")),
    ] {
        assert_eq!(code(&acs.call(method, &without_key(arguments))), 0, "{method}");
        assert_eq!(acs.value("Device.ManagementServer.ParameterKey"), "old", "{method}");
    }
    assert_eq!(acs.value("Device.DeviceInfo.ProvisioningCode"), "b");
    assert_eq!(code(&acs.call("Reboot", "")), 0);
    assert!(acs.device.state().reboot);
    assert_eq!(code(&acs.call("ScheduleInform", "<DelaySeconds>60</DelaySeconds>")), 0);
    // CancelTransfer without a key would cancel the transfers of an empty one.
    assert_eq!(code(&acs.call("CancelTransfer", "")), 9003);
    // A key that cannot be read is not a missing one.
    assert_eq!(code(&acs.call("Reboot", "<CommandKey><a/></CommandKey>")), 9003);
    assert_eq!(code(&acs.call("Reboot", r##"<CommandKey href="#none"/>"##)), 9003);
}
