//! Attributes of parameters, and the notifications that follow from them.

use super::*;

#[test]
fn the_acs_is_not_told_of_its_own_changes() {
    let mut acs = Scenario::past_inform();
    acs.call("SetParameterValues", &values(&[("Device.DeviceInfo.ProvisioningCode", "", "a.b")], "")); // R172
    // Consequences of its changes cause no notification either: a counter (R208), a deleted object (R207).
    let watched = attributes(&[("Device.Hosts.", Some("2"), None)]);
    acs.call("SetParameterAttributes", &watched);
    acs.call("AddObject", &object("Device.Hosts.Host.", ""));
    acs.call("DeleteObject", &object("Device.Hosts.Host.1.", ""));
    assert_eq!(acs.device.state().events.pending().count(), 0);
    assert!(acs.device.state().changed.is_empty());
    let change = Change::Set("Device.DeviceInfo.ProvisioningCode".into(), Type::String.parse("c").expect("text"));
    assert_eq!(acs.device.apply(vec![change], Author::Other, NOW), Ok(true));
    assert!(acs.device.state().changed.contains("Device.DeviceInfo.ProvisioningCode"));
}

/// R195, R196: overlapping entries apply in their order, for each attribute by itself, and cost one walk over the tree.
#[test]
fn entries_that_overlap() {
    let mut acs = Scenario::past_inform();
    let (name, object) = (INTERVAL, "Device.ManagementServer.");
    let attributes_of = |acs: &Scenario, name: &str| {
        let attributes = acs.device.tree().parameter(name).expect("present").attributes();
        (attributes.notification as u8, attributes.subscriber)
    };
    for (entries, expected) in [
        (vec![(object, Some("1"), None), (name, Some("2"), Some(&[][..]))], (2, false)),
        (vec![(name, Some("0"), Some(&["Subscriber"][..])), (object, Some("1"), None)], (1, true)),
        // The last entry of the object sets no notification: that of the name, which lies between, stays.
        (vec![(object, Some("1"), None), (name, Some("2"), None), (object, None, Some(&[][..]))], (2, false)),
    ] {
        assert_eq!(code(&acs.call("SetParameterAttributes", &attributes(&entries))), 0);
        assert_eq!(attributes_of(&acs, name), expected, "{entries:?}");
    }
    let everything: [Entry<'_>; 4_000] = std::array::from_fn(|at| (["", "Device."][at % 2], Some("1"), None));
    let records = acs.journal.records().len();
    assert_eq!(code(&acs.call("SetParameterAttributes", &attributes(&everything))), 0);
    assert_eq!(acs.journal.records().len(), records + 1);
    assert_eq!(attributes_of(&acs, name), (1, false));
    // R201: an entry that is refused by itself is refused beside a later one, too.
    let denied = [("Device.DeviceInfo.UpTime", Some("2"), None), ("Device.", Some("1"), None)];
    assert_eq!(code(&acs.call("SetParameterAttributes", &attributes(&denied))), 9009);
}

/// An agent that is told to stop does not finish a long request; the request has no effect.
#[test]
fn a_stop_ends_a_request() {
    let mut acs = Scenario::past_inform();
    acs.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let name = "Device.DeviceInfo.ProvisioningCode";
    for (method, arguments) in [
        ("SetParameterAttributes", attributes(&[("Device.", Some("1"), None)])),
        ("SetParameterValues", values(&[(name, "", "x")], "k")),
        ("GetParameterValues", names(&["Device."])),
        ("GetParameterAttributes", names(&["Device."])),
    ] {
        assert_eq!(code(&acs.call(method, &arguments)), 9002, "{method}");
    }
    assert_eq!(acs.value(name), "");
}

/// R204: an AccessList that was not understood is not taken for an empty one, which would exclude all subscribers.
#[test]
fn an_access_list_that_cannot_be_read() {
    let mut acs = Scenario::past_inform();
    let name = "Device.DeviceInfo.ProvisioningCode";
    for list in [
        "<AccessList>Subscriber</AccessList>",
        r##"<AccessList href="#none"/>"##,
        "<AccessList><string><b/></string></AccessList>",
        r#"<AccessList i:nil="true"/>"#,
    ] {
        let entry = attributes(&[(name, None, Some(&[]))]).replace("<AccessList></AccessList>", list);
        assert_eq!(code(&acs.call("SetParameterAttributes", &entry)), 9003, "{list}");
    }
    let subscriber = |acs: &Scenario| acs.device.tree().parameter(name).expect("present").attributes().subscriber;
    assert!(subscriber(&acs));
    assert_eq!(code(&acs.call("SetParameterAttributes", &attributes(&[(name, None, Some(&[]))]))), 0);
    assert!(!subscriber(&acs));
}

fn set_by_other(device: &mut crate::cwmp::device::Device, name: &str, value: &str) -> bool {
    let change = Change::Set(name.into(), Type::String.parse(value).expect("text"));
    device.apply(vec![change], Author::Other, NOW).expect("stored")
}

fn pending(device: &crate::cwmp::device::Device) -> Vec<String> {
    device.state().events.pending().map(|event| event.code.to_string()).collect()
}

/// R100, R209, R212: a parameter that changes several times, even back to its first value, is reported once.
#[test]
fn a_parameter_that_has_changed_and_changed_back_is_told_once() {
    let (mut device, journal) = device(&[]);
    let name = "Device.DeviceInfo.ProvisioningCode";
    assert!(set_by_other(&mut device, name, "x") && set_by_other(&mut device, name, "y"));
    assert!(set_by_other(&mut device, name, ""));
    let inform = Scenario::start(device, journal, crate::cwmp::version::ALL).posted();
    assert_eq!(inform.matches("<EventCode>4 VALUE CHANGE</EventCode>").count(), 1, "{inform}");
    let entry = format!("<Name>{name}</Name><Value xsi:type=\"xsd:string\"></Value>");
    assert_eq!((inform.matches(name).count(), inform.matches(&entry).count()), (1, 1), "{inform}");
}

/// R101, R207: a deleted parameter is not reported, and 4 VALUE CHANGE is not sent without a parameter.
#[test]
fn a_change_that_went_with_its_object_is_not_told() {
    let mut acs = Scenario::past_inform();
    acs.call("AddObject", &object("Device.Hosts.Host.", ""));
    acs.call("SetParameterAttributes", &attributes(&[("Device.Hosts.Host.", Some("1"), None)]));
    for instance in [1, 2] {
        assert!(!set_by_other(&mut acs.device, &format!("Device.Hosts.Host.{instance}.Name"), "new")); // R198: passive
    }
    acs.device.apply(vec![Change::Delete("Device.Hosts.Host.2.".into())], Author::Other, NOW).expect("stored");
    assert_eq!(pending(&acs.device), ["4 VALUE CHANGE"], "the other instance has changed, too");
    assert_eq!(acs.device.pending_notifications().next(), None); // R134: passive, so that it waits for a session
    acs.device.apply(vec![Change::Delete("Device.Hosts.Host.1.".into())], Author::Other, NOW).expect("stored");
    assert_eq!(pending(&acs.device), [""; 0]);
    let (restarted, _) = device(&acs.journal.records());
    assert_eq!(pending(&restarted), [""; 0]);
}

/// R198, R208: a local entity that changes a table changes its counter, which is reported as the attributes demand.
#[test]
fn a_counter_changes_with_its_table() {
    let mut acs = Scenario::past_inform();
    acs.call("SetParameterAttributes", &attributes(&[(NUMBER, Some("2"), None)]));
    let add = Change::Add("Device.Hosts.Host.".into(), 2);
    assert_eq!(acs.device.apply(vec![add], Author::Other, NOW), Ok(true));
    assert!(acs.device.pending_notifications().next().is_some() && acs.device.state().changed.contains(NUMBER));
    acs.call("SetParameterAttributes", &attributes(&[(NUMBER, Some("0"), None)]));
    let state = acs.device.state();
    let pending = state.changed.contains(NUMBER) || state.events.contains(&EventCode::ValueChange);
    assert!(!pending, "R99, R101: the ACS no longer watches the counter");
    let delete = Change::Delete("Device.Hosts.Host.2.".into());
    assert_eq!(acs.device.apply(vec![delete], Author::Other, NOW), Ok(false));
}

#[test]
fn attributes_are_set_in_order_and_read_back() {
    let mut acs = Scenario::past_inform();
    let entries = attributes(&[
        ("Device.ManagementServer.", Some("1"), None), // R196
        (INTERVAL, Some("2"), Some(&["Nobody"])),      // R195, R204
        ("Device.ManagementServer.URL", None, None),   // R197
    ]);
    let answer = acs.call("SetParameterAttributes", &entries); // R194
    assert_eq!(answer, "<cwmp:SetParameterAttributesResponse></cwmp:SetParameterAttributesResponse>");
    assert_eq!(code(&acs.call("SetParameterAttributes", &attributes(&[]))), 9003); // R76: one entry at least
    let answer = acs.call("GetParameterAttributes", &names(&["Device.ManagementServer.URL", INTERVAL]));
    let url = "<Name>Device.ManagementServer.URL</Name><Notification>1</Notification>\
               <AccessList soap-enc:arrayType=\"xsd:string[1]\"><string>Subscriber</string></AccessList>";
    let interval = "<Notification>2</Notification><AccessList soap-enc:arrayType=\"xsd:string[0]\"></AccessList>";
    assert!(answer.contains(url) && answer.contains(interval), "{answer}"); // R211
    let (restarted, _) = device(&acs.journal.records());
    let kept = restarted.tree().parameter(INTERVAL).expect("a parameter").attributes();
    assert_eq!((kept.notification as u8, kept.subscriber), (2, false));
}

#[test]
fn attributes_are_refused_as_a_whole() {
    let mut acs = Scenario::past_inform();
    let refused = |acs: &mut Scenario, entry: (&str, Option<&str>)| {
        let arguments = attributes(&[(INTERVAL, Some("1"), None), (entry.0, entry.1, None)]);
        let answer = code(&acs.call("SetParameterAttributes", &arguments));
        let kept = acs.device.tree().parameter(INTERVAL).expect("a parameter").attributes();
        assert_eq!(kept.notification as u8, 0);
        answer
    };
    assert_eq!(refused(&mut acs, ("Device.Nothing", Some("1"))), 9005); // R203
    assert_eq!(refused(&mut acs, (INTERVAL, Some("3"))), 9003); // R199
    assert_eq!(refused(&mut acs, (INTERVAL, Some("7"))), 9003);
    assert_eq!(refused(&mut acs, (INTERVAL, Some("x"))), 9003);
    assert_eq!(refused(&mut acs, ("Device.DeviceInfo.UpTime", Some("2"))), 9009); // R201
    assert_eq!(refused(&mut acs, ("Device.DeviceInfo.", Some("2"))), 9009);
    let passive = attributes(&[("", Some("1"), None)]); // R200
    assert_eq!(code(&acs.call("SetParameterAttributes", &passive)), 0);
}

#[test]
fn forced_notification_cannot_be_turned_off() {
    let mut acs = Scenario::past_inform();
    let off = attributes(&[("Device.DeviceInfo.SoftwareVersion", Some("0"), None)]);
    assert_eq!(code(&acs.call("SetParameterAttributes", &off)), 0); // R202
    let answer = acs.call("GetParameterAttributes", &names(&["Device.DeviceInfo.SoftwareVersion"]));
    assert!(answer.contains("<Notification>2</Notification>"), "{answer}");
}
