//! Life on a device: stopped in the middle of something, told of a new configuration, started before the network is
//! there, heard by syslog.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::gateway::{BOOT, BOOTSTRAP, PASSWORD, SOON, TR_181, VALUE_CHANGE, gateway, gateway_at};
use crate::support::agent::AgentBuilder;
use crate::support::mount::with_mounts;
use crate::support::port::closed_address;
use crate::support::skip::skip;
use crate::support::stopwatch::Stopwatch;
use crate::support::{
    Acs, AcsOptions, Agent, add_object, delete_object, empty_post, factory_reset, get_rpc_methods, inform,
    inform_response, no_content, response, set_parameter_attributes, set_parameter_values, silence,
};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const URL: &str = "Device.ManagementServer.URL";
const BINARY: &str = env!("CARGO_BIN_EXE_cpe-agent");

/// A configuration file that the test may change.
struct Configuration {
    directory: TempDir,
    members: Json,
}

impl Configuration {
    fn new(acs: &str) -> Configuration {
        let set = json!({
            URL: acs,
            "Device.ManagementServer.Password": PASSWORD,
            "Device.ManagementServer.PeriodicInformEnable": "false",
            "Device.ManagementServer.CWMPRetryMinimumWaitInterval": "1",
            "Device.ManagementServer.CWMPRetryIntervalMultiplier": "1000",
        });
        let members = json!({ "dataModel": TR_181.files(), "set": set });
        let configuration = Configuration { directory: tempfile::tempdir().expect("a directory"), members };
        configuration.write();
        configuration
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("config.json")
    }

    fn write(&self) {
        fs::write(self.file(), self.members.to_string()).expect("a file");
    }

    /// Changes the value of a key.
    fn change(&mut self, key: &str, value: Json) {
        self.members[key] = value;
        self.write();
    }

    /// Lays these files, and no others, over the files of the gateway.
    fn lay(&mut self, overlays: &[&Path]) {
        let files = TR_181.files();
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).chain(overlays.iter().copied()).collect();
        self.change("dataModel", json!(files));
    }

    /// Changes a factory value.
    fn set(&mut self, path: &str, value: &str) {
        self.members["set"][path] = value.into();
        self.write();
    }

    /// Returns an agent with this file and its directories as the only options.
    fn agent(&self) -> AgentBuilder {
        Agent::builder(BINARY).fixed_ports().args(&["--config".as_ref(), self.file().as_os_str()])
    }
}

/// Sends SIGHUP; returns the log line with the result.
fn reload(agent: &Agent) -> String {
    let before = agent.log_position();
    agent.signal("HUP");
    agent.wait_for_log_after(before, "the configuration ", SOON)
}

fn status(agent: &Agent) -> Json {
    serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON")
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A session that SIGTERM ends has failed: its events are told again and counted as a retry; answered changes are kept
/// (R98, R134, R171).
#[test]
fn a_session_that_is_stopped_has_failed() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(0)).replies(silence());
    let mut agent = gateway(&acs).start();
    acs.requests(1, SOON);
    assert!(agent.terminate().success());
    assert!(agent.log().contains("session failed: the agent was told to stop"), "{}", agent.log());

    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(1)).replies(inform_response());
    acs.expects(empty_post()).replies(set_parameter_values(&[(CODE, "xsd:string", "kept")], "key"));
    acs.expects(response("SetParameterValues")).replies(silence());
    agent.restart();
    acs.requests(4, SOON);
    assert!(agent.terminate().success());

    acs.expects(inform().only_events(&[]).retry_count(2)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.restart();
    acs.wait_until_met(SOON);
    eventually("the value", || agent.value(CODE) == "kept");
    for _ in 0..3 {
        acs.session(SOON);
    }
    acs.take_violations();
}

