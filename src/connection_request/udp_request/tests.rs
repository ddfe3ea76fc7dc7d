use super::*;

const VECTOR: &str = "GET http://203.0.113.7:50123?ts=1120673700&id=1234&un=CPE57689&cn=XTGRWIPC6D3IPXS3\
                      &sig=F749EE6D9E3BC469FB709EAD2A75EE7535F58552 HTTP/1.1\r\nHost: 203.0.113.7:50123\r\n\r\n";

fn settings(username: &str, password: &str) -> AccessSettings {
    AccessSettings { username: username.into(), password: password.into(), path: "/p".into() }
}

fn cpe() -> AccessSettings {
    settings("CPE57689", "password")
}

/// A request with the signature of these texts, each with the form in which it stands in the URI.
fn signed(ts: &str, id: &str, un: (&str, &str), cn: (&str, &str)) -> String {
    let signature = hmac_sha1(b"password", &[ts.as_bytes(), id.as_bytes(), un.0.as_bytes(), cn.0.as_bytes()]);
    let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("GET /?sig={signature}&cn={}&un={}&id={id}&ts={ts} HTTP/1.1\r\n\r\n", cn.1, un.1)
}

fn request(ts: u64, id: u64) -> String {
    signed(&ts.to_string(), &id.to_string(), ("CPE57689", "CPE57689"), ("x", "x"))
}

fn accept(replay: &mut ReplayWindow, datagram: &str, settings: &AccessSettings) -> Result<(), RequestOutcome> {
    let before = *replay;
    let result = UdpRequest::parse(datagram.as_bytes()).and_then(|request| replay.accept(&request, settings));
    assert_eq!(result.is_err(), *replay == before, "a rejected request leaves no trace (R292)");
    result
}

fn accepts(datagram: &str, settings: &AccessSettings) -> Result<(), RequestOutcome> {
    accept(&mut ReplayWindow::default(), datagram, settings)
}

/// R291.
#[test]
fn the_test_vector_is_accepted_in_either_case() {
    assert_eq!(accepts(VECTOR, &cpe()), Ok(()));
    let signature = "F749EE6D9E3BC469FB709EAD2A75EE7535F58552";
    assert_eq!(accepts(&VECTOR.replace(signature, &signature.to_lowercase()), &cpe()), Ok(()));
}

/// R290, R296.
#[test]
fn is_lenient_where_servers_differ() {
    for (from, to) in [
        ("Host: 203.0.113.7:50123\r\n", ""),
        ("50123?", "50123/?"),
        ("http://203.0.113.7:50123?", "/?"),
        ("id=1234&", "more=less&id=1234&"),
        ("&id=1234", ""),
        ("un=CPE57689", "un=%43PE5768%39"),
        ("ts=1120673700", "ts=%31120673700"),
        ("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\nbody"),
        // RFC 7230 §3.2.4: folded fields.
        ("Host: 203.0.113.7:50123\r\n", "Host:\r\n 203.0.113.7:50123\r\nX: y\n\tz\r\n"),
        ("Host: 203.0.113.7:50123\r\n", "no colon\r\n"),
        ("GET", "\r\nGET"),
    ] {
        let mut datagram = VECTOR.replace(from, to);
        if from == "&id=1234" {
            datagram = datagram.replace("http://203.0.113.7:50123?", "http://[2001:db8::1]:80?id=1234&");
        }
        assert_eq!(accepts(&datagram, &cpe()), Ok(()), "{datagram}");
    }
}

/// R291: decoded values are signed; R296: some servers do not encode.
#[test]
fn values_are_decoded_and_taken_as_they_stand() {
    for (un, written) in
        [("a b", "a+b"), ("a b", "a%20b"), ("é&=", "%C3%A9%26%3d"), ("a+b", "a+b"), ("a%20b", "a%20b"), ("50%", "50%")]
    {
        let settings = settings(un, "password");
        assert_eq!(accepts(&signed("1", "2", (un, written), ("c", "c")), &settings), Ok(()), "{un} {written}");
    }
    for (cn, written) in [("a b", "a+b"), ("a+b", "a+b"), ("+/=", "%2B%2F%3D"), ("", ""), ("%zz%", "%zz%")] {
        let datagram = signed("1", "2", ("CPE57689", "CPE57689"), (cn, written));
        assert_eq!(accepts(&datagram, &cpe()), Ok(()), "{cn} {written}");
    }
}

