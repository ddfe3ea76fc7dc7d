//! The reasons for which a certificate is rejected, in words for the operator: the fault, and the remedy.

use std::fmt::Write;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};

use super::certificate::{Certificate, MAX_ATTRIBUTE, name, rsa_bits};
use super::der::{Der, OBJECT};
use super::trust::Trust;
use crate::foreign_text::one_line;
use crate::model::date_time::DateTime;

/// The lengths of RSA keys in bits that ring accepts in a signature.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
/// The name of each signature algorithm that certificates have and webpki rejects: the begin and the end of its object
/// identifier.
const ALGORITHMS: [(&[u8], &[u8], &str); 10] = [
    (RSA, &[2], "MD2"),
    (RSA, &[4], "MD5"),
    (RSA, &[5], "SHA-1"),
    (RSA, &[10], "RSA-PSS with unusual parameters"),
    (RSA, &[14], "SHA-224"),
    (ECDSA, &[1], "SHA-1"),
    (ECDSA, &[3, 1], "SHA-224"),
    (ECDSA, &[3, 4], "ECDSA with SHA-512"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04], &[3], "DSA"),
    (&[0x2b, 0x65], &[0x70], "Ed25519"),
];
/// The keys and hashes that webpki and ring support.
const SUPPORTED: &str = "RSA of 2048 bits or more, P-256 or P-384, with SHA-256 or SHA-384";
/// The remedy for a certificate that no CA has to sign.
const PIN: &str = "put this certificate itself into the file of --ca-file (caFile)";

/// A certificate that was rejected, with the parts of the check.
pub(super) struct Refused<'a> {
    pub(super) end_entity: &'a CertificateDer<'a>,
    pub(super) intermediates: &'a [CertificateDer<'a>],
    pub(super) server_name: &'a ServerName<'a>,
    pub(super) trust: &'a Trust,
}

impl Refused<'_> {
    /// Returns the reason for a rejection, and the remedy.
    pub(super) fn sentence(&self, error: &Error) -> String {
        use CertificateError as E;
        let host = self.server_name.to_str();
        let of_host = format!("the certificate of {host}");
        let Error::InvalidCertificate(error) = error else { return format!("{of_host} cannot be checked") };
        // A chain has several certificates. The one of the host is to blame if it is wrong on its own.
        let parses = ParsedCertificate::try_from(self.end_entity).is_ok();
        let own = Certificate::parse(self.end_entity);
        let is_self_issued = own.as_ref().is_some_and(|own| own.is_self_issued);
        let ca = format!("a CA certificate above that of {host}");
        let dated = |time: &UnixTime, date: fn(&Certificate) -> &DateTime| {
            let is_own = own.as_ref().is_some_and(|own| date(own).unix() == unix(time));
            if is_own { &of_host } else { &ca }
        };
        match error {
            E::NotValidYetContext { time, not_before } => {
                let subject = dated(not_before, |own| &own.not_before);
                let (begin, now) = (date(not_before), date(time));
                format!("{subject} is not valid yet: it begins at {begin}, and the clock of this device shows {now}")
            }
            E::ExpiredContext { time, not_after } => {
                let subject = dated(not_after, |own| &own.not_after);
                let (end, now) = (date(not_after), date(time));
                format!("{subject} has expired: it ended at {end}, and the clock of this device shows {now}")
            }
            // A CA that shows itself is self-signed as well, as openssl makes it for a server.
            E::Other(other)
                if is_self_issued && matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
            {
                format!("{of_host} {}", self.unknown_issuer(own.as_ref()))
            }
            E::UnknownIssuer => format!("{of_host} {}", self.unknown_issuer(own.as_ref())),
            E::BadSignature => format!("{of_host} {}", self.bad_signature(own.as_ref())),
            E::NotValidForName | E::NotValidForNameContext { .. } => {
                format!("{of_host} {}", self.other_name(&host, own.as_ref()))
            }
            error if parses && is_about_encoding(error) => format!("{ca} {}", clause(error)),
            error => format!("{of_host} {}", clause(error)),
        }
    }

    /// Returns the reason of a chain that ends without a root.
    fn unknown_issuer(&self, own: Option<&Certificate>) -> String {
        let Some(own) = own else { return clause(&CertificateError::BadEncoding) };
        let others = match &self.trust.ca_file {
            Some(file) => format!("not in {}", file.display()),
            None if own.is_self_issued => return format!("is self-signed: {PIN}"),
            None => "not among the roots of the system, and --ca-file (caFile) names no others".into(),
        };
        if own.is_self_issued {
            return format!("is self-signed, and {others}: {PIN}");
        }
        let sent = self.sent();
        let issuer = top_issuer(own, &sent);
        let chain = if sent.is_empty() { "; the server sends no intermediate certificate" } else { "" };
        format!("is signed by no trusted root: {issuer} is {others}{chain}")
    }

    /// Returns the reason of a signature in the chain that does not verify: a key of the wrong length, or the key of
    /// another CA of the same name.
    fn bad_signature(&self, own: Option<&Certificate>) -> String {
        let Some(own) = own else { return clause(&CertificateError::BadEncoding) };
        let sent = self.sent();
        let roots = self
            .trust
            .roots
            .roots
            .iter()
            .filter_map(|root| Some((name(Der(&root.subject))?, rsa_bits(&root.subject_public_key_info))));
        let mut keys = sent.iter().map(|above| (above.subject.clone(), above.rsa_bits)).chain(roots);
        let is_wrong = |(subject, bits): &(String, Option<usize>)| {
            bits.is_some_and(|bits| !RSA_BITS.contains(&bits))
                && std::iter::once(own).chain(&sent).any(|certificate| certificate.issuer == *subject)
        };
        match keys.find(is_wrong) {
            Some((subject, Some(bits))) => format!("is signed by {subject}, whose {}", wrong_length(bits)),
            _ => {
                let issuer = top_issuer(own, &sent);
                format!("is signed by no trusted root: the trusted certificate of {issuer} has another key")
            }
        }
    }

    /// Returns the certificates that the server sends behind its own.
    fn sent(&self) -> Vec<Certificate> {
        self.intermediates.iter().filter_map(|der| Certificate::parse(der)).collect()
    }

    /// Returns the reason of a certificate for another host.
    fn other_name(&self, host: &str, own: Option<&Certificate>) -> String {
        let Some(own) = own else { return clause(&CertificateError::BadEncoding) };
        if own.has_alternative_names {
            let names = if own.names.is_empty() { "no host".into() } else { own.names.join(", ") };
            return format!("is for another name: for {names}, and not for {host}");
        }
        let found = match &own.common_name {
            Some(name) => {
                format!("has no subjectAltName, only the common name {}", one_line(name, MAX_ATTRIBUTE))
            }
            None => "has no subjectAltName".into(),
        };
        match self.server_name {
            ServerName::DnsName(_) if self.trust.ca_file.is_none() => {
                format!("{found}, which counts under a CA of --ca-file (caFile) alone: it needs the DNS name {host}")
            }
            ServerName::DnsName(_) => format!("is for another name: it {found}, and is not for {host}"),
            _ => format!("{found}: it needs the IP address {host} in a subjectAltName"),
        }
    }
}

