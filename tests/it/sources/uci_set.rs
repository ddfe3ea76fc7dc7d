//! Values that the ACS sets in UCI packages: the files, the journal, and the reloads that follow the session.

mod storage;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::openwrt_set::says;
use super::uci::{PACKAGES, Router, values};
use crate::support::agent::patience;
use crate::support::skip::skip_for_lack_of;
use crate::support::{
    AcsOptions, AcsSession, Agent, ManualAcs, add_object, delete_object, get_parameter_names, reboot,
    set_parameter_attributes, set_parameter_values,
};

const LIMIT: Duration = Duration::from_secs(20);

const OVERLAY: &str = r#"{ "Device": {
    "X_00D09E_System": { "source": { "uci": "system", "at": "@system[0]", "also": { "ntp": { "uci": "system", "at": "ntp" } } },
      "Name": { "type": "string", "access": "readWrite", "pattern": "[A-Za-z0-9-]{1,63}", "source": "hostname" },
      "Note": { "type": "string", "access": "readWrite", "source": "notes" },
      "LogSize": { "type": "unsignedInt", "access": "readWrite", "source": "log_size" },
      "Zone": { "type": "string", "access": "readWrite", "source": { "field": "timezone", "set": false } },
      "Place": { "type": "unsignedInt", "access": "readWrite", "source": ".position" },
      "Servers": { "type": "string", "list": true, "access": "readWrite", "source": { "field": "ntp:server", "as": "words" } } },
    "X_00D09E_Lan": { "source": { "uci": "network", "at": "lan", "also": { "dhcp": { "uci": "dhcp", "at": "lan" } } },
      "MTU": { "type": "unsignedInt", "access": "readWrite", "source": { "field": "mtu", "absent": "1500" } },
      "Lease": { "type": "int", "access": "readWrite", "source": { "field": "dhcp:leasetime", "as": "duration" } } },
    "X_00D09E_Radio": { "source": { "uci": "wireless", "rows": "wifi-device" },
      "{i}": { "Band": { "type": "string", "source": "band" },
        "Channel": { "type": "string", "access": "readWrite", "source": "channel" } } },
    "X_00D09E_Preferred": { "type": "string", "access": "readWrite",
      "source": { "uci": "system", "at": "ntp", "field": "band", "path": "Device.X_00D09E_Radio.*.Band" } },
    "X_00D09E_SSIDNumberOfEntries": { "type": "unsignedInt", "counts": "X_00D09E_SSID" },
    "X_00D09E_SSID": { "access": "readWrite", "maxEntries": 4,
      "source": { "uci": "wireless", "rows": "wifi-iface", "where": { "mode": "ap" },
        "add": { "mode": "ap", "network": "lan", "encryption": "none", "disabled": "1" } },
      "{i}": {
        "SSID": { "type": "string", "access": "readWrite", "maxLength": 32, "source": "ssid" },
        "Mode": { "type": "string", "access": "readWrite", "source": { "field": "encryption",
          "map": { "none": "None", "psk2*": "WPA2", "psk2": "WPA2" } } },
        "Key": { "type": "string", "access": "readWrite", "hidden": true, "pattern": "[ -~]{8,63}", "source": "key" },
        "Enable": { "type": "boolean", "access": "readWrite", "source": { "field": "disabled", "as": "!boolean", "absent": "true" } },
        "LowerLayers": { "type": "string", "access": "readWrite", "source": { "field": "device", "path": "Device.X_00D09E_Radio.*" } } } },
    "X_00D09E_AP": { "source": { "follows": "Device.X_00D09E_SSID" }, "{i}": {
        "Mine": { "type": "string", "access": "readWrite" },
        "SSID": { "type": "string", "source": "ssid" } } },
    "X_00D09E_Rule": { "source": { "uci": "firewall", "rows": "rule", "identity": ["name"] },
      "{i}": {
        "Name": { "type": "string", "access": "readWrite", "pattern": "[A-Za-z-]*", "source": "name" },
        "Note": { "type": "string", "access": "readWrite" } } } },
  "actions": { "reboot": ["/bin/true"] },
  "reloads": { @RELOADS@ } }"#;

/// Returns the overlay with these reloads.
pub(super) fn overlay(reloads: &str) -> String {
    OVERLAY.replace("@RELOADS@", reloads)
}

const SYSTEM: &str = "Device.X_00D09E_System.";
const LAN: &str = "Device.X_00D09E_Lan.";
const SSID: &str = "Device.X_00D09E_SSID.";
const RULE: &str = "Device.X_00D09E_Rule.";

/// A router with an ACS, whose reloads write their names to a file.
struct Scene {
    router: Router,
    /// The directory with the names of the reloads.
    place: TempDir,
    acs: ManualAcs,
    agent: Agent,
}

