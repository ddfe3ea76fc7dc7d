//! The servers that the DNS names for a domain (RFC 6120 §3.2.1).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::xmpp::Server;

/// Returns the servers of the domain by its SRV records; none if it has none or the name server does not answer. A
/// connection to the host of the domain itself is then the fallback of RFC 6120 §3.2.2.
#[cfg(feature = "diagnostics")]
pub(super) fn discovered(domain: &str, stop: &Arc<AtomicBool>) -> Vec<Server> {
    /// The longest wait for the name server.
    const LIMIT: std::time::Duration = std::time::Duration::from_secs(5);
    if crate::http::literal(domain).is_some() {
        return Vec::new();
    }
    let services = crate::diagnostics::services(&format!("_xmpp-client._tcp.{domain}"), LIMIT, stop).into_iter();
    services
        .map(|found| Server { host: found.host, port: found.port, priority: found.priority, weight: found.weight })
        .collect()
}

/// Returns no server: a build without diagnostics has no resolver of its own.
#[cfg(not(feature = "diagnostics"))]
pub(super) fn discovered(_: &str, _: &Arc<AtomicBool>) -> Vec<Server> {
    Vec::new()
}
