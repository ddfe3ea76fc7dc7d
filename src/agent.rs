//! The one thread that owns everything that can change: the device, the journal, the schedule, the running session.
//!
//! ```text
//! other threads ──▶ Inbox ──Wake──▶ Agent::run ──▶ sleeps until a wake-up or the next deadline
//!                                     ├─ commands.rs        commands of the control socket
//!                                     ├─ sources.rs         the command `source`, and `check --device`
//!                                     ├─ session_driver.rs  one session with the ACS, with the settings of acs_settings.rs
//!                                     │                       and the connection on the thread of session_thread.rs
//!                                     ├─ reboot.rs          reboots and the factory reset, after the session
//!                                     ├─ listeners.rs       connection requests over HTTP and UDP, and their addresses
//!                                     ├─ xmpp.rs            connection requests over XMPP
//!                                     ├─ reload.rs          the configuration, read again after SIGHUP
//!                                     ├─ service_reloads.rs  calls that put new values of the device into effect
//!                                     ├─ trace.rs           the messages of sessions, for `cpe-agent trace`
//!                                     ├─ transfers.rs, software.rs  files, and operations on software, on the worker's thread
//!                                     ├─ due.rs             deadlines of the schedule
//!                                     ├─ discovery.rs       the ACS that DHCP names
//!                                     ├─ diagnostics.rs     diagnostic tests, on a thread of their own
//!                                     ├─ identity_wait.rs   the wait for the identity at the very first start
//!                                     ├─ value_watch.rs     values that are watched, read when the device changes
//!                                     ├─ start.rs           from configuration, model (load_model.rs) and journal to an Agent
//!                                     └─ publish.rs         a snapshot for `cpe-agent status` (status.rs), and for metrics.rs
//! ```
//!
//! One turn of [`Agent::run`]: take over changed parameters, collect deadlines that have passed, then start the session
//! that is due or sleep. No other thread touches the device or the journal, so that neither needs a lock.

mod acs_settings;
mod check_actions;
mod commands;
mod confirmation;
pub mod daemon;
#[cfg_attr(not(feature = "diagnostics"), path = "agent/no_diagnostics.rs")]
mod diagnostics;
mod discovery;
mod due;
mod identity_wait;
mod inbox;
mod last_session;
mod lightweight;
mod listeners;
mod load_model;
mod metrics;
mod publish;
mod random;
mod reboot;
mod reload;
mod service_reloads;
mod session_driver;
mod session_thread;
mod software;
mod sources;
mod standby;
mod start;
mod status;
mod store_journal;
mod trace;
mod transfers;
mod value_watch;
#[cfg_attr(not(feature = "xmpp"), path = "agent/no_xmpp.rs")]
mod xmpp;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::change_watch::ChangeWatch;
use crate::clock::{Clock, Now};
use crate::config::Config;
use crate::cwmp::device::Device;
use crate::cwmp::event::Event;
use crate::log;
use crate::schedule::Schedule;
use crate::store::Store;
use crate::time_zone::LocalZone;

pub use acs_settings::{check_acs_settings, tls_settings};
pub use check_actions::{check_actions, software_mismatch, unusable_actions, unusual_actions};
use confirmation::ConfirmationWait;
use discovery::AcsDiscovery;
use identity_wait::IdentityWait;
use inbox::{Inbox, Wake};
use last_session::{LastSession, SessionLog};
use listeners::Listeners;
pub use load_model::load_model;
use metrics::MetricsFile;
use random::random;
use reboot::AppliedRebootSettings;
use reload::ReloadLog;
use service_reloads::ServiceReloads;
use session_driver::AcsQuirks;
pub use sources::check_device;
use start::StartFailure;
use status::Disabled;
pub use status::LatestStatus;
#[cfg(feature = "doctor")]
pub(crate) use status::format_span;
pub(crate) use store_journal::StoreJournal;
use trace::Tracer;
#[cfg(feature = "replay")]
pub(crate) use trace::is_secret;
use transfers::TransferWorker;
#[cfg(feature = "doctor")]
pub(crate) use transfers::check_transfer_directory;
use value_watch::ValueWatch;
use xmpp::XmppLink;

/// Handles that the agent shares with other threads.
#[derive(Clone)]
pub(crate) struct Handles {
    /// The reasons to wake the agent thread.
    inbox: Arc<Inbox>,
    /// Set when the agent is to end; checked wherever the agent waits for the network or for a process.
    stop: Arc<AtomicBool>,
    /// The latest status, published by the agent and read by the control socket.
    latest_status: Arc<LatestStatus>,
}

