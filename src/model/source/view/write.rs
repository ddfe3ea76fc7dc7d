//! Views the other way: the texts of the device for values. Two values of one view are set together.

use std::net::{IpAddr, Ipv4Addr};

use super::radio::{GENERATIONS, generation, megahertz, powers, share};
use super::{MANAGED, OTHER, Texts, WPS_METHODS, dhcp_range, has_flag, keepalive, network, port_range, subnet};

/// The values to set, each with the part of its view: `first` of `dhcp-range.first`.
pub(super) type Parts<'p> = [(&'p str, &'p str)];

/// The new texts of the first fields of the view, `None` for one that goes, or the reason for which there are none.
pub(super) type Written = Result<Vec<Option<String>>, String>;

/// The widths of WiFi, of which the first ones are those of a generation.
const WIDTHS: [&str; 5] = ["20", "40", "80", "160", "320"];

/// Returns the value for a part.
fn part<'p>(parts: &Parts<'p>, name: &str) -> Option<&'p str> {
    parts.iter().find(|(part, _)| *part == name).map(|(_, value)| *value)
}

pub(super) fn range(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let (network, hosts) = network(texts[2], texts[3])?.ok_or("the interface has no network")?;
    let present = dhcp_range(texts).ok().flatten();
    let end = |name: &str, present: Option<Ipv4Addr>| match part(parts, name) {
        Some(text) => text.parse().map_err(|_| "an address is needed".to_owned()),
        None => present.ok_or_else(|| "both ends of the pool are needed".to_owned()),
    };
    let first: Ipv4Addr = end("first", present.map(|(first, _)| first))?;
    let last: Ipv4Addr = end("last", present.map(|(_, last)| last))?;
    let [first, last] = [first, last].map(u32::from);
    let is_within = |address: u32| address > network && address < network.saturating_add(hosts);
    if !is_within(first) || !is_within(last) {
        return Err("outside the network of the interface".to_owned());
    }
    let count = last.checked_sub(first).ok_or("the last address is below the first one")? + 1;
    Ok(vec![Some((first - network).to_string()), Some(count.to_string())])
}

pub(super) fn ports(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let text = texts[0].unwrap_or_default();
    if text.split_whitespace().count() > 1 {
        return Err("the device has several ports there".to_owned());
    }
    let present = port_range(texts).ok().flatten();
    let port = |name: &str, present: Option<u16>| match part(parts, name) {
        None => Ok(present),
        Some("" | "0" | "-1") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| "a port is needed".to_owned()),
    };
    let from: Option<u16> = port("from", present.map(|(from, _)| from))?;
    let to: Option<u16> = port("to", present.and_then(|(_, to)| to))?;
    let sign = if text.starts_with('!') { "!" } else { "" };
    let range = match (from, to) {
        (None, None) => None,
        (Some(from), None) => Some(format!("{sign}{from}")),
        (Some(from), Some(to)) if from <= to => Some(format!("{sign}{from}-{to}")),
        (None, Some(_)) => return Err("a range needs a first port".to_owned()),
        _ => return Err("the last port is below the first one".to_owned()),
    };
    Ok(vec![range])
}

pub(super) fn negation(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let text = texts[0].map(|text| text.trim_start_matches('!'));
    match (part(parts, "negation"), text) {
        (Some("true"), Some(text)) => Ok(vec![Some(format!("!{text}"))]),
        (Some("true"), None) => Err("there is nothing to exclude".to_owned()),
        _ => Ok(vec![text.map(str::to_owned)]),
    }
}

