//! The status of transfers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::rows::StatusRows;
use super::{format_span, public_url};
use crate::agent::transfers::step::JobProgress;
use crate::cwmp::transfer::{Transfer, TransferOutcome};
use crate::json::object;
use crate::transfer::Moved;

/// The status of a transfer at the time of the snapshot. The number of moved bytes is that of the moment of the query.
#[derive(Clone, Debug)]
pub(in crate::agent) struct TransferStatus {
    id: u32,
    origin: &'static str,
    command_key: String,
    file_type: String,
    url: Option<String>,
    state: &'static str,
    attempt: u32,
    /// The size of the file in bytes as the request gives it; 0 if it is unknown.
    size: u32,
    failure: Option<String>,
    progress: Option<Arc<JobProgress>>,
}

impl TransferStatus {
    /// Returns the status of a transfer. `progress` is that of the running job, which may belong to another step.
    pub(in crate::agent) fn of(transfer: &Transfer, progress: Option<Arc<JobProgress>>) -> TransferStatus {
        let request = transfer.request();
        let failure = transfer.report().and_then(|report| report.failure.as_ref());
        TransferStatus {
            id: transfer.id(),
            origin: request.origin.name(),
            command_key: request.command_key.clone(),
            file_type: request.file_type.clone(),
            // The URL of a file server often carries a user name and a password.
            url: public_url(&request.url),
            state: transfer.state_name(),
            attempt: transfer.attempt(),
            size: transfer.size(),
            failure: failure.map(|failure| format!("{} {}", failure.code.number(), failure.text)),
            // The job of a later step, such as the verification, moves no bytes.
            progress: progress.filter(|_| transfer.is_moving()),
        }
    }

    /// Returns the element of the list `transfers`.
    pub(super) fn json(&self, now: Duration) -> Json {
        let rate = self.rate(now);
        // The size that the file server names is exact; that of the request is only a promise of the ACS.
        let total = rate.as_ref().and_then(|rate| rate.moved.total).or((self.size > 0).then_some(self.size.into()));
        object([
            ("id", self.id.into()),
            ("origin", self.origin.into()),
            ("commandKey", self.command_key.as_str().into()),
            ("fileType", self.file_type.as_str().into()),
            ("url", self.url.as_deref().into()),
            ("state", self.state.into()),
            ("attempt", self.attempt.into()),
            ("bytes", rate.as_ref().map(|rate| rate.moved.bytes).into()),
            ("totalBytes", total.into()),
            ("bytesPerSecond", rate.as_ref().and_then(|rate| rate.bytes_per_second).into()),
            ("secondsLeft", rate.as_ref().and_then(TransferRate::seconds_left).into()),
            ("error", self.failure.as_deref().into()),
        ])
    }

    pub(super) fn add_line_to(&self, rows: &mut StatusRows, now: Duration) {
        let key = match self.command_key.as_str() {
            "" => String::new(),
            key => format!(" ({key})"),
        };
        let url = self.url.as_deref().unwrap_or("-");
        let mut text = format!("{}{key}: {}, {}, {url}", self.origin, self.state, self.file_type);
        if let Some(rate) = self.rate(now) {
            text.push_str(&format!(", {}", rate.words()));
        }
        if let Some(failure) = &self.failure {
            text.push_str(&format!(": {failure}"));
        }
        rows.add_line(format!("transfer {}", self.id), text);
    }

    fn rate(&self, now: Duration) -> Option<TransferRate> {
        let progress = self.progress.as_ref()?;
        let (moved, elapsed) = (progress.file.moved(), now.saturating_sub(progress.began));
        let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        // The mean since the start is steadier than the current rate, and needs no memory of earlier queries.
        let bytes_per_second = (elapsed > 0).then(|| moved.bytes.saturating_mul(1000) / elapsed);
        Some(TransferRate { moved, bytes_per_second })
    }
}

/// The progress and the mean rate of a transfer.
struct TransferRate {
    moved: Moved,
    /// The mean rate; `None` in the first millisecond.
    bytes_per_second: Option<u64>,
}

