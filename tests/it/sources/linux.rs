//! The overlay `linux.json` on real interfaces, in a network namespace.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::gateway::{TR_098, TR_181, model_file};
use crate::support::Agent;
use crate::support::network::with_network;
use crate::support::port::closed_address;
use crate::support::skip::{emulator_lacks, skip, skip_for_lack_of};

/// A router: a WAN link with a default route, a bridge with a port, a VLAN, and a host behind the bridge. A link that comes up
/// drops its neighbours, and a neighbour is reachable for 15 to 45 s by default.
const ROUTER: &str = "ip link add wan type veth peer name isp; ip link set wan up; ip link set isp up; \
    ip address add 198.51.100.2/24 dev wan; ip route add default via 198.51.100.1 dev wan metric 7; \
    ip link add lan1 address 02:00:00:00:00:0b type veth peer name pc; ip link set lan1 up; ip link set pc up; \
    ip link add br0 type bridge; ip link set lan1 master br0; ip link set br0 mtu 1400 up; \
    ip address add 192.168.77.1/25 dev br0; ip address add 2001:db8::1/64 dev br0 nodad; \
    ip route add 2001:db8:7::/48 dev br0 expires 3600; \
    ip link add link wan name wan.7 type vlan id 7 || true; \
    until ip link show br0 | grep -q 'state UP'; do sleep 0.01; done; \
    for ip in ipv4 ipv6; do echo 3600000 >/proc/sys/net/$ip/neigh/br0/base_reachable_time_ms; done; \
    ip neighbour add 192.168.77.20 lladdr 02:00:00:00:00:20 dev br0 nud reachable; \
    ip neighbour add 192.168.77.21 lladdr 02:00:00:00:00:20 dev br0 nud reachable; \
    ip neighbour add 2001:db8::20 lladdr 02:00:00:00:00:20 dev br0 nud reachable; \
    ip neighbour add 198.51.100.1 lladdr 02:00:00:00:00:99 dev wan nud permanent";

/// The part of netlink that an emulator lacks.
pub(super) const NEIGHBOURS: &str = "neighbours (RTM_GETNEIGH)";

fn router() -> Option<Agent> {
    agent(ROUTER, &[])
}

/// Returns an agent with `linux.json` in a network of these commands, with these files in place of others.
fn agent(setup: &str, mounts: &[(&Path, &str)]) -> Option<Agent> {
    let url = format!("http://{}/acs", closed_address());
    let agent = TR_181.shipped_at(&url).data_model(model_file("linux.json"));
    let agent = with_network(agent, setup, mounts)?.start();
    agent.wait_for_control();
    Some(agent)
}

/// Returns the lines of an object, without its path.
fn lines(agent: &Agent, path: &str) -> Vec<String> {
    agent.succeeds(&["get", path]).lines().filter_map(|line| line.strip_prefix(path)).map(str::to_owned).collect()
}

/// Returns the path of the instance in which `name` has this value.
fn instance(agent: &Agent, table: &str, name: &str, value: &str) -> String {
    let wanted = format!("{name}={value}");
    let number =
        |line: &String| line.split_once('.').filter(|(_, rest)| *rest == wanted).map(|(number, _)| number.to_owned());
    let found = lines(agent, table).iter().find_map(number);
    let number = found.unwrap_or_else(|| panic!("no {wanted} in {table}: {:?}", lines(agent, table)));
    format!("{table}{number}.")
}

