//! Firmware: applied by an action that ends in a reboot, and verified by the version that runs after it.

use std::process::Command;

use super::gateway::*;
use crate::support::{FileSpec, Message, download, get_all_queued_transfers};

/// An action that replaces the image and makes the next start of the agent another boot.
const SWAPS: &str = "echo 'key={commandKey}' >> applies; cp {file} image.new && mv image.new image; \
                     echo boot-$$ > AGENT/boot-id; echo down >> downs";

/// An action that hangs before it has written the image, so that the test can kill it there.
const HANGS: &str = "echo $$ > pid; echo 'key={commandKey}' >> applies; sleep 1000; cp {file} image";

fn action(script: &str, more: &str) -> String {
    format!("\"download\": {{ \"{FIRMWARE}\": {{ {}, \"reboots\": true{more} }} }}", shell(script))
}

impl TransferGateway {
    fn upgrade(&self, to: &str) {
        self.files.serves("/fw", FileSpec::file(image(to)));
        self.ask(&[download(FIRMWARE, &self.files.url("/fw")).with("CommandKey", "k")]);
    }

    /// Waits until the device has gone down, and starts it again.
    fn goes_down_and_comes_back(&mut self) {
        self.waits_for_trace("downs");
        self.comes_back();
    }

    fn comes_back(&mut self) {
        self.agent.kill9();
        self.acs.clear();
        self.agent.restart();
    }

    /// Expects that the session after the boot reports this result.
    fn reports(&mut self, code: u16, version: &str) -> Message {
        let (inform, mut told, mut session) = self.acs.next_session();
        session.end_session();
        let mut events = inform.sorted_events();
        events.retain(|event| event != "4 VALUE CHANGE");
        assert_eq!(events, ["1 BOOT", "7 TRANSFER COMPLETE", "M Download/k"]); // R240
        assert_eq!(inform.value("Device.DeviceInfo.SoftwareVersion"), Some(version)); // R231
        assert_eq!(told.len(), 1);
        let report = told.remove(0);
        assert_eq!(code_of(&report), code, "{}", report.xml);
        self.acs.expect_no_session(QUIET);
        assert_eq!((self.traces("applies"), self.left_behind()), (vec!["key=k".to_owned()], 0));
        report
    }

    /// Simulates a power cut: kills the agent and its action, and boots again.
    fn loses_power(&mut self, boot: &str) {
        self.agent.kill9();
        let group = self.traces("pid").first().cloned().expect("the action's number");
        let killed = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status().expect("kill");
        assert!(killed.success());
        std::fs::write(self.agent.directory().join("boot-id"), boot).expect("a file");
        self.acs.clear();
        self.agent.restart();
    }
}

/// R231, R240: an upgrade is reported when the new version runs, together with its boot.
#[test]
fn an_upgrade() {
    let mut gateway = TransferGateway::new(&action(SWAPS, ""));
    gateway.upgrade("2.0.0");
    gateway.goes_down_and_comes_back();
    let report = gateway.reports(0, "2.0.0");
    assert!(report.argument("CompleteTime") > Some("2024"));
}

/// An upgrade after which the old version runs fails with 9018.
#[test]
fn an_upgrade_that_does_not_take() {
    let mut gateway = TransferGateway::new(&action(SWAPS, ""));
    gateway.upgrade("1.0.0");
    gateway.goes_down_and_comes_back();
    let report = gateway.reports(9018, "1.0.0");
    assert!(report.fault.expect("a fault").text.contains("1.0.0"));
}

/// The verify action decides: it accepts the same version, and rejects a new one.
#[test]
fn the_verify_action_decides() {
    for (version, verify, code) in [("1.0.0", "exit 0", 0), ("2.0.0", "exit 1", 9018)] {
        let verify = format!(", \"verify\": [\"sh\", \"-c\", \"echo verified >> PLACE/verified; {verify}\"]");
        let mut gateway = TransferGateway::new(&action(SWAPS, &verify));
        gateway.upgrade(version);
        gateway.goes_down_and_comes_back();
        gateway.reports(code, version);
        assert_eq!(gateway.traces("verified").len(), 1);
    }
}

/// The power fails while the image is written: 9018 where the old one comes back, and the action does not run again.
#[test]
fn a_power_cut_while_the_image_is_written() {
    let mut gateway = TransferGateway::new(&action(HANGS, ""));
    gateway.upgrade("2.0.0");
    gateway.waits_for_trace("applies");
    gateway.loses_power("another boot");
    gateway.reports(9018, "1.0.0");
}

