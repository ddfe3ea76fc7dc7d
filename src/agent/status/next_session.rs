//! The instant of the next session, and its cause.

use std::time::Duration;

use crate::schedule::{Schedule, ScheduledInforms};

/// The instant at which the next session is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::agent) enum NextSession {
    /// No session is planned.
    #[default]
    Unplanned,
    /// Sessions are disabled.
    Disabled(Disabled),
    /// At once, or after the running session.
    Now,
    /// At this monotonic instant.
    At(Duration, SessionCause),
}

/// The reason why sessions are disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum Disabled {
    /// EnableCWMP is false (R7).
    Cwmp,
    /// The data model has no URL of an ACS (R17).
    NoAcs,
    /// The data model has no URL of an ACS, and DHCP may give one.
    AwaitsDhcp,
}

impl Disabled {
    /// Returns the reason for the user.
    pub(in crate::agent) fn reason(self) -> &'static str {
        match self {
            Disabled::Cwmp => "EnableCWMP is false",
            Disabled::NoAcs => "ManagementServer.URL is empty",
            Disabled::AwaitsDhcp => "ManagementServer.URL is empty, until DHCP gives the URL of an ACS",
        }
    }
}

/// The cause of a planned session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum SessionCause {
    /// The last session failed (R125).
    Retry,
    /// A parameter with active notification has changed (R198).
    Notification,
    /// PeriodicInformInterval.
    Periodic,
    /// HeartbeatPolicy (R302).
    Heartbeat,
    /// ScheduleInform.
    Scheduled,
    /// The device is restarting. The instant is the earliest one, for a device that does not restart after all.
    Restart,
    /// A source of the identity gives no value yet. The instant is the latest one.
    Identity,
}

impl NextSession {
    /// Returns the earliest deadline of the schedule, which is not before `held_until`. It does not cover sessions that are
    /// due at once.
    pub(in crate::agent) fn of(
        schedule: &Schedule,
        informs: &ScheduledInforms,
        held_until: Option<Duration>,
    ) -> NextSession {
        let deadlines = [
            (schedule.retry.deadline(), SessionCause::Retry),
            (schedule.notification.deadline(), SessionCause::Notification),
            (schedule.periodic.deadline(), SessionCause::Periodic),
            (schedule.heartbeat.deadline(), SessionCause::Heartbeat),
            (informs.deadline(), SessionCause::Scheduled),
        ];
        // A timer that is not set has no deadline.
        let planned = deadlines
            .into_iter()
            .filter_map(|(deadline, cause)| Some((deadline?.max(held_until.unwrap_or_default()), cause)));
        // Of several causes at one instant the first in the list is shown, because a session serves all of them.
        planned
            .min_by_key(|(deadline, _)| *deadline)
            .map_or(NextSession::Unplanned, |(at, cause)| NextSession::At(at, cause))
    }

    /// Returns the name in `status --json`. Programs compare it, so it must never change.
    pub(super) fn name(self) -> &'static str {
        // No derive: a renamed variant must not change the name.
        match self {
            NextSession::Unplanned => "none",
            NextSession::Disabled(_) => "disabled",
            NextSession::Now => "now",
            NextSession::At(_, SessionCause::Retry) => "retry",
            NextSession::At(_, SessionCause::Notification) => "notification",
            NextSession::At(_, SessionCause::Periodic) => "periodic",
            NextSession::At(_, SessionCause::Heartbeat) => "heartbeat",
            NextSession::At(_, SessionCause::Scheduled) => "scheduled",
            NextSession::At(_, SessionCause::Restart) => "restart",
            NextSession::At(_, SessionCause::Identity) => "identity",
        }
    }
}
