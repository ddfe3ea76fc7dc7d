//! The one thread that owns everything that can change: the device, the journal, the schedule, the running session.
//!
//! ```text
//! signals, control socket, … ──Wake──▶ Agent ──▶ sleep until a wake-up or the next deadline
//!                                        ├─ commands.rs        what the control socket asks for; status.rs tells how it goes
//!                                        ├─ session_driver.rs  one session with the ACS, driven to its end
//!                                        ├─ reboot.rs          what was promised in a session and is done after it
//!                                        ├─ listeners.rs       how the ACS reaches the agent: listeners and their address
//!                                        ├─ reload.rs          SIGHUP: the configuration is read again
//!                                        ├─ transfers.rs       files on their way, on a thread of their own
//!                                        ├─ start.rs           from configuration and journal to a running agent
//!                                        └─ schedule           what is due, and when
//! ```

mod acs_settings;
mod commands;
pub mod daemon;
mod inbox;
mod last_session;
mod listeners;
mod load_model;
mod reboot;
mod reload;
mod session_driver;
mod start;
mod status;
mod transfers;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rand::RngCore;
use rand::rngs::OsRng;

use crate::clock::{Clock, Now};
use crate::config::Config;
use crate::cwmp::device::{Device, JournalError, JournalWriter, Reset};
use crate::cwmp::event::{Event, EventCode};
use crate::model::value::Value;
use crate::schedule::{Due, Schedule};
use crate::store::Store;
use crate::time_zone::LocalZone;

pub use acs_settings::{check_acs_settings, tls_settings};
use inbox::{Inbox, Wake};
use last_session::LastSession;
use listeners::Listeners;
pub use load_model::load_model;
use session_driver::AcsQuirks;
use start::StartFailure;
use status::Disabled;
pub use status::LatestStatus;
use transfers::TransferWorker;

/// Handles that the agent shares with other threads.
#[derive(Clone)]
pub(crate) struct Handles {
    /// The reasons to wake the agent thread.
    inbox: Arc<Inbox>,
    /// Set when the agent is to end; waits for the network and for processes look at it.
    stop: Arc<AtomicBool>,
    /// The latest status, for `status`.
    board: Arc<LatestStatus>,
}

/// Why [`Agent::run`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitReason {
    /// It was told to.
    Stopped,
    /// Everything is as from the factory: start anew.
    FactoryReset,
    /// The state directory, which could not be read, can be now and holds what was stored: start from that.
    StateRecovered,
}

/// Values of the planned reboots, as the schedule has them (R156).
#[derive(Clone, Debug, PartialEq)]
struct AppliedRebootSettings {
    schedule_reboot: Option<Value>,
    delay_reboot: i64,
}

impl Default for AppliedRebootSettings {
    fn default() -> AppliedRebootSettings {
        AppliedRebootSettings { schedule_reboot: None, delay_reboot: -1 }
    }
}

/// The running agent.
pub(crate) struct Agent {
    config: Config,
    clock: Clock,
    zone: LocalZone,
    device: Device,
    store: Rc<RefCell<Store>>,
    schedule: Schedule,
    inbox: Arc<Inbox>,
    /// Set when the agent is to end: whatever waits for the network looks at it.
    stop: Arc<AtomicBool>,
    /// Whether a session is to start as soon as none runs.
    session_wanted: bool,
    /// No session before this instant of the monotonic clock: the device is going down, or coming back.
    not_before: Duration,
    /// Whether the command that reboots the device has succeeded, so that it should go down any moment.
    going_down: bool,
    /// The planned reboots that the schedule knows of.
    applied_reboot_settings: AppliedRebootSettings,
    /// What is known of the ACS beside its URL.
    acs_quirks: AcsQuirks,
    /// How the ACS reaches the agent.
    listeners: Listeners,
    /// Who carries files.
    worker: TransferWorker,
    last_session: Option<LastSession>,
    /// When it ended, on the monotonic clock.
    session_ended: Option<Duration>,
    /// When the agent started, on the monotonic clock.
    started: Duration,
    /// What was found damaged at the start, in words.
    notices: Vec<String>,
    /// What the model of today has no room for, in the words of the log: each is told once.
    rejected_values: BTreeSet<String>,
    /// Where `status` looks.
    board: Arc<LatestStatus>,
    /// Whether the journal held anything at the start.
    has_stored_state: bool,
}

impl Agent {
    /// Runs until a stop is requested or the agent must start anew. Returns the reason and the configuration that was
    /// read last.
    pub(crate) fn run(mut self) -> (ExitReason, Config) {
        let mut taken = 0; // wake-ups handled since the session fell due
        let reason = loop {
            let now = self.clock.now();
            if let Some(reason) = self.reopen_store(now).or_else(|| self.run_pending_reboot(now)) {
                break reason;
            }
            self.poll_transfers(now);
            self.apply_settings(now);
            while let Some(due) = self.schedule.poll(&mut self.device.state_mut().scheduled_informs, now) {
                self.on_due(due);
            }
            let is_due = self.is_session_due(now);
            let wakes = match is_due {
                false => self.sleep(now),
                // Commands that arrived during the last session run before the next one: each would otherwise wait for a
                // session of its own, which takes long where the ACS is silent. The bound keeps a client that sends
                // command after command from putting the session off without end.
                true if taken < inbox::MAX_COMMANDS => self.inbox.take(),
                true => Vec::new(),
            };
            taken = if is_due { taken + wakes.len() } else { 0 };
            if is_due && wakes.is_empty() {
                self.run_due_session(now);
                taken = 0;
            }
            if let Some(reason) = wakes.into_iter().find_map(|wake| self.handle(wake)) {
                break reason;
            }
        };
        if reason == ExitReason::Stopped {
            self.await_apply();
            self.save();
        }
        (reason, self.config)
    }

