//! Instances that the ACS adds to tables of `openwrt.json`, sets and deletes: the sections in the packages, byte for byte.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use super::openwrt::{Router, is_reload};
use crate::support::{
    AcsOptions, AcsSession, Agent, ManualAcs, add_object, delete_object, get_parameter_names, set_parameter_values,
};

const LIMIT: Duration = Duration::from_secs(60);

/// A table, its package, the section of the first new instance, the values that are set in one request, and the section then.
/// `#` is the number in a table whose numbers this machine decides, or another table with the same sections.
struct Table {
    path: &'static str,
    package: &'static str,
    number: &'static str,
    added: &'static str,
    values: &'static [(&'static str, &'static str)],
    section: &'static str,
    /// Values that follow from those of the request.
    others: &'static [(&'static str, &'static str)],
}

/// The packages of the tables.
const PACKAGES: [&str; 6] = ["dhcp", "dropbear", "firewall", "network", "sqm", "wireless"];

const TABLES: &[Table] = &[
    Table {
        path: "Ethernet.VLANTermination.",
        package: "network",
        number: "#",
        added: "config device 'cpe_vlan#'\n\toption name 'cpe_vlan#'\n\toption type '8021q'\n\toption vid '1'\n\
            \toption enabled '0'\n",
        values: &[("VLANID", "35"), ("TPID", "34984"), ("Enable", "true")],
        section: "config device 'cpe_vlan#'\n\toption name 'cpe_vlan#'\n\toption type '8021ad'\n\toption vid '35'\n\
            \toption enabled '1'\n",
        others: &[("LowerLayers", ""), ("Status", "NotPresent")],
    },
    Table {
        path: "Bridging.Bridge.",
        package: "network",
        number: "#",
        added: "config device 'cpe_br#'\n\toption name 'cpe_br#'\n\toption type 'bridge'\n\toption bridge_empty '1'\n\
            \toption enabled '0'\n",
        values: &[("AgingTime", "60"), ("STP.Enable", "true"), ("Enable", "true")],
        section: "config device 'cpe_br#'\n\toption name 'cpe_br#'\n\toption type 'bridge'\n\toption bridge_empty '1'\n\
            \toption enabled '1'\n\toption ageing_time '60'\n\toption stp '1'\n",
        others: &[("Status", "Disabled"), ("STP.BridgePriority", "32767")],
    },
    Table {
        path: "NAT.PortMapping.",
        package: "firewall",
        number: "3",
        added: "config redirect 'cpe_redirect_3'\n\toption target 'DNAT'\n\toption src 'wan'\n\toption proto 'tcp'\n\
            \toption enabled '0'\n\toption dest_ip '0.0.0.0'\n",
        values: &[
            ("Interface", "Device.IP.Interface.4"),
            ("ExternalPort", "7000"),
            ("ExternalPortEndRange", "7010"),
            ("InternalPort", "9000"),
            ("Protocol", "UDP"),
            ("InternalClient", "192.168.1.9"),
            ("Description", "It's a game"),
            ("Enable", "true"),
        ],
        section: "config redirect 'cpe_redirect_3'\n\toption target 'DNAT'\n\toption src 'guest'\n\toption proto 'udp'\n\
            \toption enabled '1'\n\toption dest_ip '192.168.1.9'\n\toption src_dport '7000-7010'\n\
            \toption dest_port '9000'\n\toption name 'It'\\''s a game'\n",
        others: &[("Status", "Enabled"), ("RemoteHost", ""), ("LeaseDuration", "0")],
    },
    Table {
        path: "WiFi.SSID.",
        package: "wireless",
        number: "4",
        added: "config wifi-iface 'cpe_wifi_iface_4'\n\toption mode 'ap'\n\toption network 'lan'\n\
            \toption encryption 'none'\n\toption disabled '1'\n",
        values: &[
            ("LowerLayers", "Device.WiFi.Radio.2"),
            ("SSID", "Büro"),
            ("../../AccessPoint.4.Security.ModeEnabled", "WPA2-Personal"),
            ("../../AccessPoint.4.Security.KeyPassphrase", "a 'long' secret"),
            ("../../AccessPoint.4.IsolationEnable", "true"),
            ("Enable", "true"),
        ],
        section: "config wifi-iface 'cpe_wifi_iface_4'\n\toption mode 'ap'\n\toption network 'lan'\n\
            \toption encryption 'psk2'\n\toption disabled '0'\n\toption device 'radio1'\n\toption ssid 'Büro'\n\
            \toption key 'a '\\''long'\\'' secret'\n\toption isolate '1'\n",
        others: &[("../../AccessPoint.4.SSIDReference", "Device.WiFi.SSID.4"), ("../../AccessPoint.4.Enable", "true")],
    },
    Table {
        path: "DHCPv4.Server.Pool.",
        package: "dhcp",
        number: "4",
        added: "config dhcp 'cpe_dhcp_4'\n\toption ignore '1'\n",
        values: &[
            // The range is in the network of the interface that the same request gives.
            ("MaxAddress", "192.168.3.220"),
            ("MinAddress", "192.168.3.200"),
            ("Interface", "Device.IP.Interface.4"),
            ("DNSServers", "9.9.9.9,1.1.1.1"),
            ("LeaseTime", "-1"),
            ("Enable", "true"),
        ],
        section: "config dhcp 'cpe_dhcp_4'\n\toption ignore '0'\n\toption start '200'\n\toption limit '21'\n\
            \toption interface 'guest'\n\tlist dhcp_option '6,9.9.9.9,1.1.1.1'\n\toption leasetime 'infinite'\n",
        others: &[("Status", "Enabled")],
    },
    Table {
        path: "DHCPv4.Server.Pool.1.StaticAddress.",
        package: "dhcp",
        number: "2",
        added: "config host 'cpe_host_2'\n\toption cpe_pool 'lan'\n",
        values: &[("Chaddr", "02:00:00:00:00:0A"), ("Yiaddr", "192.168.1.33"), ("Enable", "true")],
        section: "config host 'cpe_host_2'\n\toption cpe_pool 'lan'\n\
            \toption mac '02:00:00:00:00:0A'\n\toption ip '192.168.1.33'\n",
        others: &[],
    },
    Table {
        path: "DHCPv4.Server.Pool.1.Option.",
        package: "dhcp",
        number: "1",
        added: "config cpe_option 'cpe_option_1'\n\toption pool 'lan'\n\toption enabled '0'\n",
        values: &[("Tag", "66"), ("Value", "6E6173"), ("Enable", "true")],
        section: "config cpe_option 'cpe_option_1'\n\toption pool 'lan'\n\toption enabled '1'\n\
            \toption tag '66'\n\toption value '6E6173'\n",
        others: &[],
    },
    Table {
        path: "DHCPv4.Client.1.SentOption.",
        package: "network",
        number: "3",
        added: "config cpe_option 'cpe_sent_3'\n\toption interface 'wan'\n\toption kind 'sent'\n\toption enabled '0'\n",
        values: &[("Enable", "true"), ("Tag", "77"), ("Value", "0102AB")],
        section: "config cpe_option 'cpe_sent_3'\n\toption interface 'wan'\n\toption kind 'sent'\n\
            \toption enabled '1'\n\toption tag '77'\n\toption value '0102AB'\n",
        others: &[],
    },
    Table {
        path: "DHCPv4.Client.1.ReqOption.",
        package: "network",
        number: "3",
        added: "config cpe_option 'cpe_requested_3'\n\toption interface 'wan'\n\toption kind 'requested'\n\
            \toption enabled '0'\n",
        values: &[("Tag", "66"), ("Enable", "true")],
        section: "config cpe_option 'cpe_requested_3'\n\toption interface 'wan'\n\toption kind 'requested'\n\
            \toption enabled '1'\n\toption tag '66'\n",
        others: &[],
    },
    Table {
        path: "DNS.Relay.Forwarding.",
        package: "dhcp",
        number: "#",
        added: "config cpe_forwarder 'cpe_forwarder_#'\n\toption enabled '0'\n",
        values: &[("DNSServer", "2001:db8::9"), ("Enable", "true")],
        section: "config cpe_forwarder 'cpe_forwarder_#'\n\toption enabled '1'\n\toption address '2001:db8::9'\n",
        others: &[("Status", "Enabled"), ("Type", "Static")],
    },
    Table {
        path: "Routing.Router.1.IPv4Forwarding.",
        package: "network",
        number: "#",
        added: "config route 'cpe_route_#'\n\toption disabled '1'\n",
        values: &[
            ("Interface", "Device.IP.Interface.4"),
            ("GatewayIPAddress", "192.168.3.7"),
            ("DestIPAddress", "10.9.0.0"),
            ("DestSubnetMask", "255.255.0.0"),
            ("ForwardingMetric", "5"),
            ("Enable", "true"),
        ],
        section: "config route 'cpe_route_#'\n\toption disabled '0'\n\toption interface 'guest'\n\
            \toption gateway '192.168.3.7'\n\toption target '10.9.0.0'\n\toption netmask '255.255.0.0'\n\
            \toption metric '5'\n",
        // The kernel does not have it, since no netifd runs.
        others: &[("Status", "Error"), ("StaticRoute", "true"), ("Origin", "Static")],
    },
    Table {
        path: "Routing.Router.1.IPv6Forwarding.",
        package: "network",
        number: "#",
        added: "config route6 'cpe_route6_#'\n\toption disabled '1'\n",
        values: &[
            ("Interface", "Device.IP.Interface.4"),
            ("NextHop", "fe80::7"),
            ("DestIPPrefix", "2001:db8:9::/48"),
            ("ForwardingMetric", "5"),
            ("Enable", "true"),
        ],
        section: "config route6 'cpe_route6_#'\n\toption disabled '0'\n\toption interface 'guest'\n\
            \toption gateway 'fe80::7'\n\toption target '2001:db8:9::/48'\n\toption metric '5'\n",
        others: &[("Status", "Error"), ("Origin", "Static")],
    },
    Table {
        path: "DNS.Client.Server.",
        package: "network",
        number: "#",
        added: "config interface 'cpe_dns_#'\n\toption proto 'none'\n\toption device '@wan'\n\toption cpe_dns '1'\n\
            \toption disabled '1'\n",
        values: &[("DNSServer", "9.9.9.9"), ("Interface", "Device.IP.Interface.4"), ("Enable", "true")],
        section: "config interface 'cpe_dns_#'\n\toption proto 'none'\n\toption device '@guest'\n\toption cpe_dns '1'\n\
            \toption disabled '0'\n\toption dns '9.9.9.9'\n",
        // netifd does not have it, since none runs.
        others: &[("Type", "Static"), ("Status", "Error")],
    },
    Table {
        path: "Firewall.DMZ.",
        package: "firewall",
        number: "1",
        added: "config redirect 'cpe_dmz_1'\n\toption target 'DNAT'\n\toption src 'wan'\n\toption proto 'all'\n\
            \toption enabled '0'\n\toption dest_ip '0.0.0.0'\n",
        values: &[
            ("DestIP", "192.168.1.44"),
            ("SourcePrefix", "203.0.113.0/24"),
            ("Description", "Console"),
            ("Enable", "true"),
        ],
        section: "config redirect 'cpe_dmz_1'\n\toption target 'DNAT'\n\toption src 'wan'\n\toption proto 'all'\n\
            \toption enabled '1'\n\toption dest_ip '192.168.1.44'\n\toption src_ip '203.0.113.0/24'\n\
            \toption name 'Console'\n",
        others: &[("Interface", "Device.IP.Interface.1"), ("Status", "Enabled")],
    },
    Table {
        path: "Firewall.Chain.1.Rule.",
        package: "firewall",
        number: "#",
        added: "config rule 'cpe_rule_#'\n\toption target 'DROP'\n\toption proto 'all'\n\toption enabled '0'\n",
        values: &[
            ("Description", "No telnet"),
            ("SourceInterface", "Device.IP.Interface.1"),
            ("DestAllInterfaces", "true"),
            ("IPVersion", "4"),
            ("SourceIP", "203.0.113.0"),
            ("SourceMask", "203.0.113.0/24"),
            ("SourceIPExclude", "true"),
            ("Protocol", "6"),
            ("DestPort", "23"),
            ("DestPortRangeMax", "25"),
            ("DestPortExclude", "true"),
            ("SourceMAC", "02:00:00:00:00:77"),
            ("Target", "Reject"),
            ("Enable", "true"),
        ],
        section: "config rule 'cpe_rule_#'\n\toption target 'REJECT'\n\toption proto 'tcp'\n\toption enabled '1'\n\
            \toption name 'No telnet'\n\toption src 'wan'\n\toption dest '*'\n\toption family 'ipv4'\n\
            \toption src_ip '!203.0.113.0/24'\n\toption dest_port '!23-25'\n\toption src_mac '02:00:00:00:00:77'\n",
        others: &[("DestInterface", ""), ("SourcePort", "-1"), ("Status", "Enabled"), ("DestMask", "")],
    },
    Table {
        path: "Hosts.AccessControl.",
        package: "firewall",
        number: "#",
        added: "config rule 'cpe_access_#'\n\toption src 'lan'\n\toption dest 'wan'\n\toption proto 'all'\n\
            \toption src_mac '00:00:00:00:00:00'\n\toption target 'ACCEPT'\n\toption enabled '0'\n",
        values: &[("PhysAddress", "02:00:00:00:00:99"), ("AccessPolicy", "Deny"), ("Enable", "true")],
        section: "config rule 'cpe_access_#'\n\toption src 'lan'\n\toption dest 'wan'\n\toption proto 'all'\n\
            \toption src_mac '02:00:00:00:00:99'\n\toption target 'REJECT'\n\toption enabled '1'\n",
        others: &[],
    },
    Table {
        path: "QoS.Classification.",
        package: "firewall",
        number: "2",
        added: "config rule 'cpe_mark_2'\n\toption target 'DSCP'\n\toption set_dscp 'CS0'\n\toption src 'lan'\n\
            \toption proto 'all'\n\toption enabled '0'\n",
        values: &[
            ("Interface", "Device.IP.Interface.4"),
            ("Protocol", "17"),
            ("DestPort", "5060"),
            ("DestPortRangeMax", "5070"),
            ("DSCPMark", "46"),
            ("Enable", "true"),
        ],
        section: "config rule 'cpe_mark_2'\n\toption target 'DSCP'\n\toption set_dscp 'EF'\n\toption src 'guest'\n\
            \toption proto 'udp'\n\toption enabled '1'\n\toption dest_port '5060-5070'\n",
        others: &[("Status", "Enabled")],
    },
    Table {
        path: "DynamicDNS.Client.",
        package: "ddns",
        number: "3",
        added: "config service 'cpe_service_3'\n\toption enabled '0'\n\toption interface 'wan'\n\
            \toption ip_source 'network'\n\toption ip_network 'wan'\n\toption use_https '1'\n",
        values: &[
            ("Server", "Device.DynamicDNS.Server.2"),
            ("Interface", "Device.IP.Interface.4"),
            ("Username", "homer"),
            ("Hostname.1.Name", "home.example.net"),
            ("Enable", "true"),
        ],
        section: "config service 'cpe_service_3'\n\toption enabled '1'\n\toption interface 'guest'\n\
            \toption ip_source 'network'\n\toption ip_network 'guest'\n\toption use_https '1'\n\
            \toption service_name 'dyndns.org'\n\toption username 'homer'\n\toption lookup_host 'home.example.net'\n\
            \toption domain 'home.example.net'\n",
        others: &[],
    },
    Table {
        path: "QoS.Shaper.",
        package: "sqm",
        number: "2",
        added: "config queue 'cpe_queue_2'\n\toption enabled '0'\n\toption download '0'\n\toption upload '0'\n\
            \toption qdisc 'fq_codel'\n\toption script 'simple.qos'\n\toption linklayer 'none'\n",
        values: &[("Interface", "Device.IP.Interface.4"), ("ShapingRate", "5000000"), ("Enable", "true")],
        section: "config queue 'cpe_queue_2'\n\toption enabled '1'\n\toption download '0'\n\toption upload '5000'\n\
            \toption qdisc 'fq_codel'\n\toption script 'simple.qos'\n\toption linklayer 'none'\n\
            \toption interface 'br-guest'\n",
        others: &[("Status", "Enabled")],
    },
    Table {
        path: "SSH.Server.",
        package: "dropbear",
        number: "2",
        added: "config dropbear 'cpe_dropbear_2'\n\toption enable '0'\n",
        values: &[
            ("Port", "2200"),
            ("Interface", "Device.IP.Interface.2"),
            ("IdleTimeout", "300"),
            ("AllowPasswordLogin", "false"),
            ("Enable", "true"),
        ],
        section: "config dropbear 'cpe_dropbear_2'\n\toption enable '1'\n\toption Port '2200'\n\
            \toption Interface 'lan'\n\toption IdleTimeout '300'\n\toption PasswordAuth '0'\n",
        others: &[("Status", "Enabled"), ("AllowRootLogin", "true")],
    },
    Table {
        path: "IP.Interface.",
        package: "network",
        number: "8",
        added: "config interface 'cpe8'\n\toption proto 'static'\n\toption disabled '1'\n",
        values: &[("MaxMTUSize", "1400"), ("IPv6Enable", "false"), ("Enable", "true")],
        section: "config interface 'cpe8'\n\toption proto 'static'\n\toption disabled '0'\n\
            \toption mtu '1400'\n\toption ipv6 '0'\n",
        others: &[("Name", "cpe8"), ("IPv4AddressNumberOfEntries", "1"), ("LowerLayers", "")],
    },
];

