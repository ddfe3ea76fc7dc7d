//! When the real agent contacts its ACS, what for, and what it does after: notifications, heartbeats, promises.
#![allow(clippy::disallowed_methods, reason = "a test has clocks")]

#[path = "../gateway/mod.rs"]
mod gateway;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::{BOOT, BOOTSTRAP, PERIODIC, SOON, VALUE_CHANGE, gateway, tr_098};
use support::agent::AgentBuilder;
use support::{
    Acs, AcsOptions, Agent, drop_connection, empty_post, factory_reset, get_parameter_values, inform, inform_response,
    no_content, reboot, response, set_parameter_attributes, set_parameter_values, status,
};

const HEARTBEAT: &str = "14 HEARTBEAT";
const ENABLE: &str = "Device.ManagementServer.EnableCWMP";
const NTP: &str = "Device.Time.NTPServer1";
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";

/// Long enough for a session that should not come.
const A_WHILE: Duration = Duration::from_millis(500);

/// The next session tells just these events.
fn expect_session(acs: &Acs, events: &[&str], retry_count: u32) {
    acs.expects(inform().only_events(events).retry_count(retry_count)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
}

/// The next session ends well, for the agent too.
fn over(acs: &mut Acs, agent: &Agent) {
    let position = agent.log_position();
    acs.session(SOON).expect_complete();
    agent.wait_for_log_after(position.saturating_sub(1), "session done", SOON);
}

/// Lays a file over the model.
fn with_overlay(builder: AgentBuilder, directory: &Path, text: &str) -> AgentBuilder {
    let file = directory.join("overlay.json");
    std::fs::write(&file, text).expect("an overlay");
    builder.data_model(file)
}

/// A gateway whose reboot and factory reset each leave a mark.
struct Marked {
    directory: tempfile::TempDir,
}

impl Marked {
    fn new() -> Marked {
        Marked { directory: tempfile::tempdir().expect("a directory") }
    }

    fn mark(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn actions(&self, builder: AgentBuilder) -> AgentBuilder {
        let touch = |name: &str| format!("[\"touch\", \"{}\"]", self.mark(name).display());
        // The key that the ACS gave with its last request for a reboot tells on the second file.
        let reboot = touch("rebooted").replace(']', &format!(", \"{}\"]", self.mark("key-{commandKey}").display()));
        let reset = touch("reset");
        let text = format!("{{\"actions\":{{\"reboot\":{reboot},\"factoryReset\":{reset}}}}}");
        with_overlay(builder, self.directory.path(), &text)
    }

    fn wait_for(&self, name: &str) {
        for _ in 0..SOON.as_millis() / 10 {
            if self.mark(name).exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("nothing was {name}");
    }
}

/// R122, R123, R223, R224: a session that broke behind Reboot is held again, and does not tell of the reboot, which is
/// done when it has come to a clean end, and told after it.
#[test]
fn a_reboot_waits_for_the_clean_end_of_the_session() {
    let device = Marked::new();
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(reboot("first"));
    acs.expects(response("Reboot")).replies(reboot("second"));
    acs.expects(response("Reboot")).replies(drop_connection());
    acs.expects(inform().only_events(&[]).retry_count(1)).replies(status(500));
    acs.expects(inform().only_events(&[]).retry_count(2)).replies(inform_response());
    acs.expects(empty_post()).replies(get_parameter_values(&[NTP]));
    let mark = device.mark("rebooted");
    acs.expects(response("GetParameterValues").checked("not before the end", move |_| !mark.exists()))
        .replies(no_content());
    let mut agent = device.actions(gateway(&acs)).start();
    acs.session(SOON).expect_failed();
    acs.session(SOON).expect_failed();
    acs.session(SOON).expect_complete();
    device.wait_for("key-second");
    acs.expects(
        inform()
            .only_events(&[BOOT, "M Reboot", "M Reboot"])
            .event_with_key("M Reboot", "first")
            .event_with_key("M Reboot", "second"),
    )
    .replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.reboot();
    acs.session(SOON).expect_complete();
}

/// R122, R157, R226: the same of FactoryReset; what comes after it comes from the factory.
#[test]
fn a_factory_reset_waits_for_the_clean_end_of_the_session() {
    let device = Marked::new();
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(set_parameter_values(&[(NTP, "string", "x.example")], "key"));
    acs.expects(response("SetParameterValues")).replies(factory_reset());
    acs.expects(response("FactoryReset")).replies(drop_connection());
    acs.expects(inform().only_events(&[]).retry_count(1)).replies(inform_response());
    let mark = device.mark("reset");
    acs.expects(empty_post().checked("not before the end", move |_| !mark.exists())).replies(no_content());
    acs.expects(
        inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(0).parameter("Device.ManagementServer.ParameterKey", ""),
    )
    .replies(inform_response());
    acs.expects(empty_post()).replies(get_parameter_values(&[NTP]));
    acs.expects(response("GetParameterValues").parameter(NTP, "0.pool.ntp.org")).replies(no_content());
    let _agent = device.actions(gateway(&acs)).start();
    acs.session(SOON).expect_failed();
    acs.session(SOON).expect_complete();
    device.wait_for("reset");
    acs.session(SOON).expect_complete();
}

/// A device that is to do both only forgets everything; the reboot is dropped, with a word.
#[test]
fn a_factory_reset_comes_before_a_reboot() {
    let device = Marked::new();
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(reboot("key"));
    acs.enqueue(factory_reset());
    let agent = device.actions(gateway(&acs)).start();
    acs.session(SOON).expect_complete();
    device.wait_for("reset");
    agent.wait_for_log("the reboot that was asked for, too, is dropped", SOON);
    acs.session(SOON).expect_complete();
    assert!(!device.mark("rebooted").exists());
    assert_eq!(agent.log().matches("0 BOOTSTRAP: first contact").count(), 2);
}

/// R156: a delay counts from the end of the session that set it.
#[test]
fn a_reboot_after_a_delay() {
    const DELAY: &str = "Device.ManagementServer.DelayReboot";
    let device = Marked::new();
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(DELAY, "int", "1")], ""));
    let mut agent = device.actions(gateway(&acs)).start();
    over(&mut acs, &agent);
    assert!(!device.mark("rebooted").exists());
    device.wait_for("rebooted");
    acs.enqueue(get_parameter_values(&[DELAY]));
    agent.reboot();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.events(), [BOOT]);
    assert_eq!(session.response("GetParameterValues").value(DELAY), Some("-1"));
}

