//! The provider `client_lease`: the time that the leases of the device itself still have. A hook of the DHCP client writes them.

use std::fs;
use std::io::ErrorKind;

use crate::model::source::Row;
use crate::sources::read_text;

/// The directory with a file for each interface: the seconds since the boot at which its lease ends, or -1 for a lease without end.
const DIRECTORY: &str = "/var/run/cpe-agent.leases";

/// The most interfaces: more than a gateway has uplinks.
const MAX_FILES: usize = 32;

/// Returns the leases; the key is the interface. A device without the hook has none.
pub(super) fn rows() -> Result<Vec<Row>, String> {
    let entries = match fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{DIRECTORY}: {error}")),
    };
    let uptime = read_text("/proc/uptime").map_err(|error| format!("/proc/uptime: {error}"))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // A file that is being written begins with a dot.
    let names = names.filter(|name| !name.starts_with('.')).take(MAX_FILES);
    let row = |name: String| row(&name, &read_text(&format!("{DIRECTORY}/{name}")).ok()?, &uptime);
    Ok(names.filter_map(row).collect())
}

fn row(interface: &str, end: &str, uptime: &str) -> Option<Row> {
    let now: i64 = uptime.split(['.', ' ']).next()?.parse().ok()?;
    let remaining = match end.trim().parse::<i64>().ok()? {
        -1 => -1,
        end => end.saturating_sub(now).clamp(0, i32::MAX.into()),
    };
    let mut row = Row::new(interface);
    row.set("remaining", remaining.to_string());
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_has_the_seconds_until_its_end() {
        let remaining = |end: &str| row("wan", end, "4711.85 9000.12\n")?.get("remaining").map(str::to_owned);
        let found = ["8311\n", "4711", "12", "-1\n", "99999999999999999", "-9", "soon", ""].map(remaining);
        let expected = ["3600", "0", "0", "-1", "2147483647", "0"].map(|text| Some(text.to_owned()));
        assert_eq!(found[..6], expected);
        assert_eq!(found[6..], [None, None]);
        assert!(row("wan", "1", "").is_none());
    }
}
