//! Transfers with servers that stop, break off, never end and never answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::*;
use crate::mailbox::Mailbox;

/// Serves each connection on a thread of its own until the test ends; returns the URL.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/file?key=1", listener.local_addr().expect("an address"));
    let serve = Arc::new(serve);
    let accept = move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            let work = Box::new(move || serve(stream));
            thread::spawn("served", 256 << 10, work).expect("a thread");
        }
    };
    thread::spawn("server", 256 << 10, Box::new(accept)).expect("a thread");
    url
}

/// Reads the header of a request.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Answers each request of a connection with these bytes.
fn answering(bytes: Vec<u8>) -> impl Fn(TcpStream) + Send + Sync {
    move |mut stream| {
        while !read_head(&mut stream).is_empty() && stream.write_all(&bytes).is_ok() {}
    }
}

/// Answers with a header and then with zeros until the client closes the connection.
fn endless(mut stream: TcpStream) {
    read_head(&mut stream);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    while stream.write_all(&[0; 8192]).is_ok() {}
}

/// Reads the header of a request and nothing else, and never answers.
fn silent(mut stream: TcpStream) {
    read_head(&mut stream);
    std::thread::sleep(Duration::from_secs(60));
}

fn file(size: usize) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes(), vec![0; size]].concat()
}

fn download(url: &str) -> SpeedTest {
    SpeedTest {
        direction: Direction::Download,
        url: url.to_owned(),
        length: 0,
        connections: 1,
        duration: Duration::ZERO,
        interval: Duration::ZERO,
        offset: Duration::ZERO,
        silence: Duration::from_millis(500),
        options: SocketOptions::default(),
        tls: TlsSettings::default(),
        clock_is_set: true,
        stop: Arc::default(),
    }
}

fn upload(url: &str, length: u64) -> SpeedTest {
    SpeedTest { direction: Direction::Upload, length, ..download(url) }
}

fn run(test: &SpeedTest) -> Result<SpeedResult, Box<Failure>> {
    super::run(&Arc::new(test.clone()), &mut |_| ())
}

fn result(test: &SpeedTest) -> SpeedResult {
    run(test).expect("a result")
}

fn failure(test: &SpeedTest) -> &'static str {
    run(test).expect_err("a failure").state
}

/// The times are in their order, and the bytes those of header and body.
#[test]
fn a_download_is_measured() {
    let bytes = file(1 << 20);
    let length = bytes.len() as u64;
    let result = result(&SpeedTest { connections: 3, ..download(&server(answering(bytes))) });
    assert_eq!(result.address, Some([127, 0, 0, 1].into()));
    assert_eq!(result.total.span.bytes, 3 * length);
    assert_eq!(result.connections.iter().map(|one| one.span.bytes).collect::<Vec<_>>(), [length; 3]);
    for one in &result.connections {
        let times = [one.open_requested, one.open_answered, one.requested, one.span.begin, one.span.end];
        assert!(times.is_sorted() && times[0] > Duration::from_secs(1_700_000_000), "{times:?}");
        assert!(one.open_requested <= result.total.open_requested && one.requested >= result.total.requested);
        assert!(one.span.begin >= result.total.span.begin && one.span.end <= result.total.span.end);
    }
    assert!(result.full.bytes <= 3 * length && result.full.length() <= result.total.span.length());
}

#[test]
fn a_test_by_time_asks_again_on_the_same_connection() {
    let test = download(&server(answering(file(50_000))));
    let second = Duration::from_secs(1);
    let test = SpeedTest { duration: second, interval: Duration::from_millis(250), ..test };
    let result = result(&test);
    assert!(result.total.span.bytes > 200_000, "{:?}", result.total);
    assert!((Duration::from_millis(900)..second * 2).contains(&result.total.span.length()), "{:?}", result.total);
    assert_eq!(result.intervals.len(), 4);
    for one in &result.intervals {
        assert!(one.bytes > 0 && (100..500).contains(&one.length().as_millis()), "{one:?}");
    }
    let after_offset = SpeedTest { offset: Duration::from_millis(600), ..test };
    assert_eq!(run(&after_offset).expect("a result").intervals.len(), 1);
}

#[test]
fn time_ends_a_download_that_never_ends_and_one_that_stalls() {
    let stalling = |mut stream: TcpStream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome");
        let _ = stream.read(&mut [0]);
    };
    for url in [server(endless), server(stalling)] {
        let silence = Duration::from_secs(30);
        let test = SpeedTest { duration: Duration::from_millis(300), silence, ..download(&url) };
        let begun = now();
        assert!(result(&test).total.span.bytes > 40);
        assert!(begun.elapsed() < test.silence / 2, "{:?}", begun.elapsed());
    }
}

#[test]
fn an_upload_is_measured_until_its_response() {
    let accepting = |mut stream: TcpStream| {
        let head = read_head(&mut stream);
        let mut left = 300_000;
        assert!(head.starts_with("PUT /file?key=1 ") && head.contains("Content-Length: 300000\r\n"), "{head}");
        let mut buffer = [0; 8192];
        let mut last = 0;
        while left > 0 {
            let length = stream.read(&mut buffer).expect("the body");
            last = buffer[0];
            left -= length;
        }
        let _ = write!(stream, "HTTP/1.1 201 Created\r\nX: {last}\r\nContent-Length: 0\r\n\r\n");
    };
    let result = result(&upload(&server(accepting), 300_000));
    let bytes = result.total.span.bytes;
    assert!((300_000..300_400).contains(&bytes), "{bytes}");
    let total = result.total;
    assert!([total.open_answered, total.requested, total.span.begin, total.span.end].is_sorted());
}