/// The tables whose instances are items of a list too: the text of another section, and the same with the item.
const LISTS: &[(&str, &str, &str)] = &[
    (
        "DHCPv4.Server.Pool.1.Option.",
        "\tlist dns 'fd4e:1c5b:9a3d::1'\n",
        "\tlist dns 'fd4e:1c5b:9a3d::1'\n\tlist dhcp_option '66,nas'\n",
    ),
    (
        "DHCPv4.Client.1.SentOption.",
        "\tlist sendopts '125:00000de9'\n",
        "\tlist sendopts '125:00000de9'\n\tlist sendopts '77:0102ab'\n",
    ),
    ("DHCPv4.Client.1.ReqOption.", "\toption reqopts '43 125'\n", "\toption reqopts '43 125 66'\n"),
    (
        "DNS.Relay.Forwarding.",
        "\tlist server '/corp.example/10.1.1.1'\n",
        "\tlist server '/corp.example/10.1.1.1'\n\tlist server '2001:db8::9'\n",
    ),
];

/// Returns the text of a package with the item of the instance of a table in its list.
fn with_item(table: &Table, text: &str) -> String {
    let list = LISTS.iter().find(|(path, ..)| *path == table.path);
    list.map_or_else(|| text.to_owned(), |(_, old, new)| text.replacen(old, new, 1))
}

