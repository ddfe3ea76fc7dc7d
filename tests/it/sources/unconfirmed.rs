//! Settings that cut the device off from its ACS: they come back by themselves, and the ACS is told.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::time::{Duration, Instant};

use super::uci::{PACKAGES, Router};
use super::uci_set::Killer;
use crate::gateway::{BOOT, BOOTSTRAP, PERIODIC, SOON, VALUE_CHANGE};
use crate::support::fake_clock::FakeClock;
use crate::support::network::{in_own_network, sh};
use crate::support::port::{closed_address, of_its_own};
use crate::support::skip::skip_for_lack_of;
use crate::support::{AcsOptions, Agent, ManualAcs, set_parameter_attributes, set_parameter_values};

/// The reload applies the user name of the WAN: a provider that does not know it gives no address.
const OVERLAY: &str = r#"{ "Device": {
    "X_00D09E_WAN": { "source": { "uci": "network", "at": "wan" },
      "Username": { "type": "string", "access": "readWrite", "pattern": "[a-z0-9@.-]*", "source": "username" },
      "MTU": { "type": "unsignedInt", "access": "readWrite", "source": { "field": "mtu", "absent": "1492" } } },
    "X_00D09E_Note": { "type": "string", "access": "readWrite", "value": "before" } },
  "actions": { "reboot": ["/bin/true"] },
  "reloads": { "network": { "run": ["@SCRIPT@"], "settle": 0, "confirmMinutes": 2 },
    "ManagementServer": { "confirmMinutes": 2 } } }"#;

const SCRIPT: &str = "#!/bin/sh\necho reload >> @PLACE@/reloads\n\
    if grep -q line-4711 /etc/config/network; then ip address replace 192.0.2.1/32 dev lo\n\
    else ip address delete 192.0.2.1/32 dev lo || true; fi\n";

const USERNAME: &str = "Device.X_00D09E_WAN.Username";
const MTU: &str = "Device.X_00D09E_WAN.MTU";
const NOTE: &str = "Device.X_00D09E_Note";
const URL: &str = "Device.ManagementServer.URL";
const LINE: &str = "line-4711@isp.example";

/// More than the time of the model.
const TOO_LATE: u32 = 125;

/// A router in a network of its own, whose ACS is at the address of the WAN.
struct Scene {
    router: Router,
    acs: ManualAcs,
    clock: FakeClock,
    agent: Agent,
}

impl Scene {
    /// Makes a router whose user name of the WAN has active notification.
    fn new() -> Option<Scene> {
        sh("ip address replace 192.0.2.1/32 dev lo");
        let router = Router::with("");
        let (script, place) = (router.path("reload"), router.path("").display().to_string());
        fs::write(&script, SCRIPT.replace("@PLACE@", &place)).expect("written");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("rights");
        let overlay = OVERLAY.replace("@SCRIPT@", script.to_str().expect("UTF-8"));
        fs::write(router.path("overlay.json"), overlay).expect("written");
        let acs = ManualAcs::start(AcsOptions::new().address([0, 0, 0, 0]).port(of_its_own()));
        let agent = router.agent_at(&format!("http://192.0.2.1:{}/acs", acs.port()))?;
        let (agent, clock) = FakeClock::of(agent.set("Device.ManagementServer.PeriodicInformEnable", "false"))?;
        let scene = Scene { router, acs, clock, agent: agent.start() };
        scene.acs.expect_session(&[BOOTSTRAP, BOOT], |_, session| {
            session.succeeds(&set_parameter_attributes(&[(USERNAME, Some(2), None), (NOTE, Some(1), None)]));
        });
        scene.agent.wait_for_log("session finished", SOON);
        Some(scene)
    }

    fn package(&self) -> String {
        fs::read_to_string(self.router.path("etc/config/network")).expect("a package")
    }

    /// Returns the names of the files beside the packages.
    fn beside(&self) -> Vec<String> {
        let files = fs::read_dir(self.router.path("etc/config")).expect("a directory");
        let names = files.map(|file| file.expect("a file").file_name().into_string().expect("UTF-8"));
        names.filter(|name| name.starts_with('.')).collect()
    }

    fn reloads(&self) -> usize {
        fs::read_to_string(self.router.path("reloads")).unwrap_or_default().lines().count()
    }

    /// Lets the ACS set values by a session for which it has asked.
    fn set(&self, values: &[(&str, &str, &str)]) {
        self.agent.succeeds(&["inform"]);
        self.acs.expect_session(&[PERIODIC], |_, session| {
            session.succeeds(&set_parameter_values(values, "k1"));
        });
    }

