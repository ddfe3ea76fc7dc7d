//! Instance numbers of the ACS and of the data model: neither takes one that the other has used (R217, R218).

use std::fs;
use std::path::PathBuf;

use crate::gateway::{SOON, model_file};
use crate::support::{AcsOptions, Agent, ManualAcs, add_object, delete_object, port, set_parameter_values};

const TABLE: &str = "Device.X_00D09E_Test.Entry.";
const REFERENCES: [&str; 2] = ["Device.X_00D09E_Test.Strong", "Device.X_00D09E_Test.Weak"];
/// A parameter for long values.
const FILLER: &str = "Device.X_00D09E_Test.Filler";
const LEFT_OUT: &str = "is left out";

/// A gateway with an overlay whose instances change.
struct Scene {
    overlay: PathBuf,
    agent: Agent,
    _directory: tempfile::TempDir,
}

impl Scene {
    /// Starts a gateway whose data model has these instances.
    fn start(url: &str, numbers: &[u32]) -> Scene {
        let directory = tempfile::tempdir().expect("a directory");
        let overlay = directory.path().join("overlay.json");
        let agent = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent"))
            .data_model(model_file("tr-181.json"))
            .data_model(&overlay)
            .set("Device.ManagementServer.URL", url)
            .set("Device.ManagementServer.PeriodicInformEnable", "false")
            .fixed_ports()
            .not_started();
        let mut scene = Scene { overlay, agent, _directory: directory };
        scene.bring(numbers);
        scene.agent.restart();
        scene.agent.wait_for_control();
        scene
    }

    /// Starts a gateway that has told its first session to nobody.
    fn alone(numbers: &[u32]) -> Scene {
        let scene = Scene::start(&format!("http://{}/acs", port::closed_address()), numbers);
        scene.agent.wait_for_log("session failed", SOON);
        scene
    }

    /// Writes the data model with these instances, and references to the last one.
    fn bring(&self, numbers: &[u32]) {
        let instance = |number: &u32| format!(", \"{number}\": {{ \"Text\": \"model {number}\" }}");
        let instances: String = numbers.iter().map(instance).collect();
        let last = numbers.last().map_or_else(String::new, |number| format!("{TABLE}{number}"));
        let reference = |kind: &str| {
            format!(r#"{{ "type": "string", "access": "readWrite", "reference": "{kind}", "value": "{last}" }}"#)
        };
        let text = r#"{ "Text": { "type": "string", "access": "readWrite" } }"#;
        let (strong, weak) = (reference("strong"), reference("weak"));
        let model = format!(
            r#"{{ "Device": {{ "X_00D09E_Test": {{ "Strong": {strong}, "Weak": {weak},
            "Filler": {{ "type": "string", "access": "readWrite" }},
            "Entry": {{ "access": "readWrite", "{{i}}": {text}{instances} }} }} }} }}"#
        );
        fs::write(&self.overlay, model).expect("an overlay");
    }

    fn restart(&mut self) {
        assert!(self.agent.terminate().success());
        self.agent.restart();
        self.agent.wait_for_control();
    }

    fn reload(&self) {
        let before = self.agent.log_position();
        self.agent.signal("HUP");
        self.agent.wait_for_log_after(before, "the configuration ", SOON);
    }

    /// Changes a value until the journal is rewritten, as it is when it has grown.
    fn rewrite(&self) {
        let header = || {
            let journal = fs::read(self.agent.state_dir().join("journal")).expect("the journal");
            String::from_utf8_lossy(&journal).lines().next().map(str::to_owned)
        };
        let before = header();
        for number in 0..200 {
            self.agent.succeeds(&["set", &format!("{FILLER}={number}{}", "x".repeat(30_000))]);
            if header() != before {
                return;
            }
        }
        panic!("the journal is not rewritten");
    }

    /// Adds an instance with a text; returns its number.
    fn add(&self, text: &str) -> u32 {
        let number = self.agent.succeeds(&["add", TABLE]).trim().parse().expect("a number");
        self.agent.succeeds(&["set", &format!("{TABLE}{number}.Text={text}")]);
        number
    }

    fn delete(&self, number: u32) {
        self.agent.succeeds(&["delete", &format!("{TABLE}{number}.")]);
    }

    /// Checks the instances, each with its text.
    fn has(&self, expected: &[(u32, &str)]) {
        let lines: String = expected.iter().map(|(number, text)| format!("{TABLE}{number}.Text={text}\n")).collect();
        assert_eq!(self.agent.succeeds(&["get", TABLE]), lines, "{}", self.agent.log());
    }

    fn refers_to(&self, target: &str) {
        for reference in REFERENCES {
            assert_eq!(self.agent.succeeds(&["get", reference]), format!("{reference}={target}\n"));
        }
    }
}

