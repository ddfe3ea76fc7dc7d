//! Views: values that several texts of the device have together, such as the first address of a DHCP pool. Each is a pure
//! function of the texts, which the model names in the order of the table in `docs/sources.md`.

use std::net::Ipv4Addr;

use super::convert::boolean;
use radio::{bandwidth, bandwidths, percent, percents, radio_status, standard, standards};

mod radio;

/// The value in the texts of the device; `None` if the device has none. An error is the text that the view does not understand.
pub(in crate::model) type Viewed = Result<Option<String>, String>;

/// The texts of the fields of a view.
type Texts<'t> = [Option<&'t str>];

/// A view.
#[derive(Debug)]
pub(in crate::model) struct View {
    /// The name in a data-model file.
    pub(in crate::model) name: &'static str,
    /// The fields, of which the optional ones come last.
    pub(in crate::model) fields: &'static [&'static str],
    /// The number of fields that are needed.
    pub(in crate::model) least: usize,
    read: fn(&Texts<'_>) -> Viewed,
}

const RANGE_FIELDS: &[&str] = &["start", "limit", "address", "netmask"];

/// All views.
pub(in crate::model) const VIEWS: [View; 17] = [
    View { name: "cidr", fields: &["address", "length"], least: 2, read: cidr },
    View {
        name: "dhcp-range.first",
        fields: RANGE_FIELDS,
        least: 3,
        read: |texts| Ok(dhcp_range(texts)?.map(|(first, _)| first.to_string())),
    },
    View {
        name: "dhcp-range.last",
        fields: RANGE_FIELDS,
        least: 3,
        read: |texts| Ok(dhcp_range(texts)?.map(|(_, last)| last.to_string())),
    },
    View { name: "first", fields: &["first", "second", "third", "fourth"], least: 2, read: first },
    View { name: "htmode.bandwidth", fields: &["mode"], least: 1, read: bandwidth },
    View { name: "htmode.bandwidths", fields: &["modes"], least: 1, read: bandwidths },
    View { name: "htmode.standards", fields: &["mode", "band", "legacy_rates"], least: 2, read: standards },
    View { name: "keepalive.failures", fields: &["keepalive"], least: 1, read: |texts| Ok(Some(keepalive(texts)?.0)) },
    View { name: "keepalive.interval", fields: &["keepalive"], least: 1, read: |texts| Ok(Some(keepalive(texts)?.1)) },
    View { name: "netifd.enabled", fields: &["disabled", "auto"], least: 2, read: enabled },
    View {
        name: "netifd.status",
        fields: &["up", "pending", "available", "autostart", "link"],
        least: 5,
        read: interface_status,
    },
    View {
        name: "port-range.from",
        fields: &["ports"],
        least: 1,
        read: |texts| Ok(port_range(texts)?.map(|(from, _)| from.to_string())),
    },
    View {
        name: "port-range.to",
        fields: &["ports"],
        least: 1,
        read: |texts| Ok(port_range(texts)?.and_then(|(_, to)| to).map(|to| to.to_string())),
    },
    View { name: "radio.status", fields: &["up", "pending", "failed"], least: 3, read: radio_status },
    View { name: "station.standard", fields: &["eht", "he", "vht", "ht", "band"], least: 5, read: standard },
    View { name: "txpower.percent", fields: &["power", "powers"], least: 2, read: percent },
    View { name: "txpower.percents", fields: &["powers"], least: 1, read: percents },
];

impl View {
    /// Returns the view of this name.
    pub(in crate::model) fn find(name: &str) -> Option<&'static View> {
        const { &VIEWS }.iter().find(|view| view.name == name)
    }

    /// Returns the value in the texts of the device. Fields that the model does not name count as absent.
    pub(in crate::model) fn of(&self, texts: &[Option<String>]) -> Viewed {
        let mut all: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
        all.resize(self.fields.len(), None);
        (self.read)(&all)
    }
}

/// Reads a number; `default` stands for an absent text.
fn number(text: Option<&str>, default: u32) -> Result<u32, String> {
    text.map_or(Ok(default), |text| text.parse().map_err(|_| text.to_owned()))
}

