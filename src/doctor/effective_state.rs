//! The values in use: from the configuration, the data model, the journal and the running agent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value as Json;

use super::finding::{Finding, FindingPrinter};
use crate::agent::{check_acs_settings, load_model, tls_settings};
use crate::clock::Now;
use crate::config::Config;
use crate::control::{self, ControlError, ControlErrorKind, GetRequest, Request};
use crate::cwmp::device::management_server::parameter;
use crate::cwmp::device::{Device, Growth, JournalError, JournalWriter};
use crate::http;
use crate::model::Loaded;
use crate::model::actions::Actions;
use crate::secret::Secret;
use crate::store::{Recovered, Store};
use crate::url::Url;

/// The longest wait for the running agent. It answers in milliseconds, except during a session; then the values of the
/// journal are used.
const ANSWER: Duration = Duration::from_secs(3);

/// The state of the device, as far as a second process can see it.
pub(super) struct EffectiveState {
    /// The factory state with the changes of the journal, hidden values included.
    device: Device,
    /// The values of ManagementServer in the running agent, by their names without that of the object.
    reported: BTreeMap<String, String>,
    /// The JSON of `status`, if an agent answers.
    status: Option<Json>,
    pub(super) agent: AgentState,
    /// True if the journal could be read.
    is_stored_known: bool,
    state_dir: String,
}

/// The state of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgentState {
    /// The agent answers on the control socket.
    Answers,
    /// No agent runs.
    NotRunning,
    /// An agent may be running, but does not answer.
    Unknown,
}

impl EffectiveState {
    /// Reads all sources and prints a finding for each. Returns `None` if the configuration or the data model is unusable.
    pub(super) fn find(config: &Config, now: Now, printer: &mut FindingPrinter) -> Option<EffectiveState> {
        let loaded = match load_model(config) {
            Ok(loaded) => loaded,
            Err(error) => {
                printer.add(Finding::failed("configuration", error.to_string()));
                return None;
            }
        };
        printer.add(assess_configuration(config, &loaded));
        let state_dir = config.state_dir.display().to_string();
        // `peek` takes no lock and repairs nothing: the running agent owns the journal.
        let stored = Store::peek(&config.state_dir);
        let is_stored_known = stored.is_ok();
        let recovered = stored.unwrap_or_else(|error| {
            let text = format!("{state_dir} cannot be read: {error}; the stored values are unknown");
            printer.add(Finding::warning("state", text));
            Recovered::default()
        });
        // The same restore as at the start of the agent, so that rejected values of the journal are reported here as well.
        let (device, notices) = Device::restore(loaded, &recovered.records, Box::new(NoJournal), now);
        for notice in recovered.notices.into_iter().chain(notices) {
            printer.add(Finding::warning("state", notice));
        }
        if is_stored_known {
            let records = recovered.records.len();
            let found = match records {
                0 => "holds nothing yet: factory state".into(),
                1 => "1 record".into(),
                _ => format!("{records} records"),
            };
            printer.add(Finding::ok("state", format!("{state_dir}: {found}")));
        }
        let answer = ask(config, &device);
        printer.add(agent_line(&answer));
        let agent = match &answer {
            Ok(_) => AgentState::Answers,
            Err(ControlError { kind: ControlErrorKind::NotRunning, .. }) => AgentState::NotRunning,
            Err(_) => AgentState::Unknown,
        };
        let reported = answer.unwrap_or_default();
        // `status` is answered even where `get` has to wait.
        let status = control::ask(&config.control, &Request::Status { json: true }, ANSWER).ok();
        let status = status.and_then(|text| serde_json::from_str(&text).ok());
        Some(EffectiveState { device, reported, status, agent, is_stored_known, state_dir })
    }

    /// Returns the JSON of `status`, if an agent answers.
    pub(super) fn status(&self) -> Option<&Json> {
        self.status.as_ref()
    }

    /// Returns true if an agent answers whose state survives a restart.
    pub(super) fn is_durable(&self) -> bool {
        let durable = self.status.as_ref().and_then(|status| status.get("journal")?.get("durable")?.as_bool());
        durable == Some(true)
    }

    /// Returns the address at which the running agent listens for connection requests over `http` or `udp`. The outer
    /// `None`: no agent answers; the inner one: its port is closed.
    pub(super) fn listening(&self, transport: &str) -> Option<Option<SocketAddr>> {
        let listening = self.status.as_ref()?.get("connectionRequests")?.get(transport)?.get("listening")?;
        Some(listening.as_str().and_then(|text| text.parse().ok()))
    }

    /// Returns the commands of the data model.
    pub(super) fn actions(&self) -> &Actions {
        self.device.actions()
    }

    /// Returns STUNPassword. Only the journal shows it: the running agent reports a hidden value as empty.
    pub(super) fn stun_password(&self) -> Secret {
        self.device.stun_settings().password
    }

    /// Returns the text of a ManagementServer parameter, by its name without that of the object; empty if there is none.
    pub(super) fn text(&self, name: &str) -> String {
        self.reported.get(name).cloned().unwrap_or_else(|| self.device.management_server_text(name))
    }

