//! The results of downloads, and their time.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use cpe_agent::transfer::download;

use super::attempt::{Attempt, SIZE, SOON, serving, told};
use crate::support::port::closed_address;
use crate::support::{FileServer, FileServerOptions, FileSpec, Mount, pattern};

/// R229, R41: the file is complete with every way to mark its end.
#[test]
fn a_file_comes_whole_in_every_framing() {
    for size in [0, 1, 8192, SIZE] {
        for form in
            [FileSpec::sized, |size| FileSpec::sized(size).chunked(), |size| FileSpec::sized(size).until_close()]
        {
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
        assert_eq!(serving(FileSpec::raw(answer)).1.content(), b"hello");
    }
}

/// RFC 7231 §3.1.2.2, §5.3.4: the agent accepts no compression. A file that comes with one fails, unless the name, the type
/// or FileSize shows that it is that of the stored file.
#[test]
fn a_compressed_file_is_refused_unless_it_is_stored_so() {
    let gzip = || FileSpec::file(b"\x1f\x8b content").header("Content-Encoding", "gzip");
    let (server, attempt) = serving(gzip());
    let (code, sentence) = attempt.failure();
    assert_eq!(code, 9010);
    assert!(sentence.starts_with("the server sent the body with Content-Encoding gzip"), "{sentence}");
    assert!(attempt.download().expect_err("compressed").is_permanent());
    assert_eq!(server.requests()[0].header("Accept-Encoding"), Some("identity"));

    let fetch = |path: &str, file: FileSpec, file_size: u64| {
        let server = FileServer::start(FileServerOptions::new());
        server.serves(path.split('?').next().expect("a path"), file);
        let mut attempt = Attempt::at(&server.url(path));
        attempt.expected_size = file_size;
        attempt.download().map_err(|error| error.fault().number())
    };
    for (path, file, file_size) in [
        ("/fw.tar.gz", gzip(), 0),
        ("/FW.TGZ", gzip(), 0),
        ("/fw.tar.gz.img", gzip(), 0), // mod_mime of Apache looks at every extension
        ("/get?file=fw.tar.gz&key=1", gzip(), 0),
        ("/fw.Z", FileSpec::file("x").header("Content-Encoding", "x-compress"), 0),
        ("/get", gzip().header("Content-Type", "application/x-gzip"), 0),
        ("/fw.bin", gzip(), 10),
        ("/fw.bin", FileSpec::file("x").header("Content-Encoding", "identity"), 0),
        ("/fw.bin", FileSpec::file("x").header("Content-Encoding", "utf-8"), 0),
    ] {
        let size = (file_size > 0).then_some(file_size);
        let stored = fetch(path, file, file_size).unwrap_or_else(|code| panic!("{path}: {code}"));
        assert!(size.is_none_or(|size| size == stored.size), "{path}");
    }
    for (path, file, file_size) in [
        ("/fw.bin", gzip(), 11),
        ("/fw.zip", gzip(), 0),
        ("/gz/fw.bin", gzip(), 0),
        ("/fw.tar.gz", FileSpec::file("x").header("Content-Encoding", "br"), 0),
    ] {
        assert_eq!(fetch(path, file, file_size).expect_err(path), 9010);
    }
    // A redirect may lead to the name of the file.
    let (server, attempt) = serving(FileSpec::redirect(302, "/store/fw.gz"));
    server.serves("/store/fw.gz", gzip());
    assert_eq!(attempt.content(), b"\x1f\x8b content");
}

/// R236: the same URL twice is two downloads. An older file in the place of the new one is removed, and a link there is
/// not followed.
#[test]
fn each_download_is_a_new_one() {
    let (server, attempt) = serving(FileSpec::file("first").then(FileSpec::file("2nd")));
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

/// URLs are sent unchanged, with `@`, escapes and query.
#[test]
fn urls_are_not_rewritten() {
    for target in ["/fw@1.2/a%2Fb%20c.bin?key=a@b%3D&x=/../y", "/%7Efw/./x//y.bin", "/?@"] {
        let server = FileServer::start(FileServerOptions::new());
        let path = target.split('?').next().expect("a path");
        server.serves(path, FileSpec::file("content"));
        assert_eq!(Attempt::at(&server.url(target)).content(), b"content");
        assert_eq!(server.requests()[0].target, target);
    }
    let server = FileServer::start(FileServerOptions::new().ipv6());
    server.serves("/f", FileSpec::file("content"));
    assert!(server.url("/f").starts_with("http://[::1]:"));
    assert_eq!(Attempt::at(&server.url("/f")).content(), b"content");
}

/// A file that ends before its announced length fails with 9017. A file with a shorter announced length ends at that
/// length.
#[test]
fn a_truncated_file_is_9017_and_a_short_length_is_what_the_server_says() {
    let (_server, attempt) = serving(FileSpec::sized(SIZE).announces(SIZE + 1));
    assert_eq!(attempt.failure().0, 9017);
    let (_server, attempt) = serving(FileSpec::sized(SIZE).announces(1000));
    assert!(attempt.content() == pattern(1000));
}

/// R235: FileSize alone never fails a download.
#[test]
fn a_wrong_file_size_is_no_failure() {
    for expected_size in [1, SIZE - 1, SIZE + 1, 1 << 62] {
        let (_server, mut attempt) = serving(FileSpec::sized(SIZE));
        attempt.expected_size = expected_size;
        assert!(attempt.content() == pattern(SIZE));
    }
}

/// 9015: no server answered. 9017: a server answered, and the file did not come to its end.
#[test]
fn a_server_that_falls_silent_is_left() {
    let (_server, attempt) = serving(FileSpec::silence());
    let (code, sentence) = attempt.impatient().failure();
    assert_eq!((code, sentence.as_str()), (9015, "timed out while waiting for the answer"));

    let (server, mut attempt) = serving(FileSpec::sized(SIZE).ignores_ranges().stalls_after(1000));
    attempt.request.limits.silence = Duration::from_millis(200);
    let (code, sentence) = attempt.failure();
    assert_eq!(code, 9017);
    assert!(sentence.ends_with("timed out while receiving the file"), "{sentence}");
    assert!(server.ranges().len() > 1);

    let (server, attempt) = serving(FileSpec::sized(SIZE).stalls_after(1000).times(1));
    assert!(attempt.impatient().content() == pattern(SIZE));
    assert_eq!(server.ranges(), [None, Some("bytes=1000-".into())]);
}

/// A slow file and an endless file end at the limit of the attempt.
#[test]
fn an_attempt_has_an_end() {
    let pause = Duration::from_millis(20);
    for file in [
        FileSpec::sized(SIZE).trickles(1, pause),
        FileSpec::sized(1000).endless().trickles(1000, pause),
        FileSpec::sized(SIZE).trickles(10, pause).drops_after(20),
    ] {
        let (_server, mut attempt) = serving(file);
        attempt.request.limits.attempt = Duration::from_secs(1);
        let begin = Instant::now();
        let (code, sentence) = attempt.failure();
        assert_eq!((code, sentence.as_str()), (9017, "the transfer took longer than its limit of 1 s"));
        assert!(begin.elapsed() >= Duration::from_secs(1));
    }
}

/// A stop ends every wait of an attempt, and no file stays behind.
#[test]
fn a_stop_ends_it_at_once() {
    let pause = Duration::from_millis(20);
    for file in
        [FileSpec::silence(), FileSpec::sized(SIZE).stalls_after(1000), FileSpec::sized(SIZE).trickles(1, pause)]
    {
        let (server, attempt) = serving(file);
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

/// A status other than success fails with the code for it.
#[test]
fn statuses_that_are_no_file() {
    for (status, is_permanent) in
        [(403, true), (404, true), (410, true), (204, true), (206, true), (304, true), (500, false), (503, false)]
    {
        let (_server, attempt) = serving(FileSpec::status(status));
        let error = attempt.download().expect_err("no file");
        assert_eq!((error.fault().number(), error.is_permanent()), (9016, is_permanent), "{status}");
        assert!(error.to_string().starts_with(&format!("the file server answered with HTTP status {status}")));
    }
}

/// 9015: no server can be reached.
#[test]
fn servers_that_are_not_there() {
    let (code, sentence) = Attempt::at("http://files.invalid/f").failure();
    assert_eq!(code, 9015);
    assert!(sentence.starts_with("the host name files.invalid does not resolve"), "{sentence}");

    let address = closed_address();
    let (code, sentence) = Attempt::at(&format!("http://{address}/f")).failure();
    assert_eq!(code, 9015);
    assert!(sentence.starts_with(&format!("no connection to {address}")), "{sentence}");
    assert_eq!(Attempt::at("gopher://h/f").failure().0, 9010);
}

/// A response that is no HTTP fails the download with 9010 at worst.
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
        format!("{ok}X: {}\r\n\r\n", "x".repeat(100_000)),
        format!("{ok}{}\r\n", "X: y\r\n".repeat(1000)),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\n{}", "0".repeat(100_000)),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n"),
    ] {
        let (_server, attempt) = serving(FileSpec::raw(answer.as_bytes()));
        let (code, sentence) = attempt.failure();
        assert_eq!(code, 9010, "{sentence}: {}", &answer[..answer.len().min(80)]);
    }
    // The length exceeds every disk.
    let huge = format!("{ok}Content-Length: 18446744073709551615\r\n\r\nx");
    assert_eq!(serving(FileSpec::raw(huge.as_bytes())).1.failure().0, 9010);
}

/// A response with any byte changed, or cut at any byte, gives a file or a failure, never a panic.
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
                server.serves("/f", FileSpec::raw(bytes));
                match attempt.download() {
                    Ok(downloaded) => assert!(downloaded.size <= 100, "{downloaded:?}"),
                    result => drop(told(result)),
                }
            }
        }
    }
}

