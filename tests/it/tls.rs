//! TLS between agent and ACS, with a certificate authority of the test's own making.
#![cfg(feature = "tls")]

mod ca_file;
mod client_certificates;
mod openssl;
mod reasons;

use std::ffi::OsStr;
use std::path::Path;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, IsCa};

use crate::gateway::{PASSWORD, SOON, USERNAME, gateway, gateway_at};
use crate::support::{
    Acs, AcsOptions, Agent, Authority, Flaw, ServerTls, empty_post, get_rpc_methods, inform, inform_response,
    no_content, params, redirect, response, set_parameter_values,
};

fn acs_of(tls: ServerTls) -> Acs {
    Acs::start(AcsOptions::new().tls(tls).digest(USERNAME, PASSWORD).cookie("session", "; Secure"))
}

/// Returns a gateway that trusts this authority and uses this host name for the ACS. The CA file must not change
/// meanwhile, because the agents read it while they start.
fn trusting(ca_file: &Path, acs: &Acs, host: &str) -> Agent {
    gateway_at(&acs.url_at(host)).args(&["--ca-file".as_ref(), ca_file.as_os_str()]).start()
}

/// R27, R29, R30: a session works with a valid certificate, by host name and by address; SNI is sent for a host name
/// only.
#[test]
fn a_good_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("test CA");
    let ca_file = authority.ca_file(directory.path());
    for (host, sni) in [("localhost", Some("localhost")), ("127.0.0.1", None)] {
        let mut acs = acs_of(authority.server(Flaw::None));
        acs.enqueue(get_rpc_methods());
        let _agent = trusting(&ca_file, &acs, host);
        let session = acs.session(SOON).expect_complete();
        assert_eq!(session.statuses(), [401, 200, 200, 204]);
        assert_eq!(session.exchanges[0].sni.as_deref(), sni);
    }
}

/// Returns the fields of a certificate with this basic constraint.
fn fields(is_ca: IsCa, names: &[&str], common_name: &str) -> CertificateParams {
    let mut fields = params(names, common_name);
    fields.is_ca = is_ca;
    fields
}

/// The basic constraint of a CA, which `openssl req -x509` gives to every certificate.
const CA: IsCa = IsCa::Ca(BasicConstraints::Unconstrained);

/// Runs an agent with this ACS URL and these options. Returns the reason in the log for which its first session fails;
/// `status` shows it as well.
fn failure(url: &str, options: &[&OsStr]) -> String {
    let agent = gateway_at(url).args(options).start();
    let line = agent.wait_for_log("session failed: ", SOON);
    let reason = line.split("session failed: ").nth(1).and_then(|rest| rest.rsplit_once("; next attempt"));
    let reason = reason.expect("a reason, and the next attempt").0.to_owned();
    // The status follows the log by one turn of the agent.
    let until = Instant::now() + SOON;
    while !agent.succeeds(&["status"]).contains(&reason) {
        assert!(Instant::now() < until, "{reason:?} is not in the status");
    }
    let is_documented = documented().iter().any(|row| follow_one_another(&reason, row));
    assert!(is_documented || !reason.starts_with("no secure connection"), "docs/troubleshooting.md lacks: {reason}");
    reason
}

/// Returns the reasons of the table in docs/troubleshooting.md, each as the parts that are the same in every case.
fn documented() -> Vec<Vec<&'static str>> {
    let text = include_str!("../../docs/troubleshooting.md");
    let table = text.split("## Why TLS fails").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let reasons = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    reasons.map(|reason| reason.split('…').map(str::trim).filter(|part| !part.is_empty()).collect()).collect()
}

fn follow_one_another(text: &str, parts: &[&str]) -> bool {
    let mut rest = Some(text);
    parts.iter().all(|part| {
        rest = rest.and_then(|text| text.split_once(part)).map(|(_, rest)| rest);
        rest.is_some()
    })
}

/// The table of reasons has the words of the program: those of a reason that it no longer gives are missed here.
#[test]
fn the_documented_reasons_are_those_of_the_program() {
    let sources = [
        include_str!("../../src/http/certificate_reasons.rs"),
        include_str!("../../src/http/tls_reasons.rs"),
        include_str!("../../src/http/tls.rs"),
        include_str!("../../src/http/plain_http.rs"),
    ];
    // A text that is continued on the next line, and the parts between the values in it.
    let words = sources.concat().replace("\\\n", "").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(documented().len() > 20);
    for part in documented().into_iter().flatten() {
        assert!(words.contains(part), "no reason has the words {part:?}");
    }
}

