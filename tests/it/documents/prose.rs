//! The words of comments and documents: few that stand for a noun in place of the noun.

use std::fs;
use std::path::{Path, PathBuf};

use super::{documents, root};

/// Words that stand for a thing instead of naming it. A sentence that leans on them has to be read twice.
const VAGUE: [&str; 8] = ["what", "whatever", "who", "whoever", "whom", "nobody", "somebody", "anybody"];

/// The most vague words in 1,000 words.
const LIMIT: f64 = 2.0;

/// The count of a text, with the lines that have a vague word.
#[derive(Default)]
struct Count {
    words: usize,
    vague: usize,
    offenders: Vec<String>,
}

impl Count {
    fn add(&mut self, file: &Path, number: usize, line: &str) {
        let words = line.split(|c: char| !c.is_alphabetic() && c != '_').filter(|word| !word.is_empty());
        let (all, vague) = words.fold((0, 0), |(all, vague), word| {
            (all + 1, vague + usize::from(VAGUE.contains(&word.to_lowercase().as_str())))
        });
        self.words += all;
        self.vague += vague;
        if vague > 0 {
            self.offenders.push(format!("{}:{number}: {}", file.display(), line.trim()));
        }
    }

    /// Vague words in 1,000.
    fn share(&self) -> f64 {
        1000.0 * self.vague as f64 / self.words.max(1) as f64
    }

    fn check(&self) {
        assert!(self.words > 1000, "{} words: the texts are not found", self.words);
        assert!(
            self.share() <= LIMIT,
            "{:.2} vague words in 1,000, and {LIMIT} are allowed; name the thing itself in these lines:\n{}",
            self.share(),
            self.offenders.join("\n")
        );
    }
}

#[test]
fn documents_name_things_by_their_nouns() {
    let mut count = Count::default();
    for document in documents() {
        let lines = document.text.lines().enumerate();
        lines.for_each(|(number, line)| count.add(&document.path, number + 1, line));
    }
    count.check();
}

/// The comment of a line of Rust, if it has one. A `//` behind a colon or inside of a string is none.
fn comment(line: &str) -> Option<&str> {
    let starts = line.match_indices("//").map(|(at, _)| at);
    let mut starts =
        starts.filter(|at| !line[..*at].ends_with(':') && line[..*at].matches('"').count().is_multiple_of(2));
    starts.next().map(|at| line[at..].trim_start_matches('/').trim_start_matches('!'))
}

/// The lines of a file before its tests, with their numbers.
fn program(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].lines().enumerate().map(|(number, line)| (number + 1, line))
}

/// Files of the program, without the files that are tests alone.
fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if ["tests", "testing", "simulation"].contains(&name) {
            continue;
        }
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn comments_name_things_by_their_nouns() {
    let (mut files, mut count) = (Vec::new(), Count::default());
    sources(&root().join("src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("a text");
        let name = file.strip_prefix(root()).expect("a path below the root");
        for (number, line) in program(&text) {
            if let Some(comment) = comment(line) {
                count.add(name, number, comment);
            }
        }
    }
    count.check();
}

/// First words of a doc that leave its subject to the code below, and mean little in the tooltip of an editor.
const BAD_BEGINNINGS: [&str; 16] = [
    "What", "Whether", "How", "Who", "Where", "Why", "It", "Its", "None", "Those", "That", "This", "These", "They",
    "Not", "Nothing",
];

/// The first lines of the docs of a text, with their numbers.
fn docs<'t>(lines: impl Iterator<Item = (usize, &'t str)>) -> Vec<(usize, &'t str)> {
    let (mut docs, mut is_inside) = (Vec::new(), false);
    for (number, line) in lines {
        let doc = line.trim_start().strip_prefix("///").or_else(|| line.trim_start().strip_prefix("//!"));
        if let Some(first) = doc.filter(|_| !is_inside) {
            docs.push((number, first.trim()));
        }
        is_inside = doc.is_some();
    }
    docs
}

#[test]
fn docs_begin_with_their_subject_or_a_verb() {
    let (mut files, mut offenders, mut count) = (Vec::new(), Vec::new(), 0);
    sources(&root().join("src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("a text");
        for (number, doc) in docs(program(&text)) {
            count += 1;
            let first = doc.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
            if BAD_BEGINNINGS.contains(&first) || doc.starts_with("The same") {
                offenders.push(format!("{}:{number}: {doc}", file.strip_prefix(root()).unwrap_or(&file).display()));
            }
        }
    }
    assert!(count > 1000, "{count} docs: they are not found");
    assert!(offenders.is_empty(), "docs that do not begin with their subject or a verb:\n{}", offenders.join("\n"));
}

#[test]
fn comments_are_told_from_code() {
    assert_eq!(
        docs([(1, "/// A b."), (2, "/// It c."), (3, "fn d()"), (4, "    //! E")].into_iter()),
        [(1, "A b."), (4, "E")]
    );
    assert_eq!(comment("    /// The URL, as http://a/b."), Some(" The URL, as http://a/b."));
    assert_eq!(comment("let url = \"http://a\"; // R10"), Some(" R10"));
    assert_eq!(comment("let path = \"//a\";"), None);
    assert_eq!(program("//! One\n#[cfg(test)]\nmod tests {\n// Two\n}").count(), 1);
    let mut count = Count::default();
    count.add(Path::new("a"), 1, "What stands here? Somewhat nobody's.");
    assert_eq!((count.words, count.vague), (6, 2));
}
