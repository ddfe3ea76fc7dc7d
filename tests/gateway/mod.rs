//! The gateway under test: the real binary with a shipped data model, pointed at the reference ACS.
#![allow(dead_code, unreachable_pub, missing_docs)] // each test file compiles this module and uses a part of it

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::agent::AgentBuilder;
use crate::support::{Acs, AcsOptions, Agent, Session, get_parameter_values, get_rpc_methods};

/// What takes milliseconds may take this long on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// The user name that follows from the identity in the shipped models (R62).
pub const USERNAME: &str = "00D09E-HomeGateway-0000000001";
pub const PASSWORD: &str = "s3cret";

pub const BOOTSTRAP: &str = "0 BOOTSTRAP";
pub const BOOT: &str = "1 BOOT";
pub const PERIODIC: &str = "2 PERIODIC";
pub const VALUE_CHANGE: &str = "4 VALUE CHANGE";

/// A file of `data-model/`.
pub fn model_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data-model").join(name)
}

/// A TR-181 gateway that knows this ACS. It retries after just one second (R126), and has nothing to
/// say by itself: periodic Informs are off.
pub fn gateway(acs: &Acs) -> AgentBuilder {
    gateway_at(&acs.url())
}

/// The same, with any ACS URL.
pub fn gateway_at(url: &str) -> AgentBuilder {
    gateway_of("tr-181.json", "Device", url)
}

/// The same for a TR-098 gateway.
pub fn tr_098_gateway(acs: &Acs) -> AgentBuilder {
    gateway_of("tr-098.json", "InternetGatewayDevice", &acs.url())
}

fn gateway_of(model: &str, root: &str, url: &str) -> AgentBuilder {
    let settings = [
        ("URL", url),
        ("Password", PASSWORD),
        ("CWMPRetryMinimumWaitInterval", "1"),
        ("CWMPRetryIntervalMultiplier", "1000"),
        ("PeriodicInformEnable", "false"),
    ];
    let builder = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model(model_file(model)).fixed_ports();
    settings
        .iter()
        .fold(builder, |builder, (name, value)| builder.set(&format!("{root}.ManagementServer.{name}"), value))
}

/// A session in which the ACS asks two questions.
pub fn converses(options: AcsOptions) -> Session {
    converses_allowing("nothing", options)
}

pub fn converses_allowing(violation: &str, options: AcsOptions) -> Session {
    let mut acs = Acs::start(options);
    acs.allow_violation(violation);
    acs.enqueue(get_rpc_methods());
    acs.enqueue(get_parameter_values(&["Device.DeviceInfo."]));
    let _agent = gateway(&acs).start();
    acs.session(SOON).expect_complete()
}

/// The scheme of each request's credentials, `-` for none.
pub fn schemes(session: &Session) -> Vec<&str> {
    let headers = session.exchanges.iter().map(|exchange| exchange.request.header("Authorization"));
    headers.map(|header| header.map_or("-", |header| header.split(' ').next().unwrap_or_default())).collect()
}
