//! Connection requests over XMPP: the real agent, a server and an ACS that is a client of it (Annex K).

mod client;
mod hostile;
mod hostile_server;
mod limit;
#[cfg(feature = "diagnostics")]
mod names;
mod prosody;
mod requests;
mod startup;
mod stream;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::gateway::{SOON, TR_181};
use crate::support::Agent;
use crate::support::agent::AgentBuilder;
use crate::support::tls::Authority;

/// The domain that the server has, and the account of the agent at it.
const DOMAIN: &str = "xmpp.example";
const JABBER_ID: &str = "cpe@xmpp.example/gateway";
const CPE: (&str, &str) = ("cpe", "cpe secret");
/// The user name and the password of a connection request.
const ACCESS: (&str, &str) = ("acs", "wake up");
const CONNECTION: &str = "Device.XMPP.Connection.1";

/// The certificate of a server, its key and the certificate to trust, as files.
struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

impl Certificate {
    /// Writes a certificate for these names.
    fn new(directory: &Path, names: &[&str]) -> Certificate {
        let authority = Authority::new("the authority of the server");
        let (chain, key) = authority.server_files(names, directory);
        Certificate { chain, key, ca: authority.ca_file(directory) }
    }
}

/// Returns a gateway whose factory state has a connection with the server at this port, which it tries each second.
fn gateway(acs: &str, port: u16, directory: &Path) -> AgentBuilder {
    let overlay = directory.join("xmpp.json");
    let text = format!(
        r#"{{ "Device": {{
            "ManagementServer": {{
                "ConnReqXMPPConnection": {{ "value": "{CONNECTION}" }},
                "ConnectionRequestUsername": {{ "value": "{}" }},
                "ConnectionRequestPassword": {{ "value": "{}" }}
            }},
            "XMPP": {{ "Connection": {{ "1": {{
                "Enable": "true", "Username": "{}", "Password": "{}", "Domain": "{DOMAIN}", "Resource": "gateway",
                "ServerConnectAlgorithm": "ServerTable", "ServerRetryInitialInterval": "1", "ServerRetryMaxInterval": "1",
                "Server": {{ "1": {{ "Enable": "true", "ServerAddress": "127.0.0.1", "Port": "{port}" }} }}
            }} }} }}
        }} }}"#,
        ACCESS.0, ACCESS.1, CPE.0, CPE.1
    );
    fs::write(&overlay, text).expect("an overlay");
    TR_181.gateway_at(acs).data_model(&overlay)
}

/// Waits until a value is the expected one.
fn await_value(agent: &Agent, path: &str, expected: &str) {
    let end = Instant::now() + SOON;
    loop {
        let value = agent.value(path);
        if value == expected {
            return;
        }
        assert!(Instant::now() < end, "{path} is {value} and not {expected}\n{}", agent.log());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn await_status(agent: &Agent, expected: &str) {
    await_value(agent, &format!("{CONNECTION}.Status"), expected);
}

/// Sets a parameter as the device itself does.
fn set(agent: &Agent, path: &str, value: &str) {
    agent.succeeds(&["set", &format!("{path}={value}")]);
}

/// Returns true if the agent has a thread of this name.
fn has_thread(agent: &Agent, name: &str) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", agent.pid())).expect("threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.into_iter().any(|found| found.trim() == name)
}
