//! The overlay `openwrt.json` on a router: its configuration in `/etc/config`, a stand-in for ubusd, and links in a network
//! namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use tempfile::TempDir;

use super::linux::NEIGHBOURS;
use super::ubusd::Ubusd;
use crate::gateway::{SOON, TR_181, model_file};
use crate::support::Agent;
use crate::support::agent::AgentBuilder;
use crate::support::mount::with_mounts;
use crate::support::network::with_network;
use crate::support::port::closed_address;
use crate::support::skip::{emulator_lacks, skip_for_lack_of};

/// The links of a router: a WAN port, a bridge of four LAN ports and two radios, and a bridge for guests.
const LINKS: &str = "for l in wan lan1 lan2 lan3 lan4 phy0-ap0 phy1-ap0 guest; do \
      ip link add $l type veth peer name far-$l; ip link set $l up; ip link set far-$l up; done; \
    ip link add br-lan type bridge; ip link add br-guest type bridge; \
    for l in lan1 lan2 lan3 lan4 phy0-ap0 phy1-ap0; do ip link set $l master br-lan; done; \
    ip link set guest master br-guest; ip link set br-lan up; ip link set br-guest up; \
    ip address add 198.51.100.2/24 dev wan; ip route add default via 198.51.100.1 dev wan; \
    ip address add 192.168.1.1/24 dev br-lan; ip address add 192.168.3.1/24 dev br-guest; \
    ip route add 10.20.0.0/16 via 192.168.1.250 dev br-lan proto static; \
    ip address add 2001:db8:ffff::2/128 dev wan valid_lft 9911 preferred_lft 6311 nodad; \
    ip address add 2001:db8:1::1/60 dev br-lan nodad; \
    ip neighbour add 192.168.1.121 lladdr 02:00:00:00:00:21 dev br-lan nud reachable; \
    ip neighbour add 198.51.100.1 lladdr 02:00:00:00:00:01 dev wan nud permanent";

/// Covers `/tmp`, but for the directories that the command names.
const COVER_TMP: &str = "mkdir -p old; mount --bind /tmp old; mount --bind tmp /tmp; for a; do case $a in /tmp/*) \
    d=${a#/tmp/}; d=${d%%/*}; mkdir -p /tmp/$d; mount --bind old/$d /tmp/$d;; esac; done";

/// The files of a router.
pub(super) struct Router {
    place: TempDir,
    pub(super) bus: Ubusd,
}

fn material(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sources/openwrt").join(name)
}

fn files(directory: &str) -> Vec<PathBuf> {
    fs::read_dir(material(directory)).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
}

