//! Changes of the device reach the ACS, and the clients of `watch`, without a request.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::gateway::SOON;
use crate::support::agent::patience;
use crate::support::network::{in_own_network, sh};
use crate::support::stopwatch::Stopwatch;

/// The longest time between a change and the Inform on the wire, the time of a busy machine included.
pub(super) const AT_ONCE: Duration = Duration::from_secs(1);

/// Returns the names of the threads of the agent.
pub(super) fn threads(agent: &Agent) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", agent.pid())).expect("a running agent");
    tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).collect()
}

pub(super) fn watches(agent: &Agent) -> bool {
    threads(agent).iter().any(|name| name.trim() == "values")
}

pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience(SOON);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// R99, R198, R208: a file that changes, in place or by another one, starts a session at once.
#[test]
fn a_watched_file_that_changes_starts_a_session() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    let mut agent = device.agent(&acs);
    assert!(!watches(&agent), "nothing is watched");
    agent.reboot();
    acs.expect_session(&["1 BOOT"], |_, session| {
        session.succeeds(&set_parameter_attributes(&[(TEMPERATURE, Some(2), None), (COUNT, Some(2), None)]));
    });
    eventually("a watch", || watches(&agent));
    let began = Stopwatch::start();
    device.write("temperature", "22000\n");
    acs.expect_session(&["4 VALUE CHANGE"], |inform, _| {
        assert!(began.is_within(AT_ONCE), "{:?}", began.elapsed());
        assert_eq!(inform.value(TEMPERATURE), Some("22"));
    });
    // A burst is one session.
    device.replace("ports", "lan1 up\nlan2 down\nlan3 up\n");
    device.write("temperature", "23000\n");
    acs.expect_session(&["4 VALUE CHANGE"], |inform, session| {
        assert_eq!((inform.value(COUNT), inform.value(TEMPERATURE)), (Some("3"), Some("23")));
        session.succeeds(&set_parameter_attributes(&[(TEMPERATURE, Some(0), None), (COUNT, Some(0), None)]));
    });
    eventually("the end of the watch", || !watches(&agent));
    device.write("temperature", "24000\n");
    agent.succeeds(&["inform"]);
    acs.expect_events(&["2 PERIODIC"]);
}

/// A watch ends with the last source: its next event would keep the agent busy.
#[test]
fn a_model_without_sources_ends_the_watch() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    let mut agent = device.agent(&acs);
    agent.reboot();
    acs.expect_session(&["1 BOOT"], |_, session| {
        session.succeeds(&set_parameter_attributes(&[(TEMPERATURE, Some(2), None)]));
    });
    eventually("a watch", || watches(&agent));
    device.write("overlay.json", "{}");
    agent.signal("HUP");
    eventually("the end of the watch", || !watches(&agent));
}

/// R198: a link that goes down is reported at once, and again when it is up.
#[test]
fn a_link_that_changes_starts_a_session() {
    in_own_network("sources::pushed::a_link_that_changes_starts_a_session", || {
        sh("ip link add lan1 type veth peer name pc; ip link set lan1 up; ip link set pc up");
        let overlay = tempfile::tempdir().expect("a directory");
        let file = overlay.path().join("overlay.json");
        let text = r#"{ "Device": { "X_00D09E_Port": { "source": { "builtin": "link", "where": { "name": "lan1" } },
            "1": { "source": { "key": "lan1" } },
            "{i}": { "Status": { "type": "string", "source": "status" } } } } }"#;
        fs::write(&file, text).expect("written");
        let acs = ManualAcs::start(AcsOptions::new());
        let agent = TR_181.gateway_at(&acs.url()).data_model(file.to_str().expect("text")).start();
        let status = "Device.X_00D09E_Port.1.Status";
        acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |_, session| {
            assert_eq!(session.value(status), "Up");
            session.succeeds(&set_parameter_attributes(&[(status, Some(2), None)]));
        });
        eventually("a watch", || watches(&agent));
        let began = Stopwatch::start();
        sh("ip link set pc down");
        acs.expect_session(&["4 VALUE CHANGE"], |inform, _| {
            assert!(began.is_within(AT_ONCE), "{:?}", began.elapsed());
            assert_ne!(inform.value(status), Some("Up"));
        });
        sh("ip link set pc up");
        acs.expect_session(&["4 VALUE CHANGE"], |inform, _| assert_eq!(inform.value(status), Some("Up")));
    });
}

/// R212: a link that goes down and is up again, before the agent can look, is a change.
#[test]
fn a_link_that_was_down_for_a_moment_starts_a_session() {
    in_own_network("sources::pushed::a_link_that_was_down_for_a_moment_starts_a_session", || {
        sh("ip link add lan1 type veth peer name pc; ip link set lan1 up; ip link set pc up");
        let overlay = tempfile::tempdir().expect("a directory");
        let file = overlay.path().join("overlay.json");
        let text = r#"{ "Device": { "X_00D09E_Port": { "source": { "builtin": "link", "where": { "name": "lan1" } },
            "1": { "source": { "key": "lan1" } },
            "{i}": { "Status": { "type": "string", "source": "status" },
              "Wire": { "type": "string", "source": { "field": "status", "map": { "Up": "fine", "*": "cut" } } } } } } }"#;
        fs::write(&file, text).expect("written");
        let acs = ManualAcs::start(AcsOptions::new());
        let agent = TR_181.gateway_at(&acs.url()).data_model(file.to_str().expect("text")).start();
        let [status, wire] = ["Status", "Wire"].map(|name| format!("Device.X_00D09E_Port.1.{name}"));
        acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |_, session| {
            let attributes = [(&*status, Some(2), None), (&*wire, Some(1), None)];
            session.succeeds(&set_parameter_attributes(&attributes));
        });
        eventually("a watch", || watches(&agent));
        for _ in 0..3 {
            // While it is stopped, the agent sees neither state.
            agent.signal("STOP");
            // The kernel reports the first state only after a while.
            let is_up = "ip link show lan1 | grep -q 'state UP'; do sleep 0.05; done";
            sh(&format!("ip link set pc down; while {is_up}; ip link set pc up; until {is_up}"));
            agent.signal("CONT");
            acs.expect_session(&["4 VALUE CHANGE"], |inform, _| {
                assert_eq!((inform.value(&status), inform.value(&wire)), (Some("Up"), Some("fine")));
            });
        }
        // An event that changes nothing is none.
        sh("ip link set lan1 mtu 1400");
        agent.succeeds(&["inform"]);
        acs.expect_events(&["2 PERIODIC"]);
    });
}

