//! The JSON form of the queue in the journal. Its names are fixed, because a new version reads the journal of an old
//! one.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::queue::{DownloadRequest, TransferQueue};
use super::{ApplyRecord, Failure, Origin, Timing, Transfer, TransferReport, TransferRequest, TransferStage, Window};
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::json;
use crate::schedule::Deadline;

impl TransferQueue {
    /// Returns `{"last": 7, "list": […], "wishes": […]}`; null if there never was a transfer.
    pub(super) fn to_json(&self, now: Now) -> Json {
        if self.last_id == 0 && self.download_requests.is_empty() {
            return Json::Null;
        }
        let list = self.list.iter().map(|transfer| transfer.to_json(now)).collect();
        let wish = |request: &DownloadRequest| {
            Json::Array(vec![request.file_type.as_str().into(), json::pairs_to_json(&request.arguments)])
        };
        let wishes = self.download_requests.iter().map(wish).collect();
        json::object([("last", self.last_id.into()), ("list", list), ("wishes", wishes)])
    }

    /// Reads the queue and skips entries that it cannot read, so that one damaged entry does not lose the others.
    pub(super) fn from_json(json: &Json, now: Now) -> TransferQueue {
        let list = json::items(json.get("list")).iter().filter_map(|entry| Transfer::from_json(entry, now));
        let list: Vec<Transfer> = list.collect();
        let wish = |entry: &Json| {
            let arguments = json::pairs_from_json(entry.get(1)?.as_array()?);
            Some(DownloadRequest { file_type: json::text(entry.get(0))?, arguments })
        };
        let download_requests = json::items(json.get("wishes")).iter().filter_map(wish);
        // The last number may be missing in a damaged journal, and no number may be given twice.
        let last = list.iter().map(Transfer::id).max().unwrap_or(0);
        let mut queue = TransferQueue::default();
        queue.download_requests = download_requests.take(TransferQueue::MAX_DOWNLOAD_REQUESTS).collect();
        queue.last_id = json::number(json.get("last")).unwrap_or(0).max(last);
        // A longer list comes from another version or from damage, and would break the limit of R243.
        queue.list = list.into_iter().take(TransferQueue::CAPACITY).collect();
        queue
    }
}

impl Transfer {
    fn to_json(&self, now: Now) -> Json {
        let TransferRequest { origin, command_key, file_type, url, username, password, file_size, target_file_name } =
            &self.request;
        let mut record = json::object([
            ("id", self.id.into()),
            ("origin", origin.name().into()),
            ("key", command_key.as_str().into()),
            ("type", file_type.as_str().into()),
            ("url", url.as_str().into()),
            ("username", username.as_str().into()),
            // Needed again after a reboot; the state directory belongs to the agent alone.
            ("password", password.expose().into()),
            ("size", (*file_size).into()),
            ("target", target_file_name.as_str().into()),
            ("starts", self.attempts.into()),
            ("interruptions", self.interruptions.into()),
            ("began", self.began.into()),
            ("moved", self.moved.into()),
        ]);
        if let Json::Object(record) = &mut record {
            self.timing.write(record, now);
            self.stage.write(record);
        }
        record
    }

    fn from_json(json: &Json, now: Now) -> Option<Transfer> {
        let text = |name: &str| json::text(json.get(name)).unwrap_or_default();
        let number = |name: &str| json::number(json.get(name)).unwrap_or(0);
        let request = TransferRequest {
            origin: Origin::from_name(json.get("origin")?.as_str()?)?,
            command_key: text("key"),
            file_type: text("type"),
            url: text("url"),
            username: text("username"),
            password: text("password").into(),
            file_size: number("size"),
            target_file_name: text("target"),
        };
        Some(Transfer {
            id: json::number(json.get("id"))?,
            request,
            timing: Timing::read(json, now),
            stage: TransferStage::read(json)?,
            attempts: number("starts"),
            interruptions: number("interruptions"),
            began: json.get("began").and_then(Json::as_i64),
            moved: json.get("moved").and_then(Json::as_u64),
        })
    }
}

