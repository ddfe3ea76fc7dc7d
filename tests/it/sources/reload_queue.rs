//! The end of reloads: the queue of procd, and the conditions after it.

use std::sync::{Arc, Mutex};

use super::openwrt::Router;
use super::*;
use crate::support::stopwatch::Stopwatch;

const HOST_NAME: &str = "Device.DeviceInfo.HostName";
const CLIENT: &str = "Device.NAT.PortMapping.1.InternalClient";

/// A router whose firewall counts as back once the interface `lan` is up, and the scripts that procd has run, with their ends.
struct Scene {
    router: Router,
    acs: ManualAcs,
    agent: Agent,
    scripts: Arc<Mutex<Vec<(String, Instant)>>>,
}

impl Scene {
    fn new(firewall: &str) -> Option<Scene> {
        let router = Router::new();
        let acs = ManualAcs::start(AcsOptions::new());
        let overlay = router.path("firewall.json");
        fs::write(&overlay, format!(r#"{{ "reloads": {{ "firewall": {firewall} }} }}"#)).expect("written");
        router.bus.answer("service", "event", "", "{}");
        router.bus.answer("firewall", "reload", "", "{}");
        router.bus.answer("network.interface.lan", "status", "", r#"{ "up": false }"#);
        let agent = router.settable_at(&acs.url())?.data_model(overlay).log_level("debug").start();
        acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
        agent.wait_for_control();
        Some(Scene { router, acs, agent, scripts: Arc::default() })
    }

    /// Plays procd with scripts that take a second each.
    fn play_procd(&self) {
        let scripts = Arc::clone(&self.scripts);
        self.router.bus.play_procd(&self.agent.control(), move |package| {
            std::thread::sleep(Duration::from_secs(1));
            scripts.lock().expect("no panic").push((package.to_owned(), Instant::now()));
        });
    }

    /// Sets a value of each package in a session.
    fn set(&self) {
        self.agent.succeeds(&["inform"]);
        self.acs.expect_session(&["2 PERIODIC"], |_, session| {
            let values = [(HOST_NAME, "string", "gateway-9"), (CLIENT, "string", "192.168.1.99")];
            let answer = session.succeeds(&set_parameter_values(&values, "k"));
            assert_eq!(answer.argument("Status"), Some("1"));
        });
    }

    /// Waits for the next session, which may begin only after the reloads. Returns the instant of its Inform.
    fn next_session(&self) -> Instant {
        self.agent.succeeds(&["inform"]);
        let mut began = None;
        self.acs.expect_session(&["2 PERIODIC"], |_, _| began = Some(Instant::now()));
        began.expect("a session")
    }
}

/// R170: the next session begins when procd has run all scripts, and no later.
#[test]
fn the_end_of_the_queue_of_procd_ends_the_wait() {
    let Some(scene) = Scene::new(
        r#"{ "ubus": ["service", "event",
        { "type": "config.change", "data": { "package": "firewall" } }], "settle": 0 }"#,
    ) else {
        return;
    };
    scene.play_procd();
    scene.set();
    let began = Stopwatch::start();
    let session = scene.next_session();
    let scripts = scene.scripts.lock().expect("no panic").clone();
    let names: Vec<&str> = scripts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["firewall", "system"]);
    assert!(scripts.iter().all(|(_, ended)| *ended < session), "the session waits for the scripts");
    // `settle` of the host name is 3 s.
    assert!(session >= scripts[1].1 + Duration::from_secs(3) && began.is_within(Duration::from_secs(15)));
    assert!(!scene.agent.log().contains("procd has not told"), "{}", scene.agent.log());
    // A command that nobody awaits does nothing.
    scene.agent.succeeds(&["applied"]);
}

/// R170: without the command, the limit counts.
#[test]
fn without_the_command_of_procd_the_limit_ends_the_wait() {
    let Some(scene) = Scene::new(
        r#"{ "ubus": ["service", "event",
        { "type": "config.change", "data": { "package": "firewall" } }], "settle": 1, "limit": 2 }"#,
    ) else {
        return;
    };
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        session.succeeds(&set_parameter_values(&[(CLIENT, "string", "192.168.1.98")], "k"));
    });
    let began = Instant::now();
    scene.next_session();
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(scene.agent.log().contains("procd has not told"), "{}", scene.agent.log());
}

/// R170: where no init script asks for the last event, the wait is short.
#[test]
fn without_a_script_for_the_last_event_the_wait_is_short() {
    let Some(scene) = Scene::new(
        r#"{ "ubus": ["service", "event",
        { "type": "config.change", "data": { "package": "firewall" } }], "settle": 1, "limit": 120 }"#,
    ) else {
        return;
    };
    let services = r#"{ "firewall": { "triggers": [["config.change", ["if", ["eq", "package", "firewall"]]]] } }"#;
    scene.router.bus.answer("service", "list", "01", services);
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        session.succeeds(&set_parameter_values(&[(CLIENT, "string", "192.168.1.96")], "k"));
    });
    let began = Instant::now();
    scene.next_session();
    assert!(began.elapsed() >= Duration::from_secs(8) && began.elapsed() < Duration::from_secs(110));
    assert!(scene.agent.log().contains("no init script asks for it"), "{}", scene.agent.log());
}

/// R170: `up` delays the next session until it is true.
#[test]
fn a_condition_delays_the_next_session() {
    let Some(scene) = Scene::new(
        r#"{ "ubus": ["firewall", "reload"], "settle": 0, "limit": 60,
        "up": { "ubus": "network.interface.lan", "method": "status", "at": "up" } }"#,
    ) else {
        return;
    };
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        session.succeeds(&set_parameter_values(&[(CLIENT, "string", "192.168.1.97")], "k"));
    });
    scene.router.bus.asked();
    let asks = || scene.router.bus.asked().iter().any(|question| question == "network.interface.lan status");
    super::pushed::eventually("the condition", asks);
    scene.agent.succeeds(&["inform"]);
    assert!(scene.acs.accept(Duration::from_secs(2)).is_none(), "the interface is down");
    scene.router.bus.replace("network.interface.lan", "status", r#"{ "up": true }"#);
    scene.acs.expect_events(&["2 PERIODIC"]);
}
