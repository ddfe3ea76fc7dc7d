//! Reload after SIGHUP: reads configuration, data model and TLS files again, and determines the local address anew.
//!
//! ```text
//! SIGHUP ──▶ no session runs ──▶ Config::reload ──▶ load_model ──▶ check_… ──┬─ error: logged, no change
//!                                                                            └─ success: applied as a whole
//! ```
//!
//! A reload makes no connection; a retry that waits is due after it. The new model becomes the factory state below the stored values, as after a restart.
//! Unlike a restart, it keeps the schedule, and the lock on the state directory.

use std::time::Duration;

use super::Agent;
use super::acs_settings::check_acs_settings;
use super::check_actions::check_actions;
use super::load_model::load_model;
use crate::clock::Now;
use crate::config::Config;
use crate::cwmp::version;
use crate::log;
use crate::mistake::Mistakes;
use crate::model::Loaded;
use crate::store::Store;

/// The results of reloads since the start of the agent, for `status`.
#[derive(Clone, Debug, Default)]
pub(super) struct ReloadLog {
    /// The reloads whose configuration was applied.
    pub(super) accepted: u32,
    /// The reloads whose configuration was refused.
    pub(super) refused: u32,
    /// The reason of the last refusal, and its instant on the monotonic clock.
    pub(super) last_refusal: Option<(String, Duration)>,
    /// True if the last reload was refused: the next start of the agent fails with the same configuration.
    pub(super) is_refused: bool,
    /// The mistakes of the optional data-model files that the start has left out; empty after a reload that was accepted.
    pub(super) left_out: Vec<String>,
}

impl ReloadLog {
    fn accepted(&mut self) {
        self.accepted = self.accepted.saturating_add(1);
        self.is_refused = false;
        self.left_out.clear();
    }

    fn refused(&mut self, reason: String, now: Duration) {
        self.refused = self.refused.saturating_add(1);
        self.last_refusal = Some((reason, now));
        self.is_refused = true;
    }
}

impl Agent {
    /// Reads configuration and data model again. An error leaves all of them as they were.
    pub(super) fn reload(&mut self, now: Now) {
        match self.read_config() {
            Ok((config, loaded)) => {
                self.apply_config(config, loaded);
                self.reloads.accepted();
            }
            Err(error) => {
                log::error!("the configuration stays as it was, because the new one is wrong: {error}");
                self.reloads.refused(error.to_string(), now.monotonic);
            }
        }
        // The ports precede the address: the ConnectionRequestURL contains both.
        self.apply_settings(now);
        self.refresh_addresses(now);
        self.values.outdate();
        self.comparison_at = None;
        self.request_follow_up(version::newest(version::ALL));
        // Scripts of the device send SIGHUP after a change of the network, whether or not the agent sees the change itself.
        self.schedule.retry.bring_forward(now);
        self.save();
    }

    /// Reads the new configuration and its model, with the same checks as the command `check`.
    fn read_config(&self) -> Result<(Config, Loaded), Mistakes> {
        let mut config = self.config.reload()?;
        let loaded = load_model(&config)?;
        check_acs_settings(&config, &loaded)?;
        check_actions(&config, &loaded)?;
        for key in config.keep_fixed_paths(&self.config) {
            log::warn!("{key} has changed, which takes effect at the next start of the agent");
        }
        Ok((config, loaded))
    }

    /// Applies a configuration that was read without error.
    fn apply_config(&mut self, config: Config, loaded: Loaded) {
        // First the log, so that the new one receives all lines of this reload.
        crate::log_output::reconfigure(config.log, config.log_to);
        let ports = |config: &Config| (config.listen, config.udp_listen);
        let is_elsewhere = ports(&config) != ports(&self.config);
        let is_same = config == self.config && loaded.fingerprint == self.model;
        let is_other_root = loaded.tree.root_name() != self.device.tree().root_name();
        self.config = config;
        self.discovery.outdate();
        self.model = loaded.fingerprint;
        // Values that the agent itself sets, such as its addresses, are not in the journal.
        let provided = self.device.runtime_values();
        let stored = self.stored();
        let rejected_values = self.device.replace_model(loaded, &stored).into_iter().collect();
        let logged = std::mem::replace(&mut self.rejected_values, rejected_values);
        // Each rejected value is logged once, and not by every reload.
        self.rejected_values.difference(&logged).for_each(|notice| log::warn!("{notice}"));
        if !is_same {
            let schema = self.device.tree().schema();
            schema.omitted().iter().for_each(|omitted| log::info!("{}", omitted.notice()));
            self.log_overridden_values();
        }
        self.check_identity();
        self.device.note_firmware_changes();
        provided.iter().for_each(|(name, value)| self.device.set_runtime_value(name, value));
        self.begin_xmpp();
        // Under another root object, the URL has another name and is published anew when the port opens.
        if is_elsewhere || is_other_root {
            self.listeners.close();
        }
        // A hotplug script sends SIGHUP with each change of an address: such a reload is no news for the log.
        match is_same {
            true => log::debug!("the configuration was read again, and is the same"),
            false => log::info!("the configuration was read again"),
        }
    }

    /// Returns the records of the journal. They may hold values that the current model rejects and the new one accepts, so
    /// that the state of the device is no substitute for them.
    fn stored(&self) -> Vec<String> {
        match Store::peek(&self.config.state_dir) {
            Ok(found) if self.store.borrow().is_durable() => found.records,
            _ => self.device.snapshot(),
        }
    }
}
