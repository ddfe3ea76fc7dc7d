//! The status of operations on software.

use serde_json::Value as Json;

use super::public_url;
use super::rows::StatusRows;
use crate::cwmp::software::{Requester, UnitJob, UnitRequest};
use crate::json::object;

/// The status of an operation.
#[derive(Clone, Debug)]
pub(in crate::agent) struct OperationStatus {
    id: u32,
    operation: &'static str,
    command_key: String,
    uuid: String,
    url: Option<String>,
    state: &'static str,
    failure: Option<String>,
}

impl OperationStatus {
    /// Returns the status of the operations of a request.
    pub(in crate::agent) fn of(request: &UnitRequest) -> impl Iterator<Item = OperationStatus> {
        let key = match request.requester() {
            Requester::Acs(key) => key.as_str(),
            Requester::Local | Requester::Value => "",
        };
        request.jobs().iter().map(move |job| OperationStatus::of_job(job, key))
    }

    fn of_job(job: &UnitJob, key: &str) -> OperationStatus {
        let operation = job.operation();
        OperationStatus {
            id: job.id(),
            operation: operation.kind.name(),
            command_key: key.to_owned(),
            uuid: operation.uuid.clone(),
            // The URL of a file server often carries a user name and a password.
            url: public_url(&operation.url),
            state: job.state_name(),
            failure: job.failure().map(|failure| format!("{} {}", failure.code.number(), failure.text)),
        }
    }

    /// Returns the element of the list `software`.
    pub(super) fn json(&self) -> Json {
        object([
            ("id", self.id.into()),
            ("operation", self.operation.into()),
            ("commandKey", self.command_key.as_str().into()),
            ("uuid", self.uuid.as_str().into()),
            ("url", self.url.as_deref().into()),
            ("state", self.state.into()),
            ("error", self.failure.as_deref().into()),
        ])
    }

    pub(super) fn add_line_to(&self, rows: &mut StatusRows) {
        let subject = self.url.as_deref().unwrap_or(&self.uuid);
        let mut text = format!("{} {subject}: {}", self.operation, self.state);
        if let Some(failure) = &self.failure {
            text.push_str(&format!(": {failure}"));
        }
        rows.add_line(format!("software {}", self.id), text);
    }
}

/// Returns the element of the list `endedSoftware`, by which a client finds the end of the request that it made.
pub(super) fn ended_json((id, failure): &(u32, Option<String>)) -> Json {
    object([("id", (*id).into()), ("error", failure.as_deref().into())])
}
