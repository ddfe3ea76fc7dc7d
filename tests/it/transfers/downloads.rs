//! Download: transfer, action, report; and the failures of each.

use std::time::Duration;

use super::gateway::*;
use crate::support::mount::with_mounts;
use crate::support::port::closed_address;
use crate::support::stopwatch::Stopwatch;
use crate::support::{FileServer, FileServerOptions, FileSpec, Mount, download, get_rpc_methods, pattern, upload};

fn config_action() -> String {
    format!("\"download\": {{ \"{CONFIG}\": {{ {} }} }}", keeps_its_file())
}

/// R227, R230, R231, R234, R238 to R240: a file is downloaded, applied and reported.
#[test]
fn a_file_is_downloaded_applied_and_told() {
    let files = FileServer::start(FileServerOptions::new().digest("cpe", "s3cret"));
    files.serves("/a@b%20c", FileSpec::sized(300_000).chunked());
    let gateway = TransferGateway::with(files, &config_action(), |builder, _| builder);
    let url = gateway.files.url("/a@b%20c");
    let rpc = download(CONFIG, &url).with("CommandKey", "k <&>").with("Username", "cpe").with("Password", "s3cret");
    gateway.ask(&[get_rpc_methods(), rpc.with("FileSize", 5)]); // R235: a wrong size is no failure
    let report = gateway.acs.expect_request(&["7 TRANSFER COMPLETE", "M Download/k <&>"]);
    assert_eq!(report.argument("CommandKey"), Some("k <&>"));
    let fault = report.fault.as_ref().expect("a FaultStruct");
    assert_eq!((fault.code, fault.text.as_str()), (0, "")); // R238
    for name in ["StartTime", "CompleteTime"] {
        let time = report.argument(name).expect(name);
        assert!(time.ends_with('Z') && time > "2024", "{name} {time}"); // R238: in UTC
    }
    assert_eq!(gateway.content("applied"), pattern(300_000));
    assert_eq!((gateway.traces("applies"), gateway.left_behind()), (vec!["key=k <&>".to_owned()], 0));
    gateway.acs.expect_no_session(QUIET);
    assert_eq!(gateway.status()["transfers"].as_array().map(Vec::len), Some(0));
}

/// R5: GetRPCMethods lists a method if the data model has its action.
#[test]
fn methods_follow_the_actions() {
    let of = |actions: &str| {
        let gateway = TransferGateway::new(actions);
        gateway.agent.succeeds(&["inform"]);
        gateway.acs.expect_session(&["2 PERIODIC"], |_, session| {
            let methods = session.call(&get_rpc_methods()).expect("methods").methods;
            let transfers = ["Download", "Upload", "ScheduleDownload", "GetQueuedTransfers", "CancelTransfer"];
            let refused = session.call(&download(CONFIG, "http://h/")).expect("an answer").is_fault();
            assert_eq!(refused, !methods.contains(&"Download".to_owned())); // R4
            transfers.map(|name| u8::from(methods.contains(&name.to_owned())))
        })
    };
    assert_eq!(of("\"reboot\": [\"true\"]"), [0, 0, 0, 0, 0]);
    assert_eq!(of(&config_action()), [1, 0, 1, 1, 1]); // R2
    assert_eq!(of(&format!("\"upload\": {{ \"2 Vendor Log File\": {{ {} }} }}", shell("true"))), [0, 1, 0, 1, 1]);
}

/// R232, R238: each failure is reported once, with its code and a text.
#[test]
fn failures_are_told_by_their_codes() {
    let files = FileServer::start(FileServerOptions::new());
    files.serves("/file", FileSpec::sized(1000));
    files.serves("/missing", FileSpec::status(404));
    let actions = format!(
        "\"download\": {{ \"X 0 exit\": {{ {} }}, \"X 0 refuse\": {{ {} }}, \"X 0 hang\": {{ {}, \"timeLimit\": 1 }}, \
         \"X 0 absent\": {{ \"run\": [\"/nonexistent/program\"] }}, \"X 0 good\": {{ {} }} }}",
        shell("echo ran >> ran; exit 3"),
        shell("exit 77"),
        shell("sleep 60"),
        shell("true"),
    );
    let gateway = TransferGateway::with(files, &actions, |builder, _| builder);
    let nobody = closed_address();
    let (file, missing) = (gateway.files.url("/file"), gateway.files.url("/missing"));
    for (file_type, url, code, words) in [
        ("X 0 exit", file.as_str(), 9018, "exit status 3"),
        ("X 0 refuse", &file, 9001, "exit status 77"),
        ("X 0 hang", &file, 9002, "longer than 1 s"),
        ("X 0 absent", &file, 9002, "could not be started"),
        ("X 0 good", &missing, 9016, "404"),
        ("X 0 good", &format!("http://{nobody}/f"), 9015, "no connection"),
    ] {
        gateway.ask(&[download(file_type, url).with("CommandKey", "k")]);
        let report = gateway.ends_with(code);
        let text = report.fault.as_ref().expect("a fault").text.clone();
        assert!(text.contains(words), "{file_type}: {text}");
        assert_eq!(report.argument("CompleteTime"), Some(UNKNOWN_TIME));
    }
    gateway.acs.expect_no_session(QUIET);
    assert_eq!((gateway.traces("ran").len(), gateway.left_behind()), (1, 0)); // R232
}

