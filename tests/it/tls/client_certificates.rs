//! Client certificates (R33) that cannot be used, and those that a server rejects.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rcgen::date_time_ymd;

use super::openssl::Openssl;
use super::{acs_of, failure};
use crate::gateway::gateway_at;
use crate::support::{Authority, Flaw, params};

/// Returns the output of `check` for these files, which it refuses.
fn check(certificate: &Path, key: &Path) -> String {
    let files = ["--client-cert".as_ref(), certificate.as_os_str(), "--client-key".as_ref(), key.as_os_str()];
    let output = gateway_at("https://acs.example/").args(&files).run_to_end("check");
    assert!(!output.status.success());
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// `check` names the wrong file by its option and its key, and the reason.
#[test]
fn files_that_cannot_be_used() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let authority = Authority::new("test CA");
    let (certificate, key) = authority.client_files("gateway", directory.path());
    let pem = fs::read_to_string(&certificate).expect("PEM");
    let write = |name: &str, text: &str| fs::write(path(name), text).expect("a file");
    write("reversed.pem", &format!("{}{pem}", authority.pem()));
    write("cut.pem", &pem[..200]);
    write("odd.pem", &pem.replace('M', "!"));
    for (certificate, option, words) in [
        (path("reversed.pem"), "--client-cert (clientCert)", "the key belongs to certificate 2 of "),
        (path("cut.pem"), "--client-cert (clientCert)", "cut.pem is not a valid PEM file: an END line is missing"),
        (path("odd.pem"), "--client-cert (clientCert)", "odd.pem is not a valid PEM file: its base64 is damaged"),
        (key.clone(), "--client-cert (clientCert)", "client.key holds no PEM certificate"),
        (path("missing.pem"), "--client-cert (clientCert)", "missing.pem cannot be read: No such file or directory"),
        (
            authority.ca_file(directory.path()),
            "--client-key (clientKey)",
            "client.key is not the key of the certificate in ",
        ),
    ] {
        let told = check(&certificate, &key);
        assert!(told.contains(option) && told.contains(words), "{told}");
    }

    let Some(openssl) = Openssl::find() else { return };
    let copy = |file: &Path, name: &str| fs::copy(file, openssl.file(name)).expect("a copy");
    copy(&key, "client.key");
    copy(&certificate, "client.pem");
    openssl.run("pkcs8 -topk8 -in client.key -out encrypted.key -passout pass:x");
    openssl.run("genrsa -aes128 -traditional -passout pass:x -out traditional.key 2048");
    openssl.run("genrsa -out short.key 1024");
    openssl.run("pkey -in client.key -outform DER -out der.key");
    openssl.run("x509 -in client.pem -outform DER -out der.pem");
    for (name, words) in [
        ("encrypted.key", "is encrypted, and the agent has no passphrase"),
        ("traditional.key", "is encrypted, and the agent has no passphrase"),
        ("short.key", "is damaged or of an unsupported type: RSA of 2048 to 4096 bits"),
        ("der.key", "der.key holds no PEM key, but DER"),
    ] {
        let told = check(&certificate, &openssl.file(name));
        assert!(told.contains("--client-key (clientKey)") && told.contains(words), "{told}");
    }
    assert!(check(&openssl.file("der.pem"), &key).contains("der.pem holds no PEM certificate, but DER"));
}

/// R33: `check` warns of a client certificate that every server would reject for its dates.
#[test]
fn a_certificate_out_of_date() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("test CA");
    let (mut expired, mut early) = (params(&[], "gateway"), params(&[], "gateway"));
    expired.not_after = date_time_ymd(2001, 1, 1);
    early.not_before = date_time_ymd(2999, 1, 1);
    for (fields, warning) in [
        (expired, Some("is valid 2000-01-01T00:00:00Z to 2001-01-01T00:00:00Z, and the clock shows 20")),
        (early, Some("is valid 2999-01-01T00:00:00Z to 2999-12-31T00:00:00Z, and the clock shows 20")),
        (params(&[], "gateway"), None),
    ] {
        let (certificate, key) = authority.client_files_of(fields, directory.path());
        let files = ["--client-cert".as_ref(), certificate.as_os_str(), "--client-key".as_ref(), key.as_os_str()];
        let output = gateway_at("https://acs.example/").args(&files).run_to_end("check");
        assert!(output.status.success());
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        let found = told.lines().find(|line| line.starts_with("warning: the client certificate in "));
        assert_eq!(found.is_some(), warning.is_some(), "{told}");
        assert!(found.unwrap_or_default().contains(warning.unwrap_or_default()), "{told}");
    }
}

/// The reason of a server that rejects the client certificate, or its lack, in TLS 1.2 and 1.3.
#[test]
fn certificates_that_a_server_rejects() {
    let directory = tempfile::tempdir().expect("a directory");
    let (authority, stranger) = (Authority::new("test CA"), Authority::new("another CA"));
    let ca_file = authority.ca_file(directory.path());
    let mut expired = params(&[], "gateway");
    expired.not_after = date_time_ymd(2001, 1, 1);
    type Make<'a> = &'a dyn Fn(&Path) -> Option<(PathBuf, PathBuf)>;
    let makes: [(Make<'_>, &str); 3] = [
        (&|_| None, "localhost asks for a client certificate, and none is configured: --client-cert and --client-key"),
        (
            &|at| Some(authority.client_files_of(expired.clone(), at)),
            "rejects the client certificate (valid 2000-01-01",
        ),
        (&|at| Some(stranger.client_files("gateway", at)), "rejects the client certificate (valid 2000-01-01"),
    ];
    for (make, words) in makes {
        for is_tls12 in [false, true] {
            let tls = authority.server(Flaw::None).require_client_of(&authority);
            let acs = acs_of(if is_tls12 { tls.tls12() } else { tls });
            let at = tempfile::tempdir().expect("a directory");
            let files = make(at.path());
            let mut options: Vec<&OsStr> = vec!["--ca-file".as_ref(), ca_file.as_os_str()];
            if let Some((certificate, key)) = &files {
                options.extend([
                    "--client-cert".as_ref(),
                    certificate.as_os_str(),
                    "--client-key".as_ref(),
                    key.as_os_str(),
                ]);
            }
            let reason = failure(&acs.url_at("localhost"), &options);
            // TLS 1.2 has no alert for a missing certificate.
            let is_vague =
                files.is_none() && is_tls12 && reason.contains("; or it asks for a client certificate: --client-cert");
            assert!(reason.contains(words) || is_vague, "TLS 1.2: {is_tls12}: {reason}");
        }
    }
}
