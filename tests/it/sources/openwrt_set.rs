//! The writable values of `openwrt.json`: a curated list, texts that could hurt a script of OpenWrt, and the reloads.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::openwrt::{Router, is_reload};
use crate::gateway::model_file;
use crate::support::skip::emulator_lacks;
use crate::support::{AcsOptions, Agent, ManualAcs, get_parameter_names, set_parameter_values};

const LIMIT: Duration = Duration::from_secs(60);

/// The parameters that the ACS may set on the device.
const WRITABLE: &[&str] = &[
    "Bridging.Bridge.{i}.AgingTime",
    "Bridging.Bridge.{i}.Enable",
    "Bridging.Bridge.{i}.Port.{i}.Enable",
    "Bridging.Bridge.{i}.Port.{i}.LowerLayers",
    "Bridging.Bridge.{i}.Port.{i}.PVID",
    "Bridging.Bridge.{i}.STP.BridgePriority",
    "Bridging.Bridge.{i}.STP.Enable",
    "Bridging.Bridge.{i}.STP.ForwardingDelay",
    "Bridging.Bridge.{i}.VLAN.{i}.Name",
    "Bridging.Bridge.{i}.VLAN.{i}.VLANID",
    "DHCPv4.Client.{i}.Renew",
    "DHCPv4.Client.{i}.ReqOption.{i}.Enable",
    "DHCPv4.Client.{i}.ReqOption.{i}.Tag",
    "DHCPv4.Client.{i}.SentOption.{i}.Enable",
    "DHCPv4.Client.{i}.SentOption.{i}.Tag",
    "DHCPv4.Client.{i}.SentOption.{i}.Value",
    "DHCPv4.Server.Enable",
    "DHCPv4.Server.Pool.{i}.DNSServers",
    "DHCPv4.Server.Pool.{i}.DomainName",
    "DHCPv4.Server.Pool.{i}.Enable",
    "DHCPv4.Server.Pool.{i}.IPRouters",
    "DHCPv4.Server.Pool.{i}.Interface",
    "DHCPv4.Server.Pool.{i}.LeaseTime",
    "DHCPv4.Server.Pool.{i}.MaxAddress",
    "DHCPv4.Server.Pool.{i}.MinAddress",
    "DHCPv4.Server.Pool.{i}.Option.{i}.Enable",
    "DHCPv4.Server.Pool.{i}.Option.{i}.Tag",
    "DHCPv4.Server.Pool.{i}.Option.{i}.Value",
    "DHCPv4.Server.Pool.{i}.Order",
    "DHCPv4.Server.Pool.{i}.StaticAddress.{i}.Chaddr",
    "DHCPv4.Server.Pool.{i}.StaticAddress.{i}.Enable",
    "DHCPv4.Server.Pool.{i}.StaticAddress.{i}.Yiaddr",
    "DHCPv4.Server.Pool.{i}.SubnetMask",
    "DHCPv6.Client.{i}.Renew",
    "DHCPv6.Client.{i}.RequestAddresses",
    "DHCPv6.Client.{i}.RequestPrefixes",
    "DHCPv6.Client.{i}.RequestedOptions",
    "DHCPv6.Server.Pool.{i}.Enable",
    "DHCPv6.Server.Pool.{i}.IANAEnable",
    "DHCPv6.Server.Pool.{i}.IAPDEnable",
    "DHCPv6.Server.Pool.{i}.Order",
    "DNS.Client.Server.{i}.DNSServer",
    "DNS.Client.Server.{i}.Enable",
    "DNS.Client.Server.{i}.Interface",
    "DNS.Relay.Enable",
    "DNS.Relay.Forwarding.{i}.DNSServer",
    "DNS.Relay.Forwarding.{i}.Enable",
    "DeviceInfo.HostName",
    "DynamicDNS.Client.{i}.Enable",
    "DynamicDNS.Client.{i}.Hostname.{i}.Name",
    "DynamicDNS.Client.{i}.Interface",
    "DynamicDNS.Client.{i}.Password",
    "DynamicDNS.Client.{i}.Server",
    "DynamicDNS.Client.{i}.Username",
    "Ethernet.Interface.{i}.DuplexMode",
    "Ethernet.Interface.{i}.Enable",
    "Ethernet.Interface.{i}.MaxBitRate",
    "Ethernet.Link.{i}.MACAddress",
    "Ethernet.VLANTermination.{i}.Enable",
    "Ethernet.VLANTermination.{i}.LowerLayers",
    "Ethernet.VLANTermination.{i}.TPID",
    "Ethernet.VLANTermination.{i}.VLANID",
    "Firewall.Chain.{i}.Rule.{i}.DSCP",
    "Firewall.Chain.{i}.Rule.{i}.DSCPExclude",
    "Firewall.Chain.{i}.Rule.{i}.Description",
    "Firewall.Chain.{i}.Rule.{i}.DestAllInterfaces",
    "Firewall.Chain.{i}.Rule.{i}.DestIP",
    "Firewall.Chain.{i}.Rule.{i}.DestIPExclude",
    "Firewall.Chain.{i}.Rule.{i}.DestInterface",
    "Firewall.Chain.{i}.Rule.{i}.DestMask",
    "Firewall.Chain.{i}.Rule.{i}.DestPort",
    "Firewall.Chain.{i}.Rule.{i}.DestPortExclude",
    "Firewall.Chain.{i}.Rule.{i}.DestPortRangeMax",
    "Firewall.Chain.{i}.Rule.{i}.Enable",
    "Firewall.Chain.{i}.Rule.{i}.IPVersion",
    "Firewall.Chain.{i}.Rule.{i}.Order",
    "Firewall.Chain.{i}.Rule.{i}.Protocol",
    "Firewall.Chain.{i}.Rule.{i}.SourceAllInterfaces",
    "Firewall.Chain.{i}.Rule.{i}.SourceIP",
    "Firewall.Chain.{i}.Rule.{i}.SourceIPExclude",
    "Firewall.Chain.{i}.Rule.{i}.SourceInterface",
    "Firewall.Chain.{i}.Rule.{i}.SourceMAC",
    "Firewall.Chain.{i}.Rule.{i}.SourceMACExclude",
    "Firewall.Chain.{i}.Rule.{i}.SourceMask",
    "Firewall.Chain.{i}.Rule.{i}.SourcePort",
    "Firewall.Chain.{i}.Rule.{i}.SourcePortExclude",
    "Firewall.Chain.{i}.Rule.{i}.SourcePortRangeMax",
    "Firewall.Chain.{i}.Rule.{i}.Target",
    "Firewall.DMZ.{i}.Description",
    "Firewall.DMZ.{i}.DestIP",
    "Firewall.DMZ.{i}.Enable",
    "Firewall.DMZ.{i}.Interface",
    "Firewall.DMZ.{i}.LeaseDuration",
    "Firewall.DMZ.{i}.SourcePrefix",
    "Firewall.Enable",
    "Hosts.AccessControl.{i}.AccessPolicy",
    "Hosts.AccessControl.{i}.Enable",
    "Hosts.AccessControl.{i}.PhysAddress",
    "IP.Interface.{i}.Enable",
    "IP.Interface.{i}.IPv4Address.{i}.IPAddress",
    "IP.Interface.{i}.IPv4Address.{i}.SubnetMask",
    "IP.Interface.{i}.IPv6Enable",
    "IP.Interface.{i}.LowerLayers",
    "IP.Interface.{i}.MaxMTUSize",
    "IP.Interface.{i}.Reset",
    "IP.ULAPrefix",
    "NAT.InterfaceSetting.{i}.Enable",
    "NAT.InterfaceSetting.{i}.TCPTranslationTimeout",
    "NAT.InterfaceSetting.{i}.UDPTranslationTimeout",
    "NAT.PortMapping.{i}.AllInterfaces",
    "NAT.PortMapping.{i}.Description",
    "NAT.PortMapping.{i}.Enable",
    "NAT.PortMapping.{i}.ExternalPort",
    "NAT.PortMapping.{i}.ExternalPortEndRange",
    "NAT.PortMapping.{i}.Interface",
    "NAT.PortMapping.{i}.InternalClient",
    "NAT.PortMapping.{i}.InternalPort",
    "NAT.PortMapping.{i}.LeaseDuration",
    "NAT.PortMapping.{i}.Protocol",
    "NAT.PortMapping.{i}.RemoteHost",
    "PPP.Interface.{i}.ConnectionTrigger",
    "PPP.Interface.{i}.Enable",
    "PPP.Interface.{i}.IPv6CPEnable",
    "PPP.Interface.{i}.IdleDisconnectTime",
    "PPP.Interface.{i}.LCPEcho",
    "PPP.Interface.{i}.LCPEchoAdaptive",
    "PPP.Interface.{i}.LCPEchoRetry",
    "PPP.Interface.{i}.MaxMRUSize",
    "PPP.Interface.{i}.PPPoE.ACName",
    "PPP.Interface.{i}.PPPoE.ServiceName",
    "PPP.Interface.{i}.Password",
    "PPP.Interface.{i}.Reset",
    "PPP.Interface.{i}.Username",
    "QoS.Classification.{i}.DSCPMark",
    "QoS.Classification.{i}.DestPort",
    "QoS.Classification.{i}.DestPortRangeMax",
    "QoS.Classification.{i}.Enable",
    "QoS.Classification.{i}.Interface",
    "QoS.Classification.{i}.Order",
    "QoS.Classification.{i}.Protocol",
    "QoS.Shaper.{i}.Enable",
    "QoS.Shaper.{i}.Interface",
    "QoS.Shaper.{i}.ShapingRate",
    "RouterAdvertisement.InterfaceSetting.{i}.AdvCurHopLimit",
    "RouterAdvertisement.InterfaceSetting.{i}.AdvDefaultLifetime",
    "RouterAdvertisement.InterfaceSetting.{i}.AdvLinkMTU",
    "RouterAdvertisement.InterfaceSetting.{i}.AdvManagedFlag",
    "RouterAdvertisement.InterfaceSetting.{i}.AdvOtherConfigFlag",
    "RouterAdvertisement.InterfaceSetting.{i}.AdvPreferredRouterFlag",
    "RouterAdvertisement.InterfaceSetting.{i}.AdvReachableTime",
    "RouterAdvertisement.InterfaceSetting.{i}.AdvRetransTimer",
    "RouterAdvertisement.InterfaceSetting.{i}.DNSSL",
    "RouterAdvertisement.InterfaceSetting.{i}.Enable",
    "RouterAdvertisement.InterfaceSetting.{i}.MaxRtrAdvInterval",
    "RouterAdvertisement.InterfaceSetting.{i}.MinRtrAdvInterval",
    "RouterAdvertisement.InterfaceSetting.{i}.RDNSS",
    "Routing.Router.{i}.IPv4Forwarding.{i}.DestIPAddress",
    "Routing.Router.{i}.IPv4Forwarding.{i}.DestSubnetMask",
    "Routing.Router.{i}.IPv4Forwarding.{i}.Enable",
    "Routing.Router.{i}.IPv4Forwarding.{i}.ForwardingMetric",
    "Routing.Router.{i}.IPv4Forwarding.{i}.GatewayIPAddress",
    "Routing.Router.{i}.IPv4Forwarding.{i}.Interface",
    "Routing.Router.{i}.IPv6Forwarding.{i}.DestIPPrefix",
    "Routing.Router.{i}.IPv6Forwarding.{i}.Enable",
    "Routing.Router.{i}.IPv6Forwarding.{i}.ForwardingMetric",
    "Routing.Router.{i}.IPv6Forwarding.{i}.Interface",
    "Routing.Router.{i}.IPv6Forwarding.{i}.NextHop",
    "SSH.Enable",
    "SSH.Server.{i}.AllowPasswordLogin",
    "SSH.Server.{i}.AllowRootLogin",
    "SSH.Server.{i}.AllowRootPasswordLogin",
    "SSH.Server.{i}.Enable",
    "SSH.Server.{i}.IdleTimeout",
    "SSH.Server.{i}.Interface",
    "SSH.Server.{i}.Port",
    "Time.Client.{i}.Enable",
    "Time.Client.{i}.Servers",
    "Time.Enable",
    "Time.LocalTimeZone",
    "Time.NTPServer1",
    "Time.NTPServer2",
    "Time.NTPServer3",
    "Time.NTPServer4",
    "Time.NTPServer5",
    "UPnP.Device.Enable",
    "UPnP.Device.UPnPIGD",
    "UserInterface.RemoteAccess.Enable",
    "UserInterface.RemoteAccess.Port",
    "WiFi.AccessPoint.{i}.AllowedMACAddress",
    "WiFi.AccessPoint.{i}.Enable",
    "WiFi.AccessPoint.{i}.IsolationEnable",
    "WiFi.AccessPoint.{i}.MACAddressControlEnabled",
    "WiFi.AccessPoint.{i}.MaxAllowedAssociations",
    "WiFi.AccessPoint.{i}.SSIDAdvertisementEnabled",
    "WiFi.AccessPoint.{i}.Security.KeyPassphrase",
    "WiFi.AccessPoint.{i}.Security.MFPConfig",
    "WiFi.AccessPoint.{i}.Security.ModeEnabled",
    "WiFi.AccessPoint.{i}.Security.PreSharedKey",
    "WiFi.AccessPoint.{i}.Security.RadiusSecret",
    "WiFi.AccessPoint.{i}.Security.RadiusServerIPAddr",
    "WiFi.AccessPoint.{i}.Security.RadiusServerPort",
    "WiFi.AccessPoint.{i}.Security.RekeyingInterval",
    "WiFi.AccessPoint.{i}.Security.SAEPassphrase",
    "WiFi.AccessPoint.{i}.UAPSDEnable",
    "WiFi.AccessPoint.{i}.WMMEnable",
    "WiFi.AccessPoint.{i}.WPS.ConfigMethodsEnabled",
    "WiFi.AccessPoint.{i}.WPS.Enable",
    "WiFi.Radio.{i}.AutoChannelEnable",
    "WiFi.Radio.{i}.BeaconPeriod",
    "WiFi.Radio.{i}.Channel",
    "WiFi.Radio.{i}.DTIMPeriod",
    "WiFi.Radio.{i}.Enable",
    "WiFi.Radio.{i}.FragmentationThreshold",
    "WiFi.Radio.{i}.IEEE80211hEnabled",
    "WiFi.Radio.{i}.OperatingChannelBandwidth",
    "WiFi.Radio.{i}.OperatingStandards",
    "WiFi.Radio.{i}.RTSThreshold",
    "WiFi.Radio.{i}.RegulatoryDomain",
    "WiFi.Radio.{i}.TransmitPower",
    "WiFi.SSID.{i}.Enable",
    "WiFi.SSID.{i}.LowerLayers",
    "WiFi.SSID.{i}.SSID",
];