/// SIGHUP reads the configuration file and the data model again; options of the command line still win, and so do
/// stored values.
#[test]
fn a_new_configuration() {
    let mut acs = Acs::start(AcsOptions::new());
    let mut configuration = Configuration::new(&acs.url());
    let overlay = configuration.directory.path().join("overlay.json");
    fs::write(&overlay, r#"{"Device":{"DeviceInfo":{"SoftwareVersion":{"value":"A"}}}}"#).expect("a file");
    configuration.lay(&[&overlay]);
    configuration.set("Device.DeviceInfo.ModelName", "from the file");
    let agent = configuration.agent().set("Device.DeviceInfo.ModelNumber", "from the line").log_level("info").start();
    acs.session(SOON).expect_complete();
    agent.succeeds(&["set", &format!("{CODE}=stored")]);
    acs.session(SOON).expect_complete();

    fs::write(&overlay, r#"{"Device":{"DeviceInfo":{"SoftwareVersion":{"value":"B"}}}}"#).expect("a file");
    configuration.set("Device.DeviceInfo.ModelName", "changed");
    configuration.set("Device.DeviceInfo.ModelNumber", "overruled");
    configuration.set(CODE, "overruled");
    configuration.change("log", "debug".into());
    assert!(reload(&agent).contains("was read again"));
    // SoftwareVersion has an active notification, so that the ACS is notified.
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.inform().event_codes(), [VALUE_CHANGE]);
    assert_eq!(session.inform().value("Device.DeviceInfo.SoftwareVersion"), Some("B"));
    assert_eq!(agent.value("Device.DeviceInfo.ModelName"), "changed");
    assert_eq!(agent.value("Device.DeviceInfo.ModelNumber"), "from the line");
    assert_eq!(agent.value(CODE), "stored");
    assert!(agent.log().contains(&format!("{CODE}: the stored value is used")), "{}", agent.log());
    assert!(!agent.log().contains(" debug: "), "--log wins over the file");
    acs.quiet_for(Duration::from_millis(300));
}

/// SIGHUP without a change starts no session and logs nothing at info: a hotplug script sends one with each change of an
/// address. Any change of a file is news again.
#[test]
fn an_unchanged_configuration() {
    let mut acs = Acs::start(AcsOptions::new());
    let mut configuration = Configuration::new(&acs.url());
    let overlay = configuration.directory.path().join("overlay.json");
    fs::write(&overlay, "{}").expect("a file");
    configuration.lay(&[&overlay]);
    configuration.set(CODE, "overruled");
    let agent = configuration.agent().start();
    acs.session(SOON).expect_complete();
    agent.succeeds(&["set", &format!("{CODE}=stored")]);
    acs.session(SOON).expect_complete();
    // A reload waits for the end of the session, whose last line stands before that of the reload.
    reload(&agent);
    for _ in 0..2 {
        let before = agent.log_position();
        let line = reload(&agent);
        assert!(line.contains(" debug: ") && line.contains("is the same"), "{line}");
        acs.quiet_for(Duration::from_millis(100));
        let log = agent.log();
        assert!(!log.lines().skip(before).any(|line| line.contains(" info: ")), "{log}");
    }
    fs::write(&overlay, r#"{"Device":{"DeviceInfo":{"ModelName":{"value":"B"}}}}"#).expect("a file");
    assert!(reload(&agent).contains(" info: "));
    configuration.set("Device.DeviceInfo.ModelNumber", "changed");
    assert!(reload(&agent).contains(" info: "));
    assert!(reload(&agent).contains(" debug: "));
}

/// A new factory value of ManagementServer takes effect as if the agent had started with it.
#[test]
fn another_acs() {
    let mut first = Acs::start(AcsOptions::new());
    let mut second = Acs::start(AcsOptions::new());
    let mut configuration = Configuration::new(&first.url());
    let agent = configuration.agent().start();
    first.session(SOON).expect_complete();
    configuration.set(URL, &second.url());
    assert!(reload(&agent).contains("was read again"));
    let session = second.session(SOON).expect_complete();
    assert_eq!(session.inform().event_codes(), [BOOTSTRAP]); // R137
    let told = session.inform().value("Device.ManagementServer.ConnectionRequestURL").map(str::to_owned);
    assert_eq!(told, Some(agent.value("Device.ManagementServer.ConnectionRequestURL")));
    first.quiet_for(Duration::from_millis(100));
}

/// Stored values that the new model rejects are logged by name, never by value; the others stay.
#[test]
fn a_model_that_lacks_what_is_stored() {
    let mut acs = Acs::start(AcsOptions::new());
    let mut configuration = Configuration::new(&acs.url());
    let overlay = configuration.directory.path().join("overlay.json");
    let pin = r#"{"Device":{"X_EXAMPLE_Pin":{"type":"string","access":"readWrite"}}}"#;
    fs::write(&overlay, pin).expect("a file");
    configuration.lay(&[&overlay]);
    let agent = configuration.agent().start();
    acs.session(SOON).expect_complete();
    agent.succeeds(&["set", "Device.X_EXAMPLE_Pin=hunter2", "Device.Time.NTPServer1=ntp.example"]);
    configuration.lay(&[]);
    assert!(reload(&agent).contains("was read again"));
    assert!(agent.log().contains("stored value not applied: Device.X_EXAMPLE_Pin"), "{}", agent.log());
    assert!(!agent.log().contains("hunter2"), "{}", agent.log());
    assert!(!agent.command(&["get", "Device.X_EXAMPLE_Pin"]).status.success());
    assert_eq!(agent.value("Device.Time.NTPServer1"), "ntp.example");
    assert!(reload(&agent).contains("was read again"));
    assert_eq!(agent.log().matches("stored value not applied").count(), 1, "told once: {}", agent.log());

    // The file was left out by mistake.
    configuration.lay(&[&overlay]);
    assert!(reload(&agent).contains("was read again"));
    assert_eq!(agent.value("Device.X_EXAMPLE_Pin"), "hunter2", "as after a restart");
    assert_eq!(agent.value("Device.Time.NTPServer1"), "ntp.example");
}

/// R99, R208: instances that come and go with a data-model file change the number of entries, of which the ACS is told
/// by its notification. Instances that the ACS itself has added or deleted are not told.
#[test]
fn instances_of_a_new_model() {
    const HOSTS: &str = "Device.Hosts.HostNumberOfEntries";
    const MAPPINGS: &str = "Device.NAT.PortMappingNumberOfEntries";
    let mut acs = Acs::start(AcsOptions::new());
    let mut configuration = Configuration::new(&acs.url());
    let overlay = configuration.directory.path().join("hosts.json");
    let write = |hosts: Json| {
        fs::write(&overlay, json!({ "Device": { "Hosts": { "Host": hosts } } }).to_string()).expect("a file");
    };
    write(json!({}));
    configuration.lay(&[&overlay]);
    acs.enqueue(set_parameter_attributes(&[(HOSTS, Some(2), None), (MAPPINGS, Some(2), None)]));
    acs.enqueue(add_object("Device.NAT.PortMapping.", ""));
    acs.enqueue(delete_object("Device.NAT.PortMapping.1.", ""));
    let mut agent = configuration.agent().start();
    acs.session(SOON).expect_complete();
    let hosts: u32 = agent.value(HOSTS).parse().expect("a number");
    agent.terminate();
    agent.restart();
    acs.quiet_for(Duration::from_millis(300)); // R172

    write(json!({ "8": { "Active": "true" }, "9": {} }));
    assert!(reload(&agent).contains("was read again"));
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.inform().event_codes(), [VALUE_CHANGE]);
    assert_eq!(session.inform().value(HOSTS), Some(&*(hosts + 2).to_string()));
    assert_eq!(session.inform().value(MAPPINGS), None);
    assert!(reload(&agent).contains("was read again"));
    acs.quiet_for(Duration::from_millis(300));

    agent.terminate();
    write(json!({ "9": {} }));
    agent.restart();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.inform().event_codes(), [VALUE_CHANGE]);
    assert_eq!(session.inform().value(HOSTS), Some(&*(hosts + 1).to_string()));
}

