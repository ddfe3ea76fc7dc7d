use super::*;
use crate::connection_request::http_request::ParsedRequest;
use crate::connection_request::limits::Rate;
use crate::digest::{Challenge, basic, challenges};

const NOW: Duration = Duration::from_secs(1000);
const SECOND: Duration = Duration::from_secs(1);

/// An authenticator, its clock, and the address of the client.
struct Scene {
    authenticator: Authenticator,
    settings: AccessSettings,
    source: &'static str,
    now: Duration,
}

impl Scene {
    fn new() -> Scene {
        Scene::with(Limits::default())
    }

    fn with(limits: Limits) -> Scene {
        let settings = AccessSettings { username: "acs".into(), password: "secret".into(), path: "/right".into() };
        Scene {
            authenticator: Authenticator::new(limits, [3; 28], SharedBucket::default()),
            settings,
            source: "192.0.2.1",
            now: NOW,
        }
    }

    fn asks(&mut self, request_line: &str, authorization: Option<&str>) -> HttpResponse {
        let field = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
        let text = format!("{request_line}\r\nHost: h\r\n{field}\r\n");
        let ParsedRequest::Complete(head, _) = RequestHead::parse(text.as_bytes()) else { panic!("{text}") };
        let source = ClientNetwork::of(self.source.parse().unwrap());
        self.authenticator.respond(Ok(head), &self.settings, source, true, self.now)
    }

    fn gets(&mut self, authorization: Option<&str>) -> HttpResponse {
        self.asks("GET /right HTTP/1.1", authorization)
    }

    fn challenge(&mut self) -> DigestChallenge {
        let reply = self.gets(None);
        assert_eq!((reply.outcome, reply.persistent), (RequestOutcome::Challenged, true));
        challenge_in(&reply)
    }

    /// A challenge, and its right answer.
    fn succeeds(&mut self) -> RequestOutcome {
        let answer = right(&self.challenge());
        self.gets(Some(&answer)).outcome
    }
}

fn status(reply: &HttpResponse) -> u16 {
    str::from_utf8(&reply.bytes).unwrap()[9..12].parse().unwrap()
}

fn challenge_in(reply: &HttpResponse) -> DigestChallenge {
    let text = str::from_utf8(&reply.bytes).unwrap();
    let fields: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("WWW-Authenticate: ")).collect();
    assert_eq!((status(reply), fields.len()), (401, 1), "{text}"); // R258: a single one
    let mut found = challenges(fields[0]);
    match found.remove(0) {
        Challenge::Digest(digest) if found.is_empty() => digest,
        other => panic!("{other:?} {found:?}"),
    }
}

fn right(challenge: &DigestChallenge) -> String {
    challenge.answer("acs", "secret", "GET", "/right", "0a4f113b", 1)
}

