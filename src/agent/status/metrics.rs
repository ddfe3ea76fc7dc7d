//! The metrics in the text format of Prometheus, as the textfile collector of node_exporter reads them.
//!
//! A name never changes its meaning. A metric without a value, such as the result of the last session before the first
//! one, has no line.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::{Disabled, NextSession, StatusView};
use crate::connection_request::{OutcomeCounters, StunView};
use crate::stun::ServerState;

/// The text under construction.
pub(super) struct MetricsText(String);

impl MetricsText {
    /// Adds the two comment lines of a metric. A name that ends in `_total` is a counter, every other one a gauge.
    fn metric(&mut self, name: &str, help: &str) {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP cpe_agent_{name} {help}\n# TYPE cpe_agent_{name} {kind}");
    }

    /// Adds a value; `labels` is empty, or the labels with their braces.
    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "cpe_agent_{name}{labels} {value}");
    }

    /// Adds a metric with one value, if it is known.
    pub(super) fn add(&mut self, name: &str, help: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.metric(name, help);
            self.sample(name, "", value);
        }
    }

    pub(super) fn requests(&mut self, transport: &str, counters: &OutcomeCounters) {
        for (outcome, count) in counters.all() {
            // The names are constants of letters, and need no escapes.
            let labels = format!("{{transport=\"{transport}\",outcome=\"{outcome}\"}}");
            self.sample("connection_requests_total", &labels, count);
        }
    }
}

impl StatusView<'_> {
    /// Returns the metrics. Their values are those of `status --json`; `docs/monitoring.md` describes them.
    pub(super) fn metrics(&self) -> String {
        let mut text = MetricsText(String::with_capacity(6 << 10));
        text.metric("info", "The version of the agent.");
        text.sample("info", &format!("{{version=\"{}\"}}", super::VERSION), 1);
        text.add("well", "1 if status --check succeeds.", Some(self.trouble().is_none().into()));
        text.add("start_time_seconds", "The start of the agent, in Unix time.", self.unix(self.status.started));
        self.add_sessions_to(&mut text);
        self.add_state_to(&mut text);
        self.add_listeners_to(&mut text);
        text.0
    }

    fn add_sessions_to(&self, text: &mut MetricsText) {
        let status = self.status;
        text.metric("sessions_total", "Sessions since the start of the agent, by their result.");
        text.sample("sessions_total", "{result=\"success\"}", status.sessions.succeeded);
        text.sample("sessions_total", "{result=\"failure\"}", status.sessions.failed);
        let last = status.last.as_ref();
        let success = last.map(|(session, _)| session.error.is_none().into());
        text.add("last_session_success", "1 if the last session succeeded.", success);
        let ended = last.and_then(|(_, ended)| self.unix(*ended));
        text.add("last_session_timestamp_seconds", "The end of the last session, in Unix time.", ended);
        if let Some((session, _)) = last {
            text.metric("last_session_duration_seconds", "The duration of the last session.");
            let took = format_args!("{}.{:03}", session.took.as_secs(), session.took.subsec_millis()).to_string();
            text.sample("last_session_duration_seconds", "", took);
        }
        let success = match status.sessions.last_success {
            Some(at) => self.unix(at),
            None => status.totals.last_success.and_then(|wall| wall.try_into().ok()),
        };
        text.add(
            "last_success_timestamp_seconds",
            "The end of the last session that succeeded, in Unix time.",
            success,
        );
        let next = match status.next {
            NextSession::At(at, _) => self.unix(at),
            NextSession::Now => self.unix(self.now.monotonic),
            NextSession::Unplanned | NextSession::Disabled(_) => None,
        };
        text.add("next_session_timestamp_seconds", "The start of the next session, in Unix time.", next);
        text.add("session_running", "1 while a session runs.", Some(status.running.is_some().into()));
        text.add("session_retries", "Retries of the session that failed last.", Some(status.retry_count.into()));
    }

    fn add_state_to(&self, text: &mut MetricsText) {
        let status = self.status;
        let is_enabled = status.next != NextSession::Disabled(Disabled::Cwmp);
        text.add("enabled", "1 if EnableCWMP is true.", Some(is_enabled.into()));
        text.add("queued_events", "Events that the ACS has not confirmed.", Some(status.events.len() as u64));
        text.add("transfers", "Transfers that the ACS has not confirmed.", Some(status.transfers.len() as u64));
        text.add("journal_durable", "1 if the state survives a restart.", Some(status.journal.durable.into()));
        text.add("journal_failed", "1 if the last write failed.", Some(status.journal.error.is_some().into()));
        text.metric("reloads_total", "Reloads of the configuration since the start of the agent, by their result.");
        text.sample("reloads_total", "{result=\"accepted\"}", status.reloads.accepted);
        text.sample("reloads_total", "{result=\"refused\"}", status.reloads.refused);
        text.add("reboot_pending", "1 if the device is about to reboot.", Some(status.reboot.is_pending.into()));
        let planned = status.reboot.at.and_then(|at| self.unix(at));
        text.add("planned_reboot_timestamp_seconds", "The reboot that the ACS has planned, in Unix time.", planned);
    }

    fn add_listeners_to(&self, text: &mut MetricsText) {
        let listeners = &self.status.listener_status;
        text.metric("listening", "1 if the port for connection requests is open.");
        text.sample("listening", "{transport=\"http\"}", u8::from(listeners.http.is_some()));
        text.sample("listening", "{transport=\"udp\"}", u8::from(listeners.udp.is_some()));
        text.metric("connection_requests_total", "Connection requests since the start of the agent, by their outcome.");
        text.requests("http", &listeners.state.http);
        text.requests("udp", &listeners.state.udp);
        self.add_xmpp_to(text);
        let stun = listeners.stun.as_ref().and_then(StunView::status);
        if let Some(stun) = stun.filter(|stun| stun.server_state != ServerState::Unused) {
            let answers = stun.server_state == ServerState::Answers;
            text.add(
                "stun_server_answers",
                "1 if the STUN server has answered the last request.",
                Some(answers.into()),
            );
            text.add("stun_nat_detected", "1 if the device is behind a NAT.", Some(stun.nat_detected.into()));
            let period = Some(stun.period.as_secs());
            text.add("stun_keep_alive_seconds", "The interval of STUN keep-alives.", period);
        }
    }

    /// Converts a monotonic instant to Unix time; `None` while the clock is not set.
    fn unix(&self, at: Duration) -> Option<u64> {
        self.wall(at).and_then(|wall| u64::try_from(wall).ok())
    }
}
