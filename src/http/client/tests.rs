//! The client on bytes that no sane server sends.

use std::sync::Arc;

use ureq_proto::http::HeaderMap;

use super::*;
use crate::http::{ClientPolicy, IoLimits, TlsSettings};

#[test]
fn challenges_of_all_header_fields_are_offered() {
    let mut fields = HeaderMap::new();
    fields.append(header::WWW_AUTHENTICATE, "Digest realm=\"a\", nonce=\"n\"".parse().unwrap());
    fields.append(header::WWW_AUTHENTICATE, "Basic realm=\"a\"".parse().unwrap());
    assert_eq!(offered_challenges(&fields).len(), 2);
}

#[test]
fn only_a_get_follows_a_303() {
    assert!(is_followed(&Method::GET, 303) && !is_followed(&Method::PUT, 303) && !is_followed(&Method::POST, 303));
    assert!(is_followed(&Method::POST, 302) && !is_followed(&Method::GET, 304));
}

#[test]
fn an_invalid_target_is_named_without_its_query() {
    let text = invalid_location("ftp://other/x?key=hunter2").to_string();
    assert!(text.contains("ftp://other/x") && !text.contains("hunter2"), "{text}");
}

/// The client returns in good time and without a panic, whichever bytes the server sends.
#[test]
fn survives_every_truncation_and_byte_flip() {
    use std::io::Write;
    const LIMIT: usize = 100_000;
    let right = "HTTP/1.1 401 No\r\n\
        WWW-Authenticate: Digest realm=\"GenieACS\",qop=\"auth,auth-int\",nonce=\"n1\"\r\n\
        Set-Cookie: a=b; Max-Age=9\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    let mut answers: Vec<Vec<u8>> = (0..right.len()).map(|end| right.as_bytes()[..end].to_vec()).collect();
    for at in 0..right.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut damaged = right.as_bytes().to_vec();
            damaged[at] ^= flip;
            answers.push(damaged);
        }
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    for bytes in answers {
        let mut client = HttpClient::new(ClientSettings {
            url: url.clone(),
            credentials: None,
            tls: TlsSettings::default(),
            clock_is_set: true,
            limits: IoLimits { timeout: Duration::from_millis(500), stop: Arc::default(), end: None },
            policy: ClientPolicy {
                max_redirects: 0,
                discard_limit: LIMIT,
                must_discard: true,
                keeps_cookies: true,
                hesitate_above: u64::MAX,
            },
        });
        client.connect().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // The response is there before the request, for which a client would not reuse the connection: so the test
        // uses the connection alone.
        let request = client.build_request(&Method::POST, &[], Some(9)).unwrap();
        let connection = client.connection.as_mut().unwrap();
        let Ok(mut response) = connection.exchange(request, &mut RequestBody::Bytes(b"<inform/>"), false) else {
            continue;
        };
        let mut taken = 0;
        let _ = connection.read_body(&mut response, LIMIT, &mut |piece| taken += piece.len());
        assert!(taken <= bytes.len());
        assert!(!connection.is_reusable());
        for cookie in response.headers.get_all(header::SET_COOKIE) {
            client.cookies.set(cookie.as_bytes(), false);
        }
        offered_challenges(&response.headers);
    }
}
