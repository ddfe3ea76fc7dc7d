//! A TLS handshake for people to look at: what the server showed, whether or not it was accepted.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use super::error::HttpError;
use super::tcp::Tcp;
use super::tls::{TlsClient, TlsStream, verifier};
use super::tls_settings::TlsSettings;
use crate::url::Host;

/// What came of a handshake.
#[derive(Debug)]
pub struct HandshakeReport {
    /// The certificates that the server showed, in DER, its own first; none where it came not that far.
    pub shown: Vec<Vec<u8>>,
    /// The stream, or why a session would fail.
    pub outcome: Result<TlsStream, HttpError>,
}

/// Sets up TLS as a session does: nothing is accepted here that would be refused there.
pub fn examine(settings: &TlsSettings, clock_is_set: bool, host: &Host, tcp: Tcp) -> HandshakeReport {
    let recorder = match RecordingVerifier::new(settings, clock_is_set) {
        Ok(recorder) => Arc::new(recorder),
        Err(error) => return HandshakeReport { shown: Vec::new(), outcome: Err(error) },
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = TlsClient::with_verifier(settings, provider, Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>);
    let outcome = client.and_then(|client| client.handshake(host, tcp));
    let shown = std::mem::take(&mut *recorder.shown.lock().unwrap_or_else(PoisonError::into_inner));
    HandshakeReport { shown, outcome }
}

/// The verifier of a session, with an eye on what it is given.
struct RecordingVerifier {
    verifier: Arc<dyn ServerCertVerifier>,
    shown: Mutex<Vec<Vec<u8>>>,
}

impl RecordingVerifier {
    fn new(settings: &TlsSettings, clock_is_set: bool) -> Result<RecordingVerifier, HttpError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = verifier(settings.ca_file.as_deref(), clock_is_set, &provider)?;
        Ok(RecordingVerifier { verifier, shown: Mutex::default() })
    }
}

impl fmt::Debug for RecordingVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordingVerifier")
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
        let shown = std::iter::once(end_entity).chain(intermediates).map(|certificate| certificate.to_vec()).collect();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
