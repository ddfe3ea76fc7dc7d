//! Values of the device: files, programs, UCI packages and the kernel as sources, and the tables that come and go with them.

mod aliases;
mod device_storm;
mod direct;
mod events;
mod linux;
mod needs;
mod openwrt;
mod openwrt_add;
mod openwrt_links;
mod openwrt_set;
mod pushed;
mod reload_queue;
mod ubus;
mod ubusd;
mod uci;
mod uci_set;
mod unconfirmed;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::gateway::{SOON, TR_181};
use crate::support::stopwatch::Stopwatch;
use crate::support::{
    AcsOptions, Agent, ManualAcs, add_object, delete_object, get_parameter_names, get_parameter_values,
    set_parameter_attributes, set_parameter_values,
};

/// A device whose values are in a directory, and its overlay.
struct Device {
    place: TempDir,
}

impl Device {
    fn new() -> Device {
        let device = Device { place: tempfile::tempdir().expect("a directory") };
        device.write("temperature", "21500\n");
        device.write("ports", "# name state\nlan1 up\nlan2 down\n");
        device.program(
            "led",
            "while read -r f; do case $f in mode) printf 'mode\\tAuto\\n';; level) printf 'level\\t7\\n';; esac; done",
        );
        device.program(
            "clients",
            "case $1 in list) cut -d' ' -f1 clients.txt;; get) while IFS='\t' read -r k f; do \
             printf '%s\\t%s\\t%s\\n' \"$k\" \"$f\" \"$(grep \"^$k \" clients.txt | cut -d' ' -f2)\"; done;; esac",
        );
        device.write("clients.txt", "anna 5\nbert 6\n");
        device
    }

    fn path(&self, name: &str) -> String {
        self.place.path().join(name).to_str().expect("a path that is text").to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    /// Puts a new file into the place of one, which is there at any time.
    fn replace(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).expect("written");
        fs::rename(new, self.path(name)).expect("replaced");
    }

    /// Writes a shell script, which runs in the directory of the device.
    fn program(&self, name: &str, script: &str) {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\ncd {}\n{script}\n", self.place.path().display())).expect("written");
        fs::set_permissions(Path::new(&path), fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    fn overlay(&self) -> String {
        let at = |name: &str| self.path(name);
        format!(
            r#"{{ "Device": {{
                "DeviceInfo": {{ "X_00D09E_Temperature": {{ "type": "int", "access": "readWrite",
                  "source": {{ "file": "{}", "scale": [1, 1000] }} }} }},
                "X_00D09E_Led": {{ "source": {{ "exec": ["{}"], "limit": 1 }},
                  "Mode": {{ "type": "string", "source": "mode" }},
                  "Level": {{ "type": "unsignedInt", "max": 9, "source": "level" }} }},
                "X_00D09E_PortNumberOfEntries": {{ "type": "unsignedInt", "counts": "X_00D09E_Port" }},
                "X_00D09E_Port": {{ "access": "readWrite",
                  "source": {{ "file": "{}", "rows": "^(?<key>[a-z0-9]+) (?<state>up|down)$" }},
                  "{{i}}": {{ "Name": {{ "type": "string", "source": "key" }},
                    "Status": {{ "type": "string", "enum": ["Up", "Down"], "source": {{ "field": "state", "map": {{ "up": "Up", "down": "Down" }} }} }},
                    "Note": {{ "type": "string", "access": "readWrite" }} }} }},
                "X_00D09E_Client": {{ "source": {{ "exec": ["{}"], "numbers": "loose" }},
                  "{{i}}": {{ "Age": {{ "type": "unsignedInt", "source": "age" }} }} }} }} }}"#,
            at("temperature"),
            at("led"),
            at("ports"),
            at("clients"),
        )
    }

    /// Starts an agent with the device, after its first session.
    fn agent(&self, acs: &ManualAcs) -> Agent {
        self.write("overlay.json", &self.overlay());
        let agent = TR_181.gateway_at(&acs.url()).data_model(self.path("overlay.json")).start();
        acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
        agent
    }
}

