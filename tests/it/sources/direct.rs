//! Values that the ACS sets by programs and in files, which are set back if one of them is refused.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::Device;
use super::uci_set::Killer;
use crate::gateway::TR_181;
use crate::support::skip::skip_for_lack_of;
use crate::support::{AcsOptions, Agent, ManualAcs, add_object, delete_object, set_parameter_values};

const LED: &str = "Device.X_00D09E_Led.";
const FAN: &str = "Device.X_00D09E_Fan.";
const LIMIT: Duration = Duration::from_secs(20);

/// A program that keeps its fields in files, `$1` is its verb.
const STORE: &str = r#"case $1 in
get) while read -r f; do printf '%s\t%s\n' "$f" "$(cat NAME.$f)"; done;;
check) while IFS='	' read -r f v; do [ "$v" != bright ] || printf '!\t%s\t9007\ttoo bright\n' "$f"; done;;
set) while IFS='	' read -r f v; do printf 'set %s %s\n' "$f" "$v" >> NAME.log; RULE; printf '%s' "$v" > NAME.$f; done;;
esac"#;

/// A device with two programs and two files.
fn device(rule_of_fan: &str) -> Device {
    let device = Device::new();
    device.program("led", &STORE.replace("NAME", "led").replace("RULE", "true"));
    device.program("fan", &STORE.replace("NAME", "fan").replace("RULE", rule_of_fan));
    for (name, text) in
        [("led.mode", "Off"), ("led.color", "red"), ("fan.speed", "1"), ("setting", "7\n"), ("note", "a\n")]
    {
        device.write(name, text);
    }
    // A code that can be set and not be read.
    device.program("safe", "[ $1 != set ] || cat >> safe.log");
    device.write(
        "overlay.json",
        &format!(
            r#"{{ "Device": {{
                "X_00D09E_Led": {{ "source": {{ "exec": ["{led}"], "can": ["get", "check", "set"] }},
                  "Mode": {{ "type": "string", "access": "readWrite", "source": "mode" }},
                  "Color": {{ "type": "string", "access": "readWrite", "source": "color" }} }},
                "X_00D09E_Fan": {{ "source": {{ "exec": ["{fan}"], "can": ["get", "set"], "reload": "fan" }},
                  "Speed": {{ "type": "unsignedInt", "access": "readWrite", "source": "speed" }} }},
                "X_00D09E_Safe": {{ "source": {{ "exec": ["{safe}"], "can": ["get", "set"] }},
                  "Code": {{ "type": "string", "access": "readWrite", "source": "code" }} }},
                "X_00D09E_Setting": {{ "type": "unsignedInt", "access": "readWrite",
                  "source": {{ "file": "{setting}", "set": "write" }} }},
                "X_00D09E_Note": {{ "type": "string", "access": "readWrite",
                  "source": {{ "file": "{note}", "set": "replace" }} }} }},
              "reloads": {{ "fan": {{ "run": ["/bin/sh", "-c", "echo fan >> {log}"], "settle": 0, "when": "answer" }} }} }}"#,
            led = device.path("led"),
            safe = device.path("safe"),
            fan = device.path("fan"),
            setting = device.path("setting"),
            note = device.path("note"),
            log = device.path("reloads"),
        ),
    );
    device
}

fn agent(device: &Device, acs: &ManualAcs) -> Agent {
    let agent = TR_181.gateway_at(&acs.url()).data_model(device.path("overlay.json")).start();
    acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
    agent.wait_for_control();
    agent
}

fn text(device: &Device, name: &str) -> String {
    fs::read_to_string(device.path(name)).unwrap_or_default()
}

#[test]
fn programs_and_files_take_values() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), device("true"));
    let agent = agent(&device, &acs);
    agent.succeeds(&["inform"]);
    acs.expect_session(&["2 PERIODIC"], |_, session| {
        let answer = session.succeeds(&set_parameter_values(
            &[
                (&format!("{LED}Mode"), "string", "a\tb\\c\nd"),
                (&format!("{LED}Color"), "string", "red"),
                (&format!("{FAN}Speed"), "unsignedInt", "3"),
                ("Device.X_00D09E_Setting", "unsignedInt", "9"),
                ("Device.X_00D09E_Note", "string", "$(reboot)"),
            ],
            "k",
        ));
        // R169: the reload has run before the answer.
        assert_eq!(answer.argument("Status"), Some("0"));
        assert_eq!(text(&device, "reloads"), "fan\n");
        assert_eq!(session.value(&format!("{FAN}Speed")), "3");
        // R165: the refusal of the program, before anything is set.
        let refused = session.refuses(
            &set_parameter_values(
                &[(&format!("{FAN}Speed"), "unsignedInt", "4"), (&format!("{LED}Color"), "string", "bright")],
                "k",
            ),
            9003,
        );
        assert!(refused.xml.contains("<FaultCode>9007<") && refused.xml.contains("too bright"), "{}", refused.xml);
    });
    assert_eq!(text(&device, "led.log"), "set mode a\\tb\\\\c\\nd\n", "a present value is not set");
    assert_eq!(text(&device, "fan.log"), "set speed 3\n");
    assert_eq!((text(&device, "setting"), text(&device, "note")), ("9\n".into(), "$(reboot)\n".into()));
}