impl TransferRate {
    /// Returns the remaining time in seconds at the mean rate; `None` while size or rate are unknown.
    fn seconds_left(&self) -> Option<u64> {
        let left = self.moved.total?.saturating_sub(self.moved.bytes);
        // A rate of 0 gives no time.
        left.checked_div(self.bytes_per_second?)
    }

    fn words(&self) -> String {
        let mut words = format_size(self.moved.bytes);
        if let Some(total) = self.moved.total {
            words.push_str(&format!(" of {}", format_size(total)));
        }
        if let Some(rate) = self.bytes_per_second {
            words.push_str(&format!(", {}/s", format_size(rate)));
        }
        if let Some(left) = self.seconds_left() {
            words.push_str(&format!(", {} left", format_span(Duration::from_secs(left))));
        }
        words
    }
}

/// Returns the size in the unit that leaves few digits.
fn format_size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes >> 10),
        _ => format!("{}.{} MB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20),
    }
}

/// Returns the element of the list `endedTransfers`, by which a client finds the end of the transfer that it started.
pub(super) fn ended_json(ended: &TransferOutcome) -> Json {
    object([("id", ended.id.into()), ("error", ended.failure.as_deref().into())])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(status: &TransferStatus) -> String {
        let mut rows = StatusRows::default();
        status.add_line_to(&mut rows, Duration::ZERO);
        rows.text()
    }

    /// The JSON that programs read; its members never change.
    #[test]
    fn one_transfer_as_json_and_as_text() {
        let mut status = TransferStatus {
            id: 7,
            origin: "download",
            command_key: "key".into(),
            file_type: "1 Firmware Upgrade Image".into(),
            url: Some("http://h/f".into()),
            state: "waiting",
            attempt: 2,
            size: 1000,
            failure: Some("9010 Download failure".into()),
            progress: None,
        };
        let expected = json!({
            "id": 7, "origin": "download", "commandKey": "key", "fileType": "1 Firmware Upgrade Image",
            "url": "http://h/f", "state": "waiting", "attempt": 2, "bytes": null, "totalBytes": 1000,
            "bytesPerSecond": null, "secondsLeft": null, "error": "9010 Download failure",
        });
        assert_eq!(status.json(Duration::ZERO), expected);
        let text = "download (key): waiting, 1 Firmware Upgrade Image, http://h/f: 9010 Download failure";
        assert_eq!(line(&status), format!("transfer 7     {text}\n"));
        (status.command_key, status.url, status.size, status.failure) = (String::new(), None, 0, None);
        let json = status.json(Duration::ZERO);
        assert_eq!((&json["url"], &json["totalBytes"], &json["error"]), (&Json::Null, &Json::Null, &Json::Null));
        assert_eq!(line(&status), "transfer 7     download: waiting, 1 Firmware Upgrade Image, -\n");
        let ended = TransferOutcome { id: 7, failure: None };
        assert_eq!(ended_json(&ended), json!({ "id": 7, "error": null }));
    }

    #[test]
    fn sizes_are_read_at_a_glance() {
        for (bytes, expected) in [(0, "0 B"), (9999, "9999 B"), (10_240, "10 kB"), (15 << 20 | 1 << 19, "15.5 MB")] {
            assert_eq!(format_size(bytes), expected);
        }
    }

    #[test]
    fn the_time_left_follows_from_the_pace() {
        let rate = |bytes, total, bytes_per_second| TransferRate { moved: Moved { bytes, total }, bytes_per_second };
        assert_eq!(rate(100, Some(400), Some(10)).seconds_left(), Some(30));
        assert_eq!(rate(100, Some(400), Some(10)).words(), "100 B of 400 B, 10 B/s, 30 s left");
        for unknown in [rate(0, Some(400), Some(0)), rate(1, None, Some(1)), rate(1, Some(2), None)] {
            assert_eq!(unknown.seconds_left(), None);
        }
    }
}
