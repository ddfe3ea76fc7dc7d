//! The status of the XMPP connection.

use serde_json::Value as Json;

use super::listener_status::{address_json, outcomes_json, outcomes_text};
use super::metrics::MetricsText;
use super::rows::StatusRows;
use super::{StatusView, format_span};
use crate::json::object;

impl StatusView<'_> {
    /// Adds the connection, if one is configured.
    pub(super) fn add_xmpp(&self, rows: &mut StatusRows) {
        let Some(state) = &self.status.xmpp else {
            return rows.add_member("connectionRequests.xmpp", Json::Null);
        };
        let counters = &self.status.listener_status.state.xmpp;
        let wait = state.retry_at.map(|at| at.saturating_sub(self.now.monotonic));
        let json = object([
            ("status", state.status.name().into()),
            ("jabberId", state.jabber_id.clone().into()),
            ("server", address_json(state.server)),
            ("error", state.failure.clone().into()),
            ("retryInSeconds", wait.map(|wait| wait.as_secs()).into()),
            ("counters", outcomes_json(counters)),
        ]);
        let counts = outcomes_text(counters);
        let text = match (&state.jabber_id, &state.failure) {
            (Some(jabber_id), _) => format!("{jabber_id}: {counts}"),
            (None, Some(failure)) => format!("no connection: {failure}"),
            (None, None) => "connecting".into(),
        };
        rows.add("connectionRequests.xmpp", "requests XMPP", json, text);
        if let Some(server) = state.server {
            rows.add_line("  server", server.to_string());
        }
        if let Some(wait) = wait {
            rows.add_line("  next try", format!("in {}", format_span(wait)));
        }
    }

    /// Adds the requests and the state of the connection to the metrics, if one is configured.
    pub(super) fn add_xmpp_to(&self, text: &mut MetricsText) {
        let Some(state) = &self.status.xmpp else { return };
        text.requests("xmpp", &self.status.listener_status.state.xmpp);
        text.add("xmpp_connected", "1 if the XMPP connection is open.", Some(state.jabber_id.is_some().into()));
    }
}
