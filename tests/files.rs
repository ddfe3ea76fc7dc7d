//! One attempt at one file, against a file server with every bad habit.
#![allow(clippy::disallowed_methods, missing_docs, reason = "this drives: it has a clock and threads")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cpe_agent::acs::TlsSettings;
use cpe_agent::transfer::{
    Checks, Downloaded, FileRequest, Moved, Progress, PublicKey, TransferError, TransferLimits, download,
    fetch_companion, upload, verify,
};
use support::{Algorithm, FileServer, FileServerOptions, Mount, Served, basic, digest, other_scheme, pattern};

/// Longer than anything here takes, even on a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// For a server that is meant to be found silent.
const IMPATIENT: Duration = Duration::from_millis(700);
const SIZE: u64 = 300_000;

/// One attempt, and the place for its file.
struct Attempt {
    request: FileRequest,
    directory: tempfile::TempDir,
    expected_size: u64,
    progress: Progress,
    stop: Arc<AtomicBool>,
}

impl Attempt {
    fn at(url: &str) -> Attempt {
        let limits = TransferLimits { silence: SOON, attempt: 4 * SOON, redirects: 5, pause: Duration::from_millis(1) };
        let request = FileRequest {
            url: url.into(),
            username: "cpe".into(),
            password: "s3cret".into(),
            tls: TlsSettings::default(),
            clock_is_set: true,
            limits,
        };
        let directory = tempfile::tempdir().expect("a directory");
        Attempt { request, directory, expected_size: 0, progress: Progress::new(), stop: Arc::default() }
    }

    fn impatient(mut self) -> Attempt {
        self.request.limits.silence = IMPATIENT;
        self
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("file")
    }

    fn download(&self) -> Result<Downloaded, TransferError> {
        let result = download(&self.request, &self.file(), self.expected_size, &self.progress, &self.stop);
        assert_eq!(result.is_ok(), self.file().exists(), "{result:?}");
        result
    }

    /// The file, which must come.
    fn content(&self) -> Vec<u8> {
        let downloaded = self.download().unwrap_or_else(|error| panic!("{}: {error}", self.request.url));
        let content = fs::read(self.file()).expect("the file");
        assert_eq!(downloaded.size, content.len() as u64);
        assert_eq!(self.progress.moved().bytes, downloaded.size);
        content
    }

    /// The code of the failure, which must come, and its sentence.
    fn failure(&self) -> (u16, String) {
        told(self.download())
    }

    fn upload(&self, content: &[u8]) -> Result<(), TransferError> {
        fs::write(self.file(), content).expect("a file");
        upload(&self.request, &self.file(), &self.progress, &self.stop)
    }
}

fn told<T: std::fmt::Debug>(result: Result<T, TransferError>) -> (u16, String) {
    let error = result.expect_err("a failure");
    let sentence = error.to_string();
    // R238: no other code may stand in TransferComplete.
    assert!(
        [9001, 9002, 9010, 9011, 9012].contains(&error.fault().number())
            || (9014..=9020).contains(&error.fault().number())
    );
    assert!(!sentence.is_empty() && sentence.chars().count() <= 256 && !sentence.contains("s3cret"), "{sentence}");
    (error.fault().number(), sentence)
}

/// A server with one file.
fn serving(served: Served) -> (FileServer, Attempt) {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/fw.bin", served);
    let attempt = Attempt::at(&server.url("/fw.bin"));
    (server, attempt)
}

/// R229, R41: whatever says where the file ends.
#[test]
fn a_file_comes_whole_in_every_framing() {
    for size in [0, 1, 8192, SIZE] {
        for form in [Served::sized, |size| Served::sized(size).chunked(), |size| Served::sized(size).until_close()] {
            let (server, attempt) = serving(form(size));
            assert!(attempt.content() == pattern(size));
            let metadata = fs::metadata(attempt.file()).expect("the file");
            assert_eq!((metadata.mode() & 0o777, metadata.len()), (0o600, size));
            assert_eq!(server.requests().len(), 1);
        }
    }
    let http_1_0 = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for answer in [&http_1_0[..], interim] {
        assert_eq!(serving(Served::raw(answer)).1.content(), b"hello");
    }
}

