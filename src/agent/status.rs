//! The status of the agent: the output of `cpe-agent status` as text and as JSON.
//!
//! The agent publishes an [`AgentStatus`] in [`LatestStatus`] whenever a value in it changes. The control thread reads it
//! there, even while the agent is in a session. The instants in it are monotonic, so that "ago" and "in" are right at the
//! moment of the query even if the clock was set meanwhile.

mod listener_status;
mod next_session;
mod rows;
mod transfers;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value as Json;

use super::last_session::LastSession;
use crate::clock::{Clock, Now};
use crate::cwmp::device::DeviceId;
use crate::cwmp::event::Event;
use crate::cwmp::transfer::TransferOutcome;
use crate::model::date_time::DateTime;
use crate::time_zone::LocalZone;
use crate::url::Url;

pub(super) use listener_status::ListenerStatus;
pub(super) use next_session::{Disabled, NextSession, SessionCause};
use rows::{StatusRows, object};
pub(super) use transfers::TransferStatus;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The latest published status, readable from any thread.
pub struct LatestStatus {
    latest: Mutex<Arc<AgentStatus>>,
    zone: LocalZone,
}

impl LatestStatus {
    /// Returns an empty status, whose times will be shown in `zone`.
    pub fn new(zone: LocalZone) -> LatestStatus {
        LatestStatus { latest: Mutex::default(), zone }
    }

    pub(super) fn publish(&self, status: AgentStatus) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(status);
    }

    /// Returns the status at this moment, as text or as JSON, with a line end.
    pub fn describe(&self, json: bool) -> String {
        // The lock is held for the copy only, so that a slow query never delays the agent.
        let latest = Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner));
        let view = StatusView { status: &latest, now: latest.clock.now(), zone: &self.zone };
        if json { format!("{:#}\n", view.rows().json()) } else { view.rows().text() }
    }
}

/// A snapshot of the agent. It holds no secret, because every user of the control socket can read it.
#[derive(Clone, Debug, Default)]
pub(super) struct AgentStatus {
    /// The clock of the agent, to which all instants belong.
    pub(super) clock: Clock,
    pub(super) started: Duration,
    /// The identity of the device; `None` before the start.
    pub(super) device: Option<DeviceId>,
    pub(super) software_version: String,
    pub(super) acs_url: String,
    pub(super) acs_username: String,
    /// The instant at which the running session began.
    pub(super) running: Option<Duration>,
    /// The last session, and the instant at which it ended.
    pub(super) last: Option<(LastSession, Duration)>,
    pub(super) next: NextSession,
    /// The queued events.
    pub(super) events: Vec<Event>,
    pub(super) retry_count: u32,
    /// The transfers whose end the ACS has not confirmed yet.
    pub(super) transfers: Vec<TransferStatus>,
    /// The outcomes of the last transfers.
    pub(super) ended: Vec<TransferOutcome>,
    pub(super) listener_status: ListenerStatus,
    pub(super) journal: JournalState,
}

/// The state of the journal, which holds everything that must survive a reboot.
#[derive(Clone, Debug, Default)]
pub(super) struct JournalState {
    pub(super) directory: PathBuf,
    /// False if nothing can be stored.
    pub(super) durable: bool,
    /// The reason why the last write failed.
    pub(super) error: Option<String>,
    /// The damage that was found at the start.
    pub(super) notices: Vec<String>,
}

/// A status at the moment of a query.
struct StatusView<'a> {
    status: &'a AgentStatus,
    now: Now,
    zone: &'a LocalZone,
}

