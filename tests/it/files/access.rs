//! Challenges, redirects and TLS.

use super::attempt::{Attempt, SIZE, serving};
use crate::support::{Algorithm, FileServer, FileServerOptions, FileSpec, basic, digest, other_scheme, pattern};

/// R65, R61: a download answers the challenge that the file server offers.
#[test]
fn challenges_are_answered() {
    let algorithms = [Algorithm::Unnamed, Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess];
    let mut offers: Vec<Vec<_>> = algorithms.map(|algorithm| vec![digest().algorithm(algorithm)]).into();
    offers.push(vec![digest().qop("auth,auth-int").opaque("o/p==")]);
    offers.push(vec![digest().qop("")]);
    offers.push(vec![basic()]);
    offers.push(vec![other_scheme("Negotiate"), basic(), digest()]);
    for offered in offers {
        let options = FileServerOptions::new().challenges(&offered, "cpe", "s3cret");
        for options in [options.clone(), options.clone().closes_silently(), options.forgets_nonces()] {
            let server = FileServer::start(options);
            server.serves("/a@b/fw.bin", FileSpec::sized(SIZE).drops_after(100_000).times(1));
            assert!(Attempt::at(&server.url("/a@b/fw.bin?x=%20y")).content() == pattern(SIZE));
            assert_eq!(server.requests()[0].header("Authorization"), None);
        }
    }
}

/// A user name outside ASCII, by both schemes.
#[test]
fn credentials_outside_ascii() {
    for challenge in [digest().realm("Ger\u{e4}t"), basic()] {
        let server = FileServer::start(FileServerOptions::new().challenges(&[challenge], "M\u{fc}ller", "s3cret"));
        server.serves("/f", FileSpec::file("content"));
        let mut attempt = Attempt::at(&server.url("/f"));
        attempt.request.username = "M\u{fc}ller".into();
        assert_eq!(attempt.content(), b"content");
    }
}

/// A download fails with 9012 if credentials are missing or wrong; the text tells which.
#[test]
fn refused_credentials() {
    for options in [FileServerOptions::new().basic("cpe", "other"), FileServerOptions::new().digest("cpe", "other")] {
        let server = FileServer::start(options);
        server.serves("/f", FileSpec::file("x"));
        let mut attempt = Attempt::at(&server.url("/f"));
        let refused = "the server refused the user name or the password: \"who are you?\"";
        assert_eq!(attempt.failure(), (9012, refused.into()));
        assert_eq!(server.requests().len(), 2);
        attempt.request.username.clear();
        assert_eq!(attempt.failure(), (9012, "the file server asks for a user name, and none was given".into()));
        assert_eq!(server.requests().len(), 3);
    }
}

/// A download follows redirects.
#[test]
fn redirects_are_followed() {
    for status in [301, 302, 303, 307, 308] {
        let (server, attempt) = serving(FileSpec::redirect(status, "../dir/./there?x=1"));
        server.serves("/dir/there", FileSpec::file("content"));
        assert_eq!(attempt.content(), b"content");
        assert_eq!(server.requests()[1].target, "/dir/there?x=1");
        assert_eq!(server.connections(), 1);
    }
    let chain = |length: usize| {
        let (server, attempt) = serving(FileSpec::redirect(302, "/1"));
        for at in 1..length {
            server.serves(&format!("/{at}"), FileSpec::redirect(302, &format!("/{}", at + 1)));
        }
        server.serves(&format!("/{length}"), FileSpec::file("content"));
        (server, attempt)
    };
    assert_eq!(chain(5).1.content(), b"content");
    assert_eq!(chain(6).1.failure(), (9010, "a redirect was not followed: too many in a row".into()));
}

/// A download fails on a redirect loop and on an unusable target.
#[test]
fn redirects_that_lead_nowhere() {
    for location in ["/fw.bin", "ftp://127.0.0.1/fw.bin?key=4711", "http://u:4711@127.0.0.1:0/", "http://"] {
        let (_server, attempt) = serving(FileSpec::redirect(302, location));
        let (code, sentence) = attempt.failure();
        assert!(code == 9010 && !sentence.contains("4711"), "{location}: {code} {sentence}");
    }
    assert_eq!(serving(FileSpec::status(302)).1.failure().0, 9010);
}

/// R52, R65: a portal that sets a cookie and redirects gets it back, also when the download goes on after a break. Another host
/// does not get it.
#[test]
fn a_cookie_of_a_portal_goes_back_to_it() {
    let (server, attempt) = serving(FileSpec::redirect(302, "/login").then(FileSpec::redirect(302, "/store/fw.bin")));
    let login = FileSpec::redirect(302, "/fw.bin").header("Set-Cookie", "ticket=\"a b\"; Path=/login; HttpOnly");
    server.serves("/login", login);
    server.serves("/store/fw.bin", FileSpec::sized(SIZE).etag("\"1\"").drops_after(100_000).times(1));
    assert!(attempt.content() == pattern(SIZE));
    let cookies: Vec<Option<String>> =
        server.requests().iter().map(|request| request.header("Cookie").map(str::to_owned)).collect();
    let ticket = Some("ticket=\"a b\"".to_owned());
    let (before, after) = cookies.split_at(2);
    assert_eq!(before, [None, None]);
    assert!(after.len() == 4 && after.iter().all(|cookie| *cookie == ticket), "{cookies:?}");

    for (host, is_sent) in [("localhost", false), ("127.0.0.1", true)] {
        let other = FileServer::start(FileServerOptions::new());
        other.serves("/f", FileSpec::file("content"));
        let there = FileSpec::redirect(302, &other.url_of_host(host, "/f"));
        let (_server, attempt) = serving(there.header("Set-Cookie", "ticket=1").header("Set-Cookie", "x=2; Domain=h"));
        assert_eq!(attempt.content(), b"content");
        assert_eq!(other.requests()[0].header("Cookie"), is_sent.then_some("ticket=1"), "{host}");
    }
}

