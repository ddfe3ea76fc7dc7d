use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::cwmp::device::Refusal;
use crate::cwmp::testing::{MemoryJournal, NOW, device_with};
use crate::model::reloads::Reload;
use crate::model::source::{Answer, Query, Response, Row, Target};
use crate::model::tree::Wanted;
use crate::model::{ModelFile, load};

const MODEL: &str = r#"{ "Device": {
    "DeviceInfo": {
      "Manufacturer": { "type": "string", "value": "Example" },
      "ManufacturerOUI": { "type": "string", "value": "00D09E" },
      "ProductClass": { "type": "string", "value": "Gateway" },
      "SerialNumber": { "type": "string", "value": "0" } },
    "ManagementServer": { "URL": { "type": "string", "access": "readWrite", "value": "http://acs.example/" } },
    "Kept": { "type": "string", "access": "readWrite" },
    "Lan": { "source": { "uci": "network", "at": "lan" },
      "MTU": { "type": "unsignedInt", "access": "readWrite", "inform": true, "source": "mtu" },
      "Same": { "type": "unsignedInt", "access": "readWrite", "source": "mtu" },
      "Speed": { "type": "unsignedInt", "access": "readWrite", "source": { "field": "speed", "scale": [1, 1000] } },
      "Mode": { "type": "string", "access": "readWrite", "source": { "field": "mode", "map": { "a": "A", "*": "B" },
        "write": { "B": "b", "C": null } } } },
    "Led": { "source": { "exec": ["/bin/led"], "can": ["get", "set"] },
      "Mode": { "type": "string", "access": "readWrite", "source": "mode" } },
    "Rule": { "access": "readWrite", "source": { "uci": "network", "rows": "rule", "add": { "x": "1" } },
      "{i}": { "Note": { "type": "string", "access": "readWrite" } } },
    "Fan": { "type": "string", "access": "readWrite",
      "source": { "uci": "network", "at": "lan", "field": "fan", "reload": "fan" } } },
  "reloads": { "fan": { "run": ["/bin/true"], "when": "answer" } } }"#;

/// The section of the device, what was done to it, and the step that fails.
#[derive(Clone, Default)]
struct World(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    section: Vec<(String, String)>,
    led: String,
    prepared: Vec<Write>,
    /// The sections of all texts that were prepared.
    sections: Vec<String>,
    /// The sections that get a name by the next change.
    renamed: Vec<RenamedRow>,
    /// The notices of the next start.
    notices: Vec<String>,
    /// True while another program holds the lock of a file.
    is_locked: bool,
    done: Vec<String>,
    fails: Option<&'static str>,
    /// True if the request has used up its time.
    is_late: bool,
}

impl State {
    fn fails(&self, step: &str) -> bool {
        self.fails == Some(step)
    }
}

impl Sources for World {
    fn begin(&mut self) {
        self.0.borrow_mut().is_late = false;
    }

    fn ask(&mut self, queries: &[Query]) -> Vec<Response> {
        let state = self.0.borrow();
        let mut row = Row::new("lan");
        state.section.iter().for_each(|(name, text)| row.set(name.clone(), text.as_str()));
        let mut led = Row::new("");
        led.set("mode", state.led.as_str());
        let answer = |query: &Query| match (&query.target, state.fails("ask")) {
            (_, true) => Err("broken".to_owned()),
            (Target::Exec { .. }, _) => Ok(Answer::Rows(vec![led.clone()])),
            _ => Ok(Answer::Rows(vec![row.clone()])),
        };
        queries.iter().map(|query| Response { answer: answer(query), took: Duration::ZERO }).collect()
    }

    fn prepare(&mut self, writes: &[Write], _: Option<&[KeptFile]>) -> Result<Prepared, Vec<Refusal>> {
        let mut state = self.0.borrow_mut();
        if state.fails("prepare") {
            return Err(vec![Refusal { write: 0, code: FaultCode::ResourcesExceeded, text: "full".into() }]);
        }
        state.prepared = writes.iter().filter(|write| write.place.is_staged()).cloned().collect();
        let section =
            |write: &Write| if let Place::Uci { section, .. } = &write.place { Some(section.clone()) } else { None };
        state.sections.extend(writes.iter().filter_map(section));
        let file = StagedFile { package: "network".into(), old: "1".into(), new: "2".into() };
        let staged = if state.prepared.is_empty() { Vec::new() } else { vec![file] };
        let renamed = std::mem::take(&mut state.renamed);
        Ok(Prepared { staged, renamed, ..Prepared::default() })
    }