impl Scene {
    fn new() -> Option<Scene> {
        Scene::with("exit 0")
    }

    /// Makes a scene in which each reload runs a script after it has told its name.
    fn with(script: &str) -> Option<Scene> {
        Scene::on(script, |_| true)
    }

    /// Makes the same on a router that is prepared before the agent starts; false stands for a test that is skipped.
    fn on(script: &str, prepare: impl FnOnce(&Router) -> bool) -> Option<Scene> {
        let place = tempfile::tempdir().expect("a directory");
        let reload = |(name, order): (&str, u32)| {
            let log = place.path().join("reloads").display().to_string();
            format!(
                r#""{name}": {{ "run": ["/bin/sh", "-c", "echo {name} >> {log}; {script}"], "settle": 0, "order": {order} }}"#
            )
        };
        let reloads: Vec<String> =
            [("system", 90), ("network", 50), ("dhcp", 60), ("wireless", 10), ("firewall", 50)].map(reload).into();
        let router = Router::with(&overlay(&reloads.join(", ")));
        if !prepare(&router) {
            return None;
        }
        let acs = ManualAcs::start(AcsOptions::new());
        let agent = router.agent_at(&acs.url())?.log_level("debug").start();
        acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
        agent.wait_for_control();
        Some(Scene { router, place, acs, agent })
    }

    /// Returns the names of the reloads that have run.
    fn reloads(&self) -> Vec<String> {
        fs::read_to_string(self.place.path().join("reloads")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Waits until this many reloads have run.
    fn wait_for_reloads(&self, count: usize) -> Vec<String> {
        let began = Instant::now();
        while self.reloads().len() < count && began.elapsed() < LIMIT {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.reloads()
    }

    fn package(&self, name: &str) -> String {
        fs::read_to_string(self.router.path("etc/config").join(name)).expect("a package")
    }

    /// Returns what tells that a package was written: its file, and the instant of its change.
    fn mark(&self, name: &str) -> (u64, i64, i64) {
        let found = fs::metadata(self.router.path("etc/config").join(name)).expect("a package");
        (found.ino(), found.mtime(), found.mtime_nsec())
    }

    fn journal(&self) -> Vec<u8> {
        fs::read(self.agent.state_dir().join("journal")).expect("a journal")
    }

    /// Returns the number of files in the directory of the packages.
    fn files(&self) -> usize {
        fs::read_dir(self.router.path("etc/config")).expect("a directory").count()
    }
}

fn text_of(name: &str) -> &'static str {
    PACKAGES.iter().find(|(package, _)| *package == name).expect("a package").1
}

/// Sets a value that takes effect after the session.
fn set(session: &mut AcsSession, name: &str, value: &str) {
    let answer = session.succeeds(&set_parameter_values(&[(name, "string", value)], "k"));
    assert_eq!(answer.argument("Status"), Some("1"));
}

fn lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// R164, R169, R170: one record, one file, and one reload after the session.
#[test]
fn a_value_is_set_in_its_package() {
    let Some(scene) = Scene::new() else { return };
    scene.agent.succeeds(&["inform"]);
    let expected = text_of("system").replace("option hostname 'gateway'", "option hostname 'home-7'");
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        let names = session.succeeds(&get_parameter_names(SYSTEM, true));
        for (name, writable) in
            [("Name", true), ("LogSize", true), ("Servers", true), ("Zone", false), ("Place", false)]
        {
            assert_eq!(names.writable(&format!("{SYSTEM}{name}")), Some(writable), "{name}");
        }
        let before = lines(&scene.journal());
        let answer = session.succeeds(&set_parameter_values(&[(&format!("{SYSTEM}Name"), "string", "home-7")], "k1"));
        assert_eq!(answer.argument("Status"), Some("1"));
        assert_eq!(lines(&scene.journal()), before + 1, "the value, the key and the file are one record");
        assert_eq!(scene.package("system"), expected, "all other bytes stay");
        assert_eq!(session.value(&format!("{SYSTEM}Name")), "home-7");
        assert_eq!(scene.files(), PACKAGES.len(), "no file is left beside the packages");
        // What is there already is no change, and still waits for the reload.
        let (mark, journal) = (scene.mark("system"), scene.journal());
        let answer = session.succeeds(&set_parameter_values(&[(&format!("{SYSTEM}Name"), "string", "home-7")], "k1"));
        assert_eq!(answer.argument("Status"), Some("1"));
        let answer = session.succeeds(&set_parameter_values(&[(&format!("{SYSTEM}LogSize"), "string", "128")], "k1"));
        assert_eq!(answer.argument("Status"), Some("1"));
        let answer = session.succeeds(&set_parameter_values(&[(&format!("{LAN}MTU"), "unsignedInt", "1500")], "k1"));
        assert_eq!(answer.argument("Status"), Some("0"), "its package waits for nothing");
        assert_eq!((scene.mark("system"), scene.journal()), (mark, journal));
        session.refuses(&set_parameter_values(&[(&format!("{SYSTEM}Zone"), "string", "UTC0")], "k"), 9003);
        assert!(scene.reloads().is_empty(), "a reload waits for the end of the session");
    });
    assert_eq!(scene.wait_for_reloads(1), ["system"]);
    // The next session comes after it, and without a value change (R172).
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        assert_eq!(session.value(&format!("{SYSTEM}Name")), "home-7");
        assert_eq!(session.value("Device.ManagementServer.ParameterKey"), "k1");
        let answer = session.succeeds(&set_parameter_values(&[(&format!("{SYSTEM}Name"), "string", "home-7")], "k1"));
        assert_eq!(answer.argument("Status"), Some("0"), "the reload has run");
    });
    assert_eq!(scene.reloads().len(), 1);
    let log = scene.agent.log();
    assert!(log.contains(&format!("set on the device by the ACS in session 2: {SYSTEM}Name")), "{log}");
}