/// R99, R101: a value that the ACS has set and watches, and that a new model does not allow, is replaced; the ACS hears
/// of it once, and again when an older model brings it back.
#[test]
fn a_model_that_does_not_allow_what_is_stored() {
    const BRIGHTNESS: &str = "Device.X_EXAMPLE_Brightness";
    let mut acs = Acs::start(AcsOptions::new());
    let mut configuration = Configuration::new(&acs.url());
    let overlay = configuration.directory.path().join("overlay.json");
    let allow = |max: u32| {
        let parameter = json!({ "type": "unsignedInt", "access": "readWrite", "max": max, "value": "50" });
        fs::write(&overlay, json!({ "Device": { "X_EXAMPLE_Brightness": parameter } }).to_string()).expect("a file");
    };
    allow(200);
    configuration.lay(&[&overlay]);
    acs.enqueue(set_parameter_attributes(&[(BRIGHTNESS, Some(2), None)]));
    acs.enqueue(set_parameter_values(&[(BRIGHTNESS, "unsignedInt", "150")], ""));
    let mut agent = configuration.agent().start();
    acs.session(SOON).expect_complete();
    assert_eq!(agent.value(BRIGHTNESS), "150"); // answered behind the session
    let is_told = |acs: &mut Acs, agent: &Agent, value: &str| {
        let session = acs.session(SOON).expect_complete();
        assert_eq!(session.inform().event_codes(), [VALUE_CHANGE]);
        assert_eq!(session.inform().value(BRIGHTNESS), Some(value));
        assert_eq!(agent.value(BRIGHTNESS), value);
    };

    agent.terminate();
    allow(100);
    agent.restart();
    is_told(&mut acs, &agent, "50");
    agent.terminate();
    agent.restart();
    acs.quiet_for(Duration::from_millis(300));
    agent.terminate();
    allow(200);
    agent.restart();
    is_told(&mut acs, &agent, "150");
    allow(100);
    assert!(reload(&agent).contains("was read again"));
    is_told(&mut acs, &agent, "50");
    assert!(reload(&agent).contains("was read again"));
    acs.quiet_for(Duration::from_millis(300));
    allow(200);
    assert!(reload(&agent).contains("was read again"));
    is_told(&mut acs, &agent, "150");
}

