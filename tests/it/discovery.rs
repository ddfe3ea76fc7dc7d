//! Discovery of the ACS by DHCP: the real agent, and the command `dhcp` that hooks of DHCP clients run.

mod end_to_end;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::gateway::{BOOT, BOOTSTRAP, SOON, TR_098, TR_181, gateway_at};
use crate::support::agent::AgentBuilder;
use crate::support::fake_clock;
use crate::support::{Acs, AcsOptions, Agent, ManualAcs, get_parameter_values, set_parameter_values};

const URL: &str = "Device.ManagementServer.URL";
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const WAIT: &str = "Device.ManagementServer.CWMPRetryMinimumWaitInterval";
const MULTIPLIER: &str = "Device.ManagementServer.CWMPRetryIntervalMultiplier";

/// A gateway without an ACS, and the directory of its DHCP clients.
struct Device {
    home: tempfile::TempDir,
}

impl Device {
    fn new() -> Device {
        Device { home: tempfile::tempdir().expect("a directory") }
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("dhcp")
    }

    /// Makes the agent take values of DHCP.
    fn allow(&self, agent: AgentBuilder) -> AgentBuilder {
        agent.args(&["--dhcp-dir".as_ref(), self.directory().as_os_str()])
    }

    /// Returns a gateway whose retry parameters and URL nobody has set.
    fn bare(&self) -> AgentBuilder {
        let agent = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).fixed_ports();
        self.allow(TR_181.load(agent)).set(URL, "").set("Device.ManagementServer.PeriodicInformEnable", "false")
    }
}

/// Runs the command `dhcp`, which must succeed and print nothing.
fn hand_over(agent: &Agent, directory: &Path, words: &[&str]) {
    let directory = directory.to_str().expect("UTF-8");
    let output = agent.command(&[&["dhcp", "--dhcp-dir", directory], words].concat());
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

fn narrow(values: &[(u8, &str)]) -> String {
    values.iter().map(|(number, text)| format!("{number:02x}{:02x}{}", text.len(), hex(text))).collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn option_43(values: &[(u8, &str)]) -> String {
    format!("43={}", narrow(values))
}

fn option_125(values: &[(u8, &str)]) -> String {
    let inner = narrow(values);
    format!("125=00000de9{:02x}{inner}", inner.len() / 2)
}

fn option_17(values: &[(u16, &str)]) -> String {
    let one = |(number, text): &(u16, &str)| format!("{number:04x}{:04x}{}", text.len(), hex(text));
    format!("17=00000de9{}", values.iter().map(one).collect::<String>())
}

fn status(agent: &Agent) -> Json {
    serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON")
}

/// R9, R17: an agent without a URL starts, waits, and contacts the ACS that DHCP names, with the values beside the URL
/// (R15, R16). R25: with `0 BOOTSTRAP`. The status says that nobody has authenticated the URL.
#[test]
fn an_agent_without_url_waits_for_dhcp() {
    let mut acs = Acs::start(AcsOptions::new());
    let device = Device::new();
    let agent = device.bare().start();
    let waits = "ManagementServer.URL is empty, until DHCP gives the URL of an ACS";
    assert!(agent.succeeds(&["status"]).contains(&format!("none: {waits}")));
    assert_eq!(status(&agent)["acs"]["discovered"], false);
    assert!(!agent.command(&["status", "--check"]).status.success());
    acs.enqueue(get_parameter_values(&[CODE, WAIT, MULTIPLIER]));
    let url = acs.url() + "\0";
    let option = option_43(&[(1, &url), (2, "voip.home"), (3, "7"), (4, "1500"), (200, "unknown")]);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.events(), [BOOTSTRAP, BOOT]);
    let read = session.responses("GetParameterValues");
    let read = [CODE, WAIT, MULTIPLIER].map(|name| read[0].value(name).expect("a value"));
    assert_eq!(read, ["voip.home", "7", "1500"]);
    agent.wait_for_log("session finished", SOON);
    assert_eq!(agent.value(URL), acs.url());
    assert_eq!(status(&agent)["acs"]["discovered"], true);
    assert!(agent.succeeds(&["status"]).contains("  found by     DHCP, which is not authenticated"));
    // The same lease once more, as at each renewal, and its end.
    let journal = || fs::read_dir(agent.state_dir()).expect("the state").map(|file| file.expect("a file").metadata());
    let written = || journal().map(|file| file.expect("metadata").len()).sum::<u64>();
    let before = written();
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--remove"]);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--remove"]);
    acs.quiet_for(Duration::from_millis(300));
    assert_eq!((written(), agent.value(URL)), (before, acs.url()));
}

