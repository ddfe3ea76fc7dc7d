//! The JSON form of the queue in the journal. Its names are fixed, because a new version reads the journal of an old
//! one.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::queue::{DownloadRequest, TransferQueue};
use super::{ApplyRecord, Failure, Origin, Timing, Transfer, TransferReport, TransferRequest, TransferStage, Window};
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::schedule::Deadline;

impl TransferQueue {
    /// Returns `{"last": 7, "list": […], "wishes": […]}`; null if there never was a transfer.
    pub(super) fn to_json(&self, now: Now) -> Json {
        if self.last_id == 0 && self.download_requests.is_empty() {
            return Json::Null;
        }
        let list: Vec<Json> = self.list.iter().map(|transfer| transfer.to_json(now)).collect();
        let download_requests: Vec<Json> =
            self.download_requests.iter().map(|request| json!([request.file_type, request.arguments])).collect();
        json!({ "last": self.last_id, "list": list, "wishes": download_requests })
    }

    /// Reads the queue and skips entries that it cannot read, so that one damaged entry does not lose the others.
    pub(super) fn from_json(json: &Json, now: Now) -> TransferQueue {
        let members = |name: &str| json.get(name).and_then(Json::as_array).into_iter().flatten();
        let list: Vec<Transfer> = members("list").filter_map(|entry| Transfer::from_json(entry, now)).collect();
        let download_requests = members("wishes").filter_map(|entry| {
            let (file_type, arguments) = serde_json::from_value(entry.clone()).ok()?;
            Some(DownloadRequest { file_type, arguments })
        });
        // The last number may be missing in a damaged journal, and no number may be given twice.
        let last = list.iter().map(Transfer::id).max().unwrap_or(0);
        let mut queue = TransferQueue::default();
        queue.download_requests = download_requests.take(TransferQueue::MAX_DOWNLOAD_REQUESTS).collect();
        queue.last_id = number(json, "last").max(last);
        // A longer list comes from another version or from damage, and would break the limit of R243.
        queue.list = list.into_iter().take(TransferQueue::CAPACITY).collect();
        queue
    }
}

impl Transfer {
    fn to_json(&self, now: Now) -> Json {
        let TransferRequest { origin, command_key, file_type, url, username, password, file_size, target_file_name } =
            &self.request;
        let mut record = json!({
            "id": self.id,
            "origin": origin.name(),
            "key": command_key,
            "type": file_type,
            "url": url,
            "username": username,
            // Needed again after a reboot; the state directory belongs to the agent alone.
            "password": password.expose(),
            "size": file_size,
            "target": target_file_name,
            "starts": self.attempts,
            "interruptions": self.interruptions,
            "began": self.began,
            "moved": self.moved,
        });
        if let Json::Object(record) = &mut record {
            self.timing.write(record, now);
            self.stage.write(record);
        }
        record
    }

    fn from_json(json: &Json, now: Now) -> Option<Transfer> {
        let text = |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let request = TransferRequest {
            origin: Origin::from_name(json.get("origin")?.as_str()?)?,
            command_key: text("key"),
            file_type: text("type"),
            url: text("url"),
            username: text("username"),
            password: text("password").into(),
            file_size: number(json, "size"),
            target_file_name: text("target"),
        };
        Some(Transfer {
            id: u32::try_from(json.get("id")?.as_u64()?).ok()?,
            request,
            timing: Timing::read(json, now),
            stage: TransferStage::read(json)?,
            attempts: number(json, "starts"),
            interruptions: number(json, "interruptions"),
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
                let window = |w: &Window| json!([w.start.to_json(now), w.end.to_json(now), w.max_retries]);
                record.insert("windows".into(), remaining.iter().map(window).collect());
                record.insert("failures".into(), (*failures).into());
            }
        }
    }

    fn read(json: &Json, now: Now) -> Timing {
        let moment = |json: &Json| Deadline::from_json(json, now);
        let window = |json: &Json| {
            let max_retries = json.get(2).and_then(Json::as_u64).and_then(|n| u32::try_from(n).ok());
            Some(Window { start: moment(json.get(0)?)?, end: moment(json.get(1)?)?, max_retries })
        };
        match json.get("windows").and_then(Json::as_array) {
            Some(windows) => Timing::Windows {
                remaining: windows.iter().filter_map(window).collect(),
                failures: number(json, "failures"),
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
            version: json.get("version").and_then(Json::as_str).unwrap_or_default().to_owned(),
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
    json!([failure.code.number(), failure.text])
}

/// Reads a failure. An unreadable code still is a failure, and becomes 9002.
pub(in crate::cwmp) fn failure_from_json(json: &Json) -> Failure {
    let number = json.get(0).and_then(Json::as_u64).and_then(|number| u16::try_from(number).ok());
    let code = number.and_then(FaultCode::from_number).unwrap_or(FaultCode::InternalError);
    Failure::permanent(code, json.get(1).and_then(Json::as_str).unwrap_or_default())
}

fn number(json: &Json, name: &str) -> u32 {
    json.get(name).and_then(Json::as_u64).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}
