//! The providers that join sections of UCI packages, and what the packages add to the providers of the kernel.
//!
//! | file | providers |
//! |---|---|
//! | `openwrt/bridge.rs` | `bridge_port` |
//! | `openwrt/dhcp.rs` | `dhcp_pool`, `static_lease` |
//! | `openwrt/dhcp_option.rs` | `dhcp_option`, `pool_option` |
//! | `openwrt/network.rs` | `devices`, `network`, `dns_forwarder`; the origin of the rows of `resolver`, `route` and `route6`; `status` of `clock` |
//! | `openwrt/zone.rs` | `zone`, `zone_network`, `zones` |

use super::uci::Configuration;
use crate::model::source::Row;

mod bridge;
mod dhcp;
mod dhcp_option;
pub(super) mod items;
mod network;
mod zone;

/// The text of a boolean option, and of a field, that is off.
const OFF: &str = "0";
const ON: &str = "1";

/// Returns true for a provider of this directory.
pub(super) fn has(provider: &str) -> bool {
    matches!(
        provider,
        "bridge_port"
            | "devices"
            | "dhcp_option"
            | "dhcp_pool"
            | "network"
            | "pool_option"
            | "static_lease"
            | "zone"
            | "zone_network"
            | "zones"
    )
}

/// Returns the packages from which the rows of a provider are.
pub(super) fn packages(provider: &str) -> &'static [&'static str] {
    match provider {
        "dhcp_pool" | "static_lease" => &["dhcp", "network"],
        "bridge_port" | "devices" | "dhcp_option" | "network" => &["network"],
        "pool_option" => &["dhcp"],
        "zone" | "zones" => &["firewall"],
        _ => &["firewall", "network"],
    }
}

/// Returns the rows of a provider.
pub(super) fn rows(provider: &str, packages: &mut Configuration) -> Result<Vec<Row>, String> {
    // A package is borrowed alone, and some rows need two.
    let firewall = match provider {
        "zone" | "zone_network" | "zones" => zone::zones(packages.package("firewall")?),
        _ => Vec::new(),
    };
    match provider {
        "dhcp_pool" => {
            let dhcp = dhcp::sections(packages)?;
            Ok(dhcp::pools(&dhcp, packages.package("network")?))
        }
        "static_lease" => {
            let (hosts, pools) = (dhcp::hosts(packages)?, dhcp::sections(packages)?);
            Ok(dhcp::static_leases(&hosts, &pools, packages.package("network")?))
        }
        "bridge_port" => Ok(bridge::ports(packages.package("network")?)),
        "devices" => Ok(vec![network::devices(packages.package("network")?)]),
        "dhcp_option" => Ok(dhcp_option::rows(packages.package("network")?)),
        "pool_option" => Ok(dhcp_option::pool_rows(packages.package("dhcp")?)),
        "network" => Ok(network::rows(packages.package("network")?)),
        "zone" => Ok(firewall.iter().map(zone::row).collect()),
        "zones" => Ok(vec![zone::all(&firewall)]),
        _ => Ok(zone::network_rows(&firewall, packages.package("network")?)),
    }
}

/// Adds what the packages know to the rows of a provider of the kernel. A device without the package has the rows as they are.
pub(super) fn complete(provider: &str, mut rows: Vec<Row>, packages: &mut Configuration) -> Vec<Row> {
    match provider {
        "clock" => network::add_clock_status(&mut rows, packages.package("system").ok()),
        "dns_forwarder" | "resolver" => {
            if let Ok(package) = packages.package("network") {
                network::add_server_types(&mut rows, package);
                if provider == "resolver" {
                    network::add_own_servers(&mut rows, package);
                }
            }
        }
        "address" => {
            if let Ok(package) = packages.package("network") {
                network::add_interfaces(&mut rows, package);
            }
        }
        "route" | "route6" => {
            if let Ok(package) = packages.package("network") {
                network::add_origins(&mut rows, package);
                network::add_sections(provider, &mut rows, package);
            }
        }
        _ => {}
    }
    match packages.package("dhcp") {
        Ok(package) if provider == "dns_forwarder" => network::forwarders(rows, package),
        _ => rows,
    }
}

/// Returns the sections of a type in a package, for the tests.
#[cfg(test)]
fn package(text: &str) -> crate::model::source::uci::Sections {
    crate::model::source::uci::Sections::read(text).expect("a package")
}

/// Returns fields of rows, for the tests; `-` for an absent one.
#[cfg(test)]
fn fields<'r, const N: usize>(rows: &'r [Row], names: [&str; N]) -> Vec<[&'r str; N]> {
    rows.iter().map(|row| names.map(|name| row.get(name).unwrap_or("-"))).collect()
}