/// Files in place of those of DynamicDNS.
const DYNAMIC_DNS: &str = r#"{
  "reloads": { "ddns": { "run": ["/bin/true"], "settle": 0 } },
  "Device": {
    "DynamicDNS": {
      "Server": {
        "needs": "/etc/ddns-list",
        "source": { "file": "/etc/ddns-list", "rows": "^(?<key>[A-Za-z0-9][A-Za-z0-9_.-]*)$" }
      }
    }
  }
}"#;

struct Scene {
    router: Router,
    acs: ManualAcs,
    agent: Agent,
}

impl Scene {
    fn new() -> Option<Scene> {
        let router = Router::new();
        let acs = ManualAcs::start(AcsOptions::new());
        // This machine has neither the list of the services of DynamicDNS, nor their init script.
        let overlay = router.path("ddns.json");
        fs::write(router.path("etc/resolv.conf"), "nameserver 192.0.2.53\n").expect("written");
        fs::write(router.path("etc/ddns-list"), "changeip.com\ndyndns.org\n").expect("written");
        fs::write(&overlay, DYNAMIC_DNS).expect("written");
        let agent = router.settable_at(&acs.url())?.data_model(overlay).start();
        acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
        agent.wait_for_control();
        router.bus.play_procd(&agent.control(), |_| {});
        Some(Scene { router, acs, agent })
    }

