//! The session with the ACS, as a state machine (TR-069 A6 §3.7.1).
//!
//! ```text
//!            ┌──8005, at most 3 times──┐      ┌──8005, at most 3 times──┐
//!            ▼                         │      ▼                         │
//! start ──▶ Informing ──InformResponse─┴─▶ AwaitingResponse ──response──┴─▶ AwaitingResponse, for the next request
//!                │                            │  ├──other fault, empty reply: next session──▶ AwaitingResponse
//!                │                            │  └──no request left: empty POST──▶ Serving
//!                │                            │
//!                │                         Serving ──request of the ACS──▶ Serving     (posts the response)
//!                │                            │  ├──envelope without one message──▶ Serving    (posts fault 9003)
//!                │                            │  ├──empty reply while HoldRequests was true──▶ AwaitingResponse
//!                │                            │  └──empty reply to the empty POST──▶ End(Ok)
//!                └──anything else──▶ End(Err)◀──malformed envelope, or a response without a request
//! ```
//!
//! The requests of the CPE after Inform are TransferComplete for each finished transfer that the Inform has announced
//! (R240), AutonomousTransferComplete and RequestDownload (R247, R248), DUStateChangeComplete and its autonomous form (R351,
//! R356). They are sent one by one, and only while the ACS does not hold them back with HoldRequests (R113).
//!
//! The session reads no clock, socket or file. The agent posts the [`Output`] and passes the reply to
//! [`Session::reply`]; a test does the same without a socket.

mod cpe_request;
mod invalid_message;
mod spare;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use self::cpe_request::CpeRequest;
use super::device::{Device, DeviceState};
use super::fault::{AcsFault, AcsFaultCode, Fault, FaultCode};
pub use super::rpc::inform::{wanted as wanted_by_inform, watched as watched_by_acs};
use super::rpc::{self, inform::Inform};
use super::session_error::SessionError;
use super::soap::{self, Element, Envelope, EnvelopeBody, EnvelopeHeader, EnvelopeWriter, Message};
use super::version::{self, Version};
use crate::clock::Now;
use crate::log;
use crate::model::date_time::DateTime;
use crate::model::tree::Work;

/// The maximum number of times that a session repeats one request after fault 8005 (R120).
const MAX_RESENDS: u32 = 3;
/// The next action of the driver of a session.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Post this body, and pass the body of the HTTP response to [`Session::reply`]. An empty body is the empty POST.
    Post(Vec<u8>),
    /// Close the connection (R50): the session has ended, successfully or with this error.
    End(Result<(), SessionError>),
}

/// The parameters of a session that the agent chooses.
#[derive(Debug)]
pub struct SessionConfig {
    /// The CurrentTime of Inform: local time with its UTC offset, or the time since boot (R97).
    pub current_time: DateTime,
    /// The CWMP versions to offer: [`version::ALL`], or only the oldest for an ACS that rejected the others (R84).
    pub offered: &'static [Version],
    /// The flag that ends a request which takes long when the agent stops.
    pub stop: Arc<AtomicBool>,
}

/// A session with the ACS, in progress or ended.
#[derive(Debug)]
pub struct Session {
    stage: Stage,
    offered: &'static [Version],
    /// The CWMP version of the session: the newest offered one until InformResponse, then the negotiated one (R82).
    version: Version,
    /// True from InformResponse on (R92).
    initiated: bool,
    /// The requests of the CPE that the Inform has announced and that are not sent yet (R240).
    requests: VecDeque<CpeRequest>,
    /// The number in `cwmp:ID` of the last request of the CPE.
    last_id: u32,
    /// True once an envelope without a message was answered with a fault.
    has_refused_nothing: bool,
    /// The memory of the last message that was sent, for the next one.
    spare: Vec<u8>,
    stop: Arc<AtomicBool>,
}

