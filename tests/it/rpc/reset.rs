//! FactoryReset: the values of the factory are back, even after a crash at any step.

use std::fs;

use super::gateway::{Gateway, QUIET};
use crate::gateway::{Model, SOON};
use crate::support::{
    AcsSession, add_object, factory_reset, get_parameter_attributes, get_parameter_values, schedule_inform,
    set_parameter_attributes, set_parameter_values,
};

/// Adds an instance to the table of the model.
fn add(session: &mut AcsSession, model: &Model) -> String {
    let answer = session.succeeds(&add_object(model.outer, "key"));
    format!("{}{}.", model.outer, answer.argument("InstanceNumber").expect("a number"))
}

/// Creates values, an instance, attributes and events, and requests the reset. Returns the instance.
fn fill_and_reset(gateway: &mut Gateway) -> String {
    let model = gateway.model;
    let username = gateway.management("Username");
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        session.succeeds(&set_parameter_values(&[(&username, "string", "changed")], "key"));
        let made = add(session, model);
        session.succeeds(&set_parameter_attributes(&[(&username, Some(2), Some(&[]))]));
        session.succeeds(&schedule_inform(1, "forgotten"));
        session.succeeds(&factory_reset());
        assert_eq!(session.value(&username), "changed"); // R226: not before the session has ended
        assert_eq!((gateway.traces("resets"), gateway.traces("begun")), (0, 0)); // R226
        made
    })
}

/// Expects the factory state in the first session after the reset.
fn expect_factory_state(gateway: &mut Gateway, made: &str) {
    let model = gateway.model;
    let username = gateway.management("Username");
    gateway.acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |inform, session| {
        assert_eq!(inform.value(&gateway.management("ParameterKey")), Some("")); // R157, R226
        assert_eq!(session.value(&username), "");
        let attributes = session.succeeds(&get_parameter_attributes(&[&username]));
        assert_eq!(attributes.attributes[0].notification, "0");
        assert_eq!(attributes.attributes[0].access_list, ["Subscriber"]);
        session.refuses(&get_parameter_values(&[made]), 9005);
        assert_eq!(add(session, model), made); // numbers start anew
    });
    gateway.acs.expect_no_session(2 * QUIET); // scheduled Informs are deleted
}

/// A factory reset deletes all values, instances, attributes and events.
fn a_factory_reset(model: &'static Model) {
    let mut gateway = Gateway::with_actions(model, |_, place| {
        format!("\"factoryReset\": [\"sh\", \"-c\", \"echo done >> {place}/resets\"]")
    });
    let made = fill_and_reset(&mut gateway);
    expect_factory_state(&mut gateway, &made);
    assert_eq!(gateway.traces("resets"), 1);
    gateway.crash_and_reboot();
    gateway.acs.expect_events(&["1 BOOT"]); // R137: BOOTSTRAP was told
    assert_eq!(gateway.traces("resets"), 1);
}
both_models!(a_factory_reset);

/// The reset is completed even if the agent is killed before the end of the session and during the command.
fn killed_in_the_middle_of_a_factory_reset(model: &'static Model) {
    let mut gateway = Gateway::with_actions(model, |_, place| {
        let wait = format!("while [ ! -e {place}/go ]; do sleep 0.01; done");
        format!(
            "\"factoryReset\": [\"sh\", \"-c\", \"echo begun >> {place}/begun; {wait}; echo done >> {place}/resets\"]"
        )
    });
    gateway.agent.reboot();
    let (_, _, mut session) = gateway.acs.next_session();
    let made = add(&mut session, model);
    session.succeeds(&factory_reset());
    gateway.crash(); // R226: promised
    gateway.wait_for_trace("begun", 1);
    gateway.crash();
    gateway.wait_for_trace("begun", 2);
    fs::write(gateway.place.path().join("go"), "").expect("a file");
    expect_factory_state(&mut gateway, &made);
}
both_models!(killed_in_the_middle_of_a_factory_reset);

