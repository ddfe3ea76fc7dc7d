//! Diagnostic tests: their life between the ACS and the device, and their measurements.

mod http_servers;
mod interruptions;
mod network;
mod over_routers;
mod tests_of_acs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use crate::gateway::{Model, SOON, TR_181};
use crate::rpc::gateway::{Gateway, QUIET};
use crate::support::skip::skip;
use crate::support::{AcsSession, set_parameter_values};

pub(crate) const COMPLETE: &[&str] = &["8 DIAGNOSTICS COMPLETE"];

/// The object of the ping.
fn ping(model: &Model) -> &'static str {
    model.at(if model.root == "Device" { "IP.Diagnostics.IPPing." } else { "IPPingDiagnostics." })
}

/// Returns true if this process may open sockets for echo requests; otherwise records the test as skipped.
fn may_ping() -> bool {
    let may = rustix::process::geteuid().is_root();
    if !may {
        skip("no right to sockets for echo requests, which root has");
    }
    may
}

/// Sets values of an object in one request, each a string to the CPE, which knows the types.
pub(crate) fn set(session: &mut AcsSession, object: &str, values: &[(&str, &str)]) {
    let names: Vec<String> = values.iter().map(|(name, _)| format!("{object}{name}")).collect();
    let list: Vec<(&str, &str, &str)> =
        names.iter().zip(values).map(|(name, (_, value))| (name.as_str(), "xsd:string", *value)).collect();
    session.succeeds(&set_parameter_values(&list, ""));
}

/// Starts a session by a reboot.
pub(crate) fn in_session<R>(gateway: &mut Gateway, steps: impl FnOnce(&mut AcsSession) -> R) -> R {
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| steps(session))
}

/// R309, R310, R311, R313, R316: a ping from its request to the next boot.
fn a_ping_for_the_acs(model: &'static Model) {
    if !may_ping() {
        return;
    }
    let mut gateway = Gateway::new(model);
    let object = ping(model);
    let value = |session: &mut AcsSession, name: &str| session.value(&format!("{object}{name}"));
    in_session(&mut gateway, |session| {
        let values =
            [("Host", "127.0.0.1"), ("NumberOfRepetitions", "2"), ("DSCP", "10"), ("DiagnosticsState", "Requested")];
        set(session, object, &values);
        thread::sleep(Duration::from_millis(100));
        assert_eq!(value(session, "DiagnosticsState"), "Requested", "R310: not before the end of the session");
    });
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(value(session, "DiagnosticsState"), "Complete");
        assert_eq!((value(session, "SuccessCount").as_str(), value(session, "FailureCount").as_str()), ("2", "0"));
    });
    gateway.acs.expect_no_session(QUIET); // R134
    gateway.crash();
    gateway.acs.expect_no_session(QUIET); // R146
    assert_eq!(gateway.agent.value(&format!("{object}SuccessCount")), "2", "R313: until the boot");
    in_session(&mut gateway, |session| {
        assert_eq!(value(session, "DiagnosticsState"), "None"); // R313
        assert_eq!(value(session, "Host"), "127.0.0.1");
    });
}
both_models!(a_ping_for_the_acs);

/// R308, R309, R316: the request is refused as a whole.
fn a_request_that_is_refused(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    let object = ping(model);
    in_session(&mut gateway, |session| {
        for values in [
            &[("DiagnosticsState", "None")][..],
            &[("DiagnosticsState", "Complete")],
            &[("DiagnosticsState", "Error_Other")],
            &[("DiagnosticsState", "Requested")], // without a host
            &[("Host", "h"), ("NumberOfRepetitions", "0"), ("DiagnosticsState", "Requested")],
            &[("Host", "h"), ("Timeout", "0"), ("DiagnosticsState", "Requested")],
            &[("Host", "h"), ("DataBlockSize", "65536"), ("DiagnosticsState", "Requested")],
            &[("Host", "h"), ("DSCP", "64"), ("DiagnosticsState", "Requested")],
        ] {
            let names: Vec<String> = values.iter().map(|(name, _)| format!("{object}{name}")).collect();
            let list: Vec<(&str, &str, &str)> =
                names.iter().zip(values).map(|(name, (_, value))| (name.as_str(), "xsd:string", *value)).collect();
            let fault = session.refuses(&set_parameter_values(&list, ""), 9003);
            assert!(fault.xml.contains("<FaultCode>9007</FaultCode>"), "{values:?}: {}", fault.xml);
        }
        assert_eq!(session.value(&format!("{object}DiagnosticsState")), "None");
        assert_eq!(session.value(&format!("{object}Host")), "");
    });
    gateway.acs.expect_no_session(QUIET);
}
both_models!(a_request_that_is_refused);

