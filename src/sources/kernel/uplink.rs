//! The provider `uplink`: the link that leads to the Internet, with its address, gateway and DNS servers.

use super::link::Link;
use super::netlink::Dumps;
use super::{address, route, system};
use crate::model::source::Row;

/// The fields that are those of the link.
const OF_LINK: [&str; 5] = ["name", "kind", "enabled", "status", "mtu"];

/// Returns the values of the preferred uplink; no field without one.
pub(super) fn row(links: &[Link], dumps: &mut Dumps, uplinks: &[String], wall: i64) -> Result<Row, String> {
    let mut row = Row::default();
    let Some(link) = uplinks.iter().find_map(|name| links.iter().find(|link| link.name == *name)) else {
        return Ok(row);
    };
    let values = link.row(links);
    OF_LINK
        .iter()
        .filter_map(|field| Some((field, values.get(field)?)))
        .for_each(|(field, text)| row.set(*field, text));
    row.set("mac", &link.address);
    let is_here = |other: &&Row| other.get("device") == Some(&link.name);
    if let Some(gateway) =
        route::default_routes(links, dumps)?.iter().find(is_here).and_then(|route| route.get("gateway"))
    {
        row.set("gateway", gateway);
    }
    let addresses = address::rows(links, dumps, wall)?;
    let is_of_4 = |address: &&Row| address.get("family") == Some("4");
    if let Some(address) = addresses.iter().filter(is_here).find(is_of_4) {
        for field in ["address", "prefix", "origin"] {
            row.set(field, address.get(field).unwrap_or_default());
        }
    }
    // A device without resolv.conf asks no server.
    let servers = system::resolvers().unwrap_or_default();
    row.set("servers", servers.iter().map(|server| server.key.as_str()).collect::<Vec<_>>().join(" "));
    Ok(row)
}
