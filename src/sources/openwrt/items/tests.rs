use super::super::dhcp_option::pool_rows;
use super::super::{fields, package};
use super::*;
use crate::model::source::uci::edit::edit;

/// Returns the text of a package after the changes that a new text of its sections means.
fn edited(package: &str, old: &str, new: &str) -> Result<String, (String, String)> {
    let changes = changes(package, old, new)?;
    Ok(String::from_utf8(edit(new.as_bytes(), &changes).expect("edited")).expect("a text"))
}

/// Returns a package of a pool whose list has these items, with one option of the agent.
fn pool(items: &str, option: &str) -> String {
    let list: String = items.split_whitespace().map(|item| format!("\tlist dhcp_option '{item}'\n")).collect();
    format!(
        "config dhcp 'lan'\n\toption interface 'lan'\n{list}\nconfig cpe_option 'own'\n\toption pool 'lan'\n{option}"
    )
}

fn option(tag: &str, value: &str, enabled: &str) -> String {
    format!("\toption tag '{tag}'\n\toption value '{value}'\n\toption enabled '{enabled}'\n")
}

#[test]
fn the_list_of_a_pool_has_what_is_enabled_and_complete() {
    let (off, on, other) = (option("43", "0102", "0"), option("43", "0102", "1"), option("66", "6E6173", "1"));
    let items = "3,192.168.1.1";
    let with = "3,192.168.1.1 43,01:02";
    for (old, new, expected) in [
        (pool(items, ""), pool(items, &off), pool(items, &off)),
        (pool(items, &off), pool(items, &on), pool(with, &on)),
        // The item is there already, by another program.
        (pool(with, &off), pool(with, &on), pool(with, &on)),
        (pool(with, &on), pool(with, &other), pool("3,192.168.1.1 66,nas", &other)),
        (pool(with, &on), pool(with, &off), pool(items, &off)),
        // A technician has removed the item since.
        (pool(items, &on), pool(items, &off), pool(items, &off)),
        (pool(with, &on), pool(with, &on), pool(with, &on)),
    ] {
        assert_eq!(edited("dhcp", &old, &new).as_deref(), Ok(expected.as_str()), "{old}\n{new}");
    }
    let gone = "config dhcp 'lan'\n\toption interface 'lan'\n\tlist dhcp_option '43,01:02'\n";
    assert_eq!(
        edited("dhcp", &pool(with, &on), gone).as_deref(),
        Ok("config dhcp 'lan'\n\toption interface 'lan'\n"),
        "the section is deleted"
    );
    assert!(changes("dhcp", &pool(with, &on), "").expect("no mistake").is_empty(), "the pool is deleted, too");
    let lost = pool(items, &on).replace("pool 'lan'", "other 'lan'");
    assert!(changes("dhcp", &pool(items, &off), &lost).expect("no mistake").is_empty(), "it belongs to no pool");
    assert!(changes("wireless", "", &pool(items, &on)).expect("no mistake").is_empty());
}

#[test]
fn a_value_that_dnsmasq_would_refuse_is_refused() {
    let refused = |tag: &str, value: &str| edited("dhcp", &pool("", ""), &pool("", &option(tag, value, "1"))).is_err();
    assert!(refused("42", "0102") && !refused("42", "") && refused("43", "05") && refused("6", "01020304"));
    assert!(refused("66", "6e6120732d") && refused("66", "2d6e") && refused("53", "01") && refused("43", "0g"));
    // It was wrong before, so that it is no reason to refuse another change.
    let wrong = option("42", "0102", "1");
    assert!(changes("dhcp", &pool("", &wrong), &pool("", &(wrong.clone() + "\toption x '1'\n"))).is_ok());
}

#[test]
fn texts_of_dnsmasq_have_bytes() {
    for (tag, bytes, text) in [
        (42, &[192, 0, 2, 1, 192, 0, 2, 2][..], "192.0.2.1,192.0.2.2"),
        (67, b"boot/image.bin", "boot/image.bin"),
        (23, &[64], "64"),
        (26, &[5, 220], "05:dc"),
        (125, &[0, 0, 13, 233], "00:00:0d:e9"),
    ] {
        assert_eq!(served(tag, bytes).as_deref(), Some(text));
        assert_eq!(served_bytes(text), bytes, "{text}");
    }
    for (text, bytes) in [
        ("1500", &[5, 220][..]),
        ("65536", &[0, 1, 0, 0]),
        ("70000", &[0, 1, 17, 112]),
        ("0", &[0]),
        ("a.example", b"a.example"),
    ] {
        assert_eq!(served_bytes(text), bytes, "{text}");
    }
}