/// R290, R292.
#[test]
fn refuses_what_is_no_such_request() {
    for (from, to, why) in [
        ("GET", "POST", RequestOutcome::WrongMethod),
        ("GET", "get", RequestOutcome::WrongMethod),
        ("HTTP/1.1", "HTTP/1.0", RequestOutcome::Malformed),
        (" HTTP/1.1", "", RequestOutcome::Malformed),
        (" HTTP/1.1", "\r\n HTTP/1.1", RequestOutcome::Malformed),
        ("HTTP/1.1", "HTTP/1.1 x", RequestOutcome::Malformed),
        ("GET", " GET", RequestOutcome::Malformed),
        ("\r\n\r\n", "\r\n", RequestOutcome::Malformed),
        ("ts=1120673700&", "", RequestOutcome::Malformed),
        ("id=1234&", "", RequestOutcome::Malformed),
        ("un=CPE57689&", "", RequestOutcome::Malformed),
        ("&cn=XTGRWIPC6D3IPXS3", "", RequestOutcome::Malformed),
        ("ts=1120673700", "ts=1120673700&ts=1120673700", RequestOutcome::Malformed),
        ("ts=1", "ts=-1", RequestOutcome::Malformed),
        ("ts=1", "ts=+1", RequestOutcome::Malformed),
        ("ts=1120673700", "ts=", RequestOutcome::Malformed),
        ("id=1234", "id=12x4", RequestOutcome::Malformed),
        ("id=1234", "id=18446744073709551616", RequestOutcome::Malformed),
        ("8552 ", "85522 ", RequestOutcome::Malformed),
        ("8552 ", "85 ", RequestOutcome::Malformed),
        ("8552 ", "855g ", RequestOutcome::Malformed),
        ("ts=1120673700", "ts=0", RequestOutcome::OldTimestamp),
        ("CPE57689", "CPE57688", RequestOutcome::WrongUsername),
        ("CPE57689", "cpe57689", RequestOutcome::WrongUsername),
        ("8552 ", "8553 ", RequestOutcome::WrongSignature),
        ("1120673700", "1120673701", RequestOutcome::WrongSignature),
        ("id=1234", "id=01234", RequestOutcome::WrongSignature),
        ("XTGR", "XTGr", RequestOutcome::WrongSignature),
    ] {
        assert_eq!(accepts(&VECTOR.replacen(from, to, 1), &cpe()), Err(why), "{from} -> {to}");
    }
    for nothing in ["", "G", "GET / HTTP/1.1\r\n\r\n", "GET /? HTTP/1.1\r\n\r\n"] {
        assert_eq!(accepts(nothing, &cpe()), Err(RequestOutcome::Malformed));
    }
}

/// R291 names no encoding: a server may have user name and password in ISO 8859-1, which must then hold them.
#[test]
fn user_name_and_password_in_either_encoding() {
    let request = |key: &[u8], username: &[u8], un: &str| {
        let signature = hmac_sha1(key, &[b"1", b"2", username, b"x"]);
        let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("GET /?ts=1&id=2&un={un}&cn=x&sig={signature} HTTP/1.1\r\n\r\n")
    };
    let cpe = settings("S\u{fc}d", "Schl\u{fc}ssel");
    let utf_8 = "Schl\u{fc}ssel".as_bytes();
    assert_eq!(accepts(&request(utf_8, "S\u{fc}d".as_bytes(), "S%C3%BCd"), &cpe), Ok(()));
    assert_eq!(accepts(&request(b"Schl\xfcssel", b"S\xfcd", "S%FCd"), &cpe), Ok(()));
    for (key, username, un, why) in [
        (&b"Schl?ssel"[..], &b"S\xfcd"[..], "S%FCd", RequestOutcome::WrongSignature),
        (utf_8, b"S\xfcd", "S%FCd", RequestOutcome::WrongSignature),
        (b"Schl\xfcssel", b"S?d", "S%3Fd", RequestOutcome::WrongUsername),
    ] {
        assert_eq!(accepts(&request(key, username, un), &cpe), Err(why), "{un}");
    }
    // A character that ISO 8859-1 does not have is no question mark.
    let beyond = settings("\u{20ac}", "\u{20ac}");
    assert_eq!(accepts(&request(b"?", b"?", "?"), &beyond), Err(RequestOutcome::WrongUsername));
    assert_eq!(accepts(&request(b"?", b"u", "u"), &settings("u", "\u{20ac}")), Err(RequestOutcome::WrongSignature));
}

