use rcgen::{
    BasicConstraints, CertificateParams, DnType, GeneralSubtree, IsCa, KeyPair, NameConstraints, date_time_ymd,
};

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
fn the_fields_that_decide() {
    let made = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        Certificate::parse(params.self_signed(&key).expect("a certificate").der()).expect("a certificate")
    };
    let plain = made(&|_| {});
    assert_eq!((plain.has_alternative_names, plain.has_name_constraints, plain.is_ca), (false, false, None));
    assert_eq!((plain.is_self_issued, plain.rsa_bits), (true, None));
    assert_eq!(made(&|params| params.is_ca = IsCa::ExplicitNoCa).is_ca, Some(false));
    let ca = made(&|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let permitted_subtrees = vec![GeneralSubtree::DnsName("example".into())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    assert_eq!((ca.is_ca, ca.has_name_constraints), (Some(true), true));
    assert!(Certificate::parse(&der()).is_some_and(|certificate| certificate.has_alternative_names));
}

#[test]
fn common_names_as_host_names() {
    let mut certificate = Certificate::parse(&der()).expect("a certificate");
    let mut is_named = |name: &str, host: &str| {
        certificate.common_name = Some(name.into());
        certificate.has_common_name(host)
    };
    for (name, host) in [
        ("acs.example", "acs.example"),
        ("ACS.Example", "acs.example"),
        ("acs.example", "acs.example."),
        ("*.acs.example", "a.acs.example"),
        ("acs", "acs"),
    ] {
        assert!(is_named(name, host), "{name} {host}");
    }
    for (name, host) in [
        ("acs.example", "a.acs.example"),
        ("*.example", "acs.example"),
        ("*", "acs"),
        ("*.*", "a.b"),
        ("*.acs.example", "acs.example"),
        ("*.acs.example", "b.a.acs.example"),
        ("a*.acs.example", "ab.acs.example"),
        ("acs.example\0", "acs.example"),
        ("acs.example\u{200b}", "acs.example"),
        ("", "acs.example"),
    ] {
        assert!(!is_named(name, host), "{name} {host}");
    }
}

/// The texts of a certificate come from the network, and go to the log and to terminals.
#[test]
fn shown_texts_are_plain_and_short() {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, "a\n\u{1b}[2J\u{202e}b");
    params.distinguished_name.push(DnType::OrganizationName, "x".repeat(10_000));
    let key = KeyPair::generate().expect("a key");
    let der = params.self_signed(&key).expect("a certificate");
    let certificate = Certificate::parse(der.der()).expect("a certificate");
    assert!(certificate.subject.starts_with("CN=a [2Jb, O=xx"), "{certificate:?}");
    assert!(certificate.subject.len() < 300, "{}", certificate.subject.len());
    assert_eq!(certificate.common_name.as_deref(), Some("a\n\u{1b}[2J\u{202e}b"));
}

#[test]
fn times_by_hand() {
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