/// R7: no Inform while EnableCWMP is false, which only somebody on the LAN side can undo; then what has happened is told.
#[test]
fn a_silenced_gateway() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(ENABLE, "boolean", "0")], ""));
    let mut agent = gateway(&acs)
        .set("Device.ManagementServer.PeriodicInformEnable", "true")
        .set("Device.ManagementServer.PeriodicInformInterval", "1")
        .start();
    over(&mut acs, &agent);
    agent.reboot();
    acs.quiet_for(Duration::from_millis(1500));
    acs.expects(inform().event(BOOT)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.succeeds(&["set", &format!("{ENABLE}=true")]);
    acs.session(SOON).expect_complete();
}

/// R99, R134, R198: a passive notification waits for a session that has another cause.
#[test]
fn a_passive_notification_waits() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_attributes(&[(NTP, Some(1), None)]));
    let mut agent = gateway(&acs).start();
    over(&mut acs, &agent);
    agent.succeeds(&["set", &format!("{NTP}=new.example")]);
    acs.quiet_for(A_WHILE);
    // Nor is a restart of the agent a cause (R146).
    agent.restart();
    agent.wait_for_control();
    acs.quiet_for(A_WHILE);
    acs.expects(inform().only_events(&[PERIODIC, VALUE_CHANGE]).parameter(NTP, "new.example"))
        .replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.succeeds(&["inform"]);
    over(&mut acs, &agent);
}

