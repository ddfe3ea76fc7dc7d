//! AddObject and DeleteObject.

use super::*;

#[test]
fn instances_come_and_go() {
    let mut acs = Scenario::past_inform();
    let answer = acs.call("AddObject", &object("Device.Hosts.Host.", "k1"));
    assert!(answer.contains("<InstanceNumber>2</InstanceNumber><Status>0</Status>"), "{answer}"); // R213
    assert_eq!(acs.value(KEY), "k1");
    assert_eq!(acs.value("Device.Hosts.HostNumberOfEntries"), "2");
    let answer = acs.call("SetParameterValues", &values(&[("Device.Hosts.Host.2.Name", "", "new")], "k2"));
    assert_eq!(code(&answer), 0); // R219
    let answer = acs.call("GetParameterValues", &names(&["Device.Hosts.Host.2."]));
    assert!(answer.contains("<Value xsi:type=\"xsd:string\">new</Value>"), "{answer}"); // R182
    acs.call("SetParameterAttributes", &attributes(&[("Device.Hosts.Host.2.Name", Some("2"), None)]));
    assert_eq!(code(&acs.call("DeleteObject", &object("Device.Hosts.Host.2.", "k3"))), 0);
    assert_eq!(acs.value(KEY), "k3");
    assert_eq!(code(&acs.call("GetParameterValues", &names(&["Device.Hosts.Host.2."]))), 9005); // R182, R222
    let all = acs.call("GetParameterValues", &names(&[""]));
    assert!(!all.contains("Device.Hosts.Host.2."), "{all}"); // R220
    let answer = acs.call("AddObject", &object("Device.Hosts.Host.", "")); // R218
    assert!(answer.contains("<InstanceNumber>3</InstanceNumber>"), "{answer}");
    let name = acs.device.tree().parameter("Device.Hosts.Host.3.Name").expect("a parameter");
    assert_eq!((name.value(), name.attributes().notification as u8), (Value::Text("".into()), 0)); // R206, R215
    let (restarted, _) = device(&acs.journal.records());
    assert!(restarted.tree().get("Device.Hosts.Host.3.Name").is_some()); // R217
    assert!(restarted.tree().get("Device.Hosts.Host.2.Name").is_none());
}

#[test]
fn instances_are_refused() {
    let mut acs = Scenario::past_inform();
    for wrong in ["Device.Hosts.", "Device.Nothing.", "Device.Hosts.Host.1."] {
        assert_eq!(code(&acs.call("AddObject", &object(wrong, ""))), 9005, "{wrong}"); // R214
    }
    for wrong in ["Device.Hosts.Host.", "Device.Hosts.", "Device.Hosts.Host.7.", "Device.Hosts.Host.1.Name"] {
        assert_eq!(code(&acs.call("DeleteObject", &object(wrong, ""))), 9005, "{wrong}"); // R221
    }
    for _ in 0..3 {
        assert_eq!(code(&acs.call("AddObject", &object("Device.Hosts.Host.", ""))), 0);
    }
    assert_eq!(code(&acs.call("AddObject", &object("Device.Hosts.Host.", ""))), 9004); // R216
}