impl Router {
    pub(super) fn new() -> Router {
        let router = Router { place: tempfile::tempdir().expect("a directory"), bus: Ubusd::start() };
        for directory in ["etc/config", "etc/init.d", "tmp/resolv.conf.d"] {
            fs::create_dir_all(router.path(directory)).expect("a directory");
        }
        let copy = |from: &Path, to: &str| {
            fs::copy(from, router.path(to)).expect("a copy");
        };
        for package in files("config") {
            copy(
                &package,
                &format!("etc/config/{}", package.file_name().and_then(|name| name.to_str()).expect("a name")),
            );
        }
        copy(&material("files/passwd"), "etc/passwd");
        copy(&material("files/dhcp.leases"), "tmp/dhcp.leases");
        copy(&material("files/resolv.conf.auto"), "tmp/resolv.conf.d/resolv.conf.auto");
        fs::write(router.path("etc/init.d/odhcpd"), "").expect("written");
        router.bus.clear();
        files("bus").iter().for_each(|answer| router.bus.add(answer));
        router
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Returns the text of a package.
    pub(super) fn package(&self, name: &str) -> String {
        fs::read_to_string(self.path("etc/config").join(name)).expect("a package")
    }

    /// Removes a package from the configuration.
    fn without(&self, package: &str) {
        fs::remove_file(self.path("etc/config").join(package)).expect("removed");
    }

    /// Returns an agent in a network of its own, in which the files cover those of this machine. `last` are commands that run
    /// at the end, and may change the command that starts the agent.
    fn builder(&self, last: &str) -> Option<AgentBuilder> {
        let url = format!("http://{}/acs", closed_address());
        let agent = TR_181.shipped_at(&url).data_model(model_file("linux.json")).data_model(model_file("openwrt.json"));
        // The directories are in `/tmp`, and are mounted before it is covered.
        let (run, etc) = (self.bus.run_directory().display(), self.path("etc").display().to_string());
        let mounts =
            format!("mount --bind {run} /var/run; mount --bind {etc} /etc; cd {}", self.place.path().display());
        with_network(agent, &format!("{LINKS}; {mounts}; {COVER_TMP}; cd /; {last}"), &[])
    }

    /// Returns an agent in the network of this machine, with an ACS at this URL.
    pub(super) fn settable_at(&self, url: &str) -> Option<AgentBuilder> {
        let agent = TR_181.shipped_at(url).data_model(model_file("linux.json")).data_model(model_file("openwrt.json"));
        with_mounts(agent, &[(&self.path("etc"), "/etc"), (self.bus.run_directory(), "/var/run")])
    }

    pub(super) fn agent(&self) -> Option<Agent> {
        let agent = self.builder("true")?.start();
        agent.wait_for_control();
        Some(agent)
    }
}

/// Returns true for the event on the bus by which procd reloads the services of a package.
pub(super) fn is_reload(question: &str, package: &str) -> bool {
    let hex: String = package.bytes().map(|byte| format!("{byte:02x}")).collect();
    question.starts_with("service event type:3=config.change") && question.contains(&format!("{hex}00"))
}

/// Expects no source to fail, and no text to be another than a value.
fn expect_no_failure(agent: &Agent) {
    let status: Json = serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON");
    let failing = status["sources"]["failing"].as_array().expect("a list");
    let lacks_hosts = emulator_lacks(NEIGHBOURS);
    assert!(failing.iter().all(|entry| lacks_hosts && entry["source"] == "builtin host"), "{failing:?}");
    assert_eq!(status["sources"]["unfit"], Json::Array(Vec::new()));
}

/// Expects parameters below `Device.` to have these values.
fn expect_values(agent: &Agent, expected: &[(&str, &str)]) {
    let all = agent.succeeds(&["get", "Device."]);
    let value =
        |path: &str| all.lines().find_map(|line| line.strip_prefix("Device.")?.strip_prefix(path)?.strip_prefix('='));
    let wrong: Vec<_> = expected.iter().filter(|(path, wanted)| value(path) != Some(wanted)).collect();
    assert!(
        wrong.is_empty(),
        "{:#?}",
        wrong.iter().map(|(path, wanted)| (path, wanted, value(path))).collect::<Vec<_>>()
    );
}

/// Values of the router, by the subject.
const VALUES: &[(&str, &str)] = &[
    ("DeviceInfo.Description", "Acme AX3000 Router"),
    ("DeviceInfo.ModelName", "Acme AX3000 Router"),
    ("DeviceInfo.ModelNumber", "acme,ax3000"),
    ("DeviceInfo.VendorLogFile.1.MaximumSize", "131072"),
    ("DeviceInfo.VendorLogFile.1.Persistent", "false"),
    ("Time.Enable", "true"),
    ("Time.NTPServer1", "0.openwrt.pool.ntp.org"),
    ("Time.NTPServer4", "3.openwrt.pool.ntp.org"),
    ("Time.NTPServer5", ""),
    ("Time.Client.1.Status", "Unsynchronized"),
    ("IP.ULAPrefix", "fd4e:1c5b:9a3d::/48"),
    ("IP.InterfaceNumberOfEntries", "7"),
    ("IP.Interface.1.Name", "wan"),
    ("IP.Interface.1.Status", "Up"),
    ("IP.Interface.1.LastChange", "4711"),
    ("IP.Interface.1.IPv4Address.1.IPAddress", "198.51.100.2"),
    ("IP.Interface.1.IPv4Address.1.SubnetMask", "255.255.255.0"),
    ("IP.Interface.1.IPv4Address.1.AddressingType", "DHCP"),
    ("IP.Interface.1.IPv6Address.1.IPAddress", "2001:db8:ffff::2"),
    ("IP.Interface.1.IPv6Address.1.Origin", "DHCPv6"),
    ("IP.Interface.1.IPv6PrefixNumberOfEntries", "1"),
    ("IP.Interface.1.IPv6Prefix.1.Prefix", "2001:db8:1::/56"),
    ("IP.Interface.1.IPv6Prefix.1.Origin", "PrefixDelegation"),
    ("IP.Interface.1.IPv6Prefix.1.OnLink", "false"),
    ("IP.Interface.2.Name", "lan"),
    ("IP.Interface.2.IPv6PrefixNumberOfEntries", "2"),
    ("IP.Interface.2.IPv6Prefix.1.Prefix", "2001:db8:1::/60"),
    ("IP.Interface.2.IPv6Prefix.1.Origin", "Child"),
    ("IP.Interface.2.IPv6Prefix.1.PrefixStatus", "Preferred"),
    ("IP.Interface.2.IPv6Prefix.2.Origin", "Static"),
    ("IP.Interface.2.IPv6Prefix.2.ValidLifetime", "9999-12-31T23:59:59Z"),
    ("IP.Interface.2.IPv4Address.1.AddressingType", "Static"),
    ("IP.Interface.3.Name", "loopback"),
    ("IP.Interface.3.Type", "Loopback"),
    ("IP.Interface.3.MaxMTUSize", "65535"),
    ("IP.Interface.5.Name", "vpn"),
    ("IP.Interface.5.Enable", "false"),
    ("IP.Interface.5.Status", "Down"),
    ("IP.Interface.6.Name", "spare"),
    ("IP.Interface.6.Enable", "false"),
    ("IP.Interface.6.Status", "Down"),
    ("IP.Interface.7.Name", "modem"),
    ("IP.Interface.7.Enable", "true"),
    ("IP.Interface.7.Status", "Dormant"),
    ("PPP.InterfaceNumberOfEntries", "0"),
    ("Bridging.BridgeNumberOfEntries", "2"),
    ("Bridging.Bridge.1.VLAN.1.VLANID", "10"),
    ("Bridging.Bridge.2.VLANNumberOfEntries", "0"),
    ("DNS.Client.Server.1.DNSServer", "9.9.9.9"),
    ("DNS.Client.Server.1.Interface", "Device.IP.Interface.1"),
    ("DNS.Client.Server.1.Type", "Static"),
    ("DNS.Client.Server.2.DNSServer", "2001:db8::53"),
    ("DNS.Client.Server.2.Interface", "Device.IP.Interface.1"),
    ("DNS.Client.Server.2.Type", "DHCPv6"),
    ("DNS.Relay.Status", "Enabled"),
    ("DNS.Relay.ForwardNumberOfEntries", "2"),
    ("DHCPv4.Client.1.Interface", "Device.IP.Interface.1"),
    ("DHCPv4.Client.1.DHCPStatus", "Bound"),
    ("DHCPv4.Client.1.Status", "Enabled"),
    ("DHCPv4.Client.1.SentOptionNumberOfEntries", "2"),
    ("DHCPv4.Client.1.SentOption.1.Tag", "60"),
    ("DHCPv4.Client.1.SentOption.1.Value", "41636d65204158"),
    ("DHCPv4.Client.1.SentOption.2.Tag", "125"),
    ("DHCPv4.Client.1.ReqOptionNumberOfEntries", "2"),
    ("DHCPv4.Client.1.ReqOption.1.Tag", "43"),
    ("DHCPv4.Client.1.ReqOption.2.Order", "2"),
    ("DHCPv4.Client.1.ReqOption.2.Tag", "125"),
    ("DHCPv4.Client.2.DHCPStatus", "Init"),
    ("DHCPv4.Client.3.DHCPStatus", "Selecting"),
    ("DHCPv4.Client.1.DHCPServer", "198.51.100.1"),
    ("DHCPv4.Client.1.IPRouters", "198.51.100.1"),
    ("DHCPv4.Client.1.DNSServers", "9.9.9.9"),
    ("DHCPv4.Server.Enable", "true"),
    ("Ethernet.Interface.1.MaxBitRate", "-1"),
    ("Ethernet.Interface.1.DuplexMode", "Auto"),
    ("DHCPv4.Server.PoolNumberOfEntries", "3"),
    ("DHCPv4.Server.Pool.1.Interface", "Device.IP.Interface.2"),
    ("DHCPv4.Server.Pool.1.MinAddress", "192.168.1.100"),
    ("DHCPv4.Server.Pool.1.MaxAddress", "192.168.1.249"),
    ("DHCPv4.Server.Pool.1.SubnetMask", "255.255.255.0"),
    ("DHCPv4.Server.Pool.1.LeaseTime", "43200"),
    ("DHCPv4.Server.Pool.1.DNSServers", "192.168.1.1"),
    ("DHCPv4.Server.Pool.1.DomainName", "lan"),
    ("DHCPv4.Server.Pool.1.StaticAddressNumberOfEntries", "1"),
    ("DHCPv4.Server.Pool.1.StaticAddress.1.Chaddr", "02:00:00:00:00:50"),
    ("DHCPv4.Server.Pool.1.StaticAddress.1.Yiaddr", "192.168.1.50"),
    ("DHCPv4.Server.Pool.1.ClientNumberOfEntries", "2"),
    ("DHCPv4.Server.Pool.1.Client.1.Chaddr", "02:00:00:00:00:21"),
    ("DHCPv4.Server.Pool.1.Client.1.IPv4Address.1.LeaseTimeRemaining", "2100-01-01T00:00:00Z"),
    ("DHCPv4.Server.Pool.1.Client.2.IPv4Address.1.LeaseTimeRemaining", "9999-12-31T23:59:59Z"),
    ("DHCPv4.Server.Pool.2.Enable", "false"),
    ("DHCPv4.Server.Pool.3.MaxAddress", "192.168.3.49"),
    ("DHCPv4.Server.Pool.3.LeaseTime", "2700"),
    ("DHCPv4.Server.Pool.3.DNSServers", "9.9.9.9,149.112.112.112"),
    ("DHCPv4.Server.Pool.3.IPRouters", "192.168.3.254"),
    ("DHCPv4.Server.Pool.3.StaticAddress.1.Yiaddr", "192.168.3.51"),
    ("DHCPv4.Server.Pool.3.Client.1.IPv4Address.1.IPAddress", "192.168.3.12"),
    ("DHCPv6.Client.1.Interface", "Device.IP.Interface.1"),
    ("DHCPv6.Client.1.DUID", "0003000102005e100101"),
    ("DHCPv6.Client.1.RequestPrefixes", "true"),
    ("DHCPv6.Server.Pool.1.Status", "Enabled"),
    ("DHCPv6.Server.Pool.1.Client.1.IPv6Address.1.IPAddress", "2001:db8:1::4d2"),
    ("DHCPv6.Server.Pool.1.Client.1.IPv6Prefix.1.Prefix", "2001:db8:1:10::/62"),
    ("DHCPv6.Server.Pool.1.Client.1.IPv6Prefix.1.ValidLifetime", "9999-12-31T23:59:59Z"),
    ("RouterAdvertisement.InterfaceSetting.1.Enable", "true"),
    ("RouterAdvertisement.InterfaceSetting.1.AdvManagedFlag", "true"),
    ("RouterAdvertisement.InterfaceSetting.1.RDNSS", "fd4e:1c5b:9a3d::1"),
    ("RouterAdvertisement.InterfaceSetting.3.Enable", "false"),
    ("NAT.InterfaceSettingNumberOfEntries", "3"),
    ("NAT.InterfaceSetting.1.Interface", "Device.IP.Interface.1"),
    ("NAT.InterfaceSetting.1.Enable", "true"),
    ("NAT.InterfaceSetting.2.Enable", "false"),
    ("NAT.PortMappingNumberOfEntries", "2"),
    ("NAT.PortMapping.1.Description", "Web server"),
    ("NAT.PortMapping.1.Interface", "Device.IP.Interface.1"),
    ("NAT.PortMapping.1.ExternalPort", "8080"),
    ("NAT.PortMapping.1.InternalPort", "80"),
    ("NAT.PortMapping.1.InternalClient", "192.168.1.50"),
    ("NAT.PortMapping.2.Enable", "false"),
    ("NAT.PortMapping.2.ExternalPortEndRange", "27050"),
    ("NAT.PortMapping.2.Protocol", "UDP"),
    ("NAT.PortMapping.2.RemoteHost", "203.0.113.5"),
    ("Firewall.Enable", "true"),
    ("Firewall.Chain.1.RuleNumberOfEntries", "10"),
    ("Firewall.Chain.1.Rule.1.Description", "Allow-DHCP-Renew"),
    ("Firewall.Chain.1.Rule.1.SourceInterface", "Device.IP.Interface.1"),
    ("Firewall.Chain.1.Rule.1.DestPort", "68"),
    ("Firewall.Chain.1.Rule.1.Protocol", "17"),
    ("Firewall.Chain.1.Rule.1.IPVersion", "4"),
    ("Firewall.Chain.1.Rule.5.SourceMask", "fe80::/10"),
    ("Firewall.Chain.1.Rule.8.DestInterface", "Device.IP.Interface.2"),
    ("Firewall.Chain.1.Rule.10.Target", "Reject"),
    ("Firewall.Chain.1.Rule.10.Enable", "false"),
    ("Firewall.Chain.1.Rule.10.Protocol", "-1"),
    ("Firewall.Chain.1.Rule.10.DestPortRangeMax", "8010"),
    ("Firewall.Chain.1.Rule.10.SourceMAC", "02:00:00:00:00:77"),
    ("Firewall.Chain.1.Rule.10.SourceMask", "192.168.1.0/25"),
    ("Firewall.Chain.1.Rule.10.DestIP", "203.0.113.9"),
    ("Firewall.Chain.1.Rule.10.DestIPExclude", "true"),
    ("Firewall.Chain.1.Rule.10.SourceIPExclude", "false"),
    ("Firewall.Chain.1.Rule.1.DestPortExclude", "false"),
    ("Hosts.AccessControlNumberOfEntries", "1"),
    ("Hosts.AccessControl.1.PhysAddress", "02:00:00:00:00:77"),
    ("Hosts.AccessControl.1.Enable", "false"),
    ("Hosts.AccessControl.1.AccessPolicy", "Deny"),
    ("WiFi.RadioNumberOfEntries", "2"),
    ("WiFi.Radio.1.Status", "Up"),
    ("WiFi.Radio.1.PossibleChannels", "1,6,11"),
    ("WiFi.Radio.1.SupportedOperatingChannelBandwidths", "20MHz,40MHz"),
    ("WiFi.Radio.1.TransmitPowerSupported", "1,10,50,100"),
    ("WiFi.Radio.1.TransmitPower", "50"),
    ("WiFi.Radio.1.RegulatoryDomain", "DE "),
    ("WiFi.Radio.1.DTIMPeriod", "3"),
    ("WiFi.Radio.2.DTIMPeriod", "2"),
    ("WiFi.Radio.2.TransmitPower", "100"),
    ("WiFi.Radio.1.OperatingFrequencyBand", "2.4GHz"),
    ("WiFi.Radio.1.OperatingStandards", "g,n,ax"),
    ("WiFi.Radio.1.Channel", "6"),
    ("WiFi.Radio.1.BeaconPeriod", "200"),
    ("WiFi.Radio.1.Stats.Noise", "-92"),
    ("WiFi.Radio.2.AutoChannelEnable", "true"),
    ("WiFi.Radio.2.Channel", "44"),
    ("WiFi.Radio.2.SupportedStandards", "a,n,ac,ax"),
    ("WiFi.Radio.2.CurrentOperatingChannelBandwidth", "80MHz"),
    ("WiFi.SSIDNumberOfEntries", "3"),
    ("WiFi.SSID.1.Name", "phy0-ap0"),
    ("WiFi.SSID.1.SSID", "Zuhause"),
    ("WiFi.SSID.1.LowerLayers", "Device.WiFi.Radio.1"),
    ("WiFi.SSID.1.Status", "Up"),
    ("WiFi.SSID.2.SSID", "Zuhause \"5\" GHz"),
    ("WiFi.SSID.3.SSID", "Gäste im Café Zürich"),
    ("WiFi.SSID.3.Enable", "false"),
    ("WiFi.SSID.3.Status", "Down"),
    ("WiFi.AccessPoint.1.Security.ModeEnabled", "WPA2-Personal"),
    ("WiFi.AccessPoint.1.Security.KeyPassphrase", ""),
    ("WiFi.AccessPoint.1.AssociatedDeviceNumberOfEntries", "2"),
    ("WiFi.AccessPoint.1.AssociatedDevice.1.MACAddress", "02:00:00:00:00:21"),
    ("WiFi.AccessPoint.1.AssociatedDevice.1.SignalStrength", "-51"),
    ("WiFi.AccessPoint.1.AssociatedDevice.1.Noise", "-92"),
    ("WiFi.AccessPoint.1.AssociatedDevice.1.Retransmissions", "6"),
    ("WiFi.AccessPoint.1.AssociatedDevice.1.Stats.RetransCount", "3664"),
    ("WiFi.AccessPoint.1.AssociatedDevice.1.Stats.FailedRetransCount", "12"),
    ("WiFi.AccessPoint.1.AssociatedDevice.2.Retransmissions", "0"),
    ("WiFi.AccessPoint.1.AssociatedDevice.1.OperatingStandard", "ax"),
    ("WiFi.AccessPoint.1.AssociatedDevice.2.OperatingStandard", "n"),
    ("WiFi.AccessPoint.1.Security.MFPConfig", "Disabled"),
    ("WiFi.AccessPoint.2.Security.MFPConfig", "Optional"),
    ("WiFi.AccessPoint.3.Security.MFPConfig", "Required"),
    ("WiFi.AccessPoint.1.AssociatedDevice.1.LastDataDownlinkRate", "243700"),
    ("WiFi.AccessPoint.1.AssociatedDevice.1.Stats.BytesSent", "7000000456"),
    ("WiFi.AccessPoint.2.SSIDReference", "Device.WiFi.SSID.2"),
    ("WiFi.AccessPoint.2.SSIDAdvertisementEnabled", "false"),
    ("WiFi.AccessPoint.2.Security.ModeEnabled", "WPA3-Personal-Transition"),
    ("WiFi.AccessPoint.3.Security.ModeEnabled", "OWE"),
    ("WiFi.AccessPoint.2.AllowedMACAddress", "02:00:00:00:00:31,02:00:00:00:00:32"),
    ("WiFi.AccessPoint.3.SSIDReference", "Device.WiFi.SSID.3"),
    ("WiFi.AccessPoint.3.IsolationEnable", "true"),
    ("WiFi.AccessPoint.3.Status", "Disabled"),
    ("Users.UserNumberOfEntries", "2"),
    ("Users.User.2.Username", "anna"),
    ("Users.User.2.UserID", "1000"),
    ("SSH.Server.1.Port", "2222"),
    ("SSH.Server.1.Interface", "Device.IP.Interface.2"),
    ("SSH.Server.1.AllowPasswordLogin", "false"),
    ("UPnP.Device.UPnPIGD", "true"),
    ("DynamicDNS.Client.1.Enable", "true"),
    ("DynamicDNS.Client.1.Interface", "Device.IP.Interface.1"),
    ("DynamicDNS.Client.1.Password", ""),
    ("DynamicDNS.Client.1.Hostname.1.Name", "home.example.net"),
    ("DynamicDNS.Client.2.Enable", "false"),
    ("QoS.ClassificationNumberOfEntries", "1"),
    ("QoS.Classification.1.DSCPMark", "46"),
    ("QoS.Classification.1.DestPort", "5060"),
    ("QoS.Classification.1.Protocol", "17"),
    ("QoS.Classification.1.Interface", "Device.IP.Interface.2"),
    ("QoS.Shaper.1.Interface", "Device.IP.Interface.1"),
    ("QoS.Shaper.1.ShapingRate", "10000000"),
    ("UserInterface.HTTPAccess.1.Port", "80"),
];

#[test]
fn the_values_are_those_of_the_router() {
    let router = Router::new();
    let Some(agent) = router.agent() else { return };
    expect_values(&agent, VALUES);
    expect_no_failure(&agent);
    let all = agent.succeeds(&["get", "Device."]);
    let count = |text: &str| all.lines().filter(|line| line.contains(text)).count();
    // The layers lead from the interface to the port, and the routes of netifd have their origin.
    let link = agent.value("Device.IP.Interface.1.LowerLayers");
    assert!(link.starts_with("Device.Ethernet.Link."), "{link}");
    assert_eq!(agent.value(&format!("{link}.Name")), "wan");
    let port = all.lines().find_map(|line| line.strip_suffix(".Name=phy0-ap0").filter(|path| path.contains(".Port.")));
    assert_eq!(agent.value(&format!("{}.LowerLayers", port.expect("a port"))), "Device.WiFi.SSID.1");
    assert_eq!((count("Origin=DHCPv4"), count("StaticRoute=true")), (1, 1));
    // A radio has sent what its network has sent: one list of the kernel has both counters.
    let sent = |object: &str| {
        let begin = format!("Device.WiFi.{object}.Stats.PacketsSent=");
        all.lines().find_map(|line| line.strip_prefix(&begin)?.parse::<u64>().ok()).expect("packets")
    };
    assert_eq!(sent("Radio.1"), sent("SSID.1"));
    // The ports of a bridge have the VLAN of their untagged frames.
    let pvid = |name: &str| {
        let port = all
            .lines()
            .find_map(|line| line.strip_suffix(&format!(".Name={name}")).filter(|path| path.contains(".Port.")));
        agent.value(&format!("{}.PVID", port.expect("a port")))
    };
    assert_eq!((pvid("lan1"), pvid("lan3")), ("10".into(), "1".into()));
    // A lease without end, and one that ends at a time since the boot.
    let leases = router.bus.run_directory().join("cpe-agent.leases");
    fs::create_dir(&leases).expect("a directory");
    assert_eq!(agent.value("Device.DHCPv4.Client.1.LeaseTimeRemaining"), "0");
    let uptime = fs::read_to_string("/proc/uptime").expect("the uptime");
    let uptime: u64 = uptime.split('.').next().and_then(|seconds| seconds.parse().ok()).expect("seconds");
    fs::write(leases.join("wan"), format!("{}\n", uptime + 3600)).expect("written");
    let remaining: u64 = agent.value("Device.DHCPv4.Client.1.LeaseTimeRemaining").parse().expect("seconds");
    assert!((3000..=3600).contains(&remaining), "{remaining}");
    fs::write(leases.join("wan"), "-1\n").expect("written");
    assert_eq!(agent.value("Device.DHCPv4.Client.1.LeaseTimeRemaining"), "-1");
    // A radio has its state as long as the link of its access point.
    let seconds = |path: &str| agent.value(&format!("Device.WiFi.{path}.LastChange")).parse::<u64>().expect("seconds");
    let [before, radio, after] = ["SSID.1", "Radio.1", "SSID.1"].map(seconds);
    assert!((before..=after).contains(&radio), "{before} {radio} {after}");
    // The lifetimes of a prefix count from now on.
    let valid = agent.value("Device.IP.Interface.2.IPv6Prefix.1.ValidLifetime");
    assert!(valid.as_str() > "2026" && valid.as_str() < "9999", "{valid}");
    assert!(all.contains(".DestIPAddress=10.20.0.0\n"));
    // What follows from another setting, and what the device does not have, is read-only.
    for path in ["DHCPv4.Client.1.Enable", "IP.Interface.1.IPv4Enable", "NAT.PortMapping.1.LeaseDuration"] {
        assert!(!agent.command(&["set", &format!("Device.{path}=1")]).status.success(), "{path}");
    }
    // A password and a key are read by nobody.
    assert!(!all.contains("secret") && !all.contains("battery") && !all.contains("donut"));
    // `check --device` reads the same without the agent.
    let output = router.builder("true").expect("a network").args(&["--device"]).run_to_end("check");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = usize::from(emulator_lacks(NEIGHBOURS));
    assert!(text.contains(&format!("; {failed} failed or do not fit")), "{text}");
    assert_eq!(output.status.success(), failed == 0, "{text}");
}

/// The work for a read of everything: each call, each list of the kernel and each package is asked for once, and no program runs.
#[test]
fn a_read_of_everything_asks_each_source_once() {
    let router = Router::new();
    let Some(agent) = router.agent() else { return };
    // The channels and powers of the radios may be an hour old.
    agent.succeeds(&["get", "Device."]);
    assert!(router.bus.asked().iter().any(|question| question.contains("freqlist")));
    agent.succeeds(&["get", "Device."]);
    let asked = router.bus.asked();
    let calls: Vec<&String> = asked.iter().filter(|question| !question.starts_with("look up")).collect();
    assert!(calls.len() <= 12, "{calls:#?}");
    let mut distinct = calls.clone();
    distinct.dedup();
    assert_eq!(calls, distinct);

    if emulator_lacks("a trace of the calls of the agent alone") {
        return;
    }
    if Command::new("strace").arg("-V").output().is_err() {
        return skip_for_lack_of("strace");
    }
    let trace = "set -- strace -f -e trace=openat,connect,sendto,execve -o /var/run/trace \"$@\"";
    let builder = router.builder(trace).expect("a network");
    assert!(builder.args(&["--device"]).run_to_end("check").status.success());
    let trace = fs::read_to_string(router.bus.run_directory().join("trace")).expect("a trace");
    let count = |text: &str| trace.lines().filter(|line| line.contains(text)).count();
    for package in files("config") {
        let name = package.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        assert_eq!(count(&format!("\"/etc/config/{name}\"")), 1, "{name}");
    }
    let dumps = [("RTM_GETLINK", 18), ("RTM_GETADDR", 22), ("RTM_GETROUTE", 26), ("RTM_GETNEIGH", 30)];
    // strace knows the names where it can tell the protocol of the socket.
    let dumps =
        dumps.map(|(name, kind)| count(&format!("nlmsg_type={name}")) + count(&format!("nlmsg_type={kind:#x} ")));
    // The neighbours and the forwarding tables of the bridges are two lists.
    assert_eq!(dumps, [1, 1, 1, 2], "{trace}");
    assert_eq!((count("execve("), count("ubus.sock")), (1, 1));
}

/// A router without radios and without optional packages has neither the objects nor failing sources.
#[test]
fn what_the_router_lacks_is_left_out() {
    let router = Router::new();
    ["wireless", "sqm", "ddns", "upnpd", "uhttpd", "dropbear", "firewall"].iter().for_each(|name| router.without(name));
    fs::remove_file(router.path("etc/init.d/odhcpd")).expect("removed");
    ["iwinfo", "dhcp", "rc", "hostapd.phy0-ap0", "hostapd.phy1-ap0"]
        .iter()
        .for_each(|object| router.bus.remove(object));
    let Some(agent) = router.agent() else { return };
    let all = agent.succeeds(&["get", "Device."]);
    for object in ["WiFi", "QoS", "DynamicDNS", "UPnP", "UserInterface", "SSH", "NAT", "Firewall", "DSL"] {
        assert!(!all.contains(&format!("Device.{object}.")), "{object}");
    }
    expect_values(&agent, &[("IP.Interface.1.Status", "Up"), ("DHCPv6.Server.PoolNumberOfEntries", "3")]);
    expect_no_failure(&agent);
}

/// A radio without hostapd and iwinfo: the objects may be missing on the bus.
#[test]
fn a_radio_that_is_off_has_no_stations() {
    let router = Router::new();
    let Some(agent) = router.agent() else { return };
    let stations = "Device.WiFi.AccessPoint.1.AssociatedDeviceNumberOfEntries";
    assert_eq!(agent.value(stations), "2");
    ["iwinfo", "hostapd.phy0-ap0", "hostapd.phy1-ap0"].iter().for_each(|object| router.bus.remove(object));
    assert_eq!(agent.value(stations), "0");
    assert_eq!(agent.value("Device.WiFi.Radio.1.Stats.Noise"), "0");
    router.bus.replace("network.wireless", "status", r#"{ "radio0": { "up": false, "interfaces": [] } }"#);
    expect_values(
        &agent,
        &[("WiFi.Radio.1.Status", "Down"), ("WiFi.SSID.1.Status", "Down"), ("WiFi.AccessPoint.1.Status", "Disabled")],
    );
    expect_no_failure(&agent);
}

/// An interface without its link has neither prefixes nor a lease, and says why it is down.
#[test]
fn an_interface_that_is_down_has_no_rows() {
    let router = Router::new();
    let network = fs::read_to_string(router.path("etc/config/network")).expect("a package");
    let without = network.replace("\toption clientid '0003000102005e100101'\n", "");
    fs::write(router.path("etc/config/network"), without).expect("written");
    let Some(agent) = router.agent() else { return };
    expect_values(&agent, &[("IP.Interface.1.IPv6PrefixNumberOfEntries", "1")]);
    router.bus.replace(
        "network.interface",
        "dump",
        r#"{ "interface": [
            { "interface": "wan", "up": false, "pending": false, "available": false, "autostart": true, "device": "usb0" },
            { "interface": "guest", "up": false, "pending": false, "available": true, "autostart": true, "device": "far-wan" },
            { "interface": "wan6", "up": false, "pending": false, "available": false, "autostart": true, "device": "usb0" }] }"#,
    );
    expect_values(
        &agent,
        &[
            ("IP.Interface.1.Status", "NotPresent"),
            ("IP.Interface.1.IPv6PrefixNumberOfEntries", "0"),
            ("IP.Interface.1.IPv4AddressNumberOfEntries", "0"),
            ("IP.Interface.4.Name", "guest"),
            ("IP.Interface.4.Status", "Down"),
            ("DHCPv4.Client.1.DHCPStatus", "Init"),
            ("DHCPv6.Client.1.DUID", "00030001020000000001"),
        ],
    );
    expect_no_failure(&agent);
}

