//! Views: values that several texts of the device have together, such as the first address of a DHCP pool. Each is a pure
//! function of the texts, which the model names in the order of the table in `docs/sources.md`.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use super::convert::boolean;
use radio::{bandwidth, bandwidths, percent, percents, radio_status, retransmissions, standard, standards};
use write::{Parts, Written};

mod radio;
mod write;

/// The value in the texts of the device; `None` if the device has none. An error is the text that the view does not understand.
pub(in crate::model) type Viewed = Result<Option<String>, String>;

/// The most fields of a view.
pub(in crate::model) const MAX_FIELDS: usize = 5;

/// The texts of the fields of a view.
type Texts<'t> = [Option<&'t str>];

/// A view.
#[derive(Debug)]
pub(in crate::model) struct View {
    /// The name in a data-model file: that of the family, whose values are set together, and of the part.
    pub(in crate::model) name: &'static str,
    /// The fields, of which the optional ones come last.
    pub(in crate::model) fields: &'static [&'static str],
    /// The number of fields that are needed.
    pub(in crate::model) least: usize,
    /// The number of fields that are written, from the first one on.
    pub(in crate::model) written: usize,
    /// True if the written text is a list of words.
    pub(in crate::model) is_list: bool,
    read: fn(&Texts<'_>) -> Viewed,
    write: fn(&Texts<'_>, &Parts<'_>) -> Written,
}

const fn view(
    name: &'static str,
    fields: &'static [&'static str],
    least: usize,
    read: fn(&Texts<'_>) -> Viewed,
    write: fn(&Texts<'_>, &Parts<'_>) -> Written,
) -> View {
    View { name, fields, least, written: 1, is_list: false, read, write }
}

const fn flag_view(name: &'static str, read: fn(&Texts<'_>) -> Viewed) -> View {
    View { is_list: true, ..view(name, &["flags"], 1, read, write::flags) }
}

const fn range_view(name: &'static str, read: fn(&Texts<'_>) -> Viewed) -> View {
    View { written: 2, ..view(name, &["start", "limit", "address", "netmask"], 3, read, write::range) }
}

const fn wps_view(name: &'static str, read: fn(&Texts<'_>) -> Viewed) -> View {
    View { written: 2, ..view(name, &["push_button", "label"], 2, read, write::wps) }
}

/// A view that cannot be set.
const fn shown(
    name: &'static str,
    fields: &'static [&'static str],
    least: usize,
    read: fn(&Texts<'_>) -> Viewed,
) -> View {
    View { written: 0, ..view(name, fields, least, read, |_, _| Ok(Vec::new())) }
}

/// All views.
pub(in crate::model) static VIEWS: [View; 33] = [
    View { written: 2, ..view("both", &["first", "second"], 2, first, write::both) },
    view(
        "channel.automatic",
        &["channel", "present"],
        1,
        |texts| Ok(Some(is_automatic(texts).to_string())),
        write::channel,
    ),
    view("channel.number", &["channel", "present"], 1, channel, write::channel),
    shown("cidr", &["address", "length"], 2, cidr),
    range_view("dhcp-range.first", |texts| Ok(dhcp_range(texts)?.map(|(first, _)| first.to_string()))),
    range_view("dhcp-range.last", |texts| Ok(dhcp_range(texts)?.map(|(_, last)| last.to_string()))),
    view("first", &["first", "second", "third", "fourth"], 2, first, write::first),
    view("htmode.bandwidth", &["mode"], 1, bandwidth, write::mode),
    shown("htmode.bandwidths", &["modes"], 1, bandwidths),
    view("htmode.standards", &["mode", "band", "legacy_rates"], 2, standards, write::mode),
    view("keepalive.failures", &["keepalive"], 1, |texts| Ok(Some(keepalive(texts)?.0)), write::echoes),
    view("keepalive.interval", &["keepalive"], 1, |texts| Ok(Some(keepalive(texts)?.1)), write::echoes),
    view("negation", &["text"], 1, |texts| Ok(texts[0].map(|text| text.starts_with('!').to_string())), write::negation),
    View { written: 2, ..view("netifd.enabled", &["disabled", "auto"], 2, enabled, write::enabled) },
    shown("netifd.status", &["up", "pending", "available", "autostart", "link"], 5, interface_status),
    View {
        written: 2,
        ..view("own-address.address", OWN_ADDRESS, 3, |texts| own_address(texts, false), write::own_address)
    },
    View {
        written: 2,
        ..view("own-address.mask", OWN_ADDRESS, 3, |texts| own_address(texts, true), write::own_address)
    },
    view(
        "port-range.from",
        &["ports"],
        1,
        |texts| Ok(port_range(texts)?.map(|(from, _)| from.to_string())),
        write::ports,
    ),
    view(
        "port-range.to",
        &["ports"],
        1,
        |texts| Ok(port_range(texts)?.and_then(|(_, to)| to).map(|to| to.to_string())),
        write::ports,
    ),
    flag_view("ra-flags.managed", |texts| Ok(Some(has_flag(texts, MANAGED).to_string()))),
    flag_view("ra-flags.other", |texts| Ok(Some(has_flag(texts, OTHER).to_string()))),
    shown("radio.status", &["up", "pending", "failed"], 3, radio_status),
    shown("station.retransmissions", &["retries", "packets"], 2, retransmissions),
    shown("station.standard", &["eht", "he", "vht", "ht", "band"], 5, standard),
    view(
        "subnet.address",
        &["text"],
        1,
        |texts| Ok(subnet(texts).map(|(address, _)| address.to_owned())),
        write::subnet_text,
    ),
    view("subnet.mask", &["text"], 1, mask_of_subnet, write::subnet_text),
    View {
        written: 2,
        ..view("time-zone.rule", &["rule", "name"], 2, |texts| Ok(texts[0].map(str::to_owned)), write::time_zone)
    },
    view("txpower.percent", &["power", "powers"], 2, percent, write::power),
    shown("txpower.percents", &["powers"], 1, percents),
    wps_view("wps.enabled", |texts| Ok(Some((!wps_methods(texts).is_empty()).to_string()))),
    wps_view("wps.methods", |texts| Ok(Some(wps_methods(texts).join(",")))),
    view("zone.all", &["zone", "zones"], 2, |texts| Ok(Some((texts[0] == Some("*")).to_string())), write::zone),
    view("zone.network", &["zone", "zones"], 2, zone_network, write::zone),
];

