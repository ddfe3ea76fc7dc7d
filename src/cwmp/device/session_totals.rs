//! The counts of sessions, and the good address of the ACS, over restarts and reboots, which the journal holds without a write of their own.
//!
//! ```text
//! session ends ──▶ DeviceState::totals ──┬─ the next record, which is written for another reason
//!                                        └─ Device::save_totals, at an orderly stop
//! ```

use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::Value as Json;

use super::state::REPORTED;
use super::{Device, Growth, JournalError};
use crate::clock::Now;
use crate::json;
use crate::model::change::Change;

/// The address of an ACS with several that was good last (R22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptAddress {
    /// The address.
    pub ip: IpAddr,
    /// A digest of the addresses that the ACS had then: another list ends the preference.
    pub list: u32,
}

/// The counts of all sessions since the first start or the last factory reset, as far as the journal holds them: the
/// sessions between the last record and a crash are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionTotals {
    /// The sessions that succeeded.
    pub succeeded: u64,
    /// The sessions that failed.
    pub failed: u64,
    /// The end of the last session that succeeded, in seconds since the Unix epoch; `None` if the clock was not set.
    pub last_success: Option<i64>,
    /// The address to which the next session goes first.
    pub address: Option<KeptAddress>,
}

impl SessionTotals {
    /// Counts a session that has ended now.
    pub fn count(&mut self, succeeded: bool, now: Now) {
        match succeeded {
            true => {
                self.succeeded = self.succeeded.saturating_add(1);
                self.last_success = now.clock_is_set().then_some(now.wall);
            }
            false => self.failed = self.failed.saturating_add(1),
        }
    }

    /// Returns the number of the session that runs, or of the next one.
    pub fn number(self) -> u64 {
        self.succeeded.saturating_add(self.failed).saturating_add(1)
    }

    /// Encodes the values as a record of the journal holds them.
    pub(super) fn to_json(self) -> Json {
        let mut items = vec![self.succeeded.into(), self.failed.into(), self.last_success.into()];
        if let Some(KeptAddress { ip, list }) = self.address {
            items.extend([ip.to_string().into(), list.into()]);
        }
        Json::Array(items)
    }

    /// Decodes the counts of a record. Missing or malformed ones are zero.
    pub(super) fn from_json(json: &Json) -> SessionTotals {
        let count = |at: usize| json.get(at).and_then(Json::as_u64).unwrap_or(0);
        let last_success = json.get(2).and_then(Json::as_i64);
        let ip = json.get(3).and_then(Json::as_str).and_then(|ip| ip.parse().ok());
        let address = ip.zip(json::number(json.get(4))).map(|(ip, list)| KeptAddress { ip, list });
        SessionTotals { succeeded: count(0), failed: count(1), last_success, address }
    }
}

impl Device {
    /// Stores the counts of sessions and the unfinished work, unless the journal already holds them. For an orderly stop: at any other time they
    /// wait for the next record, since a record for each session would wear out the flash memory.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn save_totals(&mut self) -> Result<(), JournalError> {
        let (totals, work) = (self.unwritten_totals(), self.unwritten_work());
        if totals.is_none() && work.is_none() {
            return Ok(());
        }
        self.append(&record(&[], [None; 2], totals, work, None), Growth::No)?;
        self.totals_written();
        self.written_work.clone_from(&self.unfinished);
        Ok(())
    }

    /// Returns the counts of sessions if the journal does not hold them yet.
    pub(super) fn unwritten_totals(&self) -> Option<SessionTotals> {
        (self.state.totals != self.written_totals).then_some(self.state.totals)
    }

    pub(super) fn totals_written(&mut self) {
        self.written_totals = self.state.totals;
    }
}

