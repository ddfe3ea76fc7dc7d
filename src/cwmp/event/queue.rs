//! The events that have not been delivered: what has happened, until the ACS has confirmed that
//! it knows.
//!
//! ```text
//!   raise ──▶ pending ── announce ──▶ announced ── confirmed by its response ──▶ gone
//!                ▲                        │
//!                └──── session_ended ─────┘        (6 CONNECTION REQUEST: gone)
//! ```
//!
//! An event that is raised while another with its code is announced is a new occurrence: it
//! stays when that one is confirmed.

use serde_json::Value;

use super::{ConfirmedBy, Cumulative, Discard, Event, EventCode};
use crate::cwmp::version::Version;

/// R94: as many events fit in an Inform, and as many are kept.
pub const MAX_EVENTS: usize = 64;

/// The events that are not delivered yet, oldest first.
#[derive(Clone, Debug, Default)]
pub struct EventQueue {
    entries: Vec<QueuedEvent>,
    /// What the journal holds, as of the last [`EventQueue::saved`].
    journal: Vec<Event>,
}

#[derive(Clone, Debug)]
struct QueuedEvent {
    event: Event,
    /// It stands in the Inform of the session that is running.
    announced: bool,
    /// It stood in the Inform of a session that failed.
    attempted: bool,
}

/// When a session is to be held: what decides which events it tells.
#[derive(Clone, Copy, Debug)]
pub struct SessionContext {
    /// Codes newer than this wait (R83).
    pub version: Version,
    /// A session has failed and is to be tried again: a HEARTBEAT that it did not tell waits (R304).
    pub retrying: bool,
    /// The reboot that the ACS asked for has not taken place: nor is it told (R122).
    pub rebooting: bool,
}

impl QueuedEvent {
    fn is_new(&self) -> bool {
        !self.announced && !self.attempted
    }

    /// Whether a session on that context tells it: one for the heartbeat, or for all others.
    fn is_announced_in(&self, context: SessionContext, heartbeat: bool) -> bool {
        let held = match self.event.code {
            EventCode::Heartbeat => !heartbeat || (context.retrying && !self.attempted),
            EventCode::MReboot => heartbeat || context.rebooting,
            _ => heartbeat,
        };
        self.event.code.rule().since <= context.version && !held
    }
}

impl EventQueue {
    /// Something has happened. What is raised first counts as first: on the first boot, raise
    /// BOOTSTRAP and then BOOT, since BOOTSTRAP discards whatever came before it (R139).
    pub fn raise(&mut self, event: impl Into<Event>) {
        let event = event.into();
        if event.code == EventCode::Bootstrap {
            let bootstrap = |entry: &QueuedEvent| entry.event.code == EventCode::Bootstrap;
            self.entries.retain(bootstrap);
        }
        if let Some(known) = self.known(&event) {
            known.attempted &= event.code == EventCode::Heartbeat; // R304: that one is dropped
            return;
        }
        if self.entries.len() >= MAX_EVENTS && !self.drop_oldest() {
            return;
        }
        self.entries.push(QueuedEvent { event, announced: false, attempted: false });
    }

    /// The entry that tells of the event already: Single codes are told once (R135). One that
    /// is being announced just now is told too early to count, except HEARTBEAT (R304).
    fn known(&mut self, event: &Event) -> Option<&mut QueuedEvent> {
        if event.code.rule().cumulative == Cumulative::Multiple {
            return None;
        }
        let heartbeat = event.code == EventCode::Heartbeat;
        self.entries.iter_mut().find(|entry| entry.event.code == event.code && (heartbeat || !entry.announced))
    }

    /// R94: the oldest "M" event goes; failing that, the oldest of a vendor.
    fn drop_oldest(&mut self) -> bool {
        let multiple = |entry: &QueuedEvent| entry.event.code.rule().cumulative == Cumulative::Multiple;
        let vendor = |entry: &QueuedEvent| matches!(entry.event.code, EventCode::Vendor(_));
        let oldest = self.entries.iter().position(multiple);
        let oldest = oldest.or_else(|| self.entries.iter().position(vendor));
        oldest.map(|at| self.entries.remove(at)).is_some()
    }

