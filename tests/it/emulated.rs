//! Whole emulated gateways: kernel, busybox, init script, squashfs, JFFS2, DHCP, and their power.
//!
//! `cross/gateway` makes the images and runs each scenario in namespaces of its own. Without it they are left out.

mod host;
mod machine;

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::gateway::{BOOT, BOOTSTRAP, VALUE_CHANGE};
use crate::storm::rng::SeededRng;
use crate::support::agent::patience;
use crate::support::tls::Flaw;
use crate::support::{
    Acs, AcsOptions, AcsSession, Authority, Caller, ManualAcs, Message, Rpc, get_parameter_values, reboot,
    set_parameter_values,
};
use host::{HOST, Host, NAMES};
use machine::{Machine, STARTED};
use serde_json::{Value as Json, json};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 60);
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const USERNAME: &str = "Device.ManagementServer.Username";
const KEY: &str = "Device.ManagementServer.ParameterKey";
const URL: &str = "Device.ManagementServer.ConnectionRequestURL";
const CONNECTION_REQUEST: &str = "6 CONNECTION REQUEST";
const CALLER: Caller<'_> = Caller { username: "acs", password: "wake up" };

/// The time for which a test waits for a session that must not come.
const QUIET: Duration = Duration::from_secs(2);
/// The time in which a response that has arrived can be read.
const ARRIVED: Duration = Duration::from_millis(200);
/// The longest time between a request and the power cut: most responses take less, in the emulator too.
const LONGEST_WRITE: Duration = Duration::from_millis(60);

/// The most memory of an idle agent, in kB: 0.4 MB more than the figures in `docs/figures.md`, since new code counts as used
/// until `cross/cold` runs again.
const MOST_MEMORY: u32 = 2_200;

/// A gateway, its network, and its ACS.
struct Scene {
    machine: Machine,
    acs: ManualAcs,
    host: Host,
}

impl Scene {
    /// Returns a gateway of the factory without power, in a network without DHCP.
    fn new() -> Scene {
        let host = Host::new();
        let acs = ManualAcs::start(AcsOptions::new().address(HOST));
        let url = format!("http://{}:{}/acs", NAMES[0], acs.port());
        Scene { machine: Machine::new(&[("config.json", &configuration(&url).to_string())]), acs, host }
    }

    /// Returns a gateway that is switched on.
    fn started() -> Scene {
        let mut scene = Scene::new();
        scene.host.leases(ADDRESS);
        scene.machine.start();
        scene
    }

    /// Returns a gateway after its first session.
    fn registered() -> Scene {
        let scene = Scene::started();
        scene.acs.expect_events(&[BOOTSTRAP, BOOT]);
        scene.machine.wait_for_console();
        scene
    }

    /// Requests a session as GenieACS does.
    fn wake(&self, url: &str) {
        assert_eq!(CALLER.requests(url), 200); // R259
    }

    /// Reads the URL for connection requests by a command on the gateway.
    fn url(&mut self) -> String {
        let line = self.machine.run(&format!("cpe-agent get {URL}"));
        line.trim().split_once('=').expect("a value").1.to_owned()
    }
}

fn configuration(url: &str) -> Json {
    let set = json!({
        "Device.ManagementServer.URL": url,
        "Device.ManagementServer.PeriodicInformEnable": "false",
        "Device.ManagementServer.ConnectionRequestUsername": CALLER.username,
        "Device.ManagementServer.ConnectionRequestPassword": CALLER.password,
        "Device.ManagementServer.CWMPRetryMinimumWaitInterval": "1",
        "Device.ManagementServer.CWMPRetryIntervalMultiplier": "1000",
    });
    let models = ["data-model", "examples", "actions"].map(|name| format!("/etc/cpe-agent/{name}.json"));
    json!({ "dataModel": models, "stateDir": "/state", "set": set })
}

/// A device from the factory registers, and reboots at the request of the ACS with the value that the ACS has set.
#[test]
#[ignore = "cross/gateway runs it in an emulated gateway"]
fn first_contact_and_reboot() {
    let mut scene = Scene::started();
    scene.acs.expect_session(&[BOOTSTRAP, BOOT], |inform, session| {
        let url = inform.value(URL).expect("a forced Inform parameter");
        assert!(url.starts_with(&format!("http://{ADDRESS}:7547/")), "{url}"); // R255
        session.set(CODE, "string", "set by the ACS");
        session.succeeds(&reboot("night"));
    });
    scene.acs.expect_session(&[BOOT, "M Reboot/night"], |_, session| {
        assert_eq!(session.value(CODE), "set by the ACS"); // R164
    });
    scene.machine.wait_for_console();
    assert_eq!(scene.machine.lines(STARTED), 2); // R122: the device, not the agent alone
    let status = scene.machine.run("cpe-agent status");
    assert!(status.contains("durable in /state"), "{status}");
}

