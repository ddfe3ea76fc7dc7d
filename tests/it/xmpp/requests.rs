//! Connection requests through prosody, from the parameters that the ACS sets to the session.

use std::time::{Duration, Instant};

use super::client::{NAMESPACE, request};
use super::prosody::Prosody;
use super::*;
use crate::gateway::{BOOT, BOOTSTRAP, VALUE_CHANGE};
use crate::rpc::gateway::QUIET;
use crate::support::*;

const REQUEST: &str = "6 CONNECTION REQUEST";
const SERVER: &str = "Device.ManagementServer.";

/// Starts a gateway that is connected, and its ACS.
fn connected(prosody: &Prosody) -> (ManualAcs, Agent) {
    let acs = ManualAcs::start(AcsOptions::new());
    let agent = gateway(&acs.url(), prosody.port, prosody.directory.path())
        .args(&["--ca-file", prosody.certificate.ca.to_str().expect("a path")])
        .start();
    acs.expect_events(&[BOOTSTRAP, BOOT]);
    await_status(&agent, "Enabled");
    (acs, agent)
}

/// Waits for the session that the first address causes, unless an earlier one has reported it.
fn take_value_changes(acs: &ManualAcs) {
    if let Some(mut session) = acs.accept(QUIET) {
        let inform = session.recv().expect("an Inform");
        assert_eq!(inform.event_codes(), [VALUE_CHANGE]);
        session.confirm_inform();
        assert!(session.recv().expect("an empty POST").method.is_empty());
        session.end_session();
        assert!(session.is_closed());
    }
}

/// R297 to R301: the ACS sets the connection up, learns the address by a value change, and requests a session by it.
#[test]
fn the_acs_sets_a_connection_up_and_requests_a_session() {
    let Some(prosody) = Prosody::start() else { return };
    let acs = ManualAcs::start(AcsOptions::new());
    let agent =
        TR_181.gateway_at(&acs.url()).args(&["--ca-file", prosody.certificate.ca.to_str().expect("a path")]).start();
    acs.expect_session(&[BOOTSTRAP, BOOT], |_, session| {
        assert_eq!(session.value(&format!("{SERVER}SupportedConnReqMethods")), "HTTP,STUN,XMPP");
        assert!(!has_thread(&agent, "xmpp"), "nothing is configured");
        session.succeeds(&add_object("Device.XMPP.Connection.", ""));
        session.succeeds(&add_object(&format!("{CONNECTION}.Server."), ""));
        session.refuses(&add_object("Device.XMPP.Connection.", ""), 9004);
        for (name, kind, value) in [
            ("Server.1.ServerAddress", "string", "127.0.0.1"),
            ("Server.1.Port", "unsignedInt", &prosody.port.to_string()),
            ("Server.1.Enable", "boolean", "true"),
            ("ServerConnectAlgorithm", "string", "ServerTable"),
            ("Username", "string", CPE.0),
            ("Password", "string", CPE.1),
            ("Domain", "string", DOMAIN),
            ("Resource", "string", "gateway"),
            ("UseTLS", "boolean", "true"),
            ("Enable", "boolean", "true"),
        ] {
            session.set(&format!("{CONNECTION}.{name}"), kind, value);
        }
        session.set(&format!("{SERVER}ConnectionRequestUsername"), "string", ACCESS.0);
        session.set(&format!("{SERVER}ConnectionRequestPassword"), "string", ACCESS.1);
        session.set(&format!("{SERVER}ConnReqAllowedJabberIDs"), "string", "other@x, acs@xmpp.example");
        session.set(&format!("{SERVER}ConnReqXMPPConnection"), "string", CONNECTION);
        assert!(!has_thread(&agent, "xmpp"), "the session has not ended");
        assert_eq!(session.value(&format!("{CONNECTION}.Password")), "", "R334");
    });
    let inform = acs.expect_session(&[VALUE_CHANGE], |inform, _| inform.clone());
    assert_eq!(inform.value(&format!("{SERVER}ConnReqJabberID")), Some(JABBER_ID));
    assert_eq!(agent.value(&format!("{CONNECTION}.Status")), "Enabled");
    assert_eq!(agent.value(&format!("{CONNECTION}.TLSEstablished")), "true");
    assert!(prosody.log().contains("mechanism='SCRAM-SHA-256'"));
    let answer = prosody.acs().requests(JABBER_ID, ACCESS);
    assert!(answer.contains("type='result'") && !answer.contains("<error"), "{answer}");
    acs.expect_events(&[REQUEST]);
    acs.expect_no_session(QUIET);
}

