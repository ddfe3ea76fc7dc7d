//! The examples: JSON loads, command lines parse, and shown output is that of the program.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use super::{agent, document, documents, root};
use crate::gateway::{SOON, gateway};
use crate::support::{Acs, AcsOptions, Agent, get_rpc_methods};

/// Returns the code blocks of a language, without the fences.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let opening = format!("```{language}\n");
    let blocks: Vec<&str> = text.split(&opening).skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    assert_eq!(blocks.len(), text.matches(&opening).count());
    blocks
}

/// Returns the examples in JSON, each with its document.
pub(crate) fn json_examples() -> Vec<(String, serde_json::Value)> {
    let parsed = |document: &super::Document| {
        let name = document.path.display().to_string();
        let json = |block: &&str| (name.clone(), serde_json::from_str(block).expect("JSON"));
        blocks(&document.text, "json").iter().map(json).collect::<Vec<_>>()
    };
    documents().iter().flat_map(parsed).collect()
}

/// Returns a directory with the files that the examples name: the shipped models, `acme.json` and `config.json`.
fn clone() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    symlink(root().join("data-model"), at("data-model")).expect("a link");
    symlink(root().join("data-model/tr-181.json"), at("data-model.json")).expect("a link");
    symlink(root().join("data-model/linux.json"), at("linux.json")).expect("a link");
    fs::write(at("acme.json"), blocks(&document("docs/data-model.md"), "json")[0]).expect("a file");
    fs::write(at("device.json"), "{}").expect("a file");
    fs::write(at("acme.key"), "secret\n").expect("a file");
    // A public key of Ed25519, in base64: `check` reads the files that an action names.
    fs::write(at("firmware.pub"), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n").expect("a file");
    let configuration = located(blocks(&document("README.md"), "json")[0], directory.path());
    fs::write(at("config.json"), configuration).expect("a file");
    directory
}

/// Returns an example with the paths of the test in place of those of a device.
fn located(example: &str, directory: &Path) -> String {
    let directory = directory.display();
    example.replace("/etc/cpe-agent/", &format!("{directory}/")).replace("=/etc/", &format!("={directory}/"))
}

fn run(clone: &TempDir, arguments: &[String]) -> Output {
    agent().args(arguments).current_dir(clone.path()).output().expect("cpe-agent starts")
}

fn succeeds(clone: &TempDir, arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let output = run(clone, &arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_overlay_fits_the_shipped_model() {
    let page = document("docs/data-model.md");
    let example = page.lines().find_map(|line| line.strip_prefix("    target/release/cpe-agent ")).expect("a line");
    assert!(example.starts_with("check "), "{example}");
    let told = succeeds(&clone(), &example.split_whitespace().collect::<Vec<_>>());
    for found in ["Acme", "A1B2C3", "AC-1000", "reboot, factoryReset"] {
        assert!(told.contains(found), "{found} is missing:\n{told}");
    }
}

#[test]
fn the_configuration_fits_the_shipped_model() {
    let told = succeeds(&clone(), &["check", "--config", "config.json"]);
    for found in ["A1B2C3", "AC00012345", "http://acs.example.com:8080/acs"] {
        assert!(told.contains(found), "{found} is missing:\n{told}");
    }
}

/// JSON with `dataModel` is a configuration. All other JSON is laid over a shipped model.
#[test]
fn every_json_loads() {
    let clone = clone();
    let mut count = 0;
    for document in documents() {
        for block in blocks(&document.text, "json") {
            count += 1;
            let file = clone.path().join("example.json");
            fs::write(&file, located(block, clone.path())).expect("a file");
            let options: &[&str] = match block.contains("\"dataModel\"") {
                true => &["check", "--config", "example.json"],
                false => &["check", "--data-model", "data-model/tr-181.json", "--data-model", "example.json"],
            };
            let told = succeeds(&clone, options);
            assert!(told.contains("parameters"), "{}: {told}", document.path.display());
        }
    }
    assert!(count >= 4, "{count} examples");
}

/// Returns the words of a command line, as a shell splits them.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let mut words = Vec::new();
    for (number, part) in parts {
        match number % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// Every command line is one that the program understands: without an agent it fails, but not with status 64 (usage).
#[test]
fn every_command_line_parses() {
    let clone = clone();
    let mut count = 0;
    for document in documents() {
        let lines = document.text.lines().filter_map(|line| {
            let line = line.strip_prefix("    ")?.trim_start();
            line.strip_prefix("target/release/cpe-agent ").or_else(|| line.strip_prefix("cpe-agent "))
        });
        for line in lines {
            count += 1;
            let mut arguments = words(&located(line, clone.path()));
            let place = format!("{}: {line}", document.path.display());
            match arguments[0].as_str() {
                // `check` takes the options of `run` and `doctor`, and loads what they load.
                "run" | "doctor" | "check" => {
                    arguments[0] = "check".to_owned();
                    let output = run(&clone, &arguments);
                    assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&output.stderr));
                }
                // It needs no agent, and writes into the directory.
                "dhcp" => {
                    arguments.extend(["--dhcp-dir", "dhcp", "--control", "no-agent.sock"].map(str::to_owned));
                    let output = run(&clone, &arguments);
                    assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&output.stderr));
                }
                // They need no agent either, and reach no host of this name.
                "ping" | "traceroute" => {
                    arguments[1] = "no host".to_owned();
                    let output = run(&clone, &arguments);
                    assert_eq!(output.status.code(), Some(2), "{place}: {}", String::from_utf8_lossy(&output.stderr));
                }
                _ => {
                    arguments.extend(["--control".to_owned(), "no-agent.sock".to_owned()]);
                    let output = run(&clone, &arguments);
                    let told = String::from_utf8_lossy(&output.stderr);
                    assert_eq!(output.status.code(), Some(1), "{place}: {told}");
                }
            }
        }
    }
    assert!(count >= 6, "{count} command lines");
}