/// No coding is asked for; a server that names one means the file as it lies there.
#[test]
fn a_file_is_taken_as_it_is() {
    let (server, attempt) = serving(Served::file(b"\x1f\x8b no gzip").header("Content-Encoding", "gzip"));
    assert_eq!(attempt.content(), b"\x1f\x8b no gzip");
    assert_eq!(server.requests()[0].header("Accept-Encoding"), Some("identity"));
}

/// R236: the same URL twice is two downloads; what lay in the place of the file is gone, a link not followed.
#[test]
fn each_download_is_a_new_one() {
    let (server, attempt) = serving(Served::file("first").then(Served::file("2nd")));
    let other = attempt.directory.path().join("other");
    fs::write(&other, "untouched").expect("a file");
    symlink(&other, attempt.file()).expect("a link");
    assert_eq!(attempt.content(), b"first");
    assert_eq!(attempt.content(), b"2nd");
    assert_eq!(fs::read(other).expect("the other file"), b"untouched");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.header("If-None-Match").is_none()));
}

/// URLs go out as they came: `@`, escapes and queries in them are the server's business.
#[test]
fn urls_are_not_rewritten() {
    for target in ["/fw@1.2/a%2Fb%20c.bin?key=a@b%3D&x=/../y", "/%7Efw/./x//y.bin", "/?@"] {
        let server = FileServer::start(FileServerOptions::new());
        let path = target.split('?').next().expect("a path");
        server.serves(path, Served::file("content"));
        assert_eq!(Attempt::at(&server.url(target)).content(), b"content");
        assert_eq!(server.requests()[0].target, target);
    }
    let server = FileServer::start(FileServerOptions::new().ipv6());
    server.serves("/f", Served::file("content"));
    assert!(server.url("/f").starts_with("http://[::1]:"));
    assert_eq!(Attempt::at(&server.url("/f")).content(), b"content");
}

/// A broken connection costs what is on the way, and not what is here.
#[test]
fn the_rest_is_asked_for_behind_a_broken_connection() {
    let monday = "Mon, 09 Nov 2026 08:00:00 GMT";
    let cases = [
        (Served::sized(SIZE).etag("\"v1\""), Some("\"v1\"")),
        (Served::sized(SIZE).etag("\"v1\"").chunked(), Some("\"v1\"")),
        (Served::sized(SIZE).last_modified(monday), Some(monday)),
        (Served::sized(SIZE).etag("W/\"v1\""), None),
        (Served::sized(SIZE), None),
    ];
    for (served, validator) in cases {
        let (server, attempt) = serving(served.drops_after(100_000).times(2));
        assert!(attempt.content() == pattern(SIZE));
        let requests = server.requests();
        assert_eq!(requests.len(), 3);
        assert_eq!(server.ranges(), [None, Some("bytes=100000-".into()), Some("bytes=200000-".into())]);
        assert_eq!(requests[0].header("If-Range"), None);
        assert_eq!(requests[2].header("If-Range"), validator);
        assert_eq!(attempt.progress.moved(), Moved { bytes: SIZE, total: Some(SIZE) });
    }
}

/// Nothing tells one file from another there: it is fetched anew rather than patched together.
#[test]
fn a_file_without_a_sign_of_its_version_is_not_resumed() {
    let (server, attempt) = serving(Served::sized(SIZE).chunked().drops_after(100_000).times(1));
    assert!(attempt.content() == pattern(SIZE));
    assert_eq!(server.ranges(), [None, None]);
}

/// Servers that cannot do ranges, or do them wrong.
#[test]
fn the_download_starts_over_where_the_rest_is_not_to_be_had() {
    type Habit = fn(Served) -> Served;
    let cases: [(Habit, usize); 3] =
        [(Served::ignores_ranges, 2), (Served::refuses_ranges, 3), (Served::misplaces_ranges, 3)];
    for (habit, requests) in cases {
        let (server, attempt) = serving(habit(Served::sized(SIZE).drops_after(100_000).times(1)));
        assert!(attempt.content() == pattern(SIZE));
        assert_eq!(server.requests().len(), requests);
    }
    // As little as the server likes to give at a time.
    let served = Served::sized(SIZE).rations_ranges(60_000).drops_after(100_000).times(1);
    let (server, attempt) = serving(served);
    assert!(attempt.content() == pattern(SIZE));
    assert_eq!(server.requests().len(), 5);
}

