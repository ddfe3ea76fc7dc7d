//! Challenges and the credentials that answer them.

use super::*;

#[test]
fn digest_is_answered_on_the_same_connection_and_goes_on() {
    let unauthorized = "HTTP/1.1 401 Unauthorized\r\nSet-Cookie: session=1\r\n\
                        Content-Length: 12\r\n";
    let server = Server::start(vec![vec![
        respond(format!("{unauthorized}{MD5}\r\n\r\nUnauthorized")),
        ok("1"),
        ok("2"),
        status("204 No Content", &[]),
    ]]);
    let mut acs = connection(&server);
    assert_eq!(body(acs.post(b"<inform/>")), "1");
    assert_eq!(body(acs.post(b"<x/>")), "2");
    assert_eq!(acs.post(b"").unwrap().status, 204);
    drop(acs);

    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.connection == 0));
    assert_eq!(requests[0].header("Authorization"), None);
    assert_eq!(requests[0].body, requests[1].body);
    let sent: Vec<_> = requests[1..].iter().map(credentials).collect();
    let (cnonce, _) = sent[0].qop_auth.clone().unwrap();
    assert_eq!(cnonce.len(), 32);
    for (read, nc) in sent.iter().zip(1..) {
        assert_eq!(read.qop_auth, Some((cnonce.clone(), nc)));
    }
    assert_eq!(requests[1].header("Cookie"), Some("session=1"));
}

#[test]
fn a_nonce_bound_to_the_connection_is_renewed_on_the_next() {
    let again = MD5.replace("n1", "n2");
    let server = Server::start(vec![
        vec![status("401 Unauthorized", &[MD5]), status("200 OK", &["Connection: close"]), Step::Close],
        vec![status("401 Unauthorized", &[&again]), ok("2")],
    ]);
    let mut acs = connection(&server);
    assert_eq!(body(acs.post(b"<inform/>")), "");
    assert_eq!(body(acs.post(b"")), "2");
    drop(acs);

    let requests = server.requests();
    let sent: Vec<_> = requests[1..].iter().map(credentials).collect();
    let (cnonces, counts): (Vec<_>, Vec<_>) = sent.iter().map(|read| read.qop_auth.clone().unwrap()).unzip();
    assert_eq!(counts, [1, 2, 1]);
    assert_ne!(cnonces[0], cnonces[1]);
    let nonces: Vec<_> = sent.iter().map(|read| read.nonce.as_str()).collect();
    assert_eq!(nonces, ["n1", "n1", "n2"]);
}

#[test]
fn every_kind_of_challenge_is_answered() {
    for challenge in [
        "Digest realm=\"r\", nonce=\"n\"",
        "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess, qop=\"auth\", opaque=\"o\"",
        "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"",
        "Digest realm=\"GenieACS\",qop=\"auth,auth-int\",nonce=\"n\",opaque=\"o\"", // R342
        "Negotiate, Basic realm=\"r\", Digest realm=\"r\", nonce=\"n\"",
        "Digest nonce=x, algorithm=SHA-512-256\r\nWWW-Authenticate: Digest nonce=n",
    ] {
        let header = format!("WWW-Authenticate: {challenge}");
        let (response, requests) = one_post(vec![vec![status("401 Unauthorized", &[&header]), ok("in")]]);
        assert_eq!(body(response), "in");
        assert_eq!(credentials(&requests[1]).nonce, "n", "{challenge}");
    }
}