    fn session(&self, act: impl FnOnce(&mut AcsSession)) {
        self.agent.succeeds(&["inform"]);
        self.acs.expect_session(&["2 PERIODIC"], |_, session| act(session));
    }

    /// Waits until nothing is owed, and returns how often procd was told to reload the services of each package.
    fn reloads(&self) -> [usize; PACKAGES.len()] {
        let (mut asked, began) = (Vec::new(), Instant::now());
        while began.elapsed() < LIMIT {
            asked.extend(self.router.bus.asked());
            let count = |package| asked.iter().filter(|question| is_reload(question, package)).count();
            let counts = PACKAGES.map(count);
            if counts.iter().all(|count| *count > 0) {
                return counts;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("reloads are missing: {asked:#?}");
    }
}

/// Returns the name of a parameter of an instance, whose path may begin with steps upwards.
fn name(instance: &str, parameter: &str) -> String {
    let mut base = instance;
    let mut rest = parameter;
    while let Some(inner) = rest.strip_prefix("../") {
        base = &base[..base.trim_end_matches('.').rfind('.').expect("an object above") + 1];
        rest = inner;
    }
    format!("{base}{rest}")
}

/// Adds an instance to a table and sets its values. Returns its number.
fn add_and_set(scene: &Scene, session: &mut AcsSession, table: &Table) -> String {
    let path = format!("Device.{}", table.path);
    let before = scene.router.package(table.package);
    let answer = session.succeeds(&add_object(&path, "k"));
    let number = answer.argument("InstanceNumber").expect("a number").to_owned();
    assert!(table.number == "#" || table.number == number, "{path}{number}");
    assert_eq!(answer.argument("Status"), Some("1"), "{path}");
    let instance = format!("{path}{number}.");
    assert_eq!(scene.router.package(table.package), format!("{before}\n{}", table.added.replace('#', &number)));
    assert_eq!(session.value(&name(&instance, "Enable")), "false", "{path}");
    let names = session.succeeds(&get_parameter_names(&instance, true)).names;
    for (parameter, _) in table.values.iter().filter(|(parameter, _)| !parameter.contains('.')) {
        let entry = names.iter().find(|entry| entry.name == name(&instance, parameter));
        assert!(entry.is_some_and(|entry| entry.writable), "{path}{parameter}");
    }
    let values: Vec<(String, &str)> =
        table.values.iter().map(|(parameter, value)| (name(&instance, parameter), *value)).collect();
    let values: Vec<(&str, &str, &str)> =
        values.iter().map(|(name, value)| (name.as_str(), "string", *value)).collect();
    let answer = session.succeeds(&set_parameter_values(&values, "k"));
    assert_eq!(answer.argument("Status"), Some("1"), "{path}");
    let after = format!("{}\n{}", with_item(table, &before), table.section.replace('#', &number));
    assert_eq!(scene.router.package(table.package), after);
    let answer = session.succeeds(&set_parameter_values(&values, "k"));
    assert_eq!(answer.argument("Status"), Some("1"), "{path}: the values wait for their reload");
    number
}

/// Reads the values of the instance of a table, and deletes it.
fn read_and_delete(scene: &Scene, session: &mut AcsSession, table: &Table, number: &str) {
    let path = format!("Device.{}", table.path);
    let instance = format!("{path}{number}.");
    for (parameter, value) in table.values.iter().chain(table.others) {
        let wanted = if parameter.ends_with("KeyPassphrase") { "" } else { value };
        assert_eq!(session.value(&name(&instance, parameter)), wanted, "{path}{parameter}");
    }
    let text = scene.router.package(table.package);
    let answer = session.succeeds(&delete_object(&instance, "k"));
    assert_eq!(answer.argument("Status"), Some("1"), "{path}");
    let before = scene.router.package(table.package);
    assert_eq!(
        text.replace(&format!("\n{}", table.section.replace('#', number)), ""),
        with_item(table, &before),
        "{path}: the rest stays as it was"
    );
    session.refuses(&delete_object(&instance, "k"), 9005);
    // R218: the number is not used again. A table whose rows come and go takes numbers in reserve.
    let answer = session.succeeds(&add_object(&path, "k"));
    let next = answer.argument("InstanceNumber").expect("a number");
    let [former, new] = [number, next].map(|number| number.parse::<u32>().expect("a number"));
    assert!(new == former + 1 || (table.number == "#" && new > former), "{path}{next}");
    session.succeeds(&delete_object(&format!("{path}{next}."), "k"));
    assert_eq!(scene.router.package(table.package), before, "{path}");
}

/// R220: a row that is no section cannot be deleted, such as a server of DNS that a lease has brought.
#[test]
fn a_row_of_the_device_alone_stays() {
    let Some(scene) = Scene::new() else { return };
    scene.session(|session| {
        let server = "Device.DNS.Client.Server.1.";
        assert_eq!(session.value(&format!("{server}DNSServer")), "192.0.2.53");
        session.refuses(&delete_object(server, "k"), 9005);
        assert_eq!(session.value(&format!("{server}DNSServer")), "192.0.2.53");
    });
}

/// R213 to R221: an instance is added, set in one request, read back, and deleted, and the rest of the package stays.
#[test]
fn each_table_takes_an_instance_and_loses_it() {
    let Some(mut scene) = Scene::new() else { return };
    let packages = || PACKAGES.map(|package| scene.router.package(package));
    let before = packages();
    scene.router.bus.asked();
    let mut numbers = Vec::new();
    scene.session(|session| numbers.extend(TABLES.iter().map(|table| add_and_set(&scene, session, table))));
    assert_eq!(scene.reloads(), PACKAGES.map(|_| 1), "one reload of a package for all its changes");
    let after = packages();
    // R217: the numbers are those of before.
    scene.agent.kill9();
    // The stand-in for procd ends where it meets no agent.
    scene.router.bus.play_procd(&scene.agent.control(), |_| {});
    scene.agent.restart();
    scene.agent.wait_for_control();
    let packages = || PACKAGES.map(|package| scene.router.package(package));
    assert_eq!(packages(), after);
    scene.session(|session| {
        for (table, number) in TABLES.iter().zip(&numbers).rev() {
            read_and_delete(&scene, session, table, number);
        }
    });
    assert_eq!(packages(), before, "all is as it was");
}

/// The lines of a text that another one lacks, sorted.
pub(super) fn lines_without<'t>(text: &'t str, other: &str) -> Vec<&'t str> {
    let mut rest: Vec<&str> = other.lines().collect();
    let is_missing = |line: &&str| match rest.iter().position(|known| known == line) {
        Some(at) => {
            rest.swap_remove(at);
            false
        }
        None => true,
    };
    let mut missing: Vec<&str> = text.lines().filter(is_missing).collect();
    missing.sort_unstable();
    missing
}