/// A hook that runs before the agent is not lost, and the ACS stays known without a lease. R18: over restarts and reboots.
#[test]
fn a_lease_before_the_start_counts() {
    let mut acs = Acs::start(AcsOptions::new());
    let device = Device::new();
    let mut agent = device.bare().not_started();
    hand_over(&agent, &device.directory(), &["--interface", "wan6", "--option6", &option_17(&[(1, &acs.url())])]);
    agent.restart();
    assert_eq!(acs.session(SOON).expect_complete().events(), [BOOTSTRAP, BOOT]);
    agent.wait_for_log("session finished", SOON);
    hand_over(&agent, &device.directory(), &["--interface", "wan6", "--remove"]);
    agent.reboot();
    assert_eq!(acs.session(SOON).expect_complete().events(), [BOOT]);
    agent.crash_and_restart();
    agent.wait_for_control();
    assert_eq!(status(&agent)["acs"]["discovered"], true);
    acs.quiet_for(Duration::from_millis(300));
}

/// R25: a lease with another URL leads to another ACS at once, in each state of the agent.
#[test]
fn another_url_of_dhcp_is_another_acs() {
    let (mut first, mut second) = (Acs::start(AcsOptions::new()), Acs::start(AcsOptions::new()));
    let device = Device::new();
    let mut agent = device.bare().start();
    let lease = |acs: &Acs| option_125(&[(11, &acs.url()), (12, "code")]);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &lease(&first)]);
    assert_eq!(first.session(SOON).expect_complete().events(), [BOOTSTRAP, BOOT]);
    agent.wait_for_log("session finished", SOON);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &lease(&second)]);
    assert_eq!(second.session(SOON).expect_complete().events(), [BOOTSTRAP]);
    // The next lease comes while the agent is down.
    agent.terminate();
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &lease(&first)]);
    agent.restart();
    assert_eq!(first.session(SOON).expect_complete().events(), [BOOTSTRAP]);
    assert_eq!(agent.value(CODE), "code");
}

/// R18, R21: a URL that the ACS has set stays while the ACS can be reached, whatever DHCP says at each renewal; its values
/// stay as well. R19: so does a URL of the configuration, and that of a user.
#[test]
fn a_url_that_was_set_stays() {
    let (mut first, mut second) = (Acs::start(AcsOptions::new()), Acs::start(AcsOptions::new()));
    let device = Device::new();
    let agent = device.bare().start();
    let option = option_43(&[(1, &first.url()), (2, "code"), (3, "9")]);
    first.enqueue(set_parameter_values(&[(CODE, "string", "of the ACS")], ""));
    first.enqueue(set_parameter_values(&[(URL, "string", &second.url())], ""));
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    first.session(SOON).expect_complete();
    assert_eq!(second.session(SOON).expect_complete().events(), [BOOTSTRAP]);
    agent.wait_for_log("session finished", SOON);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    second.quiet_for(Duration::from_millis(300));
    assert_eq!([URL, CODE, WAIT].map(|name| agent.value(name)), [second.url(), "of the ACS".into(), "9".into()]);
    assert_eq!(status(&agent)["acs"]["discovered"], false);

    let configured = device.allow(gateway_at(&second.url())).start();
    second.session(SOON).expect_complete();
    hand_over(&configured, &device.directory(), &["--interface", "wan", "--option", &option]);
    assert_eq!([URL, CODE].map(|name| configured.value(name)), [second.url(), String::new()]);
}

/// R9: the URL in the data model is a default, which counts until DHCP gives another one or until it has led to an ACS (R19).
#[test]
fn the_url_of_the_model_is_a_default() {
    let (mut default, mut of_dhcp) = (Acs::start(AcsOptions::new()), Acs::start(AcsOptions::new()));
    let overlay = tempfile::tempdir().expect("a directory");
    let file = overlay.path().join("default.json");
    let text = format!("{{\"Device\":{{\"ManagementServer\":{{\"URL\":{{\"value\":\"{}\"}}}}}}}}", default.url());
    fs::write(&file, text).expect("a file");
    let model = |device: &Device| {
        let agent = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).fixed_ports();
        let agent = TR_181.load(agent).data_model(&file).set("Device.ManagementServer.PeriodicInformEnable", "false");
        device.allow(agent)
    };
    let device = Device::new();
    let mut agent = model(&device).not_started();
    let option = option_43(&[(1, &of_dhcp.url())]);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    agent.restart();
    of_dhcp.session(SOON).expect_complete();

    let device = Device::new();
    let mut agent = model(&device).start();
    default.session(SOON).expect_complete();
    agent.wait_for_log("session finished", SOON);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    agent.reboot();
    assert_eq!(default.session(SOON).expect_complete().events(), [BOOT]);
}

