//! The state that survives a restart, a reboot, and a crash at the worst moment.

use std::time::Duration;

use crate::gateway::{BOOT, BOOTSTRAP, Model, PERIODIC, SOON};
use crate::support::{
    Acs, AcsOptions, Agent, drop_connection, empty_post, fault, get_parameter_values, inform, inform_response,
    no_content, response, set_parameter_values, silence, status,
};

const NTP: &str = "Time.NTPServer1";
const KEY: &str = "ManagementServer.ParameterKey";
const URL: &str = "ManagementServer.URL";

/// The time for which a test waits for a session that must not come after a start.
const A_WHILE: Duration = Duration::from_millis(500);

/// Expects that the next session reports exactly these events.
fn expect_session(acs: &Acs, events: &[&str], retry_count: u32) {
    acs.expects(inform().only_events(events).retry_count(retry_count)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
}

/// Completes the first session, and waits until the agent has written its end to the journal.
fn over(acs: &mut Acs, agent: &Agent) {
    acs.session(SOON).expect_complete();
    agent.wait_for_log("session finished", SOON);
}

/// R146: a restart of the agent alone is no boot, and starts no session.
fn a_restart_is_no_boot(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    let mut agent = model.gateway(&acs).start();
    over(&mut acs, &agent);
    let position = agent.log_position();
    agent.restart();
    agent.wait_for_log_after(position, "starts", SOON);
    acs.quiet_for(A_WHILE);
    agent.crash_and_restart();
    acs.quiet_for(A_WHILE);
    expect_session(&acs, &[BOOT], 0);
    agent.reboot();
    acs.session(SOON).expect_complete();
}
both_models!(a_restart_is_no_boot);

/// R136, R146: with an empty boot id, as of a file that is about to be written, every start counts as a boot.
fn an_empty_boot_id(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    let mut agent = model.gateway(&acs).not_started();
    std::fs::write(agent.directory().join("boot-id"), "\n").expect("a file");
    agent.restart();
    over(&mut acs, &agent);
    expect_session(&acs, &[BOOT], 0);
    agent.restart();
    acs.session(SOON).expect_complete();
}
both_models!(an_empty_boot_id);

/// R98, R109, R129: undelivered events are retried after a restart, and the count goes on.
fn a_restart_while_the_acs_refuses(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(0)).replies(status(500));
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(1)).replies(status(500));
    expect_session(&acs, &[BOOTSTRAP, BOOT], 2);
    // The retry wait is so long that only the restart can end it.
    let mut agent = model.gateway(&acs).set(model.at("ManagementServer.CWMPRetryMinimumWaitInterval"), "600").start();
    for _ in 0..2 {
        let position = agent.log_position();
        acs.session(SOON).expect_failed();
        agent.wait_for_log_after(position.saturating_sub(1), "session failed", SOON);
        agent.restart();
    }
    acs.session(SOON).expect_complete();
}
both_models!(a_restart_while_the_acs_refuses);

/// R98, R129, R142: after a reboot in the middle of retries the count is kept.
fn a_reboot_while_the_acs_refuses(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    let mut agent = model.gateway(&acs).set(model.at("ManagementServer.CWMPRetryMinimumWaitInterval"), "600").start();
    over(&mut acs, &agent);
    acs.expects(inform().only_events(&[BOOT]).retry_count(0)).replies(status(403));
    acs.expects(inform().only_events(&[BOOT]).retry_count(1)).replies(drop_connection());
    expect_session(&acs, &[BOOT], 2);
    for _ in 0..2 {
        let position = agent.log_position();
        agent.reboot();
        acs.session(SOON).expect_failed();
        agent.wait_for_log_after(position, "session failed", SOON);
    }
    agent.reboot();
    acs.session(SOON).expect_complete();
}
both_models!(a_reboot_while_the_acs_refuses);

/// R138: an agent that is killed before InformResponse sends BOOTSTRAP again.
fn killed_during_the_first_inform(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT])).replies(silence());
    let mut agent = model.gateway(&acs).start();
    acs.requests(1, SOON);
    agent.kill9();
    acs.session(SOON).expect_failed();
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    agent.restart();
    acs.session(SOON).expect_complete();
}
both_models!(killed_during_the_first_inform);

