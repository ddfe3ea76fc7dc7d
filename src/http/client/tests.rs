//! The client on bytes that no sane server sends.

use std::sync::Arc;

use ureq_proto::http::HeaderMap;

use super::*;
use crate::http::{ClientPolicy, CookieScope, Credentials, IoLimits, TlsSettings};
use crate::socket_options::SocketOptions;

const LIMIT: usize = 100_000;

fn client(url: &Url, credentials: Option<Credentials>) -> HttpClient {
    HttpClient::new(ClientSettings {
        url: url.clone(),
        credentials,
        tls: TlsSettings::default(),
        clock_is_set: true,
        socket: SocketOptions::default(),
        limits: IoLimits { timeout: Duration::from_millis(500), stop: Arc::default(), end: None },
        policy: ClientPolicy {
            max_redirects: 0,
            discard_limit: LIMIT,
            must_discard: true,
            cookie_scope: CookieScope::EveryHost,
            hesitate_above: u64::MAX,
        },
    })
}

#[test]
fn challenges_of_all_header_fields_are_offered() {
    let mut fields = HeaderMap::new();
    fields.append(header::WWW_AUTHENTICATE, "Digest realm=\"a\", nonce=\"n\"".parse().unwrap());
    fields.append(header::WWW_AUTHENTICATE, "Basic realm=\"a\"".parse().unwrap());
    assert_eq!(offered_challenges(&fields).len(), 2);
}

/// The client returns in good time and without a panic, whichever bytes the server sends.
#[test]
fn survives_every_truncation_and_byte_flip() {
    use std::io::Write;
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
        let mut client = client(&url, None);
        client.connect().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // The response is there before the request, for which a client would not reuse the connection: so the test
        // uses the connection alone.
        let request = client.build_request(&Method::POST, &[], Some(&RequestBody::Bytes(b"nine bytes"))).unwrap();
        let connection = client.connection.as_mut().unwrap();
        let Ok(mut response) = connection.exchange(request, &mut RequestBody::Bytes(b"<inform/>"), false) else {
            continue;
        };
        let mut taken = 0;
        let _ = connection.read_body(&mut response, LIMIT, &mut |piece| taken += piece.len());
        assert!(taken <= bytes.len());
        assert!(!connection.is_reusable());
        for cookie in response.headers.get_all(header::SET_COOKIE) {
            client.cookies.set(cookie.as_bytes(), &url);
        }
        offered_challenges(&response.headers);
    }
}

/// Returns the octets of a request's header.
fn read_head(stream: &mut std::net::TcpStream) -> Vec<u8> {
    use std::io::Read;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    head
}

/// A realm in ISO 8859-1 goes back in the same octets, and a user name in UTF-8 beside it.
#[test]
#[expect(clippy::disallowed_methods, reason = "the other side of the test")]
fn octets_beyond_ascii_go_out_as_they_came() {
    use std::io::Write;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let server = std::thread::Builder::new()
        .spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            read_head(&mut stream);
            stream.write_all(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n").unwrap();
            stream.write_all(b"WWW-Authenticate: Digest realm=\"Ger\xe4t\", nonce=\"n\"\r\n\r\n").unwrap();
            let head = read_head(&mut stream);
            stream.write_all(b"HTTP/1.1 204 Done\r\n\r\n").unwrap();
            head
        })
        .unwrap();
    let credentials = Credentials { username: "M\u{fc}ller".into(), password: "p".into() };
    let response = client(&url, Some(credentials)).request(&Method::GET, &[], None).unwrap();
    let head = server.join().unwrap();
    assert_eq!(response.status, 204);
    let expected = b"\r\nAuthorization: Digest username=\"M\xc3\xbcller\", realm=\"Ger\xe4t\", nonce=\"n\", ";
    assert!(head.windows(expected.len()).any(|window| window == expected), "{}", String::from_utf8_lossy(&head));
}

#[test]
fn credentials_with_a_line_end_are_never_sent() {
    let url = Url::parse("http://127.0.0.1:9/").unwrap();
    let credentials = Credentials { username: "a\r\nX: y".into(), password: "p".into() };
    let mut client = client(&url, Some(credentials));
    let offered = crate::digest::challenges("Digest realm=\"r\", nonce=\"n\"");
    client.authentication.challenged(offered, AllowedSchemes::All, &mut AnsweredChallenges::default()).unwrap();
    let result = client.build_request(&Method::GET, &[], None);
    assert_eq!(result.map(|_| ()), Err(HttpError::UnusableCredentials));
}
