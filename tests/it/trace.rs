//! `cpe-agent trace` and `cpe-agent replay`: a recorded session holds no secret, and plays back without a difference.
#![cfg(feature = "replay")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::gateway::{PASSWORD, PERIODIC, SOON, USERNAME, VALUE_CHANGE, gateway, model_file};
use crate::support::agent::program;
use crate::support::port::closed_address;
use crate::support::{
    Acs, AcsOptions, Agent, add_object, download, drop_connection, empty_post, garbage, get_parameter_names,
    get_parameter_values, get_rpc_methods, inform, inform_response, set_parameter_values, status,
};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cpe-agent");
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const CONNECTION_PASSWORD: &str = "Device.ManagementServer.ConnectionRequestPassword";

/// A recording in progress.
struct Recording {
    command: Child,
    stderr: BufReader<std::process::ChildStderr>,
    directory: TempDir,
}

impl Recording {
    /// Starts a recording, and waits until the agent has accepted it.
    fn start(agent: &Agent, options: &[&str]) -> Recording {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("trace").display().to_string();
        Recording::into(agent, &[&[file.as_str()], options].concat(), directory)
    }

    fn into(agent: &Agent, words: &[&str], directory: TempDir) -> Recording {
        let mut command = Command::new(program(PROGRAM));
        command.arg("trace").arg("--control").arg(agent.control()).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut command = command.spawn().expect("the command starts");
        let stderr = BufReader::new(command.stderr.take().expect("a pipe"));
        let mut recording = Recording { command, stderr, directory };
        let line = recording.line();
        assert!(line.contains("are recorded"), "{line}");
        recording
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("a line");
        line
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("trace")
    }

