//! Firmware: applied by an action that ends in a reboot, judged by what runs after it.

use std::process::Command;

use super::bench::*;
use crate::support::{Message, Served, download, get_all_queued_transfers};

/// Swaps the image, and makes the next start of the agent another boot.
const SWAPS: &str = "echo 'key={commandKey}' >> applies; cp {file} image.new && mv image.new image; \
                     echo boot-$$ > AGENT/boot-id; echo down >> downs";

/// Is killed before it has written anything.
const HANGS: &str = "echo $$ > pid; echo 'key={commandKey}' >> applies; sleep 1000; cp {file} image";

fn action(script: &str, more: &str) -> String {
    format!("\"download\": {{ \"{FIRMWARE}\": {{ {}, \"reboots\": true{more} }} }}", shell(script))
}

impl Bench {
    fn upgrade(&self, to: &str) {
        self.files.serves("/fw", Served::file(image(to)));
        self.ask(&[download(FIRMWARE, &self.files.url("/fw")).with("CommandKey", "k")]);
    }

    /// The device has gone down, and comes back.
    fn goes_down_and_comes_back(&mut self) {
        self.waits_for_trace("downs");
        self.comes_back();
    }

    fn comes_back(&mut self) {
        self.agent.kill9();
        self.line.clear();
        self.agent.restart();
    }

    /// The session after the boot, which tells how it went.
    fn reports(&mut self, code: u16, version: &str) -> Message {
        let (inform, mut told, mut call) = self.calls();
        call.dismiss();
        let mut events = events_of(&inform);
        events.retain(|event| event != "4 VALUE CHANGE");
        assert_eq!(events, ["1 BOOT", "7 TRANSFER COMPLETE", "M Download/k"]); // R240
        assert_eq!(inform.value("Device.DeviceInfo.SoftwareVersion"), Some(version)); // R231
        assert_eq!(told.len(), 1);
        let report = told.remove(0);
        assert_eq!(code_of(&report), code, "{}", report.xml);
        self.stays_quiet();
        assert_eq!((self.traces("applies"), self.left_behind()), (vec!["key=k".to_owned()], 0));
        report
    }

    /// The device loses power: the agent and its action are gone, and it boots again.
    fn loses_power(&mut self, boot: &str) {
        self.agent.kill9();
        let group = self.traces("pid").first().cloned().expect("the action's number");
        let killed = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status().expect("kill");
        assert!(killed.success());
        std::fs::write(self.agent.directory().join("boot-id"), boot).expect("a file");
        self.line.clear();
        self.agent.restart();
    }
}

/// R231, R240: told when the new version runs, with its boot.
#[test]
fn an_upgrade() {
    let mut bench = Bench::new(&action(SWAPS, ""));
    bench.upgrade("2.0.0");
    bench.goes_down_and_comes_back();
    let report = bench.reports(0, "2.0.0");
    assert!(report.argument("CompleteTime") > Some("2024"));
}

/// The old version runs again: 9018.
#[test]
fn an_upgrade_that_does_not_take() {
    let mut bench = Bench::new(&action(SWAPS, ""));
    bench.upgrade("1.0.0");
    bench.goes_down_and_comes_back();
    let report = bench.reports(9018, "1.0.0");
    assert!(report.fault.expect("a fault").text.contains("1.0.0"));
}

/// The verify action decides: by the same version that is well, and by a new one that is not.
#[test]
fn the_verify_action_decides() {
    for (version, verify, code) in [("1.0.0", "exit 0", 0), ("2.0.0", "exit 1", 9018)] {
        let verify = format!(", \"verify\": [\"sh\", \"-c\", \"echo verified >> PLACE/verified; {verify}\"]");
        let mut bench = Bench::new(&action(SWAPS, &verify));
        bench.upgrade(version);
        bench.goes_down_and_comes_back();
        bench.reports(code, version);
        assert_eq!(bench.traces("verified").len(), 1);
    }
}

/// The power fails while the image is written: 9018 where the old one comes back, and the action does not run again.
#[test]
fn a_power_cut_while_the_image_is_written() {
    let mut bench = Bench::new(&action(HANGS, ""));
    bench.upgrade("2.0.0");
    bench.waits_for_trace("applies");
    bench.loses_power("another boot");
    bench.reports(9018, "1.0.0");
}

