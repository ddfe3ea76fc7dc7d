//! Views: values that several texts of the device have together, such as the first address of a DHCP pool. Each is a pure
//! function of the texts, which the model names in the order of the table in `docs/sources.md`.

use std::net::Ipv4Addr;

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
pub(in crate::model) const VIEWS: [View; 9] = [
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
    View { name: "htmode.bandwidth", fields: &["mode"], least: 1, read: bandwidth },
    View { name: "htmode.standards", fields: &["mode", "band", "legacy_rates"], least: 2, read: standards },
    View { name: "keepalive.failures", fields: &["keepalive"], least: 1, read: |texts| Ok(Some(keepalive(texts)?.0)) },
    View { name: "keepalive.interval", fields: &["keepalive"], least: 1, read: |texts| Ok(Some(keepalive(texts)?.1)) },
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
    View { name: "txpower.percent", fields: &["power", "greatest"], least: 2, read: percent },
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

/// The generations of WiFi in `htmode`, with the standard that each adds.
const GENERATIONS: [(&str, &str); 5] = [("NOHT", ""), ("HT", "n"), ("VHT", "ac"), ("HE", "ax"), ("EHT", "be")];

/// The standards of a band from before the generations, and those that exist in it. `b` needs `legacy_rates`.
const BANDS: [(&str, &[&str], &[&str]); 3] =
    [("2g", &["b", "g"], &["n", "ax", "be"]), ("5g", &["a"], &["n", "ac", "ax", "be"]), ("6g", &[], &["ax", "be"])];

/// Returns the place of a mode among the generations, and its bandwidth: none in `NOHT`.
fn generation(mode: &str) -> Option<(usize, &str)> {
    let end = mode.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(mode.len());
    let (name, width) = mode.split_at(end);
    let at = GENERATIONS.iter().position(|(known, _)| *known == name)?;
    // `HT40+` and `HT40-` tell the place of the second channel.
    let width = width.trim_end_matches(['+', '-']);
    let fits = if at == 0 { width.is_empty() } else { ["20", "40", "80", "160", "320"].contains(&width) };
    fits.then_some((at, width))
}

fn bandwidth(texts: &Texts<'_>) -> Viewed {
    let Some(mode) = texts[0] else { return Ok(None) };
    Ok(Some(match generation(mode).ok_or(mode)?.1 {
        "" => "20MHz".to_owned(),
        // OpenWrt takes the channels of the first of the two plans of TR-181.
        "320" => "320MHz-1".to_owned(),
        width => format!("{width}MHz"),
    }))
}

fn standards(texts: &Texts<'_>) -> Viewed {
    let Some(mode) = texts[0] else { return Ok(None) };
    let (newest, _) = generation(mode).ok_or(mode)?;
    let has_b = matches!(texts[2], Some("1" | "on" | "true" | "yes" | "enabled"));
    let band = BANDS.iter().find(|(band, ..)| Some(*band) == texts[1]);
    let in_band = |standard: &&str| band.is_none_or(|(_, _, standards)| standards.contains(standard));
    let legacy = band.map_or(&[][..], |(_, legacy, _)| legacy).iter().copied().filter(|name| *name != "b" || has_b);
    let later = GENERATIONS[1..=newest].iter().map(|(_, standard)| *standard).filter(in_band);
    Ok(Some(legacy.chain(later).collect::<Vec<_>>().join(",")))
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

/// The share of the greatest power in percent, by the dB below it.
const PERCENT: [u8; 21] = [100, 79, 63, 50, 40, 32, 25, 20, 16, 13, 10, 8, 6, 5, 4, 3, 3, 2, 2, 1, 1];

/// Returns the power of a radio in percent of the greatest one; both are in dBm. Without a power the radio uses the greatest.
fn percent(texts: &Texts<'_>) -> Viewed {
    let dbm = |text: &str| text.parse::<i32>().map_err(|_| text.to_owned());
    let Some(greatest) = texts[1].map(dbm).transpose()? else { return Ok(None) };
    let below = match texts[0] {
        None => 0,
        Some(power) => usize::try_from(greatest.saturating_sub(dbm(power)?)).unwrap_or(0),
    };
    // A radio that sends has more than none.
    Ok(Some(PERCENT.get(below).unwrap_or(&1).to_string()))
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
            ("txpower.percent", "-|20", "100"),
            ("txpower.percent", "30|20", "100"),
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
        ] {
            assert_eq!(view(name, texts), Err(wrong.to_owned()), "{name} {texts}");
        }
    }
}
