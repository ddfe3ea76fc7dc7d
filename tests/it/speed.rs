//! The command `speed` with the file server: plain and TLS, redirects, failures, counters of the interface, memory.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::diagnostics::{COMPLETE, in_session, set};
use crate::gateway::{Model, SOON};
use crate::rpc::gateway::{Gateway, QUIET};
use crate::support::agent::{is_replaced, program};
use crate::support::network::in_own_network;
use crate::support::skip::skip;
use crate::support::stopwatch::Stopwatch;
use crate::support::{AcsSession, FileServer, FileServerOptions, FileSpec};

const SIZE: u64 = 3_000_000;

fn speed(arguments: &[&str]) -> Command {
    let mut command = Command::new(program(env!("CARGO_BIN_EXE_cpe-agent")));
    command.arg("speed").args(arguments);
    command
}

fn output(arguments: &[&str]) -> Output {
    speed(arguments).output().expect("the program")
}

/// Returns the output of a test that succeeds.
fn measured(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the message of a test that fails.
fn failed(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the first number of the line that begins with this word.
fn number(text: &str, word: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("no {word}: {text}"));
    line.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("no number: {line}"))
}

#[test]
fn a_download_counts_header_and_body_of_all_connections() {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/f", FileSpec::sized(SIZE));
    let told = measured(&["download", &server.url("/f"), "connections=3"]);
    assert!((3 * SIZE..3 * SIZE + 1500).contains(&number(&told, "received ")), "{told}");
    assert!(
        told.contains("from          127.0.0.1\n") && told.contains("\nspeed ") && told.contains("\nconnection 3"),
        "{told}"
    );
    assert_eq!((server.connections(), server.requests().len()), (3, 3));
}

/// The requests of a test by time go over the connection that is open.
#[test]
fn time_ends_a_download() {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/f", FileSpec::sized(100_000));
    server.serves("/endless", FileSpec::sized(1_000_000).endless());
    for path in ["/f", "/endless"] {
        let begun = Stopwatch::start();
        let told = measured(&["download", &server.url(path), "seconds=2"]);
        assert!(told.contains("\nsecond 1") && told.contains("\nsecond 2") && !told.contains("\nsecond 3"), "{told}");
        assert!(
            begun.elapsed() >= Duration::from_secs(2) && begun.is_within(Duration::from_secs(5)),
            "{begun:?}: {told}"
        );
    }
    assert_eq!(server.connections(), 2);
    assert!(server.requests().len() > 3, "{}", server.requests().len());
}

#[test]
fn an_upload_arrives_whole() {
    let server = FileServer::start(FileServerOptions::new());
    let told = measured(&["upload", &server.url("/u"), &format!("bytes={SIZE}")]);
    let body = server.uploaded("/u").expect("an upload");
    assert_eq!(body.len() as u64, SIZE);
    assert!((SIZE..SIZE + 500).contains(&number(&told, "sent ")), "{told}");
    // No link on the way could compress it: each byte value is about as frequent as the others.
    let zeros = body.iter().filter(|byte| **byte == 0).count() as u64;
    assert!(zeros < SIZE / 64, "{zeros}");
    measured(&["upload", &server.url("/timed"), "seconds=1"]);
    assert!(server.uploaded("/timed").expect("an upload").len() > 100_000);
}

#[test]
#[cfg(feature = "tls")]
fn https_needs_a_certificate_of_the_ca() {
    let authority = crate::support::tls::Authority::new("CA");
    let directory = tempfile::tempdir().expect("a directory");
    let tls = authority.server(crate::support::tls::Flaw::None);
    let server = FileServer::start(FileServerOptions::new().tls(tls));
    server.serves("/f", FileSpec::sized(SIZE));
    let url = server.url_of_host("localhost", "/f");
    let ca_file = authority.ca_file(directory.path());
    let told = measured(&["--ca-file", &ca_file.display().to_string(), "download", &url]);
    assert!((SIZE..SIZE + 500).contains(&number(&told, "received ")), "{told}");
    measured(&["--ca-file", &ca_file.display().to_string(), "upload", &url, "bytes=100000"]);
    assert!(failed(&["download", &url]).contains("no secure connection"));
}

