//! How the daemon is doing: what `cpe-agent status` tells an operator at a glance.
//!
//! The agent publishes a [`AgentStatus`] on the [`LatestStatus`] whenever something in it changes; whoever asks is answered from
//! there, even while the agent is busy with a session. Times in it are monotonic, so that "ago" and "in" are right at
//! the moment of the question, whatever was done to the clock meanwhile.

mod listener_status;
mod transfers;

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::last_session::LastSession;
use crate::clock::{Clock, Now};
use crate::cwmp::device::DeviceId;
use crate::cwmp::event::Event;
use crate::cwmp::transfer::TransferOutcome;
use crate::model::date_time::DateTime;
use crate::schedule::{Schedule, ScheduledInforms};
use crate::time_zone::LocalZone;
use crate::url::Url;

pub(super) use listener_status::ListenerStatus;
pub(super) use transfers::TransferStatus;

/// Where the latest status hangs.
pub struct LatestStatus {
    latest: Mutex<Arc<AgentStatus>>,
    zone: LocalZone,
}

impl LatestStatus {
    /// A board on which nothing is published yet.
    pub fn new(zone: LocalZone) -> LatestStatus {
        LatestStatus { latest: Mutex::default(), zone }
    }

    pub(super) fn publish(&self, status: AgentStatus) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(status);
    }

    /// The latest status as of now: for people, or as JSON with a line end.
    pub fn describe(&self, json: bool) -> String {
        let latest = Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner));
        let view = StatusView { status: &latest, now: latest.clock.now(), zone: &self.zone };
        if json { format!("{:#}\n", view.json()) } else { view.text() }
    }
}

/// A snapshot of what an operator may want to know. It holds no secret.
#[derive(Clone, Debug, Default)]
pub(super) struct AgentStatus {
    /// The agent's own, to which all instants belong.
    pub(super) clock: Clock,
    pub(super) started: Duration,
    pub(super) device: Option<DeviceId>,
    pub(super) software_version: String,
    pub(super) acs_url: String,
    pub(super) acs_username: String,
    /// The session that is running: when it began.
    pub(super) running: Option<Duration>,
    /// The last session, and when it ended.
    pub(super) last: Option<(LastSession, Duration)>,
    pub(super) next: NextSession,
    pub(super) events: Vec<Event>,
    pub(super) retry_count: u32,
    pub(super) transfers: Vec<TransferStatus>,
    /// How the last of them ended.
    pub(super) ended: Vec<TransferOutcome>,
    pub(super) listener_status: ListenerStatus,
    pub(super) journal: JournalState,
}

/// Whether what must survive a reboot does.
#[derive(Clone, Debug, Default)]
pub(super) struct JournalState {
    pub(super) directory: PathBuf,
    pub(super) durable: bool,
    /// Why the last write failed.
    pub(super) error: Option<String>,
    /// What was damaged when it was read.
    pub(super) notices: Vec<String>,
}

/// When the next session is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NextSession {
    /// Nothing is planned.
    #[default]
    Unplanned,
    /// There are no sessions.
    Disabled(Disabled),
    /// As soon as none runs.
    Now,
    /// At this monotonic instant.
    At(Duration, SessionCause),
}

/// Why there are no sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disabled {
    /// EnableCWMP is false (R7).
    Cwmp,
    /// Nobody has told the device of an ACS yet (R17).
    NoAcs,
}

impl Disabled {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Disabled::Cwmp => "EnableCWMP is false",
            Disabled::NoAcs => "ManagementServer.URL is empty",
        }
    }
}

/// Why a session is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionCause {
    Retry,
    Notification,
    Periodic,
    Heartbeat,
    Scheduled,
    /// The device is restarting, or was to: not before.
    Restart,
}

impl NextSession {
    /// What the schedule says, where nothing is to happen at once.
    pub(super) fn of(schedule: &Schedule, informs: &ScheduledInforms) -> NextSession {
        let deadlines = [
            (schedule.retry.deadline(), SessionCause::Retry),
            (schedule.notification.deadline(), SessionCause::Notification),
            (schedule.periodic.deadline(), SessionCause::Periodic),
            (schedule.heartbeat.deadline(), SessionCause::Heartbeat),
            (informs.deadline(), SessionCause::Scheduled),
        ];
        let planned = deadlines.into_iter().filter_map(|(deadline, cause)| Some((deadline?, cause)));
        planned
            .min_by_key(|(deadline, _)| *deadline)
            .map_or(NextSession::Unplanned, |(at, cause)| NextSession::At(at, cause))
    }
}

/// A status seen at a moment.
struct StatusView<'a> {
    status: &'a AgentStatus,
    now: Now,
    zone: &'a LocalZone,
}

