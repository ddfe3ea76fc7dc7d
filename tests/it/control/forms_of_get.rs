//! The forms in which `get` prints values, and `set -`, which reads them.

use std::fs::{self, File};
use std::process::Output;

use super::*;

/// Runs `set -` with this standard input.
fn set_from(agent: &Agent, input: &str) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("input");
    fs::write(&file, input).expect("written");
    agent.command_with_input(&["set", "-"], File::open(&file).expect("the input").into())
}

/// What `get` prints as lines and as JSON, `set -` sets again. `--value` prints a value as it is.
fn set_reads_the_output_of_get(model: &'static Model) {
    let (code, interval, password) = (model.at(CODE), model.at(INTERVAL), model.at(PASSWORD));
    let agent = lonely_agent(model);
    let odd = "a\\b \"c\" = ü\td";
    for form in [&["get"][..], &["get", "--json"]] {
        agent.succeeds(&["set", &format!("{code}={odd}"), &format!("{interval}=77"), &format!("{password}=hunter2")]);
        let saved = agent.succeeds(&[form, &[code, interval, "--secret", password]].concat());
        agent.succeeds(&["set", &format!("{code}="), &format!("{interval}=60"), &format!("{password}=other")]);
        let output = set_from(&agent, &saved);
        assert!(output.status.success(), "{}", reason(&output));
        assert_eq!(agent.succeeds(&["get", "--value", code]), format!("{odd}\n"));
        assert_eq!(agent.succeeds(&["get", "--value", interval]), "77\n");
        assert_eq!(agent.succeeds(&["get", "--value", "--secret", password]), "hunter2\n");
        assert_eq!(agent.succeeds(&["get", "--value", password]), "\n");
        // Without `--secret` the password is empty there, and stays.
        let saved = agent.succeeds(&[form, &[code, password]].concat());
        let output = set_from(&agent, &saved);
        assert!(output.status.success(), "{}", reason(&output));
        assert_eq!(agent.succeeds(&["get", "--value", "--secret", password]), "hunter2\n");
        agent.succeeds(&["set", &format!("{password}=")]);
        assert_eq!(agent.succeeds(&["get", "--value", "--secret", password]), "\n");
    }
    assert!(!agent.log().contains("hunter2"));
}
both_models!(set_reads_the_output_of_get);

/// Wrong input changes nothing and is named without its values, which may be passwords.
fn wrong_input_of_set_is_told(model: &'static Model) {
    let (code, password) = (model.at(CODE), model.at(PASSWORD));
    let agent = lonely_agent(model);
    for (input, message) in [
        (
            format!("{code}=new\n{password}=hunter2\\x\n"),
            format!("{password}: a backslash is followed by no escape of get"),
        ),
        (format!("{{\"{code}\": \"new\", \"{password}\": \"hunter2"), "standard input is not JSON: line 1".into()),
        (String::new(), "standard input has no PATH=VALUE".into()),
    ] {
        let output = set_from(&agent, &input);
        assert_eq!(output.status.code(), Some(64), "{input}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(&message) && !told.contains("hunter2"), "{told}");
    }
    assert_eq!(agent.succeeds(&["get", "--value", code]), "\n");
    let two = fails(&agent, &["get", "--value", model.at("DeviceInfo.")]);
    assert!(two.starts_with("--value needs one parameter, and the paths name "), "{two}");
}
both_models!(wrong_input_of_set_is_told);
