use serde_json::json;

use super::*;
use crate::agent::last_session::FailureSeries;
use crate::cwmp::event::EventCode;
use crate::cwmp::session_error::SessionError;
use crate::http::HttpError;
use crate::schedule::{Schedule, ScheduledInforms};

/// 2026-11-22T14:04:05Z, 10,000 s after the boot.
const NOW: Now = Now { monotonic: Duration::from_secs(10_000), wall: 1_795_356_245 };

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn failed() -> AgentStatus {
    let session = LastSession {
        began: NOW.wall - 62,
        took: Duration::from_millis(1_234),
        events: vec!["0 BOOTSTRAP".into(), "1 BOOT".into()],
        error: Some(SessionError::InformFault { code: 8001, text: "not\nyou\u{1b}[31m".into() }),
    };
    AgentStatus {
        clock: Clock::new(),
        started: seconds(10_000 - 7_500),
        device: Some(DeviceId {
            manufacturer: "Example".into(),
            oui: "00D09E".into(),
            product_class: String::new(),
            serial_number: "0001".into(),
        }),
        software_version: "1.0.0".into(),
        acs_url: "https://user:hunter2@acs.example:7548/cwmp?key=hunter2".into(),
        is_acs_discovered: false,
        acs_username: "00D09E-0001".into(),
        running: None,
        last: Some((session.clone(), seconds(9_940))),
        sessions: SessionLog {
            succeeded: 12,
            failed: 7,
            last_success: Some(seconds(6_000)),
            failures: Some(FailureSeries {
                count: 3,
                began: seconds(9_000),
                first: SessionError::Http(HttpError::Authentication { text: String::new() }),
            }),
        },
        totals: SessionTotals { succeeded: 512, failed: 9, last_success: Some(NOW.wall - 4_000), address: None },
        periodic: Some(seconds(3_600)),
        next: NextSession::At(seconds(10_012), SessionCause::Retry),
        events: vec![EventCode::Bootstrap.into(), Event::of_command(EventCode::MReboot, "key")],
        retry_count: 3,
        transfers: Vec::new(),
        ended: Vec::new(),
        software: Vec::new(),
        ended_software: Vec::new(),
        listener_status: ListenerStatus { http: Some(([0, 0, 0, 0], 7547).into()), ..ListenerStatus::default() },
        xmpp: None,
        journal: JournalState { directory: "/var/lib/cpe-agent".into(), durable: true, error: None, notices: vec![] },
        reloads: ReloadLog::default(),
        sources: SourceProblems::default(),
        reboot: PlannedReboot::default(),
        test: None,
    }
}

fn text(status: &AgentStatus, now: Now) -> String {
    StatusView { status, now, zone: &LocalZone::utc() }.rows().text()
}

fn line(status: &AgentStatus, label: &str) -> String {
    let text = text(status, NOW);
    let found = text.lines().find_map(|line| line.strip_prefix(&format!("{label:<14} ")));
    found.unwrap_or_else(|| panic!("no {label} in\n{text}")).to_owned()
}