/// Two halves of different files make no firmware.
#[test]
fn a_file_that_changes_meanwhile_is_fetched_anew() {
    let new = || Served::file(vec![b'n'; 250_000]);
    let old = || Served::sized(SIZE).drops_after(100_000);
    for (old, new) in [
        (old().etag("\"1\""), new().etag("\"2\"")),
        // The same ETag by mistake, but another size.
        (old().etag("\"1\""), new().etag("\"1\"")),
        (old(), new()),
    ] {
        let (_server, attempt) = serving(old.then(new));
        assert!(attempt.content() == vec![b'n'; 250_000]);
        assert_eq!(attempt.progress.moved().total, Some(250_000));
    }
}

/// R232: what never comes further has failed, and is not tried for ever.
#[test]
fn a_download_that_comes_no_further_fails() {
    let habit = Served::sized(SIZE).ignores_ranges().drops_after(1000);
    let (server, attempt) = serving(habit);
    let (code, sentence) = attempt.failure();
    assert_eq!(code, 9017);
    assert!(sentence.starts_with("the download ended after 1000 of 300000 bytes: "), "{sentence}");
    assert_eq!(server.requests().len(), 7);

    // Nothing of the file came, and so there is nothing to go on with.
    let (server, attempt) = serving(Served::sized(SIZE).drops_after(0));
    assert_eq!(attempt.failure().0, 9017);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_truncated_file_is_9017_and_a_short_length_is_what_the_server_says() {
    let (_server, attempt) = serving(Served::sized(SIZE).announces(SIZE + 1));
    assert_eq!(attempt.failure().0, 9017);
    let (_server, attempt) = serving(Served::sized(SIZE).announces(1000));
    assert!(attempt.content() == pattern(1000));
}

/// R235: FileSize alone never fails a download.
#[test]
fn a_wrong_file_size_is_no_failure() {
    for expected_size in [1, SIZE - 1, SIZE + 1, 1 << 62] {
        let (_server, mut attempt) = serving(Served::sized(SIZE));
        attempt.expected_size = expected_size;
        assert!(attempt.content() == pattern(SIZE));
    }
}

/// 9015: nobody was there. 9017: somebody was, and the file did not come to its end.
#[test]
fn a_server_that_falls_silent_is_left() {
    let (_server, attempt) = serving(Served::silence());
    let (code, sentence) = attempt.impatient().failure();
    assert_eq!((code, sentence.as_str()), (9015, "timed out while waiting for the answer"));

    let (server, mut attempt) = serving(Served::sized(SIZE).ignores_ranges().stalls_after(1000));
    attempt.request.limits.silence = Duration::from_millis(200);
    let (code, sentence) = attempt.failure();
    assert_eq!(code, 9017);
    assert!(sentence.ends_with("timed out while receiving the file"), "{sentence}");
    assert!(server.ranges().len() > 1);

    let (server, attempt) = serving(Served::sized(SIZE).stalls_after(1000).times(1));
    assert!(attempt.impatient().content() == pattern(SIZE));
    assert_eq!(server.ranges(), [None, Some("bytes=1000-".into())]);
}

/// Neither a trickle nor a file without an end goes on for longer than an attempt may.
#[test]
fn an_attempt_has_an_end() {
    let pause = Duration::from_millis(20);
    for served in [
        Served::sized(SIZE).trickles(1, pause),
        Served::sized(1000).endless().trickles(1000, pause),
        Served::sized(SIZE).trickles(10, pause).drops_after(20),
    ] {
        let (_server, mut attempt) = serving(served);
        attempt.request.limits.attempt = Duration::from_secs(1);
        let begin = Instant::now();
        let (code, sentence) = attempt.failure();
        assert_eq!((code, sentence.as_str()), (9017, "the transfer took longer than its limit of 1 s"));
        assert!(begin.elapsed() >= Duration::from_secs(1));
    }
}

/// Each wait ends, whatever it is for; and nothing stays behind.
#[test]
fn a_stop_ends_it_at_once() {
    let pause = Duration::from_millis(20);
    for served in [Served::silence(), Served::sized(SIZE).stalls_after(1000), Served::sized(SIZE).trickles(1, pause)] {
        let (server, attempt) = serving(served);
        let stopped = thread::scope(|scope| {
            let running = scope.spawn(|| attempt.download());
            server.requested(1, SOON);
            attempt.stop.store(true, Ordering::Relaxed);
            let begin = Instant::now();
            let result = running.join().expect("no panic");
            assert!(begin.elapsed() < SOON / 3, "{:?}", begin.elapsed());
            result
        });
        assert!(stopped.expect_err("stopped").is_stopped());
    }
}

/// The server is there, the file is not to be had.
#[test]
fn statuses_that_are_no_file() {
    for (status, is_lasting) in
        [(403, true), (404, true), (410, true), (204, true), (206, true), (304, true), (500, false), (503, false)]
    {
        let (_server, attempt) = serving(Served::status(status));
        let error = attempt.download().expect_err("no file");
        assert_eq!((error.fault().number(), error.is_lasting()), (9016, is_lasting), "{status}");
        assert!(error.to_string().starts_with(&format!("the file server answered with HTTP status {status}")));
    }
}

/// R65, R61: the file server chooses.
#[test]
fn challenges_are_answered() {
    let algorithms = [Algorithm::Unnamed, Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess];
    let mut offers: Vec<Vec<_>> = algorithms.map(|algorithm| vec![digest().algorithm(algorithm)]).into();
    offers.push(vec![digest().qop("auth,auth-int").opaque("o/p==")]);
    offers.push(vec![digest().qop("")]);
    offers.push(vec![basic()]);
    offers.push(vec![other_scheme("Negotiate"), basic(), digest()]);
    for offered in offers {
        let options = FileServerOptions::new().challenges(&offered, "cpe", "s3cret");
        for options in [options.clone(), options.clone().closes_silently(), options.forgets_nonces()] {
            let server = FileServer::start(options);
            server.serves("/a@b/fw.bin", Served::sized(SIZE).drops_after(100_000).times(1));
            assert!(Attempt::at(&server.url("/a@b/fw.bin?x=%20y")).content() == pattern(SIZE));
            assert_eq!(server.requests()[0].header("Authorization"), None);
        }
    }
}

/// 9012, and a sentence that says which of the two it is.
#[test]
fn refused_credentials() {
    for options in [FileServerOptions::new().basic("cpe", "other"), FileServerOptions::new().digest("cpe", "other")] {
        let server = FileServer::start(options);
        server.serves("/f", Served::file("x"));
        let mut attempt = Attempt::at(&server.url("/f"));
        assert_eq!(attempt.failure(), (9012, "the server refused the user name or the password".into()));
        assert_eq!(server.requests().len(), 2);
        attempt.request.username.clear();
        assert_eq!(attempt.failure(), (9012, "the file server asks for a user name, and none was given".into()));
        assert_eq!(server.requests().len(), 3);
    }
}

#[test]
fn redirects_are_followed() {
    for status in [301, 302, 303, 307, 308] {
        let (server, attempt) = serving(Served::redirect(status, "../dir/./there?x=1"));
        server.serves("/dir/there", Served::file("content"));
        assert_eq!(attempt.content(), b"content");
        assert_eq!(server.requests()[1].target, "/dir/there?x=1");
        assert_eq!(server.connections(), 1);
    }
    let chain = |length: usize| {
        let (server, attempt) = serving(Served::redirect(302, "/1"));
        for at in 1..length {
            server.serves(&format!("/{at}"), Served::redirect(302, &format!("/{}", at + 1)));
        }
        server.serves(&format!("/{length}"), Served::file("content"));
        (server, attempt)
    };
    assert_eq!(chain(5).1.content(), b"content");
    assert_eq!(chain(6).1.failure(), (9010, "a redirect was not followed: too many in a row".into()));
}

#[test]
fn redirects_that_lead_nowhere() {
    for location in ["/fw.bin", "ftp://127.0.0.1/fw.bin?key=4711", "http://u:4711@127.0.0.1:0/", "http://"] {
        let (_server, attempt) = serving(Served::redirect(302, location));
        let (code, sentence) = attempt.failure();
        assert!(code == 9010 && !sentence.contains("4711"), "{location}: {code} {sentence}");
    }
    assert_eq!(serving(Served::status(302)).1.failure().0, 9010);
}

/// The target of a redirect may be good for a moment only: the rest is asked for where the file was said to be.
#[test]
fn a_resumption_begins_at_the_url_that_was_given() {
    let (server, attempt) = serving(Served::redirect(302, "/signed?1").then(Served::redirect(302, "/signed?2")));
    server.serves("/signed", Served::sized(SIZE).etag("\"1\"").drops_after(100_000).times(1));
    assert!(attempt.content() == pattern(SIZE));
    let targets: Vec<String> = server.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/fw.bin", "/signed?1", "/fw.bin", "/signed?2"]);
}

/// The password is for the server that was named, and told to no other in clear text.
#[test]
fn another_host_does_not_get_the_password() {
    let other = FileServer::start(FileServerOptions::new().basic("cpe", "s3cret"));
    other.serves("/f", Served::file("content"));
    let (_server, attempt) = serving(Served::redirect(307, &other.url_of_host("localhost", "/f")));
    let (code, sentence) = attempt.failure();
    assert_eq!(code, 9012, "{sentence}");
    assert!(other.requests().iter().all(|request| request.header("Authorization").is_none()));

    let other = FileServer::start(FileServerOptions::new().digest("cpe", "s3cret"));
    other.serves("/f", Served::file("content"));
    let (_server, attempt) = serving(Served::redirect(307, &other.url_of_host("localhost", "/f")));
    assert_eq!(attempt.content(), b"content");
}

/// 9015: nobody to talk to.
#[test]
fn servers_that_are_not_there() {
    let (code, sentence) = Attempt::at("http://files.invalid/f").failure();
    assert_eq!(code, 9015);
    assert!(sentence.starts_with("the host name files.invalid does not resolve"), "{sentence}");

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    drop(listener);
    let (code, sentence) = Attempt::at(&format!("http://{address}/f")).failure();
    assert_eq!(code, 9015);
    assert!(sentence.starts_with(&format!("no connection to {address}")), "{sentence}");
    assert_eq!(Attempt::at("gopher://h/f").failure().0, 9010);
}

/// What is no HTTP is 9010 at worst, and never more than that.
#[test]
fn answers_that_are_no_http() {
    let ok = "HTTP/1.1 200 OK\r\n";
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "HTTP/1.1 99 What\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000),
        format!("{ok}Content-Length: -1\r\n\r\n"),
        format!("{ok}Content-Length: 99999999999999999999\r\n\r\n"),
        format!("{ok}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"),
        format!("{ok}no colon\r\n\r\n"),
        format!("{ok}X: {}\r\n\r\n", "x".repeat(100_000)),
        format!("{ok}{}\r\n", "X: y\r\n".repeat(1000)),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\n{}", "0".repeat(100_000)),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n"),
    ] {
        let (_server, attempt) = serving(Served::raw(answer.as_bytes()));
        let (code, sentence) = attempt.failure();
        assert_eq!(code, 9010, "{sentence}: {}", &answer[..answer.len().min(80)]);
    }
    // A length beyond every disk.
    let huge = format!("{ok}Content-Length: 18446744073709551615\r\n\r\nx");
    assert_eq!(serving(Served::raw(huge.as_bytes())).1.failure().0, 9010);
}