const TEMPERATURE: &str = "Device.DeviceInfo.X_00D09E_Temperature";
const LED: &str = "Device.X_00D09E_Led.";
const PORTS: &str = "Device.X_00D09E_Port.";
const COUNT: &str = "Device.X_00D09E_PortNumberOfEntries";

#[test]
fn the_acs_reads_what_the_device_says() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    let mut agent = device.agent(&acs);
    agent.reboot();
    acs.expect_session(&["1 BOOT"], |_, session| {
        assert_eq!(session.value(TEMPERATURE), "21");
        assert_eq!(session.value(&format!("{LED}Mode")), "Auto");
        assert_eq!(session.value(&format!("{PORTS}2.Status")), "Down");
        assert_eq!(session.value("Device.X_00D09E_Client.2.Age"), "6");
        // Each request reads anew.
        device.write("temperature", "-3999\n");
        device.write("ports", "lan2 up\nlan1 up\nlan3 up\n");
        assert_eq!(session.value(TEMPERATURE), "-3");
        assert_eq!(session.value(COUNT), "3");
        assert_eq!(session.value(&format!("{PORTS}2.Name")), "lan2");
        // R192: the device makes the instances and the values.
        let names = session.succeeds(&get_parameter_names(PORTS, true));
        assert!(names.names.iter().all(|entry| !entry.writable), "{:?}", names.names);
        session.refuses(&add_object(PORTS, "k"), 9005);
        session.refuses(&delete_object(&format!("{PORTS}1."), "k"), 9005);
        session.refuses(&set_parameter_values(&[(TEMPERATURE, "int", "5")], "k"), 9003);
        // What has no source stays with the agent, also in an instance that the device makes.
        session.set(&format!("{PORTS}1.Note"), "string", "desk");
    });
    // An agent that is killed finds the same instances with all that belongs to them (R218).
    device.write("ports", "lan9 up\nlan1 up\nlan2 up\n");
    agent.crash_and_restart();
    agent.wait_for_control();
    assert_eq!(agent.value(&format!("{PORTS}1.Note")), "desk");
    assert_eq!(agent.value(&format!("{PORTS}4.Name")), "lan9");
    let listed = agent.succeeds(&["get", PORTS]);
    assert!(!listed.contains("Port.3."), "{listed}");
}

#[test]
fn a_bad_source_costs_only_its_own_values() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    let mut agent = device.agent(&acs);
    assert_eq!(agent.value(&format!("{LED}Mode")), "Auto");
    assert_eq!(agent.value(COUNT), "2");
    device.program("led", "echo nothing >&2; sleep 60");
    fs::remove_file(device.path("ports")).expect("removed");
    device.write("temperature", "warm\n");
    agent.succeeds(&["inform"]);
    acs.expect_session(&["2 PERIODIC"], |_, session| {
        let began = Stopwatch::start();
        let all = session.succeeds(&get_parameter_values(&["Device."]));
        assert!(began.is_within(Duration::from_secs(8)), "{:?}", began.elapsed());
        assert_eq!(all.value(COUNT), Some("2"), "rows that cannot be read stay");
        assert_eq!(all.value("Device.X_00D09E_Client.1.Age"), Some("5"));
        session.succeeds(&get_parameter_values(&["Device."]));
        // After two failures the source rests, and the next request does not wait for it.
        let began = Stopwatch::start();
        session.succeeds(&get_parameter_values(&["Device."]));
        assert!(began.is_within(Duration::from_millis(900)), "{:?}", began.elapsed());
    });
    let status: Json = serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON");
    let failing = status["sources"]["failing"].as_array().expect("a list");
    let reasons: Vec<String> =
        failing.iter().map(|entry| format!("{}: {}", entry["source"], entry["reason"])).collect();
    assert!(reasons.iter().any(|reason| reason.contains("led") && reason.contains("hangs")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("ports") && reason.contains("No such file")), "{reasons:?}");
    assert_eq!(status["sources"]["unfit"][0]["name"], TEMPERATURE);
    let text = agent.succeeds(&["status"]);
    assert!(text.contains("source fails   exec ") && text.contains("value unfit    Device."), "{text}");
    // Each trouble is in the log once, and so is its end.
    let told = |needle: &str| agent.log().lines().filter(|line| line.contains(needle)).count();
    assert_eq!(told("its last values stay"), 2, "{}", agent.log());
    device.write("ports", "lan1 down\nlan2 down\n");
    device.write("temperature", "1000\n");
    agent.restart();
    agent.wait_for_control();
    assert_eq!(agent.value(TEMPERATURE), "1");
    assert_eq!(agent.value(&format!("{PORTS}1.Status")), "Down");
}