/// The power fails at any moment of a write. After the next boot the gateway has all values of a request or none, and
/// those of a request whose response has arrived.
#[test]
#[ignore = "cross/gateway runs it in an emulated gateway"]
fn power_cuts() {
    let cuts = setting("CPE_AGENT_CUTS", 3);
    let mut scene = Scene::started();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let seed = setting("STORM_SEED", now.as_micros() as u64);
    println!("STORM_SEED={seed}");
    let mut random = SeededRng::new(seed);
    let (_, _, mut session) = scene.acs.next_session();
    let (mut last, mut stored_last, mut arrived) = (0, 0, 0);
    for cut in 1..=cuts {
        for _ in 0..random.below(60) {
            last += 1;
            session.succeeds(&values(last));
        }
        session.send(&values(last + 1));
        thread::sleep(random.moment(LONGEST_WRITE));
        scene.machine.cut_power();
        let has_arrived = session.recv_within(ARRIVED).is_some();
        scene.acs.clear();
        scene.machine.start();
        let inform;
        (inform, _, session) = scene.acs.next_session();
        assert_eq!(inform.sorted_events(), [BOOT], "cut {cut}"); // R137: no second bootstrap
        let found = stored(&mut session);
        assert!(found == last + 1 || (found == last && !has_arrived), "cut {cut}: {found}, not {last}"); // R164, R171
        println!("cut {cut}: value {found}, response {}", if has_arrived { "arrived" } else { "lost" });
        stored_last += found - last;
        arrived += u64::from(has_arrived);
        last = found;
    }
    let torn = scene.machine.lines("unfinished record");
    println!(
        "figure: {cuts} cuts, {last} records: {arrived} after the response, {stored_last} after the write, {torn} torn"
    );
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Returns a request that sets three values, long enough to fill the journal soon.
fn values(number: u64) -> Rpc {
    let text = number.to_string();
    let name = format!("{number:0200}");
    set_parameter_values(&[(CODE, "string", &text), (USERNAME, "string", &name)], &text)
}

/// Returns the number of the request whose values the gateway has; panics if they are of several.
fn stored(session: &mut AcsSession) -> u64 {
    let answer = session.succeeds(&get_parameter_values(&[CODE, USERNAME, KEY]));
    let number = |name: &str| answer.value(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let found = number(CODE);
    assert_eq!((number(USERNAME), number(KEY)), (found, found), "{}", answer.xml); // R164: all or none
    found
}

/// The flash is full: changes are refused, everything else goes on, and changes are accepted again once there is room.
#[test]
#[ignore = "cross/gateway runs it in an emulated gateway"]
fn flash_full() {
    let mut scene = Scene::registered();
    let url = scene.url();
    let (_, output) = scene.machine.try_run("dd if=/dev/urandom of=/state/filler bs=4k");
    assert!(output.contains("No space left on device"), "{output}");
    scene.wake(&url);
    let mut last = 0;
    scene.acs.expect_session(&[CONNECTION_REQUEST], |_, session| {
        let refused = loop {
            let answer = session.call(&values(last + 1)).expect("an answer");
            if let Some(fault) = answer.fault {
                break fault;
            }
            last += 1;
            assert!(last < 2_000, "the flash takes every value");
        };
        assert_eq!(refused.code, 9002); // R164, R171
        assert_eq!(stored(session), last);
    });
    println!("figure: {last} records on a full flash");
    scene.machine.run("rm /state/filler");
    scene.wake(&url);
    scene.acs.expect_session(&[CONNECTION_REQUEST], |_, session| {
        last += 1;
        session.succeeds(&values(last));
    });
    scene.machine.cut_power();
    scene.machine.start();
    scene.acs.expect_session(&[BOOT], |_, session| assert_eq!(stored(session), last)); // R164
}

/// The address comes long after the agent has started, and another one replaces it.
#[test]
#[ignore = "cross/gateway runs it in an emulated gateway"]
fn address_late_and_changed() {
    let mut scene = Scene::new();
    scene.machine.start();
    scene.machine.wait_for_console();
    scene.acs.expect_no_session(QUIET);
    scene.host.leases(ADDRESS);
    let at = |address: Ipv4Addr, inform: &Message| {
        let url = inform.value(URL).expect("a forced Inform parameter");
        assert!(url.starts_with(&format!("http://{address}:7547/")), "{url}"); // R255
    };
    scene.acs.expect_session(&[BOOTSTRAP, BOOT], |inform, _| at(ADDRESS, inform));
    scene.host.leases(OTHER_ADDRESS);
    scene.machine.run("kill -USR1 $(cat /var/run/udhcpc.pid)"); // renews the lease, which dnsmasq refuses
    scene.acs.expect_session(&[VALUE_CHANGE], |inform, _| at(OTHER_ADDRESS, inform)); // R266
}

/// A gateway without battery starts in 1970. The ACS is reached over TLS nevertheless, and later with the dates verified.
#[test]
#[ignore = "cross/gateway runs it in an emulated gateway"]
fn clock_from_1970() {
    let limit = patience(Duration::from_secs(10));
    let mut host = Host::new();
    let authority = Authority::new("factory");
    let mut acs = Acs::start(AcsOptions::new().address(HOST).tls(authority.server(Flaw::WrongName)));
    let mut configuration = configuration(&acs.url_at(NAMES[1]));
    configuration["caFile"] = json!("/var/factory/ca.pem");
    let configuration = configuration.to_string();
    let factory = [("config.json", configuration.as_str()), ("ca.pem", authority.pem())];
    let mut machine = Machine::new(&factory).with_clock("1970-01-01");
    host.leases(ADDRESS);
    machine.start();
    acs.enqueue(get_parameter_values(&["Device.DeviceInfo."]));
    assert_eq!(acs.session(limit).expect_complete().events(), [BOOTSTRAP, BOOT]);
    machine.wait_for_console();
    assert!(machine.run("date").contains("1970"));
    machine.run("date -s '2027-01-01 00:00:00'");
    acs.quiet_for(QUIET);
    machine.run("cpe-agent inform");
    acs.session(limit).expect_complete();
    let status = machine.run("cpe-agent status");
    assert!(status.contains("2027-01-01 00:00:"), "{status}");
}

/// The ACS wakes the gateway over HTTP, and by a datagram.
#[test]
#[ignore = "cross/gateway runs it in an emulated gateway"]
fn wake_up() {
    let mut scene = Scene::registered();
    let url = scene.url();
    scene.wake(&url);
    scene.acs.expect_events(&[CONNECTION_REQUEST]); // R259
    let to = format!("{ADDRESS}:7547");
    let caller = UdpSocket::bind((HOST, 0)).expect("a socket");
    caller.send_to(&CALLER.datagram(&to, 1, 1), &to).expect("sent");
    scene.acs.expect_events(&[CONNECTION_REQUEST]); // R290
}

/// The memory of the agent on a gateway, whose programs are in a squashfs.
#[test]
#[ignore = "cross/gateway runs it in an emulated gateway"]
fn memory() {
    let mut scene = Scene::registered();
    scene.acs.expect_no_session(QUIET);
    println!("figure: {}", figures(&mut scene.machine, "idle"));
    let url = scene.url();
    scene.wake(&url);
    scene.acs.expect_session(&[CONNECTION_REQUEST], |_, session| {
        session.succeeds(&get_parameter_values(&["Device."]));
        session.succeeds(&values(1));
    });
    scene.acs.expect_no_session(QUIET);
    println!("figure: {}", figures(&mut scene.machine, "after a session with all values"));
}

/// Reads the memory of the agent. Panics if that is more than a gateway should spare.
fn figures(machine: &mut Machine, title: &str) -> String {
    let text = machine.run("cat /proc/$(pidof cpe-agent)/smaps_rollup /proc/$(pidof cpe-agent)/status /proc/meminfo");
    let value = |name: &str| -> u32 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kb| kb.parse().ok()).unwrap_or_else(|| panic!("{name} {text}"))
    };
    let [pss, clean, peak, free] = ["Pss:", "Private_Clean:", "VmHWM:", "MemAvailable:"].map(value);
    assert!(pss < MOST_MEMORY, "{title}: {pss} kB");
    format!("{title}: PSS {pss} kB, of these {clean} kB code; peak {peak} kB; the gateway has {free} kB available")
}
