//! `data-model/generate.py`: a data-model file from an official model and a selection.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::program::{checked, refused};
use crate::support::Agent;
use crate::support::skip::{skip, skip_for_lack_of};

/// A small model in the form of the official ones.
const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<dm:document xmlns:dm="urn:broadband-forum-org:cwmp:datamodel-1-8" spec="urn:example:tr-0">
  <dataType name="Oui"><string><size minLength="6" maxLength="6"/><pattern value="[0-9A-F]{6}"/></string></dataType>
  <model name="Device:2.0">
    <object name="Device." access="readOnly" minEntries="1" maxEntries="1"/>
    <object name="Device.DeviceInfo." access="readOnly" minEntries="1" maxEntries="1">
      <parameter name="Manufacturer" access="readOnly"><syntax><string><size maxLength="64"/></string></syntax></parameter>
      <parameter name="ManufacturerOUI" access="readOnly"><syntax><dataType ref="Oui"/></syntax></parameter>
      <parameter name="SerialNumber" access="readOnly"><syntax><string><size maxLength="64"/></string></syntax></parameter>
      <parameter name="Steps" access="readWrite"><syntax><unsignedInt><range minInclusive="2" maxInclusive="2"/>
        <range minInclusive="4" maxInclusive="4"/></unsignedInt></syntax></parameter>
      <parameter name="Old" access="readOnly" status="deprecated"><syntax><string/></syntax></parameter>
    </object>
    <object name="Device.Lamps." access="readOnly" minEntries="1" maxEntries="1">
      <parameter name="LampNumberOfEntries" access="readOnly"><syntax><unsignedInt/></syntax></parameter>
    </object>
    <object name="Device.Lamps.Lamp.{i}." access="readWrite" minEntries="0" maxEntries="unbounded"
        numEntriesParameter="LampNumberOfEntries">
      <parameter name="Name" access="readWrite"><syntax><string/></syntax></parameter>
      <parameter name="Level" access="readWrite"><syntax><unsignedInt><range maxInclusive="9"/></unsignedInt></syntax></parameter>
      <parameter name="Color" access="readWrite"><syntax><string><enumeration value="Red"/><enumeration value="Green"/></string></syntax></parameter>
    </object>
  </model>
</dm:document>
"#;

const SELECTION: &str = "\
Device.DeviceInfo.
    ManufacturerOUI = 00D09E
    Manufacturer = Acme
    SerialNumber = 1
    Steps = 4
    example Manufacturer
Device.Lamps.
Device.Lamps.Lamp.{i}.
    example
    max 3
    Color | Red
Device.Lamps.Lamp.[1-2].
    Level = 7
";

struct Place(TempDir);