/// R217: the number of an added instance stays its own if the data model brings an instance with it, over restarts, SIGHUP
/// and a rewrite of the journal. The log names both, and no reference leads to the wrong one.
#[test]
fn an_added_instance_keeps_its_number() {
    let mut scene = Scene::alone(&[1]);
    assert_eq!(scene.add("added"), 2);
    scene.refers_to(&format!("{TABLE}1"));
    scene.bring(&[1, 2]);
    scene.restart();
    scene.has(&[(1, "model 1"), (2, "added")]);
    scene.refers_to("");
    let log = scene.agent.log();
    let line = log.lines().find(|line| line.contains(LEFT_OUT)).expect("a line");
    assert!(line.contains(&format!("{TABLE}2.: ")) && line.contains("the instance 2 of the data model"), "{line}");
    scene.reload();
    scene.has(&[(1, "model 1"), (2, "added")]);
    scene.rewrite();
    scene.restart();
    scene.has(&[(1, "model 1"), (2, "added")]);
    // The ACS may refer to its own instance.
    scene.agent.succeeds(&["set", &format!("{}={TABLE}2", REFERENCES[0]), &format!("{}={TABLE}2", REFERENCES[1])]);
    scene.restart();
    scene.refers_to(&format!("{TABLE}2"));
    assert_eq!(scene.add("next"), 3);
}

/// R217: the same with SIGHUP first. The deletion of the added instance does not bring the other one.
#[test]
fn a_deleted_instance_makes_no_room() {
    let mut scene = Scene::alone(&[1]);
    assert_eq!(scene.add("added"), 2);
    scene.bring(&[1, 2, 4]);
    scene.reload();
    scene.has(&[(1, "model 1"), (2, "added"), (4, "model 4")]);
    scene.refers_to(&format!("{TABLE}4"));
    scene.delete(2);
    scene.has(&[(1, "model 1"), (4, "model 4")]);
    for _ in 0..2 {
        scene.restart();
        scene.has(&[(1, "model 1"), (4, "model 4")]);
        scene.reload();
        scene.has(&[(1, "model 1"), (4, "model 4")]);
        scene.rewrite();
    }
    // R218: the numbers of both are used.
    assert_eq!(scene.add("next"), 5);
    scene.restart();
    scene.has(&[(1, "model 1"), (4, "model 4"), (5, "next")]);
}

/// R218: an instance that was added and deleted before the data model brings its number keeps it out, too.
#[test]
fn a_number_of_the_past_is_not_used_again() {
    let mut scene = Scene::alone(&[]);
    for number in 1..=3 {
        assert_eq!(scene.add("added"), number);
    }
    scene.delete(1);
    scene.delete(3);
    for rewrite in [false, true] {
        if rewrite {
            scene.bring(&[]);
            scene.restart();
            scene.rewrite();
        }
        scene.bring(&[1, 2, 3, 5]);
        scene.restart();
        scene.has(&[(2, "added"), (5, "model 5")]);
        assert_eq!(scene.agent.log().matches(LEFT_OUT).count(), 3 * (1 + usize::from(rewrite)));
    }
    scene.delete(5);
    scene.restart();
    scene.has(&[(2, "added")]);
}

/// R218: the number of an instance that the data model no longer has is given to no other, and the instance may return.
#[test]
fn an_instance_that_the_model_no_longer_has() {
    let mut scene = Scene::alone(&[1, 7]);
    // The state with the numbers is stored with the session, of which the ACS may know them.
    for rewrite in [false, true] {
        if rewrite {
            scene.rewrite();
        }
        scene.bring(&[1]);
        scene.restart();
        scene.has(&[(1, "model 1")]);
    }
    assert_eq!(scene.add("added"), 8);
    scene.bring(&[1, 7]);
    scene.reload();
    scene.has(&[(1, "model 1"), (7, "model 7"), (8, "added")]);
    assert!(!scene.agent.log().contains(LEFT_OUT));
}

/// The same with AddObject and DeleteObject of the ACS (R217).
#[test]
fn the_instances_of_the_acs() {
    let acs = ManualAcs::start(AcsOptions::new());
    let mut scene = Scene::start(&acs.url(), &[1]);
    let text = format!("{TABLE}2.Text");
    acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |_, session| {
        let added = session.succeeds(&add_object(TABLE, "key"));
        assert!(added.xml.contains("<InstanceNumber>2</InstanceNumber>"), "{}", added.xml);
        session.succeeds(&set_parameter_values(&[(&text, "string", "of the ACS")], "key"));
    });
    scene.bring(&[1, 2]);
    scene.restart();
    scene.has(&[(1, "model 1"), (2, "of the ACS")]);
    scene.agent.succeeds(&["inform"]);
    acs.expect_session(&["2 PERIODIC"], |_, session| {
        assert_eq!(session.value(&text), "of the ACS");
        session.succeeds(&delete_object(&format!("{TABLE}2."), "key"));
        session.refuses(&delete_object(&format!("{TABLE}2."), "key"), 9005);
    });
    scene.restart();
    scene.has(&[(1, "model 1")]);
}
