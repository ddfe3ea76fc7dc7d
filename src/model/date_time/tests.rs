//! `dateTime` literals read back, and the calendar has no gap.

use super::*;

fn parsed(text: &str) -> DateTime {
    DateTime::parse(text).unwrap_or_else(|| panic!("{text} is a dateTime"))
}

#[test]
fn fits_sixteen_bytes() {
    assert_eq!(size_of::<DateTime>(), 16);
}

/// R326: with fractions of a second too, as GenieACS sends them.
#[test]
fn reads_back_as_written() {
    for text in [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0001-01-03T03:04:05",
        "2026-11-22T15:04:05+01:00",
        "2026-11-22T15:04:05-03:30",
        "2026-11-22T15:04:05+00:00",
        "2026-11-22T15:04:05-00:00",
        "2026-11-22T15:04:05+14:00",
        "2026-11-22T15:04:05-14:00",
        "2026-11-22T15:04:05.000Z",
        "2026-11-22T15:04:05.5",
        "2008-04-09T15:01:05.123456Z",
        "2008-04-09T15:01:05.000000001+05:45",
        "2000-02-29T00:00:00Z",
        "2024-02-29T23:59:59Z",
    ] {
        assert_eq!(parsed(text).to_string(), text);
    }
}

#[test]
fn normalises_what_the_module_says_and_nothing_else() {
    assert_eq!(parsed("2026-12-31T24:00:00Z").to_string(), "2027-01-01T00:00:00Z");
    assert_eq!(parsed("2024-02-28T24:00:00.0Z").to_string(), "2024-02-29T00:00:00.0Z");
    assert_eq!(parsed("2026-01-01T00:00:00.1234567899Z").to_string(), "2026-01-01T00:00:00.123456789Z");
}

#[test]
fn refuses_what_is_no_date_time() {
    for text in [
        "",
        "2026",
        "2026-11-22",
        "2026-11-22 15:04:05",
        "2026-11-22t15:04:05Z",
        "2026-11-22T15:04:05z",
        "2026-11-22T15:04Z",
        "2026-11-22T15:04:60Z",
        "2026-11-22T15:60:00Z",
        "2026-11-22T24:00:01Z",
        "2026-11-22T24:00:00.1Z",
        "2026-11-22T25:00:00Z",
        "2026-00-22T15:04:05Z",
        "2026-13-22T15:04:05Z",
        "2026-11-00T15:04:05Z",
        "2026-11-31T15:04:05Z",
        "2026-02-29T15:04:05Z",
        "1900-02-29T15:04:05Z",
        "0000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "9999-12-31T24:00:00Z",
        "+026-11-22T15:04:05Z",
        "2026-11-22T15:04:05.Z",
        "2026-11-22T15:04:05.1x",
        "2026-11-22T15:04:05+1:00",
        "2026-11-22T15:04:05+14:01",
        "2026-11-22T15:04:05+01:60",
        "2026-11-22T15:04:05+0100",
        "2026-11-22T15:04:05ZZ",
        " 2026-11-22T15:04:05Z",
        "2026-11-22T15:04:05Z ",
        "２026-11-22T15:04:05Z",
    ] {
        assert_eq!(DateTime::parse(text), None, "{text:?}");
    }
    let long = format!("2026-11-22T15:04:05.{}Z", "0".repeat(100));
    assert_eq!(DateTime::parse(&long), None);
}

#[test]
fn every_truncation_and_every_changed_byte_is_read_or_refused() {
    let text = "2026-11-22T15:04:05.123+01:00";
    for end in 0..text.len() {
        if let Some(value) = DateTime::parse(&text[..end]) {
            assert_eq!(value.to_string(), text[..end]);
        }
    }
    for at in 0..text.len() {
        for byte in 0..128u8 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = byte;
            let changed = String::from_utf8(bytes).expect("ASCII only");
            if let Some(value) = DateTime::parse(&changed) {
                assert_eq!(value.to_string(), changed);
            }
        }
    }
}

