//! The storm: the ACS and an operator change the gateway at random while the agent is killed at random moments and started
//! anew.
//!
//! ```text
//! round:  start ──▶ Inform ──▶ InformResponse ──▶ everything is read back ──▶ changes ──▶ 204 ──▶ …
//!           └──────────┴─────────── SIGKILL at any of these, some microseconds later ──────────┘
//! ```
//!
//! The same on a disk that is now full, now read-only, and now well again: what cannot be stored is refused, and else
//! nothing differs, but that the ACS may hear again what the agent could not note down as delivered.
//!
//! `STORM_ROUNDS` says how many rounds each model goes through, `STORM_SEED` repeats a storm; the seed is printed.

#![allow(clippy::disallowed_methods)] // a storm has clocks and waits

pub(crate) mod chance;
mod gateway;
mod story;

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

use self::chance::Chance;
use self::gateway::{Change, Gateway, Landscape, TR_098, TR_181};
use self::story::Story;
use crate::support::{Agent, Call, Line, Message, Mount, Rpc, reboot, schedule_inform};

/// Rounds where the environment does not say how many.
const ROUNDS: usize = 60;

/// How long the agent may take from its start to its Inform.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// How long after an exchange the agent is killed at most.
const KILL_LIMIT: Duration = Duration::from_millis(8);

#[test]
fn a_storm_over_tr_181() {
    Storm::over(&TR_181).blow(setting("STORM_ROUNDS", ROUNDS));
}

#[test]
fn a_storm_over_tr_098() {
    Storm::over(&TR_098).blow(setting("STORM_ROUNDS", ROUNDS));
}

#[test]
fn a_storm_over_tr_181_on_a_failing_disk() {
    if let Some(storm) = Storm::on_a_failing_disk(&TR_181) {
        storm.blow(setting("STORM_ROUNDS", ROUNDS));
    }
}

#[test]
fn a_storm_over_tr_098_on_a_failing_disk() {
    if let Some(storm) = Storm::on_a_failing_disk(&TR_098) {
        storm.blow(setting("STORM_ROUNDS", ROUNDS));
    }
}

