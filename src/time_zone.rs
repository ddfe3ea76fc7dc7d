//! The local time zone: the offset of local time from UTC at an instant (R97).
//!
//! The zone is the first of these that can be read: the variable `TZ`, `/etc/TZ` (OpenWrt), `/etc/localtime`, UTC. The C
//! library uses the same order.

use crate::foreign_text::Quoted;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The bytes of a zone file that are read. Real files have a few kilobytes.
const MAX_ZONE_FILE: u64 = 64 * 1024;

/// The rules of the local time zone. The zone of a device may change, so that callers load it again from time to time.
#[derive(Clone, Debug)]
pub struct LocalZone {
    zone: tz::TimeZone,
    /// The zone as a POSIX rule; empty for a zone file without one.
    rule: Box<str>,
}

impl LocalZone {
    /// Returns UTC, for a device without a zone.
    pub fn utc() -> LocalZone {
        LocalZone { zone: tz::TimeZone::utc(), rule: "UTC0".into() }
    }

    /// Loads the zone of this device from the environment and files. Returns a warning as well if a source of the zone is
    /// there, but cannot be read.
    pub fn load() -> (LocalZone, Option<String>) {
        let variable = std::env::var_os("TZ").map(|text| text.to_string_lossy().into_owned());
        LocalZone::load_from(variable.as_deref(), Path::new("/etc"))
    }

    /// Loads the zone from the content of `TZ` and the files in `etc`.
    fn load_from(variable: Option<&str>, etc: &Path) -> (LocalZone, Option<String>) {
        if let Some(text) = variable {
            // POSIX does not define an empty or wrong TZ; every C library reads it as UTC. An empty one means UTC by
            // intention.
            let is_wrong = || !text.trim_ascii().is_empty();
            return match LocalZone::parse(text) {
                Some(zone) => (zone, None),
                None => (LocalZone::utc(), is_wrong().then(|| unreadable(&format!("TZ={text}")))),
            };
        }
        let mut warning = None;
        for name in ["TZ", "localtime"] {
            // A missing or empty file is usual on a device without a zone.
            let Some(bytes) = read(&etc.join(name)).filter(|bytes| !bytes.trim_ascii().is_empty()) else { continue };
            let zone = match name {
                "TZ" => std::str::from_utf8(&bytes).ok().and_then(LocalZone::parse),
                _ => LocalZone::from_file(&bytes),
            };
            match zone {
                Some(zone) => return (zone, warning),
                None => warning = Some(unreadable(&etc.join(name).to_string_lossy())),
            }
        }
        (LocalZone::utc(), warning)
    }

    /// Reads the content of `TZ`: a POSIX rule (`CET-1CEST,M3.5.0,M10.5.0/3`), or the name or path of a zone file, with or
    /// without a leading colon.
    fn parse(text: &str) -> Option<LocalZone> {
        let text = text.trim_ascii();
        // A device without zone files has no file for this name, which is the default of OpenWrt.
        if text == "UTC" || text == "GMT" {
            return Some(LocalZone::utc());
        }
        LocalZone::from_rule(text).or_else(|| {
            // The name or path of a zone file. The rule in it is not kept: the library reads the file itself.
            Some(LocalZone { zone: tz::TimeZone::from_posix_tz(text).ok()?, rule: Box::default() })
        })
    }

    /// Reads a POSIX rule whose hours may be -167 to 167, as POSIX allows since 2024: `IST-2IDT,M3.4.4/26,M10.5.0`.
    fn from_rule(rule: &str) -> Option<LocalZone> {
        // tz-rs takes such hours in the footer of a zone file of version 3 alone (RFC 8536, 3.3.1). This file has a
        // single type and no transitions, so that its rule decides for every instant.
        let mut block = b"TZif3".to_vec();
        block.extend([0; 15]);
        block.extend([0u32, 0, 0, 0, 1, 4].iter().flat_map(|count| count.to_be_bytes()));
        block.extend(*b"\0\0\0\0\0\0UTC\0");
        LocalZone::from_file(&[block.repeat(2), format!("\n{rule}\n").into_bytes()].concat())
    }

