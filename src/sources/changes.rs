//! The events of the device that tell of changes in the answers of sources.

use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "source-builtin")]
use super::kernel;
#[cfg(all(feature = "source-builtin", feature = "source-uci"))]
use super::openwrt;
#[cfg(feature = "source-uci")]
use super::uci;
use crate::change_watch::{ADDRESSES, LINKS, ROUTES};
use crate::model::source::{Query, Target};

/// The interval at which sources are read whose changes no event tells.
const POLL: Duration = Duration::from_secs(300);

/// The events that may change the answers of some sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The groups of netlink.
    pub(crate) groups: u32,
    /// The files, ascending.
    pub(crate) files: Vec<PathBuf>,
    /// The interval at which sources without an event are read; `None` without such a source.
    pub(crate) poll: Option<Duration>,
}

impl Changes {
    /// Returns the events for the sources that were asked these questions.
    pub(crate) fn of(queries: &[Query]) -> Changes {
        let mut changes = Changes::default();
        for query in queries {
            changes.add(&query.target);
        }
        changes.files.sort_unstable();
        changes.files.dedup();
        changes
    }

    fn add(&mut self, target: &Target) {
        match target {
            // The kernel makes these files at each read.
            Target::File { path, .. } if path.starts_with("/proc/") || path.starts_with("/sys/") => {
                self.poll = Some(POLL)
            }
            Target::File { path, .. } => self.files.push(path.into()),
            #[cfg(feature = "source-uci")]
            Target::Uci { package, .. } => self.files.extend(uci::files(package)),
            #[cfg(all(feature = "source-builtin", feature = "source-uci"))]
            Target::BuiltIn { provider, .. } if openwrt::has(provider) => {
                self.files.extend(openwrt::packages(provider).iter().flat_map(|package| uci::files(package)));
            }
            #[cfg(feature = "source-builtin")]
            Target::BuiltIn { provider, .. } => match kernel::events(provider) {
                Some((groups, files)) => {
                    self.groups |= groups;
                    self.files.extend(files.iter().map(PathBuf::from));
                }
                None => self.poll = Some(POLL),
            },
            Target::Ubus { object, .. } => {
                // netifd and hostapd change links and addresses when their state changes.
                if object.starts_with("network") || object.starts_with("hostapd") {
                    self.groups |= LINKS | ADDRESSES | ROUTES;
                }
                self.poll = Some(POLL);
            }
            #[allow(unreachable_patterns, reason = "a build may lack some kinds")]
            _ => self.poll = Some(POLL),
        }
    }
}

#[cfg(all(test, feature = "sources"))]
mod tests {
    use super::*;

    fn changes(targets: Vec<Target>) -> Changes {
        let queries: Vec<Query> = targets.into_iter().map(|target| Query { target, limit: 5, age: 0 }).collect();
        Changes::of(&queries)
    }

    fn built_in(provider: &str) -> Target {
        Target::BuiltIn { provider: provider.into(), argument: String::new() }
    }

    fn file(path: &str) -> Target {
        Target::File { path: path.into(), rows: None }
    }

    #[test]
    fn each_kind_has_its_events() {
        assert_eq!(changes(Vec::new()), Changes::default());
        let links = Changes { groups: LINKS | ROUTES, ..Changes::default() };
        assert_eq!(changes(vec![built_in("link"), built_in("link")]), links);
        let files = Changes { files: vec!["/etc/a".into(), "/tmp/b".into()], ..Changes::default() };
        assert_eq!(changes(vec![file("/tmp/b"), file("/etc/a"), file("/tmp/b")]), files);
        let joined = changes(vec![built_in("zone_network")]);
        assert_eq!((joined.files.len(), joined.poll), (4, None));
        let package = changes(vec![Target::Uci { package: "network".into(), identity: None }]);
        assert_eq!(package.files, ["/etc/config/network", "/var/run/uci/network"].map(PathBuf::from));
        assert_eq!((package.groups, package.poll), (0, None));
        for polled in [built_in("system"), file("/proc/uptime"), file("/sys/class/leds/a")] {
            assert_eq!(changes(vec![polled]), Changes { poll: Some(POLL), ..Changes::default() });
        }
    }
}
