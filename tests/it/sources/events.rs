//! Values of the bus and of programs that the ACS watches: the device tells of their changes.

use super::pushed::{AT_ONCE, eventually, threads, watches};
use super::ubusd::Ubusd;
use super::*;
use crate::support::mount::with_mounts;
use crate::support::stopwatch::Stopwatch;

const WAN: &str = "Device.X_00D09E_WAN";
const ACME: &str = "Device.X_00D09E_Acme";

/// A device with a bus, on which the ACS watches two objects: one with events, and one with notifications.
struct Scene {
    bus: Ubusd,
    acs: ManualAcs,
    agent: Agent,
}

impl Scene {
    fn new() -> Option<Scene> {
        let (bus, acs) = (Ubusd::start(), ManualAcs::start(AcsOptions::new()));
        bus.answer("network.interface.pppoe", "status", "", r#"{ "up": true }"#);
        bus.answer("acme", "state", "", r#"{ "mode": "idle" }"#);
        let overlay = bus.run_directory().join("overlay.json");
        let text = r#"{ "Device": {
            "X_00D09E_WAN": { "type": "boolean",
              "source": { "ubus": "network.interface.pppoe", "method": "status", "field": "up", "age": 3600 } },
            "X_00D09E_Acme": { "type": "string",
              "source": { "ubus": "acme", "method": "state", "watch": "acme.*", "field": "mode", "absent": "none" } } } }"#;
        std::fs::write(&overlay, text).expect("written");
        let agent = TR_181.gateway_at(&acs.url()).data_model(overlay);
        let agent = with_mounts(agent, &[(bus.run_directory(), "/var/run")])?.start();
        acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |_, session| {
            session.succeeds(&set_parameter_attributes(&[(WAN, Some(2), None), (ACME, Some(2), None)]));
        });
        let scene = Scene { bus, acs, agent };
        eventually("the subscriptions", || scene.bus.notify("acme", "nothing") == 1);
        scene.bus.asked();
        Some(scene)
    }

    /// Waits for the session that reports a value.
    fn expect(&self, name: &str, value: &str, began: Stopwatch) {
        self.acs.expect_session(&["4 VALUE CHANGE"], |inform, _| {
            assert!(began.is_within(AT_ONCE), "{:?}", began.elapsed());
            assert_eq!(inform.value(name), Some(value));
        });
    }
}

