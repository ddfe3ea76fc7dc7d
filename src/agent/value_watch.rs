//! Values of the device that the ACS watches, or a client of `cpe-agent watch`: they are read when the device tells of a
//! change.
//!
//! ```text
//! ChangeWatch ──▶ Inbox ──Wake::ValuesChanged──▶ refresh ──▶ 4 VALUE CHANGE ──▶ a session after BURST
//!                          a poll that is due ───┘      └──▶ lines for the clients of `watch`
//! ```
//!
//! The first event of a burst is read at once, so that a state which lasts a moment is seen (R212). The session for it waits until
//! the burst is over. Without a watched value there is no thread, no descriptor and no timer.

use std::sync::Arc;
use std::time::Duration;

use super::Agent;
use super::commands::Watchers;
use super::inbox::MAX_LINK_STATES;
use crate::change_watch::{ChangeWatch, SourceEvent};
use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::session::watched_by_acs;
use crate::log;
use crate::model::source::provider::LinkState;
use crate::model::tree::Wanted;
use crate::sources::{Changes, link_states};

/// The time between a change and the session that reports it: changes often come several at a time.
const BURST: Duration = Duration::from_millis(200);

/// The events in a row that may change no watched value before the agent waits between them: a storm of such events must not
/// cost its time.
const VAIN_EVENTS: u32 = 8;

/// The longest of these waits.
const LONGEST_QUIET: Duration = Duration::from_secs(10);

/// The watch for changes of values of the device.
#[derive(Default)]
pub(super) struct ValueWatch {
    /// False if the watched values may be others than those of the last reading.
    is_current: bool,
    /// The events that `watch` is for.
    changes: Changes,
    watch: Option<ChangeWatch>,
    /// The instant of the next reading, on the monotonic clock.
    due: Option<Duration>,
    /// True if an event demands that reading, and not the interval of a poll.
    is_event: bool,
    /// The number of events in a row that changed nothing.
    vain: u32,
    /// The end of the wait after them, on the monotonic clock.
    quiet_until: Duration,
    /// The states that links have had since the last reading.
    link_states: Vec<LinkState>,
    /// The clients of `watch`.
    pub(super) watchers: Watchers,
}

impl ValueWatch {
    /// Notes that other values may be watched from now on.
    pub(super) fn outdate(&mut self) {
        self.is_current = false;
    }

    /// Returns the instant of the next reading.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.due
    }
}

impl Agent {
    /// Reads the watched values if the device has told of a change, or if other values are watched than before.
    pub(super) fn watch_values(&mut self, now: Now) {
        // A session that is about to start reads them anyway, and may change which ones are watched; one that cannot start, such as
        // without an ACS, may be long in coming. While services reload, states come and go that the ACS has caused itself (R172):
        // the state afterwards counts.
        if !self.device.tree().has_sources() {
            // SIGHUP may have removed the last source: a deadline that stays in the past would keep the agent thread busy.
            self.values.due = None;
            return self.set_value_changes(Changes::default());
        }
        if self.is_session_due(now) || self.awaits_reloads() {
            return;
        }
        if !self.values.is_current || self.values.due.is_some_and(|due| due <= now.monotonic) {
            self.read_watched_values(now);
        }
    }

    /// Takes up an event that concerns the values of the device.
    pub(super) fn on_values_changed(&mut self, event: SourceEvent, states: Vec<LinkState>, now: Now) {
        // R172: states that come and go during a reload are of the ACS's own making.
        if !self.awaits_reloads() {
            let others = states.into_iter().filter(|state| !self.values.link_states.contains(state));
            let others: Vec<LinkState> = others.collect();
            self.values.link_states.extend(others);
            self.values.link_states.truncate(MAX_LINK_STATES);
        }
        if event == SourceEvent::Returned {
            self.device.wake_sources();
        }
        let at = now.monotonic.max(self.values.quiet_until);
        self.values.due = Some(self.values.due.map_or(at, |due| due.min(at)));
        self.values.is_event = true;
    }

    fn read_watched_values(&mut self, now: Now) {
        let is_event = std::mem::take(&mut self.values.is_event);
        self.values.is_current = true;
        self.values.due = None;
        let mut names = self.values.watchers.paths();
        if self.is_enabled() {
            names.extend(watched_by_acs(&self.device));
        }
        let mut changes = Changes::default();
        if !names.is_empty() {
            let pending = |device: &Device| device.state().changed.len() + device.state().lightweight.len();
            let before = pending(&self.device);
            if is_event {
                // An answer that may serve later requests is older than the event.
                self.device.forget_kept_answers();
            }
            let states = std::mem::take(&mut self.values.link_states);
            let queries = self.device.refresh_watched(&Wanted::values(names), states, now);
            changes = Changes::of(&queries);
            let has_changed = self.report_to_watchers() || pending(&self.device) != before;
            self.values.settle(is_event && !has_changed, now);
            self.schedule_notification(Now { monotonic: now.monotonic + BURST, ..now });
        }
        // A client that was too slow may have read by then.
        let behind = self.values.watchers.are_behind().then_some(LONGEST_QUIET);
        self.values.due = changes.poll.into_iter().chain(behind).min().map(|interval| now.monotonic + interval);
        self.set_value_changes(changes);
    }

    /// Watches other events than before.
    fn set_value_changes(&mut self, changes: Changes) {
        if changes == self.values.changes {
            return;
        }
        self.values.watch = None;
        if changes.has_events() {
            let inbox = Arc::clone(&self.inbox);
            let links = Arc::clone(&self.inbox);
            let note = Box::new(move |messages: &[u8]| links.note_link_states(link_states(messages)));
            let report = Box::new(move |event| inbox.values_changed(event));
            let started = ChangeWatch::of_values(changes.groups, &changes.files, changes.event_sources(), note, report);
            // Without a watch, the changes are found before the next session.
            self.values.watch =
                started.inspect_err(|error| log::warn!("changes of the device are not seen: {error}")).ok();
        }
        self.values.changes = changes;
    }
}

impl ValueWatch {
    /// Notes the result of a reading, and delays the next one after many in vain.
    fn settle(&mut self, was_in_vain: bool, now: Now) {
        self.vain = if was_in_vain { self.vain.saturating_add(1) } else { 0 };
        let doublings = self.vain.saturating_sub(VAIN_EVENTS).min(8);
        let quiet = if doublings > 0 { (BURST * 2u32.pow(doublings)).min(LONGEST_QUIET) } else { Duration::ZERO };
        self.quiet_until = now.monotonic + quiet;
    }
}