/// Returns the reason for which a session with this server fails, under this CA file.
fn refusal(ca_file: &Path, host: &str, tls: ServerTls) -> String {
    let acs = acs_of(tls);
    let reason = failure(&acs.url_at(host), &["--ca-file".as_ref(), ca_file.as_os_str()]);
    assert!(acs.requests(0, SOON).is_empty(), "a request came through");
    reason.strip_prefix("no secure connection: ").unwrap_or_else(|| panic!("{reason}")).to_owned()
}

/// Completes a session with this server, under this CA file.
fn accepted(ca_file: &Path, host: &str, tls: ServerTls) {
    let mut acs = acs_of(tls);
    let _agent = trusting(ca_file, &acs, host);
    acs.session(SOON).expect_complete();
}

/// R30: the agent sends no request to a server with an invalid certificate, and retries.
#[test]
fn certificates_that_are_not_good() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("test CA");
    let ca_file = authority.ca_file(directory.path());
    let stranger = Authority::new("another CA");
    let cases = [
        ("wrong name", "localhost", authority.server(Flaw::WrongName)),
        ("wrong address", "127.0.0.1", authority.server(Flaw::WrongName)),
        ("expired", "localhost", authority.server(Flaw::Expired)),
        ("not yet valid", "localhost", authority.server(Flaw::NotYetValid)),
        ("only a common name", "127.0.0.1", authority.server(Flaw::OnlyCommonName)),
        ("unknown authority", "localhost", stranger.server(Flaw::None)),
    ];
    let mut running = Vec::new();
    for (what, host, tls) in cases {
        let acs = acs_of(tls);
        let agent = trusting(&ca_file, &acs, host);
        running.push((what, acs, agent));
    }
    for (what, acs, agent) in running {
        agent.wait_for_log("session failed: no secure connection", SOON);
        acs.handshake_failure(2, SOON); // the retry too
        assert!(agent.log().lines().filter(|line| line.contains("session failed")).count() >= 1, "{what}");
        drop(agent);
        assert!(acs.requests(0, SOON).is_empty(), "{what}: a request came through");
    }
}

/// R30: without `--ca-file` the agent does not trust the CA of the test.
#[test]
fn an_authority_that_nobody_named() {
    let acs = acs_of(Authority::new("test CA").server(Flaw::None));
    let agent = gateway(&acs).start();
    agent.wait_for_log("session failed: no secure connection", SOON);
}

/// R33: the agent authenticates itself with a client certificate.
#[test]
fn a_client_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("test CA");
    let ca_file = authority.ca_file(directory.path());
    let (certificate, key) = authority.client_files(USERNAME, directory.path());
    let picky = || acs_of(authority.server(Flaw::None).require_client_of(&authority));
    let with_ca = |acs: &Acs| gateway(acs).args(&["--ca-file".as_ref(), ca_file.as_os_str()]);

    let mut acs = picky();
    let identity = ["--client-cert".as_ref(), certificate.as_os_str(), "--client-key".as_ref(), key.as_os_str()];
    let agent = with_ca(&acs).args(&identity).start();
    acs.session(SOON).expect_complete();
    drop(agent);

    let acs = picky();
    let agent = with_ca(&acs).start();
    agent.wait_for_log("session failed: ", SOON);
    acs.handshake_failure(1, SOON);
}

/// A CA file that becomes invalid while the agent runs fails every session with a log line; the agent goes on.
#[test]
fn a_file_that_holds_no_certificate_any_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("test CA");
    let ca_file = authority.ca_file(directory.path());
    let mut acs = acs_of(authority.server(Flaw::None));
    let mut agent = trusting(&ca_file, &acs, "localhost");
    acs.session(SOON).expect_complete();
    std::fs::write(&ca_file, "no certificate here\n").expect("a file");
    agent.succeeds(&["inform"]);
    let line = agent.wait_for_log("session failed: ", SOON);
    assert!(line.contains(".pem"), "{line}");
    assert!(agent.is_running());
}