/// R164, R165: several packages in one request, all or none.
#[test]
fn several_packages_change_together_or_not_at_all() {
    let Some(scene) = Scene::new() else { return };
    scene.agent.succeeds(&["inform"]);
    let names = ["1.SSID", "2.Enable", "1.Key", "1.LowerLayers", "1.Mode"].map(|name| format!("{SSID}{name}"));
    let (mtu, lease, servers) = (format!("{LAN}MTU"), format!("{LAN}Lease"), format!("{SYSTEM}Servers"));
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        let refused = session.refuses(
            &set_parameter_values(
                &[
                    (&names[0], "string", "New"),
                    (&mtu, "unsignedInt", "1492"),
                    (&names[4], "string", "WPA9"),
                    (&names[3], "string", "Device.X_00D09E_Radio.9"),
                    (&servers, "string", "a b,c"),
                ],
                "k",
            ),
            9003,
        );
        assert_eq!(refused.xml.matches("<FaultCode>9007<").count(), 3, "{}", refused.xml);
        for (name, text) in PACKAGES {
            assert_eq!(scene.package(name), text, "{name}");
        }
        let answer = session.succeeds(&set_parameter_values(
            &[
                (&names[0], "string", "it's \"$(reboot)\"; `x` \\ é"),
                (&mtu, "unsignedInt", "1492"),
                (&names[1], "boolean", "1"),
                (&lease, "int", "-1"),
                (&names[2], "string", "correct 'horse'"),
                (&names[3], "string", "Device.X_00D09E_Radio.2"),
                (&servers, "string", "time.example,10.0.0.1"),
            ],
            "k",
        ));
        assert_eq!(answer.argument("Status"), Some("1"));
        assert_eq!(session.value(&names[0]), "it's \"$(reboot)\"; `x` \\ é");
        assert_eq!(session.value(&names[1]), "true");
        assert_eq!(session.value(&names[3]), "Device.X_00D09E_Radio.2");
        assert_eq!(session.value(&servers), "time.example,10.0.0.1");
        assert_eq!(session.value(&lease), "-1");
    });
    let wireless = text_of("wireless")
        .replacen("'Café 7'", r#"'it'\''s "$(reboot)"; `x` \ é'"#, 1)
        .replacen("'correct horse battery'", r"'correct '\''horse'\'''", 1)
        .replacen("option device 'radio0'", "option device 'radio1'", 1)
        .replacen("option disabled '1'", "option disabled '0'", 1);
    assert_eq!(scene.package("wireless"), wireless);
    assert!(scene.package("dhcp").contains("leasetime") && scene.package("dhcp").contains("infinite"));
    assert!(scene.package("system").contains("\tlist server 'time.example'\n\tlist server '10.0.0.1'\n"));
    assert!(scene.package("network").contains("\toption mtu '1492'\n"));
    // The lower ones first, and equal ones by their names.
    assert_eq!(scene.wait_for_reloads(4), ["wireless", "network", "dhcp", "system"]);
    assert!(!scene.agent.log().contains("horse"), "a hidden value is in no log");
}

/// A reference by the name of an instance is written as this name.
#[test]
fn a_reference_by_name_is_set() {
    let Some(scene) = Scene::new() else { return };
    const NAME: &str = "Device.X_00D09E_Preferred";
    scene.agent.succeeds(&["set", &format!("{NAME}=Device.X_00D09E_Radio.2")]);
    assert!(scene.package("system").contains("\toption band '5g'\n"), "{}", scene.package("system"));
    assert_eq!(scene.agent.value(NAME), "Device.X_00D09E_Radio.2");
    let refused = scene.agent.command(&["set", &format!("{NAME}=Device.X_00D09E_Radio.9")]);
    assert!(!refused.status.success());
}