/// R26: a retry parameter outside its range changes nothing, and the others count. R10: a URL that is none is not used.
#[test]
fn invalid_values_change_nothing() {
    let mut acs = Acs::start(AcsOptions::new());
    let device = Device::new();
    let agent = device.bare().start();
    for url in ["acs.example", "ftp://acs.example/", "http://user:password@acs.example/"] {
        let option = option_43(&[(1, url), (2, "code")]);
        hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
        assert_eq!([URL, CODE].map(|name| agent.value(name)), [String::new(), String::new()], "{url}");
    }
    let option = option_43(&[(1, &acs.url()), (2, &"x".repeat(65)), (3, "0"), (4, "3000")]);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    acs.session(SOON).expect_complete();
    assert_eq!([CODE, WAIT, MULTIPLIER].map(|name| agent.value(name)), ["", "5", "3000"]);
    assert_eq!(agent.log().matches("CWMPRetryMinimumWaitInterval: ").count(), 1, "one warning for each handover");
    let option = option_43(&[(1, &acs.url()), (3, "70000"), (4, "999")]);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    assert_eq!([WAIT, MULTIPLIER].map(|name| agent.value(name)), ["5", "3000"]);
}

/// Without the option, DHCP names no ACS, and the agent does not look at the directory.
#[test]
fn discovery_must_be_allowed() {
    let device = Device::new();
    let agent = gateway_at("").start();
    agent.wait_for_control();
    let option = option_43(&[(1, "http://acs.example/")]);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    assert_eq!(agent.value(URL), "");
    for (words, reason) in [
        (&["--interface", "wan"][..], "--dhcp-dir, or dhcpDir in the file of --config, is missing"),
        (&["--option", "43=00"], "--interface is missing"),
        (&["--interface", "../x", "--dhcp-dir", "d"], "the name of an interface"),
        (&["--interface", "wan", "--dhcp-dir", "d", "--option", "43=xyz"], "not hexadecimal"),
        (&["--interface", "wan", "--dhcp-dir", "d", "--remove", "--option", "43=00"], "--remove takes no option"),
        (&["--interface", "wan", "--dhcp-dir", "d", "--json"], "dhcp takes no option --json"),
    ] {
        let output = agent.command(&[&["dhcp"], words].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), told.contains(reason)), (Some(64), true), "{told}");
    }
    let output = agent.command(&["get", "--option", "43=00", URL]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("get takes no option --option"), "{output:?}");
}

/// R18, R25: killed at a random moment after each lease, the agent calls the ACS of the last one, by `0 BOOTSTRAP`.
#[test]
fn crashes_at_any_moment_lose_no_acs() {
    let (servers, device) = ([(); 2].map(|()| ManualAcs::start(AcsOptions::new())), Device::new());
    let mut agent = device.bare().start();
    let mut rng = crate::storm::rng::SeededRng::new(u64::from(std::process::id()));
    for round in 0..12 {
        let acs = &servers[round % 2];
        let option = option_43(&[(1, &acs.url()), (2, &format!("code {round}"))]);
        hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
        std::thread::sleep(rng.moment(Duration::from_millis(60)));
        agent.kill9();
        acs.clear();
        agent.restart();
        let events: &[&str] = if round == 0 { &[BOOTSTRAP, BOOT] } else { &[BOOTSTRAP] };
        acs.expect_session(events, |_, session| {
            assert_eq!(session.value("Device.DeviceInfo.ProvisioningCode"), format!("code {round}"));
        });
        assert_eq!(agent.value(URL), acs.url());
    }
    servers.iter().for_each(|acs| acs.expect_no_session(crate::rpc::gateway::QUIET));
}

