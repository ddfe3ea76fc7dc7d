//! Download: moved, applied, told; and what can go wrong.

use std::time::Duration;

use super::bench::*;
use crate::support::port::closed_address;
use crate::support::{FileServer, FileServerOptions, Mount, Served, download, get_rpc_methods, pattern};

fn config_action() -> String {
    format!("\"download\": {{ \"{CONFIG}\": {{ {} }} }}", keeps_its_file())
}

/// R227, R230, R231, R234, R238 to R240.
#[test]
fn a_file_is_downloaded_applied_and_told() {
    let files = FileServer::start(FileServerOptions::new().digest("cpe", "s3cret"));
    files.serves("/a@b%20c", Served::sized(300_000).chunked());
    let bench = Bench::with(files, &config_action(), |builder, _| builder);
    let url = bench.files.url("/a@b%20c");
    let rpc = download(CONFIG, &url).with("CommandKey", "k <&>").with("Username", "cpe").with("Password", "s3cret");
    bench.ask(&[get_rpc_methods(), rpc.with("FileSize", 5)]); // R235: a wrong size is no failure
    let report = bench.told(&["7 TRANSFER COMPLETE", "M Download/k <&>"]);
    assert_eq!(report.argument("CommandKey"), Some("k <&>"));
    let fault = report.fault.as_ref().expect("a FaultStruct");
    assert_eq!((fault.code, fault.text.as_str()), (0, "")); // R238
    for name in ["StartTime", "CompleteTime"] {
        let time = report.argument(name).expect(name);
        assert!(time.ends_with('Z') && time > "2024", "{name} {time}"); // R238: in UTC
    }
    assert_eq!(bench.content("applied"), pattern(300_000));
    assert_eq!((bench.traces("applies"), bench.left_behind()), (vec!["key=k <&>".to_owned()], 0));
    bench.stays_quiet();
    assert_eq!(bench.status()["transfers"].as_array().map(Vec::len), Some(0));
}

/// R5: the methods are there with the actions.
#[test]
fn methods_follow_the_actions() {
    let of = |actions: &str| {
        let bench = Bench::new(actions);
        bench.agent.succeeds(&["inform"]);
        bench.visit(&["2 PERIODIC"], |call| {
            let methods = call.ask(&get_rpc_methods()).expect("methods").methods;
            let transfers = ["Download", "Upload", "ScheduleDownload", "GetQueuedTransfers", "CancelTransfer"];
            let refused = call.ask(&download(CONFIG, "http://h/")).expect("an answer").is_fault();
            assert_eq!(refused, !methods.contains(&"Download".to_owned())); // R4
            transfers.map(|name| u8::from(methods.contains(&name.to_owned())))
        })
    };
    assert_eq!(of("\"reboot\": [\"true\"]"), [0, 0, 0, 0, 0]);
    assert_eq!(of(&config_action()), [1, 0, 1, 1, 1]); // R2
    assert_eq!(of(&format!("\"upload\": {{ \"2 Vendor Log File\": {{ {} }} }}", shell("true"))), [0, 1, 0, 1, 1]);
}

/// R232, R238: each failure by its code, with a sentence, and once.
#[test]
fn failures_are_told_by_their_codes() {
    let files = FileServer::start(FileServerOptions::new());
    files.serves("/file", Served::sized(1000));
    files.serves("/missing", Served::status(404));
    let actions = format!(
        "\"download\": {{ \"X 0 exit\": {{ {} }}, \"X 0 refuse\": {{ {} }}, \"X 0 hang\": {{ {}, \"timeLimit\": 1 }}, \
         \"X 0 absent\": {{ \"run\": [\"/nonexistent/program\"] }}, \"X 0 good\": {{ {} }} }}",
        shell("echo ran >> ran; exit 3"),
        shell("exit 77"),
        shell("sleep 60"),
        shell("true"),
    );
    let bench = Bench::with(files, &actions, |builder, _| builder);
    let nobody = closed_address();
    let (file, missing) = (bench.files.url("/file"), bench.files.url("/missing"));
    for (file_type, url, code, words) in [
        ("X 0 exit", file.as_str(), 9018, "exit status 3"),
        ("X 0 refuse", &file, 9001, "exit status 77"),
        ("X 0 hang", &file, 9002, "longer than 1 s"),
        ("X 0 absent", &file, 9002, "could not be started"),
        ("X 0 good", &missing, 9016, "404"),
        ("X 0 good", &format!("http://{nobody}/f"), 9015, "no connection"),
    ] {
        bench.ask(&[download(file_type, url).with("CommandKey", "k")]);
        let report = bench.ends_with(code);
        let text = report.fault.as_ref().expect("a fault").text.clone();
        assert!(text.contains(words), "{file_type}: {text}");
        assert_eq!(report.argument("CompleteTime"), Some(UNKNOWN_TIME));
    }
    bench.stays_quiet();
    assert_eq!((bench.traces("ran").len(), bench.left_behind()), (1, 0)); // R232
}

/// The place of the files can be set, and may be too small.
#[test]
fn a_disk_that_is_full() {
    let place = tempfile::tempdir().expect("a directory");
    let Some(_mount) = Mount::at(place.path().join("ram"), "size=1m,mode=700") else { return };
    let files = FileServer::start(FileServerOptions::new());
    files.serves("/large", Served::sized(4_000_000).chunked());
    files.serves("/small", Served::sized(100_000));
    let ram = place.path().join("ram");
    let bench =
        Bench::with(files, &config_action(), |builder, _| builder.args(&["--transfer-dir".as_ref(), ram.as_os_str()]));
    for (path, code) in [("/large", 9010), ("/small", 0)] {
        bench.ask(&[download(CONFIG, &bench.files.url(path)).with("CommandKey", "k")]);
        bench.ends_with(code);
    }
    assert!(bench.traces("applies").len() == 1 && !bench.agent.state_dir().join("transfers").exists());
}

