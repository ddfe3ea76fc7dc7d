//! The JSON form of the queue in the journal. Its names are fixed, because a new version reads the journal of an old one.

use serde_json::Value as Json;

use super::queue::{START_LIMIT, UnitQueue};
use super::{
    Operation, OperationKind, Requester, Unit, UnitJob, UnitReport, UnitRequest, UnitResult, UnitStage, UnitState,
};
use crate::clock::Now;
use crate::cwmp::transfer::{failure_from_json, failure_to_json};
use crate::json;

impl UnitQueue {
    /// Returns the JSON of the queue; `None` for an empty one, which the journal leaves out.
    pub fn to_json(&self) -> Option<Json> {
        let requests: Vec<Json> = self.requests.iter().map(request_to_json).collect();
        let known = self.known.as_ref().map(|known| known.iter().map(unit_to_json).collect::<Json>());
        if requests.is_empty() && known.is_none() {
            return None;
        }
        let mut record = json::object([("last", self.last_id.into()), ("requests", requests.into())]);
        if let Some(known) = known {
            record["known"] = known;
        }
        Some(record)
    }

    /// Reads the queue, and skips requests that it cannot read.
    pub fn from_json(json: &Json, now: Now) -> UnitQueue {
        let requests = json::items(json.get("requests")).iter();
        let requests: Vec<UnitRequest> = requests.filter_map(|entry| request_from_json(entry, now)).collect();
        let last = requests.iter().flat_map(UnitRequest::jobs).map(UnitJob::id).max().unwrap_or(0);
        let mut queue = UnitQueue::default();
        queue.last_id = number(json, "last").max(last);
        queue.requests = requests;
        queue.known = json.get("known").map(|known| json::items(Some(known)).iter().map(unit_from_json).collect());
        queue
    }
}

fn request_to_json(request: &UnitRequest) -> Json {
    let (requester, key) = match &request.requester {
        Requester::Acs(key) => ("acs", key.as_str()),
        Requester::Local => ("local", ""),
        Requester::Value => ("value", ""),
    };
    json::object([
        ("id", request.id.into()),
        ("by", requester.into()),
        ("key", key.into()),
        ("accepted", request.accepted.into()),
        ("jobs", request.jobs.iter().map(job_to_json).collect()),
    ])
}

fn request_from_json(json: &Json, now: Now) -> Option<UnitRequest> {
    let requester = match json.get("by")?.as_str()? {
        "acs" => Requester::Acs(text(json, "key")),
        "local" => Requester::Local,
        "value" => Requester::Value,
        _ => return None,
    };
    let accepted = json.get("accepted").and_then(Json::as_i64);
    // Without absolute time, the hour begins anew with each start.
    let age = accepted.filter(|_| now.clock_is_set()).map_or(0, |accepted| now.wall.saturating_sub(accepted));
    let left = START_LIMIT.saturating_sub(std::time::Duration::from_secs(u64::try_from(age).unwrap_or(0)));
    let jobs = json::items(json.get("jobs")).iter().filter_map(job_from_json);
    let jobs: Vec<UnitJob> = jobs.take(UnitQueue::CAPACITY).collect();
    let expires = now.monotonic.saturating_add(left);
    (!jobs.is_empty()).then(|| UnitRequest { id: number(json, "id"), requester, jobs, accepted, expires })
}

fn job_to_json(job: &UnitJob) -> Json {
    let Operation { kind, uuid, version, url, username, password, target } = &job.operation;
    let mut record = json::object([
        ("id", job.id.into()),
        ("kind", kind.name().into()),
        ("attempts", job.attempts.into()),
        ("began", job.began.into()),
    ]);
    // The password is needed again after a reboot; the state directory belongs to the agent alone.
    let password = password.expose();
    for (name, value) in [
        ("uuid", uuid.as_str()),
        ("version", version),
        ("url", url),
        ("username", username),
        ("password", password),
        ("target", target),
    ] {
        if !value.is_empty() {
            record[name] = value.into();
        }
    }
    let (stage, units) = match &job.stage {
        UnitStage::Waiting => ("waiting", None),
        // The file is not trusted after a restart, and is fetched again.
        UnitStage::Fetching | UnitStage::Fetched => ("fetching", None),
        UnitStage::Running(units) | UnitStage::Interrupted(units) => ("running", Some(units)),
        UnitStage::Finished(_) => ("finished", None),
    };
    record["stage"] = stage.into();
    if let Some(units) = units {
        record["units"] = units.iter().map(unit_to_json).collect();
    }
    if let UnitStage::Finished(report) = &job.stage {
        record["complete"] = report.complete.into();
        record["results"] = report.results.iter().map(result_to_json).collect();
    }
    record
}

fn job_from_json(json: &Json) -> Option<UnitJob> {
    let operation = Operation {
        kind: OperationKind::from_name(json.get("kind")?.as_str()?)?,
        uuid: text(json, "uuid"),
        version: text(json, "version"),
        url: text(json, "url"),
        username: text(json, "username"),
        password: text(json, "password").into(),
        target: text(json, "target"),
    };
    let stage = match json.get("stage")?.as_str()? {
        "waiting" => UnitStage::Waiting,
        "fetching" => UnitStage::Fetching,
        "running" => UnitStage::Running(json::items(json.get("units")).iter().map(unit_from_json).collect()),
        "finished" => UnitStage::Finished(UnitReport {
            results: json::items(json.get("results")).iter().map(result_from_json).collect(),
            complete: json.get("complete").and_then(Json::as_i64),
        }),
        _ => return None,
    };
    let id = json::number(json.get("id"))?;
    let began = json.get("began").and_then(Json::as_i64);
    Some(UnitJob { id, operation, stage, attempts: number(json, "attempts"), began })
}

fn unit_to_json(unit: &Unit) -> Json {
    let texts = [&unit.key, &unit.uuid, &unit.version, &unit.path, &unit.execution_units];
    let texts = texts.into_iter().map(|text| Json::from(text.as_str()));
    Json::Array(texts.chain([unit.is_resolved.into()]).collect())
}

fn unit_from_json(json: &Json) -> Unit {
    let text = |at: usize| json::text(json.get(at)).unwrap_or_default();
    Unit {
        key: text(0),
        uuid: text(1),
        version: text(2),
        path: text(3),
        execution_units: text(4),
        is_resolved: json.get(5).and_then(Json::as_bool).unwrap_or_default(),
    }
}

fn result_to_json(result: &UnitResult) -> Json {
    let failure = result.failure.as_ref().map(failure_to_json);
    json::object([
        ("unit", unit_to_json(&result.unit)),
        ("state", result.state.name().into()),
        ("failure", failure.into()),
    ])
}

fn result_from_json(json: &Json) -> UnitResult {
    let state = json.get("state").and_then(Json::as_str).unwrap_or_default();
    UnitResult {
        unit: json.get("unit").map(unit_from_json).unwrap_or_default(),
        state: UnitState::from_name(state),
        failure: json.get("failure").filter(|failure| !failure.is_null()).map(failure_from_json),
    }
}

fn text(json: &Json, name: &str) -> String {
    json::text(json.get(name)).unwrap_or_default()
}

fn number(json: &Json, name: &str) -> u32 {
    json::number(json.get(name)).unwrap_or(0)
}
