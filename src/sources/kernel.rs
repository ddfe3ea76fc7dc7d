//! The providers of the agent: values of the kernel, and of files that every Linux has.
//!
//! | file | providers |
//! |---|---|
//! | `kernel/link.rs` | `link` |
//! | `kernel/address.rs` | `address` |
//! | `kernel/route.rs` | `route` |
//! | `kernel/clock.rs` | `clock` |
//! | `kernel/host.rs` | `host`, `host_address` |
//! | `kernel/client_lease.rs` | `client_lease` |
//! | `kernel/lease.rs` | `lease` |
//! | `kernel/pppoe.rs` | `pppoe` |
//! | `kernel/socket.rs` | `socket` |
//! | `kernel/uplink.rs` | `uplink` |
//! | `kernel/process.rs` | `process` |
//! | `kernel/states.rs` | the time since a link or host has its state |
//! | `kernel/system.rs` | `system`, `storage`, `thermal`, `resolver`, `conntrack` |
//! | `kernel/netlink.rs` | dumps of rtnetlink |

use crate::change_watch::{ADDRESSES, LINKS, NEIGHBOURS, ROUTES};
use crate::clock::Now;
use crate::model::source::Row;
use crate::model::source::provider::LinkState;

mod address;
mod client_lease;
mod clock;
mod host;
mod lease;
mod link;
mod netlink;
mod pppoe;
mod process;
mod route;
mod socket;
mod states;
mod system;
mod uplink;

/// The state of the providers.
#[derive(Default)]
pub(super) struct Kernel {
    /// The begin of the request.
    now: Now,
    /// The links of this request, which several providers need for the names.
    links: Option<Vec<link::Link>>,
    /// The lists of the kernel and the leases that this request has read.
    dumps: netlink::Dumps,
    leases: Option<Vec<lease::Lease>>,
    /// The names of the links over which a default route leads, the preferred one first. They stay while there is no such
    /// route, so that a WAN link without a cable does not turn into one of the LAN.
    uplinks: Vec<String>,
    /// The states of the links, and of the hosts, at the last request.
    link_states: states::States,
    host_states: states::States,
    /// The counters of the processor at the last request.
    processor: Option<system::ProcessorTime>,
}

impl Kernel {
    /// Begins a request at this time.
    pub(super) fn begin(&mut self, now: Now) {
        self.now = now;
    }

    /// Ends a request: what was read is old.
    pub(super) fn end(&mut self) {
        self.links = None;
        self.dumps = netlink::Dumps::default();
        self.leases = None;
    }

    /// Returns the rows of a provider.
    pub(super) fn rows(&mut self, provider: &str, argument: &str) -> Result<Vec<Row>, String> {
        if matches!(
            provider,
            "address" | "host" | "host_address" | "lease" | "link" | "links" | "route" | "route6" | "uplink"
        ) {
            self.load_links()?;
        }
        if matches!(provider, "host" | "host_address" | "lease") {
            self.leases.get_or_insert_with(lease::read);
        }
        let (wall, dumps) = (self.now.wall, &mut self.dumps);
        let (links, leases) = (self.links.as_deref().unwrap_or_default(), self.leases.as_deref().unwrap_or_default());
        match provider {
            "address" => address::rows(links, dumps, wall),
            "client_lease" => client_lease::rows(),
            "clock" => Ok(vec![clock::row(self.now)]),
            // A command is nothing that the device has.
            "command" => Ok(Vec::new()),
            "conntrack" => Ok(vec![system::conntrack()]),
            "host" => host::rows(links, dumps, leases, &mut self.host_states, self.now),
            "host_address" => host::address_rows(links, dumps, leases),
            "lease" => {
                let networks = address::networks(dumps)?;
                let link_of = |leased| address::link_of(&networks, leased).map_or("", |index| name_of(links, index));
                Ok(lease::rows(leases, wall, link_of))
            }
            "link" => Ok(link::rows(links)),
            "links" => Ok(vec![link::sum(links, argument)]),
            "pppoe" => Ok(pppoe::rows()),
            "process" => process::rows(),
            "resolver" => system::resolvers(),
            "route" => route::rows(links, dumps, None),
            "route6" => route::rows(links, dumps, Some(address::INET6)),
            "socket" => socket::rows(),
            // The agent computes it from the model.
            "stack" => Err("the device has no such list".to_owned()),
            "storage" => system::storage(argument).map(|row| vec![row]),
            "system" => self.system().map(|row| vec![row]),
            "thermal" => system::sensors(),
            "uplink" => uplink::row(links, dumps, &self.uplinks, wall).map(|row| vec![row]),
            _ => Err("there is no such provider".to_owned()),
        }
    }

