//! Reloads of services: the calls by which the device begins to use values that were set, after the session and its connection.
//!
//! ```text
//! owed ──▶ no session runs ──▶ a thread runs one after the other ──▶ DeviceReturn ──▶ the values of the device count ──▶ session
//!              ▲                          │ failed
//!              └── once more, after 10 s ─┘
//! ```
//!
//! `service_reloads/device_return.rs` has the end of procd's queue, the time to settle, and the conditions.
//!
//! The next session waits for all of this (R170). Each wait has an end, so that no reload keeps the device from its ACS.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use self::device_return::{DeviceReturn, Step};
use super::Agent;
use crate::clock::{Clock, Now};
use crate::log;
use crate::model::reloads::{Condition, Reload};
use crate::sources::{await_condition, awaits_event, run_reload};
use crate::thread;

mod device_return;

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
    /// The work of the thread.
    running: Option<Job>,
    /// The last runs.
    past: Vec<PastReload>,
    device_return: DeviceReturn,
}

/// The work of the thread that waits for the device.
#[derive(Clone, Debug)]
enum Job {
    Reload(Reload),
    /// Sends the last event to procd.
    Question(Reload),
    /// Waits until the condition is true, at most for this time.
    Condition(Condition, Duration),
}

impl Job {
    fn name(&self) -> String {
        match self {
            Job::Reload(reload) | Job::Question(reload) => reload.name.clone(),
            Job::Condition(condition, _) => condition.to_string(),
        }
    }

    fn run(&self, clock: Clock, stop: &AtomicBool) -> Result<(), String> {
        match self {
            Job::Reload(reload) => run_reload(reload, clock, stop),
            Job::Question(reload) => {
                run_reload(reload, clock, stop)?;
                match awaits_event(&reload.name, clock, stop) {
                    Some(false) => Err("no init script asks for it".to_owned()),
                    _ => Ok(()),
                }
            }
            Job::Condition(condition, limit) => await_condition(condition, *limit, clock, stop),
        }
    }
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

    /// Notes that a reload begins.
    fn begin(&mut self, reload: &Reload, now: Duration) {
        let is_repeated = self.past.iter().any(|past| past.name == reload.name && past.is_repeated);
        self.past.retain(|past| past.name != reload.name);
        if self.past.len() >= MAX_REMEMBERED {
            self.past.remove(0);
        }
        self.past.push(PastReload { name: reload.name.clone(), began: now, failure: None, is_repeated });
        self.running = Some(Job::Reload(reload.clone()));
    }

    /// Notes the end of a reload. Returns true if it is tried once more.
    fn end(&mut self, reload: &Reload, result: Result<(), String>, now: Duration) -> bool {
        // The time that it takes the device counts also after a failure: a part of the services may have reloaded.
        self.device_return.ended(reload, reload.is_in_queue() && result.is_ok(), now);
        let Some(past) = self.past.iter_mut().find(|past| past.name == reload.name) else { return false };
        let is_first = !std::mem::replace(&mut past.is_repeated, false);
        let Err(reason) = result else { return false };
        past.failure = Some((reason.clone(), now));
        past.is_repeated = is_first;
        match is_first {
            true => log::warn!("reload {}: {reason}; once more in {} s", reload.name, RETRY.as_secs()),
            false => log::warn!("reload {}: {reason}; the configuration stays as it was set", reload.name),
        }
        is_first
    }
}

impl Agent {
    /// Begins the reload that is due, and follows the return of the device after the last one. No session runs.
    pub(super) fn poll_reloads(&mut self, now: Now) {
        if self.service_reloads.running.is_some() || self.is_restarting() {
            return;
        }
        let owed = self.device.owed_reloads().iter().filter(|name| self.service_reloads.due(name) <= now.monotonic);
        let owed: Vec<Reload> = owed.map(|name| self.device.reload(name)).collect();
        let first = owed.into_iter().min_by(|one, other| (one.order, &one.name).cmp(&(other.order, &other.name)));
        if let Some(reload) = first {
            log::info!("reload {}", reload.name);
            self.service_reloads.begin(&reload, now.monotonic);
            self.device.begin_reload(&reload.name, now);
            return self.start_job(Job::Reload(reload), now);
        }
        if !self.device.owed_reloads().is_empty() {
            return;
        }
        match self.service_reloads.device_return.next(now.monotonic) {
            Some(Step::AskQueue) => self.start_job(Job::Question(self.device.last_event()), now),
            Some(Step::Check(condition, limit)) => self.start_job(Job::Condition(condition, limit), now),
            Some(Step::Returned) => self.device.reloads_settled(),
            None => {}
        }
    }