/// Control characters and settings that contradict each other are refused (R168).
#[test]
fn what_the_device_cannot_store_is_refused() {
    let Some(scene) = Scene::new() else { return };
    scene.agent.succeeds(&["inform"]);
    let ssid = format!("{SSID}1.SSID");
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        for text in ["a\nb", "a\tb", "a\rb", "\u{7F}"] {
            let refused = session.refuses(&set_parameter_values(&[(&ssid, "string", text)], "k"), 9003);
            assert!(refused.xml.contains("<FaultCode>9007<"), "{text:?}: {}", refused.xml);
        }
        let note = format!("{SYSTEM}Note");
        let long = "x".repeat(64 * 1024);
        session.succeeds(&set_parameter_values(&[(&note, "string", &long)], "k"));
        assert_eq!(session.value(&note).len(), long.len());
        // An empty text removes the option.
        session.succeeds(&set_parameter_values(&[(&note, "string", "")], "k"));
        assert_eq!(scene.package("system"), text_of("system"));
    });
    assert_eq!(scene.package("wireless"), text_of("wireless"));
    let refused = scene.agent.command(&["set", &format!("{ssid}=a\nb")]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("control character"));
}

/// R217: an anonymous section gets a name when it is changed, and keeps its instance.
#[test]
fn an_anonymous_section_keeps_its_instance_when_it_is_set() {
    let Some(mut scene) = Scene::new() else { return };
    let name = format!("{RULE}2.Name");
    assert_eq!(scene.agent.value(&name), "Allow-Ping");
    scene.agent.succeeds(&["set", &format!("{RULE}2.Note=desk")]);
    scene.agent.succeeds(&["set", &format!("{name}=Allow-Echo")]);
    assert!(scene.package("firewall").contains("config rule 'cpe_rule_2'\n"), "{}", scene.package("firewall"));
    assert!(scene.package("firewall").contains("Allow-Echo"));
    let expected = ["2.Name=Allow-Echo", "2.Note=desk"];
    let rules =
        |agent: &Agent| values(agent, RULE).into_iter().filter(|line| line.starts_with("2.")).collect::<Vec<_>>();
    assert_eq!(rules(&scene.agent), expected);
    assert_eq!(values(&scene.agent, RULE).len(), 6, "no instance came or went");
    assert_eq!(scene.wait_for_reloads(1), ["firewall"], "a local change has its reload too");
    scene.agent.crash_and_restart();
    scene.agent.wait_for_control();
    assert_eq!(rules(&scene.agent), expected);
}

/// A hundred changes in a session are one reload, which a restart of the agent does not lose.
#[test]
fn many_changes_are_one_reload() {
    let Some(mut scene) = Scene::new() else { return };
    scene.agent.succeeds(&["inform"]);
    let size = format!("{SYSTEM}LogSize");
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        for number in 1..=100 {
            set(session, &size, &(1000 + number).to_string());
        }
        assert!(scene.reloads().is_empty());
    });
    assert_eq!(scene.wait_for_reloads(1), ["system"]);
    // The reload of a change that is followed by a crash runs after the restart.
    scene.agent.succeeds(&["inform"]);
    let (_, _, mut session) = scene.acs.next_session();
    set(&mut session, &size, "2000");
    scene.agent.kill9();
    drop(session);
    scene.agent.restart();
    assert_eq!(scene.wait_for_reloads(2), ["system", "system"]);
    scene.agent.wait_for_control();
    assert_eq!(scene.agent.value(&size), "2000");
}

/// A reboot starts all services with the new files, so that nothing is owed after it.
#[test]
fn a_reboot_pays_what_is_owed() {
    let Some(mut scene) = Scene::new() else { return };
    scene.agent.succeeds(&["inform"]);
    let (_, _, mut session) = scene.acs.next_session();
    set(&mut session, &format!("{SYSTEM}LogSize"), "2000");
    scene.agent.kill9();
    drop(session);
    scene.agent.reboot();
    scene.acs.expect_session(&["1 BOOT"], |_, session| {
        assert_eq!(session.value(&format!("{SYSTEM}LogSize")), "2000");
        let answer =
            session.succeeds(&set_parameter_values(&[(&format!("{SYSTEM}LogSize"), "unsignedInt", "2000")], "k"));
        assert_eq!(answer.argument("Status"), Some("0"));
    });
    assert!(scene.reloads().is_empty());
}