/// The stage of a session; the drawing above shows the transitions.
#[derive(Debug)]
enum Stage {
    /// Inform is sent and not answered yet.
    Informing { inform: Vec<u8>, resends: u32 },
    /// A request of the CPE after Inform is sent and not answered yet.
    AwaitingResponse { request: CpeRequest, method: &'static str, message: Vec<u8>, resends: u32 },
    /// The ACS may send requests.
    Serving {
        /// True if the CPE sent its empty POST while HoldRequests was false. The CPE then must not send further requests
        /// (R115), and an empty reply ends the session (R117).
        finished: bool,
    },
    /// The session has ended; no message follows.
    Ended,
}

/// The number in `cwmp:ID` of Inform; later requests of the CPE count up from it.
const INFORM_ID: u32 = 1;

impl Session {
    /// Starts a session: marks the events that are due as announced, and returns the Inform that carries them (R90,
    /// R134).
    pub fn start(config: &SessionConfig, device: &mut Device) -> (Session, Output) {
        let version = version::newest(config.offered);
        let context = device.state().session_context(version);
        let events = device.state_mut().events.announce(context);
        let id = INFORM_ID.to_string();
        let inform = Inform { events: &events, current_time: config.current_time, offered: config.offered, id: &id };
        // The ACS chooses the patterns of InformParameter.
        device.bound_work(Work::bounded(rpc::MAX_VISITS, Arc::clone(&config.stop)));
        let inform = inform.encode(device);
        device.bound_work(Work::unbounded());
        let post = Output::Post(inform.clone());
        let stage = Stage::Informing { inform, resends: 0 };
        let requests = CpeRequest::announced(device);
        let (offered, stop) = (config.offered, Arc::clone(&config.stop));
        let (last_id, initiated, has_refused_nothing, spare) = (INFORM_ID, false, false, Vec::new());
        let session =
            Session { stage, offered, version, initiated, requests, last_id, has_refused_nothing, spare, stop };
        (session, post)
    }

    /// Returns true if the ACS has confirmed the Inform, which initiates the session (R92). Stays valid after the end of
    /// the session.
    pub fn is_initiated(&self) -> bool {
        self.initiated
    }

    /// Returns the CWMP version of the session (R82).
    pub fn version(&self) -> Version {
        self.version
    }

    /// Processes the body of an HTTP response with status 200 or 204, and the `charset` of its `Content-Type`. Returns
    /// the next stage of the session and the next action.
    pub fn reply(self, body: &[u8], charset: Option<&str>, device: &mut Device, now: Now) -> (Session, Output) {
        // A script that prints an empty line has nothing to send either, in whichever encoding.
        if body.trim_ascii().is_empty() {
            return self.on_empty_reply(device);
        }
        let message = match Message::decode(body, charset) {
            Ok(message) if message.is_blank() => return self.on_empty_reply(device),
            Ok(message) => message,
            Err(error) => return self.fail(SessionError::Soap(error.to_string())), // R88
        };
        let document = match message.document() {
            Ok(document) => document,
            Err(error) => return self.not_soap(&error, body), // R88
        };
        match document.envelope() {
            Ok(envelope) => self.on_envelope(&envelope, device, now),
            Err(error) => self.not_soap(&error, body),
        }
    }

    fn on_empty_reply(self, device: &mut Device) -> (Session, Output) {
        match self.stage {
            Stage::Informing { .. } => self.fail(SessionError::UnexpectedEmpty), // R118
            Stage::Serving { finished: true } => self.end(Ok(())),               // R117
            // An empty reply has no header, so that HoldRequests is false now (R114). It also confirms no request: FreeACS
            // replies so after an error of its own, and a report that counted as delivered would be lost (R118).
            Stage::Serving { finished: false } | Stage::AwaitingResponse { .. } => self.send_next(false, device),
            Stage::Ended => self.end(Ok(())),
        }
    }

