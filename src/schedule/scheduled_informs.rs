//! The Informs requested by ScheduleInform.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::deadline::Deadline;
use crate::clock::Now;
use crate::json::object;

/// The requested Informs that are not due yet.
#[derive(Clone, Debug, Default)]
pub struct ScheduledInforms {
    entries: Vec<ScheduledInform>,
    unsaved: bool,
    /// True if the journal was written without absolute time, and should be rewritten once the clock is set.
    saved_without_clock: bool,
}

/// A request of ScheduleInform.
#[derive(Clone, Debug)]
struct ScheduledInform {
    command_key: String,
    due: Deadline,
}

/// The error of a full list. ScheduleInform answers 9002, because it has no fault of its own for this case (R155).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyInforms;

impl fmt::Display for TooManyInforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Informs are scheduled already", ScheduledInforms::CAPACITY)
    }
}

impl std::error::Error for TooManyInforms {}

impl ScheduledInforms {
    /// The maximum number of waiting Informs; R155 demands at least three.
    pub const CAPACITY: usize = 16;

    /// Adds an Inform after a delay. A waiting one with the same command key gets the new delay instead, unless the key
    /// is empty (R155).
    ///
    /// # Errors
    /// Returns an error if [`ScheduledInforms::CAPACITY`] Informs wait already.
    pub fn add(&mut self, command_key: &str, delay: Duration, now: Now) -> Result<(), TooManyInforms> {
        let due = Deadline::after(delay, now);
        // An empty key is shared by all requests without one, and identifies none of them.
        let same = |entry: &ScheduledInform| !command_key.is_empty() && entry.command_key == command_key;
        match self.entries.iter().position(same) {
            Some(at) => self.entries[at].due = due,
            None if self.entries.len() >= ScheduledInforms::CAPACITY => return Err(TooManyInforms),
            None => self.entries.push(ScheduledInform { command_key: command_key.to_owned(), due }),
        }
        self.unsaved = true;
        Ok(())
    }

    /// Returns the number of waiting Informs.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns true if no Inform waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes all Informs, at a BOOTSTRAP or a factory reset (R139).
    pub fn clear(&mut self) {
        self.unsaved |= !self.is_empty();
        self.entries.clear();
    }

