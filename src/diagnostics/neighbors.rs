//! NeighboringWiFiDiagnostic on OpenWrt: the networks that the radios of the device hear, by the method `scan` of rpcd's `iwinfo`.
//!
//! ```text
//! each radio ──▶ ubus iwinfo scan ──▶ networks ──▶ the strongest first, each BSSID once ──▶ Result.{i}.
//! ```

use std::borrow::Cow;

use super::{Failure, Order, Results, add};
use crate::log;
use crate::model::source::blob::{Blob, Value};
use crate::model::source::{Answer, Argument, Query, Target, Watching};
use crate::sources::call_bus;

/// The most networks of the results, as many as the shipped model has room for.
const MAX_NETWORKS: usize = 64;

/// The longest SSID in bytes (IEEE 802.11).
const MAX_SSID: usize = 32;

/// The standards of IEEE 802.11, each with the member of a network that uses it.
const OPERATIONS: [(&str, &str); 4] =
    [("n", "ht_operation"), ("ac", "vht_operation"), ("ax", "he_operation"), ("be", "eht_operation")];

/// A network that a radio hears.
struct Network {
    bssid: String,
    /// The strength of the signal in dBm.
    signal: i64,
    /// The other results by their names.
    fields: Results,
}

/// Scans with one radio after the other, since rpcd answers no other call meanwhile.
///
/// # Errors
/// The device has no radio, or none of its radios has scanned.
pub(super) fn run(order: &Order, object: &str, limit: u32, results: &mut Results) -> Result<(), Box<Failure>> {
    let (mut networks, mut has_scanned) = (Vec::new(), false);
    let mut failure = Failure::other(format_args!("the device has no radio"));
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
                add_networks(&mut networks, &answer, path);
            }
            Ok(_) => {}
            Err(reason) => {
                log::info!("{}: {reason}", query.target);
                failure = Failure::other(format_args!("{name}: {reason}"));
            }
        }
    }
    if !has_scanned {
        return Err(failure);
    }
    add_results(results, networks);
    Ok(())
}

/// Adds the results of the strongest networks. The BSSID is the key of the table.
fn add_results(results: &mut Results, networks: Vec<Network>) {
    let mut known: Vec<String> = Vec::new();
    for Network { bssid, signal, fields } in networks {
        if known.len() == MAX_NETWORKS || known.contains(&bssid) {
            continue;
        }
        known.push(bssid);
        let row = format!("Result.{}.", known.len());
        add(results, &row, "SignalStrength", &signal);
        for (name, text) in fields {
            add(results, &row, &name, &text);
        }
    }
}

/// Adds the networks of an answer, the strongest first. One without a valid BSSID or signal is left out.
fn add_networks(networks: &mut Vec<Network>, answer: &Blob, radio: &str) {
    for (_, heard) in answer.root().member("results").and_then(Value::elements).into_iter().flatten() {
        let Some((bssid, signal)) = identity(heard) else { continue };
        let mut fields = Results::new();
        add(&mut fields, "", "BSSID", &bssid);
        add(&mut fields, "", "Radio", &radio);
        add(&mut fields, "", "SSID", &ssid(&text(heard, "ssid")));
        add_fields(&mut fields, heard);
        let at = networks.iter().take_while(|network| network.signal >= signal).count();
        networks.insert(at, Network { bssid, signal, fields });
    }
}

/// Returns the BSSID and the strength of the signal, if both are valid.
fn identity(heard: Value<'_>) -> Option<(String, i64)> {
    let bssid = text(heard, "bssid").to_ascii_uppercase();
    let signal = whole(heard, "signal").filter(|signal| (-200..=0).contains(signal))?;
    let is_hex = |byte: &str| byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
    (bssid.split(':').count() == 6 && bssid.split(':').all(is_hex)).then_some((bssid, signal))
}

/// Adds the results of a network that radios may leave out.
fn add_fields(fields: &mut Results, heard: Value<'_>) {
    let mut add = |name, value: &str| {
        if !value.is_empty() {
            add(fields, "", name, &value);
        }
    };
    let mode = match text(heard, "mode").as_ref() {
        "Master" => "Infrastructure",
        "Ad-Hoc" => "AdHoc",
        _ => "",
    };
    let channel = whole(heard, "channel").filter(|channel| (1..=255).contains(channel)).unwrap_or(0);
    let band = match (whole(heard, "band"), channel) {
        (Some(6), _) => "6GHz",
        (Some(5), _) | (None, 36..) => "5GHz",
        (Some(2), _) | (None, 1..=14) => "2.4GHz",
        _ => "",
    };
    let mut standards = String::new();
    for (standard, member) in OPERATIONS {
        if heard.member(member).is_some() {
            standards.push_str(if standards.is_empty() { "" } else { "," });
            standards.push_str(standard);
        }
    }
    add("Mode", mode);
    add("Channel", &if channel == 0 { String::new() } else { channel.to_string() });
    add("OperatingFrequencyBand", band);
    add("SupportedStandards", &standards);
    add("OperatingStandards", &standards);
    add("OperatingChannelBandwidth", width(heard));
    if let Some(encryption) = heard.member("encryption") {
        add("SecurityModeEnabled", security(encryption));
        add("EncryptionMode", ciphers(encryption));
    }
}

