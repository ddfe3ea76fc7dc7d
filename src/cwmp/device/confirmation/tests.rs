use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::cwmp::device::{Prepared, Refusal};
use crate::cwmp::event::EventCode;
use crate::cwmp::testing::{MemoryJournal, NOW, device_with};
use crate::model::source::uci::edit::Former;
use crate::model::source::{Answer, Query, Response, Row, Target};
use crate::model::tree::Wanted;

const MODEL: &str = r#"{ "Device": {
    "DeviceInfo": {
      "Manufacturer": { "type": "string", "value": "Example" },
      "ManufacturerOUI": { "type": "string", "value": "00D09E" },
      "ProductClass": { "type": "string", "value": "Gateway" },
      "SerialNumber": { "type": "string", "value": "0" } },
    "ManagementServer": {
      "URL": { "type": "string", "access": "readWrite", "value": "http://acs.example/" },
      "Username": { "type": "string", "access": "readWrite", "inform": true, "value": "old" },
      "Password": { "type": "string", "access": "readWrite", "hidden": true },
      "ParameterKey": { "type": "string" } },
    "Kept": { "type": "string", "access": "readWrite", "value": "a" },
    "Lan": { "source": { "uci": "network", "at": "lan" },
      "MTU": { "type": "unsignedInt", "access": "readWrite", "inform": true, "source": "mtu" } },
    "Other": { "type": "unsignedInt", "access": "readWrite",
      "source": { "uci": "network", "at": "lan", "field": "mtu", "reload": "other" } },
    "Led": { "type": "string", "access": "readWrite",
      "source": { "exec": ["/bin/led"], "can": ["get", "set"], "field": "mode", "reload": "led" } } },
  "reloads": { "led": { "run": ["/bin/true"], "confirmMinutes": 2 }, "other": { "run": ["/bin/true"] },
    "network": { "confirmMinutes": 5 }, "ManagementServer": { "confirmMinutes": 3 } } }"#;

/// A device whose only package has one option. The text of the package is that of the option, and its own digest.
#[derive(Clone, Default)]
struct World(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    text: String,
    old: Option<String>,
    staged: Option<String>,
    led: String,
    fails: Option<&'static str>,
    is_locked: bool,
    /// The number of files that the last recovery was told of; it removes all others.
    waiting: usize,
}

impl Sources for World {
    fn begin(&mut self) {}

    fn ask(&mut self, queries: &[Query]) -> Vec<Response> {
        let state = self.0.borrow();
        let answer = |query: &Query| {
            let mut row = Row::new(if matches!(query.target, Target::Exec { .. }) { "" } else { "lan" });
            row.set("mtu", state.text.as_str());
            row.set("mode", state.led.as_str());
            Response { answer: Ok(Answer::Rows(vec![row])), took: Duration::ZERO }
        };
        queries.iter().map(answer).collect()
    }

    fn prepare(&mut self, writes: &[Write], kept: Option<&[KeptFile]>) -> Result<Prepared, Vec<Refusal>> {
        let mut state = self.0.borrow_mut();
        let write = writes.iter().find(|write| write.place.is_staged());
        let Some(text) = write.and_then(|write| write.text.clone()) else { return Ok(Prepared::default()) };
        let present = state.text.clone();
        state.staged = Some(text.clone());
        let package = "network".to_owned();
        let former = Former { section: "lan".into(), option: "mtu".into(), old: present.clone(), ..Former::default() };
        let first =
            KeptFile { package: package.clone(), old: present.clone(), former: vec![former], ..KeptFile::default() };
        let kept = kept.map(|kept| KeptFile { new: text.clone(), ..kept.first().cloned().unwrap_or(first) });
        if kept.as_ref().is_some_and(|file| file.old == present) {
            state.old = Some(present.clone());
        }
        let file = StagedFile { package, old: present, new: text };
        Ok(Prepared { staged: vec![file], kept: kept.into_iter().collect(), ..Prepared::default() })
    }