    /// Handles a wake-up. Returns the reason if the agent ends for it.
    fn handle(&mut self, wake: Wake) -> Option<ExitReason> {
        let now = self.clock.now();
        match wake {
            Wake::Stop => return Some(ExitReason::Stopped),
            Wake::Reload => self.reload(now),
            Wake::Command(command) => self.execute(command, now),
            Wake::AddressChanged(address) => self.on_address_changed(address, now),
            Wake::UdpAddressChanged(binding) => self.on_udp_address_changed(binding, now),
            Wake::ConnectionRequest(replay_window) => self.on_connection_request(replay_window),
            Wake::StepFinished(step) => self.worker.finish(step),
        }
        None
    }

    /// Returns true if a session is to start now.
    fn is_session_due(&self, now: Now) -> bool {
        let is_wanted = self.session_wanted && self.is_enabled();
        is_wanted && now.monotonic >= self.not_before && !self.awaits_restart()
    }

    /// Whether a file that was applied is to restart the device, or has: no session until that is done (R231).
    fn awaits_restart(&self) -> bool {
        self.device.state().transfers.blocks_sessions()
    }

    /// Whether the device is going down.
    fn is_restarting(&self) -> bool {
        self.going_down || self.device.state().reboot || self.device.state().reset != Reset::None
    }

    fn run_due_session(&mut self, now: Now) {
        self.publish(now, true);
        self.run_session();
        let now = self.clock.now();
        self.schedule.notification.session_ended(now);
        self.session_ended = Some(now.monotonic);
    }

    /// Where nothing could be stored, looks whether it can be by now. Gives why the agent ends, if it does.
    fn reopen_store(&mut self, now: Now) -> Option<ExitReason> {
        let mut store = self.store.borrow_mut();
        let found = store.reopen(now)?;
        if !self.has_stored_state && !found.records.is_empty() {
            return Some(ExitReason::StateRecovered);
        }
        match store.compact(&self.device.snapshot()) {
            Ok(()) => {
                self.device.rewritten();
                log::info!("the state directory can be written again");
            }
            Err(error) => log::error!("the state directory cannot be written yet: {error}"),
        }
        None
    }

    /// Waits for wake-ups, at most until the next deadline.
    fn sleep(&mut self, now: Now) -> Vec<Wake> {
        self.publish(now, false);
        let state = self.device.state();
        let deadlines = [
            self.schedule.deadline(&state.scheduled_informs),
            (self.not_before > now.monotonic).then_some(self.not_before),
            self.store.borrow().reopen_deadline(),
            self.listeners.deadline(),
            self.worker.deadline(&state.transfers),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        self.inbox.wait(deadline.map(|deadline| deadline.saturating_sub(now.monotonic)))
    }

    /// Takes over the parameters that drive the schedule; they may have changed since the last look (R153).
    fn apply_settings(&mut self, now: Now) {
        // Without an ACS, or with CWMP disabled, the schedule must not wake the agent for sessions that cannot run.
        let enabled = self.is_enabled();
        self.schedule.periodic.set(self.device.periodic_settings().filter(|_| enabled), now);
        self.schedule.notification.set(self.device.notification_throttle());
        self.schedule.heartbeat.set(self.device.heartbeat_settings().filter(|_| enabled), now);
        self.apply_reboot_settings(now);
        self.apply_listener_settings(now);
    }

    /// Whether there are sessions at all: none while EnableCWMP is false (R7), or while nobody has told the device of an
    /// ACS yet (R17).
    fn is_enabled(&self) -> bool {
        self.why_disabled().is_none()
    }

    fn why_disabled(&self) -> Option<Disabled> {
        match () {
            () if !self.device.is_cwmp_enabled() => Some(Disabled::Cwmp),
            () if self.device.acs_url().is_empty() => Some(Disabled::NoAcs),
            () => None,
        }
    }

    fn on_due(&mut self, due: Due) {
        match due {
            Due::Retry | Due::Notification => self.session_wanted = true,
            Due::Periodic => {
                self.raise(Event::new(EventCode::Periodic));
                // R141: it outlives whatever happens before the ACS has confirmed it.
                self.save();
            }
            Due::Heartbeat => {
                // R304: it waits for a session that is to be tried again, and a heartbeat that is takes it up.
                self.device.state_mut().events.raise(Event::new(EventCode::Heartbeat));
                self.session_wanted |= self.schedule.retry.count() == 0;
            }
            Due::ScheduledInform { command_key } => {
                self.device.state_mut().events.raise(Event::new(EventCode::Scheduled));
                self.raise(Event::of_command(EventCode::MScheduleInform, command_key));
            }
            Due::Reboot => self.run_scheduled_reboot(),
        }
    }

    /// Makes durable what is not yet.
    fn save(&mut self) {
        if let Err(error) = self.device.save(self.clock.now()) {
            log::error!("{error}");
        }
    }

    /// Something has happened that the ACS is to be told at once (R134).
    fn raise(&mut self, event: Event) {
        log::debug!("event {}", event.code.as_str());
        self.device.state_mut().events.raise(event);
        self.session_wanted = true;
    }
}

/// Random bits from the kernel; without them the number of the process must do, which is enough for a jitter.
fn random() -> u64 {
    let mut bytes = [0; 8];
    match OsRng.try_fill_bytes(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => std::process::id().into(),
    }
}

/// The store as the device sees it.
struct StoreJournal(Rc<RefCell<Store>>);

impl JournalWriter for StoreJournal {
    fn append(&mut self, record: &str) -> Result<(), JournalError> {
        self.0.borrow_mut().append(record).map_err(|error| JournalError(error.to_string()))
    }
}
