//! Publishes the state of the agent: to the control socket, which answers `status`, and to the file of `--metrics`.

use std::time::Duration;

use super::Agent;
use super::status::{
    AgentStatus, JournalState, NextSession, OperationStatus, PlannedReboot, SessionCause, SourceProblems,
    TransferStatus,
};
use crate::clock::Now;

impl Agent {
    /// Publishes the current status.
    pub(super) fn publish(&self, now: Now) {
        let running = self.session_began.is_some();
        let next = match self.why_disabled() {
            Some(why) => NextSession::Disabled(why),
            None if self.session_wanted && !running => match self.held_until(now) {
                Some(until) if until == self.not_before => NextSession::At(until, SessionCause::Restart),
                Some(until) if self.identity_wait.is_some() => NextSession::At(until, SessionCause::Identity),
                Some(until) => NextSession::At(until, SessionCause::Retry),
                None => NextSession::Now,
            },
            None => NextSession::of(&self.schedule, &self.device.state().scheduled_informs, self.held_until(now)),
        };
        let store = self.store.borrow();
        self.latest_status.publish(AgentStatus {
            clock: self.clock,
            started: self.started,
            device: Some(self.device.identity()),
            software_version: self.device.software_version(),
            acs_url: self.device.acs_url(),
            is_acs_discovered: self.device.state().discovered.gave(&self.device.acs_url()),
            acs_username: self.device.acs_username(),
            running: self.session_began,
            last: self.last_session.clone().zip(self.session_ended),
            sessions: self.sessions.clone(),
            totals: self.device.state().totals,
            periodic: self.device.periodic_settings().map(|settings| Duration::from_secs(settings.interval.into())),
            reloads: self.reloads.clone(),
            sources: SourceProblems::of(&self.device, self.reload_status(), self.confirmation_status()),
            reboot: PlannedReboot { is_pending: self.is_restarting(), at: self.schedule.reboots.deadline() },
            test: self.running_test(),
            next,
            listener_status: self.listeners.listener_status(),
            xmpp: self.xmpp.state().cloned(),
            events: self.device.state().events.pending().cloned().collect(),
            retry_count: self.device.state().retry_count,
            transfers: self
                .device
                .state()
                .transfers
                .iter()
                .map(|t| TransferStatus::of(t, self.worker.progress_of(t)))
                .collect(),
            ended: self.device.state().transfers.outcomes().to_vec(),
            software: self.device.state().units.iter().flat_map(OperationStatus::of).collect(),
            ended_software: self.device.state().units.outcomes().to_vec(),
            journal: JournalState {
                directory: self.config.state_dir.clone(),
                durable: store.is_durable(),
                error: store.last_error().map(str::to_owned),
                notices: self.notices.clone(),
            },
        });
    }
}