#[test]
fn interfaces_addresses_and_routes_are_those_of_the_kernel() {
    let Some(agent) = router() else { return };
    let value = |path: &str| agent.value(path);
    let wan = instance(&agent, "Device.IP.Interface.", "Name", "wan");
    assert_eq!(value(&format!("{wan}Status")), "Up");
    assert_eq!(value(&format!("{wan}IPv4Address.1.IPAddress")), "198.51.100.2");
    assert_eq!(value(&format!("{wan}IPv4Address.1.SubnetMask")), "255.255.255.0");
    assert_eq!(value(&format!("{wan}IPv4Address.1.AddressingType")), "Static");
    let bridge = instance(&agent, "Device.IP.Interface.", "Name", "br0");
    assert_eq!(value(&format!("{bridge}MaxMTUSize")), "1400");
    assert_eq!(value(&format!("{bridge}IPv4Address.1.SubnetMask")), "255.255.255.128");
    assert!(lines(&agent, &format!("{bridge}IPv6Address.")).contains(&"1.IPAddress=2001:db8::1".to_owned()));
    // The layers lead from IP down to the port.
    let link = value(&format!("{bridge}LowerLayers"));
    assert_eq!(value(&format!("{link}.Name")), "br0");
    let port = value(&format!("{link}.LowerLayers"));
    assert_eq!(value(&format!("{port}.Name")), "lan1");
    assert_eq!(value(&format!("{port}.MACAddress")), "02:00:00:00:00:0B");
    if agent.log().contains("Unknown device type") {
        skip("the kernel has no VLANs");
    } else {
        let vlan = instance(&agent, "Device.Ethernet.VLANTermination.", "Name", "wan.7");
        assert_eq!((value(&format!("{vlan}VLANID")), value(&format!("{vlan}TPID"))), ("7".into(), "33024".into()));
    }
    let bridged = instance(&agent, "Device.Bridging.Bridge.", "Name", "br0");
    assert_eq!(value(&format!("{bridged}Port.1.Name")), "lan1");
    let routes = lines(&agent, "Device.Routing.Router.1.IPv4Forwarding.");
    let default = routes.iter().find(|line| line.ends_with("GatewayIPAddress=198.51.100.1")).expect("a default route");
    let number = default.split('.').next().unwrap_or_default();
    let route = |name: &str| value(&format!("Device.Routing.Router.1.IPv4Forwarding.{number}.{name}"));
    assert_eq!(
        (route("DestIPAddress"), route("ForwardingMetric"), route("StaticRoute")),
        ("".into(), "7".into(), "true".into())
    );
    assert_eq!(value(&format!("{}.Name", route("Interface"))), "wan");
    // A route of IPv6 may have an end.
    let end = |destination: &str| {
        let route = instance(&agent, "Device.Routing.Router.1.IPv6Forwarding.", "DestIPPrefix", destination);
        value(&format!("{route}ExpirationTime"))
    };
    assert_eq!(end("2001:db8::/64"), "9999-12-31T23:59:59Z");
    assert!(end("2001:db8:7::/48") < end("2001:db8::/64"));
    if emulator_lacks(NEIGHBOURS) {
        return;
    }
    // The neighbour of the LAN is a host, and that of the WAN is none.
    let hosts = lines(&agent, "Device.Hosts.Host.");
    assert!(hosts.iter().any(|line| line.ends_with(".PhysAddress=02:00:00:00:00:20")), "{hosts:?}");
    assert!(!hosts.iter().any(|line| line.contains("02:00:00:00:00:99")), "{hosts:?}");
    let host = instance(&agent, "Device.Hosts.Host.", "PhysAddress", "02:00:00:00:00:20");
    let addresses = |family: u8| lines(&agent, &format!("{host}IPv{family}Address."));
    assert_eq!(value(&format!("{host}IPv4AddressNumberOfEntries")), "2");
    assert!(addresses(4).iter().any(|line| line.ends_with(".IPAddress=192.168.77.21")), "{:?}", addresses(4));
    assert_eq!(addresses(6), ["1.IPAddress=2001:db8::20"]);
    assert_eq!(value(&format!("{host}Active")), "true");
    assert_eq!(value(&format!("{}.Name", value(&format!("{host}Layer3Interface")))), "br0");
}

