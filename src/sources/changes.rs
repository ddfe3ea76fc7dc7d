//! The events of the device that tell of changes in the answers of sources.

use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "source-exec")]
use super::exec::watch::{WATCH, WatchProgram};
#[cfg(feature = "source-builtin")]
use super::kernel;
#[cfg(all(feature = "source-builtin", feature = "source-uci"))]
use super::openwrt;
#[cfg(feature = "source-ubus")]
use super::ubus::events::BusEvents;
#[cfg(feature = "source-uci")]
use super::uci;
use crate::change_watch::{ADDRESSES, EventSource, LINKS, ROUTES};
use crate::model::source::provider::LinkState;
use crate::model::source::{Query, Target, Watching};

/// The interval at which sources are read whose changes no event tells.
const POLL: Duration = Duration::from_secs(300);

/// The object of netifd for all interfaces, and its event.
#[cfg(feature = "source-ubus")]
const INTERFACE: &str = "network.interface";

/// The most programs that watch at the same time, and the most objects and patterns of events on the bus. The values of further
/// ones are polled.
const MAX_PROGRAMS: usize = 8;
const MAX_NAMES: usize = 64;

/// The events that may change the answers of some sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The groups of netlink.
    pub(crate) groups: u32,
    /// The files, ascending.
    pub(crate) files: Vec<PathBuf>,
    /// The programs that tell of changes, each with its arguments and verb, ascending.
    programs: Vec<Vec<String>>,
    /// The objects on the bus whose notifications tell of changes, and the names of events there, ascending.
    objects: Vec<String>,
    events: Vec<String>,
    /// The interval at which sources without an event are read; `None` without such a source.
    pub(crate) poll: Option<Duration>,
}

impl Changes {
    /// Returns the events for the sources that were asked these questions.
    pub(crate) fn of(queries: &[Query]) -> Changes {
        let mut changes = Changes::default();
        for query in queries {
            changes.add(query);
        }
        changes.files.sort_unstable();
        changes.files.dedup();
        let are_all = [
            limit(&mut changes.programs, MAX_PROGRAMS),
            limit(&mut changes.objects, MAX_NAMES),
            limit(&mut changes.events, MAX_NAMES),
        ];
        if are_all.contains(&false) {
            changes.poll(0);
        }
        changes
    }

    /// Returns true if an event tells of changes.
    pub(crate) fn has_events(&self) -> bool {
        self.groups != 0 || !self.files.is_empty() || !self.programs.is_empty() || !self.objects.is_empty()
    }

    /// Returns what tells of changes beside the kernel and files.
    pub(crate) fn event_sources(&self) -> Vec<Box<dyn EventSource>> {
        let mut event_sources: Vec<Box<dyn EventSource>> = Vec::new();
        #[cfg(feature = "source-exec")]
        for program in &self.programs {
            event_sources.push(Box::new(WatchProgram::new(program.clone())));
        }
        #[cfg(feature = "source-ubus")]
        if !self.objects.is_empty() {
            event_sources.push(Box::new(BusEvents::new(self.objects.clone(), self.events.clone())));
        }
        event_sources
    }

    /// Notes a source that is read at an interval of these seconds; 0 for the usual one.
    fn poll(&mut self, seconds: u32) {
        let interval = if seconds == 0 { POLL } else { Duration::from_secs(seconds.into()) };
        self.poll = Some(self.poll.map_or(interval, |poll| poll.min(interval)));
    }

    fn add(&mut self, query: &Query) {
        let Watching { pushed, poll } = &query.watching;
        let is_pushed = match &query.target {
            // The kernel makes these files at each read.
            Target::File { path, .. } if path.starts_with("/proc/") || path.starts_with("/sys/") => false,
            Target::File { path, .. } => {
                self.files.push(path.into());
                true
            }
            #[cfg(feature = "source-uci")]
            Target::Uci { package, .. } => {
                self.files.extend(uci::files(package));
                true
            }
            #[cfg(all(feature = "source-builtin", feature = "source-uci"))]
            Target::BuiltIn { provider, .. } if openwrt::has(provider) => {
                self.files.extend(openwrt::packages(provider).iter().flat_map(|package| uci::files(package)));
                true
            }
            #[cfg(feature = "source-builtin")]
            Target::BuiltIn { provider, .. } => {
                let events = kernel::events(provider);
                if let Some((groups, files)) = events {
                    self.groups |= groups;
                    self.files.extend(files.iter().map(PathBuf::from));
                }
                events.is_some()
            }
            #[cfg(feature = "source-ubus")]
            Target::Ubus { object, .. } => self.add_object(object, pushed.as_deref()),
            #[cfg(feature = "source-exec")]
            Target::Exec { command, .. } => {
                if let (Some(_), Some((_, words))) = (pushed, command.split_last()) {
                    self.programs.push(words.iter().cloned().chain([WATCH.to_owned()]).collect());
                }
                pushed.is_some()
            }
            #[allow(unreachable_patterns, reason = "a build may lack some kinds")]
            _ => false,
        };
        if !is_pushed || *poll != 0 {
            self.poll(*poll);
        }
    }

