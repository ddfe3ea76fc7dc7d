//! Tests of each kind that are requested anew, cancelled and killed in the middle.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use super::network::ICMP_SENDER;
use super::{COMPLETE, in_session, may_ping, set};
use crate::gateway::{SOON, TR_181};
use crate::rpc::gateway::{Gateway, QUIET};
use crate::support::name_server::NameServer;
use crate::support::network::{BLACK_HOLE, in_own_network, sh};
use crate::support::skip::emulator_lacks;
use crate::support::{AcsSession, FileServer, FileServerOptions, FileSpec};

const SIZE: u64 = 200_000;

/// A kind of test, with inputs that make it long, and inputs that make it short.
struct Kind {
    object: &'static str,
    long: Vec<(&'static str, String)>,
    short: Vec<(&'static str, String)>,
}

impl Kind {
    fn new(object: &'static str, long: &[(&'static str, &str)], short: &[(&'static str, &str)]) -> Kind {
        let owned =
            |inputs: &[(&'static str, &str)]| inputs.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        Kind { object, long: owned(long), short: owned(short) }
    }

    fn request(&self, session: &mut AcsSession, inputs: &[(&'static str, String)]) {
        let inputs: Vec<(&str, &str)> = inputs.iter().map(|(name, text)| (*name, text.as_str())).collect();
        set(session, self.object, &[&inputs[..], &[("DiagnosticsState", "Requested")]].concat());
    }

    fn state(&self, session: &mut AcsSession) -> String {
        session.value(&format!("{}DiagnosticsState", self.object))
    }
}

/// Runs the steps in a session that the device begins while a test runs. Returns the position of the log before them.
fn in_the_middle(gateway: &mut Gateway, kind: &Kind, position: usize, steps: impl FnOnce(&mut AcsSession)) -> usize {
    gateway.agent.wait_for_log_after(position, &format!("{}: it begins", kind.object), SOON);
    gateway.agent.succeeds(&["inform"]);
    let (inform, _, mut session) = gateway.acs.next_session();
    assert!(!inform.xml.contains("8 DIAGNOSTICS"), "{}: {}", kind.object, inform.xml);
    assert_eq!(kind.state(&mut session), "Requested", "{}", kind.object);
    let position = gateway.agent.log_position();
    steps(&mut session);
    session.end_session();
    assert!(session.is_closed());
    position
}

/// R308, R314: `Requested` in the middle begins the test anew with the inputs of that moment, and `Canceled` ends it
/// without an event.
#[test]
fn each_kind_is_requested_anew_and_cancelled_in_the_middle() {
    if !may_ping() || emulator_lacks(ICMP_SENDER) {
        return;
    }
    in_own_network("diagnostics::interruptions::each_kind_is_requested_anew_and_cancelled_in_the_middle", || {
        sh(BLACK_HOLE);
        let files = FileServer::start(FileServerOptions::new());
        files.serves("/endless", FileSpec::sized(SIZE).endless());
        files.serves("/f", FileSpec::sized(SIZE));
        files.serves("/deaf", FileSpec::sized(0).stalls_after(SIZE));
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let silent_port = silent.local_addr().expect("an address").port().to_string();
        let silent_server = format!("127.0.0.1:{silent_port}");
        let names = NameServer::start(|asked| vec![asked.address(0x8580)]);
        let (lost, here) = ("192.0.2.1", "127.0.0.1");
        let kinds = [
            Kind::new(
                "Device.IP.Diagnostics.IPPing.",
                &[("Host", lost), ("NumberOfRepetitions", "1000"), ("Timeout", "60000")],
                &[("Host", here), ("NumberOfRepetitions", "1")],
            ),
            Kind::new("Device.IP.Diagnostics.TraceRoute.", &[("Host", lost), ("Timeout", "60000")], &[("Host", here)]),
            Kind::new(
                "Device.IP.Diagnostics.UDPEchoDiagnostics.",
                &[("Host", here), ("Port", &silent_port), ("NumberOfRepetitions", "1000"), ("Timeout", "60000")],
                &[("NumberOfRepetitions", "1"), ("Timeout", "1")],
            ),
            Kind::new(
                "Device.IP.Diagnostics.ServerSelectionDiagnostics.",
                &[("HostList", lost), ("NumberOfRepetitions", "1000"), ("Timeout", "60000")],
                &[("HostList", here), ("NumberOfRepetitions", "1")],
            ),
            Kind::new(
                "Device.DNS.Diagnostics.NSLookupDiagnostics.",
                &[("HostName", "www.example.com"), ("DNSServer", &silent_server), ("Timeout", "60000")],
                &[("DNSServer", &names.address().to_string())],
            ),
            Kind::new(
                "Device.IP.Diagnostics.DownloadDiagnostics.",
                &[("DownloadURL", &files.url("/endless"))],
                &[("DownloadURL", &files.url("/f"))],
            ),
            Kind::new(
                "Device.IP.Diagnostics.UploadDiagnostics.",
                &[("UploadURL", &files.url("/deaf")), ("TestFileLength", "50000000")],
                &[("UploadURL", &files.url("/u")), ("TestFileLength", "1000")],
            ),
        ];
        let mut gateway = Gateway::new(&TR_181);
        let mut position = gateway.agent.log_position();
        in_session(&mut gateway, |session| kinds[0].request(session, &kinds[0].long));
        for (index, kind) in kinds.iter().enumerate() {
            in_the_middle(&mut gateway, kind, position, |session| kind.request(session, &kind.short));
            gateway.acs.expect_session(COMPLETE, |_, session| {
                assert_eq!(kind.state(session), "Complete", "{}", kind.object);
                position = gateway.agent.log_position();
                kind.request(session, &kind.long);
            });
            position = in_the_middle(&mut gateway, kind, position, |session| {
                set(session, kind.object, &[("DiagnosticsState", "Canceled")]);
                assert_eq!(kind.state(session), "None", "{}", kind.object);
                if let Some(next) = kinds.get(index + 1) {
                    next.request(session, &next.long);
                }
            });
        }
        gateway.acs.expect_no_session(QUIET); // R147
    });
}

fn random_below(limit: u64) -> u64 {
    RandomState::new().build_hasher().finish() % limit
}

/// Answers datagrams until the test program ends.
fn echo_service() -> u16 {
    let service = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = service.local_addr().expect("an address").port();
    thread::spawn(move || {
        let mut buffer = [0; 2000];
        while let Ok((length, from)) = service.recv_from(&mut buffer) {
            let _ = service.send_to(&buffer[..length], from);
        }
    });
    port
}

/// R311: an agent that is killed at random moments, several times during a test and its session, tells the ACS `Complete` with
/// the results of a whole run alone, and forgets no test.
#[test]
fn tests_of_the_agent_are_killed_at_random_moments() {
    const ROUNDS: usize = 6;
    let files = FileServer::start(FileServerOptions::new());
    files.serves("/f", FileSpec::sized(SIZE).trickles(10_000, Duration::from_millis(5)));
    let names = NameServer::start(|asked| {
        thread::sleep(Duration::from_millis(10));
        vec![asked.address(0x8580)]
    });
    let size = SIZE.to_string();
    let [echo, lookup, download, upload] = [
        Kind::new(
            "Device.IP.Diagnostics.UDPEchoDiagnostics.",
            &[],
            &[
                ("Host", "127.0.0.1"),
                ("Port", &echo_service().to_string()),
                ("NumberOfRepetitions", "5"),
                ("InterTransmissionTime", "20"),
            ],
        ),
        Kind::new(
            "Device.DNS.Diagnostics.NSLookupDiagnostics.",
            &[],
            &[
                ("HostName", "www.example.com"),
                ("DNSServer", &names.address().to_string()),
                ("NumberOfRepetitions", "4"),
            ],
        ),
        Kind::new("Device.IP.Diagnostics.DownloadDiagnostics.", &[], &[("DownloadURL", &files.url("/f"))]),
        Kind::new("Device.IP.Diagnostics.UploadDiagnostics.", &[], &[("TestFileLength", &size)]),
    ];
    let mut gateway = Gateway::new(&TR_181);
    let kinds = [&echo, &lookup, &download, &upload];
    for round in 0..ROUNDS {
        for kind in kinds {
            let path = format!("/u{round}");
            let mut inputs = kind.short.clone();
            if kind.object == upload.object {
                inputs.push(("UploadURL", files.url(&path)));
            }
            in_session(&mut gateway, |session| {
                assert_eq!(kind.state(session), "None"); // R313
                kind.request(session, &inputs);
            });
            let pauses: Vec<u64> = (0..=random_below(3)).map(|_| random_below(200)).collect();
            for pause in &pauses {
                thread::sleep(Duration::from_millis(*pause));
                gateway.crash();
            }
            gateway.acs.expect_session(COMPLETE, |_, session| {
                let case = format!("{}, killed after {pauses:?} ms", kind.object);
                assert_eq!(kind.state(session), "Complete", "{case}");
                let mut number =
                    |name: &str| -> u64 { session.value(&format!("{}{name}", kind.object)).parse().expect("a number") };
                if kind.object == echo.object {
                    assert_eq!((number("SuccessCount"), number("FailureCount")), (5, 0), "{case}");
                } else if kind.object == lookup.object {
                    assert_eq!((number("SuccessCount"), number("ResultNumberOfEntries")), (4, 4), "{case}");
                } else if kind.object == download.object {
                    assert!(number("TestBytesReceived") >= SIZE, "{case}");
                } else {
                    assert!(number("TestBytesSent") >= SIZE, "{case}");
                    assert_eq!(files.uploaded(&path).map(|body| body.len() as u64), Some(SIZE), "{case}");
                }
            });
        }
    }
    gateway.acs.expect_no_session(QUIET);
}