/// R99, R198: what changes on the device reaches the ACS that watches it, also after the agent did not run.
#[test]
fn a_change_on_the_device_is_reported() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    let mut agent = device.agent(&acs);
    agent.reboot();
    acs.expect_session(&["1 BOOT"], |_, session| {
        session.succeeds(&set_parameter_attributes(&[(&format!("{PORTS}1.Status"), Some(2), None)]));
        session.succeeds(&set_parameter_attributes(&[(COUNT, Some(1), None)]));
    });
    device.write("ports", "lan1 down\nlan2 down\nlan3 up\n");
    acs.expect_session(&["4 VALUE CHANGE"], |inform, _| {
        assert_eq!(inform.value(&format!("{PORTS}1.Status")), Some("Down"));
        assert_eq!(inform.value(COUNT), Some("3"));
    });
    agent.terminate();
    device.write("ports", "lan1 up\nlan2 down\nlan3 up\n");
    agent.restart();
    acs.expect_session(&["4 VALUE CHANGE"], |inform, _| {
        assert_eq!(inform.value(&format!("{PORTS}1.Status")), Some("Up"));
    });
    agent.succeeds(&["inform"]);
    acs.expect_events(&["2 PERIODIC"]);
}

#[test]
fn the_operator_sees_where_values_come_from() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    let agent = device.agent(&acs);
    assert_eq!(agent.value(&format!("{LED}Level")), "7");
    device.program("led", "printf 'mode\\tOn\\nlevel\\t12\\n'");
    let text = agent.succeeds(&["source", LED, TEMPERATURE, "Device.DeviceInfo.ProvisioningCode"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("{LED}Mode=On"));
    assert!(lines[1].starts_with("  source  exec ") && lines[1].contains("/led get ("), "{text}");
    assert_eq!(lines[2], "  text    On");
    assert_eq!(lines[3], format!("{LED}Level=7"), "the last value that fits");
    assert_eq!(&lines[5..7], ["  text    12", "  error   more than 9"]);
    assert!(text.contains(&format!("{TEMPERATURE}=21\n  source  file ")), "{text}");
    assert!(text.ends_with("Device.DeviceInfo.ProvisioningCode=\n  source  kept by the agent\n"), "{text}");
    assert!(agent.succeeds(&["source", COUNT]).ends_with("\n  source  number of instances\n"));
    let json: Json = serde_json::from_str(&agent.succeeds(&["source", "--json", TEMPERATURE])).expect("JSON");
    assert_eq!(json[0]["name"], TEMPERATURE);
    assert_eq!(json[0]["text"], "21500");
    assert_eq!(json[0]["value"], "21");
    assert_eq!(json[0]["error"], Json::Null);
    assert!(json[0]["milliseconds"].is_u64());

    // `check --device` reads everything once, without the agent.
    let checked = agent.beside("check");
    assert!(checked.status.success());
    let builder = TR_181.gateway_at(&acs.url()).data_model(device.path("overlay.json"));
    let output = builder.clone().args(&["--device"]).run_to_end("check");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("{LED}Level=0\n  source  exec")) && text.contains("more than 9"), "{text}");
    assert!(text.contains("values were read from the device; 1 failed or do not fit"), "{text}");
    let output = builder.args(&["--device", "--json"]).run_to_end("check");
    let list: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(1));
}

