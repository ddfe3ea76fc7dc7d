//! The storm over file transfers: the ACS asks for downloads and uploads while the agent, or the whole device, is killed
//! at random moments of moving, applying and telling.
//!
//! ```text
//! round:  start ──▶ Inform ──▶ TransferComplete … ──▶ Download, Upload … ──▶ 204 ──▶ moving, applying
//!           └──────────┴──────────────┴──────────────────────┴──────────────────────────┴── SIGKILL at any of these
//! ```
//!
//! Each answered transfer is reported once, none is lost, and no action runs twice. `STORM_ROUNDS` says how many rounds
//! there are, `STORM_SEED` repeats a storm; the seed is printed.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::storm::rng::SeededRng;
use crate::support::{
    AcsOptions, AcsSession, Agent, FileServer, FileServerOptions, FileSpec, ManualAcs, Message, Rpc, download, upload,
};
use tempfile::TempDir;

/// The number of rounds, unless the environment sets one.
const ROUNDS: usize = 60;

/// The limit for steps that take milliseconds, long enough for a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// The time within which an agent with a pending report starts a session; after it the test kills the agent anyway.
const SHORTLY: Duration = Duration::from_millis(40);

/// The longest time between a step and the kill.
const KILL_LIMIT: Duration = Duration::from_millis(40);

const CONFIG: &str = "3 Vendor Configuration File";
const FIRMWARE: &str = "1 Firmware Upgrade Image";
const LOG: &str = "2 Vendor Log File";

/// The storm over file transfers.
#[test]
fn a_storm_over_files() {
    Storm::new().run(setting("STORM_ROUNDS", ROUNDS));
}