/// Returns the time that the agent has used, in ticks of a hundredth of a second. It may be the child of its runner.
fn used_time(agent: &Agent) -> u64 {
    let own = agent.pid().to_string();
    let stat = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("stat")).ok();
    let processes = fs::read_dir("/proc").expect("processes").flatten().filter_map(stat);
    let time = |stat: String| {
        let (begin, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let is_agent = begin.split(' ').next() == Some(&*own) || fields[1] == own;
        is_agent.then(|| fields[11].parse::<u64>().ok().zip(fields[12].parse::<u64>().ok()))?
    };
    processes.filter_map(time).map(|(user, system)| user + system).sum()
}

/// A reload that waits for the device to go down, or for its next start, costs no time.
#[test]
fn a_reload_before_a_reboot_keeps_no_processor_busy() {
    let Some(scene) = Scene::new() else { return };
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        set(session, &format!("{SYSTEM}LogSize"), "2000");
        session.succeeds(&reboot("r1"));
    });
    scene.agent.wait_for_log("rebooting", LIMIT);
    let (began, before) = (Instant::now(), used_time(&scene.agent));
    while began.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let used = used_time(&scene.agent) - before;
    let most = patience(Duration::from_millis(200)).as_millis() / 10;
    assert!(u128::from(used) < most, "{used} ticks in two seconds");
    assert!(scene.reloads().is_empty());
}

/// A rule with the name that another one had before stays as it is when the value is checked before the reload.
#[test]
fn a_rule_beside_one_of_the_same_name_stays_as_it_is() {
    let Some(scene) = Scene::new() else { return };
    scene.router.commit("firewall", &text_of("firewall").replace("Block-Telnet", "Allow-Ping"));
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        assert_eq!(session.value(&format!("{RULE}2.Name")), "Allow-Ping");
        set(session, &format!("{RULE}2.Name"), "Allow-Echo");
    });
    assert_eq!(scene.wait_for_reloads(1), ["firewall"]);
    let package = scene.package("firewall");
    assert!(package.contains("Allow-Ping") && package.matches("Allow-Echo").count() == 1, "{package}");
    assert!(!scene.agent.log().contains("another program has overwritten"));
}

/// A reload that ends the agent, such as one that restarts all services, is repeated by the next start, and by no later one.
#[test]
fn a_reload_that_ends_the_agent_is_no_loop() {
    let Some(mut scene) = Scene::with("kill -9 $PPID") else { return };
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| set(session, &format!("{SYSTEM}LogSize"), "2000"));
    for count in 1..=2 {
        assert_eq!(scene.wait_for_reloads(count).len(), count);
        scene.agent.kill9();
        scene.agent.restart();
    }
    scene.agent.wait_for_control();
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_events(&["2 PERIODIC"]);
    assert_eq!(scene.reloads().len(), 2);
}

/// A reload that fails is repeated once, `status` tells of it, and the ACS gets its sessions.
#[test]
fn a_reload_that_fails_is_repeated_once() {
    let Some(scene) = Scene::with("exit 3") else { return };
    scene.agent.succeeds(&["set", &format!("{SYSTEM}LogSize=1")]);
    scene.agent.wait_for_log("reload system: the command ended with exit status 3; once more in 10 s", LIMIT);
    let status = scene.agent.succeeds(&["status"]);
    assert!(status.contains("reload owed    system") && status.contains("reload failed  system: "), "{status}");
    scene.agent.succeeds(&["inform"]);
    let began = Instant::now();
    scene.acs.expect_session(&["2 PERIODIC"], |_, _| assert!(began.elapsed() > Duration::from_secs(5)));
    assert_eq!(scene.reloads(), ["system", "system"]);
    assert!(!scene.agent.succeeds(&["status"]).contains("reload owed"));
    assert!(scene.package("system").contains("'1'"), "the configuration stays");
}

/// Kills the agent at one of its system calls. The value ends when the agent does.
pub(super) struct Killer(Child);

impl Killer {
    /// Waits for the call of this number from now on, counted for each thread.
    pub(super) fn at(agent: &Agent, call: &str, number: u32) -> Killer {
        Killer::with(agent, call, number, &["-f"])
    }

    /// Does the same in the main thread alone, so that the programs of the agent run on.
    pub(super) fn in_main_thread(agent: &Agent, call: &str, number: u32) -> Killer {
        Killer::with(agent, call, number, &[])
    }