    /// Sets a user name that cuts the device off, and waits until it has noticed.
    fn cut_off(&self) {
        let position = self.agent.log_position();
        self.set(&[(USERNAME, "string", "wrong@isp.example"), (NOTE, "string", "after")]);
        self.agent.wait_for_log_after(position, "to be confirmed by a contact with the ACS within 120 s", SOON);
        self.agent.wait_for_log_after(position, "session failed", SOON);
        assert_eq!(self.beside(), [".network.cpe-old"]);
    }

    /// Advances the clocks until the time to reach the ACS is over.
    fn wait_too_long(&self) {
        let position = self.agent.log_position();
        self.clock.advance(TOO_LATE);
        let is_over = || self.agent.log_after(position).contains("the ACS was not reached in time");
        FakeClock::hurry(&self.agent, SOON, is_over);
    }

    /// Waits for a session while the clocks of the agent are ahead of those of its waits.
    fn expect_session(&self, events: &[&str], steps: impl Fn(&crate::support::Message) + Sync) {
        std::thread::scope(|scope| {
            let session = scope.spawn(|| self.acs.expect_session(events, |inform, _| steps(inform)));
            FakeClock::hurry(&self.agent, SOON, || session.is_finished());
        });
    }

    fn expect_original(&self) {
        assert_eq!(self.package(), PACKAGES[2].1, "byte for byte");
        assert_eq!(self.beside(), [""; 0]);
        assert_eq!((self.agent.value(USERNAME), self.agent.value(NOTE)), (LINE.into(), "before".into()));
    }
}

