//! The fresh device of a replay, with its journal in a temporary directory.

use std::cell::RefCell;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::scripted_acs::ScriptedAcs;
use super::stimulus::Stimulus;
use super::trace_file::{Exchange, Trace};
use super::{Failure, UTF_8};
use crate::acs::{AcsConnection, AcsSettings};
use crate::agent::{StoreJournal, is_secret, load_model};
use crate::clock::Clock;
use crate::config::Config;
use crate::cwmp::device::{Author, Device, Reset};
use crate::cwmp::event::{EventCode, EventQueue};
use crate::cwmp::session::{Output, Session, SessionConfig};
use crate::cwmp::session_error::SessionError;
use crate::cwmp::soap;
use crate::cwmp::version::{self, Version};
use crate::http::TlsSettings;
use crate::model::change::Change;
use crate::model::date_time::DateTime;
use crate::store::Store;

/// The largest message of the ACS, in bytes.
const BODY_LIMIT: usize = 64 << 20;
/// The longest wait for the scripted ACS.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The messages of a session that was replayed, and its error.
pub(super) struct Outcome {
    pub(super) messages: Vec<Vec<u8>>,
    pub(super) error: Option<String>,
}

/// The device under test.
pub(super) struct TestDevice {
    config: Config,
    device: Device,
    clock: Clock,
    notes: Vec<String>,
    _directory: TemporaryDirectory,
}

impl TestDevice {
    /// Builds the device with the data model of the configuration, or else of the trace, and with the state of the trace.
    pub(super) fn new(config: &Config, trace: &Trace) -> Result<TestDevice, Failure> {
        let mut config = config.clone();
        if config.data_model == Config::default().data_model && !trace.models.is_empty() {
            config.data_model = trace.models.iter().map(PathBuf::from).collect();
            config.optional_data_model.clear();
        }
        for (name, value) in &trace.factory_values {
            // An option of the command line takes precedence.
            if !config.factory_values.iter().any(|(known, _)| known == name) {
                config.factory_values.push((name.clone(), value.as_str().into()));
            }
        }
        let directory = TemporaryDirectory::create()
            .map_err(|error| Failure::Other(format!("a temporary directory cannot be created: {error}")))?;
        let records = [format!("{{\"tree\":[{}]}}", trace.changes.join(","))];
        let clock = Clock::new();
        let (mut device, notes) = build(&config, &directory, &records, clock)?;
        for (name, value) in &trace.runtime_values {
            device.set_runtime_value(name, value);
        }
        Ok(TestDevice { config, device, clock, notes, _directory: directory })
    }

