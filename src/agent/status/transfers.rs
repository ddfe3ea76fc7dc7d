//! How the transfers are doing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{public_url, span};
use crate::agent::transfers::step::JobProgress;
use crate::cwmp::transfer::{Transfer, TransferOutcome};
use crate::transfer::Moved;

/// One transfer, as it was when the status was published; its bytes are those of the moment of the question.
#[derive(Clone, Debug)]
pub(in crate::agent) struct TransferStatus {
    id: u32,
    origin: &'static str,
    command_key: String,
    file_type: String,
    url: Option<String>,
    state: &'static str,
    attempt: u32,
    size: u32,
    failure: Option<String>,
    progress: Option<Arc<JobProgress>>,
}

impl TransferStatus {
    pub(in crate::agent) fn of(transfer: &Transfer, progress: Option<Arc<JobProgress>>) -> TransferStatus {
        let order = transfer.request();
        let failure = transfer.report().and_then(|report| report.failure.as_ref());
        TransferStatus {
            id: transfer.id(),
            origin: order.origin.name(),
            command_key: order.command_key.clone(),
            file_type: order.file_type.clone(),
            url: public_url(&order.url),
            state: transfer.state_name(),
            attempt: transfer.attempt(),
            size: transfer.size(),
            failure: failure.map(|failure| format!("{} {}", failure.code.number(), failure.text)),
            progress: progress.filter(|_| transfer.is_moving()),
        }
    }

    /// Keys as [`StatusView::json`](super::StatusView) lists them.
    pub(super) fn json(&self, now: Duration) -> Json {
        let rate = self.rate(now);
        json!({
            "id": self.id,
            "origin": self.origin,
            "commandKey": self.command_key,
            "fileType": self.file_type,
            "url": self.url,
            "state": self.state,
            "attempt": self.attempt,
            "bytes": rate.as_ref().map(|rate| rate.moved.bytes),
            "totalBytes": rate.as_ref().and_then(|rate| rate.moved.total).or((self.size > 0).then_some(self.size.into())),
            "bytesPerSecond": rate.as_ref().and_then(|rate| rate.rate),
            "secondsLeft": rate.as_ref().and_then(TransferRate::left),
            "error": self.failure,
        })
    }

    /// The label and the text of its line.
    pub(super) fn line(&self, now: Duration) -> (String, String) {
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
        (format!("transfer {}", self.id), text)
    }

    fn rate(&self, now: Duration) -> Option<TransferRate> {
        let progress = self.progress.as_ref()?;
        let (moved, elapsed) = (progress.file.moved(), now.saturating_sub(progress.began));
        let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let rate = (elapsed > 0).then(|| moved.bytes.saturating_mul(1000) / elapsed);
        Some(TransferRate { moved, rate })
    }
}

/// How fast a file moves.
struct TransferRate {
    moved: Moved,
    /// Bytes a second.
    rate: Option<u64>,
}

impl TransferRate {
    /// Seconds.
    fn left(&self) -> Option<u64> {
        let left = self.moved.total?.saturating_sub(self.moved.bytes);
        left.checked_div(self.rate?)
    }

    fn words(&self) -> String {
        let mut words = size(self.moved.bytes);
        if let Some(total) = self.moved.total {
            words.push_str(&format!(" of {}", size(total)));
        }
        if let Some(rate) = self.rate {
            words.push_str(&format!(", {}/s", size(rate)));
        }
        if let Some(left) = self.left() {
            words.push_str(&format!(", {} left", span(Duration::from_secs(left))));
        }
        words
    }
}

/// Bytes in the unit that leaves few digits.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes >> 10),
        _ => format!("{}.{} MB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20),
    }
}

/// For those who wait for the end of a transfer that they have started.
pub(super) fn ended_json(ended: &TransferOutcome) -> Json {
    json!({ "id": ended.id, "error": ended.failure })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(status.line(Duration::ZERO), ("transfer 7".to_owned(), text.to_owned()));
        (status.command_key, status.url, status.size, status.failure) = (String::new(), None, 0, None);
        let json = status.json(Duration::ZERO);
        assert_eq!((&json["url"], &json["totalBytes"], &json["error"]), (&Json::Null, &Json::Null, &Json::Null));
        assert_eq!(status.line(Duration::ZERO).1, "download: waiting, 1 Firmware Upgrade Image, -");
        let ended = TransferOutcome { id: 7, failure: None };
        assert_eq!(ended_json(&ended), json!({ "id": 7, "error": null }));
    }

    #[test]
    fn sizes_are_read_at_a_glance() {
        for (bytes, expected) in [(0, "0 B"), (9999, "9999 B"), (10_240, "10 kB"), (15 << 20 | 1 << 19, "15.5 MB")] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn the_time_left_follows_from_the_pace() {
        let rate = |bytes, total, rate| TransferRate { moved: Moved { bytes, total }, rate };
        assert_eq!(rate(100, Some(400), Some(10)).left(), Some(30));
        assert_eq!(rate(100, Some(400), Some(10)).words(), "100 B of 400 B, 10 B/s, 30 s left");
        for unknown in [rate(0, Some(400), Some(0)), rate(1, None, Some(1)), rate(1, Some(2), None)] {
            assert_eq!(unknown.left(), None);
        }
    }
}
