//! The client over TLS, with a CA of the tests' own making.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::*;

/// A CA and the directory of its files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

/// A certificate and its key, both PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Authority {
        Authority::named("the CA of the tests")
    }

    fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, directory }
    }

    fn sign(&self, names: &[&str]) -> Identity {
        self.sign_for(names, 2020, 2100)
    }

    fn sign_for(&self, names: &[&str], from: i32, to: i32) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        Identity { certificate: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }

    /// An intermediate CA below this one; the chain goes out leaf first.
    fn sign_through_intermediate(&self, names: &[&str], from: i32, to: i32) -> Identity {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "intermediate");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::signed_by(params, key, &self.issuer).unwrap();
        let intermediate = issuer.pem();
        let directory = tempfile::tempdir().unwrap();
        let mut leaf = Authority { issuer, directory }.sign_for(names, 2020, 2021);
        leaf.certificate += &intermediate;
        leaf
    }

    fn file(&self, name: &str, contents: &str) -> PathBuf {
        let file = self.directory.path().join(name);
        fs::write(&file, contents).unwrap();
        file
    }

    fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn trusted(&self, server: &Server, host: &str) -> AcsSettings {
        let mut settings = settings(&format!("https://{host}:{}/acs", server.address.port()));
        settings.tls.ca_file = Some(self.ca_file());
        settings
    }
}

fn server(script: Vec<Vec<Step>>, identity: &Identity, clients: Option<&Path>) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let signing = provider.key_provider;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            )
        }
    };
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    // Not `with_single_cert`, which would refuse the worst of them here already.
    let key = signing.load_private_key(key).unwrap();
    let certified = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let config = Arc::new(builder.with_cert_resolver(Arc::new(certified)));
    Server::start_with(script, move |stream| Goodbye {
        stream: StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream),
    })
}

/// A TLS stream that ends with close_notify, as TLS requires.
struct Goodbye {
    stream: StreamOwned<ServerConnection, TcpStream>,
}

