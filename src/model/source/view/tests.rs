use super::*;

/// Returns the value of a view for texts, of which `-` is an absent one.
fn view(name: &str, texts: &str) -> Viewed {
    let view = ViewId::find(name).unwrap_or_else(|| panic!("{name}")).get();
    let texts: Vec<Option<Cow<'_, str>>> = texts.split('|').map(|text| (text != "-").then(|| text.into())).collect();
    assert!((view.least..=view.fields.len()).contains(&texts.len()), "{name}: {texts:?}");
    view.of(&texts)
}

#[test]
fn a_view_has_the_value_of_its_texts() {
    for (name, texts, expected) in [
        ("dhcp-range.first", "100|150|192.168.1.1|255.255.255.0", "192.168.1.100"),
        ("dhcp-range.last", "100|150|192.168.1.1|255.255.255.0", "192.168.1.249"),
        ("dhcp-range.first", "-|-|10.1.2.3/16", "10.1.0.100"),
        ("dhcp-range.last", "-|-|10.1.2.3/16|255.0.0.0", "10.1.0.249"),
        ("dhcp-range.last", "100|500|192.168.1.1/24 10.0.0.1/8", "192.168.1.254"),
        ("dhcp-range.first", "0|1|192.168.1.129|25", "192.168.1.129"),
        ("dhcp-range.last", "0|1|192.168.1.129|25", "192.168.1.129"),
        ("dhcp-range.first", "300|5|192.168.1.1/24", "192.168.1.44"),
        ("dhcp-range.last", "-|4294967295|255.255.255.1/24", "255.255.255.254"),
        ("dhcp-range.last", "-|4294967295|1.2.3.4/0", "255.255.255.254"),
        ("port-range.from", "80", "80"),
        ("port-range.from", "8000-8010", "8000"),
        ("port-range.to", "8000:8010", "8010"),
        ("htmode.bandwidth", "NOHT", "20MHz"),
        ("htmode.bandwidth", "HT40+", "40MHz"),
        ("htmode.bandwidth", "EHT320", "320MHz-1"),
        ("htmode.standards", "HE80|5g", "a,n,ac,ax"),
        ("htmode.standards", "HE20|2g|0", "g,n,ax"),
        ("htmode.standards", "HT20|2g|1", "b,g,n"),
        ("htmode.standards", "NOHT|5g", "a"),
        ("htmode.standards", "EHT160|6g|-", "ax,be"),
        ("htmode.standards", "VHT80|-", "n,ac"),
        ("keepalive.failures", "-", "5"),
        ("keepalive.interval", "-", "1"),
        ("keepalive.failures", "3 20", "3"),
        ("keepalive.interval", "3,20", "20"),
        ("keepalive.interval", "3", "5"),
        ("txpower.percent", "20|20", "100"),
        ("txpower.percent", "17|20", "50"),
        ("txpower.percent", "17|0 20 10", "50"),
        ("txpower.percent", "-|20", "100"),
        ("txpower.percent", "-|-", "100"),
        ("txpower.percent", "30|20", "100"),
        ("txpower.percents", "20 17 0 1 10", "1,10,50,100"),
        ("station.retransmissions", "50|1000", "5"),
        ("station.retransmissions", "7|0", "100"),
        ("station.retransmissions", "18446744073709551615|3", "100"),
        ("cidr", "2001:db8::|56", "2001:db8::/56"),
        ("first", "-|b|c", "b"),
        ("first", "|b", ""),
        ("htmode.bandwidths", "HT20 HT40 VHT20 VHT80+80 VHT80 EHT320", "20MHz,40MHz,80MHz,320MHz-1"),
        ("netifd.enabled", "-|-", "true"),
        ("netifd.enabled", "0|1", "true"),
        ("netifd.enabled", "on|-", "false"),
        ("netifd.enabled", "-|0", "false"),
        ("netifd.status", "true|false|true|true|Up", "Up"),
        ("netifd.status", "false|true|true|true|Up", "Dormant"),
        ("netifd.status", "false|false|true|false|LowerLayerDown", "Down"),
        ("netifd.status", "false|false|false|true|-", "NotPresent"),
        ("netifd.status", "false|false|true|true|Down", "LowerLayerDown"),
        ("netifd.status", "false|false|true|true|Up", "Down"),
        ("netifd.status", "-|-|-|-|-", "Down"),
        ("radio.status", "true|false|false", "Up"),
        ("radio.status", "false|true|false", "Dormant"),
        ("radio.status", "false|false|true", "Error"),
        ("radio.status", "-|-|-", "Down"),
        ("station.standard", "-|true|true|true|5g", "ax"),
        ("station.standard", "false|false|false|true|2g", "n"),
        ("station.standard", "false|false|false|false|2g", "g"),
        ("station.standard", "-|-|-|-|5g", "a"),
        ("txpower.percent", "-2147483648|2147483647", "1"),
    ] {
        assert_eq!(view(name, texts), Ok(Some(expected.to_owned())), "{name} {texts}");
    }
    let known: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
    assert!(known.is_sorted(), "{known:?}");
}

#[test]
fn a_view_without_a_value_is_absent() {
    for (name, texts) in [
        ("dhcp-range.first", "100|150|-|-"),
        ("dhcp-range.first", "100|150|192.168.1.1"),
        ("dhcp-range.first", "100|0|192.168.1.1/24"),
        ("dhcp-range.first", "100|150|192.168.1.1/31"),
        ("dhcp-range.first", "255|150|192.168.1.1/24"),
        ("port-range.from", "-"),
        ("port-range.to", "80"),
        ("htmode.bandwidth", "-"),
        ("htmode.standards", "-|5g"),
        ("txpower.percent", "20|-"),
        ("txpower.percents", "-"),
        ("cidr", "2001:db8::|-"),
        ("first", "-|-|-|-"),
        ("station.standard", "-|-|-|-|6g"),
    ] {
        assert_eq!(view(name, texts), Ok(None), "{name} {texts}");
    }
}

#[test]
fn a_text_that_a_view_does_not_understand_is_none_of_its_values() {
    for (name, texts, wrong) in [
        ("dhcp-range.first", "x|150|192.168.1.1/24", "x"),
        ("dhcp-range.first", "100|-1|192.168.1.1/24", "-1"),
        ("dhcp-range.last", "100|150|192.168.1/24", "192.168.1/24"),
        ("dhcp-range.last", "100|150|192.168.1.1|255.0.255.0", "255.0.255.0"),
        ("dhcp-range.last", "100|150|192.168.1.1/33", "33"),
        ("port-range.from", "!x", "x"),
        ("port-range.to", "80-90-100", "80-90-100"),
        ("port-range.from", "65536", "65536"),
        ("htmode.bandwidth", "HT", "HT"),
        ("htmode.bandwidth", "NOHT20", "NOHT20"),
        ("htmode.standards", "11ac|5g", "11ac"),
        ("keepalive.failures", "a b", "a b"),
        ("keepalive.failures", "1 2 3", "1 2 3"),
        ("txpower.percent", "20|much", "much"),
        ("netifd.enabled", "-|maybe", "maybe"),
    ] {
        assert_eq!(view(name, texts), Err(wrong.to_owned()), "{name} {texts}");
    }
}