    fn set(&mut self, writes: &[Write]) -> Vec<Refusal> {
        let mut state = self.0.borrow_mut();
        if state.is_late {
            return vec![Refusal { write: 0, code: FaultCode::InternalError, text: "late".into() }];
        }
        state.is_late = state.fails("set");
        for write in writes {
            state.led = write.text.clone().unwrap_or_default();
            let text = format!("set {}", state.led);
            state.done.push(text);
        }
        match state.fails("set") && writes[0].text.as_deref() != Some("off") {
            true => vec![Refusal { write: 0, code: FaultCode::RequestDenied, text: "no".into() }],
            false => Vec::new(),
        }
    }

    fn commit(&mut self) -> Result<(), String> {
        let mut state = self.0.borrow_mut();
        if state.fails("commit") {
            return Err("I/O error".into());
        }
        for write in std::mem::take(&mut state.prepared) {
            let Place::Uci { option, .. } = write.place else { continue };
            state.section.retain(|(name, _)| *name != option);
            state.section.extend(write.text.map(|text| (option, text)));
        }
        Ok(())
    }

    fn discard(&mut self) {
        let mut state = self.0.borrow_mut();
        state.prepared.clear();
        state.done.push("discard".into());
    }

    fn reload(&mut self, _reload: &Reload) -> Result<(), String> {
        Ok(())
    }

    fn is_undecided(&self) -> bool {
        self.0.borrow().is_locked
    }

    fn recover(&mut self, staged: &[StagedFile], _: &[KeptFile]) -> Vec<String> {
        self.0.borrow_mut().done.push(format!("recover {}", staged.len()));
        self.0.borrow().notices.clone()
    }
}

struct Scene {
    world: World,
    device: Device,
    journal: MemoryJournal,
}

impl Scene {
    fn new() -> Scene {
        let world = World::default();
        world.0.borrow_mut().section =
            [("mtu", "1500"), ("speed", "7000"), ("mode", "a")].map(|(name, text)| (name.into(), text.into())).into();
        world.0.borrow_mut().led = "off".into();
        let (device, journal) = device_with(MODEL, &[]);
        Scene { world, device, journal }.with_sources()
    }

    fn with_sources(mut self) -> Scene {
        self.device.set_sources(Box::new(self.world.clone()));
        self.device.state_mut().boot_id = "b1".into();
        self
    }

    fn change(&mut self, values: &[(&str, &str)]) -> Result<Changed, Fault> {
        let names = values.iter().map(|(name, _)| format!("Device.{name}")).collect();
        self.device.refresh(&Wanted::changes(names), NOW);
        let change = |(name, text): &(&str, &str)| {
            let name = format!("Device.{name}");
            let value = self.device.tree().parameter(&name).expect("a parameter").spec.parse(text).expect("a literal");
            Change::Set(name, value)
        };
        let changes = values.iter().map(change).collect();
        self.device.change(changes, Author::Acs, NOW)
    }

    fn codes(&mut self, values: &[(&str, &str)]) -> Vec<u16> {
        let fault = self.change(values).expect_err("a refusal");
        fault.parameters.iter().map(|parameter| parameter.code.number()).collect()
    }

    fn value(&self, name: &str) -> String {
        self.device.tree().get(&format!("Device.{name}")).expect("a parameter").to_string()
    }

    fn option(&self, name: &str) -> Option<String> {
        let state = self.world.0.borrow();
        state.section.iter().find(|(option, _)| option == name).map(|(_, text)| text.clone())
    }
}