/// The parameters that TR-181 lets the ACS set, and OpenWrt only reads.
const READ_ONLY: &[&str] = &[
    "Bridging.Bridge.{i}.Port.{i}.PathCost",
    "Bridging.Bridge.{i}.Port.{i}.Priority",
    "Bridging.Bridge.{i}.STP.HelloTime",
    "Bridging.Bridge.{i}.STP.MaxAge",
    "DHCPv4.Client.{i}.Enable",
    "DHCPv4.Client.{i}.Interface",
    "DHCPv4.Client.{i}.ReqOption.{i}.Order",
    "DHCPv6.Client.{i}.Enable",
    "DHCPv6.Client.{i}.Interface",
    "DHCPv6.Server.Pool.{i}.Interface",
    "DNS.Relay.Forwarding.{i}.Interface",
    "DynamicDNS.Client.{i}.Hostname.{i}.Enable",
    "Ethernet.Link.{i}.Enable",
    "Ethernet.Link.{i}.LowerLayers",
    "IP.IPv6Enable",
    "IP.Interface.{i}.IPv4Address.{i}.Enable",
    "IP.Interface.{i}.IPv4Enable",
    "IP.Interface.{i}.IPv6Address.{i}.Enable",
    "IP.Interface.{i}.IPv6Address.{i}.IPAddress",
    "IP.Interface.{i}.IPv6Address.{i}.PreferredLifetime",
    "IP.Interface.{i}.IPv6Address.{i}.ValidLifetime",
    "IP.Interface.{i}.IPv6Prefix.{i}.Enable",
    "IP.Interface.{i}.IPv6Prefix.{i}.OnLink",
    "IP.Interface.{i}.IPv6Prefix.{i}.PreferredLifetime",
    "IP.Interface.{i}.IPv6Prefix.{i}.Prefix",
    "IP.Interface.{i}.IPv6Prefix.{i}.ValidLifetime",
    "IP.Interface.{i}.Loopback",
    "NAT.InterfaceSetting.{i}.Interface",
    "PPP.Interface.{i}.LowerLayers",
    "RouterAdvertisement.InterfaceSetting.{i}.Interface",
    "Routing.Router.{i}.Enable",
    "UserInterface.HTTPAccess.{i}.Port",
    "Users.User.{i}.UserID",
    "Users.User.{i}.Username",
    "WiFi.AccessPoint.{i}.SSIDReference",
    "WiFi.Radio.{i}.OperatingFrequencyBand",
];