    /// Returns the time of the next Inform on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        self.entries.iter().map(|entry| entry.due.instant()).min()
    }

    /// Removes the earliest due Inform and returns its command key.
    pub fn poll(&mut self, now: Now) -> Option<String> {
        if now.clock_is_set() {
            self.clock_was_set(now);
        }
        let (at, earliest) = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.due.instant())?;
        if earliest.due.instant() > now.monotonic {
            return None;
        }
        self.unsaved = true;
        Some(self.entries.remove(at).command_key)
    }

    /// Recomputes the deadlines after the wall clock was set.
    fn clock_was_set(&mut self, now: Now) {
        for entry in &mut self.entries {
            entry.due = entry.due.resync_clock(now);
        }
        // A journal without absolute time loses its deadlines in a reboot, and now it can be written with it.
        if self.saved_without_clock {
            self.saved_without_clock = false;
            self.unsaved |= !self.entries.is_empty();
        }
    }

    /// Returns true if the journal or a deadline waits for the wall clock.
    pub(super) fn watches_clock(&self) -> bool {
        self.saved_without_clock || self.entries.iter().any(|entry| entry.due.awaits_clock())
    }

    /// Returns true if the journal must be written.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Records that the journal holds the result of [`ScheduledInforms::to_json`].
    pub fn saved(&mut self, now: Now) {
        self.unsaved = false;
        self.saved_without_clock = !now.clock_is_set() && !self.is_empty();
    }

    /// Returns the JSON for the journal.
    pub fn to_json(&self, now: Now) -> Value {
        let record = |entry: &ScheduledInform| {
            object([("key", entry.command_key.as_str().into()), ("due", entry.due.to_json(now))])
        };
        self.entries.iter().map(record).collect()
    }

    /// Reads the Informs from a journal, and skips entries that it cannot read.
    pub fn from_json(journal: &Value, now: Now) -> ScheduledInforms {
        let mut queue = ScheduledInforms::default();
        for record in journal.as_array().into_iter().flatten() {
            let Some(due) = Deadline::from_json(&record["due"], now) else {
                continue;
            };
            // A longer list comes from damage or another version, and would break the limit for good.
            if queue.len() < ScheduledInforms::CAPACITY {
                let command_key = record["key"].as_str().unwrap_or_default().to_owned();
                queue.entries.push(ScheduledInform { command_key, due });
            }
        }
        queue
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SET: i64 = 1_800_000_000;

    fn at(seconds: u64, wall: i64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// R154, R155: at least three Informs wait; the same key updates its delay, and the empty key never does.
    #[test]
    fn asked_for_and_due() {
        let mut queue = ScheduledInforms::default();
        let start = at(10, 0);
        queue.add("a", seconds(100), start).unwrap();
        queue.add("b", seconds(50), start).unwrap();
        queue.add("", seconds(70), start).unwrap();
        queue.add("", seconds(70), start).unwrap();
        queue.add("a", seconds(60), start).unwrap();
        assert_eq!((queue.len(), queue.deadline()), (4, Some(seconds(60))));
        assert_eq!(queue.poll(at(59, 0)), None);
        // setting the wall clock in between changes nothing
        assert_eq!(queue.poll(at(60, SET)).as_deref(), Some("b"));
        assert_eq!(queue.poll(at(69, SET)), None);
        let due: Vec<_> = std::iter::from_fn(|| queue.poll(at(80, 0))).collect();
        assert_eq!(due, ["a", "", ""]);
        assert!(queue.is_empty() && queue.deadline().is_none());
    }

    #[test]
    fn a_full_queue() {
        let mut queue = ScheduledInforms::default();
        for number in 0..ScheduledInforms::CAPACITY {
            let key = number.to_string();
            queue.add(&key, seconds(5), at(0, 0)).unwrap();
        }
        assert_eq!(queue.add("more", seconds(5), at(0, 0)), Err(TooManyInforms));
        assert_eq!(queue.add("3", Duration::MAX, at(1, 0)), Ok(()));
        assert_eq!(queue.len(), ScheduledInforms::CAPACITY);
    }

    /// R155: the list survives a reboot by absolute time, which may be missing for a while after it.
    #[test]
    fn over_a_reboot() {
        let mut queue = ScheduledInforms::default();
        queue.add("k", seconds(600), at(1000, SET)).unwrap();
        assert!(queue.is_unsaved());
        let journal = queue.to_json(at(1100, SET + 100));
        queue.saved(at(1100, SET + 100));
        assert!(!queue.is_unsaved() && !queue.watches_clock());

        let known = ScheduledInforms::from_json(&journal, at(5, SET + 200));
        assert_eq!(known.deadline(), Some(seconds(405)));

        let mut waits = ScheduledInforms::from_json(&journal, at(5, 0));
        assert_eq!(waits.deadline(), Some(seconds(505)));
        assert!(waits.watches_clock());
        assert_eq!(waits.to_json(at(6, 0))[0]["due"][1], SET + 600);
        assert_eq!(waits.poll(at(20, SET + 300)), None);
        assert_eq!(waits.deadline(), Some(seconds(320)));

        let mut late = ScheduledInforms::from_json(&journal, at(5, SET + 9999));
        assert_eq!(late.poll(at(5, SET + 9999)).as_deref(), Some("k"));
    }

    /// Without absolute time the remaining delay is kept, and improved once the clock is set.
    #[test]
    fn without_a_clock() {
        let mut queue = ScheduledInforms::default();
        queue.add("k", seconds(600), at(0, 0)).unwrap();
        queue.saved(at(0, 0));
        assert!(queue.watches_clock());
        let journal = queue.to_json(at(100, 0));
        let restarted = ScheduledInforms::from_json(&journal, at(7, 0));
        assert_eq!(restarted.deadline(), Some(seconds(507)));

        assert_eq!(queue.poll(at(200, SET)), None);
        assert!(queue.is_unsaved());
        assert_eq!(queue.to_json(at(200, SET))[0]["due"][1], SET + 400);
        queue.clear();
        assert!(queue.is_unsaved() && queue.is_empty());
    }

    #[test]
    fn a_strange_journal() {
        for text in ["null", "7", "[1, null, {}, {\"due\": [-1]}]", "{\"due\": [1]}"] {
            let journal = serde_json::from_str(text).unwrap();
            assert!(ScheduledInforms::from_json(&journal, at(0, 0)).is_empty());
        }
        let endless: Value = json!([{ "due": [u64::MAX, i64::MAX] }]);
        let mut queue = ScheduledInforms::from_json(&endless, at(1, SET));
        assert_eq!(queue.poll(at(2, i64::MIN)), None);
    }
}
