//! A TLS handshake with a record of the server's side: the certificates that it presented, whether or not they were
//! accepted, and whether it asked for one of the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

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
    /// True if the server asked for a client certificate (R33). A server of TLS 1.3 rejects a client without one only
    /// after the handshake.
    pub asks_for_certificate: bool,
    /// The stream, or the reason for which a session would fail.
    pub outcome: Result<TlsStream, HttpError>,
}

impl HandshakeReport {
    /// Sets up TLS with the same checks as a session: a server that a session would reject is rejected here as well.
    pub fn connect(settings: &TlsSettings, clock_is_set: bool, host: &Host, tcp: Tcp) -> HandshakeReport {
        let verifier = match verifier(settings.ca_file.as_deref(), clock_is_set) {
            Ok(verifier) => Arc::new(verifier.recording()),
            Err(error) => {
                return HandshakeReport { chain: Vec::new(), asks_for_certificate: false, outcome: Err(error) };
            }
        };
        let asked = Arc::new(AtomicBool::new(false));
        let client = TlsClient::with_verifier(settings, Arc::clone(&verifier)).map(|mut client| {
            let config = Arc::make_mut(&mut client.config);
            let (inner, asked) = (Arc::clone(&config.client_auth_cert_resolver), Arc::clone(&asked));
            config.client_auth_cert_resolver = Arc::new(RecordingResolver { inner, asked });
            client
        });
        // The chain is taken after the handshake, also after a failed one: then the operator needs it most.
        let outcome = client.and_then(|client| client.handshake(host, tcp));
        HandshakeReport { chain: verifier.take_chain(), asks_for_certificate: asked.load(Ordering::Relaxed), outcome }
    }
}

/// Chooses the client certificate as `inner` does, and records that the server has asked for one.
#[derive(Debug)]
struct RecordingResolver {
    inner: Arc<dyn ResolvesClientCert>,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for RecordingResolver {
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.inner.resolve(issuers, schemes)
    }

    fn has_certs(&self) -> bool {
        true // or rustls would not ask, and answer the server by itself
    }
}
