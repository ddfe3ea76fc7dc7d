//! The host of a test: its name into an address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::Failure;
use crate::foreign_text::Quoted;
use crate::http::{HttpError, IoLimits, resolve};
use crate::socket_options::SocketOptions;

/// The time for the address of a name: the limit of the system's resolver with its repetitions.
const LOOK_UP: Duration = Duration::from_secs(30);

/// Returns the first address of a host that the options allow.
///
/// # Errors
/// The name has no such address.
pub(crate) fn address(host: &str, options: &SocketOptions, stop: &Arc<AtomicBool>) -> Result<IpAddr, Box<Failure>> {
    let found = addresses(host, 0, stop)?;
    let fitting = found.iter().map(SocketAddr::ip).find(|address| options.allows(*address));
    fitting.ok_or_else(|| failure(format_args!("{} has no address of this version of IP", Quoted(host))))
}

/// Returns the addresses of a host, one at least, each with the port.
///
/// # Errors
/// The name has no address.
pub(super) fn addresses(host: &str, port: u16, stop: &Arc<AtomicBool>) -> Result<Vec<SocketAddr>, Box<Failure>> {
    let limits = IoLimits { timeout: LOOK_UP, stop: Arc::clone(stop), end: None }.end_within(LOOK_UP);
    match resolve(host, port, &limits) {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(failure(format_args!("the host name {host} has no address"))),
        Err(HttpError::Stopped) => Err(Failure::stopped()),
        Err(error) => Err(failure(format_args!("{error}"))),
    }
}

fn failure(reason: fmt::Arguments<'_>) -> Box<Failure> {
    Failure::of("Error_CannotResolveHostName", reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket_options::IpVersion;

    #[test]
    fn a_literal_has_one_version() {
        let stop = Arc::default();
        let found = |host, version| {
            let options = SocketOptions { version, ..SocketOptions::default() };
            address(host, &options, &stop).map_err(|failure| failure.state)
        };
        assert_eq!(found("192.0.2.1", None), Ok([192, 0, 2, 1].into()));
        assert_eq!(found("192.0.2.1", Some(IpVersion::V6)), Err("Error_CannotResolveHostName"));
        assert_eq!(found("[2001:db8::1]", Some(IpVersion::V6)), Ok("2001:db8::1".parse().expect("an address")));
        assert_eq!(found("no name at all", None), Err("Error_CannotResolveHostName"));
    }
}
