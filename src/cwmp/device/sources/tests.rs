use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::*;
use crate::cwmp::event::EventCode;
use crate::cwmp::testing::{MemoryJournal, NOW, device_with};
use crate::model::source::{Row, Target};

/// A gateway with interfaces and a serial number in a file.
const MODEL: &str = r#"{ "Device": {
    "DeviceInfo": {
      "Manufacturer": { "type": "string", "value": "Example" },
      "ManufacturerOUI": { "type": "string", "value": "00D09E" },
      "ProductClass": { "type": "string", "value": "Gateway" },
      "SerialNumber": { "type": "string", "value": "0", "source": { "file": "/serial" } },
      "UpTime": { "type": "unsignedInt", "source": { "file": "/uptime" } } },
    "ManagementServer": { "URL": { "type": "string", "access": "readWrite", "value": "http://acs.example/" } },
    "Count": { "type": "unsignedInt", "inform": true, "counts": "Interface" },
    "Interface": { "source": { "builtin": "link" },
      "{i}": { "Status": { "type": "string", "enum": ["Up", "Down"], "inform": true, "source": "status" } } } } }"#;

/// A device that tests change, and the questions that it was asked.
#[derive(Clone, Default)]
struct World(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    links: Vec<(String, String)>,
    files: BTreeMap<String, String>,
    fails: bool,
    asked: usize,
}

impl Sources for World {
    fn begin(&mut self) {}

    fn ask(&mut self, queries: &[Query]) -> Vec<Response> {
        let mut state = self.0.borrow_mut();
        state.asked += queries.len();
        let answer = |query: &Query| match &query.target {
            _ if state.fails => Err("no answer".to_owned()),
            Target::File { path, .. } => {
                state.files.get(path).map(|text| Answer::Text(text.clone())).ok_or("no such file".to_owned())
            }
            _ => Ok(Answer::Rows(state.links.iter().map(|(name, status)| link(name, status)).collect())),
        };
        queries.iter().map(|query| Response { answer: answer(query), took: Duration::ZERO }).collect()
    }
}

fn link(name: &str, status: &str) -> Row {
    let mut row = Row::new(name);
    row.set("status", status);
    row.set("name", name);
    row
}

impl World {
    fn set_links(&self, links: &[(&str, &str)]) {
        self.0.borrow_mut().links = links.iter().map(|(name, status)| ((*name).into(), (*status).into())).collect();
    }

    fn set_file(&self, path: &str, text: &str) {
        self.0.borrow_mut().files.insert(path.into(), text.into());
    }

    fn set_fails(&self, fails: bool) {
        self.0.borrow_mut().fails = fails;
    }

    /// Starts a device in this world from the records of a journal.
    fn device(&self, records: &[String]) -> (Device, MemoryJournal) {
        let (mut device, journal) = device_with(MODEL, records);
        device.set_sources(Box::new(self.clone()));
        (device, journal)
    }

    /// Counts the questions that a request asks.
    fn asked(&self, request: impl FnOnce()) -> usize {
        let before = self.0.borrow().asked;
        request();
        self.0.borrow().asked - before
    }
}

fn refresh(device: &mut Device, now: Now) {
    device.refresh(&Wanted::values(vec!["Device.".into()]), now);
}

fn value(device: &Device, name: &str) -> String {
    device.tree().get(name).map_or_else(|| "absent".into(), |value| value.to_string())
}

fn later(seconds: u64) -> Now {
    Now { monotonic: NOW.monotonic + Duration::from_secs(seconds), ..NOW }
}

