//! Measures the cost of a session: writes and bytes to the journal, time, memory. `cargo bench --bench writes`
//!
//! The state is in the directory of temporary files: `TMPDIR=/dev/shm` leaves the medium out of the times. `SESSIONS`
//! and `INSTANCES` limit the run; the defaults are those of docs/figures.md.
#![allow(clippy::disallowed_methods, missing_docs)] // a measurement has clocks

#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "written for the tests")]
mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use support::{
    AcsOptions, AcsSession, Agent, ManualAcs, Message, Rpc, add_object, delete_object, get_parameter_names,
    get_parameter_values, reboot, schedule_inform, set_parameter_attributes, set_parameter_values,
};

const TABLE: &str = "Device.NAT.PortMapping.";

fn main() {
    per_call();
    many_instances(setting("INSTANCES", 5_000));
    many_sessions(setting("SESSIONS", 10_000));
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A gateway and its ACS.
struct Bench {
    acs: ManualAcs,
    agent: Agent,
    overlay: tempfile::TempDir,
}

/// The growth of the journal, and the time of the step.
struct Cost {
    writes: usize,
    bytes: u64,
    time: Duration,
}

impl Bench {
    fn new() -> Bench {
        let acs = ManualAcs::start(AcsOptions::new().keeps_no_messages());
        let overlay = tempfile::tempdir().expect("a temporary directory");
        let file = overlay.path().join("overlay.json");
        let text = r#"{ "actions": { "reboot": ["true"] },
                        "Device": { "NAT": { "PortMapping": { "maxEntries": 1000000 } } } }"#;
        fs::write(&file, text).expect("a file");
        let agent = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent"))
            .data_model(Path::new(env!("CARGO_MANIFEST_DIR")).join("data-model/tr-181.json"))
            .data_model(file)
            .set("Device.ManagementServer.URL", &acs.url())
            .set("Device.ManagementServer.PeriodicInformEnable", "false")
            .fixed_ports()
            .log_level("error")
            .start();
        Bench { acs, agent, overlay }
    }

    /// Returns the next session, after the empty POST of the gateway.
    fn call(&self) -> AcsSession {
        self.acs.next_session().2
    }

    fn end(&self, mut session: AcsSession) {
        session.end_session();
        assert!(session.is_closed());
    }

    /// Ends a session, and prints the writes after its end, which no response waits for.
    fn end_and_print(&self, title: &str, session: AcsSession) {
        let settle = Duration::from_millis(200);
        let (_, mut cost) = self.measure(|| {
            self.end(session);
            std::thread::sleep(settle);
        });
        cost.time = cost.time.saturating_sub(settle);
        cost.print(title);
    }

    /// Returns the lines and bytes of the journal.
    fn journal(&self) -> (usize, u64) {
        let journal = fs::read(self.agent.state_dir().join("journal")).unwrap_or_default();
        (journal.iter().filter(|byte| **byte == b'\n').count(), journal.len() as u64)
    }

    fn measure<R>(&self, step: impl FnOnce() -> R) -> (R, Cost) {
        let before = self.journal();
        let started = Instant::now();
        let result = step();
        let time = started.elapsed();
        let after = self.journal();
        (result, Cost { writes: after.0.saturating_sub(before.0), bytes: after.1.saturating_sub(before.1), time })
    }

    /// Sends a request, and prints its cost.
    fn ask(&self, session: &mut AcsSession, title: &str, rpc: &Rpc) -> Message {
        let (answer, cost) = self.measure(|| session.call(rpc).expect("an answer"));
        assert!(!answer.is_fault(), "{}", answer.xml);
        cost.print(title);
        answer
    }

    /// Returns the resident memory of the process.
    fn memory(&self) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.agent.pid())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        line.map_or_else(|| "unknown".into(), |line| line.trim_start_matches("VmRSS:").trim().to_owned())
    }
}

impl Cost {
    fn print(&self, title: &str) {
        let time = self.time.as_secs_f64() * 1000.0;
        println!("{title:52} {:>3} writes {:>9} bytes {time:>9.2} ms", self.writes, self.bytes);
    }
}

