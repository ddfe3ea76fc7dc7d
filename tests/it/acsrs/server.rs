//! A running acsrs in a directory of its own, and its JSON interface.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::port;

pub(crate) const USERNAME: &str = "figaro";
pub(crate) const PASSWORD: &str = "a:b \"c\"";

/// The time that acsrs may take to start: it generates two RSA keys of 4096 bits first.
const START_LIMIT: Duration = Duration::from_secs(120);
/// acsrs itself gives up on an RPC after 60 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(70);
const PAUSE: Duration = Duration::from_millis(20);

/// A running acsrs, which is killed when it is dropped.
pub(crate) struct Acsrs {
    home: TempDir,
    child: Child,
    cwmp: u16,
    api: u16,
}

impl Acsrs {
    /// Starts the program on free ports of the loopback interface, and waits until it listens.
    pub(crate) fn start(program: &Path) -> Acsrs {
        let home = tempfile::tempdir().expect("a temporary directory");
        let [cwmp, tls, api] = [(); 3].map(|()| port::of_its_own());
        let directory = home.path().join(".acsrs");
        fs::create_dir(&directory).expect("a directory for the configuration");
        // Without a host name acsrs would ask a server in the Internet for its address.
        let configuration = format!(
            "cpe = []\n\n[config]\nhostname = \"127.0.0.1\"\nusername = {}\npassword = {}\nautocert = true\n\
             identity_password = \"ACSRS\"\nunsecure_address = \"127.0.0.1:{cwmp}\"\n\
             secure_address = \"127.0.0.1:{tls}\"\nmanagement_address = \"127.0.0.1:{api}\"\n",
            json!(USERNAME), // a JSON string is a TOML string as well
            json!(PASSWORD),
        );
        fs::write(directory.join("config.toml"), configuration).expect("the configuration");
        let log = File::create(home.path().join("log")).expect("a log file");
        let child = Command::new(program)
            .arg("--verbose")
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut acsrs = Acsrs { home, child, cwmp, api };
        acsrs.wait_until_it_listens();
        acsrs
    }

    fn wait_until_it_listens(&mut self) {
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(("127.0.0.1", self.api)).is_err() {
            let ended = self.child.try_wait().expect("acsrs can be waited for");
            assert!(ended.is_none() && Instant::now() < deadline, "acsrs does not start: {}", self.log());
            sleep(PAUSE);
        }
    }

    /// Returns the ACS URL of acsrs.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/cwmpWeb/CPEMgt", self.cwmp)
    }

    /// Opens a connection to the JSON interface. While it is open, acsrs keeps the session with the device of its
    /// requests.
    pub(crate) fn api(&self) -> Api {
        let stream = TcpStream::connect(("127.0.0.1", self.api)).expect("the JSON interface");
        stream.set_read_timeout(Some(ANSWER_LIMIT)).expect("a time limit");
        stream.set_nodelay(true).expect("no delay");
        Api(BufReader::new(stream))
    }

    /// Returns the event codes of all Informs so far.
    pub(crate) fn events(&self) -> Vec<String> {
        let log = self.log();
        let codes = log.lines().filter_map(|line| Some(line.split_once(" Event: ")?.1));
        codes.map(|code| code.trim().to_owned()).collect()
    }

    /// Waits until this number of events has come.
    pub(crate) fn wait_for_events(&self, count: usize, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.events().len() < count {
            assert!(Instant::now() < deadline, "acsrs saw only {:?}", self.events());
            sleep(PAUSE);
        }
    }

    fn log(&self) -> String {
        let log = fs::read(self.home.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Acsrs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of acsrs\n{}--- end of the log", self.log());
        }
    }
}

/// A connection to the JSON interface.
pub(crate) struct Api(BufReader<TcpStream>);

impl Api {
    /// Sends a request, for the device with this serial number if it is for a device.
    pub(crate) fn ask(&mut self, serial_number: &str, command: &Value) -> Value {
        let body = json!({ "serial_number": serial_number, "command": command }).to_string();
        let length = body.len();
        let request = format!("POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}");
        self.0.get_mut().write_all(request.as_bytes()).expect("acsrs takes a request");
        self.answer().unwrap_or_else(|error| panic!("no answer to {command}: {error}"))
    }

    /// Waits for the first device, and returns the entry of acsrs for it.
    pub(crate) fn wait_for_a_device(&mut self, limit: Duration) -> Value {
        let deadline = Instant::now() + limit;
        loop {
            match self.ask("", &json!("List"))["List"].get_mut(0) {
                Some(device) => return device.take(),
                None => assert!(Instant::now() < deadline, "no device came"),
            }
            sleep(PAUSE);
        }
    }

    fn answer(&mut self) -> std::io::Result<Value> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    }
}