/// A value of each area: the name, the value, its package, and the line of the file.
const SETTINGS: &[(&str, &str, &str, &str)] = &[
    ("DeviceInfo.HostName", "gateway-7", "system", "option hostname 'gateway-7'"),
    ("Time.Enable", "false", "system", "option enabled '0'"),
    ("Time.Client.1.Servers", "time.example.net,2001:db8::7", "system", "list server '2001:db8::7'"),
    ("WiFi.Radio.1.Enable", "false", "wireless", "option disabled '1'"),
    ("WiFi.Radio.1.DTIMPeriod", "5", "wireless", "option dtim_period '5'"),
    ("WiFi.SSID.1.SSID", "Café \"5\" $HOME", "wireless", "option ssid 'Café \"5\" $HOME'"),
    ("WiFi.AccessPoint.1.Security.ModeEnabled", "WPA3-Personal", "wireless", "option encryption 'sae'"),
    (
        "WiFi.AccessPoint.1.Security.KeyPassphrase",
        "it's $(quiet) here",
        "wireless",
        r"option key 'it'\''s $(quiet) here'",
    ),
    (
        "WiFi.AccessPoint.3.Security.PreSharedKey",
        "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF",
        "wireless",
        "option key '0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF'",
    ),
    ("WiFi.AccessPoint.2.Security.SAEPassphrase", "a new passphrase", "wireless", "option key 'a new passphrase'"),
    ("WiFi.AccessPoint.1.WPS.ConfigMethodsEnabled", "Label", "wireless", "option wps_label '1'"),
    ("WiFi.AccessPoint.2.MACAddressControlEnabled", "false", "wireless", "option macfilter 'disable'"),
    ("WiFi.AccessPoint.3.Enable", "true", "wireless", "option disabled '0'"),
    ("WiFi.AccessPoint.1.MaxAllowedAssociations", "12", "wireless", "option maxassoc '12'"),
    ("DHCPv4.Server.Pool.1.LeaseTime", "3600", "dhcp", "option leasetime '3600'"),
    ("DHCPv4.Server.Pool.1.SubnetMask", "255.255.255.128", "dhcp", "option netmask '25'"),
    ("DHCPv4.Server.Enable", "false", "dhcp", "option cpe_dhcpv4 'server'"),
    ("DNS.Relay.Enable", "false", "dhcp", "option port '0'"),
    ("DHCPv4.Server.Pool.1.Option.1.Enable", "true", "dhcp", "list dhcp_option '43,01:02'"),
    ("DHCPv4.Server.Pool.2.Enable", "true", "dhcp", "option ignore '0'"),
    ("NAT.PortMapping.1.InternalClient", "192.168.1.77", "firewall", "option dest_ip '192.168.1.77'"),
    // Without dest_ip, the firewall would open the ports of the router itself.
    ("NAT.PortMapping.2.InternalClient", "", "firewall", "option dest_ip '0.0.0.0'"),
    ("NAT.PortMapping.1.RemoteHost", "203.0.113.9", "firewall", "option src_ip '203.0.113.9'"),
    ("NAT.PortMapping.2.Protocol", "TCP", "firewall", "option proto 'tcp'"),
    ("NAT.PortMapping.2.Description", "Anna's games (TCP)", "firewall", r"option name 'Anna'\''s games (TCP)'"),
    ("Firewall.Chain.1.Rule.10.Target", "Drop", "firewall", "option target 'DROP'"),
    ("Firewall.Chain.1.Rule.10.DSCP", "46", "firewall", "option dscp 'EF'"),
    ("Firewall.Chain.1.Rule.10.DSCPExclude", "true", "firewall", "option dscp '!EF'"),
    ("NAT.InterfaceSetting.2.Enable", "true", "firewall", "option masq '1'"),
    ("Firewall.DMZ.1.DestIP", "192.168.1.88", "firewall", "option dest_ip '192.168.1.88'"),
    ("Hosts.AccessControl.1.PhysAddress", "02:00:00:00:00:78", "firewall", "option src_mac '02:00:00:00:00:78'"),
    ("UserInterface.RemoteAccess.Port", "8443", "firewall", "option src_dport '8443'"),
    ("QoS.Classification.1.DSCPMark", "34", "firewall", "option set_dscp 'AF41'"),
    ("RouterAdvertisement.InterfaceSetting.2.AdvManagedFlag", "true", "dhcp", "list ra_flags 'managed-config'"),
    ("IP.Interface.1.MaxMTUSize", "1480", "network", "option mtu '1480'"),
    ("IP.Interface.2.IPv6Enable", "false", "network", "option ipv6 '0'"),
    ("SSH.Server.1.AllowPasswordLogin", "true", "dropbear", "option PasswordAuth 'on'"),
    ("UPnP.Device.Enable", "false", "upnpd", "option enabled '0'"),
    ("DynamicDNS.Client.1.Username", "homer@example.net", "ddns", "option username 'homer@example.net'"),
    ("QoS.Shaper.1.ShapingRate", "20000000", "sqm", "option upload '20000'"),
    ("QoS.Shaper.1.Interface", "Device.IP.Interface.2", "sqm", "option interface 'br-lan'"),
];

