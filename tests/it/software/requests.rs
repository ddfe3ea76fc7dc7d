//! ChangeDUState and its reports: operations, their results, and their faults.

use super::gateway::*;
use crate::support::port::closed_address;
use crate::support::{get_rpc_methods, set_parameter_values};
use crate::transfers::{QUIET, TransferGateway, until};

/// R249, R347, R349, R351, R353: several operations in one request, with a result for each in its order.
#[test]
fn several_operations_have_mixed_results() {
    let gateway = SoftwareGateway::new();
    let files = &gateway.base.files;
    let good = gateway.serves("/good", &["name=htop", "version=1.0"]);
    let next = gateway.serves("/next", &["version=2.0"]);
    let bad = gateway.serves("/bad", &["behave=9025"]);
    let results = gateway.done(&[
        install(&good),
        operation("Install", &[("URL", &bad), ("UUID", OTHER), ("Username", "cpe"), ("Password", "s3cret")]),
        operation("Update", &[("UUID", UUID), ("URL", &next), ("Username", "cpe"), ("Password", "s3cret")]),
        uninstall(OTHER),
        uninstall(UUID),
    ]);
    let states: Vec<(u16, &str, &str, &str)> = results
        .iter()
        .map(|result| (result.code, result.uuid.as_str(), result.version.as_str(), result.state.as_str()))
        .collect();
    let expected = [
        (0, UUID, "1.0", "Installed"),
        (9025, OTHER, "", "Failed"),
        (0, UUID, "2.0", "Installed"),
        (9028, OTHER, "", "Uninstalled"),
        (0, UUID, "2.0", "Uninstalled"),
    ];
    assert_eq!(states, expected);
    let unit = "Device.SoftwareModules.DeploymentUnit.1";
    assert_eq!([&results[0].unit, &results[2].unit, &results[4].unit], [unit; 3]);
    assert_eq!(results[4].services, "Device.SoftwareModules.ExecutionUnit.1");
    assert_eq!(gateway.units(), Vec::<String>::new());
    let traces = gateway.base.traces("trace");
    assert_eq!(traces[0], format!("install key= uuid={UUID} version= environment= user=:"));
    assert_eq!(traces[2], format!("update key=htop uuid={UUID} version= environment= user=:"));
    assert_eq!((traces.len(), gateway.base.left_behind()), (4, 0));
    assert!(files.url("/good").starts_with("http"));
    gateway.base.acs.expect_no_session(QUIET);
    assert_eq!(gateway.base.status()["software"].as_array().map(Vec::len), Some(0));
}

/// R347: without the action, the method is neither listed nor answered.
#[test]
fn the_method_follows_the_action() {
    let asked = |gateway: &TransferGateway| {
        gateway.agent.succeeds(&["inform"]);
        gateway.acs.expect_session(&["2 PERIODIC"], |_, session| {
            let methods = session.call(&get_rpc_methods()).expect("methods").methods;
            let answer = session.call(&change(&[uninstall(UUID)], "k")).expect("an answer");
            (methods.contains(&"ChangeDUState".to_owned()), answer.fault.map(|fault| fault.code))
        })
    };
    assert_eq!(asked(&TransferGateway::new("\"reboot\": [\"true\"]")), (false, Some(9000)));
    let gateway = SoftwareGateway::new();
    assert_eq!(asked(&gateway.base), (true, None));
    assert_eq!(gateway.report()[0].code, 9028);
}

