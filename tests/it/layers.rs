//! The layers of the code: the map in `ARCHITECTURE.md` against the imports in `src`, and a form of text that `src` has not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const MAP: &str = "ARCHITECTURE.md";

/// The columns of the map that hold the names of modules.
const NAMES: usize = 26;

/// Imports that go upwards, each with the reason in the text below the map.
const EXCEPTIONS: [(&str, &str); 1] = [("cwmp/session_error.rs", "http")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The layer of each module in the map, counted from the top.
fn layers(document: &str) -> BTreeMap<String, usize> {
    let map = document.split("```text\n").nth(1).and_then(|rest| rest.split("\n```").next()).expect("a map");
    let mut layer = 0;
    let mut layers = BTreeMap::new();
    for line in map.lines() {
        if line.starts_with('─') {
            layer += 1;
            continue;
        }
        let names: String = line.chars().take(NAMES).collect();
        for name in names.split_whitespace() {
            assert!(layers.insert(name.to_owned(), layer).is_none(), "{name} stands in the map twice");
        }
    }
    layers
}

fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        // A test may use every module.
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The text of a file without its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

/// The modules of this crate that a text names by `crate::`, without its tests.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    without_tests(text).split("crate::").skip(1).filter_map(|rest| {
        let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        name.starts_with(|c: char| c.is_ascii_lowercase()).then_some(name)
    })
}

#[test]
fn every_module_stands_in_the_map() {
    let layers = layers(&fs::read_to_string(root().join(MAP)).expect(MAP));
    let library = fs::read_to_string(root().join("src/lib.rs")).expect("the library");
    let declared = |line: &str| {
        let name = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod "))?;
        Some(name.strip_suffix(';')?.to_owned())
    };
    let mut declared: Vec<String> = library.lines().filter_map(declared).collect();
    declared.push("main".into());
    declared.sort();
    assert_eq!(layers.into_keys().collect::<Vec<_>>(), declared, "the modules of {MAP} and of src/lib.rs");
}

#[test]
fn every_import_goes_downwards() {
    let layers = layers(&fs::read_to_string(root().join(MAP)).expect(MAP));
    let source = root().join("src");
    let (mut files, mut upwards) = (Vec::new(), Vec::new());
    sources(&source, &mut files);
    for file in files {
        let path = file.strip_prefix(&source).expect("a path below src");
        let first = path.iter().next().and_then(|name| name.to_str()).expect("a name");
        let Some(own) = layers.get(first.trim_end_matches(".rs")) else { continue };
        let text = fs::read_to_string(&file).expect("a text");
        for import in imports(&text) {
            let is_exempt = EXCEPTIONS.iter().any(|(file, module)| path == Path::new(file) && import == *module);
            if layers.get(import).is_some_and(|layer| layer < own) && !is_exempt {
                upwards.push(format!("src/{}: crate::{import}", path.display()));
            }
        }
    }
    assert!(upwards.is_empty(), "imports from a higher layer:\n{}", upwards.join("\n"));
}

#[test]
fn the_map_is_read_by_its_columns() {
    let layers =
        layers("```text\na  b                      first layer\n──── x\nc                         second\n```\n");
    assert_eq!(layers, BTreeMap::from([("a".into(), 0), ("b".into(), 0), ("c".into(), 1)]));
    assert!(
        imports("use crate::a::B; crate::b(); use crate::C;\n#[cfg(test)]\nmod tests {\nuse crate::d;").eq(["a", "b"])
    );
}

/// Builds for gateways leave `{:?}` empty: see `fmt-debug` in cross/cargo.toml.
#[test]
fn no_text_is_written_by_debug() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let writes = |file: &PathBuf| {
        let text = fs::read_to_string(file).expect("a file");
        // An assertion is for developers.
        let is_text = |line: &&str| !line.contains("assert") && !line.trim_start().starts_with("//");
        without_tests(&text).lines().filter(is_text).any(|line| line.contains(":?}") || line.contains("#?}"))
    };
    files.retain(writes);
    assert!(files.is_empty(), "`Quoted` writes the same text: {files:?}");
}
