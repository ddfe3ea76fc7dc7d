//! SIGHUP: configuration, data model and TLS files are read again, and our address towards the ACS is looked at anew.
//!
//! ```text
//! SIGHUP ──▶ no session runs ──▶ Config::reload ──▶ load_model ──▶ check_acs_settings ──┬─ wrong: told, all stays as it was
//!                                                                                  └─ right: taken over as a whole
//! ```
//!
//! Nobody is contacted for it. The new model becomes the factory state under what is stored, as it would by a restart;
//! but what is planned stays planned, and the state directory stays locked.

use super::Agent;
use super::acs_settings::check_acs_settings;
use super::load_model::load_model;
use crate::clock::Now;
use crate::config::{Config, StartupError};
use crate::cwmp::version;
use crate::model::Loaded;
use crate::store::Store;

impl Agent {
    /// Reads again what the start has read.
    pub(super) fn reload(&mut self, now: Now) {
        match self.read_config() {
            Ok((config, loaded)) => self.apply_config(config, loaded),
            Err(error) => log::error!("the configuration stays as it was, the new one is wrong: {error}"),
        }
        // Before the address is told, the ports must be open that it is told with.
        self.apply_settings(now);
        self.refresh_addresses(now);
        self.request_follow_up(version::newest(version::ALL));
        self.save();
    }

    /// The new configuration and its model, where `check` would have nothing against them.
    fn read_config(&self) -> Result<(Config, Loaded), StartupError> {
        let mut config = self.config.reload()?;
        let loaded = load_model(&config)?;
        check_acs_settings(&config, &loaded)?;
        for key in config.keep_fixed_paths(&self.config) {
            log::warn!("{key} has changed, and needs a restart");
        }
        Ok((config, loaded))
    }

    fn apply_config(&mut self, config: Config, loaded: Loaded) {
        crate::log::reconfigure(config.log, config.log_to);
        let ports = |config: &Config| (config.listen, config.udp_listen);
        let is_elsewhere = ports(&config) != ports(&self.config);
        let is_other_root = loaded.tree.root_name() != self.device.tree().root_name();
        self.config = config;
        let provided = self.device.runtime_values();
        let stored = self.stored();
        let rejected_values = self.device.replace_model(loaded, &stored).into_iter().collect();
        let told = std::mem::replace(&mut self.rejected_values, rejected_values);
        self.rejected_values.difference(&told).for_each(|notice| log::warn!("{notice}"));
        self.log_overridden_values();
        self.check_identity();
        self.device.note_firmware_changes();
        provided.iter().for_each(|(name, value)| self.device.set_runtime_value(name, value));
        if is_elsewhere || is_other_root {
            self.listeners.close();
        }
        log::info!("the configuration was read again");
    }

    /// What the journal holds. That may be more than the device has now: what the model of today has no room for is there
    /// still, for the next model, as it is for the next start.
    fn stored(&self) -> Vec<String> {
        match Store::peek(&self.config.state_dir) {
            Ok(found) if self.store.borrow().is_durable() => found.records,
            _ => self.device.snapshot(),
        }
    }
}