pub(super) fn subnet_text(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let text = texts[0].unwrap_or_default();
    if text.split_whitespace().count() > 1 {
        return Err("the device has several addresses there".to_owned());
    }
    let (address, length) = subnet(texts).unzip();
    let (mut address, mut length) = (address, length.flatten());
    match part(parts, "mask") {
        None => {}
        Some("") => length = None,
        Some(mask) => {
            let (network, bits) = mask.split_once('/').ok_or("a prefix has a length")?;
            (address, length) = (Some(network), Some(bits));
        }
    }
    if let Some(wanted) = part(parts, "address") {
        if address != Some(wanted) && part(parts, "mask").is_some_and(|mask| !mask.is_empty()) {
            return Err("the address is not that of the prefix".to_owned());
        }
        address = Some(wanted).filter(|wanted| !wanted.is_empty());
    }
    let Some(address) = address else { return Ok(vec![None]) };
    let most = match address.parse().map_err(|_| "an address is needed".to_owned())? {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    if length.is_some_and(|length| !length.parse::<u8>().is_ok_and(|bits| bits <= most)) {
        return Err("no length of a prefix".to_owned());
    }
    let sign = if text.starts_with('!') { "!" } else { "" };
    let length = length.map(|length| format!("/{length}")).unwrap_or_default();
    Ok(vec![Some(format!("{sign}{address}{length}"))])
}

pub(super) fn own_address(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let text = texts[0].unwrap_or_default();
    if text.split_whitespace().count() > 1 {
        return Err("the device has several addresses there".to_owned());
    }
    let (held, length) = text.split_once('/').unzip();
    let address = part(parts, "address").unwrap_or(held.unwrap_or(text));
    if address.parse::<Ipv4Addr>().is_err() {
        // A route without a target is the default route.
        return if address.is_empty() { Ok(vec![None, None]) } else { Err("an address is needed".to_owned()) };
    }
    let bits = match part(parts, "mask") {
        Some(mask) => Some(super::mask(mask).ok_or("no mask of a network")?),
        None => None,
    };
    Ok(match (length, bits) {
        (Some(_), Some(bits)) => vec![Some(format!("{address}/{}", bits.leading_ones())), texts[1].map(str::to_owned)],
        (Some(length), None) => vec![Some(format!("{address}/{length}")), texts[1].map(str::to_owned)],
        (None, Some(bits)) => vec![Some(address.to_owned()), Some(Ipv4Addr::from(bits).to_string())],
        (None, None) => vec![Some(address.to_owned()), texts[1].map(str::to_owned)],
    })
}

pub(super) fn mode(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let (mut newest, old) = generation(texts[0].unwrap_or("NOHT")).ok_or("the radio has another mode")?;
    let mut width = if old.is_empty() { "20" } else { old };
    if let Some(standards) = part(parts, "standards") {
        newest = 0;
        for standard in standards.split(',').map(str::trim) {
            let legacy = ["a", "b", "g"].contains(&standard).then_some(0);
            let at = GENERATIONS[1..].iter().position(|(_, known)| *known == standard).map(|at| at + 1);
            newest = newest.max(legacy.or(at).ok_or("no standard that the radio can be set to")?);
        }
    }
    let widths = &WIDTHS[..[1, 2, 4, 4, 5][newest]];
    if let Some(bandwidth) = part(parts, "bandwidth") {
        let known = widths.iter().find(|width| megahertz(width) == bandwidth);
        width = known.ok_or("no bandwidth of these standards")?;
    } else if !widths.contains(&width) {
        width = widths[widths.len() - 1];
    }
    let (name, _) = GENERATIONS[newest];
    let mode = if newest == 0 { name.to_owned() } else { format!("{name}{width}") };
    // `HT40+` stays.
    let kept = texts[0].filter(|text| text.trim_end_matches(['+', '-']) == mode);
    Ok(vec![Some(kept.map_or(mode, str::to_owned))])
}

/// Flags that the agent does not know stay. `none` stands for a list without flags, since odhcpd has a default for an absent one.
pub(super) fn flags(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let known = [("managed", MANAGED), ("other", OTHER)];
    let is_on = |(name, flag): &(&str, &str)| part(parts, name).map_or(has_flag(texts, flag), |value| value == "true");
    let held = texts[0].unwrap_or_default().split_whitespace();
    let others = held.filter(|flag| *flag != "none" && !known.iter().any(|(_, known)| known == flag));
    let flags: Vec<&str> = known.iter().filter(|known| is_on(known)).map(|(_, flag)| *flag).chain(others).collect();
    Ok(vec![Some(if flags.is_empty() { "none".to_owned() } else { flags.join(" ") })])
}

pub(super) fn echoes(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let (failures, interval) = keepalive(texts).unwrap_or_else(|_| keepalive(&[None]).unwrap_or_default());
    let failures = part(parts, "failures").unwrap_or(&failures);
    let interval = part(parts, "interval").unwrap_or(&interval);
    Ok(vec![Some(format!("{failures} {interval}"))])
}

pub(super) fn power(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let wanted = part(parts, "percent").unwrap_or_default();
    if wanted == "100" {
        return Ok(vec![None]);
    }
    let powers = powers(texts[1])?;
    let greatest = powers.last().ok_or("the powers of the radio are not known")?;
    let power = powers.iter().rev().find(|power| share(**power, *greatest).to_string() == wanted);
    Ok(vec![Some(power.ok_or("no power that the radio has")?.to_string())])
}

pub(super) fn channel(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    match (part(parts, "automatic"), part(parts, "number")) {
        (Some("true"), _) => Ok(vec![Some("auto".to_owned())]),
        (_, Some(number)) => Ok(vec![Some(number.to_owned())]),
        // The channel of this moment stays.
        _ => Ok(vec![Some(texts[1].ok_or("the present channel is not known; set one")?.to_owned())]),
    }
}

pub(super) fn enabled(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let is_on = part(parts, "enabled") == Some("true");
    let held = |place: usize, on: &str| texts[place].map(|held| if is_on { on } else { held }.to_owned());
    Ok(vec![if is_on { held(0, "0") } else { Some("1".to_owned()) }, held(1, "1")])
}

pub(super) fn zone(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let network = part(parts, "network").filter(|network| !network.is_empty());
    match (part(parts, "all"), network) {
        (Some("true"), Some(_)) => Err("all interfaces, and one of them".to_owned()),
        (Some("true"), None) => Ok(vec![Some("*".to_owned())]),
        (_, Some(network)) => {
            let mut pairs = texts[1].unwrap_or_default().split_whitespace().filter_map(|pair| pair.split_once('='));
            let zone = pairs.find(|(known, _)| *known == network).map(|(_, zone)| zone.to_owned());
            Ok(vec![Some(zone.ok_or("the device has nothing for this interface")?)])
        }
        _ => Ok(vec![None]),
    }
}

pub(super) fn first(_: &Texts<'_>, parts: &Parts<'_>) -> Written {
    Ok(vec![part(parts, "first").filter(|text| !text.is_empty()).map(str::to_owned)])
}

/// Two options that stand for one value have the same text.
pub(super) fn both(_: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let text = part(parts, "both").filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(vec![text.clone(), text])
}

/// WPS is on by one of its methods: the first one, if the request names none.
pub(super) fn wps(texts: &Texts<'_>, parts: &Parts<'_>) -> Written {
    let held = super::wps_methods(texts);
    let mut wanted: Vec<&str> = match part(parts, "methods") {
        Some(list) => list.split(',').map(str::trim).filter(|method| !method.is_empty()).collect(),
        None => held.clone(),
    };
    match part(parts, "enabled") {
        Some("true") if wanted.is_empty() => wanted.push(WPS_METHODS[0]),
        Some("false") if part(parts, "methods").is_none() => wanted.clear(),
        Some("false") if !wanted.is_empty() => return Err("methods of WPS that is off".to_owned()),
        _ => {}
    }
    if wanted.iter().any(|method| !WPS_METHODS.contains(method)) {
        return Err("no method of the access point".to_owned());
    }
    let text = |(at, method): (usize, &&str)| match (wanted.contains(method), held.contains(method)) {
        (true, false) => Some("1".to_owned()),
        (false, true) => Some("0".to_owned()),
        _ => texts[at].map(str::to_owned),
    };
    Ok(WPS_METHODS.iter().enumerate().map(text).collect())
}

/// A name of a zone in the package of time zones must not overrule the rule.
pub(super) fn time_zone(_: &Texts<'_>, parts: &Parts<'_>) -> Written {
    Ok(vec![part(parts, "rule").map(str::to_owned), None])
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::ViewId;

    /// Returns the new texts of a view, with spaces between them, for texts and values such as `first=1.2.3.4 last=…`; `-` is an
    /// absent text.
    fn written(family: &str, texts: &str, values: &str) -> Result<String, String> {
        let views = &super::super::VIEWS;
        let view = views
            .iter()
            .find(|view| view.family().0 == family && view.written > 0)
            .unwrap_or_else(|| panic!("{family}"));
        let texts: Vec<Option<Cow<'_, str>>> =
            texts.split('|').map(|text| (text != "-").then(|| text.into())).collect();
        let values: Vec<(&str, &str)> =
            values.split(';').map(|value| value.split_once('=').expect("a value")).collect();
        let new = view.texts(&texts, &values)?;
        assert_eq!(new.len(), view.written, "{family}");
        Ok(new.into_iter().map(|text| text.unwrap_or("-".to_owned())).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn values_have_texts() {
        for (family, texts, values, expected) in [
            ("both", "a.example|b.example", "both=c.example", "c.example|c.example"),
            ("both", "a.example|-", "both=", "-|-"),
            ("channel", "auto|44", "automatic=false", "44"),
            ("channel", "6|6", "automatic=true", "auto"),
            ("channel", "auto|44", "number=36;automatic=false", "36"),
            ("first", "-|192.168.1.1", "first=9.9.9.9", "9.9.9.9"),
            ("first", "9.9.9.9|192.168.1.1", "first=", "-"),
            ("dhcp-range", "100|150|192.168.1.1|255.255.255.0", "first=192.168.1.20", "20|230"),
            ("dhcp-range", "100|150|192.168.1.1/24", "last=192.168.1.100", "100|1"),
            ("dhcp-range", "100|150|10.1.2.3/16|-", "first=10.1.1.0;last=10.1.1.255", "256|256"),
            ("dhcp-range", "x|-|192.168.1.1/24|-", "first=192.168.1.1;last=192.168.1.254", "1|254"),
            ("htmode", "HE80", "bandwidth=20MHz", "HE20"),
            ("htmode", "HE160", "standards=n", "HT40"),
            ("htmode", "HT40+", "bandwidth=40MHz", "HT40+"),
            ("htmode", "NOHT", "standards=a,n,ac;bandwidth=80MHz", "VHT80"),
            ("htmode", "EHT80", "standards=b,g", "NOHT"),
            ("htmode", "HE80", "standards=ax,be;bandwidth=320MHz-1", "EHT320"),
            ("keepalive", "-", "failures=3", "3 1"),
            ("keepalive", "3,20", "interval=7", "3 7"),
            ("keepalive", "x", "interval=7", "5 7"),
            ("negation", "10.0.0.0/8", "negation=true", "!10.0.0.0/8"),
            ("negation", "!80", "negation=false", "80"),
            ("negation", "-", "negation=false", "-"),
            ("netifd", "-|-", "enabled=false", "1|-"),
            ("netifd", "1|0", "enabled=true", "0|1"),
            ("netifd", "-|0", "enabled=true", "-|1"),
            ("own-address", "192.168.1.1|255.255.255.0|-", "address=10.0.0.1", "10.0.0.1|255.255.255.0"),
            ("own-address", "192.168.1.1/24|-|-", "address=10.0.0.1;mask=255.0.0.0", "10.0.0.1/8|-"),
            ("own-address", "-|-|-", "address=10.0.0.0;mask=255.0.0.0", "10.0.0.0|255.0.0.0"),
            ("port-range", "-", "from=80", "80"),
            ("port-range", "80", "to=90", "80-90"),
            ("port-range", "!8000-8010", "from=8001", "!8001-8010"),
            ("port-range", "8000-8010", "to=0", "8000"),
            ("port-range", "8000", "from=-1;to=-1", "-"),
            ("ra-flags", "-", "managed=true", "managed-config other-config"),
            ("ra-flags", "home-agent other-config", "other=false", "home-agent"),
            ("ra-flags", "managed-config", "managed=false;other=false", "none"),
            ("ra-flags", "none", "other=true", "other-config"),
            ("subnet", "-", "address=10.0.0.1", "10.0.0.1"),
            ("subnet", "!10.0.0.0/8", "address=11.0.0.0", "!11.0.0.0/8"),
            ("subnet", "10.0.0.0/8", "mask=", "10.0.0.0"),
            ("subnet", "10.0.0.0/8", "address=2001:db8::;mask=2001:db8::/32", "2001:db8::/32"),
            ("subnet", "10.0.0.0/8", "address=;mask=", "-"),
            ("time-zone", "UTC|Europe/Berlin", "rule=EST5EDT", "EST5EDT|-"),
            ("txpower", "-|0 20 17 10", "percent=50", "17"),
            ("txpower", "17|20", "percent=100", "-"),
            ("wps", "-|-", "enabled=true", "1|-"),
            ("wps", "0|1", "enabled=true", "0|1"),
            ("wps", "1|on", "enabled=false", "0|0"),
            ("wps", "1|-", "methods=Label", "0|1"),
            ("wps", "1|-", "methods=Label, PushButton;enabled=true", "1|1"),
            ("wps", "1|-", "methods=", "0|-"),
            ("zone", "wan|lan=lan wan=wan", "network=lan", "lan"),
            ("zone", "wan|lan=lan wan=wan", "network=;all=true", "*"),
            ("zone", "*|lan=lan wan=wan", "all=false", "-"),
        ] {
            assert_eq!(written(family, texts, values).as_deref(), Ok(expected), "{family} {texts} {values}");
        }
    }

    #[test]
    fn values_without_texts_are_refused() {
        for (family, texts, values) in [
            ("channel", "auto|-", "automatic=false"),
            ("dhcp-range", "100|150|-|-", "first=192.168.1.20"),
            ("dhcp-range", "100|150|192.168.1.1/24", "first=192.168.2.20"),
            ("dhcp-range", "100|150|192.168.1.1/24", "first=192.168.1.0"),
            ("dhcp-range", "100|150|192.168.1.1/24", "last=192.168.1.255"),
            ("dhcp-range", "100|150|192.168.1.1/24", "last=192.168.1.9"),
            ("dhcp-range", "100|150|192.168.1.1/24", "last="),
            ("htmode", "HE80", "bandwidth=Auto"),
            ("htmode", "HT20", "bandwidth=80MHz"),
            ("htmode", "11ac", "bandwidth=20MHz"),
            ("htmode", "HE80", "standards=z"),
            ("negation", "-", "negation=true"),
            ("own-address", "192.168.1.1/24 10.0.0.1/8|-|-", "address=10.0.0.1"),
            ("own-address", "192.168.1.1|255.255.255.0|-", "mask=255.0.255.0"),
            ("port-range", "80 443", "from=81"),
            ("port-range", "80", "to=79"),
            ("port-range", "-", "to=79"),
            ("port-range", "-", "from=65536"),
            ("subnet", "10.0.0.1 10.0.0.2", "address=10.0.0.3"),
            ("subnet", "-", "address=example.net"),
            ("subnet", "-", "mask=10.0.0.0/33"),
            ("subnet", "-", "mask=10.0.0.0"),
            ("subnet", "-", "address=10.0.0.1;mask=10.0.0.0/8"),
            ("txpower", "-|-", "percent=50"),
            ("txpower", "-|20", "percent=51"),
            ("wps", "1|-", "methods=PIN"),
            ("wps", "1|-", "methods=Label;enabled=false"),
            ("zone", "wan|lan=lan", "network=guest"),
            ("zone", "wan|lan=lan", "network=lan;all=true"),
        ] {
            assert!(written(family, texts, values).is_err(), "{family} {texts} {values}");
        }
        assert!(ViewId::find("first").is_some());
    }
}
