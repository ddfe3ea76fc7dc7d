//! The words for each reason why TLS fails: the real reason, and the remedy.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use rcgen::{ExtendedKeyUsagePurpose, IsCa};

use super::openssl::Openssl;
use super::{CA, accepted, failure, fields, refusal};
use crate::support::{Authority, Flaw, ServerTls, params};

/// Certificates that are wrong in themselves or in their chain.
#[test]
fn certificates_and_chains() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("test CA");
    let ca_file = authority.ca_file(directory.path());
    let good = || authority.server(Flaw::None);
    let mut for_clients = params(&["localhost"], "acs");
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut critical = params(&["localhost"], "acs");
    let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    critical.custom_extensions.push(extension);
    // A certificate of the authority that signs another one, although it is that of a server.
    let server = authority.signs_authority(fields(IsCa::ExplicitNoCa, &["a.example"], "server CA"));
    let (own, _) = ServerTls::self_signed(&params(&["localhost"], "acs"));
    let intermediate = authority.signs_authority(fields(CA, &[], "intermediate CA"));
    for (tls, words) in [
        (good().with_key_of(&own), "the server does not have the private key of the certificate that it sends"),
        (authority.signs(&for_clients), "is not for TLS servers: its extended key usage lacks serverAuth"),
        (authority.signs(&critical), "has a critical extension that is not supported"),
        (own, "is self-signed, and not in "),
        (
            server.signs(&params(&["localhost"], "acs")),
            "is signed by a certificate that is not that of a CA (basicConstraints without CA:TRUE)",
        ),
        (
            intermediate.signs(&params(&["localhost"], "acs")).sends(1),
            "signed by no trusted root: CN=intermediate CA is not in ",
        ),
        (intermediate.signs(&params(&["localhost"], "acs")).sends(1), "; the server sends no intermediate certificate"),
        (Authority::new("test CA").server(Flaw::None), "the trusted certificate of CN=test CA has another key"),
        (authority.server(Flaw::WrongName), "is for another name: for elsewhere.example, and not for localhost"),
        (
            authority.server(Flaw::Expired),
            "has expired: it ended at 2001-01-01T00:00:00Z, and the clock of this device",
        ),
        (authority.server(Flaw::NotYetValid), "is not valid yet: it begins at 2999-01-01T00:00:00Z, and the clock"),
        // 64 kB, the limit of a message, on both sides of it.
        (good().padded(300), "sends a list of certificates of more than 64 kB"),
    ] {
        let reason = refusal(&ca_file, "localhost", tls);
        assert!(reason.contains(words), "{words}: {reason}");
    }
    accepted(&ca_file, "localhost", good().padded(60));
    accepted(&ca_file, "localhost", intermediate.signs(&params(&["localhost"], "acs")));
}

/// Keys and signatures that are too weak.
#[test]
fn weak_keys_and_signatures() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.self_signed("ca", "-newkey rsa:2048 -subj /CN=own");
    openssl.self_signed("short-ca", "-newkey rsa:1024 -subj /CN=short");
    openssl.self_signed("short-own", "-newkey rsa:1024 -addext subjectAltName=DNS:localhost");
    openssl.signed_by("ca", "short", "rsa:1024", "");
    openssl.signed_by("short-ca", "below", "rsa:2048", "");
    openssl.signed_by("ca", "sha1", "rsa:2048", "-sha1");
    openssl.signed_by("ca", "md5", "rsa:2048", "-md5");
    for (name, ca_file, words) in [
        ("short", "ca", "the certificate of the server is too weak: its RSA key has 1024 bits and needs 2048 to 8192"),
        (
            "short-own",
            "short-own",
            "the certificate of the server is too weak: its RSA key has 1024 bits and needs 2048 to 8192",
        ),
        ("below", "short-ca", "is signed by CN=short, whose RSA key has 1024 bits and needs 2048 to 8192"),
        ("sha1", "ca", "is signed with SHA-1, which is not supported: it needs RSA of 2048 bits or more"),
        ("md5", "ca", "is signed with MD5, which is not supported"),
    ] {
        let server = openssl.server(name, "-cipher DEFAULT:@SECLEVEL=0");
        let ca_file = openssl.file(&format!("{ca_file}.pem"));
        let reason = failure(&server.url(), &["--ca-file".as_ref(), ca_file.as_os_str()]);
        assert!(reason.contains(words), "{name}: {reason}");
    }
}

/// Servers without a version or a cipher that the agent accepts (R27, R28).
#[test]
fn old_versions_and_ciphers() {
    let Some(openssl) = Openssl::find() else { return };
    openssl.self_signed("own", "-newkey rsa:2048");
    let ca_file = openssl.file("own.pem");
    for (options, words) in [
        ("-tls1", "supports neither TLS 1.2 nor TLS 1.3"),
        ("-tls1_1", "supports neither TLS 1.2 nor TLS 1.3"),
        ("-tls1_2 -cipher AES128-SHA:@SECLEVEL=0", "has no cipher in common with this agent, which offers TLS 1.3"),
    ] {
        let cipher = if options.contains("-cipher") { "" } else { "-cipher DEFAULT:@SECLEVEL=0" };
        let server = openssl.server("own", &format!("{options} {cipher}"));
        let reason = failure(&server.url(), &["--ca-file".as_ref(), ca_file.as_os_str()]);
        assert!(reason.contains(words), "{options}: {reason}");
    }
}

/// Serves one reply to every connection, and returns the port.
fn replies(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(bytes);
        }
    });
    port
}

/// A URL with http for a port with TLS, and the reverse: the reason names the other scheme.
#[test]
fn the_wrong_scheme() {
    let expects_tls = "the server expects TLS on this port: the URL must begin with https://";
    let no_tls = "answers without TLS on this port; if it is plain HTTP, the URL must begin with http://";
    let nginx = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 57\r\n\r\nThe plain HTTP request was sent to HTTPS port, sorry: 400";
    for (scheme, bytes, words) in [
        ("http", &nginx[..], expects_tls),
        ("http", b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", expects_tls),
        ("http", b"HTTP/1.1 400 \r\n\r\nThis combination of host and port requires TLS.\r\n", expects_tls),
        ("http", b"\x15\x03\x01\x00\x02\x02\x46", expects_tls),
        ("http", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n", "HTTP status 400"),
        ("http", b"SSH-2.0-dropbear\r\n", "the server uses another protocol on this port"),
        ("https", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", no_tls),
        ("https", b"SSH-2.0-dropbear\r\n", no_tls),
        ("https", b"", "closed the connection while TLS was being set up: it expects no TLS on this port, or another"),
    ] {
        let reason = failure(&format!("{scheme}://localhost:{}/acs", replies(bytes)), &[]);
        assert!(reason.contains(words), "{scheme} {}: {reason}", String::from_utf8_lossy(bytes));
    }
}