    fn with(agent: &Agent, call: &str, number: u32, options: &[&str]) -> Killer {
        let pid = agent.pid().to_string();
        let inject = format!("inject={call}:signal=KILL:when={number}");
        let trace = format!("trace={call}");
        let mut command = Command::new("strace");
        command.args(options).args(["-qq", "-o", "/dev/null", "-p", &pid, "-e", &trace, "-e", &inject]);
        let killer = Killer(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace starts"));
        let is_traced = |task: fs::DirEntry| {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            !status.contains("TracerPid:\t0\n")
        };
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            let mut tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the agent runs").flatten();
            let is_main = |task: &fs::DirEntry| task.file_name().to_str() == Some(&pid);
            if tasks.all(|task| (options.is_empty() && !is_main(&task)) || is_traced(task)) {
                return killer;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("strace does not trace the agent");
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        // At times it waits without end for an agent that is about to end.
        let began = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) && began.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// R164, R171: a change of three packages is whole or not there, wherever the agent is killed.
#[test]
fn a_kill_at_any_step_leaves_all_or_nothing() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip_for_lack_of("strace");
    }
    let Some(mut scene) = Scene::new() else { return };
    let names = [format!("{SYSTEM}LogSize"), format!("{LAN}MTU"), format!("{SSID}1.SSID"), format!("{RULE}1.Note")];
    let read = |agent: &Agent| names.each_ref().map(|name| agent.value(name));
    let mut kills = [0; 2];
    let mut value = 1000;
    let mut present = read(&scene.agent);
    for call in ["write", "fsync", "renameat", "unlinkat"] {
        for number in 1.. {
            value += 1;
            let wanted = names.each_ref().map(|_| value.to_string());
            let assignments: Vec<String> = names.iter().map(|name| format!("{name}={value}")).collect();
            let arguments: Vec<&str> = std::iter::once("set").chain(assignments.iter().map(String::as_str)).collect();
            let killer = Killer::at(&scene.agent, call, number);
            let is_confirmed = scene.agent.command(&arguments).status.success();
            drop(killer);
            if scene.agent.is_running() {
                assert!(is_confirmed, "{call} {number}");
                present = wanted;
                break;
            }
            scene.agent.restart();
            scene.agent.wait_for_control();
            let found = read(&scene.agent);
            assert!(found == present || found == wanted, "{call} {number}: {found:?}, not {present:?} nor {wanted:?}");
            assert!(!is_confirmed || found == wanted, "{call} {number}: a confirmed change is lost");
            assert_eq!(scene.files(), PACKAGES.len(), "{call} {number}: a file is left");
            kills[usize::from(found == wanted)] += 1;
            present = found;
        }
    }
    assert!(kills[0] >= 5 && kills[1] >= 3, "{kills:?} kills before and behind the record");
}

/// A technician's commit between the kill and the start stays, and the other packages of the request get their new texts.
#[test]
fn a_commit_before_the_restart_stays() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip_for_lack_of("strace");
    }
    let Some(mut scene) = Scene::new() else { return };
    let values = [format!("{SYSTEM}LogSize=77"), format!("{LAN}MTU=1477"), format!("{SSID}1.SSID=77")];
    let killer = Killer::at(&scene.agent, "renameat", 2);
    let arguments: Vec<&str> = std::iter::once("set").chain(values.iter().map(String::as_str)).collect();
    assert!(!scene.agent.command(&arguments).status.success());
    drop(killer);
    assert!(!scene.agent.is_running());
    let has_new = |name: &str| scene.package(name) != text_of(name);
    assert_eq!(["network", "system", "wireless"].map(has_new), [true, false, false], "in the order of the names");
    let commit = format!("{}\nconfig timeserver 'other'\n\tlist server '192.0.2.9'\n", text_of("system"));
    scene.router.commit("system", &commit);
    scene.agent.restart();
    scene.agent.wait_for_control();
    assert_eq!(scene.package("system"), commit);
    assert!(scene.package("network").contains("'1477'") && scene.package("wireless").contains("'77'"));
    assert!(scene.agent.log().contains("uci system: another program has changed it, and its text stays"));
    assert_eq!(scene.files(), PACKAGES.len(), "a file is left");
    // The next request sets what is missing.
    scene.agent.succeeds(&["set", &values[0]]);
    assert!(scene.package("system").contains("'77'") && scene.package("system").contains("192.0.2.9"));
}

/// Another program that commits to a package again and again, with the lock of libuci.
pub(super) struct Committer {
    thread: std::thread::JoinHandle<usize>,
    /// While it is set, the program makes no commit.
    rests: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
}