/// R31, R57: redirects to https and back are followed; the certificate must be that of the new host, and cookies are
/// sent on.
#[test]
fn redirects_between_http_and_https() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("test CA");
    let ca_file = authority.ca_file(directory.path());
    let mut acs = Acs::start(AcsOptions::new().cookie("plain", ""));
    let here = acs.url();
    let secure = AcsOptions::new().path("/secure").cookie("secure", "; Secure");
    let there = acs.second_listener(secure.tls(authority.server(Flaw::None)));
    acs.expects(inform()).replies(redirect(302, &there));
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(get_rpc_methods());
    acs.expects(response("GetRPCMethods")).replies(redirect(307, &here));
    acs.expects(response("GetRPCMethods")).replies(no_content());
    let agent = trusting(&ca_file, &acs, "127.0.0.1");
    acs.session(SOON).expect_complete();
    drop(agent);

    let mut acs = Acs::start(AcsOptions::new());
    let there = acs.second_listener(AcsOptions::new().path("/secure").tls(authority.server(Flaw::WrongName)));
    acs.expects(inform()).replies(redirect(302, &there));
    let agent = trusting(&ca_file, &acs, "127.0.0.1");
    agent.wait_for_log("session failed: no secure connection", SOON);
    acs.handshake_failure(1, SOON);
}

/// The redirect of an `https` URL to `http` takes along neither the password, in any form, nor a cookie that is marked
/// `Secure`.
#[test]
fn a_redirect_away_from_tls_takes_no_secret_along() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("test CA");
    let ca_file = authority.ca_file(directory.path());
    let plain = || AcsOptions::new().path("/plain");
    for (options, is_open) in
        [(plain().basic(USERNAME, PASSWORD), false), (plain().digest(USERNAME, PASSWORD), false), (plain(), true)]
    {
        let secure = AcsOptions::new().tls(authority.server(Flaw::None)).basic(USERNAME, PASSWORD);
        let mut acs = Acs::start(secure.cookie("free", "").cookie("secure", "; Secure"));
        let there = acs.second_listener(options);
        acs.expects(inform()).replies(inform_response());
        acs.expects(empty_post()).replies(redirect(302, &there));
        if is_open {
            acs.expects(empty_post()).replies(no_content());
        }
        let agent = trusting(&ca_file, &acs, "127.0.0.1");
        let session = match is_open {
            true => acs.session(SOON).expect_complete(),
            false => acs.session(SOON).expect_failed(),
        };
        let last = &session.exchanges.last().expect("the request to http").request;
        assert_eq!(last.target, "/plain");
        assert_eq!(last.header("Authorization"), None);
        assert_eq!(last.cookies().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["free"]);
        if !is_open {
            assert_eq!(session.statuses(), [401, 200, 302, 401]);
            agent.wait_for_log("session failed: a redirect was not followed: it leads from https to http", SOON);
        }
        assert!(!agent.log().contains(PASSWORD), "R63");
        drop(agent);
        acs.forget_tasks();
    }
}

/// R58: after a Basic challenge the agent sends the credentials with each request to this server, but not to another
/// one.
#[test]
fn basic_over_tls() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("test CA");
    let options = || AcsOptions::new().tls(authority.server(Flaw::None));
    let mut other = Acs::start(options().digest(USERNAME, PASSWORD));
    let mut acs = Acs::start(options().basic(USERNAME, PASSWORD));
    let ca_file = authority.ca_file(directory.path());
    let _agent = gateway(&acs)
        .args(&["--ca-file".as_ref(), ca_file.as_os_str()])
        .set("Device.ManagementServer.PeriodicInformEnable", "true")
        .set("Device.ManagementServer.PeriodicInformInterval", "1")
        .start();
    assert_eq!(acs.session(SOON).expect_complete().statuses(), [401, 200, 204]);
    acs.enqueue(set_parameter_values(&[("Device.ManagementServer.URL", "string", &other.url())], ""));
    assert_eq!(acs.session(SOON).expect_complete().statuses(), [200, 200, 204]);
    let session = other.session(SOON).expect_complete();
    assert_eq!(session.statuses(), [401, 200, 204]);
    assert_eq!(session.exchanges[0].request.header("Authorization"), None);
}
