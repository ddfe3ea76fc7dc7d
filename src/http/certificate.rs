//! The fields of an X.509 certificate (RFC 5280 §4.1) that webpki does not give: the names and dates that are shown to an
//! operator, the common name, and the key. webpki decides which chains are trusted; the check of a certificate that is
//! itself in the CA file uses the dates and the common name of this reader.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::der::{
    BIT_STRING, BMP_STRING, BOOLEAN, Der, GENERALIZED_TIME, INTEGER, OBJECT, OCTET_STRING, SEQUENCE, SET, UTC_TIME,
};
use crate::foreign_text::one_line;
use crate::model::date_time::DateTime;

/// The tags `[0]` and `[3]` in TBSCertificate.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// The tags of dNSName and iPAddress in GeneralName.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// The attributes of a distinguished name that are shown, by their object identifier.
const ATTRIBUTES: [(&[u8], &str); 4] =
    [(COMMON_NAME, "CN"), (&[0x55, 4, 11], "OU"), (&[0x55, 4, 10], "O"), (&[0x55, 4, 6], "C")];
/// The largest number of names that are shown: a server for hundreds of names is identified by its first ones.
const MAX_NAMES: usize = 4;
/// The longest text of one attribute or name that is shown, in characters: the length of the longest host name.
pub(super) const MAX_ATTRIBUTE: usize = 253;

/// The fields of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The subject, such as `CN=acs.example, O=Example`.
    pub subject: String,
    /// The issuer, in the same form.
    pub issuer: String,
    /// The first DNS names and addresses of subjectAltName.
    pub names: Vec<String>,
    /// The begin of the validity.
    pub not_before: DateTime,
    /// The end of the validity.
    pub not_after: DateTime,
    /// The last, and so most specific, common name of the subject, as it stands there: it is compared, not shown.
    pub common_name: Option<String>,
    /// True if the certificate has a subjectAltName, or extensions that cannot be read.
    pub has_alternative_names: bool,
    /// True if the certificate has name constraints, or extensions that cannot be read.
    pub has_name_constraints: bool,
    /// The basic constraint cA; `None` without the extension, as in version 1.
    pub is_ca: Option<bool>,
    /// True if subject and issuer are the same: a self-signed certificate.
    pub is_self_issued: bool,
    /// The length of the key in bits, if it is an RSA key.
    pub rsa_bits: Option<usize>,
}

impl Certificate {
    /// Parses DER. Returns `None` if it is not a certificate.
    pub fn parse(der: &[u8]) -> Option<Certificate> {
        let Fields { issuer, mut validity, subject, key, mut rest } = Fields::read(der)?;
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        let (mut alternative, mut constraints, mut basic) = (Some(None), Some(None), None);
        while let Some((tag, content)) = rest.next() {
            if tag == EXTENSIONS {
                let find = |kind| extension(Der(content), kind);
                (alternative, constraints) = (find(SUBJECT_ALT_NAME), find(NAME_CONSTRAINTS));
                basic = find(BASIC_CONSTRAINTS).flatten();
            }
        }
        let ca = |value| Some(Der(value).enter(SEQUENCE)?.take(BOOLEAN).is_some_and(|flag| flag != [0]));
        Some(Certificate {
            subject: name(Der(subject))?,
            issuer: name(Der(issuer))?,
            // Unreadable names do not prevent the line: subject and dates still help the operator.
            names: alternative.flatten().and_then(alternative_names).unwrap_or_default(),
            not_before,
            not_after,
            common_name: attributes(Der(subject))?
                .into_iter()
                .rfind(|(kind, _)| *kind == COMMON_NAME)
                .map(|(_, text)| text),
            has_alternative_names: alternative != Some(None),
            has_name_constraints: constraints != Some(None),
            is_ca: basic.and_then(ca),
            is_self_issued: subject == issuer,
            rsa_bits: Der(key).take(SEQUENCE).and_then(rsa_bits),
        })
    }

    /// Returns true if the common name is this host name; the first label may be a `*` (RFC 6125 §6.4). Letters of both
    /// cases are equal.
    pub(super) fn has_common_name(&self, host: &str) -> bool {
        let Some(name) = &self.common_name else { return false };
        let host = host.strip_suffix('.').unwrap_or(host);
        match (name.strip_prefix("*."), host.split_once('.')) {
            // Without a second dot the `*` would stand for every name of a top-level domain.
            (Some(domain), Some((_, parent))) => domain.contains('.') && domain.eq_ignore_ascii_case(parent),
            _ => name.eq_ignore_ascii_case(host),
        }
    }
}

/// Returns the length of an RSA key in bits from the content of a SubjectPublicKeyInfo; `None` for another key.
pub(super) fn rsa_bits(info: &[u8]) -> Option<usize> {
    let (algorithm, key) = algorithm_and_key(info)?;
    if Der(algorithm).take(OBJECT)? != RSA_ENCRYPTION {
        return None;
    }
    let modulus = Der(key).enter(SEQUENCE)?.take(INTEGER)?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
}

/// A public key in the form of a certificate (SubjectPublicKeyInfo).
pub(super) struct PublicKey<'a> {
    /// The whole structure.
    pub(super) info: &'a [u8],
    /// The content of AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    /// The bits of the key.
    pub(super) key: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Returns the key of a certificate in DER.
    pub(super) fn of(der: &'a [u8]) -> Option<PublicKey<'a>> {
        let info = Fields::read(der)?.key;
        let (algorithm, key) = algorithm_and_key(Der(info).take(SEQUENCE)?)?;
        Some(PublicKey { info, algorithm, key })
    }
}