    /// Returns a flag of ManagementServer; `absent` if the model has no such parameter.
    pub(super) fn flag(&self, name: &str, absent: bool) -> bool {
        match self.text(name).as_str() {
            "" => absent,
            text => matches!(text, "1" | "true"),
        }
    }

    /// Returns a port number of ManagementServer, if it is valid.
    pub(super) fn port(&self, name: &str) -> Option<u16> {
        self.text(name).parse().ok().filter(|port| *port > 0)
    }

    /// Returns true if the device has a password for the ACS; `None` if that is unknown.
    pub(super) fn has_password(&self) -> Option<bool> {
        // Only the journal shows it: the running agent reports a hidden value as empty.
        self.is_stored_known.then(|| !self.device.acs_password().expose().is_empty())
    }

    /// Returns ConnectionRequestURL as the running agent reports it.
    pub(super) fn connection_request_url(&self) -> Option<Url> {
        Url::parse(self.reported.get(parameter::CONNECTION_REQUEST_URL)?).ok()
    }

    /// Returns the random path of ConnectionRequestURL; empty if none is chosen yet.
    pub(super) fn request_path(&self) -> &str {
        &self.device.state().request_path
    }

    /// Returns the source of ManagementServer.URL.
    fn origin_of_url(&self) -> String {
        let name = self.device.management_server_name(parameter::URL);
        if self.reported.contains_key(parameter::URL) {
            "as the running agent has it".into()
        } else if self.device.tree().parameter(&name).is_ok_and(|parameter| parameter.is_changed()) {
            format!("stored in {}", self.state_dir)
        } else {
            "from the factory state".into()
        }
    }
}

/// Checks the TLS files and the URL of the factory state.
fn assess_configuration(config: &Config, loaded: &Loaded) -> Finding {
    let subject = "configuration";
    match check_acs_settings(config, loaded) {
        Ok(()) => Finding::ok(subject, format!("valid, data model {}", config.model_names())),
        // A wrong URL of the factory state is only a warning, since the ACS may have set another one; the line of the URL
        // shows it. A wrong TLS file stops every session.
        Err(error) if http::check_tls_files(&tls_settings(config)).is_ok() => {
            Finding::warning(subject, error.to_string())
        }
        Err(error) => Finding::failed(subject, error.to_string()),
    }
}

/// Returns the URL that the agent contacts, if it is valid, and prints the finding.
pub(super) fn acs_url(config: &Config, state: &EffectiveState, printer: &mut FindingPrinter) -> Option<Url> {
    let origin = state.origin_of_url();
    let text = state.text(parameter::URL);
    if text.is_empty() {
        let text = format!("ManagementServer.URL is empty, {origin}");
        printer.add(match config.allows_discovery() {
            true => Finding::warning("ACS URL", text + "; the agent waits for DHCP to give one"),
            false => Finding::failed("ACS URL", text),
        });
        return None;
    }
    match Url::parse(&text) {
        Ok(url) => {
            // The URL is shown without user information and query, since either may hold a key.
            printer.add(Finding::ok("ACS URL", format!("{url}, {origin}")));
            if !state.flag(parameter::ENABLE_CWMP, true) {
                printer.add(Finding::warning("ACS URL", "EnableCWMP is false: the agent does not contact it"));
            }
            Some(url)
        }
        Err(error) => {
            printer.add(Finding::failed("ACS URL", format!("{error}, {origin}")));
            None
        }
    }
}

/// Reads ManagementServer from the running agent.
fn ask(config: &Config, device: &Device) -> Result<BTreeMap<String, String>, ControlError> {
    let object = device.management_server_name("");
    let request = GetRequest { paths: vec![object.clone()], ..GetRequest::default() };
    let output = control::ask(&config.control, &Request::Get(request), ANSWER)?;
    Ok(values(&output, &object))
}

/// Parses lines of `path=value` and keeps those below `object`.
fn values(output: &str, object: &str) -> BTreeMap<String, String> {
    let lines = output.lines().filter_map(|line| line.strip_prefix(object)?.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.replace("\\\\", "\\"))).collect()
}

/// Returns the finding about the running agent.
fn agent_line(answer: &Result<BTreeMap<String, String>, ControlError>) -> Finding {
    match answer {
        Ok(_) => Finding::ok("agent", "is running and answers"),
        Err(ControlError { kind: ControlErrorKind::TimedOut, reason }) => {
            Finding::warning("agent", format!("{reason}; it may be reading its configuration"))
        }
        Err(ControlError { reason, .. }) => Finding::warning("agent", reason.clone()),
    }
}

/// A journal that accepts no record, since the command changes nothing.
struct NoJournal;

impl JournalWriter for NoJournal {
    fn append(&mut self, _: &str, _: Growth) -> Result<(), JournalError> {
        Err(JournalError { reason: "doctor changes nothing".into(), is_full: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_values_are_named_without_their_object() {
        let output = "Device.ManagementServer.URL=http://a/?b=c\nDevice.ManagementServer.Password=\n\
                      Device.ManagementServer.T.1.X=a\\\\b\nDevice.Time.Enable=true\nrubbish\n";
        let found = values(output, "Device.ManagementServer.");
        let expected = [("URL", "http://a/?b=c"), ("Password", ""), ("T.1.X", "a\\b")];
        assert_eq!(found, expected.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
    }
}
