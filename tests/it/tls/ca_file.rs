//! The trust in the certificates of the CA file: each one as itself, and as the issuer of others.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, NameConstraints, date_time_ymd};

use super::openssl::Openssl;
use super::{CA, accepted, acs_of, failure, fields, refusal};
use crate::gateway::{SOON, gateway_at};
use crate::support::{Authority, ServerTls, params};

fn file(directory: &Path, pem: &str) -> PathBuf {
    let path = directory.join("ca.pem");
    fs::write(&path, pem).expect("a file");
    path
}

/// A certificate that a small ACS has signed for itself is trusted where the CA file has it, whichever fields it has.
#[test]
fn a_certificate_in_the_file_is_trusted_itself() {
    let of_ca = |is_ca| fields(is_ca, &["localhost", "127.0.0.1"], "acs");
    let mut for_clients = params(&["localhost", "127.0.0.1"], "acs");
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for certificate in [of_ca(CA), of_ca(IsCa::ExplicitNoCa), of_ca(IsCa::NoCa), for_clients, params(&[], "LOCALHOST")]
    {
        let directory = tempfile::tempdir().expect("a directory");
        let (server, pem) = ServerTls::self_signed(&certificate);
        let other = Authority::new("another CA");
        // The position in the file does not matter.
        let ca_file = file(directory.path(), &format!("{}{pem}", other.pem()));
        accepted(&ca_file, "localhost", server.clone());
        accepted(&ca_file, "localhost", server.tls12());
    }
}

/// The certificates that the command line of openssl makes: RSA keys, version 1, and a signature by SHA-1.
#[test]
fn certificates_of_openssl_are_trusted_themselves() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.self_signed("default", "-newkey rsa:2048");
    openssl.self_signed("sha1", "-newkey rsa:2048 -sha1 -addext subjectAltName=DNS:localhost");
    openssl.run("req -new -subj /CN=localhost -nodes -newkey rsa:2048 -keyout v1.key -out v1.csr");
    openssl.run("x509 -req -in v1.csr -signkey v1.key -days 3650 -out v1.pem");
    for name in ["default", "sha1", "v1"] {
        let certificate = openssl.file(&format!("{name}.pem"));
        let server = ServerTls::of_files(&certificate, &openssl.file(&format!("{name}.key")));
        accepted(&certificate, "localhost", server.clone());
        accepted(&certificate, "localhost", server.tls12());
    }
}

/// The name and the dates of a certificate in the file are checked, and the proof that the server has its key.
#[test]
fn a_certificate_in_the_file_is_still_checked() {
    let directory = tempfile::tempdir().expect("a directory");
    let of_ca = |names: &[&str], common_name| fields(CA, names, common_name);
    let mut expired = of_ca(&["localhost"], "acs");
    expired.not_after = date_time_ymd(2001, 1, 1);
    let mut early = of_ca(&["localhost"], "acs");
    early.not_before = date_time_ymd(2999, 1, 1);
    for (certificate, host, words) in [
        (of_ca(&["elsewhere.example"], "localhost"), "localhost", "is for another name: for elsewhere.example"),
        (of_ca(&[], "elsewhere.example"), "localhost", "is for another name: it has no subjectAltName"),
        (of_ca(&[], "127.0.0.1"), "127.0.0.1", "it needs the IP address 127.0.0.1 in a subjectAltName"),
        (expired, "localhost", "has expired: it ended at 2001-01-01T00:00:00Z, and the clock of this device shows 20"),
        (early, "localhost", "is not valid yet: it begins at 2999-01-01T00:00:00Z, and the clock"),
    ] {
        let (server, pem) = ServerTls::self_signed(&certificate);
        let reason = refusal(&file(directory.path(), &pem), host, server);
        assert!(reason.contains(words), "{reason}");
    }
    for version in [ServerTls::sends as fn(ServerTls, usize) -> ServerTls, |server, _| server.tls12()] {
        let (server, pem) = ServerTls::self_signed(&of_ca(&["localhost"], "acs"));
        let (thief, _) = ServerTls::self_signed(&of_ca(&["localhost"], "acs"));
        let reason = refusal(&file(directory.path(), &pem), "localhost", version(server.with_key_of(&thief), 1));
        assert_eq!(reason, "the server does not have the private key of the certificate that it sends");
        // The same names and dates, and another key.
        let reason = refusal(&file(directory.path(), &pem), "localhost", version(thief, 1));
        assert!(reason.contains("is self-signed, and not in ") && reason.contains("ca.pem"), "{reason}");
    }
}