    fn set(&mut self, writes: &[Write]) -> Vec<Refusal> {
        self.0.borrow_mut().led = writes[0].text.clone().expect("a text");
        Vec::new()
    }

    fn commit(&mut self) -> Result<(), String> {
        let mut state = self.0.borrow_mut();
        if state.fails == Some("commit") {
            return Err("I/O error".into());
        }
        if let Some(text) = state.staged.take() {
            state.text = text;
        }
        Ok(())
    }

    fn discard(&mut self) {
        self.0.borrow_mut().staged = None;
    }

    fn prepare_old(&mut self, files: &[KeptFile]) -> Result<WayBack, String> {
        let mut state = self.0.borrow_mut();
        match files {
            [] => Ok(WayBack::default()),
            _ if state.fails == Some("prepare") => Err("locked".to_owned()),
            [file] if file.new != state.text => {
                Ok(WayBack { merged: vec!["network".into()], stays: vec!["changed".into()], ..WayBack::default() })
            }
            [file] => {
                assert_eq!(state.old.as_ref(), Some(&file.old), "the oldest text is kept");
                state.staged = Some(file.old.clone());
                let staged = StagedFile { package: "network".into(), old: file.new.clone(), new: file.old.clone() };
                Ok(WayBack { staged: vec![staged], ..WayBack::default() })
            }
            _ => unreachable!("one package"),
        }
    }

    fn is_undecided(&self) -> bool {
        self.0.borrow().is_locked
    }

