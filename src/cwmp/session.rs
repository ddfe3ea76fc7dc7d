//! One session with the ACS, as a value that is stepped (TR-069 A6 §3.7.1).
//!
//! ```text
//!            ┌──8005, at most 3 times──┐      ┌──8005, at most 3 times──┐
//!            ▼                         │      ▼                         │
//! start ──▶ Informing ──InformResponse─┴─▶ Calling ──its response───────┴─▶ Calling, while there is something to tell
//!                │                            │  └──another fault, empty: it is told in the next session──▶ Calling
//!                │                            └──nothing (more) to tell, the empty POST──▶ Serving
//!                │
//!                │                         Serving ──request──▶ Serving      (the answer is posted)
//!                │                            │  └──empty, but our empty POST is still to come──▶ Calling
//!                │                            └──empty, after our empty POST──▶ End(Ok)
//!                └──anything else──▶ End(Err)◀──what is no envelope, or answers nothing we asked──┘
//! ```
//!
//! Calling: TransferComplete for each transfer whose end the Inform has told (R240), AutonomousTransferComplete and
//! RequestDownload (R247, R248), one by one, and only while the ACS does not hold our requests (R113).
//!
//! It never reads a clock, a socket or a file. `agent.rs` posts what it says and hands it the answer; a test does so
//! without any socket.

use std::collections::VecDeque;

use super::device::{Device, DeviceState};
use super::event::{Event, EventCode};
use super::fault::{AcsFault, AcsFaultCode};
use super::rpc::{self, inform::Inform, request_download, transfer_complete};
use super::session_error::SessionError;
use super::soap::{self, Document, Element, Envelope, EnvelopeBody, EnvelopeHeader, EnvelopeWriter};
use super::transfer::DownloadRequest;
use super::version::{self, Version};
use crate::clock::Now;
use crate::model::date_time::DateTime;

/// How often a request is sent again in a session because the ACS asks for it (R120).
const MAX_RESENDS: u32 = 3;

/// What is to be done next.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Post this body, and hand the body of the answer to [`Session::reply`]; an empty one is the empty POST.
    Post(Vec<u8>),
    /// The session is over; the connection is to be closed (R50).
    End(Result<(), SessionError>),
}

/// What a session starts with.
#[derive(Debug)]
pub struct SessionConfig {
    /// R97: local time with its offset, or the time since boot.
    pub current_time: DateTime,
    /// The versions that are offered to the ACS: [`version::ALL`], or only the oldest (R84).
    pub offered: &'static [Version],
}

/// A session in progress.
#[derive(Debug)]
pub struct Session {
    stage: Stage,
    offered: &'static [Version],
    /// The version that both sides speak (R82).
    version: Version,
    /// Whether the ACS has confirmed the Inform (R92).
    initiated: bool,
    /// What the Inform has announced and we are still to call (R240).
    requests: VecDeque<CpeRequest>,
    /// For `cwmp:ID` of the last request of ours.
    last_id: u32,
}

#[derive(Debug)]
enum Stage {
    /// Inform is sent, its response is not there yet.
    Informing { inform: Vec<u8>, resends: u32 },
    /// A call of ours is sent, its response is not there yet.
    AwaitingResponse { request: CpeRequest, method: &'static str, message: Vec<u8>, resends: u32 },
    /// The ACS may ask.
    Serving {
        /// Whether our empty POST was sent while HoldRequests was false: then we ask nothing more (R115, R117).
        finished: bool,
    },
    /// Nothing more is sent.
    Ended,
}

/// A call of ours after Inform.
#[derive(Clone, Debug)]
enum CpeRequest {
    /// The end of the transfer with this number.
    TransferComplete(u32),
    /// A download that the device wants.
    RequestDownload(DownloadRequest),
}

impl CpeRequest {
    /// Those that go with the events of an Inform, in the order of the transfers.
    fn announced(device: &Device) -> VecDeque<CpeRequest> {
        let mut events: Vec<Event> = device.state().events.announced().cloned().collect();
        let transfers = &device.state().transfers;
        let mut requests = VecDeque::new();
        for transfer in transfers.finished() {
            let is_told = match transfer.method_event() {
                // One event for each transfer, though they may be equal.
                Some(event) => {
                    let at = events.iter().position(|announced| *announced == event);
                    at.map(|at| events.swap_remove(at)).is_some()
                }
                None => events.contains(&EventCode::AutonomousTransferComplete.into()),
            };
            if is_told {
                requests.push_back(CpeRequest::TransferComplete(transfer.id()));
            }
        }
        if events.contains(&EventCode::RequestDownload.into()) {
            requests.extend(transfers.download_requests().iter().cloned().map(CpeRequest::RequestDownload));
        }
        requests
    }

