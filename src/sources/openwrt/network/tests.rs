use super::super::{fields, package};
use super::*;

const NETWORK: &str = "c interface lan\no proto static\no device br-lan\nc interface wan\no proto dhcp\no device eth1\n\
    l dns 192.0.2.8\nc interface wan6\no proto dhcpv6\no device @wan\nc interface dsl\no proto pppoe\no device dsl0.7\n\
    c interface old\no proto static\no type bridge\no ifname 'eth0.1 eth0.2'\nc interface air\no proto dhcp\n\
    c interface a\no proto none\no device @b\nc interface b\no proto none\no device @a\n\
    c route\no interface lan\no target 10.1.0.0\no netmask 255.255.0.0\no gateway 192.168.1.7\n\
    c route\no interface wan\no target 10.2.0.1\nc route6\no interface lan\no target 2001:db8:2::/48\no gateway fe80::7\n";

#[test]
fn an_interface_has_a_layer_below() {
    assert_eq!(
        fields(&rows(&package(NETWORK)), [".", "layer"]),
        [
            ["lan", "br-lan"],
            ["wan", "eth1"],
            ["wan6", "eth1"],
            ["dsl", "ppp:dsl"],
            ["old", "br-old"],
            ["air", "-"],
            ["a", "-"],
            ["b", "-"]
        ]
    );
}

#[test]
fn an_interface_sends_over_a_link() {
    let pairs = "lan=br-lan wan=eth1 wan6=eth1 dsl=pppoe-dsl old=br-old";
    assert_eq!(devices(&package(NETWORK)).get("networks"), Some(pairs));
}

#[test]
fn addresses_have_masks() {
    let section = |text: &str| package(&format!("c interface x\n{text}")).rows(None).remove(0);
    let found = |text: &str| subnets(&section(text)).collect::<Vec<_>>();
    assert_eq!(found("o ipaddr 10.0.0.1\no netmask 255.0.0.0\n"), [(Ipv4Addr::new(10, 0, 0, 1), 0xFF00_0000)]);
    assert_eq!(found("l ipaddr 10.0.0.1/32\nl ipaddr x/8\nl ipaddr 10.0.0.2/33\nl ipaddr 10.0.0.3\n").len(), 1);
    assert_eq!(found("o ipaddr 10.0.0.1/0\n")[0].1, 0);
}

#[test]
fn a_server_is_from_the_protocol_or_from_the_configuration() {
    let network = package(NETWORK);
    for (interface, address, expected) in [
        ("lan", "192.0.2.1", Some("Static")),
        ("wan", "192.0.2.1", Some("DHCPv4")),
        ("wan", "192.0.2.8", Some("Static")),
        ("wan6", "2001:db8::1", Some("DHCPv6")),
        ("dsl", "192.0.2.1", Some("IPCP")),
        ("dsl_6", "2001:db8::1", Some("DHCPv6")),
        ("modem_4", "192.0.2.1", Some("DHCPv4")),
        ("other", "192.0.2.1", None),
    ] {
        assert_eq!(server_type(&Row::new(address), interface, &network), expected, "{interface} {address}");
    }
}

#[test]
fn an_interface_may_stand_for_a_server() {
    let network = package(
        "c interface wan\no proto dhcp\nc interface a\no cpe_dns 1\no dns 9.9.9.9\nc interface b\no cpe_dns 1\no disabled 1\n\
         c interface c\no cpe_dns 1\n",
    );
    let row = |address: &str, interface: &str| {
        let mut row = Row::new(address);
        row.set("interface", interface);
        row
    };
    let mut servers = vec![row("192.0.2.1", "wan"), row("9.9.9.9", "a")];
    add_own_servers(&mut servers, &network);
    assert_eq!(
        fields(&servers, [".", "section", "type", "status"]),
        [
            ["192.0.2.1", "-", "-", "-"],
            ["a", "a", "Static", "-"],
            ["b", "b", "Static", "Disabled"],
            ["c", "c", "Static", "Error"]
        ]
    );
}