/// The transfer directory can be configured; a full disk there fails the download.
#[test]
fn a_disk_that_is_full() {
    let place = tempfile::tempdir().expect("a directory");
    let Some(_mount) = Mount::at(place.path().join("ram"), "size=1m,mode=700") else { return };
    let files = FileServer::start(FileServerOptions::new());
    files.serves("/large", FileSpec::sized(4_000_000).chunked());
    files.serves("/small", FileSpec::sized(100_000));
    let ram = place.path().join("ram");
    let gateway = TransferGateway::with(files, &config_action(), |builder, _| {
        builder.args(&["--transfer-dir".as_ref(), ram.as_os_str()])
    });
    for (path, code) in [("/large", 9010), ("/small", 0)] {
        gateway.ask(&[download(CONFIG, &gateway.files.url(path)).with("CommandKey", "k")]);
        gateway.ends_with(code);
    }
    // The reserve shows that the disk becomes full, before a write fails.
    gateway.agent.wait_for_log("the file does not fit on the device", Duration::from_secs(1));
    assert!(gateway.traces("applies").len() == 1 && !gateway.agent.state_dir().join("transfers").exists());
}

/// A RAM disk larger than the memory that is available: the file is refused before a byte of it is fetched.
#[test]
fn a_file_that_memory_cannot_hold() {
    let place = tempfile::tempdir().expect("a directory");
    let ram = place.path().join("ram");
    let Some(_mount) = Mount::at(ram.clone(), "size=23m,mode=700") else { return };
    let meminfo = place.path().join("meminfo");
    std::fs::write(&meminfo, "MemTotal: 27000 kB\nMemFree: 900 kB\nMemAvailable: 7900 kB\n").expect("a file");
    let files = FileServer::start(FileServerOptions::new());
    files.serves("/large", FileSpec::sized(12_000_000));
    files.serves("/small", FileSpec::sized(4_000_000));
    let mut may_mount = true;
    let gateway = TransferGateway::with(files, &config_action(), |builder, _| {
        let builder = builder.args(&["--transfer-dir".as_ref(), ram.as_os_str()]);
        let mounted = with_mounts(builder.clone(), &[(&meminfo, "/proc/meminfo")]);
        may_mount = mounted.is_some();
        mounted.unwrap_or(builder)
    });
    if !may_mount {
        return;
    }
    gateway.ask(&[download(CONFIG, &gateway.files.url("/large")).with("CommandKey", "k")]);
    let text = gateway.ends_with(9010).fault.expect("a fault").text;
    let reason = "12000000 bytes are to come, 8089600 are free of memory, in which the transfer directory lies, and 2097152 \
                  of them stay reserved";
    assert!(text.ends_with(reason), "{text}");
    gateway.ask(&[download(CONFIG, &gateway.files.url("/small")).with("CommandKey", "k")]);
    gateway.ends_with(0);
}