/// A router with an ACS. The stand-in for procd takes events, and a script stands for the init script of DynamicDNS.
struct Scene {
    router: Router,
    acs: ManualAcs,
    agent: Agent,
}

impl Scene {
    fn new() -> Option<Scene> {
        let router = Router::new();
        // The router has neither PPPoE, nor a route of IPv6, nor a host of DMZ, whose options can be set too, nor the section that
        // the package creates.
        for (package, sections) in [
            (
                "dhcp",
                "\nconfig cpe_option 'box'\n\toption pool 'lan'\n\toption tag '43'\n\toption value '0102'\n\
                 \toption enabled '0'\n\nconfig cpe_forwarder 'upstream'\n\toption enabled '0'\n",
            ),
            (
                "network",
                "\nconfig device 'iptv'\n\toption name 'wan.35'\n\toption type '8021q'\n\toption vid '35'\n\
                 \nconfig cpe_port 'spare_port'\n\toption bridge 'br-lan'\n\toption enabled '0'\n\
                 \nconfig interface 'dsl'\n\toption device 'lan3'\n\toption proto 'pppoe'\n\toption username 'homer'\n\
                 \nconfig route6 'branch'\n\toption interface 'lan'\n\toption target '2001:db8:9::/48'\n",
            ),
            (
                "firewall",
                "\nconfig redirect 'dmz'\n\toption src 'wan'\n\toption proto 'all'\n\toption enabled '0'\n\
                 \nconfig redirect 'cpe_remote_ui'\n\toption src 'wan'\n\toption proto 'tcp'\n\toption dest_port '443'\n\
                 \toption enabled '0'\n",
            ),
        ] {
            let path = router.path("etc/config").join(package);
            let text = fs::read_to_string(&path).expect("a package");
            fs::write(path, text + sections).expect("written");
        }
        fs::write(router.path("etc/resolv.conf"), "nameserver 192.0.2.53\n").expect("written");
        let script = router.path("etc/init.d/ddns");
        fs::write(&script, "#!/bin/sh\necho \"$1\" >>/etc/ddns-restarts\n").expect("written");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a mode");
        let acs = ManualAcs::start(AcsOptions::new());
        let agent = router.settable_at(&acs.url())?.log_level("debug").start();
        acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
        agent.wait_for_control();
        router.bus.play_procd(&agent.control(), |_| {});
        Some(Scene { router, acs, agent })
    }

