//! The status of the agent: the output of `cpe-agent status` as text and as JSON.
//!
//! The agent publishes an [`AgentStatus`] in [`LatestStatus`] whenever a value in it changes. The control thread reads it
//! there, even while the agent is in a session. The instants in it are monotonic, so that "ago" and "in" are right at the
//! moment of the query even if the clock was set meanwhile.

mod health;
mod listener_status;
mod metrics;
mod next_session;
mod rows;
mod sessions;
mod software;
mod sources;
mod transfers;
#[cfg_attr(not(feature = "xmpp"), path = "status/no_xmpp.rs")]
mod xmpp;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value as Json;

use super::last_session::{LastSession, SessionLog};
use super::reload::ReloadLog;
use super::xmpp::XmppState;
use crate::clock::{Clock, Now};
use crate::cwmp::device::{DeviceId, SessionTotals};
use crate::cwmp::event::Event;
use crate::cwmp::transfer::TransferOutcome;
use crate::json::object;
use crate::model::date_time::DateTime;
use crate::time_zone::LocalZone;
use crate::url::Url;

pub(super) use listener_status::ListenerStatus;
pub(super) use next_session::{Disabled, NextSession, SessionCause};
use rows::StatusRows;
pub(super) use software::OperationStatus;
pub(super) use sources::SourceProblems;
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
        let latest = self.latest();
        let view = self.view(&latest);
        if json { format!("{:#}\n", view.rows().json()) } else { view.rows().text() }
    }

    /// Returns a line about the health of the agent at this moment; an error if an operator should look at it.
    pub fn check(&self) -> Result<String, String> {
        let latest = self.latest();
        self.view(&latest).check()
    }

    /// Returns the metrics at this moment, in the text format of Prometheus.
    pub(super) fn metrics(&self) -> String {
        let latest = self.latest();
        self.view(&latest).metrics()
    }

    fn latest(&self) -> Arc<AgentStatus> {
        // The lock is held for the copy only, so that a slow query never delays the agent.
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn view<'a>(&'a self, status: &'a AgentStatus) -> StatusView<'a> {
        StatusView { status, now: status.clock.now(), zone: &self.zone }
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
    /// True if DHCP gave the URL, which authenticates nobody.
    pub(super) is_acs_discovered: bool,
    /// The instant at which the running session began.
    pub(super) running: Option<Duration>,
    /// The last session, and the instant at which it ended.
    pub(super) last: Option<(LastSession, Duration)>,
    /// The results of the sessions since the start.
    pub(super) sessions: SessionLog,
    /// The counts of sessions over restarts.
    pub(super) totals: SessionTotals,
    /// The interval of periodic Informs, if they are enabled.
    pub(super) periodic: Option<Duration>,
    pub(super) next: NextSession,
    /// The queued events.
    pub(super) events: Vec<Event>,
    pub(super) retry_count: u32,
    /// The transfers whose end the ACS has not confirmed yet.
    pub(super) transfers: Vec<TransferStatus>,
    /// The outcomes of the last transfers.
    pub(super) ended: Vec<TransferOutcome>,
    /// The operations on software whose end the ACS has not confirmed yet.
    pub(super) software: Vec<OperationStatus>,
    /// The outcomes of the last operations on software.
    pub(super) ended_software: Vec<(u32, Option<String>)>,
    pub(super) listener_status: ListenerStatus,
    /// The state of the XMPP connection, if one is configured.
    pub(super) xmpp: Option<XmppState>,
    pub(super) journal: JournalState,
    pub(super) reloads: ReloadLog,
    pub(super) sources: SourceProblems,
    pub(super) reboot: PlannedReboot,
    pub(super) test: Option<RunningTest>,
}

/// The diagnostic test that runs.
#[derive(Clone, Debug)]
pub(super) struct RunningTest {
    /// The path of its object.
    pub(super) object: String,
    /// The instant at which it began, on the monotonic clock.
    pub(super) began: Duration,
    /// The number of tests that wait behind it.
    pub(super) waiting: usize,
}

/// The next reboot of the device by the agent.
#[derive(Clone, Debug, Default)]
pub(super) struct PlannedReboot {
    /// True if a reboot or a factory reset is pending or under way.
    pub(super) is_pending: bool,
    /// The instant of a reboot that the ACS has planned (R156), on the monotonic clock.
    pub(super) at: Option<Duration>,
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
    /// Returns the rows of the text and of the JSON. `docs/status.schema.json` describes the members of the JSON. Members may
    /// be added, never changed. Times are ISO 8601 in local time, and null while the clock is not set.
    fn rows(&self) -> StatusRows {
        let mut rows = StatusRows::default();
        self.add_device(&mut rows);
        self.add_acs(&mut rows);
        self.add_running_session(&mut rows);
        self.add_last_session(&mut rows);
        self.add_next_session(&mut rows);
        self.add_sessions(&mut rows);
        self.add_events(&mut rows);
        self.add_reboot(&mut rows);
        self.add_transfers(&mut rows);
        self.add_test(&mut rows);
        self.status.listener_status.add_to(&mut rows);
        self.add_xmpp(&mut rows);
        self.add_journal(&mut rows);
        self.add_reloads(&mut rows);
        self.add_sources(&mut rows);
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
        rows.add_member("acs.discovered", self.status.is_acs_discovered);
        if self.status.is_acs_discovered {
            rows.add_line("  found by", "DHCP, which is not authenticated");
        }
        rows.add_text("acs.username", "user name", &self.status.acs_username);
        // The text shows this in the line of the next session.
        rows.add_member("acs.enabled", self.status.next != NextSession::Disabled(Disabled::Cwmp));
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
        let software = &self.status.software;
        software.iter().for_each(|operation| operation.add_line_to(rows));
        rows.add_member("software", software.iter().map(OperationStatus::json).collect::<Vec<_>>());
        let ended = &self.status.ended_software;
        rows.add_member("endedSoftware", ended.iter().map(software::ended_json).collect::<Vec<_>>());
    }

    fn add_test(&self, rows: &mut StatusRows) {
        let Some(RunningTest { object, began, waiting }) = &self.status.test else {
            return rows.add_member("diagnosticTest", Json::Null);
        };
        let since = self.since(*began);
        rows.add_member("diagnosticTest.object", object.as_str());
        rows.add_member("diagnosticTest.seconds", since.as_secs());
        rows.add_member("diagnosticTest.waiting", *waiting);
        let others = if *waiting > 0 { format!("; {waiting} more wait") } else { String::new() };
        rows.add_line("test", format!("{object} since {}{others}", format_span(since)));
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

    fn add_reloads(&self, rows: &mut StatusRows) {
        let reloads = &self.status.reloads;
        let (reason, refused) = reloads.last_refusal.clone().unzip();
        reloads.left_out.iter().for_each(|reason| rows.add_line("model left out", reason));
        rows.add_member("reloads.leftOut", reloads.left_out.clone());
        rows.add_member("reloads.accepted", reloads.accepted);
        rows.add_member("reloads.refused", reloads.refused);
        rows.add_member("reloads.ok", !reloads.is_refused);
        if let (Some(reason), Some(at)) = (&reason, refused) {
            let text = format!("{} refused, the last {} ago: {reason}", reloads.refused, format_span(self.since(at)));
            rows.add_line("reloads", text);
        }
        rows.add_member("reloads.lastReason", reason);
        rows.add_member("reloads.lastRefused", refused.and_then(|at| self.local(at)));
        rows.add_member("reloads.secondsAgo", refused.map(|at| self.since(at).as_secs()));
    }

    fn add_reboot(&self, rows: &mut StatusRows) {
        let PlannedReboot { is_pending, at } = self.status.reboot;
        rows.add_member("reboot.pending", is_pending);
        rows.add_member("reboot.at", at.and_then(|at| self.local(at)));
        rows.add_member("reboot.inSeconds", at.map(|at| at.saturating_sub(self.now.monotonic).as_secs()));
        if is_pending {
            rows.add_line("reboot", "pending: the device goes down as soon as no session runs");
        } else if let Some(at) = at {
            rows.add_line("reboot", format!("{}: planned by the ACS", self.instant_ahead(at)));
        }
    }

    fn since(&self, instant: Duration) -> Duration {
        self.now.monotonic.saturating_sub(instant)
    }

    /// Converts a monotonic instant to local time by the clock as it is set now; `None` while it is not set.
    fn local(&self, instant: Duration) -> Option<String> {
        self.wall(instant).map(|wall| self.local_wall(wall))
    }

    /// Converts a monotonic instant to Unix time by the clock as it is set now; `None` while it is not set.
    fn wall(&self, instant: Duration) -> Option<i64> {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        // An instant in the past gives a negative distance.
        let ahead = seconds(instant).saturating_sub(seconds(self.now.monotonic));
        self.now.clock_is_set().then(|| self.now.wall.saturating_add(ahead))
    }

    /// Returns the text of an instant in the future: the local time, if it is known, and the wait.
    fn instant_ahead(&self, at: Duration) -> String {
        let wait = format_span(at.saturating_sub(self.now.monotonic));
        self.local(at).map_or_else(|| format!("in {wait}"), |local| format!("{}, in {wait}", with_space(&local)))
    }

    /// Returns the text of an instant in the past: the local time, if it is known, and the time since.
    fn instant_ago(&self, at: Duration) -> String {
        let ago = format_span(self.since(at));
        self.local(at).map_or_else(|| format!("{ago} ago"), |local| format!("{}, {ago} ago", with_space(&local)))
    }

    fn local_wall(&self, wall: i64) -> String {
        DateTime::from_unix(wall, self.zone.offset_minutes(wall)).to_string()
    }
}

/// Returns a time of ISO 8601 as people read it.
fn with_space(time: &str) -> String {
    time.replacen('T', " ", 1)
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
pub(crate) fn format_span(duration: Duration) -> String {
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
