//! Transfers that are started at the device, and downloads that it wishes for.

use super::gateway::*;
use crate::support::{FileServer, FileServerOptions, FileSpec, set_parameter_values};

const POLICY: &str = "Device.ManagementServer.AutonomousTransferCompletePolicy.";

fn actions() -> String {
    format!(
        "\"download\": {{ \"{CONFIG}\": {{ {} }} }}, \"upload\": {{ \"2 Vendor Log File\": {{ {} }} }}",
        keeps_its_file(),
        shell("echo log > {file}")
    )
}

/// R247: the agent reports the autonomous transfers that the policy selects.
#[test]
fn the_policy_decides_what_is_told() {
    let files = FileServer::start(FileServerOptions::new().basic("cpe", "s3cret"));
    files.serves("/f", FileSpec::sized(5000));
    let gateway = TransferGateway::with(files, &actions(), |builder, _| builder);
    let url = gateway.files.url("/f");
    let fetch = ["download", CONFIG, &url, "username=cpe", "password=s3cret", "size=5000", "target=t"];
    gateway.agent.succeeds(&fetch);
    gateway.acs.expect_no_session(QUIET); // R247: not enabled
    assert_eq!((gateway.traces("applies").len(), gateway.left_behind()), (1, 0));

    gateway.agent.succeeds(&["inform"]);
    gateway.acs.expect_session(&["2 PERIODIC"], |_, session| {
        let name = |name: &str| format!("{POLICY}{name}");
        let (enable, types) = (name("Enable"), name("FileTypeFilter"));
        let values =
            [(enable.as_str(), "boolean", "true"), (&types, "string", "3 Vendor Configuration File,4 Vendor Log File")];
        assert_eq!(
            session.call(&set_parameter_values(&values, "")).expect("an answer").method,
            "SetParameterValuesResponse"
        );
    });
    gateway.agent.succeeds(&fetch);
    let report = gateway.acs.expect_request(&["10 AUTONOMOUS TRANSFER COMPLETE"]);
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

    let target = gateway.files.url("/log");
    let secret = gateway.place.path().join("secret");
    std::fs::write(&secret, "s3cret\n").expect("a file");
    let password = format!("password-file={}", secret.display());
    gateway.agent.succeeds(&["upload", "2 Vendor Log File", &target, "username=cpe", &password]);
    let report = gateway.acs.expect_request(&["10 AUTONOMOUS TRANSFER COMPLETE"]);
    assert_eq!((report.argument("IsDownload"), report.argument("FileType")), (Some("0"), Some("4 Vendor Log File")));
    assert_eq!(gateway.files.uploaded("/log").as_deref(), Some(&b"log\n"[..]));

    let refused = gateway.agent.command(&["download", CONFIG, &url, "username=cpe", "password=wrong"]);
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("refused the user name or the password") && !words.contains("wrong\n"), "{words}");
    assert_eq!(code_of(&gateway.acs.expect_request(&["10 AUTONOMOUS TRANSFER COMPLETE"])), 9012);
    gateway.acs.expect_no_session(QUIET);
}

/// An impossible command is refused at once, with its reason.
#[test]
fn what_is_refused() {
    let gateway = TransferGateway::new(&actions());
    for (arguments, words) in [
        (&["download", "1 Firmware Upgrade Image", "http://h/"][..], "this device takes no files of type"),
        (&["download", CONFIG, "ftp://h/"], "http and https"),
        (&["download", CONFIG, "http://u:p@h/"], "user name"),
        (&["download", CONFIG, "http://h/f\r\nX: y"], "control character"),
        (&["download", CONFIG, "http://h/f", "username=a\nb"], "control characters"),
        (&["upload", CONFIG, "http://h/"], "this device gives no files"),
        (&["download", "3 Vendor Configuration", "http://h/"], "did you mean `3 Vendor Configuration File`?"),
        (&["download", "Tone", "http://h/"], "; the types are "),
        (&["request-download", "nonsense"], "no file type"),
    ] {
        let refused = gateway.agent.command(arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains(words), "{arguments:?}: {said}");
    }
    assert_eq!(gateway.agent.command(&["download", CONFIG]).status.code(), Some(64));
    let missing = ["download", CONFIG, "http://h/", "password-file=/nonexistent"];
    assert_eq!(gateway.agent.command(&missing).status.code(), Some(64));
    gateway.acs.expect_no_session(QUIET);
}

/// R248, R144: the command request-download asks the ACS for a download.
#[test]
fn a_download_that_is_wished_for() {
    let gateway = TransferGateway::new(&actions());
    gateway.agent.succeeds(&["request-download", "2 Web Content", "Model=A <B>", "empty="]);
    let session = gateway.acs.expect_request(&["9 REQUEST DOWNLOAD"]);
    assert_eq!((session.method.as_str(), session.argument("FileType")), ("RequestDownload", Some("2 Web Content")));
    assert!(session.xml.contains("<Name>Model</Name><Value>A &lt;B&gt;</Value>"), "{}", session.xml);
    gateway.acs.expect_no_session(QUIET);
}

/// R239: AutonomousTransferComplete is repeated until its response, also after a restart of the agent.
#[test]
fn an_autonomous_report_outlives_the_agent() {
    let mut gateway = TransferGateway::new(&actions());
    gateway.files.serves("/f", FileSpec::sized(10));
    gateway.agent.succeeds(&["set", &format!("{POLICY}Enable=true"), &format!("{POLICY}FileTypeFilter={CONFIG}")]);
    gateway.agent.succeeds(&["download", CONFIG, &gateway.files.url("/f")]);
    let mut session = gateway.acs.accept(SOON).expect("a session");
    session.recv().expect("an Inform");
    gateway.agent.kill9();
    gateway.acs.clear();
    gateway.agent.reboot();
    let report = gateway.acs.expect_request(&["1 BOOT", "10 AUTONOMOUS TRANSFER COMPLETE"]); // R141, R145
    assert_eq!(code_of(&report), 0);
    gateway.acs.expect_no_session(QUIET);
}
