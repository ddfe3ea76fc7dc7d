//! Settings that cut the device off from its ACS: they come back by themselves, and the ACS is told.

mod power_cuts;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::uci::{PACKAGES, Router};
use super::uci_set::{Committer, Killer};
use crate::gateway::{BOOT, BOOTSTRAP, PERIODIC, SOON, VALUE_CHANGE};
use crate::support::fake_clock::FakeClock;
use crate::support::network::{in_own_network, sh};
use crate::support::port::{closed_address, of_its_own};
use crate::support::skip::skip_for_lack_of;
use crate::support::{
    AcsOptions, Agent, ManualAcs, add_object, delete_object, set_parameter_attributes, set_parameter_values,
};

/// The reload applies the user name of the WAN: a provider that does not know it gives no address.
const OVERLAY: &str = r#"{ "Device": {
    "X_00D09E_WAN": { "source": { "uci": "network", "at": "wan" },
      "Username": { "type": "string", "access": "readWrite", "pattern": "[a-z0-9@.-]*", "source": "username" },
      "MTU": { "type": "unsignedInt", "access": "readWrite", "source": { "field": "mtu", "absent": "1492" } } },
    "X_00D09E_VLAN": { "access": "readWrite", "source": { "uci": "network", "rows": "bridge-vlan", "identity": ["vlan"],
        "add": { "device": "br-lan" } },
      "{i}": { "Number": { "type": "string", "access": "readWrite", "pattern": "[0-9]*", "source": "vlan" },
        "Ports": { "type": "string", "access": "readWrite", "list": true, "source": { "field": "ports", "as": "words" } } } },
    "X_00D09E_Note": { "type": "string", "access": "readWrite", "value": "before" } },
  "actions": { "reboot": ["/bin/true"] },
  "reloads": { "network": { "run": ["@SCRIPT@"], "settle": 0, "confirmMinutes": 2 },
    "ManagementServer": { "confirmMinutes": 2 } } }"#;

const SCRIPT: &str = "#!/bin/sh\necho reload >> @PLACE@/reloads\n\
    if grep -q line-4711 /etc/config/network; then ip address replace 192.0.2.1/32 dev lo\n\
    else ip address delete 192.0.2.1/32 dev lo || true; fi\n";

const USERNAME: &str = "Device.X_00D09E_WAN.Username";
const MTU: &str = "Device.X_00D09E_WAN.MTU";
const VLAN: &str = "Device.X_00D09E_VLAN.";
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

/// Returns a package in which a technician has corrected the MTU, and added an option and a comment.
fn repaired(text: &str) -> String {
    let mtu = "\toption mtu '1400'\n";
    assert!(text.contains(mtu), "{text}");
    format!("# repaired on site\n{}", text.replace(mtu, "\toption mtu '1300'\n\toption ac 'isp'\n"))
}

impl Scene {
    /// Sets a user name that cuts the device off and another MTU, and lets a technician work on the file. Returns the text that the
    /// package has after the way back.
    fn cut_off_and_repair(&self, write: impl FnOnce(&str)) -> String {
        let position = self.agent.log_position();
        let values =
            [(USERNAME, "string", "wrong@isp.example"), (MTU, "unsignedInt", "1400"), (NOTE, "string", "after")];
        self.set(&values);
        self.agent.wait_for_log_after(position, "to be confirmed by a contact with the ACS within 120 s", SOON);
        self.agent.wait_for_log_after(position, "session failed", SOON);
        let text = repaired(&self.package());
        write(&text);
        text.replace("'wrong@isp.example'", "'line-4711@isp.example'")
    }

    /// Lets the agent wait too long for its ACS, and expects its values to be back, and those of the technician to stay.
    fn expect_merged(&self, expected: &str, events: &[&str]) {
        let position = self.agent.log_position();
        self.wait_too_long();
        self.expect_session(events, |inform| assert_eq!(inform.value(USERNAME), Some(LINE)));
        assert_eq!((self.package().as_str(), self.beside()), (expected, Vec::new()));
        assert_eq!((self.agent.value(MTU), self.agent.value(NOTE)), ("1300".into(), "before".into()));
        let stays = "uci network.wan.mtu: another program has changed it since";
        let log = self.agent.log_after(position);
        assert!(log.contains(&format!("not taken back: {stays}")), "{log}");
        let status = self.agent.succeeds(&["status"]);
        assert!(status.contains(&format!("; on the device stays {stays}")), "{status}");
    }
}