/// No byte from a server makes more of it than a file or a failure.
#[test]
fn survives_every_truncation_and_byte_flip() {
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nETag: \"1\"\r\nAccept-Ranges: bytes\r\n\r\nhello world";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
    let challenge = "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n\r\n";
    let server = FileServer::start(FileServerOptions::new());
    let attempt = Attempt::at(&server.url("/f"));
    for answer in [sized, chunked, challenge] {
        for at in 0..answer.len() {
            let mut damaged = answer.as_bytes().to_vec();
            damaged[at] ^= [0x01, 0x20, 0x80][at % 3];
            for bytes in [&answer.as_bytes()[..at], &damaged] {
                server.serves("/f", Served::raw(bytes));
                match attempt.download() {
                    Ok(downloaded) => assert!(downloaded.size <= 100, "{downloaded:?}"),
                    result => drop(told(result)),
                }
            }
        }
    }
}

/// R235: 9010, before a byte is written where the size is known, and before the last one is where it is not.
#[test]
fn a_full_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(mount) = Mount::at(directory.path().join("small"), "size=3m") else { return };
    let into = directory.path().join("small/file");
    let run = |served: Served, expected_size| {
        let (_server, attempt) = serving(served);
        let result = download(&attempt.request, &into, expected_size, &attempt.progress, &attempt.stop);
        assert!(result.is_ok() || !into.exists());
        (result, attempt.progress.moved().bytes)
    };
    let (result, bytes) = run(Served::sized(4 << 20), 0);
    let (code, sentence) = told(result);
    assert!(sentence.starts_with("the file does not fit on the device: 4194304 bytes are to come"), "{sentence}");
    assert_eq!((code, bytes), (9010, 0));
    let (result, bytes) = run(Served::sized(4 << 20).chunked(), 4 << 20);
    assert_eq!((told(result).0, bytes), (9010, 0));
    let (result, bytes) = run(Served::sized(1000).endless(), 0);
    assert_eq!(told(result).0, 9010);
    assert!(bytes >= 2 << 20, "{bytes}");
    assert!(run(Served::sized(2 << 20), 0).0.is_ok());
    fs::remove_file(&into).expect("the file");
    mount.fill();
    assert_eq!(told(run(Served::sized(1), 0).0).0, 9010);
}

