//! Driver: watches the network and files of the device for changes.
//!
//! ```text
//! netlink: links, addresses, routes, neighbours ──┐
//! inotify: files ─────────────────────────────────┼──▶ ChangeWatch ──▶ on_change, in its thread
//! EventSource: the bus of OpenWrt, programs ──────┘
//! ```
//!
//! Without an event the thread sleeps, unless an event source waits for its next attempt. The watch for a retry counts new
//! addresses, routes and name servers, which may let an attempt succeed that had none: a route that a router announces anew, and
//! an address whose lease is renewed, are no changes for it.

use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustc_hash::FxHasher;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

#[cfg(any(feature = "source-exec", feature = "source-ubus"))]
pub(crate) use back_off::BackOff;
pub(crate) use event_source::{EventSource, SourceEvent};

use crate::log;
use crate::poll_thread::{EventRegistry, PollHandler, PollThread};
use crate::readiness::PollFlags;

#[cfg(any(feature = "source-exec", feature = "source-ubus"))]
mod back_off;
mod event_source;

/// The files that name the name servers, those of dnsmasq on OpenWrt included, and the file of local names.
const RESOLVER_FILES: [&str; 4] =
    ["/etc/resolv.conf", "/etc/hosts", "/tmp/resolv.conf.d/resolv.conf.auto", "/tmp/resolv.conf.auto"];

/// RTMGRP_LINK of `linux/rtnetlink.h`.
pub(crate) const LINKS: u32 = 0x1;
/// RTMGRP_NEIGH.
#[cfg(feature = "source-builtin")]
pub(crate) const NEIGHBOURS: u32 = 0x4;
/// RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR.
pub(crate) const ADDRESSES: u32 = 0x10 | 0x100;
/// RTMGRP_IPV4_ROUTE and RTMGRP_IPV6_ROUTE.
pub(crate) const ROUTES: u32 = 0x40 | 0x400;

/// The pause after an event, in which further ones gather in the kernel: a storm costs little time.
const PAUSE: Duration = Duration::from_millis(200);

/// The most messages that are read of a socket at a time.
const READ_AT_ONCE: usize = 256;

/// The most addresses and routes that are told from new ones; the oldest is forgotten first.
const MAX_SEEN: usize = 128;

/// Opens a netlink socket that becomes readable when an address or a route of this device changes.
///
/// # Errors
/// The refusal of the kernel, or of a sandbox around the agent.
pub(crate) fn netlink() -> io::Result<OwnedFd> {
    netlink_of(ADDRESSES | ROUTES)
}