/// R99, R164, R170: the setting comes back by itself, and the ACS is told that somebody else has changed the value.
#[test]
fn a_setting_that_cuts_the_device_off_comes_back() {
    in_own_network("sources::unconfirmed::a_setting_that_cuts_the_device_off_comes_back", || {
        let Some(scene) = Scene::new() else { return };
        let before = fs::metadata(scene.router.path("etc/config/network")).expect("a file").ino();
        scene.cut_off();
        let status = scene.agent.succeeds(&["status"]);
        let unconfirmed = format!("{USERNAME}, {NOTE}; the ACS must be reached within");
        assert!(status.contains("unconfirmed") && status.contains(&unconfirmed), "{status}");
        let json = scene.agent.succeeds(&["status", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let open = &json["sources"]["unconfirmed"];
        assert_eq!(open["parameters"], serde_json::json!([USERNAME, NOTE]));
        assert!(open["secondsLeft"].as_u64().is_some_and(|left| (60..=120).contains(&left)), "{open}");
        scene.wait_too_long();
        scene.expect_session(&[PERIODIC, VALUE_CHANGE], |inform| {
            assert_eq!(inform.value(USERNAME), Some(LINE));
            assert_eq!(inform.value(NOTE), Some("before"));
        });
        scene.expect_original();
        let after = fs::metadata(scene.router.path("etc/config/network")).expect("a file").ino();
        assert_eq!((after, scene.reloads()), (before, 2), "no data was copied");
        let status = scene.agent.succeeds(&["status"]);
        assert!(status.contains("taken back") && !status.contains("unconfirmed"), "{status}");
        assert_eq!(scene.agent.value("Device.ManagementServer.ParameterKey"), "k1", "R157");
        // The ACS tries once more, with a name that the provider knows.
        scene.agent.succeeds(&["inform"]);
        scene.expect_session(&[PERIODIC], |_| {});
    });
}

/// The next contact confirms a setting, with one record, and nothing is left of the old text.
#[test]
fn a_contact_confirms_a_setting() {
    in_own_network("sources::unconfirmed::a_contact_confirms_a_setting", || {
        let Some(mut scene) = Scene::new() else { return };
        scene.set(&[(MTU, "unsignedInt", "1400")]);
        // The agent asks for the session by itself. A change in it waits for another one.
        scene.acs.expect_session(&[PERIODIC], |_, session| {
            assert_eq!(scene.beside(), [""; 0], "it is confirmed by the InformResponse");
            session.succeeds(&set_parameter_values(&[(MTU, "unsignedInt", "1300")], "k2"));
            assert_eq!(scene.beside(), [".network.cpe-old"]);
            let old = fs::read_to_string(scene.router.path("etc/config/.network.cpe-old")).expect("the old text");
            assert!(old.contains("option mtu '1400'"));
        });
        // The restart of the agent begins the time anew.
        scene.agent.crash_and_restart();
        scene.acs.expect_session(&[PERIODIC], |_, session| assert_eq!(session.value(MTU), "1300"));
        scene.agent.wait_for_log("session finished", SOON);
        assert_eq!(scene.beside(), [""; 0]);
        assert_eq!(scene.package().matches("mtu '1300'").count(), 1);
        scene.agent.crash_and_restart();
        scene.agent.wait_for_control();
        assert!(!scene.agent.succeeds(&["status"]).contains("unconfirmed"));
        scene.acs.expect_no_session(Duration::from_millis(300));
    });
}

/// A reboot before the contact gives the device the whole time once more, and then the setting comes back.
#[test]
fn a_setting_comes_back_after_a_reboot() {
    in_own_network("sources::unconfirmed::a_setting_comes_back_after_a_reboot", || {
        let Some(mut scene) = Scene::new() else { return };
        scene.cut_off();
        let position = scene.agent.log_position();
        scene.agent.reboot();
        scene.agent.wait_for_log_after(position, "to be confirmed by a contact with the ACS within 120 s", SOON);
        scene.agent.wait_for_log_after(position, "session failed", SOON);
        assert_eq!(scene.reloads(), 1, "the boot has applied the setting");
        scene.wait_too_long();
        scene.expect_session(&[BOOT, PERIODIC, VALUE_CHANGE], |inform| assert_eq!(inform.value(USERNAME), Some(LINE)));
        scene.expect_original();
        // A device that restarts again and again never uses up the time: the fourth start takes the setting back.
        scene.clock.advance(0);
        scene.agent.crash_and_restart();
        scene.agent.wait_for_control();
        scene.cut_off();
        for start in 1..=4 {
            let position = scene.agent.log_position();
            scene.agent.reboot();
            let seconds = if start < 4 { 120 } else { 0 };
            let armed = format!("to be confirmed by a contact with the ACS within {seconds} s");
            scene.agent.wait_for_log_after(position, &armed, SOON);
        }
        scene.acs.expect_session(&[BOOT, PERIODIC, VALUE_CHANGE], |inform, _| {
            assert_eq!(inform.value(USERNAME), Some(LINE))
        });
        scene.expect_original();
    });
}

/// What a technician has put into the file since stays.
#[test]
fn a_file_that_somebody_has_changed_stays() {
    in_own_network("sources::unconfirmed::a_file_that_somebody_has_changed_stays", || {
        let Some(scene) = Scene::new() else { return };
        scene.cut_off();
        let text = format!("{}\n# repaired on site\n", scene.package().replace("wrong@", "line-4711@"));
        scene.router.commit("network", &text);
        scene.wait_too_long();
        assert_eq!((scene.package(), scene.beside()), (text, Vec::new()));
        assert!(scene.agent.log().contains("another program has changed the package since"));
        let status = scene.agent.succeeds(&["status"]);
        assert!(status.contains("on the device it stays"), "{status}");
    });
}

/// R25, R137: a URL that leads nowhere goes back to the one before, whose ACS gets 0 BOOTSTRAP.
#[test]
fn the_url_of_a_dead_acs_goes_back() {
    in_own_network("sources::unconfirmed::the_url_of_a_dead_acs_goes_back", || {
        let Some(scene) = Scene::new() else { return };
        let (url, dead) = (scene.agent.value(URL), format!("http://{}/acs", closed_address()));
        let position = scene.agent.log_position();
        scene.set(&[(URL, "string", &dead), ("Device.ManagementServer.Username", "string", "other")]);
        scene.agent.wait_for_log_after(position, "session failed", SOON);
        assert_eq!(scene.agent.value(URL), dead);
        scene.wait_too_long();
        scene.expect_session(&[BOOTSTRAP], |_| {});
        assert_eq!(scene.agent.value(URL), url);
        assert_eq!(scene.reloads(), 0, "the agent itself uses these values");
        assert!(scene.agent.log().contains("0 BOOTSTRAP: the ACS URL has changed"));
        // A URL at which an ACS answers stays.
        let other = ManualAcs::start(AcsOptions::new());
        scene.agent.succeeds(&["inform"]);
        std::thread::scope(|scope| {
            let sets = scope.spawn(|| {
                scene.acs.expect_session(&[PERIODIC], |_, session| session.set(URL, "string", &other.url()));
                other.expect_events(&[BOOTSTRAP]);
            });
            FakeClock::hurry(&scene.agent, SOON, || sets.is_finished());
        });
        scene.agent.wait_for_log(&format!("confirmed by a contact with the ACS: {URL}"), SOON);
        assert!(!scene.agent.succeeds(&["status"]).contains("unconfirmed"));
    });
}

impl Scene {
    /// Answers sessions, and wakes the agent, until the condition holds.
    fn serve(&self, mut condition: impl FnMut() -> bool) {
        let serve = || {
            if let Some(mut session) = self.acs.accept(Duration::from_millis(20)) {
                while let Some(message) = session.recv() {
                    match message.method.as_str() {
                        "" => return session.end_session(),
                        "Inform" => session.confirm_inform(),
                        _ => session.respond(&message),
                    }
                }
            }
        };
        FakeClock::hurry(&self.agent, SOON, || {
            serve();
            condition()
        });
    }

    /// Starts the killed agent, and looks whether the file has the one text or the other. Takes the latter back.
    fn recover(&mut self, kills: &mut [u32; 2], at: &str) {
        self.clock.advance(0);
        let position = self.agent.log_position();
        self.agent.restart();
        self.agent.wait_for_control();
        let is_old = self.package() == PACKAGES[2].1;
        let beside = if is_old { &[][..] } else { &[".network.cpe-old"][..] };
        assert_eq!(self.beside(), beside, "{at}");
        kills[usize::from(is_old)] += 1;
        if is_old {
            self.agent.succeeds(&["inform"]);
        } else {
            self.agent.wait_for_log_after(position, "session failed", SOON);
            self.clock.advance(TOO_LATE);
        }
        self.serve(|| self.agent.log_after(position).contains("session finished"));
        assert_eq!((self.agent.value(USERNAME), self.agent.value(NOTE)), (LINE.into(), "before".into()), "{at}");
        self.expect_original();
        // Another start has its reloads at once again.
        self.clock.advance(0);
        self.agent.crash_and_restart();
        self.agent.wait_for_control();
    }
}

/// The steps at which the agent is killed: a call, and its number.
fn steps(calls: &[(&'static str, u32)]) -> Vec<(&'static str, u32)> {
    calls.iter().flat_map(|(call, most)| (1..=*most).map(move |number| (*call, number))).collect()
}

fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").output().is_ok();
    if !found {
        skip_for_lack_of("strace");
    }
    found
}

/// R164, R171: wherever the agent is killed during the change, the file has the old text, or the new one and a way back.
#[test]
fn a_kill_during_the_change_leaves_a_way_back() {
    in_own_network("sources::unconfirmed::a_kill_during_the_change_leaves_a_way_back", || {
        if !has_strace() {
            return;
        }
        let Some(mut scene) = Scene::new() else { return };
        let mut kills = [0; 2];
        for (call, number) in steps(&[("linkat", 1), ("renameat", 1), ("fsync", 3), ("write", 1)]) {
            scene.agent.succeeds(&["inform"]);
            let (_, _, mut session) = scene.acs.next_session();
            let killer = Killer::at(&scene.agent, call, number);
            let values = [(USERNAME, "string", "wrong@isp.example"), (NOTE, "string", "after")];
            let is_confirmed = session.call(&set_parameter_values(&values, "k1")).is_some();
            drop(killer);
            if scene.agent.is_running() {
                session.end_session();
            }
            drop(session);
            scene.acs.clear();
            let is_lost = is_confirmed && scene.package() == PACKAGES[2].1;
            assert!(!is_lost, "{call} {number}: a confirmed change is lost");
            scene.recover(&mut kills, &format!("{call} {number}"));
        }
        assert!(kills.iter().all(|count| *count >= 2), "{kills:?}");
    });
}

/// R164: wherever the agent is killed on the way back, the file has one of the two texts, and the old one in the end.
#[test]
fn a_kill_on_the_way_back_leaves_a_way_back() {
    in_own_network("sources::unconfirmed::a_kill_on_the_way_back_leaves_a_way_back", || {
        if !has_strace() {
            return;
        }
        let Some(mut scene) = Scene::new() else { return };
        let mut kills = [0; 2];
        for (call, number) in steps(&[("linkat", 1), ("renameat", 1), ("unlink", 1), ("fsync", 3), ("write", 1)]) {
            scene.cut_off();
            let killer = Killer::at(&scene.agent, call, number);
            let position = scene.agent.log_position();
            scene.clock.advance(TOO_LATE);
            scene.agent.command(&["get", NOTE]);
            let began = Instant::now();
            while scene.agent.is_running() && !scene.agent.log_after(position).contains("not reached in time") {
                assert!(began.elapsed() < SOON, "{call} {number}: neither killed nor taken back");
                std::thread::sleep(Duration::from_millis(10));
            }
            drop(killer);
            scene.acs.clear();
            scene.recover(&mut kills, &format!("{call} {number}"));
        }
        assert!(kills.iter().all(|count| *count >= 2), "{kills:?}");
    });
}
