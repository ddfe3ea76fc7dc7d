//! Data-model files that may be missing, such as those that the device writes to a RAM disk after its boot.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::gateway::{SOON, gateway_at, model_file};
use crate::program::{checked, refused};
use crate::support::Agent;
use crate::support::agent::AgentBuilder;

const NAME: &str = "Device.DeviceInfo.ModelName";
const NUMBER: &str = "Device.DeviceInfo.ModelNumber";

/// A directory with the configuration, and with the optional files `first.json` and `second.json`.
struct Device {
    place: TempDir,
}

impl Device {
    fn new() -> Device {
        let device = Device { place: tempfile::tempdir().expect("a directory") };
        let files = [device.path("first.json"), device.path("second.json")];
        let config = json!({ "optionalDataModel": files });
        fs::write(device.path("config.json"), config.to_string()).expect("a file");
        device
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Writes an optional file as a whole, with a value of one parameter of DeviceInfo.
    fn write(&self, file: &str, parameter: &str, value: &str) {
        let text = json!({ "Device": { "DeviceInfo": { parameter: { "value": value } } } });
        self.write_text(file, &text.to_string());
    }

    fn write_text(&self, file: &str, text: &str) {
        fs::write(self.path("new"), text).expect("a file");
        fs::set_permissions(self.path("new"), Permissions::from_mode(0o644)).expect("permissions");
        fs::rename(self.path("new"), self.path(file)).expect("renamed");
    }

    fn builder(&self) -> AgentBuilder {
        gateway_at("http://127.0.0.1:1/").args(&["--config".as_ref(), self.path("config.json").as_os_str()])
    }
}

/// Returns the status once its `reloads` are as wanted.
fn reloads(agent: &Agent, wanted: impl Fn(&Json) -> bool) -> Json {
    let deadline = Instant::now() + SOON;
    loop {
        let status: Json = serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON");
        if wanted(&status["reloads"]) {
            return status["reloads"].clone();
        }
        assert!(Instant::now() < deadline, "{status:#}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// A missing file is no mistake. Once it is there, SIGHUP takes it; once it is gone, SIGHUP leaves it out.
#[test]
fn a_file_that_comes_and_goes() {
    let device = Device::new();
    let told = checked(&device.builder());
    assert!(told.contains(&format!("{} (missing)", device.path("first.json").display())), "{told}");
    let agent = device.builder().start();
    agent.wait_for_log("first.json: the optional data-model file is missing", SOON);
    agent.wait_for_control();
    assert_eq!(agent.value(NAME), "Example Home Gateway");
    device.write("first.json", "ModelName", "from the first");
    agent.signal("HUP");
    reloads(&agent, |reloads| reloads["accepted"] == 1);
    assert_eq!(agent.value(NAME), "from the first");
    // The second is laid over the first.
    device.write("second.json", "ModelName", "from the second");
    agent.signal("HUP");
    reloads(&agent, |reloads| reloads["accepted"] == 2);
    assert_eq!(agent.value(NAME), "from the second");
    fs::remove_file(device.path("first.json")).expect("removed");
    fs::remove_file(device.path("second.json")).expect("removed");
    agent.signal("HUP");
    reloads(&agent, |reloads| reloads["accepted"] == 3 && reloads["refused"] == 0);
    assert_eq!(agent.value(NAME), "Example Home Gateway");
}

/// A start leaves a wrong file out, and takes the others. `check` and SIGHUP refuse it.
#[test]
fn a_file_that_is_wrong() {
    let device = Device::new();
    device.write_text("first.json", r#"{ "Device": { "NoSuchObject": { "value": "1" } } }"#);
    device.write("second.json", "ModelNumber", "from the second");
    let stderr = refused(device.builder(), "check");
    let mistake = "first.json: /Device/NoSuchObject/value: this node has no `type`";
    assert!(stderr.contains(mistake), "{stderr}");
    let agent = device.builder().start();
    agent.wait_for_control();
    assert!(agent.log().lines().any(|line| line.contains(" error: ") && line.contains(mistake)), "{}", agent.log());
    assert_eq!(agent.value(NUMBER), "from the second");
    let left_out = reloads(&agent, |reloads| reloads["ok"] == true);
    assert!(left_out["leftOut"][0].as_str().is_some_and(|reason| reason.contains(mistake)), "{left_out:#}");
    assert!(agent.succeeds(&["status"]).contains("\nmodel left out "));
    agent.signal("HUP");
    let refused = reloads(&agent, |reloads| reloads["refused"] == 1);
    assert!(refused["lastReason"].as_str().is_some_and(|reason| reason.contains(mistake)), "{refused:#}");
    device.write("first.json", "ModelName", "corrected");
    agent.signal("HUP");
    let accepted = reloads(&agent, |reloads| reloads["accepted"] == 1);
    assert_eq!(accepted["leftOut"], json!([]));
    assert_eq!((agent.value(NAME).as_str(), agent.value(NUMBER).as_str()), ("corrected", "from the second"));
}

/// A file that other users could have written is not read, since its actions run as the agent; a pipe does not block.
#[test]
fn a_file_that_cannot_be_trusted() {
    let device = Device::new();
    device.write("first.json", "ModelName", "from anybody");
    fs::set_permissions(device.path("first.json"), Permissions::from_mode(0o666)).expect("permissions");
    let made = std::process::Command::new("mkfifo").arg(device.path("second.json")).status().expect("mkfifo");
    assert!(made.success());
    let stderr = refused(device.builder(), "check");
    let first = "first.json: cannot be read: it belongs to another user or is writable by others";
    assert!(stderr.contains(first) && stderr.contains("second.json: cannot be read: not a regular file"), "{stderr}");
    let agent = device.builder().start();
    agent.wait_for_control();
    assert_eq!(agent.value(NAME), "Example Home Gateway");
    fs::remove_file(device.path("second.json")).expect("removed");
    device.write_text("first.json", &format!("{{ \"Device\": {{}} }}{}", " ".repeat(1 << 20)));
    let stderr = refused(device.builder(), "check");
    assert!(stderr.contains("first.json: cannot be read: larger than 1 MiB"), "{stderr}");
}

/// A mistake in a file that must be there keeps the agent from starting, whatever the optional files are.
#[test]
fn a_file_that_must_be_there() {
    let device = Device::new();
    device.write_text("second.json", "{");
    let config = json!({ "dataModel": [model_file("tr-181.json"), device.path("first.json")],
                         "optionalDataModel": [device.path("second.json")] });
    fs::write(device.path("config.json"), config.to_string()).expect("a file");
    let file = device.path("config.json");
    let builder = || Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).args(&["--config".as_ref(), file.as_os_str()]);
    for command in ["check", "run"] {
        let stderr = refused(builder(), command);
        assert!(stderr.contains("first.json: cannot be read: No such file"), "{stderr}");
    }
}