/// R134, R137: killed after InformResponse, it does not say BOOTSTRAP again, whose delivery was in the journal before
/// the empty POST.
fn killed_behind_the_first_inform_response(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT])).replies(inform_response());
    acs.expects(empty_post()).replies(silence());
    let mut agent = model.gateway(&acs).start();
    acs.requests(2, SOON);
    agent.kill9();
    acs.session(SOON).expect_failed();
    acs.allow_violation("R98"); // a session that ended by SIGKILL cannot be counted
    expect_session(&acs, &[BOOT], 0);
    agent.reboot();
    acs.session(SOON).expect_complete();
}
both_models!(killed_behind_the_first_inform_response);

/// R157, R164, R171: an answered change survives a power cut at the moment of the answer.
fn killed_right_after_an_answer(model: &'static Model) {
    let ntp = model.at(NTP);
    let key = model.at(KEY);
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(set_parameter_values(&[(ntp, "string", "kept.example")], "kept"));
    acs.expects(response("SetParameterValues")).replies(silence());
    let mut agent = model.gateway(&acs).start();
    acs.requests(3, SOON);
    agent.kill9();
    acs.session(SOON).expect_failed();
    acs.allow_violation("R98");
    acs.expects(inform().only_events(&[BOOT]).parameter(key, "kept")).replies(inform_response());
    acs.expects(empty_post()).replies(get_parameter_values(&[ntp]));
    acs.expects(response("GetParameterValues").parameter(ntp, "kept.example")).replies(no_content());
    agent.reboot();
    acs.session(SOON).expect_complete();
}
both_models!(killed_right_after_an_answer);

/// After each kill while the ACS sets values, every answered value is there, and a request is applied completely or not
/// at all.
fn killed_in_a_storm_of_changes(model: &'static Model) {
    let ntp = model.at(NTP);
    let key = model.at(KEY);
    let other = model.at("Time.NTPServer2");
    let mut acs = Acs::start(AcsOptions::new());
    acs.allow_violation("R98");
    let mut agent = model.gateway(&acs).not_started();
    let mut answered = 0;
    for round in 0..12_u32 {
        // Far more than are answered before the kill, however late a busy machine lets this thread see the requests.
        let (first, last) = (round * 1000 + 1, round * 1000 + 500);
        acs.enqueue(get_parameter_values(&[ntp, other, key]));
        for n in first..=last {
            let value = n.to_string();
            acs.enqueue(set_parameter_values(&[(ntp, "string", &value), (other, "string", &value)], &value));
        }
        let seen = acs.requests(0, SOON).len();
        agent.reboot();
        acs.requests(seen + 4 + round as usize * 3, SOON);
        agent.kill9();
        let session = acs.session(SOON).expect_failed();
        let read = session.response("GetParameterValues");
        let stored = read.value(key).expect("a key");
        if round > 0 {
            assert_eq!((read.value(ntp), read.value(other)), (Some(stored), Some(stored)), "R164");
            assert!(stored.parse::<u32>().is_ok_and(|n| n >= answered), "R171: {stored} after {answered}");
        }
        let count = session.responses("SetParameterValues").len();
        answered = first + u32::try_from(count).expect("few") - 1;
        acs.forget_tasks();
    }
}
both_models!(killed_in_a_storm_of_changes);

/// R25, R137, R139, R335, R336: the running session goes on, the next one is BOOTSTRAP at the new place.
fn the_acs_sends_the_gateway_to_another(model: &'static Model) {
    let url_name = model.at(URL);
    let mut new = Acs::start(AcsOptions::new().path("/new"));
    let mut old = Acs::start(AcsOptions::new());
    old.expects(inform().only_events(&[BOOTSTRAP, BOOT])).replies(inform_response());
    old.expects(empty_post()).replies(set_parameter_values(&[(url_name, "string", &new.url())], ""));
    old.expects(response("SetParameterValues").argument("Status", "0")).replies(get_parameter_values(&[url_name]));
    old.expects(response("GetParameterValues").parameter(url_name, &new.url())).replies(no_content());
    expect_session(&new, &[BOOTSTRAP], 0);
    expect_session(&new, &[BOOT], 0);
    let mut agent = model.gateway(&old).start();
    old.session(SOON).expect_complete();
    over(&mut new, &agent);
    // R21: the URL stays, even with another factory value.
    agent.set(url_name, "http://127.0.0.1:1/factory");
    agent.reboot();
    new.session(SOON).expect_complete();
    old.quiet_for(Duration::ZERO);
}
both_models!(the_acs_sends_the_gateway_to_another);

