//! The health of the agent in one line, for `status --check` and for scripts.

use super::{NextSession, StatusView, format_span};

/// The number of intervals of the periodic Inform within which a session must have succeeded. One may be missed by a
/// retry or by a clock that was set.
const MAX_INTERVALS: u32 = 2;

impl StatusView<'_> {
    /// Returns a line about the last success, or the first reason for which an operator should look at the agent.
    pub(super) fn check(&self) -> Result<String, String> {
        match self.trouble() {
            Some(reason) => Err(reason),
            None => Ok(match self.status.sessions.last_success {
                Some(at) => format!("the last session succeeded {} ago\n", format_span(self.since(at))),
                None => "no session has ended since the start\n".into(),
            }),
        }
    }

    /// Returns the first reason for which the agent is not well. The order is that of the causes: without an ACS there is no
    /// session, and a session that fails explains the lack of a success.
    pub(super) fn trouble(&self) -> Option<String> {
        let status = self.status;
        if let NextSession::Disabled(why) = status.next {
            return Some(format!("{}: no session is started", why.reason()));
        }
        if let Some(error) = status.last.as_ref().and_then(|(session, _)| session.error.as_ref()) {
            return Some(format!("the last session failed: {error}"));
        }
        let silence = self.since(status.sessions.last_success.unwrap_or(status.started));
        if let Some(interval) = status.periodic.filter(|interval| silence > interval.saturating_mul(MAX_INTERVALS)) {
            let (silence, interval) = (format_span(silence), format_span(interval));
            return Some(format!("no session has succeeded for {silence}, with a periodic interval of {interval}"));
        }
        let error = status.journal.error.as_deref();
        match (status.journal.durable, error) {
            (true, None) => {}
            (true, Some(error)) => return Some(format!("the last write of the journal failed: {error}")),
            (false, error) => return Some(format!("nothing survives a restart: {}", error.unwrap_or("no journal"))),
        }
        let reloads = &status.reloads;
        if let Some((reason, _)) = reloads.last_refusal.as_ref().filter(|_| reloads.is_refused) {
            return Some(format!("the last reload was refused: {reason}"));
        }
        let left_out = reloads.left_out.first().map(|reason| format!("a data-model file is left out: {reason}"));
        left_out.or_else(|| self.closed_port())
    }

    /// Returns the line about a port for connection requests that is closed. The ports open before the first session.
    fn closed_port(&self) -> Option<String> {
        self.status.last.as_ref()?;
        let listeners = &self.status.listener_status;
        let closed =
            [("HTTP", listeners.http), ("UDP", listeners.udp)].into_iter().find(|(_, address)| address.is_none());
        closed.map(|(transport, _)| format!("the port for connection requests over {transport} is closed"))
    }
}