/// A parameter that a new model makes read-only loses its stored value, which could never be changed again: the value
/// of the model counts.
#[test]
fn a_model_that_makes_what_is_stored_read_only() {
    const MODE: &str = "Device.X_EXAMPLE_Mode";
    let mut acs = Acs::start(AcsOptions::new());
    let mut configuration = Configuration::new(&acs.url());
    let overlay = configuration.directory.path().join("overlay.json");
    let write = |access: &str, value: &str| {
        let parameter = json!({ "type": "string", "access": access, "value": value });
        fs::write(&overlay, json!({ "Device": { "X_EXAMPLE_Mode": parameter } }).to_string()).expect("a file");
    };
    write("readWrite", "factory");
    configuration.lay(&[&overlay]);
    acs.enqueue(set_parameter_values(&[(MODE, "string", "stored")], "key"));
    let mut agent = configuration.agent().start();
    acs.session(SOON).expect_complete();
    write("readOnly", "measured");
    assert!(reload(&agent).contains("was read again"));
    assert_eq!(agent.value(MODE), "measured");
    assert!(agent.log().contains(&format!("{MODE}: the data model has made it read-only")), "{}", agent.log());
    agent.terminate();
    agent.restart();
    assert_eq!(agent.value(MODE), "measured");
    assert_eq!(agent.value("Device.ManagementServer.ParameterKey"), "key", "R157");
}