/// R335: setting the same URL again is no change.
fn the_same_url_again(model: &'static Model) {
    let url_name = model.at(URL);
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(url_name, "string", &acs.url())], "k"));
    let agent = model.gateway(&acs).start();
    over(&mut acs, &agent);
    acs.quiet_for(A_WHILE);
}
both_models!(the_same_url_again);

/// R25: another factory URL is another ACS, as long as no ACS has set one.
fn another_url_from_the_factory(model: &'static Model) {
    let url_name = model.at(URL);
    let mut first = Acs::start(AcsOptions::new());
    let mut second = Acs::start(AcsOptions::new());
    expect_session(&first, &[BOOTSTRAP, BOOT], 0);
    expect_session(&second, &[BOOTSTRAP], 0);
    let mut agent = model.gateway(&first).start();
    over(&mut first, &agent);
    agent.set(url_name, &second.url());
    agent.restart();
    second.session(SOON).expect_complete();
    agent.wait_for_log("0 BOOTSTRAP: the ACS URL has changed", SOON);
}
both_models!(another_url_from_the_factory);

/// A value that the ACS has set overrides the factory value, also a new factory value.
fn a_factory_value_does_not_undo_what_was_set(model: &'static Model) {
    let ntp = model.at(NTP);
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(ntp, "string", "set.example")], ""));
    let mut agent = model.gateway(&acs).set(model.at("Time.NTPServer2"), "factory.example").start();
    over(&mut acs, &agent);
    agent.set(ntp, "factory.example");
    agent.set(model.at("Time.NTPServer2"), "newer.example");
    acs.enqueue(get_parameter_values(&[model.at("Time.")]));
    let position = agent.log_position();
    agent.reboot();
    let session = acs.session(SOON).expect_complete();
    let told = agent.wait_for_log_after(position, "the stored value is used, not that of --set", SOON);
    assert!(told.contains(&format!("{ntp}: ")) && !told.contains(".example"), "{told}");
    assert_eq!(agent.log().matches("the stored value is used").count(), 1);
    let values = session.response("GetParameterValues");
    assert_eq!(values.value(ntp), Some("set.example"));
    assert_eq!(values.value(model.at("Time.NTPServer2")), Some("newer.example"));
}
both_models!(a_factory_value_does_not_undo_what_was_set);

/// R93: a device with another identity sends BOOTSTRAP.
fn another_identity(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    let mut agent = model.gateway(&acs).start();
    over(&mut acs, &agent);
    for (name, value) in [("SerialNumber", "A-2"), ("ProductClass", "Other"), ("ManufacturerOUI", "00AABB")] {
        agent.set(&format!("{}{name}", model.at("DeviceInfo.")), value);
        expect_session(&acs, &[BOOTSTRAP], 0);
        let position = agent.log_position();
        agent.restart();
        acs.session(SOON).expect_complete();
        agent.wait_for_log_after(position, "0 BOOTSTRAP: the identity has changed", SOON);
        agent.wait_for_log_after(position, "session finished", SOON);
    }
}
both_models!(another_identity);

