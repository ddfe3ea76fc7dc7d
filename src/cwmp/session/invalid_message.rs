//! Messages of the ACS that are no envelope, or an envelope without exactly one message.

use super::{Output, Session, Stage};
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::session_error::SessionError;
use crate::cwmp::soap::{self, Envelope, EnvelopeError};
use crate::foreign_text::{with_words, words_of};
use crate::log;

/// The name of the root of a message, in ASCII and its supersets.
const ENVELOPE: &[u8] = b"Envelope";

impl Session {
    /// Ends the session for a message that is no envelope. Its words often name the cause: a page of a proxy or of a portal.
    pub(super) fn not_soap(self, error: &EnvelopeError, body: &[u8]) -> (Session, Output) {
        let error = error.to_string();
        // A damaged envelope may hold passwords, which no log may show.
        let is_envelope = body.windows(ENVELOPE.len()).any(|part| part == ENVELOPE);
        let words = if is_envelope { String::new() } else { words_of(body) };
        self.fail(SessionError::Soap(with_words(&error, &words)))
    }

    /// Handles an envelope with no message or with several. A request in it is answered with fault 9003 and never executed:
    /// the ACS would send it again in each session (R4, R70, R76). A reply is not answered (R86), and fails the session (R88).
    pub(super) fn on_invalid(
        mut self,
        envelope: &Envelope<'_>,
        error: &EnvelopeError,
        is_request: bool,
        device: &mut Device,
    ) -> (Session, Output) {
        let is_serving = matches!(self.stage, Stage::Serving { .. });
        // Without an ID, nothing shows that the ACS waits for an answer.
        let is_empty = matches!(error, EnvelopeError::NoRpc | EnvelopeError::NoBody);
        let is_nothing = (is_empty && envelope.id.is_some()) || *error == EnvelopeError::OnlyText;
        // An ACS that answers the fault with the same again means the empty reply that ends a session.
        let is_answered = match is_request {
            true => !matches!(self.stage, Stage::Informing { .. }),
            false => is_nothing && is_serving && !self.has_refused_nothing,
        };
        if is_answered {
            self.has_refused_nothing |= is_nothing;
            let fault = Fault::because(FaultCode::InvalidArguments, error.to_string());
            log::warn!("a request of the ACS refused: {fault}");
            let response = soap::fault(self.version, envelope.id.as_deref(), &fault); // R77
            return self.answered(response);
        }
        match error {
            // In place of the empty reply that ends a session (R117). It confirms nothing, so that it counts only where the
            // CPE waits for no response.
            EnvelopeError::NoRpc if is_serving => self.on_empty_reply(device),
            _ => self.fail(SessionError::Soap(error.to_string())),
        }
    }
}
