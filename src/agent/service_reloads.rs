//! Reloads of services: the calls by which the device begins to use values that were set, after the session and its connection.
//!
//! ```text
//! owed ──▶ no session runs ──▶ a thread runs one after the other ──▶ settle ──▶ the values of the device count ──▶ next session
//!              ▲                          │ failed
//!              └── once more, after 10 s ─┘
//! ```
//!
//! The next session waits for all of this (R170). Each wait has an end, so that no reload keeps the device from its ACS.

use std::sync::Arc;
use std::time::Duration;

use super::Agent;
use crate::clock::Now;
use crate::model::reloads::Reload;
use crate::sources::run_reload;
use crate::thread;

/// The time after which a reload that has failed is tried once more.
const RETRY: Duration = Duration::from_secs(10);

/// The least time between two reloads of one name: services that restart at short intervals lose their state.
const INTERVAL: Duration = Duration::from_secs(30);

/// The stack size in bytes of the thread that waits for a reload.
const STACK: usize = 128 << 10;

/// The most reloads whose last run is remembered.
const MAX_REMEMBERED: usize = 64;

/// The state of the reloads.
#[derive(Default)]
pub(super) struct ServiceReloads {
    /// The reload that runs.
    running: Option<Reload>,
    /// The last runs.
    past: Vec<PastReload>,
    /// The instant of the monotonic clock at which the device is expected back.
    settled_at: Option<Duration>,
}

/// The last run of a reload.
#[derive(Clone, Debug)]
struct PastReload {
    name: String,
    /// The instant of the monotonic clock at which it began.
    began: Duration,
    /// The reason of the failure, and its instant.
    failure: Option<(String, Duration)>,
    /// True if the next run is the second attempt after a failure.
    is_repeated: bool,
}

/// The end of a reload.
#[derive(Debug)]
pub(super) struct FinishedReload {
    name: String,
    result: Result<(), String>,
}

/// The reloads, for `status`.
#[derive(Clone, Debug, Default)]
pub(super) struct ReloadStatus {
    /// The names of the reloads that are owed or run.
    pub(super) owed: Vec<String>,
    /// The names of the reloads that failed at their last run, with the reason and the instant.
    pub(super) failed: Vec<(String, String, Duration)>,
}

impl ServiceReloads {
    /// Returns the instant before which a reload does not begin.
    fn due(&self, name: &str) -> Duration {
        let past = self.past.iter().find(|past| past.name == name);
        past.map_or(Duration::ZERO, |past| match &past.failure {
            Some((_, failed)) if past.is_repeated => *failed + RETRY,
            _ => past.began + INTERVAL,
        })
    }
}

impl Agent {
    /// Begins the reload that is due, and notes the return of the device after the last one. No session runs.
    pub(super) fn poll_reloads(&mut self, now: Now) {
        if self.service_reloads.running.is_some() || self.is_restarting() {
            return;
        }
        let owed = self.device.owed_reloads().iter().filter(|name| self.service_reloads.due(name) <= now.monotonic);
        let owed: Vec<Reload> = owed.map(|name| self.device.reload(name)).collect();
        let first = owed.into_iter().min_by(|one, other| (one.order, &one.name).cmp(&(other.order, &other.name)));
        if let Some(reload) = first {
            self.begin_reload(reload, now);
        } else if self.device.owed_reloads().is_empty()
            && self.service_reloads.settled_at.is_some_and(|at| at <= now.monotonic)
        {
            self.service_reloads.settled_at = None;
            self.device.reloads_settled();
        }
    }

    fn begin_reload(&mut self, reload: Reload, now: Now) {
        log::info!("reload {}", reload.name);
        let reloads = &mut self.service_reloads;
        let is_repeated = reloads.past.iter().any(|past| past.name == reload.name && past.is_repeated);
        reloads.past.retain(|past| past.name != reload.name);
        if reloads.past.len() >= MAX_REMEMBERED {
            reloads.past.remove(0);
        }
        let name = reload.name.clone();
        reloads.past.push(PastReload { name: name.clone(), began: now.monotonic, failure: None, is_repeated });
        reloads.running = Some(reload.clone());
        self.device.begin_reload(&name, now);
        let (inbox, clock, stop) = (Arc::clone(&self.inbox), self.clock, Arc::clone(&self.stop));
        let ended = name.clone();
        let run = move || {
            let result = run_reload(&reload, clock, &stop);
            inbox.finish_reload(FinishedReload { name: ended, result });
        };
        if let Err(error) = thread::spawn("reload", STACK, Box::new(run)) {
            self.finish_reload(FinishedReload { name, result: Err(format!("cannot start a thread: {error}")) }, now);
        }
    }

    /// Notes the end of a reload: waits for the return of the device, or tries once more.
    pub(super) fn finish_reload(&mut self, finished: FinishedReload, now: Now) {
        let reloads = &mut self.service_reloads;
        let Some(reload) = reloads.running.take_if(|running| running.name == finished.name) else { return };
        // The monotonic clock of `now` is that of the wake-up, which follows the end.
        let settled_at = now.monotonic + reload.settle;
        reloads.settled_at = reloads.settled_at.max(Some(settled_at));
        let Some(past) = reloads.past.iter_mut().find(|past| past.name == finished.name) else { return };
        let mut is_tried_again = false;
        match finished.result {
            Ok(()) => past.is_repeated = false,
            Err(reason) => {
                let is_first = !std::mem::replace(&mut past.is_repeated, false);
                past.failure = Some((reason.clone(), now.monotonic));
                if is_first {
                    past.is_repeated = true;
                    is_tried_again = true;
                    log::warn!("reload {}: {reason}; once more in {} s", finished.name, RETRY.as_secs());
                } else {
                    log::warn!("reload {}: {reason}; the configuration stays as it was set", finished.name);
                }
            }
        }
        self.device.end_reload(is_tried_again);
    }

    /// Returns true while a session waits for reloads and for the return of the device (R170).
    pub(super) fn awaits_reloads(&self) -> bool {
        let reloads = &self.service_reloads;
        let is_open = reloads.settled_at.is_some() || !self.device.owed_reloads().is_empty();
        reloads.running.is_some() || (is_open && !self.is_restarting())
    }

    /// Returns the instant at which [`Agent::poll_reloads`] has something to do.
    pub(super) fn reload_deadline(&self) -> Option<Duration> {
        let reloads = &self.service_reloads;
        // A reload that waits for a reboot has no deadline: one in the past would keep the agent thread busy.
        if reloads.running.is_some() || self.is_restarting() {
            return None;
        }
        let due = self.device.owed_reloads().iter().map(|name| reloads.due(name));
        due.min().or(reloads.settled_at)
    }

    /// Returns the reloads for `status`.
    pub(super) fn reload_status(&self) -> ReloadStatus {
        let reloads = &self.service_reloads;
        let running = reloads.running.iter().map(|reload| reload.name.clone());
        let failed = reloads.past.iter().filter_map(|past| {
            let (reason, at) = past.failure.clone()?;
            Some((past.name.clone(), reason, at))
        });
        ReloadStatus {
            owed: running.chain(self.device.owed_reloads().iter().cloned()).collect(),
            failed: failed.collect(),
        }
    }
}