impl StatusView<'_> {
    /// The report of `status --json`. Keys may be added, never changed; times are ISO 8601 in local time and null while
    /// the clock is not set.
    ///
    /// ```text
    /// agent        version, upSeconds
    /// device       manufacturer, oui, productClass, serialNumber, softwareVersion
    /// acs          url (without query; null: none that can be used), username, enabled (EnableCWMP)
    /// session      the one that is running: began, seconds; else null
    /// lastSession  began, secondsAgo (since its end), milliseconds, events, ok, error (null where ok); null: none yet
    /// nextSession  cause (now, retry, notification, periodic, heartbeat, scheduled, restart, disabled (EnableCWMP is
    ///              false, or there is no ACS URL), none), at, inSeconds
    /// events       queued, each with code and commandKey
    /// retryCount
    /// transfers    not confirmed yet, each with id, origin, commandKey, fileType, url (without query), state (waiting,
    ///              moving, moved, applying, rebooting, verifying, done, failed), attempt, bytes, totalBytes,
    ///              bytesPerSecond, secondsLeft, error
    /// endedTransfers  the last ones, each with id, error (null where it is done)
    /// connectionRequests  hasPassword (without one all are refused); http, udp: each with listening (null: closed) and counters by outcome
    /// stun         state (unused, unresolved, asked, answers, silent, refuses), error, server, local, mapped, natDetected,
    ///              keepAliveSeconds, keepAlive (how it came about), counters; null: the UDP port is closed
    /// journal      directory, durable, error, notices
    /// ```
    fn json(&self) -> Json {
        let AgentStatus { device, journal, .. } = self.status;
        let device = device.as_ref();
        json!({
            "agent": { "version": env!("CARGO_PKG_VERSION"), "upSeconds": self.since(self.status.started).as_secs() },
            "device": {
                "manufacturer": device.map(|id| &id.manufacturer),
                "oui": device.map(|id| &id.oui),
                "productClass": device.map(|id| &id.product_class),
                "serialNumber": device.map(|id| &id.serial_number),
                "softwareVersion": self.status.software_version,
            },
            "acs": {
                "url": public_url(&self.status.acs_url),
                "username": self.status.acs_username,
                "enabled": self.status.next != NextSession::Disabled(Disabled::Cwmp),
            },
            "session": self.status.running.map(|began| json!({
                "began": self.local(began),
                "seconds": self.since(began).as_secs(),
            })),
            "lastSession": self.status.last.as_ref().map(|(session, ended)| json!({
                "began": self.began(session, *ended),
                "secondsAgo": self.since(*ended).as_secs(),
                "milliseconds": u64::try_from(session.took.as_millis()).unwrap_or(u64::MAX),
                "events": session.events,
                "ok": session.error.is_none(),
                "error": session.error.as_ref().map(ToString::to_string),
            })),
            "nextSession": {
                "cause": self.status.next.name(),
                "at": self.next_at().and_then(|at| self.local(at)),
                "inSeconds": self.next_at().map(|at| at.saturating_sub(self.now.monotonic).as_secs()),
            },
            "events": self.status.events.iter()
                .map(|event| json!({ "code": event.code.as_str(), "commandKey": event.command_key }))
                .collect::<Vec<_>>(),
            "retryCount": self.status.retry_count,
            "transfers": self.status.transfers.iter().map(|t| t.json(self.now.monotonic)).collect::<Vec<_>>(),
            "endedTransfers": self.status.ended.iter().map(transfers::ended_json).collect::<Vec<_>>(),
            "connectionRequests": self.status.listener_status.json(),
            "stun": self.status.listener_status.stun_json(),
            "journal": {
                "directory": journal.directory.display().to_string(),
                "durable": journal.durable,
                "error": journal.error,
                "notices": journal.notices,
            },
        })
    }

    fn text(&self) -> String {
        let mut report = TextReport(String::with_capacity(1024));
        if let Some(device) = &self.status.device {
            report.line("manufacturer", &device.manufacturer);
            report.line("OUI", &device.oui);
            report.line("product class", &device.product_class);
            report.line("serial number", &device.serial_number);
        }
        report.line("software", &self.status.software_version);
        let up = span(self.since(self.status.started));
        report.line("agent", &format!("cpe-agent {}, up {up}", env!("CARGO_PKG_VERSION")));
        report.line("ACS", &public_url(&self.status.acs_url).unwrap_or_else(|| "no usable URL".into()));
        report.line("user name", &self.status.acs_username);
        if let Some(began) = self.status.running {
            report.line("session", &format!("running for {}", span(self.since(began))));
        }
        self.last_session(&mut report);
        report.line("next session", &self.next_session());
        let events: Vec<String> = self.status.events.iter().map(event_text).collect();
        report.line("queued events", &listed(&events));
        report.line("retry count", &self.status.retry_count.to_string());
        for transfer in &self.status.transfers {
            let (label, text) = transfer.line(self.now.monotonic);
            report.line(&label, &text);
        }
        self.status.listener_status.text(&mut report);
        self.journal(&mut report);
        report.0
    }

    fn last_session(&self, report: &mut TextReport) {
        let Some((session, ended)) = &self.status.last else {
            report.line("last session", "none yet");
            return;
        };
        let began = self.began(session, *ended).map_or_else(String::new, |at| format!("{at}, "));
        let took = format!("{}.{:03} s", session.took.as_secs(), session.took.subsec_millis());
        let ago = span(self.since(*ended));
        report.line("last session", &format!("{}{ago} ago, took {took}", began.replacen('T', " ", 1)));
        report.line("  events", &listed(&session.events));
        match &session.error {
            None => report.line("  result", "success"),
            Some(error) => report.line("  result", &format!("failed: {error}")),
        }
    }

    fn next_session(&self) -> String {
        let cause = match self.status.next {
            NextSession::Unplanned => return "none planned".into(),
            NextSession::Disabled(why) => return format!("none: {}", why.reason()),
            NextSession::Now if self.status.running.is_some() => return "as soon as this one ends".into(),
            NextSession::Now => return "now".into(),
            NextSession::At(_, SessionCause::Retry) => format!("retry {}", self.status.retry_count),
            NextSession::At(_, SessionCause::Notification) => "a value has changed".into(),
            NextSession::At(_, SessionCause::Periodic) => "periodic".into(),
            NextSession::At(_, SessionCause::Heartbeat) => "heartbeat".into(),
            NextSession::At(_, SessionCause::Scheduled) => "the ACS has asked for it".into(),
            NextSession::At(_, SessionCause::Restart) => "unless the device has restarted by then".into(),
        };
        let at = self.next_at().unwrap_or_default();
        let wait = span(at.saturating_sub(self.now.monotonic));
        match self.local(at) {
            Some(local) => format!("{}, in {wait}: {cause}", local.replacen('T', " ", 1)),
            None => format!("in {wait}: {cause}"),
        }
    }

    fn journal(&self, report: &mut TextReport) {
        let JournalState { directory, durable, error, notices } = &self.status.journal;
        let state = match (durable, error) {
            (true, None) => format!("durable in {}", directory.display()),
            (true, Some(error)) => format!("the last write failed: {error}"),
            (false, Some(error)) => format!("nothing survives a restart: {error}"),
            (false, None) => "nothing survives a restart".into(),
        };
        report.line("journal", &state);
        for notice in notices {
            report.line("  notice", notice);
        }
    }

    fn next_at(&self) -> Option<Duration> {
        match self.status.next {
            NextSession::At(at, _) => Some(at),
            NextSession::Now => Some(self.now.monotonic),
            NextSession::Unplanned | NextSession::Disabled(_) => None,
        }
    }

    fn since(&self, instant: Duration) -> Duration {
        self.now.monotonic.saturating_sub(instant)
    }

    /// When a session began, in local time: by the clock of then, so that each answer tells the same; by that of now
    /// where it was not set then.
    fn began(&self, session: &LastSession, ended: Duration) -> Option<String> {
        let then = Now { wall: session.began, ..self.now };
        match self.now.clock_is_set() && then.clock_is_set() {
            true => Some(self.local_wall(session.began)),
            false => self.local(ended.saturating_sub(session.took)),
        }
    }

    /// A monotonic instant in local time, by the clock as it is set now.
    fn local(&self, instant: Duration) -> Option<String> {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let ahead = seconds(instant).saturating_sub(seconds(self.now.monotonic));
        let wall = self.now.wall.saturating_add(ahead);
        self.now.clock_is_set().then(|| self.local_wall(wall))
    }

    fn local_wall(&self, wall: i64) -> String {
        DateTime::from_unix(wall, self.zone.offset_minutes(wall)).to_string()
    }
}

impl NextSession {
    fn name(self) -> &'static str {
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
        }
    }
}

/// Lines of a label and a text.
struct TextReport(String);

impl TextReport {
    fn line(&mut self, label: &str, text: &str) {
        // Some of it comes from the network: it stays on its line, and moves no cursor.
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = if text.is_empty() { "-" } else { &text };
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{label:<14} {text}");
    }
}

fn listed(items: &[String]) -> String {
    if items.is_empty() { "none".into() } else { items.join(", ") }
}

fn event_text(event: &Event) -> String {
    match event.command_key.as_str() {
        "" => event.code.to_string(),
        key => format!("{} ({key})", event.code),
    }
}

/// The URL without user information and query, either of which may hold a key.
fn public_url(url: &str) -> Option<String> {
    Url::parse(url).ok().map(|url| url.to_string())
}

/// A span in its two greatest units.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, 1..10) => format!("{minutes} min {} s", seconds % 60),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests;