#[test]
fn the_interface_has_options_of_its_client() {
    let network = |interface: &str, own: &str| {
        let options: String =
            interface.split('|').filter(|line| !line.is_empty()).map(|line| format!("\t{line}\n")).collect();
        let sections: Vec<String> = own.split('|').filter(|one| !one.is_empty()).map(|one| {
            let words: Vec<&str> = one.split(' ').collect();
            let value = words.get(2).map(|value| format!("\toption value '{value}'\n")).unwrap_or_default();
            format!("\nconfig cpe_option 'o{}'\n\toption interface 'wan'\n\toption kind '{}'\n\toption tag '{}'\n{value}", words[1], words[0], words[1])
        }).collect();
        format!("config interface 'wan'\n\toption proto 'dhcp'\n{options}{}", sections.concat())
    };
    for (before, own_before, own, after) in [
        ("", "", "sent 60 41434d45", "option vendorid 'ACME'"),
        ("option vendorid 'ACME'", "sent 60 41434d45", "", ""),
        ("option vendorid 'other'", "sent 60 41434d45", "", "option vendorid 'other'"),
        ("", "", "sent 61 01AB", "option clientid '01ab'"),
        ("", "", "sent 125 0000AB", "list sendopts '125:0000ab'"),
        ("option reqopts '43 125'", "", "requested 66|requested 67", "option reqopts '43 125 66 67'"),
        ("option reqopts '43 66'", "requested 66", "requested 43", "option reqopts '43'"),
        ("option reqopts '66'", "requested 66", "", ""),
    ] {
        let found = edited("network", &network(before, own_before), &network(before, own));
        assert_eq!(found, Ok(network(after, own)), "{before}: {own_before}, {own}");
    }
    assert!(
        edited("network", "", &network("", "sent 60 2d78")).is_err(),
        "a word that begins with `-` is an option of a program"
    );
}

#[test]
fn dnsmasq_has_servers_of_the_agent() {
    let dhcp = |servers: &str, own: &str| format!("config dnsmasq\n{servers}\nconfig cpe_forwarder 'own'\n{own}");
    let (list, own) = ("\tlist server '9.9.9.9'\n", "\toption address '9.9.9.9'\n");
    assert_eq!(edited("dhcp", &dhcp("", ""), &dhcp("", own)), Ok(dhcp(list, own)));
    let off = format!("{own}\toption enabled '0'\n");
    assert_eq!(edited("dhcp", &dhcp(list, own), &dhcp(list, &off)), Ok(dhcp("", &off)));
    assert!(edited("dhcp", &dhcp("", ""), &dhcp("", "\toption address 'x'\n")).is_err());
}

#[test]
fn a_pool_sends_what_its_list_and_the_agent_say() {
    let dhcp = package(
        "c dhcp lan\nl dhcp_option 3,192.168.1.1\nl dhcp_option 66,nas\nl dhcp_option 'tag:x,67,y'\n\
         l dhcp_option option:ntp-server,1.2.3.4\nl dhcp_option 43,01:02\nc dhcp guest\nl dhcp_option 26,1400\n\
         c cpe_option a\no pool lan\no tag 43\no value 0102\nc cpe_option b\no pool lan\no tag 66\no value 6e6173\no enabled 0\n",
    );
    assert_eq!(
        fields(&pool_rows(&dhcp), [".", "pool", "tag", "value", "section"]),
        [
            ["lan 66", "lan", "66", "6e6173", "-"],
            ["a", "lan", "43", "0102", "a"],
            ["guest 26", "guest", "26", "0578", "-"],
            ["b", "lan", "-", "-", "b"],
        ]
    );
}

#[test]
fn a_bridge_has_ports_of_the_agent() {
    let network = |lan: &str, iot: &str, port: &str| {
        let bridge = |name: &str, ports: &str| {
            let list: String = ports.split_whitespace().map(|port| format!("\tlist ports '{port}'\n")).collect();
            format!("config device\n\toption name '{name}'\n\toption type 'bridge'\n{list}\n")
        };
        let (lan, iot) = (bridge("br-lan", lan), bridge("br-iot", iot));
        format!("{lan}{iot}config cpe_port 'own'\n\toption bridge 'br-iot'\n{port}")
    };
    let port = |name: &str, enabled: &str| format!("\toption port '{name}'\n\toption enabled '{enabled}'\n");
    let (off, on) = (port("lan4", "0"), port("lan4", "1"));
    for (old, new, expected) in [
        (network("lan1 lan4", "", ""), network("lan1 lan4", "", &off), network("lan1 lan4", "", &off)),
        // netifd gives a link to one bridge alone.
        (network("lan1 lan4", "", &off), network("lan1 lan4", "", &on), network("lan1", "lan4", &on)),
        (
            network("lan1", "lan4", &on),
            network("lan1", "lan4", &port("lan3", "1")),
            network("lan1", "lan3", &port("lan3", "1")),
        ),
        (network("lan1", "lan4", &on), network("lan1", "lan4", &off), network("lan1", "", &off)),
        (network("lan1", "lan4", &on), network("lan1", "lan4", &on), network("lan1", "lan4", &on)),
    ] {
        assert_eq!(edited("network", &old, &new).as_deref(), Ok(expected.as_str()), "{old}\n{new}");
    }
    for (old, wrong) in [
        (network("lan1", "", &off), network("lan1", "", &port("a b", "1"))),
        (
            network("lan1", "", &off),
            network("lan1", "", &on).replace("'br-iot'\n\toption port", "'br-none'\n\toption port"),
        ),
    ] {
        let refused = edited("network", &old, &wrong).expect_err("no such port, or no such bridge");
        assert_eq!(refused.0, "own", "{wrong}");
    }
}
