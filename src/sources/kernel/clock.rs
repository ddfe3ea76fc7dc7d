//! The provider `clock`: local time, time zone, and the state of the time service.

use std::fs;

use crate::model::date_time::DateTime;
use crate::model::source::Row;
use crate::time_zone::LocalZone;

/// The files of time services, and those that are there once the clock is synchronized: systemd-timesyncd, and ntpd on
/// OpenWrt, whose first answer of a server the hook of dnsmasq notes for DNSSEC.
const SERVICES: [(&str, &str); 2] = [
    ("/run/systemd/timesync", "/run/systemd/timesync/synchronized"),
    ("/etc/hotplug.d/ntp/25-dnsmasqsec", "/var/state/dnsmasqsec"),
];

/// Returns the values of the clock. Other time services leave no trace in files, so that their state is unknown.
pub(super) fn row(wall: i64) -> Row {
    // A zone that cannot be read is reported at the start of the agent.
    let (zone, _) = LocalZone::load();
    let mut row = Row::default();
    row.set("local_time", DateTime::from_unix(wall, zone.offset_minutes(wall)).to_string());
    row.set("zone", zone.rule());
    let exists = |path| fs::exists(path).unwrap_or(false);
    if let Some((_, synchronized)) = SERVICES.iter().find(|(service, _)| exists(service)) {
        row.set("synchronized", if exists(synchronized) { "1" } else { "0" });
    }
    row
}