/// A view by its place in the list, which takes less room in each field than its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) struct ViewId(u8);

impl ViewId {
    /// Returns the view of this name.
    pub(in crate::model) fn find(name: &str) -> Option<ViewId> {
        let place = VIEWS.iter().position(|view| view.name == name)?;
        u8::try_from(place).ok().map(ViewId)
    }

    /// Returns the view.
    pub(in crate::model) fn get(self) -> &'static View {
        &VIEWS[usize::from(self.0)]
    }
}

impl View {
    /// Returns the value in the texts of the device. Fields that the model does not name count as absent.
    pub(in crate::model) fn of(&self, texts: &[Option<Cow<'_, str>>]) -> Viewed {
        (self.read)(&all_fields(texts))
    }

    /// Returns the name of the family, and that of the part.
    pub(in crate::model) fn family(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or((self.name, self.name))
    }

    /// Returns the new texts of the first fields, by which the parts of the family have these values.
    ///
    /// # Errors
    /// The reason for which no texts have the values.
    pub(in crate::model) fn texts(&self, texts: &[Option<Cow<'_, str>>], parts: &Parts<'_>) -> Written {
        (self.write)(&all_fields(texts), parts)
    }
}

/// Returns the texts with an absent one for each further field that a view may have.
fn all_fields<'t>(texts: &'t [Option<Cow<'_, str>>]) -> [Option<&'t str>; MAX_FIELDS] {
    std::array::from_fn(|at| texts.get(at)?.as_deref())
}

/// Reads a number; `default` stands for an absent text.
fn number(text: Option<&str>, default: u32) -> Result<u32, String> {
    text.map_or(Ok(default), |text| text.parse().map_err(|_| text.to_owned()))
}

/// Returns the first and the last address of a pool of dnsmasq in the network of an interface. OpenWrt begins at the place
/// `start` of the network, 100 by default, and takes `limit` addresses, 150 by default, without those of the network itself.
fn dhcp_range(texts: &Texts<'_>) -> Result<Option<(Ipv4Addr, Ipv4Addr)>, String> {
    let (start, limit) = (number(texts[0], 100)?, number(texts[1], 150)?);
    let Some((network, hosts)) = network(texts[2], texts[3])?.filter(|_| limit > 0) else { return Ok(None) };
    let greatest = network + (hosts - 1);
    let first = (network + (start & hosts)).max(network + 1);
    let last = first.saturating_add(limit - 1).min(greatest);
    Ok((first <= last).then(|| (first.into(), last.into())))
}

/// Returns the network of an interface, and the mask of its hosts; `None` without room for a pool.
fn network(address: Option<&str>, netmask: Option<&str>) -> Result<Option<(u32, u32)>, String> {
    // Of several addresses of an interface the first one counts.
    let Some(text) = address.and_then(|text| text.split_whitespace().next()) else { return Ok(None) };
    let (address, length) = text.split_once('/').map_or((text, netmask), |(address, length)| (address, Some(length)));
    let address: Ipv4Addr = address.parse().map_err(|_| text.to_owned())?;
    let Some(length) = length else { return Ok(None) };
    let hosts = !mask(length).ok_or(length)?;
    // A network of one or two addresses has no room for a pool.
    Ok((hosts >= 2).then_some((u32::from(address) & !hosts, hosts)))
}

/// Reads a netmask in dots, or the length of a prefix.
pub(super) fn mask(text: &str) -> Option<u32> {
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

/// The flags of odhcpd by which clients ask for addresses, and for other values. Without any flag, it sends the second one.
const MANAGED: &str = "managed-config";
const OTHER: &str = "other-config";

fn has_flag(texts: &Texts<'_>, flag: &str) -> bool {
    texts[0].unwrap_or(OTHER).split_whitespace().any(|held| held == flag)
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

/// Returns the state of an interface of netifd: one that is down waits for a peer, for its link, or for a start by hand.
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

/// Returns the first port, and the last one of a range: `80`, `8000-8010` or `8000:8010`, of several words the first one. A `!`
/// means all others.
fn port_range(texts: &Texts<'_>) -> Result<Option<(u16, Option<u16>)>, String> {
    let Some(text) = texts[0].and_then(|text| text.split_whitespace().next()) else { return Ok(None) };
    let text = text.trim_start_matches('!');
    let port = |word: &str| word.parse::<u16>().map_err(|_| text.to_owned());
    match text.split_once(['-', ':']) {
        None => Ok(Some((port(text)?, None))),
        Some((from, to)) => Ok(Some((port(from)?, Some(port(to)?)))),
    }
}

/// Returns the address and the length of the prefix in `!192.168.1.0/24`, of several words the first one.
fn subnet<'t>(texts: &Texts<'t>) -> Option<(&'t str, Option<&'t str>)> {
    let text = texts[0]?.split_whitespace().next()?.trim_start_matches('!');
    Some(text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length))))
}

