//! The command `speed` with the file server: plain and TLS, redirects, failures, counters of the interface, memory.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::agent::{is_replaced, patience, program};
use crate::support::network::in_own_network;
use crate::support::skip::skip;
use crate::support::{FileServer, FileServerOptions, FileSpec};

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
        let begun = Instant::now();
        let told = measured(&["download", &server.url(path), "seconds=2"]);
        assert!(told.contains("\nsecond 1") && told.contains("\nsecond 2") && !told.contains("\nsecond 3"), "{told}");
        assert!((2..patience(Duration::from_secs(5)).as_secs()).contains(&begun.elapsed().as_secs()), "{told}");
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