/// R235: a full disk fails with 9010, before the first byte if the size is known, otherwise when the room ends.
#[test]
fn a_full_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(mount) = Mount::at(directory.path().join("small"), "size=3m") else { return };
    let into = directory.path().join("small/file");
    let run = |file: FileSpec, expected_size| {
        let (_server, attempt) = serving(file);
        let result = download(&attempt.request, &into, expected_size, &attempt.progress, &attempt.stop);
        assert!(result.is_ok() || !into.exists());
        (result, attempt.progress.moved().bytes)
    };
    let (result, bytes) = run(FileSpec::sized(4 << 20), 0);
    let (code, sentence) = told(result);
    assert!(sentence.starts_with("the file does not fit on the device: 4194304 bytes are to come"), "{sentence}");
    assert_eq!((code, bytes), (9010, 0));
    let (result, bytes) = run(FileSpec::sized(4 << 20).chunked(), 4 << 20);
    assert_eq!((told(result).0, bytes), (9010, 0));
    let (result, bytes) = run(FileSpec::sized(1000).endless(), 0);
    assert_eq!(told(result).0, 9010);
    assert!(bytes >= 2 << 20, "{bytes}");
    assert!(run(FileSpec::sized(2 << 20), 0).0.is_ok());
    fs::remove_file(&into).expect("the file");
    mount.fill();
    assert_eq!(told(run(FileSpec::sized(1), 0).0).0, 9010);
}