/// A table without rows has no parameter that tells of its source.
#[test]
fn a_table_whose_rows_cannot_be_read_is_named() {
    const FAN: &str = "Device.X_00D09E_Fan.";
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    let program = |list: &str| {
        device.program("fan", &format!("case $1 in list) {list};; *) printf 'a\\tspeed\\t5\\n';; esac"));
    };
    device.write(
        "overlay.json",
        &format!(
            r#"{{ "Device": {{ "X_00D09E_Fan": {{ "source": {{ "exec": ["{}"] }},
                "{{i}}": {{ "Speed": {{ "type": "unsignedInt", "source": "speed" }} }} }} }} }}"#,
            device.path("fan")
        ),
    );
    let builder = TR_181.gateway_at(&acs.url()).data_model(device.path("overlay.json"));
    let source = format!("  source  exec {} list (", device.path("fan"));
    const REASON: &str = "  error   exit status 3: no bus\n";
    program("echo no bus >&2; exit 3");
    let output = builder.clone().args(&["--device"]).run_to_end("check");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("{FAN}\n{source}")) && text.contains(REASON), "{text}");
    assert!(text.contains("\nwarning: "), "as without --device: {text}");
    assert!(text.ends_with("0 values were read from the device; 1 failed or do not fit\n"), "{text}");
    let output = builder.clone().args(&["--device", "--json"]).run_to_end("check");
    let list: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&list[0]["name"], &list[0]["value"]), (&FAN.into(), &Json::Null));

    // The last rows stay: their values name the question that fails, too.
    program("echo a");
    let agent = builder.start();
    agent.wait_for_control();
    assert_eq!(agent.value(&format!("{FAN}1.Speed")), "5");
    program("echo no bus >&2; exit 3");
    let text = agent.succeeds(&["source", FAN]);
    assert!(text.starts_with(&format!("{FAN}\n{source}")), "{text}");
    assert!(text.contains(&format!("{FAN}1.Speed=5\n{source}")) && text.ends_with(REASON), "{text}");
}

/// A source may answer fault 9002 instead of the last values, and its answer may serve later requests.
#[test]
fn a_source_says_how_long_an_answer_serves_and_if_its_failure_counts() {
    const SLOW: &str = "Device.X_00D09E_Slow.";
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    device.program(
        "slow",
        "echo x >> runs; [ -e fails ] && exit 1; case $1 in list) echo a;; *) printf 'a\\tlevel\\t5\\n';; esac",
    );
    device.write(
        "overlay.json",
        &format!(
            r#"{{ "Device": {{ "X_00D09E_Slow": {{ "source": {{ "exec": ["{}"], "age": 600, "fault": true, "numbers": "loose" }},
                "{{i}}": {{ "Level": {{ "type": "unsignedInt", "source": "level" }} }} }} }} }}"#,
            device.path("slow")
        ),
    );
    let mut agent = TR_181.gateway_at(&acs.url()).data_model(device.path("overlay.json")).start();
    acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
    agent.reboot();
    let runs = || fs::read_to_string(device.path("runs")).map_or(0, |text| text.lines().count());
    acs.expect_session(&["1 BOOT"], |_, session| {
        assert_eq!(session.value(&format!("{SLOW}1.Level")), "5");
        assert_eq!(session.value(&format!("{SLOW}1.Level")), "5");
        session.succeeds(&get_parameter_names(SLOW, false));
        assert_eq!(runs(), 2, "one for the rows and one for the values");
    });
    // The command that shows the way of a value asks the device.
    device.write("fails", "");
    let shown = agent.succeeds(&["source", SLOW]);
    assert!(shown.contains("exit status 1") && runs() > 2, "{shown}");
    agent.succeeds(&["inform"]);
    acs.expect_session(&["2 PERIODIC"], |_, session| {
        session.refuses(&get_parameter_values(&[SLOW]), 9002);
        session.refuses(&get_parameter_names(SLOW, true), 9002);
        // Other values are not concerned, nor is the session.
        session.succeeds(&get_parameter_values(&["Device.DeviceInfo.", "Device.ManagementServer."]));
    });
    let refused = agent.command(&["get", SLOW]);
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("slow list: "),
        "{refused:?}"
    );
}

