//! The ACS wakes the real agent: connection requests over HTTP, from the URL in Inform to the session that follows.

use std::time::Duration;

use crate::gateway::{BOOT, BOOTSTRAP, Model, SOON, VALUE_CHANGE};
use crate::support::*;

const URL: &str = "ManagementServer.ConnectionRequestURL";
const REQUEST: &str = "6 CONNECTION REQUEST";

/// The time for which a test waits for a session that must not come; one would follow a request within milliseconds.
const WHILE: Duration = Duration::from_millis(700);

/// Returns an ACS with a registered agent.
pub(super) fn registered(model: &'static Model, acs: &mut Acs) -> (Agent, String) {
    let url_name = model.at(URL);
    let agent = model
        .gateway(acs)
        .set(model.at("ManagementServer.ConnectionRequestUsername"), "acs")
        .set(model.at("ManagementServer.ConnectionRequestPassword"), "wake up")
        .start();
    let first = acs.session(SOON).expect_complete();
    assert_eq!(first.events(), [BOOTSTRAP, BOOT]);
    let url = first.inform().value(url_name).expect("a Forced Inform parameter").to_owned(); // R103, R104
    (agent, url)
}

pub(super) fn request(url: &str, password: &str) -> u16 {
    Caller { username: "acs", password }.requests(url)
}

/// R255, R256, R259, R260: a connection request starts a session with its event, to the configured ACS.
fn the_acs_wakes_the_agent(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    let (_agent, url) = registered(model, &mut acs);
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert_eq!(request(&url, "wake up"), 200);
    assert_eq!(acs.session(SOON).expect_complete().events(), [REQUEST]);
}
both_models!(the_acs_wakes_the_agent);

/// R256, R268: a request without the right password starts no session.
fn a_wrong_password_wakes_nobody(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    let (_agent, url) = registered(model, &mut acs);
    assert_eq!(request(&url, "wrong"), 401);
    acs.quiet_for(WHILE);
}
both_models!(a_wrong_password_wakes_nobody);

/// R262, R263: however many requests are accepted while a session runs, exactly one session follows it.
fn requests_in_a_session_are_followed_by_one(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    let (agent, url) = registered(model, &mut acs);
    acs.expects(inform().event(REQUEST)).replies(inform_response().delay(Duration::from_millis(500)));
    assert_eq!(request(&url, "wake up"), 200);
    agent.wait_for_log(&format!(": {REQUEST}"), SOON); // the session has begun
    for _ in 0..5 {
        assert_eq!(request(&url, "wake up"), 200);
    }
    assert_eq!(acs.session(SOON).expect_complete().events(), [REQUEST]);
    assert_eq!(acs.session(SOON).expect_complete().events(), [REQUEST]);
    acs.quiet_for(WHILE);
}
both_models!(requests_in_a_session_are_followed_by_one);

/// R143: the retry of a failed session does not repeat the event of the connection request.
fn a_request_is_not_retried(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    let (_agent, url) = registered(model, &mut acs);
    acs.expects(inform().event(REQUEST)).replies(drop_connection());
    assert_eq!(request(&url, "wake up"), 200);
    acs.session(SOON).expect_failed();
    let retry = acs.session(SOON).expect_complete();
    assert_eq!(retry.events(), [""; 0]);
    assert_eq!(retry.inform().retry_count(), Some(1));
}
both_models!(a_request_is_not_retried);

/// R255, R266: the path is the device's own and stays; with another port the ACS is told of the new URL.
fn the_url_is_kept_and_its_change_is_told(model: &'static Model) {
    let url_name = model.at(URL);
    let mut acs = Acs::start(AcsOptions::new());
    let (mut agent, url) = registered(model, &mut acs);
    agent.reboot();
    let boot = acs.session(SOON).expect_complete();
    assert_eq!((boot.events(), boot.inform().value(url_name)), (vec![BOOT], Some(url.as_str())));
    let mut other = Acs::start(AcsOptions::new());
    let (_other_agent, other_url) = registered(model, &mut other);
    assert_ne!(url.rsplit('/').next(), other_url.rsplit('/').next());
}
both_models!(the_url_is_kept_and_its_change_is_told);

/// R134, R266: with a port at all addresses, the URL is known with the connection to the ACS only. A new one is told by
/// the session that is about to begin, and needs none of its own.
fn a_url_that_is_new_with_the_connection_is_told_once(model: &'static Model) {
    let url = model.at(URL);
    let mut acs = Acs::start(AcsOptions::new());
    let mut agent = model.gateway(&acs).listen("0.0.0.0:0").start();
    let first = acs.session(SOON).expect_complete();
    agent.reboot(); // any other free port
    let boot = acs.session(SOON).expect_complete();
    assert_eq!(boot.events(), [BOOT, VALUE_CHANGE]);
    assert_ne!(boot.inform().value(url), first.inform().value(url));
    acs.quiet_for(WHILE);
}
both_models!(a_url_that_is_new_with_the_connection_is_told_once);
