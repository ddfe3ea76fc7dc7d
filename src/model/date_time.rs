//! XML Schema `dateTime`, as TR-069 uses it (R326).
//!
//! A value reads back as it was written, with these exceptions:
//! - `24:00:00` becomes `00:00:00` of the next day;
//! - digits of the second beyond nanoseconds are cut off.
//!
//! This module reads neither a clock nor time zone data.

use std::fmt;
use std::time::Duration;

/// Days from 0001-01-01 to 1970-01-01 in the proleptic Gregorian calendar.
const DAYS_TO_EPOCH: i64 = 719_162;
const DAY: i64 = 86_400;
/// Seconds from 0001-01-01T00:00:00 to 1970-01-01T00:00:00.
const EPOCH: i64 = DAYS_TO_EPOCH * DAY;
/// Seconds from 0001-01-01T00:00:00 to the last second of 9999.
const LAST: i64 = 3_652_059 * DAY - 1;
/// Seconds from 0001-01-01T00:00:00 to the last second of the year 999. A later time without a zone is a date and not a
/// time since boot (TR-106 §3.2.2).
const LAST_SINCE_BOOT: i64 = 364_877 * DAY - 1;
/// The greatest offset of a zone in minutes: zones reach from -14:00 to +14:00 (XML Schema part 2, §3.2.7.3).
const MAX_OFFSET: i16 = 14 * 60;
/// The longest text that is read, in bytes. A row of fraction digits has no limit in XML Schema; a hostile one has here.
const MAX_TEXT: usize = 64;

/// A date and time of the years 0001 to 9999, in 16 bytes.
///
/// Two values are equal if their texts are; [`DateTime::same_instant`] compares the instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Seconds since 0001-01-01T00:00:00 of the written (local) time.
    local: i64,
    nanoseconds: u32,
    /// The number of fraction digits that were written, 0 to 9.
    digits: u8,
    zone: Zone,
}

/// The zone that was written after the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Zone {
    None,
    Utc,
    /// Ahead of UTC by these hours and minutes. A byte each keeps the whole value at 16 bytes.
    East(u8, u8),
    /// Behind UTC by these hours and minutes. `-00:00` is kept apart from `+00:00`, so that it reads back as written.
    West(u8, u8),
}

impl DateTime {
    /// The Unknown Time of TR-106, `0001-01-01T00:00:00Z` (R326).
    pub const UNKNOWN: DateTime = DateTime { local: 0, nanoseconds: 0, digits: 0, zone: Zone::Utc };

    /// The Infinite Time of TR-106, `9999-12-31T23:59:59Z` (R326).
    pub const INFINITE: DateTime = DateTime { local: LAST, nanoseconds: 0, digits: 0, zone: Zone::Utc };

