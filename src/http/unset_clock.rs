//! Certificates on a device that does not know the time yet (R32).

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// Certificates of one chain whose dates may each ask for another time.
const MAX_TRIES: usize = 8;

/// Checks all that webpki checks except notBefore and notAfter: where a date is in the way, the check
/// is repeated at that date. Only a chain whose certificates were never valid together is refused.
#[derive(Debug)]
pub(super) struct IgnoringDates(pub(super) Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for IgnoringDates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut time = now;
        for _ in 1..MAX_TRIES {
            let checked = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, time);
            time = match checked {
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => not_before,
                Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => not_after,
                other => return other,
            };
        }
        self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, time)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
