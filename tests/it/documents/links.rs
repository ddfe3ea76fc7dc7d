//! The links between documents, and the files that code and documents name.

use std::fs;
use std::path::{Path, PathBuf};

use super::{documents, root};

/// The targets of the Markdown links in a text.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The anchor that a heading gets, by the rules of GitHub.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect();
    let kept: String = kept;
    kept.replace(' ', "-")
}

fn has_anchor(text: &str, wanted: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(anchor).any(|found| found == wanted)
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        for target in targets(&document.text).filter(|target| !target.contains("://")) {
            let (file, wanted) = target.split_once('#').unwrap_or((target, ""));
            let directory = root().join(&document.path).parent().map(Path::to_path_buf).unwrap_or_default();
            let path = if file.is_empty() { root().join(&document.path) } else { directory.join(file) };
            let inside = path.canonicalize().is_ok_and(|path| path.starts_with(root()));
            let found =
                inside && (wanted.is_empty() || fs::read_to_string(&path).is_ok_and(|text| has_anchor(&text, wanted)));
            if !found {
                broken.push(format!("{}: {target}", document.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn anchors_are_those_of_github() {
    assert_eq!(anchor("Threads, and what each owns"), "threads-and-what-each-owns");
    assert!(has_anchor("# A\n## Add an RPC (R1)\n", "add-an-rpc-r1"));
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The names of Markdown files in a text, such as `docs/requirements.md`.
fn named_documents(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_');
    text.split(move |c| !is_part(c)).map(|word| word.trim_end_matches('.')).filter(|word| word.ends_with(".md"))
}

/// A reader of the code has the repository only: a document that it names must be there.
#[test]
fn every_document_that_is_named_is_in_the_repository() {
    let mut files = Vec::new();
    for directory in ["src", "tests", "examples", "benches"] {
        collect(&root().join(directory), &mut files);
    }
    files.extend(documents().into_iter().map(|document| root().join(document.path)));
    let mut missing = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for name in named_documents(&text).filter(|name| *name != ".md") {
            let beside = file.parent().map(|directory| directory.join(name));
            let places = ["", "docs", "tests"].map(|directory| root().join(directory).join(name));
            if !places.into_iter().chain(beside).any(|place| place.exists()) {
                missing.push(format!("{}: {name}", file.display()));
            }
        }
    }
    assert!(missing.is_empty(), "named, but not in the repository:\n{}", missing.join("\n"));
}

/// The paths in a document, such as `src/cwmp/rpc.rs`, that stand in code marks by themselves.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    let directories = ["src/", "tests/", "docs/", "cross/", "data-model/", "benches/", "examples/", ".ci/"];
    let words = text.split('`').skip(1).step_by(2).filter_map(|code| code.split_whitespace().next());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_');
    words.filter(move |word| directories.iter().any(|start| word.starts_with(start)) && word.chars().all(plain))
}

/// A recipe that names a moved file would lead its reader astray.
#[test]
fn every_path_in_a_document_exists() {
    assert!(named_paths("in `src/a.rs`, `b` and `cargo x`").eq(["src/a.rs"]));
    let mut missing = Vec::new();
    for document in documents().iter().filter(|document| document.path != Path::new("tests/conformance.md")) {
        for path in named_paths(&document.text.replace("```", "")).filter(|path| !root().join(path).exists()) {
            missing.push(format!("{}: {path}", document.path.display()));
        }
    }
    assert!(missing.is_empty(), "named, but not there:\n{}", missing.join("\n"));
}