#[test]
fn the_stack_and_the_bridge_are_those_of_the_kernel() {
    let Some(agent) = router() else { return };
    let bridge = instance(&agent, "Device.IP.Interface.", "Name", "br0");
    let mut higher = bridge.trim_end_matches('.').to_owned();
    let mut path = Vec::new();
    // From the IP interface down to the port.
    while let Some(row) = lines(&agent, "Device.InterfaceStack.").iter().find_map(|line| {
        let (number, found) = line.split_once(".HigherLayer=")?;
        (found == higher).then(|| number.to_owned())
    }) {
        higher = agent.value(&format!("Device.InterfaceStack.{row}.LowerLayer"));
        path.push(agent.value(&format!("{higher}.Name")));
        assert!(path.len() < 5, "{path:?}");
    }
    assert_eq!(path, ["br0", "lan1"]);
    let bridged = instance(&agent, "Device.Bridging.Bridge.", "Name", "br0");
    let value = |name: &str| agent.value(&format!("{bridged}{name}"));
    assert_eq!(
        (value("AgingTime"), value("STP.Status"), value("STP.ForwardingDelay")),
        ("300".into(), "Disabled".into(), "15".into())
    );
    assert_eq!((value("Port.1.PortState"), value("Port.1.Priority")), ("Forwarding".into(), "32".into()));
    // The default route leads over the link `wan` alone.
    let upstream =
        |name: &str| agent.value(&format!("{}Upstream", instance(&agent, "Device.Ethernet.Interface.", "Name", name)));
    assert_eq!((upstream("wan"), upstream("lan1")), ("true".into(), "false".into()));
}

#[test]
fn sockets_router_and_clock_are_those_of_the_kernel() {
    let Some(agent) = router() else { return };
    let port = agent.succeeds(&["status"]);
    let port =
        port.lines().find_map(|line| line.strip_prefix("requests HTTP")?.split(':').nth(1)).expect("a port").to_owned();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let open = lines(&agent, "Device.IP.ActivePort.");
    let own = open.iter().find_map(|line| line.strip_suffix(&format!(".LocalPort={port}"))).expect("the own listener");
    assert_eq!(agent.value(&format!("Device.IP.ActivePort.{own}.Status")), "LISTEN");
    let forwards = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").expect("a file").trim() == "1";
    let is_router = agent.value("Device.Routing.Router.1.Enable");
    // A network namespace may have a value of its own.
    assert!(is_router == "false" || forwards, "{is_router}");
    assert_eq!(agent.value("Device.Routing.Router.1.Status"), if is_router == "true" { "Enabled" } else { "Disabled" });
    assert_eq!(agent.value("Device.IP.IPv6Status"), "Enabled");
    let (now, year) = (agent.value("Device.Time.CurrentLocalTime"), "20");
    assert!(now.starts_with(year) && now.len() >= 20, "{now}");
    assert_ne!(agent.value("Device.Time.LocalTimeZone"), "", "a POSIX rule");
}

