//! The providers `system`, `storage`, `thermal`, `resolver` and `conntrack`.

use std::fs;
use std::net::IpAddr;

use super::Kernel;
use crate::model::source::Row;
use crate::sources::read_text;

/// The files with the addresses of DNS servers: those of the providers on OpenWrt, that of systemd-resolved, and the usual one.
pub(super) const RESOLVERS: [&str; 3] =
    ["/tmp/resolv.conf.d/resolv.conf.auto", "/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];

/// The time that the processors have spent, in units of the kernel.
#[derive(Clone, Copy, Default)]
pub(super) struct ProcessorTime {
    busy: u64,
    total: u64,
}

impl Kernel {
    /// Returns the values of the whole system.
    pub(super) fn system(&mut self) -> Result<Row, String> {
        let mut row = Row::default();
        let name = rustix::system::uname();
        row.set("hostname", name.nodename().to_string_lossy());
        row.set("kernel", name.release().to_string_lossy());
        let machine = name.machine().to_string_lossy();
        // Linux has one name for MIPS of either byte order.
        let is_little = cfg!(target_endian = "little") && machine == "mips";
        row.set("machine", if is_little { "mipsel" } else { &machine });
        let uptime = read("/proc/uptime")?;
        row.set("uptime", uptime.split('.').next().unwrap_or_default());
        let stat = read("/proc/stat")?;
        if let Some(time) = processor_time(&stat) {
            row.set("cpu_usage", usage(self.processor.unwrap_or_default(), time).to_string());
            self.processor = Some(time);
        }
        row.set("processors", processors(&stat).to_string());
        Ok(row)
    }
}

fn read(path: &str) -> Result<String, String> {
    read_text(path).map_err(|error| format!("{path}: {error}"))
}

/// Reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
fn processor_time(stat: &str) -> Option<ProcessorTime> {
    let times: Vec<u64> =
        stat.lines().next()?.split_whitespace().skip(1).take(8).filter_map(|t| t.parse().ok()).collect();
    let total = times.iter().sum();
    let idle = times.get(3)? + times.get(4).copied().unwrap_or_default();
    Some(ProcessorTime { busy: total - idle, total })
}

/// Returns the percentage of the time between two looks in which the processors were busy.
fn usage(last: ProcessorTime, now: ProcessorTime) -> u64 {
    let total = now.total.saturating_sub(last.total);
    // A look in the same instant finds no time to judge by.
    (now.busy.saturating_sub(last.busy) * 100).checked_div(total).unwrap_or_default().min(100)
}

fn processors(stat: &str) -> usize {
    let is_processor = |line: &&str| line.starts_with("cpu") && line[3..].starts_with(|c: char| c.is_ascii_digit());
    stat.lines().filter(is_processor).count()
}

/// Returns size and free room of a file system in KiB, as a process without privileges finds them.
pub(super) fn storage(path: &str) -> Result<Row, String> {
    let found = rustix::fs::statvfs(path).map_err(|error| error.to_string())?;
    let kilobytes = |blocks: u64| (blocks.saturating_mul(found.f_frsize) / 1024).to_string();
    let mut row = Row::default();
    row.set("total", kilobytes(found.f_blocks));
    row.set("free", kilobytes(found.f_bavail));
    Ok(row)
}

/// Returns the seconds after which the kernel forgets a connection. A kernel without connection tracking has none.
pub(super) fn conntrack() -> Row {
    let mut row = Row::default();
    for (field, file) in [("tcp_timeout", "tcp_timeout_established"), ("udp_timeout", "udp_timeout_stream")] {
        if let Ok(text) = read_text(&format!("/proc/sys/net/netfilter/nf_conntrack_{file}")) {
            row.set(field, text.trim());
        }
    }
    row
}

/// Returns the sensors of temperature. The key is the name of the zone. A sensor that has no value at the moment, such as that
/// of a radio that is off, stays a row.
pub(super) fn sensors() -> Result<Vec<Row>, String> {
    // A device without sensors has no such directory, or an empty one.
    let Ok(entries) = fs::read_dir("/sys/class/thermal") else { return Ok(Vec::new()) };
    let mut zones: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    zones.retain(|zone| zone.starts_with("thermal_zone"));
    zones.sort_unstable_by_key(|zone| (zone.len(), zone.clone()));
    let rows = zones.into_iter().filter_map(|zone| {
        let read = |file: &str| fs::read_to_string(format!("/sys/class/thermal/{zone}/{file}")).ok();
        let mut row = Row::new(&zone);
        row.set("name", read("type")?.trim());
        if let Some(millidegrees) = read("temp").and_then(|text| text.trim().parse::<i64>().ok()) {
            row.set("value", (millidegrees / 1000).to_string());
        }
        Some(row)
    });
    Ok(rows.collect())
}

/// Returns the DNS servers. The key is the address.
pub(super) fn resolvers() -> Result<Vec<Row>, String> {
    let (mut rows, mut failure) = (Vec::new(), Some("no resolv.conf".to_owned()));
    for path in RESOLVERS {
        // A pipe in the place of the file must not block, nor a long file fill the memory.
        let Ok(text) = read_text(path) else { continue };
        failure = None;
        rows = servers(&text);
        if !rows.is_empty() {
            break;
        }
    }
    failure.map_or(Ok(rows), Err)
}

fn servers(text: &str) -> Vec<Row> {
    let (mut rows, mut interface) = (Vec::new(), "");
    for line in text.lines() {
        // netifd writes the name of its interface above the servers that it has given.
        if let Some(name) = line.strip_prefix("# Interface ") {
            interface = name.trim();
        }
        let word = line.strip_prefix("nameserver").and_then(|rest| rest.split_whitespace().next());
        // A stub on this device is no server of the network.
        let Some(address) = word.and_then(|word| word.parse::<IpAddr>().ok()).filter(|found| !found.is_loopback())
        else {
            continue;
        };
        let mut row = Row::new(address.to_string());
        row.set("address", address.to_string());
        row.set("family", if address.is_ipv4() { "4" } else { "6" });
        if !interface.is_empty() {
            row.set("interface", interface);
        }
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 50 0 50 350 50 0 0 0 0 0\ncpu1 1 1 1 1\nintr 5\n";

    #[test]
    fn the_usage_is_that_between_two_looks() {
        let first = processor_time(STAT).expect("times");
        assert_eq!(usage(ProcessorTime::default(), first), 20);
        let later = ProcessorTime { busy: first.busy + 75, total: first.total + 100 };
        assert_eq!(usage(first, later), 75);
        assert_eq!(usage(first, first), 0);
        assert_eq!(processors(STAT), 2);
        assert!(processor_time("").is_none());
    }

    #[test]
    fn servers_are_those_of_the_network() {
        let rows =
            servers("# c\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver fe80::1\noptions x\nnameserver\n");
        let found: Vec<_> = rows.iter().map(|row| (row.key.as_str(), row.get("family").unwrap_or_default())).collect();
        assert_eq!(found, [("192.0.2.1", "4"), ("fe80::1", "6")]);
        let rows = servers("# Interface wan\nnameserver 192.0.2.1\n# Interface wan6\nnameserver 2001:db8::53\n");
        assert_eq!(rows.iter().map(|row| row.get("interface")).collect::<Vec<_>>(), [Some("wan"), Some("wan6")]);
    }

    #[test]
    fn the_root_has_a_size() {
        let row = storage("/").expect("a row");
        assert!(row.get("total").is_some_and(|total| total.parse::<u64>().is_ok_and(|total| total > 0)));
        assert!(storage("/nonexistent").is_err());
    }
}
