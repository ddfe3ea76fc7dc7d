//! What holds now: the configuration, the data model, what was stored, and what the running agent says of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::finding::{Finding, FindingPrinter};
use crate::agent::{check_acs_settings, load_model, tls_settings};
use crate::clock::Now;
use crate::config::Config;
use crate::control::{self, ControlError, ControlErrorKind, Request};
use crate::cwmp::device::management_server::parameter;
use crate::cwmp::device::{Device, JournalError, JournalWriter};
use crate::http;
use crate::model::Loaded;
use crate::store::{Recovered, Store};
use crate::url::Url;

/// A running agent answers in milliseconds, unless it is in a session; then the journal has to do.
const ANSWER: Duration = Duration::from_secs(3);

/// The device as it is now, as far as it can be known from beside the agent.
pub(super) struct EffectiveState {
    /// The factory state with what the journal holds over it: hidden values too.
    device: Device,
    /// Values of ManagementServer as the running agent has them, by their names without the object's.
    told: BTreeMap<String, String>,
    pub(super) agent: AgentState,
    /// Whether the journal could be read.
    is_stored_known: bool,
    state_dir: String,
}

/// Whether an agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgentState {
    /// It answers on the control socket.
    Answers,
    /// Nobody is there.
    NotRunning,
    /// Somebody may be there.
    Unknown,
}

impl EffectiveState {
    /// Reads what there is; nothing where configuration or data model are unusable.
    pub(super) fn find(config: &Config, now: Now, report: &mut FindingPrinter) -> Option<EffectiveState> {
        let loaded = match load_model(config) {
            Ok(loaded) => loaded,
            Err(error) => {
                report.add(Finding::failed("configuration", error.to_string()));
                return None;
            }
        };
        report.add(judge_contact(config, &loaded));
        let state_dir = config.state_dir.display().to_string();
        let stored = Store::peek(&config.state_dir);
        let is_stored_known = stored.is_ok();
        let recovered = stored.unwrap_or_else(|error| {
            let text = format!("{state_dir} cannot be read: {error}; what was stored is not known here");
            report.add(Finding::warning("state", text));
            Recovered::default()
        });
        let (device, notices) = Device::restore(loaded, &recovered.records, Box::new(NoJournal), now);
        for notice in recovered.notices.into_iter().chain(notices) {
            report.add(Finding::warning("state", notice));
        }
        if is_stored_known {
            let records = recovered.records.len();
            let found =
                if records == 0 { "holds nothing yet: factory state".into() } else { format!("{records} records") };
            report.add(Finding::ok("state", format!("{state_dir}: {found}")));
        }
        let answer = ask(config, &device);
        report.add(agent_line(&answer));
        let agent = match &answer {
            Ok(_) => AgentState::Answers,
            Err(ControlError { kind: ControlErrorKind::NotRunning, .. }) => AgentState::NotRunning,
            Err(_) => AgentState::Unknown,
        };
        let told = answer.unwrap_or_default();
        Some(EffectiveState { device, told, agent, is_stored_known, state_dir })
    }

    /// A text of ManagementServer, by its name without the object's; empty where there is none.
    pub(super) fn text(&self, name: &str) -> String {
        self.told.get(name).cloned().unwrap_or_else(|| self.device.management_server_text(name))
    }

    /// A flag of ManagementServer; `absent` where the model has no such parameter.
    pub(super) fn flag(&self, name: &str, absent: bool) -> bool {
        match self.text(name).as_str() {
            "" => absent,
            text => matches!(text, "1" | "true"),
        }
    }

    /// A port number of ManagementServer, where there is one.
    pub(super) fn port(&self, name: &str) -> Option<u16> {
        self.text(name).parse().ok().filter(|port| *port > 0)
    }

    /// Whether there is a password for the ACS; nothing where that cannot be known. It is hidden in what the agent
    /// tells.
    pub(super) fn has_password(&self) -> Option<bool> {
        self.is_stored_known.then(|| !self.device.acs_password().expose().is_empty())
    }

    /// Where connection requests arrive, as the agent publishes it.
    pub(super) fn connection_request_url(&self) -> Option<Url> {
        Url::parse(self.told.get(parameter::CONNECTION_REQUEST_URL)?).ok()
    }

    /// The random path of ConnectionRequestURL; empty where none was chosen yet.
    pub(super) fn request_path(&self) -> &str {
        &self.device.state().request_path
    }

    fn origin_of_url(&self) -> String {
        let name = self.device.management_server_name(parameter::URL);
        if self.told.contains_key(parameter::URL) {
            "as the running agent has it".into()
        } else if self.device.tree().parameter(&name).is_ok_and(|parameter| parameter.is_changed()) {
            format!("stored in {}", self.state_dir)
        } else {
            "from the factory state".into()
        }
    }
}

/// A wrong file of TLS stops every session. A wrong URL of the factory state does not where another one is in force; the
/// line of the URL tells.
fn judge_contact(config: &Config, loaded: &Loaded) -> Finding {
    let subject = "configuration";
    match check_acs_settings(config, loaded) {
        Ok(()) => {
            let files: Vec<String> = config.data_model.iter().map(|file| file.display().to_string()).collect();
            Finding::ok(subject, format!("valid, data model {}", files.join(", ")))
        }
        Err(error) if http::check_tls_files(&tls_settings(config)).is_ok() => {
            Finding::warning(subject, error.to_string())
        }
        Err(error) => Finding::failed(subject, error.to_string()),
    }
}

/// The URL that the agent contacts, where it can be.
pub(super) fn acs_url(state: &EffectiveState, report: &mut FindingPrinter) -> Option<Url> {
    let origin = state.origin_of_url();
    let text = state.text(parameter::URL);
    if text.is_empty() {
        report.add(Finding::failed("ACS URL", format!("ManagementServer.URL is empty, {origin}")));
        return None;
    }
    match Url::parse(&text) {
        Ok(url) => {
            // Without user information and query, either of which may hold a key.
            report.add(Finding::ok("ACS URL", format!("{url}, {origin}")));
            if !state.flag(parameter::ENABLE_CWMP, true) {
                report.add(Finding::warning("ACS URL", "EnableCWMP is false: the agent does not contact it"));
            }
            Some(url)
        }
        Err(error) => {
            report.add(Finding::failed("ACS URL", format!("{error}, {origin}")));
            None
        }
    }
}

fn ask(config: &Config, device: &Device) -> Result<BTreeMap<String, String>, ControlError> {
    let object = device.management_server_name("");
    let output = control::ask(&config.control, &Request::Get(vec![object.clone()]), ANSWER)?;
    Ok(values(&output, &object))
}

/// Lines of `path=value` below `object`.
fn values(output: &str, object: &str) -> BTreeMap<String, String> {
    let lines = output.lines().filter_map(|line| line.strip_prefix(object)?.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.replace("\\\\", "\\"))).collect()
}

fn agent_line(answer: &Result<BTreeMap<String, String>, ControlError>) -> Finding {
    match answer {
        Ok(_) => Finding::ok("agent", "is running and answers"),
        Err(ControlError { kind: ControlErrorKind::TimedOut, reason }) => {
            Finding::warning("agent", format!("{reason}; it may be busy with a session"))
        }
        Err(ControlError { reason, .. }) => Finding::warning("agent", reason.clone()),
    }
}

/// Whoever only looks writes nothing.
struct NoJournal;

impl JournalWriter for NoJournal {
    fn append(&mut self, _: &str) -> Result<(), JournalError> {
        Err(JournalError("doctor changes nothing".into()))
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
