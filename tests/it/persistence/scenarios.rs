//! What survives a restart, a reboot, and a crash at the worst moment.

use std::time::Duration;

use super::model::{MODEL, at, gateway, gateway_at};
use crate::gateway::{BOOT, BOOTSTRAP, PERIODIC, SOON};
use crate::support::{
    Acs, AcsOptions, Agent, drop_connection, empty_post, fault, get_parameter_values, inform, inform_response,
    no_content, response, set_parameter_values, silence, status,
};

const NTP: &str = at!("Time.NTPServer1");
const KEY: &str = at!("ManagementServer.ParameterKey");
const URL: &str = at!("ManagementServer.URL");

/// Long enough for a start and a session that should not come.
const A_WHILE: Duration = Duration::from_millis(500);

/// The next session tells just these events.
fn expect_session(acs: &Acs, events: &[&str], retry_count: u32) {
    acs.expects(inform().only_events(events).retry_count(retry_count)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
}

/// The first session ends well, for the agent too, so that its end is in the journal.
fn over(acs: &mut Acs, agent: &Agent) {
    acs.session(SOON).expect_complete();
    agent.wait_for_log("session done", SOON);
}

/// R146: a restart of only the agent is no boot, and no reason for a session.
#[test]
fn a_restart_is_no_boot() {
    let mut acs = Acs::start(AcsOptions::new());
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    let mut agent = gateway(&acs).start();
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

/// R136, R146: an empty boot id, as of a file that is about to be written, tells nothing: a start is a boot then.
#[test]
fn an_empty_boot_id() {
    let mut acs = Acs::start(AcsOptions::new());
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    let mut agent = gateway(&acs).not_started();
    std::fs::write(agent.directory().join("boot-id"), "\n").expect("a file");
    agent.restart();
    over(&mut acs, &agent);
    expect_session(&acs, &[BOOT], 0);
    agent.restart();
    acs.session(SOON).expect_complete();
}

/// R98, R109, R129: what was not delivered is tried again after a restart, and the count goes on.
#[test]
fn a_restart_while_the_acs_refuses() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(0)).replies(status(500));
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(1)).replies(status(500));
    expect_session(&acs, &[BOOTSTRAP, BOOT], 2);
    // So long a wait that only the restart can be what ends it.
    let mut agent = gateway(&acs).set(at!("ManagementServer.CWMPRetryMinimumWaitInterval"), "600").start();
    for _ in 0..2 {
        let position = agent.log_position();
        acs.session(SOON).expect_failed();
        agent.wait_for_log_after(position.saturating_sub(1), "session failed", SOON);
        agent.restart();
    }
    acs.session(SOON).expect_complete();
}

/// R98, R129, R142: after a reboot in the middle of retries the count is kept.
#[test]
fn a_reboot_while_the_acs_refuses() {
    let mut acs = Acs::start(AcsOptions::new());
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    let mut agent = gateway(&acs).set(at!("ManagementServer.CWMPRetryMinimumWaitInterval"), "600").start();
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

/// R138: killed before InformResponse, the agent says BOOTSTRAP again.
#[test]
fn killed_during_the_first_inform() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT])).replies(silence());
    let mut agent = gateway(&acs).start();
    acs.requests(1, SOON);
    agent.kill9();
    acs.session(SOON).expect_failed();
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    agent.restart();
    acs.session(SOON).expect_complete();
}

/// R134, R137: killed after InformResponse, it does not say BOOTSTRAP again, whose delivery was in the journal before
/// the empty POST.
#[test]
fn killed_behind_the_first_inform_response() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT])).replies(inform_response());
    acs.expects(empty_post()).replies(silence());
    let mut agent = gateway(&acs).start();
    acs.requests(2, SOON);
    agent.kill9();
    acs.session(SOON).expect_failed();
    acs.allow_violation("R98"); // nobody could count a retry of a session that ended by SIGKILL
    expect_session(&acs, &[BOOT], 0);
    agent.reboot();
    acs.session(SOON).expect_complete();
}

/// R157, R164, R171: what was answered holds, even if power fails that moment.
#[test]
fn killed_right_after_an_answer() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(set_parameter_values(&[(NTP, "string", "kept.example")], "kept"));
    acs.expects(response("SetParameterValues")).replies(silence());
    let mut agent = gateway(&acs).start();
    acs.requests(3, SOON);
    agent.kill9();
    acs.session(SOON).expect_failed();
    acs.allow_violation("R98");
    acs.expects(inform().only_events(&[BOOT]).parameter(KEY, "kept")).replies(inform_response());
    acs.expects(empty_post()).replies(get_parameter_values(&[NTP]));
    acs.expects(response("GetParameterValues").parameter(NTP, "kept.example")).replies(no_content());
    agent.reboot();
    acs.session(SOON).expect_complete();
}

