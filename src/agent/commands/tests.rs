use super::*;
use crate::control::{GetForm, GetRequest};
use crate::cwmp::testing::{MemoryJournal, NOW, device};
use crate::model::attributes::{Attributes, Notification};
use crate::secret::Secret;

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn assign(device: &mut Device, list: &[(&str, &str)]) -> Result<bool, String> {
    let list: Vec<(String, Secret)> = list.iter().map(|&(n, v)| (n.to_owned(), v.into())).collect();
    set(device, &SetRequest { assignments: list, is_printed: false }, NOW).map(|done| {
        assert_eq!(done.output, "");
        done.notify
    })
}

/// The output of `get` without options.
fn get(device: &Device, paths: &[String]) -> CommandResult {
    super::get::get(device, &GetRequest { paths: paths.to_vec(), ..GetRequest::default() })
}

/// The output of `get` in a form, with hidden values.
fn get_secrets(device: &Device, paths: &[&str], form: GetForm) -> CommandResult {
    super::get::get(device, &GetRequest { paths: texts(paths), form, secret: true })
}

/// Sets the attributes of a parameter as the ACS does.
fn attributes(device: &mut Device, name: &str, notification: Notification, subscriber: bool) {
    let change = Change::Attributes(name.into(), Attributes { notification, subscriber });
    device.apply(vec![change], Author::Acs, NOW).expect("stored");
}

fn pending(device: &Device) -> Vec<String> {
    device.state().events.pending().map(|event| event.code.to_string()).collect()
}

fn value(device: &Device, name: &str) -> String {
    device.tree().get(name).expect(name).to_string()
}

const NAME: &str = "Device.Hosts.Host.1.Name";
const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";

#[test]
fn get_gives_a_line_each_and_no_secret() {
    let (device, _) = device(&[]);
    let hosts =
        "Device.Hosts.HostNumberOfEntries=1\nDevice.Hosts.Host.1.Active=false\nDevice.Hosts.Host.1.Name=<&\">\n";
    assert_eq!(get(&device, &texts(&["Device.Hosts."])).as_deref(), Ok(hosts));
    let two = get(&device, &texts(&[INTERVAL, "Device.DeviceInfo.ProductClass"]));
    let expected = "Device.ManagementServer.PeriodicInformInterval=3600\nDevice.DeviceInfo.ProductClass=Home-Gateway\n";
    assert_eq!(two.as_deref(), Ok(expected));
    let all = get(&device, &texts(&[""])).expect("the whole tree");
    assert!(all.contains("Device.ManagementServer.Password=\n"), "{all}");
    assert!(!all.contains("secret"), "{all}");
}

#[test]
fn get_refuses_what_is_not_there_by_its_name() {
    let (device, _) = device(&[]);
    for (path, reason) in [
        ("Device.Nothing", "Device.Nothing: no such parameter or object"),
        ("Device.Nothing.", "Device.Nothing.: no such parameter or object"),
        (
            "Device.ManagementServr.URL",
            "Device.ManagementServr.URL: no such parameter or object; did you mean `Device.ManagementServer.`?",
        ),
        (
            "Device.DeviceInfo.ProductClas",
            "Device.DeviceInfo.ProductClas: no such parameter or object; did you mean `Device.DeviceInfo.ProductClass`?",
        ),
        ("Device.Hosts.Host.9.Name", "Device.Hosts.Host.9.Name: no such parameter or object"),
        ("Devic.X", "Devic.X: no such parameter or object"),
        ("Device.Hosts", "Device.Hosts: an object is named with a dot at its end"),
        ("Device.Hosts.Host.1", "Device.Hosts.Host.1: an object is named with a dot at its end"),
        ("Device..", "Device..: the name is not well formed"),
        ("Device.Hosts.Host.*.Name", "Device.Hosts.Host.*.Name: an instance wildcard is not accepted here"),
    ] {
        assert_eq!(get(&device, &texts(&[INTERVAL, path])), Err(reason.to_owned()));
    }
}

#[test]
fn get_keeps_a_value_on_its_line() {
    let (mut device, _) = device(&[]);
    assign(&mut device, &[(NAME, "a\nb\\c\u{1b}")]).expect("set");
    assert_eq!(get(&device, &texts(&[NAME])), Ok(format!("{NAME}=a\\nb\\\\c\\u{{1b}}\n")));
}

#[test]
fn get_gives_json_values_and_secrets() {
    let (mut device, _) = device(&[]);
    let password = "Device.ManagementServer.Password";
    assign(&mut device, &[(NAME, "a\nb\\\""), (password, "secret")]).expect("set");
    let json =
        "{\n  \"Device.Hosts.Host.1.Active\": \"false\",\n  \"Device.Hosts.Host.1.Name\": \"a\\nb\\\\\\\"\"\n}\n";
    assert_eq!(get_secrets(&device, &["Device.Hosts.Host."], GetForm::Json).as_deref(), Ok(json));
    assert_eq!(get_secrets(&device, &[NAME], GetForm::Value).as_deref(), Ok("a\nb\\\"\n"));
    assert_eq!(get_secrets(&device, &[password], GetForm::Value).as_deref(), Ok("secret\n"));
    assert_eq!(get_secrets(&device, &[password], GetForm::Lines), Ok(format!("{password}=secret\n")));
    let two = get_secrets(&device, &[NAME, password], GetForm::Value);
    assert_eq!(two, Err("--value needs one parameter, and the paths name 2".into()));
}

