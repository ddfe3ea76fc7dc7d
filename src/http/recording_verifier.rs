//! The check of a server's certificate: webpki's, with two additions.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// The largest number of certificates in a chain whose dates are set aside one after the other.
const MAX_TRIES: usize = 8;

/// Verifies a server's certificate by webpki. Before the clock is set it leaves the dates unchecked (R32). It also
/// records the chain that the server presented, for the command `doctor`.
#[derive(Debug)]
pub(super) struct RecordingVerifier {
    webpki: Arc<WebPkiServerVerifier>,
    checks_dates: bool,
    /// The chain of the last handshake in DER; `None` if it is not to be recorded.
    chain: Option<Mutex<Vec<Vec<u8>>>>,
}

impl RecordingVerifier {
    /// Returns a verifier that records nothing until [`RecordingVerifier::recording`].
    pub(super) fn new(webpki: Arc<WebPkiServerVerifier>, checks_dates: bool) -> RecordingVerifier {
        RecordingVerifier { webpki, checks_dates, chain: None }
    }

    /// Makes the verifier record the chain.
    pub(super) fn recording(self) -> RecordingVerifier {
        RecordingVerifier { chain: Some(Mutex::default()), ..self }
    }

    /// Takes the recorded chain; empty if the handshake failed before the certificate.
    pub(super) fn take_chain(&self) -> Vec<Vec<u8>> {
        let chain = self.chain.as_ref().map(|chain| chain.lock().unwrap_or_else(PoisonError::into_inner));
        chain.map(|mut chain| std::mem::take(&mut *chain)).unwrap_or_default()
    }
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(chain) = &self.chain {
            let shown = std::iter::once(end_entity).chain(intermediates).map(|certificate| certificate.to_vec());
            *chain.lock().unwrap_or_else(PoisonError::into_inner) = shown.collect();
        }
        let verify = |time| self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, time);
        if self.checks_dates {
            return verify(now);
        }
        // Where a date is the reason for a rejection, the check is repeated at that date, so that all else is still
        // checked. Only a chain whose certificates were never valid at the same time is rejected.
        let mut time = now;
        for _ in 1..MAX_TRIES {
            time = match verify(time) {
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => not_before,
                Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => not_after,
                other => return other,
            };
        }
        verify(time)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}