/// R298, R299: the answers to requests that cause no session.
#[test]
fn requests_that_are_refused() {
    let Some(prosody) = Prosody::start() else { return };
    let (acs, agent) = connected(&prosody);
    take_value_changes(&acs);
    let mut client = prosody.acs();
    let mut refused = |kind: &str, content: &str, condition: &str| {
        let answer = client.asks(JABBER_ID, kind, content);
        assert!(answer.contains("type='error'") && answer.contains(condition), "{answer}");
    };
    let (user, password) = ACCESS;
    refused("get", &request(NAMESPACE, user, "wrong"), "<not-authorized");
    refused("get", &request(NAMESPACE, "wrong", password), "<not-authorized");
    refused("set", &request(NAMESPACE, user, password), "<service-unavailable");
    refused("get", &request("urn:other", user, password), "<service-unavailable");
    refused("get", "<ping xmlns='urn:xmpp:ping'/>", "<service-unavailable");
    refused("get", &format!("<connectionRequest xmlns='{NAMESPACE}'/>"), "<bad-request");
    let connect_anew = |allowed: &str| {
        let position = agent.log_position();
        set(&agent, &format!("{SERVER}ConnReqAllowedJabberIDs"), allowed);
        agent.wait_for_log_after(position, "XMPP connection requests to", SOON);
    };
    for allowed in ["other@xmpp.example", "acs@xmpp.example/other"] {
        connect_anew(allowed);
        refused("get", &request(NAMESPACE, user, password), "<service-unavailable");
    }
    set(&agent, &format!("{SERVER}ConnectionRequestPassword"), "");
    connect_anew("acs@xmpp.example/acs");
    refused("get", &request(NAMESPACE, user, ""), "<not-authorized"); // R268
    acs.expect_no_session(QUIET);
    let status: serde_json::Value = serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON");
    let counters = &status["connectionRequests"]["xmpp"]["counters"];
    assert_eq!((&counters["unauthorized"], &counters["notAllowed"]), (&3.into(), &2.into()), "{counters}");
}

/// R299: a request in a session is refused, and the next one accepted.
#[test]
fn a_request_in_a_session() {
    let Some(prosody) = Prosody::start() else { return };
    let (acs, agent) = connected(&prosody);
    take_value_changes(&acs);
    let mut client = prosody.acs();
    agent.succeeds(&["inform"]);
    acs.expect_session(&["2 PERIODIC"], |_, _| {
        let answer = client.requests(JABBER_ID, ACCESS);
        assert!(answer.contains("<service-unavailable"), "{answer}");
    });
    let end = Instant::now() + SOON;
    while client.requests(JABBER_ID, ACCESS).contains("<service-unavailable") {
        assert!(Instant::now() < end, "the session has ended");
    }
    acs.expect_events(&[REQUEST]);
}

/// R297, R300: the agent connects again after a restart of the server and of itself, and the address stays.
#[test]
fn a_server_that_restarts() {
    let Some(mut prosody) = Prosody::start() else { return };
    let (acs, mut agent) = connected(&prosody);
    take_value_changes(&acs);
    let address = format!("{SERVER}ConnReqJabberID");
    assert_eq!(agent.value(&address), JABBER_ID);
    prosody.stop();
    await_status(&agent, "ServerNotPresent");
    assert_eq!(agent.value(&address), JABBER_ID);
    prosody.restart();
    await_status(&agent, "Enabled");
    acs.expect_no_session(QUIET);
    assert!(prosody.acs().requests(JABBER_ID, ACCESS).contains("type='result'"));
    acs.expect_events(&[REQUEST]);
    agent.kill9();
    agent.reboot();
    acs.expect_events(&[BOOT]);
    assert_eq!(agent.value(&address), JABBER_ID);
    await_status(&agent, "Enabled");
    acs.expect_no_session(QUIET);
}