/// A stored parameter that the new model lacks is left out and logged; the others are kept.
fn a_newer_model_without_a_stored_parameter(model: &'static Model) {
    let ntp = model.at(NTP);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("vendor.json");
    let root = model.root;
    let vendor = |name: &str| {
        let text = format!(
            "{{\"{root}\":{{\"X_EXAMPLE-COM_Vendor\":{{\"{name}\":{{\"type\":\"string\",\"access\":\"readWrite\"}}}}}}}}"
        );
        std::fs::write(&file, text).expect("a model file");
    };
    vendor("Old");
    let mut acs = Acs::start(AcsOptions::new());
    let old = model.at("X_EXAMPLE-COM_Vendor.Old");
    acs.enqueue(set_parameter_values(&[(old, "string", "x"), (ntp, "string", "kept.example")], ""));
    let mut agent = model.gateway(&acs).data_model(&file).start();
    over(&mut acs, &agent);
    agent.terminate();
    vendor("New");
    acs.enqueue(get_parameter_values(&[model.at("X_EXAMPLE-COM_Vendor."), ntp]));
    agent.reboot();
    let session = acs.session(SOON).expect_complete();
    let values = session.response("GetParameterValues");
    assert_eq!(values.value(model.at("X_EXAMPLE-COM_Vendor.New")), Some(""));
    assert_eq!(values.value(ntp), Some("kept.example"));
    let line = agent.wait_for_log("stored value not applied", SOON);
    assert!(line.contains(old), "{line}");
}
both_models!(a_newer_model_without_a_stored_parameter);

/// The agent restores a journal up to its first damaged record, and runs.
fn a_damaged_journal(model: &'static Model) {
    let ntp = model.at(NTP);
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(ntp, "string", "kept.example")], ""));
    let mut agent = model.gateway(&acs).start();
    over(&mut acs, &agent);
    agent.terminate();
    let files = std::fs::read_dir(agent.state_dir()).expect("a state directory");
    let mut damaged = 0;
    for file in files.map(|entry| entry.expect("an entry").path()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        if bytes.windows(12).any(|part| part == b"kept.example") {
            std::fs::write(&file, [&bytes[..], b"deadbeef {\"tree\":[{\"se\xff\0"].concat()).expect("a damaged file");
            damaged += 1;
        }
    }
    assert_eq!(damaged, 1);
    acs.enqueue(get_parameter_values(&[ntp]));
    let position = agent.log_position();
    agent.reboot();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.events(), [BOOT]);
    assert_eq!(session.response("GetParameterValues").value(ntp), Some("kept.example"));
    agent.wait_for_log_after(position, "the journal ends in an unfinished record", SOON);
}
both_models!(a_damaged_journal);

/// A state directory that cannot be written: the log says so, and the gateway is managed as far as nothing is promised
/// that would not hold (R171): it can be read, and its events are told once.
fn a_state_directory_that_cannot_be_written(model: &'static Model) {
    let ntp = model.at(NTP);
    let key = model.at(KEY);
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT])).replies(inform_response());
    acs.expects(empty_post()).replies(set_parameter_values(&[(ntp, "string", "x.example")], "k"));
    acs.expects(fault(9002)).replies(get_parameter_values(&[ntp, key]));
    acs.expects(response("GetParameterValues").parameter(ntp, "0.pool.ntp.org").parameter(key, ""))
        .replies(no_content());
    expect_session(&acs, &[PERIODIC], 0);
    let mut agent = model
        .gateway(&acs)
        .set(model.at("ManagementServer.PeriodicInformEnable"), "true")
        .set(model.at("ManagementServer.PeriodicInformInterval"), "1")
        .not_started();
    // A file stands in place of the directory, so that not even root can write into it.
    std::fs::write(agent.state_dir(), "").expect("a file");
    agent.restart();
    over(&mut acs, &agent);
    agent.wait_for_log("no state will survive a restart", SOON);
    acs.session(SOON).expect_complete();
    agent.terminate();
    // The identity was lost: the device introduces itself again.
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    agent.restart();
    acs.session(SOON).expect_complete();
}
both_models!(a_state_directory_that_cannot_be_written);

/// The next boot is one like any other: while the URL cannot be reached nothing is lost either.
fn events_wait_for_an_acs_that_is_away(model: &'static Model) {
    let options = AcsOptions::new().address_of_its_own();
    let away = Acs::start(options.clone());
    let (port, url) = (away.port(), away.url());
    drop(away);
    let mut agent = model.gateway_at(&url).start();
    agent.wait_for_log("session failed: no connection", SOON);
    agent.reboot();
    let mut acs = Acs::start(options.port(port));
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.events(), [BOOTSTRAP, BOOT]);
}
both_models!(events_wait_for_an_acs_that_is_away);