/// Only the agent is killed: the action goes on, and the device comes back with the new image.
#[test]
fn an_agent_that_is_killed_while_the_image_is_written() {
    let slow = format!("echo began >> began; while [ -e began ] && [ ! -e go ]; do sleep 0.01; done; {SWAPS}");
    let mut bench = Bench::new(&action(&slow, ""));
    bench.upgrade("2.0.0");
    bench.waits_for_trace("began");
    bench.comes_back();
    bench.waits_for_state("rebooting");
    bench.stays_quiet();
    std::fs::write(bench.place.path().join("go"), "").expect("a file");
    bench.goes_down_and_comes_back();
    bench.reports(0, "2.0.0");
}

/// The agent is killed with the action, and the device does not reboot: the action does not run again.
#[test]
fn an_agent_and_its_action_that_are_killed() {
    let mut bench = Bench::new(&action(HANGS, ""));
    bench.upgrade("2.0.0");
    bench.waits_for_trace("applies");
    let boot = std::fs::read_to_string(bench.agent.directory().join("boot-id")).expect("a file");
    bench.loses_power(&boot);
    bench.ends_with(9002);
    bench.stays_quiet();
    assert_eq!((bench.traces("applies").len(), bench.left_behind()), (1, 0));
}

/// An action that fails is told without a reboot.
#[test]
fn an_image_that_is_refused() {
    let bench = Bench::new(&action("echo 'key={commandKey}' >> applies; exit 1", ""));
    bench.upgrade("2.0.0");
    bench.ends_with(9018);
    bench.agent.succeeds(&["inform"]);
    bench.visit(&["2 PERIODIC"], |call| {
        assert!(call.ask(&get_all_queued_transfers()).expect("a list").transfers.is_empty());
    });
}

/// The power fails while the image is on its way: it is fetched again, and applied once.
#[test]
fn a_power_cut_while_the_image_is_fetched() {
    let mut bench = Bench::new(&action(SWAPS, ""));
    let text = image("2.0.0");
    bench.files.serves("/fw", Served::file(text.clone()).stalls_after(10).times(1).then(Served::file(text)));
    bench.ask(&[download(FIRMWARE, &bench.files.url("/fw")).with("CommandKey", "k")]);
    bench.files.sent(10, SOON);
    bench.agent.kill9();
    bench.line.clear();
    bench.agent.reboot();
    bench.visit(&["1 BOOT"], |_| {});
    bench.goes_down_and_comes_back();
    bench.reports(0, "2.0.0");
}

/// An action that leaves the restart to the agent.
#[test]
fn a_device_that_does_not_go_down_by_itself() {
    let reboot = "\"reboot\": [\"sh\", \"-c\", \"echo boot-$$ > AGENT/boot-id; echo down >> PLACE/downs\"]";
    let script = "echo 'key={commandKey}' >> applies; cp {file} image";
    let mut bench = Bench::new(&format!("{reboot}, {}", action(script, "")));
    bench.upgrade("2.0.0");
    bench.waits_for_trace("applies");
    bench.goes_down_and_comes_back();
    bench.reports(0, "2.0.0");
}

/// The action outlives the agent that has started it: it may read its file until it ends, and is verified only then,
/// though nothing else wakes the agent.
#[test]
fn an_action_that_outlives_its_agent_keeps_its_file() {
    let waits = "echo began >> began; while [ -e began ] && [ ! -e go ]; do sleep 0.01; done";
    let script = format!("{waits}; cp {{file}} applied && echo done >> applies");
    let verify = format!("\"verify\": [\"sh\", \"-c\", {:?}]", "cd PLACE; test -e applied");
    let mut bench = Bench::new(&format!("\"download\": {{ \"{CONFIG}\": {{ {}, {verify} }} }}", shell(&script)));
    bench.files.serves("/f", Served::file("settings".to_owned()));
    bench.ask(&[download(CONFIG, &bench.files.url("/f")).with("CommandKey", "k")]);
    bench.waits_for_trace("began");
    bench.comes_back();
    bench.waits_for_state("verifying");
    std::fs::write(bench.place.path().join("go"), "").expect("a file");
    bench.ends_with(0);
    assert_eq!((bench.traces("applied"), bench.traces("applies").len()), (vec!["settings".to_owned()], 1));
    until("an empty directory", || bench.left_behind() == 0);
}