impl Timing {
    fn write(&self, record: &mut Map<String, Json>, now: Now) {
        match self {
            Timing::Delayed { due, latest } => {
                record.insert("due".into(), due.to_json(now));
                record.extend(latest.map(|latest| ("latest".to_owned(), latest.to_json(now))));
            }
            Timing::Windows { remaining, failures, .. } => {
                let window =
                    |w: &Window| Json::Array(vec![w.start.to_json(now), w.end.to_json(now), w.max_retries.into()]);
                record.insert("windows".into(), remaining.iter().map(window).collect());
                record.insert("failures".into(), (*failures).into());
            }
        }
    }

    fn read(json: &Json, now: Now) -> Timing {
        let moment = |json: &Json| Deadline::from_json(json, now);
        let window = |json: &Json| {
            Some(Window {
                start: moment(json.get(0)?)?,
                end: moment(json.get(1)?)?,
                max_retries: json::number(json.get(2)),
            })
        };
        match json.get("windows").and_then(Json::as_array) {
            Some(windows) => Timing::Windows {
                remaining: windows.iter().filter_map(window).collect(),
                failures: json::number(json.get("failures")).unwrap_or(0),
                retry_at: None,
            },
            // A transfer whose time cannot be read is due at once, because it would otherwise stay for ever.
            None => Timing::Delayed {
                due: json.get("due").and_then(moment).unwrap_or(Deadline::after(Duration::ZERO, now)),
                latest: json.get("latest").and_then(moment),
            },
        }
    }
}

impl TransferStage {
    fn write(&self, record: &mut Map<String, Json>) {
        let (name, before) = match self {
            TransferStage::Waiting => ("waiting", None),
            // The moved file is not trusted after a restart, and is moved again.
            TransferStage::Moving | TransferStage::Moved => ("moving", None),
            TransferStage::Applying(before) => ("applying", Some(before)),
            // The result of the action is unknown, and stays so over another restart.
            TransferStage::Rebooting { before, interrupted: true, .. } => ("applying", Some(before)),
            TransferStage::Rebooting { before, .. } => ("rebooting", Some(before)),
            TransferStage::Verifying { .. } => ("verifying", None),
            TransferStage::Finished(_) => ("finished", None),
        };
        record.insert("stage".into(), name.into());
        if let Some(before) = before {
            record.insert("version".into(), before.version.as_str().into());
            record.insert("reboots".into(), before.reboots.into());
        }
        if let TransferStage::Finished(report) = self {
            record.insert("complete".into(), report.complete.into());
            let failure = report.failure.as_ref().map(failure_to_json);
            record.extend(failure.map(|failure| ("failure".to_owned(), failure)));
        }
    }

    fn read(json: &Json) -> Option<TransferStage> {
        let before = || ApplyRecord {
            version: json::text(json.get("version")).unwrap_or_default(),
            reboots: json.get("reboots").and_then(Json::as_bool).unwrap_or(false),
        };
        Some(match json.get("stage")?.as_str()? {
            "waiting" => TransferStage::Waiting,
            "moving" => TransferStage::Moving,
            "applying" => TransferStage::Applying(before()),
            "rebooting" => {
                // The end of the wait follows in `resume_after_restart`, since the monotonic clock begins anew.
                TransferStage::Rebooting {
                    before: before(),
                    interrupted: false,
                    is_last_wait: false,
                    until: Duration::ZERO,
                }
            }
            "verifying" => TransferStage::Verifying { runs: false },
            "finished" => TransferStage::Finished(TransferReport {
                failure: json.get("failure").map(failure_from_json),
                complete: json.get("complete").and_then(Json::as_i64),
            }),
            _ => return None,
        })
    }
}

/// Writes a failure for the journal.
pub(in crate::cwmp) fn failure_to_json(failure: &Failure) -> Json {
    Json::Array(vec![failure.code.number().into(), failure.text.as_str().into()])
}

/// Reads a failure. An unreadable code still is a failure, and becomes 9002.
pub(in crate::cwmp) fn failure_from_json(json: &Json) -> Failure {
    let number = json::number(json.get(0)).and_then(|number| u16::try_from(number).ok());
    let code = number.and_then(FaultCode::from_number).unwrap_or(FaultCode::InternalError);
    Failure::permanent(code, json.get(1).and_then(Json::as_str).unwrap_or_default())
}
