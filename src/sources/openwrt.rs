//! The providers that join sections of UCI packages, and what the packages add to the providers of the kernel.
//!
//! | file | providers |
//! |---|---|
//! | `openwrt/bridge.rs` | `bridge_port`; the sections of the rows of `port` |
//! | `openwrt/device.rs` | `device`; the sections of the rows of `device_link` |
//! | `openwrt/dhcp.rs` | `dhcp_pool`, `static_lease` |
//! | `openwrt/dhcp_option.rs` | `dhcp_option`, `pool_option` |
//! | `openwrt/dhcp_server.rs` | `dhcp_server` |
//! | `openwrt/network.rs` | `devices`, `network`, `dns_forwarder`; the origin of the rows of `resolver`, `route` and `route6`; `status` of `clock` |
//! | `openwrt/radio.rs` | `radio` |
//! | `openwrt/zone.rs` | `zone`, `zone_network`, `zones` |

use super::uci::Configuration;
use crate::model::source::Row;
use crate::model::source::uci::edit::{Action, Change};

mod bridge;
mod device;
mod dhcp;
mod dhcp_option;
mod dhcp_server;
pub(super) mod items;
mod network;
mod radio;
mod zone;

/// The text of a boolean option, and of a field, that is off.
const OFF: &str = "0";
const ON: &str = "1";

/// Returns true for a provider of this directory.
pub(super) fn has(provider: &str) -> bool {
    matches!(
        provider,
        "bridge_port"
            | "device"
            | "devices"
            | "dhcp_option"
            | "dhcp_pool"
            | "dhcp_server"
            | "network"
            | "pool_option"
            | "radio"
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
        "bridge_port" | "device" | "devices" | "dhcp_option" | "network" => &["network"],
        "dhcp_server" | "pool_option" => &["dhcp"],
        "radio" => &["wireless"],
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
        "device" => Ok(device::rows(packages.package("network")?)),
        "dhcp_server" => Ok(vec![dhcp_server::row(packages.package("dhcp")?)]),
        "radio" => Ok(radio::rows(packages.package("wireless")?)),
        "devices" => Ok(vec![network::devices(packages.package("network")?)]),
        "dhcp_option" => Ok(dhcp_option::rows(packages.package("network")?)),
        "pool_option" => Ok(dhcp_option::pool_rows(packages.package("dhcp")?)),
        "network" => Ok(network::rows(packages.package("network")?)),
        "zone" => Ok(firewall.iter().map(zone::row).collect()),
        "zones" => Ok(vec![zone::all(&firewall)]),
        _ => Ok(zone::network_rows(&firewall, packages.package("network")?)),
    }
}

/// Returns the changes of a package by which a field of a row of a provider has a text; without one, the option goes. `sections` are
/// those of the package.
///
/// # Errors
/// The reason for which the device cannot have it.
pub(super) fn set(
    provider: &str,
    row: &str,
    field: &str,
    text: Option<&str>,
    sections: &[Row],
) -> Result<Vec<Change>, String> {
    match provider {
        "bridge_port" => bridge::set(row, text, sections),
        "device" => device::set(row, field, text, sections),
        "dhcp_server" => dhcp_server::set(text, sections),
        "network" => network::set_link(row, text, sections),
        "radio" => radio::set(row, text, sections),
        _ => Err("it is only read".to_owned()),
    }
}

/// Returns the change by which a section has an option; without a text, the option goes.
fn set_option(section: &Row, option: &str, text: Option<&str>) -> Change {
    let option = option.to_owned();
    let action = text.map_or(Action::Unset(option.clone()), |text| Action::Set(option, text.to_owned()));
    Change { section: section.get(".name").unwrap_or_default().to_owned(), action }
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
        "device_link" => {
            if let Ok(package) = packages.package("network") {
                device::add_links(&mut rows, package);
            }
        }
        "port" => {
            rows.retain(|row| row.get("master").is_some_and(|master| !master.is_empty()));
            if let Ok(package) = packages.package("network") {
                bridge::add_sections(&mut rows, package);
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
