//! The storm: the ACS and an operator change the gateway at random while the agent is killed at random moments and started
//! anew.
//!
//! ```text
//! round:  start ──▶ Inform ──▶ InformResponse ──▶ everything is read back ──▶ changes ──▶ 204 ──▶ …
//!           └──────────┴─────────── SIGKILL at any of these, some microseconds later ──────────┘
//! ```
//!
//! The same with a disk that is full, read-only and writable in turn: changes that cannot be stored are refused, and
//! otherwise the ACS may only be told an event again whose delivery the agent could not store, and miss an M Reboot whose
//! request it could not store.
//!
//! `STORM_ROUNDS` says how many rounds each model goes through, `STORM_SEED` repeats a storm; the seed is printed.

mod expected;
mod history;
pub(crate) mod rng;

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

use self::expected::{Change, ExpectedModel, StormModel, TR_098, TR_181};
use self::history::History;
use self::rng::SeededRng;
use crate::support::{AcsOptions, AcsSession, Agent, ManualAcs, Message, Mount, Rpc, reboot, schedule_inform};

/// The number of rounds, unless the environment sets one.
const ROUNDS: usize = 60;

/// The time that the agent may take from its start to its Inform.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// The longest time between an exchange and the kill.
const KILL_LIMIT: Duration = Duration::from_millis(8);

/// The storm over the TR-181 gateway, on a disk that never fails.
#[test]
fn a_storm_over_tr_181() {
    Storm::over(&TR_181).run(setting("STORM_ROUNDS", ROUNDS));
}

/// The storm over the TR-098 gateway, on a disk that never fails.
#[test]
fn a_storm_over_tr_098() {
    Storm::over(&TR_098).run(setting("STORM_ROUNDS", ROUNDS));
}

/// The storm over the TR-181 gateway, on a disk that fails now and then.
#[test]
fn a_storm_over_tr_181_on_a_failing_disk() {
    if let Some(storm) = Storm::on_a_failing_disk(&TR_181) {
        storm.run(setting("STORM_ROUNDS", ROUNDS));
    }
}

/// The storm over the TR-098 gateway, on a disk that fails now and then.
#[test]
fn a_storm_over_tr_098_on_a_failing_disk() {
    if let Some(storm) = Storm::on_a_failing_disk(&TR_098) {
        storm.run(setting("STORM_ROUNDS", ROUNDS));
    }
}