/// Returns the issuer of the last certificate of the chain, which is that of a root.
fn top_issuer<'c>(own: &'c Certificate, sent: &'c [Certificate]) -> &'c str {
    let mut issuer = &own.issuer;
    for _ in sent {
        match sent.iter().find(|above| above.subject == *issuer && !above.is_self_issued) {
            Some(above) => issuer = &above.issuer,
            None => break,
        }
    }
    issuer
}

fn wrong_length(bits: usize) -> String {
    format!("RSA key has {bits} bits and needs 2048 to 8192")
}

/// Returns the reason for which the server could not prove that it has the key of its certificate.
pub(super) fn handshake_signature(error: &CertificateError, certificate: &CertificateDer<'_>) -> String {
    let bits = Certificate::parse(certificate).and_then(|certificate| certificate.rsa_bits);
    match (error, bits) {
        (_, Some(bits)) if !RSA_BITS.contains(&bits) => {
            format!("the certificate of the server is too weak: its {}", wrong_length(bits))
        }
        (CertificateError::BadSignature, _) => {
            "the server does not have the private key of the certificate that it sends".into()
        }
        _ => format!("the certificate of the server has a key of an unsupported type: it needs {SUPPORTED}"),
    }
}

/// Returns the reason for which a certificate of a file cannot be used.
pub(super) fn malformed(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => clause(error),
        _ => clause(&CertificateError::BadEncoding),
    }
}

/// Returns true for an error in the form of a certificate, which each certificate of a chain can have.
fn is_about_encoding(error: &CertificateError) -> bool {
    use webpki::Error as W;
    match error {
        CertificateError::BadEncoding => true,
        CertificateError::Other(other) => matches!(
            other.0.downcast_ref(),
            Some(
                W::UnsupportedCertVersion
                    | W::UnsupportedCriticalExtension
                    | W::SignatureAlgorithmMismatch
                    | W::MalformedExtensions
                    | W::ExtensionValueInvalid
                    | W::InvalidSerialNumber
            )
        ),
        _ => false,
    }
}