    /// Reads the content of a zone file (RFC 8536).
    fn from_file(bytes: &[u8]) -> Option<LocalZone> {
        // tz-rs multiplies the counts of a header unchecked, which overflows on 32 bits if the header is damaged.
        let mut headers = bytes.windows(44).filter(|header| header.starts_with(b"TZif"));
        let is_credible = |count: &[u8]| count < (MAX_ZONE_FILE as u32).to_be_bytes().as_slice();
        if !headers.all(|header| header[20..].chunks_exact(4).all(is_credible)) {
            return None;
        }
        let zone = tz::TimeZone::from_tz_data(bytes).ok()?;
        // The last line of a file of version 2 or later is the rule for all later instants (RFC 8536, 3.3).
        let last = bytes.strip_suffix(b"\n").and_then(|bytes| bytes.rsplit(|byte| *byte == b'\n').next());
        let rule = last.filter(|line| line.len() < 256).and_then(|line| std::str::from_utf8(line).ok());
        let rule = rule.filter(|rule| rule.is_ascii() && !rule.contains(|c: char| c.is_ascii_control()));
        Some(LocalZone { zone, rule: rule.unwrap_or_default().into() })
    }

    /// Returns the zone as a POSIX rule, such as `CET-1CEST,M3.5.0,M10.5.0/3`; empty where only a zone file without a rule
    /// describes it.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Returns the minutes by which local time is ahead of UTC at `unix` seconds since the epoch, with daylight saving
    /// time. If the rules do not cover the instant, the offset is 0.
    pub fn offset_minutes(&self, unix: i64) -> i32 {
        self.zone.find_local_time_type(unix).map_or(0, |local| local.ut_offset().div_euclid(60))
    }
}

/// Returns the warning about a zone that cannot be read.
fn unreadable(source: &str) -> String {
    format!("the time zone cannot be read: {} is neither a POSIX rule nor a zone file", Quoted(source))
}

