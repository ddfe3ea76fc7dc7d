//! A gateway with a shipped model, and the visits that it pays to its ACS.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::gateway::{Model, SOON};
use crate::support::{AcsSession, Agent, ManualAcs, Message, Rpc, get_parameter_values, set_parameter_values};

/// Long enough for a session that should not come.
pub(crate) const QUIET: Duration = Duration::from_millis(700);

/// Where the gateway calls, the gateway, and a place for its commands.
pub(crate) struct Gateway {
    pub(crate) model: &'static Model,
    pub(crate) acs: ManualAcs,
    pub(crate) agent: Agent,
    pub(crate) place: TempDir,
}

impl Gateway {
    /// A gateway in factory state after its first session.
    pub(crate) fn new(model: &'static Model) -> Gateway {
        Gateway::with_actions(model, |_, _| String::new())
    }

    /// The same with `actions`, which are told of the directories of the agent and of their own.
    pub(crate) fn with_actions(model: &'static Model, actions: impl FnOnce(&str, &str) -> String) -> Gateway {
        let gateway = Gateway::not_started(model, actions);
        gateway.started()
    }

    pub(crate) fn not_started(model: &'static Model, actions: impl FnOnce(&str, &str) -> String) -> Gateway {
        let acs = ManualAcs::start().keeping_messages();
        let place = tempfile::tempdir().expect("a temporary directory");
        let overlay = place.path().join("overlay.json");
        let agent = model.gateway_at(&acs.url()).data_model(&overlay).not_started();
        let actions = actions(&text(agent.directory().into()), &text(place.path().into()));
        fs::write(overlay, format!("{{ \"actions\": {{ {actions} }} }}")).expect("a file");
        Gateway { model, acs, agent, place }
    }

    pub(crate) fn started(mut self) -> Gateway {
        self.agent.restart();
        self.visit(&["0 BOOTSTRAP", "1 BOOT"], |_, _| {}); // R136, R137
        self
    }

    /// The next session: its Inform has just these events, written `M Reboot/key` where there is a key.
    pub(crate) fn visit<R>(&self, events: &[&str], talk: impl FnOnce(&Message, &mut AcsSession) -> R) -> R {
        let (inform, mut session) = self.calls();
        assert_eq!(told(&inform), sorted(events)); // R94, R95, R135
        let result = talk(&inform, &mut session);
        session.end_session();
        assert!(session.is_closed()); // R50
        result
    }

    /// The next session up to where the gateway listens, whatever it is about.
    pub(crate) fn calls(&self) -> (Message, AcsSession) {
        let mut session = self.acs.accept(SOON).expect("a session");
        let inform = session.recv().expect("an Inform");
        assert!(inform.is_inform(), "{}", inform.xml); // R90
        session.confirm_inform();
        assert!(session.recv().expect("the empty POST").method.is_empty()); // R114
        (inform, session)
    }

    /// No session comes.
    pub(crate) fn stays_quiet(&self, time: Duration) {
        assert!(self.acs.accept(time).is_none(), "a session that should not come");
    }

    pub(crate) fn management(&self, name: &str) -> String {
        format!("{}.ManagementServer.{name}", self.model.root)
    }

    pub(crate) fn info(&self, name: &str) -> String {
        format!("{}.DeviceInfo.{name}", self.model.root)
    }

    /// A crash, after which the device comes back.
    pub(crate) fn crash_and_reboot(&mut self) {
        self.agent.kill9();
        self.acs.clear();
        self.agent.reboot();
    }

    /// A crash of the agent alone.
    pub(crate) fn crash(&mut self) {
        self.agent.kill9();
        self.acs.clear();
        self.agent.restart();
    }

    /// The lines that the device's commands have left in a file.
    pub(crate) fn traces(&self, file: &str) -> usize {
        fs::read_to_string(self.place.path().join(file)).map_or(0, |text| text.lines().count())
    }

    /// Waits for a trace of the device's commands.
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

/// The events of an Inform in order, each with its key behind a slash.
pub(crate) fn told(inform: &Message) -> Vec<String> {
    let event = |event: &crate::support::message::Event| match event.command_key.as_str() {
        "" => event.code.clone(),
        key => format!("{}/{key}", event.code),
    };
    let mut events: Vec<String> = inform.events.iter().map(event).collect();
    events.sort();
    events
}

fn sorted(events: &[&str]) -> Vec<String> {
    let mut events: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
    events.sort();
    events
}

/// What an ACS says in a few words.
impl AcsSession {
    /// The call is answered as it should be.
    pub(crate) fn succeeds(&mut self, rpc: &Rpc) -> Message {
        let answer = self.call(rpc).expect("an answer");
        assert_eq!(answer.method, format!("{}Response", rpc.method()), "{}", answer.xml);
        answer
    }

    /// The call is refused with this code.
    pub(crate) fn refuses(&mut self, rpc: &Rpc, code: u16) -> Message {
        let answer = self.call(rpc).expect("an answer");
        let found = answer.fault.as_ref().map(|fault| fault.code);
        assert_eq!(found, Some(code), "{rpc:?}: {}", answer.xml);
        answer
    }

    pub(crate) fn set(&mut self, name: &str, kind: &str, value: &str) {
        let answer = self.succeeds(&set_parameter_values(&[(name, kind, value)], ""));
        assert_eq!(answer.argument("Status"), Some("0")); // R169
    }

    pub(crate) fn value(&mut self, name: &str) -> String {
        let answer = self.succeeds(&get_parameter_values(&[name]));
        answer.value(name).unwrap_or_else(|| panic!("no {name}")).to_owned()
    }
}