/// Killed again and again while the ACS sets values: each answered value is there, none of a call is without the others.
#[test]
fn killed_in_a_storm_of_changes() {
    const OTHER: &str = at!("Time.NTPServer2");
    let mut acs = Acs::start(AcsOptions::new());
    acs.allow_violation("R98");
    let mut agent = gateway(&acs).not_started();
    let mut answered = 0;
    for round in 0..12_u32 {
        let (first, last) = (round * 100 + 1, round * 100 + 50);
        acs.enqueue(get_parameter_values(&[NTP, OTHER, KEY]));
        for n in first..=last {
            let value = n.to_string();
            acs.enqueue(set_parameter_values(&[(NTP, "string", &value), (OTHER, "string", &value)], &value));
        }
        let seen = acs.requests(0, SOON).len();
        agent.reboot();
        acs.requests(seen + 4 + round as usize * 3, SOON);
        agent.kill9();
        let session = acs.session(SOON).expect_failed();
        let read = session.response("GetParameterValues");
        let stored = read.value(KEY).expect("a key");
        if round > 0 {
            assert_eq!((read.value(NTP), read.value(OTHER)), (Some(stored), Some(stored)), "R164");
            assert!(stored.parse::<u32>().is_ok_and(|n| n >= answered), "R171: {stored} after {answered}");
        }
        let count = session.responses("SetParameterValues").len();
        answered = first + u32::try_from(count).expect("few") - 1;
        acs.forget_tasks();
    }
}

/// R25, R137, R139, R335, R336: the running session goes on, the next one is BOOTSTRAP at the new place.
#[test]
fn the_acs_sends_the_gateway_to_another() {
    let mut new = Acs::start(AcsOptions::new().path("/new"));
    let mut old = Acs::start(AcsOptions::new());
    old.expects(inform().only_events(&[BOOTSTRAP, BOOT])).replies(inform_response());
    old.expects(empty_post()).replies(set_parameter_values(&[(URL, "string", &new.url())], ""));
    old.expects(response("SetParameterValues").argument("Status", "0")).replies(get_parameter_values(&[URL]));
    old.expects(response("GetParameterValues").parameter(URL, &new.url())).replies(no_content());
    expect_session(&new, &[BOOTSTRAP], 0);
    expect_session(&new, &[BOOT], 0);
    let mut agent = gateway(&old).start();
    old.session(SOON).expect_complete();
    over(&mut new, &agent);
    // R21: for good, whatever the factory says.
    agent.set(URL, "http://127.0.0.1:1/factory");
    agent.reboot();
    new.session(SOON).expect_complete();
    old.quiet_for(Duration::ZERO);
}

/// R335: the same URL set once more is no change.
#[test]
fn the_same_url_again() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(URL, "string", &acs.url())], "k"));
    let agent = gateway(&acs).start();
    over(&mut acs, &agent);
    acs.quiet_for(A_WHILE);
}

/// R25: another factory URL is another ACS, as long as no ACS has set one.
#[test]
fn another_url_from_the_factory() {
    let mut first = Acs::start(AcsOptions::new());
    let mut second = Acs::start(AcsOptions::new());
    expect_session(&first, &[BOOTSTRAP, BOOT], 0);
    expect_session(&second, &[BOOTSTRAP], 0);
    let mut agent = gateway(&first).start();
    over(&mut first, &agent);
    agent.set(URL, &second.url());
    agent.restart();
    second.session(SOON).expect_complete();
    agent.wait_for_log("0 BOOTSTRAP: the ACS URL has changed", SOON);
}

/// What the ACS has set wins over a factory value, a new one too.
#[test]
fn a_factory_value_does_not_undo_what_was_set() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(NTP, "string", "set.example")], ""));
    let mut agent = gateway(&acs).set(at!("Time.NTPServer2"), "factory.example").start();
    over(&mut acs, &agent);
    agent.set(NTP, "factory.example");
    agent.set(at!("Time.NTPServer2"), "newer.example");
    acs.enqueue(get_parameter_values(&[at!("Time.")]));
    let position = agent.log_position();
    agent.reboot();
    let session = acs.session(SOON).expect_complete();
    let told = agent.wait_for_log_after(position, "the stored value holds, not that of --set", SOON);
    assert!(told.contains(&format!("{NTP}: ")) && !told.contains(".example"), "{told}");
    assert_eq!(agent.log().matches("the stored value holds").count(), 1);
    let values = session.response("GetParameterValues");
    assert_eq!(values.value(NTP), Some("set.example"));
    assert_eq!(values.value(at!("Time.NTPServer2")), Some("newer.example"));
}