#[test]
fn a_second_401_is_a_refusal() {
    for second in [vec![], vec![MD5], vec!["WWW-Authenticate: Basic realm=x"]] {
        let (result, requests) =
            one_post(vec![vec![status("401 Unauthorized", &[MD5]), status("401 Unauthorized", &second), Step::Close]]);
        assert_eq!(result, Err(HttpError::Authentication { text: String::new() }));
        assert_eq!(requests.len(), 2);
    }
    let page = "<html>Unknown device</html>";
    let second = format!("HTTP/1.1 401 No\r\n{MD5}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    let (result, _) = one_post(vec![vec![status("401 Unauthorized", &[MD5]), respond(second)]]);
    let text = result.expect_err("a refusal").to_string();
    assert_eq!(text, "the server refused the user name or the password: \"Unknown device\"");
}

#[test]
fn a_stale_nonce_is_renewed_but_not_for_ever() {
    let stale = |nonce: &str| {
        let challenge = format!("{}, stale=true", MD5.replace("n1", nonce));
        status("401 Unauthorized", &[&challenge])
    };
    let first = status("401 Unauthorized", &[MD5]);
    let (response, requests) = one_post(vec![vec![first.clone(), stale("n2"), ok("in")]]);
    assert_eq!(body(response), "in");
    assert_eq!(credentials(&requests[2]).nonce, "n2");

    let script = vec![first.clone(), stale("n2"), stale("n3"), stale("n4"), stale("n5")];
    let (result, requests) = one_post(vec![script]);
    assert_eq!(result, Err(HttpError::Authentication { text: String::new() }));
    assert_eq!(requests.len(), 4);

    // The same nonce cannot be stale, even if the server calls it so.
    let (result, requests) = one_post(vec![vec![first, stale("n1")]]);
    assert_eq!(result, Err(HttpError::Authentication { text: String::new() }));
    assert_eq!(requests.len(), 2);
}

#[test]
fn basic_is_sent_after_the_first_challenge_and_refused_by_the_next() {
    let basic = "WWW-Authenticate: Basic realm=\"acs\"";
    let server = Server::start(vec![vec![
        status("401 Unauthorized", &[basic]),
        ok("1"),
        ok("2"),
        status("401 Unauthorized", &[basic]),
    ]]);
    let mut acs = connection(&server);
    assert!(!acs.is_basic());
    assert_eq!(body(acs.post(b"<inform/>")), "1");
    assert!(acs.is_basic());
    assert_eq!(body(acs.post(b"")), "2");
    assert_eq!(acs.post(b""), Err(HttpError::Authentication { text: String::new() }));
    drop(acs);
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    for request in &requests[1..] {
        let expected = "Basic MDBEMDlFLTQ3MTE6czNjcmV0";
        assert_eq!(request.header("Authorization"), Some(expected));
    }
}

#[test]
fn basic_goes_out_unasked_only_over_tls() {
    let server = Server::start(vec![vec![ok("1")]]);
    let mut acs = connection(&server);
    acs.assume_basic();
    assert_eq!(body(acs.post(b"<inform/>")), "1");
    drop(acs);
    assert_eq!(server.requests()[0].header("Authorization"), None);
}

#[test]
fn a_401_without_a_known_challenge_is_told_apart() {
    for headers in [vec![], vec!["WWW-Authenticate: Negotiate"]] {
        let (result, _) = one_post(vec![vec![status("401 Unauthorized", &headers)]]);
        assert!(matches!(result, Err(HttpError::Protocol(_))), "{result:?}");
    }
}

/// RFC 7616 §3.5: the next request uses the new nonce, whose count begins anew.
#[test]
fn the_next_nonce_of_a_response_is_used() {
    let next = |line: &str, nonce: &str| {
        let info = format!("Authentication-Info: qop=auth, nextnonce=\"{nonce}\"");
        status(line, &[info.as_str()])
    };
    let server = Server::start(vec![vec![
        status("401 Unauthorized", &[MD5]),
        next("200 OK", "n2"),
        next("200 OK", "n2"),
        next("204 No Content", ""),
        ok(""),
    ]]);
    let mut acs = connection(&server);
    (0..4).for_each(|_| assert!(acs.post(b"").is_ok()));
    drop(acs);
    let requests = server.requests();
    let sent: Vec<_> = requests[1..].iter().map(credentials).collect();
    let uses: Vec<_> = sent.iter().map(|read| (read.nonce.as_str(), read.qop_auth.as_ref().unwrap().1)).collect();
    assert_eq!(uses, [("n1", 1), ("n2", 1), ("n2", 2), ("n2", 3)]);
}
