//! The storm on the device: a change of packages, a program, files and a kept value is whole or not there, wherever the agent is
//! killed, while another program commits to one of the packages.
//!
//! `DEVICE_STORM_ROUNDS` says how many kills there are: 1,000 in CI, and 10,000 by `tests/device-storm`. `STORM_SEED` repeats the moments.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;

use super::uci::Router;
use super::uci_set::{self, Committer, Killer};
use super::*;
use crate::storm::rng::SeededRng;
use crate::storm::setting;
use crate::support::skip::skip_for_lack_of;

/// The number of kills, unless the environment sets one.
const ROUNDS: usize = 100;

/// The parameters that one request sets: two packages, a program, a file that is replaced, one that is written, and a kept value.
const NAMES: [&str; 6] = [
    "Device.X_00D09E_System.LogSize",
    "Device.X_00D09E_Lan.MTU",
    "Device.X_00D09E_Fan.Speed",
    "Device.X_00D09E_Limit",
    "Device.X_00D09E_Gauge",
    "Device.X_00D09E_Rule.1.Note",
];

/// A program that keeps its field in a file.
const FAN: &str = r#"case $1 in
get) printf 'speed\t%s\n' "$(cat fan.speed)";;
set) while IFS='	' read -r f v; do printf '%s' "$v" >fan.new && mv fan.new fan.speed; done;;
esac"#;

const RELOADS: &str =
    r#""system": { "run": ["/bin/true"], "settle": 0 }, "network": { "run": ["/bin/true"], "settle": 0 }"#;

/// A router with a program and two files beside its packages.
struct Scene {
    router: Router,
    device: Device,
    agent: Agent,
}

