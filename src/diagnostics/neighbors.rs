//! NeighboringWiFiDiagnostic on OpenWrt: the networks that the radios of the device hear, by the method `scan` of rpcd's `iwinfo`.
//!
//! ```text
//! each radio ──▶ ubus iwinfo scan ──▶ networks ──▶ the strongest first, each BSSID once ──▶ Result.{i}.
//! ```

use std::collections::BTreeSet;

use super::{COMPLETE, Failure, Order, Outcome, Results};
use crate::log;
use crate::model::source::blob::{Blob, Value};
use crate::model::source::{Answer, Argument, Query, Target, Watching};
use crate::sources::call_bus;

/// The most networks of the results, as many as the shipped model has room for.
const MAX_NETWORKS: usize = 64;

/// The longest SSID in bytes (IEEE 802.11).
const MAX_SSID: usize = 32;

/// A network that a radio hears.
#[derive(Debug, PartialEq, Eq)]
struct Network {
    bssid: String,
    /// The strength of the signal in dBm.
    signal: i64,
    /// The other results by their names.
    fields: Vec<(&'static str, String)>,
}

/// Scans with one radio after the other, since rpcd answers no other call meanwhile.
///
/// # Errors
/// The device has no radio, or none of its radios has scanned.
pub(super) fn run(order: &Order, object: &str, limit: u32) -> Result<Outcome, Failure> {
    let (mut networks, mut failure) = (Vec::new(), Some("the device has no radio".to_owned()));
    let mut has_scanned = false;
    for (path, name) in &order.radios {
        if order.is_stopped() {
            break;
        }
        let args = vec![("device".to_owned(), Argument::Text(name.clone()))];
        let target = Target::Ubus { object: object.to_owned(), method: "scan".to_owned(), args, is_optional: false };
        let query = Query { target, limit, age: 0, watching: Watching::default() };
        match call_bus(&query, &order.stop) {
            Ok(Answer::Tree(answer)) => {
                has_scanned = true;
                networks.extend(networks_in(&answer, path));
            }
            Ok(_) => {}
            Err(reason) => {
                log::info!("{}: {reason}", query.target);
                failure = Some(format!("{name}: {reason}"));
            }
        }
    }
    match failure {
        Some(reason) if !has_scanned => Err(Failure::other(reason)),
        _ => Ok(Outcome { state: COMPLETE.to_owned(), results: results(networks) }),
    }
}

/// Returns the results of the strongest networks. The BSSID is the key of the table.
fn results(mut networks: Vec<Network>) -> Results {
    networks.sort_by_key(|network| -network.signal);
    let mut known = BTreeSet::new();
    networks.retain(|network| known.insert(network.bssid.clone()));
    let mut results = Results::new();
    for (number, network) in (1..).zip(networks.into_iter().take(MAX_NETWORKS)) {
        let own = [("BSSID", network.bssid), ("SignalStrength", network.signal.to_string())];
        let fields = own.into_iter().chain(network.fields);
        results.extend(fields.map(|(name, text)| (format!("Result.{number}.{name}"), text)));
    }
    results
}

/// Returns the networks of an answer. One without a valid BSSID or signal is left out.
fn networks_in(answer: &Blob, radio: &str) -> Vec<Network> {
    let list = answer.root().member("results").and_then(Value::elements);
    list.into_iter().flatten().filter_map(|(_, value)| network(value, radio)).collect()
}

fn network(value: Value<'_>, radio: &str) -> Option<Network> {
    let whole = |name: &str| match value.member(name) {
        Some(Value::Whole(number)) => Some(number),
        _ => None,
    };
    let text = |name: &str| value.member(name).and_then(Value::text).unwrap_or_default();
    let bssid = text("bssid").to_ascii_uppercase();
    let signal = whole("signal").filter(|signal| (-200..=0).contains(signal))?;
    let is_hex = |byte: &str| byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
    if bssid.split(':').count() != 6 || !bssid.split(':').all(is_hex) {
        return None;
    }
    let mut fields = vec![("Radio", radio.to_owned()), ("SSID", ssid(&text("ssid")))];
    match text("mode").as_ref() {
        "Master" => fields.push(("Mode", "Infrastructure".to_owned())),
        "Ad-Hoc" => fields.push(("Mode", "AdHoc".to_owned())),
        _ => {}
    }
    let channel = whole("channel").filter(|channel| (1..=255).contains(channel));
    fields.extend(channel.map(|channel| ("Channel", channel.to_string())));
    let band = match (whole("band"), channel) {
        (Some(6), _) => Some("6GHz"),
        (Some(5), _) | (None, Some(36..)) => Some("5GHz"),
        (Some(2), _) | (None, Some(..=14)) => Some("2.4GHz"),
        _ => None,
    };
    fields.extend(band.map(|band| ("OperatingFrequencyBand", band.to_owned())));
    let operations = [("n", "ht"), ("ac", "vht"), ("ax", "he"), ("be", "eht")];
    let heard = operations.iter().filter(|(_, prefix)| value.member(&format!("{prefix}_operation")).is_some());
    let standards: Vec<&str> = heard.map(|(standard, _)| *standard).collect();
    if !standards.is_empty() {
        fields.push(("SupportedStandards", standards.join(",")));
        fields.push(("OperatingStandards", standards.join(",")));
    }
    fields.extend(width(value).map(|width| ("OperatingChannelBandwidth", width.to_owned())));
    if let Some(encryption) = value.member("encryption") {
        fields.extend(security(encryption).map(|mode| ("SecurityModeEnabled", mode.to_owned())));
        fields.push(("EncryptionMode", ciphers(encryption)));
    }
    Some(Network { bssid, signal, fields })
}

/// Returns a name as a text that XML can carry: another network chooses it.
fn ssid(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }) {
        if text.len() + c.len_utf8() > MAX_SSID {
            break;
        }
        text.push(c);
    }
    text
}