/// A certificate that is no CA signs no other, although the file has it.
#[test]
fn a_server_certificate_in_the_file_signs_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::of(fields(IsCa::ExplicitNoCa, &["a.example"], "server"));
    let server = authority.signs(&params(&["localhost"], "acs"));
    let ca_file = authority.ca_file(directory.path());
    for (sent, words) in [
        (1, "signed by no trusted root: CN=server is not in "),
        (2, "is signed by a certificate that is not that of a CA"),
    ] {
        let reason = refusal(&ca_file, "localhost", server.clone().sends(sent));
        assert!(reason.contains(words), "{reason}");
    }
}

/// R30: the common name counts under a CA of the file, where the certificate has no subjectAltName. An address must be in
/// a subjectAltName.
#[test]
fn the_common_name_counts_without_a_subject_alt_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("test CA");
    let ca_file = authority.ca_file(directory.path());
    accepted(&ca_file, "localhost", authority.signs(&params(&[], "LocalHost")));
    for (fields, host, words) in [
        (params(&[], "acs.example"), "localhost", "only the common name acs.example, and is not for localhost"),
        (params(&[], "127.0.0.1"), "127.0.0.1", "needs the IP address 127.0.0.1 in a subjectAltName"),
        (
            params(&["acs.example"], "localhost"),
            "localhost",
            "for another name: for acs.example, and not for localhost",
        ),
        (params(&["192.0.2.1"], "localhost"), "localhost", "for another name: for 192.0.2.1, and not for localhost"),
    ] {
        let reason = refusal(&ca_file, host, authority.signs(&fields));
        assert!(reason.contains(words), "{reason}");
    }
}

/// A CA that may only sign for some names vouches for no common name, to which its constraint would not apply.
#[test]
fn a_ca_with_name_constraints_vouches_for_no_common_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut certificate = fields(CA, &[], "constrained CA");
    let permitted_subtrees = vec![GeneralSubtree::DnsName("example.org".into())];
    certificate.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    let constrained = Authority::of(certificate);
    let ca_file = constrained.ca_file(directory.path());
    let reason = refusal(&ca_file, "localhost", constrained.signs(&params(&[], "localhost")));
    assert!(reason.contains("has no subjectAltName, only the common name localhost"), "{reason}");
    let reason = refusal(&ca_file, "localhost", constrained.signs(&params(&["localhost"], "localhost")));
    assert!(reason.contains("has a name that its CA must not sign"), "{reason}");
}

/// Without a CA file neither rule holds: the roots of the system sign every server, and only subjectAltName names it.
#[test]
fn the_roots_of_the_system_are_no_ca_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("a root of the system");
    let own = fields(CA, &["localhost"], "acs");
    let (own, pem) = ServerTls::self_signed(&own);
    // The roots of the system are those of SSL_CERT_FILE.
    let roots = file(directory.path(), &format!("{}{pem}", authority.pem()));
    for (tls, words) in [
        (authority.signs(&params(&[], "localhost")), "which counts under a CA of --ca-file (caFile) alone"),
        (own, "put this certificate itself into the file of --ca-file (caFile)"),
    ] {
        let acs = acs_of(tls);
        let agent = gateway_at(&acs.url_at("localhost")).env("SSL_CERT_FILE", &roots.display().to_string()).start();
        let line = agent.wait_for_log("session failed: no secure connection: ", SOON);
        assert!(line.contains(words), "{line}");
    }
    let mut acs = acs_of(authority.signs(&params(&["localhost"], "acs")));
    let _agent = gateway_at(&acs.url_at("localhost")).env("SSL_CERT_FILE", &roots.display().to_string()).start();
    acs.session(SOON).expect_complete();
    let reason =
        failure(&acs_of(Authority::new("test CA").signs(&params(&["localhost"], "acs"))).url_at("localhost"), &[]);
    assert!(
        reason.contains("CN=test CA is not among the roots of the system, and --ca-file (caFile) names"),
        "{reason}"
    );
}
