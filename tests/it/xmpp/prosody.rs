//! Prosody as Debian has it: a server that shares no code with the agent.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::Client;
use super::{CPE, Certificate, DOMAIN};
use crate::support::port::of_its_own;
use crate::support::skip::skip_for_lack_of;

/// The account of the ACS.
pub(super) const ACS: (&str, &str) = ("acs", "acs secret");
/// The time in which the server must start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server on a port of its own, with the accounts of the agent and of the ACS.
pub(super) struct Prosody {
    pub(super) port: u16,
    pub(super) certificate: Certificate,
    pub(super) directory: TempDir,
    child: Option<Child>,
}

impl Prosody {
    /// Starts the server; `None` where it is not installed.
    pub(super) fn start() -> Option<Prosody> {
        Prosody::with_certificate_for(&[DOMAIN])
    }

    /// Starts a server whose certificate has these names.
    pub(super) fn with_certificate_for(names: &[&str]) -> Option<Prosody> {
        let directory = tempfile::tempdir().expect("a directory");
        let certificate = Certificate::new(directory.path(), names);
        let mut prosody = Prosody { port: of_its_own(), certificate, directory, child: None };
        prosody.configure();
        prosody.set_password(CPE.0, CPE.1);
        prosody.set_password(ACS.0, ACS.1);
        match prosody.spawn() {
            Ok(()) => Some(prosody),
            Err(_) => {
                skip_for_lack_of("prosody");
                None
            }
        }
    }

    fn configure(&self) {
        let (at, port) = (self.directory.path().display(), self.port);
        let (chain, key) = (self.certificate.chain.display(), self.certificate.key.display());
        // The address keeps it from the network, and the pid file from /run. The server refuses to run as root otherwise.
        let text = format!(
            r#"run_as_root = true
pidfile = "{at}/pid"
data_path = "{at}/data"
certificates = "{at}"
plugin_paths = {{}}
modules_enabled = {{ "saslauth", "tls" }}
modules_disabled = {{ "s2s" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{}}
c2s_require_encryption = true
authentication = "internal_plain"
log = {{ debug = "{at}/log" }}
VirtualHost "{DOMAIN}"
  ssl = {{ key = "{key}", certificate = "{chain}" }}
"#
        );
        fs::write(self.directory.path().join("prosody.cfg.lua"), text).expect("a configuration");
    }

    /// Sets the password of an account; the server reads it with each authentication.
    pub(super) fn set_password(&self, user: &str, password: &str) {
        let accounts = self.directory.path().join("data").join(DOMAIN.replace('.', "%2e")).join("accounts");
        fs::create_dir_all(&accounts).expect("a directory");
        fs::write(accounts.join(format!("{user}.dat")), format!("return {{ [\"password\"] = \"{password}\" }};"))
            .expect("an account");
    }

    /// Ends the server, as a crash does.
    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the server on the same port, with the same accounts.
    pub(super) fn restart(&mut self) {
        self.stop();
        self.spawn().expect("prosody starts");
    }

    fn spawn(&mut self) -> io::Result<()> {
        let mut command = Command::new("prosody");
        command.args(["-F", "--config"]).arg(self.directory.path().join("prosody.cfg.lua"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn()?);
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "prosody does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Signs in as the ACS.
    pub(super) fn acs(&self) -> Client {
        Client::new(self.port, &self.certificate.ca, ACS)
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prosody {
    fn drop(&mut self) {
        self.stop();
    }
}