/// A running `cpe-agent watch`.
struct Watch {
    process: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(agent: &Agent, paths: &[&str]) -> Watch {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cpe-agent"));
        command.arg("watch").arg("--control").arg(agent.control()).args(paths).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the client starts");
        let stdout: ChildStdout = process.stdout.take().expect("its output");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Watch { process, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(patience(SOON)).expect("a line")
    }

    /// Ends the client as an init script does, and returns its exit status.
    fn terminate(mut self) -> Option<i32> {
        sh(&format!("kill -TERM {}", self.process.id()));
        self.process.wait().expect("the end").code()
    }
}

#[test]
fn watch_prints_changes_as_they_come() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    let agent = device.agent(&acs);
    agent.wait_for_control();
    let code = "Device.DeviceInfo.ProvisioningCode";
    let password = "Device.ManagementServer.Password";
    let watch = Watch::start(&agent, &[PORTS, code, password]);
    eventually("a watch", || watches(&agent));
    device.replace("ports", "lan1 down\nlan2 down\n");
    assert_eq!(watch.next(), format!("{PORTS}1.Status=Down"));
    agent.succeeds(&["set", &format!("{code}=a\\b")]);
    assert_eq!(watch.next(), format!("{code}=a\\\\b"));
    acs.expect_session(&["4 VALUE CHANGE"], |_, session| {
        session.set(password, "string", "hunter2");
        session.set(code, "string", "by the ACS");
        assert_eq!(watch.next(), format!("{code}=by the ACS"));
    });
    device.replace("ports", "lan1 down\n");
    let gone: Vec<String> = (0..3).map(|_| watch.next()).collect();
    assert_eq!(gone, ["Name", "Note", "Status"].map(|name| format!("{PORTS}2.{name}")));
    device.replace("ports", "lan1 down\nlan4 up\n");
    let new: Vec<String> = (0..3).map(|_| watch.next()).collect();
    assert_eq!(new, ["Name=lan4", "Note=", "Status=Up"].map(|line| format!("{PORTS}3.{line}")));
    assert_eq!(watch.terminate(), Some(0));
    eventually("the end of the watch", || {
        agent.succeeds(&["get", code]);
        device.replace("ports", "lan1 up\n");
        !watches(&agent)
    });
    let refused = agent.command(&["watch", "Device.Nothing."]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Device.Nothing.: no such parameter or object"));
}

/// A difference of more than 512 KiB reaches a client that has read what came before, and so do those after it.
#[test]
fn watch_prints_a_large_difference() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    device.write("big", "");
    let letters = ["A", "B", "C", "D"];
    let parameters = letters.map(|name| format!(r#""{name}": {{ "type": "string", "source": "text" }}"#)).join(", ");
    let overlay = format!(
        r#"{{ "Device": {{ "X_00D09E_Big": {{ "maxEntries": 1000,
            "source": {{ "file": "{}", "rows": "^(?<key>k[0-9]+) (?<text>.+)$", "numbers": "loose" }},
            "{{i}}": {{ {parameters} }} }} }} }}"#,
        device.path("big")
    );
    device.write("big.json", &overlay);
    let agent = TR_181.gateway_at(&acs.url()).data_model(device.path("big.json")).start();
    acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
    agent.wait_for_control();
    let watch = Watch::start(&agent, &["Device.X_00D09E_Big."]);
    eventually("a watch", || watches(&agent));
    let rows = |first: &str| {
        let row = |number: usize| format!("k{number} {}{}\n", if number == 0 { first } else { "" }, "x".repeat(480));
        (0..500).map(row).collect::<String>()
    };
    device.write("big", &rows("a"));
    let lines: Vec<String> = (0..500 * letters.len()).map(|_| watch.next()).collect();
    let length: usize = lines.iter().map(String::len).sum();
    assert!(length > 512 << 10 && lines.iter().all(|line| line.contains("xxx")), "{length} bytes");
    device.write("big", &rows("b"));
    for letter in letters {
        let line = watch.next();
        assert!(line.starts_with(&format!("Device.X_00D09E_Big.1.{letter}=bxxx")), "{line}");
    }
    assert_eq!(watch.terminate(), Some(0));
}

/// A session that cannot start, because CWMP is off, does not hold back the values for the device itself.
#[test]
fn watch_prints_changes_without_a_session() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    let mut agent = device.agent(&acs);
    agent.succeeds(&["set", "Device.ManagementServer.EnableCWMP=false"]);
    agent.reboot();
    agent.wait_for_control();
    let watch = Watch::start(&agent, &[PORTS]);
    eventually("a watch", || watches(&agent));
    device.replace("ports", "lan1 down\nlan2 down\n");
    assert_eq!(watch.next(), format!("{PORTS}1.Status=Down"));
    assert_eq!(watch.terminate(), Some(0));
}