fn mask_of_subnet(texts: &Texts<'_>) -> Viewed {
    Ok(subnet(texts).and_then(|(address, length)| Some(format!("{address}/{}", length?))))
}

/// The options with an address and its mask, and the value where the device has none of them.
const OWN_ADDRESS: &[&str] = &["address", "netmask", "other"];

/// Returns the first address of `192.168.1.1/24` without the length, or its mask, which may be in the second text.
fn own_address(texts: &Texts<'_>, is_mask: bool) -> Viewed {
    let other = || texts[2].map(|text| mask(text).map_or(text.to_owned(), |mask| Ipv4Addr::from(mask).to_string()));
    let Some(text) = texts[0].and_then(|text| text.split_whitespace().next()) else {
        return Ok(if is_mask { other() } else { texts[2].map(str::to_owned) });
    };
    let (address, length) = text.split_once('/').map_or((text, texts[1]), |(address, length)| (address, Some(length)));
    if !is_mask {
        return Ok(Some(address.to_owned()));
    }
    let Some(length) = length else { return Ok(other()) };
    Ok(Some(Ipv4Addr::from(mask(length).ok_or(length)?).to_string()))
}

/// The methods of WPS, in the order of the fields.
const WPS_METHODS: [&str; 2] = ["PushButton", "Label"];

/// Returns the methods that are on.
fn wps_methods(texts: &Texts<'_>) -> Vec<&'static str> {
    let is_on = |at: &usize| texts[*at].and_then(boolean) == Some(true);
    (0..WPS_METHODS.len()).filter(is_on).map(|at| WPS_METHODS[at]).collect()
}

fn is_automatic(texts: &Texts<'_>) -> bool {
    matches!(texts[0], None | Some("auto" | "0"))
}

/// Returns the channel in the configuration, or the present one where the radio chooses it.
fn channel(texts: &Texts<'_>) -> Viewed {
    Ok(if is_automatic(texts) { texts[1] } else { texts[0] }.map(str::to_owned))
}

/// Returns the first network of a zone. The text with all zones has a word `network=zone` for each network.
fn zone_network(texts: &Texts<'_>) -> Viewed {
    let mut pairs = texts[1].unwrap_or_default().split_whitespace().filter_map(|pair| pair.split_once('='));
    Ok(pairs.find(|(_, zone)| texts[0] == Some(*zone)).map(|(network, _)| network.to_owned()))
}

#[cfg(test)]
mod tests;