#[test]
fn counts_seconds_from_the_epoch() {
    for (text, seconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59Z", -1),
        ("2000-02-29T12:00:00Z", 951_825_600),
        ("2026-11-22T15:04:05+01:00", 1_795_356_245),
        // One second beyond a signed 32-bit time_t.
        ("2038-01-19T03:14:08Z", 2_147_483_648),
        ("2106-02-07T06:28:16Z", 4_294_967_296),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
        ("0001-01-01T00:00:00Z", -62_135_596_800),
    ] {
        assert_eq!(parsed(text).unix(), seconds, "{text}");
    }
}

#[test]
fn instants_survive_the_round_trip_over_ten_thousand_years() {
    let step = 86_400 * 53 + 12_347;
    let mut seconds = DateTime::UNKNOWN.unix() + 86_400;
    while seconds < DateTime::INFINITE.unix() - 86_400 {
        for offset in [0, 60, -210, 345, 840, -840] {
            let value = DateTime::from_unix(seconds, offset);
            assert_eq!(value.unix(), seconds);
            assert_eq!(parsed(&value.to_string()), value);
        }
        seconds += step;
    }
}

#[test]
fn the_calendar_has_no_gap_and_no_double() {
    let mut next = (1, 1, 1);
    for days in 0..3_652_059 {
        assert_eq!(civil_from_days(days), next);
        let (year, month, day) = next;
        assert_eq!(days_from_civil(year as u32, month as u32, day as u32), days);
        next = match day < i64::from(days_in_month(year as u32, month as u32)) {
            true => (year, month, day + 1),
            false if month < 12 => (year, month + 1, 1),
            false => (year + 1, 1, 1),
        };
    }
    assert_eq!(next, (10_000, 1, 1));
}

#[test]
fn local_time_carries_its_offset() {
    // R97
    assert_eq!(DateTime::from_unix(1_795_356_245, 60).to_string(), "2026-11-22T15:04:05+01:00");
    assert_eq!(DateTime::from_unix(1_795_356_245, -210).to_string(), "2026-11-22T10:34:05-03:30");
    assert_eq!(DateTime::from_unix(1_795_356_245, 0).to_string(), "2026-11-22T14:04:05Z");
}

#[test]
fn what_no_text_can_say_is_brought_inside() {
    assert_eq!(DateTime::from_unix(i64::MAX, 0), DateTime::INFINITE);
    assert_eq!(DateTime::from_unix(i64::MIN, 0), DateTime::UNKNOWN);
    assert_eq!(DateTime::from_unix(i64::MIN, i32::MIN).to_string(), "0001-01-01T00:00:00-14:00");
    assert_eq!(DateTime::from_unix(i64::MAX, i32::MAX).to_string(), "9999-12-31T23:59:59+14:00");
}

#[test]
fn time_since_boot_has_no_zone() {
    // TR-106 §3.2.2: 2 days, 3 hours, 4 minutes and 5 seconds.
    let uptime = Duration::from_secs(2 * 86_400 + 3 * 3600 + 4 * 60 + 5);
    let value = DateTime::since_boot(uptime);
    assert_eq!(value.to_string(), "0001-01-03T03:04:05");
    assert!(value.is_since_boot() && !value.is_unknown());
    assert!(!DateTime::since_boot(Duration::ZERO).is_unknown());
    assert_eq!(DateTime::since_boot(Duration::MAX).to_string(), "0999-12-31T23:59:59");
    assert!(!parsed("1000-01-01T00:00:00").is_since_boot());
}

/// R326.
#[test]
fn unknown_and_infinite_are_recognised_in_every_spelling() {
    for text in ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00-00:00"] {
        assert!(parsed(text).is_unknown(), "{text}");
    }
    assert!(!parsed("0001-01-01T00:00:01Z").is_unknown());
    assert!(!parsed("0001-01-01T00:00:00.1Z").is_unknown());
    assert!(parsed("9999-12-31T23:59:59+00:00").is_infinite());
    assert_eq!(DateTime::UNKNOWN.to_string(), "0001-01-01T00:00:00Z");
    assert_eq!(DateTime::INFINITE.to_string(), "9999-12-31T23:59:59Z");
}