#[test]
fn an_internet_gateway_device_has_wan_lan_and_hosts() {
    let url = format!("http://{}/acs", closed_address());
    let agent = TR_098.shipped_at(&url).data_model(model_file("linux-098.json"));
    let Some(agent) = with_network(agent, ROUTER, &[]) else { return };
    let agent = agent.start();
    agent.wait_for_control();
    let value = |path: &str| agent.value(&format!("InternetGatewayDevice.{path}"));
    let wan = |name: &str| value(&format!("WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.{name}"));
    assert_eq!(["Name", "ExternalIPAddress", "SubnetMask"].map(wan), ["wan", "198.51.100.2", "255.255.255.0"]);
    assert_eq!(
        ["DefaultGateway", "ConnectionStatus", "AddressingType"].map(wan),
        ["198.51.100.1", "Connected", "Static"]
    );
    assert_eq!(value("WANDevice.1.WANEthernetInterfaceConfig.Status"), "Up");
    let lan = "InternetGatewayDevice.LANDevice.1.";
    let ports = lines(&agent, &format!("{lan}LANEthernetInterfaceConfig."));
    assert!(ports.iter().any(|line| line.ends_with(".Name=lan1")), "{ports:?}");
    assert!(!ports.iter().any(|line| line.ends_with(".Name=wan")), "{ports:?}");
    let interfaces = lines(&agent, &format!("{lan}LANHostConfigManagement.IPInterface."));
    assert!(interfaces.contains(&"1.IPInterfaceIPAddress=192.168.77.1".to_owned()), "{interfaces:?}");
    assert!(!interfaces.iter().any(|line| line.contains("198.51.100.2")), "{interfaces:?}");
    let lacks_hosts = emulator_lacks(NEIGHBOURS);
    if !lacks_hosts {
        let host = instance(&agent, &format!("{lan}Hosts.Host."), "MACAddress", "02:00:00:00:00:20");
        assert_eq!(agent.value(&format!("{host}Active")), "true");
    }
    let forwarding = lines(&agent, "InternetGatewayDevice.Layer3Forwarding.Forwarding.");
    assert!(forwarding.iter().any(|line| line.ends_with(".GatewayIPAddress=198.51.100.1")), "{forwarding:?}");
    // The WAN link without a route stays the WAN link: it would be a port of the LAN otherwise.
    let net = format!("--net=/proc/{}/ns/net", agent.pid());
    let mut ip = Command::new("nsenter");
    let done = ip.arg(net).args(["ip", "route", "delete", "default"]).status();
    assert!(done.is_ok_and(|status| status.success()));
    assert_eq!(["Name", "ExternalIPAddress", "DefaultGateway"].map(wan), ["wan", "198.51.100.2", ""]);
    let status = agent.succeeds(&["status"]);
    assert!(lacks_hosts || !status.contains("source fails") && !status.contains("value unfit"), "{status}");
}

#[test]
fn interfaces_that_come_and_go_keep_their_numbers() {
    let Some(agent) = router() else { return };
    let wan = instance(&agent, "Device.Ethernet.Interface.", "Name", "wan");
    // The agent runs in the namespace, and so does a command that enters it.
    let ip = |arguments: &[&str]| {
        let net = format!("--net=/proc/{}/ns/net", agent.pid());
        let done = Command::new("nsenter").arg(net).arg("ip").args(arguments).status();
        assert!(done.is_ok_and(|status| status.success()), "ip {arguments:?}");
    };
    ip(&["link", "add", "usb0", "type", "veth", "peer", "name", "usb1"]);
    let added = instance(&agent, "Device.Ethernet.Interface.", "Name", "usb0");
    ip(&["link", "delete", "usb0"]);
    assert!(!agent.succeeds(&["get", "Device.Ethernet.Interface."]).contains("=usb0"));
    ip(&["link", "add", "usb0", "type", "veth", "peer", "name", "usb1"]);
    assert_ne!(instance(&agent, "Device.Ethernet.Interface.", "Name", "usb0"), added, "R218");
    assert_eq!(instance(&agent, "Device.Ethernet.Interface.", "Name", "wan"), wan);
    // A state is as old as its first sight.
    let age = || agent.value(&format!("{wan}LastChange")).parse::<u64>().expect("seconds");
    let deadline = Instant::now() + Duration::from_secs(60);
    while age() < 3 {
        assert!(Instant::now() < deadline, "the state of wan");
    }
    ip(&["link", "set", "wan", "down"]);
    assert_eq!(agent.value(&format!("{wan}Status")), "Down");
    assert!(age() < 3);
    ip(&["link", "set", "wan", "up"]);
    ip(&["address", "add", "198.51.100.3/24", "dev", "wan"]);
    let deadline = Instant::now() + Duration::from_secs(5);
    let name = instance(&agent, "Device.IP.Interface.", "Name", "wan");
    while !agent.succeeds(&["get", &name]).contains("IPv4Address.2.IPAddress=198.51.100.3") {
        assert!(Instant::now() < deadline, "the second address");
    }
}

/// Makes a link of the type of PPP, by ioctls of a TUN device, since the kernel may lack PPP.
const PPP: &str = "python3 -c \"import fcntl, struct
tun = open('/dev/net/tun', 'r+b', buffering=0)
fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH22x', b'ppp0', 0x1001))
fcntl.ioctl(tun, 0x400454cd, 512)
fcntl.ioctl(tun, 0x400454cb, 1)\"; ip link set ppp0 mtu 1492 up; ip address add 203.0.113.5 peer 203.0.113.1 dev ppp0";