    /// What has not been delivered, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().map(|entry| &entry.event)
    }

    /// What the Inform of the running session tells.
    pub fn announced(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().filter(|entry| entry.announced).map(|entry| &entry.event)
    }

    /// Whether an event with that code waits.
    pub fn contains(&self, code: &EventCode) -> bool {
        self.pending().any(|event| event.code == *code)
    }

    /// Whether something calls for a session now, or right after the running one: it was raised
    /// since the last Inform, and that session would tell it (R83, R125, R134).
    ///
    /// What an Inform has announced in vain calls for none: it rides along with the retry, or
    /// with the next session where the ACS keeps refusing the method it belongs to. Nor does
    /// VALUE CHANGE, which a passive notification raises too; see [`EventQueue::is_new`].
    pub fn is_due(&self, context: SessionContext) -> bool {
        let heartbeat = self.is_for_heartbeat(context);
        let calls = |entry: &QueuedEvent| entry.is_new() && entry.event.code != EventCode::ValueChange;
        self.entries.iter().any(|entry| calls(entry) && entry.is_announced_in(context, heartbeat))
    }

    /// Whether no Inform has told this event yet.
    pub fn is_new(&self, code: &EventCode) -> bool {
        self.entries.iter().any(|entry| entry.event.code == *code && entry.is_new())
    }

    /// The events of the Inform that starts a session, which are announced from now on.
    pub fn announce(&mut self, context: SessionContext) -> Vec<Event> {
        let heartbeat = self.is_for_heartbeat(context);
        for entry in &mut self.entries {
            entry.announced = entry.is_announced_in(context, heartbeat);
        }
        let announced = self.entries.iter().filter(|entry| entry.announced);
        announced.map(|entry| entry.event.clone()).collect()
    }

    /// Whether the next session tells HEARTBEAT, which goes alone (R303) and before the others (R304).
    fn is_for_heartbeat(&self, context: SessionContext) -> bool {
        self.entries.iter().any(|entry| !entry.announced && entry.is_announced_in(context, true))
    }

    /// InformResponse has come: what it confirms of the announced events is delivered.
    pub fn inform_confirmed(&mut self) {
        self.entries.retain(|entry| !(entry.announced && entry.event.code.rule().confirmed_by == ConfirmedBy::Inform));
    }

    /// The response to the method that this event announces has come (R145): one occurrence of
    /// it is delivered. With the last `M` event of its kind goes the Single code beside it, such
    /// as `7 TRANSFER COMPLETE` after the last of `M Download`, `M Upload`, `M ScheduleDownload`.
    ///
    /// For a code that stands alone (5, 9, 10, 12): to be called when the last call is confirmed.
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

    /// The session has ended, well or not: what was announced and not confirmed is pending
    /// again, except `6 CONNECTION REQUEST` (R143).
    pub fn session_ended(&mut self) {
        let given_up =
            |entry: &QueuedEvent| entry.announced && entry.event.code.rule().discard == Discard::AfterAttempt;
        self.entries.retain(|entry| !given_up(entry));
        for entry in &mut self.entries {
            entry.attempted |= entry.announced;
            entry.announced = false;
        }
        // A Single code that was raised again meanwhile is one event now (R135), and a new one.
        for event in std::mem::take(&mut self.entries) {
            match self.known(&event.event) {
                Some(first) => first.attempted &= event.attempted,
                None => self.entries.push(event),
            }
        }
    }

    /// The device has rebooted: what does not outlive that is discarded (R142). To be called
    /// before the BOOT of the new boot is raised.
    pub fn rebooted(&mut self) {
        self.entries.retain(|entry| entry.event.code.rule().persists);
    }

    /// Discards a code that has lost its cause: VALUE CHANGE whose list of parameters was
    /// cleared (R110), DIAGNOSTICS COMPLETE of a canceled test (R147).
    pub fn discard(&mut self, code: &EventCode) {
        self.entries.retain(|entry| entry.event.code != *code);
    }

    /// Whether the journal is to be written: it holds something else than it should.
    ///
    /// An event that comes and goes between two looks causes no write.
    pub fn is_unsaved(&self) -> bool {
        !self.journaled().eq(&self.journal)
    }

    /// The journal now holds what [`EventQueue::to_json`] gave.
    pub fn saved(&mut self) {
        self.journal = self.journaled().cloned().collect();
    }

    /// What the journal is to hold: events that a restart of the agent must not lose. Those that
    /// do not outlive a reboot are among them, since a restart of the agent is none (R146).
    fn journaled(&self) -> impl Iterator<Item = &Event> {
        let kept = |event: &&Event| event.code.rule().discard != Discard::AfterAttempt;
        self.pending().filter(kept)
    }

    /// The queue for the journal: `["2 PERIODIC", ["M Reboot", "key"], …]`.
    pub fn to_json(&self) -> Value {
        let record = |event: &Event| match event.command_key.is_empty() {
            true => Value::from(event.code.as_str()),
            false => Value::from(vec![event.code.as_str(), &event.command_key]),
        };
        self.journaled().map(record).collect()
    }

    /// The queue that a journal holds. What it does not understand there is passed over.
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
        queue.saved();
        queue
    }
}
