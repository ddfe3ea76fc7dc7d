//! Settings of links, bridges and VLANs that `openwrt.json` has in several sections of the package `network`, on a router in a network
//! namespace: the lines of the package that come and go.

use std::fs;

use super::openwrt::Router;
use super::openwrt_add::lines_without;
use crate::support::Agent;

/// A router, and its package as it was at the last look.
struct Scene {
    router: Router,
    agent: Agent,
    text: String,
}

impl Scene {
    /// Starts a router with a section for each of its bridges.
    fn new() -> Option<Scene> {
        let router = Router::new();
        let path = router.path("etc/config/network");
        let bridge =
            "\nconfig device 'guests'\n\toption name 'br-guest'\n\toption type 'bridge'\n\tlist ports 'guest'\n";
        let text = fs::read_to_string(&path).expect("a package") + bridge;
        fs::write(path, &text).expect("written");
        let agent = router.agent()?;
        Some(Scene { router, agent, text })
    }

    fn package(&self) -> String {
        self.router.package("network")
    }

    /// Returns the path of the instance with this name in a table.
    fn named(&self, table: &str, name: &str) -> String {
        let listed = self.agent.succeeds(&["get", table]);
        let inside = |path: &&str| path.strip_prefix(table).is_some_and(|number| number.parse::<u32>().is_ok());
        let mut paths = listed.lines().filter_map(|line| line.strip_suffix(&format!(".Name={name}"))).filter(inside);
        paths.next().unwrap_or_else(|| panic!("no `{name}` in {listed}")).to_owned()
    }

    /// Sets values, and expects these lines to go and these to come.
    fn sets(&mut self, values: &[(&str, &str)], gone: &[&str], new: &[&str]) {
        let words = values.iter().map(|(name, value)| format!("{name}={value}"));
        let words: Vec<String> = ["set".to_owned()].into_iter().chain(words).collect();
        self.agent.succeeds(&words.iter().map(String::as_str).collect::<Vec<_>>());
        self.expect_lines(gone, new);
        for (name, value) in values {
            assert_eq!(self.agent.value(name), *value, "{name}");
        }
    }

    fn expect_lines(&mut self, gone: &[&str], new: &[&str]) {
        let text = self.package();
        let found = (lines_without(&self.text, &text), lines_without(&text, &self.text));
        let sorted = |lines: &[&str]| {
            let mut lines: Vec<String> =
                lines.iter().map(|line| format!("\t{line}").replace("\tconfig", "config")).collect();
            lines.sort();
            lines
        };
        let found = (found.0, found.1.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>());
        assert_eq!((found.0, found.1), (refs(&sorted(gone)), refs(&sorted(new))));
        self.text = text;
    }

    /// Expects a value to be refused, and the package to stay.
    fn refuses(&self, name: &str, value: &str) {
        let output = self.agent.command(&["set", &format!("{name}={value}")]);
        assert!(!output.status.success(), "{name} takes `{value}`");
        assert_eq!(self.package(), self.text, "{name}: {value}");
    }
}

