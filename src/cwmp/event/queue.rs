//! The queue of undelivered events: each event stays in it until the ACS has confirmed it.
//!
//! ```text
//!   raise ──▶ pending ── announce ──▶ announced ── confirmed by its response ──▶ gone
//!                ▲                        │
//!                └──── session_ended ─────┘        (6 CONNECTION REQUEST: gone)
//! ```
//!
//! An event that is raised while another one with its code is announced is a new occurrence. It stays in the queue when
//! the announced one is confirmed, so that a change during a session is reported by the next session (R134).

use serde_json::Value;

use super::{ConfirmedBy, Cumulative, Discard, Event, EventCode};
use crate::cwmp::version::Version;

/// The maximum number of events in an Inform (R94), and in the queue.
pub const MAX_EVENTS: usize = 64;

/// The undelivered events, oldest first.
#[derive(Clone, Debug, Default)]
pub struct EventQueue {
    entries: Vec<QueuedEvent>,
}

/// An undelivered event and its progress.
#[derive(Clone, Debug)]
struct QueuedEvent {
    event: Event,
    /// True if the Inform of the running session carries the event.
    announced: bool,
    /// True if the Inform of a failed session carried the event.
    attempted: bool,
}

/// The circumstances of a session, on which the events in its Inform depend.
#[derive(Clone, Copy, Debug)]
pub struct SessionContext {
    /// The CWMP version of the ACS. Events of newer versions wait (R83).
    pub version: Version,
    /// True if the last session has failed and is retried. A HEARTBEAT that it did not carry waits (R304).
    pub retrying: bool,
    /// True if a requested reboot has not taken place yet. Its `M Reboot` waits (R122).
    pub rebooting: bool,
}

impl QueuedEvent {
    fn is_new(&self) -> bool {
        !self.announced && !self.attempted
    }

    /// Returns true if the Inform of a session in this context carries the event: either the heartbeat or all others.
    fn is_announced_in(&self, context: SessionContext, heartbeat: bool) -> bool {
        let held = match self.event.code {
            // A heartbeat of its own would jump the wait of the retry. One that failed itself is that retry.
            EventCode::Heartbeat => !heartbeat || (context.retrying && !self.attempted),
            // Reported before the reboot, the event would tell the ACS that a reboot has happened which is still to come.
            EventCode::MReboot => heartbeat || context.rebooting,
            _ => heartbeat,
        };
        self.event.code.rule().since <= context.version && !held
    }
}

impl EventQueue {
    /// Adds an event. `0 BOOTSTRAP` discards all events before it (R139): on the first boot, raise BOOTSTRAP, then BOOT.
    pub fn raise(&mut self, event: impl Into<Event>) {
        let event = event.into();
        if event.code == EventCode::Bootstrap {
            let bootstrap = |entry: &QueuedEvent| entry.event.code == EventCode::Bootstrap;
            self.entries.retain(bootstrap);
        }
        if let Some(known) = self.known(&event) {
            // The new occurrence makes the event new again, so that it calls for a session before the retry (R125). A second
            // HEARTBEAT does not: it is dropped (R304).
            known.attempted &= event.code == EventCode::Heartbeat;
            return;
        }
        if self.entries.len() >= MAX_EVENTS && !self.drop_oldest() {
            return;
        }
        self.entries.push(QueuedEvent { event, announced: false, attempted: false });
    }

    /// Returns the entry that stands for the event already: an Inform carries a Single code once (R135). An entry that is
    /// announced just now does not count, since its Inform was sent before the new occurrence; except HEARTBEAT (R304).
    fn known(&mut self, event: &Event) -> Option<&mut QueuedEvent> {
        if event.code.rule().cumulative == Cumulative::Multiple {
            return None;
        }
        let heartbeat = event.code == EventCode::Heartbeat;
        self.entries.iter_mut().find(|entry| entry.event.code == event.code && (heartbeat || !entry.announced))
    }

    /// Drops the oldest `M` event, or else the oldest vendor event, to make room (R94). Returns false if there is none:
    /// then the queue holds Single codes only, and none of them may be lost.
    fn drop_oldest(&mut self) -> bool {
        let multiple = |entry: &QueuedEvent| entry.event.code.rule().cumulative == Cumulative::Multiple;
        let vendor = |entry: &QueuedEvent| matches!(entry.event.code, EventCode::Vendor(_));
        let oldest = self.entries.iter().position(multiple);
        let oldest = oldest.or_else(|| self.entries.iter().position(vendor));
        oldest.map(|at| self.entries.remove(at)).is_some()
    }

