//! Mistakes in the configuration, the data model and its actions, as `check` and `run` name them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use crate::gateway::{SOON, gateway_at};
use crate::program::{checked, refused, written};
use crate::support::Agent;

/// One run names all mistakes of the configuration, and one all of the model: 50 of them, and the number of the others.
#[test]
fn all_mistakes_of_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("config.json");
    std::fs::write(&config, r#"{"log": "loud", "listen": "x", "stateDirr": "x", "log": "info"}"#).expect("a file");
    let builder = gateway_at("http://acs.example/").args(&["--config".as_ref(), config.as_os_str()]);
    let stderr = refused(builder, "check");
    let lines: Vec<&str> = stderr.lines().collect();
    let places = [
        "/log: given twice",
        "/log: `loud` is",
        "/listen: `x` is",
        "/stateDirr: there is no such key; did you mean `stateDir`?",
    ];
    assert_eq!(lines.len(), places.len(), "{stderr}");
    for (line, place) in lines.iter().zip(places) {
        assert!(line.starts_with(&format!("cpe-agent: {}: {place}", config.display())), "{line}");
    }
    let wrong: Vec<String> = (0..60).map(|number| format!(r#""A{number}": {{ "type": "text" }}"#)).collect();
    let file = written(&directory, &format!(r#"{{"Device": {{ {} }}}}"#, wrong.join(",")));
    let state = directory.path().join("state");
    for command in ["check", "run"] {
        let builder = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model(&file);
        let stderr = refused(builder.args(&["--state-dir".as_ref(), state.as_os_str()]), command);
        assert_eq!(stderr.lines().filter(|line| line.contains(": `text` is not a type; the types are ")).count(), 50);
        assert!(stderr.ends_with("cpe-agent: and 10 more\n"), "{stderr}");
    }
}

/// `check` refuses an action that can work on no device; the daemon logs it, and manages the device.
#[test]
fn actions_that_cannot_work() {
    let directory = tempfile::tempdir().expect("a directory");
    let weak = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let text = r#"{"actions": {"upload": {"2 Vendor Log File": {"run": ["save-log", "/tmp/log"]}},
                    "download": {"2 Web Content": {"run": ["true", "{file}"], "ed25519": "WEAK"}}}}"#;
    let file = written(&directory, &text.replace("WEAK", weak));
    let stderr = refused(gateway_at("http://acs.example/").data_model(&file), "check");
    let upload = "model.json: /actions/upload/2 Vendor Log File/run: `{file}` is missing";
    let download = "model.json: /actions/download/2 Web Content/ed25519: not a usable Ed25519 public key";
    assert!(stderr.contains(upload) && stderr.contains(download), "{stderr}");
    let agent = gateway_at("http://127.0.0.1:1/").data_model(&file).start();
    agent.wait_for_log(upload, SOON);
    agent.wait_for_log(download, SOON);
    agent.wait_for_log("session failed", SOON);
}

/// `check` warns of programs and key files that this device lacks, and of file types that TR-069 does not have.
#[test]
fn actions_that_do_not_work_on_this_device() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(at("no-key"), "text").expect("a file");
    std::fs::write(at("key"), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n").expect("a file");
    std::fs::set_permissions(at("key"), Permissions::from_mode(0o666)).expect("permissions");
    std::fs::write(at("plain"), "#!/bin/sh\n").expect("a file");
    let text = r#"{"actions": {"reboot": ["no-such-program"], "factoryReset": ["DIR/plain"], "download": {
      "1 Firmware Upgrade image": {"run": ["sh", "{file}"], "ed25519": "DIR/missing", "verify": ["/bin/no-such"]},
      "2 Web Content": {"run": ["true"], "ed25519": "DIR/no-key"},
      "X 00D09E thing": {"run": ["true", "{file}"], "ed25519": "DIR/key"}},
      "upload": {"3 Vendor Configuration File 2": {"run": ["sh", "{file}"]}, "4 Vendor Log": {"run": ["sh", "{file}"]}}}}"#;
    let file = written(&directory, &text.replace("DIR", &directory.path().display().to_string()));
    let stdout = checked(&gateway_at("http://acs.example/").data_model(&file));
    let mut expected = vec![
        "reboot: no-such-program is not found by the PATH ".to_owned(),
        format!("factoryReset: {} is not executable", at("plain")),
        "download `1 Firmware Upgrade image`: TR-069 has no such file type; did you mean `1 Firmware Upgrade Image`?"
            .into(),
        "download `1 Firmware Upgrade image`: /bin/no-such cannot be used: No such file or directory".into(),
        format!(
            "download `1 Firmware Upgrade image`: every file is refused, since the key {} cannot be read: ",
            at("missing")
        ),
        "download `2 Web Content`: `run` has no `{file}`, so that the command does not know the file".into(),
        format!(
            "download `2 Web Content`: every file is refused, since the key {}: no Ed25519 public key",
            at("no-key")
        ),
        format!("download `X 00D09E thing`: users other than the owner of {} can replace the key", at("key")),
        "upload `4 Vendor Log`: TR-069 has no such file type; did you mean `4 Vendor Log File`?".into(),
    ];
    let mut warnings: Vec<&str> = stdout.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
    warnings.retain(|warning| ["reboot", "factory", "download", "upload"].iter().any(|name| warning.starts_with(name)));
    warnings.sort_unstable();
    expected.sort_unstable();
    assert_eq!(warnings.len(), expected.len(), "{stdout}");
    for (warning, expected) in warnings.iter().zip(&expected) {
        assert!(warning.starts_with(expected.as_str()), "{expected} is not in\n{stdout}");
    }
}
