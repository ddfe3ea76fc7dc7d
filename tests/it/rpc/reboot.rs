//! Reboot, DelayReboot, ScheduleReboot: the device goes down when its command says so, and tells of it afterwards.

use std::time::{Duration, SystemTime};

use super::gateway::{Gateway, QUIET};
use crate::gateway::{Model, SOON, TR_181};
use crate::support::{get_rpc_methods, reboot};

/// Returns a device whose command writes to a file and makes the next start another boot.
fn device(model: &'static Model) -> Gateway {
    Gateway::with_actions(model, |agent, place| {
        format!("\"reboot\": [\"sh\", \"-c\", \"echo boot-$$ > {agent}/boot-id; echo down >> {place}/reboots\"]")
    })
}

impl Gateway {
    /// Waits until the device has gone down this number of times since the start of the test, and starts it again.
    fn goes_down_and_comes_back(&mut self, times: usize) {
        self.wait_for_trace("reboots", times);
        self.agent.terminate();
        self.acs.clear();
        self.agent.restart();
    }
}

/// R224: several requests lead to one reboot, and each is reported.
fn several_reboots_are_one(model: &'static Model) {
    let mut gateway = device(model);
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        for key in ["a", "b <&>", "", ""] {
            session.succeeds(&reboot(key));
        }
        assert!(session.succeeds(&get_rpc_methods()).methods.contains(&"Reboot".to_owned())); // R5
        assert_eq!(gateway.traces("reboots"), 0); // R122, R223
    });
    gateway.goes_down_and_comes_back(1);
    gateway.acs.expect_events(&["1 BOOT", "M Reboot/a", "M Reboot/b <&>", "M Reboot", "M Reboot"]); // R160, R224
    gateway.acs.expect_no_session(QUIET);
    gateway.agent.reboot();
    gateway.acs.expect_events(&["1 BOOT"]); // R134: told once
    assert_eq!(gateway.traces("reboots"), 1); // R224
}
both_models!(several_reboots_are_one);

/// R141, R224: an answered Reboot is carried out, even if the agent is killed before the session has ended.
fn killed_between_answer_and_reboot(model: &'static Model) {
    let mut gateway = device(model);
    gateway.agent.reboot();
    let (_, _, mut session) = gateway.acs.next_session();
    session.succeeds(&reboot("k"));
    gateway.crash();
    gateway.goes_down_and_comes_back(1); // R223: the promise is kept by the next agent
    gateway.acs.expect_events(&["1 BOOT", "M Reboot/k"]); // R224
    gateway.acs.expect_no_session(QUIET);
    assert_eq!(gateway.traces("reboots"), 1);
}
both_models!(killed_between_answer_and_reboot);

/// R122: after a failed session, the reboot waits for a session that ends well, which does not report the reboot yet.
fn a_session_that_fails_behind_the_answer(model: &'static Model) {
    let mut gateway = device(model);
    gateway.agent.reboot();
    let (_, _, mut session) = gateway.acs.next_session();
    session.succeeds(&reboot("k"));
    drop(session); // the connection is lost
    gateway.acs.expect_session(&[], |inform, session| {
        assert_eq!(inform.retry_count(), Some(1)); // R98, R109
        session.succeeds(&get_rpc_methods());
        assert_eq!(gateway.traces("reboots"), 0); // R122
    });
    gateway.goes_down_and_comes_back(1);
    gateway.acs.expect_events(&["1 BOOT", "M Reboot/k"]); // R224
}
both_models!(a_session_that_fails_behind_the_answer);

/// R141: the event is sent until an InformResponse confirms it, and not again.
fn a_reboot_is_told_until_it_is_confirmed(model: &'static Model) {
    let mut gateway = device(model);
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| drop(session.succeeds(&reboot("k"))));
    gateway.goes_down_and_comes_back(1);
    for _ in 0..2 {
        let mut session = gateway.acs.accept(SOON).expect("a session");
        let inform = session.recv().expect("an Inform");
        assert_eq!(inform.sorted_events(), ["1 BOOT", "M Reboot/k"]); // R141, R142
        gateway.crash_and_reboot();
    }
    gateway.acs.expect_events(&["1 BOOT", "M Reboot/k"]);
    gateway.crash_and_reboot();
    gateway.acs.expect_events(&["1 BOOT"]); // R134
}
both_models!(a_reboot_is_told_until_it_is_confirmed);

/// After a reboot command that fails, the agent reports the request and no boot.
fn a_reboot_that_fails(model: &'static Model) {
    let mut gateway = Gateway::with_actions(model, |_, place| {
        format!("\"reboot\": [\"sh\", \"-c\", \"echo tried >> {place}/reboots; exit 3\"]")
    });
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| drop(session.succeeds(&reboot("k"))));
    gateway.acs.expect_events(&["M Reboot/k"]); // R134, R146
    gateway.agent.wait_for_log("the reboot command failed: the command ended with exit status 3", SOON);
    gateway.crash();
    gateway.acs.expect_no_session(QUIET);
    assert_eq!(gateway.traces("reboots"), 1);
}
both_models!(a_reboot_that_fails);