/// R169, R170, R172.
#[test]
fn one_record_holds_the_change_and_what_is_owed() {
    let mut scene = Scene::new();
    let changed = scene.change(&[("Lan.MTU", "1400"), ("Kept", "x"), ("Lan.Speed", "5")]).expect("set");
    assert!(changed.is_owed && !changed.notify);
    assert_eq!((scene.option("mtu").as_deref(), scene.option("speed").as_deref()), (Some("1400"), Some("5000")));
    let records = scene.journal.records();
    assert_eq!(records.len(), 1);
    let work = r#""device":{"boot":"b1","owed":["network"],"staged":[["network","1","2"]],"undo":[]}"#;
    assert!(records[0].contains(work), "{}", records[0]);
    assert!(!records[0].contains("1400"), "a value on the device is not journalled: {}", records[0]);
    assert!(!scene.device.state().events.contains(&crate::cwmp::event::EventCode::ValueChange));
    // The same once more writes nothing, and still waits for the reload; other changes do not.
    assert_eq!(scene.change(&[("Lan.MTU", "1400")]).map(Changed::status), Ok(1));
    assert_eq!(scene.change(&[("Kept", "x")]).map(Changed::status), Ok(0));
    assert_eq!(scene.journal.records().len(), 1);
    // The value stays until the reload has settled, whatever the device says.
    scene.world.0.borrow_mut().section[0] = ("mtu".into(), "9".into());
    scene.device.refresh(&Wanted::values(vec!["Device.".into()]), NOW);
    assert_eq!(scene.value("Lan.MTU"), "1400");
    scene.device.begin_reload("network", NOW);
    assert_eq!(scene.option("mtu").as_deref(), Some("1400"), "it is written again before the reload");
    scene.device.end_reload(false);
    scene.device.reloads_settled();
    assert!(scene.device.owed_reloads().is_empty());
    assert_eq!(scene.change(&[("Lan.MTU", "1400")]).map(Changed::status), Ok(0));
    // The end of the reload has no record of its own, but the next record tells it.
    assert_eq!(scene.journal.records().len(), 1);
    scene.change(&[("Kept", "y")]).expect("set");
    let (restored, _) = device_with(MODEL, &scene.journal.records());
    assert!(restored.owed_reloads().is_empty());
}

/// R170: a model that is read again has the values that wait for their reload.
#[test]
fn a_new_model_keeps_what_was_set() {
    let mut scene = Scene::new();
    scene.change(&[("Lan.MTU", "1400")]).expect("set");
    let file = ModelFile { name: "model".into(), text: MODEL.into() };
    let loaded = load(&[file], &[], &|_| true).expect("a valid model");
    assert_eq!(scene.device.replace_model(loaded, &scene.journal.records()), [""; 0]);
    assert_eq!(scene.value("Lan.MTU"), "1400");
    scene.device.refresh(&Wanted::values(vec!["Device.".into()]), NOW);
    assert_eq!(scene.value("Lan.MTU"), "1400");
}

/// R165, R168.
#[test]
fn each_value_that_the_device_cannot_have_is_a_fault() {
    let mut scene = Scene::new();
    assert_eq!(scene.codes(&[("Lan.MTU", "1400"), ("Lan.Same", "1401"), ("Lan.Mode", "A")]), [9007]);
    assert_eq!(scene.change(&[("Lan.MTU", "1400"), ("Lan.Same", "1400")]).map(Changed::status), Ok(1));
    assert_eq!(scene.codes(&[("Lan.Mode", "D"), ("Kept", "x")]), [9007], "no text of the map");
    scene.change(&[("Lan.Mode", "B")]).expect("set");
    assert_eq!(scene.option("mode").as_deref(), Some("b"), "the text of `write`");
    scene.change(&[("Lan.Mode", "C")]).expect("set");
    assert_eq!(scene.option("mode").as_deref(), Some("b"), "nothing is written for it");
    scene.world.0.borrow_mut().fails = Some("ask");
    assert_eq!(scene.codes(&[("Lan.MTU", "1"), ("Lan.Same", "1")]), [9002, 9002]);
    // R216: a lack of room is a fault of the request.
    scene.world.0.borrow_mut().fails = Some("prepare");
    let fault = scene.change(&[("Lan.MTU", "1")]).expect_err("a refusal");
    assert_eq!((fault.code.number(), fault.parameters.len()), (9004, 0));
    assert_eq!(scene.value("Kept"), "");
}

