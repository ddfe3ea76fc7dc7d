//! The real `cpe-agent` binary in a directory of its own.
//!
//! ```ignore
//! let mut agent = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent"))
//!     .data_model("data-model/tr-181.json")
//!     .set("Device.ManagementServer.URL", &acs.url())
//!     .start();
//! agent.wait_for_log("session completed", Duration::from_secs(5));
//! ```

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::port;

/// The time that the agent may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The time that the agent may take to stop on SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The options with which the agent is started.
#[derive(Clone)]
pub struct AgentBuilder {
    program: PathBuf,
    leading: Vec<String>,
    /// The command that runs the program, such as `ip netns exec HOST`.
    prefix: Vec<String>,
    models: Vec<PathBuf>,
    settings: Vec<(String, String)>,
    listen: String,
    udp_listen: String,
    log_level: String,
    extra: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A started agent. It is killed when it is dropped, and its log is printed if the test fails.
pub struct Agent {
    builder: AgentBuilder,
    directory: TempDir,
    child: Option<Child>,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    boots: u32,
    /// True if the agent has answered at its control socket since its start.
    answers: AtomicBool,
}

/// The agent under test: the binary that cargo has built, unless `CPE_AGENT_BIN` names another program that takes its
/// arguments, such as a script that runs one for another processor in an emulator.
pub fn program(built: impl Into<PathBuf>) -> PathBuf {
    std::env::var_os("CPE_AGENT_BIN").map_or_else(|| built.into(), Into::into)
}

/// Returns true if another program stands in for the agent (`CPE_AGENT_BIN`). Memory and time of that process say
/// nothing about the agent.
pub fn is_replaced() -> bool {
    std::env::var_os("CPE_AGENT_BIN").is_some()
}

/// Returns the limit, multiplied by `CPE_AGENT_SLOWNESS` where the agent runs slower than here, as in an emulator.
pub fn patience(limit: Duration) -> Duration {
    let slowness = std::env::var("CPE_AGENT_SLOWNESS").ok().map(|factor| factor.parse().expect("a whole number"));
    limit * slowness.unwrap_or(1)
}

/// The lines of a program, which a thread adds, and for which a test waits.
#[derive(Default)]
pub struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Agent {
    /// Returns a builder for this program, such as `env!("CARGO_BIN_EXE_cpe-agent")`; see [`program()`].
    pub fn builder(program: impl Into<PathBuf>) -> AgentBuilder {
        let program = program.into();
        let is_the_agent = program.file_name() == Some("cpe-agent".as_ref());
        AgentBuilder {
            program: if is_the_agent { self::program(program) } else { program },
            leading: Vec::new(),
            prefix: Vec::new(),
            models: Vec::new(),
            settings: Vec::new(),
            listen: "127.0.0.1:0".into(),
            udp_listen: "127.0.0.1:0".into(),
            log_level: "debug".into(),
            extra: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Returns the directory that holds `state/`, `control.sock` and `boot-id`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn state_dir(&self) -> PathBuf {
        self.directory().join("state")
    }

    pub fn control(&self) -> PathBuf {
        self.directory().join("control.sock")
    }

    /// Returns the process id of the running agent, or of its runner if it has one. Panics if the agent does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the agent runs").id()
    }

    /// Returns all log lines so far, of every start.
    pub fn log(&self) -> String {
        self.log.text(0)
    }

    /// Returns the log lines after a position.
    pub fn log_after(&self, position: usize) -> String {
        self.log.text(position)
    }

    /// Waits for a line with this text, anywhere in the log; returns the line.
    pub fn wait_for_log(&self, text: &str, limit: Duration) -> String {
        self.wait_for_log_after(0, text, limit)
    }

    /// Returns the number of lines so far, so that a test can wait for a later line.
    pub fn log_position(&self) -> usize {
        self.log.position()
    }

    /// Waits for a line with this text after a position.
    pub fn wait_for_log_after(&self, position: usize, text: &str, limit: Duration) -> String {
        self.log.wait(position, text, limit).unwrap_or_else(|| {
            panic!("no line with {text:?} within {limit:?}"); // the log follows from Drop
        })
    }

    /// Runs a client command such as `get Device.` against this agent's control socket.
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.command_with_input(arguments, Stdio::null())
    }

    /// Runs a client command with this standard input.
    pub fn command_with_input(&self, arguments: &[&str], input: Stdio) -> Output {
        let (name, rest) = arguments.split_first().expect("the name of a command");
        let mut command = self.builder.command();
        command.arg(name).arg("--control").arg(self.control());
        command.args(rest).stdin(input);
        command.output().expect("the client command starts")
    }

    /// Waits until the agent answers at its control socket.
    pub fn wait_for_control(&self) {
        let deadline = Instant::now() + START_LIMIT;
        while !self.command(&["status"]).status.success() {
            assert!(Instant::now() < deadline, "no control socket within {START_LIMIT:?}");
            thread::sleep(Duration::from_millis(5));
        }
        self.answers.store(true, Ordering::Relaxed);
    }

    /// Runs a client command as soon as the agent answers at its control socket; panics if the command fails, and
    /// returns its standard output.
    pub fn succeeds(&self, arguments: &[&str]) -> String {
        if !self.answers.load(Ordering::Relaxed) {
            self.wait_for_control();
        }
        let output = self.command(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Reads the value of one parameter by the command `get`.
    pub fn value(&self, path: &str) -> String {
        let output = self.succeeds(&["get", path]);
        let line = output.strip_suffix('\n').unwrap_or(&output);
        line.split_once('=').unwrap_or_else(|| panic!("get {path} printed {output:?}")).1.to_owned()
    }

    /// Kills the agent by SIGKILL, as a crash would.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.join_reader();
    }

    /// Sends SIGTERM, waits for the end and returns the exit status. Panics if the agent takes too long.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.exit_status(STOP_LIMIT)
    }

    /// Sends a signal by its name, such as `TERM`, `INT` or `HUP`.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().expect("kill starts");
        assert!(sent.success(), "kill -{name}");
    }