/// `check` warns of the objects without the action, and of the action without them.
#[test]
fn check_warns_of_one_without_the_other() {
    let place = tempfile::tempdir().expect("a directory");
    let overlay = place.path().join("overlay.json");
    std::fs::write(&overlay, r#"{ "actions": { "software": { "run": ["true"] } } }"#).expect("a file");
    let warns = |further: &[&std::path::Path]| {
        let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_cpe-agent"));
        check.args(["check", "--data-model"]).arg(crate::gateway::model_file("tr-181.json"));
        for file in further {
            check.arg("--data-model").arg(file);
        }
        let output = check.output().expect("cpe-agent starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        [text.contains("has no action `software`"), text.contains("in which the ACS reads the units")]
    };
    let objects = crate::gateway::model_file("software.json");
    assert_eq!(warns(&[]), [false, false]);
    assert_eq!(warns(&[&objects]), [true, false]);
    assert_eq!(warns(&[&overlay]), [false, true]);
    assert_eq!(warns(&[&objects, &overlay]), [false, false]);
}

/// R352: the unit is found by its UUID, its version or its URL, and the environment by its path.
#[test]
fn units_and_environments_are_found() {
    let gateway = SoftwareGateway::with(", \"fetches\": false");
    let url = gateway.serves("/htop", &["name=htop", "version=1.0"]);
    let with = |kind: &str, arguments: &[(&str, &str)]| operation(kind, arguments);
    let access = [("Username", "cpe"), ("Password", "s3cret")];
    let place = |path| [&[("URL", url.as_str()), ("ExecutionEnvRef", path)], &access[..]].concat();
    let refused = [
        with("Install", &place("Device.SoftwareModules.ExecEnv.7.")),
        with("Install", &place(".SoftwareModules.ExecEnv.2")),
        with("Install", &[("URL", &url), ("UUID", "not-a-uuid")]),
        with("Update", &[("URL", "http://h/unknown")]),
        with("Update", &[("UUID", UUID)]),
    ];
    assert_eq!(gateway.codes(&refused), [9023, 9024, 9022, 9028, 9028]);
    assert!(gateway.base.traces("trace").is_empty());
    let results = gateway.done(&[with("Install", &place("Device.SoftwareModules.ExecEnv.1."))]);
    assert_eq!((results[0].code, results[0].uuid.as_str()), (0, GIVEN));
    assert!(gateway.base.traces("trace")[0].contains("environment=main"));
    assert_eq!(
        (gateway.value("DeploymentUnit.1.URL"), gateway.value("DeploymentUnit.1.UUID")),
        (url.clone(), GIVEN.into())
    );
    // The same unit once more, an update by its URL, and one of all.
    let codes = gateway.codes(&[
        with("Install", &place("")),
        with("Update", &[&[("URL", url.as_str())], &access[..]].concat()),
        with("Update", &[]),
        with("Uninstall", &[("UUID", GIVEN), ("Version", "1.0")]),
        with(
            "Uninstall",
            &[("UUID", GIVEN), ("Version", "9.9"), ("ExecutionEnvRef", "Device.SoftwareModules.ExecEnv.1")],
        ),
    ]);
    assert_eq!(codes, [9026, 0, 0, 9028, 0]);
    assert!(gateway.units().is_empty());
}

/// R249, R353: each failure has its code.
#[test]
fn failures_are_told_by_their_codes() {
    let gateway = SoftwareGateway::with(", \"timeLimit\": 1");
    let nobody = format!("http://{}/f", closed_address());
    let missing = gateway.base.files.url("/missing");
    gateway.base.files.serves("/missing", crate::support::FileSpec::status(404));
    let closed = gateway.serves("/closed", &["name=x"]);
    for (url, code) in
        [(nobody.as_str(), 9015), (&missing, 9016), ("ftp://h/f", 9013), ("http://u:p@h/f", 9003), ("", 9003)]
    {
        assert_eq!(gateway.codes(&[install(url)]), [code], "{url}");
    }
    assert_eq!(gateway.codes(&[operation("Install", &[("URL", &closed)])]), [9012]);
    for (behave, code) in [
        ("exit", 9001),
        ("refuse", 9001),
        ("die", 9001),
        ("torn", 9001),
        ("flood", 9001),
        ("hang", 9001),
        ("9030", 9030),
    ] {
        let url = gateway.serves(&format!("/{behave}"), &[&format!("behave={behave}")]);
        assert_eq!(gateway.codes(&[install(&url)]), [code], "{behave}");
    }
    assert_eq!(gateway.base.left_behind(), 0);
    gateway.base.acs.expect_no_session(QUIET);
}

/// R350, R351: two requests with one CommandKey are two reports; an ACS that refuses one gets it again.
#[test]
fn reports_are_repeated_until_they_are_confirmed() {
    let gateway = SoftwareGateway::new();
    gateway.base.ask(&[change(&[uninstall(UUID)], "k"), change(&[uninstall(OTHER)], "k")]);
    let mut seen = Vec::new();
    let (inform, requests, mut session) = gateway.base.acs.next_session();
    session.end_session();
    let events = ["11 DU STATE CHANGE COMPLETE", "M ChangeDUState/k", "M ChangeDUState/k"];
    assert_eq!((inform.sorted_events(), requests.len()), (events.map(str::to_owned).to_vec(), 2));
    seen.extend(requests.iter().flat_map(results).map(|result| result.uuid));
    assert_eq!(seen, [UUID, OTHER]);
    gateway.ask(&[uninstall(UUID)]);
    let mut session = gateway.base.acs.accept(std::time::Duration::from_secs(30)).expect("a session");
    session.recv().expect("an Inform");
    session.confirm_inform();
    let report = session.recv().expect("a report");
    session.refuse(&report, 8002);
    assert!(session.recv().expect("the empty POST").method.is_empty());
    session.end_session();
    gateway.base.agent.succeeds(&["inform"]);
    let (inform, requests, mut session) = gateway.base.acs.next_session();
    session.end_session();
    assert!(inform.has_event("11 DU STATE CHANGE COMPLETE") && requests.len() == 1);
    gateway.base.acs.expect_no_session(QUIET);
}

/// R355: RequestedState starts and stops an execution unit after the session.
#[test]
fn an_execution_unit_starts_and_stops() {
    let gateway = SoftwareGateway::new();
    let url = gateway.serves("/htop", &["name=htop", "version=1.0"]);
    assert_eq!(gateway.codes(&[install(&url)]), [0]);
    let unit = format!("{MODULES}ExecutionUnit.1.");
    let (requested, status) = (format!("{unit}RequestedState"), format!("{unit}Status"));
    for (state, verb) in [("Active", "start"), ("Idle", "stop")] {
        let mut session = gateway.periodic_session();
        let answer = session.succeeds(&set_parameter_values(&[(&requested, "string", state)], ""));
        assert_eq!(answer.argument("Status"), Some("1")); // R170
        assert_ne!(session.value(&status), state);
        session.end_session();
        until(state, || gateway.value("ExecutionUnit.1.Status") == state);
        let last = gateway.base.traces("trace").pop().expect("a trace");
        assert!(last.starts_with(&format!("{verb} key=svc-htop ")), "{last}");
    }
    // The environment of the unit is disabled.
    let service = gateway.base.place.path().join("services/svc-htop");
    std::fs::write(service, "status=Idle\nenvironment=other\n").expect("a file");
    let mut session = gateway.periodic_session();
    let answer = session.refuses(&set_parameter_values(&[(&requested, "string", "Active")], ""), 9003);
    assert_eq!(answer.fault.expect("a fault").parameters[0].1, 9007);
    session.end_session();
}

/// R356: a local command is an autonomous change, which the policy lets the ACS know.
#[test]
fn local_commands_are_reported_as_the_policy_says() {
    let gateway = SoftwareGateway::new();
    let url = gateway.serves("/htop", &["name=htop", "version=1.0"]);
    let agent = &gateway.base.agent;
    let option = format!("url={url}");
    let words = ["software", "install", &option, "username=cpe", "password=s3cret"];
    agent.succeeds(&words);
    gateway.base.acs.expect_no_session(QUIET);
    let policy = |name: &str, value: &str| {
        agent.succeeds(&["set", &format!("Device.ManagementServer.DUStateChangeComplPolicy.{name}={value}")]);
    };
    policy("Enable", "true");
    policy("OperationTypeFilter", "Install,Uninstall");
    policy("FaultCodeFilter", "9026");
    // A duplicate is a failure, which the filter lets pass; 9028 is none of them.
    let output = agent.command(&words);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("Duplicate"));
    let reported = |code: u16, kind: &str| {
        let report = gateway.base.acs.expect_request(&["12 AUTONOMOUS DU STATE CHANGE COMPLETE"]);
        assert_eq!(report.method, "AutonomousDUStateChangeComplete");
        assert!(report.xml.contains(&format!("<OperationPerformed>{kind}<")), "{}", report.xml);
        assert_eq!(results(&report)[0].code, code);
    };
    reported(9026, "Install");
    assert!(!agent.command(&["software", "uninstall", &format!("uuid={OTHER}")]).status.success());
    agent.succeeds(&["software", "update"]);
    gateway.base.acs.expect_no_session(QUIET);
    agent.succeeds(&["software", "uninstall", &format!("uuid={GIVEN}")]);
    reported(0, "Uninstall");
    for wrong in [&["software", "install"][..], &["software", "start"], &["software", "install", "url=ftp://h/f"]] {
        assert!(!agent.command(wrong).status.success(), "{wrong:?}");
    }
}

/// R356: the agent tells also what other programs have changed: while it runs, and while it did not.
#[test]
fn changes_by_other_programs_are_reported() {
    let mut gateway = SoftwareGateway::new();
    let unit =
        |version: &str| format!("uuid={OTHER}\nversion={version}\nstatus=Installed\nresolved=1\nenvironment=main\n");
    let place = gateway.base.place.path().join("units/other");
    std::fs::write(&place, unit("1.0")).expect("a file");
    gateway.base.agent.signal("HUP");
    gateway.base.acs.expect_no_session(QUIET);
    for (name, value) in [("Enable", "true"), ("OperationTypeFilter", "Install,Update,Uninstall")] {
        let parameter = format!("Device.ManagementServer.DUStateChangeComplPolicy.{name}");
        gateway.base.agent.succeeds(&["set", &format!("{parameter}={value}")]);
    }
    // The units of before are none that have come.
    gateway.base.acs.expect_no_session(QUIET);
    let reported = |gateway: &SoftwareGateway, kind: &str, version: &str, state: &str| {
        let report = gateway.base.acs.expect_request(&["12 AUTONOMOUS DU STATE CHANGE COMPLETE"]);
        assert!(report.xml.contains(&format!("<OperationPerformed>{kind}<")), "{}", report.xml);
        let result = results(&report).pop().expect("a result");
        assert_eq!((result.code, result.uuid.as_str(), result.version.as_str()), (0, OTHER, version));
        assert_eq!(result.state, state);
    };
    std::fs::remove_file(&place).expect("a file");
    gateway.base.agent.signal("HUP");
    reported(&gateway, "Uninstall", "1.0", "Uninstalled");
    std::fs::write(&place, unit("2.0")).expect("a file");
    gateway.base.agent.signal("HUP");
    reported(&gateway, "Install", "2.0", "Installed");
    // A change while the agent does not run.
    gateway.base.agent.kill9();
    std::fs::write(&place, unit("3.0")).expect("a file");
    gateway.base.agent.restart();
    reported(&gateway, "Update", "3.0", "Installed");
    // What the ACS has asked for is no change by another program.
    let url = gateway.serves("/htop", &["name=htop", "version=1.0"]);
    assert_eq!(gateway.codes(&[install(&url)]), [0]);
    gateway.base.agent.signal("HUP");
    gateway.base.acs.expect_no_session(QUIET);
}

/// The program fetches the file itself where the action says so, and gets the credentials.
#[test]
fn a_program_that_fetches_gets_the_credentials() {
    let gateway = SoftwareGateway::with(", \"fetches\": true");
    let codes = gateway.codes(&[operation("Install", &[("URL", "oci://h/f"), ("Username", "u"), ("Password", "p")])]);
    assert_eq!(codes.len(), 1);
    assert!(gateway.base.traces("trace")[0].ends_with("user=u:p"));
}
