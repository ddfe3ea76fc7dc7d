//! What the README shows must work.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md")
}

/// The block of that language in which `word` stands.
fn block(language: &str, word: &str) -> String {
    let readme = readme();
    let opening = format!("```{language}\n");
    let blocks = readme.split(&opening).skip(1);
    let mut blocks = blocks.filter_map(|rest| rest.split_once("\n```")).map(|(block, _)| block);
    blocks.find(|block| block.contains(word)).unwrap_or_else(|| panic!("no block with {word}")).to_owned()
}

/// A directory that looks like a clone in which somebody has written the two files of the README.
fn clone() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("data-model");
    std::os::unix::fs::symlink(models, directory.path().join("data-model")).expect("a link");
    let configuration = block("json", "\"dataModel\"")
        .replace("/etc/cpe-agent/data-model.json", "data-model/tr-181.json")
        .replace("/etc/cpe-agent/acme.json", "acme.json");
    std::fs::write(directory.path().join("config.json"), configuration).expect("a file");
    std::fs::write(directory.path().join("acme.json"), block("json", "\"actions\"")).expect("a file");
    directory
}

/// What `check` tells with these arguments.
fn checked(clone: &TempDir, arguments: &str) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cpe-agent"));
    let output =
        program.args(arguments.split_whitespace()).current_dir(clone.path()).output().expect("cpe-agent starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_overlay_fits_the_shipped_model() {
    let readme = readme();
    let example = readme.lines().find_map(|line| line.strip_prefix("    target/release/cpe-agent ")).expect("a line");
    assert!(example.starts_with("check "), "{example}");
    let told = checked(&clone(), example);
    for found in ["Acme", "A1B2C3", "AC-1000", "reboot, factoryReset"] {
        assert!(told.contains(found), "{found} is missing:\n{told}");
    }
}

#[test]
fn the_configuration_fits_the_overlay() {
    let told = checked(&clone(), "check --config config.json");
    for found in ["A1B2C3", "AC00012345", "https://acs.example.com/"] {
        assert!(told.contains(found), "{found} is missing:\n{told}");
    }
}

/// A command line can be read by every user.
#[test]
fn no_example_has_a_password_on_a_command_line() {
    for line in readme().lines().filter(|line| line.contains("--set Device") || line.contains("cpe-agent set ")) {
        assert!(!line.contains("Password="), "{line}");
    }
}

/// Every option that `--help` tells has a row, with the same default.
#[test]
fn every_option_has_its_row() {
    let output = Command::new(env!("CARGO_BIN_EXE_cpe-agent")).arg("--help").output().expect("cpe-agent starts");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    // The demo sends its readers there.
    let last = help.lines().last().unwrap_or_default();
    assert!(last.contains("--set Device.ManagementServer.URL="), "{last}");
    let readme = readme();
    let mut options = 0;
    for line in help.lines().map(str::trim_start).filter(|line| line.starts_with("--")) {
        let option = line.split_whitespace().next().expect("a name");
        let row =
            readme.lines().find(|row| row.starts_with(&format!("| `{option} "))).unwrap_or_else(|| panic!("{option}"));
        if let Some(default) = line.rsplit_once(" [").and_then(|(_, rest)| rest.strip_suffix(']')) {
            assert!(row.ends_with(&format!("| `{default}` |")), "{row}\n{line}");
        }
        options += 1;
    }
    assert!(options > 10, "{help}");
}
