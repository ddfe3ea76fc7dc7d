//! Authentication of the real agent: every challenge a server may give, at any time, and wrong passwords.

use crate::gateway::{BOOT, BOOTSTRAP, PASSWORD, SOON, USERNAME, gateway, run_simple_session, schemes};
use crate::support::{
    Acs, AcsOptions, Algorithm, Challenge, Reply, basic, digest, empty_post, get_rpc_methods, inform, inform_response,
    no_content, other_scheme, response, set_parameter_values, unauthorized_again,
};

fn with_challenges(challenges: &[Challenge]) -> AcsOptions {
    let options = AcsOptions::new().credentials(USERNAME, PASSWORD);
    challenges.iter().cloned().fold(options, AcsOptions::challenge)
}

/// R61: every algorithm with every offer of qop; R62: the user name follows from the identity.
#[test]
fn every_kind_of_digest() {
    let algorithms = [Algorithm::Unnamed, Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess];
    for algorithm in algorithms {
        for qop in ["auth", "auth,auth-int", "auth-int, auth", ""] {
            let challenge = digest().algorithm(algorithm).qop(qop).realm("a realm, nonce=x").opaque("o=, x");
            let session = run_simple_session(with_challenges(&[challenge]));
            assert_eq!(session.statuses(), [401, 200, 200, 200, 204], "{algorithm:?} {qop:?}");
            assert_eq!(session.connections().len(), 1, "R47");
            assert_eq!(schemes(&session), ["-", "Digest", "Digest", "Digest", "Digest"], "R59");
        }
    }
}

/// The agent authenticates towards the challenges of GenieACS and of acsrs.
#[test]
fn as_genieacs_and_as_acsrs() {
    let session = run_simple_session(AcsOptions::like_genieacs(USERNAME, PASSWORD));
    assert_eq!(session.statuses(), [401, 200, 200, 200, 204]);
    let session = run_simple_session(AcsOptions::like_acsrs(USERNAME, PASSWORD));
    assert_eq!(session.statuses(), [401, 200, 200, 200, 204]);
    assert_eq!(schemes(&session), ["-", "Basic", "Basic", "Basic", "Basic"]);
}

/// R58: the agent answers the challenge that the server offers, and the stronger one of several.
#[test]
fn several_challenges() {
    let strange = other_scheme("Negotiate");
    let unknown = other_scheme("Digest realm=\"r\", nonce=\"n\", algorithm=SHA-3000, qop=\"auth\"");
    let sha = digest().algorithm(Algorithm::Sha256);
    let cases = [
        (vec![basic()], "Basic"),
        (vec![basic(), digest()], "Digest"),
        (vec![strange.clone(), digest()], "Digest"),
        (vec![unknown, digest(), strange, basic()], "Digest"),
        (vec![digest().algorithm(Algorithm::Md5), sha], "Digest"),
    ];
    for (challenges, scheme) in cases {
        for options in [with_challenges(&challenges), with_challenges(&challenges).challenges_in_one_header()] {
            let session = run_simple_session(options);
            assert_eq!(session.statuses(), [401, 200, 200, 200, 204]);
            assert_eq!(schemes(&session)[1..], [scheme; 4]);
        }
    }
}

/// R59, R60: a nonce may become stale at any time, and each new TCP connection may bring a new challenge.
#[test]
fn new_challenges_in_the_middle() {
    let worn = run_simple_session(with_challenges(&[digest().nonce_uses(1)]));
    assert_eq!(worn.statuses(), [401, 200, 401, 200, 401, 200, 401, 204]);

    let mut acs = Acs::start(AcsOptions::like_genieacs(USERNAME, PASSWORD));
    acs.expects(inform()).replies(inform_response().close());
    acs.expects(empty_post()).replies(Reply::from(get_rpc_methods()).close());
    acs.expects(response("GetRPCMethods")).replies(no_content());
    let agent = gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_complete().statuses(), [401, 200, 401, 200, 401, 204]);
    drop(agent);
    drop(acs);

    let mut acs = Acs::start(AcsOptions::new().digest(USERNAME, PASSWORD));
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(unauthorized_again());
    acs.expects(empty_post()).replies(get_rpc_methods());
    acs.expects(response("GetRPCMethods")).replies(unauthorized_again().stale());
    acs.expects(response("GetRPCMethods")).replies(no_content());
    let _agent = gateway(&acs).start();
    acs.session(SOON).expect_complete();
}