/// PUT, with the length of the file and nothing else.
#[test]
fn an_upload_arrives() {
    for size in [0, 1, SIZE] {
        let server = FileServer::start(FileServerOptions::new());
        let attempt = Attempt::at(&server.url("/logs/a@b.log?x=%20"));
        let content = pattern(size);
        for _ in 0..2 {
            attempt.upload(&content).expect("201, then 204");
            assert!(server.uploaded("/logs/a@b.log") == Some(content.clone()));
            assert_eq!(attempt.progress.moved(), Moved { bytes: size, total: Some(size) });
        }
        let request = &server.requests()[0];
        assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/logs/a@b.log?x=%20"));
        assert_eq!(request.header("Content-Length"), Some(size.to_string().as_str()));
        assert_eq!(request.header("Transfer-Encoding"), None);
    }
}

/// R65: an upload is challenged, too. A server that says so at once is not sent the file for nothing.
#[test]
fn an_upload_is_challenged() {
    let large = pattern(4 << 20);
    for challenge in [digest(), basic(), digest().algorithm(Algorithm::Md5Sess)] {
        let options = FileServerOptions::new().challenges(&[challenge], "cpe", "s3cret");
        let server = FileServer::start(options.clone().hasty());
        Attempt::at(&server.url("/log")).upload(&large).expect("the right password");
        assert!(server.uploaded("/log") == Some(large.clone()));
        assert_eq!((server.requests().len(), server.unwanted_bytes()), (2, 0));

        let server = FileServer::start(options.closes_silently());
        Attempt::at(&server.url("/log")).upload(&large).expect("the right password");
        assert!(server.uploaded("/log") == Some(large.clone()));
    }
    for options in [FileServerOptions::new().digest("cpe", "other"), FileServerOptions::new().basic("x", "s3cret")] {
        for options in [options.clone().hasty(), options] {
            let server = FileServer::start(options);
            assert_eq!(told(Attempt::at(&server.url("/log")).upload(&large)).0, 9012);
            assert_eq!(server.uploaded("/log"), None);
        }
    }
}

