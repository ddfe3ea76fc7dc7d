//! Transfers that are started at the device, and downloads that it wishes for.

use super::bench::*;
use crate::support::{FileServer, FileServerOptions, Served, set_parameter_values};

const POLICY: &str = "Device.ManagementServer.AutonomousTransferCompletePolicy.";

fn actions() -> String {
    format!(
        "\"download\": {{ \"{CONFIG}\": {{ {} }} }}, \"upload\": {{ \"2 Vendor Log File\": {{ {} }} }}",
        keeps_its_file(),
        shell("echo log > {file}")
    )
}

/// R247: the ACS hears of what its policy lets through.
#[test]
fn the_policy_decides_what_is_told() {
    let files = FileServer::start(FileServerOptions::new().basic("cpe", "s3cret"));
    files.serves("/f", Served::sized(5000));
    let bench = Bench::with(files, &actions(), |builder, _| builder);
    let url = bench.files.url("/f");
    let fetch = ["download", CONFIG, &url, "username=cpe", "password=s3cret", "size=5000", "target=t"];
    bench.agent.succeeds(&fetch);
    bench.stays_quiet(); // R247: not enabled
    assert_eq!((bench.traces("applies").len(), bench.left_behind()), (1, 0));

    bench.agent.succeeds(&["inform"]);
    bench.visit(&["2 PERIODIC"], |call| {
        let name = |name: &str| format!("{POLICY}{name}");
        let (enable, types) = (name("Enable"), name("FileTypeFilter"));
        let values =
            [(enable.as_str(), "boolean", "true"), (&types, "string", "3 Vendor Configuration File,4 Vendor Log File")];
        assert_eq!(
            call.ask(&set_parameter_values(&values, "")).expect("an answer").method,
            "SetParameterValuesResponse"
        );
    });
    bench.agent.succeeds(&fetch);
    let report = bench.told(&["10 AUTONOMOUS TRANSFER COMPLETE"]);
    assert_eq!(report.method, "AutonomousTransferComplete");
    for (name, value) in [
        ("AnnounceURL", ""),
        ("TransferURL", &url),
        ("IsDownload", "1"),
        ("FileType", CONFIG),
        ("FileSize", "5000"),
        ("TargetFileName", "t"),
    ] {
        assert_eq!(report.argument(name), Some(value), "{name}");
    }
    assert_eq!(code_of(&report), 0);

    let target = bench.files.url("/log");
    let secret = bench.place.path().join("secret");
    std::fs::write(&secret, "s3cret\n").expect("a file");
    let password = format!("password-file={}", secret.display());
    bench.agent.succeeds(&["upload", "2 Vendor Log File", &target, "username=cpe", &password]);
    let report = bench.told(&["10 AUTONOMOUS TRANSFER COMPLETE"]);
    assert_eq!((report.argument("IsDownload"), report.argument("FileType")), (Some("0"), Some("4 Vendor Log File")));
    assert_eq!(bench.files.uploaded("/log").as_deref(), Some(&b"log\n"[..]));

    let refused = bench.agent.command(&["download", CONFIG, &url, "username=cpe", "password=wrong"]);
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("refused the user name or the password") && !words.contains("wrong\n"), "{words}");
    assert_eq!(code_of(&bench.told(&["10 AUTONOMOUS TRANSFER COMPLETE"])), 9012);
    bench.stays_quiet();
}

/// What cannot be is refused at once, in words.
#[test]
fn what_is_refused() {
    let bench = Bench::new(&actions());
    for (arguments, words) in [
        (&["download", "1 Firmware Upgrade Image", "http://h/"][..], "this device takes no files of type"),
        (&["download", CONFIG, "ftp://h/"], "http and https"),
        (&["download", CONFIG, "http://u:p@h/"], "user name"),
        (&["upload", CONFIG, "http://h/"], "this device gives no files"),
        (&["request-download", "nonsense"], "no file type"),
    ] {
        let refused = bench.agent.command(arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains(words), "{arguments:?}: {said}");
    }
    assert_eq!(bench.agent.command(&["download", CONFIG]).status.code(), Some(64));
    let missing = ["download", CONFIG, "http://h/", "password-file=/nonexistent"];
    assert_eq!(bench.agent.command(&missing).status.code(), Some(64));
    bench.stays_quiet();
}

/// R248, R144.
#[test]
fn a_download_that_is_wished_for() {
    let bench = Bench::new(&actions());
    bench.agent.succeeds(&["request-download", "2 Web Content", "Model=A <B>", "empty="]);
    let call = bench.told(&["9 REQUEST DOWNLOAD"]);
    assert_eq!((call.method.as_str(), call.argument("FileType")), ("RequestDownload", Some("2 Web Content")));
    assert!(call.xml.contains("<Name>Model</Name><Value>A &lt;B&gt;</Value>"), "{}", call.xml);
    bench.stays_quiet();
}

/// R239 of an autonomous one: repeated until its response comes, also by another agent.
#[test]
fn an_autonomous_report_outlives_the_agent() {
    let mut bench = Bench::new(&actions());
    bench.files.serves("/f", Served::sized(10));
    bench.agent.succeeds(&["set", &format!("{POLICY}Enable=true"), &format!("{POLICY}FileTypeFilter={CONFIG}")]);
    bench.agent.succeeds(&["download", CONFIG, &bench.files.url("/f")]);
    let mut call = bench.line.accept(SOON).expect("a session");
    call.hear().expect("an Inform");
    bench.agent.kill9();
    bench.line.clear();
    bench.agent.reboot();
    let report = bench.told(&["1 BOOT", "10 AUTONOMOUS TRANSFER COMPLETE"]); // R141, R145
    assert_eq!(code_of(&report), 0);
    bench.stays_quiet();
}