#[test]
fn a_ppp_link_is_an_interface_and_a_layer() {
    if !Path::new("/dev/net/tun").exists() {
        return skip("the kernel has no TUN devices");
    }
    if Command::new("python3").arg("--version").output().is_err() {
        return skip_for_lack_of("python3");
    }
    let Some(agent) = agent(PPP, &[]) else { return };
    let ppp = "Device.PPP.Interface.1";
    assert_eq!(agent.value("Device.PPP.InterfaceNumberOfEntries"), "1");
    let found = ["Name", "Enable", "CurrentMRUSize"].map(|name| agent.value(&format!("{ppp}.{name}")));
    assert_eq!(found, ["ppp0", "true", "1492"]);
    assert!(agent.value(&format!("{ppp}.Stats.BytesSent")).parse::<u64>().is_ok());
    let above = instance(&agent, "Device.IP.Interface.", "Name", "ppp0");
    assert_eq!(agent.value(&format!("{above}LowerLayers")), ppp);
    assert_eq!(agent.value(&format!("{above}IPv4Address.1.IPAddress")), "203.0.113.5");
    assert!(lines(&agent, "Device.InterfaceStack.").iter().any(|line| line.ends_with(&format!("LowerLayer={ppp}"))));
}

#[test]
fn a_sensor_without_a_value_stays_an_instance() {
    let directory = "/sys/class/thermal";
    if !Path::new(directory).exists() {
        return skip("the kernel has no sensors of temperature");
    }
    let place = tempfile::tempdir().expect("a directory");
    for (zone, name) in [(0, "cpu"), (1, "radio")] {
        let zone = place.path().join(format!("thermal_zone{zone}"));
        fs::create_dir(&zone).expect("a directory");
        fs::write(zone.join("type"), format!("{name}\n")).expect("a file");
        fs::write(zone.join("temp"), "41750\n").expect("a file");
    }
    let Some(agent) = agent("true", &[(place.path(), directory)]) else { return };
    let sensors = "Device.DeviceInfo.TemperatureStatus.TemperatureSensor.";
    let values = || [1, 2].map(|number| agent.value(&format!("{sensors}{number}.Value")));
    assert_eq!(agent.value(&format!("{sensors}2.Name")), "radio");
    assert_eq!(values(), ["41", "41"]);
    // The driver of a radio that is off answers with an error.
    fs::remove_file(place.path().join("thermal_zone1/temp")).expect("a file");
    assert_eq!(values(), ["41", "-274"]);
}

#[test]
fn a_linux_device_says_what_it_is() {
    let Some(agent) = router() else { return };
    let number =
        |path: &str| agent.value(path).parse::<u64>().unwrap_or_else(|_| panic!("{path}: {}", agent.value(path)));
    let meminfo = fs::read_to_string("/proc/meminfo").expect("memory");
    let total = meminfo.split_whitespace().nth(1).expect("a number").to_owned();
    assert_eq!(agent.value("Device.DeviceInfo.MemoryStatus.Total"), total);
    assert!(number("Device.DeviceInfo.UpTime") > 0);
    assert!(number("Device.DeviceInfo.MemoryStatus.FreePersistent") > 0);
    assert!(number("Device.DeviceInfo.ProcessorNumberOfEntries") > 0);
    assert!(number("Device.DeviceInfo.ProcessStatus.ProcessNumberOfEntries") > 1);
    let processes = agent.succeeds(&["get", "Device.DeviceInfo.ProcessStatus.Process."]);
    assert!(processes.contains(&format!("PID={}\n", agent.pid())), "{processes}");
    // Nothing of the model is an example, and nothing failed.
    let status = agent.succeeds(&["status"]);
    assert!(!status.contains("source fails") && !status.contains("value unfit"), "{status}");
}