/// The body goes along with a redirect, and is not sent to who does not want it.
#[test]
fn an_upload_is_redirected() {
    let large = pattern(4 << 20);
    for status in [301, 302, 307, 308] {
        let other = FileServer::start(FileServerOptions::new().digest("cpe", "s3cret").hasty());
        let server = FileServer::start(FileServerOptions::new().hasty());
        server.serves("/log", Served::redirect(status, &other.url("/there")));
        let attempt = Attempt::at(&server.url("/log"));
        attempt.upload(&large).expect("followed");
        assert!(other.uploaded("/there") == Some(large.clone()));
        assert_eq!(server.unwanted_bytes() + other.unwanted_bytes(), 0);
        assert_eq!(attempt.progress.moved(), Moved { bytes: 4 << 20, total: Some(4 << 20) });
    }
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/log", Served::redirect(307, "/log"));
    assert_eq!(told(Attempt::at(&server.url("/log")).upload(b"x")).0, 9011);
}

/// R252: uploads fail with 9011; what refines it is for downloads only.
#[test]
fn uploads_that_fail() {
    let large = pattern(8 << 20);
    for (served, hasty) in [
        (Served::status(403), false),
        (Served::status(413), true),
        (Served::status(500), false),
        (Served::redirect(303, "/seen"), false),
        (Served::sized(1).drops_after(100_000), false),
        (Served::sized(1).stalls_after(100_000), false),
        (Served::raw(b"who are you?"), false),
        (Served::raw(b""), false),
        (Served::silence(), false),
    ] {
        let options = FileServerOptions::new();
        let server = FileServer::start(if hasty { options.hasty() } else { options });
        server.serves("/log", served.clone());
        let mut attempt = Attempt::at(&server.url("/log")).impatient();
        attempt.request.username.clear(); // so that no challenge is waited for
        let (code, sentence) = told(attempt.upload(&large));
        assert_eq!(code, 9011, "{served:?}: {sentence}");
    }
    assert_eq!(told(Attempt::at("http://files.invalid/log").upload(b"x")).0, 9011);
    let attempt = Attempt::at("http://files.invalid/log");
    assert_eq!(told(upload(&attempt.request, &attempt.file(), &attempt.progress, &attempt.stop)).0, 9002);
}