/// R308, R314: an input ends a test that runs, Requested begins it anew, and only its last end is told.
fn an_end_and_a_new_begin_in_the_middle(model: &'static Model) {
    if !may_ping() {
        return;
    }
    let mut gateway = Gateway::new(model);
    let object = ping(model);
    let long = [("Host", "127.0.0.1"), ("NumberOfRepetitions", "1000"), ("DiagnosticsState", "Requested")];
    let state = format!("{object}DiagnosticsState");
    let cancel = if model.root == "Device" { ("DiagnosticsState", "Canceled") } else { ("Timeout", "900") };
    in_session(&mut gateway, |session| set(session, object, &long));
    gateway.agent.wait_for_log("it begins", SOON);
    assert_eq!(gateway.agent.value(&state), "Requested");
    gateway.agent.succeeds(&["set", &format!("{object}{}={}", cancel.0, cancel.1)]);
    assert_eq!(gateway.agent.value(&state), "None");
    gateway.acs.expect_no_session(QUIET); // R147
    in_session(&mut gateway, |session| set(session, object, &long));
    let position = gateway.agent.log_position();
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        assert_eq!(session.value(&state), "None", "R313: a test that the boot has ended");
        set(session, object, &long);
    });
    gateway.agent.wait_for_log_after(position, "it begins", SOON);
    gateway.agent.succeeds(&["inform"]);
    let (_, _, mut session) = gateway.acs.next_session();
    set(&mut session, object, &[("DiagnosticsState", "Requested"), ("NumberOfRepetitions", "1")]);
    session.end_session();
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(session.value(&format!("{object}SuccessCount")), "1");
    });
    gateway.acs.expect_no_session(QUIET);
}
both_models!(an_end_and_a_new_begin_in_the_middle);

/// The program of a vendor's test: it gets the inputs, and writes rows. It is the test of the ping here, whose object both
/// models have.
fn a_program(model: &'static Model, script: &str) -> Gateway {
    let object = ping(model);
    Gateway::not_started(model, |_, place| {
        let program = format!("{place}/test");
        fs::write(&program, format!("#!/bin/sh\ncd {place}\n{script}\n")).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
        format!(r#""diagnostics": {{ "{object}": {{ "run": ["{program}", "a b"], "timeLimit": 5 }} }}"#)
    })
    .started()
}

fn the_test_of_a_vendor(model: &'static Model) {
    let script = "cat >inputs; printf 'SuccessCount\\t%s\\n' $(grep -c . inputs)\n\
                  printf 'DiagnosticsState\\tComplete\\nAverageResponseTime\\t17\\nUnknown\\tx\\n'";
    let mut gateway = a_program(model, script);
    let object = ping(model);
    in_session(&mut gateway, |session| {
        set(session, object, &[("Host", "a\\b\tc"), ("DiagnosticsState", "Requested")]);
    });
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(session.value(&format!("{object}AverageResponseTime")), "17");
        assert_eq!(session.value(&format!("{object}DiagnosticsState")), "Complete");
    });
    let inputs = fs::read_to_string(gateway.place.path().join("inputs")).expect("the inputs");
    assert!(inputs.contains("Host\ta\\\\b\\tc\n") && inputs.contains("Timeout\t1000\n"), "{inputs}");
    assert!(!inputs.contains("DiagnosticsState"), "{inputs}");
}
both_models!(the_test_of_a_vendor);

fn a_program_that_fails_hangs_or_tells_its_error(model: &'static Model) {
    let script = "case $(cat) in *Host?hang*) sleep 60;; *Host?fail*) echo broken >&2; exit 3;;\n\
                  *) printf 'DiagnosticsState\\tError_Internal\\nSuccessCount\\t4\\n';; esac";
    let mut gateway = a_program(model, script);
    let object = ping(model);
    for (host, state) in [("fail", "Error_Other"), ("hang", "Error_Other"), ("tell", "Error_Internal")] {
        in_session(&mut gateway, |session| {
            set(session, object, &[("Host", host), ("DiagnosticsState", "Requested")]);
        });
        let began = Instant::now();
        gateway.acs.expect_session(COMPLETE, |_, session| {
            assert_eq!(session.value(&format!("{object}DiagnosticsState")), state, "{host}");
        });
        assert!(began.elapsed() < Duration::from_secs(20), "timeLimit");
    }
    // R314: a test that another input ends is no failure.
    let position = gateway.agent.log_position();
    in_session(&mut gateway, |session| {
        set(session, object, &[("Host", "hang"), ("DiagnosticsState", "Requested")]);
    });
    gateway.agent.wait_for_log_after(position, "it begins", SOON);
    let position = gateway.agent.log_position();
    gateway.agent.succeeds(&["set", &format!("{object}Host=tell"), &format!("{object}DiagnosticsState=Requested")]);
    gateway.agent.wait_for_log_after(position, "Error_Internal", SOON);
    let log = gateway.agent.log_after(position);
    assert!(log.contains("it is stopped") && !log.contains("the program of the test"), "{log}");
}
both_models!(a_program_that_fails_hangs_or_tells_its_error);