/// A factory reset leads to the factory state that was read last.
#[test]
fn a_factory_reset_after_a_new_configuration() {
    let mut acs = Acs::start(AcsOptions::new());
    let mut configuration = Configuration::new(&acs.url());
    let actions = configuration.directory.path().join("actions.json");
    fs::write(&actions, r#"{ "actions": { "factoryReset": ["true"] } }"#).expect("a file");
    configuration.lay(&[&actions]);
    let agent = configuration.agent().start();
    acs.session(SOON).expect_complete();
    configuration.set("Device.DeviceInfo.ModelName", "changed");
    assert!(reload(&agent).contains("was read again"));
    acs.enqueue(factory_reset());
    agent.succeeds(&["inform"]);
    acs.session(SOON).expect_complete();
    let session = acs.session(SOON).expect_complete();
    assert!(session.inform().has_event(BOOTSTRAP)); // R137
    assert_eq!(agent.value("Device.DeviceInfo.ModelName"), "changed");
}

/// An error in the new configuration is reported with file, place and reason; the agent goes on with the old one.
#[test]
fn a_wrong_configuration() {
    let mut acs = Acs::start(AcsOptions::new());
    let mut configuration = Configuration::new(&acs.url());
    let agent = configuration.agent().start();
    acs.session(SOON).expect_complete();
    let good = configuration.members.clone();
    let file = configuration.file().display().to_string();

    configuration.set("Device.DeviceInfo.ModelName", "never seen");
    configuration.set("Device.Time.Enable", "perhaps");
    assert!(reload(&agent).contains(&format!("{file}: /set/Device.Time.Enable: ")));
    configuration.members = good.clone();
    configuration.change("listen", "7547".into());
    assert!(reload(&agent).contains(&format!("{file}: /listen: ")));
    configuration.members = good.clone();
    configuration.set(URL, "ftp://acs.example/");
    assert!(reload(&agent).contains(&format!("{file}: /set/{URL}: ")));
    configuration.members = good.clone();
    configuration.change("dataModel", json!(["/nowhere/model.json"]));
    assert!(reload(&agent).contains("/nowhere/model.json: cannot be read"));
    fs::write(configuration.file(), "{").expect("a file");
    assert!(reload(&agent).contains(&format!("{file}: not JSON: line 1, column 1: the text ends too early")));
    fs::remove_file(configuration.file()).expect("the file");
    assert!(reload(&agent).contains(&format!("{file}: cannot be opened")));

    acs.quiet_for(Duration::from_millis(100));
    assert_ne!(agent.value("Device.DeviceInfo.ModelName"), "never seen");
    agent.succeeds(&["inform"]);
    acs.session(SOON).expect_complete();
    configuration.members = good;
    configuration.write();
    assert!(reload(&agent).contains("was read again"));
}

/// A reload waits for the end of a running session.
#[test]
fn a_new_configuration_during_a_session() {
    let mut acs = Acs::start(AcsOptions::new());
    let mut configuration = Configuration::new(&acs.url());
    acs.expects(inform()).replies(inform_response().delay(Duration::from_millis(500)));
    acs.expects(empty_post()).replies(get_rpc_methods());
    acs.expects(response("GetRPCMethods")).replies(no_content());
    let agent = configuration.agent().start();
    acs.requests(1, SOON);
    configuration.set("Device.DeviceInfo.ModelName", "changed");
    assert!(reload(&agent).contains("was read again"));
    let log = agent.log();
    let (done, again) = (log.find("session finished"), log.find("was read again"));
    assert!(done.is_some() && done < again, "{log}");
    assert_eq!(agent.value("Device.DeviceInfo.ModelName"), "changed");
    acs.session(SOON).expect_complete();
}

/// The state directory and the control socket stay the same after a reload: the first is locked and holds the state,
/// the second serves the commands.
#[test]
fn places_that_stay() {
    let mut acs = Acs::start(AcsOptions::new());
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let mut configuration = Configuration::new(&acs.url());
    configuration.change("stateDir", json!(path("state")));
    configuration.change("control", json!(path("sock")));
    let mut agent = Command::new(BINARY)
        .args(["run", "--listen", "127.0.0.1:0", "--config"])
        .arg(configuration.file())
        .stderr(fs::File::create(path("log")).expect("a file"))
        .spawn()
        .expect("the agent starts");
    let log = || fs::read_to_string(path("log")).expect("the log");
    acs.session(SOON).expect_complete();
    configuration.change("stateDir", json!(path("elsewhere")));
    configuration.change("control", json!(path("other")));
    configuration.change("log", "trace".into());
    let kill = |signal: &str| Command::new("kill").args([signal, &agent.id().to_string()]).status();
    assert!(kill("-HUP").expect("kill starts").success());
    eventually("the new configuration", || log().contains("was read again"));
    for key in ["stateDir", "control"] {
        assert!(log().contains(&format!("{key} has changed, which takes effect at the next start")), "{}", log());
    }
    let ask = |socket: &str| {
        let asked = Command::new(BINARY).args(["inform", "--control"]).arg(path(socket)).output();
        asked.expect("cpe-agent starts").status.success()
    };
    assert!(ask("sock") && !ask("other"));
    acs.session(SOON).expect_complete();
    assert!(path("state").join("journal").exists() && !path("elsewhere").exists());
    assert!(log().contains(" debug: "), "the log level follows: {}", log());
    assert!(kill("-TERM").expect("kill starts").success());
    assert!(agent.wait().expect("it ends").success());
}

/// The port of connection requests changes, and the ACS is notified, also if another program holds the new one.
#[test]
fn another_port() {
    let mut acs = Acs::start(AcsOptions::new());
    let mut configuration = Configuration::new(&acs.url());
    let directory = tempfile::tempdir().expect("a directory");
    let (before, after) = (closed_address().to_string(), closed_address().to_string());
    configuration.change("listen", before.as_str().into());
    configuration.change("stateDir", json!(directory.path().join("state")));
    configuration.change("control", json!(directory.path().join("sock")));
    let mut agent = Command::new(BINARY)
        .args(["run", "--udp-listen", "127.0.0.1:0", "--config"])
        .arg(configuration.file())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the agent starts");
    let name = "Device.ManagementServer.ConnectionRequestURL";
    let told = |acs: &mut Acs| acs.session(SOON).expect_complete().inform().value(name).map(str::to_owned);
    let first = told(&mut acs).expect("a URL");
    assert!(first.starts_with(&format!("http://{before}/")), "{first}");
    let mut moves_to = |port: &str| {
        configuration.change("listen", port.into());
        let told = Command::new("kill").args(["-HUP", &agent.id().to_string()]).status();
        assert!(told.expect("kill starts").success());
    };
    moves_to(&after);
    assert_eq!(told(&mut acs), Some(first.replace(&before, &after))); // R104, R266: 4 VALUE CHANGE
    assert!(std::net::TcpStream::connect(&before).is_err());
    std::net::TcpStream::connect(&after).expect("the new port");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    moves_to(&taken.local_addr().expect("its address").to_string());
    assert_eq!(told(&mut acs).as_deref(), Some("")); // R267: the port is closed
    assert!(std::net::TcpStream::connect(&after).is_err());
    agent.kill().expect("it runs");
    agent.wait().expect("it ends");
}

/// A CA file that was replaced is used by the next session.
#[cfg(feature = "tls")]
#[test]
fn another_ca_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let (authority, stranger) =
        (crate::support::Authority::new("test CA"), crate::support::Authority::new("another CA"));
    let mut acs = Acs::start(AcsOptions::new().tls(authority.server(crate::support::Flaw::None)));
    let mut configuration = Configuration::new(&acs.url_at("localhost"));
    configuration.change("caFile", json!(stranger.ca_file(directory.path())));
    let agent = configuration.agent().start();
    agent.wait_for_log("session failed", SOON);
    configuration.change("caFile", "/nowhere/ca.pem".into());
    assert!(reload(&agent).contains("--ca-file (caFile): /nowhere/ca.pem cannot be read"));
    let other = tempfile::tempdir().expect("a directory");
    configuration.change("caFile", json!(authority.ca_file(other.path())));
    assert!(reload(&agent).contains("was read again"));
    acs.session(SOON).expect_complete();
}