/// R297, R300: killed at any moment of the setup, the agent connects again, and the address stays without a value change.
#[test]
fn crashes_at_any_moment_keep_the_address() {
    let Some(prosody) = Prosody::start() else { return };
    let (acs, mut agent) = connected(&prosody);
    take_value_changes(&acs);
    let mut rng = crate::storm::rng::SeededRng::new(u64::from(std::process::id()));
    for _ in 0..12 {
        agent.kill9();
        agent.restart();
        std::thread::sleep(rng.moment(Duration::from_millis(120)));
    }
    await_status(&agent, "Enabled");
    assert_eq!(agent.value(&format!("{SERVER}ConnReqJabberID")), JABBER_ID);
    acs.expect_no_session(QUIET);
    assert!(prosody.acs().requests(JABBER_ID, ACCESS).contains("type='result'"));
    acs.expect_events(&[REQUEST]);
}

/// R300: the address is empty without a connection, and nothing of the connection is left.
#[test]
fn a_connection_that_is_disabled() {
    let Some(prosody) = Prosody::start() else { return };
    let (acs, agent) = connected(&prosody);
    take_value_changes(&acs);
    assert!(has_thread(&agent, "xmpp"));
    set(&agent, &format!("{SERVER}ConnReqXMPPConnection"), "");
    await_status(&agent, "Dormant");
    assert_eq!(agent.value(&format!("{SERVER}ConnReqJabberID")), "");
    assert!(!has_thread(&agent, "xmpp"));
    acs.expect_events(&[VALUE_CHANGE]);
    set(&agent, &format!("{CONNECTION}.Enable"), "false");
    await_status(&agent, "Disabled");
    set(&agent, &format!("{SERVER}ConnReqXMPPConnection"), CONNECTION);
    acs.expect_no_session(QUIET);
    set(&agent, &format!("{CONNECTION}.Enable"), "true");
    await_status(&agent, "Enabled");
    acs.expect_events(&[VALUE_CHANGE]);
}

/// A wrong password is reported, and the right one connects at once.
#[test]
fn a_password_that_changes() {
    let Some(prosody) = Prosody::start() else { return };
    let (acs, agent) = connected(&prosody);
    take_value_changes(&acs);
    let password = format!("{CONNECTION}.Password");
    prosody.set_password(CPE.0, "an0ther s3cret");
    set(&agent, &password, "wrong");
    await_status(&agent, "Error_AuthenticationFailure");
    assert!(agent.log().contains("the server refuses it with not-authorized"), "{}", agent.log());
    set(&agent, &password, "an0ther s3cret");
    await_status(&agent, "Enabled");
    assert!(!agent.log().contains("an0ther s3cret"), "a password is in no log");
    acs.expect_no_session(QUIET);
}

/// R30 holds for this server, too: its certificate must name the domain and have a trusted issuer.
#[test]
fn a_certificate_of_another() {
    let Some(prosody) = Prosody::with_certificate_for(&["127.0.0.1", "localhost", "other.example"]) else { return };
    let acs = ManualAcs::start(AcsOptions::new());
    let other = tempfile::tempdir().expect("a directory");
    let strangers = Certificate::new(other.path(), &[DOMAIN]);
    for ca in [&prosody.certificate.ca, &strangers.ca] {
        let agent =
            gateway(&acs.url(), prosody.port, other.path()).args(&["--ca-file", ca.to_str().expect("a path")]).start();
        acs.expect_events(&[BOOTSTRAP, BOOT]);
        await_status(&agent, "Error");
        assert!(agent.log().contains("no secure connection"), "{}", agent.log());
    }
    assert!(!prosody.log().contains("<auth"), "no authentication is begun");
}

/// The stream is ended in order, and at once.
#[test]
fn a_signal_ends_the_stream() {
    let Some(prosody) = Prosody::start() else { return };
    let (_acs, mut agent) = connected(&prosody);
    let begun = Instant::now();
    assert!(agent.terminate().success());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let end = Instant::now() + SOON;
    while !prosody.log().contains("Received </stream:stream>") {
        assert!(Instant::now() < end, "{}", prosody.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}
