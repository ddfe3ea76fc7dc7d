//! Starts the agent: builds it from configuration, data model and journal, and raises the events of a start.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::acs_settings::check_acs_settings;
use super::check_actions::check_actions;
use super::confirmation::ConfirmationWait;
use super::discovery::AcsDiscovery;
use super::last_session::SessionLog;
use super::listeners::Listeners;
use super::load_model::load_at_start;
use super::metrics::MetricsFile;
use super::reboot::AppliedRebootSettings;
use super::reload::ReloadLog;
use super::service_reloads::ServiceReloads;
use super::session_driver::AcsQuirks;
use super::value_watch::ValueWatch;
use super::xmpp::XmppLink;
use super::{Agent, Handles, StoreJournal, TransferWorker, random};
use crate::clock::Clock;
use crate::config::Config;
use crate::connection_request::random_path;
use crate::cwmp::device::{Device, DeviceState, Reset};
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::session::wanted_by_inform;
use crate::cwmp::version;
use crate::log;
use crate::mistake::Mistakes;
use crate::model::Loaded;
use crate::schedule::Schedule;
use crate::sources::DeviceSources;
use crate::store::{Recovered, Store, StoreError, no_state};
use crate::time_zone::LocalZone;

/// A reason for which the agent does not start.
#[derive(Debug)]
pub(crate) enum StartFailure {
    /// An error in the configuration or the data model: exit status 78.
    Configuration(Mistakes),
    /// A lock on the state directory, held by another agent: exit status 1.
    AlreadyRunning(StoreError),
}

/// The most notices that are kept for `status`; the log has all of them.
const MAX_NOTICES: usize = 16;

/// Opens the journal and reads its records. If the directory is unusable, returns a journal in memory: a device that cannot
/// store must still be manageable by its ACS.
fn open_store(directory: &Path) -> Result<(Store, Recovered), StartFailure> {
    match Store::open(directory) {
        Ok(opened) => Ok(opened),
        Err(error @ StoreError::Locked { .. }) => Err(StartFailure::AlreadyRunning(error)),
        Err(error) => {
            log::error!("{}", no_state(&error));
            Ok((Store::volatile(directory, &error.to_string()), Recovered::default()))
        }
    }
}

/// Reads the local time zone, and warns of one that cannot be read: CurrentTime is then in UTC.
fn load_zone() -> LocalZone {
    let (zone, warning) = LocalZone::load();
    warning.iter().for_each(|warning| log::warn!("{warning}"));
    zone
}

/// Returns the worker for transfers, whose files are in the state directory unless another one is configured.
fn transfer_worker(config: &Config, handles: &Handles) -> TransferWorker {
    let directory = config.transfer_dir.as_ref().unwrap_or(&config.state_dir);
    TransferWorker::new(directory, Arc::clone(&handles.inbox))
}

/// Logs the objects that the device does not have, and the mistakes in settings of the data model with which the agent runs
/// nevertheless.
fn log_mistakes(config: &Config, loaded: &Loaded) {
    loaded.tree.schema().omitted().iter().for_each(|omitted| log::info!("{}", omitted.notice()));
    for check in [check_acs_settings, check_actions] {
        if let Err(mistakes) = check(config, loaded) {
            mistakes.list().iter().for_each(|mistake| log::error!("{mistake}"));
        }
    }
}

impl Agent {
    /// Builds the agent up to the first session. Opens no connection and writes no record.
    pub(crate) fn start(config: Config, handles: Handles) -> Result<Agent, StartFailure> {
        let (loaded, left_out) = load_at_start(&config).map_err(StartFailure::Configuration)?;
        log_mistakes(&config, &loaded);
        let model = loaded.fingerprint;
        let (store, recovered) = open_store(&config.state_dir)?;
        let (store, clock) = (Rc::new(RefCell::new(store)), Clock::new());
        let journal = Box::new(StoreJournal(Rc::clone(&store)));
        let (mut device, notices) = Device::restore(loaded, &recovered.records, journal, clock.now());
        device.set_sources(Box::new(DeviceSources::new(clock, Arc::clone(&handles.stop))));
        recovered.notices.iter().chain(&notices).for_each(|notice| log::warn!("{notice}"));
        let rejected_values = notices.iter().cloned().collect();
        let notices = recovered.notices.into_iter().chain(notices).take(MAX_NOTICES).collect();
        let DeviceState { retry_count, scheduled_reboot_done, .. } = *device.state();
        let mut agent = Agent {
            worker: transfer_worker(&config, &handles),
            clock,
            zone: load_zone(),
            device,
            store,
            schedule: Schedule::restore(retry_count, scheduled_reboot_done, clock.now()),
            stop: handles.stop,
            session_wanted: false,
            acs_asked: false,
            network_watch: None,
            values: ValueWatch::default(),
            acs_quirks: AcsQuirks::default(),
            applied_reboot_settings: AppliedRebootSettings::default(),
            not_before: Duration::ZERO,
            going_down: false,
            listeners: Listeners::new(Arc::clone(&handles.inbox)),
            xmpp: XmppLink::default(),
            comparison_at: None,
            tests: super::diagnostics::TestWorker::default(),
            inbox: handles.inbox,
            last_session: None,
            session_began: None,
            sessions: SessionLog::default(),
            session_ended: None,
            started: clock.now().monotonic,
            notices,
            rejected_values,
            tracer: None,
            model,
            reloads: ReloadLog { left_out, ..ReloadLog::default() },
            service_reloads: ServiceReloads::default(),
            confirmation: ConfirmationWait::default(),
            metrics: MetricsFile::default(),
            latest_status: handles.latest_status,
            has_stored_state: !recovered.records.is_empty(),
            discovery: AcsDiscovery::default(),
            lightweight: Default::default(),
            standby: Default::default(),
            identity_wait: None,
            config,
        };
        agent.begin();
        Ok(agent)
    }