    /// Returns the text of all packages.
    fn packages(&self) -> String {
        let mut files: Vec<PathBuf> = fs::read_dir(self.router.path("etc/config"))
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        // Beside a package is its old text, until the ACS is reached with the new one.
        files.retain(|file| !file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
        files.sort();
        files.iter().map(|file| fs::read_to_string(file).expect("a package")).collect()
    }

    /// Returns the names of the parameters on the device that can be set.
    fn writable(&self) -> BTreeSet<String> {
        let entries: Json = serde_json::from_str(&self.agent.succeeds(&["source", "--json", "Device."])).expect("JSON");
        let is_writable = |entry: &&Json| entry["source"].is_string() && entry["writable"] == Json::Bool(true);
        let entries = entries.as_array().expect("a list").iter().filter(is_writable);
        entries.filter_map(|entry| entry["name"].as_str()).map(str::to_owned).collect()
    }

    /// Waits until procd has got an event for the package, or DynamicDNS was restarted. Returns what the bus was asked before.
    fn expect_reload(&self, package: &str, asked: &mut Vec<String>) {
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            asked.extend(self.router.bus.asked());
            let is_event = |question: &String| is_reload(question, package);
            let is_restarted = package == "ddns"
                && fs::read_to_string(self.router.path("etc/ddns-restarts")).is_ok_and(|text| text == "restart\n");
            if is_restarted || asked.iter().any(is_event) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no reload of {package}: {asked:#?}\n{}", self.agent.log());
    }
}

/// Returns a name without its instance numbers and the root.
fn template(name: &str) -> String {
    let segment = |segment| if str::parse::<u32>(segment).is_ok() { "{i}" } else { segment };
    name.trim_start_matches("Device.").split('.').map(segment).collect::<Vec<_>>().join(".")
}

/// Returns a line with one space in place of several, which the options of some packages have.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// R164, R169, R170: what is writable is set in the file of its package, and its service is reloaded after the session.
#[test]
fn each_area_is_set_and_reloaded() {
    let Some(scene) = Scene::new() else { return };
    scene.router.bus.asked();
    scene.agent.succeeds(&["inform"]);
    let name = |path: &str| format!("Device.{path}");
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        for (path, value, package, line) in SETTINGS {
            let answer = session.succeeds(&set_parameter_values(&[(&name(path), "string", value)], "k"));
            assert_eq!(answer.argument("Status"), Some("1"), "{path}");
            let text = scene.router.package(package);
            let has_line = text.lines().any(|found| words(found) == words(line));
            assert!(has_line, "{path}: {text}");
        }
        let is_event = |question: &String| question.starts_with("service event");
        assert!(!scene.router.bus.asked().iter().any(is_event), "a reload waits for the end of the session");
    });
    let (mut asked, packages) = (Vec::new(), SETTINGS.iter().map(|(_, _, package, _)| *package));
    packages.collect::<BTreeSet<_>>().iter().for_each(|package| scene.expect_reload(package, &mut asked));
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        for (path, value, _, _) in SETTINGS {
            let is_secret = path.contains("Security") && !path.ends_with("ModeEnabled");
            let wanted = if is_secret { "" } else { value };
            assert_eq!(session.value(&name(path)), wanted, "{path}");
            let answer = session.succeeds(&set_parameter_values(&[(&name(path), "string", value)], "k"));
            assert_eq!(answer.argument("Status"), Some("0"), "{path}: the value is there already");
        }
    });
    let log = scene.agent.log();
    assert!(!log.contains("quiet"), "a hidden value is in no log");
    assert!(!log.contains("could not be checked") && !log.contains("overwritten"), "{log}");
}

