//! A TLS handshake with a record of the certificates that the server presented, whether or not they were accepted.

use std::sync::Arc;

use super::error::HttpError;
use super::tcp::Tcp;
use super::tls::{TlsClient, TlsStream, verifier};
use super::tls_settings::TlsSettings;
use crate::url::Host;

/// The outcome of a handshake.
#[derive(Debug)]
pub struct HandshakeReport {
    /// The certificates that the server presented, in DER, its own first; empty if the handshake failed before the
    /// certificate.
    pub chain: Vec<Vec<u8>>,
    /// The stream, or the reason for which a session would fail.
    pub outcome: Result<TlsStream, HttpError>,
}

impl HandshakeReport {
    /// Sets up TLS with the same checks as a session: a server that a session would reject is rejected here as well.
    pub fn connect(settings: &TlsSettings, clock_is_set: bool, host: &Host, tcp: Tcp) -> HandshakeReport {
        let verifier = match verifier(settings.ca_file.as_deref(), clock_is_set) {
            Ok(verifier) => Arc::new(verifier.recording()),
            Err(error) => return HandshakeReport { chain: Vec::new(), outcome: Err(error) },
        };
        let client = TlsClient::with_verifier(settings, Arc::clone(&verifier));
        // The chain is taken after the handshake, also after a failed one: then the operator needs it most.
        let outcome = client.and_then(|client| client.handshake(host, tcp));
        HandshakeReport { chain: verifier.take_chain(), outcome }
    }
}