/// Opens a netlink socket that becomes readable when something of these groups changes.
fn netlink_of(groups: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // No protocol means protocol 0, which is NETLINK_ROUTE.
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// A function that reads netlink messages, and returns true if one of them reports a change.
type Note = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// A function that gets netlink messages.
pub(crate) type OnMessages = Box<dyn Fn(&[u8]) + Send>;

/// A running watch. Dropping it ends the thread.
pub(crate) struct ChangeWatch {
    _thread: PollThread,
}

impl ChangeWatch {
    /// Starts a watch for a new address, route or name server. `on_change` is called from its thread and must not block.
    ///
    /// # Errors
    /// The refusal of the kernel to start a thread.
    pub(crate) fn of_network(on_change: Box<dyn Fn() + Send>) -> io::Result<ChangeWatch> {
        let files: Vec<PathBuf> = RESOLVER_FILES.iter().map(PathBuf::from).collect();
        // The hashes of the addresses and routes that were reported and not removed since.
        let mut seen = Vec::new();
        let note = Box::new(move |messages: &[u8]| note(messages, &mut seen));
        ChangeWatch::start("network", ADDRESSES | ROUTES, &files, Vec::new(), note, Box::new(move |_| on_change()))
    }

    /// Starts a watch for every change of these netlink groups, files and event sources. The first event follows the start: a
    /// change between the last reading and the start would be lost without it. `on_messages` gets the netlink messages first.
    ///
    /// # Errors
    /// The refusal of the kernel to start a thread.
    pub(crate) fn of_values(
        groups: u32,
        files: &[PathBuf],
        event_sources: Vec<Box<dyn EventSource>>,
        on_messages: OnMessages,
        on_change: Box<dyn Fn(SourceEvent) + Send>,
    ) -> io::Result<ChangeWatch> {
        on_change(SourceEvent::Changed);
        let note = Box::new(move |messages: &[u8]| {
            on_messages(messages);
            true
        });
        ChangeWatch::start("values", groups, files, event_sources, note, on_change)
    }

    fn start(
        name: &'static str,
        groups: u32,
        files: &[PathBuf],
        event_sources: Vec<Box<dyn EventSource>>,
        note: Note,
        on_change: Box<dyn Fn(SourceEvent) + Send>,
    ) -> io::Result<ChangeWatch> {
        let watched = |what: &str, opened: io::Result<OwnedFd>| {
            opened.inspect_err(|error| log::debug!("changes of {what} are not seen: {error}")).ok()
        };
        let mut names = Vec::new();
        let handler = WatchThread {
            netlink: (groups != 0).then(|| watched("the network", netlink_of(groups))).flatten(),
            files: (!files.is_empty()).then(|| watched("files", watch_files(files, &mut names))).flatten(),
            event_sources,
            names,
            note,
            paused_until: Duration::ZERO,
            on_change,
        };
        Ok(ChangeWatch { _thread: PollThread::start(name, |_| handler)? })
    }
}

/// Watches files, and their directories, since a file is often replaced as a whole. Adds the watches to `names`, each with the
/// name of the file in its directory.
fn watch_files(files: &[PathBuf], names: &mut Vec<(i32, Option<OsString>)>) -> io::Result<OwnedFd> {
    let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let mut watch = |path: &Path, name: Option<OsString>| {
        let flags = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::CREATE;
        // A file or a directory that is not present is left out.
        names.extend(inotify::add_watch(&inotify, path, flags).ok().map(|id| (id, name)));
    };
    for file in files {
        // The file itself may lie in another directory, behind a link or a mount.
        watch(file, None);
        let target = std::fs::canonicalize(file).ok();
        for path in [Some(file), target.as_ref().filter(|target| *target != file)].into_iter().flatten() {
            if let (Some(directory), Some(name)) = (path.parent(), path.file_name()) {
                watch(directory, Some(name.to_owned()));
            }
        }
    }
    Ok(inotify)
}

/// The state of the thread.
struct WatchThread {
    netlink: Option<OwnedFd>,
    files: Option<OwnedFd>,
    event_sources: Vec<Box<dyn EventSource>>,
    /// The watches of `files`: of a file, or of a directory with the name of the file in it.
    names: Vec<(i32, Option<OsString>)>,
    note: Note,
    /// The end of the pause after an event; zero outside of one.
    paused_until: Duration,
    on_change: Box<dyn Fn(SourceEvent) + Send>,
}

/// The tokens of the descriptors. Those of the event sources are their indices.
const NETWORK: usize = usize::MAX;
const FILES: usize = NETWORK - 1;

impl PollHandler for WatchThread {
    fn on_turn(&mut self, now: Duration) {
        if self.paused_until <= now {
            self.paused_until = Duration::ZERO;
        }
        for event_source in &mut self.event_sources {
            event_source.on_turn(now).into_iter().for_each(&self.on_change);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let pause = Some(self.paused_until).filter(|until| !until.is_zero());
        self.event_sources.iter().filter_map(|event_source| event_source.deadline()).chain(pause).min()
    }

    fn register<'fd>(&'fd self, registry: &mut EventRegistry<'fd>) {
        if self.paused_until.is_zero() {
            self.netlink.iter().for_each(|fd| registry.register(fd.as_fd(), PollFlags::IN, NETWORK));
            self.files.iter().for_each(|fd| registry.register(fd.as_fd(), PollFlags::IN, FILES));
            for (at, event_source) in self.event_sources.iter().enumerate() {
                event_source.descriptor().into_iter().for_each(|(fd, flags)| registry.register(fd, flags, at));
            }
        }
    }

    fn on_event(&mut self, token: usize, _flags: PollFlags, now: Duration) {
        let event = match token {
            NETWORK => self.read_netlink().then_some(SourceEvent::Changed),
            FILES => self.read_files().then_some(SourceEvent::Changed),
            // An answer that tells of nothing, such as that to a look-up, makes the next one wait no longer.
            at => match self.event_sources.get_mut(at).and_then(|event_source| event_source.on_event(now)) {
                Some(event) => Some(event),
                None => return,
            },
        };
        self.paused_until = now + PAUSE;
        event.into_iter().for_each(&self.on_change);
    }
}

impl WatchThread {
    /// Reads the messages of the kernel. Returns true if one of them reports a change.
    fn read_netlink(&mut self) -> bool {
        let Some(netlink) = &self.netlink else { return false };
        let mut buffer = [0; 4096];
        let mut is_change = false;
        for _ in 0..READ_AT_ONCE {
            match rustix::net::recv(netlink, &mut buffer, RecvFlags::empty()) {
                Ok((_, length)) => is_change |= (self.note)(&buffer[..length.min(buffer.len())]),
                // Messages were lost, and any of them may have been a change.
                Err(Errno::NOBUFS) => is_change = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // A socket that fails would be ready again at once, without end.
                Err(error) => {
                    log::debug!("changes of the network are not seen: {error}");
                    self.netlink = None;
                    break;
                }
            }
        }
        is_change
    }

    /// Reads the events of the files. Returns true if one of them has changed.
    fn read_files(&mut self) -> bool {
        let Some(files) = &self.files else { return false };
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut reader = inotify::Reader::new(files, &mut buffer);
        let mut is_change = false;
        for _ in 0..READ_AT_ONCE {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_bytes());
                    let concerns = |(id, file): &(i32, Option<OsString>)| {
                        *id == event.wd() && file.as_ref().is_none_or(|file| Some(file.as_bytes()) == name)
                    };
                    is_change |= event.events().contains(ReadFlags::QUEUE_OVERFLOW) || self.names.iter().any(concerns);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => {
                    log::debug!("changes of files are not seen: {error}");
                    self.files = None;
                    break;
                }
            }
        }
        is_change
    }
}