/// A WAN link by PPP over Ethernet on a VLAN.
#[test]
fn a_ppp_session_is_a_layer() {
    let router = Router::new();
    let network = fs::read_to_string(router.path("etc/config/network")).expect("a package");
    let dhcp = "config interface 'wan'\n\toption device 'wan'\n\toption proto 'dhcp'\n";
    let ppp = "config interface 'wan'\n\toption device 'wan'\n\toption proto 'pppoe'\n\toption username 'me@isp'\n\
        \toption password 'hush'\n\toption keepalive '10 6'\n\toption ipv6 '0'\n";
    assert!(network.contains(dhcp));
    fs::write(router.path("etc/config/network"), network.replace(dhcp, ppp)).expect("written");
    router.bus.replace(
        "network.interface",
        "dump",
        r#"{ "interface": [{ "interface": "wan", "up": true, "uptime": 99, "l3_device": "pppoe-wan", "proto": "pppoe", "device": "wan",
            "ipv4-address": [{ "address": "203.0.113.7", "mask": 32, "ptpaddress": "203.0.113.1" }],
            "dns-server": ["203.0.113.53"], "route": [{ "target": "0.0.0.0", "mask": 0, "nexthop": "203.0.113.1" }],
            "errors": [{ "subsystem": "ppp", "code": "AUTH_TOPEER_FAILED" }] }] }"#,
    );
    let Some(agent) = router.agent() else { return };
    let link = agent.value("Device.PPP.Interface.1.LowerLayers");
    assert_eq!(agent.value(&format!("{link}.Name")), "wan");
    expect_values(
        &agent,
        &[
            ("IP.Interface.1.LowerLayers", "Device.PPP.Interface.1"),
            ("PPP.Interface.1.Username", "me@isp"),
            ("PPP.Interface.1.Password", ""),
            ("PPP.Interface.1.ConnectionStatus", "Connected"),
            ("PPP.Interface.1.LastConnectionError", "ERROR_AUTHENTICATION_FAILURE"),
            ("PPP.Interface.1.LCPEcho", "6"),
            ("PPP.Interface.1.LCPEchoRetry", "10"),
            ("PPP.Interface.1.IPv6CPEnable", "false"),
            ("PPP.Interface.1.IPCP.RemoteIPAddress", "203.0.113.1"),
            ("DHCPv4.ClientNumberOfEntries", "2"),
        ],
    );
    expect_no_failure(&agent);
}

