//! Values from the bus of OpenWrt, with a stand-in for ubusd.

use std::time::Duration;

use serde_json::Value as Json;

use super::ubusd::{Conduct, Ubusd};
use crate::gateway::TR_181;
use crate::support::Agent;
use crate::support::mount::with_mounts;
use crate::support::port::closed_address;
use crate::support::skip::emulator_lacks;
use crate::support::stopwatch::Stopwatch;

const OVERLAY: &str = r#"{ "Device": {
    "X_00D09E_Bus": {
      "source": { "ubus": "system", "method": "info", "also": { "info": { "ubus": "system", "method": "info" } } },
      "Uptime": { "type": "unsignedInt", "source": "uptime" },
      "Free": { "type": "unsignedInt", "source": { "field": "memory.free", "scale": [1, 1024] } },
      "Said": { "type": "string", "source": { "ubus": "echo", "method": "get", "field": "said",
        "args": { "of": "{info:hostname}", "long": 255, "flag": true, "other": 7 } } } },
    "X_00D09E_Odd": { "type": "string", "maxLength": 20,
      "source": { "ubus": "odd", "method": "get", "limit": 1, "field": "text", "absent": "none" } },
    "X_00D09E_Wrong": {
      "Object": { "type": "string", "source": { "ubus": "no.object", "method": "get", "field": "a" } },
      "Method": { "type": "string", "source": { "ubus": "echo", "method": "put", "field": "a" } },
      "Argument": { "type": "string", "source": { "ubus": "echo", "method": "get", "args": { "of": 7 }, "field": "a" } } },
    "X_00D09E_Led": { "source": { "ubus": "led", "method": "get", "at": "leds.power" },
      "Mode": { "type": "string", "access": "readWrite", "source": { "field": "mode",
        "set": { "method": "set", "args": { "name": "power", "mode": "{value}" } } } },
      "On": { "type": "boolean", "access": "readWrite", "source": { "field": "on",
        "set": { "method": "switch", "args": { "on": "{value}", "fast": true } } } },
      "Level": { "type": "unsignedInt", "access": "readWrite", "source": "level" } },
    "X_00D09E_Many": { "source": { "file": "/var/run/many", "rows": "(?<key>.+)" },
      "{i}": { "Said": { "type": "string", "source": { "ubus": "echo", "method": "get", "args": { "of": "{key}" }, "field": "said" } } } },
    "X_00D09E_Port": {
      "source": { "ubus": "network.interface", "method": "dump", "rows": "interface", "key": "interface",
        "where": { "up": "true" }, "also": { "own": { "ubus": "network.interface.{key}", "method": "status" } } },
      "{i}": { "Name": { "type": "string", "source": "interface" },
        "Address": { "type": "string", "source": "ipv4-address[0].address" },
        "Device": { "type": "string", "source": "own:device" } } } } }"#;

const UPTIME: &str = "Device.X_00D09E_Bus.Uptime";
const ODD: &str = "Device.X_00D09E_Odd";

/// Starts an agent on this bus.
fn agent(bus: &Ubusd) -> Option<Agent> {
    let overlay = bus.run_directory().join("overlay.json");
    std::fs::write(&overlay, OVERLAY).expect("written");
    let agent = TR_181.gateway_at(&format!("http://{}/acs", closed_address())).data_model(overlay);
    let agent = with_mounts(agent, &[(bus.run_directory(), "/var/run")])?.start();
    agent.wait_for_control();
    bus.asked();
    Some(agent)
}

/// Returns why the source of `object` fails.
fn reason(agent: &Agent, object: &str) -> Option<String> {
    let status: Json = serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON");
    let failing = status["sources"]["failing"].as_array().cloned().unwrap_or_default();
    let of_object = failing.iter().find(|entry| entry["source"].as_str().is_some_and(|name| name.contains(object)))?;
    Some(of_object["reason"].as_str().expect("a reason").to_owned())
}

