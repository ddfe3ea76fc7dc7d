//! Going on behind a broken connection.

use cpe_agent::transfer::Moved;

use super::attempt::{SIZE, serving};
use crate::support::{FileSpec, pattern};

/// A broken connection costs only the bytes on their way: the rest is requested from the last received byte.
#[test]
fn the_rest_is_asked_for_behind_a_broken_connection() {
    let monday = "Mon, 09 Nov 2026 08:00:00 GMT";
    let cases = [
        (FileSpec::sized(SIZE).etag("\"v1\""), Some("\"v1\"")),
        (FileSpec::sized(SIZE).etag("\"v1\"").chunked(), Some("\"v1\"")),
        (FileSpec::sized(SIZE).last_modified(monday), Some(monday)),
        (FileSpec::sized(SIZE).etag("W/\"v1\""), None),
        (FileSpec::sized(SIZE), None),
    ];
    for (file, validator) in cases {
        let (server, attempt) = serving(file.drops_after(100_000).times(2));
        assert!(attempt.content() == pattern(SIZE));
        let requests = server.requests();
        assert_eq!(requests.len(), 3);
        assert_eq!(server.ranges(), [None, Some("bytes=100000-".into()), Some("bytes=200000-".into())]);
        assert_eq!(requests[0].header("If-Range"), None);
        assert_eq!(requests[2].header("If-Range"), validator);
        assert_eq!(attempt.progress.moved(), Moved { bytes: SIZE, total: Some(SIZE) });
    }
}

/// Without ETag and Last-Modified the two parts could come from different files: the file is fetched anew.
#[test]
fn a_file_without_a_sign_of_its_version_is_not_resumed() {
    let (server, attempt) = serving(FileSpec::sized(SIZE).chunked().drops_after(100_000).times(1));
    assert!(attempt.content() == pattern(SIZE));
    assert_eq!(server.ranges(), [None, None]);
}

/// The download starts again if the server does not support ranges, or answers them wrongly.
#[test]
fn the_download_starts_over_where_the_rest_is_not_to_be_had() {
    type Habit = fn(FileSpec) -> FileSpec;
    let cases: [(Habit, usize); 3] =
        [(FileSpec::ignores_ranges, 2), (FileSpec::refuses_ranges, 3), (FileSpec::misplaces_ranges, 3)];
    for (habit, requests) in cases {
        let (server, attempt) = serving(habit(FileSpec::sized(SIZE).drops_after(100_000).times(1)));
        assert!(attempt.content() == pattern(SIZE));
        assert_eq!(server.requests().len(), requests);
    }
    // The server sends only a small part of each range.
    let file = FileSpec::sized(SIZE).rations_ranges(60_000).drops_after(100_000).times(1);
    let (server, attempt) = serving(file);
    assert!(attempt.content() == pattern(SIZE));
    assert_eq!(server.requests().len(), 5);
}

/// A file that changes during the download is fetched again from the start.
#[test]
fn a_file_that_changes_meanwhile_is_fetched_anew() {
    let new = || FileSpec::file(vec![b'n'; 250_000]);
    let old = || FileSpec::sized(SIZE).drops_after(100_000);
    for (old, new) in [
        (old().etag("\"1\""), new().etag("\"2\"")),
        // The file has the same ETag by mistake, but another size.
        (old().etag("\"1\""), new().etag("\"1\"")),
        (old(), new()),
    ] {
        let (_server, attempt) = serving(old.then(new));
        assert!(attempt.content() == vec![b'n'; 250_000]);
        assert_eq!(attempt.progress.moved().total, Some(250_000));
    }
}

/// R232: a download that makes no progress fails, and is not repeated for ever.
#[test]
fn a_download_that_comes_no_further_fails() {
    let habit = FileSpec::sized(SIZE).ignores_ranges().drops_after(1000);
    let (server, attempt) = serving(habit);
    let (code, sentence) = attempt.failure();
    assert_eq!(code, 9017);
    assert!(sentence.starts_with("the download ended after 1000 of 300000 bytes: "), "{sentence}");
    assert_eq!(server.requests().len(), 7);

    // No byte of the file came, so that no range can be requested.
    let (server, attempt) = serving(FileSpec::sized(SIZE).drops_after(0));
    assert_eq!(attempt.failure().0, 9017);
    assert_eq!(server.requests().len(), 1);
}

/// The rest is requested from the original URL, because the target of a redirect may be valid for a moment only.
#[test]
fn a_resumption_begins_at_the_url_that_was_given() {
    let (server, attempt) = serving(FileSpec::redirect(302, "/signed?1").then(FileSpec::redirect(302, "/signed?2")));
    server.serves("/signed", FileSpec::sized(SIZE).etag("\"1\"").drops_after(100_000).times(1));
    assert!(attempt.content() == pattern(SIZE));
    let targets: Vec<String> = server.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/fw.bin", "/signed?1", "/fw.bin", "/signed?2"]);
}