    /// Adds an object on the bus, with the names of its events as the model gives them. Returns true if it tells of all its
    /// changes.
    #[cfg(feature = "source-ubus")]
    fn add_object(&mut self, object: &str, pushed: Option<&str>) -> bool {
        // netifd and hostapd change links and addresses when their state changes.
        if object.starts_with("network") || object.starts_with("hostapd") {
            self.groups |= LINKS | ADDRESSES | ROUTES;
        }
        let usual = match object {
            "dhcp" => Some("dhcp.*"),
            _ if object == INTERFACE || object.strip_prefix(INTERFACE).is_some_and(|rest| rest.starts_with('.')) => {
                Some(INTERFACE)
            }
            _ => None,
        };
        let events = pushed.or(usual);
        self.objects.push(object.to_owned());
        self.events.extend(events.filter(|events| !events.is_empty()).map(str::to_owned));
        events.is_some()
    }
}

/// Returns the states of links that netlink messages tell.
pub(crate) fn link_states(messages: &[u8]) -> Vec<LinkState> {
    #[cfg(feature = "source-builtin")]
    return kernel::link_states(messages);
    #[cfg(not(feature = "source-builtin"))]
    {
        let _ = messages;
        Vec::new()
    }
}

/// Sorts names, and leaves out double ones and those beyond the limit. Returns false if some are beyond.
fn limit<T: Ord>(names: &mut Vec<T>, limit: usize) -> bool {
    names.sort_unstable();
    names.dedup();
    let are_all = names.len() <= limit;
    names.truncate(limit);
    are_all
}

#[cfg(all(test, feature = "sources"))]
mod tests {
    use super::*;

    fn changes(targets: Vec<Target>) -> Changes {
        watched(targets.into_iter().map(|target| (target, Watching::default())))
    }

    fn watched(sources: impl IntoIterator<Item = (Target, Watching)>) -> Changes {
        let query = |(target, watching)| Query { target, limit: 5, age: 0, watching };
        Changes::of(&sources.into_iter().map(query).collect::<Vec<_>>())
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

    fn call(object: &str) -> Target {
        Target::Ubus { object: object.into(), method: "get".into(), args: Vec::new(), is_optional: false }
    }

    fn program(verb: &str) -> Target {
        Target::Exec { command: vec!["/bin/led".into(), verb.into()], input: String::new() }
    }

    fn by(pushed: Option<&str>, poll: u32) -> Watching {
        Watching { pushed: pushed.map(Into::into), poll }
    }

    #[test]
    fn objects_and_programs_tell_of_their_changes() {
        let found = changes(vec![call("network.interface.wan"), call("network.interface"), call("hostapd.wlan0")]);
        assert_eq!(found.objects, ["hostapd.wlan0", "network.interface", "network.interface.wan"]);
        assert_eq!((found.events, found.poll), (vec!["network.interface".to_owned()], Some(POLL)));
        let pushed =
            [(call("acme"), by(Some("acme.*"), 0)), (call("other"), by(Some(""), 0)), (call("dhcp"), by(None, 0))];
        let found = watched(pushed);
        assert_eq!((found.events, found.poll), (vec!["acme.*".to_owned(), "dhcp.*".to_owned()], None));
        let found = watched([(program("list"), by(Some(""), 0)), (program("get"), by(Some(""), 0))]);
        assert_eq!((found.programs, found.poll), (vec![vec!["/bin/led".to_owned(), "watch".to_owned()]], None));
        assert!(changes(vec![program("get")]).programs.is_empty());
    }

    #[test]
    fn the_shortest_interval_counts() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(watched([(program("get"), by(None, 60)), (call("system"), by(None, 0))]).poll, seconds(60));
        assert_eq!(watched([(file("/etc/a"), by(None, 20))]).poll, seconds(20));
        let many = (0..70).map(|number| (call(&format!("object{number}")), by(Some(""), 0)));
        let found = watched(many);
        assert_eq!((found.objects.len(), found.poll), (MAX_NAMES, Some(POLL)), "the rest is polled");
    }
}
