//! The content of an Inform, and the conditions under which none is sent.

use super::gateway::{Gateway, QUIET};
use super::reboot::in_seconds;
use crate::gateway::{Model, TR_181};
use crate::support::{add_object, schedule_inform, set_parameter_values};

/// R108: the table InformParameter adds parameters to Informs with some events or with all.
fn inform_parameters(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    let table = gateway.management("InformParameter.");
    let full = gateway.management("PeriodicInformInterval");
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        for (number, name, events) in [("1", model.pattern, "1 BOOT"), ("2", &*full, "")] {
            let answer = session.succeeds(&add_object(&table, ""));
            assert_eq!(answer.argument("InstanceNumber"), Some(number));
            let entry = format!("{table}{number}.");
            session.set(&format!("{entry}ParameterName"), "string", name);
            session.set(&format!("{entry}EventList"), "string", events);
            session.set(&format!("{entry}Enable"), "boolean", "1");
        }
        let key = gateway.management("ParameterKey");
        let wrong = [("ParameterName", &*key), ("EventList", "4 VALUE CHANGE"), ("EventList", "1 BOOT,nonsense")];
        for (field, value) in wrong {
            let set = set_parameter_values(&[(&format!("{table}1.{field}"), "string", value)], "");
            let fault = session.refuses(&set, 9003).fault.expect("a fault");
            assert_eq!(fault.parameters[0].1, 9007, "{field}={value}"); // R108, R165
        }
        session.succeeds(&schedule_inform(1, ""));
    });
    let matches = |name: &str| {
        let (start, end) = model.pattern.split_once('*').expect("a pattern");
        name.starts_with(start) && name.ends_with(end.rsplit('*').next().unwrap_or(end))
    };
    gateway.acs.expect_session(&["3 SCHEDULED", "M ScheduleInform"], |inform, _| {
        assert!(inform.value(&full).is_some()); // R108: with every event
        assert!(!inform.parameters.iter().any(|parameter| matches(&parameter.name))); // R108
    });
    gateway.crash_and_reboot();
    gateway.acs.expect_session(&["1 BOOT"], |inform, session| {
        assert!(inform.value(&full).is_some());
        let found = inform.parameters.iter().filter(|parameter| matches(&parameter.name)).count();
        assert!(found > 1, "{}", inform.xml); // R108
        session.set(&format!("{table}2.Enable"), "boolean", "0");
    });
    let version = gateway.info("SoftwareVersion");
    gateway.agent.set(&version, "2.0.0");
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT", "4 VALUE CHANGE"], |inform, _| {
        assert!(!inform.parameters.iter().any(|parameter| matches(&parameter.name))); // R102
        assert!(inform.value(&full).is_none());
    });
}
both_models!(inform_parameters);

/// R99, R101, R106: another firmware version is reported once.
fn another_firmware(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    let version = gateway.info("SoftwareVersion");
    gateway.agent.set(&version, "99.1");
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT", "4 VALUE CHANGE"], |inform, _| {
        assert_eq!(inform.value(&version), Some("99.1")); // R99, R101, R106
    });
    gateway.agent.reboot();
    gateway.acs.expect_events(&["1 BOOT"]); // R101
}
both_models!(another_firmware);

/// R302, R303: a heartbeat comes at its instant, alone, with forced parameters only.
#[test]
fn a_heartbeat() {
    let mut gateway = Gateway::new(&TR_181);
    let policy = gateway.management("HeartbeatPolicy.");
    gateway.agent.reboot();
    let forced = gateway.acs.expect_session(&["1 BOOT"], |inform, session| {
        let (enable, interval) = (format!("{policy}Enable"), format!("{policy}ReportingInterval"));
        let values = [
            (&*enable, "boolean", "true"),
            (&*interval, "unsignedInt", "30"),
            (&*format!("{policy}InitiationTime"), "dateTime", &*in_seconds(2)),
        ];
        let too_often = set_parameter_values(&[(&interval, "unsignedInt", "29")], "");
        session.refuses(&too_often, 9003); // R302
        session.succeeds(&set_parameter_values(&values, ""));
        inform.parameters.len()
    });
    gateway.acs.expect_session(&["14 HEARTBEAT"], |inform, _| assert_eq!(inform.parameters.len(), forced)); // R303
    gateway.acs.expect_no_session(QUIET);
}

/// Once EnableCWMP is false the gateway starts no session, for no event.
fn a_gateway_that_is_not_to_call(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    let enable = gateway.management("EnableCWMP");
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        session.succeeds(&schedule_inform(1, ""));
        session.set(&enable, "boolean", "false");
    });
    gateway.acs.expect_no_session(2 * QUIET); // R7
    gateway.crash_and_reboot();
    gateway.acs.expect_no_session(QUIET); // R7
}
both_models!(a_gateway_that_is_not_to_call);

/// R109, R98: if a session fails after its events were delivered, the retry reports none of them.
fn a_failure_late_in_a_session(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    gateway.agent.reboot();
    let (_, _, session) = gateway.acs.next_session();
    drop(session); // the connection is lost
    gateway.acs.expect_session(&[], |inform, _| assert_eq!(inform.retry_count(), Some(1))); // R98, R109
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |inform, _| assert_eq!(inform.retry_count(), Some(0))); // R130
}
both_models!(a_failure_late_in_a_session);
