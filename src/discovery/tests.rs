//! Tests of the discovery: options as servers send them, damaged ones, and the decision about the URL.

use std::slice::from_ref;

use super::*;

const ACS: &str = "http://acs.example/";

/// Returns sub-options with a byte of number and a byte of length.
fn narrow(values: &[(u8, &[u8])]) -> Vec<u8> {
    let one = |(number, value): &(u8, &[u8])| [&[*number, value.len() as u8][..], value].concat();
    values.iter().flat_map(one).collect()
}

/// Returns an option of DHCPv6 of this enterprise.
fn wide(enterprise: u32, values: &[(u16, &[u8])]) -> Vec<u8> {
    let one = |(number, value): &(u16, &[u8])| {
        [&number.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
    };
    enterprise.to_be_bytes().into_iter().chain(values.iter().flat_map(one)).collect()
}

/// Returns the part of one enterprise in option 125.
fn vendor(enterprise: u32, values: &[(u8, &[u8])]) -> Vec<u8> {
    let inner = narrow(values);
    [&enterprise.to_be_bytes()[..], &[inner.len() as u8], &inner].concat()
}

fn word(option: &str, data: &[u8]) -> String {
    let hex: String = data.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{option}={hex}")
}

fn lease(interface: &str, words: &[String]) -> Lease {
    Lease::parse(interface, words.iter().map(String::as_str)).expect("a lease")
}

/// The values of the only option, with `-` for none.
fn values(option: &str, data: &[u8]) -> Option<[String; OFFERED]> {
    let offer = offer(&[lease("wan", &[word(option, data)])])?;
    Some(offer.values.map(|value| value.unwrap_or_else(|| "-".into())))
}

/// R15: the numbers of the sub-options; R16: a NUL at the end; unknown ones, padding and the end are skipped.
#[test]
fn each_option_has_its_numbers() {
    let expected = Some([ACS, "code", "7", "1500"].map(str::to_owned));
    let url = ACS.as_bytes();
    let mut data = narrow(&[(9, b"unknown"), (1, url), (2, b"code\0"), (3, b"7\0\0"), (4, b"1500"), (1, b"http://b/")]);
    data.splice(0..0, [0, 0]);
    data.extend([255, 1, 8]);
    assert_eq!(values("option=43", &data), expected);
    let inner: &[(u8, &[u8])] = &[(1, b"http://no/"), (11, url), (12, b"code"), (13, b"7"), (14, b"1500"), (4, b"x")];
    assert_eq!(values("option=125", &vendor(3561, inner)), expected);
    let inner: &[(u16, &[u8])] = &[(11, b"http://no/"), (1, url), (2, b"code"), (3, b"7"), (4, b"1500"), (300, b"")];
    assert_eq!(values("option6=17", &wide(3561, inner)), expected);
}

/// R14: values of other enterprises are ignored, also between those of the Broadband Forum.
#[test]
fn only_the_enterprise_of_the_forum_counts() {
    let other = vendor(4491, &[(11, b"http://other.example/")]);
    assert_eq!(values("option=125", &other), None);
    assert_eq!(values("option6=17", &wide(4491, &[(1, b"http://other.example/")])), None);
    let both = [&other[..], &vendor(3561, &[(11, ACS.as_bytes())]), &other].concat();
    assert_eq!(values("option=125", &both).expect("a URL")[URL], ACS);
}

/// R10: a URL that cannot be contacted is no URL, and a text with control characters is no text.
#[test]
fn a_url_must_be_usable() {
    for bad in
        [&b""[..], b"\0", b"acs.example", b"ftp://acs.example/", b"http://a\nb/", b"http://\xFF/", b"http://a b/"]
    {
        assert_eq!(values("option=43", &narrow(&[(1, bad), (2, b"code")])), None, "{bad:?}");
    }
    let invalid = narrow(&[(1, b"/"), (2, b"code")]);
    let valid = vendor(3561, &[(11, ACS.as_bytes())]);
    let found = offer(&[lease("wan", &[word("option=43", &invalid), word("option=125", &valid)])]).expect("an offer");
    assert_eq!((found.values[URL].as_deref(), found.values[1].as_deref()), (Some(ACS), None), "nothing is mixed");
}

/// R13: DHCPv6 precedes DHCPv4; of both options of DHCPv4, the requested one counts, and else option 43.
#[test]
fn one_option_counts() {
    let v43 = word("option=43", &narrow(&[(1, b"http://43/")]));
    let v125 = word("option=125", &vendor(3561, &[(11, b"http://125/")]));
    let v6 = word("option6=17", &wide(3561, &[(1, b"http://6/")]));
    let requested = "requested=125".to_owned();
    for (leases, expected) in [
        (vec![lease("a", &[v125.clone(), v43.clone()])], "http://43/ of DHCPv4 option 43 on a"),
        (vec![lease("a", &[v43.clone(), v125.clone(), requested])], "http://125/ of DHCPv4 option 125 on a"),
        (vec![lease("a", from_ref(&v125))], "http://125/ of DHCPv4 option 125 on a"),
        (vec![lease("a", from_ref(&v43)), lease("b", &[v6])], "http://6/ of DHCPv6 option 17 on b"),
        (vec![lease("a", &[v125]), lease("b", &[v43])], "http://43/ of DHCPv4 option 43 on b"),
    ] {
        let found = offer(&leases).expect("an offer");
        assert_eq!(format!("{} of {}", found.values[URL].as_deref().expect("a URL"), found.origin), expected);
    }
    assert_eq!(offer(&[]), None);
}

/// R339: the identity of the gateway, which needs OUI and serial number.
#[test]
fn the_gateway_has_a_name() {
    let text = |text: &str| Some(text.to_owned());
    let v125 = word("option=125", &vendor(3561, &[(4, b"00D09E"), (5, b"1"), (6, b"Box"), (1, b"AAAAAA"), (2, b"2")]));
    let v6 = word("option6=17", &wide(3561, &[(14, b"00D09F"), (15, b"2"), (4, b"no"), (11, b"BBBBBB")]));
    assert_eq!(gateway(&[lease("a", from_ref(&v125))]), Some([text("00D09E"), text("1"), text("Box")]));
    assert_eq!(gateway(&[lease("a", &[v125.clone(), v6])]), Some([text("00D09F"), text("2"), None]));
    let half = word("option6=17", &wide(3561, &[(14, b"00D09F")]));
    assert_eq!(gateway(&[lease("a", &[half, v125])]), Some([text("00D09E"), text("1"), text("Box")]));
    assert_eq!(gateway(&[lease("a", &[word("option=43", &narrow(&[(4, b"1"), (5, b"2")]))])]), None);
}

/// No length that points beyond the data is followed, and no cut value is taken.
#[test]
fn every_truncation_and_every_damaged_byte_is_harmless() {
    let url = b"http://acs.example/a/long/path";
    for (option, data) in [
        ("option=43", narrow(&[(2, b"code"), (1, url), (3, b"5")])),
        (
            "option=125",
            [vendor(9, &[(1, b"x")]), vendor(3561, &[(12, b"code"), (11, url), (13, b"5"), (5, b"1")])].concat(),
        ),
        ("option6=17", wide(3561, &[(2, b"code"), (1, url), (3, b"5"), (15, b"1")])),
    ] {
        for length in 0..data.len() {
            let found = values(option, &data[..length]);
            assert!(found.is_none_or(|values| values[URL].as_bytes() == url), "{option} of {length} bytes");
        }
        for at in 0..data.len() {
            for byte in [0, 1, 0x7F, 0xFE, 0xFF] {
                let mut damaged = data.clone();
                damaged[at] = byte;
                let damaged = lease("wan", &[word(option, &damaged)]);
                let _ = (offer(from_ref(&damaged)), gateway(&[damaged]));
            }
        }
    }
}

#[test]
fn the_words_of_a_lease_make_the_round_trip() {
    let first = lease("eth0.2", &["option=43=01:0a:B".into(), "option6=17=00FF".into(), "requested=125".into()]);
    assert_eq!(first.text(), "requested=125\noption=43=010a0b\noption6=17=00ff\n");
    assert_eq!(Lease::parse("eth0.2", first.text().lines()), Ok(first));
    assert_eq!(lease("a", &["option=43=".into()]).text(), "");
    assert_eq!(lease("a", &["option=43=0".to_owned() + ":0"]).text(), "option=43=0000\n");
}

#[test]
fn wrong_words_are_refused() {
    let long = format!("option=43={}", "00".repeat(4097));
    let longer = format!("option=43={}", "0:".repeat(10_000));
    for word in [
        "",
        "x",
        "option",
        "option=43",
        "option=44=00",
        "option6=43=00",
        "option=-1=00",
        "option=43=0",
        "option=43=0g",
        "option=43=0::0",
        "option=43=é",
        "option=43=+1",
        "option=43=1:+1",
        "requested=17",
        "requested=",
        &long,
        &longer,
    ] {
        assert!(Lease::parse("wan", [word].into_iter()).is_err(), "{word}");
    }
    assert!(Lease::parse("wan", std::iter::repeat_n("option=43=00", 17)).is_err());
    for name in ["", ".", "..", ".x", "a/b", "a b", "a\0", "é", &"x".repeat(65)] {
        assert!(Lease::parse(name, std::iter::empty()).is_err(), "{name}");
    }
}

/// R17 to R20, and R9 for the default of the model.
#[test]
fn a_url_of_dhcp_takes_the_place_of_few() {
    let of_dhcp = "http://dhcp/";
    let used = UrlInUse { url: "http://other/", is_default: false, was_contacted: false, is_unreachable: false };
    let mut found = Discovered { values: [of_dhcp, "", "", ""].map(str::to_owned), ..Discovered::default() };
    // None, and one of an earlier lease.
    assert!(Discovered::default().takes_url(UrlInUse { url: "", ..used }));
    assert!(found.takes_url(UrlInUse { url: of_dhcp, was_contacted: true, ..used }));
    // That of a user or of the configuration, reachable or not (R19).
    for is_unreachable in [false, true] {
        for was_contacted in [false, true] {
            assert!(!found.takes_url(UrlInUse { is_unreachable, was_contacted, ..used }));
        }
    }
    // The default of the model (R9), until it has led to an ACS (R19).
    assert!(found.takes_url(UrlInUse { is_default: true, ..used }));
    assert!(!found.takes_url(UrlInUse { is_default: true, was_contacted: true, is_unreachable: true, ..used }));
    // The ACS that DHCP found first has set another URL: it counts while it can be reached (R18, R20).
    found.is_first = true;
    assert!(!found.takes_url(UrlInUse { was_contacted: true, ..used }));
    assert!(found.takes_url(UrlInUse { was_contacted: true, is_unreachable: true, ..used }));
}

/// R18: the result survives a restart, and a damaged one is none.
#[test]
fn the_result_makes_the_round_trip() {
    for result in
        [Discovered::default(), Discovered { is_first: true, values: [ACS, "a\"b", "5", "2000"].map(str::to_owned) }]
    {
        assert_eq!(Discovered::from_json(&result.to_json()), result);
    }
    for text in ["null", "[]", "{}", "[1]", "[\"x\",\"http://a/\"]"] {
        let json: Json = serde_json::from_str(text).expect("JSON");
        assert_eq!(Discovered::from_json(&json), Discovered::default(), "{text}");
    }
    let json: Json = serde_json::from_str("[true,5,\"x\"]").expect("JSON");
    assert_eq!(Discovered::from_json(&json).values, ["", "x", "", ""].map(str::to_owned));
}