/// SelfTestDiagnostics and PacketCaptureDiagnostics of TR-181 need a program and the objects in an overlay, and no more.
#[test]
fn a_self_test_and_a_packet_capture_are_programs() {
    let script = "case $(cat) in\n\
                  *FilterExpression*) cat >/dev/null; printf 'PacketCaptureResult.1.Count\\t7\\nPacketCaptureResult.2.Count\\t9\\n';;\n\
                  *) printf 'Results\\tmemory good, flash good\\n';; esac";
    let state = r#""DiagnosticsState": { "type": "string", "access": "readWrite", "value": "None",
        "enum": ["None", "Requested", "Canceled", "Complete", "Error_Internal", "Error_Other"] }"#;
    let gateway = Gateway::not_started(&TR_181, |_, place| {
        let program = format!("{place}/test");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
        // The end of `actions`, and the objects beside it.
        format!(
            r#""diagnostics": {{ "Device.SelfTestDiagnostics.": {{ "run": ["{program}"] }},
                                 "Device.PacketCaptureDiagnostics.": {{ "run": ["{program}"] }} }} }},
               "Device": {{ "SelfTestDiagnostics": {{ {state}, "Results": {{ "type": "string", "maxLength": 1024 }} }},
                            "PacketCaptureDiagnostics": {{ {state},
                              "FilterExpression": {{ "type": "string", "access": "readWrite", "maxLength": 256 }},
                              "PacketCaptureResultNumberOfEntries": {{ "type": "unsignedInt", "counts": "PacketCaptureResult" }},
                              "PacketCaptureResult": {{ "{{i}}": {{ "Count": {{ "type": "unsignedInt" }} }} }} }}"#
        )
    });
    let mut gateway = gateway.started();
    let (test, capture) = ("Device.SelfTestDiagnostics.", "Device.PacketCaptureDiagnostics.");
    in_session(&mut gateway, |session| set(session, test, &[("DiagnosticsState", "Requested")]));
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(session.value(&format!("{test}DiagnosticsState")), "Complete");
        assert_eq!(session.value(&format!("{test}Results")), "memory good, flash good");
        set(session, capture, &[("FilterExpression", "tcp"), ("DiagnosticsState", "Requested")]);
    });
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(session.value(&format!("{capture}PacketCaptureResultNumberOfEntries")), "2");
        assert_eq!(session.value(&format!("{capture}PacketCaptureResult.2.Count")), "9");
    });
}

/// R311: an agent that is killed at any moment tells neither an end that was none, nor forgets one. The program takes a while, and
/// leaves a trace behind its last step.
fn killed_at_random_moments(model: &'static Model) {
    let script = "read line; sleep 0.1; echo x >>ends; printf 'SuccessCount\\t%s\\n' $(grep -c . ends)";
    let mut gateway = a_program(model, script);
    let object = ping(model);
    let pauses = [0, 3, 30, 60, 90, 105, 110, 115, 120, 130, 150];
    for pause in pauses {
        let before = gateway.traces("ends");
        in_session(&mut gateway, |session| {
            assert_eq!(session.value(&format!("{object}DiagnosticsState")), "None"); // R313
            set(session, object, &[("Host", "h"), ("DiagnosticsState", "Requested")]);
        });
        thread::sleep(Duration::from_millis(pause));
        gateway.crash();
        let (inform, _, mut session) = gateway.acs.next_session();
        assert!(inform.xml.contains("8 DIAGNOSTICS COMPLETE"), "{}", inform.xml);
        assert!(gateway.traces("ends") > before, "an end that was none, {pause} ms after the session");
        assert_eq!(session.value(&format!("{object}DiagnosticsState")), "Complete");
        let count: usize = session.value(&format!("{object}SuccessCount")).parse().expect("a count");
        assert!((before + 1..=gateway.traces("ends")).contains(&count));
        session.end_session();
    }
}
both_models!(killed_at_random_moments);