/// Returns the width of the channel: that of VHT, or of HT where VHT leaves it to HT.
fn width(network: Value<'_>) -> Option<&'static str> {
    let of = |name: &str| match network.member(name)?.member("channel_width")? {
        Value::Whole(width) => Some(width),
        _ => None,
    };
    match (of("vht_operation"), of("ht_operation")) {
        (Some(80), _) => Some("80MHz"),
        (Some(160 | 8080), _) => Some("160MHz"),
        (_, Some(20)) => Some("20MHz"),
        (_, Some(40 | 2040)) => Some("40MHz"),
        _ => None,
    }
}

/// Returns the words of a list of an answer.
fn words(value: Value<'_>, list: &str) -> Vec<String> {
    let elements = value.member(list).and_then(Value::elements);
    elements.into_iter().flatten().filter_map(|(_, word)| word.text().map(|word| word.into_owned())).collect()
}

/// Returns the mode of security by the name in the data model; `None` for one that it does not have.
fn security(encryption: Value<'_>) -> Option<&'static str> {
    let (versions, suites) = (words(encryption, "wpa"), words(encryption, "authentication"));
    let has = |list: &[String], word: &str| list.iter().any(|known| known == word);
    if encryption.member("enabled") != Some(Value::Boolean(true)) {
        return Some("None");
    }
    if versions.is_empty() {
        return encryption.member("wep").map(|_| "WEP");
    }
    let [one, two, three] = ["1", "2", "3"].map(|version| has(&versions, version));
    let (is_enterprise, is_sae, is_psk) = (has(&suites, "802.1x"), has(&suites, "sae"), has(&suites, "psk"));
    if has(&suites, "owe") {
        return Some("OWE");
    }
    Some(match (is_enterprise, one, two, three) {
        (true, _, _, true) => "WPA3-Enterprise",
        (true, true, true, _) => "WPA-WPA2-Enterprise",
        (true, true, false, _) => "WPA-Enterprise",
        (true, false, ..) => "WPA2-Enterprise",
        (false, ..) if is_sae && is_psk => "WPA2-PSK-WPA3-SAE",
        (false, ..) if is_sae => "WPA3-SAE",
        (false, true, true, _) => "WPA-WPA2",
        (false, true, false, _) => "WPA",
        (false, false, true, _) => "WPA2",
        (false, false, false, _) => return None,
    })
}

/// Returns the ciphers by the names in the data model.
fn ciphers(encryption: Value<'_>) -> String {
    let known = words(encryption, "ciphers");
    let is_aes = |word: &String| word.starts_with("ccmp") || word.starts_with("gcmp");
    let mut modes = Vec::new();
    if known.iter().any(|word| word == "tkip") {
        modes.push("TKIP");
    }
    if known.iter().any(is_aes) {
        modes.push("AES");
    }
    modes.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::blob::{ARRAY, BOOLEAN, TABLE, TEXT, WHOLE_32, put_element};

    fn text(bytes: &mut Vec<u8>, name: &str, text: &str) {
        put_element(bytes, TEXT, name, &[text.as_bytes(), b"\0"].concat());
    }

    /// A network with this encryption: the versions of WPA, and the suites.
    fn heard(bssid: &str, signal: i32, wpa: &[i32], suites: &[&str]) -> Vec<u8> {
        let (mut encryption, mut versions, mut names) = (Vec::new(), Vec::new(), Vec::new());
        wpa.iter().for_each(|version| put_element(&mut versions, WHOLE_32, "", &version.to_be_bytes()));
        suites.iter().for_each(|suite| text(&mut names, "", suite));
        put_element(&mut encryption, BOOLEAN, "enabled", &[u8::from(!wpa.is_empty())]);
        put_element(&mut encryption, ARRAY, "wpa", &versions);
        put_element(&mut encryption, ARRAY, "authentication", &names);
        let mut network = Vec::new();
        text(&mut network, "bssid", bssid);
        text(&mut network, "ssid", "a\u{1b}b");
        put_element(&mut network, WHOLE_32, "signal", &signal.to_be_bytes());
        put_element(&mut network, WHOLE_32, "channel", &36_i32.to_be_bytes());
        put_element(&mut network, TABLE, "encryption", &encryption);
        network
    }

    fn answer(networks: &[Vec<u8>]) -> Blob {
        let (mut list, mut root) = (Vec::new(), Vec::new());
        networks.iter().for_each(|network| put_element(&mut list, TABLE, "", network));
        put_element(&mut root, ARRAY, "results", &list);
        Blob::new(&root).expect("a table")
    }

    #[test]
    fn the_strongest_networks_come_first_and_once() {
        let (one, two) = ("02:00:00:00:00:01", "02:00:00:00:00:02");
        let heard =
            [heard(one, -80, &[], &[]), heard(two, -60, &[], &[]), heard(one, -50, &[], &[]), heard("x", -1, &[], &[])];
        let results = results(networks_in(&answer(&heard), "Device.WiFi.Radio.2"));
        let value = |name: &str| results.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
        assert_eq!((value("Result.1.BSSID"), value("Result.2.BSSID")), (Some(one), Some(two)));
        assert_eq!((value("Result.1.SignalStrength"), value("Result.3.BSSID")), (Some("-50"), None));
        assert_eq!(
            (value("Result.1.Radio"), value("Result.1.SSID")),
            (Some("Device.WiFi.Radio.2"), Some("a\u{fffd}b"))
        );
        assert_eq!(value("Result.1.OperatingFrequencyBand"), Some("5GHz"));
        assert_eq!(value("Result.1.SecurityModeEnabled"), Some("None"));
    }

    #[test]
    fn encryption_has_the_names_of_the_model() {
        for (wpa, suites, mode) in [
            (&[1][..], &["psk"][..], "WPA"),
            (&[2], &["psk"], "WPA2"),
            (&[1, 2], &["psk"], "WPA-WPA2"),
            (&[1, 2], &["802.1x"], "WPA-WPA2-Enterprise"),
            (&[2], &["802.1x"], "WPA2-Enterprise"),
            (&[3], &["802.1x"], "WPA3-Enterprise"),
            (&[3], &["sae"], "WPA3-SAE"),
            (&[2, 3], &["psk", "sae"], "WPA2-PSK-WPA3-SAE"),
            (&[3], &["owe"], "OWE"),
        ] {
            let blob = answer(&[heard("02:00:00:00:00:01", -50, wpa, suites)]);
            let networks = networks_in(&blob, "r");
            assert!(networks[0].fields.contains(&("SecurityModeEnabled", mode.to_owned())), "{wpa:?} {suites:?}");
        }
    }
}