/// R165: the parameters that only the device refuses are told with those that the data model refuses.
#[test]
fn all_refusals_are_told_at_once() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), device("true"));
    let agent = agent(&device, &acs);
    agent.succeeds(&["inform"]);
    let (color, mode, speed) = (format!("{LED}Color"), format!("{LED}Mode"), format!("{FAN}Speed"));
    let values = [
        ("Device.X_00D09E_Nothing", "string", "a", "9005"),
        (&*speed, "unsignedInt", "fast", "9007"),
        (&*color, "string", "bright", "9007"),
        ("Device.DeviceInfo.UpTime", "unsignedInt", "1", "9008"),
    ];
    acs.expect_session(&["2 PERIODIC"], |_, session| {
        let all: Vec<(&str, &str, &str)> = values.iter().map(|(name, kind, value, _)| (*name, *kind, *value)).collect();
        let refused =
            session.refuses(&set_parameter_values(&[&all[..], &[(&mode, "string", "On")]].concat(), "k"), 9003);
        let entries: Vec<&str> = refused.xml.split("<SetParameterValuesFault>").skip(1).collect();
        assert_eq!(entries.len(), values.len(), "{}", refused.xml);
        for (name, _, _, code) in values {
            let is_it = |entry: &&&str| entry.contains(&format!("<ParameterName>{name}<"));
            let entry = entries.iter().find(is_it).unwrap_or_else(|| panic!("{name}: {}", refused.xml));
            assert!(entry.contains(&format!("<FaultCode>{code}<")), "{name}: {entry}");
        }
    });
    let output = agent.command(&["set", "Device.X_00D09E_Nothing=a", &format!("{color}=bright")]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("no such parameter") && told.contains("too bright"), "{told}");
    assert!(text(&device, "led.log").is_empty(), "nothing is set");
}

/// R164: what cannot be set back is set last, and so not at all if another value is refused.
#[test]
fn a_value_that_cannot_be_read_is_set_last() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), device("[ $v != 5 ] || exit 77"));
    let agent = agent(&device, &acs);
    let (code, speed) = ("Device.X_00D09E_Safe.Code", format!("{FAN}Speed"));
    let note = "Device.X_00D09E_Note";
    agent.succeeds(&["inform"]);
    acs.expect_session(&["2 PERIODIC"], |_, session| {
        let values = [(code, "string", "1234"), (note, "string", "b"), (&*speed, "unsignedInt", "5")];
        session.refuses(&set_parameter_values(&values, "k"), 9003);
        assert_eq!((text(&device, "safe.log"), text(&device, "note")), (String::new(), "a\n".to_owned()));
        session.succeeds(&set_parameter_values(&values[..2], "k"));
        assert_eq!((text(&device, "safe.log"), text(&device, "note")), ("code\t1234\n".into(), "b\n".to_owned()));
    });
}

/// R164: what was set before a refusal is set back.
#[test]
fn a_refusal_sets_everything_back() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), device("[ $v != 5 ] || { echo busy >&2; exit 77; }"));
    let agent = agent(&device, &acs);
    agent.succeeds(&["inform"]);
    acs.expect_session(&["2 PERIODIC"], |_, session| {
        let values = [
            (&*format!("{LED}Mode"), "string", "On"),
            (&*format!("{FAN}Speed"), "unsignedInt", "5"),
            ("Device.X_00D09E_Note", "string", "b"),
            ("Device.DeviceInfo.ProvisioningCode", "string", "x"),
        ];
        let refused = session.refuses(&set_parameter_values(&values, "k9"), 9003);
        assert!(refused.xml.contains("<FaultCode>9001<") && refused.xml.contains("busy"), "{}", refused.xml);
        assert_eq!(session.value(&format!("{LED}Mode")), "Off");
        assert_eq!(session.value("Device.DeviceInfo.ProvisioningCode"), "");
        assert_eq!(session.value("Device.ManagementServer.ParameterKey"), "");
    });
    assert_eq!(text(&device, "led.log"), "set mode On\nset mode Off\n");
    assert_eq!((text(&device, "fan.speed"), text(&device, "note")), ("1".into(), "a\n".into()));
}

/// R164: an agent that is killed while a program sets a value sets the others back at its next start.
#[test]
fn a_kill_during_a_program_sets_everything_back() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), device("[ $v != 5 ] || sleep 4"));
    let mut agent = agent(&device, &acs);
    agent.succeeds(&["inform"]);
    let (_, _, mut session) = acs.next_session();
    let values = [(&*format!("{LED}Mode"), "string", "On"), (&*format!("{FAN}Speed"), "unsignedInt", "5")];
    session.send(&set_parameter_values(&values, "k"));
    let began = Instant::now();
    while text(&device, "fan.log").is_empty() && began.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(text(&device, "led.mode"), "On");
    agent.kill9();
    drop(session);
    agent.restart();
    agent.wait_for_control();
    assert_eq!(agent.value(&format!("{LED}Mode")), "Off");
    assert!(agent.log().contains("a change of the device was interrupted"), "{}", agent.log());
    assert!(text(&device, "fan.log").ends_with("set speed 1\n"));
    // Once only.
    agent.restart();
    agent.wait_for_control();
    assert_eq!(text(&device, "led.log"), "set mode On\nset mode Off\n");
}

