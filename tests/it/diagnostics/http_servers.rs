//! Speed tests of the ACS with servers that are slow, stop, close early, refuse and redirect.

use std::time::Duration;

use super::{COMPLETE, in_session, set};
use crate::gateway::{Model, SOON};
use crate::rpc::gateway::{Gateway, QUIET};
use crate::speed::{object, success};
use crate::support::stopwatch::Stopwatch;
use crate::support::{AcsSession, FileServer, FileServerOptions, FileSpec};

const SIZE: u64 = 200_000;

/// The time after which the agent gives a silent server up.
const SILENCE: Duration = Duration::from_secs(30);

/// The URL of a test, the value of DiagnosticsState at its end, and the number that is at least the result of bytes.
type Case = (&'static str, &'static str, u64);

/// Requests the tests one after the other: each in the session that tells the end of the one before.
fn run_all(gateway: &mut Gateway, object: &str, (url, bytes): (&str, &str), server: &FileServer, cases: &[Case]) {
    let request = |session: &mut AcsSession, case: Option<&Case>| {
        if let Some((path, ..)) = case {
            set(session, object, &[(url, &server.url(path)), ("DiagnosticsState", "Requested")]);
        }
    };
    in_session(gateway, |session| request(session, cases.first()));
    for (index, (path, state, least)) in cases.iter().enumerate() {
        gateway.acs.expect_session(COMPLETE, |_, session| {
            assert_eq!(session.value(&format!("{object}DiagnosticsState")), *state, "{path}");
            // The results of a test that failed are those of no earlier one (R313).
            let told: u64 = session.value(&format!("{object}{bytes}")).parse().expect("a number");
            assert!(if *least > 0 { told >= *least } else { told == 0 }, "{path}: {told} bytes");
            request(session, cases.get(index + 1));
        });
    }
    gateway.acs.expect_no_session(QUIET);
}

/// R311: a download is complete with its last byte alone, however slowly it comes.
fn downloads_from_servers_with_faults(model: &'static Model) {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/slow", FileSpec::sized(SIZE).trickles(4000, Duration::from_millis(20)));
    server.serves("/chunked", FileSpec::sized(SIZE).chunked());
    server.serves("/open", FileSpec::sized(SIZE).until_close());
    server.serves("/short", FileSpec::sized(SIZE).drops_after(SIZE - 1));
    server.serves("/short-chunked", FileSpec::sized(SIZE).chunked().drops_after(SIZE / 2));
    server.serves("/moved", FileSpec::redirect(302, "/f"));
    server.serves("/f", FileSpec::sized(SIZE));
    server.serves("/circle", FileSpec::redirect(302, "/circle"));
    server.serves("/missing", FileSpec::status(404));
    server.serves("/broken", FileSpec::status(500));
    server.serves("/garbage", FileSpec::raw(b"\x00\xFFno HTTP\r\n\r\n"));
    let mut gateway = Gateway::new(model);
    let (done, failed) = (success(model), "Error_TransferFailed");
    let cases = [
        ("/slow", done, SIZE),
        ("/missing", failed, 0),
        ("/chunked", done, SIZE),
        ("/short", failed, 0),
        ("/open", done, SIZE),
        ("/short-chunked", failed, 0),
        ("/moved", done, SIZE),
        ("/circle", failed, 0),
        ("/broken", failed, 0),
        ("/garbage", failed, 0),
        ("/f", done, SIZE),
    ];
    let names = ("DownloadURL", "TestBytesReceived");
    run_all(&mut gateway, &object(model, "DownloadDiagnostics"), names, &server, &cases);
}
both_models!(downloads_from_servers_with_faults);

/// R311: an upload is complete with the response of the server alone.
fn uploads_to_servers_with_faults(model: &'static Model) {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/missing", FileSpec::status(404));
    server.serves("/short", FileSpec::sized(0).drops_after(SIZE / 2));
    server.serves("/moved", FileSpec::redirect(307, "/u"));
    server.serves("/garbage", FileSpec::raw(b"\x00\xFFno HTTP\r\n\r\n"));
    let mut gateway = Gateway::new(model);
    let object = object(model, "UploadDiagnostics");
    in_session(&mut gateway, |session| set(session, &object, &[("TestFileLength", &SIZE.to_string())]));
    let (done, failed) = (success(model), "Error_NoTransferComplete");
    // TR-098 has no number of the bytes of an upload alone; that of its interface is 0 without an interface.
    let (bytes, least) = if model.root == "Device" { ("TestBytesSent", SIZE) } else { ("TotalBytesSent", 0) };
    let cases = [
        ("/missing", failed, 0),
        ("/u", done, least),
        ("/short", failed, 0),
        ("/u2", done, least),
        ("/moved", failed, 0),
        ("/garbage", failed, 0),
    ];
    run_all(&mut gateway, &object, ("UploadURL", bytes), &server, &cases);
    assert_eq!(server.uploaded("/u2").expect("an upload").len() as u64, SIZE);
}
both_models!(uploads_to_servers_with_faults);

/// R311: a server that stops ends the test after the limit; sessions go on meanwhile. A stop ends no test by time.
fn servers_that_stop(model: &'static Model) {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/d", FileSpec::sized(SIZE).stalls_after(SIZE / 2));
    server.serves("/u", FileSpec::sized(0).stalls_after(SIZE / 2));
    let mut gateway = Gateway::new(model);
    let is_device = model.root == "Device";
    // One object for each model, since the limit is long.
    let (name, url, state) = match is_device {
        true => ("DownloadDiagnostics", "DownloadURL", "Error_Timeout"),
        false => ("UploadDiagnostics", "UploadURL", "Error_NoTransferComplete"),
    };
    let object = object(model, name);
    let path = if is_device { "/d" } else { "/u" };
    in_session(&mut gateway, |session| {
        if !is_device {
            set(session, &object, &[("TestFileLength", "50000000")]); // more than the buffers of the kernel
        }
        set(session, &object, &[(url, &server.url(path)), ("DiagnosticsState", "Requested")]);
    });
    let begun = Stopwatch::start();
    server.requested(1, SOON);
    gateway.agent.succeeds(&["inform"]);
    let (_, _, mut session) = gateway.acs.next_session();
    assert_eq!(session.value(&format!("{object}DiagnosticsState")), "Requested");
    session.end_session();
    gateway.agent.wait_for_log(&format!("{object}: Error_"), SILENCE + SOON);
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(session.value(&format!("{object}DiagnosticsState")), state);
        if is_device {
            let by_time = [("TimeBasedTestDuration", "1"), ("DiagnosticsState", "Requested")];
            set(session, &object, &by_time);
        }
    });
    assert!(begun.elapsed() >= SILENCE - Duration::from_secs(1) && begun.is_within(SILENCE + SOON), "{begun:?}");
    if is_device {
        gateway.acs.expect_session(COMPLETE, |_, session| {
            assert_eq!(session.value(&format!("{object}DiagnosticsState")), "Complete");
        });
    }
}
both_models!(servers_that_stop);