fn refs(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

#[test]
fn a_bridge_gets_vlans() {
    let Some(mut scene) = Scene::new() else { return };
    let bridge = scene.named("Device.Bridging.Bridge.", "br-lan");
    let pvid = |scene: &Scene, port: &str| scene.named(&format!("{bridge}.Port."), port) + ".PVID";
    let aging = format!("{bridge}.AgingTime");
    assert_eq!(scene.agent.value(&aging), "300");
    scene.sets(&[(&aging, "60")], &[], &["option ageing_time '60'"]);
    scene.refuses(&aging, "5");
    // The bridge has one VLAN, to which two ports belong.
    let [lan1, lan2, lan3] = ["lan1", "lan2", "lan3"].map(|port| pvid(&scene, port));
    scene.sets(&[(&lan2, "10")], &["list ports 'lan2:t'"], &["list ports 'lan2:u*'"]);
    ["20", "0", "4095", "10; reboot"].iter().for_each(|vlan| scene.refuses(&lan3, vlan));
    let added = scene.agent.succeeds(&["add", &format!("{bridge}.VLAN.")]);
    assert_eq!(added, "2\n");
    scene.expect_lines(&[], &["config bridge-vlan 'cpe_bridge_vlan_2'", "option device 'br-lan'"]);
    let vlan = |parameter: &str| format!("{bridge}.VLAN.2.{parameter}");
    assert_eq!(scene.agent.value(&vlan("Enable")), "false");
    let (id, name) = (vlan("VLANID"), vlan("Name"));
    let values = [(&*id, "20"), (&*name, "IPTV"), (&*lan1, "20"), (&*lan3, "20")];
    // One port leaves the other VLAN.
    scene.sets(&values, &[], &["option vlan '20'", "option cpe_name 'IPTV'", "list ports 'lan3:u*'"]);
    assert_eq!(scene.agent.value(&vlan("Enable")), "true");
    scene.refuses(&name, "$(reboot)");
    scene.agent.succeeds(&["delete", &format!("{bridge}.VLAN.2.")]);
    assert!(!scene.package().contains("cpe_bridge_vlan_2"));
    // A link is a port of one bridge.
    let guests = scene.named("Device.Bridging.Bridge.", "br-guest");
    scene.text = scene.package();
    scene.agent.succeeds(&["add", &format!("{guests}.Port.")]);
    scene.expect_lines(&[], &["config cpe_port 'cpe_port_2'", "option bridge 'br-guest'", "option enabled '0'"]);
    let port = |parameter: &str| format!("{guests}.Port.2.{parameter}");
    let (layers, enable) = (port("LowerLayers"), port("Enable"));
    assert_eq!([scene.agent.value(&layers), scene.agent.value(&port("Status"))], ["", "Down"]);
    let lan4 = scene.named("Device.Ethernet.Interface.", "lan4");
    scene.sets(
        &[(&enable, "true"), (&layers, &lan4)],
        &["option enabled '0'"],
        &["option enabled '1'", "option port 'lan4'"],
    );
    assert_eq!(scene.text.matches("list ports 'lan4'").count(), 1, "it leaves the other bridge");
    let guests_section = scene.text.split_once("config device 'guests'").expect("a section").1;
    assert!(guests_section.starts_with(
        "\n\toption name 'br-guest'\n\toption type 'bridge'\n\tlist ports 'guest'\n\tlist ports 'lan4'\n"
    ));
    scene.refuses(&layers, &guests);
    // What the configuration has as a port stays one.
    scene.refuses(&format!("{guests}.Port.1.Enable"), "false");
    scene.agent.succeeds(&["delete", &format!("{guests}.Port.2.")]);
    assert!(!scene.package().contains("lan4'\n\n") && !scene.package().contains("cpe_port"), "{}", scene.package());
}

#[test]
fn a_link_gets_a_speed() {
    let Some(mut scene) = Scene::new() else { return };
    let [lan1, wan] = ["lan1", "wan"].map(|name| scene.named("Device.Ethernet.Interface.", name));
    let [rate, duplex, wan] = [(&lan1, "MaxBitRate"), (&lan1, "DuplexMode"), (&wan, "MaxBitRate")]
        .map(|(path, name)| format!("{path}.{name}"));
    scene.sets(
        &[(&rate, "100"), (&duplex, "Full")],
        &[],
        &["config device 'cpe_device_lan1'", "option name 'lan1'", "option speed '100'", "option duplex '1'"],
    );
    scene.sets(&[(&wan, "1000")], &[], &["option speed '1000'"]);
    ["42", "0", "-2", "fast"].iter().for_each(|value| scene.refuses(&rate, value));
    scene.refuses(&duplex, "Both");
    scene.sets(&[(&rate, "-1"), (&duplex, "Auto")], &["option speed '100'", "option duplex '1'"], &[]);
    // The device has these values already.
    scene.sets(&[(&rate, "-1"), (&duplex, "Auto"), (&wan, "1000")], &[], &[]);
}

#[test]
fn an_interface_moves_to_another_link() {
    let Some(mut scene) = Scene::new() else { return };
    let [wan, guests] = ["wan", "br-guest"].map(|name| scene.named("Device.Ethernet.Link.", name));
    let layers = |number: u32| format!("Device.IP.Interface.{number}.LowerLayers");
    // Its part for IPv6 moves along.
    let device = "option device 'wan'";
    scene.sets(&[(&layers(1), &guests)], &[device, device], &["option device 'br-guest'", "option device 'br-guest'"]);
    scene.sets(&[(&layers(4), &wan)], &["option device 'br-guest'"], &[device]);
    let port = scene.named("Device.Ethernet.Interface.", "lan1");
    for refused in ["", &port, &format!("{wan},{guests}"), "Device.Ethernet.Link.99", "wan"] {
        scene.refuses(&layers(1), refused);
    }
    // A new interface has a link and an address before it is enabled.
    scene.agent.succeeds(&["add", "Device.IP.Interface."]);
    scene.expect_lines(&[], &["config interface 'cpe8'", "option disabled '1'", "option proto 'static'"]);
    let new = |parameter: &str| format!("Device.IP.Interface.8.{parameter}");
    let [below, address, mask, enable] =
        ["LowerLayers", "IPv4Address.1.IPAddress", "IPv4Address.1.SubnetMask", "Enable"].map(new);
    scene.sets(
        &[(&below, &wan), (&address, "10.8.0.1"), (&mask, "255.255.255.0"), (&enable, "true")],
        &["option disabled '1'"],
        &[device, "option disabled '0'", "option ipaddr '10.8.0.1'", "option netmask '255.255.255.0'"],
    );
    scene.refuses(&address, "10.8.0.1 -x");
}

/// A VLAN on the WAN carries the connection: the way of most operators.
#[test]
fn a_vlan_is_added_and_carries_an_interface() {
    let Some(mut scene) = Scene::new() else { return };
    let wan = scene.named("Device.Ethernet.Link.", "wan");
    assert_eq!(scene.agent.succeeds(&["add", "Device.Ethernet.VLANTermination."]), "1\n");
    let section = "config device 'cpe_vlan1'";
    scene.expect_lines(
        &[],
        &[section, "option name 'cpe_vlan1'", "option type '8021q'", "option vid '1'", "option enabled '0'"],
    );
    let vlan = |parameter: &str| format!("Device.Ethernet.VLANTermination.1.{parameter}");
    for (parameter, value) in
        [("Name", "cpe_vlan1"), ("Enable", "false"), ("Status", "NotPresent"), ("LowerLayers", ""), ("TPID", "33024")]
    {
        assert_eq!(scene.agent.value(&vlan(parameter)), value, "{parameter}");
    }
    let [enable, below, id, protocol] = ["Enable", "LowerLayers", "VLANID", "TPID"].map(vlan);
    scene.sets(
        &[
            (&enable, "true"),
            (&below, &wan),
            (&id, "35"),
            ("Device.IP.Interface.1.LowerLayers", vlan("").trim_end_matches('.')),
        ],
        &["option enabled '0'", "option vid '1'", "option device 'wan'", "option device 'wan'"],
        &[
            "option enabled '1'",
            "option ifname 'wan'",
            "option vid '35'",
            "option device 'cpe_vlan1'",
            "option device 'cpe_vlan1'",
        ],
    );
    scene.sets(&[(&protocol, "34984")], &["option type '8021q'"], &["option type '8021ad'"]);
    for (name, value) in [(&id, "0"), (&id, "4095"), (&protocol, "34525"), (&below, "wan"), (&id, "7; reboot")] {
        scene.refuses(name, value);
    }
    scene.agent.succeeds(&["delete", &vlan("")]);
    assert!(!scene.package().contains(section), "{}", scene.package());
    // Its number is that of no other VLAN (R218).
    assert_eq!(scene.agent.succeeds(&["add", "Device.Ethernet.VLANTermination."]), "2\n");
    assert!(scene.package().contains("config device 'cpe_vlan2'\n\toption name 'cpe_vlan2'\n"));
}

/// A bridge goes with its ports and VLANs, and leaves those of the others.
#[test]
fn a_bridge_is_added_and_deleted() {
    let Some(mut scene) = Scene::new() else { return };
    let added = scene.agent.succeeds(&["add", "Device.Bridging.Bridge."]);
    let bridge = format!("Device.Bridging.Bridge.{}.", added.trim());
    let name = format!("cpe_br{}", added.trim());
    let [section, option] = [format!("config device '{name}'"), format!("option name '{name}'")];
    let lines = [&section, &option, "option type 'bridge'", "option bridge_empty '1'", "option enabled '0'"];
    scene.expect_lines(&[], &lines);
    let of = |parameter: &str| format!("{bridge}{parameter}");
    for (parameter, value) in [("Name", &*name), ("Enable", "false"), ("Status", "Disabled"), ("AgingTime", "300")] {
        assert_eq!(scene.agent.value(&of(parameter)), value, "{parameter}");
    }
    for table in ["Port.", "VLAN."] {
        assert_eq!(scene.agent.succeeds(&["add", &of(table)]), "1\n");
    }
    let lan4 = scene.named("Device.Ethernet.Interface.", "lan4");
    scene.text = scene.package();
    let link = scene.named("Device.Ethernet.Link.", &name);
    let [enable, aging, port, on, id] =
        ["Enable", "AgingTime", "Port.1.LowerLayers", "Port.1.Enable", "VLAN.1.VLANID"].map(of);
    let values = [(&*enable, "true"), (&*aging, "60"), (&*port, &*lan4), (&*on, "true"), (&*id, "9")];
    scene.agent.succeeds(
        &[&["set"][..], &values.map(|(name, value)| format!("{name}={value}")).each_ref().map(String::as_str)].concat(),
    );
    let text = scene.package();
    let own = text.split_once(&section).expect("a section").1.split("\n\n").next().expect("its options");
    for line in ["option enabled '1'", "option ageing_time '60'", "list ports 'lan4'"] {
        assert!(own.contains(line), "{line}: {own}");
    }
    scene.text = text;
    scene.sets(
        &[("Device.IP.Interface.4.LowerLayers", &link)],
        &["option device 'br-guest'"],
        &[&format!("option device '{name}'")],
    );
    scene.agent.succeeds(&["delete", &bridge]);
    let left = scene.package();
    assert!(!left.contains("cpe_port") && !left.contains("cpe_bridge_vlan"), "{left}");
    assert!(!left.contains(&section) && left.contains("config bridge-vlan\n"), "{left}");
    // A bridge of the configuration, whose section another program has made.
    let lan = scene.named("Device.Bridging.Bridge.", "br-guest");
    scene.agent.succeeds(&["delete", &format!("{lan}.")]);
    assert!(!scene.package().contains("config device 'guests'"), "{}", scene.package());
}

/// The switch of a port, which netifd obeys.
#[test]
fn a_port_is_switched_off() {
    let Some(mut scene) = Scene::new() else { return };
    let lan2 = scene.named("Device.Ethernet.Interface.", "lan2") + ".Enable";
    assert_eq!(scene.agent.value(&lan2), "true");
    let section = ["config device 'cpe_device_lan2'", "option name 'lan2'", "option enabled '0'"];
    scene.sets(&[(&lan2, "false")], &[], &section);
    scene.sets(&[(&lan2, "true")], &["option enabled '0'"], &["option enabled '1'"]);
}
