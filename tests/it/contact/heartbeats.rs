//! Heartbeats. HeartbeatPolicy is not in TR-098.

use std::path::Path;
use std::time::Duration;

use super::scenarios::{over, with_overlay};
use crate::gateway::{BOOT, BOOTSTRAP, SOON, TR_181, VALUE_CHANGE};
use crate::support::agent::AgentBuilder;
use crate::support::{
    Acs, AcsOptions, Session, empty_post, inform, inform_response, no_content, response, set_parameter_attributes,
    status,
};

const HEARTBEAT: &str = "14 HEARTBEAT";
const NTP: &str = "Device.Time.NTPServer1";
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";

/// Expects that the next session reports exactly these events.
fn expect_session(acs: &Acs, events: &[&str], retry_count: u32) {
    acs.expects(inform().only_events(events).retry_count(retry_count)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
}

/// Returns a gateway with a heartbeat at this interval, in seconds.
fn beating(acs: &Acs, directory: &Path, interval: u32) -> AgentBuilder {
    let interval = format!(r#""ReportingInterval":{{"min":1,"value":"{interval}"}}"#);
    let policy = format!(r#"{{"Device":{{"ManagementServer":{{"HeartbeatPolicy":{{{interval}}}}}}}}}"#);
    let builder = with_overlay(TR_181.gateway(acs), directory, &policy);
    builder.set("Device.ManagementServer.HeartbeatPolicy.Enable", "true")
}

/// Waits for a session that reports a changed value, with heartbeats before it.
fn await_value_change(acs: &mut Acs) -> Session {
    let mut sessions = std::iter::repeat_with(|| acs.session(SOON).expect_complete());
    let session = sessions.find(|session| session.events() != [HEARTBEAT]).expect("endless");
    assert_eq!(session.events(), [VALUE_CHANGE]);
    session
}

/// R302, R303, R304: heartbeats come at their interval and tell no changes, of which a passive one starts no session
/// of its own, and an active one does.
#[test]
fn heartbeats() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acs = Acs::start(AcsOptions::new());
    let passive = set_parameter_attributes(&[(NTP, Some(1), None)]);
    acs.expects(inform().event(BOOT)).replies(inform_response());
    acs.expects(empty_post()).replies(passive);
    acs.expects(response("SetParameterAttributes")).replies(no_content());
    let agent = beating(&acs, directory.path(), 1).start();
    acs.session(SOON).expect_complete();
    agent.succeeds(&["set", &format!("{NTP}=new.example")]);
    for _ in 0..2 {
        let session = acs.session(SOON).expect_complete();
        assert_eq!(session.events(), [HEARTBEAT]);
        assert_eq!(session.inform().value(NTP), None);
    }
    agent.succeeds(&["set", &format!("{CODE}=x")]);
    let session = await_value_change(&mut acs);
    assert_eq!((session.inform().value(NTP), session.inform().value(CODE)), (Some("new.example"), Some("x")));
}

/// R125, R304: a heartbeat waits while another session is to be retried, and does not advance the retry.
#[test]
fn heartbeats_while_the_acs_refuses() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acs = Acs::start(AcsOptions::new());
    let _agent =
        beating(&acs, directory.path(), 1).set("Device.ManagementServer.CWMPRetryMinimumWaitInterval", "3").start();
    acs.expects(inform().event(BOOT).retry_count(0)).replies(status(500));
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(1)).replies(status(500));
    expect_session(&acs, &[BOOTSTRAP, BOOT], 2);
    expect_session(&acs, &[HEARTBEAT], 0);
    let began: Vec<_> = (0..2).map(|_| acs.session(SOON).expect_failed().exchanges[0].at).collect();
    let third = acs.session(SOON).expect_complete().exchanges[0].at;
    for wait in [began[1] - began[0], third - began[1]] {
        assert!(wait >= Duration::from_secs(3), "{wait:?}");
    }
    acs.session(SOON).expect_complete();
}

/// R125, R304: a heartbeat that the ACS refuses is retried at the next heartbeat, even if other events wait.
#[test]
fn heartbeats_that_the_acs_refuses() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acs = Acs::start(AcsOptions::new());
    // The command below comes before the next heartbeat, also on a busy machine.
    let agent =
        beating(&acs, directory.path(), 3).set("Device.ManagementServer.CWMPRetryMinimumWaitInterval", "3").start();
    over(&mut acs, &agent);
    acs.expects(inform().only_events(&[HEARTBEAT])).replies(status(403));
    acs.session(SOON).expect_failed();
    acs.expects(inform().only_events(&[HEARTBEAT]).retry_count(1)).replies(status(403));
    acs.expects(inform().only_events(&[HEARTBEAT]).retry_count(2)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    // A new event gets one attempt at once, which includes the heartbeat; then the retry wait counts.
    agent.succeeds(&["set", &format!("{CODE}=x")]);
    let second = acs.session(SOON).expect_failed().exchanges[0].at;
    let third = acs.session(SOON).expect_complete().exchanges[0].at;
    assert!(third - second >= Duration::from_secs(3), "{:?}", third - second);
    await_value_change(&mut acs);
}