#[test]
fn dnsmasq_may_have_servers_of_its_own() {
    let all = |text: &str| {
        let rows = forwarders(vec![Row::new("192.0.2.1")], &package(text));
        rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    assert_eq!(all("c dnsmasq\n"), ["192.0.2.1"]);
    assert_eq!(all("c dnsmasq\no noresolv 0\nl server 1.1.1.1#53\nl server /lan/10.0.0.1\n"), ["192.0.2.1", "1.1.1.1"]);
    assert_eq!(all("c dnsmasq\no noresolv 1\nl server 2606:4700::1111@wan\n"), ["2606:4700::1111"]);
}

#[test]
fn a_route_is_from_the_configuration_or_from_a_protocol() {
    let network = package(NETWORK);
    let route = |cidr: &str, gateway: &str, device: &str| {
        let mut row = Row::new(cidr);
        let is_of_4 = !cidr.contains(':');
        row.set("family", if is_of_4 { "4" } else { "6" });
        row.set("cidr", cidr);
        row.set("prefix", cidr.split_once('/').expect("a prefix").1);
        if !gateway.is_empty() {
            row.set("gateway", gateway);
        }
        row.set("device", device);
        row.set("origin", "Static");
        row.set("static", "1");
        row
    };
    let mut routes = [
        route("10.1.0.0/16", "192.168.1.7", "br-lan"),
        route("10.1.0.0/16", "192.168.1.8", "br-lan"),
        route("10.2.0.1/32", "", "eth1"),
        route("2001:db8:2::/48", "fe80::7", "br-lan"),
        route("0.0.0.0/0", "198.51.100.1", "eth1"),
        route("::/0", "fe80::1", "eth1"),
        route("0.0.0.0/0", "", "pppoe-dsl"),
        route("0.0.0.0/0", "192.168.1.254", "br-lan"),
        route("198.51.100.0/24", "", "eth1"),
    ];
    add_origins(&mut routes, &network);
    assert_eq!(
        fields(&routes, ["static", "origin"]),
        [
            ["1", "Static"],
            ["0", "Static"],
            ["1", "Static"],
            ["1", "Static"],
            ["0", "DHCPv4"],
            ["0", "RA"],
            ["0", "IPCP"],
            ["1", "Static"],
            ["0", "Static"]
        ]
    );
}

/// A section is the route of its own family that has the same target.
#[test]
fn a_route_of_ipv6_is_a_section() {
    let network = package(
        "c route6 a\no target 2001:db8:2::/48\no gateway fe80::7\nc route6 b\no target 2001:db8:3::/48\no disabled 1\n\
         c route c\no target 10.0.0.0/8\n",
    );
    let mut row = Row::new("known");
    for (field, text) in [("family", "6"), ("cidr", "2001:db8:2::/48"), ("gateway", "fe80::7")] {
        row.set(field, text);
    }
    let mut routes = vec![row];
    add_sections("route6", &mut routes, &network);
    assert_eq!(
        fields(&routes, [".", "section", "family", "status"]),
        [["a", "a", "6", "-"], ["b", "b", "6", "Disabled"]]
    );
}

#[test]
fn a_clock_without_service_is_disabled() {
    let status = |synchronized: Option<&str>, system: &str| {
        let mut row = Row::default();
        synchronized.iter().for_each(|text| row.set("synchronized", *text));
        let mut rows = [row];
        add_clock_status(&mut rows, Some(&package(system)));
        rows[0].get("status").map(str::to_owned)
    };
    assert_eq!(status(Some("1"), "c timeserver ntp\n").as_deref(), Some("Synchronized"));
    assert_eq!(status(Some("0"), "").as_deref(), Some("Unsynchronized"));
    assert_eq!(status(Some("1"), "c timeserver ntp\no enabled 0\n").as_deref(), Some("Disabled"));
    assert_eq!(status(None, "c timeserver ntp\n"), None);
}

#[test]
fn an_interface_gets_another_link() {
    let network = package(
        "c interface wan\no device eth0\no proto dhcp\nc interface wan6\no device eth0\no proto dhcpv6\n\
         c interface tv\no device eth0\no proto static\nc interface old\no ifname eth1\no proto static\n\
         c interface bridged\no ifname eth1\no type bridge\nc interface dsl\no device eth0\no proto pppoe\n\
         c interface new\no proto static\nc interface v6\no proto dhcpv6\n",
    )
    .rows(None);
    let set = |name: &str, link: &str| set_link(name, Some(link), &network);
    let expect = |name, link: &str, sections: &[(&str, &str)]| {
        let change = |(section, option): &(&str, &str)| {
            let action = crate::model::source::uci::edit::Action::Set((*option).to_owned(), link.to_owned());
            Change { section: (*section).to_owned(), action }
        };
        assert_eq!(set(name, link), Ok(sections.iter().map(change).collect()), "{name}");
    };
    // The part of the WAN for IPv6 is an interface of its own.
    expect("wan", "eth0.7", &[("wan", "device"), ("wan6", "device")]);
    expect("tv", "eth0.8", &[("tv", "device")]);
    expect("old", "br-lan", &[("old", "ifname")]);
    expect("new", "lan4", &[("new", "device")]);
    for (name, link) in [("dsl", "eth1"), ("bridged", "eth1"), ("gone", "eth1"), ("wan", "ppp:dsl"), ("wan", "a b")] {
        assert!(set(name, link).is_err(), "{name} {link}");
    }
    assert!(set_link("wan", None, &network).is_err());
}

#[test]
fn a_static_interface_has_a_row_for_its_address() {
    let network = package(
        "c interface lan\no device br-lan\no proto static\no ipaddr 192.168.1.1/24\nc interface new\no proto static\n\
         c interface down\no device lan4\no proto static\no ipaddr 10.0.0.1/8\nc interface wan\no device wan\no proto dhcp\n",
    );
    let address = |key: &str, device: &str| {
        let mut row = Row::new(key);
        row.set("device", device);
        row.set("family", "4");
        row
    };
    let mut rows = vec![address("192.168.1.1/24", "br-lan"), address("198.51.100.2/24", "wan")];
    add_interfaces(&mut rows, &network);
    assert_eq!(
        fields(&rows, [".", "device", "interface"]),
        [["lan", "br-lan", "lan"], ["198.51.100.2/24", "wan", "-"], ["new", "@new", "new"], ["down", "@down", "down"]]
    );
}