    fn on_envelope(mut self, envelope: &Envelope<'_>, device: &mut Device, now: Now) -> (Session, Output) {
        // A message with an unknown header that must be understood is not processed (SOAP 1.1 §4.2.3). If it replies to
        // the CPE, the session fails, since a fault must not answer a response (R86, R88).
        if let (true, Some(entry)) = (self.is_replied_by(&envelope.body), envelope.not_understood) {
            return self.fail(SessionError::Soap(format!("header {} not understood", excerpt(entry))));
        }
        match (&self.stage, &envelope.body) {
            (Stage::Ended, _) => self.end(Ok(())),
            (_, EnvelopeBody::Invalid { error, is_request }) => self.on_invalid(envelope, error, *is_request, device),
            (Stage::Informing { .. }, EnvelopeBody::Fault(fault)) => self.inform_refused(fault),
            (Stage::Informing { .. }, EnvelopeBody::Rpc { name: "InformResponse", version, .. }) => {
                self.inform_response(envelope, *version, device, now)
            }
            (Stage::Informing { .. }, EnvelopeBody::Rpc { .. } | EnvelopeBody::Foreign { .. }) => {
                self.fail(SessionError::NoInformResponse)
            }
            (Stage::AwaitingResponse { method, .. }, EnvelopeBody::Rpc { name, .. })
                if name.strip_suffix("Response") == Some(method) =>
            {
                self.request_confirmed(envelope.hold_requests, device, now)
            }
            (Stage::AwaitingResponse { .. }, EnvelopeBody::Fault(fault)) => {
                self.request_refused(fault, envelope.hold_requests, device)
            }
            // Some ACS send their request in place of the response. It is answered, since the session would otherwise hang
            // on both sides, but the report of the CPE stays unconfirmed and goes out again in the next session.
            (Stage::Serving { .. } | Stage::AwaitingResponse { .. }, EnvelopeBody::Rpc { name, element, .. })
                if !name.ends_with("Response") =>
            {
                let response = self.serve(envelope, name, Some(*element), device, now);
                self.answered(response)
            }
            (Stage::Serving { .. } | Stage::AwaitingResponse { .. }, EnvelopeBody::Foreign { name })
                if !name.ends_with("Response") =>
            {
                let response = self.serve(envelope, name, None, device, now);
                self.answered(response)
            }
            // A response or a fault to a request that was never sent must not be answered, not even with a fault (R86).
            (
                Stage::Serving { .. } | Stage::AwaitingResponse { .. },
                EnvelopeBody::Rpc { name, .. } | EnvelopeBody::Foreign { name },
            ) => {
                let name = excerpt(name);
                self.fail(SessionError::Unexpected(name))
            }
            (Stage::Serving { .. }, EnvelopeBody::Fault(fault)) => {
                let text = format!("fault {}: {}", fault.code.map_or(0, AcsFaultCode::number), fault.text);
                self.fail(SessionError::Unexpected(text))
            }
        }
    }

    /// Returns true if the message replies to the last request of the CPE, and is no request of the ACS.
    fn is_replied_by(&self, body: &EnvelopeBody<'_>) -> bool {
        match (&self.stage, body) {
            (Stage::Informing { .. }, _) | (Stage::AwaitingResponse { .. }, EnvelopeBody::Fault(_)) => true,
            (Stage::AwaitingResponse { .. }, EnvelopeBody::Rpc { name, .. } | EnvelopeBody::Foreign { name }) => {
                name.ends_with("Response")
            }
            _ => false,
        }
    }

    /// Repeats the Inform after fault 8005; any other fault ends the session (R92).
    fn inform_refused(self, fault: &AcsFault) -> (Session, Output) {
        let code = fault.code.map_or(0, AcsFaultCode::number);
        match fault.code {
            Some(AcsFaultCode::RetryRequest) => self.resend(fault),
            _ => self.fail(SessionError::InformFault { code, text: fault.text.clone() }),
        }
    }

    /// Sends the last request once more, byte for byte, as fault 8005 demands; fails after [`MAX_RESENDS`] times (R120).
    fn resend(mut self, fault: &AcsFault) -> (Session, Output) {
        match &mut self.stage {
            Stage::Informing { inform: message, resends } | Stage::AwaitingResponse { message, resends, .. }
                if *resends < MAX_RESENDS =>
            {
                *resends += 1;
                let again = Output::Post(message.clone());
                (self, again)
            }
            _ => {
                log::warn!("the ACS asked {MAX_RESENDS} times to repeat a request: {fault}");
                self.fail(SessionError::TooManyRetries)
            }
        }
    }

    /// Initiates the session: negotiates the version, and removes the events that the ACS has confirmed (R92, R134).
    fn inform_response(
        mut self,
        envelope: &Envelope<'_>,
        version: Version,
        device: &mut Device,
        now: Now,
    ) -> (Session, Output) {
        self.version = match version::negotiate(envelope.use_cwmp_version.as_deref(), version, self.offered) {
            Ok(version) => version,
            Err(error) => return self.fail(SessionError::Version(error.to_string())), // R82
        };
        self.initiated = true;
        let hold = envelope.hold_requests;
        // Stored before the next message: a crash in between must not repeat events that the ACS has confirmed.
        if let Err(error) = device.update(now, DeviceState::inform_delivered) {
            // The events are delivered, even if the journal cannot say so. Kept in memory, they would go out again in
            // each session until the journal can be written.
            device.state_mut().inform_delivered();
            log::warn!("delivered events may be sent again after a restart: {error}");
        }
        self.send_next(hold, device)
    }

