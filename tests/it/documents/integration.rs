//! `docs/integration.md`: its files are written, its commands run in their order, and their output is that of the page.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::{document, root};
use crate::support::Agent;
use crate::support::skip::skip_for_lack_of;

/// The directories of a device, which lie below the directory of the test.
const DIRECTORIES: [&str; 4] = ["/etc/cpe-agent/", "/usr/libexec/", "/run/acme/", "/sys/class/leds/status/"];

/// A code block of the page.
struct Block {
    language: String,
    /// The text in backquotes that the line before the block names last, such as a file.
    file: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let file = before.rsplit('`').nth(1).unwrap_or_default().to_owned();
            blocks.push(Block { language: language.to_owned(), file, text: text.join("\n") + "\n" });
        } else if !line.is_empty() {
            before = line;
        }
    }
    blocks
}

/// A device in a directory.
struct Device(TempDir);

impl Device {
    fn new() -> Device {
        let device = Device(tempfile::tempdir().expect("a directory"));
        for directory in DIRECTORIES {
            fs::create_dir_all(device.located(directory)).expect("a directory");
        }
        symlink(root().join("data-model/tr-181.json"), device.located("/etc/cpe-agent/data-model.json"))
            .expect("a link");
        let state = "switch temperature 41\nlan1 status up\nlan1 speed 1000\nlan2 status down\n";
        for (file, text) in [
            ("/run/acme/switch", state),
            ("/run/acme/led.mode", "On\n"),
            ("/sys/class/leds/status/brightness", "128\n"),
        ] {
            fs::write(device.located(file), text).expect("a file");
        }
        device
    }

    /// Returns a text of the page with the paths of the test.
    fn located(&self, text: &str) -> String {
        let place = self.0.path().display();
        let text = DIRECTORIES.iter().fold(text.to_owned(), |text, name| text.replace(name, &format!("{place}{name}")));
        // No test resolves a name.
        text.replace("http://acs.example.com:8080/acs", "http://127.0.0.1:1/")
    }

    fn write(&self, block: &Block) {
        let path = match block.file.starts_with('/') {
            true => self.located(&block.file),
            false => self.0.path().join(&block.file).display().to_string(),
        };
        fs::write(&path, self.located(&block.text)).unwrap_or_else(|error| panic!("{path}: {error}"));
        if block.language == "sh" {
            fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("permissions");
        }
    }

    /// Runs a command as a user would, and returns its output with the paths of the page.
    fn run(&self, command: &str, agent: Option<&Agent>) -> String {
        // The commands to the running agent find it by its socket.
        let control = agent.map_or("no-agent.sock".into(), Agent::control);
        let program = env!("CARGO_BIN_EXE_cpe-agent");
        let script = format!("#!/bin/sh\nexec {program} \"$@\" --control {}\n", control.display());
        fs::write(self.0.path().join("cpe-agent"), script).expect("a file");
        fs::set_permissions(self.0.path().join("cpe-agent"), Permissions::from_mode(0o755)).expect("permissions");
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-c", &self.located(command)]).env("PATH", path).current_dir(&self.0);
        let output = shell.output().expect("sh starts");
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        told.replace(&self.0.path().display().to_string(), "")
    }
}

/// Returns the text without the times that a source took.
fn untimed(text: &str) -> String {
    let line = |line: &str| match line.rsplit_once(" (") {
        Some((line, time)) if time.ends_with(" ms)") => format!("{line}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn every_step_works() {
    let missing = |tool: &&str| Command::new(tool).arg("--version").output().is_err();
    if let Some(tool) = ["cc", "sh"].iter().find(|tool| missing(tool)) {
        return skip_for_lack_of(tool);
    }
    let device = Device::new();
    let mut agent = None;
    let mut steps = 0;
    for block in blocks(&document("docs/integration.md")) {
        if block.language != "console" {
            device.write(&block);
            continue;
        }
        for step in format!("\n{}", block.text).split("\n$ ").skip(1) {
            let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
            if command.starts_with("cpe-agent get") && agent.is_none() {
                let config = device.located("/etc/cpe-agent/config.json");
                let started = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).args(&["--config", &config]).start();
                started.wait_for_control();
                agent = Some(started);
            }
            let told = device.run(command, agent.as_ref());
            assert_eq!(untimed(&told), untimed(expected), "{command}");
            steps += 1;
        }
    }
    assert!(steps >= 10 && agent.is_some(), "{steps} steps");
    assert!(Path::new(&device.located("/usr/libexec/acme-switch")).exists());
}