/// Reads the beginning of a file.
fn read(path: &Path) -> Option<Vec<u8>> {
    // The limit keeps a wrong link, such as one to a device file, from filling the memory.
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_ZONE_FILE).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::date_time::DateTime;

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn at(text: &str) -> i64 {
        DateTime::parse(text).expect("a dateTime").unix()
    }

    fn zone(variable: Option<&str>, files: &[(&str, &[u8])]) -> LocalZone {
        zone_and_warning(variable, files).0
    }

    fn zone_and_warning(variable: Option<&str>, files: &[(&str, &[u8])]) -> (LocalZone, Option<String>) {
        let etc = tempfile::tempdir().expect("a temporary directory");
        for (name, content) in files {
            std::fs::write(etc.path().join(name), content).expect("a file");
        }
        LocalZone::load_from(variable, etc.path())
    }

    #[test]
    fn daylight_saving_changes_the_offset_at_the_right_second() {
        let berlin = zone(Some(BERLIN), &[]);
        assert_eq!(berlin.offset_minutes(at("2026-11-22T14:04:05Z")), 60);
        assert_eq!(berlin.offset_minutes(at("2026-03-29T00:59:59Z")), 60);
        assert_eq!(berlin.offset_minutes(at("2026-03-29T01:00:00Z")), 120);
        assert_eq!(berlin.offset_minutes(at("2026-10-25T00:59:59Z")), 120);
        assert_eq!(berlin.offset_minutes(at("2026-10-25T01:00:00Z")), 60);
        // Past 2038, and for every moment a 64-bit second can name.
        assert_eq!(berlin.offset_minutes(at("2050-07-01T00:00:00Z")), 120);
        for extreme in [i64::MIN, i64::MAX, 0] {
            assert!((-840..=840).contains(&berlin.offset_minutes(extreme)));
        }
    }

    #[test]
    fn the_rule_of_a_zone_is_known() {
        assert_eq!(zone(Some(BERLIN), &[]).rule(), BERLIN);
        assert_eq!(zone(None, &[("TZ", format!("{BERLIN}\n").as_bytes())]).rule(), BERLIN);
        assert_eq!(zone(None, &[]).rule(), "UTC0");
        if let Ok(file) = std::fs::read("/usr/share/zoneinfo/Europe/Berlin") {
            assert_eq!(zone(None, &[("localtime", &file)]).rule(), BERLIN);
        }
    }

    #[test]
    fn half_hours_and_the_west() {
        let newfoundland = zone(Some("NST3:30NDT,M3.2.0,M11.1.0"), &[]);
        assert_eq!(newfoundland.offset_minutes(at("2026-01-01T00:00:00Z")), -210);
        assert_eq!(zone(Some("<+0545>-5:45"), &[]).offset_minutes(0), 345);
    }

    /// The rules of Jerusalem, Gaza and Nuuk, as the zone files of the year 2026 have them.
    #[test]
    fn hours_beyond_the_day() {
        for (rule, before_summer, winter, summer) in [
            ("IST-2IDT,M3.4.4/26,M10.5.0", "2026-03-26T23:59:59Z", 120, 180),
            ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-27T23:59:59Z", 120, 180),
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -120, -60),
        ] {
            for files in [&[][..], &[("TZ", rule.as_bytes())]] {
                let (zone, warning) = zone_and_warning(files.is_empty().then_some(rule), files);
                assert_eq!(warning, None, "{rule}");
                let change = at(before_summer);
                assert_eq!(zone.offset_minutes(change), winter, "{rule}");
                assert_eq!(zone.offset_minutes(change + 1), summer, "{rule}");
                assert_eq!(zone.offset_minutes(at("2026-12-01T00:00:00Z")), winter, "{rule}");
            }
        }
        for wrong in ["IST-2IDT,M3.4.4/168,M10.5.0", "IST-2IDT,M3.4.4/-168,M10.5.0", "IST-2IDT,M3.4.4/26"] {
            assert!(zone_and_warning(Some(wrong), &[]).1.is_some(), "{wrong}");
        }
    }

    #[test]
    fn a_zone_that_cannot_be_read_is_warned_of() {
        let warning = |variable, files| zone_and_warning(variable, files).1;
        assert!(warning(Some("Moon/Sea"), &[]).is_some_and(|text| text.contains("Moon/Sea")));
        assert!(warning(None, &[("TZ", b"Moon/Sea\n")]).is_some_and(|text| text.contains("/TZ")));
        assert!(warning(None, &[("localtime", b"TZif2 and nothing more")]).is_some());
        for (variable, files) in [
            (None, &[][..]),
            (Some(""), &[]),
            (Some("UTC"), &[]),
            (None, &[("TZ", b"UTC\n".as_slice())]),
            (None, &[("TZ", b"\n".as_slice())]),
        ] {
            assert_eq!(warning(variable, files), None, "{variable:?} {files:?}");
        }
    }

    #[test]
    fn openwrt_keeps_a_posix_rule_in_etc_tz() {
        let openwrt = zone(None, &[("TZ", format!("{BERLIN}\n").as_bytes())]);
        assert_eq!(openwrt.offset_minutes(at("2026-07-01T00:00:00Z")), 120);
    }

    #[test]
    fn the_variable_wins_over_the_files() {
        let zone = zone(Some("EST5"), &[("TZ", BERLIN.as_bytes())]);
        assert_eq!(zone.offset_minutes(at("2026-07-01T00:00:00Z")), -300);
    }

    #[test]
    fn localtime_is_a_zone_file() {
        let local = zone(None, &[("localtime", &tzif(BERLIN))]);
        assert_eq!(local.offset_minutes(at("2026-07-01T00:00:00Z")), 120);
        assert_eq!(local.offset_minutes(at("2026-01-01T00:00:00Z")), 60);
    }

    #[test]
    fn a_damaged_source_falls_through_to_the_next() {
        let local = zone(None, &[("TZ", b"\xff\xfe"), ("localtime", &tzif("JST-9"))]);
        assert_eq!(local.offset_minutes(0), 540);
        assert_eq!(zone(None, &[("localtime", b"TZif2 and nothing more")]).offset_minutes(0), 0);
        assert_eq!(zone(None, &[]).offset_minutes(0), 0);
        for variable in ["", "   ", "no such zone", ":", "\0", "M3.5.0", "CET-1CEST,"] {
            assert_eq!(zone(Some(variable), &[("TZ", BERLIN.as_bytes())]).offset_minutes(0), 0, "{variable:?}");
        }
    }

    #[test]
    fn no_damage_to_a_zone_file_panics() {
        let whole = tzif(BERLIN);
        for end in 0..whole.len() {
            let _ = zone(None, &[("localtime", &whole[..end])]).offset_minutes(1_795_356_245);
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            if let Some(zone) = LocalZone::from_file(&bytes) {
                let _ = zone.offset_minutes(1_795_356_245);
            }
        }
    }

    /// A version 2 zone file (RFC 8536) without transitions: one type, and the rule in its footer.
    fn tzif(rule: &str) -> Vec<u8> {
        let offset = if rule.starts_with("JST") { 32_400i32 } else { 3600 };
        let abbreviation: &[u8] = if rule.starts_with("JST") { b"JST\0" } else { b"CET\0" };
        let mut block = b"TZif2".to_vec();
        block.extend([0; 15]);
        for count in [0u32, 0, 0, 0, 1, 4] {
            block.extend(count.to_be_bytes());
        }
        block.extend(offset.to_be_bytes());
        block.extend([0, 0]);
        block.extend(abbreviation);
        let mut file = block.repeat(2);
        file.extend(format!("\n{rule}\n").as_bytes());
        file
    }
}