impl StatusView<'_> {
    /// Returns the rows of the text and of the JSON. Members of the JSON may be added, never changed. Times are ISO 8601
    /// in local time, and null while the clock is not set.
    ///
    /// ```text
    /// agent        version, upSeconds
    /// device       manufacturer, oui, productClass, serialNumber, softwareVersion
    /// acs          url (without query; null: none that can be used), username, enabled (EnableCWMP)
    /// session      the running one: began, seconds; else null
    /// lastSession  began, secondsAgo (since its end), milliseconds, events, ok, error (null if ok); null: none yet
    /// nextSession  cause (now, retry, notification, periodic, heartbeat, scheduled, restart, disabled (EnableCWMP is
    ///              false, or there is no ACS URL), none), at, inSeconds
    /// events       the queued ones, each with code and commandKey
    /// retryCount
    /// transfers    not confirmed yet, each with id, origin, commandKey, fileType, url (without query), state (waiting,
    ///              moving, moved, applying, rebooting, verifying, done, failed), attempt, bytes, totalBytes,
    ///              bytesPerSecond, secondsLeft, error
    /// endedTransfers  the last ones, each with id, error (null: success)
    /// connectionRequests  hasPassword (without one all are rejected); http, udp: each with listening (null: closed) and
    ///              counters by outcome
    /// stun         state (unused, unresolved, asked, answers, silent, refuses), error, server, local, mapped,
    ///              natDetected, keepAliveSeconds, keepAlive (its origin), counters; null: the UDP port is closed
    /// journal      directory, durable, error, notices
    /// ```
    fn rows(&self) -> StatusRows {
        let mut rows = StatusRows::default();
        self.add_device(&mut rows);
        self.add_acs(&mut rows);
        self.add_running_session(&mut rows);
        self.add_last_session(&mut rows);
        self.add_next_session(&mut rows);
        self.add_events(&mut rows);
        self.add_transfers(&mut rows);
        self.status.listener_status.add_to(&mut rows);
        self.add_journal(&mut rows);
        rows
    }

    fn add_device(&self, rows: &mut StatusRows) {
        // Without an identity the JSON keeps its members, for programs that expect them, and the text has no lines.
        match &self.status.device {
            Some(device) => {
                rows.add_text("device.manufacturer", "manufacturer", &device.manufacturer);
                rows.add_text("device.oui", "OUI", &device.oui);
                rows.add_text("device.productClass", "product class", &device.product_class);
                rows.add_text("device.serialNumber", "serial number", &device.serial_number);
            }
            None => ["device.manufacturer", "device.oui", "device.productClass", "device.serialNumber"]
                .into_iter()
                .for_each(|key| rows.add_member(key, Json::Null)),
        }
        rows.add_text("device.softwareVersion", "software", &self.status.software_version);
        let up = self.since(self.status.started);
        rows.add_member("agent.version", VERSION);
        rows.add("agent.upSeconds", "agent", up.as_secs(), format!("cpe-agent {VERSION}, up {}", format_span(up)));
    }

    fn add_acs(&self, rows: &mut StatusRows) {
        let url = public_url(&self.status.acs_url);
        rows.add("acs.url", "ACS", url.clone(), url.unwrap_or_else(|| "no usable URL".into()));
        rows.add_text("acs.username", "user name", &self.status.acs_username);
        // The text shows this in the line of the next session.
        rows.add_member("acs.enabled", self.status.next != NextSession::Disabled(Disabled::Cwmp));
    }

    fn add_running_session(&self, rows: &mut StatusRows) {
        let Some(began) = self.status.running else { return rows.add_member("session", Json::Null) };
        // "running for" and not a time of day: an operator wants to know whether the session hangs.
        let running = self.since(began);
        rows.add_member("session.began", self.local(began));
        rows.add("session.seconds", "session", running.as_secs(), format!("running for {}", format_span(running)));
    }

    fn add_last_session(&self, rows: &mut StatusRows) {
        let Some((session, ended)) = &self.status.last else {
            return rows.add("lastSession", "last session", Json::Null, "none yet");
        };
        let (began, ago, took) = (self.began(session, *ended), self.since(*ended), session.took);
        let shown = began.as_ref().map_or_else(String::new, |at| format!("{}, ", at.replacen('T', " ", 1)));
        let seconds = format!("{}.{:03}", took.as_secs(), took.subsec_millis());
        rows.add_line("last session", format!("{shown}{} ago, took {seconds} s", format_span(ago)));
        rows.add_member("lastSession.began", began);
        rows.add_member("lastSession.secondsAgo", ago.as_secs());
        rows.add_member("lastSession.milliseconds", u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        rows.add("lastSession.events", "  events", session.events.clone(), listed(&session.events));
        let error = session.error.as_ref().map(ToString::to_string);
        let result = error.as_ref().map_or_else(|| "success".to_owned(), |error| format!("failed: {error}"));
        // A member of its own, so that a shell script need not tell null from a text.
        rows.add_member("lastSession.ok", error.is_none());
        rows.add("lastSession.error", "  result", error, result);
    }

    fn add_next_session(&self, rows: &mut StatusRows) {
        let at = match self.status.next {
            NextSession::At(at, _) => Some(at),
            NextSession::Now => Some(self.now.monotonic),
            NextSession::Unplanned | NextSession::Disabled(_) => None,
        };
        let wait = at.map(|at| at.saturating_sub(self.now.monotonic).as_secs());
        rows.add("nextSession.cause", "next session", self.status.next.name(), self.next_session());
        rows.add_member("nextSession.at", at.and_then(|at| self.local(at)));
        rows.add_member("nextSession.inSeconds", wait);
    }

    /// Returns the text about the next session.
    fn next_session(&self) -> String {
        let (at, cause) = match self.status.next {
            NextSession::Unplanned => return "none planned".into(),
            NextSession::Disabled(why) => return format!("none: {}", why.reason()),
            // During a session, a new one is due after it and not at this moment.
            NextSession::Now if self.status.running.is_some() => return "as soon as this one ends".into(),
            NextSession::Now => return "now".into(),
            NextSession::At(at, cause) => (at, cause),
        };
        // These are the words for people; `name` has those for programs.
        let cause = match cause {
            SessionCause::Retry => format!("retry {}", self.status.retry_count),
            SessionCause::Notification => "a value has changed".into(),
            SessionCause::Periodic => "periodic".into(),
            SessionCause::Heartbeat => "heartbeat".into(),
            SessionCause::Scheduled => "the ACS has asked for it".into(),
            SessionCause::Restart => "unless the device has restarted by then".into(),
        };
        let wait = format_span(at.saturating_sub(self.now.monotonic));
        match self.local(at) {
            Some(local) => format!("{}, in {wait}: {cause}", local.replacen('T', " ", 1)),
            None => format!("in {wait}: {cause}"),
        }
    }

    fn add_events(&self, rows: &mut StatusRows) {
        let json = |event: &Event| {
            object([("code", event.code.as_str().into()), ("commandKey", event.command_key.as_str().into())])
        };
        let events = &self.status.events;
        let texts: Vec<String> = events.iter().map(event_text).collect();
        rows.add("events", "queued events", events.iter().map(json).collect::<Vec<_>>(), listed(&texts));
        rows.add("retryCount", "retry count", self.status.retry_count, self.status.retry_count.to_string());
    }

    fn add_transfers(&self, rows: &mut StatusRows) {
        let now = self.now.monotonic;
        self.status.transfers.iter().for_each(|transfer| transfer.add_line_to(rows, now));
        let transfers: Vec<Json> = self.status.transfers.iter().map(|transfer| transfer.json(now)).collect();
        // The lists are JSON only as a whole: the text has a line for each transfer, and none for those that have ended.
        rows.add_member("transfers", transfers);
        rows.add_member("endedTransfers", self.status.ended.iter().map(transfers::ended_json).collect::<Vec<_>>());
    }

    fn add_journal(&self, rows: &mut StatusRows) {
        let JournalState { directory, durable, error, notices } = &self.status.journal;
        let directory = directory.display().to_string();
        // The failure that explains the state stands in the same line, where an operator looks first.
        let state = match (durable, error) {
            (true, None) => format!("durable in {directory}"),
            (true, Some(error)) => format!("the last write failed: {error}"),
            (false, Some(error)) => format!("nothing survives a restart: {error}"),
            (false, None) => "nothing survives a restart".into(),
        };
        rows.add("journal.durable", "journal", *durable, state);
        rows.add_member("journal.directory", directory);
        rows.add_member("journal.error", error.clone());
        rows.add_member("journal.notices", notices.clone());
        notices.iter().for_each(|notice| rows.add_line("  notice", notice));
    }

    fn since(&self, instant: Duration) -> Duration {
        self.now.monotonic.saturating_sub(instant)
    }

    /// Returns the local time at which a session began.
    fn began(&self, session: &LastSession, ended: Duration) -> Option<String> {
        let then = Now { wall: session.began, ..self.now };
        match self.now.clock_is_set() && then.clock_is_set() {
            // By the clock at that time, so that each query returns the same.
            true => Some(self.local_wall(session.began)),
            // The clock was set after the session, and only the monotonic clock knows its distance.
            false => self.local(ended.saturating_sub(session.took)),
        }
    }

    /// Converts a monotonic instant to local time by the clock as it is set now; `None` while it is not set.
    fn local(&self, instant: Duration) -> Option<String> {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        // An instant in the past gives a negative distance.
        let ahead = seconds(instant).saturating_sub(seconds(self.now.monotonic));
        let wall = self.now.wall.saturating_add(ahead);
        self.now.clock_is_set().then(|| self.local_wall(wall))
    }

    fn local_wall(&self, wall: i64) -> String {
        DateTime::from_unix(wall, self.zone.offset_minutes(wall)).to_string()
    }
}

fn listed(items: &[String]) -> String {
    if items.is_empty() { "none".into() } else { items.join(", ") }
}

fn event_text(event: &Event) -> String {
    // Only the events with `M` have a CommandKey (R95).
    match event.command_key.as_str() {
        "" => event.code.to_string(),
        key => format!("{} ({key})", event.code),
    }
}

/// Returns the URL without user information and query, either of which may hold a key. `None` if it is not valid.
fn public_url(url: &str) -> Option<String> {
    Url::parse(url).ok().map(|url| url.to_string())
}

/// Returns the span in its two greatest units.
fn format_span(duration: Duration) -> String {
    // Two units are as exact as people need, and stay short enough for a line.
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
