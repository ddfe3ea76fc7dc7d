//! Discovery of the ACS by DHCP: applies what the DHCP clients have handed over.
//!
//! ```text
//! files of src/dhcp.rs ─▶ read_leases ─▶ Offer ─▶ Discovered::takes_url ─▶ Device::change ─▶ 0 BOOTSTRAP, a session
//!                                          ▲
//!            no connection for 300 s ──────┘ R18: an ACS that DHCP has found first is searched anew
//!                      └─▶ the action `discover` ─▶ the DHCP clients ask anew ─▶ files
//! ```

use std::sync::Arc;
use std::time::Duration;

use super::Agent;
use crate::clock::Now;
use crate::cwmp::device::Author;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::rules;
use crate::dhcp;
use crate::discovery::{self, Discovered, Offer, URL, UrlInUse};
use crate::http::HttpError;
use crate::log;
use crate::model::change::Change;
use crate::model::facets::PatternCache;
use crate::model::tree::{DeclaredType, Wanted};
use crate::{process, thread};

/// The least time between two runs of the action `discover`: the time after which an ACS counts as unreachable (R20).
const ASKING_INTERVAL: Duration = Duration::from_secs(discovery::UNREACHABLE);

/// The longest time of a run, after which it is killed: less than the interval, so that no two run at once.
const ASKING_LIMIT: Duration = Duration::from_secs(60);

/// The stack size in bytes of the thread that waits for the action.
const STACK: usize = 64 << 10;

/// The offer of DHCP, and the time since which the ACS cannot be reached.
#[derive(Debug, Default)]
pub(super) struct AcsDiscovery {
    offer: Option<Offer>,
    /// True if the files of the DHCP clients may hold something else since they were read.
    is_outdated: bool,
    /// The instant at which the offer was last compared with the values in use.
    compared_at: Duration,
    /// The end of the first attempt without a connection to the ACS, on the monotonic clock; `None` after a connection.
    unreached_since: Option<Duration>,
    /// The last run of the action `discover`, on the monotonic clock.
    asked_at: Option<Duration>,
}

impl AcsDiscovery {
    /// Returns the instant at which the ACS counts as unreachable (R20).
    fn unreachable_at(&self) -> Option<Duration> {
        self.unreached_since.map(|since| since + Duration::from_secs(discovery::UNREACHABLE))
    }

    /// Makes the agent read the files anew before the next session.
    pub(super) fn outdate(&mut self) {
        self.is_outdated = true;
    }

    /// Notes the result of an attempt to connect to the ACS.
    pub(super) fn note_connection(&mut self, error: Option<&HttpError>, now: Now) {
        match error {
            None => self.unreached_since = None,
            Some(HttpError::Connect { .. } | HttpError::Resolve { .. }) => {
                self.unreached_since.get_or_insert(now.monotonic);
            }
            // The server accepted the connection and failed later.
            Some(_) => self.unreached_since = None,
        }
    }
}

impl Agent {
    /// Reads what the DHCP clients have handed over. Costs nothing in a configuration without `--dhcp-dir`.
    fn read_leases(&mut self, now: Now) {
        self.discovery.is_outdated = false;
        let Some(directory) = self.config.dhcp_dir.as_ref().filter(|_| cfg!(feature = "dhcp")) else { return };
        let leases = dhcp::leases(directory);
        self.discovery.offer = discovery::offer(&leases);
        // Without a gateway of the standard the values are empty.
        self.device.publish_gateway(&discovery::gateway(&leases).unwrap_or_default());
        self.schedule_notification(now);
    }

    /// Returns the instant at which another ACS may take the place of one that cannot be reached, or at which the DHCP clients
    /// are asked for one.
    pub(super) fn discovery_deadline(&self, now: Now) -> Option<Duration> {
        let waits = self.discovery.offer.is_some() && self.device.state().discovered.is_first;
        let comparison = self.discovery.unreachable_at().filter(|at| waits && *at > now.monotonic);
        [comparison, self.asking_at()].into_iter().flatten().min()
    }

    /// Returns the instant at which the action `discover` runs: while an ACS that DHCP has found first cannot be reached (R18).
    fn asking_at(&self) -> Option<Duration> {
        let asks = self.config.dhcp_dir.is_some() && self.device.actions().discover.is_some();
        let unreachable_at =
            self.discovery.unreachable_at().filter(|_| asks && self.device.state().discovered.is_first)?;
        let again_at = self.discovery.asked_at.map(|at| at + ASKING_INTERVAL);
        Some(unreachable_at.max(again_at.unwrap_or_default()))
    }

    /// Runs the action `discover` if it is due. The hooks of the DHCP clients hand over the options that they receive.
    pub(super) fn ask_dhcp_clients(&mut self, now: Now) {
        let is_due = self.asking_at().is_some_and(|at| at <= now.monotonic);
        let Some(command) = self.device.actions().discover.clone().filter(|_| is_due) else { return };
        self.discovery.asked_at = Some(now.monotonic);
        log::info!("the ACS cannot be reached: the DHCP clients ask anew");
        let stop = Arc::clone(&self.stop);
        let run = move || {
            if let Err(error) = process::run_until_stopped(&command, ASKING_LIMIT, &stop) {
                log::warn!("the action discover: {error}");
            }
        };
        if let Err(error) = thread::spawn("discover", STACK, Box::new(run)) {
            log::warn!("the action discover: cannot start a thread: {error}");
        }
    }