/// Returns a number of an answer.
fn whole(value: Value<'_>, name: &str) -> Option<i64> {
    match value.member(name) {
        Some(Value::Whole(number)) => Some(number),
        _ => None,
    }
}

/// Returns a text of an answer; the empty one if it is not there.
fn text<'v>(value: Value<'v>, name: &str) -> Cow<'v, str> {
    value.member(name).and_then(Value::text).unwrap_or_default()
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

/// Returns the width of the channel: that of VHT, or of HT where VHT leaves it to HT; empty for an unknown one.
fn width(heard: Value<'_>) -> &'static str {
    let of = |name: &str| heard.member(name).and_then(|operation| whole(operation, "channel_width"));
    match (of("vht_operation"), of("ht_operation")) {
        (Some(80), _) => "80MHz",
        (Some(160 | 8080), _) => "160MHz",
        (_, Some(20)) => "20MHz",
        (_, Some(40 | 2040)) => "40MHz",
        _ => "",
    }
}

/// Returns true if a list of an answer has a word that begins so.
fn lists(value: Value<'_>, list: &str, prefix: &str) -> bool {
    let mut elements = value.member(list).and_then(Value::elements).into_iter().flatten();
    elements.any(|(_, word)| word.text().is_some_and(|word| word.starts_with(prefix)))
}

/// Returns the mode of security by the name in the data model; empty for one that it does not have.
fn security(encryption: Value<'_>) -> &'static str {
    if encryption.member("enabled") != Some(Value::Boolean(true)) {
        return "None";
    }
    let [one, two, three] = ["1", "2", "3"].map(|version| lists(encryption, "wpa", version));
    let uses = |suite| lists(encryption, "authentication", suite);
    if !one && !two && !three {
        return if encryption.member("wep").is_some() { "WEP" } else { "" };
    }
    if uses("802.1x") {
        return match (one, two, three) {
            (_, _, true) => "WPA3-Enterprise",
            (true, true, _) => "WPA-WPA2-Enterprise",
            (true, ..) => "WPA-Enterprise",
            _ => "WPA2-Enterprise",
        };
    }
    match (one, two) {
        _ if uses("owe") => "OWE",
        _ if uses("sae") && uses("psk") => "WPA2-PSK-WPA3-SAE",
        _ if uses("sae") => "WPA3-SAE",
        (true, true) => "WPA-WPA2",
        (true, false) => "WPA",
        (false, true) => "WPA2",
        (false, false) => "",
    }
}

/// Returns the ciphers by the names in the data model.
fn ciphers(encryption: Value<'_>) -> &'static str {
    let has = |prefix| lists(encryption, "ciphers", prefix);
    match (has("tkip"), has("ccmp") || has("gcmp")) {
        (true, true) => "TKIP,AES",
        (true, false) => "TKIP",
        (false, true) => "AES",
        (false, false) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::blob::{ARRAY, BOOLEAN, TABLE, TEXT, WHOLE_32, put_element};

    fn put_text(bytes: &mut Vec<u8>, name: &str, text: &str) {
        put_element(bytes, TEXT, name, &[text.as_bytes(), b"\0"].concat());
    }

    /// A network with this encryption: the versions of WPA, and the suites.
    fn heard(bssid: &str, signal: i32, wpa: &[i32], suites: &[&str]) -> Vec<u8> {
        let (mut encryption, mut versions, mut names) = (Vec::new(), Vec::new(), Vec::new());
        wpa.iter().for_each(|version| put_element(&mut versions, WHOLE_32, "", &version.to_be_bytes()));
        suites.iter().for_each(|suite| put_text(&mut names, "", suite));
        put_element(&mut encryption, BOOLEAN, "enabled", &[u8::from(!wpa.is_empty())]);
        put_element(&mut encryption, ARRAY, "wpa", &versions);
        put_element(&mut encryption, ARRAY, "authentication", &names);
        let mut network = Vec::new();
        put_text(&mut network, "bssid", bssid);
        put_text(&mut network, "ssid", "a\u{1b}b");
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
        let (mut networks, mut results) = (Vec::new(), Results::new());
        add_networks(&mut networks, &answer(&heard), "Device.WiFi.Radio.2");
        add_results(&mut results, networks);
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
            let mut networks = Vec::new();
            add_networks(&mut networks, &blob, "r");
            assert!(networks[0].fields.contains(&("SecurityModeEnabled".into(), mode.into())), "{wpa:?} {suites:?}");
        }
    }
}
