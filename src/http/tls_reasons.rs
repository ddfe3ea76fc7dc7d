//! The reasons for which TLS fails, apart from the certificate of the server, in words for the operator.

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

/// The versions and ciphers of this agent.
const OFFER: &str = "TLS 1.3, or 1.2 with ECDHE and AES-GCM or ChaCha20";
const NAME_ONE: &str = "--client-cert and --client-key (clientCert, clientKey) name one";

/// The two ends of a connection, for the words of its errors.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// The host of the URL.
    pub(super) host: String,
    /// The validity of the client certificate, such as `valid … to …`; `None` without client certificate.
    pub(super) client: Option<String>,
}

impl Ends {
    /// Returns the reason for a failed handshake, and the remedy.
    pub(super) fn handshake_failure(&self, error: &Error) -> String {
        use PeerMisbehaved as M;
        let host = &self.host;
        match error {
            Error::InvalidMessage(
                InvalidMessage::CertificatePayloadTooLarge | InvalidMessage::HandshakePayloadTooLarge,
            ) => {
                format!(
                    "{host} sends a list of certificates of more than 64 kB, the limit: it needs its own certificate and \
                     those of the intermediate CAs alone"
                )
            }
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion)
            | Error::PeerSentOversizedRecord => {
                format!("{host} answers without TLS on this port; if it is plain HTTP, the URL must begin with http://")
            }
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => format!("{host} supports neither TLS 1.2 nor TLS 1.3"),
            Error::PeerIncompatible(_)
            | Error::PeerMisbehaved(
                M::SelectedUnofferedCipherSuite
                | M::SelectedUnofferedKxGroup
                | M::SelectedUnofferedCompression
                | M::SelectedUnusableCipherSuiteForVersion
                | M::WrongGroupForKeyShare,
            ) => format!("{host} chooses a variant of TLS that this agent does not support: it needs {OFFER}"),
            Error::PeerMisbehaved(M::SignedHandshakeWithUnadvertisedSigScheme | M::SignedKxWithWrongAlgorithm) => {
                format!(
                    "{host} signs with an algorithm that is not supported, such as SHA-1: it needs SHA-256 or SHA-384"
                )
            }
            Error::PeerMisbehaved(M::AttemptedDowngradeToTls12WhenTls13IsSupported) => {
                format!("a device on the way to {host} has lowered the version of TLS")
            }
            Error::NoCertificatesPresented => format!("{host} sends no certificate"),
            error => self.failure(error),
        }
    }

    /// Returns the reason for which an established connection fails, and the remedy.
    pub(super) fn failure(&self, error: &Error) -> String {
        let host = &self.host;
        match error {
            Error::AlertReceived(alert) => format!("{host} {}", self.alert(*alert)),
            Error::DecryptError | Error::PeerSentOversizedRecord => {
                format!("the encrypted data of {host} were damaged on the way")
            }
            Error::FailedToGetCurrentTime => "the clock of this device shows a time before 1970".into(),
            Error::FailedToGetRandomBytes => "the system has no random numbers".into(),
            _ => format!("{host} violates the rules of TLS"),
        }
    }

    /// Completes "the server …" for the alert by which it ended the connection.
    fn alert(&self, alert: AlertDescription) -> String {
        use AlertDescription as A;
        let missing = format!("asks for a client certificate, and none is configured: {NAME_ONE}");
        match (alert, &self.client) {
            (A::ProtocolVersion | A::InappropriateFallback, _) => "supports neither TLS 1.2 nor TLS 1.3".into(),
            (A::HandshakeFailure | A::InsufficientSecurity, Some(_)) => {
                format!("has no cipher in common with this agent, which offers {OFFER}")
            }
            (A::HandshakeFailure | A::InsufficientSecurity, None) => format!(
                "has no cipher in common with this agent, which offers {OFFER}; or it asks for a client certificate: {NAME_ONE}"
            ),
            (A::CertificateRequired | A::NoCertificate | A::BadCertificate, None) => missing,
            (A::CertificateRequired | A::NoCertificate, Some(_)) => {
                "asks for a client certificate of another CA or of another type than the configured one".into()
            }
            (A::UnknownCA, Some(valid)) => {
                format!(
                    "rejects the client certificate ({valid}): it does not know the CA, or lacks an intermediate certificate"
                )
            }
            (A::CertificateExpired, Some(valid)) => {
                format!("rejects the client certificate ({valid}): it has expired, or is not valid yet")
            }
            (A::CertificateRevoked, Some(valid)) => format!("rejects the client certificate ({valid}): it is revoked"),
            (
                A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateUnknown
                | A::AccessDenied
                | A::DecryptError,
                Some(valid),
            ) => format!("rejects the client certificate ({valid})"),
            (A::UnrecognisedName, _) => "does not serve this host name".into(),
            (A::InternalError, _) => "reports an internal error of its TLS".into(),
            (A::UserCanceled | A::CloseNotify, _) => "ended the connection".into(),
            (other, _) => format!("refuses the connection by TLS alert {} (RFC 8446 §6)", u8::from(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns true for the name of a variant in Rust, such as `UnknownCA`: a word with a capital letter behind a small one.
    fn has_word_of_a_library(text: &str) -> bool {
        let known = ["ChaCha20", "clientCert", "clientKey", "kB", "CAs"];
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !known.contains(word)).any(|word| {
            word.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        })
    }

    /// No alert and no error of the library reaches the operator by its name in the library.
    #[test]
    fn every_alert_and_error_has_words() {
        for client in [None, Some("valid a to b".to_owned())] {
            let ends = Ends { host: "acs.example".into(), client };
            for number in 0..=u8::MAX {
                let text = ends.handshake_failure(&Error::AlertReceived(AlertDescription::from(number)));
                assert!(!has_word_of_a_library(&text), "{text}");
            }
            let errors = [
                Error::DecryptError,
                Error::General("KeyMismatch".into()),
                Error::NoCertificatesPresented,
                Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge),
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                Error::InvalidMessage(InvalidMessage::MissingData("ServerHello")),
                Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
                Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon),
                Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite),
                Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme),
                Error::PeerMisbehaved(PeerMisbehaved::TooManyKeyUpdateRequests),
            ];
            for error in errors {
                for text in [ends.handshake_failure(&error), ends.failure(&error)] {
                    assert!(!has_word_of_a_library(&text), "{text}");
                }
            }
        }
    }
}