/// Such a server says no while the file is on its way, and reads no more of it. What it says is heard all the same.
#[test]
fn a_refusal_in_the_middle_of_an_upload_is_heard() {
    let server = FileServer::start(FileServerOptions::new().deaf(Duration::from_millis(300)));
    server.serves("/log", Served::status(413));
    let mut attempt = Attempt::at(&server.url("/log")).impatient();
    attempt.request.username.clear();
    let (code, sentence) = told(attempt.upload(&pattern(16 << 20)));
    assert_eq!((code, sentence.as_str()), (9011, "the file server answered with HTTP status 413 (too large)"));
}

#[test]
fn a_stop_ends_an_upload() {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/log", Served::sized(1).stalls_after(1000));
    let attempt = Attempt::at(&server.url("/log"));
    let stopped = thread::scope(|scope| {
        let running = scope.spawn(|| attempt.upload(&pattern(16 << 20)));
        server.requested(1, SOON);
        attempt.stop.store(true, Ordering::Relaxed);
        running.join().expect("no panic")
    });
    assert!(stopped.expect_err("stopped").is_stopped());
}

/// 9019: a file that nobody vouches for is not used.
#[test]
fn a_file_is_held_against_its_sum_and_its_signature() {
    let content = pattern(100_000);
    let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([3; 32]));
    let other = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([4; 32]));
    let checks = Checks { sha256: true, signed_by: Some(PublicKey::parse(&*pair.pk).expect("a key")) };
    let sum = |content: &[u8]| {
        use sha2::Digest;
        let hex: String = sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        Served::file(format!("{hex}  fw.bin\n"))
    };
    let signature = |pair: &ed25519_compact::KeyPair| Served::file(pair.sk.sign(&content, None).to_vec());
    let run = |sum: Option<Served>, signature: Option<Served>| {
        let server = FileServer::start(FileServerOptions::new().digest("cpe", "s3cret"));
        server.serves("/fw.bin", Served::file(content.clone()));
        for (path, companion) in [("/fw.bin.sha256", sum), ("/fw.bin.sig", signature)] {
            if let Some(companion) = companion {
                server.serves(path, companion);
            }
        }
        let attempt = Attempt::at(&server.url("/fw.bin?key=1"));
        attempt.content();
        let result = verify(&attempt.request, &attempt.file(), &checks, &attempt.stop);
        assert_eq!(
            server.requests().last().expect("a request").target.split_once('?').map(|(_, key)| key),
            Some("key=1")
        );
        result
    };
    run(Some(sum(&content)), Some(signature(&pair))).expect("a good file");
    for (sum, signature) in [
        (None, Some(signature(&pair))),
        (Some(sum(b"")), Some(signature(&pair))),
        (Some(Served::file("<html>")), Some(signature(&pair))),
        (Some(Served::file(vec![b'0'; 1 << 20])), Some(signature(&pair))),
        (Some(Served::sized(1).endless()), Some(signature(&pair))),
        (Some(sum(&content)), None),
        (Some(sum(&content)), Some(signature(&other))),
        (Some(sum(&content)), Some(Served::file(vec![0; 64]))),
        (Some(sum(&content)), Some(Served::file(""))),
    ] {
        let (code, sentence) = told(run(sum, signature));
        assert_eq!(code, 9019, "{sentence}");
    }
    // Out of reach is not the same as wrong.
    assert_eq!(told(run(Some(Served::status(503)), None)).0, 9016);
    let attempt = Attempt::at("http://files.invalid/fw.bin");
    assert_eq!(told(fetch_companion(&attempt.request, ".sig", &attempt.stop)).0, 9015);
    verify(&attempt.request, &attempt.file(), &Checks::default(), &attempt.stop).expect("nothing to check");
}