/// What a technician has put into the file since stays, option by option, and the rest goes back. So it is after a reboot,
/// and where an editor writes into the file itself. Changes that the technician has staged without a commit stay staged.
#[test]
fn what_somebody_has_changed_in_a_file_stays() {
    in_own_network("sources::unconfirmed::what_somebody_has_changed_in_a_file_stays", || {
        let Some(mut scene) = Scene::new() else { return };
        let staged = scene.router.path("staged");
        fs::create_dir(&staged).expect("a directory");
        fs::write(staged.join("network"), "network.wan.mtu='1111'\n").expect("written");
        let mount = format!("mkdir -p /tmp/.uci && mount --bind {} /tmp/.uci", staged.display());
        sh(&format!("nsenter -t {} -m sh -c '{mount}'", scene.agent.pid()));
        let expected = scene.cut_off_and_repair(|text| scene.router.commit("network", text));
        scene.expect_merged(&expected, &[PERIODIC, VALUE_CHANGE]);
        assert_eq!(scene.reloads(), 2);
        let text = fs::read_to_string(staged.join("network")).expect("the staged changes");
        assert_eq!(
            (text.as_str(), fs::read_dir(&staged).expect("a directory").count()),
            ("network.wan.mtu='1111'\n", 1)
        );
        // Once more, with an editor that writes into the file, and a power cut before the time is over.
        scene.router.commit("network", PACKAGES[2].1);
        scene.clock.advance(0);
        scene.agent.crash_and_restart();
        scene.agent.wait_for_control();
        let file = scene.router.path("etc/config/network");
        let expected = scene.cut_off_and_repair(|text| fs::write(&file, text).expect("written"));
        let position = scene.agent.log_position();
        scene.agent.reboot();
        scene.agent.wait_for_log_after(position, "session failed", SOON);
        scene.expect_merged(&expected, &[BOOT, PERIODIC, VALUE_CHANGE]);
    });
}

/// A package that another program has removed keeps nothing else from going back.
#[test]
fn a_package_that_is_gone_does_not_come_back() {
    in_own_network("sources::unconfirmed::a_package_that_is_gone_does_not_come_back", || {
        let Some(scene) = Scene::new() else { return };
        scene.cut_off();
        fs::remove_file(scene.router.path("etc/config/network")).expect("removed");
        scene.wait_too_long();
        scene.agent.wait_for_log("not taken back: /etc/config/network: No such file", SOON);
        assert_eq!((scene.agent.value(NOTE), scene.beside()), ("before".into(), Vec::new()));
        assert!(!scene.router.path("etc/config/network").exists());
        assert_eq!(scene.reloads(), 1, "nothing has changed on the device");
    });
}

/// Sections that the ACS has added go, and those that it has deleted come back, beside what a technician has changed in the file.
#[test]
fn sections_come_and_go_beside_the_changes_of_others() {
    in_own_network("sources::unconfirmed::sections_come_and_go_beside_the_changes_of_others", || {
        let Some(scene) = Scene::new() else { return };
        let position = scene.agent.log_position();
        assert_eq!(scene.agent.value(&format!("{VLAN}1.Number")), "10");
        scene.agent.succeeds(&["inform"]);
        scene.acs.expect_session(&[PERIODIC], |_, session| {
            session.succeeds(&set_parameter_values(&[(USERNAME, "string", "wrong@isp.example")], "k1"));
            for number in ["20", "30"] {
                let added = session.succeeds(&add_object(VLAN, "k2"));
                let name = format!("{VLAN}{}.Number", added.argument("InstanceNumber").expect("a number"));
                session.succeeds(&set_parameter_values(&[(&name, "string", number)], "k2"));
            }
            session.succeeds(&delete_object(&format!("{VLAN}1."), "k3"));
        });
        scene.agent.wait_for_log_after(position, "session failed", SOON);
        let text = scene.package();
        assert!(text.contains("vlan '20'") && text.contains("vlan '30'") && !text.contains("vlan '10'"), "{text}");
        // The technician goes on with the second one of the new sections, and adds another one.
        let text = text.replace("vlan '30'\n", "vlan '30'\n\tlist ports 'lan3:t'\n");
        let theirs = "\nconfig route 'theirs'\n\toption target '10.0.0.0/8'\n";
        scene.router.commit("network", &format!("{text}{theirs}"));
        scene.wait_too_long();
        scene.expect_session(&[PERIODIC, VALUE_CHANGE], |inform| assert_eq!(inform.value(USERNAME), Some(LINE)));
        let third = "\nconfig bridge-vlan 'cpe_bridge_vlan_3'\n\toption device 'br-lan'\n\toption vlan '30'\n\tlist ports 'lan3:t'\n";
        let original = PACKAGES[2].1.replace("\"line-4711@isp.example\"", "'line-4711@isp.example'");
        assert_eq!(scene.package(), format!("{original}{third}{theirs}"));
        assert!(scene.agent.log().contains("uci network.cpe_bridge_vlan_3: another program has changed it since"));
        let numbers = scene.agent.succeeds(&["get", VLAN]);
        assert!(
            numbers.contains("Number=10") && numbers.contains("3.Number=30") && !numbers.contains("=20"),
            "{numbers}"
        );
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

    /// Lets the settings go back, and kills the agent at a system call on the way, unless it is done before that.
    fn kill_on_the_way_back(&mut self, call: &str, number: u32) {
        let _killer = Killer::at(&self.agent, call, number);
        let position = self.agent.log_position();
        self.clock.advance(TOO_LATE);
        self.agent.command(&["get", NOTE]);
        let began = Instant::now();
        while self.agent.is_running() && !self.agent.log_after(position).contains("not reached in time") {
            assert!(began.elapsed() < SOON, "{call} {number}: neither killed nor taken back");
            std::thread::sleep(Duration::from_millis(10));
        }
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
        self.start_anew();
    }

    /// Kills and starts the agent: it has its reloads at once again. A session of the killed one leaves no connection.
    fn start_anew(&mut self) {
        self.clock.advance(0);
        self.agent.kill9();
        self.acs.clear();
        self.agent.restart();
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
            scene.kill_on_the_way_back(call, number);
            scene.acs.clear();
            scene.recover(&mut kills, &format!("{call} {number}"));
        }
        assert!(kills.iter().all(|count| *count >= 2), "{kills:?}");
    });
}