    /// The method and the message; none where there is nothing left to tell.
    fn encode(&self, device: &Device, version: Version, id: &str) -> Option<(&'static str, Vec<u8>)> {
        match self {
            CpeRequest::TransferComplete(id_of_transfer) => {
                let transfer = device.state().transfers.get(*id_of_transfer)?;
                Some((transfer_complete::method(transfer), transfer_complete::encode(transfer, version, id)?))
            }
            CpeRequest::RequestDownload(wish) => {
                Some((request_download::METHOD, request_download::encode(wish, version, id)))
            }
        }
    }

    /// Its response has come: what it told is delivered (R145, R239).
    fn confirmed(&self, state: &mut DeviceState) {
        match self {
            CpeRequest::TransferComplete(id) => {
                let event = state.transfers.get(*id).and_then(|transfer| transfer.method_event());
                state.transfers.confirmed(*id);
                match event {
                    Some(event) => state.events.method_confirmed(&event),
                    None => state.events.method_confirmed(&EventCode::AutonomousTransferComplete.into()),
                }
            }
            CpeRequest::RequestDownload(wish) => {
                state.transfers.download_request_answered(wish);
                state.events.method_confirmed(&EventCode::RequestDownload.into());
            }
        }
        // A code that stands for several goes with the last of them.
        state.raise_transfer_events();
    }
}

/// The ID of our Inform; our further requests count on from it.
const INFORM_ID: u32 = 1;

impl Session {
    /// Opens a session with Inform, which tells all events that are due (R90, R134).
    pub fn start(start: &SessionConfig, device: &mut Device) -> (Session, Output) {
        let version = version::newest(start.offered);
        let context = device.state().session_context(version);
        let events = device.state_mut().events.announce(context);
        let id = INFORM_ID.to_string();
        let inform = Inform { events: &events, current_time: start.current_time, offered: start.offered, id: &id };
        let inform = inform.encode(device);
        let post = Output::Post(inform.clone());
        let stage = Stage::Informing { inform, resends: 0 };
        let requests = CpeRequest::announced(device);
        (Session { stage, offered: start.offered, version, initiated: false, requests, last_id: INFORM_ID }, post)
    }

    /// Whether the ACS has confirmed the Inform, so that the session counts as initiated (R92); still known when it has
    /// ended.
    pub fn is_initiated(&self) -> bool {
        self.initiated
    }

    /// The version that both sides speak.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Takes the body of an HTTP answer with status 200 or 204.
    pub fn reply(self, body: &[u8], device: &mut Device, now: Now) -> (Session, Output) {
        if body.is_empty() {
            return self.empty_reply(device);
        }
        let document = match Document::parse(body) {
            Ok(document) => document,
            Err(error) => return self.fail(SessionError::Soap(error.to_string())), // R88
        };
        match document.envelope() {
            Ok(envelope) => self.envelope(&envelope, device, now),
            Err(error) => self.fail(SessionError::Soap(error.to_string())),
        }
    }

    fn empty_reply(self, device: &mut Device) -> (Session, Output) {
        match self.stage {
            Stage::Informing { .. } => self.fail(SessionError::UnexpectedEmpty), // R118
            Stage::Serving { finished: true } => self.end(Ok(())),               // R117
            // R114: an empty answer holds nothing. R118: nor does it confirm a call; FreeACS answers its errors so.
            Stage::Serving { finished: false } | Stage::AwaitingResponse { .. } => self.send_next(false, device),
            Stage::Ended => self.end(Ok(())),
        }
    }