/// A session of a model without sources, and a request for values without one, ask the device nothing.
#[test]
fn what_is_not_asked_for_runs_no_program() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    device.program("led", "echo x >> runs; printf 'mode\\tOn\\nlevel\\t1\\n'");
    let mut agent = device.agent(&acs);
    agent.reboot();
    let runs = || fs::read_to_string(device.path("runs")).map_or(0, |text| text.lines().count());
    acs.expect_session(&["1 BOOT"], |_, session| {
        session.succeeds(&get_parameter_values(&["Device.ManagementServer.", TEMPERATURE]));
        session.succeeds(&get_parameter_names("Device.", false));
        assert_eq!(runs(), 0);
        session.succeeds(&get_parameter_values(&[LED]));
        assert_eq!(runs(), 1, "one run for both values");
    });
}

const SERIAL: &str = "Device.DeviceInfo.SerialNumber";

/// Returns a gateway that was not started yet, and whose serial number is in a file that is missing.
fn without_serial_number(device: &Device, acs: &ManualAcs) -> Agent {
    let source = device.path("serial");
    let overlay = format!(
        r#"{{ "Device": {{ "DeviceInfo": {{ "SerialNumber": {{ "source": {{ "file": "{source}" }} }} }} }} }}"#
    );
    device.write("identity.json", &overlay);
    TR_181.gateway_at(&acs.url()).data_model(device.path("identity.json")).not_started()
}

/// R93, R137: the very first session waits for the sources of the identity, and no device with factory values contacts the
/// ACS. Meanwhile the agent answers commands, and a stop ends it at once.
#[test]
fn the_first_session_waits_for_the_identity() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    let mut agent = without_serial_number(&device, &acs);
    let waits = format!("{SERIAL}: the source gives no value yet; the first session waits for it, at most 60 s");
    agent.restart();
    agent.wait_for_log(&waits, SOON);
    agent.wait_for_control();
    let status: Json = serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON");
    assert_eq!(status["nextSession"]["cause"], "identity", "{status}");
    let queued = agent.succeeds(&["inform"]);
    assert!(queued.contains("once the sources give the identity"), "{queued}");
    let began = Stopwatch::start();
    assert!(agent.terminate().success());
    assert!(began.is_within(Duration::from_secs(1)), "{:?}", began.elapsed());
    // An empty file is no identity, either. The stop has stored the state without one, so that the next start waits again.
    device.write("serial", "\n");
    let position = agent.log_position();
    agent.restart();
    agent.wait_for_log_after(position, &waits, SOON);
    // A reload does not end the wait.
    agent.signal("HUP");
    agent.wait_for_log_after(position, "the configuration was read again", SOON);
    assert!(acs.accept(Duration::ZERO).is_none(), "a session without identity");
    device.write("serial", "A1B2\n");
    // R139: BOOTSTRAP discards the event of the command, and not that of the boot.
    acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |inform, _| assert_eq!(inform.device.serial_number, "A1B2"));
    agent.wait_for_log_after(position, "the sources give the whole identity now: sessions start", SOON);
    // The identity is stored: a source that is missing again makes no later start wait.
    fs::remove_file(device.path("serial")).expect("removed");
    agent.reboot();
    acs.expect_session(&["1 BOOT"], |inform, _| assert_eq!(inform.device.serial_number, "A1B2"));
    assert_eq!(agent.log().matches("gives no value yet").count(), 2);
}

/// R137: a source of the identity that never gives a value delays the first session by a minute.
#[test]
fn the_first_session_does_not_wait_for_ever() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    let mut agent = without_serial_number(&device, &acs);
    agent.restart();
    let ends = format!("{SERIAL}: the source has given no value for 60 s; sessions start with the factory value");
    agent.wait_for_log(&ends, Duration::from_secs(90));
    acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |inform, _| assert_eq!(inform.device.serial_number, "0000000001"));
}