pub(crate) fn setting(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

/// The moment at which the agent is killed.
#[derive(Debug)]
enum KillPoint {
    /// Between its start and its first session.
    Start,
    /// After InformResponse was sent.
    InformResponse,
    /// After this number of answered requests, while the agent executes the next one.
    Request(usize),
    /// After the end of a session with this number of requests.
    End(usize),
}

/// A request that the agent had not answered when it was killed.
#[derive(Debug)]
enum Asked {
    Change(Change),
    Reboot(String),
    Schedule(String, Duration),
}

struct Storm {
    /// The disk that holds the state, if it is to fail. It is unmounted before the directory of the agent is removed.
    disk: Option<Disk>,
    acs: ManualAcs,
    agent: Agent,
    rng: SeededRng,
    expected: ExpectedModel,
    history: History,
    started: Instant,
    in_flight: Option<Change>,
    keys: u32,
    compactions: Compactions,
}

/// A disk that fails.
struct Disk {
    mount: Mount,
    condition: Condition,
    /// True if the disk has failed since the start of the agent.
    failed: bool,
    refused: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Condition {
    Well,
    Full,
    ReadOnly,
}

/// Counts the rewrites of the journal: each makes another file.
#[derive(Default)]
struct Compactions {
    inode: Option<u64>,
    count: usize,
}

impl Storm {
    /// Returns a storm over a gateway that has had its first session undisturbed.
    fn over(model: &'static StormModel) -> Storm {
        let acs = ManualAcs::start(AcsOptions::new().keeps_no_messages());
        let agent = Storm::agent(model, &acs);
        Storm::after_the_first_session(model, acs, agent, None)
    }

    /// Returns a storm with its state on a disk of its own, if one can be mounted.
    fn on_a_failing_disk(model: &'static StormModel) -> Option<Storm> {
        let acs = ManualAcs::start(AcsOptions::new().keeps_no_messages());
        let agent = Storm::agent(model, &acs);
        let mount = Mount::at(agent.state_dir(), "size=4m,mode=700")?;
        let disk = Disk { mount, condition: Condition::Well, failed: false, refused: 0 };
        Some(Storm::after_the_first_session(model, acs, agent, Some(disk)))
    }

    fn agent(model: &StormModel, acs: &ManualAcs) -> Agent {
        let root = model.root;
        model
            .gateway
            .load(Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")))
            .data_model(write_actions())
            .set(&format!("{root}.ManagementServer.URL"), &acs.url())
            .set(&format!("{root}.ManagementServer.PeriodicInformEnable"), "false")
            .fixed_ports() // so that the connection-request URL does not change with each start
            .log_level("warn")
            .not_started()
    }

    fn after_the_first_session(
        model: &'static StormModel,
        acs: ManualAcs,
        mut agent: Agent,
        disk: Option<Disk>,
    ) -> Storm {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
        let seed = setting("STORM_SEED", now.as_micros() as usize);
        println!("{}: STORM_SEED={seed}", model.gateway.file);
        agent.restart();
        let mut history = History::from_the_factory(format!("{}.DeviceInfo.ProvisioningCode", model.root));
        let mut session = acs.accept(CALL_LIMIT).expect("the first session");
        initiate(&mut session, &mut history, Instant::now(), true);
        let expected = ExpectedModel::explore(model, &mut session);
        agent.kill9();
        Storm {
            disk,
            acs,
            agent,
            rng: SeededRng::new(seed as u64),
            expected,
            history,
            started: Instant::now(),
            in_flight: None,
            keys: 0,
            compactions: Compactions::default(),
        }
    }

    fn run(mut self, rounds: usize) {
        for round in 0..rounds {
            let moment = match self.rng.below(20) {
                0 | 1 => KillPoint::Start,
                2 | 3 => KillPoint::InformResponse,
                4..=12 => KillPoint::Request(self.rng.below(6)),
                _ => KillPoint::End(self.rng.below(10)),
            };
            println!("round {round}: killed at {moment:?}");
            self.start();
            self.round(&moment);
            self.agent.kill9();
            self.compactions.look(&self.agent);
        }
        self.finish();
        let (done, undone) = self.expected.interrupted;
        println!("of the interrupted changes {done} were there, {undone} were not");
        println!("the journal was rewritten {} times", self.compactions.count);
        assert!(rounds < ROUNDS || self.compactions.count > 0, "the journal was never rewritten");
        if let Some(disk) = &self.disk {
            println!("{} calls were refused because of the disk", disk.refused);
            assert!(rounds < ROUNDS || disk.refused > 0, "the disk was never missed");
        }
    }

    /// Starts the agent: as a rule as if the device had lost power, now and then alone.
    fn start(&mut self) {
        self.acs.clear();
        if let Some(disk) = &mut self.disk {
            disk.start(&mut self.rng);
        }
        let alone = self.history.calls_for_a_session() && !self.history.expects_a_reboot() && self.rng.percent(40);
        self.started = Instant::now();
        if alone {
            self.agent.restart(); // R146
        } else {
            self.history.booted();
            self.agent.reboot();
        }
    }

    fn round(&mut self, moment: &KillPoint) {
        if let KillPoint::Start = moment {
            return self.wait(5 * KILL_LIMIT);
        }
        let mut session = self.acs.accept(CALL_LIMIT).expect("a session");
        if let KillPoint::InformResponse = moment {
            let inform = session.recv().expect("an Inform");
            self.history.told(&inform, self.started);
            self.history.confirm(&inform);
            session.confirm_inform();
            self.wait(KILL_LIMIT);
            self.agent.kill9();
            if session.recv().is_some() {
                self.history.delivered(self.can_store());
            }
            return;
        }
        let stored = self.can_store();
        initiate(&mut session, &mut self.history, self.started, stored);
        self.expected.compare(&mut session, self.in_flight.take().as_ref());
        match moment {
            KillPoint::Request(count) => {
                (0..*count).for_each(|_| self.ask(&mut session));
                self.ask_and_kill(&mut session);
            }
            KillPoint::End(count) => {
                (0..*count).for_each(|_| self.ask(&mut session));
                session.end_session();
                if self.rng.percent(40) {
                    self.change_locally();
                }
                self.wait(2 * KILL_LIMIT);
            }
            KillPoint::Start | KillPoint::InformResponse => {}
        }
    }

    /// Returns true if the disk has not failed since the start of the agent.
    fn can_store(&self) -> bool {
        self.disk.as_ref().is_none_or(|disk| !disk.failed)
    }

    fn wait(&mut self, limit: Duration) {
        // The test waits for nothing here, because the kill must hit any moment.
        std::thread::sleep(self.rng.moment(limit));
    }

    /// Changes the watched parameter as an operator does, which the agent reports to the ACS (R101).
    fn change_locally(&mut self) {
        self.keys += 1;
        let value = format!("code {}", self.keys);
        let output = self.agent.command(&["set", &format!("{}={value}", self.history.watched())]);
        match &self.disk {
            Some(disk) if !output.status.success() => assert!(disk.failed, "{output:?}"),
            _ => {
                assert!(output.status.success(), "{output:?}");
                self.history.changed(value);
            }
        }
    }

    fn ask(&mut self, session: &mut AcsSession) {
        if let Some(disk) = &mut self.disk {
            disk.go_on(&mut self.rng);
        }
        let asked = self.anything();
        let before = Instant::now();
        let answer = session.call(&asked.rpc()).expect("an answer");
        self.answered(asked, before, &answer);
    }

    fn ask_and_kill(&mut self, session: &mut AcsSession) {
        let asked = self.anything();
        let before = Instant::now();
        session.send(&asked.rpc());
        self.wait(KILL_LIMIT);
        self.agent.kill9();
        match session.recv() {
            Some(answer) => self.answered(asked, before, &answer), // it was on its way already
            None => match asked {
                Asked::Change(change) => self.in_flight = Some(change),
                Asked::Reboot(key) => self.history.reboot(&key, false),
                Asked::Schedule(key, delay) => self.history.schedule(&key, before, delay, false),
            },
        }
    }

    fn answered(&mut self, asked: Asked, before: Instant, answer: &Message) {
        if let (Some(fault), Some(disk)) = (&answer.fault, &mut self.disk) {
            assert_eq!(fault.code, 9002, "{}", answer.xml); // R164, R171: refused, and so it leaves no trace
            assert!(disk.failed, "refused although the disk is well: {}", answer.xml);
            disk.refused += 1;
            return;
        }
        match asked {
            Asked::Change(change) => self.expected.answered(&change, answer),
            Asked::Reboot(key) => {
                assert_eq!(answer.method, "RebootResponse", "{}", answer.xml);
                // On a failing disk the device reboots all the same, and M Reboot may be missing after it.
                self.history.reboot(&key, self.can_store());
            }
            Asked::Schedule(key, delay) => {
                assert_eq!(answer.method, "ScheduleInformResponse", "{}", answer.xml);
                self.history.schedule(&key, before, delay, true);
            }
        }
    }

    fn anything(&mut self) -> Asked {
        self.keys += 1;
        let key = format!("key {} <&>", self.keys);
        match self.rng.below(20) {
            0 => Asked::Reboot(key),
            1 if self.history.scheduled() < 8 => {
                Asked::Schedule(key, Duration::from_secs(1 + self.rng.below(2) as u64))
            }
            _ => Asked::Change(self.expected.any_change(&mut self.rng, &key)),
        }
    }

    /// Ends the storm: expects the whole state, and the events that are left.
    fn finish(&mut self) {
        self.acs.clear();
        if let Some(disk) = &mut self.disk {
            disk.turn(Condition::Well);
            disk.failed = false;
        }
        self.history.booted();
        self.started = Instant::now();
        self.agent.reboot();
        while !self.history.is_over() {
            // A scheduled Inform whose answer was never received may not come at all.
            if let Some(mut session) = self.acs.accept(Duration::from_millis(50)) {
                initiate(&mut session, &mut self.history, self.started, true);
                self.expected.compare(&mut session, self.in_flight.take().as_ref());
                session.end_session();
                assert!(session.is_closed()); // R50
            }
            assert!(self.started.elapsed() < CALL_LIMIT, "events are left, and no session comes");
            self.history.forget_what_never_came();
        }
    }
}

impl Asked {
    fn rpc(&self) -> Rpc {
        match self {
            Asked::Change(change) => change.rpc(),
            Asked::Reboot(key) => reboot(key),
            Asked::Schedule(key, delay) => schedule_inform(delay.as_secs() as u32, key),
        }
    }
}

impl Disk {
    /// Decides before the agent starts whether the disk is read-only: it can become so only while no file is open.
    fn start(&mut self, rng: &mut SeededRng) {
        self.turn(match rng.below(6) {
            0 => Condition::ReadOnly,
            1 => Condition::Full,
            _ => Condition::Well,
        });
        self.failed = self.condition != Condition::Well;
    }

    /// Fills the disk at random while the agent runs, and makes room again.
    fn go_on(&mut self, rng: &mut SeededRng) {
        match self.condition {
            Condition::Well if rng.percent(15) => self.turn(Condition::Full),
            Condition::Full if rng.percent(30) => self.turn(Condition::Well),
            _ => {}
        }
        self.failed |= self.condition != Condition::Well;
    }

    fn turn(&mut self, condition: Condition) {
        if self.condition == condition {
            return;
        }
        match self.condition {
            Condition::Well => {}
            Condition::Full => self.mount.make_room(),
            Condition::ReadOnly => self.mount.change("rw"),
        }
        match condition {
            Condition::Well => {}
            Condition::Full => self.mount.fill(),
            Condition::ReadOnly => self.mount.change("ro"),
        }
        self.condition = condition;
    }
}

impl Compactions {
    fn look(&mut self, agent: &Agent) {
        let inode = std::fs::metadata(agent.state_dir().join("journal")).ok().map(|file| file.ino());
        self.count += usize::from(self.inode.is_some() && inode != self.inode);
        self.inode = inode;
    }
}

/// Takes a session from the Inform to the empty POST, by which the agent has stored the delivery of the events, if it
/// can.
fn initiate(session: &mut AcsSession, history: &mut History, started: Instant, stored: bool) {
    let inform = session.recv().expect("an Inform");
    history.told(&inform, started);
    history.confirm(&inform);
    session.confirm_inform();
    let next = session.recv().expect("the empty POST");
    assert!(next.method.is_empty(), "{}", next.xml); // R114
    history.delivered(stored);
}

/// The command does nothing: the test itself reboots the device.
fn write_actions() -> std::path::PathBuf {
    // Written once, because the agent of the other storm may be reading it.
    static PATH: std::sync::LazyLock<std::path::PathBuf> = std::sync::LazyLock::new(|| {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("storm-actions.json");
        std::fs::write(&path, r#"{ "actions": { "reboot": ["true"] } }"#).expect("a file");
        path
    });
    PATH.clone()
}
