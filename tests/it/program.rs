//! The program as its operator meets it: exit statuses, signals, words on stderr.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::gateway::{Model, SOON, TR_181, gateway, gateway_at, model_file};
use crate::support::agent::{AgentBuilder, program};
use crate::support::skip::skip;
use crate::support::stopwatch::Stopwatch;
use crate::support::{Acs, AcsOptions, Agent, empty_post, get_rpc_methods, inform, inform_response, response, silence};

/// Runs a command that must fail because of its configuration, and returns its standard error.
pub(crate) fn refused(builder: crate::support::agent::AgentBuilder, command: &str) -> String {
    let output = builder.run_to_end(command);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{command}: {stderr}");
    stderr
}

pub(crate) fn written(directory: &tempfile::TempDir, text: &str) -> PathBuf {
    let file = directory.path().join("model.json");
    std::fs::write(&file, text).expect("a file");
    file
}

/// SIGTERM and SIGINT end the agent within a second, during every kind of wait; the exit status is 0.
#[test]
fn a_signal_ends_it_soon() {
    for signal in ["TERM", "INT"] {
        for stage in 0..4 {
            let acs = Acs::start(AcsOptions::new());
            let replies = [inform_response(), get_rpc_methods().into(), crate::support::no_content()];
            let matchers = [inform(), empty_post(), response("GetRPCMethods")];
            for (at, (matcher, reply)) in matchers.into_iter().zip(replies).enumerate() {
                if at <= stage {
                    acs.expects(matcher).replies(if at == stage { silence() } else { reply });
                }
            }
            let mut agent = gateway(&acs).start();
            match stage {
                3 => drop(agent.wait_for_log("session finished", SOON)),
                _ => drop(acs.requests(stage + 1, SOON)),
            }
            let began = Stopwatch::start();
            agent.signal(signal);
            let status = agent.exit_status(SOON);
            assert_eq!(status.code(), Some(0), "{signal} at stage {stage}");
            assert!(began.is_within(Duration::from_secs(1)), "{signal} at stage {stage}: {:?}", began.elapsed());
            drop(agent);
            acs.take_violations();
        }
    }
}

/// A signal also ends the agent while it connects to a host that never answers.
#[test]
fn a_signal_ends_a_connection_attempt() {
    // The address is reserved for documentation: packets to it are lost, or refused at once.
    let mut agent = gateway_at("http://192.0.2.1:7547/").start();
    agent.wait_for_log("session with http://192.0.2.1:7547/", SOON);
    let began = Stopwatch::start();
    assert!(agent.terminate().success());
    assert!(began.is_within(Duration::from_secs(1)), "{:?}", began.elapsed());
}