#[test]
fn get_has_an_end() {
    let (device, _) = device(&[]);
    let reason = get(&device, &vec![String::new(); 100_000]).expect_err("too much");
    assert_eq!(reason, "the answer would be longer than 4 MiB; ask for less at once");
}

#[test]
fn set_is_all_or_nothing() {
    let (mut device, journal) = device(&[]);
    let refused = assign(&mut device, &[(NAME, "new"), (INTERVAL, "0"), ("Device.DeviceInfo.UpTime", "1"), ("x", "1")]);
    let reasons = refused.expect_err("refused");
    let reasons: Vec<&str> = reasons.lines().collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons[0].starts_with(INTERVAL), "{reasons:?}");
    assert_eq!(reasons[1], "Device.DeviceInfo.UpTime: the parameter is read-only");
    assert_eq!(reasons[2], "x: no such parameter or object");
    assert_eq!((value(&device, NAME).as_str(), journal.records().len()), ("<&\">", 0));
    assert_eq!(assign(&mut device, &[(NAME, "new"), (INTERVAL, "60")]), Ok(false));
    assert_eq!((value(&device, NAME).as_str(), value(&device, INTERVAL).as_str()), ("new", "60"));
    assert_eq!(journal.records().len(), 1);
    let twice = assign(&mut device, &[(NAME, "a"), (NAME, "b")]);
    assert_eq!(twice, Err(format!("{NAME}: it is in the list more than once")));
    let many: Vec<(String, Secret)> = (0..100).map(|n| (format!("Device.X{n}"), Secret::default())).collect();
    let reasons = set(&mut device, &SetRequest { assignments: many, is_printed: false }, NOW).expect_err("refused");
    assert_eq!((reasons.lines().count(), reasons.lines().last()), (21, Some("and 80 more")));
}

fn assign_printed(device: &mut Device, list: &[(&str, &str)]) -> Result<String, String> {
    let assignments = list.iter().map(|&(n, v)| (n.to_owned(), v.into())).collect();
    set(device, &SetRequest { assignments, is_printed: true }, NOW).map(|done| done.output)
}

/// What `get` prints changes nothing, also in a parameter that is read-only or reserved for the ACS.
#[test]
fn printed_values_that_are_there_are_no_change() {
    let (mut device, journal) = device(&[]);
    attributes(&mut device, NAME, Notification::Off, false);
    let (records, uptime) = (journal.records().len(), "Device.DeviceInfo.UpTime");
    for secret in [false, true] {
        let request = GetRequest { paths: texts(&["", INTERVAL]), secret, ..GetRequest::default() };
        let all = super::get::get(&device, &request).expect("the tree");
        let lines: Vec<(&str, &str)> = all.lines().map(|line| line.split_once('=').expect("a value")).collect();
        assert_eq!(assign_printed(&mut device, &lines), Ok(String::new()));
    }
    assert_eq!(journal.records().len(), records);
    // A value that the device has changed since is no mistake of the operator.
    let done = assign_printed(&mut device, &[(uptime, "77"), (INTERVAL, "60")]);
    let told = "Device.DeviceInfo.UpTime: read-only, and stays as it is\n";
    assert_eq!((done.as_deref(), value(&device, INTERVAL).as_str()), (Ok(told), "60"));
    for (name, text, reason) in [
        (NAME, "x", "its access list reserves it for the ACS"),
        ("Device.Hosts.Host.9.Name", "x", "no such parameter or object"),
        (INTERVAL, "x", "not a valid unsignedInt"),
    ] {
        let refused = assign_printed(&mut device, &[(name, text), (INTERVAL, "90")]).expect_err(name);
        assert!(refused.contains(reason), "{refused}");
        assert_eq!(value(&device, INTERVAL), "60");
    }
}

#[test]
fn set_follows_the_rules_of_the_standard() {
    let (mut device, _) = device(&[]);
    let refused = assign(&mut device, &[("Device.ManagementServer.URL", "ftp://acs.example/")]);
    let reason = "Device.ManagementServer.URL: an absolute http or https URL is needed";
    assert_eq!(refused, Err(reason.to_owned()));
    // R25
    assert_eq!(assign(&mut device, &[("Device.ManagementServer.URL", "http://other.example/")]), Ok(false));
    assert_eq!(pending(&device), ["0 BOOTSTRAP"]);
}

