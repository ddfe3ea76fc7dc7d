//! The recording of sessions for `cpe-agent trace`.
//!
//! ```text
//! run_session ──▶ masked (no secrets) ──▶ trace (text) ──▶ ResultStream ──▶ control thread ──▶ client ──▶ file
//! ```
//!
//! Most of the time there is no recording, and each function returns at once. A client that reads too slowly loses entries, and the
//! session never waits for it.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use super::Agent;
use super::session_thread::Exchange;
use crate::clock::Now;
use crate::control::{Responder, ResultStream};
use crate::cwmp::session_error::SessionError;
use crate::cwmp::soap;
use crate::model::change::Change;
use crate::model::date_time::DateTime;
use crate::model::path::with_any_numbers;
use crate::model::tree::Tree;
use crate::trace;

/// The longest message that is traced, in bytes. To find its secrets, a longer one would take too much memory on the device.
const MAX_MESSAGE: usize = 256 << 10;

/// A recording in progress.
pub(super) struct Tracer {
    client: ResultStream,
    /// The start of the session, on the monotonic clock; `None` until one begins: the first messages of a session that runs
    /// already are missing, so that the rest of it is left out too.
    began: Option<Duration>,
    /// The entries that the client was too slow for, and that no line has told yet.
    lost: usize,
}

impl Tracer {
    fn send(&mut self, entry: String) {
        let lost = if self.lost > 0 { trace::lost(self.lost) } else { String::new() };
        match self.client.send(lost + &entry) {
            true => self.lost = 0,
            false => self.lost += 1,
        }
    }
}

impl Agent {
    /// Starts a recording, or refuses it while another one runs.
    pub(super) fn start_trace(&mut self, reply: Responder, now: Now) {
        if self.is_tracing() {
            return reply.send(Err("another trace is being recorded".into()));
        }
        let header = self.trace_header(now);
        let mut tracer = Tracer { client: reply.into_stream(), began: None, lost: 0 };
        tracer.send(header);
        self.tracer = Some(tracer);
    }

    /// Returns true while a client records. Ends the recording of a client that has left.
    pub(super) fn is_tracing(&mut self) -> bool {
        self.tracer = self.tracer.take().filter(|tracer| tracer.client.is_open());
        self.tracer.is_some()
    }

    /// Returns the state of the agent as far as its responses depend on it.
    fn trace_header(&self, now: Now) -> String {
        let tree = self.device.tree();
        let factory_values = self.config.factory_values.iter().filter(|(name, _)| !is_secret(tree, name));
        let present = self.config.optional_data_model.iter().filter(|file| file.exists());
        let is_shown = |change: &Change| !matches!(change, Change::Set(name, _) if is_secret(tree, name));
        trace::header(&trace::Start {
            date: &DateTime::from_unix(now.wall, 0).to_string(),
            models: self.config.data_model.iter().chain(present).map(shown_path).collect(),
            factory_values: factory_values.map(|(name, value)| (name.clone(), shown(value.expose()))).collect(),
            changes: tree.changes_from_factory().iter().filter(|change| is_shown(change)).map(stored).collect(),
            runtime_values: self.device.runtime_values(),
        })
    }

    /// Traces the start of a session.
    pub(super) fn trace_session(&mut self, url: &str, events: &[String]) {
        if self.is_tracing() {
            let now = self.clock.now();
            let date = DateTime::from_unix(now.wall, 0).to_string();
            if let Some(tracer) = &mut self.tracer {
                tracer.began = Some(now.monotonic);
                tracer.send(trace::session(&date, url, &events.join(", ")));
            }
        }
    }

    /// Traces a message before it is posted, so that the file has it even if no response comes.
    pub(super) fn trace_request(&mut self, message: &[u8]) {
        let Some((mut tracer, at)) = self.take_tracer() else { return };
        tracer.send(trace::request(at, &self.traced(message, None)));
        self.tracer = Some(tracer);
    }

    /// Traces the responses to a message: challenges and redirects, and the final one with its message.
    pub(super) fn trace_responses(&mut self, exchange: &Exchange) {
        let Some((mut tracer, at)) = self.take_tracer() else { return };
        for (number, response) in exchange.responses.iter().enumerate() {
            let is_final = number + 1 == exchange.responses.len();
            let reply = exchange.result.as_ref().ok().filter(|_| is_final);
            let message = reply.map_or(String::new(), |reply| self.traced(&reply.body, reply.charset.as_deref()));
            tracer.send(trace::response(at, response.status, &response.fields, &message));
        }
        self.tracer = Some(tracer);
    }

    /// Traces the end of a session.
    pub(super) fn trace_end(&mut self, error: Option<&SessionError>) {
        let Some((mut tracer, at)) = self.take_tracer() else { return };
        tracer.send(trace::end(at, error.map(ToString::to_string).as_deref()));
        tracer.began = None;
        self.tracer = Some(tracer);
    }

    /// Returns the recording, if it has the start of the running session, and the time since then.
    fn take_tracer(&mut self) -> Option<(Tracer, Duration)> {
        let began = self.tracer.as_ref()?.began?;
        let at = self.clock.now().monotonic.saturating_sub(began);
        self.tracer.take().map(|tracer| (tracer, at))
    }

    /// Returns the text of a message without its secrets.
    fn traced(&self, message: &[u8], charset: Option<&str>) -> String {
        if message.trim_ascii().is_empty() {
            return String::new();
        }
        if message.len() > MAX_MESSAGE {
            return trace::left_out(message.len(), trace::TOO_LONG);
        }
        let tree = self.device.tree();
        // The secrets of a message that is no XML cannot be found, so that no part of it is shown.
        soap::masked(message, charset, &|name| is_secret(tree, name))
            .unwrap_or_else(|error| trace::left_out(message.len(), &error.to_string()))
    }
}

/// Returns true for the name of a parameter that is hidden or unknown, or that says that it is a secret.
pub(crate) fn is_secret(tree: &Tree, name: &str) -> bool {
    let is_hidden = match with_any_numbers(name) {
        Cow::Borrowed(name) => tree.parameter(name).map_or(true, |parameter| parameter.spec.hidden),
        // The instance of an alias may not be present yet, and all have the same description.
        Cow::Owned(example) => tree.schema().description(&example).is_none_or(|spec| spec.hidden),
    };
    soap::is_secret_name(name) || is_hidden
}

/// Returns the full path of a file: a replay runs in another directory.
fn shown_path(file: &PathBuf) -> String {
    std::path::absolute(file).as_ref().unwrap_or(file).display().to_string()
}

/// Returns a change in the form of the journal, without secrets in a URL.
fn stored(change: &Change) -> serde_json::Value {
    if let Change::Row(table, number, key, _) = change {
        // The digest is of options that may be passwords.
        return Change::Row(table.clone(), *number, key.clone(), 0).to_json();
    }
    let mut stored = change.to_json();
    if let (Change::Set(..), Some(serde_json::Value::String(text))) = (change, stored.get_mut(2)) {
        *text = shown(text);
    }
    stored
}

fn shown(text: &str) -> String {
    crate::url::without_secrets(text).unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trace goes to other people, and the digest of a section with a password would let them try passwords.
    #[test]
    fn a_trace_has_no_digest_of_a_row() {
        let row = Change::Row("Device.T.".to_owned(), 1, "@a[0]".into(), 7);
        assert_eq!(stored(&row), serde_json::json!(["*", "Device.T.", 1, "@a[0]"]));
    }
}
