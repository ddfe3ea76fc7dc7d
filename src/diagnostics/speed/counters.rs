//! The counters of a network interface: `/proc/net/dev`.

use std::fs;

/// The file of the counters of all interfaces.
const FILE: &str = "/proc/net/dev";

/// The bytes that went over an interface since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Counters {
    /// Reads the counters of an interface. They are 0 without one, and for one that is gone.
    pub(super) fn read(device: Option<&str>) -> Counters {
        let Some(device) = device else { return Counters::default() };
        fs::read_to_string(FILE).ok().and_then(|text| parse(&text, device)).unwrap_or_default()
    }

    /// Returns the bytes since an earlier reading. An interface that was set up anew begins at 0.
    pub(super) fn since(self, earlier: Counters) -> Counters {
        Counters {
            received: self.received.saturating_sub(earlier.received),
            sent: self.sent.saturating_sub(earlier.sent),
        }
    }
}

/// Reads the line of an interface: eight counters of what it received, and as many of what it sent. Bytes stand first.
fn parse(text: &str, device: &str) -> Option<Counters> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(device)?.strip_prefix(':'))?;
    let mut numbers = line.split_ascii_whitespace().map(str::parse);
    Some(Counters { received: numbers.next()?.ok()?, sent: numbers.nth(7)?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_one_interface_are_read() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n  eth01: 9 9 9 9 9 9 9 9 9 9\n  eth0:5000000000 1 2 3 4 5 6 7 81 9 0 0\n";
        assert_eq!(parse(text, "eth0"), Some(Counters { received: 5_000_000_000, sent: 81 }));
        assert_eq!(parse(text, "eth"), None);
        assert_eq!(parse("eth0: 1 2 x", "eth0"), None);
        assert_eq!(Counters::read(None), Counters::default());
        let later = Counters { received: 7, sent: 3 };
        assert_eq!(later.since(Counters { received: 5, sent: 4 }), Counters { received: 2, sent: 0 });
    }
}
