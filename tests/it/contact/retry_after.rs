//! Retry-After of the ACS holds back every session but the one that the ACS itself asks for (R66).

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::gateway::{SOON, gateway};
use crate::support::{Acs, AcsOptions, Agent, Caller, empty_post, inform, inform_response, no_content, status};

const CALLER: Caller<'_> = Caller { username: "acs", password: "wake up" };

/// Starts a gateway whose ACS has asked for a wait of this many seconds.
fn held_for(seconds: u32) -> (Acs, Agent) {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(status(503).retry_after(seconds));
    let agent = gateway(&acs)
        .set("Device.ManagementServer.ConnectionRequestUsername", CALLER.username)
        .set("Device.ManagementServer.ConnectionRequestPassword", CALLER.password)
        .start();
    acs.session(SOON).expect_failed();
    agent.wait_for_log("session failed", SOON);
    agent.wait_for_control();
    (acs, agent)
}

fn next_session(agent: &Agent) -> (String, u64) {
    let json: Json = serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON");
    let next = &json["nextSession"];
    (next["cause"].as_str().unwrap_or_default().to_owned(), next["inSeconds"].as_u64().unwrap_or_default())
}

/// Neither an event, nor a change, nor SIGHUP starts a session; a connection request does.
#[test]
fn only_the_acs_itself_is_served() {
    let (mut acs, agent) = held_for(600);
    let told = agent.succeeds(&["inform"]);
    assert!(
        told.starts_with("the event is queued; the next session starts in 6") && told.contains("Retry-After"),
        "{told}"
    );
    agent.succeeds(&["set", "Device.DeviceInfo.ProvisioningCode=new"]);
    agent.signal("HUP");
    agent.wait_for_log("configuration was read again", SOON);
    acs.quiet_for(Duration::from_millis(700));
    let (cause, seconds) = next_session(&agent);
    assert!(cause == "retry" && seconds > 500, "{cause} in {seconds} s");
    acs.expects(inform().event("6 CONNECTION REQUEST").event("2 PERIODIC").retry_count(1)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    assert_eq!(CALLER.requests(&agent.value("Device.ManagementServer.ConnectionRequestURL")), 200);
    acs.session(SOON).expect_complete();
    // R130: the success ends the wait.
    acs.expects(inform().event("2 PERIODIC")).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    assert_eq!(agent.succeeds(&["inform"]), "");
    acs.session(SOON).expect_complete();
}

/// An event that waits is delivered at the end of the wait, in one session with the retry.
#[test]
fn the_end_of_the_wait_serves_all() {
    let (mut acs, agent) = held_for(3);
    let began = Instant::now();
    agent.succeeds(&["inform"]);
    acs.expects(inform().event("2 PERIODIC").retry_count(1)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    acs.session(SOON).expect_complete();
    assert!(began.elapsed() > Duration::from_secs(1), "{:?}", began.elapsed());
    acs.quiet_for(Duration::from_millis(500));
}

/// R25: the wait concerns this ACS and no other.
#[test]
fn another_acs_is_not_concerned() {
    let (_acs, agent) = held_for(600);
    let mut other = Acs::start(AcsOptions::new());
    other.expects(inform().event("0 BOOTSTRAP")).replies(inform_response());
    other.expects(empty_post()).replies(no_content());
    agent.succeeds(&["set", &format!("Device.ManagementServer.URL={}", other.url())]);
    other.session(SOON).expect_complete();
}