/// R93: another identity is another device.
#[test]
fn another_identity() {
    let mut acs = Acs::start(AcsOptions::new());
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    let mut agent = gateway(&acs).start();
    over(&mut acs, &agent);
    for (name, value) in [("SerialNumber", "A-2"), ("ProductClass", "Other"), ("ManufacturerOUI", "00AABB")] {
        agent.set(&format!("{}{name}", at!("DeviceInfo.")), value);
        expect_session(&acs, &[BOOTSTRAP], 0);
        let position = agent.log_position();
        agent.restart();
        acs.session(SOON).expect_complete();
        agent.wait_for_log_after(position, "0 BOOTSTRAP: the identity has changed", SOON);
        agent.wait_for_log_after(position, "session done", SOON);
    }
}

/// A model that no longer has what was set: told in the log, left out, the rest kept.
#[test]
fn a_newer_model_without_a_stored_parameter() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("vendor.json");
    let root = MODEL.root;
    let vendor = |name: &str| {
        let text = format!(
            "{{\"{root}\":{{\"X_EXAMPLE-COM_Vendor\":{{\"{name}\":{{\"type\":\"string\",\"access\":\"readWrite\"}}}}}}}}"
        );
        std::fs::write(&file, text).expect("a model file");
    };
    vendor("Old");
    let mut acs = Acs::start(AcsOptions::new());
    let old = at!("X_EXAMPLE-COM_Vendor.Old");
    acs.enqueue(set_parameter_values(&[(old, "string", "x"), (NTP, "string", "kept.example")], ""));
    let mut agent = gateway(&acs).data_model(&file).start();
    over(&mut acs, &agent);
    agent.terminate();
    vendor("New");
    acs.enqueue(get_parameter_values(&[at!("X_EXAMPLE-COM_Vendor."), NTP]));
    agent.reboot();
    let session = acs.session(SOON).expect_complete();
    let values = session.response("GetParameterValues");
    assert_eq!(values.value(at!("X_EXAMPLE-COM_Vendor.New")), Some(""));
    assert_eq!(values.value(NTP), Some("kept.example"));
    let line = agent.wait_for_log(old, SOON);
    assert!(line.contains("left out"), "{line}");
}

/// A journal whose end was torn off or overwritten: what is before it counts, and the agent runs.
#[test]
fn a_damaged_journal() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(NTP, "string", "kept.example")], ""));
    let mut agent = gateway(&acs).start();
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
    acs.enqueue(get_parameter_values(&[NTP]));
    let position = agent.log_position();
    agent.reboot();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.events(), [BOOT]);
    assert_eq!(session.response("GetParameterValues").value(NTP), Some("kept.example"));
    agent.wait_for_log_after(position, "the journal ends in an unfinished record", SOON);
}

/// A state directory that cannot be written: the log says so, and the gateway is managed as far as nothing is promised
/// that would not hold (R171): it can be read, and its events are told once.
#[test]
fn a_state_directory_that_cannot_be_written() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT])).replies(inform_response());
    acs.expects(empty_post()).replies(set_parameter_values(&[(NTP, "string", "x.example")], "k"));
    acs.expects(fault(9002)).replies(get_parameter_values(&[NTP, KEY]));
    acs.expects(response("GetParameterValues").parameter(NTP, "0.pool.ntp.org").parameter(KEY, ""))
        .replies(no_content());
    expect_session(&acs, &[PERIODIC], 0);
    let mut agent = gateway(&acs)
        .set(at!("ManagementServer.PeriodicInformEnable"), "true")
        .set(at!("ManagementServer.PeriodicInformInterval"), "1")
        .not_started();
    // A file where the directory should be: not even root can write into it.
    std::fs::write(agent.state_dir(), "").expect("a file");
    agent.restart();
    over(&mut acs, &agent);
    agent.wait_for_log("nothing will survive a restart", SOON);
    acs.session(SOON).expect_complete();
    agent.terminate();
    // Nobody knows who this is: it introduces itself again.
    expect_session(&acs, &[BOOTSTRAP, BOOT], 0);
    agent.restart();
    acs.session(SOON).expect_complete();
}

/// The next boot is one like any other: while the URL cannot be reached nothing is lost either.
#[test]
fn events_wait_for_an_acs_that_is_away() {
    let options = AcsOptions::new().address_of_its_own();
    let away = Acs::start(options.clone());
    let (port, url) = (away.port(), away.url());
    drop(away);
    let mut agent = gateway_at(&url).start();
    agent.wait_for_log("session failed: no connection", SOON);
    agent.reboot();
    let mut acs = Acs::start(options.port(port));
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.events(), [BOOTSTRAP, BOOT]);
}