/// R268: the signature of an empty key is rejected.
#[test]
fn an_empty_password_refuses_all() {
    let signature = hmac_sha1(b"", &[b"1", b"2", b"u", b"c"]);
    let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    let datagram = format!("GET /?ts=1&id=2&un=u&cn=c&sig={signature} HTTP/1.1\r\n\r\n");
    assert_eq!(accepts(&datagram, &settings("u", "")), Err(RequestOutcome::WrongSignature));
}

/// R292, R293.
#[test]
fn copies_count_once_and_time_goes_on() {
    let mut replay = ReplayWindow::default();
    let mut sent = |ts, id| accept(&mut replay, &request(ts, id), &cpe());
    assert_eq!(sent(100, 1), Ok(()));
    assert_eq!(sent(100, 1), Err(RequestOutcome::OldTimestamp), "a copy");
    assert_eq!(sent(100, 2), Err(RequestOutcome::OldTimestamp), "another in the same second");
    assert_eq!(sent(99, 3), Err(RequestOutcome::OldTimestamp));
    assert_eq!(sent(101, 1), Err(RequestOutcome::RepeatedId));
    assert_eq!(sent(101, 2), Ok(()));
    assert_eq!(sent(102, 1), Ok(()), "only the last id counts");
    // R296: milliseconds, more than 32 bits, and the maximum of 64 bits.
    assert_eq!(sent(1_700_000_000_123, u64::from(u32::MAX) + 1), Ok(()));
    assert_eq!(sent(u64::MAX, u64::MAX), Ok(()));
    assert_eq!(sent(u64::MAX, 5), Err(RequestOutcome::OldTimestamp));
}

/// R292: a forged request does not lock out the right one.
#[test]
fn what_is_refused_does_not_move_the_window() {
    let mut replay = ReplayWindow { timestamp: 50, id: Some(9) };
    for wrong in [
        request(1000, 1).replace("sig=", "sig=0").replacen("&cn", "&x", 1),
        request(1000, 1).replace("un=CPE57689", "un=other"),
        request(1000, 1).replace("cn=x", "cn=y"),
        request(1000, 9),
        request(50, 1),
    ] {
        assert!(accept(&mut replay, &wrong, &cpe()).is_err());
    }
    assert_eq!(replay, ReplayWindow { timestamp: 50, id: Some(9) });
    assert_eq!(accept(&mut replay, &request(51, 1), &cpe()), Ok(()));
}

#[test]
fn survives_every_damaged_byte_and_every_cut() {
    let whole = VECTOR.as_bytes();
    let mut replay = ReplayWindow::default();
    for at in 0..whole.len() {
        assert!(UdpRequest::parse(&whole[..at]).is_err());
        for byte in 0..=255 {
            let mut damaged = whole.to_vec();
            damaged[at] = byte;
            if let Ok(request) = UdpRequest::parse(&damaged) {
                let _ = replay.accept(&request, &cpe());
            }
        }
    }
    // Only changes of host, header or case were accepted, and they leave the request the same.
    assert_eq!(replay, ReplayWindow { timestamp: 1_120_673_700, id: Some(1234) });
}