/// The agent alone is killed: the action goes on, and the device comes back with the new image.
#[test]
fn an_agent_that_is_killed_while_the_image_is_written() {
    let slow = format!("echo began >> began; while [ -e began ] && [ ! -e go ]; do sleep 0.01; done; {SWAPS}");
    let mut gateway = TransferGateway::new(&action(&slow, ""));
    gateway.upgrade("2.0.0");
    gateway.waits_for_trace("began");
    gateway.comes_back();
    gateway.waits_for_state("rebooting");
    gateway.acs.expect_no_session(QUIET);
    std::fs::write(gateway.place.path().join("go"), "").expect("a file");
    gateway.goes_down_and_comes_back();
    gateway.reports(0, "2.0.0");
}

/// The agent is killed with the action, and the device does not reboot: the action does not run again.
#[test]
fn an_agent_and_its_action_that_are_killed() {
    let mut gateway = TransferGateway::new(&action(HANGS, ""));
    gateway.upgrade("2.0.0");
    gateway.waits_for_trace("applies");
    let boot = std::fs::read_to_string(gateway.agent.directory().join("boot-id")).expect("a file");
    gateway.loses_power(&boot);
    gateway.ends_with(9002);
    gateway.acs.expect_no_session(QUIET);
    assert_eq!((gateway.traces("applies").len(), gateway.left_behind()), (1, 0));
}

/// An action that fails is told without a reboot.
#[test]
fn an_image_that_is_refused() {
    let gateway = TransferGateway::new(&action("echo 'key={commandKey}' >> applies; exit 1", ""));
    gateway.upgrade("2.0.0");
    gateway.ends_with(9018);
    gateway.agent.succeeds(&["inform"]);
    gateway.acs.expect_session(&["2 PERIODIC"], |_, session| {
        assert!(session.call(&get_all_queued_transfers()).expect("a list").transfers.is_empty());
    });
}

/// A power cut during the download: the image is fetched again, and applied once.
#[test]
fn a_power_cut_while_the_image_is_fetched() {
    let mut gateway = TransferGateway::new(&action(SWAPS, ""));
    let text = image("2.0.0");
    gateway.files.serves("/fw", FileSpec::file(text.clone()).stalls_after(10).times(1).then(FileSpec::file(text)));
    gateway.ask(&[download(FIRMWARE, &gateway.files.url("/fw")).with("CommandKey", "k")]);
    gateway.files.sent(10, SOON);
    gateway.agent.kill9();
    gateway.acs.clear();
    gateway.agent.reboot();
    gateway.acs.expect_events(&["1 BOOT"]);
    gateway.goes_down_and_comes_back();
    gateway.reports(0, "2.0.0");
}

/// An action that leaves the restart to the agent.
#[test]
fn a_device_that_does_not_go_down_by_itself() {
    let reboot = "\"reboot\": [\"sh\", \"-c\", \"echo boot-$$ > AGENT/boot-id; echo down >> PLACE/downs\"]";
    let script = "echo 'key={commandKey}' >> applies; cp {file} image";
    let mut gateway = TransferGateway::new(&format!("{reboot}, {}", action(script, "")));
    gateway.upgrade("2.0.0");
    gateway.waits_for_trace("applies");
    gateway.goes_down_and_comes_back();
    gateway.reports(0, "2.0.0");
}

/// The action outlives the agent that has started it: it may read its file until it ends, and is verified only then,
/// though nothing else wakes the agent.
#[test]
fn an_action_that_outlives_its_agent_keeps_its_file() {
    let waits = "echo began >> began; while [ -e began ] && [ ! -e go ]; do sleep 0.01; done";
    let script = format!("{waits}; cp {{file}} applied && echo done >> applies");
    let verify = format!("\"verify\": [\"sh\", \"-c\", {:?}]", "cd PLACE; test -e applied");
    let mut gateway =
        TransferGateway::new(&format!("\"download\": {{ \"{CONFIG}\": {{ {}, {verify} }} }}", shell(&script)));
    gateway.files.serves("/f", FileSpec::file("settings".to_owned()));
    gateway.ask(&[download(CONFIG, &gateway.files.url("/f")).with("CommandKey", "k")]);
    gateway.waits_for_trace("began");
    gateway.comes_back();
    gateway.waits_for_state("verifying");
    std::fs::write(gateway.place.path().join("go"), "").expect("a file");
    gateway.ends_with(0);
    assert_eq!((gateway.traces("applied"), gateway.traces("applies").len()), (vec!["settings".to_owned()], 1));
    until("an empty directory", || gateway.left_behind() == 0);
}