/// Values that are parts of texts: the parameters with their values, the package, and the lines that go and come.
type PartCase =
    (&'static [(&'static str, &'static str)], &'static str, &'static [&'static str], &'static [&'static str]);

const PARTS: &[PartCase] = &[
    (
        &[("Time.LocalTimeZone", "EST5EDT,M3.2.0,M11.1.0")],
        "system",
        &["\toption timezone 'CET-1CEST,M3.5.0,M10.5.0/3'", "\toption zonename 'Europe/Berlin'"],
        &["\toption timezone 'EST5EDT,M3.2.0,M11.1.0'"],
    ),
    (
        &[("Time.NTPServer2", "time.example.net"), ("Time.NTPServer5", "ntp5.example.net")],
        "system",
        &["\tlist server '1.openwrt.pool.ntp.org'"],
        &["\tlist server 'time.example.net'", "\tlist server 'ntp5.example.net'"],
    ),
    (&[("Time.NTPServer5", "")], "system", &["\tlist server 'ntp5.example.net'"], &[]),
    (
        &[("WiFi.Radio.2.AutoChannelEnable", "false"), ("WiFi.Radio.2.Channel", "100")],
        "wireless",
        &["\toption channel 'auto'"],
        &["\toption channel '100'"],
    ),
    (
        &[("WiFi.Radio.2.OperatingStandards", "ac,n,a"), ("WiFi.Radio.2.OperatingChannelBandwidth", "40MHz")],
        "wireless",
        &["\toption htmode 'HE80'"],
        &["\toption htmode 'VHT40'"],
    ),
    (
        &[("WiFi.SSID.1.LowerLayers", "Device.WiFi.Radio.2")],
        "wireless",
        &["\toption device 'radio0'"],
        &["\toption device 'radio1'"],
    ),
    (&[("WiFi.Radio.1.RegulatoryDomain", "FR ")], "wireless", &["\toption country 'DE'"], &["\toption country 'FR'"]),
    (
        &[("DHCPv4.Server.Pool.1.MinAddress", "192.168.1.20"), ("DHCPv4.Server.Pool.1.MaxAddress", "192.168.1.40")],
        "dhcp",
        &["\toption start '100'", "\toption limit '150'"],
        &["\toption start '20'", "\toption limit '21'"],
    ),
    (
        &[("DHCPv4.Server.Pool.3.MaxAddress", "192.168.3.19")],
        "dhcp",
        &["\toption limit '40'"],
        &["\toption limit '10'"],
    ),
    (
        &[("DHCPv4.Server.Pool.3.DNSServers", "192.0.2.53"), ("DHCPv4.Server.Pool.3.DomainName", "guest.lan")],
        "dhcp",
        &["\tlist dhcp_option '6,9.9.9.9,149.112.112.112'"],
        &["\tlist dhcp_option '6,192.0.2.53'", "\tlist dhcp_option '15,guest.lan'"],
    ),
    (
        &[("NAT.PortMapping.2.ExternalPort", "27010"), ("NAT.PortMapping.2.InternalPort", "27010")],
        "firewall",
        &["config redirect", "\toption src_dport '27000-27050'"],
        &["config redirect 'cpe_redirect_2'", "\toption src_dport '27010-27050'", "\toption dest_port '27010'"],
    ),
    (
        &[("NAT.PortMapping.1.AllInterfaces", "false"), ("QoS.Shaper.1.ShapingRate", "-1")],
        "sqm",
        &["\toption upload '10000'"],
        &["\toption upload '0'"],
    ),
    (&[("NAT.InterfaceSetting.1.TCPTranslationTimeout", "3600")], "network", &[], &["\toption cpe_tcp_timeout '3600'"]),
    (
        &[("Firewall.Chain.1.Rule.10.DestIPExclude", "false"), ("Firewall.Chain.1.Rule.10.SourceMask", "")],
        "firewall",
        &["config rule", "\toption src_ip '192.168.1.0/25'", "\toption dest_ip '!203.0.113.9'"],
        &["config rule 'cpe_rule_10'", "\toption src_ip '192.168.1.0'", "\toption dest_ip '203.0.113.9'"],
    ),
];