/// A device without a reboot command refuses the request.
fn a_device_without_the_command(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        let methods = session.succeeds(&get_rpc_methods()).methods;
        assert!(!methods.contains(&"Reboot".to_owned()), "{methods:?}"); // R5
        assert!(!methods.contains(&"FactoryReset".to_owned()), "{methods:?}"); // R5
        session.refuses(&reboot("k"), 9000); // R4
        session.refuses(&crate::support::factory_reset(), 9000); // R4
    });
    gateway.acs.expect_no_session(QUIET);
}
both_models!(a_device_without_the_command);

/// R156: DelayReboot reboots the device this number of seconds after the session, and is reset by the reboot.
#[test]
fn delay_reboot() {
    let mut gateway = device(&TR_181);
    let delay = gateway.management("DelayReboot");
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        session.set(&delay, "int", "1");
        std::thread::sleep(Duration::from_millis(1100)); // the delay begins with the end of the session
        assert_eq!((gateway.traces("reboots"), session.value(&delay)), (0, "1".into()));
    });
    let ended = std::time::Instant::now();
    gateway.wait_for_trace("reboots", 1);
    assert!(ended.elapsed() > Duration::from_millis(900), "{:?}", ended.elapsed()); // R156
    gateway.goes_down_and_comes_back(1);
    gateway.acs.expect_session(&["1 BOOT"], |_, session| assert_eq!(session.value(&delay), "-1")); // R156
    gateway.acs.expect_no_session(2 * QUIET);
    assert_eq!(gateway.traces("reboots"), 1);
}

/// R156: the delay begins anew with each session that sets it, to the same value too; also where a reboot has failed.
#[test]
fn delay_reboot_set_once_more() {
    let mut gateway = Gateway::with_actions(&TR_181, |_, place| {
        format!("\"reboot\": [\"sh\", \"-c\", \"echo tried >> {place}/reboots; exit 3\"]")
    });
    let delay = gateway.management("DelayReboot");
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| session.set(&delay, "int", "3"));
    std::thread::sleep(Duration::from_secs(1));
    gateway.agent.succeeds(&["inform"]);
    gateway.acs.expect_session(&["2 PERIODIC"], |_, session| session.set(&delay, "int", "3"));
    let ended = std::time::Instant::now();
    gateway.wait_for_trace("reboots", 1);
    assert!(ended.elapsed() > Duration::from_millis(2400), "{:?}", ended.elapsed()); // R156
    gateway.agent.succeeds(&["inform"]);
    gateway.acs.expect_session(&["2 PERIODIC"], |_, session| session.set(&delay, "int", "3"));
    gateway.wait_for_trace("reboots", 2);
}

/// R156: ScheduleReboot reboots the device at an instant; an instant that has passed has no effect.
#[test]
fn schedule_reboot() {
    let mut gateway = device(&TR_181);
    let at = gateway.management("ScheduleReboot");
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| session.set(&at, "dateTime", "2025-01-01T00:00:00Z"));
    gateway.acs.expect_no_session(QUIET);
    assert_eq!(gateway.traces("reboots"), 0); // R156
    gateway.agent.reboot();
    let instant = gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        // Not before the start of the agent, which may take as long.
        let instant = in_seconds(2);
        session.set(&at, "dateTime", &instant);
        instant
    });
    gateway.goes_down_and_comes_back(1);
    assert!(in_seconds(0) >= instant, "the device went down before {instant}"); // R156
    // A device without a battery clock boots with an earlier time, and must not reboot for the same instant again.
    let journal = std::fs::read_to_string(gateway.agent.state_dir().join("journal")).expect("the journal");
    assert!(journal.contains("\"scheduledRebootDone\":1"), "{journal}");
    gateway.acs.expect_session(&["1 BOOT"], |_, session| assert_eq!(session.value(&at), instant));
    gateway.acs.expect_no_session(QUIET); // the instant has passed
    assert_eq!(gateway.traces("reboots"), 1);
}

/// Returns the time some seconds from now, as XML Schema writes it.
pub(crate) fn in_seconds(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970").as_secs() + seconds;
    // Days to a date, after Howard Hinnant's civil_from_days.
    let days = (now / 86_400) as i64 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = (if month < 10 { month + 3 } else { month - 9 }, year_of_era + era * 400);
    let year = year + i64::from(month <= 2);
    let time = now % 86_400;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time / 3600, time / 60 % 60, time % 60)
}