    /// Waits for the agent to end by itself.
    pub fn exit_status(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        let child = self.child.as_mut().expect("the agent runs");
        let status = loop {
            match child.try_wait().expect("the agent can be waited for") {
                Some(status) => break status,
                None if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                None => panic!("the agent still runs after {limit:?}"),
            }
        };
        self.child = None;
        self.join_reader();
        status
    }

    /// Returns true while the process runs.
    pub fn is_running(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Stops the agent by SIGTERM, if it runs, and starts it with the same state: the device has not rebooted.
    pub fn restart(&mut self) {
        if self.is_running() {
            self.terminate();
        }
        self.start_process();
    }

    /// Kills the agent and starts it with the same state.
    pub fn crash_and_restart(&mut self) {
        self.kill9();
        self.start_process();
    }

    /// Restarts the agent with a new boot id, as if the device had rebooted.
    pub fn reboot(&mut self) {
        if self.is_running() {
            self.terminate();
        }
        self.boots += 1;
        self.write_boot_id();
        self.start_process();
    }

    /// Changes a `--set` for the next start.
    pub fn set(&mut self, path: &str, value: &str) {
        self.builder.settings.retain(|(known, _)| known != path);
        self.builder.settings.push((path.into(), value.into()));
    }

    fn write_boot_id(&self) {
        let id = format!("00000000-0000-4000-8000-{:012}\n", self.boots);
        std::fs::write(self.directory().join("boot-id"), id).expect("boot-id can be written");
    }

    /// Runs another subcommand that takes the options of `run`, such as `doctor`, with those of this agent.
    pub fn beside(&self, subcommand: &str) -> Output {
        self.with_options(subcommand).output().expect("the command starts")
    }

    /// Starts such a subcommand like [`Agent::beside`], without waiting for its end.
    pub fn spawn_beside(&self, subcommand: &str) -> Child {
        let mut command = self.with_options(subcommand);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts")
    }

    fn with_options(&self, subcommand: &str) -> Command {
        let mut command = self.builder.command();
        command.arg(subcommand);
        for model in &self.builder.models {
            command.arg("--data-model").arg(model);
        }
        for (path, value) in &self.builder.settings {
            command.arg("--set").arg(format!("{path}={value}"));
        }
        command.arg("--state-dir").arg(self.state_dir());
        command.arg("--control").arg(self.control());
        command.arg("--boot-id").arg(self.directory().join("boot-id"));
        command.args(["--listen", &self.builder.listen]);
        command.args(["--udp-listen", &self.builder.udp_listen]);
        command.args(["--log", &self.builder.log_level]);
        command.args(&self.builder.extra).stdin(Stdio::null());
        command
    }

    fn start_process(&mut self) {
        self.kill9();
        let mut command = self.with_options("run");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the agent starts");
        let stderr = child.stderr.take().expect("a piped stderr");
        let log = Arc::clone(&self.log);
        self.reader = Some(thread::spawn(move || {
            let mut lines = BufReader::new(stderr);
            let mut line = Vec::new();
            while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
                log.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
        }));
        self.child = Some(child);
        self.answers = AtomicBool::new(false);
    }

    /// Waits for the log's last lines, but not for a grandchild that keeps stderr open.
    fn join_reader(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        if let Some(reader) = self.reader.take() {
            while !reader.is_finished() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill9();
        if thread::panicking() {
            eprintln!("--- log of the agent\n{}--- end of the log", self.log.text(0));
        }
    }
}

impl AgentBuilder {
    /// Arguments before the subcommand, where the program is not the agent itself.
    pub fn leading_args(mut self, arguments: &[&str]) -> AgentBuilder {
        self.leading = arguments.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    /// Runs the agent by another program, such as `ip netns exec HOST`.
    pub fn by(mut self, prefix: &[&str]) -> AgentBuilder {
        self.prefix = prefix.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    /// Adds a data-model file.
    pub fn data_model(mut self, file: impl Into<PathBuf>) -> AgentBuilder {
        self.models.push(file.into());
        self
    }

    /// Adds `--set PATH=VALUE`.
    pub fn set(mut self, path: &str, value: &str) -> AgentBuilder {
        self.settings.push((path.into(), value.into()));
        self
    }

    /// Sets the address for connection requests; `127.0.0.1:0` by default.
    pub fn listen(mut self, address: &str) -> AgentBuilder {
        self.listen = address.into();
        self
    }

    pub fn udp_listen(mut self, address: &str) -> AgentBuilder {
        self.udp_listen = address.into();
        self
    }

    /// Picks ports and keeps them over restarts, so that ConnectionRequestURL does not change with each start.
    pub fn fixed_ports(self) -> AgentBuilder {
        let address = port::closed_address().to_string();
        self.listen(&address).udp_listen(&address)
    }

    /// Sets the log level; `debug` by default.
    pub fn log_level(mut self, level: &str) -> AgentBuilder {
        self.log_level = level.into();
        self
    }

    /// Adds arguments of `run`.
    pub fn args<S: AsRef<std::ffi::OsStr>>(mut self, arguments: &[S]) -> AgentBuilder {
        let text = arguments.iter();
        self.extra.extend(text.map(|text| text.as_ref().to_string_lossy().into_owned()));
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> AgentBuilder {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts the agent with empty state.
    pub fn start(self) -> Agent {
        let mut agent = self.not_started();
        agent.start_process();
        agent
    }

    /// Creates the directory only; [`Agent::restart`] starts the agent.
    pub fn not_started(self) -> Agent {
        let agent = Agent {
            builder: self,
            directory: tempfile::tempdir().expect("a temporary directory"),
            child: None,
            log: Arc::default(),
            reader: None,
            boots: 1,
            answers: AtomicBool::new(false),
        };
        agent.write_boot_id();
        agent
    }

    /// Runs another subcommand, such as `check`, with the same models and settings, and returns its output.
    pub fn run_to_end(&self, subcommand: &str) -> Output {
        let mut command = self.command();
        command.arg(subcommand);
        for model in &self.models {
            command.arg("--data-model").arg(model);
        }
        for (path, value) in &self.settings {
            command.arg("--set").arg(format!("{path}={value}"));
        }
        command.args(&self.extra).stdin(Stdio::null());
        command.output().expect("the agent starts")
    }

    fn command(&self) -> Command {
        let mut words = self.prefix.iter();
        let mut command = match words.next() {
            None => Command::new(&self.program),
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(&self.program);
                command
            }
        };
        command.args(&self.leading);
        command.envs(self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        command
    }
}

impl Log {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of lines so far.
    pub fn position(&self) -> usize {
        self.lock().len()
    }

    pub fn push(&self, line: String) {
        self.lock().push(line);
        self.grown.notify_all();
    }

    /// Returns the lines from a position on.
    pub fn text(&self, from: usize) -> String {
        let lines = self.lock();
        lines.iter().skip(from).map(|line| format!("{line}\n")).collect()
    }

    /// Waits for a line with this text, from a position on; returns the line, or `None` if it does not come in time.
    pub fn wait(&self, from: usize, text: &str, limit: Duration) -> Option<String> {
        let deadline = Instant::now() + limit;
        let mut lines = self.lock();
        loop {
            let new = lines.iter().skip(from);
            if let Some(line) = new.into_iter().find(|line| line.contains(text)) {
                return Some(line.clone());
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let (more, _) = self.grown.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner);
            lines = more;
        }
    }
}