/// Returns the content of AlgorithmIdentifier and the bits of the key from the content of a SubjectPublicKeyInfo.
fn algorithm_and_key(info: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Der(info);
    let algorithm = fields.take(SEQUENCE)?;
    // The first byte counts the unused bits at the end. A key has none.
    let key = fields.take(BIT_STRING)?.strip_prefix(&[0])?;
    Some((algorithm, key))
}

/// The parts of TBSCertificate, not decoded further.
struct Fields<'a> {
    issuer: &'a [u8],
    validity: Der<'a>,
    subject: &'a [u8],
    /// The SubjectPublicKeyInfo with its tag.
    key: &'a [u8],
    /// The optional fields behind the key.
    rest: Der<'a>,
}

impl<'a> Fields<'a> {
    fn read(der: &'a [u8]) -> Option<Fields<'a>> {
        let mut certificate = Der(der).enter(SEQUENCE)?;
        let mut body = certificate.enter(SEQUENCE)?;
        if body.peek() == Some(VERSION) {
            body.take(VERSION)?;
        }
        body.take(INTEGER)?; // serialNumber
        body.take(SEQUENCE)?; // signature
        let issuer = body.take(SEQUENCE)?;
        let validity = body.enter(SEQUENCE)?;
        let subject = body.take(SEQUENCE)?;
        let key = body.0;
        body.take(SEQUENCE)?;
        let key = &key[..key.len() - body.0.len()];
        Some(Fields { issuer, validity, subject, key, rest: body })
    }
}

/// Returns the well-known attributes of a distinguished name as a text of limited length.
pub(super) fn name(rdns: Der<'_>) -> Option<String> {
    let mut text = String::new();
    for (kind, value) in attributes(rdns)? {
        let Some((_, short)) = ATTRIBUTES.iter().find(|(known, _)| *known == kind) else { continue };
        if text.len() > MAX_ATTRIBUTE {
            break;
        }
        let separator = if text.is_empty() { "" } else { ", " };
        // The result is ignored, since writing to a String cannot fail.
        let _ = write!(text, "{separator}{short}={}", one_line(&value, MAX_ATTRIBUTE));
    }
    Some(if text.is_empty() { "no name".to_owned() } else { text })
}

/// Returns the attributes of a distinguished name: object identifier and text.
fn attributes<'a>(mut rdns: Der<'a>) -> Option<Vec<(&'a [u8], String)>> {
    let mut found = Vec::new();
    while rdns.peek().is_some() {
        let mut rdn = rdns.enter(SET)?;
        while rdn.peek().is_some() {
            let mut attribute = rdn.enter(SEQUENCE)?;
            let kind = attribute.take(OBJECT)?;
            let (tag, value) = attribute.next()?;
            found.push((kind, string(tag, value)));
        }
    }
    Some(found)
}

/// Decodes a directory string. All types but BMPString are read as UTF-8, of which ASCII is a part.
fn string(tag: u8, bytes: &[u8]) -> String {
    if tag != BMP_STRING {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Parses a time: `YYMMDDHHMMSSZ` up to 2049, `YYYYMMDDHHMMSSZ` from 2050 on (RFC 5280 §4.1.2.5).
fn time(der: &mut Der<'_>) -> Option<DateTime> {
    let (tag, digits) = der.next()?;
    let digits = str::from_utf8(digits).ok()?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            (format!("{}{year}", if year < "50" { "20" } else { "19" }), rest)
        }
        GENERALIZED_TIME => digits.split_at_checked(4).map(|(year, rest)| (year.to_owned(), rest))?,
        _ => return None,
    };
    // The checks come before the slices below, which would panic in the middle of a character.
    if rest.len() != 11 || !rest.is_ascii() {
        return None;
    }
    let part = |at: usize| &rest[at..at + 2];
    let zone = &rest[10..];
    DateTime::parse(&format!("{year}-{}-{}T{}:{}:{}{zone}", part(0), part(2), part(4), part(6), part(8)))
}

/// Returns the value of an extension, `Some(None)` if the certificate lacks it, and `None` if the extensions cannot be read.
fn extension<'a>(mut extensions: Der<'a>, kind: &[u8]) -> Option<Option<&'a [u8]>> {
    let mut list = extensions.enter(SEQUENCE)?;
    while list.peek().is_some() {
        let mut extension = list.enter(SEQUENCE)?;
        if extension.take(OBJECT)? != kind {
            continue;
        }
        if extension.peek() == Some(BOOLEAN) {
            extension.take(BOOLEAN)?; // critical
        }
        return extension.take(OCTET_STRING).map(Some);
    }
    Some(None)
}

/// Returns the first names of a subjectAltName.
fn alternative_names(value: &[u8]) -> Option<Vec<String>> {
    let mut names = Der(value).enter(SEQUENCE)?;
    let mut found = Vec::new();
    while let Some((tag, value)) = names.next() {
        found.extend(general_name(tag, value).filter(|_| found.len() < MAX_NAMES));
    }
    Some(found)
}

/// Returns a DNS name or an address; `None` for the other types of names.
fn general_name(tag: u8, value: &[u8]) -> Option<String> {
    match (tag, value.len()) {
        (DNS_NAME, _) => Some(one_line(&String::from_utf8_lossy(value), MAX_ATTRIBUTE)),
        (IP_ADDRESS, 4) => Some(IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?)).to_string()),
        (IP_ADDRESS, 16) => Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?)).to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
