//! The causes of sessions, and the actions that wait for the end of a session: notifications, reboot, factory reset.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::gateway::{BOOT, BOOTSTRAP, Model, PERIODIC, SOON, VALUE_CHANGE};
use crate::support::agent::AgentBuilder;
use crate::support::{
    Acs, AcsOptions, Agent, drop_connection, empty_post, factory_reset, get_parameter_values, inform, inform_response,
    no_content, reboot, response, set_parameter_attributes, set_parameter_values, status,
};

const ENABLE: &str = "ManagementServer.EnableCWMP";
const NTP: &str = "Time.NTPServer1";

/// The time for which a test waits for a session that must not come.
const A_WHILE: Duration = Duration::from_millis(500);

/// Completes the next session, and waits until the agent has seen its end.
pub(super) fn over(acs: &mut Acs, agent: &Agent) {
    let position = agent.log_position();
    acs.session(SOON).expect_complete();
    agent.wait_for_log_after(position.saturating_sub(1), "session finished", SOON);
}

/// Lays a file over the model.
pub(super) fn with_overlay(builder: AgentBuilder, directory: &Path, text: &str) -> AgentBuilder {
    let file = directory.join("overlay.json");
    std::fs::write(&file, text).expect("an overlay");
    builder.data_model(file)
}

/// A gateway whose commands for reboot and factory reset each write a file.
pub(super) struct Marked {
    directory: tempfile::TempDir,
}

impl Marked {
    pub(super) fn new() -> Marked {
        Marked { directory: tempfile::tempdir().expect("a directory") }
    }