/// R97: CurrentTime has the offset of the zone, also with hours beyond the day; a zone that cannot be read is warned of.
#[test]
fn the_time_zone_of_the_inform() {
    let rules =
        [("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "-01:00", "-02:00"), ("IST-2IDT,M3.4.4/26,M10.5.0", "+02:00", "+03:00")];
    for (zone, one, other) in rules {
        let mut acs = Acs::start(AcsOptions::new());
        let agent = gateway(&acs).env("TZ", zone).start();
        let session = acs.session(SOON).expect_complete();
        let time = session.inform().argument("CurrentTime").expect("a time");
        assert!(time.ends_with(one) || time.ends_with(other), "{zone}: {time}");
        assert!(!agent.log().contains("time zone"), "{}", agent.log());
    }
    let mut acs = Acs::start(AcsOptions::new());
    let agent = gateway(&acs).env("TZ", "Moon/Sea").start();
    let session = acs.session(SOON).expect_complete();
    assert!(session.inform().argument("CurrentTime").is_some_and(|time| time.ends_with('Z')));
    assert_eq!(agent.log().matches("the time zone cannot be read").count(), 1, "{}", agent.log());
}

/// Two agents on one state directory would tear each other's journal.
#[test]
fn a_second_agent_on_the_same_state() {
    let mut acs = Acs::start(AcsOptions::new());
    let mut first = gateway(&acs).start();
    acs.session(SOON).expect_complete();
    let state = first.state_dir();
    let options = ["--state-dir".as_ref(), state.as_os_str()];
    let mut second = gateway(&acs).args(&options).start();
    let status = second.exit_status(SOON);
    assert_eq!(status.code(), Some(1));
    assert!(second.log().contains("another cpe-agent is running on the state directory"), "{}", second.log());
    assert!(first.is_running());
    acs.quiet_for(Duration::from_millis(200));
    first.kill9();
    // The lock ends with the process that holds it.
    let mut third = gateway(&acs).args(&options).start();
    third.wait_for_log("starts", SOON);
    assert!(third.is_running());
}

/// A wrong model: exit status 78, and stderr names the file, the place in it, and the reason.
#[test]
fn a_wrong_model() {
    let directory = tempfile::tempdir().expect("a directory");
    let cases = [
        ("{", "", "line 1, column 1: the text ends too early"),
        ("[]", "", ""),
        ("{}", "", ""),
        (r#"{"Device":{"A":{"type":"text"}}}"#, "/Device/A/type", "not a type"),
        (r#"{"Device":{"A":{"type":"string","colour":"red"}}}"#, "/Device/A/colour", ""),
        (r#"{"Device":{"A":{"type":"unsignedInt","value":"-1"}}}"#, "/Device/A/value", ""),
        (r#"{"Device":{"A":{"type":"string","maxLength":2,"value":"abc"}}}"#, "/Device/A/value", ""),
        (r#"{"Device":{"A":{"type":"string","enum":["x","y"],"value":"z"}}}"#, "/Device/A/value", ""),
        (r#"{"Device":{"N":{"type":"unsignedInt","counts":"Nothing"}}}"#, "/Device/N/counts", ""),
        (r#"{"Device":{"T":{"{i}":{"A":{"type":"int"}},"1":{"A":"x"}}}}"#, "/Device/T/1/A", ""),
        (r#"{"Gadget":{"A":{"type":"string"}}}"#, "", ""),
    ];
    for (text, pointer, reason) in cases {
        let file = written(&directory, text);
        for command in ["check", "run"] {
            let builder = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model(&file);
            let builder = match command {
                "run" => builder.args(&["--state-dir".as_ref(), directory.path().join("state").as_os_str()]),
                _ => builder,
            };
            let stderr = refused(builder, command);
            for part in [file.to_string_lossy().as_ref(), pointer, reason] {
                assert!(stderr.contains(part), "{text}: {part:?} is not in {stderr}");
            }
        }
    }
}

/// The error for a wrong factory value or a missing model file names it.
#[test]
fn a_wrong_factory_value_and_an_absent_file() {
    let stderr = refused(gateway_at("http://acs.example/").set("Device.Time.Enable", "perhaps"), "check");
    assert!(stderr.contains("Device.Time.Enable"), "{stderr}");
    let stderr = refused(gateway_at("http://acs.example/").set("Device.Time.Nothing", "1"), "check");
    assert!(stderr.contains("Device.Time.Nothing"), "{stderr}");
    let stderr = refused(Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model("/nowhere/model.json"), "check");
    assert!(stderr.contains("/nowhere/model.json"), "{stderr}");
    // The error for a missing default file names a file that a clone has.
    let default = Path::new("/etc/cpe-agent/data-model.json");
    if !default.exists() {
        let stderr = refused(Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")), "check");
        assert!(stderr.contains("--data-model names another file, such as data-model/tr-181.json"), "{stderr}");
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("data-model/tr-181.json").exists());
    }
}

/// `check` refuses a configuration that can never work; the daemon logs it.
#[test]
fn an_acs_url_that_is_none() {
    let expected = "--set: Device.ManagementServer.URL: 'ftp://acs.example/' is neither http nor https";
    let stderr = refused(gateway_at("ftp://user:hunter2@acs.example/"), "check");
    assert!(stderr.contains(expected), "{stderr}");
    gateway_at("ftp://user:hunter2@acs.example/").start().wait_for_log(expected, SOON);
    let directory = tempfile::tempdir().expect("a directory");
    let file = written(&directory, r#"{"Device":{"ManagementServer":{"URL":{"value":"acs.example"}}}}"#);
    let builder = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model(model_file("tr-181.json"));
    let stderr = refused(builder.data_model(file), "check");
    assert!(stderr.contains("model.json: /Device/ManagementServer/URL/value: "), "{stderr}");
}

/// The error for a wrong factory value names its place in the configuration file.
#[test]
fn a_wrong_factory_value_of_the_configuration_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("config.json");
    std::fs::write(&file, r#"{"set":{"Device.Time.Enable":"perhaps"}}"#).expect("a file");
    let builder = gateway_at("http://acs.example/").args(&["--config".as_ref(), file.as_os_str()]);
    let stderr = refused(builder, "check");
    assert!(stderr.contains("config.json: /set/Device.Time.Enable: "), "{stderr}");
}

/// The error for an unusable certificate or key file names the file.
#[cfg(feature = "tls")]
#[test]
fn tls_files_that_cannot_be_used() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let authority = crate::support::Authority::new("test CA");
    let (cert, key) = authority.client_files("gateway", directory.path());
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let ca = authority.ca_file(directory.path()).display().to_string();
    let (text, foreign) = (path("text"), path("other"));
    std::fs::write(&text, "no PEM").expect("a file");
    let other = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    std::fs::write(&foreign, other).expect("a file");
    let cases = [
        (vec!["--ca-file", "/nowhere/ca.pem"], "--ca-file (caFile): /nowhere/ca.pem cannot be read"),
        (vec!["--ca-file", &text], "text holds no PEM certificate"),
        (vec!["--client-cert", &text, "--client-key", &key], "--client-cert (clientCert): "),
        (vec!["--client-cert", &cert, "--client-key", &text], "--client-key (clientKey): "),
        (vec!["--client-cert", &cert, "--client-key", &foreign], "is not the key of the certificate in"),
    ];
    for (arguments, expected) in cases {
        let stderr = refused(gateway_at("https://acs.example/").args(&arguments), "check");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        // The daemon logs the error and goes on, so that one wrong file does not make the device unmanageable.
        let agent = gateway_at("https://127.0.0.1:1/").args(&arguments).start();
        agent.wait_for_log(expected, SOON);
        agent.wait_for_log("session failed", SOON);
    }
    let usable = gateway_at("https://acs.example/");
    let output = usable.args(&["--ca-file", &ca, "--client-cert", &cert, "--client-key", &key]).run_to_end("check");
    assert!(output.status.success(), "{output:?}");
}

/// `check` warns of a configuration that the agent accepts and that cannot work, and of secrets on the command line.
#[test]
fn check_warns_and_masks() {
    let builder = gateway_at("http://user:hunter2@acs.example/path?key=hunter2");
    let builder = builder.set("Device.DeviceInfo.SerialNumber", "").set("Device.DeviceInfo.ManufacturerOUI", "A1B2C3");
    let output = builder.run_to_end("check");
    assert!(output.status.success());
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("warning: Device.DeviceInfo.SerialNumber is empty"), "{stdout}");
    assert!(!stdout.contains("warning: Device.DeviceInfo.ManufacturerOUI"), "{stdout}");
    assert!(stdout.contains("http://acs.example/path\n") && !stdout.contains("hunter2"), "{stdout}");
    let exposed = "warning: every user can read Device.ManagementServer.Password off the command line";
    assert!(stdout.contains(exposed), "{stdout}");
}

/// `check` looks at the owner of the state directory as the start of the agent does, and with the same words.
#[test]
fn check_warns_of_a_state_directory_of_another_user() {
    let mut agent = gateway_at("").not_started();
    std::fs::create_dir_all(agent.state_dir()).expect("a directory");
    if std::os::unix::fs::chown(agent.state_dir(), Some(12345), None).is_err() {
        return skip("only root can give a directory to another user");
    }
    let words = format!(
        "the state directory {} cannot be used: it belongs to another user, with the number 12345; no state will survive \
         a restart",
        agent.state_dir().display()
    );
    let output = agent.beside("check");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains(&format!("warning: {words}\n")), "{stdout}");
    agent.restart();
    agent.wait_for_log(&words, SOON);
}

/// The command check warns of an OUI and a serial number that are those of the shipped model.
fn check_warns_of_an_identity_that_is_not_its_own(Model { root, file, .. }: &'static Model) {
    let agent = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model(model_file(file));
    let stdout = checked(&agent);
    for name in ["ManufacturerOUI", "SerialNumber"] {
        let shipped = format!("warning: {root}.DeviceInfo.{name} is the example of the shipped data model");
        assert!(stdout.contains(&shipped), "{stdout}");
    }
    let url =
        format!("warning: {root}.ManagementServer.URL is empty: the agent contacts no ACS until a value is set\n");
    assert!(stdout.contains(&url), "{stdout}");
    // The identity and the two files that an ACS may ask for are the only examples of the shipped models.
    let left: Vec<&str> =
        stdout.lines().filter_map(|line| line.strip_prefix(&format!("  {root}.DeviceInfo."))).collect();
    let expected = [
        "Manufacturer=Example",
        "ProductClass=HomeGateway",
        "HardwareVersion=1.0",
        "SoftwareVersion=1.0.0",
        "VendorConfigFile. with 1 instance",
        "VendorLogFile. with 1 instance",
    ];
    assert_eq!(left, expected, "{stdout}");
    assert_eq!(stdout.lines().filter(|line| line.starts_with("  ")).count(), expected.len(), "{stdout}");
    // A build may lack tests of the shipped models, and their echo service.
    let of_tests = stdout.matches(" that the device does not run: ").count();
    let has_echo_service = !stdout.contains("UDPEchoConfig. is an echo service that the device does not run");
    assert_eq!(
        (of_tests == 0, has_echo_service),
        (cfg!(feature = "diagnostics"), cfg!(feature = "diagnostics")),
        "{stdout}"
    );
    assert_eq!(stdout.matches("warning").count() - of_tests, 4, "{stdout}");
}
both_models!(check_warns_of_an_identity_that_is_not_its_own);

/// `check` names the examples of a model that are left, and none that an overlay has replaced or removed.
#[test]
fn check_names_the_examples_that_are_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let builder = |overlay: &str| {
        TR_181.load(Agent::builder(env!("CARGO_BIN_EXE_cpe-agent"))).data_model(written(&directory, overlay))
    };
    let checked = |overlay: &str| checked(&builder(overlay));
    let stdout = checked("{}");
    let heading = "warning: the factory state has examples of the data model";
    assert!(stdout.contains(heading), "{stdout}");
    for line in ["Hosts.Host. with 2 instances", "DeviceInfo.HostName=gateway", "DeviceInfo.ModelNumber=HG-100"] {
        assert!(stdout.contains(&format!("\n  Device.{line}\n")), "{line} is not in\n{stdout}");
    }
    // A value, an instance, a table and a source.
    let stdout = checked(
        r#"{"Device": {"DeviceInfo": {"ModelNumber": {"value": "AC-1"}, "HostName": {"source": {"file": "/etc/hostname"}}},
            "Hosts": {"Host": {"1": null}}, "NAT": {"PortMapping": {"1": null}}}}"#,
    );
    assert!(stdout.contains("\n  Device.Hosts.Host. with 1 instance\n"), "{stdout}");
    for gone in ["ModelNumber=", "HostName=", "PortMapping."] {
        assert!(!stdout.contains(gone), "{gone}\n{stdout}");
    }
    // Instances that are no example: the list of the overlay replaces that of the shipped model.
    let stdout = checked(r#"{"examples": ["Device.Users.User.", "Device.NoSuchTable.", "no path"]}"#);
    let lines: Vec<&str> = stdout.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(lines, ["  Device.Users.User. with 1 instance"], "{stdout}");
    assert!(!checked(r#"{"examples": []}"#).contains(heading));
    let stderr = refused(builder(r#"{"examples": [1]}"#), "check");
    assert!(stderr.contains("model.json: /examples: a list of strings is needed"), "{stderr}");
}

/// `check` warns of secrets in files that other users can read.
fn check_warns_of_secrets_in_files_that_all_can_read(Model { root, file, .. }: &'static Model) {
    let directory = tempfile::tempdir().expect("a directory");
    let (config, overlay) = (directory.path().join("config.json"), directory.path().join("overlay.json"));
    let (password, other) =
        (format!("{root}.ManagementServer.Password"), format!("{root}.ManagementServer.STUNPassword"));
    std::fs::write(&config, format!(r#"{{"set": {{"{password}": "hunter2"}}}}"#)).expect("a file");
    let model = r#"{"STUNPassword": {"value": "hunter2"}, "Username": {"value": "cpe"}}"#;
    std::fs::write(&overlay, format!(r#"{{"{root}": {{"ManagementServer": {model}}}}}"#)).expect("a file");
    let agent = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent"))
        .data_model(model_file(file))
        .data_model(&overlay)
        .args(&["--config".as_ref(), config.as_os_str()]);
    for (mode, warned) in [(0o644, true), (0o640, true), (0o600, false)] {
        for file in [&config, &overlay] {
            std::fs::set_permissions(file, Permissions::from_mode(mode)).expect("permissions");
        }
        let stdout = checked(&agent);
        for (file, name) in [(&config, &password), (&overlay, &other)] {
            let warning =
                format!("warning: {} holds {name}, and users other than its owner can read it\n", file.display());
            assert_eq!(stdout.contains(&warning), warned, "{warning}{mode:o}\n{stdout}");
        }
        assert_eq!(stdout.matches("users other than").count(), if warned { 2 } else { 0 }, "{stdout}");
        assert!(!stdout.contains("off the command line") && !stdout.contains("hunter2"), "{stdout}");
    }
}
both_models!(check_warns_of_secrets_in_files_that_all_can_read);

/// Runs `check`, which must succeed, and returns its output.
pub(crate) fn checked(agent: &AgentBuilder) -> String {
    let output = agent.run_to_end("check");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `cpe-agent check | head -1` succeeds.
#[test]
fn a_reader_that_has_seen_enough() {
    let acs = Acs::start(AcsOptions::new());
    let agent = gateway(&acs).start();
    agent.wait_for_control();
    let model = model_file("tr-181.json");
    let control = agent.control();
    let check: [&OsStr; 3] = ["check".as_ref(), "--data-model".as_ref(), model.as_os_str()];
    let get: [&OsStr; 4] = ["get".as_ref(), "Device.".as_ref(), "--control".as_ref(), control.as_os_str()];
    for arguments in [&check[..], &get, &["--help".as_ref()], &["--version".as_ref()]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(program(env!("CARGO_BIN_EXE_cpe-agent")));
        let output = command.args(arguments).stdout(writer).stderr(Stdio::piped()).output().expect("it starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

/// A wrong command line exits with the status for usage errors.
#[test]
fn bad_usage() {
    let builder = gateway_at("http://acs.example/");
    for (command, extra) in [("dance", vec![]), ("check", vec!["--colour", "red"]), ("check", vec!["surplus"])] {
        let output = builder.clone().args(&extra).run_to_end(command);
        assert_eq!(output.status.code(), Some(64), "{command} {extra:?}");
        assert!(!output.stderr.is_empty());
    }
}

/// `check` reports its findings, and contacts no server.
#[test]
fn check_contacts_nobody() {
    let acs = Acs::start(AcsOptions::new());
    let directory = tempfile::tempdir().expect("a directory");
    let state = directory.path().join("state");
    let output = gateway(&acs).args(&["--state-dir".as_ref(), state.as_os_str()]).run_to_end("check");
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8_lossy(&output.stdout);
    for part in ["Device.", "00D09E", "HomeGateway", "0000000001", &acs.url()] {
        assert!(stdout.contains(part), "{part} is not in\n{stdout}");
    }
    assert_eq!(acs.connections(), 0);
    assert!(!state.exists(), "nothing was written");
}

/// The smallest models, which have only the parameters that a session needs, can be managed.
#[test]
fn a_minimal_model() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acs = Acs::start(AcsOptions::new());
    let text = format!(
        r#"{{"Device":{{
          "DeviceInfo":{{
            "Manufacturer":{{"type":"string","value":"Example"}},
            "ManufacturerOUI":{{"type":"string","value":"00D09E"}},
            "ProductClass":{{"type":"string"}},
            "SerialNumber":{{"type":"string","value":"1"}}}},
          "ManagementServer":{{"URL":{{"type":"string","access":"readWrite","value":"{}"}}}}}}}}"#,
        acs.url()
    );
    let file = written(&directory, &text);
    acs.enqueue(crate::support::get_parameter_names("", false));
    acs.enqueue(crate::support::set_parameter_values(&[], "nowhere to put it"));
    let _agent = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model(file).fixed_ports().start();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.response("GetParameterNames").names.len(), 8);
    assert!(session.inform().parameters.is_empty());
}

/// A vendor's own file can be laid over both shipped models.
#[test]
fn a_model_laid_over_another() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = written(&directory, r#"{"Device":{"DeviceInfo":{"SerialNumber":{"value":"overlaid"}}}}"#);
    let builder =
        Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model(model_file("tr-181.json")).data_model(file);
    let output = builder.run_to_end("check");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("overlaid"));
}