/// R99, R198: an event of netifd and a notification of an object each start a session at once, also where an answer may serve
/// later requests.
#[test]
fn events_of_the_bus_start_a_session() {
    let Some(scene) = Scene::new() else { return };
    scene.bus.replace("network.interface.pppoe", "status", r#"{ "up": false }"#);
    let began = Stopwatch::start();
    assert_eq!(scene.bus.emit("network.interface", r#"{ "action": "ifdown", "interface": "pppoe" }"#), 1);
    scene.expect(WAN, "false", began);
    scene.bus.replace("acme", "state", r#"{ "mode": "busy" }"#);
    let began = Stopwatch::start();
    assert_eq!(scene.bus.notify("acme", "state.changed"), 1);
    scene.expect(ACME, "busy", began);
    scene.bus.replace("acme", "state", r#"{ "mode": "idle" }"#);
    let began = Stopwatch::start();
    assert_eq!(scene.bus.emit("acme.state", "{}"), 1);
    scene.expect(ACME, "idle", began);
    // Nothing registers for events that concern no watched value.
    assert_eq!(scene.bus.emit("dhcp.lease4", "{}"), 0);
}

/// R99, R198: after a restart of ubusd, and of a program behind it, changes are told again, and those of the meantime too.
#[test]
fn the_subscriptions_survive_a_restart_of_the_bus() {
    let Some(scene) = Scene::new() else { return };
    scene.bus.stop();
    scene.bus.replace("acme", "state", r#"{ "mode": "back" }"#);
    scene.bus.listen("ubus/ubus.sock");
    scene.acs.expect_session(&["4 VALUE CHANGE"], |inform, _| assert_eq!(inform.value(ACME), Some("back")));
    eventually("a subscription", || scene.bus.notify("acme", "nothing") == 1);
    // The program goes, and returns with another id.
    scene.bus.remove("acme");
    scene.bus.emit("ubus.object.remove", r#"{ "id": 1, "path": "acme" }"#);
    scene.bus.answer("another", "get", "", "{}");
    scene.bus.answer("acme", "state", "", r#"{ "mode": "new" }"#);
    let began = Stopwatch::start();
    assert_eq!(scene.bus.announce("acme"), 1);
    scene.expect(ACME, "new", began);
    eventually("a subscription", || scene.bus.notify("acme", "nothing") == 1);
}

/// What nobody watches registers for nothing.
#[test]
fn without_a_watched_value_nobody_listens() {
    let Some(scene) = Scene::new() else { return };
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        session.succeeds(&set_parameter_attributes(&[(WAN, Some(0), None), (ACME, Some(0), None)]));
    });
    eventually("the end of the watch", || !watches(&scene.agent));
    eventually("the end of the connection", || scene.bus.notify("acme", "nothing") == 0);
    assert_eq!(scene.bus.emit("ubus.object.add", r#"{ "id": 1, "path": "acme" }"#), 0);
}

/// R99, R198: a program tells of its changes by lines. It is started once, again after its end, and ends with the watch.
#[test]
fn a_program_that_watches_starts_a_session() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    device.write("fan.mode", "Off");
    device.program(
        "fan",
        "case $1 in get) printf 'mode\\t%s\\n' \"$(cat fan.mode)\";; \
         watch) echo $$ >>watchers; exec tail -n +1 -F fan.changes 2>/dev/null;; esac",
    );
    let overlay = format!(
        r#"{{ "Device": {{ "X_00D09E_Fan": {{ "type": "string",
            "source": {{ "exec": ["{}"], "watch": true, "field": "mode" }} }} }} }}"#,
        device.path("fan")
    );
    device.write("fan.json", &overlay);
    let agent = TR_181.gateway_at(&acs.url()).data_model(device.path("fan.json")).start();
    let fan = "Device.X_00D09E_Fan";
    acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |_, session| {
        session.succeeds(&set_parameter_attributes(&[(fan, Some(2), None)]));
    });
    let watchers = || fs::read_to_string(device.path("watchers")).unwrap_or_default();
    let runs = || watchers().lines().count();
    let append = |text: &str| {
        let mut file =
            fs::OpenOptions::new().append(true).create(true).open(device.path("fan.changes")).expect("a file");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
    };
    append("");
    eventually("the program", || runs() == 1);
    for mode in ["Low", "High"] {
        device.write("fan.mode", mode);
        append("\n");
        acs.expect_session(&["4 VALUE CHANGE"], |inform, _| assert_eq!(inform.value(fan), Some(mode)));
    }
    assert_eq!(runs(), 1, "one run for all changes");
    // A line without end ends the program, and the change is found by its next run.
    device.write("fan.mode", "Off");
    append(&"x".repeat(5000));
    acs.expect_session(&["4 VALUE CHANGE"], |inform, _| assert_eq!(inform.value(fan), Some("Off")));
    eventually("another run", || runs() >= 2);
    assert!(agent.log().contains("fan watch: a line of more than 4 KiB; it starts again in 1 s"));
    agent.succeeds(&["inform"]);
    acs.expect_session(&["2 PERIODIC"], |_, session| {
        session.succeeds(&set_parameter_attributes(&[(fan, Some(0), None)]));
    });
    eventually("the end of the watch", || !threads(&agent).iter().any(|name| name.trim() == "values"));
    let last = watchers().lines().last().expect("a run").to_owned();
    eventually("the end of the program", || !Path::new(&format!("/proc/{last}")).exists());
}
