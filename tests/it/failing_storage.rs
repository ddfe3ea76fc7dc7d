//! A state directory that fails under the agent: full, read-only, or not there yet.
//!
//! A change that cannot be stored is refused with 9002 and leaves no trace; earlier values stay; everything else goes
//! on. Once there is room again, changes are accepted again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::gateway::Model;
use crate::support::agent::AgentBuilder;
use crate::support::{
    AcsOptions, AcsSession, Agent, ManualAcs, Mount, Rpc, add_object, delete_object, factory_reset,
    get_parameter_values, get_rpc_methods, reboot, schedule_inform, set_parameter_attributes, set_parameter_values,
};

const LIMIT: Duration = Duration::from_secs(20);
const BINARY: &str = env!("CARGO_BIN_EXE_cpe-agent");

/// A gateway whose ACS sees it every second.
struct Scene {
    model: &'static Model,
    acs: ManualAcs,
    agent: Agent,
    traces: PathBuf,
}

impl Scene {
    fn new(model: &'static Model, builder: AgentBuilder) -> Scene {
        let acs = ManualAcs::start(AcsOptions::new().keeps_no_messages());
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let traces = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("failing-storage-{number}"));
        let _ = fs::remove_dir_all(&traces);
        fs::create_dir(&traces).expect("a directory");
        let actions = traces.join("actions.json");
        let trace = |name| format!(r#"["sh", "-c", "echo done >> '{}/{name}'"]"#, traces.display());
        let text =
            format!(r#"{{ "actions": {{ "reboot": {}, "factoryReset": {} }} }}"#, trace("reboots"), trace("resets"));
        fs::write(&actions, text).expect("a file");
        let name = |parameter: &str| format!("{}.ManagementServer.{parameter}", model.root);
        let agent = model
            .load(builder)
            .data_model(&actions)
            .set(&name("URL"), &acs.url())
            .set(&name("PeriodicInformEnable"), "true")
            .set(&name("PeriodicInformInterval"), "1")
            .fixed_ports()
            .log_level("info")
            .not_started();
        Scene { model, acs, agent, traces }
    }

    /// The next session, up to where the agent listens.
    fn call(&self) -> AcsSession {
        self.acs.next_session().2
    }

    fn set(&self, value: &str) -> Rpc {
        let username = self.name("Username");
        let code = format!("{}.DeviceInfo.ProvisioningCode", self.model.root);
        set_parameter_values(&[(&username, "string", value), (&code, "string", value)], value)
    }

    fn name(&self, parameter: &str) -> String {
        format!("{}.ManagementServer.{parameter}", self.model.root)
    }

    /// Expects exactly the values that were stored last.
    fn expect_stored(&self, session: &mut AcsSession, value: &str) {
        let code = format!("{}.DeviceInfo.ProvisioningCode", self.model.root);
        let names = [self.name("Username"), code, self.name("ParameterKey")];
        let answer = session.call(&get_parameter_values(&names.each_ref().map(String::as_str))).expect("values");
        for name in &names {
            assert_eq!(answer.value(name), Some(value), "{name}"); // R157, R164, R171
        }
        let answer = session.call(&get_parameter_values(&[self.model.table])).expect("values");
        assert!(answer.value(&format!("{}1.Enable", self.model.table)).is_some(), "the first instance is gone"); // R222
    }

    /// Expects a fault for each request that has to store something, and an answer to the others.
    fn expect_refusals(&self, session: &mut AcsSession, value: &str) {
        let instance = format!("{}1.", self.model.table);
        let calls = [
            self.set("refused"),
            add_object(self.model.table, "refused"),
            delete_object(&instance, "refused"),
            set_parameter_attributes(&[(&self.name("Username"), Some(1), None)]),
            schedule_inform(1, "refused"),
        ];
        for rpc in calls {
            let answer = session.call(&rpc).expect("an answer");
            let fault = answer.fault.unwrap_or_else(|| panic!("{} was promised", rpc.method()));
            assert_eq!((fault.code, fault.side.as_str()), (9002, "Server"), "{}", rpc.method()); // R164, R171
        }
        assert!(!session.call(&get_rpc_methods()).expect("an answer").is_fault());
        self.expect_stored(session, value);
    }

    /// Fills the last page of the journal, which takes small records still.
    fn use_up_the_last_page(&self, session: &mut AcsSession) {
        let url = self.name("URL");
        let mut notification = 1;
        while !session
            .call(&set_parameter_attributes(&[(&url, Some(notification), None)]))
            .expect("an answer")
            .is_fault()
        {
            notification = 1 - notification;
        }
    }

    /// Waits until an action has left its trace.
    fn wait_for_trace(&self, name: &str) {
        let deadline = Instant::now() + LIMIT;
        while !self.traces.join(name).exists() {
            assert!(Instant::now() < deadline, "no trace of {name}:\n{}", self.agent.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&self, mut session: AcsSession) {
        session.end_session();
        assert!(session.is_closed()); // R50
    }

    /// Kills the agent and restarts it from the journal.
    fn crash(&mut self) {
        self.agent.kill9();
        self.acs.clear();
        self.agent.restart();
    }
}

/// A limit on the size of files: the write that passes it is done in part, as on a disk that runs full.
fn a_journal_that_cannot_grow(model: &'static Model) {
    let mut scene = Scene::new(model, Agent::builder(BINARY));
    scene.agent.restart();
    let mut session = scene.call();
    assert!(!session.call(&scene.set("first")).expect("an answer").is_fault());
    let journal = scene.agent.state_dir().join("journal");
    let size = || fs::metadata(&journal).expect("the journal").len();
    let first = size();
    // Records that are out of date give their place to the record that does not fit.
    limit_files(&scene.agent, &(first + 20).to_string());
    assert!(!session.call(&scene.set("before")).expect("an answer").is_fault());
    assert!(size() <= first + 20);
    limit_files(&scene.agent, "100");
    scene.expect_refusals(&mut session, "before");
    scene.end(session);
    scene.agent.wait_for_log("File too large", LIMIT);

    let mut session = scene.call();
    scene.expect_refusals(&mut session, "before");
    limit_files(&scene.agent, "unlimited");
    assert!(!session.call(&scene.set("after")).expect("an answer").is_fault());
    scene.expect_stored(&mut session, "after");
    scene.crash();
    scene.expect_stored(&mut scene.call(), "after"); // R171
}
both_models!(a_journal_that_cannot_grow);

fn limit_files(agent: &Agent, size: &str) {
    // The soft limit alone, which may be raised again.
    let limit = format!("--fsize={size}:");
    let status = Command::new("prlimit").args(["--pid", &agent.pid().to_string(), &limit]).status();
    assert!(status.expect("prlimit is part of util-linux").success());
}

/// Returns an agent whose state directory is full, in a session in which a value "before" was stored.
fn session_on_a_full_disk(model: &'static Model) -> Option<(Scene, Mount, AcsSession)> {
    let mut scene = Scene::new(model, Agent::builder(BINARY));
    let disk = Mount::at(scene.agent.state_dir(), "size=256k,mode=700")?;
    scene.agent.restart();
    let mut session = scene.call();
    assert!(!session.call(&scene.set("before")).expect("an answer").is_fault());
    disk.fill();
    scene.use_up_the_last_page(&mut session);
    Some((scene, disk, session))
}

/// On a full disk changes are refused until there is room again.
fn a_full_disk(model: &'static Model) {
    let Some((mut scene, disk, mut session)) = session_on_a_full_disk(model) else { return };
    scene.expect_refusals(&mut session, "before");
    scene.end(session);
    scene.agent.wait_for_log("No space left on device", LIMIT);

    scene.crash(); // R146: no boot, and yet the agent calls every second
    let mut session = scene.call();
    scene.expect_refusals(&mut session, "before");
    disk.make_room();
    assert!(!session.call(&scene.set("after")).expect("an answer").is_fault());
    scene.crash();
    scene.expect_stored(&mut scene.call(), "after"); // R171
    scene.agent.kill9();
}
both_models!(a_full_disk);

/// One session alone writes more than the partition holds: each of its requests is stored.
fn a_long_session_on_a_small_partition(model: &'static Model) {
    let mut scene = Scene::new(model, Agent::builder(BINARY));
    let Some(_disk) = Mount::at(scene.agent.state_dir(), "size=128k,mode=700") else { return };
    scene.agent.restart();
    let mut session = scene.call();
    let names =
        ["Username", "Password", "ConnectionRequestUsername", "ConnectionRequestPassword"].map(|n| scene.name(n));
    for number in 0..300 {
        let value = format!("{number:0250}");
        let values: Vec<_> = names.iter().map(|name| (name.as_str(), "string", value.as_str())).collect();
        let answer = session.call(&set_parameter_values(&values, "key")).expect("an answer");
        assert!(!answer.is_fault(), "{number}: {}", answer.xml); // R171
    }
    assert!(!session.call(&scene.set("after")).expect("an answer").is_fault());
    scene.crash();
    scene.expect_stored(&mut scene.call(), "after"); // R171
    scene.agent.kill9();
}
both_models!(a_long_session_on_a_small_partition);

/// R223: a reboot, which a technician tries first, needs no flash. M Reboot cannot be stored, and is missing after it.
fn a_reboot_on_a_full_disk(model: &'static Model) {
    let Some((mut scene, _disk, mut session)) = session_on_a_full_disk(model) else { return };
    assert!(!session.call(&reboot("told")).expect("an answer").is_fault());
    scene.end(session);
    scene.wait_for_trace("reboots");
    scene.agent.wait_for_log("M Reboot may be missing after it: cannot store the state: No space left", LIMIT);
    scene.agent.kill9();
    scene.acs.clear();
    scene.agent.reboot();
    scene.expect_stored(&mut scene.call(), "before");
    scene.agent.kill9();
}
both_models!(a_reboot_on_a_full_disk);

/// R226: the reset removes the records, and needs no more room.
fn a_factory_reset_on_a_full_disk(model: &'static Model) {
    let Some((mut scene, disk, mut session)) = session_on_a_full_disk(model) else { return };
    assert!(!session.call(&factory_reset()).expect("an answer").is_fault());
    scene.end(session);
    scene.wait_for_trace("resets");
    disk.make_room();
    let code = format!("{}.DeviceInfo.ProvisioningCode", model.root);
    let mut session = scene.call();
    let answer = session.call(&get_parameter_values(&[&code])).expect("a value");
    assert_ne!(answer.value(&code), Some("before"));
    assert!(!session.call(&scene.set("after")).expect("an answer").is_fault());
    scene.crash();
    scene.expect_stored(&mut scene.call(), "after");
    scene.agent.kill9();
}
both_models!(a_factory_reset_on_a_full_disk);

/// A program removes the journal under the running agent: the next record brings the whole state back.
fn a_journal_that_is_removed(model: &'static Model) {
    let mut scene = Scene::new(model, Agent::builder(BINARY));
    scene.agent.restart();
    let mut session = scene.call();
    assert!(!session.call(&scene.set("before")).expect("an answer").is_fault());
    fs::remove_file(scene.agent.state_dir().join("journal")).expect("the journal");
    let notification = set_parameter_attributes(&[(&scene.name("Username"), Some(1), None)]);
    assert!(!session.call(&notification).expect("an answer").is_fault());
    scene.crash();
    scene.expect_stored(&mut scene.call(), "before"); // R171
}
both_models!(a_journal_that_is_removed);

/// On a read-only disk changes are refused until it is writable again.
fn a_read_only_disk(model: &'static Model) {
    let mut scene = Scene::new(model, Agent::builder(BINARY));
    let Some(disk) = Mount::at(scene.agent.state_dir(), "size=1m,mode=700") else { return };
    scene.agent.restart();
    let mut session = scene.call();
    assert!(!session.call(&scene.set("before")).expect("an answer").is_fault());
    scene.end(session);
    scene.agent.terminate();
    scene.acs.clear();
    disk.change("ro");

    scene.agent.restart();
    let mut session = scene.call();
    scene.expect_refusals(&mut session, "before");
    // R226: records that cannot be removed either would be there again after the reset.
    let answer = session.call(&factory_reset()).expect("an answer");
    assert_eq!(answer.fault.map(|fault| fault.code), Some(9002));
    scene.end(session);
    scene.agent.wait_for_log("Read-only file system", LIMIT);

    disk.change("rw");
    scene.expect_storing_soon("after");
    scene.crash();
    scene.expect_stored(&mut scene.call(), "after"); // R171
    scene.agent.kill9();
}
both_models!(a_read_only_disk);

/// The state directory is mounted after the agent has started: its journal counts.
fn a_disk_that_comes_late(model: &'static Model) {
    let mut scene = Scene::new(model, Agent::builder(BINARY));
    scene.agent.restart();
    let mut session = scene.call();
    assert!(!session.call(&scene.set("before")).expect("an answer").is_fault());
    scene.end(session);
    scene.agent.terminate();
    scene.acs.clear();
    let (state, away) = (scene.agent.state_dir(), scene.agent.directory().join("away"));
    fs::rename(&state, &away).expect("a directory that can be moved");
    fs::write(&state, "in the way").expect("a file");

    scene.agent.restart();
    let mut session = scene.call();
    assert_eq!(session.call(&scene.set("refused")).expect("an answer").fault.map(|fault| fault.code), Some(9002));
    fs::remove_file(&state).expect("the file");
    fs::rename(&away, &state).expect("a directory that can be moved");
    scene.end(session);
    let deadline = Instant::now() + LIMIT;
    loop {
        let mut session = scene.call();
        let answer = session.call(&get_parameter_values(&[&scene.name("ParameterKey")])).expect("a value");
        if answer.value(&scene.name("ParameterKey")) == Some("before") {
            scene.expect_stored(&mut session, "before"); // R171
            assert!(!session.call(&scene.set("after")).expect("an answer").is_fault());
            break;
        }
        scene.end(session);
        assert!(Instant::now() < deadline, "what was stored has not come back");
    }
    scene.crash();
    scene.expect_stored(&mut scene.call(), "after");
}
both_models!(a_disk_that_comes_late);

impl Scene {
    /// The agent finds out by itself that it can store again.
    fn expect_storing_soon(&self, value: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let mut session = self.call();
            let answer = session.call(&self.set(value)).expect("an answer");
            self.end(session);
            if !answer.is_fault() {
                return;
            }
            assert!(Instant::now() < deadline, "still refused: {}", answer.xml);
        }
    }
}