/// R164: whatever fails, nothing has changed.
#[test]
fn a_failure_leaves_nothing() {
    let values = [("Lan.MTU", "1400"), ("Led.Mode", "on"), ("Kept", "x")];
    let mut scene = Scene::new();
    for step in ["set", "commit"] {
        scene.world.0.borrow_mut().fails = Some(step);
        scene.world.0.borrow_mut().done.clear();
        scene.change(&values).expect_err(step);
        scene.world.0.borrow_mut().fails = None;
        assert_eq!(scene.option("mtu").as_deref(), Some("1500"), "{step}");
        assert_eq!(scene.world.0.borrow().led, "off", "{step}");
        assert_eq!(scene.value("Kept"), "", "{step}");
        assert!(scene.device.owed_reloads().is_empty(), "{step}");
        let (restored, _) = device_with(MODEL, &scene.journal.records());
        assert!(
            restored.owed_reloads().is_empty()
                && restored.tree().get("Device.Kept").is_some_and(|v| v.to_string().is_empty())
        );
    }
    // The texts were set back, and the next start must not overwrite what has been set since.
    let (mut restored, _) = device_with(MODEL, &scene.journal.records());
    let next = World::default();
    restored.set_sources(Box::new(next.clone()));
    restored.recover(Some("b1"), NOW);
    assert_eq!(*next.0.borrow().done, ["recover 0"]);
    scene.journal.fail(true);
    assert_eq!(scene.change(&values).expect_err("a full disk").code.number(), 9002);
    assert_eq!(scene.world.0.borrow().led, "off");
    scene.journal.fail(false);
    assert_eq!(scene.change(&values).map(Changed::status), Ok(1));
    assert_eq!((scene.world.0.borrow().led.as_str(), scene.value("Kept").as_str()), ("on", "x"));
}

#[test]
fn a_start_finishes_and_undoes() {
    let mut scene = Scene::new();
    scene.change(&[("Lan.MTU", "1400"), ("Led.Mode", "on")]).expect("set");
    let records = scene.journal.records();
    assert_eq!(records.len(), 2, "a record to undo, and that of the change");
    // Killed before the change was decided: the lamp is set back.
    let start = |records: &[String], boot: &str| {
        let (device, journal) = device_with(MODEL, records);
        let mut next = Scene { world: World::default(), device, journal }.with_sources();
        next.device.recover(Some(boot), NOW);
        next
    };
    let undone = start(&records[..1], "b1");
    assert_eq!(*undone.world.0.borrow().done, ["recover 0", "set off"]);
    assert_eq!(undone.journal.records().len(), 1, "the next start does not set it once more");
    // Killed behind it: the files are renamed, and the reload runs, but not after a reboot.
    let finished = start(&records, "b1");
    assert_eq!(*finished.world.0.borrow().done, ["recover 1"]);
    assert_eq!(finished.device.owed_reloads(), ["network"]);
    assert!(start(&records, "b2").device.owed_reloads().is_empty());
    let (device, journal) = device_with(MODEL, &records);
    let mut unknown = Scene { world: World::default(), device, journal }.with_sources();
    unknown.device.recover(None, NOW);
    assert_eq!(unknown.device.owed_reloads(), ["network"], "a device without the number of its boot");
    // The files took their places behind the start of the services.
    let (device, journal) = device_with(MODEL, &records);
    let mut late = Scene { world: World::default(), device, journal }.with_sources();
    late.world.0.borrow_mut().notices = vec!["complete".into()];
    late.device.recover(Some("b2"), NOW);
    assert_eq!(late.device.owed_reloads(), ["network"]);
}

/// R164, R171: a file whose package is locked at the start waits in the record, and has its place before the next change.
#[test]
fn a_package_that_is_locked_at_the_start_is_finished_later() {
    let mut scene = Scene::new();
    scene.change(&[("Lan.MTU", "1400")]).expect("set");
    let (device, journal) = device_with(MODEL, &scene.journal.records());
    let mut next = Scene { world: scene.world.clone(), device, journal }.with_sources();
    next.world.0.borrow_mut().is_locked = true;
    next.device.recover(Some("b1"), NOW);
    assert_eq!(next.change(&[("Lan.Speed", "5")]).expect_err("it waits").code.number(), 9002);
    // The file is still known after another record.
    next.change(&[("Kept", "x")]).expect("set");
    let (device, journal) = device_with(MODEL, &[scene.journal.records(), next.journal.records()].concat());
    let mut last = Scene { world: scene.world.clone(), device, journal }.with_sources();
    last.world.0.borrow_mut().is_locked = false;
    last.world.0.borrow_mut().done.clear();
    last.device.recover(Some("b1"), NOW);
    assert_eq!(last.world.0.borrow().done, ["recover 1"]);
    last.change(&[("Lan.Speed", "5")]).expect("set");
}

/// A value is written again into the section that has got a name, and not into the next one, whose key is now that of the first.
#[test]
fn a_section_with_a_new_name_is_found_before_its_reload() {
    let mut scene = Scene::new();
    let row = RenamedRow { package: "network".into(), identity: None, old: "lan".into(), new: "cpe_lan_1".into() };
    scene.world.0.borrow_mut().renamed = vec![row];
    scene.change(&[("Lan.MTU", "1400")]).expect("set");
    scene.device.begin_reload("network", NOW);
    let state = scene.world.0.borrow();
    assert!(state.prepared.is_empty() && state.sections == ["lan", "cpe_lan_1"], "{:?}", state.sections);
}

