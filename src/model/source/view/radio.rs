//! Views of the settings of radios.

use super::{Texts, Viewed};
use crate::model::source::convert::boolean;

/// The generations of WiFi in `htmode`, with the standard that each adds.
pub(super) const GENERATIONS: [(&str, &str); 5] =
    [("NOHT", ""), ("HT", "n"), ("VHT", "ac"), ("HE", "ax"), ("EHT", "be")];

/// The standards of a band from before the generations, and those that exist in it. `b` needs `legacy_rates`.
const BANDS: [(&str, &[&str], &[&str]); 3] =
    [("2g", &["b", "g"], &["n", "ax", "be"]), ("5g", &["a"], &["n", "ac", "ax", "be"]), ("6g", &[], &["ax", "be"])];

/// Returns the place of a mode among the generations, and its bandwidth: none in `NOHT`.
pub(super) fn generation(mode: &str) -> Option<(usize, &str)> {
    let end = mode.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(mode.len());
    let (name, width) = mode.split_at(end);
    let at = GENERATIONS.iter().position(|(known, _)| *known == name)?;
    // `HT40+` and `HT40-` tell the place of the second channel.
    let width = width.trim_end_matches(['+', '-']);
    let fits = if at == 0 { width.is_empty() } else { ["20", "40", "80", "160", "320"].contains(&width) };
    fits.then_some((at, width))
}

pub(super) fn bandwidth(texts: &Texts<'_>) -> Viewed {
    let Some(mode) = texts[0] else { return Ok(None) };
    Ok(Some(megahertz(generation(mode).ok_or(mode)?.1)))
}

/// Returns the words of TR-181 for a bandwidth.
pub(super) fn megahertz(width: &str) -> String {
    match width {
        "" => "20MHz".to_owned(),
        // OpenWrt takes the channels of the first of the two plans of TR-181.
        "320" => "320MHz-1".to_owned(),
        width => format!("{width}MHz"),
    }
}

/// Returns the bandwidths of several modes, each once. A mode that TR-181 does not have counts for nothing.
pub(super) fn bandwidths(texts: &Texts<'_>) -> Viewed {
    let Some(modes) = texts[0] else { return Ok(None) };
    let mut found: Vec<String> = Vec::new();
    for width in modes.split_whitespace().filter_map(|mode| Some(megahertz(generation(mode)?.1))) {
        if !found.contains(&width) {
            found.push(width);
        }
    }
    Ok(Some(found.join(",")))
}

/// Returns the standard that a station uses: the newest one whose flag is set, or that of the band.
pub(super) fn standard(texts: &Texts<'_>) -> Viewed {
    let newest = ["be", "ax", "ac", "n"].iter().zip(texts).find(|(_, flag)| **flag == Some("true"));
    let of_band = match texts[4] {
        Some("2g") => Some("g"),
        Some("5g") => Some("a"),
        _ => None,
    };
    Ok(newest.map(|(standard, _)| *standard).or(of_band).map(str::to_owned))
}

/// Returns the retransmissions among 100 packets to a station, of all since it came.
pub(super) fn retransmissions(texts: &Texts<'_>) -> Viewed {
    let (Some(retries), Some(packets)) = (texts[0], texts[1]) else { return Ok(None) };
    let number = |text: &str| text.parse::<u64>().map_err(|_| text.to_owned());
    let share = number(retries)?.saturating_mul(100) / number(packets)?.max(1);
    Ok(Some(share.min(100).to_string()))
}

pub(super) fn standards(texts: &Texts<'_>) -> Viewed {
    let Some(mode) = texts[0] else { return Ok(None) };
    let (newest, _) = generation(mode).ok_or(mode)?;
    let has_b = texts[2].and_then(boolean) == Some(true);
    let band = BANDS.iter().find(|(band, ..)| Some(*band) == texts[1]);
    let in_band = |standard: &&str| band.is_none_or(|(_, _, standards)| standards.contains(standard));
    let legacy = band.map_or(&[][..], |(_, legacy, _)| legacy).iter().copied().filter(|name| *name != "b" || has_b);
    let later = GENERATIONS[1..=newest].iter().map(|(_, standard)| *standard).filter(in_band);
    Ok(Some(legacy.chain(later).collect::<Vec<_>>().join(",")))
}

/// Returns the state of a radio of netifd.
pub(super) fn radio_status(texts: &Texts<'_>) -> Viewed {
    let words = ["Up", "Dormant", "Error"].iter().zip(texts);
    let status = words.filter(|(_, flag)| **flag == Some("true")).map(|(word, _)| *word).next();
    Ok(Some(status.unwrap_or("Down").to_owned()))
}

/// The share of the greatest power in percent, by the dB below it.
const PERCENT: [u8; 21] = [100, 79, 63, 50, 40, 32, 25, 20, 16, 13, 10, 8, 6, 5, 4, 3, 3, 2, 2, 1, 1];

/// Returns the powers of a radio, of which the last one is the greatest.
pub(super) fn powers(text: Option<&str>) -> Result<Vec<i32>, String> {
    let mut powers = Vec::new();
    for word in text.unwrap_or_default().split_whitespace() {
        powers.push(word.parse().map_err(|_| word.to_owned())?);
    }
    powers.sort_unstable();
    Ok(powers)
}

/// Returns the share of a power in the greatest one, both in dBm. A radio that sends has more than none.
pub(super) fn share(power: i32, greatest: i32) -> u8 {
    let below = usize::try_from(greatest.saturating_sub(power)).unwrap_or(0);
    *PERCENT.get(below).unwrap_or(&1)
}

/// Returns the power of a radio in percent of the greatest one that it has. Without a power the radio uses the greatest.
pub(super) fn percent(texts: &Texts<'_>) -> Viewed {
    let Some(text) = texts[0] else { return Ok(Some("100".to_owned())) };
    let power = text.parse().map_err(|_| text.to_owned())?;
    Ok(powers(texts[1])?.last().map(|greatest| share(power, *greatest).to_string()))
}

/// Returns the percentages of all powers, each once.
pub(super) fn percents(texts: &Texts<'_>) -> Viewed {
    let powers = powers(texts[0])?;
    let Some(greatest) = powers.last() else { return Ok(None) };
    let mut shares: Vec<u8> = powers.iter().map(|power| share(*power, *greatest)).collect();
    shares.dedup();
    Ok(Some(shares.iter().map(u8::to_string).collect::<Vec<_>>().join(",")))
}
