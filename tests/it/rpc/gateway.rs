//! A gateway with a shipped model, and the ACS that the test drives by hand.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::gateway::{Model, SOON};
use crate::support::{AcsOptions, Agent, ManualAcs};

/// The time for which a test waits for a session that must not come.
pub(crate) const QUIET: Duration = Duration::from_millis(700);

/// The ACS, the gateway, and a directory to which the commands of the device write.
pub(crate) struct Gateway {
    pub(crate) model: &'static Model,
    pub(crate) acs: ManualAcs,
    pub(crate) agent: Agent,
    pub(crate) place: TempDir,
}

impl Gateway {
    /// Returns a gateway in factory state after its first session.
    pub(crate) fn new(model: &'static Model) -> Gateway {
        Gateway::with_actions(model, |_, _| String::new())
    }

    /// Returns a gateway with this `actions` object, which may name the directories of the agent and of the traces.
    pub(crate) fn with_actions(model: &'static Model, actions: impl FnOnce(&str, &str) -> String) -> Gateway {
        let gateway = Gateway::not_started(model, actions);
        gateway.started()
    }

    pub(crate) fn not_started(model: &'static Model, actions: impl FnOnce(&str, &str) -> String) -> Gateway {
        let acs = ManualAcs::start(AcsOptions::new());
        let place = tempfile::tempdir().expect("a temporary directory");
        let overlay = place.path().join("overlay.json");
        let agent = model.gateway_at(&acs.url()).data_model(&overlay).not_started();
        let actions = actions(&text(agent.directory().into()), &text(place.path().into()));
        fs::write(overlay, format!("{{ \"actions\": {{ {actions} }} }}")).expect("a file");
        Gateway { model, acs, agent, place }
    }

    pub(crate) fn started(mut self) -> Gateway {
        self.agent.restart();
        self.acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]); // R136, R137
        self
    }

    pub(crate) fn management(&self, name: &str) -> String {
        format!("{}.ManagementServer.{name}", self.model.root)
    }

    pub(crate) fn info(&self, name: &str) -> String {
        format!("{}.DeviceInfo.{name}", self.model.root)
    }

    /// Kills the agent and reboots the device.
    pub(crate) fn crash_and_reboot(&mut self) {
        self.agent.kill9();
        self.acs.clear();
        self.agent.reboot();
    }

    /// Kills and restarts the agent; the device does not reboot.
    pub(crate) fn crash(&mut self) {
        self.agent.kill9();
        self.acs.clear();
        self.agent.restart();
    }

    /// Returns the lines that the device's commands have written to a file.
    pub(crate) fn traces(&self, file: &str) -> usize {
        fs::read_to_string(self.place.path().join(file)).map_or(0, |text| text.lines().count())
    }

    /// Waits until the device's commands have written to a file.
    pub(crate) fn wait_for_trace(&self, file: &str, count: usize) {
        let deadline = std::time::Instant::now() + SOON;
        while self.traces(file) < count {
            assert!(std::time::Instant::now() < deadline, "no trace {count} in {file}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn text(path: PathBuf) -> String {
    path.to_str().expect("a path that is text").to_owned()
}