#[cfg(feature = "tls")]
mod over_tls {
    use super::support::{Authority, Flaw};
    use super::*;

    fn trusting(authority: &Authority, url: &str) -> Attempt {
        let mut attempt = Attempt::at(url);
        attempt.request.tls.ca_file = Some(authority.ca_file(attempt.directory.path()));
        attempt
    }

    fn secure(authority: &Authority, flaw: Flaw) -> FileServer {
        let server = FileServer::start(FileServerOptions::new().tls(authority.server(flaw)).basic("cpe", "s3cret"));
        server.serves("/f", Served::sized(SIZE).until_close().drops_after(100_000).times(1).etag("\"1\""));
        server
    }

    /// R30, R32, R65: a file server must be as convincing as an ACS.
    #[test]
    fn tls_is_verified_as_towards_the_acs() {
        let authority = Authority::new("test CA");
        // The end of the connection is the end of the file only with the farewell of TLS.
        let server = secure(&authority, Flaw::None);
        assert!(trusting(&authority, &server.url("/f")).content() == pattern(SIZE));
        assert_eq!(server.ranges().last(), Some(&Some("bytes=100000-".into())));

        for flaw in [Flaw::WrongName, Flaw::Expired, Flaw::NotYetValid, Flaw::OnlyCommonName] {
            let server = secure(&authority, flaw);
            let (code, sentence) = trusting(&authority, &server.url("/f")).failure();
            assert!(code == 9015 && sentence.starts_with("no secure connection: "), "{code} {sentence}");
            assert!(server.requests().is_empty());
        }
        let server = secure(&authority, Flaw::None);
        assert_eq!(trusting(&Authority::new("other CA"), &server.url("/f")).failure().0, 9015);
        assert!(server.requests().is_empty());

        let server = secure(&authority, Flaw::Expired);
        let mut attempt = trusting(&authority, &server.url("/f"));
        attempt.request.clock_is_set = false;
        assert!(attempt.content() == pattern(SIZE));
    }

    /// A password that was to go over TLS is not told without.
    #[test]
    fn a_redirect_away_from_tls_does_not_take_the_password_along() {
        let authority = Authority::new("test CA");
        let open = FileServer::start(FileServerOptions::new().basic("cpe", "s3cret"));
        open.serves("/f", Served::file("content"));
        let server = secure(&authority, Flaw::None);
        server.serves("/f", Served::redirect(302, &open.url("/f")));
        assert_eq!(trusting(&authority, &server.url("/f")).failure().0, 9012);
        assert!(open.requests().iter().all(|request| request.header("Authorization").is_none()));
    }

    #[test]
    fn an_upload_over_tls() {
        let authority = Authority::new("test CA");
        let large = pattern(4 << 20);
        for challenge in [digest(), basic()] {
            let options = FileServerOptions::new().tls(authority.server(Flaw::None));
            let server = FileServer::start(options.challenges(&[challenge], "cpe", "s3cret").hasty());
            trusting(&authority, &server.url("/log")).upload(&large).expect("the right password");
            assert!(server.uploaded("/log") == Some(large.clone()));
            assert_eq!(server.requests().len(), 2);
        }
    }
}
