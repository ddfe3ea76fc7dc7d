//! TLS towards servers: rustls, with our own words for what went wrong.
//!
//! TLS 1.2 and 1.3 only, without compression, renegotiation or weak ciphers (R27, R28: rustls has
//! none of them); chain and name are checked (R30), the host goes along as SNI (R29).

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConnection, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, Error, ProtocolVersion, RootCertStore};

use super::error::HttpError;
use super::tcp::{Readiness, Tcp, http_error};
use super::tls_settings::TlsSettings;
use super::unset_clock::IgnoringDates;
use crate::url::Host;

/// A server that takes no more bytes is not waited for.
const GOODBYE: Duration = Duration::from_millis(200);

/// What is loaded once: roots, client identity, and the tickets of this session's connections.
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// Reads the files; fails naming the one that is wrong. With `clock_is_set` false, the dates of
    /// certificates are not checked (R32).
    pub fn load(settings: &TlsSettings, clock_is_set: bool) -> Result<TlsClient, HttpError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = verifier(settings.ca_file.as_deref(), clock_is_set, &provider)?;
        TlsClient::with_verifier(settings, provider, verifier)
    }

    pub(super) fn with_verifier(
        settings: &TlsSettings,
        provider: Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Result<TlsClient, HttpError> {
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| HttpError::Tls(e.to_string()))?
            .dangerous() // only in name: the verifier checks all but, before the clock is set, dates
            .with_custom_certificate_verifier(verifier);
        let mut config = match identity(settings)? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| HttpError::Tls(format!("the client certificate: {e}")))?,
        };
        // The ACS and the host of a redirect; the default keeps room for hundreds.
        config.resumption = Resumption::in_memory_sessions(2);
        Ok(TlsClient(Arc::new(config)))
    }

    /// Sets up TLS on a fresh connection.
    pub fn handshake(&self, host: &Host, mut tcp: Tcp) -> Result<TlsStream, HttpError> {
        let name = match host {
            Host::Ip(ip) => ServerName::from(*ip),
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|_| HttpError::Tls(format!("{name} is no valid host name")))?,
        };
        let mut tls =
            ClientConnection::new(Arc::clone(&self.0), name).map_err(|error| HttpError::Tls(sentence(&error, host)))?;
        tcp.begin("setting up TLS", tcp.timeout() * 2);
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).map_err(|error| handshake_error(error, host))?;
        }
        Ok(TlsStream { tls, tcp })
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsClient")
    }
}

/// TLS on an open connection.
#[derive(Debug)]
pub struct TlsStream {
    tls: ClientConnection,
    tcp: Tcp,
}

impl TlsStream {
    /// Sends the parts; what fits into the record buffer goes out in one write to the socket.
    pub fn send(&mut self, parts: &[&[u8]]) -> io::Result<()> {
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

    /// Decrypted bytes; 0 once the server closed the stream properly. A connection that ends without
    /// the notice of TLS is an error, since an attacker can cut it.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            self.flush()?; // a key update asks for an answer
            self.tls.read_tls(&mut self.tcp)?;
            self.tls.process_new_packets().map_err(broken)?;
        }
    }

    /// Looks without waiting. Session tickets come at any time and mean nothing.
    pub fn peek(&mut self) -> Readiness {
        loop {
            match self.tcp.peek() {
                Readiness::Input => {}
                quiet_or_closed => return quiet_or_closed,
            }
            let taken = self.tls.read_tls(&mut self.tcp);
            match self.tls.process_new_packets() {
                Ok(state) if state.peer_has_closed() => return Readiness::Closed,
                Ok(state) if state.plaintext_bytes_to_read() > 0 => return Readiness::Input,
                Ok(_) if taken.is_ok() => {}
                _ => return Readiness::Closed,
            }
        }
    }

    /// Protocol version and cipher suite, such as `TLS 1.3, TLS13_AES_128_GCM_SHA256`.
    pub fn agreement(&self) -> String {
        let version = match self.tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS", // not reached: rustls has no other
        };
        let suite = self.tls.negotiated_cipher_suite().map(|suite| format!(", {:?}", suite.suite()));
        format!("{version}{}", suite.unwrap_or_default())
    }

    /// The connection under it.
    pub fn tcp(&self) -> &Tcp {
        &self.tcp
    }

    /// The connection under it, to set limits.
    pub fn tcp_mut(&mut self) -> &mut Tcp {
        &mut self.tcp
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.tcp)?;
        }
        Ok(())
    }
}

