//! A gateway with its ACS, its file server, and a directory in which its actions leave traces.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{AcsOptions, Agent, FileServer, FileServerOptions, ManualAcs, Message, Rpc};

/// The limit for steps that take milliseconds, long enough for a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The time for which a test waits for a session that must not come.
pub(crate) const QUIET: Duration = Duration::from_millis(700);

pub(crate) const CONFIG: &str = "3 Vendor Configuration File";
pub(crate) const FIRMWARE: &str = "1 Firmware Upgrade Image";
pub(crate) const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";

pub(crate) struct TransferGateway {
    pub(crate) acs: ManualAcs,
    pub(crate) agent: Agent,
    pub(crate) files: FileServer,
    pub(crate) place: TempDir,
}

/// Returns a shell command as an action of the model, which runs in the directory of the traces.
pub(crate) fn shell(script: &str) -> String {
    format!("\"run\": [\"sh\", \"-c\", {:?}]", format!("cd PLACE; {script}"))
}

/// Returns an action that keeps a copy of its file, and writes a line for each run.
pub(crate) fn keeps_its_file() -> String {
    shell("cp {file} applied && echo 'key={commandKey}' >> applies")
}

impl TransferGateway {
    /// A gateway with that `actions` object, after its first session. `PLACE` and `AGENT` in it are the directories of
    /// the traces and of the agent.
    pub(crate) fn new(actions: &str) -> TransferGateway {
        TransferGateway::with(FileServer::start(FileServerOptions::new()), actions, |builder, _| builder)
    }

    pub(crate) fn with(
        files: FileServer,
        actions: &str,
        change: impl FnOnce(crate::support::agent::AgentBuilder, &str) -> crate::support::agent::AgentBuilder,
    ) -> TransferGateway {
        let acs = ManualAcs::start(AcsOptions::new());
        let place = tempfile::tempdir().expect("a temporary directory");
        let in_place = |name: &str| place.path().join(name);
        let builder = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent"))
            .data_model("data-model/tr-181.json")
            .data_model(in_place("overlay.json"))
            .data_model(in_place("image"))
            .set("Device.ManagementServer.URL", &acs.url())
            .set("Device.ManagementServer.CWMPRetryMinimumWaitInterval", "1")
            .set("Device.ManagementServer.CWMPRetryIntervalMultiplier", "1000")
            .set("Device.ManagementServer.PeriodicInformEnable", "false")
            .fixed_ports();
        let text = |path: PathBuf| path.to_str().expect("a path that is text").to_owned();
        let agent = change(builder, &text(place.path().into())).not_started();
        let actions = actions.replace("PLACE", &text(place.path().into()));
        let actions = actions.replace("AGENT", &text(agent.directory().into()));
        fs::write(in_place("overlay.json"), format!("{{ \"actions\": {{ {actions} }} }}")).expect("a file");
        fs::write(in_place("image"), image("1.0.0")).expect("a file");
        let mut gateway = TransferGateway { acs, agent, files, place };
        gateway.agent.restart();
        gateway.agent.wait_for_control();
        gateway.acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
        gateway
    }

    /// Runs a session in which the ACS sends this request.
    pub(crate) fn ask(&self, rpcs: &[Rpc]) {
        self.agent.succeeds(&["inform"]);
        self.acs.expect_session(&["2 PERIODIC"], |_, session| {
            for rpc in rpcs {
                let answer = session.call(rpc).expect("an answer");
                assert_eq!(answer.method, format!("{}Response", rpc.method()), "{}", answer.xml);
                if let Some(status) = answer.argument("Status") {
                    assert_eq!(status, "1"); // R230
                    assert_eq!(answer.argument("StartTime"), Some(UNKNOWN_TIME)); // R227
                    assert_eq!(answer.argument("CompleteTime"), Some(UNKNOWN_TIME)); // R227
                }
            }
        });
    }

    /// Expects the report of a download with the key `k` and this code; 0 is success.
    pub(crate) fn ends_with(&self, code: u16) -> Message {
        let report = self.acs.expect_request(&["7 TRANSFER COMPLETE", "M Download/k"]);
        assert_eq!(code_of(&report), code, "{}", report.xml);
        report
    }

    /// Returns the lines that actions have written to a file.
    pub(crate) fn traces(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.place.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn waits_for_trace(&self, file: &str) {
        until(&format!("a trace in {file}"), || !self.traces(file).is_empty());
    }

    pub(crate) fn content(&self, file: &str) -> Vec<u8> {
        fs::read(self.place.path().join(file)).expect(file)
    }

    /// Returns the number of files in the directory of transfers.
    pub(crate) fn left_behind(&self) -> usize {
        fs::read_dir(self.agent.state_dir().join("transfers")).map_or(0, Iterator::count)
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.agent.succeeds(&["status", "--json"])).expect("JSON")
    }

    /// Waits until the only transfer is in this state.
    pub(crate) fn waits_for_state(&self, state: &str) {
        until(state, || {
            // The agent may just have been started.
            let output = self.agent.command(&["status", "--json"]);
            let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            status["transfers"][0]["state"] == state
        });
    }
}

/// Returns the content of a firmware file: a part of the data model.
pub(crate) fn image(version: &str) -> String {
    format!(r#"{{ "Device": {{ "DeviceInfo": {{ "SoftwareVersion": {{ "value": "{version}" }} }} }} }}"#)
}

pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the FaultCode of a report.
pub(crate) fn code_of(report: &Message) -> u16 {
    report.fault.as_ref().expect("a FaultStruct").code
}