    /// Reads the links, which one dump serves for the whole request.
    fn load_links(&mut self) -> Result<(), String> {
        if self.links.is_none() {
            let mut links = link::dump(&mut self.dumps)?;
            let found = route::upstream_links(&links, &mut self.dumps)?;
            if !found.is_empty() {
                self.uplinks = found;
            }
            link::mark_upstream(&mut links, &self.uplinks);
            let present = links.iter().map(|link| (link.name.as_str(), link.status()));
            let ages = self.link_states.note(present, self.now.monotonic);
            links.iter_mut().zip(ages).for_each(|(link, age)| link.last_change = age);
            self.links = Some(links);
        }
        Ok(())
    }
}

/// Returns the states of links that messages of the kernel tell.
pub(super) fn link_states(messages: &[u8]) -> Vec<LinkState> {
    link::states(messages)
}

/// Returns the groups of netlink and the files that tell of changes in the rows of a provider; `None` if nothing tells.
pub(super) fn events(provider: &str) -> Option<(u32, &'static [&'static str])> {
    Some(match provider {
        "address" => (ADDRESSES | ROUTES, &[]),
        "host" | "host_address" => (NEIGHBOURS | LINKS | ADDRESSES, &lease::FILES),
        "lease" => (ADDRESSES, &lease::FILES),
        // The field `upstream` follows from the routes.
        "device_link" | "link" | "port" => (LINKS | ROUTES, &[]),
        "resolver" => (0, &system::RESOLVERS),
        "route" | "route6" => (ROUTES | LINKS, &[]),
        "uplink" => (LINKS | ADDRESSES | ROUTES, &system::RESOLVERS),
        _ => return None,
    })
}

/// Returns the name of the link with this index; empty for an unknown one.
fn name_of(links: &[link::Link], index: u32) -> &str {
    links.iter().find(|link| link.index == index).map_or("", |link| &link.name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::source::provider::{PROVIDERS, Shape};

    /// Each provider of the format answers, and with no other field than those of the format.
    #[test]
    fn the_providers_are_those_of_the_format() {
        let mut kernel = Kernel::default();
        kernel.begin(Now { monotonic: Duration::from_secs(9), wall: 1_795_360_000 });
        for provider in PROVIDERS {
            let argument = if provider.shape == Shape::OneOf { "/" } else { "" };
            #[cfg(feature = "source-uci")]
            if crate::sources::openwrt::has(provider.name)
                || ["device_link", "dns_forwarder", "port"].contains(&provider.name)
            {
                continue;
            }
            let rows = kernel.rows(provider.name, argument);
            // A container may lack a file of the kernel, but never the provider.
            assert!(rows.as_ref().map_or_else(|reason| !reason.contains("no such provider"), |_| true), "{rows:?}");
            for row in rows.unwrap_or_default() {
                for (field, _) in row.fields() {
                    assert!(provider.fields.contains(&field), "{}: {field}", provider.name);
                }
                assert_eq!(row.key.is_empty(), provider.shape != Shape::Rows, "{}", provider.name);
            }
        }
    }
}
