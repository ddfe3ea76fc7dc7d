//! The RPCs of the ACS, executed in sessions with the device of the tests.

mod attributes;
mod instances;
mod references;
mod software;
mod transfers;
mod types;
mod work;

use crate::cwmp::device::{Author, Reset};
use crate::cwmp::event::EventCode;
use crate::cwmp::testing::*;
use crate::model::change::Change;
use crate::model::value::{Type, Value};

fn names(names: &[&str]) -> String {
    let list: String = names.iter().map(|name| format!("<string>{name}</string>")).collect();
    format!("<ParameterNames e:arrayType=\"x:string[{}]\">{list}</ParameterNames>", names.len())
}

/// Returns the arguments of SetParameterValues from names, types and values.
fn values(values: &[(&str, &str, &str)], key: &str) -> String {
    let list: String = values
        .iter()
        .map(|(name, kind, value)| {
            let kind = if kind.is_empty() { String::new() } else { format!(" i:type=\"{kind}\"") };
            format!("<ParameterValueStruct><Name>{name}</Name><Value{kind}>{value}</Value></ParameterValueStruct>")
        })
        .collect();
    format!("<ParameterList>{list}</ParameterList><ParameterKey>{key}</ParameterKey>")
}

/// Name, Notification and AccessList of a SetParameterAttributesStruct; `None` for no change.
type Entry<'a> = (&'a str, Option<&'a str>, Option<&'a [&'a str]>);

fn attributes(entries: &[Entry<'_>]) -> String {
    let entry = |(name, notification, access): &Entry<'_>| {
        let access_list: String = access.unwrap_or_default().iter().map(|e| format!("<string>{e}</string>")).collect();
        format!(
            "<SetParameterAttributesStruct><Name>{name}</Name><NotificationChange>{}</NotificationChange>\
             <Notification>{}</Notification><AccessListChange>{}</AccessListChange><AccessList>{access_list}</AccessList>\
             </SetParameterAttributesStruct>",
            notification.is_some(),
            notification.unwrap_or(""), // as GenieACS sends it
            u8::from(access.is_some()),
        )
    };
    format!("<ParameterList>{}</ParameterList>", entries.iter().map(entry).collect::<String>())
}

fn object(name: &str, key: &str) -> String {
    format!("<ObjectName>{name}</ObjectName><ParameterKey>{key}</ParameterKey>")
}

/// Returns the fault code in a message; 0 for a response.
fn code(answer: &str) -> u32 {
    let after = answer.split("<FaultCode>").nth(1).and_then(|rest| rest.split('<').next());
    after.map_or(0, |code| code.parse().expect("a number"))
}

/// Returns name and fault code of each rejected parameter.
fn parameter_faults(answer: &str) -> Vec<(String, u32)> {
    let text = |part: &str, tag: &str| {
        let start = part.find(&format!("<{tag}>")).expect(tag) + tag.len() + 2;
        part[start..].split('<').next().expect("text").to_owned()
    };
    let parts = answer.split("<SetParameterValuesFault>").skip(1);
    parts.map(|part| (text(part, "ParameterName"), text(part, "FaultCode").parse().expect("a number"))).collect()
}

const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";
const KEY: &str = "Device.ManagementServer.ParameterKey";

#[test]
fn values_come_with_their_types() {
    let mut acs = Scenario::past_inform();
    let answer = acs.call("GetParameterValues", &names(&[INTERVAL, "Device.Hosts."])); // R177, R178
    let expected = "<cwmp:GetParameterValuesResponse><ParameterList soap-enc:arrayType=\"cwmp:ParameterValueStruct[4]\">\
        <ParameterValueStruct><Name>Device.ManagementServer.PeriodicInformInterval</Name>\
        <Value xsi:type=\"xsd:unsignedInt\">3600</Value></ParameterValueStruct>\
        <ParameterValueStruct><Name>Device.Hosts.HostNumberOfEntries</Name>\
        <Value xsi:type=\"xsd:unsignedInt\">1</Value></ParameterValueStruct>\
        <ParameterValueStruct><Name>Device.Hosts.Host.1.Active</Name>\
        <Value xsi:type=\"xsd:boolean\">false</Value></ParameterValueStruct>\
        <ParameterValueStruct><Name>Device.Hosts.Host.1.Name</Name>\
        <Value xsi:type=\"xsd:string\">&lt;&amp;&quot;&gt;</Value></ParameterValueStruct>\
        </ParameterList></cwmp:GetParameterValuesResponse>";
    assert_eq!(answer.replace("&#34;", "&quot;"), expected);
}

#[test]
fn one_wrong_name_refuses_all_values() {
    let mut acs = Scenario::past_inform();
    for wrong in [
        "Device.Nothing",
        "Device.Hosts",
        "Device.DeviceInfo.SerialNumber.",
        "Device.Hosts.Host.2.",
        "Device.Hosts.Host.*.Name",
        "Device.Hosts.Host.[cpe-1].Name",
    ] {
        let answer = acs.call("GetParameterValues", &names(&[INTERVAL, wrong]));
        assert_eq!(code(&answer), 9005, "{wrong}"); // R180, R183, R317, R322
    }
    for method in ["GetParameterValues", "GetParameterAttributes"] {
        assert_eq!(code(&acs.call(method, &names(&[]))), 9003); // R76, R177: one name at least
    }
    let long = format!("Device.{}", "a".repeat(250));
    assert_eq!(code(&acs.call("GetParameterValues", &names(&[&long]))), 9003); // R76
    assert_eq!(code(&acs.call("GetParameterValues", "")), 9003);
    assert_eq!(code(&acs.call("GetParameterValues", &names(&["Device.ManagementServer.Password"]))), 0);
}

/// R181: a parameter that several names cover is listed for each of them.
#[test]
fn names_may_overlap() {
    let mut acs = Scenario::past_inform();
    let answer =
        acs.call("GetParameterValues", &names(&["Device.Hosts.", "Device.Hosts.Host.1.Name", "Device.Hosts."]));
    assert_eq!(answer.matches("<Name>Device.Hosts.Host.1.Name</Name>").count(), 3, "{answer}");
    assert!(answer.contains("cwmp:ParameterValueStruct[7]"), "{answer}");
}

/// R183, R211: a request that repeats the same name many times gets a fault, not gigabytes.
#[test]
fn an_answer_has_a_limit() {
    let mut acs = Scenario::past_inform();
    for method in ["GetParameterValues", "GetParameterAttributes"] {
        assert_eq!(code(&acs.call(method, &names(&["Device."; 100]))), 0, "{method}");
        assert_eq!(code(&acs.call(method, &names(&[""; 15_000]))), 9004, "{method}");
    }
}

#[test]
fn names_come_with_what_can_be_written() {
    let mut acs = Scenario::past_inform();
    let ask = |path: &str, next: &str| format!("<ParameterPath>{path}</ParameterPath><NextLevel>{next}</NextLevel>");
    let answer = acs.call("GetParameterNames", &ask("Device.Hosts.Host.", "1"));
    assert!(answer.contains("<Name>Device.Hosts.Host.1.</Name><Writable>1</Writable>"), "{answer}"); // R192, R343
    assert_eq!(answer.matches("<Name>").count(), 1); // R186
    assert_eq!(code(&acs.call("GetParameterNames", &ask(INTERVAL, "true"))), 9003); // R188
    assert_eq!(code(&acs.call("GetParameterNames", &ask(INTERVAL, "false"))), 0);
    assert_eq!(code(&acs.call("GetParameterNames", &ask("Device.Nothing.", "false"))), 9005); // R189
    assert_eq!(code(&acs.call("GetParameterNames", &ask("", "maybe"))), 9003);
    let long = format!("Device.{}", "a".repeat(250));
    assert_eq!(code(&acs.call("GetParameterNames", &ask(&long, "false"))), 9003); // R184, R193
}

#[test]
fn a_set_is_atomic_and_tells_every_parameter_at_fault() {
    let mut acs = Scenario::past_inform();
    let answer = acs.call(
        "SetParameterValues",
        &values(
            &[
                (INTERVAL, "x:unsignedInt", "60"),
                ("Device.DeviceInfo.SerialNumber", "x:string", "x"),
                ("Device.Hosts.Host.9.Active", "x:boolean", "1"),
                ("Device.Hosts.Host.1.Active", "x:int", "1"),
                ("Device.Hosts.Host.1.Name", "x:string", "much too long"),
                ("Device.ManagementServer.URL", "x:string", "nowhere"),
            ],
            "new",
        ),
    );
    assert!(answer.contains("<faultstring>CWMP fault</faultstring>"));
    assert_eq!(code(&answer), 9003); // R165
    let expected = [
        ("Device.DeviceInfo.SerialNumber", 9008),
        ("Device.Hosts.Host.9.Active", 9005), // R167
        ("Device.Hosts.Host.1.Active", 9006),
        ("Device.Hosts.Host.1.Name", 9007),
        ("Device.ManagementServer.URL", 9007), // R335
    ];
    assert_eq!(parameter_faults(&answer), expected.map(|(name, code)| (name.to_owned(), code)));
    assert_eq!(acs.value(INTERVAL), "3600"); // R164
    assert_eq!(acs.value(KEY), ""); // R157
}

#[test]
fn a_set_holds_after_a_restart() {
    let mut acs = Scenario::past_inform();
    let list = [(INTERVAL, "x:unsignedInt", "60"), ("Device.Hosts.Host.1.Name", "", " a b ")];
    let answer = acs.call("SetParameterValues", &values(&list, "k1"));
    assert_eq!(answer, "<cwmp:SetParameterValuesResponse><Status>0</Status></cwmp:SetParameterValuesResponse>"); // R161, R169
    let (restarted, _) = device(&acs.journal.records());
    let value = |name: &str| restarted.tree().get(name).expect(name).to_string();
    assert_eq!(
        (value(INTERVAL), value("Device.Hosts.Host.1.Name"), value(KEY)),
        ("60".into(), " a b ".into(), "k1".into())
    ); // R171, R158
}

#[test]
fn what_cannot_be_stored_is_not_set() {
    let mut acs = Scenario::past_inform();
    acs.journal.fail(true);
    let answer = acs.call("SetParameterValues", &values(&[(INTERVAL, "", "60")], "k"));
    assert_eq!(code(&answer), 9002);
    assert_eq!((acs.value(INTERVAL), acs.value(KEY)), ("3600".into(), "".into()));
    acs.journal.fail(false);
    assert_eq!(code(&acs.call("SetParameterValues", &values(&[(INTERVAL, "", "60")], "k"))), 0);
}

#[test]
fn a_reboot_and_a_factory_reset_need_no_room() {
    let mut acs = Scenario::past_inform();
    acs.journal.fail(true);
    assert_eq!(code(&acs.call("Reboot", "<CommandKey>k</CommandKey>")), 0); // R223
    assert!(acs.device.state().reboot && acs.device.state().events.contains(&EventCode::MReboot));
    assert_eq!(code(&acs.call("FactoryReset", "")), 0); // R226
    assert_eq!(acs.device.state().reset, Reset::Requested);
}

#[test]
fn a_large_state_is_rewritten_as_several_records() {
    let mut acs = Scenario::past_inform();
    let policy = "Device.ManagementServer.AutonomousTransferCompletePolicy.";
    let names = [
        format!("{policy}TransferTypeFilter"),
        format!("{policy}ResultTypeFilter"),
        "Device.ManagementServer.Password".into(),
    ];
    let long = "\u{1}\"".repeat(30_000);
    for name in &names {
        let change = Change::Set(name.clone(), Value::Text(long.as_str().into()));
        acs.device.apply(vec![change], Author::Acs, NOW).expect("room");
    }
    let snapshot = acs.device.snapshot();
    assert_eq!(snapshot.len(), 4);
    let (restored, _) = device(&snapshot);
    for name in &names {
        assert_eq!(restored.tree().parameter(name).expect("a parameter").stored().to_string(), long, "{name}");
    }
    assert_eq!(restored.snapshot(), snapshot);
    // Without the last record, the identity is missing as well, which leads to 0 BOOTSTRAP.
    assert_eq!(device(&snapshot[..3]).0.state().identity, None);
}

#[test]
fn a_set_that_changes_nothing_writes_nothing() {
    let mut acs = Scenario::past_inform();
    acs.call("SetParameterValues", &values(&[(INTERVAL, "", "60")], "k"));
    let written = acs.journal.records().len();
    acs.call("SetParameterValues", &values(&[(INTERVAL, "", "60")], "k"));
    acs.call("GetParameterValues", &names(&[""]));
    acs.reply("");
    assert_eq!(acs.journal.records().len(), written);
}

#[test]
fn what_the_acs_has_set_outlives_another_default() {
    let mut acs = Scenario::past_inform();
    acs.call("SetParameterValues", &values(&[(INTERVAL, "", "3600")], "")); // the default of this firmware
    let records = acs.journal.records().join("\n");
    assert!(records.contains(&format!("[\"=\",\"{INTERVAL}\",\"3600\"]")), "{records}"); // R171
}

#[test]
fn a_parameter_twice_in_a_set_is_refused() {
    let mut acs = Scenario::past_inform();
    let answer = acs.call("SetParameterValues", &values(&[(INTERVAL, "", "60"), (INTERVAL, "", "61")], ""));
    assert_eq!((code(&answer), parameter_faults(&answer).len()), (9003, 0)); // R163
    assert_eq!(acs.value(INTERVAL), "3600");
}

#[test]
fn an_empty_set_sets_the_parameter_key() {
    let mut acs = Scenario::past_inform();
    assert_eq!(code(&acs.call("SetParameterValues", &values(&[], "only the key"))), 0); // R159
    assert_eq!(acs.value(KEY), "only the key");
    assert_eq!(code(&acs.call("SetParameterValues", &values(&[], &"k".repeat(33)))), 9003);
    assert_eq!(code(&acs.call("SetParameterValues", &values(&[], ""))), 0);
    assert_eq!(acs.value(KEY), "");
}

#[test]
fn a_hidden_parameter_is_set_and_reads_empty() {
    let mut acs = Scenario::past_inform();
    let name = "Device.ManagementServer.Password";
    assert_eq!(code(&acs.call("SetParameterValues", &values(&[(name, "x:string", "geheim")], ""))), 0); // R175
    let answer = acs.call("GetParameterValues", &names(&[name]));
    assert!(answer.contains("<Value xsi:type=\"xsd:string\"></Value>"), "{answer}");
    assert_eq!(acs.value(name), "geheim");
}

#[test]
fn another_acs_is_greeted_with_bootstrap_and_nothing_else() {
    let mut acs = Scenario::past_inform();
    acs.call("Reboot", "<CommandKey>r</CommandKey>");
    acs.call("SetParameterValues", &values(&[("Device.ManagementServer.URL", "", "https://other.example/")], "")); // R25
    let pending: Vec<_> = acs.device.state().events.pending().map(|event| event.code.to_string()).collect();
    assert_eq!(pending, ["0 BOOTSTRAP"]); // R139
}

/// R137: setting the current URL raises no BOOTSTRAP.
#[test]
fn the_same_acs_is_not_greeted_again() {
    let mut acs = Scenario::past_inform();
    let url = acs.value("Device.ManagementServer.URL");
    assert_eq!(code(&acs.call("SetParameterValues", &values(&[("Device.ManagementServer.URL", "", &url)], ""))), 0);
    assert_eq!(acs.device.state().events.pending().count(), 0);
}

const NUMBER: &str = "Device.Hosts.HostNumberOfEntries";

#[test]
fn each_reboot_that_is_asked_for_is_told() {
    let mut acs = Scenario::past_inform();
    acs.call("Reboot", "<CommandKey>a</CommandKey>");
    let answer = acs.call("Reboot", "<CommandKey></CommandKey>"); // R224
    assert_eq!(answer, "<cwmp:RebootResponse></cwmp:RebootResponse>"); // R223
    acs.call("Reboot", "<CommandKey> \u{e9}&lt;&amp;&#13; </CommandKey>");
    assert_eq!(code(&acs.call("Reboot", &format!("<CommandKey>{}</CommandKey>", "k".repeat(33)))), 9003);
    let (restarted, _) = device(&acs.journal.records());
    assert!(restarted.state().reboot);
    let told: Vec<_> =
        restarted.state().events.pending().map(|e| (e.code.to_string(), e.command_key.clone())).collect();
    let keys = ["a", "", " \u{e9}<&\r "]; // R160
    assert_eq!(told, keys.map(|key| ("M Reboot".to_owned(), key.to_owned())));
}

/// R122, R224: a reboot that waits for the clean end of a session is not reported by the retry.
#[test]
fn a_reboot_is_told_when_it_has_taken_place() {
    let mut acs = Scenario::past_inform();
    acs.call("Reboot", "<CommandKey>a</CommandKey>");
    let inform = |records: &[String], has_rebooted: bool| {
        let (mut device, journal) = device(records);
        if has_rebooted {
            device.state_mut().reboot = false;
        }
        Scenario::start(device, journal, crate::cwmp::version::ALL).posted()
    };
    let records = acs.journal.records();
    assert!(!inform(&records, false).contains("M Reboot"));
    let told = "<EventCode>M Reboot</EventCode><CommandKey>a</CommandKey>";
    assert!(inform(&records, true).contains(told));
}

#[test]
fn informs_are_scheduled_and_kept() {
    let mut acs = Scenario::past_inform();
    let ask = |delay: &str, key: &str| format!("<DelaySeconds>{delay}</DelaySeconds><CommandKey>{key}</CommandKey>");
    assert_eq!(code(&acs.call("ScheduleInform", &ask("0", "k"))), 9003); // R154
    assert_eq!(code(&acs.call("ScheduleInform", &ask("-1", "k"))), 9003);
    for key in ["a", "b", "c"] {
        assert_eq!(code(&acs.call("ScheduleInform", &ask("60", key))), 0); // R155
    }
    assert_eq!(code(&acs.call("ScheduleInform", &ask("120", "a"))), 0);
    let (restarted, _) = device(&acs.journal.records());
    assert_eq!(restarted.state().scheduled_informs.len(), 3);
}

#[test]
fn what_the_device_cannot_do_is_not_listed() {
    let mut acs = Scenario::past_inform();
    let answer = acs.call("GetRPCMethods", "");
    assert!(answer.contains("<string>FactoryReset</string>")); // R3
    let required = "GetRPCMethods SetParameterValues GetParameterValues GetParameterNames SetParameterAttributes \
                    GetParameterAttributes AddObject DeleteObject Reboot";
    for method in required.split_ascii_whitespace() {
        assert!(answer.contains(&format!("<string>{method}</string>")), "{method} in {answer}"); // R1
    }
    let (device, journal) = device_with(&MODEL.replace(r#", "factoryReset": ["true"]"#, ""), &[]);
    let mut acs = Scenario::start(device, journal, crate::cwmp::version::ALL);
    acs.reply(&inform_response(""));
    let answer = acs.call("GetRPCMethods", "");
    assert!(answer.contains("<string>Reboot</string>") && !answer.contains("FactoryReset"), "{answer}"); // R5
    assert_eq!(code(&acs.call("FactoryReset", "")), 9000);
}

/// R348: an ACS of an older version does not know the method.
#[test]
fn software_modules_need_version_1_2() {
    for (offered, code_of_answer) in [(crate::cwmp::version::OLDEST, 9000), (crate::cwmp::version::ALL, 9001)] {
        let with_action = r#", "software": { "run": ["true"] }, "factoryReset": ["true"]"#;
        let (device, journal) = device_with(&MODEL.replace(r#", "factoryReset": ["true"]"#, with_action), &[]);
        let mut acs = Scenario::start(device, journal, offered);
        acs.reply(&inform_response(""));
        let answer = acs.call("GetRPCMethods", "");
        assert_eq!(answer.contains("ChangeDUState"), code_of_answer != 9000, "{answer}");
        assert_eq!(code(&acs.call("ChangeDUState", "")), code_of_answer);
    }
}

#[test]
fn the_acs_chooses_parameters_for_the_inform() {
    let mut acs = Scenario::past_inform();
    let entry = "Device.ManagementServer.InformParameter.1.";
    acs.call("AddObject", &object("Device.ManagementServer.InformParameter.", ""));
    let set = |acs: &mut Scenario, name: &str, value: &str| {
        let answer = acs.call("SetParameterValues", &values(&[(&format!("{entry}{name}"), "", value)], ""));
        parameter_faults(&answer).first().map_or(0, |(_, code)| *code)
    };
    assert_eq!(set(&mut acs, "ParameterName", KEY), 9007); // R108: in every Inform already
    assert_eq!(set(&mut acs, "ParameterName", "Device.Hosts."), 9007);
    assert_eq!(set(&mut acs, "EventList", "4 VALUE CHANGE"), 9007);
    assert_eq!(set(&mut acs, "EventList", "99 NOTHING"), 9007);
    assert_eq!(set(&mut acs, "ParameterName", "Device.Hosts.Host.*.Name"), 0);
    assert_eq!(set(&mut acs, "EventList", "1 BOOT, 2 PERIODIC"), 0);
    assert_eq!(set(&mut acs, "Enable", "1"), 0);
    let inform = |event: &str| {
        let (mut device, journal) = device(&acs.journal.records());
        device.state_mut().events.raise(crate::cwmp::event::EventCode::parse(event).expect("a code"));
        Scenario::start(device, journal, crate::cwmp::version::ALL).posted()
    };
    assert!(inform("1 BOOT").contains("<Name>Device.Hosts.Host.1.Name</Name>"));
    assert!(!inform("0 BOOTSTRAP").contains("<Name>Device.Hosts.Host.1.Name</Name>"));
    assert!(!inform("4 VALUE CHANGE").contains("<Name>Device.Hosts.Host.1.Name</Name>")); // R102
}