#[test]
fn the_report_for_people() {
    let expected = "\
manufacturer   Example
OUI            00D09E
product class  -
serial number  0001
software       1.0.0
agent          cpe-agent VERSION, up 2 h 5 min
ACS            https://acs.example:7548/cwmp
user name      00D09E-0001
last session   2026-11-22 14:03:03Z, 1 min 0 s ago, took 1.234 s
  events       0 BOOTSTRAP, 1 BOOT
  result       failed: the ACS refused Inform with fault 8001: not you [31m
  first cause  2026-11-22 13:47:25Z, 16 min ago, 3 failures since: the server refused the user name or the password
  success      2026-11-22 12:57:25Z, 1 h 6 min ago
next session   2026-11-22 14:04:17Z, in 12 s: retry 3
sessions       12 succeeded, 7 failed since the start; 512 and 9 in all
queued events  0 BOOTSTRAP, M Reboot (key)
retry count    3
requests HTTP  0.0.0.0:7547: none yet
requests UDP   port closed: none yet
  password     ConnectionRequestPassword is empty: every request is refused until the ACS sets it
journal        durable in /var/lib/cpe-agent
";
    assert_eq!(text(&failed(), NOW), expected.replace("VERSION", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_test_that_runs_is_shown() {
    let mut status = failed();
    let test = RunningTest { object: "Device.IP.Diagnostics.IPPing.".into(), began: seconds(9_997), waiting: 0 };
    status.test = Some(test.clone());
    assert_eq!(line(&status, "test"), "Device.IP.Diagnostics.IPPing. since 3 s");
    status.test = Some(RunningTest { waiting: 2, ..test });
    assert_eq!(line(&status, "test"), "Device.IP.Diagnostics.IPPing. since 3 s; 2 more wait");
    let json = StatusView { status: &status, now: NOW, zone: &LocalZone::utc() }.rows().json();
    assert_eq!(
        json["diagnosticTest"],
        json!({ "object": "Device.IP.Diagnostics.IPPing.", "seconds": 3, "waiting": 2 })
    );
}

#[test]
fn without_a_clock_there_are_spans_only() {
    let text = text(&failed(), Now { wall: 100, ..NOW });
    assert!(text.contains("last session   1 min 0 s ago, took 1.234 s\n"), "{text}");
    assert!(text.contains("next session   in 12 s: retry 3\n"), "{text}");
    let json = StatusView { status: &failed(), now: Now { wall: 100, ..NOW }, zone: &LocalZone::utc() }.rows().json();
    assert_eq!(json["lastSession"]["began"], Json::Null);
    assert_eq!(json["lastSession"]["secondsAgo"], 60);
    assert_eq!(json["nextSession"], json!({ "cause": "retry", "at": null, "inSeconds": 12 }));
}

/// The clocks of the wall and since the boot do not tick together.
#[test]
fn the_last_session_began_when_it_began() {
    for now in
        [NOW, Now { monotonic: NOW.monotonic + Duration::from_millis(999), ..NOW }, Now { wall: NOW.wall + 1, ..NOW }]
    {
        let text = text(&failed(), now);
        assert!(text.contains("last session   2026-11-22 14:03:03Z, "), "{text}");
    }
    // The date is computed with the present clock, because the clock was not set then.
    let mut status = failed();
    status.last.as_mut().expect("a session").0.began = 5;
    assert!(line(&status, "last session").starts_with("2026-11-22 14:03:03Z, "));
}

#[test]
fn every_state_of_sessions_has_its_words() {
    let mut status = failed();
    for (next, words) in [
        (NextSession::Unplanned, "none planned"),
        (NextSession::Disabled(Disabled::Cwmp), "none: EnableCWMP is false"),
        (NextSession::Disabled(Disabled::NoAcs), "none: ManagementServer.URL is empty"),
        (
            NextSession::Disabled(Disabled::AwaitsDhcp),
            "none: ManagementServer.URL is empty, until DHCP gives the URL of an ACS",
        ),
        (NextSession::Now, "now"),
        (
            NextSession::At(seconds(9_000), SessionCause::Notification),
            "2026-11-22 13:47:25Z, in 0 s: a value has changed",
        ),
        (NextSession::At(seconds(103_600), SessionCause::Periodic), "2026-11-23 16:04:05Z, in 1 d 2 h: periodic"),
        (NextSession::At(seconds(10_060), SessionCause::Heartbeat), "2026-11-22 14:05:05Z, in 1 min 0 s: heartbeat"),
        (
            NextSession::At(seconds(12_000), SessionCause::Scheduled),
            "2026-11-22 14:37:25Z, in 33 min: the ACS has asked for it",
        ),
        (
            NextSession::At(seconds(10_060), SessionCause::Restart),
            "2026-11-22 14:05:05Z, in 1 min 0 s: unless the device has restarted by then",
        ),
        (
            NextSession::At(seconds(10_060), SessionCause::Identity),
            "2026-11-22 14:05:05Z, in 1 min 0 s: or once the sources give the identity",
        ),
    ] {
        status.next = next;
        assert_eq!(line(&status, "next session"), words);
    }
    status.running = Some(seconds(9_970));
    status.next = NextSession::Now;
    assert_eq!(line(&status, "session"), "running for 30 s");
    assert_eq!(line(&status, "next session"), "as soon as this one ends");
    status.last = None;
    assert_eq!(line(&status, "last session"), "none yet");
    status.events.clear();
    assert_eq!(line(&status, "queued events"), "none");
}

#[test]
fn the_journal_says_what_is_wrong_with_it() {
    let mut status = failed();
    status.journal.error = Some("disk full".into());
    assert_eq!(line(&status, "journal"), "the last write failed: disk full");
    status.journal.durable = false;
    status.journal.notices = vec!["the last record was cut off".into()];
    assert_eq!(line(&status, "journal"), "nothing survives a restart: disk full");
    assert_eq!(line(&status, "  notice"), "the last record was cut off");
}

#[test]
fn the_report_for_programs() {
    let status = failed();
    let mut json = StatusView { status: &status, now: NOW, zone: &LocalZone::utc() }.rows().json();
    json.as_object_mut().and_then(|json| json.remove("connectionRequests")).expect("tested beside its module");
    let expected = json!({
        "agent": { "version": env!("CARGO_PKG_VERSION"), "upSeconds": 7500 },
        "device": { "manufacturer": "Example", "oui": "00D09E", "productClass": "", "serialNumber": "0001",
                    "softwareVersion": "1.0.0" },
        "acs": { "url": "https://acs.example:7548/cwmp", "username": "00D09E-0001", "enabled": true, "discovered": false },
        "session": null,
        "lastSession": { "began": "2026-11-22T14:03:03Z", "secondsAgo": 60, "milliseconds": 1234,
                         "events": ["0 BOOTSTRAP", "1 BOOT"], "ok": false,
                         "error": "the ACS refused Inform with fault 8001: not you [31m" },
        "nextSession": { "cause": "retry", "at": "2026-11-22T14:04:17Z", "inSeconds": 12 },
        "sessions": { "succeeded": 12, "failed": 7, "everSucceeded": 512, "everFailed": 9,
                      "lastSuccess": "2026-11-22T12:57:25Z", "lastSuccessSecondsAgo": 4000 },
        "failures": { "count": 3, "began": "2026-11-22T13:47:25Z", "secondsAgo": 1000,
                      "firstError": "the server refused the user name or the password" },
        "sources": { "failing": [], "unfit": [], "reloadsOwed": [], "reloadsFailed": [],
                     "unconfirmed": null, "takenBack": null },
        "reloads": { "accepted": 0, "refused": 0, "ok": true, "lastReason": null, "lastRefused": null,
                     "secondsAgo": null, "leftOut": [] },
        "reboot": { "pending": false, "at": null, "inSeconds": null },
        "events": [{ "code": "0 BOOTSTRAP", "commandKey": "" }, { "code": "M Reboot", "commandKey": "key" }],
        "retryCount": 3,
        "transfers": [],
        "endedTransfers": [],
        "software": [],
        "endedSoftware": [],
        "diagnosticTest": null,
        "stun": null,
        "journal": { "directory": "/var/lib/cpe-agent", "durable": true, "error": null, "notices": [] },
    });
    assert_eq!(json, expected);
}

#[test]
fn no_credential_of_a_url_is_shown() {
    assert_eq!(public_url("http://a:b@host/x?y=z#f").as_deref(), Some("http://host/x"));
    for odd in ["", "acs.example", "http://u:p?w@host/", "http://u:p/w@host/", "http://user:pass"] {
        assert_eq!(public_url(odd), None, "{odd}");
    }
}

#[test]
fn the_board_answers_before_and_after() {
    let latest = LatestStatus::new(LocalZone::utc());
    assert!(latest.describe(false).contains("next session   none planned\n"));
    latest.publish(failed());
    let json: Json = serde_json::from_str(&latest.describe(true)).expect("JSON");
    assert_eq!(json["retryCount"], 3);
    assert!(!latest.describe(true).contains("hunter2") && !latest.describe(false).contains("hunter2"));
}

#[test]
fn the_earliest_deadline_is_the_next_session() {
    let mut schedule = Schedule::default();
    let mut informs = ScheduledInforms::default();
    assert_eq!(NextSession::of(&schedule, &informs, None), NextSession::Unplanned);
    informs.add("", seconds(60), NOW).expect("room");
    assert_eq!(NextSession::of(&schedule, &informs, None), NextSession::At(seconds(10_060), SessionCause::Scheduled));
    schedule.notification.session_wanted(NOW.monotonic);
    assert_eq!(
        NextSession::of(&schedule, &informs, None),
        NextSession::At(seconds(10_000), SessionCause::Notification)
    );
}

#[test]
fn reloads_and_reboots_are_shown() {
    let mut status = failed();
    let why = "config.json: /nonsense: there is no such key".to_owned();
    let left_out = vec!["overlay.json: is empty".to_owned()];
    let last_refusal = Some((why, seconds(9_700)));
    status.reloads = ReloadLog { accepted: 1, refused: 2, last_refusal, is_refused: true, left_out };
    status.reboot.at = Some(seconds(10_060));
    assert_eq!(
        line(&status, "reloads"),
        "2 refused, the last 5 min 0 s ago: config.json: /nonsense: there is no such key"
    );
    assert_eq!(line(&status, "reboot"), "2026-11-22 14:05:05Z, in 1 min 0 s: planned by the ACS");
    let json = StatusView { status: &status, now: NOW, zone: &LocalZone::utc() }.rows().json();
    let expected = json!({ "accepted": 1, "refused": 2, "ok": false, "lastRefused": "2026-11-22T13:59:05Z",
        "lastReason": "config.json: /nonsense: there is no such key", "secondsAgo": 300,
        "leftOut": ["overlay.json: is empty"] });
    assert_eq!(json["reloads"], expected);
    assert_eq!(line(&status, "model left out"), "overlay.json: is empty");
    assert_eq!(json["reboot"], json!({ "pending": false, "at": "2026-11-22T14:05:05Z", "inSeconds": 60 }));
    status.reboot.is_pending = true;
    assert_eq!(line(&status, "reboot"), "pending: the device goes down as soon as no session runs");
}

/// A success before the start of the agent is known from the journal.
#[test]
fn the_last_success_survives_a_restart() {
    let mut status = failed();
    status.sessions.last_success = None;
    assert_eq!(line(&status, "  success"), "2026-11-22 12:57:25Z, 1 h 6 min ago");
    status.totals.last_success = None;
    assert_eq!(line(&status, "  success"), "at an unknown time");
    status.totals.succeeded = 0;
    assert_eq!(line(&status, "  success"), "none yet");
    let series = status.sessions.failures.as_mut().expect("failures");
    series.count = 1;
    assert!(!text(&status, NOW).contains("first cause"));
}

#[test]
fn a_check_names_the_first_trouble() {
    let check = |status: &AgentStatus| StatusView { status, now: NOW, zone: &LocalZone::utc() }.check();
    let mut status = failed();
    status.listener_status.udp = Some(([0, 0, 0, 0], 7547).into());
    let cause = "the last session failed: the ACS refused Inform with fault 8001: ";
    assert!(check(&status).is_err_and(|reason| reason.starts_with(cause)));
    status.next = NextSession::Disabled(Disabled::Cwmp);
    assert_eq!(check(&status), Err("EnableCWMP is false: no session is started".into()));
    status.next = NextSession::At(seconds(10_012), SessionCause::Periodic);
    status.last.as_mut().expect("a session").0.error = None;
    assert_eq!(check(&status), Ok("the last session succeeded 1 h 6 min ago\n".into()));
    status.periodic = Some(seconds(1_800));
    let late = "no session has succeeded for 1 h 6 min, with a periodic interval of 30 min";
    assert_eq!(check(&status), Err(late.into()));
    status.periodic = None;
    status.journal.error = Some("No space left on device".into());
    assert_eq!(check(&status), Err("the last write of the journal failed: No space left on device".into()));
    status.journal.durable = false;
    assert_eq!(check(&status), Err("nothing survives a restart: No space left on device".into()));
    status.journal = JournalState { durable: true, ..JournalState::default() };
    status.reloads.is_refused = true;
    status.reloads.last_refusal = Some(("no such key".into(), seconds(1)));
    assert_eq!(check(&status), Err("the last reload was refused: no such key".into()));
    status.reloads.is_refused = false;
    status.reloads.left_out = vec!["overlay.json: is empty".to_owned()];
    assert_eq!(check(&status), Err("a data-model file is left out: overlay.json: is empty".into()));
    status.reloads.left_out.clear();
    let udp = status.listener_status.udp.take();
    assert_eq!(check(&status), Err("the port for connection requests over UDP is closed".into()));
    status.listener_status.udp = udp;
    (status.last, status.sessions.last_success) = (None, None);
    assert_eq!(check(&status), Ok("no session has ended since the start\n".into()));
}

#[test]
fn the_metrics_have_the_values_of_the_status() {
    let metrics = |status: &AgentStatus, now| StatusView { status, now, zone: &LocalZone::utc() }.metrics();
    let text = metrics(&failed(), NOW);
    for line in [
        "# TYPE cpe_agent_sessions_total counter",
        "cpe_agent_sessions_total{result=\"success\"} 12",
        "cpe_agent_sessions_total{result=\"failure\"} 7",
        "cpe_agent_last_session_success 0",
        "cpe_agent_last_session_duration_seconds 1.234",
        "cpe_agent_last_success_timestamp_seconds 1795352245",
        "cpe_agent_next_session_timestamp_seconds 1795356257",
        "cpe_agent_session_retries 3",
        "cpe_agent_well 0",
        "cpe_agent_listening{transport=\"http\"} 1",
        "cpe_agent_connection_requests_total{transport=\"udp\",outcome=\"wrongSignature\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    // Without a clock no time can be told, and before the first session no result.
    let mut status = failed();
    status.last = None;
    let text = metrics(&status, Now { wall: 100, ..NOW });
    assert!(!text.contains("next_session_timestamp") && !text.contains("last_session_success"), "{text}");
    assert!(!text.contains("null") && text.ends_with('\n'));
}