impl std::io::Read for Goodbye {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl std::io::Write for Goodbye {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

impl Drop for Goodbye {
    fn drop(&mut self) {
        self.stream.conn.send_close_notify();
        let _ = self.stream.conn.write_tls(&mut self.stream.sock);
    }
}

/// Sends one POST to a server with this identity. An error is returned as the text that the operator reads.
fn post_to(
    ca: &Authority,
    identity: &Identity,
    host: &str,
    change: impl Fn(&mut AcsSettings),
) -> Result<String, String> {
    let server = server(vec![vec![ok("in")]], identity, None);
    let mut settings = ca.trusted(&server, host);
    change(&mut settings);
    let result = AcsConnection::open(settings).and_then(|mut acs| acs.post(b"<inform/>"));
    if result.is_ok() {
        assert_eq!(server.requests().len(), 1);
    }
    match result {
        Ok(response) => Ok(body(Ok(response))),
        Err(HttpError::Tls(reason)) => Err(reason),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_session_over_tls_with_digest_and_reconnects() {
    let ca = Authority::new();
    let identity = ca.sign(&["localhost"]);
    let large = "x".repeat(90_000);
    let script = vec![
        vec![status("401 Unauthorized", &[MD5]), ok("1"), ok(&large), Step::Close],
        vec![respond("HTTP/1.1 200 OK\r\n\r\nuntil the end"), Step::Close],
        vec![ok("3")],
    ];
    let server = server(script, &identity, None);
    let mut acs = AcsConnection::open(ca.trusted(&server, "localhost")).unwrap();
    assert_eq!(body(acs.post(b"<inform/>")), "1");
    let sent: Vec<u8> = (0..700_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    assert_eq!(body(acs.post(&sent)), large);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(body(acs.post(b"")), "until the end");
    assert_eq!(body(acs.post(b"")), "3");
    drop(acs);
    let requests = server.requests();
    let connections: Vec<_> = requests.iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1, 2]);
    assert!(requests[2].body == sent);
}

#[test]
fn basic_can_begin_unasked_over_tls() {
    let ca = Authority::new();
    let server = server(vec![vec![ok("in")]], &ca.sign(&["localhost"]), None);
    let mut acs = AcsConnection::open(ca.trusted(&server, "localhost")).unwrap();
    acs.assume_basic();
    assert_eq!(body(acs.post(b"<inform/>")), "in");
    drop(acs);
    assert!(server.requests()[0].header("Authorization").is_some());
}

#[test]
fn names_and_addresses_are_checked() {
    let ca = Authority::new();
    let same = |_: &mut AcsSettings| {};
    let both = ca.sign(&["localhost", "127.0.0.1"]);
    assert_eq!(post_to(&ca, &both, "localhost", same), Ok("in".into()));
    assert_eq!(post_to(&ca, &both, "127.0.0.1", same), Ok("in".into()));
    for (names, host) in [("acs.example", "localhost"), ("localhost", "127.0.0.1")] {
        assert_eq!(
            post_to(&ca, &ca.sign(&[names]), host, same),
            Err(format!("the certificate of {host} is for another name: for {names}, and not for {host}"))
        );
    }
}

#[test]
fn only_trusted_roots_count() {
    let ca = Authority::new();
    // Another root, and one that only bears the name of ours.
    for other in [Authority::named("another CA"), Authority::new()] {
        for clock_is_set in [true, false] {
            let reason = post_to(&ca, &other.sign(&["localhost"]), "localhost", |settings| {
                settings.clock_is_set = clock_is_set;
            })
            .unwrap_err();
            assert!(reason.contains("is signed by no trusted root"), "{reason}");
        }
    }
}

/// R32.
#[test]
fn dates_count_once_the_clock_is_set_and_nothing_else_is_let_go_before() {
    let ca = Authority::new();
    let past = ca.sign_for(&["localhost"], 2001, 2002);
    let future = ca.sign_for(&["localhost"], 2098, 2099);
    // The leaf is valid in 2020, its issuer from 2020 to 2050 or, elsewhere, later than the leaf.
    let chain = ca.sign_through_intermediate(&["localhost"], 2020, 2050);
    let never = ca.sign_through_intermediate(&["localhost"], 2022, 2050);
    let with_clock = |identity| post_to(&ca, identity, "localhost", |_| {});
    let without = |identity| post_to(&ca, identity, "localhost", |s| s.clock_is_set = false);

    for expired in [&past, &chain] {
        let reason = with_clock(expired).unwrap_err();
        assert!(reason.contains("has expired"), "{reason}");
    }
    let reason = with_clock(&future).unwrap_err();
    assert!(reason.contains("is not valid yet"), "{reason}");

    for identity in [&past, &future, &chain] {
        assert_eq!(without(identity), Ok("in".into()));
    }
    assert!(without(&never).is_err());
    let reason = without(&ca.sign_for(&["acs.example"], 2001, 2002)).unwrap_err();
    assert!(reason.contains("for another name"), "{reason}");
}

/// A certificate of version 1 counts where it is itself in the CA file. Its name and its dates are still checked.
#[test]
fn a_certificate_of_version_1_counts_by_itself_alone() {
    let ca = Authority::new();
    let version_1 =
        Identity { certificate: include_str!("x509-v1.pem").to_owned(), key: include_str!("x509-v1.key").to_owned() };
    for clock_is_set in [true, false] {
        let pinned = post_to(&ca, &version_1, "localhost", |settings| {
            settings.clock_is_set = clock_is_set;
            settings.tls.ca_file = Some(ca.file("v1.pem", &version_1.certificate));
        });
        assert_eq!(pinned, Ok("in".into()));
        let reason =
            post_to(&ca, &version_1, "localhost", |settings| settings.clock_is_set = clock_is_set).unwrap_err();
        assert!(reason.contains("X.509 version 1") && reason.contains("--ca-file (caFile)"), "{reason}");
    }
}

#[test]
fn a_client_certificate_is_shown_where_asked_for() {
    let ca = Authority::new();
    let ours = ca.sign(&["00D09E-4711"]);
    let server = server(vec![vec![ok("in")]], &ca.sign(&["localhost"]), Some(&ca.ca_file()));
    let mut settings = ca.trusted(&server, "localhost");
    settings.tls.client_cert = Some(ca.file("client.pem", &ours.certificate));
    settings.tls.client_key = Some(ca.file("client.key", &ours.key));
    let mut acs = AcsConnection::open(settings).unwrap();
    assert_eq!(body(acs.post(b"<inform/>")), "in");
    drop(acs);
    server.requests();
}

#[test]
fn a_missing_client_certificate_is_told() {
    let ca = Authority::new();
    let identity = ca.sign(&["localhost"]);
    let server = server(vec![vec![ok("in")]], &identity, Some(&ca.ca_file()));
    let mut acs = AcsConnection::open(ca.trusted(&server, "localhost")).unwrap();
    let error = acs.post(b"<inform/>").unwrap_err();
    assert!(matches!(error, HttpError::Tls(_)), "{error:?}");
    assert!(error.to_string().contains("asks for a client certificate, and none is configured"), "{error}");
}

#[test]
fn wrong_files_are_named() {
    let ca = Authority::new();
    let ours = ca.sign(&["client"]);
    let good = ca.file("good.pem", &ours.certificate);
    let key = ca.file("good.key", &ours.key);
    let other_key = ca.file("other.key", &ca.sign(&["other"]).key);
    let empty = ca.file("empty.pem", "nothing\n");
    let broken = ca.file("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let cut = ca.file("cut.pem", &ours.certificate[..100]);
    let missing = ca.directory.path().join("missing.pem");

    let complaint = |ca_file: &PathBuf, cert: Option<&PathBuf>, key: Option<&PathBuf>| {
        let mut settings = settings("https://127.0.0.1:1/");
        settings.tls =
            TlsSettings { ca_file: Some(ca_file.clone()), client_cert: cert.cloned(), client_key: key.cloned() };
        match AcsConnection::open(settings).unwrap().connect() {
            Err(HttpError::Tls(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let roots = ca.ca_file();
    for (reason, words) in [
        (complaint(&missing, None, None), "missing.pem cannot be read"),
        (complaint(&empty, None, None), "empty.pem holds no PEM certificate"),
        (complaint(&broken, None, None), "certificate 1 of"),
        (complaint(&cut, None, None), "cut.pem is not a valid PEM file"),
        (complaint(&roots, Some(&good), None), "--client-key"),
        (complaint(&roots, None, Some(&key)), "--client-cert"),
        (complaint(&roots, Some(&good), Some(&empty)), "empty.pem holds no PEM key"),
        (complaint(&roots, Some(&good), Some(&other_key)), "other.key is not the key of the certificate in"),
    ] {
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn a_redirect_leads_to_tls_and_back() {
    let ca = Authority::new();
    let back = Server::start(vec![vec![ok("back")]]);
    let home = format!("Location: http://localhost:{}/", back.address.port());
    let secure = server(
        vec![vec![
            status("401 Unauthorized", &["WWW-Authenticate: Basic realm=acs"]),
            ok("secure"),
            status("302 Found", &[&home]),
        ]],
        &ca.sign(&["localhost"]),
        None,
    );
    let there = format!("Location: https://localhost:{}/", secure.address.port());
    let plain = Server::start(vec![vec![status("307 Temporary Redirect", &[&there])]]);

    let mut settings = ca.trusted(&plain, "127.0.0.1");
    settings.url = plain.url();
    let mut acs = AcsConnection::open(settings).unwrap();
    // Over TLS, the password may be sent to another host by Basic.
    assert_eq!(body(acs.post(b"<inform/>")), "secure");
    assert_eq!(body(acs.post(b"<x/>")), "back");
    drop(acs);
    assert_eq!(plain.requests().len(), 1);
    assert!(secure.requests()[1].header("Authorization").is_some());
    assert_eq!(back.requests()[0].header("Authorization"), None);
}

#[test]
fn plain_http_on_a_tls_port_and_a_cut_are_told() {
    let ca = Authority::new();
    let plain = Server::start(vec![vec![Step::Say("HTTP/1.0 400 Bad Request\r\n\r\n".into())]]);
    let mut acs = AcsConnection::open(ca.trusted(&plain, "localhost")).unwrap();
    let error = acs.connect().unwrap_err();
    assert!(error.to_string().contains("answers without TLS on this port; if it is plain HTTP"), "{error}");

    let closing = Server::start(vec![vec![Step::Close]]);
    let mut acs = AcsConnection::open(ca.trusted(&closing, "localhost")).unwrap();
    let error = acs.connect().unwrap_err();
    assert!(error.to_string().contains("while TLS was being set up"), "{error}");

    let silent = Server::start(vec![vec![Step::Pause(TIMEOUT)]]);
    let mut settings = ca.trusted(&silent, "localhost");
    settings.timeout = Duration::from_millis(300);
    let error = AcsConnection::open(settings).unwrap().connect().unwrap_err();
    assert_eq!(error, HttpError::Timeout("setting up TLS"));
}
