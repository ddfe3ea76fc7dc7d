//! The provider `clock`: local time, time zone, and the state of the time service.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::clock::Now;
use crate::model::date_time::DateTime;
use crate::model::source::Row;
use crate::time_zone::LocalZone;

/// The files of time services, and those that are written once the clock is synchronized: by systemd-timesyncd; by ntpd on
/// OpenWrt, whose first answer of a server the hook of dnsmasq notes for DNSSEC; and by chronyd and ntpd, which store the drift of
/// the clock in the first hour, and each hour again.
const SERVICES: [(&str, &[&str]); 4] = [
    ("/run/systemd/timesync", &["/run/systemd/timesync/synchronized"]),
    ("/etc/hotplug.d/ntp/25-dnsmasqsec", &["/var/state/dnsmasqsec"]),
    ("/run/chrony/chronyd.pid", &["/var/lib/chrony/chrony.drift", "/var/lib/chrony/drift"]),
    ("/run/ntpd.pid", &["/var/lib/ntpsec/ntp.drift", "/var/lib/ntp/ntp.drift"]),
];

/// Returns the values of the clock. Other time services leave no trace in files, so that their state is unknown.
pub(super) fn row(now: Now) -> Row {
    let wall = now.wall;
    // A zone that cannot be read is reported at the start of the agent.
    let (zone, _) = LocalZone::load();
    let mut row = Row::default();
    row.set("local_time", DateTime::from_unix(wall, zone.offset_minutes(wall)).to_string());
    row.set("zone", zone.rule());
    let service = SERVICES.iter().find(|(service, _)| fs::exists(service).unwrap_or(false));
    if let Some((_, evidence)) = service {
        let boot = wall.saturating_sub(now.monotonic.as_secs() as i64);
        row.set("synchronized", if evidence.iter().any(|path| is_since(path, boot)) { "1" } else { "0" });
    }
    row
}

/// Returns true if a file was written since this time. The disk keeps some of them over a boot.
fn is_since(path: &str, boot: i64) -> bool {
    fs::metadata(path).is_ok_and(|found| found.mtime() >= boot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_an_earlier_boot_is_no_evidence() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("a name");
        let written = file.as_file().metadata().expect("a file").mtime();
        assert!(is_since(path, written) && !is_since(path, written + 1) && !is_since("/nonexistent", 0));
    }
}