    /// Applies what DHCP offers, as far as its values take the place of those in use: once for each handover, and once when
    /// the ACS becomes unreachable.
    pub(super) fn discover(&mut self, now: Now) {
        let became_unreachable = |at: Duration| self.discovery.compared_at < at && at <= now.monotonic;
        if self.discovery.is_outdated {
            self.read_leases(now);
        } else if !self.discovery.unreachable_at().is_some_and(became_unreachable) {
            return;
        }
        self.discovery.compared_at = now.monotonic;
        let Some(offer) = &self.discovery.offer else { return };
        let names = self.device.offered_names();
        let mut discovered = self.device.state().discovered.clone();
        let mut changes = Vec::new();
        for (at, (name, offered)) in names.iter().zip(&offer.values).enumerate() {
            let Some(offered) = offered else { continue };
            let current = self.device.tree().get(name).map(|value| value.to_string()).unwrap_or_default();
            let takes = match at {
                URL => self.takes_url(&current, name, now),
                // The other values belong to the URL beside them. One that the ACS or a user has set stays.
                _ if !discovered.gave(offer.values[URL].as_deref().unwrap_or_default()) => false,
                _ => current.is_empty() || current == discovered.values[at] || self.is_default(name),
            };
            if !takes {
                continue;
            }
            match self.checked(name, offered) {
                Ok(change) => changes.extend((current != *offered).then_some(change)),
                // R26: an invalid value changes nothing. Without the URL the other values have no meaning.
                Err(reason) => {
                    log::warn!("{}: {name}: {reason}", offer.origin);
                    continue;
                }
            }
            discovered.values[at].clone_from(offered);
        }
        let origin = offer.origin.clone();
        if changes.is_empty() && discovered == self.device.state().discovered {
            return;
        }
        self.apply_offer(changes, discovered, &origin, now);
    }

    /// Stores the values of an offer and the origin of the URL in one record, and requests a session with a new ACS (R25).
    fn apply_offer(&mut self, changes: Vec<Change>, discovered: Discovered, origin: &str, now: Now) {
        let wanted = Wanted::changes(changes.iter().map(|change| change.name().to_owned()).collect());
        self.device.refresh(&wanted, now);
        let is_first = self.device.acs_url().is_empty();
        let has_booted = self.device.state().events.contains(&EventCode::Boot);
        let before = std::mem::replace(&mut self.device.state_mut().discovered, discovered);
        match self.device.change(changes, Author::Other, now) {
            Ok(_) => {
                log::info!("the ACS is that of {origin}, which is not authenticated");
                self.discovery.unreached_since = None;
                if is_first && has_booted {
                    // R139 discards events that another ACS has missed, and there was none before.
                    self.device.state_mut().events.raise(Event::new(EventCode::Boot));
                }
                // R25: a new ACS is contacted at once.
                self.session_wanted |= self.device.state().events.is_new(&EventCode::Bootstrap);
                self.save();
            }
            Err(fault) => {
                self.device.state_mut().discovered = before;
                log::error!("the values of {origin} are not used: {}", fault.text);
            }
        }
    }

    fn takes_url(&self, url: &str, name: &str, now: Now) -> bool {
        let state = self.device.state();
        state.discovered.takes_url(UrlInUse {
            url,
            is_default: self.is_default(name),
            was_contacted: state.totals.succeeded > 0,
            // A URL that was set since the last attempt has had no chance yet.
            is_unreachable: self.acs_quirks.url == url
                && self.discovery.unreachable_at().is_some_and(|at| at <= now.monotonic),
        })
    }

    /// Returns true if the value is that of the data model, not set by the configuration or by any other writer (R9).
    fn is_default(&self, name: &str) -> bool {
        let is_configured = self.config.factory_values.iter().any(|(path, _)| path == name);
        !is_configured && self.device.tree().parameter(name).is_ok_and(|parameter| !parameter.is_changed())
    }

    /// Checks a value of an offer by the rules that SetParameterValues follows.
    fn checked(&self, name: &str, text: &str) -> Result<Change, String> {
        let tree = self.device.tree();
        let value = tree.check_set(name, DeclaredType::Any, text, &PatternCache::default());
        let value = value.and_then(|value| rules::check(tree, self.device.actions(), name, &value).map(|()| value));
        value.map(|value| Change::Set(name.to_owned(), value)).map_err(|error| error.to_string())
    }

    /// Records that DHCP found the ACS, if this was the first session that succeeded (R18).
    pub(super) fn note_first_acs(&mut self) {
        let state = self.device.state_mut();
        state.discovered.is_first |= state.totals.succeeded == 0 && state.discovered.gave(&self.acs_quirks.url);
    }
}