impl Scene {
    fn new() -> Option<Scene> {
        let device = Device::new();
        device.program("fan", FAN);
        ["fan.speed", "limit", "gauge"].iter().for_each(|file| device.write(file, "1"));
        let at = |name: &str| device.path(name);
        let nodes = format!(
            r#"{{ "Device": {{
                "X_00D09E_Fan": {{ "source": {{ "exec": ["{}"], "can": ["get", "set"] }},
                  "Speed": {{ "type": "unsignedInt", "access": "readWrite", "source": "speed" }} }},
                "X_00D09E_Limit": {{ "type": "unsignedInt", "access": "readWrite",
                  "source": {{ "file": "{}", "set": "replace" }} }},
                "X_00D09E_Gauge": {{ "type": "unsignedInt", "access": "readWrite",
                  "source": {{ "file": "{}", "set": "write" }} }},"#,
            at("fan"),
            at("limit"),
            at("gauge")
        );
        let router = Router::with(&uci_set::overlay(RELOADS).replacen(r#"{ "Device": {"#, &nodes, 1));
        let agent = router.agent_at(&format!("http://{}/acs", crate::support::port::closed_address()))?.start();
        agent.wait_for_control();
        let scene = Scene { router, device, agent };
        scene.set("1", Duration::from_secs(20)).expect("the first values are set");
        Some(scene)
    }

    /// Asks the agent to set all parameters, and returns its answer if it comes within this time.
    fn set(&self, value: &str, limit: Duration) -> Option<String> {
        let words = std::iter::once("set".to_owned()).chain(NAMES.iter().map(|name| format!("{name}={value}")));
        let mut stream = UnixStream::connect(self.agent.control()).expect("the agent listens");
        stream.set_read_timeout(Some(limit.max(Duration::from_micros(1)))).expect("a limit");
        writeln!(stream, "{}", Json::from(words.collect::<Vec<_>>())).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok().map(|_| answer)
    }

    fn values(&self) -> Vec<String> {
        let values = self.agent.succeeds(&[&["get"][..], &NAMES].concat());
        values.lines().map(|line| line.split_once('=').expect("a value").1.to_owned()).collect()
    }

    /// Waits for the end of a program that the agent has started: it runs on after a kill of the agent.
    fn wait_for_program(&self) {
        let marks = [self.device.path("fan"), self.agent.control().display().to_string()];
        super::pushed::eventually("the end of the program", || {
            let processes = fs::read_dir("/proc").expect("processes").flatten();
            let command = |entry: fs::DirEntry| fs::read(entry.path().join("cmdline")).unwrap_or_default();
            !processes.map(command).any(|command| {
                let command = String::from_utf8_lossy(&command).into_owned();
                marks.iter().any(|mark| command.contains(mark))
            })
        });
    }

    fn packages(&self) -> usize {
        fs::read_dir(self.router.path("etc/config")).expect("a directory").count()
    }
}

/// R164, R171.
#[test]
fn a_storm_of_kills_leaves_all_or_nothing() {
    let Some(mut scene) = Scene::new() else { return };
    let rounds = setting("DEVICE_STORM_ROUNDS", ROUNDS);
    let seed = setting("STORM_SEED", std::process::id() as usize);
    println!("STORM_SEED={seed}");
    let mut rng = SeededRng::new(seed as u64);
    let packages = scene.packages();
    let committer = Committer::start(&scene.router.path("etc/config/system"));
    // The kills are spread over the time that a change takes, and a little more.
    let began = Instant::now();
    (2..12).for_each(|value| drop(scene.set(&value.to_string(), Duration::from_secs(20))));
    let window = began.elapsed() / 8;
    let (mut present, mut kept, mut changed) = (11, 0, 0);
    for value in 100..100 + rounds {
        let killed_after = window.mul_f64(rng.below(1000) as f64 / 1000.0);
        let is_confirmed = scene.set(&value.to_string(), killed_after).is_some_and(|answer| answer.contains("output"));
        // What another program changes before the next start is kept, in place of what the agent could not rename.
        committer.rest(true);
        scene.agent.kill9();
        scene.wait_for_program();
        scene.agent.restart();
        scene.agent.wait_for_control();
        committer.rest(false);
        let found = scene.values();
        let is_all = |wanted: usize| found.iter().all(|found| *found == wanted.to_string());
        assert!(is_all(present) || is_all(value), "{value} after {killed_after:?}: {found:?}\n{}", scene.agent.log());
        assert!(!is_confirmed || is_all(value), "{value} after {killed_after:?}: a confirmed change is lost");
        (kept, changed) = if is_all(value) { (kept, changed + 1) } else { (kept + 1, changed) };
        present = if is_all(value) { value } else { present };
        let text = fs::read_to_string(scene.router.path("etc/config/system")).expect("a package");
        assert!(text.contains(&format!("option log_size '{present}'")), "{value}: {text}");
    }
    let commits = committer.end();
    // A staged file is there at most while the other program commits.
    assert_eq!(scene.packages(), packages, "a file is left");
    println!("{rounds} kills: {kept} before the record, {changed} behind it; {commits} commits of the other program");
    assert!(kept * 10 >= rounds && changed * 10 >= rounds, "{kept} and {changed} of {rounds}");
}

/// R164, R171: the same at each system call by which the agent writes packages, files, its journal, and to the program.
#[test]
fn a_kill_at_each_call_leaves_all_or_nothing() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip_for_lack_of("strace");
    }
    let Some(mut scene) = Scene::new() else { return };
    let (packages, patience) = (scene.packages(), Duration::from_secs(20));
    let (mut kills, mut value, mut present) = ([0; 2], 1000, 1);
    for call in ["write", "fsync", "renameat", "unlinkat"] {
        for number in 1.. {
            value += 1;
            let killer = Killer::in_main_thread(&scene.agent, call, number);
            let is_confirmed = scene.set(&value.to_string(), patience).is_some_and(|answer| answer.contains("output"));
            drop(killer);
            if scene.agent.is_running() {
                assert!(is_confirmed, "{call} {number}");
                present = value;
                break;
            }
            scene.wait_for_program();
            scene.agent.restart();
            scene.agent.wait_for_control();
            let found = scene.values();
            let is_all = |wanted: usize| found.iter().all(|found| *found == wanted.to_string());
            assert!(is_all(present) || is_all(value), "{call} {number}: {found:?}\n{}", scene.agent.log());
            assert!(!is_confirmed || is_all(value), "{call} {number}: a confirmed change is lost");
            assert_eq!(scene.packages(), packages, "{call} {number}: a file is left");
            kills[usize::from(is_all(value))] += 1;
            present = if is_all(value) { value } else { present };
        }
    }
    assert!(kills[0] >= 8 && kills[1] >= 3, "{kills:?} kills before and behind the record");
}
