//! The journal as the device sees it, and the snapshots of the device in it.

use std::fmt::{self, Write as _};

use super::state::{EncodedState, REPORTED};
use super::{Device, DeviceState, Reset, Unfinished};

/// The size in bytes at which a record of a snapshot ends.
const SNAPSHOT_RECORD: usize = 64 * 1024;

/// Durable storage for changes, one record for each.
pub trait JournalWriter {
    /// Appends one record, a line without line end, and returns when it is durable.
    ///
    /// # Errors
    /// The record is not stored, and no part of it appears after a restart.
    fn append(&mut self, record: &str, growth: Growth) -> Result<(), JournalError>;

    /// Returns true if the last record was refused for a reason that [`rewrite`](JournalWriter::rewrite) may remove.
    fn rewrite_helps(&self) -> bool {
        false
    }

    /// Replaces all records by those of a snapshot. If it fails, the records stay as they are.
    fn rewrite(&mut self, _snapshot: &[String]) -> Result<(), JournalError> {
        Err(JournalError { reason: "the journal cannot be rewritten".into(), is_full: false })
    }
}

/// The effect of a record on the size of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// The state may become larger, within the limit of the journal.
    May,
    /// The record only deletes instances, or holds the state of the protocol, whose parts have limits of their own.
    No,
}

/// The failure to store a record. No part of the record appears after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalError {
    /// The reason, as text.
    pub reason: String,
    /// True if there is no room for the record, so that other records can be removed nevertheless.
    pub is_full: bool,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot store the state: {}", self.reason)
    }
}

impl std::error::Error for JournalError {}

impl Device {
    /// Returns the records that lead from the factory state to the current one, for the compaction of the journal.
    pub fn snapshot(&self) -> Vec<String> {
        let (mut records, mut text) = (Vec::new(), String::new());
        for change in self.tree.changes_from_factory() {
            text.push_str(if text.is_empty() { "{\"tree\":[" } else { "," });
            // Writing to a String cannot fail.
            let _ = write!(text, "{}", change.to_json());
            // Several records: the size of one is limited, and that of all values together is not.
            if text.len() >= SNAPSHOT_RECORD {
                text.push_str("]}");
                records.push(std::mem::take(&mut text));
            }
        }
        text.push_str(if text.is_empty() { "{\"tree\":[]" } else { "]" });
        // The state comes last: where damage cuts the snapshot off, the identity is missing as well, and 0 BOOTSTRAP tells
        // the ACS of the loss (R137).
        let (EncodedState { state, reported }, totals) = (self.state.encoded(), self.state.totals.to_json());
        let _ = write!(text, ",\"state\":{state},\"{REPORTED}\":{reported},\"sessions\":{totals}");
        if self.unfinished != Unfinished::default() {
            let _ = write!(text, ",\"device\":{}", self.unfinished.to_json());
        }
        if let Some(tests) = self.runs.snapshot() {
            let _ = write!(text, ",\"tests\":{tests}");
        }
        text.push('}');
        records.push(text);
        records
    }

    /// Notes that the journal now holds the result of [`snapshot`](Device::snapshot).
    pub fn rewritten(&mut self) {
        self.written = self.state.encoded();
        self.totals_written();
        self.written_work.clone_from(&self.unfinished);
        self.runs.written();
    }

    /// Returns the only record that a factory reset leaves in the journal: the reset has begun, and in which boot.
    ///
    /// An agent that is killed during the reset finds it and finishes the reset; the boot id shows whether the device
    /// has rebooted in between (R226).
    pub fn reset_record(&self) -> String {
        let mut state = DeviceState::default();
        state.boot_id.clone_from(&self.state.boot_id);
        state.reset = Reset::Begun;
        format!("{{\"state\":{}}}", state.to_json())
    }
}

#[cfg(test)]
mod tests {
    use crate::cwmp::event::{Event, EventCode};
    use crate::cwmp::testing::{NOW, device};

    #[test]
    fn a_record_has_the_digests_only_after_a_change() {
        let (mut written, journal) = device(&[]);
        written.state_mut().reported.insert("Device.A".into(), 7);
        written.save(NOW).expect("stored");
        let with_digests = journal.records().pop().expect("a record");
        assert!(with_digests.contains("\"told\":{\"Device.A\":7"), "{with_digests}");
        written.state_mut().events.raise(Event::new(EventCode::Periodic));
        written.save(NOW).expect("stored");
        let without = journal.records().pop().expect("a record");
        assert!(without.contains("PERIODIC") && !without.contains("told"), "{without}");
        // The journal, its rewritten form, and that of an earlier version.
        let earlier = "{\"state\":{\"bootId\":\"b\",\"told\":{\"Device.A\":7}}}".to_owned();
        for records in [journal.records(), written.snapshot(), vec![earlier]] {
            let (restored, _) = device(&records);
            assert_eq!(restored.state().reported.get("Device.A"), Some(&7), "{records:?}");
        }
    }
}