/// The checksum and the signature are verified before the action runs.
#[test]
fn a_file_that_is_not_what_it_should_be() {
    let files = FileServer::start(FileServerOptions::new());
    files.serves("/good", FileSpec::file(*b"abc"));
    files.serves(
        "/good.sha256",
        FileSpec::file(*b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  good\n"),
    );
    files.serves("/bad", FileSpec::file(*b"abd"));
    files.serves(
        "/bad.sha256",
        FileSpec::file(*b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  bad\n"),
    );
    let actions = format!(
        "\"download\": {{ \"X 0 sum\": {{ {0}, \"sha256\": true }}, \
         \"X 0 signed\": {{ {0}, \"ed25519\": \"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\" }}, \
         \"X 0 key\": {{ {0}, \"ed25519\": \"/nonexistent/key\" }} }}",
        keeps_its_file()
    );
    let gateway = TransferGateway::with(files, &actions, |builder, _| builder);
    for (file_type, path, code) in
        [("X 0 sum", "/bad", 9019), ("X 0 signed", "/good", 9019), ("X 0 key", "/good", 9019), ("X 0 sum", "/good", 0)]
    {
        gateway.ask(&[download(file_type, &gateway.files.url(path)).with("CommandKey", "k")]);
        gateway.ends_with(code);
    }
    assert_eq!((gateway.traces("applies").len(), gateway.left_behind()), (1, 0));
}

/// R234: a delayed download starts at its time, even if the agent is killed meanwhile; the journal has whole seconds.
#[test]
fn a_delay_outlives_the_agent() {
    let mut gateway = TransferGateway::new(&config_action());
    gateway.files.serves("/f", FileSpec::sized(100));
    let rpc = download(CONFIG, &gateway.files.url("/f")).with("CommandKey", "k").with("DelaySeconds", 2);
    gateway.ask(&[rpc]);
    let asked = std::time::Instant::now();
    gateway.agent.crash_and_restart();
    gateway.ends_with(0);
    assert!(asked.elapsed() > Duration::from_secs(1), "{:?}", asked.elapsed());
    gateway.acs.expect_no_session(QUIET);
    assert_eq!(gateway.traces("applies").len(), 1);
}

/// R239: TransferComplete is repeated over faults, lost connections and restarts until its response.
#[test]
fn a_report_is_repeated_until_it_is_confirmed() {
    let mut gateway = TransferGateway::new(&config_action());
    gateway.files.serves("/f", FileSpec::sized(100));
    gateway.ask(&[download(CONFIG, &gateway.files.url("/f")).with("CommandKey", "k")]);
    let mut reports = Vec::new();
    for round in 0..4 {
        let mut session = gateway.acs.accept(SOON).expect("a session");
        let inform = session.recv().expect("an Inform");
        assert!(inform.sorted_events().contains(&"M Download/k".to_owned()), "{}", inform.xml);
        session.confirm_inform();
        let report = session.recv().expect("a report");
        assert_eq!(report.method, "TransferComplete");
        reports.push((
            report.argument("StartTime").map(str::to_owned),
            report.argument("CompleteTime").map(str::to_owned),
        ));
        match round {
            0 => drop(session), // lost
            1 => {
                session.refuse(&report, 8002); // R121
                assert!(session.recv().expect("the empty POST").method.is_empty());
                session.end_session();
                gateway.agent.kill9();
                gateway.acs.clear();
                gateway.agent.restart();
            }
            2 => {
                session.refuse(&report, 8005); // R120
                assert_eq!(session.recv().expect("the same again").xml, report.xml);
                gateway.agent.kill9();
                gateway.acs.clear();
                gateway.agent.reboot();
            }
            _ => {
                session.respond(&report);
                assert!(session.recv().expect("the empty POST").method.is_empty());
                session.end_session();
            }
        }
    }
    reports.dedup();
    assert_eq!(reports.len(), 1);
    gateway.acs.expect_no_session(QUIET);
    gateway.agent.crash_and_restart();
    gateway.acs.expect_no_session(QUIET);
    assert_eq!(gateway.traces("applies").len(), 1);
}

/// An agent that stops waits a moment for the end of the action; the next agent reports its result.
#[test]
fn a_stop_while_a_file_is_applied() {
    let script = "echo began >> began; sleep 0.5; echo done >> applies";
    let mut gateway = TransferGateway::new(&format!("\"download\": {{ \"{CONFIG}\": {{ {} }} }}", shell(script)));
    gateway.files.serves("/f", FileSpec::sized(100));
    gateway.ask(&[download(CONFIG, &gateway.files.url("/f")).with("CommandKey", "k")]);
    gateway.waits_for_trace("began");
    gateway.agent.restart();
    gateway.ends_with(0);
    gateway.acs.expect_no_session(QUIET);
    assert_eq!(gateway.traces("applies").len(), 1);
}

/// SIGTERM takes less than a second while an action runs that goes on after the agent.
#[test]
fn a_stop_does_not_wait_for_a_long_action() {
    // The harness waits for the end of the log, which the action would keep open.
    let script = "exec 2> /dev/null; echo began >> began; sleep 4";
    let mut gateway = TransferGateway::new(&format!("\"download\": {{ \"{CONFIG}\": {{ {} }} }}", shell(script)));
    gateway.files.serves("/f", FileSpec::sized(100));
    gateway.ask(&[download(CONFIG, &gateway.files.url("/f")).with("CommandKey", "k")]);
    gateway.waits_for_trace("began");
    let began = Stopwatch::start();
    assert!(gateway.agent.terminate().success());
    assert!(began.is_within(Duration::from_secs(1)), "{:?}", began.elapsed());
}

/// An action that applies a file goes on after the agent, also beyond its time limit. The next agent waits for its end, and
/// has no result.
#[test]
fn an_action_that_outlives_the_agent() {
    let script = "exec 2> /dev/null; echo began >> began; sleep 7; echo done >> applies";
    let action = format!("{}, \"timeLimit\": 5", shell(script));
    let mut gateway = TransferGateway::new(&format!("\"download\": {{ \"{CONFIG}\": {{ {action} }} }}"));
    gateway.files.serves("/f", FileSpec::sized(100));
    gateway.ask(&[download(CONFIG, &gateway.files.url("/f")).with("CommandKey", "k")]);
    gateway.waits_for_trace("began");
    gateway.agent.restart();
    gateway.agent.wait_for_log("an action started before the agent restarted is still running", SOON);
    let report = gateway.ends_with(9002);
    assert!(report.xml.contains("the agent was restarted while the file was being applied"), "{}", report.xml);
    gateway.waits_for_trace("applies");
    assert_eq!(gateway.traces("began").len(), 1);
    until("the end of the action", || gateway.left_behind() == 0);
}

/// An action receives PATH and TZ, and a CommandKey that no program takes for an option.
#[test]
fn the_environment_and_the_key_of_an_action() {
    let script = "env > variables; printf '%s|' \"$0\" \"$@\" > arguments; : > done";
    let run = format!("{}, \"{{commandKey}}\", \"--key={{commandKey}}\"]", shell(script).trim_end_matches(']'));
    let actions = format!("\"download\": {{ \"{CONFIG}\": {{ {run} }} }}");
    let gateway = TransferGateway::with(FileServer::start(FileServerOptions::new()), &actions, |builder, _| {
        builder.env("LD_SECRET", "x").env("TZ", "UTC0")
    });
    gateway.files.serves("/f", FileSpec::sized(100));
    gateway.ask(&[download(CONFIG, &gateway.files.url("/f")).with("CommandKey", "--force")]);
    gateway.acs.expect_request(&["7 TRANSFER COMPLETE", "M Download/--force"]);
    let variables = String::from_utf8(gateway.content("variables")).expect("text");
    let names: Vec<_> = variables.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert!(names.contains(&"PATH") && names.contains(&"TZ"), "{variables}");
    let of_the_shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    assert!(names.iter().all(|name| ["PATH", "TZ"].contains(name) || of_the_shell.contains(name)), "{variables}");
    assert_eq!(gateway.content("arguments"), b" --force|--key=--force|");
}

/// A link in the place of the transfer directory: nothing behind it is removed, not even a file that has the name of a
/// transfer's file, and no file is written there.
#[test]
fn a_link_in_place_of_the_directory() {
    let log = "2 Vendor Log File";
    let actions = format!("{}, \"upload\": {{ \"{log}\": {{ {} }} }}", config_action(), shell("echo log > {file}"));
    let names = ["1", "2", "3", "4", "mark", "file"];
    let gateway = TransferGateway::with(FileServer::start(FileServerOptions::new()), &actions, |builder, place| {
        let place = std::path::Path::new(place);
        std::fs::create_dir(place.join("precious")).expect("a directory");
        for name in names {
            std::fs::write(place.join("precious").join(name), "text").expect("a file");
        }
        std::fs::create_dir(place.join("ram")).expect("a directory");
        std::os::unix::fs::symlink(place.join("precious"), place.join("ram/transfers")).expect("a link");
        builder.args(&["--transfer-dir".as_ref(), place.join("ram").as_os_str()])
    });
    gateway.files.serves("/f", FileSpec::sized(100));
    gateway.ask(&[download(CONFIG, &gateway.files.url("/f")).with("CommandKey", "k")]);
    gateway.ends_with(9010);
    gateway.ask(&[upload(log, &gateway.files.url("/log")).with("CommandKey", "k")]);
    let report = gateway.acs.expect_request(&["7 TRANSFER COMPLETE", "M Upload/k"]);
    assert_eq!(code_of(&report), 9011, "{}", report.xml);
    assert_eq!(std::fs::read_dir(gateway.place.path().join("precious")).expect("a directory").count(), names.len());
    for name in names {
        assert_eq!(gateway.content(&format!("precious/{name}")), b"text");
    }
}