impl Committer {
    pub(super) fn start(package: &Path) -> Committer {
        let path = package.to_owned();
        let [rests, ends] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let (is_resting, has_ended) = (Arc::clone(&rests), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let mut commits = 0;
            while !has_ended.load(Ordering::SeqCst) {
                // As `uci commit` does: lock, read, write a new file, rename.
                let file = fs::File::open(&path).expect("a package");
                file.lock().expect("a lock");
                let is_present =
                    fs::metadata(&path).expect("a package").ino() == file.metadata().expect("a file").ino();
                if !is_present || is_resting.load(Ordering::SeqCst) {
                    drop(file);
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                let text = fs::read_to_string(&path).expect("a text");
                let own = |number: usize| format!("\nconfig other 'other'\n\toption number '{number}'\n");
                assert!(commits == 0 || text.contains(&own(commits)), "the commit {commits} is lost: {text}");
                let text = text.replace(&own(commits), "");
                let new = path.with_file_name(".system.uci-other");
                fs::write(&new, format!("{text}{}", own(commits + 1))).expect("written");
                fs::rename(&new, &path).expect("renamed");
                commits += 1;
                drop(file);
                std::thread::sleep(Duration::from_millis(1));
            }
            commits
        });
        Committer { thread, rests, ends }
    }

    /// Lets the program rest, or go on. A commit that was begun ends first.
    pub(super) fn rest(&self, rests: bool) {
        self.rests.store(rests, Ordering::SeqCst);
    }

    /// Ends the program, and returns the number of its commits.
    pub(super) fn end(self) -> usize {
        self.ends.store(true, Ordering::SeqCst);
        self.thread.join().expect("nothing is lost")
    }
}

/// Two programs that change a package at the same time lose nothing: this one takes the lock of libuci.
#[test]
fn a_second_writer_loses_nothing() {
    let Some(scene) = Scene::new() else { return };
    let committer = Committer::start(&scene.router.path("etc/config/system"));
    for number in 1..=1000 {
        let answer = says(&scene.agent, &["set", &format!("{SYSTEM}LogSize={number}")]);
        assert!(answer.contains("output"), "{number}: {answer}");
        assert!(scene.package("system").contains(&format!("log_size '{number}'")), "{number}");
    }
    assert!(committer.end() >= 100, "the other program has waited all the time");
    assert_eq!(scene.agent.value(&format!("{SYSTEM}LogSize")), "1000");
}

/// What another program has put into the place of a package before its reload is changed once more.
#[test]
fn a_lost_update_is_repaired_before_the_reload() {
    let Some(scene) = Scene::new() else { return };
    scene.agent.succeeds(&["inform"]);
    let name = format!("{SYSTEM}Name");
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        set(session, &name, "home-7");
        // libuci writes what it had read before, without the value.
        scene.router.commit("system", text_of("system"));
        assert_eq!(session.value(&name), "home-7", "the value that was set stays until the reload (R170)");
    });
    assert_eq!(scene.wait_for_reloads(1), ["system"]);
    assert!(scene.package("system").contains("home-7"));
    scene.agent.wait_for_log("another program has overwritten values in system", LIMIT);
}

/// R213 to R221: an instance is a section of its package, also for the table that follows.
#[test]
fn sections_are_added_and_deleted() {
    let Some(mut scene) = Scene::new() else { return };
    const COUNT: &str = "Device.X_00D09E_SSIDNumberOfEntries";
    const AP: &str = "Device.X_00D09E_AP.";
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        session.succeeds(&set_parameter_attributes(&[(COUNT, Some(2), None)]));
        let names = session.succeeds(&get_parameter_names(SSID, true));
        assert!(names.names.iter().all(|entry| entry.writable), "{:?}", names.names);
        session.refuses(&add_object(RULE, "k"), 9005);
        session.refuses(&add_object(AP, "k"), 9005);
        session.refuses(&delete_object(&format!("{AP}1."), "k"), 9005);
        let before = lines(&scene.journal());
        let answer = session.succeeds(&add_object(SSID, "k1"));
        assert_eq!((answer.argument("InstanceNumber"), answer.argument("Status")), (Some("3"), Some("1")));
        assert_eq!(lines(&scene.journal()), before + 1);
        assert!(scene.package("wireless").starts_with(text_of("wireless")));
        assert!(scene.package("wireless").contains("config wifi-iface 'cpe_wifi_iface_3'\n\toption mode 'ap'\n"));
        assert_eq!(session.value(&format!("{SSID}3.Enable")), "false");
        assert_eq!(session.value(COUNT), "3");
        assert_eq!(session.value(&format!("{AP}3.SSID")), "");
        set(session, &format!("{SSID}3.SSID"), "Third");
        assert_eq!(session.value(&format!("{AP}3.SSID")), "Third");
        session.set(&format!("{AP}3.Mine"), "string", "desk");
        session.succeeds(&add_object(SSID, "k1"));
        session.refuses(&add_object(SSID, "k1"), 9004);
        let answer = session.succeeds(&delete_object(&format!("{SSID}4."), "k2"));
        assert_eq!(answer.argument("Status"), Some("1"));
        session.refuses(&delete_object(&format!("{SSID}4."), "k2"), 9005);
        // R218: the number is not used again.
        let answer = session.succeeds(&add_object(SSID, "k2"));
        assert_eq!(answer.argument("InstanceNumber"), Some("5"));
        session.succeeds(&delete_object(&format!("{SSID}5."), "k2"));
        session.succeeds(&delete_object(&format!("{SSID}2."), "k2"));
    });
    assert!(!scene.package("wireless").contains("'guest'"));
    assert_eq!(scene.wait_for_reloads(1), ["wireless"]);
    scene.agent.crash_and_restart();
    scene.agent.wait_for_control();
    let numbers = |path: &str| {
        let mut numbers: Vec<String> =
            values(&scene.agent, path).iter().filter_map(|line| line.split('.').next().map(str::to_owned)).collect();
        numbers.dedup();
        numbers
    };
    assert_eq!((numbers(SSID), numbers(AP)), (vec!["1".into(), "3".into()], vec!["1".into(), "3".into()]));
    assert_eq!(scene.agent.value(&format!("{AP}3.Mine")), "desk");
    // R208: the ACS is told of no change of its own, and of those that others make.
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| assert_eq!(session.value(COUNT), "2"));
    let number = scene.agent.succeeds(&["add", SSID]);
    assert_eq!(number, "6\n");
    scene.acs.expect_session(&["4 VALUE CHANGE"], |inform, _| assert_eq!(inform.value(COUNT), Some("3")));
    let with_sixth = scene.package("wireless");
    scene.agent.succeeds(&["delete", &format!("{SSID}6.")]);
    assert!(!scene.package("wireless").contains("cpe_wifi_iface_6"));
    // R218: the section is back by another program, and its former number is not.
    assert_eq!(numbers(SSID), ["1", "3"]);
    scene.router.commit("wireless", &with_sixth);
    assert_eq!(numbers(SSID), ["1", "3", "7"]);
    let log = scene.agent.log();
    assert!(log.contains(&format!("added on the device by the ACS in session 2: {SSID}3.")), "{log}");
}

