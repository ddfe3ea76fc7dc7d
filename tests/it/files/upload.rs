//! Uploads.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use cpe_agent::transfer::{Moved, upload};

use super::attempt::{Attempt, SIZE, SOON, told};
use crate::support::{Algorithm, FileServer, FileServerOptions, FileSpec, basic, digest, pattern};

/// An upload is a PUT with the length and the bytes of the file.
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

/// R65: an upload answers a challenge. A server that sends the challenge at once does not receive the file in vain.
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

/// The body is sent to the target of a redirect, and not to the server that redirects.
#[test]
fn an_upload_is_redirected() {
    let large = pattern(4 << 20);
    for status in [301, 302, 307, 308] {
        let other = FileServer::start(FileServerOptions::new().digest("cpe", "s3cret").hasty());
        let server = FileServer::start(FileServerOptions::new().hasty());
        server.serves("/log", FileSpec::redirect(status, &other.url("/there")));
        let attempt = Attempt::at(&server.url("/log"));
        attempt.upload(&large).expect("followed");
        assert!(other.uploaded("/there") == Some(large.clone()));
        assert_eq!(server.unwanted_bytes() + other.unwanted_bytes(), 0);
        assert_eq!(attempt.progress.moved(), Moved { bytes: 4 << 20, total: Some(4 << 20) });
    }
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/log", FileSpec::redirect(307, "/log"));
    assert_eq!(told(Attempt::at(&server.url("/log")).upload(b"x")).0, 9011);
}

/// R252: uploads fail with 9011; the finer codes are for downloads only.
#[test]
fn uploads_that_fail() {
    let large = pattern(8 << 20);
    for (file, hasty) in [
        (FileSpec::status(403), false),
        (FileSpec::status(413), true),
        (FileSpec::status(500), false),
        (FileSpec::redirect(303, "/seen"), false),
        (FileSpec::sized(1).drops_after(100_000), false),
        (FileSpec::sized(1).stalls_after(100_000), false),
        (FileSpec::raw(b"who are you?"), false),
        (FileSpec::raw(b""), false),
        (FileSpec::silence(), false),
    ] {
        let options = FileServerOptions::new();
        let server = FileServer::start(if hasty { options.hasty() } else { options });
        server.serves("/log", file.clone());
        let mut attempt = Attempt::at(&server.url("/log")).impatient();
        attempt.request.username.clear(); // so that no challenge is waited for
        let (code, sentence) = told(attempt.upload(&large));
        assert_eq!(code, 9011, "{file:?}: {sentence}");
    }
    assert_eq!(told(Attempt::at("http://files.invalid/log").upload(b"x")).0, 9011);
    let attempt = Attempt::at("http://files.invalid/log");
    assert_eq!(told(upload(&attempt.request, &attempt.file(), &attempt.progress, &attempt.stop)).0, 9002);
}

/// The answer of a server is read even if it refuses an upload in the middle of the file and reads no more of it.
#[test]
fn a_refusal_in_the_middle_of_an_upload_is_heard() {
    let server = FileServer::start(FileServerOptions::new().deaf(Duration::from_millis(300)));
    server.serves("/log", FileSpec::status(413));
    let mut attempt = Attempt::at(&server.url("/log")).impatient();
    attempt.request.username.clear();
    let (code, sentence) = told(attempt.upload(&pattern(16 << 20)));
    assert_eq!((code, sentence.as_str()), (9011, "the file server answered with HTTP status 413 (too large)"));
}

/// An upload ends at once when the agent is stopped.
#[test]
fn a_stop_ends_an_upload() {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/log", FileSpec::sized(1).stalls_after(1000));
    let attempt = Attempt::at(&server.url("/log"));
    let stopped = thread::scope(|scope| {
        let running = scope.spawn(|| attempt.upload(&pattern(16 << 20)));
        server.requested(1, SOON);
        attempt.stop.store(true, Ordering::Relaxed);
        running.join().expect("no panic")
    });
    assert!(stopped.expect_err("stopped").is_stopped());
}