    /// Raises the events of the start, and publishes the first status.
    fn begin(&mut self) {
        self.log_overridden_values();
        self.device.republish_udp_address();
        self.begin_xmpp();
        self.raise_start_events();
        if let Some(why) = self.why_disabled() {
            log::warn!("no session is started: {}", why.reason());
        }
        self.worker.remove_leftovers(self.device.state(), self.device.actions(), self.clock.now());
        // The control socket opens next, and answers `status` before the first turn of the agent.
        self.publish(self.clock.now());
    }

    /// Reads from the device the values that an Inform may carry.
    pub(super) fn refresh_inform_values(&mut self) {
        if self.device.tree().has_sources() {
            let wanted = wanted_by_inform(&self.device);
            self.device.refresh(&wanted, self.clock.now());
            self.check_identity();
        }
    }

    /// Logs the factory values of the configuration that have no effect, because another value is stored. The line names
    /// the parameter only: its value may be a password.
    pub(super) fn log_overridden_values(&self) {
        for (name, text) in &self.config.factory_values {
            let Ok(parameter) = self.device.tree().parameter(name) else { continue };
            if parameter.is_changed()
                && parameter.spec.parse(text.expose()).is_ok_and(|value| value != parameter.stored())
            {
                let origin = self.config.factory_value_origin(name).display();
                log::info!("{name}: the stored value is used, not that of {origin}");
            }
        }
    }

    /// Raises the events that a start can mean: `0 BOOTSTRAP`, `1 BOOT`, `4 VALUE CHANGE`, or none (R137, R146).
    ///
    /// Writes nothing: if the process ends before the session, the next start detects the boot again.
    fn raise_start_events(&mut self) {
        let boot_id = self.boot_id();
        self.recover_changes(boot_id.as_deref());
        // Before the events of the start: an ACS that DHCP has named meanwhile gets `1 BOOT` beside its `0 BOOTSTRAP`.
        self.discovery.outdate();
        self.discover(self.clock.now());
        let state = self.device.state_mut();
        // R255: the path is random, so that the URL cannot be guessed, and stored, so that a restart does not change it.
        if state.request_path.is_empty() {
            state.request_path = random_path([random().to_ne_bytes(), random().to_ne_bytes()]);
        }
        let rebooted = boot_id.as_ref().is_none_or(|id| *id != state.boot_id);
        if rebooted {
            // R142: some events do not survive a reboot.
            state.events.rebooted();
            // R110: a reboot drops the event 4 VALUE CHANGE, so that its record of values must go with it.
            state.changed.clear();
            state.reboot = false;
            // R292 demands the window until a reboot only. To keep it longer would lock out an ACS for good that once sent
            // a timestamp far in the future.
            state.last_udp_request = None;
            // The factory-reset command has restarted the device: it must not run again.
            if state.reset == Reset::Begun {
                state.reset = Reset::Done;
            }
        }
        self.await_identity();
        if self.identity_wait.is_none() {
            self.refresh_inform_values();
        }
        self.check_identity();
        if rebooted {
            let state = self.device.state_mut();
            state.boot_id = boot_id.unwrap_or_default();
            state.events.raise(Event::new(EventCode::Boot));
        }
        self.device.resume_transfers(rebooted, self.clock.now());
        self.device.resume_units();
        self.device.note_firmware_changes();
        if rebooted {
            self.device.forget_tests();
            self.reset_delay_reboot();
        }
        self.request_follow_up(version::newest(version::ALL));
    }

    /// Finishes or undoes a change of the device that a crash has interrupted. Without the stored state it is unknown which of the two
    /// is right; the start that finds the state again decides.
    fn recover_changes(&mut self, boot_id: Option<&str>) {
        if self.store.borrow().is_durable() {
            self.device.recover(boot_id, self.clock.now());
        }
    }

    /// Raises `0 BOOTSTRAP` if the identity of the device or the URL of the ACS differs from the stored one (R137), unless
    /// the identity is not known yet.
    pub(super) fn check_identity(&mut self) {
        if self.identity_wait.is_some() {
            return;
        }
        let identity = self.device.identity().username();
        let acs_url = self.device.acs_url();
        let state = self.device.state_mut();
        let known = state.identity.as_deref() == Some(&identity) && state.acs_url.as_deref() == Some(&acs_url);
        if !known {
            let cause = match &state.identity {
                None => "first contact",
                Some(earlier) if *earlier != identity => "the identity has changed",
                Some(_) => "the ACS URL has changed",
            };
            log::info!("0 BOOTSTRAP: {cause}");
            // R152: devices that are installed at the same time must not send their periodic Informs at the same time.
            state.periodic_phase = random() as u32;
            state.identity = Some(identity);
            // Another ACS has received no values yet.
            state.reported.clear();
            state.bootstrap(acs_url);
        }
    }

    /// Reads the kernel's identifier of this boot, which tells a boot of the device from a restart of the agent (R146).
    /// Returns `None` if the file is missing or empty: every start of the agent then counts as a boot.
    fn boot_id(&self) -> Option<String> {
        match fs::read_to_string(&self.config.boot_id) {
            Ok(text) if text.trim().is_empty() => {
                log::warn!("{}: it is empty; this start counts as a boot", self.config.boot_id.display());
                None
            }
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) => {
                log::warn!("{}: {error}; this start counts as a boot", self.config.boot_id.display());
                None
            }
        }
    }
}
