//! What the README shows must work.

use std::path::Path;
use std::process::Command;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md")
}

/// The first block of that language.
fn block(language: &str) -> String {
    let readme = readme();
    let (_, rest) = readme.split_once(&format!("```{language}\n")).expect("a block of that language");
    rest.split_once("\n```").expect("its end").0.to_owned()
}

#[test]
fn the_overlay_fits_the_shipped_model() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let overlay = directory.path().join("acme.json");
    std::fs::write(&overlay, block("json")).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_cpe-agent"))
        .arg("check")
        .arg("--data-model")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("data-model/tr-181.json"))
        .arg("--data-model")
        .arg(&overlay)
        .output()
        .expect("cpe-agent starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for found in ["Acme", "A1B2C3", "AC00012345", "https://acs.example.com/", "reboot, factoryReset"] {
        assert!(told.contains(found), "{found} is missing:\n{told}");
    }
}

/// Every option that `--help` tells has a row, with the same default.
#[test]
fn every_option_has_its_row() {
    let output = Command::new(env!("CARGO_BIN_EXE_cpe-agent")).arg("--help").output().expect("cpe-agent starts");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let readme = readme();
    let mut options = 0;
    for line in help.lines().map(str::trim_start).filter(|line| line.starts_with("--")) {
        let option = line.split_whitespace().next().expect("a name");
        if option == "--config" {
            continue; // it stands in the text above the table
        }
        let row =
            readme.lines().find(|row| row.starts_with(&format!("| `{option} "))).unwrap_or_else(|| panic!("{option}"));
        if let Some(default) = line.rsplit_once(" [").and_then(|(_, rest)| rest.strip_suffix(']')) {
            assert!(row.ends_with(&format!("| `{default}` |")), "{row}\n{line}");
        }
        options += 1;
    }
    assert!(options > 10, "{help}");
}