    /// Returns the undelivered events, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().map(|entry| &entry.event)
    }

    /// Returns the events in the Inform of the running session.
    pub fn announced(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().filter(|entry| entry.announced).map(|entry| &entry.event)
    }

    /// Returns true if an event with this code is undelivered.
    pub fn contains(&self, code: &EventCode) -> bool {
        self.pending().any(|event| event.code == *code)
    }

    /// Returns true if an event requires a session now, or right after the running one: it was raised since the last
    /// Inform, and a session in this context would carry it (R83, R125, R134).
    ///
    /// An event that an Inform has carried in vain requires none: it goes with the retry, or with the next session if the
    /// ACS keeps refusing the method it belongs to. `4 VALUE CHANGE` requires none either, since a passive notification
    /// raises it too; see [`EventQueue::is_new`].
    pub fn is_due(&self, context: SessionContext) -> bool {
        let heartbeat = self.is_for_heartbeat(context);
        // Only new events count, or a session that fails would be repeated at once and for ever.
        let calls = |entry: &QueuedEvent| entry.is_new() && entry.event.code != EventCode::ValueChange;
        self.entries.iter().any(|entry| calls(entry) && entry.is_announced_in(context, heartbeat))
    }

    /// Returns true if an event with this code is undelivered and no Inform has carried it yet.
    pub fn is_new(&self, code: &EventCode) -> bool {
        self.entries.iter().any(|entry| entry.event.code == *code && entry.is_new())
    }

    /// Returns the events for the Inform of a session that starts now, and marks them as announced.
    pub fn announce(&mut self, context: SessionContext) -> Vec<Event> {
        let heartbeat = self.is_for_heartbeat(context);
        for entry in &mut self.entries {
            entry.announced = entry.is_announced_in(context, heartbeat);
        }
        let announced = self.entries.iter().filter(|entry| entry.announced);
        announced.map(|entry| entry.event.clone()).collect()
    }

    /// Returns true if the next session carries HEARTBEAT, which goes alone (R303) and before the others (R304).
    fn is_for_heartbeat(&self, context: SessionContext) -> bool {
        self.entries.iter().any(|entry| !entry.announced && entry.is_announced_in(context, true))
    }

    /// Removes the announced events that InformResponse confirms.
    pub fn inform_confirmed(&mut self) {
        self.entries.retain(|entry| !(entry.announced && entry.event.code.rule().confirmed_by == ConfirmedBy::Inform));
    }

    /// Removes one occurrence of an event after the response to the method that it announces (R145). The last `M` event of
    /// a kind takes the Single code with it: `7 TRANSFER COMPLETE` goes with the last of `M Download`, `M Upload` and
    /// `M ScheduleDownload`.
    ///
    /// A code without `M` events (5, 9, 10, 12) goes with the first call. The caller raises it again if more responses
    /// are still to come.
    pub fn method_confirmed(&mut self, event: &Event) {
        let confirmed_by = event.code.rule().confirmed_by;
        if let Some(at) = self.entries.iter().position(|entry| entry.event == *event) {
            self.entries.remove(at);
        }
        let of_its_kind = |entry: &QueuedEvent| entry.event.code.rule().confirmed_by == confirmed_by;
        let more = self
            .entries
            .iter()
            .any(|entry| of_its_kind(entry) && entry.event.code.rule().cumulative == Cumulative::Multiple);
        if confirmed_by != ConfirmedBy::Inform && !more {
            self.entries.retain(|entry| !of_its_kind(entry));
        }
    }

    /// Notes the end of a session, successful or not. Announced events without confirmation are pending again, except
    /// `6 CONNECTION REQUEST` (R143).
    pub fn session_ended(&mut self) {
        let given_up =
            |entry: &QueuedEvent| entry.announced && entry.event.code.rule().discard == Discard::AfterAttempt;
        self.entries.retain(|entry| !given_up(entry));
        for entry in &mut self.entries {
            // An attempted event waits for the retry and does not start a session of its own (R125).
            entry.attempted |= entry.announced;
            entry.announced = false;
        }
        // A Single code that was raised again during the session now stands twice in the queue. The two become one event
        // (R135), which is new if one of them is.
        for event in std::mem::take(&mut self.entries) {
            match self.known(&event.event) {
                Some(first) => first.attempted &= event.attempted,
                None => self.entries.push(event),
            }
        }
    }

    /// Discards the events that do not survive a reboot (R142). The caller raises `1 BOOT` afterwards, since this would
    /// discard it.
    pub fn rebooted(&mut self) {
        self.entries.retain(|entry| entry.event.code.rule().persists);
    }

    /// Discards the events with a code that has lost its cause, such as `4 VALUE CHANGE` after its list of parameters was
    /// cleared (R110), or `8 DIAGNOSTICS COMPLETE` of a cancelled test (R147).
    pub fn discard(&mut self, code: &EventCode) {
        self.entries.retain(|entry| entry.event.code != *code);
    }

    /// Encodes the queue for the journal, such as `["2 PERIODIC", ["M Reboot", "key"], …]`: the events that a restart of
    /// the agent must not lose. Events that do not survive a reboot are among them, since the agent may restart without a
    /// reboot (R146).
    pub fn to_json(&self) -> Value {
        let kept = |event: &&Event| event.code.rule().discard != Discard::AfterAttempt;
        let record = |event: &Event| match event.command_key.is_empty() {
            true => Value::from(event.code.as_str()),
            false => Value::from(vec![event.code.as_str(), &event.command_key]),
        };
        self.pending().filter(kept).map(record).collect()
    }

    /// Decodes the queue. Records that it does not understand are skipped: a newer version may have written them.
    pub fn from_json(journal: &Value) -> EventQueue {
        let mut queue = EventQueue::default();
        for record in journal.as_array().into_iter().flatten() {
            let (code, command_key) = match record.as_array().map(Vec::as_slice) {
                None => (record.as_str(), ""),
                Some([code, key]) => (code.as_str(), key.as_str().unwrap_or_default()),
                Some(_) => continue,
            };
            if let Some(code) = code.and_then(EventCode::parse) {
                queue.raise(Event::of_command(code, command_key));
            }
        }
        queue
    }
}
