//! Tests of log lines and syslog packets, and of a syslog daemon that restarts.

use super::*;

fn with_record<T>(level: Level, text: &str, target: &str, check: impl FnOnce(&Record<'_>) -> T) -> T {
    check(&Record::builder().level(level).target(target).args(format_args!("{text}")).build())
}

fn line(level: Level, text: &str) -> String {
    let time = DateTime::parse("2026-11-22T15:04:05Z").expect("a dateTime");
    with_record(level, text, "cpe_agent", |record| stderr_line(record, time, false))
}

fn packet(level: Level, text: &str) -> String {
    with_record(level, text, "cpe_agent", |record| syslog_packet(record, 123))
}

#[test]
fn a_line_tells_time_and_level() {
    assert_eq!(line(Level::Info, "text"), "2026-11-22T15:04:05Z info: text\n");
    assert_eq!(line(Level::Error, "text"), "2026-11-22T15:04:05Z error: text\n");
    let time = DateTime::UNKNOWN;
    let coloured = with_record(Level::Warn, "text", "cpe_agent", |record| stderr_line(record, time, true));
    assert_eq!(coloured, "0001-01-01T00:00:00Z \x1b[33mwarn\x1b[0m: text\n");
}

#[test]
fn syslog_gets_priority_and_tag() {
    for (level, priority) in
        [(Level::Error, 27), (Level::Warn, 28), (Level::Info, 30), (Level::Debug, 31), (Level::Trace, 31)]
    {
        assert_eq!(packet(level, "text"), format!("<{priority}>cpe-agent[123]: text"));
    }
}

#[test]
fn no_text_makes_a_second_line_or_a_long_one() {
    let forged = line(Level::Info, "a\n2026-11-22T15:04:05Z error: forged\r\x1b[31m\u{85}é");
    assert_eq!(forged.matches('\n').count(), 1);
    assert!(forged.ends_with("a\\n2026-11-22T15:04:05Z error: forged\\r\\u{1b}[31m\\u{85}é\n"), "{forged:?}");
    for length in [MAX_SYSLOG - 40, MAX_SYSLOG, 100_000] {
        let text = "é\n".repeat(length);
        let (line, packet) = (line(Level::Info, &text), packet(Level::Info, &text));
        assert!(line.len() <= MAX_STDERR && line.ends_with('\n'), "{}", line.len());
        assert!(packet.len() <= MAX_SYSLOG, "{}", packet.len());
    }
}

#[test]
fn libraries_are_heard_from_warnings_up() {
    ::log::set_max_level(LevelFilter::Trace);
    let logger = Logger(RwLock::new(Sink::Stderr { colour: false }));
    let heard = |level, target: &str| with_record(level, "", target, |record| logger.enabled(record.metadata()));
    assert!(heard(Level::Trace, "cpe_agent::acs") && heard(Level::Debug, "cpe_agent"));
    assert!(heard(Level::Warn, "rustls") && heard(Level::Error, "ureq::run"));
    assert!(!heard(Level::Info, "ureq::run") && !heard(Level::Debug, "cpe_agent_of_another"));
}

#[test]
fn syslog_is_found_again_after_a_restart_and_never_waited_for() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("log");
    let mut syslog = Syslog::new(&path);
    assert!(!syslog.send(b"nobody listens"));

    let daemon = UnixDatagram::bind(&path).expect("a socket");
    let receive = |daemon: &UnixDatagram| {
        let mut packet = [0; 64];
        let length = daemon.recv(&mut packet).expect("a packet");
        String::from_utf8_lossy(&packet[..length]).into_owned()
    };
    assert!(syslog.send(b"one"));
    assert_eq!(receive(&daemon), "one");

    drop(daemon);
    std::fs::remove_file(&path).expect("removed");
    syslog.send(b"lost");
    let daemon = UnixDatagram::bind(&path).expect("a socket");
    syslog.send(b"two");
    assert_eq!(receive(&daemon), "two");

    // The daemon does not read: `send` returns although the packets exceed every queue.
    assert!((0..10_000).all(|_| syslog.send(b"flood")));
    assert_eq!(receive(&daemon), "flood");
    syslog.send(b"room again");
}
