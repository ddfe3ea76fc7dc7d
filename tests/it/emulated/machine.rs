//! A gateway in an emulator: its power, its flash, its console.
//!
//! ```text
//!   file of the flash, on Malta        memory of the gateway | factory 1 MB | firmware 2 MB | state 1 MB
//!   file of the flash, on SABRE Lite                           factory 1 MB |                 state 1 MB
//! ```
//!
//! What is before the factory is lost without power. SABRE Lite has the firmware on a memory card.
//!
//! `cross/gateway` makes the images and the command line, and `cross/firmware` has the programs of the gateway.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::agent::{Log, patience};

/// The bytes of the flash with the files of the factory, at its start.
const FACTORY: usize = 1 << 20;

/// The beginning of the lines at the start and at the end of a boot.
const MACHINE: &str = "machine: ";
/// The first line of `cross/firmware/init`.
pub(crate) const STARTED: &str = "machine: started";

/// The time for a boot, or a command on the console, on a processor that is not emulated.
const LIMIT: Duration = Duration::from_secs(10);

/// An emulated gateway. Its console is printed if the test fails.
pub(crate) struct Machine {
    /// The directory of the images.
    images: PathBuf,
    directory: TempDir,
    /// The time of the clock at the start, as the emulator takes it.
    clock: String,
    emulator: Option<Child>,
    /// Copies the output of the emulator to the console.
    reader: Option<JoinHandle<()>>,
    console: Arc<Log>,
    commands: u32,
}

impl Machine {
    /// Returns a gateway with this configuration and these further files from the factory, and with an empty state. It has
    /// no power yet.
    pub(crate) fn new(factory: &[(&str, &str)]) -> Machine {
        let images = std::env::var_os("CPE_AGENT_GATEWAY").expect("a scenario that cross/gateway has started");
        let directory = tempfile::tempdir().expect("a directory");
        let machine = Machine {
            images: images.into(),
            directory,
            clock: "utc".into(),
            emulator: None,
            reader: None,
            console: Arc::default(),
            commands: 0,
        };
        let mut flash = fs::read(machine.images.join("flash")).expect("a flash");
        let factory = machine.factory(factory);
        flash[..factory.len()].copy_from_slice(&factory);
        machine.write_flash(&flash);
        machine
    }

    /// Sets the clock that the gateway has at each start, such as `1970-01-01`.
    pub(crate) fn with_clock(mut self, time: &str) -> Machine {
        self.clock = time.into();
        self
    }

    /// Returns a tar archive of the files.
    fn factory(&self, files: &[(&str, &str)]) -> Vec<u8> {
        let directory = self.directory.path().join("factory");
        fs::create_dir(&directory).expect("a directory");
        for (name, text) in files {
            fs::write(directory.join(name), text).expect("a file");
        }
        let packed = Command::new("tar").arg("-C").arg(&directory).args(["-cf", "-", "."]).output().expect("tar");
        assert!(packed.status.success() && packed.stdout.len() < FACTORY);
        packed.stdout
    }

    /// Switches the power on.
    pub(crate) fn start(&mut self) {
        let flash = self.flash();
        let words = fs::read_to_string(self.images.join("machine")).expect("the command line");
        let words = words.replace("FLASH", flash.to_str().expect("a path that is text"));
        let words = words.replace("CLOCK", &self.clock);
        let mut words = words.lines();
        let mut command = Command::new(words.next().expect("the emulator"));
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let position = self.console.position();
        let mut emulator = command.spawn().expect("the emulator starts");
        let output = emulator.stdout.take().expect("a piped stdout");
        let console = Arc::clone(&self.console);
        self.reader = Some(thread::spawn(move || {
            let mut lines = BufReader::new(output);
            let mut line = Vec::new();
            while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
                console.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
            console.push(format!("{MACHINE}the emulator has ended"));
        }));
        self.emulator = Some(emulator);
        let first = self.wait(position, MACHINE);
        assert!(first.contains(STARTED), "{first}");
    }

    /// Cuts the power: the processor stops between two instructions, and of the memory only the flash remains.
    ///
    /// By SIGTERM, since the emulated chip writes its file later than it tells the gateway; SIGKILL would lose a write that
    /// a chip has completed.
    pub(crate) fn cut_power(&mut self) {
        let mut emulator = self.emulator.take().expect("a gateway with power");
        let sent = Command::new("kill").args(["-TERM", &emulator.id().to_string()]).status().expect("kill starts");
        assert!(sent.success(), "kill -TERM");
        emulator.wait().expect("the end of the emulator");
        self.reader.take().expect("a reader").join().expect("the end of the output");
        let mut file = File::open(self.flash()).expect("the file of the flash");
        file.seek(SeekFrom::Start(self.volatile())).expect("the flash");
        let mut flash = Vec::new();
        file.read_to_end(&mut flash).expect("the flash");
        self.write_flash(&flash);
    }

    fn write_flash(&self, flash: &[u8]) {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(self.flash()).expect("a file");
        file.seek(SeekFrom::Start(self.volatile())).expect("a place behind the memory");
        file.write_all(flash).expect("room for the flash");
    }

    /// Returns the path of the file with the flash.
    fn flash(&self) -> PathBuf {
        self.directory.path().join("flash")
    }

    /// Returns the bytes of the file before the flash, which are lost without power.
    fn volatile(&self) -> u64 {
        let text = fs::read_to_string(self.images.join("volatile")).expect("the size of the memory in the file");
        text.trim().parse::<u64>().expect("a number of MB") << 20
    }

    /// Returns the number of lines with this text on the console, since the first start.
    pub(crate) fn lines(&self, text: &str) -> usize {
        self.console.text(0).lines().filter(|line| line.contains(text)).count()
    }

    /// Waits until the start scripts of the latest boot have ended.
    pub(crate) fn wait_for_console(&self) {
        let text = self.console.text(0);
        let latest = text.lines().enumerate().filter(|(_, line)| line.contains(STARTED)).last();
        self.wait(latest.map_or(0, |(position, _)| position), "console: ready");
    }

    /// Runs a command of the shell on the console, and returns its output. Panics if it fails.
    pub(crate) fn run(&mut self, command: &str) -> String {
        let (status, output) = self.try_run(command);
        assert_eq!(status, "0", "{command}: {output}");
        output
    }

    /// Runs a command of the shell on the console, and returns its exit status and its output.
    pub(crate) fn try_run(&mut self, command: &str) -> (String, String) {
        self.commands += 1;
        let (number, position) = (self.commands, self.console.position());
        let emulator = self.emulator.as_mut().expect("a gateway with power");
        let input = emulator.stdin.as_mut().expect("a piped stdin");
        writeln!(input, "{number} {command}").expect("a console");
        let end = format!("={number}== ");
        let last = self.wait(position, &end);
        let status = last.split(&end).nth(1).unwrap_or_default().to_owned();
        let text = self.console.text(position);
        let line = format!("={number}= ");
        (status, text.lines().filter_map(|text| text.strip_prefix(&line)).map(|text| format!("{text}\n")).collect())
    }

    fn wait(&self, position: usize, text: &str) -> String {
        self.console.wait(position, text, patience(LIMIT)).unwrap_or_else(|| panic!("no line with {text:?}"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut emulator) = self.emulator.take() {
            let _ = emulator.kill();
            let _ = emulator.wait();
        }
        if thread::panicking() {
            eprintln!("--- console of the gateway\n{}--- end of the console", self.console.text(0));
        }
    }
}
