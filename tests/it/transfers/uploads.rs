//! Upload: made, sent by PUT, told.

use super::bench::*;
use crate::support::port::closed_address;
use crate::support::{FileServer, FileServerOptions, Served, cancel_transfer, upload};

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
    let bench = Bench::with(files, &actions, |builder, _| builder);
    for (file_type, path, code, content) in [
        ("1 Vendor Configuration File", "/old", 0, Some("old\n")),
        ("3 Vendor Configuration File 1", "/new?x=%20@", 0, Some("instance 1 k\n")),
        ("2 Vendor Log File", "/log", 9011, None),
    ] {
        let rpc = upload(file_type, &bench.files.url(path));
        bench.ask(&[rpc.with("CommandKey", "k").with("Username", "cpe").with("Password", "s3cret")]);
        let report = bench.told(&["7 TRANSFER COMPLETE", "M Upload/k"]);
        assert_eq!(code_of(&report), code, "{}", report.xml);
        let uploaded = bench.files.uploaded(path.split('?').next().expect("a path")).or(bench.files.uploaded(path));
        assert_eq!(uploaded.map(|bytes| String::from_utf8(bytes).expect("text")).as_deref(), content);
        assert_eq!(bench.left_behind(), 0);
    }
    let requests = bench.files.requests();
    assert!(requests.iter().all(|request| request.method == "PUT")); // R241
    assert!(!bench.files.requests().is_empty());
}

/// R242, R252: by the code of uploads, whatever it was.
#[test]
fn an_upload_that_fails() {
    let bench = Bench::new(&format!("\"upload\": {{ \"2 Vendor Log File\": {{ {} }} }}", shell("echo log > {file}")));
    bench.files.serves("/no", Served::status(403));
    let nobody = closed_address();
    for url in [bench.files.url("/no"), format!("http://{nobody}/f")] {
        bench.ask(&[upload("2 Vendor Log File", &url).with("CommandKey", "k")]);
        let report = bench.told(&["7 TRANSFER COMPLETE", "M Upload/k"]);
        assert_eq!(code_of(&report), 9011, "{}", report.xml);
    }
    bench.stays_quiet();
}

/// R246: what is cancelled while it is made leaves nothing behind.
#[test]
fn an_upload_that_is_cancelled_while_it_is_made() {
    let script = shell("echo $$ > began; echo log > {file}; exec sleep 600");
    let bench = Bench::new(&format!("\"upload\": {{ \"2 Vendor Log File\": {{ {script} }} }}"));
    bench.ask(&[upload("2 Vendor Log File", &bench.files.url("/log")).with("CommandKey", "k")]);
    bench.waits_for_trace("began");
    bench.ask(&[cancel_transfer("k")]);
    let process = std::path::Path::new("/proc").join(&bench.traces("began")[0]);
    until("the end of the command", || !process.exists());
    until("an empty directory", || bench.left_behind() == 0);
    bench.stays_quiet();
}
