//! The fields of an X.509 certificate that are shown to an operator (RFC 5280 §4.1): subject, names, issuer and dates.
//! The reader is for display only: webpki decides which certificates are trusted, but does not give these fields.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::date_time::DateTime;

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const BMP_STRING: u8 = 0x1e;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// The tags `[0]` and `[3]` in TBSCertificate.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// The tags of dNSName and iPAddress in GeneralName.
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// The attributes of a distinguished name that are shown, by their object identifier.
const ATTRIBUTES: [(&[u8], &str); 4] =
    [(&[0x55, 4, 3], "CN"), (&[0x55, 4, 11], "OU"), (&[0x55, 4, 10], "O"), (&[0x55, 4, 6], "C")];
/// The largest number of names that are shown: a server for hundreds of names is identified by its first ones.
const MAX_NAMES: usize = 4;

/// The fields of a certificate that are shown.
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
}

impl Certificate {
    /// Parses DER. Returns `None` if it is not a certificate.
    pub fn parse(der: &[u8]) -> Option<Certificate> {
        let mut certificate = Der(der).enter(SEQUENCE)?;
        let mut body = certificate.enter(SEQUENCE)?;
        if body.peek() == Some(VERSION) {
            body.take(VERSION)?;
        }
        body.take(INTEGER)?; // serialNumber
        body.take(SEQUENCE)?; // signature
        let issuer = name(body.enter(SEQUENCE)?)?;
        let mut validity = body.enter(SEQUENCE)?;
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        let subject = name(body.enter(SEQUENCE)?)?;
        body.take(SEQUENCE)?; // subjectPublicKeyInfo
        let mut names = Vec::new();
        while let Some((tag, content)) = body.next() {
            if tag == EXTENSIONS {
                // Unreadable names do not prevent the line: subject and dates still help the operator.
                names = alternative_names(Der(content)).unwrap_or_default();
            }
        }
        Some(Certificate { subject, issuer, names, not_before, not_after })
    }
}

/// The part of a DER text that is not read yet.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Returns the next tag without reading it.
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Reads the next value and returns its tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], mut rest) = self.0.split_first_chunk()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            // Zero digits mean an indefinite length, which DER forbids. Three digits suffice, since no certificate has
            // 16 MiB; more would overflow the length.
            let (digits, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if !matches!(digits.len(), 1..=3) {
                return None;
            }
            length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            rest = behind;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// Reads the next value, which must have this tag, and returns its content.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// Reads the next value, which must have this tag, as a sequence of values.
    fn enter(&mut self, tag: u8) -> Option<Der<'a>> {
        self.take(tag).map(Der)
    }
}

/// Returns the well-known attributes of a distinguished name.
fn name(mut rdns: Der<'_>) -> Option<String> {
    let mut text = String::new();
    while rdns.peek().is_some() {
        let mut rdn = rdns.enter(SET)?;
        while rdn.peek().is_some() {
            let mut attribute = rdn.enter(SEQUENCE)?;
            let kind = attribute.take(OBJECT)?;
            let (tag, value) = attribute.next()?;
            let Some((_, short)) = ATTRIBUTES.iter().find(|(known, _)| *known == kind) else { continue };
            let separator = if text.is_empty() { "" } else { ", " };
            // The result is ignored, since writing to a String cannot fail.
            let _ = write!(text, "{separator}{short}={}", string(tag, value));
        }
    }
    Some(if text.is_empty() { "no name".to_owned() } else { text })
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

/// Returns the names in `Extensions`.
fn alternative_names(mut extensions: Der<'_>) -> Option<Vec<String>> {
    let mut list = extensions.enter(SEQUENCE)?;
    while list.peek().is_some() {
        let mut extension = list.enter(SEQUENCE)?;
        if extension.take(OBJECT)? != SUBJECT_ALT_NAME {
            continue;
        }
        let (mut tag, mut value) = extension.next()?;
        if tag != OCTET_STRING {
            (tag, value) = extension.next()?; // the value read before was the flag `critical`
        }
        let mut names = Der(value).enter(SEQUENCE).filter(|_| tag == OCTET_STRING)?;
        let mut found = Vec::new();
        while let Some((tag, value)) = names.next() {
            found.extend(general_name(tag, value).filter(|_| found.len() < MAX_NAMES));
        }
        return Some(found);
    }
    Some(Vec::new())
}

/// Returns a DNS name or an address; `None` for the other types of names.
fn general_name(tag: u8, value: &[u8]) -> Option<String> {
    match (tag, value.len()) {
        (DNS_NAME, _) => Some(String::from_utf8_lossy(value).into_owned()),
        (IP_ADDRESS, 4) => Some(IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?)).to_string()),
        (IP_ADDRESS, 16) => Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?)).to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn der() -> Vec<u8> {
        let names = ["acs.example", "192.0.2.1", "2001:db8::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, "Gerät");
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.not_before = date_time_ymd(1999, 12, 31);
        params.not_after = date_time_ymd(2150, 6, 7);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().to_vec()
    }

    #[test]
    fn reads_what_rcgen_writes() {
        let certificate = Certificate::parse(&der()).expect("a certificate");
        for part in ["CN=Gerät", "O=Example"] {
            assert!(certificate.subject.contains(part), "{certificate:?}");
        }
        assert_eq!(certificate.issuer, certificate.subject);
        assert_eq!(certificate.names, ["acs.example", "192.0.2.1", "2001:db8::1"]);
        let dates = [certificate.not_before, certificate.not_after].map(|date| date.to_string());
        assert_eq!(dates, ["1999-12-31T00:00:00Z", "2150-06-07T00:00:00Z"]);
    }

    #[test]
    fn no_truncation_and_no_flipped_byte_panics() {
        let der = der();
        for end in 0..der.len() {
            assert_eq!(Certificate::parse(&der[..end]), None, "cut at {end}");
        }
        for at in 0..der.len() {
            for flip in [0x01, 0x20, 0x7f, 0x80, 0xff] {
                let mut damaged = der.clone();
                damaged[at] ^= flip;
                let _ = Certificate::parse(&damaged);
            }
        }
    }

    #[test]
    fn lengths_and_times_by_hand() {
        let mut long = Der(&[0x04, 0x81, 0x01, 0xaa, 0x05, 0x00]);
        assert_eq!(long.next(), Some((0x04, &[0xaa][..])));
        assert_eq!(long.next(), Some((0x05, &[][..])));
        assert_eq!(long.next(), None);
        assert_eq!(Der(&[0x04, 0x84, 0, 0, 0, 1, 0xaa]).next(), None);
        assert_eq!(Der(&[0x30, 0x80, 0, 0]).next(), None); // indefinite: not DER
        let at = |tag: u8, text: &str| {
            let mut der = vec![tag, text.len() as u8];
            der.extend_from_slice(text.as_bytes());
            time(&mut Der(&der)).map(|time| time.to_string())
        };
        assert_eq!(at(UTC_TIME, "491231235959Z").as_deref(), Some("2049-12-31T23:59:59Z"));
        assert_eq!(at(UTC_TIME, "500101000000Z").as_deref(), Some("1950-01-01T00:00:00Z"));
        assert_eq!(at(GENERALIZED_TIME, "20500101000000Z").as_deref(), Some("2050-01-01T00:00:00Z"));
        for wrong in ["", "2", "20500101000000", "205001010000€", "20501301000000Z"] {
            assert_eq!((at(UTC_TIME, wrong), at(GENERALIZED_TIME, wrong)), (None, None), "{wrong}");
        }
        assert_eq!(string(BMP_STRING, &[0x20, 0xac, 0x00]), "€");
    }
}