#[test]
fn an_upload_by_time_is_chunked() {
    let (sender, seen) = (Mailbox::new(), Mailbox::new());
    let (given, taken) = (sender.clone(), seen.clone());
    let accepting = move |mut stream: TcpStream| {
        let head = read_head(&mut stream);
        let mut body = 0_u64;
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut byte = [0];
            while !line.ends_with(b"\r\n") && stream.read(&mut byte).is_ok_and(|length| length == 1) {
                line.push(byte[0]);
            }
            let length =
                usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).expect("the length of a chunk");
            let mut chunk = vec![0; length + 2];
            stream.read_exact(&mut chunk).expect("a chunk");
            assert!(chunk.ends_with(b"\r\n"));
            if length == 0 {
                break;
            }
            body += length as u64;
        }
        given.post(head);
        taken.post(body);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    };
    let test = SpeedTest { duration: Duration::from_millis(300), ..upload(&server(accepting), 0) };
    let result = result(&test);
    let head = sender.take().expect("a request");
    assert!(head.contains("Transfer-Encoding: chunked\r\n") && !head.contains("Content-Length"), "{head}");
    assert_eq!(result.total.span.bytes, seen.take().expect("a body") + head.len() as u64);
    assert!(result.total.span.length() >= Duration::from_millis(250), "{:?}", result.total);
}

#[test]
fn each_failure_has_its_name() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let status = |line: &str| server(answering(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes()));
    let short = |mut stream: TcpStream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome");
    };
    let stalling = |mut stream: TcpStream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome");
        let _ = stream.read(&mut [0]);
    };
    let closing = |mut stream: TcpStream| drop(read_head(&mut stream));
    let cutting_off = |mut stream: TcpStream| {
        read_head(&mut stream);
        let _ = stream.read(&mut [0]);
    };
    for (url, state) in [
        ("ftp://127.0.0.1/file".to_owned(), "Error_Other"),
        ("no URL".to_owned(), "Error_Other"),
        ("http://no-such-host.invalid/".to_owned(), "Error_CannotResolveHostName"),
        (format!("http://{closed}/"), "Error_InitConnectionFailed"),
        ("http://255.255.255.255/".to_owned(), "Error_NoRouteToHost"),
        (server(silent), "Error_NoResponse"),
        (server(closing), "Error_NoResponse"),
        (status("404 Not Found"), "Error_TransferFailed"),
        (status("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\""), "Error_LoginFailed"),
        (status("302 Found\r\nLocation: /file?key=1"), "Error_TransferFailed"),
        (server(short), "Error_TransferFailed"),
        (server(stalling), "Error_Timeout"),
        (server(|mut stream: TcpStream| drop(stream.write_all(b"SSH-2.0-x\r\n"))), "Error_TransferFailed"),
    ] {
        assert_eq!(failure(&download(&url)), state, "{url}");
    }
    // A connection that fails ends the others, which go on for ever alone.
    let first = Arc::new(AtomicBool::new(true));
    let one_fails =
        server(move |stream| if first.swap(false, Ordering::Relaxed) { drop(stream) } else { endless(stream) });
    assert_eq!(failure(&SpeedTest { connections: 4, ..download(&one_fails) }), "Error_NoResponse");
    let unread = server(silent);
    assert_eq!(failure(&upload(&unread, 100_000_000)), "Error_Timeout");
    assert_eq!(failure(&upload(&server(cutting_off), 100_000_000)), "Error_NoTransferComplete");
    assert_eq!(failure(&upload(&status("200 OK"), 100_000_000)), "Error_NoTransferComplete");
    assert_eq!(failure(&upload(&status("302 Found\r\nLocation: /x"), 10)), "Error_NoTransferComplete");
    let missing = SocketOptions { devices: vec!["no-such-link".into()], ..SocketOptions::default() };
    assert_eq!(failure(&SpeedTest { options: missing, ..download(&unread) }), "Error_Other");
    let version = Some(crate::socket_options::IpVersion::V6);
    let ipv6 = SocketOptions { version, ..SocketOptions::default() };
    assert_eq!(failure(&SpeedTest { options: ipv6, ..download(&unread) }), "Error_CannotResolveHostName");
}

#[test]
fn a_stop_ends_every_phase() {
    for test in [
        download(&server(endless)),
        download(&server(silent)),
        upload(&server(silent), u64::MAX),
        SpeedTest { duration: Duration::from_secs(60), ..upload(&server(silent), 0) },
    ] {
        let test = SpeedTest { silence: Duration::from_secs(30), connections: 2, ..test };
        let stop = Arc::clone(&test.stop);
        let later = move || {
            std::thread::sleep(Duration::from_millis(200));
            stop.store(true, Ordering::Relaxed);
        };
        thread::spawn("later", 64 << 10, Box::new(later)).expect("a thread");
        let begun = now();
        assert!(run(&test).is_err_and(|failure| failure.is_stopped()));
        assert!(begun.elapsed() < test.silence / 2, "{:?}", begun.elapsed());
    }
}