/// Message types of `linux/rtnetlink.h`.
const NEW_ADDRESS: u16 = 20;
const DELETED_ADDRESS: u16 = 21;
const NEW_ROUTE: u16 = 24;
const DELETED_ROUTE: u16 = 25;

/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;

/// Notes the addresses and routes of a netlink message in `seen`. Returns true if one of them is new. Bytes that are no
/// message are ignored.
fn note(mut messages: &[u8], seen: &mut Vec<u64>) -> bool {
    let mut is_news = false;
    while let (Some(length), Some(kind)) = (u32_at(messages, 0), u16_at(messages, 4)) {
        let Some(body) = messages.get(HEADER..length as usize) else { break };
        messages = &messages[aligned(length as usize).min(messages.len())..];
        let (key, is_deleted) = match kind {
            NEW_ADDRESS | DELETED_ADDRESS => (address_key(body), kind == DELETED_ADDRESS),
            NEW_ROUTE | DELETED_ROUTE => (route_key(body), kind == DELETED_ROUTE),
            _ => continue,
        };
        let Some(key) = key else { continue };
        let known = seen.iter().position(|seen| *seen == key);
        match (known, is_deleted) {
            (Some(at), true) => drop(seen.remove(at)),
            (None, false) => {
                if seen.len() >= MAX_SEEN {
                    seen.remove(0);
                }
                seen.push(key);
                is_news = true;
            }
            _ => {}
        }
    }
    is_news
}

/// Returns a hash that identifies an address which other hosts can reach and which can be used; `None` for others.
fn address_key(body: &[u8]) -> Option<u64> {
    // struct ifaddrmsg: family, prefix length, flags, scope, index of the interface.
    const TENTATIVE: u8 = 0x40;
    const LINK_SCOPE: u8 = 253;
    let (fixed, attributes) = body.split_at_checked(8)?;
    // IPv6 reports an address twice: while it is probed for duplicates, and when it can be used.
    let is_usable = fixed[2] & TENTATIVE == 0 && fixed[3] < LINK_SCOPE;
    // IFA_ADDRESS and IFA_LOCAL. The others hold its lifetime, which each renewal changes.
    is_usable.then(|| key(NEW_ADDRESS, &[&fixed[..2], &fixed[3..]].concat(), attributes, &[1, 2]))
}

/// Returns a hash that identifies a route to other networks; `None` for others.
fn route_key(body: &[u8]) -> Option<u64> {
    // struct rtmsg: family, three lengths, table, protocol, scope, type, flags.
    const UNICAST: u8 = 1;
    const CLONED: u32 = 0x200;
    const INET6: u8 = 10;
    let (fixed, attributes) = body.split_at_checked(12)?;
    // IPv6 adds a route of the link to each interface that comes up.
    let is_of_link = attributes_of(attributes).any(|(kind, value)| kind == 1 && value.starts_with(&[0xfe, 0x80]));
    let is_route = fixed[7] == UNICAST && u32_at(fixed, 8)? & CLONED == 0 && !(fixed[0] == INET6 && is_of_link);
    // RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY and RTA_MULTIPATH.
    is_route.then(|| key(NEW_ROUTE, &fixed[..8], attributes, &[1, 4, 5, 6, 9]))
}

/// Returns a hash of the fixed part of a message and of the attributes of these types.
fn key(kind: u16, fixed: &[u8], attributes: &[u8], types: &[u16]) -> u64 {
    let mut hasher = FxHasher::default();
    (kind, fixed).hash(&mut hasher);
    attributes_of(attributes).filter(|(kind, _)| types.contains(kind)).for_each(|found| found.hash(&mut hasher));
    hasher.finish()
}

/// Returns the attributes of a message, each with its type and its value.
fn attributes_of(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        // struct rtattr: length, type, value.
        let (length, kind) = (usize::from(u16_at(bytes, 0)?), u16_at(bytes, 2)?);
        let value = bytes.get(4..length)?;
        bytes = &bytes[aligned(length).min(bytes.len())..];
        Some((kind, value))
    })
}

/// Returns the distance to the next message or attribute.
fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
