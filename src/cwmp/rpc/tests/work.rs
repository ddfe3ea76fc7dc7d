//! The bound on the work of a request, and the time of the largest one.

use super::*;
use crate::cwmp::version;
use crate::model::path::Path;
use crate::model::tree::Work;

/// R216: each request has a bound on its work, and ends early when the agent stops.
#[test]
fn the_work_of_each_request_is_bounded() {
    // 600 patterns that each match 500 parameters.
    let pattern = "Device.T.*.P";
    let entries: String =
        (1..=600).map(|n| format!(r#", "{n}": {{ "Enable": "true", "ParameterName": "{pattern}" }}"#)).collect();
    let instances: String = (1..=500).map(|n| format!(r#", "{n}": {{}}"#)).collect();
    let table = format!(r#""T": {{ "{{i}}": {{ "P": {{ "type": "string" }} }} {instances} }}, "Hosts": {{"#);
    let list = r#""list": true } }"#;
    let model = MODEL.replacen(list, &format!("{list} {entries}"), 1);
    let (device, journal) = device_with(&model.replacen(r#""Hosts": {"#, &table, 1), &[]);
    let mut acs = Scenario::start(device, journal, version::ALL);
    assert!(acs.posted().contains("<Name>Device.T.500.P</Name>"), "an Inform goes out nevertheless");
    acs.reply(&inform_response(""));
    let names: Vec<_> =
        (1..=600).map(|n| format!("Device.ManagementServer.InformParameter.{n}.ParameterName")).collect();
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), "", pattern)).collect();
    assert_eq!(code(&acs.call("SetParameterValues", &values(&all[..400], ""))), 0);
    let records = acs.journal.records().len();
    assert_eq!(code(&acs.call("SetParameterValues", &values(&all, ""))), 9004);
    assert_eq!(acs.journal.records().len(), records);
    let small = [
        ("GetParameterNames", "<ParameterPath>Device.Hosts.</ParameterPath><NextLevel>1</NextLevel>".to_owned()),
        ("AddObject", object("Device.Hosts.Host.", "")),
        ("DeleteObject", object("Device.Hosts.Host.2.", "")),
        ("SetParameterValues", values(&[(INTERVAL, "", "60")], "")),
        ("SetParameterAttributes", attributes(&[("Device.Hosts.", Some("1"), None)])),
    ];
    for (method, arguments) in &small {
        assert_eq!(code(&acs.call(method, arguments)), 0, "{method}");
    }
    let records = acs.journal.records().len();
    acs.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for (method, arguments) in &small {
        assert_eq!(code(&acs.call(method, arguments)), 9002, "{method}");
    }
    // The flag may be set after the checks of a request, too.
    acs.device.bound_work(Work::bounded(1000, acs.stop.clone()));
    let change = Change::Set(INTERVAL.into(), Type::UnsignedInt.parse("61").expect("a number"));
    assert!(acs.device.apply(vec![change], Author::Acs, NOW).is_err());
    assert_eq!((acs.value(INTERVAL), acs.journal.records().len()), ("60".into(), records));
}

/// The largest request on the largest model: 5,000 entries that each cover 11,255 parameters, and a change of all of them.
/// `cargo test --release --lib full_size -- --nocapture` shows the time.
#[test]
#[expect(clippy::disallowed_methods, reason = "measures the time of a request")]
fn set_parameter_attributes_at_full_size() {
    let columns: String = (0..45).map(|n| format!(r#""P{n}": {{ "type": "string" }},"#)).collect();
    let instances: String = (1..=250).map(|n| format!(r#","{n}": {{}}"#)).collect();
    let model = MODEL.replacen(
        r#""Hosts": {"#,
        &format!(
            r#""Large": {{ "T": {{ "{{i}}": {{ {} }} {instances} }} }}, "Hosts": {{"#,
            columns.trim_end_matches(',')
        ),
        1,
    );
    let (device, journal) = device_with(&model, &[]);
    let mut acs = Scenario::start(device, journal, version::ALL);
    acs.reply(&inform_response(""));
    let entry = |n: usize| {
        format!(
            "<SetParameterAttributesStruct><Name>Device.</Name><NotificationChange>1</NotificationChange>\
             <Notification>{}</Notification><AccessListChange>0</AccessListChange><AccessList/>\
             </SetParameterAttributesStruct>",
            n % 2 // the last entry, which wins, is 1
        )
    };
    let list: String = (0..5000).map(entry).collect();
    let began = std::time::Instant::now();
    let answer = acs.call("SetParameterAttributes", &format!("<ParameterList>{list}</ParameterList>"));
    println!("SetParameterAttributes: {:?}", began.elapsed());
    assert_eq!(code(&answer), 0, "{answer}");
    let mut passive = 0;
    let whole = Path::parse("Device.").unwrap();
    let visited = acs.device.tree().visit_values(&whole, &mut |parameter| {
        passive += usize::from(parameter.attributes().notification as u8 == 1);
    });
    visited.unwrap();
    assert!(passive >= 11_255, "{passive}");
}

/// R183, R193, R211: no response exceeds its limit, not even that to a single path.
#[test]
fn the_size_of_each_response_is_bounded() {
    let name = "N".repeat(180);
    let instances: String = (1..=36_000).map(|n| format!(r#", "{n}": {{}}"#)).collect();
    let table = format!(r#""{name}": {{ "{{i}}": {{ "P": {{ "type": "string" }} }} {instances} }}, "Hosts": {{"#);
    let (device, journal) = device_with(&MODEL.replacen(r#""Hosts": {"#, &table, 1), &[]);
    let mut acs = Scenario::start(device, journal, version::ALL);
    acs.reply(&inform_response(""));
    for (method, arguments) in [
        ("GetParameterNames", "<ParameterPath>Device.</ParameterPath><NextLevel>0</NextLevel>".to_owned()),
        ("GetParameterValues", names(&["Device."])),
        ("GetParameterAttributes", names(&["Device."])),
    ] {
        let answer = acs.call(method, &arguments);
        assert!(answer.len() < 1000 && answer.contains("larger than 8 MiB"), "{method}: {} bytes", answer.len());
        assert_eq!(code(&answer), 9004, "{method}");
    }
}

/// R317: the search for aliases counts as work, since each name of a request may be one by alias in a large table.
#[test]
fn the_search_for_aliases_is_bounded() {
    let instances: String = (1..=4000).map(|n| format!(r#", "{n}": {{}}"#)).collect();
    let parameters =
        r#""Alias": { "type": "string", "access": "readWrite" }, "P": { "type": "string", "access": "readWrite" }"#;
    let table = format!(r#""T": {{ "{{i}}": {{ {parameters} }} {instances} }}, "Hosts": {{"#);
    let flag = r#""ManagementServer": { "AliasBasedAddressing": { "type": "boolean", "value": "true" },"#;
    let model = MODEL.replacen(r#""ManagementServer": {"#, flag, 1).replacen(r#""Hosts": {"#, &table, 1);
    let (device, journal) = device_with(&model, &[]);
    let mut acs = Scenario::start(device, journal, version::ALL);
    acs.reply(&inform_response(""));
    let wanted: Vec<String> = (1..=4000).map(|n| format!("Device.T.[cpe-{n}].P")).collect();
    for (count, expected) in [(200, 0), (4000, 9004)] {
        let few: Vec<&str> = wanted[..count].iter().map(String::as_str).collect();
        let answer = acs.call("GetParameterValues", &names(&few));
        assert_eq!(code(&answer), expected, "{count}");
        let few: Vec<_> = few.iter().map(|name| (*name, "", "v")).collect();
        assert_eq!(code(&acs.call("SetParameterValues", &values(&few, ""))), expected, "{count}");
    }
}