    /// Waits until the file has a text this many times.
    fn wait_for(&self, text: &str, times: usize) {
        let deadline = std::time::Instant::now() + SOON;
        let seen = || fs::read_to_string(self.file()).unwrap_or_default().matches(text).count();
        while seen() < times {
            assert!(std::time::Instant::now() < deadline, "{text} did not come {times} times");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Ends the recording by a signal, and returns the text of the file.
    fn stop(&mut self) -> String {
        let kill = Command::new("kill").args(["-TERM", &self.command.id().to_string()]).status();
        assert!(kill.expect("kill starts").success());
        let line = self.line();
        assert!(line.contains("has ended"), "{line}");
        assert!(self.command.wait().expect("it ends").success());
        fs::read_to_string(self.file()).expect("the file")
    }
}

/// Runs the replay on this machine, also if the agent under test is one of a gateway, which lacks the command.
fn replay(file: &Path, options: &[&str]) -> Output {
    Command::new(PROGRAM).arg("replay").arg(file).args(options).output().expect("it starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Replays a text, which must end with this status. Returns what the developer reads.
fn replayed(trace: &str, status: i32) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("trace");
    fs::write(&file, trace).expect("a file");
    let output = replay(&file, &[]);
    assert_eq!(output.status.code(), Some(status), "{}\n{trace}", text(&output));
    text(&output)
}

fn start_session(agent: &Agent) {
    agent.succeeds(&["inform"]);
}

/// Records all that may hold a secret, and replays it.
#[test]
fn a_trace_holds_no_secret_and_replays_without_a_difference() {
    let options = AcsOptions::new().digest(USERNAME, PASSWORD).cookie("sid", "Path=/; HttpOnly");
    let mut acs = Acs::start(options);
    let actions = tempfile::tempdir().expect("a directory");
    let overlay = actions.path().join("actions.json");
    fs::write(&overlay, r#"{"actions":{"download":{"1 Firmware Upgrade Image":{"run":["true"]}}}}"#).expect("a file");
    let agent = gateway(&acs).data_model(&overlay).start();
    acs.enqueue(set_parameter_values(
        &[(CODE, "xsd:string", "before"), (CONNECTION_PASSWORD, "xsd:string", "hunter1")],
        "",
    ));
    acs.session(SOON).expect_complete();

    let mut recording = Recording::start(&agent, &[]);
    let url = format!("http://{}/image?key=hunter3", closed_address());
    acs.enqueue(get_rpc_methods());
    acs.enqueue(set_parameter_values(
        &[
            (CONNECTION_PASSWORD, "xsd:string", "hunter4"),
            ("Device.ManagementServer.STUNPassword", "xsd:string", "hunter5"),
            (CODE, "xsd:string", "A&B <1>"),
        ],
        "key",
    ));
    acs.enqueue(get_parameter_values(&["Device.ManagementServer.", CODE]));
    acs.enqueue(get_parameter_names("Device.DeviceInfo.", true));
    acs.enqueue(add_object("Device.NAT.PortMapping.", ""));
    acs.enqueue(download("1 Firmware Upgrade Image", &url).without("Password").with("Password", "hunter6"));
    start_session(&agent);
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.events(), [PERIODIC]);
    // The download fails, and another session reports it.
    acs.session(SOON).expect_complete();
    // A change at the device is in no session of the ACS, and yet in the next Inform.
    agent.succeeds(&["set", &format!("{CODE}=local")]);
    assert_eq!(acs.session(SOON).expect_complete().events(), [VALUE_CHANGE]);
    recording.wait_for("\nend ", 3);
    let trace = recording.stop();

    assert_eq!(fs::metadata(recording.file()).expect("a file").permissions().mode() & 0o777, 0o600);
    for secret in ["hunter", PASSWORD, "response=", "cnonce", "uri="] {
        assert!(!trace.contains(secret), "{secret} is in\n{trace}");
    }
    let cookies: Vec<&str> = trace.lines().filter(|line| line.contains("sid=")).collect();
    assert!(!cookies.is_empty() && cookies.iter().all(|line| line.contains("sid=********")), "{cookies:?}");
    for part in [
        "cpe-agent trace 1\n",
        "  > authorization: Digest ********\n",
        "\n< +",
        " 401\n",
        "nonce=\"********\"",
        &format!("stored [\"=\",\"{CODE}\",\"before\"]\n"),
        "<Name>Device.ManagementServer.ConnectionRequestPassword</Name>\n",
        ">********</Value>\n",
        "<Password>********</Password>\n",
        "/image?********</URL>",
        ">A&amp;B &lt;1&gt;</Value>",
        "\nend +",
    ] {
        assert!(trace.contains(part), "{part} is not in\n{trace}");
    }

    let shown = replayed(&trace, 0);
    assert!(shown.ends_with("no difference\n"), "{shown}");
    assert!(shown.contains("in 3 sessions") && shown.contains("note: ") && shown.contains("`local`"), "{shown}");

    // Another answer in the file is another agent.
    let other = trace.replacen(">86400</Value>", ">86401</Value>", 1);
    assert_ne!(other, trace);
    let shown = replayed(&other, 1);
    assert!(shown.contains(": GetParameterValuesResponse\n"), "{shown}");
    let lines = [
        "      <Name>Device.ManagementServer.PeriodicInformInterval</Name>\n",
        "    - <Value xsi:type=\"xsd:unsignedInt\">86401</Value>\n",
        "    + <Value xsi:type=\"xsd:unsignedInt\">86400</Value>\n",
    ];
    assert!(shown.contains(&lines.concat()), "{shown}");
    assert!(shown.contains(": 1 difference;"), "{shown}");
    let shown = replayed(&trace.replacen(" ok\n", " failed: out of order\n", 1), 1);
    assert!(shown.contains("- failed: out of order\n    + ok\n"), "{shown}");

    // An existing file is not overwritten.
    let existing = recording.file().display().to_string();
    let refused = agent.command(&["trace", &existing]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("the file exists"), "{}", text(&refused));
    assert_eq!(fs::read_to_string(recording.file()).expect("the file"), trace);
}

/// Sessions that fail are recorded and replayed as well: without a response, with a status, with a text that is no XML.
#[test]
fn sessions_that_fail() {
    let mut acs = Acs::start(AcsOptions::new());
    let agent = gateway(&acs).start();
    acs.session(SOON).expect_complete();
    let mut recording = Recording::start(&agent, &[]);
    for reply in [status(503), garbage(b"Warning: hunter2"), status(200).body(b"<a>hunter2</a>")] {
        acs.expects(inform()).replies(reply);
        start_session(&agent);
        acs.session(SOON);
    }
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(drop_connection());
    start_session(&agent);
    acs.session(SOON);
    recording.wait_for("\nend ", 4);
    let trace = recording.stop();
    assert!(!trace.contains("hunter"), "{trace}");
    assert!(trace.contains(" failed: "), "{trace}");
    let shown = replayed(&trace, 0);
    assert!(shown.contains("in 4 sessions: no difference"), "{shown}");
    acs.take_violations();
    acs.take_failures();
}

/// A reader that does not read loses messages, with a note; the sessions do not wait for it.
#[test]
fn a_slow_reader_loses_messages() {
    let mut acs = Acs::start(AcsOptions::new());
    let agent = gateway(&acs).start();
    acs.session(SOON).expect_complete();
    let directory = tempfile::tempdir().expect("a directory");
    let mut recording = Recording::into(&agent, &["-", "size=100000000"], directory);
    for _ in 0..40 {
        acs.enqueue(get_parameter_values(&["Device."]));
    }
    start_session(&agent);
    acs.session(SOON * 2).expect_complete(); // A busy machine takes a second for each answer.
    let mut stdout = recording.command.stdout.take().expect("a pipe");
    let mut seen = Vec::new();
    let mut piece = [0; 1 << 16];
    // The note comes with the first entry behind the loss.
    while !String::from_utf8_lossy(&seen).contains("\nlost ") {
        let length = stdout.read(&mut piece).expect("the output");
        assert!(length > 0, "no note of a loss");
        seen.extend_from_slice(&piece[..length]);
        start_session(&agent);
    }
    let trace = String::from_utf8_lossy(&seen).into_owned();
    let end = trace.rfind("\nlost ").expect("a note");
    let shown = replayed(&format!("{}\nlost 1\n", &trace[..end]), 1);
    assert!(shown.contains("not replayed: "), "{shown}");
    recording.command.kill().expect("it runs");
    recording.command.wait().expect("it ends");
}

/// One recording runs at a time. It ends at its size limit, with its client, or with the agent.
#[test]
fn recordings_end() {
    let mut acs = Acs::start(AcsOptions::new());
    let mut agent = gateway(&acs).start();
    acs.session(SOON).expect_complete();
    let mut first = Recording::start(&agent, &["size=3000"]);
    let other = first.directory.path().join("other").display().to_string();
    let refused = agent.command(&["trace", &other]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("another trace is being recorded"), "{}", text(&refused));
    assert!(!Path::new(&other).exists());
    for _ in 0..3 {
        start_session(&agent);
        acs.session(SOON).expect_complete();
    }
    let line = first.line();
    assert!(line.contains("limit of 3000 bytes"), "{line}");
    assert!(first.command.wait().expect("it ends").success());
    assert!(fs::metadata(first.file()).expect("the file").len() <= 3000);
    // The messages of the last session are not all there, which is no error of the file.
    assert!(replay(&first.file(), &[]).status.code().is_some_and(|status| status < 2));

    let mut second = Recording::start(&agent, &[]);
    agent.terminate();
    let line = second.line();
    assert!(line.contains("ended with the agent"), "{line}");
    assert!(second.command.wait().expect("it ends").success());
    let refused = agent.command(&["trace", &other]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("the agent is not running"), "{}", text(&refused));
}

/// A replay has no effect: it reboots nothing, resets nothing, downloads nothing and contacts no ACS.
#[test]
fn a_replay_has_no_effect() {
    let mut acs = Acs::start(AcsOptions::new());
    let directory = tempfile::tempdir().expect("a directory");
    let proof = directory.path().join("proof").display().to_string();
    let overlay = directory.path().join("actions.json");
    let command = format!(r#"["touch","{proof}"]"#);
    fs::write(&overlay, format!(r#"{{"actions":{{"reboot":{command},"factoryReset":{command}}}}}"#)).expect("a file");
    let agent = gateway(&acs).data_model(&overlay).start();
    acs.session(SOON).expect_complete();
    let mut recording = Recording::start(&agent, &[]);
    acs.enqueue(get_parameter_values(&[CODE]));
    start_session(&agent);
    acs.session(SOON).expect_complete();
    recording.wait_for("\nend ", 1);
    let trace = recording.stop();
    let start = trace.find("<cwmp:GetParameterValues>").expect("the request");
    let end = trace.find("</cwmp:GetParameterValues>").expect("its end") + "</cwmp:GetParameterValues>".len();
    for request in ["<cwmp:Reboot><CommandKey>k</CommandKey></cwmp:Reboot>", "<cwmp:FactoryReset/>"] {
        let shown = replayed(&format!("{}{request}{}", &trace[..start], &trace[end..]), 1);
        let method = request.trim_start_matches("<cwmp:").split(['>', '/']).next().unwrap_or_default();
        assert!(shown.contains(&format!("+ <cwmp:{method}Response")), "{shown}");
    }
    assert!(!Path::new(&proof).exists());
    acs.quiet_for(std::time::Duration::from_millis(200));
}

#[test]
fn files_that_are_no_trace() {
    for (trace, reason) in [
        ("", "is no trace"),
        ("cpe-agent trace 2\n", "is no trace"),
        ("cpe-agent trace 1\nend +0 ok\n", "line 2: it stands before the first session"),
        ("cpe-agent trace 1\nsession a b c\n    x\n", "line 3: a message stands before the first request"),
        ("cpe-agent trace 1\nfoo\n", "line 2: `foo` is no word"),
        ("cpe-agent trace 1\nset x\n", "line 2: NAME=VALUE"),
    ] {
        let shown = replayed(trace, 1);
        assert!(shown.contains(reason), "{shown}");
    }
    let model = model_file("tr-181.json").display().to_string();
    let trace = format!("cpe-agent trace 1\nmodel {model}\nsession - - x\n> +0 POST\n    <a/>\n");
    assert!(replayed(&trace, 1).contains("its first message is no Inform"));
    assert!(replayed(&trace.replace("tr-181", "none"), 78).contains("none.json: cannot be read"));
}
