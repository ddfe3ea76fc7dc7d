//! TLS towards servers: rustls, with words for its errors.
//!
//! ```text
//! tls_files.rs ─▶ trust.rs ─▶ recording_verifier.rs ─▶ certificate_reasons.rs    the certificate of the server
//!     └ client certificate      └ certificate.rs         ▲
//!              └─▶ TlsClient ─▶ TlsStream ─▶ tls_reasons.rs                      every other failure
//! ```
//!
//! TLS 1.2 and 1.3 only, without compression, renegotiation or weak ciphers (R27, R28: rustls has none of them). Chain
//! and name are checked (R30), and the host is sent as SNI (R29).

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConnection, Resumption};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ProtocolVersion};

use super::certificate::Certificate;
use super::error::HttpError;
use super::recording_verifier::RecordingVerifier;
use super::tcp::{Readiness, Tcp, http_error};
use super::tls_files::identity;
use super::tls_provider::{SIGNATURES, provider};
use super::tls_reasons::Ends;
use super::tls_settings::TlsSettings;
use super::trust::Trust;
use crate::url::Host;

/// The longest wait for a server that takes no more bytes while the stream is being closed.
const CLOSE_LIMIT: Duration = Duration::from_millis(200);

/// The loaded configuration: roots, client certificate, and the session tickets of this client's connections.
pub(super) struct TlsClient {
    pub(super) config: Arc<ClientConfig>,
    verifier: Arc<RecordingVerifier>,
    /// The validity of the client certificate, for the words of errors.
    client: Option<String>,
}

impl TlsClient {
    /// Reads the files; an error names the wrong one. With `clock_is_set` false, the dates of certificates are not
    /// checked (R32).
    pub(super) fn load(settings: &TlsSettings, clock_is_set: bool) -> Result<TlsClient, HttpError> {
        let verifier = verifier(settings.ca_file.as_deref(), clock_is_set)?;
        TlsClient::with_verifier(settings, Arc::new(verifier))
    }

    /// Returns a client that checks servers by this verifier.
    pub(super) fn with_verifier(
        settings: &TlsSettings,
        verifier: Arc<RecordingVerifier>,
    ) -> Result<TlsClient, HttpError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|_| HttpError::Tls("the ciphers of this build do not suffice for TLS".into()))? // not reached
            .dangerous() // in name only: the verifier checks all but, before the clock is set, dates
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>);
        let identity = identity(settings).map_err(|(_, error)| error)?;
        let client = identity.as_ref().and_then(|certified| {
            let Certificate { not_before, not_after, .. } = Certificate::parse(certified.cert.first()?)?;
            Some(format!("valid {not_before} to {not_after}"))
        });
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(certified) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))),
        };
        // Two servers at most: the ACS and the target of a redirect. The default reserves memory for hundreds.
        config.resumption = Resumption::in_memory_sessions(2);
        Ok(TlsClient { config: Arc::new(config), verifier, client })
    }

    /// Sets up TLS on a connection that was just opened.
    pub(super) fn handshake(&self, host: &Host, mut tcp: Tcp) -> Result<TlsStream, HttpError> {
        let name = match host {
            // Compared with the addresses in the certificate; an address is never sent as SNI (RFC 6066 §3).
            Host::Ip(ip) => ServerName::from(*ip),
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|_| HttpError::Tls(format!("{name} is no valid host name")))?,
        };
        let ends = Ends { host: host.to_string(), client: self.client.clone() };
        let mut tls = ClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| HttpError::Tls(ends.handshake_failure(&error)))?;
        // Twice the silence: a handshake takes two round trips, and seconds of computing on a slow device.
        tcp.begin("setting up TLS", tcp.timeout() * 2);
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).map_err(|error| self.handshake_error(error, &ends))?;
        }
        Ok(TlsStream { tls, tcp, ends })
    }

    /// Gives the roots back after the last handshake.
    #[cfg(feature = "xmpp")]
    pub(super) fn forget_roots(&self) {
        self.verifier.forget_roots();
    }

    /// Puts an error of the handshake into words that name the host.
    fn handshake_error(&self, error: io::Error, ends: &Ends) -> HttpError {
        let refusal = self.verifier.take_refusal();
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return HttpError::Tls(refusal.unwrap_or_else(|| ends.handshake_failure(error)));
        }
        match http_error(error) {
            HttpError::Closed => HttpError::Tls(format!(
                "{} closed the connection while TLS was being set up: it expects no TLS on this port, or another version",
                ends.host
            )),
            other => other,
        }
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsClient")
    }
}