/// Returns the first and the last address of a pool of dnsmasq in the network of an interface. OpenWrt begins at the place
/// `start` of the network, 100 by default, and takes `limit` addresses, 150 by default, without those of the network itself.
fn dhcp_range(texts: &Texts<'_>) -> Result<Option<(Ipv4Addr, Ipv4Addr)>, String> {
    let (start, limit) = (number(texts[0], 100)?, number(texts[1], 150)?);
    // Of several addresses of an interface the first one counts.
    let Some(text) = texts[2].and_then(|text| text.split_whitespace().next()) else { return Ok(None) };
    let (address, length) = text.split_once('/').map_or((text, texts[3]), |(address, length)| (address, Some(length)));
    let address: Ipv4Addr = address.parse().map_err(|_| text.to_owned())?;
    let Some(length) = length else { return Ok(None) };
    let hosts = !mask(length).ok_or(length)?;
    // A network of one or two addresses has no room for a pool.
    if hosts < 2 || limit == 0 {
        return Ok(None);
    }
    let network = u32::from(address) & !hosts;
    let greatest = network + (hosts - 1);
    let first = (network + (start & hosts)).max(network + 1);
    let last = first.saturating_add(limit - 1).min(greatest);
    Ok((first <= last).then(|| (first.into(), last.into())))
}

/// Reads a netmask in dots, or the length of a prefix.
fn mask(text: &str) -> Option<u32> {
    if let Ok(length) = text.parse::<u32>() {
        // A shift by 32 bits is not defined for a number of 32 bits.
        return (length <= 32).then(|| u32::MAX.checked_shl(32 - length).unwrap_or(0));
    }
    let mask = u32::from(text.parse::<Ipv4Addr>().ok()?);
    (mask.leading_ones() + mask.trailing_zeros() == 32).then_some(mask)
}

/// Returns the text of the first field that the device has.
fn first(texts: &Texts<'_>) -> Viewed {
    Ok(texts.iter().flatten().next().map(|text| (*text).to_owned()))
}

/// Returns an address with the length of its prefix.
fn cidr(texts: &Texts<'_>) -> Viewed {
    Ok(texts[0].zip(texts[1]).map(|(address, length)| format!("{address}/{length}")))
}

/// Returns true if netifd starts an interface: neither `disabled` nor without `auto`.
fn enabled(texts: &Texts<'_>) -> Viewed {
    let flag = |place: usize, default: bool| {
        let Some(text) = texts[place] else { return Ok(default) };
        boolean(text).ok_or(text)
    };
    Ok(Some((!flag(0, false)? && flag(1, true)?).to_string()))
}

/// Returns the state of an interface of netifd: one that is down waits for a peer, for its link, or for somebody who starts it.
fn interface_status(texts: &Texts<'_>) -> Viewed {
    let is = |place: usize, word: &str| texts[place] == Some(word);
    let status = match texts[4] {
        _ if is(0, "true") => "Up",
        _ if is(1, "true") => "Dormant",
        // netifd does not tell of an interface that is disabled.
        _ if texts[0].is_none() || is(3, "false") => "Down",
        _ if is(2, "false") => "NotPresent",
        Some("Up") | None => "Down",
        Some(_) => "LowerLayerDown",
    };
    Ok(Some(status.to_owned()))
}

/// Returns the echoes of PPP without an answer after which the link is down, and the seconds between them. The words have a
/// space or a comma between them; the defaults are those of OpenWrt.
fn keepalive(texts: &Texts<'_>) -> Result<(String, String), String> {
    let Some(text) = texts[0] else { return Ok(("5".to_owned(), "1".to_owned())) };
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let (failures, interval) = (number(words.next(), 5), number(words.next(), 5));
    match (failures, interval, words.next()) {
        (Ok(failures), Ok(interval), None) => Ok((failures.to_string(), interval.to_string())),
        _ => Err(text.to_owned()),
    }
}

/// Returns the first port, and the last one of a range: `80`, `8000-8010` or `8000:8010`.
fn port_range(texts: &Texts<'_>) -> Result<Option<(u16, Option<u16>)>, String> {
    let Some(text) = texts[0] else { return Ok(None) };
    let port = |word: &str| word.parse::<u16>().map_err(|_| text.to_owned());
    match text.split_once(['-', ':']) {
        None => Ok(Some((port(text)?, None))),
        Some((from, to)) => Ok(Some((port(from)?, Some(port(to)?)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the value of a view for texts, of which `-` is an absent one.
    fn view(name: &str, texts: &str) -> Viewed {
        let view = View::find(name).unwrap_or_else(|| panic!("{name}"));
        let texts: Vec<Option<String>> = texts.split('|').map(|text| (text != "-").then(|| text.to_owned())).collect();
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
            ("port-range.from", "!80", "!80"),
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
}
