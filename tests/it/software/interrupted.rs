//! Crashes and reboots during operations: each accepted operation has one result, and no program runs twice.

use std::time::Duration;

use super::gateway::*;
use crate::gateway::SOON;
use crate::support::FileSpec;
use crate::transfers::QUIET;

/// The program outlives the agent: the next agent waits for its end, and the tables tell the result (R354).
#[test]
fn a_program_that_outlives_the_agent() {
    let mut gateway = SoftwareGateway::new();
    let url = gateway.serves("/slow", &["name=htop", "version=1.0", "behave=slow"]);
    gateway.ask(&[install(&url), uninstall(OTHER)]);
    gateway.waits_for("slow");
    gateway.base.agent.kill9();
    gateway.base.acs.clear();
    gateway.base.agent.restart();
    gateway.base.agent.wait_for_control();
    gateway.base.acs.expect_no_session(QUIET);
    gateway.touch("go");
    let results = gateway.report();
    assert_eq!(results.iter().map(|result| result.code).collect::<Vec<_>>(), [0, 9028]);
    assert_eq!((results[0].uuid.as_str(), results[0].state.as_str()), (UUID, "Installed"));
    assert_eq!((gateway.units(), gateway.base.traces("trace").len()), (vec!["htop".to_owned()], 1));
    gateway.base.acs.expect_no_session(QUIET);
}

/// The power goes while the program runs: the unit is not there, and the ACS learns it with the first session (R354).
#[test]
fn a_program_that_dies_with_the_device() {
    let mut gateway = SoftwareGateway::new();
    let url = gateway.serves("/slow", &["name=htop", "version=1.0", "behave=slow"]);
    gateway.ask(&[install(&url)]);
    gateway.waits_for("slow");
    gateway.base.agent.kill9();
    let group = format!("-{}", gateway.base.traces("slow")[0]);
    let killed = std::process::Command::new("kill").args(["-KILL", "--", &group]).status();
    assert!(killed.expect("kill starts").success());
    gateway.base.acs.clear();
    gateway.base.agent.reboot();
    let (inform, requests, mut session) = gateway.base.acs.next_session();
    session.end_session();
    let mut reports = requests;
    if !inform.has_event("11 DU STATE CHANGE COMPLETE") {
        let (_, later, mut session) = gateway.base.acs.next_session();
        session.end_session();
        reports = later;
    }
    let results = results(&reports[0]);
    assert_eq!((reports.len(), results[0].code, results[0].state.as_str()), (1, 9001, "Failed"));
    assert_eq!(gateway.base.traces("trace").len(), 1);
    gateway.base.acs.expect_no_session(QUIET);
}

/// The agent ends while it fetches the file: the next one fetches it anew, and the program runs once (R350).
#[test]
fn a_download_that_is_cut_off_begins_anew() {
    let mut gateway = SoftwareGateway::with(", \"fetches\": false");
    let lines = ["name=htop", "version=1.0"];
    let slow = FileSpec::file(lines.join("\n")).trickles(1, Duration::from_secs(10));
    gateway.base.files.serves("/unit", slow);
    let url = gateway.base.files.url("/unit");
    gateway.ask(&[install(&url), uninstall(OTHER)]);
    for requests in [2, 4] {
        // The first one is answered by a challenge.
        gateway.base.files.requested(requests, SOON);
        gateway.base.agent.kill9();
        gateway.base.acs.clear();
        if requests == 4 {
            gateway.serves("/unit", &lines);
        }
        gateway.base.agent.reboot();
    }
    let mut reports = Vec::new();
    while reports.is_empty() {
        let (_, requests, mut session) = gateway.base.acs.next_session();
        session.end_session();
        reports = requests;
    }
    let codes: Vec<u16> = results(&reports[0]).iter().map(|result| result.code).collect();
    assert_eq!((reports.len(), codes), (1, vec![0, 9028]));
    assert_eq!((gateway.units(), gateway.base.traces("trace").len()), (vec!["htop".to_owned()], 1));
    assert_eq!(gateway.base.left_behind(), 0);
}

/// R351: a report that the ACS has not confirmed comes again after a crash and after a power cut, with its results.
#[test]
fn a_report_comes_until_it_is_confirmed() {
    let mut gateway = SoftwareGateway::new();
    let url = gateway.serves("/unit", &["name=htop", "version=1.0"]);
    gateway.ask(&[install(&url)]);
    for is_power_cut in [false, true, false] {
        let mut session = gateway.base.acs.accept(SOON).expect("a session");
        let inform = session.recv().expect("an Inform");
        assert!(inform.sorted_events().contains(&"M ChangeDUState/k".to_owned()), "{}", inform.xml);
        session.confirm_inform();
        let report = session.recv().expect("a report");
        assert_eq!(results(&report)[0].uuid, UUID);
        gateway.base.agent.kill9();
        gateway.base.acs.clear();
        match is_power_cut {
            true => gateway.base.agent.reboot(),
            false => gateway.base.agent.restart(),
        }
    }
    let (_, reports, mut session) = gateway.base.acs.next_session();
    session.end_session();
    assert_eq!((reports.len(), results(&reports[0])[0].code), (1, 0));
    assert_eq!(gateway.base.traces("trace").len(), 1);
    gateway.base.acs.expect_no_session(QUIET);
}

/// R350: the agent is killed at a random moment, again and again. Each accepted request has one report with one result for
/// each operation, and each program ran once.
#[test]
fn a_storm_over_operations() {
    let mut gateway = SoftwareGateway::new();
    let url = gateway.serves("/unit", &["name=htop", "version=1.0"]);
    let mut rng = crate::storm::rng::SeededRng::new(u64::from(std::process::id()));
    let (mut reports, rounds) = (0, 25);
    for round in 0..rounds {
        gateway.base.agent.succeeds(&["inform"]);
        let (_, requests, mut session) = gateway.base.acs.next_session();
        assert!(requests.is_empty(), "{requests:?}");
        session.succeeds(&change(&[install(&url), uninstall(UUID)], &format!("{round}")));
        session.end_session();
        std::thread::sleep(rng.moment(Duration::from_millis(60)));
        gateway.base.agent.kill9();
        gateway.base.acs.clear();
        gateway.base.agent.restart();
        gateway.base.agent.wait_for_control();
        // The report comes by itself, and with it the next round begins from a device without units.
        while reports <= round {
            let (_, requests, mut session) = gateway.base.acs.next_session();
            for report in &requests {
                assert_eq!(report.argument("CommandKey"), Some(round.to_string().as_str()));
                assert_eq!(results(report).len(), 2);
            }
            reports += requests.len();
            session.end_session();
        }
        let runs = gateway.base.traces("trace");
        let installs = runs.iter().filter(|line| line.starts_with("install")).count();
        assert!(installs <= round + 1, "{runs:?}");
    }
    gateway.base.acs.expect_no_session(QUIET);
    assert_eq!(reports, rounds);
}