#[test]
fn failures_are_told() {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/missing", FileSpec::status(404));
    server.serves("/moved", FileSpec::redirect(302, "/f"));
    server.serves("/f", FileSpec::sized(SIZE));
    server.serves("/short", FileSpec::sized(SIZE).drops_after(1_000_000));
    server.serves("/circle", FileSpec::redirect(302, "/circle"));
    assert!(number(&measured(&["download", &server.url("/moved")]), "received ") >= SIZE);
    for (path, reason) in [("/missing", "status 404"), ("/short", "cut short"), ("/circle", "too many in a row")] {
        let told = failed(&["download", &server.url(path)]);
        assert!(told.contains(reason), "{path}: {told}");
    }
    assert!(failed(&["upload", &server.url("/moved"), "bytes=9"]).contains("redirect"));
    assert!(failed(&["download", "ftp://127.0.0.1/f"]).contains("FTP is not supported"));
    assert!(failed(&["download", &server.url("/f"), "interface=no-such-link"]).contains("no-such-link"));
    let guarded = FileServer::start(FileServerOptions::new().basic("u", "p"));
    guarded.serves("/f", FileSpec::sized(10));
    assert!(failed(&["download", &guarded.url("/f")]).contains("asks for a user name"));
}

/// TR-143: all bytes of the interface count, with the headers of IP and TCP.
#[test]
fn the_interface_is_counted() {
    in_own_network("speed::the_interface_is_counted", || {
        let server = FileServer::start(FileServerOptions::new());
        server.serves("/f", FileSpec::sized(SIZE));
        let told = measured(&["download", &server.url("/f"), "interface=lo"]);
        let at_interface = number(&told, "lo ");
        assert!((SIZE * 9 / 10..SIZE * 6 / 5).contains(&at_interface), "{told}");
    });
}