/// So it is where another program has changed the file: its changes stay, and those of the agent are there whole or not at all.
#[test]
fn a_kill_on_the_way_back_loses_no_change_of_others() {
    in_own_network("sources::unconfirmed::a_kill_on_the_way_back_loses_no_change_of_others", || {
        if !has_strace() {
            return;
        }
        let Some(mut scene) = Scene::new() else { return };
        let mut kills = [0; 2];
        for (call, number) in steps(&[("renameat", 1), ("unlinkat", 2), ("fsync", 4), ("write", 2)]) {
            let at = format!("{call} {number}");
            let expected = scene.cut_off_and_repair(|text| scene.router.commit("network", text));
            let before = scene.package();
            scene.kill_on_the_way_back(call, number);
            let found = scene.package();
            assert!([&before, &expected].contains(&&found), "{at}: {found}");
            scene.acs.clear();
            scene.clock.advance(0);
            let position = scene.agent.log_position();
            scene.agent.restart();
            scene.agent.wait_for_control();
            let is_back = scene.package() == expected;
            kills[usize::from(is_back)] += 1;
            if !is_back {
                assert_eq!(scene.package(), before, "{at}");
                scene.agent.wait_for_log_after(position, "session failed", SOON);
                scene.clock.advance(TOO_LATE);
            } else {
                scene.agent.succeeds(&["inform"]);
            }
            scene.serve(|| scene.agent.log_after(position).contains("session finished"));
            assert_eq!((scene.package(), scene.beside()), (expected, Vec::new()), "{at}");
            assert_eq!((scene.agent.value(USERNAME), scene.agent.value(NOTE)), (LINE.into(), "before".into()), "{at}");
            scene.router.commit("network", PACKAGES[2].1);
            scene.start_anew();
        }
        assert!(kills.iter().all(|count| *count >= 2), "{kills:?}");
    });
}

/// Another program that commits to the package all the time loses nothing, and neither does the way back.
#[test]
fn a_way_back_beside_a_second_writer_loses_nothing() {
    in_own_network("sources::unconfirmed::a_way_back_beside_a_second_writer_loses_nothing", || {
        let Some(mut scene) = Scene::new() else { return };
        let committer = Committer::start(&scene.router.path("etc/config/network"));
        for round in 0..5 {
            let position = scene.agent.log_position();
            scene.set(&[(USERNAME, "string", &format!("wrong-{round}@isp.example")), (NOTE, "string", "after")]);
            scene.agent.wait_for_log_after(position, "to be confirmed by a contact with the ACS", SOON);
            scene.agent.wait_for_log_after(position, "session failed", SOON);
            scene.wait_too_long();
            scene.expect_session(&[PERIODIC, VALUE_CHANGE], |inform| assert_eq!(inform.value(USERNAME), Some(LINE)));
            assert!(!scene.agent.log_after(position).contains("not taken back"), "{round}");
            scene.start_anew();
        }
        let commits = committer.end();
        assert!(commits > 100, "{commits}");
        let original = PACKAGES[2].1.replace("\"line-4711@isp.example\"", "'line-4711@isp.example'");
        assert_eq!(scene.package(), format!("{original}\nconfig other 'other'\n\toption number '{commits}'\n"));
    });
}