/// A TLS stream on an open connection.
#[derive(Debug)]
pub struct TlsStream {
    tls: ClientConnection,
    tcp: Tcp,
    ends: Ends,
}

impl TlsStream {
    /// Sends the parts. All that fits into the record buffer is sent in one write to the socket.
    pub(super) fn send(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        for part in parts {
            let mut left = *part;
            while !left.is_empty() {
                let taken = self.tls.writer().write(left)?;
                left = &left[taken..];
                if !left.is_empty() {
                    self.flush()?;
                }
            }
        }
        self.flush()
    }

    /// Reads decrypted bytes and returns their number; 0 once the server has closed the stream by the notice of TLS.
    ///
    /// # Errors
    /// A connection that ends without that notice, since an attacker may have cut it.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.read_decrypted(buffer)? {
                Some(length) => return Ok(length),
                None => self.receive_records()?,
            }
        }
    }

    /// Reads decrypted bytes as [`TlsStream::read`] does, without waiting; `None` if there are none.
    #[cfg(feature = "xmpp")]
    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.read_decrypted(buffer)? {
                Some(length) => return Ok(Some(length)),
                None if self.tcp.peek() == Readiness::Idle => return Ok(None),
                None => self.receive_records()?,
            }
        }
    }

    /// Returns the number of bytes that were read; `None` if all that has arrived was read before.
    fn read_decrypted(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.tls.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            done => done.map(Some),
        }
    }

    /// Waits for records and decrypts them.
    fn receive_records(&mut self) -> io::Result<()> {
        // rustls may have to respond to a key update. Without the flush, the server would wait for the response and
        // we for the server.
        self.flush()?;
        self.tls.read_tls(&mut self.tcp)?;
        let broken = |error| io::Error::other(HttpError::Tls(self.ends.failure(&error)));
        self.tls.process_new_packets().map(drop).map_err(broken)
    }

    /// Returns the state of the stream without waiting.
    pub(super) fn peek(&mut self) -> Readiness {
        loop {
            match self.tcp.peek() {
                // Bytes on the socket need not be data: session tickets arrive at any time, and do not make the
                // connection unusable for another request.
                Readiness::Input => {}
                idle_or_closed => return idle_or_closed,
            }
            let taken = self.tls.read_tls(&mut self.tcp);
            match self.tls.process_new_packets() {
                Ok(state) if state.peer_has_closed() => return Readiness::Closed,
                Ok(state) if state.plaintext_bytes_to_read() > 0 => return Readiness::Input,
                Ok(_) if taken.is_ok() => {}
                // A broken record, or a read that failed: no further request would succeed.
                _ => return Readiness::Closed,
            }
        }
    }

    /// Returns the protocol version and the cipher suite, such as `TLS 1.3, TLS_AES_128_GCM_SHA256`.
    pub fn agreement(&self) -> String {
        let version = match self.tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS", // not reached: rustls has no other
        };
        let suite = self.tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        // The name in the registry of IANA; rustls puts the version into that of TLS 1.3.
        suite.map_or(version.into(), |suite| format!("{version}, {}", suite.replacen("TLS13", "TLS", 1)))
    }

    /// Returns the TCP connection below.
    pub(super) fn tcp(&self) -> &Tcp {
        &self.tcp
    }

    /// Returns the TCP connection below, to set its limits.
    pub(super) fn tcp_mut(&mut self) -> &mut Tcp {
        &mut self.tcp
    }

    /// Sends all records that rustls has ready.
    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.tcp)?;
        }
        Ok(())
    }
}

/// Sends the notice of TLS, so that the server can tell the end from a cut connection.
impl Drop for TlsStream {
    fn drop(&mut self) {
        self.tls.send_close_notify();
        self.tcp.begin("closing", CLOSE_LIMIT);
        let _ = self.flush(); // may fail: the connection may be gone
    }
}

/// Returns the check of server certificates against the CA file, or the roots of the system.
pub(super) fn verifier(ca_file: Option<&Path>, clock_is_set: bool) -> Result<RecordingVerifier, HttpError> {
    Ok(RecordingVerifier::new(Trust::load(ca_file)?, SIGNATURES, clock_is_set))
}