/// Formats a record of the journal from the changes, if any, both members of the state, which are JSON already, the counts of
/// sessions, the unfinished work and the diagnostic tests, which are JSON too, each if given.
pub(super) fn record(
    changes: &[Change],
    [state, reported]: [Option<&str>; 2],
    totals: Option<SessionTotals>,
    work: Option<String>,
    tests: Option<String>,
) -> String {
    let list = (!changes.is_empty()).then(|| changes.iter().map(Change::to_json).collect::<Json>().to_string());
    let totals = totals.map(|totals| totals.to_json().to_string());
    let mut text = String::new();
    let members = [
        ("tree", list.as_deref()),
        ("state", state),
        (REPORTED, reported),
        ("sessions", totals.as_deref()),
        ("device", work.as_deref()),
        ("tests", tests.as_deref()),
    ];
    for (name, json) in members {
        if let Some(json) = json {
            // The result is ignored: writing to a String cannot fail.
            let _ = write!(text, "{}\"{name}\":{json}", if text.is_empty() { '{' } else { ',' });
        }
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::event::{Event, EventCode};
    use crate::cwmp::testing::{NOW, device};

    #[test]
    fn the_counts_ride_on_other_records() {
        let (mut device, journal) = device(&[]);
        device.save(NOW).expect("stored");
        let before = journal.records().len();
        device.state_mut().totals.count(true, NOW);
        device.state_mut().totals.count(false, NOW);
        device.save(NOW).expect("stored");
        assert_eq!(journal.records().len(), before, "no record for the counts alone");
        device.state_mut().events.raise(Event::new(EventCode::Periodic));
        device.save(NOW).expect("stored");
        let record = journal.records().pop().expect("a record");
        assert!(record.ends_with(&format!(",\"sessions\":[1,1,{}]}}", NOW.wall)), "{record}");
        device.state_mut().events.discard(&EventCode::Periodic);
        device.save(NOW).expect("stored");
        assert!(!journal.records().pop().expect("a record").contains("sessions"), "written once");
        // An orderly stop.
        device.state_mut().totals.count(true, Now { wall: 0, ..NOW });
        device.save_totals().expect("stored");
        device.save_totals().expect("stored");
        assert_eq!(journal.records().pop().expect("a record"), "{\"sessions\":[2,1,null]}");
        assert_eq!(journal.records().len(), before + 3);
        for records in [journal.records(), device.snapshot()] {
            let (restored, _) = crate::cwmp::testing::device(&records);
            let expected = SessionTotals { succeeded: 2, failed: 1, last_success: None, address: None };
            assert_eq!(restored.state().totals, expected);
            assert_eq!(restored.unwritten_totals(), None);
        }
    }

    #[test]
    fn a_count_that_could_not_be_stored_waits() {
        let (mut device, journal) = device(&[]);
        device.state_mut().totals.count(true, NOW);
        journal.fail(true);
        device.save_totals().expect_err("a full disk");
        journal.fail(false);
        device.save_totals().expect("stored");
        assert_eq!(journal.records().len(), 1);
    }

    /// R22: over a restart too.
    #[test]
    fn the_good_address_rides_along() {
        for ip in ["192.0.2.1", "2001:db8::1"] {
            let address = Some(KeptAddress { ip: ip.parse().expect("an address"), list: u32::MAX });
            let totals = SessionTotals { succeeded: 1, address, ..SessionTotals::default() };
            assert_eq!(SessionTotals::from_json(&totals.to_json()), totals);
        }
        for damaged in
            ["[1,0,null,7,7]", "[1,0,null,\"192.0.2.1\"]", "[1,0,null,\"x\",1]", "[1,0,null,\"192.0.2.1\",-1]"]
        {
            let json = serde_json::from_str(damaged).expect("JSON");
            assert_eq!(SessionTotals::from_json(&json), SessionTotals { succeeded: 1, ..SessionTotals::default() });
        }
    }

    #[test]
    fn damaged_counts_are_zero() {
        for text in ["null", "{}", "[]", "[-1,\"x\",{}]"] {
            let json = serde_json::from_str(text).expect("JSON");
            assert_eq!(SessionTotals::from_json(&json), SessionTotals::default(), "{text}");
        }
    }
}
