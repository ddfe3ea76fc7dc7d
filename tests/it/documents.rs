//! The documents: every example in them works, every link leads to a file, and their words are plain.

mod completion;
mod examples;
mod integration;
mod links;
mod manual;
mod prose;

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use examples::json_examples;

/// The directories with documents. Other directories have none, or are no part of the repository.
const DIRECTORIES: [&str; 4] = [".", "docs", "cross", "tests"];

/// A Markdown file of the repository.
struct Document {
    /// Relative to the root of the repository.
    path: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<Document> {
    let mut documents = Vec::new();
    for directory in DIRECTORIES {
        for entry in std::fs::read_dir(root().join(directory)).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(&path).expect("a text");
                let path = path.strip_prefix(root()).expect("a path below the root");
                documents.push(Document { path: path.components().collect(), text });
            }
        }
    }
    documents.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(documents.len() > 10, "the documents are not found");
    documents
}

fn document(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn agent() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cpe-agent"))
}

#[test]
fn the_readme_is_short() {
    let lines = document("README.md").lines().count();
    assert!(lines <= 120, "README.md has {lines} lines; move a part of it to docs/");
}

#[test]
fn the_readme_has_the_counts_of_the_conformance_table() {
    let table = document("tests/conformance.md");
    let counts = table.lines().find(|line| line.contains(" tested, ")).expect("the counts");
    assert!(document("README.md").contains(counts), "README.md does not have: {counts}");
}
