//! The check of the device's clock, alone and against that of the ACS.

use super::finding::Finding;
use crate::clock::Now;
use crate::model::date_time::DateTime;

/// The largest difference in seconds without a warning: NTP keeps a clock far more exactly, and a response takes less
/// time to arrive.
const TOLERANCE: u64 = 60;

/// Reports whether the clock is set (R32).
pub(super) fn own(now: Now) -> Finding {
    let shown = DateTime::from_unix(now.wall, 0);
    match now.clock_is_set() {
        true => Finding::ok("clock", format!("{shown}")),
        false => {
            let text = format!("{shown}: the clock is not set; until then the dates of certificates are not checked");
            Finding::warning("clock", text)
        }
    }
}

/// Compares the clock with the `Date` of a response (RFC 9110 §6.6.1); `wall` is the time at which it arrived.
pub(super) fn beside_acs(date: Option<&str>, wall: i64) -> Finding {
    let subject = "clock of ACS";
    let Some(date) = date else {
        return Finding::skipped(subject, "the response has no Date to compare the clock with");
    };
    let Some(theirs) = http_date(date) else {
        return Finding::skipped(subject, format!("its Date cannot be read: {date}"));
    };
    let difference = theirs.unix().saturating_sub(wall);
    let seconds = difference.unsigned_abs();
    let direction = if difference < 0 { "ahead of" } else { "behind" };
    // `Date` has whole seconds, and the response was on its way: one second of difference means nothing.
    match seconds {
        0..=1 => Finding::ok(subject, format!("agrees with the local clock, {theirs}")),
        2..=TOLERANCE => Finding::ok(subject, format!("{theirs}: the local clock is {seconds} s {direction} it")),
        _ => Finding::warning(
            subject,
            format!("{theirs}: the local clock is {seconds} s {direction} it; one of them is wrong"),
        ),
    }
}

/// Parses a date such as `Sun, 06 Nov 1994 08:49:37 GMT`. Servers no longer send the two obsolete forms (RFC 9110
/// §5.6.7).
fn http_date(text: &str) -> Option<DateTime> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.trim().split_once(", ")?;
    let mut words = rest.split(' ');
    let (day, month, year, time, zone) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    if zone != "GMT" || words.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    DateTime::parse(&format!("{year}-{month:02}-{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const UNIX: i64 = 784_111_777;

    #[test]
    fn a_date_of_http_is_read() {
        assert_eq!(http_date(DATE).map(|date| date.unix()), Some(UNIX));
        for cut in 0..DATE.len() {
            assert_eq!(http_date(&DATE[..cut]), None, "{}", &DATE[..cut]);
        }
        let wrong = ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 CET"];
        for text in wrong.into_iter().chain(["Sun, 36 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT x"]) {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn the_offset_is_told_with_its_direction() {
        let lines = [
            (UNIX, "ok       clock of ACS   agrees with the local clock, 1994-11-06T08:49:37Z"),
            (UNIX + 30, "ok       clock of ACS   1994-11-06T08:49:37Z: the local clock is 30 s ahead of it"),
            (
                UNIX - 61,
                "warning  clock of ACS   1994-11-06T08:49:37Z: the local clock is 61 s behind it; one of them is wrong",
            ),
        ];
        for (wall, line) in lines {
            assert_eq!(beside_acs(Some(DATE), wall).to_string(), line);
        }
        assert!(beside_acs(None, UNIX).to_string().starts_with("skipped"));
        assert!(beside_acs(Some("tomorrow"), UNIX).to_string().starts_with("skipped"));
    }

    #[test]
    fn a_clock_that_nobody_has_set() {
        let at = |wall| own(Now { monotonic: Duration::ZERO, wall }).to_string();
        assert!(at(12).starts_with("warning  clock          1970-01-01T00:00:12Z: the clock is not set"));
        assert_eq!(at(1_800_000_000), "ok       clock          2027-01-15T08:00:00Z");
    }
}