/// `set -` takes all that `get` prints of a router, whose counters and processes have changed since, and sets the lines that were
/// edited.
#[test]
fn the_printed_values_of_a_router_are_set() {
    let router = Router::new();
    let Some(agent) = router.agent() else { return };
    let set = |text: &str| {
        let file = router.path("printed");
        fs::write(&file, text).expect("written");
        agent.command_with_input(&["set", "-"], fs::File::open(&file).expect("the input").into())
    };
    let packages = || ["network", "wireless", "dhcp", "firewall", "system"].map(|package| router.package(package));
    let before = packages();
    let gone = "Device.DeviceInfo.ProcessStatus.Process.4000000.PID=1\n";
    let printed = agent.succeeds(&["get", "Device."]);
    assert!(printed.lines().count() > 1000, "{printed}");
    let output = set(&format!("{printed}{gone}"));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!told.is_empty() && !told.contains(".SSID"), "{told}");
    assert_eq!(packages(), before);
    assert!(!agent.log().contains("set locally"), "{}", agent.log());
    let (name, new) = ("Device.WiFi.SSID.1.SSID", "Printed");
    let edited = printed.replace(&format!("{name}={}\n", agent.value(name)), &format!("{name}={new}\n"));
    assert!(set(&edited).status.success());
    assert_eq!(agent.value(name), new);
    assert!(agent.log().contains(&format!("set locally: {name}\n")), "{}", agent.log());
    assert_eq!(packages()[1].lines().count(), before[1].lines().count());
    assert_eq!((&packages()[0], &packages()[2..]), (&before[0], &before[2..]));
    let output = set(&format!("{edited}Device.WiFi.SSID.77.SSID=x\n"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Device.WiFi.SSID.77.SSID: no such parameter"));
}

/// The calls by which interfaces are reset and get a new lease wait for the end of the session. Each reads as false afterwards.
#[test]
fn an_interface_is_reset_after_the_session() {
    let Some(scene) = Scene::new() else { return };
    let script = scene.router.path("etc/init.d/cpe-agent");
    let run = scene.router.bus.run_directory();
    let text =
        "#!/bin/sh\ncd /var/run && ls -d cpe-agent.command.* >>/etc/agent-commands && rm -f cpe-agent.command.*\n";
    fs::write(&script, text).expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a mode");
    let [reset, renew, dial] =
        ["IP.Interface.1.Reset", "DHCPv4.Client.1.Renew", "PPP.Interface.2.Reset"].map(|path| format!("Device.{path}"));
    let before = scene.packages();
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        let names = [&reset, &renew, &dial].map(|name| (name.as_str(), "boolean", "false"));
        assert_eq!(session.succeeds(&set_parameter_values(&names, "k")).argument("Status"), Some("0"));
        let names = names.map(|(name, kind, _)| (name, kind, "true"));
        assert_eq!(session.succeeds(&set_parameter_values(&names, "k")).argument("Status"), Some("1"));
        session.refuses(&set_parameter_values(&[(&reset, "boolean", "soon")], "k"), 9003);
        assert!(run.join("cpe-agent.command.reset.wan").exists() && !scene.router.path("etc/agent-commands").exists());
    });
    let began = Instant::now();
    let wanted = ["renew.wan", "reset.dsl", "reset.wan"].map(|name| format!("cpe-agent.command.{name}\n")).concat();
    while fs::read_to_string(scene.router.path("etc/agent-commands")).ok().as_ref() != Some(&wanted) {
        assert!(began.elapsed() < LIMIT, "the commands run: {}", scene.agent.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        [&reset, &renew, &dial].iter().for_each(|name| assert_eq!(session.value(name), "false", "{name}"));
    });
    assert_eq!(scene.packages(), before, "nothing is in the configuration");
}

