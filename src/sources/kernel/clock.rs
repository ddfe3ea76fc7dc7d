//! The provider `clock`: local time, time zone, and the state of the time service.

use std::fs;

use crate::model::date_time::DateTime;
use crate::model::source::Row;
use crate::time_zone::LocalZone;

/// The directory of systemd-timesyncd, and the file in it that is there once the clock is synchronized.
const SERVICE: &str = "/run/systemd/timesync";
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// Returns the values of the clock. Other time services than that of systemd leave no trace in files, so that their state
/// is unknown.
pub(super) fn row(wall: i64) -> Row {
    // A zone that cannot be read is reported at the start of the agent.
    let (zone, _) = LocalZone::load();
    let mut row = Row::default();
    row.set("local_time", DateTime::from_unix(wall, zone.offset_minutes(wall)).to_string());
    row.set("zone", zone.rule());
    let exists = |path| fs::exists(path).unwrap_or(false);
    if exists(SERVICE) {
        row.set("synchronized", if exists(SYNCHRONIZED) { "1" } else { "0" });
    }
    row
}