/// A crash during the reload before the answer does not lose it.
#[test]
fn a_reload_before_the_answer_is_in_the_record() {
    let mut scene = Scene::new();
    assert_eq!(scene.change(&[("Fan", "1")]).map(Changed::status), Ok(0));
    assert!(scene.device.owed_reloads().is_empty());
    let (restored, _) = device_with(MODEL, &scene.journal.records());
    assert_eq!(restored.owed_reloads(), ["fan"]);
}

/// R164: a program that refuses its text does not keep the others from theirs.
#[test]
fn each_text_is_set_back() {
    struct Refusing(Vec<String>);
    impl Sources for Refusing {
        fn begin(&mut self) {}
        fn ask(&mut self, _: &[Query]) -> Vec<Response> {
            Vec::new()
        }
        fn set(&mut self, writes: &[Write]) -> Vec<Refusal> {
            let refused = writes.iter().position(|write| write.name == "b");
            self.0.extend(writes[..refused.unwrap_or(writes.len())].iter().map(|write| write.name.clone()));
            let refuse = |write| Refusal { write, code: FaultCode::InternalError, text: "no".into() };
            refused.into_iter().map(refuse).collect()
        }
    }
    let write = |name: &str| {
        let place = Place::File { path: format!("/{name}"), replaces: false };
        Write { name: name.into(), place, text: Some("x".into()), old: None, reload: None, hidden: false }
    };
    let mut drivers = Refusing(Vec::new());
    set_all(&mut drivers, ["a", "b", "c"].map(write).into());
    assert_eq!(drivers.0, ["a", "a", "c"]);
}

/// A reload that restarts the agent runs once more, and not at each start.
#[test]
fn a_start_repeats_a_reload_once() {
    let mut scene = Scene::new();
    scene.change(&[("Lan.MTU", "1400")]).expect("set");
    scene.device.begin_reload("network", NOW);
    let start = |records: &[String]| {
        let (device, journal) = device_with(MODEL, records);
        let mut next = Scene { world: World::default(), device, journal }.with_sources();
        next.device.recover(Some("b1"), NOW);
        next
    };
    let mut next = start(&scene.journal.records());
    assert_eq!(next.device.owed_reloads(), ["network"]);
    next.device.begin_reload("network", NOW);
    assert!(start(&next.journal.records()).device.owed_reloads().is_empty());
    // A change since then owes it anew, as each change does.
    next.device.end_reload(false);
    next.world.0.borrow_mut().section = vec![("mtu".into(), "1500".into())];
    next.change(&[("Lan.MTU", "1400")]).expect("set");
    next.device.begin_reload("network", NOW);
    assert_eq!(start(&next.journal.records()).device.owed_reloads(), ["network"]);
}

/// R217: a change whose files could not be renamed leaves each row its key, and an instance its number and its values.
#[test]
fn what_could_not_be_renamed_is_as_before() {
    let mut scene = Scene::new();
    let row = |key: &str, digest| Change::Row("Device.Rule.".into(), 3, key.into(), digest);
    let note = Change::Set("Device.Rule.3.Note".into(), Value::Text("mine".into()));
    scene.device.apply(vec![row("@rule[0]", 7)], Author::Other, NOW).expect("stored");
    scene.device.apply(vec![note], Author::Acs, NOW).expect("stored");
    let before = scene.device.tree().changes_from_factory();
    let renamed =
        RenamedRow { package: "network".into(), identity: None, old: "@rule[0]".into(), new: "cpe_rule_3".into() };
    scene.world.0.borrow_mut().renamed = vec![renamed];
    scene.world.0.borrow_mut().fails = Some("commit");
    assert!(scene.change(&[("Lan.MTU", "1400")]).is_err());
    assert_eq!(scene.device.tree().changes_from_factory(), before);
    assert!(scene.device.delete_instance("Device.Rule.3.", Vec::new(), Author::Acs, NOW).is_err());
    assert_eq!(scene.device.tree().changes_from_factory(), before);
    let added = scene.device.add_instance("Device.Rule.", Vec::new(), Author::Acs, NOW);
    assert!(added.is_err() && !scene.device.tree().exists_instance("Device.Rule.4."));
}