#[test]
fn a_start_after_a_restart_finds_the_same_instances() {
    let world = World::default();
    world.set_links(&[("eth0", "Up"), ("eth1", "Down")]);
    let (mut device, journal) = world.device(&[]);
    refresh(&mut device, NOW);
    assert_eq!(value(&device, "Device.Interface.2.Status"), "Down");
    assert_eq!(journal.records().len(), 1, "one record for all instances");
    refresh(&mut device, NOW);
    assert_eq!(journal.records().len(), 1, "nothing is written where nothing changed");
    // The order of the device is another one now, and one interface is new.
    world.set_links(&[("usb0", "Up"), ("eth1", "Up"), ("eth0", "Down")]);
    let (mut device, _) = world.device(&journal.records());
    refresh(&mut device, NOW);
    assert_eq!(value(&device, "Device.Interface.1.Status"), "Down");
    assert_eq!(value(&device, "Device.Interface.2.Status"), "Up");
    assert_eq!(value(&device, "Device.Interface.3.Status"), "Up");
}

#[test]
fn instances_that_the_journal_refuses_are_left_out() {
    let world = World::default();
    world.set_links(&[("eth0", "Up")]);
    let (mut device, journal) = world.device(&[]);
    refresh(&mut device, NOW);
    world.set_links(&[("eth0", "Down"), ("eth1", "Up")]);
    journal.fail(true);
    refresh(&mut device, NOW);
    // The number of the new instance would not survive a power cut (R218); the others have their values.
    assert_eq!(value(&device, "Device.Count"), "1");
    assert_eq!(value(&device, "Device.Interface.1.Status"), "Down");
    journal.fail(false);
    refresh(&mut device, NOW);
    assert_eq!(value(&device, "Device.Count"), "2");
}