    /// Reads the lexical form `CCYY-MM-DDThh:mm:ss[.f…][Z|±hh:mm]`, without white space around it.
    ///
    /// Returns `None` for any other text, for years outside 0001 to 9999, for dates that do not exist, and for leap
    /// seconds, which XML Schema does not have.
    pub fn parse(text: &str) -> Option<DateTime> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let mut rest = Cursor(text.as_bytes());
        let days = rest.date()?;
        rest.expect(b'T')?;
        let (hour, minute, second) = rest.time()?;
        let (nanoseconds, digits) = rest.fraction()?;
        let zone = rest.zone()?;
        // `24:00:00` is the midnight at the end of the day (XML Schema part 2, §3.2.7.1).
        let midnight = hour == 24 && minute == 0 && second == 0 && nanoseconds == 0;
        if !rest.0.is_empty() || (hour > 23 && !midnight) || minute > 59 || second > 59 {
            return None;
        }
        let local = days * DAY + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        // The midnight at the end of 9999 is outside the years that the text can write.
        (local <= LAST).then_some(DateTime { local, nanoseconds, digits, zone })
    }

    /// Returns the local time at `seconds` since the Unix epoch in a zone that is `offset_minutes` ahead of UTC (R97).
    ///
    /// An offset of 0 is written `Z`. A time outside the years 0001 to 9999, or an offset outside ±14:00, becomes the
    /// nearest one inside.
    pub fn from_unix(seconds: i64, offset_minutes: i32) -> DateTime {
        let minutes = offset_minutes.clamp(-i32::from(MAX_OFFSET), i32::from(MAX_OFFSET));
        let local = seconds.saturating_add(EPOCH).saturating_add(i64::from(minutes) * 60).clamp(0, LAST);
        // At most 14 hours and 59 minutes, so that both fit a byte.
        let (hours, rest) = ((minutes.unsigned_abs() / 60) as u8, (minutes.unsigned_abs() % 60) as u8);
        let zone = match minutes {
            0 => Zone::Utc,
            1.. => Zone::East(hours, rest),
            _ => Zone::West(hours, rest),
        };
        DateTime { local, nanoseconds: 0, digits: 0, zone }
    }

    /// Returns the text of a time since the Unix epoch in UTC, to the microsecond (R315).
    pub fn utc_to_microsecond(since_epoch: Duration) -> String {
        let seconds = DateTime::from_unix(since_epoch.as_secs().try_into().unwrap_or(i64::MAX), 0).to_string();
        format!("{}.{:06}Z", seconds.trim_end_matches('Z'), since_epoch.subsec_micros())
    }

    /// Returns the time since boot, for a device without absolute time: `0001-01-01T00:00:00` plus the uptime in whole
    /// seconds, without a zone (R97, R326).
    pub fn since_boot(uptime: Duration) -> DateTime {
        let seconds = i64::try_from(uptime.as_secs()).unwrap_or(LAST_SINCE_BOOT);
        DateTime { local: seconds.min(LAST_SINCE_BOOT), nanoseconds: 0, digits: 0, zone: Zone::None }
    }

    /// Returns the seconds since the Unix epoch, without the fraction. A time without a zone is taken as UTC (R326).
    pub fn unix(&self) -> i64 {
        self.local - EPOCH - i64::from(self.offset_minutes()) * 60
    }

    /// Returns the fraction of the second in nanoseconds.
    pub fn subsec_nanos(&self) -> u32 {
        self.nanoseconds
    }

    /// Returns true if both are the same instant, as `…00Z` and `…00.000Z` are.
    pub fn same_instant(&self, other: &DateTime) -> bool {
        self.unix() == other.unix() && self.nanoseconds == other.nanoseconds
    }

    /// Returns true if this is the Unknown Time in any spelling. Without a zone it is not: that is the instant of boot.
    pub fn is_unknown(&self) -> bool {
        self.zone != Zone::None && self.same_instant(&DateTime::UNKNOWN)
    }

    /// Returns true if this is the Infinite Time in any spelling.
    pub fn is_infinite(&self) -> bool {
        self.zone != Zone::None && self.same_instant(&DateTime::INFINITE)
    }

    /// Returns true if this is a time since boot and not a date: no zone, and a year below 1000 (R326).
    pub fn is_since_boot(&self) -> bool {
        self.zone == Zone::None && self.local <= LAST_SINCE_BOOT
    }

    fn offset_minutes(&self) -> i16 {
        match self.zone {
            Zone::None | Zone::Utc => 0,
            Zone::East(hours, minutes) => i16::from(hours) * 60 + i16::from(minutes),
            Zone::West(hours, minutes) => -(i16::from(hours) * 60 + i16::from(minutes)),
        }
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.local / DAY);
        let second = self.local % DAY;
        // The formats of std cost ten times as much, and each lease, address and host has a time.
        let mut text = *b"0000-00-00T00:00:00";
        let times = [second / 3600, second / 60 % 60, second % 60];
        let numbers =
            [(0..4, year), (5..7, month), (8..10, day), (11..13, times[0]), (14..16, times[1]), (17..19, times[2])];
        for (place, mut number) in numbers {
            for digit in text[place].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())?;
        if self.digits > 0 {
            // Zeros at the end are part of the text, so that the value reads back as it was set.
            let digits = usize::from(self.digits);
            let written = self.nanoseconds / 10u32.pow(9 - u32::from(self.digits));
            write!(f, ".{written:0digits$}")?;
        }
        match self.zone {
            Zone::None => Ok(()),
            Zone::Utc => f.write_str("Z"),
            Zone::East(hours, minutes) => write!(f, "+{hours:02}:{minutes:02}"),
            Zone::West(hours, minutes) => write!(f, "-{hours:02}:{minutes:02}"),
        }
    }
}