#[test]
fn values_and_rows_come_from_the_bus() {
    let bus = Ubusd::start();
    let Some(agent) = agent(&bus) else { return };
    let listed = agent.succeeds(&["get", "Device.X_00D09E_Port."]);
    let ports: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix("Device.X_00D09E_Port.")).collect();
    assert_eq!(
        ports,
        [
            "1.Name=lan",
            "1.Address=192.168.1.1",
            "1.Device=dev-lan",
            "2.Name=wan",
            "2.Address=192.0.2.1",
            "2.Device=dev-wan"
        ]
    );
    assert_eq!(
        bus.asked(),
        [
            "look up network.interface",
            "network.interface dump",
            "look up network.interface.lan",
            "look up network.interface.wan",
            "network.interface.lan status",
            "network.interface.wan status"
        ],
        "one call for all rows, and the questions of a round before their answers"
    );
    let listed = agent.succeeds(&["get", "Device.X_00D09E_Bus."]);
    assert!(listed.contains("Uptime=77\n") && listed.contains("Free=20971520\n"), "{listed}");
    // Each number has the type of the signature.
    assert!(listed.contains("Said=of:3=router long:4=00000000000000ff flag:7=01 other:5=00000007\n"), "{listed}");
    assert_eq!(bus.asked(), ["look up system", "system info", "look up echo", "echo get"]);
    let text = agent.succeeds(&["source", UPTIME]);
    assert!(text.starts_with(&format!("{UPTIME}=77\n  source  ubus system info (")), "{text}");
    bus.set_uptime(78);
    assert_eq!(agent.value(UPTIME), "78");
}