/// R164, R169: the firewall is enabled by its init script, and starts or stops after the session. It comes back if the device refuses
/// another value of the request.
#[test]
fn the_firewall_is_switched() {
    let Some(scene) = Scene::new() else { return };
    let script = scene.router.path("etc/init.d/cpe-agent");
    fs::write(&script, "#!/bin/sh\necho \"$1\" >>/etc/agent-commands\n").expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a mode");
    scene.router.bus.answer("rc", "init", "", "{}");
    let calls = || {
        let asked = scene.router.bus.asked();
        asked.into_iter().filter(|question| question.starts_with("rc init")).collect::<Vec<_>>()
    };
    let name = "Device.Firewall.Enable";
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        assert_eq!(session.value(name), "true");
        calls();
        session.refuses(&set_parameter_values(&[(name, "boolean", "perhaps")], "k"), 9003);
        let answer = session.succeeds(&set_parameter_values(&[(name, "boolean", "true")], "k"));
        assert_eq!((answer.argument("Status"), calls().len()), (Some("0"), 0), "it is enabled already");
        let answer = session.succeeds(&set_parameter_values(&[(name, "boolean", "false")], "k"));
        assert_eq!(answer.argument("Status"), Some("1"));
        let calls = calls();
        assert!(calls.len() == 1 && calls[0].contains("disable") && calls[0].contains("firewall"), "{calls:?}");
        assert_eq!(session.value(name), "false", "R170");
        assert!(!scene.router.path("etc/agent-commands").exists(), "a reload waits for the end of the session");
    });
    scene.router.bus.replace("rc", "list", r#"{ "firewall": { "start": 19, "enabled": false } }"#);
    let began = Instant::now();
    while !fs::read_to_string(scene.router.path("etc/agent-commands")).is_ok_and(|text| text == "firewall\n") {
        assert!(began.elapsed() < LIMIT, "the firewall stops: {}", scene.agent.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| assert_eq!(session.value(name), "false"));
}

/// Sends a command to the socket of the agent, and returns the answer.
pub(super) fn says(agent: &Agent, words: &[&str]) -> String {
    let mut stream = UnixStream::connect(agent.control()).expect("the agent listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
    writeln!(stream, "{}", Json::from(words.to_vec())).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// Texts that a script of OpenWrt could take for more than a text. `MARKER` stands for a file that a command would make.
fn hostile_texts(marker: &Path) -> Vec<String> {
    let touch = format!("touch {}", marker.display());
    let mut texts: Vec<String> =
        ["$(CMD)", "`CMD`", "; CMD; #", "| CMD |", "a && CMD", "'; CMD; '", "\"; CMD; \"", "\\'; CMD"]
            .iter()
            .map(|text| text.replace("CMD", &touch))
            .collect();
    let plain = [
        "a b",
        "-O x",
        "it's",
        "\"",
        "\\",
        "$HOME",
        "a\nb",
        "x'\n\toption ssid 'y",
        "x\nssid2=y",
        "a\rb",
        "a\tb",
        "\u{7f}",
        "\u{85}",
        "#",
        "{x}",
        "*",
        "../../etc/passwd",
        "a,b c,d",
    ];
    texts.extend(plain.map(str::to_owned));
    // An SSID has 32 bytes at most, and a comment of nftables 128 with what the firewall puts before it.
    texts.extend(
        [("ü", 16), ("ü", 17), ("家", 11), ("🏠", 8), ("🏠", 9), ("ü", 32), ("(", 101)].map(|(t, n)| t.repeat(n)),
    );
    texts.push("x".repeat(64 * 1024));
    texts.push(format!("{}\n", "y".repeat(64 * 1024)));
    texts
}

/// R168: each parameter that the ACS may set refuses such a text, or keeps it as a text.
#[test]
fn hostile_texts_are_refused_or_kept_as_text() {
    if emulator_lacks("the speed for thousands of requests") {
        return;
    }
    let Some(scene) = Scene::new() else { return };
    let (writable, place) = (scene.writable(), tempfile::tempdir().expect("a directory"));
    let marker = place.path().join("marker");
    let sections = |text: &str| text.lines().filter(|line| line.trim_start().starts_with("config ")).count();
    let before = sections(&scene.packages());
    let (mut kept, mut tried, mut names) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        let all = session.succeeds(&get_parameter_names("Device.", false)).names;
        let told = |name: &String| all.iter().any(|entry| entry.writable && entry.name == *name);
        assert!(writable.iter().all(told), "{writable:?}");
        for name in &writable {
            // One instance of a table stands for all.
            if !tried.insert(template(name)) {
                continue;
            }
            names.push(name.clone());
            for text in hostile_texts(&marker) {
                let packages = scene.packages();
                let answer = session.call(&set_parameter_values(&[(name, "string", &text)], "k")).expect("an answer");
                if answer.is_fault() {
                    assert_eq!(scene.packages(), packages, "{name}: a refused text is written");
                    continue;
                }
                kept.insert(template(name));
                assert!(!text.contains(char::is_control) && text.len() < 300, "{name} takes {text:?}");
                assert!(!name.ends_with(".SSID") || text.len() <= 32, "{name} takes {text:?}");
                assert!(!name.ends_with("Description") || text.len() <= 120, "{name} takes {text:?}");
                let quoted = format!("'{}'\n", text.replace('\'', r"'\''"));
                assert!(scene.packages().contains(&quoted), "{name}: {text:?}");
                if !["Passphrase", "Password", "RadiusSecret"].iter().any(|hidden| name.ends_with(hidden)) {
                    assert_eq!(session.value(name), text, "{name}");
                }
            }
        }
    });
    // This machine may have no link, and the other tests of the values of links have one.
    let is_link = |name: &&&str| name.starts_with("Ethernet.Interface.");
    let wanted = WRITABLE.iter().filter(|name| tried.contains(**name) || !is_link(name)).map(|name| (*name).to_owned());
    let differing: Vec<String> = tried.symmetric_difference(&wanted.collect()).cloned().collect();
    assert_eq!(differing, Vec::<String>::new());
    // XML cannot carry these, but the socket of `cpe-agent set` can.
    for name in &names {
        for text in ["x\0y", "\0", "x\u{1b}[2J", "x\u{1}"] {
            let answer = says(&scene.agent, &["set", &format!("{name}={text}")]);
            assert!(answer.starts_with("{\"error\":"), "{name}: {answer}");
        }
    }
    // Texts of people may have such characters; options that scripts split at spaces may not.
    let free = [
        "Bridging.Bridge.{i}.VLAN.{i}.Name",
        "DynamicDNS.Client.{i}.Password",
        "Firewall.Chain.{i}.Rule.{i}.Description",
        "Firewall.DMZ.{i}.Description",
        "NAT.PortMapping.{i}.Description",
        "PPP.Interface.{i}.Password",
        "WiFi.AccessPoint.{i}.Security.KeyPassphrase",
        "WiFi.AccessPoint.{i}.Security.RadiusSecret",
        "WiFi.AccessPoint.{i}.Security.SAEPassphrase",
        "WiFi.SSID.{i}.SSID",
    ];
    assert_eq!(kept.iter().map(String::as_str).collect::<Vec<_>>(), free);
    let mut asked = Vec::new();
    ["wireless", "firewall"].iter().for_each(|package| scene.expect_reload(package, &mut asked));
    assert!(!marker.exists(), "a command has run");
    assert_eq!(sections(&scene.packages()), before, "a section came or went");
    // Another reader finds no mistake in a package.
    let status: Json = serde_json::from_str(&scene.agent.succeeds(&["status", "--json"])).expect("JSON");
    let failing = status["sources"]["failing"].to_string();
    assert!(!failing.contains("uci"), "{failing}");
}

/// Returns the names of the parameters of the shipped files that TR-181 lets the ACS set, and that are on the device.
fn declared() -> BTreeSet<String> {
    let files = ["tr-181.json", "linux.json", "openwrt.json"].map(|file| {
        serde_json::from_str::<Json>(&fs::read_to_string(model_file(file)).expect("a data model")).expect("JSON")
    });
    let (mut names, mut open) = (BTreeSet::new(), vec![(String::new(), files.map(|file| file["Device"].clone()))]);
    while let Some((path, layers)) = open.pop() {
        let members = layers.iter().filter_map(Json::as_object).flat_map(|layer| layer.keys());
        let is_child = |name: &&String| name.starts_with(|c: char| c.is_ascii_uppercase() || c == '{');
        for name in members.filter(is_child).collect::<BTreeSet<_>>() {
            // A layer that takes a child away takes it from all layers below.
            let top = layers.iter().rev().find_map(|layer| layer.get(name));
            let child = layers.each_ref().map(|layer| layer.get(name).cloned().unwrap_or_default());
            let member = |member: &str| child.iter().rev().find_map(|layer| layer.get(member));
            match member("type") {
                _ if top == Some(&Json::Null) => {}
                None => open.push((format!("{path}{name}."), child)),
                Some(_) if member("access").is_some_and(|access| access == "readWrite") => {
                    if member("source").is_some_and(|source| !source.is_null()) {
                        names.insert(format!("{path}{name}"));
                    }
                }
                Some(_) => {}
            }
        }
    }
    names
}

/// No parameter of the shipped files is missing in the test above, whatever the router has.
#[test]
fn each_declared_parameter_is_set_or_read_only() {
    let listed: BTreeSet<String> = WRITABLE.iter().chain(READ_ONLY).map(|name| (*name).to_owned()).collect();
    let differing: Vec<String> = declared().symmetric_difference(&listed).cloned().collect();
    assert_eq!(differing, Vec::<String>::new());
}

/// `check` names no text that scripts of the device would read without a rule.
#[test]
fn no_writable_text_is_without_a_rule() {
    let router = Router::new();
    let Some(builder) = router.settable_at("http://127.0.0.1:1/acs") else { return };
    let output = builder.run_to_end("check");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(text.contains("root           Device.") && !text.contains("the ACS may set any text"), "{text}");
}
