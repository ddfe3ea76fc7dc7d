//! DUStateChangeComplete (TR-069 A6 §A.4.2.3) and AutonomousDUStateChangeComplete: the requests of the CPE that report the
//! end of operations on deployment units.

use super::transfer_complete::{utc, write_fault};
use crate::cwmp::soap::{EnvelopeHeader, EnvelopeWriter};
use crate::cwmp::software::{Requester, UnitJob, UnitRequest, UnitResult};
use crate::cwmp::version::Version;

/// Returns the whole message; `None` for a request with an operation that has not ended.
pub(crate) fn encode(request: &UnitRequest, version: Version, id: &str) -> Option<Vec<u8>> {
    if !request.is_finished() {
        return None;
    }
    let mut message = EnvelopeWriter::new(version, &EnvelopeHeader::with_id(Some(id)), method(request));
    for job in request.jobs() {
        for result in job.report()?.results.iter() {
            message.element("Results", |out| write_result(out, request, job, result, version));
        }
    }
    if let Requester::Acs(key) = request.requester() {
        message.text("CommandKey", key);
    }
    Some(message.finish())
}

/// Returns the method that reports the request: one for those of the ACS, one for all others.
pub(crate) fn method(request: &UnitRequest) -> &'static str {
    match request.requester() {
        Requester::Acs(_) => "DUStateChangeComplete",
        Requester::Local | Requester::Value => "AutonomousDUStateChangeComplete",
    }
}

fn write_result(
    out: &mut EnvelopeWriter,
    request: &UnitRequest,
    job: &UnitJob,
    UnitResult { unit, state, failure }: &UnitResult,
    version: Version,
) {
    let complete = job.report().and_then(|report| report.complete);
    out.text("UUID", &unit.uuid);
    out.text("DeploymentUnitRef", &unit.path);
    out.text("Version", &unit.version);
    out.text("CurrentState", state.name());
    out.text("Resolved", u8::from(unit.is_resolved));
    out.text("ExecutionUnitRefList", &unit.execution_units);
    // An operation that was refused before it began has no StartTime.
    out.text("StartTime", utc(job.began()));
    out.text("CompleteTime", utc(complete));
    write_fault(out, "Fault", failure.as_ref(), version);
    if !matches!(request.requester(), Requester::Acs(_)) {
        out.text("OperationPerformed", job.operation().kind.name());
    }
}
