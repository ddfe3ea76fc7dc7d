//! The check of a server's certificate: webpki's, with the certificates of the CA file trusted as such.
//!
//! ```text
//! certificate of the server ─┬─ is in the CA file, byte for byte ─▶ dates, name
//!                            └─ any other ─▶ chain to a root, dates ─▶ name: subjectAltName, or, under a root of the
//!                                                                      CA file and without subjectAltName, the CN
//! ```
//!
//! Without a CA file only the second way exists, and only subjectAltName counts (R30).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate::{Certificate, PublicKey};
use super::certificate_reasons::{Refused, handshake_signature};
use super::trust::Trust;

/// The largest number of certificates in a chain whose dates are set aside one after the other.
const MAX_TRIES: usize = 8;

/// Verifies a server's certificate. Before the clock is set it leaves the dates unchecked (R32). It keeps the reason of
/// a rejection, and records the chain that the server presented, for the command `doctor`.
#[derive(Debug)]
pub(super) struct RecordingVerifier {
    trust: Mutex<Trust>,
    algorithms: WebPkiSupportedAlgorithms,
    checks_dates: bool,
    /// The chain of the last handshake in DER; `None` if it is not to be recorded.
    chain: Option<Mutex<Vec<Vec<u8>>>>,
    /// The sentence about the last rejected certificate.
    refusal: Mutex<Option<String>>,
}

impl RecordingVerifier {
    /// Returns a verifier that records nothing until [`RecordingVerifier::recording`].
    pub(super) fn new(trust: Trust, algorithms: WebPkiSupportedAlgorithms, checks_dates: bool) -> RecordingVerifier {
        let trust = Mutex::new(trust);
        RecordingVerifier { trust, algorithms, checks_dates, chain: None, refusal: Mutex::default() }
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

    /// Takes the sentence about the last certificate that was rejected.
    pub(super) fn take_refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Gives the roots back, so that a connection that stays open does not keep them: a system has more than a hundred. No
    /// handshake succeeds from then on.
    #[cfg(feature = "xmpp")]
    pub(super) fn forget_roots(&self) {
        *self.trust() = Trust::none();
    }

    fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, reason: String) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn check(
        &self,
        trust: &Trust,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        if trust.pins(end_entity) {
            return self.check_pinned(end_entity, server, now);
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        self.check_chain(&parsed, intermediates, &trust.roots, now)?;
        match verify_server_name(&parsed, server) {
            Err(error) if trust.ca_file.is_some() && is_common_name(&Certificate::parse(end_entity), server) => {
                // A CA that may only sign for some names is not bound to them where the name is a common name.
                let unconstrained = |der: &&CertificateDer<'_>| {
                    Certificate::parse(der).is_some_and(|certificate| !certificate.has_name_constraints)
                };
                let intermediates: Vec<_> = intermediates.iter().filter(unconstrained).cloned().collect();
                self.check_chain(&parsed, &intermediates, &trust.unconstrained(), now).map_err(|_| error)
            }
            result => result,
        }
    }

    /// Checks date and name of a certificate that is in the CA file. The operator has vouched for its key by the file,
    /// so that signature, version, basic constraints and extended key usage say nothing more.
    fn check_pinned(
        &self,
        end_entity: &CertificateDer<'_>,
        server: &ServerName<'_>,
        time: UnixTime,
    ) -> Result<(), Error> {
        let certificate = Certificate::parse(end_entity).ok_or(CertificateError::BadEncoding)?;
        let unix = |seconds: i64| UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap_or(0)));
        let (not_before, not_after) = (unix(certificate.not_before.unix()), unix(certificate.not_after.unix()));
        if self.checks_dates && time < not_before {
            return Err(CertificateError::NotValidYetContext { time, not_before }.into());
        }
        if self.checks_dates && time > not_after {
            return Err(CertificateError::ExpiredContext { time, not_after }.into());
        }
        match certificate.has_alternative_names {
            true => verify_server_name(&ParsedCertificate::try_from(end_entity)?, server),
            false if is_common_name(&Some(certificate), server) => Ok(()),
            false => Err(CertificateError::NotValidForName.into()),
        }
    }

    /// Checks that the certificate is signed by one of the roots.
    fn check_chain(
        &self,
        certificate: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        roots: &RootCertStore,
        now: UnixTime,
    ) -> Result<(), Error> {
        let all = self.algorithms.all;
        let verify = |time| verify_server_cert_signed_by_trust_anchor(certificate, roots, intermediates, time, all);
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

    /// Keeps the reason if the server could not prove that it has the key of its certificate.
    fn noted(
        &self,
        certificate: &CertificateDer<'_>,
        result: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        if let Err(Error::InvalidCertificate(error)) = &result {
            self.refuse(handshake_signature(error, certificate));
        }
        result
    }

    /// Verifies a signature of TLS 1.2 by the key of a certificate that webpki may be unable to parse.
    fn verify_tls12_by_key(
        &self,
        message: &[u8],
        key: &PublicKey<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let offered = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let mut candidates = offered.into_iter().flat_map(|(_, algorithms)| algorithms.iter());
        let algorithm = candidates.find(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm);
        match algorithm.map(|algorithm| algorithm.verify_signature(key.key, message, signed.signature())) {
            Some(Ok(())) => Ok(HandshakeSignatureValid::assertion()),
            _ => Err(CertificateError::BadSignature.into()),
        }
    }
}

/// Returns true if a certificate without subjectAltName has the host as its common name. An address must be in
/// subjectAltName (R30).
fn is_common_name(certificate: &Option<Certificate>, server: &ServerName<'_>) -> bool {
    match (certificate, server) {
        (Some(certificate), ServerName::DnsName(host)) => {
            !certificate.has_alternative_names && certificate.has_common_name(host.as_ref())
        }
        _ => false,
    }
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(chain) = &self.chain {
            let shown = std::iter::once(end_entity).chain(intermediates).map(|certificate| certificate.to_vec());
            *chain.lock().unwrap_or_else(PoisonError::into_inner) = shown.collect();
        }
        let trust = self.trust();
        let result = self.check(&trust, end_entity, intermediates, server_name, now);
        if let Err(error) = &result {
            let refused = Refused { end_entity, intermediates, server_name, trust: &trust };
            self.refuse(refused.sentence(error));
        }
        result.map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let result = match PublicKey::of(cert).filter(|_| self.trust().pins(cert)) {
            Some(key) => self.verify_tls12_by_key(message, &key, dss),
            None => verify_tls12_signature(message, cert, dss, &self.algorithms),
        };
        self.noted(cert, result)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let result = match PublicKey::of(cert).filter(|_| self.trust().pins(cert)) {
            Some(key) => {
                let key = SubjectPublicKeyInfoDer::from(key.info);
                verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
            }
            None => verify_tls13_signature(message, cert, dss, &self.algorithms),
        };
        self.noted(cert, result)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