/// R226: after a failed session, the reset waits for a session that ends well.
fn a_session_that_fails_behind_the_answer(model: &'static Model) {
    let mut gateway = Gateway::with_actions(model, |_, place| {
        format!("\"factoryReset\": [\"sh\", \"-c\", \"echo done >> {place}/resets\"]")
    });
    gateway.agent.reboot();
    let (_, _, mut session) = gateway.acs.next_session();
    let made = add(&mut session, model);
    session.succeeds(&factory_reset());
    drop(session); // the connection is lost
    gateway.acs.expect_session(&[], |_, session| {
        session.succeeds(&get_parameter_values(&[&made]));
        assert_eq!(gateway.traces("resets"), 0); // R226
    });
    expect_factory_state(&mut gateway, &made);
    assert_eq!(gateway.traces("resets"), 1);
}
both_models!(a_session_that_fails_behind_the_answer);

/// A reset whose action a new model removes is dropped, so that a later model with an action does not run it
/// unexpectedly.
fn a_factory_reset_whose_action_is_gone(model: &'static Model) {
    let action = |place: &str| format!("\"factoryReset\": [\"sh\", \"-c\", \"echo done >> {place}/resets\"]");
    let mut gateway = Gateway::with_actions(model, |_, place| action(place));
    let overlay = gateway.place.path().join("overlay.json");
    let with_it = fs::read_to_string(&overlay).expect("the overlay");
    gateway.agent.reboot();
    let (_, _, mut session) = gateway.acs.next_session();
    session.succeeds(&factory_reset());
    fs::write(&overlay, "{}").expect("a file");
    gateway.agent.signal("HUP");
    drop(session); // the connection is lost
    gateway.acs.expect_session(&[], |_, session| assert_eq!(session.value(&gateway.management("Username")), ""));
    gateway.agent.wait_for_log("a factory reset is due, but the data model has no action for it", SOON);
    fs::write(&overlay, with_it).expect("a file");
    gateway.crash_and_reboot();
    gateway.acs.expect_events(&["1 BOOT"]); // R137: no BOOTSTRAP
    gateway.acs.expect_no_session(QUIET);
    assert_eq!(gateway.traces("resets"), 0);
}
both_models!(a_factory_reset_whose_action_is_gone);

/// After a reset command that fails, the device is managed from its factory state, and the log has the reason.
fn a_factory_reset_whose_command_fails(model: &'static Model) {
    let mut gateway = Gateway::with_actions(model, |_, _| "\"factoryReset\": [\"false\"]".into());
    let made = fill_and_reset(&mut gateway);
    expect_factory_state(&mut gateway, &made);
    gateway.agent.wait_for_log("the factory-reset command failed: the command ended with exit status 1", SOON);
}
both_models!(a_factory_reset_whose_command_fails);

/// A command that restarts the device is not run again after the boot.
fn a_factory_reset_that_restarts_the_device(model: &'static Model) {
    let mut gateway = device_that_restarts(model);
    let made = fill_and_reset(&mut gateway);
    gateway.wait_for_trace("resets", 1);
    let status = gateway.agent.exit_status(SOON);
    assert!(status.success(), "{status}");
    assert!(!gateway.agent.log().contains("command failed"), "the command goes on");
    gateway.acs.clear();
    gateway.agent.restart();
    expect_factory_state(&mut gateway, &made);
    assert_eq!(gateway.traces("resets"), 1);
}
both_models!(a_factory_reset_that_restarts_the_device);

/// Returns a device whose command stops the agent, as init does when the device goes down, and makes the next start
/// another boot.
fn device_that_restarts(model: &'static Model) -> Gateway {
    Gateway::with_actions(model, |agent, place| {
        let command = format!("echo reset > {agent}/boot-id; echo done >> {place}/resets; kill -TERM $PPID; sleep 5");
        format!("\"factoryReset\": [\"sh\", \"-c\", \"{command}\"]")
    })
}
