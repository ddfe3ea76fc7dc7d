//! Settings of the connection to the ACS, from the configuration and the ManagementServer parameters.

use std::path::Path;

use super::Agent;
use crate::acs::AcsSettings;
use crate::config::Config;
use crate::cwmp::device::management_server::{self, parameter};
use crate::cwmp::soap::MAX_MESSAGE;
use crate::http::{self, HttpError, TlsSettings};
use crate::mistake::{Mistake, Mistakes};
use crate::model::Loaded;
use crate::url::Url;

/// Checks that configuration and factory state allow sessions with the ACS: the TLS files can be loaded, and the URL is
/// one that can be contacted. No connection is made.
///
/// `check` refuses a configuration that fails. The daemon only logs the failure: the ACS may have set a better URL, and
/// a missing file may exist at the next session.
///
/// # Errors
/// Names the option or the parameter, and the reason.
pub fn check_acs_settings(config: &Config, loaded: &Loaded) -> Result<(), Mistakes> {
    let mut mistakes = Mistakes::default();
    if let Err((option, error)) = http::check_tls_files(&tls_settings(config)) {
        mistakes.push(match error {
            // The whole text of the error mentions a connection, and none was attempted here.
            HttpError::Tls(reason) => Mistake::new(Path::new(option), "", &reason),
            other => Mistake::new(Path::new(option), "", &other.to_string()),
        });
    }
    if let Err(mistake) = check_acs_url(config, loaded) {
        mistakes.push(mistake);
    }
    mistakes.check()
}

/// Checks the factory value of ManagementServer.URL (R10). It may be empty: such a device learns its URL later (R17).
fn check_acs_url(config: &Config, loaded: &Loaded) -> Result<(), Mistake> {
    let name = management_server::full_name(&loaded.tree, parameter::URL);
    let text = loaded.tree.get(&name).map(|value| value.to_string()).unwrap_or_default();
    let reason = match Url::parse(&text) {
        Err(error) if !text.is_empty() => error.reason().to_owned(),
        _ => return Ok(()),
    };
    if config.factory_values.iter().any(|(path, _)| *path == name) {
        return Err(config.factory_value_error(&name, &reason));
    }
    // The tree does not record which file gave the value, so that the error names all of them.
    Err(Mistake::new(Path::new(&config.model_names()), &format!("/{}/value", name.replace('.', "/")), &reason))
}

/// Returns the paths of the TLS files, for connections to the ACS and to file servers alike (R65).
pub fn tls_settings(config: &Config) -> TlsSettings {
    TlsSettings {
        ca_file: config.ca_file.clone(),
        client_cert: config.client_cert.clone(),
        client_key: config.client_key.clone(),
    }
}

impl Agent {
    /// Returns the settings of the next connection to the ACS.
    pub(super) fn acs_settings(&self, clock_is_set: bool) -> AcsSettings {
        AcsSettings {
            url: self.device.acs_url(),
            username: self.device.acs_username(),
            password: self.device.acs_password(),
            tls: tls_settings(&self.config),
            clock_is_set,
            timeout: self.config.acs_timeout,
            body_limit: MAX_MESSAGE,
            stop: self.stop.clone(),
        }
    }
}
