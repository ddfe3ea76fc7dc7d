//! The host of a test: its name into an address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{Failure, Order};
use crate::foreign_text::Quoted;
use crate::http::{IoLimits, resolve};

/// The time for the address of a name: the limit of the system's resolver with its repetitions.
const LOOK_UP: Duration = Duration::from_secs(30);

/// The version of IP that a test asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Any,
    V4,
    V6,
}

impl Version {
    /// Reads the input ProtocolVersion, which older objects do not have.
    pub(crate) fn of(order: &Order) -> Version {
        match order.text("ProtocolVersion") {
            "IPv4" => Version::V4,
            "IPv6" => Version::V6,
            _ => Version::Any,
        }
    }

    fn fits(self, address: IpAddr) -> bool {
        match self {
            Version::Any => true,
            Version::V4 => address.is_ipv4(),
            Version::V6 => address.is_ipv6(),
        }
    }
}

/// Returns the first address of a host that has the version.
///
/// # Errors
/// The name has no such address.
pub(crate) fn address(host: &str, version: Version, stop: &Arc<AtomicBool>) -> Result<IpAddr, Failure> {
    let failed = |reason: String| Failure::of("Error_CannotResolveHostName", reason);
    let limits = IoLimits { timeout: LOOK_UP, stop: Arc::clone(stop), end: None }.end_within(LOOK_UP);
    let found = resolve(host, 0, &limits).map_err(|error| failed(error.to_string()))?;
    let fitting = found.iter().map(SocketAddr::ip).find(|address| version.fits(*address));
    fitting.ok_or_else(|| failed(format!("{} has no address of this version of IP", Quoted(host))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_has_one_version() {
        let stop = Arc::default();
        let found = |host, version| address(host, version, &stop).map_err(|failure| failure.state);
        assert_eq!(found("192.0.2.1", Version::Any), Ok([192, 0, 2, 1].into()));
        assert_eq!(found("192.0.2.1", Version::V6), Err("Error_CannotResolveHostName"));
        assert_eq!(found("[2001:db8::1]", Version::V6), Ok("2001:db8::1".parse().expect("an address")));
        assert_eq!(found("no name at all", Version::Any), Err("Error_CannotResolveHostName"));
    }
}
