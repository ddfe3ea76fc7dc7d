//! Upload: made, sent by PUT, told.

use super::gateway::*;
use crate::support::port::closed_address;
use crate::support::{FileServer, FileServerOptions, FileSpec, cancel_transfer, upload};

/// R241, R242: the file is made for its type, and sent.
#[test]
fn a_file_is_made_and_uploaded() {
    let files = FileServer::start(FileServerOptions::new().digest("cpe", "s3cret"));
    let actions = format!(
        "\"upload\": {{ \"1 Vendor Configuration File\": {{ {} }}, \"3 Vendor Configuration File\": {{ {} }}, \
         \"2 Vendor Log File\": {{ {} }} }}",
        shell("echo old > {file}"),
        shell("echo 'instance {instance} {commandKey}' > {file}"),
        shell("exit 1"),
    );
    let gateway = TransferGateway::with(files, &actions, |builder, _| builder);
    for (file_type, path, code, content) in [
        ("1 Vendor Configuration File", "/old", 0, Some("old\n")),
        ("3 Vendor Configuration File 1", "/new?x=%20@", 0, Some("instance 1 k\n")),
        ("2 Vendor Log File", "/log", 9011, None),
    ] {
        let rpc = upload(file_type, &gateway.files.url(path));
        gateway.ask(&[rpc.with("CommandKey", "k").with("Username", "cpe").with("Password", "s3cret")]);
        let report = gateway.acs.expect_request(&["7 TRANSFER COMPLETE", "M Upload/k"]);
        assert_eq!(code_of(&report), code, "{}", report.xml);
        let uploaded = gateway.files.uploaded(path.split('?').next().expect("a path")).or(gateway.files.uploaded(path));
        assert_eq!(uploaded.map(|bytes| String::from_utf8(bytes).expect("text")).as_deref(), content);
        assert_eq!(gateway.left_behind(), 0);
    }
    let requests = gateway.files.requests();
    assert!(requests.iter().all(|request| request.method == "PUT")); // R241
    assert!(!gateway.files.requests().is_empty());
}

/// R242, R252: every failed upload has the code of uploads.
#[test]
fn an_upload_that_fails() {
    let gateway =
        TransferGateway::new(&format!("\"upload\": {{ \"2 Vendor Log File\": {{ {} }} }}", shell("echo log > {file}")));
    gateway.files.serves("/no", FileSpec::status(403));
    let nobody = closed_address();
    for url in [gateway.files.url("/no"), format!("http://{nobody}/f")] {
        gateway.ask(&[upload("2 Vendor Log File", &url).with("CommandKey", "k")]);
        let report = gateway.acs.expect_request(&["7 TRANSFER COMPLETE", "M Upload/k"]);
        assert_eq!(code_of(&report), 9011, "{}", report.xml);
    }
    gateway.acs.expect_no_session(QUIET);
}

/// R246: an upload that is cancelled while its file is made leaves no file behind.
#[test]
fn an_upload_that_is_cancelled_while_it_is_made() {
    let script = shell("echo $$ > began; echo log > {file}; exec sleep 600");
    let gateway = TransferGateway::new(&format!("\"upload\": {{ \"2 Vendor Log File\": {{ {script} }} }}"));
    gateway.ask(&[upload("2 Vendor Log File", &gateway.files.url("/log")).with("CommandKey", "k")]);
    gateway.waits_for_trace("began");
    gateway.ask(&[cancel_transfer("k")]);
    let process = std::path::Path::new("/proc").join(&gateway.traces("began")[0]);
    until("the end of the command", || !process.exists());
    until("an empty directory", || gateway.left_behind() == 0);
    gateway.acs.expect_no_session(QUIET);
}

/// SIGTERM kills the action of an upload with its group, and the transfer begins again after the next start.
#[test]
fn a_stop_kills_the_action_of_an_upload() {
    let log = "2 Vendor Log File";
    let script = "exec 2> /dev/null; echo $$ >> began; [ -e later ] || sleep 600; echo log > {file}";
    let mut gateway = TransferGateway::new(&format!("\"upload\": {{ \"{log}\": {{ {} }} }}", shell(script)));
    gateway.ask(&[upload(log, &gateway.files.url("/log")).with("CommandKey", "k")]);
    gateway.waits_for_trace("began");
    assert!(gateway.agent.terminate().success());
    let process = gateway.traces("began").remove(0);
    until("the end of the action", || !std::path::Path::new("/proc").join(&process).exists());
    std::fs::write(gateway.place.path().join("later"), "").expect("a file");
    gateway.agent.restart();
    let report = gateway.acs.expect_request(&["7 TRANSFER COMPLETE", "M Upload/k"]);
    assert_eq!((code_of(&report), gateway.traces("began").len()), (0, 2), "{}", report.xml);
}