impl Place {
    fn new() -> Option<Place> {
        if Command::new("python3").arg("--version").output().is_err() {
            skip_for_lack_of("python3");
            return None;
        }
        let place = Place(tempfile::tempdir().expect("a directory"));
        place.write("model.xml", XML);
        place.write("selection.txt", SELECTION);
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    fn generate(&self, arguments: &[&str]) -> Output {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("data-model/generate.py");
        // Python would write the byte code of `official.py` beside it.
        let mut command = Command::new("python3");
        command.arg("-B").arg(program).args(arguments).current_dir(&self.0);
        command.output().expect("python3 starts")
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.generate(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs the generator, which must fail without a trace of Python, and returns its message.
    fn fails(&self, arguments: &[&str], status: i32) -> String {
        let output = self.generate(arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{told}");
        assert!(!told.contains("Traceback"), "{told}");
        told
    }

    fn agent(&self) -> crate::support::agent::AgentBuilder {
        Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model(self.path("out.json"))
    }
}

#[test]
fn a_selection_becomes_a_model() {
    let Some(place) = Place::new() else { return };
    let told = place.succeeds(&["model.xml", "selection.txt", "out.json"]);
    assert!(told.starts_with("out.json: 11 parameters in factory state"), "{told}");
    let model: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(place.path("out.json")).expect("a file")).expect("JSON");
    let info = &model["Device"]["DeviceInfo"];
    assert_eq!(info["ManufacturerOUI"]["pattern"], "[0-9A-F]{6}");
    assert_eq!(info["Steps"]["enum"], serde_json::json!(["2", "4"]));
    assert!(info["Old"].is_null());
    let lamp = &model["Device"]["Lamps"]["Lamp"];
    assert_eq!((&lamp["maxEntries"], &lamp["{i}"]["Color"]["enum"]), (&3.into(), &serde_json::json!(["Red"])));
    // R325: a string without any limit has 16 characters.
    assert_eq!(lamp["{i}"]["Name"]["maxLength"], 16);
    let told = checked(&place.agent());
    for line in
        ["OUI            00D09E", "  Device.DeviceInfo.Manufacturer=Acme", "  Device.Lamps.Lamp. with 2 instances"]
    {
        assert!(told.lines().any(|found| found == line), "{line} is not in\n{told}");
    }
}

/// A passphrase with a least length may be empty, so that no device has one that is known.
#[test]
fn a_parameter_with_a_least_length_may_be_empty() {
    let Some(place) = Place::new() else { return };
    let key = r#"<parameter name="Key" access="readWrite"><syntax><string><size minLength="8" maxLength="63"/></string></syntax></parameter>"#;
    place.write("model.xml", &XML.replace(r#"      <parameter name="Old""#, &format!(r#"{key}<parameter name="Old""#)));
    let generate = |line: &str| {
        let steps = "    Steps = 4\n";
        place.write("selection.txt", &SELECTION.replace(steps, &format!("{steps}{line}")));
        ["model.xml", "selection.txt", "out.json"]
    };
    assert!(place.fails(&generate(""), 1).contains("Device.DeviceInfo.Key = '': wrong length"));
    let told = place.fails(&generate("    Manufacturer mayBeEmpty\n"), 1);
    assert!(told.contains("Manufacturer: only a parameter with a least length"), "{told}");
    place.succeeds(&generate("    Key mayBeEmpty\n"));
    for (value, fits) in [("", true), ("seven..", false), ("eight...", true)] {
        let set = place.agent().set("Device.DeviceInfo.Key", value);
        assert_eq!(set.run_to_end("check").status.success(), fits, "{value}");
    }
    assert!(refused(place.agent().set("Device.DeviceInfo.Key", &"x".repeat(64)), "check").contains("DeviceInfo.Key"));
}

/// A device may have a lower limit than the standard.
#[test]
fn a_number_has_a_lower_limit() {
    let Some(place) = Place::new() else { return };
    let generate = |line: &str| {
        place.write("selection.txt", &SELECTION.replace("    max 3\n", &format!("    max 3\n{line}")));
        ["model.xml", "selection.txt", "out.json"]
    };
    for wrong in ["    Level atMost 10\n", "    Name atMost 3\n"] {
        assert!(place.fails(&generate(wrong), 1).contains("only a number has a limit"), "{wrong}");
    }
    assert!(place.fails(&generate("    Level atMost 2\n"), 1).contains("Level = '7'"));
    place.succeeds(&generate("    Level atMost 8\n"));
}

/// `--select` starts a selection that the generator takes.
#[test]
fn a_selection_is_started() {
    let Some(place) = Place::new() else { return };
    let selection = place.succeeds(&["--select", "model.xml", "Device.Lamps.Lamp."]);
    let expected = "\nDevice.Lamps.\n    only\n\nDevice.Lamps.Lamp.{i}.\n    only Name Level Color\n";
    assert!(selection.ends_with(expected), "{selection}");
    let all = place.succeeds(&["--select", "model.xml", "Device."]);
    assert!(all.contains("\n    only Manufacturer ManufacturerOUI SerialNumber Steps\n"), "{all}");
    place.write(
        "selection.txt",
        &all.replace("SerialNumber Steps\n", "SerialNumber Steps\n ManufacturerOUI = 00D09E\n Steps = 2\n"),
    );
    place.succeeds(&["model.xml", "selection.txt", "out.json"]);
    checked(&place.agent());
}

#[test]
fn mistakes_are_named() {
    let Some(place) = Place::new() else { return };
    assert!(place.fails(&[], 64).contains("generate.py XML SELECTION OUT"));
    assert!(place.fails(&["--select", "model.xml"], 64).contains("--select XML OBJECT..."));
    assert_eq!(place.fails(&["none.xml", "selection.txt", "out.json"], 1), "none.xml: No such file or directory\n");
    assert!(place.fails(&["selection.txt", "selection.txt", "out.json"], 1).starts_with("selection.txt: not XML: "));
    let near = "Device.Lamp.Lamp. is not an object of the model; did you mean Device.Lamps.Lamp.{i}.?\n";
    assert_eq!(place.fails(&["--select", "model.xml", "Device.Lamp.Lamp."], 1), near);
    for (from, to, expected) in [
        (
            "Device.Lamps.\n",
            "Device.Lamp.\n",
            "selection.txt:7: Device.Lamp. is not an object of the model; did you mean",
        ),
        ("Device.Lamps.\n", "", "selection.txt:7: Device.Lamps.Lamp.{i}.: the object Lamps above it was not selected"),
        ("max 3", "max three", "selection.txt:10: max needs a number, not 'three'"),
        ("Level = 7", "Level: 7", "selection.txt:13: not understood: Level: 7"),
        ("Level = 7", "Levle = 7", "selection.txt:12: Device.Lamps.Lamp.1.: Levle is not a parameter of its template"),
        ("Level = 7", "Level = 10", "Device.Lamps.Lamp.2.Level = '10': out of range\n"),
        ("    Steps = 4\n", "    Steps = 3\n", "Device.DeviceInfo.Steps = '3': not in the enumeration\n"),
        ("    ManufacturerOUI = 00D09E\n", "", "Device.DeviceInfo.ManufacturerOUI = '': wrong length\n"),
        ("Device.Lamps.\n", "Device.Lamps.\nDevice.Lamps.\n", "selection.txt:8: Device.Lamps. has a section already"),
    ] {
        place.write("selection.txt", &SELECTION.replacen(from, to, 1));
        let told = place.fails(&["model.xml", "selection.txt", "out.json"], 1);
        assert!(told.contains(expected), "{expected} is not in\n{told}");
    }
    assert!(!place.path("out.json").exists(), "a mistake writes nothing");
}

/// The shipped models are those that the generator makes.
#[test]
fn the_shipped_models_are_generated() {
    let Some(place) = Place::new() else { return };
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("data-model");
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/bbf");
    let official = std::env::var_os("CPE_AGENT_BBF").map_or_else(beside, PathBuf::from);
    for (xml, name, number) in
        [("tr-181-2-17-0-cwmp-full.xml", "tr-181.json", "181"), ("tr-098-1-8-0-full.xml", "tr-098.json", "098")]
    {
        let (xml, selection) = (official.join(xml), shipped.join(format!("selection-{number}.txt")));
        if !xml.exists() {
            return skip(format!("the official model {} is missing", xml.display()));
        }
        place.succeeds(&[&xml.display().to_string(), &selection.display().to_string(), "out.json"]);
        let texts = [place.path("out.json"), shipped.join(name)].map(|file| fs::read_to_string(file).expect("a model"));
        assert!(texts[0] == texts[1], "{name} is not what generate.py makes of {}", selection.display());
    }
    // A whole branch of the official model can be selected without an edit.
    let xml = official.join("tr-181-2-17-0-cwmp-full.xml").display().to_string();
    place.write("branch.txt", &place.succeeds(&["--select", &xml, "Device.DHCPv6.", "Device.QoS."]));
    place.succeeds(&[&xml, "branch.txt", "out.json"]);
    let told = checked(&place.agent());
    assert!(told.contains("root           Device."), "{told}");
    place.write("wrong.json", "{");
    refused(place.agent().data_model(place.path("wrong.json")), "check");
}