/// Nothing that is received or sent is kept.
#[test]
fn memory_does_not_grow_with_the_transfer() {
    if is_replaced() {
        return skip("the memory of an emulator says nothing about the program");
    }
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/f", FileSpec::sized(1_000_000).endless());
    for arguments in [["download", &server.url("/f"), "seconds=3"], ["upload", &server.url("/u"), "seconds=3"]] {
        let mut child = speed(&arguments).stdout(Stdio::null()).spawn().expect("the program");
        let (mut first, mut last) = (0, 0);
        let begun = Instant::now();
        while child.try_wait().expect("a status").is_none() {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or("0 kB");
            let size: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
            match begun.elapsed() < Duration::from_secs(1) {
                true => first = first.max(size),
                false => last = last.max(size),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(first > 0 && last <= first + 128, "{arguments:?}: {first} kB, then {last} kB");
    }
}

/// Returns the object of a test in this model.
pub(crate) fn object(model: &Model, name: &str) -> String {
    let parent = if model.root == "Device" { "IP.Diagnostics." } else { "" };
    format!("{}.{parent}{name}.", model.root)
}

/// The word for success (R312).
pub(crate) fn success(model: &Model) -> &'static str {
    if model.root == "Device" { "Complete" } else { "Completed" }
}

/// R315: each time is a dateTime in UTC to the microsecond. Those of one connection are in their order.
fn check_times(session: &mut AcsSession, object: &str, connections: u64) {
    let names = ["TCPOpenRequestTime", "TCPOpenResponseTime", "ROMTime", "BOMTime", "EOMTime"];
    let times = names.map(|name| session.value(&format!("{object}{name}")));
    assert!(connections > 1 || times.is_sorted(), "{times:?}");
    for time in &times {
        assert!(time.starts_with("20") && time.len() == "2008-04-09T15:01:05.123456Z".len(), "{time}");
        assert!(time.as_bytes()[19] == b'.' && time.ends_with('Z'), "{time}");
    }
}

/// R309, R311, R312, R315: a download of the size of its file, whose results TR-181 also has for each connection.
fn a_download_for_the_acs(model: &'static Model) {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/f", FileSpec::sized(SIZE));
    let mut gateway = Gateway::new(model);
    let object = object(model, "DownloadDiagnostics");
    let is_device = model.root == "Device";
    let connections = if is_device { 2 } else { 1 };
    in_session(&mut gateway, |session| {
        if is_device {
            set(session, &object, &[("NumberOfConnections", "2"), ("EnablePerConnectionResults", "1")]);
        }
        let url = server.url("/f");
        set(session, &object, &[("DownloadURL", &url), ("DSCP", "10"), ("DiagnosticsState", "Requested")]);
    });
    gateway.acs.expect_session(COMPLETE, |_, session| {
        let number = |session: &mut AcsSession, name: &str| -> u64 {
            session.value(&format!("{object}{name}")).parse().expect("a number")
        };
        assert_eq!(session.value(&format!("{object}DiagnosticsState")), success(model));
        let bytes = number(session, "TestBytesReceived");
        assert!((connections * SIZE..connections * (SIZE + 500)).contains(&bytes), "{bytes}");
        check_times(session, &object, connections);
        if is_device {
            assert_eq!(session.value(&format!("{object}IPAddressUsed")), "127.0.0.1");
            assert_eq!(number(session, "PerConnectionResultNumberOfEntries"), 2);
            let rows = [1, 2].map(|row| number(session, &format!("PerConnectionResult.{row}.TestBytesReceived")));
            assert_eq!(rows.iter().sum::<u64>(), bytes);
            check_times(session, &format!("{object}PerConnectionResult.2."), 1);
            assert!(number(session, "PeriodOfFullLoading") > 0);
        }
    });
    assert_eq!(server.connections() as u64, connections);
    gateway.acs.expect_no_session(QUIET);
}
both_models!(a_download_for_the_acs);

/// R311, R312: an upload; in TR-181 also one that time ends, with its intervals.
fn an_upload_for_the_acs(model: &'static Model) {
    let server = FileServer::start(FileServerOptions::new());
    let mut gateway = Gateway::new(model);
    let object = object(model, "UploadDiagnostics");
    let url = server.url("/u");
    in_session(&mut gateway, |session| {
        set(session, &object, &[("UploadURL", &url), ("TestFileLength", "250000"), ("DiagnosticsState", "Requested")]);
    });
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(session.value(&format!("{object}DiagnosticsState")), success(model));
        check_times(session, &object, 1);
    });
    assert_eq!(server.uploaded("/u").expect("an upload").len(), 250_000);
    if model.root != "Device" {
        return;
    }
    in_session(&mut gateway, |session| {
        let times = [("TimeBasedTestDuration", "2"), ("TimeBasedTestMeasurementInterval", "1")];
        set(session, &object, &times);
        set(session, &object, &[("DiagnosticsState", "Requested")]);
    });
    gateway.acs.expect_session(COMPLETE, |_, session| {
        let value = |session: &mut AcsSession, name: &str| session.value(&format!("{object}{name}"));
        assert_eq!(value(session, "DiagnosticsState"), "Complete");
        assert_eq!(value(session, "IncrementalResultNumberOfEntries"), "2");
        assert_eq!(value(session, "IncrementalResult.1.StartTime"), value(session, "BOMTime"));
        assert_eq!(value(session, "IncrementalResult.2.StartTime"), value(session, "IncrementalResult.1.EndTime"));
        let sent: u64 = value(session, "IncrementalResult.2.TestBytesSent").parse().expect("a number");
        let all: u64 = value(session, "TestBytesSent").parse().expect("a number");
        assert!(0 < sent && sent < all, "{sent} of {all}");
    });
}
both_models!(an_upload_for_the_acs);