/// Values that no text of the device has.
const REFUSED: &[&[(&str, &str)]] = &[
    &[("DHCPv4.Server.Pool.1.MinAddress", "10.0.0.1")],
    &[("DHCPv4.Server.Pool.1.MinAddress", "192.168.1.60")],
    &[("DHCPv4.Server.Pool.2.MinAddress", "192.168.1.20")],
    &[("WiFi.Radio.1.OperatingChannelBandwidth", "Auto")],
    &[("WiFi.Radio.1.OperatingStandards", "ac")],
    &[("WiFi.Radio.1.AutoChannelEnable", "true"), ("WiFi.Radio.1.Channel", "11")],
    &[("WiFi.SSID.1.LowerLayers", "Device.WiFi.SSID.2")],
    &[("Time.NTPServer1", "a.example.net"), ("Time.Client.1.Servers", "b.example.net")],
    &[("Firewall.Chain.1.Rule.10.SourcePortExclude", "true")],
    &[("Firewall.Chain.1.Rule.10.DestPortRangeMax", "80")],
    &[("NAT.PortMapping.1.Interface", "Device.IP.Interface.5")],
    &[("NAT.PortMapping.1.ExternalPortEndRange", "70")],
    // The firewall forwards to no host from all zones, and never ends a forward by itself.
    &[("NAT.PortMapping.1.AllInterfaces", "true")],
    &[("NAT.PortMapping.1.LeaseDuration", "60")],
    &[("WiFi.AccessPoint.1.Security.PreSharedKey", "00")],
    &[("QoS.Shaper.1.ShapingRate", "50")],
    &[("QoS.Shaper.1.Interface", "Device.IP.Interface.5")],
    &[("NAT.InterfaceSetting.1.TCPTranslationTimeout", "0")],
    &[("DHCPv4.Server.Pool.1.SubnetMask", "255.0.255.0")],
    &[("Firewall.Chain.1.Rule.10.DSCP", "63")],
    // One option, of which the device has one of the two values already.
    &[("WiFi.SSID.1.Enable", "false"), ("WiFi.AccessPoint.1.Enable", "true")],
    &[("WiFi.AccessPoint.1.Enable", "true"), ("WiFi.SSID.1.Enable", "false")],
    &[("WiFi.AccessPoint.1.Enable", "false"), ("WiFi.SSID.1.Enable", "true")],
];