fn setting(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

/// When the agent is killed.
#[derive(Debug)]
enum Moment {
    /// On its way to its first session.
    Start,
    /// When it has just been sent InformResponse.
    InformResponse,
    /// When it has answered so many requests and works on the next one.
    Request(usize),
    /// When the session is over, after so many requests.
    End(usize),
}

/// What the agent was asked for before it was killed, and has not answered.
#[derive(Debug)]
enum Asked {
    Change(Change),
    Reboot(String),
    Schedule(String, Duration),
}

struct Storm {
    /// Where the state is kept, if that is to fail. Unmounted before the directory of the agent goes.
    disk: Option<Disk>,
    line: Line,
    agent: Agent,
    chance: Chance,
    gateway: Gateway,
    story: Story,
    started: Instant,
    in_flight: Option<Change>,
    keys: u32,
    compactions: Compactions,
}

/// A disk that fails.
struct Disk {
    mount: Mount,
    condition: Condition,
    /// Whether it has failed since the agent was started.
    failed: bool,
    refused: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Condition {
    Well,
    Full,
    ReadOnly,
}

/// Counts how often the journal was rewritten: each time it is another file.
#[derive(Default)]
struct Compactions {
    inode: Option<u64>,
    count: usize,
}

impl Storm {
    /// A gateway that has had its first session in peace.
    fn over(landscape: &'static Landscape) -> Storm {
        let line = Line::open();
        let agent = Storm::agent(landscape, &line);
        Storm::after_the_first_session(landscape, line, agent, None)
    }

    /// The same with its state on a disk of its own, where one can be mounted.
    fn on_a_failing_disk(landscape: &'static Landscape) -> Option<Storm> {
        let line = Line::open();
        let agent = Storm::agent(landscape, &line);
        let mount = Mount::at(agent.state_dir(), "size=4m,mode=700")?;
        let disk = Disk { mount, condition: Condition::Well, failed: false, refused: 0 };
        Some(Storm::after_the_first_session(landscape, line, agent, Some(disk)))
    }

    fn agent(landscape: &Landscape, line: &Line) -> Agent {
        let root = landscape.root;
        Agent::builder(env!("CARGO_BIN_EXE_cpe-agent"))
            .data_model(landscape.model)
            .data_model(write_actions())
            .set(&format!("{root}.ManagementServer.URL"), &line.url())
            .set(&format!("{root}.ManagementServer.PeriodicInformEnable"), "false")
            .fixed_ports() // so that the connection-request URL does not change with each start
            .log_level("warn")
            .not_started()
    }

    fn after_the_first_session(
        landscape: &'static Landscape,
        line: Line,
        mut agent: Agent,
        disk: Option<Disk>,
    ) -> Storm {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
        let seed = setting("STORM_SEED", now.as_micros() as usize);
        println!("{}: STORM_SEED={seed}", landscape.model);
        agent.restart();
        let mut story = Story::from_the_factory(format!("{}.DeviceInfo.ProvisioningCode", landscape.root));
        let mut call = line.accept(CALL_LIMIT).expect("the first session");
        initiate(&mut call, &mut story, Instant::now(), true);
        let gateway = Gateway::explore(landscape, &mut call);
        agent.kill9();
        Storm {
            disk,
            line,
            agent,
            chance: Chance::new(seed as u64),
            gateway,
            story,
            started: Instant::now(),
            in_flight: None,
            keys: 0,
            compactions: Compactions::default(),
        }
    }

    fn blow(mut self, rounds: usize) {
        for round in 0..rounds {
            let moment = match self.chance.below(20) {
                0 | 1 => Moment::Start,
                2 | 3 => Moment::InformResponse,
                4..=12 => Moment::Request(self.chance.below(6)),
                _ => Moment::End(self.chance.below(10)),
            };
            println!("round {round}: killed at {moment:?}");
            self.start();
            self.round(&moment);
            self.agent.kill9();
            self.compactions.look(&self.agent);
        }
        self.calm_down();
        let (done, undone) = self.gateway.interrupted;
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
        self.line.clear();
        if let Some(disk) = &mut self.disk {
            disk.start(&mut self.chance);
        }
        let alone = self.story.calls_for_a_session() && !self.story.expects_a_reboot() && self.chance.percent(40);
        self.started = Instant::now();
        if alone {
            self.agent.restart(); // R146
        } else {
            self.story.booted();
            self.agent.reboot();
        }
    }

    fn round(&mut self, moment: &Moment) {
        if let Moment::Start = moment {
            return self.wait(5 * KILL_LIMIT);
        }
        let mut call = self.line.accept(CALL_LIMIT).expect("a session");
        if let Moment::InformResponse = moment {
            let inform = call.hear().expect("an Inform");
            self.story.told(&inform, self.started);
            self.story.confirm(&inform);
            call.confirm();
            self.wait(KILL_LIMIT);
            self.agent.kill9();
            if call.hear().is_some() {
                self.story.delivered(self.can_store());
            }
            return;
        }
        let stored = self.can_store();
        initiate(&mut call, &mut self.story, self.started, stored);
        self.gateway.compare(&mut call, self.in_flight.take().as_ref());
        match moment {
            Moment::Request(count) => {
                (0..*count).for_each(|_| self.ask(&mut call));
                self.ask_and_kill(&mut call);
            }
            Moment::End(count) => {
                (0..*count).for_each(|_| self.ask(&mut call));
                call.dismiss();
                if self.chance.percent(40) {
                    self.change_locally();
                }
                self.wait(2 * KILL_LIMIT);
            }
            Moment::Start | Moment::InformResponse => {}
        }
    }

    /// Whether the disk has been well since the agent was started.
    fn can_store(&self) -> bool {
        self.disk.as_ref().is_none_or(|disk| !disk.failed)
    }

    fn wait(&mut self, limit: Duration) {
        // The moment is the point of it: nothing is waited for.
        std::thread::sleep(self.chance.moment(limit));
    }

    /// What an operator changes, the ACS hears of, and of nothing else (R101).
    fn change_locally(&mut self) {
        self.keys += 1;
        let value = format!("code {}", self.keys);
        let output = self.agent.command(&["set", &format!("{}={value}", self.story.watched())]);
        match &self.disk {
            Some(disk) if !output.status.success() => assert!(disk.failed, "{output:?}"),
            _ => {
                assert!(output.status.success(), "{output:?}");
                self.story.changed(value);
            }
        }
    }

    fn ask(&mut self, call: &mut Call) {
        if let Some(disk) = &mut self.disk {
            disk.go_on(&mut self.chance);
        }
        let asked = self.anything();
        let before = Instant::now();
        let answer = call.ask(&asked.rpc()).expect("an answer");
        self.answered(asked, before, &answer);
    }

    fn ask_and_kill(&mut self, call: &mut Call) {
        let asked = self.anything();
        let before = Instant::now();
        call.say(&asked.rpc());
        self.wait(KILL_LIMIT);
        self.agent.kill9();
        match call.hear() {
            Some(answer) => self.answered(asked, before, &answer), // it was on its way already
            None => match asked {
                Asked::Change(change) => self.in_flight = Some(change),
                Asked::Reboot(key) => self.story.reboot(&key, false),
                Asked::Schedule(key, delay) => self.story.schedule(&key, before, delay, false),
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
            Asked::Change(change) => self.gateway.answered(&change, answer),
            Asked::Reboot(key) => {
                assert_eq!(answer.method, "RebootResponse", "{}", answer.xml);
                self.story.reboot(&key, true);
            }
            Asked::Schedule(key, delay) => {
                assert_eq!(answer.method, "ScheduleInformResponse", "{}", answer.xml);
                self.story.schedule(&key, before, delay, true);
            }
        }
    }

    fn anything(&mut self) -> Asked {
        self.keys += 1;
        let key = format!("key {} <&>", self.keys);
        match self.chance.below(20) {
            0 => Asked::Reboot(key),
            1 if self.story.scheduled() < 8 => {
                Asked::Schedule(key, Duration::from_secs(1 + self.chance.below(2) as u64))
            }
            _ => Asked::Change(self.gateway.any_change(&mut self.chance, &key)),
        }
    }

    /// The storm is over: everything is as it must be, and the last events come.
    fn calm_down(&mut self) {
        self.line.clear();
        if let Some(disk) = &mut self.disk {
            disk.turn(Condition::Well);
            disk.failed = false;
        }
        self.story.booted();
        self.started = Instant::now();
        self.agent.reboot();
        while !self.story.is_over() {
            // A scheduled Inform whose answer was never heard may not come at all.
            if let Some(mut call) = self.line.accept(Duration::from_millis(50)) {
                initiate(&mut call, &mut self.story, self.started, true);
                self.gateway.compare(&mut call, self.in_flight.take().as_ref());
                call.dismiss();
                assert!(call.is_hung_up()); // R50
            }
            assert!(self.started.elapsed() < CALL_LIMIT, "events are left, and no session comes");
            self.story.forget_what_never_came();
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
    /// Before the agent starts: only then, while no file is open, can it become read-only.
    fn start(&mut self, chance: &mut Chance) {
        self.turn(match chance.below(6) {
            0 => Condition::ReadOnly,
            1 => Condition::Full,
            _ => Condition::Well,
        });
        self.failed = self.condition != Condition::Well;
    }

    /// While the agent runs: now and then there is no room, and then there is again.
    fn go_on(&mut self, chance: &mut Chance) {
        match self.condition {
            Condition::Well if chance.percent(15) => self.turn(Condition::Full),
            Condition::Full if chance.percent(30) => self.turn(Condition::Well),
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

/// From the Inform to the point where the agent listens, and has stored what was delivered if it can.
fn initiate(call: &mut Call, story: &mut Story, started: Instant, stored: bool) {
    let inform = call.hear().expect("an Inform");
    story.told(&inform, started);
    story.confirm(&inform);
    call.confirm();
    let next = call.hear().expect("the empty POST");
    assert!(next.method.is_empty(), "{}", next.xml); // R114
    story.delivered(stored);
}

/// The device reboots when the test says so: its command does nothing.
fn write_actions() -> std::path::PathBuf {
    // Once: the agent of the other storm may be reading it.
    static PATH: std::sync::LazyLock<std::path::PathBuf> = std::sync::LazyLock::new(|| {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("storm-actions.json");
        std::fs::write(&path, r#"{ "actions": { "reboot": ["true"] } }"#).expect("a file");
        path
    });
    PATH.clone()
}