/// ProtocolVersion decides about the addresses of the server, in both directions.
#[test]
fn transfers_over_ipv6_for_the_acs() {
    let server = FileServer::start(FileServerOptions::new().ipv6());
    server.serves("/f", FileSpec::sized(SIZE));
    let mut gateway = Gateway::new(&crate::gateway::TR_181);
    let download = ("Device.IP.Diagnostics.DownloadDiagnostics.", "DownloadURL", server.url("/f"));
    let upload = ("Device.IP.Diagnostics.UploadDiagnostics.", "UploadURL", server.url("/u"));
    for (object, parameter, url) in [download, upload] {
        for (version, state, from) in
            [("Any", "Complete", "::1"), ("IPv6", "Complete", "::1"), ("IPv4", "Error_CannotResolveHostName", "")]
        {
            in_session(&mut gateway, |session| {
                if parameter == "UploadURL" {
                    set(session, object, &[("TestFileLength", "1000")]);
                }
                set(
                    session,
                    object,
                    &[(parameter, &url), ("ProtocolVersion", version), ("DiagnosticsState", "Requested")],
                );
            });
            gateway.acs.expect_session(COMPLETE, |_, session| {
                assert_eq!(session.value(&format!("{object}DiagnosticsState")), state, "{version}");
                assert_eq!(session.value(&format!("{object}IPAddressUsed")), from, "{version}");
            });
        }
    }
}

/// R311: the errors by the names that the data model has for them.
fn failed_tests_for_the_acs(model: &'static Model) {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/missing", FileSpec::status(404));
    let mut gateway = Gateway::new(model);
    let is_device = model.root == "Device";
    let of = |here: &'static str| if is_device { here } else { "Error_InitConnectionFailed" };
    for (name, parameter, url, state) in [
        ("DownloadDiagnostics", "DownloadURL", server.url("/missing"), "Error_TransferFailed"),
        ("DownloadDiagnostics", "DownloadURL", "ftp://127.0.0.1/f".to_owned(), of("Error_Other")),
        (
            "DownloadDiagnostics",
            "DownloadURL",
            "http://no-such-host.invalid/".to_owned(),
            of("Error_CannotResolveHostName"),
        ),
        ("UploadDiagnostics", "UploadURL", server.url("/missing"), "Error_NoTransferComplete"),
        ("UploadDiagnostics", "UploadURL", "http://127.0.0.1:1/".to_owned(), "Error_InitConnectionFailed"),
    ] {
        let object = object(model, name);
        in_session(&mut gateway, |session| {
            set(session, &object, &[(parameter, &url), ("DiagnosticsState", "Requested")])
        });
        gateway.acs.expect_session(COMPLETE, |_, session| {
            assert_eq!(session.value(&format!("{object}DiagnosticsState")), state, "{url}");
        });
    }
}
both_models!(failed_tests_for_the_acs);

/// R314: a test that never ends does not hold up sessions, and is cancelled without an event.
fn a_test_that_is_cancelled(model: &'static Model) {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/f", FileSpec::sized(1_000_000).endless());
    let mut gateway = Gateway::new(model);
    let object = object(model, "DownloadDiagnostics");
    let cancel = if model.root == "Device" { ("DiagnosticsState", "Canceled") } else { ("DSCP", "1") };
    in_session(&mut gateway, |session| {
        set(session, &object, &[("DownloadURL", &server.url("/f")), ("DiagnosticsState", "Requested")]);
    });
    server.sent(1_000_000, SOON);
    gateway.agent.succeeds(&["inform"]);
    let (_, _, mut session) = gateway.acs.next_session();
    assert_eq!(session.value(&format!("{object}DiagnosticsState")), "Requested");
    set(&mut session, &object, &[cancel]);
    assert_eq!(session.value(&format!("{object}DiagnosticsState")), "None");
    session.end_session();
    gateway.acs.expect_no_session(QUIET);
    // The connection has gone: the next test begins at once.
    server.serves("/f", FileSpec::sized(SIZE));
    in_session(&mut gateway, |session| set(session, &object, &[("DiagnosticsState", "Requested")]));
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(session.value(&format!("{object}DiagnosticsState")), success(model));
    });
}
both_models!(a_test_that_is_cancelled);