    fn recover(&mut self, staged: &[StagedFile], kept: &[KeptFile]) -> Vec<String> {
        let mut state = self.0.borrow_mut();
        state.waiting = staged.len();
        if kept.is_empty() {
            state.old = None;
        }
        match staged {
            _ if state.is_locked => Vec::new(),
            [file] if file.old == state.text => {
                state.text.clone_from(&file.new);
                vec!["complete".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

struct Scene {
    world: World,
    device: Device,
    journal: MemoryJournal,
    /// The records of earlier runs.
    past: Vec<String>,
}

impl Scene {
    fn new() -> Scene {
        let world = World::default();
        (world.0.borrow_mut().text, world.0.borrow_mut().led) = ("1500".into(), "off".into());
        Scene::of(world, Vec::new())
    }

    fn of(world: World, past: Vec<String>) -> Scene {
        let (mut device, journal) = device_with(MODEL, &past);
        device.set_sources(Box::new(world.clone()));
        device.state_mut().boot_id = "b1".into();
        Scene { world, device, journal, past }
    }

    /// Starts the agent again with the records so far.
    fn restart(&self, boot: &str) -> Scene {
        let mut scene = Scene::of(self.world.clone(), [&self.past[..], &self.journal.records()].concat());
        scene.device.recover(Some(boot), NOW);
        scene
    }

    fn set_by(&mut self, author: Author, values: &[(&str, &str)]) {
        let names = values.iter().map(|(name, _)| format!("Device.{name}")).collect();
        self.device.refresh(&Wanted::changes(names), NOW);
        let change = |(name, text): &(&str, &str)| {
            let name = format!("Device.{name}");
            let value = self.device.tree().parameter(&name).expect("a parameter").spec.parse(text).expect("a literal");
            Change::Set(name, value)
        };
        let changes = values.iter().map(change).collect();
        self.device.change(changes, author, NOW).expect("set");
    }

    fn set(&mut self, values: &[(&str, &str)]) {
        self.set_by(Author::Acs, values);
    }

    fn seconds(&self) -> Option<u64> {
        self.device.confirmation().map(|open| open.time().as_secs())
    }

    fn value(&self, name: &str) -> String {
        self.device.tree().get(&format!("Device.{name}")).expect("a parameter").to_string()
    }

    fn text(&self) -> String {
        self.world.0.borrow().text.clone()
    }

    fn take_back(&mut self) -> TakenBack {
        self.device.take_back(NOW).expect("no failure").expect("a confirmation")
    }
}

#[test]
fn only_changes_that_may_cut_the_device_off_wait_for_a_contact() {
    for (author, name, text, seconds) in [
        (Author::Acs, "Lan.MTU", "1400", Some(300)),
        (Author::Other, "Lan.MTU", "1400", None),
        (Author::Acs, "Lan.MTU", "1500", None),
        (Author::Acs, "Other", "1400", None),
        (Author::Acs, "Led", "on", Some(120)),
        (Author::Acs, "Kept", "b", None),
        (Author::Acs, "ManagementServer.URL", "http://other.example/", Some(180)),
        (Author::Acs, "ManagementServer.URL", "http://acs.example/", None),
        (Author::Acs, "ManagementServer.Password", "x", Some(180)),
        (Author::Other, "ManagementServer.Password", "x", None),
    ] {
        let mut scene = Scene::new();
        scene.set_by(author, &[(name, text)]);
        assert_eq!(scene.seconds(), seconds, "{author:?} {name} {text}");
        let needs_session = scene.device.confirmation().is_some_and(Confirmation::needs_session);
        assert_eq!(needs_session, seconds == Some(180), "{name}");
        assert_eq!(scene.world.0.borrow().old.is_some(), seconds == Some(300), "{name}");
        let is_recorded = scene.journal.records().iter().any(|record| record.contains("confirmation"));
        assert_eq!(is_recorded, seconds.is_some(), "{name}");
    }
}

/// R164, R172: all of the request goes back, except ParameterKey (R157), and the ACS is told as of a change by another writer.
#[test]
fn an_unconfirmed_change_is_taken_back() {
    let mut scene = Scene::new();
    scene.set(&[("Lan.MTU", "1400"), ("Led", "on"), ("Kept", "b"), ("ManagementServer.ParameterKey", "k")]);
    scene.device.begin_reload("network", NOW);
    scene.device.end_reload(false);
    scene.device.begin_reload("led", NOW);
    scene.device.end_reload(false);
    scene.device.reloads_settled();
    // Another change joins, and the oldest text stays.
    scene.set(&[("Other", "1300")]);
    assert_eq!(scene.world.0.borrow().old.as_deref(), Some("1500"));
    let records = scene.journal.records().len();
    let end = scene.take_back();
    assert_eq!(end.names, ["Device.Lan.MTU", "Device.Led", "Device.Kept", "Device.Other"]);
    assert_eq!(end.stays, [""; 0]);
    assert_eq!(scene.journal.records().len(), records + 1, "one record");
    assert_eq!((scene.text(), scene.value("Kept")), ("1500".to_owned(), "a".to_owned()));
    assert_eq!(scene.world.0.borrow().led, "off");
    assert_eq!(scene.value("ManagementServer.ParameterKey"), "k");
    assert_eq!(scene.device.owed_reloads(), ["other", "network", "led"]);
    assert!(scene.device.confirmation().is_none() && scene.world.0.borrow().old.is_none());
    scene.device.refresh(&Wanted::values(vec!["Device.".into()]), NOW);
    assert_eq!(scene.value("Lan.MTU"), "1500");
    assert!(scene.device.state().changed.contains("Device.Lan.MTU"));
    assert!(scene.device.state().events.contains(&EventCode::ValueChange));
}

#[test]
fn a_contact_confirms_a_change() {
    let mut scene = Scene::new();
    scene.set(&[("Lan.MTU", "1400")]);
    scene.journal.fail(true);
    scene.device.confirm("confirmed", NOW);
    assert!(scene.device.confirmation().is_some() && scene.world.0.borrow().old.is_some(), "it is not stored");
    scene.journal.fail(false);
    scene.device.confirm("confirmed", NOW);
    assert!(scene.device.confirmation().is_none() && scene.world.0.borrow().old.is_none());
    assert_eq!(scene.text(), "1400");
    assert!(scene.restart("b1").device.confirmation().is_none());
    assert_eq!(scene.device.take_back(NOW), Ok(None));
}

/// R25, R137: the ACS of the URL that comes back is another one than before.
#[test]
fn the_url_and_the_credentials_come_back() {
    let mut scene = Scene::new();
    scene.device.state_mut().acs_url = Some("http://acs.example/".into());
    scene.set(&[("ManagementServer.Username", "new"), ("ManagementServer.Password", "secret")]);
    scene.take_back();
    assert_eq!((scene.value("ManagementServer.Username"), scene.device.acs_username()), ("old".into(), "old".into()));
    assert!(scene.device.state().events.contains(&EventCode::ValueChange));
    assert!(!scene.device.state().events.contains(&EventCode::Bootstrap));
    scene.set(&[("ManagementServer.URL", "http://dead.example/")]);
    scene.set(&[("ManagementServer.URL", "http://dead.example/2")]);
    assert_eq!(scene.device.state().acs_url.as_deref(), Some("http://dead.example/2"));
    scene.take_back();
    assert_eq!(scene.device.acs_url(), "http://acs.example/");
    assert_eq!(scene.device.state().acs_url.as_deref(), Some("http://acs.example/"));
    assert!(scene.device.state().events.contains(&EventCode::Bootstrap));
    // A technician has set another URL meanwhile.
    scene.set(&[("ManagementServer.URL", "http://dead.example/"), ("ManagementServer.Username", "new")]);
    scene.set_by(Author::Other, &[("ManagementServer.URL", "http://third.example/")]);
    scene.take_back();
    assert_eq!((scene.device.acs_url(), scene.device.acs_username()), ("http://third.example/".into(), "old".into()));
}

#[test]
fn what_another_program_has_changed_stays() {
    let mut scene = Scene::new();
    scene.set(&[("Lan.MTU", "1400"), ("ManagementServer.URL", "http://dead.example/")]);
    scene.device.begin_reload("network", NOW);
    scene.device.end_reload(false);
    scene.world.0.borrow_mut().text = "1450".into();
    scene.world.0.borrow_mut().fails = Some("prepare");
    assert_eq!(scene.device.take_back(NOW), Err("locked".to_owned()));
    assert!(scene.device.confirmation().is_some(), "another attempt follows");
    scene.world.0.borrow_mut().fails = None;
    assert_eq!(scene.take_back().stays, ["changed"]);
    assert_eq!((scene.text(), scene.device.acs_url()), ("1450".to_owned(), "http://acs.example/".to_owned()));
    assert!(scene.device.confirmation().is_none() && scene.world.0.borrow().old.is_none());
    assert_eq!(scene.device.owed_reloads(), [""; 0], "nothing has changed on the device");
    // The text of a program goes back all the same, and the reloads follow.
    scene.set(&[("Lan.MTU", "1400"), ("Led", "on")]);
    scene.world.0.borrow_mut().text = "1450".into();
    assert_eq!(scene.take_back().stays, ["changed"]);
    assert_eq!((scene.text(), scene.world.0.borrow().led.as_str()), ("1450".to_owned(), "off"));
    assert_eq!(scene.device.owed_reloads(), ["led", "network"]);
}

/// R164: neither a contact nor a way back forgets the file of a change whose rename still waits for a lock.
#[test]
fn a_file_that_waits_for_a_lock_is_not_forgotten() {
    for is_confirmed in [true, false] {
        let mut scene = Scene::new();
        scene.set(&[("Lan.MTU", "1400")]);
        // The agent was killed before the rename, and the package is locked at the next start.
        (scene.world.0.borrow_mut().text, scene.world.0.borrow_mut().is_locked) = ("1500".into(), true);
        scene = scene.restart("b1");
        match is_confirmed {
            true => scene.device.confirm("confirmed", NOW),
            false => assert!(scene.device.take_back(NOW).is_err(), "it waits"),
        };
        assert_eq!((scene.device.confirmation().is_some(), scene.world.0.borrow().waiting), (!is_confirmed, 1));
        scene.world.0.borrow_mut().is_locked = false;
        match is_confirmed {
            true => assert_eq!(scene.restart("b1").text(), "1400"),
            false => assert_eq!((scene.take_back().stays, scene.text()), (Vec::new(), "1500".into())),
        }
    }
}

/// R164: a way back that fails leaves the change as it was, and another attempt succeeds.
#[test]
fn a_failure_on_the_way_back_leaves_the_change() {
    let mut scene = Scene::new();
    scene.set(&[("Lan.MTU", "1400"), ("Kept", "b")]);
    for step in ["commit", "journal"] {
        scene.world.0.borrow_mut().fails = Some(step);
        scene.journal.fail(step == "journal");
        scene.device.take_back(NOW).expect_err(step);
        scene.journal.fail(false);
        assert_eq!((scene.text(), scene.value("Kept")), ("1400".to_owned(), "b".to_owned()), "{step}");
        assert!(scene.device.confirmation().is_some(), "{step}");
        assert!(scene.restart("b1").device.confirmation().is_some(), "{step}");
    }
    scene.world.0.borrow_mut().fails = None;
    scene.take_back();
    assert_eq!((scene.text(), scene.value("Kept")), ("1500".to_owned(), "a".to_owned()));
}

#[test]
fn a_start_goes_on_and_the_fourth_one_takes_back() {
    let mut scene = Scene::new();
    scene.set(&[("Lan.MTU", "1400"), ("Led", "on")]);
    for (start, boot) in (1..=4).zip(["b1", "b2", "b2", "b3"]) {
        scene = scene.restart(boot);
        assert_eq!(scene.seconds(), Some(if start > 3 { 0 } else { 300 }), "{start}");
        assert_eq!(scene.world.0.borrow().old.as_deref(), Some("1500"));
    }
    // The power fails behind the record, before the rename: the next start finishes it.
    let world = State { text: "1400".into(), led: "on".into(), ..State::default() };
    scene.take_back();
    *scene.world.0.borrow_mut() = world;
    let next = scene.restart("b4");
    assert_eq!((next.text(), next.world.0.borrow().led.clone()), ("1500".to_owned(), "off".to_owned()));
    assert_eq!(next.device.owed_reloads(), ["network", "led"], "the services have started with the other text");
    assert!(next.device.confirmation().is_none());
}

#[test]
fn the_journal_gives_the_confirmation_back() {
    let mut scene = Scene::new();
    scene.set(&[("Lan.MTU", "1400"), ("Led", "on"), ("Kept", "b")]);
    let open = Confirmation {
        rows: vec![("Device.T.".into(), 3, "name=x".into(), 7)],
        ..scene.device.confirmation().cloned().expect("a confirmation")
    };
    let read = Confirmation::from_json(&open.to_json());
    assert_eq!(read.to_json(), open.to_json());
    assert_eq!((read.rows, read.time, read.values), (open.rows, open.time, open.values));
    assert!(!open.files[0].former.is_empty());
    assert_eq!(read.files, open.files);
    // An earlier version has no settings.
    let json = serde_json::json!({ "files": [["network", "1", "2"]] });
    let file = KeptFile { package: "network".into(), old: "1".into(), new: "2".into(), former: Vec::new() };
    assert_eq!(Confirmation::from_json(&json).files, [file]);
    for text in ["null", "{}", r#"{"files":[1],"values":[["a"]],"texts":7,"rows":[[1]],"seconds":-1,"starts":"x"}"#] {
        let json = serde_json::from_str(text).expect("JSON");
        assert_eq!(Confirmation::from_json(&json), Confirmation::default(), "{text}");
    }
}