/// The reason for which [`Agent::run`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitReason {
    /// A stop was requested.
    Stopped,
    /// The stored state was erased: the agent must start anew, as from the factory.
    FactoryReset,
    /// The state directory became readable only now, and holds state: the agent must start anew with it.
    StateRecovered,
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
    /// Set when the agent is to end; checked wherever the agent waits for the network or for a process.
    stop: Arc<AtomicBool>,
    /// True if a session is to start as soon as none runs.
    session_wanted: bool,
    /// True if the ACS itself has asked for that session, which Retry-After does not hold back.
    acs_asked: bool,
    /// Reports a change of the network, while a retry waits that a change may bring forward.
    network_watch: Option<ChangeWatch>,
    /// The watch for changes of values of the device.
    values: ValueWatch,
    /// The instant of the monotonic clock before which no session starts: the device is going down or coming back.
    not_before: Duration,
    /// True if the reboot command has succeeded, so that the device is about to go down.
    going_down: bool,
    applied_reboot_settings: AppliedRebootSettings,
    acs_quirks: AcsQuirks,
    listeners: Listeners,
    xmpp: XmppLink,
    worker: TransferWorker,
    /// The next look for units that other programs have changed; `None` if the ACS does not ask for it, or for a look now.
    comparison_at: Option<Duration>,
    tests: diagnostics::TestWorker,
    last_session: Option<LastSession>,
    /// The start of the running session, on the monotonic clock.
    session_began: Option<Duration>,
    sessions: SessionLog,
    /// The end of the last session, on the monotonic clock.
    session_ended: Option<Duration>,
    /// The start of the agent, on the monotonic clock.
    started: Duration,
    /// Damage that was found in the journal at the start, as text for `status`.
    notices: Vec<String>,
    /// Stored values that the current model rejects, as log lines; each is logged once.
    rejected_values: BTreeSet<String>,
    /// The recording of sessions, while a client asks for it.
    tracer: Option<Tracer>,
    /// The fingerprint of the data model in use.
    model: u64,
    reloads: ReloadLog,
    service_reloads: ServiceReloads,
    confirmation: ConfirmationWait,
    metrics: MetricsFile,
    /// The latest status, read by the control socket.
    latest_status: Arc<LatestStatus>,
    /// True if the journal held records at the start.
    has_stored_state: bool,
    discovery: AcsDiscovery,
    lightweight: lightweight::LightweightNotifier,
    standby: standby::StandbyWatch,
    /// The wait for the identity, during which no session starts.
    identity_wait: Option<IdentityWait>,
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
            self.poll_identity(now);
            self.ask_dhcp_clients(now);
            self.discover(now);
            self.poll_worker(now);
            self.poll_tests(now);
            self.poll_confirmation(now);
            self.poll_standby(now);
            self.apply_settings(now);
            self.watch_values(now);
            self.poll_lightweight(now);
            while let Some(due) = self.schedule.poll(&mut self.device.state_mut().scheduled_informs, now) {
                self.on_due(due);
            }
            let is_due = self.is_session_due(now);
            let wakes = match is_due {
                false => self.sleep(now),
                // Commands of the last session run before the next one: each would otherwise wait for a session, which takes
                // long where the ACS is silent. The bound keeps a client from putting the session off without end.
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
            self.metrics.remove();
            if let Err(error) = self.device.save_totals() {
                log::debug!("the counts of sessions: {error}"); // `save` has reported a journal that does not work
            }
        }
        (reason, self.config)
    }

    /// Handles a wake-up. Returns the reason if the agent ends for it.
    fn handle(&mut self, wake: Wake) -> Option<ExitReason> {
        let now = self.clock.now();
        self.metrics.outdate();
        match wake {
            Wake::Stop => return Some(ExitReason::Stopped),
            Wake::Reload => self.reload(now),
            Wake::NetworkChanged => self.on_network_changed(now),
            Wake::ValuesChanged(event, states) => self.on_values_changed(event, states, now),
            Wake::Command(command) => self.execute(command, now),
            Wake::AddressChanged(address) => self.on_address_changed(address, now),
            Wake::UdpAddressChanged(binding) => self.on_udp_address_changed(binding, now),
            Wake::XmppChanged(state) => self.on_xmpp_changed(state, now),
            Wake::ConnectionRequest(replay_window) => self.on_connection_request(replay_window),
            Wake::StepFinished(step) => self.worker.finish(step),
            Wake::TestFinished(test) => self.tests.finish(test),
            Wake::ReloadFinished(reload) => self.finish_reload(reload, now),
        }
        None
    }

    /// Returns true if a session is to start now.
    fn is_session_due(&self, now: Now) -> bool {
        let is_wanted = self.session_wanted && self.is_enabled();
        let is_held = self.held_until(now).is_some() || self.xmpp.held_until(now).is_some();
        is_wanted && !is_held && !self.awaits_restart() && !self.awaits_reloads()
    }

    /// Returns the instant before which no session starts: the device is going down or coming back, its identity is
    /// unknown, or the ACS has asked for a wait by Retry-After (R66). A session that the ACS itself asks for does not wait
    /// for the latter, nor one with another ACS (R25).
    fn held_until(&self, now: Now) -> Option<Duration> {
        let by_acs = self.schedule.retry.held_until(now);
        let by_acs = by_acs.filter(|_| !self.acs_asked && self.acs_quirks.url == self.device.acs_url());
        let by_restart = Some(self.not_before).filter(|until| *until > now.monotonic);
        let by_identity = self.identity_wait.map(|wait| wait.until);
        [by_acs, by_restart, by_identity].into_iter().flatten().max()
    }

    /// Runs a session, with the status published before it and the schedule informed after it.
    fn run_due_session(&mut self, now: Now) {
        self.session_began = Some(now.monotonic);
        self.listeners.set_in_session(true);
        self.publish(now);
        self.run_session();
        self.listeners.set_in_session(false);
        self.session_began = None;
        let now = self.clock.now();
        self.schedule.notification.session_ended(now);
        self.session_ended = Some(now.monotonic);
        self.values.outdate();
        self.metrics.outdate();
    }

    /// Tries again to open a state directory that could not be opened at the start. Returns the reason if the agent ends
    /// for it.
    fn reopen_store(&mut self, now: Now) -> Option<ExitReason> {
        let mut store = self.store.borrow_mut();
        let found = store.reopen(now)?;
        if !self.has_stored_state && !found.records.is_empty() {
            // This run began without the stored state. To go on would overwrite it with factory values.
            return Some(ExitReason::StateRecovered);
        }
        match store.compact(&self.device.snapshot()) {
            Ok(()) => {
                self.device.rewritten();
                log::info!("the state directory can be written again");
            }
            Err(error) => log::error!("the state directory still cannot be written: {error}"),
        }
        None
    }

    /// Waits for wake-ups, at most until the next deadline.
    fn sleep(&mut self, now: Now) -> Vec<Wake> {
        self.store_window();
        self.publish(now);
        self.write_metrics(now);
        let state = self.device.state();
        let deadlines = [
            self.schedule.deadline(&state.scheduled_informs),
            (self.not_before > now.monotonic).then_some(self.not_before),
            self.held_until(now).filter(|_| self.session_wanted),
            self.xmpp.held_until(now),
            self.store.borrow().reopen_deadline(),
            self.listeners.deadline(),
            self.worker.deadline(&state.transfers),
            self.comparison_at.filter(|_| state.units.is_idle()),
            self.identity_wait.map(|wait| wait.retry_at),
            self.values.deadline().filter(|_| !self.awaits_reloads()),
            self.metrics_deadline(),
            self.discovery_deadline(now),
            self.reload_deadline(),
            self.confirmation_deadline(),
            self.tests.deadline(),
            self.lightweight.deadline(),
            self.standby.deadline(),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        self.inbox.wait(deadline.map(|deadline| deadline.saturating_sub(now.monotonic)))
    }

    /// Applies the parameters that drive schedule and listeners. It runs every turn, so that a change by the ACS, by a
    /// command or by a reload takes effect without a reboot (R153).
    fn apply_settings(&mut self, now: Now) {
        // Without an ACS, or with CWMP disabled, the schedule must not wake the agent for sessions that cannot run.
        let enabled = self.is_enabled();
        self.schedule.periodic.set(self.device.periodic_settings().filter(|_| enabled), now);
        self.schedule.notification.set(self.device.notification_throttle());
        self.schedule.heartbeat.set(self.device.heartbeat_settings().filter(|_| enabled), now);
        self.apply_reboot_settings(now);
        self.apply_listener_settings(now);
        self.apply_xmpp_settings(now);
    }

    /// Returns true if sessions may start: EnableCWMP is true (R7), and the device has the URL of an ACS (R17).
    fn is_enabled(&self) -> bool {
        self.why_disabled().is_none()
    }

    /// Returns the reason for which no session may start; `None` if sessions may start.
    fn why_disabled(&self) -> Option<Disabled> {
        match () {
            () if !self.device.is_cwmp_enabled() => Some(Disabled::Cwmp),
            () if self.device.acs_url().is_empty() => Some(match self.config.allows_discovery() {
                true => Disabled::AwaitsDhcp,
                false => Disabled::NoAcs,
            }),
            () => None,
        }
    }

    /// Writes state that changed since the last journal record. An error is logged: the next save tries again.
    fn save(&mut self) {
        if let Err(error) = self.device.save(self.clock.now()) {
            log::error!("{error}");
        }
    }

    /// Raises an event that the ACS must receive at once, and requests a session for it (R134).
    fn raise(&mut self, event: Event) {
        log::debug!("event {}", event.code.as_str());
        self.device.state_mut().events.raise(event);
        self.session_wanted = true;
    }
}