    fn envelope(self, envelope: &Envelope<'_>, device: &mut Device, now: Now) -> (Session, Output) {
        // SOAP 1.1 §4.2.3: what is not understood is not processed; nor is an answer answered with a fault (R86, R88).
        let awaits_answer = match (&self.stage, &envelope.body) {
            (Stage::Informing { .. }, _) | (Stage::AwaitingResponse { .. }, EnvelopeBody::Fault(_)) => true,
            (Stage::AwaitingResponse { .. }, EnvelopeBody::Rpc { name, .. }) => name.ends_with("Response"),
            _ => false,
        };
        if let (true, Some(entry)) = (awaits_answer, envelope.not_understood) {
            return self.fail(SessionError::Soap(format!("header {} not understood", excerpt(entry))));
        }
        match (&self.stage, &envelope.body) {
            (Stage::Informing { .. }, EnvelopeBody::Fault(fault)) => {
                let code = fault.code.map_or(0, AcsFaultCode::number);
                match fault.code {
                    Some(AcsFaultCode::RetryRequest) => self.resend(fault),
                    _ => self.fail(SessionError::InformFault { code, text: fault.text.clone() }), // R92
                }
            }
            (Stage::Informing { .. }, EnvelopeBody::Rpc { name: "InformResponse", version, .. }) => {
                self.inform_response(envelope, *version, device, now)
            }
            (Stage::Informing { .. }, EnvelopeBody::Rpc { .. }) => self.fail(SessionError::NoInformResponse),
            (Stage::AwaitingResponse { method, .. }, EnvelopeBody::Rpc { name, .. })
                if name.strip_suffix("Response") == Some(method) =>
            {
                self.request_confirmed(envelope.hold_requests, device, now)
            }
            (Stage::AwaitingResponse { .. }, EnvelopeBody::Fault(fault)) => {
                self.request_refused(fault, envelope.hold_requests, device)
            }
            // A request in place of the response: the call is not confirmed, and the ACS is answered all the same.
            (Stage::Serving { .. } | Stage::AwaitingResponse { .. }, EnvelopeBody::Rpc { name, element, .. })
                if !name.ends_with("Response") =>
            {
                let response = self.serve(envelope, name, *element, device, now);
                let finished = matches!(self.stage, Stage::Serving { finished: true });
                (Session { stage: Stage::Serving { finished }, ..self }, Output::Post(response)) // R112
            }
            // A response or a fault to a request that we never sent; it must not be answered (R86).
            (Stage::Serving { .. } | Stage::AwaitingResponse { .. }, EnvelopeBody::Rpc { name, .. }) => {
                let name = excerpt(name);
                self.fail(SessionError::Unexpected(name))
            }
            (Stage::Serving { .. }, EnvelopeBody::Fault(fault)) => {
                let text = format!("fault {}: {}", fault.code.map_or(0, AcsFaultCode::number), fault.text);
                self.fail(SessionError::Unexpected(text))
            }
            (Stage::Ended, _) => self.end(Ok(())),
        }
    }

    /// R120: fault 8005 asks for the very same request again.
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

    /// The session is initiated: what Inform told counts as delivered, before anything else happens (R92, R134).
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
        let delivered = device.update(now, DeviceState::inform_delivered);
        if let Err(error) = delivered {
            // The ACS knows, whatever becomes of the journal: only a restart may tell it again.
            device.state_mut().inform_delivered();
            log::warn!("what was delivered may be told again after a restart: {error}");
        }
        self.send_next(hold, device)
    }

    /// Our turn: the next call, or the empty POST where there is none, or where the ACS holds our requests (R113, R116).
    fn send_next(mut self, hold: bool, device: &Device) -> (Session, Output) {
        if hold {
            return self.empty_post(true);
        }
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

    /// The response to a call of ours: what it told is delivered, before anything else happens (R145, R239).
    fn request_confirmed(self, hold: bool, device: &mut Device, now: Now) -> (Session, Output) {
        if let Stage::AwaitingResponse { request, method, .. } = &self.stage {
            log::info!("{method} confirmed");
            if let Err(error) = device.update(now, |state| request.confirmed(state)) {
                // As with Inform: only a restart may tell it again.
                request.confirmed(device.state_mut());
                log::warn!("what was delivered may be told again after a restart: {error}");
            }
        }
        self.send_next(hold, device)
    }

    /// A fault in answer to a call of ours: it is repeated in the next session, not in this one (R121, R239).
    fn request_refused(self, fault: &AcsFault, hold: bool, device: &mut Device) -> (Session, Output) {
        if fault.code == Some(AcsFaultCode::RetryRequest) {
            return self.resend(fault);
        }
        if let Stage::AwaitingResponse { request, method, .. } = &self.stage {
            log::warn!("the ACS refused {method}: {fault}");
            if let CpeRequest::RequestDownload(_) = request {
                request.confirmed(device.state_mut()); // R144: a wish that was refused is no more
            }
        }
        self.send_next(hold, device)
    }

    /// R114: an empty POST; while requests are held it does not yet mean that we have nothing more to ask.
    fn empty_post(self, hold: bool) -> (Session, Output) {
        (Session { stage: Stage::Serving { finished: !hold }, ..self }, Output::Post(Vec::new()))
    }

    /// Answers a request of the ACS, with a response or with a fault.
    fn serve(
        &self,
        envelope: &Envelope<'_>,
        method: &str,
        request: Element<'_>,
        device: &mut Device,
        now: Now,
    ) -> Vec<u8> {
        let id = envelope.id.as_deref(); // R77
        if let Some(entry) = envelope.not_understood {
            return soap::must_understand_fault(self.version, id, entry);
        }
        let mut response =
            EnvelopeWriter::new(self.version, &EnvelopeHeader::with_id(id), &format!("{method}Response"));
        match rpc::find(method, device.actions()).and_then(|handler| handler(request, device, now, &mut response)) {
            Ok(()) => {
                log::info!("{method} answered");
                response.finish()
            }
            Err(fault) => {
                log::info!("{method} refused: {fault}");
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

/// Enough of a name to recognise it; the ACS may have made it as long as its message, and it is kept for `status`.
fn excerpt(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
