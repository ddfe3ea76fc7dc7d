//! ScheduleInform.

use std::thread;
use std::time::{Duration, Instant};

use super::gateway::{Gateway, QUIET};
use crate::gateway::{Model, SOON};
use crate::support::schedule_inform;

/// The error of a schedule over a restart: the journal has whole seconds.
const GRAIN: Duration = Duration::from_secs(1);

/// R154: the Inform comes after the delay, not before it.
fn an_inform_after_a_delay(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    gateway.agent.reboot();
    let asked = gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        session.succeeds(&schedule_inform(1, "key <&>"));
        Instant::now()
    });
    gateway.acs.expect_events(&["3 SCHEDULED", "M ScheduleInform/key <&>"]); // R95, R136, R154
    assert!(asked.elapsed() > Duration::from_millis(950), "{:?}", asked.elapsed()); // R154
    gateway.acs.expect_no_session(QUIET); // R134
    gateway.crash_and_reboot();
    gateway.acs.expect_events(&["1 BOOT"]); // R134
}
both_models!(an_inform_after_a_delay);

/// R135, R136, R155: scheduled Informs that fall due during a session are reported by one Inform after it.
fn several_at_once(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        for key in ["a", "b", "", ""] {
            session.succeeds(&schedule_inform(1, key));
        }
        session.succeeds(&schedule_inform(3600, "later"));
        session.succeeds(&schedule_inform(3600, "sooner"));
        session.succeeds(&schedule_inform(1, "sooner")); // R155: the same key has a new delay
        thread::sleep(Duration::from_millis(1100)); // they fall due
        session.refuses(&schedule_inform(0, "never"), 9003); // R154
        session.refuses(&schedule_inform(0, "never").with("DelaySeconds", "soon"), 9003); // R76
        session.refuses(&schedule_inform(1, &"long".repeat(9)), 9003); // R76
    });
    let keys = ["M ScheduleInform", "M ScheduleInform", "M ScheduleInform/a", "M ScheduleInform/b"];
    let mut events = vec!["3 SCHEDULED", "M ScheduleInform/sooner"];
    events.extend(keys);
    gateway.acs.expect_events(&events); // R135: 3 SCHEDULED once, M ScheduleInform for each
    gateway.acs.expect_no_session(QUIET);
}
both_models!(several_at_once);

/// R155: a scheduled Inform survives a crash of the agent and a reboot of the device.
fn a_scheduled_inform_outlives_the_agent(model: &'static Model) {
    for reboots in [false, true] {
        let mut gateway = Gateway::new(model);
        gateway.agent.reboot();
        let asked = gateway.acs.expect_session(&["1 BOOT"], |_, session| {
            session.succeeds(&schedule_inform(2, "k"));
            Instant::now()
        });
        if reboots {
            gateway.crash_and_reboot();
            gateway.acs.expect_events(&["1 BOOT"]);
        } else {
            gateway.crash(); // R146
        }
        gateway.acs.expect_events(&["3 SCHEDULED", "M ScheduleInform/k"]); // R155
        assert!(asked.elapsed() + GRAIN > Duration::from_secs(2), "{:?}", asked.elapsed()); // R154
        gateway.crash();
        gateway.acs.expect_no_session(QUIET); // R134
    }
}
both_models!(a_scheduled_inform_outlives_the_agent);

/// R141, R155: a scheduled Inform that fell due while the device was off is sent until it is confirmed.
fn due_while_the_device_was_off(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| drop(session.succeeds(&schedule_inform(1, "k"))));
    gateway.agent.kill9();
    thread::sleep(Duration::from_millis(2100)); // the journal's grain included
    gateway.agent.reboot();
    let mut session = gateway.acs.accept(SOON).expect("a session");
    let inform = session.recv().expect("an Inform");
    assert_eq!(inform.sorted_events(), ["1 BOOT", "3 SCHEDULED", "M ScheduleInform/k"]); // R136
    gateway.crash(); // without InformResponse
    gateway.acs.expect_events(&["1 BOOT", "3 SCHEDULED", "M ScheduleInform/k"]); // R138, R141
    gateway.crash_and_reboot();
    gateway.acs.expect_events(&["1 BOOT"]);
}
both_models!(due_while_the_device_was_off);