    /// Sends the next request of the CPE; or the empty POST if none is left, or if the ACS holds the requests back (R113,
    /// R116).
    fn send_next(mut self, hold: bool, device: &Device) -> (Session, Output) {
        if hold {
            return self.empty_post(true);
        }
        // A request without a message is skipped: its report has given way to newer transfers since the Inform.
        while let Some(request) = self.requests.pop_front() {
            self.last_id += 1;
            if let Some((method, message)) = request.encode(device, self.version, &self.last_id.to_string()) {
                log::debug!("calling {method}");
                let post = Output::Post(message.clone());
                let stage = Stage::AwaitingResponse { request, method, message, resends: 0 };
                return (Session { stage, ..self }, post);
            }
        }
        self.empty_post(false)
    }

    /// Removes the report that the ACS has confirmed, and its event, then sends the next request (R145, R239).
    fn request_confirmed(self, hold: bool, device: &mut Device, now: Now) -> (Session, Output) {
        if let Stage::AwaitingResponse { request, method, .. } = &self.stage {
            log::info!("{method} confirmed");
            if let Err(error) = device.update(now, |state| request.confirmed(state)) {
                // As after Inform, the report is delivered even if the journal cannot say so.
                request.confirmed(device.state_mut());
                log::warn!("a delivered report may be sent again after a restart: {error}");
            }
        }
        self.send_next(hold, device)
    }

    /// Handles a fault in reply to a request of the CPE. The request is repeated in the next session, not in this one
    /// (R121, R239); after fault 8005 at once (R120).
    fn request_refused(self, fault: &AcsFault, hold: bool, device: &mut Device) -> (Session, Output) {
        if fault.code == Some(AcsFaultCode::RetryRequest) {
            return self.resend(fault);
        }
        if let Stage::AwaitingResponse { request, method, .. } = &self.stage {
            log::warn!("the ACS refused {method}: {fault}");
            if let CpeRequest::RequestDownload(_) = request {
                // R144 allows to give up a refused RequestDownload. Repeating it in each session would only fill the log.
                request.confirmed(device.state_mut());
            }
        }
        self.send_next(hold, device)
    }

    /// Sends the empty POST (R114). With `hold`, it does not end the requests of the CPE, which the ACS only holds back.
    fn empty_post(self, hold: bool) -> (Session, Output) {
        (Session { stage: Stage::Serving { finished: !hold }, ..self }, Output::Post(Vec::new()))
    }

    /// Posts the response to a request of the ACS (R112).
    fn answered(self, response: Vec<u8>) -> (Session, Output) {
        let finished = matches!(self.stage, Stage::Serving { finished: true });
        (Session { stage: Stage::Serving { finished }, ..self }, Output::Post(response))
    }

    /// Executes a request of the ACS and returns the envelope with the response or the fault. Without an element, the
    /// request is outside the CWMP namespaces.
    fn serve(
        &mut self,
        envelope: &Envelope<'_>,
        method: &str,
        request: Option<Element<'_>>,
        device: &mut Device,
        now: Now,
    ) -> Vec<u8> {
        let id = envelope.id.as_deref(); // R77
        if let Some(entry) = envelope.not_understood {
            return soap::must_understand_fault(self.version, id, entry);
        }
        let (header, name) = (EnvelopeHeader::with_id(id), format!("{method}Response"));
        let mut response = EnvelopeWriter::reusing(std::mem::take(&mut self.spare), self.version, &header, &name);
        // A vendor's Reboot is another method than that of CWMP, so that its name is not even looked up (R4).
        let request = request.ok_or_else(|| Fault::new(FaultCode::MethodNotSupported));
        device.bound_work(Work::bounded(rpc::MAX_VISITS, Arc::clone(&self.stop)));
        let result = request.and_then(|request| {
            let handler = rpc::find(method, device.actions(), self.version)?;
            handler(request.resolved("the request")?, device, now, &mut response)
        });
        device.bound_work(Work::unbounded());
        match result {
            Ok(()) => {
                log::info!("{method} answered");
                response.finish()
            }
            Err(fault) => {
                log::info!("{} refused: {fault}", excerpt(method));
                soap::fault(self.version, id, &fault)
            }
        }
    }

    fn fail(self, error: SessionError) -> (Session, Output) {
        self.end(Err(error))
    }

    fn end(self, result: Result<(), SessionError>) -> (Session, Output) {
        (Session { stage: Stage::Ended, ..self }, Output::End(result))
    }
}

/// Shortens a name for an error text. The ACS may make a name as long as its whole message, and `status` keeps the text.
fn excerpt(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