/// R164: a field is set by a method of its object, and set back if another value of the request is refused.
#[test]
fn a_field_is_set_by_a_method() {
    let bus = Ubusd::start();
    let state = |mode: &str| format!(r#"{{ "leds": {{ "power": {{ "mode": "{mode}", "on": false, "level": 3 }} }} }}"#);
    bus.answer("led", "get", "", &state("slow"));
    ["bright", "slow"].iter().for_each(|mode| bus.answer("led", "set", mode, "{}"));
    let Some(mut agent) = agent(&bus) else { return };
    let [mode, on] = ["Mode", "On"].map(|name| format!("Device.X_00D09E_Led.{name}"));
    let sets = || -> Vec<String> {
        bus.asked()
            .into_iter()
            .filter(|asked| asked.starts_with("led set") || asked.starts_with("led switch"))
            .collect()
    };
    agent.succeeds(&["set", &format!("{mode}=bright")]);
    assert_eq!(sets(), ["led set name:3=power mode:3=bright"]);
    bus.replace("led", "get", &state("bright"));
    assert_eq!(agent.value(&mode), "bright");
    agent.succeeds(&["set", &format!("{mode}=bright")]);
    assert_eq!(sets(), [""; 0], "a present value is not set");
    // The object has no method `switch`.
    let refused = agent.command(&["set", &format!("{mode}=slow"), &format!("{on}=true")]);
    assert!(!refused.status.success());
    let [slow, bright] = ["slow", "bright"].map(|mode| format!("led set name:3=power mode:3={mode}"));
    let [on, off] = ["true", "false"].map(|on| format!("led switch fast:7=01 on:3={on}"));
    assert_eq!(sets(), [&*slow, &on, &bright, &off, &bright], "a value that cannot be set back costs no other one");
    assert!(!agent.command(&["set", "Device.X_00D09E_Led.Level=4"]).status.success(), "it has no method");
    // Power fails between the method and the end of the request.
    agent.crash_and_restart();
    agent.wait_for_control();
    assert_eq!((agent.value(&mode), sets().len()), ("bright".to_owned(), 0));
}

/// More calls than wait at the same time: one look-up serves them all, and each answer reaches its call.
#[test]
fn many_calls_of_a_round_are_all_answered() {
    let bus = Ubusd::start();
    let keys: Vec<String> = (1..=100).map(|number| format!("k{number}")).collect();
    std::fs::write(bus.run_directory().join("many"), keys.join("\n")).expect("written");
    let Some(agent) = agent(&bus) else { return };
    let listed = agent.succeeds(&["get", "Device.X_00D09E_Many."]);
    for (number, key) in (1..).zip(&keys) {
        let line = format!("Device.X_00D09E_Many.{number}.Said=of:3={key}\n");
        assert!(listed.contains(&line), "{line}{listed}");
    }
    let asked = bus.asked();
    let count = |wanted: &str| asked.iter().filter(|question| *question == wanted).count();
    assert_eq!((count("look up echo"), count("echo get")), (1, 100));
}

#[test]
fn an_object_that_fails_costs_only_its_own_values() {
    let bus = Ubusd::start();
    let Some(agent) = agent(&bus) else { return };
    // A source rests after two failures in a row: each failure is followed by a success.
    for (conduct, why) in [
        (Conduct::Status(6), "permission denied (status 6)"),
        (Conduct::Status(4), "not found (status 4)"),
        (Conduct::Status(99), "unknown error (status 99)"),
        (Conduct::Malformed, "the answer is malformed"),
        (Conduct::Cut, "ubusd has closed the connection"),
        (Conduct::Garbage, "a malformed message"),
        (Conduct::TooLong, "a message of more than 1 MiB"),
    ] {
        bus.conduct(Conduct::Answers);
        assert_eq!(agent.value(ODD), "fine", "before {conduct:?}");
        assert_eq!(reason(&agent, "odd"), None);
        bus.conduct(conduct);
        assert_eq!(agent.value(ODD), "fine", "the last value stays after {conduct:?}");
        let found = reason(&agent, "odd").unwrap_or_default();
        assert!(found.contains(why), "{conduct:?}: {found}");
    }
    for (conduct, value) in
        [(Conduct::Long, "xxxxxxxxxxxxxxxxxxxx"), (Conduct::WrongType, "none"), (Conduct::Moves, "fine")]
    {
        if matches!(conduct, Conduct::Long) && emulator_lacks("the speed for a message of 1 MiB in a second") {
            continue;
        }
        bus.conduct(conduct);
        assert_eq!(agent.value(ODD), value, "{conduct:?}: {:?}", reason(&agent, "odd"));
    }
    let asked = bus.asked();
    let end = &asked[asked.len() - 3..];
    assert_eq!(end, ["odd get", "look up odd", "odd get"], "an object with another id is looked up once more");
    agent.succeeds(&["get", "Device.X_00D09E_Wrong."]);
    assert_eq!(reason(&agent, "no.object").as_deref(), Some("there is no such object on the bus"));
    assert_eq!(reason(&agent, "echo put").as_deref(), Some("the object has no such method (status 3)"));
    assert_eq!(reason(&agent, "of=7").as_deref(), Some("`get` takes `of` as another type"));
    assert_eq!(agent.value(UPTIME), "77");
}

#[test]
fn an_answer_that_comes_too_late_is_dropped() {
    let bus = Ubusd::start();
    let Some(agent) = agent(&bus) else { return };
    bus.conduct(Conduct::Silent);
    let began = Stopwatch::start();
    // The call of `echo` follows in the next round, after the silence; the late answer comes before its own.
    let text = agent.succeeds(&["get", "Device.X_00D09E_Odd", "Device.X_00D09E_Bus."]);
    assert!(began.elapsed() >= Duration::from_secs(1) && began.is_within(Duration::from_secs(5)), "{began:?}");
    assert!(text.contains("X_00D09E_Odd=\n") && text.contains("Said=of:3=router"), "{text}");
    assert_eq!(reason(&agent, "odd").as_deref(), Some("it hangs: no answer in time"));
    assert_eq!(reason(&agent, "echo"), None);
}

#[test]
fn the_bus_may_be_away_and_return() {
    let bus = Ubusd::start();
    let Some(agent) = agent(&bus) else { return };
    assert_eq!(agent.value(UPTIME), "77");
    bus.stop();
    bus.set_uptime(78);
    assert_eq!(agent.value(UPTIME), "77");
    let why = reason(&agent, "system info").unwrap_or_default();
    assert!(why.contains("no connection with ubusd: No such file"), "{why}");
    // Older systems have the socket elsewhere.
    bus.listen("ubus.sock");
    assert_eq!(agent.value(UPTIME), "78");
    assert_eq!(reason(&agent, "system info"), None);
}
