//! Certificates and servers of the program `openssl`: those that neither rcgen nor rustls makes.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::skip::skip_for_lack_of;

/// A directory in which `openssl` works.
pub struct Openssl(tempfile::TempDir);

impl Openssl {
    /// Returns `None`, and notes the reason, on a machine without the program.
    pub fn find() -> Option<Openssl> {
        if Command::new("openssl").arg("version").output().is_err() {
            skip_for_lack_of("openssl");
            return None;
        }
        Some(Openssl(tempfile::tempdir().expect("a directory")))
    }

    /// Returns the path of a file in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command, whose words are separated by spaces.
    pub fn run(&self, arguments: &str) {
        let output = self.command(arguments).output().expect("openssl starts");
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes `NAME.pem` and `NAME.key`, signed by its own key, for `localhost`.
    pub fn self_signed(&self, name: &str, options: &str) {
        let subject = "-subj /CN=localhost -days 3650 -nodes";
        self.run(&format!("req -x509 {subject} -keyout {name}.key -out {name}.pem {options}"));
    }

    /// Makes `NAME.pem` and `NAME.key`, signed by `CA.pem`, for `localhost`.
    pub fn signed_by(&self, ca: &str, name: &str, key: &str, options: &str) {
        self.run(&format!("req -new -subj /CN=localhost -nodes -keyout {name}.key -out {name}.csr -newkey {key}"));
        std::fs::write(self.file("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").expect("a file");
        let signs = format!("x509 -req -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 3650 -extfile names");
        self.run(&format!("{signs} -in {name}.csr -out {name}.pem {options}"));
    }

    /// Starts `openssl s_server` with the identity `NAME` at a free port.
    pub fn server(&self, name: &str, options: &str) -> OpensslServer {
        let arguments = format!("s_server -accept 127.0.0.1:0 -www -cert {name}.pem -key {name}.key {options}");
        let child = self.command(&arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut server = OpensslServer { child: child.expect("openssl starts"), port: 0 };
        let lines = BufReader::new(server.child.stdout.take().expect("a pipe")).lines();
        let accepts = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:")?.parse().ok());
        server.port = accepts.unwrap_or_else(|| panic!("openssl {arguments}: it does not start"));
        server
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(self.0.path());
        command
    }
}

/// A server of `openssl`, which ends when it is dropped.
pub struct OpensslServer {
    child: Child,
    port: u16,
}

impl OpensslServer {
    pub fn url(&self) -> String {
        format!("https://localhost:{}/acs", self.port)
    }
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