/// Checked before the action runs: against a sum, and against a signature.
#[test]
fn a_file_that_is_not_what_it_should_be() {
    let files = FileServer::start(FileServerOptions::new());
    files.serves("/good", Served::file(*b"abc"));
    files.serves(
        "/good.sha256",
        Served::file(*b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  good\n"),
    );
    files.serves("/bad", Served::file(*b"abd"));
    files.serves(
        "/bad.sha256",
        Served::file(*b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  bad\n"),
    );
    let actions = format!(
        "\"download\": {{ \"X 0 sum\": {{ {0}, \"sha256\": true }}, \
         \"X 0 signed\": {{ {0}, \"ed25519\": \"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\" }}, \
         \"X 0 key\": {{ {0}, \"ed25519\": \"/nonexistent/key\" }} }}",
        keeps_its_file()
    );
    let bench = Bench::with(files, &actions, |builder, _| builder);
    for (file_type, path, code) in
        [("X 0 sum", "/bad", 9019), ("X 0 signed", "/good", 9019), ("X 0 key", "/good", 9019), ("X 0 sum", "/good", 0)]
    {
        bench.ask(&[download(file_type, &bench.files.url(path)).with("CommandKey", "k")]);
        bench.ends_with(code);
    }
    assert_eq!((bench.traces("applies").len(), bench.left_behind()), (1, 0));
}

/// R234: not before its time, though the agent is killed meanwhile; the journal has whole seconds.
#[test]
fn a_delay_outlives_the_agent() {
    let mut bench = Bench::new(&config_action());
    bench.files.serves("/f", Served::sized(100));
    let rpc = download(CONFIG, &bench.files.url("/f")).with("CommandKey", "k").with("DelaySeconds", 2);
    bench.ask(&[rpc]);
    let asked = std::time::Instant::now();
    bench.agent.crash_and_restart();
    bench.ends_with(0);
    assert!(asked.elapsed() > Duration::from_secs(1), "{:?}", asked.elapsed());
    bench.stays_quiet();
    assert_eq!(bench.traces("applies").len(), 1);
}

/// R239: until TransferCompleteResponse; over faults, lost connections and restarts.
#[test]
fn a_report_is_repeated_until_it_is_confirmed() {
    let mut bench = Bench::new(&config_action());
    bench.files.serves("/f", Served::sized(100));
    bench.ask(&[download(CONFIG, &bench.files.url("/f")).with("CommandKey", "k")]);
    let mut reports = Vec::new();
    for round in 0..4 {
        let mut call = bench.line.accept(SOON).expect("a session");
        let inform = call.hear().expect("an Inform");
        assert!(events_of(&inform).contains(&"M Download/k".to_owned()), "{}", inform.xml);
        call.confirm();
        let report = call.hear().expect("a report");
        assert_eq!(report.method, "TransferComplete");
        reports.push((
            report.argument("StartTime").map(str::to_owned),
            report.argument("CompleteTime").map(str::to_owned),
        ));
        match round {
            0 => drop(call), // lost
            1 => {
                call.refuse(&report, 8002); // R121
                assert!(call.hear().expect("the empty POST").method.is_empty());
                call.dismiss();
                bench.agent.kill9();
                bench.line.clear();
                bench.agent.restart();
            }
            2 => {
                call.refuse(&report, 8005); // R120
                assert_eq!(call.hear().expect("the same again").xml, report.xml);
                bench.agent.kill9();
                bench.line.clear();
                bench.agent.reboot();
            }
            _ => {
                call.respond(&report);
                assert!(call.hear().expect("the empty POST").method.is_empty());
                call.dismiss();
            }
        }
    }
    reports.dedup();
    assert_eq!(reports.len(), 1);
    bench.stays_quiet();
    bench.agent.crash_and_restart();
    bench.stays_quiet();
    assert_eq!(bench.traces("applies").len(), 1);
}

/// An agent that is told to stop waits a moment for the action: how it ended is known, and told by the next one.
#[test]
fn a_stop_while_a_file_is_applied() {
    let script = "echo began >> began; sleep 0.5; echo done >> applies";
    let mut bench = Bench::new(&format!("\"download\": {{ \"{CONFIG}\": {{ {} }} }}", shell(script)));
    bench.files.serves("/f", Served::sized(100));
    bench.ask(&[download(CONFIG, &bench.files.url("/f")).with("CommandKey", "k")]);
    bench.waits_for_trace("began");
    bench.agent.restart();
    bench.ends_with(0);
    bench.stays_quiet();
    assert_eq!(bench.traces("applies").len(), 1);
}

/// Somebody else has put a link where the files are to lie: nothing behind it is removed, and nothing is put there.
#[test]
fn a_link_in_place_of_the_directory() {
    let bench = Bench::with(FileServer::start(FileServerOptions::new()), &config_action(), |builder, place| {
        let place = std::path::Path::new(place);
        std::fs::create_dir(place.join("precious")).expect("a directory");
        std::fs::write(place.join("precious/file"), "text").expect("a file");
        std::fs::create_dir(place.join("ram")).expect("a directory");
        std::os::unix::fs::symlink(place.join("precious"), place.join("ram/transfers")).expect("a link");
        builder.args(&["--transfer-dir".as_ref(), place.join("ram").as_os_str()])
    });
    bench.files.serves("/f", Served::sized(100));
    bench.ask(&[download(CONFIG, &bench.files.url("/f")).with("CommandKey", "k")]);
    bench.ends_with(9010);
    assert_eq!(std::fs::read_dir(bench.place.path().join("precious")).expect("a directory").count(), 1);
    assert_eq!(bench.content("precious/file"), b"text");
}