/// The networks of the neighbours, scanned by each radio: the strongest first.
#[test]
fn a_scan_lists_the_networks_around() {
    let router = Router::new();
    let Some(agent) = router.agent() else { return };
    const OBJECT: &str = "Device.WiFi.NeighboringWiFiDiagnostic.";
    let scan = |agent: &Agent, end: &str| {
        let position = agent.log_position();
        agent.succeeds(&["set", &format!("{OBJECT}DiagnosticsState=Requested")]);
        agent.wait_for_log_after(position, &format!("{OBJECT}: {end}"), SOON);
    };
    scan(&agent, "Complete");
    expect_values(
        &agent,
        &[
            ("WiFi.NeighboringWiFiDiagnostic.DiagnosticsState", "Complete"),
            ("WiFi.NeighboringWiFiDiagnostic.ResultNumberOfEntries", "3"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.1.Radio", "Device.WiFi.Radio.2"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.1.SSID", "Büro"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.1.BSSID", "02:00:00:AA:00:03"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.1.Channel", "100"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.1.SignalStrength", "-60"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.1.SecurityModeEnabled", "WPA2-PSK-WPA3-SAE"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.1.EncryptionMode", "AES"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.1.OperatingFrequencyBand", "5GHz"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.1.OperatingStandards", "n,ac"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.1.OperatingChannelBandwidth", "80MHz"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.2.Radio", "Device.WiFi.Radio.1"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.2.SecurityModeEnabled", "WPA-WPA2"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.2.EncryptionMode", "TKIP,AES"),
            ("WiFi.NeighboringWiFiDiagnostic.Result.3.SSID", ""),
            ("WiFi.NeighboringWiFiDiagnostic.Result.3.SecurityModeEnabled", "None"),
        ],
    );
    expect_no_failure(&agent);
    // One radio that does not scan leaves the results of the other.
    router.bus.remove_answer("iwinfo", "scan", "radio1");
    scan(&agent, "Complete");
    assert_eq!(agent.value(&format!("{OBJECT}ResultNumberOfEntries")), "2");
    router.bus.remove_answer("iwinfo", "scan", "radio0");
    scan(&agent, "Error");
    assert_eq!(agent.value(&format!("{OBJECT}DiagnosticsState")), "Error");
    assert_eq!(agent.value(&format!("{OBJECT}ResultNumberOfEntries")), "0");
}