/// The password is not sent in clear text to another server than the one in the request.
#[test]
fn another_host_does_not_get_the_password() {
    let other = FileServer::start(FileServerOptions::new().basic("cpe", "s3cret"));
    other.serves("/f", FileSpec::file("content"));
    let (_server, attempt) = serving(FileSpec::redirect(307, &other.url_of_host("localhost", "/f")));
    let (code, sentence) = attempt.failure();
    assert_eq!(code, 9012, "{sentence}");
    assert!(other.requests().iter().all(|request| request.header("Authorization").is_none()));

    let other = FileServer::start(FileServerOptions::new().digest("cpe", "s3cret"));
    other.serves("/f", FileSpec::file("content"));
    let (_server, attempt) = serving(FileSpec::redirect(307, &other.url_of_host("localhost", "/f")));
    assert_eq!(attempt.content(), b"content");
}

#[cfg(feature = "tls")]
mod over_tls {
    use super::*;
    use crate::support::{Authority, Flaw, ServerTls, params};

    fn trusting(authority: &Authority, url: &str) -> Attempt {
        let mut attempt = Attempt::at(url);
        attempt.request.tls.ca_file = Some(authority.ca_file(attempt.directory.path()));
        attempt
    }

    fn secure(authority: &Authority, flaw: Flaw) -> FileServer {
        let server = FileServer::start(FileServerOptions::new().tls(authority.server(flaw)).basic("cpe", "s3cret"));
        server.serves("/f", FileSpec::sized(SIZE).until_close().drops_after(100_000).times(1).etag("\"1\""));
        server
    }

    /// R30, R32, R65: the certificate of a file server is verified as that of an ACS.
    #[test]
    fn tls_is_verified_as_towards_the_acs() {
        let authority = Authority::new("test CA");
        // The end of the connection is the end of the file only after the close_notify of TLS.
        let server = secure(&authority, Flaw::None);
        assert!(trusting(&authority, &server.url("/f")).content() == pattern(SIZE));
        assert_eq!(server.ranges().last(), Some(&Some("bytes=100000-".into())));

        for flaw in [Flaw::WrongName, Flaw::Expired, Flaw::NotYetValid, Flaw::OnlyCommonName] {
            let server = secure(&authority, flaw);
            let (code, sentence) = trusting(&authority, &server.url("/f")).failure();
            assert!(code == 9015 && sentence.starts_with("no secure connection: "), "{code} {sentence}");
            assert!(server.requests().is_empty());
        }
        let server = secure(&authority, Flaw::None);
        assert_eq!(trusting(&Authority::new("other CA"), &server.url("/f")).failure().0, 9015);
        assert!(server.requests().is_empty());

        let server = secure(&authority, Flaw::Expired);
        let mut attempt = trusting(&authority, &server.url("/f"));
        attempt.request.clock_is_set = false;
        assert!(attempt.content() == pattern(SIZE));
    }

    /// The rules of the CA file hold for a file server as for an ACS: a certificate that is in it, and a common name.
    #[test]
    fn the_rules_of_the_ca_file_hold() {
        let authority = Authority::new("test CA");
        let (own, pem) = ServerTls::self_signed(&params(&["localhost"], "file server"));
        for (tls, pem) in [(own, &pem), (authority.signs(&params(&[], "localhost")), &authority.pem().to_owned())] {
            let server = FileServer::start(FileServerOptions::new().tls(tls).basic("cpe", "s3cret"));
            server.serves("/f", FileSpec::file("content"));
            let url = server.url_of_host("localhost", "/f");
            let mut attempt = Attempt::at(&url);
            let ca_file = attempt.directory.path().join("ca.pem");
            std::fs::write(&ca_file, pem).expect("a file");
            attempt.request.tls.ca_file = Some(ca_file);
            assert_eq!(attempt.content(), b"content");
            let (code, sentence) = trusting(&Authority::new("another CA"), &url).failure();
            assert!(
                code == 9015 && sentence.contains(" is not in ") | sentence.contains(", and not in "),
                "{sentence}"
            );
        }
    }

    /// A password for a server with TLS is not sent without TLS after a redirect.
    #[test]
    fn a_redirect_away_from_tls_does_not_take_the_password_along() {
        let authority = Authority::new("test CA");
        for challenge in [basic(), digest()] {
            let open = FileServer::start(FileServerOptions::new().challenges(&[challenge], "cpe", "s3cret"));
            open.serves("/f", FileSpec::file("content"));
            let server = secure(&authority, Flaw::None);
            server.serves("/f", FileSpec::redirect(302, &open.url("/f")));
            assert_eq!(trusting(&authority, &server.url("/f")).failure().0, 9012);
            assert!(open.requests().iter().all(|request| request.header("Authorization").is_none()));
        }
    }

    /// An upload over TLS succeeds.
    #[test]
    fn an_upload_over_tls() {
        let authority = Authority::new("test CA");
        let large = pattern(4 << 20);
        for challenge in [digest(), basic()] {
            let options = FileServerOptions::new().tls(authority.server(Flaw::None));
            let server = FileServer::start(options.challenges(&[challenge], "cpe", "s3cret").hasty());
            trusting(&authority, &server.url("/log")).upload(&large).expect("the right password");
            assert!(server.uploaded("/log") == Some(large.clone()));
            assert_eq!(server.requests().len(), 2);
        }
    }
}