/// R164, R168: values that share an option, or need several, change their lines alone.
#[test]
fn parts_of_texts_change_their_lines_alone() {
    let Some(scene) = Scene::new() else { return };
    let named = |values: &[(&'static str, &'static str)]| -> Vec<(String, &'static str)> {
        values.iter().map(|(name, value)| (format!("Device.{name}"), *value)).collect()
    };
    scene.session(|session| {
        for (values, package, gone, new) in PARTS {
            let before = scene.router.package(package);
            let values = named(values);
            let all: Vec<(&str, &str, &str)> =
                values.iter().map(|(name, value)| (name.as_str(), "string", *value)).collect();
            session.succeeds(&set_parameter_values(&all, "k"));
            let after = scene.router.package(package);
            let sorted =
                |lines: &[&'static str]| lines.iter().copied().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
            assert_eq!(lines_without(&before, &after), sorted(gone), "{values:?}");
            assert_eq!(lines_without(&after, &before), sorted(new), "{values:?}");
            for (name, value) in &values {
                let read = session.value(name);
                let is_list = name.ends_with("OperatingStandards");
                assert!(read == *value || (is_list && read == "a,n,ac"), "{name}: {read}");
            }
            // R170: the values wait for their reload.
            let answer = session.succeeds(&set_parameter_values(&all, "k"));
            assert_eq!(answer.argument("Status"), Some("1"), "{values:?}");
            assert_eq!(scene.router.package(package), after, "{values:?}");
        }
        for values in REFUSED {
            let packages =
                || ["dhcp", "firewall", "network", "sqm", "system", "wireless"].map(|name| scene.router.package(name));
            let before = packages();
            let values = named(values);
            let all: Vec<(&str, &str, &str)> =
                values.iter().map(|(name, value)| (name.as_str(), "string", *value)).collect();
            session.refuses(&set_parameter_values(&all, "k"), 9003);
            assert_eq!(packages(), before, "{values:?}");
        }
    });
}

/// An address of a static interface is set in the package, in its form, and stays the instance; one of a server is not.
#[test]
fn the_address_of_an_interface_is_set() {
    let router = Router::new();
    let Some(agent) = router.agent() else { return };
    let path = router.path("etc/config/network");
    let before = fs::read_to_string(&path).expect("a package");
    let lan = "Device.IP.Interface.2.IPv4Address.1.";
    assert_eq!(agent.value(&format!("{lan}IPAddress")), "192.168.1.1");
    agent.succeeds(&["set", &format!("{lan}IPAddress=192.168.7.1"), &format!("{lan}SubnetMask=255.255.0.0")]);
    agent.succeeds(&["set", "Device.IP.Interface.4.IPv4Address.1.SubnetMask=255.255.255.128"]);
    let after = fs::read_to_string(&path).expect("a package");
    let gone = ["\tlist ipaddr '192.168.3.1/24'", "\toption ipaddr '192.168.1.1'", "\toption netmask '255.255.255.0'"];
    let new = ["\toption ipaddr '192.168.3.1/25'", "\toption ipaddr '192.168.7.1'", "\toption netmask '255.255.0.0'"];
    assert_eq!((lines_without(&before, &after), lines_without(&after, &before)), (gone.to_vec(), new.to_vec()));
    assert_eq!(agent.value(&format!("{lan}IPAddress")), "192.168.7.1");
    let wan = "Device.IP.Interface.1.IPv4Address.1.IPAddress";
    assert!(!agent.command(&["set", &format!("{wan}=198.51.100.9")]).status.success());
    assert_eq!((agent.value(wan), fs::read_to_string(&path).expect("a package")), ("198.51.100.2".to_owned(), after));
}

/// R318, R320: rows are created by alias, by AddObject and by SetParameterValues, with all values of the request or not at all.
#[test]
fn rows_are_created_by_alias() {
    let Some(mut scene) = Scene::new() else { return };
    let (path, package) = ("Device.NAT.PortMapping.", || scene.router.package("firewall"));
    let table = TABLES.iter().find(|table| table.path == "NAT.PortMapping.").expect("port mappings");
    let named = |alias: &str| -> Vec<(String, &str)> {
        table.values.iter().map(|(parameter, value)| (format!("{path}[{alias}].{parameter}"), *value)).collect()
    };
    scene.session(|session| {
        let answer = session.succeeds(&add_object(&format!("{path}[web]."), "k"));
        assert_eq!(answer.argument("InstanceNumber"), Some("3"));
        let before = package();
        session.refuses(&add_object(&format!("{path}[web]."), "k"), 9005);
        let values = named("game");
        let mut values: Vec<(&str, &str, &str)> =
            values.iter().map(|(name, value)| (&**name, "string", *value)).collect();
        session.refuses(&set_parameter_values(&values, "k"), 9003);
        let mode = ("Device.ManagementServer.AutoCreateInstances", "boolean", "true");
        session.succeeds(&set_parameter_values(&[mode], "k"));
        let client = values[5];
        values[5] = (client.0, "string", "host.example");
        let refused = session.refuses(&set_parameter_values(&values, "k"), 9003).fault.expect("a fault");
        assert!(refused.parameters.iter().all(|(name, ..)| name.starts_with(&format!("{path}[game]."))), "{refused:?}");
        assert_eq!(package(), before, "the section is deleted with the values that are refused");
        session.refuses(&get_parameter_names(&format!("{path}[game]."), true), 9005);
        let log = scene.agent.log();
        assert!(log.contains("deleted on the device by the ACS in session 2: Device.NAT.PortMapping.4."), "{log}");
        values[5] = client;
        let answer = session.succeeds(&set_parameter_values(&values, "k"));
        assert_eq!(answer.argument("Status"), Some("1"));
        assert!(package().starts_with(&before) && package().contains("option name 'It'\\''s a game'"), "{}", package());
        for (name, value) in named("game").iter().map(|(name, value)| (name, value)) {
            assert_eq!(session.value(name), *value);
        }
    });
    let after = package();
    scene.agent.crash_and_restart();
    scene.agent.wait_for_control();
    scene.session(|session| {
        assert_eq!(scene.router.package("firewall"), after);
        assert_eq!(session.value(&format!("{path}[game].Description")), "It's a game");
        assert_eq!(session.value(&format!("{path}[web].Enable")), "false");
        session.succeeds(&delete_object(&format!("{path}[game]."), "k"));
    });
}

/// R164, R320: an agent that is killed while it creates a row with its values has made all of it or nothing after the next start.
#[test]
fn a_row_and_its_values_survive_a_crash_together() {
    let Some(mut scene) = Scene::new() else { return };
    let path = "Device.NAT.PortMapping.";
    scene.session(|session| {
        let mode = ("Device.ManagementServer.AutoCreateInstances", "boolean", "true");
        session.succeeds(&set_parameter_values(&[mode], "k"));
    });
    let mut kept = 0;
    for round in 0..10u64 {
        let alias = format!("round{round}");
        let values = [("Description", "crash"), ("InternalClient", "192.168.1.9"), ("ExternalPort", "7000")];
        let names = values.map(|(parameter, value)| (format!("{path}[{alias}].{parameter}"), value));
        let values: Vec<(&str, &str, &str)> = names.iter().map(|(name, value)| (&**name, "string", *value)).collect();
        scene.agent.succeeds(&["inform"]);
        let (_, _, mut session) = scene.acs.next_session();
        session.send(&set_parameter_values(&values, "k"));
        std::thread::sleep(Duration::from_millis(round * 4));
        scene.agent.kill9();
        drop(session);
        scene.acs.clear();
        // The stand-in for procd ends where it meets no agent.
        scene.router.bus.play_procd(&scene.agent.control(), |_| {});
        scene.agent.restart();
        scene.agent.wait_for_control();
        let found = scene.agent.command(&["get", &format!("{path}[{alias}].")]);
        let sections = scene.router.package("firewall").matches("option name 'crash'").count();
        let listed = String::from_utf8_lossy(&found.stdout).into_owned();
        if found.status.success() {
            assert!(
                listed.contains("InternalClient=192.168.1.9\n") && listed.contains("ExternalPort=7000\n"),
                "{listed}"
            );
            kept += 1;
        }
        assert_eq!(sections, kept, "round {round}: {}", scene.router.package("firewall"));
    }
}

/// The order of the rules is that of their sections. A rule that is moved keeps its instance, and so do all others.
#[test]
fn a_rule_gets_another_place() {
    let Some(mut scene) = Scene::new() else { return };
    let name = |number: u32, parameter: &str| format!("Device.Firewall.Chain.1.Rule.{number}.{parameter}");
    let expect = |session: &mut AcsSession, places: &[(u32, &str, &str)]| {
        for (number, order, description) in places {
            let found = [session.value(&name(*number, "Order")), session.value(&name(*number, "Description"))];
            assert_eq!(found, [*order, *description], "rule {number}");
        }
    };
    let before = scene.router.package("firewall");
    scene.session(|session| {
        expect(session, &[(1, "1", "Allow-DHCP-Renew"), (10, "10", "Block-Tablet")]);
        let (order, enable) = (name(10, "Order"), name(10, "Enable"));
        let answer =
            session.succeeds(&set_parameter_values(&[(&order, "unsignedInt", "1"), (&enable, "boolean", "true")], "k"));
        assert_eq!(answer.argument("Status"), Some("1"));
        expect(session, &[(10, "1", "Block-Tablet"), (1, "2", "Allow-DHCP-Renew"), (9, "10", "Allow-ISAKMP")]);
        let after = scene.router.package("firewall");
        assert_eq!(lines_without(&before, &after), ["\toption enabled '0'", "config rule"]);
        assert_eq!(lines_without(&after, &before), ["\toption enabled '1'", "config rule 'cpe_rule_10'"]);
        let place = |text: &str| after.find(text).expect("a text");
        let comment = place("# We need to accept udp packets");
        assert!(place("'cpe_rule_10'") < comment && comment < place("Allow-DHCP-Renew"), "{after}");
        session.refuses(&set_parameter_values(&[(&order, "unsignedInt", "0")], "k"), 9003);
        // A number beyond the last one is the last place, in which the rule for marks is now.
        session.succeeds(&set_parameter_values(&[(&order, "unsignedInt", "99")], "k"));
        expect(session, &[(1, "1", "Allow-DHCP-Renew"), (9, "9", "Allow-ISAKMP"), (10, "11", "Block-Tablet")]);
    });
    let after = scene.router.package("firewall");
    scene.agent.kill9();
    scene.router.bus.play_procd(&scene.agent.control(), |_| {});
    scene.agent.restart();
    scene.agent.wait_for_control();
    scene.session(|session| {
        expect(session, &[(1, "1", "Allow-DHCP-Renew"), (9, "9", "Allow-ISAKMP"), (10, "11", "Block-Tablet")]);
        session.refuses(&get_parameter_names(&name(11, "Order"), false), 9005);
    });
    assert_eq!(scene.router.package("firewall"), after, "the place is not set once more by the reload");
    assert!(!scene.agent.log().contains("overwritten"), "{}", scene.agent.log());
}
