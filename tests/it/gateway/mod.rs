//! The gateway under test: the real binary with a shipped data model and examples over it, pointed at the reference ACS.
//!
//! A scenario that holds for either model is a function of the [`Model`], with `both_models!` below it:
//!
//! ```ignore
//! fn a_session(model: &'static Model) {
//!     let mut acs = Acs::start(AcsOptions::new());
//!     let _agent = model.gateway(&acs).start();
//!     acs.session(SOON).expect_complete();
//! }
//! both_models!(a_session); // the tests a_session::tr_181 and a_session::tr_098
//! ```
//!
//! Where the model makes no difference, it is TR-181.

pub mod model;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use model::{Model, TR_098, TR_181};

use crate::support::agent::AgentBuilder;
use crate::support::{Acs, AcsOptions, Session, get_parameter_values, get_rpc_methods};

/// The limit for steps that take milliseconds, long enough for a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// The user name that follows from the identity in the shipped models (R62).
pub const USERNAME: &str = "00D09E-HomeGateway-0000000001";
pub const PASSWORD: &str = "s3cret";

pub const BOOTSTRAP: &str = "0 BOOTSTRAP";
pub const BOOT: &str = "1 BOOT";
pub const PERIODIC: &str = "2 PERIODIC";
pub const VALUE_CHANGE: &str = "4 VALUE CHANGE";

/// Returns the path of a file of `data-model/`.
pub fn model_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data-model").join(name)
}

/// Returns a TR-181 gateway that knows this ACS; see [`Model::gateway`].
pub fn gateway(acs: &Acs) -> AgentBuilder {
    TR_181.gateway(acs)
}

/// Returns a TR-181 gateway with this ACS URL; see [`Model::gateway_at`].
pub fn gateway_at(url: &str) -> AgentBuilder {
    TR_181.gateway_at(url)
}

/// Runs a session with two requests of the ACS.
pub fn run_simple_session(options: AcsOptions) -> Session {
    run_simple_session_allowing("nothing", options)
}

pub fn run_simple_session_allowing(violation: &str, options: AcsOptions) -> Session {
    let mut acs = Acs::start(options);
    acs.allow_violation(violation);
    acs.enqueue(get_rpc_methods());
    acs.enqueue(get_parameter_values(&["Device.DeviceInfo."]));
    let _agent = gateway(&acs).start();
    acs.session(SOON).expect_complete()
}

/// Returns the scheme of the credentials of each request, `-` for none.
pub fn schemes(session: &Session) -> Vec<&str> {
    let headers = session.exchanges.iter().map(|exchange| exchange.request.header("Authorization"));
    headers.map(|header| header.map_or("-", |header| header.split(' ').next().unwrap_or_default())).collect()
}