/// A name of the ACS that cannot be resolved at the start is resolved later.
#[test]
fn name_resolution_that_comes_late() {
    let mut acs = Acs::start(AcsOptions::new());
    let directory = tempfile::tempdir().expect("a directory");
    let hosts = directory.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n").expect("a file");
    let Some(builder) = with_mounts(gateway_at(&acs.url_at("acs.test")), &[(&hosts, "/etc/hosts")]) else {
        return;
    };
    let agent = builder.start();
    agent.wait_for_log("session failed: the host name acs.test does not resolve", SOON);
    fs::write(&hosts, "127.0.0.1 localhost acs.test\n").expect("a file");
    acs.session(SOON).expect_complete();
}

/// A name server that does not answer delays a session only, not the end of the agent.
#[test]
fn a_silent_name_server_does_not_hold_up_the_end() {
    let Ok(server) = UdpSocket::bind("127.0.0.153:53") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let (resolv, nsswitch) = (directory.path().join("resolv.conf"), directory.path().join("nsswitch.conf"));
    fs::write(&resolv, "nameserver 127.0.0.153\n").expect("a file");
    fs::write(&nsswitch, "hosts: files dns\n").expect("a file");
    let mounts = [(resolv.as_path(), "/etc/resolv.conf"), (nsswitch.as_path(), "/etc/nsswitch.conf")];
    let Some(builder) = with_mounts(gateway_at("http://acs.test/"), &mounts) else { return };
    let mut agent = builder.start();
    server.set_read_timeout(Some(SOON)).expect("a timeout");
    server.recv(&mut [0; 512]).expect("a question");
    let began = Stopwatch::start();
    assert!(agent.terminate().success());
    assert!(began.is_within(Duration::from_secs(2)), "{:?}", began.elapsed());
    assert!(agent.log().contains("session failed: the agent was told to stop"), "{}", agent.log());
}