/// Says goodbye, so that the server can tell the end from a cut.
impl Drop for TlsStream {
    fn drop(&mut self) {
        self.tls.send_close_notify();
        self.tcp.begin("closing", GOODBYE);
        let _ = self.flush(); // best effort: the connection may be gone
    }
}

pub(super) fn verifier(
    ca_file: Option<&Path>,
    clock_is_set: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, HttpError> {
    let roots = Arc::new(roots(ca_file)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| HttpError::Tls(error.to_string()))?;
    Ok(match clock_is_set {
        true => verifier,
        false => Arc::new(IgnoringDates(verifier)),
    })
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, HttpError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            for (index, certificate) in certificates(file)?.into_iter().enumerate() {
                roots.add(certificate).map_err(|error| {
                    let nth = index + 1;
                    HttpError::Tls(format!("certificate {nth} of {} is no usable root: {error}", file.display()))
                })?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(HttpError::Tls("the system has no trusted roots; name a file with --ca-file".into()));
            }
        }
    }
    Ok(roots)
}

/// Whether the files can be worked with; where not, the option that names the wrong one, and the reason.
pub fn check_files(settings: &TlsSettings) -> Result<(), (&'static str, HttpError)> {
    if let Some(file) = &settings.ca_file {
        roots(Some(file)).map_err(|error| ("--ca-file", error))?;
    }
    let Some(certificate) = &settings.client_cert else { return Ok(()) };
    certificates(certificate).map_err(|error| ("--client-cert", error))?;
    let Some((chain, key)) = identity(settings).map_err(|error| ("--client-key", error))? else { return Ok(()) };
    match CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider()) {
        Ok(_) => Ok(()),
        Err(Error::InconsistentKeys(_)) => {
            let file = certificate.display();
            Err(("--client-key", HttpError::Tls(format!("not the key of the certificate in {file}"))))
        }
        Err(error) => Err(("--client-cert", HttpError::Tls(format!("cannot be used with its key: {error}")))),
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(settings: &TlsSettings) -> Result<Option<Identity>, HttpError> {
    match (&settings.client_cert, &settings.client_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(key, "key", e))?;
            Ok(Some((chain, key)))
        }
        (Some(_), None) => Err(HttpError::Tls("a client certificate needs its key (--client-key)".into())),
        (None, Some(_)) => Err(HttpError::Tls("a client key needs its certificate (--client-cert)".into())),
    }
}

/// The certificates in a PEM file, at least one.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let unusable = |error| unusable(file, "certificate", error);
    let found =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unusable)?;
    match found.is_empty() {
        true => Err(unusable(PemError::NoItemsFound)),
        false => Ok(found),
    }
}

fn unusable(file: &Path, what: &str, error: PemError) -> HttpError {
    let file = file.display();
    HttpError::Tls(match error {
        PemError::Io(error) => format!("{file} cannot be read: {error}"),
        PemError::NoItemsFound => format!("{file} holds no PEM {what}"),
        error => format!("{file} is not a valid PEM file: {error}"),
    })
}

fn handshake_error(error: io::Error, host: &Host) -> HttpError {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return HttpError::Tls(sentence(error, host));
    }
    match http_error(error) {
        HttpError::Closed => HttpError::Tls(format!("{host} closed the connection while TLS was being set up")),
        other => other,
    }
}

/// An established stream that turns out broken.
fn broken(error: Error) -> io::Error {
    io::Error::other(HttpError::Tls(error.to_string()))
}

/// What went wrong, and what to do about it.
fn sentence(error: &Error, host: &Host) -> String {
    let certificate = match error {
        Error::InvalidCertificate(certificate) => certificate,
        Error::AlertReceived(alert) => return format!("{host} refused the connection ({alert:?})"),
        Error::InvalidMessage(_) => return format!("{host} does not speak TLS on this port"),
        error => return error.to_string(),
    };
    match certificate {
        // The latter where a trusted root bears the name of the one that signed.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("the certificate of {host} is signed by no trusted root (--ca-file names others)")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {host} has expired, or the clock of this device is wrong")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet, or the clock of this device is wrong")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate that {host} showed is for another name")
        }
        CertificateError::Other(other) => match other.to_string().as_str() {
            "CaUsedAsEndEntity" => {
                format!("the certificate of {host} is self-signed, a root itself; it needs one that a root signed")
            }
            "UnsupportedCertVersion" => {
                format!("the certificate of {host} is of X.509 version 1; it needs version 3")
            }
            reason => format!("the certificate of {host} is not acceptable: {reason}"),
        },
        reason => format!("the certificate of {host} is not acceptable: {reason}"),
    }
}