/// Completes "the certificate …" for an error that needs no more than itself.
fn clause(error: &CertificateError) -> String {
    use CertificateError as E;
    match error {
        E::BadEncoding => "is damaged: it is not valid DER".into(),
        E::Expired => "can never be valid: its end is before its begin".into(),
        E::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            let algorithm = algorithm(signature_algorithm_id);
            format!("is signed with {algorithm}, which is not supported: it needs {SUPPORTED}")
        }
        E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            format!("is signed by a key of an unsupported type: it needs {SUPPORTED}")
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "is not for TLS servers: its extended key usage lacks serverAuth".into()
        }
        E::Other(other) => other.0.downcast_ref().map_or_else(|| "is not acceptable".into(), of_webpki),
        _ => "is not acceptable".into(),
    }
}

/// Completes "the certificate …" for an error of webpki, which rustls passes on without a type of its own.
fn of_webpki(error: &webpki::Error) -> String {
    use webpki::Error as W;
    let reason = match error {
        W::CaUsedAsEndEntity => {
            return format!("is that of a CA: {PIN}, or give the server a certificate that this CA signs");
        }
        W::UnsupportedCertVersion => {
            return format!("is of X.509 version 1: it needs version 3, or {PIN}");
        }
        W::EndEntityUsedAsCa => {
            "is signed by a certificate that is not that of a CA (basicConstraints without CA:TRUE)"
        }
        W::PathLenConstraintViolated => "is below more CAs than their pathLenConstraint allows",
        W::NameConstraintViolation => "has a name that its CA must not sign (nameConstraints)",
        W::MaximumPathDepthExceeded => "is below too many CAs: 6 are supported",
        W::EmptyEkuExtension => "has an extended key usage without any entry",
        W::UnsupportedCriticalExtension => "has a critical extension that is not supported",
        W::SignatureAlgorithmMismatch => "is damaged: it names two signature algorithms",
        W::MalformedDnsIdentifier => "has a malformed DNS name",
        W::MalformedNameConstraint | W::InvalidNetworkMaskConstraint => "has malformed nameConstraints",
        W::MaximumSignatureChecksExceeded | W::MaximumPathBuildCallsExceeded => "comes with too many others to check",
        W::MaximumNameConstraintComparisonsExceeded => "has too many names to check",
        W::InvalidSerialNumber => "has an invalid serial number",
        _ => "has an extension that is malformed",
    };
    reason.into()
}

/// Returns the name of a signature algorithm, or its object identifier.
fn algorithm(identifier: &[u8]) -> String {
    let Some((OBJECT, object)) = Der(identifier).next() else { return "an unknown algorithm".into() };
    let known = ALGORITHMS.iter().find(|(begin, end, _)| object.strip_prefix(*begin) == Some(end));
    if let Some((_, _, name)) = known {
        return (*name).into();
    }
    let mut text = String::from("the algorithm");
    let mut number = 0_u32;
    for (at, byte) in object.iter().enumerate() {
        number = number.wrapping_shl(7) | u32::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            // The first byte has two numbers (X.690 §8.19). The result is ignored: writing to a String cannot fail.
            let _ = match at {
                0 => write!(text, " {}.{}", number / 40, number % 40),
                _ => write!(text, ".{number}"),
            };
            number = 0;
        }
    }
    text.truncate(64);
    text
}

fn unix(time: &UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn date(time: &UnixTime) -> String {
    DateTime::from_unix(unix(time), 0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_by_name_or_by_number() {
        let identifier = |object: &[u8]| [&[OBJECT, object.len() as u8], object].concat();
        assert_eq!(algorithm(&identifier(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5])), "SHA-1");
        assert_eq!(algorithm(&identifier(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4])), "ECDSA with SHA-512");
        assert_eq!(algorithm(&identifier(&[0x2b, 0x65, 0x71])), "the algorithm 1.3.101.113");
        assert_eq!(algorithm(&identifier(&[0x2a, 0x86, 0x48])), "the algorithm 1.2.840");
        assert_eq!(algorithm(&[]), "an unknown algorithm");
        assert!(algorithm(&identifier(&[0xff; 100])).len() <= 64);
    }

    /// An error of webpki without words of its own does not reach the operator by its name.
    #[test]
    fn every_error_of_webpki_has_words() {
        use webpki::{DerTypeId, Error as W};
        let errors =
            [W::CaUsedAsEndEntity, W::UnsupportedCertVersion, W::TrailingData(DerTypeId::Certificate), W::BadDerTime];
        for error in errors {
            let words = of_webpki(&error);
            assert!(!words.contains(&error.to_string()) && words.contains(' '), "{words}");
        }
    }
}