/// The rest of the text that was not read yet.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// Reads a date; returns the days since 0001-01-01.
    fn date(&mut self) -> Option<i64> {
        let year = self.number(4)?;
        self.expect(b'-')?;
        let month = self.number(2)?;
        self.expect(b'-')?;
        let day = self.number(2)?;
        let exists = year >= 1 && (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
        exists.then(|| days_from_civil(year, month, day))
    }

    /// Reads hour, minute and second, whose ranges the caller checks.
    fn time(&mut self) -> Option<(u32, u32, u32)> {
        let hour = self.number(2)?;
        self.expect(b':')?;
        let minute = self.number(2)?;
        self.expect(b':')?;
        Some((hour, minute, self.number(2)?))
    }

    /// Reads the fraction; returns nanoseconds and the number of digits to keep, (0, 0) without a fraction.
    fn fraction(&mut self) -> Option<(u32, u8)> {
        if self.expect(b'.').is_none() {
            return Some((0, 0));
        }
        let written = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if written == 0 {
            return None;
        }
        // XML Schema has no limit for the digits. Those beyond nanoseconds are cut off.
        let kept = written.min(9);
        let digits = self.0[..kept].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        self.0 = &self.0[written..];
        // `kept` is 1 to 9, so that neither the power nor the product overflows.
        Some((digits * 10u32.pow(9 - kept as u32), kept as u8))
    }

    /// Reads the zone, which must be the rest of the text.
    fn zone(&mut self) -> Option<Zone> {
        if self.0.is_empty() {
            return Some(Zone::None);
        }
        if self.expect(b'Z').is_some() {
            return Some(Zone::Utc);
        }
        let east = self.expect(b'+').is_some();
        if !east {
            self.expect(b'-')?;
        }
        let hours = self.number(2)?;
        self.expect(b':')?;
        let minutes = self.number(2)?;
        if minutes > 59 || hours * 60 + minutes > MAX_OFFSET as u32 {
            return None;
        }
        // Two digits each, so that both fit a byte.
        let (hours, minutes) = (hours as u8, minutes as u8);
        Some(if east { Zone::East(hours, minutes) } else { Zone::West(hours, minutes) })
    }

    /// Reads exactly this many digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        if !head.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        Some(head.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
    }

    /// Reads this byte; returns `None` and reads nothing if another one follows.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 0001-01-01 to a date of the proleptic Gregorian calendar.
fn days_from_civil(year: u32, month: u32, day: u32) -> i64 {
    // The year begins in March, so that the leap day is its last day and the lengths of the months before it follow one
    // linear rule.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    // 0000-03-01 is 306 days before 0001-01-01.
    i64::from(days) - 306
}

/// Returns the date (year, month, day) of a day from 0 (0001-01-01) to 3652058 (9999-12-31): the inverse of
/// [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // The days of 400 years, after which the calendar repeats.
    const ERA: i64 = 146_097;
    let days = days + 306;
    let (era, day_of_era) = (days / ERA, days % ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / (ERA - 1)) / 365;
    let day_of_year = day_of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
    let month = (day_of_year * 5 + 2) / 153;
    let day = day_of_year - (month * 153 + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests;