/// Syslog: a datagram a message, with priority and tag, without colour; also by a daemon that has restarted (RFC 3164).
#[test]
fn syslog() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("log");
    let listen = || {
        let daemon = UnixDatagram::bind(&socket).expect("a socket");
        daemon.set_read_timeout(Some(SOON)).expect("a timeout");
        daemon
    };
    let daemon = listen();
    fs::write(directory.path().join("null"), "").expect("a file");
    let url = format!("http://{}/", closed_address());
    let builder = gateway_at(&url).args(&["--log-to", "syslog"]);
    let Some(builder) = with_mounts(builder.log_level("info"), &[(directory.path(), "/dev")]) else { return };
    let agent = builder.start();
    let tag = format!("cpe-agent[{}]: ", agent.pid());
    expect_message(&daemon, &format!("<30>{tag}cpe-agent "), " starts");
    expect_message(&daemon, &format!("<30>{tag}session with {url}: "), "0 BOOTSTRAP, 1 BOOT");
    expect_message(&daemon, &format!("<28>{tag}session failed: "), "next attempt in 1 s");

    drop(daemon);
    fs::remove_file(&socket).expect("the socket");
    agent.signal("HUP");
    // Without the daemon, log lines go to stderr.
    agent.wait_for_log("cpe-agent: no syslog at /dev/log", SOON);
    let daemon = listen();
    expect_message(&daemon, &format!("<28>{tag}session failed: "), "next attempt in 1 s");

    // The log is no longer read, and each datagram writes a line: the agent neither waits nor ends.
    for _ in 0..50 {
        agent.succeeds(&["set", &format!("{CODE}={}", "x".repeat(60))]);
        agent.succeeds(&["set", &format!("{CODE}=y")]);
    }
    assert_eq!(status(&agent)["journal"]["durable"], true);
}