/// R101, R204 and the commit of all of it.
#[test]
fn set_is_that_of_a_subscriber() {
    let (mut device, _) = device(&[]);
    assert_eq!(assign(&mut device, &[("Device.DeviceInfo.ProvisioningCode", "a")]), Ok(true));
    assert_eq!(pending(&device), ["4 VALUE CHANGE"]);
    assert!(device.state().changed.contains("Device.DeviceInfo.ProvisioningCode"));
    assert_eq!(assign(&mut device, &[("Device.DeviceInfo.ProvisioningCode", "a")]), Ok(false), "nothing has changed");
    attributes(&mut device, NAME, Notification::Passive, true);
    assert_eq!(assign(&mut device, &[(NAME, "b")]), Ok(false));
    assert!(device.state().changed.contains(NAME));
    attributes(&mut device, NAME, Notification::Off, false);
    let refused = assign(&mut device, &[(INTERVAL, "60"), (NAME, "c")]);
    assert_eq!(refused, Err(format!("{NAME}: its access list reserves it for the ACS")));
    assert_eq!((value(&device, NAME).as_str(), value(&device, INTERVAL).as_str()), ("b", "3600"));
    let kept = device.tree().parameter(NAME).expect("a parameter").attributes();
    assert_eq!(kept, Attributes { notification: Notification::Off, subscriber: false }); // R205
}

#[test]
fn instances_come_and_go() {
    let (mut device, _) = device(&[]);
    let done = LocalChange { output: "2\n".into(), notify: false };
    assert_eq!(add(&mut device, "Device.Hosts.Host.", NOW), Ok(done));
    assert_eq!(value(&device, "Device.Hosts.HostNumberOfEntries"), "2");
    for (path, reason) in [
        ("Device.Hosts.Host", "Device.Hosts.Host: an object is named with a dot at its end"),
        ("Device.Hosts.", "Device.Hosts.: no instance can be added here"),
        ("Device.Nothing.", "Device.Nothing.: no such parameter or object"),
        ("", "no instance can be added here"),
    ] {
        assert_eq!(add(&mut device, path, NOW), Err(reason.to_owned()), "{path}");
    }
    for (path, reason) in [
        ("Device.Hosts.Host.1", "Device.Hosts.Host.1: an object is named with a dot at its end"),
        ("Device.Hosts.Host.", "Device.Hosts.Host.: this is no instance that can be deleted"),
        ("Device.Hosts.Host.9.", "Device.Hosts.Host.9.: no such parameter or object"),
    ] {
        assert_eq!(delete(&mut device, path, NOW).map(|_| ()), Err(reason.to_owned()), "{path}");
    }
    assert!(delete(&mut device, "Device.Hosts.Host.2.", NOW).is_ok());
    assert_eq!(value(&device, "Device.Hosts.HostNumberOfEntries"), "1");
    assert_eq!(add(&mut device, "Device.Hosts.Host.", NOW).map(|done| done.output).as_deref(), Ok("3\n")); // R218
}

/// R204: creation is not blocked, deletion is.
#[test]
fn an_object_with_a_reserved_parameter_stays() {
    let (mut device, _) = device(&[]);
    attributes(&mut device, NAME, Notification::Off, false);
    assert!(add(&mut device, "Device.Hosts.Host.", NOW).is_ok());
    let refused = delete(&mut device, "Device.Hosts.Host.1.", NOW).map(|_| ());
    assert_eq!(refused, Err(format!("{NAME}: its access list reserves it for the ACS")));
    assert!(delete(&mut device, "Device.Hosts.Host.2.", NOW).is_ok());
}

#[test]
fn what_cannot_be_stored_is_not_done() {
    let (mut device, journal) = device(&[]);
    let failing = |journal: &MemoryJournal| journal.fail(true);
    failing(&journal);
    let reason = "cannot store the state: disk full".to_owned();
    assert_eq!(assign(&mut device, &[(NAME, "new")]), Err(reason.clone()));
    assert_eq!(add(&mut device, "Device.Hosts.Host.", NOW), Err(reason.clone()));
    assert_eq!(delete(&mut device, "Device.Hosts.Host.1.", NOW), Err(reason));
    assert_eq!(value(&device, NAME), "<&\">");
}

#[test]
fn events_that_only_the_inform_tells_may_be_asked_for() {
    for code in [
        "0 BOOTSTRAP",
        "1 BOOT",
        "2 PERIODIC",
        "3 SCHEDULED",
        "6 CONNECTION REQUEST",
        "8 DIAGNOSTICS COMPLETE",
        "13 WAKEUP",
        "14 HEARTBEAT",
        "X 00D09E My event",
    ] {
        assert_eq!(event_code(code).map(|code| code.to_string()).as_deref(), Ok(code));
    }
    for code in [
        "4 VALUE CHANGE",
        "5 KICKED",
        "7 TRANSFER COMPLETE",
        "9 REQUEST DOWNLOAD",
        "10 AUTONOMOUS TRANSFER COMPLETE",
        "11 DU STATE CHANGE COMPLETE",
        "12 AUTONOMOUS DU STATE CHANGE COMPLETE",
        "M Reboot",
        "M ScheduleInform",
        "M Download",
        "M Upload",
        "M X_00D09E_Method",
        "2 periodic",
        "2",
        "",
        "15 NOTHING",
    ] {
        assert!(event_code(code).is_err(), "{code}");
    }
}