    /// Returns the remarks for the developer since the last call.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Replays a session, whose first message is an Inform. An error is one of this program, and not of the session.
    pub(super) fn run(&mut self, exchanges: &[&Exchange]) -> Result<Outcome, String> {
        let inform = exchanges.first().map_or("", |first| &first.request);
        let stimulus = Stimulus::read(inform)?;
        self.prepare(&stimulus)?;
        let replies = exchanges.iter().flat_map(|exchange| exchange.replies.iter().cloned()).collect();
        let acs = ScriptedAcs::start(replies).map_err(|error| format!("no ACS on a loopback port: {error}"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let settings = AcsSettings {
            url: acs.url(),
            username: self.device.acs_username(),
            password: self.device.acs_password(),
            tls: TlsSettings::default(),
            clock_is_set: true,
            timeout: TIMEOUT,
            body_limit: BODY_LIMIT,
            stop: Arc::clone(&stop),
        };
        let mut connection = AcsConnection::open(settings).map_err(|error| error.to_string())?;
        let now = self.clock.now();
        let session = SessionConfig {
            current_time: stimulus.current_time.unwrap_or(DateTime::from_unix(now.wall, 0)),
            offered: if stimulus.version == Version::V1_0 { version::OLDEST } else { version::ALL },
            stop,
        };
        let (session, first) = Session::start(&session, &mut self.device);
        let outcome = self.exchange(&mut connection, session, first);
        self.device.state_mut().events.session_ended();
        Ok(outcome)
    }

    /// Gives the device the causes of the session.
    fn prepare(&mut self, stimulus: &Stimulus) -> Result<(), String> {
        if self.device.state().reset != Reset::None {
            self.notes.push("the device was reset by the session before, and begins with the factory state".into());
            let records: [String; 0] = [];
            (self.device, _) =
                build(&self.config, &self._directory, &records, self.clock).map_err(|failure| match failure {
                    Failure::Model(error) => error.to_string(),
                    Failure::Other(reason) => reason,
                })?;
        }
        let has_changes = stimulus.has(&EventCode::ValueChange);
        for (name, value) in &stimulus.parameters {
            if has_changes {
                self.adopt(name, value);
            }
        }
        let state = self.device.state_mut();
        state.events = EventQueue::default();
        stimulus.events.iter().for_each(|event| state.events.raise(event.clone()));
        state.retry_count = stimulus.retry_count;
        state.reboot = false;
        state.changed.clear();
        if has_changes {
            state.changed.extend(stimulus.parameters.iter().map(|(name, _)| name.clone()));
        }
        Ok(())
    }

    /// Gives a parameter the value of an Inform with 4 VALUE CHANGE: the change came from outside of the session.
    fn adopt(&mut self, name: &str, text: &str) {
        let tree = self.device.tree();
        let Ok(parameter) = tree.parameter(name) else { return };
        let is_same = parameter.with_value(|value| value.to_string() == text);
        let value = parameter.spec.parse(text).ok().filter(|_| !is_same && !is_secret(tree, name));
        if let Some(value) = value {
            self.notes.push(format!("{name} has changed to `{text}` between the sessions"));
            let change = vec![Change::Set(name.to_owned(), value)];
            if let Err(error) = self.device.apply(change, Author::Acs, self.clock.now()) {
                self.notes.push(error.to_string());
            }
        }
    }

    /// Posts the messages of the session and hands it the responses, until it ends.
    fn exchange(&mut self, connection: &mut AcsConnection, mut session: Session, mut output: Output) -> Outcome {
        let mut messages = Vec::new();
        let error = loop {
            let body = match output {
                Output::End(result) => break result.err(),
                Output::Post(body) => body,
            };
            let reply = connection.post(&body);
            messages.push(body);
            match reply {
                Ok(reply) => {
                    (session, output) =
                        session.reply(&reply.body, reply.charset.as_deref(), &mut self.device, self.clock.now())
                }
                Err(error) => break Some(SessionError::from(error)),
            }
        };
        Outcome { messages, error: error.map(|error| error.to_string()) }
    }

    /// Returns the text of a message for a comparison: an element a line, without secrets.
    pub(super) fn comparable(&self, message: &[u8]) -> String {
        if message.is_empty() {
            return String::new();
        }
        let tree = self.device.tree();
        let masked = soap::masked(message, UTF_8, &|name| is_secret(tree, name));
        masked.unwrap_or_else(|_| String::from_utf8_lossy(message).into_owned())
    }
}

/// Builds the device from its model and the records. Also returns a remark for each record that the model rejects.
fn build(
    config: &Config,
    directory: &TemporaryDirectory,
    records: &[String],
    clock: Clock,
) -> Result<(Device, Vec<String>), Failure> {
    let loaded = load_model(config).map_err(Failure::Model)?;
    let path = directory.next().map_err(|error| Failure::Other(error.to_string()))?;
    let (store, _) = Store::open(&path).map_err(|error| Failure::Other(error.to_string()))?;
    let journal = Box::new(StoreJournal(Rc::new(RefCell::new(store))));
    Ok(Device::restore(loaded, records, journal, clock.now()))
}

/// A directory that is removed with its content.
struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn create() -> io::Result<TemporaryDirectory> {
        let path = std::env::temp_dir().join(format!("cpe-agent-replay-{}", std::process::id()));
        // A directory of that name is an error: another user may have made it.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(TemporaryDirectory(path))
    }

    /// Returns the name of another journal: the device before a factory reset holds the lock of its own.
    fn next(&self) -> io::Result<PathBuf> {
        Ok(self.0.join(fs::read_dir(&self.0)?.count().to_string()))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // A directory that stays behind holds no secret.
        let _ = fs::remove_dir_all(&self.0);
    }
}