/// R164, R217: an instance is added and deleted wholly or not at all, wherever the agent is killed.
#[test]
fn a_kill_leaves_a_whole_section_or_none() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip_for_lack_of("strace");
    }
    let Some(mut scene) = Scene::new() else { return };
    let sections = |scene: &Scene| scene.package("wireless").matches("config wifi-iface 'cpe_").count();
    let instances = |scene: &Scene| values(&scene.agent, SSID).iter().filter(|line| line.contains(".SSID=")).count();
    for call in ["write", "fsync", "renameat"] {
        for number in 1..=3 {
            let killer = Killer::at(&scene.agent, call, number);
            let added = scene.agent.command(&["add", SSID]);
            drop(killer);
            if !scene.agent.is_running() {
                scene.agent.restart();
                scene.agent.wait_for_control();
            }
            let count = instances(&scene);
            assert_eq!(count, 2 + sections(&scene), "{call} {number}");
            assert!(!added.status.success() || count == 3, "{call} {number}: a confirmed instance is lost");
            assert_eq!(scene.files(), PACKAGES.len(), "{call} {number}: a file is left");
            let last = values(&scene.agent, SSID).iter().filter_map(|line| line.split('.').next()?.parse().ok()).max();
            let last: u32 = last.expect("an instance");
            if last > 2 {
                scene.agent.succeeds(&["delete", &format!("{SSID}{last}.")]);
            }
            assert_eq!((instances(&scene), sections(&scene)), (2, 0), "{call} {number}");
        }
    }
}

/// R217: a pin of a later model does not take the number of another row.
#[test]
fn a_number_that_was_given_stays_with_its_row() {
    let Some(mut scene) = Scene::new() else { return };
    assert_eq!(scene.agent.value(&format!("{SSID}2.SSID")), "Guest");
    let overlay = fs::read_to_string(scene.router.path("overlay.json")).expect("an overlay");
    let pinned = overlay.replace(
        r#""X_00D09E_SSID": { "access": "readWrite","#,
        r#""X_00D09E_SSID": { "access": "readWrite", "2": { "source": { "key": "new" } },"#,
    );
    assert_ne!(pinned, overlay);
    fs::write(scene.router.path("overlay.json"), pinned).expect("written");
    let new = "\nconfig wifi-iface 'new'\n\toption mode 'ap'\n\toption ssid 'New'\n";
    scene.router.commit("wireless", &format!("{}{new}", text_of("wireless")));
    scene.agent.restart();
    scene.agent.wait_for_control();
    assert_eq!(scene.agent.value(&format!("{SSID}2.SSID")), "Guest");
    assert_eq!(scene.agent.value(&format!("{SSID}3.SSID")), "New");
    assert!(scene.agent.log().contains("this number was given to another row; `new` gets the next one"));
}