    /// Starts the thread that waits for the device.
    fn start_job(&mut self, job: Job, now: Now) {
        let (inbox, clock, stop) = (Arc::clone(&self.inbox), self.clock, Arc::clone(&self.stop));
        let name = job.name();
        self.service_reloads.running = Some(job.clone());
        let ended = name.clone();
        let run = move || {
            let result = job.run(clock, &stop);
            inbox.finish_reload(FinishedReload { name: ended, result });
        };
        if let Err(error) = thread::spawn("reload", STACK, Box::new(run)) {
            self.finish_reload(FinishedReload { name, result: Err(format!("cannot start a thread: {error}")) }, now);
        }
    }

    /// Notes the end of a reload, or of the wait for the device.
    pub(super) fn finish_reload(&mut self, finished: FinishedReload, now: Now) {
        let FinishedReload { name, result } = finished;
        let reloads = &mut self.service_reloads;
        // The monotonic clock of `now` is that of the wake-up, which follows the end.
        match reloads.running.take_if(|job| job.name() == name) {
            Some(Job::Reload(reload)) => {
                let is_repeated = reloads.end(&reload, result, now.monotonic);
                self.device.end_reload(is_repeated);
            }
            Some(Job::Question(_)) => {
                if let Err(reason) = result {
                    log::info!("the last event for procd: {reason}");
                    reloads.device_return.unanswered(now.monotonic);
                }
            }
            Some(Job::Condition(..)) => {
                if let Err(reason) = result {
                    log::warn!("{name}: {reason}");
                }
                reloads.device_return.checked();
            }
            None => {}
        }
    }

    /// Notes that procd has run all scripts before the last event.
    pub(super) fn note_applied(&mut self, now: Now) {
        self.service_reloads.device_return.applied(now.monotonic);
    }

    /// Returns true while a session waits for reloads and for the return of the device (R170).
    pub(super) fn awaits_reloads(&self) -> bool {
        let reloads = &self.service_reloads;
        let is_open = reloads.device_return.is_open() || !self.device.owed_reloads().is_empty();
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
        due.min().or_else(|| reloads.device_return.deadline())
    }

    /// Returns the reloads for `status`.
    pub(super) fn reload_status(&self) -> ReloadStatus {
        let reloads = &self.service_reloads;
        let running = reloads.running.iter().filter_map(|job| match job {
            Job::Reload(reload) => Some(reload.name.clone()),
            Job::Question(_) | Job::Condition(..) => None,
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reloads::Reloads;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns the instant of the next run after runs that began at these instants, the last of which has failed or not.
    fn due_after(runs: &[(u32, bool)]) -> Duration {
        let (mut reloads, network) = (ServiceReloads::default(), Reloads::default().get("network"));
        for (began, fails) in runs {
            let began = SECOND * *began;
            assert!(reloads.due("network") <= began, "{runs:?}");
            reloads.begin(&network, began);
            let result = if *fails { Err("it fails".to_owned()) } else { Ok(()) };
            reloads.end(&network, result, began + SECOND);
        }
        assert_eq!(reloads.due("wireless"), Duration::ZERO, "another name does not wait");
        reloads.due("network")
    }

    #[test]
    fn a_name_has_an_interval() {
        assert_eq!(due_after(&[]), Duration::ZERO);
        assert_eq!(due_after(&[(100, false)]), 130 * SECOND);
        assert_eq!(due_after(&[(100, false), (130, false)]), 160 * SECOND);
    }

    #[test]
    fn a_failure_is_repeated_once() {
        assert_eq!(due_after(&[(100, true)]), 111 * SECOND);
        assert_eq!(due_after(&[(100, true), (111, true)]), 141 * SECOND);
        assert_eq!(due_after(&[(100, true), (111, false)]), 141 * SECOND);
        assert_eq!(due_after(&[(100, true), (111, true), (141, true)]), 152 * SECOND);
    }

    #[test]
    fn the_memory_of_runs_has_a_bound() {
        let mut reloads = ServiceReloads::default();
        for number in 0..2 * MAX_REMEMBERED {
            reloads.begin(&Reloads::default().get(&number.to_string()), SECOND);
        }
        assert_eq!(reloads.past.len(), MAX_REMEMBERED);
    }
}
