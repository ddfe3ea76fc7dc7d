use super::*;

fn digest(value: &str) -> DigestChallenge {
    match challenges(value).remove(0) {
        Challenge::Digest(digest) => digest,
        Challenge::Basic => panic!("{value} is no digest challenge"),
    }
}

/// Returns the answer of a client to a challenge, as the server reads it.
fn answered(challenge: &str, user: &str, password: &str, method: &str, uri: &str) -> Authorization {
    let header = digest(challenge).answer(user, password, method, uri, "0a4f113b", 1);
    Authorization::parse(&header).expect("our own header parses")
}

#[test]
fn rfc_2617_section_3_5() {
    let challenge = digest(
        r#"Digest realm="testrealm@host.com", qop="auth,auth-int",
            nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#
            .replace('\n', "")
            .as_str(),
    );
    let header = challenge.answer("Mufasa", "Circle Of Life", "GET", "/dir/index.html", "0a4f113b", 1);
    assert_eq!(
        header,
        "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", \
         response=\"6629fae49393a05397450978507c4ef1\", \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\", qop=auth, nc=00000001, cnonce=\"0a4f113b\""
    );
}

const RFC_7616: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=ALGORITHM, \
     nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
     opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

#[test]
fn rfc_7616_section_3_9_1() {
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let challenge = digest(&RFC_7616.replace("ALGORITHM", algorithm));
        let header = challenge.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", cnonce, 1);
        assert!(header.contains(&format!("response=\"{response}\"")), "{header}");
        assert!(header.contains(&format!(", algorithm={algorithm}, ")), "{header}");
        let read = Authorization::parse(&header).unwrap();
        assert_eq!(read.qop_auth, Some((cnonce.to_owned(), 1)));
        assert!(read.verify("Mufasa", "Circle of Life", "GET"));
        assert!(!read.verify("Mufasa", "Circle of life", "GET"));
        assert!(!read.verify("mufasa", "Circle of Life", "GET"));
        assert!(!read.verify("Mufasa", "Circle of Life", "POST"));
    }
}

