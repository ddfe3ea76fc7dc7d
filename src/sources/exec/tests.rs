use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::model::source::{Row, Watching};

/// Asks programs of these scripts, each with a limit in seconds.
fn ask(scripts: &[(&str, u32)], input: &str, seconds: u64) -> Vec<Result<Answer, String>> {
    let directory = tempfile::tempdir().expect("a directory");
    let queries: Vec<Query> = scripts
        .iter()
        .enumerate()
        .map(|(number, (script, limit))| {
            let path = directory.path().join(number.to_string());
            write_program(&path, script);
            let command = vec![path.to_str().expect("a path").to_owned(), "get".to_owned()];
            Query {
                target: Target::Exec { command, input: input.to_owned() },
                limit: *limit,
                age: 0,
                watching: Watching::default(),
            }
        })
        .collect();
    let clock = Clock::new();
    let mut programs = Programs::start(&queries, clock, clock.now().monotonic + Duration::from_secs(seconds));
    let mut answers = programs.finish(&AtomicBool::new(false));
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, response)| response.answer).collect()
}

fn write_program(path: &Path, script: &str) {
    // A shell reads the script: a program that another thread still has open for writing cannot be executed.
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// Asks one program; a program file that is briefly open in a child of another test is tried again.
fn answer(script: &str, input: &str) -> Result<Answer, String> {
    loop {
        let answer = ask(&[(script, 5)], input, 10).remove(0);
        match answer {
            Err(reason) if reason.contains("Text file busy") => continue,
            answer => return answer,
        }
    }
}

fn fields(answer: Result<Answer, String>) -> Vec<Row> {
    match answer {
        Ok(Answer::Rows(rows)) => rows,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_program_reads_fields_and_writes_values() {
    let rows = fields(answer("while read -r f; do printf '%s\\t%s\\n' \"$f\" \"<$f>\"; done", "mode\ncolor\n"));
    assert_eq!((rows[0].get("mode"), rows[0].get("color")), (Some("<mode>"), Some("<color>")));
}

#[test]
fn a_long_exchange_needs_no_order() {
    // More than both pipes hold: the agent must write and read by turns.
    let input: String = (0..20_000).map(|number| format!("f{number}\n")).collect();
    let rows = fields(answer("while read -r f; do printf '%s\\t1\\n' \"$f\"; done", &input));
    assert_eq!(rows[0].fields().len(), 20_000);
}

#[test]
fn a_program_has_a_clean_environment() {
    let rows = fields(answer(
        "printf 'dir\\t%s\\n' \"$(pwd)\"; printf 'env\\t%s\\n' \"$(env | cut -d= -f1 | sort | tr '\\n' ' ')\"",
        "",
    ));
    assert_eq!(rows[0].get("dir"), Some("/"));
    // `_` and PWD are the shell's own.
    let names: Vec<&str> = rows[0].get("env").unwrap_or_default().split(' ').filter(|n| !n.is_empty()).collect();
    assert!(names.iter().all(|name| ["LC_ALL", "PATH", "PWD", "SHLVL", "_"].contains(name)), "{names:?}");
}

#[test]
fn each_failure_has_its_reason() {
    for (script, reason) in [
        ("exit 3", "exit status 3"),
        ("echo 'no chip' >&2; exit 1", "exit status 1: no chip"),
        ("exit 77", "it refuses"),
        ("kill -9 $$", "ended by signal 9"),
        ("printf 'mode\\tO'", "ends within a line"),
        ("yes", "more than 256 KiB of output"),
        ("echo 'a\tb\tc\td'", "4 columns"),
    ] {
        let answer = answer(script, "mode\n");
        assert!(answer.as_ref().is_err_and(|text| text.contains(reason)), "{script}: {answer:?}");
    }
    // No answer at all is one without fields.
    assert_eq!(answer("exit 0", "mode\n"), Ok(Answer::Rows(Vec::new())));
}

#[test]
fn a_program_that_hangs_is_killed_and_delays_no_other() {
    let clock = Clock::new();
    let began = clock.now().monotonic;
    let answers = loop {
        let answers = ask(&[("sleep 60", 1), ("printf 'a\\t1\\n'", 1), ("cat >/dev/null; sleep 60", 1)], "a\n", 10);
        if !answers.iter().any(|answer| answer.as_ref().is_err_and(|reason| reason.contains("Text file busy"))) {
            break answers;
        }
    };
    assert!(answers[0].as_ref().is_err_and(|reason| reason.contains("hangs")), "{answers:?}");
    assert!(answers[1].is_ok() && answers[2].is_err(), "{answers:?}");
    assert!(clock.now().monotonic - began < Duration::from_secs(20), "both limits run at the same time");
}

#[test]
fn a_child_that_keeps_the_pipe_does_not_delay() {
    let clock = Clock::new();
    let began = clock.now().monotonic;
    let rows = fields(answer("sleep 60 & printf 'a\\t1\\n'", ""));
    assert_eq!(rows[0].get("a"), Some("1"));
    assert!(clock.now().monotonic - began < Duration::from_secs(4));
}

#[test]
fn more_programs_than_run_at_once_all_answer() {
    let scripts = vec![("printf 'a\\t1\\n'", 5); MAX_RUNNING * 3];
    let answers = ask(&scripts, "", 20);
    assert_eq!(answers.len(), scripts.len());
}

#[test]
fn a_program_that_others_can_write_does_not_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("program");
    write_program(&path, "exit 0");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o775)).expect("a mode");
    let refused = start(&[path.to_str().expect("a path").to_owned()]);
    assert!(refused.is_err_and(|reason| reason.contains("written by its group")));
    assert!(start(&["/nonexistent/program".to_owned()]).is_err());
}