    pub(super) fn mark(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn actions(&self, builder: AgentBuilder) -> AgentBuilder {
        let touch = |name: &str| format!("[\"touch\", \"{}\"]", self.mark(name).display());
        // The second file holds the CommandKey of the last Reboot.
        let reboot = touch("rebooted").replace(']', &format!(", \"{}\"]", self.mark("key-{commandKey}").display()));
        let reset = touch("reset");
        let text = format!("{{\"actions\":{{\"reboot\":{reboot},\"factoryReset\":{reset}}}}}");
        with_overlay(builder, self.directory.path(), &text)
    }

    pub(super) fn wait_for(&self, name: &str) {
        for _ in 0..SOON.as_millis() / 10 {
            if self.mark(name).exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("nothing was {name}");
    }
}

/// R122, R123, R223, R224: a session that broke behind Reboot is retried without the event of the reboot. The device
/// reboots once a session has ended cleanly, and tells the event after that.
fn a_reboot_waits_for_the_clean_end_of_the_session(model: &'static Model) {
    let ntp = model.at(NTP);
    let device = Marked::new();
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(reboot("first"));
    acs.expects(response("Reboot")).replies(reboot("second"));
    acs.expects(response("Reboot")).replies(drop_connection());
    acs.expects(inform().only_events(&[]).retry_count(1)).replies(status(500));
    acs.expects(inform().only_events(&[]).retry_count(2)).replies(inform_response());
    acs.expects(empty_post()).replies(get_parameter_values(&[ntp]));
    let mark = device.mark("rebooted");
    acs.expects(response("GetParameterValues").checked("not before the end", move |_| !mark.exists()))
        .replies(no_content());
    let mut agent = device.actions(model.gateway(&acs)).start();
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
both_models!(a_reboot_waits_for_the_clean_end_of_the_session);

/// R122, R157, R226: a factory reset waits for the clean end of the session; afterwards the values are those of the
/// factory.
fn a_factory_reset_waits_for_the_clean_end_of_the_session(model: &'static Model) {
    let ntp = model.at(NTP);
    let device = Marked::new();
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(set_parameter_values(&[(ntp, "string", "x.example")], "key"));
    acs.expects(response("SetParameterValues")).replies(factory_reset());
    acs.expects(response("FactoryReset")).replies(drop_connection());
    acs.expects(inform().only_events(&[]).retry_count(1)).replies(inform_response());
    let mark = device.mark("reset");
    acs.expects(empty_post().checked("not before the end", move |_| !mark.exists())).replies(no_content());
    acs.expects(
        inform()
            .only_events(&[BOOTSTRAP, BOOT])
            .retry_count(0)
            .parameter(model.at("ManagementServer.ParameterKey"), ""),
    )
    .replies(inform_response());
    acs.expects(empty_post()).replies(get_parameter_values(&[ntp]));
    acs.expects(response("GetParameterValues").parameter(ntp, "0.pool.ntp.org")).replies(no_content());
    let _agent = device.actions(model.gateway(&acs)).start();
    acs.session(SOON).expect_failed();
    acs.session(SOON).expect_complete();
    device.wait_for("reset");
    acs.session(SOON).expect_complete();
}
both_models!(a_factory_reset_waits_for_the_clean_end_of_the_session);

/// A device with both requests pending executes the factory reset only, and logs that the reboot is dropped.
fn a_factory_reset_comes_before_a_reboot(model: &'static Model) {
    let device = Marked::new();
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(reboot("key"));
    acs.enqueue(factory_reset());
    let agent = device.actions(model.gateway(&acs)).start();
    acs.session(SOON).expect_complete();
    device.wait_for("reset");
    agent.wait_for_log("the pending reboot is dropped in favour of the factory reset", SOON);
    acs.session(SOON).expect_complete();
    assert!(!device.mark("rebooted").exists());
    assert_eq!(agent.log().matches("0 BOOTSTRAP: first contact").count(), 2);
}
both_models!(a_factory_reset_comes_before_a_reboot);

/// R7: no Inform is sent while EnableCWMP is false, which only the LAN side can undo; afterwards the events that have
/// come up are told.
fn a_silenced_gateway(model: &'static Model) {
    let enable = model.at(ENABLE);
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(enable, "boolean", "0")], ""));
    let mut agent = model
        .gateway(&acs)
        .set(model.at("ManagementServer.PeriodicInformEnable"), "true")
        .set(model.at("ManagementServer.PeriodicInformInterval"), "1")
        .start();
    over(&mut acs, &agent);
    agent.reboot();
    acs.quiet_for(Duration::from_millis(1500));
    acs.expects(inform().event(BOOT)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.succeeds(&["set", &format!("{enable}=true")]);
    acs.session(SOON).expect_complete();
}
both_models!(a_silenced_gateway);

/// R99, R134, R198: a passive notification waits for a session that has another cause.
fn a_passive_notification_waits(model: &'static Model) {
    let ntp = model.at(NTP);
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_attributes(&[(ntp, Some(1), None)]));
    let mut agent = model.gateway(&acs).start();
    over(&mut acs, &agent);
    agent.succeeds(&["set", &format!("{ntp}=new.example")]);
    acs.quiet_for(A_WHILE);
    // A restart of the agent is no cause of a session either (R146).
    agent.restart();
    agent.wait_for_control();
    acs.quiet_for(A_WHILE);
    acs.expects(inform().only_events(&[PERIODIC, VALUE_CHANGE]).parameter(ntp, "new.example"))
        .replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.succeeds(&["inform"]);
    over(&mut acs, &agent);
}
both_models!(a_passive_notification_waits);

/// R110, R142: a reboot discards a pending value change and its event, and keeps the attribute.
fn a_reboot_clears_what_was_to_be_told(model: &'static Model) {
    let ntp = model.at(NTP);
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_attributes(&[(ntp, Some(1), None)]));
    let mut agent = model.gateway(&acs).start();
    over(&mut acs, &agent);
    agent.succeeds(&["set", &format!("{ntp}=new.example")]);
    acs.expects(inform().only_events(&[BOOT]).without_parameter(ntp)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.reboot();
    over(&mut acs, &agent);
    agent.succeeds(&["set", &format!("{ntp}=newer.example")]);
    acs.expects(inform().only_events(&[PERIODIC, VALUE_CHANGE]).parameter(ntp, "newer.example"))
        .replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.succeeds(&["inform"]);
    over(&mut acs, &agent);
}
both_models!(a_reboot_clears_what_was_to_be_told);