fn per_call() {
    println!("# Writes of a session and its requests");
    let mut bench = Bench::new();
    let (session, cost) = bench.measure(|| bench.call());
    cost.print("first contact up to the empty POST (and its start)");
    bench.end_and_print("its end", session);
    bench.agent.reboot();
    let (mut session, cost) = bench.measure(|| bench.call());
    cost.print("1 BOOT up to the empty POST (and its start)");
    let code = "Device.DeviceInfo.ProvisioningCode";
    let everything = get_parameter_values(&["Device."]);
    bench.ask(&mut session, "GetParameterValues of everything", &everything);
    bench.ask(&mut session, "GetParameterNames of everything", &get_parameter_names("", false));
    let set = set_parameter_values(&[(code, "string", "one")], "key");
    bench.ask(&mut session, "SetParameterValues of 1", &set);
    bench.ask(&mut session, "the same once more", &set);
    bench.ask(&mut session, "SetParameterAttributes of 1", &set_parameter_attributes(&[(code, None, Some(&[]))]));
    let mut instances = Vec::new();
    for _ in 0..50 {
        let answer = session.call(&add_object(TABLE, "key")).expect("an answer");
        instances.push(format!("{TABLE}{}.", answer.argument("InstanceNumber").expect("a number")));
    }
    let fields = [
        ("Enable", "boolean", "true"),
        ("AllInterfaces", "boolean", "true"),
        ("LeaseDuration", "unsignedInt", "86400"),
        ("RemoteHost", "string", "192.0.2.1"),
        ("ExternalPort", "unsignedInt", "8080"),
        ("ExternalPortEndRange", "unsignedInt", "8081"),
        ("InternalPort", "unsignedInt", "80"),
        ("Protocol", "string", "UDP"),
        ("InternalClient", "string", "192.168.1.20"),
        ("Description", "string", "a mapping of the benchmark"),
    ];
    let values: Vec<(String, &str, &str)> = instances
        .iter()
        .flat_map(|instance| fields.map(|(field, kind, value)| (format!("{instance}{field}"), kind, value)))
        .collect();
    let values: Vec<(&str, &str, &str)> = values.iter().map(|(name, kind, value)| (&**name, *kind, *value)).collect();
    let many = set_parameter_values(&values, "key 500");
    bench.ask(&mut session, &format!("SetParameterValues of {}", values.len()), &many);
    bench.ask(&mut session, "the same once more", &many);
    bench.ask(&mut session, "AddObject", &add_object(TABLE, "key"));
    bench.ask(&mut session, "DeleteObject", &delete_object(&instances[0], "key"));
    bench.ask(&mut session, "ScheduleInform", &schedule_inform(1, "key"));
    bench.end_and_print("the end of the session", session);
    let (mut session, cost) = bench.measure(|| bench.call());
    cost.print("3 SCHEDULED up to the empty POST (after 1 s)");
    bench.ask(&mut session, "GetParameterValues of everything", &everything);
    bench.end_and_print("the end of a session that only read", session);
    bench.agent.reboot();
    let mut session = bench.call();
    bench.ask(&mut session, "Reboot", &reboot("key"));
    drop(session);
    assert!(bench.overlay.path().exists());
}

/// Measures AddObject and DeleteObject in large tables: the cost of AddObject must not grow with the tree.
fn many_instances(limit: usize) {
    println!("\n# AddObject and DeleteObject by the number of instances; each the mean of 50");
    let mut bench = Bench::new();
    let mut session = bench.call();
    let mut count = 1;
    for size in [10, 1_000, limit] {
        while count < size {
            assert!(!session.call(&add_object(TABLE, "")).expect("an answer").is_fault());
            count += 1;
        }
        let mut added = Vec::new();
        let adding = mean(50, || {
            let answer = session.call(&add_object(TABLE, "")).expect("an answer");
            added.push(format!("{TABLE}{}.", answer.argument("InstanceNumber").expect("a number")));
        });
        let setting = mean(50, || {
            let name = format!("{TABLE}{size}.ExternalPort");
            let value = (count % 65_536).to_string();
            assert!(
                !session
                    .call(&set_parameter_values(&[(&name, "unsignedInt", &value)], ""))
                    .expect("an answer")
                    .is_fault()
            );
            count += 1;
        });
        count -= 50;
        let deleting = mean(50, || {
            let instance = added.pop().expect("as many as were added");
            assert!(!session.call(&delete_object(&instance, "")).expect("an answer").is_fault());
        });
        println!(
            "{size:>6} instances: AddObject {adding:.3} ms, SetParameterValues of 1 {setting:.3} ms, \
             DeleteObject {deleting:.3} ms, {}",
            bench.memory()
        );
    }
    let before = bench.journal();
    bench.end(session);
    std::thread::sleep(Duration::from_secs(1)); // the agent rewrites the journal in this second
    println!("the journal of that session: {before:?} lines and bytes, and then {:?}", bench.journal());
    let started = Instant::now();
    bench.agent.reboot();
    let session = bench.call();
    println!("restart with {limit} instances up to the empty POST: {:.1} ms", started.elapsed().as_secs_f64() * 1000.0);
    drop(session);
}

fn mean(times: u32, mut step: impl FnMut()) -> f64 {
    let started = Instant::now();
    (0..times).for_each(|_| step());
    started.elapsed().as_secs_f64() * 1000.0 / f64::from(times)
}

/// Measures memory over many sessions. Each changes the ACS URL, so that the next one follows at once (R25).
fn many_sessions(limit: usize) {
    println!("\n# Memory over sessions in a row, each with a write (the ACS URL) and a read of 1,000 parameters or so");
    let bench = Bench::new();
    let url = bench.acs.url();
    let started = Instant::now();
    for number in 1..=limit {
        let mut session = bench.call();
        let next = format!("{url}?{}", number % 7);
        let set = set_parameter_values(&[("Device.ManagementServer.URL", "string", &next)], "");
        assert!(!session.call(&set).expect("an answer").is_fault());
        assert!(!session.call(&get_parameter_values(&["Device."])).expect("an answer").is_fault());
        bench.end(session);
        if number == 100 || number == limit || number.is_multiple_of(limit.div_ceil(5)) {
            let each = started.elapsed().as_secs_f64() * 1000.0 / number as f64;
            println!(
                "{number:>6} sessions: {}, {each:.2} ms a session, journal {} bytes",
                bench.memory(),
                bench.journal().1
            );
        }
    }
}