/// R18, R20: an ACS that DHCP found first is searched anew after 300 s without a connection, though the ACS has set another
/// URL since.
#[test]
fn an_unreachable_acs_is_searched_anew() {
    let Some(library) = fake_clock::library() else { return };
    let mut acs = Acs::start(AcsOptions::new());
    let device = Device::new();
    let mut agent = device
        .bare()
        .env("LD_PRELOAD", &library)
        .env("FAKETIME", "+0 x30") // the five minutes take ten seconds
        .start();
    let option = option_43(&[(1, &acs.url())]);
    let nobody = format!("http://{}/acs", crate::support::port::closed_address());
    acs.enqueue(set_parameter_values(&[(URL, "string", &nobody)], ""));
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    // Before the failure from which the agent counts: this test may see it later.
    let began = Instant::now();
    acs.session(SOON).expect_complete();
    agent.wait_for_log("session failed", SOON);
    // A renewal before the time changes nothing. The waits of the agent itself are not faster, so that the test wakes it.
    while agent.value(URL) == nobody {
        hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
        assert!(began.elapsed() < 3 * SOON, "the old ACS is still in use");
    }
    assert!(began.elapsed() > Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(acs.session(SOON).expect_complete().events(), [BOOTSTRAP]);
    assert_eq!(agent.value(URL), acs.url());
    agent.terminate();
}

/// R18, R20: the action of the device makes its DHCP clients ask anew, and the ACS of their answer is used.
#[test]
fn the_dhcp_clients_of_an_unreachable_acs_ask_anew() {
    let Some(library) = fake_clock::library() else { return };
    let mut acs = Acs::start(AcsOptions::new());
    let (mut dead, device) = (Acs::start(AcsOptions::new()), Device::new());
    let (asked, overlay) = (device.home.path().join("asked"), device.home.path().join("actions.json"));
    let action = format!("echo >>{}", asked.display());
    fs::write(&overlay, json!({ "actions": { "discover": ["sh", "-c", action] } }).to_string()).expect("a file");
    let mut agent = device
        .bare()
        .data_model(&overlay)
        .env("LD_PRELOAD", &library)
        .env("FAKETIME", "+0 x30") // the five minutes take ten seconds
        .start();
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option_43(&[(1, &dead.url())])]);
    dead.session(SOON).expect_complete();
    agent.wait_for_log("session finished", SOON);
    drop(dead);
    let began = Instant::now();
    agent.succeeds(&["inform"]);
    agent.wait_for_log("session failed", SOON);
    // The waits of the agent itself are not faster, so that the test wakes it.
    while !asked.exists() {
        agent.value(URL);
        assert!(began.elapsed() < 3 * SOON, "no client is asked");
    }
    assert!(began.elapsed() > Duration::from_secs(5), "{:?}", began.elapsed());
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option_43(&[(1, &acs.url())])]);
    assert_eq!(acs.session(SOON).expect_complete().events(), [BOOTSTRAP]);
    assert_eq!(fs::read_to_string(&asked).expect("a file").lines().count(), 1, "once in 300 s");
    agent.terminate();
}

/// Annex F, R339: the identity of the gateway that answered, in a model with GatewayInfo; R106: with active notification.
#[test]
fn the_gateway_of_the_device_is_known() {
    let mut acs = Acs::start(AcsOptions::new());
    let overlay = tempfile::tempdir().expect("a directory");
    let file = overlay.path().join("gateway-info.json");
    let parameter = |name: &str| format!("\"{name}\":{{\"type\":\"string\",\"notify\":\"forceDefaultEnabled\"}}");
    let members = ["ManufacturerOUI", "SerialNumber", "ProductClass"].map(parameter).join(",");
    fs::write(&file, format!("{{\"Device\":{{\"GatewayInfo\":{{{members}}}}}}}")).expect("a file");
    let device = Device::new();
    let mut agent = device.allow(crate::gateway::gateway(&acs)).data_model(&file).start();
    acs.session(SOON).expect_complete();
    agent.wait_for_log("session finished", SOON);
    let option = option_125(&[(4, "00D09E"), (5, "0007"), (6, "Box")]);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.events(), ["4 VALUE CHANGE"]);
    assert_eq!(session.inform().value("Device.GatewayInfo.SerialNumber"), Some("0007"));
    let told = || agent.succeeds(&["get", "Device.GatewayInfo."]);
    let known = "Device.GatewayInfo.ManufacturerOUI=00D09E\nDevice.GatewayInfo.SerialNumber=0007\n\
                 Device.GatewayInfo.ProductClass=Box\n";
    assert_eq!(told(), known);
    agent.reboot();
    assert_eq!(acs.session(SOON).expect_complete().events(), [BOOT], "it is the same gateway");
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--remove"]);
    assert_eq!(acs.session(SOON).expect_complete().events(), ["4 VALUE CHANGE"]);
    assert_eq!(agent.value("Device.GatewayInfo.SerialNumber"), "");
}

/// The same in the other model.
#[test]
fn a_device_of_tr_098_is_told_too() {
    let mut acs = Acs::start(AcsOptions::new());
    let device = Device::new();
    let agent = device.allow(TR_098.gateway_at("")).start();
    agent.wait_for_control();
    let option = option_43(&[(1, &acs.url()), (2, "code")]);
    hand_over(&agent, &device.directory(), &["--interface", "wan", "--option", &option]);
    acs.session(SOON).expect_complete();
    assert_eq!(agent.value("InternetGatewayDevice.DeviceInfo.ProvisioningCode"), "code");
}