/// R110, R142: a reboot takes the change and its event with it, and leaves the attribute.
#[test]
fn a_reboot_clears_what_was_to_be_told() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_attributes(&[(NTP, Some(1), None)]));
    let mut agent = gateway(&acs).start();
    over(&mut acs, &agent);
    agent.succeeds(&["set", &format!("{NTP}=new.example")]);
    acs.expects(inform().only_events(&[BOOT]).without_parameter(NTP)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.reboot();
    over(&mut acs, &agent);
    agent.succeeds(&["set", &format!("{NTP}=newer.example")]);
    acs.expects(inform().only_events(&[PERIODIC, VALUE_CHANGE]).parameter(NTP, "newer.example"))
        .replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.succeeds(&["inform"]);
    over(&mut acs, &agent);
}

/// A gateway with a heartbeat each second.
fn beating(acs: &Acs, directory: &Path) -> AgentBuilder {
    let interval = r#""ReportingInterval":{"min":1,"value":"1"}"#;
    let policy = format!(r#"{{"Device":{{"ManagementServer":{{"HeartbeatPolicy":{{{interval}}}}}}}}}"#);
    let builder = with_overlay(gateway(acs), directory, &policy);
    builder.set("Device.ManagementServer.HeartbeatPolicy.Enable", "true")
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
    let agent = beating(&acs, directory.path()).start();
    acs.session(SOON).expect_complete();
    agent.succeeds(&["set", &format!("{NTP}=new.example")]);
    for _ in 0..2 {
        let session = acs.session(SOON).expect_complete();
        assert_eq!(session.events(), [HEARTBEAT]);
        assert_eq!(session.inform().value(NTP), None);
    }
    agent.succeeds(&["set", &format!("{CODE}=x")]);
    loop {
        let session = acs.session(SOON).expect_complete();
        if session.events() != [HEARTBEAT] {
            assert_eq!(session.events(), [VALUE_CHANGE]);
            assert_eq!((session.inform().value(NTP), session.inform().value(CODE)), (Some("new.example"), Some("x")));
            break;
        }
    }
}

/// R125, R304: while another session is to be retried a heartbeat waits, and does not hasten the retry.
#[test]
fn heartbeats_while_the_acs_refuses() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acs = Acs::start(AcsOptions::new());
    let _agent =
        beating(&acs, directory.path()).set("Device.ManagementServer.CWMPRetryMinimumWaitInterval", "3").start();
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

/// R125, R304: heartbeats that the ACS refuses are tried again in their time, whatever else there is to tell.
#[test]
fn heartbeats_that_the_acs_refuses() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acs = Acs::start(AcsOptions::new());
    let agent =
        beating(&acs, directory.path()).set("Device.ManagementServer.CWMPRetryMinimumWaitInterval", "3").start();
    over(&mut acs, &agent);
    acs.expects(inform().only_events(&[HEARTBEAT])).replies(status(403));
    acs.session(SOON).expect_failed();
    acs.expects(inform().only_events(&[HEARTBEAT]).retry_count(1)).replies(status(403));
    acs.expects(inform().only_events(&[HEARTBEAT]).retry_count(2)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    expect_session(&acs, &[VALUE_CHANGE], 0);
    // An event of its own: one attempt at once, which the heartbeat takes; then the wait.
    agent.succeeds(&["set", &format!("{CODE}=x")]);
    let second = acs.session(SOON).expect_failed().exchanges[0].at;
    let third = acs.session(SOON).expect_complete().exchanges[0].at;
    assert!(third - second >= Duration::from_secs(3), "{:?}", third - second);
    acs.session(SOON).expect_complete();
}

/// R107: another default WAN connection is another address, of which the ACS hears at once, even of the same text.
#[test]
fn another_default_wan_connection() {
    const SERVICE: &str = "InternetGatewayDevice.Layer3Forwarding.DefaultConnectionService";
    let device = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1";
    let mut acs = Acs::start(AcsOptions::new());
    let agent = tr_098::gateway(&acs).start();
    over(&mut acs, &agent);
    let connections = format!("{device}.WANIPConnection.");
    let number = agent.succeeds(&["add", &connections]);
    let new = format!("{connections}{}", number.trim_end());
    acs.expects(
        inform()
            .only_events(&[VALUE_CHANGE])
            .has_parameter(&format!("{new}.ExternalIPAddress"))
            .without_parameter(&format!("{connections}1.ExternalIPAddress")),
    )
    .replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.succeeds(&["set", &format!("{SERVICE}={new}")]);
    over(&mut acs, &agent);
}