/// R256, R258, R259.
#[test]
fn a_challenge_and_its_answer() {
    let mut scene = Scene::new();
    let challenge = scene.challenge();
    assert_eq!((challenge.algorithm, challenge.qop_auth, challenge.stale), (Some(Algorithm::Md5), true, false));
    assert!(challenge.opaque.is_some());
    let reply = scene.gets(Some(&right(&challenge)));
    assert_eq!(reply.outcome, RequestOutcome::Accepted);
    assert_eq!(
        str::from_utf8(&reply.bytes).unwrap(),
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
}

/// R256: with qop and without, MD5 and MD5-sess.
#[test]
fn takes_every_digest_that_an_acs_may_send() {
    for algorithm in [None, Some(Algorithm::Md5), Some(Algorithm::Md5Sess)] {
        for qop_auth in [true, false] {
            for opaque in [true, false] {
                let mut scene = Scene::new();
                let mut challenge = scene.challenge();
                (challenge.algorithm, challenge.qop_auth) = (algorithm, qop_auth);
                challenge.opaque = challenge.opaque.filter(|_| opaque);
                let answer = right(&challenge);
                assert_eq!(scene.gets(Some(&answer)).outcome, RequestOutcome::Accepted, "{answer}");
                let again = scene.gets(Some(&answer)); // R268
                assert_eq!((again.outcome, challenge_in(&again).stale), (RequestOutcome::Replayed, true));
            }
        }
    }
}

/// The digest of acsrs always covers "/"; the query has no meaning.
#[test]
fn a_digest_over_the_root_is_accepted() {
    let mut scene = Scene::new();
    for line in ["GET /right HTTP/1.1", "GET /right?a=b&c HTTP/1.1", "GET http://h:7547/right HTTP/1.1"] {
        let answer = scene.challenge().answer("acs", "secret", "GET", "/", "c", 1);
        assert_eq!(scene.asks(line, Some(&answer)).outcome, RequestOutcome::Accepted, "{line}");
    }
}

/// The octets of the name are compared, and `username*` of RFC 7616 is known.
#[test]
fn a_user_name_outside_ascii() {
    let mut scene = Scene::new();
    scene.settings.username = "S\u{fc}d".into();
    for charset_utf8 in [false, true] {
        let challenge = DigestChallenge { charset_utf8, ..scene.challenge() };
        let octets = crate::digest::header_octets(&challenge.answer("S\u{fc}d", "secret", "GET", "/right", "c", 1));
        let reply = scene.gets(Some(str::from_utf8(&octets).unwrap()));
        assert_eq!(reply.outcome, RequestOutcome::Accepted, "{charset_utf8}");
    }
}

/// RFC 7616 §3.4.6: a digest is good for the resource that it names.
#[test]
fn the_uri_of_the_digest_is_that_of_the_request() {
    use RequestOutcome::{Accepted, Unauthorized};
    for (target, uri, expected) in [
        ("/right", "/right", Accepted),
        ("/right", "http://192.0.2.1:7547/right", Accepted),
        ("http://h:7547/right", "/right", Accepted),
        ("/right?a=b", "/right?a=b", Accepted),
        ("/right?a=b", "https://h/right?a=b", Accepted),
        ("/right?a=b", "/right", Accepted),
        ("/right", "/else", Unauthorized),
        ("/right", "http://h/else", Unauthorized),
        ("/right", "/right/", Unauthorized),
        ("/right", "/?", Unauthorized),
        ("/right?a=b", "/right?a=c", Unauthorized),
        ("/right", "right", Unauthorized),
        ("/right", "*", Unauthorized),
    ] {
        let mut scene = Scene::new();
        let answer = scene.challenge().answer("acs", "secret", "GET", uri, "c", 1);
        let reply = scene.asks(&format!("GET {target} HTTP/1.1"), Some(&answer));
        assert_eq!(reply.outcome, expected, "{target} {uri}");
    }
}

/// R257.
#[test]
fn other_paths_and_methods_are_refused_even_with_right_credentials() {
    let mut scene = Scene::new();
    for path in ["/", "/righ", "/right/", "/Right", "/rightx", "/%72ight", "/x?/right"] {
        let answer = right(&scene.challenge());
        let reply = scene.asks(&format!("GET {path} HTTP/1.1"), Some(&answer));
        assert_eq!(
            (status(&reply), reply.outcome, reply.persistent),
            (404, RequestOutcome::WrongPath, false),
            "{path}"
        );
    }
    for method in ["HEAD", "POST", "PUT", "get", "OPTIONS"] {
        let answer = scene.challenge().answer("acs", "secret", method, "/right", "c", 1);
        let reply = scene.asks(&format!("{method} /right HTTP/1.1"), Some(&answer));
        assert_eq!((status(&reply), reply.outcome), (405, RequestOutcome::WrongMethod), "{method}");
        assert!(str::from_utf8(&reply.bytes).unwrap().contains("\r\nAllow: GET\r\n"));
    }
}

/// R256, R257: each of these is answered with a new challenge that is not stale.
#[test]
fn wrong_credentials_are_refused() {
    let mut scene = Scene::new();
    let challenge = scene.challenge();
    let other_realm = DigestChallenge { realm: "x".into(), ..challenge.clone() };
    let answered = |user: &str, password: &str, method| challenge.answer(user, password, method, "/right", "c", 1);
    for wrong in [
        basic("acs", "secret"),
        "Digest".into(),
        String::new(),
        "\u{e9}".into(),
        answered("acs", "Secret", "GET"),
        answered("Acs", "secret", "GET"),
        answered("acs", "", "GET"),
        answered("acs", "secret", "POST"),
        right(&challenge).replace("uri=\"/right\"", "uri=\"/wrong\""),
        right(&challenge).replace("nc=00000001", "nc=00000002"),
        right(&challenge).replace("qop=auth", "qop=auth-int"),
        right(&challenge).replace("algorithm=MD5", "algorithm=SHA-512"),
        other_realm.answer("acs", "secret", "GET", "/right", "c", 1),
    ] {
        let reply = scene.gets(Some(&wrong));
        assert_eq!((reply.outcome, challenge_in(&reply).stale), (RequestOutcome::Unauthorized, false), "{wrong}");
    }
    // None of them has used the nonce up.
    assert_eq!(scene.gets(Some(&right(&challenge))).outcome, RequestOutcome::Accepted);
}

/// R268.
#[test]
fn an_empty_password_refuses_all() {
    let mut scene = Scene::new();
    scene.settings.password = "".into();
    let answer = scene.challenge().answer("acs", "", "GET", "/right", "c", 1);
    assert_eq!(status(&scene.gets(Some(&answer))), 401);
    scene.settings.username = String::new();
    let answer = scene.challenge().answer("", "", "GET", "/right", "c", 1);
    assert_eq!(scene.gets(Some(&answer)).outcome, RequestOutcome::Unauthorized);
}

/// R268: and the client learns that it need not ask for another password.
#[test]
fn a_right_answer_to_an_old_or_foreign_nonce_is_stale() {
    let mut scene = Scene::new();
    let old = right(&scene.challenge());
    let mut foreign = scene.challenge();
    foreign.nonce = "0123456789abcdef".into();
    let mut opaque = scene.challenge();
    opaque.opaque = Some("x".into());
    scene.now += 61 * SECOND;
    for answer in [old, right(&foreign), right(&opaque)] {
        let reply = scene.gets(Some(&answer));
        assert_eq!((reply.outcome, reply.persistent), (RequestOutcome::Stale, true), "{answer}");
        let challenge = challenge_in(&reply);
        assert!(challenge.stale);
        assert_eq!(scene.gets(Some(&right(&challenge))).outcome, RequestOutcome::Accepted);
    }
}

/// R264: 503 without Retry-After; and R262: a burst gets its answers.
#[test]
fn accepted_requests_are_limited_for_a_source_and_in_all() {
    let accepted = Rate { burst: 5, every: SECOND };
    let accepted_per_network = Rate { burst: 3, every: 10 * SECOND };
    let mut scene = Scene::with(Limits { accepted, accepted_per_network, ..Limits::default() });
    let mut burst = |source| {
        scene.source = source;
        [(); 4].map(|()| scene.succeeds())
    };
    use RequestOutcome::{Accepted, RateLimited};
    assert_eq!(burst("192.0.2.1"), [Accepted, Accepted, Accepted, RateLimited]);
    assert_eq!(burst("192.0.2.2"), [Accepted, Accepted, RateLimited, RateLimited]);
    let answer = right(&scene.challenge());
    let reply = scene.gets(Some(&answer));
    assert_eq!((status(&reply), reply.persistent), (503, false));
    assert!(!str::from_utf8(&reply.bytes).unwrap().to_ascii_lowercase().contains("retry-after"));
    // A rate-limited request has used its nonce up and is not accepted later.
    scene.now += 30 * SECOND;
    assert_eq!(scene.gets(Some(&answer)).outcome, RequestOutcome::Replayed);
    assert_eq!(scene.succeeds(), Accepted);
}

/// R265: right requests from the same address are not slowed down.
#[test]
fn guessing_is_slowed_down_and_nothing_else() {
    let mut scene = Scene::new();
    let wrong = scene.challenge().answer("acs", "guess", "GET", "/right", "c", 1);
    let burst = Limits::default().failures_per_network.burst;
    for _ in 0..burst {
        let reply = scene.gets(Some(&wrong));
        assert_eq!((status(&reply), reply.delay, reply.persistent), (401, Duration::ZERO, true));
    }
    for _ in 0..1000 {
        let reply = scene.gets(Some(&wrong));
        assert_eq!((status(&reply), reply.delay, reply.persistent), (401, Limits::default().penalty, false));
    }
    let answer = right(&scene.challenge());
    let reply = scene.gets(Some(&answer));
    assert_eq!((reply.outcome, reply.delay), (RequestOutcome::Accepted, Duration::ZERO));
    scene.source = "192.0.2.2";
    assert_eq!(scene.gets(Some(&wrong)).delay, Duration::ZERO);
}

#[test]
fn the_connection_goes_on_only_where_the_next_request_can_be_found() {
    let mut scene = Scene::new();
    for (line, persistent) in [
        ("GET /right HTTP/1.1", true),
        ("GET /right HTTP/1.0", false),
        ("GET /right HTTP/1.1\r\nConnection: close", false),
        ("GET /right HTTP/1.1\r\nContent-Length: 3", true),
        ("GET /right HTTP/1.1\r\nTransfer-Encoding: chunked", false),
    ] {
        let reply = scene.asks(line, None);
        let text = str::from_utf8(&reply.bytes).unwrap();
        assert_eq!((status(&reply), reply.persistent), (401, persistent), "{line}");
        assert!(text.contains(if persistent { "Connection: keep-alive" } else { "Connection: close" }), "{text}");
    }
}