fn setting(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

/// A transfer that the ACS has requested.
#[derive(Debug)]
struct Asked {
    file_type: &'static str,
    /// True if the answer was received, so that the transfer must be reported.
    answered: bool,
    report: ReportState,
    code: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReportState {
    None,
    /// The response was sent, and it is not known whether the agent has received it.
    Unsure,
    Confirmed,
}

struct Storm {
    acs: ManualAcs,
    agent: Agent,
    files: FileServer,
    place: TempDir,
    rng: SeededRng,
    asked: BTreeMap<String, Asked>,
    keys: u32,
}

impl Storm {
    fn new() -> Storm {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
        let seed = setting("STORM_SEED", now.as_micros() as usize);
        println!("STORM_SEED={seed}");
        let acs = ManualAcs::start(AcsOptions::new().keeps_no_messages());
        let place = tempfile::tempdir().expect("a directory");
        let in_place = |name: &str| place.path().join(name);
        let directory = place.path().to_str().expect("a path that is text");
        let counted = format!("cd {directory}; echo $$ > running; echo '{{commandKey}}' >> applies");
        let actions = serde_json::json!({ "actions": {
            "download": {
                CONFIG: { "run": ["sh", "-c", format!("{counted}; cp {{file}} config && sleep 0.005; rm running")] },
                FIRMWARE: { "run": ["sh", "-c", format!("{counted}; sleep 0.003; cp {{file}} new && mv new image; rm running")],
                            "reboots": true },
            },
            "upload": { LOG: { "run": ["sh", "-c", "sleep 0.003; echo log > {file}"] } },
        } });
        fs::write(in_place("overlay.json"), actions.to_string()).expect("a file");
        fs::write(in_place("image"), image("0")).expect("a file");
        let agent = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent"))
            .data_model("data-model/tr-181.json")
            .data_model(in_place("overlay.json"))
            .data_model(in_place("image"))
            .set("Device.ManagementServer.URL", &acs.url())
            .set("Device.ManagementServer.PeriodicInformEnable", "false")
            .fixed_ports()
            .log_level("info")
            .not_started();
        let files = FileServer::start(FileServerOptions::new());
        files.serves("/config", FileSpec::sized(200_000).trickles(50_000, Duration::from_millis(1)));
        Storm { acs, agent, files, place, rng: SeededRng::new(seed as u64), asked: BTreeMap::new(), keys: 0 }
    }

    fn run(mut self, rounds: usize) {
        let started = Instant::now();
        for round in 0..rounds {
            println!("round {round} at {:?}", started.elapsed());
            let alone = self.rng.percent(40);
            self.acs.clear();
            if alone {
                self.agent.restart();
            } else {
                self.lose_power();
                self.agent.reboot();
            }
            self.round(alone);
            self.agent.kill9();
        }
        self.finish();
        self.check_totals(rounds);
    }

    /// Kills the running action with the device in most cases; now and then it has ended just before.
    fn lose_power(&mut self) {
        let running = fs::read_to_string(self.place.path().join("running")).unwrap_or_default();
        if !running.trim().is_empty() && self.rng.percent(70) {
            let group = format!("-{}", running.trim());
            // The action may have ended meanwhile.
            let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        }
    }

    fn round(&mut self, alone: bool) {
        if self.rng.percent(10) {
            return self.wait();
        }
        let Some(mut session) = self.acs.accept(if alone { SHORTLY } else { SOON }) else { return self.wait() };
        if !self.listen(&mut session, 25) {
            return;
        }
        for _ in 0..self.rng.below(4) {
            let (key, rpc) = self.anything();
            session.send(&rpc);
            if self.rng.percent(15) {
                self.wait();
                self.agent.kill9();
            }
            let Some(answer) = session.recv() else { return };
            self.answered(&key, &answer);
        }
        session.end_session();
        self.wait();
    }

    /// Runs the session up to the empty POST; returns false if the agent was killed before, with this probability at
    /// each step.
    fn listen(&mut self, session: &mut AcsSession, percent: usize) -> bool {
        let Some(inform) = session.recv() else { return false };
        self.check(&inform);
        if self.rng.percent(percent / 2) {
            self.agent.kill9();
            return false;
        }
        session.confirm_inform();
        let Some(mut message) = session.recv() else { return false };
        while !message.method.is_empty() {
            let key = self.reported(&message);
            if self.rng.percent(percent / 2) {
                self.agent.kill9();
                return false;
            }
            session.respond(&message);
            self.note(&key, ReportState::Unsure);
            let killed = self.rng.percent(percent);
            if killed {
                std::thread::sleep(self.rng.moment(Duration::from_millis(4)));
                self.agent.kill9();
            }
            // The next message shows that the agent has received the response, so that the journal has it.
            let Some(next) = session.recv() else { return false };
            self.note(&key, ReportState::Confirmed);
            if killed {
                return false;
            }
            message = next;
        }
        true
    }

    /// R240: the Inform reports only transfers that are known and not confirmed.
    fn check(&self, inform: &Message) {
        for event in inform.events.iter().filter(|event| event.code.starts_with("M ")) {
            let asked = self.asked.get(&event.command_key).expect("a transfer that was asked for");
            assert_ne!(asked.report, ReportState::Confirmed, "{event:?} is told again");
            assert_eq!(event.code, if asked.file_type == LOG { "M Upload" } else { "M Download" });
        }
    }

    fn reported(&mut self, message: &Message) -> String {
        assert_eq!(message.method, "TransferComplete", "{}", message.xml);
        let key = message.argument("CommandKey").expect("a key").to_owned();
        let code = message.fault.as_ref().expect("a FaultStruct").code;
        let asked = self.asked.get_mut(&key).expect("a transfer that was asked for");
        assert_ne!(asked.report, ReportState::Confirmed, "{key} is reported again: {}", message.xml); // R239
        assert!(
            asked.report == ReportState::None || asked.code == code,
            "{key}: {code}, and not {} as before",
            asked.code
        );
        let may_be: &[u16] = match asked.file_type {
            LOG => &[0, 9011],
            _ => &[0, 9002, 9017, 9018],
        };
        assert!(may_be.contains(&code), "{}", message.xml);
        asked.code = code;
        key
    }

    fn note(&mut self, key: &str, report: ReportState) {
        self.asked.get_mut(key).expect("a transfer that was asked for").report = report;
    }

    fn answered(&mut self, key: &str, answer: &Message) {
        if answer.fault.as_ref().is_some_and(|fault| fault.code == 9004) {
            self.asked.remove(key); // R233
            return;
        }
        assert_eq!(answer.argument("Status"), Some("1"), "{}", answer.xml);
        self.asked.get_mut(key).expect("just asked for").answered = true;
    }

    fn anything(&mut self) -> (String, Rpc) {
        self.keys += 1;
        let key = format!("key {}", self.keys);
        let (file_type, rpc) = match self.rng.below(10) {
            0..=1 => (LOG, upload(LOG, &self.files.url("/log"))),
            2..=4 => {
                self.files.serves("/firmware", FileSpec::file(image(&key)));
                (FIRMWARE, download(FIRMWARE, &self.files.url("/firmware")))
            }
            _ => (CONFIG, download(CONFIG, &self.files.url("/config"))),
        };
        let asked = Asked { file_type, answered: false, report: ReportState::None, code: 0 };
        self.asked.insert(key.clone(), asked);
        let delay = if self.rng.percent(20) { 1 } else { 0 };
        (key.clone(), rpc.with("CommandKey", key).with("DelaySeconds", delay))
    }

    fn wait(&mut self) {
        // The test waits for nothing here, because the kill must hit any moment.
        let moment = match self.rng.percent(40) {
            true => Duration::from_millis(self.rng.below(60) as u64),
            false => self.rng.moment(KILL_LIMIT),
        };
        std::thread::sleep(moment);
    }

    /// Ends the storm: waits until every answered transfer is reported.
    fn finish(&mut self) {
        let deadline = Instant::now() + 4 * SOON;
        let mut silence = 0;
        self.acs.clear();
        self.agent.reboot();
        while silence < 15 {
            let files = self.files_left();
            assert!(Instant::now() < deadline, "never reported: {:?}, {files} files left", self.missing());
            match self.acs.accept(Duration::from_millis(100)) {
                Some(mut session) => {
                    if self.listen(&mut session, 0) {
                        session.end_session();
                    }
                }
                // An image waits for the device to go down, or there is nothing left.
                None => silence = if self.missing().is_empty() && files == 0 { silence + 1 } else { 0 },
            }
            if (files > 0 || !self.missing().is_empty()) && self.is_going_down() {
                self.acs.clear();
                self.agent.reboot();
            }
        }
        self.agent.kill9();
    }

    /// Returns the number of files that the agent keeps for its transfers.
    fn files_left(&self) -> usize {
        fs::read_dir(self.agent.state_dir().join("transfers")).map_or(0, Iterator::count)
    }

    fn is_going_down(&self) -> bool {
        let output = self.agent.command(&["status", "--json"]);
        String::from_utf8_lossy(&output.stdout).contains("\"rebooting\"")
    }

    /// Returns the transfers that were answered and not reported.
    fn missing(&self) -> Vec<&String> {
        self.asked
            .iter()
            .filter(|(_, asked)| asked.answered && asked.report == ReportState::None)
            .map(|(key, _)| key)
            .collect()
    }

    /// Checks that no action ran twice, and that each transfer reported as done has run.
    fn check_totals(&self, rounds: usize) {
        let applies = fs::read_to_string(self.place.path().join("applies")).unwrap_or_default();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        applies.lines().for_each(|key| *counts.entry(key).or_default() += 1);
        let (mut done, mut failed) = (0, 0);
        for (key, asked) in &self.asked {
            let count = counts.get(key.as_str()).copied().unwrap_or(0);
            assert!(count <= 1, "{key} was applied {count} times");
            if asked.report != ReportState::None && asked.code == 0 && asked.file_type != LOG {
                assert_eq!(count, 1, "{key} is reported as done");
            }
            match asked.report {
                ReportState::None => {}
                _ if asked.code == 0 => done += 1,
                _ => failed += 1,
            }
        }
        println!("{} transfers, {done} done, {failed} interrupted", self.asked.len());
        assert!(rounds < ROUNDS || done > 0 && failed > 0, "a storm that meets nothing");
        assert_eq!(self.files_left(), 0, "files are left behind");
    }
}

/// Returns the content of a firmware file: a part of the data model.
fn image(version: &str) -> String {
    format!(r#"{{ "Device": {{ "DeviceInfo": {{ "SoftwareVersion": {{ "value": "{version}" }} }} }} }}"#)
}