/// R60, R98, R138: a wrong password fails the session; it is tried again, and nothing is forgotten.
#[test]
fn a_wrong_password() {
    let genieacs = AcsOptions::like_genieacs(USERNAME, "another");
    let acsrs = AcsOptions::like_acsrs(USERNAME, "another");
    let cases = [
        (AcsOptions::new().digest(USERNAME, "another"), vec![401, 401]),
        (AcsOptions::new().digest("another", PASSWORD), vec![401, 401]),
        (AcsOptions::new().basic(USERNAME, "another"), vec![401, 401]),
        (genieacs, vec![401, 401]),
        (acsrs, vec![401, 403]),
    ];
    for (options, statuses) in cases {
        let mut acs = Acs::start(options);
        let agent = gateway(&acs).start();
        for count in 0..2 {
            let session = acs.session(SOON).expect_failed();
            assert_eq!(session.statuses(), statuses);
            let told = session.exchanges.last().and_then(|exchange| exchange.message.clone()).expect("an Inform");
            assert_eq!(told.event_codes(), [BOOTSTRAP, BOOT]);
            assert_eq!(told.retry_count(), Some(count));
        }
        agent.wait_for_log("session failed: the server", SOON);
        assert!(!agent.log().contains(PASSWORD), "R63");
    }
}

/// R60: credentials that are refused in the middle of a session fail it too.
#[test]
fn refused_in_the_middle() {
    let mut acs = Acs::start(AcsOptions::new().digest(USERNAME, PASSWORD));
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(unauthorized_again());
    acs.expects(empty_post()).replies(unauthorized_again());
    acs.expects(inform().only_events(&[]).retry_count(1)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    let _agent = gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_failed().statuses(), [401, 200, 401, 401]);
    acs.session(SOON).expect_complete();
}

/// A 401 without a supported challenge fails the session.
#[test]
fn a_challenge_that_nobody_could_answer() {
    let mut acs = Acs::start(with_challenges(&[other_scheme("Negotiate"), other_scheme("Digest realm=\"r\"")]));
    let agent = gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_failed().statuses(), [401]);
    agent.wait_for_log("session failed: ", SOON);
}

/// User names, passwords and realms outside ASCII, by every scheme; `username*` where the server offers UTF-8.
#[test]
fn credentials_outside_ascii() {
    let (username, password) = ("Kunde-S\u{fc}d-0815", "Schl\u{fc}ssel");
    for challenge in [digest().realm("Ger\u{e4}t"), digest().algorithm(Algorithm::Md5Sess), basic()] {
        let mut acs = Acs::start(AcsOptions::new().credentials(username, password).challenge(challenge));
        acs.expects(inform()).replies(inform_response());
        acs.expects(empty_post()).replies(no_content());
        let _agent = gateway(&acs)
            .set("Device.ManagementServer.Username", username)
            .set("Device.ManagementServer.Password", password)
            .start();
        assert_eq!(acs.session(SOON).expect_complete().statuses(), [401, 200, 204]);
    }
}

/// R168: credentials and a URL that no request could carry are refused when they are set.
#[test]
fn controls_in_credentials_are_refused() {
    let mut acs = Acs::start(AcsOptions::new());
    let names = ["URL", "Username", "Password", "ConnectionRequestUsername", "ConnectionRequestPassword"];
    let names = names.map(|name| format!("Device.ManagementServer.{name}"));
    let values: Vec<_> = names.iter().map(|name| (name.as_str(), "string", "http://acs/\r\nX: y")).collect();
    acs.enqueue(set_parameter_values(&values, ""));
    let _agent = gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    let answers = session.exchanges.iter().filter_map(|exchange| exchange.message.as_ref());
    let fault = answers.filter_map(|message| message.fault.clone()).next().expect("a fault");
    let codes: Vec<_> = fault.parameters.iter().map(|parameter| parameter.1).collect();
    assert_eq!(codes, [9007; 5]);
}