/// No example has a password on a command line, which every user can read.
#[test]
fn no_example_has_a_password_on_a_command_line() {
    for document in documents() {
        for line in
            document.text.lines().filter(|line| line.contains("--set Device") || line.contains("cpe-agent set "))
        {
            assert!(!line.contains("Password="), "{}: {line}", document.path.display());
        }
    }
}

/// Returns the label of a line of `status`, in its columns.
fn label(line: &str) -> &str {
    line.get(..15).map_or(line, str::trim_end)
}

/// The README's `status` has the lines of the real one, and the values of the README's configuration.
#[test]
fn the_status_of_the_readme_is_that_of_its_configuration() {
    let clone = clone();
    let mut acs = Acs::start(AcsOptions::new());
    let file = clone.path().join("config.json");
    let configuration = fs::read_to_string(&file).expect("the configuration");
    fs::write(&file, configuration.replace("http://acs.example.com:8080/acs", &acs.url())).expect("a file");
    let agent = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).args(&["--config"]).args(&[&file]).start();
    acs.session(SOON).expect_complete();
    let mut told = agent.succeeds(&["status"]);
    for _ in 0..50 {
        if told.contains("result") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        told = agent.succeeds(&["status"]);
    }
    let readme = document("README.md");
    let shown = blocks(&readme, "text").into_iter().find(|block| block.starts_with("manufacturer")).expect("a status");
    let labels = |text: &str| text.lines().map(|line| label(line).to_owned()).collect::<Vec<_>>();
    assert_eq!(labels(shown), labels(&told), "\n{told}");
    for value in ["manufacturer", "OUI", "product class", "serial number", "software", "user name", "queued events"] {
        let line = |text: &str| text.lines().find(|line| label(line) == value).map(str::to_owned);
        assert_eq!(line(shown), line(&told));
    }
}

/// The README names every RPC that an agent with all actions answers, and no other.
#[test]
fn the_readme_lists_the_rpcs_of_the_agent() {
    let clone = clone();
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(get_rpc_methods());
    let transfers = located(blocks(&document("docs/transfers.md"), "json")[0], clone.path());
    fs::write(clone.path().join("transfers.json"), transfers).expect("a file");
    let _agent = gateway(&acs)
        .data_model(clone.path().join("transfers.json"))
        .data_model(clone.path().join("acme.json"))
        .start();
    let session = acs.session(SOON).expect_complete();
    let mut answered = session.response("GetRPCMethods").methods.clone();
    answered.sort();
    let readme = document("README.md");
    let row = readme.lines().find(|line| line.starts_with("| RPCs from the ACS |")).expect("a row");
    let names = row.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut listed: Vec<String> = names.filter(|name| answered.iter().any(|a| a == name)).map(str::to_owned).collect();
    listed.sort();
    assert_eq!(listed, answered, "\n{row}");
}

/// The README's lines of the demo are printed by the demo. `cargo test` builds it; the run of one suite may not.
#[test]
fn the_readme_shows_lines_of_the_demo() {
    let demo = Path::new(env!("CARGO_BIN_EXE_cpe-agent")).with_file_name("examples").join("demo");
    if !demo.exists() {
        return; // `.ci/run` runs the whole `cargo test`, which builds it
    }
    let output = std::process::Command::new(demo).output().expect("the demo starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}");
    let readme = document("README.md");
    let shown = blocks(&readme, "text").into_iter().find(|block| block.contains("CPE ──▶ ACS")).expect("an exchange");
    assert!(told.contains(shown), "\n{shown}\nis no part of\n{told}");
    let (_, next) = told.split_once("    cargo run -- run ").expect("a command for the next step");
    let next = next.replace('\\', "");
    let arguments: Vec<&str> = ["check"].into_iter().chain(next.split_whitespace()).collect();
    assert!(succeeds(&clone(), &arguments).contains("http://127.0.0.1:8080/acs"), "{next}");
}