/// R164, R171: a request that sets a program, two files and a kept value at once is whole or not there, wherever the agent is killed.
#[test]
fn a_kill_at_any_step_leaves_all_or_nothing() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip_for_lack_of("strace");
    }
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), device("true"));
    let mut agent = agent(&device, &acs);
    let names = [
        format!("{LED}Color"),
        format!("{FAN}Speed"),
        "Device.X_00D09E_Setting".to_owned(),
        "Device.X_00D09E_Note".to_owned(),
        // Its change is no event: this ACS would leave the session without an answer, for which a command waits.
        "Device.ManagementServer.PeriodicInformInterval".to_owned(),
    ];
    let read = |agent: &Agent| names.each_ref().map(|name| agent.value(name));
    let (mut kills, mut value, mut present) = ([0; 2], 1000, read(&agent));
    for call in ["write", "fsync", "rename"] {
        for number in 1.. {
            value += 1;
            let wanted = names.each_ref().map(|_| value.to_string());
            let assignments: Vec<String> = names.iter().map(|name| format!("{name}={value}")).collect();
            let arguments: Vec<&str> = std::iter::once("set").chain(assignments.iter().map(String::as_str)).collect();
            let killer = Killer::at(&agent, call, number);
            let is_confirmed = agent.command(&arguments).status.success();
            drop(killer);
            if agent.is_running() {
                assert!(is_confirmed, "{call} {number}");
                present = wanted;
                break;
            }
            agent.restart();
            agent.wait_for_control();
            let found = read(&agent);
            assert!(found == present || found == wanted, "{call} {number}: {found:?}, not {present:?} nor {wanted:?}");
            assert!(!is_confirmed || found == wanted, "{call} {number}: a confirmed change is lost");
            kills[usize::from(found == wanted)] += 1;
            present = found;
        }
    }
    assert!(kills[0] >= 5 && kills[1] >= 2, "{kills:?} kills before and behind the record");
}

/// A program with a table: a file for each row.
const TABLE: &str = r#"cd ROWS || exit 1
case $1 in
list) ls;;
get) while IFS='	' read -r r f; do printf '%s\t%s\t%s\n' "$r" "$f" "$(cat "$r")"; done;;
set) while IFS='	' read -r r f v; do printf '%s' "$v" > "$r"; done;;
add) [ ! -e ../full ] || exit 77; n=$(ls | wc -l); echo new > "row$n"; echo "row$n"; [ ! -e ../silent ] || exit 1;;
delete) read -r r; rm "$r";;
esac"#;

/// R213 to R221: a program adds and deletes the rows of its table.
#[test]
fn a_program_adds_and_deletes_rows() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    fs::create_dir(device.path("rows")).expect("a directory");
    device.write("rows/row0", "first");
    device.program("table", &TABLE.replace("ROWS", &device.path("rows")));
    device.write(
        "overlay.json",
        &format!(
            r#"{{ "Device": {{ "X_00D09E_Row": {{ "access": "readWrite", "maxEntries": 3,
              "source": {{ "exec": ["{}"], "can": ["list", "get", "set", "add", "delete"] }},
              "{{i}}": {{ "Text": {{ "type": "string", "access": "readWrite", "source": "text" }} }} }} }} }}"#,
            device.path("table")
        ),
    );
    let mut agent = agent(&device, &acs);
    const ROWS: &str = "Device.X_00D09E_Row.";
    agent.succeeds(&["inform"]);
    acs.expect_session(&["2 PERIODIC"], |_, session| {
        let answer = session.succeeds(&add_object(ROWS, "k"));
        assert_eq!((answer.argument("InstanceNumber"), answer.argument("Status")), (Some("2"), Some("0")));
        assert_eq!(session.value("Device.X_00D09E_Row.2.Text"), "new");
        session.set("Device.X_00D09E_Row.2.Text", "string", "second");
        // A program that refuses, or fails behind its work: the next refresh finds the row that it has made.
        device.write("full", "");
        session.refuses(&add_object(ROWS, "k"), 9001);
        fs::remove_file(device.path("full")).expect("removed");
        session.succeeds(&delete_object("Device.X_00D09E_Row.1.", "k"));
        session.refuses(&delete_object("Device.X_00D09E_Row.1.", "k"), 9005);
    });
    assert!(!std::path::Path::new(&device.path("rows/row0")).exists());
    assert_eq!(text(&device, "rows/row1"), "second");
    agent.crash_and_restart();
    agent.wait_for_control();
    // R217: the row keeps its number, and R218: that of the other one is not used again.
    assert_eq!(agent.succeeds(&["get", ROWS]), "Device.X_00D09E_Row.2.Text=second\n");
    device.write("silent", "");
    assert!(!agent.command(&["add", ROWS]).status.success());
}