/// Starts a device with two files in this world, of which the model tells the age and whether a failure counts.
fn device_with_files(world: &World, first: &str, second: &str) -> Device {
    let file =
        |path: &str, members: &str| format!(r#"{{ "type": "string", "source": {{ "file": "{path}", {members} }} }}"#);
    let model = MODEL.replacen(
        r#""Count""#,
        &format!(r#""A": {}, "B": {}, "Count""#, file("/a", first), file("/b", second)),
        1,
    );
    let (mut device, _) = device_with(&model, &[]);
    device.set_sources(Box::new(world.clone()));
    device
}

/// An answer serves later requests for as long as the model says, and not those who look for its way.
#[test]
fn an_answer_may_serve_later_requests() {
    let world = World::default();
    world.set_file("/a", "1");
    world.set_file("/b", "1");
    let mut device = device_with_files(&world, r#""age": 10"#, r#""age": 0"#);
    let wanted = Wanted::values(vec!["Device.A".into(), "Device.B".into()]);
    let read = |device: &mut Device, now: Now| {
        let asked = world.asked(|| drop(device.refresh(&wanted, now)));
        (asked, value(device, "Device.A"), value(device, "Device.B"))
    };
    let texts = |asked: usize, first: &str, second: &str| (asked, first.to_owned(), second.to_owned());
    assert_eq!(read(&mut device, NOW), texts(2, "1", "1"));
    world.set_file("/a", "2");
    world.set_file("/b", "2");
    assert_eq!(read(&mut device, later(9)), texts(1, "1", "2"));
    assert_eq!(read(&mut device, later(10)), texts(2, "2", "2"));
    // A failure serves no other request.
    world.set_fails(true);
    assert_eq!(read(&mut device, later(20)).0, 2);
    world.set_fails(false);
    world.set_file("/a", "3");
    assert_eq!(read(&mut device, later(21)), texts(2, "3", "2"));
    world.set_file("/a", "4");
    assert_eq!(world.asked(|| drop(device.explain(&wanted, later(22)))), 2);
    assert_eq!(value(&device, "Device.A"), "4");
    // What is too large for the memory is asked for anew.
    world.set_file("/a", &"x".repeat(MAX_KEPT_SIZE + 1));
    assert_eq!(read(&mut device, later(40)).0, 2);
    assert_eq!(read(&mut device, later(41)).0, 2);
}

/// R334: the log and `status` have no part of a password, whatever is wrong with it.
#[test]
fn the_text_of_a_hidden_parameter_is_not_told() {
    let world = World::default();
    world.set_file("/a", "secret 1");
    world.set_file("/b", "secret 2");
    let parameter = |path: &str, hidden: bool| {
        format!(r#"{{ "type": "string", "hidden": {hidden}, "source": {{ "file": "{path}", "as": "mac" }} }}"#)
    };
    let model = format!(r#""A": {}, "B": {}, "Count""#, parameter("/a", true), parameter("/b", false));
    let (mut device, _) = device_with(&MODEL.replacen(r#""Count""#, &model, 1), &[]);
    device.set_sources(Box::new(world.clone()));
    device.refresh(&Wanted::values(vec!["Device.A".into(), "Device.B".into()]), NOW);
    let unfit: Vec<(&str, &str)> = device.unfit_values().collect();
    let other = "`secret 2` has another form than the model says";
    assert_eq!(unfit, [("Device.A", "its text is no value"), ("Device.B", other)]);
}

#[test]
fn a_failure_counts_where_the_model_says_so() {
    let world = World::default();
    world.set_file("/a", "1");
    let mut device = device_with_files(&world, r#""fault": true"#, r#""fault": false"#);
    let read = |device: &mut Device, names: &[&str]| {
        device.refresh(&Wanted::values(names.iter().map(|name| (*name).to_owned()).collect()), NOW)
    };
    assert_eq!(read(&mut device, &["Device.A", "Device.B"]), None);
    world.set_fails(true);
    assert_eq!(read(&mut device, &["Device.B"]), None);
    assert_eq!(read(&mut device, &["Device.A"]), Some("file /a: no answer".to_owned()));
    assert_eq!(value(&device, "Device.A"), "1", "other requests have the last value");
    // A source that rests has failed as well.
    assert_eq!(read(&mut device, &["Device."]), Some("file /a: no answer".to_owned()));
    assert_eq!(read(&mut device, &["Device."]), Some("file /a: no answer".to_owned()));
}

#[test]
fn a_failing_source_keeps_its_values_and_rests() {
    let world = World::default();
    world.set_links(&[("eth0", "Up")]);
    world.set_file("/serial", "4711\n");
    world.set_file("/uptime", "10");
    let (mut device, _) = world.device(&[]);
    refresh(&mut device, NOW);
    assert_eq!(device.source_failures().count(), 0);
    world.set_fails(true);
    assert_eq!(world.asked(|| refresh(&mut device, NOW)), 3);
    assert_eq!(world.asked(|| refresh(&mut device, NOW)), 3);
    // After two failures in a row, the sources rest: a request must not wait for them again.
    assert_eq!(world.asked(|| refresh(&mut device, NOW)), 0);
    assert_eq!(value(&device, "Device.Interface.1.Status"), "Up");
    assert_eq!(value(&device, "Device.DeviceInfo.UpTime"), "10");
    let failures: Vec<(String, u32)> = device.source_failures().map(|(name, failure)| (name, failure.count)).collect();
    assert_eq!(failures[0], ("file /serial".to_owned(), 2));
    assert_eq!(failures.len(), 3);
    // The rest grows with each failure, up to a quarter of an hour.
    assert_eq!(world.asked(|| refresh(&mut device, later(59))), 0);
    assert_eq!(world.asked(|| refresh(&mut device, later(60))), 3);
    assert_eq!(world.asked(|| refresh(&mut device, later(179))), 0);
    assert_eq!(world.asked(|| refresh(&mut device, later(180))), 3);
    world.set_fails(false);
    assert_eq!(world.asked(|| refresh(&mut device, later(100_000))), 3);
    assert_eq!(device.source_failures().count(), 0);
}

/// R137: a source of the identity is asked also while it rests, and an empty text is no value.
#[test]
fn the_identity_is_read_from_a_source_that_has_failed() {
    let serial = "Device.DeviceInfo.SerialNumber";
    let world = World::default();
    let (mut device, _) = world.device(&[]);
    for _ in 0..3 {
        assert_eq!(device.read_identity(NOW), [serial]);
    }
    world.set_file("/serial", "\n");
    assert_eq!(device.read_identity(NOW), [serial]);
    assert_eq!(value(&device, serial), "0");
    world.set_file("/serial", "4711\n");
    assert_eq!(device.read_identity(NOW), [""; 0]);
    assert_eq!(value(&device, serial), "4711");
    assert_eq!(device.source_failures().count(), 0);
}

#[test]
fn a_changed_value_that_the_acs_watches_is_reported() {
    let world = World::default();
    world.set_links(&[("eth0", "Up")]);
    let (mut device, journal) = world.device(&[]);
    refresh(&mut device, NOW);
    device.state_mut().changed.clear();
    world.set_links(&[("eth0", "Down"), ("eth1", "Up")]);
    refresh(&mut device, NOW);
    let changed: Vec<&str> = device.state().changed.iter().map(String::as_str).collect();
    // R99: the parameter itself, and the one that counts the instances.
    assert_eq!(changed, ["Device.Count", "Device.Interface.1.Status"]);
    assert!(device.state().events.contains(&EventCode::ValueChange));
    // What changes while the agent does not run is found by the first refresh.
    device.state_mut().changed.clear();
    device.save(NOW).expect("stored");
    world.set_links(&[("eth0", "Up"), ("eth1", "Up")]);
    let (mut device, _) = world.device(&journal.records());
    device.note_firmware_changes();
    refresh(&mut device, NOW);
    let changed: Vec<&str> = device.state().changed.iter().map(String::as_str).collect();
    assert_eq!(changed, ["Device.Interface.1.Status"]);
}

#[test]
fn the_identity_outlasts_its_source() {
    let world = World::default();
    world.set_file("/serial", "4711\n");
    let (mut device, journal) = world.device(&[]);
    refresh(&mut device, NOW);
    assert_eq!(device.identity().serial_number, "4711");
    for text in [None, Some("")] {
        world.0.borrow_mut().files =
            text.map(|text: &str| ("/serial".to_owned(), text.to_owned())).into_iter().collect();
        let (mut device, _) = world.device(&journal.records());
        assert_eq!(device.identity().serial_number, "4711", "before the first refresh");
        refresh(&mut device, NOW);
        assert_eq!(device.identity().serial_number, "4711");
    }
}

#[test]
fn a_value_that_does_not_fit_costs_only_itself() {
    let world = World::default();
    world.set_links(&[("eth0", "Up"), ("eth1", "Up")]);
    let (mut device, _) = world.device(&[]);
    refresh(&mut device, NOW);
    world.set_links(&[("eth0", "Strange"), ("eth1", "Down")]);
    refresh(&mut device, NOW);
    assert_eq!(value(&device, "Device.Interface.1.Status"), "Up");
    assert_eq!(value(&device, "Device.Interface.2.Status"), "Down");
    assert_eq!(device.unfit_values().map(|(name, _)| name).collect::<Vec<_>>(), ["Device.Interface.1.Status"]);
    world.set_links(&[("eth0", "Down"), ("eth1", "Down")]);
    refresh(&mut device, NOW);
    assert_eq!(device.unfit_values().count(), 0);
}

/// Interfaces whose layers are keys of other tables, and the stack that follows from them.
const STACKED: &str = r#"{ "Device": {
    "DeviceInfo": {
      "Manufacturer": { "type": "string", "value": "Example" },
      "ManufacturerOUI": { "type": "string", "value": "00D09E" },
      "ProductClass": { "type": "string", "value": "Gateway" },
      "SerialNumber": { "type": "string", "value": "0" } },
    "ManagementServer": { "URL": { "type": "string", "access": "readWrite", "value": "http://acs.example/" } },
    "InterfaceStackNumberOfEntries": { "type": "unsignedInt", "counts": "InterfaceStack" },
    "InterfaceStack": { "source": { "builtin": "stack", "numbers": "loose" }, "{i}": {
      "HigherLayer": { "type": "string", "source": "higher" },
      "LowerLayer": { "type": "string", "source": "lower" } } },
    "Ethernet": {
      "Interface": { "source": { "builtin": "link" }, "{i}": {
        "LowerLayers": { "type": "string", "list": true } } },
      "Link": { "source": { "builtin": "link" }, "{i}": {
        "LowerLayers": { "type": "string", "list": true,
          "source": { "field": "name", "path": "Device.Ethernet.Interface.*" } } } } } } }"#;

#[test]
fn the_stack_follows_from_the_layers() {
    let world = World::default();
    world.set_links(&[("eth0", "Up"), ("eth1", "Up")]);
    let (mut device, _) = device_with(STACKED, &[]);
    device.set_sources(Box::new(world.clone()));
    let stack = |device: &mut Device, path: &str| {
        // The stack alone, of which no other part was asked for before.
        device.refresh(&Wanted::values(vec![path.into()]), NOW);
        let count: usize = value(device, "Device.InterfaceStackNumberOfEntries").parse().expect("a number");
        let numbers = (1..10).filter(|n| value(device, &format!("Device.InterfaceStack.{n}.LowerLayer")) != "absent");
        let row = |n| ["Higher", "Lower"].map(|end| value(device, &format!("Device.InterfaceStack.{n}.{end}Layer")));
        let rows: Vec<[String; 2]> = numbers.map(row).collect();
        assert_eq!(rows.len(), count);
        rows
    };
    let pair = |n: u32| [format!("Device.Ethernet.Link.{n}"), format!("Device.Ethernet.Interface.{n}")];
    assert_eq!(stack(&mut device, "Device.InterfaceStack."), [pair(1), pair(2)]);
    world.set_links(&[("eth1", "Up")]);
    assert_eq!(stack(&mut device, "Device."), [pair(2)]);
    // The number of rows alone: the rows are made without their values.
    world.set_links(&[("eth1", "Up"), ("eth0", "Up"), ("usb0", "Up")]);
    device.refresh(&Wanted::values(vec!["Device.InterfaceStackNumberOfEntries".into()]), NOW);
    assert_eq!(value(&device, "Device.InterfaceStackNumberOfEntries"), "3");
}

#[test]
fn layers_that_follow_from_the_stack_are_a_failure() {
    let world = World::default();
    world.set_links(&[("eth0", "Up")]);
    let circle = STACKED.replace(
        r#""source": { "field": "name", "path""#,
        r#""source": { "builtin": "stack", "at": "x", "field": "lower", "path""#,
    );
    assert_ne!(circle, STACKED);
    let (mut device, _) = device_with(&circle, &[]);
    device.set_sources(Box::new(world));
    refresh(&mut device, NOW);
    assert_eq!(value(&device, "Device.InterfaceStackNumberOfEntries"), "0");
    assert_eq!(value(&device, "Device.Ethernet.Link.1.LowerLayers"), "");
}

/// R173: a reference may lead into a table that stands in an instance of another one.
#[test]
fn a_reference_leads_into_a_table_of_an_instance() {
    let model = MODEL.replace(
        r#""Interface": {"#,
        r#""Lan": { "{i}": { "Port": { "source": { "builtin": "link" }, "{i}": { "Status": { "type": "string", "source": "status" } } } }, "1": {} },
           "Interface": {"#,
    );
    let reference = r#""{i}": { "Port": { "type": "string", "source": { "field": "name", "path": "Device.Lan.1.Port.*" } }, "Status""#;
    let model = model.replace(
        r#""{i}": { "Status": { "type": "string", "enum""#,
        &format!(r#"{reference}: {{ "type": "string", "enum""#),
    );
    let world = World::default();
    world.set_links(&[("eth0", "Up"), ("eth1", "Down")]);
    let (mut device, _) = device_with(&model, &[]);
    device.set_sources(Box::new(world));
    refresh(&mut device, NOW);
    assert_eq!(value(&device, "Device.Lan.1.Port.2.Status"), "Down");
    assert_eq!(value(&device, "Device.Interface.2.Port"), "Device.Lan.1.Port.2");
    assert_eq!(value(&device, "Device.Interface.1.Status"), "Up");
}