fn expect_message(daemon: &UnixDatagram, start: &str, part: &str) {
    let mut packet = [0; 2048];
    let deadline = Instant::now() + SOON;
    loop {
        let length = daemon.recv(&mut packet).expect("a message");
        let text = std::str::from_utf8(&packet[..length]).expect("UTF-8");
        assert!(length <= 1024 && !text.contains(['\n', '\x1b', '\0']), "{text:?}");
        if text.starts_with(start) && text.contains(part) {
            return;
        }
        assert!(Instant::now() < deadline, "no {start:?}");
    }
}

/// A storage failure is shown by `status` too, and the agent goes on.
#[test]
fn a_state_directory_that_cannot_be_used() {
    let mut acs = Acs::start(AcsOptions::new());
    let agent = gateway(&acs).not_started();
    fs::write(agent.state_dir(), "in the way").expect("a file");
    let mut agent = agent;
    agent.restart();
    acs.session(SOON).expect_complete();
    let journal = &status(&agent)["journal"];
    assert_eq!(journal["durable"], false);
    let reason = journal["error"].as_str().expect("a reason");
    assert!(reason.contains("state"), "{reason}");
    assert!(agent.succeeds(&["status"]).contains("nothing survives a restart: "));
    // A reload keeps the state in memory, since there is no journal to read.
    assert!(reload(&agent).contains("stays as it was") || agent.log().contains("was read again"));
    acs.quiet_for(Duration::from_millis(300));
}

/// A port that another program holds at the start is opened once it is free.
#[test]
fn a_port_that_opens_later() {
    let options = AcsOptions::new().address_of_its_own();
    let closed = Acs::start(options.clone());
    let (port, url) = (closed.port(), closed.url());
    drop(closed);
    let agent = gateway_at(&url).start();
    agent.wait_for_log("session failed: no connection to", SOON);
    let mut acs = Acs::start(options.port(port));
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.inform().event_codes(), [BOOTSTRAP, BOOT]);
}

/// Expects a new local address towards the ACS to be told without waiting for a session (R266): after SIGHUP, as a
/// hotplug hook sends it.
#[test]
fn another_address() {
    const ROLE: &str = "CPE_AGENT_TEST_NETWORK";
    if std::env::var_os(ROLE).is_none() {
        // The test starts itself again in a network namespace of its own.
        let network = "set -e; ip link set lo up; ip address add 198.51.100.1/32 dev lo; \
                       ip address add 198.51.100.2/32 dev lo; exec \"$@\"";
        let mut again = Command::new("unshare");
        again.args(["--net", "sh", "-c", network, "sh"]).arg(std::env::current_exe().expect("this program"));
        let output = again.args(["--exact", "life::another_address", "--nocapture"]).env(ROLE, "own").output();
        let output = output.expect("unshare is part of util-linux");
        let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            assert!(told.contains("1 passed"), "{told}");
        } else if told.contains("unshare failed") || told.contains("ip: not found") {
            skip("no right to a network namespace, which root has, or no iproute2");
        } else {
            panic!("{told}");
        }
        return;
    }
    let come_from = |address: &str| {
        let route = ["route", "replace", "local", "127.0.0.1", "dev", "lo", "table", "local", "src", address];
        assert!(Command::new("ip").args(route).status().expect("iproute2").success());
    };
    come_from("198.51.100.1");
    let mut acs = Acs::start(AcsOptions::new());
    let agent = gateway(&acs).listen("0.0.0.0:7547").start();
    let name = "Device.ManagementServer.ConnectionRequestURL";
    let told = |acs: &mut Acs| acs.session(SOON).expect_complete().inform().value(name).map(str::to_owned);
    let first = told(&mut acs).expect("a URL");
    assert!(first.starts_with("http://198.51.100.1:7547/"), "{first}");
    come_from("198.51.100.2");
    assert!(reload(&agent).contains("was read again"));
    assert_eq!(told(&mut acs), Some(first.replace("198.51.100.1", "198.51.100.2")));
}