/// RFC 2069 with the correction of its erratum 749: no qop, no cnonce, no nc.
#[test]
fn rfc_2069_without_qop() {
    let challenge = digest(
        "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    );
    let header = challenge.answer("Mufasa", "CircleOfLife", "GET", "/dir/index.html", "x", 1);
    assert!(header.contains("response=\"1949323746fe6a43ef61f9606e7febea\""), "{header}");
    assert!(!header.contains("cnonce") && !header.contains("nc=") && !header.contains("qop"));
    assert!(Authorization::parse(&header).unwrap().verify("Mufasa", "CircleOfLife", "GET"));
}

/// Computed with an independent implementation (Python's hashlib, RFC 7616 §3.4.2).
#[test]
fn session_algorithms() {
    for (algorithm, response) in [
        ("MD5-sess", "b35d7b8c41aeff1f36129135429078ee"),
        ("SHA-256-sess", "b00eceba2a5d8868822fa92070a34e410f58a1db55f197ea613df3468e50ed5e"),
    ] {
        let challenge = format!("Digest realm=r, nonce=n, qop=auth, algorithm={algorithm}");
        let header = digest(&challenge).answer("u", "p", "POST", "/acs", "c", 0x1f);
        assert!(header.contains(&format!("response=\"{response}\"")), "{header}");
        assert!(header.contains("nc=0000001f"));
    }
}

#[test]
fn every_kind_of_answer_verifies() {
    for algorithm in ["", ", algorithm=MD5", ", algorithm=md5-sess", ", algorithm=\"SHA-256\""] {
        for qop in ["", ", qop=auth", ", qop=\"auth-int, AUTH\""] {
            let challenge = format!("digest realm=\"r\\\"\\\\q\", nonce=\"a,b=c\"{algorithm}{qop}");
            let read = answered(&challenge, "u\"\\,=", "p", "POST", "/a?b=c,d");
            assert_eq!(read.realm, "r\"\\q");
            assert_eq!(read.username, "u\"\\,=");
            assert!(read.verify("u\"\\,=", "p", "POST"), "{challenge}");
            assert!(!read.verify("u\"\\,=", "P", "POST"), "{challenge}");
            assert_eq!(read.qop_auth.is_some(), !qop.is_empty());
        }
    }
}

#[test]
fn finds_challenges_among_others() {
    let found = challenges(
        "Negotiate YII+/abc==, Newauth realm=\"a, Basic realm=x\", title=\"Login\" , ,\
         Basic realm = \"simple\", Digest nonce=abc==,realm=x, Bearer, DIGEST nonce=\"n\", stale=TRUE",
    );
    assert_eq!(found.len(), 3);
    assert_eq!(found[0], Challenge::Basic);
    let Challenge::Digest(first) = &found[1] else { panic!("{found:?}") };
    assert_eq!((first.nonce.as_str(), first.stale), ("abc==", false));
    let Challenge::Digest(second) = &found[2] else { panic!("{found:?}") };
    assert_eq!((second.nonce.as_str(), second.stale), ("n", true));
}

#[test]
fn leaves_out_what_it_cannot_answer() {
    for value in [
        "",
        ",",
        "Bearer",
        "Negotiate",
        "Digest",
        "Digest realm=x",
        "Digest nonce=a, algorithm=SHA-512-256",
        "Digest nonce=a, qop=auth-int",
        "=, \"Digest nonce=a\"",
    ] {
        assert_eq!(challenges(value), [], "{value}");
    }
}

#[test]
fn prefers_digest_and_the_stronger_hash() {
    let pick = |value: &str| strongest(challenges(value));
    let nonce = |value: &str| match pick(value) {
        Some(Challenge::Digest(digest)) => digest.nonce,
        other => format!("{other:?}"),
    };
    assert_eq!(nonce("Basic realm=a, Digest nonce=m"), "m");
    assert_eq!(nonce("Digest nonce=m, Basic realm=a"), "m");
    assert_eq!(nonce("Digest nonce=m, algorithm=MD5, Digest nonce=s, algorithm=SHA-256"), "s");
    assert_eq!(nonce("Digest nonce=s, algorithm=SHA-256, Digest nonce=m"), "s");
    assert_eq!(nonce("Digest nonce=first, Digest nonce=second"), "first");
    assert_eq!(pick("Basic"), Some(Challenge::Basic));
    assert_eq!(pick("Bearer"), None);
}

#[test]
fn a_challenge_survives_being_written_and_read() {
    for (algorithm, qop_auth, stale) in
        [(None, false, false), (Some(Algorithm::Md5), true, true), (Some(Algorithm::Sha256Sess), true, false)]
    {
        let challenge = Challenge::Digest(DigestChallenge {
            realm: "a \"quoted\" \\ realm, with=all".into(),
            nonce: "n==".into(),
            opaque: qop_auth.then(|| "o".into()),
            algorithm,
            qop_auth,
            stale,
            charset_utf8: stale,
        });
        assert_eq!(challenges(&challenge.to_string()), std::slice::from_ref(&challenge));
    }
    assert_eq!(challenges(&Challenge::Basic.to_string()), [Challenge::Basic]);
}

#[test]
fn basic_is_base64_of_name_and_password() {
    assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

#[test]
fn refuses_incomplete_authorizations() {
    let right = "Digest username=u, realm=r, nonce=n, uri=\"/\", response=ab, \
                 qop=auth, nc=00000001, cnonce=c";
    assert!(Authorization::parse(right).is_some());
    for (from, to) in [
        ("Digest", "Basic"),
        ("nonce=n", "x=n"),
        ("uri=\"/\"", "uri=\"\""),
        ("response=ab", "response="),
        ("qop=auth", "qop=auth-int"),
        ("nc=00000001", "nc=+0000001"),
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=100000001"),
        ("cnonce=c", "cnonce="),
        ("realm=r", "algorithm=SHA-1"),
    ] {
        let wrong = right.replacen(from, to, 1);
        assert_eq!(Authorization::parse(&wrong), None, "{wrong}");
    }
}

/// Cut and damaged headers may have any meaning, but cause no panic.
#[test]
fn survives_every_truncation_and_byte_flip() {
    let challenge = RFC_7616.replace("ALGORITHM", "SHA-256");
    let authorization = digest(&challenge).answer("é\"u", "p", "POST", "/", "c", 7);
    let several = format!("Negotiate ab==, {challenge}, Basic realm=\"\\\"x\"");
    for text in [several, authorization] {
        let bytes = text.as_bytes();
        for end in 0..=bytes.len() {
            read_all(&bytes[..end]);
        }
        for at in 0..bytes.len() {
            for flip in [0x01, 0x04, 0x10, 0x20, 0x80, 0xff] {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= flip;
                read_all(&damaged);
            }
            for put in *b"\",=\\ \t\0" {
                let mut damaged = bytes.to_vec();
                damaged[at] = put;
                read_all(&damaged);
            }
        }
    }

    fn read_all(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for challenge in challenges(&text) {
            assert_eq!(challenges(&challenge.to_string()), [challenge]);
        }
        if let Some(read) = Authorization::parse(&text) {
            assert!(!read.verify("nobody", "nothing", "POST"));
        }
    }
}

/// The realm is hashed and echoed octet by octet, whatever its encoding; the user name is in UTF-8.
#[test]
fn octets_beyond_ascii_are_hashed_as_they_come() {
    for (realm, response) in [
        (&b"Ger\xe4t"[..], "cb0d0245acda901482384c189d28768f"),
        ("Ger\u{e4}t".as_bytes(), "6748ed191d8d9df51ef3a35ecfdd226e"),
    ] {
        let value = [b"Digest realm=\"", realm, b"\", nonce=\"n1\", qop=\"auth\""].concat();
        let answer =
            digest(&header_text(&value)).answer("Kunde-S\u{fc}d-0815", "Schl\u{fc}ssel", "POST", "/acs", "c", 1);
        let octets = header_octets(&answer);
        let begin =
            ["Digest username=\"Kunde-S\u{fc}d-0815\", realm=\"".as_bytes(), realm, b"\", nonce=\"n1\""].concat();
        assert!(octets.starts_with(&begin), "{answer}");
        assert!(answer.contains(response), "{answer}");
        let read = Authorization::parse(&header_text(&octets)).unwrap();
        assert!(read.verify("Kunde-S\u{fc}d-0815", "Schl\u{fc}ssel", "POST"));
        assert!(!read.verify("Kunde-Sud-0815", "Schl\u{fc}ssel", "POST"));
    }
}

/// RFC 2617 names no encoding of user name and password: a client may write and hash them in ISO 8859-1.
#[test]
fn user_name_and_password_in_either_encoding() {
    const HEADER: &str = "Digest username=\"NAME\", realm=\"r\", nonce=\"n\", uri=\"/\", qop=auth, nc=00000001, \
                          cnonce=\"c\", response=\"";
    let header = |written: &[u8], username: &[u8], password: &[u8]| {
        let input = DigestInput {
            algorithm: Algorithm::Md5,
            username,
            realm: "r",
            password,
            nonce: "n",
            cnonce: "c",
            method: "GET",
            uri: "/",
            qop_auth: Some(QopAuth { nc: "00000001", cnonce: "c" }),
        };
        HEADER.replace("NAME", &header_text(written)) + &input.response() + "\""
    };
    let verifies = |header: &str, username: &str, password: &str| {
        Authorization::parse(header).unwrap().verify(username, password, "GET")
    };
    let (name, word) = ("M\u{fc}ller", "Schl\u{fc}ssel");
    let (name_1, word_1) = (b"M\xfcller", b"Schl\xfcssel");
    assert!(verifies(&header(name_1, name_1, word_1), name, word));
    assert!(verifies(&header(name.as_bytes(), name.as_bytes(), word.as_bytes()), name, word));
    // Python's requests writes the one and hashes the other.
    assert!(verifies(&header(name_1, name.as_bytes(), word.as_bytes()), name, word));
    assert!(verifies(&header(b"u", b"u", word_1), "u", word));
    for wrong in [
        header(name_1, name_1, b"Schl?ssel"),
        header(b"M?ller", b"M?ller", word_1),
        header(name_1, name_1, word.as_bytes()),
        header(b"Muller", name_1, word_1),
    ] {
        assert!(!verifies(&wrong, name, word), "{wrong}");
    }
    // A character that ISO 8859-1 does not have is no question mark.
    assert!(!verifies(&header(b"u", b"u", b"?"), "u", "\u{20ac}"));
    assert!(!verifies(&header(b"?", b"?", b"p"), "\u{20ac}", "p"));
}

/// RFC 7616 §3.4: `username*` only where the server offers UTF-8, and only for a name that needs it.
#[test]
fn an_extended_user_name_where_the_server_offers_utf_8() {
    let offer = digest("Digest realm=\"r\", nonce=\"n\", qop=\"auth\", charset=\"utf-8\"");
    assert!(offer.charset_utf8);
    let answer = offer.answer("J\u{e4}s\u{f8}n D\"oe", "p", "GET", "/", "c", 1);
    assert!(answer.starts_with("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20D%22oe, realm="), "{answer}");
    assert!(Authorization::parse(&answer).unwrap().verify("J\u{e4}s\u{f8}n D\"oe", "p", "GET"));
    assert!(offer.answer("Mufasa", "p", "GET", "/", "c", 1).starts_with("Digest username=\"Mufasa\", "));
    for damaged in ["UTF-8''%C", "UTF-8''%+1", "UTF-8'x", "ISO-8859-1''a", "UTF-8''%\u{e9}\u{e9}"] {
        let header = answer.replace("UTF-8''J%C3%A4s%C3%B8n%20D%22oe", damaged);
        assert_eq!(Authorization::parse(&header), None, "{damaged}");
    }
}
